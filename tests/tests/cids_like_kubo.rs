//! The same bytes get the same CIDs from us and from Kubo's own core.
//!
//! The corpus covers every size at which a DAG changes its shape: empty, one leaf, one leaf and
//! a byte, one inner node of 174 leaves, and more; folders nested, empty, and large enough to be
//! sharded; names of every kind. All of it is made from a seed.

use cairn_tests::{
    Home, Peer, peers,
    tree::{self, CHUNK_LEN, LINKS_MAX, Random},
};
use serde_json::json;
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
};

/// Files with a random length, besides those with a chosen one.
const RANDOM_FILES: usize = 520;
/// What Kubo adds unless told otherwise, spelled out.
const LIKE_KUBO: &[&str] =
    &["--cid-version=0", "--raw-leaves=false", "--chunker=size-262144", "-n", "-H"];

fn chosen_lens() -> Vec<usize> {
    let node = LINKS_MAX * CHUNK_LEN;
    let around = |len: usize| [len - 1, len, len + 1];
    let mut lens = vec![0, 1, 2, 3, 127, 128, 255, 256];
    for leaves in [1, 2, 3, 10] {
        lens.extend(around(leaves * CHUNK_LEN));
    }
    lens.extend(around(node));
    lens.extend([node + CHUNK_LEN, 2 * node + 1, 3 * node + 12_345]);
    lens
}

fn ours(home: &Home, args: &[&str], paths: &[PathBuf]) -> Vec<String> {
    let flags = ["add"].into_iter().chain(LIKE_KUBO.iter().copied()).chain(args.iter().copied());
    let args: Vec<&OsStr> =
        flags.map(OsStr::new).chain(paths.iter().map(|path| path.as_os_str())).collect();
    home.run(args).text().lines().map(str::to_owned).collect()
}

fn theirs(kubo: &mut Peer, paths: &[PathBuf]) -> Vec<String> {
    let answer = kubo.ask(&json!({ "op": "add_each", "paths": paths }));
    let cids = answer["cids"].as_array().expect("a list of CIDs");
    cids.iter().filter_map(|cid| cid.as_str()).map(str::to_owned).collect()
}

fn corpus(folder: &Path, lens: impl IntoIterator<Item = usize>, seed: u64) -> Vec<PathBuf> {
    let mut random = Random::new(seed);
    let mut paths = Vec::new();
    for (index, len) in lens.into_iter().enumerate() {
        let path = folder.join(format!("{index}-{len}"));
        tree::write(&path, &random.bytes(len));
        paths.push(path);
    }
    paths
}

#[test]
fn files_of_every_size() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let mut kubo = Peer::kubo(&peers);
    let mut random = Random::new(41);
    // Mostly small, some of several leaves, as files are.
    let lens: Vec<usize> = (0..RANDOM_FILES)
        .map(|index| random.below(if index % 13 == 0 { 2_000_000 } else { 20_000 }) as usize)
        .collect();
    let mut paths = corpus(&home.path("chosen"), chosen_lens(), 42);
    paths.extend(corpus(&home.path("random"), lens, 43));
    assert!(paths.len() > 500);

    let (ours, theirs) = (ours(&home, &["-q"], &paths), theirs(&mut kubo, &paths));
    assert_eq!(ours.len(), paths.len());
    for ((path, ours), theirs) in paths.iter().zip(&ours).zip(&theirs) {
        assert_eq!(ours, theirs, "{}", path.display());
    }
}

#[test]
fn folders_of_every_shape() {
    let Some(peers) = peers() else { return };
    let home = Home::new();
    let mut kubo = Peer::kubo(&peers);
    let folder = home.path("folders");
    for seed in 0..4 {
        tree::make(&folder.join(format!("tree-{seed}")), seed);
    }
    std::fs::create_dir(folder.join("empty")).expect("a folder can be made");
    // A link costs its name and 34 bytes of CID; over 256 KiB of them a directory is sharded.
    let (name_len, link_len) = (40, 40 + 34);
    let limit = 256 * 1024 / link_len;
    for (name, entries) in [("full", limit), ("over", limit + 1), ("sharded", 2 * limit)] {
        for index in 0..entries {
            let file = format!("{index:0name_len$}");
            tree::write(&folder.join(name).join(file), index.to_string().as_bytes());
        }
    }

    let mut paths: Vec<PathBuf> =
        ["tree-0", "tree-1", "tree-2", "tree-3", "empty", "full", "over", "sharded"]
            .map(|name| folder.join(name))
            .into();
    paths.push(folder);
    let theirs = theirs(&mut kubo, &paths);
    for (path, theirs) in paths.iter().zip(&theirs) {
        let ours = ours(&home, &["-Qr"], std::slice::from_ref(path));
        assert_eq!(&ours[0], theirs, "{}", path.display());
    }
}
