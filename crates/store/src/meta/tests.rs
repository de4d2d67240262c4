//! Changes that are in the packs and not in the database yet: read on top of it, read again after
//! a crash, settled in time, and never half there.

use super::{MetaError, NOTES_LEFT_MAX, Table};
use crate::{OpenOptions, Pin, PinKind, Repo, StoreError, SweepObserver};
use cairn_block::{Block, Cid, Multihash, codec};
use cairn_runtime::{MemoryVfs, Vfs, VfsExt as _};
use cairn_testkit::Random;
use serde_json::json;
use std::{path::Path, sync::Arc};

const ROOT: &str = "/home/repo";

const FILE_LEN_MAX: usize = 64 * 1024 * 1024;

struct Silent;

impl SweepObserver for Silent {
    fn removed(&mut self, _hash: &Multihash) {}

    fn goes_on(&self) -> bool {
        true
    }
}

fn made() -> MemoryVfs {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new("/home"), false).unwrap();
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    Repo::init(&shared, Path::new(ROOT), &json!({"Identity": {"PeerID": "me"}})).unwrap();
    vfs
}

fn open(vfs: &MemoryVfs) -> Repo {
    open_with(vfs, 1024)
}

fn open_with(vfs: &MemoryVfs, note_count_max: usize) -> Repo {
    let options = OpenOptions { note_count_max, ..OpenOptions::default() };
    Repo::open(Arc::new(vfs.clone()), Path::new(ROOT), options).unwrap()
}

fn block(number: u64) -> Block {
    Block::sha2_256(codec::RAW, Random::new(number).bytes(3000))
}

fn pin(number: u64) -> Pin {
    let (cid, kind) = (block(number).cid().clone(), PinKind::Recursive);
    Pin { cid, kind, name: format!("pin {number}"), expires: None }
}

/// Adds a block with its pin, as `add` does: nothing is flushed in between.
fn add(repo: &Repo, number: u64) {
    repo.store().append(&[block(number)]).unwrap();
    repo.pins().add(&[pin(number)]).unwrap();
}

/// The numbers of the pins below 100, each of which must have its block.
#[track_caller]
fn pinned(repo: &Repo) -> Vec<u64> {
    let pins: Vec<Pin> = repo.pins().list(None).flat_map(Result::unwrap).collect();
    assert_eq!(repo.pins().count().unwrap(), pins.len() as u64);
    let mut numbers = Vec::new();
    for number in 0..100 {
        let cid = block(number).cid().clone();
        let listed = pins.iter().find(|pin| pin.cid == cid);
        assert_eq!(repo.pins().get(&cid).unwrap().as_ref(), listed);
        if listed.is_some() {
            let answer = repo.store().read_many(&[cid]).pop().unwrap();
            assert_eq!(answer.unwrap(), Some(block(number)), "block {number}");
            numbers.push(number);
        }
    }
    numbers
}

fn has_database(vfs: &MemoryVfs) -> bool {
    vfs.len(&Path::new(ROOT).join("meta.redb")).unwrap().is_some()
}

fn pack(number: u32) -> std::path::PathBuf {
    Path::new(ROOT).join(format!("blocks/{number:06}.pack"))
}

fn bytes(vfs: &MemoryVfs, path: &Path) -> Vec<u8> {
    vfs.read_file(path, FILE_LEN_MAX).unwrap().unwrap()
}

#[test]
fn who_only_adds_needs_no_database() {
    let vfs = made();
    for number in 0..3 {
        let repo = open(&vfs);
        add(&repo, number);
        assert!(!has_database(&vfs));
        if number == 1 {
            let crashed = open(&vfs.snapshot());
            assert_eq!(pinned(&crashed), [0, 1], "the process was killed");
        }
    }
    assert!(!has_database(&vfs));
    let repo = open(&vfs);
    assert_eq!(pinned(&repo), [0, 1, 2]);
    assert_eq!(repo.pins().remove(&[pin(1).cid, pin(7).cid]).unwrap(), [true, false]);
    drop(repo);
    assert_eq!(pinned(&open(&vfs)), [0, 2]);
}

#[test]
fn changes_lie_on_top_of_the_database_until_they_are_settled() {
    let vfs = made();
    let repo = open_with(&vfs, 4);
    (0..4).for_each(|number| add(&repo, number));
    assert!(has_database(&vfs), "the fourth change settles");
    let settled = vfs.snapshot();
    repo.pins().remove(&[pin(1).cid, pin(3).cid]).unwrap();
    add(&repo, 4);
    let renamed = Pin { name: "another".to_owned(), ..pin(0) };
    repo.pins().add(std::slice::from_ref(&renamed)).unwrap();
    let meta = Path::new(ROOT).join("meta.redb");
    assert!(bytes(&vfs, &meta) == bytes(&settled, &meta), "not in the database yet");
    for repo in [repo, open(&vfs.snapshot())] {
        let listed: Vec<Pin> = repo.pins().list(None).flat_map(Result::unwrap).collect();
        assert_eq!(listed.len(), 3);
        assert_eq!(pinned(&repo), [0, 2, 4]);
        assert_eq!(repo.pins().get(&renamed.cid).unwrap().as_ref(), Some(&renamed));
    }
}

#[test]
fn a_note_cut_short_is_no_note() {
    let vfs = made();
    let repo = open(&vfs);
    (0..3).for_each(|number| add(&repo, number));
    let crashed = vfs.snapshot();
    let whole = bytes(&crashed, &pack(1));
    for len in (64..=whole.len()).rev().step_by(17) {
        let vfs = crashed.snapshot();
        vfs.replace_file(&pack(1), &whole[..len], false).unwrap();
        let repo = open(&vfs);
        let mut known = pinned(&repo);
        assert!(known.len() < 3 || len == whole.len(), "{len}");
        assert_eq!(known, [0, 1, 2][..known.len()], "{len}: the first ones");
        add(&repo, 9);
        known.push(9);
        assert_eq!(pinned(&repo), known, "{len}");
        assert_eq!(pinned(&open(&vfs.snapshot())), known, "{len}: after a kill");
        drop(repo);
        assert_eq!(pinned(&open(&vfs)), known, "{len}: after a clean end");
    }
}

/// The power went before anything was synced, and the note came to the disk before its block.
#[test]
fn a_note_does_not_count_without_what_it_depends_on() {
    let vfs = made();
    let repo = open(&vfs);
    add(&repo, 0);
    let start = bytes(&vfs, &pack(1)).len();
    repo.store().append(&[block(1), block(2)]).unwrap();
    let end = bytes(&vfs, &pack(1)).len();
    repo.pins().add(&[pin(2)]).unwrap();
    let crashed = vfs.snapshot();
    for lost in [start..start + 10, start + 100..start + 200, end - 1000..end] {
        let vfs = crashed.snapshot();
        let mut spoiled = bytes(&vfs, &pack(1));
        spoiled[lost.clone()].fill(0);
        vfs.replace_file(&pack(1), &spoiled, false).unwrap();
        vfs.remove(&Path::new(ROOT).join("index")).unwrap();
        let repo = open(&vfs);
        assert_eq!(pinned(&repo), [0], "{lost:?}");
        add(&repo, 5);
        drop(repo);
        let repo = open(&vfs);
        repo.store().append(&[block(1), block(2)]).unwrap();
        assert_eq!(pinned(&repo), [0, 5], "{lost:?}: it does not come back");
        drop(repo);
        vfs.remove(&Path::new(ROOT).join("index")).unwrap();
        assert_eq!(pinned(&open(&vfs)), [0, 5], "{lost:?}: nor without the index");
    }
}

#[test]
fn a_pack_with_notes_is_emptied_when_they_are_settled() {
    let vfs = made();
    let repo = open(&vfs);
    (0..3).for_each(|number| add(&repo, number));
    repo.pins().remove(&[pin(0).cid]).unwrap();
    let live: Vec<Cid> = [1, 2].map(|number| block(number).cid().clone()).to_vec();
    // The garbage is most of the pack.
    let garbage: Vec<Block> = (500..900).map(block).collect();
    repo.store().append(&garbage).unwrap();
    let collection = repo.store().collect().unwrap();
    collection.mark(&live).unwrap();
    let swept = collection.sweep(&mut Silent).unwrap();
    assert!(swept.freed_len > 1_000_000, "{swept:?}");
    add(&repo, 3);
    assert_eq!(pinned(&open(&vfs.snapshot())), [1, 2, 3]);
    assert_eq!(pinned(&repo), [1, 2, 3]);
}

#[test]
fn a_change_too_large_for_a_note_supersedes_the_notes() {
    let vfs = made();
    let repo = open(&vfs);
    let value = |len: usize| vec![("value".to_owned(), Some(vec![len as u8; len]))];
    let len = |repo: &Repo| repo.meta().get("value").unwrap().map(|value| value.len());
    add(&repo, 0);
    repo.meta().set(value(7)).unwrap();
    drop(repo);
    let repo = open(&vfs);
    repo.meta().set(value(3_000_000)).unwrap();
    let killed = open(&vfs.snapshot());
    assert_eq!((pinned(&killed), len(&killed)), (vec![0], Some(3_000_000)));
    repo.meta().set(vec![("value".to_owned(), None)]).unwrap();
    assert_eq!(len(&open(&vfs.snapshot())), None);
    assert_eq!((pinned(&repo), len(&repo)), (vec![0], None));
}

#[test]
fn a_failed_sync_fails_the_change_and_leaves_no_trace() {
    let vfs = made();
    let repo = open(&vfs);
    add(&repo, 0);
    vfs.set_syncs_fail(true);
    repo.store().append(&[block(1)]).unwrap();
    let error = repo.pins().add(&[pin(1)]).unwrap_err().to_string();
    assert!(error.contains("until a restart"), "{error}");
    assert_eq!(pinned(&repo), [0], "reading goes on");
    vfs.set_syncs_fail(false);
    let failed = matches!(
        repo.meta().set(vec![("name".to_owned(), Some(vec![]))]),
        Err(MetaError::Store(StoreError::SyncFailed { .. }))
    );
    assert!(failed, "nothing more is written");
    drop(repo);
    let repo = open(&vfs);
    assert_eq!(pinned(&repo), [0]);
    add(&repo, 1);
    assert_eq!(pinned(&open(&vfs.snapshot())), [0, 1]);
}

#[test]
fn a_full_disk_refuses_changes_and_answers_questions() {
    let vfs = made();
    let repo = open_with(&vfs, 2);
    (0..3).for_each(|number| add(&repo, number));
    vfs.set_room(40);
    let error = repo.pins().add(&[pin(5)]).unwrap_err();
    assert!(error.to_string().contains("pack"), "{error}");
    // Room for notes, and none for the database.
    vfs.set_room(1000);
    repo.pins().remove(&[pin(0).cid]).unwrap();
    repo.pins().remove(&[pin(1).cid]).unwrap();
    assert_eq!(pinned(&repo), [2]);
    assert_eq!(pinned(&open(&vfs.snapshot())), [2]);
    vfs.set_room(u64::MAX);
    add(&repo, 3);
    assert_eq!(pinned(&repo), [2, 3]);
}

#[test]
fn lost_metadata_come_back_from_the_notes() {
    let vfs = made();
    let repo = open_with(&vfs, 3);
    (0..5).for_each(|number| add(&repo, number));
    repo.meta().set(vec![("name".to_owned(), Some(vec![1]))]).unwrap();
    repo.pins().remove(&[pin(4).cid]).unwrap();
    drop(repo);
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    vfs.remove(&Path::new(ROOT).join("meta.redb")).unwrap();
    assert!(open(&vfs).pins().count().unwrap_err().to_string().contains("--reset-meta"));
    let reset = Repo::reset_meta(&shared, Path::new(ROOT)).unwrap();
    assert_eq!((reset.pin_count, reset.aside), (4, None));
    let repo = open(&vfs);
    assert_eq!(pinned(&repo), [0, 1, 2, 3]);
    assert_eq!(repo.meta().get("name").unwrap(), Some(vec![1]));
    add(&repo, 6);
    drop(repo);
    // Whole metadata, of which the last changes are in the packs.
    Repo::reset_meta(&shared, Path::new(ROOT)).unwrap();
    assert_eq!(pinned(&open(&vfs)), [0, 1, 2, 3, 6]);
}

#[test]
fn a_repository_of_the_first_format_is_brought_up() {
    let vfs = made();
    let version = Path::new(ROOT).join("version");
    vfs.replace_file(&version, b"1\n", false).unwrap();
    let repo = open(&vfs);
    assert_eq!(bytes(&vfs, &version), b"2\n");
    assert!(repo.losses().is_empty());
    add(&repo, 0);
}

#[test]
fn a_process_leaves_few_notes_behind() {
    let vfs = made();
    let repo = open(&vfs);
    for number in 0..=NOTES_LEFT_MAX as u64 {
        let name = format!("pin {number}");
        repo.pins().add(&[Pin { name, ..pin(0) }]).unwrap();
    }
    assert!(!has_database(&vfs));
    drop(repo);
    assert!(has_database(&vfs), "that many are settled at the end");
    let repo = open(&vfs);
    let name = repo.pins().get(&pin(0).cid).unwrap().unwrap().name;
    assert_eq!(name, format!("pin {NOTES_LEFT_MAX}"));
}

#[test]
fn listings_merge_what_is_pending_with_the_database() {
    let vfs = made();
    let repo = open_with(&vfs, 1);
    let cid = |number: u64| Cid::v1(codec::RAW, Multihash::sha2_256([number as u8; 32]));
    let pin = |number: u64| Pin { cid: cid(number), ..pin(0) };
    let old: Vec<Pin> = (0..200).filter(|number| number % 3 != 0).map(pin).collect();
    repo.pins().add(&old).unwrap();
    drop(repo);
    let repo = open(&vfs);
    let gone: Vec<Cid> = (0..200).filter(|number| number % 4 == 0).map(cid).collect();
    let new: Vec<Pin> = (100..250).filter(|number| number % 5 == 0).map(pin).collect();
    repo.pins().update(&new, &gone).unwrap();
    let expected: Vec<Cid> = (0..250)
        .filter(|number| {
            let is_new = *number >= 100 && number % 5 == 0;
            is_new || *number < 200 && number % 3 != 0 && number % 4 != 0
        })
        .map(cid)
        .collect();
    let pending = repo.inner_change_count();
    assert!(pending > 50, "{pending}");
    let listed = |repo: &Repo| -> Vec<Cid> {
        repo.pins().list(None).flat_map(Result::unwrap).map(|pin| pin.cid).collect()
    };
    assert_eq!(listed(&repo), expected);
    assert_eq!(repo.pins().count().unwrap(), expected.len() as u64);
    drop(repo);
    assert_eq!(listed(&open(&vfs)), expected);
}

impl Repo {
    fn inner_change_count(&self) -> usize {
        self.meta().inner.state().pending.entries(Table::Pins).count()
    }
}
