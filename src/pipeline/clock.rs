//! Times as they stand in logs.
//!
//! A time keeps its microseconds; what is finer is cut, never rounded, so that no event moves into the next second, look or
//! day. The computer's time zone plays no part: a time without a zone is UTC on every machine, unless the plan names a zone.

mod yearless;
mod zone;

use super::number::{Decimal, parse_u64};
use crate::time::{DAY, HOUR, MINUTE, Micros, SECOND, Timestamp, days_from_civil};

pub use yearless::is_yearless;
pub use zone::{NoZone, Zone};

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
/// The zone is `Z`, `UTC`, `GMT` or an offset `+hh:mm`, `+hhmm`, `+hh`; without one the time is UTC, and for a [`Clock`] of its zone. Behind
/// an offset, a name says nothing more. A date alone is no time.
/// The second 60, which leap seconds have, becomes the last microsecond of its minute: the event stays in the day and
/// before everything of the next one. It is accepted in every minute, because the zone may not be known.
#[inline]
pub fn parse_time(text: &str) -> Result<Timestamp, TimeError> {
    if let Some(micros) = usual(text) {
        return in_range(micros);
    }
    parse_any(text).and_then(|read| in_range(read.to_utc(&Zone::default())))
}

/// What nearly every structured log writes: RFC 3339 with `T` and `Z`. Whatever is unusual goes the long way.
#[inline]
fn usual(text: &str) -> Option<Micros> {
    let (head, rest) = text.as_bytes().split_first_chunk::<19>()?;
    let micros = fraction_and_z(rest)?;
    Some(date_t_time(head)? + micros)
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
    /// The zone of times that name none.
    zone: Zone,
    /// The last time named its zone.
    named_zone: bool,
}

impl Default for Clock {
    fn default() -> Self {
        // What is not UTF-8 stands in no text.
        Clock { minute: [u8::MAX; MINUTE_LEN], start: 0, years_from: None, zone: Zone::default(), named_zone: true }
    }
}

impl Clock {
    /// A clock that knows in which year times without one lie (that which begins then), and in which zone.
    pub fn within(years_from: Option<Timestamp>, zone: Zone) -> Clock {
        Clock { years_from, zone, ..Clock::default() }
    }

    /// [`parse_time`], and times without a year; those without a zone are of the clock's.
    #[inline]
    pub fn parse_time(&mut self, text: &str) -> Result<Timestamp, TimeError> {
        let Some((minute, rest)) = text.as_bytes().split_first_chunk::<MINUTE_LEN>() else {
            return self.parse_other(text);
        };
        if *minute != self.minute {
            return self.parse_minute(text, minute);
        }
        if let [s1, s2, rest @ ..] = rest
            && let Some(second @ 0..60) = two_digits(*s1, *s2)
            && let Some(micros) = fraction_and_z(rest)
        {
            self.named_zone = true;
            return in_range(self.start + Micros::from(second) * SECOND + micros);
        }
        self.parse_other(text)
    }

    /// The time that was read last named its zone, or needed none, as seconds since 1970.
    pub fn named_zone(&self) -> bool {
        self.named_zone
    }

    #[inline(never)]
    fn parse_minute(&mut self, text: &str, minute: &[u8; MINUTE_LEN]) -> Result<Timestamp, TimeError> {
        if let Some(start) = minute_start(minute) {
            (self.minute, self.start) = (*minute, start);
        }
        if let Some(micros) = usual(text) {
            self.named_zone = true;
            return in_range(micros);
        }
        self.parse_other(text)
    }

    fn parse_other(&mut self, text: &str) -> Result<Timestamp, TimeError> {
        let read = match (parse_any(text), self.years_from) {
            (Err(TimeError::NotATime), Some(from)) => yearless::parse_within(text, from, &self.zone)?,
            (read, _) => read?,
        };
        self.named_zone = matches!(read, Read::Utc(_));
        in_range(read.to_utc(&self.zone))
    }
}

/// A time as it was read, in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Read {
    /// It named its zone, or needed none.
    Utc(Micros),
    /// It named none: what the clock showed.
    Local(Micros),
}

impl Read {
    #[inline]
    fn to_utc(self, zone: &Zone) -> Micros {
        match self {
            Read::Utc(micros) => micros,
            Read::Local(shown) => zone.to_utc(shown),
        }
    }
}

/// Microseconds since 1970 of `YYYY-MM-DDTHH:MM:` where that exists; `None` for everything else.
fn minute_start(minute: &[u8; MINUTE_LEN]) -> Option<Micros> {
    let mut whole = [b'0'; MINUTE_LEN + 2];
    whole.first_chunk_mut::<MINUTE_LEN>()?.copy_from_slice(minute);
    date_t_time(&whole)
}

/// `DateTime.Ticks` of .NET of the years 2000 to 2099: tenths of microseconds since the year 1. As nanoseconds since 1970 they would be of
/// 1990, of which nobody logs any.
const TICKS: std::ops::Range<u128> = 630_822_816_000_000_000..662_380_416_000_000_000;
/// Microseconds from the year 1 to 1970.
const TICKS_TO_1970: i64 = 62_135_596_800_000_000;

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
    if unit.is_none() && TICKS.contains(&whole) {
        let micros = i64::try_from(whole / 10).map_err(|_| TimeError::OutOfRange)?;
        return in_range(micros - TICKS_TO_1970);
    }
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
fn parse_any(text: &str) -> Result<Read, TimeError> {
    let bytes = text.trim_ascii().as_bytes();
    let bytes = match bytes {
        [b'[', inside @ .., b']'] => inside.trim_ascii(),
        _ => bytes,
    };
    // A number has neither colons nor more than one sign; `20261124T100000Z` has letters that no number has.
    if bytes.iter().all(|b| matches!(b, b'0'..=b'9' | b'.' | b'+' | b'-' | b'e' | b'E')) {
        // Only ASCII is left.
        return parse_epoch(std::str::from_utf8(bytes).unwrap_or_default(), None).map(|time| Read::Utc(time.0));
    }
    if let Some(inside) = bytes.strip_prefix(b"/Date(").and_then(|rest| rest.strip_suffix(b")/")) {
        // An offset behind the number is that of the clock; the number is of UTC.
        let len = inside.iter().skip(1).position(|b| matches!(b, b'+' | b'-')).map_or(inside.len(), |at| at + 1);
        let millis = inside.get(..len).and_then(|millis| std::str::from_utf8(millis).ok()).unwrap_or_default();
        return parse_epoch(millis, Some(EpochUnit::Millis)).map(|time| Read::Utc(time.0));
    }
    let mut reader = Reader { rest: bytes };
    reader.date_time(false).filter(|_| reader.rest.is_empty()).ok_or(TimeError::NotATime)
}

/// The time that a text begins with, as [`parse_time`] reads it, and what stands behind it. `None` where no time stands there, and where it is
/// a number since 1970, which may be any number.
pub fn time_before(text: &str) -> Option<(&str, &str)> {
    let mut reader = Reader { rest: text.as_bytes() };
    in_range(reader.date_time(true)?.to_utc(&Zone::default())).ok()?;
    text.split_at_checked(text.len() - reader.rest.len())
}

/// Names of the zone that a time without one has.
const UTC: [&[u8]; 2] = [b"UTC", b"GMT"];
/// Names of other zones, which half of them share. They say nothing beside an offset, and what they mean without one is not guessed.
const ZONES: [&[u8]; 24] = [
    b"EST", b"EDT", b"CST", b"CDT", b"MST", b"MDT", b"PST", b"PDT", b"AKST", b"HST", b"CET", b"CEST", b"EET", b"EEST",
    b"WET", b"WEST", b"BST", b"IST", b"MSK", b"JST", b"KST", b"AEST", b"AEDT", b"NZST",
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

/// What a time says of its zone.
#[derive(Clone, Copy)]
enum Offset {
    /// So far ahead of UTC.
    Ahead(Micros),
    /// Nothing.
    Unsaid,
}

impl Reader<'_> {
    /// A date and a time of day with their zone; `text_follows`: text may follow it.
    fn date_time(&mut self, text_follows: bool) -> Option<Read> {
        let date = self.date()?;
        let mut named = None;
        let in_day = self.time_of_day(matches!(date, Date::Days(_, true)))?;
        let days = match date {
            Date::Days(days, _) => days,
            Date::YearBehind(month, day) => {
                self.one_of(b" ")?;
                if let Some(rest) = UTC.iter().find_map(|zone| self.rest.strip_prefix(*zone)?.strip_prefix(b" ")) {
                    (self.rest, named) = (rest, Some(0));
                }
                civil_days(self.number(4)?, month, day)?
            }
        };
        let before = self.rest;
        match (self.zone(text_follows), text_follows) {
            (Some(Offset::Ahead(ahead)), _) => named = Some(ahead),
            (Some(Offset::Unsaid), _) => {}
            (None, false) => return None,
            (None, true) => self.rest = before,
        }
        // A name that is no zone of ours says that hours are missing.
        let behind = self.rest.trim_ascii_start();
        let is_other = ZONES.iter().any(|zone| behind.strip_prefix(*zone).is_some_and(|rest| is_end(rest.first())));
        let is_whole = !text_follows || (is_end(self.rest.first()) && !is_other);
        let shown = days * DAY + in_day;
        is_whole.then_some(named.map_or(Read::Local(shown), |ahead| Read::Utc(shown - ahead)))
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
    fn zone(&mut self, text_follows: bool) -> Option<Offset> {
        let apart = self.rest.first() == Some(&b' ');
        self.rest = self.rest.trim_ascii_start();
        if self.rest.is_empty() {
            return Some(Offset::Unsaid);
        }
        let letters: [&[u8]; 2] = [b"Z", b"z"];
        if let Some(rest) = UTC.iter().chain(&letters).find_map(|zone| self.rest.strip_prefix(*zone)) {
            self.rest = rest;
            self.place();
            return is_end(self.rest.first()).then_some(Offset::Ahead(0));
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
        Some(Offset::Ahead(if sign == b'-' { -ahead } else { ahead }))
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
            let mut names = UTC.iter().chain(&ZONES);
            names.find_map(|zone| name.strip_prefix(*zone)).filter(|rest| is_end(rest.first()))
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
mod tests;
