//! The table against a map, its size, and what it says about damage.

use super::{Garbled, Index, Place, Position, State};
use cairn_block::Multihash;
use cairn_runtime::{Create, MemoryVfs, Vfs as _};
use proptest::prelude::*;
use std::{collections::HashMap, collections::HashSet, path::Path, sync::atomic::Ordering};

fn memory() -> MemoryVfs {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new("/r"), true).unwrap();
    vfs
}

fn path() -> &'static Path {
    Path::new("/r/index")
}

fn create(vfs: &MemoryVfs) -> Index {
    let index = Index::create(vfs, path(), 0).unwrap();
    index.install(vfs, true).unwrap();
    index
}

fn hash(number: u64) -> Multihash {
    Multihash::sha2_256(cairn_hash::sha256(&number.to_le_bytes()))
}

fn place(number: u64) -> Place {
    Place::new(1 + (number >> 20) as u32, (number & 0xf_ffff) * 100, 100)
}

fn lookup(index: &Index, hash: &Multihash) -> Option<Place> {
    index.find(index.fingerprint(hash), None).unwrap().map(|found| found.place)
}

fn add(index: &mut Index, vfs: &MemoryVfs, number: u64) {
    if !index.has_room(1) {
        *index = index.grown(vfs, 1).unwrap().unwrap();
    }
    index.insert(index.fingerprint(&hash(number)), place(number)).unwrap();
}

#[test]
fn places_hold_the_extremes() {
    for (segment, offset, len) in [(1, 64, 54), ((1 << 20) - 1, (1 << 28) - 1, 159 + (2 << 20))] {
        let place = Place::new(segment, offset, len);
        assert_eq!((place.segment(), place.offset()), (segment, offset));
        assert!((len..len + 64).contains(&place.len_bound()));
        assert_eq!(place.position(), Position::new(segment, offset));
    }
}

#[test]
fn grows_and_keeps_everything_within_its_size() {
    let vfs = memory();
    let mut index = create(&vfs);
    let count = 400_000;
    for number in 0..count {
        add(&mut index, &vfs, number);
        let large = number > super::SMALL_COUNT;
        assert!(!large || index.disk_len() <= 32 * (number + 1), "{number}");
    }
    assert_eq!(index.live(), count);
    for number in 0..count {
        assert_eq!(lookup(&index, &hash(number)), Some(place(number)), "{number}");
        assert_eq!(lookup(&index, &hash(number + count)), None, "{number}");
    }
    index.set_checkpoint(Position::new(3, 5), 77);
    index.set_state(State::Clean);
    drop(index);
    let index = Index::open(&vfs, path()).unwrap().unwrap();
    assert_eq!((index.live(), index.state()), (count, State::Clean));
    assert_eq!(index.checkpoint(), (Position::new(3, 5), 77));
    assert!((0..count).all(|number| lookup(&index, &hash(number)) == Some(place(number))));
    assert_eq!(vfs.list(Path::new("/r")).unwrap(), ["index"]);
}

#[test]
fn growing_keeps_what_was_verified() {
    let vfs = memory();
    let mut index = create(&vfs);
    for number in 0..3000 {
        add(&mut index, &vfs, number);
        if number % 2 == 0 {
            let found = index.find(index.fingerprint(&hash(number)), None).unwrap().unwrap();
            index.note_verified(found);
        }
    }
    let index = index.grown(&vfs, 3000).unwrap().unwrap();
    for number in 0..3000 {
        let found = index.find(index.fingerprint(&hash(number)), None).unwrap().unwrap();
        assert_eq!(index.is_verified(found), number % 2 == 0, "{number}");
        index.replace(found.slot, place(9999));
        assert!(!index.is_verified(found), "another record");
        index.note_verified(found);
        assert!(!index.is_verified(found), "a late report about the old record");
    }
}

#[test]
fn forgets_what_came_after_a_position() {
    let vfs = memory();
    let mut index = create(&vfs);
    (0..2000).for_each(|number| add(&mut index, &vfs, number));
    let index = Index::open(&vfs, path()).unwrap().unwrap();
    index.forget_from(place(1500).position(), &HashSet::new()).unwrap();
    assert_eq!(index.live(), 1500);
    for number in 0..2000 {
        let expected = (number < 1500).then(|| place(number));
        assert_eq!(lookup(&index, &hash(number)), expected, "{number}");
    }
}

#[test]
fn no_damaged_header_is_trusted() {
    let vfs = memory();
    drop(create(&vfs));
    for word in [0, 1, 2, 3, 4, 8, 9, 10] {
        let index = Index::open(&vfs, path()).unwrap().unwrap();
        index.map.words()[word].fetch_xor(1 << 17, Ordering::Relaxed);
        assert!(Index::open(&vfs, path()).unwrap().is_none(), "word {word}");
        index.map.words()[word].fetch_xor(1 << 17, Ordering::Relaxed);
    }
    for len in [0, 1, 4095, 4096, 8192] {
        let other = Path::new("/r/other");
        vfs.open(other, Create::IfMissing).unwrap().set_len(len).unwrap();
        assert!(Index::open(&vfs, other).unwrap().is_none(), "{len}");
        vfs.remove(other).unwrap();
    }
}

#[test]
fn a_damaged_page_is_noticed_when_it_is_touched() {
    let vfs = memory();
    let mut index = create(&vfs);
    (0..1000).for_each(|number| add(&mut index, &vfs, number));
    drop(index);
    for at in [512, 1021, 1022, 3000] {
        let index = Index::open(&vfs, path()).unwrap().unwrap();
        index.map.words()[at].fetch_xor(4, Ordering::Relaxed);
        let look = |number| index.find(index.fingerprint(&hash(number)), None);
        assert!((0..1000).any(|number| look(number) == Err(Garbled)), "word {at}");
        assert_eq!(index.forget_from(Position::START, &HashSet::new()), Err(Garbled), "word {at}");
        index.map.words()[at].fetch_xor(4, Ordering::Relaxed);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn behaves_like_a_map(steps in prop::collection::vec((0..3_u8, 0..200_u64), 1..2000)) {
        let vfs = memory();
        let mut index = create(&vfs);
        let mut model = HashMap::new();
        for (at, (kind, number)) in steps.into_iter().enumerate() {
            let found = index.find(index.fingerprint(&hash(number)), None).unwrap();
            prop_assert_eq!(found.map(|found| found.place), model.get(&number).copied());
            let new = place(at as u64);
            match (kind, found) {
                (0, Some(found)) => {
                    index.remove(found.slot);
                    model.remove(&number);
                }
                (1, Some(found)) => {
                    index.replace(found.slot, new);
                    model.insert(number, new);
                }
                (_, None) => {
                    index.insert(index.fingerprint(&hash(number)), new).unwrap();
                    model.insert(number, new);
                }
                _ => index = index.grown(&vfs, 1).unwrap().unwrap(),
            }
            prop_assert_eq!(index.live(), model.len() as u64);
        }
        // Every page's check still holds.
        let index = Index::open(&vfs, path()).unwrap().unwrap();
        prop_assert_eq!(index.forget_from(Position::new(u32::MAX, 0), &HashSet::new()), Ok(()));
        prop_assert_eq!(index.live(), model.len() as u64);
    }
}
