//! One client that changes a tree in MFS until its node is killed, and what may be there then.
//!
//! Invariant: the tree is as one of the changes left it: the last one that was acknowledged with a
//! flush, or one after that.
//! Not here: the kills (`kill.rs`).

use cairn_tests::{Daemon, http, tree::Random};
use std::{collections::BTreeMap, net::SocketAddr};

/// Where the tree is.
const ROOT: &str = "/killed";
/// Directories in it, and names in each.
const FOLDER_COUNT: u64 = 5;
const NAME_COUNT: u64 = 12;
/// Longest file, in bytes.
const LEN_MAX: u64 = 20_000;

/// Paths with the bytes of files; directories have none.
type Tree = BTreeMap<String, Option<Vec<u8>>>;

/// What the node has promised of the tree.
#[derive(Debug, Default)]
pub(super) struct Promised {
    /// As the last acknowledged flush left it.
    flushed: Tree,
    /// As it was after each change since then, acknowledged or not.
    later: Vec<Tree>,
}

impl Promised {
    /// Reads the tree, and checks that it is as promised; it is what counts from now on.
    pub(super) fn check(&mut self, daemon: &Daemon) {
        let found = read(daemon);
        let is_known = found == self.flushed || self.later.contains(&found);
        assert!(
            is_known,
            "MFS holds {:?}; flushed: {:?}; after that: {:?}",
            found.keys(),
            self.flushed.keys(),
            self.later.iter().map(BTreeMap::keys).collect::<Vec<_>>()
        );
        *self = Self { flushed: found, later: Vec::new() };
    }

    /// Changes the tree until a change is not acknowledged; `done` hears of each that is.
    pub(super) fn work(&mut self, api: SocketAddr, random: &mut Random, mut done: impl FnMut()) {
        loop {
            let now = self.later.last().unwrap_or(&self.flushed);
            let change = Change::choose(now, random);
            let flush = random.below(3) > 0 || matches!(change, Change::Remove(_));
            self.later.push(change.applied(now));
            if !change.is_acknowledged(api, flush) {
                return;
            }
            if flush {
                self.flushed = self.later.pop().unwrap_or_default();
                self.later.clear();
            }
            done();
        }
    }
}

/// One change.
enum Change {
    Write(String, Vec<u8>),
    Make(String),
    Move(String, String),
    Copy(String, String),
    Remove(String),
}

impl Change {
    fn choose(tree: &Tree, random: &mut Random) -> Self {
        let folder = format!("{ROOT}/{}", random.below(FOLDER_COUNT));
        let path = format!("{folder}/{}", random.below(NAME_COUNT));
        let files: Vec<&String> =
            tree.iter().filter(|(_, bytes)| bytes.is_some()).map(|(path, _)| path).collect();
        let file = files.get(random.below(files.len().max(1) as u64) as usize);
        let is_free = !tree.contains_key(&path) && tree.contains_key(&folder);
        match (random.below(8), file) {
            (0, _) if !tree.contains_key(&path) => Self::Make(path),
            (1, Some(file)) if is_free => Self::Move((*file).clone(), path),
            (2, Some(file)) if is_free => Self::Copy((*file).clone(), path),
            (3, Some(file)) => Self::Remove((*file).clone()),
            (4, _) if tree.contains_key(&folder) => Self::Remove(folder),
            _ if tree.get(&path).is_some_and(Option::is_none) => Self::Remove(path),
            _ => {
                let len = random.below(LEN_MAX) as usize;
                Self::Write(path, random.bytes(len))
            }
        }
    }

    fn applied(&self, tree: &Tree) -> Tree {
        let mut tree = tree.clone();
        let is_below = |path: &str, root: &str| {
            path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        match self {
            Self::Write(path, bytes) => put(&mut tree, path, Some(bytes.clone())),
            Self::Make(path) => put(&mut tree, path, None),
            Self::Move(from, to) => {
                let bytes = tree.remove(from).flatten();
                put(&mut tree, to, bytes);
            }
            Self::Copy(from, to) => {
                let bytes = tree.get(from).cloned().flatten();
                put(&mut tree, to, bytes);
            }
            Self::Remove(path) => tree.retain(|other, _| !is_below(other, path)),
        }
        tree
    }

    fn is_acknowledged(&self, api: SocketAddr, flush: bool) -> bool {
        let command = match self {
            Self::Write(path, bytes) => {
                let target = format!(
                    "/api/v0/files/write?arg={path}&create=true&parents=true&truncate=true\
                     &flush={flush}"
                );
                return is_good(http::try_post_file(api, &target, "f", bytes));
            }
            Self::Make(path) => format!("mkdir?arg={path}&parents=true&flush={flush}"),
            Self::Move(from, to) => format!("mv?arg={from}&arg={to}&flush={flush}"),
            Self::Copy(from, to) => format!("cp?arg={from}&arg={to}&flush={flush}"),
            Self::Remove(path) => format!("rm?arg={path}&recursive=true"),
        };
        let target = &format!("/api/v0/files/{command}");
        let request = http::Request { method: "POST", target, ..Default::default() };
        is_good(http::try_send(api, &request))
    }
}

/// Puts something in, and the directories above it.
fn put(tree: &mut Tree, path: &str, bytes: Option<Vec<u8>>) {
    for (at, _) in path.match_indices('/').skip(1) {
        tree.entry(path[..at].to_owned()).or_insert(None);
    }
    tree.insert(path.to_owned(), bytes);
}

/// Whether an answer came whole; one that refuses is a failure of the test.
fn is_good(answer: Option<http::Answer>) -> bool {
    let Some(answer) = answer.filter(|answer| answer.whole) else { return false };
    assert!(answer.status == 200 && answer.trailers.is_empty(), "{}", answer.text());
    true
}

/// All that is there.
fn read(daemon: &Daemon) -> Tree {
    let mut tree = Tree::new();
    let list = |path: &str| {
        let listed = daemon.rpc(&format!("files/ls?arg={path}&long=true"));
        listed["Entries"].as_array().cloned().unwrap_or_default()
    };
    let root = list("/").iter().any(|entry| entry["Name"] == ROOT[1..]);
    let mut open: Vec<String> = root.then(|| ROOT.to_owned()).into_iter().collect();
    while let Some(folder) = open.pop() {
        for entry in list(&folder) {
            let path = format!("{folder}/{}", entry["Name"].as_str().unwrap_or_default());
            if entry["Type"] == 1 {
                open.push(path);
                continue;
            }
            let answer = http::post(daemon.api, &format!("/api/v0/files/read?arg={path}"));
            assert!(answer.status == 200 && answer.whole, "{path}: {}", answer.text());
            tree.insert(path, Some(answer.body));
        }
        tree.insert(folder, None);
    }
    tree
}
