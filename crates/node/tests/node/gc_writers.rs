//! Eight writers beside collections that never pause: nothing that was acknowledged is missing.
//!
//! In every round each writer adds and pins a file whose chunks it shares with others, pins a
//! block by itself, writes, moves and removes files of MFS, lets older pins go, takes one of those
//! back, and writes a block that nothing keeps, which must be there until the next collection
//! begins. It also removes a directory of its own from MFS, links it again by its CID, and if that
//! brought back all of it, changes an entry. Directories become tries early, so that changes leave
//! most of their nodes alone. Afterwards what the round acknowledged is read back whole; now and
//! then, and at the end after a restart, so is everything.
//! `CAIRN_GC_ROUNDS=10000` makes a long run. The longest wait of a writer is told; it decides
//! nothing, since the disk is shared.
//! Not here: which blocks are in use (`gc.rs`), power cuts in collections (`cairn-sim`).

use crate::Home;
use cairn_block::{Block, Cid, codec};
use cairn_chunk::ChunkSpec;
use cairn_dag::WalkOptions;
use cairn_node::{AddOptions, Fetch, MfsCopy, MfsPath, MfsWrite};
use cairn_runtime::Clock;
use futures::StreamExt as _;
use serde_json::json;
use std::{
    collections::VecDeque,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::Duration,
};

/// Writers at the same time.
const WRITER_COUNT: u64 = 8;
/// Rounds of a usual run.
const ROUND_COUNT: u64 = 200;
/// Rounds after which everything is read back, and not only what is new.
const CHECK_EVERY: u64 = 50;
/// Files that each writer keeps pinned.
const KEPT_COUNT: usize = 6;
/// Bytes of a chunk, and different chunks that files are made of.
const CHUNK_LEN: usize = 4096;
const CHUNK_COUNT: u64 = 200;

/// Length over which a directory is a trie, in bytes, and the width of its nodes.
const TRIE_LEN: &str = "200B";
const TRIE_WIDTH: usize = 8;
/// Entries of a writer's own directory.
const OWN_COUNT: u64 = 40;
/// Writes without a flush that follow each other at most.
const UNFLUSHED_COUNT: u64 = 8;

/// Numbers that look random and are the same for the same seed (`SplitMix64`).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len.div_ceil(8)).flat_map(|_| self.below(u64::MAX).to_le_bytes()).take(len).collect()
    }
}

/// What one writer has been promised.
struct Writer {
    number: u64,
    random: Random,
    /// Pinned roots with their bytes, the oldest first.
    kept: VecDeque<(Cid, Vec<u8>)>,
    /// Files in MFS with their bytes, the oldest first.
    files: VecDeque<(String, Vec<u8>)>,
    /// What is in its own directory; nothing if there is none.
    own: Vec<Vec<u8>>,
    /// How often that directory came back whole.
    returned: u64,
    longest: Duration,
}

/// What all of them see.
struct Scene {
    home: Home,
    clock: Clock,
    /// Collections that have begun.
    begun: AtomicU64,
    writing: AtomicBool,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the figures are what a long run is for")]
async fn collections_beside_eight_writers_take_nothing_that_was_promised() {
    let home = Home::new(false).await;
    let config = home.node.config();
    config.set("Import.UnixFSHAMTDirectorySizeThreshold", json!(TRIE_LEN)).unwrap();
    config.set("Import.UnixFSHAMTDirectoryMaxFanout", json!(TRIE_WIDTH)).unwrap();
    let (begun, writing) = (AtomicU64::new(0), AtomicBool::new(false));
    let scene = Scene { home, clock: Clock::system(), begun, writing };
    let writer = |number| Writer {
        number,
        random: Random(number * 7919),
        kept: VecDeque::new(),
        files: VecDeque::new(),
        own: Vec::new(),
        returned: 0,
        longest: Duration::ZERO,
    };
    let mut writers: Vec<Writer> = (0..WRITER_COUNT).map(writer).collect();
    let (mut removed, mut copied) = (0, 0);
    let rounds = round_count();
    for round in 0..rounds {
        scene.writing.store(true, Ordering::SeqCst);
        let write = async {
            let all = writers.iter_mut().map(|writer| writer.round(round, &scene));
            futures::future::join_all(all).await;
            scene.writing.store(false, Ordering::SeqCst);
        };
        let collect = async {
            while scene.writing.load(Ordering::SeqCst) {
                scene.begun.fetch_add(1, Ordering::SeqCst);
                let swept = scene.home.node.gc(None).await.unwrap();
                removed += swept.block_count;
                copied += swept.copied_len;
            }
        };
        futures::join!(write, collect);
        for writer in &writers {
            let count = if round % CHECK_EVERY == 0 { writer.kept.len() } else { 2 };
            writer.check(&scene.home, count).await;
        }
    }
    assert!(removed > rounds * WRITER_COUNT, "there was garbage: {removed} blocks");
    assert!(rounds < ROUND_COUNT || copied > 0, "packs were emptied");
    let home = scene.home.reopen().await;
    for writer in &writers {
        writer.check(&home, usize::MAX).await;
    }
    let returned: u64 = writers.iter().map(|writer| writer.returned).sum();
    assert!(returned > rounds, "directories came back whole: {returned}");
    let longest = writers.iter().map(|writer| writer.longest).max().unwrap_or_default();
    println!(
        "gc beside 8 writers: {rounds} rounds, {} collections, {removed} blocks removed, {} MiB \
         copied, longest write {longest:.0?}",
        scene.begun.load(Ordering::SeqCst),
        copied >> 20
    );
}

impl Writer {
    /// One round of writes; each is acknowledged before the next.
    async fn round(&mut self, round: u64, scene: &Scene) {
        let (home, begin) = (&scene.home, scene.clock.monotonic());
        let options =
            AddOptions { chunker: ChunkSpec::Fixed { len: CHUNK_LEN }, ..AddOptions::default() };
        let bytes = self.file(round);
        let root = home.add_bytes(&bytes, &options).await;
        self.longest = self.longest.max(scene.clock.monotonic() - begin);
        self.kept.push_back((root, bytes));

        let data = self.random.bytes(500);
        let block = Block::sha2_256(codec::RAW, data.clone().into());
        let cid = block.cid().clone();
        home.node.block_put(block, true).await.unwrap();
        self.kept.push_back((cid, data));

        self.loose_block(scene).await;
        self.mfs(round, home).await;
        self.own(round, home).await;
        while self.kept.len() > 2 * KEPT_COUNT {
            let at = self.random.below(self.kept.len() as u64 - 2) as usize;
            let (root, bytes) = self.kept.remove(at).unwrap();
            home.node.pin_rm(&root, true).await.unwrap();
            let again = self.random.below(3) == 0;
            // Pinned again, it is whole again, or it is told that it is not.
            if again && home.node.pin_add(&root, true, None, None).await.is_ok() {
                self.kept.push_front((root, bytes));
                break;
            }
        }
    }

    /// A file in MFS, in a directory that all writers share; older ones are moved and go.
    async fn mfs(&mut self, round: u64, home: &Home) {
        let bytes = self.file(round);
        let name = format!("/shared/{}-{round}", self.number);
        let flush = self.random.below(4) > 0;
        let fetch = Fetch::Local;
        write(home, &name, &bytes, flush).await;
        let moved = format!("{name}-moved");
        home.node.mfs_move(path(&name), path(&moved), (flush, fetch)).await.unwrap();
        self.files.push_back((moved, bytes));
        if self.files.len() > KEPT_COUNT {
            let (oldest, _) = self.files.pop_front().unwrap();
            home.node.mfs_remove(path(&oldest), (false, false), fetch).await.unwrap();
        }
    }

    /// A directory that goes and comes back by its CID, as far as a collection left it, and is
    /// changed then.
    async fn own(&mut self, round: u64, home: &Home) {
        let (name, fetch) = (format!("/own-{}", self.number), Fetch::Local);
        if self.own.is_empty() {
            for entry in 0..OWN_COUNT {
                self.own.push(self.random.bytes(50));
                let flush = entry % UNFLUSHED_COUNT == UNFLUSHED_COUNT - 1;
                write(home, &format!("{name}/{entry}"), &self.own[entry as usize], flush).await;
            }
            return;
        }
        let root = home.node.mfs_find(&path(&name), &home.node.blocks(fetch)).await.unwrap();
        home.node.mfs_remove(path(&name), (true, false), fetch).await.unwrap();
        let flush = self.random.below(4) > 0;
        let copy = MfsCopy { flush, fetch, ..MfsCopy::default() };
        home.node.mfs_link(root.clone(), path(&name), copy).await.unwrap();
        let roots = std::slice::from_ref(root.cid());
        let visits = home.node.walk(roots, WalkOptions::default(), fetch);
        if visits.all(|visit| async move { visit.is_ok() }).await {
            self.returned += 1;
            let (entry, bytes) = (round % OWN_COUNT, self.random.bytes(50));
            write(home, &format!("{name}/{entry}"), &bytes, flush).await;
            self.own[entry as usize] = bytes;
        } else {
            home.node.mfs_remove(path(&name), (true, true), fetch).await.unwrap();
            self.own.clear();
        }
    }

    /// A file of its own, most of whose chunks other files have as well.
    fn file(&mut self, round: u64) -> Vec<u8> {
        let mut bytes = format!("writer {} round {round}", self.number).into_bytes();
        bytes.resize(CHUNK_LEN, 0);
        for _ in 0..2 + self.random.below(8) {
            let chunk = self.random.below(CHUNK_COUNT);
            bytes.extend(Random(chunk).bytes(CHUNK_LEN));
        }
        bytes.extend(self.random.bytes(3 * CHUNK_LEN));
        bytes
    }

    /// A block that nothing keeps stays until a collection begins after it.
    async fn loose_block(&mut self, scene: &Scene) {
        let block = Block::sha2_256(codec::RAW, self.random.bytes(900).into());
        let cid = block.cid().clone();
        let before = scene.begun.load(Ordering::SeqCst);
        scene.home.node.block_put(block.clone(), false).await.unwrap();
        let read = scene.home.node.block_get(&cid, Fetch::Local).await;
        if scene.begun.load(Ordering::SeqCst) == before {
            assert_eq!(read.unwrap(), block, "no collection began after it was written");
        }
    }

    /// Reads back the last `count` of what it keeps.
    async fn check(&self, home: &Home, count: usize) {
        for (root, bytes) in self.kept.iter().rev().take(count) {
            assert!(home.node.pin_get(root).await.unwrap().is_some(), "{root} is not pinned");
            let read = home.cat(&format!("/ipfs/{root}"), Fetch::Local).await;
            assert_eq!(&read.unwrap(), bytes, "{root}");
        }
        let files = self.files.iter().rev().take(count).map(|(name, bytes)| (name.clone(), bytes));
        let own = self.own.iter().enumerate();
        let own = own.map(|(entry, bytes)| (format!("/own-{}/{entry}", self.number), bytes));
        for (name, bytes) in files.chain(own) {
            let found = home.node.mfs_find(&path(&name), &home.node.blocks(Fetch::Local)).await;
            let read = home.cat(&format!("/ipfs/{}", found.unwrap().cid()), Fetch::Local).await;
            assert_eq!(&read.unwrap(), bytes, "{name}");
        }
    }
}

/// Writes a whole file of MFS.
async fn write(home: &Home, name: &str, bytes: &[u8], flush: bool) {
    let (create, parents, truncate, fetch) = (true, true, true, Fetch::Local);
    let write = MfsWrite { create, parents, truncate, flush, fetch, ..MfsWrite::default() };
    let data = Box::new(std::io::Cursor::new(bytes.to_vec()));
    home.node.mfs_write(path(name), data, write).await.unwrap();
}

fn path(text: &str) -> MfsPath {
    MfsPath::parse(text).unwrap()
}

#[expect(clippy::disallowed_methods, reason = "tests have no node config to ask")]
fn round_count() -> u64 {
    let text = std::env::var("CAIRN_GC_ROUNDS").ok().filter(|text| !text.is_empty());
    text.map_or(ROUND_COUNT, |text| text.parse().unwrap())
}
