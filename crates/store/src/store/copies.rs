//! The packs as a backup sees them.
//!
//! Not here: the backup (`crate::backup`).

use super::{
    Store,
    record::{SEGMENT_HEADER_LEN, SegmentId},
    segment::Opened,
};
use crate::StoreError;
use std::path::PathBuf;

/// Bytes at the front of a pack that may change in place.
pub(crate) const PACK_HEADER_LEN: usize = SEGMENT_HEADER_LEN;

/// A pack, as long as it is now.
#[derive(Debug)]
pub(crate) struct BackupPack {
    pub(crate) number: u32,
    pub(crate) path: PathBuf,
    pub(crate) len: u64,
    /// Whether nothing in it counts any more.
    pub(crate) emptied: bool,
    id: Option<SegmentId>,
}

impl BackupPack {
    /// Whether `header` is this very pack's, whatever its flags.
    pub(crate) fn is_of(&self, header: &[u8]) -> bool {
        let id = SegmentId::decode(header, self.number).ok().map(|(id, _)| id);
        id.is_some() && id == self.id
    }
}

impl Store {
    /// The packs, up to the last record that is written whole.
    pub(crate) fn backup_packs(&self) -> Result<Vec<BackupPack>, StoreError> {
        let inner = &self.inner;
        let position = inner.writer().position();
        let mut packs = Vec::new();
        let numbers = inner.segments.numbers()?;
        for number in numbers.into_iter().filter(|number| *number <= position.segment()) {
            let path = inner.segments.path(number);
            let (id, emptied) = match inner.segments.open(number)? {
                Opened::Whole(segment) => (Some(segment.id), false),
                Opened::Emptied(id) => (Some(id), true),
                Opened::Damaged => (None, false),
                Opened::Missing => continue,
            };
            let len = inner.segments.vfs.len(&path);
            let len = len.map_err(|source| StoreError::io("measure", &path, source))?;
            let mut len = len.unwrap_or_default();
            if number == position.segment() {
                len = len.min(position.offset());
            }
            packs.push(BackupPack { number, path, len, emptied, id });
        }
        Ok(packs)
    }
}
