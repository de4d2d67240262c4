//! What happens with a received message: wants to the server, presences to the client, blocks to
//! the hasher and then to whoever wants them.
//!
//! Invariants: blocks of a peer that was asked for nothing are dropped unhashed; what is being
//! hashed is bounded by the handlers' common budget.

use super::{Done, Engine, Gift, Link};
use crate::{
    PeerId,
    bitswap::{
        client::Receipt,
        limits::UNASKED_BLOCKS_MAX,
        verify::{self, Unverified},
        wire::{Message, Prefix},
    },
};
use bytes::Bytes;
use cairn_block::{Block, BlockStore};
use std::mem;
use tokio::sync::OwnedSemaphorePermit;
use tracing::debug;

/// Batches hashed at once.
pub(super) const JOBS_MAX: usize = 2;

/// Bytes hashed in the engine's own task; more is handed to the blocking pool.
const INLINE_LEN_MAX: usize = 64 * 1024;

/// A block this much shorter than the message it came in is copied out of it, so that keeping
/// the one does not keep the other.
const COPY_FRACTION: usize = 64;

/// Blocks waiting to be hashed.
#[derive(Default)]
pub(super) struct Receiving {
    messages: Vec<Blocks>,
    jobs: usize,
}

/// The blocks of one message.
struct Blocks {
    peer: PeerId,
    data: Vec<(Prefix, Bytes)>,
    permit: Option<OwnedSemaphorePermit>,
}

impl<S: BlockStore + Clone + 'static> Engine<S> {
    pub(super) fn on_message(
        &mut self,
        link: Link,
        message: Message,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let peer = link.peer;
        let Message { wants, full, blocks, presences } = message;
        self.stat.messages_received += 1;
        if !self.connections.has(&peer) {
            return;
        }
        if self.serve && (full || !wants.is_empty()) {
            self.server.wants(peer, wants, full);
        }
        if !blocks.is_empty() || !presences.is_empty() {
            self.client.progress(peer, self.clock.monotonic());
        }
        for (cid, has) in presences {
            self.client.presence(peer, &cid, has);
        }
        if !blocks.is_empty() {
            self.on_blocks(peer, blocks, permit);
        }
    }

    /// Takes what a web server has given; it was checked where it came in.
    pub(super) fn on_fetched(&mut self, link: Link, gift: Gift) {
        let peer = link.peer;
        if !self.connections.has(&peer) {
            return;
        }
        self.client.progress(peer, self.clock.monotonic());
        match gift {
            Gift::Presence(cid, has) => self.client.presence(peer, &cid, has),
            Gift::Block(block) => {
                let len = block.data().len() as u64;
                self.stat.blocks_received += 1;
                self.stat.data_received += len;
                let account = self.account(peer);
                account.received += len;
                account.exchanged += 1;
                self.on_block(peer, &block);
            }
        }
    }

    fn on_blocks(
        &mut self,
        peer: PeerId,
        blocks: Vec<(Prefix, Bytes)>,
        permit: Option<OwnedSemaphorePermit>,
    ) {
        let len: usize = blocks.iter().map(|(_, data)| data.len()).sum();
        self.stat.blocks_received += blocks.len() as u64;
        self.stat.data_received += len as u64;
        let account = self.account(peer);
        account.received += len as u64;
        account.exchanged += 1;
        if self.client.is_idle() && self.client.may_expect(peer) == 0 {
            self.on_unasked(peer, blocks.len());
            return;
        }
        self.receiving.messages.push(Blocks { peer, data: blocks, permit });
    }

    /// Hands everything received meanwhile to the hasher, as one batch.
    pub(super) fn start_naming(&mut self) {
        let receiving = &mut self.receiving;
        if receiving.messages.is_empty() || receiving.jobs >= JOBS_MAX {
            return;
        }
        let messages = mem::take(&mut receiving.messages);
        let lens = messages.iter().flat_map(|one| &one.data).map(|(_, data)| data.len());
        receiving.jobs += 1;
        if lens.sum::<usize>() <= INLINE_LEN_MAX {
            let named = name(messages);
            return self.on_named(named);
        }
        let done = self.done.clone();
        self.tasks.spawn("bitswap hashing", async move {
            let named = cairn_runtime::blocking(move || name(messages)).await;
            // The engine is gone only when everything stops.
            drop(done.send(Done::Named(named)).await);
        });
    }

    pub(super) fn on_named(&mut self, named: Vec<(PeerId, Vec<Block>)>) {
        self.receiving.jobs -= 1;
        for (peer, blocks) in named {
            for block in blocks {
                self.on_block(peer, &block);
            }
        }
    }

    fn on_block(&mut self, peer: PeerId, block: &Block) {
        let len = block.data().len();
        match self.client.block(peer, block.cid().multihash(), len) {
            Receipt::Wanted(waiters) => {
                if self.serve {
                    self.server.offer(block);
                }
                self.recent.insert(block, self.clock.monotonic());
                for waiter in waiters {
                    let renamed = block.clone().rename(waiter.cid);
                    if let Some(answers) = self.fetches.get(&waiter.fetch)
                        && answers.try_send((waiter.place, renamed)).is_err()
                    {
                        debug!("a block came for a fetch that is over");
                    }
                }
            }
            Receipt::Duplicate => {
                self.stat.dup_blocks_received += 1;
                self.stat.dup_data_received += len as u64;
            }
            Receipt::Unasked => self.on_unasked(peer, 1),
        }
    }

    fn on_unasked(&mut self, peer: PeerId, count: usize) {
        self.stat.unasked_blocks_received += count as u64;
        let offences = self.offences.entry(peer).or_default();
        offences.unasked = offences.unasked.saturating_add(count as u32);
        if offences.unasked >= UNASKED_BLOCKS_MAX {
            self.punish(peer);
        }
    }
}

/// Hashes the blocks of many messages at once.
fn name(messages: Vec<Blocks>) -> Vec<(PeerId, Vec<Block>)> {
    let mut batch: Vec<Unverified> = Vec::new();
    let mut named = Vec::with_capacity(messages.len());
    let mut permits = Vec::with_capacity(messages.len());
    for (place, message) in messages.into_iter().enumerate() {
        let len: usize = message.data.iter().map(|(_, data)| data.len()).sum();
        for (prefix, data) in message.data {
            let is_small = data.len() < len / COPY_FRACTION;
            let data = if is_small { Bytes::copy_from_slice(&data) } else { data };
            batch.push((place, prefix, data));
        }
        named.push((message.peer, Vec::new()));
        permits.push(message.permit);
    }
    for (place, block) in verify::name_blocks(batch) {
        named[place].1.push(block);
    }
    named
}
