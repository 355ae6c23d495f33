//! Business events that may not become rarer: their rows, and what they mean in words.

use super::Judged;
use super::guardrails::{ALPHA_SHOWN, Effect, EffectKind, LOG_WEAK, own_finding_words, show_effect, strength};
use super::text::{count, grouped, percent, times};
use crate::cli::terminal::harmless;
use crate::compare::share;
use crate::compare::verdict::Finding;
use crate::engine::comparison::Comparison;
use crate::pipeline::prepare::GIVEN_EVENT;

/// Characters of an event's name that are shown.
const NAME_SHOWN: usize = 40;

/// One business event.
#[derive(Clone, Debug)]
pub(in crate::cli) struct ConversionRow {
    /// Its name.
    pub name: String,
    /// It does harm: it fails when it rises.
    pub harms: bool,
    /// Times that a unit meets it before it counts.
    pub at_least: u16,
    /// Share of units of control and candidate that met it.
    pub values: [Option<f64>; 2],
    /// Ratio of the candidate to the control.
    pub effect: Option<Effect>,
    /// ln of the evidence against "not rarer", or, where it does harm, "not more frequent".
    pub log_e: f64,
    /// What the statistics say.
    pub finding: Finding,
    /// Units of control and candidate.
    pub counts: [u64; 2],
    /// Those of them that met it.
    pub met: [u64; 2],
    /// Lines; those that name no unit; and those of units that were not active.
    pub lines: [u64; 3],
}

impl ConversionRow {
    /// What people call it: its name, and how often a unit meets it before it counts.
    pub(in crate::cli) fn shown(&self) -> String {
        let name = harmless(&self.name, NAME_SHOWN);
        if self.at_least > 1 { format!("{name} ({} times and more)", self.at_least) } else { name }
    }

    /// It carried a failure and would no longer.
    pub(in crate::cli) fn has_receded(&self) -> bool {
        let is_better = |effect: Effect| if self.harms { effect.estimate <= 1.0 } else { effect.estimate >= 1.0 };
        self.log_e < LOG_WEAK || self.effect.is_some_and(is_better)
    }

    /// What the finding is called for people.
    fn finding_words(&self) -> &'static str {
        own_finding_words(self.finding, self.harms, self.has_receded())
    }
}

/// Business events of a comparison, in the order of the policy.
pub(super) fn rows(comparison: &Comparison) -> Vec<ConversionRow> {
    let row = |(at, of): (usize, &crate::engine::conversions::Conversion)| {
        let said = comparison.look.conversion(at);
        let totals = of.units.totals();
        let effect = said.has_data.then(|| {
            let interval = share::interval(of.units.strata(), ALPHA_SHOWN);
            Effect { kind: EffectKind::Ratio, estimate: interval.estimate, low: interval.low, high: interval.high }
        });
        ConversionRow {
            name: of.name.clone(),
            harms: of.harms,
            at_least: of.at_least,
            values: of.shares(),
            effect,
            log_e: said.log_e,
            finding: comparison.conversion_finding(at),
            counts: totals.map(|(units, _)| units),
            met: totals.map(|(_, met)| met),
            lines: [of.lines, of.without_unit, of.unassigned],
        }
    };
    comparison.conversions.iter().enumerate().map(row).collect()
}

impl Judged<'_> {
    /// Business events that carry a failure.
    pub(super) fn fallen(&self) -> impl Iterator<Item = &ConversionRow> {
        self.conversions.iter().filter(|row| row.finding == Finding::Regressed)
    }

    /// What a business event is called for people.
    pub(super) fn conversion_name(&self, row: &ConversionRow) -> String {
        format!("{} with {}", self.units(), row.shown())
    }

    /// How it has fallen, or risen where it does harm.
    pub(super) fn fewer(&self, row: &ConversionRow) -> String {
        let (units, name) = (self.units(), row.shown());
        if row.harms {
            return self.more(row);
        }
        let most = row
            .effect
            .filter(|effect| effect.high < 1.0)
            .map_or(String::new(), |effect| format!(", at most {} times as many", times(effect.high)));
        match (row.values, row.effect) {
            ([Some(control), Some(candidate)], _) if candidate < control => format!(
                "Fewer {units} reach {name}: {} of canary {units}, {} of baseline {units}{most}.",
                percent(candidate),
                percent(control)
            ),
            // Where the canary's share was changed, plain shares of the whole time may say the opposite.
            (_, Some(effect)) => {
                format!("Fewer {units} reach {name}: {} times as many at the same time{most}.", times(effect.estimate))
            }
            (_, None) => format!("Fewer {units} reach {name}."),
        }
    }

    /// How one that does harm has risen.
    fn more(&self, row: &ConversionRow) -> String {
        let (units, name) = (self.units(), row.shown());
        let least = row
            .effect
            .filter(|effect| effect.low > 1.0)
            .map_or(String::new(), |effect| format!(", at least {} times as many", times(effect.low)));
        match (row.values, row.effect) {
            ([Some(control), Some(candidate)], _) if candidate > control => format!(
                "More {units} meet {name}: {} of canary {units}, {} of baseline {units}{least}.",
                percent(candidate),
                percent(control)
            ),
            (_, Some(effect)) if !effect.is_at_limit() => {
                format!("More {units} meet {name}: {} times as many at the same time{least}.", times(effect.estimate))
            }
            _ => format!("More {units} meet {name}."),
        }
    }

    /// Business events in the columns of [`super::guardrails::GUARDRAIL_COLUMNS`].
    pub(super) fn conversion_cells(&self) -> impl Iterator<Item = [String; 6]> + '_ {
        self.conversions.iter().map(|row| {
            let [control, candidate] = row.values.map(|value| value.map_or("-".to_owned(), percent));
            let effect = row.effect.map_or("-".to_owned(), |effect| show_effect(effect, row.values));
            let evidence = if row.finding == Finding::NoData { "-" } else { strength(row.log_e) };
            let finding = row.finding_words().to_owned();
            [self.conversion_name(row), control, candidate, effect, evidence.to_owned(), finding]
        })
    }

    /// What a check says of one business event.
    pub(super) fn conversion_check(&self, row: &ConversionRow) -> String {
        let name = harmless(&row.name, NAME_SHOWN);
        let unit = self.comparison.unit.name();
        let [lines, without_unit, unassigned] = row.lines;
        if lines == 0 {
            let fields: Vec<String> = self
                .policy
                .conversions
                .fields()
                .into_iter()
                .filter(|field| *field != GIVEN_EVENT)
                .map(|field| format!("`{}`", harmless(field, 60)))
                .collect();
            return format!("{name}: no line has this name in {}", fields.join(", "));
        }
        if !self.comparison.tests_conversions() {
            return format!("{name}: not tested: no {unit} has an arm where each request is routed by itself");
        }
        let broken = match row.finding {
            Finding::BrokenMeasurement => "; lines of one arm lack it more often, so a change is not tested",
            Finding::NoData | Finding::Undecided | Finding::Held | Finding::Regressed | Finding::Changed => "",
        };
        format!(
            "{name}: {}, {} of them without a {unit}{broken}, {} of {} not active in either arm before",
            count(lines, "line"),
            grouped(without_unit),
            grouped(unassigned),
            self.comparison.unit.plural()
        )
    }
}
