//! Bucket test (T2): is the mean of a value (errors per request, log latency, share above a threshold) larger in the
//! canary?
//!
//! Units are hashed into 64 buckets, and the spread between buckets estimates the variance of the mean: whatever the
//! requests of one unit have in common is then counted. Values come in as residuals, freed of the common course of time
//! (the fold does that), so a share that changes while the load changes does not bias the difference. The test is a
//! t test with a mixture of four priors: the margin and 4, 16 and 64 times it.
//!
//! The two-sided form is the exact Bayes factor of a t statistic against a normal prior, hence an e-value when bucket sums
//! are Gaussian; the degrees of freedom are counted from the data and bound it when few buckets carry all the variance.
//! Where an arm has no data or no variance the answer is "no evidence": ln e = 0.
//!
//! What this module does not know: how many events a metric needs before it may be tested at all.

use std::f64::consts::LN_2;

use crate::math;

/// Hash buckets per arm: 6 bits of a keyed unit hash. More buckets find little more (3 % with 256) and cost state.
pub const BUCKETS: usize = 64;

/// Mean of one arm and how well it is known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ArmStats {
    /// Mean residual, in units of the value.
    pub mean: f64,
    /// Variance of that mean.
    pub variance: f64,
    /// Number of events.
    pub n: f64,
    /// Degrees of freedom of `variance`, at least 1.
    pub dof: f64,
}

impl ArmStats {
    /// An arm without data.
    pub const EMPTY: ArmStats = ArmStats { mean: 0.0, variance: 0.0, n: 0.0, dof: 1.0 };
}

/// Statistics of one arm from its buckets: `residuals` (sum of residuals A_b) and `n` (events), one entry per bucket.
/// `floor` is the variance of a single event (p (1 - p) for errors, 0 for none): the mean is never taken to be known
/// better than independent events would allow.
///
/// m = sum A_b / n, e_b = A_b - m n_b, v = max( B/(B-1) sum e_b^2 / n^2, floor / n ),
/// dof = max(1, min( n^2 / sum n_b^2, 3 (sum e_b^2)^2 / sum e_b^4 ) - 1).
/// The second term of the minimum is small when few buckets carry all the variance.
pub fn arm_stats(residuals: &[f64], n: &[f64], floor: f64) -> ArmStats {
    let num_buckets = residuals.len().min(n.len());
    let (residuals, events) = (&residuals[..num_buckets], &n[..num_buckets]);
    let total: f64 = events.iter().sum();
    let mean = residuals.iter().sum::<f64>() / total;
    let (mut squares, mut fourth_powers, mut events_squared) = (0.0, 0.0, 0.0);
    for (residual, events) in residuals.iter().zip(events) {
        let deviation = deviation(*residual, mean, *events);
        let square = deviation * deviation;
        squares += square;
        fourth_powers += square * square;
        events_squared += events * events;
    }
    let buckets = num_buckets as f64;
    let spread = squares * buckets / (buckets - 1.0) / (total * total);
    // `max` would hide a spread that is no number.
    let variance = spread.max(floor / total);
    let sound = num_buckets >= 2 && total > 0.0 && total.is_finite() && mean.is_finite() && spread.is_finite();
    if !(sound && variance.is_finite()) {
        return ArmStats::EMPTY;
    }
    let participation = if fourth_powers > 0.0 { 3.0 * squares * squares / fourth_powers } else { 0.0 };
    // Overflow makes the participation no number; then nothing is known about the spread.
    let participation = if participation.is_finite() { participation } else { 0.0 };
    let dof = ((total * total / events_squared).min(participation) - 1.0).max(1.0);
    ArmStats { mean, variance, n: total, dof }
}

/// Ratio of two sums over buckets and its variance (linearised, the delta method):
/// r = sum num / sum den, v = B/(B-1) sum (num_b - r den_b)^2 / (sum den)^2. (0, 0) without data.
pub fn ratio(numerators: &[f64], denominators: &[f64]) -> (f64, f64) {
    let stats = arm_stats(numerators, denominators, 0.0);
    (stats.mean, stats.variance)
}

/// How the FAIL side treats the variance of the two arms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Variance {
    /// Errors: each arm has its own variance, but a baseline smaller than the canary is not trusted to be calmer. (By
    /// chance a small arm misses the few units that make all the noise.)
    RawCounts,
    /// All other metrics: no arm is trusted to be calmer per event than the other.
    Adjusted,
}

/// Difference of the arms (canary minus baseline) with the variance that a test uses for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Difference {
    /// Difference of the means, in units of the value.
    pub diff: f64,
    /// Variance of that difference.
    pub variance: f64,
    /// Degrees of freedom of `variance` (Welch and Satterthwaite).
    pub dof: f64,
}

impl Difference {
    /// For evidence that the canary is worse, and with [`Variance::Adjusted`] for intervals. None if an arm has no data or
    /// there is no variance.
    pub fn fail(canary: &ArmStats, base: &ArmStats, variance: Variance) -> Option<Difference> {
        let canary_raised = canary.variance.max(base.variance * base.n / canary.n);
        let base_raised = base.variance.max(canary.variance * canary.n / base.n);
        let (canary_variance, base_variance) = match variance {
            Variance::Adjusted => (canary_raised, base_raised),
            Variance::RawCounts if canary.n <= base.n => (canary.variance, base.variance),
            Variance::RawCounts => (canary.variance, base_raised),
        };
        Difference::new(canary, canary_variance, base, base_variance)
    }

    /// For evidence that the canary is within its margin: a canary that is calm by chance must not pass for it.
    pub fn pass(canary: &ArmStats, base: &ArmStats) -> Option<Difference> {
        let canary_raised = canary.variance.max(base.variance * base.n / canary.n);
        Difference::new(canary, canary_raised, base, base.variance)
    }

    fn new(canary: &ArmStats, canary_variance: f64, base: &ArmStats, base_variance: f64) -> Option<Difference> {
        let diff = canary.mean - base.mean;
        let variance = canary_variance + base_variance;
        // Welch and Satterthwaite with the shares of the variance: squares of tiny variances would vanish.
        let (canary_share, base_share) = (canary_variance / variance, base_variance / variance);
        let dof = 1.0 / (canary_share * canary_share / canary.dof + base_share * base_share / base.dof);
        let sound = canary.n > 0.0
            && base.n > 0.0
            && canary_variance >= 0.0
            && base_variance >= 0.0
            && variance > 0.0
            && variance.is_finite()
            && diff.is_finite()
            && dof > 0.0
            && dof.is_finite();
        sound.then_some(Difference { diff, variance, dof })
    }
}

/// ln e-value against "the mean of the canary is not larger". `margin` is the difference that matters, in units of the
/// value; it only sets the scale at which the test looks first.
pub fn log_e_fail(canary: &ArmStats, base: &ArmStats, margin: f64, variance: Variance) -> f64 {
    Difference::fail(canary, base, variance)
        .map_or(0.0, |difference| mixture(difference.diff, difference.variance, difference.dof, margin, Sides::One))
}

/// ln e-value against "the mean of the canary is larger by `mult` x `margin` or more": evidence to go on. `mult` widens
/// the margin at early steps (`margin::step_mult`).
pub fn log_e_pass(canary: &ArmStats, base: &ArmStats, margin: f64, mult: f64) -> f64 {
    let margin = mult * margin;
    Difference::pass(canary, base).map_or(0.0, |difference| {
        mixture(margin - difference.diff, difference.variance, difference.dof, margin, Sides::One)
    })
}

/// ln e-value against "the means differ by `tolerance` at most", from a difference `d` with variance `v` and `nu` degrees
/// of freedom: two one-sided halves.
pub fn log_e_changed(d: f64, v: f64, nu: f64, tolerance: f64) -> f64 {
    math::log_mean_exp_2(
        mixture(d - tolerance, v, nu, tolerance, Sides::One),
        mixture(-d - tolerance, v, nu, tolerance, Sides::One),
    )
}

/// [`log_e_changed`] of two arms, both variances raised.
pub fn log_e_changed_arms(canary: &ArmStats, base: &ArmStats, tolerance: f64) -> f64 {
    Difference::fail(canary, base, Variance::Adjusted)
        .map_or(0.0, |difference| log_e_changed(difference.diff, difference.variance, difference.dof, tolerance))
}

/// ln e-value against "the canary's mean is lower by `tolerance` at most", both variances raised.
pub fn log_e_lower(canary: &ArmStats, base: &ArmStats, tolerance: f64) -> f64 {
    Difference::fail(canary, base, Variance::Adjusted).map_or(0.0, |difference| {
        mixture(-difference.diff - tolerance, difference.variance, difference.dof, tolerance, Sides::One)
    })
}

/// Interval (low, high) that holds the true difference at all looks at once with probability 1 - `alpha`: all differences
/// that the two-sided test does not reject, both variances raised. Infinite ends when the data give none.
pub fn interval(canary: &ArmStats, base: &ArmStats, margin: f64, alpha: f64) -> (f64, f64) {
    const UNKNOWN: (f64, f64) = (f64::NEG_INFINITY, f64::INFINITY);
    /// Wider than any value that a log line may hold; with few degrees of freedom the test never rejects.
    const HALF_WIDTH_MAX: f64 = 1e12;
    /// Of the half width, about the spacing of floats.
    const TOLERANCE: f64 = 1e-16;
    let Some(difference) = Difference::fail(canary, base, Variance::Adjusted) else { return UNKNOWN };
    if !(alpha > 0.0 && alpha < 1.0) {
        return UNKNOWN;
    }
    let threshold = -math::ln(alpha);
    let outside = |half: f64| mixture(half, difference.variance, difference.dof, margin, Sides::Two) - threshold;
    let mut high = 1.0;
    while outside(high) < 0.0 {
        high *= 2.0;
        if high > HALF_WIDTH_MAX {
            return UNKNOWN;
        }
    }
    let half_width = math::root(0.0, high, TOLERANCE * high, outside);
    (difference.diff - half_width, difference.diff + half_width)
}

/// Sides of an alternative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sides {
    /// The effect is positive.
    One,
    /// The effect is not zero.
    Two,
}

/// ln e-value of the mixture over four scales: tau = 0.95 x `margin` x (1, 4, 16, 64) with weights 1/2, 1/4, 1/8, 1/8.
///
/// One scale finds an effect of its own size with the least data, but hardly reacts to one far above it. 0.95 is the scale
/// that reaches the margin soonest (0.93 to 0.97 for alpha .05 to .0005).
pub fn mixture(d: f64, v: f64, nu: f64, margin: f64, sides: Sides) -> f64 {
    const FIRST_SCALE: f64 = 0.95;
    const SCALES: [f64; 4] = [1.0, 4.0, 16.0, 64.0];
    const LN_WEIGHTS: [f64; 4] = [-LN_2, -2.0 * LN_2, -3.0 * LN_2, -3.0 * LN_2];
    let tau = FIRST_SCALE * margin;
    let mut parts = LN_WEIGHTS;
    for (part, scale) in parts.iter_mut().zip(SCALES) {
        *part += match sides {
            Sides::One => t_log_e_one_sided(d, v, nu, tau * scale),
            Sides::Two => t_log_e_two_sided(d, v, nu, tau * scale),
        };
    }
    math::log_sum_exp(&parts)
}

/// ln e-value of a difference `d` (variance `v`, `nu` degrees of freedom) against 0, with a prior N(0, `tau`^2) for the
/// effect: -1/2 ln(1+r) + (nu+1)/2 ln[ (nu+z^2) / (nu + z^2/(1+r)) ], r = tau^2/v, z^2 = d^2/v.
pub fn t_log_e_two_sided(d: f64, v: f64, nu: f64, tau: f64) -> f64 {
    t_terms(d, v, nu, tau).map_or(0.0, |terms| terms.log_e)
}

/// ln e-value of a difference `d` against "not positive", with the positive half of the prior:
/// the two-sided value + ln 2 + ln Phi( d w / sqrt(w v a/(nu+1)) ), w = r/(1+r), a = nu + z^2/(1+r).
///
/// The exact factor has the t distribution in place of Phi. Both are symmetric, so the mean at effect 0 is the same.
pub fn t_log_e_one_sided(d: f64, v: f64, nu: f64, tau: f64) -> f64 {
    let Some(terms) = t_terms(d, v, nu, tau) else { return 0.0 };
    // d w / sqrt(w v a / (nu + 1)), with d / sqrt(v) = z.
    let x = terms.z * (terms.weight * (nu + 1.0) / terms.scale).sqrt();
    neutral_unless_finite(terms.log_e + LN_2 + math::ln_normal_cdf(x))
}

struct TTerms {
    /// d / sqrt(v).
    z: f64,
    /// r / (1 + r).
    weight: f64,
    /// nu + z^2 / (1 + r).
    scale: f64,
    log_e: f64,
}

fn t_terms(d: f64, v: f64, nu: f64, tau: f64) -> Option<TTerms> {
    if !(v > 0.0 && nu > 0.0 && tau > 0.0 && tau.is_finite() && d.is_finite() && v.is_finite() && nu.is_finite()) {
        return None;
    }
    let z = d / v.sqrt();
    let r = tau * tau / v;
    let weight = tau * tau / (v + tau * tau);
    let scale = nu + z * z / (1.0 + r);
    // (nu + z^2) / scale = 1 + z^2 weight / scale: nothing cancels when nu is large.
    let log_e = -0.5 * math::ln_1p(r) + 0.5 * (nu + 1.0) * math::ln_1p(z * z * weight / scale);
    log_e.is_finite().then_some(TTerms { z, weight, scale, log_e })
}

fn neutral_unless_finite(log_e: f64) -> f64 {
    if log_e.is_finite() { log_e } else { 0.0 }
}

/// Residual of a bucket around the mean of its arm; 0 where only rounding is left, because a variance made of rounding
/// errors would look like certainty.
fn deviation(residual: f64, mean: f64, events: f64) -> f64 {
    const ROUNDING: f64 = 1e-13;
    let deviation = residual - mean * events;
    if deviation.abs() <= ROUNDING * residual.abs() { 0.0 } else { deviation }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: ArmStats = ArmStats { mean: 0.0, variance: 6e-8, n: 1.9e5, dof: 55.0 };
    const CANARY: ArmStats = ArmStats { mean: 0.002, variance: 1e-6, n: 1e4, dof: 50.0 };

    #[test]
    fn arms_without_data_or_variance_are_no_evidence() {
        let calm = ArmStats { variance: 0.0, ..BASE };
        for (canary, base) in [
            (ArmStats::EMPTY, BASE),
            (CANARY, ArmStats::EMPTY),
            (ArmStats { variance: 0.0, ..CANARY }, calm),
            (ArmStats { mean: f64::NAN, ..CANARY }, BASE),
            (ArmStats { variance: f64::INFINITY, ..CANARY }, BASE),
            (ArmStats { dof: 0.0, ..CANARY }, BASE),
            (ArmStats { n: -1.0, ..CANARY }, BASE),
        ] {
            for variance in [Variance::RawCounts, Variance::Adjusted] {
                assert_eq!(log_e_fail(&canary, &base, 0.0025, variance), 0.0, "{canary:?} {base:?}");
            }
            assert_eq!(log_e_pass(&canary, &base, 0.0025, 1.0), 0.0, "{canary:?} {base:?}");
            assert_eq!(log_e_changed_arms(&canary, &base, 0.1), 0.0, "{canary:?} {base:?}");
            assert_eq!(interval(&canary, &base, 0.0025, 0.05), (f64::NEG_INFINITY, f64::INFINITY));
        }
        for margin in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(log_e_fail(&CANARY, &BASE, margin, Variance::RawCounts), 0.0, "margin {margin}");
        }
    }

    #[test]
    fn buckets_without_spread_have_no_variance() {
        // 0.1 x n is not exact in binary: without care the rounding errors would become a variance.
        let events: Vec<f64> = (1..=64).map(|bucket| f64::from(bucket * 37)).collect();
        let residuals: Vec<f64> = events.iter().map(|events| events * 0.1).collect();
        let stats = arm_stats(&residuals, &events, 0.0);
        assert_eq!((stats.variance, stats.dof), (0.0, 1.0));
        assert_eq!(arm_stats(&residuals, &events, 0.09).variance, 0.09 / stats.n);
    }

    #[test]
    fn useless_buckets_are_an_empty_arm() {
        assert_eq!(arm_stats(&[], &[], 0.1), ArmStats::EMPTY);
        assert_eq!(arm_stats(&[1.0], &[10.0], 0.1), ArmStats::EMPTY);
        assert_eq!(arm_stats(&[1.0, 2.0], &[0.0, 0.0], 0.1), ArmStats::EMPTY);
        assert_eq!(arm_stats(&[1.0, f64::NAN], &[1.0, 1.0], 0.1), ArmStats::EMPTY);
        assert_eq!(arm_stats(&[1e300, -1e300], &[1.0, 1.0], 0.1), ArmStats::EMPTY);
    }

    #[test]
    fn one_loud_bucket_leaves_one_degree_of_freedom() {
        let events = [100.0; BUCKETS];
        let mut residuals = [0.0; BUCKETS];
        residuals[7] = 500.0;
        let stats = arm_stats(&residuals, &events, 0.0);
        assert!((1.0..2.2).contains(&stats.dof), "{stats:?}");
    }

    #[test]
    fn small_baseline_gets_the_variance_of_the_canary() {
        let small_base = ArmStats { n: 1e3, variance: 1e-8, ..BASE };
        let raw = Difference::fail(&CANARY, &small_base, Variance::RawCounts).map(|difference| difference.variance);
        assert_eq!(raw, Some(1e-6 + 1e-6 * 1e4 / 1e3));
        let raw = Difference::fail(&CANARY, &BASE, Variance::RawCounts).map(|difference| difference.variance);
        assert_eq!(raw, Some(1e-6 + 6e-8));
    }
}
