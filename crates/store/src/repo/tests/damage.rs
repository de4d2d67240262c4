//! Every file of a repository emptied, removed, or overwritten in part: opening it ends well.
//!
//! Invariants tested: no panic; what is asked for is answered or refused; what lies in other
//! files is still there; after the repairs that the messages name, the repository is whole again
//! but for what was in the damaged file.

use super::{OpenOptions, Repo, config, root};
use crate::{Pin, PinKind, RepoError};
use cairn_block::{Block, Cid, codec};
use cairn_runtime::{MemoryVfs, Vfs, VfsExt as _};
use cairn_testkit::Random;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Damages tried; CI's share of what was tried by hand.
const SEED_COUNT: u64 = 200;

const PIN_COUNT: u64 = 1000;

const BLOCK_COUNT: u64 = 400;

fn block(number: u64) -> Block {
    let mut data = number.to_le_bytes().to_vec();
    data.extend_from_slice(&Random::new(number).bytes(12_000));
    Block::sha2_256(codec::RAW, data.into())
}

fn pins() -> Vec<Pin> {
    let pin = |number: u64| {
        let cid = Block::sha2_256(codec::RAW, number.to_le_bytes().to_vec().into()).cid().clone();
        Pin { cid, kind: PinKind::Recursive, name: format!("pin {number}"), expires: None }
    };
    (0..PIN_COUNT).map(pin).collect()
}

/// A whole repository, and what is in it.
struct Whole {
    vfs: MemoryVfs,
    blocks: Vec<Block>,
    pins: Vec<Pin>,
}

fn made() -> Whole {
    let vfs = MemoryVfs::default();
    vfs.create_dir(Path::new("/home"), false).unwrap();
    let shared: Arc<dyn Vfs> = Arc::new(vfs.clone());
    Repo::init(&shared, root(), &config()).unwrap();
    // What the packs alone have may go with them.
    let options = OpenOptions { note_count_max: 1, ..OpenOptions::default() };
    let repo = Repo::open(shared, root(), options).unwrap();
    let (blocks, pins): (Vec<Block>, _) = ((0..BLOCK_COUNT).map(block).collect(), pins());
    repo.store().append(&blocks).unwrap();
    repo.store().flush().unwrap();
    for pins in pins.chunks(200) {
        repo.pins().add(pins).unwrap();
    }
    drop(repo);
    Whole { vfs, blocks, pins }
}

fn files() -> Vec<PathBuf> {
    let names = ["config", "version", "index", "meta.redb", "meta.made", "repo.lock"];
    let packs = ["blocks/000001.pack", "blocks/000002.pack"];
    names.iter().chain(&packs).map(|name| root().join(name)).collect()
}

fn damage(vfs: &MemoryVfs, path: &Path, random: &mut Random) -> &'static str {
    let bytes = vfs.read_file(path, 1 << 30).unwrap().unwrap();
    match random.below(6) {
        0 => {
            vfs.remove(path).unwrap();
            "removed"
        }
        1 => {
            vfs.replace_file(path, b"", false).unwrap();
            "emptied"
        }
        2 => {
            let len = random.below(bytes.len() + 1);
            vfs.replace_file(path, &bytes[..len], false).unwrap();
            "cut"
        }
        _ => {
            let mut bytes = bytes;
            if !bytes.is_empty() {
                let start = random.below(bytes.len()) / 4096 * 4096;
                let end = bytes.len().min(start + 4096);
                let page = random.bytes(end - start);
                bytes[start..end].copy_from_slice(&page);
            }
            vfs.replace_file(path, &bytes, false).unwrap();
            "overwritten"
        }
    }
}

/// Uses everything once; what is refused is refused with words.
fn use_it(repo: &Repo, blocks: &[Block], name: &str) -> (u64, u64) {
    let cids: Vec<Cid> = blocks.iter().map(|block| block.cid().clone()).collect();
    let answers = repo.store().read_many(&cids);
    let whole = answers.iter().filter(|answer| matches!(answer, Ok(Some(_)))).count() as u64;
    let mut scrub = repo.store().scrub(None);
    while scrub.step().unwrap().is_some() {}
    let mut pin_count = 0;
    for page in repo.pins().list(None) {
        match page {
            Ok(page) => pin_count += page.len() as u64,
            Err(error) => assert!(error.to_string().contains("--reset-meta"), "{name}: {error}"),
        }
    }
    repo.store().append(&[block(99_999)]).unwrap();
    repo.store().flush().unwrap();
    (whole, pin_count)
}

fn trial(whole: &Whole, seed: u64) {
    let mut random = Random::new(seed);
    let vfs = whole.vfs.snapshot();
    let files = files();
    let path = &files[random.below(files.len())];
    let how = damage(&vfs, path, &mut random);
    let name = format!("seed {seed}: {} {how}", path.display());
    let hit = |part: &str| path.to_string_lossy().contains(part);
    let shared: Arc<dyn Vfs> = Arc::new(vfs);
    let open = || Repo::open(Arc::clone(&shared), root(), OpenOptions::default());
    let repo = match open() {
        Ok(repo) => repo,
        Err(error @ RepoError::Damaged { .. }) if hit("config") || hit("version") => {
            let text = error.to_string();
            assert!(text.contains(path.to_str().unwrap()) && text.contains('`'), "{text}");
            Repo::init(&shared, root(), &config()).unwrap_or(());
            shared.replace_file(path, if hit("version") { b"1" } else { b"{}" }, true).unwrap();
            open().unwrap()
        }
        Err(error) => {
            unreachable!("{name}: {error}")
        }
    };
    let (whole_count, pin_count) = use_it(&repo, &whole.blocks, &name);
    if !hit("pack") {
        assert_eq!(whole_count, BLOCK_COUNT, "{name}");
    }
    if !hit("meta.redb") {
        assert_eq!(pin_count, PIN_COUNT, "{name}");
    }
    drop(repo);
    if hit("meta.redb") {
        Repo::reset_meta(&shared, root()).unwrap();
    }
    let repo = open().unwrap();
    repo.store().append(&whole.blocks).unwrap();
    repo.pins().add(&whole.pins).unwrap();
    let (whole_count, pin_count) = use_it(&repo, &whole.blocks, &name);
    assert_eq!((whole_count, pin_count), (BLOCK_COUNT, PIN_COUNT), "{name}: after the repair");
}

#[test]
fn damage_to_one_file_costs_no_other() {
    let whole = made();
    let count = option_env!("CAIRN_DAMAGE_SEEDS").and_then(|count| count.parse().ok());
    for seed in 0..count.unwrap_or(SEED_COUNT) {
        trial(&whole, seed);
    }
}
