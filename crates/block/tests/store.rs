//! The store in memory keeps the contract.

use cairn_block::MemoryStore;
use cairn_testkit::{SlowStore, block_on, blockstore_contract};
use std::sync::Arc;

#[test]
fn memory_keeps_the_contract() {
    block_on(blockstore_contract(&MemoryStore::default()));
}

#[test]
fn a_shared_slow_store_keeps_it_too() {
    let store = Arc::new(MemoryStore::default());
    block_on(blockstore_contract(&SlowStore::new(store, 3)));
}
