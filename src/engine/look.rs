//! One look: what the evidence says when a window has closed, and the verdict that follows.

use crate::compare::bucket::{self, ArmStats, Variance};
use crate::compare::unit_rule::Routing;
use crate::compare::verdict::{Behaviour, Cell, Facts, Flaw, Verdict};
use crate::compare::{budget, margin, sample_ratio, share};
use crate::engine::bucket_sums::BucketSums;
use crate::engine::comparison::{Comparison, ControlFrom};
use crate::engine::latency_tests::Level;
use crate::engine::policy::Policy;
use crate::engine::totals::Totals;
use crate::math;
use crate::sketch::codec::{Damaged, Reader, Writer};

/// ln 20: evidence that a guardrail is within its margin.
pub const LOG_PASS: f64 = 2.995_732_273_553_991;
/// ln 100: evidence that a behaviour has changed.
pub const LOG_CHANGED: f64 = 4.605_170_185_988_092;
/// ln 1,000: evidence that a sample ratio or the spread of crossovers is wrong.
pub const LOG_BROKEN: f64 = 6.907_755_278_982_137;

/// Requests of each arm before what they lack is compared.
const COVERAGE_MIN: u64 = 100;
/// Requests of each arm before sampling rates are compared.
const SAMPLING_MIN: u64 = 1_000;
/// Standard errors that lie between two shares that differ by more than chance, where no unit is known by which chance
/// could be judged better. No part of any error budget: a flaw only says that there is nothing to judge by.
const COVERAGE_DEVIATIONS: f64 = 5.0;
/// Difference in the share of requests without a unit that breaks a comparison.
const UNIT_DIFFERENCE: f64 = 0.05;
/// Difference in the share of requests whose latency or status is written in another type that breaks it: a few routes may
/// have a logger of their own.
const TYPE_DIFFERENCE: f64 = 0.05;
/// Difference in the share of requests without a latency that breaks latency: time-outs have none.
const LATENCY_DIFFERENCE: f64 = 0.01;
/// Share of late events of a release's services above which nothing is judged: most likely the lines are not in order of time.
const LATE_MAX: f64 = 0.1;
/// Share of damaged lines of all logs above which nothing is judged, and the fewest. Below it, those whose text names their
/// arm are compared.
const DAMAGED_MAX: f64 = 0.1;
const DAMAGED_MIN: u64 = 20;
/// Difference of means of the logarithm of latency (ln 1.25) above which faster is a change of behaviour.
const FASTER: f64 = 0.223_143_551_314_209_7;
/// Difference in the share of late lines between the arms that breaks a measurement: more than a few clients with a slow
/// connection make.
const LATE_DIFFERENCE: f64 = 0.05;
/// Share of units in both arms above which they are no longer two arms (statistics design 4.5).
pub const CROSSOVER_SHARE_MAX: f64 = 0.05;

/// Rate of affected units that even a service without errors may reach: the smallest margin of 4.7.
const ERROR_FLOOR: f64 = 0.001;

/// What one cell says.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct CellLook {
    /// Enough data to test.
    pub has_data: bool,
    /// ln e against "not worse".
    pub log_e: f64,
    /// ln e against "at or beyond the margin"; 0 where PASS does not ask.
    pub log_pass: f64,
    /// Within its margin: `log_pass` has reached [`LOG_PASS`], and has not turned since.
    pub held: bool,
}

impl CellLook {
    fn of(has_data: bool, log_e: f64) -> CellLook {
        CellLook { has_data, log_e, ..CellLook::default() }
    }
}

/// What a look says.
#[derive(Clone, PartialEq, Debug)]
pub struct Look {
    /// Cells in the order of [`Cell::ALL`].
    pub cells: [CellLook; Cell::ALL.len()],
    /// ln of the weighted sum.
    pub log_sum: f64,
    /// ln e of behaviours in the order of [`Behaviour::ALL`].
    pub changed: [f64; Behaviour::ALL.len()],
    /// ln of their mean.
    pub log_changed: f64,
    /// What is broken.
    pub flaws: Vec<Flaw>,
    /// ln e of the sample ratio; `None` when no share is declared.
    pub sample_ratio: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// It is held back by a changed behaviour.
    pub held_back: bool,
}

impl Default for Look {
    fn default() -> Self {
        Look {
            cells: [CellLook::default(); Cell::ALL.len()],
            log_sum: 0.0,
            changed: [0.0; Behaviour::ALL.len()],
            log_changed: 0.0,
            flaws: Vec::new(),
            sample_ratio: None,
            verdict: Verdict::Inconclusive,
            held_back: false,
        }
    }
}

impl Look {
    /// What a cell says.
    pub fn cell(&self, cell: Cell) -> CellLook {
        self.cells[cell as usize]
    }

    /// ln of a cell's contribution to the sum.
    pub fn contribution(&self, cell: Cell) -> f64 {
        math::ln(cell.weight() * budget::RESTART_START) + self.cell(cell).log_e
    }

    /// Cells that carry the evidence, strongest first: those that would fail the rollout alone, and any that makes up a
    /// tenth of the sum.
    pub fn leading(&self, log_fail: f64) -> Vec<Cell> {
        let least = log_fail.min(self.log_sum - math::ln(10.0));
        let mut cells: Vec<Cell> = Cell::ALL.into_iter().filter(|cell| self.contribution(*cell) >= least).collect();
        cells.sort_by(|a, b| self.contribution(*b).total_cmp(&self.contribution(*a)));
        cells
    }

    /// Behaviours with evidence of their own, once the group's mean says that something has changed.
    pub fn changed_groups(&self) -> impl Iterator<Item = Behaviour> + '_ {
        Behaviour::ALL
            .into_iter()
            .filter(|group| self.log_changed >= LOG_CHANGED && self.changed[*group as usize] >= LOG_CHANGED)
    }

    /// Writes the look.
    pub fn write(&self, w: &mut Writer) {
        for cell in &self.cells {
            w.flag(cell.has_data);
            w.float(cell.log_e);
            w.float(cell.log_pass);
            w.flag(cell.held);
        }
        w.float(self.log_sum);
        self.changed.iter().for_each(|log_e| w.float(*log_e));
        w.float(self.log_changed);
        w.length(self.flaws.len());
        self.flaws.iter().for_each(|flaw| w.byte(*flaw as u8));
        w.flag(self.sample_ratio.is_some());
        w.float(self.sample_ratio.unwrap_or(0.0));
        w.byte(self.verdict as u8);
        w.flag(self.held_back);
    }

    /// Reads what [`Look::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Look, Damaged> {
        let mut look = Look::default();
        for cell in &mut look.cells {
            *cell = CellLook { has_data: r.flag()?, log_e: r.float()?, log_pass: r.float()?, held: r.flag()? };
        }
        look.log_sum = r.float()?;
        for log_e in &mut look.changed {
            *log_e = r.float()?;
        }
        look.log_changed = r.float()?;
        for _ in 0..r.length()? {
            let code = usize::from(r.byte()?);
            look.flaws.push(Flaw::ALL.get(code).copied().ok_or(Damaged("unknown flaw"))?);
        }
        let has_ratio = r.flag()?;
        let ratio = r.float()?;
        look.sample_ratio = has_ratio.then_some(ratio);
        let code = usize::from(r.byte()?);
        look.verdict = Verdict::ALL.get(code).copied().ok_or(Damaged("unknown verdict"))?;
        look.held_back = r.flag()?;
        Ok(look)
    }
}

/// Margins at this look: they follow the running base rate and the step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Margins {
    /// Running error rate of the control, per request.
    pub base_rate: f64,
    /// Margin of the error rate, absolute.
    pub errors: f64,
    /// How much wider the margins of this step are.
    pub mult: f64,
    /// Ratio of erring units that is the margin of the share test.
    pub error_ratio: f64,
}

impl Margins {
    /// Margins of a comparison under a policy.
    pub fn of(comparison: &Comparison, policy: &Policy) -> Margins {
        let [requests, _] = comparison.error_volume.events();
        let [errors, _] = comparison.error_volume.sums();
        let base_rate = margin::running_base_rate(errors.max(0) as u64, requests);
        let mult = margin::step_mult(policy.next_share);
        let [(units, erring), _] = comparison.error_units.totals();
        let affected = if units == 0 { 0.0 } else { erring as f64 / units as f64 };
        let ratio = margin::pass_r0(margin::error_r0(base_rate, mult), affected);
        Margins { base_rate, errors: margin::error_margin(base_rate), mult, error_ratio: ratio }
    }
}

/// Looks at a comparison.
pub fn look(comparison: &mut Comparison, policy: &Policy) -> Look {
    let margins = Margins::of(comparison, policy);
    let mut look = Look::default();
    let sample_ratio = sample_ratio_of(comparison, policy);
    look.sample_ratio = sample_ratio.map(|(log_e, _)| log_e);
    let volume = volume_stats(comparison);
    let mean = latency_stats(comparison, None);
    let above = Level::ALL.map(|level| latency_stats(comparison, Some(level)));
    for cell in Cell::ALL {
        look.cells[cell as usize] = match cell {
            Cell::ErrorUnits => {
                CellLook::of(has_units(comparison), share::log_e_fail(comparison.error_units.strata(), 1.0))
            }
            Cell::ErrorVolume => fail_of(&volume, |[control, candidate]| {
                bucket::log_e_fail(candidate, control, margins.errors, Variance::RawCounts)
            }),
            Cell::LatencyMean => fail_of(&mean, |[control, candidate]| {
                bucket::log_e_fail(candidate, control, margin::LATENCY_MEAN, Variance::Adjusted)
            }),
            Cell::LatencyP50 => exceedance(&above[0], Level::P50),
            Cell::LatencyP90 => exceedance(&above[1], Level::P90),
            Cell::LatencyP99 => exceedance(&above[2], Level::P99),
            Cell::LatencyP99Units => {
                let has_data = comparison.latency.threshold(Level::P99).is_some();
                CellLook::of(has_data, share::log_e_fail(comparison.slow_units.strata(), 1.0))
            }
            Cell::Deficit => match sample_ratio {
                Some((log_e, true)) => CellLook::of(true, log_e),
                Some((_, false)) => CellLook::of(true, 0.0),
                None => CellLook::default(),
            },
        };
    }
    look.flaws = flaws(comparison, &margins, sample_ratio);
    for cell in look.flaws.iter().flat_map(|flaw| breaks(*flaw)) {
        // What is not measured alike neither fails nor passes.
        let said = &mut look.cells[*cell as usize];
        said.log_e = said.log_e.min(0.0);
    }
    let parts: Vec<(f64, f64)> =
        Cell::ALL.into_iter().map(|cell| (cell.weight() * budget::RESTART_START, look.cell(cell).log_e)).collect();
    let idle = 1.0 - parts.iter().map(|(weight, _)| weight).sum::<f64>();
    look.log_sum = budget::log_sum(&parts, idle);

    look.changed = changed_behaviours(comparison, &margins, &mean);
    look.log_changed = math::log_mean_exp(&look.changed.map(|log_e| log_e.min(budget::LOG_E_MAX)));
    let unexpected: Vec<f64> = Behaviour::ALL
        .into_iter()
        .map(|group| if policy.expect.contains(&group) { 0.0 } else { look.changed[group as usize] })
        .collect();
    let changed = math::log_mean_exp(&unexpected) >= LOG_CHANGED;

    let invalid = look.flaws.iter().any(|flaw| concerns(*flaw, policy));
    let facts = Facts {
        failed_before: comparison.failure.is_some(),
        regressed: look.log_sum >= comparison.log_fail,
        invalid,
        changed,
        held: false,
    };
    if !invalid {
        add_pass_evidence(&mut look, comparison, policy, &margins, &volume, &mean);
        for (now, before) in look.cells.iter_mut().zip(&comparison.look.cells) {
            now.held = is_held(now.has_data, now.log_pass, before.held);
        }
    }
    let held = !invalid && conditions_of_pass(comparison, policy) && all_held(&look, comparison, policy);
    look.verdict = Facts { held, ..facts }.verdict();
    look.held_back = look.verdict == Verdict::Inconclusive && changed;
    look
}

type Pair = Option<[ArmStats; 2]>;

fn fail_of(stats: &Pair, log_e: impl Fn(&[ArmStats; 2]) -> f64) -> CellLook {
    match stats {
        Some(stats) => CellLook::of(true, log_e(stats)),
        None => CellLook::default(),
    }
}

fn exceedance(stats: &Pair, level: Level) -> CellLook {
    fail_of(stats, |[control, candidate]| bucket::log_e_fail(candidate, control, level.margin(), Variance::Adjusted))
}

/// Both arms have units.
fn has_units(comparison: &Comparison) -> bool {
    let [(control, _), (candidate, _)] = comparison.error_units.totals();
    control > 0 && candidate > 0
}

/// Minimum rule of errors (statistics design 4.2).
fn volume_stats(comparison: &Comparison) -> Pair {
    let sums = &comparison.error_volume;
    let [control, candidate] = sums.events();
    let errors: i64 = sums.sums().iter().sum();
    let [hit_control, hit_candidate] = sums.buckets_hit();
    let enough = control >= 100
        && candidate >= 100
        && errors >= 10
        && hit_control >= 5
        && hit_candidate >= 5
        && hit_control + hit_candidate >= 25;
    enough.then(|| sums.stats())
}

/// Minimum rule of latency: the mean (`None`) and the shares above thresholds.
fn latency_stats(comparison: &Comparison, level: Option<Level>) -> Pair {
    let (sums, exceedance) = match level {
        None => (&comparison.latency.mean, 1.0),
        Some(level) => (&comparison.latency.above[level as usize], level.exceedance()),
    };
    enough_latencies(sums, exceedance)
}

fn enough_latencies(sums: &BucketSums, exceedance: f64) -> Pair {
    let [control, candidate] = sums.events();
    let fewest = control.min(candidate);
    (fewest >= 200 && fewest as f64 * exceedance >= 10.0).then(|| sums.stats())
}

/// ln e of "the declared share is not what is seen", and whether the candidate has too few.
///
/// Each stratum is tested by itself, with weight .9 for the first and .1 / (i (i + 1)) for the i-th after it, so that a
/// share that changes later is seen however long it was right before. (A weighted sum of e-values is an e-value.)
fn sample_ratio_of(comparison: &Comparison, policy: &Policy) -> Option<(f64, bool)> {
    let share = policy.declared_share?;
    let test = |[control, candidate]: [u64; 2]| {
        sample_ratio::log_e(&[candidate, control], &[share, 1.0 - share], sample_ratio::PRIOR_UNITS)
    };
    let few = |[control, candidate]: [u64; 2]| (candidate as f64) < share * (control + candidate) as f64;
    if comparison.by_request() || comparison.strata() <= 1 {
        return Some((test(comparison.distinct), few(comparison.distinct)));
    }
    let strata: Vec<f64> = comparison.units_by_stratum().map(test).collect();
    Some((over_strata(&strata), few(comparison.units())))
}

/// ln of the weighted sum over strata, from the ln e of each.
fn over_strata(strata: &[f64]) -> f64 {
    const FIRST: f64 = 0.9;
    let weight = |at: usize| if at == 0 { FIRST } else { (1.0 - FIRST) / (at * (at + 1)) as f64 };
    let mut terms: Vec<f64> = strata.iter().enumerate().map(|(at, log_e)| math::ln(weight(at)) + log_e).collect();
    // Strata that are still to come count with e = 1.
    terms.push(math::ln((1.0 - FIRST) / strata.len().max(1) as f64));
    math::log_sum_exp(&terms)
}

/// ln e of each behaviour, in the order of [`Behaviour::ALL`].
fn changed_behaviours(comparison: &mut Comparison, margins: &Margins, mean: &Pair) -> [f64; Behaviour::ALL.len()] {
    let statuses = comparison.statuses.log_e();
    let (called, routes) = (comparison.called.log_e(), comparison.routes.log_e());
    let comparison = &*comparison;
    Behaviour::ALL.map(|group| match group {
        Behaviour::LinesPerTrace => lines_changed(comparison),
        Behaviour::CalledServices => called,
        Behaviour::Routes => routes,
        Behaviour::Templates => 0.0,
        Behaviour::StatusClasses => statuses,
        // As much as the error rate may rise.
        Behaviour::RecoveredByRetry => rate_changed(&comparison.retried, |_| margins.errors),
        // Half as many again, and at least two in a hundred requests.
        Behaviour::WarningLines => rate_changed(&comparison.warnings, |base| (0.5 * base).max(0.02)),
        Behaviour::Faster => {
            mean.as_ref().map_or(0.0, |[control, candidate]| bucket::log_e_lower(candidate, control, FASTER))
        }
    })
}

/// ln e of "a rate differs by more than the tolerance" that its base allows.
fn rate_changed(sums: &BucketSums, tolerance: impl Fn(f64) -> f64) -> f64 {
    let events = sums.events();
    let [in_control, in_candidate] = sums.sums();
    if events.iter().any(|n| *n < COVERAGE_MIN) || in_control + in_candidate < 10 {
        return 0.0;
    }
    let base = in_control.max(0) as f64 / events[0] as f64;
    let [control, candidate] = sums.stats();
    bucket::log_e_changed_arms(&candidate, &control, tolerance(base))
}

/// ln e of "lines of a trace differ by more than a tenth".
fn lines_changed(comparison: &Comparison) -> f64 {
    let [control, candidate] = comparison.lines.events();
    if control < 100 || candidate < 100 {
        return 0.0;
    }
    let [control, candidate] = comparison.lines.stats();
    bucket::log_e_changed_arms(&candidate, &control, math::ln(1.1))
}

/// Two shares differ by more than `least`, and by more than chance.
fn differs(part: [u64; 2], whole: [u64; 2], least: f64) -> bool {
    let [n_a, n_b] = whole.map(|n| n as f64);
    if whole.iter().any(|n| *n < COVERAGE_MIN) {
        return false;
    }
    let [a, b] = [part[0] as f64 / n_a, part[1] as f64 / n_b];
    let pooled = (part[0] + part[1]) as f64 / (n_a + n_b);
    let variance = pooled * (1.0 - pooled) * (1.0 / n_a + 1.0 / n_b);
    (a - b).abs() > least && (a - b) * (a - b) > COVERAGE_DEVIATIONS * COVERAGE_DEVIATIONS * variance
}

fn flaws(comparison: &Comparison, margins: &Margins, sample_ratio: Option<(f64, bool)>) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    if comparison.missing().is_some() {
        flaws.push(Flaw::MissingArm);
    }
    if let Some((log_e, false)) = sample_ratio
        && log_e >= LOG_BROKEN
    {
        flaws.push(Flaw::SampleRatio);
    }
    match comparison.routing {
        Routing::Mixed => flaws.push(Flaw::MixedRouting),
        Routing::Sticky => {
            let [(control, crossed_control), (candidate, crossed_candidate)] = comparison.crossovers();
            let (units, crossed) = (control + candidate, crossed_control + crossed_candidate);
            if crossed as f64 > CROSSOVER_SHARE_MAX * units as f64 {
                flaws.push(Flaw::Crossover);
            }
            let strata = comparison.crossover_cell().strata();
            let unequal = math::log_mean_exp_2(share::log_e_fail(strata, 1.0), share::log_e_pass(strata, 1.0));
            if unequal >= LOG_BROKEN {
                flaws.push(Flaw::UnequalCrossover);
            }
        }
        Routing::Undecided | Routing::PerRequest => {}
    }
    if comparison.control_from == ControlFrom::Guess {
        flaws.push(Flaw::GuessedControl);
    }
    let read = comparison.read;
    if read.late as f64 > LATE_MAX * read.events as f64 && read.late >= COVERAGE_MIN {
        flaws.push(Flaw::MostlyLate);
    }
    let requests = comparison.error_volume.events();
    let with_damaged = [0, 1].map(|arm| requests[arm] + comparison.damaged[arm]);
    if (read.damaged as f64 > DAMAGED_MAX * read.records as f64 && read.damaged >= DAMAGED_MIN)
        || differs(comparison.damaged, with_damaged, margins.errors)
    {
        flaws.push(Flaw::DamagedLines);
    }
    if let Some([control, candidate]) = comparison.totals.first() {
        let pair = [control, candidate];
        let requests = pair.map(|t| t.requests);
        if differs(pair.map(|t| t.without_unit), requests, UNIT_DIFFERENCE) {
            flaws.push(Flaw::UnitCoverage);
        }
        if differs(pair.map(|t| t.errors_without_unit), requests, margins.errors) {
            flaws.push(Flaw::ErrorsWithoutUnit);
        }
        let [latency, status] = &comparison.gaps;
        if rate_changed(latency, |_| LATENCY_DIFFERENCE) >= LOG_BROKEN {
            flaws.push(Flaw::LatencyCoverage);
        }
        // A request whose status is lost may have failed.
        if rate_changed(status, |_| margins.errors) >= LOG_BROKEN {
            flaws.push(Flaw::StatusCoverage);
        }
        let fine = pair.map(|t| t.requests.saturating_sub(t.errors));
        let type_differs = |count: fn(&Totals) -> u64| differs(pair.map(count), fine, TYPE_DIFFERENCE);
        if type_differs(|t| t.latency_text) || type_differs(|t| t.latency_unread) {
            flaws.push(Flaw::LatencyType);
        }
        if type_differs(|t| t.status_text) || type_differs(|t| t.status_unread) {
            flaws.push(Flaw::StatusType);
        }
        if differs(pair.map(|t| t.late), pair.map(|t| t.lines + t.late), LATE_DIFFERENCE) {
            flaws.push(Flaw::Lateness);
        }
        let rate = |weight: u64, n: u64| if n == 0 { 1.0 } else { weight as f64 / n as f64 };
        let [a, b] = pair.map(|t| rate(t.request_weight, t.requests));
        if requests.iter().all(|n| *n >= SAMPLING_MIN) && (a - b).abs() > 0.05 * a.min(b) {
            flaws.push(Flaw::SamplingByArm);
        }
        let outcome = pair.iter().any(|t| {
            let (failed, other) = (rate(t.error_weight, t.errors), rate(t.request_weight, t.requests));
            t.errors >= 100 && (failed - other).abs() > 0.05 * failed.min(other)
        });
        if outcome {
            flaws.push(Flaw::SamplingByOutcome);
        }
    }
    flaws
}

/// Cells whose measurement a flaw breaks. The other flaws break the comparison as a whole.
pub fn breaks(flaw: Flaw) -> &'static [Cell] {
    match flaw {
        Flaw::LatencyCoverage | Flaw::LatencyType => {
            &[Cell::LatencyMean, Cell::LatencyP50, Cell::LatencyP90, Cell::LatencyP99, Cell::LatencyP99Units]
        }
        Flaw::StatusCoverage | Flaw::StatusType | Flaw::SamplingByOutcome => &[Cell::ErrorUnits, Cell::ErrorVolume],
        Flaw::SampleRatio
        | Flaw::MixedRouting
        | Flaw::Crossover
        | Flaw::UnequalCrossover
        | Flaw::MissingArm
        | Flaw::UnitCoverage
        | Flaw::Lateness
        | Flaw::SamplingByArm
        | Flaw::ErrorsWithoutUnit
        | Flaw::GuessedControl
        | Flaw::MostlyLate
        | Flaw::DamagedLines => &[],
    }
}

/// A flaw that touches a guardrail that PASS needs makes the comparison invalid.
fn concerns(flaw: Flaw, policy: &Policy) -> bool {
    match flaw {
        Flaw::LatencyCoverage | Flaw::LatencyType => policy.latency,
        Flaw::StatusCoverage | Flaw::StatusType | Flaw::ErrorsWithoutUnit => policy.errors,
        Flaw::SamplingByOutcome => policy.errors,
        Flaw::SampleRatio
        | Flaw::MixedRouting
        | Flaw::Crossover
        | Flaw::UnequalCrossover
        | Flaw::MissingArm
        | Flaw::UnitCoverage
        | Flaw::Lateness
        | Flaw::SamplingByArm
        | Flaw::GuessedControl
        | Flaw::MostlyLate
        | Flaw::DamagedLines => true,
    }
}

/// Cells that PASS needs to be held.
pub fn required(comparison: &Comparison, policy: &Policy, has_volume: bool) -> Vec<Cell> {
    let mut cells = Vec::new();
    if policy.errors {
        cells.push(Cell::ErrorUnits);
        // The last step asks for volume too, unless errors are so rare that it cannot be tested.
        if policy.next_share >= 1.0 && has_volume {
            cells.push(Cell::ErrorVolume);
        }
    }
    if policy.latency {
        cells.extend([Cell::LatencyP90, Cell::LatencyP99]);
        // Without a user-effect table the mean is too noisy where users stick to an arm.
        if comparison.unit.is_once() || comparison.by_request() {
            cells.push(Cell::LatencyMean);
        }
    }
    cells
}

/// Everything but the evidence: routing is known and the time is over.
pub fn conditions_of_pass(comparison: &Comparison, policy: &Policy) -> bool {
    let routing_known =
        comparison.unit.is_once() || matches!(comparison.routing, Routing::Sticky | Routing::PerRequest);
    routing_known && comparison.ended_at.0 - comparison.started_at.0 >= policy.minimum_time
}

fn all_held(look: &Look, comparison: &Comparison, policy: &Policy) -> bool {
    let cells = required(comparison, policy, look.cell(Cell::ErrorVolume).has_data);
    !cells.is_empty() && cells.iter().all(|cell| look.cell(*cell).held)
}

/// Evidence that has reached the line holds until it has turned against "within the margin".
///
/// The line may be crossed at any look, so whoever asks later must not get another answer only because evidence has come
/// and gone around it. By Ville's inequality even the first crossing alone would do; that evidence must not have turned is
/// caution, for a change that begins late.
fn is_held(has_data: bool, log_pass: f64, held_before: bool) -> bool {
    has_data && (log_pass >= LOG_PASS || (held_before && log_pass >= 0.0))
}

fn add_pass_evidence(
    look: &mut Look,
    comparison: &Comparison,
    policy: &Policy,
    margins: &Margins,
    volume: &Pair,
    mean: &Pair,
) {
    let mult = margins.mult;
    let within = |stats: &Pair, margin: f64, mult: f64| {
        stats.as_ref().map_or(0.0, |[control, candidate]| bucket::log_e_pass(candidate, control, margin, mult))
    };
    let level_within = |level: Level| {
        let stats = enough_latencies(comparison.pass_sums(level), level.exceedance());
        within(&stats, level.margin(), mult)
    };
    for cell in required(comparison, policy, volume.is_some()) {
        look.cells[cell as usize].log_pass = match cell {
            Cell::ErrorUnits => error_units_within(comparison, margins),
            Cell::ErrorVolume => within(volume, margins.errors, 4.0 * mult),
            Cell::LatencyMean => within(mean, margin::LATENCY_MEAN, mult),
            Cell::LatencyP50 => level_within(Level::P50),
            Cell::LatencyP90 => level_within(Level::P90),
            Cell::LatencyP99 => level_within(Level::P99),
            Cell::LatencyP99Units | Cell::Deficit => 0.0,
        };
    }
}

/// ln e against "erring units are at or beyond the margin".
///
/// The share test needs erring units and a base rate to take its margin from; a service (almost) without errors would
/// never pass it. As long as the control has no base rate, the margin is the smallest one of affected units (one in a
/// thousand), and that can be refuted without a single error; where some requests of the candidate fail all the same,
/// not more than this share of them may. Once there is a base rate only the ratio counts: a share of units says nothing
/// where few units make most errors. Both have fixed weights, .9 and .1, so the result is an e-value.
fn error_units_within(comparison: &Comparison, margins: &Margins) -> f64 {
    let ratio = share::log_e_pass(comparison.error_units.strata(), margins.error_ratio);
    if margins.error_ratio.is_finite() {
        return math::ln(0.9) + ratio;
    }
    let [_, (units, erring)] = comparison.error_units.totals();
    let floor = (ERROR_FLOOR * margins.mult).min(0.5);
    let [_, requests] = comparison.error_volume.events();
    let [_, errors] = comparison.error_volume.sums();
    if errors as f64 > floor * requests as f64 {
        return 0.0;
    }
    math::log_sum_exp(&[math::ln(0.9) + ratio, math::ln(0.1) + few_affected(units, erring, floor)])
}

/// ln e against "at least a share `floor` of units is affected": likelihood ratio, mixed over smaller shares.
fn few_affected(units: u64, affected: u64, floor: f64) -> f64 {
    if units == 0 || affected > units {
        return 0.0;
    }
    let (n, x) = (units as f64, affected as f64);
    let against = |share: f64| {
        let hits = if affected == 0 {
            0.0
        } else if share > 0.0 {
            x * math::ln(share / floor)
        } else {
            f64::NEG_INFINITY
        };
        hits + (n - x) * (math::ln_1p(-share) - math::ln_1p(-floor))
    };
    math::log_mean_exp(&[0.0, 0.125, 0.25, 0.5].map(|part| against(part * floor)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::comparison::Between;
    use crate::engine::units::Arm;
    use crate::pipeline::plan::UnitKind;
    use crate::time::Timestamp;

    #[test]
    fn a_service_without_errors_can_be_shown_to_be_within_the_margin() {
        assert!(few_affected(2_000, 0, ERROR_FLOOR) < LOG_PASS);
        assert!(few_affected(10_000, 0, ERROR_FLOOR) > LOG_PASS + math::ln(10.0));
        assert!(few_affected(10_000, 12, ERROR_FLOOR) < 0.0);
        assert_eq!(few_affected(0, 0, ERROR_FLOOR), 0.0);
    }

    #[test]
    fn only_the_ratio_counts_once_there_is_a_base_rate() {
        let between = Between { control: "a", candidate: "b", control_from: ControlFrom::Named };
        let mut comparison = Comparison::new(between, UnitKind::User, LOG_CHANGED, 1, 0, Timestamp(0));
        comparison.error_units.at_risk(Arm::Control, 10_000);
        comparison.error_units.at_risk(Arm::Candidate, 10_000);
        let mut margins = Margins { base_rate: 0.0, errors: 0.001, mult: 1.0, error_ratio: f64::INFINITY };
        assert!(error_units_within(&comparison, &margins) > LOG_PASS);
        comparison.error_units.first(Arm::Control, 3);
        margins.error_ratio = 1.5;
        let ratio = share::log_e_pass(comparison.error_units.strata(), margins.error_ratio);
        assert_eq!(error_units_within(&comparison, &margins), math::ln(0.9) + ratio);
        assert!(ratio < LOG_PASS, "{ratio}");
    }

    #[test]
    fn evidence_is_held_until_it_has_turned() {
        assert!(is_held(true, LOG_PASS, false) && !is_held(true, LOG_PASS - 0.1, false));
        assert!(is_held(true, 0.1, true) && !is_held(true, -0.1, true));
        assert!(!is_held(false, LOG_PASS, true));
    }

    #[test]
    fn shares_differ_by_more_than_the_least_and_by_more_than_chance() {
        assert!(differs([100, 400], [10_000; 2], 0.02) && differs([400, 100], [10_000; 2], 0.02));
        assert!(!differs([100, 250], [10_000; 2], 0.02), "less than the least");
        assert!(!differs([1, 4], [100; 2], 0.02), "as chance would have it");
        assert!(!differs([0, 99], [1_000, 99], 0.02), "too few to say");
    }

    #[test]
    fn weights_of_strata_sum_to_one_and_the_first_has_most() {
        for strata in [1, 2, 3, 10] {
            let neutral = over_strata(&vec![0.0; strata]);
            assert!(neutral.abs() < 1e-12, "{strata} strata: {neutral:e}");
        }
        let [first, second, third] = [[20.0, 0.0, 0.0], [0.0, 20.0, 0.0], [0.0, 0.0, 20.0]].map(|e| over_strata(&e));
        assert!((first - (20.0 + math::ln(0.9))).abs() < 1e-6, "{first}");
        assert!((second - (20.0 + math::ln(0.05))).abs() < 1e-6, "{second}");
        assert!((third - (20.0 + math::ln(0.1 / 6.0))).abs() < 1e-6, "{third}");
    }

    #[test]
    fn thresholds_are_what_the_constants_say() {
        assert!((math::exp(LOG_PASS) - 1.0 / budget::ALPHA_PASS).abs() < 1e-9);
        assert!((math::exp(LOG_CHANGED) - 1.0 / budget::ALPHA_CHANGED).abs() < 1e-9);
        assert!((math::exp(LOG_BROKEN) - 1.0 / budget::ALPHA_SRM).abs() < 1e-6);
    }
}
