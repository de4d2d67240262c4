//! A request's files for commands that want their bytes, not a tree.
//!
//! Not here: adding trees (`commands::add`).

use crate::RpcError;
use cairn_node::{AddEntries, AddKind};
use std::io::Read as _;

/// Reads the next file whole, on a blocking thread; gives the rest of the files back.
///
/// # Errors
///
/// [`crate::Fault::Request`] if it is a directory, or longer than `len_max` bytes.
pub(crate) async fn read_next(
    mut files: AddEntries,
    len_max: usize,
) -> Result<Option<(Vec<u8>, AddEntries)>, RpcError> {
    cairn_runtime::blocking(move || {
        let Some(entry) = files.next() else { return Ok(None) };
        let entry = entry.map_err(|error| RpcError::of(&error))?;
        let AddKind::File(file) = entry.kind else {
            return Err(RpcError::request("expected a file"));
        };
        let mut bytes = Vec::new();
        file.take(len_max as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > len_max {
            return Err(RpcError::request(format!(
                "the file is over the limit of {len_max} bytes"
            )));
        }
        Ok(Some((bytes, files)))
    })
    .await
}

/// Reads the only file whole.
///
/// # Errors
///
/// As [`read_next`]; also if there is no file.
pub(crate) async fn read_one(files: AddEntries, len_max: usize) -> Result<Vec<u8>, RpcError> {
    let next = read_next(files, len_max).await?;
    next.map(|(bytes, _)| bytes).ok_or_else(|| RpcError::request("expected a file"))
}
