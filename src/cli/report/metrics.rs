//! Metrics of one's own: their rows, and what they mean in words.

use super::Judged;
use super::guardrails::{ALPHA_SHOWN, Effect, EffectKind, LOG_WEAK, own_finding_words, show_effect, strength};
use super::text::{count, grouped, percent};
use crate::cli::terminal::harmless;
use crate::compare::verdict::Finding;
use crate::engine::comparison::Comparison;
use crate::engine::metrics::MetricTest;
use crate::pipeline::metric::MetricKind;

/// Characters of a metric's name that are shown.
const NAME_SHOWN: usize = 40;

/// One metric.
#[derive(Clone, Debug)]
pub(in crate::cli) struct MetricRow {
    /// Its name.
    pub name: String,
    /// How it is made of lines.
    pub kind: MetricKind,
    /// Field of lines that holds what they say.
    pub field: String,
    /// It does harm when it rises; else when it falls.
    pub harms: bool,
    /// Share, lines for each request or typical value, of control and candidate.
    pub values: [Option<f64>; 2],
    /// 50th, 90th and 99th percentile of a gauge, of control and candidate.
    pub quantiles: [[Option<f64>; 3]; 2],
    /// Difference of shares, or relative change.
    pub effect: Option<Effect>,
    /// ln of the evidence against "not worse".
    pub log_e: f64,
    /// What the statistics say.
    pub finding: Finding,
    /// Lines, or requests of a count, of control and candidate.
    pub events: [u64; 2],
    /// Lines; those that name no unit; and those of units that were not active.
    pub lines: [u64; 3],
    /// Values past the largest that can be told apart.
    pub beyond: u64,
    /// Lines whose value is no number from 0 on, of control and candidate.
    pub unread: [u64; 2],
}

impl MetricRow {
    /// What people call it.
    pub(in crate::cli) fn shown(&self) -> String {
        let name = harmless(&self.name, NAME_SHOWN);
        match self.kind {
            MetricKind::Ratio => name,
            MetricKind::Count => format!("{name}, per request"),
            MetricKind::Gauge => format!("{name}, typical"),
        }
    }

    /// It carried a failure and would no longer.
    pub(in crate::cli) fn has_receded(&self) -> bool {
        let is_better = |effect: Effect| if self.harms { effect.estimate <= 0.0 } else { effect.estimate >= 0.0 };
        self.log_e < LOG_WEAK || self.effect.is_some_and(is_better)
    }

    /// What the finding is called for people.
    fn finding_words(&self) -> &'static str {
        match self.finding {
            Finding::NoData if self.values.iter().all(Option::is_some) => "too few to test",
            finding => own_finding_words(finding, self.harms, self.has_receded()),
        }
    }

    /// A value in the metric's own unit.
    fn value(&self, value: f64) -> String {
        match self.kind {
            MetricKind::Ratio => percent(value),
            MetricKind::Count | MetricKind::Gauge => plain(value),
        }
    }
}

/// Three digits that count; whole numbers from a thousand on.
fn plain(value: f64) -> String {
    match value {
        value if value >= 1_000.0 => grouped(value.round() as u64),
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 10.0 => format!("{value:.1}"),
        value if value >= 1.0 || value == 0.0 => format!("{value:.2}"),
        value => format!("{value:.3}"),
    }
}

/// How the arms differ: of shares as points, else as a relative change.
fn effect(of: &MetricTest) -> Option<Effect> {
    let (estimate, low, high) = of.difference(ALPHA_SHOWN)?;
    let all = |kind, f: &dyn Fn(f64) -> f64| Effect { kind, estimate: f(estimate), low: f(low), high: f(high) };
    match of.metric.kind {
        MetricKind::Ratio => Some(all(EffectKind::Difference, &|d| d)),
        MetricKind::Gauge => Some(all(EffectKind::Change, &|d| d)),
        MetricKind::Count => {
            let base = of.values()[0].filter(|base| *base > 0.0)?;
            Some(all(EffectKind::Change, &|d| (d / base).max(-1.0)))
        }
    }
}

/// Metrics of a comparison, in the order of the policy.
pub(super) fn rows(comparison: &Comparison) -> Vec<MetricRow> {
    let row = |(at, of): (usize, &MetricTest)| {
        let said = comparison.look.metric(at);
        MetricRow {
            name: of.metric.name.clone(),
            kind: of.metric.kind,
            field: of.metric.field.clone(),
            harms: of.metric.harms,
            values: of.values(),
            quantiles: of.quantiles(),
            effect: effect(of).filter(|_| said.has_data),
            log_e: said.log_e,
            finding: comparison.metric_finding(at),
            events: of.events(),
            lines: [of.lines, of.without_unit, of.unassigned],
            beyond: of.beyond,
            unread: of.unread,
        }
    };
    comparison.metrics.iter().enumerate().map(row).collect()
}

impl Judged<'_> {
    /// Metrics that carry a failure.
    pub(super) fn worsened(&self) -> impl Iterator<Item = &MetricRow> {
        self.metrics.iter().filter(|row| row.finding == Finding::Regressed)
    }

    /// How it became worse.
    pub(super) fn worsening(&self, row: &MetricRow) -> String {
        let name = harmless(&row.name, NAME_SHOWN);
        let verb = if row.harms { "rises" } else { "falls" };
        let effect = row.effect.map_or(String::new(), |effect| format!(", {}", show_effect(effect, row.values)));
        match row.values {
            [Some(control), Some(candidate)] if (candidate > control) == row.harms => {
                let what = match row.kind {
                    MetricKind::Ratio => "",
                    MetricKind::Count => " per request",
                    MetricKind::Gauge => " (typical)",
                };
                let (control, candidate) = (row.value(control), row.value(candidate));
                format!("{name} {verb}: {candidate}{what} in the canary, {control} in the baseline{effect}.")
            }
            // Where the canary's share was changed, plain values of the whole time may say the opposite.
            _ => format!("{name} {verb} at the same time{effect}."),
        }
    }

    /// Metrics in the columns of [`super::guardrails::GUARDRAIL_COLUMNS`].
    pub(super) fn metric_cells(&self) -> impl Iterator<Item = [String; 6]> + '_ {
        self.metrics.iter().map(|row| {
            let [control, candidate] = row.values.map(|value| value.map_or("-".to_owned(), |value| row.value(value)));
            let effect = row.effect.map_or("-".to_owned(), |effect| show_effect(effect, row.values));
            let evidence = if row.finding == Finding::NoData { "-" } else { strength(row.log_e) };
            [row.shown(), control, candidate, effect, evidence.to_owned(), row.finding_words().to_owned()]
        })
    }

    /// What a check says of one metric.
    pub(super) fn metric_check(&self, row: &MetricRow) -> String {
        let name = harmless(&row.name, NAME_SHOWN);
        let unit = self.comparison.unit.name();
        let [lines, without_unit, unassigned] = row.lines;
        if lines == 0 {
            return format!("{name}: no line says anything of it");
        }
        let broken = match row.finding {
            Finding::BrokenMeasurement => "; one arm lacks what can be compared more often, so a change is not tested",
            Finding::NoData | Finding::Undecided | Finding::Held | Finding::Regressed | Finding::Changed => "",
        };
        let beyond = match row.beyond {
            0 => String::new(),
            beyond => format!("; {} of them beyond what can be told apart", grouped(beyond)),
        };
        let unread = match row.unread {
            [0, 0] => String::new(),
            [control, candidate] => format!(
                "; the values of {} of the baseline and {} of the canary are no numbers from 0 on",
                grouped(control),
                grouped(candidate)
            ),
        };
        let quantiles = match row.quantiles {
            [[Some(a), Some(b), Some(c)], [Some(d), Some(e), Some(f)]] => {
                let list = |of: [f64; 3]| of.map(plain).join(", ");
                format!("; p50, p90 and p99 {} in the baseline, {} in the canary", list([a, b, c]), list([d, e, f]))
            }
            _ => String::new(),
        };
        format!(
            "{name}: {}, {} of them without a {unit}{broken}, {} of {} not active in either arm before{beyond}{unread}{quantiles}",
            count(lines, "line"),
            grouped(without_unit),
            grouped(unassigned),
            self.comparison.unit.plural()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits_that_count() {
        let shown = [0.0, 0.0042, 0.5, 2.34567, 23.4567, 234.567, 23_456.7].map(plain);
        assert_eq!(shown, ["0.00", "0.004", "0.500", "2.35", "23.5", "235", "23,457"]);
    }
}
