//! What must hold of the readers of a Kubo repository whatever the bytes, for `cairn-fuzz`.
//!
//! Checksums are made right before reading, since no search would find one by chance. Files are
//! in memory.
//! Not here: damage to whole databases (`leveldb/tests.rs`).

use super::{
    Bytes, Entry, keep_newer,
    log::{self, LogReader},
    manifest::{self, Version},
    masked_crc,
    table::{FOOTER_LEN, MAGIC, TableCursor},
};
use crate::{flatfs, pins::record};
use multibase::Base;
use rustix::fs::{MemfdFlags, memfd_create};
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Seek as _, Write as _},
    path::PathBuf,
};

/// Name, properties and seeds of each target.
#[expect(clippy::type_complexity, reason = "the type is cairn-fuzz's, which nobody here may use")]
pub const TARGETS: &[(&str, fn(&[u8]), fn() -> Vec<Vec<u8>>)] = &[
    ("leveldb_log", log_target, logs),
    ("leveldb_batch", batch, batches),
    ("leveldb_manifest", manifest_target, manifests),
    ("leveldb_table", table, tables),
    ("kubo_pin", pin, pins),
    ("flatfs_name", flatfs_name, names),
];

/// Bytes of a log's header of a part.
const PART_HEAD_LEN: usize = 7;

/// Bytes of a log's block.
const BLOCK_LEN: usize = 32 * 1024;

/// A file in memory; `None` where the system has none.
fn file(bytes: &[u8]) -> Option<File> {
    let mut file = File::from(memfd_create("fuzz", MemfdFlags::CLOEXEC).ok()?);
    file.write_all(bytes).ok()?;
    file.rewind().ok()?;
    Some(file)
}

/// A log's bytes with the checksums of its parts made right.
fn sealed(input: &[u8]) -> Vec<u8> {
    let mut log = input.to_vec();
    for block in log.chunks_mut(BLOCK_LEN) {
        let mut at = 0;
        while let Some(head) = block.get(at..at + PART_HEAD_LEN) {
            let end = at + PART_HEAD_LEN + usize::from(u16::from_le_bytes([head[4], head[5]]));
            let Some(checked) = block.get(at + PART_HEAD_LEN - 1..end) else { break };
            let check = masked_crc(checked);
            block[at..at + 4].copy_from_slice(&check.to_le_bytes());
            at = end;
        }
    }
    log
}

fn part(kind: u8, data: &[u8]) -> Vec<u8> {
    let head = [&[0; 4][..], &(data.len() as u16).to_le_bytes(), &[kind]].concat();
    sealed(&[&head, data].concat())
}

fn log_target(input: &[u8]) {
    for bytes in [input, &sealed(input)] {
        let Some(file) = file(bytes) else { return };
        let mut reader = LogReader::new(PathBuf::from("log"), file);
        let mut len = 0;
        while let Ok(Some(record)) = reader.next() {
            len += record.len() + PART_HEAD_LEN;
        }
        assert!(len <= bytes.len(), "a record is bytes of the log");
    }
}

fn logs() -> Vec<Vec<u8>> {
    let whole = [part(1, b"one"), part(2, b"tw"), part(3, b""), part(4, b"o"), vec![0; 9]].concat();
    vec![whole.clone(), whole[..whole.len() - 12].to_vec()]
}

fn batch(input: &[u8]) {
    let Some(entries) = log::batch(input) else { return };
    let len: usize = entries.iter().map(|entry| entry.key.len() + 2).sum();
    assert!(len + 12 <= input.len(), "keys are bytes of the batch");
    assert!(entries.is_sorted_by(|one, next| one.sequence < next.sequence));
    let mut newest = BTreeMap::new();
    for entry in entries.iter().rev() {
        keep_newer(&mut newest, entry.clone());
    }
    let last = |key: &[u8]| entries.iter().rfind(|entry| entry.key == key);
    assert!(newest.iter().all(|(key, entry): (_, &Entry)| last(key) == Some(entry)));
}

fn batches() -> Vec<Vec<u8>> {
    let entries = [&b"\x01\x03key\x05value"[..], b"\x00\x03key", b"\x01\x00\x00"].concat();
    vec![[&7_u64.to_le_bytes()[..], &3_u32.to_le_bytes(), &entries].concat()]
}

fn manifest_target(input: &[u8]) {
    let mut version = Version::default();
    if version.apply(Bytes(input)).is_some() {
        let runs = version.into_runs();
        assert!(runs.iter().map(Vec::len).sum::<usize>() * 20 <= input.len());
    }
    let Some(file) = file(&sealed(input)) else { return };
    if let Ok((version, torn)) = manifest::read_log(LogReader::new(PathBuf::from("m"), file)) {
        assert!(torn.is_none_or(|path| path.ends_with("m")));
        drop(version.into_runs());
    }
}

fn manifests() -> Vec<Vec<u8>> {
    let key = |name: &[u8]| [&[name.len() as u8 + 8][..], name, &[1; 8]].concat();
    let comparator = b"leveldb.BytewiseComparator";
    let change = [
        vec![1, comparator.len() as u8],
        comparator.to_vec(),
        vec![2, 9, 3, 12, 4, 7, 9, 8, 7, 0, 5, 0x80, 1],
        [key(b"a"), key(b"b")].concat(),
        vec![7, 2, 6, 1],
        [key(b"c"), key(b"d")].concat(),
        [&[5, 1][..], &key(b"b"), &[6, 2, 6]].concat(),
    ]
    .concat();
    vec![change.clone(), part(1, &change)]
}

/// The first byte says how the blocks are kept, the next two how long the first of them is: the
/// table's index. The rest is the block of entries.
fn table(input: &[u8]) {
    let Some((&[kinds, low, high], rest)) = input.split_first_chunk() else { return };
    let len = usize::from(u16::from_le_bytes([low, high])).min(rest.len());
    let (index, entries) = rest.split_at(len);
    let mut bytes = Vec::new();
    for (block, kind) in [(entries, kinds & 1), (index, kinds >> 1 & 1)] {
        let block = [block, &[kind]].concat();
        bytes.extend_from_slice(&block);
        bytes.extend_from_slice(&masked_crc(&block).to_le_bytes());
    }
    let mut footer = vec![0, 0];
    cairn_hash::varint::encode(entries.len() as u64 + 5, &mut footer);
    cairn_hash::varint::encode(index.len() as u64, &mut footer);
    footer.resize(FOOTER_LEN - 8, 0);
    footer.extend_from_slice(&MAGIC.to_le_bytes());
    bytes.extend(footer);
    let Some(file) = file(&bytes) else { return };
    let Ok(mut cursor) = TableCursor::new(PathBuf::from("t"), file, b"") else { return };
    let mut count = 0_usize;
    while let Ok(Some(_)) = cursor.next() {
        count += 1;
        assert!(count <= input.len() * input.len().max(1 << 16), "every step takes bytes");
    }
}

fn tables() -> Vec<Vec<u8>> {
    let restarts = [0, 0, 0, 0, 1, 0, 0, 0];
    let entry = |shared: u8, own: &[u8], value: &[u8]| {
        let key = [own, &[1, 7, 0, 0, 0, 0, 0, 0]].concat();
        [&[shared, key.len() as u8, value.len() as u8][..], &key, value].concat()
    };
    let entries = [&entry(0, b"ab", b"value")[..], &entry(1, b"c", b""), &restarts].concat();
    let index = [&entry(0, b"b", &[0, entries.len() as u8])[..], &restarts].concat();
    let of = |kinds: u8, index: &[u8], entries: &[u8]| {
        [&[kinds, index.len() as u8, 0][..], index, entries].concat()
    };
    let squeezed = snap::raw::Encoder::new().compress_vec(&entries).unwrap_or_default();
    let far = [&entry(0, b"b", &[0, squeezed.len() as u8])[..], &restarts].concat();
    vec![of(0, &index, &entries), of(1, &far, &squeezed)]
}

fn pin(input: &[u8]) {
    let Ok(pin) = record::decode(input) else { return };
    let cid = pin.cid.to_bytes();
    assert!(input.windows(cid.len()).any(|window| window == cid), "its CID stands in it");
    assert!(pin.name.len() <= input.len());
}

fn pins() -> Vec<Vec<u8>> {
    let cid = cairn_block::Cid::v1(0x70, cairn_hash::Multihash::sha2_256([9; 32])).to_bytes();
    let cid = [&b"\x63cid\x58"[..], &[cid.len() as u8], &cid].concat();
    vec![
        [&[0xa3][..], &cid, b"\x64mode\x00", b"\x64name\x61n"].concat(),
        [&[0xbf][..], b"\x68metadata\xa1\x61k\x82\x01\xf6", &cid, b"\x64mode\x01\xff"].concat(),
    ]
}

fn flatfs_name(input: &[u8]) {
    let Ok(stem) = std::str::from_utf8(input) else { return };
    let Some(cid) = flatfs::decode(stem) else { return };
    let name = Base::Base32Upper.encode(cid.multihash().to_bytes());
    let again = flatfs::decode(&name).expect("a multihash is a name");
    assert_eq!(again.multihash(), cid.multihash(), "{stem}");
}

fn names() -> Vec<Vec<u8>> {
    let hash = cairn_hash::Multihash::sha2_256([7; 32]);
    let cid = cairn_block::Cid::v1(0x55, hash.clone());
    [hash.to_bytes(), cid.to_bytes()].map(|bytes| Base::Base32Upper.encode(bytes).into()).to_vec()
}
