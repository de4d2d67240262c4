//! A tar stream, made piece by piece, perhaps compressed.
//!
//! Spec: POSIX ustar headers; longer names and targets as GNU entries, times that a header cannot
//! say as a pax record. Every unpacker reads them.

use crate::{Emitter, RpcError};
use bytes::Bytes;
use cairn_unixfs::{Entry, EntryKind};
use flate2::{Compression, write::GzEncoder};
use std::io::Write as _;

/// Length of a record, to which everything is padded.
const RECORD_LEN: usize = 512;
/// Longest name or target that fits into a header.
const NAME_LEN_MAX: usize = 100;
/// Nanoseconds in a second.
const NANOS: u32 = 1_000_000_000;
/// Compressed bytes that are collected before they are sent on.
const COMPRESSED_LEN: usize = 64 * 1024;

/// Writes the stream.
#[derive(Debug)]
pub(super) struct Packer {
    out: Emitter,
    encoder: Option<GzEncoder<Vec<u8>>>,
}

impl Packer {
    /// Compresses if there is a `level`.
    pub(super) fn new(out: Emitter, level: Option<u32>) -> Self {
        let encoder = level.map(|level| GzEncoder::new(Vec::new(), Compression::new(level)));
        Self { out, encoder }
    }

    /// Begins an entry.
    pub(super) async fn head(&mut self, path: &str, entry: &Entry) -> Result<(), RpcError> {
        self.data(head_of(path, entry)?.into()).await
    }

    /// Adds bytes.
    pub(super) async fn data(&mut self, bytes: Bytes) -> Result<(), RpcError> {
        let Some(mut encoder) = self.encoder.take() else { return self.out.data(bytes).await };
        let (mut encoder, result) = cairn_runtime::blocking(move || {
            let result = encoder.write_all(&bytes);
            (encoder, result)
        })
        .await;
        result?;
        if encoder.get_ref().len() >= COMPRESSED_LEN {
            self.out.data(std::mem::take(encoder.get_mut()).into()).await?;
        }
        self.encoder = Some(encoder);
        Ok(())
    }

    /// Fills an archived file's last record; a file that is only compressed has none.
    pub(super) async fn pad(&mut self, len: u64) -> Result<(), RpcError> {
        let used = (len % RECORD_LEN as u64) as usize;
        if used == 0 {
            return Ok(());
        }
        self.data(Bytes::from_static(&[0; RECORD_LEN]).slice(used..)).await
    }

    /// Ends the archive.
    pub(super) async fn end(&mut self) -> Result<(), RpcError> {
        self.data(Bytes::from_static(&[0; 2 * RECORD_LEN])).await
    }

    /// Ends the stream.
    pub(super) async fn finish(mut self) -> Result<(), RpcError> {
        match self.encoder.take() {
            None => Ok(()),
            Some(encoder) => self.out.data(encoder.finish()?.into()).await,
        }
    }
}

fn head_of(path: &str, entry: &Entry) -> Result<Vec<u8>, RpcError> {
    let mut out = Vec::with_capacity(RECORD_LEN);
    let (kind, target, mode) = match &entry.kind {
        EntryKind::Directory { .. } => (tar::EntryType::Directory, None, 0o755),
        EntryKind::Symlink { target } => (tar::EntryType::Symlink, Some(target.as_str()), 0o777),
        _ => (tar::EntryType::Regular, None, 0o644),
    };
    let path = if kind.is_dir() { format!("{path}/") } else { path.to_owned() };
    if path.len() > NAME_LEN_MAX {
        long(tar::EntryType::GNULongName, &path, &mut out)?;
    }
    if let Some(target) = target.filter(|target| target.len() > NAME_LEN_MAX) {
        long(tar::EntryType::GNULongLink, target, &mut out)?;
    }
    let time = entry.mtime.filter(|time| time.secs <= 0 || time.nanos > 0);
    if let Some(time) = time {
        let text = format!(" mtime={}\n", decimal(time.secs, time.nanos));
        extra("././@PaxHeader", tar::EntryType::XHeader, &counted(&text), &mut out)?;
    }
    let mut header = tar::Header::new_gnu();
    set_bytes(&mut header.as_old_mut().name, &path);
    if let Some(target) = target {
        set_bytes(&mut header.as_old_mut().linkname, target);
    }
    header.set_entry_type(kind);
    header.set_mode(entry.mode.unwrap_or(mode));
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(if kind.is_file() { entry.len } else { 0 });
    let mtime = entry.mtime.map_or(0, |mtime| mtime.secs);
    header.set_mtime(u64::try_from(mtime).unwrap_or(0));
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    Ok(out)
}

/// Writes a name as it is: the unpacker decides what it may mean.
fn set_bytes(field: &mut [u8; NAME_LEN_MAX], text: &str) {
    let len = text.len().min(NAME_LEN_MAX);
    field[..len].copy_from_slice(&text.as_bytes()[..len]);
}

/// Adds an entry whose content is the next entry's name or target.
fn long(kind: tar::EntryType, text: &str, out: &mut Vec<u8>) -> Result<(), RpcError> {
    extra("././@LongLink", kind, &format!("{text}\0"), out)
}

/// Adds an entry whose content says something of the next one.
fn extra(name: &str, kind: tar::EntryType, text: &str, out: &mut Vec<u8>) -> Result<(), RpcError> {
    let mut header = tar::Header::new_gnu();
    header.set_path(name)?;
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header.set_size(text.len() as u64);
    header.set_cksum();
    out.extend_from_slice(header.as_bytes());
    out.extend_from_slice(text.as_bytes());
    out.resize(out.len().next_multiple_of(RECORD_LEN), 0);
    Ok(())
}

/// Seconds and the nanoseconds after them, as a number with a fraction.
fn decimal(secs: i64, nanos: u32) -> String {
    match (secs, nanos) {
        (_, 0) => secs.to_string(),
        (0.., _) => format!("{secs}.{nanos:09}"),
        _ => format!("-{}.{:09}", -(i128::from(secs) + 1), NANOS - nanos),
    }
}

/// Puts a pax record's length, which counts its own digits, before it.
fn counted(record: &str) -> String {
    let mut len = record.len();
    while record.len() + len.to_string().len() != len {
        len = record.len() + len.to_string().len();
    }
    format!("{len}{record}")
}

#[cfg(test)]
mod tests {
    use super::{decimal, head_of};
    use cairn_unixfs::{Entry, EntryKind, Mtime};
    use std::io::Cursor;

    #[test]
    fn names_of_any_length_survive() {
        for len in [1, 99, 100, 101, 255, 511, 512, 1000] {
            let path = "n".repeat(len);
            let target = "../".repeat(len);
            let kind = EntryKind::Symlink { target: target.clone() };
            let entry = Entry { kind, len: 0, mode: None, mtime: None, links: 0, total_len: 0 };
            let mut bytes = head_of(&path, &entry).unwrap();
            bytes.extend_from_slice(&[0; 1024]);
            let mut archive = tar::Archive::new(Cursor::new(bytes));
            let read = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(read.path_bytes(), path.as_bytes(), "{len}");
            assert_eq!(read.link_name_bytes().unwrap(), target.as_bytes(), "{len}");
        }
    }
    #[test]
    fn times_that_a_header_cannot_say_stand_before_it() {
        let rows = [
            (5, 0, None),
            (5, 7, Some("5.000000007")),
            (0, 0, Some("0")),
            (-6, 750_000_000, Some("-5.250000000")),
            (-1, 1, Some("-0.999999999")),
            (i64::MIN, 0, Some("-9223372036854775808")),
        ];
        for (secs, nanos, expected) in rows {
            let kind = EntryKind::File;
            let mtime = Some(Mtime { secs, nanos });
            let entry = Entry { kind, len: 0, mode: None, mtime, links: 0, total_len: 0 };
            let mut bytes = head_of(&"n".repeat(200), &entry).unwrap();
            bytes.extend_from_slice(&[0; 1024]);
            let mut archive = tar::Archive::new(Cursor::new(bytes));
            let mut read = archive.entries().unwrap().next().unwrap().unwrap();
            assert_eq!(read.path_bytes().len(), 200);
            let told = read.pax_extensions().unwrap().map(|mut records| {
                let record = records.next().unwrap().unwrap();
                assert_eq!(record.key(), Ok("mtime"));
                record.value().unwrap().to_owned()
            });
            assert_eq!(told.as_deref(), expected, "{secs} {nanos}");
        }
        assert_eq!(decimal(1, 20), "1.000000020");
    }
}
