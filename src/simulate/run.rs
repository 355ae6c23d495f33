//! One simulated rollout: a world's partials through [`Engine::apply`], and what came of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::compare::bucket::{self, Difference, Sides, Variance};
use crate::compare::share;
use crate::compare::unit_rule::Routing;
use crate::compare::verdict::{Cell, Verdict};
use crate::compare::{budget, margin};
use crate::engine::bucket_sums::BucketSums;
use crate::engine::comparison::Comparison;
use crate::engine::latency_tests::Level;
use crate::engine::look::{LOG_PASS, Margins};
use crate::engine::policy::Policy;
use crate::engine::shedding::STATE_MAX;
use crate::engine::templates::Change;
use crate::engine::{ArmChoice, ENGINE_VERSION, Engine, Input, Settings};
use crate::event::ServiceKey;
use crate::math;
use crate::pipeline::plan::UnitKind;
use crate::rival::{
    Flagger, FlaggerConfig, Kayenta, KayentaConfig, Minute, Rule, Sequential, SequentialConfig, SequentialTest, State,
    ZTest, ZTestConfig,
};
use crate::simulate::traffic::{Disturbance, Logging, Share, Traffic};
use crate::simulate::world::{ARMS, SERVICE, STREAM, World, new_line};
use crate::sketch::partial::WindowPartial;
use crate::time::{MINUTE, Windowing};

/// Levels of evidence whose first minute is kept: alpha .05, .01, .001, .0001.
pub const LEVELS: [f64; 4] = [20.0, 100.0, 1_000.0, 10_000.0];
/// Minutes at which evidence is kept as it stands, for its mean.
pub const STOPS: [u32; 4] = [60, 240, 1_000, 4_000];
/// Error level of shown intervals: `report` shows them at this level.
const ALPHA_SHOWN: f64 = 0.05;
/// Error level at which sequential rules of others are used.
const ALPHA_RIVALS: f64 = 0.05;
/// A millionth: ln e is kept in these, as in a ledger.
const MICRO: f64 = 1e6;

/// The evidence of a whole rollout: name of its curve beside those of cells.
pub const SUM: &str = "sum";
/// Both tests of request errors by their weights: one error guardrail.
pub const ERRORS: &str = "errors";

/// What a run says of log lines: the new line is listed as new; it has failed the rollout; another one is listed as new or
/// more often; any other is listed.
pub const LINES_SAID: [&str; 4] = ["listed", "failed", "false", "any"];

/// When a run ends before its time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stop {
    /// Never: also after a verdict.
    AtTheEnd,
    /// At the first PASS or FAIL.
    Decided,
    /// When it is known how requests are routed.
    Routed,
}

/// What is simulated and what is kept of it.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// The truth.
    pub traffic: Traffic,
    /// Minutes, which are windows.
    pub minutes: u32,
    /// Minutes of the control alone before it.
    pub history: u32,
    /// When it ends earlier.
    pub stop: Stop,
    /// What the team asks.
    pub policy: Policy,
    /// Rules that people use today are fed the same minutes.
    pub rivals: bool,
    /// Intervals are held against the truth that nothing differs.
    pub intervals: bool,
    /// A shown interval is held against the difference that there is.
    pub truth: Option<Truth>,
    /// Counts for an oracle are kept.
    pub oracle: bool,
}

/// The difference that there is between the arms, at every moment.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Truth {
    /// Failed requests, as a share of requests.
    ErrorVolume(f64),
    /// Mean of the natural logarithm of the latency.
    LatencyMean(f64),
}

impl Truth {
    /// The cell that measures it.
    pub fn cell(self) -> Cell {
        match self {
            Truth::ErrorVolume(_) => Cell::ErrorVolume,
            Truth::LatencyMean(_) => Cell::LatencyMean,
        }
    }
}

/// How evidence went. ln e in millionths.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Curve {
    /// The largest.
    pub max: i64,
    /// The last.
    pub last: i64,
    /// First minute (1: the end of the first window) at which each of [`LEVELS`] was reached.
    pub first: [Option<u32>; LEVELS.len()],
    /// At each of [`STOPS`] that was reached.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stops: Vec<i64>,
}

impl Curve {
    fn put(&mut self, minute: u32, log_e: f64) {
        let micro = (log_e * MICRO).round() as i64;
        self.last = micro;
        self.max = self.max.max(micro);
        for (first, level) in self.first.iter_mut().zip(LEVELS) {
            if first.is_none() && log_e >= math::ln(level) {
                *first = Some(minute);
            }
        }
        if STOPS.contains(&minute) {
            self.stops.push(micro);
        }
    }
}

/// What came of one run. Minutes count from the start of the rollout; the end of the first window is 1.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Record {
    /// The row that it belongs to.
    pub row: String,
    /// Its seed.
    pub seed: u64,
    /// Version of the decisions.
    pub engine: u64,
    /// Minutes simulated.
    pub minutes: u32,
    /// Requests made.
    pub requests: u64,
    /// The last verdict; none when there was nothing to compare.
    pub verdict: Option<String>,
    /// First minute of each verdict.
    pub verdicts: BTreeMap<String, u32>,
    /// First minute at which a changed behaviour held the verdict back.
    pub changed: Option<u32>,
    /// First minute of each flaw.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub flaws: BTreeMap<String, u32>,
    /// How the engine took requests to be routed, and since when.
    pub routing: Option<(String, u32)>,
    /// Strata at the end.
    pub strata: u32,
    /// Evidence of each cell, of [`ERRORS`] and of the [`SUM`].
    pub curves: BTreeMap<String, Curve>,
    /// First minute at which the evidence of each cell reached the PASS line.
    pub passed: BTreeMap<String, u32>,
    /// First minute at which the interval of each cell left out the truth.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub outside: BTreeMap<String, u32>,
    /// Minute at which each rule of others took the canary back; none: never.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rivals: BTreeMap<String, Option<u32>>,
    /// Requests, failed requests and users with one, of control and candidate.
    pub truth: [[u64; 3]; 2],
    /// Units of control and candidate as the engine counts them.
    pub units: [u64; 2],
    /// At each minute of [`oracle_grid`]: difference of the error rates (1e-7), candidate's share of erring users (1e-6).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub oracle: Vec<[i64; 2]>,
    /// Verdict of the second candidate, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub second: Option<String>,
    /// Where lines are logged: first minute of each thing that the list of log lines said, and the units of the candidate that
    /// had met the new line by then; see [`LINES_SAID`].
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub lines: BTreeMap<String, [u32; 2]>,
}

impl Record {
    /// e of a curve at a stop (index into [`STOPS`]); 1 where there was nothing to test. None: the run ended before.
    pub fn e_at(&self, curve: &str, stop: usize) -> Option<f64> {
        let reached = STOPS.get(stop).is_some_and(|minute| *minute <= self.minutes);
        let micro = self.curves.get(curve).and_then(|curve| curve.stops.get(stop)).copied().unwrap_or(0);
        reached.then(|| math::exp(micro as f64 / MICRO))
    }
}

/// Minutes at which an oracle looks: every one at first, later with steps of 5 and 20.
pub fn oracle_grid(minutes: u32) -> impl Iterator<Item = u32> {
    (1..=minutes).filter(|minute| match minute {
        0..=60 => true,
        61..=300 => minute % 5 == 0,
        _ => minute % 20 == 0,
    })
}

/// Simulates one rollout.
pub fn simulate(row: &str, plan: &Plan, seed: u64) -> Record {
    let traffic = &plan.traffic;
    let mut world = World::new(*traffic, plan.minutes, seed, plan.rivals && traffic.latency);
    let second = traffic.disturbance == Disturbance::SecondCandidate;
    let candidates: &[&str] = if second { &[ARMS[0], ARMS[1]] } else { &[ARMS[0]] };
    let service = ServiceKey { environment: String::new(), cell: String::new(), service: SERVICE.to_owned() };
    let mut engine = Engine::new(Settings {
        windowing: Windowing { window: MINUTE, ..Windowing::default() },
        releases: vec![vec![service]],
        arms: ArmChoice {
            control: Some(ARMS[2].to_owned()),
            candidates: candidates.iter().map(|name| (*name).to_owned()).collect(),
            sharing: candidates.len(),
        },
        unit: UnitKind::User,
        policy: plan.policy.clone(),
        memory: STATE_MAX,
    });
    engine.apply(Input::Stream { name: STREAM.to_owned() });
    let mut watched = Watched {
        record: Record { row: row.to_owned(), seed, engine: ENGINE_VERSION, ..Record::default() },
        rules: if plan.rivals { rules(traffic) } else { Vec::new() },
    };
    let grid: Vec<u32> = if plan.oracle { oracle_grid(plan.minutes).collect() } else { Vec::new() };
    let feed = |engine: &mut Engine, partial: WindowPartial, windows: u32| {
        let window = partial.window;
        engine.apply(Input::Partial { stream: STREAM.to_owned(), partial, at: u64::from(windows) << 36 });
        engine.apply(Input::Progress { stream: STREAM.to_owned(), oldest_open: window + 1 });
    };
    for _ in 0..plan.history {
        let partial = world.next_before(plan.history);
        feed(&mut engine, partial, world.windows());
    }
    // What the rules of others and the oracle are told begins with the rollout.
    world.forget_truth();
    for minute in 1..=plan.minutes {
        let partial = world.next_window();
        feed(&mut engine, partial, world.windows());
        watched.record.minutes = minute;
        if plan.rivals {
            watched.rivals(world.stored(), traffic);
        }
        if grid.binary_search(&minute).is_ok() {
            watched.oracle(&world);
        }
        if let Some(comparison) = candidate(&engine) {
            watched.look(comparison, plan, minute);
            let decided = matches!(comparison.look.verdict, Verdict::Pass | Verdict::Fail);
            let routed = comparison.routing != Routing::Undecided;
            if (plan.stop == Stop::Decided && decided) || (plan.stop == Stop::Routed && routed) {
                break;
            }
        }
    }
    engine.apply(Input::Finish);
    watched.finish(&engine, &world)
}

/// The comparison of the candidate.
fn candidate(engine: &Engine) -> Option<&Comparison> {
    let (_, comparisons) = engine.releases().next()?;
    comparisons.iter().find(|comparison| comparison.candidate == ARMS[0])
}

/// A record in the making, and the rules that look on.
struct Watched {
    record: Record,
    rules: Vec<(String, Rule)>,
}

impl Watched {
    fn look(&mut self, comparison: &Comparison, plan: &Plan, minute: u32) {
        let (record, look) = (&mut self.record, &comparison.look);
        record.verdicts.entry(look.verdict.name().to_owned()).or_insert(minute);
        if look.held_back && record.changed.is_none() {
            record.changed = Some(minute);
        }
        for flaw in &look.flaws {
            record.flaws.entry(flaw.name().to_owned()).or_insert(minute);
        }
        if comparison.routing != Routing::Undecided && record.routing.is_none() {
            record.routing = Some((routing_name(comparison.routing).to_owned(), minute));
        }
        if let Logging::Lines(_) = plan.traffic.logging {
            note_lines(record, comparison, minute);
        }
        put(record, SUM, minute, look.log_sum);
        for cell in Cell::ALL {
            let said = look.cell(cell);
            if said.has_data {
                put(record, cell.name(), minute, said.log_e);
            }
            if said.log_pass >= LOG_PASS && !record.passed.contains_key(cell.name()) {
                record.passed.insert(cell.name().to_owned(), minute);
            }
        }
        let weights = [Cell::ErrorUnits, Cell::ErrorVolume].map(|cell| (cell.weight(0), look.cell(cell).log_e));
        let weight: f64 = weights.iter().map(|(weight, _)| weight).sum();
        put(record, ERRORS, minute, budget::log_sum(&weights, 0.0) - math::ln(weight));
        if plan.intervals {
            for (name, outside) in outside(comparison, &plan.policy) {
                note_outside(record, name, outside, minute);
            }
        }
        if let Some(truth) = plan.truth {
            note_outside(record, truth.cell().name(), leaves_out(comparison, &plan.policy, truth), minute);
        }
    }

    fn rivals(&mut self, [control, candidate]: [Minute; 2], traffic: &Traffic) {
        let errors_only =
            |minute: Minute| Minute { requests: minute.requests, errors: minute.errors, ..Minute::default() };
        for (name, rule) in &mut self.rules {
            // Error rules are not bothered with latency, which would only add false alarms.
            if name.contains("latency") {
                rule.observe(&control, &candidate);
            } else {
                rule.observe(&errors_only(control), &errors_only(candidate));
            }
        }
        debug_assert!(traffic.latency || control.latency_p50_ms.is_none());
    }

    fn oracle(&mut self, world: &World) {
        let [control, candidate] = world.truth();
        let rate = |part: u64, whole: u64| if whole == 0 { 0.0 } else { part as f64 / whole as f64 };
        let difference = rate(candidate.errors, candidate.requests) - rate(control.errors, control.requests);
        let share = rate(candidate.erring_users, candidate.erring_users + control.erring_users);
        self.record.oracle.push([(difference * 1e7).round() as i64, (share * 1e6).round() as i64]);
    }

    fn finish(mut self, engine: &Engine, world: &World) -> Record {
        let record = &mut self.record;
        if let Some(comparison) = candidate(engine) {
            let verdict = comparison.look.verdict.name().to_owned();
            record.verdicts.entry(verdict.clone()).or_insert(record.minutes);
            for flaw in &comparison.look.flaws {
                record.flaws.entry(flaw.name().to_owned()).or_insert(record.minutes);
            }
            record.verdict = Some(verdict);
            record.strata = comparison.strata();
            record.units = comparison.units();
        }
        if let Some((_, comparisons)) = engine.releases().next() {
            let second = comparisons.iter().find(|comparison| comparison.candidate == ARMS[1]);
            record.second = second.map(|comparison| comparison.look.verdict.name().to_owned());
        }
        record.requests = world.requests();
        record.truth = world.truth().map(|arm| [arm.requests, arm.errors, arm.erring_users]);
        for (name, rule) in &self.rules {
            let at = rule.decided_after_minutes().filter(|_| rule.state() == State::RolledBack);
            record.rivals.insert(name.clone(), at.map(|minutes| minutes as u32));
        }
        self.record
    }
}

/// Keeps what is said of log lines for the first time.
fn note_lines(record: &mut Record, comparison: &Comparison, minute: u32) {
    let [listed, failed, wrong, any] = LINES_SAID;
    let id = new_line();
    let met = comparison.templates.get(id, true).map_or(0, |template| template.units()[1]) as u32;
    let mut said = |what: &str| {
        record.lines.entry(what.to_owned()).or_insert([minute, met]);
    };
    for line in comparison.templates.list() {
        match line.change {
            Change::New if line.id == id => said(listed),
            Change::New | Change::Up => {
                said(wrong);
                said(any);
            }
            Change::Gone | Change::Down => said(any),
        }
    }
    if comparison.failure.as_ref().is_some_and(|failure| failure.templates.contains(&id)) {
        said(failed);
    }
}

fn put(record: &mut Record, name: &str, minute: u32, log_e: f64) {
    match record.curves.get_mut(name) {
        Some(curve) => curve.put(minute, log_e),
        None => {
            let mut curve = Curve { max: i64::MIN, ..Curve::default() };
            // Before there was anything to test, e was 1.
            let before = STOPS.iter().filter(|stop| **stop < minute).count();
            curve.stops = vec![0; before];
            curve.put(minute, log_e);
            record.curves.insert(name.to_owned(), curve);
        }
    }
}

/// Word for a routing.
pub fn routing_name(routing: Routing) -> &'static str {
    match routing {
        Routing::Undecided => "undecided",
        Routing::Sticky => "sticky",
        Routing::PerRequest => "per request",
        Routing::Mixed => "mixed",
    }
}

fn note_outside(record: &mut Record, name: &str, is_outside: bool, minute: u32) {
    if is_outside && !record.outside.contains_key(name) {
        record.outside.insert(name.to_owned(), minute);
    }
}

/// Whether the interval that reports show leaves out a difference: see `report::guardrails`, which shows it by the part of a
/// difference that is left under a changing share.
fn leaves_out(comparison: &Comparison, policy: &Policy, truth: Truth) -> bool {
    let (sums, margin, truth, cell) = match truth {
        Truth::ErrorVolume(of) => (&comparison.error_volume, Margins::of(comparison, policy).errors, of, truth.cell()),
        Truth::LatencyMean(of) => (&comparison.latency.mean, margin::LATENCY_MEAN, of, truth.cell()),
    };
    if !comparison.look.cell(cell).has_data {
        return false;
    }
    let view = sums.view();
    let ([control, candidate], kept) = (view.stats(), view.kept());
    Difference::fail(&candidate, &control, Variance::Adjusted).is_some_and(|of| {
        let from_truth = of.diff - truth * kept;
        bucket::mixture(from_truth, of.variance, of.dof, margin * kept, Sides::Two) >= -math::ln(ALPHA_SHOWN)
    })
}

/// Whether the interval that reports show leaves out "no difference", by cell. An interval leaves out exactly what its
/// test rejects, so no interval needs to be searched for.
fn outside(comparison: &Comparison, policy: &Policy) -> [(&'static str, bool); 7] {
    let margins = Margins::of(comparison, policy);
    let share_test = |cell: Cell, strata: &[share::Stratum]| {
        let line = math::ln(2.0 / ALPHA_SHOWN);
        (cell.name(), share::log_e_fail(strata, 1.0) >= line || share::log_e_pass(strata, 1.0) >= line)
    };
    let bucket_test = |cell: Cell, sums: &BucketSums, margin: f64| {
        if !comparison.look.cell(cell).has_data {
            return (cell.name(), false);
        }
        let [control, candidate] = sums.stats();
        let rejects = Difference::fail(&candidate, &control, Variance::Adjusted).is_some_and(|of| {
            bucket::mixture(of.diff, of.variance, of.dof, margin, Sides::Two) >= -math::ln(ALPHA_SHOWN)
        });
        (cell.name(), rejects)
    };
    let above = |cell: Cell, level: Level| bucket_test(cell, &comparison.latency.above[level as usize], level.margin());
    [
        share_test(Cell::ErrorUnits, comparison.error_units.strata()),
        share_test(Cell::LatencyP99Units, comparison.slow_units.strata()),
        bucket_test(Cell::ErrorVolume, &comparison.error_volume, margins.errors),
        bucket_test(Cell::LatencyMean, &comparison.latency.mean, margin::LATENCY_MEAN),
        above(Cell::LatencyP50, Level::P50),
        above(Cell::LatencyP90, Level::P90),
        above(Cell::LatencyP99, Level::P99),
    ]
}

/// Rules that people use today, each as a guard that never stops watching.
fn rules(traffic: &Traffic) -> Vec<(String, Rule)> {
    let flagger = FlaggerConfig { iterations: None, latency_p99_ms_max: None, ..FlaggerConfig::default() };
    let kayenta = KayentaConfig { lifetime_minutes: None, ..KayentaConfig::default() };
    let z_test = ZTestConfig { horizon_minutes: None, ..ZTestConfig::default() };
    let sequential = |test| Rule::Sequential(Sequential::new(SequentialConfig { test, alpha: ALPHA_RIVALS }));
    // What the configuration says, where there is one share; in a ramp nobody could say one.
    let share = match traffic.share {
        Share::Constant(share) | Share::WithinWindow(share, _) => Some(share),
        Share::Steps | Share::Creeping => None,
    };
    let mut rules = vec![
        Rule::Flagger(Flagger::new(flagger)),
        Rule::Kayenta(Kayenta::new(kayenta)),
        Rule::ZTest(ZTest::new(z_test)),
        // The scale that finds a doubled error rate soonest.
        sequential(SequentialTest::Msprt { tau: 0.93 * traffic.error_rate }),
        sequential(SequentialTest::GrowthBook { rows: 5_000.0 }),
        sequential(SequentialTest::LindonMalek { share, prior: 100.0 }),
    ];
    let mut named: Vec<(String, Rule)> = rules.drain(..).map(|rule| (rule.name().to_owned(), rule)).collect();
    if traffic.latency {
        let flagger = FlaggerConfig { success_rate_percent_min: 0.0, latency_p99_ms_max: Some(500.0), ..flagger };
        named.push(("Flagger, latency".to_owned(), Rule::Flagger(Flagger::new(flagger))));
        named.push(("Kayenta, latency and errors".to_owned(), Rule::Kayenta(Kayenta::new(kayenta))));
    }
    named
}
