//! `cid hashes`: the hash functions.

use super::{CodeAndName, LISTING, listing};
use crate::{Call, RpcError, command::{Command, Needs}};
use cairn_hash::code;

/// The row of the table.
pub const COMMAND: Command = Command {
    path: "cid hashes",
    tagline: "List the hash functions of CIDs",
    options: LISTING,
    needs: Needs::Nothing,
    run: Some(|call| Box::pin(run(call))),
    text: Some(listing),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let rows: Vec<CodeAndName> =
        all().into_iter().map(|(name, code)| CodeAndName { code, name }).collect();
    call.out.once(&rows).await
}

/// Every hash function that may name content: those of at least 20 bytes, and identity.
pub(crate) fn all() -> Vec<(String, u64)> {
    const SHORT: &[&str] = &["murmur3-x64-64"];
    let named = code::NAMED.iter().filter(|row| !SHORT.contains(&row.1));
    let mut rows: Vec<(String, u64)> = named.map(|row| (row.1.to_owned(), row.0)).collect();
    let blake2 = |first: u64, last: u64, family: &'static str| {
        // Codes count bytes from 1; digests under 20 bytes are not safe.
        (first + 19..=last).map(move |code| (format!("{family}-{}", (code - first + 1) * 8), code))
    };
    rows.extend(blake2(code::BLAKE2B_8, code::BLAKE2B_512, "blake2b"));
    rows.extend(blake2(code::BLAKE2S_8, code::BLAKE2S_256, "blake2s"));
    rows
}

/// Finds a hash function by its name, in any case.
///
/// # Errors
///
/// [`crate::Fault::Request`] if there is none, or none that may name content.
pub(crate) fn code_of(name: &str) -> Result<u64, RpcError> {
    let lower = name.to_ascii_lowercase();
    let row = all().into_iter().find(|row| row.0 == lower);
    row.map(|row| row.1)
        .ok_or_else(|| RpcError::request(format!("unrecognized hash function: {lower:?}")))
}

/// The name of a hash function, or its number.
pub(crate) fn name_of(code: u64) -> String {
    let row = all().into_iter().find(|row| row.1 == code);
    row.map_or_else(|| format!("{code:#x}"), |row| row.0)
}
