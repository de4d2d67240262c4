//! Copies the blocks: read, check in lanes, append; several directories at once.
//!
//! What is there already is not read again, so an interrupted copy goes on where it was.
//! Invariants: nothing is taken that does not hash to its name; memory is [`BATCH_LEN`] and the
//! names of one directory a lane; everything is durable when [`copy`] returns.
//! Not here: names and directories (`flatfs.rs`).

use crate::{
    MigrateError, files,
    flatfs::{self, BlockFile, Named},
    report::{BlockProgress, Event, Loss},
};
use bytes::Bytes;
use cairn_block::{BLOCK_LEN_MAX, Block, BlockError, Cid};
use cairn_hash::code;
use cairn_runtime::{BlockingLanes, blocking};
use cairn_store::{Store, StoreError};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use std::{
    io::{self, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Directories that are worked on at once: enough to keep a disk's queue and the lanes of the
/// hash filled.
const LANE_COUNT: usize = 4;

/// Bytes that a lane reads before it checks and appends them.
const BATCH_LEN: usize = 4 * 1024 * 1024;

/// Blocks of a batch, likewise.
const BATCH_COUNT: usize = 1024;

/// Bytes that are written between two flushes.
const FLUSH_LEN: u64 = 256 * 1024 * 1024;

/// Who is told of events.
pub(crate) type Listener = Arc<dyn Fn(Event) + Send + Sync>;

/// What copying has done.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Copied {
    pub(crate) count: u64,
    pub(crate) len: u64,
    pub(crate) present_count: u64,
    pub(crate) present_len: u64,
    pub(crate) loss_count: u64,
}

/// Copies every block in `dir` to `store`.
///
/// Safe to cancel: the lanes end their directories, and what was copied stays.
pub(crate) async fn copy(
    dir: &Path,
    store: &Store,
    listener: &Listener,
) -> Result<Copied, MigrateError> {
    let top = dir.to_owned();
    let (shards, known_len) =
        blocking(move || flatfs::shards(&top).map(|shards| (shards, flatfs::total_len(&top))))
            .await?;
    let shard_count = shards.len() as u64;
    let lanes = BlockingLanes::new(LANE_COUNT);
    let work = Arc::new(Work { store: store.clone(), listener: Arc::clone(listener) });
    let mut copied = Copied::default();
    let mut done = 0_u64;
    let mut unflushed = 0;
    let tasks = stream::iter(shards).map(|shard| {
        let (work, lanes) = (Arc::clone(&work), lanes.clone());
        async move { lanes.run(move || work.shard(&shard)).await }
    });
    let mut tasks = tasks.buffer_unordered(LANE_COUNT);
    while let Some(shard) = tasks.try_next().await? {
        copied.add(&shard);
        done += 1;
        unflushed += shard.len;
        if unflushed > FLUSH_LEN {
            unflushed = 0;
            flush(store).await?;
        }
        let (count, len) = (copied.count + copied.present_count, copied.len + copied.present_len);
        // Hashes spread evenly, so each directory holds about as much as any other.
        let total_len = known_len.or_else(|| len.checked_mul(shard_count)?.checked_div(done));
        let total_len = total_len.map(|total| total.max(len));
        listener(Event::Blocks(BlockProgress { count, len, total_len }));
    }
    flush(store).await?;
    Ok(copied)
}

/// Counts the blocks in `dir` without reading them.
pub(crate) async fn count(dir: &Path, listener: &Listener) -> Result<Copied, MigrateError> {
    let (dir, listener) = (dir.to_owned(), Arc::clone(listener));
    blocking(move || {
        let mut copied = Copied::default();
        for shard in flatfs::shards(&dir)? {
            for file in list(&shard, &mut copied, &listener) {
                copied.count += u64::from(!is_identity(&file.cid));
            }
        }
        Ok(copied)
    })
    .await
}

async fn flush(store: &Store) -> Result<(), StoreError> {
    let store = store.clone();
    blocking(move || store.flush()).await
}

struct Work {
    store: Store,
    listener: Listener,
}

impl Work {
    /// Copies what is in one directory.
    fn shard(&self, shard: &Path) -> Result<Copied, MigrateError> {
        let mut copied = Copied::default();
        let mut files = list(shard, &mut copied, &self.listener);
        files.retain(|file| !is_identity(&file.cid));
        for files in files.chunks(BATCH_COUNT) {
            let cids: Vec<Cid> = files.iter().map(|file| file.cid.clone()).collect();
            let mut batch = Batch::default();
            for (file, present) in files.iter().zip(self.store.lens(&cids)?) {
                if let Some(len) = present {
                    copied.present_count += 1;
                    copied.present_len += len;
                    continue;
                }
                match read(&file.path) {
                    Ok(data) => batch.push(file, data),
                    Err(reason) => copied.lose(&self.listener, &file.path, reason),
                }
                if batch.len >= BATCH_LEN {
                    self.append(&mut batch, &mut copied)?;
                }
            }
            self.append(&mut batch, &mut copied)?;
        }
        Ok(copied)
    }

    /// Checks a batch and writes what is right.
    fn append(&self, batch: &mut Batch, copied: &mut Copied) -> Result<(), MigrateError> {
        let Batch { paths, data, .. } = std::mem::take(batch);
        let mut blocks = Vec::with_capacity(data.len());
        for (path, block) in paths.iter().zip(Block::verify_many(data)) {
            match block {
                Ok(block) => {
                    copied.count += 1;
                    copied.len += block.data().len() as u64;
                    blocks.push(block);
                }
                Err(error) => copied.lose(&self.listener, path, reason(&error)),
            }
        }
        Ok(self.store.append(&blocks)?)
    }
}

/// Blocks that were read and not checked yet.
#[derive(Default)]
struct Batch {
    paths: Vec<PathBuf>,
    data: Vec<(Cid, Bytes)>,
    len: usize,
}

impl Batch {
    fn push(&mut self, file: &BlockFile, data: Bytes) {
        self.len += data.len();
        self.paths.push(file.path.clone());
        self.data.push((file.cid.clone(), data));
    }
}

impl Copied {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        self.len += other.len;
        self.present_count += other.present_count;
        self.present_len += other.present_len;
        self.loss_count += other.loss_count;
    }

    fn lose(&mut self, listener: &Listener, path: &Path, reason: String) {
        self.loss_count += 1;
        listener(Event::Lost(Loss::Block { path: path.to_owned(), reason }));
    }
}

/// The files of one directory; what cannot be one is lost.
fn list(shard: &Path, copied: &mut Copied, listener: &Listener) -> Vec<BlockFile> {
    let names = match flatfs::list(shard) {
        Ok(names) => names,
        Err(error) => {
            copied.lose(listener, shard, format!("cannot be listed: {error}"));
            return Vec::new();
        }
    };
    let mut files = Vec::with_capacity(names.len());
    for name in names {
        match name {
            Named::Block(file) => files.push(file),
            Named::Other => {}
            Named::Unknown(path) => {
                copied.lose(listener, &path, "its name is not the name of a block".to_owned());
            }
        }
    }
    files
}

fn is_identity(cid: &Cid) -> bool {
    cid.multihash().code() == code::IDENTITY
}

/// Reads a file that should hold a block; says why it cannot.
fn read(path: &Path) -> Result<Bytes, String> {
    let cannot = |error: io::Error| format!("cannot be read: {error}");
    let file = files::try_open(path).map_err(cannot)?;
    let len = file.metadata().map_err(cannot)?.len();
    if len > BLOCK_LEN_MAX as u64 {
        return Err(too_large(len));
    }
    let mut data = Vec::with_capacity(len as usize + 1);
    // One more than it should have shows whether it grows under our hands.
    file.take(len + 1).read_to_end(&mut data).map_err(cannot)?;
    Ok(data.into())
}

fn too_large(len: u64) -> String {
    format!("is {len} bytes, over the limit of {BLOCK_LEN_MAX}")
}

fn reason(error: &BlockError) -> String {
    match error {
        BlockError::Corrupt { .. } => "is corrupt: its bytes do not hash to its name".to_owned(),
        BlockError::TooLarge { len, .. } => too_large(*len as u64),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests;
