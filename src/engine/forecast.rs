//! What PASS still needs: erring units for the share test, requests for the bucket tests, and the time that takes at
//! the traffic seen (statistics design 4.7).

use crate::compare::verdict::Cell;
use crate::compare::{bucket, margin};
use crate::engine::bucket_sums::BucketSums;
use crate::engine::comparison::Comparison;
use crate::engine::latency_tests::Level;
use crate::engine::look::Margins;
use crate::engine::pass::{error_floor, required, units_to_pass};
use crate::engine::policy::Policy;
use crate::engine::units::Arm;
use crate::math;
use crate::time::{MINUTE, Micros};

/// 2 (ln 20 + 1.6): evidence of a likelihood ratio that reaches 20 in most runs; the constant 9.2 of the design.
pub const EVIDENCE: f64 = 9.2;

/// What a guardrail counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Counted {
    /// Units of both arms with an error.
    ErringUnits,
    /// Units of the candidate: a service without errors passes once enough of them had none.
    CandidateUnits,
    /// Requests of the candidate.
    CandidateRequests,
}

/// What one guardrail still needs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Need {
    /// The guardrail.
    pub cell: Cell,
    /// What is counted.
    pub counted: Counted,
    /// How many of it are needed.
    pub needed: f64,
    /// What there is.
    pub have: f64,
    /// Event time until then at the traffic so far; `None` when it cannot be told.
    pub time: Option<Micros>,
}

/// Guardrails that are not held yet, with what they need.
pub fn needs(comparison: &Comparison, policy: &Policy) -> Vec<Need> {
    let margins = Margins::of(comparison, policy);
    let elapsed = (comparison.ended_at.0 - comparison.started_at.0).max(1) as f64;
    let look = &comparison.look;
    required(comparison, policy, look.cell(Cell::ErrorVolume).has_data)
        .into_iter()
        .filter(|cell| !look.cell(*cell).held)
        .map(|cell| {
            let requests = |sums: &BucketSums, margin: f64, fewest: f64| {
                let (needed, have) = requests(sums, margin, fewest);
                (Counted::CandidateRequests, needed, have)
            };
            let (counted, needed, have) = match cell {
                Cell::ErrorUnits => error_units(comparison, &margins),
                Cell::ErrorVolume => requests(&comparison.error_volume, 4.0 * margins.mult * margins.errors, 100.0),
                Cell::LatencyMean => requests(&comparison.latency.mean, margins.mult * margin::LATENCY_MEAN, 200.0),
                Cell::LatencyP50
                | Cell::LatencyP90
                | Cell::LatencyP99
                | Cell::LatencyP99Units
                | Cell::Deficit
                | Cell::ErrorUnits8
                | Cell::ErrorUnits64
                | Cell::Unanswered => {
                    let level = match cell {
                        Cell::LatencyP50 => Level::P50,
                        Cell::LatencyP90 => Level::P90,
                        _ => Level::P99,
                    };
                    let sums = comparison.pass_sums(level);
                    requests(sums, margins.mult * level.margin(), (10.0 / level.exceedance()).max(200.0))
                }
            };
            // How many come in the time so far. Of units only new ones count, and at last there are none.
            let come = match counted {
                Counted::CandidateUnits => comparison.units_met_once(Arm::Candidate).map_or(have, |once| once as f64),
                Counted::ErringUnits | Counted::CandidateRequests => have,
            };
            let time = (come > 0.0 && needed.is_finite())
                .then(|| ((needed - have).max(0.0) * elapsed / come).min(3.65e8 * MINUTE as f64) as Micros);
            Need { cell, counted, needed, have, time }
        })
        .collect()
}

/// What the error units need: erring ones of both arms, or without a base rate enough of the candidate's that have none.
fn error_units(comparison: &Comparison, margins: &Margins) -> (Counted, f64, f64) {
    let ([_, (_, affected)], [_, units]) = (comparison.error_units.totals(), comparison.distinct_units());
    if !margins.has_base {
        let needed = units_to_pass(units, affected, error_floor(margins.mult));
        if needed.is_finite() {
            return (Counted::CandidateUnits, needed, units as f64);
        }
    }
    let (needed, have) = erring_units(comparison, margins);
    (Counted::ErringUnits, needed, have)
}

fn erring_units(comparison: &Comparison, margins: &Margins) -> (f64, f64) {
    let [(control, a), (candidate, b)] = comparison.error_units.totals();
    let (units, erring) = ((control + candidate) as f64, (a + b) as f64);
    if units <= 0.0 || control == 0 || candidate == 0 {
        return (f64::INFINITY, erring);
    }
    let q = candidate as f64 / units;
    let ln_ratio = math::ln(margins.error_ratio.max(1.0001));
    (EVIDENCE / (ln_ratio * ln_ratio * q * (1.0 - q)), erring)
}

fn requests(sums: &BucketSums, margin: f64, fewest: f64) -> (f64, f64) {
    let [control, candidate] = sums.events();
    let have = candidate as f64;
    if control < 2 || candidate < 2 {
        return (f64::INFINITY, have);
    }
    let [control, candidate] = sums.stats();
    let needed = match bucket::Difference::pass(&candidate, &control) {
        Some(difference) => difference.variance * have * EVIDENCE / (margin * margin),
        None => f64::INFINITY,
    };
    (needed.max(fewest), have)
}
