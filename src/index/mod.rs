//! Search: an embedded index of log lines.
//!
//! An index is a folder of *parts*, each a tantivy index of one stretch of event time. Lines are added to the newest part alone; once most lines
//! lie in a later stretch, or it is full, it is closed and the next one begins. So a part is a contiguous piece of each stream, and whatever
//! an index has of a stream ends where the newest commit says ([`Positions`]): each line is in it exactly once, without a step
//! that would have to span parts. Old parts go as a whole, by age or size.
//!
//! [`layout`](self) says what a line becomes. A query is read on each segment as two sets of documents, those that match and those that may
//! ([`reading`](self)); the lines of the latter are read and matched. Nothing is answered that the matcher on lines would not answer.

mod aggregate;
mod bits;
mod committing;
mod coverage;
mod derived;
mod document;
mod forget;
mod histogram;
mod layout;
mod lines;
mod names;
mod positions;
mod raw;
mod reading;
mod record;
mod sampling;
mod search;
mod store;
mod units;
mod values;
mod writer;

pub use aggregate::{Counted, Figure, Group, Metric, Table};
pub use committing::Committing;
pub use coverage::{Coverage, Covered};
pub use document::{OUTSIDE, REJECT, Told, kind_name};
pub use forget::IsForgotten;
pub use layout::{ColumnKind, Columns};
pub use names::{Aliases, Impossible, KnownField, Unknown, impossible, impossible_in, is_derived, told_paths, unknown};
pub use positions::Positions;
pub use raw::Raw;
pub use record::ToldRecord;
pub use sampling::Sampling;
pub use search::{Asked, Came, Cursor, Found, Page, Partial, Total};
pub use store::{Index, Part};
pub use units::{OfUnits, Seen, UnitLine};
pub use values::UNIT;
pub use writer::{Settings, Writer};

/// Why an index cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// What tantivy says.
    #[error("index: {0}")]
    Tantivy(#[from] tantivy::TantivyError),
    /// A file or folder.
    #[error("{0}: {1}")]
    Io(String, #[source] std::io::Error),
    /// Columns that make no schema.
    #[error("index: columns that make no schema")]
    Columns,
}
