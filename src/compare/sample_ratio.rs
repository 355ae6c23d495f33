//! Sample ratio: do the arms have as many units as the declared share says?
//!
//! A canary that loses units before they are counted (it crashes, it does not log) makes every other comparison wrong.
//! Needs a *declared* share; without one the answer is "not checkable", never "fine". Distinct units are counted: on
//! requests of sticky users this test would reject almost every rollout.

use crate::math;

/// Strength of the prior, in units: how far from the declared share the test looks first.
pub const PRIOR_UNITS: f64 = 1000.0;

/// ln e-value against "units fall to the arms by `share`" (any positive numbers, one per arm; they are scaled to sum 1).
///
/// The Dirichlet mixture of Lindon and Malek (arXiv 2011.03567) with strength `k`, valid at every look:
/// E = Gamma(k)/Gamma(k+n) x prod_i Gamma(k t_i + n_i)/Gamma(k t_i) t_i^(-n_i). No evidence (0) when a share is not
/// positive or the numbers of arms differ: such a ratio cannot be tested.
pub fn log_e(counts: &[u64], share: &[f64], k: f64) -> f64 {
    let share_sum: f64 = share.iter().sum();
    let testable = counts.len() == share.len()
        && counts.len() >= 2
        && share.iter().all(|share| *share > 0.0)
        && share_sum.is_finite()
        && k > 0.0
        && k.is_finite();
    if !testable {
        return 0.0;
    }
    let n: f64 = counts.iter().map(|count| *count as f64).sum();
    // Stirling's formula for every Gamma, with its large parts cancelled on paper: what remains is (k t_i + n_i - 1/2)
    // times the ln of (posterior share / declared share), a half logarithm per further arm, and the rests.
    let further_arms = (counts.len() - 1) as f64;
    let mut sum = -0.5 * further_arms * math::ln_1p(n / k) - math::stirling_rest(k + n) + math::stirling_rest(k);
    for (count, share) in counts.iter().zip(share) {
        let (count, share) = (*count as f64, share / share_sum);
        let prior = k * share;
        let expected = (k + n) * share;
        let excess = (count - n * share) / expected;
        // Near the declared share ln(1 + excess) has the digits, far from it the plain quotient.
        let ln_ratio = if excess.abs() < 0.5 { math::ln_1p(excess) } else { math::ln((prior + count) / expected) };
        sum += (prior + count - 0.5) * ln_ratio;
        sum += math::stirling_rest(prior + count) - math::stirling_rest(prior);
    }
    if sum.is_finite() { sum } else { 0.0 }
}

/// ln e-value against "of `units` units at least the share `least` fell to the candidate", valid at every look: the mean of likelihood
/// ratios of smaller shares. No evidence (0) where the share is not between 0 and 1.
pub fn log_e_fewer(candidate: u64, units: u64, least: f64) -> f64 {
    /// The smaller shares, as parts of the least.
    const PARTS: [f64; 6] = [0.0, 0.25, 0.5, 0.75, 0.9, 0.97];
    if !(least > 0.0 && least < 1.0) || candidate > units {
        return 0.0;
    }
    let (x, n) = (candidate as f64, units as f64);
    let against = |part: f64| {
        let hits = match candidate {
            0 => 0.0,
            _ if part > 0.0 => x * math::ln(part),
            _ => f64::NEG_INFINITY,
        };
        hits + (n - x) * (math::ln_1p(-part * least) - math::ln_1p(-least))
    };
    math::log_mean_exp(&PARTS.map(against))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The mean of e over all counts of a binomial is 1 at the least share itself, and less above it.
    #[test]
    fn too_few_is_an_e_value() {
        let mean = |share: f64| -> f64 {
            let n = 60;
            let mut chance = (1.0 - share).powi(n);
            (0..=n)
                .map(|x| {
                    let of = chance * log_e_fewer(x as u64, n as u64, 0.24).exp();
                    chance *= f64::from(n - x) / f64::from(x + 1) * share / (1.0 - share);
                    of
                })
                .sum()
        };
        assert!((mean(0.24) - 1.0).abs() < 1e-9, "{}", mean(0.24));
        assert!(mean(0.25) < 1.0 && mean(0.3) < mean(0.25) && mean(0.2) > 1.0);
        // None of 160 units where 4 % at least should be: evidence of 1,000, less a seventh.
        assert!(log_e_fewer(0, 200, 0.04) > 6.0 && log_e_fewer(0, 300, 0.04) > math::ln(1_000.0));
        assert!(log_e_fewer(830, 3_333, 0.24) < 0.0, "five sixths of the declared 30 % are not too few");
        assert_eq!((log_e_fewer(1, 0, 0.5), log_e_fewer(0, 10, 0.0), log_e_fewer(0, 10, f64::NAN)), (0.0, 0.0, 0.0));
    }

    #[test]
    fn large_counts_keep_their_digits() {
        // Expected values from mpmath, 60 digits.
        for (counts, share, k, want) in [
            ([50_000_000, 950_000_000], [0.05, 0.95], 1000.0, -6.909426807722269),
            ([50_100_000, 949_900_000], [0.05, 0.95], 1000.0, 98.28626419270928),
            ([0, 0], [0.5, 0.5], 1000.0, 0.0),
        ] {
            let got = log_e(&counts, &share, k);
            assert!((got - want).abs() < 1e-5, "{counts:?}: {got}, expected {want}");
        }
        let three_arms = log_e(&[7, 0, 3], &[0.2, 0.3, 0.5], 10.0);
        assert!((three_arms - 2.759160655063233).abs() < 1e-12, "{three_arms}");
    }

    #[test]
    fn ratios_that_cannot_be_tested_are_no_evidence() {
        assert_eq!(log_e(&[10, 0], &[0.5], 1000.0), 0.0);
        assert_eq!(log_e(&[10], &[1.0], 1000.0), 0.0);
        assert_eq!(log_e(&[], &[], 1000.0), 0.0);
        assert_eq!(log_e(&[10, 0], &[0.0, 1.0], 1000.0), 0.0);
        assert_eq!(log_e(&[10, 0], &[f64::NAN, 1.0], 1000.0), 0.0);
        assert_eq!(log_e(&[10, 0], &[0.5, f64::INFINITY], 1000.0), 0.0);
        assert_eq!(log_e(&[10, 0], &[0.5, 0.5], 0.0), 0.0);
        assert_eq!(log_e(&[10, 0], &[0.5, 0.5], f64::NAN), 0.0);
    }

    #[test]
    fn declared_share_need_not_sum_to_one() {
        assert!((log_e(&[30, 170], &[5.0, 95.0], 100.0) - log_e(&[30, 170], &[0.05, 0.95], 100.0)).abs() < 1e-12);
    }
}
