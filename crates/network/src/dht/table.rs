//! The routing table: the servers that are known, by how much of the keyspace they share.
//!
//! Bucket `n` holds peers that share exactly `n` leading bits with this node, so near peers are
//! known almost all and far ones by a sample. Who was there first stays as long as it answers:
//! old peers are the likeliest to be there tomorrow, and nobody can push them out.
//!
//! Spec: IPFS Kademlia DHT, "Routing Table", "IP Diversity Filter", pinned in `spec/PINS.toml`.
//! Invariants: at most [`BUCKET_LEN_MAX`] peers a bucket; in the public network at most
//! [`GROUP_PEERS_MAX`] of one group of IP addresses, [`GROUP_BUCKET_MAX`] in one bucket.
//! Not here: who is asked when (`upkeep.rs`, `lookup.rs`).

use super::{
    place::{PLACE_BITS, Place},
    scope::{Contact, IpGroup, Scope},
};
use crate::PeerId;
use std::time::{Duration, Instant};

/// Peers of one bucket, and of one answer: `k` of the specification.
pub(crate) const BUCKET_LEN_MAX: usize = 20;

/// Peers of one group of IP addresses in the whole table.
const GROUP_PEERS_MAX: usize = 3;

/// Peers of one group of IP addresses in one bucket.
const GROUP_BUCKET_MAX: usize = 2;

/// Requests in a row that a peer may leave unanswered.
const FAILURES_MAX: u32 = 2;

/// One peer of the table.
#[derive(Debug, Clone)]
pub(crate) struct Entry {
    pub(crate) contact: Contact,
    pub(crate) place: Place,
    pub(crate) added: Instant,
    /// When it last answered or connected.
    pub(crate) seen: Instant,
    /// When it last answered a request.
    pub(crate) useful: Option<Instant>,
    group: Option<IpGroup>,
    failures: u32,
}

/// What became of a peer that was to be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Insertion {
    /// It is new here.
    Added,
    /// It was here.
    Known,
    /// There is no room for it, or it is this node, or it has no address that counts.
    Refused,
}

/// The peers known, by distance.
#[derive(Debug)]
pub(crate) struct Table {
    own: Place,
    scope: Scope,
    buckets: Vec<Vec<Entry>>,
}

impl Table {
    pub(crate) fn new(own: Place, scope: Scope) -> Self {
        Self { own, scope, buckets: vec![Vec::new(); PLACE_BITS as usize] }
    }

    pub(crate) fn len(&self) -> usize {
        self.buckets.iter().map(Vec::len).sum()
    }

    /// The number of leading bits and the peers of every bucket that is not empty.
    pub(crate) fn buckets(&self) -> impl Iterator<Item = (u32, &[Entry])> {
        let numbered = (0_u32..).zip(&self.buckets);
        numbered.filter(|(_, bucket)| !bucket.is_empty()).map(|(bits, bucket)| (bits, &bucket[..]))
    }

    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.buckets.iter().flatten()
    }

    /// Where a peer of the table may be reached.
    pub(crate) fn get(&self, peer: &PeerId) -> Option<&Entry> {
        self.bucket(&Place::of_peer(peer))?.iter().find(|entry| entry.contact.peer == *peer)
    }

    /// Adds a peer that speaks the protocol; its addresses are filtered here.
    pub(crate) fn insert(&mut self, contact: Contact, now: Instant) -> Insertion {
        let place = Place::of_peer(&contact.peer);
        let addrs = self.scope.filter(contact.addrs);
        let bits = self.own.common_bits(&place) as usize;
        if addrs.is_empty() || bits >= self.buckets.len() {
            return Insertion::Refused;
        }
        let contact = Contact { addrs, ..contact };
        let known = self.buckets[bits].iter_mut().find(|entry| entry.contact.peer == contact.peer);
        if let Some(entry) = known {
            entry.contact = contact;
            entry.seen = now;
            entry.failures = 0;
            return Insertion::Known;
        }
        let group = self.group(&contact);
        if group.is_some_and(|group| self.is_crowded(bits, group)) {
            return Insertion::Refused;
        }
        let bucket = &mut self.buckets[bits];
        if bucket.len() >= BUCKET_LEN_MAX {
            // Only a peer that has not answered makes room.
            let Some(worst) = bucket.iter().position(|entry| entry.failures > 0) else {
                return Insertion::Refused;
            };
            bucket.remove(worst);
        }
        let (useful, failures) = (None, 0);
        bucket.push(Entry { contact, place, added: now, seen: now, useful, group, failures });
        Insertion::Added
    }

    fn group(&self, contact: &Contact) -> Option<IpGroup> {
        if self.scope == Scope::Wan { IpGroup::of(&contact.addrs) } else { None }
    }

    fn is_crowded(&self, bits: usize, group: IpGroup) -> bool {
        let is_of = |entry: &&Entry| entry.group == Some(group);
        self.buckets[bits].iter().filter(is_of).count() >= GROUP_BUCKET_MAX
            || self.entries().filter(is_of).count() >= GROUP_PEERS_MAX
    }

    /// A peer answered.
    pub(crate) fn answered(&mut self, peer: &PeerId, now: Instant) {
        if let Some(entry) = self.get_mut(peer) {
            entry.seen = now;
            entry.useful = Some(now);
            entry.failures = 0;
        }
    }

    /// A peer did not answer; one that often does not goes.
    pub(crate) fn failed(&mut self, peer: &PeerId) {
        let Some(entry) = self.get_mut(peer) else { return };
        entry.failures += 1;
        if entry.failures >= FAILURES_MAX {
            self.remove(peer);
        }
    }

    pub(crate) fn remove(&mut self, peer: &PeerId) {
        let bits = self.own.common_bits(&Place::of_peer(peer)) as usize;
        if let Some(bucket) = self.buckets.get_mut(bits) {
            bucket.retain(|entry| entry.contact.peer != *peer);
        }
    }

    /// The `count` peers nearest to `target`, nearest first.
    pub(crate) fn nearest(&self, target: &Place, count: usize) -> Vec<Contact> {
        let mut all: Vec<&Entry> = self.entries().collect();
        let distance = |entry: &&Entry| entry.place.distance(target);
        if all.len() > count {
            all.select_nth_unstable_by_key(count, distance);
            all.truncate(count);
        }
        all.sort_unstable_by_key(distance);
        all.into_iter().map(|entry| entry.contact.clone()).collect()
    }

    /// How many known peers are nearer to `target` than this node is.
    pub(crate) fn nearer_than_own(&self, target: &Place) -> usize {
        let own = self.own.distance(target);
        self.entries().filter(|entry| entry.place.distance(target) < own).count()
    }

    /// The peers that nobody has heard of for `age`.
    pub(crate) fn stale(&self, age: Duration, now: Instant) -> Vec<Contact> {
        let is_stale = |entry: &&Entry| now.saturating_duration_since(entry.seen) >= age;
        self.entries().filter(is_stale).map(|entry| entry.contact.clone()).collect()
    }

    fn bucket(&self, place: &Place) -> Option<&Vec<Entry>> {
        self.buckets.get(self.own.common_bits(place) as usize)
    }

    fn get_mut(&mut self, peer: &PeerId) -> Option<&mut Entry> {
        let bits = self.own.common_bits(&Place::of_peer(peer)) as usize;
        self.buckets.get_mut(bits)?.iter_mut().find(|entry| entry.contact.peer == *peer)
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKET_LEN_MAX, FAILURES_MAX, GROUP_PEERS_MAX, Insertion, Table};
    use crate::{
        PeerId,
        dht::{
            place::Place,
            scope::{Contact, Scope},
        },
    };
    use cairn_runtime::Clock;

    fn contact(addr: &str) -> Contact {
        Contact { peer: PeerId::random(), addrs: vec![addr.parse().unwrap()] }
    }

    fn public(group: usize, host: usize) -> Contact {
        contact(&format!("/ip4/{}.{}.0.{}/tcp/1", 20 + group / 256, group % 256, host))
    }

    #[test]
    fn old_peers_stay_and_dead_ones_make_room() {
        let now = Clock::system().monotonic();
        let own = Place::of_key(b"own");
        let mut table = Table::new(own, Scope::Wan);
        let mut far = (0..)
            .map(|group| public(group, 1))
            .filter(|contact| own.common_bits(&Place::of_peer(&contact.peer)) == 0);
        let first: Vec<_> = far.by_ref().take(BUCKET_LEN_MAX).collect();
        for contact in &first {
            assert_eq!(table.insert(contact.clone(), now), Insertion::Added);
            assert_eq!(table.insert(contact.clone(), now), Insertion::Known);
        }
        let late = far.next().unwrap();
        assert_eq!(table.insert(late.clone(), now), Insertion::Refused);
        table.failed(&first[3].peer);
        assert_eq!(table.insert(late.clone(), now), Insertion::Added);
        assert!(table.get(&first[3].peer).is_none() && table.get(&late.peer).is_some());
        for _ in 0..FAILURES_MAX {
            table.failed(&late.peer);
        }
        assert_eq!(table.len(), BUCKET_LEN_MAX - 1);
        table.remove(&first[0].peer);
        assert_eq!(table.len(), BUCKET_LEN_MAX - 2);
    }

    #[test]
    fn one_owner_of_addresses_gets_few_places_in_the_public_network() {
        let now = Clock::system().monotonic();
        let mut table = Table::new(Place::of_key(b"own"), Scope::Wan);
        for host in 0..200 {
            table.insert(public(1, host), now);
        }
        assert!((1..=GROUP_PEERS_MAX).contains(&table.len()), "{}", table.len());
        let mut lan = Table::new(Place::of_key(b"own"), Scope::Lan { loopback: false });
        for host in 0..30 {
            lan.insert(contact(&format!("/ip4/10.0.0.{host}/tcp/1")), now);
        }
        assert!(lan.len() > GROUP_PEERS_MAX, "a house has one range of addresses");
    }

    #[test]
    fn peers_without_a_fitting_address_are_refused() {
        let now = Clock::system().monotonic();
        let mut table = Table::new(Place::of_key(b"own"), Scope::Wan);
        for addr in ["/ip4/127.0.0.1/tcp/1", "/ip4/192.168.0.1/tcp/1", "/ip4/0.0.0.0/tcp/1"] {
            assert_eq!(table.insert(contact(addr), now), Insertion::Refused, "{addr}");
        }
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn the_nearest_are_the_nearest_of_all() {
        let now = Clock::system().monotonic();
        let mut table = Table::new(Place::of_key(b"own"), Scope::Lan { loopback: false });
        let mut all = Vec::new();
        for host in 0..250 {
            let contact = contact(&format!("/ip4/10.0.1.{host}/tcp/1"));
            if table.insert(contact.clone(), now) == Insertion::Added {
                all.push(contact);
            }
        }
        let target = Place::of_key(b"target");
        all.sort_by_key(|contact| Place::of_peer(&contact.peer).distance(&target));
        assert_eq!(table.nearest(&target, BUCKET_LEN_MAX), all[..BUCKET_LEN_MAX]);
        assert_eq!(table.nearest(&target, 10_000).len(), all.len());
        let own = Place::of_key(b"own").distance(&target);
        let nearer = all.iter().filter(|c| Place::of_peer(&c.peer).distance(&target) < own);
        assert_eq!(table.nearer_than_own(&target), nearer.count());
    }
}
