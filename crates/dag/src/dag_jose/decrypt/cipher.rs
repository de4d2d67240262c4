//! The ciphers of encrypted objects, by the names that headers give them.
//!
//! Spec: RFC 7518, sections 4.4 and 5.3, RFC 3394; draft-amringer-jose-chacha at revision 02.
//! Invariant: lengths of keys, vectors and tags are checked before a cipher sees them.
//! Not here: where the keys come from (`decrypt.rs`).

use super::{Header, JoseError};
use aes_gcm::{Aes128Gcm, Aes256Gcm};
use aes_kw::{KwAes128, KwAes256};
use chacha20poly1305::{
    XChaCha20Poly1305,
    aead::{Aead, KeyInit, Payload},
};

/// Bytes of a tag, of all three.
const TAG_LEN: usize = 16;

/// Bytes by which a wrapped key is longer. Source: RFC 3394.
const WRAP_OVERHEAD: usize = 8;

/// Longest wrapped key, in bytes: that of 32 bytes and its overhead.
const WRAPPED_LEN_MAX: usize = 32 + WRAP_OVERHEAD;

/// A way in which the content is encrypted.
pub(super) struct Content {
    /// Its name.
    pub(super) name: &'static str,
    /// Bytes of its key.
    pub(super) key_len: usize,
    iv_len: usize,
    open: Open,
}

/// Opens a message with a key and a vector, if its tag is right.
type Open = fn(&[u8], &[u8], Payload<'_, '_>) -> Option<Vec<u8>>;

/// What was encrypted, and what must fit it.
pub(super) struct Sealed<'a> {
    pub(super) iv: &'a [u8],
    pub(super) ciphertext: &'a [u8],
    pub(super) tag: &'a [u8],
    /// Authenticated with it, but not encrypted.
    pub(super) additional: &'a [u8],
}

static A128GCM: Content =
    Content { name: "A128GCM", key_len: 16, iv_len: 12, open: open::<Aes128Gcm> };
static A256GCM: Content =
    Content { name: "A256GCM", key_len: 32, iv_len: 12, open: open::<Aes256Gcm> };
static XC20P: Content =
    Content { name: "XC20P", key_len: 32, iv_len: 24, open: open::<XChaCha20Poly1305> };

impl Content {
    pub(super) fn named(name: &str) -> Option<&'static Self> {
        [&A128GCM, &A256GCM, &XC20P].into_iter().find(|content| content.name == name)
    }

    /// Opens what has this key, vector and tag.
    pub(super) fn open(&self, key: &[u8], sealed: &Sealed<'_>) -> Result<Vec<u8>, JoseError> {
        let Sealed { iv, ciphertext, tag, additional } = *sealed;
        if key.len() != self.key_len {
            return JoseError::decrypt(format!("{} wants a key of {} B", self.name, self.key_len));
        }
        if iv.len() != self.iv_len || tag.len() != TAG_LEN {
            return JoseError::decrypt("its iv or tag has another length");
        }
        let message = [ciphertext, tag].concat();
        let opened = (self.open)(key, iv, Payload { msg: &message, aad: additional });
        opened.map_or_else(|| JoseError::decrypt("it was changed, or is for another key"), Ok)
    }
}

fn open<C: KeyInit + Aead>(key: &[u8], iv: &[u8], sealed: Payload<'_, '_>) -> Option<Vec<u8>> {
    C::new_from_slice(key).ok()?.decrypt(iv.try_into().ok()?, sealed).ok()
}

/// A way in which the content's key is wrapped.
#[derive(Clone, Copy)]
pub(super) enum Wrap {
    Aes128,
    Aes256,
    XChaCha20,
}

impl Wrap {
    pub(super) fn named(name: &str) -> Option<Self> {
        match name {
            "A128KW" => Some(Self::Aes128),
            "A256KW" => Some(Self::Aes256),
            "XC20PKW" => Some(Self::XChaCha20),
            _ => None,
        }
    }

    /// Whether it is also an algorithm for keys that both sides have.
    pub(super) fn is_of_shared_keys(self) -> bool {
        !matches!(self, Self::XChaCha20)
    }

    pub(super) fn key_len(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes256 | Self::XChaCha20 => 32,
        }
    }

    /// Opens a wrapped key.
    pub(super) fn open(
        self,
        key: &[u8],
        wrapped: &[u8],
        header: &Header<'_>,
    ) -> Result<Vec<u8>, JoseError> {
        if let Self::XChaCha20 = self {
            let (iv, tag) = (header.bytes("iv")?, header.bytes("tag")?);
            let sealed = Sealed { iv: &iv, ciphertext: wrapped, tag: &tag, additional: &[] };
            return XC20P.open(key, &sealed);
        }
        if key.len() != self.key_len() {
            return JoseError::decrypt(format!("it wants a key of {} B", self.key_len()));
        }
        if !(2 * WRAP_OVERHEAD..=WRAPPED_LEN_MAX).contains(&wrapped.len()) {
            return JoseError::decrypt("its wrapped key has another length");
        }
        let mut room = [0; WRAPPED_LEN_MAX];
        let opened = match self {
            Self::Aes128 => KwAes128::new_from_slice(key)
                .map(|cipher| cipher.unwrap_key(wrapped, &mut room).map(<[u8]>::to_vec)),
            _ => KwAes256::new_from_slice(key)
                .map(|cipher| cipher.unwrap_key(wrapped, &mut room).map(<[u8]>::to_vec)),
        };
        match opened {
            Ok(Ok(key)) => Ok(key),
            _ => JoseError::decrypt("its wrapped key is for another key"),
        }
    }
}
