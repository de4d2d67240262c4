//! The cases of the gateway conformance suite about CAR files, block by block.
//!
//! Blocks are named by their place in the fixture, which has them in the order of a walk.
//! Source: `tests/trustless_gateway_car_test.go` of the suite, at the commit of the fixtures.

use crate::{client::Answer, site::Site};
use cairn_block::{Block, Cid, codec};
use cairn_dag::CarDecoder;
use serde_json::json;
use std::path::Path;

const MIXED: &str = "subdir-with-mixed-block-files.car";
const TWO: &str = "subdir-with-two-single-block-files.car";
const CBOR: &str = "dir-with-dag-cbor-with-links.car";
const TWICE: &str = "dir-with-duplicate-files.car";
const TORN: &str = "file-3k-and-3-blocks-missing-block.car";
const HAMT: &str = "single-layer-hamt-with-multi-block-files.car";

fn read(bytes: &[u8]) -> Vec<Block> {
    let mut decoder = CarDecoder::new();
    decoder.feed(bytes);
    let mut blocks = Vec::new();
    while let Some((cid, data)) = decoder.next_block().expect("a section") {
        blocks.push(Block::verify(cid, data).expect("verifies"));
    }
    decoder.finish().expect("whole");
    blocks
}

/// A fixture's blocks, which the site has then.
async fn add(site: &Site, name: &str) -> Vec<Block> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../spec/vectors/unixfs");
    let blocks = read(&std::fs::read(vectors.join("conformance").join(name)).expect("a vector"));
    site.put(blocks.clone()).await;
    blocks
}

fn cids(answer: &Answer) -> Vec<Cid> {
    assert_eq!(answer.status, 200, "{}", answer.text());
    read(answer.bytes()).iter().map(|block| block.cid().clone()).collect()
}

/// Fixture, block that the path begins with, the rest of the target, blocks of the answer.
type Row = (&'static str, usize, &'static str, &'static [usize]);

const PATHS: &[Row] = &[
    (TWO, 0, "/subdir/ascii.txt?format=car", &[0, 1, 2]),
    (CBOR, 1, "/files/single?format=car", &[1, 2]),
];

const SCOPES: &[Row] = &[
    (TWO, 0, "/subdir?format=car&dag-scope=block", &[0, 1]),
    (TWO, 0, "/subdir/ascii.txt?format=car&dag-scope=block", &[0, 1, 2]),
    (TWO, 0, "?format=car&dag-scope=entity", &[0]),
    (MIXED, 0, "/subdir/ascii.txt?format=car&dag-scope=entity", &[0, 1, 2]),
    (MIXED, 0, "/subdir/multiblock.txt?format=car&dag-scope=entity", &[0, 1, 4, 5, 6, 7, 8, 9]),
    (CBOR, 0, "/document?format=car&dag-scope=entity", &[0, 1]),
    (MIXED, 0, "/subdir?format=car&dag-scope=all", &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
    (MIXED, 0, "/subdir/multiblock.txt?format=car&dag-scope=all", &[0, 1, 4, 5, 6, 7, 8, 9]),
];

const BYTES: &[Row] = &[
    (TORN, 0, "?format=car&dag-scope=entity&entity-bytes=0:1000", &[0, 1]),
    (TORN, 0, "?format=car&dag-scope=entity&entity-bytes=2200:*", &[0, 2]),
    (
        MIXED,
        0,
        "/subdir/multiblock.txt?format=car&dag-scope=entity&entity-bytes=0:*",
        &[0, 1, 4, 5, 6, 7, 8, 9],
    ),
    (MIXED, 4, "?format=car&dag-scope=entity&entity-bytes=512:*", &[4, 7, 8, 9]),
    (MIXED, 4, "?format=car&dag-scope=entity&entity-bytes=512:1023", &[4, 7, 8]),
    (MIXED, 4, "?format=car&dag-scope=entity&entity-bytes=512:-256", &[4, 7, 8]),
    (MIXED, 4, "?format=car&dag-scope=entity&entity-bytes=-5:*", &[4, 8, 9]),
    (MIXED, 4, "?format=car&dag-scope=entity&entity-bytes=-9999:*", &[4, 5, 6, 7, 8, 9]),
    (MIXED, 4, "?format=car&dag-scope=entity&entity-bytes=-9999:-3", &[4, 5, 6, 7, 8]),
    (MIXED, 4, "?format=car&dag-scope=entity&entity-bytes=0:0", &[4, 5]),
    // Bytes are an entity's, whatever else is asked for.
    (MIXED, 4, "?format=car&entity-bytes=512:1023", &[4, 7, 8]),
    (MIXED, 4, "?format=car&dag-scope=all&entity-bytes=512:1023", &[4, 7, 8]),
];

async fn check(rows: &[Row]) {
    for (fixture, from, rest, expected) in rows {
        let site = Site::start(json!({})).await;
        let blocks = add(&site, fixture).await;
        let target = format!("/ipfs/{}{rest}", blocks[*from].cid());
        let expected: Vec<Cid> = expected.iter().map(|at| blocks[*at].cid().clone()).collect();
        assert_eq!(cids(&site.get(&target).await), expected, "{fixture} {rest}");
    }
}

#[tokio::test]
async fn paths_lead_through_what_proves_them() {
    check(PATHS).await;
    let site = Site::start(json!({})).await;
    let blocks = add(&site, TWO).await;
    let target = format!("/ipfs/{}/subdir/i-do-not-exist?format=car", blocks[0].cid());
    assert_eq!(site.get(&target).await.status, 404);
}

#[tokio::test]
async fn scopes_hold_what_they_say() {
    check(SCOPES).await;
}

#[tokio::test]
async fn bytes_take_the_fewest_blocks() {
    check(BYTES).await;
}

#[tokio::test]
async fn tries_are_passed_and_enumerated() {
    let site = Site::start(json!({})).await;
    let blocks = add(&site, HAMT).await;
    let root = blocks[0].cid();
    // A node of the trie says so in the second byte of its message.
    let is_shard = |block: &&Block| {
        block.cid().codec() == codec::DAG_PB
            && block.data().windows(4).any(|w| w[0] == 0x0a && w[2..] == [8, 5])
    };
    let shards: Vec<Cid> =
        blocks.iter().filter(is_shard).map(|block| block.cid().clone()).collect();
    assert!(shards.len() > 200, "{}", shards.len());
    for query in ["dag-scope=entity", "dag-scope=entity&entity-bytes=0:*"] {
        let target = format!("/ipfs/{root}?format=car&{query}");
        assert_eq!(cids(&site.get(&target).await), shards, "{query}");
    }
    let file: Vec<Cid> = blocks[2..8].iter().map(|block| block.cid().clone()).collect();
    for (name, query, len) in [("685.txt", "", 6), ("1.txt", "&dag-scope=block", 1)] {
        // Two digits stand before the name, a tag and the length before both.
        let start = [0x12, name.len() as u8 + 2];
        let holds = |block: &&Block| {
            let mut links = block.data().windows(name.len() + 4);
            links.any(|link| link[..2] == start && link[4..] == *name.as_bytes())
        };
        let shard = blocks.iter().find(holds).expect("a shard has it").cid();
        let way = [root, shard].into_iter().take(if shard == root { 1 } else { 2 });
        let expected: Vec<Cid> = way.chain(&file[..len]).cloned().collect();
        let target = format!("/ipfs/{root}/{name}?format=car{query}");
        assert_eq!(cids(&site.get(&target).await), expected, "{name}");
    }
}

#[tokio::test]
async fn order_and_duplicates_are_told_and_kept() {
    let site = Site::start(json!({})).await;
    let blocks = add(&site, TWICE).await;
    let root = blocks[0].cid();
    let once: Vec<Cid> = blocks.iter().map(|block| block.cid().clone()).collect();
    let mut twice = once.clone();
    twice.insert(1, once[1].clone());
    for (query, accept, told, expected) in [
        ("", "; version=1; order=dfs; dups=y", "order=dfs; dups=y", &twice),
        ("", "; version=1; order=dfs; dups=n", "order=dfs; dups=n", &once),
        ("", "; version=1; order=unk", "order=", &once),
        ("?format=car", "; version=1; order=dfs; dups=y", "order=dfs; dups=y", &twice),
        ("?format=car&car-order=dfs", "; order=unk", "order=dfs", &once),
        ("?format=car&car-dups=y", "; dups=n", "dups=y", &twice),
    ] {
        let accept = format!("application/vnd.ipld.car{accept}");
        let target = format!("/ipfs/{root}{query}");
        let answer = site.get_with(&target, &[("Accept", &accept)]).await;
        let kind = answer.header("content-type");
        assert!(kind.contains("application/vnd.ipld.car") && kind.contains(told), "{kind}");
        assert_eq!(cids(&answer), *expected, "{query} {accept}");
    }
    let inline = "/ipfs/bafkqaf3imvwgy3zaneqgc3janfxgy2lomvscay3jmqfa";
    let accept = [("Accept", "application/vnd.ipld.car; dups=y")];
    assert!(cids(&site.get_with(inline, &accept).await).is_empty());
    for (format, accept) in
        [("car", "application/vnd.ipld.raw"), ("raw", "application/vnd.ipld.car")]
    {
        let target = format!("/ipfs/{root}?format={format}");
        let answer = site.get_with(&target, &[("Accept", accept)]).await;
        let kind = format!("application/vnd.ipld.{format}");
        assert!(answer.header("content-type").starts_with(&kind), "{format}");
    }
}
