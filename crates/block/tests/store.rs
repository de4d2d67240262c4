//! The store in memory keeps the contract.

use cairn_block::MemoryStore;
use cairn_testkit::{SlowStore, block_on, blockstore_contract};
use std::sync::Arc;

#[test]
fn memory_keeps_the_contract() {
    let store = MemoryStore::default();
    block_on(blockstore_contract(&store));
    assert!(store.len() > 500, "the suite put {} blocks", store.len());
}

#[test]
fn a_shared_slow_store_keeps_it_too() {
    let store = Arc::new(MemoryStore::default());
    let slow = SlowStore::new(store, 3);
    block_on(blockstore_contract(&slow));
    assert!(slow.in_flight_max() > 1, "the suite asks concurrently");
}
