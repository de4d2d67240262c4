//! `bitswap ledger`: what was exchanged with one peer.

use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs},
    commands::swarm,
    text::each,
};
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "bitswap ledger",
    tagline: "Show what was exchanged with a peer",
    arguments: &[Argument::text("peer", "The peer's ID")],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            text.line(format_args!("Ledger for {}", answer.peer));
            text.line(format_args!("Debt ratio:\t{:.6}", answer.value));
            text.line(format_args!("Exchanges:\t{}", answer.exchanged));
            text.line(format_args!("Bytes sent:\t{}", answer.sent));
            text.line(format_args!("Bytes received:\t{}\n", answer.recv));
        })
    }),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Answer {
    /// The peer.
    pub peer: String,
    /// What the peer owes.
    pub value: f64,
    /// Bytes sent.
    pub sent: u64,
    /// Bytes received.
    pub recv: u64,
    /// Messages with blocks.
    pub exchanged: u64,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let peer = swarm::peer_id(call.request.first()?)?;
    let ledger = swarm::network(&call)?.ledger(peer).await;
    let answer = ledger.map_or_else(
        || Answer { peer: peer.to_string(), ..Answer::default() },
        |ledger| Answer {
            peer: ledger.peer.to_string(),
            value: ledger.value,
            sent: ledger.sent,
            recv: ledger.received,
            exchanged: ledger.exchanged,
        },
    );
    call.out.once(&answer).await
}
