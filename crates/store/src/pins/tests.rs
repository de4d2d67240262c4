//! Pins and values as their callers see them, over memory and over a real file.

use super::{PAGE_COUNT, Pin, PinError, PinKind, Pins};
use crate::meta::{Meta, MetaError};
use cairn_block::{Cid, Multihash, Version, codec};
use cairn_runtime::{Clock, Create, MemoryVfs, RealVfs, Vfs};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, SystemTime},
};

fn memory() -> Arc<dyn Vfs> {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new("/r"), true).unwrap();
    Arc::new(vfs)
}

fn open(vfs: &Arc<dyn Vfs>, dir: &Path) -> (Meta, Pins) {
    let meta = Meta::new(Arc::clone(vfs), dir.join("meta.redb"), None);
    (meta.clone(), Pins::new(meta, Clock::system()))
}

fn pin(number: u32, kind: PinKind) -> Pin {
    let cid =
        Cid::v1(codec::DAG_PB, Multihash::sha2_256(cairn_hash::sha256(&number.to_le_bytes())));
    Pin { cid, kind, name: format!("pin {number}"), expires: None }
}

#[test]
fn pins_survive_a_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let vfs: Arc<dyn Vfs> = Arc::new(RealVfs);
    let (_, pins) = open(&vfs, dir.path());
    let [one, mut two] = [pin(1, PinKind::Recursive), pin(2, PinKind::Direct)];
    assert!(pins.list(None).next().is_none(), "nothing yet");
    assert_eq!(pins.get(&one.cid).unwrap(), None);
    pins.add(&[one.clone(), two.clone()]).unwrap();
    two.kind = PinKind::Recursive;
    two.name = "renamed".to_owned();
    pins.add(std::slice::from_ref(&two)).unwrap();
    drop(pins);
    let (_, pins) = open(&vfs, dir.path());
    assert_eq!(
        pins.get_many(&[two.cid.clone(), one.cid.clone()]).unwrap(),
        [Some(two.clone()), Some(one.clone())]
    );
    assert_eq!(pins.count().unwrap(), 2);
    let absent = pin(3, PinKind::Direct).cid;
    assert_eq!(pins.remove(&[one.cid.clone(), absent, one.cid]).unwrap(), [true, false, false]);
    assert_eq!(pins.count().unwrap(), 1);
}

#[test]
fn both_versions_of_a_cid_are_one_pin_but_codecs_differ() {
    let (_, pins) = open(&memory(), Path::new("/r"));
    let v1 = pin(1, PinKind::Recursive);
    let v0 = Pin { cid: v1.cid.with_version(Version::V0).unwrap(), ..v1.clone() };
    let raw = Pin { cid: Cid::v1(codec::RAW, v1.cid.multihash().clone()), ..v1.clone() };
    pins.add(std::slice::from_ref(&v0)).unwrap();
    assert_eq!(pins.get(&v1.cid).unwrap(), Some(v0), "as it was given");
    assert_eq!(pins.get(&raw.cid).unwrap(), None);
    pins.add(&[v1.clone(), raw]).unwrap();
    assert_eq!(pins.get(&v1.cid).unwrap(), Some(v1));
    assert_eq!(pins.count().unwrap(), 2);
}

#[test]
fn lists_every_pin_once_in_pages() {
    let (_, pins) = open(&memory(), Path::new("/r"));
    let count = PAGE_COUNT * 2 + 10;
    let kind = |number| if number % 3 == 0 { PinKind::Direct } else { PinKind::Recursive };
    let all: Vec<Pin> = (0..count as u32).map(|number| pin(number, kind(number))).collect();
    pins.add(&all).unwrap();
    for (filter, expected) in [
        (None, count),
        (Some(PinKind::Direct), count.div_ceil(3)),
        (Some(PinKind::Recursive), count - count.div_ceil(3)),
    ] {
        let pages: Vec<Vec<Pin>> = pins.list(filter).map(Result::unwrap).collect();
        assert!(pages.iter().all(|page| (1..=PAGE_COUNT).contains(&page.len())));
        let mut listed = pages.concat();
        let matches = |pin: &Pin| filter.is_none_or(|kind| pin.kind == kind);
        let mut wanted: Vec<Pin> = all.iter().filter(|pin| matches(pin)).cloned().collect();
        listed.sort_by(|one, two| one.cid.cmp(&two.cid));
        wanted.sort_by(|one, two| one.cid.cmp(&two.cid));
        assert_eq!(listed.len(), expected);
        assert_eq!(listed, wanted);
    }
}

#[test]
fn names_have_a_limit() {
    let (_, pins) = open(&memory(), Path::new("/r"));
    let named = |len| Pin { name: "n".repeat(len), ..pin(1, PinKind::Direct) };
    pins.add(&[named(255)]).unwrap();
    let error = pins.add(&[pin(2, PinKind::Direct), named(256)]).unwrap_err();
    assert!(matches!(error, PinError::NameTooLong { len: 256 }));
    assert_eq!(pins.count().unwrap(), 1, "all or nothing");
}

#[test]
fn concurrent_callers_all_commit() {
    let (_, pins) = open(&memory(), Path::new("/r"));
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let pins = pins.clone();
            scope.spawn(move || {
                for number in 0..25 {
                    pins.add(&[pin(thread * 100 + number, PinKind::Direct)]).unwrap();
                }
            });
        }
    });
    assert_eq!(pins.count().unwrap(), 200);
}

#[test]
fn values_are_kept_beside_the_pins() {
    let vfs = memory();
    let (meta, pins) = open(&vfs, Path::new("/r"));
    assert_eq!(meta.get("mfs").unwrap(), None);
    meta.set(vec![("mfs".into(), Some(b"root".to_vec())), ("seq".into(), Some(vec![7]))]).unwrap();
    meta.set(vec![("seq".into(), None)]).unwrap();
    drop((meta, pins));
    let (meta, _) = open(&vfs, Path::new("/r"));
    assert_eq!(meta.get("mfs").unwrap().as_deref(), Some(&b"root"[..]));
    assert_eq!(meta.get("seq").unwrap(), None);
}

#[test]
fn a_damaged_database_is_named_and_left_alone() {
    let vfs = memory();
    let path = Path::new("/r/meta.redb");
    vfs.open(path, Create::New).unwrap().write_all_at(&[7; 8192], 0).unwrap();
    let (_, pins) = open(&vfs, Path::new("/r"));
    let error = pins.add(&[pin(1, PinKind::Direct)]).unwrap_err();
    assert!(
        matches!(&error, PinError::Meta(MetaError::Damaged { path: named, .. }) if named == path),
        "{error}"
    );
    assert!(matches!(pins.list(None).next(), Some(Err(_))));
    let bytes = vfs.open(path, Create::ReadOnly).unwrap().read_to_vec(0, 9000).unwrap();
    assert_eq!(bytes, [7; 8192]);
}

#[test]
fn a_full_disk_is_an_error_and_then_over() {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new("/r"), true).unwrap();
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let (_, pins) = open(&shared, Path::new("/r"));
    pins.add(&[pin(1, PinKind::Direct)]).unwrap();
    let many: Vec<Pin> = (10..30_000).map(|number| pin(number, PinKind::Direct)).collect();
    vfs.set_room(1000);
    assert!(pins.add(&many).is_err());
    vfs.set_room(u64::MAX);
    drop(pins);
    let (_, pins) = open(&shared, Path::new("/r"));
    assert_eq!(pins.count().unwrap(), 1);
    pins.add(&many).unwrap();
    assert_eq!(pins.count().unwrap(), 29_991);
}

/// A full disk fails the commit that meets it, and nothing else.
#[test]
fn pins_go_on_when_the_disk_has_room_again() {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new("/r"), true).unwrap();
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let (meta, pins) = open(&shared, Path::new("/r"));
    let kept: Vec<Pin> = (0..100).map(|number| pin(number, PinKind::Direct)).collect();
    pins.add(&kept).unwrap();
    vfs.set_room(0);
    let large = vec![("large".to_owned(), Some(vec![7; 4 << 20]))];
    assert!(matches!(meta.set(large.clone()), Err(MetaError::Io { .. })));
    assert_eq!(pins.count().unwrap(), 100, "reading goes on");
    vfs.set_room(u64::MAX);
    pins.add(&[pin(100, PinKind::Recursive)]).unwrap();
    meta.set(large).unwrap();
    assert_eq!(pins.count().unwrap(), 101);
}

/// A database that a crash left half made beside its place is made again.
#[test]
fn a_database_has_its_name_once_it_is_whole() {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new("/r"), true).unwrap();
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let half = shared.open(Path::new("/r/meta.new"), Create::New).unwrap();
    half.write_all_at(&[0; 5000], 0).unwrap();
    let (_, pins) = open(&shared, Path::new("/r"));
    pins.add(&[pin(1, PinKind::Direct)]).unwrap();
    assert!(!vfs.list(Path::new("/r")).unwrap().contains(&"meta.new".to_owned()));
    let (_, pins) = open(&(Arc::new(vfs.snapshot()) as Arc<dyn Vfs>), Path::new("/r"));
    assert_eq!(pins.count().unwrap(), 1);
}

/// Whatever part of a new database was written when the process ended, the next one makes it.
#[test]
fn a_database_cut_off_while_it_is_made_is_made_again() {
    let mut cut_off = 0;
    for room in (0..4_000_000).step_by(4096) {
        let vfs = MemoryVfs::default();
        vfs.create_dir(Path::new("/r"), true).unwrap();
        vfs.set_room(room);
        let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
        let first = open(&shared, Path::new("/r")).1.add(&[pin(1, PinKind::Direct)]);
        let later = vfs.snapshot();
        later.set_room(u64::MAX);
        let later: Arc<dyn Vfs> = Arc::new(later);
        let (_, pins) = open(&later, Path::new("/r"));
        pins.add(&[pin(2, PinKind::Direct)]).unwrap();
        assert_eq!(pins.count().unwrap(), 1 + u64::from(first.is_ok()), "room for {room} bytes");
        if first.is_ok() {
            break;
        }
        cut_off += 1;
    }
    assert!(cut_off > 1, "{cut_off}");
}

#[test]
fn pins_that_expire_are_gone_in_time() {
    let vfs = memory();
    let meta = Meta::new(Arc::clone(&vfs), Path::new("/r/meta.redb").to_owned(), None);
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
    let pins = Pins::new(meta, clock.clone());
    let ends = |number, secs| Pin {
        expires: Some(clock.now() + Duration::from_secs(secs)),
        ..pin(number, PinKind::Recursive)
    };
    let [short, long, longer] = [ends(1, 10), ends(2, 20), ends(3, 10)];
    let forever = pin(4, PinKind::Direct);
    let kept = ends(5, 10);
    let all = [&short, &long, &longer, &forever, &kept].map(Pin::clone);
    pins.add(&all).unwrap();
    assert_eq!(pins.remove_expired().unwrap(), 0);
    assert_eq!(pins.get(&short.cid).unwrap(), Some(short.clone()), "the time comes back");
    // More time for one, all of it for another.
    let longer = Pin { expires: Some(clock.now() + Duration::from_secs(30)), ..longer };
    pins.add(&[longer.clone(), Pin { expires: None, ..kept.clone() }]).unwrap();

    clock.advance(Duration::from_secs(10));
    let listed = |pins: &Pins| -> usize { pins.list(None).map(|page| page.unwrap().len()).sum() };
    assert_eq!(pins.get(&short.cid).unwrap(), None);
    assert_eq!((listed(&pins), pins.count().unwrap()), (4, 5));
    assert_eq!(pins.remove_expired().unwrap(), 1);
    assert_eq!(pins.count().unwrap(), 4);
    assert!(pins.get(&kept.cid).unwrap().is_some() && pins.get(&longer.cid).unwrap().is_some());
    clock.advance(Duration::from_secs(1_000));
    assert_eq!(pins.remove_expired().unwrap(), 2);
    assert_eq!(pins.remove_expired().unwrap(), 0);
    assert_eq!(listed(&pins), 2, "{:?} and {:?}", forever.cid, kept.cid);
}

#[test]
fn an_update_is_one_commit() {
    let (_, pins) = open(&memory(), Path::new("/r"));
    let [old, new] = [pin(1, PinKind::Recursive), pin(2, PinKind::Recursive)];
    pins.add(std::slice::from_ref(&old)).unwrap();
    let removed = pins.update(std::slice::from_ref(&new), std::slice::from_ref(&old.cid)).unwrap();
    assert_eq!(removed, [true]);
    assert_eq!(pins.get_many(&[old.cid, new.cid.clone()]).unwrap(), [None, Some(new)]);
}

#[test]
fn an_update_may_rest_on_pins_that_last() {
    let meta = Meta::new(memory(), Path::new("/r/meta.redb").to_owned(), None);
    let clock = Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_000));
    let pins = Pins::new(meta, clock.clone());
    let ends = Some(clock.now() + Duration::from_secs(10));
    let [old, direct] = [pin(1, PinKind::Recursive), pin(2, PinKind::Direct)];
    let old = Pin { expires: ends, ..old };
    let renewed = Pin { name: "renewed".to_owned(), expires: None, ..old.clone() };
    let (cid, new) = (std::slice::from_ref(&old.cid), std::slice::from_ref(&renewed));
    assert_eq!(pins.update_while(cid, new, &[]).unwrap(), None, "not pinned");
    pins.add(&[old.clone(), direct.clone()]).unwrap();
    assert_eq!(pins.update_while(&[direct.cid], new, &[]).unwrap(), None, "pinned alone");
    assert_eq!(pins.get(&old.cid).unwrap(), Some(old.clone()));
    clock.advance(Duration::from_secs(10));
    assert_eq!(pins.update_while(cid, new, &[]).unwrap(), None, "over");
    assert_eq!(pins.get(&old.cid).unwrap(), None);
    pins.add(std::slice::from_ref(&Pin { expires: None, ..old.clone() })).unwrap();
    assert_eq!(pins.update_while(cid, new, &[]).unwrap(), Some(vec![]));
    assert_eq!(pins.get(&old.cid).unwrap(), Some(renewed));
}
