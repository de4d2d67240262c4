//! `dag put`: data as blocks.

use super::{codec_of, failed};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    commands::cid::hashes,
    files,
    text::{Link, each},
};
use cairn_block::{BLOCK_LEN_MAX, Block};
use cairn_dag::codec;
use serde::{Deserialize, Serialize};

/// Most bytes of one input. In JSON, bytes take a third more than in a block, and small numbers
/// several times as much.
const INPUT_LEN_MAX: usize = 8 * BLOCK_LEN_MAX;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "dag put",
    tagline: "Store data as blocks",
    help: "Reads each file in one codec and stores it in another, in its canonical form.",
    arguments: &[Argument::file("object data", "The data to store").many()],
    options: &[
        Opt::text("store-codec", "Codec of the blocks").default("dag-cbor"),
        Opt::text("input-codec", "Codec of the files").default("dag-json"),
        Opt::flag("pin", "Pin the blocks and what they link to, which is fetched"),
        Opt::text("hash", "Hash function (default: Import.HashFunction)"),
        Opt::flag("allow-big-block", "Accepted; blocks of over 2 MiB are refused").default("false"),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| each(request, |_, answer: Answer, text| text.line(answer.cid.cid))),
    ..Command::BASE
};

/// The answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    cid: Link,
}

#[expect(
    clippy::redundant_closure_for_method_calls,
    reason = "a path to the method is not general enough over the lifetime"
)]
async fn run(mut call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let option = |name| call.request.text(name).unwrap_or_default();
    let (input, store) = (codec_of(option("input-codec"))?, codec_of(option("store-codec"))?);
    let hash = if let Some(name) = call.request.text("hash") {
        hashes::code_of(name)?
    } else {
        let import = call.node()?.config().read(|settings| settings.import());
        import.map_err(|error| RpcError::of(&error))?.hash_code
    };
    let mut files = call.take_files()?;
    let mut count = 0;
    while let Some((data, rest)) = files::read_next(files, INPUT_LEN_MAX).await? {
        files = rest;
        count += 1;
        let block = cairn_runtime::blocking(move || {
            let node = codec::decode(input, &data.into()).map_err(|error| failed(&error))?;
            let data = codec::encode(store, &node).map_err(|error| failed(&error))?;
            if data.len() > BLOCK_LEN_MAX {
                let text = format!("the block would be over the limit of {BLOCK_LEN_MAX} bytes");
                return Err(RpcError::request(text));
            }
            Ok(Block::hash(store, hash, data.into())?)
        })
        .await?;
        let cid = Link { cid: cids.of(block.cid()) };
        let node = call.node()?;
        let _until_pinned = node.store().lease();
        let root = block.cid().clone();
        let mut put = node.block_put(block, false).await;
        if put.is_ok() && call.request.flag("pin") {
            put = node.pin_add(&root, true, None, None).await;
        }
        put.map_err(|error| RpcError::of(&error).about(&cid.cid))?;
        call.out.event(&Answer { cid }).await?;
    }
    if count == 0 { Err(RpcError::request("expected a file argument")) } else { Ok(()) }
}
