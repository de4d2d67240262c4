//! `bitswap stat`: counters.

use crate::text::Link;
use crate::{
    Call, Request, RpcError,
    command::{Command, Needs, Opt},
    commands::swarm,
    text::{Render, Text, each, human_len},
};
use cairn_block::Cid;
use serde::{Deserialize, Serialize};

/// The options, which `stats bitswap` has, too.
pub(crate) const OPTIONS: &[Opt] = &[
    Opt::flag("verbose", "List the peers").or(&["v"]),
    Opt::flag("human", "Print lengths with units"),
];

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "bitswap stat",
    tagline: "Show the counters of the exchange",
    options: OPTIONS,
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(text),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct Answer {
    /// What is wanted now.
    pub wantlist: Vec<Link>,
    /// Peers that speak Bitswap.
    pub peers: Vec<String>,
    /// Blocks received.
    pub blocks_received: u64,
    /// Their bytes.
    pub data_received: u64,
    /// Blocks received more than once.
    pub dup_blks_received: u64,
    /// Their bytes.
    pub dup_data_received: u64,
    /// Messages received.
    pub messages_received: u64,
    /// Blocks sent.
    pub blocks_sent: u64,
    /// Their bytes.
    pub data_sent: u64,
}

/// Answers with the counters.
pub(in crate::commands) async fn run(call: Call) -> Result<(), RpcError> {
    let stat = swarm::network(&call)?.bitswap_stat().await;
    let mut peers: Vec<String> = stat.peers.iter().map(ToString::to_string).collect();
    peers.sort();
    let answer = Answer {
        wantlist: stat.wantlist.iter().map(Link::of).collect(),
        peers,
        blocks_received: stat.blocks_received,
        data_received: stat.data_received,
        dup_blks_received: stat.dup_blocks_received,
        dup_data_received: stat.dup_data_received,
        messages_received: stat.messages_received,
        blocks_sent: stat.blocks_sent,
        data_sent: stat.data_sent,
    };
    call.out.once(&answer).await
}

/// Writes the counters.
pub(in crate::commands) fn text(request: &Request) -> Box<dyn Render> {
    each(request, |request, answer: Answer, text| write(request, &answer, text))
}

fn write(request: &Request, answer: &Answer, text: &mut Text) {
    let len = |len: u64| if request.flag("human") { human_len(len) } else { len.to_string() };
    text.line("bitswap status");
    text.line(format_args!("\tblocks received: {}", answer.blocks_received));
    text.line(format_args!("\tblocks sent: {}", answer.blocks_sent));
    text.line(format_args!("\tdata received: {}", len(answer.data_received)));
    text.line(format_args!("\tdata sent: {}", len(answer.data_sent)));
    text.line(format_args!("\tdup blocks received: {}", answer.dup_blks_received));
    text.line(format_args!("\tdup data received: {}", len(answer.dup_data_received)));
    text.line(format_args!("\twantlist [{} keys]", answer.wantlist.len()));
    for link in &answer.wantlist {
        let cid = link.cid.parse::<Cid>().ok().zip(request.cid_text().ok());
        let cid = cid.map_or_else(|| link.cid.clone(), |(cid, cids)| cids.of(&cid));
        text.line(format_args!("\t\t{cid}"));
    }
    text.line(format_args!("\tpartners [{}]", answer.peers.len()));
    if request.flag("verbose") {
        for peer in &answer.peers {
            text.line(format_args!("\t\t{peer}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answer, write};
    use crate::{Request, Text, commands};

    #[test]
    fn prints_kubos_text() {
        let command = commands::find("bitswap stat").unwrap();
        let request = Request::new(command, vec![], [("human".into(), "true".into())]).unwrap();
        let answer = Answer { data_sent: 1500, peers: vec!["12D3".into()], ..Answer::default() };
        let mut text = Text::default();
        write(&request, &answer, &mut text);
        let expected = "bitswap status\n\tblocks received: 0\n\tblocks sent: 0\n\tdata received: 0 B\n\
                        \tdata sent: 1.5 kB\n\tdup blocks received: 0\n\tdup data received: 0 B\n\
                        \twantlist [0 keys]\n\tpartners [1]\n";
        assert_eq!(text.out, expected);
    }
}
