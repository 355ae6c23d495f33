//! Checks: what was compared, how it was measured, and what was met on the way.

use std::fmt::Write as _;

use super::text::{grouped, percent, span, wrap_words};
use super::{Judged, SILENT};
use crate::cli::terminal::harmless;
use crate::compare::unit_rule::Routing;
use crate::compare::verdict::Behaviour;
use crate::engine::comparison::ControlFrom;
use crate::engine::totals::Totals;
use crate::pipeline::plan::ArmRule;

impl Judged<'_> {
    /// What gave the arms, and which other fields could have.
    fn arms_words(&self) -> String {
        let plan = &self.survey.plan;
        match &plan.arms {
            ArmRule::None => "no field and no query gives them".to_owned(),
            ArmRule::Field(path) => {
                let others: Vec<String> = self
                    .survey
                    .arm_candidates
                    .iter()
                    .filter(|(other, values)| other != path && *values >= 2)
                    .map(|(other, values)| format!("`{}` ({values} values)", harmless(other, 60)))
                    .collect();
                let others = if others.is_empty() {
                    String::new()
                } else {
                    format!("; not used: {}; --arm-by FIELD takes another", others.join(", "))
                };
                format!("by field `{}`{others}", harmless(path, 60))
            }
            ArmRule::Queries { baseline, canary } => format!(
                "by queries: baseline `{}`, canary `{}`",
                harmless(baseline.source(), 100),
                harmless(canary.source(), 100)
            ),
            ArmRule::Hash { share_ppm, seed } => format!(
                "by a hash of the {}: {} into the canary, seed {}",
                plan.unit.name(),
                percent(f64::from(*share_ppm) / 1e6),
                harmless(seed, 40)
            ),
        }
    }

    pub(super) fn write_checks(&self, out: &mut String) {
        out.push('\n');
        for (name, text) in self.checks() {
            for (at, line) in wrap_words(&text, 76).into_iter().enumerate() {
                let _infallible = writeln!(out, "  {:<22} {line}", if at == 0 { name } else { "" });
            }
        }
    }

    /// What was compared and how it was measured: name and words of each check.
    pub(in crate::cli) fn checks(&self) -> Vec<(&'static str, String)> {
        let mut list = Vec::new();
        let comparison = self.comparison;
        let look = &comparison.look;
        let [control, candidate] = comparison.units();
        let units = comparison.unit.plural();
        let mut check = |name: &'static str, text: String| list.push((name, text));
        let [requests_control, requests_candidate] = comparison.error_volume.events();
        check("arms", self.arms_words());
        check(
            "compared",
            format!(
                "{} and {} {units}, {} and {} requests, {} looks, {} strat{}",
                grouped(control),
                grouped(candidate),
                grouped(requests_control),
                grouped(requests_candidate),
                grouped(comparison.looks),
                comparison.strata(),
                if comparison.strata() == 1 { "um" } else { "a (its share changed, or traffic paused)" }
            ),
        );
        let in_canary = |pair: [u64; 2]| match pair[0] + pair[1] {
            0 => "-".to_owned(),
            all => percent(pair[1] as f64 / all as f64),
        };
        check(
            "traffic",
            format!(
                "{} of {units} and {} of requests are the canary's",
                in_canary(comparison.units()),
                in_canary(comparison.error_volume.events())
            ),
        );
        check(
            "sample ratio",
            match (look.sample_ratio, self.policy.declared_share) {
                (Some(log_e), Some(share)) if log_e >= crate::engine::look::LOG_BROKEN => {
                    format!(
                        "wrong: {} declared, {} seen",
                        percent(share),
                        percent(candidate as f64 / (control + candidate).max(1) as f64)
                    )
                }
                (Some(_), Some(share)) => format!("nothing against the declared {}", percent(share)),
                _ => "not checkable: no share was declared (--share)".to_owned(),
            },
        );
        check(
            "routing",
            match comparison.routing {
                _ if comparison.unit.is_once() => format!("each {} counts by itself", comparison.unit.name()),
                Routing::Undecided => format!("not known yet whether {units} stick to their arm; a pass waits for it"),
                Routing::Sticky => format!("{units} stick to their arm"),
                Routing::PerRequest => "requests are routed one by one, so requests are the unit".to_owned(),
                Routing::Mixed => format!("mixed: some {units} stick to their arm, some do not"),
            },
        );
        let crossed: u64 = comparison.crossovers().iter().map(|(_, crossed)| crossed).sum();
        if crossed > 0 && comparison.routing == Routing::Sticky {
            check(
                "crossover",
                format!(
                    "{} {units} were in both arms ({})",
                    grouped(crossed),
                    percent(crossed as f64 / (control + candidate).max(1) as f64)
                ),
            );
        }
        let measurement: Vec<String> = look.flaws.iter().map(|flaw| flaw.name().replace('_', " ")).collect();
        check(
            "measurement",
            if measurement.is_empty() { "both arms are measured alike".to_owned() } else { measurement.join(", ") },
        );
        let changed: Vec<&str> = look.changed_groups().map(Behaviour::name).collect();
        for (name, until) in [&comparison.control, &comparison.candidate].into_iter().zip(comparison.active_until) {
            if let Some(until) = until
                && comparison.ended_at.0 - until.0 >= SILENT
            {
                check(
                    "silent",
                    format!("`{}` since {until}, for {}", harmless(name, 60), span(comparison.ended_at.0 - until.0)),
                );
            }
        }
        check(
            "control",
            format!("`{}`: {}", harmless(&comparison.control, 60), control_words(comparison.control_from)),
        );
        check(
            "behaviour",
            if changed.is_empty() {
                "no change found in lines of a trace, calls, routes, statuses, retries, speed, warnings that name a unit".to_owned()
            } else {
                format!("changed: {}", changed.join(", ").replace('_', " "))
            },
        );
        let pair = |name: &'static str, what: &str, counts: [u64; 2], of: [u64; 2]| {
            let side = |arm: usize| match of[arm] {
                0 => grouped(counts[arm]),
                all => format!("{} ({})", grouped(counts[arm]), percent(counts[arm] as f64 / all as f64)),
            };
            (counts != [0; 2]).then(|| (name, format!("{} {what} of the baseline, {} of the canary", side(0), side(1))))
        };
        if let Some(entry) = comparison.totals.first() {
            let of = |count: fn(&Totals) -> u64| [count(&entry[0]), count(&entry[1])];
            let requests = of(|t| t.requests);
            let unit = comparison.unit.name();
            let named = format!("requests without a {unit}");
            let without_unit = pair("without a unit", &named, of(|t| t.without_unit), requests);
            let late = pair("late", "lines", of(|t| t.late), of(|t| t.lines + t.late));
            [without_unit, late].into_iter().flatten().for_each(|(name, text)| check(name, text));
        }
        if comparison.unassigned > 0 {
            check(
                "without an arm",
                format!("{} requests of {units} that no exposure names", grouped(comparison.unassigned)),
            );
        }
        let [control, candidate] = comparison.recovered;
        if control + candidate > 0 {
            let [a, b] = comparison.error_volume.events();
            check(
                "recovered by retry",
                format!(
                    "{} of the baseline's requests, {} of the canary's",
                    percent(control as f64 / a.max(1) as f64),
                    percent(candidate as f64 / b.max(1) as f64)
                ),
            );
        }
        if !self.bounds.is_empty() {
            check("bounds met", self.bounds.join("; "));
        }
        if !self.not_judged.is_empty() {
            let names: Vec<String> = self.not_judged.iter().take(20).map(|name| harmless(name, 40)).collect();
            check(
                "not compared",
                format!(
                    "{} more arms, the control has as many candidates as it may: {}. Name those that matter: --candidate ARM",
                    self.not_judged.len(),
                    names.join(", ")
                ),
            );
        }
        check(
            "small latency shifts",
            "not found: there is no history of this service to compare users with themselves".to_owned(),
        );
        list
    }
}

/// How it is known which arm is the old code.
fn control_words(from: ControlFrom) -> &'static str {
    match from {
        ControlFrom::Named => "as you said",
        ControlFrom::Label => "by its name",
        ControlFrom::ServedBefore => "it served before the candidate was first seen",
        ControlFrom::OlderVersion => "the older version; both were there from the beginning",
        ControlFrom::Guess => "a guess",
    }
}
