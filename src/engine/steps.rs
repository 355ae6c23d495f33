//! Which of the declared steps a rollout is in, as its logs show it.
//!
//! A step is a share of units. Who moves it (Argo Rollouts, Flagger, a person) need not tell: the share of the candidate since
//! the last cut (`engine::comparison`, strata are cut from arrivals) is that of the step. What an early step may leave open
//! (statistics design 4.7) is too much for a later one, so in doubt it is the later one: the share is taken three standard
//! errors above what was seen, and without a unit it is the last step.

use crate::compare::share::Stratum;
use crate::engine::bucket_sums::{BucketSums, Mark, View};
use crate::engine::comparison::Comparison;
use crate::engine::policy::Policy;
use crate::sketch::codec::{Damaged, Reader, Writer};

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

/// Strata of the step that a comparison is in, or of a later one; all where the policy declares no steps.
pub(super) fn own_strata(comparison: &Comparison, policy: &Policy) -> Vec<Stratum> {
    let strata = comparison.error_units.strata();
    match seen(comparison, policy) {
        None => strata.to_vec(),
        Some(step) => strata.iter().filter(|of| step_of(**of, &policy.steps) >= Some(step)).copied().collect(),
    }
}

/// Sums that PASS may ask.
const SUMS: usize = 6;

/// Sums of a comparison with declared steps as they were when the latest stratum began.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct SinceCut {
    /// Steps are declared.
    follows: bool,
    /// None before the share changed for the first time.
    marks: Option<Box<[Mark; SUMS]>>,
}

impl SinceCut {
    /// For a policy.
    pub(super) fn of(policy: &Policy) -> SinceCut {
        SinceCut { follows: !policy.steps.is_empty(), marks: None }
    }

    /// A stratum begins.
    pub(super) fn cut(&mut self, sums: [&mut BucketSums; SUMS]) {
        if self.follows {
            self.marks = Some(Box::new(sums.map(BucketSums::mark)));
        }
    }

    /// What was added since, in the order of the sums; `None` where all that came is of one step.
    pub(super) fn views(&self, sums: [&BucketSums; SUMS]) -> Option<[View; SUMS]> {
        let marks = self.marks.as_ref()?;
        let mut marks = marks.iter();
        Some(sums.map(|sums| marks.next().map_or_else(|| sums.view(), |mark| sums.view().since(mark))))
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        self.marks.as_ref().map_or(0, |_| SUMS as u64 * (Mark::BYTES + size_of::<Mark>() as u64))
    }

    /// Writes the marks.
    pub fn write(&self, w: &mut Writer) {
        w.flag(self.follows);
        w.flag(self.marks.is_some());
        self.marks.iter().flat_map(|marks| marks.iter()).for_each(|mark| mark.write(w));
    }

    /// Reads what [`SinceCut::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<SinceCut, Damaged> {
        let follows = r.flag()?;
        let marks = if r.flag()? {
            let marks = [(); SUMS].map(|()| Mark::read(r));
            let [a, b, c, d, e, f] = marks;
            Some(Box::new([a?, b?, c?, d?, e?, f?]))
        } else {
            None
        };
        Ok(SinceCut { follows, marks })
    }
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
