//! SHAKE-128 and SHAKE-256: the SHA-3 sponge with output of any length.
//!
//! The `sha3` crate leaves them out; its permutation is used directly.
//!
//! Spec: FIPS 202, sections 4 (sponge), 5.1 (padding) and 6.2 (SHAKE).
//! Not here: SHA-3 with fixed lengths and Keccak (`digest.rs`).

use keccak::Keccak;

/// Bytes of the state that data goes into and output comes from: 200 minus twice the security.
pub(crate) const SHAKE_128_RATE: usize = 168;
/// As [`SHAKE_128_RATE`].
pub(crate) const SHAKE_256_RATE: usize = 136;

/// SHAKE's suffix 1111 and the padding's first bit, lowest bit first.
const SUFFIX: u8 = 0x1f;

/// Fills `out` with the output for `data`.
pub(crate) fn shake<const RATE: usize>(data: &[u8], out: &mut [u8]) {
    const { assert!(RATE.is_multiple_of(8) && RATE < 200) }
    let (blocks, rest) = data.as_chunks::<RATE>();
    let mut last = [0; RATE];
    last[..rest.len()].copy_from_slice(rest);
    last[rest.len()] = SUFFIX;
    last[RATE - 1] |= 0x80;
    let mut state = [0; 25];
    Keccak::new().with_f1600(|permute| {
        for block in blocks {
            absorb(&mut state, block);
            permute(&mut state);
        }
        absorb(&mut state, &last);
        permute(&mut state);
        let mut parts = out.chunks_mut(RATE).peekable();
        while let Some(part) = parts.next() {
            for (bytes, word) in part.chunks_mut(8).zip(&state) {
                bytes.copy_from_slice(&word.to_le_bytes()[..bytes.len()]);
            }
            if parts.peek().is_some() {
                permute(&mut state);
            }
        }
    });
}

fn absorb<const RATE: usize>(state: &mut [u64; 25], block: &[u8; RATE]) {
    let (words, _) = block.as_chunks::<8>();
    for (lane, word) in state.iter_mut().zip(words) {
        *lane ^= u64::from_le_bytes(*word);
    }
}

#[cfg(test)]
mod tests {
    use super::{SHAKE_128_RATE, SHAKE_256_RATE, shake};
    use crate::hex::hex;

    fn shake_hex<const RATE: usize>(data: &[u8], len: usize) -> String {
        let mut out = vec![0; len];
        shake::<RATE>(data, &mut out);
        hex(&out)
    }

    /// The first bytes for inputs around both rates (OpenSSL), of bytes counting modulo 251.
    const AROUND_THE_RATES: &[(usize, &str, &str)] = &[
        (135, "d11fafa27f42a816", "c45dae624ad8a2f5"),
        (136, "30bdfd69382cab02", "b7ff4073b3f5a8ea"),
        (137, "047a94427406b3ac", "01d90952c642a5eb"),
        (167, "1e552791cc4e93a0", "989a61fbdb26d169"),
        (168, "f15277eb61c4908d", "1687771440dbcdaa"),
        (169, "015be3338c986d98", "d639f47fb6b68366"),
        (1000, "a72440f7f5aa7c14", "34833f03ed88bb5f"),
    ];

    #[test]
    fn agrees_around_the_rates() {
        let data: Vec<u8> = (0..251).cycle().take(1000).collect();
        for &(len, shake_128, shake_256) in AROUND_THE_RATES {
            assert_eq!(shake_hex::<SHAKE_128_RATE>(&data[..len], 8), shake_128, "{len}");
            assert_eq!(shake_hex::<SHAKE_256_RATE>(&data[..len], 8), shake_256, "{len}");
        }
    }

    #[test]
    fn longer_output_begins_with_shorter() {
        let long = shake_hex::<SHAKE_256_RATE>(b"cairn", 1000);
        for len in [0, 1, 7, 8, 135, 136, 137, 272, 999] {
            assert_eq!(shake_hex::<SHAKE_256_RATE>(b"cairn", len), long[..2 * len], "{len}");
        }
        // The last four bytes of the second squeezed block and the first four of the third.
        assert_eq!(&long[2 * 268..2 * 276], LONG_PART);
    }

    /// Bytes 268 to 275 of SHAKE-256 of "cairn" (OpenSSL).
    const LONG_PART: &str = "f51735477a253714";
}
