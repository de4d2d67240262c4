//! Every backend against the `sha2` crate and NIST's examples.
//!
//! A processor without a backend cannot test it; the test then prints which ones it skipped, and
//! the portable one has always run.

use super::lanes::{Engine, States, Work};
use super::{Backend, SHA256_LEN, Sha256, portable::Portable, sha256, sha256_many};
use crate::hex::hex;
use proptest::prelude::*;
use sha2::Digest as _;

/// FIPS 180-4's examples, NIST's additional ones and the empty message of the CAVP: what is
/// repeated, how often, and the digest.
const VECTORS: &[(&str, usize, &str)] = &[
    ("", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
    ("abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    (
        "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
        1,
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
    ),
    ("\0", 55, "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7"),
    ("\0", 56, "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb"),
    ("\0", 57, "65a16cb7861335d5ace3c60718b5052e44660726da4cd13bb745381b235a1785"),
    ("\0", 64, "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b"),
    ("\0", 1000, "541b3e9daa09b20bf85fa273e5cbd3e80185aa4ec298e765db87742b70138a53"),
    ("A", 1000, "c2e686823489ced2017f6059b8b239318b6364f6dcd835d0a519105a1eadd6e4"),
    ("U", 1005, "f4d62ddec0f3dd90ea1380fa16a5ff8dc4c54b21740650f24afc4120903552b0"),
    ("a", 1_000_000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"),
    ("\0", 1_000_000, "d29751f2649b32ff572b5e0a9f541ea660a50f94ff0beedfb0b692b924cc8025"),
];

type Run = fn(&[&[u8]]) -> Option<Vec<[u8; SHA256_LEN]>>;

/// Every way there is to run a batch, with a name; `None` where the processor lacks it.
const RUNS: &[(&str, Run)] = &[
    ("single", |batch| super::sha256_many_with(Backend::Single, batch)),
    ("sha-ni", |batch| super::sha256_many_with(Backend::ShaNi, batch)),
    ("avx2", |batch| super::sha256_many_with(Backend::Avx2, batch)),
    ("avx512", |batch| super::sha256_many_with(Backend::Avx512, batch)),
    ("armv8", |batch| super::sha256_many_with(Backend::Armv8, batch)),
    ("chosen", |batch| Some(sha256_many(batch))),
    ("chosen without sha-ni", without_shani),
    ("handed over twice", |batch| Some(handed_over(batch))),
    ("one by one", |batch| Some(batch.iter().map(|message| sha256(message)).collect())),
];

/// What a processor with AVX2 but without the SHA extensions does.
#[cfg(target_arch = "x86_64")]
fn without_shani(batch: &[&[u8]]) -> Option<Vec<[u8; SHA256_LEN]>> {
    let mut work = Work::new(batch);
    work.run(super::avx2::Avx2::detect()?, super::LANES_MIN_WITHOUT_SHANI);
    super::run_singly(&mut work);
    Some(work.finish())
}

#[cfg(not(target_arch = "x86_64"))]
fn without_shani(_batch: &[&[u8]]) -> Option<Vec<[u8; SHA256_LEN]>> {
    None
}

/// Several lanes made of the portable engine, so that the lanes are tested on any processor.
#[derive(Clone, Copy)]
struct Repeated;

impl<const LANES: usize> Engine<LANES> for Repeated {
    fn compress(self, states: &mut States<LANES>, inputs: &[&[u8]; LANES]) {
        for (lane, input) in inputs.iter().enumerate() {
            assert_eq!(input.len(), inputs[0].len(), "all lanes go equally far");
            let mut state = states.map(|row| [row[lane]]);
            Portable.compress(&mut state, &[input]);
            for (row, [word]) in states.iter_mut().zip(state) {
                row[lane] = word;
            }
        }
    }
}

/// Leaves wide lanes with messages still in them, and those with messages again.
fn handed_over(batch: &[&[u8]]) -> Vec<[u8; SHA256_LEN]> {
    let mut work = Work::new(batch);
    work.run::<7>(Repeated, 5);
    work.run::<3>(Repeated, 2);
    work.run::<1>(Repeated, 1);
    assert_eq!(work.left(), 0, "nothing is left");
    work.finish()
}

fn reference(batch: &[&[u8]]) -> Vec<[u8; SHA256_LEN]> {
    batch.iter().map(|message| sha2::Sha256::digest(message).into()).collect()
}

/// Bytes without a period that a block or a lane could hide.
fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
        bytes.extend_from_slice(&(state ^ (state >> 29)).to_be_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Checks every run there is on this batch.
fn check(batch: &[&[u8]]) {
    let expected = reference(batch);
    let lens = || batch.iter().map(|message| message.len()).collect::<Vec<_>>();
    for &(name, run) in RUNS {
        if let Some(digests) = run(batch) {
            assert_eq!(digests, expected, "{name}, lengths {:?}", lens());
        }
    }
}

#[test]
fn skipped_backends_are_named_and_the_portable_one_runs() {
    let (found, skipped): (Vec<Backend>, Vec<Backend>) =
        Backend::ALL.iter().partition(|backend| backend.is_available());
    let names: Vec<_> = skipped.iter().map(|backend| backend.name()).collect();
    // Printed by the test runner when asked, so that a log tells what was covered.
    #[expect(clippy::print_stderr, reason = "says what this processor could not test")]
    if !names.is_empty() {
        eprintln!("not tested on this processor: {}", names.join(", "));
    }
    assert!(found.contains(&Backend::Single), "the portable backend runs everywhere");
    assert_eq!(found, Backend::available());
    for backend in Backend::ALL {
        let digests = super::sha256_many_with(*backend, &[b"abc"]);
        assert_eq!(digests.is_some(), backend.is_available(), "{}", backend.name());
    }
}

#[test]
fn agrees_with_nist_alone_and_in_a_batch() {
    let messages: Vec<Vec<u8>> =
        VECTORS.iter().map(|(text, times, _)| text.repeat(*times).into_bytes()).collect();
    let batch: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
    for &(name, run) in RUNS {
        let Some(together) = run(&batch) else { continue };
        for ((text, times, expected), (message, digest)) in
            VECTORS.iter().zip(batch.iter().zip(together))
        {
            assert_eq!(hex(&digest), *expected, "{name}: {text:?} times {times}");
            let alone = run(&[message]).expect("ran before");
            assert_eq!(alone, [digest], "{name}: {text:?} times {times}, alone");
        }
    }
}

#[test]
fn agrees_at_every_length_around_the_padding() {
    let data = noise(300);
    for len in 0..=300 {
        check(&[&data[..len]]);
        check(&[&data[..len]; 17]);
    }
    let all: Vec<&[u8]> = (0..=300).map(|len| &data[300 - len..]).collect();
    check(&all);
}

#[test]
fn agrees_for_every_batch_size() {
    let data = noise(4096 + 40);
    for count in 0..=40 {
        let equal: Vec<&[u8]> = (0..count).map(|start| &data[start..start + 4096]).collect();
        check(&equal);
        // One long message among short ones: the lanes empty around it.
        let mut mixed: Vec<&[u8]> =
            (0..count).map(|start| &data[start..start + 1 + start * 53 % 700]).collect();
        if let Some(first) = mixed.first_mut() {
            *first = &data;
        }
        check(&mixed);
    }
}

#[test]
fn agrees_on_large_messages_of_unequal_length() {
    let data = noise(1 << 20);
    let lens = [1 << 20, 0, 262_144, 1, 999_999, 63, 64, 65, 524_288, 4096, 777_777, 55, 56];
    let batch: Vec<&[u8]> = lens.iter().cycle().take(21).map(|&len| &data[..len]).collect();
    check(&batch);
}

#[test]
fn a_stream_is_the_same_however_it_is_cut() {
    let data = noise(1000);
    for cut in 0..=data.len() {
        let mut stream = Sha256::default();
        stream.update(&data[..cut]);
        let copy = stream.clone();
        stream.update(&data[cut..]);
        assert_eq!(stream.finish(), sha256(&data), "cut at {cut}");
        assert_eq!(copy.finish(), sha256(&data[..cut]), "copy at {cut}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn agrees_on_any_batch(
        spans in prop::collection::vec((0_usize..4096, prop_oneof![0_usize..200, 0_usize..20_000]), 0..41),
    ) {
        let data = noise(4096 + 20_000);
        let batch: Vec<&[u8]> =
            spans.iter().map(|&(start, len)| &data[start..start + len]).collect();
        check(&batch);
    }

    #[test]
    fn agrees_on_messages_of_up_to_a_mebibyte(
        lens in prop::collection::vec(0_usize..=1 << 20, 1..4),
    ) {
        let data = noise(1 << 20);
        let batch: Vec<&[u8]> = lens.iter().map(|&len| &data[..len]).collect();
        check(&batch);
    }
}
