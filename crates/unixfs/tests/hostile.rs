//! DAGs made to mislead: sizes that lie, endless depth, tries of the wrong shape.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use bytes::Bytes;
use cairn_block::{Block, BlockStore as _, Cid, MemoryStore, codec};
use cairn_dag::{
    DagError,
    dag_pb::{PbLink, PbNode, encode},
};
use cairn_testkit::{SlowStore, block_on, gather};
use cairn_unixfs::{Data, DataType, DirEntry, Entry, UnixfsError, find, leaf, list, read};
use futures::TryStreamExt as _;

#[derive(Default)]
struct Dag {
    store: MemoryStore,
}

impl Dag {
    fn put(&self, block: &Block) {
        block_on(self.store.put_many(vec![block.clone()])).unwrap();
    }

    fn raw(&self, data: &'static [u8]) -> Cid {
        let block = Block::sha2_256(codec::RAW, Bytes::from_static(data));
        self.put(&block);
        block.cid().clone()
    }

    fn node(&self, data: &Data, links: Vec<PbLink>) -> Block {
        let node = PbNode { links, data: Some(data.encode().into()) };
        let block = Block::sha2_256(codec::DAG_PB, encode(&node).into());
        self.put(&block);
        block
    }

    /// A file node whose links claim to hold `blocksizes`.
    fn file(&self, filesize: Option<u64>, blocksizes: &[u64], children: &[&Cid]) -> Block {
        let mut data = Data::new(DataType::File);
        data.filesize = filesize;
        data.blocksizes = blocksizes.to_vec();
        let link = |cid: &&Cid| PbLink::new("", (*cid).clone(), 1);
        self.node(&data, children.iter().map(link).collect())
    }

    fn shard(&self, field: &'static [u8], fanout: u64, links: Vec<PbLink>) -> Block {
        let mut data = Data::new(DataType::HamtShard);
        data.data = Some(Bytes::from_static(field));
        data.hash_type = Some(0x22);
        data.fanout = Some(fanout);
        self.node(&data, links)
    }

    fn read(&self, root: &Block) -> Result<Vec<u8>, UnixfsError> {
        gather(read(&self.store, root, 0..u64::MAX))
    }

    fn list(&self, root: &Block) -> Result<Vec<DirEntry>, UnixfsError> {
        block_on(list(&self.store, root).try_collect())
    }
}

#[test]
fn sizes_that_lie_are_refused_by_name() {
    let dag = Dag::default();
    let four = dag.raw(b"four");
    let rows = [
        ("leaf longer than said", dag.file(None, &[3], &[&four]), Some((3, 4))),
        ("leaf shorter than said", dag.file(None, &[5], &[&four]), Some((5, 4))),
        ("total too small", dag.file(Some(3), &[4], &[&four]), Some((3, 4))),
        ("total too large", dag.file(Some(9), &[4], &[&four]), Some((9, 4))),
        ("size of 2^64-1", dag.file(None, &[u64::MAX], &[&four]), Some((u64::MAX, 4))),
        ("fewer sizes than links", dag.file(None, &[4], &[&four, &four]), None),
        ("more sizes than links", dag.file(None, &[4, 4], &[&four]), None),
    ];
    for (name, root, expected) in rows {
        match (dag.read(&root).unwrap_err(), expected) {
            (UnixfsError::Len { declared, actual, .. }, Some(lens)) => {
                assert_eq!((declared, actual), lens, "{name}");
            }
            (UnixfsError::Malformed { cid, .. }, None) => assert_eq!(&cid, root.cid(), "{name}"),
            (error, _) => panic!("{name}: {error}"),
        }
    }
}

#[test]
fn a_file_that_overflows_is_refused() {
    let dag = Dag::default();
    let four = dag.raw(b"four");
    let half = dag.file(None, &[u64::MAX], &[&four]);
    let root = dag.file(None, &[u64::MAX, u64::MAX], &[half.cid(), half.cid()]);
    let error = gather(read(&dag.store, &root, u64::MAX - 1..u64::MAX)).unwrap_err();
    assert!(matches!(error, UnixfsError::Len { .. }), "{error}");
}

#[test]
fn a_file_without_total_is_read() {
    let dag = Dag::default();
    let four = dag.raw(b"four");
    let root = dag.file(None, &[4, 4], &[&four, &four]);
    assert_eq!(dag.read(&root).unwrap(), b"fourfour");
    assert_eq!(Entry::of(&root).unwrap().len, 8);
}

#[test]
fn data_in_an_inner_node_comes_before_its_links() {
    let dag = Dag::default();
    let four = dag.raw(b"four");
    let mut data = Data::new(DataType::File);
    data.data = Some(Bytes::from_static(b"three-"));
    data.filesize = Some(10);
    data.blocksizes = vec![4];
    let root = dag.node(&data, vec![PbLink::new("", four, 4)]);
    assert_eq!(dag.read(&root).unwrap(), b"three-four");
    let tail = gather(read(&dag.store, &root, 5..8)).unwrap();
    assert_eq!(tail, b"-fo");
}

#[test]
fn empty_children_are_not_fetched() {
    let dag = Dag::default();
    let (four, nothing) = (dag.raw(b"four"), dag.raw(b""));
    dag.store.remove(&nothing);
    let root = dag.file(Some(4), &[0, 4, 0], &[&nothing, &four, &nothing]);
    assert_eq!(dag.read(&root).unwrap(), b"four");
}

#[test]
fn a_file_too_deep_is_refused() {
    let dag = Dag::default();
    let four = dag.raw(b"four");
    let mut root = dag.file(None, &[4], &[&four]);
    for _ in 0..63 {
        root = dag.file(None, &[4], &[root.cid()]);
    }
    assert_eq!(dag.read(&root).unwrap(), b"four");
    root = dag.file(None, &[4], &[root.cid()]);
    let error = dag.read(&root).unwrap_err();
    assert!(matches!(error, UnixfsError::Dag(DagError::TooDeep { limit: 64, .. })), "{error}");
}

#[test]
fn a_file_of_many_copies_is_read_piece_by_piece() {
    let dag = Dag::default();
    let mut cid = dag.raw(b"0123456789abcdef");
    let mut len = 16;
    for _ in 0..40 {
        cid = dag.file(None, &[len, len], &[&cid, &cid]).cid().clone();
        len *= 2;
    }
    let root = dag.file(None, &[len], &[&cid]);
    let slow = SlowStore::new(&dag.store, 1);
    let bytes = gather(read(slow.clone(), &root, len - 40..len)).unwrap();
    assert_eq!(bytes, b"89abcdef0123456789abcdef0123456789abcdef");
    assert!(slow.blocks() < 100, "{} blocks", slow.blocks());
}

#[test]
fn a_directory_inside_a_file_is_refused() {
    let dag = Dag::default();
    let inner = dag.node(&Data::new(DataType::Directory), Vec::new());
    let root = dag.file(None, &[4], &[inner.cid()]);
    let error = dag.read(&root).unwrap_err();
    assert!(matches!(error, UnixfsError::NotAFile { kind: "directory", .. }), "{error}");
}

#[test]
fn tries_of_the_wrong_shape_are_refused() {
    let dag = Dag::default();
    let leaf = dag.raw(b"leaf");
    let link = |name: &'static str| PbLink::new(name, leaf.clone(), 4);
    let mut other_hash = Data::new(DataType::HamtShard);
    other_hash.fanout = Some(256);
    other_hash.hash_type = Some(0x12);
    let rows = [
        ("other hash", dag.node(&other_hash, Vec::new())),
        ("fanout 0", dag.shard(&[], 0, Vec::new())),
        ("fanout 100", dag.shard(&[], 100, Vec::new())),
        ("fanout 4096", dag.shard(&[], 4096, Vec::new())),
        ("fanout 2^63", dag.shard(&[], 1 << 63, Vec::new())),
        ("bit without link", dag.shard(&[3], 256, vec![link("00a")])),
        ("link without bit", dag.shard(&[1], 256, vec![link("00a"), link("01b")])),
        ("bit field too long", dag.shard(&[1, 0], 8, vec![link("0a")])),
        ("name shorter than the prefix", dag.shard(&[1], 256, vec![link("0")])),
    ];
    for (name, root) in rows {
        let error = dag.list(&root).unwrap_err();
        assert!(
            matches!(&error, UnixfsError::Malformed { cid, .. } if cid == root.cid()),
            "{name}"
        );
        assert!(block_on(find(&dag.store, &root, "a")).is_err(), "{name}");
    }
}

#[test]
fn a_trie_below_its_last_level_is_refused() {
    let dag = Dag::default();
    let leaf = dag.raw(b"leaf");
    let mut shard = dag.shard(&[1], 256, vec![PbLink::new("00name", leaf, 4)]);
    for _ in 0..7 {
        shard = dag.shard(&[1], 256, vec![PbLink::new("00", shard.cid().clone(), 4)]);
    }
    assert_eq!(dag.list(&shard).unwrap().len(), 1);
    shard = dag.shard(&[1], 256, vec![PbLink::new("00", shard.cid().clone(), 4)]);
    let error = dag.list(&shard).unwrap_err();
    assert!(matches!(error, UnixfsError::Malformed { .. }), "{error}");
}

#[test]
fn a_trie_may_not_change_its_width_on_the_way() {
    let dag = Dag::default();
    let inner = dag.shard(&[], 8, Vec::new());
    let plain = dag.node(&Data::new(DataType::Directory), Vec::new());
    for below in [inner, plain] {
        let root = dag.shard(&[1], 256, vec![PbLink::new("00", below.cid().clone(), 4)]);
        let error = dag.list(&root).unwrap_err();
        assert!(
            matches!(&error, UnixfsError::Malformed { cid, .. } if cid == below.cid()),
            "{error}"
        );
    }
}

#[test]
fn names_that_are_not_text_are_shown_and_do_not_hide_others() {
    let dag = Dag::default();
    let leaf = dag.raw(b"leaf");
    let links = vec![PbLink::new(&b"\xff\xfe"[..], leaf.clone(), 4), PbLink::new("good", leaf, 4)];
    let root = dag.node(&Data::new(DataType::Directory), links);
    let names: Vec<String> = dag.list(&root).unwrap().into_iter().map(|entry| entry.name).collect();
    assert_eq!(names, ["\u{fffd}\u{fffd}", "good"]);
    assert!(block_on(find(&dag.store, &root, "good")).unwrap().is_some());
}

#[test]
fn blocks_that_are_no_unixfs_are_named() {
    let dag = Dag::default();
    let without = Block::sha2_256(codec::DAG_PB, Bytes::new());
    let nonsense = Block::sha2_256(codec::DAG_PB, leaf(Bytes::from_static(b"x"), false).slice(1..));
    let mut bytes = vec![0x0a, 3, 0x08, 9, 0];
    bytes.truncate(5);
    let unknown = Block::sha2_256(codec::DAG_PB, bytes.into());
    for block in [without, nonsense, unknown] {
        let text = Entry::of(&block).unwrap_err().to_string();
        assert!(text.contains(&block.cid().to_string()), "{text}");
        assert!(dag.read(&block).is_err() && dag.list(&block).is_err(), "{text}");
    }
}
