//! What rots on disk: never wrong bytes, never more lost than is damaged.

use super::{assert_has, block, get, listed, memory, names, open, pack, read, root, write};
use crate::StoreError;
use crate::store::Store;
use cairn_block::{Block, BlockError};
use cairn_runtime::{Create, MemoryVfs, Vfs as _};
use std::{path::PathBuf, sync::Arc};

fn index() -> PathBuf {
    root().join("index")
}

/// A cleanly closed store of these blocks.
fn closed(blocks: &[Block]) -> MemoryVfs {
    let vfs = memory();
    let store = open(&vfs);
    store.append(blocks).unwrap();
    drop(store);
    vfs
}

#[test]
fn a_flipped_bit_costs_one_block_and_the_next_put_heals_it() {
    let blocks: Vec<Block> = (0..3).map(|number| block(number, 40)).collect();
    let whole = closed(&blocks);
    let bytes = read(&whole, &pack(1));
    let record_len = 48 + 54;
    for at in 0..bytes.len() {
        for lose_index in [false, true] {
            let vfs = whole.snapshot();
            let mut broken = bytes.clone();
            broken[at] ^= 1 << (at % 8);
            write(&vfs, &pack(1), &broken);
            if lose_index {
                vfs.remove(&index()).unwrap();
            }
            let store = open(&vfs);
            let hit = at.checked_sub(64).map(|at| at / record_len);
            for (number, block) in blocks.iter().enumerate() {
                let answer = get(&store, block);
                if hit != Some(number) {
                    assert_eq!(answer.unwrap().as_ref(), Some(block), "{at} {lose_index}");
                } else if !lose_index {
                    let corrupt =
                        matches!(&answer, Err(BlockError::Corrupt { cid }) if cid == block.cid());
                    assert!(corrupt, "{at}: {answer:?}");
                    assert!(get(&store, block).is_err(), "and again");
                    assert_eq!(store.lens(&[block.cid().clone()]).unwrap(), [None]);
                } else {
                    assert!(matches!(answer, Ok(None) | Err(BlockError::Corrupt { .. })), "{at}");
                }
            }
            store.append(&blocks).unwrap();
            assert_has(&store, &blocks);
            store.flush().unwrap();
            let again = open(&vfs.snapshot());
            assert_has(&again, &blocks);
            assert_eq!(listed(&again), names(&blocks));
        }
    }
}

#[test]
fn damage_in_the_middle_is_named_and_the_rest_is_found() {
    let blocks: Vec<Block> = (0..50).map(|number| block(number, 5000)).collect();
    let vfs = closed(&blocks);
    let mut bytes = read(&vfs, &pack(1));
    let record_len = 5008 + 54;
    bytes[64 + 10 * record_len..64 + 12 * record_len - 100].fill(0xcc);
    write(&vfs, &pack(1), &bytes);
    vfs.remove(&index()).unwrap();
    let store = open(&vfs);
    assert_has(&store, &blocks[..10]);
    assert_has(&store, &blocks[12..]);
    assert!(matches!(get(&store, &blocks[11]), Ok(None)));
    let damage = store.damage();
    assert_eq!(damage.len(), 1);
    assert!(damage[0].to_string().contains("000001.pack: 10124 bytes from 50684 on"), "{damage:?}");
}

#[test]
fn a_lost_garbled_or_foreign_index_is_made_again() {
    let blocks: Vec<Block> = (0..2000).map(|number| block(number, 20)).collect();
    let whole = closed(&blocks);
    let bytes = read(&whole, &index());
    let behind = read(&closed(&blocks[..500]), &index());
    let noise = cairn_testkit::Random::new(5).bytes(bytes.len());
    let mut zero_page = bytes.clone();
    zero_page[8192..12288].fill(0);
    let mut shifted = bytes.clone();
    shifted[4096..].rotate_right(16);
    let cases: [(&str, Option<&[u8]>); 9] = [
        ("lost", None),
        ("empty", Some(&[])),
        ("cut", Some(&bytes[..8192])),
        ("odd length", Some(&bytes[..bytes.len() - 1])),
        ("noise", Some(&noise)),
        ("header only", Some(&bytes[..4096])),
        ("of another store", Some(&behind)),
        ("a page of zeros", Some(&zero_page)),
        ("shifted", Some(&shifted)),
    ];
    for (name, bytes) in cases {
        let vfs = whole.snapshot();
        match bytes {
            Some(bytes) => write(&vfs, &index(), bytes),
            None => vfs.remove(&index()).unwrap(),
        }
        let store = open(&vfs);
        assert_has(&store, &blocks);
        assert!(matches!(get(&store, &block(5000, 1)), Ok(None)), "{name}");
        assert_eq!(store.stat().unwrap().block_count, 2000, "{name}");
        assert_eq!(listed(&store), names(&blocks), "{name}");
        drop(store);
        assert_has(&open(&vfs), &blocks);
    }
}

#[test]
fn an_index_that_is_behind_catches_up() {
    let vfs = memory();
    let store = open(&vfs);
    let blocks: Vec<Block> = (0..1000).map(|number| block(number, 20)).collect();
    store.append(&blocks[..400]).unwrap();
    store.close().unwrap();
    let behind = read(&vfs, &index());
    store.append(&blocks[400..]).unwrap();
    store.delete(blocks[3].cid()).unwrap();
    drop(store);
    write(&vfs, &index(), &behind);
    let store = open(&vfs);
    assert_has(&store, &blocks[4..]);
    assert!(matches!(get(&store, &blocks[3]), Ok(None)));
    assert_eq!(store.stat().unwrap().block_count, 999);
}

/// Something that touches every block.
type Use = fn(&Store, &[Block]);

/// The index rots while the store is open: whoever touches the page has it made again.
#[test]
fn an_index_garbled_under_way_is_made_again() {
    let blocks: Vec<Block> = (0..500).map(|number| block(number, 20)).collect();
    let uses: [(&str, Use); 4] = [
        ("read", |store, blocks| assert_has(store, blocks)),
        ("append", |store, blocks| store.append(blocks).unwrap()),
        ("delete", |store, blocks| {
            for block in blocks {
                assert!(store.delete(block.cid()).unwrap());
            }
            store.append(blocks).unwrap();
        }),
        ("list", |store, blocks| assert_eq!(listed(store), names(blocks))),
    ];
    for (name, act) in uses {
        let vfs = closed(&blocks);
        let store = open(&vfs);
        let file = vfs.open(&index(), Create::Never).unwrap();
        for page in 1..17 {
            let mut eight = [0; 8];
            file.read_at(&mut eight, page * 4096 + 800).unwrap();
            eight[2] ^= 1;
            file.write_all_at(&eight, page * 4096 + 800).unwrap();
        }
        act(&store, &blocks);
        assert_has(&store, &blocks);
        store.append(&[block(7777, 3)]).unwrap();
        drop(store);
        let store = open(&vfs);
        assert_has(&store, &blocks);
        assert_eq!(store.stat().unwrap().block_count, 501, "{name}");
    }
}

#[test]
fn a_lost_pack_is_named_and_its_blocks_can_be_put_again() {
    let vfs = memory();
    let store = open(&vfs);
    let blocks: Vec<Block> = (0..40).map(|number| block(number, 300_000)).collect();
    store.append(&blocks).unwrap();
    drop(store);
    vfs.remove(&pack(2)).unwrap();
    let store = open(&vfs);
    assert_eq!(store.damage().len(), 1);
    assert!(store.damage()[0].to_string().ends_with("000002.pack: missing"));
    let absent = blocks.iter().filter(|block| get(&store, block).unwrap().is_none()).count();
    assert!((10..20).contains(&absent), "{absent}");
    store.append(&blocks).unwrap();
    assert_has(&store, &blocks);
}

#[test]
fn a_pack_of_a_newer_format_is_refused() {
    let vfs = closed(&[block(1, 10)]);
    let mut bytes = read(&vfs, &pack(1));
    for half in bytes[..64].chunks_exact_mut(32) {
        half[7] = 3;
        let check = crc32fast::hash(&half[..28]);
        half[28..].copy_from_slice(&check.to_le_bytes());
    }
    write(&vfs, &pack(1), &bytes);
    let error = Store::open(Arc::new(vfs), root()).unwrap_err();
    assert!(matches!(error, StoreError::Newer { found: 3, .. }), "{error}");
}

#[test]
fn a_pack_kept_as_a_block_is_not_read_as_records() {
    let inner = closed(&[block(1, 10), block(2, 10)]);
    let nested = Block::sha2_256(cairn_block::codec::RAW, read(&inner, &pack(1)).into());
    let vfs = closed(&[nested.clone(), block(3, 10)]);
    // Damage the outer record's header, so that recovery searches inside its data.
    let mut bytes = read(&vfs, &pack(1));
    bytes[70] ^= 1;
    write(&vfs, &pack(1), &bytes);
    vfs.remove(&index()).unwrap();
    let store = open(&vfs);
    assert_eq!(listed(&store), names(&[block(3, 10)]));
}

/// Whoever adds a block is told that it is kept; so a copy that was never read is looked at.
#[test]
fn a_put_does_not_rely_on_a_copy_that_has_rotted() {
    let blocks: Vec<Block> = (0..20).map(|number| block(number, 1000)).collect();
    let vfs = closed(&blocks);
    let mut bytes = read(&vfs, &pack(1));
    for number in [3, 19] {
        bytes[64 + number * (1008 + 54) + 500] ^= 4;
    }
    let cut = bytes.len() - 1;
    write(&vfs, &pack(1), &bytes[..cut]);
    let store = open(&vfs);
    store.append(&blocks).unwrap();
    assert_has(&store, &blocks);
    let len = store.stat().unwrap().disk_len;
    store.append(&blocks).unwrap();
    assert_eq!(store.stat().unwrap().disk_len, len, "nothing is written twice");
    drop(store);
    assert_has(&open(&vfs), &blocks);
}
