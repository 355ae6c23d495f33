//! `serin show`: a ledger for people.

use std::io::Write;

use anyhow::Context;
use serde_json::{Map, Value};

use crate::cli::arguments::ShowArguments;
use crate::cli::report::{grouped, strength};
use crate::cli::terminal::harmless;
use crate::ledger;

/// Runs `show`.
pub(super) fn run(arguments: &ShowArguments) -> anyhow::Result<u8> {
    let path = arguments.ledger.display();
    let text = std::fs::read_to_string(&arguments.ledger).with_context(|| format!("{path}: cannot be read"))?;
    let entries = ledger::read(&text).with_context(|| path.to_string())?;
    let mut out = std::io::stdout().lock();
    for entry in &entries {
        writeln!(out, "{}", describe(entry))?;
    }
    writeln!(out, "{} entries, the chain is whole.", grouped(entries.len() as u64))?;
    Ok(0)
}

fn describe(entry: &Map<String, Value>) -> String {
    let word = |key: &str| harmless(entry.get(key).and_then(Value::as_str).unwrap_or(""), 80);
    let count = |key: &str| grouped(entry.get(key).and_then(Value::as_u64).unwrap_or(0));
    let who = || format!("{} {}", word("service"), word("candidate"));
    match entry.get("kind").and_then(Value::as_str).unwrap_or("") {
        "start" => {
            let streams = entry.get("streams").and_then(Value::as_array).map_or(0, Vec::len);
            let unit = entry.get("plan").and_then(|plan| plan.get("unit")).and_then(Value::as_str).unwrap_or("?");
            format!("start     engine {}, {streams} streams, unit: {}", count("engine"), harmless(unit, 40))
        }
        "begin" => format!("begin     {}  {} against {}", word("at"), who(), word("control")),
        "look" => {
            let log_sum = entry.get("log_sum").and_then(Value::as_f64).unwrap_or(0.0);
            let flaws: Vec<String> = entry
                .get("flaws")
                .and_then(Value::as_array)
                .map(|list| list.iter().filter_map(Value::as_str).map(|flaw| flaw.replace('_', " ")).collect())
                .unwrap_or_default();
            let regressed: Vec<String> = entry
                .get("cells")
                .and_then(Value::as_object)
                .map(|cells| {
                    cells
                        .iter()
                        .filter(|(_, cell)| cell.get("finding").and_then(Value::as_str) == Some("regressed"))
                        .map(|(name, _)| name.replace('_', " "))
                        .collect()
                })
                .unwrap_or_default();
            let mut line = format!(
                "look      {}  {}  {:<12} evidence {} (ln e {log_sum:.2}), look {}",
                word("at"),
                who(),
                word("verdict"),
                strength(log_sum),
                count("look")
            );
            for (what, list) in [("worse", regressed), ("flaws", flaws)] {
                if !list.is_empty() {
                    line.push_str(&format!(", {what}: {}", harmless(&list.join(", "), 120)));
                }
            }
            if entry.get("held_back").and_then(Value::as_bool) == Some(true) {
                line.push_str(", held back by a changed behaviour");
            }
            line
        }
        "looks" => format!(
            "looks     {} to {}  {}  {} looks without news",
            word("first_at"),
            word("last_at"),
            who(),
            count("looks")
        ),
        "ended" => {
            format!("ended     {}  {}  {}: {}", word("at"), who(), word("verdict"), word("reason").replace('_', " "))
        }
        "end" => format!(
            "end       {} records, {} late, verdicts: {}",
            count("records"),
            count("late"),
            entry
                .get("verdicts")
                .and_then(Value::as_array)
                .map(|list| {
                    list.iter()
                        .map(|verdict| {
                            let part =
                                |key: &str| harmless(verdict.get(key).and_then(Value::as_str).unwrap_or("?"), 60);
                            format!("{} {} {}", part("service"), part("candidate"), part("verdict"))
                        })
                        .collect::<Vec<_>>()
                        .join("; ")
                })
                .unwrap_or_default()
        ),
        other => format!("{}    (an entry of a later version)", harmless(other, 40)),
    }
}
