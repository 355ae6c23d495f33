//! `serin replay`: recomputes every decision of a ledger and compares to the byte (LG-2).

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use serde_json::{Map, Value};

use crate::cli::arguments::ReplayArguments;
use crate::cli::pipelines;
use crate::cli::report::count;
use crate::cli::terminal::{self, Progress, harmless};
use crate::compare::verdict::Behaviour;
use crate::engine::limits::Limits;
use crate::engine::policy::{OfRollout, Policy, STARTS_WITHIN};
use crate::engine::{ArmChoice, ENGINE_VERSION, Engine, Output, Settings};
use crate::event::ServiceKey;
use crate::ledger;
use crate::pipeline::plan::Plan;
use crate::pipeline::prepare::Key;
use crate::pipeline::{metric, plan_text};
use crate::source::files;
use crate::source::run::{Observer, Options, run as run_streams};
use crate::time::SECOND;

/// Runs `replay`.
pub(super) fn run(arguments: &ReplayArguments) -> anyhow::Result<u8> {
    match (arguments.ledger.is_dir(), arguments.files.is_empty()) {
        (true, true) => of_state(arguments),
        (true, false) => {
            bail!("{}: a state folder has its log beside its ledger; give no files", arguments.ledger.display())
        }
        (false, true) => bail!("give the logs that the ledger was made from, or the state folder of `serin run` alone"),
        (false, false) => of_files(arguments),
    }
}

/// A state folder of `serin run`.
#[cfg(feature = "serve")]
fn of_state(arguments: &ReplayArguments) -> anyhow::Result<u8> {
    let mut recomputed = Recomputed { text: String::new(), progress: Progress::bytes(0) };
    let done = crate::cli::run::read_again(arguments, &mut recomputed);
    recomputed.progress.finish();
    let crate::cli::run::Again { recorded, entries, erased } = done?;
    // Lines may have come since the ledger was read.
    let as_many: usize = recomputed.text.split_inclusive('\n').take(entries).map(str::len).sum();
    recomputed.text.truncate(as_many);
    say(&recorded, &recomputed.text, entries, erased.as_ref())
}

#[cfg(not(feature = "serve"))]
fn of_state(arguments: &ReplayArguments) -> anyhow::Result<u8> {
    bail!("{}: a folder; this build of serin knows no state folders", arguments.ledger.display())
}

fn of_files(arguments: &ReplayArguments) -> anyhow::Result<u8> {
    let (recorded, entries) = read_ledger(&arguments.ledger)?;
    let path = arguments.ledger.display();
    let start = entries.first().ok_or_else(|| anyhow!("{path}: empty"))?;
    let key = pipelines::key(arguments.redaction_key.as_deref())?;
    let (plan, settings, streams) = ground(start, &key).with_context(|| path.to_string())?;

    let found = files::find(&arguments.files)?;
    let names: Vec<&str> = found.iter().map(|stream| stream.name.as_str()).collect();
    for wanted in &streams {
        if !names.contains(&wanted.as_str()) {
            bail!(
                "the ledger was made from `{}`, which is not among the files given; give all logs that it was made from",
                harmless(wanted, 80)
            );
        }
    }
    let logs: Vec<files::Stream> = found.into_iter().filter(|stream| streams.contains(&stream.name)).collect();

    let mut engine = Engine::new(settings);
    let mut recomputed =
        Recomputed { text: String::new(), progress: Progress::bytes(logs.iter().map(files::size_on_disk).sum()) };
    let options = Options { threads: arguments.threads.unwrap_or(Options::default().threads), ..Options::default() };
    let done = run_streams(&logs, &plan, &mut engine, plan_text::to_json(&plan), options, &mut recomputed);
    recomputed.progress.finish();
    done?;
    say(&recorded, &recomputed.text, entries.len(), None)
}

/// Lines that were taken out of the write-ahead log.
pub(super) struct Gone {
    /// How many.
    pub lines: u64,
    /// Place of the first.
    pub first: u64,
    /// Their stream.
    pub stream: &'static str,
}

impl Gone {
    /// An entry may rest on one of the lines: the first entry from it on that says how far streams were read has the first of them
    /// behind it, or none says so.
    fn explains(&self, recorded: &str, line: usize) -> bool {
        let positions = |text: &str| {
            let entry: Value = serde_json::from_str(text).ok()?;
            entry.get("positions")?.get(self.stream)?.as_u64()
        };
        recorded.lines().skip(line.saturating_sub(1)).find_map(positions).is_none_or(|read| read > self.first)
    }
}

/// Says whether two ledgers agree, and where they differ first.
fn say(recorded: &str, recomputed: &str, entries: usize, gone: Option<&Gone>) -> anyhow::Result<u8> {
    let mut out = String::new();
    let status = match ledger::compare(recorded, recomputed) {
        None => {
            writeln!(out, "Every byte agrees: {}.", count(entries as u64, "entry"))?;
            0
        }
        Some(difference) if gone.is_some_and(|gone| gone.explains(recorded, difference.line)) => {
            let before = difference.line.saturating_sub(1);
            writeln!(
                out,
                "erased: {} {} taken out (`serin forget`), and what was decided from there on cannot be made again. Every byte of the {} \
                 before agrees; the chain of those behind is whole.",
                count(gone.map_or(0, |gone| gone.lines), "line"),
                if gone.is_some_and(|gone| gone.lines == 1) { "was" } else { "were" },
                count(before as u64, "entry"),
            )?;
            3
        }
        Some(difference) => {
            writeln!(
                out,
                "The ledger differs first in line {}: {}.",
                difference.line,
                harmless(&difference.about, 200)
            )?;
            if let Some(look) = first_look(&difference) {
                writeln!(out, "  first look that differs: number {look} of this entry")?;
            }
            for (path, old, new) in difference.fields.iter().take(20) {
                writeln!(out, "  {path}: recorded {}, recomputed {}", harmless(old, 120), harmless(new, 120))?;
            }
            if difference.fields.len() > 20 {
                writeln!(out, "  and {} more", difference.fields.len() - 20)?;
            }
            1
        }
    };
    terminal::print(&out)?;
    Ok(status)
}

/// The text of a ledger whose chain is whole, and its entries.
pub(super) fn read_ledger(path: &Path) -> anyhow::Result<(String, Vec<Map<String, Value>>)> {
    let shown = path.display();
    let text = std::fs::read_to_string(path).with_context(|| format!("{shown}: cannot be read"))?;
    let entries = ledger::read(&text).map_err(|error| match error {
        ledger::LedgerError::Other => anyhow!("{shown}: {error}. `compare --ledger FILE` writes one"),
        error => anyhow!("{shown}: {error}"),
    })?;
    Ok((text, entries))
}

/// In an entry for many looks, the first whose check differs; where one list ends before the other, the first that only
/// one of them has.
fn first_look(difference: &ledger::Difference) -> Option<usize> {
    let (_, old, new) = difference.fields.iter().find(|(path, _, _)| path == "checks")?;
    // What is no list of looks (`null`) has none.
    let list = |text: &'_ str| serde_json::from_str::<String>(text).unwrap_or_default().into_bytes();
    let (old, new) = (list(old), list(new));
    let same = old.chunks(8).zip(new.chunks(8)).take_while(|(a, b)| a == b).count();
    (same * 8 < old.len().max(new.len())).then_some(same + 1)
}

/// What the first entry says everything was decided by. `key`: what redaction was keyed with.
pub(super) fn ground(start: &Map<String, Value>, key: &Key) -> anyhow::Result<(Plan, Settings, Vec<String>)> {
    if start.get("kind").and_then(Value::as_str) != Some("start") {
        bail!("the first entry does not say what everything was decided by");
    }
    let engine = start.get("engine").and_then(Value::as_u64).unwrap_or(0);
    if start.get("version").and_then(Value::as_u64) != Some(ledger::LEDGER_VERSION) || engine != ENGINE_VERSION {
        bail!("made by engine version {engine}; this is version {ENGINE_VERSION}, which may decide otherwise");
    }
    let mut plan = plan_text::from_json(start.get("plan").unwrap_or(&Value::Null))?;
    plan.preparation = plan.preparation.unlock(key)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let list = |key: &str| -> Vec<String> {
        start.get(key).and_then(Value::as_array).map(|list| list.iter().filter_map(text).collect()).unwrap_or_default()
    };
    let policy = policy_of(start.get("policy").ok_or_else(|| anyhow!("no policy"))?, &plan)?;
    let releases = start.get("releases").and_then(Value::as_array).cloned().unwrap_or_default();
    let key = |value: &Value| ServiceKey {
        environment: value.get("environment").and_then(text).unwrap_or_default(),
        cell: value.get("cell").and_then(text).unwrap_or_default(),
        service: value.get("service").and_then(text).unwrap_or_default(),
    };
    let sharing = start.get("sharing").and_then(Value::as_u64).ok_or_else(|| anyhow!("no sharing"))? as usize;
    let settings = Settings {
        windowing: plan.windowing,
        releases: releases.iter().filter_map(Value::as_array).map(|list| list.iter().map(key).collect()).collect(),
        arms: ArmChoice { control: start.get("control").and_then(text), candidates: list("candidates"), sharing },
        unit: plan.unit,
        policy,
        memory: start.get("memory").and_then(Value::as_u64).ok_or_else(|| anyhow!("no memory"))?,
    };
    Ok((plan, settings, list("streams")))
}

/// What is asked, as the first entry says it.
fn policy_of(policy: &Value, plan: &Plan) -> anyhow::Result<Policy> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let flag = |key: &str| policy.get(key).and_then(Value::as_bool).ok_or_else(|| anyhow!("policy.{key}"));
    let expect = policy.get("expect").and_then(Value::as_array).cloned().unwrap_or_default();
    // Where there are none, the entry does not name them.
    let limits = match policy.get("limits") {
        None => Limits::default(),
        Some(limits) => {
            let number = |key: &str| match limits.get(key) {
                None | Some(Value::Null) => Ok(None),
                Some(value) => value.as_u64().map(Some).ok_or_else(|| anyhow!("policy.limits.{key}")),
            };
            Limits {
                errors_ppm: number("errors_ppm")?
                    .map(u32::try_from)
                    .transpose()
                    .map_err(|_| anyhow!("policy.limits.errors_ppm"))?,
                p99_us: number("p99_us")?,
                fails: limits.get("fails").and_then(Value::as_bool).ok_or_else(|| anyhow!("policy.limits.fails"))?,
            }
        }
    };
    let conversions = plan_text::conversions_from_json(policy.get("conversions"))?;
    Ok(Policy {
        segments: plan.segments.clone(),
        conversions,
        metrics: metric::from_json(policy.get("metrics")).ok_or_else(|| anyhow!("policy.metrics"))?,
        limits,
        errors: flag("errors")?,
        latency: flag("latency")?,
        next_share: policy.get("next_share").and_then(Value::as_f64).ok_or_else(|| anyhow!("policy.next_share"))?,
        requests_assigned: policy.get("assignment").and_then(Value::as_str) == Some("requests"),
        steps: match policy.get("steps_ppm") {
            None => Vec::new(),
            Some(list) => {
                let of = |ppm: &Value| ppm.as_u64().and_then(|ppm| u32::try_from(ppm).ok());
                let list = list.as_array().and_then(|list| list.iter().map(of).collect());
                list.ok_or_else(|| anyhow!("policy.steps_ppm"))?
            }
        },
        minimum_time: policy
            .get("minimum_seconds")
            .and_then(Value::as_i64)
            .and_then(|seconds| seconds.checked_mul(SECOND))
            .ok_or_else(|| anyhow!("policy.minimum_seconds"))?,
        expect: expect.iter().filter_map(|name| name.as_str().and_then(Behaviour::from_name)).collect(),
        declared_share: policy.get("declared_share").and_then(Value::as_f64),
        step_share: policy.get("step_share").and_then(Value::as_f64),
        starts_within: policy.get("starts_within_us").and_then(Value::as_i64).unwrap_or(STARTS_WITHIN),
        release: policy
            .get("release")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(text).collect())
            .unwrap_or_default(),
        expect_templates: expected_templates(policy)?,
        candidates: policy
            .get("candidates")
            .and_then(Value::as_array)
            .map(|names| names.iter().filter_map(text).collect())
            .unwrap_or_default(),
        rollouts: policy
            .get("rollouts")
            .and_then(Value::as_array)
            .map(|list| list.iter().map(|of| of_rollout(of, plan)).collect::<anyhow::Result<_>>())
            .transpose()?
            .unwrap_or_default(),
    })
}

/// What a declared rollout asks.
fn of_rollout(value: &Value, plan: &Plan) -> anyhow::Result<OfRollout> {
    let services = value.get("services").and_then(Value::as_array).ok_or_else(|| anyhow!("policy.rollouts"))?;
    Ok(OfRollout {
        environment: value.get("environment").and_then(Value::as_str).map(str::to_owned),
        services: services.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        policy: policy_of(value.get("policy").unwrap_or(&Value::Null), plan)?,
    })
}

/// Ids of templates that are expected; the entry names them only where there are some.
fn expected_templates(policy: &Value) -> anyhow::Result<Vec<u64>> {
    let Some(list) = policy.get("expect_templates").and_then(Value::as_array) else { return Ok(Vec::new()) };
    list.iter()
        .map(|id| id.as_str().and_then(|id| u64::from_str_radix(id, 16).ok()))
        .collect::<Option<Vec<u64>>>()
        .ok_or_else(|| anyhow!("policy.expect_templates"))
}

struct Recomputed {
    text: String,
    progress: Progress,
}

impl Observer for Recomputed {
    fn outputs(&mut self, _: &Engine, outputs: Vec<Output>) -> std::io::Result<()> {
        for output in outputs {
            if let Output::Entry(line) = output {
                self.text.push_str(&line);
            }
        }
        Ok(())
    }

    fn progress(&mut self, bytes: u64) {
        self.progress.add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_look_that_differs_is_named_also_where_a_list_is_longer() {
        let of = |old: &str, new: &str| {
            let fields = vec![("checks".to_owned(), old.to_owned(), new.to_owned())];
            first_look(&ledger::Difference { line: 2, about: String::new(), fields })
        };
        let quoted = |checks: &str| format!("\"{checks}\"");
        let (one, two, other) = ("00000001", "0000000100000002", "0000000100000003");
        assert_eq!(of(&quoted(two), &quoted(other)), Some(2));
        assert_eq!(of(&quoted(two), &quoted(one)), Some(2), "the recorded list is longer");
        assert_eq!(of(&quoted(one), &quoted(two)), Some(2), "the recomputed list is longer");
        assert_eq!(of(&quoted(two), "null"), Some(1));
        assert_eq!(of(&quoted(two), &quoted(two)), None);
    }
}
