//! Which discovered rollouts are worth telling somebody: of all that begin in one UTC day, at most one in twenty of those
//! told is healthy, however many there are.
//!
//! A family is fixed in size when its day begins: the next power of two of yesterday's number, 64 at least; rollouts past
//! it open another family. At each look the running maximum of a rollout's weighted sum is turned into an e-value and e-BH
//! is applied to the family (statistics design 4.9). These values never fall and the size is fixed, so whoever was told
//! stays told.

use std::collections::BTreeMap;

use crate::compare::lists::{self, ALPHA_LIST};
use crate::engine::memory;
use crate::math;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::time::{HOUR, Timestamp};

/// Smallest family.
const FAMILY_MIN: u32 = 64;
/// Days of which families are kept; rollouts that run longer are no longer told anew.
const DAYS_KEPT: i64 = 14;

/// One rollout of a family.
#[derive(Clone, PartialEq, Debug)]
struct Member {
    /// (release, comparison).
    of: (usize, usize),
    /// ln of the largest weighted sum so far.
    log_max: f64,
    told: bool,
}

/// Rollouts that began in one day.
#[derive(Clone, PartialEq, Debug)]
struct Family {
    /// Days since 1970.
    day: i64,
    /// How many rollouts it was planned for.
    size: u32,
    members: Vec<Member>,
}

/// Somebody is to be told of a rollout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Told {
    /// (release, comparison).
    pub of: (usize, usize),
    /// Size of its family.
    pub family: u32,
}

/// All families.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Notifications {
    families: Vec<Family>,
    /// Place of each rollout: family and member.
    places: BTreeMap<(usize, usize), (usize, usize)>,
}

impl Notifications {
    /// A rollout was discovered.
    pub fn begin(&mut self, of: (usize, usize), started: Timestamp) {
        let day = started.0.div_euclid(24 * HOUR);
        if self.families.iter().any(|family| family.day <= day - DAYS_KEPT) {
            self.families.retain(|family| family.day > day - DAYS_KEPT);
            self.index();
        }
        let is_open = |family: &Family| family.day == day && family.members.len() < family.size as usize;
        let at = self.families.iter().position(is_open).unwrap_or(self.families.len());
        if at == self.families.len() {
            let of_yesterday = self.families.iter().filter(|family| family.day == day - 1);
            let yesterday: usize = of_yesterday.map(|family| family.members.len()).sum();
            let size = u32::try_from(yesterday).unwrap_or(u32::MAX >> 1).next_power_of_two().max(FAMILY_MIN);
            self.families.push(Family { day, size, members: Vec::new() });
        }
        let Some(family) = self.families.get_mut(at) else { return };
        self.places.insert(of, (at, family.members.len()));
        family.members.push(Member { of, log_max: 0.0, told: false });
    }

    /// Notes where each rollout stands.
    fn index(&mut self) {
        let families = self.families.iter().enumerate();
        let places = families.flat_map(|(at, family)| {
            family.members.iter().enumerate().map(move |(number, member)| (member.of, (at, number)))
        });
        self.places = places.collect();
    }

    /// A rollout was looked at; returns those of its family that are to be told now for the first time.
    pub fn look(&mut self, of: (usize, usize), log_sum: f64) -> Vec<Told> {
        let Some((at, number)) = self.places.get(&of).copied() else { return Vec::new() };
        let Some(family) = self.families.get_mut(at) else { return Vec::new() };
        let begun = family.members.len() as f64;
        let Some(member) = family.members.get_mut(number) else { return Vec::new() };
        if log_sum.is_nan() || log_sum <= member.log_max {
            return Vec::new();
        }
        member.log_max = log_sum;
        // The k-th largest must reach size / (alpha k), and k is at most the number of members. One that stays below the least of
        // these lines is not told, and helps nobody; one that was told has helped already.
        let least = f64::from(family.size) / (ALPHA_LIST * begun);
        if member.told || lists::adjust_max(math::exp(log_sum)) < least {
            return Vec::new();
        }
        let maxima: Vec<f64> = family.members.iter().map(|member| math::exp(member.log_max)).collect();
        let mut told = Vec::new();
        for at in lists::notify(&maxima, family.size, ALPHA_LIST) {
            if let Some(member) = family.members.get_mut(at).filter(|member| !member.told) {
                member.told = true;
                told.push(Told { of: member.of, family: family.size });
            }
        }
        told
    }

    /// Somebody was told of this rollout.
    pub fn is_told(&self, of: (usize, usize)) -> bool {
        let place = self.places.get(&of);
        let member = place.and_then(|(at, number)| self.families.get(*at)?.members.get(*number));
        member.is_some_and(|member| member.told)
    }

    /// Rollouts that somebody was told of.
    pub fn told(&self) -> usize {
        self.families.iter().flat_map(|family| &family.members).filter(|member| member.told).count()
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        let members = self.families.iter().map(|family| memory::list::<Member>(family.members.len()));
        memory::tree::<(usize, usize), (usize, usize)>(self.places.len())
            + memory::list::<Family>(self.families.len())
            + members.sum::<u64>()
    }

    /// Writes the families.
    pub fn write(&self, w: &mut Writer) {
        w.length(self.families.len());
        for family in &self.families {
            w.int(family.day);
            w.uint(u64::from(family.size));
            w.length(family.members.len());
            for member in &family.members {
                w.uint(member.of.0 as u64);
                w.uint(member.of.1 as u64);
                w.float(member.log_max);
                w.flag(member.told);
            }
        }
    }

    /// Reads what [`Notifications::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Notifications, Damaged> {
        let mut families = Vec::new();
        for _ in 0..r.length()? {
            let mut family = Family { day: r.int()?, size: r.uint32()?, members: Vec::new() };
            for _ in 0..r.length()? {
                let of = (r.uint32()? as usize, r.uint32()? as usize);
                family.members.push(Member { of, log_max: r.float()?, told: r.flag()? });
            }
            families.push(family);
        }
        let mut all = Notifications { families, ..Notifications::default() };
        all.index();
        Ok(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(n: i64) -> Timestamp {
        Timestamp(n * 24 * HOUR + HOUR)
    }

    #[test]
    fn one_rollout_needs_more_than_its_own_line() {
        let mut all = Notifications::default();
        all.begin((0, 0), day(1));
        // e-BH: .1 M^.9 >= 64 / .05, so M >= e^10.5.
        assert_eq!(all.look((0, 0), 10.4), []);
        assert_eq!(all.look((0, 0), 10.6), [Told { of: (0, 0), family: 64 }]);
        assert_eq!(all.look((0, 0), 20.0), [], "nobody is told twice");
        assert!(all.is_told((0, 0)) && !all.is_told((1, 0)));
    }

    #[test]
    fn many_that_are_bad_make_it_easier_for_each() {
        let mut all = Notifications::default();
        (0..10).for_each(|release| all.begin((release, 0), day(1)));
        // Ten together need .1 M^.9 >= 64 / (.05 * 10): M >= e^7.95.
        for release in 0..9 {
            assert_eq!(all.look((release, 0), 8.0), []);
        }
        assert_eq!(all.look((9, 0), 8.0).len(), 10);
        assert_eq!(all.told(), 10);
    }

    #[test]
    fn families_follow_yesterday_and_overflow_into_another() {
        let mut all = Notifications::default();
        (0..200).for_each(|release| all.begin((release, 0), day(5)));
        let sizes = |all: &Notifications| {
            all.families.iter().map(|family| (family.day, family.size, family.members.len())).collect::<Vec<_>>()
        };
        assert_eq!(sizes(&all), [(5, 64, 64), (5, 64, 64), (5, 64, 64), (5, 64, 8)]);
        all.begin((200, 0), day(6));
        assert_eq!(sizes(&all)[4], (6, 256, 1));
        all.begin((201, 0), day(6 + DAYS_KEPT));
        assert_eq!(sizes(&all), [(6 + DAYS_KEPT, 64, 1)]);
        let mut w = Writer::default();
        all.write(&mut w);
        assert_eq!(Notifications::read(&mut Reader::new(&w.bytes)).unwrap(), all);
    }
}
