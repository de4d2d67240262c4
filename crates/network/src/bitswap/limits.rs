//! Every limit that a peer can run into, by name.
//!
//! Not here: limits on connections ([`crate::ConnectionLimits`]) and addresses (`swarm/addrs.rs`).

use std::time::Duration;

/// Longest message read, in bytes. Source: Bitswap 1.2, "Interaction Pattern" (4 MiB).
pub const MESSAGE_LEN_MAX: usize = 4 * 1024 * 1024;

/// Blocks are added to a message until it has this many bytes; so a message is at most this and
/// one block long, and every peer's limit holds.
pub const MESSAGE_LEN_TARGET: usize = 1024 * 1024;

/// Longest CID accepted on the wire, in bytes. Source: boxo's `MaxCidSize`.
pub const CID_LEN_MAX: usize = 168;

/// Entries, presences and blocks read from one message; a longer one is refused.
pub const MESSAGE_ITEMS_MAX: usize = 64 * 1024;

/// Wants kept of one peer. Source: boxo's `MaxQueuedWantlistEntriesPerPeer`.
pub const PEER_WANTS_MAX: usize = 1024;

/// Bytes handed to one peer's connection and not yet written.
pub const PEER_UNSENT_LEN_MAX: usize = 4 * 1024 * 1024;

/// Messages handed to one peer's connection and not yet written.
pub const PEER_UNSENT_MAX: usize = 8;

/// A block of at most this length is sent instead of a HAVE. Source: boxo, same name and value.
pub const HAVE_REPLACE_LEN_MAX: u64 = 1024;

/// Inbound streams of one connection that are read at once; a further one is closed.
pub const INBOUND_STREAMS_MAX: usize = 32;

/// A message longer than this waits for a share of what all may have received and not looked at
/// (`cairn_runtime::Budget::received`) before it is read.
pub const SMALL_MESSAGE_LEN_MAX: usize = 16 * 1024;

/// How long a message may make no progress before its stream is closed.
pub const MESSAGE_STALL_MAX: Duration = Duration::from_secs(30);

/// Malformed messages after which a peer is disconnected.
pub const OFFENCES_MAX: u32 = 3;

/// Unasked blocks after which a peer is disconnected. More than any race can explain.
pub const UNASKED_BLOCKS_MAX: u32 = 256;

/// Wants that one peer is asked for at once, blocks and haves together.
pub const ASKED_MAX: usize = 1000;

/// Of which for blocks.
pub const ASKED_BLOCKS_MAX: usize = 640;

/// Wants of one session that are broadcast while nobody is known to have its blocks.
/// Source: boxo's `broadcastLiveWantsLimit`.
pub const BROADCAST_WANTS_MAX: usize = 64;

/// Bytes asked of one peer at first.
pub const WINDOW_LEN_INITIAL: usize = 1024 * 1024;

/// Bytes asked of one peer at most.
pub const WINDOW_LEN_MAX: usize = 32 * 1024 * 1024;
