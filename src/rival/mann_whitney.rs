//! Location shift between two samples by inverting the Mann-Whitney statistic.
//!
//! Source of the rule: spinnaker/kayenta, commit a69573b (module `kayenta-mannwhitney`), which follows the asymptotic
//! two-sample branch of R's `wilcox.test(conf.int = TRUE, exact = FALSE, correct = TRUE)`.
//!
//! The statistic is a step function of the shift, so "the root" is any point of one step. To give the very numbers that
//! Kayenta and R give, the root finder is the same method with the same stopping rule: R. P. Brent, "Algorithms for
//! Minimization without Derivatives" (1973), chapter 4, absolute tolerance 1e-4. One consequence is worth knowing: the
//! bounds are only good to about 1e-4 of the metric's unit, so a metric stored as a small fraction is judged crudely.

use super::normal_quantile;

/// Estimate and interval of the shift "experiment minus control".
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Shift {
    /// Lower end of the interval.
    pub lower: f64,
    /// Upper end of the interval.
    pub upper: f64,
    /// Hodges-Lehmann estimate: the shift at which the statistic is zero.
    pub estimate: f64,
}

/// Whose estimate is wanted; the interval is the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Variant {
    /// Kayenta keeps the continuity correction when it looks for the estimate.
    Kayenta,
    /// R (4.2) drops it for the estimate. Kept to check the arithmetic against R to the last digits.
    R,
}

/// Interval and estimate of the shift "experiment minus control" with confidence between 0 and 1.
///
/// `None` when a sample is empty or has a value that is not finite, or when all observations tie after shifting (two
/// constant samples).
pub fn shift_interval(experiment: &[f64], control: &[f64], confidence: f64, variant: Variant) -> Option<Shift> {
    let sorted = |values: &[f64]| {
        let mut values = values.to_vec();
        values.sort_unstable_by(f64::total_cmp);
        values
    };
    let (experiment, control) = (sorted(experiment), sorted(control));
    let pair = SortedPair::new(&experiment, &control, CONTINUITY)?;
    let z = upper_quantile(confidence);
    let estimate = match variant {
        Variant::Kayenta => pair.root(0.0),
        Variant::R => SortedPair::new(&experiment, &control, 0.0)?.root(0.0),
    };
    Some(Shift { lower: pair.root(z), upper: pair.root(-z), estimate })
}

/// The z that a two-sided interval of this confidence is cut at.
pub(super) fn upper_quantile(confidence: f64) -> f64 {
    -normal_quantile((1.0 - confidence) / 2.0)
}

/// Correction of the rank sum towards its mean, because it moves in steps.
pub(super) const CONTINUITY: f64 = 0.5;
/// Where the root finder stops, in the metric's unit.
const ROOT_TOLERANCE: f64 = 1e-4;
/// Brent's method needs a few dozen steps; this bounds it for values at the edge of the number range.
const ROOT_STEPS_MAX: usize = 1_000;

/// Two sorted samples of finite values and the statistic at the two ends of the range of possible shifts.
pub(super) struct SortedPair<'a> {
    experiment: &'a [f64],
    control: &'a [f64],
    continuity: f64,
    least: Point,
    most: Point,
}

/// A shift and the statistic there.
#[derive(Clone, Copy)]
struct Point {
    shift: f64,
    z: f64,
}

impl<'a> SortedPair<'a> {
    pub(super) fn new(experiment: &'a [f64], control: &'a [f64], continuity: f64) -> Option<SortedPair<'a>> {
        let ends = |values: &[f64]| Some((*values.first()?, *values.last()?));
        let (experiment_min, experiment_max) = ends(experiment)?;
        let (control_min, control_max) = ends(control)?;
        // Sorted by total_cmp: infinities and NaN are at the ends.
        if ![experiment_min, experiment_max, control_min, control_max].iter().all(|value| value.is_finite()) {
            return None;
        }
        let at = |shift| Point { shift, z: statistic(experiment, control, shift, continuity) };
        let (least, most) = (at(experiment_min - control_max), at(experiment_max - control_min));
        if least.z.is_nan() || most.z.is_nan() {
            return None;
        }
        Some(SortedPair { experiment, control, continuity, least, most })
    }

    /// The shift at which the statistic comes down to `z`, or an end of the range when it never does.
    pub(super) fn root(&self, z: f64) -> f64 {
        let least = Point { z: self.least.z - z, ..self.least };
        let most = Point { z: self.most.z - z, ..self.most };
        if least.z <= 0.0 {
            return least.shift;
        }
        if most.z >= 0.0 {
            return most.shift;
        }
        brent(least, most, |shift| statistic(self.experiment, self.control, shift, self.continuity) - z)
    }
}

/// Standardised rank sum of the experiment after taking `shift` from it, with corrections for ties and continuity.
///
/// Both samples sorted, all finite. NaN when everything ties, or when the shift itself is not finite.
fn statistic(experiment: &[f64], control: &[f64], shift: f64, continuity: f64) -> f64 {
    if !shift.is_finite() {
        return f64::NAN;
    }
    // Walk both samples at once; each round takes one group of equal values. Ranks are doubled to stay in integers.
    let (mut e, mut c) = (0, 0);
    let mut rank_sum_twice = 0_u64;
    let mut ties = 0.0;
    loop {
        let value = match (experiment.get(e), control.get(c)) {
            (Some(x), Some(y)) => (x - shift).min(*y),
            (Some(x), None) => x - shift,
            (None, Some(y)) => *y,
            (None, None) => break,
        };
        let (e_before, num_before) = (e, e + c);
        while experiment.get(e).is_some_and(|x| x - shift == value) {
            e += 1;
        }
        while control.get(c).is_some_and(|y| *y == value) {
            c += 1;
        }
        let num_tied = e + c - num_before;
        rank_sum_twice += ((e - e_before) * (2 * num_before + num_tied + 1)) as u64;
        if num_tied > 1 {
            let tied = num_tied as f64;
            ties += tied * tied * tied - tied;
        }
    }
    let (n, m) = (experiment.len() as f64, control.len() as f64);
    let excess = rank_sum_twice as f64 / 2.0 - n * (n + 1.0) / 2.0 - n * m / 2.0;
    let correction = if excess > 0.0 {
        continuity
    } else if excess < 0.0 {
        -continuity
    } else {
        0.0
    };
    let variance = n * m / 12.0 * ((n + m + 1.0) - ties / ((n + m) * (n + m - 1.0)));
    if variance > 0.0 { (excess - correction) / variance.sqrt() } else { f64::NAN }
}

/// Brent's zero finder between two points of opposite sign.
fn brent(least: Point, most: Point, function: impl Fn(f64) -> f64) -> f64 {
    // `best` is the current answer, `opposite` holds the root between itself and `best`, `last` is the answer before.
    let (mut last, mut best, mut opposite) = (least, most, least);
    for _ in 0..ROOT_STEPS_MAX {
        let last_step = best.shift - last.shift;
        if opposite.z.abs() < best.z.abs() {
            (last, best, opposite) = (best, opposite, best);
        }
        let tolerance = 2.0 * f64::EPSILON * best.shift.abs() + ROOT_TOLERANCE / 2.0;
        let half = (opposite.shift - best.shift) / 2.0;
        if half.abs() <= tolerance || best.z == 0.0 {
            break;
        }
        let mut step = half;
        if last_step.abs() >= tolerance && last.z.abs() > best.z.abs() {
            step = interpolate(last, best, opposite, last_step, tolerance).unwrap_or(half);
        }
        if step.abs() < tolerance {
            step = if step > 0.0 { tolerance } else { -tolerance };
        }
        last = best;
        let shift = best.shift + step;
        best = Point { shift, z: function(shift) };
        if (best.z > 0.0 && opposite.z > 0.0) || (best.z < 0.0 && opposite.z < 0.0) {
            opposite = last;
        }
    }
    best.shift
}

/// Step by the secant or by inverse quadratic interpolation; `None` where Brent asks for bisection: when the step leaves
/// three quarters of the bracket, or does not halve the step before.
fn interpolate(last: Point, best: Point, opposite: Point, last_step: f64, tolerance: f64) -> Option<f64> {
    let width = opposite.shift - best.shift;
    let (mut numerator, mut denominator);
    if last.shift == opposite.shift {
        let ratio = best.z / last.z;
        numerator = width * ratio;
        denominator = 1.0 - ratio;
    } else {
        let (q, r, s) = (last.z / opposite.z, best.z / opposite.z, best.z / last.z);
        numerator = s * (width * q * (q - r) - (best.shift - last.shift) * (r - 1.0));
        denominator = (q - 1.0) * (r - 1.0) * (s - 1.0);
    }
    if numerator > 0.0 {
        denominator = -denominator;
    } else {
        numerator = -numerator;
    }
    let inside = numerator < 0.75 * width * denominator - (tolerance * denominator).abs() / 2.0;
    let shrinks = numerator < (last_step * denominator / 2.0).abs();
    if inside && shrinks { Some(numerator / denominator) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_without_a_shift() {
        assert_eq!(shift_interval(&[], &[1.0], 0.98, Variant::Kayenta), None);
        assert_eq!(shift_interval(&[1.0], &[], 0.98, Variant::Kayenta), None);
        assert_eq!(shift_interval(&[1.0], &[2.0], 0.98, Variant::Kayenta), None);
        assert_eq!(shift_interval(&[1.0, 1.0], &[2.0, 2.0, 2.0], 0.98, Variant::Kayenta), None);
        assert_eq!(shift_interval(&[1.0, f64::NAN], &[2.0, 3.0], 0.98, Variant::Kayenta), None);
        assert_eq!(shift_interval(&[1.0, 2.0], &[f64::NEG_INFINITY, 3.0], 0.98, Variant::Kayenta), None);
    }

    #[test]
    fn statistic_matches_pair_counting() {
        let (x, y) = ([1.0, 2.0, 2.0, 4.5], [0.0, 2.0, 3.0, 3.0, 4.5]);
        for shift in [-5.0, -2.5, -1.0, 0.0, 0.25, 1.0, 3.0] {
            let mut wins = 0.0;
            for a in x {
                for b in y {
                    let gap: f64 = a - shift - b;
                    wins += if gap > 0.0 { 1.0 } else { f64::from(u8::from(gap == 0.0)) / 2.0 };
                }
            }
            let mut all: Vec<f64> = x.iter().map(|a| a - shift).chain(y).collect();
            all.sort_by(f64::total_cmp);
            let ties: f64 =
                all.chunk_by(|a, b| a == b).map(|group| (group.len() as f64).powi(3) - group.len() as f64).sum();
            let excess: f64 = wins - 10.0;
            let correction = if excess == 0.0 { 0.0 } else { 0.5 * excess.signum() };
            let expect = (excess - correction) / (20.0 / 12.0 * (10.0 - ties / 72.0)).sqrt();
            let got = statistic(&x, &y, shift, CONTINUITY);
            assert!((got - expect).abs() < 1e-12, "shift {shift}: {got} is not {expect}");
        }
    }

    #[test]
    fn a_shifted_sample_shifts_the_interval() {
        let y: Vec<f64> = (0..40).map(|i| f64::from(i * i % 97)).collect();
        let x: Vec<f64> = y.iter().map(|v| v + 300.0).collect();
        let shift = shift_interval(&x, &y, 0.98, Variant::Kayenta).unwrap();
        assert!(shift.lower < shift.estimate && shift.estimate < shift.upper, "{shift:?}");
        assert!((shift.estimate - 300.0).abs() < 1.0, "{shift:?}");
    }
}
