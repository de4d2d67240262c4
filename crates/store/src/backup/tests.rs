//! Backups and what is restored from them, whole, grown, interrupted and spoiled.

use super::{Copied, MARK};
use crate::{OpenOptions, Pin, PinKind, Repo, RepoError, SweepObserver};
use cairn_block::{Block, Cid, Multihash, codec};
use cairn_runtime::{Create, MemoryVfs, Vfs, VfsExt as _};
use cairn_testkit::Random;
use serde_json::json;
use std::{path::Path, sync::Arc};

const REPO: &str = "/r/repo";
const BACKUP: &str = "/b/backup";

struct Silent;

impl SweepObserver for Silent {
    fn removed(&mut self, _hash: &Multihash) {}

    fn goes_on(&self) -> bool {
        true
    }
}

fn repo(vfs: &MemoryVfs, of: &str) -> Repo {
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    Repo::init(&shared, Path::new(REPO), &json!({"Identity": {"PeerID": of}})).unwrap();
    open(vfs, REPO).unwrap()
}

fn open(vfs: &MemoryVfs, path: &str) -> Result<Repo, RepoError> {
    Repo::open(Arc::new(vfs.clone()), Path::new(path), OpenOptions::default())
}

fn blocks(from: u64, count: u64) -> Vec<Block> {
    let block = |number| Block::sha2_256(codec::RAW, Random::new(number).bytes(100_000));
    (from..from + count).map(block).collect()
}

fn cids(blocks: &[Block]) -> Vec<Cid> {
    blocks.iter().map(|block| block.cid().clone()).collect()
}

fn put(repo: &Repo, blocks: &[Block], name: &str) {
    repo.store().append(blocks).unwrap();
    repo.store().flush().unwrap();
    let (cid, kind) = (blocks[0].cid().clone(), PinKind::Direct);
    let pin = Pin { cid, kind, name: name.to_owned(), expires: None };
    repo.pins().add(&[pin]).unwrap();
}

fn backup(repo: &Repo) -> Result<Copied, RepoError> {
    repo.backup(Path::new(BACKUP), &mut |_| true)
}

/// Restores to `to`, and checks that it has these blocks and pins, and no others.
#[track_caller]
fn assert_restores(vfs: &MemoryVfs, to: &str, expected: &[(&[Block], &str)]) {
    assert_restores_from(vfs, (BACKUP, to), expected);
}

#[track_caller]
fn assert_restores_from(vfs: &MemoryVfs, (from, to): (&str, &str), expected: &[(&[Block], &str)]) {
    restore(vfs, from, to).unwrap();
    let repo = open(vfs, to).unwrap();
    assert_eq!(repo.losses(), [] as [String; 0]);
    let mut count = 0;
    for (blocks, name) in expected {
        for (answer, block) in repo.store().read_many(&cids(blocks)).into_iter().zip(*blocks) {
            assert!(answer.unwrap().as_ref() == Some(block), "{}", block.cid());
        }
        assert_eq!(repo.pins().get(blocks[0].cid()).unwrap().unwrap().name, *name);
        count += blocks.len() as u64;
    }
    assert_eq!(repo.pins().count().unwrap(), expected.len() as u64);
    assert_eq!(repo.store().stat().unwrap().block_count, count);
    assert_eq!(repo.config().unwrap()["Identity"]["PeerID"], "me");
    assert_eq!(vfs.read_file(&repo.keystore_path().join("key"), 9).unwrap().unwrap(), b"secret");
}

#[test]
fn a_second_backup_copies_what_is_new() {
    let vfs = MemoryVfs::default();
    let repo = repo(&vfs, "me");
    vfs.replace_file(&repo.keystore_path().join("key"), b"secret", true).unwrap();
    let (first, second) = (blocks(0, 60), blocks(100, 60));
    put(&repo, &first, "first");
    let copied = backup(&repo).unwrap();
    assert!(copied.copied_len > 6_000_000 && copied.copied_len == copied.total_len);
    assert_restores(&vfs, "/r/one", &[(&first, "first")]);
    put(&repo, &second, "second");
    let copied = backup(&repo).unwrap();
    assert!(copied.copied_len < 6_100_000, "{copied:?}");
    assert!(copied.backup_len > 12_000_000, "{copied:?}");
    assert_restores(&vfs, "/r/two", &[(&first, "first"), (&second, "second")]);
    assert_eq!(backup(&repo).unwrap().copied_len, 0);
    assert!(open(&vfs, BACKUP).unwrap_err().to_string().contains("repo restore"));
    // What a collection took is gone from the next backup, and its space.
    repo.pins().remove(&cids(&first[..1])).unwrap();
    let collection = repo.store().collect().unwrap();
    collection.mark(&cids(&second)).unwrap();
    assert!(backup(&repo).unwrap_err().to_string().contains("being collected"));
    collection.sweep(&mut Silent).unwrap();
    assert!(backup(&repo).unwrap().backup_len < 8_000_000);
    assert_restores(&vfs, "/r/three", &[(&second, "second")]);
}

#[test]
fn an_interrupted_backup_is_still_the_one_before() {
    let vfs = MemoryVfs::default();
    let repo = repo(&vfs, "me");
    vfs.replace_file(&repo.keystore_path().join("key"), b"secret", true).unwrap();
    let (first, second) = (blocks(0, 100), blocks(200, 100));
    put(&repo, &first, "first");
    let mut left = 2;
    let stopped = repo.backup(Path::new(BACKUP), &mut |_| {
        left -= 1;
        left > 0
    });
    assert!(matches!(stopped, Err(RepoError::Backup { .. })));
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    let unfinished = Repo::restore(&shared, Path::new(BACKUP), Path::new("/r/none"), &mut |_| true);
    assert!(unfinished.unwrap_err().to_string().contains("not finished"));
    backup(&repo).unwrap();
    put(&repo, &second, "second");
    // The first is collected before the second backup, which never ends.
    repo.pins().remove(&cids(&first[..1])).unwrap();
    let collection = repo.store().collect().unwrap();
    collection.mark(&cids(&second)).unwrap();
    collection.sweep(&mut Silent).unwrap();
    for stop_after in 0..4 {
        let mut left = stop_after;
        let stopped = repo.backup(Path::new(BACKUP), &mut |_| {
            left -= 1;
            left >= 0
        });
        let copied = vfs.snapshot();
        let to = format!("/r/before{stop_after}");
        if stopped.is_err() {
            let shared: Arc<dyn Vfs> = Arc::new(copied.clone());
            Repo::restore(&shared, Path::new(BACKUP), Path::new(&to), &mut |_| true).unwrap();
            let restored = open(&copied, &to).unwrap();
            assert!(
                restored
                    .store()
                    .read_many(&cids(&first))
                    .iter()
                    .all(|answer| { answer.as_ref().is_ok_and(Option::is_some) })
            );
            assert!(restored.pins().get(first[0].cid()).unwrap().is_some());
        } else {
            assert!(stop_after > 0);
            return assert_restores(&copied, &to, &[(&second, "second")]);
        }
    }
    backup(&repo).unwrap();
    assert_restores(&vfs, "/r/after", &[(&second, "second")]);
}

const ARCHIVE: &str = "/b/all.tar";

fn restore(vfs: &MemoryVfs, from: &str, to: &str) -> Result<Copied, RepoError> {
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    Repo::restore(&shared, Path::new(from), Path::new(to), &mut |_| true)
}

fn bytes_of(vfs: &MemoryVfs, path: &str) -> Vec<u8> {
    vfs.read_file(Path::new(path), usize::MAX).unwrap().unwrap()
}

/// An archive of these members, as any `tar` writes one.
fn archive_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        // The library refuses names that lead elsewhere; others do not.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

#[test]
fn a_backup_in_one_file_is_replaced_by_the_next() {
    let vfs = MemoryVfs::default();
    let repo = repo(&vfs, "me");
    // Longer than a header has room for.
    let long = "k".repeat(180);
    for name in ["key", &long] {
        vfs.replace_file(&repo.keystore_path().join(name), b"secret", true).unwrap();
    }
    let (first, second) = (blocks(0, 60), blocks(100, 60));
    put(&repo, &first, "first");
    let copied = repo.backup(Path::new(ARCHIVE), &mut |_| true).unwrap();
    assert!(copied.copied_len > 6_000_000 && copied.copied_len == copied.total_len, "{copied:?}");
    let names = vfs.list(Path::new("/b")).unwrap();
    assert_eq!(names, ["all.tar"]);
    put(&repo, &second, "second");
    // One that is stopped leaves the one before.
    let stopped = repo.backup(Path::new(ARCHIVE), &mut |_| false);
    assert!(stopped.unwrap_err().to_string().contains("stopped"));
    assert_eq!(vfs.list(Path::new("/b")).unwrap(), ["all.tar"]);
    assert_restores_from(&vfs, (ARCHIVE, "/r/one"), &[(&first, "first")]);
    repo.backup(Path::new(ARCHIVE), &mut |_| true).unwrap();
    assert_restores_from(&vfs, (ARCHIVE, "/r/two"), &[(&first, "first"), (&second, "second")]);
    let key = Path::new("/r/two/keystore").join(long);
    assert_eq!(vfs.read_file(&key, 9).unwrap().unwrap(), b"secret");
    // A directory is one, whatever its name.
    vfs.create_dir(Path::new("/b/dir.tar"), true).unwrap();
    repo.backup(Path::new("/b/dir.tar"), &mut |_| true).unwrap();
    assert!(vfs.len(Path::new("/b/dir.tar/meta.redb")).unwrap().is_some());
}

#[test]
fn other_files_are_left_alone() {
    let (vfs, other) = (MemoryVfs::default(), MemoryVfs::default());
    let (ours, theirs) = (repo(&vfs, "me"), repo(&other, "you"));
    theirs.backup(Path::new(ARCHIVE), &mut |_| true).unwrap();
    vfs.create_dir(Path::new("/b"), true).unwrap();
    let whole = bytes_of(&other, ARCHIVE);
    let rows = [
        (whole.clone(), "another node, you"),
        (b"somebody's notes".to_vec(), "no backup that could be replaced"),
        (Vec::new(), "no backup that could be replaced"),
        (archive_of(&[("notes.txt", b"x")]), "holds no backup"),
    ];
    for (bytes, text) in rows {
        vfs.replace_file(Path::new(ARCHIVE), &bytes, false).unwrap();
        let error = ours.backup(Path::new(ARCHIVE), &mut |_| true).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
        assert_eq!(bytes_of(&vfs, ARCHIVE), bytes);
    }
}

#[test]
fn what_is_no_whole_archive_is_not_restored() {
    let vfs = MemoryVfs::default();
    let ours = repo(&vfs, "me");
    put(&ours, &blocks(0, 10), "");
    ours.backup(Path::new(ARCHIVE), &mut |_| true).unwrap();
    let whole = bytes_of(&vfs, ARCHIVE);
    let mut random = Random::new(7);
    for _ in 0..200 {
        let len = random.below(whole.len());
        vfs.replace_file(Path::new("/b/cut.tar"), &whole[..len], false).unwrap();
        let error = restore(&vfs, "/b/cut.tar", "/r/none").unwrap_err().to_string();
        let said = ["cut short", "no whole archive", "holds no backup", "not all there"];
        assert!(said.iter().any(|text| error.contains(text)), "{len}: {error}");
        assert!(vfs.len(Path::new("/r/none/config")).unwrap().is_none());
    }
    for _ in 0..200 {
        let mut garbled = whole.clone();
        for _ in 0..4 {
            // Headers and small members; what packs hold is checked when it is read.
            let at = random.below(20_000);
            garbled[at] = random.below(256) as u8;
        }
        vfs.replace_file(Path::new("/b/garbled.tar"), &garbled, false).unwrap();
        // Whatever it makes of it, it ends, and nothing is anywhere else.
        drop(restore(&vfs.snapshot(), "/b/garbled.tar", "/r/none"));
    }
}

#[test]
fn members_lead_nowhere_else() {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new("/b"), true).unwrap();
    let mark = br#"{"format":1,"of":"me","complete":true,"packs":{}}"#;
    let archive = archive_of(&[
        ("./backup", mark),
        ("./config", b"{}"),
        ("version", b"2\n"),
        ("../escaped", b"x"),
        ("keystore/../../escaped", b"x"),
        ("keystore/..", b"x"),
        ("/escaped", b"x"),
        ("keystore/key", b"secret"),
        ("blocks/../escaped", b"x"),
    ]);
    vfs.replace_file(Path::new("/b/odd.tar"), &archive, false).unwrap();
    restore(&vfs, "/b/odd.tar", "/r/repo").unwrap();
    let mut names = vfs.list(Path::new("/r/repo")).unwrap();
    names.sort_unstable();
    assert_eq!(names, ["blocks", "config", "keystore", "repo.lock", "version"]);
    assert_eq!(vfs.list(Path::new("/r/repo/keystore")).unwrap(), ["key"]);
    assert_eq!(vfs.list(Path::new("/r")).unwrap(), ["repo"]);
    assert!(vfs.len(Path::new("/escaped")).unwrap().is_none());
}

#[test]
fn other_directories_are_left_alone() {
    let vfs = MemoryVfs::default();
    let ours = repo(&vfs, "me");
    put(&ours, &blocks(0, 3), "");
    vfs.create_dir(Path::new("/full"), false).unwrap();
    vfs.open(Path::new("/full/file"), Create::New).unwrap();
    let other = MemoryVfs::default();
    let theirs = repo(&other, "you");
    let rows = [("/full", "not empty"), (REPO, "inside"), ("/r/repo/blocks", "inside")];
    for (path, text) in rows {
        let error = ours.backup(Path::new(path), &mut |_| true).unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
    theirs.backup(Path::new(BACKUP), &mut |_| true).unwrap();
    let mark = other.read_file(&Path::new(BACKUP).join(MARK), 9999).unwrap().unwrap();
    vfs.create_dir(Path::new(BACKUP), true).unwrap();
    vfs.replace_file(&Path::new(BACKUP).join(MARK), &mark, false).unwrap();
    assert!(backup(&ours).unwrap_err().to_string().contains("another node, you"));
    let shared: Arc<dyn Vfs> = Arc::new(other.clone());
    let to = Path::new(REPO);
    let exists = Repo::restore(&shared, Path::new(BACKUP), to, &mut |_| true);
    assert!(matches!(exists, Err(RepoError::Exists { .. })));
    let none = Repo::restore(&shared, to, Path::new("/new"), &mut |_| true).unwrap_err();
    assert!(none.to_string().contains("no backup"), "{none}");
    other.replace_file(&Path::new(BACKUP).join(MARK), b"{", false).unwrap();
    let damaged = theirs.backup(Path::new(BACKUP), &mut |_| true);
    assert!(matches!(damaged, Err(RepoError::Damaged { .. })));
}
