//! What calls from outside made: one request, or several.
//!
//! Work inside requests may be logged as requests are, and count as such where nothing tells it: then one id is that of several requests, and
//! what failed among them may be what the request got over. As long as that is so in both arms alike, it makes no difference between
//! them. Where one arm has more of it, its failures are not those that the other's are.
//!
//! Two things are asked. Whether calls of which nothing failed make several requests more often in one arm: who falls back on something
//! else, or tries again, makes two of one, so those with a failure are left aside. And whether what the candidate fails more often is what
//! it got over: the request that began first, or took longest, succeeded, and calls have so many requests more.
//!
//! Arms are compared within strata, in which the share of the candidate stays the same: who asks at night may make one request of a
//! page, and by day several.

use crate::engine::memory;
use crate::engine::units::Arm;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::latency::log2_fixed;
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
/// Strata that are kept apart; past it the two neighbours with the nearest share merge.
const STRATA_MAX: usize = 64;

/// Calls of one arm in one stratum.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Counted {
    /// All that are followed.
    all: u64,
    /// Requests that they made, and the sum of the squares of their numbers.
    requests: u64,
    squares: u64,
    /// Those whose first request has a latency, with the sum of its logarithms (to the base 2, in 256ths) and of their squares.
    timed: u64,
    log2: u64,
    log2_squares: u64,
    /// Those of which no request failed, and those of them that made several.
    clean: u64,
    several: u64,
    /// Those of which one failed, those of them that got over it, and those that failed as a whole.
    failed: u64,
    got_over: u64,
    whole: u64,
}

impl Counted {
    fn fields(&mut self) -> [&mut u64; 11] {
        let [all, requests, squares] = [&mut self.all, &mut self.requests, &mut self.squares];
        let [timed, log2, log2_squares] = [&mut self.timed, &mut self.log2, &mut self.log2_squares];
        let [clean, several] = [&mut self.clean, &mut self.several];
        let [failed, got_over, whole] = [&mut self.failed, &mut self.got_over, &mut self.whole];
        [all, requests, squares, timed, log2, log2_squares, clean, several, failed, got_over, whole]
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

/// A sum over calls, the sum of the squares of what each adds to it, and how many calls there are.
type Part = fn(&Counted) -> (u64, u64, u64);

/// Of what a call has or has not.
fn share(part: u64, whole: u64) -> (u64, u64, u64) {
    (part, part, whole)
}

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
        let failed = u64::from(row.failed > 0);
        let requests = u64::from(row.requests);
        // What began before the window may be no more than what goes on behind an answer.
        let log2 = row
            .first
            .checked_sub(1)
            .filter(|_| row.begin >= 0)
            .map(|bin| u64::try_from(log2_fixed(bin)).unwrap_or(0) >> 8);
        stratum[arm.at()].add(Counted {
            all: 1,
            requests,
            squares: requests * requests,
            timed: u64::from(log2.is_some()),
            log2: log2.unwrap_or(0),
            log2_squares: log2.map_or(0, |log2| log2 * log2),
            clean: 1 - failed,
            several: (1 - failed) * u64::from(row.requests > 1),
            failed,
            got_over: u64::from(row.is_got_over()),
            whole: u64::from(row.fails_as_a_whole()),
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

    /// How far the mean of the candidate lies above the control's, in strata that have both weighted by the candidate's (direct
    /// standardisation).
    fn excess(&self, part: Part) -> Option<Excess> {
        let (mut whole, mut sum, mut variance) = (0.0, 0.0, 0.0);
        for [control, candidate] in &self.strata {
            let [(a, a2, n_a), (b, b2, n_b)] =
                [control, candidate].map(part).map(|(sum, squares, n)| (sum as f64, squares as f64, n as f64));
            if n_a > 0.0 && n_b > 0.0 {
                let mean = (a + b) / (n_a + n_b);
                let pooled = ((a2 + b2) / (n_a + n_b) - mean * mean).max(0.0);
                whole += n_b;
                sum += b - n_b * a / n_a;
                variance += n_b * n_b * pooled * (1.0 / n_a + 1.0 / n_b);
            }
        }
        (whole > 0.0).then(|| Excess { mean: sum / whole, variance: variance / (whole * whole) })
    }

    /// Calls of one arm make several requests more often than those of the other.
    pub fn differ(&self) -> bool {
        let enough = self.totals().iter().all(|of| of.clean >= CALLS_MIN);
        let several = self.excess(|of| share(of.several, of.clean));
        enough && several.is_some_and(|of| of.mean.abs() > DIFFERENCE && of.is_beyond(DEVIATIONS))
    }

    /// What the candidate fails more often may be, for the larger part, what its requests got over.
    pub fn may_be_got_over(&self) -> bool {
        let of = |part: Part| self.excess(part);
        let excesses = (
            of(|of| share(of.failed, of.all)),
            of(|of| share(of.got_over, of.all)),
            of(|of| (of.requests, of.squares, of.all)),
        );
        let (Some(failed), Some(got_over), Some(requests)) = excesses else { return false };
        self.totals()[1].got_over >= GOT_OVER_MIN
            && got_over.mean > 0.0
            && got_over.is_beyond(DEVIATIONS_TO_LOOK)
            && got_over.mean >= PART * failed.mean
            && requests.mean >= PART * got_over.mean
            && requests.is_beyond(DEVIATIONS_TO_LOOK)
    }

    /// More calls of the candidate fail as a whole: however its requests are counted, that is what callers see.
    pub fn fail_as_a_whole(&self) -> bool {
        let excess = self.excess(|of| share(of.whole, of.all));
        self.totals()[1].whole >= CALLS_MIN && excess.is_some_and(|of| of.mean > 0.0 && of.is_beyond(DEVIATIONS))
    }

    /// The first request of the candidate's calls is slower: so are they, however many requests they have.
    pub fn are_slower(&self) -> bool {
        let enough = self.totals().iter().all(|of| of.timed >= CALLS_MIN);
        let excess = self.excess(|of| (of.log2, of.log2_squares, of.timed));
        enough && excess.is_some_and(|of| of.mean > 0.0 && of.is_beyond(DEVIATIONS))
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

    /// A call of one request, which ends so many milliseconds after its window's start.
    fn one(end: i64, took: u16, failed: bool) -> CallRow {
        let bin = crate::sketch::latency::bin_of(u64::from(took) * 1_000);
        CallRow {
            call: 7,
            unit: 1,
            service: 0,
            arm: 0,
            requests: 1,
            failed: u16::from(failed),
            begin: if took == 0 { 0 } else { (end - i64::from(took)) * 1_000 },
            first: if took == 0 { 0 } else { bin + 1 },
            first_failed: failed,
            slowest: if took == 0 { 0 } else { bin + 1 },
            slowest_failed: failed,
        }
    }

    fn sum(rows: &[CallRow]) -> CallRow {
        let mut sum = rows[0];
        rows[1..].iter().for_each(|row| sum.combine(row));
        sum
    }

    #[test]
    fn what_begins_first_and_takes_longest_says_whether_a_call_got_over_its_failure() {
        for (what, rows, got_over) in [
            ("alone", vec![one(40, 30, true)], false),
            ("nothing failed", vec![one(20, 5, false), one(40, 30, false)], false),
            ("a call inside", vec![one(20, 5, true), one(40, 30, false)], true),
            ("the request itself", vec![one(20, 5, false), one(40, 30, true)], false),
            ("behind its answer", vec![one(40, 30, false), one(60, 5, true)], true),
            ("behind its answer, and late", vec![one(40, 30, false), one(5_040, 5_000, true)], true),
            ("before it is measured", vec![one(5, 4, true), one(40, 30, false)], true),
            ("then told by a beacon", vec![one(40, 30, true), one(60, 2, false)], false),
            ("nothing says which", vec![one(20, 0, true), one(40, 0, false)], true),
            ("nothing says which, all failed", vec![one(20, 0, true), one(40, 0, true)], false),
            ("two alike", vec![one(40, 30, true), one(40, 30, false)], true),
        ] {
            for turned in 0..rows.len() {
                let mut list = rows.clone();
                list.rotate_left(turned);
                let sum = sum(&list);
                assert_eq!((sum.is_got_over(), usize::from(sum.requests)), (got_over, rows.len()), "{what}: {list:?}");
            }
        }
    }

    /// What began before the window may be what goes on behind an answer that lies in the one before.
    #[test]
    fn what_began_before_its_window_fails_as_no_whole() {
        assert!(one(4_000, 30, true).fails_as_a_whole() && one(4_000, 0, true).fails_as_a_whole());
        assert!(!one(4_000, 5_000, true).fails_as_a_whole() && !one(4_000, 5_000, true).is_got_over());
        assert!(!sum(&[one(20, 5, true), one(40, 30, false)]).fails_as_a_whole());
    }

    #[test]
    fn calls_are_slower_by_what_begins_first() {
        let with_another = |took: u16| sum(&[one(4_000, took, false), one(4_001, 4, false)]);
        for (took, slower) in [(30, false), (150, true)] {
            let mut calls = Calls::default();
            for at in 0..300u16 {
                calls.add(Arm::Control, &one(4_000, 30 + at % 9, false));
                calls.add(Arm::Candidate, &with_another(took + at % 9));
            }
            assert_eq!((calls.differ(), calls.are_slower()), (true, slower));
        }
    }

    /// Pages of few requests and of many, alike in both arms: one that fails amid them is a failure.
    #[test]
    fn numbers_that_vary_by_chance_explain_nothing() {
        let page = |requests: u64, fails: bool| {
            let rows: Vec<CallRow> = (0..requests).map(|at| one(40 + 50 * at as i64, 30, fails && at == 1)).collect();
            sum(&rows)
        };
        let mut calls = Calls::default();
        for at in 0..400 {
            calls.add(Arm::Control, &page(3 + at * 37 % 78, false));
            calls.add(Arm::Candidate, &page(3 + at * 37 % 78 + at % 2, at % 4 == 0));
        }
        assert!(!calls.may_be_got_over(), "{calls:?}");
    }

    #[test]
    fn arms_differ_by_calls_that_did_not_fail() {
        let several = sum(&[one(20, 5, false), one(40, 30, false)]);
        let mut calls = Calls::default();
        for at in 0..200 {
            calls.add(Arm::Control, &one(40, 30, at % 2 == 0));
            calls.add(Arm::Candidate, &sum(&[one(20, 5, true), one(40, 30, true)]));
            calls.add(Arm::Candidate, &one(40, 30, false));
        }
        assert!(!calls.differ(), "{calls:?}");
        (0..60).for_each(|_| calls.add(Arm::Candidate, &several));
        assert!(calls.differ(), "{calls:?}");
    }

    /// At night a call makes one request, by day two; by day most of it is the candidate's.
    #[test]
    fn what_both_arms_do_at_another_time_is_no_difference() {
        let several = sum(&[one(20, 5, false), one(40, 30, false)]);
        let mut calls = Calls::default();
        (0..1_000).for_each(|_| calls.add(Arm::Control, &one(40, 30, false)));
        (0..50).for_each(|_| calls.add(Arm::Candidate, &one(40, 30, false)));
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
        let fallback = sum(&[one(20, 5, true), one(40, 30, false)]);
        let mut calls = Calls::default();
        (0..300).for_each(|_| calls.add(Arm::Control, &one(40, 30, false)));
        (0..2).for_each(|_| calls.add(Arm::Candidate, &fallback));
        assert!(!calls.may_be_got_over());
        (0..20).for_each(|_| calls.add(Arm::Candidate, &fallback));
        assert!(calls.may_be_got_over() && !calls.differ(), "{calls:?}");

        // Its own requests fail too.
        assert!(!calls.fail_as_a_whole());
        (0..20).for_each(|_| calls.add(Arm::Candidate, &one(40, 30, true)));
        assert!(calls.fail_as_a_whole(), "{calls:?}");

        // Of the same failures most are of whole calls.
        let mut calls = Calls::default();
        (0..300).for_each(|_| calls.add(Arm::Control, &one(40, 30, false)));
        for at in 0..100 {
            calls.add(Arm::Candidate, &if at % 4 == 0 { fallback } else { one(40, 30, true) });
        }
        assert!(!calls.may_be_got_over(), "{calls:?}");

        // One id for all requests of a page, in both arms: one that fails amid others is a failure.
        let (page, broken) =
            (sum(&[one(20, 5, false), one(40, 30, false)]), sum(&[one(20, 5, true), one(40, 30, false)]));
        let mut calls = Calls::default();
        (0..300).for_each(|_| calls.add(Arm::Control, &page));
        (0..100).for_each(|_| calls.add(Arm::Candidate, &broken));
        assert!(!calls.may_be_got_over(), "{calls:?}");
    }
}
