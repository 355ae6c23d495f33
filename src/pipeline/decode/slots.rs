//! Slots: where the values of the wanted fields stand in the line that is read.

use std::borrow::Cow;

use crate::pipeline::json;

/// How a field's value stands in the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) enum Form {
    /// Absent, or null: then it has a place.
    #[default]
    Absent,
    /// Text without escapes, or a number.
    Plain,
    /// A JSON number.
    Number,
    /// Text with escapes.
    Escaped,
    /// True.
    True,
    /// False.
    False,
    /// An object or a list.
    Nested,
}

/// Where a field's value stands in the line. Twelve bytes, so that a line's slots fit a few cache lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Slot {
    pub(super) from: u32,
    pub(super) until: u32,
    pub(super) form: Form,
}

impl Slot {
    /// The slot of a part of the line. Lines are shorter than 4 GiB ([`LINE_MAX`]).
    #[inline]
    pub(super) fn of(part: &str, origin: usize, form: Form) -> Slot {
        let from = (part.as_ptr() as usize).wrapping_sub(origin) as u32;
        Slot { from, until: from.wrapping_add(part.len() as u32), form }
    }

    #[inline]
    pub(super) fn raw<'a>(&self, line: &'a str) -> &'a str {
        line.get(self.from as usize..self.until as usize).unwrap_or("")
    }

    #[inline]
    pub(super) fn text<'a>(&self, line: &'a str) -> Cow<'a, str> {
        match self.form {
            Form::Plain | Form::Number | Form::Nested => Cow::Borrowed(self.raw(line)),
            Form::Escaped => Cow::Owned(json::unescape(self.raw(line))),
            Form::True => Cow::Borrowed("true"),
            Form::False => Cow::Borrowed("false"),
            Form::Absent => Cow::Borrowed(""),
        }
    }

    #[inline]
    pub(super) fn is_scalar(&self) -> bool {
        !matches!(self.form, Form::Absent | Form::Nested)
    }

    /// The field is there, and has neither a text nor a number.
    pub(super) fn is_there_without_value(&self) -> bool {
        match self.form {
            Form::Absent => self.from < self.until,
            Form::Nested => true,
            Form::Plain | Form::Number | Form::Escaped | Form::True | Form::False => false,
        }
    }
}
