//! Durations as Go writes and reads them: `1h30m`, `1.5s`, `300ms`, `0`.
//!
//! Kubo's config, options and headers hold them, so every surface reads them here, and all of
//! them read the same language.
//!
//! Spec: Go's `time.ParseDuration`. Invariants: exactly its language and its rounding; a duration
//! is a number of nanoseconds in 64 bits with a sign, and what does not fit is refused.
//! Not here: the time (`clock.rs`), other units such as days (whoever takes them).

use std::time::Duration;

/// One more than the largest duration in nanoseconds: the absolute value of the smallest.
const NANOS_END: u64 = 1 << 63;

const MICROSECOND: u64 = 1_000;
const MILLISECOND: u64 = 1_000 * MICROSECOND;
const SECOND: u64 = 1_000 * MILLISECOND;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Reads a duration; `None` if it is none, or negative.
///
/// # Examples
///
/// ```
/// # use cairn_runtime::duration_of;
/// # use std::time::Duration;
/// assert_eq!(duration_of("1m.5s"), Some(Duration::from_millis(60_500)));
/// assert_eq!(duration_of("-1s"), None);
/// ```
pub fn duration_of(text: &str) -> Option<Duration> {
    u64::try_from(nanoseconds_of(text)?).ok().map(Duration::from_nanos)
}

/// Reads a duration, negative ones too, as nanoseconds; `None` if it is none.
pub fn nanoseconds_of(text: &str) -> Option<i64> {
    let (is_negative, unsigned) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    if unsigned == "0" {
        return Some(0);
    }
    if unsigned.is_empty() {
        return None;
    }
    let (mut total, mut rest) = (0_u64, unsigned);
    while !rest.is_empty() {
        let (nanos, after) = term(rest)?;
        total = total.checked_add(nanos).filter(|total| *total <= NANOS_END)?;
        rest = after;
    }
    if is_negative { 0_i64.checked_sub_unsigned(total) } else { i64::try_from(total).ok() }
}

/// Reads a number with its unit from the front; returns its nanoseconds and what follows.
fn term(text: &str) -> Option<(u64, &str)> {
    let (whole, after) = digits(text);
    let (part, after) = after.strip_prefix('.').map_or(("", after), digits);
    if whole.is_empty() && part.is_empty() {
        return None;
    }
    let unit_len = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
    let (unit, rest) = after.split_at(unit_len);
    let unit = match unit {
        "ns" => 1,
        // The sign for micro, and the Greek letter that looks like it.
        "us" | "\u{b5}s" | "\u{3bc}s" => MICROSECOND,
        "ms" => MILLISECOND,
        "s" => SECOND,
        "m" => MINUTE,
        "h" => HOUR,
        _ => return None,
    };
    let whole = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()? };
    let nanos = whole.checked_mul(unit)?.checked_add(fraction(part, unit))?;
    (nanos <= NANOS_END).then_some((nanos, rest))
}

fn digits(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()))
}

/// The nanoseconds of a decimal part of `unit`, rounded down in floating point as Go does;
/// digits beyond what 63 bits hold do not count.
#[expect(clippy::cast_precision_loss, reason = "Go computes with the same loss")]
#[expect(clippy::cast_sign_loss, reason = "neither factor has a sign")]
fn fraction(digits: &str, unit: u64) -> u64 {
    let (mut number, mut scale) = (0_u64, 1_f64);
    for digit in digits.bytes() {
        let next = number.checked_mul(10).and_then(|n| n.checked_add(u64::from(digit - b'0')));
        let Some(next) = next.filter(|next| *next <= NANOS_END) else { break };
        (number, scale) = (next, scale * 10.0);
    }
    (number as f64 * (unit as f64 / scale)) as u64
}

#[cfg(test)]
mod tests {
    use super::{duration_of, nanoseconds_of};
    use std::time::Duration;

    /// What Go's `time.ParseDuration` answers, in nanoseconds.
    const ACCEPTED: &[(&str, i64)] = &[
        ("0", 0),
        ("-0", 0),
        ("+0", 0),
        ("0s", 0),
        ("5s", 5_000_000_000),
        ("+5s", 5_000_000_000),
        ("-5s", -5_000_000_000),
        ("5.s", 5_000_000_000),
        (".5s", 500_000_000),
        ("1.0s", 1_000_000_000),
        ("1.004s", 1_004_000_000),
        ("100.00100s", 100_001_000_000),
        ("10ns", 10),
        ("11us", 11_000),
        ("12\u{b5}s", 12_000),
        ("12\u{3bc}s", 12_000),
        ("13ms", 13_000_000),
        ("15m", 900_000_000_000),
        ("16h", 57_600_000_000_000),
        ("3h30m", 12_600_000_000_000),
        ("10.5s4m", 250_500_000_000),
        ("1s.5m", 31_000_000_000),
        ("-2m3.4s", -123_400_000_000),
        ("52763797000ns", 52_763_797_000),
        ("0.3333333333333333333h", 1_200_000_000_000),
        ("9007199254740993ns", 9_007_199_254_740_993),
        ("9223372036854775807ns", i64::MAX),
        ("9223372036854775.807us", i64::MAX),
        ("9223372036s854ms775us807ns", i64::MAX),
        ("-9223372036854775808ns", i64::MIN),
        ("-9223372036854775.808us", i64::MIN),
        ("0.100000000000000000000h", 360_000_000_000),
        ("0.830103483285477580700h", 2_988_372_539_827),
    ];

    const REFUSED: &[&str] = &[
        "",
        "3",
        "-",
        "s",
        ".",
        "-.",
        ".s",
        "+.s",
        "1d",
        "5 s",
        " 5s",
        "5s ",
        "1h5",
        "1e9h",
        "--1s",
        "\u{b5}s",
        "1\u{2126}s",
        "1..2s",
        "3000000h",
        "9223372036854775808ns",
        "9223372036854775.808us",
        "9223372036854ms775us808ns",
        "-9223372036854775809ns",
        "999999999999999999999h",
    ];

    #[test]
    fn reads_what_go_reads() {
        for &(text, nanos) in ACCEPTED {
            assert_eq!(nanoseconds_of(text), Some(nanos), "{text:?}");
        }
        for text in REFUSED {
            assert_eq!(nanoseconds_of(text), None, "{text:?}");
        }
    }

    #[test]
    fn negative_ones_are_for_those_who_ask() {
        assert_eq!(duration_of("1h10m"), Some(Duration::from_mins(70)));
        assert_eq!(duration_of("-0"), Some(Duration::ZERO));
        assert_eq!(duration_of("-1ns"), None);
    }
}
