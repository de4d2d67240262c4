//! What must hold of the packs' and the metadata's decoders whatever the bytes, for `cairn-fuzz`.
//!
//! Checksums are made right before decoding, since no search would ever find one by chance: a
//! sector that rots is caught by them, what a bug or a bad disk wrote whole is not.
//! Invariant: each target panics when a property is broken, and only then.
//! Not here: faults of the disk and of the power (`cairn-sim`).

use super::{
    SEGMENT_LEN_MAX, Store,
    encoding::{Decoded, REFERENCE, ZSTD, expand_unknown},
    footer,
    index::fuzz::{changed, changes_of},
    note,
    record::{
        RECORD_HEADER_LEN_MAX, RECORD_MAGIC, RECORD_PREFIX_LEN, Record, RecordKind,
        SEGMENT_HEADER_LEN, SegmentFlags, SegmentId, u32_at,
    },
    reference::{self, CHECK_AT, Location, Reference},
};
use crate::{meta::FuzzedChange as Change, pins};
use bytes::Bytes;
use cairn_block::{BLOCK_LEN_MAX, Block, Cid, Multihash, codec};
use cairn_hash::sha256;
use cairn_runtime::{Create, MemoryVfs, Vfs as _, VfsExt as _};
use std::{
    path::Path,
    sync::{Arc, OnceLock},
    time::Duration,
};

/// Name, properties and seeds of each target.
#[expect(clippy::type_complexity, reason = "the type is cairn-fuzz's, which nobody here may use")]
pub const TARGETS: &[(&str, fn(&[u8]), fn() -> Vec<Vec<u8>>)] = &[
    ("pack_header", pack_header, seeds),
    ("pack_record", pack_record, seeds),
    ("pack_footer", pack_footer, seeds),
    ("pack_note", pack_note, seeds),
    ("metadata_change", metadata_change, seeds),
    ("record_data", record_data, seeds),
    ("reference", reference_target, seeds),
    ("pin", pin, seeds),
    ("pack", pack, packs),
    ("index", index, indexes),
];

const SEGMENT: SegmentId = SegmentId { number: 1, salt: 0x0123_4567_89ab_cdef };

/// Where the first record of a pack is.
const FIRST: u64 = SEGMENT_HEADER_LEN as u64;

fn some_blocks() -> Vec<Block> {
    [b"one".to_vec(), vec![7; 300], Vec::new()]
        .map(|data| Block::sha2_256(codec::RAW, data.into()))
        .to_vec()
}

fn some_records() -> Vec<u8> {
    let mut out = Vec::new();
    for block in some_blocks() {
        let (offset, len) = (FIRST + out.len() as u64, block.data().len() as u32);
        let name = (block.cid().multihash(), len);
        Record::encode(SEGMENT, offset, RecordKind::Block, name, &mut out);
        out.extend_from_slice(block.data());
    }
    let frame = zstd::bulk::compress(&[b'z'; 400], 3).unwrap_or_default();
    for (flags, block_len, data) in [(ZSTD, 400, frame), (REFERENCE, 9, some_reference().encode())]
    {
        let hash = Multihash::sha2_256(sha256(&[b'z'; 400][..block_len as usize]));
        let lens = [data.len() as u32, block_len];
        let offset = FIRST + out.len() as u64;
        Record::lay(SEGMENT, offset, (RecordKind::Block, flags, &hash), lens, &mut out);
        out.extend_from_slice(&data);
    }
    for kind in [RecordKind::Tombstone, RecordKind::Void, RecordKind::Note] {
        let (offset, hash) = (FIRST + out.len() as u64, Multihash::sha2_256([3; 32]));
        Record::encode(SEGMENT, offset, kind, (&hash, 0), &mut out);
    }
    out
}

fn some_reference() -> Reference {
    let location = Location::File("a/b.txt".into());
    Reference { location, offset: 7, source_len: Some(16), source_mtime: Some((1_700_000_000, 5)) }
}

fn some_change() -> Vec<u8> {
    let mut change = Change::default();
    change.set(crate::meta::Table::Pins, vec![1; 36], Some(vec![0, 1, b'n']));
    change.set(crate::meta::Table::Expiries, vec![3; 44], None);
    change.set(crate::meta::Table::Values, b"mfs/root".to_vec(), Some(vec![1]));
    change.encode()
}

fn seeds() -> Vec<Vec<u8>> {
    let hash = Multihash::sha2_256([5; 32]);
    let mut note = [&[1][..], &[0; 24]].concat();
    note.extend(some_change());
    let mut entry = vec![1, 34, 0, 0, 0xac, 2, 0xac, 2];
    hash.encode(&mut entry);
    let pin = pins::Pin {
        cid: Cid::v1(codec::DAG_PB, hash.clone()),
        kind: pins::PinKind::Recursive,
        name: "name".to_owned(),
        expires: Some(std::time::SystemTime::UNIX_EPOCH + Duration::from_hours(5)),
    };
    let (key, value) = pins::encode(&pin);
    let frame = zstd::bulk::compress(&b"abc".repeat(90), 3).unwrap_or_default();
    vec![
        SEGMENT.encode(SegmentFlags::TOMBSTONES).to_vec(),
        some_records(),
        [entry.clone(), entry].concat(),
        note,
        some_change(),
        [vec![1, 0, 14, 1, 0], frame].concat(),
        some_reference().encode(),
        Reference { location: Location::Url("https://h/p".into()), ..some_reference() }.encode(),
        [vec![key.len() as u8], key, value].concat(),
    ]
}

fn pack_header(input: &[u8]) {
    let mut header = input.to_vec();
    for half in header.chunks_exact_mut(SEGMENT_HEADER_LEN / 2) {
        let check = crc32fast::hash(&half[..28]);
        half[28..].copy_from_slice(&check.to_le_bytes());
    }
    for header in [input, &header] {
        let Ok((id, flags)) = SegmentId::decode(header, SEGMENT.number) else { continue };
        assert_eq!(SegmentId::decode(&id.encode(flags), SEGMENT.number), Ok((id, flags)));
    }
}

/// Makes the checksum of the record at the front right, if there is room for one.
fn seal(offset: u64, record: &mut [u8]) {
    let hash_end = RECORD_PREFIX_LEN + usize::from(record.get(5).copied().unwrap_or_default());
    if record.len() >= hash_end && hash_end <= RECORD_HEADER_LEN_MAX {
        let check = SEGMENT.check(offset, record, &record[RECORD_PREFIX_LEN..hash_end]);
        record[16..20].copy_from_slice(&check.to_le_bytes());
    }
}

fn pack_record(input: &[u8]) {
    let mut sealed = input.to_vec();
    seal(FIRST, &mut sealed);
    let Some(record) = Record::decode(SEGMENT, FIRST, &sealed) else { return };
    assert!(record.len() <= super::record::BLOCK_RECORD_LEN_MAX, "records are bounded");
    assert!(record.tombstone().is_none() || record.kind == RecordKind::Tombstone);
    if record.kind != RecordKind::Unknown {
        let (head, mut out) = ((record.kind, record.flags, &record.hash), Vec::new());
        let lens = [record.data_len, record.block_len];
        let len = Record::lay(SEGMENT, FIRST, head, lens, &mut out);
        assert_eq!(out, sealed[..len], "a record has one form");
    }
}

fn pack_footer(input: &[u8]) {
    let mut rest = input;
    while let Some((record, len)) = footer::decode(rest) {
        assert!((4..=rest.len()).contains(&len), "{len} of {}", rest.len());
        assert_eq!(record.header_len as usize, RECORD_PREFIX_LEN + record.hash.encoded_len());
        rest = &rest[len..];
    }
}

fn pack_note(input: &[u8]) {
    let name = Multihash::sha2_256(sha256(input));
    let Some(head) = note::decode(input, &name) else { return };
    assert_eq!(head.number.to_le_bytes(), input[1..9]);
    assert!(note::decode(&input[1..], &name).is_none(), "it hashes to its name");
}

fn metadata_change(input: &[u8]) {
    let Some(change) = Change::decode(input) else { return };
    let encoded = change.encode();
    assert!(encoded.len() <= input.len(), "one entry a key, in the shortest form");
    assert_eq!(Change::decode(&encoded), Some(change));
}

fn record_data(input: &[u8]) {
    let Some((&[low, high, len0, len1, len2], data)) = input.split_first_chunk() else { return };
    let data = Bytes::copy_from_slice(data);
    let record = Record {
        kind: RecordKind::Block,
        flags: u16::from_le_bytes([low, high]),
        hash: Multihash::sha2_256([0; 32]),
        header_len: 54,
        data_len: data.len() as u32,
        block_len: u32::from_le_bytes([len0, len1, len2, 0]),
    };
    match record.decode_data(data.clone()) {
        Ok(Decoded::Bytes(bytes)) if record.flags == ZSTD => {
            assert_eq!(bytes.len(), record.block_len as usize, "as many bytes as the header says");
        }
        Ok(Decoded::Bytes(bytes)) => assert_eq!(bytes, data),
        Ok(Decoded::Reference(found)) => assert_eq!(found.encode(), data),
        Err(_) => {}
    }
    assert!(expand_unknown(&data).is_none_or(|block| block.len() <= BLOCK_LEN_MAX));
}

fn reference_target(input: &[u8]) {
    let mut sealed = input.to_vec();
    if sealed.len() >= CHECK_AT + 4 {
        let check = reference::check(&sealed);
        sealed[CHECK_AT..CHECK_AT + 4].copy_from_slice(&check.to_le_bytes());
    }
    let Some(found) = Reference::decode(&sealed) else { return };
    assert_eq!(found.encode(), sealed, "a reference has one form");
    if let Location::File(path) = &found.location {
        assert!(!Path::new(&**path).is_absolute() && !path.split('/').any(|name| name == ".."));
    }
}

fn pin(input: &[u8]) {
    let Some((&len, rest)) = input.split_first() else { return };
    let Some((key, value)) = rest.split_at_checked(len.into()) else { return };
    let Ok(pin) = pins::decode(key, value) else { return };
    let (key, value) = pins::encode(&pin);
    assert_eq!(pins::decode(&key, &value).ok(), Some(pin));
}

/// A repository whose only pack holds `records` behind a good header.
fn disk(records: &[u8]) -> MemoryVfs {
    let vfs = MemoryVfs::default();
    let root = Path::new("/r");
    let made = vfs
        .create_dir(root, true)
        .and_then(|()| vfs.create_dir(&root.join("blocks"), false))
        .and_then(|()| {
            let pack = [&SEGMENT.encode(SegmentFlags::default()), records].concat();
            vfs.open(&root.join("blocks/000001.pack"), Create::New)?.write_all_at(&pack, 0)
        });
    made.expect("invariant: memory is no disk that fails");
    vfs
}

/// Opens it, reads everything, writes a block, and reads that again after a restart.
fn use_store(vfs: &MemoryVfs) {
    let open = || Store::open_locked(Arc::new(vfs.clone()), Path::new("/r"), (1 << 20, None));
    let Ok(store) = open() else { return };
    let listed: Vec<Cid> =
        store.list().map_while(Result::ok).map(|(hash, _)| Cid::v1(codec::RAW, hash)).collect();
    for (cid, block) in listed.iter().zip(store.read_many(&listed)) {
        // Most are corrupt; what comes out is not.
        let Ok(Some(block)) = block else { continue };
        let again = Block::verify(cid.clone(), block.data().clone());
        assert!(again.is_ok_and(|again| again == block), "{cid}");
    }
    let new = Block::sha2_256(codec::RAW, Bytes::from_static(b"after all"));
    let written = store.append(std::slice::from_ref(&new)).and_then(|()| store.flush());
    let mut scrub = store.scrub(None);
    while let Ok(Some(_)) = scrub.step() {}
    let closed = store.close();
    drop(store);
    if written.is_ok() && closed.is_ok() {
        let store = open().expect("what was closed opens again");
        let found = store.read_many(&[new.cid().clone()]).remove(0);
        assert_eq!(found.ok().flatten(), Some(new), "what was acknowledged is there");
    }
}

fn pack(input: &[u8]) {
    let mut records = input.to_vec();
    let mut at = 0;
    while records.len() >= at + RECORD_PREFIX_LEN && records[at..at + 4] == RECORD_MAGIC {
        let header_len = RECORD_PREFIX_LEN + usize::from(records[at + 5]);
        let len = header_len + u32_at(&records, at + 8) as usize;
        if let Some(record) = records.get(at..at + len)
            && matches!(RecordKind::of(record[4]), RecordKind::Footer | RecordKind::Note)
            && header_len == RECORD_PREFIX_LEN + 34
        {
            let name = Multihash::sha2_256(sha256(&record[header_len..])).to_bytes();
            records[at + RECORD_PREFIX_LEN..at + header_len].copy_from_slice(&name);
        }
        seal(FIRST + at as u64, &mut records[at..]);
        at += len;
    }
    use_store(&disk(&records));
}

fn packs() -> Vec<Vec<u8>> {
    vec![some_records(), some_records()[..100].to_vec(), Vec::new()]
}

/// A repository that was closed, and its index.
fn closed() -> &'static (Vec<u8>, Vec<u8>) {
    static CLOSED: OnceLock<(Vec<u8>, Vec<u8>)> = OnceLock::new();
    CLOSED.get_or_init(|| {
        let vfs = disk(&[]);
        let store = Store::open(Arc::new(vfs.clone()), Path::new("/r"));
        let store = store.expect("invariant: an empty pack is a good one");
        store.append(&some_blocks()).expect("invariant: there is room");
        store.close().expect("invariant: memory is synced");
        let read = |path: &str| {
            let bytes = vfs.read_file(&Path::new("/r").join(path), SEGMENT_LEN_MAX as usize);
            bytes.ok().flatten().expect("invariant: it was written")
        };
        (read("blocks/000001.pack")[SEGMENT_HEADER_LEN..].to_vec(), read("index"))
    })
}

fn index(input: &[u8]) {
    let (records, good) = closed();
    let vfs = disk(records);
    let file = vfs.open(Path::new("/r/index"), Create::New);
    let written = file.and_then(|file| file.write_all_at(&changed(good, input), 0));
    written.expect("invariant: memory is no disk that fails");
    use_store(&vfs);
}

fn indexes() -> Vec<Vec<u8>> {
    let changes = changes_of(&closed().1);
    let mut seeds = vec![Vec::new(), changes.concat()];
    seeds.extend(changes);
    seeds
}
