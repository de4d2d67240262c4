//! Points in time as records write them: RFC 3339 with up to nine digits behind the second.
//!
//! Spec: RFC 3339, section 5.6.
//! Invariants: text is read exactly or refused, so a signed end has one meaning; the years are
//! 0000 to 9999 as in the text.
//! Not here: the clock.

use std::{
    fmt,
    str::FromStr,
    time::{Duration, SystemTime},
};
use thiserror::Error;

/// Seconds of a day.
const DAY_SECS: i64 = 86_400;

/// Digits behind the second that mean something here.
const FRACTION_LEN_MAX: usize = 9;

/// The text is not a point in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a time as in RFC 3339")]
pub struct TimestampError;

/// A point in time, to the nanosecond.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp {
    /// Since 1970, in seconds.
    secs: i64,
    nanos: u32,
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        match time.duration_since(SystemTime::UNIX_EPOCH) {
            Ok(since) => Self {
                secs: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
                nanos: since.subsec_nanos(),
            },
            // No record is as old as that: the second decides.
            Err(before) => Self {
                secs: -i64::try_from(before.duration().as_secs()).unwrap_or(i64::MAX) - 1,
                nanos: 0,
            },
        }
    }
}

impl Timestamp {
    /// The same as a system's time; before 1970 it is 1970, beyond what the system knows `None`.
    pub fn to_system(self) -> Option<SystemTime> {
        let secs = u64::try_from(self.secs).unwrap_or(0);
        SystemTime::UNIX_EPOCH.checked_add(Duration::new(secs, self.nanos))
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;

    fn from_str(text: &str) -> Result<Self, TimestampError> {
        let bytes = text.as_bytes();
        let number = |from: usize, len: usize| {
            let digits = bytes.get(from..from + len).ok_or(TimestampError)?;
            digits.iter().try_fold(0_i64, |sum, digit| match digit {
                b'0'..=b'9' => Ok(sum * 10 + i64::from(digit - b'0')),
                _ => Err(TimestampError),
            })
        };
        let is = |place: usize, allowed: &[u8]| match bytes.get(place) {
            Some(byte) if allowed.contains(byte) => Ok(()),
            _ => Err(TimestampError),
        };
        is(4, b"-")?;
        is(7, b"-")?;
        is(10, b"Tt")?;
        is(13, b":")?;
        is(16, b":")?;
        let (year, month, day) = (number(0, 4)?, number(5, 2)?, number(8, 2)?);
        let (hour, minute, second) = (number(11, 2)?, number(14, 2)?, number(17, 2)?);
        let in_range = (1..=12).contains(&month)
            && (1..=days_of_month(year, month)).contains(&day)
            && hour < 24
            && minute < 60
            && second <= 60;
        if !in_range {
            return Err(TimestampError);
        }
        let (nanos, rest) = fraction(text.get(19..).ok_or(TimestampError)?)?;
        let offset = offset(rest)?;
        let of_day = hour * 3600 + minute * 60 + second.min(59) - offset;
        Ok(Self { secs: days_since_1970(year, month, day) * DAY_SECS + of_day, nanos })
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (days, of_day) = (self.secs.div_euclid(DAY_SECS), self.secs.rem_euclid(DAY_SECS));
        let (year, month, day) = date_of(days);
        let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
        let nanos = self.nanos;
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanos:09}Z")
    }
}

/// Reads `.123` or nothing.
fn fraction(text: &str) -> Result<(u32, &str), TimestampError> {
    let Some(rest) = text.strip_prefix('.') else { return Ok((0, text)) };
    let len = rest.bytes().take_while(u8::is_ascii_digit).count();
    if len == 0 {
        return Err(TimestampError);
    }
    let (digits, rest) = rest.split_at(len);
    let padded = digits.bytes().chain(std::iter::repeat(b'0')).take(FRACTION_LEN_MAX);
    Ok((padded.fold(0, |sum, digit| sum * 10 + u32::from(digit - b'0')), rest))
}

/// Reads `Z` or `+01:30`, in seconds.
fn offset(text: &str) -> Result<i64, TimestampError> {
    if text == "Z" || text == "z" {
        return Ok(0);
    }
    let sign = match text.as_bytes().first() {
        Some(b'+') => 1,
        Some(b'-') => -1,
        _ => return Err(TimestampError),
    };
    let (hours, minutes) = text[1..].split_once(':').ok_or(TimestampError)?;
    let part = |text: &str, end: i64| match text.parse::<u8>().map(i64::from) {
        Ok(number) if text.len() == 2 && !text.starts_with('+') && number < end => Ok(number),
        _ => Err(TimestampError),
    };
    Ok(sign * (part(hours, 24)? * 3600 + part(minutes, 60)? * 60))
}

fn days_of_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// The days between 1970-01-01 and a date of the Gregorian calendar.
///
/// Years are counted from March, so that the day that some years have more comes last.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let of_era = of_era * 365 + of_era / 4 - of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

/// The date that lies so many days after 1970-01-01.
fn date_of(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::{Timestamp, TimestampError};
    use std::time::{Duration, SystemTime};

    #[test]
    fn reads_what_others_write() {
        let rows = [
            ("1970-01-01T00:00:00Z", 0, 0),
            ("1970-01-01T00:00:00.000000001Z", 0, 1),
            ("2000-02-29T12:00:00.5Z", 951_825_600, 500_000_000),
            ("2123-08-14T12:50:01.123456789Z", 4_847_691_001, 123_456_789),
            ("2020-01-01T01:30:00+01:30", 1_577_836_800, 0),
            ("2019-12-31T19:00:00-05:00", 1_577_836_800, 0),
        ];
        for (text, secs, nanos) in rows {
            let expected = SystemTime::UNIX_EPOCH + Duration::new(secs, nanos);
            let read: Timestamp = text.parse().unwrap();
            assert_eq!(read, expected.into(), "{text}");
            assert_eq!(read.to_system(), Some(expected), "{text}");
            assert_eq!(read.to_string().parse(), Ok(read), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "2020",
            "2020-13-01T00:00:00Z",
            "2021-02-29T00:00:00Z",
            "2020-01-01 00:00:00Z",
            "2020-01-01T24:00:00Z",
            "2020-01-01T00:00:00",
            "2020-01-01T00:00:00.Z",
            "2020-01-01T00:00:00+1:00",
            "2020-01-01T00:00:00+01:00x",
            "2020-01-01T00:00:00Zé",
        ] {
            assert_eq!(text.parse::<Timestamp>(), Err(TimestampError), "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn every_second_survives(secs in 0_u64..253_402_300_800, nanos in 0_u32..1_000_000_000) {
            let time = Timestamp::from(SystemTime::UNIX_EPOCH + Duration::new(secs, nanos));
            proptest::prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn any_text_is_read_or_refused(text in ".{0,40}") {
            if let Ok(time) = text.parse::<Timestamp>() {
                proptest::prop_assert!(text.len() >= 20, "{time}");
            }
        }
    }
}
