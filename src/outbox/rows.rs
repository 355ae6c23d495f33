//! Lines of an append-only file that know whether they are whole: a check sum, a blank, one JSON object.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_64;

use crate::outbox::{Book, Declared, Since, Topic};
use crate::rollout::{Command, Now};
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

/// A hook, as far as it is decided what it is told. Where it is and by which secret it knows us stands in no row.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Told {
    /// Its name.
    pub name: String,
    /// What it is told.
    pub topics: Vec<Topic>,
    /// What came before it was to be told this is not told.
    pub since: Since,
}

/// What a placebo split of a day said of a service.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Placebo {
    /// Its environment.
    pub environment: String,
    /// The service.
    pub service: String,
    /// The day, in days since 1970 (UTC, of event time).
    pub day: i64,
    /// Random splits of its units.
    pub splits: u32,
    /// Those of them that were rolled back.
    pub failed: u32,
    /// As many may be.
    pub allowed: u32,
}

impl Placebo {
    /// More were rolled back than the error level allows: what follows from evidence there is told, and not acted on.
    pub fn is_exceeded(&self) -> bool {
        self.failed > self.allowed
    }

    /// The same, in words.
    pub fn reason(&self) -> String {
        format!(
            "automatic actions are withheld: of {} random splits of {}'s own traffic of one day, in which nothing differs, {} would \
             have been rolled back, and {} may be",
            self.splits, self.service, self.failed, self.allowed
        )
    }
}

/// A template that somebody does not want to see of a rollout for a while. No decision goes by it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Muted {
    /// The rollout.
    pub rollout: String,
    /// The template's id.
    pub template: String,
    /// Until when, by the clock, in milliseconds since 1970.
    pub until_ms: i64,
    /// Who.
    pub actor: String,
    /// Why.
    pub reason: String,
}

/// What no log says and rollouts go by: commands, times that came, and what was configured.
#[derive(Clone, PartialEq, Debug)]
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
    Time(Now),
    /// Rollouts are to go like this from here on, and these hooks are told.
    Configured {
        /// Declared rollouts.
        declared: Vec<Declared>,
        /// Hooks.
        hooks: Vec<Told>,
    },
    /// The placebo splits of a day; of services that had too little traffic nothing is said.
    Placebo {
        /// The day, in days since 1970 (UTC, of event time).
        day: i64,
        /// What was found.
        services: Vec<Placebo>,
    },
    /// A template of a rollout is muted, or no longer where the time is over.
    Muted(Muted),
    /// Everything that ledger and journal had told until here, in place of the rows before.
    Kept {
        /// Bytes of the ledger.
        bytes: u64,
        /// What was read of it.
        book: Box<Book>,
        /// Hooks that are told.
        hooks: Vec<Told>,
    },
}

/// A row of the journal.
#[derive(Clone, PartialEq, Debug)]
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
            What::Time(at) => json!({ "kind": "time", "time_us": at.by_clock.0, "judged_us": at.judged.0 }),
            What::Configured { declared, hooks } => {
                json!({ "kind": "configured", "declared": declared, "hooks": hooks })
            }
            What::Placebo { day, services } => json!({ "kind": "placebo", "day": day, "services": services }),
            What::Muted(of) => json!({
                "kind": "muted",
                "rollout": of.rollout,
                "template": of.template,
                "until_ms": of.until_ms,
                "actor": of.actor,
                "reason": of.reason,
            }),
            What::Kept { bytes, book, hooks } => {
                json!({ "kind": "kept", "bytes": bytes, "book": book, "hooks": hooks })
            }
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
            "time" => {
                let [by_clock, judged] = ["time_us", "judged_us"].map(|key| body.get(key)?.as_i64().map(Timestamp));
                let by_clock = by_clock?;
                What::Time(Now { by_clock, judged: judged.unwrap_or(by_clock) })
            }
            "configured" => What::Configured {
                declared: Deserialize::deserialize(body.get("declared")?).ok()?,
                hooks: Deserialize::deserialize(body.get("hooks")?).ok()?,
            },
            "placebo" => What::Placebo {
                day: body.get("day")?.as_i64()?,
                services: Deserialize::deserialize(body.get("services")?).ok()?,
            },
            "muted" => What::Muted(Muted {
                rollout: text("rollout")?,
                template: text("template")?,
                until_ms: body.get("until_ms")?.as_i64()?,
                actor: text("actor")?,
                reason: text("reason")?,
            }),
            "kept" => What::Kept {
                bytes: body.get("bytes")?.as_u64()?,
                book: Deserialize::deserialize(body.get("book")?).ok()?,
                hooks: Deserialize::deserialize(body.get("hooks")?).ok()?,
            },
            _ => return None,
        };
        Some(Journalled { after: body.get("after")?.as_u64()?, clock_ms: body.get("clock_ms")?.as_i64()?, what })
    }
}
