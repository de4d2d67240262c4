//! `repo backup`: copies the repository while the node runs.

use crate::{
    Call, RpcError,
    command::{Argument, Command},
    text::{each, human_len},
};
use cairn_node::Copied;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tokio::sync::mpsc;

/// Reports of progress that wait to be told.
const QUEUE_LEN: usize = 16;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "repo backup",
    tagline: "Copy the repository to another directory, or into one file",
    help: "The directory is made, or holds a backup of this node, which is brought up to date:\n\
           only what is new is copied. A name that ends in .tar stands for one file, which is\n\
           written anew each time and takes the place of the last backup when it is complete.\n\
           Everything that is pinned when it begins is in it, with the node's keys and\n\
           configuration, so keep it as safe as the repository. The node may be used meanwhile.\n\
           `cairn repo restore` makes a repository of it.",
    arguments: &[Argument::text("path", "The directory, or the file.tar, of the backup")],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: BackupAnswer, text| {
            if answer.done {
                let (copied, whole) = (human_len(answer.copied), human_len(answer.size));
                text.line(format_args!("copied {copied}; the backup holds {whole} of blocks"));
            }
        })
    }),
    ..Command::BASE
};

/// How far it has come.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BackupAnswer {
    /// Bytes that were copied.
    pub copied: u64,
    /// Bytes that are to be copied.
    pub total: u64,
    /// Bytes of all packs of the backup.
    pub size: u64,
    /// Whether it is complete, and on disk.
    pub done: bool,
}

impl BackupAnswer {
    fn new(copied: Copied, done: bool) -> Self {
        let Copied { copied_len, total_len, backup_len, .. } = copied;
        Self { copied: copied_len, total: total_len, size: backup_len, done }
    }
}

async fn run(call: Call) -> Result<(), RpcError> {
    let to = PathBuf::from(call.request.first()?);
    if !to.is_absolute() {
        return Err(RpcError::request("the backup must be given as an absolute path"));
    }
    let (sender, mut receiver) = mpsc::channel(QUEUE_LEN);
    let backup = call.node()?.backup(to, sender);
    let telling = async {
        while let Some(copied) = receiver.recv().await {
            call.out.event(&BackupAnswer::new(copied, false)).await?;
        }
        // Without the receiver the backup stops.
        drop(receiver);
        Ok::<_, RpcError>(())
    };
    let (copied, told) = tokio::join!(backup, telling);
    told?;
    let copied = copied.map_err(|error| RpcError::of(&error))?;
    call.out.event(&BackupAnswer::new(copied, true)).await
}
