//! The rows of the scoreboard: what is simulated, how often, what is read off it, and what is asked of it.
//!
//! Rows, targets and numbers of runs follow the statistics design, section 5, and what was asked beyond it.

mod list;

use crate::compare::verdict::{Cell, Verdict};
use crate::simulate::run::{Plan, Record};
use crate::simulate::traffic::{Routing, Traffic};

pub use list::{DECIDED, rows};

/// Something that a run may come to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Event {
    /// The evidence of a curve reached a level: index into [`crate::simulate::run::LEVELS`].
    Reached(&'static str, usize),
    /// A verdict was said.
    Said(Verdict),
    /// A verdict was first said in this minute or later.
    SaidFrom(Verdict, u32),
    /// The last verdict.
    Ended(Verdict),
    /// The last verdict of the second candidate.
    SecondEnded(Verdict),
    /// A changed behaviour held the verdict back.
    HeldBack,
    /// A guardrail reached the PASS line.
    Passed(Cell),
    /// The shown interval of a cell left out the truth.
    Outside(Cell),
    /// A rule of others took the canary back.
    Rival(&'static str),
    /// Routing was decided, and not as it is.
    Misrouted,
    /// Routing was never decided.
    Unrouted,
    /// There was never anything to compare, so there is no verdict at all.
    NeverCompared,
    /// Something was said of log lines: one of [`crate::simulate::run::LINES_SAID`].
    Lines(&'static str),
}

impl Event {
    /// Whether the run could tell: the rules of others look on in some runs only.
    pub fn asked(self, record: &Record) -> bool {
        !matches!(self, Event::Rival(name) if !record.rivals.contains_key(name))
    }

    /// First minute at which it came.
    pub fn at(self, record: &Record, traffic: &Traffic) -> Option<u32> {
        let ended = |verdict: &Option<String>, asked: Verdict| {
            (verdict.as_deref() == Some(asked.name())).then_some(record.minutes)
        };
        match self {
            Event::Reached(curve, level) => {
                record.curves.get(curve).and_then(|curve| curve.first.get(level).copied().flatten())
            }
            Event::Said(verdict) => record.verdicts.get(verdict.name()).copied(),
            Event::SaidFrom(verdict, minute) => {
                record.verdicts.get(verdict.name()).copied().filter(|first| *first >= minute)
            }
            Event::Ended(verdict) => ended(&record.verdict, verdict),
            Event::SecondEnded(verdict) => ended(&record.second, verdict),
            Event::HeldBack => record.changed,
            Event::Passed(cell) => record.passed.get(cell.name()).copied(),
            Event::Outside(cell) => record.outside.get(cell.name()).copied(),
            Event::Rival(name) => record.rivals.get(name).copied().flatten(),
            Event::Misrouted => {
                let right = match traffic.routing {
                    Routing::Sticky | Routing::Swapping(_) => "sticky",
                    Routing::PerRequest => "per request",
                    Routing::Roaming(users) if users >= 0.25 => "mixed",
                    Routing::Roaming(_) => "sticky",
                };
                record.routing.as_ref().filter(|(name, _)| name != right).map(|(_, at)| *at)
            }
            Event::Unrouted => record.routing.is_none().then_some(record.minutes),
            Event::Lines(what) => record.lines.get(what).map(|[minute, _]| *minute),
            Event::NeverCompared => record.verdict.is_none().then_some(record.minutes),
        }
    }
}

/// How a figure is read off the runs of a row.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Measure {
    /// Share of runs with the event.
    Share(Event),
    /// Share of runs with the event within so many minutes.
    Within(Event, u32),
    /// Minutes from the onset by which this share of runs had it.
    Time(Event, f64),
    /// Time of 80 % of runs, in multiples of an oracle's: a test of fixed size at its true 5 % critical value, taken from
    /// the row of the same traffic without the effect.
    Oracle(Event, &'static str),
    /// Distinct units of the candidate that had met the new log line when something was said of it (one of
    /// [`crate::simulate::run::LINES_SAID`]), in this share of runs.
    Units(&'static str, f64),
    /// Mean of the evidence at a stop (index into [`crate::simulate::run::STOPS`]); nothing has changed, so 1 at most.
    MeanE(&'static str, usize),
}

/// What is asked of a figure.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Target {
    /// Nothing: it is shown.
    None,
    /// A share, and its upper 95 % limit.
    ShareAtMost(f64, f64),
    /// A share of runs.
    ShareAtLeast(f64),
    /// Minutes.
    Minutes(f64),
    /// A multiple of the oracle.
    Times(f64),
    /// Distinct units.
    Units(f64),
    /// A mean of at most 1, within three standard errors.
    MeanOne,
}

/// A figure of a row.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    /// In words.
    pub text: String,
    /// How it is measured.
    pub measure: Measure,
    /// What is asked.
    pub target: Target,
    /// Of a rule that others use.
    pub rival: bool,
}

/// A row.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// Short name, for `--row`.
    pub name: &'static str,
    /// Part of the scoreboard.
    pub part: &'static str,
    /// In words.
    pub title: String,
    /// Runs that the target asks for.
    pub runs: u64,
    /// Seed s takes number s modulo their count.
    pub plans: Vec<Plan>,
    /// Figures.
    pub lines: Vec<Line>,
}

impl Row {
    /// What a seed simulates.
    pub fn plan(&self, seed: u64) -> &Plan {
        &self.plans[(seed % self.plans.len() as u64) as usize]
    }
}

/// A row of the design that is not simulated here, and why.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Elsewhere {
    /// What.
    pub title: &'static str,
    /// What is asked.
    pub target: &'static str,
    /// Where it is shown, or why it is not.
    pub why: &'static str,
}

/// Rows without a simulation.
pub const ELSEWHERE: [Elsewhere; 5] = [
    Elsewhere {
        title: "boutique f0, f2, f4, f1, aa_hash and permuted labels",
        target: "FAIL, changed, nothing; <= 2 % FAIL",
        why: "tests/real_logs.rs",
    },
    Elsewhere {
        title: "same verdict for any partitions; replay",
        target: "bit-equal counters",
        why: "tests/determinism.rs",
    },
    Elsewhere { title: "golden vectors", target: "all", why: "tests/statistics_golden.rs" },
    Elsewhere { title: "Kayenta's 18 classifications and 2 intervals", target: "all", why: "tests/rival_golden.rs" },
    Elsewhere { title: "cost per event", target: "<= 50 ns", why: "serin bench fold" },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::traffic::Effect;

    #[test]
    fn names_are_distinct_and_every_null_row_is_there() {
        let rows = rows();
        let names: std::collections::BTreeSet<&str> = rows.iter().map(|row| row.name).collect();
        assert_eq!(names.len(), rows.len());
        for row in &rows {
            assert!(!row.lines.is_empty() && row.runs > 0, "{}", row.name);
            for line in &row.lines {
                if let Measure::Oracle(_, null) = line.measure {
                    let null = rows.iter().find(|row| row.name == null).unwrap();
                    // The same traffic, but for the effect, watched at least as long.
                    let (a, b) = (&row.plans[0], &null.plans[0]);
                    assert_eq!(Traffic { effect: Effect::None, ..a.traffic }, b.traffic, "{}", row.name);
                    assert!(a.oracle && b.oracle && a.minutes <= b.minutes);
                }
            }
        }
    }
}
