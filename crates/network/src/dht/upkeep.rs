//! Keeping the routing table fresh: joining, looking around, and asking those who are silent.
//!
//! Spec: IPFS Kademlia DHT, "Routing Table Refresh", "Bootstrap Process", pinned in
//! `spec/PINS.toml`.
//! Invariant: an idle node makes at most [`REFRESH_LOOKUPS_MAX`] lookups each
//! [`REFRESH_INTERVAL`].

use super::{Dht, Shared, place::Place, table::BUCKET_LEN_MAX, wire::Kind, wire::Message};
use futures::{StreamExt as _, stream};
use std::time::Duration;
use tokio::time::{sleep, timeout};
use tracing::debug;

/// How often the whole table is looked over. Source: the specification.
const REFRESH_INTERVAL: Duration = Duration::from_mins(10);

/// The same, while it has only few peers.
const SMALL_INTERVAL: Duration = Duration::from_mins(1);

/// New peers are waited for so long before a look around, so that many cost one.
const GATHER: Duration = Duration::from_millis(200);

/// Lookups of one refresh.
const REFRESH_LOOKUPS_MAX: u32 = 16;

/// Silent peers asked at once.
const PINGS_MAX: usize = 8;

/// Looks around whenever the table has grown from little, and now and then, for ever.
pub(super) async fn run(dht: Dht) {
    loop {
        let is_small = dht.size() < BUCKET_LEN_MAX;
        let wait = if is_small { SMALL_INTERVAL } else { REFRESH_INTERVAL };
        let grown = timeout(wait, dht.shared.grown.notified()).await.is_ok();
        if dht.size() == 0 || (grown && !is_small) {
            continue;
        }
        if grown {
            sleep(GATHER).await;
            look_around(&dht).await;
        } else {
            ask_silent(&dht).await;
            refresh(&dht).await;
        }
    }
}

/// Searches for this node itself, which finds its neighbours and tells them of it.
pub(super) async fn look_around(dht: &Dht) {
    let own = dht.shared.own;
    let request = Message::ask(Kind::FindNode, &own.to_bytes());
    if let Err(error) = dht.nearest(request, None).await {
        debug!(dht = dht.name(), %error, "could not look around");
    }
}

async fn ask_silent(dht: &Dht) {
    let now = dht.shared.clock.monotonic();
    let silent = dht.shared.table().stale(Shared::silence_max(), now);
    let ask = |contact| async move {
        let request = Message::ask(Kind::FindNode, &dht.shared.own.to_bytes());
        match dht.shared.rpc.ask(&contact, request).await {
            Ok(_) => dht.answered(&contact),
            // It had ten minutes: one more chance would keep the dead for another ten.
            Err(_) => dht.shared.table().remove(&contact.peer),
        }
    };
    stream::iter(silent).for_each_concurrent(PINGS_MAX, ask).await;
}

/// Searches in every part of the keyspace that the table should know some peers of.
async fn refresh(dht: &Dht) {
    look_around(dht).await;
    let own = Place::of_peer(&dht.shared.own);
    let last = dht.shared.table().buckets().map(|(bits, _)| bits).last().unwrap_or(0);
    for bits in 0..=last.min(REFRESH_LOOKUPS_MAX - 1) {
        let is_full = {
            let table = dht.shared.table();
            let mut buckets = table.buckets();
            buckets.any(|(number, peers)| number == bits && peers.len() >= BUCKET_LEN_MAX)
        };
        if is_full {
            continue;
        }
        // A key is hashed, so a place can only be asked for by a name that happens to lie there:
        // peers answer by the name's hash. Short prefixes are found by trying.
        let Some(key) = cairn_runtime::blocking(move || name_beside(&own, bits)).await else {
            continue;
        };
        let request = Message::ask(Kind::FindNode, &key);
        drop(dht.nearest(request, None).await);
    }
}

/// Some bytes whose place shares exactly `bits` bits with `own`; found by trying.
pub(super) fn name_beside(own: &Place, bits: u32) -> Option<Vec<u8>> {
    // Each try hits with a chance of one in 2^(bits + 1).
    let tries = 1_u64 << (bits + 6).min(24);
    (0..tries)
        .map(|number| [&own.0[..8], &number.to_le_bytes()].concat())
        .find(|name| Place::of_key(name).common_bits(own) == bits)
}

#[cfg(test)]
mod tests {
    use super::{REFRESH_LOOKUPS_MAX, name_beside};
    use crate::dht::place::Place;

    #[test]
    fn names_are_found_in_every_part_that_is_refreshed() {
        let own = Place::of_key(b"own");
        for bits in 0..REFRESH_LOOKUPS_MAX {
            let name = name_beside(&own, bits).unwrap();
            assert_eq!(Place::of_key(&name).common_bits(&own), bits);
        }
    }
}
