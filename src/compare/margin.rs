//! Margins: how much worse a canary may be before it matters.
//!
//! One function of the base rate serves errors; latency has four constants. Early steps expose few users and get wider
//! margins, by the share that the next step would expose.

use crate::math;

/// Margin of mean latency: + 5 %, as a difference of natural logarithms (ln 1.05).
pub const LATENCY_MEAN: f64 = 0.048790164169432;

/// Margin of the share of requests above the baseline's median: + 5 points.
pub const EXCEEDANCE_P50: f64 = 0.05;

/// Margin of the share of requests above the baseline's 90th percentile: + 2 points.
pub const EXCEEDANCE_P90: f64 = 0.02;

/// Margin of the share of requests above the baseline's 99th percentile: + 0.5 points.
pub const EXCEEDANCE_P99: f64 = 0.005;

/// Margin of the error rate as a difference (errors per request): half of the base rate, but at least 0.1 and at most 1
/// point. A base rate that is no number counts as 0.
pub fn error_margin(p_base: f64) -> f64 {
    const SMALLEST: f64 = 0.001;
    const LARGEST: f64 = 0.01;
    if p_base.is_nan() {
        return SMALLEST;
    }
    (0.5 * p_base).clamp(SMALLEST, LARGEST)
}

/// Margin of the error rate as a rate ratio: 1 + `mult` x margin / base rate. Infinite (no canary can be shown to be
/// within it) when there is no base rate.
pub fn error_r0(p_base: f64, mult: f64) -> f64 {
    if !(p_base > 0.0 && mult > 0.0) {
        return f64::INFINITY;
    }
    1.0 + mult * error_margin(p_base) / p_base
}

/// Turns the rate-ratio margin `r0` into the ratio of *affected units* that it implies once a share `f_base` of baseline
/// units is affected.
///
/// A unit can be affected only once, so the ratio of affected units falls behind the ratio of rates. Units are assumed to
/// differ in their rate like a gamma variable of shape 1/4 (a few do most of the erring). With H the accumulated rate,
/// F = 1 - (1 + H/k)^(-k); this inverts it for the baseline and applies it to r0 x H. A margin that is no number becomes
/// infinite: nothing can be shown to be within it.
pub fn pass_r0(r0: f64, f_base: f64) -> f64 {
    const SHAPE: f64 = 0.25;
    /// Beyond this share the correction says nothing any more.
    const AFFECTED_MAX: f64 = 0.9;
    /// A margin of exactly 1 could never be passed, not even by an identical canary.
    const SMALLEST: f64 = 1.0001;
    if r0.is_nan() {
        return f64::INFINITY;
    }
    if !(r0 > 0.0 && r0.is_finite() && f_base > 0.0) {
        return r0;
    }
    let affected = f_base.min(AFFECTED_MAX);
    let hazard_by_shape = math::exp_m1(-math::ln_1p(-affected) / SHAPE);
    let affected_at_r0 = -math::exp_m1(-SHAPE * math::ln_1p(r0 * hazard_by_shape));
    (affected_at_r0 / affected).max(SMALLEST)
}

/// The same from how fast the control's affected units become more: like `failures^exponent` (`crate::engine::growth`).
///
/// At `r0` times the rate a canary has as many as the control has after `r0` times as many failures: `r0^exponent` times
/// as many. Assumes nothing about users, where [`pass_r0`] assumes how they differ. Statistics design 4.7 has only the latter;
/// by simulation it lets too much pass where most errors are those of few users of many.
pub fn affected_r0(r0: f64, exponent: f64) -> f64 {
    if r0 > 0.0 && r0.is_finite() { math::exp(exponent * math::ln(r0)) } else { r0 }
}

/// How much wider the margin of a step is than the final one: 1 / (share of the next step), within 1 .. 4. A step that
/// exposes a quarter of the users may lose four times the margin. 1 (the strictest) when there is no such share.
pub fn step_mult(next_share: f64) -> f64 {
    if next_share.is_nan() || next_share < 0.0 {
        return 1.0;
    }
    (1.0 / next_share).clamp(1.0, 4.0)
}

/// Errors of the baseline from which its rate is known.
pub const ERRORS_MIN: u64 = 10;

/// Error rate of the baseline so far. Below [`ERRORS_MIN`] errors the rate is not known yet, and 10 / n stands for it (a larger base
/// rate is the stricter assumption: it makes the rate-ratio margin smaller). At most 1; 1 without requests.
pub fn running_base_rate(errors: u64, n: u64) -> f64 {
    if n == 0 {
        return 1.0;
    }
    (errors.max(ERRORS_MIN) as f64 / n as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_mean_is_five_percent() {
        assert!((LATENCY_MEAN - math::ln(1.05)).abs() < 1e-16);
    }

    #[test]
    fn error_margin_is_clamped() {
        for (p_base, want) in
            [(0.0, 0.001), (0.002, 0.001), (0.005, 0.0025), (0.02, 0.01), (1.0, 0.01), (f64::NAN, 0.001)]
        {
            assert_eq!(error_margin(p_base), want, "at {p_base}");
        }
        assert_eq!(error_r0(0.0, 1.0), f64::INFINITY);
        assert_eq!(error_r0(f64::NAN, 1.0), f64::INFINITY);
    }

    #[test]
    fn step_mult_between_one_and_four() {
        for (next_share, want) in
            [(0.0, 4.0), (0.05, 4.0), (0.25, 4.0), (0.5, 2.0), (1.0, 1.0), (2.0, 1.0), (-1.0, 1.0), (f64::NAN, 1.0)]
        {
            assert_eq!(step_mult(next_share), want, "at {next_share}");
        }
    }

    #[test]
    fn base_rate_needs_ten_errors() {
        for (errors, n, want) in [
            (0, 0, 1.0),
            (0, 5, 1.0),
            (0, 1000, 0.01),
            (9, 1000, 0.01),
            (10, 1000, 0.01),
            (11, 1000, 0.011),
            (5, 2, 1.0),
        ] {
            assert_eq!(running_base_rate(errors, n), want, "{errors} of {n}");
        }
    }

    #[test]
    fn affected_units_grow_like_a_power() {
        assert!((affected_r0(1.5, 0.5) - 1.5f64.sqrt()).abs() < 1e-12);
        assert_eq!(affected_r0(f64::INFINITY, 0.5), f64::INFINITY);
        assert!(affected_r0(f64::NAN, 0.5).is_nan());
    }

    #[test]
    fn affected_units_correction_is_small_at_small_shares() {
        assert!((pass_r0(1.5, 1e-12) - 1.5).abs() < 1e-9);
        assert_eq!(pass_r0(1.5, 2.0), pass_r0(1.5, 0.9));
        assert_eq!(pass_r0(f64::INFINITY, 0.1), f64::INFINITY);
    }
}
