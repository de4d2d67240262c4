//! Encrypted objects of dag-jose, opened with a given key.
//!
//! The content is A128GCM, A256GCM or XC20P; its key is the given one (`dir`), wrapped with the
//! given one (A128KW, A256KW), or agreed on over X25519 (ECDH-ES, alone or with a wrapped key).
//!
//! Spec: RFC 7516 (JWE), RFC 7518, sections 4 to 6, RFC 8037 (X25519), RFC 3394 (key wrap);
//! draft-amringer-jose-chacha at revision 02 (XC20P, XC20PKW).
//! Invariants: the algorithms must fit the key; headers that say a thing twice are refused, so are
//! `crit` and `zip`; nothing of the plain text is seen before its tag was checked.
//! Not here: making encrypted objects; the ciphers (`cipher.rs`); RSA, passwords, AES-CBC.

mod cipher;

use super::{
    JoseError,
    jwk::{Jwk, Use, joined, text},
};
use crate::{Node, dag_cbor, dag_json};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use cairn_hash::sha256;
use cipher::{Content, Sealed, Wrap};
use std::fmt;
use x25519_dalek::{PublicKey, StaticSecret};

/// Most recipients of an object that are tried.
const RECIPIENTS_MAX: usize = 1024;

/// Bytes of a key, or of what was agreed on, on X25519.
const POINT_LEN: usize = 32;

/// Algorithms that agree on a key begin with this.
const AGREE: &str = "ECDH-ES";

/// A secret that opens encrypted objects.
pub struct DecryptionKey {
    kind: Kind,
    algorithm: Option<String>,
}

enum Kind {
    /// As long as its algorithm wants it.
    Shared(Vec<u8>),
    X25519(StaticSecret),
}

impl fmt::Debug for DecryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecryptionKey").finish_non_exhaustive()
    }
}

impl DecryptionKey {
    /// Reads a JWK: bytes that both sides have (`oct`), or an X25519 key with its secret part.
    ///
    /// # Errors
    ///
    /// [`JoseError::Key`] for a key of another kind, or one that is none.
    pub fn from_jwk(json: &[u8]) -> Result<Self, JoseError> {
        let jwk = Jwk::parse(json, Use::Encrypt)?;
        let kind = match (jwk.text("kty"), jwk.text("crv")) {
            (Some("oct"), _) => match jwk.bytes("k") {
                Some(bytes) => Kind::Shared(bytes),
                None => return JoseError::key("its k is no base64url"),
            },
            (Some("OKP"), Some("X25519")) => {
                let Some(secret) = jwk.secret::<POINT_LEN>()? else {
                    return JoseError::key("it has no secret part (d)");
                };
                let secret = StaticSecret::from(secret);
                if jwk.array("x") != Some(PublicKey::from(&secret).to_bytes()) {
                    return JoseError::key("its two parts do not belong together");
                }
                Kind::X25519(secret)
            }
            _ => return JoseError::key("it is neither X25519 nor shared bytes (oct)"),
        };
        Ok(Self { kind, algorithm: jwk.text("alg").map(str::to_owned) })
    }

    /// The key of the content, as one recipient has it.
    fn content_key(&self, header: &Header<'_>, wrapped: &[u8]) -> Result<Vec<u8>, JoseError> {
        let (algorithm, content) = (header.require("alg")?, header.content()?);
        if let Some(own) = &self.algorithm
            && own != algorithm
            && !(algorithm == "dir" && own == content.name)
        {
            return JoseError::decrypt(format!("the key is for {own}, not for {algorithm}"));
        }
        match &self.kind {
            Kind::Shared(key) if algorithm == "dir" => direct(key.clone(), wrapped),
            Kind::Shared(key) => match Wrap::named(algorithm) {
                Some(wrap) if wrap.is_of_shared_keys() => wrap.open(key, wrapped, header),
                _ => unknown("alg", algorithm),
            },
            Kind::X25519(secret) => {
                let Some(wrap) = algorithm.strip_prefix(AGREE) else {
                    return unknown("alg", algorithm);
                };
                if wrap.is_empty() {
                    let key = agreed(secret, header, content.name, content.key_len)?;
                    return direct(key, wrapped);
                }
                let Some(wrap) = wrap.strip_prefix('+').and_then(Wrap::named) else {
                    return unknown("alg", algorithm);
                };
                let key = agreed(secret, header, algorithm, wrap.key_len())?;
                wrap.open(&key, wrapped, header)
            }
        }
    }
}

/// Opens an encrypted block: what is within, as bytes.
///
/// The recipients are tried in order, 1024 of them at most.
///
/// # Errors
///
/// [`JoseError::Decrypt`] if the key opens none of its recipients' parts, with the last one's
/// reason; others for what is no encrypted object.
pub fn decrypt(data: &[u8], key: &DecryptionKey) -> Result<Vec<u8>, JoseError> {
    super::decode(data)?;
    let block = dag_cbor::decode(data)?;
    let Some(Node::Bytes(ciphertext)) = block.get("ciphertext") else {
        return Err(JoseError::Kind { expected: "encrypted" });
    };
    let protected = bytes(&block, "protected");
    let header = match protected {
        [] => Node::Map(Vec::new()),
        bytes => dag_json::decode_plain(bytes)?,
    };
    let additional = match block.get("aad") {
        Some(Node::Bytes(bytes)) => joined(protected, bytes),
        _ => URL_SAFE_NO_PAD.encode(protected).into_bytes(),
    };
    let single = [Node::Null];
    let recipients = match block.get("recipients") {
        Some(Node::List(recipients)) => recipients.as_slice(),
        _ => &single,
    };
    if recipients.len() > RECIPIENTS_MAX {
        return JoseError::decrypt(format!("it has more than {RECIPIENTS_MAX} recipients"));
    }
    let mut failed = JoseError::decrypt("it has no recipients");
    for recipient in recipients {
        let parts = [Some(&header), block.get("unprotected"), recipient.get("header")];
        let header = Header { parts, is_protected: !protected.is_empty() };
        let opened = header.check().and_then(|()| {
            let content = header.content()?;
            let key = key.content_key(&header, bytes(recipient, "encrypted_key"))?;
            let (iv, tag) = (bytes(&block, "iv"), bytes(&block, "tag"));
            content.open(&key, &Sealed { iv, ciphertext, tag, additional: &additional })
        });
        if opened.is_ok() {
            return opened;
        }
        failed = opened;
    }
    failed
}

/// A field that is bytes; an absent one is empty.
fn bytes<'a>(node: &'a Node, name: &str) -> &'a [u8] {
    match node.get(name) {
        Some(Node::Bytes(bytes)) => bytes,
        _ => &[],
    }
}

/// The three headers of a recipient, which are one: protected, shared, its own.
struct Header<'a> {
    parts: [Option<&'a Node>; 3],
    is_protected: bool,
}

impl Header<'_> {
    /// Refuses what says a thing twice, and what must be understood but is not.
    fn check(&self) -> Result<(), JoseError> {
        if self.is_protected && !matches!(self.parts[0], Some(Node::Map(_))) {
            return JoseError::decrypt("its protected header is not a map");
        }
        let mut names = Vec::new();
        for part in self.parts.iter().flatten() {
            if let Node::Map(entries) = part {
                names.extend(entries.iter().map(|(name, _)| name.as_str()));
            }
        }
        for refused in ["crit", "zip"] {
            if names.contains(&refused) {
                return JoseError::decrypt(format!("its header has {refused:?}, unknown here"));
            }
        }
        names.sort_unstable();
        if names.windows(2).any(|pair| pair[0] == pair[1]) {
            return JoseError::decrypt("its headers say a thing twice");
        }
        Ok(())
    }

    fn get(&self, name: &str) -> Option<&Node> {
        self.parts.iter().flatten().find_map(|part| part.get(name))
    }

    fn require(&self, name: &str) -> Result<&str, JoseError> {
        match self.get(name) {
            Some(Node::String(text)) => Ok(text),
            _ => JoseError::decrypt(format!("its headers have no {name:?}")),
        }
    }

    fn bytes(&self, name: &str) -> Result<Vec<u8>, JoseError> {
        base64(self.require(name)?, name)
    }

    /// How the content is encrypted.
    fn content(&self) -> Result<&'static Content, JoseError> {
        let name = self.require("enc")?;
        Content::named(name).map_or_else(|| unknown("enc", name), Ok)
    }
}

fn unknown<T>(what: &str, name: &str) -> Result<T, JoseError> {
    JoseError::decrypt(format!("{what} {name:?} is unknown here, or not one for this key"))
}

fn base64(text: &str, name: &str) -> Result<Vec<u8>, JoseError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok();
    bytes.map_or_else(|| JoseError::decrypt(format!("its {name:?} is no base64url")), Ok)
}

/// The key is the content's own, so none may come along.
fn direct(key: Vec<u8>, wrapped: &[u8]) -> Result<Vec<u8>, JoseError> {
    match wrapped {
        [] => Ok(key),
        _ => JoseError::decrypt("it brings a key where there must be none"),
    }
}

/// Agrees on a key of so many bytes with whoever encrypted.
///
/// Spec: RFC 7518, section 4.6.2 (NIST SP 800-56A, "Concat KDF", with SHA-256, one round).
fn agreed(
    secret: &StaticSecret,
    header: &Header<'_>,
    algorithm: &str,
    len: usize,
) -> Result<Vec<u8>, JoseError> {
    let Some(theirs) = header.get("epk") else {
        return JoseError::decrypt("it has no ephemeral key (epk)");
    };
    if (text(theirs, "kty"), text(theirs, "crv")) != (Some("OKP"), Some("X25519")) {
        return JoseError::decrypt("its ephemeral key is not on X25519");
    }
    let point = base64(text(theirs, "x").unwrap_or_default(), "epk")?;
    let Ok(point) = <[u8; POINT_LEN]>::try_from(point) else {
        return JoseError::decrypt("its ephemeral key has another length");
    };
    let shared = secret.diffie_hellman(&PublicKey::from(point));
    if !shared.was_contributory() {
        return JoseError::decrypt("its ephemeral key is of low order");
    }
    let mut message = 1_u32.to_be_bytes().to_vec();
    message.extend_from_slice(shared.as_bytes());
    let party = |name| if header.get(name).is_some() { header.bytes(name) } else { Ok(Vec::new()) };
    for part in [algorithm.as_bytes(), &party("apu")?, &party("apv")?] {
        message.extend_from_slice(&(part.len() as u32).to_be_bytes());
        message.extend_from_slice(part);
    }
    message.extend_from_slice(&(8 * len as u32).to_be_bytes());
    let mut key = sha256(&message).to_vec();
    key.truncate(len);
    Ok(key)
}

#[cfg(test)]
mod tests;
