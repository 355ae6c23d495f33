//! Guardrails: the rows of a comparison, and their table.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::Judged;
use super::text::{grouped, millis, percent, times};
use crate::cli::terminal::harmless;
use crate::compare::share::Stratum;
use crate::compare::verdict::{Cell, Finding};
use crate::compare::{bucket, margin, share};
use crate::engine::bucket_sums::BucketSums;
use crate::engine::comparison::Comparison;
use crate::engine::first_events::FirstEvents;
use crate::engine::latency_tests::Level;
use crate::engine::look::Margins;
use crate::engine::policy::Policy;
use crate::math;
use crate::sketch::latency::{Histogram, bin_low};

/// Error level of displayed intervals.
pub(super) const ALPHA_SHOWN: f64 = 0.05;
/// Columns of the table of guardrails.
pub(in crate::cli) const GUARDRAIL_COLUMNS: [&str; 6] =
    ["guardrail", "baseline", "canary", "difference (95 %, always valid)", "evidence", "finding"];
/// ln 3: below it evidence is none to speak of.
pub(super) const LOG_WEAK: f64 = 1.098_612_288_668_109_8;
/// Ratios beyond it (and below one in it) are said to be beyond: the estimate is searched only up to 10,000.
pub(super) const RATIO_LIMIT: f64 = 1_000.0;

/// One guardrail.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Row {
    /// The cell.
    pub cell: Cell,
    /// Its name for people.
    pub name: &'static str,
    /// Value in the control and in the candidate.
    pub values: [Option<f64>; 2],
    /// Difference (of rates) or ratio, with its always-valid 95 % interval.
    pub effect: Option<Effect>,
    /// ln of the evidence against "not worse".
    pub log_e: f64,
    /// What the statistics say.
    pub finding: Finding,
    /// Units or requests of control and candidate.
    pub counts: [u64; 2],
    /// Of latency rows: the shares of requests above the frozen threshold, and the threshold in milliseconds.
    pub above: Option<([f64; 2], f64)>,
}

impl Row {
    /// The row carried a failure and would no longer: too little evidence, or an estimate on the good side.
    pub(in crate::cli) fn has_receded(&self) -> bool {
        self.log_e < LOG_WEAK || self.effect.is_some_and(|effect| !effect.is_worse())
    }

    /// What the finding is called for people.
    fn finding_words(&self) -> &'static str {
        match self.cell {
            _ if self.finding == Finding::Regressed && self.has_receded() => "regressed earlier",
            _ if self.finding != Finding::NoData || self.values.iter().any(Option::is_none) => self.finding.name(),
            Cell::ErrorUnits | Cell::ErrorVolume => "too few errors to test",
            _ => "too few to test",
        }
    }
}

/// Size of a difference.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(in crate::cli) struct Effect {
    /// How to read it.
    pub kind: EffectKind,
    /// Estimate.
    #[serde(with = "bits")]
    pub estimate: f64,
    /// Lower end.
    #[serde(with = "bits")]
    pub low: f64,
    /// Upper end.
    #[serde(with = "bits")]
    pub high: f64,
}

/// Floats as their bits: JSON knows no infinity.
mod bits {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u64(value.to_bits())
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<f64, D::Error> {
        u64::deserialize(from).map(f64::from_bits)
    }
}

impl Effect {
    /// The candidate looks worse than the control.
    fn is_worse(self) -> bool {
        match self.kind {
            EffectKind::Ratio => self.estimate > 1.0,
            EffectKind::Difference | EffectKind::Change => self.estimate > 0.0,
        }
    }

    /// The estimate is the end of the search, not a number that the data give.
    pub(in crate::cli) fn is_at_limit(self) -> bool {
        self.kind == EffectKind::Ratio && (self.estimate > RATIO_LIMIT || self.estimate < 1.0 / RATIO_LIMIT)
    }
}

/// How an effect is to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(in crate::cli) enum EffectKind {
    /// Candidate divided by control.
    Ratio,
    /// Candidate less control, of shares.
    Difference,
    /// Relative change.
    Change,
}

impl EffectKind {
    /// The word for programs.
    pub(in crate::cli) fn name(self) -> &'static str {
        match self {
            EffectKind::Ratio => "ratio",
            EffectKind::Difference => "difference",
            EffectKind::Change => "change",
        }
    }
}

/// Strength of evidence in words: e is by how much the data multiply the odds against "not worse".
pub(in crate::cli) fn strength(log_e: f64) -> &'static str {
    let e = math::exp(log_e.min(700.0));
    match e {
        e if e >= 10_000.0 => "decisive",
        e if e >= 1_000.0 => "very strong",
        e if e >= 100.0 => "strong",
        e if e >= 20.0 => "clear",
        e if e >= 3.0 => "weak",
        _ => "none",
    }
}

/// Guardrails of a comparison.
pub(in crate::cli) fn rows(comparison: &Comparison, policy: &Policy) -> Vec<Row> {
    let look = &comparison.look;
    let margins = Margins::of(comparison, policy);
    Cell::ALL
        .into_iter()
        .filter(|cell| match cell {
            Cell::Deficit => policy.least_share().is_some(),
            // They repeat what the first errors say unless they say more.
            Cell::ErrorUnits8 | Cell::ErrorUnits64 => look.cell(*cell).log_e >= LOG_WEAK,
            Cell::Unanswered => look.cell(*cell).has_data,
            Cell::ErrorUnits
            | Cell::ErrorVolume
            | Cell::LatencyMean
            | Cell::LatencyP50
            | Cell::LatencyP90
            | Cell::LatencyP99
            | Cell::LatencyP99Units => true,
        })
        .map(|cell| {
            let said = look.cell(cell);
            let mut above = None;
            let (name, values, effect, counts) = match cell {
                Cell::ErrorUnits => share_row("with errors", &comparison.error_units, comparison.distinct_units()),
                Cell::LatencyP99Units => {
                    let parts =
                        share_row("with a very slow request", &comparison.slow_units, comparison.distinct_units());
                    // Before there is a threshold nothing is slow.
                    let values = if comparison_threshold(comparison).is_some() { parts.1 } else { [None; 2] };
                    (parts.0, values, parts.2, parts.3)
                }
                Cell::ErrorVolume => {
                    let counts = comparison.error_volume.events();
                    let sums = comparison.error_volume.sums();
                    let values = [0, 1].map(|arm| ratio(sums[arm] as f64, counts[arm]));
                    let effect = said.has_data.then(|| difference(&comparison.error_volume, margins.errors));
                    ("errors per request", values, effect, counts)
                }
                Cell::LatencyMean => {
                    let change = |log: f64| math::exp(log) - 1.0;
                    let effect = said.has_data.then(|| {
                        let of = difference(&comparison.latency.mean, margin::LATENCY_MEAN);
                        Effect {
                            kind: EffectKind::Change,
                            estimate: change(of.estimate),
                            low: change(of.low),
                            high: change(of.high),
                        }
                    });
                    let values = [0, 1].map(|arm| typical_ms(comparison, arm));
                    ("latency, typical", values, effect, comparison.latency.mean.events())
                }
                Cell::LatencyP50 | Cell::LatencyP90 | Cell::LatencyP99 => {
                    let level = match cell {
                        Cell::LatencyP50 => Level::P50,
                        Cell::LatencyP90 => Level::P90,
                        _ => Level::P99,
                    };
                    above = shares_above(comparison, level);
                    latency_row(comparison, level, said.has_data)
                }
                Cell::ErrorUnits8 => {
                    share_row("with 8 errors and more", comparison.storms.reached(0), comparison.distinct_units())
                }
                Cell::ErrorUnits64 => {
                    share_row("with 64 errors and more", comparison.storms.reached(1), comparison.distinct_units())
                }
                Cell::Unanswered => {
                    let counts = comparison.unanswered.totals().map(|(units, _)| units);
                    share_row("without a request", comparison.unanswered.cell(), counts)
                }
                Cell::Deficit => ("fewer units than declared", [None; 2], None, comparison.units()),
            };
            let finding = comparison.finding(cell);
            // A share of 0 would look like a measurement.
            let is_blind = matches!(cell, Cell::ErrorUnits | Cell::ErrorVolume) && !comparison.tells_errors();
            let values = if is_blind { [None; 2] } else { values };
            // Of an arm that was never seen nothing is undecided: there is nothing to decide.
            let unseen = counts.contains(&0) && cell != Cell::Deficit;
            Row {
                cell,
                name,
                values,
                effect: effect.filter(|_| said.has_data && !unseen),
                log_e: said.log_e,
                finding: if unseen && finding == Finding::Undecided { Finding::NoData } else { finding },
                counts,
                above,
            }
        })
        .collect()
}

/// What the finding of a guardrail of one's own is called for people: it goes one way, which does harm.
pub(super) fn own_finding_words(finding: Finding, harms: bool, has_receded: bool) -> &'static str {
    match (finding, harms, has_receded) {
        (Finding::Regressed, true, true) => "rose earlier",
        (Finding::Regressed, false, true) => "fell earlier",
        (Finding::Regressed, true, false) => "rose",
        (Finding::Regressed, false, false) => "fell",
        (finding, _, _) => finding.name(),
    }
}

type RowParts = (&'static str, [Option<f64>; 2], Option<Effect>, [u64; 2]);

/// Share of the control's units that would have had the event if they had come when the candidate's did: in each stratum, what the
/// control's met there, by the candidate's units of it (direct standardisation). So the shares that are shown are of the same stretches
/// as their ratio; a control that goes on alone adds to neither.
fn control_beside(cell: &FirstEvents, candidates: u64) -> Option<f64> {
    let beside = || cell.strata().iter().filter(|of| of.canary_units > 0 && of.units > of.canary_units);
    let expected = |of: &Stratum| {
        of.canary_units as f64 * (of.first - of.canary_first) as f64 / (of.units - of.canary_units) as f64
    };
    let counted: u64 = beside().map(|of| of.canary_units).sum();
    let all = cell.totals()[1].0;
    (counted > 0 && candidates > 0)
        .then(|| (beside().map(expected).sum::<f64>() * all as f64 / counted as f64 / candidates as f64).min(1.0))
}

/// `units`: of each arm, counted once.
fn share_row(name: &'static str, cell: &FirstEvents, units: [u64; 2]) -> RowParts {
    let totals = cell.totals();
    let interval = share::interval(cell.strata(), ALPHA_SHOWN);
    let effect = (totals[0].1 + totals[1].1 > 0).then_some(Effect {
        kind: EffectKind::Ratio,
        estimate: interval.estimate,
        low: interval.low,
        high: interval.high,
    });
    let [control, candidate] = [0, 1].map(|arm| ratio(totals[arm].1.min(units[arm]) as f64, units[arm]));
    (name, [control_beside(cell, units[1]).or(control), candidate], effect, units)
}

fn latency_row(comparison: &Comparison, level: Level, has_data: bool) -> RowParts {
    let sums = &comparison.latency.above[level as usize];
    let effect = has_data.then(|| difference(sums, level.margin()));
    let name = match level {
        Level::P50 => "latency p50",
        Level::P90 => "latency p90",
        Level::P99 => "latency p99",
    };
    let values = [0, 1].map(|arm| {
        let histogram = histogram(comparison, arm)?;
        histogram.quantile_us(level.quantile()).map(|us| us / 1000.0)
    });
    (name, values, effect, sums.events())
}

/// Shares of requests above the frozen threshold, which is what is tested, and the threshold in milliseconds.
fn shares_above(comparison: &Comparison, level: Level) -> Option<([f64; 2], f64)> {
    let threshold = comparison.latency.threshold(level)?;
    let sums = &comparison.latency.above[level as usize];
    let (above, events) = (sums.sums(), sums.events());
    let [Some(control), Some(candidate)] = [0, 1].map(|arm| ratio(above[arm] as f64, events[arm])) else {
        return None;
    };
    Some(([control, candidate], bin_low(threshold + 1) as f64 / 1000.0))
}

fn difference(sums: &BucketSums, margin: f64) -> Effect {
    let view = sums.view();
    let [control, candidate] = view.stats();
    let kept = view.kept();
    let (low, high) = bucket::interval(&candidate, &control, margin * kept, ALPHA_SHOWN);
    let estimate = (candidate.mean - control.mean) / kept;
    Effect { kind: EffectKind::Difference, estimate, low: low / kept, high: high / kept }
}

pub(super) fn ratio(part: f64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part / whole as f64)
}

/// Latencies of requests of the entry service under an arm (0 control, 1 candidate), when they are all there and no
/// others are: the latency test has counted the same requests.
fn histogram(comparison: &Comparison, arm: usize) -> Option<&Histogram> {
    let histogram = &comparison.totals.first()?[arm].latency;
    let tested = comparison.latency.mean.events()[arm];
    (histogram.count <= tested && histogram.count * 10 >= tested * 9).then_some(histogram)
}

/// Geometric mean in milliseconds of the requests that the latency test has counted.
pub(super) fn typical_ms(comparison: &Comparison, arm: usize) -> Option<f64> {
    let sums = &comparison.latency.mean;
    let log2 = ratio(sums.sums()[arm] as f64 / 65_536.0, sums.events()[arm])?;
    Some(math::exp(log2 * core::f64::consts::LN_2) / 1000.0)
}

impl Judged<'_> {
    pub(super) fn write_guardrails(&self, out: &mut String) {
        out.push('\n');
        let mut table = vec![GUARDRAIL_COLUMNS.map(str::to_owned)];
        table.extend(self.guardrails());
        let width = |column: usize, least: usize| {
            table.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0).max(least)
        };
        let widths = [width(0, 32), width(1, 10), width(2, 10), width(3, 31), width(4, 11)];
        for [name, control, candidate, effect, evidence, finding] in &table {
            let [a, b, c, d, e] = widths;
            let row = format!("  {name:<a$} {control:>b$} {candidate:>c$}  {effect:<d$} {evidence:<e$} {finding}");
            out.push_str(row.trim_end());
            out.push('\n');
        }
        if let Some(bin) = comparison_threshold(self.comparison) {
            let _infallible = writeln!(
                out,
                "  (very slow: above {}; latency differences are shares of requests above the first quantiles)",
                millis(bin_low(bin + 1) as f64 / 1000.0)
            );
        }
        if let Some(words) = self.of_several_shares() {
            let _infallible = writeln!(out, "  ({words})");
        }
        for field in self.survey.guessed_latencies() {
            let _infallible = writeln!(
                out,
                "  (latency: that `{}` is in {} is a guess: see the notes)",
                harmless(&field.path, 60),
                field.unit.map_or("ms", |unit| unit.name())
            );
        }
    }

    /// What plain values are of, where the share of the canary changed, or traffic paused.
    pub(in crate::cli) fn of_several_shares(&self) -> Option<&'static str> {
        (self.comparison.strata() > 1).then_some(
            "Baseline and canary: of the whole time, in which the share changed; the baseline's shares of units: as if they had come when the canary's did; differences compare the same time",
        )
    }

    /// Guardrails for people, then business events, in the columns of [`GUARDRAIL_COLUMNS`].
    pub(in crate::cli) fn guardrails(&self) -> Vec<[String; 6]> {
        let cells = |row: &Row| {
            let show = |value: Option<f64>| match (row.cell, value) {
                (_, None) => "-".to_owned(),
                (
                    Cell::ErrorUnits
                    | Cell::ErrorVolume
                    | Cell::LatencyP99Units
                    | Cell::ErrorUnits8
                    | Cell::ErrorUnits64
                    | Cell::Unanswered,
                    Some(value),
                ) => percent(value),
                (_, Some(value)) => millis(value),
            };
            let [control, candidate] = match row.cell {
                Cell::Deficit => row.counts.map(grouped),
                _ => row.values.map(show),
            };
            let effect = row.effect.map_or("-".to_owned(), |effect| show_effect(effect, row.values));
            let evidence = if row.finding == Finding::NoData { "-" } else { strength(row.log_e) };
            [self.name_of(row), control, candidate, effect, evidence.to_owned(), row.finding_words().to_owned()]
        };
        self.rows.iter().map(cells).chain(self.conversion_cells()).chain(self.metric_cells()).collect()
    }
}

fn comparison_threshold(comparison: &Comparison) -> Option<u16> {
    comparison.latency.threshold(Level::P99)
}

/// A difference with its interval. `values`: of control and candidate.
pub(in crate::cli) fn show_effect(effect: Effect, values: [Option<f64>; 2]) -> String {
    let bound = |value: f64, show: &dyn Fn(f64) -> String| if value.is_finite() { show(value) } else { "?".to_owned() };
    match effect.kind {
        EffectKind::Ratio => {
            let show = |value: f64| match value {
                value if value > RATIO_LIMIT => "> 1,000x".to_owned(),
                value => format!("{}x", times(value)),
            };
            let has_none = |arm: usize| values[arm] == Some(0.0);
            match effect.is_at_limit() {
                true if has_none(0) && effect.low > 1.0 => {
                    format!("only the canary has them (at least {})", show(effect.low))
                }
                true if has_none(0) => "only the canary has them".to_owned(),
                true if has_none(1) && effect.high < 1.0 => {
                    format!("only the baseline has them (at most {})", show(effect.high))
                }
                true if has_none(1) => "only the baseline has them".to_owned(),
                _ => format!("{} ({} to {})", show(effect.estimate), show(effect.low), bound(effect.high, &show)),
            }
        }
        EffectKind::Difference => {
            let show = |value: f64| format!("{:+.2}", value * 100.0);
            format!("{} pp ({} to {})", show(effect.estimate), bound(effect.low, &show), bound(effect.high, &show))
        }
        EffectKind::Change => {
            let show = |value: f64| format!("{:+.1}", value * 100.0);
            format!("{} % ({} to {})", show(effect.estimate), bound(effect.low, &show), bound(effect.high, &show))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ratio_of(estimate: f64, low: f64, high: f64) -> Effect {
        Effect { kind: EffectKind::Ratio, estimate, low, high }
    }

    #[test]
    fn a_ratio_at_the_end_of_the_search_is_no_number() {
        let shown =
            |effect: Effect, control: f64, candidate: f64| show_effect(effect, [Some(control), Some(candidate)]);
        assert_eq!(shown(ratio_of(1.5, 1.1, 2.0), 0.1, 0.15), "1.50x (1.10x to 2.00x)");
        assert_eq!(
            shown(ratio_of(9_999.9, 259.4, f64::INFINITY), 0.0, 0.3),
            "only the canary has them (at least 259x)"
        );
        assert_eq!(shown(ratio_of(9_999.9, 0.5, f64::INFINITY), 0.0, 0.001), "only the canary has them");
        assert_eq!(shown(ratio_of(9_999.9, 2.0, f64::INFINITY), 0.000_1, 0.001), "> 1,000x (2.00x to ?)");
        assert_eq!(shown(ratio_of(0.000_1, 0.0, 0.9), 0.01, 0.0), "only the baseline has them (at most 0.90x)");
    }

    #[test]
    fn what_has_receded_is_known() {
        let row = |log_e: f64, effect: Option<Effect>| Row {
            cell: Cell::ErrorUnits,
            name: "with errors",
            values: [Some(0.1), Some(0.2)],
            effect,
            log_e,
            finding: Finding::Regressed,
            counts: [10, 10],
            above: None,
        };
        assert!(!row(9.0, Some(ratio_of(2.0, 1.5, 3.0))).has_receded());
        assert!(row(1.0, Some(ratio_of(2.0, 0.5, 3.0))).has_receded(), "e below 3");
        assert!(row(9.0, Some(ratio_of(0.9, 0.5, 3.0))).has_receded(), "fewer than in the baseline");
        let no_data = |cell: Cell, values: [Option<f64>; 2]| {
            Row { cell, values, finding: Finding::NoData, ..row(0.0, None) }.finding_words()
        };
        assert_eq!(no_data(Cell::ErrorVolume, [Some(0.0), Some(0.008)]), "too few errors to test");
        assert_eq!(no_data(Cell::LatencyP99, [Some(1.0), Some(2.0)]), "too few to test");
        assert_eq!(no_data(Cell::LatencyP99, [Some(1.0), None]), "no data");
    }

    #[test]
    fn strength_of_evidence_follows_the_documented_scale() {
        for (e, word) in [
            (1.0, "none"),
            (3.5, "weak"),
            (20.5, "clear"),
            (101.0, "strong"),
            (1001.0, "very strong"),
            (1e5, "decisive"),
        ] {
            assert_eq!(strength(math::ln(e)), word);
        }
    }
}
