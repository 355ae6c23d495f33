//! The course of a verdict over a story: when it was reached, how long it has stood, whether it is the one deserved.

use super::traffic::Expect;
use crate::compare::verdict::Verdict;
use crate::engine::comparison::Comparison;
use crate::time::{MINUTE, Micros, Timestamp};

/// A verdict that has stood for this long is shown to stay.
const STANDS: Micros = 10 * MINUTE;
/// A story goes on for at least so long after its rollout begins: the rules that people use today need an hour.
const AT_LEAST: Micros = 60 * MINUTE;

/// What one look concluded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Conclusion {
    /// The verdict.
    pub verdict: Verdict,
    /// A changed behaviour holds back a PASS.
    pub held_back: bool,
}

impl Conclusion {
    /// Nothing has been looked at.
    pub const NONE: Conclusion = Conclusion { verdict: Verdict::Inconclusive, held_back: false };

    /// A story that expects `expect` deserves this.
    pub fn fits(self, expect: Expect) -> bool {
        match expect {
            Expect::Pass => self.verdict == Verdict::Pass,
            Expect::Fail => self.verdict == Verdict::Fail,
            Expect::Changed => self.held_back,
            Expect::Invalid => self.verdict == Verdict::Invalid,
        }
    }
}

/// The course of one comparison, look by look.
#[derive(Clone, Debug)]
pub struct Course {
    /// Start of the rollout, as the engine saw it.
    started: Option<Timestamp>,
    /// End of the window that was looked at last.
    now: Timestamp,
    current: Conclusion,
    /// Since when the current conclusion stands.
    since: Timestamp,
    /// Every conclusion that was reached, with the first time, in that order.
    reached: Vec<(Conclusion, Timestamp)>,
}

impl Default for Course {
    fn default() -> Self {
        let never = Timestamp(0);
        Course { started: None, now: never, current: Conclusion::NONE, since: never, reached: Vec::new() }
    }
}

impl Course {
    /// Takes the latest look of a comparison.
    pub fn look(&mut self, comparison: &Comparison) {
        let look = &comparison.look;
        let conclusion = Conclusion { verdict: look.verdict, held_back: look.held_back };
        self.take(comparison.started_at, comparison.ended_at, conclusion);
    }

    fn take(&mut self, started: Timestamp, now: Timestamp, conclusion: Conclusion) {
        self.started = Some(started);
        self.now = now;
        if self.current != conclusion || self.reached.is_empty() {
            self.current = conclusion;
            self.since = now;
        }
        if self.reached.iter().all(|(reached, _)| *reached != conclusion) {
            self.reached.push((conclusion, now));
        }
    }

    /// The latest conclusion.
    pub fn current(&self) -> Conclusion {
        self.current
    }

    /// Since when the latest conclusion stands.
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// When the latest conclusion was reached for the first time; `None` when nothing was concluded.
    pub fn first(&self) -> Option<Timestamp> {
        if self.current == Conclusion::NONE {
            return None;
        }
        self.reached.iter().find(|(reached, _)| *reached == self.current).map(|(_, at)| *at)
    }

    /// Event time from the start of the rollout until `at`.
    pub fn after(&self, at: Timestamp) -> Micros {
        self.started.map_or(0, |started| at.0 - started.0)
    }

    /// Event time that was looked at.
    pub fn length(&self) -> Micros {
        self.after(self.now)
    }

    /// Waiting adds nothing: a PASS or a FAIL stands, and the other rules have had their time.
    pub fn is_over(&self) -> bool {
        matches!(self.current.verdict, Verdict::Pass | Verdict::Fail)
            && self.now.0 - self.since.0 >= STANDS
            && self.length() >= AT_LEAST
    }

    /// The conclusion at the end is the one deserved, and none that would have misled was reached on the way.
    pub fn is_as_expected(&self, expect: Expect) -> bool {
        let misleads = |conclusion: Conclusion| conclusion.verdict != Verdict::Inconclusive && !conclusion.fits(expect);
        self.current.fits(expect) && !self.reached.iter().any(|(conclusion, _)| misleads(*conclusion))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASS: Conclusion = Conclusion { verdict: Verdict::Pass, held_back: false };
    const FAIL: Conclusion = Conclusion { verdict: Verdict::Fail, held_back: false };
    const INVALID: Conclusion = Conclusion { verdict: Verdict::Invalid, held_back: false };
    const HELD_BACK: Conclusion = Conclusion { verdict: Verdict::Inconclusive, held_back: true };

    /// One look a minute.
    fn course(looks: &[(usize, Conclusion)]) -> Course {
        let mut course = Course::default();
        let mut minute = 0;
        for (times, conclusion) in looks {
            for _ in 0..*times {
                minute += 1;
                course.take(Timestamp(0), Timestamp(minute * MINUTE), *conclusion);
            }
        }
        course
    }

    #[test]
    fn a_story_deserves_what_it_ends_with_and_nothing_that_misleads_before() {
        let none = Conclusion::NONE;
        for (looks, expect, as_expected) in [
            (vec![(3, none), (1, PASS), (1, none), (1, PASS)], Expect::Pass, true),
            (vec![(3, none), (1, PASS), (1, none)], Expect::Pass, false),
            (vec![(3, none), (1, FAIL)], Expect::Fail, true),
            (vec![(3, PASS), (1, FAIL)], Expect::Fail, false),
            (vec![(1, none), (3, HELD_BACK)], Expect::Changed, true),
            (vec![(1, PASS), (3, HELD_BACK)], Expect::Changed, false),
            (vec![(1, none)], Expect::Changed, false),
            (vec![(1, none), (3, INVALID)], Expect::Invalid, true),
            (vec![(1, FAIL), (3, INVALID)], Expect::Invalid, false),
            (vec![], Expect::Pass, false),
        ] {
            assert_eq!(course(&looks).is_as_expected(expect), as_expected, "{looks:?} {expect:?}");
        }
    }

    #[test]
    fn a_story_is_over_when_its_verdict_has_stood() {
        let none = Conclusion::NONE;
        assert!(!course(&[(5, none), (54, FAIL)]).is_over());
        assert!(course(&[(5, none), (55, FAIL)]).is_over());
        assert!(!course(&[(70, none), (10, PASS)]).is_over());
        assert!(course(&[(70, none), (11, PASS)]).is_over());
        assert!(!course(&[(70, none), (5, PASS), (1, none), (10, PASS)]).is_over());
        assert!(!course(&[(900, INVALID)]).is_over());
        assert!(!course(&[(900, HELD_BACK)]).is_over());
    }

    #[test]
    fn times_count_from_the_start_of_the_rollout() {
        let course = course(&[(4, Conclusion::NONE), (2, PASS), (1, Conclusion::NONE), (3, PASS)]);
        assert_eq!(course.first().map(|at| course.after(at)), Some(5 * MINUTE));
        assert_eq!(course.since(), Timestamp(8 * MINUTE));
        assert_eq!(course.length(), 10 * MINUTE);
    }
}
