//! First pairs (unit, category): which routes units request, which services their traces call.
//!
//! A share test a category, two-sided with a tolerance; the group's evidence is the mean over categories. Categories
//! enter in order of first appearance (window, then hash of the unit that meets it). Sets are bounded: when they are full,
//! of units that come new only a hash sample is followed, the same for those at risk and those with a pair.

use std::collections::BTreeMap;

use hashbrown::HashSet;

use crate::compare::{budget, share};
use crate::engine::first_events::FirstEvents;
use crate::engine::memory;
use crate::engine::units::Arm;
use crate::event;
use crate::math;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::pair_hash;

/// Categories that are tested.
pub const CATEGORIES_MAX: usize = 100;
/// Entries of both sets past which of new units only every second is followed; past half as many again every fourth,
/// and so on: the sets grow with the logarithm of the number of units.
const ENTRIES_MAX: usize = 65_536;
/// Ratio of affected units that is not called a change (statistics design 4.8).
pub const TOLERANCE: f64 = 1.2;

type Set = HashSet<u64, foldhash::fast::FixedState>;

/// One category.
#[derive(Clone, PartialEq, Debug)]
struct Category {
    cell: FirstEvents,
    /// Evidence at the last look at which its counts changed.
    log_e: f64,
    dirty: bool,
}

/// A category with its evidence.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Ranked<'t> {
    /// The category.
    pub name: &'t str,
    /// ln e against "as often as before".
    pub log_e: f64,
    /// (units at risk, units that met it) of control and candidate.
    pub totals: [(u64, u64); 2],
}

/// State of one group.
#[derive(Clone, PartialEq, Debug)]
pub struct PairTest {
    /// Units come once: there is nothing to remember.
    once: bool,
    at_risk: FirstEvents,
    categories: BTreeMap<String, Category>,
    /// Units at risk in the current stratum.
    marks: Set,
    /// Pairs that were seen.
    pairs: Set,
    /// Units whose keyed hash is above this are not followed any more.
    range: u64,
    /// Pairs whose category was past the bound.
    past_bound: u64,
    /// Units at risk that categories have not been told of yet.
    untold: [u64; 2],
    /// Memory was short: nothing is counted any more, and the evidence is that of then.
    stopped: bool,
}

impl PairTest {
    /// Nothing seen. `once`: every unit comes once (traces, requests).
    pub fn new(once: bool) -> PairTest {
        PairTest {
            once,
            at_risk: FirstEvents::default(),
            categories: BTreeMap::new(),
            marks: Set::default(),
            pairs: Set::default(),
            range: u64::MAX,
            past_bound: 0,
            untold: [0; 2],
            stopped: false,
        }
    }

    /// A unit under an arm met categories. Called once a window and unit, in any order of units.
    pub fn meet<'n>(&mut self, unit: u64, arm: Arm, met: impl Iterator<Item = &'n str>) {
        if self.stopped {
            return;
        }
        if !self.once {
            let mark = event::mix(unit, 0x6d61_726b);
            if !self.marks.contains(&mark) {
                if pair_hash(unit) > self.range {
                    return;
                }
                self.marks.insert(mark);
                self.risk(arm);
            }
        } else {
            self.risk(arm);
        }
        for name in met {
            if !self.once && !self.pairs.insert(event::mix(unit, event::identity_hash(name.as_bytes()))) {
                continue;
            }
            if !self.categories.contains_key(name) {
                if self.categories.len() >= CATEGORIES_MAX {
                    self.past_bound += 1;
                    continue;
                }
                self.tell();
                let mut cell = FirstEvents::default();
                if let Some(now) = self.at_risk.strata().last() {
                    cell.at_risk(Arm::Candidate, now.canary_units);
                    cell.at_risk(Arm::Control, now.units - now.canary_units);
                }
                self.categories.insert(name.to_owned(), Category { cell, log_e: 0.0, dirty: true });
            }
            if let Some(category) = self.categories.get_mut(name) {
                category.cell.first(arm, 1);
                category.dirty = true;
            }
        }
    }

    fn risk(&mut self, arm: Arm) {
        self.at_risk.at_risk(arm, 1);
        self.untold[arm.at()] += 1;
    }

    /// Adds units at risk to every category; done rarely, because there are many.
    fn tell(&mut self) {
        let [control, candidate] = std::mem::take(&mut self.untold);
        if control + candidate > 0 {
            for category in self.categories.values_mut() {
                category.cell.at_risk(Arm::Control, control);
                category.cell.at_risk(Arm::Candidate, candidate);
            }
        }
    }

    /// Nothing more comes: what is remembered of units goes, what was counted stays.
    pub fn forget_units(&mut self) {
        self.tell();
        self.marks = Set::default();
        self.pairs = Set::default();
    }

    /// Memory is short: what is remembered of units goes, and nothing is counted any more. Neither units at risk nor those with a
    /// pair are, so the evidence stays what it was at a time that knows nothing of outcomes.
    pub fn stop(&mut self) {
        self.forget_units();
        self.stopped = true;
    }

    /// It was stopped because memory was short.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// A new stratum begins.
    pub fn cut(&mut self) {
        self.tell();
        self.at_risk.cut();
        self.marks.clear();
        for category in self.categories.values_mut() {
            category.cell.cut();
        }
    }

    /// Called at the close of a window, once every unit has met its categories.
    pub fn keep_bound(&mut self) {
        self.tell();
        let room = ENTRIES_MAX + ENTRIES_MAX / 2 * self.range.leading_zeros() as usize;
        if self.marks.len() + self.pairs.len() > room {
            self.range >>= 1;
        }
    }

    /// Pairs whose category came after the last that is tested.
    pub fn past_bound(&self) -> u64 {
        self.past_bound
    }

    /// ln of the group's e-value: the mean over its categories. Only categories with new pairs are evaluated again.
    pub fn log_e(&mut self) -> f64 {
        self.tell();
        for category in self.categories.values_mut().filter(|category| category.dirty) {
            category.log_e = share::log_e_changed(category.cell.strata(), TOLERANCE);
            category.dirty = false;
        }
        let all: Vec<f64> = self.categories.values().map(|category| category.log_e.min(budget::LOG_E_MAX)).collect();
        math::log_mean_exp(&all)
    }

    /// Categories by evidence, strongest first.
    pub fn ranked(&self) -> Vec<Ranked<'_>> {
        let mut list: Vec<Ranked<'_>> = self
            .categories
            .iter()
            .map(|(name, category)| Ranked { name, log_e: category.log_e, totals: category.cell.totals() })
            .collect();
        list.sort_by(|a, b| b.log_e.total_cmp(&a.log_e).then(a.name.cmp(b.name)));
        list
    }

    /// Units and pairs that are remembered.
    pub fn entries(&self) -> usize {
        self.marks.len() + self.pairs.len()
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        let of = |(name, category): (&String, &Category)| memory::text(name) + category.cell.bytes();
        self.at_risk.bytes()
            + memory::tree::<String, Category>(self.categories.len())
            + self.categories.iter().map(of).sum::<u64>()
            + memory::table::<u64>(self.marks.len())
            + memory::table::<u64>(self.pairs.len())
    }

    /// Share of units that is followed.
    pub fn followed(&self) -> f64 {
        self.range as f64 / u64::MAX as f64
    }

    /// Writes the state.
    pub fn write(&self, w: &mut Writer) {
        w.flag(self.once);
        w.flag(self.stopped);
        w.fixed(self.range);
        w.uint(self.past_bound);
        self.at_risk.write(w);
        w.length(self.categories.len());
        for (name, category) in &self.categories {
            w.text(name);
            category.cell.write(w);
            w.float(category.log_e);
            w.flag(category.dirty);
        }
        for set in [&self.marks, &self.pairs] {
            let mut list: Vec<u64> = set.iter().copied().collect();
            list.sort_unstable();
            w.length(list.len());
            list.into_iter().for_each(|entry| w.fixed(entry));
        }
    }

    /// Reads what [`PairTest::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<PairTest, Damaged> {
        let mut test = PairTest::new(r.flag()?);
        test.stopped = r.flag()?;
        test.range = r.fixed()?;
        test.past_bound = r.uint()?;
        test.at_risk = FirstEvents::read(r)?;
        for _ in 0..r.length()? {
            let name = r.text()?;
            let category = Category { cell: FirstEvents::read(r)?, log_e: r.float()?, dirty: r.flag()? };
            test.categories.insert(name, category);
        }
        for set in [&mut test.marks, &mut test.pairs] {
            for _ in 0..r.length()? {
                set.insert(r.fixed()?);
            }
        }
        Ok(test)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_that_only_one_arm_meets_is_found() {
        let mut test = PairTest::new(false);
        for unit in 1..=2000u64 {
            let arm = if unit % 2 == 0 { Arm::Candidate } else { Arm::Control };
            let met: &[&str] = if arm == Arm::Control { &["a", "b"] } else { &["a"] };
            test.meet(event::mix(unit, 7), arm, met.iter().copied());
        }
        let log_e = test.log_e();
        assert!(log_e > 100.0, "{log_e}");
        assert_eq!(test.ranked()[0].name, "b");
        assert!(test.ranked()[1].log_e < 0.0, "what both meet alike has not changed");
        let mut w = Writer::default();
        test.write(&mut w);
        assert_eq!(PairTest::read(&mut Reader::new(&w.bytes)).unwrap(), test);
    }

    #[test]
    fn full_sets_follow_fewer_new_units_and_keep_the_known() {
        let mut test = PairTest::new(false);
        let mut followed = vec![];
        for window in 0..400u64 {
            for unit in 1..=1_000u64 {
                let arm = if unit % 2 == 0 { Arm::Candidate } else { Arm::Control };
                test.meet(event::mix(window * 1_000 + unit, 3), arm, ["a"].into_iter());
            }
            test.keep_bound();
            followed.push(test.followed());
        }
        assert_eq!(followed[0], 1.0);
        assert!(followed.is_sorted_by(|a, b| a >= b), "{followed:?}");
        assert!((0.01..0.3).contains(&test.followed()), "a sample goes on: {}", test.followed());
        assert!(test.marks.len() + test.pairs.len() <= 4 * ENTRIES_MAX, "{}", test.marks.len() + test.pairs.len());
        let [control, candidate] = test.at_risk.totals();
        assert_eq!(control.0 + candidate.0, test.marks.len() as u64, "who is at risk is followed");
    }

    #[test]
    fn a_unit_counts_once_a_stratum() {
        let mut test = PairTest::new(false);
        for _ in 0..3 {
            test.meet(1, Arm::Control, ["a"].into_iter());
        }
        test.keep_bound();
        assert_eq!(test.ranked()[0].totals[0], (1, 1));
        test.cut();
        test.meet(1, Arm::Candidate, ["a", "b"].into_iter());
        test.keep_bound();
        assert_eq!(test.at_risk.totals(), [(1, 0), (1, 0)]);
        let b = test.ranked().into_iter().find(|ranked| ranked.name == "b").unwrap();
        assert_eq!(b.totals[1], (1, 1));
    }
}
