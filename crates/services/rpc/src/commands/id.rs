//! `id`: who this node is, or what a connected peer tells about itself.

use crate::{
    Call, RpcError, VERSION,
    command::{Argument, Command, Opt},
    commands::swarm,
    text::{base_of, each, escape, indented},
};
use cairn_block::{Base, Cid, Multihash, codec};
use cairn_network::{PeerId, PeerInfo};
use cairn_node::public_key_base64;
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(super) const COMMAND: Command = Command {
    path: "id",
    tagline: "Show who this node is, or a peer",
    help: "The format may hold <id>, <aver>, <pver>, <pubkey>, <addrs>, <protocols>, \\n and \\t.",
    arguments: &[Argument::text("peerid", "The peer to show (default: this node)").optional()],
    options: &[
        Opt::text("format", "Pattern to print").or(&["f"]),
        Opt::text("peerid-base", "Form of peer IDs: b58mh, or a multibase for CIDs")
            .default("b58mh"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Answer, text| match request.given_text("format") {
            Some(format) => text.write(answer.formatted(format)),
            None => text.line(format_args!("{}\n", indented(&answer, b"\t"))),
        })
    }),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Answer {
    /// The peer ID.
    #[serde(rename = "ID")]
    pub id: String,
    /// The public key, as base64 of its protobuf; empty if it is not known.
    pub public_key: String,
    /// Addresses with the peer ID.
    pub addresses: Option<Vec<String>>,
    /// Name and version of the program.
    pub agent_version: String,
    /// What it speaks.
    pub protocols: Option<Vec<String>>,
}

impl Answer {
    /// Fills the format in one go, so that nothing that a peer says of itself is a mark.
    fn formatted(&self, format: &str) -> String {
        let lines = |list: &Option<Vec<String>>| {
            let texts = list.iter().flatten().map(|text| escape(text));
            texts.collect::<Vec<_>>().join("\n")
        };
        let marks = [
            ("<id>", escape(&self.id)),
            ("<aver>", escape(&self.agent_version)),
            ("<pver>", "ipfs/0.1.0".to_owned()),
            ("<pubkey>", escape(&self.public_key)),
            ("<addrs>", lines(&self.addresses)),
            ("<protocols>", lines(&self.protocols)),
            ("\\n", "\n".to_owned()),
            ("\\t", "\t".to_owned()),
        ];
        let (mut out, mut rest) = (String::new(), format);
        while let Some(letter) = rest.chars().next() {
            let mark = marks.iter().find(|(mark, _)| rest.starts_with(mark));
            match mark {
                Some((_, value)) => out.push_str(value),
                None => out.push(letter),
            }
            rest = &rest[mark.map_or(letter.len_utf8(), |(mark, _)| mark.len())..];
        }
        out
    }
}

/// What is known about a connected peer.
pub(super) fn of_peer(info: &PeerInfo) -> Answer {
    let mut addresses: Vec<String> =
        info.listen_addrs.iter().map(|addr| format!("{addr}/p2p/{}", info.id)).collect();
    let mut protocols = info.protocols.clone();
    addresses.sort();
    protocols.sort();
    Answer {
        id: info.id.to_string(),
        public_key: info.public_key.as_ref().map(public_key_base64).unwrap_or_default(),
        addresses: Some(addresses),
        agent_version: escape(&info.agent),
        protocols: Some(protocols),
    }
}

async fn run(call: Call) -> Result<(), RpcError> {
    let node = call.node()?;
    let form = Form::of(call.request.text("peerid-base").unwrap_or("b58mh"))?;
    let own = node.identity().peer_id();
    let asked = call.request.arguments().first().map(|text| swarm::peer_id(text)).transpose()?;
    let mut answer = match asked {
        Some(peer) if peer != own => of_other(&call, peer).await?,
        _ => of_self(&call).await?,
    };
    answer.id = form.write(&asked.unwrap_or(own));
    call.out.once(&answer).await
}

async fn of_self(call: &Call) -> Result<Answer, RpcError> {
    let node = call.node()?;
    let id = node.identity().peer_id().to_string();
    let mut answer = Answer {
        public_key: node.identity().public_key_base64(),
        addresses: None,
        agent_version: format!("cairn/{VERSION}"),
        protocols: None,
        id,
    };
    if let Some(network) = node.network() {
        let addrs = network.announced_addrs().await;
        let mut addrs: Vec<String> =
            addrs.iter().map(|addr| format!("{addr}/p2p/{}", answer.id)).collect();
        let mut protocols: Vec<String> = network.protocols();
        addrs.sort();
        protocols.sort();
        answer.addresses = Some(addrs);
        answer.protocols = Some(protocols);
    }
    Ok(answer)
}

async fn of_other(call: &Call, peer: PeerId) -> Result<Answer, RpcError> {
    if call.request.is_offline() {
        return Ok(Answer {
            id: String::new(),
            public_key: String::new(),
            addresses: None,
            agent_version: String::new(),
            protocols: None,
        });
    }
    let Some(network) = call.node()?.network() else {
        return Err(RpcError::failed(
            "'id' cannot query information on remote peers without a running daemon; if you only \
             want to convert --peerid-base, pass --offline option",
        ));
    };
    network.connect_peer(peer, Vec::new()).await.map_err(|error| RpcError::of(&error))?;
    let info = network.identified(peer).await;
    info.map(|info| of_peer(&info)).ok_or_else(|| RpcError::failed(format!("{peer} has gone")))
}

/// How peer IDs are written.
enum Form {
    Base58,
    Cid(Base),
}

impl Form {
    fn of(name: &str) -> Result<Self, RpcError> {
        match name {
            "b58mh" => Ok(Self::Base58),
            name => Ok(Self::Cid(base_of(name)?)),
        }
    }

    fn write(&self, id: &PeerId) -> String {
        let hash = Multihash::decode(&id.to_bytes()).map(|(hash, _)| hash);
        match (self, hash) {
            (Self::Cid(base), Ok(hash)) => Cid::v1(codec::LIBP2P_KEY, hash).to_text(*base),
            _ => id.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Answer;

    #[test]
    fn formats() {
        let answer = Answer {
            id: "12D3".into(),
            public_key: "KEY".into(),
            addresses: Some(vec!["/a".into(), "/b".into()]),
            agent_version: "cairn".into(),
            protocols: None,
        };
        assert_eq!(answer.formatted("<id>\\t<addrs>\\n<protocols>"), "12D3\t/a\n/b\n");
        let json = serde_json::to_string(&answer).unwrap();
        assert!(
            json.starts_with(r#"{"ID":"12D3","PublicKey":"KEY","Addresses":["/a","/b"],"#),
            "{json}"
        );
    }

    #[test]
    fn what_a_peer_says_is_neither_a_mark_nor_a_command_of_the_terminal() {
        let answer = Answer {
            id: "12D3".into(),
            public_key: String::new(),
            addresses: Some(vec!["/dns4/\u{1b}[2J/tcp/1".into(), "/ip4/1.2.3.4".into()]),
            agent_version: "<id>\\n\u{7}".into(),
            protocols: None,
        };
        let text = answer.formatted("<aver>|<addrs>\\t<id> \u{e4}<protocols><x>");
        assert_eq!(text, "<id>\\\\n\\x07|/dns4/\\x1b[2J/tcp/1\n/ip4/1.2.3.4\t12D3 \u{e4}<x>");
    }
}
