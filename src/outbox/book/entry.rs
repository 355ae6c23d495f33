//! What a book reads of an entry of the ledger.

use serde_json::{Map, Value};

use crate::compare::verdict::Behaviour;
use crate::engine::look::LOG_CHANGED;
use crate::ledger;

pub(super) fn texts(list: Option<&Value>) -> Vec<String> {
    let list = list.and_then(Value::as_array);
    list.map(|list| list.iter().filter_map(Value::as_str).map(str::to_owned).collect()).unwrap_or_default()
}

/// Evidence beyond any that matters; JSON knows no infinity.
const LOG_E_BEYOND: f64 = 1e6;

/// A number of the ledger; no number says `"inf"`.
pub(super) fn number_of(value: Option<&Value>) -> f64 {
    let number: f64 = match value {
        Some(Value::String(text)) => text.parse().unwrap_or(0.0),
        Some(value) => value.as_f64().unwrap_or(0.0),
        None => 0.0,
    };
    if number.is_nan() { 0.0 } else { number.clamp(-LOG_E_BEYOND, LOG_E_BEYOND) }
}

pub(super) fn rounded(log_e: f64) -> Value {
    ledger::rounded((log_e / std::f64::consts::LN_10 * 1e3).round() / 1e3)
}

/// The name of lines of level error or worse that carry a failure, among what regressed.
const ERROR_LINES: &str = "error_lines";

pub(super) fn regressed(entry: &Map<String, Value>) -> Vec<(String, f64)> {
    let mut list: Vec<(String, f64)> = ["cells", "metrics", "conversions"]
        .iter()
        .filter_map(|kind| entry.get(*kind)?.as_object())
        .flatten()
        .filter(|(_, cell)| cell.get("finding").and_then(Value::as_str) == Some("regressed"))
        .map(|(name, cell)| (name.clone(), number_of(cell.get("log_e"))))
        .collect();
    list.extend(error_lines(entry).map(|log_e| (ERROR_LINES.to_owned(), log_e)));
    list.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    list
}

/// ln e of the one of the error lines that carry a failure for which it is largest.
fn error_lines(entry: &Map<String, Value>) -> Option<f64> {
    let list = |name: &str| entry.get("templates")?.get(name)?.as_array();
    let (failing, listed) = (list("failing")?, list("errors")?);
    let carries = |line: &&Value| line.get("id").is_some_and(|id| failing.contains(id));
    listed.iter().filter(carries).map(|line| number_of(line.get("log_e"))).max_by(f64::total_cmp)
}

/// Limits whose break fails the rollout.
pub(super) fn over_limit(entry: &Map<String, Value>) -> Vec<String> {
    let limits = entry.get("limits").and_then(Value::as_object);
    let fails = |limit: &Value| limit.get("fails").and_then(Value::as_bool) == Some(true);
    limits.into_iter().flatten().filter(|(_, limit)| fails(limit)).map(|(name, _)| name.clone()).collect()
}

/// Behaviours with evidence that they changed, without those that are expected.
pub(super) fn changed(entry: &Map<String, Value>, expected: &[String]) -> Vec<String> {
    let groups = entry.get("changed").and_then(Value::as_object);
    groups
        .into_iter()
        .flatten()
        .filter(|(name, log_e)| {
            // Of log lines, those that are expected by themselves do not count.
            let templates = entry.get("templates").filter(|_| *name == Behaviour::Templates.name());
            let log_e = templates.and_then(|templates| templates.get("log_unexpected")).unwrap_or(log_e);
            number_of(Some(log_e)) >= LOG_CHANGED && !expected.contains(name)
        })
        .map(|(name, _)| name.clone())
        .collect()
}
