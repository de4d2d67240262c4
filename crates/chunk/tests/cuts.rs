//! The cuts are Kubo's, and depend on the content alone.

#![expect(clippy::panic, reason = "a test fails by panicking")]

use cairn_chunk::{ChunkSpec, Cutter};
use cairn_testkit::Random;
use proptest::prelude::{Strategy as _, any, prop_oneof, proptest};

/// What Kubo's own chunkers cut; the file says how it was made.
const KUBO: &str = include_str!("../../../spec/vectors/chunk/cuts.txt");

fn noise(seed: u64, len: usize) -> Vec<u8> {
    Random::new(seed).bytes(len).into()
}

fn content(kind: &str, seed: u64, len: usize) -> Vec<u8> {
    match kind {
        "noise" => noise(seed, len),
        "zero" => vec![0; len],
        "text" => noise(seed, len).iter().map(|byte| byte % 16 + b'a').collect(),
        "loop" => noise(seed, 1021).into_iter().cycle().take(len).collect(),
        other => panic!("no content of the kind {other}"),
    }
}

fn cuts(spec: &ChunkSpec, mut data: &[u8]) -> Vec<usize> {
    let mut cutter = Cutter::new(spec);
    let mut cuts = Vec::new();
    while let Some(cut) = cutter.next(data, true) {
        cuts.push(cut);
        data = &data[cut..];
    }
    cuts
}

#[test]
fn cuts_are_kubos() {
    let rows: Vec<&str> = KUBO.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(rows.len() > 200, "{}", rows.len());
    for row in rows {
        let mut words = row.split(' ');
        let [name, kind, seed, len] = std::array::from_fn(|_| words.next().unwrap());
        let data = content(kind, seed.parse().unwrap(), len.parse().unwrap());
        let words = words.filter(|word| !word.is_empty());
        let expected: Vec<usize> = words.map(|word| word.parse().unwrap()).collect();
        let spec = ChunkSpec::parse(name).unwrap();
        assert_eq!(cuts(&spec, &data), expected, "{name} {kind} {seed} {len}");
    }
}

/// Ours alone has nobody to agree with, so its own cuts are held fast: files added with one
/// release must get the same CIDs from the next.
#[test]
fn fastcdc_cuts_stay_where_they_are() {
    let data = noise(5, 3_000_000);
    let default = ChunkSpec::parse("fastcdc").unwrap();
    let expected = FASTCDC_CUTS;
    assert_eq!(cuts(&default, &data), expected);
    let small = ChunkSpec::parse("fastcdc-64-200-1000").unwrap();
    assert_eq!(cuts(&small, &data[..3000]), FASTCDC_SMALL_CUTS);
    // Nothing to cut by: the longest chunks.
    assert_eq!(cuts(&default, &vec![0; 2_500_000]), [1_048_576, 1_048_576, 402_848]);
}

const FASTCDC_CUTS: &[usize] = &[
    229_751, 265_153, 279_341, 254_521, 224_668, 307_339, 265_009, 195_268, 356_142, 250_755,
    353_256, 18_797,
];
const FASTCDC_SMALL_CUTS: &[usize] =
    &[186, 209, 220, 75, 289, 180, 340, 228, 397, 68, 250, 198, 111, 181, 68];

#[test]
fn lengths_gather_around_the_one_aimed_at() {
    let data = noise(6, 40_000_000);
    let spec = ChunkSpec::parse("fastcdc-4096-16384-65536").unwrap();
    let cuts = cuts(&spec, &data);
    let mean = data.len() / cuts.len();
    assert!((16_384 * 9 / 10..16_384 * 11 / 10).contains(&mean), "{mean}");
    let forced = cuts.iter().filter(|cut| **cut == 65_536).count();
    assert!(forced * 1000 < cuts.len(), "{forced} of {}", cuts.len());
}

#[test]
fn a_change_moves_only_the_cuts_near_to_it() {
    let before = noise(7, 8_000_000);
    let mut after = before.clone();
    after.splice(3_000_000..3_000_100, *b"something else of another length");
    for name in ["rabin-65536", "buzhash", "fastcdc-16384-65536-262144"] {
        let spec = ChunkSpec::parse(name).unwrap();
        let ends = |data: &[u8]| -> Vec<usize> {
            let sums = cuts(&spec, data).into_iter().scan(0, |sum, cut| {
                *sum += cut;
                Some(*sum)
            });
            sums.collect()
        };
        let (old, new) = (ends(&before), ends(&after));
        let moved = before.len() - after.len();
        let kept = old.iter().filter(|end| new.contains(end) || new.contains(&(**end - moved)));
        assert!(kept.count() + 4 >= old.len(), "{name}: {old:?} {new:?}");
    }
}

proptest! {
    #[test]
    fn cuts_do_not_depend_on_how_the_file_is_read(
        data in proptest::collection::vec(any::<u8>(), 0..4000),
        name in prop_oneof![
            (1_usize..64).prop_map(|len| format!("size-{len}")),
            (16_usize..64, 1_usize..64, 1_usize..200)
                .prop_map(|(min, more, most)| format!("rabin-{min}-{}-{}", min + more, min + more + most)),
            (64_usize..100, 1_usize..100, 1_usize..200)
                .prop_map(|(min, more, most)| format!("fastcdc-{min}-{}-{}", min + more, min + more + most)),
        ],
        step in 1_usize..1000,
    ) {
        let spec = ChunkSpec::parse(&name).unwrap();
        let mut cutter = Cutter::new(&spec);
        let (mut buffered, mut read) = (Vec::new(), Vec::new());
        let mut input = data.chunks(step);
        let mut eof = false;
        loop {
            while let Some(cut) = cutter.next(&buffered, eof) {
                assert!((1..=spec.len_max()).contains(&cut));
                read.push(cut);
                buffered.drain(..cut);
            }
            if eof {
                break;
            }
            match input.next() {
                Some(piece) => buffered.extend_from_slice(piece),
                None => eof = true,
            }
        }
        assert_eq!(read, cuts(&spec, &data));
        assert_eq!(read.iter().sum::<usize>(), data.len());
    }
}
