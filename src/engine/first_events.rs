//! State of one share test: by stratum, units at risk and units with a first event, in the candidate and in all.

use crate::compare::share::Stratum;
use crate::engine::memory;
use crate::engine::units::Arm;
use crate::sketch::codec::{Damaged, Reader, Writer};

/// Strata that are kept apart; past it the two with the nearest share merge.
pub const STRATA_MAX: usize = 64;

/// Counts of one kind of first event.
#[derive(Clone, PartialEq, Debug)]
pub struct FirstEvents {
    /// Closed strata and, last, the current one.
    strata: Vec<Stratum>,
}

impl Default for FirstEvents {
    fn default() -> Self {
        FirstEvents { strata: vec![Stratum::default()] }
    }
}

impl FirstEvents {
    #[inline]
    fn current(&mut self) -> &mut Stratum {
        if self.strata.is_empty() {
            self.strata.push(Stratum::default());
        }
        let at = self.strata.len() - 1;
        &mut self.strata[at]
    }

    /// Units that are active in the stratum for the first time and had no such event before.
    #[inline]
    pub fn at_risk(&mut self, arm: Arm, units: u64) {
        let stratum = self.current();
        stratum.units += units;
        stratum.canary_units += if arm == Arm::Candidate { units } else { 0 };
    }

    /// Units that have their first such event. They are among those at risk.
    #[inline]
    pub fn first(&mut self, arm: Arm, units: u64) {
        let stratum = self.current();
        stratum.first += units;
        stratum.canary_first += if arm == Arm::Candidate { units } else { 0 };
    }

    /// A new stratum begins. Returns the places of two strata that were merged: that of the first, and that which is gone.
    pub fn cut(&mut self) -> Option<(usize, usize)> {
        if self.current().units > 0 {
            self.strata.push(Stratum::default());
        }
        if self.strata.len() > STRATA_MAX { self.merge_nearest() } else { None }
    }

    /// Merges the two closed strata with the nearest share of the candidate (the older pair on a tie).
    fn merge_nearest(&mut self) -> Option<(usize, usize)> {
        let pair = self.nearest()?;
        self.merge(pair);
        Some(pair)
    }

    /// As many strata as another, nothing counted.
    pub(super) fn beside(other: &FirstEvents) -> FirstEvents {
        FirstEvents { strata: vec![Stratum::default(); other.strata.len().max(1)] }
    }

    /// [`FirstEvents::cut`], with the counts of parts of these units cut and merged in the same places.
    pub(super) fn cut_with<'p>(&mut self, parts: impl Iterator<Item = &'p mut FirstEvents>) {
        let is_new = self.current().units > 0;
        let pair = self.cut();
        for part in parts {
            if is_new {
                part.strata.push(Stratum::default());
            }
            if let Some(pair) = pair {
                part.merge(pair);
            }
        }
    }

    /// The two closed strata with the nearest share of the candidate (the older pair on a tie).
    fn nearest(&self) -> Option<(usize, usize)> {
        let closed = self.strata.len() - 1;
        let share = |s: &Stratum| s.canary_units as f64 / (s.units.max(1)) as f64;
        let mut best: Option<(f64, usize, usize)> = None;
        for (i, a) in self.strata.iter().enumerate().take(closed) {
            for (j, b) in self.strata.iter().enumerate().take(closed).skip(i + 1) {
                let distance = (share(a) - share(b)).abs();
                if best.is_none_or(|(least, _, _)| distance < least) {
                    best = Some((distance, i, j));
                }
            }
        }
        best.map(|(_, i, j)| (i, j))
    }

    /// Merges two strata into the first of them.
    fn merge(&mut self, (i, j): (usize, usize)) {
        if j >= self.strata.len() {
            return;
        }
        let b = self.strata.remove(j);
        if let Some(a) = self.strata.get_mut(i) {
            a.canary_units += b.canary_units;
            a.units += b.units;
            a.canary_first += b.canary_first;
            a.first += b.first;
        }
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        memory::list::<Stratum>(self.strata.len())
    }

    /// All strata.
    pub fn strata(&self) -> &[Stratum] {
        &self.strata
    }

    /// Sum over strata: (units at risk, units with an event) of control and candidate.
    pub fn totals(&self) -> [(u64, u64); 2] {
        let mut totals = [(0, 0); 2];
        for s in &self.strata {
            totals[1].0 += s.canary_units;
            totals[1].1 += s.canary_first;
            totals[0].0 += s.units - s.canary_units;
            totals[0].1 += s.first - s.canary_first;
        }
        totals
    }

    /// Writes the counts.
    pub fn write(&self, w: &mut Writer) {
        w.length(self.strata.len());
        for s in &self.strata {
            [s.canary_units, s.units, s.canary_first, s.first].into_iter().for_each(|count| w.uint(count));
        }
    }

    /// Reads what [`FirstEvents::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<FirstEvents, Damaged> {
        let mut strata = Vec::new();
        for _ in 0..r.length()? {
            strata.push(Stratum {
                canary_units: r.uint()?,
                units: r.uint()?,
                canary_first: r.uint()?,
                first: r.uint()?,
            });
        }
        Ok(FirstEvents { strata })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strata_past_the_bound_merge_by_share() {
        let mut cell = FirstEvents::default();
        for i in 0..100u64 {
            cell.at_risk(Arm::Candidate, 10 + i % 3);
            cell.at_risk(Arm::Control, 100);
            cell.first(Arm::Control, 1);
            cell.cut();
        }
        assert_eq!(cell.strata().len(), STRATA_MAX);
        assert_eq!(cell.totals()[0], (10_000, 100));
        let mut w = Writer::default();
        cell.write(&mut w);
        assert_eq!(FirstEvents::read(&mut Reader::new(&w.bytes)).unwrap(), cell);
    }

    #[test]
    fn an_empty_stratum_is_not_kept() {
        let mut cell = FirstEvents::default();
        cell.cut();
        cell.cut();
        assert_eq!(cell.strata().len(), 1);
    }
}
