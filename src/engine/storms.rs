//! Units that fail again and again: a release that lets those that failed before fail more often is seen by no test of first
//! errors.
//!
//! A share test on "so many failed requests of one unit", for each of [`LEVELS`], from the start of the comparison
//! (statistics design 4.6). Failed requests are counted only for units that had one ([`Counted`]).

use crate::engine::counted::Counted;
use crate::engine::first_events::FirstEvents;
use crate::engine::units::Arm;
use crate::sketch::codec::{Damaged, Reader, Writer};

/// Failed requests of one unit that are an event.
pub const LEVELS: [u16; 2] = [8, 64];

/// State of the tests.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Storms {
    /// Failed requests of each unit that had one, at most the highest level.
    counts: Counted,
    /// Units that reached each level.
    reached: [FirstEvents; LEVELS.len()],
}

impl Storms {
    /// A unit is active in a stratum for the first time. `erred`: it had a failed request before.
    #[inline]
    pub fn enter(&mut self, unit: u64, arm: Arm, erred: bool) {
        let had = match erred {
            false if self.counts.follows_new(unit) => 0,
            true if let Some(had) = self.counts.of(unit) => had,
            // It is not counted.
            _ => return,
        };
        for (cell, level) in self.reached.iter_mut().zip(LEVELS) {
            if had < level {
                cell.at_risk(arm, 1);
            }
        }
    }

    /// Requests of a unit have failed; it has entered the stratum.
    pub fn fail(&mut self, unit: u64, arm: Arm, errors: u64) {
        let [.., highest] = LEVELS;
        let Some((before, count)) = self.counts.add(unit, errors, highest) else { return };
        for (cell, level) in self.reached.iter_mut().zip(LEVELS) {
            if before < level && count >= level {
                cell.first(arm, 1);
            }
        }
    }

    /// A new stratum begins.
    pub fn cut(&mut self) {
        for cell in &mut self.reached {
            cell.cut();
        }
    }

    /// Called at the close of a window.
    pub fn keep_bound(&mut self) {
        self.counts.keep_bound();
    }

    /// Nothing more comes: what is remembered of units goes, what was counted stays.
    pub fn forget_units(&mut self) {
        self.counts.forget();
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        self.counts.bytes() + self.reached.iter().map(FirstEvents::bytes).sum::<u64>()
    }

    /// Share of units whose failed requests are counted.
    pub fn followed(&self) -> f64 {
        self.counts.followed()
    }

    /// Units that reached a level, by its place in [`LEVELS`].
    pub fn reached(&self, level: usize) -> &FirstEvents {
        let [first, second] = &self.reached;
        if level == 0 { first } else { second }
    }

    /// Writes what is tested.
    pub fn write_counters(&self, w: &mut Writer) {
        self.reached.iter().for_each(|cell| cell.write(w));
    }

    /// Reads what [`Storms::write_counters`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read_counters(&mut self, r: &mut Reader<'_>) -> Result<(), Damaged> {
        for cell in &mut self.reached {
            *cell = FirstEvents::read(r)?;
        }
        Ok(())
    }

    /// Writes what is remembered of units.
    pub fn write_units(&self, w: &mut Writer) {
        self.counts.write(w);
    }

    /// Reads what [`Storms::write_units`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read_units(r: &mut Reader<'_>) -> Result<Storms, Damaged> {
        Ok(Storms { counts: Counted::read(r)?, ..Storms::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(storms: &Storms) -> [[(u64, u64); 2]; 2] {
        [0, 1].map(|level| storms.reached(level).totals())
    }

    #[test]
    fn a_unit_reaches_each_level_once_over_all_strata() {
        let mut storms = Storms::default();
        storms.enter(5, Arm::Candidate, false);
        storms.fail(5, Arm::Candidate, 7);
        assert_eq!(totals(&storms), [[(0, 0), (1, 0)]; 2]);
        storms.fail(5, Arm::Candidate, 1);
        storms.fail(5, Arm::Candidate, 50);
        assert_eq!(totals(&storms), [[(0, 0), (1, 1)], [(0, 0), (1, 0)]]);
        storms.cut();
        // It moved: of eight it is no more at risk, of sixty-four it is.
        storms.enter(5, Arm::Control, true);
        storms.fail(5, Arm::Control, 1_000);
        assert_eq!(totals(&storms), [[(0, 0), (1, 1)], [(1, 1), (1, 0)]]);
        let mut w = Writer::default();
        storms.write_units(&mut w);
        storms.write_counters(&mut w);
        let mut r = Reader::new(&w.bytes);
        let mut read = Storms::read_units(&mut r).unwrap();
        read.read_counters(&mut r).unwrap();
        assert_eq!(read, storms);
    }

    #[test]
    fn past_the_bound_a_sample_of_new_units_is_counted_and_those_at_risk_alike() {
        let mut storms = Storms::default();
        let unit = |n: u64| crate::event::mix(n, 77);
        for n in 0..crate::engine::counted::COUNTED_MAX as u64 + 1 {
            storms.fail(unit(n), Arm::Control, 1);
        }
        storms.keep_bound();
        assert!((storms.followed() - 0.5).abs() < 1e-9);
        for n in 200_000..210_000 {
            storms.enter(unit(n), Arm::Candidate, false);
            storms.fail(unit(n), Arm::Candidate, 8);
        }
        let [_, (at_risk, reached)] = totals(&storms)[0];
        assert_eq!(at_risk, reached);
        assert!((4_700..5_300).contains(&reached), "{reached}");
    }
}
