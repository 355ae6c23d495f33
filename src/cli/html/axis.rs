//! Scales and ticks: values and times to places, with round numbers beside them.

use crate::cli::report::grouped;
use crate::time::{DAY, HOUR, MINUTE, Micros, SECOND, Timestamp};

/// From values to a place between 0 and 1.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct Scale {
    /// Value at 0.
    pub low: f64,
    /// Value at 1.
    pub high: f64,
}

impl Scale {
    /// Place of a value, kept within the scale.
    pub(super) fn place(self, value: f64) -> f64 {
        let width = self.high - self.low;
        if width <= 0.0 || value.is_nan() { 0.5 } else { ((value - self.low) / width).clamp(0.0, 1.0) }
    }

    /// The value lies on the scale.
    pub(super) fn holds(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}

/// Round values within a scale, about `about` of them: steps of 1, 2 or 5 times a power of ten.
pub(super) fn round_values(scale: Scale, about: usize) -> Vec<f64> {
    let width = scale.high - scale.low;
    if width <= 0.0 || !width.is_finite() {
        return Vec::new();
    }
    let power = 10f64.powf((width / about.max(1) as f64).log10().floor());
    let of = |step: f64| {
        let first = (scale.low / step - 1e-9).ceil() as i64;
        let last = (scale.high / step + 1e-9).floor() as i64;
        (first, last)
    };
    // The finest that is not too dense.
    let steps = [0.5, 1.0, 2.0, 5.0, 10.0].map(|times| times * power);
    let fits = |step: &f64| {
        let (first, last) = of(*step);
        last - first < about.max(1) as i64 + 1
    };
    let step = steps.into_iter().find(fits).unwrap_or(10.0 * power);
    let (first, last) = of(step);
    (first..=last).map(|at| at as f64 * step).collect()
}

/// Round factors whose logarithms lie within a scale: powers of ten, or denser where few are there.
pub(super) fn round_factors(scale: Scale, about: usize) -> Vec<f64> {
    // From the densest on: the first that is not too dense is taken.
    const STEPS: [&[f64]; 6] = [
        &[1.0, 1.05, 1.1, 1.15, 1.2, 1.3, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 8.5, 9.0, 9.5],
        &[1.0, 1.1, 1.2, 1.35, 1.5, 1.75, 2.0, 3.0, 4.0, 5.0, 7.0, 8.0, 9.0],
        &[1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 8.0],
        &[1.0, 2.0, 5.0],
        &[1.0, 3.0],
        &[1.0],
    ];
    let of = |steps: &[f64]| -> Vec<f64> {
        (-6..=9)
            .flat_map(|power| steps.iter().map(move |step| step * 10f64.powi(power)))
            .filter(|factor| scale.holds(factor.ln()))
            .collect()
    };
    let lists = STEPS.map(of);
    lists.iter().find(|list| list.len() <= about + 2).cloned().unwrap_or_default()
}

/// Powers of ten (as ln) within a scale, thinned to about `about`.
pub(super) fn powers_of_ten(scale: Scale, about: usize) -> Vec<(f64, String)> {
    let (first, last) =
        ((scale.low / std::f64::consts::LN_10).ceil() as i32, (scale.high / std::f64::consts::LN_10).floor() as i32);
    let every = ((last - first).max(0) as usize / about.max(1) + 1) as i32;
    (first..=last)
        .filter(|power| power.rem_euclid(every) == 0)
        .map(|power| {
            let label = match power {
                0..=4 => grouped(10u64.pow(power.unsigned_abs())),
                -3..=-1 => format!("{}", 10f64.powi(power)),
                _ => format!("10{}", superscript(power)),
            };
            (f64::from(power) * std::f64::consts::LN_10, label)
        })
        .collect()
}

/// An exponent in raised digits.
fn superscript(power: i32) -> String {
    const DIGITS: [char; 10] = [
        '\u{2070}', '\u{b9}', '\u{b2}', '\u{b3}', '\u{2074}', '\u{2075}', '\u{2076}', '\u{2077}', '\u{2078}',
        '\u{2079}',
    ];
    let raised = |c: char| c.to_digit(10).map_or('\u{207b}', |digit| DIGITS[digit as usize]);
    power.to_string().chars().map(raised).collect()
}

/// Round times within a span, about `about` of them, with their words: the date where a day begins.
pub(super) fn round_times(from: Timestamp, to: Timestamp, about: usize) -> Vec<(Timestamp, String)> {
    const STEPS: [Micros; 20] = [
        SECOND,
        2 * SECOND,
        5 * SECOND,
        10 * SECOND,
        15 * SECOND,
        30 * SECOND,
        MINUTE,
        2 * MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
        2 * HOUR,
        3 * HOUR,
        6 * HOUR,
        12 * HOUR,
        DAY,
        2 * DAY,
        7 * DAY,
    ];
    let width = to.0.saturating_sub(from.0);
    if width <= 0 {
        return Vec::new();
    }
    let raw = width / about.max(1) as i64;
    let step = STEPS.into_iter().find(|step| *step >= raw).unwrap_or((raw / (7 * DAY) + 1) * 7 * DAY);
    let first = from.0.div_euclid(step) + i64::from(from.0.rem_euclid(step) != 0);
    (first..=to.0.div_euclid(step)).map(|at| Timestamp(at * step)).map(|at| (at, time_of_day(at, step))).collect()
}

fn time_of_day(at: Timestamp, step: Micros) -> String {
    let text = at.to_string();
    match () {
        // 2026-06-01T10:00:00Z
        () if step >= DAY || (step >= HOUR && at.0.rem_euclid(DAY) == 0) => text.get(5..10).unwrap_or(&text).to_owned(),
        () if step < MINUTE => text.get(11..19).unwrap_or(&text).to_owned(),
        () => text.get(11..16).unwrap_or(&text).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round() {
        assert_eq!(round_values(Scale { low: -0.013, high: 0.021 }, 4), [-0.01, 0.0, 0.01, 0.02]);
        assert_eq!(round_values(Scale { low: -3.4, high: 2.9 }, 3), [-2.0, 0.0, 2.0]);
        assert_eq!(round_values(Scale { low: 0.0, high: 0.0 }, 4), [] as [f64; 0]);
        let factors = round_factors(Scale { low: 0.4f64.ln(), high: 6f64.ln() }, 4);
        assert_eq!(factors, [0.5, 1.0, 2.0, 5.0]);
        let narrow = round_factors(Scale { low: -0.43, high: 0.42 }, 5);
        assert!((3..=7).contains(&narrow.len()) && narrow.contains(&1.0), "{narrow:?}");
        let words: Vec<String> =
            powers_of_ten(Scale { low: -1.0, high: 12.0 }, 6).into_iter().map(|(_, words)| words).collect();
        assert_eq!(words, ["1", "10", "100", "1,000", "10,000", "10\u{2075}"]);
    }

    #[test]
    fn times_are_round_and_a_new_day_is_named() {
        let start = Timestamp(1_780_308_000 * SECOND + 7 * SECOND);
        let words = |length: Micros, about: usize| -> Vec<String> {
            round_times(start, Timestamp(start.0 + length), about).into_iter().map(|(_, words)| words).collect()
        };
        assert_eq!(words(25 * SECOND, 3), ["10:00:10", "10:00:20", "10:00:30"]);
        assert_eq!(words(HOUR, 4), ["10:15", "10:30", "10:45", "11:00"]);
        assert_eq!(words(26 * HOUR, 5), ["12:00", "18:00", "06-02", "06:00", "12:00"]);
    }
}
