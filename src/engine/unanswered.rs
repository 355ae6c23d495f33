//! Units that others saw go to an arm, and of which the service itself logged no request: a candidate that dies before it logs.
//!
//! An exposure that another service logs (a proxy, a flag service) says which arm a unit was given. A share test on "no
//! request of the unit within a minute" (statistics design 4.5), each unit once a stratum. What is open when a stratum ends is
//! counted in neither, since an answer comes sooner than its absence.

use std::collections::BTreeMap;

use crate::compare::share;
use crate::engine::first_events::FirstEvents;
use crate::engine::memory;
use crate::engine::units::Arm;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::pair_hash;
use crate::time::{Micros, SECOND, Timestamp};

/// Time within which a request of an exposed unit is expected.
pub const ANSWER: Micros = 60 * SECOND;
/// Ratio of unanswered units that is no failure yet: users may call less often what works as well.
pub const TOLERANCE: f64 = 1.2;
/// Units of which it is remembered how it went; past it of further ones only every second is followed, and so on.
const UNITS_MAX: usize = 65_536;

/// How it went with a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// It was exposed, and has until then.
    Waits { until: i64, arm: Arm },
    /// It was told of in this stratum.
    Told,
    /// It was told of as unanswered, in any stratum.
    Unanswered,
}

/// State of the test.
#[derive(Clone, PartialEq, Debug)]
pub struct Unanswered {
    units: BTreeMap<u64, State>,
    range: u64,
    cell: FirstEvents,
}

impl Default for Unanswered {
    fn default() -> Self {
        Unanswered { units: BTreeMap::new(), range: u64::MAX, cell: FirstEvents::default() }
    }
}

impl Unanswered {
    /// Another service logged that a unit was given an arm.
    pub fn expose(&mut self, unit: u64, arm: Arm, at: Timestamp) {
        if pair_hash(unit) <= self.range {
            let until = at.0.saturating_add(ANSWER);
            self.units.entry(unit).or_insert(State::Waits { until, arm });
        }
    }

    /// The service logged a request of a unit; called after the exposures of its window.
    pub fn answer(&mut self, unit: u64) {
        if self.units.is_empty() {
            return;
        }
        if let Some(state) = self.units.get_mut(&unit)
            && let State::Waits { arm, .. } = *state
        {
            *state = State::Told;
            self.cell.at_risk(arm, 1);
        }
    }

    /// A window closes.
    pub fn close_window(&mut self, end: Timestamp) {
        for state in self.units.values_mut() {
            if let State::Waits { until, arm } = *state
                && until <= end.0
            {
                *state = State::Unanswered;
                self.cell.at_risk(arm, 1);
                self.cell.first(arm, 1);
            }
        }
        if self.units.len() > UNITS_MAX {
            self.range >>= 1;
            let range = self.range;
            self.units.retain(|unit, _| pair_hash(*unit) <= range);
        }
    }

    /// A new stratum begins.
    pub fn cut(&mut self) {
        self.cell.cut();
        self.units.retain(|_, state| *state == State::Unanswered);
    }

    /// Nothing more comes: what is remembered of units goes, what was counted stays.
    pub fn forget_units(&mut self) {
        self.units = BTreeMap::new();
    }

    /// Units of which it is known how it went, and those without an answer, of (control, candidate).
    pub fn totals(&self) -> [(u64, u64); 2] {
        self.cell.totals()
    }

    /// ln e against "not more of them than before", once there are units of both arms.
    pub fn log_e(&self) -> Option<f64> {
        let [(control, _), (candidate, _)] = self.totals();
        (control > 0 && candidate > 0).then(|| share::log_e_fail(self.cell.strata(), TOLERANCE))
    }

    /// Strata of the test.
    pub fn cell(&self) -> &FirstEvents {
        &self.cell
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        memory::tree::<u64, State>(self.units.len()) + self.cell.bytes()
    }

    /// Share of units that is followed.
    pub fn followed(&self) -> f64 {
        self.range as f64 / u64::MAX as f64
    }

    /// Writes what is tested.
    pub fn write_counters(&self, w: &mut Writer) {
        self.cell.write(w);
    }

    /// Reads what [`Unanswered::write_counters`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read_counters(&mut self, r: &mut Reader<'_>) -> Result<(), Damaged> {
        self.cell = FirstEvents::read(r)?;
        Ok(())
    }

    /// Writes what is remembered of units.
    pub fn write_units(&self, w: &mut Writer) {
        w.fixed(self.range);
        w.length(self.units.len());
        for (unit, state) in &self.units {
            w.fixed(*unit);
            let (code, until) = match state {
                State::Waits { until, arm: Arm::Control } => (0, *until),
                State::Waits { until, arm: Arm::Candidate } => (1, *until),
                State::Told => (2, 0),
                State::Unanswered => (3, 0),
            };
            w.byte(code);
            w.int(until);
        }
    }

    /// Reads what [`Unanswered::write_units`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read_units(r: &mut Reader<'_>) -> Result<Unanswered, Damaged> {
        let mut read = Unanswered { range: r.fixed()?, ..Unanswered::default() };
        for _ in 0..r.length()? {
            let (unit, code, until) = (r.fixed()?, r.byte()?, r.int()?);
            let state = match code {
                0 => State::Waits { until, arm: Arm::Control },
                1 => State::Waits { until, arm: Arm::Candidate },
                2 => State::Told,
                3 => State::Unanswered,
                _ => return Err(Damaged("unknown answer")),
            };
            read.units.insert(unit, state);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_without_a_request_within_a_minute_is_unanswered_once() {
        let mut seen = Unanswered::default();
        let at = |seconds: i64| Timestamp(seconds * SECOND);
        seen.expose(1, Arm::Candidate, at(3));
        seen.expose(2, Arm::Candidate, at(4));
        seen.expose(3, Arm::Control, at(5));
        seen.answer(2);
        seen.answer(9);
        seen.close_window(at(10));
        assert_eq!(seen.totals(), [(0, 0), (1, 0)]);
        seen.answer(3);
        seen.close_window(at(63));
        assert_eq!(seen.totals(), [(1, 0), (2, 1)]);
        // Again in the same stratum, and in the next: once is enough.
        seen.expose(1, Arm::Candidate, at(64));
        seen.cut();
        seen.expose(1, Arm::Candidate, at(70));
        seen.expose(2, Arm::Candidate, at(70));
        seen.close_window(at(80));
        seen.cut();
        seen.close_window(at(200));
        assert_eq!(seen.totals(), [(1, 0), (2, 1)], "what is open at a cut is counted nowhere");
        let mut w = Writer::default();
        seen.write_units(&mut w);
        seen.write_counters(&mut w);
        let mut r = Reader::new(&w.bytes);
        let mut read = Unanswered::read_units(&mut r).unwrap();
        read.read_counters(&mut r).unwrap();
        assert_eq!(read, seen);
    }

    #[test]
    fn a_candidate_that_answers_nobody_fails_soon_and_chance_does_not() {
        let run = |lost: fn(u64) -> bool| {
            let mut seen = Unanswered::default();
            for unit in 0..400u64 {
                let arm = if unit % 20 == 0 { Arm::Candidate } else { Arm::Control };
                seen.expose(crate::event::mix(unit, 5), arm, Timestamp(0));
                if !lost(unit) {
                    seen.answer(crate::event::mix(unit, 5));
                }
            }
            seen.close_window(Timestamp(ANSWER));
            seen.log_e().unwrap()
        };
        assert!(run(|unit| unit % 20 == 0) > 20.0);
        assert!(run(|unit| unit % 3 == 0) < 3.0);
    }
}
