//! The key that the nodes of a private network share.
//!
//! Spec: libp2p/specs `pnet/Private-Networks-PSK-V1.md`; the file is `swarm.key` in the repository.
//! Invariant: the key is shown nowhere.
//! Not here: the encryption with it (the `libp2p-pnet` crate).

use cairn_block::Base;
use std::fmt;

/// Longest file that is read: the longest encoding of a key and its two header lines.
pub const SWARM_KEY_FILE_LEN_MAX: usize = 1024;

/// The first line of the file.
const PROTOCOL: &str = "/key/swarm/psk/1.0.0/";

/// A key of 32 bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct SwarmKey([u8; 32]);

impl fmt::Debug for SwarmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SwarmKey").finish_non_exhaustive()
    }
}

impl SwarmKey {
    /// Reads what a `swarm.key` holds: the protocol, the encoding (`/base16/`, `/base64/` or
    /// `/bin/`), the key.
    ///
    /// # Errors
    ///
    /// What is wrong, without the key.
    pub fn from_file(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() > SWARM_KEY_FILE_LEN_MAX {
            return Err(format!("it is longer than {SWARM_KEY_FILE_LEN_MAX} bytes"));
        }
        let (protocol, rest) = line(bytes).ok_or("it has no first line")?;
        if protocol != PROTOCOL.as_bytes() {
            return Err(format!("its first line is not {PROTOCOL}"));
        }
        let (encoding, rest) = line(rest).ok_or("it has no second line")?;
        let text = || std::str::from_utf8(rest).map(str::trim).map_err(|_| "the key is no text");
        let key = match encoding {
            b"/bin/" => rest.get(..32).unwrap_or(rest).to_vec(),
            b"/base16/" => decode(Base::Base16Lower, &text()?.to_ascii_lowercase())?,
            b"/base64/" => decode(Base::Base64Pad, text()?)?,
            _ => return Err("its second line is not /base16/, /base64/ or /bin/".to_owned()),
        };
        let len = key.len();
        let key = key.try_into().map_err(|_| format!("the key is {len} bytes long, not 32"))?;
        Ok(Self(key))
    }

    /// The key, for whoever encrypts.
    pub(crate) fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = &bytes[..end];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[end + 1..]))
}

fn decode(base: Base, text: &str) -> Result<Vec<u8>, String> {
    base.decode(text)
        .map_err(|_| "the key is not in the encoding that its second line names".into())
}

#[cfg(test)]
mod tests {
    use super::SwarmKey;

    #[test]
    fn keys_are_read() {
        let hex = "0f".repeat(32);
        let base64 = "Dw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8PDw8=";
        let head = "/key/swarm/psk/1.0.0/";
        let rows = [
            (format!("{head}\n/base16/\n{hex}\n"), None),
            (format!("{head}\r\n/base16/\r\n{}", hex.to_uppercase()), None),
            (format!("{head}\n/base64/\n{base64}"), None),
            (format!("{head}\n/bin/\n{}", "\u{f}".repeat(32)), None),
            (format!("{head}\n/base16/\n{hex}0f"), Some("33 bytes")),
            (format!("{head}\n/base16/\nxyz"), Some("encoding")),
            (format!("{head}\n/base99/\n{hex}"), Some("second line")),
            (format!("/key/swarm/psk/2.0.0/\n/base16/\n{hex}"), Some("first line")),
            (head.to_owned(), Some("first line")),
            (String::new(), Some("first line")),
            ("x".repeat(2000), Some("longer")),
        ];
        for (file, expected) in rows {
            match (SwarmKey::from_file(file.as_bytes()), expected) {
                (Ok(key), None) => assert_eq!(key.bytes(), &[0x0f; 32], "{file:?}"),
                (Err(error), Some(part)) => {
                    assert!(error.contains(part) && !error.contains("0f0f"), "{file:?}: {error}");
                }
                (answer, _) => panic!("{file:?}: {answer:?}"),
            }
        }
    }

    #[test]
    fn a_key_is_not_shown() {
        let key = SwarmKey([0xab; 32]);
        assert_eq!(format!("{key:?}"), "SwarmKey { .. }");
    }
}
