//! `dag`: data in and out, paths through it, and what keeps it.

use crate::support::{Fixture, TREE, Told, entries};
use cairn_node::AddEntry;
use cairn_rpc::{Fault, RpcError};

/// The CID that every implementation gives `{"hello":"world"}` as dag-cbor.
const HELLO: &str = "bafyreidykglsfhoixmivffc5uwhcgshx4j465xwqntbmu43nb2dzqwfvae";

async fn put(fixture: &Fixture, data: &str, options: &str) -> Result<Told, RpcError> {
    let file = AddEntry::file("", std::io::Cursor::new(data.as_bytes().to_vec()));
    fixture.call_with("dag put", options, Some(entries(vec![file]))).await
}

async fn put_cid(fixture: &Fixture, data: &str, options: &str) -> String {
    put(fixture, data, options).await.unwrap().text.out.trim().to_owned()
}

async fn get(fixture: &Fixture, line: &str) -> Result<String, RpcError> {
    let told = fixture.call("dag get", line).await?;
    Ok(String::from_utf8(told.bytes).unwrap())
}

#[tokio::test]
async fn data_goes_in_and_out_in_any_codec() {
    let fixture = Fixture::new().await;
    let told = put(&fixture, "{ \"hello\": \"world\" }", "").await.unwrap();
    assert_eq!(told.values, [serde_json::json!({"Cid": {"/": HELLO}})]);
    assert_eq!(told.text.out, format!("{HELLO}\n"));
    assert_eq!(get(&fixture, HELLO).await.unwrap(), r#"{"hello":"world"}"#);
    let cbor = fixture.call("dag get", &format!("{HELLO} output-codec=dag-cbor")).await.unwrap();
    assert_eq!(cbor.bytes, b"\xa1\x65hello\x65world");
    let json = put_cid(
        &fixture,
        r#"{"b":[1,2.5,null],"a":{"/":{"bytes":"AQID"}}}"#,
        "store-codec=dag-json",
    )
    .await;
    assert_eq!(
        get(&fixture, &json).await.unwrap(),
        r#"{"a":{"/":{"bytes":"AQID"}},"b":[1,2.5,null]}"#
    );
    let error = get(&fixture, &format!("{json} output-codec=json")).await.unwrap_err();
    assert!(error.message().contains("cannot be json: it has bytes"), "{error}");
    assert_eq!(
        get(&fixture, &format!("{json}/b output-codec=json")).await.unwrap(),
        "[1,2.5,null]"
    );
    let raw = put_cid(&fixture, "abc", "input-codec=raw store-codec=raw hash=blake3").await;
    assert!(raw.starts_with("bafkr4"), "{raw}");
    let upper = put_cid(&fixture, "1", "cid-base=base58btc").await;
    assert!(upper.starts_with('z'), "{upper}");
    let root = fixture.add_tree().await;
    let node = get(&fixture, &root).await.unwrap();
    assert!(
        node.starts_with(r#"{"Data":{"/":{"bytes":"CAE"}},"Links":[{"Hash":{"/":"Qm"#),
        "{node}"
    );
    assert_eq!(put_cid(&fixture, &node, "store-codec=dag-pb cid-base=base32").await, {
        let told = fixture.call("cid base32", TREE).await.unwrap();
        told.text.out.trim().to_owned()
    });
}

#[tokio::test]
async fn paths_go_through_data() {
    let fixture = Fixture::new().await;
    let root = fixture.add_tree().await;
    let data = format!("{{\"x\":{{\"y\":[7,{{\"/\":\"{root}\"}}]}}}}");
    let cbor = put_cid(&fixture, &data, "").await;
    assert_eq!(get(&fixture, &format!("{cbor}/x/y/0")).await.unwrap(), "7");
    let cat = fixture.call("cat", &format!("{cbor}/x/y/1/a")).await.unwrap();
    assert_eq!(cat.bytes, b"a\n");
    let resolved = fixture.call("dag resolve", &format!("/ipfs/{cbor}/x/y/0")).await.unwrap();
    assert_eq!(resolved.text.out, format!("{cbor}/x/y/0"));
    let expected = serde_json::json!({"Cid": {"/": cbor}, "RemPath": "x/y/0"});
    assert_eq!(resolved.values, [expected]);
    let resolved = fixture.call("dag resolve", &format!("{cbor}/x/y/1")).await.unwrap();
    assert_eq!(resolved.text.out, root);
    let resolved = fixture.call("resolve", &format!("{cbor}/x/y/0")).await.unwrap();
    assert_eq!(resolved.text.out, format!("/ipfs/{cbor}/x/y/0\n"));
    let refs = fixture.call("refs", &format!("{cbor} recursive=true")).await.unwrap();
    assert_eq!(refs.values.len(), 5);
    for (command, line, expected) in [
        ("dag get", format!("{cbor}/x/z"), "no link named \"z\" under"),
        ("dag get", format!("{cbor} output-codec=nonsense"), "unknown multicodec"),
        ("dag get", format!("{cbor} output-codec=git-raw"), "git-raw is not supported"),
        ("cat", format!("{cbor}/x/y"), "\"x/y\" is data inside block"),
        ("cat", cbor.clone(), "dag-cbor"),
    ] {
        let error = fixture.call(command, &line).await.unwrap_err();
        assert!(error.message().contains(expected), "{command} {line}: {error}");
    }
}

#[tokio::test]
async fn dags_are_counted() {
    let fixture = Fixture::new().await;
    let root = fixture.add_tree().await;
    let cbor = put_cid(&fixture, &format!("[{{\"/\":\"{root}\"}},{{\"/\":\"{root}\"}}]"), "").await;
    let told = fixture.call("dag stat", &format!("{cbor} {root}")).await.unwrap();
    let stat = |dag: usize, name: &str| told.values[0]["DagStats"][dag][name].as_u64().unwrap();
    assert_eq!((stat(0, "NumBlocks"), stat(1, "NumBlocks")), (6, 5));
    let total = told.values[0]["TotalSize"].as_u64().unwrap();
    assert_eq!(total, stat(0, "Size"));
    assert_eq!(told.values[0]["SharedSize"], stat(1, "Size"));
    assert_eq!(told.values[0]["UniqueBlocks"], 6);
    let width = cbor.len();
    let head =
        format!("\n{:<width$}\tBlocks         \tSize\n{cbor}\t6              \t{total}\n", "CID");
    assert!(told.text.out.starts_with(&head), "{}", told.text.out);
    assert!(told.text.out.contains("\nSummary\nTotal Size: "), "{}", told.text.out);
    let one = fixture.call("dag stat", &root).await.unwrap();
    assert_eq!(one.values[0]["Ratio"], 1.0);
    assert_eq!(one.values[0].get("SharedSize"), None);
}

#[tokio::test]
async fn what_is_linked_from_pinned_data_is_kept() {
    let fixture = Fixture::new().await;
    let leaf = put_cid(&fixture, "abc", "input-codec=raw store-codec=raw").await;
    let lost = put_cid(&fixture, "xyz", "input-codec=raw store-codec=raw").await;
    let json = put_cid(&fixture, &format!("{{\"/\":\"{leaf}\"}}"), "store-codec=dag-json").await;
    let root = put_cid(&fixture, &format!("[{{\"/\":\"{json}\"}}]"), "").await;
    fixture.call("pin add", &root).await.unwrap();
    let gone = fixture.call("repo gc", "quiet=true").await.unwrap();
    assert_eq!(gone.text.out, format!("{lost}\n"));
    assert_eq!(
        get(&fixture, &format!("{root}/0 output-codec=raw")).await.unwrap_err().fault(),
        Fault::Failed
    );
    assert_eq!(get(&fixture, &format!("{leaf} output-codec=raw")).await.unwrap(), "abc");
    let verified = fixture.call("pin verify", "").await;
    assert!(verified.is_ok(), "{verified:?}");
    let kept = put(&fixture, "[1]", "pin=true").await.unwrap();
    let cid = kept.text.out.trim().to_owned();
    let pins = fixture.call("pin ls", &cid).await.unwrap();
    assert_eq!(pins.text.out, format!("{cid} recursive\n"));
}

async fn import(fixture: &Fixture, file: Vec<u8>, options: &str) -> Result<Told, RpcError> {
    let file = AddEntry::file("x.car", std::io::Cursor::new(file));
    fixture.call_with("dag import", options, Some(entries(vec![file]))).await
}

/// A DAG of several codecs goes from one node to another in a file.
#[tokio::test]
async fn dags_travel_in_files() {
    let (from, to) = (Fixture::new().await, Fixture::new().await);
    let tree = from.add_tree().await;
    let data = format!("{{\"t\":{{\"/\":\"{tree}\"}},\"u\":{{\"/\":\"{tree}\"}}}}");
    let root = put_cid(&from, &data, "").await;
    let file = from.call("dag export", &root).await.unwrap().bytes;
    let told = import(&to, file.clone(), "stats=true").await.unwrap();
    assert_eq!(told.values[0]["Root"], serde_json::json!({"Cid": {"/": root}, "PinErrorMsg": ""}));
    assert_eq!(told.values[1]["Stats"]["BlockCount"], 6);
    assert!(
        told.text.out.starts_with(&format!("Pinned root\t{root}\tsuccess\nImported 6 blocks ("))
    );
    assert_eq!(to.call("cat", &format!("{root}/u/a")).await.unwrap().bytes, b"a\n");
    assert_eq!(to.call("dag export", &root).await.unwrap().bytes, file);
    assert_eq!(to.call("repo gc", "quiet=true").await.unwrap().text.out, "");

    // Without its last block it is taken, and not pinned.
    let partial = Fixture::new().await;
    let last = from.call("refs", &format!("{root} recursive=true unique=true")).await.unwrap();
    let last = last.values.last().unwrap()["Ref"].as_str().unwrap().to_owned();
    let block_len = from.call("block get", &last).await.unwrap().bytes.len() + 35;
    let cut = file[..file.len() - block_len].to_vec();
    let told = import(&partial, cut.clone(), "").await.unwrap();
    assert!(told.text.failed && told.text.talk.contains(&last), "{}", told.text.talk);
    assert_eq!(partial.call("pin ls", "").await.unwrap().text.out, "");
    let told = import(&partial, cut.clone(), "local-only=true").await.unwrap();
    assert_eq!(told.values.len(), 0);
    let local = partial.call("dag export", &format!("{root} local-only=true")).await.unwrap();
    assert_eq!(local.bytes, cut);
    assert!(partial.call("dag export", &root).await.is_err());
}

#[tokio::test]
async fn broken_files_are_refused_and_named() {
    let fixture = Fixture::new().await;
    let root = fixture.add_tree().await;
    let file = fixture.call("dag export", &root).await.unwrap().bytes;
    let last = fixture.call("refs", &format!("{root} recursive=true")).await.unwrap();
    let last = last.values.last().unwrap()["Ref"].as_str().unwrap().to_owned();
    // The last section: a length of one byte, a CIDv0 of 34, the block.
    let block_len = fixture.call("block get", &last).await.unwrap().bytes.len();
    let place = format!("byte {}", file.len() - block_len - 35);
    let mut rotten = file.clone();
    *rotten.last_mut().unwrap() ^= 1;
    for (broken, kept, part) in [
        (file[..file.len() - 1].to_vec(), 4, "x.car: invalid car: it ends too early"),
        ([&file[..], &[0]].concat(), 5, "a section without bytes"),
        (b"nonsense".to_vec(), 0, "x.car: invalid car"),
        (rotten, 4, "is corrupt"),
    ] {
        let other = Fixture::new().await;
        let error = import(&other, broken, "stats=true").await.unwrap_err();
        let text = error.message();
        assert!(text.contains(part), "{part}: {text}");
        assert!(text.contains(&format!("; {kept} blocks (")), "{part}: {text}");
        assert_eq!(text.contains(&place), kept == 4, "{place}: {text}");
        assert_eq!(text.contains(&last), part == "is corrupt", "{last}: {text}");
        let refs = other.call("refs local", "").await.unwrap();
        assert_eq!(refs.values.len(), kept, "{part}: what is told is what is there");
        assert_eq!(other.call("pin ls", "").await.unwrap().text.out, "");
    }
}

/// Of several files the broken one is named, and those before it count.
#[tokio::test]
async fn the_broken_one_of_many_files_is_named() {
    let (fixture, other) = (Fixture::new().await, Fixture::new().await);
    let root = fixture.add_tree().await;
    let good = fixture.call("dag export", &root).await.unwrap().bytes;
    let bad = good[..good.len() - 1].to_vec();
    let car = |name: &str, bytes: Vec<u8>| AddEntry::file(name, std::io::Cursor::new(bytes));
    let files = entries(vec![car("good.car", good), car("bad.car", bad)]);
    let error = other.call_with("dag import", "", Some(files)).await.unwrap_err();
    assert!(error.message().starts_with("bad.car: invalid car"), "{error}");
    assert!(error.message().contains("; 9 blocks ("), "{error}");
}

#[tokio::test]
async fn what_is_no_data_is_refused_with_its_place() {
    let fixture = Fixture::new().await;
    for (data, options, expected) in [
        ("{\"a\":1,", "", "invalid dag-json at byte 7"),
        ("{\"a\":1,\"a\":2}", "", "same name twice"),
        ("[1]", "store-codec=dag-pb", "this cannot be dag-pb: it is a list"),
        ("[1]", "store-codec=nonsense", "unknown multicodec"),
        ("[1]", "store-codec=0x90", "eth-block is not supported"),
        ("[1]", "hash=nonsense", "unrecognized hash function"),
        ("x", "input-codec=dag-cbor", "invalid dag-cbor at byte 1"),
    ] {
        let error = put(&fixture, data, options).await.unwrap_err();
        assert!(error.message().contains(expected), "{data} {options}: {error}");
    }
}

/// Archives of less than everything, by the words of the gateway specification.
#[tokio::test]
async fn parts_are_exported() {
    let fixture = Fixture::new().await;
    let bytes: Vec<u8> = (0..5000_u32).map(|at| (at / 1000) as u8).collect();
    let file = AddEntry::file("f", std::io::Cursor::new([&bytes[..], &bytes[..1000]].concat()));
    let line = "chunker=size-1000 cid-version=1 quieter=true";
    let told = fixture.call_with("add", line, Some(entries(vec![file]))).await.unwrap();
    let root = told.text.out.trim().to_owned();
    for (options, count) in [
        ("", 6),
        ("dups=y", 7),
        ("dag-scope=block", 1),
        ("dag-scope=entity dups=y order=unk", 7),
        ("entity-bytes=1500:2500", 3),
        ("entity-bytes=-1:*", 2),
        ("entity-bytes=7000:*", 1),
    ] {
        let file = fixture.call("dag export", &format!("{root} {options}")).await.unwrap().bytes;
        let again = fixture.call("dag export", &format!("{root} {options}")).await.unwrap().bytes;
        assert_eq!(file, again, "{options}");
        let told = import(&Fixture::new().await, file, "stats=true local-only=true").await.unwrap();
        assert_eq!(told.values[0]["Stats"]["BlockCount"], count, "{options}");
    }
    for (options, part) in [
        ("dag-scope=some", "all, entity or block"),
        ("entity-bytes=1", "FROM:TO"),
        ("entity-bytes=0:* dag-scope=all", "goes with"),
        ("dups=x", "y or n"),
        ("order=x", "dfs or unk"),
    ] {
        let error = fixture.call("dag export", &format!("{root} {options}")).await.unwrap_err();
        assert!(error.message().contains(part), "{options}: {error}");
    }
}
