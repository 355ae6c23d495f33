//! Fields that are added to lines that a query matches.

use std::borrow::Cow;

use crate::pipeline::decode::fields::FieldRecord;
use crate::pipeline::roles::Role;
use crate::pipeline::shape::Object;
use crate::query::{MESSAGE, Query, Record, Value};

use super::GIVEN;

/// Longest value that is made, in bytes: what would be longer is not added.
const VALUE_MAX: usize = 4_096;

/// Gives fields to the lines that a query matches.
#[derive(Clone, PartialEq, Debug)]
pub struct Rule {
    /// Lines that it is for; all where there is none.
    pub when: Option<Query>,
    /// Field and what it says. The name of a role ([`Role::name`]) or `event` stands for the field that counts most for it.
    pub set: Vec<(String, Words)>,
}

/// Text with fields of the line in it: `shop-${region}`.
#[derive(Clone, PartialEq, Debug)]
pub struct Words {
    source: String,
    parts: Vec<Part>,
}

#[derive(Clone, PartialEq, Debug)]
enum Part {
    Text(String),
    Field(String),
}

/// Why a text with fields is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WordsError {
    /// `${` without its end.
    #[error("`${{` has no `}}`; a field of the line is written ${{name}}")]
    Open,
    /// `${}`.
    #[error("`${{}}` names no field")]
    Nameless,
}

impl Words {
    /// Understands a text.
    ///
    /// # Errors
    /// [`WordsError`]: a field that is not written out.
    pub fn parse(source: &str) -> Result<Words, WordsError> {
        let mut parts = Vec::new();
        let mut rest = source;
        while let Some((before, behind)) = rest.split_once("${") {
            let (name, after) = behind.split_once('}').ok_or(WordsError::Open)?;
            if name.trim().is_empty() {
                return Err(WordsError::Nameless);
            }
            if !before.is_empty() {
                parts.push(Part::Text(before.to_owned()));
            }
            parts.push(Part::Field(name.trim().to_owned()));
            rest = after;
        }
        if !rest.is_empty() {
            parts.push(Part::Text(rest.to_owned()));
        }
        Ok(Words { source: source.to_owned(), parts })
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What it says of a line; `None` where a field is not there, or the text would be too long.
    fn of(&self, record: &impl Record) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Field(path) => match record.field(path)? {
                    Value::Str(value) => text.push_str(&value),
                    Value::Number(number) => text.push_str(&number.to_string()),
                    Value::Bool(value) => text.push_str(if value { "true" } else { "false" }),
                    Value::List(_) => return None,
                },
            }
            if text.len() > VALUE_MAX {
                return None;
            }
        }
        (!text.is_empty()).then_some(text)
    }
}

/// A line with the fields that rules have given it so far.
pub(super) struct Told<'a> {
    record: &'a FieldRecord<'a, 'a>,
    line: &'a str,
    /// The last of a name counts.
    set: Vec<(String, String)>,
}

impl<'a> Told<'a> {
    pub(super) fn new(record: &'a FieldRecord<'a, 'a>, line: &'a str) -> Told<'a> {
        Told { record, line, set: Vec::new() }
    }

    /// The fields, as they stand in an object; `None` where there are none.
    pub(super) fn fields(self) -> Option<String> {
        // What the line says already stands in it once.
        let is_new =
            |(name, value): &&(String, String)| self.record.field(name) != Some(Value::Str(Cow::Borrowed(value)));
        let set: Vec<&(String, String)> = self.set.iter().filter(is_new).collect();
        if set.is_empty() {
            return None;
        }
        let mut object = Object::new();
        for (name, value) in set {
            object.value(name, value);
        }
        let text = object.end();
        Some(text.strip_prefix('{')?.strip_suffix('}')?.to_owned())
    }
}

impl Record for Told<'_> {
    fn field(&self, path: &str) -> Option<Value<'_>> {
        // What a role was given counts more than the field of its name.
        let given = field_of(path);
        if let Some((_, value)) = self.set.iter().rev().find(|(name, _)| name == path || *name == given) {
            return Some(Value::Str(Cow::Borrowed(value)));
        }
        let found = self.record.field(path);
        // A line of text is its own message.
        let is_text = found.is_none() && path == MESSAGE && !self.line.trim_ascii_start().starts_with('{');
        if is_text { Some(Value::Str(Cow::Borrowed(self.line))) } else { found }
    }
}

impl Rule {
    pub(super) fn apply(&self, told: &mut Told<'_>) {
        if self.when.as_ref().is_some_and(|when| !when.matches(told)) {
            return;
        }
        let values: Vec<(String, String)> =
            self.set.iter().filter_map(|(name, words)| Some((field_of(name), words.of(told)?))).collect();
        for (name, value) in values {
            told.set.retain(|(known, _)| *known != name);
            told.set.push((name, value));
        }
    }
}

/// The field that a name stands for.
pub(super) fn field_of(name: &str) -> String {
    let is_given = Role::from_name(name).is_some() || name == "event";
    if is_given { format!("{GIVEN}{name}") } else { name.to_owned() }
}
