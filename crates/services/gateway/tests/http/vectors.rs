//! DAGs of the gateway conformance suite (`spec/vectors/unixfs`), asked for as it does.

use crate::site::Site;
use bytes::Bytes;
use cairn_block::{Block, Cid};
use serde_json::json;
use std::path::Path;

/// A section of a CAR or a number before it, and what follows.
fn varint(bytes: &[u8]) -> (usize, &[u8]) {
    let len = bytes.iter().position(|byte| byte & 0x80 == 0).expect("an end") + 1;
    let low_first = bytes[..len].iter().rev();
    let value = low_first.fold(0, |value, byte| value << 7 | usize::from(byte & 0x7f));
    (value, &bytes[len..])
}

/// Adds the blocks of a CAR; its first block is the root.
pub(crate) async fn add_car(site: &Site, name: &str) -> Cid {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../spec/vectors/unixfs");
    let bytes = std::fs::read(vectors.join(name)).expect("a vector");
    let (header_len, rest) = varint(&bytes);
    let mut rest = &rest[header_len..];
    let mut blocks = Vec::new();
    while !rest.is_empty() {
        let (len, tail) = varint(rest);
        let (cid, data) = Cid::decode(&tail[..len]).expect("a CID");
        blocks.push(Block::verify(cid, Bytes::copy_from_slice(data)).expect("verifies"));
        rest = &tail[len..];
    }
    let root = blocks.first().expect("a root").cid().clone();
    site.put(blocks).await;
    root
}

#[tokio::test]
async fn a_name_with_percent_signs_is_found_by_its_escaped_form() {
    let site = Site::start(json!({})).await;
    let root = add_car(&site, "conformance/dir-with-percent-encoded-filename.car").await;
    let name = "Portugal%252C+Espa%C3%B1a=Peninsula%20Ib%C3%A9rica.txt";
    let answer = site.get(&format!("/ipfs/{root}/{name}")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.text(), "hello from a percent encoded filename\n");
    let shown = format!("/ipfs/{root}/Portugal%2C+España=Peninsula Ibérica.txt");
    assert_eq!(answer.header("x-ipfs-path"), shown);
    let listing = site.get(&format!("/ipfs/{root}/")).await;
    assert!(listing.text().contains("href=\"./Portugal%252C%2BEspa%C3%B1a%3DPeninsula%20"));
}

#[tokio::test]
async fn a_symlink_in_a_directory_is_its_target() {
    let site = Site::start(json!({})).await;
    let root = add_car(&site, "conformance/symlink.car").await;
    assert_eq!(site.get(&format!("/ipfs/{root}/foo")).await.text(), "content\n");
    let link = site.get(&format!("/ipfs/{root}/bar")).await;
    assert_eq!((link.header("content-type"), link.text()), ("inode/symlink", "foo"));
}

#[tokio::test]
async fn a_file_of_several_blocks_in_a_sharded_directory_is_read_in_ranges() {
    let site = Site::start(json!({})).await;
    let root = add_car(&site, "conformance/single-layer-hamt-with-multi-block-files.car").await;
    let target = format!("/ipfs/{root}/470.txt");
    let whole = site.get(&target).await;
    assert_eq!(whole.header("content-type"), "text/plain; charset=utf-8");
    assert!(whole.text().starts_with("Lorem ipsum dolor sit amet"));
    for (range, expected) in [
        ("bytes=0-254", 0..255),
        ("bytes=255-256", 255..257),
        ("bytes=1000-", 1000..whole.bytes().len()),
        ("bytes=-5", whole.bytes().len() - 5..whole.bytes().len()),
    ] {
        let part = site.get_with(&target, &[("Range", range)]).await;
        assert_eq!((part.status.as_u16(), part.bytes()), (206, &whole.bytes().slice(expected)));
    }
}

#[tokio::test]
async fn a_directory_with_a_question_mark_is_redirected_and_listed() {
    let site = Site::start(json!({})).await;
    let root = add_car(&site, "gateway/dir-special-chars.car").await;
    let answer = site.get(&format!("/ipfs/{root}/foo%3F%20%23%3C%27/bar")).await;
    let expected = format!("/ipfs/{root}/foo%3F%20%23%3C%27/bar/");
    assert_eq!((answer.status.as_u16(), answer.header("location")), (301, expected.as_str()));
    let page = site.get(&format!("/ipfs/{root}/foo%3F%20%23%3C%27/")).await;
    assert!(page.text().contains("<a href=\"./file.txt\">file.txt</a>"), "{}", page.text());
    assert!(page.text().contains("/foo? #&lt;&#39;"));
    let up = format!("<a href=\"/ipfs/{root}/\">");
    assert!(page.text().contains(&up), "the way up by the path");
}
