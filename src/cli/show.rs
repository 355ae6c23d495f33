//! `serin show`: a ledger for people.

use std::io::Write;

use serde_json::{Map, Value};

use crate::cli::arguments::ShowArguments;
use crate::cli::replay::read_ledger;
use crate::cli::report::{count, grouped, strength};
use crate::cli::terminal::harmless;

/// Runs `show`.
pub(super) fn run(arguments: &ShowArguments) -> anyhow::Result<u8> {
    let (_, entries) = read_ledger(&arguments.ledger)?;
    let mut out = std::io::stdout().lock();
    for entry in &entries {
        writeln!(out, "{}", describe(entry))?;
    }
    writeln!(out, "{}, the chain is whole.", count(entries.len() as u64, "entry"))?;
    Ok(0)
}

fn describe(entry: &Map<String, Value>) -> String {
    let word = |key: &str| word(entry, key);
    let number = |key: &str| number(entry, key);
    let who = || format!("{} {}", word("service"), word("candidate"));
    match entry.get("kind").and_then(Value::as_str).unwrap_or("") {
        "start" => {
            let streams = entry.get("streams").and_then(Value::as_array).map_or(0, Vec::len);
            let unit = entry.get("plan").and_then(|plan| plan.get("unit")).and_then(Value::as_str).unwrap_or("?");
            format!("start     engine {}, {streams} streams, unit: {}", number("engine"), harmless(unit, 40))
        }
        "begin" => format!("begin     {}  {} against {}", word("at"), who(), word("control")),
        "look" => describe_look(entry),
        "looks" => format!(
            "looks     {} to {}  {}  {} looks without news",
            word("first_at"),
            word("last_at"),
            who(),
            number("looks")
        ),
        "notify" => {
            format!("notify    {}  {}: one of at most {} of its day", word("at"), who(), number("family"))
        }
        "ended" => {
            format!("ended     {}  {}  {}: {}", word("at"), who(), word("verdict"), word("reason").replace('_', " "))
        }
        "end" => format!(
            "end       {} records, {} late, verdicts: {}",
            number("records"),
            number("late"),
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

/// A look in full: the verdict, what is worse, and what is broken.
fn describe_look(entry: &Map<String, Value>) -> String {
    let log_sum = entry.get("log_sum").and_then(Value::as_f64).unwrap_or(0.0);
    let spaced = |name: &str| name.replace('_', " ");
    let flaws = entry.get("flaws").and_then(Value::as_array).into_iter().flatten();
    let flaws: Vec<String> = flaws.filter_map(Value::as_str).map(spaced).collect();
    let cells = entry.get("cells").and_then(Value::as_object).into_iter().flatten();
    let regressed: Vec<String> = cells
        .filter(|(_, cell)| cell.get("finding").and_then(Value::as_str) == Some("regressed"))
        .map(|(name, _)| spaced(name))
        .collect();
    let mut line = format!(
        "look      {}  {} {}  {:<12} evidence {} (ln e {log_sum:.2}), look {}",
        word(entry, "at"),
        word(entry, "service"),
        word(entry, "candidate"),
        word(entry, "verdict"),
        strength(log_sum),
        number(entry, "look")
    );
    let fell = entry.get("conversions").and_then(Value::as_object).into_iter().flatten();
    let fell: Vec<String> = fell
        .filter(|(_, event)| event.get("finding").and_then(Value::as_str) == Some("regressed"))
        .map(|(name, _)| name.clone())
        .collect();
    let metrics = entry.get("metrics").and_then(Value::as_object).into_iter().flatten();
    let metrics: Vec<String> = metrics
        .filter(|(_, metric)| metric.get("finding").and_then(Value::as_str) == Some("regressed"))
        .map(|(name, _)| name.clone())
        .collect();
    let limits = entry.get("limits").and_then(Value::as_object).into_iter().flatten();
    let beyond: Vec<String> = limits
        .filter(|(_, limit)| limit.get("broken").and_then(Value::as_bool) == Some(true))
        .map(|(name, _)| spaced(name))
        .collect();
    let segments = entry.get("segments").and_then(|of| of.get("regressed")).and_then(Value::as_array);
    let segments: Vec<String> = segments
        .into_iter()
        .flatten()
        .filter_map(|of| Some(format!("{} in segment {}", of.get(1)?.as_str()?, of.get(0)?.as_u64()? + 1)))
        .collect();
    let regressed = [regressed, segments, metrics].concat();
    for (what, list) in [("worse", regressed), ("fewer", fell), ("flaws", flaws), ("beyond the limit", beyond)] {
        if !list.is_empty() {
            line.push_str(&format!(", {what}: {}", harmless(&list.join(", "), 120)));
        }
    }
    if entry.get("held_back").and_then(Value::as_bool) == Some(true) {
        line.push_str(", held back by a changed behaviour");
    }
    line
}

/// A text of an entry; nothing where it is absent.
fn word(entry: &Map<String, Value>, key: &str) -> String {
    harmless(entry.get(key).and_then(Value::as_str).unwrap_or(""), 80)
}

/// A count of an entry; zero where it is absent.
fn number(entry: &Map<String, Value>, key: &str) -> String {
    grouped(entry.get(key).and_then(Value::as_u64).unwrap_or(0))
}
