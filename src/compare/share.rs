//! Share test (T1): do units of the canary do something for the first time more often than their share says?
//!
//! It counts distinct units, so a retry loop of one user is one event. It needs no configured traffic share: if the
//! release changes nothing, which units err does not depend on their arms, and the number of canary units among them is
//! hypergeometric given the units seen. Every formula is a mean of likelihood ratios against a grid of rate ratios; a
//! binomial likelihood is convex in the canary count and a hypergeometric count is less spread than a binomial one
//! (Hoeffding 1963, section 6), so against "no difference" the e-value has mean at most 1 at every look. Against a ratio
//! other than 1 (PASS, "changed" with its tolerance, intervals) the count is not hypergeometric, and the proof does not
//! reach: there the test rests on simulation.
//!
//! What this module does not know: where a stratum begins (`arrivals`), and which units count as seen (the fold).

use crate::math;

/// Counts of one stratum: a stretch of the rollout in which the share of the canary did not change.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stratum {
    /// N_c: distinct units active in the canary in this stratum that had no such event earlier in the scope.
    pub canary_units: u64,
    /// N: the same over both arms.
    pub units: u64,
    /// x_c: canary units whose first event of the scope fell into this stratum.
    pub canary_first: u64,
    /// x: the same over both arms.
    pub first: u64,
}

/// Anytime-valid interval of a rate ratio (canary to baseline).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Lower bound; 0 when the data give none.
    pub low: f64,
    /// Rate ratio of the largest likelihood, searched within 1e-4 .. 1e4; 1 without data.
    pub estimate: f64,
    /// Upper bound; infinite when the data give none.
    pub high: f64,
}

/// ln e-value against "the rate ratio is at most `r0`" (`r0` = 1: the canary is not worse).
pub fn log_e_fail(strata: &[Stratum], r0: f64) -> f64 {
    log_e(strata, r0, Arm::Canary)
}

/// ln e-value against "the rate ratio is at least `r0`": evidence that the canary stays below the margin.
///
/// With `r0` = 1 this is the FAIL side of an event that should not become rarer.
pub fn log_e_pass(strata: &[Stratum], r0: f64) -> f64 {
    log_e(strata, r0, Arm::Base)
}

/// ln e-value against "the rate ratio is at least `r0`", for a margin `r0` above 1 that a canary is expected to keep.
///
/// [`log_e_pass`] spreads its weight over all smaller ratios. A release that changes nothing has the ratio 1, so here that
/// alternative has three quarters of the weight: it is heard about a quarter sooner, and a canary that by chance has no event
/// yet is not taken for one that never has any.
pub fn log_e_within(strata: &[Stratum], r0: f64) -> f64 {
    const WEIGHT_OF_NO_CHANGE: f64 = 0.75;
    if !(r0 > 1.0 && r0.is_finite()) {
        return log_e_pass(strata, r0);
    }
    if strata.iter().all(|stratum| stratum.usable().is_none()) {
        return 0.0;
    }
    let no_change: f64 = strata
        .iter()
        .filter_map(Stratum::usable)
        .map(|counts| {
            // l(1) - l(r0), with the share of the baseline at each ratio, which keeps its digits where it is tiny.
            let first_of_both = counts.canary_first + counts.base_first;
            counts.base_first * math::ln(r0) - first_of_both * math::ln_1p(counts.base_share(r0) * (r0 - 1.0))
        })
        .sum();
    math::log_sum_exp(&[
        math::ln(WEIGHT_OF_NO_CHANGE) + no_change,
        math::ln(1.0 - WEIGHT_OF_NO_CHANGE) + log_e_pass(strata, r0),
    ])
}

/// ln e-value against "the rate ratio is within 1/`tolerance` .. `tolerance`" (a tolerance above 1).
pub fn log_e_changed(strata: &[Stratum], tolerance: f64) -> f64 {
    math::log_mean_exp_2(log_e_fail(strata, tolerance), log_e_pass(strata, 1.0 / tolerance))
}

/// Interval that holds the true rate ratio at all looks at once with probability 1 - `alpha`: two one-sided bounds at
/// `alpha`/2 each.
pub fn interval(strata: &[Stratum], alpha: f64) -> Interval {
    const UNKNOWN: Interval = Interval { low: 0.0, estimate: 1.0, high: f64::INFINITY };
    // Rate ratios outside 1e-4 .. 1e4 are of no use to a reader, and the search needs ends.
    const LN_LIMIT: f64 = 9.210_340_371_976_184;
    // About the spacing of floats at the ends.
    const TOLERANCE: f64 = 1e-15;
    if !(alpha > 0.0 && alpha < 1.0) || strata.iter().all(|stratum| stratum.usable().is_none()) {
        return UNKNOWN;
    }
    let threshold = math::ln(2.0 / alpha);
    // All events in one arm: the search ends at an end.
    let rises = |ln_ratio: f64| score(strata, math::exp(ln_ratio));
    let ln_estimate = match (rises(-LN_LIMIT) > 0.0, rises(LN_LIMIT) > 0.0) {
        (false, _) => -LN_LIMIT,
        (true, true) => LN_LIMIT,
        (true, false) => math::root(-LN_LIMIT, LN_LIMIT, TOLERANCE, rises),
    };
    let too_low = |ln_ratio: f64| log_e_fail(strata, math::exp(ln_ratio)) - threshold;
    let too_high = |ln_ratio: f64| log_e_pass(strata, math::exp(ln_ratio)) - threshold;
    let low = if too_low(-LN_LIMIT) >= 0.0 {
        math::exp(math::root(-LN_LIMIT, ln_estimate, TOLERANCE, too_low))
    } else {
        UNKNOWN.low
    };
    let high = if too_high(LN_LIMIT) < 0.0 {
        UNKNOWN.high
    } else {
        math::exp(math::root(ln_estimate, LN_LIMIT, TOLERANCE, too_high))
    };
    Interval { low, estimate: math::exp(ln_estimate), high }
}

/// Whether the estimate of the rate ratio is 1 or more, up to rounding.
pub fn rises(strata: &[Stratum]) -> bool {
    let first: u64 = strata.iter().filter(|stratum| stratum.usable().is_some()).map(|stratum| stratum.first).sum();
    score(strata, 1.0) >= -1e-12 * first as f64
}

/// Alternatives: rate ratios 1 + 0.1 x 2^(j/2), j = 0..21, and 1000, with equal weights. Close to 1 they are dense enough
/// for a 10 % rise, and the last ones let an event that only the canary has be found after four units.
const GRID: [f64; 23] = [
    1.1,
    1.1414213562373094,
    1.2,
    1.2828427124746191,
    1.4,
    1.565685424949238,
    1.8,
    2.131370849898476,
    2.6,
    3.262741699796952,
    4.2,
    5.525483399593904,
    7.4,
    10.050966799187808,
    13.8,
    19.101933598375616,
    26.6,
    37.20386719675123,
    52.2,
    73.40773439350247,
    103.4,
    145.81546878700493,
    1000.0,
];

/// ln of `GRID`.
const LN_GRID: [f64; 23] = [
    0.09531017980432493,
    0.13227428950904463,
    0.1823215567939546,
    0.24907848456772616,
    0.3364722366212129,
    0.4483236993242897,
    0.5877866649021191,
    0.756765364206773,
    0.9555114450274363,
    1.1825678541336617,
    1.4350845252893227,
    1.7093707367156832,
    2.0014800002101243,
    2.307668828802425,
    2.624668592163159,
    2.949789565445663,
    3.2809112157876537,
    3.6164127127778714,
    3.955082494888593,
    4.296029303277583,
    4.638604962074329,
    4.982341909879601,
    6.907755278982137,
];

/// The arm whose events count as evidence.
#[derive(Clone, Copy)]
enum Arm {
    Canary,
    Base,
}

/// A stratum that can tell something, as floats.
struct Counts {
    canary_units: f64,
    base_units: f64,
    canary_first: f64,
    base_first: f64,
}

impl Stratum {
    /// Nothing to learn from a stratum with one arm or without events. Counts that contradict each other (more in the
    /// canary than in both arms) teach nothing either.
    fn usable(&self) -> Option<Counts> {
        let base_units = self.units.checked_sub(self.canary_units)?;
        let base_first = self.first.checked_sub(self.canary_first)?;
        let usable = self.canary_units > 0 && base_units > 0 && self.first > 0;
        usable.then_some(Counts {
            canary_units: self.canary_units as f64,
            base_units: base_units as f64,
            canary_first: self.canary_first as f64,
            base_first: base_first as f64,
        })
    }
}

impl Counts {
    /// Share of first events that falls to the canary at rate ratio `ratio`.
    ///
    /// Written through the odds, so that neither a huge count nor a huge ratio gives infinity over infinity.
    fn canary_share(&self, ratio: f64) -> f64 {
        1.0 / (1.0 + self.base_units / self.canary_units / ratio)
    }

    /// Share of first events that falls to the baseline at rate ratio `ratio`; keeps its digits when it is tiny.
    fn base_share(&self, ratio: f64) -> f64 {
        1.0 / (1.0 + self.canary_units / self.base_units * ratio)
    }
}

/// ln of the mean over the grid of exp(l(r0 g) - l(r0)), with l(RR) = sum [ x_c ln RR - x ln(1 - q + q RR) ].
///
/// With a = q r0 / (1 - q + q r0), the canary's share of events at r0, the difference is x_c ln g - x ln(1 + a (g - 1)):
/// one logarithm per alternative and nothing large to cancel. Dividing by g instead of multiplying is the same with the
/// arms swapped.
fn log_e(strata: &[Stratum], r0: f64, arm: Arm) -> f64 {
    if !(r0 > 0.0 && r0.is_finite()) {
        return 0.0;
    }
    let mut log_ratios = [0.0; GRID.len()];
    let mut first = 0.0;
    let mut any = false;
    for counts in strata.iter().filter_map(Stratum::usable) {
        any = true;
        let (share, first_of_arm) = match arm {
            Arm::Canary => (counts.canary_share(r0), counts.canary_first),
            Arm::Base => (counts.base_share(r0), counts.base_first),
        };
        let first_of_both = counts.canary_first + counts.base_first;
        first += first_of_arm;
        for (log_ratio, g) in log_ratios.iter_mut().zip(&GRID) {
            *log_ratio -= first_of_both * math::ln_1p(share * (g - 1.0));
        }
    }
    if !any {
        return 0.0;
    }
    for (log_ratio, ln_g) in log_ratios.iter_mut().zip(&LN_GRID) {
        *log_ratio += first * ln_g;
    }
    math::log_mean_exp(&log_ratios)
}

/// Derivative of l by ln RR: first events in the canary minus those expected there at `ratio`.
fn score(strata: &[Stratum], ratio: f64) -> f64 {
    strata
        .iter()
        .filter_map(Stratum::usable)
        .map(|counts| counts.canary_first - (counts.canary_first + counts.base_first) * counts.canary_share(ratio))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grid_is_the_formula() {
        for (j, (g, ln_g)) in GRID.iter().zip(&LN_GRID).enumerate() {
            let half_power = if j % 2 == 0 { 1.0 } else { std::f64::consts::SQRT_2 };
            let want = if j == 22 { 1000.0 } else { 1.0 + 0.1 * half_power * (1_u64 << (j / 2)) as f64 };
            assert!((g - want).abs() <= 1e-15 * want, "alternative {j} is {g}, expected {want}");
            assert!((ln_g - math::ln(*g)).abs() <= 1e-15 * ln_g, "ln of alternative {j} is {ln_g}");
        }
    }

    #[test]
    fn no_change_is_a_likelihood_ratio() {
        // 1,000 units, 200 of them in the canary; 30 events, 5 of them there. l(RR) = x_c ln RR - x ln(1 - q + q RR).
        let strata = [Stratum { canary_units: 200, units: 1_000, canary_first: 5, first: 30 }];
        let l = |ratio: f64| 5.0 * math::ln(ratio) - 30.0 * math::ln(0.8 + 0.2 * ratio);
        let want = math::ln(0.75 * math::exp(l(1.0) - l(1.5)) + 0.25 * math::exp(log_e_pass(&strata, 1.5)));
        assert!((log_e_within(&strata, 1.5) - want).abs() < 1e-12);
        assert_eq!(log_e_within(&[], 1.5), 0.0);
        assert_eq!(log_e_within(&strata, f64::INFINITY), 0.0);
    }

    #[test]
    fn strata_that_tell_nothing_are_no_evidence() {
        let nothing = [
            Stratum { canary_units: 0, units: 40, canary_first: 0, first: 2 },
            Stratum { canary_units: 40, units: 40, canary_first: 2, first: 2 },
            Stratum { canary_units: 5, units: 40, canary_first: 0, first: 0 },
            Stratum { canary_units: 50, units: 40, canary_first: 1, first: 2 },
            Stratum { canary_units: 5, units: 40, canary_first: 3, first: 2 },
        ];
        let something = Stratum { canary_units: 10, units: 100, canary_first: 3, first: 4 };
        for stratum in nothing {
            assert_eq!(log_e_fail(&[stratum], 1.0), 0.0, "{stratum:?}");
            assert_eq!(log_e_pass(&[stratum], 1.5), 0.0, "{stratum:?}");
            assert_eq!(log_e_fail(&[stratum, something], 1.0), log_e_fail(&[something], 1.0), "{stratum:?}");
        }
        assert_eq!(interval(&nothing, 0.05), Interval { low: 0.0, estimate: 1.0, high: f64::INFINITY });
        assert_eq!(interval(&[], 0.05), interval(&nothing, 0.05));
    }

    #[test]
    fn useless_null_ratios_are_no_evidence() {
        let stratum = [Stratum { canary_units: 10, units: 100, canary_first: 3, first: 4 }];
        for r0 in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(log_e_fail(&stratum, r0), 0.0);
            assert_eq!(log_e_pass(&stratum, r0), 0.0);
        }
        for alpha in [0.0, 1.0, f64::NAN] {
            assert_eq!(interval(&stratum, alpha).low, 0.0);
        }
    }

    #[test]
    fn swapped_arms_swap_the_two_tests() {
        let stratum = Stratum { canary_units: 130, units: 1000, canary_first: 17, first: 50 };
        let swapped = Stratum { canary_units: 870, units: 1000, canary_first: 33, first: 50 };
        for r0 in [0.3, 1.0, 1.5] {
            let difference = log_e_pass(&[stratum], r0) - log_e_fail(&[swapped], 1.0 / r0);
            assert!(difference.abs() < 1e-12, "at {r0}: {difference:e}");
        }
    }
}
