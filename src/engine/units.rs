//! The unit store: for each unit its arm in the current stratum and what it already had. 16 bytes a unit.

use hashbrown::HashTable;

use crate::event::{self, KEY_STORE};
use crate::sketch::codec::{Damaged, Reader, Writer};

/// Units past which only a fixed hash sample goes on.
pub const UNITS_MAX: usize = 4 << 20;

/// One of the two arms of a comparison.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Arm {
    /// The arm that stays as it is.
    Control,
    /// The arm with the new code.
    Candidate,
}

impl Arm {
    /// Index into pairs of (control, candidate).
    #[inline]
    pub fn at(self) -> usize {
        self as usize
    }

    /// The other one.
    pub fn other(self) -> Arm {
        match self {
            Arm::Control => Arm::Candidate,
            Arm::Candidate => Arm::Control,
        }
    }

    fn from_bit(bit: bool) -> Arm {
        if bit { Arm::Candidate } else { Arm::Control }
    }
}

/// What a unit already had, and its place in the current stratum.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unit {
    /// Hash of the unit.
    pub unit: u64,
    /// Stratum of its last activity.
    pub stratum: u16,
    /// See the constants.
    flags: u16,
    /// Not used yet; the row stays 16 bytes either way.
    spare: u32,
}

const ARM: u16 = 1;
const ERRED: u16 = 1 << 1;
const SLOW: u16 = 1 << 2;
const REQUESTED: u16 = 1 << 3;
const REQUESTED_AGAIN: u16 = 1 << 4;
const FIRST_REQUEST_ARM: u16 = 1 << 5;
const CROSSED: u16 = 1 << 6;
const CROSSED_ARM: u16 = 1 << 7;

impl Unit {
    fn new(unit: u64, stratum: u16, arm: Arm) -> Unit {
        Unit { unit, stratum, flags: if arm == Arm::Candidate { ARM } else { 0 }, spare: 0 }
    }

    /// Its arm in the stratum of its last activity.
    #[inline]
    pub fn arm(&self) -> Arm {
        Arm::from_bit(self.flags & ARM != 0)
    }

    fn has(&self, flag: u16) -> bool {
        self.flags & flag != 0
    }

    fn set(&mut self, flag: u16, on: bool) {
        if on {
            self.flags |= flag;
        } else {
            self.flags &= !flag;
        }
    }

    /// It enters a stratum under an arm.
    #[inline]
    pub fn enter(&mut self, stratum: u16, arm: Arm) {
        self.stratum = stratum;
        self.flags &= ERRED | SLOW;
        self.set(ARM, arm == Arm::Candidate);
    }

    /// It had an error before.
    #[inline]
    pub fn erred(&self) -> bool {
        self.has(ERRED)
    }

    /// It has an error now.
    #[inline]
    pub fn set_erred(&mut self) {
        self.set(ERRED, true);
    }

    /// It had a request above the p99 threshold before.
    #[inline]
    pub fn slow(&self) -> bool {
        self.has(SLOW)
    }

    /// It has one now.
    #[inline]
    pub fn set_slow(&mut self) {
        self.set(SLOW, true);
    }

    /// Arm of its first request in the stratum.
    pub fn first_request(&self) -> Option<Arm> {
        self.has(REQUESTED).then(|| Arm::from_bit(self.has(FIRST_REQUEST_ARM)))
    }

    /// Notes its first request in the stratum.
    pub fn set_first_request(&mut self, arm: Arm) {
        self.set(REQUESTED, true);
        self.set(FIRST_REQUEST_ARM, arm == Arm::Candidate);
    }

    /// Its second request in the stratum was seen.
    pub fn requested_again(&self) -> bool {
        self.has(REQUESTED_AGAIN)
    }

    /// Notes the second request.
    pub fn set_requested_again(&mut self) {
        self.set(REQUESTED_AGAIN, true);
    }

    /// It was in both arms of the stratum.
    pub fn crossed(&self) -> bool {
        self.has(CROSSED)
    }

    /// Notes that.
    pub fn set_crossed(&mut self) {
        self.set(CROSSED, true);
        self.set(CROSSED_ARM, self.arm() == Arm::Candidate);
    }
}

/// All units of a comparison.
#[derive(Clone, Debug, Default)]
pub struct UnitStore {
    table: HashTable<Unit>,
    /// Units whose keyed hash is above this are no longer followed.
    range: Range,
}

/// A share of units by keyed hash: all until a bound is hit, then halved.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Range(pub u64);

impl Default for Range {
    fn default() -> Self {
        Range(u64::MAX)
    }
}

impl UnitStore {
    /// Units that are followed.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// True before the first unit.
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Share of units that is followed: 1 until the store is full.
    pub fn share(&self) -> f64 {
        self.range.0 as f64 / u64::MAX as f64
    }

    /// The unit, when it is known.
    pub fn get(&self, unit: u64) -> Option<&Unit> {
        self.table.find(unit, |known| known.unit == unit)
    }

    /// Brings the places of units into the cache. Each is a miss, and misses that follow each other at once are waited
    /// for together; between them the work on a unit would make each wait for the one before.
    pub fn fetch(&self, units: impl Iterator<Item = u64>) {
        std::hint::black_box(units.filter(|unit| self.get(*unit).is_some()).count());
    }

    /// The unit, made when it is new; with true when it was. `None`: it is not followed.
    #[inline]
    pub fn get_or_insert(&mut self, unit: u64, stratum: u16, arm: Arm) -> Option<(&mut Unit, bool)> {
        if self.range.0 != u64::MAX && event::mix(unit, KEY_STORE) > self.range.0 {
            return None;
        }
        match self.table.entry(unit, |known| known.unit == unit, |known| known.unit) {
            hashbrown::hash_table::Entry::Occupied(entry) => Some((entry.into_mut(), false)),
            hashbrown::hash_table::Entry::Vacant(entry) => {
                Some((entry.insert(Unit::new(unit, stratum, arm)).into_mut(), true))
            }
        }
    }

    /// Called at the close of a window, so that the result does not depend on the order within it.
    pub fn keep_bound(&mut self, units_max: usize) {
        while self.table.len() > units_max {
            self.range.0 >>= 1;
            let range = self.range.0;
            self.table.retain(|known| event::mix(known.unit, KEY_STORE) <= range);
        }
    }

    /// Writes the store; units by hash, so that equal stores have equal bytes.
    pub fn write(&self, w: &mut Writer) {
        w.fixed(self.range.0);
        let mut units: Vec<Unit> = self.table.iter().copied().collect();
        units.sort_unstable_by_key(|unit| unit.unit);
        w.length(units.len());
        for unit in units {
            w.fixed(unit.unit);
            w.uint(u64::from(unit.stratum));
            w.uint(u64::from(unit.flags));
        }
    }

    /// Reads what [`UnitStore::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<UnitStore, Damaged> {
        let mut store = UnitStore { range: Range(r.fixed()?), table: HashTable::new() };
        for _ in 0..r.length()? {
            let unit = Unit { unit: r.fixed()?, stratum: r.uint16()?, flags: r.uint16()?, spare: 0 };
            store.table.insert_unique(unit.unit, unit, |known| known.unit);
        }
        Ok(store)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_takes_sixteen_bytes() {
        assert_eq!(std::mem::size_of::<Unit>(), 16);
    }

    #[test]
    fn past_the_bound_a_sample_goes_on() {
        let mut store = UnitStore::default();
        for unit in 0..1000u64 {
            store.get_or_insert(event::mix(unit, 99), 0, Arm::Control);
        }
        store.keep_bound(600);
        assert!(store.len() <= 600 && store.len() > 200, "{}", store.len());
        assert!((store.share() - 0.5).abs() < 1e-9);
        let before = store.len();
        let refused = (0..1000u64).filter(|unit| store.get_or_insert(event::mix(*unit, 99), 0, Arm::Control).is_none());
        assert_eq!(refused.count(), 1000 - before);
        let mut w = Writer::default();
        store.write(&mut w);
        let back = UnitStore::read(&mut Reader::new(&w.bytes)).unwrap();
        assert_eq!((back.len(), back.range), (store.len(), store.range));
    }
}
