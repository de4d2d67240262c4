//! Looks up what a peer wants, for one turn of the server.
//!
//! Runs in a task of its own, since the store may wait for the disk.

use crate::bitswap::{
    limits::{HAVE_REPLACE_LEN_MAX, MESSAGE_LEN_TARGET},
    server::{Answer, Task, Turn},
    wire::WantKind,
};
use cairn_block::{Block, BlockStore, Cid};
use tracing::warn;

/// Fills about one message with what the store has.
pub(super) async fn look_up(store: &impl BlockStore, turn: Turn) -> Answer {
    let mut answer = Answer::default();
    let mut len: usize = turn.ready.iter().map(|block| block.data().len()).sum();
    let cids: Vec<Cid> = turn.tasks.iter().map(|task| task.cid.clone()).collect();
    let lens = match store.stat_many(&cids).await {
        Ok(lens) => lens,
        Err(error) => {
            warn!(%error, "could not look up what a peer wants");
            vec![None; cids.len()]
        }
    };
    let mut wanted: Vec<Task> = Vec::new();
    for (task, found) in turn.tasks.into_iter().zip(lens) {
        match found {
            None => answer.refuse(task),
            Some(block_len) if !task.wants_bytes(block_len) => answer.haves.push(task.cid),
            Some(_) if len >= MESSAGE_LEN_TARGET => answer.later.push(task),
            Some(block_len) => {
                len += usize::try_from(block_len).unwrap_or(usize::MAX);
                wanted.push(task);
            }
        }
    }
    answer.blocks = turn.ready;
    read(store, wanted, &mut answer).await;
    answer
}

async fn read(store: &impl BlockStore, wanted: Vec<Task>, answer: &mut Answer) {
    if wanted.is_empty() {
        return;
    }
    let cids: Vec<Cid> = wanted.iter().map(|task| task.cid.clone()).collect();
    let found = store.get_many(&cids).await;
    for (task, block) in wanted.into_iter().zip(found) {
        match block {
            Ok(Some(block)) => answer.blocks.extend(named_as_asked(block, &task)),
            Ok(None) => answer.refuse(task),
            Err(error) => {
                warn!(cid = %task.cid, %error, "could not read a block that a peer wants");
                answer.refuse(task);
            }
        }
    }
}

/// The peer knows the block by the CID it asked for.
fn named_as_asked(block: Block, task: &Task) -> Option<Block> {
    block.rename(task.cid.clone()).ok()
}

impl Task {
    fn wants_bytes(&self, len: u64) -> bool {
        self.kind == WantKind::Block || len <= HAVE_REPLACE_LEN_MAX
    }
}

impl Answer {
    fn refuse(&mut self, task: Task) {
        if task.send_dont_have {
            self.dont_haves.push(task.cid);
        }
    }
}
