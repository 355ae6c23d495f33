//! What log shippers send, as lines: the body of each dialect becomes the lines that are stored and read again, so that a
//! log sent by one way or the other means the same.
//!
//! Everything here is a pure function of the body. What a dialect's record says is kept whole: also of a record that is refused, one
//! line is made, which becomes a reject that is counted and shown.

mod bounds;
pub mod bulk;
pub mod loki;
#[cfg(feature = "kafka")]
pub mod message;
pub mod otlp;
mod record;
#[cfg(feature = "kafka")]
mod syslog;

use crate::pipeline::decode::LINE_MAX;
use crate::pipeline::{access, json, shape};

/// Why a body is no body of its dialect: nothing of it is taken.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not what the dialect says.
    #[error("{0}")]
    Malformed(String),
    /// It holds more messages, or items, than are taken at a time.
    #[error("more than {0} records and values; send fewer at a time")]
    TooMany(usize),
    /// Its lines would be longer than a record of the write-ahead log.
    #[error("its lines would be longer than {} MiB; send fewer records at a time", .0 >> 20)]
    TooLong(usize),
}

/// What was made of a body.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Made {
    /// One line for every record.
    pub lines: Vec<u8>,
    /// Records.
    pub records: u64,
    /// Those of them whose line can only be a reject.
    pub refused: u64,
    /// Why the first of these can.
    pub why: Option<String>,
}

impl Made {
    /// A line was made; why it can only be a reject, where that is so.
    fn add(&mut self, refused: Option<&str>) {
        self.records += 1;
        if let Some(why) = refused {
            self.refused += 1;
            self.why.get_or_insert_with(|| why.to_owned());
        }
    }
}

/// Why a line would be a reject for its form alone, whatever the plan is: by the decoder's own rules.
///
/// # Errors
/// The reason, in words for a client.
pub fn form(line: &[u8]) -> Result<(), String> {
    if line.len() > LINE_MAX {
        return Err(format!("longer than {} MiB", LINE_MAX >> 20));
    }
    let Ok(text) = std::str::from_utf8(line) else { return Err("not UTF-8".to_owned()) };
    let text = text.trim_ascii();
    if text.is_empty() {
        return Err("empty".to_owned());
    }
    if text.starts_with('{') {
        return json::scan_object(text, &mut |_, _| {}).map_err(|bad| format!("not a JSON object: {bad}"));
    }
    if access::parse_access(text).is_some() || shape::of_text(text).is_some() {
        return Ok(());
    }
    Err("no known form: neither a JSON object nor a line of an access log, of logfmt, of syslog, or text that begins with a time".to_owned())
}
