//! What is done to a line before it is read: text of a form of one's own becomes an object, fields are added, and what must not be
//! kept is taken out.
//!
//! A [`Preparation`] is the part of pipelines that every decision rests on, so it stands in the plan. It is a pure function of one
//! line and the name of its stream. Everything behind it (decoder, index, rejects that are kept) sees what it gives, never the line
//! itself; only the write-ahead log holds lines as they came.

mod pattern;
pub mod redact;
mod rule;
mod text;

use std::borrow::Cow;

use crate::pipeline::clock::Zone;
use crate::pipeline::continued::JOINT;
use crate::pipeline::decode::fields::FieldReader;
use crate::pipeline::decode::{LINE_MAX, without_mark};
use crate::pipeline::json::{self, Str, Value};
use crate::pipeline::shape;
use crate::pipeline::shape::table::Table;
use crate::query;

pub use pattern::{LinePattern, PATTERN_LINE_MAX, PatternError};
pub use redact::{Key, Redact, Redaction};
pub use rule::{Rule, Words, WordsError};
pub use text::{from_json, to_json};

/// What stands before the name of a role in the field by which a rule gives the role its value: `serin.service`. Such a field counts
/// more than any other of its role.
pub const GIVEN: &str = "serin.";
/// The field by which a rule makes a line a business event.
pub const GIVEN_EVENT: &str = "serin.event";

/// Pipelines that may be at work at once.
pub const STAGES_MAX: usize = 32;

/// What one pipeline does to lines.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Stage {
    /// Name of the pipeline.
    pub name: String,
    /// Streams whose lines it is for, with `*` for any text; empty: all.
    pub streams: Vec<String>,
    /// How text is read that has a form of its own; the first that fits counts.
    pub patterns: Vec<LinePattern>,
    /// Fields that are added, in order.
    pub rules: Vec<Rule>,
    /// What is taken out.
    pub redact: Redact,
    /// The zone of times that name none.
    pub zone: Option<Zone>,
}

impl Stage {
    /// It does nothing.
    pub fn is_empty(&self) -> bool {
        self.leaves_lines() && self.zone.is_none()
    }

    /// Lines stay as they are.
    fn leaves_lines(&self) -> bool {
        self.patterns.is_empty() && self.rules.is_empty() && self.redact.is_empty()
    }

    /// Lines of a stream are its.
    pub fn is_for(&self, stream: &str) -> bool {
        is_for(&self.streams, stream)
    }
}

/// A stream is one of these names, with `*` for any text; all are where there are none.
pub(super) fn is_for(streams: &[String], stream: &str) -> bool {
    streams.is_empty() || streams.iter().any(|glob| query::Pattern::of_wildcards(glob).fits(stream))
}

/// What all pipelines do to lines.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Preparation {
    /// What each does, in order.
    pub stages: Vec<Stage>,
    /// What hashes of what is taken out are keyed with.
    pub key: Key,
}

impl Preparation {
    /// It does nothing.
    pub fn is_empty(&self) -> bool {
        self.stages.iter().all(Stage::is_empty)
    }

    /// The zone that a pipeline names for times of a stream; the first that names one counts.
    pub fn zone_of(&self, stream: &str) -> Option<&Zone> {
        self.stages
            .iter()
            .filter(|stage| stage.zone.is_some() && stage.is_for(stream))
            .find_map(|stage| stage.zone.as_ref())
    }

    /// What is left to say of lines that have been prepared: their zones.
    pub fn of_prepared(&self) -> Preparation {
        let zone_alone = |stage: &Stage| Stage {
            name: stage.name.clone(),
            streams: stage.streams.clone(),
            zone: stage.zone.clone(),
            ..Stage::default()
        };
        let stages = self.stages.iter().filter(|stage| stage.zone.is_some()).map(zone_alone).collect();
        Preparation { stages, key: Key::default() }
    }

    /// With the key that it was made with.
    ///
    /// # Errors
    /// [`OtherKey`]: it was made with another.
    pub fn unlock(self, key: &Key) -> Result<Preparation, OtherKey> {
        if self.key.fingerprint() != key.fingerprint() {
            return Err(OtherKey { has_one: !self.key.is_none() });
        }
        Ok(Preparation { key: key.clone(), ..self })
    }

    /// Something is taken out of lines.
    pub fn redacts(&self) -> bool {
        self.stages.iter().any(|stage| !stage.redact.is_empty())
    }
}

/// The key is not the one that a preparation was made with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{}", if *.has_one { "what was taken out of lines was hashed with another key; give that one: --redaction-key FILE" } else { "what was taken out of lines was hashed without a key; leave --redaction-key out" })]
pub struct OtherKey {
    /// It was made with a key.
    pub has_one: bool,
}

/// Prepares the lines of one stream.
#[derive(Debug)]
pub struct Preparer {
    stream: String,
    tables: Vec<Table>,
    patterns: Vec<LinePattern>,
    rules: Vec<Rule>,
    redaction: Option<Redaction>,
    reader: FieldReader,
}

impl Preparer {
    /// For a stream, whose lines may be of these tables; `None` where they stay as they are.
    pub fn of(preparation: &Preparation, tables: &[Table], stream: &str) -> Option<Preparer> {
        let stages: Vec<&Stage> = preparation.stages.iter().filter(|stage| stage.is_for(stream)).collect();
        if stages.iter().all(|stage| stage.leaves_lines()) {
            return None;
        }
        let redact = stages.iter().fold(Redact::default(), |all, stage| all.and(&stage.redact));
        Some(Preparer {
            stream: stream.to_owned(),
            tables: tables.to_vec(),
            patterns: stages.iter().flat_map(|stage| stage.patterns.iter().cloned()).collect(),
            rules: stages.iter().flat_map(|stage| stage.rules.iter().cloned()).collect(),
            redaction: (!redact.is_empty()).then(|| Redaction::new(&redact, &preparation.key)),
            reader: FieldReader::default(),
        })
    }

    /// A line as it is read from here on.
    pub fn line<'a>(&mut self, line: &'a str) -> Cow<'a, str> {
        let bare = without_mark(line);
        let mut text = Cow::Borrowed(bare);
        // What is longer is no line to anybody, and is cut before it is kept.
        if bare.len() <= LINE_MAX {
            if let Some(made) = self.by_pattern(bare) {
                text = Cow::Owned(made);
            }
            if let Some(told) = self.by_rules(&text) {
                text = Cow::Owned(told);
            }
        }
        match &self.redaction {
            Some(redaction) => redaction.line(text, &self.tables),
            None => text,
        }
    }

    /// A pattern fits the line; `None` where there is no pattern.
    pub fn fits(&self, line: &str) -> Option<bool> {
        (!self.patterns.is_empty()).then(|| self.by_pattern(without_mark(line)).is_some())
    }

    /// What a pattern reads of a line; of lines that belong together it reads the first, and the others are its stack.
    fn by_pattern(&self, line: &str) -> Option<String> {
        if self.patterns.is_empty() {
            return None;
        }
        let Some((first, rest)) = line.split_once(['\n', char::from(JOINT)]) else { return self.by_patterns(line) };
        let made = self.by_patterns(first)?;
        let mut stack = shape::Object::new();
        stack.text(shape::STACK_PATH, &rest.replace(char::from(JOINT), "\n"));
        let stack = stack.end();
        Some(added(&made, stack.strip_prefix('{')?.strip_suffix('}')?))
    }

    /// What a pattern reads of a line, or of what stands inside what was put around it.
    fn by_patterns(&self, line: &str) -> Option<String> {
        let (mut around, mut text): (Option<String>, Cow<'_, str>) = (None, Cow::Borrowed(line));
        let join = |around: Option<String>, object: String| match around {
            None => Some(object),
            Some(around) => Some(added(&around, object.strip_prefix('{')?.strip_suffix('}')?)),
        };
        for _ in 0..=shape::DEPTH_MAX {
            if let Some(made) = self.patterns.iter().find_map(|pattern| pattern.object(&text)) {
                return join(around, made);
            }
            // What a collector put around it is taken off.
            let outer = shape::outer(&text)?;
            let mut message = None;
            json::scan_object(&outer, &mut |key: Str<'_>, value: Value<'_>| {
                if let (true, Value::String(value)) = (key.is(query::MESSAGE), value) {
                    message = Some(value.get().into_owned());
                }
            })
            .ok()?;
            around = join(around, outer);
            text = Cow::Owned(message?);
        }
        None
    }

    /// A line with the fields that rules give it; `None` where they give none.
    fn by_rules(&mut self, line: &str) -> Option<String> {
        if self.rules.is_empty() {
            return None;
        }
        let object = shape::object_of(line, &self.tables)?;
        let fields = self.reader.read(&object).ok()?;
        let record = self.reader.record(&fields, &self.stream);
        let mut told = rule::Told::new(&record, line);
        self.rules.iter().for_each(|rule| rule.apply(&mut told));
        let fields = told.fields()?;
        Some(added(&object, &fields))
    }
}

/// An object with further fields behind its own.
fn added(object: &str, fields: &str) -> String {
    let object = object.trim_ascii();
    let head = object.strip_suffix('}').unwrap_or(object);
    let comma = if head.trim_ascii_end().ends_with('{') { "" } else { "," };
    format!("{head}{comma}{fields}}}")
}

#[cfg(test)]
mod tests;
