//! Whether units came to the arms as declared, and whether the candidate's are missing.
//!
//! A router that gives 27 of 30 % is set otherwise than was said; a canary that gets 15 of 30 % dies for half of its users before it
//! logs. The first makes the comparison INVALID, the second FAILs it, and each has evidence of its own: against the declared share, and
//! against four fifths of it. (The design calls every lack of the candidate's units a deficit.)
//!
//! Units up to the window in which the candidate had its first do not count: it came within it, and those that the control had before
//! would look like a lack of the candidate's. A candidate that has none at all (it was heard, see `engine::arms`) lacks all.
//!
//! Where only steps are declared the candidate has at least the share of the first, and in later ones more: that is a deficit where it has
//! less, and never a wrong ratio. Which step a rollout is in nobody tells the engine: the share that is seen does
//! (`engine::steps`), and it is that which is tested here.
//!
//! Each stratum is tested by itself, with weight .9 for the first and .1 / (i (i + 1)) for the i-th after it, so that a share that
//! changes later is seen however long it was right before. (A weighted sum of e-values is an e-value.)

use crate::compare::sample_ratio;
use crate::engine::comparison::Comparison;
use crate::engine::look::LOG_BROKEN;
use crate::engine::policy::Policy;
use crate::math;

/// Part of its declared share below which a candidate's units are missing; above it the ratio is wrong.
const DEFICIT: f64 = 0.8;
/// Part below which units of the latest stratum are taken to be missing before that is proven: a deficit will be, soon.
const FAR: f64 = 0.5;

/// What the units of the arms say of a declared share.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) struct SampleRatio {
    /// ln e of "the declared share is not what is seen"; `None` where only the least share is declared.
    pub log_wrong: Option<f64>,
    /// ln e of "the candidate has less than [`DEFICIT`] of it".
    pub log_few: f64,
    /// The latest units are far from it.
    is_far: bool,
}

impl SampleRatio {
    /// Of a comparison; `None` where no share is declared.
    pub(super) fn of(comparison: &Comparison, policy: &Policy) -> Option<SampleRatio> {
        let share = policy.least_share()?;
        let mut strata: Vec<[u64; 2]> = match comparison.strata() {
            _ if comparison.by_request() => vec![comparison.distinct],
            0 | 1 => vec![comparison.distinct],
            _ => comparison.units_by_stratum().collect(),
        };
        // A candidate that came within a window had no share of what was before it there.
        if let Some(first) = strata.first_mut() {
            *first = [0, 1].map(|arm| first[arm].saturating_sub(comparison.first_window[arm]));
        }
        let ratio = SampleRatio::of_strata(share, &strata);
        Some(SampleRatio { log_wrong: ratio.log_wrong.filter(|_| policy.declared_share.is_some()), ..ratio })
    }

    /// `strata`: units of (control, candidate).
    fn of_strata(share: f64, strata: &[[u64; 2]]) -> SampleRatio {
        let wrong = |[control, candidate]: [u64; 2]| {
            sample_ratio::log_e(&[candidate, control], &[share, 1.0 - share], sample_ratio::PRIOR_UNITS)
        };
        let few = |[control, candidate]: [u64; 2]| {
            sample_ratio::log_e_fewer(candidate, control.saturating_add(candidate), DEFICIT * share)
        };
        let over = |test: &dyn Fn([u64; 2]) -> f64| match strata {
            [only] => test(*only),
            _ => over_strata(&strata.iter().map(|units| test(*units)).collect::<Vec<f64>>()),
        };
        let [control, candidate] = strata.last().copied().unwrap_or_default();
        let is_far = (candidate as f64) < FAR * share * (control + candidate) as f64;
        SampleRatio { log_wrong: Some(over(&wrong)), log_few: over(&few), is_far }
    }

    /// It is not as declared.
    pub(super) fn is_wrong(&self) -> bool {
        self.log_wrong.is_some_and(|log_wrong| log_wrong >= LOG_BROKEN)
    }

    /// The candidate's units are missing, or so few that this will be proven soon: no wrong ratio is told of.
    pub(super) fn is_deficit(&self) -> bool {
        self.is_far || self.log_few >= LOG_BROKEN
    }
}

/// ln of the weighted sum over strata, from the ln e of each.
fn over_strata(strata: &[f64]) -> f64 {
    const FIRST: f64 = 0.9;
    let weight = |at: usize| if at == 0 { FIRST } else { (1.0 - FIRST) / (at * (at + 1)) as f64 };
    let mut terms: Vec<f64> = strata.iter().enumerate().map(|(at, log_e)| math::ln(weight(at)) + log_e).collect();
    // Strata that are still to come count with e = 1.
    terms.push(math::ln((1.0 - FIRST) / strata.len().max(1) as f64));
    math::log_sum_exp(&terms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::comparison::{Between, ControlFrom};
    use crate::pipeline::plan::UnitKind;
    use crate::time::Timestamp;

    /// Units of a share of so many.
    fn units(of: u64, share: f64) -> [u64; 2] {
        let candidate = (of as f64 * share).round() as u64;
        [of - candidate, candidate]
    }

    #[test]
    fn a_wrong_ratio_is_no_deficit_and_a_deficit_no_wrong_ratio() {
        let declared = 0.3;
        for seen in [0.25, 0.255, 0.27, 0.33] {
            let ratio = SampleRatio::of_strata(declared, &[units(30_000, seen)]);
            assert!(ratio.is_wrong() && !ratio.is_deficit() && ratio.log_few < 0.0, "{seen}: {ratio:?}");
        }
        for seen in [0.0, 0.1, 0.2] {
            let ratio = SampleRatio::of_strata(declared, &[units(30_000, seen)]);
            assert!(ratio.is_wrong() && ratio.is_deficit() && ratio.log_few >= LOG_BROKEN, "{seen}: {ratio:?}");
        }
        let ratio = SampleRatio::of_strata(declared, &[units(30_000, 0.3)]);
        assert!(!ratio.is_wrong() && !ratio.is_deficit(), "{ratio:?}");
    }

    /// A candidate came late in a window: of those before it there it had no share.
    #[test]
    fn users_before_the_candidate_came_are_no_lack_of_its_own() {
        let between = Between { control: "a", candidate: "b", control_from: ControlFrom::Named };
        let mut comparison = Comparison::new(between, UnitKind::User, LOG_BROKEN, 1, 0, Timestamp(0));
        let policy = Policy { declared_share: Some(0.5), ..Policy::default() };
        comparison.distinct = [8_214, 1_117];
        let ratio = SampleRatio::of(&comparison, &policy).unwrap();
        assert!(ratio.is_wrong() && ratio.is_deficit(), "a lack as long as it lasts: {ratio:?}");
        comparison.first_window = [8_214, 1_117];
        assert!(!SampleRatio::of(&comparison, &policy).unwrap().is_wrong());
        comparison.distinct = [9_214, 2_117];
        let ratio = SampleRatio::of(&comparison, &policy).unwrap();
        assert!(!ratio.is_wrong() && !ratio.is_deficit(), "{ratio:?}");
    }

    /// However long it was right before.
    #[test]
    fn units_that_are_missing_later_are_missed() {
        let ratio = SampleRatio::of_strata(0.3, &[units(100_000, 0.3), units(5_000, 0.15)]);
        assert!(ratio.is_wrong() && ratio.is_deficit() && ratio.log_few >= LOG_BROKEN, "{ratio:?}");
        // Before that is proven, it is no wrong ratio.
        let ratio = SampleRatio::of_strata(0.3, &[units(100_000, 0.3), units(20, 0.0)]);
        assert!(ratio.is_deficit() && ratio.log_few < LOG_BROKEN, "{ratio:?}");
    }

    #[test]
    fn weights_of_strata_sum_to_one_and_the_first_has_most() {
        for strata in [1, 2, 3, 10] {
            let neutral = over_strata(&vec![0.0; strata]);
            assert!(neutral.abs() < 1e-12, "{strata} strata: {neutral:e}");
        }
        let [first, second, third] = [[20.0, 0.0, 0.0], [0.0, 20.0, 0.0], [0.0, 0.0, 20.0]].map(|e| over_strata(&e));
        assert!((first - (20.0 + math::ln(0.9))).abs() < 1e-6, "{first}");
        assert!((second - (20.0 + math::ln(0.05))).abs() < 1e-6, "{second}");
        assert!((third - (20.0 + math::ln(0.1 / 6.0))).abs() < 1e-6, "{third}");
    }
}
