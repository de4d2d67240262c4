//! `object`: nodes for older programs, with the CIDs that their documentation tells.

use crate::support::{Fixture, TREE, Told, entries};
use cairn_node::AddEntry;
use cairn_rpc::RpcError;
use serde_json::json;

const EMPTY: &str = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n";
const EMPTY_DIRECTORY: &str = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";
const PUT: &str = "QmZZmY4KCu9r3e7M2Pcn46Fc5qbn6NpzaAGaYb22kbfTqm";
const APPENDED: &str = "QmR79zQQj2aDfnrNgczUhvf2qWapEfQ82YQRt3QjrbhSb2";

async fn with_file(
    fixture: &Fixture,
    command: &str,
    line: &str,
    data: &str,
) -> Result<Told, RpcError> {
    let file = AddEntry::file("", std::io::Cursor::new(data.as_bytes().to_vec()));
    fixture.call_with(command, line, Some(entries(vec![file]))).await
}

async fn put(fixture: &Fixture) -> String {
    let target = "QmXg9Pp2ytZ14xgmQjYEiHjVjMFXzCVVEcRTWJBmLgR39V";
    let link = json!({"Name": "some link", "Hash": target, "Size": 8});
    let node = json!({"Data": "another", "Links": [link]}).to_string();
    let told = with_file(fixture, "object put", "quiet=true", &node).await.unwrap();
    told.text.out.trim().to_owned()
}

#[tokio::test]
async fn nodes_get_the_cids_of_old() {
    let fixture = Fixture::new().await;
    let empty = fixture.call("object new", "").await.unwrap();
    assert_eq!(empty.values, [json!({"Hash": EMPTY})]);
    let directory = fixture.call("object new", "unixfs-dir").await.unwrap();
    assert_eq!(directory.text.out, format!("{EMPTY_DIRECTORY}\n"));
    assert_eq!(put(&fixture).await, PUT);
    let appended = with_file(&fixture, "object patch append-data", PUT, "bla").await.unwrap();
    assert_eq!(appended.values, [json!({"Hash": APPENDED})]);
    let line = format!("{APPENDED} Johnny {APPENDED}");
    let added = fixture.call("object patch add-link", &line).await.unwrap();
    let johnny = "QmNtXbF3AjAk59gQKRgEdVabHcSsiPUnJwHnZKyj2x8Z3k";
    assert_eq!(added.text.out, format!("{johnny}\n"));
    let line = format!("{johnny} Johnny");
    let removed = fixture.call("object patch rm-link", &line).await.unwrap();
    assert_eq!(removed.text.out, format!("{APPENDED}\n"));
    let set = with_file(&fixture, "object patch set-data", johnny, "bla").await.unwrap();
    assert_eq!(set.text.out, "QmSw3k2qkv4ZPsbu9DVEJaTMszAQWNgM1FTFYpfZeNQWrd\n");
    let data = fixture.call("object data", APPENDED).await.unwrap();
    assert_eq!(data.bytes, b"anotherbla");
}

#[tokio::test]
async fn nodes_are_told_in_every_way() {
    let fixture = Fixture::new().await;
    let cid = put(&fixture).await;
    let target = "QmXg9Pp2ytZ14xgmQjYEiHjVjMFXzCVVEcRTWJBmLgR39V";
    let link = json!({"Name": "some link", "Hash": target, "Size": 8});
    let get = fixture.call("object get", &cid).await.unwrap();
    assert_eq!(get.values, [json!({"Links": [link], "Data": "another"})]);
    let get = fixture.call("object get", &format!("{cid} data-encoding=base64")).await.unwrap();
    assert_eq!(get.values[0]["Data"], "YW5vdGhlcg==");
    let links = fixture.call("object links", &format!("{cid} headers=true")).await.unwrap();
    assert_eq!(links.values, [json!({"Hash": cid, "Links": [link]})]);
    let padding = " ".repeat(target.len() - 3);
    assert_eq!(links.text.out, format!("Hash{}Size Name\n{target} 8    some link\n", &padding));
    let stat = fixture.call("object stat", &cid).await.unwrap();
    let expected = json!({"Hash": cid, "NumLinks": 1, "BlockSize": 60, "LinksSize": 53,
        "DataSize": 7, "CumulativeSize": 68});
    assert_eq!(stat.values, [expected]);
    assert!(
        stat.text.out.starts_with("NumLinks:       1\nBlockSize:      60\n"),
        "{:?}",
        stat.text
    );
    let base = fixture.call("object new", "cid-base=base32").await.unwrap();
    assert!(base.text.out.starts_with("bafy"), "{:?}", base.text);
}

#[tokio::test]
async fn paths_are_patched_and_compared() {
    let fixture = Fixture::new().await;
    let tree = fixture.add_tree().await;
    let line = format!("{tree} new/deep/copy {tree}/a");
    let error = fixture.call("object patch add-link", &line).await.unwrap_err();
    assert!(error.message().contains("no link named \"new\""), "{error}");
    let made = fixture.call("object patch add-link", &format!("{line} create=true")).await.unwrap();
    let made = made.text.out.trim().to_owned();
    let cat = fixture.call("cat", &format!("{made}/new/deep/copy")).await.unwrap();
    assert_eq!(cat.bytes, b"a\n");
    let line = format!("{made} sub/b");
    let made = fixture.call("object patch rm-link", &line).await.unwrap();
    let made = made.text.out.trim().to_owned();
    let line = format!("{made} a {tree}/sub/b");
    let made = fixture.call("object patch add-link", &line).await.unwrap();
    let made = made.text.out.trim().to_owned();
    let diff = fixture.call("object diff", &format!("{tree} {made}")).await.unwrap();
    let kinds: Vec<_> = diff.text.out.lines().map(|line| line.split(' ').collect()).collect();
    let kinds: Vec<(&str, &str)> =
        kinds.iter().map(|words: &Vec<&str>| (words[0], words[words.len() - 1])).collect();
    assert_eq!(kinds, [("~", "\"a\""), ("-", "\"sub/b\""), ("+", "\"new\"")]);
    assert_eq!(diff.values[0]["Changes"][2]["Before"], serde_json::Value::Null);
    let same = fixture.call("object diff", &format!("{tree} {TREE}")).await.unwrap();
    assert_eq!(same.values, [json!({"Changes": []})]);
}

#[tokio::test]
async fn what_cannot_be_is_refused() {
    let fixture = Fixture::new().await;
    let tree = fixture.add_tree().await;
    for (command, line, part) in [
        ("object patch add-link", format!("{tree}/a x {tree}"), "is file"),
        ("object patch rm-link", format!("{tree} nothing"), "no link named \"nothing\""),
        ("object patch add-link", format!("{tree} / {tree}"), "name is empty"),
        ("object new", "nonsense".to_owned(), "\"nonsense\" not found"),
        ("object get", format!("{tree} data-encoding=hex"), "\"hex\""),
    ] {
        let error = fixture.call(command, &line).await.unwrap_err();
        assert!(error.message().contains(part), "{command} {line}: {error}");
    }
    let line = format!("{tree}/a x {tree} allow-non-unixfs=true");
    assert!(fixture.call("object patch add-link", &line).await.is_ok());
    for (data, line, part) in [
        ("{}", "", "no data or links"),
        ("{\"Data\":", "", "no node as JSON"),
        ("{\"Data\":\"%\"}", "datafieldenc=base64", "not base64"),
        ("{\"Links\":[{\"Hash\":\"x\"}]}", "", "x: invalid cid"),
        ("<Node/>", "inputenc=xml", "not supported"),
        ("garbage", "inputenc=protobuf", "dag-pb"),
    ] {
        let error = with_file(&fixture, "object put", line, data).await.unwrap_err();
        assert!(error.message().contains(part), "{data}: {error}");
    }
    let cbor = with_file(&fixture, "dag put", "", "[1]").await.unwrap().text.out;
    let error = fixture.call("object data", cbor.trim()).await.unwrap_err();
    assert!(error.message().contains("dag-cbor, not a dag-pb node"), "{error}");
}
