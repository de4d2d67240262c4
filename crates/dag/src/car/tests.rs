//! CAR files of others, and broken ones.

use super::{CarDecoder, CarError, PRAGMA, Section, V2_DATA_OFFSET, header, section_head, v2_head};
use bytes::Bytes;
use cairn_block::{Block, Cid, codec};
use proptest::prelude::{any, prop, proptest};
use std::{fs, path::Path};

const VECTORS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../spec/vectors/car");

fn vector(name: &str) -> Vec<u8> {
    fs::read(Path::new(VECTORS).join(name)).unwrap()
}

/// Roots and blocks.
type Decoded = (Vec<Cid>, Vec<(Cid, Bytes)>);

/// Decodes a file that comes in pieces of `step` bytes.
fn decode(file: &[u8], step: usize) -> Result<Decoded, CarError> {
    let mut decoder = CarDecoder::new();
    let mut blocks = Vec::new();
    let mut pieces = file.chunks(step);
    loop {
        while let Some(block) = decoder.next_block()? {
            blocks.push(block);
        }
        match pieces.next() {
            Some(piece) => decoder.feed(piece),
            None => break,
        }
    }
    decoder.finish()?;
    Ok((decoder.roots().to_vec(), blocks))
}

/// `CARv1` and `CARv2`, "Format": files that another implementation wrote.
#[test]
fn files_of_others_are_read() {
    for (name, roots, blocks) in [
        ("simple-unixfs.car", 1, 22),
        ("simple-unixfs-missing-blocks.car", 1, 17),
        ("sample-rw-bs-v2.car", 3, 3),
        ("sample-unixfs-v2.car", 1, 3),
    ] {
        let file = vector(name);
        for step in [1, 7, 4096] {
            let (found, read) = decode(&file, step).unwrap();
            assert_eq!((found.len(), read.len()), (roots, blocks), "{name} {step}");
            for (cid, data) in read {
                Block::verify(cid, data).unwrap();
            }
        }
    }
}

/// What the heads of sections say, reading `step` bytes at a time and passing over what may be.
fn heads(file: &[u8], step: usize) -> Result<Vec<Section>, CarError> {
    let mut decoder = CarDecoder::new();
    let mut sections = Vec::new();
    let mut rest = file;
    loop {
        while let Some(section) = decoder.next_section()? {
            sections.push(section);
        }
        let skip_len = (decoder.skip_len() as usize).min(rest.len());
        decoder.skipped(skip_len as u64);
        let (piece, behind) = rest[skip_len..].split_at(step.min(rest.len() - skip_len));
        if piece.is_empty() {
            break;
        }
        decoder.feed(piece);
        rest = behind;
    }
    decoder.finish().map(|()| sections)
}

#[test]
fn sections_are_found_without_their_blocks() {
    for name in ["simple-unixfs.car", "sample-rw-bs-v2.car", "sample-unixfs-v2.car"] {
        let file = vector(name);
        for step in [1, 50, 1_000_000] {
            let (_, blocks) = decode(&file, step).unwrap();
            let sections = heads(&file, step).unwrap();
            assert_eq!(sections.len(), blocks.len(), "{name} {step}");
            for (section, (cid, data)) in sections.iter().zip(&blocks) {
                let from = section.data_offset as usize;
                assert_eq!((&section.cid, section.data_len), (cid, data.len()));
                assert_eq!(file[from..from + section.data_len], data[..], "{name} {step}");
            }
        }
        if !name.contains("v2") {
            let error = heads(&file[..file.len() - 1], 50).unwrap_err();
            assert!(
                matches!(error, CarError::Truncated { offset, section }
                if offset == file.len() as u64 - 1 && section < offset),
                "{error}"
            );
        }
    }
    let plain = file(&blocks(3));
    let head = v2_head(plain.len() as u64, Some(true));
    assert_eq!(head.len() as u64, V2_DATA_OFFSET);
    let mut decoder = CarDecoder::new();
    decoder.feed(&head);
    assert_eq!(decoder.read_header(), Ok(false));
    let v2 = decoder.v2().unwrap();
    assert_eq!((v2.characteristics[0], v2.data_len), (0x80, plain.len() as u64));
    assert_eq!(v2.index_offset, V2_DATA_OFFSET + v2.data_len);
    decoder.feed(&plain);
    assert_eq!(decoder.read_header(), Ok(true));
    while decoder.next_section().unwrap().is_some() {}
    assert!(decoder.is_at_end());
}

#[test]
fn broken_files_of_others_are_refused() {
    for (name, expected) in [
        ("badheaderlength.car", "a header over the limit"),
        ("badsectionlength.car", "a section over the limit"),
        ("sample-corrupt-pragma.car", "it ends too early"),
        ("sample-rootless-v42.car", "a version other than 1 and 2"),
    ] {
        let error = decode(&vector(name), 5).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

fn blocks(count: usize) -> Vec<Block> {
    let block =
        |index: usize| Block::sha2_256(codec::RAW, Bytes::from(vec![index as u8; index * 100]));
    (0..count).map(block).collect()
}

fn file(blocks: &[Block]) -> Vec<u8> {
    let roots: Vec<Cid> = blocks.iter().take(1).map(|block| block.cid().clone()).collect();
    let mut file = header(&roots);
    for block in blocks {
        file.extend_from_slice(&section_head(block.cid(), block.data().len()));
        file.extend_from_slice(block.data());
    }
    file
}

/// Puts a file into one of version 2, with something behind it in place of an index.
fn wrapped(inner: &[u8], padding: usize) -> Vec<u8> {
    let offset = (PRAGMA.len() + 40 + padding) as u64;
    let numbers = [offset, inner.len() as u64, offset + inner.len() as u64].map(u64::to_le_bytes);
    [PRAGMA, &[0; 16], numbers.as_flattened(), &vec![0; padding], inner, b"no index"].concat()
}

#[test]
fn what_is_written_is_read() {
    let blocks = blocks(20);
    let plain = file(&blocks);
    for bytes in [plain.clone(), wrapped(&plain, 0), wrapped(&plain, 1000)] {
        for step in [1, 100, 1_000_000] {
            let (roots, read) = decode(&bytes, step).unwrap();
            assert_eq!(roots, [blocks[0].cid().clone()]);
            let expected: Vec<(Cid, Bytes)> =
                blocks.iter().cloned().map(Block::into_parts).collect();
            assert_eq!(read, expected);
        }
    }
    assert_eq!(decode(&header(&[]), 3), Ok((vec![], vec![])));
}

#[test]
fn places_are_told() {
    let blocks = blocks(3);
    let plain = file(&blocks);
    let mut decoder = CarDecoder::new();
    decoder.feed(&plain[..plain.len() - 1]);
    let start = header(&[blocks[0].cid().clone()]).len();
    let first = start + section_head(blocks[0].cid(), 0).len();
    for expected in [start, first] {
        decoder.next_block().unwrap().unwrap();
        assert_eq!(decoder.section_offset(), expected as u64);
    }
    assert_eq!(decoder.next_block(), Ok(None));
    let second = first + section_head(blocks[1].cid(), 100).len() + 100;
    let (offset, section) = (plain.len() as u64 - 1, second as u64);
    assert_eq!(decoder.finish(), Err(CarError::Truncated { offset, section }));
}

#[test]
fn every_cut_is_noticed() {
    let plain = file(&blocks(3));
    let whole: Vec<usize> = {
        let mut ends = vec![header(&[blocks(1)[0].cid().clone()]).len()];
        for block in blocks(3) {
            let len = section_head(block.cid(), block.data().len()).len() + block.data().len();
            ends.push(ends.last().unwrap() + len);
        }
        ends
    };
    for len in 0..plain.len() {
        let result = decode(&plain[..len], 64);
        assert_eq!(result.is_ok(), whole.contains(&len), "{len}");
    }
    let two = wrapped(&plain, 10);
    for len in 0..two.len() - "no index".len() {
        assert!(decode(&two[..len], 64).is_err(), "{len}");
    }
}

#[test]
fn lengths_that_lie_are_refused() {
    let plain = file(&blocks(2));
    let start = header(&[blocks(1)[0].cid().clone()]);
    let with = |section: &[u8]| [&start[..], section].concat();
    let lie = |at: usize, value: u64| {
        let mut file = wrapped(&plain, 0);
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
        file
    };
    let offset = PRAGMA.len() + 16;
    for (file, expected) in [
        (with(&[0]), "a section without bytes"),
        (with(&[1, 0xff]), "no CID"),
        (with(&[0x80, 0x00]), "a broken length"),
        (with(&[0xff; 10]), "a broken length"),
        (with(&[0xff, 0xff, 0xff, 0x7f]), "over the limit"),
        (vec![0x80, 0x00], "a broken length"),
        (vec![2, 0xff, 0xff], "not dag-cbor"),
        (vec![1, 0xa0], "a version other"),
        (lie(offset, 3), "an inner file within the header"),
        (lie(offset, u64::MAX), "it ends too early"),
        (lie(offset + 8, 10), "shorter than its header"),
        (lie(offset + 8, plain.len() as u64 - 1), "longer than the inner file"),
        (lie(offset + 8, u64::MAX), ""),
        (wrapped(&wrapped(&plain, 0), 0), "a version other"),
    ] {
        let error = decode(&file, 64).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

proptest! {
    #[test]
    fn anything_is_read_or_refused(
        data in prop::collection::vec(any::<u8>(), 0..200),
        at: prop::sample::Index,
        two: bool,
        step in 1_usize..64,
    ) {
        drop(decode(&data, step));
        drop(heads(&data, step));
        let plain = file(&blocks(2));
        let mut file = if two { wrapped(&plain, 5) } else { plain };
        let at = at.index(file.len());
        for (place, byte) in file[at..].iter_mut().zip(data.iter().take(9)) {
            *place = *byte;
        }
        assert_eq!(decode(&file, step).is_ok(), heads(&file, step).is_ok());
    }
}
