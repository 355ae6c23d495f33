//! One look: what the evidence says when a window has closed, and the verdict that follows.

use crate::compare::bucket;
use crate::compare::verdict::{Behaviour, Cell, Facts, Flaw, Verdict};
use crate::compare::{budget, margin};
use crate::engine::bucket_sums::BucketSums;
use crate::engine::comparison::Comparison;
use crate::engine::fail::{Pair, Tested, since_restarts};
use crate::engine::flaws::{breaks, concerns, flaws};
use crate::engine::limits::{Limit, LimitLook};
use crate::engine::memory;
use crate::engine::pass::{add_pass_evidence, all_held, conditions_of_pass, is_held};
use crate::engine::policy::Policy;
use crate::engine::ratio::SampleRatio;
use crate::engine::segments::{self, SegmentCell, SegmentLook, SegmentTest};
use crate::engine::steps;
use crate::engine::templates::TemplatesLook;
use crate::math;
use crate::sketch::codec::{Damaged, Reader, Writer};

/// ln 20: evidence that a guardrail is within its margin.
pub const LOG_PASS: f64 = 2.995_732_273_553_991;
/// ln 100: evidence that a behaviour has changed.
pub const LOG_CHANGED: f64 = 4.605_170_185_988_092;
/// ln 1,000: evidence that a sample ratio or the spread of crossovers is wrong.
pub const LOG_BROKEN: f64 = 6.907_755_278_982_137;

/// Requests of each arm before what they lack is compared.
pub(super) const COVERAGE_MIN: u64 = 100;
/// Difference of means of the logarithm of latency (ln 1.25) above which faster is a change of behaviour.
const FASTER: f64 = 0.223_143_551_314_209_7;
/// What one cell says.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct CellLook {
    /// Enough data to test.
    pub has_data: bool,
    /// ln e against "not worse", from the start and from all restarts together.
    pub log_e: f64,
    /// The same from the start alone.
    pub log_start: f64,
    /// ln e against "at or beyond the margin"; 0 where PASS does not ask.
    pub log_pass: f64,
    /// Within its margin: `log_pass` has reached [`LOG_PASS`], and has not turned since.
    pub held: bool,
}

impl CellLook {
    pub(super) fn of(has_data: bool, log_start: f64) -> CellLook {
        CellLook { has_data, log_start, ..CellLook::default() }
    }
}

/// What a look says.
#[derive(Clone, PartialEq, Debug)]
pub struct Look {
    /// Cells in the order of [`Cell::ALL`].
    pub cells: [CellLook; Cell::ALL.len()],
    /// Business events of the policy, in its order; they are tested from the start alone.
    pub conversions: Vec<CellLook>,
    /// Metrics of one's own, in the order of the policy; from the start alone, too.
    pub metrics: Vec<CellLook>,
    /// ln of the weighted sum.
    pub log_sum: f64,
    /// ln e of behaviours in the order of [`Behaviour::ALL`].
    pub changed: [f64; Behaviour::ALL.len()],
    /// ln of their mean.
    pub log_changed: f64,
    /// What is broken.
    pub flaws: Vec<Flaw>,
    /// Absolute limits in the order of [`Limit::ALL`]; `None` where the policy has no such limit.
    pub limits: [Option<LimitLook>; Limit::ALL.len()],
    /// ln e of the sample ratio; `None` when no share is declared.
    pub sample_ratio: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// It is held back by a changed behaviour.
    pub held_back: bool,
    /// It would pass if every changed behaviour were accepted.
    pub would_pass: bool,
    /// What templates say.
    pub templates: TemplatesLook,
    /// Segments, in the order in which they entered; they are tested from the start alone.
    pub segments: Vec<SegmentLook>,
    /// Fields by whose values the units of the arms differ: what is only that fails nothing.
    pub unequal: Vec<u8>,
    /// Declared step, from 0, whose share the logs show; `None` where none are declared.
    pub step: Option<u8>,
}

impl Default for Look {
    fn default() -> Self {
        Look {
            cells: [CellLook::default(); Cell::ALL.len()],
            conversions: Vec::new(),
            metrics: Vec::new(),
            log_sum: 0.0,
            changed: [0.0; Behaviour::ALL.len()],
            log_changed: 0.0,
            flaws: Vec::new(),
            limits: [None; Limit::ALL.len()],
            sample_ratio: None,
            verdict: Verdict::Inconclusive,
            held_back: false,
            would_pass: false,
            templates: TemplatesLook::default(),
            segments: Vec::new(),
            unequal: Vec::new(),
            step: None,
        }
    }
}

impl Look {
    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        memory::list::<CellLook>(self.own()) + memory::list::<Flaw>(self.flaws.len())
    }

    /// What a cell says.
    pub fn cell(&self, cell: Cell) -> CellLook {
        self.cells[cell as usize]
    }

    /// ln of a cell's contribution to the sum.
    pub fn contribution(&self, cell: Cell) -> f64 {
        math::ln(cell.weight(self.own())) + self.cell(cell).log_e
    }

    /// Guardrails of one's own: business events and metrics.
    fn own(&self) -> usize {
        self.conversions.len() + self.metrics.len()
    }

    /// ln of the contribution of a guardrail of one's own.
    pub fn own_contribution(&self, said: CellLook) -> f64 {
        math::ln(budget::other_guardrail_weight(self.own())) + said.log_e
    }

    /// What a metric of one's own says; nothing where the policy has no such metric.
    pub fn metric(&self, at: usize) -> CellLook {
        self.metrics.get(at).copied().unwrap_or_default()
    }

    /// Metrics of one's own that carry the evidence, as [`Look::leading`] has it.
    pub fn leading_metrics(&self, log_fail: f64) -> Vec<usize> {
        let least = log_fail.min(self.log_sum - math::ln(10.0));
        (0..self.metrics.len()).filter(|at| self.own_contribution(self.metric(*at)) >= least).collect()
    }

    /// What a business event says; nothing where the policy has no such event.
    pub fn conversion(&self, at: usize) -> CellLook {
        self.conversions.get(at).copied().unwrap_or_default()
    }

    /// ln of a business event's contribution to the sum.
    pub fn conversion_contribution(&self, at: usize) -> f64 {
        self.own_contribution(self.conversion(at))
    }

    /// Business events that carry the evidence, as [`Look::leading`] has it.
    pub fn leading_conversions(&self, log_fail: f64) -> Vec<usize> {
        let least = log_fail.min(self.log_sum - math::ln(10.0));
        (0..self.conversions.len()).filter(|at| self.conversion_contribution(*at) >= least).collect()
    }

    /// ln e of one test of a segment; `None` below its minimum.
    pub fn segment(&self, (cell, test): SegmentCell) -> Option<f64> {
        self.segments.get(cell).and_then(|said| said[test as usize])
    }

    /// ln of its contribution to the sum.
    pub fn segment_contribution(&self, of: SegmentCell) -> f64 {
        segments::log_weight() + self.segment(of).unwrap_or(0.0)
    }

    /// Segments that carry the evidence, strongest first, as [`Look::leading`] has it.
    pub fn leading_segments(&self, log_fail: f64) -> Vec<SegmentCell> {
        let least = log_fail.min(self.log_sum - math::ln(10.0));
        let of_cell = |cell: usize| SegmentTest::ALL.map(|test| (cell, test));
        let all = (0..self.segments.len()).flat_map(of_cell).filter(|of| self.segment(*of).is_some());
        let mut list: Vec<SegmentCell> = all.filter(|of| self.segment_contribution(*of) >= least).collect();
        list.sort_by(|a, b| self.segment_contribution(*b).total_cmp(&self.segment_contribution(*a)));
        list
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

    /// What is said of an absolute limit; `None` where the policy has none.
    pub fn limit(&self, limit: Limit) -> Option<LimitLook> {
        self.limits[limit as usize]
    }

    /// Limits that are broken.
    pub fn beyond(&self) -> impl Iterator<Item = Limit> + '_ {
        Limit::ALL.into_iter().filter(|limit| self.limit(*limit).is_some_and(|said| said.broken))
    }

    /// Limits that hold back a pass.
    pub fn limits_that_hold_back(&self) -> impl Iterator<Item = Limit> + '_ {
        Limit::ALL.into_iter().filter(|limit| self.limit(*limit).is_some_and(|said| said.holds_back))
    }

    /// Limits whose break lasts, where the policy makes that a failure.
    pub fn failing_limits(&self) -> impl Iterator<Item = Limit> + '_ {
        Limit::ALL.into_iter().filter(|limit| self.limit(*limit).is_some_and(|said| said.fails))
    }

    /// Writes the look.
    pub fn write(&self, w: &mut Writer) {
        w.length(self.conversions.len());
        w.length(self.metrics.len());
        for cell in self.cells.iter().chain(&self.conversions).chain(&self.metrics) {
            w.flag(cell.has_data);
            w.float(cell.log_e);
            w.float(cell.log_start);
            w.float(cell.log_pass);
            w.flag(cell.held);
        }
        w.float(self.log_sum);
        self.changed.iter().for_each(|log_e| w.float(*log_e));
        w.float(self.log_changed);
        w.length(self.flaws.len());
        self.flaws.iter().for_each(|flaw| w.byte(*flaw as u8));
        for limit in &self.limits {
            w.flag(limit.is_some());
            limit.unwrap_or_default().write(w);
        }
        w.flag(self.sample_ratio.is_some());
        w.float(self.sample_ratio.unwrap_or(0.0));
        w.byte(self.verdict as u8);
        w.flag(self.held_back);
        w.flag(self.would_pass);
        self.templates.write(w);
        w.length(self.segments.len());
        for said in self.segments.iter().flatten() {
            w.flag(said.is_some());
            w.float(said.unwrap_or(0.0));
        }
        w.length(self.unequal.len());
        self.unequal.iter().for_each(|field| w.byte(*field));
        w.flag(self.step.is_some());
        w.byte(self.step.unwrap_or(0));
    }

    /// Reads what [`Look::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Look, Damaged> {
        let mut look = Look::default();
        for _ in 0..r.length()? {
            look.conversions.push(CellLook::default());
        }
        for _ in 0..r.length()? {
            look.metrics.push(CellLook::default());
        }
        for cell in look.cells.iter_mut().chain(&mut look.conversions).chain(&mut look.metrics) {
            *cell = CellLook {
                has_data: r.flag()?,
                log_e: r.float()?,
                log_start: r.float()?,
                log_pass: r.float()?,
                held: r.flag()?,
            };
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
        for limit in &mut look.limits {
            let is_there = r.flag()?;
            let said = LimitLook::read(r)?;
            *limit = is_there.then_some(said);
        }
        let has_ratio = r.flag()?;
        let ratio = r.float()?;
        look.sample_ratio = has_ratio.then_some(ratio);
        let code = usize::from(r.byte()?);
        look.verdict = Verdict::ALL.get(code).copied().ok_or(Damaged("unknown verdict"))?;
        look.held_back = r.flag()?;
        look.would_pass = r.flag()?;
        look.templates = TemplatesLook::read(r)?;
        for _ in 0..r.length()? {
            look.segments.push(SegmentLook::default());
        }
        for said in look.segments.iter_mut().flatten() {
            let has_data = r.flag()?;
            let log_e = r.float()?;
            *said = has_data.then_some(log_e);
        }
        for _ in 0..r.length()? {
            look.unequal.push(r.byte()?);
        }
        let (has_step, step) = (r.flag()?, r.byte()?);
        look.step = has_step.then_some(step);
        Ok(look)
    }
}

/// Margins at this look: they follow the running base rate and the step.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Margins {
    /// Running error rate of the control, per request.
    pub base_rate: f64,
    /// The control has errors enough to know it.
    pub has_base: bool,
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
        let errors = errors.max(0) as u64;
        let base_rate = margin::running_base_rate(errors, requests);
        let has_base = errors >= margin::ERRORS_MIN;
        let mult = margin::step_mult(steps::next_share(comparison, policy));
        let ([(_, erring), _], [units, _]) = (comparison.error_units.totals(), comparison.distinct_units());
        let affected = if units == 0 { 0.0 } else { erring as f64 / units as f64 };
        let rate_ratio = margin::error_r0(base_rate, mult);
        let ratio =
            margin::pass_r0(rate_ratio, affected).min(margin::affected_r0(rate_ratio, comparison.growth.exponent()));
        Margins { base_rate, has_base, errors: margin::error_margin(base_rate), mult, error_ratio: ratio }
    }
}

/// Looks at a comparison, and begins the restart that is due.
pub fn look(comparison: &mut Comparison, policy: &Policy) -> Look {
    let margins = Margins::of(comparison, policy);
    let step = steps::seen(comparison, policy).and_then(|step| u8::try_from(step).ok());
    let mut look = Look { step, ..Look::default() };
    let ratio = SampleRatio::of(comparison, policy);
    look.sample_ratio = ratio.and_then(|ratio| ratio.log_wrong);
    look.flaws = flaws(comparison, &margins, ratio);
    // What is not measured alike neither fails nor passes.
    let broken: Vec<Cell> = look.flaws.iter().flat_map(|flaw| breaks(comparison, *flaw)).copied().collect();
    let (called, routes, statuses) =
        (comparison.called.log_e(), comparison.routes.log_e(), comparison.statuses.log_e());
    let of_segments = segments_now(comparison);
    look.templates = comparison.templates.look(&policy.expect_templates);
    // Lines of units, as failed requests are: what breaks the one breaks the other. How many requests a call makes is no matter of theirs.
    let breaks_lines =
        |flaw: &&Flaw| **flaw != Flaw::UnequalCalls && breaks(comparison, **flaw).contains(&Cell::ErrorUnits);
    if look.flaws.iter().any(|flaw| breaks_lines(&flaw)) {
        look.templates.log_errors = look.templates.log_errors.map(|log_e| log_e.min(0.0));
    }
    let now = Tested::from_start(comparison);
    look.cells = now.cells(&margins, &broken, ratio);
    let since = since_restarts(comparison, &margins, &broken);
    for cell in Cell::ALL.into_iter().filter(|cell| cell.restarts()) {
        let said = &mut look.cells[cell as usize];
        said.log_e = comparison.restarts.log_guardrail(cell, said.log_start, &since);
    }
    look_at_segments(&mut look, comparison, of_segments, &broken);
    look.conversions = comparison.conversions_now();
    look.metrics = comparison.metrics_now();
    let own = look.own();
    let of_cells = Cell::ALL.into_iter().map(|cell| (cell.weight(own), look.cell(cell).log_e));
    let weight = budget::other_guardrail_weight(own);
    let of_own = look.conversions.iter().chain(&look.metrics).map(|said| (weight, said.log_e));
    let of_templates = look.templates.log_errors.map(|log_e| (budget::TEMPLATES, log_e));
    let mut parts: Vec<(f64, f64)> = of_cells.chain(of_own).chain(of_templates).collect();
    parts.extend(look.segments.iter().flatten().flatten().map(|log_e| (segments::weight(), *log_e)));
    let idle = 1.0 - parts.iter().map(|(weight, _)| weight).sum::<f64>();
    look.log_sum = budget::log_sum(&parts, idle);

    let categories = Categories { called, routes, statuses, templates: look.templates.log_changed };
    look.changed = changed_behaviours(comparison, categories, &margins, &now.mean);
    look.log_changed = math::log_mean_exp(&look.changed.map(|log_e| log_e.min(budget::LOG_E_MAX)));
    let unexpected: Vec<f64> = Behaviour::ALL
        .into_iter()
        .map(|group| match group {
            _ if policy.expect.contains(&group) => 0.0,
            Behaviour::Templates => look.templates.log_unexpected,
            Behaviour::LinesPerTrace
            | Behaviour::CalledServices
            | Behaviour::Routes
            | Behaviour::StatusClasses
            | Behaviour::RecoveredByRetry
            | Behaviour::WarningLines
            | Behaviour::Faster => look.changed[group as usize],
        })
        .collect();
    let changed = math::log_mean_exp(&unexpected) >= LOG_CHANGED;

    let invalid = look.flaws.iter().any(|flaw| concerns(*flaw, policy));
    look.limits = Limit::ALL.map(|limit| comparison.limits.as_ref().and_then(|watch| watch.look(limit)));
    let facts = Facts {
        failed_before: comparison.failure.is_some(),
        regressed: look.log_sum >= comparison.log_fail,
        limit_failed: look.failing_limits().next().is_some(),
        invalid,
        changed,
        beyond_limit: look.limits_that_hold_back().next().is_some(),
        held: false,
    };
    if !invalid {
        add_pass_evidence(&mut look, comparison, policy, &margins, now.volume.is_some());
        // What was within the margin of another step need not be within that of this one.
        let same_step = comparison.look.step == look.step;
        if !comparison.tells_errors() {
            // Nothing that came can tell a failure, so that there was none says nothing.
            for cell in [Cell::ErrorUnits, Cell::ErrorVolume] {
                look.cells[cell as usize].has_data = false;
            }
        }
        for (now, before) in look.cells.iter_mut().zip(&comparison.look.cells) {
            now.held = is_held(now.has_data, now.log_pass, same_step && before.held);
        }
    }
    let hides_harm = |flaw: Flaw| look.flaws.contains(&flaw);
    let is_hidden = hides_harm(Flaw::CreepingShare)
        || hides_harm(Flaw::UnequalActivity)
        || hides_harm(Flaw::OwnMeasurement)
        || hides_harm(Flaw::UnequalCalls)
        || hides_harm(Flaw::StalledPartition)
        || policy.errors && hides_harm(Flaw::SomeLate)
        || ratio.is_some_and(|ratio| ratio.is_wrong());
    let is_complete = !is_hidden && look.unequal.is_empty();
    let held = !invalid && is_complete && conditions_of_pass(comparison, policy) && all_held(&look, comparison, policy);
    look.verdict = Facts { held, ..facts }.verdict();
    look.would_pass = Facts { held, changed: false, ..facts }.verdict() == Verdict::Pass;
    look.held_back = look.verdict == Verdict::Inconclusive && changed;
    comparison.restart(&since);
    look
}

/// What segments say now.
struct SegmentsNow {
    said: Vec<SegmentLook>,
    /// Fields by which the units of the arms differ, with what is said within the segments of each.
    within: Vec<(usize, SegmentLook)>,
}

fn segments_now(comparison: &mut Comparison) -> SegmentsNow {
    let segments = &mut comparison.segments;
    let said = segments.said();
    let unequal = segments.unequal(LOG_BROKEN);
    SegmentsNow { said, within: unequal.into_iter().map(|field| (field, segments.within(field))).collect() }
}

/// What segments say, and what is left of the guardrails' evidence where the arms are not made of the same units.
///
/// Such units may fail more, or be slower, whatever the code. Then no test says more than the same test within the segments of
/// each field by which the arms differ; the smaller of two e-values is one. A segment itself is not compared with others of
/// its own field.
fn look_at_segments(look: &mut Look, comparison: &Comparison, now: SegmentsNow, broken: &[Cell]) {
    let SegmentsNow { said, within } = now;
    if said.is_empty() {
        return;
    }
    look.segments = said;
    let most = |test: SegmentTest, own: Option<usize>| {
        let others = within.iter().filter(|(field, _)| Some(*field) != own);
        others.map(|(_, said)| said[test as usize].unwrap_or(0.0)).fold(f64::INFINITY, f64::min)
    };
    for cell in Cell::ALL {
        let said = &mut look.cells[cell as usize];
        let Some(test) = segment_test_of(cell) else { continue };
        said.log_e = said.log_e.min(most(test, None));
        said.log_start = said.log_start.min(most(test, None));
    }
    for (said, cell) in look.segments.iter_mut().zip(&comparison.segments.cells) {
        for test in SegmentTest::ALL {
            let is_broken = broken.iter().any(|of| segment_test_of(*of) == Some(test));
            let most = most(test, Some(cell.field)).min(if is_broken { 0.0 } else { f64::INFINITY });
            if let Some(log_e) = &mut said[test as usize] {
                *log_e = log_e.min(most);
            }
        }
    }
    look.unequal = within.iter().map(|(field, _)| *field as u8).collect();
    if !look.unequal.is_empty() {
        look.flaws.push(Flaw::UnequalSegments);
    }
}

/// The test of a segment that looks at the same as a guardrail's.
fn segment_test_of(cell: Cell) -> Option<SegmentTest> {
    match cell {
        Cell::ErrorUnits | Cell::ErrorVolume | Cell::ErrorUnits8 | Cell::ErrorUnits64 => Some(SegmentTest::Errors),
        Cell::LatencyMean | Cell::LatencyP50 | Cell::LatencyP90 | Cell::LatencyP99 | Cell::LatencyP99Units => {
            Some(SegmentTest::Latency)
        }
        Cell::Deficit | Cell::Unanswered => None,
    }
}

/// ln e of behaviours that are first pairs of a unit and something.
#[derive(Clone, Copy, Debug)]
struct Categories {
    called: f64,
    routes: f64,
    statuses: f64,
    templates: f64,
}

/// ln e of each behaviour, in the order of [`Behaviour::ALL`]; those of first pairs are known.
fn changed_behaviours(
    comparison: &Comparison,
    known: Categories,
    margins: &Margins,
    mean: &Pair,
) -> [f64; Behaviour::ALL.len()] {
    Behaviour::ALL.map(|group| match group {
        Behaviour::LinesPerTrace => lines_changed(comparison),
        Behaviour::CalledServices => known.called,
        Behaviour::Routes => known.routes,
        Behaviour::Templates => known.templates,
        Behaviour::StatusClasses => known.statuses,
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
pub(super) fn rate_changed(sums: &BucketSums, tolerance: impl Fn(f64) -> f64) -> f64 {
    let events = sums.events();
    let [in_control, in_candidate] = sums.sums();
    if events.iter().any(|n| *n < COVERAGE_MIN) || in_control + in_candidate < 10 {
        return 0.0;
    }
    let base = in_control.max(0) as f64 / events[0] as f64;
    let [control, candidate] = sums.stats();
    bucket::log_e_changed_arms(&candidate, &control, tolerance(base))
}

/// ln e of "lines of a trace differ by more than a tenth"; without traces, of "lines of a unit that are no requests differ, per
/// request, by more than a tenth, and by more than two in a hundred requests".
fn lines_changed(comparison: &Comparison) -> f64 {
    let [control, candidate] = comparison.lines.events();
    if control + candidate == 0 {
        return rate_changed(&comparison.other_lines, |base| (0.1 * base).max(0.02));
    }
    if control < 100 || candidate < 100 {
        return 0.0;
    }
    let [control, candidate] = comparison.lines.stats();
    bucket::log_e_changed_arms(&candidate, &control, math::ln(1.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_what_the_constants_say() {
        assert!((math::exp(LOG_PASS) - 1.0 / budget::ALPHA_PASS).abs() < 1e-9);
        assert!((math::exp(LOG_CHANGED) - 1.0 / budget::ALPHA_CHANGED).abs() < 1e-9);
        assert!((math::exp(LOG_BROKEN) - 1.0 / budget::ALPHA_SRM).abs() < 1e-6);
    }
}
