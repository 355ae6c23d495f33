//! What is broken in a comparison, and which measurements and verdicts that touches.

use crate::compare::share::{self, Stratum};
use crate::compare::unit_rule::Routing;
use crate::compare::verdict::{Cell, Flaw};
use crate::engine::comparison::{Comparison, ControlFrom};
use crate::engine::conversions::Conversion;
use crate::engine::look::{COVERAGE_MIN, LOG_BROKEN, Margins, rate_changed};
use crate::engine::metrics::MetricTest;
use crate::engine::policy::Policy;
use crate::engine::ratio::SampleRatio;

/// Standard errors that lie between two shares that differ by more than chance, where no unit is known by which chance
/// could be judged better. No part of any error budget: a flaw only says that there is nothing to judge by.
const COVERAGE_DEVIATIONS: f64 = 5.0;
/// Difference in the share of requests without a unit that breaks a comparison.
pub(super) const UNIT_DIFFERENCE: f64 = 0.05;
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
/// Difference in the share of late lines between the arms that breaks a measurement: more than a few clients with a slow
/// connection make.
const LATE_DIFFERENCE: f64 = 0.05;
/// Share of units in both arms above which they are no longer two arms (statistics design 4.5).
pub const CROSSOVER_SHARE_MAX: f64 = 0.05;

/// How many times the requests of a unit of one arm are those of the other's from which on their units are not alike, and units of
/// each arm that it takes.
const ACTIVITY: f64 = 2.0;
const ACTIVITY_UNITS: u64 = 500;

/// Two shares differ by more than `least`, and by more than chance.
fn differs(part: [u64; 2], whole: [u64; 2], least: f64) -> bool {
    differs_from(part, whole, least, COVERAGE_MIN)
}

/// The same, once each arm has so many.
pub(super) fn differs_from(part: [u64; 2], whole: [u64; 2], least: f64, fewest: u64) -> bool {
    let [n_a, n_b] = whole.map(|n| n as f64);
    if whole.iter().any(|n| *n < fewest) {
        return false;
    }
    let [a, b] = [part[0] as f64 / n_a, part[1] as f64 / n_b];
    let pooled = (part[0] + part[1]) as f64 / (n_a + n_b);
    let variance = pooled * (1.0 - pooled) * (1.0 / n_a + 1.0 / n_b);
    (a - b).abs() > least && (a - b) * (a - b) > COVERAGE_DEVIATIONS * COVERAGE_DEVIATIONS * variance
}

pub(super) fn flaws(comparison: &Comparison, margins: &Margins, ratio: Option<SampleRatio>) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    if comparison.missing().is_some() {
        flaws.push(Flaw::MissingArm);
    }
    if ratio.is_some_and(|ratio| ratio.is_wrong() && !ratio.is_deficit()) {
        flaws.push(Flaw::SampleRatio);
    }
    match comparison.routing {
        Routing::Mixed => flaws.push(Flaw::MixedRouting),
        Routing::Sticky => {
            let [(control, crossed_control), (candidate, crossed_candidate)] = comparison.crossovers();
            let (units, crossed) = (control + candidate, crossed_control + crossed_candidate);
            if crossed as f64 > CROSSOVER_SHARE_MAX * units as f64 {
                // A ramp in steps too small to be seen: units come, and do not leave. They count for the arm that they came
                // from, which makes a difference look smaller than it is.
                let is_ramp = crossed_candidate as f64 <= CROSSOVER_SHARE_MAX * candidate as f64;
                flaws.push(if is_ramp { Flaw::CreepingShare } else { Flaw::Crossover });
            }
            if comparison.activity_differs() {
                flaws.push(Flaw::UnequalActivity);
            }
            let strata = comparison.crossover_cell().strata();
            if log_e_leaving(strata) >= LOG_BROKEN {
                flaws.push(Flaw::UnequalCrossover);
            }
        }
        Routing::Undecided | Routing::PerRequest => {}
    }
    if comparison.control_from == ControlFrom::Guess {
        flaws.push(Flaw::GuessedControl);
    }
    let read = comparison.read;
    let out_of_time = read.late + read.ahead;
    if out_of_time as f64 > LATE_MAX * (read.events + read.ahead) as f64 && out_of_time >= COVERAGE_MIN {
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
        let [latency, status, latency_text, latency_unread, status_text, status_unread] = &comparison.gaps;
        if rate_changed(latency, |_| LATENCY_DIFFERENCE) >= LOG_BROKEN {
            flaws.push(Flaw::LatencyCoverage);
        }
        // A request whose status is lost may have failed.
        if rate_changed(status, |_| margins.errors) >= LOG_BROKEN {
            flaws.push(Flaw::StatusCoverage);
        }
        let type_differs = |sums| rate_changed(sums, |_| TYPE_DIFFERENCE) >= LOG_BROKEN;
        if type_differs(latency_text) || type_differs(latency_unread) {
            flaws.push(Flaw::LatencyType);
        }
        if type_differs(status_text) || type_differs(status_unread) {
            flaws.push(Flaw::StatusType);
        }
        if differs(pair.map(|t| t.late), pair.map(|t| t.lines + t.late), LATE_DIFFERENCE) {
            flaws.push(Flaw::Lateness);
        } else if differs(pair.map(|t| t.late), pair.map(|t| t.lines + t.late), margins.errors) {
            flaws.push(Flaw::SomeLate);
        } else if !flaws.contains(&Flaw::MostlyLate)
            && read.ahead >= COVERAGE_MIN
            && read.ahead as f64 > margins.errors * read.events as f64
        {
            // Whose they are is not known; failures may be written by another clock.
            flaws.push(Flaw::SomeLate);
        }
        if comparison.sampling.differs_by_arm() {
            flaws.push(Flaw::SamplingByArm);
        }
        if comparison.sampling.outcome_differs_by_arm() || comparison.sampling.failures_are_thinned() {
            flaws.push(Flaw::SamplingByOutcome);
        }
    }
    if !comparison.missed.is_nothing() {
        flaws.push(Flaw::StalledPartition);
    }
    if comparison.calls.differ() || comparison.calls.may_be_got_over() {
        flaws.push(Flaw::UnequalCalls);
    }
    if comparison.conversions.iter().any(Conversion::is_broken) || comparison.metrics.iter().any(MetricTest::is_broken)
    {
        flaws.push(Flaw::OwnMeasurement);
    }
    flaws
}

/// Units of one arm make far more requests; `None` while there are too few. An arm that gives a user several ids (a new one for each
/// request, or each device) has more units and fewer failures of each.
pub(super) fn activity_differs(requests: [u64; 2], units: [u64; 2]) -> Option<bool> {
    if units.iter().any(|units| *units < ACTIVITY_UNITS) {
        return None;
    }
    let [control, candidate] = [0, 1].map(|arm| requests[arm] as f64 / units[arm] as f64);
    // While nearly every unit has made one request, none can have made twice as many as others.
    (control.max(candidate) >= ACTIVITY)
        .then(|| control > 0.0 && candidate > 0.0 && !(1.0 / ACTIVITY..=ACTIVITY).contains(&(candidate / control)))
}

/// ln e of "units leave the candidate": of those that were in both arms of a stratum, more began in the candidate than any
/// assignment that looks at no outcome explains.
///
/// Where some units are dealt anew now and then, as many go one way as the other (a unit in the candidate, of which there
/// are q N, moves with probability 1 - q; one in the control with q); where they are dealt anew all the time all of them
/// cross, and q of them began in the candidate. So its share of crossings is at most the larger of one half and q. The
/// other direction is what every ramp does: more units come than go.
fn log_e_leaving(strata: &[Stratum]) -> f64 {
    let at_most: Vec<Stratum> = strata
        .iter()
        .map(|stratum| {
            let half = Stratum { canary_units: stratum.units, units: 2 * stratum.units, ..*stratum };
            if 2 * stratum.canary_units > stratum.units { *stratum } else { half }
        })
        .collect();
    share::log_e_fail(&at_most, 1.0)
}

/// Cells whose measurement a flaw breaks in a comparison. A flaw of which there are none breaks the comparison as a whole, or nothing.
pub fn breaks(comparison: &Comparison, flaw: Flaw) -> &'static [Cell] {
    match flaw {
        // What is no request may be slow, and fail; a cell stays where callers see it however requests are counted.
        Flaw::UnequalCalls => match (comparison.calls.fail_as_a_whole(), comparison.calls.are_slower()) {
            (true, true) => &[],
            (true, false) => LATENCY_CELLS,
            (false, true) => ERROR_CELLS,
            (false, false) => &REQUEST_CELLS,
        },
        Flaw::LatencyCoverage => LATENCY_CELLS,
        Flaw::StatusCoverage | Flaw::SamplingByOutcome => ERROR_CELLS,
        Flaw::SampleRatio
        // What is written another way is read all the same; what cannot be read is missing, and that is told by coverage.
        | Flaw::LatencyType
        | Flaw::StatusType
        | Flaw::MixedRouting
        | Flaw::Crossover
        | Flaw::CreepingShare
        | Flaw::UnequalCrossover
        | Flaw::MissingArm
        | Flaw::UnitCoverage
        | Flaw::Lateness
        | Flaw::SomeLate
        | Flaw::SamplingByArm
        | Flaw::ErrorsWithoutUnit
        | Flaw::GuessedControl
        | Flaw::MostlyLate
        | Flaw::DamagedLines
        | Flaw::UnequalActivity
        | Flaw::UnequalSegments
        | Flaw::OwnMeasurement => &[],
        // Units whose lines are missing are no lack of the candidate's.
        Flaw::StalledPartition => &[Cell::Deficit],
    }
}

/// Cells that count failed requests.
const ERROR_CELLS: &[Cell] = &[Cell::ErrorUnits, Cell::ErrorVolume, Cell::ErrorUnits8, Cell::ErrorUnits64];
/// Cells of their latencies.
const LATENCY_CELLS: &[Cell] =
    &[Cell::LatencyMean, Cell::LatencyP50, Cell::LatencyP90, Cell::LatencyP99, Cell::LatencyP99Units];
/// Cells that count requests.
const REQUEST_CELLS: [Cell; 9] = [
    Cell::ErrorUnits,
    Cell::ErrorVolume,
    Cell::ErrorUnits8,
    Cell::ErrorUnits64,
    Cell::LatencyMean,
    Cell::LatencyP50,
    Cell::LatencyP90,
    Cell::LatencyP99,
    Cell::LatencyP99Units,
];

/// Units of the candidate succeed so many times as often as those of the control: whatever has made more of their requests, or of the
/// lines that tell of them, made more of those that failed. What fails again and again succeeds no more often.
const SUCCEEDS_MORE: f64 = 1.3;
/// Units of each arm from which on that is asked.
const SUCCEEDS_UNITS: u64 = 30;

/// The candidate's units make more requests, those that failed left aside, and no larger part of them fails.
pub(super) fn succeeds_more(comparison: &Comparison) -> bool {
    let units = comparison.distinct_units();
    let (requests, failed) = (comparison.error_volume.events(), comparison.error_volume.sums());
    let failed = [0, 1].map(|arm| u64::try_from(failed[arm]).unwrap_or(0));
    let succeeds = |arm: usize| requests[arm].saturating_sub(failed[arm]) as f64 / units[arm].max(1) as f64;
    let fails = |arm: usize| failed[arm] as f64 / requests[arm].max(1) as f64;
    units.iter().all(|units| *units >= SUCCEEDS_UNITS)
        && succeeds(1) > SUCCEEDS_MORE * succeeds(0)
        && fails(1) <= SUCCEEDS_MORE * fails(0)
}

/// A flaw that touches a guardrail that PASS needs makes the comparison invalid.
pub(super) fn concerns(flaw: Flaw, policy: &Policy) -> bool {
    match flaw {
        Flaw::LatencyCoverage | Flaw::LatencyType => policy.latency,
        Flaw::StatusCoverage | Flaw::StatusType | Flaw::ErrorsWithoutUnit => policy.errors,
        Flaw::SamplingByOutcome => policy.errors,
        // Who is late for another reason breaks no test; only a pass would rest on what is missing.
        Flaw::SomeLate => false,
        // FAIL is the harder to reach for it.
        Flaw::CreepingShare => false,
        // What remains within segments is tested.
        Flaw::UnequalSegments => false,
        // A release may make users do more; only a pass would rest on their being counted alike.
        Flaw::UnequalActivity => false,
        // The other guardrails are measured.
        Flaw::OwnMeasurement => false,
        // What is there is measured alike; only a pass would rest on what is missing.
        Flaw::StalledPartition => false,
        // A release may ask more of a service; that is for people to say, and what does not count requests is measured.
        Flaw::UnequalCalls => false,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_may_come_or_be_dealt_anew_but_not_leave() {
        let crossed = |canary_units, units, canary_first, first| Stratum { canary_units, units, canary_first, first };
        for (benign, why) in [
            (crossed(500, 10_000, 48, 100), "as many go as come, at any share"),
            (crossed(500, 10_000, 5, 100), "a ramp: they come"),
            (crossed(500, 10_000, 30, 600), "dealt anew all the time: all cross"),
            (crossed(9_000, 10_000, 540, 600), "the same where the candidate is the larger"),
        ] {
            assert!(log_e_leaving(&[benign]) < 1.0, "{why}");
        }
        assert!(log_e_leaving(&[crossed(500, 10_000, 90, 100)]) > LOG_BROKEN);
        assert!(log_e_leaving(&[crossed(9_000, 10_000, 599, 600)]) > LOG_BROKEN);
    }

    #[test]
    fn units_of_twice_the_requests_are_not_alike() {
        assert_eq!(activity_differs([9_000, 1_000], [1_000, 1_000]), Some(true));
        assert_eq!(activity_differs([2_000, 1_000], [1_000, 1_000]), Some(false));
        assert_eq!(activity_differs([1_300, 1_000], [1_000, 1_000]), None, "too early");
        assert_eq!(activity_differs([9_000, 400], [1_000, 400]), None, "too few");
    }

    #[test]
    fn shares_differ_by_more_than_the_least_and_by_more_than_chance() {
        assert!(differs([100, 400], [10_000; 2], 0.02) && differs([400, 100], [10_000; 2], 0.02));
        assert!(!differs([100, 250], [10_000; 2], 0.02), "less than the least");
        assert!(!differs([1, 4], [100; 2], 0.02), "as chance would have it");
        assert!(!differs([0, 99], [1_000, 99], 0.02), "too few to say");
    }
}
