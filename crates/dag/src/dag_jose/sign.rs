//! Signatures of dag-jose: made and checked, with keys as JSON (JWK).
//!
//! `EdDSA` on Ed25519, ES256 and ES256K. Signing draws no random numbers: the same key and payload
//! give the same block.
//!
//! Spec: RFC 7515 (JWS), RFC 7517 and 7518 (keys, ES256), RFC 8037 (`EdDSA`), RFC 8812 (ES256K).
//! Invariants: the algorithm is the key's, and a header that names another is refused; so is one
//! with `crit`, since nothing critical is understood here. What was not signed decides nothing. A secret key is never
//! printed.
//! Not here: encrypted objects; who a key belongs to.

use super::{
    JoseError,
    jwk::{Jwk, Use, joined, text},
};
use crate::{Node, dag_cbor, dag_json};
use cairn_block::Cid;
use p256::ecdsa::signature::{Signer as _, Verifier as _};
use std::fmt;

/// Bytes of a coordinate, a secret, and half a signature, in all three.
const SCALAR_LEN: usize = 32;

/// A public key, with the secret one if there is one.
#[derive(Clone)]
pub struct Key {
    kind: Kind,
    id: Option<String>,
}

#[derive(Clone)]
enum Kind {
    Ed25519 { public: ed25519_dalek::VerifyingKey, secret: Option<ed25519_dalek::SigningKey> },
    P256 { public: p256::ecdsa::VerifyingKey, secret: Option<p256::ecdsa::SigningKey> },
    K256 { public: k256::ecdsa::VerifyingKey, secret: Option<k256::ecdsa::SigningKey> },
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("algorithm", &self.algorithm()).finish_non_exhaustive()
    }
}

impl Key {
    /// Reads a JWK.
    ///
    /// # Errors
    ///
    /// [`JoseError::Key`] for a key of another kind, or one that is none.
    pub fn from_jwk(json: &[u8]) -> Result<Self, JoseError> {
        let jwk = Jwk::parse(json, Use::Sign)?;
        let (x, y, secret) = (jwk.array("x"), jwk.array("y"), jwk.secret()?);
        let kind = match (jwk.text("kty"), jwk.text("crv")) {
            (Some("OKP"), Some("Ed25519")) => ed25519(x, secret),
            (Some("EC"), Some("P-256")) => p256(x, y, secret),
            (Some("EC"), Some("secp256k1")) => k256(x, y, secret),
            _ => return JoseError::key("it is neither Ed25519 nor P-256 nor secp256k1"),
        };
        let Some(kind) = kind else {
            return JoseError::key("its numbers are no key of its curve");
        };
        let key = Self { kind, id: jwk.text("kid").map(str::to_owned) };
        if jwk.text("alg").is_some_and(|alg| alg != key.algorithm()) {
            return JoseError::key("its alg is not the one of its curve");
        }
        Ok(key)
    }

    /// The algorithm's name, as headers write it.
    pub fn algorithm(&self) -> &'static str {
        match self.kind {
            Kind::Ed25519 { .. } => "EdDSA",
            Kind::P256 { .. } => "ES256",
            Kind::K256 { .. } => "ES256K",
        }
    }

    /// Signs bytes; `None` without the secret key.
    fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        Some(match &self.kind {
            Kind::Ed25519 { secret, .. } => secret.as_ref()?.sign(message).to_bytes().to_vec(),
            Kind::P256 { secret, .. } => {
                let signature: p256::ecdsa::Signature = secret.as_ref()?.sign(message);
                signature.to_bytes().to_vec()
            }
            Kind::K256 { secret, .. } => {
                let signature: k256::ecdsa::Signature = secret.as_ref()?.sign(message);
                signature.to_bytes().to_vec()
            }
        })
    }

    fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.kind {
            Kind::Ed25519 { public, .. } => {
                let signature = ed25519_dalek::Signature::from_slice(signature);
                signature.is_ok_and(|signature| public.verify_strict(message, &signature).is_ok())
            }
            Kind::P256 { public, .. } => {
                let signature = p256::ecdsa::Signature::from_slice(signature);
                signature.is_ok_and(|signature| public.verify(message, &signature).is_ok())
            }
            Kind::K256 { public, .. } => {
                // Either half of the numbers is allowed here, the library takes one only.
                let signature = k256::ecdsa::Signature::from_slice(signature);
                let signature = signature.map(|signature| signature.normalize_s());
                signature.is_ok_and(|signature| public.verify(message, &signature).is_ok())
            }
        }
    }
}

fn ed25519(x: Option<[u8; SCALAR_LEN]>, d: Option<[u8; SCALAR_LEN]>) -> Option<Kind> {
    let public = ed25519_dalek::VerifyingKey::from_bytes(&x?).ok()?;
    let secret = d.map(|d| ed25519_dalek::SigningKey::from_bytes(&d));
    let fits = secret.as_ref().is_none_or(|secret| secret.verifying_key() == public);
    fits.then_some(Kind::Ed25519 { public, secret })
}

fn point(x: Option<[u8; SCALAR_LEN]>, y: Option<[u8; SCALAR_LEN]>) -> Option<Vec<u8>> {
    Some([&[4][..], &x?, &y?].concat())
}

fn p256(
    x: Option<[u8; SCALAR_LEN]>,
    y: Option<[u8; SCALAR_LEN]>,
    d: Option<[u8; SCALAR_LEN]>,
) -> Option<Kind> {
    let public = p256::ecdsa::VerifyingKey::from_sec1_bytes(&point(x, y)?).ok()?;
    let secret = match d {
        Some(d) => Some(p256::ecdsa::SigningKey::from_slice(&d).ok()?),
        None => None,
    };
    let fits = secret.as_ref().is_none_or(|secret| *secret.verifying_key() == public);
    fits.then_some(Kind::P256 { public, secret })
}

fn k256(
    x: Option<[u8; SCALAR_LEN]>,
    y: Option<[u8; SCALAR_LEN]>,
    d: Option<[u8; SCALAR_LEN]>,
) -> Option<Kind> {
    let public = k256::ecdsa::VerifyingKey::from_sec1_bytes(&point(x, y)?).ok()?;
    let secret = match d {
        Some(d) => Some(k256::ecdsa::SigningKey::from_slice(&d).ok()?),
        None => None,
    };
    let fits = secret.as_ref().is_none_or(|secret| *secret.verifying_key() == public);
    fits.then_some(Kind::K256 { public, secret })
}

/// Makes the block that signs a CID.
///
/// # Errors
///
/// [`JoseError::Key`] if the key has no secret part.
pub fn sign(payload: &Cid, key: &Key) -> Result<Vec<u8>, JoseError> {
    let mut header = vec![("alg".to_owned(), Node::String(key.algorithm().to_owned()))];
    if let Some(id) = &key.id {
        header.push(("kid".to_owned(), Node::String(id.clone())));
    }
    let protected = dag_json::encode(&Node::Map(header))?;
    let payload = payload.to_bytes();
    let Some(signature) = key.sign(&joined(&protected, &payload)) else {
        return JoseError::key("it has no secret part (d)");
    };
    let signature = vec![
        ("protected".to_owned(), Node::Bytes(protected)),
        ("signature".to_owned(), Node::Bytes(signature)),
    ];
    Ok(dag_cbor::encode(&Node::Map(vec![
        ("payload".to_owned(), Node::Bytes(payload)),
        ("signatures".to_owned(), Node::List(vec![Node::Map(signature)])),
    ]))?)
}

/// Returns what was signed, if one of a block's signatures is this key's and right.
///
/// # Errors
///
/// [`JoseError::Signature`] if none is; others for what is no signed object.
pub fn verify(data: &[u8], key: &Key) -> Result<Vec<u8>, JoseError> {
    super::decode(data)?;
    let block = dag_cbor::decode(data)?;
    let (Some(Node::Bytes(payload)), Some(Node::List(signatures))) =
        (block.get("payload"), block.get("signatures"))
    else {
        return Err(JoseError::Kind { expected: "signed" });
    };
    if signatures.iter().any(|signature| is_right(signature, payload, key)) {
        return Ok(payload.clone());
    }
    Err(JoseError::Signature)
}

fn is_right(entry: &Node, payload: &[u8], key: &Key) -> bool {
    let (Some(Node::Bytes(protected)), Some(Node::Bytes(signature))) =
        (entry.get("protected"), entry.get("signature"))
    else {
        return false;
    };
    let Ok(header @ Node::Map(_)) = dag_json::decode_plain(protected) else { return false };
    // What nobody signed must not say what the signature is.
    let claims = |name| entry.get("header").is_some_and(|header| header.get(name).is_some());
    text(&header, "alg") == Some(key.algorithm())
        && header.get("crit").is_none()
        && !claims("alg")
        && !claims("crit")
        && key.verifies(&joined(protected, payload), signature)
}

#[cfg(test)]
mod tests;
