//! The HTTP gateway: what is under a CID, for browsers, players and `curl`.
//!
//! One GET is one way out of the story: path to CID, CID to blocks, blocks to bytes. Answers are
//! streamed as they are read, so neither a large file nor a slow client costs memory beyond the
//! reader's window; what a client already has is answered without reading it.
//!
//! Spec: <https://specs.ipfs.tech/http-gateways/path-gateway/>, pinned in `spec/PINS.toml`;
//! where it leaves a choice, what Kubo's gateway answers, because pages and proxies rely on it.
//! Invariants: read-only; knows only `Node`'s public API; nothing from a request or a DAG
//! reaches a header or a page unescaped (`text.rs`); an answer that cannot be finished ends its
//! connection, so a short file never looks whole.
//! Not here: subdomain gateways (`SHORTCOMINGS.md`), the RPC API (`cairn-rpc`).

mod body;
mod content;
mod date;
mod delegated;
mod directory;
mod disposition;
#[cfg(feature = "fuzz")]
mod fuzz;
mod handler;
mod media;
mod page;
mod range;
mod refusal;
mod request;
mod server;
mod settings;
mod stall;
mod text;
mod validators;

#[cfg(feature = "fuzz")]
pub use fuzz::TARGETS as FUZZ_TARGETS;
pub use server::serve;

use thiserror::Error;

/// Why the gateway could not start.
///
/// What goes wrong later is an answer to one client or the end of one connection.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// A setting makes no sense; the operator has to correct the configuration.
    #[error("config key Gateway.{key} {reason}")]
    Setting {
        /// The key below `Gateway`.
        key: &'static str,
        /// What it has to be.
        reason: &'static str,
    },
}
