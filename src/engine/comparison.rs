//! One candidate against one control: state of every test, and what a closing window adds to it.
//!
//! A look has a fixed order (statistics design 4.0): join rows to arms, units and share test, bucket tests, then the
//! search for a change of share, which opens a new stratum with the next window. Nothing here sees a clock.

use std::collections::VecDeque;

use crate::compare::arrivals::{Block, ShareCuts, ShareCutsParts};
use crate::compare::bucket::BUCKETS;
use crate::compare::unit_rule::{Routing, unit_rule};
use crate::compare::verdict::{Cell, Finding};
use crate::engine::bucket_sums::{BucketSums, Values};
use crate::engine::first_events::FirstEvents;
use crate::engine::latency_tests::{LatencyTests, Level};
use crate::engine::look::{self, Look};
use crate::engine::pair_test::{self, PairTest};
use crate::engine::totals::Totals;
use crate::engine::units::{Arm, UNITS_MAX, Unit, UnitStore};
use crate::event;
use crate::math;
use crate::pipeline::plan::UnitKind;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::latency::LatencyTable;
use crate::sketch::rows::{EvidenceRow, NEVER};
use crate::time::{MINUTE, Micros, Timestamp};

/// Event time without a request after which a new stratum begins: nobody knows what was changed in between.
pub const GAP: Micros = 30 * MINUTE;

/// Blocks next to a share change in which a unit in both arms is no crossover: it moved with the change.
const CROSSOVER_BLOCKS: u32 = 3;

/// Status classes whose share of units is compared. What succeeds is the rest, and 5xx are errors.
const STATUS_CLASSES: [(u8, &str); 3] = [(1, "1xx"), (3, "3xx"), (4, "4xx")];

/// Windows of a stratum of which a unit's first request counts for PASS on latency.
const EARLY_WINDOWS: u16 = 8;

/// Units that are looked up together before they are counted.
const FETCHED: usize = 64;

/// What a unit did in a window under one arm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Activity {
    /// Hash of the unit.
    pub unit: u64,
    /// Arm.
    pub arm: Arm,
    /// Earliest activity, microseconds after the start of the window.
    pub first: u32,
    /// Second earliest request, or [`NEVER`].
    pub second: u32,
    /// Requests; 0 for a bare exposure.
    pub requests: u32,
    /// Failed requests.
    pub errors: u32,
    /// Largest latency bin plus one.
    pub slowest: u16,
    /// Latency bin plus one of the earliest request.
    pub first_latency: u16,
    /// Requests whose first attempt failed and whose last did not.
    pub recovered: u32,
}

/// Requests, failed ones, and those recovered by a further attempt, of a window by arm and bucket.
struct Volume([[[u64; 3]; BUCKETS]; 2]);

impl Default for Volume {
    fn default() -> Self {
        Volume([[[0; 3]; BUCKETS]; 2])
    }
}

/// Everything a window brings to a comparison.
#[derive(Debug)]
pub struct WindowInput<'a> {
    /// Number of the window.
    pub window: i64,
    /// Its start.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// Activities, sorted by unit.
    pub activities: &'a [Activity],
    /// Latencies of (control, candidate).
    pub latency: [LatencyTable; 2],
    /// Routes of sampled units: (unit, route, status classes as bits), sorted by unit.
    pub routes: Vec<(u64, Option<&'a str>, u8)>,
    /// Lines of level warn or worse of (control, candidate), by bucket.
    pub warnings: [LatencyTable; 2],
    /// What requests of (control, candidate) lack, by bucket.
    pub gaps: [LatencyTable; 2],
    /// Traces that are complete.
    pub traces: Vec<CompleteTrace>,
    /// Evidence of the entry service under (control, candidate).
    pub evidence: [Vec<Evidence>; 2],
}

/// A trace that will not grow any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CompleteTrace {
    /// Hash of the trace.
    pub hash: u64,
    /// Unit of its request, 0 when that has none.
    pub unit: u64,
    /// Arm, as the request carried it.
    pub arm: Option<Arm>,
    /// Lines of any kind.
    pub lines: u64,
    /// Names of the services that it called.
    pub services: Vec<String>,
}

/// A line that shows a finding: where it stands and what the roles say, never its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// Rank within its class.
    pub rank: (u8, u64),
    /// A slow request, not a failed one.
    pub slow: bool,
    /// Stream.
    pub stream: String,
    /// Offset in the stream.
    pub offset: u64,
    /// Event time.
    pub time: Timestamp,
    /// Route.
    pub route: String,
    /// Latency bin plus one.
    pub latency: u16,
    /// Status divided by 100.
    pub status_class: u8,
}

impl Evidence {
    /// Evidence from a row of a window.
    pub fn new(row: &EvidenceRow, start: Timestamp, streams: &[String], routes: &[String]) -> Evidence {
        Evidence {
            rank: row.rank,
            slow: row.class == crate::sketch::rows::EvidenceClass::Slow,
            stream: streams.get(usize::from(row.stream)).cloned().unwrap_or_default(),
            offset: row.offset,
            time: Timestamp(start.0 + i64::from(row.at)),
            route: event::name_at(routes, row.route).cloned().unwrap_or_default(),
            latency: row.latency,
            status_class: row.status_class,
        }
    }
}

/// How it is known which arm is the old code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ControlFrom {
    /// The user named it.
    Named,
    /// Its name is that of a control (baseline, stable, ...).
    Label,
    /// It served alone, or most units, before the candidate appeared.
    ServedBefore,
    /// Both appeared at once, and its version is the older one.
    OlderVersion,
    /// Nothing says it: it is the larger one.
    Guess,
}

impl ControlFrom {
    /// Every way, in order.
    pub const ALL: [ControlFrom; 5] = [
        ControlFrom::Named,
        ControlFrom::Label,
        ControlFrom::ServedBefore,
        ControlFrom::OlderVersion,
        ControlFrom::Guess,
    ];

    /// The words that ledgers and reports use.
    pub fn name(self) -> &'static str {
        match self {
            ControlFrom::Named => "named",
            ControlFrom::Label => "label",
            ControlFrom::ServedBefore => "served before",
            ControlFrom::OlderVersion => "older version",
            ControlFrom::Guess => "guess",
        }
    }
}

/// Who is compared with whom.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Between<'n> {
    /// Name of the control's arm.
    pub control: &'n str,
    /// Name of the candidate's arm.
    pub candidate: &'n str,
    /// How it is known which arm is the control.
    pub control_from: ControlFrom,
}

/// What was read of all logs when a look was taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReadSoFar {
    /// Lines.
    pub records: u64,
    /// Lines that are damaged: nobody knows which arm they belong to.
    pub damaged: u64,
    /// Events of the release's services.
    pub events: u64,
    /// Those of them whose window had closed.
    pub late: u64,
}

/// How the candidate failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The look.
    pub window: i64,
    /// End of its window: when the logs proved it.
    pub at: Timestamp,
    /// What carried the evidence at that look, strongest first.
    pub cells: Vec<Cell>,
}

/// Counts the first request of a unit in the stratum, or its second and whether that was in the other arm.
fn note_request(entry: &mut Unit, rule: &mut [(u64, u64, u64); 2], arm: Arm) {
    match entry.first_request() {
        None => {
            entry.set_first_request(arm);
            rule[arm.at()].0 += 1;
        }
        Some(first) => {
            entry.set_requested_again();
            rule[first.at()].1 += 1;
            rule[first.at()].2 += u64::from(arm != first);
        }
    }
}

/// State of one comparison.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Name of the control's arm.
    pub control: String,
    /// Name of the candidate's arm.
    pub candidate: String,
    /// How it is known which arm is the control.
    pub control_from: ControlFrom,
    /// What the unit of assignment is.
    pub unit: UnitKind,
    /// ln of the evidence at which it fails: 1 / alpha, times the number of candidates that share an alpha.
    pub log_fail: f64,
    /// First window that counts.
    pub started: i64,
    /// Start of that window.
    pub started_at: Timestamp,
    /// Last window that counted.
    pub window: i64,
    /// Its end.
    pub ended_at: Timestamp,
    /// Looks so far.
    pub looks: u64,
    /// Nothing more comes.
    ended: bool,
    /// How requests are routed.
    pub routing: Routing,
    /// When FAIL was reached.
    pub failure: Option<Failure>,
    /// First look at which the evidence crossed the FAIL line while the comparison was invalid.
    pub regressed_while_invalid: Option<i64>,

    store: UnitStore,
    cuts: ShareCuts,
    stratum: u16,
    number_of_cuts: u32,
    /// Distinct units ever, of (control, candidate).
    pub distinct: [u64; 2],
    /// First requests of units in the stratum, and seconds in the other arm, by arm of the first.
    rule: [(u64, u64, u64); 2],
    crossover: FirstEvents,
    /// Crossovers by block, not yet far enough from a cut to come.
    recent_crossover: VecDeque<(u32, [u64; 2])>,

    /// Units with an error.
    pub error_units: FirstEvents,
    /// Errors a request.
    pub error_volume: BucketSums,
    /// Units with a slow request.
    pub slow_units: FirstEvents,
    /// (unit, largest bin plus one) from before the p99 threshold was known.
    waiting_slow: Vec<(u64, u16)>,
    /// Latency.
    pub latency: LatencyTests,
    /// First requests of units above the p90 and p99 thresholds: what PASS on latency asks where units stick to an arm.
    pub early: [BucketSums; 2],
    /// Lines and spans of a trace.
    pub lines: BucketSums,
    /// Services that traces call.
    pub called: PairTest,
    /// Routes that units request.
    pub routes: PairTest,
    /// Status classes that units meet.
    pub statuses: PairTest,
    /// Requests recovered by a further attempt.
    pub retried: BucketSums,
    /// Lines of level warn or worse for each request.
    pub warnings: BucketSums,
    /// Requests without a latency, and without a status.
    pub gaps: [BucketSums; 2],
    /// End of the last window in which (control, candidate) was active.
    pub active_until: [Option<Timestamp>; 2],
    /// What was read of all logs.
    pub read: ReadSoFar,
    /// Lines of (control, candidate) that could not be read.
    pub damaged: [u64; 2],
    /// Outcomes whose unit had no arm.
    pub unassigned: u64,
    /// Requests of (control, candidate) whose first attempt failed and whose last did not.
    pub recovered: [u64; 2],
    /// What each service did, by index in the release, of (control, candidate).
    pub totals: Vec<[Totals; 2]>,
    /// Best evidence lines of (control, candidate).
    pub evidence: [Vec<Evidence>; 2],
    /// The latest look.
    pub look: Look,
}

impl Comparison {
    /// A comparison that begins with a window.
    pub fn new(
        between: Between<'_>,
        unit: UnitKind,
        log_fail: f64,
        services: usize,
        window: i64,
        start: Timestamp,
    ) -> Comparison {
        let once = unit.is_once();
        Comparison {
            control: between.control.to_owned(),
            candidate: between.candidate.to_owned(),
            control_from: between.control_from,
            unit,
            log_fail,
            started: window,
            started_at: start,
            window,
            ended_at: start,
            looks: 0,
            ended: false,
            routing: Routing::Undecided,
            failure: None,
            regressed_while_invalid: None,
            store: UnitStore::default(),
            cuts: ShareCuts::default(),
            stratum: 0,
            number_of_cuts: 0,
            distinct: [0; 2],
            rule: [(0, 0, 0); 2],
            crossover: FirstEvents::default(),
            recent_crossover: VecDeque::new(),
            error_units: FirstEvents::default(),
            error_volume: BucketSums::new(Values::Indicator),
            slow_units: FirstEvents::default(),
            waiting_slow: Vec::new(),
            latency: LatencyTests::default(),
            early: [BucketSums::new(Values::Indicator), BucketSums::new(Values::Indicator)],
            lines: BucketSums::new(Values::Log2),
            called: PairTest::new(once),
            routes: PairTest::new(once),
            statuses: PairTest::new(once),
            retried: BucketSums::new(Values::Indicator),
            warnings: BucketSums::new(Values::Count),
            gaps: [BucketSums::new(Values::Indicator), BucketSums::new(Values::Indicator)],
            active_until: [None; 2],
            read: ReadSoFar::default(),
            damaged: [0; 2],
            unassigned: 0,
            recovered: [0; 2],
            totals: vec![Default::default(); services],
            evidence: Default::default(),
            look: Look::default(),
        }
    }

    /// Units are requests: each counts by itself.
    pub fn by_request(&self) -> bool {
        self.routing == Routing::PerRequest
    }

    /// Strata so far.
    pub fn strata(&self) -> u32 {
        self.number_of_cuts + 1
    }

    /// Share of units that the store follows.
    pub fn followed(&self) -> f64 {
        self.store.share()
    }

    /// Units that were in both arms of a stratum, and units at risk of it, of (control, candidate) by first arm.
    pub fn crossovers(&self) -> [(u64, u64); 2] {
        self.crossover.totals()
    }

    /// Strata of the crossover test.
    pub fn crossover_cell(&self) -> &FirstEvents {
        &self.crossover
    }

    /// What the statistics say of a cell, at the latest look. What carried a failure stays regressed (CP-3).
    pub fn finding(&self, cell: Cell) -> Finding {
        let look = self.look.cell(cell);
        let carried = self
            .failure
            .as_ref()
            .is_some_and(|failure| failure.cells.contains(&cell) || self.look.contribution(cell) >= self.log_fail);
        let broken = self.look.flaws.iter().any(|flaw| look::breaks(*flaw).contains(&cell));
        if carried {
            Finding::Regressed
        } else if broken && look.has_data {
            Finding::BrokenMeasurement
        } else if !look.has_data {
            Finding::NoData
        } else if look.held {
            Finding::Held
        } else {
            Finding::Undecided
        }
    }

    /// A window closes.
    pub fn close_window(&mut self, mut input: WindowInput<'_>) {
        if input.start.0 - self.ended_at.0 >= GAP && self.looks > 0 {
            self.cuts.reset();
            self.cut();
        }
        let arms_active = self.join(&input);
        for (until, active) in self.active_until.iter_mut().zip(arms_active) {
            if active > 0 {
                *until = Some(input.end);
            }
        }
        for (arm, table) in [Arm::Control, Arm::Candidate].into_iter().zip(&mut input.warnings) {
            table.settle();
            for (bucket, _, count) in table.iter() {
                self.warnings.add(arm, bucket, 0, count as i64, 0);
            }
        }
        for (arm, table) in [Arm::Control, Arm::Candidate].into_iter().zip(&mut input.gaps) {
            table.settle();
            for (bucket, gap, count) in table.iter() {
                if let Some(sums) = self.gaps.get_mut(usize::from(gap)) {
                    sums.add(arm, bucket, 0, count as i64, i128::from(count));
                }
            }
        }
        self.count_routes(&input);
        input.traces.iter().for_each(|trace| self.count_trace(trace));
        self.error_volume.close_window(input.start, input.end);
        self.lines.close_window(input.start, input.end);
        self.early.iter_mut().for_each(|sums| sums.close_window(input.start, input.end));
        self.retried.close_window(input.start, input.end);
        self.gaps.iter_mut().for_each(|sums| sums.close_window(input.start, input.end));
        self.warnings.close_window(input.start, input.end);
        let [control, candidate] = &mut input.latency;
        control.settle();
        candidate.settle();
        let known = self.latency.threshold(Level::P99);
        self.latency.close_window([control, candidate], input.start, input.end);
        match known {
            None => self.release_waiting_slow(),
            Some(threshold) if self.by_request() => self.count_slow_requests([control, candidate], threshold),
            Some(_) => {}
        }
        for (kept, new) in self.evidence.iter_mut().zip(input.evidence) {
            kept.extend(new);
            kept.sort_by(|a, b| (a.slow, a.rank, &a.stream, a.offset).cmp(&(b.slow, b.rank, &b.stream, b.offset)));
            let mut of_class = [0usize; 2];
            kept.retain(|line| {
                let count = &mut of_class[usize::from(line.slow)];
                *count += 1;
                *count <= crate::sketch::rows::EVIDENCE_MAX
            });
        }
        self.store.keep_bound(UNITS_MAX);
        self.routes.keep_bound();
        self.statuses.keep_bound();
        self.called.keep_bound();
        self.window = input.window;
        self.ended_at = input.end;
        self.looks += 1;

        self.decide_routing();
        self.commit_crossover(false);
        let [active_control, active_candidate] = arms_active;
        if self.cuts.window(active_candidate, active_control + active_candidate) {
            self.cut();
        }
    }

    /// Every window has closed: what waited for one more is decided.
    pub fn end(&mut self, traces: &[CompleteTrace]) {
        traces.iter().for_each(|trace| self.count_trace(trace));
        self.lines.close_window(self.ended_at, self.ended_at);
        self.called.keep_bound();
        self.commit_crossover(true);
        self.ended = true;
    }

    /// What PASS at a latency level is asked of.
    ///
    /// Where units stick to their arm, a few of them make most requests, and without history nothing tells a slow user
    /// from slow code: the share of all requests above a threshold stays uncertain for days. Each unit's first requests
    /// weigh units alike, so thousands of users answer within minutes. FAIL goes by all requests.
    pub fn pass_sums(&self, level: Level) -> &BucketSums {
        let [p90, p99] = &self.early;
        match level {
            _ if self.unit.is_once() || self.by_request() => &self.latency.above[level as usize],
            Level::P50 => &self.latency.above[level as usize],
            Level::P90 => p90,
            Level::P99 => p99,
        }
    }

    /// Units of (control, candidate); one that was in several strata counts in each, under its arm there.
    pub fn units(&self) -> [u64; 2] {
        let [(control, _), (candidate, _)] = self.crossover.totals();
        if self.number_of_cuts == 0 || self.by_request() { self.distinct } else { [control, candidate] }
    }

    /// (control, candidate) units of each stratum.
    pub fn units_by_stratum(&self) -> impl Iterator<Item = [u64; 2]> + '_ {
        self.crossover.strata().iter().map(|stratum| [stratum.units - stratum.canary_units, stratum.canary_units])
    }

    /// The arm of which nothing was seen to the end; of both, the candidate.
    pub fn missing(&self) -> Option<Arm> {
        let seen = |arm: Arm| self.distinct[arm.at()] + self.error_volume.events()[arm.at()] > 0;
        [Arm::Candidate, Arm::Control].into_iter().find(|arm| self.ended && !seen(*arm))
    }

    /// A new stratum begins with the next window.
    fn cut(&mut self) {
        self.stratum = self.stratum.wrapping_add(1);
        self.number_of_cuts += 1;
        self.error_units.cut();
        self.slow_units.cut();
        self.routes.cut();
        self.statuses.cut();
        self.called.cut();
        self.crossover.cut();
        self.recent_crossover.clear();
        self.rule = [(0, 0, 0); 2];
    }

    /// Units of the window: arms, risk, first events. Returns active (unit, arm) pairs of (control, candidate).
    fn join(&mut self, input: &WindowInput<'_>) -> [u64; 2] {
        let by_request = self.by_request();
        let threshold = self.latency.threshold(Level::P99);
        let mut active = [0u64; 2];
        let mut volume = Volume::default();
        let activities = input.activities;
        let (mut at, mut fetched) = (0, 0);
        for group in activities.chunk_by(|a, b| a.unit == b.unit) {
            if at >= fetched && !by_request {
                fetched = activities.len().min(at + FETCHED);
                self.store.fetch(activities[at..fetched].iter().map(|activity| activity.unit));
            }
            at += group.len();
            self.unit(group, by_request, threshold, &mut active, &mut volume);
        }
        self.add_volume(&volume);
        active
    }

    /// Requests of the window by bucket: the denominators of every rate.
    fn add_volume(&mut self, volume: &Volume) {
        for arm in [Arm::Control, Arm::Candidate] {
            for (bucket, [n, errors, recovered]) in
                volume.0[arm.at()].into_iter().enumerate().filter(|(_, of)| of[0] > 0)
            {
                self.error_volume.add(arm, bucket, n, errors as i64, i128::from(errors));
                self.retried.add(arm, bucket, n, recovered as i64, i128::from(recovered));
                self.warnings.add(arm, bucket, n, 0, 0);
                self.gaps.iter_mut().for_each(|sums| sums.add(arm, bucket, n, 0, 0));
            }
        }
    }

    fn unit(
        &mut self,
        group: &[Activity],
        by_request: bool,
        threshold: Option<u16>,
        active: &mut [u64; 2],
        volume: &mut Volume,
    ) {
        let Some(head) = group.first() else { return };
        let unit = head.unit;
        let bucket = event::bucket_of(unit) as usize;
        // Order of activities of the unit; at the same microsecond by a hash, which favours no arm.
        let order = |a: &Activity| (a.first, event::mix(unit ^ a.arm.at() as u64, event::KEY_TIE));
        let first = match group {
            // Nearly always.
            [only] => only,
            _ => group.iter().min_by_key(|a| order(a)).unwrap_or(head),
        };
        let first_arm = first.arm;
        let mut requests = [0u64; 2];
        let mut errors = [0u64; 2];
        let mut recovered = [0u64; 2];
        let mut slowest = 0u16;
        for a in group {
            recovered[a.arm.at()] += u64::from(a.recovered);
            requests[a.arm.at()] += u64::from(a.requests);
            errors[a.arm.at()] += u64::from(a.errors);
            slowest = slowest.max(a.slowest);
        }
        for arm in [Arm::Control, Arm::Candidate] {
            let (n, x) = (requests[arm.at()], errors[arm.at()]);
            let sums = &mut volume.0[arm.at()][bucket % BUCKETS];
            sums[0] += n;
            sums[1] += x;
            sums[2] += recovered[arm.at()];
            if by_request {
                active[arm.at()] += n;
                self.error_units.at_risk(arm, n);
                self.error_units.first(arm, x);
            }
        }
        if by_request {
            return;
        }
        let in_arm = |arm: Arm| group.iter().any(|a| a.arm == arm);
        for arm in [Arm::Control, Arm::Candidate] {
            active[arm.at()] += u64::from(in_arm(arm));
        }

        let stratum = self.stratum;
        let Some((entry, is_new)) = self.store.get_or_insert(unit, stratum, first_arm) else { return };
        if is_new {
            self.distinct[first_arm.at()] += 1;
        }
        let enters = is_new || entry.stratum != stratum;
        if enters {
            entry.enter(stratum, first_arm);
            if !entry.erred() {
                self.error_units.at_risk(first_arm, 1);
            }
            if !entry.slow() {
                self.slow_units.at_risk(first_arm, 1);
            }
            self.crossover.at_risk(first_arm, 1);
        }
        if let (Some(above_p90), Some(above_p99)) = (self.latency.threshold(Level::P90), threshold)
            && first.first_latency > 0
            && entry.early() < EARLY_WINDOWS
        {
            entry.add_early();
            for (sums, threshold) in self.early.iter_mut().zip([above_p90, above_p99]) {
                let above = i64::from(first.first_latency > threshold + 1);
                sums.add(first_arm, bucket, 1, above, i128::from(above));
            }
        }
        let arm = entry.arm();
        if errors[0] + errors[1] > 0 && !entry.erred() {
            entry.set_erred();
            self.error_units.first(arm, 1);
        }
        match threshold {
            Some(threshold) if slowest > threshold + 1 && !entry.slow() => {
                entry.set_slow();
                self.slow_units.first(arm, 1);
            }
            None if slowest > 0 => self.waiting_slow.push((unit, slowest)),
            _ => {}
        }
        if in_arm(arm.other()) && !entry.crossed() {
            entry.set_crossed();
            let block = self.cuts.blocks_since_cut();
            if block >= CROSSOVER_BLOCKS {
                match self.recent_crossover.back_mut() {
                    Some((last, counts)) if *last == block => counts[arm.at()] += 1,
                    _ => {
                        let mut counts = [0; 2];
                        counts[arm.at()] = 1;
                        self.recent_crossover.push_back((block, counts));
                    }
                }
            }
        }
        if !entry.requested_again() && requests[0] + requests[1] > 0 {
            if let [Activity { arm, second: NEVER, .. }] = group {
                note_request(entry, &mut self.rule, *arm);
                return;
            }
            let mut times: Vec<(u32, u64, Arm)> = Vec::new();
            for a in group.iter().filter(|a| a.requests > 0) {
                let (at, tie) = order(a);
                times.push((at, tie, a.arm));
                if a.second != NEVER {
                    times.push((a.second, tie, a.arm));
                }
            }
            times.sort_unstable();
            for (_, _, arm) in times {
                note_request(entry, &mut self.rule, arm);
                if entry.requested_again() {
                    break;
                }
            }
        }
    }

    /// The arm of a unit, for requests and traces that carry none.
    pub fn arm_of(&self, unit: u64) -> Option<Arm> {
        self.store.get(unit).map(|unit| unit.arm())
    }

    /// The p99 threshold is known now: units that had passed it before count as slow in this stratum.
    fn release_waiting_slow(&mut self) {
        let Some(threshold) = self.latency.threshold(Level::P99) else { return };
        let stratum = self.stratum;
        for (unit, slowest) in std::mem::take(&mut self.waiting_slow) {
            if slowest <= threshold + 1 || self.store.get(unit).is_none() {
                continue;
            }
            if let Some((entry, _)) = self.store.get_or_insert(unit, stratum, Arm::Control)
                && !entry.slow()
            {
                entry.set_slow();
                // A unit of an earlier stratum is not among those at risk in this one.
                if entry.stratum == stratum {
                    let arm = entry.arm();
                    self.slow_units.first(arm, 1);
                }
            }
        }
    }

    fn count_routes(&mut self, input: &WindowInput<'_>) {
        for group in input.routes.chunk_by(|a, b| a.0 == b.0) {
            let Some((unit, _, _)) = group.first() else { continue };
            if let Some(arm) = self.arm_of(*unit) {
                self.routes.meet(*unit, arm, group.iter().filter_map(|(_, route, _)| *route));
                let classes = group.iter().fold(0, |classes, (_, _, more)| classes | more);
                let met = STATUS_CLASSES.iter().filter(|(bit, _)| classes & (1 << bit) != 0);
                self.statuses.meet(*unit, arm, met.map(|(_, name)| *name));
            }
        }
    }

    fn count_trace(&mut self, trace: &CompleteTrace) {
        let Some(arm) = trace.arm.or_else(|| self.arm_of(trace.unit)) else { return };
        let unit = if trace.unit == 0 { trace.hash } else { trace.unit };
        let log2 = (math::ln(trace.lines.max(1) as f64) / core::f64::consts::LN_2 * 65_536.0).round() as i64;
        self.lines.add(arm, event::bucket_of(unit) as usize, 1, log2, i128::from(log2 * log2));
        // The unit's arm in the stratum is the arm that its pairs count for.
        let arm = self.arm_of(trace.unit).unwrap_or(arm);
        self.called.meet(unit, arm, trace.services.iter().map(String::as_str));
    }

    /// Requests count one by one: so do those above the p99 threshold.
    fn count_slow_requests(&mut self, tables: [&LatencyTable; 2], threshold: u16) {
        for (arm, table) in [Arm::Control, Arm::Candidate].into_iter().zip(tables) {
            for (_, bin, count) in table.iter() {
                self.slow_units.at_risk(arm, count);
                if bin > threshold {
                    self.slow_units.first(arm, count);
                }
            }
        }
    }

    fn decide_routing(&mut self) {
        if self.unit.is_once() || self.routing != Routing::Undecided {
            return;
        }
        let [control, candidate] = self.rule;
        let small = if candidate.0 <= control.0 { candidate } else { control };
        let first: u64 = control.0 + candidate.0;
        if first == 0 {
            return;
        }
        let share = small.0 as f64 / first as f64;
        let (routing, _) = unit_rule(small.1, small.2, share);
        if routing == Routing::Undecided {
            return;
        }
        self.routing = routing;
        if routing == Routing::PerRequest {
            self.cut();
        }
    }

    /// Crossovers far enough from the last cut, and not just before another, count.
    fn commit_crossover(&mut self, all: bool) {
        let now = self.cuts.blocks_since_cut();
        while let Some((block, [control, candidate])) = self.recent_crossover.front().copied() {
            if !all && block + CROSSOVER_BLOCKS > now {
                return;
            }
            self.recent_crossover.pop_front();
            self.crossover.first(Arm::Control, control);
            self.crossover.first(Arm::Candidate, candidate);
        }
    }

    /// Bounds that were met, in words; empty when everything was followed.
    pub fn bounds_met(&self) -> Vec<String> {
        let mut list = Vec::new();
        let mut followed = |share: f64, what: &str| {
            if share < 1.0 {
                list.push(format!("{:.2} % of {what} are followed", share * 100.0));
            }
        };
        let units = self.unit.plural();
        followed(self.store.share(), units);
        followed(self.called.followed(), &format!("{units} that come new, for the services they call"));
        followed(
            self.routes.followed().min(self.statuses.followed()),
            &format!("{units} that come new, for the routes they request"),
        );
        for (test, what) in [(&self.called, "called services"), (&self.routes, "routes")] {
            if test.past_bound() > 0 {
                list.push(format!("more than {} {what}: further ones are not tested", pair_test::CATEGORIES_MAX));
            }
        }
        list
    }

    /// Hash of the counters that a verdict rests on, but for the pair tests, whose evidence stands beside it.
    pub fn digest(&self) -> u64 {
        let mut w = Writer::default();
        self.write_counters(&mut w);
        xxhash_rust::xxh3::xxh3_64(&w.bytes)
    }

    fn write_counters(&self, w: &mut Writer) {
        w.uint(self.looks);
        w.int(self.window);
        w.uint(u64::from(self.stratum));
        self.distinct.iter().for_each(|count| w.uint(*count));
        self.error_units.write(w);
        self.error_volume.write(w);
        self.slow_units.write(w);
        self.latency.write(w);
        self.lines.write(w);
        self.crossover.write(w);
        self.early.iter().for_each(|sums| sums.write(w));
        self.retried.write(w);
        self.warnings.write(w);
        self.gaps.iter().for_each(|sums| sums.write(w));
    }

    /// Writes the whole state.
    pub fn write(&self, w: &mut Writer) {
        w.text(&self.control);
        w.text(&self.candidate);
        w.byte(self.control_from as u8);
        w.text(self.unit.name());
        w.float(self.log_fail);
        w.int(self.started);
        w.int(self.started_at.0);
        w.int(self.ended_at.0);
        w.byte(routing_code(self.routing));
        w.flag(self.failure.is_some());
        if let Some(failure) = &self.failure {
            w.int(failure.window);
            w.int(failure.at.0);
            w.length(failure.cells.len());
            failure.cells.iter().for_each(|cell| w.byte(*cell as u8));
        }
        w.flag(self.ended);
        w.flag(self.regressed_while_invalid.is_some());
        w.int(self.regressed_while_invalid.unwrap_or(0));
        self.store.write(w);
        let parts = self.cuts.to_parts();
        w.uint(parts.open.canary);
        w.uint(parts.open.active);
        w.uint(u64::from(parts.num_blocks));
        for list in [&parts.first, &parts.recent] {
            w.length(list.len());
            for block in list {
                w.uint(block.canary);
                w.uint(block.active);
            }
        }
        w.uint(u64::from(self.number_of_cuts));
        for (first, second, other) in self.rule {
            w.uint(first);
            w.uint(second);
            w.uint(other);
        }
        w.length(self.recent_crossover.len());
        for (block, counts) in &self.recent_crossover {
            w.uint(u64::from(*block));
            counts.iter().for_each(|count| w.uint(*count));
        }
        w.length(self.waiting_slow.len());
        for (unit, slowest) in &self.waiting_slow {
            w.fixed(*unit);
            w.uint(u64::from(*slowest));
        }
        self.called.write(w);
        self.routes.write(w);
        self.statuses.write(w);
        for until in self.active_until {
            w.flag(until.is_some());
            w.int(until.map_or(0, |until| until.0));
        }
        let ReadSoFar { records, damaged, events, late } = self.read;
        [records, damaged, events, late].into_iter().chain(self.damaged).for_each(|count| w.uint(count));
        w.uint(self.unassigned);
        self.recovered.iter().for_each(|count| w.uint(*count));
        w.length(self.totals.len());
        self.totals.iter().flatten().for_each(|totals| totals.write(w));
        for list in &self.evidence {
            w.length(list.len());
            for line in list {
                w.byte(line.rank.0);
                w.fixed(line.rank.1);
                w.flag(line.slow);
                w.text(&line.stream);
                w.uint(line.offset);
                w.int(line.time.0);
                w.text(&line.route);
                w.uint(u64::from(line.latency));
                w.byte(line.status_class);
            }
        }
        self.look.write(w);
        self.write_counters(w);
    }

    /// Reads what [`Comparison::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Comparison, Damaged> {
        let (control, candidate) = (r.text()?, r.text()?);
        let control_from = ControlFrom::ALL.get(usize::from(r.byte()?)).copied().ok_or(Damaged("unknown origin"))?;
        let unit = UnitKind::from_name(&r.text()?).ok_or(Damaged("unknown unit"))?;
        let log_fail = r.float()?;
        let started = r.int()?;
        let started_at = Timestamp(r.int()?);
        let between = Between { control: &control, candidate: &candidate, control_from };
        let mut c = Comparison::new(between, unit, log_fail, 0, started, started_at);
        c.ended_at = Timestamp(r.int()?);
        c.routing = routing_of_code(r.byte()?)?;
        if r.flag()? {
            let mut failure = Failure { window: r.int()?, at: Timestamp(r.int()?), cells: Vec::new() };
            for _ in 0..r.length()? {
                let cell = Cell::ALL.get(usize::from(r.byte()?)).copied();
                failure.cells.push(cell.ok_or(Damaged("unknown cell"))?);
            }
            c.failure = Some(failure);
        }
        c.ended = r.flag()?;
        let regressed = r.flag()?;
        let at = r.int()?;
        c.regressed_while_invalid = regressed.then_some(at);
        c.store = UnitStore::read(r)?;
        let block = |r: &mut Reader<'_>| Ok::<Block, Damaged>(Block { canary: r.uint()?, active: r.uint()? });
        let open = block(r)?;
        let num_blocks = r.uint32()?;
        let mut lists = [Vec::new(), Vec::new()];
        for list in &mut lists {
            for _ in 0..r.length()? {
                list.push(block(r)?);
            }
        }
        let [first, recent] = lists;
        let parts = ShareCutsParts { open, num_blocks, first, recent };
        c.cuts = ShareCuts::from_parts(parts).ok_or(Damaged("impossible blocks"))?;
        c.number_of_cuts = r.uint32()?;
        for (first, second, other) in &mut c.rule {
            *first = r.uint()?;
            *second = r.uint()?;
            *other = r.uint()?;
        }
        for _ in 0..r.length()? {
            let at = r.uint32()?;
            c.recent_crossover.push_back((at, [r.uint()?, r.uint()?]));
        }
        for _ in 0..r.length()? {
            c.waiting_slow.push((r.fixed()?, r.uint16()?));
        }
        c.called = PairTest::read(r)?;
        c.routes = PairTest::read(r)?;
        c.statuses = PairTest::read(r)?;
        for until in &mut c.active_until {
            let (known, at) = (r.flag()?, r.int()?);
            *until = known.then_some(Timestamp(at));
        }
        c.read = ReadSoFar { records: r.uint()?, damaged: r.uint()?, events: r.uint()?, late: r.uint()? };
        c.damaged = [r.uint()?, r.uint()?];
        c.unassigned = r.uint()?;
        c.recovered = [r.uint()?, r.uint()?];
        for _ in 0..r.length()? {
            c.totals.push([Totals::read(r)?, Totals::read(r)?]);
        }
        for list in &mut c.evidence {
            for _ in 0..r.length()? {
                list.push(Evidence {
                    rank: (r.byte()?, r.fixed()?),
                    slow: r.flag()?,
                    stream: r.text()?,
                    offset: r.uint()?,
                    time: Timestamp(r.int()?),
                    route: r.text()?,
                    latency: r.uint16()?,
                    status_class: r.byte()?,
                });
            }
        }
        c.look = Look::read(r)?;
        c.looks = r.uint()?;
        c.window = r.int()?;
        c.stratum = r.uint16()?;
        c.distinct = [r.uint()?, r.uint()?];
        c.error_units = FirstEvents::read(r)?;
        c.error_volume = BucketSums::read(r)?;
        c.slow_units = FirstEvents::read(r)?;
        c.latency = LatencyTests::read(r)?;
        c.lines = BucketSums::read(r)?;
        c.crossover = FirstEvents::read(r)?;
        c.early = [BucketSums::read(r)?, BucketSums::read(r)?];
        c.retried = BucketSums::read(r)?;
        c.warnings = BucketSums::read(r)?;
        c.gaps = [BucketSums::read(r)?, BucketSums::read(r)?];
        Ok(c)
    }
}

fn routing_code(routing: Routing) -> u8 {
    match routing {
        Routing::Undecided => 0,
        Routing::Sticky => 1,
        Routing::PerRequest => 2,
        Routing::Mixed => 3,
    }
}

fn routing_of_code(code: u8) -> Result<Routing, Damaged> {
    match code {
        0 => Ok(Routing::Undecided),
        1 => Ok(Routing::Sticky),
        2 => Ok(Routing::PerRequest),
        3 => Ok(Routing::Mixed),
        _ => Err(Damaged("unknown routing")),
    }
}
