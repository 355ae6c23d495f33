//! One release: which arms there are, who is compared with whom, and what a window brings to each comparison.

mod kept;
mod size;
mod snapshot;
mod telling;

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::engine::arms::{Arms, CANDIDATE_SHARE};
use crate::engine::attempts::{OpenAttempt, OpenAttempts, joined_requests, requests_with_arm};
use crate::engine::comparison::{Activity, Between, Comparison, CompleteTrace, ControlFrom, Evidence, WindowInput};
use crate::engine::conversions::Converted;
use crate::engine::ending::EndReason;
use crate::engine::exposed::Exposed;
use crate::engine::levels::{Company, Levels};
use crate::engine::lookup::{cells_of, concerns, of_service, place};
use crate::engine::metrics::Measured;
use crate::engine::overlaps::Seen;
use crate::engine::segments::SegmentInput;
use crate::engine::templates::TemplateInput;
use crate::engine::traces::{OpenTraces, Trace};
use crate::engine::units::Arm;
use crate::engine::user_effects::{History, HistoryWindow};
use crate::engine::{Settings, entries, look};
use crate::event::{self, NO_NAME, NameId, ServiceKey};
use crate::math;
use crate::sketch::latency::LatencyTable;
use crate::sketch::partial::{GAP_LATENCY, WindowPartial};
use crate::sketch::rows::{CallRow, NEVER, Row as _, SegmentRow};
use crate::sketch::weights::WeightTable;
use crate::time::{MINUTE, Timestamp};

/// Candidates of one release that are compared; further ones are listed, not judged.
const CANDIDATES_MAX: usize = 16;

/// Comparisons of one release that are kept, those that are over included. For a further one the oldest is forgotten that is over and of
/// which an arm is gone; where none is, further arms are listed, not judged.
const COMPARISONS_MAX: usize = 64;

/// Share of units that a control needs to come back after the candidate had taken over: otherwise what was left of the old
/// version would be a new rollout at once. What is left of a candidate is watched like any candidate.
const RETURN_SHARE: f64 = 0.01;

pub use kept::{Comparisons, Forgotten};

/// Kind and body of a ledger entry.
pub(super) type Entry = (&'static str, Map<String, Value>);

/// State of a release.
#[derive(Clone, Debug)]
pub(super) struct ReleaseState {
    pub(super) services: Vec<ServiceKey>,
    pub(super) comparisons: Comparisons,
    /// Those that were forgotten in the window that is being closed, with their numbers.
    gone: Vec<(usize, Comparison)>,
    arms: Arms,
    /// Lines of its services, and those of them that were late.
    arrived: [u64; 2],
    /// Lines of level warn or worse of its services that name neither a unit nor an arm.
    /// Where an instance tells the arm, they are that arm's, and not counted here.
    pub(super) unattributed_warnings: u64,
    /// The entry service took a request, under an arm or none.
    takes_requests: bool,
    /// Last window that had lines of its services.
    window: i64,
    attempts: OpenAttempts,
    /// What is usual for its users; `None` where it may not be kept.
    history: Option<History>,
}

/// What releases share.
#[derive(Clone, Debug, Default)]
pub(super) struct Common {
    /// Traces that may still grow.
    pub(super) traces: OpenTraces,
    /// Arms of units that were exposed in earlier windows.
    pub(super) exposed: Exposed,
    /// Room for the activities of a window: a list made anew in each would be fresh memory every time.
    activities: Vec<Activity>,
    /// Rows of instances of a service in the window whose warnings, which name no arm, were given one in some comparison.
    attributed: Vec<bool>,
    /// Several releases have something in the window that is being closed: what units do is kept, by comparison of the release at hand.
    pub(super) are_several: bool,
    pub(super) seen: Vec<(usize, Vec<Seen>)>,
    /// There is more state than there may be: nothing new is taken.
    pub(super) is_full: bool,
    /// Releases and rollouts that may still be taken in the window that is being closed.
    pub(super) room: u64,
    /// Something new was not taken in it.
    pub(super) refused: bool,
}

impl Common {
    /// Room for something new, which is then taken.
    pub(super) fn take_room(&mut self) -> bool {
        let has_room = self.room > 0;
        self.room = self.room.saturating_sub(1);
        self.refused |= !has_room;
        has_room
    }
}

impl ReleaseState {
    pub(super) fn new(services: Vec<ServiceKey>) -> ReleaseState {
        ReleaseState {
            services,
            comparisons: Comparisons::default(),
            gone: Vec::new(),
            arms: Arms::default(),
            arrived: [0; 2],
            unattributed_warnings: 0,
            takes_requests: false,
            window: i64::MIN,
            attempts: OpenAttempts::default(),
            history: Some(History::default()),
        }
    }

    pub(super) fn name(&self) -> String {
        self.services.first().map(ToString::to_string).unwrap_or_default()
    }

    /// The entry service took a request, under an arm or none.
    pub(super) fn takes_requests(&self) -> bool {
        self.takes_requests
    }

    pub(super) fn arms_seen(&self) -> Vec<(String, u64)> {
        self.arms.requests()
    }

    pub(super) fn arms_without_unit(&self) -> Vec<(String, u64)> {
        self.arms.without_unit()
    }

    /// Takes a window; returns the comparisons that it brought something to. `number`: its own among all releases.
    ///
    /// A window that only counts records which arrived while it was open, and has no line of its own, is no look:
    /// whether there is one depends on how lines were dealt over streams.
    pub(super) fn close_window(
        &mut self,
        number: usize,
        merged: &WindowPartial,
        settings: &Settings,
        levels: &mut Levels,
        common: &mut Common,
    ) -> Vec<usize> {
        for (of_service, key) in self.services.iter().enumerate() {
            for (_, _, cell) in cells_of(merged, place(&merged.names.services, key)) {
                self.arrived[0] += cell.lines + cell.late;
                self.arrived[1] += cell.late;
                self.unattributed_warnings += cell.warnings_unattributed;
                self.takes_requests |= cell.requests > 0 && of_service == 0;
            }
        }
        if merged.is_empty() {
            for at in self.live() {
                self.count_totals(at, merged);
            }
            return Vec::new();
        }
        self.window = merged.window;
        self.take_window(number, merged, settings, levels, common)
    }

    /// Nothing more comes: requests that waited for a further attempt are complete, as if an empty window had closed.
    pub(super) fn end_attempts(
        &mut self,
        number: usize,
        settings: &Settings,
        levels: &mut Levels,
        common: &mut Common,
    ) {
        if !self.attempts.is_empty() {
            let next = WindowPartial::new(self.window.saturating_add(1));
            self.take_window(number, &next, settings, levels, common);
        }
    }

    /// Something waits for the next window: requests for a further attempt.
    pub(super) fn waits(&self) -> bool {
        !self.attempts.is_empty()
    }

    fn take_window(
        &mut self,
        number: usize,
        merged: &WindowPartial,
        settings: &Settings,
        levels: &mut Levels,
        common: &mut Common,
    ) -> Vec<usize> {
        let Some(entry_key) = self.services.first() else { return Vec::new() };
        let entry = place(&merged.names.services, entry_key);
        let complete = common.traces.take_complete(number, Some(merged.window));
        let attempts = self.attempts.join(merged, entry);
        let judged = self.services.first();
        if self.arms.are_full() {
            let compared: BTreeSet<String> =
                self.comparisons.iter().flat_map(|of| [of.control.clone(), of.candidate.clone()]).collect();
            self.arms.forget_silent(|name| compared.contains(name));
        }
        self.arms.count(merged, entry, judged, settings, common.is_full);
        self.arms.hear(merged, &self.services, judged, settings, common.is_full);
        let is_alone = self.live().is_empty();
        if let Some(history) = &mut self.history
            && is_alone
            && !settings.unit.is_once()
        {
            let windowing = &settings.windowing;
            history.close_window(&HistoryWindow {
                rows: of_service(merged.units.as_slice(), entry, |row| row.service),
                arms: &merged.names.arms,
                joined: requests_with_arm(merged, entry, judged, &attempts),
                start: windowing.start_of(merged.window),
                end: windowing.start_of(merged.window + 1),
            });
        }
        self.choose(merged, settings, levels, common);
        let instances = of_service(merged.instances.as_slice(), entry, |row| row.service);
        common.attributed.clear();
        common.attributed.resize(instances.len(), false);
        let mut looked = Vec::new();
        for at in self.live() {
            if self.feed(at, merged, entry, settings, &complete, &attempts, common) {
                looked.push(at);
            }
            let (start, end) = (settings.windowing.start_of(merged.window), settings.windowing.end_of(merged.window));
            let comparison = &mut self.comparisons[at];
            let others = self.arms.others([&comparison.control, &comparison.candidate], start);
            if others > 0 {
                comparison.presence.note_others(start, end, others);
            }
        }
        let given = instances.iter().zip(&common.attributed).filter(|(_, given)| **given);
        let given: u64 = given.map(|(row, _)| row.warnings).sum();
        self.unattributed_warnings = self.unattributed_warnings.saturating_sub(given);
        looked
    }

    /// Arms that are large enough and are not compared, because the control has as many candidates as it may.
    pub(super) fn not_judged(&self, settings: &Settings) -> Vec<String> {
        if self.has_room() { Vec::new() } else { self.ready(settings) }
    }

    /// Bounds that were met, in words.
    pub(super) fn bounds_met(&self) -> Vec<String> {
        let mut list = Vec::new();
        if self.history.is_none() {
            list.push("memory was short: no history of this one's users is kept".to_owned());
        }
        if self.arms.past_bound() {
            list.push("more arms than can be told apart: what further ones did is not seen".to_owned());
        }
        if self.comparisons.forgotten().count > 0 {
            let count = self.comparisons.forgotten().count;
            list.push(format!("{count} earlier rollouts of this service stand in the ledger alone"));
        }
        list
    }

    /// Opens comparisons of candidates that have become large enough.
    fn choose(&mut self, merged: &WindowPartial, settings: &Settings, levels: &mut Levels, common: &mut Common) {
        for candidate in self.ready(settings) {
            if !self.has_room() {
                return;
            }
            if self.comparisons.len() >= COMPARISONS_MAX
                && let Some(oldest) = self.oldest_over()
            {
                self.forget(oldest, levels);
            }
            // The control of a rollout that ended is back beside its candidate: the same two, compared the same way.
            let as_control = self.comparisons.iter().rfind(|known| known.control == candidate);
            if let Some(known) = as_control.filter(|known| self.came_after_end(&candidate, known)) {
                // Where all users went back at once there is nothing to compare.
                let since = self.arms.here_since(&candidate).unwrap_or(i64::MAX);
                if self.arms.here_since(&known.candidate).is_some()
                    && self.arms.active_after(&known.candidate, since)
                    && common.take_room()
                {
                    let (other, from) = (known.candidate.clone(), known.control_from);
                    self.open([&candidate, &other], from, merged.window, settings, levels);
                }
                continue;
            }
            let control = self.arms.control_of(&candidate, settings);
            // Two arms are compared one way only.
            let reversed = |control: &str| {
                self.comparisons.iter().any(|known| known.candidate == control && known.control == candidate)
            };
            if let Some((control, from)) = control.filter(|(control, _)| !reversed(control) && common.take_room()) {
                self.open([&control, &candidate], from, merged.window, settings, levels);
            }
        }
    }

    /// Arms that may be candidates and are not compared yet.
    fn ready(&self, settings: &Settings) -> Vec<String> {
        let of = |name: &str, known: &Comparison| known.candidate == name || known.control == name;
        self.arms.ready(
            settings,
            &settings.policy.of(self.services.first()).candidates,
            |name| self.comparisons.iter().any(|known| known.candidate == name && !self.came_after_end(name, known)),
            |name| {
                let last = self.comparisons.iter().rfind(|known| of(name, known) && self.came_after_end(name, known));
                let is_rest =
                    last.and_then(|known| known.end).is_some_and(|end| end.reason == EndReason::CandidateTookOver);
                if is_rest { RETURN_SHARE } else { CANDIDATE_SHARE }
            },
        )
    }

    /// Comparisons that are not over.
    pub(super) fn live(&self) -> Vec<usize> {
        self.comparisons.numbered().filter(|(_, of)| of.end.is_none()).map(|(number, _)| number).collect()
    }

    fn has_room(&self) -> bool {
        (self.comparisons.len() < COMPARISONS_MAX || self.oldest_over().is_some()) && self.live().len() < CANDIDATES_MAX
    }

    /// Comparisons that may be forgotten, each with its end: over, and one of the two arms is gone, so that they are no rollout anew.
    pub(super) fn over(&self) -> impl Iterator<Item = (Timestamp, usize)> {
        self.comparisons.numbered().filter_map(|(number, of)| {
            let is_gone = [&of.control, &of.candidate].into_iter().any(|arm| self.arms.is_gone(arm));
            of.end.filter(|_| is_gone).map(|end| (end.at, number))
        })
    }

    fn oldest_over(&self) -> Option<usize> {
        self.over().min().map(|(_, number)| number)
    }

    /// Forgets a comparison that is over, with arms that are gone and that no other has.
    pub(super) fn forget(&mut self, number: usize, levels: &mut Levels) {
        let Some(comparison) = self.comparisons.forget(number) else { return };
        let arms = [comparison.control.as_str(), comparison.candidate.as_str()];
        let has = |of: &Comparison, arm: &str| of.control == arm || of.candidate == arm;
        for arm in arms {
            if self.arms.is_gone(arm) && !self.comparisons.iter().any(|of| has(of, arm)) {
                self.arms.forget(arm);
            }
        }
        let again = |of: &Comparison| of.control == arms[0] && of.candidate == arms[1];
        if let Some(entry) = self.services.first().filter(|_| !self.comparisons.iter().any(again)) {
            levels.forget(entry, arms);
        }
        self.gone.push((number, comparison));
    }

    /// Those that were forgotten since this was asked last.
    pub(super) fn take_gone(&mut self) -> Vec<(usize, Comparison)> {
        std::mem::take(&mut self.gone)
    }

    /// A comparison is over, and the arm came since then.
    fn came_after_end(&self, arm: &str, known: &Comparison) -> bool {
        known.end.is_some_and(|end| self.arms.here_since(arm).is_some_and(|since| since >= end.at.0))
    }

    /// Ends discovered rollouts that are over; returns their entries.
    pub(super) fn end_rollouts(&mut self, settings: &Settings) -> Vec<(usize, Vec<Entry>)> {
        if settings.arms.is_declared() {
            return Vec::new();
        }
        let mut ended = Vec::new();
        for at in self.live() {
            let known = &self.comparisons[at];
            let has_failed = known.failure.as_ref().is_some_and(|failure| failure.automatic_at.is_some());
            // One that never had a unit had no share whose end could show.
            let never_served = known.active_until[Arm::Candidate.at()].is_none();
            let start = settings.windowing.start_of(self.window).0;
            let is_gone = has_failed && never_served && self.arms.is_silent(&known.candidate, start);
            let seen = known.presence.end(known.control_from == ControlFrom::ServedBefore);
            let Some(reason) = seen.or(is_gone.then_some(EndReason::CandidateSilent)) else { continue };
            // Where a share was promised, a candidate that is missing is a deficit, which FAILs. Once it has, one that is silent is
            // gone, and what comes under its name is another.
            let is_promised = settings.policy.of(self.services.first()).declared_share.is_some();
            if is_promised && reason.gone() == [Arm::Candidate] && !(has_failed && reason.is_silence()) {
                continue;
            }
            let mut list: Vec<Entry> = Vec::new();
            if let Some(body) = self.begin_entry(at, settings) {
                list.push(("begin", body));
            }
            list.extend(self.digest(at));
            let end = settings.windowing.end_of(self.window);
            let comparison = &mut self.comparisons[at];
            comparison.end_rollout(end, reason);
            for arm in reason.gone() {
                self.arms.leave(match arm {
                    Arm::Control => &comparison.control,
                    Arm::Candidate => &comparison.candidate,
                });
            }
            list.push(("ended", entries::ended(&self.name(), &self.comparisons[at], end, reason)));
            ended.push((at, list));
        }
        ended
    }

    fn open(
        &mut self,
        [control, candidate]: [&str; 2],
        from: ControlFrom,
        window: i64,
        settings: &Settings,
        levels: &mut Levels,
    ) {
        let start = settings.windowing.start_of(window);
        let sharing = settings.arms.sharing.clamp(1, CANDIDATES_MAX) as f64;
        let policy = settings.policy.of(self.services.first());
        let part = match self.services.first() {
            Some(entry) => {
                let part = policy.part_of_budget(&entry.service);
                // Who is released together was said, or is known from the start.
                let is_known = !policy.release.is_empty() || settings.releases.len() == 1;
                let company = if is_known { Company::Known } else { Company::Found };
                // A rollout whose arms were named is one, and never ends.
                match (settings.arms.is_declared(), company) {
                    (true, Company::Known) => part,
                    _ => part * levels.part(entry, [control, candidate], start, company),
                }
            }
            None => 1.0,
        };
        let comparison = Comparison::new(
            Between { control, candidate, control_from: from },
            settings.unit,
            look::LOG_CHANGED + math::ln(sharing) - math::ln(part),
            self.services.len(),
            window,
            start,
        );
        let effects = self.history.as_mut().and_then(|history| history.freeze(control));
        let comparison = comparison.with_effects(effects).with_limits(policy.limits).with_steps(policy);
        let comparison = comparison
            .with_conversions(&policy.conversions)
            .with_metrics(&policy.metrics)
            .with_segments(&policy.segments);
        self.comparisons.push(comparison);
    }

    /// Candidates that were asked for by name and never came, beside others that did: nothing is known of them, and that
    /// is no pass (CP-1).
    pub(super) fn add_missing(&mut self, settings: &Settings, levels: &mut Levels) {
        let Some(known) = self.comparisons.iter().next() else { return };
        let (control, from) = (known.control.clone(), known.control_from);
        for candidate in &settings.arms.candidates {
            let known = self.comparisons.iter().any(|comparison| comparison.candidate == *candidate);
            if !known && *candidate != control && self.comparisons.len() < CANDIDATES_MAX {
                self.open([&control, candidate], from, self.window, settings, levels);
            }
        }
    }

    /// What each service of the release did under the two arms.
    fn count_totals(&mut self, at: usize, merged: &WindowPartial) {
        let comparison = &mut self.comparisons[at];
        let ids = [&comparison.control, &comparison.candidate].map(|name| place(&merged.names.arms, name));
        for arm in [Arm::Control, Arm::Candidate] {
            let Some(id) = ids[arm.at()] else { continue };
            let of_arm = |service| cells_of(merged, service).iter().filter(move |(_, of, _)| *of == id);
            // Lines that could not be read name an arm and no service.
            of_arm(Some(NO_NAME)).for_each(|(_, _, cell)| comparison.damaged[arm.at()] += cell.damaged);
            for (key, totals) in self.services.iter().zip(&mut comparison.totals) {
                let service = place(&merged.names.services, key);
                of_arm(service).for_each(|(_, _, cell)| totals[arm.at()].add(cell));
            }
        }
        let entry = self.services.first().and_then(|key| place(&merged.names.services, key));
        let Comparison { instances, control, candidate, .. } = comparison;
        instances.take_window(merged, entry, [control, candidate]);
    }

    #[expect(clippy::too_many_arguments, reason = "each is one thing that a window brings")]
    fn feed(
        &mut self,
        at: usize,
        merged: &WindowPartial,
        entry: Option<NameId>,
        settings: &Settings,
        complete: &[Trace],
        attempts: &[OpenAttempt],
        common: &mut Common,
    ) -> bool {
        self.count_totals(at, merged);
        let judged = self.services.first();
        let here_since = self.arms.here_since(&self.comparisons[at].candidate).unwrap_or(i64::MAX);
        let comparison = &mut self.comparisons[at];
        let ids = [&comparison.control, &comparison.candidate].map(|name| place(&merged.names.arms, name));
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
        let mut without_unit = [[0u64; 2]; 2];
        let mut weights: [WeightTable; 2] = Default::default();
        for (_, arm, cell) in cells_of(merged, entry) {
            if let Some(arm) = arm_of_id(*arm) {
                latency[arm.at()].append(&cell.latency);
                warnings[arm.at()].append(&cell.warnings);
                gaps[arm.at()].append(&cell.gaps);
                let [requests, failed] = &mut without_unit[arm.at()];
                *requests += cell.without_unit;
                *failed += cell.errors_without_unit;
                weights[arm.at()].append(&cell.weights);
            }
        }
        let of_entry = of_service(merged.units.as_slice(), entry, |row| row.service);
        let Common { traces, exposed, activities, attributed, seen, are_several, .. } = common;
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
        let mut exposed_elsewhere = Vec::new();
        for row in merged.exposures.as_slice() {
            let ours = concerns(merged, row.service, judged);
            if let Some(arm) = arm_of_id(row.arm).filter(|_| ours) {
                if Some(row.service) != entry {
                    exposed_elsewhere.push((row.unit, arm, Timestamp(start.0 + i64::from(row.at))));
                }
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
            let listed = activities.len();
            for request in joined {
                // Without an arm of its own: that of the latest exposure before it in this window, else its unit's.
                let known = activities.get(..listed).unwrap_or(&[]);
                let from = known.partition_point(|a| a.unit < request.unit);
                let in_window = known
                    .iter()
                    .skip(from)
                    .take_while(|a| a.unit == request.unit && a.first <= request.at)
                    .last()
                    .map(|a| a.arm);
                let known = request.arm.or(in_window).or_else(|| comparison.arm_of(request.unit));
                let before = || {
                    if comparison.by_request() {
                        return None;
                    }
                    let arms = [comparison.control.as_str(), comparison.candidate.as_str()];
                    Some(match exposed.arm_of(request.unit, here_since, judged, arms)? {
                        0 => Arm::Control,
                        _ => Arm::Candidate,
                    })
                };
                let Some(arm) = known.or_else(before) else {
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
                        totals.add_joined(count, u64::from(errors), request.latency, request.status_class);
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
        // An event belongs to whom its unit belongs to, whichever service logs it.
        let conversions: Vec<Converted> = merged
            .conversions
            .as_slice()
            .iter()
            .filter(|row| concerns(merged, row.service, judged))
            .map(|row| Converted { unit: row.unit, event: row.event, lines: row.count, arm: arm_of_id(row.arm) })
            .collect();
        let ours: Vec<NameId> = self.services.iter().filter_map(|key| place(&merged.names.services, key)).collect();
        let rows = if comparison.metrics.is_empty() { &[] } else { merged.metrics.as_slice() };
        let metrics: Vec<Measured> = rows
            .iter()
            .filter(|row| concerns(merged, row.service, judged))
            .map(|row| Measured {
                unit: row.unit,
                metric: row.metric,
                bin: (row.bin != event::METRIC_UNREAD - 1).then_some(row.bin),
                lines: row.count,
                // What another service calls its versions says nothing of this one's.
                arm: arm_of_id(row.arm).filter(|_| ours.contains(&row.service)),
            })
            .collect();
        for of_call in merged.calls.as_slice().chunk_by(|a, b| a.call == b.call) {
            let ours = || of_call.iter().filter(|row| Some(row.service) == entry);
            let named = ours().find_map(|row| arm_of_id(row.arm));
            let mut sums: [Option<CallRow>; 2] = [None; 2];
            for row in ours() {
                // What names no arm is of the arm that others of the call name.
                let unnamed = || if row.arm == event::NO_NAME { named } else { None };
                let arm = arm_of_id(row.arm).or_else(unnamed).or_else(|| comparison.arm_of(row.unit));
                match arm.map(|arm| &mut sums[arm.at()]) {
                    Some(Some(sum)) => sum.combine(row),
                    Some(none) => *none = Some(*row),
                    None => {}
                }
            }
            for (arm, sum) in [Arm::Control, Arm::Candidate].into_iter().zip(sums) {
                sum.iter().for_each(|sum| comparison.calls.add(arm, sum));
            }
        }
        let templates = TemplateInput::of(merged, entry, arm_of_id, &comparison.instances, start);
        if activities.is_empty() && complete.is_empty() {
            // No look and no stratum comes from what users do (CP-4).
            comparison.convert(&conversions);
            comparison.measure((&metrics, merged.metric_range), start, settings.windowing.end_of(merged.window));
            comparison.take_templates(start, &templates);
            return false;
        }
        if activities.len() > by_rows {
            activities.sort_by_key(|a| (a.unit, a.first, a.arm));
        }
        if *are_several && !comparison.unit.is_once() && !comparison.by_request() {
            seen.push((at, activities.iter().map(Seen::of).collect()));
        }
        let minute = start.0.div_euclid(MINUTE);
        comparison.instances.plain_warnings(merged, entry, arm_of_id, minute, &mut warnings, attributed);
        let routes = of_service(merged.pairs.as_slice(), entry, |row| row.service)
            .iter()
            .map(|row| (row.unit, event::name_at(&merged.names.routes, row.route).map(String::as_str), row.classes))
            .collect();
        let evidence_of = |arm: usize| {
            of_service(merged.evidence.as_slice(), entry, |row| row.service)
                .iter()
                .filter(|row| Some(row.arm) == ids[arm])
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
            without_unit,
            conversions: &conversions,
            metrics: (&metrics, merged.metric_range),
            exposed_elsewhere,
            weights,
            routes,
            traces: traces_of(comparison, traces, complete),
            evidence: [evidence_of(0), evidence_of(1)],
            templates,
            segments: segments_of(merged, entry, judged, arm_of_id),
            names: &merged.names,
        };
        comparison.close_window(input);
        true
    }

    /// Traces that waited for one more window are complete.
    pub(super) fn end_traces(&mut self, number: usize, common: &mut Common) {
        let complete = common.traces.take_complete(number, None);
        for comparison in self.comparisons.iter_mut().filter(|comparison| comparison.end.is_none()) {
            let traces = traces_of(comparison, &common.traces, &complete);
            comparison.end(&traces);
        }
    }
}

/// Segments of the units of a window: of the entry's requests, and of exposures that other services log.
fn segments_of(
    merged: &WindowPartial,
    entry: Option<NameId>,
    judged: Option<&ServiceKey>,
    arm_of_id: impl Fn(NameId) -> Option<Arm>,
) -> Vec<SegmentInput> {
    let input = |row: &SegmentRow| {
        let arm = arm_of_id(row.arm);
        // Of no arm that is compared here.
        (arm.is_some() || row.arm == NO_NAME).then_some(SegmentInput { row: *row, arm })
    };
    let own = of_service(merged.segments.as_slice(), entry, |row| row.service);
    let mut list: Vec<SegmentInput> = own.iter().filter_map(input).collect();
    let by_entry = list.len();
    for exposure in merged.segments.as_slice().iter().filter(|row| row.exposed && Some(row.service) != entry) {
        let ours = concerns(merged, exposure.service, judged);
        let exposure = SegmentRow { latencies: 0, ..*exposure };
        list.extend(input(&exposure).filter(|of| ours && of.arm.is_some()));
    }
    if list.len() > by_entry {
        list.sort_by_key(|of| (of.row.unit, of.row.at, of.row.values));
    }
    list
}

/// Complete traces whose request a comparison has seen.
fn traces_of(comparison: &Comparison, open: &OpenTraces, complete: &[Trace]) -> Vec<CompleteTrace> {
    complete
        .iter()
        .filter(|trace| trace.window >= comparison.started)
        .filter_map(|trace| {
            let arm = match trace.arm.as_deref() {
                None => None,
                Some(name) if name == comparison.control => Some(Arm::Control),
                Some(name) if name == comparison.candidate => Some(Arm::Candidate),
                Some(_) => return None,
            };
            let services = trace.services.iter().map(|service| open.name(*service).to_owned()).collect();
            Some(CompleteTrace { hash: trace.hash, unit: trace.unit, arm, lines: trace.lines, services })
        })
        .collect()
}
