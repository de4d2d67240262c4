//! Parts of DAGs as CAR files, by the trustless gateway specification.

use crate::{
    client::{self, Answer},
    noise,
    site::Site,
    vectors::add_car,
};
use cairn_block::{Block, Cid, codec};
use cairn_dag::CarDecoder;
use serde_json::json;

/// The roots and the names of the blocks, each checked.
fn read(answer: &Answer) -> (Vec<Cid>, Vec<Cid>) {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let mut decoder = CarDecoder::new();
    decoder.feed(answer.bytes());
    let mut cids = Vec::new();
    while let Some((cid, data)) = decoder.next_block().expect("a section") {
        cids.push(Block::verify(cid, data).expect("verifies").cid().clone());
    }
    decoder.finish().expect("whole");
    (decoder.roots().to_vec(), cids)
}

async fn cids(site: &Site, target: &str) -> Vec<Cid> {
    read(&site.get(target).await).1
}

fn leaves(bytes: &[u8]) -> Vec<Cid> {
    let leaf = |piece: &[u8]| Block::sha2_256(codec::RAW, piece.to_vec().into());
    bytes.chunks(1000).map(|piece| leaf(piece).cid().clone()).collect()
}

#[tokio::test]
async fn an_archive_holds_what_its_scope_says() {
    let site = Site::start(json!({})).await;
    let bytes = noise(5500);
    let file = site.file(&bytes).await;
    let other = site.file(b"other").await;
    let dir = site.directory(&[("data.bin", &file), ("other", &other)]).await;
    let leaves = leaves(&bytes);
    let start = [dir.cid.clone(), file.cid.clone()];
    let whole: Vec<Cid> = start.iter().chain(&leaves).cloned().collect();
    let everything: Vec<Cid> = whole.iter().chain([&other.cid]).cloned().collect();
    for (target, expected) in [
        ("?format=car", &everything[..]),
        ("?format=car&dag-scope=entity", &start[..1]),
        ("?format=car&dag-scope=block", &start[..1]),
        ("/data.bin?format=car", &whole[..]),
        ("/data.bin?format=car&dag-scope=all", &whole[..]),
        ("/data.bin?format=car&dag-scope=entity", &whole[..]),
        ("/data.bin?format=car&dag-scope=block", &start[..]),
        ("/data.bin?format=car&dag-scope=entity&entity-bytes=0:*", &whole[..]),
        ("/data.bin?format=car&entity-bytes=0:2999", &whole[..5]),
        ("/data.bin?format=car&entity-bytes=9999:*", &start[..]),
    ] {
        let target = format!("/ipfs/{}{target}", dir.cid);
        assert_eq!(cids(&site, &target).await, expected, "{target}");
    }
    for (span, first, end) in [("2500:3500", 2, 4), ("-1:*", 5, 6), ("1000:-4500", 1, 2)] {
        let target = format!("/ipfs/{}?format=car&entity-bytes={span}", file.cid);
        let expected: Vec<Cid> =
            [&file.cid].into_iter().chain(&leaves[first..end]).cloned().collect();
        assert_eq!(cids(&site, &target).await, expected, "{span}");
    }
}

#[tokio::test]
async fn an_archive_says_what_it_is() {
    let site = Site::start(json!({})).await;
    let file = site.file(&vec![7; 3000]).await;
    let dir = site.directory(&[("same", &file)]).await;
    let target = format!("/ipfs/{}/same", dir.cid);
    let kind = "application/vnd.ipld.car; version=1; order=dfs; dups=";
    let accept = [("Accept", "application/vnd.ipld.car; version=1; order=dfs; dups=y")];
    let often = site.get_with(&target, &accept).await;
    assert_eq!(often.header("content-type"), format!("{kind}y"));
    let (roots, blocks) = read(&often);
    assert_eq!((roots, blocks.len()), (vec![file.cid.clone()], 5), "one leaf, three links");
    let once = site.get_with(&format!("{target}?format=car&car-dups=n"), &accept).await;
    assert_eq!(once.header("content-type"), format!("{kind}n"), "the query counts first");
    assert_eq!(read(&once).1.len(), 3);
    assert_ne!(once.header("etag"), often.header("etag"));
    assert_eq!(once.header("x-ipfs-roots"), format!("{},{}", dir.cid, file.cid));
    assert_eq!(once.header("x-ipfs-path"), target);
    assert_eq!(once.header("x-content-type-options"), "nosniff");
    assert_eq!(once.header("cache-control"), "public, max-age=29030400, immutable");
    let name = format!("attachment; filename=\"{}.car\"", file.cid);
    assert!(once.header("content-disposition").starts_with(&name));
    let target = format!("{target}?format=car");
    let head = site.head(&target, &[]).await;
    assert_eq!((head.status.as_u16(), head.header("etag")), (200, once.header("etag")));
    assert!(head.bytes().is_empty());
    let again = site.get_with(&target, &[("If-None-Match", once.header("etag"))]).await;
    assert_eq!(again.status, 304);
    assert_eq!(site.get(&target).await.bytes(), once.bytes(), "the same every time");
}

#[tokio::test]
async fn tries_are_proven_and_listed() {
    let site = Site::start(json!({})).await;
    let root = add_car(&site, "conformance/single-layer-hamt-with-multi-block-files.car").await;
    let listing = cids(&site, &format!("/ipfs/{root}?format=car&dag-scope=entity")).await;
    let everything = cids(&site, &format!("/ipfs/{root}?format=car")).await;
    assert_eq!(listing[0], root);
    assert!(listing.len() > 1 && listing.len() < everything.len(), "shards without files");
    let target = format!("/ipfs/{root}/470.txt?format=car&entity-bytes=0:0");
    let proof = cids(&site, &target).await;
    assert!(proof[..proof.len() - 2].iter().all(|cid| listing.contains(cid)), "the way to it");
    // What the archive holds is enough to read that part of the file.
    let other = Site::start(json!({})).await;
    let archive = site.get(&target).await;
    let mut decoder = CarDecoder::new();
    decoder.feed(archive.bytes());
    while let Some((cid, data)) = decoder.next_block().expect("a section") {
        other.put(vec![Block::verify(cid, data).expect("verifies")]).await;
    }
    let target = format!("/ipfs/{root}/470.txt");
    let first = other.get_with(&target, &[("Range", "bytes=0-0")]).await;
    assert_eq!((first.status.as_u16(), first.text()), (206, "L"));
}

#[tokio::test]
async fn what_an_archive_cannot_be_is_refused() {
    let site = Site::start(json!({})).await;
    let file = site.file(b"x").await;
    for query in [
        "dag-scope=some",
        "entity-bytes=9",
        "entity-bytes=5:2",
        "car-version=2",
        "car-order=random",
        "car-dups=maybe",
    ] {
        let answer = site.get(&format!("/ipfs/{}?format=car&{query}", file.cid)).await;
        assert_eq!(answer.status, 400, "{query}: {}", answer.text());
    }
    let accept = [("Accept", "application/vnd.ipld.car;version=2")];
    assert_eq!(site.get_with(&format!("/ipfs/{}", file.cid), &accept).await.status, 400);
    let nowhere = site.get(&format!("/ipfs/{}/nowhere?format=car", file.cid)).await;
    assert_eq!(nowhere.status, 404);
    let cbor = site.block(codec::DAG_CBOR, &[0xa0]).await;
    let target = format!("/ipfs/{cbor}?format=car&dag-scope=entity");
    assert_eq!(cids(&site, &target).await, [cbor]);
    // A block that is missing ends the archive early, and visibly.
    let torn = site.file_without(&noise(3000), 1).await;
    let request = format!(
        "GET /ipfs/{}?format=car HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        torn.cid
    );
    let answer = client::raw(site.address, request.as_bytes()).await;
    assert!(!answer.ends_with("\r\n0\r\n\r\n"), "the last chunk never comes");
}
