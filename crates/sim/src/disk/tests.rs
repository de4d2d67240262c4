//! The simulated disk by itself: it loses what it may lose, and nothing else.

use super::{Contents, Fault, FaultKind, PAGE_LEN, PowerCuts, SimDisk};
use cairn_runtime::{Create, VfsExt as _};
use std::{collections::BTreeSet, io::ErrorKind, path::Path, sync::atomic::Ordering};

fn root() -> &'static Path {
    Path::new("/d")
}

fn disk() -> SimDisk {
    SimDisk::new(root(), 1)
}

/// Every distinct state of a file over many images at the end of what happened.
fn states(disk: &SimDisk, path: &Path) -> BTreeSet<Option<Vec<u8>>> {
    let mut cuts = PowerCuts::new(disk, 7);
    cuts.walk_to(cuts.len());
    let images = (0..600).map(|seed| cuts.image(seed as usize, seed));
    images.map(|image| image.contents(path).map(|contents| contents.to_vec())).collect()
}

#[test]
fn contents_read_as_written() {
    let mut contents = Contents::default();
    let mut plain = vec![0; 3 * PAGE_LEN];
    contents.write(b"abc", PAGE_LEN as u64 - 1);
    plain[PAGE_LEN - 1..PAGE_LEN + 2].copy_from_slice(b"abc");
    contents.set_len(plain.len() as u64);
    assert_eq!(contents.to_vec(), plain);
    contents.set_len(PAGE_LEN as u64 + 1);
    contents.set_len(plain.len() as u64);
    plain[PAGE_LEN + 1] = 0;
    assert_eq!(contents.to_vec(), plain);
    let mut four = [9; 4];
    assert_eq!(contents.read(&mut four, plain.len() as u64 - 2), 2);
    assert_eq!(four, [0, 0, 9, 9]);
}

#[test]
fn what_was_synced_is_there_and_the_rest_may_be() {
    let (disk, path) = (disk(), root().join("a"));
    let vfs = disk.process();
    let file = vfs.open(&path, Create::New).unwrap();
    file.write_all_at(b"one", 0).unwrap();
    let unsynced = states(&disk, &path);
    assert!(unsynced.contains(&None), "the name may be lost");
    assert!(unsynced.contains(&Some(vec![])) && unsynced.contains(&Some(b"one".to_vec())));
    assert!(unsynced.contains(&Some(vec![0; 3])), "a length without its data");
    file.sync_data().unwrap();
    vfs.sync_dir(root()).unwrap();
    assert_eq!(states(&disk, &path), BTreeSet::from([Some(b"one".to_vec())]));
    file.write_all_at(b"two", 3).unwrap();
    for state in states(&disk, &path).into_iter().flatten() {
        assert!(state.starts_with(b"one"), "{state:?}");
    }
}

#[test]
fn a_write_over_two_sectors_may_be_torn() {
    let (disk, path) = (disk(), root().join("a"));
    let vfs = disk.process();
    let file = vfs.open(&path, Create::New).unwrap();
    file.write_all_at(&[1; 1024], 0).unwrap();
    file.sync_data().unwrap();
    vfs.sync_dir(root()).unwrap();
    file.write_all_at(&[2; 1024], 0).unwrap();
    let states = states(&disk, &path);
    let mixed = [[1; 512], [2; 512]].concat();
    assert!(states.contains(&Some(mixed)) && states.contains(&Some(vec![1; 1024])));
    for state in states.into_iter().flatten() {
        for sector in state.chunks(512) {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "sectors are whole");
        }
    }
}

#[test]
fn a_replaced_file_is_the_old_or_the_new_one() {
    let (disk, path) = (disk(), root().join("config"));
    let vfs = disk.process();
    vfs.replace_file(&path, b"old", false).unwrap();
    assert_eq!(states(&disk, &path), BTreeSet::from([Some(b"old".to_vec())]));
    let fresh = root().join("fresh");
    vfs.open(&fresh, Create::New).unwrap().write_all_at(b"new", 0).unwrap();
    vfs.rename(&fresh, &path).unwrap();
    let unsynced = states(&disk, &path);
    assert!(unsynced.contains(&Some(vec![])), "renamed without a sync, it may be empty");
    assert!(unsynced.contains(&Some(b"old".to_vec())));
    assert!(!unsynced.contains(&None));
}

#[test]
fn a_map_comes_back_as_any_mix_of_pages() {
    let (disk, path) = (disk(), root().join("index"));
    let vfs = disk.process();
    let file = vfs.open(&path, Create::New).unwrap();
    file.allocate(2 * PAGE_LEN as u64).unwrap();
    let map = file.map().unwrap();
    map.words()[0].store(1, Ordering::Relaxed);
    file.sync_data().unwrap();
    vfs.sync_dir(root()).unwrap();
    map.words()[0].store(2, Ordering::Relaxed);
    map.words()[PAGE_LEN / 8].store(2, Ordering::Relaxed);
    let words = |state: Option<Vec<u8>>| {
        let state = state.unwrap();
        (state[0], state[PAGE_LEN])
    };
    let seen: BTreeSet<(u8, u8)> = states(&disk, &path).into_iter().map(words).collect();
    assert_eq!(seen, BTreeSet::from([(1, 0), (1, 2), (2, 0), (2, 2)]));
}

#[test]
fn a_failed_sync_may_lose_pages_for_good() {
    let (disk, path) = (disk(), root().join("a"));
    let vfs = disk.process();
    let file = vfs.open(&path, Create::New).unwrap();
    file.sync_data().unwrap();
    vfs.sync_dir(root()).unwrap();
    file.write_all_at(&[1; 8], 0).unwrap();
    disk.set_fault(Some(Fault { kind: FaultKind::Broken, nth: 1, for_ever: false }));
    assert!(file.sync_data().is_err() && disk.fault_hit());
    file.write_all_at(&[2; 8], PAGE_LEN as u64).unwrap();
    file.sync_data().unwrap();
    let first_page = |seed| {
        let mut cuts = PowerCuts::new(&disk, seed);
        cuts.walk_to(cuts.len());
        let bytes = cuts.image(0, seed).contents(&path).unwrap().to_vec();
        assert_eq!(bytes[PAGE_LEN..], [2; 8], "synced after the failure");
        bytes[0]
    };
    let seen: BTreeSet<u8> = (0..50).map(first_page).collect();
    assert_eq!(seen, BTreeSet::from([0, 1]));
}

#[test]
fn calls_fail_once_or_for_ever() {
    for (for_ever, expected) in [(false, [true, false, true]), (true, [true, false, false])] {
        let disk = disk();
        let file = disk.process().open(&root().join("a"), Create::New).unwrap();
        disk.set_fault(Some(Fault { kind: FaultKind::Full, nth: 2, for_ever }));
        let write = |number: u64| file.write_all_at(b"1234", number * 4);
        let answers = [write(0), write(1), write(2)];
        assert_eq!(answers.each_ref().map(Result::is_ok), expected);
        assert_eq!(answers[1].as_ref().unwrap_err().kind(), ErrorKind::StorageFull);
        assert_eq!(file.read_to_vec(4, 2).unwrap(), b"12", "half of it is written");
        file.sync_data().unwrap();
        disk.set_fault(None);
        write(3).unwrap();
    }
}

#[test]
fn a_killed_program_does_nothing_more() {
    let (disk, path) = (disk(), root().join("lock"));
    let vfs = disk.process();
    let file = vfs.open(&path, Create::New).unwrap();
    file.write_all_at(b"kept", 0).unwrap();
    assert!(file.try_lock().unwrap());
    disk.kill();
    assert!(file.write_all_at(b"late", 0).is_err() && vfs.list(root()).is_err());
    let again = disk.process().open(&path, Create::Never).unwrap();
    assert!(again.try_lock().unwrap(), "its locks are gone");
    drop(file);
    assert!(!disk.process().open(&path, Create::Never).unwrap().try_lock().unwrap());
    assert_eq!(again.read_to_vec(0, 9).unwrap(), b"kept");
}
