//! `swarm addrs autonat`: which addresses others can reach.

use super::network;
use crate::{
    Call, RpcError,
    command::{Command, Needs},
    text::{Text, each, escape},
};
use cairn_network::Reachability;
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "swarm addrs autonat",
    tagline: "Show which addresses others can reach, as other nodes have tried (AutoNAT)",
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            text.line("AutoNAT V2 Status:");
            text.line(format_args!("  Reachability: {}", escape(&answer.reachability)));
            text.line("");
            text.line("Per-Address Reachability:");
            let lists = [&answer.reachable, &answer.unreachable, &answer.unknown];
            for (label, addrs) in ["Reachable", "Unreachable", "Unknown"].iter().zip(lists) {
                section(text, label, addrs);
            }
            if lists.iter().all(|addrs| addrs.is_empty()) {
                text.line("  (no address reachability data available)");
            }
        })
    }),
    ..Command::BASE
};

fn section(text: &mut Text, label: &str, addrs: &[String]) {
    if !addrs.is_empty() {
        text.line(format_args!("  {label}:"));
        for addr in addrs {
            text.line(format_args!("    {}", escape(addr)));
        }
    }
}

/// What is known.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Answer {
    reachability: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    reachable: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unreachable: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    unknown: Vec<String>,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let report = network(&call)?.reachability().await;
    let of = |wanted: Reachability| {
        let some = report.addrs.iter().filter(|(_, state)| *state == wanted);
        let mut texts: Vec<String> = some.map(|(addr, _)| addr.to_string()).collect();
        texts.sort();
        texts
    };
    let node = match report.node {
        Reachability::Public => "Public",
        Reachability::Private => "Private",
        Reachability::Unknown => "Unknown",
    };
    let answer = Answer {
        reachability: node.to_owned(),
        reachable: of(Reachability::Public),
        unreachable: of(Reachability::Private),
        unknown: of(Reachability::Unknown),
    };
    call.out.once(&answer).await
}

#[cfg(test)]
mod tests {
    use super::COMMAND;
    use crate::{Request, Text};

    #[test]
    fn addresses_are_listed_by_what_is_known_of_them() {
        let request = Request::new(&COMMAND, vec![], []).unwrap();
        let told = |json: &str| {
            let mut text = Text::default();
            (COMMAND.text.unwrap())(&request).answer(json.as_bytes(), &mut text).unwrap();
            text.out
        };
        let json = r#"{"reachability": "Public", "reachable": ["/ip4/8.8.8.8/tcp/1"]}"#;
        let expected = "AutoNAT V2 Status:\n  Reachability: Public\n\n\
            Per-Address Reachability:\n  Reachable:\n    /ip4/8.8.8.8/tcp/1\n";
        assert_eq!(told(json), expected);
        let nothing = told(r#"{"reachability": "Unknown"}"#);
        assert!(nothing.ends_with("  (no address reachability data available)\n"), "{nothing}");
    }
}
