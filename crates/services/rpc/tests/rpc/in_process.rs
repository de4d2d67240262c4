//! Commands through the transport inside one process: values, texts, errors.

use crate::support::{A, Fixture, TREE, entries, tree};
use cairn_node::AddEntry;
use cairn_rpc::{Fault, REPO_VERSION};

#[tokio::test]
async fn adds_and_prints_as_asked() {
    let fixture = Fixture::new().await;
    let told = fixture.call_with("add", "", Some(tree())).await.unwrap();
    let lines: Vec<&str> = told.text.out.lines().collect();
    assert_eq!(lines.last(), Some(&format!("added {TREE} d").as_str()));
    assert!(lines.contains(&format!("added {A} d/a").as_str()), "{lines:?}");
    let quiet = fixture.call_with("add", "quiet=true", Some(tree())).await.unwrap();
    assert!(quiet.text.out.lines().all(|line| line.starts_with("Qm")), "{}", quiet.text.out);
    let silent = fixture.call_with("add", "silent=true", Some(tree())).await.unwrap();
    assert_eq!(silent.text.out, "");
    let v1 = fixture.call_with("add", "quieter=true cid-version=1", Some(tree())).await.unwrap();
    assert!(v1.text.out.starts_with("bafybei"), "{}", v1.text.out);
    let base =
        fixture.call_with("add", "quieter=true cid-base=base36", Some(tree())).await.unwrap();
    assert!(base.text.out.starts_with('k'), "{}", base.text.out);
}

#[tokio::test]
async fn only_hash_writes_nothing_and_odd_names_are_escaped() {
    let fixture = Fixture::new().await;
    let odd = || entries(vec![AddEntry::file("a\u{1b}[2J\nb", &b"x"[..])]);
    let told = fixture.call_with("add", "only-hash=true", Some(odd())).await.unwrap();
    assert!(told.text.out.contains("a\\x1b[2J\\nb"), "{:?}", told.text.out);
    let stat = fixture.call("repo stat", "").await.unwrap();
    assert_eq!(stat.values[0]["NumObjects"], 0);
    assert_eq!(stat.values[0]["Version"], format!("fs-repo@{REPO_VERSION}"));
}

#[tokio::test]
async fn reads_back_what_was_added() {
    let fixture = Fixture::new().await;
    let root = fixture.add_tree().await;
    assert_eq!(root, TREE);
    let cat = fixture.call("cat", &format!("{root}/a {root}/sub/b offset=1 length=2")).await;
    assert_eq!(cat.unwrap().bytes, b"\nb");
    let ls = fixture.call("ls", &format!("{root} headers=true")).await.unwrap();
    let expected = format!(
        "Hash                                           Size Name\n{A} 2    a\n\
         QmQGdvJc5i8i3wPbkBgwtn91eoNg9cDxMBqaH4RBJVGX8S 0    l\n\
         QmYK7dA9iTDSmYvSbEWFBkKLAtxNWkveYfEPptHimToKVJ -    sub/\n"
    );
    assert_eq!(ls.text.out, expected);
    let link = &ls.values[0]["Objects"][0]["Links"][1];
    assert_eq!((&link["Type"], &link["Target"]), (&4.into(), &"a".into()));
    let refs = fixture.call("refs", &format!("{root} recursive=true")).await.unwrap();
    assert_eq!(refs.values.len(), 4);
    let edges = fixture.call("refs", &format!("{root} edges=true")).await.unwrap();
    assert!(edges.text.out.starts_with(&format!("{TREE} -> {A}\n")), "{}", edges.text.out);
    let resolved = fixture.call("resolve", &format!("/ipfs/{root}/a")).await.unwrap();
    assert_eq!(resolved.text.out, format!("/ipfs/{A}\n"));
}

/// A listing that is too long for one piece is the same value: all directories, sorted, with what
/// the streamed one tells of each entry.
#[tokio::test]
async fn long_listings_come_in_pieces_and_are_one_value() {
    let fixture = Fixture::new().await;
    let little = fixture.add_tree().await;
    let file = |number: u32| {
        AddEntry::file(format!("d/{number}"), std::io::Cursor::new(number.to_string()))
    };
    let files = (0..5000).map(file).collect();
    let told = fixture.call_with("add", "quieter=true", Some(entries(files))).await.unwrap();
    let large = told.text.out.trim();
    let whole = fixture.call("ls", &format!("{little} {large}")).await.unwrap();
    let streamed = fixture.call("ls", &format!("{little} {large} stream=true")).await.unwrap();
    assert_eq!((whole.values.len(), streamed.values.len()), (1, 5003));
    let objects = whole.values[0]["Objects"].as_array().unwrap();
    assert_eq!(objects.len(), 2);
    for object in objects {
        let mut expected: Vec<_> = streamed.values.iter().map(|told| &told["Objects"][0]).collect();
        expected.retain(|told| told["Hash"] == object["Hash"]);
        let mut expected: Vec<_> = expected.iter().map(|told| &told["Links"][0]).collect();
        expected.sort_by_key(|link| link["Name"].as_str());
        let links: Vec<_> = object["Links"].as_array().unwrap().iter().collect();
        assert_eq!(links, expected);
    }
    assert_eq!(whole.text.out.lines().count(), 5003 + 3, "with a title each, and a line between");
}

#[tokio::test]
async fn packs_directories() {
    let fixture = Fixture::new().await;
    let root = fixture.add_tree().await;
    let told = fixture.call("get", &root).await.unwrap();
    let mut archive = tar::Archive::new(&told.bytes[..]);
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| String::from_utf8(entry.unwrap().path_bytes().into_owned()).unwrap())
        .collect();
    let below = |name: &str| format!("{TREE}/{name}");
    assert_eq!(names, ["", "a", "l", "sub/", "sub/b"].map(below));
    let refused = fixture.call("get", &format!("{root} compress=true")).await.unwrap_err();
    assert_eq!(refused.fault(), Fault::Request);
    let packed = fixture.call("get", &format!("{root}/a compress=true")).await.unwrap();
    let mut plain = Vec::new();
    std::io::copy(&mut flate2::read::GzDecoder::new(&packed.bytes[..]), &mut plain).unwrap();
    assert_eq!(plain, b"a\n");
}

#[tokio::test]
async fn pins_come_and_go() {
    let fixture = Fixture::new().await;
    let root = fixture.add_tree().await;
    let told = fixture.call("pin ls", &format!("{root} {A}")).await.unwrap();
    let expected = [format!("{root} recursive"), format!("{A} indirect through {root}")];
    let mut lines: Vec<&str> = told.text.out.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, expected);
    let removed = fixture.call("pin rm", &root).await.unwrap();
    assert_eq!(removed.text.out, format!("unpinned {root}\n"));
    let again = fixture.call("pin rm", &root).await.unwrap_err();
    assert!(again.message().contains("not pinned or pinned indirectly"), "{again}");
    let added = fixture.call("pin add", &format!("{root} name=mine progress=true")).await.unwrap();
    assert_eq!(added.values.last().unwrap()["Pins"][0], root.as_str());
    let streamed = fixture.call("pin ls", "stream=true names=true type=recursive").await.unwrap();
    assert_eq!(streamed.text.out, format!("{root} recursive mine\n"));
    let absent = fixture.call("pin ls", &format!("{root} type=direct")).await.unwrap_err();
    assert!(absent.message().contains("is not pinned"), "{absent}");
}

#[tokio::test]
async fn garbage_is_collected_and_told() {
    let fixture = Fixture::new().await;
    let root = fixture.add_tree().await;
    let loose = |text: &'static [u8]| entries(vec![AddEntry::file("", text)]);
    let unpinned = "pin=false quieter=true raw-leaves=true";
    let mut add = Vec::new();
    for text in [b"one", b"two", b"six", b"ten"] {
        let told = fixture.call_with("add", unpinned, Some(loose(text))).await.unwrap();
        add.push(told.text.out.trim().to_owned());
        let options = ["", "quiet=true", "silent=true", "cid-base=base36"][add.len() - 1];
        let told = fixture.call("repo gc", options).await.unwrap();
        let cid = add.last().unwrap();
        match options {
            "" => {
                assert_eq!(told.text.out, format!("removed {cid}\n"));
                assert_eq!(told.values, [serde_json::json!({"Key": {"/": cid}})]);
            }
            "quiet=true" => assert_eq!(told.text.out, format!("{cid}\n")),
            "silent=true" => assert_eq!((told.text.out.as_str(), told.values.len()), ("", 0)),
            _ => assert!(told.text.out.starts_with("removed k"), "{}", told.text.out),
        }
        assert!(fixture.call("block stat", &format!("{cid} offline=true")).await.is_err());
    }
    assert_eq!(fixture.call("repo gc", "").await.unwrap().values.len(), 0);
    fixture.call("cat", &format!("{root}/sub/b")).await.unwrap();
    // A gap below a pin stops it; asked to, it tells so as an answer.
    let sub = fixture.call("resolve", &format!("/ipfs/{root}/sub")).await.unwrap();
    let sub: cairn_block::Cid = sub.text.out.trim()[6..].parse().unwrap();
    assert!(fixture.node.store().delete(&sub).unwrap());
    let error = fixture.call("repo gc", "").await.unwrap_err();
    assert!(error.message().contains(&sub.to_string()), "{}", error.message());
    let told = fixture.call("repo gc", "stream-errors=true").await.unwrap();
    assert!(told.values[0]["Error"].as_str().unwrap().contains(&sub.to_string()));
    assert!(told.text.failed, "and the command fails");
}

#[tokio::test]
async fn single_blocks() {
    let fixture = Fixture::new().await;
    let file = |bytes: &'static [u8]| Some(entries(vec![AddEntry::file("", bytes)]));
    let put = fixture.call_with("block put", "", file(b"raw\n")).await.unwrap();
    let cid = put.values[0]["Key"].as_str().unwrap().to_owned();
    assert_eq!(cid, "bafkreieoltxmuosdqe247ujxf2x6s2omyrcapghdpdmlr3jeeqxqe2tqj4");
    let v0 = fixture.call_with("block put", "format=v0", file(b"raw\n")).await.unwrap();
    assert!(v0.text.out.starts_with("Qm"), "{}", v0.text.out);
    assert_eq!(fixture.call("block get", &cid).await.unwrap().bytes, b"raw\n");
    let stat = fixture.call("block stat", &cid).await.unwrap();
    assert_eq!(stat.text.out, format!("Key: {cid}\nSize: 4\n"));
    let removed = fixture.call("block rm", &cid).await.unwrap();
    assert_eq!(removed.text.out, format!("removed {cid}\n"));
    let again = fixture.call("block rm", &cid).await.unwrap();
    assert!(again.text.failed && again.text.talk.contains(&cid), "{:?}", again.text);
    let missing = fixture.call_with("block put", "", None).await.unwrap_err();
    assert_eq!(missing.message(), "file argument 'data' is required");
}

#[tokio::test]
async fn configuration_is_read_and_changed() {
    let fixture = Fixture::new().await;
    fixture.call("config", "Datastore.StorageMax 5GB").await.unwrap();
    let told = fixture.call("config", "Datastore.StorageMax").await.unwrap();
    assert_eq!(told.text.out, "5GB\n");
    fixture.call("config", "Foo.Bar true bool=true").await.unwrap();
    let told = fixture.call("config", "Foo").await.unwrap();
    assert_eq!(told.text.out, "{\n  \"Bar\": true\n}\n");
    let shown = fixture.call("config show", "").await.unwrap();
    assert!(!shown.text.out.contains("PrivKey"), "no secrets");
    for key in ["Identity.PrivKey", "No.Such.Key"] {
        assert!(fixture.call("config", key).await.is_err(), "{key}");
    }
    let profile = fixture.call("config profile apply", "lowpower dry-run=true").await.unwrap();
    assert!(profile.values[0]["OldCfg"].is_object());
}

#[tokio::test]
async fn errors_name_what_is_wrong() {
    let fixture = Fixture::new().await;
    let root = fixture.add_tree().await;
    let missing = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEM";
    let rows = [
        ("cat", root.clone(), "this dag node is a directory"),
        ("cat", format!("{root}/nofile"), "nofile"),
        ("cat", missing.to_owned(), missing),
        ("cat", "garbage".to_owned(), "garbage"),
        ("cat", format!("{root}/a offset=-1"), "negative offset"),
        ("swarm peers", String::new(), "online mode"),
        ("ls", String::new(), "ipfs-path"),
        ("cat", format!("{root}/a timeout=soon"), "invalid duration"),
        ("version", "extra".to_owned(), "too many arguments"),
    ];
    for (command, line, expected) in rows {
        let error = fixture.call(command, &line).await.unwrap_err();
        assert!(error.message().contains(expected), "{command} {line}: {error}");
    }
}

#[tokio::test]
async fn tells_who_it_is() {
    let fixture = Fixture::new().await;
    let id = fixture.call("id", "").await.unwrap();
    let peer = id.values[0]["ID"].as_str().unwrap().to_owned();
    assert_eq!(peer, fixture.node.identity().peer_id().to_string());
    let told = fixture.call("id", "format=<id>\\n").await.unwrap();
    assert_eq!(told.text.out, format!("{peer}\n"));
    let cid = fixture.call("id", "peerid-base=base36").await.unwrap();
    assert!(cid.values[0]["ID"].as_str().unwrap().starts_with("k51"), "{:?}", cid.values);
}

#[tokio::test]
async fn many_pins_are_one_answer() {
    let fixture = Fixture::new().await;
    let mut cids = Vec::new();
    for number in 0..40 {
        let file = entries(vec![AddEntry::file(
            "",
            format!("file {number}").into_bytes().leak() as &[u8],
        )]);
        let told = fixture.call_with("add", "quieter=true pin=false", Some(file)).await.unwrap();
        cids.push(told.text.out.trim().to_owned());
    }
    let all = cids.join(" ");
    let told = fixture.call("pin add", &format!("{all} name=many")).await.unwrap();
    assert_eq!(told.values.len(), 1);
    assert_eq!(told.values[0]["Pins"].as_array().unwrap().len(), 40);
    let absent = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEM";
    let refused = fixture.call("pin rm", &format!("{all} {absent}")).await.unwrap_err();
    assert!(refused.message().contains(absent), "{refused}");
    let listed = fixture.call("pin ls", "type=recursive quiet=true").await.unwrap();
    assert_eq!(listed.text.out.lines().count(), 40, "one that is not pinned keeps them all");
    let told = fixture.call("pin rm", &all).await.unwrap();
    assert_eq!(told.text.out.lines().count(), 40);
    let empty = fixture.call("pin ls", "stream=true").await.unwrap();
    assert_eq!(empty.values.len(), 0);
}

#[tokio::test]
async fn pins_move_on_and_end() {
    let fixture = Fixture::new().await;
    let root = fixture.add_tree().await;
    fixture.call("pin add", &format!("{root} name=site")).await.unwrap();
    let told = fixture.call("pin update", &format!("{root} {A}")).await.unwrap();
    assert_eq!(told.text.out, format!("updated {root} to {A}\n"));
    let listed = fixture.call("pin ls", "names=true").await.unwrap();
    assert_eq!(listed.text.out, format!("{A} recursive site\n"), "the name is kept");
    let again = fixture.call("pin update", &format!("{root} {A}")).await.unwrap_err();
    assert!(again.message().contains("'from' cid was not recursively pinned"), "{again}");
    let both = fixture.call("pin update", &format!("{A} {root} unpin=false")).await.unwrap();
    assert_eq!(both.values[0]["Pins"][1], root.as_str());
    let there = fixture.call("pin update", &format!("{A} {root}")).await.unwrap_err();
    assert!(there.message().contains("'to' cid was already"), "{there}");

    fixture.call("pin add", &format!("{A} expire-in=30d")).await.unwrap();
    let listed = fixture.call("pin ls", &format!("{A} expires=true")).await.unwrap();
    let until = listed.values[0]["Keys"][A]["Expires"].as_str().unwrap();
    assert!(until.starts_with("20") && until.ends_with('Z'), "{until}");
    assert!(listed.text.out.contains(&format!("(until {until})")), "{}", listed.text.out);
    fixture.call("pin add", &format!("{A} expire-in=1ns")).await.unwrap();
    let listed = fixture.call("pin ls", "type=recursive stream=true").await.unwrap();
    assert_eq!(listed.text.out, format!("{root} recursive\n"), "it has ended");
    let wrong = fixture.call("pin add", &format!("{A} expire-in=soon")).await.unwrap_err();
    assert_eq!(wrong.fault(), Fault::Request);
}

#[tokio::test]
async fn broken_pins_are_told() {
    let fixture = Fixture::new().await;
    let root = fixture.add_tree().await;
    let told = fixture.call("pin verify", "verbose=true").await.unwrap();
    assert_eq!(told.text.out, format!("{root} ok\n"));
    assert_eq!(fixture.call("pin verify", "").await.unwrap().values.len(), 0);
    fixture.node.store().delete(&A.parse().unwrap()).unwrap();
    let told = fixture.call("pin verify", "").await.unwrap();
    assert!(told.text.out.starts_with(&format!("{root} broken\n  {A}: ")), "{}", told.text.out);
    assert_eq!(told.values[0]["BadNodes"][0]["Cid"], A);
    assert!(told.values[0]["Ok"].is_null(), "as Kubo leaves it out");
    let told = fixture.call("pin verify", "quiet=true").await.unwrap();
    assert_eq!(told.text.out, format!("{root}\n"));
    assert!(fixture.call("pin verify", "quiet=true verbose=true").await.is_err());
}

#[tokio::test]
async fn the_repository_is_verified_and_scrubbed() {
    let fixture = Fixture::new().await;
    fixture.add_tree().await;
    let told = fixture.call("repo verify", "").await.unwrap();
    let last = told.values.last().unwrap();
    assert_eq!(last["Msg"], "verify complete, all blocks validated.");
    assert!(told.text.out.contains("5 blocks processed.\r"), "{}", told.text.out);
    let offline = fixture.call("repo verify", "heal=true").await.unwrap_err();
    assert!(offline.message().contains("online mode"), "{offline}");
    for wrong in ["heal-timeout=soon", "reset-meta=true"] {
        let refused = fixture.call("repo verify", wrong).await.unwrap_err();
        assert_eq!(refused.fault(), Fault::Request, "{wrong}");
    }
    assert_eq!(fixture.call("repo ls", "").await.unwrap().values.len(), 5);

    let never = fixture.call("repo scrub status", "").await.unwrap();
    assert_eq!(never.text.out, "scrub: never\n");
    let told = fixture.call("repo scrub", "wait=true rate=50MB/s").await.unwrap();
    let last = told.values.last().unwrap();
    assert_eq!((&last["State"], &last["Blocks"]), (&"finished".into(), &5.into()));
    assert_eq!(last["Done"], last["Total"]);
    let stat = fixture.call("repo stat", "").await.unwrap();
    assert_eq!(stat.values[0]["Scrub"]["State"], "finished");
    assert_eq!(stat.values[0]["Corrupt"], 0);
    assert!(stat.text.out.contains("5 blocks, 0 corrupt, 0 healed"), "{}", stat.text.out);
    let stopped = fixture.call("repo scrub stop", "").await.unwrap();
    assert_eq!(stopped.values[0]["State"], "finished");
    assert!(fixture.call("repo scrub", "rate=fast").await.is_err());
}

#[tokio::test]
async fn text_goes_from_base_to_base() {
    let fixture = Fixture::new().await;
    let file = |text: &'static str| Some(entries(vec![AddEntry::file("", text.as_bytes())]));
    let told = fixture.call_with("multibase encode", "b=base16", file("hello\n")).await.unwrap();
    assert_eq!(told.bytes, b"f68656c6c6f0a");
    let told = fixture.call_with("multibase encode", "", file("hello")).await.unwrap();
    assert_eq!(told.bytes, b"uaGVsbG8");
    let told = fixture.call_with("multibase decode", "", file("f68656c6c6f\n")).await.unwrap();
    assert_eq!(told.bytes, b"hello");
    let told = fixture.call_with("multibase transcode", "b=z", file("uaGVsbG8")).await.unwrap();
    assert_eq!(told.bytes, b"zCn8eVZg");
    let list = fixture.call("multibase list", "").await.unwrap();
    assert!(list.text.out.contains("base32hexpad\n"), "{}", list.text.out);
    let error = fixture.call_with("multibase decode", "", file("no")).await.unwrap_err();
    assert_eq!(error.fault(), Fault::Request);
}
