//! A request's body as files: bytes from the socket to a thread that blocks.
//!
//! A small body that comes at once is read whole before the call begins. So nobody waits for
//! anybody afterwards, and the call needs one thread only; handing pieces over costs more than
//! everything else that is done with a few kilobytes.
//!
//! Invariants: at most [`PIECES_MAX`] pieces wait between the two; a body that breaks off is an
//! error for the reader, never an end.
//! Not here: finding the parts (`multipart`).

use super::multipart::{Multipart, MultipartError, PartKind};
use crate::Files;
use bytes::{Buf as _, Bytes};
use cairn_node::{AddEntries, AddEntry, AddEntryError, AddKind, Mtime};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use std::{
    collections::VecDeque,
    io::{self, Read},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{sync::mpsc, time::timeout};

/// Most pieces of a body that wait to be read; each is at most the connection's buffer.
const PIECES_MAX: usize = 8;

/// Longest body that is read whole before the call begins, in bytes.
const WHOLE_LEN_MAX: usize = 256 * 1024;

/// How long such a body may take to come. Whoever sends more slowly is served as it comes.
const WHOLE_TIMEOUT: Duration = Duration::from_millis(20);

/// Most bytes of a body that are read after nobody takes them any more.
const REST_LEN_MAX: usize = 1024 * 1024;

enum Piece {
    Data(Bytes),
    End,
    Broken(String),
}

/// Splits a body: the files that come out, and a future that feeds them unless all is here.
///
/// # Errors
///
/// If the boundary is not usable.
pub(super) async fn files(
    mut body: Incoming,
    boundary: &str,
) -> Result<(Option<impl Future<Output = ()> + Send + use<>>, Files), MultipartError> {
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let mut begun = VecDeque::new();
    let is_whole = timeout(WHOLE_TIMEOUT, begin(&mut body, &mut begun)).await.unwrap_or(false);
    let reader = BodyReader { begun, pieces, current: Bytes::new(), ended: false };
    let multipart = Multipart::new(reader, boundary)?;
    let shared = Arc::new(Mutex::new(Shared { multipart, part: 0 }));
    let entries: AddEntries = Box::new(Entries { shared, ended: false });
    if is_whole {
        return Ok((None, Files::here(entries)));
    }
    Ok((Some(feed(body, sender)), entries.into()))
}

/// Reads a small body; returns whether that is all of it. Cancel-safe: what was read is in `begun`.
async fn begin(body: &mut Incoming, begun: &mut VecDeque<Piece>) -> bool {
    let mut len = 0;
    while len <= WHOLE_LEN_MAX && body.size_hint().lower() <= WHOLE_LEN_MAX as u64 {
        let Some(piece) = next_piece(body).await else { continue };
        if let Piece::Data(data) = &piece {
            len += data.len();
        }
        let is_last = !matches!(piece, Piece::Data(_));
        begun.push_back(piece);
        if is_last {
            return true;
        }
    }
    false
}

/// Waits for some of a body, or its end; `None` is nothing of either.
async fn next_piece(body: &mut Incoming) -> Option<Piece> {
    match body.frame().await {
        None => Some(Piece::End),
        Some(Ok(frame)) => frame.into_data().ok().map(Piece::Data),
        Some(Err(error)) => Some(Piece::Broken(error.to_string())),
    }
}

/// Feeds the body, or what may be read of its rest when nobody takes it any more: a client that
/// is refused while it still writes sees a broken connection, and not the refusal.
async fn feed(mut body: Incoming, pieces: mpsc::Sender<Piece>) {
    feed_while_taken(&mut body, pieces).await;
    let mut rest_len = 0;
    while rest_len < REST_LEN_MAX
        && let Some(Ok(frame)) = body.frame().await
    {
        rest_len += frame.data_ref().map_or(0, Bytes::len);
    }
}

async fn feed_while_taken(body: &mut Incoming, pieces: mpsc::Sender<Piece>) {
    loop {
        let Some(piece) = next_piece(body).await else { continue };
        let is_last = !matches!(piece, Piece::Data(_));
        if pieces.send(piece).await.is_err() || is_last {
            return;
        }
    }
}

/// The body's bytes for a thread that blocks.
#[derive(Debug)]
struct BodyReader {
    /// What came before the call began.
    begun: VecDeque<Piece>,
    pieces: mpsc::Receiver<Piece>,
    current: Bytes,
    ended: bool,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Piece")
    }
}

impl Read for BodyReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.current.is_empty() && !self.ended {
            match self.begun.pop_front().or_else(|| self.pieces.blocking_recv()) {
                Some(Piece::Data(data)) => self.current = data,
                Some(Piece::End) => self.ended = true,
                Some(Piece::Broken(reason)) => return Err(io::Error::other(reason)),
                None => return Err(io::Error::other("the request was cancelled")),
            }
        }
        let len = self.current.len().min(out.len());
        self.current.copy_to_slice(&mut out[..len]);
        Ok(len)
    }
}

#[derive(Debug)]
struct Shared {
    multipart: Multipart<BodyReader>,
    /// Counts parts, so that a reader of an earlier one cannot eat a later one's bytes.
    part: u64,
}

struct Entries {
    shared: Arc<Mutex<Shared>>,
    ended: bool,
}

impl Iterator for Entries {
    type Item = Result<AddEntry, AddEntryError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.entry();
        self.ended = !matches!(entry, Ok(Some(_)));
        entry.map_err(|error| AddEntryError::Source { message: describe(&error) }).transpose()
    }
}

impl Entries {
    fn entry(&self) -> Result<Option<AddEntry>, MultipartError> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            let Some(head) = shared.multipart.next_part()? else { return Ok(None) };
            shared.part += 1;
            let kind = match head.kind {
                // The request's own root is there anyway.
                PartKind::Directory if head.path.is_empty() => continue,
                PartKind::Directory => AddKind::Directory,
                PartKind::Symlink => AddKind::Symlink(shared.multipart.read_link()?),
                PartKind::File => {
                    let part = shared.part;
                    AddKind::File(Box::new(PartReader { shared: Arc::clone(&self.shared), part }))
                }
            };
            let mtime = head.mtime.map(|(secs, nanos)| Mtime { secs, nanos });
            let (mode, origin) = (head.mode, head.origin);
            return Ok(Some(AddEntry { path: head.path, kind, mode, mtime, len: None, origin }));
        }
    }
}

struct PartReader {
    shared: Arc<Mutex<Shared>>,
    part: u64,
}

impl Read for PartReader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        if shared.part != self.part {
            return Err(io::Error::other("the part was left before it was read to its end"));
        }
        shared.multipart.read_content(out).map_err(|error| io::Error::other(describe(&error)))
    }
}

fn describe(error: &MultipartError) -> String {
    crate::RpcError::of(error).message().to_owned()
}
