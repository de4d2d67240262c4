//! `multibase`: bytes as text that names its base.
//!
//! Spec: <https://github.com/multiformats/multibase>, pinned in `spec/PINS.toml`.
//! Not here: CIDs in other bases (`cid format`).

pub(super) mod decode;
pub(super) mod encode;
pub(super) mod transcode;

use super::cid::bases;
use crate::{
    Call, Command, RpcError,
    answer::StreamHead,
    command::{Needs, Opt},
    files,
};
use bytes::Bytes;
use cairn_block::Base;

/// The group's row of the table.
pub(super) const COMMAND: Command =
    Command::group("multibase", "Encode bytes as text and decode them");

/// The row of `multibase list`, which is `cid bases` by another name.
pub(super) const LIST: Command = Command { path: "multibase list", ..bases::COMMAND };

/// Most bytes of input.
const INPUT_LEN_MAX: usize = 1024 * 1024;

/// Most bytes of input in a base that is no power of two, where time grows with the square.
const SLOW_INPUT_LEN_MAX: usize = 32 * 1024;

/// The base to encode in.
const BASE: Opt = Opt::text("b", "Base to encode in").default("base64url");

/// What needs nothing but its input.
const ROW: Command = Command { needs: Needs::Nothing, ..Command::BASE };

/// Reads the only file; as text, a line end behind it is not part of it.
async fn input(call: &mut Call) -> Result<Vec<u8>, RpcError> {
    files::read_one(call.take_files()?, INPUT_LEN_MAX).await
}

/// Refuses what would take minutes.
fn check_len(base: Base, len: usize) -> Result<(), RpcError> {
    let slow = matches!(
        base,
        Base::Base10 | Base::Base36Lower | Base::Base36Upper | Base::Base58Btc | Base::Base58Flickr
    );
    if slow && len > SLOW_INPUT_LEN_MAX {
        let text = format!("over the limit of {SLOW_INPUT_LEN_MAX} bytes for this base");
        return Err(RpcError::request(text));
    }
    Ok(())
}

fn encoded(base: Base, bytes: &[u8]) -> Result<String, RpcError> {
    check_len(base, bytes.len())?;
    Ok(format!("{}{}", base.code(), base.encode(bytes)))
}

fn decoded(input: Vec<u8>) -> Result<Vec<u8>, RpcError> {
    let failed = |reason: &str| RpcError::request(format!("failed to decode multibase: {reason}"));
    let text = String::from_utf8(input).map_err(|_| failed("it is not text"))?;
    let prefix = text.chars().next().ok_or_else(|| failed("nothing to decode"))?;
    let base = Base::from_code(prefix).map_err(|error| failed(&error.to_string()))?;
    let mut body = &text[prefix.len_utf8()..];
    if base != Base::Identity {
        body = body.strip_suffix('\n').unwrap_or(body);
        body = body.strip_suffix('\r').unwrap_or(body);
    }
    check_len(base, body.len())?;
    base.decode(body).map_err(|error| failed(&error.to_string()))
}

async fn answer(call: &Call, bytes: Bytes) -> Result<(), RpcError> {
    let len = Some(bytes.len() as u64);
    call.out.stream(StreamHead { content_type: "text/plain", len }).await?;
    call.out.data(bytes).await
}

#[cfg(test)]
mod tests {
    use super::{SLOW_INPUT_LEN_MAX, decoded, encoded};
    use crate::text::BASES;

    #[test]
    fn what_is_encoded_is_decoded() {
        for (prefix, name, base) in BASES {
            for bytes in [&b""[..], b"hello", &[0, 0, 255]] {
                // The identity base has only text.
                if *prefix == '\0' && std::str::from_utf8(bytes).is_err() {
                    continue;
                }
                let text = encoded(*base, bytes).unwrap();
                assert!(text.starts_with(*prefix), "{name}: {text}");
                assert_eq!(decoded(text.clone().into_bytes()).unwrap(), bytes, "{name}: {text}");
                if *prefix != '\0' {
                    assert_eq!(decoded(format!("{text}\r\n").into_bytes()).unwrap(), bytes);
                }
            }
        }
    }

    #[test]
    fn refuses_with_the_reason() {
        for input in [&b""[..], b"f6", b"!abc", b"b0189", b"\xff", b"f68\n\n"] {
            let error = decoded(input.to_vec()).unwrap_err();
            assert!(error.message().starts_with("failed to decode multibase: "), "{error}");
        }
        let long = vec![7; SLOW_INPUT_LEN_MAX + 1];
        for (_, name, base) in BASES {
            let refused = encoded(*base, &long).is_err() && !name.starts_with("identity");
            assert_eq!(refused, name.contains("36") || name.contains("58"), "{name}");
        }
    }
}
