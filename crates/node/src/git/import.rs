//! Takes the objects of a git repository, and makes its root.
//!
//! Three parts come in order: `refs` (a line for each, as `OBJECT NAME`, and `HEAD NAME` or
//! `HEAD OBJECT`), `ids` (the names of all objects that belong to the repository, a line each) and
//! `objects` (those that are not here yet, as `git cat-file --batch` prints them).
//!
//! Invariants: what does not hash to its name ends the import; memory holds one batch and 20 bytes
//! an object; a blob that is too long for a block becomes a file, cut the same way every time.
//! Not here: pinning the root: what is missing below it shows then.

use super::{
    GIT_OBJECTS_MAX,
    batch::{Batch, Head},
    wrong,
};
use crate::{AddEntries, AddKind, Node, NodeError};
use cairn_block::{BLOCK_LEN_MAX, Block, Cid, codec};
use cairn_dag::git_root::{
    GitHead, GitRoot, OBJECT_ID_LEN, ObjectId, REF_LEN_MAX, REFS_MAX, encode_objects,
};
use cairn_runtime::blocking;
use cairn_unixfs::{Child, FileBuilder, Options};
use sha1::{Digest as _, Sha1};
use std::io::{BufRead as _, BufReader, Read};
use tokio_util::sync::CancellationToken;

/// Bytes of objects that are hashed and written together, and an object more.
const BATCH_LEN_MAX: usize = 8 * 1024 * 1024;

/// Objects that are hashed and written together.
const BATCH_COUNT_MAX: usize = 4096;

/// Bytes of a leaf of a blob that is too long for a block.
const LEAF_LEN: usize = 1024 * 1024;

/// Objects in one list.
const LIST_LEN: usize = 8192;

/// Longest line about a ref, in bytes.
const REF_LINE_LEN_MAX: u64 = (REF_LEN_MAX + 2 * OBJECT_ID_LEN + 2) as u64;

/// Most large blobs: they stand in one block.
const LARGE_MAX: usize = 8192;

/// What an import has taken.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct GitImport {
    /// The root.
    pub root: Cid,
    /// Branches, tags and other names.
    pub ref_count: usize,
    /// Objects that belong to the repository.
    pub object_count: usize,
    /// Objects that came.
    pub new_count: u64,
    /// Their bytes.
    pub new_len: u64,
    /// Blobs that are too long for a block.
    pub large_count: usize,
}

impl Node {
    /// Takes a repository's parts; durable when it returns.
    ///
    /// Nothing is pinned: hold a lease of the store until that is done. Stops when the future is
    /// dropped.
    ///
    /// # Errors
    ///
    /// [`NodeError::Git`] naming the object or line that is broken; [`NodeError::Entry`],
    /// [`NodeError::Store`], [`NodeError::Cancelled`]. What came before is garbage.
    pub async fn git_import(&self, parts: AddEntries) -> Result<GitImport, NodeError> {
        let stop = CancellationToken::new();
        let _stop_when_dropped = stop.clone().drop_guard();
        let node = self.clone();
        blocking(move || {
            let mut import = Import { node: &node, stop, ..Import::new(&node) };
            for part in parts {
                let part = part?;
                let AddKind::File(file) = part.kind else {
                    return Err(NodeError::NotAFile { path: part.path });
                };
                match part.path.as_str() {
                    "refs" => import.refs(file)?,
                    "ids" => import.ids(file)?,
                    "objects" => import.objects(file)?,
                    other => return Err(wrong(format!("part {other:?} is not known"))),
                }
            }
            import.finish()
        })
        .await
    }
}

struct Import<'a> {
    node: &'a Node,
    stop: CancellationToken,
    root: GitRoot,
    ids: Vec<ObjectId>,
    /// Objects that wait to be checked and written.
    waiting: Vec<(Cid, bytes::Bytes)>,
    waiting_len: usize,
    new_count: u64,
    new_len: u64,
}

impl<'a> Import<'a> {
    fn new(node: &'a Node) -> Self {
        Self {
            node,
            stop: CancellationToken::new(),
            root: GitRoot::default(),
            ids: Vec::new(),
            waiting: Vec::new(),
            waiting_len: 0,
            new_count: 0,
            new_len: 0,
        }
    }

    fn refs(&mut self, file: impl Read) -> Result<(), NodeError> {
        each_line(file, REF_LINE_LEN_MAX, |line| {
            let (first, second) =
                line.split_once(' ').ok_or_else(|| wrong(format!("a ref like {line:?}")))?;
            if first == "HEAD" {
                self.root.head = Some(match second.parse() {
                    Ok(id) => GitHead::Detached(id),
                    Err(_) => GitHead::Branch(second.to_owned()),
                });
                return Ok(());
            }
            let id = first.parse().map_err(|error| wrong(format!("ref {second:?}: {error}")))?;
            self.root.refs.insert(second.to_owned(), id);
            if self.root.refs.len() > REFS_MAX {
                return Err(wrong(format!("there are more than {REFS_MAX} refs")));
            }
            Ok(())
        })
    }

    fn ids(&mut self, file: impl Read) -> Result<(), NodeError> {
        each_line(file, 2 * OBJECT_ID_LEN as u64 + 1, |line| {
            if self.ids.len() == GIT_OBJECTS_MAX {
                return Err(wrong(format!("there are more than {GIT_OBJECTS_MAX} objects")));
            }
            self.ids.push(line.parse().map_err(|error| wrong(format!("{error}")))?);
            Ok(())
        })?;
        self.ids.sort_unstable();
        self.ids.dedup();
        Ok(())
    }

    fn objects(&mut self, file: impl Read) -> Result<(), NodeError> {
        let mut batch = Batch::new(file);
        while let Some(head) = batch.head()? {
            if self.stop.is_cancelled() {
                return Err(NodeError::Cancelled);
            }
            if self.ids.binary_search(&head.id).is_err() {
                return Err(head.broken("it does not belong to the repository"));
            }
            let mut data = head.prefix();
            if data.len() as u64 + head.len > BLOCK_LEN_MAX as u64 {
                self.large(&head, &mut batch)?;
            } else {
                data.append(&mut batch.piece(&head, BLOCK_LEN_MAX, head.len)?);
                self.waiting_len += data.len();
                self.waiting.push((head.id.cid(), data.into()));
            }
            batch.end(&head)?;
            self.new_count += 1;
            self.new_len += head.len;
            if self.waiting_len >= BATCH_LEN_MAX || self.waiting.len() >= BATCH_COUNT_MAX {
                self.write()?;
            }
        }
        self.write()
    }

    /// Checks what waits and writes it.
    fn write(&mut self) -> Result<(), NodeError> {
        let waiting = std::mem::take(&mut self.waiting);
        self.waiting_len = 0;
        let blocks: Result<Vec<Block>, _> = Block::verify_many(waiting).into_iter().collect();
        self.keep(&blocks?)
    }

    fn keep(&self, blocks: &[Block]) -> Result<(), NodeError> {
        self.node.store().append(blocks)?;
        if self.node.is_online() {
            let cids: Vec<Cid> = blocks.iter().map(|block| block.cid().clone()).collect();
            self.node.announce_local(&cids);
        }
        Ok(())
    }

    /// Makes a file of a blob that is too long for a block.
    fn large(&mut self, head: &Head, batch: &mut Batch<impl Read>) -> Result<(), NodeError> {
        if head.kind != "blob" {
            return Err(head.broken("it is over the limit of 2 MiB, which only blobs may be"));
        }
        if self.root.large.len() == LARGE_MAX {
            return Err(wrong(format!("there are more than {LARGE_MAX} blobs over 2 MiB")));
        }
        let options = Options::v1();
        let (mut builder, mut blocks) = (FileBuilder::new(&options), Vec::new());
        let mut sha1 = Sha1::new();
        sha1.update(head.prefix());
        let mut left = head.len;
        while left > 0 {
            let data = batch.piece(head, LEAF_LEN, left)?;
            left -= data.len() as u64;
            sha1.update(&data);
            let leaf = options.block(codec::RAW, data.into())?;
            let len = leaf.data().len();
            let child = Child::leaf(leaf.cid().clone(), len, len);
            blocks.push(leaf);
            builder.push(child, &mut blocks)?;
            if blocks.len() * LEAF_LEN >= BATCH_LEN_MAX {
                if self.stop.is_cancelled() {
                    return Err(NodeError::Cancelled);
                }
                self.keep(&std::mem::take(&mut blocks))?;
            }
        }
        let file = builder.finish(&mut blocks)?;
        self.keep(&blocks)?;
        if sha1.finalize()[..] != head.id.0 {
            return Err(head.broken("its content does not hash to its name"));
        }
        self.root.large.insert(head.id, file.cid);
        Ok(())
    }

    fn finish(mut self) -> Result<GitImport, NodeError> {
        let head = match &self.root.head {
            Some(GitHead::Detached(id)) => Some(("HEAD", id)),
            _ => None,
        };
        let refs = self.root.refs.iter().map(|(name, id)| (name.as_str(), id));
        for (name, id) in refs.chain(head) {
            if self.ids.binary_search(id).is_err() {
                return Err(wrong(format!("ref {name:?} names {id}, which is no object of these")));
            }
        }
        let mut blocks = Vec::new();
        if !self.root.large.is_empty() {
            let small: Vec<ObjectId> =
                self.ids.iter().filter(|id| !self.root.large.contains_key(id)).copied().collect();
            for list in small.chunks(LIST_LEN) {
                let list = Block::sha2_256(codec::DAG_CBOR, encode_objects(list).into());
                self.root.objects.push(list.cid().clone());
                blocks.push(list);
            }
        }
        let root = self.root.encode().map_err(|error| wrong(error.to_string()))?;
        if root.len() > BLOCK_LEN_MAX {
            return Err(wrong("its refs do not fit into a block"));
        }
        let root = Block::sha2_256(codec::DAG_CBOR, root.into());
        let cid = root.cid().clone();
        blocks.push(root);
        self.keep(&blocks)?;
        self.node.store().flush()?;
        Ok(GitImport {
            root: cid,
            ref_count: self.root.refs.len(),
            object_count: self.ids.len(),
            new_count: self.new_count,
            new_len: self.new_len,
            large_count: self.root.large.len(),
        })
    }
}

/// Calls `each` with every line of a text, which has its limits.
fn each_line(
    file: impl Read,
    len_max: u64,
    mut each: impl FnMut(&str) -> Result<(), NodeError>,
) -> Result<(), NodeError> {
    let mut input = BufReader::new(file);
    loop {
        let mut line = String::new();
        let read = (&mut input).take(len_max).read_line(&mut line);
        if read.map_err(|error| wrong(format!("a list could not be read: {error}")))? == 0 {
            return Ok(());
        }
        let Some(text) = line.strip_suffix('\n') else {
            return Err(wrong(format!("a line that does not end: {line:?}")));
        };
        each(text)?;
    }
}
