//! `object put`: a node from JSON or protobuf.

use super::{Link, Object, block_of, keep};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
    files,
    text::each,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use cairn_block::{BLOCK_LEN_MAX, Block, Cid, Version, codec};
use cairn_dag::dag_pb::{self, PbLink, PbNode};

/// Most bytes of one input: as JSON, a block may take several times its length.
const INPUT_LEN_MAX: usize = 8 * BLOCK_LEN_MAX;

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "object put",
    tagline: "Store a dag-pb node",
    help: "JSON holds Data and Links, a link Name, Hash and Size. For older programs; new ones use\n\
           `cairn dag put --store-codec dag-pb`.",
    arguments: &[Argument::file("data", "The node")],
    options: &[
        Opt::text("inputenc", "What the file is: json or protobuf").default("json"),
        Opt::text("datafieldenc", "How JSON holds the data: text or base64").default("text"),
        Opt::flag("pin", "Pin the node and what it links to, which is fetched"),
        Opt::flag("quiet", "Print the CID alone").or(&["q"]),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| {
        each(request, |request, answer: super::Made, text| {
            let before = if request.flag("quiet") { "" } else { "added " };
            text.line(format_args!("{before}{}", answer.hash));
        })
    }),
    ..Command::BASE
};

async fn run(mut call: Call) -> Result<(), RpcError> {
    let option = |name| call.request.text(name).unwrap_or_default().to_owned();
    let (input, data_field) = (option("inputenc"), option("datafieldenc"));
    let bytes = files::read_one(call.take_files()?, INPUT_LEN_MAX).await?;
    let like = Block::sha2_256(codec::DAG_PB, Bytes::new());
    let node = match input.as_str() {
        "json" => from_json(&bytes, &data_field)?,
        "protobuf" => dag_pb::decode(&bytes.into()).map_err(|error| RpcError::of(&error))?,
        "xml" => return Err(RpcError::unsupported("--inputenc xml")),
        other => return Err(RpcError::request(format!("unknown object encoding {other:?}"))),
    };
    let block = block_of(node, &like.cid().with_version(Version::V0)?).await?;
    keep(&call, vec![block], call.request.flag("pin")).await
}

fn from_json(bytes: &[u8], data_field: &str) -> Result<PbNode, RpcError> {
    let object: Object = serde_json::from_slice(bytes)
        .map_err(|error| RpcError::request(format!("the file is no node as JSON: {error}")))?;
    if object.links.is_empty() && object.data.is_empty() {
        return Err(RpcError::request("no data or links in this node"));
    }
    let data = match data_field {
        "text" => object.data.into_bytes(),
        "base64" => STANDARD
            .decode(&object.data)
            .map_err(|error| RpcError::request(format!("Data is not base64: {error}")))?,
        other => {
            let text = format!("unknown data field encoding {other:?}: use text or base64");
            return Err(RpcError::request(text));
        }
    };
    let links: Result<Vec<PbLink>, RpcError> = object.links.into_iter().map(link_of).collect();
    Ok(PbNode { links: links?, data: Some(data.into()) })
}

fn link_of(link: Link) -> Result<PbLink, RpcError> {
    let cid: Result<Cid, _> = link.hash.parse();
    let cid = cid.map_err(|error| RpcError::request(format!("{}: {error}", link.hash)))?;
    Ok(PbLink::new(link.name, cid, link.size))
}
