//! A report: what was found, in words first.

mod checks;
mod guardrails;
mod next;
mod reading;
mod sentences;
mod services;
mod text;

use std::fmt::Write as _;

pub(super) use self::guardrails::{Effect, EffectKind, Row, rows, show_effect, strength};
pub(super) use self::next::FORECAST_MAX;
pub(super) use self::reading::fates;
pub(super) use self::services::Done;
pub(super) use self::text::{grouped, millis, percent, span, wrap_words};
use super::terminal::harmless;
use crate::compare::verdict::{Cell, Verdict};
use crate::engine::comparison::Comparison;
use crate::engine::forecast::{Need, needs};
use crate::engine::policy::Policy;
use crate::engine::{Engine, Settings};
use crate::event::ServiceKey;
use crate::pipeline::plan::UnitKind;
use crate::pipeline::survey::Survey;
use crate::sketch::partial::Tally;
use crate::time::{MINUTE, Micros};

/// Time without a request or exposure after which an arm is called silent.
const SILENT: Micros = 5 * MINUTE;

/// Everything a report says.
#[derive(Debug)]
pub(super) struct Report<'a> {
    /// The comparisons.
    pub comparisons: Vec<Judged<'a>>,
    /// Releases without a comparison.
    pub alone: Vec<Alone>,
    /// The worst verdict over all comparisons; INVALID when there is nothing to compare.
    pub verdict: Verdict,
    /// What became of every record.
    pub tally: Tally,
    /// What the survey found; absent in a replay.
    pub survey: &'a Survey,
}

/// A release in which nothing is compared with anything.
#[derive(Debug)]
pub(super) struct Alone {
    /// The entry service.
    pub service: String,
    /// Arms that were seen, with their requests.
    pub arms: Vec<(String, u64)>,
    /// Other releases are compared, so this one is merely not rolled out.
    pub beside_others: bool,
}

impl Alone {
    /// Why, in words.
    pub(super) fn reason(&self) -> String {
        match self.arms.as_slice() {
            [] => "no line says which version or cohort it belongs to".to_owned(),
            [(arm, requests)] => format!("only `{}` was seen, {} requests", harmless(arm, 60), grouped(*requests)),
            several => format!("no arm is large enough beside the control; seen: {}", list_of_arms(several)),
        }
    }
}

/// Arms with their requests, the first twenty.
fn list_of_arms(arms: &[(String, u64)]) -> String {
    let list: Vec<String> =
        arms.iter().take(20).map(|(arm, n)| format!("{} ({})", harmless(arm, 60), grouped(*n))).collect();
    let more = if arms.len() > 20 { format!(" and {} more", arms.len() - 20) } else { String::new() };
    format!("{}{more}", list.join(", "))
}

/// One comparison, judged.
#[derive(Debug)]
pub(super) struct Judged<'a> {
    /// The entry service.
    pub service: String,
    /// All services of the release.
    pub services: &'a [ServiceKey],
    /// State and latest look.
    pub comparison: &'a Comparison,
    /// Guardrails, in order.
    pub rows: Vec<Row>,
    /// What PASS still needs.
    pub needs: Vec<Need>,
    /// Bounds of the release and of the comparison that were met.
    pub bounds: Vec<String>,
    /// Arms that are large enough and were not compared.
    pub not_judged: Vec<String>,
    /// Arms that were seen at any time, with their requests.
    pub arms_seen: Vec<(String, u64)>,
    /// What it was judged by.
    pub policy: &'a Policy,
    /// How lines were read.
    pub survey: &'a Survey,
}

impl<'a> Report<'a> {
    /// The report of an engine that has read everything.
    pub(super) fn new(engine: &'a Engine, survey: &'a Survey) -> Report<'a> {
        let Settings { policy, .. } = engine.settings();
        let mut comparisons = Vec::new();
        let mut alone = Vec::new();
        for (at, (services, list)) in engine.releases().enumerate() {
            let service = services.first().map(ToString::to_string).unwrap_or_default();
            if list.is_empty() {
                alone.push(Alone { service: service.clone(), arms: engine.arms_seen(at), beside_others: false });
            }
            for comparison in list {
                comparisons.push(Judged {
                    service: service.clone(),
                    services,
                    comparison,
                    rows: rows(comparison, policy),
                    needs: needs(comparison, policy),
                    bounds: comparison.bounds_met().into_iter().chain(engine.bounds_met(at)).collect(),
                    not_judged: engine.arms_not_judged(at),
                    arms_seen: engine.arms_seen(at),
                    policy,
                    survey,
                });
            }
        }
        alone.iter_mut().for_each(|alone| alone.beside_others = !comparisons.is_empty());
        let verdict = engine.verdict().unwrap_or(Verdict::Invalid);
        Report { comparisons, alone, verdict, tally: *engine.tally(), survey }
    }

    /// For people: the verdict in words, then guardrails, checks, and what is still needed.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        for judged in &self.comparisons {
            judged.write(&mut out);
            out.push('\n');
        }
        for alone in &self.alone {
            let service = harmless(&alone.service, 80);
            let reason = alone.reason();
            if alone.beside_others {
                let what = if alone.arms.len() < 2 { "not rolled out" } else { "not compared" };
                let _infallible = writeln!(out, "{service}: {what} ({reason})");
                continue;
            }
            let todo = match alone.arms.len() {
                0 => "Use --arm-by FIELD, or --baseline QUERY --canary QUERY.",
                1 => "Give logs of the other arm too, or say which lines are which: --baseline QUERY --canary QUERY.",
                _ => "Name them with --control ARM --candidate ARM.",
            };
            let _infallible = writeln!(out, "{service}: INVALID");
            for line in wrap_words(&format!("There is nothing to compare: {reason}. {todo}"), 98) {
                let _infallible = writeln!(out, "  {line}");
            }
            out.push('\n');
        }
        if self.alone.iter().any(|alone| alone.beside_others) {
            out.push('\n');
        }
        if self.comparisons.is_empty() && self.alone.is_empty() {
            out.push_str("INVALID\n  There is nothing to compare: no requests were found.\n\n");
        }
        self.write_reading(&mut out);
        out
    }
}

impl Judged<'_> {
    /// What is counted, in the plural.
    pub(super) fn units(&self) -> &'static str {
        if self.comparison.by_request() { UnitKind::Request.plural() } else { self.comparison.unit.plural() }
    }

    /// Name of a guardrail for people.
    pub(super) fn name_of(&self, row: &Row) -> String {
        match row.cell {
            Cell::ErrorUnits | Cell::LatencyP99Units => format!("{} {}", self.units(), row.name),
            _ => row.name.to_owned(),
        }
    }

    fn write(&self, out: &mut String) {
        let comparison = self.comparison;
        let title = format!(
            "{}: {} against {}",
            harmless(&self.service, 60),
            harmless(&comparison.candidate, 60),
            harmless(&comparison.control, 60)
        );
        let verdict = comparison.look.verdict.name().to_uppercase();
        let _infallible = writeln!(
            out,
            "{title}{}{verdict}",
            " ".repeat(96usize.saturating_sub(title.chars().count() + verdict.len()).max(2))
        );
        for sentence in self.sentences() {
            for line in wrap_words(&sentence, 98) {
                let _infallible = writeln!(out, "  {}", harmless(&line, 200));
            }
        }
        self.write_guardrails(out);
        self.write_checks(out);
        self.write_needs(out);
        self.write_evidence(out);
        self.write_services(out);
    }
}
