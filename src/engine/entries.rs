//! Bodies of ledger entries.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::compare::budget;
use crate::compare::verdict::{Behaviour, Cell, Finding};
use crate::engine::comparison::Comparison;
use crate::engine::ending::EndReason;
use crate::engine::latency_tests::Level;
use crate::engine::limits::{Limit, Limits};
use crate::engine::look::Margins;
use crate::engine::policy::{Policy, STARTS_WITHIN};
use crate::engine::segments::{self, SegmentTest};
use crate::engine::{ENGINE_VERSION, Settings};
use crate::event::{self, RejectReason, ServiceKey};
use crate::ledger::{LEDGER_VERSION, rounded};
use crate::pipeline::{metric, plan_text};
use crate::sketch::latency::bin_low;
use crate::sketch::partial::Tally;
use crate::time::Timestamp;

/// Error templates that a look names.
const TEMPLATES_TOLD: usize = 8;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn services(list: &[ServiceKey]) -> Vec<Value> {
    let one = |key: &ServiceKey| {
        let mut one = object(json!({ "environment": key.environment, "service": key.service }));
        if !key.cell.is_empty() {
            one.insert("cell".to_owned(), Value::from(key.cell.as_str()));
        }
        Value::Object(one)
    };
    list.iter().map(one).collect()
}

/// Ids as 16 digits each: numbers of JSON are no 64 bits.
fn hexes(ids: &[u64]) -> Value {
    ids.iter().map(|id| Value::from(format!("{id:016x}"))).collect()
}

/// What everything is decided by.
pub(super) fn start(settings: &Settings, plan: Value, streams: &[&String]) -> Map<String, Value> {
    let policy = &settings.policy;
    object(json!({
        "version": LEDGER_VERSION,
        "engine": ENGINE_VERSION,
        "plan": plan,
        "policy": of_policy(policy),
        "control": settings.arms.control,
        "candidates": settings.arms.candidates,
        "sharing": settings.arms.sharing,
        "releases": settings.releases.iter().map(|list| services(list)).collect::<Vec<_>>(),
        "streams": streams,
        "memory": settings.memory,
    }))
}

/// What is asked; what it may leave out is named only where it is there.
fn of_policy(policy: &Policy) -> Map<String, Value> {
    let mut of_policy = object(json!({
        "errors": policy.errors,
        "latency": policy.latency,
        "next_share": policy.next_share,
        "minimum_seconds": policy.minimum_time / crate::time::SECOND,
        "expect": policy.expect.iter().map(|group| group.name()).collect::<Vec<_>>(),
        "declared_share": policy.declared_share,
        "release": policy.release,
    }));
    if policy.requests_assigned {
        of_policy.insert("assignment".to_owned(), json!("requests"));
    }
    if !policy.steps.is_empty() {
        of_policy.insert("steps_ppm".to_owned(), json!(policy.steps));
    }
    if !policy.conversions.is_empty() {
        of_policy.insert("conversions".to_owned(), plan_text::conversions_to_json(&policy.conversions));
    }
    if !policy.metrics.is_empty() {
        of_policy.insert("metrics".to_owned(), metric::to_json(&policy.metrics));
    }
    if !policy.expect_templates.is_empty() {
        of_policy.insert("expect_templates".to_owned(), hexes(&policy.expect_templates));
    }
    if !policy.limits.is_none() {
        let Limits { errors_ppm, p99_us, fails } = policy.limits;
        of_policy.insert("limits".to_owned(), json!({ "errors_ppm": errors_ppm, "p99_us": p99_us, "fails": fails }));
    }
    if !policy.candidates.is_empty() {
        of_policy.insert("candidates".to_owned(), json!(policy.candidates));
    }
    if let Some(share) = policy.step_share {
        of_policy.insert("step_share".to_owned(), json!(share));
    }
    if policy.starts_within != STARTS_WITHIN {
        of_policy.insert("starts_within_us".to_owned(), json!(policy.starts_within));
    }
    if !policy.rollouts.is_empty() {
        let rollouts = policy.rollouts.iter().map(|of| {
            json!({
                "environment": of.environment,
                "services": of.services,
                "policy": self::of_policy(&of.policy),
            })
        });
        of_policy.insert("rollouts".to_owned(), rollouts.collect());
    }
    of_policy
}

/// A comparison begins.
pub(super) fn begin(
    name: &str,
    list: &[ServiceKey],
    comparison: &Comparison,
    settings: &Settings,
) -> Map<String, Value> {
    let conversions = &comparison.conversions;
    let weights: BTreeMap<&str, f64> =
        Cell::ALL.into_iter().map(|cell| (cell.name(), cell.weight(comparison.own_guardrails()))).collect();
    let mut begin = object(json!({
        "service": name,
        "services": services(list),
        "control": comparison.control,
        "candidate": comparison.candidate,
        "control_from": comparison.control_from.name(),
        "unit": comparison.unit.name(),
        "at": comparison.started_at.to_string(),
        "log_fail": rounded(comparison.log_fail),
        "window_seconds": settings.windowing.window as f64 / crate::time::SECOND as f64,
        "weights": weights,
    }));
    if !comparison.segments.is_none() {
        begin.insert("segment_weight".to_owned(), json!(segments::weight()));
    }
    let weight = budget::other_guardrail_weight(comparison.own_guardrails());
    if !conversions.is_empty() {
        let each: BTreeMap<&str, f64> = conversions.iter().map(|of| (of.name.as_str(), weight)).collect();
        begin.insert("conversions".to_owned(), json!(each));
    }
    if !comparison.metrics.is_empty() {
        let each: BTreeMap<&str, f64> = comparison.metrics.iter().map(|of| (of.metric.name.as_str(), weight)).collect();
        begin.insert("metrics".to_owned(), json!(each));
    }
    begin
}

/// A rollout is over: its last word.
pub(super) fn ended(name: &str, comparison: &Comparison, at: Timestamp, reason: EndReason) -> Map<String, Value> {
    object(json!({
        "service": name,
        "control": comparison.control,
        "candidate": comparison.candidate,
        "at": at.to_string(),
        "reason": reason.name(),
        "look": comparison.looks,
        "verdict": comparison.look.verdict.name(),
        "held_back": comparison.look.held_back,
        "failed_at": comparison.failure.as_ref().map(|failure| failure.at.to_string()),
        "automatic_at": comparison.failure.as_ref().and_then(|failure| failure.automatic_at).map(|at| at.to_string()),
        "counters": counters(comparison),
    }))
}

/// What an entry is written for when it changes.
pub(super) fn status(comparison: &Comparison) -> String {
    let look = &comparison.look;
    let flaws: Vec<&str> = look.flaws.iter().map(|flaw| flaw.name()).collect();
    let changed: Vec<&str> = look.changed_groups().map(Behaviour::name).collect();
    let findings: Vec<&str> = Cell::ALL.into_iter().map(|cell| comparison.finding(cell).name()).collect();
    let limits: Vec<(&str, bool, bool)> = look
        .limits_that_hold_back()
        .filter_map(|limit| look.limit(limit).map(|said| (limit.name(), said.broken, said.fails)))
        .collect();
    let conversions: Vec<&str> =
        (0..comparison.conversions.len()).map(|at| comparison.conversion_finding(at).name()).collect();
    let metrics: Vec<&str> = (0..comparison.metrics.len()).map(|at| comparison.metric_finding(at).name()).collect();
    let is_automatic = comparison.failure.as_ref().is_some_and(|failure| failure.automatic_at.is_some());
    let segments = look.leading_segments(comparison.log_fail).into_iter();
    let regressed: Vec<_> = segments
        .filter(|of| comparison.segment_finding(*of) == Finding::Regressed)
        .map(|(at, test)| (at, test.name()))
        .collect();
    format!(
        "{} {is_automatic} {} {:?} {flaws:?} {changed:?} {findings:?} {} {limits:?} {conversions:?} {metrics:?} {regressed:?}",
        look.verdict.name(),
        look.would_pass,
        look.step,
        comparison.strata()
    )
}

/// One look in full.
pub(super) fn look(
    name: &str,
    comparison: &Comparison,
    policy: &Policy,
    positions: &BTreeMap<String, u64>,
) -> Map<String, Value> {
    let look = &comparison.look;
    let cells: Map<String, Value> = Cell::ALL
        .into_iter()
        .filter(|cell| look.cell(*cell).has_data)
        .map(|cell| {
            let said = look.cell(cell);
            let value = json!({
                "log_e": rounded(said.log_e),
                "log_e_start": rounded(said.log_start),
                "log_pass": rounded(said.log_pass),
                "finding": comparison.finding(cell).name(),
            });
            (cell.name().to_owned(), value)
        })
        .collect();
    let changed: Map<String, Value> = Behaviour::ALL
        .into_iter()
        .map(|group| (group.name().to_owned(), rounded(look.changed[group as usize])))
        .collect();
    let margins = Margins::of(comparison, policy);
    let thresholds: Map<String, Value> = [("p50", Level::P50), ("p90", Level::P90), ("p99", Level::P99)]
        .into_iter()
        .filter_map(|(name, level)| {
            comparison.latency.threshold(level).map(|bin| (name.to_owned(), Value::from(bin_low(bin + 1))))
        })
        .collect();
    let limits: Map<String, Value> = Limit::ALL
        .into_iter()
        .filter_map(|limit| {
            let said = look.limit(limit)?;
            let value = json!({
                "over": said.arms.map(|counted| counted.over),
                "of": said.arms.map(|counted| counted.of),
                "long": { "over": said.long.map(|counted| counted.over), "of": said.long.map(|counted| counted.of) },
                "broken": said.broken,
                "holds_back": said.holds_back,
                "fails": said.fails,
            });
            Some((limit.name().to_owned(), value))
        })
        .collect();
    let mut entry = object(json!({
        "service": name,
        "candidate": comparison.candidate,
        "at": comparison.ended_at.to_string(),
        "look": comparison.looks,
        "verdict": look.verdict.name(),
        "held_back": look.held_back,
        "would_pass": look.would_pass,
        "failed_at": comparison.failure.as_ref().map(|failure| failure.at.to_string()),
        "automatic_at": comparison.failure.as_ref().and_then(|failure| failure.automatic_at).map(|at| at.to_string()),
        "log_sum": rounded(look.log_sum),
        "cells": cells,
        "changed": changed,
        "log_changed": rounded(look.log_changed),
        "flaws": look.flaws.iter().map(|flaw| flaw.name()).collect::<Vec<_>>(),
        "sample_ratio": look.sample_ratio.map(rounded),
        "routing": format!("{:?}", comparison.routing).to_lowercase(),
        "counters": counters(comparison),
        "thresholds_us": thresholds,
        "margin_error_ratio": if margins.error_ratio.is_finite() { rounded(margins.error_ratio) } else { Value::Null },
        "digest": format!("{:016x}", comparison.digest()),
        "positions": positions,
    }));
    let conversions: Map<String, Value> = comparison
        .conversions
        .iter()
        .enumerate()
        .map(|(at, of)| {
            let strata: Vec<[u64; 4]> =
                of.units.strata().iter().map(|s| [s.canary_units, s.units, s.canary_first, s.first]).collect();
            let value = json!({
                "log_e": rounded(look.conversion(at).log_e),
                "finding": comparison.conversion_finding(at).name(),
                "strata": strata,
                "lines": of.lines,
                "without_unit": of.without_unit,
                "unassigned": of.unassigned,
            });
            (of.name.clone(), value)
        })
        .collect();
    if !conversions.is_empty() {
        entry.insert("conversions".to_owned(), Value::Object(conversions));
    }
    let metrics: Map<String, Value> = comparison
        .metrics
        .iter()
        .enumerate()
        .map(|(at, of)| {
            let value = json!({
                "kind": of.metric.kind.name(),
                "harms": of.metric.harms,
                "log_e": rounded(look.metric(at).log_e),
                "finding": comparison.metric_finding(at).name(),
                "events": of.events(),
                "lines": of.lines,
                "without_unit": of.without_unit,
                "unassigned": of.unassigned,
            });
            (of.metric.name.clone(), value)
        })
        .collect();
    if !metrics.is_empty() {
        entry.insert("metrics".to_owned(), Value::Object(metrics));
    }
    if comparison.templates.tested() != [0, 0] {
        entry.insert("templates".to_owned(), templates(comparison));
    }
    if !comparison.missed.is_nothing() {
        let (from, until) = comparison.missed.between;
        let value =
            json!({ "streams": comparison.missed.streams, "from": from.to_string(), "until": until.to_string() });
        entry.insert("missed".to_owned(), value);
    }
    if let Some(step) = look.step {
        entry.insert("step".to_owned(), json!(step));
    }
    if !limits.is_empty() {
        entry.insert("limits".to_owned(), Value::Object(limits));
    }
    if !comparison.segments.is_none() {
        entry.insert("segments".to_owned(), of_segments(comparison));
    }
    entry
}

/// What templates say: numbers and ids, never a text.
fn templates(comparison: &Comparison) -> Value {
    let said = &comparison.look.templates;
    let failing = comparison.failure.as_ref().map(|failure| hexes(&failure.templates));
    let listed: Vec<Value> = comparison
        .templates
        .list_of(true)
        .iter()
        .take(TEMPLATES_TOLD)
        .map(|listed| {
            json!({
                "id": format!("{:016x}", listed.id),
                "change": listed.change.name(),
                "log_e": rounded(listed.log_e),
                "units": listed.template.units(),
            })
        })
        .collect();
    json!({
        "tested": comparison.templates.tested(),
        "log_errors": said.log_errors.map(rounded),
        "log_unexpected": rounded(said.log_unexpected),
        "errors": listed,
        "failing": failing,
    })
}

/// What segments say: every cell with its counts, and the fields by which the arms' units differ.
fn of_segments(comparison: &Comparison) -> Value {
    let segments = &comparison.segments;
    let cells: Vec<Value> = segments
        .cells
        .iter()
        .enumerate()
        .map(|(at, cell)| {
            let strata: Vec<[u64; 4]> = cell
                .units
                .strata()
                .iter()
                .filter(|s| s.units > 0)
                .map(|s| [s.canary_units, s.units, s.canary_first, s.first])
                .collect();
            let log_e = SegmentTest::ALL.map(|test| comparison.look.segment((at, test)).map(rounded));
            // Of a value, which is text of a log, only its hash.
            json!({ "field": cell.field, "value": format!("{:016x}", event::identity_hash(cell.value.as_bytes())), "log_e": log_e, "strata": strata })
        })
        .collect();
    let regressed = comparison.look.leading_segments(comparison.log_fail).into_iter();
    let regressed: Vec<(usize, &str)> = regressed
        .filter(|of| comparison.segment_finding(*of) == Finding::Regressed)
        .map(|(at, test)| (at, test.name()))
        .collect();
    json!({ "cells": cells, "regressed": regressed, "unequal": comparison.look.unequal, "past_bound": segments.past_bound })
}

/// Counters by name: what a replay that differs is told by.
fn counters(comparison: &Comparison) -> Value {
    let [units_control, units_candidate] = comparison.distinct;
    let [requests_control, requests_candidate] = comparison.error_volume.events();
    let [errors_control, errors_candidate] = comparison.error_volume.sums();
    let [latency_control, latency_candidate] = comparison.latency.mean.events();
    let strata: Vec<[u64; 4]> =
        comparison.error_units.strata().iter().map(|s| [s.canary_units, s.units, s.canary_first, s.first]).collect();
    json!({
        "units": [units_control, units_candidate],
        "requests": [requests_control, requests_candidate],
        "errors": [errors_control, errors_candidate],
        "latencies": [latency_control, latency_candidate],
        "traces": comparison.lines.events(),
        "error_strata": strata,
        "unassigned": comparison.unassigned,
    })
}

/// 32 bits by which a look without an entry of its own can be told from another.
pub(super) fn check(comparison: &Comparison) -> u32 {
    let text = format!(
        "{} {:016x} {} {}",
        comparison.looks,
        comparison.digest(),
        rounded(comparison.look.log_sum),
        rounded(comparison.look.log_changed)
    );
    xxhash_rust::xxh3::xxh3_64(text.as_bytes()) as u32
}

/// Looks that changed nothing.
pub(super) fn looks(
    name: &str,
    comparison: &Comparison,
    first: Timestamp,
    last: Timestamp,
    checks: &[u32],
) -> Map<String, Value> {
    let text: String = checks.iter().map(|check| format!("{check:08x}")).collect();
    object(json!({
        "service": name,
        "candidate": comparison.candidate,
        "first_at": first.to_string(),
        "last_at": last.to_string(),
        "looks": checks.len(),
        "checks": text,
        "counters": counters(comparison),
    }))
}

/// Somebody is to be told of a rollout that was discovered; `family`: rollouts that its day was planned for.
pub(super) fn notify(name: &str, comparison: &Comparison, family: u32) -> Map<String, Value> {
    object(json!({
        "service": name,
        "candidate": comparison.candidate,
        "at": comparison.ended_at.to_string(),
        "look": comparison.looks,
        "log_sum": rounded(comparison.look.log_sum),
        "family": family,
    }))
}

/// Nothing more comes.
pub(super) fn end(
    tally: &Tally,
    verdicts: Vec<(String, Vec<(String, String)>)>,
    positions: &BTreeMap<String, u64>,
) -> Map<String, Value> {
    let rejects: Map<String, Value> = RejectReason::ALL
        .into_iter()
        .zip(tally.rejects)
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| (reason.name().to_owned(), Value::from(count)))
        .collect();
    let verdicts: Vec<Value> = verdicts
        .into_iter()
        .flat_map(|(service, list)| {
            list.into_iter().map(move |(candidate, verdict)| {
                json!({ "service": service.clone(), "candidate": candidate, "verdict": verdict })
            })
        })
        .collect();
    object(json!({
        "records": tally.records,
        "events": tally.events,
        "on_time": tally.on_time,
        "late": tally.late,
        "outside": tally.outside,
        "rejects": rejects,
        "verdicts": verdicts,
        "positions": positions,
    }))
}
