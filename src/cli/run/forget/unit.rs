//! Which lines are a unit's.

use memchr::memmem::Finder;

use crate::event::identity_hash;
use crate::pipeline::decode::fields::{FieldReader, FieldValue};
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::plan::{Plan, UnitKind};
use crate::pipeline::roles::Role;
use crate::query::{Value, number_of};

/// Tells the lines of a unit from others: those that count for it, those in which a field that names users, sessions or clients (or
/// whatever the units are) has its id, and, where a line cannot be read, those in which the id stands as a word.
pub(in crate::cli::run) struct OfUnit<'p> {
    id: &'p str,
    hash: u64,
    /// Lines in which the id stands anywhere as a word, too.
    mentions: bool,
    paths: Vec<&'p str>,
    finder: Finder<'p>,
    decoder: Decoder<'p>,
    reader: FieldReader,
}

/// Fields that may hold the id.
fn paths(plan: &Plan) -> Vec<&str> {
    let of_kind = match plan.unit {
        UnitKind::Trace => Some(Role::Trace),
        UnitKind::Instance => Some(Role::Instance),
        UnitKind::User | UnitKind::Session | UnitKind::Client | UnitKind::Request => None,
    };
    let roles = [Role::User, Role::Session, Role::Client].into_iter().chain(of_kind);
    roles.flat_map(|role| plan.fields(role)).map(|field| field.path.as_str()).collect()
}

/// A query that finds every line of a unit that an index can tell without reading lines, and further ones; `None`: any line may be one.
#[cfg(feature = "index")]
pub(in crate::cli::run) fn query(plan: &Plan, id: &str, mentions: bool) -> Option<String> {
    if mentions {
        return None;
    }
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    let mut text = format!("_unit:\"{:010x}\" OR _kind:reject", identity_hash(id.as_bytes()) >> 24);
    for path in paths(plan) {
        // A name that cannot stand in a query is left to the lines.
        if !path.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c)) {
            return None;
        }
        text.push_str(&format!(" OR {path}:{}", quoted(id)));
    }
    Some(text)
}

impl<'p> OfUnit<'p> {
    pub(in crate::cli::run) fn new(plan: &'p Plan, id: &'p str, mentions: bool) -> OfUnit<'p> {
        OfUnit {
            id,
            hash: identity_hash(id.as_bytes()),
            mentions,
            paths: paths(plan),
            finder: Finder::new(id),
            decoder: Decoder::new(plan, ""),
            reader: FieldReader::default(),
        }
    }

    /// A line is the unit's.
    pub(in crate::cli::run) fn is_of(&mut self, bytes: &[u8]) -> bool {
        // Where it does not stand as it is, it may stand behind escapes.
        if self.finder.find(bytes).is_none() && !bytes.contains(&b'\\') {
            return false;
        }
        let text = String::from_utf8_lossy(bytes);
        if self.mentions && has_word(&text, self.id) {
            return true;
        }
        if let Ok(fields) = self.reader.read(&text) {
            for (path, value) in &fields {
                let path = self.reader.path(*path);
                if self.paths.contains(&path)
                    && let FieldValue::Value(value) = value
                    && is_same(value, self.id)
                {
                    return true;
                }
            }
        }
        self.decoder.begin_chunk();
        match self.decoder.decode(&text, 1) {
            Ok(Decoded::Event(event)) => event.unit == self.hash,
            Ok(Decoded::Outside) => false,
            Err(_) => has_word(&text, self.id),
        }
    }
}

fn is_same(value: &Value<'_>, id: &str) -> bool {
    match value {
        Value::Str(text) => text == id,
        Value::Number(number) => number_of(id).is_some_and(|wanted| wanted == *number),
        Value::Bool(_) => false,
        Value::List(list) => list.iter().any(|value| is_same(value, id)),
    }
}

/// A text stands in another, and what is before and behind it is no part of a word.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(at, _)| {
        let (before, behind) = (text.get(..at).unwrap_or_default(), text.get(at + word.len()..).unwrap_or_default());
        !is_part(before.chars().next_back()) && !is_part(behind.chars().next())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::survey::{Head, Wishes, survey};

    #[test]
    fn lines_of_a_unit_are_told_from_others() {
        let line = |number: u32, user: &str| {
            format!(
                r#"{{"ts":"2026-06-01T12:00:{:02}Z","service":"s","version":"1","user_id":{user},"latency_ms":5,"status":200,"msg":"ok"}}"#,
                number % 60
            )
        };
        let head: Vec<String> = (0..80).map(|number| line(number, &format!("\"u{number}\""))).collect();
        let lines = head.iter().map(String::as_str).collect();
        let plan = survey(&[Head { stream: "s", lines }], &Wishes::default()).plan;
        let own = [
            line(1, "\"u-7\""),
            line(1, "\"\\u0075-7\""),
            line(1, "[\"x\", \"u-7\"]"),
            "no object of u-7: at all".to_owned(),
            "{\"user_id\": \"u-7\", broken".to_owned(),
        ];
        let others = [line(1, "\"u-77\""), line(1, "\"xu-7\""), line(1, "7"), "broken line of u-77".to_owned()];
        let mention = line(1, "\"u1\"").replace("ok", "asked by u-7, twice");
        let mut of = OfUnit::new(&plan, "u-7", false);
        own.iter().for_each(|line| assert!(of.is_of(line.as_bytes()), "{line}"));
        others.iter().chain([&mention]).for_each(|line| assert!(!of.is_of(line.as_bytes()), "{line}"));
        let mut of = OfUnit::new(&plan, "u-7", true);
        own.iter().chain([&mention]).for_each(|line| assert!(of.is_of(line.as_bytes()), "{line}"));
        others.iter().for_each(|line| assert!(!of.is_of(line.as_bytes()), "{line}"));
        assert!(OfUnit::new(&plan, "7", false).is_of(line(1, "7").as_bytes()), "a number");
    }
}
