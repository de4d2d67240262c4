//! SHA-256, one message or many at once, by the fastest way this processor has.
//!
//! Nearly every byte that enters or leaves a node passes through here. Adding cuts files into
//! many blocks and verifying gets blocks by the batch, so most calls bring several messages, and
//! several messages hash faster side by side than one after the other.
//!
//! Spec: FIPS 180-4.
//! Invariants: every backend gives the same digests; which one runs is seen only in the time.
//! `unsafe` is confined to the engines under `sha256/`.
//! Not here: other hash functions (`digest.rs`), threads (callers spread batches over them).

mod lanes;
mod portable;

#[cfg(target_arch = "aarch64")]
#[expect(unsafe_code, reason = "the SHA-2 instructions exist only on some processors")]
mod armv8;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "AVX2 exists only on some processors")]
mod avx2;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "AVX-512 exists only on some processors")]
mod avx512;
#[cfg(target_arch = "x86_64")]
#[expect(unsafe_code, reason = "the SHA extensions exist only on some processors")]
mod shani;
#[cfg(test)]
mod tests;

use lanes::Work;

/// Length of a SHA-256 digest in bytes.
pub const SHA256_LEN: usize = 32;

/// One way of computing SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Backend {
    /// One message at a time, on any processor.
    Single,
    /// Two messages at once by the x86 SHA extensions.
    ShaNi,
    /// Eight messages at once in AVX2 registers.
    Avx2,
    /// Sixteen messages at once in AVX-512 registers.
    Avx512,
    /// Two messages at once by the Armv8 SHA-2 instructions.
    Armv8,
}

impl Backend {
    /// Every backend there is, on whatever processor.
    pub const ALL: &[Self] = &[Self::Single, Self::ShaNi, Self::Avx2, Self::Avx512, Self::Armv8];

    /// Returns the backends that run on this processor; [`Backend::Single`] always does.
    pub fn available() -> Vec<Self> {
        Self::ALL.iter().copied().filter(|backend| backend.is_available()).collect()
    }

    /// Returns whether this processor has what the backend needs.
    pub fn is_available(self) -> bool {
        match self {
            Self::Single => true,
            #[cfg(target_arch = "x86_64")]
            Self::ShaNi => shani::ShaNi::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => avx2::Avx2::detect().is_some(),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => avx512::Avx512::detect().is_some(),
            #[cfg(target_arch = "aarch64")]
            Self::Armv8 => armv8::Armv8::detect().is_some(),
            _ => false,
        }
    }

    /// Returns a short name for reports, such as `avx512`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Single => "single",
            Self::ShaNi => "sha-ni",
            Self::Avx2 => "avx2",
            Self::Avx512 => "avx512",
            Self::Armv8 => "armv8",
        }
    }
}

/// Digests one message.
pub fn sha256(data: &[u8]) -> [u8; SHA256_LEN] {
    portable::digest(data)
}

/// Digests every message, in order, by the fastest way this processor has for that many.
///
/// Computes on the calling thread and copies no message. Lengths may differ freely. Sixteen
/// messages fill every lane there may be; with more, lanes that run dry are filled again.
pub fn sha256_many(messages: &[&[u8]]) -> Vec<[u8; SHA256_LEN]> {
    let mut work = Work::new(messages);
    run_chosen(&mut work);
    work.finish()
}

/// Digests every message by one given backend alone, for tests and measurements.
///
/// Returns `None` where [`Backend::is_available`] is false.
pub fn sha256_many_with(backend: Backend, messages: &[&[u8]]) -> Option<Vec<[u8; SHA256_LEN]>> {
    let mut work = Work::new(messages);
    match backend {
        Backend::Single => run_singly(&mut work),
        #[cfg(target_arch = "x86_64")]
        Backend::ShaNi => run_pairs(&mut work, shani::ShaNi::detect()?),
        #[cfg(target_arch = "x86_64")]
        Backend::Avx2 => work.run(avx2::Avx2::detect()?, 1),
        #[cfg(target_arch = "x86_64")]
        Backend::Avx512 => work.run(avx512::Avx512::detect()?, 1),
        #[cfg(target_arch = "aarch64")]
        Backend::Armv8 => run_pairs(&mut work, armv8::Armv8::detect()?),
        _ => return None,
    }
    Some(work.finish())
}

/// Runs everything by the best engines, the widest first.
///
/// A wide engine costs the same however many of its lanes are busy, so it hands over as soon as
/// too few are for it to be the fastest. The thresholds come from the `lanes` example on a Xeon
/// of 2.6 GHz with all of these, in GB/s for messages of 4 KiB; with 256 KiB it is the same:
///
/// | busy lanes | single | sha-ni | avx2 | avx512 |
/// |-----------:|-------:|-------:|-----:|-------:|
/// |          1 |    1.6 |    1.6 |  0.2 |    0.2 |
/// |          2 |    1.6 |    2.1 |  0.4 |    0.5 |
/// |          8 |    1.6 |    2.2 |  1.4 |    1.8 |
/// |          9 |    1.6 |    2.1 |    - |    2.0 |
/// |         10 |    1.6 |    2.2 |    - |    2.2 |
/// |         12 |    1.6 |    2.2 |    - |    2.7 |
/// |         16 |    1.6 |    2.2 |    - |    3.6 |
#[cfg(target_arch = "x86_64")]
fn run_chosen(work: &mut Work<'_>) {
    let wide = avx512::Avx512::detect();
    if let Some(pairs) = shani::ShaNi::detect() {
        // AVX2 with all its lanes busy has 1.4 where the SHA extensions have 2.2.
        if let Some(wide) = wide {
            work.run(wide, AVX512_LANES_MIN);
        }
        return run_pairs(work, pairs);
    }
    if let Some(wide) = wide {
        work.run(wide, LANES_MIN_WITHOUT_SHANI);
    } else if let Some(wide) = avx2::Avx2::detect() {
        work.run(wide, LANES_MIN_WITHOUT_SHANI);
    }
    run_singly(work);
}

/// Fewest busy lanes with which AVX-512 beats the SHA extensions.
#[cfg(target_arch = "x86_64")]
const AVX512_LANES_MIN: usize = 10;

/// Fewest busy lanes with which AVX-512 or AVX2 beats one message at a time in general registers.
///
/// A lane runs at 0.2 GB/s; the `sha2` crate's general code at 0.36 GB/s on the same machine.
#[cfg(target_arch = "x86_64")]
const LANES_MIN_WITHOUT_SHANI: usize = 3;

#[cfg(target_arch = "aarch64")]
fn run_chosen(work: &mut Work<'_>) {
    match armv8::Armv8::detect() {
        Some(pairs) => run_pairs(work, pairs),
        None => run_singly(work),
    }
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn run_chosen(work: &mut Work<'_>) {
    run_singly(work);
}

/// Two messages at a time, and the last one alone.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
fn run_pairs(work: &mut Work<'_>, engine: impl lanes::Engine<2> + lanes::Engine<1>) {
    work.run::<2>(engine, 2);
    work.run::<1>(engine, 1);
}

/// One message at a time, whether or not it has been begun in a lane.
fn run_singly(work: &mut Work<'_>) {
    work.digest_untaken(sha256);
    work.run::<1>(portable::Portable, 1);
}

/// SHA-256 over a stream of pieces.
#[derive(Clone)]
pub struct Sha256(ring::digest::Context);

impl std::fmt::Debug for Sha256 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sha256").finish_non_exhaustive()
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self(ring::digest::Context::new(&ring::digest::SHA256))
    }
}

impl Sha256 {
    /// Takes the next piece of the message.
    pub fn update(&mut self, data: &[u8]) {
        self.0.update(data);
    }

    /// Ends the message and returns its digest.
    pub fn finish(self) -> [u8; SHA256_LEN] {
        let mut out = [0; SHA256_LEN];
        out.copy_from_slice(self.0.finish().as_ref());
        out
    }
}
