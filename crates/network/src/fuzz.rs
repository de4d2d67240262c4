//! The targets of this crate, for `cairn-fuzz`.
//!
//! Not here: what holds of each (`fuzz.rs` beside what is fuzzed).

use crate::{bitswap::fuzz as bitswap, routing::delegated::fuzz as delegated};

/// Name, properties and seeds of each target.
#[expect(clippy::type_complexity, reason = "the type is cairn-fuzz's, which nobody here may use")]
pub const TARGETS: &[(&str, fn(&[u8]), fn() -> Vec<Vec<u8>>)] = &[
    ("bitswap_message", bitswap::message, bitswap::messages),
    ("bitswap_prefix", bitswap::prefix, bitswap::prefixes),
    ("routing_answer", delegated::answer, delegated::answers),
    ("routing_endpoint", delegated::endpoint, delegated::endpoints),
];
