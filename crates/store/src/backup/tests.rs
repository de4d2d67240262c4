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
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    Repo::restore(&shared, Path::new(BACKUP), Path::new(to), &mut |_| true).unwrap();
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
