//! A file that is changed holds the bytes that were asked for, has the CID that building gives
//! where it can, and little of it is read.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use bytes::Bytes;
use cairn_block::{Block, BlockStore as _, BlockStoreExt as _, MemoryStore, codec};
use cairn_chunk::{ChunkSpec, Cutter};
use cairn_dag::dag_pb;
use cairn_testkit::{Random, SlowStore, block_on};
use cairn_unixfs::{
    Child, Data, Entry, FileBuilder, FileEditor, Layout, Metadata, Mtime, Options, Written,
    leaf_with_metadata, leaves_of, read,
};
use futures::TryStreamExt as _;
use proptest::prelude::{any, prop, proptest};

fn chunker(len: usize) -> ChunkSpec {
    ChunkSpec::Fixed { len }
}

fn leaves(store: &MemoryStore, bytes: &[u8], chunk_len: usize, options: &Options) -> Vec<Child> {
    let mut bytes = Bytes::copy_from_slice(bytes);
    let mut cutter = Cutter::new(&chunker(chunk_len));
    let mut chunks = Vec::new();
    while let Some(len) = cutter.next(&bytes, true) {
        chunks.push(bytes.split_to(len));
    }
    let (leaves, blocks) = leaves_of(chunks, options).unwrap();
    block_on(store.put_many(blocks)).unwrap();
    leaves
}

/// A file as `add` makes it.
fn built(
    store: &MemoryStore,
    bytes: &[u8],
    (chunk_len, metadata): (usize, &Metadata),
    options: &Options,
) -> Child {
    let leaves = leaves(store, bytes, chunk_len, options);
    let mut out = Vec::new();
    let child = if leaves.len() <= 1 && !metadata.is_empty() && options.layout == Layout::Balanced {
        let data = leaf_with_metadata(Bytes::copy_from_slice(bytes), metadata);
        let block = options.block(codec::DAG_PB, data).unwrap();
        let child = Child::leaf(block.cid().clone(), bytes.len(), block.data().len());
        out.push(block);
        child
    } else {
        let mut builder = FileBuilder::with_metadata(options, metadata);
        for leaf in leaves {
            builder.push(leaf, &mut out).unwrap();
        }
        builder.finish(&mut out).unwrap()
    };
    block_on(store.put_many(out)).unwrap();
    child
}

fn root(store: &MemoryStore, child: &Child) -> Block {
    block_on(store.require(&child.cid)).unwrap()
}

/// Reads a file by the strict reader, and checks what its blocks say of sizes.
fn bytes_of(store: &MemoryStore, child: &Child) -> Vec<u8> {
    let block = root(store, child);
    assert_eq!(total_len(store, &block), child.total_len, "the sizes of all blocks add up");
    let parts: Vec<Bytes> = block_on(read(store, &block, 0..u64::MAX).try_collect()).unwrap();
    let bytes = parts.concat();
    assert_eq!(bytes.len() as u64, child.data_len);
    assert_eq!(Entry::of(&block).unwrap().len, child.data_len);
    bytes
}

fn total_len(store: &MemoryStore, block: &Block) -> u64 {
    let mut sum = block.data().len() as u64;
    if block.cid().codec() == codec::DAG_PB {
        for link in dag_pb::decode(block.data()).unwrap().links {
            let below = block_on(store.require(&link.cid)).unwrap();
            let len = total_len(store, &below);
            assert_eq!(link.size, Some(len));
            sum += len;
        }
    }
    sum
}

fn write(
    store: &MemoryStore,
    old: Option<&Child>,
    (offset, written): (u64, &Written),
    (chunk_len, metadata): (usize, &Metadata),
    options: &Options,
) -> Child {
    let editor = FileEditor::new(store, options, &chunker(chunk_len));
    let old = old.map(|child| root(store, child));
    block_on(editor.write(old.as_ref(), (offset, written), metadata)).unwrap()
}

proptest! {
    #[test]
    fn writes_give_the_bytes_of_a_vector(
        changes in prop::collection::vec((0_u8..8, any::<u16>(), 0_usize..60, any::<u8>()), 1..40),
        raw_leaves: bool,
        trickle: bool,
        dated: bool,
        max_links in 2_usize..5,
        chunk_len in 1_usize..9,
    ) {
        let layout = if trickle { Layout::Trickle } else { Layout::Balanced };
        let options = Options { raw_leaves, layout, max_links, ..Options::default() };
        let metadata = Metadata {
            mode: dated.then_some(0o640),
            mtime: dated.then_some(Mtime { secs: 3, nanos: 0 }),
        };
        let store = MemoryStore::default();
        let (mut expected, mut file): (Vec<u8>, Option<Child>) = (Vec::new(), None);
        let mut shape = (chunk_len, &metadata);
        for (what, at, len, byte) in changes {
            let offset = usize::from(at) % (expected.len() + 20);
            let bytes: Vec<u8> = (0..len).map(|index| byte.wrapping_add(index as u8)).collect();
            let old = file.as_ref();
            file = Some(match (what, old) {
                (0, Some(old)) => {
                    let editor = FileEditor::new(&store, &options, &chunker(shape.0));
                    let len = offset as u64;
                    expected.resize(offset, 0);
                    block_on(editor.set_len(&root(&store, old), len, &metadata)).unwrap()
                }
                (1, _) => {
                    // A file with leaves of another length is taken over.
                    expected.clone_from(&bytes);
                    shape.0 = 1 + usize::from(byte) % 8;
                    built(&store, &bytes, (1 + usize::from(at) % 8, &metadata), &options)
                }
                _ => {
                    let streamed = what < 4;
                    let written = if streamed {
                        Written::Leaves(leaves(&store, &bytes, shape.0, &options))
                    } else {
                        Written::Bytes(bytes.clone().into())
                    };
                    if !bytes.is_empty() {
                        expected.resize(expected.len().max(offset + len), 0);
                        expected[offset..offset + len].copy_from_slice(&bytes);
                    }
                    write(&store, old, (offset as u64, &written), shape, &options)
                }
            });
            let file = file.as_ref().unwrap();
            assert_eq!(bytes_of(&store, file), expected);
            let entry = Entry::of(&root(&store, file)).unwrap();
            assert_eq!((entry.mode, entry.mtime), (metadata.mode, metadata.mtime));
        }
    }

    #[test]
    fn a_file_that_grows_or_is_overwritten_has_the_cid_of_one_made_at_once(
        lens in prop::collection::vec(0_usize..40, 1..12),
        raw_leaves: bool,
        dated: bool,
        trickle: bool,
        max_links in 2_usize..5,
        chunk_len in 1_usize..9,
        cut: u16,
    ) {
        let layout = if trickle { Layout::Trickle } else { Layout::Balanced };
        let options = Options { raw_leaves, layout, max_links, ..Options::default() };
        let metadata = Metadata { mode: dated.then_some(0o600), mtime: None };
        let shape = (chunk_len, &metadata);
        let store = MemoryStore::default();
        let (mut expected, mut file): (Vec<u8>, Option<Child>) = (Vec::new(), None);
        for len in lens {
            let bytes: Vec<u8> = (0..len).map(|at| (expected.len() + at) as u8).collect();
            let offset = expected.len() as u64;
            expected.extend_from_slice(&bytes);
            let written = Written::Bytes(bytes.into());
            let grown = write(&store, file.as_ref(), (offset, &written), shape, &options);
            assert_eq!(grown, built(&store, &expected, shape, &options));
            file = Some(grown);
        }
        let file = file.unwrap();
        let at = usize::from(cut) % (expected.len() + 1);
        let kept = expected[..at].to_vec();
        let editor = FileEditor::new(&store, &options, &chunker(chunk_len));
        let shorter = block_on(editor.set_len(&root(&store, &file), at as u64, &metadata)).unwrap();
        assert_eq!(shorter, built(&store, &kept, shape, &options));
        expected[at..].fill(7);
        let written = Written::Bytes(expected[at..].to_vec().into());
        let changed = write(&store, Some(&file), (at as u64, &written), shape, &options);
        assert_eq!(changed, built(&store, &expected, shape, &options));
    }

    #[test]
    fn holes_are_what_zeros_would_be(
        before in 0_usize..60,
        zeros in 0_usize..300,
        max_links in 2_usize..5,
        raw_leaves: bool,
    ) {
        let options = Options { raw_leaves, max_links, ..Options::default() };
        let shape = (4, &Metadata::default());
        let store = MemoryStore::default();
        let mut bytes = vec![1_u8; before * 4];
        let file = built(&store, &bytes, shape, &options);
        bytes.resize(bytes.len() + zeros, 0);
        let editor = FileEditor::new(&store, &options, &chunker(4));
        let len = bytes.len() as u64;
        let longer = block_on(editor.set_len(&root(&store, &file), len, shape.1)).unwrap();
        assert_eq!(longer, built(&store, &bytes, shape, &options));
    }
}

/// A file of 10 GiB that is the same leaf over and over.
fn ten_gib(store: &MemoryStore, options: &Options) -> Child {
    let leaf = leaves(store, &vec![9; 262_144], 262_144, options).pop().unwrap();
    let mut builder = FileBuilder::new(options);
    let mut out = Vec::new();
    for _ in 0..40_960 {
        builder.push(leaf.clone(), &mut out).unwrap();
    }
    let file = builder.finish(&mut out).unwrap();
    block_on(store.put_many(out)).unwrap();
    file
}

#[test]
fn little_of_ten_gib_is_read_and_written() {
    for (raw_leaves, layout) in
        [(true, Layout::Balanced), (false, Layout::Balanced), (true, Layout::Trickle)]
    {
        let options = Options { raw_leaves, layout, ..Options::default() };
        let store = MemoryStore::default();
        let file = ten_gib(&store, &options);
        let block = root(&store, &file);
        // Inner nodes on the way to a leaf, besides the root.
        let way = if layout == Layout::Balanced { 2 } else { 7 };
        let middle = 5 * 1024 * 1024 * 1024;
        // Within a leaf, across two, and a whole one; how many ways lead there, and which leaves
        // keep some of their bytes.
        for (offset, len, ways, leaf_count) in
            [(middle + 4096, 4096, 1, 1), (middle - 2048, 4096, 2, 2), (middle, 262_144, 1, 0)]
        {
            let slow = SlowStore::new(&store, 1);
            let before = store.len();
            let written = Written::Bytes(vec![1; len].into());
            let editor = FileEditor::new(&slow, &options, &chunker(262_144));
            let metadata = Metadata::default();
            let changed = block_on(editor.write(Some(&block), (offset, &written), &metadata));
            let changed = changed.unwrap();
            assert_eq!(changed.data_len, file.data_len);
            let most = ways * way + leaf_count;
            assert!(slow.blocks() <= most, "{} blocks read", slow.blocks());
            let new = store.len() - before;
            assert!(new <= 1 + ways * (way + 1), "{new} blocks new");
            let range = offset - 10..offset + len as u64 + 10;
            let parts = read(&store, &root(&store, &changed), range);
            let parts: Vec<Bytes> = block_on(parts.try_collect()).unwrap();
            let mut expected = vec![9; len + 20];
            expected[10..len + 10].fill(1);
            assert!(parts.concat() == expected);
        }
    }
}

#[test]
fn a_long_file_grows_along_its_edge_and_holes_cost_nothing() {
    let options = Options::v1();
    let store = MemoryStore::default();
    let file = ten_gib(&store, &options);
    let block = root(&store, &file);
    let slow = SlowStore::new(&store, 1);
    let before = store.len();
    let metadata = Metadata::default();
    let end = file.data_len;
    let written = Written::Bytes(vec![1; 4096].into());
    let editor = FileEditor::new(&slow, &options, &chunker(262_144));
    let longer = block_on(editor.write(Some(&block), (end, &written), &metadata)).unwrap();
    assert_eq!(longer.data_len, end + 4096);
    assert!(slow.blocks() <= 3, "{} blocks read", slow.blocks());
    assert!(store.len() - before <= 4, "{} blocks new", store.len() - before);
    // To 2^60 bytes.
    let before = store.len();
    let editor = FileEditor::new(&slow, &options, &chunker(262_144));
    let vast = block_on(editor.write(Some(&block), (1 << 60, &written), &metadata)).unwrap();
    assert_eq!(vast.data_len, (1 << 60) + 4096);
    assert!(store.len() - before <= 40, "{} blocks new", store.len() - before);
    let parts = read(&store, &root(&store, &vast), (1 << 60) - 10..u64::MAX);
    let parts: Vec<Bytes> = block_on(parts.try_collect()).unwrap();
    assert!(parts.concat() == [vec![0; 10], vec![1; 4096]].concat());
    let editor = FileEditor::new(&slow, &options, &chunker(262_144));
    let beyond = block_on(editor.write(Some(&block), (u64::MAX, &written), &metadata));
    assert!(beyond.unwrap_err().to_string().contains("too long"));
}

/// In the trickle layout, too, only the right edge is read, wherever in its growth the file is, and
/// the file that comes out is the one that is built at once.
#[test]
fn a_trickle_file_grows_along_its_edge() {
    let store = MemoryStore::default();
    let options = Options { layout: Layout::Trickle, max_links: 3, ..Options::v1() };
    let whole = Random::new(31).bytes(4010 * 8);
    for count in (1..4000).step_by(37) {
        let data = &whole[..count * 8];
        let file = built(&store, data, (8, &Metadata::default()), &options);
        let block = root(&store, &file);
        let slow = SlowStore::new(&store, 1);
        let editor = FileEditor::new(&slow, &options, &chunker(8));
        let written = Written::Bytes(whole.slice(count * 8..count * 8 + 80));
        let place = (file.data_len, &written);
        let longer = block_on(editor.write(Some(&block), place, &Metadata::default())).unwrap();
        let grown = &whole[..count * 8 + 80];
        let at_once = built(&store, grown, (8, &Metadata::default()), &options);
        assert_eq!(longer.cid, at_once.cid, "{count}");
        // The root is in hand, and no leaf is read.
        assert!(slow.blocks() <= 12, "{} blocks read of {count} leaves", slow.blocks());
        // So does one that is cut off.
        let slow = SlowStore::new(&store, 1);
        let editor = FileEditor::new(&slow, &options, &chunker(8));
        let len = (count as u64).div_ceil(2) * 8;
        let shorter = block_on(editor.set_len(&block, len, &Metadata::default())).unwrap();
        let cut = built(&store, &whole[..len as usize], (8, &Metadata::default()), &options);
        assert_eq!(shorter.cid, cut.cid, "{count}");
        assert!(slow.blocks() <= 12, "{} blocks read of {count} leaves", slow.blocks());
    }
}

#[test]
fn sizes_that_lie_are_refused() {
    let options = Options::default();
    let store = MemoryStore::default();
    let file = built(&store, &[5; 64], (4, &Metadata::default()), &options);
    let block = root(&store, &file);
    let honest = dag_pb::decode(block.data()).unwrap();
    let message = Data::decode(honest.data.as_ref().unwrap()).unwrap();
    let encode = |change: &dyn Fn(&mut Data, &mut dag_pb::PbNode)| {
        let (mut data, mut node) = (message.clone(), honest.clone());
        change(&mut data, &mut node);
        node.data = Some(data.encode().into());
        Block::sha2_256(codec::DAG_PB, dag_pb::encode(&node).into())
    };
    let rows: [(Block, &str); 4] = [
        (encode(&|data, _| data.filesize = Some(65)), "holds 64 bytes"),
        (encode(&|data, _| data.blocksizes.truncate(3)), "as many block sizes"),
        (encode(&|data, _| data.data = Some("own".into())), "its parent says"),
        (
            encode(&|data, _| {
                data.blocksizes[0] = 5;
                data.blocksizes[1] = 3;
            }),
            "its parent says 5",
        ),
    ];
    for (block, text) in rows {
        let editor = FileEditor::new(&store, &options, &chunker(4));
        let written = Written::Bytes("x".into());
        let outcome = block_on(editor.write(Some(&block), (1, &written), &Metadata::default()));
        let error = outcome.unwrap_err().to_string();
        assert!(error.contains(text), "{error}");
    }
}
