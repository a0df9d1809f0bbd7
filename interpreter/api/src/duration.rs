//! The one way durations are written: a whole number and a unit, such as `30s`, `250ms`, `5m`, `2h`, `1d`.

use std::time::Duration;

/// Reads `250ms`, `30s`, `5m`, `2h` or `1d`; parts may follow each other (`1h30m`).
/// The error says what was expected.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration; write a number and ms, s, m, h or d, such as 30s");
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total = Duration::ZERO;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        rest = &rest[digits..];
        let letters = rest.find(|c: char| c.is_ascii_digit()).unwrap_or(rest.len());
        let millis = match &rest[..letters] {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(wrong()),
        };
        let part = number.checked_mul(millis).ok_or_else(wrong)?;
        total = total.checked_add(Duration::from_millis(part)).ok_or_else(wrong)?;
        rest = &rest[letters..];
    }
    Ok(total)
}

/// Writes a duration as [`parse`] reads it, in the largest units that lose nothing below a millisecond.
pub fn format(duration: Duration) -> String {
    let mut left = duration.as_millis();
    if left == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (name, millis) in [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)] {
        if left >= millis {
            text.push_str(&format!("{}{name}", left / millis));
            left %= millis;
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_and_write() {
        for text in ["250ms", "30s", "5m", "2h", "1d", "1h30m", "1m1s5ms", "0s"] {
            assert_eq!(format(parse(text).unwrap()), text);
        }
        for bad in ["", "30", "s", "3x", "-1s", "1.5s", "99999999999999999999s", "9999999999999999d"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
