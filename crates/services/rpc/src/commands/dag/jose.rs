//! `dag jose`: signatures of CIDs, and encrypted objects.
//!
//! Not here: signatures and ciphers themselves (`cairn_dag::dag_jose`), and whose a key is.

use crate::{
    Call, RpcError,
    answer::StreamHead,
    command::{Argument, Command, Opt},
    files,
    text::{Link, each},
};
use cairn_block::{Block, Cid, codec};
use cairn_dag::dag_jose::{self, DecryptionKey, JWK_LEN_MAX, JoseError, Key};
use cairn_hash::code;
use serde::{Deserialize, Serialize};

const KEY: Argument = Argument { stdin: false, ..Argument::file("key", "A key as JSON (JWK)") };

/// The row of the group.
pub(crate) const GROUP: Command =
    Command::group("dag jose", "Sign CIDs, check signatures, and decrypt");

/// The row of `dag jose sign`.
pub(crate) const SIGN: Command = Command {
    path: "dag jose sign",
    tagline: "Sign a CID",
    help: "Stores a dag-jose block that links to the CID and prints its own. The key is Ed25519,\n\
           P-256 or secp256k1 (EdDSA, ES256, ES256K) and has its secret part, which a daemon gets\n\
           to see.",
    arguments: &[Argument::text("cid", "What to sign; a path is followed first"), KEY],
    options: &[Opt::flag("pin", "Pin the signed object, without what it links to")],
    run: Some(|call| Box::pin(sign(call))),
    text: Some(|request| each(request, |_, answer: Signed, text| text.line(answer.cid.cid))),
    ..Command::BASE
};

/// The row of `dag jose verify`.
pub(crate) const VERIFY: Command = Command {
    path: "dag jose verify",
    tagline: "Check a signature",
    help: "Prints what was signed if one of the object's signatures is the key's and right.",
    arguments: &[Argument::text("object", "The signed object"), KEY],
    run: Some(|call| Box::pin(verify(call))),
    text: Some(|request| {
        each(request, |_, answer: Verified, text| {
            let signed = answer.link.map_or_else(|| "the payload".to_owned(), |link| link.cid);
            text.line(format_args!("{signed} is signed ({})", answer.algorithm));
        })
    }),
    ..Command::BASE
};

/// The row of `dag jose decrypt`.
pub(crate) const DECRYPT: Command = Command {
    path: "dag jose decrypt",
    tagline: "Print what an object holds encrypted",
    help: "The content is A128GCM, A256GCM or XC20P; its key is the given one (dir), or wrapped\n\
           with it (A128KW, A256KW), or agreed on over X25519 (ECDH-ES, also with A128KW, A256KW\n\
           or XC20PKW). A daemon gets to see the key.",
    arguments: &[
        Argument::text("object", "The encrypted object"),
        Argument { help: "A key as JSON (JWK): oct, or X25519 with its d", ..KEY },
    ],
    options: &[Opt::flag("cid", "Print the CID that is within; zeros behind it are ignored")],
    run: Some(|call| Box::pin(decrypt(call))),
    ..Command::BASE
};

/// The answer of `dag jose sign`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Signed {
    cid: Link,
}

/// The answer of `dag jose verify`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Verified {
    algorithm: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    link: Option<Link>,
}

async fn jwk(call: &mut Call) -> Result<Vec<u8>, RpcError> {
    files::read_one(call.take_files()?, JWK_LEN_MAX).await
}

fn refused(error: &JoseError) -> RpcError {
    RpcError::failed(error.to_string())
}

async fn sign(mut call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let key = Key::from_jwk(&jwk(&mut call).await?).map_err(|error| refused(&error))?;
    let argument = call.request.first()?;
    let (payload, rest) = call.resolve_place(argument).await?;
    if !rest.is_empty() {
        return Err(RpcError::request(format!("{argument}: this is data inside a block")));
    }
    let data = dag_jose::sign(&payload, &key).map_err(|error| refused(&error))?;
    let block = Block::hash(codec::DAG_JOSE, code::SHA2_256, data.into())?;
    let cid = block.cid().clone();
    let node = call.node()?;
    let _until_pinned = node.store().lease();
    let mut put = node.block_put(block, false).await;
    if put.is_ok() && call.request.flag("pin") {
        put = node.pin_add(&cid, false, None, None).await;
    }
    put.map_err(|error| RpcError::of(&error))?;
    call.out.once(&Signed { cid: Link { cid: cids.of(&cid) } }).await
}

/// The object that the first argument leads to.
async fn object(call: &Call) -> Result<Block, RpcError> {
    let object = call.resolve(call.request.first()?).await?.block;
    if object.cid().codec() == codec::DAG_JOSE {
        return Ok(object);
    }
    Err(RpcError::request(format!("block {} is not a dag-jose object", object.cid())))
}

async fn verify(mut call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let key = Key::from_jwk(&jwk(&mut call).await?).map_err(|error| refused(&error))?;
    let object = object(&call).await?;
    let about = |error: JoseError| refused(&error).about(&format!("block {}", object.cid()));
    let payload = dag_jose::verify(object.data(), &key).map_err(about)?;
    let link = Cid::from_bytes(&payload).ok().map(|cid| Link { cid: cids.of(&cid) });
    call.out.once(&Verified { algorithm: key.algorithm().to_owned(), link }).await
}

async fn decrypt(mut call: Call) -> Result<(), RpcError> {
    let cids = call.request.cid_text()?;
    let key = DecryptionKey::from_jwk(&jwk(&mut call).await?).map_err(|error| refused(&error))?;
    let object = object(&call).await?;
    let name = format!("block {}", object.cid());
    let opened = dag_jose::decrypt(object.data(), &key);
    let mut data = opened.map_err(|error| refused(&error).about(&name))?;
    if call.request.flag("cid") {
        let end = data.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        // A CID may end in zeros itself.
        let cid = (end..=data.len()).find_map(|end| Cid::from_bytes(&data[..end]).ok());
        let none = || RpcError::failed(format!("{name} holds no CID"));
        data = format!("{}\n", cids.of(&cid.ok_or_else(none)?)).into_bytes();
    }
    let len = Some(data.len() as u64);
    call.out.stream(StreamHead { content_type: "application/octet-stream", len }).await?;
    call.out.data(data.into()).await
}
