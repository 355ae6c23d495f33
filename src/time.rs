//! Event time. Three times are never mixed: event time (in the log), look (the window that closed), now (edge only).

/// Event time in microseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
pub struct Timestamp(pub i64);

/// Length of time in microseconds.
pub type Micros = i64;

/// One second in microseconds.
pub const SECOND: Micros = 1_000_000;
/// One minute in microseconds.
pub const MINUTE: Micros = 60 * SECOND;
/// One hour in microseconds.
pub const HOUR: Micros = 60 * MINUTE;
/// One day in microseconds.
pub const DAY: Micros = 24 * HOUR;

/// How events are cut into windows. Part of the plan that a ledger starts with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Windowing {
    /// Length of a window in microseconds, at most an hour.
    pub window: Micros,
    /// How far behind the stream's greatest event time a line may be and still count.
    pub lateness: Micros,
    /// Events before this time are left out (counted as outside).
    pub since: Option<Timestamp>,
    /// Events from this time on are left out.
    pub until: Option<Timestamp>,
    /// Units whose routes are followed: those whose keyed hash starts with this many zero bits.
    pub pair_bits: u32,
    /// Traces that are followed: those whose keyed hash starts with this many zero bits.
    pub trace_bits: u32,
}

impl Default for Windowing {
    /// 10 s windows, 10 s lateness, everything followed.
    fn default() -> Self {
        Windowing { window: 10 * SECOND, lateness: 10 * SECOND, since: None, until: None, pair_bits: 0, trace_bits: 0 }
    }
}

impl Windowing {
    /// Number of the window that an event time falls into.
    pub fn window_of(&self, time: Timestamp) -> i64 {
        time.0.div_euclid(self.window)
    }

    /// Start of a window.
    pub fn start_of(&self, window: i64) -> Timestamp {
        Timestamp(window.saturating_mul(self.window))
    }

    /// End of a window (exclusive).
    pub fn end_of(&self, window: i64) -> Timestamp {
        Timestamp(window.saturating_add(1).saturating_mul(self.window))
    }

    /// Oldest window that is still open once a stream has come as far as `high`.
    pub fn oldest_open(&self, high: i64) -> i64 {
        if high == i64::MIN { i64::MIN } else { (high - self.lateness).div_euclid(self.window) }
    }

    /// The event was asked to be left out.
    pub fn outside(&self, time: Timestamp) -> bool {
        self.since.is_some_and(|since| time < since) || self.until.is_some_and(|until| time >= until)
    }
}

/// Days from 1970-01-01 to a civil date of the proleptic Gregorian calendar (month 1..=12, day 1..=31).
///
/// Source: the era-based day count described by H. Hinnant, "chrono-compatible low-level date algorithms".
pub fn days_from_civil(year: i64, month: u32, day: u32) -> i64 {
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let year_of_era = y.rem_euclid(400);
    let month_from_march = i64::from((month + 9) % 12);
    let day_of_year = (153 * month_from_march + 2) / 5 + i64::from(day) - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Civil date (year, month, day) of a number of days since 1970-01-01; the inverse of [`days_from_civil`].
pub fn civil_from_days(days: i64) -> (i64, u32, u32) {
    let z = days + 719_468;
    let era = z.div_euclid(146_097);
    let day_of_era = z.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let mp = (5 * day_of_year + 2) / 153;
    let day = (day_of_year - (153 * mp + 2) / 5 + 1) as u32;
    let month = if mp < 10 { mp + 3 } else { mp - 9 } as u32;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

impl std::fmt::Display for Timestamp {
    /// RFC 3339 in UTC; fraction only when there is one (milliseconds, or microseconds where needed).
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (y, m, d) = civil_from_days(self.0.div_euclid(DAY));
        let in_day = self.0.rem_euclid(DAY);
        let (h, mi, s, us) = (in_day / HOUR, in_day / MINUTE % 60, in_day / SECOND % 60, in_day % SECOND);
        write!(f, "{y:04}-{m:02}-{d:02}T{h:02}:{mi:02}:{s:02}")?;
        if us % 1000 != 0 {
            write!(f, ".{us:06}")?;
        } else if us != 0 {
            write!(f, ".{:03}", us / 1000)?;
        }
        f.write_str("Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn civil_dates_round_trip() {
        for days in (-800_000..3_000_000).step_by(997) {
            let (y, m, d) = civil_from_days(days);
            assert_eq!(days_from_civil(y, m, d), days);
        }
        assert_eq!(days_from_civil(2000, 2, 29), 11_016);
        assert_eq!(civil_from_days(11_017), (2000, 3, 1));
    }

    #[test]
    fn shows_rfc3339() {
        assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00Z");
        assert_eq!(Timestamp(1_661_140_439_378_397).to_string(), "2022-08-22T03:53:59.378397Z");
        assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59.999999Z");
    }
}
