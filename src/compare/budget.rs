//! One error budget: all evidence against a rollout is one weighted sum of e-values.
//!
//! A weighted mean of e-values is an e-value whatever their dependence, so FAIL at S >= 1/alpha errs with probability
//! alpha at most, over all looks and all metrics together. Weights are fixed at the start of a rollout; a cell without
//! data counts with e = 1, and its weight is never dealt again.

use crate::math;

/// Error level of FAIL, per rollout: S must reach 100.
pub const ALPHA_FAIL: f64 = 0.01;
/// So many times the evidence of FAIL is asked before anything is done without a person: S must reach 1,000. FAIL is wrong
/// in at most one healthy rollout in a hundred; who rolls back by itself does that for every one of them. The scoreboard has
/// how often a healthy rollout comes to it, and the delay that it costs.
pub const AUTOMATIC: f64 = 10.0;
/// Error level of PASS, per step and guardrail (all must pass, so no correction is needed).
pub const ALPHA_PASS: f64 = 0.05;
/// Error level of "changed", per rollout; its own budget, never part of S.
pub const ALPHA_CHANGED: f64 = 0.01;
/// Error level of a wrong sample ratio.
pub const ALPHA_SRM: f64 = 0.001;

/// Weight of request errors, share test.
pub const ERRORS_SHARE: f64 = 0.18;
/// Weight of request errors, bucket test.
pub const ERRORS_BUCKET: f64 = 0.06;
/// Weight of mean latency, bucket test.
pub const LATENCY_MEAN: f64 = 0.072;
/// Weight of the share of requests above the median, bucket test.
pub const LATENCY_P50: f64 = 0.036;
/// Weight of the share of requests above the 90th percentile, bucket test.
pub const LATENCY_P90: f64 = 0.036;
/// Weight of the share of requests above the 99th percentile, bucket test.
pub const LATENCY_P99_BUCKET: f64 = 0.048;
/// Weight of units with a first request above the 99th percentile, share test.
pub const LATENCY_P99_SHARE: f64 = 0.048;
/// Weight of all other guardrails (crash, deficit, service level, business, user-defined), split evenly over those
/// configured.
pub const OTHER_GUARDRAILS: f64 = 0.12;
/// Weight of all segments, see [`segment_weight`].
pub const SEGMENTS: f64 = 0.15;
/// Weight of all error templates, split evenly over [`TEMPLATE_SLOTS`].
pub const TEMPLATES: f64 = 0.15;
/// Weight of the rest, split evenly: units that fail again and again (two levels), exposed units without a request.
pub const REST: f64 = 0.10;

/// Fewest tests over which the weight of segments is split: few segments must not get the budget of many.
pub const SEGMENT_TESTS_MIN: u32 = 100;
/// Error templates that are tested; later ones are shown only.
pub const TEMPLATE_SLOTS: u32 = 1024;

/// Within a guardrail: weight of the test that runs from the start of the rollout.
pub const RESTART_START: f64 = 0.7;
/// Within a guardrail: weight of all restarts together; restart i has [`restart_weight`] of i.
pub const RESTARTS: f64 = 0.3;
/// Event time between restarts, in hours. A regression that begins late is not diluted by the days before.
pub const RESTART_HOURS: u32 = 6;
/// Restarts that are kept alive; beyond that the oldest is frozen at its value.
pub const RESTARTS_ALIVE: u32 = 8;

/// ln e is clipped here; only to keep sums finite, no verdict needs more.
pub const LOG_E_MAX: f64 = 600.0;

/// Weight of each of the other guardrails: the deficit, and so many of one's own, which are business events and metrics.
pub fn other_guardrail_weight(own: usize) -> f64 {
    OTHER_GUARDRAILS / (1 + own) as f64
}

/// Weight of one test of one segment when `num_tests` (cells x tests) are configured.
pub fn segment_weight(num_tests: u32) -> f64 {
    SEGMENTS / f64::from(num_tests.max(SEGMENT_TESTS_MIN))
}

/// Weight of restart `i` (1, 2, ...) within a guardrail: 0.3 / (i (i + 1)), which sums to 0.3. 0 for i = 0.
pub fn restart_weight(i: u32) -> f64 {
    if i == 0 {
        return 0.0;
    }
    let i = f64::from(i);
    RESTARTS / (i * (i + 1.0))
}

/// Weight of all restarts that have not opened when `num_opened` have: 0.3 / (num_opened + 1). They count with e = 1.
pub fn unopened_restarts_weight(num_opened: u32) -> f64 {
    RESTARTS / (f64::from(num_opened) + 1.0)
}

/// ln of sum w E over `parts` (weight, ln E), plus `idle`: the weight of everything that has no data and counts with E = 1.
///
/// A ln E that is no number counts as no evidence. Without any weight there is no evidence either: 0.
pub fn log_sum(parts: &[(f64, f64)], idle: f64) -> f64 {
    let positive = |weight: f64| weight > 0.0 && weight.is_finite();
    let mut terms = Vec::with_capacity(parts.len() + 1);
    if positive(idle) {
        terms.push(math::ln(idle));
    }
    for (weight, log_e) in parts.iter().filter(|(weight, _)| positive(*weight)) {
        let log_e = if log_e.is_nan() { 0.0 } else { log_e.min(LOG_E_MAX) };
        terms.push(math::ln(*weight) + log_e);
    }
    if terms.is_empty() { 0.0 } else { math::log_sum_exp(&terms) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_sum_to_one() {
        let errors = ERRORS_SHARE + ERRORS_BUCKET;
        let latency = LATENCY_MEAN + LATENCY_P50 + LATENCY_P90 + LATENCY_P99_BUCKET + LATENCY_P99_SHARE;
        assert!((errors - 0.24).abs() < 1e-15 && (latency - 0.24).abs() < 1e-15);
        let sum = errors + latency + OTHER_GUARDRAILS + SEGMENTS + TEMPLATES + REST;
        assert!((sum - 1.0).abs() < 1e-15, "{sum}");
        assert!((RESTART_START + RESTARTS - 1.0).abs() < 1e-15);
        for num_opened in [0, 1, 7, 1000] {
            let sum: f64 = (1..=num_opened).map(restart_weight).sum::<f64>() + unopened_restarts_weight(num_opened);
            assert!((sum - RESTARTS).abs() < 1e-14, "{num_opened} restarts: {sum}");
        }
        assert_eq!(other_guardrail_weight(0).to_bits(), OTHER_GUARDRAILS.to_bits(), "without events nothing changes");
        for own in 0..=12 {
            let sum = (0..=own).map(|_| other_guardrail_weight(own)).sum::<f64>();
            assert!((sum - OTHER_GUARDRAILS).abs() < 1e-15, "{own} of one's own: {sum}");
        }
        assert_eq!(segment_weight(3), SEGMENTS / 100.0);
        assert_eq!(segment_weight(200), SEGMENTS / 200.0);
    }

    #[test]
    fn sum_without_evidence_is_zero() {
        assert_eq!(log_sum(&[], 1.0), 0.0);
        assert_eq!(log_sum(&[], 0.0), 0.0);
        assert_eq!(log_sum(&[(0.0, 50.0), (-1.0, 50.0), (f64::NAN, 50.0)], 1.0), 0.0);
        assert!(log_sum(&[(0.5, f64::NAN)], 0.5).abs() < 1e-15);
    }

    #[test]
    fn log_e_is_clipped() {
        assert_eq!(log_sum(&[(1.0, f64::INFINITY)], 0.0), LOG_E_MAX);
        assert_eq!(log_sum(&[(0.5, f64::NEG_INFINITY)], 1.0), 0.0);
    }
}
