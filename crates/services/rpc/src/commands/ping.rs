//! `ping`: how long an echo of a peer takes.
//!
//! Not here: the echo (`cairn-network`).

use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs, Opt},
    commands::swarm,
    text::{each, escape},
};
use cairn_network::{Network, PeerId};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::sleep;

/// Between one echo and the next question.
const PAUSE: Duration = Duration::from_secs(1);

/// The row of the table.
pub(super) const COMMAND: Command = Command {
    path: "ping",
    tagline: "Measure how long an echo of a peer takes",
    help: "A peer that is not connected is looked for first.",
    arguments: &[Argument::text("peer ID", "The peer, by its ID or an address").or_stdin()],
    options: &[Opt::int("count", "Echoes to ask for").or(&["n"]).default("10")],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            if !answer.text.is_empty() {
                text.line(escape(&answer.text));
            } else if answer.success {
                text.line(format_args!("Pong received: time={:.2} ms", millis(answer.time)));
            } else {
                text.line("Pong failed");
            }
        })
    }),
};

/// One line.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    /// Whether an echo came, or there is only a text.
    success: bool,
    /// How long it took, in nanoseconds.
    time: u64,
    /// What is said instead.
    text: String,
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn millis(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}

fn said(text: String) -> Answer {
    Answer { success: true, text, ..Answer::default() }
}

async fn run(call: Call) -> Result<(), RpcError> {
    let text = call.request.first()?;
    let peer = match text.rsplit_once("/p2p/").or_else(|| text.rsplit_once("/ipfs/")) {
        Some((_, id)) => swarm::peer_id(id)?,
        None => swarm::peer_id(text)?,
    };
    let count = call.request.int("count").unwrap_or(10);
    if count <= 0 {
        let text = format!("ping count must be greater than 0, was {count}");
        return Err(RpcError::request(text));
    }
    let network = swarm::network(&call)?;
    if peer == network.peer_id() {
        return Err(RpcError::failed("can't ping self"));
    }
    if text.contains('/') {
        let (addr, _) = swarm::address(text)?;
        network.connect(addr).await.map_err(|error| RpcError::of(&error))?;
    }
    let known = network.peers().await.iter().any(|info| info.id == peer);
    if !known {
        call.out.event(&said(format!("Looking up peer {peer}"))).await?;
        network.connect_peer(peer, Vec::new()).await.map_err(|error| RpcError::of(&error))?;
    }
    call.out.event(&said(format!("PING {peer}."))).await?;
    echoes(&call, network, (peer, count)).await
}

async fn echoes(
    call: &Call,
    network: &Network,
    (peer, count): (PeerId, i64),
) -> Result<(), RpcError> {
    let failed = |error| RpcError::of(&error);
    let mut pinger = network.pinger(peer).await.map_err(failed)?;
    let (mut total, mut got) = (0_u64, 0_u64);
    for number in 0..count {
        if number > 0 {
            sleep(PAUSE).await;
        }
        let time = match pinger.ping().await {
            Ok(time) => u64::try_from(time.as_nanos()).unwrap_or(u64::MAX),
            Err(error) => {
                call.out.event(&Answer::default()).await?;
                return Err(failed(error));
            }
        };
        total = total.saturating_add(time);
        got += 1;
        call.out.event(&Answer { success: true, time, text: String::new() }).await?;
    }
    let average = millis(total / got.max(1));
    call.out.event(&said(format!("Average latency: {average:.2}ms"))).await
}
