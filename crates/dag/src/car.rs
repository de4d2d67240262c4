//! CAR files: blocks one after another, behind a header that names roots.
//!
//! The decoder takes bytes as they come and gives blocks out, so a file of any length takes the
//! memory of its largest section. Blocks come out unchecked, as CID and bytes: whoever reads a
//! file hashes many at a time.
//!
//! Spec: <https://ipld.io/specs/transport/car/carv1/> and `carv2/`, pinned in `spec/PINS.toml`.
//! Invariants: no length is believed before it is compared with its limit; of version 2 only the
//! inner version 1 is read, its index is nothing to trust.
//! Not here: hashing (`cairn_block::Block::verify_many`), indexes (`index.rs`), files on disk.

pub mod index;

use crate::{Node, dag_cbor};
use bytes::{Buf as _, Bytes, BytesMut};
use cairn_block::{BLOCK_LEN_MAX, Cid};
use cairn_hash::varint::{self, VarintError};
use thiserror::Error;

/// Longest header, in bytes: some twenty thousand roots.
pub const HEADER_LEN_MAX: usize = 1024 * 1024;

/// Longest CID that may stand before a block, in bytes: one that holds 128 bytes itself, and room.
const CID_LEN_MAX: usize = 256;

/// How every file of version 2 begins: a header of version 1 that says 2.
const PRAGMA: &[u8] = b"\x0a\xa1\x67version\x02";

/// The header behind the pragma: 16 bytes of characteristics, then offset and length of the inner
/// file and the offset of the index.
const V2_HEADER_LEN: usize = 40;

/// Where the inner file begins in a file that [`v2_head`] begins.
pub const V2_DATA_OFFSET: u64 = (PRAGMA.len() + V2_HEADER_LEN) as u64;

/// The bit of the characteristics that says that the index leaves no section out.
const FULLY_INDEXED: u8 = 0x80;

/// What the header of a file of version 2 says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct V2Header {
    /// Bits about the whole file.
    pub characteristics: [u8; 16],
    /// Where the inner file of version 1 begins.
    pub data_offset: u64,
    /// How long that is, in bytes.
    pub data_len: u64,
    /// Where the index begins; 0 for none.
    pub index_offset: u64,
}

/// One section, without the bytes of its block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// The block's name, which nobody has checked.
    pub cid: Cid,
    /// Where the section begins in the file.
    pub offset: u64,
    /// Where the block's bytes begin.
    pub data_offset: u64,
    /// How many there are.
    pub data_len: usize,
}

impl Section {
    /// The length of the whole section, in bytes.
    pub fn section_len(&self) -> u64 {
        self.data_offset - self.offset + self.data_len as u64
    }
}

/// Why bytes are not a CAR file.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum CarError {
    /// The header is not what it should be.
    #[error("invalid car: {reason}")]
    Header {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A section is not what it should be.
    #[error("invalid car: section at byte {offset}: {reason}")]
    Section {
        /// Where it begins.
        offset: u64,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A section's block cannot be taken: it is not what its CID says, as a rule.
    #[error("invalid car: section at byte {offset}: {reason}")]
    Block {
        /// Where the section begins.
        offset: u64,
        /// Which block, and what is wrong with it.
        reason: String,
    },
    /// The file ends within a section, or before its header does.
    #[error("invalid car: it ends too early, after {offset} bytes (byte {section} begins a part)")]
    Truncated {
        /// Its length in bytes.
        offset: u64,
        /// Where the part begins that is not whole.
        section: u64,
    },
}

/// Returns the header of a file of version 1.
///
/// # Panics
///
/// Never: links and integers have a form in dag-cbor.
pub fn header(roots: &[Cid]) -> Vec<u8> {
    let roots = roots.iter().cloned().map(Node::link).collect();
    let header = Node::Map(vec![
        ("roots".to_owned(), Node::List(roots)),
        ("version".to_owned(), Node::Integer(1)),
    ]);
    let header = dag_cbor::encode(&header).expect("invariant: links and integers have a form");
    let mut out = Vec::with_capacity(header.len() + 4);
    varint::encode(header.len() as u64, &mut out);
    out.extend_from_slice(&header);
    out
}

/// Returns the beginning of a file of version 2, up to the inner file of `data_len` bytes, which an
/// index follows that leaves out nothing if `is_full`; none follows if it is `None`.
pub fn v2_head(data_len: u64, is_full: Option<bool>) -> Vec<u8> {
    let mut out = PRAGMA.to_vec();
    let mut characteristics = [0; 16];
    if is_full == Some(true) {
        characteristics[0] = FULLY_INDEXED;
    }
    out.extend_from_slice(&characteristics);
    let index_offset = is_full.map_or(0, |_| V2_DATA_OFFSET + data_len);
    for number in [V2_DATA_OFFSET, data_len, index_offset] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    out
}

/// Returns what stands before the bytes of a block.
pub fn section_head(cid: &Cid, data_len: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(cid.encoded_len() + 9);
    varint::encode((cid.encoded_len() + data_len) as u64, &mut out);
    cid.encode(&mut out);
    out
}

/// Where in a file the decoder is.
#[derive(Debug)]
enum Place {
    /// Before the header of version 1 or the pragma of version 2.
    Start,
    /// Behind the pragma.
    V2Header,
    /// Bytes to skip until the inner file, and its length.
    Padding {
        len: u64,
        inner_len: u64,
    },
    /// Before the inner file's header.
    InnerHeader,
    Sections,
}

/// Takes a file's bytes as they come and gives its blocks out.
#[derive(Debug)]
pub struct CarDecoder {
    buffer: BytesMut,
    place: Place,
    /// Bytes taken out of the buffer.
    offset: u64,
    /// Where the section begins whose block came out last.
    section_offset: u64,
    /// Bytes of the inner file still to come; `None` until the end of what comes.
    left: Option<u64>,
    /// Bytes of a block that nobody wants, still to come.
    skip: u64,
    v2: Option<V2Header>,
    roots: Vec<Cid>,
}

impl Default for CarDecoder {
    fn default() -> Self {
        Self::new()
    }
}

impl CarDecoder {
    /// Starts a file.
    pub fn new() -> Self {
        Self {
            buffer: BytesMut::new(),
            place: Place::Start,
            offset: 0,
            section_offset: 0,
            left: None,
            skip: 0,
            v2: None,
            roots: Vec::new(),
        }
    }

    /// The roots that the header names; none before the first block came out or the file ended.
    pub fn roots(&self) -> &[Cid] {
        &self.roots
    }

    /// Where in the file the section begins whose block came out last.
    pub fn section_offset(&self) -> u64 {
        self.section_offset
    }

    /// The header of version 2, once it has come; `None` for a file of version 1.
    pub fn v2(&self) -> Option<V2Header> {
        self.v2
    }

    /// Whether the headers have come, so that version and roots are known.
    pub fn has_header(&self) -> bool {
        matches!(self.place, Place::Sections)
    }

    /// Where the decoder is in the file: behind the last section that came out, or the headers.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Whether the inner file has ended, whatever else comes. Never of a file of version 1.
    pub fn is_at_end(&self) -> bool {
        self.has_header() && self.left == Some(0)
    }

    /// How many of the bytes that come next nobody wants, after [`CarDecoder::next_section`].
    pub fn skip_len(&self) -> u64 {
        self.skip.saturating_sub(self.buffer.len() as u64)
    }

    /// Says that the next `len` bytes, at most [`CarDecoder::skip_len`], were passed over.
    pub fn skipped(&mut self, len: u64) {
        let ahead = self.skip_len();
        if ahead == 0 {
            return;
        }
        let len = self.buffer.len() as u64 + len.min(ahead);
        self.buffer.clear();
        self.skip -= len;
        self.advance(len);
    }

    /// Takes the next bytes of the file.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Returns the next block, unchecked; `None` asks for more bytes, or is the end.
    ///
    /// # Errors
    ///
    /// [`CarError`]; nothing more comes out then.
    pub fn next_block(&mut self) -> Result<Option<(Cid, Bytes)>, CarError> {
        if self.read_header()? && self.drop_skipped() { self.section() } else { Ok(None) }
    }

    /// Returns the next section and passes over its block's bytes; `None` as in
    /// [`CarDecoder::next_block`].
    ///
    /// # Errors
    ///
    /// As [`CarDecoder::next_block`].
    pub fn next_section(&mut self) -> Result<Option<Section>, CarError> {
        if self.read_header()? && self.drop_skipped() { self.bare_section() } else { Ok(None) }
    }

    /// Reads the headers as far as they have come; whether they are behind.
    ///
    /// # Errors
    ///
    /// [`CarError::Header`]; nothing more comes out then.
    pub fn read_header(&mut self) -> Result<bool, CarError> {
        loop {
            let is_done = match self.place {
                Place::Start | Place::InnerHeader => self.header()?,
                Place::V2Header => self.v2_header()?,
                Place::Padding { len, inner_len } => self.padding(len, inner_len),
                Place::Sections => return Ok(true),
            };
            if !is_done {
                return Ok(false);
            }
        }
    }

    /// Whether everything that nobody wants has gone.
    fn drop_skipped(&mut self) -> bool {
        if self.skip > 0 {
            let here = self.skip.min(self.buffer.len() as u64);
            self.skip -= here;
            drop(self.take(here as usize));
        }
        self.skip == 0
    }

    /// Says that no more bytes come.
    ///
    /// # Errors
    ///
    /// [`CarError::Truncated`] if some should.
    pub fn finish(&self) -> Result<(), CarError> {
        let is_whole = match self.left {
            Some(left) => left == 0,
            None => self.buffer.is_empty(),
        };
        if matches!(self.place, Place::Sections) && is_whole && self.skip == 0 {
            return Ok(());
        }
        let section = if self.skip > 0 { self.section_offset } else { self.offset };
        Err(CarError::Truncated { offset: self.offset + self.buffer.len() as u64, section })
    }

    /// Reads the length in front; `None` if it is not all there.
    fn length(
        &self,
        limit: usize,
        reason: &'static str,
    ) -> Result<Option<(usize, usize)>, CarError> {
        let fail = |reason| match self.place {
            Place::Sections => CarError::Section { offset: self.offset, reason },
            _ => CarError::Header { reason },
        };
        match varint::decode(&self.buffer) {
            Ok((len, rest)) => match usize::try_from(len) {
                Ok(len) if len <= limit => Ok(Some((self.buffer.len() - rest.len(), len))),
                _ => Err(fail(reason)),
            },
            Err(VarintError::Truncated { .. }) => Ok(None),
            Err(_) => Err(fail("a broken length")),
        }
    }

    fn take(&mut self, len: usize) -> Bytes {
        self.advance(len as u64);
        self.buffer.split_to(len).freeze()
    }

    fn advance(&mut self, len: u64) {
        self.offset += len;
        if let Some(left) = &mut self.left {
            *left -= len;
        }
    }

    fn header(&mut self) -> Result<bool, CarError> {
        let fail = |reason| Err(CarError::Header { reason });
        let Some((prefix_len, len)) = self.length(HEADER_LEN_MAX, "a header over the limit")?
        else {
            return Ok(false);
        };
        if self.left.is_some_and(|left| left < (prefix_len + len) as u64) {
            return fail("an inner file shorter than its header");
        }
        if self.buffer.len() < prefix_len + len {
            return Ok(false);
        }
        let is_outer = matches!(self.place, Place::Start);
        let bytes = self.take(prefix_len + len);
        if is_outer && bytes == PRAGMA {
            self.place = Place::V2Header;
            return Ok(true);
        }
        let Ok(header) = dag_cbor::decode(&bytes[prefix_len..]) else {
            return fail("a header that is not dag-cbor");
        };
        if header.get("version") != Some(&Node::Integer(1)) {
            return fail("a version other than 1 and 2");
        }
        let Some(Node::List(roots)) = header.get("roots") else {
            return fail("a header without roots");
        };
        for root in roots {
            let Node::Link(cid) = root else { return fail("a root that is not a link") };
            self.roots.push((**cid).clone());
        }
        self.place = Place::Sections;
        Ok(true)
    }

    fn v2_header(&mut self) -> Result<bool, CarError> {
        if self.buffer.len() < V2_HEADER_LEN {
            return Ok(false);
        }
        let mut bytes = self.take(V2_HEADER_LEN);
        let mut characteristics = [0; 16];
        bytes.copy_to_slice(&mut characteristics);
        let (data_offset, inner_len) = (bytes.get_u64_le(), bytes.get_u64_le());
        let Some(len) = data_offset.checked_sub(self.offset) else {
            return Err(CarError::Header { reason: "an inner file within the header" });
        };
        let index_offset = bytes.get_u64_le();
        self.v2 =
            Some(V2Header { characteristics, data_offset, data_len: inner_len, index_offset });
        self.place = Place::Padding { len, inner_len };
        Ok(true)
    }

    fn padding(&mut self, len: u64, inner_len: u64) -> bool {
        let here = usize::try_from(len).map_or(self.buffer.len(), |len| len.min(self.buffer.len()));
        drop(self.take(here));
        let len = len - here as u64;
        if len > 0 {
            self.place = Place::Padding { len, inner_len };
            return false;
        }
        self.left = Some(inner_len);
        self.place = Place::InnerHeader;
        true
    }

    /// The prefix and the length of the section in front; `None` if it has not come, or is none.
    fn section_len(&mut self) -> Result<Option<(usize, usize)>, CarError> {
        let fail = |reason| Err(CarError::Section { offset: self.offset, reason });
        if self.left == Some(0) {
            // Behind the inner file stands an index.
            self.buffer.clear();
            return Ok(None);
        }
        let limit = BLOCK_LEN_MAX + CID_LEN_MAX;
        let Some((prefix_len, len)) = self.length(limit, "a section over the limit")? else {
            return match self.left {
                Some(left) if left <= self.buffer.len() as u64 => fail("a broken length"),
                _ => Ok(None),
            };
        };
        if len == 0 {
            return fail("a section without bytes");
        }
        if self.left.is_some_and(|left| left < (prefix_len + len) as u64) {
            return fail("a section longer than the inner file");
        }
        Ok(Some((prefix_len, len)))
    }

    fn section(&mut self) -> Result<Option<(Cid, Bytes)>, CarError> {
        let Some((prefix_len, len)) = self.section_len()? else { return Ok(None) };
        let offset = self.offset;
        let fail = |reason| Err(CarError::Section { offset, reason });
        if self.buffer.len() < prefix_len + len {
            return Ok(None);
        }
        let mut section = self.take(prefix_len + len);
        section.advance(prefix_len);
        let Ok((cid, data)) = Cid::decode(&section) else { return fail("no CID") };
        if data.len() > BLOCK_LEN_MAX {
            return fail("a block of over 2 MiB");
        }
        let data = section.slice_ref(data);
        self.section_offset = offset;
        Ok(Some((cid, data)))
    }

    fn bare_section(&mut self) -> Result<Option<Section>, CarError> {
        let Some((prefix_len, len)) = self.section_len()? else { return Ok(None) };
        let offset = self.offset;
        let fail = |reason| Err(CarError::Section { offset, reason });
        let here = (self.buffer.len() - prefix_len).min(len);
        let (cid, cid_len) = match Cid::decode(&self.buffer[prefix_len..prefix_len + here]) {
            Ok((cid, data)) => (cid, here - data.len()),
            Err(_) if here < len.min(CID_LEN_MAX) => return Ok(None),
            Err(_) => return fail("no CID"),
        };
        let data_len = len - cid_len;
        if data_len > BLOCK_LEN_MAX {
            return fail("a block of over 2 MiB");
        }
        drop(self.take(prefix_len + cid_len));
        self.section_offset = offset;
        self.skip = data_len as u64;
        Ok(Some(Section { cid, offset, data_offset: self.offset, data_len }))
    }
}

#[cfg(test)]
mod tests;
