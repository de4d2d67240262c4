//! What is kept, for how long, and what a lost or damaged file costs.

use super::{Full, KEY_PROVIDERS_MAX, PENDING_MAX, Records};
use crate::{
    PeerId,
    dht::{place::Place, scope::Contact},
};
use cairn_runtime::Clock;
use std::{
    path::Path,
    time::{Duration, SystemTime},
};

fn clock() -> Clock {
    Clock::manual(SystemTime::UNIX_EPOCH + Duration::from_secs(1_780_000_000))
}

fn provider() -> Contact {
    let addrs = vec!["/ip4/8.8.8.8/tcp/4001".parse().unwrap()];
    Contact { peer: PeerId::random(), addrs }
}

fn open(folder: &Path, clock: &Clock) -> Records {
    Records::open(Some(folder.join("records.redb")), clock.clone())
}

#[tokio::test]
async fn providers_are_found_before_and_after_they_are_written_and_after_a_restart() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let records = open(folder.path(), &clock);
    let (key, other) = (Place::of_key(b"key"), Place::of_key(b"other"));
    let (first, second) = (provider(), provider());
    records.add_provider(key, first.clone()).unwrap();
    assert_eq!(records.providers(key, 20).await, std::slice::from_ref(&first));
    records.write().await;
    clock.advance(Duration::from_secs(1));
    records.add_provider(key, second.clone()).unwrap();
    assert_eq!(records.providers(key, 20).await, [second.clone(), first.clone()], "latest first");
    assert_eq!(records.providers(key, 1).await, std::slice::from_ref(&second));
    assert_eq!(records.providers(other, 20).await, []);
    records.write().await;
    assert_eq!(records.provider_count(), 2);
    drop(records);
    let records = open(folder.path(), &clock);
    assert_eq!(records.providers(key, 20).await, [second, first]);
}

#[tokio::test]
async fn addresses_expire_before_records_and_both_are_swept() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let records = open(folder.path(), &clock);
    let key = Place::of_key(b"key");
    let (early, late) = (provider(), provider());
    records.add_provider(key, early.clone()).unwrap();
    records.write().await;
    clock.advance(Duration::from_hours(25));
    let bare = Contact { addrs: vec![], ..early };
    assert_eq!(records.providers(key, 20).await, [bare], "its addresses are too old to tell");
    records.add_provider(key, late.clone()).unwrap();
    records.write().await;
    clock.advance(Duration::from_hours(23));
    assert_eq!(records.providers(key, 20).await, std::slice::from_ref(&late));
    assert_eq!(records.provider_count(), 2);
    records.sweep().await;
    assert_eq!(records.provider_count(), 1);
    assert_eq!(records.providers(key, 20).await, [late]);
}

#[tokio::test]
async fn values_end_when_they_say_or_after_two_days() {
    let clock = clock();
    let records = Records::open(None, clock.clone());
    let (short, long) = (Place::of_key(b"short"), Place::of_key(b"long"));
    let end = clock.now() + Duration::from_hours(1);
    records.put_value(short, b"a".to_vec(), Some(end)).unwrap();
    records.put_value(long, b"b".to_vec(), None).unwrap();
    assert_eq!(records.value(short).await.as_deref(), Some(&b"a"[..]));
    records.write().await;
    assert_eq!((records.value_count(), records.value(short).await), (2, Some(b"a".to_vec())));
    clock.advance(Duration::from_hours(1));
    assert_eq!(records.value(short).await, None);
    assert_eq!(records.value(long).await.as_deref(), Some(&b"b"[..]));
    clock.advance(Duration::from_hours(47));
    assert_eq!(records.value(long).await, None);
    records.sweep().await;
    assert_eq!(records.value_count(), 0);
}

#[tokio::test]
async fn a_damaged_file_costs_its_records_and_nothing_else() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let key = Place::of_key(b"key");
    let path = folder.path().join("records.redb");
    std::fs::write(&path, vec![0x5a; 100_000]).unwrap();
    let records = open(folder.path(), &clock);
    records.add_provider(key, provider()).unwrap();
    records.write().await;
    assert_eq!(records.providers(key, 20).await.len(), 1);
    drop(records);
    let mut bytes = std::fs::read(&path).unwrap();
    let len = bytes.len();
    bytes[512..len].fill(0x77);
    std::fs::write(&path, bytes).unwrap();
    let records = open(folder.path(), &clock);
    assert_eq!(records.providers(key, 20).await, []);
    records.add_provider(key, provider()).unwrap();
    records.write().await;
    assert_eq!(records.providers(key, 20).await.len(), 1);
}

#[tokio::test]
async fn floods_end_at_the_limits() {
    let records = Records::open(None, clock());
    let key = Place::of_key(b"popular");
    for _ in 0..3 * KEY_PROVIDERS_MAX {
        records.add_provider(key, provider()).unwrap();
    }
    assert_eq!(records.providers(key, usize::MAX).await.len(), KEY_PROVIDERS_MAX);
    records.write().await;
    for _ in 0..KEY_PROVIDERS_MAX {
        records.add_provider(key, provider()).unwrap();
    }
    records.write().await;
    assert_eq!(records.provider_count(), KEY_PROVIDERS_MAX as u64, "the oldest made room");
    let flooder = provider();
    let flood =
        |number: u64| records.add_provider(Place::of_key(&number.to_le_bytes()), flooder.clone());
    let taken = (0..2 * PENDING_MAX as u64).take_while(|number| flood(*number).is_ok()).count();
    assert!(taken < PENDING_MAX, "{taken}");
    assert_eq!(flood(u64::MAX), Err(Full::Pending));
    records.write().await;
    assert_eq!(flood(u64::MAX), Ok(()), "what is written makes room");
}
