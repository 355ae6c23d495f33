//! How often units did something, until they did it so many times as matter.
//!
//! Only units that did it once are remembered. Past a bound, of units that do it for the first time only a hash sample is followed, which
//! looks at no arm; those that are remembered stay so.

use crate::engine::memory;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::pair_hash;

/// Units past which of further ones only every second is followed; past half as many again every fourth.
pub(super) const COUNTED_MAX: usize = 65_536;

type Counts = hashbrown::HashMap<u64, u16, foldhash::fast::FixedState>;

/// Counts of units.
#[derive(Clone, PartialEq, Debug)]
pub struct Counted {
    counts: Counts,
    /// Units whose keyed hash is above this are not followed when they do it for the first time.
    range: u64,
}

impl Default for Counted {
    fn default() -> Counted {
        Counted { counts: Counts::default(), range: u64::MAX }
    }
}

impl Counted {
    /// How often a unit did it, where it is remembered.
    #[inline]
    pub fn of(&self, unit: u64) -> Option<u16> {
        self.counts.get(&unit).copied()
    }

    /// A unit that has not done it yet would be followed.
    #[inline]
    pub fn follows_new(&self, unit: u64) -> bool {
        pair_hash(unit) <= self.range
    }

    /// A unit does it so many times more; how often it did before and has now, at most `most`. `None`: it is not followed.
    pub fn add(&mut self, unit: u64, times: u64, most: u16) -> Option<(u16, u16)> {
        if !self.counts.contains_key(&unit) && !self.follows_new(unit) {
            return None;
        }
        let count = self.counts.entry(unit).or_insert(0);
        let before = *count;
        *count = u64::from(before).saturating_add(times).min(u64::from(most)) as u16;
        Some((before, *count))
    }

    /// A unit has done it often enough.
    pub fn remove(&mut self, unit: u64) {
        self.counts.remove(&unit);
    }

    /// Called at the close of a window.
    pub fn keep_bound(&mut self) {
        let room = COUNTED_MAX + COUNTED_MAX / 2 * self.range.leading_zeros() as usize;
        if self.counts.len() > room {
            self.range >>= 1;
        }
    }

    /// Nothing more comes: what is remembered of units goes.
    pub fn forget(&mut self) {
        self.counts = Counts::default();
    }

    /// Share of units that are followed.
    pub fn followed(&self) -> f64 {
        self.range as f64 / u64::MAX as f64
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        memory::table::<(u64, u16)>(self.counts.len())
    }

    /// Writes what is remembered.
    pub fn write(&self, w: &mut Writer) {
        w.fixed(self.range);
        let mut counts: Vec<(u64, u16)> = self.counts.iter().map(|(unit, count)| (*unit, *count)).collect();
        counts.sort_unstable();
        w.length(counts.len());
        for (unit, count) in counts {
            w.fixed(unit);
            w.uint(u64::from(count));
        }
    }

    /// Reads what [`Counted::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Counted, Damaged> {
        let mut counted = Counted { range: r.fixed()?, ..Counted::default() };
        for _ in 0..r.length()? {
            let unit = r.fixed()?;
            counted.counts.insert(unit, r.uint16()?);
        }
        Ok(counted)
    }
}
