//! The index of a CAR file of version 2: written, checked, taken off.
//!
//! Records have to be sorted, and there may be more of them than memory. So they are sorted a
//! share at a time: a first pass over the heads of the sections counts how digests begin, which
//! makes shares of at most [`RECORDS_MAX`] records; a pass for each share collects, sorts and
//! writes it.
//!
//! Invariants: sections without a record are those whose CIDs hold their blocks themselves, and
//! then the header does not say that the index is complete.
//! Not here: what an index looks like (`cairn_dag::car::index`).

mod check;

use crate::{ArchiveError, Output, Source, Target};
use cairn_dag::car::{
    self, V2_DATA_OFFSET,
    index::{Group, OFFSET_LEN, Shape},
};
use cairn_hash::code;
pub(crate) use check::Check;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::Path,
};

/// Records that are sorted at once; 48 bytes each for SHA-256.
const RECORDS_MAX: u64 = 512 * 1024;

/// Most records whose digests begin with the same two bytes; they are sorted at once.
const SAME_START_MAX: u64 = 16 * RECORDS_MAX;

/// Bytes that are copied at once.
const COPY_LEN: usize = 1024 * 1024;

/// Beginnings of digests: two bytes.
const STARTS: usize = 1 << 16;

/// Writes a file of version 2 with the same sections and an index.
///
/// # Errors
///
/// [`ArchiveError`]; then nothing is written.
pub fn with_index(path: &Path, target: &Target) -> Result<(), ArchiveError> {
    refuse_stream(path)?;
    let survey = Survey::of(path)?;
    let mut out = Output::create(target)?;
    let data_len = survey.data.end - survey.data.start;
    out.write(&car::v2_head(data_len, Some(survey.identity_count == 0)))?;
    copy(path, survey.data.clone(), &mut out)?;
    survey.write(path, RECORDS_MAX, &mut out)?;
    out.finish()
}

/// Writes the inner file of a file of version 2, or a file of version 1 as it is.
///
/// # Errors
///
/// [`ArchiveError`]; then nothing is written.
pub fn to_v1(path: &Path, target: &Target) -> Result<(), ArchiveError> {
    refuse_stream(path)?;
    let survey = Survey::of(path)?;
    let mut out = Output::create(target)?;
    copy(path, survey.data, &mut out)?;
    out.finish()
}

/// Writes the index of a file of version 2, alone.
///
/// # Errors
///
/// [`ArchiveError::Refused`] if it has none; [`ArchiveError`]; then nothing is written.
pub fn detach_index(path: &Path, target: &Target) -> Result<(), ArchiveError> {
    refuse_stream(path)?;
    let source = Source::open(path)?;
    let Some(v2) = source.v2().filter(|v2| v2.index_offset > 0) else {
        return Err(ArchiveError::refused(path, "it has no index"));
    };
    let len = std::fs::metadata(path).map_err(|source| ArchiveError::io("read", path, source))?;
    if v2.index_offset >= len.len() {
        return Err(check::broken(path, v2.index_offset, "the file ends before it"));
    }
    let mut out = Output::create(target)?;
    copy(path, v2.index_offset..len.len(), &mut out)?;
    out.finish()
}

fn refuse_stream(path: &Path) -> Result<(), ArchiveError> {
    if path == Path::new("-") {
        let reason = "it is read more than once, so it has to be a file";
        return Err(ArchiveError::refused(Path::new("standard input"), reason));
    }
    Ok(())
}

fn copy(path: &Path, range: Range<u64>, out: &mut Output) -> Result<(), ArchiveError> {
    let failed = |source| ArchiveError::io("read", path, source);
    let mut file = File::open(path).map_err(failed)?;
    file.seek(SeekFrom::Start(range.start)).map_err(failed)?;
    let mut left = range.end - range.start;
    let mut memory = vec![0; COPY_LEN];
    while left > 0 {
        let len = left.min(COPY_LEN as u64) as usize;
        file.read_exact(&mut memory[..len]).map_err(failed)?;
        out.write(&memory[..len])?;
        left -= len as u64;
    }
    Ok(())
}

/// What one pass over the heads of the sections tells.
struct Survey {
    /// Where the inner file lies.
    data: Range<u64>,
    shape: Shape,
    /// How many digests of each group begin with which two bytes.
    starts: BTreeMap<Group, Vec<u64>>,
    /// Sections that get no record.
    identity_count: u64,
}

impl Survey {
    fn of(path: &Path) -> Result<Self, ArchiveError> {
        let mut source = Source::open(path)?;
        let start = source.v2().map_or(0, |v2| v2.data_offset);
        let (shape, starts) = (Shape::default(), BTreeMap::new());
        let mut survey = Self { data: start..start, shape, starts, identity_count: 0 };
        while let Some(section) = source.next_section()? {
            let hash = section.cid.multihash();
            if hash.code() == code::IDENTITY {
                survey.identity_count += 1;
                continue;
            }
            let group = Group::of(hash);
            if !survey.shape.count(group) {
                let reason = "its blocks have more hash functions than an index may";
                return Err(ArchiveError::refused(path, reason));
            }
            let counts = survey.starts.entry(group).or_insert_with(|| vec![0; STARTS]);
            counts[start_of(hash.digest())] += 1;
        }
        survey.data.end = source.offset();
        Ok(survey)
    }

    /// Writes the index, of which at most `records_max` records are sorted at once.
    fn write(&self, path: &Path, records_max: u64, out: &mut Output) -> Result<(), ArchiveError> {
        out.write(&self.shape.head())?;
        for (group, _) in self.shape.groups() {
            out.write(&self.shape.group_head(group))?;
            for share in shares(&self.starts[&group], records_max) {
                let count: u64 = self.starts[&group][share.clone()].iter().sum();
                if count > SAME_START_MAX.max(records_max) {
                    let reason = "more blocks than can be sorted have names that begin alike";
                    return Err(ArchiveError::refused(path, reason));
                }
                self.write_share(path, group, &share, out)?;
            }
        }
        Ok(())
    }

    fn write_share(
        &self,
        path: &Path,
        group: Group,
        share: &Range<usize>,
        out: &mut Output,
    ) -> Result<(), ArchiveError> {
        let width = group.width();
        let mut records = Vec::new();
        let mut source = Source::open(path)?;
        while let Some(section) = source.next_section()? {
            let hash = section.cid.multihash();
            if Group::of(hash) == group && share.contains(&start_of(hash.digest())) {
                records.extend_from_slice(hash.digest());
                // The offset is turned around to be sorted as a number.
                let offset = section.offset - self.data.start;
                records.extend_from_slice(&offset.to_be_bytes());
            }
        }
        let mut order: Vec<u32> = (0..(records.len() / width) as u32).collect();
        let record = |at: u32| &records[at as usize * width..(at as usize + 1) * width];
        order.sort_unstable_by(|left, right| record(*left).cmp(record(*right)));
        for at in order {
            let (digest, offset) = record(at).split_at(width - OFFSET_LEN);
            out.write(digest)?;
            let offset: Vec<u8> = offset.iter().rev().copied().collect();
            out.write(&offset)?;
        }
        Ok(())
    }
}

/// How a digest begins; a shorter one is as if zeros followed.
fn start_of(digest: &[u8]) -> usize {
    let byte = |at: usize| usize::from(digest.get(at).copied().unwrap_or(0));
    byte(0) << 8 | byte(1)
}

/// Cuts all beginnings into ranges of at most `max` records, or of one beginning.
fn shares(counts: &[u64], max: u64) -> Vec<Range<usize>> {
    let (mut shares, mut from, mut sum) = (Vec::new(), 0, 0);
    for (at, count) in counts.iter().enumerate() {
        if sum > 0 && sum + count > max {
            shares.push(from..at);
            (from, sum) = (at, 0);
        }
        sum += count;
    }
    if sum > 0 {
        shares.push(from..counts.len());
    }
    shares
}

const _: () = assert!(V2_DATA_OFFSET == 51, "others expect the inner file right behind the header");

#[cfg(test)]
mod tests;
