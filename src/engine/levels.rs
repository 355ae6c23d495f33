//! Which part of the error level each comparison of a release has.
//!
//! A release is one service, or several that take the same new version within ten minutes (semantics 3), and its error
//! level is one, however many of its services are compared and however often a candidate is taken back and comes again:
//! weights .9, then .1/(i(i+1)) in the order in which the comparisons begin (statistics design 4.6). A part is given
//! when a comparison begins, before its first look, so that no evidence can choose it; and the first has nearly all,
//! because nobody knows then whether there will be others.

use std::collections::BTreeMap;

use crate::engine::memory;
use crate::event::ServiceKey;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::time::{MINUTE, Micros, Timestamp};

/// Services that take the same new version within this time release it together (semantics 3).
pub(super) const TOGETHER: Micros = 10 * MINUTE;

/// Part of the first comparison of a release, and the part that all later ones share.
const FIRST: f64 = 0.9;
const LATER: f64 = 0.1;

/// Part of the error level that a comparison has after so many of the same release.
fn part_after(earlier: u64) -> f64 {
    let earlier = earlier as f64;
    if earlier < 1.0 { FIRST } else { LATER / (earlier * (earlier + 1.0)) }
}

/// How it is known which services a release has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Company {
    /// By declaration, which has divided the error level, or because there is one service.
    Known,
    /// By when services take the version.
    Found,
}

/// A release: who takes part, and how many comparisons have begun.
#[derive(Clone, PartialEq, Debug)]
struct Family {
    since: Timestamp,
    /// No other service joins.
    is_closed: bool,
    /// (service, control), sorted; the candidate is the same for all.
    pairs: Vec<(String, String)>,
    begun: u64,
}

/// Environment, cell and candidate: each cell has an error level of its own.
type Candidate = [String; 3];

fn candidate_of(entry: &ServiceKey, candidate: &str) -> Candidate {
    [entry.environment.clone(), entry.cell.clone(), candidate.to_owned()]
}

/// All releases that are remembered. There are at most as many pairs as comparisons.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Levels {
    /// By environment, cell and candidate, in order of time.
    families: BTreeMap<Candidate, Vec<Family>>,
    /// Bytes on the heap.
    bytes: u64,
}

/// Bytes of a family and of a pair with its texts: told one by one, since there may be hundreds of thousands.
fn family_bytes(of: &Candidate) -> u64 {
    FAMILY_BYTES + of.iter().map(|text| memory::text(text)).sum::<u64>()
}

fn pair_bytes((service, control): &(String, String)) -> u64 {
    PAIR_BYTES + memory::text(service) + memory::text(control)
}

/// The list of a candidate has room for four, in a node that has room for half as many again.
const FAMILY_BYTES: u64 = (4 * size_of::<Family>() + size_of::<Candidate>() * 2) as u64;
/// A family of one pair has a list with room for four; larger ones fill theirs better.
const PAIR_BYTES: u64 = 4 * size_of::<(String, String)>() as u64;

impl Levels {
    /// Part of a comparison that begins now.
    pub(super) fn part(
        &mut self,
        entry: &ServiceKey,
        [control, candidate]: [&str; 2],
        now: Timestamp,
        company: Company,
    ) -> f64 {
        let key = candidate_of(entry, candidate);
        let bytes = family_bytes(&key);
        let families = self.families.entry(key).or_default();
        let pair = (entry.service.clone(), control.to_owned());
        // The same two again, however late, else who comes within ten minutes of the first.
        let found = families.iter().position(|family| family.pairs.binary_search(&pair).is_ok()).or_else(|| {
            let is_open = |family: &Family| !family.is_closed && now.0 - family.since.0 <= TOGETHER;
            let joins = company == Company::Found;
            families.iter().position(|family| joins && is_open(family))
        });
        let at = found.unwrap_or(families.len());
        if found.is_none() {
            let is_closed = company == Company::Known;
            families.push(Family { since: now, is_closed, pairs: Vec::new(), begun: 0 });
            self.bytes += bytes;
        }
        let Some(family) = families.get_mut(at) else { return FIRST };
        if let Err(place) = family.pairs.binary_search(&pair) {
            self.bytes += pair_bytes(&pair);
            family.pairs.insert(place, pair);
        }
        family.begun += 1;
        part_after(family.begun - 1)
    }

    /// Two arms of a service are forgotten: should they be compared again, it is another release.
    pub(super) fn forget(&mut self, entry: &ServiceKey, [control, candidate]: [&str; 2]) {
        let key = candidate_of(entry, candidate);
        let Some(families) = self.families.get_mut(&key) else { return };
        let pair = (entry.service.clone(), control.to_owned());
        for family in &mut *families {
            if let Ok(place) = family.pairs.binary_search(&pair) {
                family.pairs.remove(place);
                self.bytes -= pair_bytes(&pair);
            }
        }
        let before = families.len();
        families.retain(|family| !family.pairs.is_empty());
        self.bytes -= (before - families.len()) as u64 * family_bytes(&key);
        if families.is_empty() {
            self.families.remove(&key);
        }
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Writes the state.
    pub(super) fn write(&self, w: &mut Writer) {
        w.length(self.families.len());
        for (key, families) in &self.families {
            key.iter().for_each(|text| w.text(text));
            w.length(families.len());
            for family in families {
                w.int(family.since.0);
                w.flag(family.is_closed);
                w.uint(family.begun);
                w.length(family.pairs.len());
                for (service, control) in &family.pairs {
                    w.text(service);
                    w.text(control);
                }
            }
        }
    }

    /// Reads what [`Levels::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Levels, Damaged> {
        let mut levels = Levels::default();
        for _ in 0..r.length()? {
            let key = [r.text()?, r.text()?, r.text()?];
            let mut families = Vec::new();
            for _ in 0..r.length()? {
                let (since, is_closed, begun) = (Timestamp(r.int()?), r.flag()?, r.uint()?);
                let mut pairs = Vec::new();
                for _ in 0..r.length()? {
                    let pair = (r.text()?, r.text()?);
                    levels.bytes += pair_bytes(&pair);
                    pairs.push(pair);
                }
                levels.bytes += family_bytes(&key);
                families.push(Family { since, is_closed, pairs, begun });
            }
            levels.families.insert(key, families);
        }
        Ok(levels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(environment: &str, service: &str) -> ServiceKey {
        ServiceKey { environment: environment.to_owned(), cell: String::new(), service: service.to_owned() }
    }

    #[test]
    fn however_many_comparisons_a_release_has_its_error_level_is_one() {
        assert_eq!([0, 1, 2].map(part_after), [0.9, 0.05, 0.1 / 6.0]);
        let all: f64 = (0..100_000).map(part_after).sum();
        assert!(all < 1.0 && all > 0.999, "{all}");
    }

    #[test]
    fn services_that_take_a_version_together_share_one_level() {
        let mut levels = Levels::default();
        let at = |minute: i64| Timestamp(minute * MINUTE);
        let web = levels.part(&entry("prod", "web"), ["v1", "v2"], at(0), Company::Found);
        let api = levels.part(&entry("prod", "api"), ["v7", "v2"], at(10), Company::Found);
        assert_eq!((web, api), (0.9, 0.05));
        let in_cell = entry("prod", "web").in_cell("geneva");
        assert_eq!(levels.part(&in_cell, ["v1", "v2"], at(1), Company::Found), 0.9);
        // Elsewhere, another version, and who comes later are releases of their own.
        assert_eq!(levels.part(&entry("test", "web"), ["v1", "v2"], at(1), Company::Found), 0.9);
        assert_eq!(levels.part(&entry("prod", "web"), ["v1", "v3"], at(1), Company::Found), 0.9);
        assert_eq!(levels.part(&entry("prod", "late"), ["v1", "v2"], at(11), Company::Found), 0.9);
        // What comes again shares with those whom it came with before.
        let mut w = Writer::default();
        levels.write(&mut w);
        let mut back = Levels::read(&mut Reader::new(&w.bytes)).unwrap();
        assert_eq!(back, levels);
        assert_eq!(back.part(&entry("prod", "web"), ["v1", "v2"], at(600), Company::Found), 0.1 / 6.0);
        assert_eq!(back.part(&entry("prod", "api"), ["v7", "v2"], at(600), Company::Found), 0.1 / 12.0);
        assert_eq!(back.part(&entry("prod", "late"), ["v1", "v2"], at(600), Company::Found), 0.05);

        // Whom nothing is kept of has a level of its own when it comes again; the others go on with theirs.
        let mut fewer = back.clone();
        fewer.forget(&entry("prod", "late"), ["v1", "v2"]);
        assert_eq!(fewer.part(&entry("prod", "late"), ["v1", "v2"], at(700), Company::Found), 0.9);
        assert_eq!(fewer.part(&entry("prod", "web"), ["v1", "v2"], at(700), Company::Found), 0.1 / 20.0);
        let mut none = Levels::default();
        none.part(&entry("prod", "web"), ["v1", "v2"], at(0), Company::Found);
        none.forget(&entry("prod", "web"), ["v1", "v2"]);
        assert_eq!(none, Levels::default());

        // Where it was said who is released together, each has its part of the budget already.
        let known = |levels: &mut Levels, service: &str, minute: i64| {
            levels.part(&entry("prod", service), ["v1", "v4"], at(minute), Company::Known)
        };
        assert_eq!((known(&mut back, "web", 700), known(&mut back, "api", 700)), (0.9, 0.9));
        assert_eq!(back.part(&entry("prod", "late"), ["v1", "v4"], at(701), Company::Found), 0.9);
        assert_eq!(known(&mut back, "web", 800), 0.05);
    }
}
