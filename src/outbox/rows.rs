//! Lines of an append-only file that know whether they are whole: a check sum, a blank, one JSON object.

use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_64;

use crate::rollout::Command;
use crate::time::Timestamp;

/// A row as a line, with its newline.
pub fn row(body: Map<String, Value>) -> String {
    let text = Value::Object(body).to_string();
    format!("{:016x} {text}\n", xxh3_64(text.as_bytes()))
}

/// A row: its line, without the newline, and what it says.
pub type Row = (String, Map<String, Value>);

/// A row that is not what it should be.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("line {0} is damaged")]
pub struct Damaged(
    /// Number of the line, from 1.
    pub usize,
);

/// The rows of a file; each must be whole. What stands behind the last newline is not looked at.
///
/// # Errors
/// The first line whose check sum is wrong or that is no object.
pub fn read_rows(text: &str) -> Result<Vec<Row>, Damaged> {
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    let lines = whole.split('\n').enumerate().filter(|_| !whole.is_empty());
    lines
        .map(|(at, line)| {
            let wrong = Damaged(at + 1);
            let (check, body) = line.split_once(' ').ok_or(wrong.clone())?;
            if check != format!("{:016x}", xxh3_64(body.as_bytes())) {
                return Err(wrong);
            }
            match serde_json::from_str(body) {
                Ok(Value::Object(object)) => Ok((line.to_owned(), object)),
                _ => Err(wrong),
            }
        })
        .collect()
}

/// What no log says and rollouts go by: commands, and times that came.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum What {
    /// A person's command.
    Command {
        /// The rollout.
        rollout: String,
        /// What is commanded.
        command: Command,
        /// What is accepted, where that is the command.
        finding: Option<String>,
        /// Who.
        actor: String,
        /// Why.
        reason: String,
    },
    /// Event time has come this far, and that brought something.
    Time(Timestamp),
}

/// A row of the journal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Journalled {
    /// It takes effect after so many ledger entries.
    pub after: u64,
    /// The clock when it came, in milliseconds since 1970; for people.
    pub clock_ms: i64,
    /// What came.
    pub what: What,
}

impl Journalled {
    /// As a row.
    pub fn to_row(&self) -> String {
        let mut body = match &self.what {
            What::Command { rollout, command, finding, actor, reason } => json!({
                "kind": "command",
                "rollout": rollout,
                "command": command.name(),
                "finding": finding,
                "actor": actor,
                "reason": reason,
            }),
            What::Time(at) => json!({ "kind": "time", "time_us": at.0 }),
        };
        if let Some(body) = body.as_object_mut() {
            body.insert("after".to_owned(), Value::from(self.after));
            body.insert("clock_ms".to_owned(), Value::from(self.clock_ms));
            return row(std::mem::take(body));
        }
        String::new()
    }

    /// From a row; `None` where it is none of the journal.
    pub fn from_row(body: &Map<String, Value>) -> Option<Journalled> {
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let what = match body.get("kind")?.as_str()? {
            "command" => What::Command {
                rollout: text("rollout")?,
                command: Command::from_name(&text("command")?)?,
                finding: text("finding"),
                actor: text("actor")?,
                reason: text("reason")?,
            },
            "time" => What::Time(Timestamp(body.get("time_us")?.as_i64()?)),
            _ => return None,
        };
        Some(Journalled { after: body.get("after")?.as_u64()?, clock_ms: body.get("clock_ms")?.as_i64()?, what })
    }
}
