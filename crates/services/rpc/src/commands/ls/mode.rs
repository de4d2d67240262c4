//! Modes and times as `ls -l` prints them, and as Go's JSON carries them.
//!
//! Invariant: times are UTC; no time zone is looked up.

use std::time::{SystemTime, UNIX_EPOCH};

/// Go's bit for a directory.
pub(in crate::commands) const DIRECTORY: u32 = 1 << 31;
/// Go's bit for a symbolic link.
pub(in crate::commands) const SYMLINK: u32 = 1 << 27;
/// The seconds of half a year: older times are printed with their year.
const HALF_YEAR: i64 = 182 * 86_400;
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Writes a mode in ten letters, such as `-rw-r--r--`.
pub(in crate::commands) fn letters(mode: u32) -> String {
    let kind = match mode {
        mode if mode & DIRECTORY != 0 => 'd',
        mode if mode & SYMLINK != 0 => 'l',
        _ => '-',
    };
    let mut out = String::from(kind);
    let special = [(0o4000, 's', 'S'), (0o2000, 's', 'S'), (0o1000, 't', 'T')];
    for (group, (bit, with, without)) in special.into_iter().enumerate() {
        let bits = mode >> (6 - 3 * group);
        out.push(if bits & 4 != 0 { 'r' } else { '-' });
        out.push(if bits & 2 != 0 { 'w' } else { '-' });
        out.push(match (mode & bit != 0, bits & 1 != 0) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    out
}

struct Date {
    year: i64,
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
}

/// Turns seconds since 1970 into a date of the Gregorian calendar.
fn date(seconds: i64) -> Date {
    let (days, rest) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Years begin in March here, so that the leap day comes last; eras are 400 years.
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted.div_euclid(146_097), shifted.rem_euclid(146_097));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    Date { year, month, day, hour: rest / 3600, minute: rest / 60 % 60, second: rest % 60 }
}

/// Writes a time as RFC 3339.
pub(in crate::commands) fn rfc3339(seconds: i64, nanoseconds: u32) -> String {
    let Date { year, month, day, hour, minute, second } = date(seconds);
    let fraction = if nanoseconds == 0 {
        String::new()
    } else {
        format!(".{nanoseconds:09}").trim_end_matches('0').to_owned()
    };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Writes a time for people, in UTC, such as `2 Jan 2006, 15:04:05 UTC`.
pub(in crate::commands) fn long_time(seconds: i64) -> String {
    let Date { year, month, day, hour, minute, second } = date(seconds);
    let name = usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month));
    let name = name.copied().unwrap_or_default();
    format!("{day} {name} {year}, {hour:02}:{minute:02}:{second:02} UTC")
}

/// Writes an RFC 3339 time in UTC as twelve letters: with the hour if it is recent, else the year.
pub(in crate::commands) fn short_time(text: &str, now: SystemTime) -> Option<String> {
    let (day_part, time) = text.split_once('T')?;
    let mut numbers = day_part.rsplitn(3, '-');
    let day: u32 = numbers.next()?.parse().ok()?;
    let month: usize = numbers.next()?.parse().ok()?;
    let year: i64 = numbers.next()?.parse().ok()?;
    let name = MONTHS.get(month.checked_sub(1)?)?;
    let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
    // Months of 30.5 days are near enough to tell half a year.
    let seconds = ((year - 1970) * 365 + (year - 1969) / 4) * 86_400
        + (i64::try_from(month).ok()? - 1) * 2_635_200
        + i64::from(day) * 86_400;
    let recent = seconds > now - HALF_YEAR && seconds < now + 2 * 86_400;
    Some(match time.get(..5) {
        Some(hour) if recent => format!("{name} {day:02} {hour}"),
        _ => format!("{name} {day:02}  {year}"),
    })
}

#[cfg(test)]
mod tests {
    use super::{DIRECTORY, SYMLINK, letters, rfc3339, short_time};
    use std::time::{Duration, UNIX_EPOCH};

    #[test]
    fn writes_modes() {
        let rows = [
            (0o644, "-rw-r--r--"),
            (DIRECTORY | 0o755, "drwxr-xr-x"),
            (SYMLINK | 0o777, "lrwxrwxrwx"),
            (0o4755, "-rwsr-xr-x"),
            (0o2644, "-rw-r-Sr--"),
            (DIRECTORY | 0o1777, "drwxrwxrwt"),
        ];
        for (mode, expected) in rows {
            assert_eq!(letters(mode), expected);
        }
    }

    #[test]
    fn writes_times() {
        let rows = [
            (0, 0, "1970-01-01T00:00:00Z"),
            (-1, 0, "1969-12-31T23:59:59Z"),
            (951_827_696, 500_000_000, "2000-02-29T12:34:56.5Z"),
            (1_784_851_200, 1, "2026-07-24T00:00:00.000000001Z"),
        ];
        for (seconds, nanoseconds, expected) in rows {
            assert_eq!(rfc3339(seconds, nanoseconds), expected);
        }
    }

    #[test]
    fn shortens_times() {
        let now = UNIX_EPOCH + Duration::from_hours(495_792);
        let rows = [
            ("2026-06-01T10:30:00Z", "Jun 01 10:30"),
            ("2023-12-01T10:30:00Z", "Dec 01  2023"),
            ("2030-01-01T00:00:00Z", "Jan 01  2030"),
        ];
        for (text, expected) in rows {
            assert_eq!(short_time(text, now).as_deref(), Some(expected));
        }
        assert_eq!(short_time("", now), None);
    }
}
