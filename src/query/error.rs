//! Errors that show the place and what to write instead.

use std::fmt;
use std::ops::Range;

/// Why a query was not understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ParseError {
    /// What is wrong.
    pub message: String,
    /// Where, in bytes of the query.
    pub at: Range<usize>,
    /// What to write instead.
    pub help: Option<String>,
    /// The query.
    pub query: String,
}

impl std::error::Error for ParseError {}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.message)?;
        // The line is shown with control characters made visible, so that it cannot act on a terminal.
        let shown =
            |text: &str| -> String { text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect() };
        writeln!(f, "  {}", shown(&self.query))?;
        let before = self.query.get(..self.at.start).unwrap_or("").chars().count();
        let under = self.query.get(self.at.clone()).unwrap_or("").chars().count().max(1);
        write!(f, "  {}{}", " ".repeat(before), "^".repeat(under))?;
        if let Some(help) = &self.help {
            write!(f, "\n  help: {help}")?;
        }
        Ok(())
    }
}
