//! Indexes of many passes, and broken ones.

use super::{Survey, shares, with_index};
use crate::{Output, Stop, Target, inspect};
use cairn_block::{Block, codec};
use cairn_hash::code;
use std::{fs, path::PathBuf};

fn file(folder: &tempfile::TempDir, count: usize) -> PathBuf {
    let path = folder.path().join("blocks.car");
    let mut out = Output::create_car(&Target::file(&path, &Stop::default()), &[]).unwrap();
    for index in 0..count {
        let hash = if index % 3 == 0 { code::SHA1 } else { code::SHA2_256 };
        let data = format!("block {}", index % 150).into_bytes();
        let block = Block::hash(codec::RAW, hash, data.into()).unwrap();
        out.write_block(block.cid(), block.data()).unwrap();
    }
    out.finish().unwrap();
    path
}

#[test]
fn many_small_sorts_are_one_big_sort() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, 400);
    let survey = Survey::of(&path).unwrap();
    let index = |records_max: u64| {
        let target = folder.path().join("index");
        let mut out = Output::create(&Target::file(&target, &Stop::default())).unwrap();
        survey.write(&path, records_max, &mut out).unwrap();
        out.finish().unwrap();
        fs::read(target).unwrap()
    };
    let whole = index(1_000_000);
    for records_max in [1, 7, 100] {
        assert!(index(records_max) == whole, "{records_max}");
    }
}

#[test]
fn shares_are_even_and_leave_nothing_out() {
    assert_eq!(shares(&[0, 3, 0, 4, 9, 1], 7), [0..4, 4..5, 5..6]);
    assert!(shares(&[0, 0], 7).is_empty());
    assert_eq!(shares(&[1, 1], 7).first(), Some(&(0..2)));
}

#[test]
fn every_broken_index_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let path = file(&folder, 20);
    let indexed = folder.path().join("indexed.car");
    with_index(&path, &Target::file(&indexed, &Stop::default())).unwrap();
    let whole = fs::read(&indexed).unwrap();
    let found = inspect(&indexed, true).unwrap();
    assert_eq!((found.block_count, found.full.unwrap().index_count), (20, Some(20)));
    let start = found.v2.unwrap().index_offset as usize;
    for at in start..whole.len() {
        let mut broken = whole.clone();
        broken[at] ^= 0x41;
        fs::write(&indexed, &broken).unwrap();
        let told = inspect(&indexed, true);
        // Another code is another format, which nobody here knows: it is told, not checked.
        let unknown = told.as_ref().is_ok_and(|found| found.index_codec != Some(0x0401));
        assert!(told.is_err() || (at < start + 2 && unknown), "{at}");
    }
    for len in start..whole.len() {
        fs::write(&indexed, &whole[..len]).unwrap();
        assert!(inspect(&indexed, true).is_err(), "{len}");
    }
}
