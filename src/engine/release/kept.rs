//! The comparisons of a release, each under a number that it keeps for good.
//!
//! A program that runs for months sees more rollouts of a service than it can remember. So the oldest that are over are forgotten: whoever
//! follows the engine is handed them once more, the ledger has what they said, and only how many there were and the worst of what they came to stays.

use std::ops::{Index, IndexMut};

use crate::compare::verdict::Verdict;
use crate::engine::comparison::Comparison;
use crate::engine::memory;
use crate::sketch::codec::{Damaged, Reader, Writer};

/// Looks of one comparison that no entry has told of yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Untold {
    pub(super) first_at: i64,
    pub(super) last_at: i64,
    pub(super) checks: Vec<u32>,
    /// End of the window of the last full entry.
    pub(super) full_at: Option<i64>,
    /// Verdict, held back, and flaws of the last full entry.
    pub(super) told: String,
}

#[derive(Clone, Debug)]
struct Kept {
    number: usize,
    comparison: Comparison,
    /// The ledger has an entry of its beginning.
    begun: bool,
    untold: Untold,
}

/// What is left of those that were forgotten.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Forgotten {
    /// How many.
    pub count: u64,
    /// The worst verdict of any.
    pub worst: Option<Verdict>,
}

/// See the module text.
#[derive(Clone, Debug, Default)]
pub struct Comparisons {
    /// By number, ascending.
    list: Vec<Kept>,
    next: usize,
    forgotten: Forgotten,
}

impl Comparisons {
    /// Those that are kept, in the order in which they began.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Comparison> + Clone {
        self.list.iter().map(|kept| &kept.comparison)
    }

    /// The same with their numbers.
    pub fn numbered(&self) -> impl DoubleEndedIterator<Item = (usize, &Comparison)> + Clone {
        self.list.iter().map(|kept| (kept.number, &kept.comparison))
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Comparison> {
        self.list.iter_mut().map(|kept| &mut kept.comparison)
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// There was never one.
    pub fn is_empty(&self) -> bool {
        self.next == 0
    }

    /// What is left of those that were forgotten.
    pub fn forgotten(&self) -> Forgotten {
        self.forgotten
    }

    fn place(&self, number: usize) -> Option<usize> {
        self.list.binary_search_by_key(&number, |kept| kept.number).ok()
    }

    /// The one of a number, unless it was forgotten.
    pub fn get(&self, number: usize) -> Option<&Comparison> {
        self.list.get(self.place(number)?).map(|kept| &kept.comparison)
    }

    pub(in crate::engine) fn get_mut(&mut self, number: usize) -> Option<&mut Comparison> {
        let place = self.place(number)?;
        self.list.get_mut(place).map(|kept| &mut kept.comparison)
    }

    pub(super) fn push(&mut self, comparison: Comparison) {
        // Each takes some kilobytes: no room for others that may never come.
        self.list.reserve_exact(1);
        self.list.push(Kept { number: self.next, comparison, begun: false, untold: Untold::default() });
        self.next += 1;
    }

    /// Forgets one that is over; returns it.
    pub(super) fn forget(&mut self, number: usize) -> Option<Comparison> {
        let place = self.place(number)?;
        let comparison = self.list.remove(place).comparison;
        self.list.shrink_to_fit();
        self.forgotten.count += 1;
        let worst = self.forgotten.worst.into_iter().chain([comparison.look.verdict]);
        self.forgotten.worst = worst.max_by_key(|verdict| verdict.badness());
        Some(comparison)
    }

    /// Notes that the ledger is told of the beginning of one; whether it was before.
    pub(super) fn begin(&mut self, number: usize) -> bool {
        let place = self.place(number).and_then(|place| self.list.get_mut(place));
        place.is_none_or(|kept| std::mem::replace(&mut kept.begun, true))
    }

    pub(super) fn untold(&mut self, number: usize) -> &mut Untold {
        let place = self.place(number).unwrap_or(usize::MAX);
        &mut self.list[place].untold
    }

    /// Bytes on the heap, without what each comparison counts of its own.
    pub(super) fn bytes(&self) -> u64 {
        let of_untold = |kept: &Kept| memory::list::<u32>(kept.untold.checks.len()) + memory::text(&kept.untold.told);
        memory::exact::<Kept>(self.list.len()) + self.list.iter().map(of_untold).sum::<u64>()
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.length(self.list.len());
        for Kept { number, comparison, begun, untold } in &self.list {
            w.uint(*number as u64);
            comparison.write(w);
            w.flag(*begun);
            w.int(untold.first_at);
            w.int(untold.last_at);
            w.length(untold.checks.len());
            untold.checks.iter().for_each(|check| w.uint(u64::from(*check)));
            w.flag(untold.full_at.is_some());
            w.int(untold.full_at.unwrap_or(0));
            w.text(&untold.told);
        }
        w.uint(self.next as u64);
        w.uint(self.forgotten.count);
        w.byte(self.forgotten.worst.map_or(0, |verdict| verdict.badness() + 1));
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Comparisons, Damaged> {
        let number_of = |number: u64| usize::try_from(number).map_err(|_| Damaged("impossible number"));
        let mut all = Comparisons::default();
        for _ in 0..r.length()? {
            let number = number_of(r.uint()?)?;
            if all.list.last().is_some_and(|last| last.number >= number) {
                return Err(Damaged("numbers do not rise"));
            }
            let comparison = Comparison::read(r)?;
            let begun = r.flag()?;
            let mut untold = Untold { first_at: r.int()?, last_at: r.int()?, ..Untold::default() };
            for _ in 0..r.length()? {
                untold.checks.push(r.uint32()?);
            }
            let has_full = r.flag()?;
            let full = r.int()?;
            untold.full_at = has_full.then_some(full);
            untold.told = r.text()?;
            all.list.reserve_exact(1);
            all.list.push(Kept { number, comparison, begun, untold });
        }
        all.next = number_of(r.uint()?)?;
        if all.list.last().is_some_and(|last| last.number >= all.next) {
            return Err(Damaged("numbers do not rise"));
        }
        all.forgotten.count = r.uint()?;
        let worst = r.byte()?;
        let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.badness() + 1 == worst);
        if worst > 0 && verdict.is_none() {
            return Err(Damaged("unknown verdict"));
        }
        all.forgotten.worst = verdict;
        Ok(all)
    }
}

impl Index<usize> for Comparisons {
    type Output = Comparison;

    /// One that is kept, as every live one is.
    fn index(&self, number: usize) -> &Comparison {
        &self.list[self.place(number).unwrap_or(usize::MAX)].comparison
    }
}

impl IndexMut<usize> for Comparisons {
    fn index_mut(&mut self, number: usize) -> &mut Comparison {
        let place = self.place(number).unwrap_or(usize::MAX);
        &mut self.list[place].comparison
    }
}

impl<'a> IntoIterator for &'a Comparisons {
    type Item = &'a Comparison;
    type IntoIter = Box<dyn DoubleEndedIterator<Item = &'a Comparison> + 'a>;

    fn into_iter(self) -> Self::IntoIter {
        Box::new(self.iter())
    }
}
