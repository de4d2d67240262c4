//! Drives the binary as its users do: a process, its files, its sockets.
//!
//! [`Home`] is one throw-away repository with the command line over it, [`Daemon`] a running
//! node, [`Peer`] somebody else's node, [`http`] a client that shares no code with the server,
//! [`tree`] files to move about. Everything binds port 0 on loopback, every wait is bounded, and
//! every process is killed when its handle is dropped.
//! Not here: the tests (`tests/tests/`), installing the peers (`cargo xtask test`).

#![expect(clippy::missing_panics_doc, reason = "for tests only: a panic is how they report")]

pub mod hostile;
pub mod http;
pub mod leveldb;
pub mod tree;

mod daemon;
mod home;
mod peer;
mod process;
mod settings;
mod until;

pub use daemon::Daemon;
pub use home::{Home, Outcome, run};
pub use peer::{Peer, node_script, python_script};
pub use process::{Running, fail};
pub use settings::{binary, peers, run_count, say_skipped, skip};
pub use until::until;
