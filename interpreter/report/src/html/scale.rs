//! The time scale of the certificates' lines: which stretch is shown, and where its ticks stand.

use crate::time;
use jiff::civil::{self, Date};

/// Seconds of a day, and of a year for choosing a scale.
const DAY: i64 = 86_400;
const YEAR: i64 = 31_557_600;

/// Nothing further away from the run than this is drawn to scale: one certificate that never expires must not
/// make a point of all others.
const PAST: i64 = 40 * YEAR;
const FUTURE: i64 = 105 * YEAR;

/// Most ticks that leave room for their labels.
const MOST_TICKS: i64 = 9;

/// What lies between two ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unit {
    Days(i64),
    Months(i64),
    Years(i64),
}

const UNITS: [Unit; 15] = [
    Unit::Days(1),
    Unit::Days(2),
    Unit::Days(7),
    Unit::Days(14),
    Unit::Months(1),
    Unit::Months(2),
    Unit::Months(3),
    Unit::Months(6),
    Unit::Years(1),
    Unit::Years(2),
    Unit::Years(5),
    Unit::Years(10),
    Unit::Years(20),
    Unit::Years(50),
    Unit::Years(100),
];

impl Unit {
    fn seconds(self) -> i64 {
        match self {
            Self::Days(days) => days * DAY,
            Self::Months(months) => months * YEAR / 12,
            Self::Years(years) => years * YEAR,
        }
    }

    /// The first tick's number at or before a day, counted from year 0 or from 1970.
    fn number(self, day: Date) -> i64 {
        let months = i64::from(day.year()) * 12 + i64::from(day.month()) - 1;
        match self {
            Self::Days(days) => time::first_second(day).unwrap_or(0).div_euclid(DAY).div_euclid(days),
            Self::Months(step) => months.div_euclid(step),
            Self::Years(years) => i64::from(day.year()).div_euclid(years),
        }
    }

    /// The day of a tick; `None` beyond the calendar.
    fn day(self, number: i64) -> Option<Date> {
        match self {
            Self::Days(days) => Some(time::day(number.checked_mul(days)?.checked_mul(DAY)?)),
            Self::Months(step) => {
                let months = number.checked_mul(step)?;
                let month = i8::try_from(months.rem_euclid(12) + 1).ok()?;
                civil::Date::new(i16::try_from(months.div_euclid(12)).ok()?, month, 1).ok()
            }
            Self::Years(years) => {
                civil::Date::new(i16::try_from(number.checked_mul(years)?).ok()?, 1, 1).ok()
            }
        }
    }

    fn label(self, day: Date) -> String {
        match self {
            Self::Days(_) => day.to_string(),
            Self::Months(_) => format!("{:04}-{:02}", day.year(), day.month()),
            Self::Years(_) => format!("{:04}", day.year()),
        }
    }
}

/// The stretch of time that is drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    from: i64,
    to: i64,
}

impl Scale {
    /// A scale that holds the moment and all dates that are not too far from it, with a little room on both sides.
    pub(super) fn new(moment: i64, dates: impl Iterator<Item = i64>) -> Self {
        let (earliest, latest) = (moment.saturating_sub(PAST), moment.saturating_add(FUTURE));
        let (mut from, mut to) = (moment, moment);
        for date in dates {
            let date = date.clamp(earliest, latest);
            (from, to) = (from.min(date), to.max(date));
        }
        let room = (to - from).max(DAY) / 40;
        Self { from: from.saturating_sub(room), to: to.saturating_add(room) }
    }

    /// Where a moment stands, from 0 to 1; what is outside stands at the edge.
    pub(super) fn place(&self, moment: i64) -> f64 {
        let inside = moment.clamp(self.from, self.to).saturating_sub(self.from);
        // Both are far below 2^53, so nothing is lost.
        inside as f64 / self.to.saturating_sub(self.from).max(1) as f64
    }

    /// Does the moment lie outside?
    pub(super) fn leaves_out(&self, moment: i64) -> bool {
        moment < self.from || moment > self.to
    }

    /// The ticks' moments and labels.
    pub(super) fn ticks(&self) -> Vec<(i64, String)> {
        let span = self.to.saturating_sub(self.from);
        let unit =
            UNITS.into_iter().find(|unit| span / unit.seconds() <= MOST_TICKS).unwrap_or(Unit::Years(100));
        let first = unit.number(time::day(self.from));
        (first..first + MOST_TICKS + 3)
            .filter_map(|number| {
                let day = unit.day(number)?;
                Some((time::first_second(day)?, unit.label(day)))
            })
            .filter(|(moment, _)| !self.leaves_out(*moment))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(from: &str, to: &str) -> Vec<String> {
        let second = |text: &str| time::parse(text).unwrap().as_second();
        let (from, to) = (second(from), second(to));
        Scale::new(from, [from, to].into_iter()).ticks().into_iter().map(|(_, label)| label).collect()
    }

    #[test]
    fn ticks_are_days_months_or_years_by_the_span() {
        assert_eq!(
            labels("2023-01-10T00:00:00Z", "2023-01-13T00:00:00Z"),
            ["2023-01-10", "2023-01-11", "2023-01-12", "2023-01-13"]
        );
        assert_eq!(
            labels("2023-01-10T00:00:00Z", "2023-06-10T00:00:00Z"),
            ["2023-02", "2023-03", "2023-04", "2023-05", "2023-06"]
        );
        assert_eq!(labels("2013-01-10T00:00:00Z", "2033-06-10T00:00:00Z"), ["2015", "2020", "2025", "2030"]);
        assert_eq!(
            labels("2023-01-10T00:00:00Z", "2122-12-17T00:00:00Z"),
            ["2040", "2060", "2080", "2100", "2120"]
        );
    }

    #[test]
    fn absurd_dates_neither_fail_nor_squash_the_rest() {
        for date in [i64::MIN, i64::MAX, 253_402_300_799] {
            let scale = Scale::new(1_673_345_732, [date].into_iter());
            assert!(scale.leaves_out(date));
            assert!(scale.ticks().len() > 2);
            assert!((0.0..=1.0).contains(&scale.place(date)));
        }
        for moment in [i64::MIN, 0, i64::MAX] {
            Scale::new(moment, [0].into_iter()).ticks();
        }
    }
}
