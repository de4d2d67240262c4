//! `Content-Disposition`: the name under which a browser saves what it is given.
//!
//! Written twice, as RFC 6266 §4.3 advises: in ASCII for old clients and as `filename*` in
//! UTF-8 (RFC 8187) for the rest.
//!
//! Invariant: whatever the name, the value is one header line and one parameter each.

use crate::text;

/// What a browser should do with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Disposition {
    /// Show it if it can be shown.
    Inline,
    /// Save it.
    Attachment,
}

/// Longest name that is passed on, in bytes; longer ones are cut.
///
/// Source: own choice: four times what file systems accept.
const NAME_LEN_MAX: usize = 1024;

/// The header's value for a name.
pub(crate) fn value(disposition: Disposition, name: &str) -> String {
    let word = match disposition {
        Disposition::Inline => "inline",
        Disposition::Attachment => "attachment",
    };
    let mut end = name.len().min(NAME_LEN_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let name = &name[..end];
    let ascii: String =
        name.chars().map(|letter| if letter.is_ascii() { letter } else { '_' }).collect();
    let (ascii, utf8) = (text::percent(&ascii), text::percent(name));
    format!("{word}; filename=\"{ascii}\"; filename*=UTF-8''{utf8}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_given_in_ascii_and_in_utf_8() {
        let table = [
            ("cat.jpg", "inline; filename=\"cat.jpg\"; filename*=UTF-8''cat.jpg"),
            ("a b.txt", "inline; filename=\"a%20b.txt\"; filename*=UTF-8''a%20b.txt"),
            ("öl.txt", "inline; filename=\"_l.txt\"; filename*=UTF-8''%C3%B6l.txt"),
            (
                "\"; x=\"y",
                "inline; filename=\"%22%3B%20x%3D%22y\"; filename*=UTF-8''%22%3B%20x%3D%22y",
            ),
            ("a\r\nB: c", "inline; filename=\"a%0D%0AB%3A%20c\"; filename*=UTF-8''a%0D%0AB%3A%20c"),
            ("../../etc", "inline; filename=\"..%2F..%2Fetc\"; filename*=UTF-8''..%2F..%2Fetc"),
        ];
        for (name, expected) in table {
            assert_eq!(value(Disposition::Inline, name), expected);
        }
        assert!(value(Disposition::Attachment, "x").starts_with("attachment; "));
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let name = format!("a{}", "ü".repeat(NAME_LEN_MAX));
        let value = value(Disposition::Inline, &name);
        assert!(value.len() < 8 * NAME_LEN_MAX);
        assert!(value.ends_with("%C3%BC"), "no half characters");
    }
}
