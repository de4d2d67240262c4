//! The `Range` header: which bytes of a representation a client asks for.
//!
//! Only single ranges are answered. Of several ranges the first that overlaps the
//! representation is served, as other gateways do; a client has to look at `Content-Range`
//! anyway. Ranges that together ask for more than everything are ignored (RFC 9110 §14.2
//! allows both).
//!
//! Spec: RFC 9110 §14.1 and §14.2.
//! Invariants: a returned part is never empty and always lies within the length.
//! Not here: `If-Range` (`validators.rs`).

use std::ops::Range;

/// How many ranges of one header are looked at; a header with more is answered as a whole.
///
/// Source: own choice; players ask for one range, and RFC 9110 §17.15 warns of many.
const RANGES_MAX: usize = 32;

/// What to send of a representation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Selection {
    /// All of it, as if no range had been asked for.
    Whole,
    /// These bytes, as 206.
    Part(Range<u64>),
    /// Nothing: 416, because no range overlaps the representation.
    Unsatisfiable,
    /// Nothing: 400, because the header does not parse.
    Malformed,
}

/// Applies a `Range` header to a representation of `len` bytes.
pub(crate) fn select(header: Option<&str>, len: u64) -> Selection {
    let Some(specs) = header.and_then(bytes_unit) else {
        return Selection::Whole;
    };
    let mut first = None;
    let mut asked = 0_u64;
    let mut count = 0;
    for spec in specs.split(',').map(str::trim).filter(|spec| !spec.is_empty()) {
        count += 1;
        if count > RANGES_MAX {
            return Selection::Whole;
        }
        match resolve(spec, len) {
            None => return Selection::Malformed,
            Some(None) => {}
            Some(Some(range)) => {
                asked = asked.saturating_add(range.end - range.start);
                first = first.or(Some(range));
            }
        }
    }
    match first {
        _ if count == 0 => Selection::Malformed,
        _ if asked > len => Selection::Whole,
        Some(range) => Selection::Part(range),
        // Some clients send a range with every request; an empty file is then just empty.
        None if len == 0 => Selection::Whole,
        None => Selection::Unsatisfiable,
    }
}

/// The ranges of a header in bytes; a unit that is not known must be ignored.
fn bytes_unit(header: &str) -> Option<&str> {
    let (unit, specs) = header.split_once('=')?;
    unit.trim().eq_ignore_ascii_case("bytes").then_some(specs)
}

/// One range: `None` if it does not parse, `Some(None)` if it overlaps nothing.
#[expect(clippy::option_option, reason = "malformed and unsatisfiable have different answers")]
fn resolve(spec: &str, len: u64) -> Option<Option<Range<u64>>> {
    let (first, last) = spec.split_once('-')?;
    let (first, last) = (first.trim(), last.trim());
    let range = if first.is_empty() {
        len.saturating_sub(number(last)?)..len
    } else {
        let first = number(first)?;
        let last = if last.is_empty() { u64::MAX } else { number(last)? };
        if last < first {
            return None;
        }
        first..last.saturating_add(1).min(len)
    };
    Some((range.start < range.end).then_some(range))
}

/// Digits as a number; one too large for 64 bits is past the end of anything.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_select_the_bytes_that_rfc_9110_names() {
        let part = Selection::Part;
        let table = [
            (None, Selection::Whole),
            (Some("bytes=0-499"), part(0..500)),
            (Some("bytes=500-999"), part(500..1000)),
            (Some("bytes=500-99999"), part(500..1000)),
            (Some("bytes=-500"), part(500..1000)),
            (Some("bytes=-5000"), part(0..1000)),
            (Some("bytes=-0"), Selection::Unsatisfiable),
            (Some("bytes=999-"), part(999..1000)),
            (Some("bytes=0-0"), part(0..1)),
            (Some("bytes= 0 - 0 "), part(0..1)),
            (Some("BYTES=1-1"), part(1..2)),
            (Some("bytes=1000-"), Selection::Unsatisfiable),
            (Some("bytes=1000-1001"), Selection::Unsatisfiable),
            (Some("bytes=0-18446744073709551615"), part(0..1000)),
            (Some("bytes=0-99999999999999999999999"), part(0..1000)),
            (Some("bytes=99999999999999999999999-"), Selection::Unsatisfiable),
            (Some("items=0-1"), Selection::Whole),
            (Some("bytes"), Selection::Whole),
            (Some("bytes=2-1"), Selection::Malformed),
            (Some("bytes=a-b"), Selection::Malformed),
            (Some("bytes=--1"), Selection::Malformed),
            (Some("bytes=+1-2"), Selection::Malformed),
            (Some("bytes=-"), Selection::Malformed),
            (Some("bytes=5"), Selection::Malformed),
            (Some("bytes="), Selection::Malformed),
            (Some("bytes=,"), Selection::Malformed),
        ];
        for (header, expected) in table {
            assert_eq!(select(header, 1000), expected, "{header:?}");
        }
    }

    #[test]
    fn of_several_ranges_the_first_that_overlaps_is_served() {
        assert_eq!(select(Some("bytes=10-19,30-39"), 100), Selection::Part(10..20));
        assert_eq!(select(Some("bytes=200-300, 30-39"), 100), Selection::Part(30..40));
        assert_eq!(select(Some("bytes=200-300,400-500"), 100), Selection::Unsatisfiable);
        assert_eq!(select(Some("bytes=0-99,0-99"), 100), Selection::Whole, "asks for too much");
        let many = format!("bytes={}", vec!["0-0"; RANGES_MAX + 1].join(","));
        assert_eq!(select(Some(&many), 100), Selection::Whole);
    }

    #[test]
    fn an_empty_representation_has_no_parts() {
        for header in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(select(Some(header), 0), Selection::Whole, "{header}");
        }
    }
}
