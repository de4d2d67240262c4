//! `object get`: a node as JSON.

use super::{Object, links_of, node_of};
use crate::{
    Call, RpcError,
    command::{Argument, Command, Opt},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};

/// The row of the table.
pub(crate) const COMMAND: Command = Command {
    path: "object get",
    tagline: "Print a dag-pb node as JSON",
    help: "As text, data that is not UTF-8 is replaced in part; base64 keeps every byte.",
    arguments: &[Argument::text("key", "The node").or_stdin()],
    options: &[Opt::text("data-encoding", "How to write the data: text or base64").default("text")],
    run: Some(|call| Box::pin(run(call))),
    ..Command::BASE
};

async fn run(call: Call) -> Result<(), RpcError> {
    let block = call.resolve(call.request.first()?).await?.block;
    let node = node_of(&block)?;
    let bytes = node.data.as_deref().unwrap_or_default();
    let data = match call.request.text("data-encoding").unwrap_or("text") {
        "text" => text_of(bytes),
        "base64" => STANDARD.encode(bytes),
        other => {
            let text = format!("unknown data field encoding {other:?}: use text or base64");
            return Err(RpcError::request(text));
        }
    };
    call.out.once(&Object { links: links_of(&call, &node)?, data }).await
}

/// Bytes as JSON text in Go's way: one mark for each byte that is not UTF-8.
fn text_of(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::text_of;

    #[test]
    fn each_broken_byte_is_one_mark() {
        assert_eq!(text_of(b"a\x08\xe2\x82z"), "a\u{8}\u{fffd}\u{fffd}z");
        assert_eq!(text_of("ü".as_bytes()), "ü");
    }
}
