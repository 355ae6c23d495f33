//! `serin calibrate`: proof on the user's own logs.

use std::fmt::Write;

use anyhow::{Context, anyhow, bail};
use serde_json::{Value, json};

use crate::calibrate::change::Change;
use crate::calibrate::log::{EVENTS_MAX, Log};
use crate::calibrate::{self, Calibration, Group, Options, Outcome, RULE_NAMES, Split};
use crate::cli::arguments::{CalibrateArguments, Format};
use crate::cli::compare::{
    check_readable, check_roles, check_segments, look_at, parts_per_million, query, settings, two_arms, wishes,
    with_segments,
};
use crate::cli::html::{self, Calibrated, Rule, Visible};
use crate::cli::report::{grouped, markdown_of_text, span, wrap_words};
use crate::cli::terminal::{self, Progress, harmless};
use crate::cli::{output, policy_file};
use crate::compare::verdict::Verdict;
use crate::engine::policy::Policy;
use crate::pipeline::plan::{ArmRule, UnitKind};
use crate::pipeline::roles::Role;
use crate::pipeline::survey::Survey;
use crate::query::Query;
use crate::source::files;
use crate::source::run;
use crate::time::Micros;

/// Version of the JSON document; fields are added, never renamed.
const DOCUMENT_VERSION: u64 = 1;
/// Shares of requests that fail in addition, in parts per million: how soon is each visible?
const LADDER_ERRORS_PPM: [u32; 5] = [5_000, 10_000, 20_000, 50_000, 100_000];
/// By how many per cent requests take longer: how soon is each visible?
const LADDER_SLOWER_PERCENT: [u32; 4] = [10, 20, 50, 100];
/// A change is visible once this share of splits has been rolled back.
const VISIBLE_SHARE: f64 = 0.8;
/// Rollbacks of healthy code from which a rule's speed means nothing.
const NOISY_SHARE: f64 = 0.1;

/// Runs `calibrate`.
pub(super) fn run(arguments: &CalibrateArguments) -> anyhow::Result<u8> {
    let plant = Change::parse(&arguments.plant).map_err(|error| anyhow!("--plant: {error}"))?;
    let share_ppm = parts_per_million(&arguments.share).context("--share")?;
    let mut policy = match &arguments.policy {
        Some(path) => policy_file::read(path)?,
        None => Policy::default(),
    };
    let mut streams = files::find(&arguments.logs.files)?;
    let arms = match &arguments.baseline {
        Some(text) => {
            let baseline = query("--baseline", text)?;
            let rest = Query::parse(&format!("NOT ({text})")).map_err(|error| anyhow!("--baseline: {error}"))?;
            ArmRule::Queries { baseline, canary: rest }
        }
        None => ArmRule::Hash { share_ppm, seed: "0".to_owned() },
    };
    let wishes = with_segments(wishes(&arguments.logs.how, Some(arms))?, &policy)?;
    let mut found = look_at(&mut streams, &wishes)?.found;
    check_readable(&found)?;
    check_roles(&found, &arguments.logs.how)?;
    check_segments(&found)?;
    found.plan.conversions = policy.conversions.clone();
    found.plan.metrics = wishes.metrics.clone();
    policy.metrics = wishes.metrics;
    let release = choose(&found, arguments)?;
    let mut settings = settings(&found, two_arms(), policy);
    settings.releases = vec![found.releases[release].services.clone()];
    let entry = found.releases[release].entry();

    // Splits are of the users of all cells.
    found.plan.roles.remove(&Role::Cell);
    let progress = Progress::bytes(streams.iter().map(files::size_on_disk).sum());
    let log = Log::read(streams, found.plan.clone(), entry, EVENTS_MAX, &mut |bytes| progress.add(bytes));
    progress.finish();
    let log = log?;
    if log.facts.requests == 0 {
        bail!("no request of `{}` is left to split{}", harmless(&log.entry.to_string(), 80), filter(arguments));
    }
    if log.facts.units < 2 {
        bail!(
            "there are fewer than two {} to split; name the field that tells users apart: --role user=FIELD",
            found.plan.unit.plural()
        );
    }
    let ladder_errors = LADDER_ERRORS_PPM.map(|ppm| Change::Errors { ppm });
    let ladder_slower = LADDER_SLOWER_PERCENT.map(|percent| Change::Slower { percent });
    let has_latency = log.facts.latency.count > 0;
    if matches!(plant, Change::Slower { .. }) && !has_latency {
        bail!("--plant {}: no request of this log has a latency", arguments.plant);
    }
    let options = Options {
        splits: arguments.splits,
        share_ppm,
        plant,
        ladder: ladder_errors.into_iter().chain(ladder_slower.into_iter().filter(|_| has_latency)).collect(),
        ladder_splits: (arguments.splits / 10).max(20).min(arguments.splits),
        threads: arguments.logs.threads.unwrap_or(run::Options::default().threads),
    };
    let progress = Progress::items(options.judged(), "splits judged");
    let result = calibrate::run(&log, &settings, &options, &|| progress.add(1));
    progress.finish();
    let shown = Shown { log: &log, found: &found, options: &options, result: &result?, arguments };
    match arguments.format {
        Format::Text => terminal::print(&shown.text()?)?,
        Format::Json => terminal::print(&format!("{:#}\n", shown.json()))?,
        Format::Markdown => terminal::print(&markdown_of_text(&shown.text()?))?,
        Format::Html => terminal::print(&html::calibration(&shown.page()))?,
    }
    Ok(0)
}

/// The release with the most requests among those seen: `--service` leaves one.
fn choose(found: &Survey, arguments: &CalibrateArguments) -> anyhow::Result<usize> {
    let requests = |at: usize| {
        let entry = found.releases[at].entry();
        found.services.get(&entry).map_or(0, |service| service.requests)
    };
    let busiest = (0..found.releases.len()).max_by_key(|at| (requests(*at), std::cmp::Reverse(*at)));
    busiest.ok_or_else(|| match &arguments.logs.how.service {
        Some(service) => {
            let names: Vec<String> = found.services.keys().map(|key| harmless(&key.to_string(), 60)).collect();
            anyhow!("--service {service}: no request of this service was seen. Services: {}", names.join(", "))
        }
        None => anyhow!("no requests were found: lines need a status, a latency, or a root span"),
    })
}

fn filter(arguments: &CalibrateArguments) -> String {
    arguments.baseline.as_ref().map_or(String::new(), |query| format!(" by --baseline '{}'", harmless(query, 100)))
}

/// How many of a group were decided how.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Counts {
    rolled_back: usize,
    promoted: usize,
    /// Splits of which only Serin says that they cannot be judged, or in which there was nothing to compare.
    invalid: usize,
}

/// Everything that is printed.
struct Shown<'a> {
    log: &'a Log,
    found: &'a Survey,
    options: &'a Options,
    result: &'a Calibration,
    arguments: &'a CalibrateArguments,
}

/// Serin first, then the others.
fn outcomes(split: &Split) -> [Outcome; RULE_NAMES.len() + 1] {
    let [flagger, kayenta, z_test] = split.rules;
    [split.serin, flagger, kayenta, z_test]
}

/// Counts of one rule. A healthy canary that was ever rolled back counts as that, also when it had passed before; one
/// with a planted change that was promoted first counts as promoted.
fn counts(group: &Group, rule: usize) -> Counts {
    let mut counts = Counts::default();
    for split in &group.splits {
        let outcome = outcomes(split)[rule];
        let promoted_first = group.change != Change::None && outcome.promoted();
        if outcome.failed_after.is_some() && !promoted_first {
            counts.rolled_back += 1;
        } else if outcome.passed_after.is_some() {
            counts.promoted += 1;
        } else if rule == 0 && split.verdict.is_none_or(|verdict| verdict == Verdict::Invalid) {
            counts.invalid += 1;
        }
    }
    counts
}

/// Time by which this share of all splits had been rolled back.
fn time_by(group: &Group, rule: usize, share: f64) -> Option<f64> {
    let mut times: Vec<f64> = group
        .splits
        .iter()
        .map(|split| outcomes(split)[rule])
        .filter(|outcome| !outcome.promoted())
        .filter_map(|outcome| outcome.failed_after)
        .collect();
    times.sort_by(f64::total_cmp);
    let wanted = (group.splits.len() as f64 * share).ceil().max(1.0) as usize;
    times.get(wanted - 1).copied()
}

fn seconds(seconds: f64) -> String {
    let text = span((seconds * 1e6) as Micros);
    // Whole minutes and hours read best alone.
    [" 0 s", " 0 min"].into_iter().find_map(|end| text.strip_suffix(end)).unwrap_or(&text).to_owned()
}

impl Shown<'_> {
    fn names(&self) -> [&'static str; RULE_NAMES.len() + 1] {
        let [flagger, kayenta, z_test] = RULE_NAMES;
        ["Serin", flagger, kayenta, z_test]
    }

    fn units(&self) -> &'static str {
        self.found.plan.unit.plural()
    }

    /// What was split, in a sentence.
    fn intro(&self) -> String {
        let facts = &self.log.facts;
        let length = facts.span.map_or(0, |(first, last)| last.0 - first.0);
        format!(
            "{} requests of {} by {} {} in {}, split at random {} times, {} of the {} into the canary. Nothing differs, so every rollback is false.",
            grouped(facts.requests),
            harmless(&self.log.entry.to_string(), 60),
            grouped(facts.units),
            self.units(),
            span(length),
            grouped(u64::from(self.options.splits)),
            self.arguments.share.trim(),
            self.units(),
        )
    }

    fn text(&self) -> Result<String, std::fmt::Error> {
        let mut out = String::new();
        wrap_words(&self.intro(), 98).into_iter().for_each(|line| {
            out.push_str(&line);
            out.push('\n');
        });
        out.push('\n');
        let row = |out: &mut String, name: &str, cells: &[String]| {
            let mut line = format!("  {name:<34}");
            cells.iter().for_each(|cell| line.push_str(&format!(" {cell:>18}")));
            out.push_str(line.trim_end());
            out.push('\n');
        };
        let each = |make: &dyn Fn(usize) -> String| (0..self.names().len()).map(make).collect::<Vec<String>>();
        row(&mut out, "", &each(&|rule| self.names()[rule].to_owned()));
        let healthy = &self.result.healthy;
        let of = healthy.splits.len();
        row(&mut out, "healthy: rolled back (false)", &each(&|rule| of_n(counts(healthy, rule).rolled_back, of)));
        row(&mut out, "         promoted", &each(&|rule| of_n(counts(healthy, rule).promoted, of)));
        if counts(healthy, 0).invalid > 0 {
            row(&mut out, "         invalid", &[of_n(counts(healthy, 0).invalid, of)]);
        }
        let planted = &self.result.planted;
        let of = planted.splits.len();
        row(&mut out, &format!("{}:", planted.change), &[]);
        row(&mut out, "         promoted (false)", &each(&|rule| of_n(counts(planted, rule).promoted, of)));
        row(&mut out, "         rolled back", &each(&|rule| of_n(counts(planted, rule).rolled_back, of)));
        writeln!(out)?;
        writeln!(
            out,
            "At your traffic, a change is visible after (until {:.0} % of splits are rolled back; * rolls back healthy code too)",
            VISIBLE_SHARE * 100.0
        )?;
        for group in &self.result.ladder {
            let cells = each(&|rule| self.visible_after(group, rule));
            row(&mut out, &group.change.to_string(), &cells);
        }
        writeln!(out, "  (N of {}: so many were rolled back by the end of the log)", self.options.ladder_splits)?;
        writeln!(out)?;
        for note in self.notes() {
            for (at, line) in wrap_words(&note, 98).into_iter().enumerate() {
                writeln!(out, "  {} {line}", if at == 0 { "-" } else { " " })?;
            }
        }
        Ok(out)
    }

    /// When a change is visible to a rule, in words.
    fn visible_after(&self, group: &Group, rule: usize) -> String {
        let star = if self.is_noisy(rule) { " *" } else { "" };
        match time_by(group, rule, VISIBLE_SHARE) {
            Some(time) => format!("{}{star}", seconds(time)),
            None => format!("{}{star}", of_n(counts(group, rule).rolled_back, group.splits.len())),
        }
    }

    /// Everything that a page says.
    fn page(&self) -> Calibrated {
        let (healthy, planted) = (&self.result.healthy, &self.result.planted);
        let rule = |(rule, name): (usize, &'static str)| {
            let (of_healthy, of_planted) = (counts(healthy, rule), counts(planted, rule));
            Rule {
                name,
                healthy: [of_healthy.rolled_back, of_healthy.promoted, of_healthy.invalid],
                planted: [of_planted.promoted, of_planted.rolled_back],
                is_noisy: self.is_noisy(rule),
            }
        };
        let visible = |group: &Group| Visible {
            change: group.change.to_string(),
            by_rule: (0..self.names().len())
                .map(|rule| (self.visible_after(group, rule), time_by(group, rule, VISIBLE_SHARE)))
                .collect(),
        };
        Calibrated {
            intro: self.intro(),
            splits: [healthy.splits.len(), planted.splits.len()],
            planted: planted.change.to_string(),
            rules: self.names().into_iter().enumerate().map(rule).collect(),
            visible_percent: VISIBLE_SHARE * 100.0,
            visible: self.result.ladder.iter().map(visible).collect(),
            visible_splits: self.options.ladder_splits,
            notes: self.notes(),
            command: output::own_command(),
        }
    }

    /// A rule that rolls back one healthy canary in ten: its speed says little.
    fn is_noisy(&self, rule: usize) -> bool {
        let healthy = &self.result.healthy;
        counts(healthy, rule).rolled_back as f64 > NOISY_SHARE * healthy.splits.len() as f64
    }

    fn notes(&self) -> Vec<String> {
        let facts = &self.log.facts;
        let limits = self.result.limits;
        let mut notes = vec![
            format!(
                "Flagger's rule: at most 9 minutes below {:.1} % success{}; promotes after 60 good ones. Kayenta's judge: the last hour, every minute from the 50th on; promotes after 3 h. z-test: error rates, one-sided 5 %, every minute; promotes after a day.",
                limits.success_rate_percent_min,
                if facts.latency.count > 0 {
                    format!(" or above a p99 of {:.0} ms", limits.latency_p99_ms_max)
                } else {
                    String::new()
                }
            ),
            "A minute without traffic is a failed check for Flagger. Serin watches to the end of the log, also after a pass; the others stop at their first decision. What is neither rolled back nor promoted was undecided when the log ended.".to_owned(),
            format!(
                "Split N is what `serin compare --arm-by 'hash(unit, {}, N)'` judges.",
                self.arguments.share.trim()
            ),
        ];
        let invalid = counts(&self.result.healthy, 0).invalid;
        if invalid > 0 {
            notes.push(format!(
                "{} splits could not be judged: `serin compare` with their number says why. They prove nothing.",
                grouped(invalid as u64)
            ));
        }
        if self.found.releases.len() > 1 && self.arguments.logs.how.service.is_none() {
            notes.push(format!(
                "Judged: {}, which has the most requests; --service NAME takes another.",
                harmless(&self.log.entry.to_string(), 60)
            ));
        }
        if self.arguments.baseline.is_none() && !self.found.arm_candidates.is_empty() {
            let field = harmless(&self.found.arm_candidates[0].0, 60);
            notes.push(format!(
                "All lines were split, whatever their `{field}`; --baseline '{field}:VALUE' takes only some."
            ));
        }
        if matches!(self.found.plan.unit, UnitKind::Trace | UnitKind::Request) {
            notes.push(format!(
                "No field tells users apart, so {} were split, and each counted by itself. That proves nothing of rollouts in which users stick to an arm.",
                self.units()
            ));
        }
        if facts.without_unit > 0 {
            notes.push(format!(
                "{} requests name no {} and belong to no arm.",
                grouped(facts.without_unit),
                self.found.plan.unit.name()
            ));
        }
        if facts.other_arms > 0 {
            notes.push(format!("{} lines do not match --baseline and were left out.", grouped(facts.other_arms)));
        }
        if facts.rejected > 0 {
            notes.push(format!("{} of {} lines were rejected.", grouped(facts.rejected), grouped(facts.lines)));
        }
        if !self.log.in_memory {
            notes.push("The log is too large to keep, so it was read again for each split.".to_owned());
        }
        notes
    }

    fn json(&self) -> Value {
        let facts = &self.log.facts;
        let limits = self.result.limits;
        json!({
            "version": DOCUMENT_VERSION,
            "service": self.log.entry.service,
            "environment": self.log.entry.environment,
            "unit": self.found.plan.unit.name(),
            "lines": facts.lines,
            "rejected": facts.rejected,
            "requests": facts.requests,
            "errors": facts.errors,
            "units": facts.units,
            "without_unit": facts.without_unit,
            "first": facts.span.map(|(first, _)| first.to_string()),
            "last": facts.span.map(|(_, last)| last.to_string()),
            "share": f64::from(self.options.share_ppm) / 1e6,
            "rules": self.names(),
            "limits": {
                "success_rate_percent_min": limits.success_rate_percent_min,
                "latency_p99_ms_max": limits.latency_p99_ms_max,
            },
            "healthy": self.group(&self.result.healthy, true),
            "planted": self.group(&self.result.planted, true),
            "visible": self.result.ladder.iter().map(|group| self.group(group, false)).collect::<Vec<_>>(),
            "in_memory": self.log.in_memory,
        })
    }

    fn group(&self, group: &Group, each: bool) -> Value {
        let rules: Vec<Value> = self
            .names()
            .iter()
            .enumerate()
            .map(|(rule, name)| {
                let counts = counts(group, rule);
                json!({
                    "rule": name,
                    "rolled_back": counts.rolled_back,
                    "promoted": counts.promoted,
                    "invalid": counts.invalid,
                    "seconds_half": time_by(group, rule, 0.5),
                    "seconds_visible": time_by(group, rule, VISIBLE_SHARE),
                })
            })
            .collect();
        let mut value = json!({
            "change": match group.change {
                Change::None => Value::Null,
                Change::Errors { ppm } => json!({ "errors": f64::from(ppm) / 1e6 }),
                Change::Slower { percent } => json!({ "latency": f64::from(percent) / 100.0 }),
            },
            "splits": group.splits.len(),
            "rules": rules,
        });
        if each {
            let list: Vec<Value> = group
                .splits
                .iter()
                .map(|split| {
                    json!({
                        "seed": split.seed,
                        "verdict": split.verdict.map(crate::compare::verdict::Verdict::name),
                        "seconds_to_fail": split.serin.failed_after,
                        "seconds_to_pass": split.serin.passed_after,
                    })
                })
                .collect();
            value["by_split"] = Value::from(list);
        }
        value
    }
}

fn of_n(count: usize, of: usize) -> String {
    format!("{} of {}", grouped(count as u64), grouped(of as u64))
}
