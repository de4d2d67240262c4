//! Whether an index leads to the sections that it says it leads to.
//!
//! Invariants: lengths in the index are compared with the file before anything is read; an index
//! that agrees with the sections may still be followed by bytes that nobody knows.

use crate::ArchiveError;
use bytes::Buf as _;
use cairn_block::Cid;
use cairn_dag::car::{
    V2Header,
    index::{GROUPS_MAX, MULTIHASH_INDEX_SORTED, OFFSET_LEN},
};
use cairn_hash::{DIGEST_LEN_MAX, varint};
use std::{
    fs::File,
    io::{BufReader, ErrorKind, Read as _, Seek as _, SeekFrom},
    os::unix::fs::FileExt as _,
    path::Path,
};

/// The older format, which tells digests without their functions.
const INDEX_SORTED: u64 = 0x0400;

/// Bytes that are read to see a section's CID: two numbers and a CID of the longest digest.
const SECTION_HEAD_LEN: usize = 256;

/// One check to be made.
pub(crate) struct Check<'a> {
    pub(crate) path: &'a Path,
    pub(crate) v2: V2Header,
    /// Sections that have to have a record.
    pub(crate) count: u64,
    /// Look at each record, not only at the format.
    pub(crate) full: bool,
}

impl Check<'_> {
    /// The format's code, and how many records there are if they were looked at.
    pub(crate) fn run(&self) -> Result<(u64, Option<u64>), ArchiveError> {
        let failed = |source| ArchiveError::io("read", self.path, source);
        let mut file = File::open(self.path).map_err(failed)?;
        file.seek(SeekFrom::Start(self.v2.index_offset)).map_err(failed)?;
        let sections = file.try_clone().map_err(failed)?;
        let reader = Reader {
            path: self.path,
            input: BufReader::with_capacity(64 * 1024, file),
            position: self.v2.index_offset,
        };
        self.read(reader, &sections)
    }

    fn read(
        &self,
        mut reader: Reader<'_>,
        sections: &File,
    ) -> Result<(u64, Option<u64>), ArchiveError> {
        let codec = reader.varint()?;
        if !self.full || !matches!(codec, INDEX_SORTED | MULTIHASH_INDEX_SORTED) {
            return Ok((codec, None));
        }
        let groups = if codec == MULTIHASH_INDEX_SORTED { reader.groups()? } else { 1 };
        let mut count = 0;
        for _ in 0..groups {
            let code = if codec == MULTIHASH_INDEX_SORTED { Some(reader.u64()?) } else { None };
            for _ in 0..reader.groups()? {
                count += self.records(&mut reader, code, sections)?;
            }
        }
        if count != self.count {
            return Err(reader.broken("as many records as sections are needed"));
        }
        Ok((codec, Some(count)))
    }

    /// Checks the records of one width; returns how many there are.
    fn records(
        &self,
        reader: &mut Reader<'_>,
        code: Option<u64>,
        sections: &File,
    ) -> Result<u64, ArchiveError> {
        let (width, len) = (reader.u32()? as usize, reader.u64()?);
        if !(OFFSET_LEN..=DIGEST_LEN_MAX + OFFSET_LEN).contains(&width) {
            return Err(reader.broken("a record of an impossible length"));
        }
        if !len.is_multiple_of(width as u64) || len / width as u64 > self.count {
            return Err(reader.broken("more records than sections, or half a record"));
        }
        let (mut record, mut last) = (vec![0; width], Vec::new());
        for _ in 0..len / width as u64 {
            let at = reader.position;
            reader.exact(&mut record)?;
            let (digest, mut offset) = record.split_at(width - OFFSET_LEN);
            if digest < &last[..] {
                return Err(broken(self.path, at, "a record that is not in its order"));
            }
            let offset = offset.get_u64_le();
            if !self.leads(sections, offset, code, digest) {
                let reason = "a record that does not lead to the section of its digest";
                return Err(broken(self.path, at, reason));
            }
            last = digest.to_vec();
        }
        Ok(len / width as u64)
    }

    /// Whether a section of this digest stands at `offset` in the inner file.
    fn leads(&self, file: &File, offset: u64, code: Option<u64>, digest: &[u8]) -> bool {
        if offset >= self.v2.data_len {
            return false;
        }
        let mut head = [0; SECTION_HEAD_LEN];
        let Ok(len) = file.read_at(&mut head, self.v2.data_offset + offset) else { return false };
        let Ok((_, behind)) = varint::decode(&head[..len]) else { return false };
        let Ok((cid, _)) = Cid::decode(behind) else { return false };
        let hash = cid.multihash();
        code.is_none_or(|code| code == hash.code()) && hash.digest() == digest
    }
}

/// Reads an index from where it begins.
struct Reader<'a> {
    path: &'a Path,
    input: BufReader<File>,
    position: u64,
}

impl Reader<'_> {
    fn exact(&mut self, out: &mut [u8]) -> Result<(), ArchiveError> {
        match self.input.read_exact(out) {
            Ok(()) => {
                self.position += out.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                Err(self.broken("the file ends within it"))
            }
            Err(source) => Err(ArchiveError::io("read", self.path, source)),
        }
    }

    fn u32(&mut self) -> Result<u32, ArchiveError> {
        let mut bytes = [0; 4];
        self.exact(&mut bytes).map(|()| u32::from_le_bytes(bytes))
    }

    fn u64(&mut self) -> Result<u64, ArchiveError> {
        let mut bytes = [0; 8];
        self.exact(&mut bytes).map(|()| u64::from_le_bytes(bytes))
    }

    fn groups(&mut self) -> Result<u32, ArchiveError> {
        let count = self.u32()?;
        let too_many = usize::try_from(count).map_or(true, |count| count > GROUPS_MAX);
        if too_many { Err(self.broken("more groups than the limit")) } else { Ok(count) }
    }

    fn varint(&mut self) -> Result<u64, ArchiveError> {
        let mut bytes = Vec::new();
        loop {
            let mut byte = [0];
            self.exact(&mut byte)?;
            bytes.push(byte[0]);
            match varint::decode(&bytes) {
                Ok((number, _)) => return Ok(number),
                Err(varint::VarintError::Truncated { .. }) => {}
                Err(_) => return Err(self.broken("a broken number")),
            }
        }
    }

    fn broken(&self, reason: &'static str) -> ArchiveError {
        broken(self.path, self.position, reason)
    }
}

pub(super) fn broken(path: &Path, offset: u64, reason: &'static str) -> ArchiveError {
    ArchiveError::Index { path: path.to_owned(), offset, reason }
}
