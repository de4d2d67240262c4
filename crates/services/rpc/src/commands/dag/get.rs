//! `dag get`: what a path leads to, in a codec of choice.

use super::{codec_of, failed};
use crate::{
    Call, RpcError,
    answer::StreamHead,
    command::{Argument, Command, Opt},
};
use cairn_dag::codec;
use cairn_unixfs::Resolved;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "dag get",
    tagline: "Print data from a DAG",
    help: "The path may go into a block: through its maps by name, its lists by number, and over\n\
           links, whatever the codecs.",
    arguments: &[Argument::text("ref", "The data to print").or_stdin()],
    options: &[Opt::text("output-codec", "Codec to print it in, such as dag-json or dag-cbor")
        .default("dag-json")],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let output = codec_of(call.request.text("output-codec").unwrap_or("dag-json"))?;
    let argument = call.request.first()?;
    let resolved = call.resolve_inside(argument).await?;
    let data = cairn_runtime::blocking(move || print(&resolved, output)).await;
    let data = data.map_err(|error| error.about(argument))?;
    let len = Some(data.len() as u64);
    call.out.stream(StreamHead { content_type: "text/plain", len }).await?;
    call.out.data(data.into()).await
}

fn print(resolved: &Resolved, output: u64) -> Result<Vec<u8>, RpcError> {
    let input = resolved.cid.codec();
    if input == output && resolved.remaining.is_empty() {
        return Ok(resolved.block.data().to_vec());
    }
    let root = codec::decode(input, resolved.block.data()).map_err(|error| failed(&error))?;
    let mut node = &root;
    for segment in &resolved.remaining {
        let missing = || RpcError::failed(format!("no link named {segment:?}"));
        node = node.get(segment).ok_or_else(missing)?;
    }
    codec::encode(output, node).map_err(|error| failed(&error))
}
