//! One release: which arms there are, who is compared with whom, and what a window brings to each comparison.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value};

use crate::engine::comparison::{
    Activity, Between, Comparison, CompleteTrace, ControlFrom, Evidence, Failure, ReadSoFar, WindowInput,
};
use crate::engine::traces::{OpenTraces, Trace};
use crate::engine::units::Arm;
use crate::engine::{Settings, entries, look};
use crate::event::{self, NO_NAME, NameId, ServiceKey};
use crate::math;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::latency::LatencyTable;
use crate::sketch::partial::{GAP_LATENCY, OTHER, WindowPartial};
use crate::sketch::rows::{AttemptRow, NEVER, OutcomeRow};
use crate::time::{HOUR, MINUTE, Micros, Timestamp};

/// Units that a discovered candidate needs before it is compared, and their share of all units of the service.
const CANDIDATE_UNITS: usize = 20;
const CANDIDATE_SHARE: f64 = 0.001;

/// Arms of one release that are told apart; what further ones do is not seen.
const ARMS_MAX: usize = 1_024;

/// Candidates of one release that are compared; further ones are listed, not judged.
const CANDIDATES_MAX: usize = 16;

/// How far back the size of an arm is looked at, and who served before another came.
const RECENT: Micros = 30 * MINUTE;

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

/// Looks that one digest entry covers.
const DIGEST_LOOKS: usize = 100;

/// What was seen of an arm.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct ArmSeen {
    requests: u64,
    /// Units of each of the latest windows, by the start of the window.
    recent: VecDeque<(i64, u64)>,
    /// Sum of `recent`.
    units: u64,
    /// Hashes of distinct units, as many as a candidate needs.
    distinct: BTreeSet<u64>,
    /// The arm that served most units in the time before this one was first seen, and how many distinct units had been
    /// seen of any arm by then.
    before: Option<(String, u64)>,
    /// (unit, window) pairs of this arm, and of all arms since it was first seen.
    since: [u64; 2],
}

impl ArmSeen {
    /// A unit was seen in the window that is being counted.
    fn meet(&mut self, unit: u64) {
        self.units += 1;
        self.keep(unit);
    }

    fn keep(&mut self, unit: u64) {
        if self.distinct.len() < CANDIDATE_UNITS {
            self.distinct.insert(unit);
        }
    }

    /// Forgets windows that began before this time.
    fn forget(&mut self, before: i64) {
        while let Some((_, units)) = self.recent.pop_front_if(|(start, _)| *start < before) {
            self.units -= units;
        }
    }
}

/// Looks of one comparison that no entry has told of yet.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Untold {
    first_at: i64,
    last_at: i64,
    checks: Vec<u32>,
    /// End of the window of the last full entry.
    full_at: Option<i64>,
    /// Verdict, held back, and flaws of the last full entry.
    told: String,
}

/// State of a release.
#[derive(Clone, Debug)]
pub(super) struct ReleaseState {
    pub(super) services: Vec<ServiceKey>,
    pub(super) comparisons: Vec<Comparison>,
    begun: Vec<bool>,
    untold: Vec<Untold>,
    arms: BTreeMap<String, ArmSeen>,
    arms_past_bound: bool,
    /// Hashes of distinct units of any arm, the first [`FIRST_UNITS_MAX`].
    first_units: BTreeSet<u64>,
    /// The control of arms that were there from the beginning, once there are two, and how it was found.
    first_control: Option<(String, ControlFrom)>,
    traces: OpenTraces,
    /// Lines of its services, and those of them that were late.
    arrived: [u64; 2],
    /// Last window that had lines.
    window: i64,
    /// Attempts of the window before, which this window may complete.
    attempts: BTreeMap<u64, OpenAttempt>,
    /// Room for the activities of a window: a list made anew in each would be fresh memory every time.
    activities: Vec<Activity>,
}

/// A request whose attempts may not all have been seen.
#[derive(Clone, PartialEq, Eq, Debug)]
struct OpenAttempt {
    arm: Option<String>,
    unit: u64,
    /// When it counts, microseconds after the start of the window in which it is complete.
    at: u32,
    latency: u16,
    /// Whether the first attempt failed, and whether the last so far did.
    first_error: bool,
    error: bool,
}

impl ReleaseState {
    pub(super) fn new(services: Vec<ServiceKey>) -> ReleaseState {
        ReleaseState {
            services,
            comparisons: Vec::new(),
            begun: Vec::new(),
            untold: Vec::new(),
            arms: BTreeMap::new(),
            arms_past_bound: false,
            first_units: BTreeSet::new(),
            first_control: None,
            traces: OpenTraces::default(),
            arrived: [0; 2],
            window: i64::MIN,
            attempts: BTreeMap::new(),
            activities: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> String {
        self.services.first().map(ToString::to_string).unwrap_or_default()
    }

    pub(super) fn arms_seen(&self) -> Vec<(String, u64)> {
        self.arms.iter().map(|(arm, seen)| (arm.clone(), seen.requests)).collect()
    }

    /// Takes a window; returns the comparisons that it brought something to.
    ///
    /// A window that only counts records which arrived while it was open, and has no line of its own, is no look:
    /// whether there is one depends on how lines were dealt over streams.
    pub(super) fn close_window(&mut self, merged: &WindowPartial, settings: &Settings) -> Vec<usize> {
        for (service, _, cell) in &merged.cells {
            let key = merged.names.services.get(usize::from(*service));
            if key.is_some_and(|key| self.services.contains(key)) {
                self.arrived[0] += cell.lines + cell.late;
                self.arrived[1] += cell.late;
            }
        }
        if merged.is_empty() {
            for at in 0..self.comparisons.len() {
                self.count_totals(at, merged);
            }
            return Vec::new();
        }
        self.window = merged.window;
        self.take_window(merged, settings)
    }

    /// Nothing more comes: requests that waited for a further attempt are complete, as if an empty window had closed.
    pub(super) fn end_attempts(&mut self, settings: &Settings) {
        if !self.attempts.is_empty() {
            self.take_window(&WindowPartial::new(self.window.saturating_add(1)), settings);
        }
    }

    fn take_window(&mut self, merged: &WindowPartial, settings: &Settings) -> Vec<usize> {
        let Some(entry_key) = self.services.first() else { return Vec::new() };
        let entry = position(&merged.names.services, entry_key);
        self.traces.add(
            merged.window,
            merged.traces.as_slice(),
            merged.trace_range,
            entry,
            &merged.names.services,
            &merged.names.arms,
        );
        let complete = self.traces.take_complete(Some(merged.window));
        let attempts = self.join_attempts(merged, entry);
        self.count_arms(merged, entry, settings);
        self.choose(merged, settings);
        let mut looked = Vec::new();
        for at in 0..self.comparisons.len() {
            if self.feed(at, merged, entry, settings, &complete, &attempts) {
                looked.push(at);
            }
        }
        looked
    }

    /// Requests and units of each arm of the entry service, and exposures of any service of its environment.
    fn count_arms(&mut self, merged: &WindowPartial, entry: Option<NameId>, settings: &Settings) {
        // By index of the arm: most rows of a window come through here.
        let mut now: Vec<ArmSeen> = vec![ArmSeen::default(); merged.names.arms.len()];
        for (service, arm, cell) in &merged.cells {
            let Some(seen) = now.get_mut(usize::from(*arm)) else { continue };
            if Some(*service) == entry {
                seen.requests += cell.requests;
            }
        }
        for row in of_service(merged.units.as_slice(), entry, |row| row.service) {
            now.get_mut(usize::from(row.arm)).into_iter().for_each(|seen| seen.meet(row.unit));
        }
        for row in merged.exposures.as_slice().iter().filter(|row| self.concerns(merged, row.service)) {
            now.get_mut(usize::from(row.arm)).into_iter().for_each(|seen| seen.meet(row.unit));
        }
        let of_attempts: BTreeSet<(NameId, u64)> = of_service(merged.attempts.as_slice(), entry, |row| row.service)
            .iter()
            .map(|row| (row.arm, row.unit))
            .collect();
        for (arm, unit) in of_attempts {
            now.get_mut(usize::from(arm)).into_iter().for_each(|seen| seen.meet(unit));
        }
        let now = now.into_iter().zip(&merged.names.arms).filter(|(seen, _)| seen.requests + seen.units > 0);
        let now: Vec<(ArmSeen, &String)> = now.collect();
        let start = settings.windowing.start_of(merged.window).0;
        self.arms.values_mut().for_each(|seen| seen.forget(start - RECENT));
        let most = self.arms.iter().filter(|(name, _)| !is_candidate_name(name));
        let most = most.max_by_key(|(name, seen)| (seen.units, std::cmp::Reverse(*name)));
        let distinct = self.first_units.len() as u64;
        let before = most.filter(|(_, seen)| seen.units > 0).map(|(name, _)| (name.clone(), distinct));
        self.note_first_units(merged, entry);
        let in_window: u64 = now.iter().map(|(seen, _)| seen.units).sum();
        for (here, name) in now {
            // What lies past the bound of names of a window is no arm.
            if name == OTHER || (!self.arms.contains_key(name) && self.arms.len() >= ARMS_MAX) {
                self.arms_past_bound = true;
                continue;
            }
            let new = || ArmSeen { before: before.clone(), ..ArmSeen::default() };
            let seen = self.arms.entry(name.clone()).or_insert_with(new);
            seen.requests += here.requests;
            if here.units > 0 {
                seen.recent.push_back((start, here.units));
                seen.units += here.units;
            }
            seen.since[0] += here.units;
            here.distinct.into_iter().for_each(|unit| seen.keep(unit));
        }
        self.arms.values_mut().for_each(|seen| seen.since[1] += in_window);
    }

    fn note_first_units(&mut self, merged: &WindowPartial, entry: Option<NameId>) {
        let of_entry = of_service(merged.units.as_slice(), entry, |row| row.service).iter().map(|row| row.unit);
        let exposed = merged.exposures.as_slice().iter().map(|row| row.unit);
        let attempts = of_service(merged.attempts.as_slice(), entry, |row| row.service).iter().map(|row| row.unit);
        for unit in of_entry.chain(exposed).chain(attempts) {
            if self.first_units.len() >= FIRST_UNITS_MAX {
                return;
            }
            self.first_units.insert(unit);
        }
    }

    /// An exposure tells of a rollout in its own environment; one that names none tells of every environment.
    fn concerns(&self, merged: &WindowPartial, service: NameId) -> bool {
        let ours = self.services.first().map(|entry| entry.environment.as_str());
        row_environment(merged, service).is_none_or(|of| Some(of) == ours)
    }

    /// Arms that are large enough and are not compared, because the control has as many candidates as it may.
    pub(super) fn not_judged(&self, settings: &Settings) -> Vec<String> {
        if self.comparisons.len() < CANDIDATES_MAX { Vec::new() } else { self.ready(settings) }
    }

    /// Bounds that were met, in words.
    pub(super) fn bounds_met(&self) -> Vec<String> {
        let mut list = Vec::new();
        if self.arms_past_bound {
            list.push("more arms than can be told apart: what further ones did is not seen".to_owned());
        }
        let followed = self.traces.followed();
        if followed < 1.0 {
            list.push(format!("{:.2} % of traces are followed", followed * 100.0));
        }
        if self.traces.orphans > 0 {
            list.push(format!("{} traces never showed a request of the service", self.traces.orphans));
        }
        list
    }

    /// Opens comparisons of candidates that have become large enough.
    fn choose(&mut self, merged: &WindowPartial, settings: &Settings) {
        for candidate in self.ready(settings) {
            if self.comparisons.len() >= CANDIDATES_MAX {
                return;
            }
            let control = self.control_of(&candidate, settings);
            // Two arms are compared one way only.
            let reversed = |control: &str| {
                self.comparisons.iter().any(|known| known.candidate == control && known.control == candidate)
            };
            if let Some((control, from)) = control.filter(|(control, _)| !reversed(control)) {
                self.open(&control, &candidate, from, merged.window, settings);
            }
        }
    }

    /// Arms that may be candidates and are not compared yet: those that are named, or any that is large enough.
    fn ready(&self, settings: &Settings) -> Vec<String> {
        let all: u64 = self.arms.values().map(|seen| seen.units).sum();
        let named = !settings.arms.candidates.is_empty();
        self.arms
            .iter()
            .filter(|(name, seen)| {
                settings.arms.control.as_ref() != Some(*name)
                    && self.comparisons.iter().all(|comparison| comparison.candidate != **name)
                    && if named {
                        settings.arms.candidates.contains(name)
                    } else {
                        seen.distinct.len() >= CANDIDATE_UNITS && seen.units as f64 >= CANDIDATE_SHARE * all as f64
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
    fn control_of(&mut self, candidate: &str, settings: &Settings) -> Option<(String, ControlFrom)> {
        if let Some(control) = &settings.arms.control {
            return Some((control.clone(), ControlFrom::Named));
        }
        if is_control_name(candidate) && settings.arms.candidates.is_empty() {
            return None;
        }
        if let Some(control) = self.arms.keys().find(|name| *name != candidate && is_control_name(name)) {
            return Some((control.clone(), ControlFrom::Label));
        }
        if let Some(before) = self.before(candidate) {
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
            let labelled = self.arms.keys().any(|name| is_candidate_name(name));
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

    fn open(&mut self, control: &str, candidate: &str, from: ControlFrom, window: i64, settings: &Settings) {
        let sharing = settings.arms.sharing.clamp(1, CANDIDATES_MAX) as f64;
        self.comparisons.push(Comparison::new(
            Between { control, candidate, control_from: from },
            settings.unit,
            look::LOG_CHANGED + math::ln(sharing),
            self.services.len(),
            window,
            settings.windowing.start_of(window),
        ));
        self.begun.push(false);
        self.untold.push(Untold::default());
    }

    /// Candidates that were asked for by name and never came, beside others that did: nothing is known of them, and that
    /// is no pass (CP-1).
    pub(super) fn add_missing(&mut self, settings: &Settings) {
        let Some(known) = self.comparisons.first() else { return };
        let (control, from) = (known.control.clone(), known.control_from);
        for candidate in &settings.arms.candidates {
            let known = self.comparisons.iter().any(|comparison| comparison.candidate == *candidate);
            if !known && *candidate != control && self.comparisons.len() < CANDIDATES_MAX {
                self.open(&control, candidate, from, self.window, settings);
            }
        }
    }

    /// Joins attempts that share a request: the first attempt's arm owns the outcome, the last attempt's result is it.
    ///
    /// An attempt follows one that failed; after one that succeeded another request begins. A request that has failed so
    /// far waits one window for a further attempt. Returns the complete ones.
    fn join_attempts(&mut self, merged: &WindowPartial, entry: Option<NameId>) -> Vec<OpenAttempt> {
        let rows = merged.attempts.as_slice();
        if rows.is_empty() && self.attempts.is_empty() {
            return Vec::new();
        }
        let mut waiting = std::mem::take(&mut self.attempts);
        let mut complete = Vec::new();
        for group in rows.chunk_by(|a: &AttemptRow, b: &AttemptRow| (a.service, a.request) == (b.service, b.request)) {
            let Some(head) = group.first().filter(|head| Some(head.service) == entry) else { continue };
            // One that comes from the window before has waited long enough, and is not put back.
            let mut old = waiting.remove(&head.request);
            let mut open: Option<OpenAttempt> = None;
            for row in group {
                match old.as_mut().or(open.as_mut()) {
                    Some(earlier) if earlier.error && earlier.unit == row.unit => {
                        earlier.error = row.error;
                        earlier.latency = earlier.latency.max(row.latency);
                        continue;
                    }
                    Some(_) | None => {}
                }
                complete.extend(old.take().or(open.take()));
                open = Some(OpenAttempt {
                    arm: event::name_at(&merged.names.arms, row.arm).cloned(),
                    unit: row.unit,
                    at: row.at,
                    latency: row.latency,
                    first_error: row.error,
                    error: row.error,
                });
            }
            complete.extend(old);
            match open {
                Some(open) if open.error => {
                    self.attempts.insert(head.request, OpenAttempt { at: 0, ..open });
                }
                Some(open) => complete.push(open),
                None => {}
            }
        }
        complete.extend(waiting.into_values());
        complete
    }

    /// What each service of the release did under the two arms.
    fn count_totals(&mut self, at: usize, merged: &WindowPartial) {
        let comparison = &mut self.comparisons[at];
        for (service, arm, cell) in &merged.cells {
            let Some(name) = event::name_at(&merged.names.arms, *arm) else { continue };
            let arm = if *name == comparison.control {
                Arm::Control
            } else if *name == comparison.candidate {
                Arm::Candidate
            } else {
                continue;
            };
            if *service == NO_NAME {
                comparison.damaged[arm.at()] += cell.damaged;
            } else if let Some(key) = merged.names.services.get(usize::from(*service))
                && let Some(of_service) = position(&self.services, key)
                && let Some(totals) = comparison.totals.get_mut(usize::from(of_service))
            {
                totals[arm.at()].add(cell);
            }
        }
    }

    fn feed(
        &mut self,
        at: usize,
        merged: &WindowPartial,
        entry: Option<NameId>,
        settings: &Settings,
        complete: &[(u64, Trace)],
        attempts: &[OpenAttempt],
    ) -> bool {
        self.count_totals(at, merged);
        let environment = self.services.first().map(|entry| entry.environment.as_str());
        let comparison = &mut self.comparisons[at];
        let ids = [&comparison.control, &comparison.candidate].map(|name| position(&merged.names.arms, name));
        let arm_of_id = |id: NameId| {
            if id == NO_NAME {
                None
            } else if Some(id) == ids[0] {
                Some(Arm::Control)
            } else if Some(id) == ids[1] {
                Some(Arm::Candidate)
            } else {
                None
            }
        };
        let start = settings.windowing.start_of(merged.window);
        let mut latency: [LatencyTable; 2] = Default::default();
        let mut warnings: [LatencyTable; 2] = Default::default();
        let mut gaps: [LatencyTable; 2] = Default::default();
        for (service, arm, cell) in &merged.cells {
            if Some(*service) == entry
                && let Some(arm) = arm_of_id(*arm)
            {
                latency[arm.at()].append(&cell.latency);
                warnings[arm.at()].append(&cell.warnings);
                gaps[arm.at()].append(&cell.gaps);
            }
        }
        let of_entry = of_service(merged.units.as_slice(), entry, |row| row.service);
        let activities = &mut self.activities;
        activities.clear();
        activities.extend(of_entry.iter().filter_map(|row| {
            arm_of_id(row.arm).map(|arm| Activity {
                unit: row.unit,
                arm,
                first: row.first,
                second: row.second,
                requests: row.requests,
                errors: row.errors,
                slowest: row.slowest,
                first_latency: row.first_latency,
                recovered: 0,
            })
        }));
        let by_rows = activities.len();
        for row in merged.exposures.as_slice() {
            let ours = row_environment(merged, row.service).is_none_or(|of| Some(of) == environment);
            if let Some(arm) = arm_of_id(row.arm).filter(|_| ours) {
                activities.push(Activity {
                    unit: row.unit,
                    arm,
                    first: row.at,
                    second: NEVER,
                    requests: 0,
                    errors: 0,
                    slowest: 0,
                    first_latency: 0,
                    recovered: 0,
                });
            }
        }
        let joined =
            joined_requests(comparison, of_service(merged.outcomes.as_slice(), entry, |row| row.service), attempts);
        if !joined.is_empty() {
            activities.sort_by_key(|a| (a.unit, a.first));
            let exposed = activities.len();
            for request in joined {
                // Without an arm of its own: that of the latest exposure before it in this window, else its unit's.
                let known = activities.get(..exposed).unwrap_or(&[]);
                let from = known.partition_point(|a| a.unit < request.unit);
                let in_window = known
                    .iter()
                    .skip(from)
                    .take_while(|a| a.unit == request.unit && a.first <= request.at)
                    .last()
                    .map(|a| a.arm);
                let Some(arm) = request.arm.or(in_window).or_else(|| comparison.arm_of(request.unit)) else {
                    comparison.unassigned += u64::from(request.count);
                    continue;
                };
                if request.latency == 0 && request.armless {
                    gaps[arm.at()].add_count(event::bucket_of(request.unit), GAP_LATENCY, request.count);
                } else if request.latency > 0 {
                    latency[arm.at()].add_count(event::bucket_of(request.unit), request.latency - 1, request.count);
                }
                let errors = if request.error { request.count } else { 0 };
                if let Some(totals) = comparison.totals.first_mut() {
                    let (totals, count) = (&mut totals[arm.at()], u64::from(request.count));
                    if request.armless {
                        totals.add_joined(count, u64::from(errors), request.latency);
                    } else {
                        totals.add_latency(count, request.latency);
                    }
                }
                comparison.recovered[arm.at()] += u64::from(request.recovered);
                activities.push(Activity {
                    unit: request.unit,
                    arm,
                    first: request.at,
                    second: if request.count > 1 { request.at } else { NEVER },
                    requests: request.count,
                    errors,
                    slowest: request.latency,
                    first_latency: request.latency,
                    recovered: u32::from(request.recovered),
                });
            }
        }
        if activities.is_empty() && complete.is_empty() {
            return false;
        }
        if activities.len() > by_rows {
            activities.sort_by_key(|a| (a.unit, a.first, a.arm));
        }
        let routes = of_service(merged.pairs.as_slice(), entry, |row| row.service)
            .iter()
            .map(|row| (row.unit, event::name_at(&merged.names.routes, row.route).map(String::as_str), row.classes))
            .collect();
        let evidence_of = |arm: usize| {
            merged
                .evidence
                .as_slice()
                .iter()
                .filter(|row| Some(row.service) == entry && Some(row.arm) == ids[arm])
                .map(|row| Evidence::new(row, start, &merged.streams, &merged.names.routes))
                .collect()
        };
        let input = WindowInput {
            window: merged.window,
            start,
            end: settings.windowing.end_of(merged.window),
            activities,
            latency,
            warnings,
            gaps,
            routes,
            traces: traces_of(comparison, &self.traces, complete),
            evidence: [evidence_of(0), evidence_of(1)],
        };
        comparison.close_window(input);
        true
    }

    /// Traces that waited for one more window are complete.
    pub(super) fn end_traces(&mut self) {
        let complete = self.traces.take_complete(None);
        for comparison in &mut self.comparisons {
            let traces = traces_of(comparison, &self.traces, &complete);
            comparison.end(&traces);
        }
    }

    /// The entry that tells of a new comparison, once.
    pub(super) fn begin_entry(&mut self, at: usize, settings: &Settings) -> Option<Map<String, Value>> {
        if std::mem::replace(&mut self.begun[at], true) {
            return None;
        }
        Some(entries::begin(&self.name(), &self.services, &self.comparisons[at], settings))
    }

    /// Looks at a comparison; returns the entries that tell of it.
    pub(super) fn look(
        &mut self,
        at: usize,
        settings: &Settings,
        positions: &BTreeMap<String, u64>,
        read: ReadSoFar,
    ) -> Vec<(&'static str, Map<String, Value>)> {
        let comparison = &mut self.comparisons[at];
        let [events, late] = self.arrived;
        comparison.read = ReadSoFar { events, late, ..read };
        let look = look::look(comparison, &settings.policy);
        let regressed = look.log_sum >= comparison.log_fail;
        if regressed && comparison.failure.is_none() {
            if look.verdict == crate::compare::verdict::Verdict::Fail {
                comparison.failure = Some(Failure {
                    window: comparison.window,
                    at: comparison.ended_at,
                    cells: look.leading(comparison.log_fail),
                });
            } else if comparison.regressed_while_invalid.is_none() {
                comparison.regressed_while_invalid = Some(comparison.window);
            }
        }
        comparison.look = look;
        let status = entries::status(comparison);
        let untold = &self.untold[at];
        let hour_over = untold.full_at.is_none_or(|at| comparison.ended_at.0 - at >= HOUR);
        if hour_over || status != untold.told {
            return self.tell(at, settings, positions);
        }
        let mut list = Vec::new();
        let check = entries::check(&self.comparisons[at]);
        let ended = self.comparisons[at].ended_at.0;
        let untold = &mut self.untold[at];
        if untold.checks.is_empty() {
            untold.first_at = ended;
        }
        untold.last_at = ended;
        untold.checks.push(check);
        if untold.checks.len() >= DIGEST_LOOKS {
            list.extend(self.digest(at));
        }
        list
    }

    /// The last word on a comparison.
    pub(super) fn last_look(
        &mut self,
        at: usize,
        settings: &Settings,
        positions: &BTreeMap<String, u64>,
        read: ReadSoFar,
    ) -> Vec<(&'static str, Map<String, Value>)> {
        self.untold[at].full_at = None;
        self.look(at, settings, positions, read)
    }

    fn tell(
        &mut self,
        at: usize,
        settings: &Settings,
        positions: &BTreeMap<String, u64>,
    ) -> Vec<(&'static str, Map<String, Value>)> {
        let mut list: Vec<(&'static str, Map<String, Value>)> = self.digest(at).into_iter().collect();
        let name = self.name();
        let comparison = &self.comparisons[at];
        list.push(("look", entries::look(&name, comparison, settings, positions)));
        self.untold[at].full_at = Some(comparison.ended_at.0);
        self.untold[at].told = entries::status(comparison);
        list
    }

    /// The entry for looks that changed nothing, when there are any.
    fn digest(&mut self, at: usize) -> Option<(&'static str, Map<String, Value>)> {
        let untold = &mut self.untold[at];
        if untold.checks.is_empty() {
            return None;
        }
        let checks = std::mem::take(&mut untold.checks);
        let (first, last) = (Timestamp(untold.first_at), Timestamp(untold.last_at));
        let name = self.name();
        Some(("looks", entries::looks(&name, &self.comparisons[at], first, last, &checks)))
    }

    /// Verdict of each comparison, for the last entry.
    pub(super) fn summary(&self) -> Vec<(String, String)> {
        self.comparisons
            .iter()
            .map(|comparison| (comparison.candidate.clone(), comparison.look.verdict.name().to_owned()))
            .collect()
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.length(self.services.len());
        for key in &self.services {
            w.text(&key.environment);
            w.text(&key.service);
        }
        w.length(self.comparisons.len());
        for ((comparison, begun), untold) in self.comparisons.iter().zip(&self.begun).zip(&self.untold) {
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
        w.length(self.arms.len());
        for (name, seen) in &self.arms {
            w.text(name);
            w.uint(seen.requests);
            w.length(seen.recent.len());
            for (start, units) in &seen.recent {
                w.int(*start);
                w.uint(*units);
            }
            w.flag(seen.before.is_some());
            w.text(seen.before.as_ref().map_or("", |(name, _)| name));
            w.uint(seen.before.as_ref().map_or(0, |(_, units)| *units));
            seen.since.into_iter().for_each(|count| w.uint(count));
            w.length(seen.distinct.len());
            seen.distinct.iter().for_each(|unit| w.fixed(*unit));
        }
        w.flag(self.arms_past_bound);
        w.length(self.first_units.len());
        self.first_units.iter().for_each(|unit| w.fixed(*unit));
        w.flag(self.first_control.is_some());
        w.text(self.first_control.as_ref().map_or("", |(name, _)| name));
        w.byte(self.first_control.as_ref().map_or(0, |(_, from)| *from as u8));
        self.traces.write(w);
        self.arrived.into_iter().for_each(|count| w.uint(count));
        w.int(self.window);
        w.length(self.attempts.len());
        for (request, open) in &self.attempts {
            w.fixed(*request);
            w.flag(open.arm.is_some());
            w.text(open.arm.as_deref().unwrap_or(""));
            w.fixed(open.unit);
            w.uint(u64::from(open.latency));
            w.flag(open.first_error);
            w.flag(open.error);
        }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<ReleaseState, Damaged> {
        let mut services = Vec::new();
        for _ in 0..r.length()? {
            services.push(ServiceKey { environment: r.text()?, service: r.text()? });
        }
        let mut state = ReleaseState::new(services);
        for _ in 0..r.length()? {
            state.comparisons.push(Comparison::read(r)?);
            state.begun.push(r.flag()?);
            let mut untold = Untold { first_at: r.int()?, last_at: r.int()?, ..Untold::default() };
            for _ in 0..r.length()? {
                untold.checks.push(r.uint32()?);
            }
            let has_full = r.flag()?;
            let full = r.int()?;
            untold.full_at = has_full.then_some(full);
            untold.told = r.text()?;
            state.untold.push(untold);
        }
        for _ in 0..r.length()? {
            let name = r.text()?;
            let mut seen = ArmSeen { requests: r.uint()?, ..ArmSeen::default() };
            for _ in 0..r.length()? {
                let (start, units) = (r.int()?, r.uint()?);
                seen.recent.push_back((start, units));
                seen.units = seen.units.checked_add(units).ok_or(Damaged("impossible units"))?;
            }
            let has_before = r.flag()?;
            let before = (r.text()?, r.uint()?);
            seen.before = has_before.then_some(before);
            seen.since = [r.uint()?, r.uint()?];
            for _ in 0..r.length()? {
                seen.distinct.insert(r.fixed()?);
            }
            state.arms.insert(name, seen);
        }
        state.arms_past_bound = r.flag()?;
        for _ in 0..r.length()? {
            state.first_units.insert(r.fixed()?);
        }
        let has_control = r.flag()?;
        let control = r.text()?;
        let from = ControlFrom::ALL.get(usize::from(r.byte()?)).copied().ok_or(Damaged("unknown origin"))?;
        state.first_control = has_control.then_some((control, from));
        state.traces = OpenTraces::read(r)?;
        state.arrived = [r.uint()?, r.uint()?];
        state.window = r.int()?;
        for _ in 0..r.length()? {
            let request = r.fixed()?;
            let (has_arm, arm) = (r.flag()?, r.text()?);
            let open = OpenAttempt {
                arm: has_arm.then_some(arm),
                unit: r.fixed()?,
                at: 0,
                latency: r.uint16()?,
                first_error: r.flag()?,
                error: r.flag()?,
            };
            state.attempts.insert(request, open);
        }
        Ok(state)
    }
}

/// Complete traces whose request a comparison has seen.
fn traces_of(comparison: &Comparison, open: &OpenTraces, complete: &[(u64, Trace)]) -> Vec<CompleteTrace> {
    complete
        .iter()
        .filter(|(_, trace)| trace.window().is_some_and(|window| window >= comparison.started))
        .filter_map(|(hash, trace)| {
            let arm = match trace.arm.as_deref() {
                None => None,
                Some(name) if name == comparison.control => Some(Arm::Control),
                Some(name) if name == comparison.candidate => Some(Arm::Candidate),
                Some(_) => return None,
            };
            let services = trace.services.iter().map(|service| open.name(*service).to_owned()).collect();
            Some(CompleteTrace { hash: *hash, unit: trace.unit, arm, lines: trace.lines, services })
        })
        .collect()
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

/// A request that is joined to an arm when its window closes.
struct Joined {
    unit: u64,
    /// Its own arm.
    arm: Option<Arm>,
    at: u32,
    count: u32,
    latency: u16,
    error: bool,
    /// Its lines carry no arm, so no cell of an arm has counted it.
    armless: bool,
    /// Its first attempt failed, its last did not.
    recovered: bool,
}

fn joined_requests(comparison: &Comparison, outcomes: &[OutcomeRow], attempts: &[OpenAttempt]) -> Vec<Joined> {
    let of_outcome = |row: &OutcomeRow| Joined {
        unit: row.unit,
        arm: None,
        at: row.at,
        count: row.count,
        latency: row.latency,
        error: row.error,
        armless: true,
        recovered: false,
    };
    let of_attempt = |attempt: &OpenAttempt| {
        let arm = match &attempt.arm {
            None => None,
            Some(name) if *name == comparison.control => Some(Arm::Control),
            Some(name) if *name == comparison.candidate => Some(Arm::Candidate),
            Some(_) => return None,
        };
        Some(Joined {
            unit: attempt.unit,
            arm,
            at: attempt.at,
            count: 1,
            latency: attempt.latency,
            error: attempt.error,
            armless: arm.is_none(),
            recovered: attempt.first_error && !attempt.error,
        })
    };
    outcomes.iter().map(of_outcome).chain(attempts.iter().filter_map(of_attempt)).collect()
}

/// Environment that the service of a row names.
fn row_environment(merged: &WindowPartial, service: NameId) -> Option<&str> {
    merged.names.services.get(usize::from(service)).map(|key| key.environment.as_str()).filter(|of| !of.is_empty())
}

/// Rows of one service; rows are sorted by service first.
fn of_service<R>(rows: &[R], service: Option<NameId>, of: impl Fn(&R) -> NameId) -> &[R] {
    let Some(service) = service else { return &[] };
    let from = rows.partition_point(|row| of(row) < service);
    let until = rows.partition_point(|row| of(row) <= service);
    rows.get(from..until).unwrap_or(&[])
}

fn position<T: Ord>(list: &[T], item: &T) -> Option<NameId> {
    // Lists of a partial are sorted; the list of a release has its entry first, so it is searched in order.
    list.iter().position(|known| known == item).map(|at| at as NameId)
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
