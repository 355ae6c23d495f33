//! The placebo split: a log in which somebody is served new code by chance alone, judged again and again. Nothing differs, so every
//! rollback is false; more of them than the error level allows say that automatic actions are not to be trusted here.

use crate::calibrate::change::Change;
use crate::calibrate::log::Log;
use crate::calibrate::minutes::Limits;
use crate::calibrate::split;
use crate::compare::budget::ALPHA_FAIL;
use crate::engine::Settings;
use crate::math;
use crate::source::files::FilesError;

/// Splits of a log.
pub const SPLITS: u32 = 100;
/// Share of units in the canary, in parts per million.
const SHARE_PPM: u32 = 500_000;
/// Probability with which a healthy log has more false rollbacks than are allowed, at most.
const ALPHA: f64 = 0.01;

/// The most of `n` splits that may fail: more have a probability of at most 1 % where each fails with probability
/// [`ALPHA_FAIL`], independently (exact binomial tail). Given the log, splits by different seeds are independent.
pub fn allowed(n: u32) -> u32 {
    let (p, n_float) = (ALPHA_FAIL, f64::from(n));
    let mut log_term = n_float * math::ln(1.0 - p);
    let mut below = 0.0;
    for k in 0..=n {
        below += math::exp(log_term);
        // Sums of floats may be off in their last digits.
        if 1.0 - below <= ALPHA + 1e-12 {
            return k;
        }
        let k = f64::from(k);
        log_term += math::ln((n_float - k) / (k + 1.0)) + math::ln(p / (1.0 - p));
    }
    n
}

/// How many of [`SPLITS`] are rolled back; `None` when `stop` says so before all are judged.
///
/// # Errors
/// A log that must be read again and cannot be.
pub fn failed(log: &Log, settings: &Settings, stop: &dyn Fn() -> bool) -> Result<Option<u32>, FilesError> {
    let limits = Limits::for_log(&log.facts);
    let mut failed = 0;
    for seed in 0..SPLITS {
        if stop() {
            return Ok(None);
        }
        let split = split::judge(log, settings, seed, SHARE_PPM, Change::None, limits)?;
        failed += u32::from(split.serin.failed_after.is_some());
    }
    Ok(Some(failed))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Values of the binomial distribution (R: qbinom(0.99, n, 0.01)).
    #[test]
    fn as_many_may_fail_as_the_binomial_distribution_says() {
        for (n, most) in [(1, 0), (2, 1), (20, 2), (100, 4), (200, 6), (1_000, 18)] {
            assert_eq!(allowed(n), most, "{n}");
        }
    }
}
