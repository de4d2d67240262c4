//! `dag`: blocks as data.

pub(super) mod export;
pub(super) mod get;
pub(super) mod import;
pub(super) mod jose;
pub(super) mod put;
pub(super) mod resolve;
pub(super) mod stat;

use crate::{Command, RpcError};
use cairn_block::codec;
use cairn_dag::CodecError;

/// The group's row of the table.
pub(super) const COMMAND: Command = Command::group("dag", "Read and write blocks as data");

/// Reads a codec's name, or its number as the table of codecs writes it.
fn codec_of(name: &str) -> Result<u64, RpcError> {
    let number = || match name.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => name.parse().ok(),
    };
    let unknown = || RpcError::request(format!("unknown multicodec: {name:?}"));
    codec::code_of(name).or_else(number).ok_or_else(unknown)
}

/// What a codec says, as a failure of the command.
fn failed(error: &CodecError) -> RpcError {
    RpcError::of(error)
}

#[cfg(test)]
mod tests {
    use super::codec_of;

    #[test]
    fn codecs_have_names_and_numbers() {
        for name in ["dag-cbor", "0x71", "113"] {
            assert_eq!(codec_of(name).unwrap(), 0x71, "{name}");
        }
        for name in ["", "cborx", "0x", "-1"] {
            assert!(codec_of(name).is_err(), "{name}");
        }
    }
}
