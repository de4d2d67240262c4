//! The walk over real directories.

use super::{LocalWalkOptions, local_entries};
use crate::add::{AddEntryError, AddKind};
use std::{fs, io::Read as _, path::Path};
use tempfile::TempDir;

/// `b/`, `b/.hidden`, `b/two`, `b/link -> two`, `b/sub/`, `b/sub/deep`, `a`.
fn tree() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path();
    fs::create_dir_all(root.join("b/sub")).unwrap();
    for (path, text) in [("a", "one"), ("b/two", "2"), ("b/.hidden", "h"), ("b/sub/deep", "d")] {
        fs::write(root.join(path), text).unwrap();
    }
    std::os::unix::fs::symlink("two", root.join("b/link")).unwrap();
    dir
}

fn walk(root: &Path, names: &[&str], options: &LocalWalkOptions) -> Vec<String> {
    let paths = names.iter().map(|name| root.join(name)).collect();
    let show = |entry: Result<crate::AddEntry, AddEntryError>| match entry {
        Err(error) => format!("error: {error}"),
        Ok(entry) => match entry.kind {
            AddKind::Directory => format!("{}/", entry.path),
            AddKind::Symlink(target) => format!("{} -> {target}", entry.path),
            AddKind::File(mut read) => {
                let mut text = String::new();
                read.read_to_string(&mut text).unwrap();
                assert_eq!(entry.len, Some(text.len() as u64));
                format!("{}={text}", entry.path)
            }
        },
    };
    local_entries(paths, options.clone()).map(show).collect()
}

#[test]
fn walks_in_byte_order_and_skips_hidden_names() {
    let dir = tree();
    let options = LocalWalkOptions { recursive: true, ..LocalWalkOptions::default() };
    let all = walk(dir.path(), &["b", "a"], &options);
    assert_eq!(all, ["b/", "b/link -> two", "b/sub/", "b/sub/deep=d", "b/two=2", "a=one"]);
    let hidden = LocalWalkOptions { hidden: true, ..options };
    assert!(walk(dir.path(), &["b"], &hidden).contains(&"b/.hidden=h".to_owned()));
}

#[test]
fn directories_need_leave() {
    let dir = tree();
    let lines = walk(dir.path(), &["b", "a"], &LocalWalkOptions::default());
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert!(lines[0].contains("is a directory, use the '-r' flag"), "{lines:?}");
}

#[test]
fn symlinks_are_followed_on_demand() {
    let dir = tree();
    let options = LocalWalkOptions::default();
    assert_eq!(walk(dir.path(), &["b/link"], &options), ["link -> two"]);
    let args = LocalWalkOptions { dereference_args: true, ..options };
    assert_eq!(walk(dir.path(), &["b/link"], &args), ["link=2"]);
    let mut all = LocalWalkOptions { dereference_symlinks: true, ..LocalWalkOptions::default() };
    all.recursive = true;
    assert!(walk(dir.path(), &["b"], &all).contains(&"b/link=2".to_owned()));
}

#[test]
fn ignore_rules_prune() {
    let dir = tree();
    fs::write(dir.path().join("rules"), "# comment\ntwo\n").unwrap();
    let options = LocalWalkOptions {
        recursive: true,
        ignore: vec!["sub/".to_owned()],
        ignore_rules_path: Some(dir.path().join("rules")),
        ..LocalWalkOptions::default()
    };
    assert_eq!(walk(dir.path(), &["b"], &options), ["b/", "b/link -> two"]);
}

#[test]
fn what_cannot_be_added_is_named_and_ends_the_walk() {
    use std::os::unix::{ffi::OsStrExt as _, net::UnixListener};
    let dir = tree();
    let options = LocalWalkOptions { recursive: true, ..LocalWalkOptions::default() };
    let socket = UnixListener::bind(dir.path().join("b/sub/a-socket")).unwrap();
    let lines = walk(dir.path(), &["b", "a"], &options);
    assert!(lines.last().unwrap().contains("a-socket: socket"), "{lines:?}");
    drop(socket);
    fs::remove_file(dir.path().join("b/sub/a-socket")).unwrap();

    let lines = walk(dir.path(), &["missing", "a"], &options);
    assert_eq!(lines.len(), 1);
    assert!(lines[0].contains("missing"), "{lines:?}");

    let name = std::ffi::OsStr::from_bytes(b"b/bad\xff");
    fs::write(dir.path().join(name), "x").unwrap();
    assert!(walk(dir.path(), &["b"], &options).last().unwrap().contains("not valid UTF-8"));
}

#[test]
fn modes_and_times_are_kept_on_demand() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tree();
    let path = dir.path().join("a");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000_000, 5);
    file.set_modified(time).unwrap();
    let options = LocalWalkOptions {
        preserve_mode: true,
        preserve_mtime: true,
        ..LocalWalkOptions::default()
    };
    let entry = local_entries(vec![path], options).next().unwrap().unwrap();
    assert_eq!(entry.mode, Some(0o640));
    assert_eq!(entry.mtime, Some(cairn_unixfs::Mtime { secs: 1_000_000_000, nanos: 5 }));
}

#[test]
fn the_current_directory_has_its_own_name() {
    let dir = tree();
    let options = LocalWalkOptions { recursive: true, ..LocalWalkOptions::default() };
    let lines = walk(dir.path(), &["b/.."], &options);
    let name = dir.path().file_name().unwrap().to_str().unwrap();
    assert!(lines.contains(&format!("{name}/a=one")) || lines.len() == 1, "{lines:?}");
}
