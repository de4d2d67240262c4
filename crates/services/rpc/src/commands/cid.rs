//! `cid`: CIDs in other forms, and the tables behind them.
//!
//! Not here: the forms themselves (`cairn-block`).

pub(super) mod base32;
pub(super) mod bases;
pub(super) mod codecs;
pub(super) mod format;
pub(super) mod hashes;

use crate::{
    Request,
    command::{Command, Opt},
    text::{Render, each},
};
use serde::{Deserialize, Serialize};

/// The group's row of the table.
pub(super) const COMMAND: Command =
    Command::group("cid", "Convert CIDs and list what they are made of");

/// The options that `cid codecs` and `cid hashes` share.
const LISTING: &[Opt] = &[
    Opt::flag("numeric", "Also the numbers").or(&["n"]),
    Opt::flag("supported", "Only those that commands here can use").or(&["s"]),
];

/// A row of one of the tables.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CodeAndName {
    /// The number.
    pub code: u64,
    /// The name.
    pub name: String,
}

/// Writes the table of codecs or hashes, by number.
fn listing(request: &Request) -> Box<dyn Render> {
    each(request, |request, mut rows: Vec<CodeAndName>, text| {
        rows.sort_by_key(|row| row.code);
        for row in rows {
            if request.flag("numeric") {
                text.line(format_args!("{:5}  {}", row.code, row.name));
            } else {
                text.line(row.name);
            }
        }
    })
}
