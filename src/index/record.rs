//! A line that is in no index, as queries of an index see it.

use std::borrow::Cow;

use crate::event::NO_LATENCY;
use crate::index::derived::{Derived, latency_ms, template_text, unit_text};
use crate::index::document::{Told, unit_bits};
use crate::pipeline::decode::fields::FieldRecord;
use crate::query::{self, Record, Value};

/// A line with what decoding says of it.
#[derive(Clone, Copy, Debug)]
pub struct ToldRecord<'r, 'a> {
    /// The line.
    pub line: &'a str,
    /// Its fields; `None`: it has none, and is its own message.
    pub fields: Option<FieldRecord<'r, 'a>>,
    /// What decoding says.
    pub told: Told<'r>,
    /// Its stream.
    pub stream: &'r str,
    /// Its position in the stream.
    pub position: u64,
}

impl ToldRecord<'_, '_> {
    fn derived(&self, field: Derived) -> Option<Value<'_>> {
        let told = &self.told;
        let text = |text: &'static str| Value::Str(Cow::Borrowed(text));
        let name = |name| if str::is_empty(name) { None } else { Some(Value::Str(Cow::Borrowed(name))) };
        match field {
            Derived::Time => Some(Value::Str(told.time.to_string().into())),
            Derived::Stream => Some(Value::Str(Cow::Borrowed(self.stream))),
            Derived::Position => Some(Value::Number(self.position as f64)),
            Derived::Service => name(told.service),
            Derived::Arm => name(told.arm),
            Derived::Route => name(told.route),
            Derived::Kind => name(told.kind),
            Derived::Level => name(told.level),
            Derived::Status => name(told.status),
            Derived::Latency => (told.latency_us != NO_LATENCY).then(|| Value::Number(latency_ms(told.latency_us))),
            Derived::Weight => Some(Value::Number(f64::from(told.weight))),
            Derived::Unit => (told.unit != 0).then(|| Value::Str(unit_text(unit_bits(told.unit)).into())),
            Derived::Failed => Some(Value::Bool(told.failed)),
            Derived::Template => (told.template != 0).then(|| Value::Str(template_text(told.template).into())),
            Derived::Reject => told.reject.map(|reason| text(reason.name())),
        }
    }

    /// What an answer says of it beside the line.
    pub fn told(&self) -> Vec<(&'static str, String)> {
        let shown = Derived::TOLD;
        let of = |field: Derived| match self.derived(field) {
            Some(Value::Str(text)) => Some((field.path(), text.into_owned())),
            Some(Value::Number(_) | Value::Bool(_) | Value::List(_)) | None => None,
        };
        let failed = self.told.failed.then(|| (Derived::Failed.path(), "true".to_owned()));
        shown.into_iter().filter_map(of).chain(failed).collect()
    }
}

impl Record for ToldRecord<'_, '_> {
    fn field(&self, path: &str) -> Option<Value<'_>> {
        if let Some(field) = Derived::of(path) {
            return self.derived(field);
        }
        match &self.fields {
            Some(fields) => fields.field(path),
            None if path == query::MESSAGE => Some(Value::Str(Cow::Borrowed(self.line))),
            None => None,
        }
    }
}
