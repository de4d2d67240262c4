//! What a routing system may keep for others under which key, and which of two counts.
//!
//! There are two namespaces: `/ipns/` (records) and `/pk/` (public keys by their hash). Anything
//! else is refused: a store that takes any value under any key is everybody's dustbin.
//!
//! Spec: IPNS, "Routing Record"; IPFS Kademlia DHT, "Value Store", pinned in `spec/PINS.toml`.
//! Invariant: the same check guards what is stored for others and what others answer.

use crate::{Name, PeerId, PublicKey, Record, RecordContent, RecordError, Timestamp};
use std::{cmp::Ordering, time::SystemTime};
use thiserror::Error;

/// What keys of public keys begin with.
const PUBLIC_KEY: &[u8] = b"/pk/";

/// Longest public key, in bytes: RSA with 8192 bits and its frame.
const PUBLIC_KEY_LEN_MAX: usize = 2048;

/// Why a value may not stand under a key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Neither `/ipns/…` nor `/pk/…`.
    #[error("the key is neither that of an IPNS name nor that of a public key")]
    Key,
    /// The record is not to be believed.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The bytes are not the public key that the key names.
    #[error("the value is not the public key that the key names")]
    PublicKey,
}

/// Checks that `value` may stand under `key` at the time `now`.
///
/// # Errors
///
/// Any [`ValueError`].
pub fn check_value(key: &[u8], value: &[u8], now: SystemTime) -> Result<(), ValueError> {
    if let Some(hash) = key.strip_prefix(PUBLIC_KEY) {
        return check_public_key(hash, value);
    }
    content(key, value)?.check_time(Timestamp::from(now))?;
    Ok(())
}

/// When a value that [`check_value`] let pass stops to count; `None` for never.
pub fn expiry_of_value(key: &[u8], value: &[u8]) -> Option<SystemTime> {
    content(key, value).ok().and_then(|content| content.end.to_system())
}

/// Says which of two values under one key counts; both have passed [`check_value`].
///
/// The higher sequence number, then the later end, then the higher bytes, so that everybody
/// decides alike.
pub fn better_value(key: &[u8], one: &[u8], other: &[u8]) -> Ordering {
    let rank = |value| content(key, value).ok().map(|content| (content.sequence, content.end));
    rank(one).cmp(&rank(other)).then_with(|| one.cmp(other))
}

fn content(key: &[u8], value: &[u8]) -> Result<RecordContent, ValueError> {
    let name = Name::from_routing_key(key).map_err(|_| ValueError::Key)?;
    Ok(Record::decode(value)?.verify(&name)?)
}

fn check_public_key(hash: &[u8], value: &[u8]) -> Result<(), ValueError> {
    let named = PeerId::from_bytes(hash).map_err(|_| ValueError::Key)?;
    if value.len() > PUBLIC_KEY_LEN_MAX {
        return Err(ValueError::PublicKey);
    }
    match PublicKey::try_decode_protobuf(value) {
        Ok(key) if key.to_peer_id() == named => Ok(()),
        _ => Err(ValueError::PublicKey),
    }
}
