//! The buffers that file data is read into, used again and again.
//!
//! A full buffer becomes `Bytes`; when the last leaf cut from it is written, the memory comes
//! back. So a running add touches the same few pages, and a reader that is ahead waits here.
//!
//! The first one holds a single slot: most adds by the API are smaller than that, and would spend
//! more on clearing a long buffer than on everything else.
//!
//! Invariant: an add never has more than [`BUFFER_COUNT_MAX`] buffers and the first, short one.
//! Not here: what is read into them (`reader.rs`).

use bytes::Bytes;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Buffers of one add: one being read into, one being hashed, one being written, one waiting.
pub(super) const BUFFER_COUNT_MAX: usize = 4;

/// What one add may have read and not written, in bytes, about.
pub(super) const BUFFERS_LEN_MAX: usize = BUFFER_COUNT_MAX * 8 * 1024 * 1024;

/// Shortest buffer, in bytes: 16 leaves of 256 KiB, one for each lane of AVX-512.
const BUFFER_LEN_MIN: usize = 4 * 1024 * 1024;

/// Longest buffer, in bytes: 8 leaves of 1 MiB with wrappers; longer leaves fill fewer lanes.
const BUFFER_LEN_MAX: usize = 8 * 1024 * 1024 + 4096;

/// Leaves that fill all lanes.
const LANE_COUNT: usize = 16;

/// The buffers of one add.
#[derive(Debug)]
pub(super) struct Buffers {
    /// The length of the first buffer, until it is made.
    first_len: Option<usize>,
    len: usize,
    /// How many more may be made.
    left: usize,
    back: SyncSender<Vec<u8>>,
    returned: Receiver<Vec<u8>>,
}

/// A buffer in use; its memory goes back when it is dropped.
struct Lease {
    memory: Vec<u8>,
    back: SyncSender<Vec<u8>>,
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        // Fails only when the add is over, and then nobody needs the memory.
        drop(self.back.try_send(std::mem::take(&mut self.memory)));
    }
}

impl Buffers {
    /// Buffers that hold at least one slot of `slot_len` bytes.
    pub(super) fn new(slot_len: usize) -> Self {
        let len = (LANE_COUNT * slot_len).clamp(BUFFER_LEN_MIN, BUFFER_LEN_MAX).max(slot_len);
        // Room for all there are: one that could not be sent back would be waited for in vain.
        let (back, returned) = sync_channel(BUFFER_COUNT_MAX + 1);
        Self { first_len: Some(slot_len), len, left: BUFFER_COUNT_MAX, back, returned }
    }

    /// Returns a buffer with arbitrary content; waits for one that is in use if it must.
    pub(super) fn take(&mut self) -> Vec<u8> {
        if let Some(len) = self.first_len.take() {
            return vec![0; len];
        }
        while let Ok(memory) = self.returned.try_recv() {
            if memory.len() == self.len {
                return memory;
            }
        }
        if self.left > 0 {
            self.left -= 1;
            return vec![0; self.len];
        }
        loop {
            let memory = self.returned.recv();
            let memory = memory.expect("invariant: the other end of the channel is in self");
            if memory.len() == self.len {
                return memory;
            }
        }
    }

    /// Makes a filled buffer shareable.
    pub(super) fn share(&self, memory: Vec<u8>) -> Bytes {
        Bytes::from_owner(Lease { memory, back: self.back.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::{BUFFER_COUNT_MAX, Buffers};

    #[test]
    fn memory_comes_back_with_the_last_slice() {
        let mut buffers = Buffers::new(1000);
        let first = buffers.take();
        assert_eq!(first.len(), 1000);
        drop(buffers.share(first));
        let all: Vec<Vec<u8>> = (0..BUFFER_COUNT_MAX).map(|_| buffers.take()).collect();
        let place = all[0].as_ptr();
        let mut all = all.into_iter();
        let shared = buffers.share(all.next().unwrap());
        let slice = shared.slice(10..20);
        drop(shared);
        assert!(buffers.returned.try_recv().is_err());
        drop(slice);
        let again = buffers.take();
        assert_eq!(again.as_ptr(), place);
    }
}
