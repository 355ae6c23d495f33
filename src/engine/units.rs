//! The unit store: for each unit its arm in the current stratum and what it already had. 16 bytes a unit.
//!
//! A table with open addressing whose places follow the order of the hashes. The units of a window come in that order,
//! so it is walked from front to back, and growing copies it from front to back: hundreds of thousands of units do not
//! fit into a cache, and a walk waits for memory far less than leaps do.

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
    /// What it did since each restart that runs; see [`Restarted`].
    restarts: [u8; 3],
    /// Business events of the policy that it had, a bit each.
    conversions: u8,
}

/// What a unit did since a restart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Restarted {
    /// It was active in the current stratum.
    Entered,
    /// It had an error.
    Erred,
    /// It had a request above the p99 threshold.
    Slow,
}

const ARM: u16 = 1;
const ERRED: u16 = 1 << 1;
const SLOW: u16 = 1 << 2;
const REQUESTED: u16 = 1 << 3;
const REQUESTED_AGAIN: u16 = 1 << 4;
const FIRST_REQUEST_ARM: u16 = 1 << 5;
const CROSSED: u16 = 1 << 6;
const CROSSED_ARM: u16 = 1 << 7;
/// Was active in the candidate's arm, in any stratum.
const EXPOSED: u16 = 1 << 13;
/// Four bits: windows of the stratum whose first request was counted for PASS on latency.
const EARLY_SHIFT: u16 = 8;
const EARLY: u16 = 0xf << EARLY_SHIFT;
/// A unit stands here; an empty place of the table has none.
const TAKEN: u16 = 1 << 12;

impl Unit {
    const EMPTY: Unit = Unit { unit: 0, stratum: 0, flags: 0, restarts: [0; 3], conversions: 0 };

    fn new(unit: u64, stratum: u16, arm: Arm) -> Unit {
        let flags = TAKEN | if arm == Arm::Candidate { ARM } else { 0 };
        Unit { unit, stratum, flags, ..Unit::EMPTY }
    }

    #[inline]
    fn taken(&self) -> bool {
        self.flags & TAKEN != 0
    }

    /// Business events of the policy that it had, a bit each.
    #[inline]
    pub fn conversions(&self) -> u8 {
        self.conversions
    }

    /// It has one of them now.
    pub fn set_converted(&mut self, event: u8) {
        self.conversions |= 1u8.checked_shl(u32::from(event)).unwrap_or(0);
    }

    /// Notes what it does, for the restarts of a mask; returns those of them for which it is the first time.
    #[inline]
    pub fn restarted(&mut self, what: Restarted, mask: u8) -> u8 {
        let had = &mut self.restarts[what as usize];
        let first = mask & !*had;
        *had |= mask;
        first
    }

    /// Restarts since which it did something.
    #[inline]
    pub fn since(&self, what: Restarted) -> u8 {
        self.restarts[what as usize]
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
        self.flags &= TAKEN | ERRED | SLOW | EXPOSED;
        self.restarts[Restarted::Entered as usize] = 0;
        self.set(ARM, arm == Arm::Candidate);
    }

    /// It was in the candidate's arm before.
    #[inline]
    pub fn exposed(&self) -> bool {
        self.has(EXPOSED)
    }

    /// It is in the candidate's arm now.
    #[inline]
    pub fn set_exposed(&mut self) {
        self.set(EXPOSED, true);
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

    /// Windows of the stratum whose first request was counted.
    #[inline]
    pub fn early(&self) -> u16 {
        (self.flags & EARLY) >> EARLY_SHIFT
    }

    /// Counts another one; at most 15.
    #[inline]
    pub fn add_early(&mut self) {
        let more = (self.early() + 1).min(15);
        self.flags = self.flags & !EARLY | more << EARLY_SHIFT;
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
    /// Places, a power of two of them or none. A unit stands at the place of its hash or, where that was taken, at the
    /// next that was empty.
    places: Vec<Unit>,
    /// Places that are taken.
    len: usize,
    /// Units whose keyed hash is above this are no longer followed.
    range: Range,
}

/// Fewest places.
const PLACES_MIN: usize = 64;

/// Places for so many units: at most three of four are taken.
fn places_for(units: usize) -> usize {
    if units == 0 { 0 } else { (units.saturating_mul(4).div_ceil(3)).next_power_of_two().max(PLACES_MIN) }
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
        self.len
    }

    /// True before the first unit.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Forgets every unit; which share of them was followed is still known.
    pub fn forget(&mut self) {
        self.places = Vec::new();
        self.len = 0;
    }

    /// Place of a hash: its first bits.
    #[inline]
    fn place(&self, unit: u64) -> usize {
        // Without places the answer is out of bounds, as it must be.
        (unit >> (u64::BITS - self.places.len().trailing_zeros()).min(63)) as usize
    }

    /// Place where a unit stands, or else where it would be put; `None` only without places.
    #[inline]
    fn find(&self, unit: u64) -> Option<usize> {
        let mut at = self.place(unit);
        loop {
            let known = self.places.get(at)?;
            if !known.taken() || known.unit == unit {
                return Some(at);
            }
            // There is always an empty place.
            at = (at + 1) & (self.places.len() - 1);
        }
    }

    /// Makes room for one more unit: at most three of four places are taken.
    #[inline]
    fn make_room(&mut self) {
        if (self.len + 1) * 4 > self.places.len() * 3 {
            self.rebuild((self.places.len() * 2).max(PLACES_MIN), |_| true);
        }
    }

    /// Moves the units that are kept to a table with so many places.
    #[cold]
    fn rebuild(&mut self, places: usize, keep: impl Fn(&Unit) -> bool) {
        let units = std::mem::replace(&mut self.places, vec![Unit::EMPTY; places]);
        self.len = 0;
        for unit in units.iter().filter(|unit| unit.taken() && keep(unit)) {
            self.put(*unit);
        }
    }

    /// Puts a unit; there is room.
    fn put(&mut self, unit: Unit) {
        if let Some(at) = self.find(unit.unit)
            && let Some(place) = self.places.get_mut(at)
        {
            self.len += usize::from(!place.taken());
            *place = unit;
        }
    }

    /// Share of units that is followed: 1 until the store is full.
    pub fn share(&self) -> f64 {
        self.range.0 as f64 / u64::MAX as f64
    }

    /// The unit, when it is known.
    pub fn get(&self, unit: u64) -> Option<&Unit> {
        self.places.get(self.find(unit)?).filter(|known| known.taken())
    }

    /// The same, to be changed.
    pub fn get_mut(&mut self, unit: u64) -> Option<&mut Unit> {
        let at = self.find(unit)?;
        self.places.get_mut(at).filter(|known| known.taken())
    }

    /// Brings the places of units into the cache. What is not there is waited for, for all of them together; between
    /// them the work on a unit would make each wait for the one before.
    pub fn fetch(&self, units: impl Iterator<Item = u64>) {
        let touched = units.fold(0, |all, unit| all ^ self.places.get(self.place(unit)).map_or(0, |known| known.unit));
        std::hint::black_box(touched);
    }

    /// The unit, made when it is new; with true when it was. `None`: it is not followed.
    #[inline]
    pub fn get_or_insert(&mut self, unit: u64, stratum: u16, arm: Arm) -> Option<(&mut Unit, bool)> {
        if self.range.0 != u64::MAX && event::mix(unit, KEY_STORE) > self.range.0 {
            return None;
        }
        self.make_room();
        let at = self.find(unit)?;
        let place = self.places.get_mut(at)?;
        let is_new = !place.taken();
        if is_new {
            *place = Unit::new(unit, stratum, arm);
            self.len += 1;
        }
        Some((place, is_new))
    }

    /// Units with their arm, sorted: one of every 2^`halvings` by a keyed hash.
    pub fn sample(&self, halvings: u32) -> Vec<(u64, Arm)> {
        let range = u64::MAX.checked_shr(halvings).unwrap_or(0);
        let taken = self.places.iter().filter(|known| known.taken());
        let mut list: Vec<(u64, Arm)> = taken
            .filter(|known| event::mix(known.unit, KEY_STORE) <= range)
            .map(|known| (known.unit, known.arm()))
            .collect();
        list.sort_unstable();
        list
    }

    /// Called at the close of a window, so that the result does not depend on the order within it.
    pub fn keep_bound(&mut self, units_max: usize) {
        while self.len > units_max {
            self.halve();
        }
    }

    /// Of all units only every second goes on, by keyed hash: whatever they did and will do has no part in which those are.
    pub fn halve(&mut self) {
        self.range.0 >>= 1;
        let range = self.range.0;
        let stays = |known: &Unit| event::mix(known.unit, KEY_STORE) <= range;
        let left = self.places.iter().filter(|unit| unit.taken() && stays(unit)).count();
        self.rebuild(places_for(left), stays);
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        (places_for(self.len) * size_of::<Unit>()) as u64
    }

    /// A restart begins whose bit another has used: no unit has done anything since.
    pub fn clear_restart(&mut self, mask: u8) {
        for unit in &mut self.places {
            unit.restarts.iter_mut().for_each(|had| *had &= !mask);
        }
    }

    /// Writes the store; units by hash, so that equal stores have equal bytes.
    pub fn write(&self, w: &mut Writer) {
        w.fixed(self.range.0);
        let mut units: Vec<Unit> = self.places.iter().filter(|unit| unit.taken()).copied().collect();
        units.sort_unstable_by_key(|unit| unit.unit);
        w.length(units.len());
        for unit in units {
            w.fixed(unit.unit);
            w.uint(u64::from(unit.stratum));
            w.uint(u64::from(unit.flags));
            unit.restarts.into_iter().for_each(|had| w.byte(had));
            w.byte(unit.conversions);
        }
    }

    /// Reads what [`UnitStore::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<UnitStore, Damaged> {
        let mut store = UnitStore { range: Range(r.fixed()?), ..UnitStore::default() };
        for _ in 0..r.length()? {
            let mut unit =
                Unit { unit: r.fixed()?, stratum: r.uint16()?, flags: r.uint16()?, ..Unit::new(0, 0, Arm::Control) };
            for had in &mut unit.restarts {
                *had = r.byte()?;
            }
            unit.conversions = r.byte()?;
            unit.flags |= TAKEN;
            store.make_room();
            store.put(unit);
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
    fn finds_what_was_put_wherever_hashes_fall() {
        let mut store = UnitStore::default();
        assert!(store.get(1).is_none() && store.is_empty());
        // Spread hashes, and runs of neighbours at both ends, which wrap around.
        let spread = (1..3_000u64).map(|unit| event::mix(unit, 99));
        let units: Vec<u64> = spread.chain(1..200).chain(u64::MAX - 200..=u64::MAX).collect();
        for (at, unit) in units.iter().enumerate() {
            let arm = if at % 3 == 0 { Arm::Candidate } else { Arm::Control };
            store.fetch(units.iter().copied());
            assert!(store.get_or_insert(*unit, 7, arm).is_some_and(|(_, is_new)| is_new));
            assert!(store.get_or_insert(*unit, 8, arm.other()).is_some_and(|(_, is_new)| !is_new));
        }
        assert_eq!(store.len(), units.len());
        for (at, unit) in units.iter().enumerate() {
            let known = store.get(*unit).unwrap();
            assert_eq!((known.unit, known.stratum, known.arm() == Arm::Candidate), (*unit, 7, at % 3 == 0));
            assert!(store.get(unit ^ 1 << 33).is_none());
        }
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
