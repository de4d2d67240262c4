//! One suite for every file system here: what the store relies on.

use super::{Create, MemoryVfs, RealVfs, Vfs, VfsExt as _};
use std::{
    io::{ErrorKind, IoSlice},
    path::Path,
    sync::atomic::Ordering,
};

fn for_each_vfs(check: impl Fn(&dyn Vfs, &Path)) {
    let dir = tempfile::tempdir().unwrap();
    check(&RealVfs, dir.path());
    let memory = MemoryVfs::default();
    memory.create_dir(Path::new("/m"), false).unwrap();
    check(&memory, Path::new("/m"));
}

#[test]
fn writes_and_reads_by_position() {
    for_each_vfs(|vfs, dir| {
        let file = vfs.open(&dir.join("a"), Create::New).unwrap();
        // More parts than one system call takes, some of them empty.
        let text: Vec<u8> = (0..3000_u32).map(|number| number as u8).collect();
        let parts: Vec<IoSlice<'_>> =
            text.chunks(1).flat_map(|part| [IoSlice::new(part), IoSlice::new(&[])]).collect();
        file.write_all_vectored_at(&parts, 5).unwrap();
        assert_eq!(file.len().unwrap(), 3005);
        assert_eq!(file.read_to_vec(0, 5).unwrap(), [0; 5]);
        assert_eq!(file.read_to_vec(5, 4000).unwrap(), text);
        let mut buffer = [0; 10];
        assert_eq!(file.read_at(&mut buffer, 3000).unwrap(), 5);
        assert_eq!(buffer[..5], text[2995..]);
        assert_eq!(file.read_at(&mut buffer, 9999).unwrap(), 0);
        assert!(file.read_to_vec(9999, 10).unwrap().is_empty());
        file.set_len(7).unwrap();
        file.sync_data().unwrap();
        file.start_sync(0, 7);
        assert_eq!(file.read_to_vec(5, 10).unwrap(), text[..2]);
        file.write_all_vectored_at(&[], 0).unwrap();
    });
}

#[test]
fn names_come_and_go() {
    for_each_vfs(|vfs, dir| {
        let (one, two) = (dir.join("one"), dir.join("two"));
        for create in [Create::Never, Create::ReadOnly] {
            assert_eq!(vfs.open(&one, create).unwrap_err().kind(), ErrorKind::NotFound);
        }
        vfs.open(&one, Create::IfMissing).unwrap().write_all_at(b"1", 0).unwrap();
        assert_eq!(vfs.open(&one, Create::New).unwrap_err().kind(), ErrorKind::AlreadyExists);
        vfs.open(&two, Create::PrivateIfMissing).unwrap().write_all_at(b"22", 0).unwrap();
        vfs.rename(&one, &two).unwrap();
        vfs.sync_dir(dir).unwrap();
        assert_eq!(vfs.list(dir).unwrap(), ["two"]);
        assert_eq!((vfs.len(&one).unwrap(), vfs.len(&two).unwrap()), (None, Some(1)));
        vfs.remove(&two).unwrap();
        vfs.remove(&two).unwrap();
        vfs.create_dir(&dir.join("x/y"), true).unwrap();
        vfs.create_dir(&dir.join("x/y"), true).unwrap();
        assert_eq!(vfs.list(dir).unwrap(), ["x"]);
        assert_eq!(vfs.list(&dir.join("z")).unwrap_err().kind(), ErrorKind::NotFound);
    });
}

#[test]
fn a_file_is_replaced_whole() {
    for_each_vfs(|vfs, dir| {
        let path = dir.join("config");
        assert_eq!(vfs.read_file(&path, 10).unwrap(), None);
        vfs.replace_file(&path, b"first try", true).unwrap();
        vfs.replace_file(&path, b"second", true).unwrap();
        assert_eq!(vfs.read_file(&path, 10).unwrap().unwrap(), b"second");
        assert_eq!(vfs.read_file(&path, 5).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert_eq!(vfs.list(dir).unwrap(), ["config"]);
    });
}

#[cfg(unix)]
#[test]
fn private_files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (file, folder) = (dir.path().join("key"), dir.path().join("keystore"));
    RealVfs.replace_file(&file, b"secret", true).unwrap();
    RealVfs.create_dir(&folder, true).unwrap();
    let mode = |path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(file), mode(folder)), (0o600, 0o700));
}

#[test]
fn one_lock_at_a_time() {
    for_each_vfs(|vfs, dir| {
        let open = || vfs.open(&dir.join("lock"), Create::IfMissing).unwrap();
        let first = open();
        assert!(first.try_lock().unwrap());
        assert!(!open().try_lock().unwrap());
        drop(first);
        assert!(open().try_lock().unwrap());
    });
}

#[test]
fn a_map_is_the_file() {
    for_each_vfs(|vfs, dir| {
        let file = vfs.open(&dir.join("index"), Create::New).unwrap();
        assert_eq!(file.map().unwrap_err().kind(), ErrorKind::InvalidInput);
        file.allocate(4096).unwrap();
        assert_eq!(file.read_to_vec(0, 9000).unwrap(), [0; 4096]);
        let map = file.map().unwrap();
        assert_eq!(map.words().len(), 512);
        map.words()[3].store(0x0102_0304, Ordering::Relaxed);
        map.sync().unwrap();
        assert_eq!(file.read_to_vec(24, 8).unwrap(), 0x0102_0304_u64.to_ne_bytes());
        file.write_all_at(&7_u64.to_ne_bytes(), 32).unwrap();
        assert_eq!(map.words()[4].load(Ordering::Relaxed), 7);
        let again = vfs.open(&dir.join("index"), Create::Never).unwrap().map().unwrap();
        assert_eq!(again.words()[3].load(Ordering::Relaxed), 0x0102_0304);
    });
}

#[test]
fn a_full_disk_takes_what_it_can() {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new("/m"), false).unwrap();
    let file = vfs.open(Path::new("/m/a"), Create::New).unwrap();
    vfs.set_room(4);
    assert_eq!(file.write_all_at(b"123456", 0).unwrap_err().kind(), ErrorKind::StorageFull);
    assert_eq!(file.len().unwrap(), 4);
    assert_eq!(file.allocate(100).unwrap_err().kind(), ErrorKind::StorageFull);
    vfs.set_room(u64::MAX);
    file.write_all_at(b"123456", 0).unwrap();
    vfs.set_syncs_fail(true);
    assert!(file.sync_data().is_err());
}

#[test]
fn holes_take_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("file");
    assert_eq!(RealVfs.disk_len(&path).unwrap(), None);
    let file = RealVfs.open(&path, Create::IfMissing).unwrap();
    file.write_all_at(&vec![1; 1 << 20], 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(RealVfs.disk_len(&path).unwrap(), Some(1 << 20));
    if file.punch(1 << 18, 1 << 19).unwrap() {
        assert_eq!(RealVfs.len(&path).unwrap(), Some(1 << 20));
        assert_eq!(RealVfs.disk_len(&path).unwrap(), Some(1 << 19));
    }
}
