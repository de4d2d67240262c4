//! Content types: by the file's name, else by its first bytes.
//!
//! The name decides where it has an extension that is known, because that is what an author
//! meant; otherwise signatures, then whether the start reads as text. HTML gets no charset, so
//! that the page's own declaration counts.
//!
//! Source: the WHATWG MIME Sniffing standard and the formats' own signatures; where both leave
//! a choice, what Kubo's gateway answers.
//! Not here: trusting what was found. A browser renders what it is told, so pages that must not
//! share an origin need a gateway with one origin per CID.

mod sniff;

pub(crate) use sniff::{SNIFF_LEN, sniff};

/// The type of bytes that nothing is known about.
pub(crate) const OCTETS: &str = "application/octet-stream";
/// Plain text that is UTF-8 as far as it was read.
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
/// A page whose charset is the page's own business.
pub(crate) const HTML: &str = "text/html";

/// Extensions that the general table lacks or has an unhelpful answer for.
const CORRECTIONS: &[(&str, &str)] = &[
    ("car", "application/vnd.ipld.car"),
    ("cbor", "application/cbor"),
    ("gz", "application/gzip"),
    ("js", "text/javascript; charset=utf-8"),
    ("m3u8", "application/vnd.apple.mpegurl"),
    ("m4s", "video/iso.segment"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("pbf", "application/x-protobuf"),
    ("tgz", "application/gzip"),
    ("ts", "video/mp2t"),
    ("yaml", "application/yaml"),
    ("yml", "application/yaml"),
    ("zst", "application/zstd"),
];

/// The type that a file's name stands for, if its extension is known.
pub(crate) fn by_name(name: &str) -> Option<String> {
    let (stem, extension) = name.rsplit_once('.')?;
    if extension.is_empty() || stem.ends_with('/') {
        return None;
    }
    let extension = extension.to_ascii_lowercase();
    if let Ok(found) = CORRECTIONS.binary_search_by(|row| row.0.cmp(&extension)) {
        return Some(CORRECTIONS[found].1.to_owned());
    }
    let kind = mime_guess::from_ext(&extension).first_raw()?;
    let plain_text = kind.starts_with("text/") && kind != HTML && !kind.contains("charset");
    Some(if plain_text { format!("{kind}; charset=utf-8") } else { kind.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_decide_by_their_extension() {
        let table = [
            ("index.html", Some("text/html")),
            ("INDEX.HTM", Some("text/html")),
            ("style.css", Some("text/css; charset=utf-8")),
            ("app.js", Some("text/javascript; charset=utf-8")),
            ("app.mjs", Some("text/javascript; charset=utf-8")),
            ("notes.txt", Some("text/plain; charset=utf-8")),
            ("README.md", Some("text/markdown; charset=utf-8")),
            ("data.json", Some("application/json")),
            ("app.webmanifest", Some("application/manifest+json")),
            ("code.wasm", Some("application/wasm")),
            ("photo.JPEG", Some("image/jpeg")),
            ("drawing.svg", Some("image/svg+xml")),
            ("film.mp4", Some("video/mp4")),
            ("film.webm", Some("video/webm")),
            ("live.m3u8", Some("application/vnd.apple.mpegurl")),
            ("live0.ts", Some("video/mp2t")),
            ("all.tar.gz", Some("application/gzip")),
            ("all.car", Some("application/vnd.ipld.car")),
            ("paper.pdf", Some("application/pdf")),
            ("noextension", None),
            ("trailing.", None),
            ("file.unknown-extension", None),
            ("", None),
        ];
        for (name, expected) in table {
            assert_eq!(by_name(name).as_deref(), expected, "{name}");
        }
    }

    #[test]
    fn the_corrections_are_sorted_for_the_search() {
        assert!(CORRECTIONS.is_sorted_by(|left, right| left.0 < right.0));
    }
}
