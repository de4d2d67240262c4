//! `filestore`: blocks that are kept as references to files and URLs.
//!
//! Source: output, statuses and exit codes are Kubo's (`core/commands/filestore.go`).
//! Not here: adding them (`add --nocopy`), reading them (`cairn-store`, `cairn-node`).

pub(super) mod dups;
pub(super) mod ls;
pub(super) mod verify;

use crate::text::Link;
use crate::{
    Call, Command, RpcError,
    command::{Argument, Opt},
    text::{CidText, escape},
};
use cairn_block::{Cid, codec};
use cairn_node::{References, Referred, SourceError};
use serde::{Deserialize, Serialize};

/// References that are sorted in memory at most, for `--file-order`: some hundred bytes each.
const SORTED_COUNT_MAX: usize = 4_000_000;

/// References that are looked at before they are sent on.
const BATCH_COUNT: usize = 256;

/// The group's row of the table.
pub(super) const COMMAND: Command =
    Command::group("filestore", "See blocks that refer to files and URLs");

/// The blocks that `ls` and `verify` are about.
const OBJECTS: Argument = Argument::text("obj", "CIDs of the blocks; without any, all").optional();

/// Sorts by file.
const FILE_ORDER: Opt = Opt::flag("file-order", "Sort by path and offset");

/// How a block that refers to something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Ok,
    FileError,
    NoFile,
    Changed,
    Other,
    Missing,
}

impl Status {
    /// Numbers and names are Kubo's.
    const ALL: [(Self, i32, &'static str); 6] = [
        (Self::Ok, 0, "ok"),
        (Self::FileError, 10, "error"),
        (Self::NoFile, 11, "no-file"),
        (Self::Changed, 12, "changed"),
        (Self::Other, 20, "ERROR"),
        (Self::Missing, 30, "missing"),
    ];

    fn number(self) -> i32 {
        Self::ALL.iter().find(|row| row.0 == self).map_or(0, |row| row.1)
    }

    fn name_of(number: i32) -> &'static str {
        Self::ALL.iter().find(|row| row.1 == number).map_or("???", |row| row.2)
    }

    fn of(checked: &Result<(), SourceError>) -> Self {
        match checked {
            Ok(()) => Self::Ok,
            Err(SourceError::Missing) => Self::NoFile,
            Err(SourceError::Changed) => Self::Changed,
            Err(_) => Self::FileError,
        }
    }
}

/// One block.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Answer {
    /// One of [`Status`].
    pub status: i32,
    /// What is wrong, where something is.
    pub error_msg: String,
    /// The block, as a raw CID of version 1.
    pub key: Option<Link>,
    /// The file's path below the root, or the URL.
    pub file_path: String,
    /// Where in it.
    pub offset: u64,
    /// Bytes of the block.
    pub size: u64,
    /// What became of it, if bad blocks were to be removed.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub action: String,
}

impl Answer {
    fn of(referred: &Referred, cids: CidText) -> Self {
        let cid = Cid::v1(codec::RAW, referred.hash.clone());
        Self {
            key: Some(Link { cid: cids.of(&cid) }),
            file_path: referred.reference.location.text().to_owned(),
            offset: referred.reference.offset,
            size: referred.len,
            ..Self::default()
        }
    }

    fn failed(argument: &str, status: Status, reason: &str) -> Self {
        let error_msg = format!("{argument}: {reason}");
        Self { status: status.number(), error_msg, ..Self::default() }
    }

    /// The block's line, without its status.
    fn line(&self) -> String {
        let Some(key) = &self.key else { return "<corrupt key>".to_owned() };
        if self.file_path.is_empty() {
            return key.cid.clone();
        }
        let path = escape(&self.file_path);
        format!("{:<50} {:>6} {path} {}", key.cid, self.size, self.offset)
    }
}

/// What `ls` and `verify` do with each block.
type Look = fn(&cairn_node::Node, &Referred, &mut Answer) -> Result<(), RpcError>;

/// Answers for the blocks that the request names, or for all.
async fn run(call: Call, look: Look) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let node = call.node()?.clone();
    node.check_references_enabled().map_err(|error| RpcError::of(&error))?;
    if !call.request.arguments().is_empty() {
        for argument in call.request.arguments() {
            let (node, argument) = (node.clone(), argument.clone());
            let answer =
                cairn_runtime::blocking(move || named(&node, &argument, (cids, look))).await?;
            call.out.event(&answer).await?;
        }
        return Ok(());
    }
    let list = node.store().references();
    let list: Box<dyn Iterator<Item = _> + Send> = if call.request.flag("file-order") {
        let all = cairn_runtime::blocking(move || sorted(list)).await?;
        Box::new(all.into_iter().map(Ok))
    } else {
        Box::new(list)
    };
    let mut listing = Some(list);
    while let Some(mut list) = listing.take() {
        let node = node.clone();
        let (answers, list, is_last) = cairn_runtime::blocking(move || {
            let mut answers = Vec::new();
            for referred in list.by_ref().take(BATCH_COUNT) {
                let referred = referred.map_err(|error| RpcError::of(&error))?;
                let mut answer = Answer::of(&referred, cids);
                look(&node, &referred, &mut answer)?;
                answers.push(answer);
            }
            let is_last = answers.len() < BATCH_COUNT;
            Ok::<_, RpcError>((answers, list, is_last))
        })
        .await?;
        for answer in answers {
            call.out.event(&answer).await?;
        }
        listing = (!is_last).then_some(list);
    }
    Ok(())
}

/// The answer for one block that was named.
fn named(
    node: &cairn_node::Node,
    argument: &str,
    (cids, look): (CidText, Look),
) -> Result<Answer, RpcError> {
    let cid: Cid = match argument.parse() {
        Ok(cid) => cid,
        Err(error) => {
            let reason = RpcError::of(&error);
            return Ok(Answer::failed(argument, Status::Other, reason.message()));
        }
    };
    let found = node.store().reference(&cid).map_err(|error| RpcError::of(&error))?;
    let Some(referred) = found else {
        let mut answer = Answer::failed(argument, Status::Missing, "it refers to no file or URL");
        answer.key = Some(Link { cid: cids.of(&cid) });
        return Ok(answer);
    };
    let mut answer = Answer::of(&referred, cids);
    look(node, &referred, &mut answer)?;
    Ok(answer)
}

fn sorted(list: References) -> Result<Vec<Referred>, RpcError> {
    let mut all = Vec::new();
    for referred in list {
        if all.len() == SORTED_COUNT_MAX {
            let text = format!("more than {SORTED_COUNT_MAX} blocks are too many for --file-order");
            return Err(RpcError::request(text));
        }
        all.push(referred.map_err(|error| RpcError::of(&error))?);
    }
    all.sort_unstable_by(|one, two| one.reference.cmp(&two.reference));
    Ok(all)
}
