//! `cairn git`: repositories that Debian's git made, in and out again.

use cairn_tests::{Home, Outcome, run, tree};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// git on its own, without anybody's settings.
fn command(folder: &Path) -> Command {
    let mut command = Command::new("git");
    command
        .arg("-C")
        .arg(folder)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("LC_ALL", "C");
    for who in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{who}_NAME"), "A U Thor");
        command.env(format!("GIT_{who}_EMAIL"), "a@example.com");
        command.env(format!("GIT_{who}_DATE"), "2005-04-07T22:13:13 +0200");
    }
    command
}

fn git(folder: &Path, args: &[&str]) -> String {
    run(command(folder).args(args)).text()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("temporary paths are UTF-8")
}

/// A repository with what repositories have: a merge, tags, a link, a submodule, packed and loose.
fn repository(home: &Home, name: &str) -> PathBuf {
    let folder = home.path(name);
    fs::create_dir(&folder).expect("a folder can be made");
    git(&folder, &["init", "-q", "-b", "main"]);
    let commit = |file: &str, text: &[u8]| {
        tree::write(&folder.join(file), text);
        git(&folder, &["add", "-A"]);
        git(&folder, &["commit", "-q", "-m", file]);
    };
    for number in 0..20 {
        commit("long", &format!("{number}\n").repeat(2000).into_bytes());
    }
    git(&folder, &["gc", "-q"]);
    git(&folder, &["checkout", "-q", "-b", "side"]);
    commit("sub/folder/file", b"side");
    git(&folder, &["checkout", "-q", "main"]);
    commit("other", b"main");
    git(&folder, &["merge", "-q", "--no-ff", "-m", "merged", "side"]);
    std::os::unix::fs::symlink("other", folder.join("link")).expect("a symlink can be made");
    let submodule = "160000,4964dc82b4bd507103723f87a715eb924d5c3215,module";
    git(&folder, &["update-index", "--add", "--cacheinfo", submodule]);
    git(&folder, &["add", "link"]);
    git(&folder, &["commit", "-q", "-m", "link and submodule"]);
    git(&folder, &["tag", "light"]);
    git(&folder, &["tag", "-a", "-m", "a tag", "heavy"]);
    git(&folder, &["update-ref", "refs/notes/odd", "HEAD~3"]);
    folder
}

fn import(home: &Home, path: &Path) -> Outcome {
    home.run(["git", "import", "--enc=json", text(path)])
}

fn answer(outcome: &Outcome) -> Value {
    serde_json::from_str(&outcome.text()).expect("the answer is JSON")
}

fn refs(folder: &Path) -> String {
    git(folder, &["for-each-ref", "--format=%(objectname) %(refname)"])
}

/// Exports a root and checks the repository against the one that was imported.
fn export_like(home: &Home, root: &str, source: &Path, name: &str) -> PathBuf {
    let target = home.path(name);
    home.run(["git", "export", root, text(&target)]).text();
    git(&target, &["fsck", "--full", "--strict"]);
    assert_eq!(refs(&target), refs(source));
    assert_eq!(git(&target, &["rev-list", "--all"]), git(source, &["rev-list", "--all"]));
    target
}

#[test]
fn a_repository_goes_in_and_comes_out_again() {
    let home = Home::new();
    let source = repository(&home, "source");
    let first = answer(&import(&home, &source));
    let root = first["Root"]["/"].as_str().expect("a root").to_owned();
    assert_eq!((&first["Refs"], &first["LargeBlobs"]), (&json!(5), &json!(0)));
    assert_eq!(first["NewObjects"], first["Objects"]);
    let listed = home.run(["git", "ls", &root]).text();
    let expected = git(&source, &["ls-remote", "--symref", "."]);
    let expected: Vec<&str> = expected
        .lines()
        .filter(|line| {
            !line.ends_with("^{}") && !line.ends_with("\tHEAD") || line.starts_with("ref:")
        })
        .collect();
    assert_eq!(listed.lines().collect::<Vec<_>>(), expected);

    // Below the root lies all of it, for anybody who follows links.
    let pinned = home.run(["pin", "ls", "--type=recursive", "-q"]).text();
    assert_eq!(pinned, root);
    let count = home.run(["refs", "-r", "-u", &root]).text().lines().count();
    assert_eq!(json!(count), first["Objects"]);

    // A collection takes nothing of it; what is exported is the same.
    home.run(["repo", "gc"]).text();
    let target = export_like(&home, &root, &source, "bare.git");
    assert_eq!(git(&target, &["symbolic-ref", "HEAD"]), "refs/heads/main");
    let clone = home.path("clone");
    git(&home.path(""), &["clone", "-q", "--no-recurse-submodules", text(&target), text(&clone)]);
    let mut expected = tree::read(&source);
    let mut found = tree::read(&clone);
    for tree in [&mut expected, &mut found] {
        tree.retain(|path, _| !path.starts_with(".git") && !path.starts_with("module"));
    }
    tree::assert_same_entries(&expected, &found);

    // Again: nothing new, the same root; then one commit more.
    let again = answer(&import(&home, &source.join(".git")));
    assert_eq!((&again["Root"], &again["NewObjects"]), (&first["Root"], &json!(0)));
    tree::write(&source.join("more"), b"more");
    git(&source, &["add", "more"]);
    git(&source, &["commit", "-q", "-m", "more"]);
    let more = answer(&import(&home, &target.with_file_name("source")));
    assert_eq!(more["NewObjects"], json!(3), "blob, tree, commit");
    assert_ne!(more["Root"], first["Root"]);
    let quiet = home.run(["git", "import", "-q", text(&source)]).text();
    assert_eq!(json!(quiet), more["Root"]["/"]);
}

#[test]
fn a_daemon_takes_and_gives_repositories() {
    let (home, other) = (Home::new(), Home::new());
    let source = repository(&home, "source");
    let (daemon, peer) = (home.daemon(), other.daemon());
    let root = answer(&import(&home, &source))["Root"]["/"].as_str().expect("a root").to_owned();
    export_like(&home, &root, &source, "bare.git");
    other.run(["swarm", "connect", &daemon.tcp_addr()]).text();
    let fetched = other.path("fetched");
    other.run(["git", "export", &root, text(&fetched)]).text();
    assert_eq!(refs(&fetched), refs(&source), "objects are fetched from whoever has them");
    drop((daemon, peer));
}

#[test]
fn blobs_of_any_length_come_back() {
    let home = Home::new();
    let source = repository(&home, "source");
    let mut random = tree::Random::new(601);
    for (name, len) in
        [("fits", 2 * 1024 * 1024 - 20), ("over", 2 * 1024 * 1024), ("far", 7_000_001)]
    {
        tree::write(&source.join(name), &random.bytes(len));
    }
    git(&source, &["add", "-A"]);
    git(&source, &["commit", "-q", "-m", "big"]);
    let taken = answer(&import(&home, &source));
    assert_eq!(taken["LargeBlobs"], json!(2));
    let root = taken["Root"]["/"].as_str().expect("a root").to_owned();
    home.run(["repo", "gc"]).text();
    export_like(&home, &root, &source, "bare.git");
    let again = answer(&import(&home, &source));
    assert_eq!(again["Root"]["/"], json!(root));
    assert_eq!(again["NewObjects"], json!(2), "large blobs are read again");
}

#[test]
fn odd_repositories() {
    let home = Home::new();
    let empty = home.path("empty");
    git(&home.path(""), &["init", "-q", "-b", "trunk", text(&empty)]);
    let taken = answer(&import(&home, &empty));
    assert_eq!((&taken["Refs"], &taken["Objects"]), (&json!(0), &json!(0)));
    let target = home.path("empty.git");
    let root = taken["Root"]["/"].as_str().expect("a root").to_owned();
    home.run(["git", "export", &root, text(&target)]).text();
    assert_eq!(git(&target, &["symbolic-ref", "HEAD"]), "refs/heads/trunk");

    let source = repository(&home, "source");
    git(&source, &["checkout", "-q", "--detach", "HEAD~1"]);
    let bare = home.path("detached.git");
    git(&home.path(""), &["clone", "-q", "--mirror", text(&source), text(&bare)]);
    git(&bare, &["update-ref", "--no-deref", "HEAD", "refs/heads/main~1"]);
    let root = answer(&import(&home, &bare))["Root"]["/"].as_str().expect("a root").to_owned();
    let target = export_like(&home, &root, &bare, "again.git");
    assert_eq!(git(&target, &["rev-parse", "HEAD"]), git(&bare, &["rev-parse", "HEAD"]));

    let shallow = home.path("shallow");
    let url = format!("file://{}", text(&source));
    git(&home.path(""), &["clone", "-q", "--depth=1", &url, text(&shallow)]);
    let refused = import(&home, &shallow);
    assert!(refused.failure().contains("--unshallow"), "{refused:?}");
    let sha256 = home.path("sha256");
    git(&home.path(""), &["init", "-q", "--object-format=sha256", text(&sha256)]);
    assert!(import(&home, &sha256).failure().contains("sha256"));
    let none = home.path("none");
    fs::create_dir(&none).expect("a folder can be made");
    assert!(import(&home, &none).failure().contains("not a git repository"));
    let broken = repository(&home, "broken");
    let id = git(&broken, &["rev-parse", "HEAD:other"]);
    let object = broken.join(".git/objects").join(&id[..2]).join(&id[2..]);
    fs::remove_file(&object).expect("a loose object");
    let told = import(&home, &broken);
    assert!(told.failure().contains(&id), "{told:?}");

    let mut without = home.command();
    without.args(["git", "import", text(&source)]).env("PATH", "/nonexistent");
    let told = run(&mut without);
    assert!(told.failure().contains("install it"), "{told:?}");
}

#[test]
fn roots_that_lie_give_no_repository() {
    let home = Home::new();
    let target = home.path("out.git");
    let put = |json: String| {
        let args = ["dag", "put", "--input-codec=dag-json", "--store-codec=dag-cbor"];
        home.run_with(args, json.into_bytes()).text()
    };
    let blob = home.run_with(
        ["block", "put", "--cid-codec=git-raw", "--mhtype=sha1"],
        b"blob 6\0hello\n".to_vec(),
    );
    let blob = blob.text();
    let wrong = home.run_with(["block", "put", "--cid-codec=raw"], b"not hello".to_vec()).text();
    let large = "ce013625030ba8dba906f756967f9e9ca394464a";
    let link = |cid: &str| json!({ "/": cid });
    for (root, told) in [
        (json!({"git": 2, "refs": {}}), "git: 1"),
        (json!({"git": 1, "refs": {"../../evil": link(&blob)}}), "not the name of a ref"),
        (json!({"git": 1, "refs": {"refs/heads/a\ncreate x": link(&blob)}}), "not the name"),
        (json!({"git": 1, "refs": {"refs/tags/x": link(&wrong)}}), "not a git object"),
        (
            json!({"git": 1, "refs": {"refs/tags/x": link(&blob)}, "large": {large: link(&wrong)}}),
            "does not hash to it",
        ),
    ] {
        let root = put(root.to_string());
        let outcome = home.run(["git", "export", &root, text(&target)]);
        assert!(outcome.failure().contains(told), "{told}: {outcome:?}");
        assert!(!target.exists() && !home.path("out.git.partial").exists(), "{told}");
    }
    let file = home.add(&home.file("a", "a"));
    let outcome = home.run(["git", "export", &file, text(&target)]);
    assert!(outcome.failure().contains("not the root of a git repository"), "{outcome:?}");
    let taken = home.path("taken");
    tree::write(&taken.join("mine"), b"mine");
    let outcome = home.run(["git", "export", &file, text(&taken)]);
    assert!(outcome.failure().contains("not an empty directory"), "{outcome:?}");
}
