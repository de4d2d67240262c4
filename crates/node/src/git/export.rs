//! All objects of a git repository, as a pack.
//!
//! First the names: from the refs along the links, as git does it. Then the objects, in the order
//! in which they were found: commits and tags, then trees and blobs as they come up.
//!
//! Invariants: memory holds 20 bytes an object and one batch; a large blob is hashed while it is
//! rejoined, and a wrong one breaks the pack off before its end.
//! Not here: refs, which a pack does not hold.

use super::{
    GIT_OBJECTS_MAX, git_root,
    pack::{PackWriter, kind_of},
    wrong,
};
use crate::{Blocks, NodeError};
use bytes::Bytes;
use cairn_block::{Block, BlockStore as _, BlockStoreExt as _, Cid};
use cairn_dag::{
    git_raw,
    git_root::{GitHead, GitRoot, ObjectId},
};
use cairn_runtime::blocking;
use cairn_unixfs::{Entry, UnixfsError, read};
use futures::{StreamExt as _, stream::BoxStream};
use sha1::{Digest as _, Sha1};
use std::{collections::HashSet, fmt};

/// Objects that are asked for at once.
const BATCH_COUNT: usize = 64;

/// The objects of a repository, ready to be packed.
#[derive(Debug)]
pub struct GitExport {
    blocks: Blocks,
    root: GitRoot,
    objects: Vec<ObjectId>,
}

impl GitExport {
    /// Finds all objects below a root, fetching what is missing.
    ///
    /// # Errors
    ///
    /// [`NodeError::Git`] for what is no repository, [`NodeError::Block`] and [`NodeError::Dag`]
    /// naming an object that cannot be had.
    pub async fn new(blocks: Blocks, root: &Cid) -> Result<Self, NodeError> {
        let root = git_root(&blocks, root).await?;
        let mut found = Self { blocks, objects: Vec::new(), root };
        let mut seen = HashSet::new();
        let mut open: Vec<ObjectId> = found.root.refs.values().copied().collect();
        if let Some(GitHead::Detached(id)) = found.root.head {
            open.push(id);
        }
        open.retain(|id| seen.insert(*id));
        while !open.is_empty() {
            let batch = open.split_off(open.len().saturating_sub(BATCH_COUNT));
            for (id, links) in found.links(&batch).await? {
                found.objects.push(id);
                open.extend(links.into_iter().filter(|id| seen.insert(*id)));
            }
            if seen.len() > GIT_OBJECTS_MAX {
                return Err(wrong(format!("there are more than {GIT_OBJECTS_MAX} objects")));
            }
        }
        Ok(found)
    }

    /// The objects of a batch with those that they name.
    async fn links(&self, ids: &[ObjectId]) -> Result<Vec<(ObjectId, Vec<ObjectId>)>, NodeError> {
        let mut found = Vec::with_capacity(ids.len());
        for (id, block) in ids.iter().zip(self.get(ids).await?) {
            let links = match block {
                None => Vec::new(),
                Some(block) => {
                    let links = git_raw::links(block.data());
                    links.map_err(|error| wrong(format!("object {id}: {error}")))?
                }
            };
            found.push((*id, links.iter().filter_map(ObjectId::of).collect()));
        }
        Ok(found)
    }

    /// The blocks of objects; `None` for large blobs.
    async fn get(&self, ids: &[ObjectId]) -> Result<Vec<Option<Block>>, NodeError> {
        let is_small = |id: &ObjectId| !self.root.large.contains_key(id);
        let cids: Vec<Cid> = ids.iter().filter(|id| is_small(id)).map(|id| id.cid()).collect();
        let mut blocks = self.blocks.get_many(&cids).await.into_iter();
        let mut next = |id: &ObjectId| {
            if !is_small(id) {
                return Ok(None);
            }
            let missing = || wrong(format!("object {id} was not found"));
            blocks.next().transpose()?.flatten().map(Some).ok_or_else(missing)
        };
        ids.iter().map(&mut next).collect()
    }

    /// Begins the pack.
    ///
    /// # Errors
    ///
    /// [`NodeError::Git`] for more objects than a pack may have.
    pub fn pack(self) -> Result<GitPack, NodeError> {
        let count = u32::try_from(self.objects.len()).map_err(|_| wrong("too many objects"))?;
        let (writer, head) = PackWriter::new(count);
        let (open, rejoined) = (Vec::new(), None);
        Ok(GitPack { export: self, writer: Some(writer), out: head, at: 0, open, rejoined })
    }
}

/// A pack that is written as it is asked for.
pub struct GitPack {
    export: GitExport,
    /// `None` once the pack has ended, be it with an error.
    writer: Option<PackWriter>,
    /// Written and not given out yet.
    out: Vec<u8>,
    /// Objects that are behind.
    at: usize,
    /// Large blobs that stand before them.
    open: Vec<ObjectId>,
    rejoined: Option<Rejoined>,
}

impl fmt::Debug for GitPack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GitPack").field("at", &self.at).finish_non_exhaustive()
    }
}

/// A large blob on its way.
struct Rejoined {
    id: ObjectId,
    pieces: BoxStream<'static, Result<Bytes, UnixfsError>>,
    sha1: Sha1,
    /// Bytes still to come.
    left: u64,
}

impl Rejoined {
    fn broken(&self) -> NodeError {
        wrong(format!("the file in the place of blob {} does not hash to it", self.id))
    }
}

impl GitPack {
    /// The next piece; `None` at the end.
    ///
    /// # Errors
    ///
    /// As [`GitExport::new`]; nothing more comes then.
    pub async fn next(&mut self) -> Result<Option<Bytes>, NodeError> {
        while self.out.is_empty() {
            let Some(writer) = self.writer.take() else { return Ok(None) };
            if let Some(rejoined) = self.rejoined.take() {
                self.writer = Some(self.piece(writer, rejoined).await?);
            } else if let Some(id) = self.open.pop() {
                self.writer = Some(self.large(writer, id).await?);
            } else if self.at < self.export.objects.len() {
                self.writer = Some(self.small(writer).await?);
            } else {
                self.out = writer.finish();
            }
        }
        Ok(Some(std::mem::take(&mut self.out).into()))
    }

    /// Packs the next objects but the large ones; objects may stand in any order.
    async fn small(&mut self, mut writer: PackWriter) -> Result<PackWriter, NodeError> {
        let end = (self.at + BATCH_COUNT).min(self.export.objects.len());
        let ids = self.export.objects[self.at..end].to_vec();
        let mut small = Vec::with_capacity(ids.len());
        for (id, block) in ids.iter().zip(self.export.get(&ids).await?) {
            match block {
                Some(block) => small.push((*id, block)),
                None => self.open.push(*id),
            }
        }
        self.at = end;
        let (writer, packed) = blocking(move || {
            let packed = pack_small(&mut writer, &small);
            (writer, packed)
        })
        .await;
        self.out = packed?;
        Ok(writer)
    }

    /// Begins a large blob.
    async fn large(
        &mut self,
        mut writer: PackWriter,
        id: ObjectId,
    ) -> Result<PackWriter, NodeError> {
        let missing = || wrong(format!("blob {id} has no file"));
        let file = self.export.root.large.get(&id).ok_or_else(missing)?;
        let block = self.export.blocks.require(file).await?;
        let len = Entry::of(&block)?.len;
        writer.object(kind_of(b"blob").unwrap_or_default(), len, &mut self.out);
        let mut sha1 = Sha1::new();
        sha1.update(format!("blob {len}\0"));
        let pieces = read(self.export.blocks.clone(), &block, 0..u64::MAX).boxed();
        self.rejoined = Some(Rejoined { id, pieces, sha1, left: len });
        Ok(writer)
    }

    /// Adds the next piece of a large blob.
    async fn piece(
        &mut self,
        mut writer: PackWriter,
        mut blob: Rejoined,
    ) -> Result<PackWriter, NodeError> {
        let Some(piece) = blob.pieces.next().await.transpose()? else {
            let is_right = blob.left == 0 && blob.sha1.clone().finalize()[..] == blob.id.0;
            return if is_right { Ok(writer) } else { Err(blob.broken()) };
        };
        let left = blob.left.checked_sub(piece.len() as u64);
        blob.left = left.ok_or_else(|| blob.broken())?;
        let (writer, blob, out) = blocking(move || {
            let mut out = Vec::new();
            blob.sha1.update(&piece);
            writer.content(&piece, blob.left == 0, &mut out);
            (writer, blob, out)
        })
        .await;
        (self.out, self.rejoined) = (out, Some(blob));
        Ok(writer)
    }
}

fn pack_small(
    writer: &mut PackWriter,
    objects: &[(ObjectId, Block)],
) -> Result<Vec<u8>, NodeError> {
    let mut out = Vec::new();
    for (id, block) in objects {
        let data = block.data();
        let broken = || wrong(format!("block {} is no git object", id.cid()));
        let start = data.iter().position(|byte| *byte == 0).ok_or_else(broken)?;
        let name = data[..start].split(|byte| *byte == b' ').next();
        let kind = name.and_then(kind_of).ok_or_else(broken)?;
        let content = &data[start + 1..];
        writer.object(kind, content.len() as u64, &mut out);
        writer.content(content, true, &mut out);
    }
    Ok(out)
}
