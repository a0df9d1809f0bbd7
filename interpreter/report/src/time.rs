//! Times and durations as people read them. Everything is UTC, as in the journal, and says so where it is shown.

use jiff::{Timestamp, civil, tz::TimeZone};

/// Reads a record's RFC 3339 time; `None` when it is none.
pub fn parse(time: &str) -> Option<Timestamp> {
    time.parse().ok()
}

/// `2023-01-10 10:15:32`, or the text as it is when it is no time.
pub fn stamp(time: &str) -> String {
    parse(time).map_or_else(|| time.to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

/// `10:15:32`, or the text as it is when it is no time.
pub fn clock(time: &str) -> String {
    parse(time).map_or_else(|| time.to_owned(), |at| at.strftime("%H:%M:%S").to_string())
}

/// The day (UTC) of seconds since 1970; times beyond the calendar give its first or last day.
pub fn day(unix: i64) -> civil::Date {
    let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    let at = Timestamp::from_second(unix.clamp(first, last)).unwrap_or(Timestamp::UNIX_EPOCH);
    at.to_zoned(TimeZone::UTC).date()
}

/// RFC 3339 (UTC) of seconds since 1970; times beyond the calendar give its first or last second.
pub fn rfc3339(unix: i64) -> String {
    let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(unix.clamp(first, last)).unwrap_or(Timestamp::UNIX_EPOCH).to_string()
}

/// The first second of a day (UTC), in seconds since 1970; `None` at the edges of the calendar.
pub fn first_second(day: civil::Date) -> Option<i64> {
    Some(day.to_zoned(TimeZone::UTC).ok()?.timestamp().as_second())
}

/// Milliseconds from one RFC 3339 time to another; 0 when either is no time or they run backwards.
pub fn millis_between(from: &str, to: &str) -> u64 {
    match (parse(from), parse(to)) {
        (Some(from), Some(to)) => {
            u64::try_from(to.as_millisecond().saturating_sub(from.as_millisecond())).unwrap_or(0)
        }
        _ => 0,
    }
}

/// A duration at the precision that people want: `340 ms`, `1.2 s`, `4 min 12 s`, `3 h 5 min`, `2 d 3 h`.
pub fn took(ms: u64) -> String {
    let seconds = ms / 1_000;
    let two = |large: u64, large_name: &str, small: u64, small_name: &str| match small {
        0 => format!("{large} {large_name}"),
        _ => format!("{large} {large_name} {small} {small_name}"),
    };
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{}.{} s", seconds, ms % 1_000 / 100),
        60..3_600 => two(seconds / 60, "min", seconds % 60, "s"),
        3_600..86_400 => two(seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
    }
}

/// A span of whole days, hours or minutes between two moments, such as `3 days`; the sign is dropped.
pub fn distance(from: i64, to: i64) -> String {
    let seconds = from.abs_diff(to);
    let (number, one, many) = match seconds {
        0..3_600 => (seconds / 60, "minute", "minutes"),
        3_600..172_800 => (seconds / 3_600, "hour", "hours"),
        _ => (seconds / 86_400, "day", "days"),
    };
    format!("{number} {}", if number == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_keep_two_units_at_most() {
        let cases = [
            (0, "0 ms"),
            (999, "999 ms"),
            (1_250, "1.2 s"),
            (60_000, "1 min"),
            (252_000, "4 min 12 s"),
            (11_100_000, "3 h 5 min"),
            (183_600_000, "2 d 3 h"),
        ];
        for (ms, text) in cases {
            assert_eq!(took(ms), text);
        }
    }

    #[test]
    fn wrong_times_are_shown_as_they_are() {
        assert_eq!(stamp("soon"), "soon");
        assert_eq!(stamp("2023-01-10T10:15:32.123Z"), "2023-01-10 10:15:32");
        assert_eq!(millis_between("2023-01-10T10:15:32Z", "2023-01-10T10:15:31Z"), 0);
        assert_eq!(millis_between("x", "2023-01-10T10:15:31Z"), 0);
        assert_eq!(day(i64::MAX).year(), 9999);
        assert_eq!(distance(0, 259_200), "3 days");
    }
}
