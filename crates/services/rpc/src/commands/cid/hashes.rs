//! `cid hashes`: the hash functions.

use super::{CodeAndName, LISTING, listing};
use crate::{
    Call, RpcError,
    command::{Command, Needs},
};
use cairn_hash::code;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "cid hashes",
    tagline: "List the hash functions of CIDs",
    options: LISTING,
    needs: Needs::Nothing,
    run: Some(|call| Box::pin(run(call))),
    text: Some(listing),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let row = |function: &code::HashFunction| CodeAndName {
        code: function.code,
        name: function.name.to_owned(),
    };
    let rows: Vec<CodeAndName> = code::table().map(row).collect();
    call.out.once(&rows).await
}

/// Finds a hash function by its name, in any case.
///
/// # Errors
///
/// [`crate::Fault::Request`] if there is none, or none that may name content.
pub(crate) fn code_of(name: &str) -> Result<u64, RpcError> {
    let unknown = || RpcError::request(format!("unrecognized hash function: {name:?}"));
    code::code_of(name).filter(|code| code::is_allowed(*code)).ok_or_else(unknown)
}

/// The name of a hash function, or its number.
pub(crate) fn name_of(code: u64) -> String {
    code::name_of(code).map_or_else(|| format!("{code:#x}"), str::to_owned)
}
