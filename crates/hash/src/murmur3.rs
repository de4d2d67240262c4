//! Murmur3 for 64-bit processors, by which sharded directories spread their names.
//!
//! Not a cryptographic hash: anyone can make names that collide, and no CID may use it.
//!
//! Spec: Austin Appleby's `MurmurHash3_x64_128`, with seed 0; the first 64 bits are
//! multihash `murmur3-x64-64`, written big-endian, as UnixFS's HAMT reads them.
//! Not here: the HAMT (`cairn-unixfs`).

const C1: u64 = 0x87c3_7b91_1142_53d5;
const C2: u64 = 0x4cf5_ad43_2745_937f;

/// Returns the first 64 bits of `MurmurHash3_x64_128` with seed 0.
///
/// A HAMT takes their big-endian bytes: the first level's index comes from the highest bits.
///
/// ```
/// assert_eq!(cairn_hash::murmur3_x64_64(b"hello"), 0xcbd8_a7b3_41bd_9b02);
/// ```
pub fn murmur3_x64_64(data: &[u8]) -> u64 {
    x64_128(data, 0)[0]
}

fn x64_128(data: &[u8], seed: u32) -> [u64; 2] {
    let (mut h1, mut h2) = (u64::from(seed), u64::from(seed));
    let (blocks, tail) = data.as_chunks::<16>();
    for block in blocks {
        let [k1, k2] = words(block);
        h1 ^= mix_first(k1);
        h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52dc_e729);
        h2 ^= mix_second(k2);
        h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5ab5);
    }
    // A missing byte counts as zero, and zero mixes to zero, so one form serves every tail.
    let mut block = [0; 16];
    block[..tail.len()].copy_from_slice(tail);
    let [k1, k2] = words(&block);
    h1 ^= mix_first(k1) ^ data.len() as u64;
    h2 ^= mix_second(k2) ^ data.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    (h1, h2) = (finish(h1), finish(h2));
    h1 = h1.wrapping_add(h2);
    [h1, h2.wrapping_add(h1)]
}

fn words(block: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(*block);
    [both as u64, (both >> 64) as u64]
}

fn mix_first(k1: u64) -> u64 {
    k1.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2)
}

fn mix_second(k2: u64) -> u64 {
    k2.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1)
}

fn finish(mut word: u64) -> u64 {
    word = (word ^ (word >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
    word = (word ^ (word >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    word ^ (word >> 33)
}

#[cfg(test)]
mod tests {
    use super::{murmur3_x64_64, x64_128};

    /// What Kubo's murmur3 library gives: `Sum64` and the second half, by seed.
    const VECTORS: &[(u32, u64, u64, &str)] = &[
        (0, 0, 0, ""),
        (0, 0xcbd8_a7b3_41bd_9b02, 0x5b1e_906a_48ae_1d19, "hello"),
        (0, 0x342f_ac62_3a5e_bc8e, 0x4cdc_bc07_9642_414d, "hello, world"),
        (0, 0xb89e_5988_b737_affc, 0x664f_c295_0231_b2cb, "19 Jan 2038 at 3:14:07 AM"),
        (
            0,
            0xcd99_481f_9ee9_02c9,
            0x695d_a1a3_8987_b6e7,
            "The quick brown fox jumps over the lazy dog.",
        ),
        (1, 0x4610_abe5_6eff_5cb5, 0x5162_2daa_78f8_3583, ""),
        (42, 0xf02a_a77d_fa1b_8523, 0xd101_6610_da11_cbb9, ""),
    ];

    #[test]
    fn agrees_with_kubos_library() {
        for &(seed, first, second, text) in VECTORS {
            assert_eq!(x64_128(text.as_bytes(), seed), [first, second], "{text:?}, seed {seed}");
            if seed == 0 {
                assert_eq!(murmur3_x64_64(text.as_bytes()), first, "{text:?}");
            }
        }
    }

    /// `VerificationTest` of the reference implementation: every length from 0 to 255, each with its own seed.
    #[test]
    fn has_smhashers_verification_value() {
        let key: Vec<u8> = (0..=255).collect();
        let mut hashes = Vec::new();
        for len in 0..256 {
            for word in x64_128(&key[..len], 256 - len as u32) {
                hashes.extend_from_slice(&word.to_le_bytes());
            }
        }
        assert_eq!(x64_128(&hashes, 0)[0] as u32, 0x6384_ba69);
    }
}
