//! Text of a form of one's own, by a regular expression whose named groups become fields.

use regex::{Regex, RegexBuilder};

use crate::pipeline::shape::Object;
use crate::query::MESSAGE;

/// Longest text of an expression, in bytes.
const SOURCE_MAX: usize = 4_096;
/// Bytes that a compiled expression may take: what repeats a class of Unicode thousands of times takes more.
const COMPILED_MAX: usize = 2 << 20;
/// Named groups of one expression.
const GROUPS_MAX: usize = 64;
/// Longest line that expressions are tried on, in bytes; a longer one keeps the form that it has.
pub const PATTERN_LINE_MAX: usize = 64 << 10;

/// How text of one form is read. Time is linear in the line, whatever the expression.
#[derive(Clone, Debug)]
pub struct LinePattern {
    source: String,
    regex: Regex,
    has_message: bool,
}

impl PartialEq for LinePattern {
    fn eq(&self, other: &LinePattern) -> bool {
        self.source == other.source
    }
}

/// Why an expression is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PatternError {
    /// It is longer than is taken.
    #[error("longer than {SOURCE_MAX} bytes")]
    Long,
    /// It is no regular expression, or takes too much memory.
    #[error("{0}")]
    Wrong(String),
    /// Nothing in it has a name.
    #[error("no group has a name, so nothing would be read; write (?<status>\\d+)")]
    Nameless,
    /// It has more named groups than are taken.
    #[error("more than {GROUPS_MAX} groups have a name")]
    Groups,
}

impl LinePattern {
    /// Understands an expression, in the syntax of the regex crate.
    ///
    /// # Errors
    /// [`PatternError`]: what is wrong with it.
    pub fn parse(source: &str) -> Result<LinePattern, PatternError> {
        if source.len() > SOURCE_MAX {
            return Err(PatternError::Long);
        }
        let built = RegexBuilder::new(source).size_limit(COMPILED_MAX).dfa_size_limit(COMPILED_MAX).build();
        let regex = built.map_err(|error| PatternError::Wrong(in_one_line(&error)))?;
        match regex.capture_names().flatten().count() {
            0 => Err(PatternError::Nameless),
            count if count > GROUPS_MAX => Err(PatternError::Groups),
            _ => {
                let has_message = regex.capture_names().flatten().any(|name| name == MESSAGE);
                Ok(LinePattern { source: source.to_owned(), regex, has_message })
            }
        }
    }

    /// As it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The object that a line becomes which fits: its groups by name, `-` and nothing being no value, and the line itself as message
    /// where no group is that.
    pub(super) fn object(&self, line: &str) -> Option<String> {
        if line.len() > PATTERN_LINE_MAX {
            return None;
        }
        let groups = self.regex.captures(line)?;
        let mut object = Object::new();
        for name in self.regex.capture_names().flatten() {
            let value = groups.name(name).map(|group| group.as_str());
            if let Some(value) = value.filter(|value| !value.is_empty() && *value != "-") {
                object.value(name, value);
            }
        }
        if !self.has_message {
            object.text(MESSAGE, line);
        }
        Some(object.end())
    }
}

/// What the regex crate says over several lines, with a caret, in one.
fn in_one_line(error: &regex::Error) -> String {
    match error {
        regex::Error::Syntax(text) => {
            let last = text.lines().last().unwrap_or_default();
            format!("no regular expression: {}", last.strip_prefix("error: ").unwrap_or(last))
        }
        regex::Error::CompiledTooBig(limit) => format!("it takes more than {limit} bytes of memory"),
        other => other.to_string().replace('\n', " "),
    }
}
