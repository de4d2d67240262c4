//! Where one file is cut.
//!
//! Invariant: a cut depends on the bytes since the last one alone, so it does not matter how the
//! file is read, and a change moves only the cuts near to it.
//! Not here: the hashes (`buzhash.rs`, `rabin.rs`, `fastcdc.rs`).

use crate::{
    ChunkSpec,
    buzhash::{self, Buzhash},
    fastcdc::{self, Gear},
    rabin::Rabin,
    scan::first_cut,
};

/// Finds the cuts of one file.
///
/// # Examples
///
/// ```
/// use cairn_chunk::{ChunkSpec, Cutter};
/// let mut cutter = Cutter::new(&ChunkSpec::parse("size-4")?);
/// assert_eq!(cutter.next(b"abc", false), None); // read more
/// assert_eq!(cutter.next(b"abcdef", false), Some(4));
/// assert_eq!(cutter.next(b"ef", true), Some(2));
/// assert_eq!(cutter.next(b"", true), None); // the end
/// # Ok::<(), cairn_chunk::ChunkError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Cutter {
    spec: ChunkSpec,
}

impl Cutter {
    /// Starts a file.
    pub fn new(spec: &ChunkSpec) -> Self {
        Self { spec: *spec }
    }

    /// Returns how many bytes at the front of `buffered` are the next chunk.
    ///
    /// `None` asks for more bytes, or at `eof` says that nothing is left. With
    /// [`ChunkSpec::len_max`] bytes buffered there is always an answer. The caller drops the
    /// chunk's bytes from the front before it asks again.
    pub fn next(&mut self, buffered: &[u8], eof: bool) -> Option<usize> {
        let len_max = self.spec.len_max();
        if buffered.is_empty() || (buffered.len() < len_max && !eof) {
            return None;
        }
        let data = &buffered[..buffered.len().min(len_max)];
        let end = data.len();
        let cut = match self.spec {
            ChunkSpec::Fixed { .. } => None,
            ChunkSpec::Buzhash => first_cut(&Buzhash, data, buzhash::LEN_MIN, end),
            ChunkSpec::Rabin(lens) => first_cut(&Rabin::new(lens.avg()), data, lens.min(), end),
            ChunkSpec::FastCdc(lens) => {
                let turn = fastcdc::turn(lens.avg()).max(lens.min());
                first_cut(&Gear::before(lens.avg()), data, lens.min(), turn.min(end))
                    .or_else(|| first_cut(&Gear::after(lens.avg()), data, turn, end))
            }
        };
        Some(cut.unwrap_or(end))
    }
}

impl ChunkSpec {
    /// The longest chunk that can come out, in bytes: how much a reader must buffer.
    pub fn len_max(&self) -> usize {
        match self {
            Self::Fixed { len } => *len,
            Self::Buzhash => buzhash::LEN_MAX,
            Self::Rabin(lens) | Self::FastCdc(lens) => lens.max(),
        }
    }
}
