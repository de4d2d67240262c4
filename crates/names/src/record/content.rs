//! The signed part of a record.
//!
//! Invariant: what is read can be written again; a field of another kind is refused by name.

use super::{RECORD_LEN_MAX, RecordError};
use crate::Timestamp;
use cairn_dag::{Node, dag_cbor};
use std::time::Duration;

/// The only kind of validity there is: an end.
pub(super) const END_OF_LIFE: u64 = 0;

/// What a name points at.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RecordContent {
    /// A path, such as `/ipfs/bafy…`.
    pub value: Vec<u8>,
    /// When it stops being true.
    pub end: Timestamp,
    /// The end as it was signed.
    pub(super) end_text: String,
    /// Higher for each change.
    pub sequence: u64,
    /// For how long it may be remembered before asking again.
    pub ttl: Duration,
}

impl RecordContent {
    /// Says that a name points at `value` until `end`.
    pub fn new(value: Vec<u8>, end: Timestamp, sequence: u64, ttl: Duration) -> Self {
        Self { value, end, end_text: end.to_string(), sequence, ttl }
    }

    /// Fails if the end has come.
    ///
    /// # Errors
    ///
    /// [`RecordError::Expired`].
    pub fn check_time(&self, now: Timestamp) -> Result<(), RecordError> {
        if self.end > now { Ok(()) } else { Err(RecordError::Expired { end: self.end }) }
    }

    pub(super) fn ttl_nanos(&self) -> u64 {
        u64::try_from(self.ttl.as_nanos()).unwrap_or(u64::MAX)
    }

    pub(super) fn encode(&self) -> Result<Vec<u8>, RecordError> {
        let number = |value: u64| Node::Integer(value.into());
        let entries = [
            ("TTL", number(self.ttl_nanos())),
            ("Value", Node::Bytes(self.value.clone())),
            ("Sequence", number(self.sequence)),
            ("Validity", Node::Bytes(self.end_text.clone().into_bytes())),
            ("ValidityType", number(END_OF_LIFE)),
        ];
        let entries = entries.into_iter().map(|(name, node)| (name.to_owned(), node));
        let encoded = dag_cbor::encode(&Node::Map(entries.collect()));
        let encoded = encoded.map_err(|_| malformed("signed document", "not CBOR"))?;
        match encoded.len() {
            len if len > RECORD_LEN_MAX => Err(RecordError::TooLong { len }),
            _ => Ok(encoded),
        }
    }

    pub(super) fn decode(data: &[u8]) -> Result<Self, RecordError> {
        let node = dag_cbor::decode(data);
        let node = node.map_err(|_| malformed("signed document", "not DAG-CBOR"))?;
        let number = |field| match node.get(field) {
            Some(Node::Integer(value)) => {
                u64::try_from(*value).map_err(|_| malformed(field, "negative"))
            }
            _ => Err(malformed(field, "not a number")),
        };
        let bytes = |field| match node.get(field) {
            Some(Node::Bytes(bytes)) => Ok(bytes.clone()),
            _ => Err(malformed(field, "not bytes")),
        };
        if number("ValidityType")? != END_OF_LIFE {
            return Err(malformed("ValidityType", "of a kind that is not known"));
        }
        let end_text = String::from_utf8(bytes("Validity")?);
        let end_text = end_text.map_err(|_| malformed("Validity", "not text"))?;
        let end = end_text.parse().map_err(|_| malformed("Validity", "not a time"))?;
        let (value, sequence) = (bytes("Value")?, number("Sequence")?);
        Ok(Self { value, end, end_text, sequence, ttl: Duration::from_nanos(number("TTL")?) })
    }
}

fn malformed(field: &'static str, problem: &'static str) -> RecordError {
    RecordError::Field { field, problem }
}
