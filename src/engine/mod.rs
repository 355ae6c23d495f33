//! The one pure machine: partials in, ledger entries and looks out.
//!
//! [`Engine::apply`] takes a closed list of inputs; what is not in [`Input`] cannot change a verdict. It merges the
//! partials of all streams, closes windows in order once every stream has passed them, and looks at each comparison.
//! It knows no clock, no files and no threads.

pub mod ages;
mod arms;
mod attempts;
pub mod bucket_sums;
pub mod calls;
pub mod comparison;
pub mod conversions;
pub mod counted;
pub mod ending;
mod entries;
mod exposed;
mod fail;
pub mod first_events;
pub mod flaws;
pub mod forecast;
pub mod growth;
pub mod instances;
pub mod latency_tests;
mod levels;
pub mod limits;
pub mod look;
mod lookup;
mod memory;
pub mod metrics;
pub mod notifications;
pub mod overlaps;
pub mod pair_test;
pub mod pass;
pub mod policy;
mod ratio;
mod release;
pub mod restarts;
pub mod sampling;
pub mod segments;
pub mod shared_units;
pub mod shedding;
mod snapshot;
pub mod stalls;
pub mod steps;
pub mod storms;
pub mod templates;
pub mod totals;
pub mod traces;
pub mod unanswered;
pub mod units;
pub mod user_effects;

use std::collections::{BTreeMap, BTreeSet};

use crate::compare::verdict::Verdict;
use crate::engine::comparison::{Comparison, ReadSoFar};
use crate::engine::levels::{Levels, TOGETHER};
use crate::engine::lookup::cells_of;
use crate::engine::notifications::{Notifications, Told};
use crate::engine::overlaps::{Live, Overlap, Overlaps, Place};
use crate::engine::policy::Policy;
use crate::engine::release::{Common, Entry, ReleaseState};
use crate::engine::shared_units::SharedUnits;
use crate::engine::shedding::{Shed, Sizes};
use crate::engine::stalls::Gaps;
use crate::event::{NO_NAME, NameId, ServiceKey};
use crate::ledger::Chain;
use crate::pipeline::plan::UnitKind;
use crate::sketch::partial::{OTHER, Tally, WindowPartial};
use crate::time::{Timestamp, Windowing};

pub use crate::engine::release::{Comparisons, Forgotten};

/// Version of the decisions: equal versions decide alike on equal input.
pub const ENGINE_VERSION: u64 = 1;
/// Releases that are discovered; services past it are counted, not judged. One without a rollout takes a few kilobytes.
const RELEASES_MAX: usize = 32_768;
/// Cells of a service that are judged; further ones are counted, not judged.
pub const CELLS_MAX: usize = 256;
/// Services without a release that are counted by name.
const UNPLANNED_MAX: usize = 16_384;

/// Which arm is the control and which are candidates.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ArmChoice {
    /// The control, when it is named.
    pub control: Option<String>,
    /// The candidates, when they are named.
    pub candidates: Vec<String>,
    /// Candidates that share the error level of FAIL: as many as are named, or were seen when the plan was made. 0
    /// counts as 1. Each has its own budget at this part of the level (statistics design 4.6).
    pub sharing: usize,
}

impl ArmChoice {
    /// Somebody said which arm is which: such a rollout is over when they say so.
    pub fn is_declared(&self) -> bool {
        self.control.is_some() || !self.candidates.is_empty()
    }
}

/// What an engine decides by; the same for its whole life.
#[derive(Clone, PartialEq, Debug)]
pub struct Settings {
    /// How events are cut into windows.
    pub windowing: Windowing,
    /// What is rolled out together: entry service first. Discovered when empty: each service on its own.
    pub releases: Vec<Vec<ServiceKey>>,
    /// Which arm is which.
    pub arms: ArmChoice,
    /// What the unit of assignment is.
    pub unit: UnitKind,
    /// What the team asks.
    pub policy: Policy,
    /// Bytes of state past which something is given up; see [`shedding`].
    pub memory: u64,
}

/// Everything that can happen to an engine.
#[expect(clippy::large_enum_variant, reason = "inputs are passed on at once and never kept in lists")]
#[derive(Debug)]
pub enum Input {
    /// A stream will come; no window closes before it has passed it.
    Stream {
        /// Its name.
        name: String,
    },
    /// A stream has come while others were read: it adds to no window before `oldest_open`, as if it had been there from the
    /// beginning and had brought nothing for them.
    Join {
        /// Its name.
        name: String,
        /// The first window to which it can add.
        oldest_open: i64,
    },
    /// A stream has passed a window with this content.
    Partial {
        /// The stream.
        stream: String,
        /// What it contributes.
        partial: WindowPartial,
        /// Offset after the line that brought the stream past the window.
        at: u64,
    },
    /// A stream has come this far: it adds to no window before `oldest_open`.
    Progress {
        /// The stream.
        stream: String,
        /// Its oldest open window; `i64::MAX` at its end.
        oldest_open: i64,
    },
    /// A stream has more and gives none: windows before `oldest_open` close without it. That it has come there is told next.
    Stall {
        /// The stream.
        stream: String,
        /// Its oldest open window since.
        oldest_open: i64,
    },
    /// Nothing more will come.
    Finish,
}

/// What an engine says.
#[derive(Clone, Debug)]
pub enum Output {
    /// A ledger entry: one line with its newline. Durable before anything acts on it.
    Entry(String),
    /// A comparison was looked at.
    Looked {
        /// Index of the release.
        release: usize,
        /// Number of the comparison in the release.
        comparison: usize,
    },
    /// A comparison that is over is kept no more: so it stood. Its number is not used again.
    Forgotten {
        /// Index of the release.
        release: usize,
        /// Number of the comparison in the release.
        number: usize,
        /// What was known of it.
        comparison: Box<Comparison>,
    },
}

/// How far a stream has come.
#[derive(Clone, PartialEq, Eq, Debug)]
struct StreamState {
    oldest_open: i64,
    /// Last window that was taken from it: what comes again is dropped (EN-2).
    last: Option<i64>,
    /// Offset after the line that passed its latest closed window. Windows that it has passed and others have not do
    /// not count: how many those are depends on the order of reading.
    at: u64,
    /// The first window to which it could add when it came.
    since: i64,
    /// Windows that it was moved past though it had more, and that have not closed.
    gaps: Gaps,
}

impl StreamState {
    /// Of a stream that comes, and adds to windows from this one on.
    fn from(since: i64) -> StreamState {
        StreamState { oldest_open: since, last: None, at: 0, since, gaps: Gaps::default() }
    }
}

/// A partial that waits for its window to close.
#[derive(Clone, Debug)]
struct Waiting {
    partial: WindowPartial,
    /// Offset after the line that passed the window.
    at: u64,
}

/// A comparison by where its service runs (environment, cell), its candidate, when it began, and which it is.
type Begun<'e> = ((&'e str, &'e str), &'e str, Timestamp, (usize, usize));

/// See the module text.
#[derive(Clone, Debug)]
pub struct Engine {
    settings: Settings,
    streams: BTreeMap<String, StreamState>,
    open: BTreeMap<i64, BTreeMap<String, Waiting>>,
    /// Every window before this has closed.
    closed_before: i64,
    tally: Tally,
    releases: Vec<ReleaseState>,
    common: Common,
    overlaps: Overlaps,
    /// Releases that have a service.
    of_service: BTreeMap<ServiceKey, Vec<usize>>,
    /// How many cells of an entry service are releases of their own.
    cells: BTreeMap<ServiceKey, usize>,
    /// Releases that wait for the next window though none of their services may be in it.
    waiting: BTreeSet<usize>,
    sizes: Sizes,
    shed: Shed,
    /// Requests of services that no given release has.
    unplanned: BTreeMap<ServiceKey, u64>,
    chain: Chain,
    notifications: Notifications,
    levels: Levels,
    finished: bool,
}

/// Looks of one window, and where what they say goes.
struct Looks<'e> {
    settings: &'e Settings,
    positions: &'e BTreeMap<String, u64>,
    read: ReadSoFar,
    chain: &'e mut Chain,
    notifications: &'e mut Notifications,
    outputs: &'e mut Vec<Output>,
}

impl Looks<'_> {
    /// Looks at a comparison of a release; returns those whom somebody is to be told of.
    fn take(
        &mut self,
        release: &mut ReleaseState,
        of: (usize, usize),
        look: impl Fn(&mut ReleaseState, usize, &Settings, &BTreeMap<String, u64>, ReadSoFar) -> Vec<Entry>,
    ) -> Vec<Told> {
        let (at, comparison) = of;
        let discovered = !self.settings.arms.is_declared();
        if let Some(body) = release.begin_entry(comparison, self.settings) {
            self.entry("begin", body);
            if discovered && let Some(begun) = release.comparisons.get(comparison) {
                self.notifications.begin(of, begun.started_at);
            }
        }
        for (kind, body) in look(release, comparison, self.settings, self.positions, self.read) {
            self.entry(kind, body);
        }
        self.outputs.push(Output::Looked { release: at, comparison });
        match release.comparisons.get(comparison) {
            Some(looked) if discovered && looked.look.verdict != Verdict::Invalid => {
                self.notifications.look(of, looked.look.log_sum)
            }
            Some(_) | None => Vec::new(),
        }
    }

    fn entry(&mut self, kind: &str, body: serde_json::Map<String, serde_json::Value>) {
        self.outputs.push(Output::Entry(self.chain.append(kind, body)));
    }
}

impl Engine {
    /// An engine that has seen nothing.
    pub fn new(settings: Settings) -> Engine {
        let releases = settings.releases.iter().map(|services| ReleaseState::new(services.clone())).collect();
        let mut engine = Engine {
            settings,
            streams: BTreeMap::new(),
            open: BTreeMap::new(),
            closed_before: i64::MIN,
            tally: Tally::default(),
            releases,
            common: Common::default(),
            overlaps: Overlaps::default(),
            of_service: BTreeMap::new(),
            cells: BTreeMap::new(),
            waiting: BTreeSet::new(),
            sizes: Sizes::default(),
            shed: Shed::default(),
            unplanned: BTreeMap::new(),
            chain: Chain::default(),
            notifications: Notifications::default(),
            levels: Levels::default(),
            finished: false,
        };
        engine.index();
        engine
    }

    /// Notes which release has which service, and which of them wait for the next window.
    fn index(&mut self) {
        self.of_service.clear();
        self.cells.clear();
        for (at, release) in self.releases.iter().enumerate() {
            for key in &release.services {
                self.of_service.entry(key.clone()).or_default().push(at);
            }
            if let Some(entry) = release.services.first().filter(|entry| !entry.cell.is_empty()) {
                *self.cells.entry(entry.without_cell()).or_default() += 1;
            }
        }
        let waiting = self.releases.iter().enumerate().filter(|(_, release)| release.waits());
        self.waiting = waiting.map(|(at, _)| at).collect();
        self.measure_all();
    }

    /// What it decides by.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// What became of all records in closed windows.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Comparisons by release.
    pub fn releases(&self) -> impl Iterator<Item = (&[ServiceKey], &Comparisons)> {
        self.releases.iter().map(|release| (release.services.as_slice(), &release.comparisons))
    }

    /// One comparison.
    pub fn comparison(&self, release: usize, comparison: usize) -> Option<&Comparison> {
        self.releases.get(release)?.comparisons.get(comparison)
    }

    /// Arms of a release that are large enough to be compared, and are not: the control has as many candidates as it may.
    pub fn arms_not_judged(&self, release: usize) -> Vec<String> {
        self.releases.get(release).map(|release| release.not_judged(&self.settings)).unwrap_or_default()
    }

    /// Bounds that a release has met, in words; empty when everything was followed.
    pub fn bounds_met(&self, release: usize) -> Vec<String> {
        let Some(of_release) = self.releases.get(release) else { return Vec::new() };
        let mut list = of_release.bounds_met();
        let traces = &self.common.traces;
        if traces.followed() < 1.0 {
            list.push(format!("{:.2} % of traces are followed", traces.followed() * 100.0));
        }
        if self.common.exposed.followed() < 1.0 {
            let share = self.common.exposed.followed() * 100.0;
            list.push(format!(
                "{share:.2} % of those who were given an arm before the rollout was compared are remembered"
            ));
        }
        if self.overlaps.past_bound() > 0 {
            list.push(format!(
                "in {} windows more than {} rollouts were live at once, or {} pairs of them shared users: further ones are laid across no other",
                self.overlaps.past_bound(),
                overlaps::ROLLOUTS_MAX,
                overlaps::PAIRS_MAX
            ));
        }
        if traces.orphans > 0 {
            list.push(format!("{} traces never showed a request of the service", traces.orphans));
        }
        list.extend(self.shed.words(self.settings.memory));
        list
    }

    /// Lines of level warn or worse of a release's services that name neither a unit nor an arm: nobody knows whose they were.
    pub fn unattributed_warnings(&self, release: usize) -> u64 {
        self.releases.get(release).map_or(0, |release| release.unattributed_warnings)
    }

    /// Rollouts that are live at once and have units in common.
    pub fn shared_units(&self) -> Vec<SharedUnits> {
        let of_release = |(at, release): (usize, &'_ ReleaseState)| -> Vec<(usize, usize)> {
            release.comparisons.numbered().map(|(number, _)| (at, number)).collect()
        };
        let places = self.releases.iter().enumerate().flat_map(of_release);
        shared_units::shared_units(places.filter_map(|place| Some((place, self.comparison(place.0, place.1)?))))
    }

    /// Rollouts of different services that were live at once and have units, or calls, in common: each as (release, comparison).
    pub fn overlaps(&self) -> impl Iterator<Item = (Place, Place, &Overlap)> {
        self.overlaps.iter()
    }

    /// Arms that were seen in a release, with their requests.
    pub fn arms_seen(&self, release: usize) -> Vec<(String, u64)> {
        self.releases.get(release).map(ReleaseState::arms_seen).unwrap_or_default()
    }

    /// Each arm of a release with its requests that name no unit.
    pub fn arms_without_unit(&self, release: usize) -> Vec<(String, u64)> {
        self.releases.get(release).map(ReleaseState::arms_without_unit).unwrap_or_default()
    }

    /// The first entry of a ledger: what everything was decided by. `plan`: how streams were read.
    pub fn start(&mut self, plan: serde_json::Value) -> Vec<Output> {
        let names: Vec<&String> = self.streams.keys().collect();
        let body = entries::start(&self.settings, plan, &names);
        vec![Output::Entry(self.chain.append("start", body))]
    }

    /// Takes an input; total: there is no input that fails.
    pub fn apply(&mut self, input: Input) -> Vec<Output> {
        let mut outputs = Vec::new();
        match input {
            Input::Stream { name } => {
                self.streams.entry(name).or_insert(StreamState::from(i64::MIN));
            }
            Input::Join { name, oldest_open } => {
                self.streams.entry(name).or_insert(StreamState::from(oldest_open));
            }
            Input::Partial { stream, partial, at } => self.take(stream, partial, at),
            Input::Progress { stream, oldest_open } => {
                if let Some(state) = self.streams.get_mut(&stream) {
                    state.oldest_open = state.oldest_open.max(oldest_open);
                }
                self.close_passed(&mut outputs);
            }
            Input::Stall { stream, oldest_open } => {
                if let Some(state) = self.streams.get_mut(&stream) {
                    state.gaps.add(state.oldest_open, oldest_open);
                }
            }
            Input::Finish => {
                for state in self.streams.values_mut() {
                    state.oldest_open = i64::MAX;
                }
                self.close_passed(&mut outputs);
                self.finish(&mut outputs);
            }
        }
        outputs
    }

    fn take(&mut self, stream: String, partial: WindowPartial, at: u64) {
        let state = self.streams.entry(stream.clone()).or_insert(StreamState::from(i64::MIN));
        if state.last.is_some_and(|last| partial.window <= last) {
            return;
        }
        state.last = Some(partial.window);
        // A stream that was announced too late cannot reopen what has closed (WN-2): all it brings there is late.
        if partial.window < self.closed_before {
            let tally = &partial.tally;
            self.tally.add(&Tally { on_time: 0, late: tally.late + tally.on_time, ..*tally });
            state.at = state.at.max(at);
            return;
        }
        self.open.entry(partial.window).or_default().insert(stream, Waiting { partial, at });
    }

    /// Closes every window that all streams have passed, in ascending order (WN-2).
    fn close_passed(&mut self, outputs: &mut Vec<Output>) {
        let Some(oldest) = self.streams.values().map(|state| state.oldest_open).min() else { return };
        while let Some(entry) = self.open.first_entry() {
            if *entry.key() >= oldest {
                break;
            }
            let (window, partials) = entry.remove_entry();
            self.close(window, partials, outputs);
        }
        self.closed_before = self.closed_before.max(oldest);
    }

    fn close(&mut self, window: i64, partials: BTreeMap<String, Waiting>, outputs: &mut Vec<Output>) {
        for (stream, waiting) in &partials {
            if let Some(state) = self.streams.get_mut(stream) {
                state.at = waiting.at;
            }
        }
        let mut partials: Vec<WindowPartial> = partials.into_values().map(|waiting| waiting.partial).collect();
        let merged = match partials.pop() {
            // What one stream brings is settled.
            Some(only) if partials.is_empty() => only,
            last => WindowPartial::merge(window, partials.into_iter().chain(last)),
        };
        self.tally.add(&merged.tally);
        let read = ReadSoFar::of(&self.tally);
        self.make_room();
        self.discover(&merged);
        self.count_unplanned(&merged);
        if !merged.is_empty() {
            self.add_traces(&merged);
        }
        let concerned = self.concerned(&merged);
        let missing = stalls::take_missing(&mut self.streams, window);
        // Of a stream that joined later nothing is said here, whether it is known of yet or, in a replay, already.
        let there = self.streams.iter().filter(|(_, state)| state.since <= window);
        let positions: BTreeMap<String, u64> = there.map(|(name, state)| (name.clone(), state.at)).collect();
        let mut looks = Looks {
            settings: &self.settings,
            positions: &positions,
            read,
            chain: &mut self.chain,
            notifications: &mut self.notifications,
            outputs,
        };
        let mut told = Vec::new();
        self.common.are_several = concerned.len() > 1;
        for (at, release) in self.releases.iter_mut().enumerate() {
            let is_concerned = concerned.contains(&at);
            if !is_concerned && missing.is_empty() {
                continue;
            }
            let mut looked = BTreeSet::new();
            if is_concerned {
                let of = release.close_window(at, &merged, &self.settings, &mut self.levels, &mut self.common);
                looked.extend(of);
            }
            // What a stream did not bring may have been of a service that brought nothing: its verdict is of more than there was.
            looked.extend(release.miss(&missing, &self.settings));
            for comparison in looked {
                told.extend(looks.take(release, (at, comparison), ReleaseState::look));
            }
            if !is_concerned {
                continue;
            }
            self.overlaps.collect(at, &mut self.common.seen);
            match release.waits() {
                true => self.waiting.insert(at),
                false => self.waiting.remove(&at),
            };
            for (comparison, list) in release.end_rollouts(&self.settings) {
                list.into_iter().for_each(|(kind, body)| looks.entry(kind, body));
                looks.outputs.push(Output::Looked { release: at, comparison });
            }
        }
        self.cross(&concerned, &merged);
        if !merged.is_empty() {
            self.common.traces.sweep(window);
        }
        // What a unit is given later in a window is not known of its requests before.
        self.common.exposed.take(&merged, self.settings.windowing.start_of(window).0);
        concerned.iter().for_each(|at| self.hand_over_gone(*at, outputs));
        self.tell(&told, outputs);
        self.keep_bound(&concerned, outputs);
    }

    /// Lays rollouts that a window brought something across each other.
    fn cross(&mut self, concerned: &BTreeSet<usize>, merged: &WindowPartial) {
        let Engine { releases, overlaps, .. } = self;
        let live = concerned.iter().filter_map(|at| Some((*at, releases.get(*at)?))).flat_map(|(at, release)| {
            let live = release.comparisons.numbered().filter(|(_, comparison)| comparison.end.is_none());
            let entry = release.services.first();
            live.filter_map(move |(number, comparison)| Some(Live { at: (at, number), entry: entry?, comparison }))
        });
        let live: Vec<Live<'_>> = live.collect();
        let known = |(release, number): Place| releases.get(release)?.comparisons.get(number);
        overlaps.close_window(&live, known, merged);
    }

    /// Rows of traces of a window, with the releases whose entry a service is.
    fn add_traces(&mut self, merged: &WindowPartial) {
        let rows = merged.traces.as_slice();
        let mut entries: Vec<(NameId, usize)> = Vec::new();
        if !rows.is_empty() {
            for (service, key) in merged.names.services.iter().enumerate() {
                let all = self.of_service.get(key).into_iter().flatten();
                let is_entry = |at: &&usize| self.releases.get(**at).is_some_and(|of| of.services.first() == Some(key));
                entries.extend(all.filter(is_entry).map(|at| (service as NameId, *at)));
            }
        }
        let (services, arms) = (&merged.names.services, &merged.names.arms);
        self.common.traces.add(merged.window, rows, merged.trace_range, &entries, services, arms);
    }

    /// Releases that a window brings something to, in order: thousands of services are not walked for the lines of a few.
    fn concerned(&self, merged: &WindowPartial) -> BTreeSet<usize> {
        let damaged = cells_of(merged, Some(NO_NAME)).iter().any(|(_, _, cell)| cell.damaged > 0);
        let of_units = !merged.exposures.is_empty() || !merged.conversions.is_empty();
        if damaged || of_units {
            // Of no service, or of whichever service's environment: it may concern each.
            return (0..self.releases.len()).collect();
        }
        let named = merged.names.services.iter().filter_map(|key| self.of_service.get(key)).flatten().copied();
        let mut concerned: BTreeSet<usize> = named.collect();
        if !merged.metrics.is_empty() {
            let live = self.releases.iter().enumerate().filter(|(_, release)| !release.live().is_empty());
            concerned.extend(live.map(|(at, _)| at));
        }
        if !merged.is_empty() {
            concerned.extend(&self.waiting);
            let is_live = |at: &usize| self.releases.get(*at).is_some_and(|release| !release.live().is_empty());
            concerned.extend(self.common.traces.waiting().filter(is_live));
        }
        concerned
    }

    /// Entries for those whom somebody is to be told of.
    fn tell(&mut self, told: &[Told], outputs: &mut Vec<Output>) {
        for Told { of: (release, comparison), family } in told {
            let Some(state) = self.releases.get(*release) else { continue };
            let Some(of) = state.comparisons.get(*comparison) else { continue };
            let body = entries::notify(&state.name(), of, *family);
            outputs.push(Output::Entry(self.chain.append("notify", body)));
        }
    }

    /// Whether somebody is to be told of a rollout that was discovered; `None` where it was declared.
    pub fn is_notified(&self, release: usize, comparison: usize) -> Option<bool> {
        (!self.settings.arms.is_declared()).then(|| self.notifications.is_told((release, comparison)))
    }

    /// Discovered rollouts that somebody is to be told of.
    pub fn notified(&self) -> usize {
        self.notifications.told()
    }

    /// Services that take requests are releases of their own when none were named; and so are cells of those that were, whenever they
    /// come: with what is rolled out together, in the same cell.
    fn discover(&mut self, merged: &WindowPartial) {
        let is_given = !self.settings.releases.is_empty();
        for (at, key) in merged.names.services.iter().enumerate() {
            if self.of_service.contains_key(key) || (is_given && key.cell.is_empty()) || key.cell == OTHER {
                continue;
            }
            let takes_requests = || cells_of(merged, Some(at as NameId)).iter().any(|(_, _, cell)| cell.requests > 0);
            if self.releases.len() >= RELEASES_MAX || !takes_requests() {
                continue;
            }
            let uncut = key.without_cell();
            let services: Vec<ServiceKey> = if is_given {
                let mut given = self.settings.releases.iter();
                let Some(of) = given.find(|services| services.first() == Some(&uncut)) else { continue };
                of.iter().map(|service| service.in_cell(&key.cell)).collect()
            } else {
                vec![key.clone()]
            };
            let of_cells = self.cells.get(&uncut).copied().unwrap_or(0);
            if (!key.cell.is_empty() && of_cells >= CELLS_MAX) || !self.common.take_room() {
                continue;
            }
            if !key.cell.is_empty() {
                self.cells.insert(uncut, of_cells + 1);
            }
            for service in &services {
                self.of_service.entry(service.clone()).or_default().push(self.releases.len());
            }
            self.releases.push(ReleaseState::new(services));
        }
    }

    /// Services that came after what was given was found, or past a bound, take requests that nothing judges.
    fn count_unplanned(&mut self, merged: &WindowPartial) {
        for (service, _, cell) in merged.cells.iter().filter(|(_, _, cell)| cell.requests > 0) {
            let Some(key) = merged.names.services.get(usize::from(*service)) else { continue };
            if self.of_service.contains_key(key) {
                continue;
            }
            // Cells past their bound are counted together.
            let past_bound = if key.cell.is_empty() { key.clone() } else { key.in_cell(OTHER) };
            let key = &past_bound;
            let is_known = self.unplanned.contains_key(key) || self.unplanned.len() < UNPLANNED_MAX;
            let other = || ServiceKey { environment: String::new(), cell: String::new(), service: OTHER.to_owned() };
            *self.unplanned.entry(if is_known { key.clone() } else { other() }).or_default() += cell.requests;
        }
    }

    /// Requests, in closed windows, of services that no release has; past 16,384 services they share a name.
    pub fn unplanned(&self) -> &BTreeMap<ServiceKey, u64> {
        &self.unplanned
    }

    fn finish(&mut self, outputs: &mut Vec<Output>) {
        if self.finished {
            return;
        }
        self.finished = true;
        let read = ReadSoFar::of(&self.tally);
        let positions: BTreeMap<String, u64> =
            self.streams.iter().map(|(name, state)| (name.clone(), state.at)).collect();
        let mut looks = Looks {
            settings: &self.settings,
            positions: &positions,
            read,
            chain: &mut self.chain,
            notifications: &mut self.notifications,
            outputs,
        };
        let mut told = Vec::new();
        for (at, release) in self.releases.iter_mut().enumerate() {
            release.end_attempts(at, &self.settings, &mut self.levels, &mut self.common);
            release.add_missing(&self.settings, &mut self.levels);
            release.end_traces(at, &mut self.common);
            for comparison in release.live() {
                told.extend(looks.take(release, (at, comparison), ReleaseState::last_look));
            }
            self.overlaps.collect(at, &mut self.common.seen);
        }
        let all = (0..self.releases.len()).collect();
        self.cross(&all, &WindowPartial::new(self.closed_before));
        self.common.traces.end();
        self.tell(&told, outputs);
        let verdicts = self.releases.iter().map(|release| (release.name(), release.summary())).collect();
        let body = entries::end(&self.tally, verdicts, &positions);
        outputs.push(Output::Entry(self.chain.append("end", body)));
    }

    /// Services of one environment and cell whose comparisons with the same candidate began within ten minutes of the first: what was
    /// released together, though nobody said so. Each as (release, comparison) of its services; only those with several.
    pub fn found_releases(&self) -> Vec<Vec<(usize, usize)>> {
        let mut all: Vec<Begun<'_>> = Vec::new();
        for (at, release) in self.releases.iter().enumerate() {
            let place = release.services.first().map_or(("", ""), |of| (of.environment.as_str(), of.cell.as_str()));
            all.extend(release.comparisons.numbered().map(|(number, comparison)| {
                (place, comparison.candidate.as_str(), comparison.started_at, (at, number))
            }));
        }
        all.sort_unstable();
        let mut groups: Vec<Vec<(usize, usize)>> = Vec::new();
        let mut first: Option<((&str, &str), &str, Timestamp)> = None;
        for (place, candidate, started, of) in all {
            let together = first.is_some_and(|(same_place, same, since)| {
                same_place == place && same == candidate && started.0 - since.0 <= TOGETHER
            });
            match groups.last_mut().filter(|_| together) {
                Some(group) => group.push(of),
                None => {
                    first = Some((place, candidate, started));
                    groups.push(vec![of]);
                }
            }
        }
        groups.retain(|group| group.iter().any(|(release, _)| *release != group[0].0));
        groups
    }

    /// Services of the declared release that are not compared, in every environment in which they take requests, each with the
    /// number of its release where its arms are known.
    pub fn not_compared(&self) -> Vec<(ServiceKey, Option<usize>)> {
        let mut list = Vec::new();
        for (environment, service) in self.settings.policy.released_together() {
            let is_it = |key: &ServiceKey| {
                key.service == service && environment.is_none_or(|environment| key.environment == environment)
            };
            let of_name = |(_, release): &(usize, &ReleaseState)| release.services.first().is_some_and(is_it);
            let all: Vec<(usize, &ReleaseState)> = self.releases.iter().enumerate().filter(of_name).collect();
            // In another environment the same service is another one: that it is compared there tells nothing of this one. A cell that
            // the new version has not reached yet lacks nothing.
            let is_reached = |key: &ServiceKey| {
                let mut there = self.releases.iter().filter(|release| !release.comparisons.is_empty());
                !self.is_cut(key)
                    || there.any(|release| {
                        release
                            .services
                            .first()
                            .is_some_and(|of| (&of.environment, &of.cell) == (&key.environment, &key.cell))
                    })
            };
            let somewhere = all.iter().any(|(_, release)| !release.comparisons.is_empty());
            for (at, release) in all.iter().filter(|(_, release)| release.comparisons.is_empty()) {
                let Some(key) = release.services.first() else { continue };
                if (release.takes_requests() && is_reached(key)) || !somewhere {
                    list.push((key.clone(), Some(*at)));
                }
            }
            let unplanned = self.unplanned.keys().filter(|key| is_it(key) && is_reached(key));
            list.extend(unplanned.map(|key| (key.clone(), None)));
            if !somewhere && list.iter().all(|(key, _)| !is_it(key)) {
                let environment = environment.unwrap_or_default().to_owned();
                list.push((ServiceKey { environment, cell: String::new(), service: service.to_owned() }, None));
            }
        }
        list
    }

    /// The service is cut into cells, each of which is judged by itself.
    pub fn is_cut(&self, key: &ServiceKey) -> bool {
        !key.cell.is_empty() || self.cells.contains_key(key)
    }

    /// The worst verdict over all comparisons: fail, then invalid, then inconclusive, then pass. `None` without any. No pass
    /// while a service of the declared release is not compared, in any environment in which it takes requests.
    pub fn verdict(&self) -> Option<Verdict> {
        let missing = !self.not_compared().is_empty();
        let kept = self.releases.iter().flat_map(|r| r.comparisons.iter()).map(|c| c.look.verdict);
        let forgotten = self.releases.iter().filter_map(|r| r.comparisons.forgotten().worst);
        let worst = kept.chain(forgotten).max_by_key(|verdict| verdict.badness())?;
        Some(if missing && worst == Verdict::Pass { Verdict::Inconclusive } else { worst })
    }

    /// The oldest window that has come from a stream and waits for others to pass it.
    pub fn oldest_waiting(&self) -> Option<i64> {
        self.open.keys().next().copied()
    }

    /// Lines of windows that have come from a stream and wait for others to pass them.
    pub fn waiting_records(&self) -> u64 {
        self.open.values().flat_map(BTreeMap::values).map(|waiting| waiting.partial.tally.records).sum()
    }

    /// Event time up to which every window has closed.
    pub fn closed_until(&self) -> Option<Timestamp> {
        (self.closed_before != i64::MIN && self.closed_before != i64::MAX)
            .then(|| self.settings.windowing.start_of(self.closed_before))
    }
}
