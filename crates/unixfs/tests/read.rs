//! Reading gives back what was built, whatever the chunks, the range and the store's speed.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use bytes::Bytes;
use cairn_block::{Block, BlockStoreExt as _, MemoryStore};
use cairn_chunk::ChunkSpec;
use cairn_testkit::{Random, SlowStore, block_on, gather, import_file};
use cairn_unixfs::{
    Child, DataType, Entry, EntryKind, FileBuilder, Layout, Metadata, Mtime, Options, UnixfsError,
    leaf, leaf_codec, leaf_prefix, leaf_suffix, leaf_with_metadata, read,
};
use futures::{StreamExt as _, TryStreamExt as _};
use proptest::prelude::{any, prop, proptest};
use std::ops::Range;

struct Built {
    store: MemoryStore,
    root: Block,
    leaves: usize,
}

fn build(data: &Bytes, chunk_len: usize, options: &Options) -> Built {
    options.check().unwrap();
    let imported = import_file(data, ChunkSpec::Fixed { len: chunk_len }, options).unwrap();
    let leaves = data.len().div_ceil(chunk_len).max(1);
    assert_eq!(imported.root.data_len, data.len() as u64);
    let root_cid = imported.root.cid.clone();
    let store = imported.into_store();
    let root = block_on(store.require(&root_cid)).unwrap();
    Built { store, root, leaves }
}

impl Built {
    fn read(&self, range: Range<u64>) -> Result<Vec<u8>, UnixfsError> {
        let pieces = block_on(read(&self.store, &self.root, range).try_collect::<Vec<Bytes>>())?;
        assert!(pieces.iter().all(|piece| !piece.is_empty()));
        Ok(pieces.concat())
    }
}

proptest! {
    #[test]
    fn a_range_is_the_same_bytes_as_in_the_file(
        seed: u64,
        len in 0_usize..3000,
        chunk_len in 1_usize..400,
        max_links in 2_usize..9,
        raw_leaves: bool,
        trickle: bool,
        inline_limit in prop::sample::select(vec![0_usize, 16, 128]),
        ends in (any::<prop::sample::Index>(), any::<prop::sample::Index>()),
    ) {
        let data = Random::new(seed).bytes(len);
        let layout = if trickle { Layout::Trickle } else { Layout::Balanced };
        let options =
            Options { max_links, raw_leaves, layout, inline_limit, ..Options::default() };
        let built = build(&data, chunk_len, &options);
        assert_eq!(built.read(0..u64::MAX).unwrap(), data);
        let (a, b) = (ends.0.index(len + 1), ends.1.index(len + 1));
        let range = a.min(b)..a.max(b);
        let bytes = built.read(range.start as u64..range.end as u64).unwrap();
        assert_eq!(bytes, data[range]);
        assert_eq!(Entry::of(&built.root).unwrap().len, len as u64);
    }

    #[test]
    fn leaves_made_in_place_are_the_same(len in 0_usize..5000) {
        let data = Random::new(len as u64).bytes(len);
        let parts = [&leaf_prefix(DataType::File, len)[..], &data, &leaf_suffix(len)].concat();
        assert_eq!(leaf(data.clone(), false), parts);
        assert_eq!(leaf_with_metadata(data, &Metadata::default()), parts);
    }
}

#[test]
fn leaf_prefixes_and_suffixes_fit_their_limits() {
    for len in [0, 1, 127, 128, 16_383, 16_384, 262_144, 2_096_896] {
        assert!(
            leaf_prefix(DataType::File, len).len() <= cairn_unixfs::LEAF_PREFIX_LEN_MAX,
            "{len}"
        );
        assert!(leaf_suffix(len).len() <= cairn_unixfs::LEAF_SUFFIX_LEN_MAX, "{len}");
    }
}

#[test]
fn an_empty_or_outside_range_is_empty() {
    let data = Random::new(1).bytes(1000);
    let built = build(&data, 100, &Options::default());
    for range in [0..0, 500..500, 1000..2000, u64::MAX - 1..u64::MAX, Range { start: 9, end: 3 }] {
        assert_eq!(built.read(range.clone()).unwrap(), b"", "{range:?}");
    }
}

#[test]
fn only_what_the_range_needs_is_fetched() {
    let data = Random::new(2).bytes(27_000);
    let options = Options { max_links: 3, ..Options::default() };
    // 27 leaves under three levels of inner nodes; the root is in hand.
    let built = build(&data, 1000, &options);
    let rows = [(0..1, 3), (999..1000, 3), (999..1001, 4), (8999..9001, 6), (0..27_000, 39)];
    for (range, blocks) in rows {
        let slow = SlowStore::new(&built.store, 2);
        let bytes = gather(read(slow.clone(), &built.root, range.clone()));
        assert_eq!(bytes.unwrap(), data[range.start as usize..range.end as usize]);
        assert_eq!(slow.blocks(), blocks, "{range:?}");
    }
}

/// A range reads the blocks that have a byte of it and the nodes above them, and no other: the path
/// and at most two leaves, if the range is no longer than a leaf and within one node's leaves.
#[test]
fn a_short_range_of_a_deep_file_reads_its_path_and_two_leaves() {
    const LEAF_LEN: u64 = 512;
    const FAN_OUT: u64 = 5;
    let data = Random::new(7).bytes(1_000_000);
    let options = Options { max_links: FAN_OUT as usize, ..Options::v1() };
    let built = build(&data, LEAF_LEN as usize, &options);
    // 1,954 leaves below five levels of nodes, the root among them, which is in hand.
    let spans: Vec<u64> = (0..5).map(|level| LEAF_LEN * FAN_OUT.pow(level)).collect();
    let mut random = Random::new(8);
    let mut single_paths = 0;
    for _ in 0..1000 {
        let at = u64::from_le_bytes(random.bytes(8)[..].try_into().unwrap()) % (1_000_000 - 400);
        let slow = SlowStore::new(&built.store, 0);
        let bytes = gather(read(slow.clone(), &built.root, at..at + 400)).unwrap();
        assert_eq!(bytes, data[at as usize..at as usize + 400]);
        let needed = |span: &u64| ((at + 399) / span - at / span + 1) as usize;
        assert_eq!(slow.blocks(), spans.iter().map(needed).sum::<usize>(), "{at}");
        if spans[1..].iter().all(|span| needed(span) == 1) {
            single_paths += 1;
            assert!(slow.blocks() <= spans.len() - 1 + 2, "{at}");
        }
    }
    assert!(single_paths > 500, "{single_paths} of the places are within one node's leaves");
}

#[test]
fn a_slow_store_is_asked_far_ahead() {
    let data = Random::new(3).bytes(400 * 4096);
    let options = Options { max_links: 10, ..Options::v1() };
    let built = build(&data, 4096, &options);
    let slow = SlowStore::new(&built.store, 40);
    let bytes = gather(read(slow.clone(), &built.root, 0..u64::MAX)).unwrap();
    assert_eq!(bytes, data);
    assert_eq!(slow.blocks(), built.leaves + 40 + 4);
    assert!(slow.in_flight_max() >= 4, "{} batches in flight", slow.in_flight_max());
    assert!(slow.batches() <= 60, "{} batches", slow.batches());
}

#[test]
fn a_reader_that_stops_early_has_fetched_little() {
    let data = Random::new(4).bytes(400 * 4096);
    let built = build(&data, 4096, &Options::v1());
    let slow = SlowStore::new(&built.store, 1);
    let mut stream = Box::pin(read(slow.clone(), &built.root, 0..u64::MAX));
    assert_eq!(block_on(stream.next()).unwrap().unwrap(), data[..4096]);
    assert!(slow.blocks() < 100, "{} blocks", slow.blocks());
}

#[test]
fn a_missing_leaf_ends_the_stream_with_its_name() {
    let data = Random::new(5).bytes(1000);
    let imported = import_file(&data, ChunkSpec::Fixed { len: 100 }, &Options::default()).unwrap();
    let (gone, root) = (imported.blocks[3].cid().clone(), imported.root_block().clone());
    let store = imported.into_store();
    store.remove(&gone);
    let items: Vec<_> = block_on(read(&store, &root, 0..1000).collect());
    assert_eq!(items.len(), 4);
    let error = items[3].as_ref().unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains(&gone.to_string()), "{error}");
}

#[test]
fn mode_and_mtime_are_kept() {
    let mtime = |secs, nanos| Some(Mtime { secs, nanos });
    let rows = [
        Metadata { mode: Some(0o644), mtime: mtime(1_700_000_000, 0) },
        Metadata { mode: None, mtime: mtime(-5, 999_999_999) },
        Metadata { mode: Some(0o4755), mtime: None },
    ];
    let options = Options { max_links: 4, ..Options::default() };
    for metadata in rows {
        let data = Random::new(6).bytes(3000);
        let mut builder = FileBuilder::with_metadata(&options, &metadata);
        let mut blocks = Vec::new();
        for chunk in data.chunks(100) {
            let block = options
                .block(leaf_codec(false), leaf(Bytes::copy_from_slice(chunk), false))
                .unwrap();
            let child = Child::leaf(block.cid().clone(), chunk.len(), block.data().len());
            builder.push(child, &mut blocks).unwrap();
        }
        builder.finish(&mut blocks).unwrap();
        let entry = Entry::of(blocks.last().unwrap()).unwrap();
        assert_eq!((entry.mode, entry.mtime), (metadata.mode, metadata.mtime));
        assert_eq!((entry.kind, entry.len), (EntryKind::File, 3000));
        let small = leaf_with_metadata(data, &metadata);
        let small = Entry::of(&options.block(leaf_codec(false), small).unwrap()).unwrap();
        assert_eq!((small.mode, small.mtime, small.len), (metadata.mode, metadata.mtime, 3000));
    }
}

#[test]
fn metadata_cannot_be_put_on_a_finished_leaf() {
    let metadata = Metadata { mode: Some(0o600), mtime: None };
    let builder = FileBuilder::with_metadata(&Options::default(), &metadata);
    let error = builder.finish(&mut Vec::new()).unwrap_err();
    assert!(matches!(error, UnixfsError::LeafMetadata), "{error}");
}

#[test]
fn memory_of_a_long_file_is_bounded_by_its_depth() {
    let options = Options { max_links: 5, ..Options::default() };
    let leaf = options.block(leaf_codec(false), leaf(Bytes::from_static(b"x"), false)).unwrap();
    let child = Child::leaf(leaf.cid().clone(), 1, leaf.data().len());
    let mut builder = FileBuilder::new(&options);
    let (mut out, mut nodes) = (Vec::new(), 0);
    for _ in 0..=5_usize.pow(6) {
        builder.push(child.clone(), &mut out).unwrap();
        nodes += out.len();
        assert!(out.len() <= 6);
        out.clear();
    }
    let root = builder.finish(&mut out).unwrap();
    // Six full levels, then one node a level for the last leaf, and the root.
    assert_eq!(nodes + out.len(), 3125 + 625 + 125 + 25 + 5 + 1 + 6 + 1);
    assert_eq!(root.data_len, 15_626);
    assert_eq!(out.last().unwrap().cid(), &root.cid);
}

#[test]
fn options_out_of_range_are_refused() {
    let good = Options::default();
    let rows = [
        Options { max_links: 1, ..good },
        Options { max_links: 8193, ..good },
        Options { hamt_fanout: 4, ..good },
        Options { hamt_fanout: 100, ..good },
        Options { hamt_fanout: 2048, ..good },
        Options { inline_limit: 129, ..good },
        Options { hash_code: 0, ..Options::v1() },
        Options { hash_code: cairn_hash::code::SHA2_512, ..good },
    ];
    for options in rows {
        assert!(options.check().is_err(), "{options:?}");
    }
    good.check().unwrap();
    Options::v1().check().unwrap();
}
