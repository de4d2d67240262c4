//! What a DHT server keeps for others: who provides what, and small signed values.
//!
//! All of it is soft state, which its owners announce again within a day. So what arrives is
//! only noted in memory, and a task writes it into a file of its own behind everybody's back;
//! look-ups read both, on the blocking pool. Losing the file costs nothing but those announcements.
//!
//! Spec: IPFS Kademlia DHT, "Provider Record Routing", "Value Store", pinned in `spec/PINS.toml`.
//! Invariants: at most [`PENDING_MAX`] changes wait in memory, [`PROVIDERS_MAX`] records and
//! [`VALUES_MAX`] values are kept, [`KEY_PROVIDERS_MAX`] of one key; expiry goes by the calendar,
//! so it holds across restarts; nothing here runs in the swarm's poll.
//! Not here: who may store what (`server.rs`), the file's form (`records/file.rs`).

mod file;

use super::{
    place::Place,
    scope::{CONTACT_ADDRS_MAX, Contact},
};
use crate::{Multiaddr, PeerId};
use cairn_runtime::{BlockingLanes, Clock};
use file::File;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};
use tracing::warn;

/// How long it counts that a peer provides something. Source: the specification.
const PROVIDER_AGE_MAX: Duration = Duration::from_hours(48);

/// How long a provider's addresses are told. Source: the specification.
const ADDRS_AGE_MAX: Duration = Duration::from_hours(24);

/// How long a value is kept at most.
const VALUE_AGE_MAX: Duration = Duration::from_hours(48);

/// Provider records kept in all.
pub(crate) const PROVIDERS_MAX: u64 = 4_000_000;

/// Values kept in all.
const VALUES_MAX: u64 = 65_536;

/// Providers kept of one key; those who have not announced it for longest go first.
pub(crate) const KEY_PROVIDERS_MAX: usize = 256;

/// Changes that may wait to be written.
pub(crate) const PENDING_MAX: usize = 16_384;

/// How long a change waits to be written at most.
const WRITE_DELAY: Duration = Duration::from_secs(5);

/// How often what has expired is removed.
const SWEEP_INTERVAL: Duration = Duration::from_hours(1);

/// Look-ups that read the file at once.
const READERS_MAX: usize = 4;

/// Why something was not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    /// Too much arrives at once.
    Pending,
    /// There is as much as there may be.
    Records,
}

/// Seconds since 1970, as the file holds them.
type Seconds = u64;

/// One provider of one key, in memory or in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Provider {
    peer: PeerId,
    expires: Seconds,
}

/// What waits to be written.
#[derive(Debug, Default)]
struct Pending {
    providers: HashMap<Place, Vec<Provider>>,
    addrs: HashMap<PeerId, (Seconds, Vec<Multiaddr>)>,
    values: HashMap<Place, (Seconds, Vec<u8>)>,
    len: usize,
}

/// Handle on the records; cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Records {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// What arrives, and what is being written and not yet in the file.
    pending: Mutex<(Pending, Arc<Pending>)>,
    file: File,
    readers: BlockingLanes,
    clock: Clock,
    is_half_full: Notify,
    providers: AtomicU64,
    values: AtomicU64,
}

impl Records {
    /// Opens the file at `path`, or begins an empty one if that is damaged; without a path
    /// everything stays in memory. Blocks on the disk.
    pub(crate) fn open(path: Option<PathBuf>, clock: Clock) -> Self {
        let file = File::open(path);
        let (providers, values) = file.counts();
        let shared = Shared {
            pending: Mutex::default(),
            file,
            readers: BlockingLanes::new(READERS_MAX),
            clock,
            is_half_full: Notify::new(),
            providers: AtomicU64::new(providers),
            values: AtomicU64::new(values),
        };
        Self { shared: Arc::new(shared) }
    }

    /// How many provider records there are, nearly.
    pub(crate) fn provider_count(&self) -> u64 {
        self.shared.providers.load(Ordering::Relaxed)
    }

    /// How many values there are, nearly.
    pub(crate) fn value_count(&self) -> u64 {
        self.shared.values.load(Ordering::Relaxed)
    }

    /// Notes that `provider` has what the key at `place` names.
    pub(crate) fn add_provider(&self, place: Place, provider: Contact) -> Result<(), Full> {
        if self.provider_count() >= PROVIDERS_MAX {
            return Err(Full::Records);
        }
        let now = self.shared.clock.now();
        let expires = seconds(now + PROVIDER_AGE_MAX);
        let mut pending = self.shared.pending();
        let arriving = pending.0.room(&self.shared.is_half_full)?;
        let known = arriving.providers.entry(place).or_default();
        if let Some(known) = known.iter_mut().find(|known| known.peer == provider.peer) {
            known.expires = expires;
        } else {
            // The oldest stands first.
            if known.len() >= KEY_PROVIDERS_MAX {
                known.remove(0);
            } else {
                arriving.len += 1;
            }
            known.push(Provider { peer: provider.peer, expires });
        }
        if !provider.addrs.is_empty() {
            let row = (seconds(now + ADDRS_AGE_MAX), provider.addrs);
            if arriving.addrs.insert(provider.peer, row).is_none() {
                arriving.len += 1;
            }
        }
        Ok(())
    }

    /// Keeps a value that has been checked, until `expiry` or two days from now.
    pub(crate) fn put_value(
        &self,
        place: Place,
        value: Vec<u8>,
        expiry: Option<SystemTime>,
    ) -> Result<(), Full> {
        if self.value_count() >= VALUES_MAX {
            return Err(Full::Records);
        }
        let latest = self.shared.clock.now() + VALUE_AGE_MAX;
        let expires = seconds(expiry.map_or(latest, |expiry| expiry.min(latest)));
        let mut pending = self.shared.pending();
        let arriving = pending.0.room(&self.shared.is_half_full)?;
        if arriving.values.insert(place, (expires, value)).is_none() {
            arriving.len += 1;
        }
        Ok(())
    }

    /// Who provides what the key at `place` names, latest announcement first, at most `count`.
    ///
    /// Those whose addresses are no longer known have none.
    pub(crate) async fn providers(&self, place: Place, count: usize) -> Vec<Contact> {
        let shared = Arc::clone(&self.shared);
        self.shared.readers.run(move || shared.look_up(&place, count)).await
    }

    /// The value at `place`.
    pub(crate) async fn value(&self, place: Place) -> Option<Vec<u8>> {
        let shared = Arc::clone(&self.shared);
        let found = self.shared.readers.run(move || {
            let pending = {
                let pending = shared.pending();
                let noted = pending.0.values.get(&place).or_else(|| pending.1.values.get(&place));
                noted.cloned()
            };
            let now = seconds(shared.clock.now());
            let found = pending.or_else(|| shared.file.value(&place));
            found.filter(|(expires, _)| *expires > now).map(|(_, value)| value)
        });
        found.await
    }

    /// Writes what arrives and removes what expires, for ever.
    pub(crate) async fn write_behind(self) {
        let mut since_sweep = Duration::ZERO;
        loop {
            let begun = self.shared.clock.monotonic();
            drop(timeout(WRITE_DELAY, self.shared.is_half_full.notified()).await);
            self.write().await;
            since_sweep += self.shared.clock.monotonic().saturating_duration_since(begun);
            if since_sweep >= SWEEP_INTERVAL {
                since_sweep = Duration::ZERO;
                self.sweep().await;
            }
        }
    }

    /// Writes everything that has arrived until now.
    pub(crate) async fn write(&self) {
        let shared = Arc::clone(&self.shared);
        let wrote = cairn_runtime::blocking(move || {
            let writing = {
                let mut pending = shared.pending();
                pending.1 = Arc::new(std::mem::take(&mut pending.0));
                Arc::clone(&pending.1)
            };
            let wrote = if writing.len == 0 { Ok(()) } else { shared.file.write(&writing) };
            shared.pending().1 = Arc::default();
            shared.count();
            wrote
        });
        if let Err(error) = wrote.await {
            warn!(%error, "records that the node keeps for others were lost");
        }
    }

    /// Removes what has expired, a slice at a time.
    pub(crate) async fn sweep(&self) {
        /// Between two slices others may write.
        const PAUSE: Duration = Duration::from_millis(20);
        let mut from = Some(Vec::new());
        while let Some(start) = from {
            let shared = Arc::clone(&self.shared);
            let swept = cairn_runtime::blocking(move || {
                let next = shared.file.sweep(&start, seconds(shared.clock.now()));
                shared.count();
                next
            });
            from = swept.await;
            sleep(PAUSE).await;
        }
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, (Pending, Arc<Pending>)> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn count(&self) {
        let (providers, values) = self.file.counts();
        self.providers.store(providers, Ordering::Relaxed);
        self.values.store(values, Ordering::Relaxed);
    }

    fn look_up(&self, place: &Place, count: usize) -> Vec<Contact> {
        let now = seconds(self.clock.now());
        let mut found = self.file.providers(place);
        {
            let pending = self.pending();
            for noted in [&*pending.1, &pending.0] {
                for provider in noted.providers.get(place).into_iter().flatten() {
                    found.retain(|known| known.peer != provider.peer);
                    found.push(*provider);
                }
            }
        }
        found.retain(|provider| provider.expires > now);
        found.sort_by_key(|provider| std::cmp::Reverse(provider.expires));
        found.truncate(count);
        let contact = |provider: Provider| {
            let addrs = self.addrs(&provider.peer).filter(|(expires, _)| *expires > now);
            let addrs = addrs.map(|(_, addrs)| addrs).unwrap_or_default();
            Contact { peer: provider.peer, addrs }
        };
        found.into_iter().map(contact).collect()
    }

    fn addrs(&self, peer: &PeerId) -> Option<(Seconds, Vec<Multiaddr>)> {
        let noted = {
            let pending = self.pending();
            pending.0.addrs.get(peer).or_else(|| pending.1.addrs.get(peer)).cloned()
        };
        noted.or_else(|| self.file.addrs(peer))
    }
}

impl Pending {
    /// Itself, if one more change may wait.
    fn room(&mut self, is_half_full: &Notify) -> Result<&mut Self, Full> {
        if self.len >= PENDING_MAX / 2 {
            is_half_full.notify_one();
        }
        if self.len >= PENDING_MAX { Err(Full::Pending) } else { Ok(self) }
    }
}

fn seconds(time: SystemTime) -> Seconds {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// Addresses as the file holds them: each with its length before it.
fn encode_addrs(addrs: &[Multiaddr]) -> Vec<u8> {
    let mut out = Vec::new();
    for addr in addrs.iter().take(CONTACT_ADDRS_MAX) {
        let bytes = addr.to_vec();
        out.extend_from_slice(&u16::try_from(bytes.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(&bytes[..bytes.len().min(u16::MAX.into())]);
    }
    out
}

fn decode_addrs(mut bytes: &[u8]) -> Vec<Multiaddr> {
    let mut addrs = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk::<2>() {
        let len = usize::from(u16::from_le_bytes(*len));
        let Some((addr, rest)) = rest.split_at_checked(len) else { break };
        addrs.extend(Multiaddr::try_from(addr.to_vec()));
        bytes = rest;
    }
    addrs
}

#[cfg(test)]
mod tests;
