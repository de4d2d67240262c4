//! Tables of beginnings and the types they stand for.

use super::*;

#[test]
fn first_bytes_decide() {
    let table: &[(&[u8], &str)] = &[
        (b"", TEXT),
        (b"hello world\n", TEXT),
        ("grüße".as_bytes(), TEXT),
        (b"caf\xe9 ol\xe9", "text/plain; charset=iso-8859-1"),
        (b"\x00\x01\x02\x03", OCTETS),
        (b"<!DOCTYPE html><html>", HTML),
        (b"  \n<!doctype HTML>", HTML),
        (b"<html>", HTML),
        (b"<!-- c --><p>", HTML),
        (b"<b>bold</b>", HTML),
        (b"<base-unknown>", TEXT),
        (b"\xef\xbb\xbf<html lang=de>", HTML),
        (b"<svg xmlns='x'/>", "image/svg+xml"),
        (b"<?xml version='1.0'?><svg/>", "image/svg+xml"),
        (b"<?xml version='1.0'?><feed/>", "text/xml; charset=utf-8"),
        (b"{\"a\": [1, 2]}", "application/json"),
        (b"[]\n", "application/json"),
        (b"{not json}", TEXT),
        (b"[section]\nkey=value", TEXT),
        (b"42", TEXT),
        (b"BMW and BMX", TEXT),
        (b"BM\x46\0\0\0\0\0\0\0\x36", "image/bmp"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (b"GIF89a\x01\0", "image/gif"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "audio/wav"),
        (b"RIFF\x24\0\0\0ACONx", OCTETS),
        (b"%PDF-1.7\n", "application/pdf"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "video/mp4"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "image/avif"),
        (b"\0\0\0\x18ftypM4A \0\0\0\0", "audio/x-m4a"),
        (b"\x1aE\xdf\xa3\x01\0\0\0", "video/webm"),
        (b"OggS\0\x02\0\0", "application/ogg"),
        (b"ID3\x03\0", "audio/mpeg"),
        (b"fLaC\0\0\0\x22", "audio/flac"),
        (b"\x1f\x8b\x08\0", "application/gzip"),
        (b"PK\x03\x04\x14\0", "application/zip"),
        (b"(\xb5/\xfd\x04", "application/zstd"),
        (b"\0asm\x01\0\0\0", "application/wasm"),
        (b"wOF2\0\x01", "font/woff2"),
        (b"\xff\xfeh\0", "text/plain; charset=utf-16le"),
    ];
    for (start, expected) in table {
        assert_eq!(sniff(start), *expected, "{}", String::from_utf8_lossy(start));
    }
}

#[test]
fn a_tar_header_is_found_at_its_place() {
    let mut header = vec![0; 512];
    header[..4].copy_from_slice(b"name");
    header[257..262].copy_from_slice(b"ustar");
    assert_eq!(sniff(&header), "application/x-tar");
    assert_eq!(sniff(&header[..260]), OCTETS);
}

#[test]
fn a_limit_in_the_middle_of_a_character_is_still_text() {
    let mut long = vec![b'a'; SNIFF_LEN - 1];
    long.extend_from_slice("ü".as_bytes());
    assert_eq!(sniff(&long), TEXT);
    assert_eq!(sniff(&long[..SNIFF_LEN - 1]), TEXT);
}

#[test]
fn long_json_is_known_by_its_start() {
    let long = format!("[{}1]", "1,".repeat(SNIFF_LEN));
    assert_eq!(sniff(long.as_bytes()), "application/json");
    let broken = format!("[{}}}", "1,".repeat(SNIFF_LEN));
    assert_eq!(sniff(&broken.as_bytes()[..100]), TEXT, "a short file has to be whole");
}
