//! Bitswap: asking peers for blocks and giving them ours.
//!
//! One task, the [`engine`], owns two pure state machines: [`client`] (what is wanted, who is
//! asked) and [`server`] (what peers want, whose turn it is). A [`handler`] on every connection
//! reads and writes the streams and talks to the engine directly, past the swarm.
//!
//! ```text
//!   Session ─▶ engine ◀─────────── handler ◀── inbound streams (several, many messages each)
//!                │  └─ Outgoing ──▶ handler ──▶ one outbound stream
//!                ├─▶ hashing, on the blocking pool
//!                └─▶ BlockStore::get_many, in tasks of its own
//! ```
//!
//! Spec: <https://specs.ipfs.tech/bitswap-protocol/>, pinned in `spec/PINS.toml`.
//! Invariants: the engine never waits for a handler, so a handler may wait for the engine;
//! a block is passed on only when it is a [`cairn_block::Block`].
//! Not here: finding providers of a block.

mod awaited;
mod behaviour;
pub(crate) mod client;
pub(crate) mod engine;
#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;
mod handler;
pub mod limits;
mod protocol;
pub(crate) mod server;
mod verify;
pub(crate) mod wire;

pub(crate) use awaited::Awaited;
pub(crate) use behaviour::Behaviour;

use cairn_block::BlockStore;
use tokio::sync::mpsc;

/// Makes the swarm's half, where events are told, and a function that starts the engine's half.
pub(crate) fn new<S: BlockStore + Clone + 'static>(
    links: engine::Links,
) -> (Behaviour, mpsc::Sender<engine::Event>, impl FnOnce(S)) {
    let (events, incoming) = engine::events();
    let behaviour = Behaviour::new(events.clone(), links.budget.received());
    (behaviour, events, move |store| engine::start(links, incoming, store))
}
