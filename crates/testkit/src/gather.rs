//! Waits for a whole stream of bytes.

use bytes::Bytes;
use futures::{Stream, TryStreamExt as _, executor::block_on};

/// Returns everything that `stream` brings, or its first error.
///
/// # Errors
///
/// The stream's own.
pub fn gather<E>(stream: impl Stream<Item = Result<Bytes, E>>) -> Result<Vec<u8>, E> {
    Ok(block_on(stream.try_collect::<Vec<Bytes>>())?.concat())
}
