//! `block put`: stores bytes as blocks.

use super::BlockStat;
use crate::{
    Call, Request, RpcError,
    command::{Argument, Command, Opt},
    commands::cid::hashes,
    files,
    text::each,
};
use cairn_block::{BLOCK_LEN_MAX, Block, Version, codec};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "block put",
    tagline: "Store bytes as blocks",
    help: "The CIDs are raw and of version 1 unless --cid-codec says otherwise; the bytes are\n\
           stored as they are.",
    arguments: &[Argument::file("data", "The bytes to store").many()],
    options: &[
        Opt::text("cid-codec", "Codec of the CID").default("raw"),
        Opt::text("mhtype", "Hash function (default: Import.HashFunction)"),
        Opt::int("mhlen", "Length of the digest in bytes; -1 is the function's own").default("-1"),
        Opt::flag("pin", "Pin the blocks").default("false"),
        Opt::flag("allow-big-block", "Take blocks of over 2 MiB, which peers refuse")
            .default("false"),
        Opt::text("format", "The same as --cid-codec, or v0 (deprecated)").or(&["f"]),
    ],
    run: Some(|call| Box::pin(run(call))),
    text: Some(|request| each(request, |_, stat: BlockStat, text| text.line(stat.key))),
    ..Command::BASE
};

async fn run(mut call: Call) -> Result<(), RpcError> {
    let form = Form::of(&call)?;
    let cids = call.request.cid_text()?;
    let mut files = call.take_files()?;
    let mut count = 0;
    while let Some((data, rest)) = files::read_next(files, BLOCK_LEN_MAX).await? {
        files = rest;
        count += 1;
        let block = form.block(data).await?;
        let stat = BlockStat { key: cids.of(block.cid()), size: block.data().len() as u64 };
        let put = call.node()?.block_put(block, call.request.flag("pin")).await;
        put.map_err(|error| RpcError::of(&error).about(&stat.key))?;
        call.out.event(&stat).await?;
    }
    if count == 0 { Err(RpcError::request("expected a file argument")) } else { Ok(()) }
}

/// What the CIDs are to look like.
#[derive(Debug, Clone, Copy)]
struct Form {
    version: Version,
    codec: u64,
    hash: u64,
}

impl Form {
    #[expect(
        clippy::redundant_closure_for_method_calls,
        reason = "a path to the method is not general enough over the lifetime"
    )]
    fn of(call: &Call) -> Result<Self, RpcError> {
        let request = &call.request;
        let hash = if let Some(name) = request.text("mhtype") {
            hashes::code_of(name)?
        } else {
            let import = call.node()?.config().read(|settings| settings.import());
            import.map_err(|error| RpcError::of(&error))?.hash_code
        };
        let (version, codec) = codec_of(request)?;
        if version == Version::V0 && hash != cairn_hash::code::SHA2_256 {
            return Err(RpcError::request("CIDv0 needs the hash function sha2-256"));
        }
        let len = request.int("mhlen").unwrap_or(-1);
        let own = cairn_hash::digest(hash, &[])?.digest().len();
        if len != -1 && usize::try_from(len) != Ok(own) {
            return Err(RpcError::unsupported("--mhlen other than the function's own length"));
        }
        Ok(Self { version, codec, hash })
    }

    async fn block(self, data: Vec<u8>) -> Result<Block, RpcError> {
        let block =
            cairn_runtime::blocking(move || Block::hash(self.codec, self.hash, data.into()))
                .await?;
        match self.version {
            Version::V1 => Ok(block),
            Version::V0 => {
                let cid = block.cid().with_version(Version::V0)?;
                Ok(block.rename(cid)?)
            }
        }
    }
}

/// Reads `--cid-codec` and the older `--format`, which also knows the version.
fn codec_of(request: &Request) -> Result<(Version, u64), RpcError> {
    let name = request.text("cid-codec").unwrap_or("raw");
    let format = request.text("format");
    if format.is_some() && name != "raw" {
        let text =
            "unable to use \"format\" (deprecated) and a custom \"cid-codec\" at the same time";
        return Err(RpcError::request(text));
    }
    match format.unwrap_or(name) {
        "v0" => Ok((Version::V0, codec::DAG_PB)),
        "protobuf" => Ok((Version::V1, codec::DAG_PB)),
        // The name that clients of the older API use.
        "cbor" if format.is_some() => Ok((Version::V1, codec::DAG_CBOR)),
        name => {
            let unknown = || RpcError::request(format!("unrecognized codec: {name:?}"));
            Ok((Version::V1, codec::code_of(name).ok_or_else(unknown)?))
        }
    }
}
