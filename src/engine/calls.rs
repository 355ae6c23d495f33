//! What calls from outside made: one request, or several.
//!
//! Work inside requests may be logged as requests are, and count as such where nothing tells it: then one id is that of several requests, and
//! what failed among them may be what the request got over. As long as that is so in both arms alike, it makes no difference between
//! them. Where one arm has more of it, its failures are not those that the other's are.
//!
//! Two things are asked. Whether calls of which nothing failed make several requests more often in one arm: who falls back on something
//! else, or tries again, makes two of one, so those with a failure are left aside. And whether what the candidate fails more often is what
//! it got over: the request that came last, or took longest, succeeded, and calls have so many requests more.
//!
//! Arms are compared within strata, in which the share of the candidate stays the same: who asks at night may make one request of a
//! page, and by day several.

use crate::engine::memory;
use crate::engine::units::Arm;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::rows::CallRow;

/// Difference in the share of calls with several requests from which on requests are not counted alike, and calls of each arm that it takes.
const DIFFERENCE: f64 = 0.05;
const CALLS_MIN: u64 = 10;
/// Standard deviations of a difference that is none by chance, and of one that makes a person look.
const DEVIATIONS: f64 = 5.0;
const DEVIATIONS_TO_LOOK: f64 = 3.0;
/// Calls of the candidate that got over a failure from which on its failures are asked.
const GOT_OVER_MIN: u64 = 3;
/// Part of what fails more often that was got over, and requests more for each such call, from which on a person must look.
const PART: f64 = 0.5;
/// Requests of the candidate up to which nothing acts before it has [`CALLS_MIN`] calls, where the control has some.
const REQUESTS_FEW: u64 = 50;
/// Strata that are kept apart; past it the two neighbours with the nearest share merge.
const STRATA_MAX: usize = 64;

/// Calls of one arm in one stratum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Counted {
    /// All that are followed.
    all: u64,
    /// Requests that they made.
    requests: u64,
    /// Those of which no request failed, and those of them that made several.
    clean: u64,
    several: u64,
    /// Those of which one failed, and those of them that got over it.
    failed: u64,
    got_over: u64,
}

impl Counted {
    fn fields(&mut self) -> [&mut u64; 6] {
        [&mut self.all, &mut self.requests, &mut self.clean, &mut self.several, &mut self.failed, &mut self.got_over]
    }

    fn add(&mut self, mut other: Counted) {
        self.fields().into_iter().zip(other.fields()).for_each(|(to, from)| *to += *from);
    }
}

/// Calls of (control, candidate), by stratum.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Calls {
    /// Closed strata and, last, the current one.
    strata: Vec<[Counted; 2]>,
}

impl Default for Calls {
    fn default() -> Self {
        Calls { strata: vec![Default::default()] }
    }
}

/// What is counted for each call, and of how many.
type Part = fn(&Counted) -> (u64, u64);

/// How far the candidate lies above the control within strata, with its variance.
struct Excess {
    mean: f64,
    variance: f64,
}

impl Excess {
    fn is_beyond(&self, deviations: f64) -> bool {
        self.mean * self.mean > deviations * deviations * self.variance
    }
}

impl Calls {
    /// A call of a window.
    pub fn add(&mut self, arm: Arm, row: &CallRow) {
        let Some(stratum) = self.strata.last_mut() else { return };
        let failed = u64::from(row.failed);
        stratum[arm.at()].add(Counted {
            all: 1,
            requests: u64::from(row.requests),
            clean: 1 - failed,
            several: (1 - failed) * u64::from(row.requests > 1),
            failed,
            got_over: u64::from(row.is_got_over()),
        });
    }

    /// A new stratum begins.
    pub fn cut(&mut self) {
        if self.strata.last().is_some_and(|of| of.iter().any(|counted| counted.all > 0)) {
            self.strata.push(Default::default());
        }
        if self.strata.len() > STRATA_MAX {
            self.merge_nearest();
        }
    }

    fn merge_nearest(&mut self) {
        let share =
            |[control, candidate]: &[Counted; 2]| candidate.all as f64 / (control.all + candidate.all).max(1) as f64;
        let closed = self.strata.len().saturating_sub(1);
        let distances = self.strata[..closed].windows(2).map(|pair| (share(&pair[0]) - share(&pair[1])).abs());
        let nearest = distances.enumerate().min_by(|a, b| a.1.total_cmp(&b.1));
        if let Some((at, _)) = nearest {
            let gone = self.strata.remove(at + 1);
            self.strata[at].iter_mut().zip(gone).for_each(|(to, from)| to.add(from));
        }
    }

    /// Sum over strata of (control, candidate).
    fn totals(&self) -> [Counted; 2] {
        let mut totals = [Counted::default(); 2];
        for stratum in &self.strata {
            totals.iter_mut().zip(stratum).for_each(|(to, from)| to.add(*from));
        }
        totals
    }

    /// How far a share of the candidate lies above the control's, in strata that have both weighted by the candidate's
    /// (direct standardisation).
    fn excess(&self, part: Part) -> Option<Excess> {
        let (mut whole, mut sum, mut variance) = (0.0, 0.0, 0.0);
        for [control, candidate] in &self.strata {
            let [(a, n_a), (b, n_b)] = [control, candidate].map(part).map(|(part, whole)| (part as f64, whole as f64));
            if n_a > 0.0 && n_b > 0.0 {
                let pooled = (a + b) / (n_a + n_b);
                whole += n_b;
                sum += b - n_b * a / n_a;
                variance += n_b * n_b * pooled * (1.0 - pooled).max(0.0) * (1.0 / n_a + 1.0 / n_b);
            }
        }
        (whole > 0.0).then(|| Excess { mean: sum / whole, variance: variance / (whole * whole) })
    }

    /// Calls of one arm make several requests more often than those of the other.
    pub fn differ(&self) -> bool {
        let enough = self.totals().iter().all(|of| of.clean >= CALLS_MIN);
        let several = self.excess(|of| (of.several, of.clean));
        enough && several.is_some_and(|of| of.mean.abs() > DIFFERENCE && of.is_beyond(DEVIATIONS))
    }

    /// What the candidate fails more often may be, for the larger part, what its requests got over.
    pub fn may_be_got_over(&self) -> bool {
        let of = |part: Part| self.excess(part);
        let excesses = (of(|of| (of.failed, of.all)), of(|of| (of.got_over, of.all)), of(|of| (of.requests, of.all)));
        let (Some(failed), Some(got_over), Some(requests)) = excesses else { return false };
        self.totals()[1].got_over >= GOT_OVER_MIN
            && got_over.mean > 0.0
            && got_over.is_beyond(DEVIATIONS_TO_LOOK)
            && got_over.mean >= PART * failed.mean
            && requests.mean >= PART * got_over.mean
    }

    /// More calls of the candidate fail as a whole: however its requests are counted, that is what callers see.
    pub fn fail_as_a_whole(&self) -> bool {
        let whole = |of: &Counted| of.failed - of.got_over.min(of.failed);
        let excess = self.excess(|of| (of.failed - of.got_over.min(of.failed), of.all));
        whole(&self.totals()[1]) >= CALLS_MIN && excess.is_some_and(|of| of.mean > 0.0 && of.is_beyond(DEVIATIONS))
    }

    /// The control says which requests belong to one call, and the candidate, with so many requests, has said too little of it.
    pub fn are_too_few(&self, requests: u64) -> bool {
        let [control, candidate] = self.totals();
        control.all > 0 && candidate.all < CALLS_MIN && requests < REQUESTS_FEW
    }

    /// Share of calls of (control, candidate) that make several requests, of those without a failure.
    pub fn shares(&self) -> [f64; 2] {
        self.totals().map(|of| of.several as f64 / of.clean.max(1) as f64)
    }

    /// Calls of (control, candidate) that got over a failure, and those with one.
    pub fn got_over(&self) -> [(u64, u64); 2] {
        self.totals().map(|of| (of.got_over, of.failed))
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        memory::list::<[Counted; 2]>(self.strata.len())
    }

    /// Writes the state.
    pub fn write(&self, w: &mut Writer) {
        w.length(self.strata.len());
        for mut counted in self.strata.iter().flatten().copied() {
            counted.fields().into_iter().for_each(|count| w.uint(*count));
        }
    }

    /// Reads the state.
    ///
    /// # Errors
    /// The bytes end too early.
    pub fn read(r: &mut Reader<'_>) -> Result<Calls, Damaged> {
        let mut strata = Vec::new();
        for _ in 0..r.length()? {
            let mut both = [Counted::default(); 2];
            for field in both.iter_mut().flat_map(Counted::fields) {
                *field = r.uint()?;
            }
            strata.push(both);
        }
        if strata.is_empty() {
            return Err(Damaged("no stratum of calls"));
        }
        Ok(Calls { strata })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sketch::rows::Row;

    /// A call of one request.
    fn one(at: u32, latency: u16, failed: bool) -> CallRow {
        CallRow {
            call: 7,
            unit: 1,
            service: 0,
            arm: 0,
            requests: 1,
            last: (at, 0),
            slowest: latency,
            failed,
            last_failed: failed,
            slowest_failed: failed,
        }
    }

    fn sum(rows: &[CallRow]) -> CallRow {
        let mut sum = rows[0];
        rows[1..].iter().for_each(|row| sum.combine(row));
        sum
    }

    #[test]
    fn what_comes_last_or_takes_longest_says_whether_a_call_got_over_its_failure() {
        for (rows, got_over) in [
            (vec![one(1, 5, true)], false),
            (vec![one(1, 5, false), one(2, 9, false)], false),
            (vec![one(1, 5, true), one(2, 9, false)], true),
            (vec![one(1, 5, false), one(2, 9, true)], false),
            // It is logged behind its request, and took less.
            (vec![one(1, 9, false), one(2, 5, true)], true),
            (vec![one(1, 0, true), one(2, 0, false)], true),
            // As long, and one of them succeeded.
            (vec![one(1, 5, true), one(2, 5, true), one(2, 5, false)], true),
        ] {
            for turned in 0..rows.len() {
                let mut list = rows.clone();
                list.rotate_left(turned);
                let sum = sum(&list);
                assert_eq!((sum.is_got_over(), usize::from(sum.requests)), (got_over, rows.len()), "{list:?}");
            }
        }
    }

    #[test]
    fn arms_differ_by_calls_that_did_not_fail() {
        let several = sum(&[one(1, 5, false), one(2, 9, false)]);
        let mut calls = Calls::default();
        for at in 0..200 {
            calls.add(Arm::Control, &one(1, 5, at % 2 == 0));
            calls.add(Arm::Candidate, &sum(&[one(1, 5, true), one(2, 9, true)]));
            calls.add(Arm::Candidate, &one(1, 5, false));
        }
        assert!(!calls.differ(), "{calls:?}");
        (0..60).for_each(|_| calls.add(Arm::Candidate, &several));
        assert!(calls.differ(), "{calls:?}");
    }

    /// At night a call makes one request, by day two; by day most of it is the candidate's.
    #[test]
    fn what_both_arms_do_at_another_time_is_no_difference() {
        let several = sum(&[one(1, 5, false), one(2, 9, false)]);
        let mut calls = Calls::default();
        (0..1_000).for_each(|_| calls.add(Arm::Control, &one(1, 5, false)));
        (0..50).for_each(|_| calls.add(Arm::Candidate, &one(1, 5, false)));
        calls.cut();
        for _ in 0..1_000 {
            calls.add(Arm::Control, &several);
            calls.add(Arm::Candidate, &several);
        }
        assert!(!calls.differ(), "{calls:?}");
        let mut w = Writer::default();
        calls.write(&mut w);
        assert_eq!(Calls::read(&mut Reader::new(&w.bytes)).unwrap(), calls);
        (0..2 * STRATA_MAX).for_each(|_| {
            calls.cut();
            calls.add(Arm::Control, &several);
        });
        assert_eq!(calls.strata.len(), STRATA_MAX);
    }

    #[test]
    fn failures_that_were_got_over_are_those_of_further_requests() {
        // A further call fails always: nothing without a failure is left of the candidate.
        let fallback = sum(&[one(1, 5, true), one(2, 9, false)]);
        let mut calls = Calls::default();
        (0..300).for_each(|_| calls.add(Arm::Control, &one(1, 5, false)));
        (0..2).for_each(|_| calls.add(Arm::Candidate, &fallback));
        assert!(calls.are_too_few(4) && !calls.are_too_few(60) && !calls.may_be_got_over());
        (0..20).for_each(|_| calls.add(Arm::Candidate, &fallback));
        assert!(calls.may_be_got_over() && !calls.differ() && !calls.are_too_few(44), "{calls:?}");

        // Its own requests fail too.
        assert!(!calls.fail_as_a_whole());
        (0..20).for_each(|_| calls.add(Arm::Candidate, &one(1, 5, true)));
        assert!(calls.fail_as_a_whole(), "{calls:?}");

        // Of the same failures most are of whole calls.
        let mut calls = Calls::default();
        (0..300).for_each(|_| calls.add(Arm::Control, &one(1, 5, false)));
        for at in 0..100 {
            calls.add(Arm::Candidate, &if at % 4 == 0 { fallback } else { one(1, 5, true) });
        }
        assert!(!calls.may_be_got_over(), "{calls:?}");

        // One id for all requests of a page, in both arms: one that fails amid others is a failure.
        let (page, broken) = (sum(&[one(1, 5, false), one(2, 9, false)]), sum(&[one(1, 5, true), one(2, 9, false)]));
        let mut calls = Calls::default();
        (0..300).for_each(|_| calls.add(Arm::Control, &page));
        (0..100).for_each(|_| calls.add(Arm::Candidate, &broken));
        assert!(!calls.may_be_got_over(), "{calls:?}");
    }
}
