//! Which of the declared steps a rollout is in, as its logs show it.
//!
//! A step is a share of units. Who moves it (Argo Rollouts, Flagger, a person) need not tell: the share of the candidate since
//! the last cut (`engine::comparison`, strata are cut from arrivals) is that of the step. What an early step may leave open
//! (statistics design 4.7) is too much for a later one, so in doubt it is the later one: the share is taken three standard
//! errors above what was seen, and without a unit it is the last step.

use crate::compare::share::Stratum;
use crate::engine::comparison::Comparison;
use crate::engine::policy::Policy;

/// Standard errors (of a binomial share) above the seen share.
const ERRORS_ABOVE: f64 = 3.0;

/// The whole, in parts per million.
const MILLION: f64 = 1e6;

/// The step that a comparison is in, from 0; `None` where the policy declares no steps.
pub fn seen(comparison: &Comparison, policy: &Policy) -> Option<usize> {
    let latest = comparison.error_units.strata().last().copied().unwrap_or_default();
    step_of(latest, &policy.steps)
}

/// Share of units that the next step exposes, 0 to 1; 1 in the last.
pub fn next_share(comparison: &Comparison, policy: &Policy) -> f64 {
    match seen(comparison, policy) {
        None => policy.next_share,
        Some(step) => policy.steps.get(step + 1).map_or(1.0, |ppm| f64::from(*ppm) / MILLION),
    }
}

/// `steps`: shares in parts per million, rising.
fn step_of(latest: Stratum, steps: &[u32]) -> Option<usize> {
    let last = steps.len().checked_sub(1)?;
    if latest.units == 0 {
        return Some(last);
    }
    let units = latest.units as f64;
    let share = latest.canary_units as f64 / units;
    // As if one more unit of each arm had come: few units of one arm alone are no share of all or nothing.
    let spread = {
        let smoothed = (latest.canary_units as f64 + 1.0) / (units + 2.0);
        (smoothed * (1.0 - smoothed) / units).sqrt()
    };
    let most = (share + ERRORS_ABOVE * spread).min(1.0) * MILLION;
    // Between two steps their geometric mean decides: shares differ by ratios.
    let is_below = |(lower, upper): (u32, u32)| most * most < f64::from(lower) * f64::from(upper);
    Some(steps.windows(2).position(|pair| matches!(pair, [lower, upper] if is_below((*lower, *upper)))).unwrap_or(last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(canary_units: u64, units: u64) -> Option<usize> {
        step_of(Stratum { canary_units, units, ..Stratum::default() }, &[50_000, 250_000, 1_000_000])
    }

    #[test]
    fn the_share_of_units_tells_the_step_and_doubt_is_in_favour_of_the_later_one() {
        assert_eq!(step_of(Stratum::default(), &[]), None);
        assert_eq!(step(0, 0), Some(2));
        // Five in a hundred: of 20 units it might be a quarter, of 2,000 not.
        assert_eq!(step(1, 20), Some(1));
        assert_eq!(step(100, 2_000), Some(0));
        // A pod of ten stands for a step of 5 %, where there are no more.
        assert_eq!(step(1_000, 10_000), Some(0));
        assert_eq!(step(2_500, 10_000), Some(1));
        assert_eq!(step(4_500, 10_000), Some(1));
        assert_eq!(step(6_000, 10_000), Some(2));
        assert_eq!(step(10_000, 10_000), Some(2));
        assert_eq!(step(0, 10_000), Some(0));
        assert_eq!(step_of(Stratum { canary_units: 1, units: 100, ..Stratum::default() }, &[1_000_000]), Some(0));
    }
}
