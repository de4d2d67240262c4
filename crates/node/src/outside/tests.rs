//! Files that are not what they seem.

use super::Outside;
use crate::config::Experimental;
use cairn_runtime::Tasks;
use cairn_store::{Location, Reference, SourceError, Sources as _};
use std::{fs, sync::Arc};
use tempfile::TempDir;

fn outside(folder: &TempDir, filestore: bool) -> Arc<Outside> {
    let enabled = Experimental { filestore, urlstore: false };
    let repo = folder.path().join("root/repo");
    fs::create_dir_all(&repo).unwrap();
    Arc::new(Outside::new(&repo, enabled, Tasks::default()).unwrap())
}

fn reference(path: &str, offset: u64) -> Reference {
    let location = Location::file(path).unwrap();
    Reference { location, offset, source_len: None, source_mtime: None }
}

#[tokio::test]
async fn files_are_read_below_the_root_and_nowhere_else() {
    let folder = tempfile::tempdir().unwrap();
    let outside = outside(&folder, true);
    let root = folder.path().join("root");
    fs::create_dir(root.join("sub")).unwrap();
    fs::write(root.join("sub/file"), b"0123456789").unwrap();
    fs::write(folder.path().join("secret"), b"0123456789").unwrap();
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path().join("secret"), root.join("out")).unwrap();
        std::os::unix::fs::symlink(folder.path(), root.join("up")).unwrap();
        std::os::unix::fs::symlink("sub/file", root.join("in")).unwrap();
    }
    assert_eq!(&outside.read(&reference("sub/file", 3), 4).unwrap()[..], b"3456");
    #[cfg(unix)]
    assert_eq!(&outside.read(&reference("in", 0), 1).unwrap()[..], b"0");
    assert!(matches!(outside.read(&reference("sub/file", 7), 4), Err(SourceError::Changed)));
    assert!(matches!(outside.read(&reference("sub/gone", 0), 1), Err(SourceError::Missing)));
    assert!(matches!(outside.read(&reference("sub/file/x", 0), 1), Err(SourceError::Missing)));
    for path in ["out", "up/secret", "sub"] {
        let refused = outside.read(&reference(path, 0), 1);
        assert!(matches!(refused, Err(SourceError::Other(_))), "{path}: {refused:?}");
    }
    let url = Location::url("http://127.0.0.1:9/").unwrap();
    let refused = outside.read(&Reference { location: url, ..reference("x", 0) }, 1);
    assert!(matches!(refused, Err(SourceError::Other(text)) if text.contains("UrlstoreEnabled")));
}

#[cfg(unix)]
#[tokio::test]
async fn pipes_and_devices_are_not_waited_for() {
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let folder = tempfile::tempdir().unwrap();
    let outside = outside(&folder, true);
    let pipe = folder.path().join("root/pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    let refused = outside.read(&reference("pipe", 0), 1);
    assert!(matches!(refused, Err(SourceError::Other(text)) if text.contains("regular")));
    assert!(outside.referent("pipe", pipe.to_str()).is_err());
}

#[tokio::test]
async fn what_is_added_must_lie_below_the_root_and_hold_what_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let outside = outside(&folder, true);
    let file = folder.path().join("root/file");
    fs::write(&file, b"0123456789").unwrap();
    fs::write(folder.path().join("else"), b"0123456789").unwrap();
    let referent = outside.referent("file", file.to_str()).unwrap();
    let leaf = referent.leaf(2, b"234").unwrap();
    assert_eq!((leaf.location.text(), leaf.offset, leaf.source_len), ("file", 2, Some(10)));
    assert_eq!(&outside.read(&leaf, 3).unwrap()[..], b"234");
    assert!(referent.leaf(2, b"235").unwrap_err().to_string().contains("other bytes"));
    assert!(referent.leaf(9, b"90").unwrap_err().to_string().contains("changed"));
    let elsewhere = folder.path().join("else");
    let inside = folder.path().join("root/repo/config");
    fs::write(&inside, b"{}").unwrap();
    let dotted = folder.path().join("root/../else");
    let rows = [
        (None, "without the path"),
        (elsewhere.to_str(), "outside ipfs root"),
        (dotted.to_str(), "outside ipfs root"),
        (Some("relative"), "absolute"),
        (inside.to_str(), "part of the repository"),
        (Some("/no/such/file"), "No such file"),
        (Some("http://h/a"), "UrlstoreEnabled"),
    ];
    for (origin, expected) in rows {
        let error = outside.referent("x", origin).unwrap_err().to_string();
        assert!(error.contains(expected), "{origin:?}: {error}");
    }
}
