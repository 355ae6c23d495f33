//! The one query language: cohort rules, metric filters, and search.
//!
//! `service:checkout AND (status:>=500 OR level>=error) AND "card declined" AND path:/api/* AND NOT _exists_:test`.
//! One parser with precise errors, one typed tree ([`Node`]), and three readings: the matcher on records, that of an index
//! (`index`, behind the feature of that name), and Elasticsearch's `bool` ([`to_elastic`]). Nothing is silently ignored: what cannot be understood is an error with a place and, where possible, a remedy.
//!
//! | written | matches |
//! | --- | --- |
//! | `word`, `"a phrase"` | tokens in `message`, in order, in any case (a token is a run of letters, digits and `_`) |
//! | `field:value` | the value, case-sensitive; numbers by value; `true` and `false` |
//! | `field:"quoted value"`, `field:(a OR b)` | the same for values with spaces, and for several |
//! | `field:a*b?c` | wildcards: `*` any run, `?` one character |
//! | `field:/expression/` | the whole value by a regular expression; a space in it is written `\ ` |
//! | `field:>=500`, `field<5`, `field:[400 TO 499]`, `field:{a TO *}` | ranges: numbers, dates, durations, text |
//! | `latency:>250ms` | durations; a number in the record counts as milliseconds |
//! | `level>=warn` | severities in their order |
//! | `time:>now-15m` | a time counted from now, where there is a now ([`Query::parse_at`]) |
//! | `_exists_:field`, `field:*` | the field has a value |
//! | `AND`, `OR`, `NOT`, `&&`, `||`, `!`, `-x`, `+x`, `( )` | and a space between two terms is AND |
//! | `*` | everything |

mod elastic;
mod error;
mod matcher;
mod parser;
mod suggest;
mod tree;

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::time::Timestamp;

pub use elastic::to_elastic;
pub use error::ParseError;
pub use matcher::{date_of, folded, number_of, tokens};
pub use suggest::suggest;
pub use tree::{Bound, Condition, Edge, Node, Pattern};

/// Field that words and phrases without a field search.
pub const MESSAGE: &str = "message";

/// What stands before the colon when a field is to have any value.
const EXISTS: &str = "_exists_";

/// What a query is matched against.
pub trait Record {
    /// The value of a field, by its path exactly as the query has it; `None` when it is absent or null.
    fn field(&self, path: &str) -> Option<Value<'_>>;
}

/// A value of a record.
#[derive(Clone, PartialEq, Debug)]
pub enum Value<'a> {
    /// Text.
    Str(Cow<'a, str>),
    /// A number.
    Number(f64),
    /// True or false.
    Bool(bool),
    /// Several values; a condition holds when it holds for any of them.
    List(Vec<Value<'a>>),
}

impl Value<'_> {
    /// The value with a text of its own.
    pub fn into_owned(self) -> Value<'static> {
        match self {
            Value::Str(text) => Value::Str(Cow::Owned(text.into_owned())),
            Value::Number(number) => Value::Number(number),
            Value::Bool(b) => Value::Bool(b),
            Value::List(values) => Value::List(values.into_iter().map(Value::into_owned).collect()),
        }
    }
}

/// A query that was understood.
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    source: String,
    tree: Node,
}

impl Query {
    /// Understands a query.
    ///
    /// # Errors
    /// [`ParseError`] with the place and, where possible, what to write instead.
    pub fn parse(source: &str) -> Result<Query, ParseError> {
        Ok(Query { source: source.to_owned(), tree: parser::parse(source, None)? })
    }

    /// Understands a query in which times may be counted from now: `_time:>now-15m`.
    ///
    /// # Errors
    /// [`ParseError`] with the place and, where possible, what to write instead.
    pub fn parse_at(source: &str, now: Timestamp) -> Result<Query, ParseError> {
        Ok(Query { source: source.to_owned(), tree: parser::parse(source, Some(now.0))? })
    }

    /// Whether a record matches.
    pub fn matches<R: Record + ?Sized>(&self, record: &R) -> bool {
        matcher::matches(&self.tree, record)
    }

    /// Every path that the query can read.
    pub fn fields(&self) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        self.tree.visit(&mut |path| {
            paths.insert(path.to_owned());
        });
        paths
    }

    /// The query as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The tree, for other readings.
    pub fn tree(&self) -> &Node {
        &self.tree
    }
}

impl std::fmt::Display for Query {
    /// The canonical text. It parses to an equal tree, unless it is longer than a query may be.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.tree.fmt(f)
    }
}
