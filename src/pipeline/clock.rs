//! Times as they stand in logs.
//!
//! A time keeps its microseconds; what is finer is cut, never rounded, so that no event moves into the next second, look or
//! day. The computer's time zone plays no part: a time without a zone is UTC, on every machine.

mod yearless;

use super::number::{Decimal, parse_u64};
use crate::time::{DAY, HOUR, MINUTE, Micros, SECOND, Timestamp, days_from_civil};

pub use yearless::is_yearless;

/// First time that is accepted, 1980-01-01T00:00:00Z.
const EARLIEST: i64 = 315_532_800 * SECOND;
/// First time that is not accepted any more, 2200-01-01T00:00:00Z.
const LATEST: i64 = 7_258_118_400 * SECOND;

/// Why a text gives no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TimeError {
    /// The text is in none of the notations, or the date or time of day does not exist.
    #[error("not a time")]
    NotATime,
    /// A time before 1980 or from 2200 on: an unset clock or a wrong unit, not an event.
    #[error("time outside the years 1980 to 2199")]
    OutOfRange,
}

/// Unit in which a time is counted from 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EpochUnit {
    /// Seconds.
    Seconds,
    /// Milliseconds.
    Millis,
    /// Microseconds.
    Micros,
    /// Nanoseconds.
    Nanos,
}

/// Parses a time in any of the notations that logs use.
///
/// | notation | example |
/// | --- | --- |
/// | RFC 3339 and ISO 8601 | `2026-11-24T10:00:00.123Z`, `2026-11-24 10:00:00,123 +0100`, `20261124T100000Z`, `2026-11-24T10:00+01` |
/// | with slashes, full stops | `2026/11/24 10:00:00`, `2026.11.24 10:00:00.123456`, `20261124 10:00:00` |
/// | common log format | `17/May/2015:10:05:00 +0000`, `[17/May/2015:10:05:00 +0000]`, `17/May/2015 10:05:00` |
/// | month by name | `20 Nov 2026 10:00:00.123`, `20-Nov-2026 10:00:00 UTC`, `Nov 20, 2026 1:00:00 PM`, `Nov 20 2026 10:00:00` |
/// | RFC 1123 and 2822 | `Fri, 20 Nov 2026 10:00:00 GMT` |
/// | of C and Apache | `Fri Nov 20 10:00:00.123456 2026`, `Fri Nov 20 10:00:00 UTC 2026` |
/// | of Java and Go | `2026-11-24T10:00:00+01:00[Europe/Berlin]`, `2026-11-24 10:00:00.5 +0100 CET m=+0.01` |
/// | of .NET | `/Date(1700000000123)/` |
/// | since 1970 | `1700000000`, `1700000000.123`, `1700000000123`, `1.7e9`; the unit by magnitude, see [`parse_epoch`] |
///
/// The zone is `Z`, `UTC`, `GMT` or an offset `+hh:mm`, `+hhmm`, `+hh`; without one the time is UTC. Behind an offset, a name says nothing
/// more. A date alone is no time.
/// The second 60, which leap seconds have, becomes the last microsecond of its minute: the event stays in the day and
/// before everything of the next one. It is accepted in every minute, because the zone may not be known.
#[inline]
pub fn parse_time(text: &str) -> Result<Timestamp, TimeError> {
    // What nearly every structured log writes: RFC 3339 with `T` and `Z`. Whatever is unusual goes the long way.
    if let Some((head, rest)) = text.as_bytes().split_first_chunk::<19>()
        && let Some(micros) = fraction_and_z(rest)
        && let Some(whole) = date_t_time(head)
    {
        return in_range(whole + micros);
    }
    parse_any(text)
}

/// Bytes of `YYYY-MM-DDTHH:MM:`.
const MINUTE_LEN: usize = 17;

/// Parses the times of lines that follow each other: nearly all share date and minute with the line before, so these
/// are compared and not parsed again.
#[derive(Clone, Debug)]
pub struct Clock {
    /// Date and minute of the last time in RFC 3339 with `T` and `Z`.
    minute: [u8; MINUTE_LEN],
    /// Its start.
    start: Micros,
    /// When the year begins in which times lie that name none.
    years_from: Option<Timestamp>,
}

impl Default for Clock {
    fn default() -> Self {
        // What is not UTF-8 stands in no text.
        Clock { minute: [u8::MAX; MINUTE_LEN], start: 0, years_from: None }
    }
}

impl Clock {
    /// A clock that knows where times without a year lie: within the year that begins then.
    pub fn within(years_from: Option<Timestamp>) -> Clock {
        Clock { years_from, ..Clock::default() }
    }

    /// [`parse_time`], and times without a year.
    #[inline]
    pub fn parse_time(&mut self, text: &str) -> Result<Timestamp, TimeError> {
        match (self.parse_full(text), self.years_from) {
            (Err(TimeError::NotATime), Some(from)) => yearless::parse_within(text, from),
            (read, _) => read,
        }
    }

    #[inline]
    fn parse_full(&mut self, text: &str) -> Result<Timestamp, TimeError> {
        let Some((minute, rest)) = text.as_bytes().split_first_chunk::<MINUTE_LEN>() else { return parse_time(text) };
        if *minute != self.minute {
            return self.parse_minute(text, minute);
        }
        if let [s1, s2, rest @ ..] = rest
            && let Some(second @ 0..60) = two_digits(*s1, *s2)
            && let Some(micros) = fraction_and_z(rest)
        {
            return in_range(self.start + Micros::from(second) * SECOND + micros);
        }
        parse_time(text)
    }

    #[inline(never)]
    fn parse_minute(&mut self, text: &str, minute: &[u8; MINUTE_LEN]) -> Result<Timestamp, TimeError> {
        if let Some(start) = minute_start(minute) {
            (self.minute, self.start) = (*minute, start);
        }
        parse_time(text)
    }
}

/// Microseconds since 1970 of `YYYY-MM-DDTHH:MM:` where that exists; `None` for everything else.
fn minute_start(minute: &[u8; MINUTE_LEN]) -> Option<Micros> {
    let mut whole = [b'0'; MINUTE_LEN + 2];
    whole.first_chunk_mut::<MINUTE_LEN>()?.copy_from_slice(minute);
    date_t_time(&whole)
}

/// Parses a number of seconds, milliseconds, microseconds or nanoseconds since 1970.
///
/// The number may have a fraction or an exponent. Without a unit the magnitude decides: from 1980 to 2199 the four units
/// have no number in common: the first of one is 43 times the last of the one before.
pub fn parse_epoch(number_text: &str, unit: Option<EpochUnit>) -> Result<Timestamp, TimeError> {
    let number = match parse_u64(number_text) {
        Some(whole) => Decimal { negative: false, digits: u128::from(whole), exponent: 0 },
        None => Decimal::parse(number_text).ok_or(TimeError::NotATime)?,
    };
    let whole = number.whole_times_power(0).ok_or(TimeError::OutOfRange)?;
    let unit = unit.unwrap_or(match whole {
        ..100_000_000_000 => EpochUnit::Seconds,
        100_000_000_000..100_000_000_000_000 => EpochUnit::Millis,
        100_000_000_000_000..100_000_000_000_000_000 => EpochUnit::Micros,
        _ => EpochUnit::Nanos,
    });
    let power = match unit {
        EpochUnit::Seconds => 6,
        EpochUnit::Millis => 3,
        EpochUnit::Micros => 0,
        EpochUnit::Nanos => -3,
    };
    let micros = number.whole_times_power(power).and_then(|micros| i64::try_from(micros).ok());
    match micros {
        Some(micros) if !number.negative => in_range(micros),
        _ => Err(TimeError::OutOfRange),
    }
}

#[inline]
fn in_range(micros: i64) -> Result<Timestamp, TimeError> {
    if is_in_range(Timestamp(micros)) { Ok(Timestamp(micros)) } else { Err(TimeError::OutOfRange) }
}

/// A time from 1980 to 2199.
#[inline]
pub fn is_in_range(time: Timestamp) -> bool {
    (EARLIEST..LATEST).contains(&time.0)
}

/// Microseconds of a fraction of up to nine digits, or none, in front of a final `Z`.
#[inline]
fn fraction_and_z(bytes: &[u8]) -> Option<Micros> {
    let digits = match bytes {
        [b'Z'] => return Some(0),
        [b'.', digits @ .., b'Z'] if (1..=9).contains(&digits.len()) => digits,
        _ => return None,
    };
    fraction(digits)
}

/// Microseconds of the digits of a fraction; what is finer is cut.
#[inline]
fn fraction(digits: &[u8]) -> Option<Micros> {
    const PLACES: [Micros; 6] = [100_000, 10_000, 1_000, 100, 10, 1];
    // As most logs have it.
    if let [d1, d2, d3] = *digits {
        return Some(Micros::from(digit(d1)? * 100_000 + digit(d2)? * 10_000 + digit(d3)? * 1_000));
    }
    if let [d1, d2, d3, d4, d5, d6] = *digits {
        let thousands = digit(d1)? * 100 + digit(d2)? * 10 + digit(d3)?;
        return Some(Micros::from(thousands * 1_000 + digit(d4)? * 100 + digit(d5)? * 10 + digit(d6)?));
    }
    let mut micros = 0;
    for (place, b) in PLACES.iter().zip(digits) {
        micros += Micros::from(digit(*b)?) * place;
    }
    digits.iter().skip(PLACES.len()).all(u8::is_ascii_digit).then_some(micros)
}

/// Microseconds since 1970 of `YYYY-MM-DDTHH:MM:SS` where that exists; `None` for everything else.
#[inline]
fn date_t_time(text: &[u8; 19]) -> Option<Micros> {
    let [y1, y2, y3, y4, b'-', mo1, mo2, b'-', d1, d2, b'T', h1, h2, b':', m1, m2, b':', s1, s2] = *text else {
        return None;
    };
    let year = two_digits(y1, y2)? * 100 + two_digits(y3, y4)?;
    let days = civil_days(year, two_digits(mo1, mo2)?, two_digits(d1, d2)?)?;
    let (hour, minute, second) = (two_digits(h1, h2)?, two_digits(m1, m2)?, two_digits(s1, s2)?);
    // The leap second takes the long way.
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(days * DAY + Micros::from(hour * 3600 + minute * 60 + second) * SECOND)
}

/// Days since 1970 of a date, `None` when there is no such day.
#[inline]
fn civil_days(year: u32, month: u32, day: u32) -> Option<i64> {
    let days_in_month = match month {
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        1..=12 => 31,
        _ => return None,
    };
    (1..=days_in_month).contains(&day).then(|| days_from_civil(i64::from(year), month, day))
}

#[inline(always)]
fn digit(b: u8) -> Option<u32> {
    let digit = b.wrapping_sub(b'0');
    (digit < 10).then_some(u32::from(digit))
}

#[inline(always)]
fn two_digits(tens: u8, ones: u8) -> Option<u32> {
    Some(digit(tens)? * 10 + digit(ones)?)
}

/// All notations, one after the other.
fn parse_any(text: &str) -> Result<Timestamp, TimeError> {
    let bytes = text.trim_ascii().as_bytes();
    let bytes = match bytes {
        [b'[', inside @ .., b']'] => inside.trim_ascii(),
        _ => bytes,
    };
    // A number has neither colons nor more than one sign; `20261124T100000Z` has letters that no number has.
    if bytes.iter().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E')) {
        // Only ASCII is left.
        return parse_epoch(std::str::from_utf8(bytes).unwrap_or_default(), None);
    }
    if let Some(inside) = bytes.strip_prefix(b"/Date(").and_then(|rest| rest.strip_suffix(b")/")) {
        // An offset behind the number is that of the clock; the number is of UTC.
        let len = inside.iter().skip(1).position(|b| matches!(b, b'+' | b'-')).map_or(inside.len(), |at| at + 1);
        let millis = inside.get(..len).and_then(|millis| std::str::from_utf8(millis).ok()).unwrap_or_default();
        return parse_epoch(millis, Some(EpochUnit::Millis));
    }
    let mut reader = Reader { rest: bytes };
    let micros = reader.date_time(false).filter(|_| reader.rest.is_empty()).ok_or(TimeError::NotATime)?;
    in_range(micros)
}

/// The time that a text begins with, as [`parse_time`] reads it, and what stands behind it. `None` where no time stands there, and where it is
/// a number since 1970, which may be any number.
pub fn time_before(text: &str) -> Option<(&str, &str)> {
    let mut reader = Reader { rest: text.as_bytes() };
    let micros = reader.date_time(true)?;
    in_range(micros).ok()?;
    text.split_at_checked(text.len() - reader.rest.len())
}

/// Names of zones, which half of them share. They say nothing beside an offset, and what they mean without one is not guessed.
const ZONES: [&[u8]; 26] = [
    b"UTC", b"GMT", b"EST", b"EDT", b"CST", b"CDT", b"MST", b"MDT", b"PST", b"PDT", b"AKST", b"HST", b"CET", b"CEST",
    b"EET", b"EEST", b"WET", b"WEST", b"BST", b"IST", b"MSK", b"JST", b"KST", b"AEST", b"AEDT", b"NZST",
];
const WEEKDAYS: [&[u8]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];

/// What stands between a time and the text behind it.
fn is_end(byte: Option<&u8>) -> bool {
    byte.is_none_or(|byte| !byte.is_ascii_alphanumeric() && !matches!(byte, b'.' | b'-' | b'+' | b'/' | b'_' | b'%'))
}

/// Reads a time from left to right; every method gives `None` when the text is something else.
struct Reader<'a> {
    rest: &'a [u8],
}

/// Where a date stands, and how what follows is written.
#[derive(Clone, Copy)]
enum Date {
    /// Its days since 1970; `true`: without separators.
    Days(i64, bool),
    /// A month and a day; the year comes behind the time.
    YearBehind(u32, u32),
}

impl Reader<'_> {
    /// A date and a time of day with their zone; `text_follows`: text may follow it.
    fn date_time(&mut self, text_follows: bool) -> Option<Micros> {
        let date = self.date()?;
        let in_day = self.time_of_day(matches!(date, Date::Days(_, true)))?;
        let days = match date {
            Date::Days(days, _) => days,
            Date::YearBehind(month, day) => {
                self.one_of(b" ")?;
                let zone = ZONES.iter().take(2).find_map(|zone| self.rest.strip_prefix(*zone)?.strip_prefix(b" "));
                self.rest = zone.unwrap_or(self.rest);
                civil_days(self.number(4)?, month, day)?
            }
        };
        let before = self.rest;
        let offset = match (self.zone(text_follows), text_follows) {
            (Some(offset), _) => offset,
            (None, false) => return None,
            (None, true) => {
                self.rest = before;
                0
            }
        };
        // A name that is no zone of ours says that hours are missing.
        let named = self.rest.trim_ascii_start();
        let is_named = ZONES.iter().any(|zone| named.strip_prefix(*zone).is_some_and(|rest| is_end(rest.first())));
        let is_whole = !text_follows || (is_end(self.rest.first()) && !is_named);
        is_whole.then_some(days * DAY + in_day - offset)
    }

    /// A date and what separates it from the time.
    fn date(&mut self) -> Option<Date> {
        if self.rest.first()?.is_ascii_alphabetic() {
            return self.date_by_name();
        }
        let digits = self.rest.iter().take(3).take_while(|b| b.is_ascii_digit()).count();
        if let Some((day, [separator @ (b'/' | b' ' | b'-'), rest @ ..])) = self.rest.split_at_checked(digits)
            && let Some((month, [second, rest @ ..])) = rest.split_at_checked(3)
            && separator == second
        {
            let month = month_of_name(month)?;
            let day = match *day {
                [d1, d2] => two_digits(d1, d2)?,
                [d] => digit(d)?,
                _ => return None,
            };
            self.rest = rest;
            let year = self.number(4)?;
            self.one_of(b": ")?;
            return Some(Date::Days(civil_days(year, month, day)?, false));
        }
        let year = self.number(4)?;
        let separator = self.one_of(b"-/.");
        let month = self.number(2)?;
        if let Some(separator) = separator {
            self.one_of(&[separator])?;
        }
        let day = self.number(2)?;
        self.one_of(b"Tt ")?;
        let is_dense = separator.is_none() && self.rest.get(2) != Some(&b':');
        Some(Date::Days(civil_days(year, month, day)?, is_dense))
    }

    /// A date that begins with the name of a weekday or a month.
    fn date_by_name(&mut self) -> Option<Date> {
        let weekday = WEEKDAYS.iter().find_map(|day| self.rest.strip_prefix(*day));
        if let Some(rest) = weekday {
            if let Some(rest) = rest.strip_prefix(b", ") {
                self.rest = rest;
                return if self.rest.first()?.is_ascii_digit() { self.date() } else { None };
            }
            self.rest = rest.strip_prefix(b" ")?;
        }
        let (month, rest) = self.rest.split_at_checked(3)?;
        let month = month_of_name(month)?;
        self.rest = rest.strip_prefix(b" ")?;
        // `Nov  1`, padded.
        self.one_of(b" ");
        let digits = self.rest.iter().take(3).take_while(|b| b.is_ascii_digit()).count();
        let day = self.number(digits).filter(|_| (1..=2).contains(&digits))?;
        if weekday.is_some() {
            self.one_of(b" ")?;
            return Some(Date::YearBehind(month, day));
        }
        self.one_of(b",");
        self.one_of(b" ")?;
        let year = self.number(4)?;
        self.one_of(b",");
        self.one_of(b" ")?;
        Some(Date::Days(civil_days(year, month, day)?, false))
    }

    /// `AM`, `PM`: half of the day, in which the hour is from 1 to 12.
    fn half(&mut self) -> Option<u32> {
        let rest = self.rest.strip_prefix(b" ").or_else(|| self.rest.strip_prefix("\u{202f}".as_bytes()));
        let (half, rest) = rest?.split_at_checked(2)?;
        let hours = match half {
            b"AM" | b"am" => 0,
            b"PM" | b"pm" => 12,
            _ => return None,
        };
        if !is_end(rest.first()) {
            return None;
        }
        self.rest = rest;
        Some(hours)
    }

    /// `hh:mm`, `hh:mm:ss` or `hh:mm:ss.fff`; dense without the colons.
    fn time_of_day(&mut self, dense: bool) -> Option<Micros> {
        let has_one_digit = self.rest.get(1) == Some(&b':');
        let hour = self.number(if has_one_digit { 1 } else { 2 })?;
        if !dense {
            self.one_of(b":")?;
        }
        let minute = self.number(2)?;
        let has_second = match dense {
            true => self.rest.first().is_some_and(u8::is_ascii_digit),
            false => self.one_of(b":").is_some(),
        };
        let mut second = 0;
        let mut micros = 0;
        if has_second {
            second = self.number(2)?;
            if self.one_of(b".,").is_some() {
                let len = self.rest.iter().take_while(|b| b.is_ascii_digit()).count();
                let (digits, rest) = self.rest.split_at_checked(len)?;
                digits.first()?;
                micros = fraction(digits)?;
                self.rest = rest;
            }
        }
        let hour = match self.half() {
            Some(half) if (1..=12).contains(&hour) => hour % 12 + half,
            None if !has_one_digit => hour,
            _ => return None,
        };
        if hour > 23 || minute > 59 || second > 60 {
            return None;
        }
        if second == 60 {
            (second, micros) = (59, SECOND - 1);
        }
        Some(Micros::from(hour) * HOUR + Micros::from(minute) * MINUTE + Micros::from(second) * SECOND + micros)
    }

    /// How far the clock that wrote the time is ahead of UTC; `text_follows`: what is no zone may be text.
    fn zone(&mut self, text_follows: bool) -> Option<Micros> {
        let apart = self.rest.first() == Some(&b' ');
        self.rest = self.rest.trim_ascii_start();
        if self.rest.is_empty() {
            return Some(0);
        }
        let utc: [&[u8]; 4] = [b"UTC", b"GMT", b"Z", b"z"];
        if let Some(rest) = utc.iter().find_map(|zone| self.rest.strip_prefix(*zone)) {
            self.rest = rest;
            self.place();
            return is_end(self.rest.first()).then_some(0);
        }
        let sign = self.one_of(b"+-")?;
        let hours = self.number(2)?;
        let mut minutes = 0;
        let has_minutes = match self.rest.first() {
            Some(b':') => self.rest.get(1).is_some_and(u8::is_ascii_digit) || !text_follows,
            Some(byte) => byte.is_ascii_digit(),
            None => false,
        };
        if has_minutes {
            self.one_of(b":");
            minutes = self.number(2)?;
        } else if text_follows && apart {
            // `10:00:00 -12 errors`
            return None;
        }
        if hours > 23 || minutes > 59 || !is_end(self.rest.first()) {
            return None;
        }
        self.place();
        let ahead = Micros::from(hours) * HOUR + Micros::from(minutes) * MINUTE;
        Some(if sign == b'-' { -ahead } else { ahead })
    }

    /// What else is said of the zone behind its offset: `[Europe/Berlin]` of Java, ` CET m=+0.01` of Go.
    fn place(&mut self) {
        if let Some(inside) = self.rest.strip_prefix(b"[") {
            let len = inside.iter().take_while(|b| b.is_ascii_alphanumeric() || b"/_+-".contains(b)).count();
            if let Some((name, [b']', rest @ ..])) = inside.split_at_checked(len)
                && name.first().is_some_and(u8::is_ascii_uppercase)
            {
                self.rest = rest;
            }
        }
        let named = self.rest.strip_prefix(b" ").and_then(|name| {
            ZONES.iter().find_map(|zone| name.strip_prefix(*zone)).filter(|rest| is_end(rest.first()))
        });
        self.rest = named.unwrap_or(self.rest);
        if let Some(monotonic) = self.rest.strip_prefix(b" m=") {
            let is_of_number = |b: &&u8| b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'-');
            let len = monotonic.iter().take_while(is_of_number).count();
            self.rest = monotonic.get(len..).unwrap_or_default();
        }
    }

    /// A number of exactly so many digits.
    fn number(&mut self, num_digits: usize) -> Option<u32> {
        let (digits, rest) = self.rest.split_at_checked(num_digits)?;
        self.rest = rest;
        digits.iter().try_fold(0, |number, b| Some(number * 10 + digit(*b)?))
    }

    /// The next byte if it is one of these.
    fn one_of(&mut self, wanted: &[u8]) -> Option<u8> {
        let (first, rest) = self.rest.split_first()?;
        if !wanted.contains(first) {
            return None;
        }
        self.rest = rest;
        Some(*first)
    }
}

fn month_of_name(name: &[u8]) -> Option<u32> {
    const NAMES: [&[u8; 3]; 12] =
        [b"jan", b"feb", b"mar", b"apr", b"may", b"jun", b"jul", b"aug", b"sep", b"oct", b"nov", b"dec"];
    (1..).zip(NAMES).find(|(_, month)| name.eq_ignore_ascii_case(*month)).map(|(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    fn check(text: &str, expected: &str) {
        let mut clock = Clock::default();
        assert_eq!(clock.parse_time(text), parse_time(text));
        assert_eq!(clock.parse_time(text), parse_time(text), "with its minute known: {text}");
        match parse_time(text) {
            Ok(time) => assert_eq!(time.to_string(), expected, "{text}"),
            Err(error) => panic!("{text}: {error}"),
        }
    }

    fn refused(text: &str, expected: TimeError) {
        let mut clock = Clock::default();
        assert_eq!((clock.parse_time(text), clock.parse_time(text)), (Err(expected), Err(expected)), "{text}");
        assert_eq!(parse_time(text), Err(expected), "{text}");
    }

    #[test]
    fn iso_8601_and_rfc_3339() {
        check("2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z");
        check("2026-11-24T10:00:00.1Z", "2026-11-24T10:00:00.100Z");
        check("2026-11-24T10:00:00.123Z", "2026-11-24T10:00:00.123Z");
        check("2026-11-24T10:00:00.123456Z", "2026-11-24T10:00:00.123456Z");
        check("2026-11-24T23:59:59.999999999Z", "2026-11-24T23:59:59.999999Z");
        check("2026-11-24T10:00:00.000000999999999999999999Z", "2026-11-24T10:00:00Z");
        check("2026-11-24t10:00:00z", "2026-11-24T10:00:00Z");
        check("2026-11-24 10:00:00Z", "2026-11-24T10:00:00Z");
        check("2026-11-24 10:00:00,123", "2026-11-24T10:00:00.123Z");
        check("2026-11-24 10:00:00", "2026-11-24T10:00:00Z");
        check("2026-11-24T10:00:00", "2026-11-24T10:00:00Z");
        check("2026-11-24T10:00:00.5", "2026-11-24T10:00:00.500Z");
        check("2026-11-24T10:00Z", "2026-11-24T10:00:00Z");
        check("2026-11-24T10:00+02", "2026-11-24T08:00:00Z");
        check("20261124T100000Z", "2026-11-24T10:00:00Z");
        check("20261124T100000.25+0100", "2026-11-24T09:00:00.250Z");
        check("20261124T1000Z", "2026-11-24T10:00:00Z");
        check("  2026-11-24T10:00:00Z\r\n", "2026-11-24T10:00:00Z");
    }

    #[test]
    fn zones() {
        check("2026-11-24T10:00:00+01:00", "2026-11-24T09:00:00Z");
        check("2026-11-24T10:00:00.5+0130", "2026-11-24T08:30:00.500Z");
        check("2026-11-24T10:00:00+01", "2026-11-24T09:00:00Z");
        check("2026-11-24T10:00:00-05:30", "2026-11-24T15:30:00Z");
        check("2026-11-24T10:00:00-00:00", "2026-11-24T10:00:00Z");
        check("2026-11-24 10:00:00 +0100", "2026-11-24T09:00:00Z");
        check("2026-11-24 10:00:00.123 UTC", "2026-11-24T10:00:00.123Z");
        check("2026-11-24 10:00:00 GMT", "2026-11-24T10:00:00Z");
        check("2027-01-01T00:30:00+23:59", "2026-12-31T00:31:00Z");
        check("2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00Z");
        for zone in [
            "+24:00", "+01:60", "+1", "+1:00", "+", "+01:", "+01:0", "+010", "+01000", "CEST", "ZZ", "Z Z", "Z+01:00",
            " ", "é",
        ] {
            if zone.trim().is_empty() {
                check(&format!("2026-11-24T10:00:00{zone}"), "2026-11-24T10:00:00Z");
            } else {
                refused(&format!("2026-11-24T10:00:00{zone}"), TimeError::NotATime);
            }
        }
    }

    #[test]
    fn slashes_and_common_log_format() {
        check("2026/11/24 10:00:00", "2026-11-24T10:00:00Z");
        check("2026/11/24 10:00:00.250", "2026-11-24T10:00:00.250Z");
        check("17/May/2015:10:05:00 +0000", "2015-05-17T10:05:00Z");
        check("[17/May/2015:10:05:00 +0000]", "2015-05-17T10:05:00Z");
        check("[2026-11-24T10:00:00Z]", "2026-11-24T10:00:00Z");
        check("01/jan/2026:00:00:00 -0830", "2026-01-01T08:30:00Z");
        check("31/DEC/2026:23:59:59.999 +0000", "2026-12-31T23:59:59.999Z");
        check("17/May/2015:10:05:00", "2015-05-17T10:05:00Z");
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        for (number, name) in (1..).zip(months) {
            check(&format!("28/{name}/2020:01:02:03 +0000"), &format!("2020-{number:02}-28T01:02:03Z"));
        }
        for text in [
            "17/Mai/2015:10:05:00 +0000",
            "17/May-2015:10:05:00 +0000",
            "017/May/2015:10:05:00 +0000",
            "/May/2015:10:05:00 +0000",
            "17/May/15:10:05:00 +0000",
            "31/Jun/2015:10:05:00 +0000",
            "[17/May/2015:10:05:00 +0000",
            "17/05/2015:10:05:00 +0000",
            "2026/11-24 10:00:00",
            "2026-11/24 10:00:00",
            "[]",
            "[",
            "]",
        ] {
            refused(text, TimeError::NotATime);
        }
    }

    #[test]
    fn months_by_name() {
        check("17/May/2015 10:05:00", "2015-05-17T10:05:00Z");
        check("7/May/2015:10:05:00 +0000", "2015-05-07T10:05:00Z");
        check("17-May-2015 10:05:00 UTC", "2015-05-17T10:05:00Z");
        check("20 Nov 2026 10:00:00.123", "2026-11-20T10:00:00.123Z");
        check("Fri, 20 Nov 2026 10:00:00 GMT", "2026-11-20T10:00:00Z");
        check("Fri, 20 Nov 2026 10:00:00 +0100", "2026-11-20T09:00:00Z");
        check("Sun, 1 Nov 2026 10:00:00 GMT", "2026-11-01T10:00:00Z");
        check("Fri Nov 20 10:00:00 2026", "2026-11-20T10:00:00Z");
        check("Sun Nov  1 10:00:00 2026", "2026-11-01T10:00:00Z");
        check("Fri Nov 20 10:00:00.123456 2026", "2026-11-20T10:00:00.123456Z");
        check("Fri Nov 20 10:00:00 UTC 2026", "2026-11-20T10:00:00Z");
        check("Nov 20, 2026 10:00:00 AM", "2026-11-20T10:00:00Z");
        check("Nov 20, 2026 1:00:00 PM", "2026-11-20T13:00:00Z");
        check("Nov 20, 2026, 12:00:00\u{202f}AM", "2026-11-20T00:00:00Z");
        check("Nov 20, 2026 12:30:00 PM", "2026-11-20T12:30:00Z");
        check("Nov 20 2026 10:00:00", "2026-11-20T10:00:00Z");
        for text in [
            "Fri Nov 20 10:00:00 EST 2026",
            "Fri Nov 20 10:00:00 CET 2026",
            "Fri, Nov 20 10:00:00 2026",
            "Nov 20, 2026 13:00:00 PM",
            "Nov 20, 2026 0:00:00 AM",
            "Nov 20, 2026 1:00:00",
            "Nov 20, 2026 1:00:00 XM",
            "20 Nov 2026 1:00:00",
            "20 Nov 2026",
            "Fri, Fri, 20 Nov 2026 10:00:00 GMT",
        ] {
            refused(text, TimeError::NotATime);
        }
    }

    #[test]
    fn what_languages_add() {
        check("2026-11-24T10:00:00.5+01:00[Europe/Berlin]", "2026-11-24T09:00:00.500Z");
        check("2026-11-24T10:00Z[UTC]", "2026-11-24T10:00:00Z");
        check("2026-11-24 10:00:00.5 +0100 CET m=+0.012345", "2026-11-24T09:00:00.500Z");
        check("2026-11-24 10:00:00 +0000 UTC", "2026-11-24T10:00:00Z");
        check("2026.11.24 10:00:00.123456", "2026-11-24T10:00:00.123456Z");
        check("20261124 10:00:00.25", "2026-11-24T10:00:00.250Z");
        check("/Date(1700000000123)/", "2023-11-14T22:13:20.123Z");
        check("/Date(1700000000123+0100)/", "2023-11-14T22:13:20.123Z");
        for text in [
            "2026-11-24T10:00:00[Europe/Berlin]",
            "2026-11-24T10:00:00+01:00[Europe/Berlin",
            "2026-11-24T10:00:00+01:00[]",
            "2026-11-24 10:00:00 CET",
            "2026.11-24 10:00:00",
            "/Date()/",
            "/Date(x)/",
            "/Date(1700000000123",
        ] {
            refused(text, TimeError::NotATime);
        }
        refused("/Date(-1)/", TimeError::OutOfRange);
    }

    #[test]
    fn a_time_before_a_text() {
        for (text, time) in [
            ("2026-11-24T10:00:00Z up", "2026-11-24T10:00:00Z"),
            ("2026-11-24 10:00:00,123 - shop - up", "2026-11-24 10:00:00,123"),
            ("2026-11-24 10:00:00 +0200 INFO up", "2026-11-24 10:00:00 +0200"),
            ("2026-11-24 10:00:00.5+02 up", "2026-11-24 10:00:00.5+02"),
            ("2026-11-24 10:00:00 -12 errors", "2026-11-24 10:00:00"),
            ("2026-11-24 10:00:00: up", "2026-11-24 10:00:00"),
            ("2026-11-24 10:00:00.1234|INFO|Shop|up", "2026-11-24 10:00:00.1234"),
            ("2026-11-24 10:00:00 UTC [7] up", "2026-11-24 10:00:00 UTC"),
            ("2026-11-24T10:00:00.5+01:00[Europe/Berlin] up", "2026-11-24T10:00:00.5+01:00[Europe/Berlin]"),
            ("2026-11-24 10:00:00 +0200 CEST [7]", "2026-11-24 10:00:00 +0200 CEST"),
            ("Nov 20, 2026 1:00:00 PM com.example.Shop pay", "Nov 20, 2026 1:00:00 PM"),
            ("20 Nov 2026 10:00:00.123 * Ready", "20 Nov 2026 10:00:00.123"),
            ("Fri Nov 20 10:00:00.123456 2026] [core:error] up", "Fri Nov 20 10:00:00.123456 2026"),
            ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"),
        ] {
            let expect = Some((time, text.strip_prefix(time).unwrap()));
            assert_eq!(time_before(text), expect, "{text}");
            assert!(parse_time(time).is_ok(), "{text}");
        }
        for text in [
            "up",
            "",
            "1700000000 up",
            "2026-11-24 10:00:00x",
            "2026-11-24 10:00:00 CEST up",
            "2026-11-24",
            "10:00:00 up",
        ] {
            assert_eq!(time_before(text), None, "{text}");
        }
    }

    #[test]
    fn numbers_since_1970() {
        for text in [
            "1700000000",
            "1700000000000",
            "1700000000000000",
            "1700000000000000000",
            "1.7e9",
            "1.7E+09",
            "1.7e12",
            "17e8",
            "1700000000.0",
            "1700000000.0000009",
            "1700000000000.0009",
            "1700000000000000999",
            "+1700000000",
            "01700000000",
            "1700000000.",
        ] {
            check(text, "2023-11-14T22:13:20Z");
        }
        check("1700000000.123456789", "2023-11-14T22:13:20.123456Z");
        check("1700000000123.456", "2023-11-14T22:13:20.123456Z");
        check("1.700000000123456e9", "2023-11-14T22:13:20.123456Z");
        check("1.7000000001234567e+09", "2023-11-14T22:13:20.123456Z");
        // The first and the last of each unit.
        for (first, last) in [
            ("315532800", "7258118399.999999"),
            ("315532800000", "7258118399999.999"),
            ("315532800000000", "7258118399999999"),
            ("315532800000000000", "7258118399999999999"),
        ] {
            check(first, "1980-01-01T00:00:00Z");
            check(last, "2199-12-31T23:59:59.999999Z");
        }
        for text in [
            "0",
            "1",
            "-1",
            "-0",
            "20261124",
            "315532799",
            "315532799.999999",
            "7258118400",
            "99999999999",
            "315532799999",
            "7258118400000",
            "315532799999999",
            "7258118400000000",
            "315532799999999999",
            "7258118400000000000",
            "18446744073709551615",
            "-1700000000",
            "1e40",
            "1e400",
            "1e999999999999",
            "1e-5",
            "1e-999999999999",
            "99999999999999999999999999999999999999999999",
        ] {
            refused(text, TimeError::OutOfRange);
        }
        for text in [
            "",
            ".",
            "-",
            "e9",
            "1.7e",
            "1.7e+",
            "1.7.0",
            "1-7",
            "1700000000s",
            "0x6553f100",
            "NaN",
            "inf",
            "1,700,000,000",
            "１７",
        ] {
            refused(text, TimeError::NotATime);
        }
    }

    #[test]
    fn numbers_of_a_known_unit() {
        let check = |text: &str, unit, expected: &str| {
            assert_eq!(parse_epoch(text, Some(unit)).map(|time| time.to_string()).as_deref(), Ok(expected), "{text}");
        };
        check("1700000000.5", EpochUnit::Seconds, "2023-11-14T22:13:20.500Z");
        check("1700000000000.5", EpochUnit::Millis, "2023-11-14T22:13:20.000500Z");
        check("1.7e15", EpochUnit::Micros, "2023-11-14T22:13:20Z");
        check("1700000000000001999", EpochUnit::Nanos, "2023-11-14T22:13:20.000001Z");
        assert_eq!(parse_epoch("1700000000", Some(EpochUnit::Millis)), Err(TimeError::OutOfRange));
        assert_eq!(parse_epoch("1700000000000", Some(EpochUnit::Seconds)), Err(TimeError::OutOfRange));
        assert_eq!(parse_epoch("x", Some(EpochUnit::Seconds)), Err(TimeError::NotATime));
        assert_eq!(parse_epoch("2026-11-24T10:00:00Z", None), Err(TimeError::NotATime));
    }

    #[test]
    fn leap_seconds_stay_in_their_minute() {
        check("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z");
        check("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:59.999999Z");
        check("2017-01-01T08:59:60+09:00", "2016-12-31T23:59:59.999999Z");
        check("31/Dec/2016:23:59:60 +0000", "2016-12-31T23:59:59.999999Z");
        refused("2016-12-31T23:59:61Z", TimeError::NotATime);
    }

    #[test]
    fn what_does_not_exist() {
        for date in [
            "2026-02-30",
            "2026-02-29",
            "2100-02-29",
            "2026-04-31",
            "2026-00-10",
            "2026-13-01",
            "2026-01-00",
            "2026-01-32",
        ] {
            refused(&format!("{date}T10:00:00Z"), TimeError::NotATime);
            refused(&format!("{date} 10:00:00"), TimeError::NotATime);
        }
        for time in [
            "24:00:00",
            "10:60:00",
            "10:00:61",
            "10:00:00.",
            "10:00:",
            "10:0:00",
            "10",
            "1:00:00",
            "-1:00:00",
            "10:00:0x",
            "10.00.00",
            "",
        ] {
            refused(&format!("2026-11-24T{time}Z"), TimeError::NotATime);
        }
        check("2024-02-29T10:00:00Z", "2024-02-29T10:00:00Z");
        check("2000-02-29T10:00:00Z", "2000-02-29T10:00:00Z");
        for text in [
            "now",
            "2026-11-24",
            "10:00:00",
            "2026-11-24T10:00:00Zx",
            "x2026-11-24T10:00:00Z",
            "2026-11-24_10:00:00Z",
            "2026-1124T10:00:00Z",
            "26-11-24T10:00:00Z",
            "+12026-11-24T10:00:00Z",
            "٢٠٢٦-11-24T10:00:00Z",
            "2026-11-24T10:00:00\0",
            "Mon Nov 24 10:00:00",
            "Mon Nov 24 2026 10:00:00",
            "Mon Nov 32 10:00:00 2026",
        ] {
            refused(text, TimeError::NotATime);
        }
    }

    #[test]
    fn the_range_of_years() {
        check("1980-01-01T00:00:00Z", "1980-01-01T00:00:00Z");
        check("2199-12-31T23:59:59.999999Z", "2199-12-31T23:59:59.999999Z");
        check("2200-01-01T00:00:00+01:00", "2199-12-31T23:00:00Z");
        for text in [
            "1979-12-31T23:59:59.999999Z",
            "2200-01-01T00:00:00Z",
            "0001-01-01T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "9999-12-31T23:59:59Z",
            "1970-01-01T00:00:00Z",
            "01/Jan/0001:00:00:00 +0000",
            "1980-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59.9-23:59",
        ] {
            refused(text, TimeError::OutOfRange);
        }
        refused("0001-02-30T00:00:00Z", TimeError::NotATime);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3_000, rng_seed: RngSeed::Fixed(1980), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn every_notation_gives_the_time_back(micros in EARLIEST + DAY..LATEST - DAY, offset in -23 * 60 - 59..24 * 60_i64, whole: bool) {
            let micros = if whole { micros - micros % SECOND } else { micros };
            let time = Ok(Timestamp(micros));
            let shown = Timestamp(micros).to_string();
            prop_assert_eq!(parse_time(&shown), time);
            prop_assert_eq!(parse_any(&shown), time);
            prop_assert_eq!(parse_time(&shown.replace('T', " ").replace('Z', "")), time);
            prop_assert_eq!(parse_time(&shown.replace('-', "/").replace('T', " ").replace('.', ",")), time);
            prop_assert_eq!(parse_time(&shown.replace(['-', ':'], "")), time);
            let local = Timestamp(micros + offset * MINUTE).to_string();
            let sign = if offset < 0 { '-' } else { '+' };
            let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
            prop_assert_eq!(parse_time(&local.replace('Z', &format!("{sign}{hours:02}:{minutes:02}"))), time);
            prop_assert_eq!(parse_time(&local.replace('Z', &format!(" {sign}{hours:02}{minutes:02}"))), time);
            let (second, in_second) = (micros / SECOND, micros % SECOND);
            prop_assert_eq!(parse_time(&format!("{second}.{in_second:06}")), time);
            prop_assert_eq!(parse_time(&format!("{}.{:03}", micros / 1000, micros % 1000)), time);
            prop_assert_eq!(parse_time(&micros.to_string()), time);
            prop_assert_eq!(parse_time(&format!("{micros}999")), time);
            prop_assert_eq!(parse_time(&format!("{micros}e-6")), time);
        }

        #[test]
        fn the_short_way_and_the_long_way_agree(
            year in 1970..2210_u32, month in 0..14_u32, day in 0..33_u32, hour in 0..26_u32, minute in 0..62_u32, second in 0..63_u32,
            fraction in "|\\.[0-9]{0,12}", zone in "Z|z|",
        ) {
            let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}");
            prop_assert_eq!(parse_time(&text), parse_any(&text));
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,40}|[0-9TtZz:./, +\\[\\]eE-]{0,40}", at in 0..40_usize, c: char) {
            let mut damaged: Vec<char> = "[2026-11-24T10:00:00.123456+01:00]".chars().collect();
            damaged.insert(at.min(damaged.len()), c);
            let damaged: String = damaged.into_iter().collect();
            for text in [&text, &damaged] {
                parse_time(text).ok();
                for unit in [EpochUnit::Seconds, EpochUnit::Millis, EpochUnit::Micros, EpochUnit::Nanos] {
                    parse_epoch(text, Some(unit)).ok();
                }
            }
        }
    }
}
