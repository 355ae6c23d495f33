//! A line as queries see it.

use std::borrow::Cow;

use crate::pipeline::decode::STREAM_PATH;
use crate::pipeline::decode::slots::{Form, Slot};
use crate::pipeline::number;
use crate::query;

/// A line as queries see it.
pub(super) struct LineRecord<'a> {
    /// What the slots refer to.
    pub(super) line: &'a str,
    /// The line itself where it is no JSON: its own message.
    pub(super) message: Option<&'a str>,
    pub(super) paths: &'a [String],
    pub(super) slots: &'a [Slot],
    pub(super) stream: &'a str,
}

impl query::Record for LineRecord<'_> {
    fn field(&self, path: &str) -> Option<query::Value<'_>> {
        if path == STREAM_PATH {
            return Some(query::Value::Str(Cow::Borrowed(self.stream)));
        }
        let slot = self.paths.iter().position(|known| known == path).and_then(|at| self.slots.get(at)).copied();
        let slot = slot.unwrap_or_default();
        match slot.form {
            Form::True => Some(query::Value::Bool(true)),
            Form::False => Some(query::Value::Bool(false)),
            Form::Number => Some(match number::parse_f64(slot.raw(self.line)) {
                Some(number) => query::Value::Number(number),
                None => query::Value::Str(Cow::Borrowed(slot.raw(self.line))),
            }),
            Form::Plain | Form::Escaped => Some(query::Value::Str(slot.text(self.line))),
            Form::Nested => Some(nested_value(slot.raw(self.line))),
            Form::Absent if path == query::MESSAGE => self.message.map(|text| query::Value::Str(Cow::Borrowed(text))),
            Form::Absent => None,
        }
    }
}

/// A list of scalars as a list; anything else as its text.
fn nested_value(raw: &str) -> query::Value<'_> {
    let Ok(serde_json::Value::Array(items)) = serde_json::from_str(raw) else {
        return query::Value::Str(Cow::Borrowed(raw));
    };
    let scalar = |item: serde_json::Value| match item {
        serde_json::Value::String(s) => Some(query::Value::Str(Cow::Owned(s))),
        serde_json::Value::Bool(b) => Some(query::Value::Bool(b)),
        serde_json::Value::Number(n) => n.as_f64().map(query::Value::Number),
        _ => None,
    };
    query::Value::List(items.into_iter().filter_map(scalar).collect())
}
