//! Names that point at content: what a key signs, and how anybody can check it.
//!
//! A [`Name`] is the hash of a public key; a [`Record`] says what the name points at, until when,
//! signed by the key. Routing systems keep records for others, so both sides check them: nothing
//! that comes from a peer is stored or believed before [`check_value`] or [`Record::verify`].
//!
//! Spec: <https://specs.ipfs.tech/ipns/ipns-record/>, pinned in `spec/PINS.toml`.
//! Invariants: pure (the time comes in as an argument); lengths are checked before anything is
//! decoded; what is signed decides, never the unsigned copies beside it.
//! Not here: publishing and resolving, where keys are kept.

mod name;
mod record;
mod time;
mod validate;

pub use libp2p_identity::{Keypair, PeerId, PublicKey};
pub use name::{LIBP2P_KEY, Name, NameError};
pub use record::{RECORD_LEN_MAX, Record, RecordContent, RecordError};
pub use time::{Timestamp, TimestampError};
pub use validate::{ValueError, better_value, check_value, expiry_of_value};
