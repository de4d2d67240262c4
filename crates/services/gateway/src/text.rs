//! Escaping: the one place where names from the network become part of a page or a header.
//!
//! Invariants: `html` output holds none of `< > & " '`; `percent` output is ASCII that is safe
//! in a URL path segment, a quoted string and a header.
//! Not here: where escaped text goes (`page.rs`, `disposition.rs`).

use std::fmt::Write as _;

/// Escapes text for HTML content and for quoted attributes.
///
/// Control characters and the marks that turn the direction of text around become visible,
/// so a name cannot pass for another.
pub(crate) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for letter in text.chars() {
        match letter {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{{{:x}}}", u32::from(letter));
            }
            letter if letter.is_control() => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(letter));
            }
            letter => out.push(letter),
        }
    }
    out
}

/// Escapes bytes for one segment of a URL path; only unreserved characters stay as they are.
pub(crate) fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// Escapes a path of several segments, keeping its slashes.
pub(crate) fn percent_path(path: &str) -> String {
    path.split('/').map(percent).collect::<Vec<_>>().join("/")
}

/// Undoes percent-escaping; `plus_is_space` as in query strings.
///
/// A `%` that no two hexadecimal digits follow, or bytes that are no UTF-8, give nothing.
pub(crate) fn unpercent(text: &str, plus_is_space: bool) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => {
                let high = char::from(bytes.next()?).to_digit(16)?;
                let low = char::from(bytes.next()?).to_digit(16)?;
                out.push(u8::try_from(high * 16 + low).ok()?);
            }
            b'+' if plus_is_space => out.push(b' '),
            byte => out.push(byte),
        }
    }
    String::from_utf8(out).ok()
}

/// Makes text fit for a header value: UTF-8 stays, as Kubo sends it; controls become `%XX`.
pub(crate) fn header(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() {
            out.push_str(&percent(letter.encode_utf8(&mut [0; 4])));
        } else {
            out.push(letter);
        }
    }
    out
}

/// Makes a query that was decoded once fit for a URL again; what has a meaning there stays.
pub(crate) fn query(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii_graphic() && !matches!(letter, '"' | '<' | '>' | '#') {
            out.push(letter);
        } else {
            out.push_str(&percent(letter.encode_utf8(&mut [0; 4])));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_leaves_nothing_that_a_browser_acts_on() {
        let table = [
            ("plain name.txt", "plain name.txt"),
            ("<script>alert(1)</script>", "&lt;script&gt;alert(1)&lt;/script&gt;"),
            ("a\"onclick='x", "a&quot;onclick=&#39;x"),
            ("fish & chips", "fish &amp; chips"),
            ("tab\there\nline\0", "tab\\u{9}here\\u{a}line\\u{0}"),
            ("txt.\u{202e}exe", "txt.\\u{202e}exe"),
            ("grüße 🐚", "grüße 🐚"),
        ];
        for (text, expected) in table {
            assert_eq!(html(text), expected);
        }
    }

    #[test]
    fn percent_escapes_and_back() {
        let table = [
            ("a b", "a%20b"),
            ("100%", "100%25"),
            ("a/b?c#d", "a%2Fb%3Fc%23d"),
            ("javascript:x", "javascript%3Ax"),
            ("ü", "%C3%BC"),
            ("\"\r\n", "%22%0D%0A"),
            ("-._~09azAZ", "-._~09azAZ"),
        ];
        for (text, expected) in table {
            assert_eq!(percent(text), expected);
            assert_eq!(unpercent(expected, false).as_deref(), Some(text));
        }
        assert_eq!(percent_path("/ipfs/x/a b"), "/ipfs/x/a%20b");
        assert_eq!(unpercent("a+b%20c", true).as_deref(), Some("a b c"));
        assert_eq!(unpercent("a+b", false).as_deref(), Some("a+b"));
        for broken in ["%", "%2", "%zz", "%+1", "%ff", "a%C3"] {
            assert_eq!(unpercent(broken, false), None, "{broken}");
        }
    }

    #[test]
    fn header_values_cannot_break_out_of_their_line() {
        assert_eq!(header("/ipfs/x/a b"), "/ipfs/x/a b");
        assert_eq!(header("a\r\nSet-Cookie: x"), "a%0D%0ASet-Cookie: x");
        assert_eq!(header("ü\u{85}"), "ü%C2%85");
        assert_eq!(query("a=b&c=%2F <ü>\r\n"), "a=b&c=%2F%20%3C%C3%BC%3E%0D%0A");
    }
}
