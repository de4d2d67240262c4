//! IPNS records: what a name points at, until when, and the signature that proves it.
//!
//! The signed part is a CBOR document inside the protobuf; older programs wrote the same values
//! beside it, unsigned as far as anybody can rely on, so they only have to agree.
//!
//! Spec: IPNS, "IPNS Record", "Record Creation", "Record Verification", pinned in
//! `spec/PINS.toml`.
//! Invariants: nothing over [`RECORD_LEN_MAX`] is parsed; a [`RecordContent`] is only had from a
//! record whose signature was checked, or that was made here.
//! Not here: which of several records counts in a routing system (`validate.rs`).

mod content;

use crate::{Keypair, Name, PublicKey, Timestamp};
use cairn_dag::pb::{Fields, PbError, Value, put_bytes, put_uint};
pub use content::RecordContent;
use thiserror::Error;

/// Longest record, in bytes. Source: IPNS, "Record Size Limit".
pub const RECORD_LEN_MAX: usize = 10 * 1024;

/// What is put before the CBOR document that is signed.
const SIGNED_PREFIX: &[u8] = b"ipns-signature:";

/// Keys up to this length, as protobuf, stand in the name itself.
const INLINED_KEY_LEN_MAX: usize = 42;

/// Why a record is not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum RecordError {
    /// Over [`RECORD_LEN_MAX`].
    #[error("the record has {len} bytes, over the limit of {RECORD_LEN_MAX}")]
    TooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// Not a protobuf message.
    #[error("the record is not protobuf: {0}")]
    Protobuf(#[from] PbError),
    /// A field is missing or not what it should be.
    #[error("the record's {field} is {problem}")]
    Field {
        /// Which one.
        field: &'static str,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// The key is not the name's.
    #[error("the record's key does not belong to the name {name}")]
    Key {
        /// The name asked for.
        name: Name,
    },
    /// The signature does not fit.
    #[error("the record's signature is not by the key of {name}")]
    Signature {
        /// The name asked for.
        name: Name,
    },
    /// An unsigned copy says something else than what is signed.
    #[error("the record's {field} differs from what is signed")]
    Mismatch {
        /// Which field.
        field: &'static str,
    },
    /// Its time is over.
    #[error("the record expired at {end}")]
    Expired {
        /// When.
        end: Timestamp,
    },
    /// The key cannot sign.
    #[error("the record could not be signed")]
    Sign,
}

/// A record as it came: parsed, nothing in it believed yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Record {
    value: Vec<u8>,
    signature_v1: Vec<u8>,
    validity_type: Option<u64>,
    validity: Vec<u8>,
    sequence: Option<u64>,
    ttl: Option<u64>,
    public_key: Vec<u8>,
    signature_v2: Vec<u8>,
    data: Vec<u8>,
}

impl Record {
    /// Reads the protobuf.
    ///
    /// # Errors
    ///
    /// [`RecordError::TooLong`], [`RecordError::Protobuf`].
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > RECORD_LEN_MAX {
            return Err(RecordError::TooLong { len: bytes.len() });
        }
        let mut record = Self::default();
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.field()? {
            match field {
                (1, Value::Bytes(value)) => record.value = value.to_vec(),
                (2, Value::Bytes(value)) => record.signature_v1 = value.to_vec(),
                (3, Value::Varint(value)) => record.validity_type = Some(value),
                (4, Value::Bytes(value)) => record.validity = value.to_vec(),
                (5, Value::Varint(value)) => record.sequence = Some(value),
                (6, Value::Varint(value)) => record.ttl = Some(value),
                (7, Value::Bytes(value)) => record.public_key = value.to_vec(),
                (8, Value::Bytes(value)) => record.signature_v2 = value.to_vec(),
                (9, Value::Bytes(value)) => record.data = value.to_vec(),
                _ => {}
            }
        }
        Ok(record)
    }

    /// Writes the protobuf.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let mut bytes = |number, value: &[u8]| {
            if !value.is_empty() {
                put_bytes(&mut out, number, value);
            }
        };
        bytes(1, &self.value);
        bytes(2, &self.signature_v1);
        if let Some(kind) = self.validity_type {
            put_uint(&mut out, 3, kind);
        }
        if !self.validity.is_empty() {
            put_bytes(&mut out, 4, &self.validity);
        }
        for (number, value) in [(5, self.sequence), (6, self.ttl)] {
            if let Some(value) = value {
                put_uint(&mut out, number, value);
            }
        }
        for (number, value) in [(7, &self.public_key), (8, &self.signature_v2), (9, &self.data)] {
            if !value.is_empty() {
                put_bytes(&mut out, number, value);
            }
        }
        out
    }

    /// Makes and signs a record; `with_v1` adds the unsigned copies for programs before 2022.
    ///
    /// # Errors
    ///
    /// [`RecordError::Sign`]; [`RecordError::TooLong`] if the value is.
    pub fn create(
        key: &Keypair,
        content: &RecordContent,
        with_v1: bool,
    ) -> Result<Self, RecordError> {
        let data = content.encode()?;
        let sign = |message: &[u8]| key.sign(message).map_err(|_| RecordError::Sign);
        let public = key.public().encode_protobuf();
        let mut record = Self {
            signature_v2: sign(&[SIGNED_PREFIX, &data].concat())?,
            public_key: if public.len() > INLINED_KEY_LEN_MAX { public } else { Vec::new() },
            data,
            ..Self::default()
        };
        if with_v1 {
            record.value.clone_from(&content.value);
            record.validity = content.end.to_string().into_bytes();
            record.validity_type = Some(content::END_OF_LIFE);
            record.sequence = Some(content.sequence);
            record.ttl = Some(content.ttl_nanos());
            // The first signature covered the value, the end and the word for its kind.
            record.signature_v1 = sign(&[&record.value, &record.validity, &b"EOL"[..]].concat())?;
        }
        match record.encode().len() {
            len if len > RECORD_LEN_MAX => Err(RecordError::TooLong { len }),
            _ => Ok(record),
        }
    }

    /// Checks the signature and that everything agrees; returns what is signed.
    ///
    /// Says nothing of the time: see [`RecordContent::check_time`].
    ///
    /// # Errors
    ///
    /// Any [`RecordError`] but [`RecordError::Expired`].
    pub fn verify(&self, name: &Name) -> Result<RecordContent, RecordError> {
        let missing = |field| RecordError::Field { field, problem: "missing" };
        if self.signature_v2.is_empty() {
            return Err(missing("signature"));
        }
        if self.data.is_empty() {
            return Err(missing("signed document"));
        }
        let key = self.key(name)?;
        let content = RecordContent::decode(&self.data)?;
        let signed = [SIGNED_PREFIX, &self.data].concat();
        if !key.verify(&signed, &self.signature_v2) {
            return Err(RecordError::Signature { name: *name });
        }
        if !self.signature_v1.is_empty() || !self.value.is_empty() {
            self.check_copies(&content)?;
        }
        Ok(content)
    }

    fn key(&self, name: &Name) -> Result<PublicKey, RecordError> {
        let wrong = RecordError::Key { name: *name };
        if self.public_key.is_empty() {
            return name.inlined_key().ok_or(wrong);
        }
        let key = PublicKey::try_decode_protobuf(&self.public_key).map_err(|_| wrong.clone())?;
        if Name::of_key(&key) == *name { Ok(key) } else { Err(wrong) }
    }

    fn check_copies(&self, content: &RecordContent) -> Result<(), RecordError> {
        let rows = [
            ("value", self.value == content.value),
            ("validity", self.validity == content.end_text.as_bytes()),
            ("validity type", self.validity_type.unwrap_or(0) == content::END_OF_LIFE),
            ("sequence", self.sequence.unwrap_or(0) == content.sequence),
            ("time to live", self.ttl.unwrap_or(0) == content.ttl_nanos()),
        ];
        match rows.into_iter().find(|(_, same)| !same) {
            Some((field, _)) => Err(RecordError::Mismatch { field }),
            None => Ok(()),
        }
    }
}
