//! What the first bytes of a file say about its type.
//!
//! Signatures first, then markup, then JSON, then "is this text at all"; all within
//! [`SNIFF_LEN`] bytes, so a huge file costs no more than a small one.
//!
//! Invariants: pure; never looks past the bytes that it is given; always has an answer.
//! Not here: names (`../media.rs`).

use super::{HTML, OCTETS, TEXT};

/// How many bytes of a file are looked at.
///
/// Source: own choice; a tar header ends at 512 bytes, and a page's comments can be longer.
pub(crate) const SNIFF_LEN: usize = 3072;

/// A signature: where it stands, its bytes, the type.
type Signature = (usize, &'static [u8], &'static str);

const SIGNATURES: &[Signature] = &[
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"\0\0\x01\0", "image/x-icon"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (0, b"\xff\x0a", "image/jxl"),
    (0, b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"%!PS-Adobe-", "application/postscript"),
    (0, b"{\\rtf", "text/rtf"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"FLV\x01", "video/x-flv"),
    (0, b"OggS\0", "application/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"MThd", "audio/midi"),
    (0, b"#EXTM3U", "application/vnd.apple.mpegurl"),
    (0, b"WEBVTT", "text/vtt"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"PK\x05\x06", "application/zip"),
    (4, b"1AY&SY", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"(\xb5/\xfd", "application/zstd"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/x-rar-compressed"),
    (257, b"ustar", "application/x-tar"),
    (0, b"\0asm", "application/wasm"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"OTTO", "font/otf"),
    (0, b"\0\x01\0\0\0", "font/ttf"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"PMTiles", "application/vnd.pmtiles"),
];

/// Tags that begin a page, from the WHATWG standard's table.
const PAGE_STARTS: &[&str] = &[
    "<!doctype html",
    "<html",
    "<head",
    "<script",
    "<iframe",
    "<h1",
    "<div",
    "<font",
    "<table",
    "<a",
    "<style",
    "<title",
    "<b",
    "<body",
    "<br",
    "<p",
    "<!--",
];

/// Names the type of a file from its first bytes; more than [`SNIFF_LEN`] are not looked at.
pub(crate) fn sniff(start: &[u8]) -> &'static str {
    let start = &start[..start.len().min(SNIFF_LEN)];
    let signature = SIGNATURES
        .iter()
        .find(|(at, bytes, _)| start.get(*at..).is_some_and(|rest| rest.starts_with(bytes)));
    if let Some((_, _, kind)) = signature {
        return kind;
    }
    container(start).unwrap_or_else(|| text(start))
}

/// Formats whose first bytes are a length or a general container.
fn container(start: &[u8]) -> Option<&'static str> {
    // Two letters alone would take every text about BMWs for a picture.
    if start.starts_with(b"BM") && start.get(6..10) == Some(&[0; 4]) {
        return Some("image/bmp");
    }
    let brand = start.get(8..12);
    if start.starts_with(b"RIFF") {
        return match brand? {
            b"WEBP" => Some("image/webp"),
            b"WAVE" => Some("audio/wav"),
            b"AVI " => Some("video/x-msvideo"),
            _ => None,
        };
    }
    if start.get(4..8)? != b"ftyp" {
        return None;
    }
    Some(match brand? {
        b"avif" | b"avis" => "image/avif",
        b"heic" | b"heix" => "image/heic",
        b"mif1" => "image/heif",
        b"qt  " => "video/quicktime",
        b"M4A " => "audio/x-m4a",
        [b'3', b'g', b'p', _] => "video/3gpp",
        _ => "video/mp4",
    })
}

/// Markup, JSON, plain text or nothing known.
fn text(start: &[u8]) -> &'static str {
    if start.starts_with(b"\xff\xfe") {
        return "text/plain; charset=utf-16le";
    }
    if start.starts_with(b"\xfe\xff") {
        return "text/plain; charset=utf-16be";
    }
    let body = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    if is_page(body) {
        return HTML;
    }
    if starts_with_ignoring_case(body, b"<svg") {
        return "image/svg+xml";
    }
    if body.starts_with(b"<?xml") {
        let svg = body.windows(4).any(|window| window == b"<svg");
        return if svg { "image/svg+xml" } else { "text/xml; charset=utf-8" };
    }
    match encoding(start) {
        None => OCTETS,
        Some(_) if is_json(body, start.len()) => "application/json",
        Some(kind) => kind,
    }
}

fn is_page(body: &[u8]) -> bool {
    PAGE_STARTS.iter().any(|tag| {
        let after = body.get(tag.len());
        let ends = *tag == "<!--" || matches!(after, Some(b' ' | b'>' | b'\n' | b'\t' | b'\r'));
        ends && starts_with_ignoring_case(body, tag.as_bytes())
    })
}

fn starts_with_ignoring_case(body: &[u8], prefix: &[u8]) -> bool {
    body.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Whether a whole short file parses as an object or a list, or a long one begins like one.
fn is_json(body: &[u8], read_len: usize) -> bool {
    if !matches!(body.first(), Some(b'{' | b'[')) {
        return false;
    }
    match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(_) => true,
        Err(error) => error.is_eof() && read_len == SNIFF_LEN,
    }
}

/// The kind of text that the bytes can be: UTF-8, else some 8-bit text, else no text.
fn encoding(start: &[u8]) -> Option<&'static str> {
    let binary = |byte: &u8| matches!(byte, 0..=8 | 0x0b | 0x0e..=0x1a | 0x1c..=0x1f);
    if start.iter().any(binary) {
        return None;
    }
    match std::str::from_utf8(start) {
        Ok(_) => Some(TEXT),
        // The last character may be cut by the limit.
        Err(error) if error.error_len().is_none() && start.len() == SNIFF_LEN => Some(TEXT),
        Err(_) => Some("text/plain; charset=iso-8859-1"),
    }
}

#[cfg(test)]
mod tests;
