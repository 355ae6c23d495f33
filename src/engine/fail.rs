//! Evidence for FAIL: what each cell says against "not worse", from the start of a comparison and since each restart.

use crate::compare::bucket::{self, ArmStats, Variance};
use crate::compare::verdict::Cell;
use crate::compare::{margin, share};
use crate::engine::bucket_sums::View;
use crate::engine::comparison::Comparison;
use crate::engine::first_events::FirstEvents;
use crate::engine::flaws;
use crate::engine::latency_tests::Level;
use crate::engine::look::{CellLook, Margins};
use crate::engine::ratio::SampleRatio;
use crate::engine::restarts::{BUCKET_TESTS, Evidence};
use crate::engine::storms::Storms;
use crate::engine::unanswered::Unanswered;

/// (control, candidate) of a bucket test; `None` below its minimum rule.
pub(super) type Pair = Option<[ArmStats; 2]>;

/// What the tests of one stretch of time go by.
pub(super) struct Tested<'c> {
    error_units: &'c FirstEvents,
    slow_units: &'c FirstEvents,
    /// Units that fail again and again, where they are active alike, and those that others exposed; absent since a restart.
    whole: Option<(Option<&'c Storms>, &'c Unanswered)>,
    /// The p99 threshold is known.
    has_threshold: bool,
    /// Errors a request.
    pub(super) volume: Pair,
    /// Mean latency.
    pub(super) mean: Pair,
    above: [Pair; Level::ALL.len()],
}

/// Sums of the bucket tests, in the order of a restart's marks.
fn views(comparison: &Comparison) -> [View; BUCKET_TESTS] {
    let [p50, p90, p99] = &comparison.latency.above;
    [&comparison.error_volume, &comparison.latency.mean, p50, p90, p99].map(|sums| sums.view())
}

impl<'c> Tested<'c> {
    fn new(
        comparison: &Comparison,
        [error_units, slow_units]: [&'c FirstEvents; 2],
        [volume, mean, p50, p90, p99]: &[View; BUCKET_TESTS],
    ) -> Tested<'c> {
        let level = |view: &View, level: Level| enough_latencies(view, level.exceedance());
        Tested {
            error_units,
            slow_units,
            whole: None,
            has_threshold: comparison.latency.threshold(Level::P99).is_some(),
            volume: enough_errors(volume),
            mean: enough_latencies(mean, 1.0),
            above: [level(p50, Level::P50), level(p90, Level::P90), level(p99, Level::P99)],
        }
    }

    /// From the start of a comparison.
    pub(super) fn from_start(comparison: &'c Comparison) -> Tested<'c> {
        let first = [&comparison.error_units, &comparison.slow_units];
        let storms = (!flaws::succeeds_more(comparison)).then_some(&comparison.storms);
        let whole = Some((storms, &comparison.unanswered));
        Tested { whole, ..Tested::new(comparison, first, &views(comparison)) }
    }

    /// What each cell says. `broken`: cells that are not measured alike, which neither fail nor pass. `ratio`: what units say of the
    /// declared share.
    pub(super) fn cells(
        &self,
        margins: &Margins,
        broken: &[Cell],
        ratio: Option<SampleRatio>,
    ) -> [CellLook; Cell::ALL.len()] {
        Cell::ALL.map(|cell| {
            let mut said = self.cell(cell, margins, ratio);
            if broken.contains(&cell) {
                said.log_start = said.log_start.min(0.0);
            }
            CellLook { log_e: said.log_start, ..said }
        })
    }

    fn cell(&self, cell: Cell, margins: &Margins, ratio: Option<SampleRatio>) -> CellLook {
        let level = |level: Level| {
            fail_of(&self.above[level as usize], |[control, candidate]| {
                bucket::log_e_fail(candidate, control, level.margin(), Variance::Adjusted)
            })
        };
        let storms = |level: usize| {
            self.whole.and_then(|(storms, _)| storms).map_or(CellLook::default(), |storms| {
                let reached = storms.reached(level);
                let [(_, control), (_, candidate)] = reached.totals();
                CellLook::of(control + candidate > 0, share::log_e_fail(reached.strata(), 1.0))
            })
        };
        match cell {
            Cell::ErrorUnits8 => storms(0),
            Cell::ErrorUnits64 => storms(1),
            Cell::Unanswered => match self.whole.and_then(|(_, unanswered)| unanswered.log_e()) {
                Some(log_e) => CellLook::of(true, log_e),
                None => CellLook::default(),
            },
            Cell::ErrorUnits => {
                let [(control, _), (candidate, _)] = self.error_units.totals();
                CellLook::of(control > 0 && candidate > 0, share::log_e_fail(self.error_units.strata(), 1.0))
            }
            Cell::ErrorVolume => fail_of(&self.volume, |[control, candidate]| {
                bucket::log_e_fail(candidate, control, margins.errors, Variance::RawCounts)
            }),
            Cell::LatencyMean => fail_of(&self.mean, |[control, candidate]| {
                bucket::log_e_fail(candidate, control, margin::LATENCY_MEAN, Variance::Adjusted)
            }),
            Cell::LatencyP50 => level(Level::P50),
            Cell::LatencyP90 => level(Level::P90),
            Cell::LatencyP99 => level(Level::P99),
            Cell::LatencyP99Units => CellLook::of(self.has_threshold, share::log_e_fail(self.slow_units.strata(), 1.0)),
            Cell::Deficit => ratio.map_or(CellLook::default(), |ratio| CellLook::of(true, ratio.log_few)),
        }
    }
}

/// What each restart that runs says, oldest first.
pub(super) fn since_restarts(comparison: &Comparison, margins: &Margins, broken: &[Cell]) -> Vec<Evidence> {
    let running = comparison.restarts.running();
    if running.is_empty() {
        return Vec::new();
    }
    let now = views(comparison);
    let since = running.iter().map(|restart| {
        let [a, b, c, d, e] = &now;
        let [at_a, at_b, at_c, at_d, at_e] = &restart.marks;
        let views = [a.since(at_a), b.since(at_b), c.since(at_c), d.since(at_d), e.since(at_e)];
        let tested = Tested::new(comparison, [&restart.error_units, &restart.slow_units], &views);
        tested.cells(margins, broken, None).map(|said| said.log_e)
    });
    since.collect()
}

fn fail_of(stats: &Pair, log_e: impl Fn(&[ArmStats; 2]) -> f64) -> CellLook {
    match stats {
        Some(stats) => CellLook::of(true, log_e(stats)),
        None => CellLook::default(),
    }
}

/// Minimum rule of errors (statistics design 4.2).
pub(super) fn enough_errors(sums: &View) -> Pair {
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

/// Minimum rule of latency; `exceedance`: share of requests that have the value 1, 1 for a mean.
pub(super) fn enough_latencies(sums: &View, exceedance: f64) -> Pair {
    let [control, candidate] = sums.events();
    let fewest = control.min(candidate);
    (fewest >= 200 && fewest as f64 * exceedance >= 10.0).then(|| sums.stats())
}
