//! `car extract`: the files of a CAR file, inside one directory and nowhere else.
//!
//! Not here: how nothing gets outside (`crate::extract`).

use crate::{
    extract::{Content, Folder, Metadata},
    report::Failure,
};
use bytes::{Buf as _, Bytes};
use cairn_block::{Block, BlockStoreExt as _, Cid};
use cairn_car::CarStore;
use cairn_dag::ahead::Window;
use cairn_rpc::{Request, escape};
use cairn_unixfs::{Entry, EntryKind, UnixfsError, list, read_within, resolve_from};
use futures::{Stream, StreamExt as _};
use std::{
    fmt::Display,
    io::{self, Read},
    path::Path,
    pin::Pin,
};
use tokio::runtime::Handle;

/// Deepest directory that is extracted.
const DEPTH_MAX: usize = 256;

/// Writes files as the request says. Blocking.
pub(super) fn run(path: &Path, request: &Request) -> Result<(), Failure> {
    let store = CarStore::open(path)?;
    let target = request.arguments().get(1).map_or(".", String::as_str);
    let inner: Vec<String> = request
        .text("path")
        .unwrap_or_default()
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(str::to_owned)
        .collect();
    if store.roots().is_empty() {
        return Err(Failure::Failed(format!("{} names no root", path.display())));
    }
    let folder = Folder::open(Path::new(target)).map_err(|error| failed(&error))?;
    let mut work = Work { store: &store, folder, runtime: Handle::current() };
    for root in store.roots() {
        work.root(root, &inner)?;
    }
    work.folder.finish().map_err(|error| failed(&error))
}

struct Work<'a> {
    store: &'a CarStore,
    folder: Folder,
    runtime: Handle,
}

/// One entry on its way out.
struct Item {
    /// Below the target; empty for a root directory.
    path: String,
    block: Block,
    depth: usize,
}

impl Work<'_> {
    /// Names the file that the blocks come from.
    fn named(&self, error: &dyn Display) -> Failure {
        Failure::Failed(format!("{}: {error}", self.store.path().display()))
    }

    fn unixfs<T>(&self, result: Result<T, UnixfsError>) -> Result<T, Failure> {
        result.map_err(|error| self.named(&error))
    }

    fn require(&self, cid: &Cid) -> Result<Block, Failure> {
        let block = self.runtime.block_on(self.store.require(cid));
        block.map_err(|error| self.named(&error))
    }

    fn root(&mut self, root: &Cid, inner: &[String]) -> Result<(), Failure> {
        let resolved = self.runtime.block_on(resolve_from(&self.store, root, inner));
        let block = self.unixfs(resolved)?.block;
        let is_directory = self.unixfs(Entry::of(&block))?.is_directory();
        let name = inner.last().cloned().unwrap_or_else(|| block.cid().to_string());
        let path = if is_directory { String::new() } else { name };
        self.entry(&Item { path, block, depth: 0 })
    }

    fn entry(&mut self, item: &Item) -> Result<(), Failure> {
        let entry = self.unixfs(Entry::of(&item.block))?;
        let time = entry.mtime.map(|time| (time.secs, time.nanos));
        let metadata = Metadata::new(entry.mode, time);
        let folder = &mut self.folder;
        let put =
            |content| folder.put(&item.path, content, metadata).map_err(|error| failed(&error));
        match entry.kind {
            EntryKind::Directory { .. } => {
                if !item.path.is_empty() {
                    put(Content::Directory)?;
                }
                self.children(item)
            }
            EntryKind::Symlink { target } => put(Content::Symlink(target.into_bytes())),
            _ => {
                let window = Window::default();
                let stream = read_within(self.store, &item.block, 0..u64::MAX, window);
                let (runtime, current) = (self.runtime.clone(), Bytes::new());
                let mut read = Pieces { runtime, stream: Box::pin(stream), current, failed: None };
                let result = put(Content::File { len: entry.len, read: &mut read });
                match read.failed {
                    Some(error) => Err(self.named(&error)),
                    None => result,
                }
            }
        }
    }

    fn children(&mut self, item: &Item) -> Result<(), Failure> {
        if item.depth == DEPTH_MAX {
            return Err(
                self.named(&format!("{} is more than {DEPTH_MAX} deep", escape(&item.path)))
            );
        }
        let mut entries = Box::pin(list(self.store, &item.block));
        while let Some(child) = self.runtime.block_on(entries.next()) {
            let child = self.unixfs(child)?;
            if matches!(&child.name[..], "" | "." | "..") || child.name.contains(['/', '\0']) {
                let text = format!("refused {:?}: it is no name of a file", escape(&child.name));
                return Err(self.named(&text));
            }
            let path = match &item.path[..] {
                "" => child.name.clone(),
                parent => format!("{parent}/{}", child.name),
            };
            let block = self.require(&child.cid)?;
            self.entry(&Item { path, block, depth: item.depth + 1 })?;
        }
        Ok(())
    }
}

fn failed(error: &dyn Display) -> Failure {
    Failure::Failed(error.to_string())
}

/// A file's pieces for who reads and waits.
struct Pieces<'a> {
    runtime: Handle,
    stream: Pin<Box<dyn Stream<Item = Result<Bytes, UnixfsError>> + Send + 'a>>,
    current: Bytes,
    failed: Option<UnixfsError>,
}

impl Read for Pieces<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() {
            match self.runtime.block_on(self.stream.next()) {
                Some(Ok(piece)) => self.current = piece,
                Some(Err(error)) => {
                    self.failed = Some(error);
                    return Err(io::ErrorKind::InvalidData.into());
                }
                None => return Ok(0),
            }
        }
        let len = self.current.len().min(out.len());
        self.current.copy_to_slice(&mut out[..len]);
        Ok(len)
    }
}
