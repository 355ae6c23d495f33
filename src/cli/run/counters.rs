//! Shares of units with a failed request, from the counters that verdicts rest on: of each arm of each comparison, without reading a line.

use serde_json::{Value, json};

use crate::cli::report::Report;
use crate::compare::verdict::Cell;

/// One comparison.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct CountedShares {
    service: String,
    environment: String,
    cell: String,
    /// Control and candidate: name, units, those of them with a failed request.
    arms: [(String, u64, u64); 2],
    /// How the candidate differs, and the kind of it, with the interval of 95 % that holds however often one looks.
    difference: Option<(&'static str, [f64; 3])>,
    from: String,
    until: String,
    is_over: bool,
}

/// All comparisons of a report.
pub(super) fn of(report: &Report<'_>) -> Vec<CountedShares> {
    report
        .comparisons
        .iter()
        .map(|judged| {
            let comparison = judged.comparison;
            let [control, candidate] = comparison.error_units.totals();
            let row = judged.rows.iter().find(|row| row.cell == Cell::ErrorUnits);
            let effect = row.and_then(|row| row.effect);
            CountedShares {
                service: judged.service.clone(),
                environment: judged.services.first().map(|key| key.environment.clone()).unwrap_or_default(),
                cell: judged.services.first().map(|key| key.cell.clone()).unwrap_or_default(),
                arms: [
                    (comparison.control.clone(), control.0, control.1),
                    (comparison.candidate.clone(), candidate.0, candidate.1),
                ],
                difference: effect.map(|effect| (effect.kind.name(), [effect.estimate, effect.low, effect.high])),
                from: comparison.started_at.to_string(),
                until: comparison.ended_at.to_string(),
                is_over: comparison.end.is_some(),
            }
        })
        .collect()
}

impl CountedShares {
    /// As answers have it. `interval`: of a share at one look, from `k` of `n`.
    pub(super) fn to_json(&self, interval: impl Fn(u64, u64) -> (f64, f64)) -> Value {
        let groups: Vec<Value> = self
            .arms
            .iter()
            .map(|(name, units, met)| {
                let (low, high) = interval(*met, *units);
                let share = (*units > 0).then(|| *met as f64 / *units as f64);
                json!({ "key": name, "units": units, "met": met, "share": share, "low": low, "high": high })
            })
            .collect();
        let difference = self.difference.map(|(kind, [estimate, low, high])| {
            // What has no end is null.
            let ends = [estimate, low, high].map(|of| of.is_finite().then_some(of));
            json!({ "kind": kind, "estimate": ends[0], "low": ends[1], "high": ends[2] })
        });
        json!({
            "service": self.service,
            "environment": self.environment,
            "cell": self.cell,
            "from": self.from,
            "until": self.until,
            "over": self.is_over,
            "groups": groups,
            "difference": difference,
        })
    }
}
