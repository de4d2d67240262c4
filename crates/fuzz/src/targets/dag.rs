//! Blocks that link to each other in any way: files, directories, shards and paths among them.
//!
//! A search never finds the hash of another block, so the input names blocks by their number:
//! each node is its links (which block before it, name, size) and its bytes, and the last node
//! is the root.
//! Invariants: what is read never exceeds what was asked for, and ends; a DAG that doubles at
//! each level is left after [`ITEM_COUNT_MAX`] items.

use super::Told;
use bytes::Bytes;
use cairn_block::{Block, BlockStore as _, Cid, MemoryStore, codec};
use cairn_dag::{WalkOptions, dag_pb, walk};
use cairn_unixfs::{Data, DataType, UnixfsError, find, list, read, resolve_from};
use futures::{Stream, StreamExt as _};
use std::{
    ops::Range,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// Those of DAGs.
pub(super) const TARGETS: &[Told] = &[("unixfs_dag", unixfs_dag, seeds)];

/// Items of one stream that are looked at.
const ITEM_COUNT_MAX: usize = 256;

/// Nodes of one input.
const NODE_COUNT_MAX: usize = 64;

/// How the links of an input's node are packed: the count, then target, size, name's length.
const LINK_COUNT_MAX: u8 = 16;

/// Runs a future that only waits for memory.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return value;
        }
    }
}

/// Takes bytes from the front.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().unwrap_or((&0, &[]));
        self.0 = rest;
        *first
    }

    fn take(&mut self, len: u8) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(self.0.len().min(len.into()));
        self.0 = rest;
        taken
    }
}

/// The blocks that an input describes.
fn blocks(input: &[u8]) -> Vec<Block> {
    let mut reader = Reader(input);
    let mut blocks: Vec<Block> = Vec::new();
    while !reader.0.is_empty() && blocks.len() < NODE_COUNT_MAX {
        let head = reader.byte();
        let links = (0..head % LINK_COUNT_MAX)
            .filter_map(|_| {
                let (at, size, len) = (reader.byte(), reader.byte(), reader.byte());
                let name = Bytes::copy_from_slice(reader.take(len % 8));
                let target = blocks.get(usize::from(at) % blocks.len().max(1))?;
                Some(dag_pb::PbLink::new(name, target.cid().clone(), size.into()))
            })
            .collect();
        let len = reader.byte();
        let data = Bytes::copy_from_slice(reader.take(len));
        blocks.push(if head & 0x80 != 0 {
            Block::sha2_256(codec::RAW, data)
        } else {
            let data = Some(data).filter(|_| head & 0x40 == 0);
            let node = dag_pb::encode(&dag_pb::PbNode { links, data });
            Block::sha2_256(codec::DAG_PB, node.into())
        });
    }
    blocks
}

/// The bytes of `range`, and whether they came to their end without an error.
fn bytes_of(store: &MemoryStore, root: &Block, range: Range<u64>) -> (Vec<u8>, bool) {
    let (mut bytes, mut count) = (Vec::new(), 0);
    let mut stream = pin!(read(store, root, range));
    while let Some(item) = ready(stream.next()) {
        let Ok(piece) = item else { return (bytes, false) };
        bytes.extend_from_slice(&piece);
        count += 1;
        if count == ITEM_COUNT_MAX {
            return (bytes, false);
        }
    }
    (bytes, true)
}

fn items<T>(stream: impl Stream<Item = T>) -> Vec<T> {
    ready(stream.take(ITEM_COUNT_MAX).collect())
}

fn unixfs_dag(input: &[u8]) {
    let blocks = blocks(input);
    let Some(root) = blocks.last() else { return };
    let store = MemoryStore::default();
    ready(store.put_many(blocks.clone())).expect("invariant: memory takes blocks");
    let (whole, is_whole) = bytes_of(&store, root, 0..u64::MAX);
    for range in [0..3, 2..5, 7..7, 100..4000] {
        let (part, is_ended) = bytes_of(&store, root, range.clone());
        assert!(part.len() as u64 <= range.end - range.start, "no more than was asked for");
        let place = |at: u64| usize::try_from(at).unwrap_or(usize::MAX).min(whole.len());
        if is_whole && is_ended {
            assert_eq!(part, whole[place(range.start)..place(range.end)], "{range:?}");
        }
    }
    let mut seen = Vec::new();
    for entry in items(list(&store, root)).into_iter().map_while(Result::ok) {
        let is_first = !seen.contains(&entry.name);
        seen.push(entry.name.clone());
        // A name that hashes elsewhere than where it stands is listed and not found.
        if let (true, Ok(Some(found))) = (is_first, ready(find(&store, root, &entry.name))) {
            assert_eq!(found.name, entry.name);
        }
    }
    let path = ["a", "b", "a"].map(str::to_owned);
    let resolved: Result<_, UnixfsError> = ready(resolve_from(&store, root.cid(), &path));
    let known = |cid: &Cid| blocks.iter().any(|block| block.cid() == cid);
    assert!(resolved.is_err() || resolved.is_ok_and(|resolved| known(&resolved.cid)));
    let visits = items(walk(&store, &[root.cid().clone()], WalkOptions::default()));
    assert!(visits.iter().flatten().all(|visit| known(&visit.cid)), "nothing is made up");
}

fn seeds() -> Vec<Vec<u8>> {
    let data = |kind, sizes: &[u64], own: &'static [u8]| {
        let mut data = Data::new(kind);
        data.filesize = Some(sizes.iter().sum::<u64>() + own.len() as u64);
        data.blocksizes = sizes.to_vec();
        data.data = Some(Bytes::from_static(own)).filter(|own| !own.is_empty());
        let bytes = data.encode();
        [&[bytes.len() as u8][..], &bytes].concat()
    };
    let leaf = [&[0x80, 3][..], b"abc"].concat();
    let small = [&[0][..], &data(DataType::File, &[], b"hello")].concat();
    let link = |at: u8, name: &[u8]| [&[at, 7, name.len() as u8][..], name].concat();
    let file =
        [&[2][..], &link(0, b""), &link(1, b""), &data(DataType::File, &[3, 5], b"")].concat();
    let folder =
        [&[2][..], &link(0, b"a"), &link(2, b"b"), &data(DataType::Directory, &[], b"")].concat();
    let mut shard = Data::new(DataType::HamtShard);
    shard.data = Some(Bytes::from_static(&[0x80, 1]));
    shard.hash_type = Some(0x22);
    shard.fanout = Some(256);
    let shard = shard.encode();
    let shard =
        [&[2][..], &link(0, b"07a"), &link(3, b"0F"), &[shard.len() as u8], &shard].concat();
    let symlink = [&[0][..], &data(DataType::Symlink, &[], b"../x")].concat();
    let all = [&leaf[..], &small, &file, &folder].concat();
    vec![
        [&leaf[..], &small, &file].concat(),
        [&all[..], &shard].concat(),
        [&symlink[..], &all].concat(),
        all,
    ]
}
