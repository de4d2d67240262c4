//! `bitswap wantlist`: blocks that are wanted now.

use crate::text::Link;
use crate::{
    Call, RpcError,
    command::{Command, Needs, Opt},
    commands::swarm,
    text::each,
};
use cairn_block::Cid;
use serde::{Deserialize, Serialize};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "bitswap wantlist",
    tagline: "List the blocks that are wanted",
    options: &[Opt::text("peer", "Whose wants to list (default: this node's)").or(&["p"])],
    needs: Needs::Daemon,
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: Answer, text| {
            let mut keys: Vec<Cid> =
                answer.keys.iter().filter_map(|link| link.cid.parse().ok()).collect();
            keys.sort();
            for key in keys {
                match request.cid_text() {
                    Ok(cids) => text.line(cids.of(&key)),
                    Err(_) => text.line(key),
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
    /// The CIDs.
    pub keys: Vec<Link>,
}

async fn run(call: Call) -> Result<(), RpcError> {
    let network = swarm::network(&call)?;
    let peer = call.request.text("peer").map(swarm::peer_id).transpose()?;
    let peer = peer.filter(|peer| *peer != network.peer_id());
    let keys = network.wantlist(peer).await.iter().map(Link::of).collect();
    call.out.once(&Answer { keys }).await
}
