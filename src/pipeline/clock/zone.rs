//! The zone of times that name none.
//!
//! A line in local time does not say so, and a reader that takes it for UTC moves it by hours: behind every window, or ahead of all
//! other lines. Which zone is meant is said once, by the plan ([`Plan::zone`](crate::pipeline::plan::Plan::zone)) or by the pipeline of a
//! stream. Names are read by the database that is part of the program (IANA, of the `jiff` crate): no machine's own plays a part.

use jiff::Timestamp as Moment;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone, TimeZoneDatabase};

use super::two_digits;
use crate::time::{DAY, HOUR, MINUTE, Micros, SECOND};

/// Farthest that a zone may be from UTC.
const AHEAD_MAX: Micros = 18 * HOUR;

/// A zone: UTC, a fixed offset, or a place with its summer times.
#[derive(Clone, Debug, Default)]
pub struct Zone {
    /// As it was asked for.
    name: String,
    rule: Rule,
}

#[derive(Clone, Debug, Default)]
enum Rule {
    #[default]
    Utc,
    /// So far ahead of UTC.
    Fixed(Micros),
    Place(TimeZone),
}

/// A text that is no zone.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("`{0}` is no zone; write UTC, an offset (+02:00) or a name of the IANA database (Europe/Berlin)")]
pub struct NoZone(String);

impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Zone {}

impl Zone {
    /// A zone by its name: `UTC`, `+02:00`, `-0530`, `+02`, `Europe/Berlin`.
    ///
    /// # Errors
    /// [`NoZone`] for everything else; abbreviations (`CST`) mean several zones, and are none.
    pub fn parse(text: &str) -> Result<Zone, NoZone> {
        let text = text.trim();
        let no_zone = || NoZone(text.chars().take(64).collect());
        if ["UTC", "GMT", "Z", "Etc/UTC"].iter().any(|name| name.eq_ignore_ascii_case(text)) {
            return Ok(Zone::default());
        }
        if let [b'+' | b'-', ..] = text.as_bytes() {
            let ahead = offset(text).filter(|ahead| ahead.abs() <= AHEAD_MAX).ok_or_else(no_zone)?;
            return Ok(Zone::ahead(ahead));
        }
        // A name alone is one of the database's for compatibility (`EST`), which most who write it do not mean.
        if !text.contains('/') {
            return Err(no_zone());
        }
        let found = TimeZoneDatabase::bundled().get(text).map_err(|_| no_zone())?;
        let name = found.iana_name().unwrap_or(text).to_owned();
        Ok(Zone { name, rule: Rule::Place(found) })
    }

    /// The zone that is so far ahead of UTC.
    pub fn ahead(ahead: Micros) -> Zone {
        if ahead == 0 {
            return Zone::default();
        }
        let minutes = ahead.abs() / MINUTE;
        let sign = if ahead < 0 { '-' } else { '+' };
        Zone { name: format!("{sign}{:02}:{:02}", minutes / 60, minutes % 60), rule: Rule::Fixed(ahead) }
    }

    /// Its name, by which [`Zone::parse`] finds it.
    pub fn name(&self) -> &str {
        if self.is_utc() { "UTC" } else { &self.name }
    }

    /// It is UTC.
    pub fn is_utc(&self) -> bool {
        matches!(self.rule, Rule::Utc)
    }

    /// Microseconds since 1970 of what a clock of this zone shows. `local`: the same of a clock that shows UTC.
    ///
    /// The hour that is shown twice in autumn is its first; the one that spring leaves out is read as before the change.
    pub(super) fn to_utc(&self, local: Micros) -> Micros {
        match &self.rule {
            Rule::Utc => local,
            Rule::Fixed(ahead) => local - ahead,
            Rule::Place(place) => {
                let Ok(shown) = Moment::from_second(local.div_euclid(SECOND)) else { return local };
                let offset = match place.to_ambiguous_timestamp(Offset::UTC.to_datetime(shown)).offset() {
                    AmbiguousOffset::Unambiguous { offset } => offset,
                    AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
                };
                local - Micros::from(offset.seconds()) * SECOND
            }
        }
    }
}

/// How far ahead of UTC `+hh:mm`, `+hhmm` or `+hh` is.
fn offset(text: &str) -> Option<Micros> {
    let (sign, digits) = text.split_at_checked(1)?;
    let (hours, minutes) = match *digits.as_bytes() {
        [h1, h2] => (two_digits(h1, h2)?, 0),
        [h1, h2, m1, m2] | [h1, h2, b':', m1, m2] => (two_digits(h1, h2)?, two_digits(m1, m2)?),
        _ => return None,
    };
    let ahead = (minutes < 60).then(|| Micros::from(hours) * HOUR + Micros::from(minutes) * MINUTE)?;
    (ahead < DAY).then_some(if sign == "-" { -ahead } else { ahead })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::clock::parse_time;
    use crate::time::Timestamp;

    #[test]
    fn a_zone_says_what_its_clock_means() {
        for (zone, shown, expect) in [
            ("UTC", "2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"),
            ("gmt", "2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"),
            ("+02:00", "2026-11-24T10:00:00.123456Z", "2026-11-24T08:00:00.123456Z"),
            ("-0530", "2026-11-24T10:00:00Z", "2026-11-24T15:30:00Z"),
            ("+01", "2026-11-24T00:30:00Z", "2026-11-23T23:30:00Z"),
            ("Europe/Berlin", "2026-11-24T10:00:00.5Z", "2026-11-24T09:00:00.500Z"),
            ("Europe/Berlin", "2026-07-24T10:00:00Z", "2026-07-24T08:00:00Z"),
            ("America/New_York", "2026-07-24T22:00:00Z", "2026-07-25T02:00:00Z"),
            ("Asia/Kolkata", "2026-07-24T10:00:00Z", "2026-07-24T04:30:00Z"),
            // 02:30 is shown twice on that day, and not at all on the other.
            ("Europe/Berlin", "2026-10-25T02:30:00Z", "2026-10-25T00:30:00Z"),
            ("Europe/Berlin", "2026-03-29T02:30:00Z", "2026-03-29T01:30:00Z"),
        ] {
            let read = Zone::parse(zone).unwrap();
            let shown = parse_time(shown).unwrap();
            assert_eq!(Timestamp(read.to_utc(shown.0)).to_string(), expect, "{zone}");
            assert_eq!(Zone::parse(read.name()).as_ref(), Ok(&read), "{zone}: by its own name");
        }
    }

    #[test]
    fn what_is_no_zone_is_none() {
        for text in [
            "",
            "CET",
            "EST",
            "CST",
            "Berlin",
            "Europe/Nowhere",
            "+2",
            "+25:00",
            "+19:00",
            "+01:60",
            "2",
            "+aa:00",
            "../etc",
        ] {
            assert!(Zone::parse(text).is_err(), "{text}");
        }
        assert_ne!(Zone::parse("+01:00"), Zone::parse("Europe/Berlin"));
        assert_eq!(Zone::parse("+00:00"), Ok(Zone::default()));
    }
}
