//! `swarm peers`: who is connected.

use super::network;
use crate::{
    Call, Request, RpcError,
    command::{Command, Needs, Opt},
    commands::id,
    text::{each, escape},
};
use cairn_network::{Direction, PeerInfo};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "swarm peers",
    tagline: "List connected peers",
    options: &[
        Opt::flag("verbose", "Everything that is known").or(&["v"]),
        Opt::flag("streams", "With the protocols spoken"),
        Opt::flag("latency", "With the last round trip"),
        Opt::flag("direction", "With who connected to whom"),
        Opt::flag("identify", "With what the peer tells about itself"),
    ],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            for peer in answer.peers {
                text.write(format_args!("{}/p2p/{}", escape(&peer.addr), peer.id));
                if !peer.latency.is_empty() {
                    text.write(format_args!(" {}", peer.latency));
                }
                match peer.direction {
                    1 => text.write(" inbound"),
                    2 => text.write(" outbound"),
                    _ => {}
                }
                text.line("");
                for stream in peer.streams {
                    text.line(format_args!("  {}", escape(&stream.protocol)));
                }
            }
        })
    }),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Answer {
    /// The connections.
    pub peers: Vec<Peer>,
}

/// A connection.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Peer {
    /// The other end's address.
    pub addr: String,
    /// Who it is.
    #[serde(rename = "Peer")]
    pub id: String,
    /// The last round trip, or `n/a`; empty if it was not asked for.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub latency: String,
    /// libp2p's number: 1 inbound, 2 outbound, 0 not asked for.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub direction: u8,
    /// The protocols.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub streams: Vec<Stream>,
    /// What the peer tells about itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identify: Option<id::Answer>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
fn is_zero(number: &u8) -> bool {
    *number == 0
}

/// A protocol spoken with a peer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Stream {
    /// Its name.
    pub protocol: String,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let infos = network(&call)?.peers().await;
    let mut peers: Vec<Peer> = infos.iter().map(|info| describe(info, &call.request)).collect();
    peers.sort_by(|a, b| (&a.addr, &a.id).cmp(&(&b.addr, &b.id)));
    call.out.once(&Answer { peers }).await
}

fn describe(info: &PeerInfo, request: &Request) -> Peer {
    let asked = |name| request.flag("verbose") || request.flag(name);
    let stream = |name: &String| Stream { protocol: name.clone() };
    let mut protocols = info.protocols.clone();
    protocols.sort();
    Peer {
        addr: info.addr.to_string(),
        id: info.id.to_string(),
        latency: if asked("latency") { latency(info.latency) } else { String::new() },
        direction: match info.direction {
            _ if !asked("direction") => 0,
            Direction::Inbound => 1,
            Direction::Outbound => 2,
        },
        streams: if asked("streams") { protocols.iter().map(stream).collect() } else { Vec::new() },
        identify: asked("identify").then(|| id::of_peer(info)),
    }
}

/// Writes a round trip as Go prints durations, to the microsecond.
fn latency(latency: Option<Duration>) -> String {
    let Some(latency) = latency else { return "n/a".to_owned() };
    let micros = latency.as_micros();
    let (whole, digits, unit) = match micros {
        0..1000 => return format!("{micros}µs"),
        1000..1_000_000 => (1000, 3, "ms"),
        _ => (1_000_000, 6, "s"),
    };
    let text = format!("{}.{:0digits$}", micros / whole, micros % whole);
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::latency;
    use std::time::Duration;

    #[test]
    fn writes_latency_as_go_does() {
        let rows = [
            (None, "n/a"),
            (Some(Duration::from_micros(950)), "950µs"),
            (Some(Duration::from_micros(1500)), "1.5ms"),
            (Some(Duration::from_millis(20)), "20ms"),
            (Some(Duration::from_millis(1234)), "1.234s"),
        ];
        for (given, expected) in rows {
            assert_eq!(latency(given), expected);
        }
    }
}
