//! The bytes of a pack: segment headers and records.
//!
//! ```text
//! segment   header, then records without gaps, up to 256 MiB; blocks/000001.pack and so on
//! header    two equal halves of 32 bytes, so that one damaged sector does not lose the salt:
//!            0  8  "cairnpk" and the format number: 2, or 1 of packs begun before there were notes
//!            8  4  segment number          12  4  flags: 1 emptied, 2 holds tombstones
//!           16  8  salt, random   24  4  zero     28  4  CRC-32 of the 28 bytes before
//! record     0  4  "cRec"
//!            4  1  kind: 1 block, 2 tombstone (deleted), 3 footer, 4 void (torn), 5 note
//!            5  1  length of the multihash, 2 to 139
//!            6  2  flags: 0 the data is the block, 1 a zstd frame of it, 2 a reference to it
//!            8  4  length of the data that follows, at most 2 MiB
//!           12  4  length of the block; of a tombstone carried on, the pack it is from
//!           16  4  CRC-32 of salt, segment number, record offset, the 16 bytes before, multihash
//!           20  n  multihash: varint code, varint length, digest
//!         20+n  …  data
//! ```
//! Numbers are little-endian. Only a segment's flags are ever changed in place.
//!
//! Invariants: the CRC guards the header only, since the multihash guards the data better; salt
//! and position are under it, so a pack kept as a block inside a pack never looks like records
//! of the outer one, and a misdirected write is noticed.
//! Not here: files (`segment.rs`), walking records (`scan.rs`).

use super::encoding::Payload;
use cairn_block::BLOCK_LEN_MAX;
use cairn_hash::{Multihash, varint::VARINT_LEN_MAX};

/// A segment is closed before it would grow over this many bytes; its offsets fit 28 bits.
///
/// 256 MiB, and 4 MiB in this crate's own tests, so that they have several.
pub(crate) const SEGMENT_LEN_MAX: u64 = (if cfg!(test) { 4 } else { 256 }) * 1024 * 1024;

/// Bytes before the first record.
pub(crate) const SEGMENT_HEADER_LEN: usize = 64;

/// Bytes of a record before its multihash.
pub(crate) const RECORD_PREFIX_LEN: usize = 20;

/// Longest multihash that a record holds: code, length, digest.
const HASH_LEN_MAX: usize = VARINT_LEN_MAX + 2 + cairn_hash::DIGEST_LEN_MAX;

/// Longest record header, multihash included.
pub(crate) const RECORD_HEADER_LEN_MAX: usize = RECORD_PREFIX_LEN + HASH_LEN_MAX;

/// Longest record of a block.
pub(crate) const BLOCK_RECORD_LEN_MAX: u64 = (RECORD_HEADER_LEN_MAX + BLOCK_LEN_MAX) as u64;

/// Format number of segments, the last byte of their magic; those of 1 are read as well.
pub(crate) const SEGMENT_FORMAT: u8 = 2;

/// First bytes of every record; what a search for the next one after damage looks for.
pub(crate) const RECORD_MAGIC: [u8; 4] = *b"cRec";

const SEGMENT_MAGIC: [u8; 7] = *b"cairnpk";
const SEGMENT_HALF_LEN: usize = SEGMENT_HEADER_LEN / 2;

/// What names a segment in its records' checksums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentId {
    /// From 1; the file's name.
    pub(crate) number: u32,
    /// Random, so that nobody outside can make bytes that look like a record.
    pub(crate) salt: u64,
}

/// What a segment's header says besides its name; changed in place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct SegmentFlags(u32);

impl SegmentFlags {
    /// Nothing in the segment counts any more: its space is being given back, or has been.
    pub(crate) const EMPTIED: Self = Self(1);
    /// There are tombstones in it, which must outlive what they delete.
    pub(crate) const TOMBSTONES: Self = Self(2);

    pub(crate) fn contains(self, flags: Self) -> bool {
        self.0 & flags.0 == flags.0
    }
}

/// Why a segment's header could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SegmentHeaderError {
    /// Neither half is whole.
    Damaged,
    /// A format of a later version.
    Newer(u8),
}

impl SegmentId {
    /// Lays out the header.
    pub(crate) fn encode(self, flags: SegmentFlags) -> [u8; SEGMENT_HEADER_LEN] {
        let mut half = [0; SEGMENT_HALF_LEN];
        half[..7].copy_from_slice(&SEGMENT_MAGIC);
        half[7] = SEGMENT_FORMAT;
        half[8..12].copy_from_slice(&self.number.to_le_bytes());
        half[12..16].copy_from_slice(&flags.0.to_le_bytes());
        half[16..24].copy_from_slice(&self.salt.to_le_bytes());
        let check = crc32fast::hash(&half[..28]);
        half[28..].copy_from_slice(&check.to_le_bytes());
        let mut header = [0; SEGMENT_HEADER_LEN];
        header[..SEGMENT_HALF_LEN].copy_from_slice(&half);
        header[SEGMENT_HALF_LEN..].copy_from_slice(&half);
        header
    }

    /// Reads a header whose file is named `number`.
    pub(crate) fn decode(
        header: &[u8],
        number: u32,
    ) -> Result<(Self, SegmentFlags), SegmentHeaderError> {
        let halves = header.chunks_exact(SEGMENT_HALF_LEN).take(2);
        let whole = halves.filter(|half| {
            u32_at(half, 28) == crc32fast::hash(&half[..28]) && half[..7] == SEGMENT_MAGIC
        });
        for half in whole {
            if half[7] > SEGMENT_FORMAT {
                return Err(SegmentHeaderError::Newer(half[7]));
            }
            if u32_at(half, 8) == number {
                let id = Self { number, salt: u64_at(half, 16) };
                return Ok((id, SegmentFlags(u32_at(half, 12))));
            }
        }
        Err(SegmentHeaderError::Damaged)
    }

    /// The checksum of a record's header at `offset`: `prefix` is its first 16 bytes.
    pub(super) fn check(self, offset: u64, prefix: &[u8], hash: &[u8]) -> u32 {
        let mut input = [0; 20 + 16 + HASH_LEN_MAX];
        input[..8].copy_from_slice(&self.salt.to_le_bytes());
        input[8..12].copy_from_slice(&self.number.to_le_bytes());
        input[12..20].copy_from_slice(&offset.to_le_bytes());
        input[20..36].copy_from_slice(&prefix[..16]);
        input[36..36 + hash.len()].copy_from_slice(hash);
        crc32fast::hash(&input[..36 + hash.len()])
    }
}

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RecordKind {
    /// Here are the block's bytes.
    Block,
    /// The block is deleted; records before this one do not count.
    Tombstone,
    /// Part of what lies in the pack (`footer.rs`).
    Footer,
    /// What a crash cut short; skipped.
    Void,
    /// A change of the metadata, see `note.rs`.
    Note,
    /// A footer that says too much since a crash; skipped, but nothing that anybody misses.
    FormerFooter,
    /// Something that this version does not know; skipped.
    Unknown,
}

impl RecordKind {
    pub(crate) fn of(code: u8) -> Self {
        match code {
            1 => Self::Block,
            2 => Self::Tombstone,
            3 => Self::Footer,
            4 => Self::Void,
            5 => Self::Note,
            6 => Self::FormerFooter,
            _ => Self::Unknown,
        }
    }

    /// The byte that says so; none that means anything for what is not known.
    pub(crate) fn code(self) -> u8 {
        match self {
            Self::Block => 1,
            Self::Tombstone => 2,
            Self::Footer => 3,
            Self::Void => 4,
            Self::Note => 5,
            Self::FormerFooter => 6,
            Self::Unknown => 0,
        }
    }
}

/// Says that a block was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tombstone {
    pub(crate) hash: Multihash,
    /// It is about records in packs before this one; about all before itself if there is none.
    ///
    /// A tombstone that a collection carries on names the pack that it comes from, because the
    /// block may have been written again since.
    pub(crate) before: Option<u32>,
}

/// A record's header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) kind: RecordKind,
    pub(crate) flags: u16,
    pub(crate) hash: Multihash,
    /// Bytes from the record's first to its data.
    pub(crate) header_len: u32,
    /// Bytes of data after the header.
    pub(crate) data_len: u32,
    /// Bytes of the block.
    pub(crate) block_len: u32,
}

impl Record {
    /// Bytes of the whole record.
    pub(crate) fn len(&self) -> u64 {
        u64::from(self.header_len) + u64::from(self.data_len)
    }

    /// Bytes of a record with data.
    pub(crate) fn len_for(hash: &Multihash, data_len: usize) -> u64 {
        (RECORD_PREFIX_LEN + hash.encoded_len() + data_len) as u64
    }

    /// Appends a header to `out`, for a record at `offset`; returns its length.
    pub(crate) fn encode(
        segment: SegmentId,
        offset: u64,
        kind: RecordKind,
        (hash, data_len): (&Multihash, u32),
        out: &mut Vec<u8>,
    ) -> usize {
        Self::lay(segment, offset, (kind, 0, hash), [data_len; 2], out)
    }

    /// Appends the header of a block's record, likewise.
    pub(super) fn encode_block(
        segment: SegmentId,
        offset: u64,
        hash: &Multihash,
        payload: Payload<'_>,
        out: &mut Vec<u8>,
    ) -> usize {
        let lens = [payload.data.len() as u32, payload.block_len];
        Self::lay(segment, offset, (RecordKind::Block, payload.flags, hash), lens, out)
    }

    /// Appends a tombstone to `out`, for `offset`.
    pub(crate) fn encode_tombstone(
        segment: SegmentId,
        offset: u64,
        tombstone: &Tombstone,
        out: &mut Vec<u8>,
    ) {
        let lens = [0, tombstone.before.unwrap_or_default()];
        Self::lay(segment, offset, (RecordKind::Tombstone, 0, &tombstone.hash), lens, out);
    }

    /// What the record deletes, if it is a tombstone.
    pub(crate) fn tombstone(&self) -> Option<Tombstone> {
        let before = Some(self.block_len).filter(|number| *number > 0);
        (self.kind == RecordKind::Tombstone).then(|| Tombstone { hash: self.hash.clone(), before })
    }

    pub(super) fn lay(
        segment: SegmentId,
        offset: u64,
        (kind, flags, hash): (RecordKind, u16, &Multihash),
        lens: [u32; 2],
        out: &mut Vec<u8>,
    ) -> usize {
        let start = out.len();
        out.extend_from_slice(&RECORD_MAGIC);
        out.extend_from_slice(&[kind.code(), hash.encoded_len() as u8]);
        out.extend_from_slice(&flags.to_le_bytes());
        for len in lens {
            out.extend_from_slice(&len.to_le_bytes());
        }
        out.extend_from_slice(&[0; 4]);
        hash.encode(out);
        let header = &out[start..];
        let check = segment.check(offset, header, &header[RECORD_PREFIX_LEN..]);
        out[start + 16..start + 20].copy_from_slice(&check.to_le_bytes());
        out.len() - start
    }

    /// Reads the header of a record at `offset` from the front of `bytes`.
    ///
    /// `None` if there is no whole and undamaged header; the data need not be there.
    pub(crate) fn decode(segment: SegmentId, offset: u64, bytes: &[u8]) -> Option<Self> {
        if bytes.len() < RECORD_PREFIX_LEN || bytes[..4] != RECORD_MAGIC {
            return None;
        }
        let header_len = RECORD_PREFIX_LEN + usize::from(bytes[5]);
        let hash = bytes.get(RECORD_PREFIX_LEN..header_len)?;
        if hash.len() > HASH_LEN_MAX || segment.check(offset, bytes, hash) != u32_at(bytes, 16) {
            return None;
        }
        let (hash, rest) = Multihash::decode(hash).ok()?;
        let data_len = u32_at(bytes, 8);
        if !rest.is_empty() || data_len as usize > BLOCK_LEN_MAX {
            return None;
        }
        Some(Self {
            kind: RecordKind::of(bytes[4]),
            flags: u16::from_le_bytes([bytes[6], bytes[7]]),
            hash,
            header_len: header_len as u32,
            data_len,
            block_len: u32_at(bytes, 12),
        })
    }
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("invariant: four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("invariant: eight bytes"))
}

#[cfg(test)]
mod tests {
    use super::{
        Record, RecordKind, SEGMENT_HEADER_LEN, SegmentFlags, SegmentHeaderError, SegmentId,
    };
    use cairn_hash::Multihash;

    const SEGMENT: SegmentId = SegmentId { number: 7, salt: 0x0123_4567_89ab_cdef };

    fn header(offset: u64, hash: &Multihash) -> Vec<u8> {
        let mut out = vec![];
        let len = Record::encode(SEGMENT, offset, RecordKind::Block, (hash, 1000), &mut out);
        assert_eq!(len, out.len());
        out
    }

    #[test]
    fn a_segment_header_survives_the_loss_of_either_half() {
        let flags = SegmentFlags::TOMBSTONES;
        let header = SEGMENT.encode(flags);
        assert_eq!(SegmentId::decode(&header, 7), Ok((SEGMENT, flags)));
        assert_eq!(SegmentId::decode(&header, 8), Err(SegmentHeaderError::Damaged), "misnamed");
        for at in 0..SEGMENT_HEADER_LEN {
            let mut broken = header;
            broken[at] ^= 0x10;
            assert_eq!(SegmentId::decode(&broken, 7), Ok((SEGMENT, flags)), "{at}");
            broken[(at + 32) % 64] ^= 1;
            assert_eq!(SegmentId::decode(&broken, 7), Err(SegmentHeaderError::Damaged), "{at}");
        }
        for len in 0..32 {
            assert_eq!(SegmentId::decode(&header[..len], 7), Err(SegmentHeaderError::Damaged));
        }
    }

    #[test]
    fn a_newer_segment_is_named_as_such() {
        let mut header = SEGMENT.encode(SegmentFlags::default());
        for half in header.chunks_exact_mut(32) {
            half[7] = 9;
            let check = crc32fast::hash(&half[..28]);
            half[28..].copy_from_slice(&check.to_le_bytes());
        }
        assert_eq!(SegmentId::decode(&header, 7), Err(SegmentHeaderError::Newer(9)));
    }

    #[test]
    fn headers_round_trip_at_every_digest_length() {
        for len in 0..=128 {
            let hash = Multihash::wrap(0xb220, &vec![3; len]).unwrap();
            let bytes = header(64, &hash);
            let record = Record::decode(SEGMENT, 64, &bytes).unwrap();
            assert_eq!(
                (&record.hash, record.kind, record.data_len),
                (&hash, RecordKind::Block, 1000)
            );
            assert_eq!(record.len(), Record::len_for(&hash, 1000));
        }
    }

    #[test]
    fn every_changed_bit_is_noticed() {
        let bytes = header(64, &Multihash::sha2_256([5; 32]));
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Record::decode(SEGMENT, 64, &broken), None, "{bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(Record::decode(SEGMENT, 64, &bytes[..len]), None, "{len}");
        }
    }

    #[test]
    fn a_record_is_only_valid_in_its_place() {
        let bytes = header(64, &Multihash::sha2_256([5; 32]));
        assert_eq!(Record::decode(SEGMENT, 65, &bytes), None);
        assert_eq!(Record::decode(SegmentId { number: 8, ..SEGMENT }, 64, &bytes), None);
        assert_eq!(Record::decode(SegmentId { salt: 1, ..SEGMENT }, 64, &bytes), None);
    }
}
