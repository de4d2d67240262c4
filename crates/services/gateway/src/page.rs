//! The page that shows a directory, and the small one that shows an error.
//!
//! Written in pieces: a head, one row an entry, a foot; so a directory of a million entries
//! needs no more memory than one of three. No scripts and nothing from elsewhere: a page about
//! content that came from strangers should work with everything switched off.
//!
//! Invariants: every name passes through [`text::html`] or [`text::percent`] on its way in; the
//! entity tag of listings changes whenever the page's look does ([`LOOK`]).
//! Not here: where the entries come from (`content.rs`).

use crate::text;
use hyper::StatusCode;
use std::fmt::Write as _;

const STYLE: &str = include_str!("page/style.css");

/// A fingerprint of the page's look, for the entity tag of listings.
pub(crate) const LOOK: u64 = fingerprint(&[STYLE, env!("CARGO_PKG_VERSION"), "rows 1"]);

/// What forbids pages of ours to load or send anything.
pub(crate) const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// A directory as its page shows it.
#[derive(Debug, Clone)]
pub(crate) struct Listing<'a> {
    /// The decoded path, `/ipfs/CID/a/b`, without a trailing slash.
    pub(crate) path: &'a str,
    /// The directory's own CID.
    pub(crate) cid: &'a str,
    /// The size of everything below it, in bytes, as its links say.
    pub(crate) size: u64,
}

/// One entry of a directory.
#[derive(Debug, Clone)]
pub(crate) struct Row<'a> {
    /// The name as the directory has it.
    pub(crate) name: &'a str,
    /// The entry's CID.
    pub(crate) cid: &'a str,
    /// Size of the entry's DAG in bytes, if its link says.
    pub(crate) size: Option<u64>,
}

impl Listing<'_> {
    /// The page up to the first row.
    pub(crate) fn head(&self) -> String {
        let mut out = start(&format!("Index of {}", text::html(self.path)));
        out.push_str("<header><nav aria-label=\"Path\">");
        let mut link = String::new();
        let segments: Vec<&str> = self.path.trim_matches('/').split('/').collect();
        for (depth, segment) in segments.iter().enumerate() {
            link.push('/');
            link.push_str(&text::percent(segment));
            let shown = text::html(segment);
            // The first segment is the namespace, which is no page of its own.
            let _ = match depth {
                0 => write!(out, "<span>/{shown}</span>"),
                _ if depth + 1 == segments.len() => write!(out, "<b>/{shown}</b>"),
                _ => write!(out, "<a href=\"{link}/\">/{shown}</a>"),
            };
        }
        let _ = writeln!(
            out,
            "</nav><p><code>{}</code><span>{}</span></p></header><main><table><thead><tr>\
             <th>Name</th><th>CID</th><th>Size</th></tr></thead><tbody>",
            text::html(self.cid),
            human(self.size),
        );
        if segments.len() > 2 {
            out.push_str("<tr><td><a href=\"..\">..</a></td><td></td><td></td></tr>\n");
        }
        out
    }
}

/// One entry; `./` before the name keeps a colon in it from reading as a scheme.
pub(crate) fn row(row: &Row<'_>) -> String {
    let (cid, href) = (text::html(row.cid), text::percent(row.name));
    let name = if row.name.is_empty() { "(no name)".to_owned() } else { text::html(row.name) };
    // A link to `.` or `..` would not lead to the entry of that name.
    let reachable = !matches!(row.name, "" | "." | "..") && !row.name.contains('/');
    let named = if reachable {
        format!("<a href=\"./{href}\">{name}</a>")
    } else {
        format!("<span>{name}</span>")
    };
    let query = if reachable { format!("?filename={href}") } else { String::new() };
    let size = row.size.map(human).unwrap_or_default();
    format!(
        "<tr><td>{named}</td><td><a href=\"/ipfs/{cid}{query}\"><code>{}</code></a></td>\
         <td>{size}</td></tr>\n",
        shortened(&cid),
    )
}

/// The page after the last row.
pub(crate) fn foot() -> &'static str {
    "</tbody></table></main></body></html>\n"
}

/// A page for one sentence: an error, or that this is a gateway.
pub(crate) fn notice(title: &str, sentence: &str) -> String {
    format!(
        "{}<main><h1>{}</h1><p>{}</p></main></body></html>\n",
        start(&text::html(title)),
        text::html(title),
        text::html(sentence)
    )
}

/// The page of an error.
pub(crate) fn error(status: StatusCode, sentence: &str) -> String {
    let reason = status.canonical_reason().unwrap_or("Error");
    notice(&format!("{} {reason}", status.as_u16()), sentence)
}

/// Everything up to the body's content; `title` is escaped already.
fn start(title: &str) -> String {
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title}</title><style>{STYLE}</style></head><body>\n"
    )
}

/// A CID with its middle left out; the head tells the codec, the tail tells CIDs apart.
fn shortened(cid: &str) -> String {
    if !cid.is_ascii() || cid.len() <= 16 {
        return cid.to_owned();
    }
    format!("{}…{}", &cid[..6], &cid[cid.len() - 6..])
}

/// A size in bytes, in the largest unit that keeps it above one, to one digit.
fn human(len: u64) -> String {
    const UNITS: [&str; 6] = ["KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    if len < 1024 {
        return format!("{len} B");
    }
    let exponent = len.ilog2() / 10;
    let tenths = (u128::from(len) * 10) >> (10 * exponent);
    let unit = UNITS[exponent as usize - 1];
    if tenths < 100 {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    } else {
        format!("{} {unit}", tenths / 10)
    }
}

/// FNV-1a, 64 bits, over several texts; in a constant, so the tag costs nothing at run time.
const fn fingerprint(texts: &[&str]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325_u64;
    let mut text = 0;
    while text < texts.len() {
        let bytes = texts[text].as_bytes();
        let mut at = 0;
        while at < bytes.len() {
            hash = (hash ^ bytes[at] as u64).wrapping_mul(0x0100_0000_01b3);
            at += 1;
        }
        text += 1;
    }
    hash
}

#[cfg(test)]
mod tests;
