//! Walks over DAGs of every shape: order, depth, holes, hostile widths, slow stores.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use bytes::Bytes;
use cairn_block::{Block, BlockStore as _, Cid, MemoryStore, codec};
use cairn_dag::{
    DagError, Node, Visit, WalkOptions,
    ahead::Window,
    codec as codecs,
    dag_pb::{PbLink, PbNode, encode},
    walk,
};
use cairn_testkit::{Random, SlowStore, block_on};
use futures::StreamExt as _;
use std::collections::HashSet;

fn node(store: &MemoryStore, name: &str, children: &[&Cid]) -> Cid {
    let link = |cid: &&Cid| PbLink::new(Bytes::new(), (*cid).clone(), 1);
    let links = children.iter().map(link).collect();
    let data = Some(Bytes::copy_from_slice(name.as_bytes()));
    put(store, Block::sha2_256(codec::DAG_PB, encode(&PbNode { links, data }).into()))
}

fn raw(store: &MemoryStore, name: &str) -> Cid {
    put(store, Block::sha2_256(codec::RAW, Bytes::copy_from_slice(name.as_bytes())))
}

fn put(store: &MemoryStore, block: Block) -> Cid {
    let cid = block.cid().clone();
    block_on(store.put_many(vec![block])).unwrap();
    cid
}

fn visits(store: &MemoryStore, root: &Cid, options: WalkOptions) -> Vec<Result<Visit, DagError>> {
    let slow = SlowStore::new(store, 3);
    let roots = std::slice::from_ref(root);
    block_on(walk(slow, roots, options).collect())
}

fn cids(visits: &[Result<Visit, DagError>]) -> Vec<Cid> {
    visits.iter().filter_map(|visit| visit.as_ref().ok()).map(|visit| visit.cid.clone()).collect()
}

const EVERY_PATH: WalkOptions = WalkOptions {
    unique: false,
    max_depth: None,
    skip_leaves: false,
    window: Window { blocks: 256, bytes: 32 << 20 },
};

#[test]
fn parents_come_before_children_and_each_subtree_before_the_next() {
    let store = MemoryStore::default();
    let (one, two, three) = (raw(&store, "x"), raw(&store, "y"), raw(&store, "z"));
    let left = node(&store, "a", &[&one, &two]);
    let right = node(&store, "b", &[&two, &left]);
    let root = node(&store, "root", &[&left, &right, &three]);
    let every = visits(&store, &root, EVERY_PATH);
    let expected = [&root, &left, &one, &two, &right, &two, &left, &one, &two, &three];
    assert_eq!(cids(&every).iter().collect::<Vec<_>>(), expected);
    let depths: Vec<usize> = every.iter().flatten().map(|visit| visit.depth).collect();
    assert_eq!(depths, [0, 1, 2, 2, 1, 2, 2, 3, 3, 1]);
    let parent = every[6].as_ref().unwrap().parent.as_ref();
    assert_eq!(parent, Some(&right));
    let unique = visits(&store, &root, WalkOptions::default());
    assert_eq!(
        cids(&unique).iter().collect::<Vec<_>>(),
        [&root, &left, &one, &two, &right, &three]
    );
}

#[test]
fn the_depth_limit_cuts_and_a_nearer_path_goes_deeper() {
    let store = MemoryStore::default();
    let leaf = raw(&store, "leaf");
    let shared = node(&store, "shared", &[&leaf]);
    let far = node(&store, "far", &[&shared]);
    let root = node(&store, "root", &[&far, &shared]);
    let at = |max_depth, unique| {
        let options = WalkOptions { max_depth: Some(max_depth), unique, ..EVERY_PATH };
        cids(&visits(&store, &root, options))
    };
    assert_eq!(at(0, true), std::slice::from_ref(&root));
    assert_eq!(at(1, true), [root.clone(), far.clone(), shared.clone()]);
    assert_eq!(at(2, true), [root.clone(), far.clone(), shared.clone(), leaf.clone()]);
    assert_eq!(at(2, false), [root, far, shared.clone(), shared, leaf]);
}

#[test]
fn a_hole_is_reported_in_its_place_and_the_walk_goes_on() {
    let store = MemoryStore::default();
    let (x, y) = (raw(&store, "x"), raw(&store, "y"));
    let gone = node(&store, "gone", &[&x]);
    let root = node(&store, "root", &[&gone, &y]);
    store.remove(&gone);
    let seen = visits(&store, &root, WalkOptions::default());
    assert_eq!(cids(&seen), [root, y]);
    let error = seen[1].as_ref().unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(error.to_string().contains(&gone.to_string()), "{error}");
}

#[test]
fn what_is_not_dag_pb_is_named() {
    let store = MemoryStore::default();
    let bad = put(&store, Block::sha2_256(codec::DAG_PB, Bytes::from_static(b"nonsense")));
    let cbor = put(&store, Block::sha2_256(codec::GIT_RAW, Bytes::from_static(b"tree")));
    let root = node(&store, "root", &[&bad, &cbor]);
    let seen = visits(&store, &root, WalkOptions::default());
    let texts: Vec<String> =
        seen.iter().filter_map(|visit| visit.as_ref().err()).map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2);
    assert!(texts[0].contains(&bad.to_string()) && texts[0].contains("malformed"), "{}", texts[0]);
    assert!(texts[1].contains("git-raw"), "{}", texts[1]);
}

#[test]
fn leaves_need_not_be_fetched() {
    let store = MemoryStore::default();
    let x = raw(&store, "x");
    let root = node(&store, "root", &[&x]);
    store.remove(&x);
    let options = WalkOptions { skip_leaves: true, ..WalkOptions::default() };
    let seen = visits(&store, &root, options);
    assert_eq!(cids(&seen), [root, x]);
    assert!(seen[1].as_ref().unwrap().block.is_none());
}

#[test]
fn a_doubling_dag_is_walked_once() {
    let store = MemoryStore::default();
    let mut cid = raw(&store, "bottom");
    for depth in 0..60 {
        cid = node(&store, &depth.to_string(), &[&cid, &cid]);
    }
    let slow = SlowStore::new(&store, 1);
    let roots = [cid];
    let seen = block_on(walk(slow.clone(), &roots, WalkOptions::default()).count());
    assert_eq!(seen, 61);
    assert!(slow.blocks() < 1000, "{} blocks were asked for", slow.blocks());
}

#[test]
fn a_chain_without_end_is_cut() {
    let store = MemoryStore::default();
    let mut cid = raw(&store, "bottom");
    for depth in 0..1100 {
        cid = node(&store, &depth.to_string(), &[&cid]);
    }
    let seen = visits(&store, &cid, WalkOptions::default());
    assert_eq!(seen.len(), 1025);
    assert!(matches!(seen[1024], Err(DagError::TooDeep { .. })));
}

#[test]
fn links_that_understate_lengths_do_not_fill_the_memory() {
    let store = MemoryStore::default();
    let large = Block::sha2_256(codec::RAW, Random::new(2).bytes(1 << 20));
    let large = put(&store, large);
    let root = node(&store, "root", &vec![&large; 500]);
    let slow = SlowStore::new(&store, 1);
    let mut walk = Box::pin(walk(slow.clone(), &[root], EVERY_PATH));
    for handed_out in 0..120 {
        let visit = block_on(walk.next()).unwrap().unwrap();
        assert_eq!(visit.depth, handed_out.min(1));
        let ahead = slow.blocks() - handed_out;
        assert!(ahead <= 100, "{ahead} blocks of 1 MiB ahead");
    }
    let ahead = slow.blocks() - 120;
    assert!(ahead <= 33, "{ahead} blocks of 1 MiB ahead once the lie is known");
}

#[test]
fn wide_levels_are_fetched_many_at_once() {
    let store = MemoryStore::default();
    let mut random = Random::new(1);
    let mut tops = Vec::new();
    let mut all = HashSet::new();
    for index in 0..100 {
        let leaves: Vec<Cid> = (0..20).map(|_| raw(&store, &random.number().to_string())).collect();
        all.extend(leaves.iter().cloned());
        tops.push(node(&store, &index.to_string(), &leaves.iter().collect::<Vec<_>>()));
    }
    let root = node(&store, "root", &tops.iter().collect::<Vec<_>>());
    let slow = SlowStore::new(&store, 50);
    let visits: Vec<_> = block_on(walk(slow.clone(), &[root], WalkOptions::default()).collect());
    assert_eq!(visits.len(), 2101);
    assert!(all.is_subset(&cids(&visits).into_iter().collect()));
    assert_eq!(slow.blocks(), 2101, "nothing is fetched twice");
    assert!(slow.in_flight_max() >= 4, "{} batches in flight", slow.in_flight_max());
    assert!(slow.batches() < 250, "{} batches", slow.batches());
}

/// A walk goes on over links of any codec, and names the block whose codec it does not know.
#[test]
fn links_of_every_codec_are_followed() {
    let store = MemoryStore::default();
    let leaf = raw(&store, "leaf");
    let put_node = |code: u64, node: Node| {
        put(&store, Block::sha2_256(code, codecs::encode(code, &node).unwrap().into()))
    };
    let link = |cid: &Cid| Node::link(cid.clone());
    let json = put_node(codec::DAG_JSON, Node::List(vec![link(&leaf)]));
    let signed = Node::Map(vec![
        ("payload".to_owned(), Node::Bytes(json.to_bytes())),
        ("signatures".to_owned(), Node::List(vec![])),
    ]);
    let jose = put_node(codec::DAG_JOSE, signed);
    let tree = [&b"tree 29\x00100644 a\0"[..], &[7; 20]].concat();
    let tree = put(&store, Block::sha2_256(codec::GIT_RAW, tree.into()));
    let plain = put_node(codec::CBOR, Node::Integer(1));
    let cbor = put_node(codec::DAG_CBOR, Node::List(vec![link(&jose), link(&tree), link(&plain)]));
    let root = node(&store, "root", &[&cbor]);
    let visits: Vec<Result<Visit, DagError>> =
        gather_all(walk(&store, std::slice::from_ref(&root), WalkOptions::default()));
    let found: Vec<&Cid> = visits.iter().flatten().map(|visit| &visit.cid).collect();
    assert_eq!(found, [&root, &cbor, &jose, &json, &leaf, &tree, &plain]);
    // The tree's blob is not there.
    assert_eq!(visits.iter().filter(|visit| visit.is_err()).count(), 1);
    let unknown = put(&store, Block::sha2_256(0x90, Bytes::from_static(b"x")));
    let visits: Vec<Result<Visit, DagError>> =
        gather_all(walk(&store, &[unknown], WalkOptions::default()));
    assert!(matches!(visits[..], [Err(DagError::Unsupported { .. })]), "{visits:?}");
}

fn gather_all(
    visits: impl futures::Stream<Item = Result<Visit, DagError>>,
) -> Vec<Result<Visit, DagError>> {
    block_on(visits.collect())
}
