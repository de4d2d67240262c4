//! Files as a `multipart/form-data` body that is written while it is sent.
//!
//! A thread that may block walks and reads; the connection takes pieces from a bounded channel.
//!
//! Invariants: at most [`PIECES_MAX`] pieces wait; an entry that cannot be read breaks the
//! request off, so that the daemon never takes half of it for the whole.
//! Not here: walking (`cairn_node::local_entries`), reading it back (`cairn-rpc`).

use bytes::Bytes;
use cairn_node::{AddEntries, AddEntry, AddKind};
use cairn_runtime::Tasks;
use hyper::body::{Body, Frame};
use std::{
    collections::hash_map::RandomState,
    fmt::Write as _,
    hash::{BuildHasher as _, Hasher as _},
    io::{self, Read},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};
use tokio::sync::mpsc;

/// Bytes of file data in one piece.
const PIECE_LEN: usize = 256 * 1024;
/// Pieces that wait to be sent.
const PIECES_MAX: usize = 8;

/// Why the upload stopped, once it has: the connection only tells that it did.
pub(crate) type Cause = Arc<OnceLock<String>>;

/// The body: nothing, or pieces as they come.
#[derive(Debug)]
pub(crate) struct UploadBody {
    pieces: Option<mpsc::Receiver<io::Result<Option<Bytes>>>>,
    cause: Cause,
}

impl Body for UploadBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let Some(pieces) = &mut self.pieces else { return Poll::Ready(None) };
        let piece = match pieces.poll_recv(context) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(piece) => piece,
        };
        Poll::Ready(match piece {
            Some(Ok(Some(bytes))) => Some(Ok(Frame::data(bytes))),
            Some(Ok(None)) => {
                self.pieces = None;
                None
            }
            Some(Err(error)) => {
                self.cause.set(error.to_string()).unwrap_or(());
                Some(Err(error))
            }
            None => Some(Err(io::Error::other("the upload was stopped"))),
        })
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_none()
    }
}

/// Starts writing the body; returns it with its boundary.
pub(crate) fn body(
    files: Option<AddEntries>,
    tasks: &Tasks,
    cause: Cause,
) -> (UploadBody, Option<String>) {
    let Some(files) = files else { return (UploadBody { pieces: None, cause }, None) };
    // Unguessable, so that no file holds it: std's random keys are what is at hand.
    let random = || RandomState::new().build_hasher().finish();
    let boundary = format!("cairn-{:016x}{:016x}", random(), random());
    let (sender, pieces) = mpsc::channel(PIECES_MAX);
    let writer = Writer { pieces: sender, boundary: boundary.clone() };
    tasks.spawn_blocking("upload", move || writer.run(files));
    (UploadBody { pieces: Some(pieces), cause }, Some(boundary))
}

struct Writer {
    pieces: mpsc::Sender<io::Result<Option<Bytes>>>,
    boundary: String,
}

impl Writer {
    fn run(self, files: AddEntries) {
        let result = self.write(files);
        // Nobody to tell means that the connection has ended already.
        drop(self.pieces.blocking_send(result.map(|()| None)));
    }

    fn write(&self, files: AddEntries) -> io::Result<()> {
        for entry in files {
            let entry = entry.map_err(|error| io::Error::other(error.to_string()))?;
            self.put(self.head(&entry).into())?;
            match entry.kind {
                AddKind::Directory => {}
                AddKind::Symlink(target) => self.put(target.into())?,
                AddKind::File(file) => self.content(file, entry.len, &entry.path)?,
            }
            self.put(Bytes::from_static(b"\r\n"))?;
        }
        self.put(format!("--{}--\r\n", self.boundary).into())
    }

    fn content(&self, mut file: impl Read, len: Option<u64>, path: &str) -> io::Result<()> {
        let mut sent = 0;
        loop {
            let mut piece = Vec::with_capacity(PIECE_LEN);
            if file.by_ref().take(PIECE_LEN as u64).read_to_end(&mut piece)? == 0 {
                break;
            }
            sent += piece.len() as u64;
            self.put(piece.into())?;
        }
        match len {
            Some(len) if sent < len => {
                let text = format!(
                    "{path} changed while it was being read: {len} bytes expected, {sent} found"
                );
                Err(io::Error::other(text))
            }
            _ => Ok(()),
        }
    }

    fn put(&self, bytes: Bytes) -> io::Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        let sent = self.pieces.blocking_send(Ok(Some(bytes)));
        sent.map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn head(&self, entry: &AddEntry) -> String {
        let kind = match entry.kind {
            AddKind::Directory => "application/x-directory",
            AddKind::Symlink(_) => "application/symlink",
            AddKind::File(_) => "application/octet-stream",
        };
        let mut query = String::new();
        let mut add = |pair: String| {
            query.push(if query.is_empty() { '?' } else { '&' });
            query.push_str(&pair);
        };
        if let Some(mode) = entry.mode {
            add(format!("mode=0{mode:o}"));
        }
        if let Some(mtime) = entry.mtime {
            add(format!("mtime={}", mtime.secs));
            if mtime.nanos > 0 {
                add(format!("mtime-nsecs={}", mtime.nanos));
            }
        }
        let name = percent_encoded(&entry.path);
        let origin = match &entry.origin {
            Some(origin) => format!("Abspath-Encoded: {}\r\n", percent_encoded(origin)),
            None => String::new(),
        };
        format!(
            "--{}\r\nContent-Disposition: form-data; name=\"file{query}\"; filename=\"{name}\"\r\n\
             Content-Type: {kind}\r\n{origin}\r\n",
            self.boundary
        )
    }
}

fn percent_encoded(path: &str) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'/' => {
                encoded.push(char::from(byte));
            }
            byte => write!(encoded, "%{byte:02X}").unwrap_or(()),
        }
    }
    encoded
}
