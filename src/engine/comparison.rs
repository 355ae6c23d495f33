//! One candidate against one control: state of every test, and what a closing window adds to it.
//!
//! A look has a fixed order (statistics design 4.0): join rows to arms, units and share test, bucket tests, then the
//! search for a change of share, which opens a new stratum with the next window. Nothing here sees a clock.

mod input;
mod size;
mod snapshot;
mod window;

use std::collections::VecDeque;
use std::sync::Arc;

use crate::compare::arrivals::ShareCuts;
use crate::compare::unit_rule::Routing;
use crate::compare::verdict::{Cell, Finding};
use crate::engine::ages::Ages;
use crate::engine::bucket_sums::{BucketSums, Values, View};
use crate::engine::calls::Calls;
use crate::engine::conversions::{Conversion, Converted};
use crate::engine::ending::{EndReason, Presence, RolloutEnd};
use crate::engine::first_events::FirstEvents;
use crate::engine::flaws;
use crate::engine::growth::Growth;
use crate::engine::instances::Instances;
use crate::engine::latency_tests::{LatencyTests, Level};
use crate::engine::limits::{Limit, Limits, Watch};
use crate::engine::look::{CellLook, Look};
use crate::engine::metrics::{Measured, MetricTest};
use crate::engine::pair_test::{self, PairTest};
use crate::engine::policy::Policy;
use crate::engine::restarts::Restarts;
use crate::engine::sampling::Sampling;
use crate::engine::segments::{self, SegmentCell, Segments};
use crate::engine::stalls::Missed;
use crate::engine::steps::SinceCut;
use crate::engine::storms::Storms;
use crate::engine::templates::{ERROR_SLOTS, OTHER_SLOTS, TemplateInput, Templates};
use crate::engine::totals::Totals;
use crate::engine::unanswered::Unanswered;
use crate::engine::units::{Arm, UnitStore};
use crate::engine::user_effects::Effects;
use crate::event::RejectReason;
use crate::pipeline::metric::Metric;
use crate::pipeline::plan::Conversions;
use crate::pipeline::plan::UnitKind;
use crate::sketch::partial::{GAPS, Tally};
use crate::time::Timestamp;

pub use input::{Activity, CompleteTrace, Evidence, WindowInput};
pub use window::GAP;

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
    /// Lines that lie far ahead of those beside them, and that no other agrees with: they are in no test.
    pub ahead: u64,
    /// Events of the release's services.
    pub events: u64,
    /// Those of them whose window had closed.
    pub late: u64,
}

impl ReadSoFar {
    /// Of all logs; the events of a release are still to be told.
    pub(super) fn of(tally: &Tally) -> ReadSoFar {
        let count = |is_one: fn(RejectReason) -> bool| {
            let rejects = RejectReason::ALL.into_iter().zip(tally.rejects);
            rejects.filter(|(reason, _)| is_one(*reason)).map(|(_, count)| count).sum()
        };
        ReadSoFar {
            records: tally.records,
            damaged: count(RejectReason::is_damage),
            ahead: count(|reason| reason == RejectReason::Quarantined),
            ..ReadSoFar::default()
        }
    }
}

/// How the candidate failed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// The look.
    pub window: i64,
    /// End of its window: when the logs proved it.
    pub at: Timestamp,
    /// End of the window at which the evidence was first enough to act on without a person ([`crate::compare::budget::AUTOMATIC`]).
    pub automatic_at: Option<Timestamp>,
    /// What carried the evidence at that look, strongest first.
    pub cells: Vec<Cell>,
    /// Absolute limits whose break lasted.
    pub limits: Vec<Limit>,
    /// Business events that carried the evidence, by their place in the policy.
    pub conversions: Vec<usize>,
    /// Metrics of one's own that did, by their place in the policy.
    pub metrics: Vec<usize>,
    /// Templates of level error or worse that carried the evidence, by id.
    pub templates: Vec<u64>,
    /// Segments that carried the evidence, strongest first.
    pub segments: Vec<SegmentCell>,
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
    /// It is over, and memory was short.
    is_gist: bool,
    /// How requests are routed.
    pub routing: Routing,
    /// It is over, and why: nothing counts any more.
    pub end: Option<RolloutEnd>,
    pub(super) presence: Presence,
    /// The latest look in whose window (control, candidate) was active, of a rollout that may end.
    heard: Option<Box<[Look; 2]>>,
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
    /// Distinct units that were ever in the candidate's arm, whichever arm they came from; of those that the store follows.
    exposed: u64,
    /// First requests of units in the stratum, and seconds in the other arm, by arm of the first.
    rule: [(u64, u64, u64); 2],
    crossover: FirstEvents,
    /// Crossovers by block, not yet far enough from a cut to come.
    recent_crossover: VecDeque<(u32, [u64; 2])>,

    /// Units with an error.
    pub error_units: FirstEvents,
    /// How fast the control's erring units become more.
    pub growth: Growth,
    /// Units that fail again and again.
    pub storms: Storms,
    /// Units that other services exposed.
    pub unanswered: Unanswered,
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
    /// Lines of units that are no requests, for each request; compared where no traces are followed.
    pub other_lines: BucketSums,
    /// Requests without a latency, without a status, and with either in another form, by bin of the partial's table.
    pub gaps: [BucketSums; GAPS],
    /// What calls from outside made.
    pub calls: Calls,
    /// Sampling weights of requests.
    pub sampling: Sampling,
    /// End of the last window in which (control, candidate) was active.
    pub active_until: [Option<Timestamp>; 2],
    /// What was read of all logs.
    pub read: ReadSoFar,
    /// Windows that closed without a stream that had more.
    pub missed: Missed,
    /// Lines of (control, candidate) that could not be read.
    pub damaged: [u64; 2],
    /// Outcomes whose unit had no arm.
    pub unassigned: u64,
    /// Requests of (control, candidate) whose first attempt failed and whose last did not.
    pub recovered: [u64; 2],
    /// What each service did, by index in the release, of (control, candidate).
    pub totals: Vec<[Totals; 2]>,
    /// Instances of the entry service, by arm.
    pub instances: Instances,
    /// Best evidence lines of (control, candidate).
    pub evidence: [Vec<Evidence>; 2],
    /// Business events that may not become rarer, or more frequent.
    pub conversions: Vec<Conversion>,
    /// Metrics of one's own.
    pub metrics: Vec<MetricTest>,
    /// Absolute limits; `None` where the policy has none.
    pub limits: Option<Watch>,
    /// Units of (control, candidate) up to the window in which the candidate had its first, none before. It came within that window:
    /// units of the control are too many there.
    pub(super) first_window: [u64; 2],
    /// Requests of (control, candidate) when the latest stratum began.
    stratum_from: [u64; 2],
    /// Units of one arm made far more requests than those of the other in the stratum before.
    activity_differed: bool,
    /// Where steps are declared: sums as they were when the latest stratum began.
    pub(super) since_cut: SinceCut,
    /// The guardrails' tests begun anew.
    pub restarts: Restarts,
    /// The latest look.
    pub look: Look,
    /// Templates of lines.
    pub templates: Templates,
    /// Groups of units that are tested by themselves.
    pub segments: Segments,
    /// What units did by the time since they were first seen.
    pub ages: Ages,
}

/// Sums of a comparison since the share changed.
pub(super) struct SinceShare {
    pub volume: View,
    pub mean: View,
    /// As [`Comparison::pass_sums`] has them.
    pub p90: View,
    pub p99: View,
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
            is_gist: false,
            routing: Routing::Undecided,
            end: None,
            presence: Presence::default(),
            heard: None,
            failure: None,
            regressed_while_invalid: None,
            store: UnitStore::default(),
            cuts: ShareCuts::default(),
            stratum: 0,
            number_of_cuts: 0,
            distinct: [0; 2],
            exposed: 0,
            rule: [(0, 0, 0); 2],
            crossover: FirstEvents::default(),
            recent_crossover: VecDeque::new(),
            error_units: FirstEvents::default(),
            growth: Growth::default(),
            storms: Storms::default(),
            unanswered: Unanswered::default(),
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
            other_lines: BucketSums::new(Values::Count),
            gaps: std::array::from_fn(|_| BucketSums::new(Values::Indicator)),
            calls: Calls::default(),
            sampling: Sampling::default(),
            active_until: [None; 2],
            read: ReadSoFar::default(),
            missed: Missed::default(),
            damaged: [0; 2],
            unassigned: 0,
            recovered: [0; 2],
            totals: vec![Default::default(); services],
            instances: Instances::default(),
            evidence: Default::default(),
            conversions: Vec::new(),
            metrics: Vec::new(),
            limits: None,
            first_window: [0; 2],
            stratum_from: [0; 2],
            activity_differed: false,
            since_cut: SinceCut::default(),
            restarts: Restarts::default(),
            look: Look::default(),
            templates: Templates::new(once),
            segments: Segments::default(),
            ages: Ages::default(),
        }
    }

    /// The same, with what a history tells of each unit's latency.
    #[must_use]
    pub fn with_effects(self, effects: Option<Arc<Effects>>) -> Comparison {
        Comparison { latency: LatencyTests::new(effects), ..self }
    }

    /// The same, as the policy's steps ask.
    #[must_use]
    pub(super) fn with_steps(self, policy: &Policy) -> Comparison {
        Comparison { since_cut: SinceCut::of(policy), ..self }
    }

    /// The same, watching absolute limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Comparison {
        Comparison { limits: Watch::new(limits), ..self }
    }

    /// The same, testing business events.
    #[must_use]
    pub fn with_conversions(self, events: &Conversions) -> Comparison {
        let times = |name: &String| events.at_least.get(name).copied().unwrap_or(1);
        let new = |name: &String| Conversion::new(name, events.harms.contains(name), times(name));
        Comparison { conversions: events.names.iter().map(new).collect(), ..self }
    }

    /// The same, testing metrics of one's own.
    #[must_use]
    pub fn with_metrics(self, metrics: &[Metric]) -> Comparison {
        Comparison { metrics: metrics.iter().cloned().map(MetricTest::new).collect(), ..self }
    }

    /// The same, testing segments.
    #[must_use]
    pub fn with_segments(self, fields: &[String]) -> Comparison {
        Comparison { segments: Segments::new(fields), ..self }
    }

    /// What the statistics say of one test of a segment, at the latest look.
    pub fn segment_finding(&self, (cell, test): SegmentCell) -> Finding {
        let carried = self.failure.as_ref().is_some_and(|failure| {
            failure.segments.contains(&(cell, test)) || self.look.segment_contribution((cell, test)) >= self.log_fail
        });
        match carried {
            true => Finding::Regressed,
            false if self.look.segment((cell, test)).is_none() => Finding::NoData,
            false => Finding::Undecided,
        }
    }

    /// Business events of a window in which nothing else was seen, or whose units have been joined.
    pub(super) fn convert(&mut self, list: &[Converted]) {
        for Converted { unit, event, lines, arm } in list {
            let Some(of) = self.conversions.get_mut(usize::from(*event)) else { continue };
            let lines = u64::from(*lines);
            of.lines += lines;
            if *unit == 0 {
                of.without_unit += lines;
                if let Some(arm) = arm {
                    of.nobodys[arm.at()] += lines;
                }
                continue;
            }
            let Some(entry) = self.store.get_mut(*unit) else {
                of.unassigned += lines;
                continue;
            };
            let is_first = entry.conversions() & (1 << (event & 7)) == 0 && of.meets(*unit, lines);
            if is_first {
                entry.set_converted(*event);
                self.ages.meet(*unit, usize::from(*event));
            }
            of.joined[entry.arm().at()] += lines;
            match entry.stratum == self.stratum {
                true if is_first => of.units.first(entry.arm(), 1),
                true => {}
                false => of.unassigned += lines,
            }
        }
    }

    /// What lines of a window say of metrics, whose units have been joined.
    pub(super) fn measure(&mut self, (list, range): (&[Measured], u64), start: Timestamp, end: Timestamp) {
        self.metrics.iter_mut().for_each(|of| of.sample(range));
        for said in list {
            let Some(of) = self.metrics.get_mut(usize::from(said.metric)) else { continue };
            let unit = if self.routing == Routing::PerRequest { None } else { self.store.get(said.unit) };
            of.add(said, unit.filter(|unit| unit.stratum == self.stratum).map(|unit| unit.arm()), range);
        }
        self.metrics.iter_mut().for_each(|of| of.close_window(start, end));
    }

    /// Templates of a window whose units have been joined, or in which nothing else was seen.
    pub(super) fn take_templates(&mut self, start: Timestamp, input: &TemplateInput<'_>) {
        self.templates.take_lines(start, &input.lines);
        for (class, pairs) in input.pairs.iter().enumerate() {
            for pair in pairs {
                // Only who is at risk in the stratum can meet one there.
                let unit = self.store.get(pair.unit).filter(|unit| unit.stratum == self.stratum);
                self.templates.meet(class, pair, unit.map(|unit| unit.arm()));
            }
        }
    }

    /// Whether users have an arm at all, for the time that passes between what they are shown and what they do.
    pub fn tests_conversions(&self) -> bool {
        !self.by_request() && self.unit != UnitKind::Request
    }

    /// What each business event says now.
    pub(super) fn conversions_now(&self) -> Vec<CellLook> {
        let now = |of: &Conversion| {
            let log_e = of.log_e().filter(|_| self.tests_conversions());
            // What is not measured alike does not fail.
            let said = log_e.map_or(0.0, |log_e| if of.is_broken() { log_e.min(0.0) } else { log_e });
            CellLook { log_e: said, ..CellLook::of(log_e.is_some(), said) }
        };
        self.conversions.iter().map(now).collect()
    }

    /// What the statistics say of a business event, at the latest look.
    pub fn conversion_finding(&self, at: usize) -> Finding {
        let carried = self.failure.as_ref().is_some_and(|failure| {
            failure.conversions.contains(&at) || self.look.conversion_contribution(at) >= self.log_fail
        });
        let has_data = self.look.conversion(at).has_data;
        let is_broken = self.conversions.get(at).is_some_and(Conversion::is_broken);
        match carried {
            true => Finding::Regressed,
            false if !has_data => Finding::NoData,
            false if is_broken => Finding::BrokenMeasurement,
            false => Finding::Undecided,
        }
    }

    /// What each metric of one's own says now.
    pub(super) fn metrics_now(&self) -> Vec<CellLook> {
        let now = |of: &MetricTest| {
            let log_e = of.log_e();
            // What is not measured alike does not fail.
            let said = log_e.map_or(0.0, |log_e| if of.is_broken() { log_e.min(0.0) } else { log_e });
            CellLook::of(log_e.is_some(), said)
        };
        self.metrics.iter().map(now).map(|said| CellLook { log_e: said.log_start, ..said }).collect()
    }

    /// What the statistics say of a metric of one's own, at the latest look.
    pub fn metric_finding(&self, at: usize) -> Finding {
        let carried = self.failure.as_ref().is_some_and(|failure| {
            failure.metrics.contains(&at) || self.look.own_contribution(self.look.metric(at)) >= self.log_fail
        });
        match carried {
            true => Finding::Regressed,
            false if !self.look.metric(at).has_data => Finding::NoData,
            false if self.metrics.get(at).is_some_and(MetricTest::is_broken) => Finding::BrokenMeasurement,
            false => Finding::Undecided,
        }
    }

    /// Guardrails of one's own: business events and metrics.
    pub fn own_guardrails(&self) -> usize {
        self.conversions.len() + self.metrics.len()
    }

    /// Units are requests: each counts by itself.
    pub fn by_request(&self) -> bool {
        self.routing == Routing::PerRequest
    }

    /// The latest look is also the latest of each arm that was active in its window.
    pub(super) fn note_heard(&mut self) {
        let heard = self.heard.get_or_insert_with(Box::default);
        for (heard, until) in heard.iter_mut().zip(self.active_until) {
            if until == Some(self.ended_at) {
                *heard = self.look.clone();
            }
        }
    }

    /// The rollout is over: the verdict stands, and what was remembered of units goes.
    ///
    /// FAIL stays. Otherwise the verdict is what was said while both arms were heard: a PASS that was reached stands as of
    /// its time, and silence brings none (semantics 6).
    pub(super) fn end_rollout(&mut self, at: Timestamp, reason: EndReason) {
        self.end = Some(RolloutEnd { at, reason });
        let gone = reason.gone().iter().min_by_key(|arm| self.active_until[arm.at()]);
        if self.failure.is_none()
            && reason.is_silence()
            && let Some(gone) = gone
        {
            self.look = self.heard.take().map(|heard| heard[gone.at()].clone()).unwrap_or_default();
        }
        self.heard = None;
        self.presence = Presence::default();
        self.store.forget();
        self.waiting_slow = Vec::new();
        [&mut self.called, &mut self.routes, &mut self.statuses].into_iter().for_each(PairTest::forget_units);
        self.templates.forget_units();
        self.storms.forget_units();
        self.conversions.iter_mut().for_each(Conversion::forget_units);
        self.unanswered.forget_units();
        self.segments.forget_units();
        self.ages.forget_units();
    }

    /// Strata so far.
    pub fn strata(&self) -> u32 {
        self.number_of_cuts + 1
    }

    /// Share of units that the store follows.
    pub fn followed(&self) -> f64 {
        self.store.share()
    }

    /// Units that the store remembers.
    pub fn units_followed(&self) -> usize {
        self.store.len()
    }

    /// Units with their arm, sorted: one of every 2^`halvings`, the same in every comparison.
    pub fn sample(&self, halvings: u32) -> Vec<(u64, Arm)> {
        self.store.sample(halvings)
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
        let broken = self.look.flaws.iter().any(|flaw| flaws::breaks(self, *flaw).contains(&cell));
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

    /// Some request of the entry service has said how it ended: a status, a failure. Where none has, no failure would be seen.
    pub fn tells_errors(&self) -> bool {
        self.totals.first().is_some_and(|entry| entry.iter().any(Totals::tells_errors))
    }

    /// What PASS at a latency level is asked of.
    ///
    /// Where units stick to their arm, a few of them make most requests, and without history nothing tells a slow user
    /// from slow code: the share of all requests above a threshold stays uncertain for days. Each unit's first requests
    /// weigh units alike, so thousands of users answer within minutes. FAIL goes by all requests, and so does PASS where a
    /// history tells what is usual for each unit.
    pub fn pass_sums(&self, level: Level) -> &BucketSums {
        let [p90, p99] = &self.early;
        match level {
            _ if self.unit.is_once() || self.by_request() || self.latency.effects().is_some() => {
                &self.latency.above[level as usize]
            }
            Level::P50 => &self.latency.above[level as usize],
            Level::P90 => p90,
            Level::P99 => p99,
        }
    }

    /// What errors, mean latency, and the sums of PASS on p90 and p99 have come to in the latest step, where steps are declared and
    /// this is not the first.
    pub(super) fn since_cut(&self) -> Option<SinceShare> {
        let [_, p90, p99] = &self.latency.above;
        let [early_p90, early_p99] = &self.early;
        let sums = [&self.error_volume, &self.latency.mean, p90, p99, early_p90, early_p99];
        let [volume, mean, p90, p99, early_p90, early_p99] = self.since_cut.views(sums)?;
        let by_all = std::ptr::eq(self.pass_sums(Level::P90), sums[2]);
        let [p90, p99] = if by_all { [p90, p99] } else { [early_p90, early_p99] };
        Some(SinceShare { volume, mean, p90, p99 })
    }

    /// Units of (control, candidate); one that was in several strata counts in each, under its arm there.
    pub fn units(&self) -> [u64; 2] {
        let [(control, _), (candidate, _)] = self.crossover.totals();
        if self.number_of_cuts == 0 || self.by_request() { self.distinct } else { [control, candidate] }
    }

    /// Units of an arm with one request so far; `None` once there are several strata, since each counts anew.
    ///
    /// The chance that the next request is of a new unit is their number divided by that of all requests (Good 1953).
    pub fn units_met_once(&self, arm: Arm) -> Option<u64> {
        let (met, again, _) = self.rule[arm.at()];
        (self.strata() <= 1).then(|| met.saturating_sub(again))
    }

    /// Units of (control, candidate), each counted once: those first seen there, or those of one stratum where these are
    /// more. Never more than there are.
    pub fn distinct_units(&self) -> [u64; 2] {
        if self.by_request() {
            return self.error_units.totals().map(|(units, _)| units);
        }
        self.units_by_stratum().fold(self.distinct, |[a, b], [c, d]| [a.max(c), b.max(d)])
    }

    /// Units that met the candidate so far, each counted once; requests where each counts by itself. Past the bound of the
    /// store it is what the followed ones tell of all.
    pub fn exposed(&self) -> u64 {
        if self.by_request() {
            return self.distinct_units()[Arm::Candidate.at()];
        }
        let followed = self.followed();
        if followed < 1.0 { (self.exposed as f64 / followed).round() as u64 } else { self.exposed }
    }

    /// Units of one arm make far more requests than those of the other in this stratum; until it has enough of them, those of the one
    /// before it. (Over several strata units of a candidate whose share rises are the younger ones, and have made fewer.)
    pub(super) fn activity_differs(&self) -> bool {
        let (requests, units) = self.activity();
        flaws::activity_differs(requests, units).unwrap_or(self.activity_differed)
    }

    /// Requests and units of (control, candidate) in the latest stratum.
    pub fn activity(&self) -> ([u64; 2], [u64; 2]) {
        let events = self.error_volume.events();
        let units = match self.number_of_cuts {
            0 => self.distinct_units(),
            _ => self.units_by_stratum().last().unwrap_or_default(),
        };
        ([0, 1].map(|arm| events[arm].saturating_sub(self.stratum_from[arm])), units)
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

    /// The arm of a unit, for requests and traces that carry none.
    pub fn arm_of(&self, unit: u64) -> Option<Arm> {
        self.store.get(unit).map(|unit| unit.arm())
    }

    /// The arm of a unit that was active in the current stratum.
    pub fn arm_in_stratum(&self, unit: u64) -> Option<Arm> {
        self.store.get(unit).filter(|unit| unit.stratum == self.stratum).map(|unit| unit.arm())
    }

    /// Bounds that were met, in words; empty when everything was followed.
    pub fn bounds_met(&self) -> Vec<String> {
        let mut list = Vec::new();
        if self.is_gist {
            list.push(
                "memory was short: of this rollout, which is over, only verdict, evidence and counts are kept"
                    .to_owned(),
            );
        }
        if self.routes.is_stopped() {
            list.push("memory was short: routes, status classes and called services are no longer compared".to_owned());
        }
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
        let [below, severe] = self.templates.followed();
        followed(below, &format!("{units}, for the log lines below error that they meet first"));
        followed(severe, &format!("{units}, for the error lines that they meet first"));
        followed(self.storms.followed(), &format!("{units} that fail for the first time, for failing again and again"));
        followed(self.unanswered.followed(), &format!("{units} that other services expose"));
        let of_metrics = self.metrics.iter().map(MetricTest::followed).fold(1.0, f64::min);
        followed(of_metrics, &format!("{units}, for metrics of one's own"));
        followed(self.segments.followed(), &format!("{units}, for their segments"));
        followed(self.ages.followed(), &format!("{units}, for the time since they were first seen"));
        for (test, what) in [(&self.called, "called services"), (&self.routes, "routes")] {
            if test.past_bound() > 0 {
                list.push(format!("more than {} {what}: further ones are not tested", pair_test::CATEGORIES_MAX));
            }
        }
        let slots = [("log lines below error", OTHER_SLOTS), ("error lines", ERROR_SLOTS)];
        for ((what, slots), lines) in slots.into_iter().zip(self.templates.past_bound()) {
            let lines: u64 = lines.iter().sum();
            if lines > 0 {
                list.push(format!("more than {slots} kinds of {what}: {lines} lines of others are not tested"));
            }
        }
        if self.segments.past_bound > 0 {
            list.push(format!(
                "{} times {units} came with a value past the {} segments that are tested, or too long to be one",
                self.segments.past_bound,
                segments::CELLS_MAX
            ));
        }
        list
    }
}
