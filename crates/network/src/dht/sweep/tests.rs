//! Rounds over simulated networks: every key at its twenty nearest, with few lookups.

use super::{super::tests::World, BUCKET_LEN_MAX, Swept};
use crate::{
    PeerId,
    dht::{
        Dht,
        place::Place,
        tests::{crowd, node, nodes},
    },
};
use std::{collections::HashMap, sync::Arc, sync::atomic::Ordering};

fn keys(count: u64) -> Vec<(Place, Vec<u8>)> {
    let key = |number: u64| {
        let digest = cairn_hash::sha256(&number.to_le_bytes());
        let key = cairn_hash::Multihash::sha2_256(digest).to_bytes();
        (Place::of_key(&key), key)
    };
    let mut keys: Vec<_> = (0..count).map(key).collect();
    keys.sort();
    keys
}

/// With how many of the twenty nearest of all `servers` each key is kept, on average and times
/// a hundred.
async fn kept(servers: &[Dht], keys: &[(Place, Vec<u8>)], own: PeerId) -> usize {
    let by_peer: HashMap<PeerId, &Dht> = servers.iter().map(|dht| (dht.shared.own, dht)).collect();
    let mut kept = 0;
    for (place, _) in keys {
        let mut nearest: Vec<PeerId> =
            by_peer.keys().copied().filter(|peer| *peer != own).collect();
        nearest.sort_by_key(|peer| Place::of_peer(peer).distance(place));
        for peer in &nearest[..BUCKET_LEN_MAX.min(nearest.len())] {
            let found = by_peer[peer].shared.records.providers(*place, 20).await;
            kept += usize::from(found.iter().any(|contact| contact.peer == own));
        }
    }
    kept * 100 / keys.len()
}

#[tokio::test]
async fn every_key_reaches_its_twenty_nearest_servers() {
    let world = Arc::new(World::default());
    let servers = nodes(&world, 150).await;
    let own = &servers[0];
    let keys = keys(300);
    let swept = own.sweep(&keys).await.unwrap();
    assert_eq!((swept.keys, swept.missed), (300, 0), "{swept:?}");
    assert_eq!(swept.told, 300 * 20);
    assert!(swept.lookups < 60, "{swept:?}");
    let kept = kept(&servers, &keys, own.shared.own).await;
    assert!(kept > 1950, "{kept}");
}

#[tokio::test]
async fn a_small_network_is_one_region() {
    let world = Arc::new(World::default());
    let servers = nodes(&world, 6).await;
    let keys = keys(1000);
    let swept = servers[0].sweep(&keys).await.unwrap();
    let expected = Swept { keys: 1000, missed: 0, told: 5000, lookups: 1, regions: 1 };
    assert_eq!(swept, expected);
}

#[tokio::test]
async fn without_servers_nothing_is_claimed() {
    let world = Arc::new(World::default());
    assert!(node(&world, 1).sweep(&keys(3)).await.is_err());
}

#[tokio::test]
async fn a_round_over_ten_thousand_servers_takes_few_lookups() {
    let world = Arc::new(World::default());
    let servers = crowd(&world, 10_000).await;
    let keys = keys(20_000);
    world.told.store(0, Ordering::Relaxed);
    let swept = servers[0].sweep(&keys).await.unwrap();
    assert_eq!((swept.keys, swept.missed), (20_000, 0), "{swept:?}");
    // It depends on the servers, not on the keys: a region of thirty takes two or three.
    assert!(swept.lookups <= 3500, "{swept:?}");
    assert!(swept.regions >= 200, "{swept:?}");
    let some: Vec<_> = keys.iter().step_by(1000).cloned().collect();
    let kept = kept(&servers, &some, servers[0].shared.own).await;
    assert!(kept > 1800, "{kept}");
}
