//! `repo scrub`: reads and hashes every block in the background, and heals what is corrupt.
//!
//! Not here: the same at once and in the foreground (`repo verify`).

use crate::{
    Call, Request, RpcError,
    command::{Command, Opt},
    text::{Render, each, human_len},
};
use cairn_node::{ScrubStatus, config::byte_len_of};
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};
use tokio::time::sleep;

/// How often `--wait` tells how far it is.
const PROGRESS_PERIOD: Duration = Duration::from_millis(500);

/// The row that begins one.
pub(crate) const COMMAND: Command = Command {
    path: "repo scrub",
    tagline: "Read and check every block in the background",
    help: "Goes on where an earlier one was stopped, also after a restart. Corrupt blocks are\n\
           fetched from peers. The daemon does it by itself: see Cairn.Scrub.Period, Rate and Heal.",
    options: &[
        Opt::text("rate", "Most bytes a second, such as 50MB/s; 0 is no limit"),
        Opt::flag("wait", "Wait for the end, and tell how far it is"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(text),
    ..Command::BASE
};

/// The row that tells.
pub(crate) const STATUS: Command = Command {
    path: "repo scrub status",
    tagline: "Tell how far the scrub is, or how the last one ended",
    run: Some(|call| Box::pin(status(call))),
    text: Some(text),
    ..Command::BASE
};

/// The row that ends one.
pub(crate) const STOP: Command = Command {
    path: "repo scrub stop",
    tagline: "Stop the scrub; the next one goes on from there",
    run: Some(|call| Box::pin(stop(call))),
    text: Some(text),
    ..Command::BASE
};

/// How a scrub is doing; times in seconds since 1970.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Answer {
    /// `running`, `stopped`, `finished` or `never`.
    pub state: String,
    /// Bytes behind it.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
    /// Blocks looked at.
    pub blocks: u64,
    /// Corrupt ones.
    pub corrupt: u64,
    /// Corrupt ones that were healed.
    pub healed: u64,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// When the last one came to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished: Option<u64>,
}

impl Answer {
    pub(crate) fn of(status: &ScrubStatus) -> Self {
        let secs =
            |time: SystemTime| Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs());
        let state = match status {
            ScrubStatus { is_running: true, .. } => "running",
            ScrubStatus { is_begun: true, .. } => "stopped",
            ScrubStatus { finished: Some(_), .. } => "finished",
            _ => "never",
        };
        Self {
            state: state.to_owned(),
            done: status.done_len,
            total: status.total_len,
            blocks: status.block_count,
            corrupt: status.corrupt_count,
            healed: status.healed_count,
            started: status.started.and_then(secs),
            finished: status.finished.and_then(secs),
        }
    }

    /// One line for people.
    pub(crate) fn line(&self) -> String {
        if self.state == "never" {
            return "never".to_owned();
        }
        let Self { state, blocks, corrupt, healed, .. } = self;
        let (done, total) = (human_len(self.done), human_len(self.total));
        format!("{state}, {done} of {total}, {blocks} blocks, {corrupt} corrupt, {healed} healed")
    }
}

fn text(request: &Request) -> Box<dyn Render> {
    each(request, |_, answer: Answer, text| text.line(format_args!("scrub: {}", answer.line())))
}

async fn run(call: Call) -> Result<(), RpcError> {
    let rate = call.request.text("rate").map(|text| {
        let wrong = || RpcError::request(format!("invalid rate {text:?}: use one such as 50MB/s"));
        byte_len_of(text.strip_suffix("/s").unwrap_or(text)).ok_or_else(wrong)
    });
    let rate = rate.transpose()?;
    let node = call.node()?.clone();
    let progress = node.scrub_status().await;
    let tell =
        |progress: &tokio::sync::watch::Receiver<ScrubStatus>| Answer::of(&progress.borrow());
    let mut start = std::pin::pin!(node.scrub_start(rate));
    if !call.request.flag("wait") {
        start.await.map_err(|error| RpcError::of(&error))?;
        return call.out.event(&tell(&progress)).await;
    }
    let mut is_started = false;
    loop {
        tokio::select! {
            result = start.as_mut(), if !is_started => {
                result.map_err(|error| RpcError::of(&error))?;
                is_started = true;
            }
            () = sleep(PROGRESS_PERIOD) => {}
        }
        let answer = tell(&progress);
        if is_started && answer.state != "running" {
            return call.out.event(&answer).await;
        }
        call.out.event(&answer).await?;
    }
}

async fn status(call: Call) -> Result<(), RpcError> {
    let status = call.node()?.scrub_status().await;
    let answer = Answer::of(&status.borrow());
    call.out.once(&answer).await
}

async fn stop(call: Call) -> Result<(), RpcError> {
    let node = call.node()?;
    let mut status = node.scrub_status().await;
    if status.borrow().is_running {
        node.scrub_stop();
        // Ends with the step that is under way; the sender lives as long as the node.
        drop(status.wait_for(|status| !status.is_running).await);
    }
    let answer = Answer::of(&status.borrow());
    call.out.once(&answer).await
}
