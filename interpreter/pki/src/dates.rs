//! Dates: seconds since 1970 (UTC), RFC 3339 text and the two ASN.1 forms of RFC 5280 section 4.1.2.5.

use crate::{error::PkiError, tlv};
use jiff::{SignedDuration, civil::DateTime, fmt::temporal::Pieces, tz::Offset};

const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);

// Civil time instead of `jiff::Timestamp`, whose last second is on 9999-12-30: RFC 5280's date for
// certificates without an end is 9999-12-31T23:59:59Z.
fn civil(unix: i64) -> Option<DateTime> {
    EPOCH.checked_add(SignedDuration::from_secs(unix)).ok()
}

/// RFC 3339 text in UTC with whole seconds, such as `2031-05-06T07:08:09Z`. A number outside the years
/// -9999 to 9999, which no certificate can hold, becomes `@` and the seconds.
pub fn rfc3339(unix: i64) -> String {
    civil(unix).map_or_else(|| format!("@{unix}"), |time| format!("{}Z", time.strftime("%Y-%m-%dT%H:%M:%S")))
}

/// Seconds since 1970 from RFC 3339 text with any offset; fractions of a second are cut off.
/// Errors when it is no such text or has no offset.
pub fn parse_rfc3339(text: &str) -> Result<i64, PkiError> {
    let refuse = || {
        PkiError::Refused(format!(
            "`{text}` is not a date with time and offset, such as 2031-05-06T07:08:09Z"
        ))
    };
    let pieces = Pieces::parse(text).map_err(|_| refuse())?;
    let time = pieces.time().ok_or_else(refuse)?;
    let offset: Offset = pieces.to_numeric_offset().ok_or_else(refuse)?;
    let local = pieces.date().to_datetime(time).duration_since(EPOCH).as_secs();
    // Seconds before 1970 with a fraction are cut towards the past, not towards 1970.
    let cut = i64::from(local < 0 && time.subsec_nanosecond() > 0);
    Ok(local - cut - i64::from(offset.seconds()))
}

/// The DER of a date: UTCTime for the years 1950 to 2049, else GeneralizedTime, always with seconds and `Z`.
/// Errors outside the years 0 to 9999.
pub(crate) fn to_der(unix: i64) -> Result<Vec<u8>, PkiError> {
    let time = civil(unix).filter(|time| time.year() >= 0).ok_or_else(|| {
        PkiError::Refused(format!("the date {} is outside the years 0 to 9999", rfc3339(unix)))
    })?;
    let (tag, format) = match time.year() {
        1950..=2049 => (tlv::UTC_TIME, "%y%m%d%H%M%SZ"),
        _ => (tlv::GENERALIZED_TIME, "%Y%m%d%H%M%SZ"),
    };
    Ok(tlv::wrap(tag, &[time.strftime(format).to_string().as_bytes()]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_go_both_ways() {
        for (unix, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (1_700_000_000, "2023-11-14T22:13:20Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(rfc3339(unix), text);
            assert_eq!(parse_rfc3339(text), Ok(unix));
        }
        assert_eq!(rfc3339(i64::MAX), format!("@{}", i64::MAX));
        assert_eq!(parse_rfc3339("2023-11-15T06:13:20.9+08:00"), Ok(1_700_000_000));
        assert_eq!(parse_rfc3339("1969-12-31T23:59:58.5Z"), Ok(-2));
        for bad in ["", "2023-11-15", "2023-11-15T06:13:20", "tomorrow", "2023-13-01T00:00:00Z"] {
            assert_eq!(
                parse_rfc3339(bad).unwrap_err().to_string(),
                format!("`{bad}` is not a date with time and offset, such as 2031-05-06T07:08:09Z")
            );
        }
    }

    #[test]
    fn asn1_changes_form_in_2050() {
        assert_eq!(to_der(parse_rfc3339("2049-12-31T23:59:59Z").unwrap()).unwrap(), b"\x17\x0d491231235959Z");
        assert_eq!(
            to_der(parse_rfc3339("2050-01-01T00:00:00Z").unwrap()).unwrap(),
            b"\x18\x0f20500101000000Z"
        );
        assert_eq!(
            to_der(parse_rfc3339("1949-12-31T23:59:59Z").unwrap()).unwrap(),
            b"\x18\x0f19491231235959Z"
        );
        assert_eq!(to_der(253_402_300_799).unwrap(), b"\x18\x0f99991231235959Z");
        assert!(to_der(i64::MAX).is_err());
    }
}
