//! One release: which arms there are, who is compared with whom, and what a window brings to each comparison.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::engine::comparison::{Activity, Comparison, CompleteTrace, Evidence, Failure, WindowInput};
use crate::engine::traces::{OpenTraces, Trace};
use crate::engine::units::Arm;
use crate::engine::{Settings, entries, look};
use crate::event::{self, NO_NAME, NameId, ServiceKey};
use crate::math;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::latency::LatencyTable;
use crate::sketch::partial::WindowPartial;
use crate::sketch::rows::{AttemptRow, NEVER, OutcomeRow};
use crate::time::{HOUR, Timestamp};

/// Units that a discovered candidate needs before it is compared, and their share of all units of the service.
const CANDIDATE_UNITS: u64 = 20;
const CANDIDATE_SHARE: f64 = 0.001;

/// Candidates of one release that are compared; further ones are listed, not judged.
const CANDIDATES_MAX: usize = 16;

/// Names by which a control is labelled.
const CONTROL_NAMES: [&str; 9] =
    ["baseline", "control", "stable", "primary", "production", "main", "old", "off", "false"];

/// Looks that one digest entry covers.
const DIGEST_LOOKS: usize = 100;

/// What was seen of an arm.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct ArmSeen {
    /// First window with a request or exposure.
    first: i64,
    requests: u64,
    /// (unit, window) pairs.
    units: u64,
    /// Requests before any other arm appeared.
    alone: u64,
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
    control: Option<String>,
    traces: OpenTraces,
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
            control: None,
            traces: OpenTraces::default(),
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
        self.count_arms(merged, entry);
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
    fn count_arms(&mut self, merged: &WindowPartial, entry: Option<NameId>) {
        let mut now: BTreeMap<&str, (u64, u64)> = BTreeMap::new();
        for (service, arm, cell) in &merged.cells {
            let Some(name) = event::name_at(&merged.names.arms, *arm) else { continue };
            let requests = if Some(*service) == entry { cell.requests } else { 0 };
            if requests + cell.exposures > 0 {
                now.entry(name).or_default().0 += requests;
            }
        }
        for row in of_service(merged.units.as_slice(), entry, |row| row.service) {
            if let Some(name) = event::name_at(&merged.names.arms, row.arm) {
                now.entry(name).or_default().1 += 1;
            }
        }
        for row in merged.exposures.as_slice() {
            if let Some(name) = event::name_at(&merged.names.arms, row.arm) {
                now.entry(name).or_default().1 += 1;
            }
        }
        let of_attempts: BTreeSet<(NameId, u64)> = of_service(merged.attempts.as_slice(), entry, |row| row.service)
            .iter()
            .map(|row| (row.arm, row.unit))
            .collect();
        for (arm, _) in of_attempts {
            if let Some(name) = event::name_at(&merged.names.arms, arm) {
                now.entry(name).or_default().1 += 1;
            }
        }
        let alone = self.arms.len() + now.keys().filter(|name| !self.arms.contains_key(**name)).count() <= 1;
        for (name, (requests, units)) in now {
            let seen =
                self.arms.entry(name.to_owned()).or_insert(ArmSeen { first: merged.window, ..ArmSeen::default() });
            seen.requests += requests;
            seen.units += units;
            if alone {
                seen.alone += requests.max(units);
            }
        }
    }

    /// Decides which arm is the control, and opens comparisons of candidates that have become large enough.
    fn choose(&mut self, merged: &WindowPartial, settings: &Settings) {
        if self.control.is_none() {
            self.control = match &settings.arms.control {
                Some(control) => Some(control.clone()),
                None => self.find_control(),
            };
        }
        let Some(control) = self.control.clone() else { return };
        let all: u64 = self.arms.values().map(|seen| seen.units).sum();
        let named = !settings.arms.candidates.is_empty();
        let ready: Vec<String> = self
            .arms
            .iter()
            .filter(|(name, seen)| {
                **name != control
                    && self.comparisons.iter().all(|comparison| comparison.candidate != **name)
                    && if named {
                        settings.arms.candidates.contains(name)
                    } else {
                        seen.units >= CANDIDATE_UNITS && seen.units as f64 >= CANDIDATE_SHARE * all as f64
                    }
            })
            .map(|(name, _)| name.clone())
            .collect();
        for candidate in ready {
            if self.comparisons.len() >= CANDIDATES_MAX {
                return;
            }
            self.open(&control, &candidate, merged.window, settings);
        }
    }

    fn open(&mut self, control: &str, candidate: &str, window: i64, settings: &Settings) {
        let sharing = settings.arms.candidates.len().max(1) as f64;
        self.comparisons.push(Comparison::new(
            control,
            candidate,
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
        let Some(control) = self.control.clone().filter(|_| !self.comparisons.is_empty()) else { return };
        for candidate in &settings.arms.candidates {
            let known = self.comparisons.iter().any(|comparison| comparison.candidate == *candidate);
            if !known && *candidate != control && self.comparisons.len() < CANDIDATES_MAX {
                self.open(&control, candidate, self.window, settings);
            }
        }
    }

    /// The arm that is so labelled, else the one that served most before another appeared, else most so far.
    fn find_control(&self) -> Option<String> {
        let labelled = self.arms.keys().find(|name| CONTROL_NAMES.iter().any(|label| name.eq_ignore_ascii_case(label)));
        if let Some(name) = labelled {
            return Some(name.clone());
        }
        if self.arms.len() < 2 {
            return None;
        }
        // Both appeared at once: of versions that are numbers the older one is the control.
        let at_once = self.arms.values().all(|seen| seen.alone == 0);
        if at_once && let Some(oldest) = oldest_version(self.arms.keys()) {
            return Some(oldest);
        }
        self.arms
            .iter()
            .max_by_key(|(name, seen)| (seen.alone, seen.requests.max(seen.units), std::cmp::Reverse(*name)))
            .map(|(name, _)| name.clone())
    }

    /// Joins attempts that share a request id: the first attempt's arm owns the outcome, the last attempt's result is it.
    ///
    /// A request is complete one window after its first attempt. Returns the complete ones.
    fn join_attempts(&mut self, merged: &WindowPartial, entry: Option<NameId>) -> Vec<OpenAttempt> {
        let rows = merged.attempts.as_slice();
        if rows.is_empty() && self.attempts.is_empty() {
            return Vec::new();
        }
        let mut before = std::mem::take(&mut self.attempts);
        for group in rows.chunk_by(|a: &AttemptRow, b: &AttemptRow| (a.service, a.request) == (b.service, b.request)) {
            let (Some(first), Some(last)) = (group.first(), group.last()) else { continue };
            if Some(first.service) != entry {
                continue;
            }
            match before.get_mut(&first.request) {
                Some(open) => {
                    open.error = last.error;
                    open.latency = open.latency.max(last.latency);
                }
                None => {
                    let open = OpenAttempt {
                        arm: event::name_at(&merged.names.arms, first.arm).cloned(),
                        unit: first.unit,
                        latency: group.iter().map(|row| row.latency).max().unwrap_or(0),
                        first_error: first.error,
                        error: last.error,
                    };
                    self.attempts.insert(first.request, open);
                }
            }
        }
        before.into_values().collect()
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
            if let Some(key) = merged.names.services.get(usize::from(*service))
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
        for (service, arm, cell) in &merged.cells {
            if Some(*service) == entry
                && let Some(arm) = arm_of_id(*arm)
            {
                latency[arm.at()].append(&cell.latency);
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
            })
        }));
        let by_rows = activities.len();
        for row in merged.exposures.as_slice() {
            if let Some(arm) = arm_of_id(row.arm) {
                activities.push(Activity {
                    unit: row.unit,
                    arm,
                    first: row.at,
                    second: NEVER,
                    requests: 0,
                    errors: 0,
                    slowest: 0,
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
                if request.latency > 0 {
                    latency[arm.at()].add_count(event::bucket_of(request.unit), request.latency - 1, request.count);
                }
                let errors = if request.error { request.count } else { 0 };
                if request.armless
                    && let Some(totals) = comparison.totals.first_mut()
                {
                    totals[arm.at()].add_joined(u64::from(request.count), u64::from(errors), request.latency);
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
            .filter_map(|row| event::name_at(&merged.names.routes, row.route).map(|name| (row.unit, name.as_str())))
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
    ) -> Vec<(&'static str, Map<String, Value>)> {
        let comparison = &mut self.comparisons[at];
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
    ) -> Vec<(&'static str, Map<String, Value>)> {
        self.untold[at].full_at = None;
        self.look(at, settings, positions)
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
            w.int(seen.first);
            w.uint(seen.requests);
            w.uint(seen.units);
            w.uint(seen.alone);
        }
        w.flag(self.control.is_some());
        w.text(self.control.as_deref().unwrap_or(""));
        self.traces.write(w);
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
            let seen = ArmSeen { first: r.int()?, requests: r.uint()?, units: r.uint()?, alone: r.uint()? };
            state.arms.insert(name, seen);
        }
        let has_control = r.flag()?;
        let control = r.text()?;
        state.control = has_control.then_some(control);
        state.traces = OpenTraces::read(r)?;
        state.window = r.int()?;
        for _ in 0..r.length()? {
            let request = r.fixed()?;
            let (has_arm, arm) = (r.flag()?, r.text()?);
            let open = OpenAttempt {
                arm: has_arm.then_some(arm),
                unit: r.fixed()?,
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

/// The oldest of versions like `1.9.2` or `v12`; `None` when one of them is no such version.
fn oldest_version<'n>(names: impl Iterator<Item = &'n String>) -> Option<String> {
    let numbers = |name: &str| -> Option<Vec<u64>> {
        name.trim_start_matches(['v', 'V']).split('.').map(|part| part.parse().ok()).collect()
    };
    let versions: Option<Vec<(Vec<u64>, &String)>> = names.map(|name| Some((numbers(name)?, name))).collect();
    versions?.into_iter().min().map(|(_, name)| name.clone())
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
            at: 0,
            count: 1,
            latency: attempt.latency,
            error: attempt.error,
            armless: arm.is_none(),
            recovered: attempt.first_error && !attempt.error,
        })
    };
    outcomes.iter().map(of_outcome).chain(attempts.iter().filter_map(of_attempt)).collect()
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
