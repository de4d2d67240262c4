//! HTTP dates: a file's recorded time as `Last-Modified`, and what clients send back.
//!
//! Only the fixed form `Sun, 06 Nov 1994 08:49:37 GMT` is read; the two obsolete forms that
//! RFC 9110 §5.6.7 still lists are taken as absent, which only costs a full answer.
//!
//! Invariant: `parse(format(seconds)) == Some(seconds)` for the years 0 to 9999.
//! Not here: what the dates decide (`validators.rs`).

/// Seconds from 1970 to the last second of the year 9999, which has four digits.
const SECONDS_MAX: i64 = 253_402_300_799;
/// Seconds from 1970 back to the first second of the year 0.
const SECONDS_MIN: i64 = -62_167_219_200;

const DAY_SECONDS: i64 = 86_400;
/// Days in 400 years, after which the calendar repeats.
const ERA_DAYS: i64 = 146_097;
/// Days from the first of March of the year 0 to the first of January 1970.
const EPOCH_DAYS: i64 = 719_468;

const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// Writes seconds since 1970 as an HTTP date, or nothing where four-digit years end.
pub(crate) fn format(seconds: i64) -> Option<String> {
    if !(SECONDS_MIN..=SECONDS_MAX).contains(&seconds) {
        return None;
    }
    let (days, second) = (seconds.div_euclid(DAY_SECONDS), seconds.rem_euclid(DAY_SECONDS));
    let (year, month, day) = civil(days);
    let weekday = DAYS[usize::try_from(days.rem_euclid(7)).ok()?];
    let month = MONTHS[usize::try_from(month - 1).ok()?];
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    Some(format!("{weekday}, {day:02} {month} {year:04} {hour:02}:{minute:02}:{second:02} GMT"))
}

/// Reads an HTTP date in its fixed form as seconds since 1970.
pub(crate) fn parse(text: &str) -> Option<i64> {
    let text = text.trim();
    let shape = text.is_ascii() && text.len() == 29 && text.ends_with(" GMT");
    if !shape || &text[3..5] != ", " || text.as_bytes()[19] != b':' {
        return None;
    }
    let field = |from: usize, to: usize| -> Option<i64> {
        let digits = &text[from..to];
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let month = MONTHS.iter().position(|name| *name == &text[8..11])?;
    let (day, year) = (field(5, 7)?, field(12, 16)?);
    let (hour, minute, second) = (field(17, 19)?, field(20, 22)?, field(23, 25)?);
    let valid = (1..=31).contains(&day) && hour < 24 && minute < 60 && second < 61;
    let days = days_of(year, i64::try_from(month).ok()? + 1, day);
    valid.then_some(days * DAY_SECONDS + hour * 3600 + minute * 60 + second)
}

/// Days since 1970 as year, month and day; years start in March, so leap days come last.
fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + EPOCH_DAYS;
    let (era, day_of_era) = (days.div_euclid(ERA_DAYS), days.rem_euclid(ERA_DAYS));
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// The inverse of [`civil`].
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = year - i64::from(month <= 2);
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA_DAYS + day_of_era - EPOCH_DAYS
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[(i64, &str)] = &[
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"), // the example of RFC 9110 §5.6.7
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (-1, "Wed, 31 Dec 1969 23:59:59 GMT"),
        (951_782_400, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (SECONDS_MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (SECONDS_MIN, "Sat, 01 Jan 0000 00:00:00 GMT"),
    ];

    #[test]
    fn dates_are_written_and_read_back() {
        for (seconds, text) in TABLE {
            assert_eq!(format(*seconds).as_deref(), Some(*text));
            assert_eq!(parse(text), Some(*seconds), "{text}");
        }
        for day in (-30_000..60_000).step_by(13) {
            let seconds = day * DAY_SECONDS + 12_345;
            assert_eq!(parse(&format(seconds).unwrap()), Some(seconds));
        }
    }

    #[test]
    fn what_is_no_date_is_nothing() {
        for text in ["", "now", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"] {
            assert_eq!(parse(text), None, "{text}");
        }
        assert_eq!(parse("Sun, 06 Foo 1994 08:49:37 GMT"), None);
        assert_eq!(parse("Sun, 06 Nov 1994 24:49:37 GMT"), None);
        assert_eq!(parse("Sun, 06 Nov 199x 08:49:37 GMT"), None);
        assert_eq!(parse("Sun, 06 Nov 1994 +8:49:37 GMT"), None);
        assert_eq!(format(SECONDS_MAX + 1), None);
        assert_eq!(format(i64::MIN), None);
    }
}
