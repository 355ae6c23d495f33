//! Business events that may not become rarer, or, where they do harm, more frequent: for each that the policy names, the units that
//! meet it for the first time.
//!
//! The share test of [`crate::compare::share`] the other way round: evidence that the candidate's units meet an event *less*
//! often than the control's (statistics design 4.4: H0 is a rate ratio of 1 or more); of an event that does harm, that they meet it
//! more often, as with errors. At risk are the units that were active
//! in a stratum and had no such event before; N comes from requests and exposures, never from the events themselves. An
//! event counts for the arm that its unit has in the current stratum, whichever file, service or arm its line names. One of a
//! unit that was not active there enters no test: there is no N that it would be part of.

use crate::compare::share;
use crate::engine::first_events::FirstEvents;
use crate::engine::flaws::{UNIT_DIFFERENCE, differs_from};
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
    pub fn new(name: &str, harms: bool) -> Conversion {
        Conversion {
            name: name.to_owned(),
            harms,
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

    /// A unit that has not met it is active in the stratum for the first time.
    #[inline]
    pub fn at_risk(&mut self, arm: Arm) {
        self.units.at_risk(arm, 1);
    }

    /// Writes the state.
    pub fn write(&self, w: &mut Writer) {
        w.text(&self.name);
        w.flag(self.harms);
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
        let units = FirstEvents::read(r)?;
        Ok(Conversion {
            name,
            harms,
            units,
            lines: r.uint()?,
            without_unit: r.uint()?,
            unassigned: r.uint()?,
            nobodys: [r.uint()?, r.uint()?],
            joined: [r.uint()?, r.uint()?],
        })
    }
}
