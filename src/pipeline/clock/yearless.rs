//! Times that name no year, as syslog and klog write them.
//!
//! A line cannot say which year it means, and a decoder knows no other line. So the plan says it once: such times lie in the year that
//! begins at a moment of the plan ([`Plan::years_from`](crate::pipeline::plan::Plan::years_from)). Which moment that is, the survey
//! decides by the times in full that stand in the first lines, else by what its caller says of today.

use super::{Offset, Read, Reader, TimeError, Zone, civil_days, month_of_name};
use crate::time::{DAY, Micros, Timestamp, civil_from_days};

/// A month and a day, and microseconds of the day.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct OfYear {
    month: u32,
    day: u32,
    in_day: Micros,
    /// How far the clock that wrote it is ahead of UTC, where it says so.
    ahead: Option<Micros>,
}

/// A text is a time without a year: `Jun  1 10:00:00`, `--06-01T10:00:00.123`.
pub fn is_yearless(text: &str) -> bool {
    read(text).is_some()
}

/// The time, within the year that begins then; `zone`: that of times which name none.
///
/// # Errors
/// It is no such time, or a day that the year does not have.
pub(super) fn parse_within(text: &str, from: Timestamp, zone: &Zone) -> Result<Read, TimeError> {
    let of_year = read(text).ok_or(TimeError::NotATime)?;
    let (year, _, _) = civil_from_days(from.0.div_euclid(DAY));
    let at = |year: i64| {
        let year = u32::try_from(year).ok()?;
        let days = civil_days(year, of_year.month, of_year.day)?;
        let shown = days * DAY + of_year.in_day;
        Some(of_year.ahead.map_or(Read::Local(shown), |ahead| Read::Utc(shown - ahead)))
    };
    // The first of its kind that is not before the beginning: of the year itself, or of the one behind it.
    let found = [year, year + 1].into_iter().filter_map(at).find(|read| read.to_utc(zone) >= from.0);
    found.ok_or(TimeError::NotATime)
}

fn read(text: &str) -> Option<OfYear> {
    let mut reader = Reader { rest: text.trim_ascii().as_bytes() };
    let (month, day) = match reader.rest {
        [b'-', b'-', rest @ ..] => {
            reader.rest = rest;
            let month = reader.number(2)?;
            reader.one_of(b"-")?;
            let day = reader.number(2)?;
            reader.one_of(b"T")?;
            (month, day)
        }
        [m1, m2, m3, b' ', rest @ ..] => {
            let month = month_of_name(&[*m1, *m2, *m3])?;
            reader.rest = rest.trim_ascii_start();
            let len = reader.rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let day = reader.number(len.min(2))?;
            reader.one_of(b" ")?;
            (month, day)
        }
        _ => return None,
    };
    let in_day = reader.time_of_day(false)?;
    let ahead = match reader.zone(false)? {
        Offset::Ahead(ahead) => Some(ahead),
        Offset::Unsaid => None,
    };
    // A leap year has every day that there is.
    civil_days(2000, month, day)?;
    reader.rest.is_empty().then_some(OfYear { month, day, in_day, ahead })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::clock::{Clock, parse_time};

    #[test]
    fn the_year_is_that_which_begins_at_a_moment() {
        let within = |text: &str, from: &str| {
            let from = parse_time(from).unwrap();
            parse_within(text, from, &Zone::default()).map(|read| Timestamp(read.to_utc(&Zone::default())).to_string())
        };
        for (text, from, expect) in [
            ("Jun  1 10:00:00", "2025-11-27T12:00:00Z", "2026-06-01T10:00:00Z"),
            ("Jun 01 10:00:00.5", "2025-11-27T12:00:00Z", "2026-06-01T10:00:00.500Z"),
            ("Jun 1 10:00:00", "2025-11-27T12:00:00Z", "2026-06-01T10:00:00Z"),
            ("Dec 31 23:59:59", "2025-11-27T12:00:00Z", "2025-12-31T23:59:59Z"),
            ("Jan  1 00:00:00", "2025-11-27T12:00:00Z", "2026-01-01T00:00:00Z"),
            ("Nov 27 11:59:59", "2025-11-27T12:00:00Z", "2026-11-27T11:59:59Z"),
            ("Nov 27 12:00:00", "2025-11-27T12:00:00Z", "2025-11-27T12:00:00Z"),
            ("--06-02T10:00:00.000123", "2025-11-27T12:00:00Z", "2026-06-02T10:00:00.000123Z"),
            ("Feb 29 10:00:00", "2027-11-27T12:00:00Z", "2028-02-29T10:00:00Z"),
            ("Jun  1 10:00:00 +0200", "2025-11-27T12:00:00Z", "2026-06-01T08:00:00Z"),
        ] {
            assert_eq!(within(text, from).as_deref(), Ok(expect), "{text}");
            let mut clock = Clock::within(Some(parse_time(from).unwrap()), Zone::default());
            assert_eq!(clock.parse_time(text).map(|time| time.to_string()).as_deref(), Ok(expect), "{text}");
            assert_eq!(Clock::default().parse_time(text), Err(TimeError::NotATime), "no year is known: {text}");
        }
        for text in [
            "",
            "Jun",
            "Jun  1",
            "Jun 1 1:00:00",
            "Jux  1 10:00:00",
            "Jun 31 10:00:00",
            "Jun  1 10:00:00 x",
            "--06-02",
            "--06-02T",
        ] {
            assert!(within(text, "2025-11-27T12:00:00Z").is_err() && !is_yearless(text), "{text}");
        }
        assert!(within("Feb 29 10:00:00", "2025-11-27T12:00:00Z").is_err(), "there is no such day");
    }
}
