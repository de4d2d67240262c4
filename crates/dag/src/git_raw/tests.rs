//! Objects that git itself wrote, and what it never writes.

use super::{decode, links};
use crate::{Node, dag_json};
use cairn_block::{Block, Cid, codec};
use cairn_hash::code;

/// The CID of an object, checked against the name that git gives it.
fn object(kind: &str, content: &[u8], sha1: &str) -> (Cid, Vec<u8>) {
    let data = [format!("{kind} {}\0", content.len()).as_bytes(), content].concat();
    let block = Block::hash(codec::GIT_RAW, code::SHA1, data.clone().into()).unwrap();
    let cid = block.cid().clone();
    assert_eq!(cid, cid_of(sha1));
    (cid, data)
}

fn cid_of(sha1: &str) -> Cid {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap() as u8;
    let bytes: Vec<u8> =
        sha1.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect();
    super::cid(&bytes).unwrap()
}

fn text_of(node: &Node) -> String {
    String::from_utf8(dag_json::encode(node).unwrap()).unwrap()
}

#[test]
fn blobs_are_bytes() {
    let (_, data) = object("blob", b"hello\n", "ce013625030ba8dba906f756967f9e9ca394464a");
    assert_eq!(decode(&data), Ok(Node::Bytes(data.clone())));
    assert_eq!(links(&data), Ok(vec![]));
}

#[test]
fn trees_are_maps_of_links() {
    let blob = cid_of("ce013625030ba8dba906f756967f9e9ca394464a");
    let mut content = b"100644 a\0".to_vec();
    content.extend_from_slice(blob.multihash().digest());
    let (_, data) = object("tree", &content, "0976950c1fdbcb52435a433913017bf044b3a58f");
    let expected = format!(r#"{{"a":{{"hash":{{"/":"{blob}"}},"mode":"100644"}}}}"#);
    assert_eq!(text_of(&decode(&data).unwrap()), expected);
    assert_eq!(links(&data), Ok(vec![blob]));
}

#[test]
fn submodules_are_data_but_no_links() {
    let (blob, other) = (
        cid_of("ce013625030ba8dba906f756967f9e9ca394464a"),
        cid_of("4964dc82b4bd507103723f87a715eb924d5c3215"),
    );
    let mut data = b"tree 58\x00100644 a\0".to_vec();
    data.extend_from_slice(blob.multihash().digest());
    data.extend_from_slice(b"160000 s\0");
    data.extend_from_slice(other.multihash().digest());
    assert_eq!(links(&data), Ok(vec![blob]));
    assert_eq!(decode(&data).unwrap().links().len(), 2);
}

const COMMIT: &str = "tree 081c0ec284500456486e4c4f44b48b00753aa34d
parent a22fa5a7b6170312c55c919fcec11345ef1aa14f
parent 4964dc82b4bd507103723f87a715eb924d5c3215
author A U Thor <a@example.com> 1700000005 +0100
committer A U Thor <a@example.com> 1700000005 +0100

merged
";

#[test]
fn commits_name_their_tree_and_parents() {
    let sha1 = "7213a7a724d5b287164d9ac5896ca9ecaa882696";
    let (_, data) = object("commit", COMMIT.as_bytes(), sha1);
    let [tree, first, second] = [
        "081c0ec284500456486e4c4f44b48b00753aa34d",
        "a22fa5a7b6170312c55c919fcec11345ef1aa14f",
        "4964dc82b4bd507103723f87a715eb924d5c3215",
    ]
    .map(cid_of);
    let person =
        r#"{"date":"1700000005","email":"a@example.com","name":"A U Thor","timezone":"+0100"}"#;
    let expected = format!(
        r#"{{"author":{person},"committer":{person},"mergetag":[],"message":"merged\n","other":[],"parents":[{{"/":"{first}"}},{{"/":"{second}"}}],"tree":{{"/":"{tree}"}}}}"#
    );
    assert_eq!(text_of(&decode(&data).unwrap()), expected);
    assert_eq!(links(&data), Ok(vec![tree, first, second]));
}

#[test]
fn merged_tags_and_signatures_are_kept() {
    let content = COMMIT.replace(
        "\n\nmerged",
        "\nencoding latin1\nmergetag object 4964dc82b4bd507103723f87a715eb924d5c3215\n type commit\n tag v1\n tagger A <a@b> 1 +0000\n \n a tag\ngpgsig -----BEGIN PGP SIGNATURE-----\n \n abc\n -----END PGP SIGNATURE-----\nodd one\n more\n\nmerged",
    );
    let data = format!("commit {}\0{content}", content.len()).into_bytes();
    let node = decode(&data).unwrap();
    let get = |path: &str| path.split('/').try_fold(&node, |node, segment| node.get(segment));
    let text = |text: &str| Node::String(text.to_owned());
    assert_eq!(get("encoding"), Some(&text("latin1")));
    assert_eq!(get("signature"), Some(&text(" \n abc\n")));
    assert_eq!(get("mergetag/0/tag"), Some(&text("v1")));
    assert_eq!(get("mergetag/0/tagger/email"), Some(&text("a@b")));
    assert_eq!(get("mergetag/0/message"), Some(&text("a tag")));
    assert_eq!(get("other"), Some(&Node::List(vec![text("odd one"), text(" more")])));
    assert_eq!(links(&data).unwrap().len(), 4);
    let mut sorted = node.links();
    sorted.sort_by_key(Cid::to_bytes);
    let mut found = links(&data).unwrap();
    found.sort_by_key(Cid::to_bytes);
    assert_eq!(found, sorted);
}

#[test]
fn tags_name_their_object() {
    let content = "object 4964dc82b4bd507103723f87a715eb924d5c3215
type commit
tag v1
tagger A U Thor <a@example.com> 1700000003 +0100

a tag
";
    let (_, data) = object("tag", content.as_bytes(), "2c1b0088a1df9fe1eaf580bf94b65e3a6e33b05a");
    let node = decode(&data).unwrap();
    assert_eq!(node.get("message"), Some(&Node::String("a tag\n".to_owned())));
    assert_eq!(node.get("type"), Some(&Node::String("commit".to_owned())));
    assert_eq!(links(&data), Ok(node.links()));
}

#[test]
fn headers_of_commits_mean_nothing_in_tags() {
    let content = "object 4964dc82b4bd507103723f87a715eb924d5c3215\ntree none\nparent x\n\n";
    let data = format!("tag {}\0{content}", content.len());
    let node = decode(data.as_bytes()).unwrap();
    assert_eq!(links(data.as_bytes()), Ok(node.links()));
    assert_eq!(node.links(), [cid_of("4964dc82b4bd507103723f87a715eb924d5c3215")]);
}

#[test]
fn broken_objects_are_refused_with_the_place() {
    let rows: &[(&[u8], &str)] = &[
        (b"", "byte 0: an object without a header"),
        (b"blob 1", "byte 0: an object without a header"),
        (b"frob 0\0", "byte 0: an object of an unknown type"),
        (b"blob 2\0x", "byte 5: a length"),
        (b"blob 99999999999999999999999\0x", "byte 5: a length"),
        (b"blob -1\0x", "byte 5: a length"),
        (b"tree 5\x00100 a", "byte 7: a tree's entry"),
        (b"tree 8\x00100 a\0xy", "byte 7: a tree's entry"),
        (b"commit 8\0tree xyz", "byte 9: an object's name"),
        (b"commit 12\0mergetag xyz", "byte 10: a merged tag"),
        (b"tag 10\0object 12\n", "byte 7: an object's name"),
    ];
    for (data, expected) in rows {
        for error in
            [decode(data).unwrap_err(), links(data).err().unwrap_or(decode(data).unwrap_err())]
        {
            assert!(error.to_string().contains(expected), "{data:?}: {error}");
        }
    }
}
