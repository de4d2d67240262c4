//! `stats bw`: how much goes through the connections with peers.
//!
//! Not here: the counting (`cairn-network`).

use crate::{
    Call, RpcError,
    command::{Command, Needs, Opt},
    commands::swarm,
    text::{each, human_len},
};
use cairn_network::Bandwidth;
use cairn_runtime::duration_of;
use serde::{Deserialize, Serialize};
use std::{cell::Cell, time::Duration};
use tokio::time::sleep;

/// Shortest time between two lines.
const INTERVAL_MIN: Duration = Duration::from_millis(100);

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "stats bw",
    tagline: "Show how much goes through the connections with peers",
    help: "Counts the bytes of streams, without what encryption and transport add.",
    options: &[
        Opt::text("peer", "With this peer only").or(&["p"]),
        Opt::text("proto", "By this protocol only (not counted)").or(&["t"]),
        Opt::flag("poll", "Again and again"),
        Opt::text("interval", "Time between two lines of --poll").or(&["i"]).default("1s"),
    ],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        let is_first = Cell::new(true);
        each(request, move |request, answer: Answer, text| {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a figure")]
            let rate = |rate: f64| human_len(rate.max(0.0) as u64);
            let (up, down) = (human_len(answer.total_out), human_len(answer.total_in));
            let (rate_up, rate_down) = (rate(answer.rate_out), rate(answer.rate_in));
            if request.flag("poll") {
                if is_first.replace(false) {
                    text.line("Total Up    Total Down  Rate Up     Rate Down");
                }
                let (rate_up, rate_down) = (format!("{rate_up}/s"), format!("{rate_down}/s"));
                text.line(format_args!("{up:<11} {down:<11} {rate_up:<11} {rate_down}"));
            } else {
                text.line("Bandwidth");
                text.line(format_args!("TotalIn: {down}\nTotalOut: {up}"));
                text.line(format_args!("RateIn: {rate_down}/s\nRateOut: {rate_up}/s"));
            }
        })
    }),
    ..Command::BASE
};

/// What goes through.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    /// Bytes received.
    total_in: u64,
    /// Bytes sent.
    total_out: u64,
    /// Bytes received a second.
    rate_in: f64,
    /// Bytes sent a second.
    rate_out: f64,
}

impl From<Bandwidth> for Answer {
    fn from(told: Bandwidth) -> Self {
        let Bandwidth { total_in, total_out, rate_in, rate_out } = told;
        Self { total_in, total_out, rate_in, rate_out }
    }
}

async fn run(call: Call) -> Result<(), RpcError> {
    let network = swarm::network(&call)?;
    let peer = call.request.given_text("peer").map(swarm::peer_id).transpose()?;
    if call.request.given_text("proto").is_some() {
        let text = if peer.is_some() {
            "please only specify peer OR protocol"
        } else {
            "protocols are not counted: leave out --proto"
        };
        return Err(RpcError::request(text));
    }
    let interval = call.request.text("interval").unwrap_or("1s");
    let pause = duration_of(interval).filter(|pause| *pause >= INTERVAL_MIN);
    let pause = pause.ok_or_else(|| {
        RpcError::request(format!("interval {interval:?} is no duration of 100ms or more"))
    })?;
    loop {
        call.out.event(&Answer::from(network.bandwidth(peer))).await?;
        if !call.request.flag("poll") {
            return Ok(());
        }
        sleep(pause).await;
    }
}
