//! The template of a line: of log lines of any level, and of whatever else says that something went wrong.

use crate::event::{self, Intern, Kind, Level, NO_TEMPLATE};
use crate::pipeline::decode::Decoder;
use crate::pipeline::decode::slots::{Form, Slot};
use crate::pipeline::json;
use crate::pipeline::roles::Role;
use crate::pipeline::template::{Canonical, Writer};

/// Constant texts that are remembered: a power of two.
const SEEN: usize = 1_024;
/// Bytes of a constant text that is remembered.
const SEEN_TEXT_MAX: usize = 256;
/// Bytes of a text that are looked at, with a stack trace behind its first line.
const TEXT_MAX: usize = 64 << 10;

/// What stands behind the text of work that failed, where the text does not say so by its level.
const FAILED: &[u8] = b"(failed)";

/// A text as it stands in lines, without a value in it.
#[derive(Debug)]
struct Seen {
    text: Box<str>,
    writer: Writer,
    id: u64,
}

/// Room for masking, and constant texts: they cost no more than a comparison.
#[derive(Debug, Default)]
pub(super) struct Templates {
    canonical: Canonical,
    /// Empty until the first one.
    seen: Vec<Option<Seen>>,
}

impl Decoder<'_> {
    /// Id of the line's template, whose text is then among the names. `failed_inside`: it is a piece of work inside a request,
    /// and failed.
    #[inline]
    pub(super) fn template(&mut self, line: &str, kind: Kind, level: Level, failed_inside: bool) -> u64 {
        if kind != Kind::Log && level < Level::Error {
            return NO_TEMPLATE;
        }
        // Its text may be that of work that did not fail, and no request says that it did.
        let failed_inside = failed_inside && level < Level::Error;
        match (self.first(Role::Template), self.first(Role::Message)) {
            (Some((slot, _)), _) => self.template_of(line, slot, Writer::Producer, level, failed_inside),
            (None, Some((slot, _))) => self.template_of(line, slot, Writer::Message, level, failed_inside),
            (None, None) if failed_inside => {
                self.templates.canonical.mask(b"work inside a request", Writer::Message);
                self.templates.canonical.add_detail(FAILED, Writer::Message);
                let canonical = &self.templates.canonical;
                let id = canonical.id();
                self.names.template(id, canonical.text());
                id
            }
            (None, None) => NO_TEMPLATE,
        }
    }

    fn template_of(&mut self, line: &str, slot: Slot, writer: Writer, level: Level, failed_inside: bool) -> u64 {
        let raw = slot.raw(line);
        let trace = self.first(Role::Stack).map(|(slot, _)| slot);
        // "request failed" says little; the error beside it says what happened.
        let is_text = |slot: &Slot| matches!(slot.form, Form::Plain | Form::Escaped);
        let detail = if level < Level::Error { None } else { self.first(Role::Error).map(|(slot, _)| slot) };
        let detail = detail.filter(|detail| is_text(detail) && detail.raw(line) != raw);
        let may_be_seen = trace.is_none()
            && !failed_inside
            && detail.is_none()
            && raw.len() <= SEEN_TEXT_MAX
            && match slot.form {
                Form::Plain | Form::Escaped => true,
                Form::Absent | Form::Number | Form::True | Form::False | Form::Nested => false,
            };
        let place = if may_be_seen { (event::identity_hash(raw.as_bytes()) >> 54) as usize % SEEN } else { 0 };
        if may_be_seen
            && let Some(Some(seen)) = self.templates.seen.get(place)
            && seen.writer == writer
            && *seen.text == *raw
        {
            return seen.id;
        }
        let canonical = &mut self.templates.canonical;
        match slot.form {
            Form::Escaped => {
                let text = json::unescape(start_of(raw));
                canonical.mask(text.as_bytes(), writer);
                if text.contains('\n') {
                    canonical.add_stack(&text);
                }
            }
            Form::Plain | Form::Number | Form::Nested | Form::True | Form::False | Form::Absent => {
                canonical.mask(slot.text(line).as_bytes(), writer);
            }
        }
        if let Some(detail) = detail {
            match detail.form {
                Form::Escaped => {
                    let text = json::unescape(start_of(detail.raw(line)));
                    canonical.add_detail(text.as_bytes(), Writer::Message);
                }
                Form::Plain | Form::Number | Form::Nested | Form::True | Form::False | Form::Absent => {
                    canonical.add_detail(start_of(detail.raw(line)).as_bytes(), Writer::Message);
                }
            }
        }
        if let Some(trace) = trace {
            match trace.form {
                Form::Escaped => canonical.add_stack(&json::unescape(start_of(trace.raw(line)))),
                Form::Plain | Form::Number | Form::Nested | Form::True | Form::False | Form::Absent => {
                    canonical.add_stack(start_of(trace.raw(line)));
                }
            }
        }
        if failed_inside {
            canonical.add_detail(FAILED, Writer::Message);
        }
        if canonical.is_empty() {
            return NO_TEMPLATE;
        }
        let id = canonical.id();
        self.names.template(id, canonical.text());
        if may_be_seen && !canonical.has_holes() {
            if self.templates.seen.is_empty() {
                self.templates.seen.resize_with(SEEN, || None);
            }
            if let Some(seen) = self.templates.seen.get_mut(place) {
                *seen = Some(Seen { text: raw.into(), writer, id });
            }
        }
        id
    }

    /// Texts are to be made known again: the names are new.
    pub(super) fn forget_templates(&mut self) {
        self.templates.seen = Vec::new();
    }
}

fn start_of(text: &str) -> &str {
    let mut end = text.len().min(TEXT_MAX);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}
