//! Announcing many keys: region by region of the keyspace, not key by key.
//!
//! A lookup finds the twenty servers nearest to one key. Keys that lie near each other are kept
//! by nearly the same servers, so all servers of a region are found once, with two or three
//! lookups, and each is then told of all its keys over one stream. The lookups of a round depend
//! on how many servers there are, not on how many keys.
//!
//! A lookup for a target knows every server that is nearer to it than the farthest it has found;
//! so of two halves of a region it knows the target's own whole. The other half is looked at with
//! a name that lies in it, until all halves are known.
//!
//! Spec: IPFS Kademlia DHT, "Provider Record Routing", pinned in `spec/PINS.toml`.
//! Invariants: a key goes to the [`BUCKET_LEN_MAX`] servers nearest to it, as far as they answer;
//! at most [`TELLS_MAX`] servers are told at once, [`BATCH_LEN`] keys each; a region that cannot
//! be looked at costs its keys, and not the round.
//! Not here: which keys there are and when their turn comes (`cairn-node`).

use super::{
    Dht,
    place::{PLACE_BITS, Place},
    scope::Contact,
    table::BUCKET_LEN_MAX,
    wire::{Kind, Message},
};
use crate::routing::RoutingError;
use futures::{StreamExt as _, stream};
use std::{collections::BTreeMap, ops::AddAssign};
use tracing::debug;

/// Servers told at once.
const TELLS_MAX: usize = 16;

/// Keys told over one stream.
const BATCH_LEN: usize = 256;

/// Lookups for one region; a network that needs more is not what it says it is.
const REGION_LOOKUPS_MAX: usize = 16;

/// Longest prefix for which a name is searched by trying.
const TRIED_BITS_MAX: u32 = 22;

/// What came of announcing keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swept {
    /// Keys that at least one server was told of.
    pub keys: u64,
    /// Keys that nobody could be told of.
    pub missed: u64,
    /// Announcements, each of one key to one server.
    pub told: u64,
    /// Lookups made.
    pub lookups: u64,
    /// Regions that the keys lay in.
    pub regions: u64,
}

impl AddAssign for Swept {
    fn add_assign(&mut self, more: Self) {
        self.keys += more.keys;
        self.missed += more.missed;
        self.told += more.told;
        self.lookups += more.lookups;
        self.regions += more.regions;
    }
}

/// A part of the keyspace: all places that begin with the same bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Region {
    place: Place,
    bits: u32,
}

impl Region {
    fn holds(&self, place: &Place) -> bool {
        self.place.common_bits(place) >= self.bits
    }
}

impl Dht {
    /// Announces keys, given with their places and sorted by them.
    pub(crate) async fn sweep(&self, keys: &[(Place, Vec<u8>)]) -> Result<Swept, RoutingError> {
        let mut swept = Swept::default();
        // Without an address there is nothing to tell, and nobody needs to be looked up.
        let own = self.own_contact().await?;
        let mut rest = keys;
        while let Some((place, key)) = rest.first() {
            let (region, servers) = self.explore(place, key, &mut swept).await?;
            let len = rest.iter().take_while(|(place, _)| region.holds(place)).count();
            // The first key lies in its own region.
            let (here, after) = rest.split_at(len.max(1));
            rest = after;
            swept.regions += 1;
            self.tell_region(here, (&own, &servers), &mut swept).await;
        }
        Ok(swept)
    }

    /// Finds the region of a key that holds enough servers, and all of them.
    async fn explore(
        &self,
        place: &Place,
        key: &[u8],
        swept: &mut Swept,
    ) -> Result<(Region, Vec<Contact>), RoutingError> {
        let mut servers = BTreeMap::new();
        let known = self.look_at(key, &mut servers, swept).await?;
        // Half of it is known already; with the other half there are at least twenty.
        let region = Region { place: *place, bits: known.saturating_sub(1) };
        let mut unknown = Vec::new();
        if known > 0 {
            unknown.push(sibling(place, known));
        }
        let mut lookups = 1;
        while let Some(part) = unknown.pop() {
            if lookups >= REGION_LOOKUPS_MAX || part.bits > TRIED_BITS_MAX {
                break;
            }
            lookups += 1;
            let part_of = part;
            let name = cairn_runtime::blocking(move || name_in(&part_of)).await;
            let Some(name) = name else { continue };
            let known = self.look_at(&name, &mut servers, swept).await?;
            let target = Place::of_key(&name);
            // What of this part lies beside what is known now.
            unknown.extend((part.bits + 1..=known).map(|bits| sibling(&target, bits)));
        }
        Ok((region, servers.into_values().collect()))
    }

    /// Looks up a name, and returns how many bits a place must share with it to be known whole.
    async fn look_at(
        &self,
        name: &[u8],
        servers: &mut BTreeMap<Place, Contact>,
        swept: &mut Swept,
    ) -> Result<u32, RoutingError> {
        swept.lookups += 1;
        let nearest = self.nearest(Message::ask(Kind::FindNode, name), None).await?;
        let target = Place::of_key(name);
        let places: Vec<Place> =
            nearest.iter().map(|contact| Place::of_peer(&contact.peer)).collect();
        let farthest = places.last().filter(|_| nearest.len() >= BUCKET_LEN_MAX);
        // With fewer than twenty there are no others: everything is known.
        let known = farthest.map_or(0, |farthest| farthest.common_bits(&target) + 1);
        servers.extend(places.into_iter().zip(nearest));
        Ok(known.min(PLACE_BITS - 1))
    }

    /// Tells each server of the keys that it is among the nearest of.
    async fn tell_region(
        &self,
        keys: &[(Place, Vec<u8>)],
        (own, servers): (&Contact, &[Contact]),
        swept: &mut Swept,
    ) {
        let places: Vec<Place> = servers.iter().map(|one| Place::of_peer(&one.peer)).collect();
        let mut of_server: Vec<Vec<usize>> = vec![Vec::new(); servers.len()];
        for (number, (place, _)) in keys.iter().enumerate() {
            let mut order: Vec<usize> = (0..servers.len()).collect();
            let distance = |server: &usize| places[*server].distance(place);
            if order.len() > BUCKET_LEN_MAX {
                order.select_nth_unstable_by_key(BUCKET_LEN_MAX, distance);
                order.truncate(BUCKET_LEN_MAX);
            }
            for server in order {
                of_server[server].push(number);
            }
        }
        let batches = servers.iter().zip(&of_server).flat_map(|(server, numbers)| {
            numbers.chunks(BATCH_LEN).map(move |numbers| (server, numbers))
        });
        let tell = |(server, numbers): (&Contact, &[usize])| {
            let message = |number: &usize| Message::add_provider(&keys[*number].1, own);
            let messages = numbers.iter().map(message).collect();
            let (server, numbers) = (server.clone(), numbers.to_vec());
            async move { (self.shared.rpc.tell(&server, messages).await, server, numbers) }
        };
        let tells: Vec<_> = batches.map(tell).collect();
        let mut told = stream::iter(tells).buffer_unordered(TELLS_MAX);
        let mut reached = vec![false; keys.len()];
        while let Some((result, server, numbers)) = told.next().await {
            match result {
                Ok(()) => {
                    swept.told += numbers.len() as u64;
                    for number in numbers {
                        reached[number] = true;
                    }
                }
                Err(error) => debug!(peer = %server.peer, %error, "was not told"),
            }
        }
        let keys_told = reached.iter().filter(|reached| **reached).count();
        swept.keys += keys_told as u64;
        swept.missed += (keys.len() - keys_told) as u64;
    }
}

/// The region of `bits` bits that shares all but the last of them with `place`.
fn sibling(place: &Place, bits: u32) -> Region {
    let mut other = *place;
    let bit = bits - 1;
    other.0[(bit / 8) as usize] ^= 0x80 >> (bit % 8);
    Region { place: other, bits }
}

/// Some bytes whose place lies in a region; found by trying.
fn name_in(region: &Region) -> Option<Vec<u8>> {
    // Each try hits with a chance of one in 2^bits.
    let tries = 1_u64 << (region.bits + 6).min(28);
    (0..tries)
        .map(|number| [&region.place.0[..8], &number.to_le_bytes()].concat())
        .find(|name| region.holds(&Place::of_key(name)))
}

#[cfg(test)]
mod tests;
