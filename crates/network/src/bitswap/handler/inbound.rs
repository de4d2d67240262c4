//! Reading one inbound stream: many messages, each with its length in front.
//!
//! Invariants: a length is checked before anything is allocated for it; a large message waits
//! for the budget before its first byte is read; a sender that stalls is cut off.

use crate::bitswap::{
    engine::{Event, Link},
    limits::{MESSAGE_LEN_MAX, MESSAGE_STALL_MAX, SMALL_MESSAGE_LEN_MAX},
    wire::Message,
};
use bytes::Bytes;
use cairn_hash::varint::{self, VarintError};
use futures::{AsyncRead, AsyncReadExt as _};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tracing::debug;

/// Slowest rate at which a large message may come, in bytes a second.
const RATE_MIN: usize = 64 * 1024;

/// What reading needs of its connection.
pub(super) struct Reader {
    pub(super) link: Link,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) budget: Arc<Semaphore>,
    pub(super) large: Arc<Mutex<()>>,
}

impl Reader {
    /// Reads until the stream ends or breaks a rule; either way it is dropped then.
    pub(super) async fn run(self, mut stream: impl AsyncRead + Unpin) {
        loop {
            match self.read(&mut stream).await {
                Ok(Some((message, permit))) => {
                    let event = Event::Message { link: self.link, message, permit };
                    if self.events.send(event).await.is_err() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    debug!(peer = %self.link.peer, %error, "closed a stream");
                    drop(self.events.send(Event::Malformed(self.link)).await);
                    return;
                }
                // The stream or its connection was closed; that is no offence.
                Ok(None) | Err(_) => return,
            }
        }
    }

    async fn read(
        &self,
        stream: &mut (impl AsyncRead + Unpin),
    ) -> io::Result<Option<(Message, Option<OwnedSemaphorePermit>)>> {
        let Some(len) = read_len(stream).await? else { return Ok(None) };
        if len > MESSAGE_LEN_MAX {
            return Err(refused(format!("message of {len} bytes, over the limit")));
        }
        let is_large = len > SMALL_MESSAGE_LEN_MAX;
        let _turn = if is_large { Some(self.large.lock().await) } else { None };
        let permit = if is_large {
            let permit = Arc::clone(&self.budget).acquire_many_owned(len as u32).await;
            Some(permit.map_err(io::Error::other)?)
        } else {
            None
        };
        let mut buffer = vec![0; len];
        let patience = MESSAGE_STALL_MAX + Duration::from_secs((len / RATE_MIN) as u64);
        let read = timeout(patience, stream.read_exact(&mut buffer)).await;
        read.map_err(|_| refused("message does not come to its end".to_owned()))??;
        let message = Message::decode(Bytes::from(buffer));
        let message = message.map_err(|error| refused(error.to_string()))?;
        Ok(Some((message, permit)))
    }
}

/// Reads a length; `None` if the stream ends before it.
async fn read_len(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<usize>> {
    let mut bytes = Vec::with_capacity(varint::VARINT_LEN_MAX);
    loop {
        let mut byte = [0];
        if stream.read(&mut byte).await? == 0 {
            // Ending between two messages is how streams end.
            let ended = if bytes.is_empty() { Ok(None) } else { Err(cut_off()) };
            return ended;
        }
        bytes.push(byte[0]);
        match varint::decode(&bytes) {
            Ok((len, _)) => return Ok(Some(usize::try_from(len).unwrap_or(usize::MAX))),
            Err(VarintError::Truncated { .. }) => {}
            Err(error) => return Err(refused(error.to_string())),
        }
    }
}

fn refused(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn cut_off() -> io::Error {
    io::ErrorKind::UnexpectedEof.into()
}
