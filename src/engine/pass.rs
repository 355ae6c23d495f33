//! Evidence for PASS: which cells it asks, and what each says against "at or beyond the margin".

use crate::compare::share::Stratum;
use crate::compare::unit_rule::Routing;
use crate::compare::verdict::Cell;
use crate::compare::{bucket, margin, share};
use crate::engine::bucket_sums::View;
use crate::engine::comparison::{Comparison, SinceShare};
use crate::engine::fail::{Pair, enough_errors, enough_latencies};
use crate::engine::latency_tests::Level;
use crate::engine::look::{LOG_PASS, Look, Margins};
use crate::engine::policy::Policy;
use crate::engine::steps;
use crate::math;

/// Rate of affected units that even a service without errors may reach: the smallest margin of 4.7.
const ERROR_FLOOR: f64 = 0.001;

/// Weight of the ratio of erring units as evidence for PASS. Its margin is an estimate that moves from look to look, for which
/// no proof holds: by simulation half of the weight is what keeps wrong passes at the margin below 5 %.
const WEIGHT_OF_RATIO: f64 = 0.5;
/// Weight of the share of erring units, which counts where the control has no base rate.
const WEIGHT_OF_SHARE: f64 = 0.1;

/// Cells that PASS needs to be held.
pub fn required(comparison: &Comparison, policy: &Policy, has_volume: bool) -> Vec<Cell> {
    let mut cells = Vec::new();
    if policy.errors {
        cells.push(Cell::ErrorUnits);
        // The last step asks for volume too, unless errors are so rare that it cannot be tested.
        if steps::next_share(comparison, policy) >= 1.0 && has_volume {
            cells.push(Cell::ErrorVolume);
        }
    }
    if policy.latency {
        cells.extend([Cell::LatencyP90, Cell::LatencyP99]);
        // Where users stick to an arm the mean is too noisy, unless a history tells what is usual for each.
        if comparison.unit.is_once() || comparison.by_request() || comparison.latency.effects().is_some() {
            cells.push(Cell::LatencyMean);
        }
    }
    cells
}

/// Everything but the evidence: routing is known, and both arms were heard for the time.
pub fn conditions_of_pass(comparison: &Comparison, policy: &Policy) -> bool {
    let routing_known =
        comparison.unit.is_once() || matches!(comparison.routing, Routing::Sticky | Routing::PerRequest);
    // Silence is no observation.
    let heard_until = comparison.active_until.iter().copied().min().flatten();
    routing_known && heard_until.is_some_and(|until| until.0 - comparison.started_at.0 >= policy.minimum_time)
}

/// Every cell that PASS needs is within its margin.
pub fn all_held(look: &Look, comparison: &Comparison, policy: &Policy) -> bool {
    let cells = required(comparison, policy, look.cell(Cell::ErrorVolume).has_data);
    !cells.is_empty() && cells.iter().all(|cell| look.cell(*cell).held)
}

/// Evidence that has reached the line holds until it has turned against "within the margin".
///
/// The line may be crossed at any look, so whoever asks later must not get another answer only because evidence has come
/// and gone around it. By Ville's inequality even the first crossing alone would do; that evidence must not have turned is
/// caution, for a change that begins late.
pub(super) fn is_held(has_data: bool, log_pass: f64, held_before: bool) -> bool {
    has_data && (log_pass >= LOG_PASS || (held_before && log_pass >= 0.0))
}

/// What PASS rests on: all that came or, where steps are declared, what came in this one.
struct Ground {
    /// Users with an error, by stratum.
    strata: Vec<Stratum>,
    /// Units of the candidate, each counted once.
    units: u64,
    volume: View,
    mean: View,
    p90: View,
    p99: View,
    /// The share changed while it came.
    has_several_shares: bool,
}

impl Ground {
    fn of(comparison: &Comparison, policy: &Policy) -> Ground {
        let has_several_shares = comparison.strata() > 1;
        let [_, units] = comparison.distinct_units();
        if let Some(SinceShare { volume, mean, p90, p99 }) = comparison.since_cut() {
            let strata = steps::own_strata(comparison, policy);
            let units = strata.iter().map(|stratum| stratum.canary_units).sum::<u64>().min(units);
            return Ground { strata, units, volume, mean, p90, p99, has_several_shares };
        }
        let [p90, p99] = [Level::P90, Level::P99].map(|level| comparison.pass_sums(level).view());
        let (volume, mean) = (comparison.error_volume.view(), comparison.latency.mean.view());
        Ground { strata: comparison.error_units.strata().to_vec(), units, volume, mean, p90, p99, has_several_shares }
    }
}

/// `has_volume`: errors are so many that their volume can be tested.
pub(super) fn add_pass_evidence(
    look: &mut Look,
    comparison: &Comparison,
    policy: &Policy,
    margins: &Margins,
    has_volume: bool,
) {
    let mult = margins.mult;
    let ground = Ground::of(comparison, policy);
    // Where the share changed, means differ by less than the arms do.
    let kept = |view: &View| if ground.has_several_shares { view.kept() } else { 1.0 };
    let within = |stats: &Pair, margin: f64, mult: f64| {
        stats.as_ref().map_or(0.0, |[control, candidate]| bucket::log_e_pass(candidate, control, margin, mult))
    };
    let level_within = |view: &View, level: Level| {
        within(&enough_latencies(view, level.exceedance()), level.margin() * kept(view), mult)
    };
    for cell in required(comparison, policy, has_volume) {
        let Ground { volume, mean, p90, p99, .. } = &ground;
        look.cells[cell as usize].log_pass = match cell {
            Cell::ErrorUnits => error_units_within(&ground, margins),
            Cell::ErrorVolume => within(&enough_errors(volume), margins.errors * kept(volume), 4.0 * mult),
            Cell::LatencyMean => within(&enough_latencies(mean, 1.0), margin::LATENCY_MEAN * kept(mean), mult),
            Cell::LatencyP90 => level_within(p90, Level::P90),
            Cell::LatencyP99 => level_within(p99, Level::P99),
            // PASS never asks them.
            Cell::LatencyP50
            | Cell::LatencyP99Units
            | Cell::Deficit
            | Cell::ErrorUnits8
            | Cell::ErrorUnits64
            | Cell::Unanswered => 0.0,
        };
    }
}

/// ln e against "erring units are at or beyond the margin".
///
/// The share test needs erring units and a base rate to take its margin from; a service (almost) without errors would
/// never pass it. As long as the control has no base rate, the margin is the smallest one of affected units (one in a
/// thousand), and that can be refuted without a single error; where some requests of the candidate fail all the same,
/// not more than this share of them may. Once there is a base rate only the ratio counts: a share of units says nothing
/// where few units make most errors. Both have fixed weights, [`WEIGHT_OF_RATIO`] and [`WEIGHT_OF_SHARE`], so the result is an
/// e-value.
fn error_units_within(ground: &Ground, margins: &Margins) -> f64 {
    let ratio = share::log_e_within(&ground.strata, margins.error_ratio);
    if margins.has_base {
        return math::ln(WEIGHT_OF_RATIO) + ratio;
    }
    let erring = ground.strata.iter().map(|stratum| stratum.canary_first).sum();
    let floor = error_floor(margins.mult);
    let [_, requests] = ground.volume.events();
    let [_, errors] = ground.volume.sums();
    if errors as f64 > floor * requests as f64 {
        return 0.0;
    }
    math::log_sum_exp(&[
        math::ln(WEIGHT_OF_RATIO) + ratio,
        math::ln(WEIGHT_OF_SHARE) + few_affected(ground.units, erring, floor),
    ])
}

/// Share of affected units that a step may reach where the control has no base rate; `mult`: that of the step.
pub fn error_floor(mult: f64) -> f64 {
    (ERROR_FLOOR * mult).min(0.5)
}

/// Units of the candidate with which a service without a base rate passes, at the share of affected ones so far; infinite
/// when that is beyond the floor.
pub fn units_to_pass(units: u64, affected: u64, floor: f64) -> f64 {
    const GROWTH: f64 = 1.05;
    let share = affected as f64 / units.max(1) as f64;
    let mut n = 100.0;
    while n < 1e12 {
        let evidence = math::ln(WEIGHT_OF_SHARE) + few_affected(n as u64, (share * n).ceil() as u64, floor);
        if evidence >= LOG_PASS {
            return n;
        }
        n *= GROWTH;
    }
    f64::INFINITY
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
    use crate::engine::comparison::{Between, ControlFrom};
    use crate::engine::look::LOG_CHANGED;
    use crate::engine::units::Arm;
    use crate::pipeline::plan::UnitKind;
    use crate::time::Timestamp;

    fn ground(comparison: &Comparison) -> Ground {
        Ground::of(comparison, &Policy::default())
    }

    #[test]
    fn a_service_without_errors_can_be_shown_to_be_within_the_margin() {
        assert!(few_affected(2_000, 0, ERROR_FLOOR) < LOG_PASS);
        assert!(few_affected(10_000, 0, ERROR_FLOOR) > LOG_PASS + math::ln(10.0));
        assert!(few_affected(10_000, 12, ERROR_FLOOR) < 0.0);
        assert_eq!(few_affected(0, 0, ERROR_FLOOR), 0.0);
    }

    #[test]
    fn units_to_pass_are_those_with_which_it_passes() {
        for (units, affected) in [(50, 0), (10_000, 0), (10_000, 2)] {
            let n = units_to_pass(units, affected, ERROR_FLOOR);
            let evidence = |n: f64| {
                let affected = (affected as f64 / units as f64 * n).ceil() as u64;
                math::ln(WEIGHT_OF_SHARE) + few_affected(n as u64, affected, ERROR_FLOOR)
            };
            assert!(evidence(n) >= LOG_PASS && evidence(n / 1.1) < LOG_PASS, "{n}");
        }
        assert!((6_000.0..8_000.0).contains(&units_to_pass(50, 0, ERROR_FLOOR)));
        assert!(units_to_pass(1_000, 2, ERROR_FLOOR).is_infinite(), "two in a thousand are beyond one in a thousand");
    }

    #[test]
    fn a_unit_of_many_strata_is_one_unit() {
        let between = Between { control: "a", candidate: "b", control_from: ControlFrom::Named };
        let mut comparison = Comparison::new(between, UnitKind::User, LOG_CHANGED, 1, 0, Timestamp(0));
        let margins = Margins { base_rate: 1e-4, has_base: false, errors: 0.001, mult: 1.0, error_ratio: 11.0 };
        // Three hundred users come back after each of forty pauses.
        comparison.error_units.at_risk(Arm::Control, 12_000);
        comparison.error_units.at_risk(Arm::Candidate, 12_000);
        comparison.distinct = [300; 2];
        assert!(error_units_within(&ground(&comparison), &margins) < LOG_PASS);
        comparison.distinct = [12_000; 2];
        assert!(error_units_within(&ground(&comparison), &margins) > LOG_PASS);
    }

    #[test]
    fn only_the_ratio_counts_once_there_is_a_base_rate() {
        let between = Between { control: "a", candidate: "b", control_from: ControlFrom::Named };
        let mut comparison = Comparison::new(between, UnitKind::User, LOG_CHANGED, 1, 0, Timestamp(0));
        comparison.distinct = [10_000; 2];
        comparison.error_units.at_risk(Arm::Control, 10_000);
        comparison.error_units.at_risk(Arm::Candidate, 10_000);
        let mut margins = Margins { base_rate: 1e-4, has_base: false, errors: 0.001, mult: 1.0, error_ratio: 11.0 };
        assert!(error_units_within(&ground(&comparison), &margins) > LOG_PASS);
        comparison.error_units.first(Arm::Control, 3);
        margins = Margins { has_base: true, error_ratio: 1.5, ..margins };
        let ratio = share::log_e_within(comparison.error_units.strata(), margins.error_ratio);
        assert_eq!(error_units_within(&ground(&comparison), &margins), math::ln(WEIGHT_OF_RATIO) + ratio);
        assert!(ratio < LOG_PASS, "{ratio}");
    }

    /// A conversion of less than a daily cycle decides nothing: none is ever asked, however the policy names it.
    #[test]
    fn no_pass_asks_for_a_business_event() {
        let between = Between { control: "a", candidate: "b", control_from: ControlFrom::Named };
        let events = crate::pipeline::plan::Conversions { names: vec!["paid".to_owned()], ..Default::default() };
        let comparison = Comparison::new(between, UnitKind::User, LOG_CHANGED, 1, 0, Timestamp(0));
        let policy = Policy { conversions: events.clone(), ..Policy::default() };
        let asked = required(&comparison, &policy, true);
        assert_eq!(asked, [Cell::ErrorUnits, Cell::ErrorVolume, Cell::LatencyP90, Cell::LatencyP99]);
        assert_eq!(required(&comparison.with_conversions(&events), &policy, true), asked);
        let nothing = Policy { errors: false, latency: false, ..policy };
        let comparison = Comparison::new(between, UnitKind::User, LOG_CHANGED, 1, 0, Timestamp(0));
        assert!(!all_held(&Look::default(), &comparison.with_conversions(&events), &nothing));
    }

    #[test]
    fn evidence_is_held_until_it_has_turned() {
        assert!(is_held(true, LOG_PASS, false) && !is_held(true, LOG_PASS - 0.1, false));
        assert!(is_held(true, 0.1, true) && !is_held(true, -0.1, true));
        assert!(!is_held(false, LOG_PASS, true));
    }
}
