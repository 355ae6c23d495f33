//! From the ledger to what people and controllers are told: which entries make which notifications, and how they are delivered.
//!
//! [`Book`] folds ledger lines, and the journal of commands and of times that came, into the state of every rollout and into
//! [`Decision`]s: the same lines give the same decisions, with the same ids. [`Lane`] says when a target is asked again. Neither
//! knows a clock, a file or a network: the edge brings times and answers.

mod book;
mod deliveries;
mod lane;
mod rows;

pub use self::book::{Awaited, Book, Compared, Declared, ORDER, Rollout, glob, is_found, same_ground};
pub use self::deliveries::{Deliveries, Delivery, Do, Standing, Target, Unknown};
pub use self::lane::{BREAK_AFTER, Given, HookState, Lane, Next, Outcome, Why};
pub use self::rows::{Damaged, Journalled, Muted, Placebo, Row, Told, What, read_rows, row};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::time::Timestamp;

/// What somebody is told.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Topic {
    /// Roll back.
    Rollback,
    /// It failed; the evidence is not yet that of an automatic action.
    Fail,
    /// A step passed.
    Pass,
    /// The comparison means nothing.
    Invalid,
    /// It is undecided at its deadline.
    Deadline,
    /// It is held.
    Held,
    /// It goes on.
    Resumed,
    /// The next step may begin.
    Step,
    /// The last step has passed.
    Promote,
    /// It ended undecided.
    Over,
    /// A rollout that nobody declared stands out.
    Found,
}

impl Topic {
    /// Every topic, in order.
    pub const ALL: [Topic; 11] = [
        Topic::Rollback,
        Topic::Fail,
        Topic::Pass,
        Topic::Invalid,
        Topic::Deadline,
        Topic::Held,
        Topic::Resumed,
        Topic::Step,
        Topic::Promote,
        Topic::Over,
        Topic::Found,
    ];

    /// The word that configuration and messages use.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Rollback => "rollback",
            Topic::Fail => "fail",
            Topic::Pass => "pass",
            Topic::Invalid => "invalid",
            Topic::Deadline => "deadline",
            Topic::Held => "held",
            Topic::Resumed => "resumed",
            Topic::Step => "step",
            Topic::Promote => "promote",
            Topic::Over => "over",
            Topic::Found => "found",
        }
    }

    /// The topic of a word.
    pub fn from_name(name: &str) -> Option<Topic> {
        Topic::ALL.into_iter().find(|topic| topic.name() == name)
    }

    /// What the receiver is to do: all but these are for people.
    pub fn action(self) -> &'static str {
        match self {
            Topic::Rollback => "rollback",
            Topic::Step => "advance",
            Topic::Promote => "promote",
            Topic::Fail
            | Topic::Pass
            | Topic::Invalid
            | Topic::Deadline
            | Topic::Held
            | Topic::Resumed
            | Topic::Over
            | Topic::Found => "notify",
        }
    }
}

/// A place in ledger and journal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Since {
    /// Ledger entries.
    pub entries: u64,
    /// Rows of the journal.
    pub rows: u64,
}

impl Since {
    /// What was the last that was read stands before this place.
    pub fn covers(self, read: Since, journalled: bool) -> bool {
        if journalled { read.rows <= self.rows } else { read.entries <= self.entries }
    }
}

/// Something to be told, once for each hook that asks for it.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    /// Hash of the ledger entry or journal row that it follows from.
    pub source: String,
    /// Which rollout.
    pub rollout: String,
    /// Number of this decision among those of its rollout, from 1: of two, the greater is the later.
    pub generation: u64,
    /// What is told.
    pub topic: Topic,
    /// Event time of what it follows from.
    pub at: Timestamp,
    /// What had been read, that from which it follows included.
    pub read: Since,
    /// It follows from the journal, not from the ledger.
    pub journalled: bool,
    /// Names of hooks that are asked; every one without.
    pub hooks: Option<Vec<String>>,
    /// What the message says.
    pub data: Map<String, Value>,
}

impl Decision {
    /// By what a receiver knows a message that comes again. The same for the same ledger, whatever crashed in between.
    pub fn id(&self, hook: &str) -> String {
        let mut hash = Sha256::new();
        for part in [self.source.as_str(), &self.rollout, self.topic.name(), hook] {
            hash.update(part.as_bytes());
            hash.update([0]);
        }
        let digits: String = hash.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
        format!("msg_{digits}")
    }
}

#[cfg(test)]
mod tests;
