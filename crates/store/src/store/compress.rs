//! Decides which blocks are kept compressed, and compresses them.
//!
//! Off unless asked for: most of what people keep is compressed already. It is done before the
//! writer lock is taken, on the thread that appends, so appends compress beside each other.
//!
//! Invariants: a block is kept compressed only if that saves at least one part in
//! [`SAVING_MIN`]; what does not shrink costs a look at three samples, not a pass over it all. At
//! most [`IDLE_COUNT_MAX`] contexts wait for their next use.
//! Not here: reading (`encoding.rs`), the setting's name (`cairn-node`).

use std::{
    fmt,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicI32, Ordering},
    },
};
use zstd::bulk::Compressor as Context;

/// How new blocks are kept; those that are there stay as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// Compressed with zstd where that is worth it.
    Zstd {
        /// From [`Compression::LEVEL_MIN`] to [`Compression::LEVEL_MAX`].
        level: i32,
    },
}

impl Compression {
    /// The fastest level.
    pub const LEVEL_MIN: i32 = 1;
    /// The level of `"zstd"` without one.
    pub const LEVEL_DEFAULT: i32 = 3;
    /// The level that shrinks most, and takes some hundred times as long as the fastest.
    pub const LEVEL_MAX: i32 = 22;
}

/// A block must shrink by one part in so many (a tenth).
const SAVING_MIN: usize = 10;

/// Shorter blocks stay as they are: there is little to save, and reading them would cost more.
const BLOCK_LEN_MIN: usize = 256;

/// Blocks of at least this length are sampled first.
const SAMPLED_LEN_MIN: usize = 64 * 1024;

/// Bytes of one of the three samples.
const SAMPLE_LEN: usize = 4 * 1024;

/// The samples must shrink by one part in so many; a whole block finds more to share.
const SAMPLE_SAVING_MIN: usize = 25;

/// Contexts that are kept for the next append; each is a few MiB at most at the usual levels.
const IDLE_COUNT_MAX: usize = 2;

/// Stands for [`Compression::None`].
const OFF: i32 = 0;

/// Compresses blocks, or leaves them alone.
#[derive(Default)]
pub(super) struct Compressor {
    level: AtomicI32,
    idle: Mutex<Vec<Context<'static>>>,
}

impl fmt::Debug for Compressor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Compressor").field("level", &self.level).finish_non_exhaustive()
    }
}

impl Compressor {
    pub(super) fn set(&self, compression: Compression) {
        let level = match compression {
            Compression::None => OFF,
            Compression::Zstd { level } => {
                level.clamp(Compression::LEVEL_MIN, Compression::LEVEL_MAX)
            }
        };
        self.level.store(level, Ordering::Relaxed);
    }

    pub(super) fn is_on(&self) -> bool {
        self.level.load(Ordering::Relaxed) != OFF
    }

    /// Compresses those of `blocks` that are worth it; the answers stand in their order.
    pub(super) fn compress<'a>(
        &self,
        blocks: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> Vec<Option<Vec<u8>>> {
        let Some(mut context) = self.context() else { return Vec::new() };
        let mut sample = Vec::new();
        let frames = blocks.map(|block| shrink(&mut context, block?, &mut sample)).collect();
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < IDLE_COUNT_MAX {
            idle.push(context);
        }
        frames
    }

    /// `None` if it is off, or there is no memory for it.
    fn context(&self) -> Option<Context<'static>> {
        let level = self.level.load(Ordering::Relaxed);
        if level == OFF {
            return None;
        }
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        match idle {
            Some(mut context) => context.set_compression_level(level).is_ok().then_some(context),
            None => Context::new(level).ok(),
        }
    }
}

/// The block's frame, if it is enough of a saving.
fn shrink(context: &mut Context<'_>, block: &[u8], sample: &mut Vec<u8>) -> Option<Vec<u8>> {
    if block.len() < BLOCK_LEN_MIN {
        return None;
    }
    if block.len() >= SAMPLED_LEN_MIN {
        sample.clear();
        for start in [0, (block.len() - SAMPLE_LEN) / 2, block.len() - SAMPLE_LEN] {
            sample.extend_from_slice(&block[start..start + SAMPLE_LEN]);
        }
        frame(context, sample, SAMPLE_SAVING_MIN)?;
    }
    frame(context, block, SAVING_MIN)
}

/// Compresses into no more space than is worth it; a frame that does not fit fails early.
fn frame(context: &mut Context<'_>, bytes: &[u8], saving_min: usize) -> Option<Vec<u8>> {
    let mut frame = Vec::with_capacity(bytes.len() - bytes.len() / saving_min);
    context.compress_to_buffer(bytes, &mut frame).ok()?;
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_LEN_MIN, Compression, Compressor};
    use cairn_testkit::Random;

    fn on() -> Compressor {
        let compressor = Compressor::default();
        compressor.set(Compression::Zstd { level: Compression::LEVEL_DEFAULT });
        compressor
    }

    #[test]
    fn only_what_shrinks_is_compressed() {
        let words = b"the same words again and again, ".repeat(10_000);
        let noise = Random::new(1).bytes(300_000);
        let late = [&noise[..100_000], &words[..200_000]].concat();
        let slightly = [&noise[..60_000], &words[..4000]].concat();
        let rows: [(&str, &[u8], bool); 7] = [
            ("words", &words, true),
            ("few words", &words[..BLOCK_LEN_MIN], true),
            ("too few words", &words[..BLOCK_LEN_MIN - 1], false),
            ("nothing", b"", false),
            ("noise", &noise, false),
            ("noise, then words", &late, true),
            ("less than a tenth of words", &slightly, false),
        ];
        let compressor = on();
        let blocks = rows.iter().map(|(_, block, _)| Some(*block));
        let frames = compressor.compress(blocks);
        for ((name, block, expected), frame) in rows.iter().zip(frames) {
            assert_eq!(frame.is_some(), *expected, "{name}");
            if let Some(frame) = frame {
                assert!(frame.len() <= block.len() * 9 / 10 + 1, "{name}: {}", frame.len());
            }
        }
    }

    #[test]
    fn every_level_can_be_set_and_none_is_none() {
        let words = b"the same words again and again, ".repeat(100);
        let compressor = Compressor::default();
        assert_eq!(compressor.compress([Some(&words[..])].into_iter()), Vec::<Option<_>>::new());
        for level in [i32::MIN, 1, 3, 22, i32::MAX] {
            compressor.set(Compression::Zstd { level });
            let frames = compressor.compress([None, Some(&words[..])].into_iter());
            assert!(frames[0].is_none() && frames[1].is_some(), "{level}");
        }
        compressor.set(Compression::None);
        assert!(!compressor.is_on());
    }
}
