//! The command line, without a daemon and with one: the same words, the same answers.

use cairn_tests::{Home, tree};
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::Path,
};

/// CID of "hello world\n" as Kubo adds it, from Kubo's documentation.
const HELLO: &str = "QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o";
/// CID of the empty folder, which Kubo answers without a repository.
const EMPTY_FOLDER: &str = "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn";

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it exists").permissions().mode() & 0o777
}

#[test]
fn init_makes_a_private_repository_once() {
    let home = Home::empty();
    let said = home.run(["init"]).text();
    let config = home.config();
    let peer = config["Identity"]["PeerID"].as_str().expect("there is an identity");
    assert!(said.contains(peer), "{said}");
    assert_eq!(mode(&home.repo().join("config")), 0o600);
    assert_eq!(mode(&home.repo().join("keystore")), 0o700);
    assert!(home.repo().join("version").is_file());

    let again = home.run(["init"]);
    assert!(again.failure().contains("already"), "{again:?}");
    assert_eq!(home.config(), config, "a second init changes nothing");
}

#[test]
fn commands_without_a_repository_say_how_to_make_one() {
    let home = Home::empty();
    let file = home.file("a", "a");
    let refused = home.run(["add".as_ref(), file.as_os_str()]);
    assert!(refused.failure().contains("cairn init"), "{refused:?}");
    assert!(!home.repo().exists(), "nothing was made");
}

#[test]
fn wrong_usage_is_exit_code_2() {
    let home = Home::new();
    for args in
        [&["nosuchcommand"][..], &["add", "--nosuchflag", "x"], &["cat"], &["block", "nosuch"]]
    {
        let outcome = home.run(args);
        assert_eq!(outcome.code, Some(2), "{outcome:?}");
        assert!(!outcome.stderr.is_empty(), "{outcome:?}");
    }
}

#[test]
fn help_and_version_need_no_repository() {
    let home = Home::empty();
    assert!(home.run(["--help"]).text().contains("add"));
    assert!(home.run(["add", "--help"]).text().contains("--chunker"));
    let version = home.run(["version", "--number"]).text();
    assert_eq!(version.split('.').count(), 3, "{version}");
    assert!(home.run(["version"]).text().contains(&version));
    assert!(!home.repo().exists(), "nothing was made");
}

#[test]
fn what_is_added_can_be_read() {
    let home = Home::new();
    let file = home.file("hello.txt", "hello world\n");
    let added = home.run(["add".as_ref(), file.as_os_str()]).text();
    assert_eq!(added, format!("added {HELLO} hello.txt"));
    assert_eq!(home.run(["cat", HELLO]).text(), "hello world");
    assert_eq!(home.run(["cat", &format!("/ipfs/{HELLO}")]).text(), "hello world");
    assert_eq!(home.run(["cat", "-o", "6", "-l", "3", HELLO]).text(), "wor");
    assert_eq!(home.run_with(["add", "-q"], b"hello world\n".to_vec()).text(), HELLO);

    let empty = home.path("empty");
    fs::create_dir(&empty).expect("a folder can be made");
    assert_eq!(home.add(&empty), EMPTY_FOLDER);
}

#[test]
fn hashing_only_stores_nothing() {
    let home = Home::new();
    let file = home.file("big", tree::Random::new(1).bytes(3_000_000));
    let before = home.run(["repo", "stat", "--size-only"]).text();
    let only = home.run(["add".as_ref(), "-Qn".as_ref(), file.as_os_str()]).text();
    assert_eq!(home.run(["repo", "stat", "--size-only"]).text(), before);
    let cat = home.run(["--offline", "cat", &only]);
    assert!(cat.failure().contains(&only), "{cat:?}");
    assert_eq!(home.add(&file), only);
}

#[test]
fn trees_come_back_as_they_were() {
    let home = Home::new();
    let source = home.path("source");
    tree::make(&source, 7);
    let root = home.add(&source);
    let target = home.path("target");
    home.run(["get".as_ref(), root.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
    tree::assert_same(&source, &target);

    let listed = home.run(["ls", &format!("{root}/names")]).text();
    assert!(listed.contains("with space") && listed.contains("日本語"), "{listed}");
    assert!(!listed.contains('\t'), "hostile names are escaped: {listed}");
}

#[test]
fn answers_are_the_same_with_a_daemon() {
    let home = Home::new();
    let source = home.path("source");
    tree::make(&source, 8);
    let root = home.add(&source);
    let names = format!("/ipfs/{root}/names");
    let first = format!("/ipfs/{root}/len-3");
    let commands: &[&[&str]] = &[
        &["ls", &root],
        &["ls", "--size=false", &names],
        &["cat", &first],
        &["refs", &root],
        &["refs", "-r", "-u", &root],
        &["block", "stat", &root],
        &["block", "get", &root],
        &["pin", "ls", "--type=recursive"],
        &["cid", "base32", &root],
        &["config", "Addresses.API"],
        &["version"],
        &["cat", "/ipfs/QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn/nowhere"],
        &["cat", &root],
    ];
    let run_all = || commands.iter().map(|args| home.run(*args)).collect::<Vec<_>>();
    let alone = run_all();
    let daemon = home.daemon();
    let served = run_all();
    for (alone, served) in alone.iter().zip(&served) {
        assert_eq!(alone.stdout, served.stdout, "{}", alone.command);
        assert_eq!(alone.stderr, served.stderr, "{}", alone.command);
        assert_eq!(alone.code, served.code, "{}", alone.command);
    }
    assert_eq!(daemon.stop().code(), Some(0));
}

#[test]
fn trees_pass_through_a_daemon() {
    let home = Home::new();
    let source = home.path("source");
    tree::make(&source, 9);
    let hashed = ["add", "-Qnr", "-H"].map(AsRef::as_ref);
    let alone = home.run(hashed.into_iter().chain([source.as_os_str()])).text();
    let _daemon = home.daemon();
    let root = home.add(&source);
    assert_eq!(root, alone, "the same CID through HTTP");
    let target = home.path("target");
    home.run(["get".as_ref(), root.as_ref(), "-o".as_ref(), target.as_os_str()]).text();
    tree::assert_same(&source, &target);
}

#[test]
fn pins_hold_and_let_go() {
    let home = Home::new();
    let file = home.file("a", "pinned");
    let cid = home.run(["add".as_ref(), "-Q".as_ref(), "--pin=false".as_ref(), file.as_os_str()]);
    let cid = cid.text();
    let list = || home.run(["pin", "ls", "--type=recursive", "-q"]).text();
    assert!(!list().contains(&cid));
    assert_eq!(home.run(["pin", "add", &cid]).text(), format!("pinned {cid} recursively"));
    assert!(list().contains(&cid));
    assert!(home.run(["block", "rm", &cid]).code != Some(0), "a pinned block stays");
    assert_eq!(home.run(["pin", "rm", &cid]).text(), format!("unpinned {cid}"));
    let again = home.run(["pin", "rm", &cid]);
    assert!(again.failure().contains("not pinned"), "{again:?}");
    home.run(["block", "rm", &cid]).text();
    assert!(home.run(["--offline", "cat", &cid]).failure().contains(&cid));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let home = Home::new();
    let cid = home.add(&home.file("big", tree::Random::new(2).bytes(5_000_000)));
    let mut shell = home.command_of(Path::new("sh"));
    let binary = cairn_tests::binary();
    shell.args(["-c", "\"$0\" cat \"$1\" | head -c 10 >/dev/null; exit 0"]).arg(binary).arg(&cid);
    let output = shell.output().expect("there is a shell");
    assert!(output.status.success());
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "nothing to complain about");
}

#[test]
fn it_answers_to_its_other_name() {
    let home = Home::new();
    let link = home.path("ipfs");
    symlink(cairn_tests::binary(), &link).expect("a symlink can be made");
    let file = home.file("hello.txt", "hello world\n");
    let output = home.command_of(&link).args(["add", "-Q"]).arg(&file).output();
    let output = output.expect("it starts");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), HELLO);
}

#[test]
fn settings_are_kept_as_text_and_as_json() {
    let home = Home::new();
    home.edit_config(|config| config["Somebody"] = serde_json::json!({ "Else": [1, "two"] }));
    home.run(["config", "Datastore.StorageMax", "7GB"]).text();
    home.run(["config", "--json", "Gateway.NoFetch", "true"]).text();
    let config = home.config();
    assert_eq!(config["Datastore"]["StorageMax"], "7GB");
    assert_eq!(config["Gateway"]["NoFetch"], true);
    assert_eq!(config["Somebody"]["Else"][1], "two", "unknown keys stay");
    assert_eq!(home.run(["config", "Datastore.StorageMax"]).text(), "7GB");
    let shown = home.run(["config", "show"]).text();
    let secret = config["Identity"]["PrivKey"].as_str().expect("there is a private key");
    assert!(!shown.contains(secret) && shown.contains("Addresses"), "{shown}");
    assert!(!home.run(["config", "Identity.PrivKey"]).stderr.contains(secret));
}

#[test]
fn a_backup_is_restored_elsewhere() {
    let home = Home::new();
    let first = home.add(&home.file("first", "first\n".repeat(100_000)));
    // Relative to where the command runs, not to where the daemon does.
    let said = home.run(["repo", "backup", "backup"]).text();
    assert!(said.starts_with("copied "), "{said}");
    let daemon = home.daemon_with(&["--offline"]);
    let second = home.add(&home.file("second", "second\n"));
    let said = home.run(["repo", "backup", "./backup"]).text();
    assert!(said.starts_with("copied ") && said.contains("holds"), "{said}");
    assert_eq!(daemon.stop().code(), Some(0));
    let refused = home.run(["repo", "backup", "repo/blocks"]);
    assert!(refused.failure().contains("inside the repository"), "{refused:?}");

    home.file("somebodys", "notes");
    let refused = home.run(["repo", "backup", "somebodys"]);
    assert!(refused.failure().contains("ends in .tar"), "{refused:?}");

    let restored = |args: &[&str]| {
        let mut command = home.command();
        command.env("CAIRN_PATH", home.path("restored")).args(args);
        cairn_tests::run(&mut command)
    };
    let backup = home.path("backup").to_str().expect("the path is text").to_owned();
    assert!(restored(&["repo", "restore", "repo"]).failure().contains("holds no backup"));
    assert!(restored(&["repo", "restore", &backup]).text().contains("peer ID"));
    assert!(restored(&["repo", "restore", &backup]).failure().contains("already"));
    assert_eq!(restored(&["cat", &second]).text(), "second");
    assert_eq!(restored(&["cat", &first]).stdout.len(), 600_000);
    let pins = restored(&["pin", "ls", "--type", "recursive", "-q"]).text();
    assert!(pins.contains(&first) && pins.contains(&second), "{pins}");
    let identity =
        |text: String| -> serde_json::Value { serde_json::from_str(&text).expect("JSON") };
    let config = identity(restored(&["config", "show"]).text());
    assert_eq!(config["Identity"]["PeerID"], home.config()["Identity"]["PeerID"]);
    assert_eq!(mode(&home.path("restored/config")), 0o600);
    // The backup itself is no repository.
    let mut command = home.command();
    command.env("CAIRN_PATH", &backup).args(["repo", "stat"]);
    assert!(cairn_tests::run(&mut command).failure().contains("repo restore"));
}

#[test]
fn a_backup_is_one_file_that_tar_reads() {
    let home = Home::new();
    let first = home.add(&home.file("first", "first\n".repeat(100_000)));
    let daemon = home.daemon_with(&["--offline"]);
    for _ in 0..2 {
        let said = home.run(["repo", "backup", "all.tar"]).text();
        assert!(said.starts_with("copied "), "{said}");
    }
    assert_eq!(daemon.stop().code(), Some(0));
    assert_eq!(mode(&home.path("all.tar")), 0o600);
    let restored = |from: &str, to: &str| {
        let mut command = home.command();
        command.env("CAIRN_PATH", home.path(to)).args(["repo", "restore", from]);
        assert!(cairn_tests::run(&mut command).text().contains("peer ID"));
        let mut command = home.command();
        command.env("CAIRN_PATH", home.path(to)).args(["cat", &first]);
        assert_eq!(cairn_tests::run(&mut command).stdout.len(), 600_000);
    };
    restored("all.tar", "one");
    // What `tar` makes of it is a backup's directory, and back again.
    let tar = |args: &[&str]| {
        let mut command = std::process::Command::new("tar");
        command.current_dir(home.path("")).args(args);
        cairn_tests::run(&mut command).text();
    };
    fs::create_dir(home.path("unpacked")).expect("the directory is new");
    tar(&["-xf", "all.tar", "-C", "unpacked"]);
    restored("unpacked", "two");
    tar(&["-cf", "again.tar", "-C", "unpacked", "."]);
    restored("again.tar", "three");
}

#[test]
fn cids_are_signed_and_signatures_checked() {
    let home = Home::new();
    // The key of RFC 8037, and another one without its secret part (RFC 7515).
    let own = r#"{"kty":"OKP","crv":"Ed25519","d":"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    let other = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;
    let (own, other) = (home.file("own.jwk", own), home.file("other.jwk", other));
    let keyed = |args: &[&str], key: &Path| {
        let mut words: Vec<&std::ffi::OsStr> = args.iter().map(AsRef::as_ref).collect();
        words.push(key.as_os_str());
        home.run(words)
    };
    let cid = home.add(&home.file("a", "signed"));
    let signed = keyed(&["dag", "jose", "sign", &cid], &own).text();
    let told = keyed(&["dag", "jose", "verify", &signed], &own).text();
    assert!(told.contains("EdDSA") && told.starts_with("Qm"), "{told}");
    assert_eq!(home.run(["dag", "get", "--enc=json", &format!("{signed}/link")]).code, Some(0));
    let refused = keyed(&["dag", "jose", "verify", &signed], &other);
    let named =
        refused.failure().contains("no right signature") && refused.failure().contains(&signed);
    assert!(named, "{refused:?}");
    let refused = keyed(&["dag", "jose", "sign", &cid], &other);
    assert!(refused.failure().contains("no secret part"), "{refused:?}");
    let refused = keyed(&["dag", "jose", "verify", &cid], &own);
    assert!(refused.failure().contains("not a dag-jose object"), "{refused:?}");
    // An object of the codec's fixtures, and the key that its makers published.
    let jwe = r#"{"ciphertext":"NCoT_iDnLqtqkWHQRoC_41YfGZy5dGLS6JT3qJoYrznHz5DW","iv":"iJc770o6qWs15wlZnNrGaYYznIdK0Srv","protected":"eyJhbGciOiJkaXIiLCJlbmMiOiJYQzIwUCJ9","tag":"En-zMkJdDo7QQe9rqxjLPA"}"#;
    let jwe = home.file("jwe", jwe);
    let put = ["dag", "put", "--store-codec=dag-jose"];
    let encrypted = keyed(&put, &jwe).text();
    assert_eq!(encrypted, "bagcqcerakjv2mmdlbai3urym22bw5kaw7nqov73yaxf6xjnp7e56sclsrooa");
    let shared = r#"{"kty":"oct","k":"J4pd5wDin6ro5A42bsUBK17GPTbsd-iiQXFUzB0lOD8"}"#;
    let shared = home.file("shared.jwk", shared);
    let within = keyed(&["dag", "jose", "decrypt", "--cid", &encrypted], &shared).text();
    assert_eq!(within, "bafybeig6xv5nwphfmvcnektpnojts33jqcuam7bmye2pb54adnrtccjlsu");
    assert_eq!(keyed(&["dag", "jose", "decrypt", &encrypted], &shared).stdout.len(), 36);
    let refused = keyed(&["dag", "jose", "decrypt", &encrypted], &own);
    assert!(refused.failure().contains("neither X25519 nor shared bytes"), "{refused:?}");
    let refused = keyed(&["dag", "jose", "decrypt", &signed], &shared);
    assert!(refused.failure().contains("is not encrypted"), "{refused:?}");
}
