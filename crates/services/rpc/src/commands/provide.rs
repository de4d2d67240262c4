//! `provide`: what is announced, and how that goes.
//!
//! Not here: announcing (`cairn-node`).

use super::routing;
use crate::{
    Call, RpcError,
    command::{Command, Needs, Opt},
    text::each,
};
use cairn_names::Timestamp;
use cairn_network::PROVIDE_PARTS;
use cairn_node::ProvideStat;
use serde::{Deserialize, Serialize};
use std::time::{Duration, SystemTime};

/// The group's row of the table.
pub(super) const COMMAND: Command =
    Command::group("provide", "See and change what is announced to other nodes");

/// The row of `provide once`.
pub(super) const ONCE: Command = Command { path: "provide once", ..routing::provide::COMMAND };

/// The row of `provide stat`.
pub(super) const STAT: Command = Command {
    path: "provide stat",
    tagline: "Show how announcing goes",
    help: "New roots are announced at once. Everything that Provide.Strategy names is announced\n\
           again, part by part of the keyspace, in each Provide.DHT.Interval.",
    options: &[
        Opt::flag("all", "Accepted; everything is shown").or(&["a"]),
        Opt::flag("lan", "Accepted; both networks are told the same"),
        Opt::flag("compact", "Accepted; it is one column"),
        Opt::flag("connectivity", "Accepted; everything is shown"),
        Opt::flag("network", "Accepted; everything is shown"),
        Opt::flag("schedule", "Accepted; everything is shown"),
        Opt::flag("timings", "Accepted; everything is shown"),
        Opt::flag("workers", "Accepted; there are no fixed workers"),
        Opt::flag("operations", "Accepted; everything is shown"),
        Opt::flag("queues", "Accepted; everything is shown"),
    ],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(stat(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            let rows = [
                ("strategy", answer.strategy),
                ("interval", answer.interval),
                ("roots waiting", answer.roots_waiting.to_string()),
                ("roots announced", answer.roots_announced.to_string()),
                ("roots failed", answer.roots_failed.to_string()),
                ("roots dropped", answer.roots_dropped.to_string()),
                ("keys", answer.keys.to_string()),
                ("round", answer.round),
                ("behind", answer.behind),
                ("last round ended", answer.last_round_ended),
                ("rounds", answer.rounds.to_string()),
                ("keys announced", answer.keys_announced.to_string()),
                ("keys missed", answer.keys_missed.to_string()),
                ("records sent", answer.records_sent.to_string()),
                ("lookups", answer.lookups.to_string()),
            ];
            for (name, value) in rows {
                text.line(format_args!("{:<18}{value}", format!("{name}:")));
            }
        })
    }),
    ..Command::BASE
};

/// The row under the old name.
pub(super) const STATS: Command = Command { path: "stats provide", ..STAT };

/// The row of `provide clear`.
pub(super) const CLEAR: Command = Command {
    path: "provide clear",
    tagline: "Forget the new roots that wait to be announced",
    help: "The next round announces them, if Provide.Strategy names them.",
    options: &[Opt::flag("quiet", "Print nothing").or(&["q"])],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(clear(call))),
    text: Some(|request| {
        each(request, |request, count: u64, text| {
            if !request.flag("quiet") {
                text.line(format_args!("removed {count} items from provide queue"));
            }
        })
    }),
    ..Command::BASE
};

/// The answer of `provide stat`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    strategy: String,
    interval: String,
    roots_waiting: u64,
    roots_announced: u64,
    roots_failed: u64,
    roots_dropped: u64,
    keys: u64,
    round: String,
    behind: String,
    last_round_ended: String,
    rounds: u64,
    keys_announced: u64,
    keys_missed: u64,
    records_sent: u64,
    lookups: u64,
}

impl Answer {
    fn of(stat: &ProvideStat) -> Self {
        let at = |time: SystemTime| Timestamp::from(time).to_string();
        let interval = stat.settings.interval;
        let round = stat.round.map(|round| format!("{} of {PROVIDE_PARTS} parts", round.next));
        let lag = stat.round.map(|round| round.lag).unwrap_or_default();
        Self {
            strategy: stat.settings.strategy.to_string(),
            interval: interval.map_or_else(|| "never".to_owned(), duration),
            roots_waiting: stat.roots_waiting,
            roots_announced: stat.roots_announced,
            roots_failed: stat.roots_failed,
            roots_dropped: stat.roots_dropped,
            keys: stat.keys,
            round: round.unwrap_or_else(|| "waiting".to_owned()),
            behind: duration(lag),
            last_round_ended: stat.ended.map_or_else(|| "never".to_owned(), at),
            rounds: stat.rounds,
            keys_announced: stat.swept.keys,
            keys_missed: stat.swept.missed,
            records_sent: stat.swept.told,
            lookups: stat.swept.lookups,
        }
    }
}

/// Writes whole seconds as Go does.
fn duration(time: Duration) -> String {
    let secs = time.as_secs();
    let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
    match (hours, minutes) {
        (0, 0) => format!("{secs}s"),
        (0, _) => format!("{minutes}m{secs}s"),
        _ => format!("{hours}h{minutes}m{secs}s"),
    }
}

/// That nothing is announced, and which keys decide it.
pub(super) fn off() -> RpcError {
    RpcError::failed(
        "nothing is announced: config key Provide.Enabled is false or Routing.Type is \"none\"",
    )
}

async fn stat(call: Call) -> Result<(), RpcError> {
    let stat = call.node()?.provide_stat().ok_or_else(off)?;
    call.out.once(&Answer::of(&stat)).await
}

async fn clear(call: Call) -> Result<(), RpcError> {
    let count = call.node()?.provide_clear().await;
    call.out.once(&count).await
}

#[cfg(test)]
mod tests {
    use super::duration;
    use std::time::Duration;

    #[test]
    fn durations_are_go_s() {
        for (secs, text) in [(0, "0s"), (61, "1m1s"), (79_200, "22h0m0s")] {
            assert_eq!(duration(Duration::from_secs(secs)), text);
        }
    }
}
