//! Checks: what was compared, how it was measured, and what was met on the way.

use std::fmt::Write as _;

use super::text::{grouped, percent, span, wrap_words};
use super::{Judged, Shared};
use crate::cli::terminal::harmless;
use crate::compare::unit_rule::Routing;
use crate::compare::verdict::{Behaviour, Flaw};
use crate::engine::comparison::ControlFrom;
use crate::engine::look::LOG_BROKEN;
use crate::engine::totals::Totals;
use crate::engine::units::Arm;
use crate::event::WEIGHT_ONE;
use crate::pipeline::plan::ArmRule;

/// Share of late lines of an arm from which on the instance with most of them is named.
const LATE_NAMED: f64 = 0.01;

/// Failed requests, and others, from which on their sampling rates are told.
const SAMPLED_MIN: u64 = 100;
/// Relative difference of their weights from which on it is told.
const SAMPLED_DIFFERENCE: f64 = 0.05;

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
            ArmRule::PodTemplate { path, .. } => format!(
                "version taken from the pod's name (`{}`), since no field has one; --arm-by FIELD takes another",
                harmless(path, 60)
            ),
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
        let mut list = Checks::default();
        list.check("arms", self.arms_words());
        self.check_amounts(&mut list);
        self.check_assignment(&mut list);
        self.check_measurement(&mut list);
        self.check_left_out(&mut list);
        self.check_bounds(&mut list);
        let units = self.comparison.unit.plural();
        list.check(
            "small latency shifts",
            match self.history {
                Some(history) => format!("{units} are compared with their own latency of the {} before", span(history)),
                None if self.comparison.unit.is_once() => format!("{units} are compared with each other"),
                None => {
                    format!("not found: no day of this service alone came before, to compare {units} with themselves")
                }
            },
        );
        list.0
    }

    /// How much was compared.
    fn check_amounts(&self, list: &mut Checks) {
        let comparison = self.comparison;
        let [control, candidate] = comparison.distinct_units();
        let units = comparison.unit.plural();
        let [requests_control, requests_candidate] = comparison.error_volume.events();
        list.check(
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
        let seen = |arm: Arm| {
            let more = if comparison.instances.has_others(arm) { "over " } else { "" };
            format!("{more}{}", grouped(comparison.instances.seen(arm) as u64))
        };
        if [Arm::Control, Arm::Candidate].iter().any(|arm| comparison.instances.seen(*arm) > 0) {
            list.check(
                "instances",
                format!("{} of the baseline, {} of the canary", seen(Arm::Control), seen(Arm::Candidate)),
            );
        }
        let in_canary = |pair: [u64; 2]| match pair[0] + pair[1] {
            0 => "-".to_owned(),
            all => percent(pair[1] as f64 / all as f64),
        };
        list.check(
            "traffic",
            format!(
                "{} of {units} and {} of requests are the canary's",
                in_canary(comparison.units()),
                in_canary(comparison.error_volume.events())
            ),
        );
    }

    /// Whether units came to their arms as they should.
    fn check_assignment(&self, list: &mut Checks) {
        let comparison = self.comparison;
        let [control, candidate] = comparison.units();
        let units = comparison.unit.plural();
        list.check(
            "sample ratio",
            match (comparison.look.sample_ratio, self.policy.declared_share) {
                (Some(log_e), Some(share)) if log_e >= LOG_BROKEN => {
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
        list.check(
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
            list.check(
                "crossover",
                format!(
                    "{} {units} were in both arms ({})",
                    grouped(crossed),
                    percent(crossed as f64 / (control + candidate).max(1) as f64)
                ),
            );
        }
    }

    /// Whether both arms were measured alike, which one is the control, and what behaves otherwise.
    fn check_measurement(&self, list: &mut Checks) {
        let comparison = self.comparison;
        let look = &comparison.look;
        let measurement: Vec<String> = look.flaws.iter().map(|flaw| flaw.name().replace('_', " ")).collect();
        list.check(
            "measurement",
            if measurement.is_empty() { "both arms are measured alike".to_owned() } else { measurement.join(", ") },
        );
        for row in &self.conversions {
            list.check("business event", self.conversion_check(row));
        }
        for row in &self.metrics {
            list.check("metric", self.metric_check(row));
        }
        if let Some(words) = self.segments_check() {
            list.check("segments", words);
        }
        for (limit, said) in self.limits() {
            list.check("limit", self.limit_check(limit, &said));
        }
        let changed: Vec<&str> = look.changed_groups().map(Behaviour::name).collect();
        for (arm, name) in [&comparison.control, &comparison.candidate].into_iter().enumerate() {
            if let Some(until) = self.silent_since(arm) {
                let since = span(comparison.ended_at.0 - until.0);
                list.check("silent", format!("`{}` since {until}, for {since}", harmless(name, 60)));
            }
        }
        list.check(
            "control",
            format!("`{}`: {}", harmless(&comparison.control, 60), control_words(comparison.control_from)),
        );
        list.check(
            "behaviour",
            if changed.is_empty() {
                "no change found in lines of a trace or a request, calls, routes, statuses, retries, speed, warnings that name a unit, an instance or an arm".to_owned()
            } else {
                format!("changed: {}", changed.join(", ").replace('_', " "))
            },
        );
    }

    /// What is in no test, and what is only seen as a whole.
    fn check_left_out(&self, list: &mut Checks) {
        let comparison = self.comparison;
        let units = comparison.unit.plural();
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
            let late = pair("late", "lines", of(|t| t.late), of(|t| t.lines + t.late)).map(|(name, text)| {
                let [late, lines] = [|t: &Totals| t.late, |t: &Totals| t.lines + t.late].map(|count| of(count));
                let is_many = (0..2).any(|arm| late[arm] as f64 > LATE_NAMED * lines[arm] as f64)
                    || comparison.look.flaws.iter().any(|flaw| matches!(flaw, Flaw::Lateness | Flaw::SomeLate));
                let of_whom = self.latest_instance().filter(|_| is_many);
                (name, of_whom.map_or(text.clone(), |words| format!("{text}; {words}")))
            });
            if let Some(text) = sampled_by_outcome(entry) {
                list.check("sampled", text);
            }
            let unread = pair("unreadable latency", "requests", of(|t| t.latency_unread), requests);
            let unread_status = pair("unreadable status", "requests", of(|t| t.status_unread), requests);
            [without_unit, unread, unread_status, late]
                .into_iter()
                .flatten()
                .for_each(|(name, text)| list.check(name, text));
        }
        if comparison.unassigned > 0 {
            list.check(
                "without an arm",
                format!("{} requests of {units} that no exposure names", grouped(comparison.unassigned)),
            );
        }
        if self.unattributed_warnings > 0 {
            list.check(
                "unattributed",
                format!(
                    "{} lines of level warn or worse name neither a {} nor an arm, and no instance tells theirs: they count for neither",
                    grouped(self.unattributed_warnings),
                    comparison.unit.name()
                ),
            );
        }
        let [control, candidate] = comparison.recovered;
        if control + candidate > 0 {
            let [a, b] = comparison.error_volume.events();
            list.check(
                "recovered by retry",
                format!(
                    "{} of the baseline's requests, {} of the canary's",
                    percent(control as f64 / a.max(1) as f64),
                    percent(candidate as f64 / b.max(1) as f64)
                ),
            );
        }
    }

    /// Other live rollouts with units in common.
    fn check_shared(&self, list: &mut Checks) {
        let units = self.comparison.unit.plural();
        // Those with a table of their own say more there.
        let has_table = |shared: &&Shared| {
            self.beside.iter().any(|of| of.service == shared.service && of.candidate == shared.candidate)
        };
        let rest = self.shared.iter().filter(|shared| !has_table(shared));
        for Shared { service, candidate, units: [[cc, ck], [kc, kk]], one_of } in rest {
            let sample = if *one_of > 1 { format!(" (a sample, one of {one_of})") } else { String::new() };
            list.check(
                "another rollout",
                format!(
                    "`{}` of {} shares {units}{sample}: of the baseline's here {} are in its baseline and {} in its canary, of the canary's {} and {}",
                    harmless(candidate, 60),
                    harmless(service, 60),
                    grouped(*cc),
                    grouped(*ck),
                    grouped(*kc),
                    grouped(*kk)
                ),
            );
        }
    }

    /// What was met on the way, and past which nothing is followed.
    fn check_bounds(&self, list: &mut Checks) {
        self.check_shared(list);
        if !self.bounds.is_empty() {
            list.check("bounds met", self.bounds.join("; "));
        }
        if !self.not_judged.is_empty() {
            let names: Vec<String> = self.not_judged.iter().take(20).map(|name| harmless(name, 40)).collect();
            list.check(
                "not compared",
                format!(
                    "{} more arms, the control has as many candidates as it may: {}. Name those that matter: --candidate ARM",
                    self.not_judged.len(),
                    names.join(", ")
                ),
            );
        }
    }
}

/// Checks with their names, in order.
#[derive(Default)]
struct Checks(Vec<(&'static str, String)>);

impl Checks {
    fn check(&mut self, name: &'static str, text: String) {
        self.0.push((name, text));
    }
}

/// What is to be known of rates where failed requests are sampled otherwise than others, by the rates that lines tell.
fn sampled_by_outcome(arms: &[Totals; 2]) -> Option<String> {
    let sum = |count: fn(&Totals) -> u64| arms.iter().map(count).sum::<u64>();
    let (failed, all) = (sum(|t| t.errors), sum(|t| t.requests));
    let (failed_weight, weight) = (sum(|t| t.error_weight), sum(|t| t.request_weight));
    if failed < SAMPLED_MIN || all - failed < SAMPLED_MIN {
        return None;
    }
    let each = |weight: u64, n: u64| weight as f64 / n as f64 / f64::from(WEIGHT_ONE);
    let (of_failed, of_others) = (each(failed_weight, failed), each(weight - failed_weight, all - failed));
    let differ = (of_failed - of_others).abs() > SAMPLED_DIFFERENCE * of_failed.min(of_others);
    differ.then(|| {
        format!(
            "a failed request stands for {of_failed:.1}, another for {of_others:.1}: rates are those of the lines that were kept"
        )
    })
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
