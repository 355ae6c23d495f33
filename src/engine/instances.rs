//! Instances (pods, hosts) of a comparison: how many run each arm, whose lines are late, and whose arm tells that of a
//! line that names none.

use std::collections::BTreeMap;

use crate::engine::lookup::of_service;
use crate::engine::memory;
use crate::engine::units::Arm;
use crate::event::{self, NO_NAME, NameId};
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::latency::LatencyTable;
use crate::sketch::partial::{OTHER, WindowPartial};
use crate::sketch::rows::InstanceRow;

/// Instances of one arm that are counted by name: those of smallest hash, whatever their order; the others are one.
pub const INSTANCES_KEPT: usize = 256;

/// Arms that are told apart: control, candidate, and all others together.
const ARMS: usize = 3;

/// What an instance logged under one arm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct InstanceTotals {
    /// Lines of any kind that were on time.
    pub lines: u64,
    /// Requests among them.
    pub requests: u64,
    /// Lines whose window had closed.
    pub late: u64,
}

impl InstanceTotals {
    fn add(&mut self, other: &InstanceTotals) {
        self.lines = self.lines.saturating_add(other.lines);
        self.requests = self.requests.saturating_add(other.requests);
        self.late = self.late.saturating_add(other.late);
    }

    fn write(&self, w: &mut Writer) {
        [self.lines, self.requests, self.late].into_iter().for_each(|count| w.uint(count));
    }

    fn read(r: &mut Reader<'_>) -> Result<InstanceTotals, Damaged> {
        Ok(InstanceTotals { lines: r.uint()?, requests: r.uint()?, late: r.uint()? })
    }
}

/// Place of an instance in the order in which names are kept.
type Place = (u64, String);

fn place_of(name: &str) -> Place {
    (event::identity_hash(name.as_bytes()), name.to_owned())
}

/// Instances of one arm.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct OfArm {
    named: BTreeMap<Place, InstanceTotals>,
    /// All that are past a bound.
    others: InstanceTotals,
    /// Some were past the bound of a window: any name may be among them.
    unnamed: bool,
    /// Some were past the bound here: names behind the last that is kept.
    let_go: bool,
}

impl OfArm {
    fn add(&mut self, name: &str, totals: &InstanceTotals) {
        if name == OTHER {
            self.unnamed = true;
            self.others.add(totals);
            return;
        }
        self.named.entry(place_of(name)).or_default().add(totals);
        if self.named.len() > INSTANCES_KEPT
            && let Some((_, last)) = self.named.pop_last()
        {
            self.let_go = true;
            self.others.add(&last);
        }
    }

    fn has(&self, place: &Place) -> bool {
        self.named.contains_key(place)
    }

    /// The instance is not known to be absent.
    fn may_have(&self, place: &Place) -> bool {
        let behind = || self.named.last_key_value().is_none_or(|(last, _)| place > last);
        self.unnamed || self.has(place) || (self.let_go && behind())
    }
}

/// Instances by arm. The result does not depend on the order in which windows bring them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Instances {
    arms: [OfArm; ARMS],
}

impl Instances {
    /// Takes what a window says of an instance under an arm; `None`: an arm that is not compared here.
    fn add(&mut self, arm: Option<Arm>, name: &str, row: &InstanceRow) {
        let totals = InstanceTotals { lines: row.lines, requests: row.requests, late: row.late };
        self.arms[arm.map_or(ARMS - 1, Arm::at)].add(name, &totals);
    }

    /// Takes the rows of a window; `entry`: the service that is compared; `arms`: names of control and candidate.
    pub(super) fn take_window(&mut self, merged: &WindowPartial, entry: Option<NameId>, arms: [&String; 2]) {
        for row in of_service(merged.instances.as_slice(), entry, |row| row.service) {
            let name = event::name_at(&merged.names.instances, row.instance);
            let arm = event::name_at(&merged.names.arms, row.arm);
            if let (Some(name), Some(arm)) = (name, arm) {
                let [control, candidate] = arms;
                let arm = if arm == control {
                    Some(Arm::Control)
                } else if arm == candidate {
                    Some(Arm::Candidate)
                } else {
                    None
                };
                self.add(arm, name, row);
            }
        }
    }

    /// Warnings of a window that name no unit, by arm: the one they name, or that of their instance. What one instance
    /// warns of in one minute is one burst, and shares a bucket.
    ///
    /// `given`: by row of the entry; set where lines that name no arm were given one.
    pub(super) fn plain_warnings(
        &self,
        merged: &WindowPartial,
        entry: Option<NameId>,
        arm_of_id: impl Fn(NameId) -> Option<Arm>,
        minute: i64,
        warnings: &mut [LatencyTable; 2],
        given: &mut [bool],
    ) {
        let rows = of_service(merged.instances.as_slice(), entry, |row| row.service);
        for (row, given) in rows.iter().zip(given) {
            if row.warnings == 0 {
                continue;
            }
            // Lines that name an arm and no instance are taken for those of one.
            let name = event::name_at(&merged.names.instances, row.instance).map_or("", String::as_str);
            let of_instance = || self.arm_of(name).filter(|_| row.arm == NO_NAME && !name.is_empty());
            let Some(arm) = arm_of_id(row.arm).or_else(of_instance) else { continue };
            let burst = event::mix(event::identity_hash(name.as_bytes()), minute as u64);
            let count = u32::try_from(row.warnings).unwrap_or(u32::MAX);
            warnings[arm.at()].add_count(event::bucket_of(burst), 0, count);
            *given |= row.arm == NO_NAME;
        }
    }

    /// The arm of an instance that was seen with one alone: what its lines belong to that name none.
    pub fn arm_of(&self, name: &str) -> Option<Arm> {
        let place = place_of(name);
        let alone = |arm: &Arm| {
            self.arms
                .iter()
                .enumerate()
                .all(|(at, of)| if at == arm.at() { of.has(&place) } else { !of.may_have(&place) })
        };
        if name == OTHER { None } else { [Arm::Control, Arm::Candidate].into_iter().find(alone) }
    }

    /// Distinct instances of an arm; at least so many where [`Instances::has_others`].
    pub fn seen(&self, arm: Arm) -> usize {
        self.arms[arm.at()].named.len()
    }

    /// There are instances of the arm that are past a bound, and counted as one.
    pub fn has_others(&self, arm: Arm) -> bool {
        let of = &self.arms[arm.at()];
        of.unnamed || of.let_go
    }

    /// The only instance of an arm, which ran no other arm: what was seen of the arm may be the instance's doing.
    /// `lines`: lines of the arm; where most name no instance, nobody knows.
    pub fn only(&self, arm: Arm, lines: u64) -> Option<&str> {
        let mut named = self.arms[arm.at()].named.iter();
        let ((_, name), totals) = named.next()?;
        let is_alone = named.next().is_none() && !self.has_others(arm) && self.arm_of(name) == Some(arm);
        (is_alone && totals.lines > lines / 2).then_some(name.as_str())
    }

    /// Instances of an arm with what they logged, most late lines first, then most lines; those past a bound last, as
    /// [`OTHER`].
    pub fn list(&self, arm: Arm) -> Vec<(&str, InstanceTotals)> {
        let of = &self.arms[arm.at()];
        let mut list: Vec<(&str, InstanceTotals)> =
            of.named.iter().map(|((_, name), totals)| (name.as_str(), *totals)).collect();
        list.sort_by(|(a, one), (b, two)| (two.late, two.lines, a).cmp(&(one.late, one.lines, b)));
        if self.has_others(arm) {
            list.push((OTHER, of.others));
        }
        list
    }

    /// The instance of an arm with most late lines, where any is late, with their number.
    pub fn latest(&self, arm: Arm) -> Option<(&str, u64)> {
        let of = &self.arms[arm.at()];
        let named = of.named.iter().map(|((_, name), totals)| (totals.late, std::cmp::Reverse(name.as_str())));
        named.max().filter(|(late, _)| *late > 0).map(|(late, name)| (name.0, late))
    }

    /// Bytes on the heap; a name stands in its place, which is hash and name.
    pub fn bytes(&self) -> u64 {
        let names = |of: &OfArm| of.named.keys().map(|(_, name)| memory::text(name)).sum::<u64>();
        self.arms.iter().map(|of| memory::tree::<Place, InstanceTotals>(of.named.len()) + names(of)).sum()
    }

    pub(super) fn write(&self, w: &mut Writer) {
        for of in &self.arms {
            w.length(of.named.len());
            for ((_, name), totals) in &of.named {
                w.text(name);
                totals.write(w);
            }
            of.others.write(w);
            w.flag(of.unnamed);
            w.flag(of.let_go);
        }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Instances, Damaged> {
        let mut instances = Instances::default();
        for of in &mut instances.arms {
            for _ in 0..r.length()? {
                let name = r.text()?;
                of.named.insert(place_of(&name), InstanceTotals::read(r)?);
            }
            of.others = InstanceTotals::read(r)?;
            of.unnamed = r.flag()?;
            of.let_go = r.flag()?;
        }
        Ok(instances)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(lines: u64, late: u64) -> InstanceRow {
        InstanceRow { lines, requests: lines, late, ..InstanceRow::new(0, 0, 0) }
    }

    #[test]
    fn an_instance_that_was_seen_with_one_arm_tells_it() {
        let mut instances = Instances::default();
        instances.add(Some(Arm::Control), "a", &row(5, 0));
        instances.add(Some(Arm::Candidate), "b", &row(5, 0));
        instances.add(Some(Arm::Candidate), "c", &row(0, 5));
        instances.add(Some(Arm::Control), "both", &row(5, 0));
        instances.add(Some(Arm::Candidate), "both", &row(5, 0));
        instances.add(Some(Arm::Control), "third", &row(5, 0));
        instances.add(None, "third", &row(5, 0));
        let arms = ["a", "b", "c", "both", "third", "never", OTHER].map(|name| instances.arm_of(name));
        let (control, candidate) = (Some(Arm::Control), Some(Arm::Candidate));
        assert_eq!(arms, [control, candidate, candidate, None, None, None, None]);
    }

    #[test]
    fn past_the_bound_the_same_names_stay_in_any_order_and_nobody_guesses() {
        let names: Vec<String> = (0..1_000).map(|at| format!("pod-{at}")).collect();
        let build = |order: &mut dyn Iterator<Item = &String>| {
            let mut instances = Instances::default();
            for name in order {
                instances.add(Some(Arm::Control), name, &row(2, 1));
                instances.add(Some(Arm::Control), name, &row(1, 0));
            }
            instances.add(Some(Arm::Candidate), "canary-1", &row(9, 0));
            instances
        };
        let instances = build(&mut names.iter());
        assert_eq!(instances, build(&mut names.iter().rev()));
        assert_eq!(instances.seen(Arm::Control), INSTANCES_KEPT);
        assert!(instances.has_others(Arm::Control) && !instances.has_others(Arm::Candidate));
        let list = instances.list(Arm::Control);
        assert_eq!(list.len(), INSTANCES_KEPT + 1);
        assert_eq!(list.iter().map(|(_, totals)| totals.lines).sum::<u64>(), 3_000, "all lines are counted");
        let left = 1_000 - INSTANCES_KEPT as u64;
        assert_eq!(list.last(), Some(&(OTHER, InstanceTotals { lines: 3 * left, requests: 3 * left, late: left })));
        let known = names.iter().filter(|name| instances.arm_of(name) == Some(Arm::Control)).count();
        assert_eq!(known, INSTANCES_KEPT);
        // Whether an instance of the candidate is among those of the control that have no name cannot be known.
        let of = &instances.arms[Arm::Control.at()];
        let last = of.named.last_key_value().unwrap().0.0;
        let is_behind = event::identity_hash(b"canary-1") > last;
        assert_eq!(instances.arm_of("canary-1").is_none(), is_behind);
    }

    #[test]
    fn one_instance_alone_is_named() {
        let mut instances = Instances::default();
        instances.add(Some(Arm::Candidate), "b", &row(60, 0));
        assert_eq!(instances.only(Arm::Candidate, 100), Some("b"));
        assert_eq!(instances.only(Arm::Candidate, 120), None, "most lines name none");
        let mut shared = instances.clone();
        shared.add(Some(Arm::Control), "b", &row(60, 0));
        assert_eq!(shared.only(Arm::Candidate, 100), None, "it logs for both arms: a proxy");
        instances.add(Some(Arm::Candidate), "c", &row(1, 7));
        assert_eq!(instances.only(Arm::Candidate, 100), None);
        assert_eq!(instances.latest(Arm::Candidate), Some(("c", 7)));
        assert_eq!(instances.latest(Arm::Control), None);
    }

    #[test]
    fn what_is_written_is_read_back() {
        let mut instances = Instances::default();
        (0..300).for_each(|at| instances.add(Some(Arm::Control), &format!("pod-{at}"), &row(2, 1)));
        instances.add(Some(Arm::Candidate), OTHER, &row(2, 1));
        let mut w = Writer::default();
        instances.write(&mut w);
        let mut r = Reader::new(&w.bytes);
        assert_eq!(Instances::read(&mut r).unwrap(), instances);
        assert!(r.end().is_ok());
    }
}
