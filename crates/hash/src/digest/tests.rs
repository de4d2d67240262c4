//! Digests by code against the multihash project's vectors and each function's own examples.

use super::{DigestError, digest, digest_many, digest_sized};
use crate::{DIGEST_LEN_MAX, Multihash, code, hex::hex};
use proptest::prelude::*;

/// multihash at `b43ec10`, `tests/values/test_cases.csv`: algorithm, bits, input, multihash.
const TEST_CASES: &str = include_str!("../../../../spec/vectors/multihash/test_cases.csv");

/// "abc" by every function: FIPS 180-4, FIPS 202 and RFC 7693 where they have it, OpenSSL else.
#[rustfmt::skip]
const ABC: &[(&str, &str)] = &[
    ("identity", "616263"),
    ("sha1", "a9993e364706816aba3e25717850c26c9cd0d89d"),
    ("sha2-256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ("sha2-512", "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"),
    ("sha2-384", "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7"),
    ("sha2-224", "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7"),
    ("sha2-512-224", "4634270f707b6a54daae7530460842e20e37ed265ceee9a43e8924aa"),
    ("sha2-512-256", "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"),
    ("sha3-512", "b751850b1a57168a5693cd924b6b096e08f621827444f70d884f5d0240d2712e10e116e9192af3c91a7ec57647e3934057340b4cf408d5a56592f8274eec53f0"),
    ("sha3-384", "ec01498288516fc926459f58e2c6ad8df9b473cb0fc08c2596da7cf0e49be4b298d88cea927ac7f539f1edf228376d25"),
    ("sha3-256", "3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532"),
    ("sha3-224", "e642824c3f8cf24ad09234ee7d3c766fc9a3a5168d0c94ad73b46fdf"),
    ("ripemd-160", "8eb208f7e05d987a9b044a8e98c6b087f15a0bfc"),
    ("shake-128", "5881092dd818bf5cf8a3ddb793fbcba74097d5c526a6d35f97b83351940f2cc8"),
    ("shake-256", "483366601360a8771c6863080cc4114d8db44530f8f1e1ee4f94ea37e78b5739d5a15bef186a5386c75744c0527e1faa9f8726e462a12a4feb06bd8801e751e4"),
    ("dbl-sha2-256", "4f8b42c22dd3729b519ba6f68d2da7cc5b2d606d05daed5ad5128cc03e6c6358"),
    ("blake2b-8", "6b"),
    ("blake2b-160", "384264f676f39536840523f284921cdc68b6846b"),
    ("blake2b-256", "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319"),
    ("blake2b-360", "bd03351499741598bc07d28db5f09b28a58aadbd5f0a2724e794a022fc69b9d428990097d90abd10a989f096f7"),
    ("blake2b-512", "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d17d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923"),
    ("blake2s-8", "0d"),
    ("blake2s-160", "5ae3b99be29b01834c3b508521ede60438f8de17"),
    ("blake2s-248", "6ffb901930ebaf1d3cabe0b60c20de3bc9dd26269325629f1671304fe6bb26"),
    ("blake2s-256", "508c5e8c327c14e2e1a72ba34eeb452f37458b209ed63a294d999b4c86675982"),
];

/// The empty message by functions whose authors publish that: Keccak, RIPEMD, BLAKE3.
#[rustfmt::skip]
const EMPTY: &[(&str, &str)] = &[
    ("keccak-224", "f71837502ba8e10837bdd8d365adb85591895602fc552b48b7390abd"),
    ("keccak-256", "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"),
    ("keccak-384", "2c23146a63a29acf99e73b88f8c24eaa7dc60aa771780ccc006afbfa8fe2479b2dd2b21362337441ac12b515911957ff"),
    ("keccak-512", "0eab42de4c3ceb9235fc91acffe746b29c29a8c366b7c60e4e67c466f36a4304c00fa9caf9d87976ba469bcbe06713b435f091ef2769fb160cdab33d3670680e"),
    ("ripemd-128", "cdf26213a150dc3ecb610f18f6b38b46"),
    ("ripemd-160", "9c1185a5c5e9fc54612808977ee8f548b2258d31"),
    ("ripemd-256", "02ba4c4e5f8ecd1877fc52d64d30e37a2d9774fb1e5d026380ae0168e3c5522d"),
    ("ripemd-320", "22d65d5661536cdc75c1fdf5c6de7b41b9f27325ebc61e8557177d705a0ec880151c3a32a00899b8"),
    ("blake3", "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"),
    ("murmur3-x64-64", "0000000000000000"),
];

/// "foo" as go-multihash's `sum_test.go` (at `4a79d7c`) expects it, code and length included.
#[rustfmt::skip]
const FOO: &[(&str, usize, &str)] = &[
    ("identity", 3, "0003666f6f"),
    ("sha1", 10, "110a0beec7b5ea3f0fdbc95d"),
    ("sha2-256", 16, "12102c26b46b68ffc68ff99b453c1d304134"),
    ("sha2-512", 32, "1320f7fbba6e0636f890e56fbbf3283e524c6fa3204ae298382d624741d0dc663832"),
    ("sha3-512", 16, "14104bca2b137edc580fe50a88983ef860eb"),
    ("dbl-sha2-256", 32, "5620c7ade88fc7a21498a6a5e5c385e1f68bed822b72aa63c4a9a48a02c2466ee29e"),
    ("blake2b-8", 1, "81e4020152"),
    ("blake2b-160", 20, "94e40214983ceba2afea8694cc933336b27b907f90c53a88"),
    ("blake2b-256", 32, "a0e40220b8fe9f7f6255a6fa08f668ab632a8d081ad87983c77cd274e48ce450f0b349fd"),
    ("blake2s-256", 32, "e0e4022008d6cad88075de8f192db097573d0e829411cd91eb6ec65e8fc16c017edfdb74"),
    ("keccak-256", 32, "1b2041b1a0649752af1b28b3dc29a1556eee781e4a4c3a1f7f53f90fa834de098c4d"),
    ("shake-128", 32, "1820f84e95cb5fbd2038863ab27d3cdeac295ad2d4ab96ad1f4b070c0bf36078ef08"),
    ("shake-256", 64, "19401af97f7818a28edfdfce5ec66dbdc7e871813816d7d585fe1f12475ded5b6502b7723b74e2ee36f2651a10a8eaca72aa9148c3c761aaceac8f6d6cc64381ed39"),
    ("blake3", 32, "1e2004e0bb39f30b1a3feb89f536c93be15055482df748674b00d26e5a75777702e9"),
    ("blake3", 64, "1e4004e0bb39f30b1a3feb89f536c93be15055482df748674b00d26e5a75777702e9791074b7511b59d31c71c62f5a745689fa6c9497f68bdf1061fe07f518d410c0"),
    ("blake3", 128, "1e800104e0bb39f30b1a3feb89f536c93be15055482df748674b00d26e5a75777702e9791074b7511b59d31c71c62f5a745689fa6c9497f68bdf1061fe07f518d410c0b0c27f41b3cf083f8a7fdc67a877e21790515762a754a45dcb8a356722698a7af5ed2bb608983d5aa75d4d61691ef132efe8631ce0afc15553a08fffc60ee936"),
];

/// Names without an implementation here.
const NAMES_ONLY: &[&str] =
    &["md5", "sha2-256-trunc254-padded", "x11", "poseidon-bls12_381-a2-fc1"];

fn code_of(name: &str) -> u64 {
    code::code_of(name).unwrap_or_else(|| panic!("{name} has a code"))
}

#[test]
fn agrees_with_the_multihash_project() {
    let mut rows = 0;
    for row in TEST_CASES.lines().skip(1) {
        let cells: Vec<&str> = row.split(',').collect();
        let [algorithm, bits, input, expected] = cells[..] else { panic!("four cells: {row}") };
        let len = bits.parse::<usize>().expect("a number") / 8;
        let hash = digest_sized(code_of(algorithm), len, input.as_bytes()).expect(row);
        assert_eq!(hex(&hash.to_bytes()), expected, "{row}");
        rows += 1;
    }
    assert_eq!(rows, 260, "the whole table");
}

#[test]
fn agrees_with_each_functions_examples() {
    for (table, data) in [(ABC, "abc"), (EMPTY, "")] {
        for (name, expected) in table {
            let hash = digest(code_of(name), data.as_bytes()).expect(name);
            assert_eq!(hex(hash.digest()), *expected, "{name} of {data:?}");
            assert_eq!(hash.code(), code_of(name));
        }
    }
}

#[test]
fn agrees_with_kubos_library() {
    for (name, len, expected) in FOO {
        let hash = digest_sized(code_of(name), *len, b"foo").expect(name);
        assert_eq!(hex(&hash.to_bytes()), *expected, "{name}, {len} bytes");
    }
}

#[test]
fn computes_every_function_that_has_a_name() {
    for function in code::FUNCTIONS {
        let result = digest(function.code, b"cairn");
        if NAMES_ONLY.contains(&function.name) {
            let error = DigestError::Unsupported { code: function.code };
            assert_eq!(result, Err(error), "{}", function.name);
            assert!(!function.allowed, "{} is computed if a CID may use it", function.name);
        } else {
            let hash = result.expect(function.name);
            let expected_len = function.digest_len.unwrap_or(b"cairn".len());
            assert_eq!(hash.digest().len(), expected_len, "{}", function.name);
        }
    }
}

#[test]
fn a_shorter_digest_is_the_beginning() {
    for function in code::FUNCTIONS {
        let (Some(len), Ok(full)) = (function.digest_len, digest(function.code, b"cairn")) else {
            continue;
        };
        for short in 1..=len {
            let hash = digest_sized(function.code, short, b"cairn").expect(function.name);
            assert_eq!(hash.digest(), &full.digest()[..short], "{}", function.name);
        }
        let max = if function.code == code::BLAKE3 { DIGEST_LEN_MAX } else { len };
        assert_eq!(
            digest_sized(function.code, max + 1, b"cairn"),
            Err(DigestError::TooLong { code: function.code, len: max + 1, max }),
            "{}",
            function.name
        );
        assert_eq!(
            digest_sized(function.code, 0, b"cairn"),
            Err(DigestError::Empty { code: function.code }),
            "{}",
            function.name
        );
    }
}

#[test]
fn identity_is_the_data_up_to_the_limit() {
    let data = [7; DIGEST_LEN_MAX + 1];
    let longest = &data[..DIGEST_LEN_MAX];
    assert_eq!(digest(code::IDENTITY, &[]), Ok(Multihash::wrap(0, &[]).expect("short")));
    assert_eq!(digest(code::IDENTITY, longest).expect("at the limit").digest(), longest);
    assert_eq!(
        digest(code::IDENTITY, &data),
        Err(DigestError::TooLong { code: 0, len: DIGEST_LEN_MAX + 1, max: DIGEST_LEN_MAX })
    );
    assert_eq!(
        digest_sized(code::IDENTITY, 2, b"abc"),
        Err(DigestError::IdentityLen { len: 2, data_len: 3 })
    );
}

#[test]
fn unknown_codes_are_refused() {
    for code in [0x01, 0x21, 0x1016, 0xb200, 0xb261, u64::MAX] {
        let error = DigestError::Unsupported { code };
        assert_eq!(digest(code, b""), Err(error), "{code:#x}");
        assert_eq!(digest_sized(code, 20, b""), Err(error), "{code:#x}");
        assert_eq!(digest_many(code, &[b"", b"a"]), Err(error), "{code:#x}");
    }
}

proptest! {
    #[test]
    fn many_are_as_one_by_one(
        messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20),
        row in prop::sample::select(code::table().collect::<Vec<_>>()),
    ) {
        let batch: Vec<&[u8]> = messages.iter().map(Vec::as_slice).collect();
        let one_by_one: Result<Vec<_>, _> =
            batch.iter().map(|message| digest(row.code, message)).collect();
        prop_assert_eq!(digest_many(row.code, &batch), one_by_one);
        let lanes = digest_many(code::SHA2_256, &batch).expect("supported");
        for (hash, message) in lanes.iter().zip(&batch) {
            prop_assert_eq!(hash, &digest(code::SHA2_256, message).expect("supported"));
        }
    }
}
