//! A request's files for commands that want their bytes, not a tree.
//!
//! What is in memory already is read where it is; what has yet to come, on a thread that blocks.
//! Not here: adding trees (`commands::add`).

use crate::{Files, RpcError};
use cairn_node::{AddEntry, AddEntryError, AddKind};
use cairn_runtime::blocking;
use std::io::Read as _;

/// Takes the first file; its bytes may be read without blocking if they were here.
pub(crate) async fn next(files: Files) -> Option<Result<AddEntry, AddEntryError>> {
    let is_here = files.are_here();
    let mut entries = files.into_entries();
    if is_here { entries.next() } else { blocking(move || entries.next()).await }
}

/// Reads the next file whole; gives the rest of the files back.
///
/// # Errors
///
/// [`crate::Fault::Request`] if it is a directory, or longer than `len_max` bytes.
pub(crate) async fn read_next(
    files: Files,
    len_max: usize,
) -> Result<Option<(Vec<u8>, Files)>, RpcError> {
    if files.are_here() {
        let mut entries = files.into_entries();
        let bytes = read(&mut *entries, len_max)?;
        return Ok(bytes.map(|bytes| (bytes, Files::here(entries))));
    }
    blocking(move || {
        let mut entries = files.into_entries();
        let bytes = read(&mut *entries, len_max)?;
        Ok(bytes.map(|bytes| (bytes, entries.into())))
    })
    .await
}

fn read(
    entries: &mut dyn Iterator<Item = Result<AddEntry, AddEntryError>>,
    len_max: usize,
) -> Result<Option<Vec<u8>>, RpcError> {
    let Some(entry) = entries.next() else { return Ok(None) };
    let entry = entry.map_err(|error| RpcError::of(&error))?;
    let AddKind::File(file) = entry.kind else {
        return Err(RpcError::request("expected a file"));
    };
    let mut bytes = Vec::new();
    file.take(len_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > len_max {
        return Err(RpcError::request(format!("the file is over the limit of {len_max} bytes")));
    }
    Ok(Some(bytes))
}

/// Reads the only file whole.
///
/// # Errors
///
/// As [`read_next`]; also if there is no file.
pub(crate) async fn read_one(files: Files, len_max: usize) -> Result<Vec<u8>, RpcError> {
    let next = read_next(files, len_max).await?;
    next.map(|(bytes, _)| bytes).ok_or_else(|| RpcError::request("expected a file"))
}
