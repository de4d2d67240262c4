//! `check`: whether others get a block, or reach a peer, and if not, why.
//!
//! Ours; Kubo has no such command.
//! Not here: the looking (`cairn_node`).

use crate::{
    Call, RpcError,
    command::{Argument, Command, Needs, Opt},
    commands::swarm,
    text::{each, escape},
};
use cairn_network::{Contact, Multiaddr, PeerId};
use cairn_node::{CheckTarget, Finding, Verdict};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Findings that wait to be sent.
const FINDINGS_MAX: usize = 16;

/// The row of the table.
pub(super) const COMMAND: Command = Command {
    path: "check",
    tagline: "Find out whether others get a block or reach a peer, and if not, why",
    help: "A CID or path: is it here, who announces it, can they be reached, do they deliver? A\n\
           peer: is it found, which of its addresses can be reached? This node's own ID: is it\n\
           reached from outside? Others are tried by a node made for the occasion, which knows\n\
           nobody. Fails if the block comes from nobody else, or the peer is not reached.",
    arguments: &[Argument::text("what", "A CID, an IPFS path, a peer ID or a peer's address")],
    options: &[Opt::texts("peer", "Ask this peer for the block, whoever announces it")],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |_, answer: Answer, text| {
            let mark = match answer.verdict.as_str() {
                "good" => "ok  ",
                "bad" => "FAIL",
                _ => "note",
            };
            let about = if answer.subject.is_empty() {
                String::new()
            } else {
                format!("{} ", answer.subject)
            };
            let line = format!("{mark} {}: {about}{}", answer.step, answer.text);
            text.line(escape(&line));
        })
    }),
};

/// One finding.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    /// `good`, `bad` or `note`.
    verdict: String,
    step: String,
    subject: String,
    text: String,
}

impl From<Finding> for Answer {
    fn from(finding: Finding) -> Self {
        let verdict = match finding.verdict {
            Verdict::Good => "good",
            Verdict::Bad => "bad",
            Verdict::Note => "note",
        };
        Self {
            verdict: verdict.to_owned(),
            step: finding.step.to_owned(),
            subject: finding.subject,
            text: finding.text,
        }
    }
}

async fn run(call: Call) -> Result<(), RpcError> {
    let target = target(&call).await?;
    let failure = match &target {
        CheckTarget::Block(cid, _) => format!("{cid} comes from nobody else"),
        CheckTarget::Peer(contact) => format!("{} is not known to be reachable", contact.peer),
    };
    let (sender, mut findings) = mpsc::channel(FINDINGS_MAX);
    let send = async {
        while let Some(finding) = findings.recv().await {
            call.out.event(&Answer::from(finding)).await?;
        }
        Ok::<_, RpcError>(())
    };
    let (checked, told) = futures::join!(call.node()?.check(target, sender), send);
    told?;
    if checked.map_err(|error| RpcError::of(&error))? {
        Ok(())
    } else {
        Err(RpcError::failed(failure))
    }
}

async fn target(call: &Call) -> Result<CheckTarget, RpcError> {
    let text = call.request.first()?;
    let peers = call.request.texts("peer");
    let peers = peers.iter().map(|text| contact(text)).collect::<Result<Vec<_>, _>>()?;
    // A peer ID as a CID is one as well; nobody stores blocks under it.
    let peer = if text.contains("/p2p/") { Some(contact(text)?) } else { peer_alone(text) };
    match peer {
        Some(_) if !peers.is_empty() => {
            Err(RpcError::request("--peer goes with a CID or a path, not with a peer"))
        }
        Some(contact) => Ok(CheckTarget::Peer(contact)),
        None => Ok(CheckTarget::Block(call.resolve_cid(text).await?, peers)),
    }
}

fn peer_alone(text: &str) -> Option<Contact> {
    let peer: PeerId = text.parse().ok()?;
    // A CIDv0 of dag-pb reads as a peer ID, too; those of peers' RSA keys are rare by now.
    let is_cid = text.starts_with("Qm");
    (!is_cid).then_some(Contact { peer, addrs: Vec::new() })
}

fn contact(text: &str) -> Result<Contact, RpcError> {
    if !text.contains('/') {
        return Ok(Contact { peer: swarm::peer_id(text)?, addrs: Vec::new() });
    }
    let (address, peer) = swarm::named_address(text)?;
    let addrs = if address.iter().count() > 1 { vec![address] } else { Vec::<Multiaddr>::new() };
    Ok(Contact { peer, addrs })
}
