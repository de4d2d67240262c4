//! A pin's record as Kubo keeps it: a CBOR map of `cid`, `mode`, and perhaps `name`, `metadata`.
//!
//! Spec: RFC 8949, and the records that Kubo's datastore pinner writes. Invariants: nothing is
//! allocated but the name and the CID; nesting is bounded; what is unknown is skipped, so that
//! records of later versions can be read.
//! Not here: where the records are (`pins.rs`).

use cairn_block::Cid;
use cairn_store::PinKind;

/// Deepest nesting that is skipped over.
const DEPTH_MAX: usize = 16;

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) cid: Cid,
    pub(crate) kind: PinKind,
    /// Empty if it has none; bytes, because nobody has checked them.
    pub(crate) name: Vec<u8>,
}

/// Reads a record; says what is wrong with it.
pub(crate) fn decode(bytes: &[u8]) -> Result<Record, &'static str> {
    let mut reader = Reader(bytes);
    let Some(Head { major: MAP, count }) = reader.head() else { return Err("it is no map") };
    let (mut cid, mut mode, mut name) = (None, None, Vec::new());
    let mut left = count;
    loop {
        if left == Some(0) || (left.is_none() && reader.end_mark()) {
            break;
        }
        left = left.map(|left| left - 1);
        let cut = "it is cut off";
        match reader.text().ok_or("a key of it is no text")? {
            b"cid" => cid = Some(reader.bytes().ok_or("its CID is not there")?),
            b"mode" => mode = Some(reader.unsigned().ok_or("its mode is no number")?),
            b"name" => name = reader.text().ok_or("its name is no text")?.to_vec(),
            _ => reader.skip(DEPTH_MAX).ok_or(cut)?,
        }
    }
    if !reader.0.is_empty() {
        return Err("something stands after it");
    }
    let cid = cid.ok_or("it has no CID")?;
    let cid = Cid::from_bytes(cid).map_err(|_| "its CID makes no sense")?;
    let kind = match mode.ok_or("it has no mode")? {
        0 => PinKind::Recursive,
        1 => PinKind::Direct,
        _ => return Err("its mode is neither recursive nor direct"),
    };
    Ok(Record { cid, kind, name })
}

const UNSIGNED: u8 = 0;
const BYTES: u8 = 2;
const TEXT: u8 = 3;
const ARRAY: u8 = 4;
const MAP: u8 = 5;
const TAG: u8 = 6;
/// The byte that ends what has no length.
const END: u8 = 0xff;

/// The first bytes of an item.
struct Head {
    major: u8,
    /// The number, length or count; `None` if the end is marked instead.
    count: Option<u64>,
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn head(&mut self) -> Option<Head> {
        let first = *self.take(1)?.first()?;
        let (major, short) = (first >> 5, first & 0x1f);
        let len = match short {
            0..=23 => return Some(Head { major, count: Some(u64::from(short)) }),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            31 => return Some(Head { major, count: None }),
            _ => return None,
        };
        let number = self.take(len)?;
        let count = number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
        Some(Head { major, count: Some(count) })
    }

    /// Passes the mark that ends an item without length, if it is next.
    fn end_mark(&mut self) -> bool {
        let found = self.0.first() == Some(&END);
        if found {
            self.0 = &self.0[1..];
        }
        found
    }

    fn unsigned(&mut self) -> Option<u64> {
        self.head().filter(|head| head.major == UNSIGNED)?.count
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        self.string(BYTES)
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        self.string(TEXT)
    }

    /// A string in one piece: Kubo writes no others.
    fn string(&mut self, major: u8) -> Option<&'a [u8]> {
        let len = self.head().filter(|head| head.major == major)?.count?;
        self.take(usize::try_from(len).ok()?)
    }

    /// Passes one item with everything in it.
    fn skip(&mut self, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let Head { major, count } = self.head()?;
        let items = match (major, count) {
            (BYTES | TEXT, Some(len)) => {
                self.take(usize::try_from(len).ok()?)?;
                Some(0)
            }
            (ARRAY, Some(count)) => Some(count),
            (MAP, Some(count)) => Some(count.checked_mul(2)?),
            (TAG, Some(_)) => Some(1),
            (BYTES | TEXT | ARRAY | MAP, None) => None,
            (_, Some(_)) => Some(0),
            (_, None) => return None,
        };
        if let Some(count) = items {
            return (0..count).try_for_each(|_| self.skip(depth));
        }
        while !self.end_mark() {
            self.skip(depth)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Record, decode};
    use cairn_block::{Cid, Multihash, codec};
    use cairn_store::PinKind;
    use proptest::prelude::*;

    fn cid() -> Cid {
        Cid::v1(codec::DAG_PB, Multihash::sha2_256([9; 32]))
    }

    fn string(major: u8, bytes: &[u8]) -> Vec<u8> {
        let len = u8::try_from(bytes.len()).unwrap();
        let head = if len < 24 { vec![major << 5 | len] } else { vec![major << 5 | 0x18, len] };
        [head, bytes.to_vec()].concat()
    }

    fn pair(key: &str, value: &[u8]) -> Vec<u8> {
        [string(3, key.as_bytes()), value.to_vec()].concat()
    }

    fn map(pairs: &[Vec<u8>]) -> Vec<u8> {
        let count = u8::try_from(pairs.len()).unwrap();
        [vec![5 << 5 | count], pairs.concat()].concat()
    }

    fn cid_pair() -> Vec<u8> {
        pair("cid", &string(2, &cid().to_bytes()))
    }

    #[test]
    fn reads_what_kubo_writes() {
        let name = pair("name", &string(3, b"photos"));
        let metadata = map(&[pair("k", &string(3, b"v")), pair("list", &[0x82, 1, 0xf6])]);
        for (pairs, kind, expected) in [
            (vec![cid_pair(), pair("mode", &[0])], PinKind::Recursive, ""),
            (vec![cid_pair(), pair("mode", &[1])], PinKind::Direct, ""),
            (vec![cid_pair(), pair("mode", &[0]), name.clone()], PinKind::Recursive, "photos"),
            (
                vec![cid_pair(), pair("metadata", &metadata), pair("mode", &[1]), name.clone()],
                PinKind::Direct,
                "photos",
            ),
        ] {
            let record = Record { cid: cid(), kind, name: expected.as_bytes().to_vec() };
            assert_eq!(decode(&map(&pairs)), Ok(record.clone()));
            let open = [vec![0xbf], pairs.concat(), vec![0xff]].concat();
            assert_eq!(decode(&open), Ok(record), "without a count");
        }
    }

    #[test]
    fn says_what_is_wrong() {
        let mode = |mode: u8| pair("mode", &[mode]);
        let deep = [vec![0x81; 100], vec![0]].concat();
        for (bytes, said) in [
            (vec![], "no map"),
            (vec![0x80], "no map"),
            (map(&[mode(0)]), "no CID"),
            (map(&[cid_pair()]), "no mode"),
            (map(&[cid_pair(), mode(5)]), "neither"),
            (map(&[pair("cid", &string(2, b"??")), mode(0)]), "makes no sense"),
            (map(&[pair("cid", &[0x5a, 0xff, 0xff, 0xff, 0xff])]), "not there"),
            (map(&[cid_pair(), mode(0), pair("x", &deep)]), "cut off"),
            ([map(&[cid_pair(), mode(0)]), vec![0]].concat(), "after it"),
            ([vec![0xbb], vec![0xff; 8]].concat(), "no text"),
        ] {
            let error = decode(&bytes).unwrap_err();
            assert!(error.contains(said), "{bytes:02x?}: {error}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(record) = decode(&bytes) {
                prop_assert!(!record.cid.to_bytes().is_empty());
            }
        }

        #[test]
        fn a_changed_byte_is_read_or_refused(at in 0_usize..60, byte in any::<u8>()) {
            let mut bytes = map(&[cid_pair(), pair("mode", &[0]), pair("name", &string(3, b"n"))]);
            let at = at % bytes.len();
            bytes[at] = byte;
            if let Err(error) = decode(&bytes) {
                prop_assert!(!error.is_empty());
            }
        }
    }
}
