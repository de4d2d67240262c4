//! Answers as text: what Kubo's command line prints for the same JSON.
//!
//! The server uses it for `encoding=text`, the command line for everything, so there is one text.
//!
//! Invariant: names that come from content or peers are escaped, so that printing a directory
//! cannot move the cursor or colour the terminal.
//! Not here: progress bars and files written (the `cairn` binary).

use crate::{Request, RpcError};
use cairn_block::{Base, Cid, Version};
use cairn_names::Timestamp;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    fmt::{self, Write as _},
    time::SystemTime,
};

/// Text in the making: the result, the talk about it, and whether something failed.
#[derive(Debug, Default)]
pub struct Text {
    /// For standard output.
    pub out: String,
    /// For standard error.
    pub talk: String,
    /// Whether the command failed in part: it goes on, but its exit code is 1.
    pub failed: bool,
}

impl Text {
    /// Appends a line to the result.
    pub fn line(&mut self, line: impl fmt::Display) {
        self.write(format_args!("{line}\n"));
    }

    /// Appends to the result.
    pub fn write(&mut self, text: impl fmt::Display) {
        // Writing to a String cannot fail.
        write!(self.out, "{text}").unwrap_or(());
    }

    /// Appends a line to the talk and notes that something failed.
    pub fn fail(&mut self, line: impl fmt::Display) {
        writeln!(self.talk, "{line}").unwrap_or(());
        self.failed = true;
    }
}

/// Turns a command's answers into text, one JSON value at a time.
pub trait Render: Send {
    /// Adds the text of one answer.
    ///
    /// # Errors
    ///
    /// If the JSON is not of the command's answer type.
    fn answer(&mut self, json: &[u8], text: &mut Text) -> Result<(), RpcError>;

    /// Adds what comes after the last answer.
    fn finish(&mut self, text: &mut Text) {
        let _ = text;
    }
}

/// A renderer that treats each answer on its own.
pub fn each<T, F>(request: &Request, write: F) -> Box<dyn Render>
where
    T: DeserializeOwned + 'static,
    F: Fn(&Request, T, &mut Text) + Send + 'static,
{
    struct Each<T, F>(Request, F, std::marker::PhantomData<fn(T)>);
    impl<T: DeserializeOwned, F: Fn(&Request, T, &mut Text) + Send> Render for Each<T, F> {
        fn answer(&mut self, json: &[u8], text: &mut Text) -> Result<(), RpcError> {
            (self.1)(&self.0, serde_json::from_slice(json)?, text);
            Ok(())
        }
    }
    Box::new(Each(request.clone(), write, std::marker::PhantomData))
}

/// Every multibase encoding: its prefix, its name and what computes it.
///
/// Source: the multibase table, pinned in `spec/PINS.toml`; only what Kubo lists.
pub(crate) const BASES: &[(char, &str, Base)] = &[
    ('\0', "identity", Base::Identity),
    ('0', "base2", Base::Base2),
    ('b', "base32", Base::Base32Lower),
    ('B', "base32upper", Base::Base32Upper),
    ('c', "base32pad", Base::Base32PadLower),
    ('C', "base32padupper", Base::Base32PadUpper),
    ('f', "base16", Base::Base16Lower),
    ('F', "base16upper", Base::Base16Upper),
    ('k', "base36", Base::Base36Lower),
    ('K', "base36upper", Base::Base36Upper),
    ('m', "base64", Base::Base64),
    ('M', "base64pad", Base::Base64Pad),
    ('t', "base32hexpad", Base::Base32HexPadLower),
    ('T', "base32hexpadupper", Base::Base32HexPadUpper),
    ('u', "base64url", Base::Base64Url),
    ('U', "base64urlpad", Base::Base64UrlPad),
    ('v', "base32hex", Base::Base32HexLower),
    ('V', "base32hexupper", Base::Base32HexUpper),
    ('z', "base58btc", Base::Base58Btc),
    ('Z', "base58flickr", Base::Base58Flickr),
    ('🚀', "base256emoji", Base::Base256Emoji),
];

/// Finds a base by its name or its prefix.
///
/// # Errors
///
/// [`crate::Fault::Request`] for one that is not known.
pub(crate) fn base_of(name: &str) -> Result<Base, RpcError> {
    let prefix = |prefix: char| name.chars().eq([prefix]);
    let row = BASES.iter().find(|(code, known, _)| *known == name || prefix(*code));
    row.map(|row| row.2)
        .ok_or_else(|| RpcError::request(format!("unsupported multibase encoding: {name:?}")))
}

/// How CIDs are written in answers.
#[derive(Debug, Clone, Copy)]
pub struct CidText {
    base: Base,
    upgrade: bool,
}

impl CidText {
    /// Reads `--cid-base` and `--upgrade-cidv0-in-output`; a base alone upgrades, too.
    ///
    /// # Errors
    ///
    /// [`crate::Fault::Request`] for a base that is not known.
    pub fn new(base: Option<&str>, upgrade: Option<bool>) -> Result<Self, RpcError> {
        let asked = base.map(base_of).transpose()?;
        let upgrade = upgrade.unwrap_or(asked.is_some());
        Ok(Self { base: asked.unwrap_or(Base::Base32Lower), upgrade })
    }

    /// Writes one CID.
    pub fn of(self, cid: &Cid) -> String {
        if self.upgrade && cid.version() == Version::V0 {
            return Cid::v1(cid.codec(), cid.multihash().clone()).to_text(self.base);
        }
        cid.to_text(self.base)
    }
}

/// A CID as IPLD's JSON writes links: `{"/": "Qm…"}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Link {
    /// The CID.
    #[serde(rename = "/")]
    pub cid: String,
}

impl Link {
    /// Writes it as it is.
    pub(crate) fn of(cid: &Cid) -> Self {
        Self { cid: cid.to_string() }
    }
}

/// Writes bytes as base64url in multibase, as requests and answers hold what may be any bytes.
#[must_use]
pub fn encoded_in_multibase(bytes: &[u8]) -> String {
    format!("{}{}", Base::Base64Url.code(), Base::Base64Url.encode(bytes))
}

/// Escapes what a terminal could take as a command; ordinary text comes back as it is.
///
/// Besides control characters these are the marks that reorder or hide text.
pub fn escape(name: &str) -> String {
    let plain = |c: char| !c.is_control() && !is_hidden(c);
    if name.chars().all(plain) {
        return name.to_owned();
    }
    let mut out = String::with_capacity(name.len() + 8);
    for c in name.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if plain(c) => out.push(c),
            c if (c as u32) < 0x100 => write!(out, "\\x{:02x}", c as u32).unwrap_or(()),
            c => write!(out, "\\u{{{:x}}}", c as u32).unwrap_or(()),
        }
    }
    out
}

fn is_hidden(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Writes rows in columns, each as wide as its widest cell and one space; the last one is free.
pub(crate) fn columns(rows: &[Vec<String>], min_width: usize, padding: usize) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter(|row| row.len() > column + 1).map(|row| &row[column]);
        let widest = cells.map(|cell| cell.chars().count() + padding).max().unwrap_or(0);
        widest.max(min_width)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut out = String::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let last = column + 1 == row.len();
            let width = if last { 0 } else { widths[column] };
            out.push_str(cell);
            // Formatting takes no width above 65,535, and a cell may come from a stranger.
            out.extend(std::iter::repeat_n(' ', width.saturating_sub(cell.chars().count())));
        }
        out.push('\n');
    }
    out
}

/// Writes a number of bytes for people, in steps of 1000: `999 B`, `1.5 kB`, `12 MB`.
pub fn human_len(len: u64) -> String {
    const UNITS: &[&str] = &["B", "kB", "MB", "GB", "TB", "PB", "EB"];
    if len < 10 {
        return format!("{len} B");
    }
    let mut unit = 0;
    let mut scale = 1u64;
    while unit + 1 < UNITS.len() && len / scale >= 1000 {
        scale *= 1000;
        unit += 1;
    }
    let tenths = (u128::from(len) * 10 + u128::from(scale) / 2) / u128::from(scale);
    if tenths < 100 {
        return format!("{}.{} {}", tenths / 10, tenths % 10, UNITS[unit]);
    }
    format!("{} {}", (u128::from(len) + u128::from(scale) / 2) / u128::from(scale), UNITS[unit])
}

/// Writes a time as RFC 3339 in UTC, to the second; before 1970 it is 1970.
pub(crate) fn utc(time: SystemTime) -> String {
    let text = Timestamp::from(time.max(SystemTime::UNIX_EPOCH)).to_string();
    let whole = text.split('.').next().unwrap_or_default();
    format!("{whole}Z")
}

/// Writes JSON as Kubo prints configuration: indented, texts alone without quotes.
pub(crate) fn human_json(value: &serde_json::Value) -> String {
    if let serde_json::Value::String(text) = value {
        return text.clone();
    }
    indented(value, b"  ")
}

/// Writes JSON with `indent` for each level.
pub(crate) fn indented(value: &impl Serialize, indent: &[u8]) -> String {
    let mut out = Vec::new();
    let formatter = serde_json::ser::PrettyFormatter::with_indent(indent);
    let mut serializer = serde_json::Serializer::with_formatter(&mut out, formatter);
    if value.serialize(&mut serializer).is_err() {
        return String::new();
    }
    String::from_utf8(out).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{CidText, columns, escape, human_len, utc};
    use cairn_block::Cid;
    use std::time::{Duration, SystemTime};

    const V0: &str = "QmZULkCELmmk5XNfCgTnCyFgAVxBRBXyDHGGMVoLFLiXEN";

    #[test]
    fn escapes_what_moves_the_cursor() {
        let rows = [
            ("plain name.txt", "plain name.txt"),
            ("naïve ☃", "naïve ☃"),
            ("a\\b", "a\\b"),
            ("\x1b[2Jboo", "\\x1b[2Jboo"),
            ("two\nlines\\", "two\\nlines\\\\"),
            ("gnp\u{202e}fdp.exe", "gnp\\u{202e}fdp.exe"),
            ("\u{9b}31m", "\\x9b31m"),
        ];
        for (name, expected) in rows {
            assert_eq!(escape(name), expected, "{name:?}");
        }
    }

    #[test]
    fn writes_lengths_for_people() {
        let rows = [
            (0, "0 B"),
            (9, "9 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1550, "1.6 kB"),
            (82_854_982, "83 MB"),
            (10_000_000_000, "10 GB"),
            (u64::MAX, "18 EB"),
        ];
        for (len, expected) in rows {
            assert_eq!(human_len(len), expected, "{len}");
        }
    }

    #[test]
    fn writes_times_in_utc() {
        let rows = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_704_067_199, "2023-12-31T23:59:59Z"),
            (1_709_251_200, "2024-03-01T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (secs, expected) in rows {
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(secs);
            assert_eq!(utc(time), expected, "{secs}");
        }
    }

    #[test]
    fn writes_cids_as_asked() {
        let cid: Cid = V0.parse().unwrap();
        let text = |base, upgrade| CidText::new(base, upgrade).unwrap().of(&cid);
        assert_eq!(text(None, None), V0);
        assert!(text(None, Some(true)).starts_with("bafybei"));
        assert!(text(Some("base36"), None).starts_with('k'));
        assert_eq!(text(Some("base36"), Some(false)), V0);
        assert!(CidText::new(Some("base1000"), None).is_err());
    }

    #[test]
    fn lines_columns_up() {
        let rows = vec![
            vec!["a".into(), "1".into(), "x".into()],
            vec!["bcd".into(), "22".into(), "y/".into()],
        ];
        assert_eq!(columns(&rows, 0, 1), "a   1  x\nbcd 22 y/\n");
        let long = "x".repeat(70_000);
        let rows = [vec!["a".to_owned(), "b".to_owned()], vec![long.clone(), "c".to_owned()]];
        let padded = " ".repeat(70_000);
        assert_eq!(columns(&rows, 0, 1), format!("a{padded}b\n{long} c\n"));
    }
}
