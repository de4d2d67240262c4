//! `swarm resources`: how many connections and streams there are, and may be.
//!
//! Not here: what the limits do (`cairn-network`).

use super::network;
use crate::{
    Call, RpcError, answer,
    command::{Command, Needs},
    text::{Text, each, escape},
};
use cairn_network::{ResourceReport, StreamLimit, Usage};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "swarm resources",
    tagline: "Show how many connections and streams there are, and may be",
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            let head = ["Limit Name", "Limit Value", "Limit Usage Amount"];
            row(text, "Scope", head, "Limit Usage Percent");
            scope(text, "system", &answer.system);
            scope(text, "transient", &answer.transient);
            for (peer, amounts) in &answer.peers {
                scope(text, &format!("peer:{}", escape(peer)), amounts);
            }
        })
    }),
    ..Command::BASE
};

fn row(text: &mut Text, scope: &str, [name, limit, amount]: [&str; 3], percent: &str) {
    text.line(format_args!("{scope:<20}\t{name:<20}\t{limit:<20}\t{amount:<20}\t{percent}"));
}

fn scope(text: &mut Text, name: &str, amounts: &Amounts) {
    let rows = [
        ("Memory", &amounts.memory, amounts.memory_usage),
        ("FD", &amounts.fd, amounts.fd_usage),
        ("Conns", &amounts.conns, amounts.conns_usage),
        ("ConnsInbound", &amounts.conns_inbound, amounts.conns_inbound_usage),
        ("ConnsOutbound", &amounts.conns_outbound, amounts.conns_outbound_usage),
        ("Streams", &amounts.streams, amounts.streams_usage),
        ("StreamsInbound", &amounts.streams_inbound, amounts.streams_inbound_usage),
        ("StreamsOutbound", &amounts.streams_outbound, amounts.streams_outbound_usage),
    ];
    for (limit_name, limit, usage) in rows {
        let (limit, percent) = match (limit.as_u64(), limit.as_str()) {
            #[expect(clippy::cast_precision_loss, reason = "for people, with one decimal")]
            (Some(limit), _) if usage > 0 && limit > 0 => {
                (limit.to_string(), format!("{:.1}%", usage as f64 / limit as f64 * 100.0))
            }
            (Some(limit), _) => (limit.to_string(), "0%".to_owned()),
            (None, word) => (escape(word.unwrap_or("unlimited")), "n/a".to_owned()),
        };
        row(text, name, [limit_name, &limit, &usage.to_string()], &percent);
    }
}

/// Everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    system: Amounts,
    transient: Amounts,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    peers: BTreeMap<String, Amounts>,
}

/// One scope: each limit is a number, `"unlimited"` or `"blockAll"`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Amounts {
    memory: Value,
    memory_usage: u64,
    #[serde(rename = "FD")]
    fd: Value,
    #[serde(rename = "FDUsage")]
    fd_usage: u64,
    conns: Value,
    conns_usage: u64,
    conns_inbound: Value,
    conns_inbound_usage: u64,
    conns_outbound: Value,
    conns_outbound_usage: u64,
    streams: Value,
    streams_usage: u64,
    streams_inbound: Value,
    streams_inbound_usage: u64,
    streams_outbound: Value,
    streams_outbound_usage: u64,
}

/// Limits on connections: in all, by others, from here.
type ConnLimits = [Option<u32>; 3];

impl Amounts {
    fn new(conns: ConnLimits, streams: StreamLimit, usage: Usage) -> Self {
        let count = |count: usize| count as u64;
        Self {
            memory: json!("unlimited"),
            memory_usage: 0,
            fd: json!("unlimited"),
            fd_usage: count(usage.files),
            conns: limit(conns[0]),
            conns_usage: count(usage.conns_inbound + usage.conns_outbound),
            conns_inbound: limit(conns[1]),
            conns_inbound_usage: count(usage.conns_inbound),
            conns_outbound: limit(conns[2]),
            conns_outbound_usage: count(usage.conns_outbound),
            streams: limit(streams.all),
            streams_usage: count(usage.streams_inbound + usage.streams_outbound),
            streams_inbound: limit(streams.inbound),
            streams_inbound_usage: count(usage.streams_inbound),
            streams_outbound: limit(streams.outbound),
            streams_outbound_usage: count(usage.streams_outbound),
        }
    }
}

fn limit(limit: Option<u32>) -> Value {
    match limit {
        None | Some(u32::MAX) => json!("unlimited"),
        Some(0) => json!("blockAll"),
        Some(limit) => json!(limit),
    }
}

async fn run(call: Call) -> Result<(), RpcError> {
    let report = network(&call)?.resources().await.ok_or_else(answer::not_online)?;
    call.out.once(&answer_of(&report)).await
}

fn answer_of(report: &ResourceReport) -> Answer {
    let conns = &report.conns;
    let all = [conns.established_max, conns.incoming_max, conns.outgoing_max].map(Some);
    let mut system = Amounts::new(all, report.streams.system, report.system);
    if let Some(len) = report.memory_max {
        system.memory = json!(len);
    }
    let pending = Some(conns.pending_max);
    let none = StreamLimit::default();
    let peers = report.peers.iter().map(|(peer, usage)| {
        let amounts =
            Amounts::new([Some(conns.per_peer_max), None, None], report.streams.of(peer), *usage);
        (peer.to_string(), amounts)
    });
    Answer {
        system,
        transient: Amounts::new([None, pending, pending], none, report.transient),
        peers: peers.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::{COMMAND, answer_of};
    use crate::{Request, Text};
    use cairn_network::{ConnectionLimits, PeerId, ResourceReport, StreamLimits, Usage};

    fn report() -> ResourceReport {
        let usage = Usage { conns_inbound: 3, streams_inbound: 5, files: 2, ..Usage::default() };
        ResourceReport {
            conns: ConnectionLimits::default(),
            streams: StreamLimits::default(),
            memory_max: Some(1 << 30),
            system: usage,
            transient: Usage::default(),
            peers: vec![(PeerId::random(), usage)],
        }
    }

    #[test]
    fn the_answer_has_kubos_fields() {
        let told = serde_json::to_value(answer_of(&report())).unwrap();
        let system = &told["System"];
        assert_eq!(system["ConnsInbound"], 192, "{told}");
        assert_eq!(system["ConnsInboundUsage"], 3);
        assert_eq!(system["FDUsage"], 2);
        assert_eq!(system["Memory"], 1 << 30);
        assert_eq!(system["StreamsOutbound"], "unlimited");
        assert_eq!(told["Transient"]["ConnsInbound"], 64);
        assert_eq!(told["Peers"].as_object().unwrap().len(), 1);
    }

    #[test]
    fn the_text_is_a_table() {
        let request = Request::new(&COMMAND, vec![], []).unwrap();
        let mut text = Text::default();
        let json = serde_json::to_vec(&answer_of(&report())).unwrap();
        (COMMAND.text.unwrap())(&request).answer(&json, &mut text).unwrap();
        let lines: Vec<Vec<&str>> =
            text.out.lines().map(|line| line.split('\t').map(str::trim).collect()).collect();
        assert_eq!(lines.len(), 1 + 3 * 8);
        assert_eq!(lines[4], ["system", "ConnsInbound", "192", "3", "1.6%"]);
        assert_eq!(lines[8], ["system", "StreamsOutbound", "unlimited", "0", "n/a"]);
        assert!(lines[17][0].starts_with("peer:"));
    }
}
