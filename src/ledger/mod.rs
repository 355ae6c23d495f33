//! The record of decisions: canonical NDJSON, each entry carrying the hash of the one before (LG-1).
//!
//! Keys are sorted, numbers are integers or ln e rounded to 1e-6, so equal decisions have equal bytes (LG-2). The ledger
//! holds counters, evidence, positions, queries and hashes; never log text and never the name of a unit.

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Version of the format.
pub const LEDGER_VERSION: u64 = 1;

/// Hash that stands before the first entry.
pub const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Appends entries.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// Hash of the entry before.
    pub previous: String,
    /// Entries so far.
    pub entries: u64,
}

impl Default for Chain {
    fn default() -> Self {
        Chain { previous: GENESIS.to_owned(), entries: 0 }
    }
}

impl Chain {
    /// The next entry as one line, with its newline.
    pub fn append(&mut self, kind: &str, mut body: Map<String, Value>) -> String {
        body.insert("entry".to_owned(), Value::from(self.entries));
        body.insert("kind".to_owned(), Value::from(kind));
        body.insert("previous".to_owned(), Value::from(self.previous.as_str()));
        let mut line = Value::Object(body).to_string();
        self.previous = hash_of(&line);
        self.entries += 1;
        line.push('\n');
        line
    }
}

/// SHA-256 of an entry, without its newline, in hexadecimal.
pub fn hash_of(line: &str) -> String {
    Sha256::digest(line.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A ledger that is not one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LedgerError {
    /// The text has no entry.
    #[error("the ledger is empty")]
    Empty,
    /// The first line is no entry: this is some other file.
    #[error("this is no ledger: its first line is not the start of a chain of decisions")]
    Other,
    /// A line is not an entry.
    #[error("line {line}: {why}")]
    Line {
        /// Number of the line, from 1.
        line: usize,
        /// What is wrong.
        why: String,
    },
    /// The chain is broken.
    #[error("line {line}: the entry before this one was altered or removed (hash {found}, expected {expected})")]
    Chain {
        /// Number of the line, from 1.
        line: usize,
        /// What the entry carries.
        found: String,
        /// What it should carry.
        expected: String,
    },
}

/// Reads a ledger and checks its chain.
///
/// # Errors
/// The first line that is not a valid entry of an unbroken chain.
pub fn read(text: &str) -> Result<Vec<Map<String, Value>>, LedgerError> {
    let mut entries = Vec::new();
    let mut previous = GENESIS.to_owned();
    for (at, line) in text.lines().enumerate() {
        let number = at + 1;
        let wrong = |why: String| LedgerError::Line { line: number, why };
        let parsed = serde_json::from_str::<Value>(line);
        if at == 0 && !parsed.as_ref().is_ok_and(|first| first.get("previous").is_some()) {
            return Err(LedgerError::Other);
        }
        let Value::Object(entry) = parsed.map_err(|error| wrong(error.to_string()))? else {
            return Err(wrong("not a JSON object".to_owned()));
        };
        let found = entry.get("previous").and_then(Value::as_str).unwrap_or("nothing").to_owned();
        if found != previous {
            return Err(LedgerError::Chain { line: number, found, expected: previous });
        }
        if entry.get("entry").and_then(Value::as_u64) != Some(at as u64) {
            return Err(wrong(format!("entry number {at} expected")));
        }
        if entry.get("kind").and_then(Value::as_str).is_none() {
            return Err(wrong("no kind".to_owned()));
        }
        previous = hash_of(line);
        entries.push(entry);
    }
    if entries.is_empty() { Err(LedgerError::Empty) } else { Ok(entries) }
}

/// ln e for a ledger: rounded to 1e-6, so that it does not carry more digits than it is good for.
pub fn rounded(log_e: f64) -> Value {
    let value = (log_e * 1e6).round() / 1e6;
    // Minus zero is zero; what is no number says so.
    if value.is_finite() { Value::from(value + 0.0) } else { Value::from(value.to_string()) }
}

/// Where two ledgers part.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// Number of the line, from 1.
    pub line: usize,
    /// What the entry is about: kind, release, candidate, window.
    pub about: String,
    /// Fields that differ: path, recorded, recomputed.
    pub fields: Vec<(String, String, String)>,
}

/// Compares a recorded ledger with a recomputed one to the byte.
pub fn compare(recorded: &str, recomputed: &str) -> Option<Difference> {
    if recorded == recomputed {
        return None;
    }
    let mut old = recorded.lines();
    let mut new = recomputed.lines();
    let mut line = 0;
    loop {
        line += 1;
        match (old.next(), new.next()) {
            (Some(a), Some(b)) if a == b => {}
            (None, None) => {
                return Some(Difference { line, about: "line ends".to_owned(), fields: Vec::new() });
            }
            (a, b) => {
                let parse = |text: Option<&str>| {
                    text.and_then(|text| serde_json::from_str::<Value>(text).ok()).unwrap_or(Value::Null)
                };
                let (a, b) = (parse(a), parse(b));
                let mut fields = Vec::new();
                differing("", &a, &b, &mut fields);
                fields.retain(|(path, _, _)| path != "previous");
                let about = if a.is_null() { describe(&b) } else { describe(&a) };
                return Some(Difference { line, about, fields });
            }
        }
    }
}

fn describe(entry: &Value) -> String {
    let word = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or("").to_owned();
    let mut text = word("kind");
    for key in ["service", "candidate", "at", "first_at", "last_at"] {
        let value = word(key);
        if !value.is_empty() {
            text.push_str(&format!(", {} {value}", key.replace('_', " ")));
        }
    }
    text
}

/// Collects paths at which two values differ.
fn differing(path: &str, a: &Value, b: &Value, fields: &mut Vec<(String, String, String)>) {
    match (a, b) {
        (Value::Object(x), Value::Object(y)) => {
            let keys: std::collections::BTreeSet<&String> = x.keys().chain(y.keys()).collect();
            for key in keys {
                let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                differing(&inner, x.get(key).unwrap_or(&Value::Null), y.get(key).unwrap_or(&Value::Null), fields);
            }
        }
        (Value::Array(x), Value::Array(y)) if x.len() == y.len() => {
            for (at, (u, v)) in x.iter().zip(y).enumerate() {
                differing(&format!("{path}[{at}]"), u, v, fields);
            }
        }
        (a, b) if a != b => fields.push((path.to_owned(), a.to_string(), b.to_string())),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(value: u64) -> Map<String, Value> {
        let mut map = Map::new();
        map.insert("value".to_owned(), Value::from(value));
        map
    }

    fn ledger(values: &[u64]) -> String {
        let mut chain = Chain::default();
        values.iter().map(|value| chain.append("look", body(*value))).collect()
    }

    #[test]
    fn lg_1_an_altered_entry_breaks_the_chain() {
        let text = ledger(&[1, 2, 3]);
        assert_eq!(read(&text).unwrap().len(), 3);
        let altered = text.replacen("\"value\":2", "\"value\":9", 1);
        assert!(matches!(read(&altered), Err(LedgerError::Chain { line: 3, .. })));
        let removed: String = text.lines().skip(1).map(|line| format!("{line}\n")).collect();
        assert!(matches!(read(&removed), Err(LedgerError::Chain { line: 1, .. })));
        assert!(matches!(read("{\"previous\":1}"), Err(LedgerError::Chain { .. })));
        assert!(matches!(read(&format!("{text}nonsense")), Err(LedgerError::Line { line: 4, .. })));
        assert_eq!(read("nonsense"), Err(LedgerError::Other));
        assert_eq!(read("{\"time\":1}"), Err(LedgerError::Other));
        assert_eq!(read(""), Err(LedgerError::Empty));
    }

    #[test]
    fn lg_1_every_field_is_part_of_the_hash() {
        let text = ledger(&[1, 2, 3]);
        let line = text.lines().nth(1).unwrap();
        let entry: Map<String, Value> = serde_json::from_str(line).unwrap();
        assert_eq!(entry.len(), 4, "{line}");
        for field in entry.keys() {
            let mut altered = entry.clone();
            altered.insert(field.clone(), Value::from("other"));
            assert_ne!(hash_of(&Value::Object(altered).to_string()), hash_of(line), "{field}");
        }
        // Whoever alters an entry and mends the one after it has changed that one too.
        let altered = text.replacen("\"value\":1", "\"value\":9", 1);
        let first: Vec<&str> = text.lines().take(1).collect();
        let mended = altered.replacen(&hash_of(first[0]), &hash_of(altered.lines().next().unwrap()), 1);
        assert!(matches!(read(&mended), Err(LedgerError::Chain { line: 3, .. })), "{mended}");
    }

    #[test]
    fn a_difference_names_the_entry_and_the_counters() {
        assert_eq!(compare(&ledger(&[1, 2]), &ledger(&[1, 2])), None);
        let difference = compare(&ledger(&[1, 2, 3]), &ledger(&[1, 5, 3])).unwrap();
        assert_eq!(difference.line, 2);
        assert_eq!(difference.fields, [("value".to_owned(), "2".to_owned(), "5".to_owned())]);
        assert_eq!(compare(&ledger(&[1, 2]), &ledger(&[1])).unwrap().line, 2);
    }

    #[test]
    fn ln_e_is_rounded_and_never_minus_zero() {
        assert_eq!(rounded(1.234_567_89).to_string(), "1.234568");
        assert_eq!(rounded(-1e-9).to_string(), "0.0");
        assert_eq!(rounded(f64::INFINITY).to_string(), "\"inf\"");
    }
}
