//! `cid codecs`: the IPLD codecs.

use super::{CodeAndName, LISTING, listing};
use crate::{
    Call, RpcError,
    command::{Command, Needs},
};
use cairn_block::codec;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "cid codecs",
    tagline: "List the codecs of CIDs",
    options: LISTING,
    needs: Needs::Nothing,
    run: Some(|call| Box::pin(run(call))),
    text: Some(listing),
    ..Command::BASE
};

/// What commands here read or write.
const SUPPORTED: &[u64] = &[
    codec::CBOR,
    codec::RAW,
    codec::DAG_PB,
    codec::DAG_CBOR,
    codec::LIBP2P_KEY,
    codec::GIT_RAW,
    codec::DAG_JOSE,
    codec::DAG_JSON,
    codec::JSON,
];

async fn run(call: Call) -> Result<(), RpcError> {
    let all = !call.request.flag("supported");
    let rows = codec::TABLE.iter().filter(|row| all || SUPPORTED.contains(&row.0));
    let rows: Vec<CodeAndName> =
        rows.map(|&(code, name)| CodeAndName { code, name: name.to_owned() }).collect();
    call.out.once(&rows).await
}
