//! Keys as JSON: what signing and decrypting read of them alike.
//!
//! Spec: RFC 7517 (JWK), RFC 7518, section 6, and RFC 8037 (its members).
//! Invariant: no error holds anything of the key.
//! Not here: which keys there are (`sign.rs`, `decrypt.rs`).

use super::JoseError;
use crate::{Node, dag_json};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};

/// Longest key that is read, in bytes.
pub const JWK_LEN_MAX: usize = 64 * 1024;

/// What a key is said to be for.
#[derive(Clone, Copy)]
pub(super) enum Use {
    /// Signatures.
    Sign,
    /// Encryption.
    Encrypt,
}

/// A key's members.
pub(super) struct Jwk(Node);

impl Jwk {
    /// Reads a key, and refuses one that is said to be for something else.
    pub(super) fn parse(json: &[u8], purpose: Use) -> Result<Self, JoseError> {
        if json.len() > JWK_LEN_MAX {
            return JoseError::key("it is too long");
        }
        let Ok(members @ Node::Map(_)) = dag_json::decode_plain(json) else {
            return JoseError::key("it is not a map of JSON");
        };
        let jwk = Self(members);
        let expected = match purpose {
            Use::Sign => "sig",
            Use::Encrypt => "enc",
        };
        match jwk.0.get("use") {
            Some(Node::String(said)) if said != expected => {
                JoseError::key("its use is another one")
            }
            _ => Ok(jwk),
        }
    }

    /// A member that is text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        text(&self.0, name)
    }

    /// A member that is base64url.
    pub(super) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        URL_SAFE_NO_PAD.decode(self.text(name)?).ok()
    }

    /// A member that is a number of exactly so many bytes.
    pub(super) fn array<const N: usize>(&self, name: &str) -> Option<[u8; N]> {
        self.bytes(name)?.try_into().ok()
    }

    /// A secret number, if the key has one.
    pub(super) fn secret<const N: usize>(&self) -> Result<Option<[u8; N]>, JoseError> {
        match (self.0.get("d"), self.array("d")) {
            (None, _) => Ok(None),
            (Some(_), Some(d)) => Ok(Some(d)),
            (Some(_), None) => JoseError::key("its d has another length, or is no base64url"),
        }
    }
}

/// An entry that is text.
pub(super) fn text<'a>(map: &'a Node, name: &str) -> Option<&'a str> {
    match map.get(name) {
        Some(Node::String(text)) => Some(text),
        _ => None,
    }
}

/// What is authenticated: both parts as base64url, with a point between.
pub(super) fn joined(protected: &[u8], other: &[u8]) -> Vec<u8> {
    let protected = URL_SAFE_NO_PAD.encode(protected);
    format!("{protected}.{}", URL_SAFE_NO_PAD.encode(other)).into_bytes()
}
