//! A file's bytes as shared pages, so that a copy of a file costs next to nothing.
//!
//! Invariant: bytes of the last page behind the length are zero, so extending shows zeros.
//! Not here: which of the pages reached the disk (`image.rs`).

use std::sync::Arc;

/// Bytes of a page: what the system writes out at once.
pub const PAGE_LEN: usize = 4096;

/// Bytes that a disk writes whole or not at all.
pub const SECTOR_LEN: usize = 512;

/// A page, or `None` where nothing was ever written.
pub(super) type Page = Option<Arc<[u8; PAGE_LEN]>>;

/// The bytes of one file.
#[derive(Debug, Clone, Default)]
pub struct Contents {
    pub(super) pages: Vec<Page>,
    pub(super) len: u64,
}

impl Contents {
    /// A file of these bytes.
    pub fn of(bytes: &[u8]) -> Self {
        let mut contents = Self::default();
        contents.write(bytes, 0);
        contents
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All of its bytes.
    pub fn to_vec(&self) -> Vec<u8> {
        let mut bytes = vec![0; at(self.len)];
        self.read(&mut bytes, 0);
        bytes
    }

    /// Reads until `buffer` is full or the file ends; returns how much was read.
    pub fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let count = at(self.len.saturating_sub(offset)).min(buffer.len());
        let mut done = 0;
        while done < count {
            let (number, start) = split(offset + done as u64);
            let part = (PAGE_LEN - start).min(count - done);
            let target = &mut buffer[done..done + part];
            match self.pages.get(number).and_then(Option::as_ref) {
                Some(page) => target.copy_from_slice(&page[start..start + part]),
                None => target.fill(0),
            }
            done += part;
        }
        count
    }

    /// Writes all of `bytes`, extending the file if need be.
    pub fn write(&mut self, bytes: &[u8], offset: u64) {
        let mut done = 0;
        while done < bytes.len() {
            let (number, start) = split(offset + done as u64);
            let part = (PAGE_LEN - start).min(bytes.len() - done);
            if self.pages.len() <= number {
                self.pages.resize(number + 1, None);
            }
            let page = self.pages[number].get_or_insert_with(|| Arc::new([0; PAGE_LEN]));
            Arc::make_mut(page)[start..start + part].copy_from_slice(&bytes[done..done + part]);
            done += part;
        }
        self.len = self.len.max(offset + bytes.len() as u64);
    }

    /// Cuts the file, or extends it with zeros.
    pub fn set_len(&mut self, len: u64) {
        if len < self.len {
            let (number, start) = split(len);
            self.pages.truncate(at(len).div_ceil(PAGE_LEN));
            if start > 0
                && let Some(Some(page)) = self.pages.get_mut(number)
            {
                Arc::make_mut(page)[start..].fill(0);
            }
        }
        self.len = len;
    }

    /// One page; `None` behind the end as well.
    pub(super) fn page(&self, number: usize) -> Page {
        self.pages.get(number).cloned().flatten()
    }

    /// Puts a page in its place, whatever the length is.
    pub(super) fn set_page(&mut self, number: usize, page: Page) {
        if self.pages.len() <= number {
            if page.is_none() {
                return;
            }
            self.pages.resize(number + 1, None);
        }
        self.pages[number] = page;
    }

    /// Sees to it that nothing is behind the length.
    pub(super) fn trim(&mut self) {
        let len = self.len;
        self.len = len.max((self.pages.len() * PAGE_LEN) as u64);
        self.set_len(len);
    }
}

/// The pages that a range touches.
pub(super) fn touched(offset: u64, len: usize) -> std::ops::Range<usize> {
    if len == 0 {
        return 0..0;
    }
    split(offset).0..split(offset + len as u64 - 1).0 + 1
}

fn split(offset: u64) -> (usize, usize) {
    let offset = at(offset);
    (offset / PAGE_LEN, offset % PAGE_LEN)
}

fn at(len: u64) -> usize {
    usize::try_from(len).expect("invariant: simulated files are small")
}
