//! Arms of a release: what was seen of each, which are large enough to be candidates, and which is the control.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::engine::Settings;
use crate::engine::comparison::ControlFrom;
use crate::engine::ending::ENDS_AFTER;
use crate::engine::lookup::{cells_of, concerns, of_service, place};
use crate::engine::memory;
use crate::event::{self, NameId, ServiceKey};
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::{OTHER, WindowPartial};
use crate::time::{MINUTE, Micros, Timestamp};

/// Units that a discovered candidate needs before it is compared, and their share of all units of the service.
const CANDIDATE_UNITS: usize = 20;
pub(super) const CANDIDATE_SHARE: f64 = 0.001;

/// Arms of one release that are told apart; what further ones do is not seen.
const ARMS_MAX: usize = 1_024;

/// How far back the size of an arm is looked at, and who served before another came.
const RECENT: Micros = 30 * MINUTE;

/// Silence of the whole service that counts as this long, however long it is: who served before a night without users is
/// who served before.
const PAUSE_MAX: Micros = 10 * MINUTE;

/// Units of a candidate that would have been expected before it was first seen, had it been there: fewer, and it may have
/// been there unseen (with 7, that happens once in a thousand times).
const EXPECTED_BEFORE: f64 = 7.0;

/// Distinct units of a release that are remembered until then; more than enough to tell.
const FIRST_UNITS_MAX: usize = 4_096;

/// Names that no control has.
const CANDIDATE_NAMES: [&str; 9] =
    ["canary", "candidate", "treatment", "experiment", "variant", "new", "next", "preview", "true"];

/// Names by which a control is labelled.
const CONTROL_NAMES: [&str; 9] =
    ["baseline", "control", "stable", "primary", "production", "main", "old", "off", "false"];

/// Distinct units up to a number; which they were is forgotten once there are so many.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct FewUnits<const MOST: usize> {
    units: BTreeSet<u64>,
    is_full: bool,
}

impl<const MOST: usize> FewUnits<MOST> {
    fn insert(&mut self, unit: u64) {
        if self.is_full {
            return;
        }
        self.units.insert(unit);
        if self.units.len() >= MOST {
            self.fill();
        }
    }

    fn fill(&mut self) {
        *self = FewUnits { units: BTreeSet::new(), is_full: true };
    }

    /// Takes what another has seen.
    fn add(&mut self, other: FewUnits<MOST>) {
        if other.is_full {
            self.fill();
        }
        other.units.into_iter().for_each(|unit| self.insert(unit));
    }

    fn len(&self) -> usize {
        if self.is_full { MOST } else { self.units.len() }
    }

    fn bytes(&self) -> u64 {
        memory::tree::<u64, ()>(self.units.len())
    }

    fn write(&self, w: &mut Writer) {
        w.flag(self.is_full);
        w.length(self.units.len());
        self.units.iter().for_each(|unit| w.fixed(*unit));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Damaged> {
        let mut few = FewUnits { is_full: r.flag()?, ..FewUnits::default() };
        for _ in 0..r.length()? {
            few.units.insert(r.fixed()?);
        }
        Ok(few)
    }
}

/// What was seen of an arm.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct ArmSeen {
    requests: u64,
    /// Those of them that name no unit.
    without_unit: u64,
    /// Start of the window in which it was first seen; `None` since a rollout ended because it was gone.
    here_since: Option<i64>,
    /// Units of each of the latest windows, by the start of the window.
    recent: VecDeque<(i64, u64)>,
    /// Sum of `recent`.
    units: u64,
    /// Distinct units, as many as a candidate needs.
    distinct: FewUnits<CANDIDATE_UNITS>,
    /// The arm that served most units in the time before this one was first seen, and how many distinct units had been
    /// seen of any arm by then.
    before: Option<(String, u64)>,
    /// (unit, window) pairs of this arm, and of all arms since it was first seen.
    since: [u64; 2],
    /// It is there by its lines alone: it was awaited, and has had no request.
    by_lines: bool,
}

impl ArmSeen {
    /// A unit was seen in the window that is being counted.
    fn meet(&mut self, unit: u64) {
        self.units += 1;
        self.distinct.insert(unit);
    }

    /// Forgets windows that began before this time.
    fn forget(&mut self, before: i64) {
        while let Some((_, units)) = self.recent.pop_front_if(|(start, _)| *start < before) {
            self.units -= units;
        }
        if self.recent.is_empty() {
            // Of a version that is gone only a few words stay.
            self.recent = VecDeque::new();
        }
    }
}

/// Lines of a candidate that is awaited. Those with less than [`ENDS_AFTER`] between them are one stretch.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Heard {
    /// Start of the window in which the stretch began; `None` once the arm has left within it: what goes on logging without a request
    /// after its rollout is no new one.
    since: Option<i64>,
    /// Start of the window of the latest line.
    last: i64,
}

/// Every arm of a release.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Arms {
    arms: BTreeMap<String, ArmSeen>,
    past_bound: bool,
    /// Distinct units of any arm, the first [`FIRST_UNITS_MAX`].
    first_units: FewUnits<FIRST_UNITS_MAX>,
    /// The control of arms that were there from the beginning, once there are two, and how it was found.
    first_control: Option<(String, ControlFrom)>,
    /// Start of the latest window in which any arm had a unit.
    last_active: Option<i64>,
    /// Candidates that are awaited and have logged something, requests or not.
    heard: BTreeMap<String, Heard>,
}

impl Arms {
    /// Start of the window since which an arm is there; `None` when it is not.
    pub(super) fn here_since(&self, arm: &str) -> Option<i64> {
        self.arms.get(arm)?.here_since
    }

    /// An arm was active in a window that began after this time.
    pub(super) fn active_after(&self, arm: &str, start: i64) -> bool {
        let latest = self.arms.get(arm).and_then(|seen| seen.recent.back());
        latest.is_some_and(|(at, _)| *at > start)
    }

    /// An arm is gone: if it comes again it comes new, and who serves then was there before it.
    pub(super) fn leave(&mut self, arm: &str) {
        if let Some(seen) = self.arms.get_mut(arm) {
            *seen = ArmSeen { requests: seen.requests, without_unit: seen.without_unit, ..ArmSeen::default() };
        }
        if self.first_control.as_ref().is_some_and(|(control, _)| control == arm) {
            self.first_control = None;
        }
        if let Some(heard) = self.heard.get_mut(arm) {
            heard.since = None;
        }
    }

    /// An arm that is awaited has logged nothing since a window long before this one.
    pub(super) fn is_silent(&self, arm: &str, start: i64) -> bool {
        self.heard.get(arm).is_some_and(|heard| start - heard.last >= ENDS_AFTER)
    }

    /// Notes lines of any kind, of candidates that are awaited. One that has been heard for the time within which it was to have a
    /// request, and has had none, is there all the same: what it lacks is missing from now on.
    ///
    /// Only where a share was promised: without one nobody knows that it should have had any. After [`Arms::count`], and with what it takes.
    pub(super) fn hear(
        &mut self,
        merged: &WindowPartial,
        services: &[ServiceKey],
        judged: Option<&ServiceKey>,
        settings: &Settings,
        is_full: bool,
    ) {
        let policy = settings.policy.of(judged);
        if policy.least_share().is_none() {
            return;
        }
        let start = settings.windowing.start_of(merged.window).0;
        for name in &policy.candidates {
            let arm = place(&merged.names.arms, name);
            let cells = |key| cells_of(merged, place(&merged.names.services, key)).iter();
            let has_lines = services.iter().flat_map(cells).any(|(_, of, cell)| Some(*of) == arm && cell.lines > 0);
            if has_lines {
                let new = Heard { since: Some(start), last: start };
                let heard = self.heard.entry(name.clone()).or_insert(new);
                *heard = if start - heard.last >= ENDS_AFTER { new } else { Heard { last: start, ..*heard } };
            }
            let since = self.heard.get(name).and_then(|heard| heard.since);
            let is_due = since.is_some_and(|since| start - since >= policy.starts_within);
            let has_room = self.arms.contains_key(name) || !is_full && !self.are_full();
            if is_due && has_room && self.here_since(name).is_none() {
                let seen = self.arms.entry(name.clone()).or_default();
                let (requests, without_unit) = (seen.requests, seen.without_unit);
                *seen =
                    ArmSeen { requests, without_unit, here_since: Some(start), by_lines: true, ..ArmSeen::default() };
            }
        }
    }

    /// An arm left, or had no unit for a while.
    pub(super) fn is_gone(&self, arm: &str) -> bool {
        self.arms.get(arm).is_none_or(|seen| seen.here_since.is_none() || seen.recent.is_empty())
    }

    /// There is no room for a further arm.
    pub(super) fn are_full(&self) -> bool {
        self.arms.len() >= ARMS_MAX
    }

    /// Forgets arms that had no unit for a while and that are not `kept`: who was never compared and comes again, comes new.
    pub(super) fn forget_silent(&mut self, kept: impl Fn(&str) -> bool) {
        self.arms.retain(|name, seen| !seen.recent.is_empty() || kept(name));
    }

    /// Forgets an arm that is gone.
    pub(super) fn forget(&mut self, arm: &str) {
        self.arms.remove(arm);
    }

    /// Each arm with its requests.
    pub(super) fn requests(&self) -> Vec<(String, u64)> {
        self.arms.iter().map(|(arm, seen)| (arm.clone(), seen.requests)).collect()
    }

    /// Each arm with its requests that name no unit.
    pub(super) fn without_unit(&self) -> Vec<(String, u64)> {
        self.arms.iter().map(|(arm, seen)| (arm.clone(), seen.without_unit)).collect()
    }

    /// There were more arms than are told apart.
    pub(super) fn past_bound(&self) -> bool {
        self.past_bound
    }

    /// Arms that are there.
    fn present(&self) -> impl Iterator<Item = &String> {
        self.arms.iter().filter(|(_, seen)| seen.here_since.is_some()).map(|(name, _)| name)
    }

    /// Requests and units of each arm of the entry service, and exposures of any service of its environment and cell.
    ///
    /// An exposure tells of a rollout in its own environment and cell; one that names none tells of every one. `is_full`: no
    /// further arm is taken.
    pub(super) fn count(
        &mut self,
        merged: &WindowPartial,
        entry: Option<NameId>,
        judged: Option<&ServiceKey>,
        settings: &Settings,
        is_full: bool,
    ) {
        let cells = of_service(&merged.cells, entry, |(service, _, _)| *service);
        let exposures = || merged.exposures.as_slice().iter().filter(|row| concerns(merged, row.service, judged));
        // Each line that makes a row also counts in a cell, so these are all arms of the entry's rows. Few of those of the
        // window are here: a service has one or two, all services together have hundreds.
        let mut ids: Vec<NameId> = cells.iter().map(|(_, arm, _)| *arm).chain(exposures().map(|row| row.arm)).collect();
        ids.sort_unstable();
        ids.dedup();
        let mut now: Vec<ArmSeen> = vec![ArmSeen::default(); ids.len()];
        let place = |arm: NameId| ids.binary_search(&arm).ok();
        for (_, arm, cell) in cells {
            let Some(seen) = place(*arm).and_then(|at| now.get_mut(at)) else { continue };
            seen.requests += cell.requests;
            seen.without_unit += cell.without_unit;
        }
        let mut meet = |arm: NameId, unit: u64| {
            if let Some(seen) = place(arm).and_then(|at| now.get_mut(at)) {
                seen.meet(unit);
            }
        };
        of_service(merged.units.as_slice(), entry, |row| row.service).iter().for_each(|row| meet(row.arm, row.unit));
        exposures().for_each(|row| meet(row.arm, row.unit));
        let of_attempts: BTreeSet<(NameId, u64)> = of_service(merged.attempts.as_slice(), entry, |row| row.service)
            .iter()
            .map(|row| (row.arm, row.unit))
            .collect();
        of_attempts.into_iter().for_each(|(arm, unit)| meet(arm, unit));
        let named = ids.iter().map(|id| event::name_at(&merged.names.arms, *id));
        let now = now.into_iter().zip(named).filter_map(|(seen, name)| Some((seen, name?)));
        let now: Vec<(ArmSeen, &String)> = now.filter(|(seen, _)| seen.requests + seen.units > 0).collect();
        let start = settings.windowing.start_of(merged.window).0;
        if now.iter().any(|(seen, _)| seen.units > 0) {
            let window = settings.windowing.window;
            let pause = self.last_active.map_or(0, |last| (start - (last + window) - PAUSE_MAX).max(0));
            if pause > 0 {
                let all = self.arms.values_mut().flat_map(|seen| &mut seen.recent);
                all.for_each(|(at, _)| *at += pause);
            }
            self.last_active = Some(start);
        }
        self.arms.values_mut().for_each(|seen| seen.forget(start - RECENT));
        let distinct = self.first_units.len() as u64;
        let before = self.serves_most().map(|name| (name.clone(), distinct));
        self.note_first_units(merged, entry);
        let in_window: u64 = now.iter().map(|(seen, _)| seen.units).sum();
        for (here, name) in now {
            // What lies past the bound of names of a window is no arm.
            if name == OTHER || (!self.arms.contains_key(name) && (is_full || self.arms.len() >= ARMS_MAX)) {
                self.past_bound = true;
                continue;
            }
            let seen = self.arms.entry(name.clone()).or_default();
            // With its first request an arm comes, whatever it has logged before.
            if seen.here_since.is_none() || seen.by_lines {
                let (requests, without_unit) = (seen.requests, seen.without_unit);
                let before = before.clone();
                *seen = ArmSeen { requests, without_unit, here_since: Some(start), before, ..ArmSeen::default() };
            }
            seen.requests += here.requests;
            seen.without_unit += here.without_unit;
            if here.units > 0 {
                seen.recent.push_back((start, here.units));
                seen.units += here.units;
            }
            seen.since[0] += here.units;
            seen.distinct.add(here.distinct);
        }
        self.arms.values_mut().for_each(|seen| seen.since[1] += in_window);
    }

    /// Units of a window under other arms than these two. Arms that never had more than a few units, like a probe's, do
    /// not count: they are up when nobody is there to serve.
    pub(super) fn others(&self, two: [&str; 2], start: Timestamp) -> u64 {
        self.arms
            .iter()
            .filter(|(name, seen)| !two.contains(&name.as_str()) && seen.distinct.len() >= CANDIDATE_UNITS)
            .filter_map(|(_, seen)| seen.recent.back().filter(|(at, _)| *at == start.0).map(|(_, units)| *units))
            .sum()
    }

    /// The arm that has served most units of late.
    fn serves_most(&self) -> Option<&String> {
        // An arm of a few units, like a probe's, has served nobody.
        let has_served = |seen: &ArmSeen| seen.distinct.len() >= CANDIDATE_UNITS;
        let most = self.arms.iter().filter(|(name, seen)| !is_candidate_name(name) && has_served(seen));
        let most = most.max_by_key(|(name, seen)| (seen.units, std::cmp::Reverse(*name)));
        most.filter(|(_, seen)| seen.units > 0).map(|(name, _)| name)
    }

    fn note_first_units(&mut self, merged: &WindowPartial, entry: Option<NameId>) {
        let of_entry = of_service(merged.units.as_slice(), entry, |row| row.service).iter().map(|row| row.unit);
        let exposed = merged.exposures.as_slice().iter().map(|row| row.unit);
        let attempts = of_service(merged.attempts.as_slice(), entry, |row| row.service).iter().map(|row| row.unit);
        for unit in of_entry.chain(exposed).chain(attempts) {
            if self.first_units.is_full {
                return;
            }
            self.first_units.insert(unit);
        }
    }

    /// Arms that may be candidates and are not compared yet: those that are named, or any that is large enough or `awaited`.
    ///
    /// `least_share`: the share of units that an arm needs.
    pub(super) fn ready(
        &self,
        settings: &Settings,
        awaited: &[String],
        compared: impl Fn(&str) -> bool,
        least_share: impl Fn(&str) -> f64,
    ) -> Vec<String> {
        let all: u64 = self.arms.values().map(|seen| seen.units).sum();
        let named = !settings.arms.candidates.is_empty();
        self.arms
            .iter()
            .filter(|(name, seen)| {
                settings.arms.control.as_ref() != Some(*name)
                    && !compared(name)
                    && if named {
                        settings.arms.candidates.contains(name)
                    } else {
                        let is_large = seen.distinct.len() >= CANDIDATE_UNITS;
                        awaited.contains(name) || is_large && seen.units as f64 >= least_share(name) * all as f64
                    }
            })
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The control of a candidate; `None` when this arm is no candidate, or nothing to compare it with is there yet.
    ///
    /// In this order: the one that is named; the one that is so labelled; the one that served most units before the
    /// candidate was first seen. Where both were there from the beginning, the older version, else a guess that is
    /// called one.
    pub(super) fn control_of(&mut self, candidate: &str, settings: &Settings) -> Option<(String, ControlFrom)> {
        if let Some(control) = &settings.arms.control {
            return Some((control.clone(), ControlFrom::Named));
        }
        if is_control_name(candidate) && settings.arms.candidates.is_empty() {
            return None;
        }
        if let Some(control) = self.present().find(|name| *name != candidate && is_control_name(name)) {
            return Some((control.clone(), ControlFrom::Label));
        }
        if self.arms.get(candidate).is_some_and(|seen| seen.by_lines) {
            // Whoever serves has served before one that has served nobody.
            return self.serves_most().map(|name| (name.clone(), ControlFrom::ServedBefore));
        }
        if let Some(before) = self.before(candidate).filter(|before| self.here_since(before).is_some()) {
            // An older version that comes later may be a rollback, or the log begins in the middle of a rollout.
            let oldest = oldest_version(&[&before.to_owned(), &candidate.to_owned()]);
            let from = if oldest.is_some_and(|oldest| oldest == candidate) && !is_candidate_name(candidate) {
                ControlFrom::Guess
            } else {
                ControlFrom::ServedBefore
            };
            return Some((before.to_owned(), from));
        }
        if self.first_control.is_none() {
            self.first_control = self.find_first_control();
        }
        self.first_control.clone().filter(|(control, _)| control != candidate)
    }

    /// Who served before an arm was first seen, where that was no accident of thin traffic: units are counted once, since
    /// one that comes back tells nothing new.
    fn before(&self, arm: &str) -> Option<&str> {
        let seen = self.arms.get(arm)?;
        let (name, units) = seen.before.as_ref()?;
        let [own, all] = seen.since;
        let expected = *units as f64 * own as f64 / all.max(1) as f64;
        (expected >= EXPECTED_BEFORE).then_some(name.as_str())
    }

    /// The control among arms that were there from the beginning.
    fn find_first_control(&self) -> Option<(String, ControlFrom)> {
        let first: Vec<&String> = self
            .arms
            .iter()
            .filter(|(name, seen)| seen.distinct.len() >= CANDIDATE_UNITS && self.before(name).is_none())
            .filter(|(name, _)| !is_candidate_name(name))
            .map(|(name, _)| name)
            .collect();
        // One alone is the control of those that are called candidates.
        if let [only] = first.as_slice() {
            let labelled = self.present().any(|name| is_candidate_name(name));
            return labelled.then(|| ((*only).clone(), ControlFrom::Label));
        }
        // The older version that came after many users had been served is a rollback, or the log begins in the middle.
        let came_later = |name: &str| {
            let before = self.arms.get(name).and_then(|seen| seen.before.as_ref());
            before.is_some_and(|(_, distinct)| *distinct >= CANDIDATE_UNITS as u64)
        };
        if let Some(oldest) = oldest_version(&first).filter(|oldest| !came_later(oldest)) {
            return Some((oldest, ControlFrom::OlderVersion));
        }
        let units = |name: &str| self.arms.get(name).map_or(0, |seen| seen.units);
        let largest = first.into_iter().max_by_key(|name| (units(name), std::cmp::Reverse(*name)))?;
        Some((largest.clone(), ControlFrom::Guess))
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> u64 {
        let of_arm = |(name, seen): (&String, &ArmSeen)| {
            memory::text(name)
                + memory::queue(&seen.recent)
                + seen.distinct.bytes()
                + seen.before.as_ref().map_or(0, |(name, _)| memory::text(name))
        };
        memory::tree::<String, ArmSeen>(self.arms.len())
            + self.arms.iter().map(of_arm).sum::<u64>()
            + self.first_units.bytes()
            + memory::tree::<String, Heard>(self.heard.len())
            + self.heard.keys().map(|name| memory::text(name)).sum::<u64>()
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.length(self.arms.len());
        for (name, seen) in &self.arms {
            w.text(name);
            w.uint(seen.requests);
            w.uint(seen.without_unit);
            w.flag(seen.here_since.is_some());
            w.int(seen.here_since.unwrap_or(0));
            w.length(seen.recent.len());
            for (start, units) in &seen.recent {
                w.int(*start);
                w.uint(*units);
            }
            w.flag(seen.before.is_some());
            w.text(seen.before.as_ref().map_or("", |(name, _)| name));
            w.uint(seen.before.as_ref().map_or(0, |(_, units)| *units));
            seen.since.into_iter().for_each(|count| w.uint(count));
            seen.distinct.write(w);
            w.flag(seen.by_lines);
        }
        w.flag(self.past_bound);
        self.first_units.write(w);
        w.flag(self.first_control.is_some());
        w.text(self.first_control.as_ref().map_or("", |(name, _)| name));
        w.byte(self.first_control.as_ref().map_or(0, |(_, from)| *from as u8));
        w.flag(self.last_active.is_some());
        w.int(self.last_active.unwrap_or(0));
        w.length(self.heard.len());
        for (name, heard) in &self.heard {
            w.text(name);
            w.flag(heard.since.is_some());
            w.int(heard.since.unwrap_or(0));
            w.int(heard.last);
        }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Arms, Damaged> {
        let mut state = Arms::default();
        for _ in 0..r.length()? {
            let name = r.text()?;
            let mut seen = ArmSeen { requests: r.uint()?, without_unit: r.uint()?, ..ArmSeen::default() };
            let (is_here, since) = (r.flag()?, r.int()?);
            seen.here_since = is_here.then_some(since);
            for _ in 0..r.length()? {
                let (start, units) = (r.int()?, r.uint()?);
                seen.recent.push_back((start, units));
                seen.units = seen.units.checked_add(units).ok_or(Damaged("impossible units"))?;
            }
            let has_before = r.flag()?;
            let before = (r.text()?, r.uint()?);
            seen.before = has_before.then_some(before);
            seen.since = [r.uint()?, r.uint()?];
            seen.distinct = FewUnits::read(r)?;
            seen.by_lines = r.flag()?;
            state.arms.insert(name, seen);
        }
        state.past_bound = r.flag()?;
        state.first_units = FewUnits::read(r)?;
        let has_control = r.flag()?;
        let control = r.text()?;
        let from = ControlFrom::ALL.get(usize::from(r.byte()?)).copied().ok_or(Damaged("unknown origin"))?;
        state.first_control = has_control.then_some((control, from));
        let (is_active, last) = (r.flag()?, r.int()?);
        state.last_active = is_active.then_some(last);
        for _ in 0..r.length()? {
            let (name, is_of_stretch, since, last) = (r.text()?, r.flag()?, r.int()?, r.int()?);
            state.heard.insert(name, Heard { since: is_of_stretch.then_some(since), last });
        }
        Ok(state)
    }
}

fn is_candidate_name(name: &str) -> bool {
    CANDIDATE_NAMES.iter().any(|label| name.eq_ignore_ascii_case(label))
}

fn is_control_name(name: &str) -> bool {
    CONTROL_NAMES.iter().any(|label| name.eq_ignore_ascii_case(label))
}

/// The oldest of versions like `1.9.2`, `v12`, `1.10.0-rc1` or `2026-05-01`; `None` when their order is not certain.
fn oldest_version(names: &[&String]) -> Option<String> {
    let mut versions: Vec<(Version<'_>, &String)> =
        names.iter().map(|name| Some((Version::parse(name)?, *name))).collect::<Option<_>>()?;
    versions.sort();
    let [(oldest, name), (next, _), ..] = versions.as_slice() else { return None };
    // Of two pre-releases of one version only numbers would tell, and they may hide anywhere in the text.
    let certain = oldest.numbers != next.numbers
        || (oldest.is_release && !next.is_release) != (next.is_release && !oldest.is_release);
    certain.then(|| (*name).clone())
}

/// A version, ordered by age.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Version<'n> {
    numbers: Vec<u64>,
    /// A pre-release comes before its release.
    is_release: bool,
    suffix: &'n str,
}

impl<'n> Version<'n> {
    fn parse(name: &'n str) -> Option<Version<'n>> {
        let text = name.trim_start_matches(['v', 'V']);
        let text = text.split_once('+').map_or(text, |(version, _build)| version);
        let is_date = text.len() == 10 && text.bytes().filter(|byte| *byte == b'-').count() == 2;
        let (core, suffix) = if is_date { (text, "") } else { text.split_once('-').unwrap_or((text, "")) };
        let numbers: Option<Vec<u64>> = core.split(['.', '-']).map(|part| part.parse().ok()).collect();
        // Seven digits are as likely the start of a commit's hash.
        let is_hash = core.len() == 7 && core.bytes().all(|byte| byte.is_ascii_digit());
        numbers.filter(|_| !is_hash).map(|numbers| Version { numbers, is_release: suffix.is_empty(), suffix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_by_age() {
        let oldest = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            oldest_version(&names.iter().collect::<Vec<_>>())
        };
        for (names, expected) in [
            (["1.10.0", "1.9.2"], Some("1.9.2")),
            (["v12", "v9"], Some("v9")),
            (["1.10.0-rc1", "1.9.0"], Some("1.9.0")),
            (["1.10.0-rc1", "1.10.0"], Some("1.10.0-rc1")),
            (["1.10.0-rc1", "1.10.0-rc2"], None),
            (["2026-06-01", "2026-05-01"], Some("2026-05-01")),
            (["1.0.0+b7", "1.1.0+b2"], Some("1.0.0+b7")),
            (["9f3c2ab", "1b7e0d4"], None),
            (["1234567", "7654321"], None),
            (["blue", "green"], None),
            (["1.0", "green"], None),
        ] {
            assert_eq!(oldest(&names).as_deref(), expected, "{names:?}");
        }
    }
}
