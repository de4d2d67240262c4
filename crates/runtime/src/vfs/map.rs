//! A file of fixed length, mapped as shared words.
//!
//! The store's index is a hash table in such a file: readers look at it without a lock and
//! without a system call, and it costs no memory but page cache.
//!
//! Invariants: the words are only reached as [`AtomicU64`], so threads may share them; the file
//! must not be shortened while it is mapped (the repository's lock keeps other processes away).
//! This is the one file of the crate with `unsafe`: a mapping is memory that the compiler does
//! not know about.

#![expect(unsafe_code, reason = "a mapped file can only be reached through a raw pointer")]

use memmap2::MmapRaw;
use std::{
    io,
    sync::{Arc, atomic::AtomicU64},
};

/// A mapped file, as words in the machine's byte order.
#[derive(Debug, Clone)]
pub struct Map {
    backing: Arc<Backing>,
}

#[derive(Debug)]
enum Backing {
    File(MmapRaw),
    Memory(Box<[AtomicU64]>),
}

impl Map {
    /// Maps all of `file`.
    pub(super) fn of_file(file: &std::fs::File) -> io::Result<Self> {
        let len = file.metadata()?.len();
        if len == 0 || len % 8 != 0 {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let map = MmapRaw::map_raw(file)?;
        Ok(Self { backing: Arc::new(Backing::File(map)) })
    }

    /// Makes a map over memory, for file systems that are not real.
    pub fn of_words(words: Box<[AtomicU64]>) -> Self {
        Self { backing: Arc::new(Backing::Memory(words)) }
    }

    /// The file as words.
    pub fn words(&self) -> &[AtomicU64] {
        match &*self.backing {
            Backing::Memory(words) => words,
            #[expect(clippy::cast_ptr_alignment, reason = "pages are aligned more strictly")]
            // SAFETY: the pointer is page-aligned, so aligned for u64, and valid for `len` bytes
            // for as long as `self` lives; the length was checked to be a multiple of eight
            // (shorter remainders are left out by the division). The memory is shared and
            // writable, and is reached only as atomics, from here and from other threads.
            Backing::File(map) => unsafe {
                std::slice::from_raw_parts(map.as_ptr().cast::<AtomicU64>(), map.len() / 8)
            },
        }
    }

    /// Writes changed pages out and waits for them.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn sync(&self) -> io::Result<()> {
        match &*self.backing {
            Backing::Memory(_) => Ok(()),
            Backing::File(map) => map.flush(),
        }
    }
}
