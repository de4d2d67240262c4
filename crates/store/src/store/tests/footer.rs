//! What full packs say of themselves: used when it is whole, and never more than that.

use super::{assert_has, block, get, listed, memory, names, open, pack, read, root, write};
use crate::store::record::RECORD_MAGIC;
use cairn_block::{Block, BlockError};
use cairn_runtime::{MemoryVfs, Vfs as _};

/// Records of these are 4,000 bytes.
const BLOCK_LEN: usize = 4_000 - 54 - 8;
const RECORD_LEN: usize = 4_000;

/// Bytes of a trailer's record.
const TRAILER_LEN: usize = 54 + 12;

fn blocks(count: u64) -> Vec<Block> {
    (0..count).map(|number| block(number, BLOCK_LEN)).collect()
}

/// A store of three packs of 4 MiB and part of another, written in `runs` processes.
fn four_packs(blocks: &[Block], runs: usize) -> MemoryVfs {
    let vfs = memory();
    for part in blocks.chunks(blocks.len().div_ceil(runs)) {
        let store = open(&vfs);
        store.append(part).unwrap();
        store.flush().unwrap();
    }
    vfs
}

fn lose_index(vfs: &MemoryVfs) {
    vfs.remove(&root().join("index")).unwrap();
}

/// Spoils the header of every record of a pack, but for its footer's.
fn spoil_headers(vfs: &MemoryVfs, number: u32) -> usize {
    let mut bytes = read(vfs, &pack(number));
    let is_record =
        |bytes: &[u8], at: usize| bytes[at..at + 4] == RECORD_MAGIC && bytes[at + 4] < 3;
    let mut count = 0;
    for at in (64..bytes.len() - TRAILER_LEN).step_by(RECORD_LEN) {
        if is_record(&bytes, at) {
            bytes[at + 1] ^= 1;
            count += 1;
        }
    }
    write(vfs, &pack(number), &bytes);
    count
}

#[test]
fn an_index_is_made_from_the_footers() {
    let blocks = blocks(3_600);
    for runs in [1, 5] {
        let vfs = four_packs(&blocks, runs);
        lose_index(&vfs);
        let per_pack = spoil_headers(&vfs, 1);
        assert!((1_000..1_049).contains(&per_pack), "{per_pack} blocks and a footer in 4 MiB");
        let store = open(&vfs);
        assert_eq!(listed(&store), names(&blocks), "{runs}: the names are whole");
        assert_has(&store, &blocks[per_pack..]);
        let answer = get(&store, &blocks[0]);
        assert!(matches!(answer, Err(BlockError::Corrupt { .. })), "{answer:?}");
        assert_eq!(store.damage(), []);
    }
}

#[test]
fn a_damaged_footer_is_not_needed() {
    let blocks = blocks(1_200);
    let whole = four_packs(&blocks, 1);
    let bytes = read(&whole, &pack(1));
    let end = bytes.len();
    let footer_len = 1_040 * 40;
    // In the trailer's header and data, in the part's header, in its data, and cut short.
    for at in [end - 1, end - 10, end - TRAILER_LEN, end - footer_len / 2, end - TRAILER_LEN - 1] {
        for cut in [false, true] {
            let vfs = whole.snapshot();
            let mut bytes = bytes.clone();
            if cut {
                bytes.truncate(at);
            } else {
                bytes[at] ^= 0x20;
            }
            write(&vfs, &pack(1), &bytes);
            lose_index(&vfs);
            let store = open(&vfs);
            assert_eq!(listed(&store), names(&blocks), "{at} {cut}");
            assert_has(&store, &blocks);
        }
    }
}

#[test]
fn what_was_torn_before_a_footer_stays_lost() {
    let blocks = blocks(1_200);
    let vfs = memory();
    let store = open(&vfs);
    store.append(&blocks).unwrap();
    // Nothing was flushed: a power cut may leave the footer, and not all that it names.
    let vfs = vfs.snapshot();
    drop(store);
    let mut bytes = read(&vfs, &pack(1));
    bytes[64 + 3 * RECORD_LEN + 500] ^= 1;
    write(&vfs, &pack(1), &bytes);
    let store = open(&vfs);
    assert!(matches!(get(&store, &blocks[3]), Ok(None)));
    store.flush().unwrap();
    drop(store);
    lose_index(&vfs);
    let store = open(&vfs);
    assert!(matches!(get(&store, &blocks[3]), Ok(None)), "although the footer said so");
    store.append(&blocks).unwrap();
    assert_has(&store, &blocks);
}

#[test]
fn short_records_have_no_footer() {
    let blocks: Vec<Block> = (0..60_000).map(|number| block(number, 20)).collect();
    let vfs = four_packs(&blocks, 1);
    let bytes = read(&vfs, &pack(1));
    assert!(bytes.len() > 4 * 1024 * 1024 - 2 * 82, "it takes no room either: {}", bytes.len());
    lose_index(&vfs);
    assert_eq!(listed(&open(&vfs)), names(&blocks));
}
