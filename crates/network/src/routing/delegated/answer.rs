//! Reads what routers answer: lines of JSON as they come, or one document.
//!
//! Unknown fields and kinds of records are passed over; a record that is broken costs only
//! itself, since routers put together what others have told them.
//!
//! Spec: Delegated Routing V1 HTTP API, "Peer Schema", "Legacy Schemas".
//! Invariants: pure; no more than [`ANSWER_LEN_MAX`] bytes are read and [`DOCUMENT_LEN_MAX`]
//! kept, no more than [`FOUND_MAX`] records come out, with [`ADDRS_MAX`] addresses each.
//! Not here: which addresses are believed (`delegated.rs`).

use crate::{Multiaddr, PeerId};
use cairn_names::Name;
use serde::Deserialize;
use serde_json::Value;
use thiserror::Error;

/// Longest answer that is read, in bytes.
pub(crate) const ANSWER_LEN_MAX: usize = 8 * 1024 * 1024;

/// Longest document that is not in lines, in bytes.
pub(crate) const DOCUMENT_LEN_MAX: usize = 1024 * 1024;

/// Longest line, in bytes.
pub(crate) const LINE_LEN_MAX: usize = 64 * 1024;

/// Records of one answer that count.
pub(crate) const FOUND_MAX: usize = 512;

/// Addresses of one record that are looked at.
pub(crate) const ADDRS_MAX: usize = 128;

/// Protocols of one record that are looked at.
pub(crate) const PROTOCOLS_MAX: usize = 32;

/// What the schemas of records are that name a peer.
const SCHEMAS: [&str; 3] = ["peer", "bitswap", "graphsync-filecoinv1"];

/// A peer, as a router tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) peer: PeerId,
    pub(crate) addrs: Vec<Multiaddr>,
    /// Lower case; empty if it is not known.
    pub(crate) protocols: Vec<String>,
}

/// Why an answer is not read on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum AnswerError {
    #[error("the router answers more than anybody reads")]
    TooLong,
    #[error("the router's answer is no JSON with peers")]
    Json,
}

/// Reads one answer.
#[derive(Debug)]
pub(crate) struct Records {
    as_lines: bool,
    /// What does not yet make a line, or a document.
    buffer: Vec<u8>,
    len: usize,
    count: usize,
}

impl Records {
    /// An answer of lines.
    pub(crate) fn lines() -> Self {
        Self { as_lines: true, buffer: Vec::new(), len: 0, count: 0 }
    }

    /// An answer that is one document.
    pub(crate) fn document() -> Self {
        Self { as_lines: false, ..Self::lines() }
    }

    /// Whether nothing more will come out.
    pub(crate) fn is_full(&self) -> bool {
        self.count >= FOUND_MAX
    }

    /// Takes a piece of the answer; returns the records that are whole with it.
    pub(crate) fn push(&mut self, piece: &[u8]) -> Result<Vec<Heard>, AnswerError> {
        self.len = self.len.saturating_add(piece.len());
        if self.len > ANSWER_LEN_MAX {
            return Err(AnswerError::TooLong);
        }
        if !self.as_lines {
            if self.len > DOCUMENT_LEN_MAX {
                return Err(AnswerError::TooLong);
            }
            self.buffer.extend_from_slice(piece);
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let mut rest = piece;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            rest = &after[1..];
            self.keep(line)?;
            let line = std::mem::take(&mut self.buffer);
            if let Some(heard) = read_line(&line)
                && !self.is_full()
            {
                self.count += 1;
                found.push(heard);
            }
        }
        self.keep(rest)?;
        Ok(found)
    }

    fn keep(&mut self, part: &[u8]) -> Result<(), AnswerError> {
        if self.buffer.len() + part.len() > LINE_LEN_MAX {
            return Err(AnswerError::TooLong);
        }
        self.buffer.extend_from_slice(part);
        Ok(())
    }

    /// The answer has ended; returns the records that were not told yet.
    pub(crate) fn finish(self) -> Result<Vec<Heard>, AnswerError> {
        if self.as_lines {
            let last = read_line(&self.buffer).filter(|_| !self.is_full());
            return Ok(last.into_iter().collect());
        }
        let document: Document =
            serde_json::from_slice(&self.buffer).map_err(|_| AnswerError::Json)?;
        let (providers, peers) = (document.providers, document.peers);
        let listed = providers.into_iter().chain(peers).flatten();
        Ok(listed.filter_map(|record| read(&record)).take(FOUND_MAX).collect())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Document {
    #[serde(default)]
    providers: Option<Vec<Value>>,
    #[serde(default)]
    peers: Option<Vec<Value>>,
}

fn read_line(line: &[u8]) -> Option<Heard> {
    read(&serde_json::from_slice(line).ok()?)
}

/// Reads one record; `None` if it is of another kind, or broken.
fn read(record: &Value) -> Option<Heard> {
    let text = |name: &str| record.get(name).and_then(Value::as_str);
    let list = |name: &str, max: usize| {
        let list = record.get(name).and_then(Value::as_array).into_iter().flatten();
        list.take(max).filter_map(Value::as_str)
    };
    if !SCHEMAS.contains(&text("Schema")?) {
        return None;
    }
    let name: Name = text("ID")?.parse().ok()?;
    let protocols = list("Protocols", PROTOCOLS_MAX).chain(text("Protocol"));
    Some(Heard {
        peer: name.peer_id(),
        addrs: list("Addrs", ADDRS_MAX).filter_map(|addr| addr.parse().ok()).collect(),
        protocols: protocols.map(str::to_ascii_lowercase).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::{ADDRS_MAX, ANSWER_LEN_MAX, AnswerError, FOUND_MAX, Heard, LINE_LEN_MAX, Records};
    use crate::PeerId;
    use serde_json::json;

    const PEER: &str = "12D3KooWLQzUv2FHWGVPXTXSZpdHs7oHbXub2G5WC8Tx4NQhyd2d";

    fn line(peer: &str) -> String {
        let addrs = ["/ip4/1.2.3.4/tcp/1", "/no/such/thing", "/dns4/x.example/tcp/443/tls/http"];
        let record = json!({
            "Schema": "peer", "ID": peer, "Addrs": addrs,
            "Protocols": ["Transport-Bitswap"], "Else": {"a": [1]},
        });
        format!("{record}\n")
    }

    fn expected(peer: &str) -> Heard {
        let addrs = ["/ip4/1.2.3.4/tcp/1", "/dns4/x.example/tcp/443/tls/http"];
        Heard {
            peer: peer.parse().unwrap(),
            addrs: addrs.iter().map(|addr| addr.parse().unwrap()).collect(),
            protocols: vec!["transport-bitswap".to_owned()],
        }
    }

    #[test]
    fn lines_are_read_wherever_the_pieces_end() {
        let other = PeerId::random().to_string();
        let text = [line(PEER), "\n{broken\n".to_owned(), line(&other)].concat();
        for len in [1, 2, 7, 100, text.len()] {
            let mut records = Records::lines();
            let mut found = Vec::new();
            for piece in text.trim_end().as_bytes().chunks(len) {
                found.extend(records.push(piece).unwrap());
            }
            found.extend(records.finish().unwrap());
            assert_eq!(found, [expected(PEER), expected(&other)], "{len}");
        }
    }

    #[test]
    fn documents_hold_providers_or_peers_of_every_age() {
        let old = json!({"Schema": "bitswap", "Protocol": "transport-bitswap", "ID": PEER});
        let strange = json!({"Schema": "unheard-of", "ID": PEER});
        for name in ["Providers", "Peers"] {
            let broken = json!([1, null, {}, {"Schema": "peer", "ID": "x"}, strange, old]);
            let mut records = Records::document();
            assert_eq!(records.push(json!({ name: broken }).to_string().as_bytes()), Ok(vec![]));
            let found = records.finish().unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].protocols, ["transport-bitswap"]);
        }
        for (text, expected) in [
            ("{}", Ok(vec![])),
            (r#"{"Providers":null}"#, Ok(vec![])),
            ("[", Err(AnswerError::Json)),
        ] {
            let mut records = Records::document();
            records.push(text.as_bytes()).unwrap();
            assert_eq!(records.finish(), expected, "{text}");
        }
    }

    #[test]
    fn an_answer_without_end_is_left() {
        let mut records = Records::lines();
        assert_eq!(records.push(&vec![b' '; LINE_LEN_MAX + 1]), Err(AnswerError::TooLong));
        let mut records = Records::lines();
        let empty_lines = vec![b'\n'; ANSWER_LEN_MAX];
        assert_eq!(records.push(&empty_lines), Ok(vec![]));
        assert_eq!(records.push(b"\n"), Err(AnswerError::TooLong));
        let mut records = Records::document();
        let mut piece = || records.push(&vec![b' '; 64 * 1024]);
        assert!((0..100).any(|_| piece().is_err()));
        let mut records = Records::lines();
        let many = line(PEER).repeat(FOUND_MAX + 10);
        assert_eq!(records.push(many.as_bytes()).unwrap().len(), FOUND_MAX);
        assert!(records.is_full() && records.finish().unwrap().is_empty());
        let addrs = vec!["/ip4/1.2.3.4/tcp/1"; 1000];
        let long = json!({"Schema": "peer", "ID": PEER, "Addrs": addrs}).to_string();
        let mut records = Records::lines();
        records.push(long.as_bytes()).unwrap();
        assert_eq!(records.finish().unwrap()[0].addrs.len(), ADDRS_MAX);
    }
}
