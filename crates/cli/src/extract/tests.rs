//! Streams as ours are, and as an attacker's would be.

use super::{ExtractError, extract};
use std::{fs, path::Path};
use tempfile::TempDir;

enum Entry<'a> {
    File(&'a str, &'a [u8]),
    Directory(&'a str),
    Symlink(&'a str, &'a str),
    Hard(&'a str, &'a str),
}

fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for entry in entries {
        let mut header = tar::Header::new_gnu();
        let (name, kind, link, content): (_, _, _, &[u8]) = match *entry {
            Entry::File(name, content) => (name, tar::EntryType::Regular, "", content),
            Entry::Directory(name) => (name, tar::EntryType::Directory, "", b""),
            Entry::Symlink(name, target) => (name, tar::EntryType::Symlink, target, b""),
            Entry::Hard(name, target) => (name, tar::EntryType::Link, target, b""),
        };
        let old = header.as_old_mut();
        old.name[..name.len()].copy_from_slice(name.as_bytes());
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        header.set_entry_type(kind);
        header.set_mode(0o644);
        header.set_size(content.len() as u64);
        header.set_cksum();
        builder.append(&header, content).unwrap();
    }
    builder.into_inner().unwrap()
}

fn unpack(entries: &[Entry<'_>], target: &Path) -> Result<(), ExtractError> {
    extract(&archive(entries)[..], target)
}

#[test]
fn unpacks_trees_and_lone_files() {
    let home = TempDir::new().unwrap();
    let target = home.path().join("out");
    let tree = [
        Entry::Directory("root/"),
        Entry::File("root/a", b"1"),
        Entry::Directory("root/d/"),
        Entry::File("root/d/b", b"22"),
        Entry::Symlink("root/l", "../anywhere"),
    ];
    for round in 0..2 {
        unpack(&tree, &target).unwrap();
        assert_eq!(fs::read(target.join("d/b")).unwrap(), b"22", "{round}");
        assert_eq!(fs::read_link(target.join("l")).unwrap(), Path::new("../anywhere"));
    }
    unpack(&[Entry::File("Qm", b"x")], &home.path().join("file")).unwrap();
    assert_eq!(fs::read(home.path().join("file")).unwrap(), b"x");
    unpack(&[Entry::File("Qm", b"y")], &target).unwrap();
    assert_eq!(fs::read(target.join("Qm")).unwrap(), b"y", "into a directory, by its own name");
}

#[test]
fn nothing_leaves_the_target() {
    let rows: &[(&str, &[Entry<'_>])] = &[
        ("up", &[Entry::Directory("r"), Entry::File("r/../../evil", b"x")]),
        ("absolute", &[Entry::Directory("r"), Entry::File("/evil", b"x")]),
        ("dot", &[Entry::Directory("r"), Entry::File("r/./evil", b"x")]),
        ("two roots", &[Entry::Directory(".."), Entry::File("../evil", b"x")]),
        (
            "through a link",
            &[Entry::Directory("r"), Entry::Symlink("r/l", ".."), Entry::File("r/l/evil", b"x")],
        ),
        (
            "directory over a link",
            &[
                Entry::Directory("r"),
                Entry::Symlink("r/l", ".."),
                Entry::Directory("r/l"),
                Entry::File("r/l/evil", b"x"),
            ],
        ),
        ("hard link", &[Entry::Directory("r"), Entry::Hard("r/h", "/etc/passwd")]),
        ("below a file", &[Entry::File("r", b""), Entry::File("r/evil", b"x")]),
    ];
    for (name, entries) in rows {
        let home = TempDir::new().unwrap();
        let result = unpack(entries, &home.path().join("out"));
        assert!(result.is_err(), "{name}");
        assert!(!home.path().join("evil").exists(), "{name}");
    }
}

#[test]
fn links_that_were_there_are_replaced_and_not_followed() {
    let home = TempDir::new().unwrap();
    let outside = home.path().join("outside");
    fs::write(&outside, b"safe").unwrap();
    let target = home.path().join("out");
    fs::create_dir(&target).unwrap();
    std::os::unix::fs::symlink(&outside, target.join("a")).unwrap();
    unpack(&[Entry::Directory("r"), Entry::File("r/a", b"new")], &target).unwrap();
    assert_eq!(fs::read(&outside).unwrap(), b"safe");
    assert_eq!(fs::read(target.join("a")).unwrap(), b"new");
}

#[test]
fn a_broken_stream_leaves_no_broken_file() {
    let home = TempDir::new().unwrap();
    let target = home.path().join("out");
    let bytes = archive(&[Entry::Directory("r"), Entry::File("r/a", &[7; 5000])]);
    assert!(extract(&bytes[..3000], &target).is_err());
    assert!(!target.join("a").exists());
}

#[test]
fn modes_and_times_come_back() {
    use std::os::unix::fs::MetadataExt as _;

    /// Name, kind, mode, seconds and the time that stands before the header.
    type Row<'a> = (&'a str, tar::EntryType, u32, u64, Option<&'a [u8]>);

    let (directory, file) = (tar::EntryType::Directory, tar::EntryType::Regular);
    let rows: &[Row<'_>] = &[
        ("r", directory, 0o1710, 11, None),
        ("r/shut", directory, 0o500, 22, Some(b"22.000000005")),
        ("r/shut/below", directory, 0o755, 0, None),
        ("r/shut/below/f", file, 0o6640, 44, None),
        ("r/shut/g", file, 0o644, 0, Some(b"-0.25")),
        ("r/link", tar::EntryType::Symlink, 0o777, 66, None),
        ("r/zero", file, 0o600, 7, Some(b"0")),
    ];
    let mut builder = tar::Builder::new(Vec::new());
    for (name, kind, mode, seconds, time) in rows {
        if let Some(time) = time {
            builder.append_pax_extensions([("mtime", *time)]).unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_path(name).unwrap();
        header.set_entry_type(*kind);
        header.set_mode(*mode);
        header.set_mtime(*seconds);
        header.set_size(0);
        if kind.is_symlink() {
            header.set_link_name("nowhere").unwrap();
        }
        header.set_cksum();
        builder.append(&header, std::io::empty()).unwrap();
    }
    let home = TempDir::new().unwrap();
    let target = home.path().join("out");
    extract(&builder.into_inner().unwrap()[..], &target).unwrap();
    let told = |name: &str| {
        let path = if name == "r" { target.clone() } else { target.join(&name[2..]) };
        let metadata = fs::symlink_metadata(path).unwrap();
        (metadata.mode() & 0o7777, metadata.mtime(), metadata.mtime_nsec())
    };
    assert_eq!(told("r"), (0o710, 11, 0), "no bits beyond the nine");
    assert_eq!(told("r/shut"), (0o500, 22, 5));
    assert!(told("r/shut/below").1 > 1_000_000_000, "no time of its own");
    assert_eq!(told("r/shut/below/f"), (0o640, 44, 0));
    assert_eq!(told("r/shut/g").1, -1);
    assert_eq!(told("r/shut/g").2, 750_000_000);
    assert_eq!(told("r/link").1, 66);
    assert_eq!(told("r/zero"), (0o600, 0, 0));
    fs::set_permissions(target.join("shut"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .unwrap();
}
