//! Business events that may not become rarer, or, where they do harm, more frequent: for each that the policy names, the units that
//! meet it for the first time.
//!
//! The share test of [`crate::compare::share`] the other way round: evidence that the candidate's units meet an event *less*
//! often than the control's (statistics design 4.4: H0 is a rate ratio of 1 or more); of an event that does harm, that they meet it
//! more often, as with errors. At risk are the units that were active
//! in a stratum and had no such event before; N comes from requests and exposures, never from the events themselves. An
//! event counts for the arm that its unit has in the current stratum, whichever file, service or arm its line names. One of a
//! unit that was not active there enters no test: there is no N that it would be part of.
//!
//! An event may be one that is met so many times ([`Conversion::at_least`]): how often units do something is then tested as whether
//! they do ([`Counted`]).

use crate::compare::share;
use crate::engine::counted::Counted;
use crate::engine::first_events::FirstEvents;
use crate::engine::flaws::{UNIT_DIFFERENCE, differs_from};
use crate::engine::memory;
use crate::engine::units::Arm;
use crate::sketch::codec::{Damaged, Reader, Writer};

/// Lines of each arm before it is compared what they lack: fewer prove no fall.
const LINES_MIN: u64 = 10;

/// An event that a window brings: a unit, which event, and how many lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Converted {
    /// Hash of the unit; 0 where the lines name none.
    pub unit: u64,
    /// Index of the event in the policy.
    pub event: u8,
    /// Lines.
    pub lines: u32,
    /// Arm that lines without a unit name.
    pub arm: Option<Arm>,
}

/// State of one event.
#[derive(Clone, PartialEq, Debug)]
pub struct Conversion {
    /// Its name.
    pub name: String,
    /// It does harm: it fails a rollout when it rises, the others when they fall.
    pub harms: bool,
    /// Times that a unit meets it before it counts; from 1.
    pub at_least: u16,
    /// How often those units met it that have, and still not often enough.
    counted: Counted,
    /// Units at risk, and those that had it, by stratum.
    pub units: FirstEvents,
    /// Lines since the comparison began.
    pub lines: u64,
    /// Lines among them that name no unit.
    pub without_unit: u64,
    /// Those of them that name (control, candidate).
    pub nobodys: [u64; 2],
    /// Lines of units of (control, candidate).
    pub joined: [u64; 2],
    /// Lines among them of units that were not active in the stratum.
    pub unassigned: u64,
}

impl Conversion {
    /// Nothing was seen yet.
    pub fn new(name: &str, harms: bool, at_least: u16) -> Conversion {
        Conversion {
            name: name.to_owned(),
            harms,
            at_least: at_least.max(1),
            counted: Counted::default(),
            units: FirstEvents::default(),
            lines: 0,
            without_unit: 0,
            unassigned: 0,
            nobodys: [0; 2],
            joined: [0; 2],
        }
    }

    /// ln e against "the candidate's units meet it at least as often", or at most as often where it does harm; `None` while there is
    /// nothing to test.
    pub fn log_e(&self) -> Option<f64> {
        let [(control, a), (candidate, b)] = self.units.totals();
        let log_e = if self.harms { share::log_e_fail } else { share::log_e_pass };
        (control > 0 && candidate > 0 && a + b > 0).then(|| log_e(self.units.strata(), 1.0))
    }

    /// Lines of one arm lack their unit more often: what they tell is in no test, and would decide.
    pub fn is_broken(&self) -> bool {
        let all = [0, 1].map(|arm| self.nobodys[arm].saturating_add(self.joined[arm]));
        differs_from(self.nobodys, all, UNIT_DIFFERENCE, LINES_MIN)
    }

    /// Share of the units of (control, candidate) that met it, 0 to 1; a unit of several strata counts in each.
    pub fn shares(&self) -> [Option<f64>; 2] {
        self.units.totals().map(|(units, met)| (units > 0).then(|| met as f64 / units as f64))
    }

    /// A unit that has not met it (often enough) is active in the stratum for the first time.
    #[inline]
    pub fn at_risk(&mut self, unit: u64, arm: Arm) {
        if self.follows(unit) {
            self.units.at_risk(arm, 1);
        }
    }

    fn follows(&self, unit: u64) -> bool {
        self.at_least <= 1 || self.counted.follows_new(unit) || self.counted.of(unit).is_some()
    }

    /// A unit that has not met it often enough meets it so many times more; whether that is enough.
    pub fn meets(&mut self, unit: u64, times: u64) -> bool {
        if self.at_least <= 1 {
            return true;
        }
        let is_enough = self.counted.add(unit, times, self.at_least).is_some_and(|(_, count)| count >= self.at_least);
        if is_enough {
            self.counted.remove(unit);
        }
        is_enough
    }

    /// Called at the close of a window.
    pub fn keep_bound(&mut self) {
        self.counted.keep_bound();
    }

    /// Nothing more comes: what is remembered of units goes, what was counted stays.
    pub fn forget_units(&mut self) {
        self.counted.forget();
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        memory::text(&self.name) + self.units.bytes() + self.counted.bytes()
    }

    /// Writes what is remembered of units.
    pub fn write_units(&self, w: &mut Writer) {
        self.counted.write(w);
    }

    /// Reads what [`Conversion::write_units`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read_units(&mut self, r: &mut Reader<'_>) -> Result<(), Damaged> {
        self.counted = Counted::read(r)?;
        Ok(())
    }

    /// Writes the state.
    pub fn write(&self, w: &mut Writer) {
        w.text(&self.name);
        w.flag(self.harms);
        w.uint(u64::from(self.at_least));
        self.units.write(w);
        [self.lines, self.without_unit, self.unassigned].into_iter().for_each(|count| w.uint(count));
        self.nobodys.into_iter().chain(self.joined).for_each(|count| w.uint(count));
    }

    /// Reads what [`Conversion::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Conversion, Damaged> {
        let name = r.text()?;
        let harms = r.flag()?;
        let at_least = r.uint16()?;
        let units = FirstEvents::read(r)?;
        Ok(Conversion {
            name,
            harms,
            at_least,
            counted: Counted::default(),
            units,
            lines: r.uint()?,
            without_unit: r.uint()?,
            unassigned: r.uint()?,
            nobodys: [r.uint()?, r.uint()?],
            joined: [r.uint()?, r.uint()?],
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_counts_once_it_has_met_it_often_enough() {
        let mut of = Conversion::new("reload", true, 3);
        assert_eq!([of.meets(5, 1), of.meets(5, 1), of.meets(6, 2), of.meets(5, 1)], [false, false, false, true]);
        assert!(of.meets(7, 9), "at once");
        let mut w = Writer::default();
        of.write(&mut w);
        of.write_units(&mut w);
        let mut r = Reader::new(&w.bytes);
        let mut read = Conversion::read(&mut r).unwrap();
        read.read_units(&mut r).unwrap();
        assert_eq!(read, of);
        assert!(read.meets(6, 1), "what was counted before goes on");
        assert!(Conversion::new("pay", false, 1).meets(5, 1));
    }

    #[test]
    fn past_the_bound_a_sample_of_new_units_is_at_risk_and_counted_alike() {
        let mut of = Conversion::new("reload", true, 2);
        let unit = |n: u64| crate::event::mix(n, 77);
        (0..=crate::engine::counted::COUNTED_MAX as u64).for_each(|n| assert!(!of.meets(unit(n), 1)));
        of.keep_bound();
        let mut enough = 0;
        for n in 200_000..210_000 {
            of.at_risk(unit(n), Arm::Candidate);
            enough += u64::from(of.meets(unit(n), 2));
        }
        assert_eq!(of.units.totals()[1].0, enough);
        assert!((4_700..5_300).contains(&enough), "{enough}");
        assert!(of.meets(unit(3), 1), "who is counted stays so");
    }
}
