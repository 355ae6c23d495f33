//! What has happened to rollouts, in order: each change of a verdict or phase with the numbers that it rested on, and each command.
//!
//! It is made from the same lines of ledger and journal as [`Book`], so a restart comes to the same. Where rows of the journal were
//! put aside (`kept`), it begins there.

use std::collections::{BTreeMap, VecDeque};

use serde_json::{Map, Value, json};

use crate::outbox::{Book, Decision, Journalled, Rollout, What};

/// Events that are kept, of all rollouts together; the oldest go first.
const EVENTS_MAX: usize = 20_000;

/// What is compared with what came before.
#[derive(Clone, PartialEq, Debug)]
struct Stand {
    verdict: &'static str,
    automatic: bool,
    phase: &'static str,
    step: usize,
    attempt: u64,
    over: bool,
    accepted: usize,
}

/// One thing that happened.
#[derive(Clone, Debug)]
struct Event {
    rollout: String,
    body: Value,
}

/// Events, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    events: VecDeque<Event>,
    stands: BTreeMap<String, Stand>,
    /// Events so far.
    number: u64,
    /// Events that have gone.
    gone: u64,
}

impl History {
    /// An entry of the ledger was read that tells of this rollout.
    pub(super) fn entry(&mut self, book: &Book, rollout: Option<&str>, decisions: &[Decision]) {
        if let Some(id) = rollout {
            self.look(book, id, decisions, None);
        }
        self.others(book, rollout, decisions, None);
    }

    /// Rollouts beside the one that something happened to, of which something was decided: cells whose turn came.
    fn others(&mut self, book: &Book, rollout: Option<&str>, decisions: &[Decision], row: Option<&Journalled>) {
        let mut ids: Vec<&str> = decisions.iter().map(|decision| decision.rollout.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.into_iter().filter(|id| Some(*id) != rollout).for_each(|id| self.look(book, id, decisions, row));
    }

    /// A row of the journal was read.
    pub(super) fn row(&mut self, book: &Book, row: &Journalled, decisions: &[Decision]) {
        match &row.what {
            What::Command { rollout, .. } => {
                self.look(book, rollout, decisions, Some(row));
                self.others(book, Some(rollout), decisions, Some(row));
            }
            What::Time(_) => {
                let mut ids: Vec<&str> = decisions.iter().map(|decision| decision.rollout.as_str()).collect();
                ids.dedup();
                ids.into_iter().for_each(|id| self.look(book, id, decisions, Some(row)));
            }
            What::Muted(of) => self.look(book, &of.rollout, decisions, Some(row)),
            What::Configured { .. } | What::Placebo { .. } | What::Kept { .. } => {}
        }
    }

    fn look(&mut self, book: &Book, id: &str, decisions: &[Decision], row: Option<&Journalled>) {
        let Some(rollout) = book.rollout(id) else { return };
        let (verdict, automatic) = book.verdict(rollout);
        let stand = Stand {
            verdict: verdict.name(),
            automatic,
            phase: rollout.state.phase.name(),
            step: rollout.state.step,
            attempt: rollout.attempts,
            over: rollout.compared.iter().all(|of| of.over),
            accepted: rollout.accepted.len(),
        };
        let is_command = row.is_some_and(|row| matches!(row.what, What::Command { .. } | What::Muted(_)));
        if self.stands.get(id) == Some(&stand) && decisions.is_empty() && !is_command {
            return;
        }
        // Rollouts that make room for others in the book do so here.
        if self.stands.len() > 2 * EVENTS_MAX {
            self.stands.retain(|id, _| book.rollout(id).is_some());
        }
        let before = self.stands.insert(id.to_owned(), stand.clone());
        let told: Vec<Value> = decisions
            .iter()
            .filter(|decision| decision.rollout == id)
            .map(|decision| json!({ "event": decision.topic.name(), "generation": decision.generation }))
            .collect();
        let at = decisions.first().map(|decision| decision.at).or(book.latest());
        let mut body = json!({
            "number": self.number,
            "at": at.map(|at| at.to_string()),
            "entry": book.read().entries.saturating_sub(1),
            "verdict": stand.verdict,
            "verdict_before": before.as_ref().map(|before| before.verdict),
            "automatic": stand.automatic,
            "phase": stand.phase,
            "phase_before": before.as_ref().map(|before| before.phase),
            "step": stand.step,
            "step_before": before.as_ref().map(|before| before.step),
            // What came by the clock or by a command rests on the same entry as what was decided before it.
            "row": row.map(|_| book.read().rows.saturating_sub(1)),
            "attempt": stand.attempt,
            "over": stand.over,
            "reason": rollout.reason(),
            "told": told,
            "compared": compared(rollout),
            "command": null,
            "actor": null,
            "command_reason": null,
            "finding": null,
            "until_ms": null,
            "clock_ms": row.map(|row| row.clock_ms),
        });
        if let (Some(row), Some(body)) = (row, body.as_object_mut()) {
            commanded(row, body);
        }
        self.number += 1;
        self.events.push_back(Event { rollout: id.to_owned(), body });
        if self.events.len() > EVENTS_MAX {
            self.events.pop_front();
            self.gone += 1;
        }
    }

    /// Events so far.
    pub(super) fn count(&self) -> u64 {
        self.number
    }

    /// Each event with its rollout, the oldest first.
    pub(super) fn each(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.events.iter().map(|event| (event.rollout.as_str(), &event.body))
    }

    /// What happened to a rollout, the latest first.
    pub(super) fn of(&self, rollout: &str) -> Value {
        let of = self.events.iter().rev().filter(|event| event.rollout == rollout);
        json!({ "events": of.map(|event| event.body.clone()).collect::<Vec<_>>(), "forgotten": self.gone })
    }
}

fn commanded(row: &Journalled, body: &mut Map<String, Value>) {
    let (command, actor, reason, finding) = match &row.what {
        What::Command { command, finding, actor, reason, .. } => (command.name(), actor, reason, json!(finding)),
        What::Muted(of) => {
            let command = if of.until_ms > row.clock_ms { "mute" } else { "unmute" };
            body.insert("until_ms".to_owned(), Value::from(of.until_ms));
            (command, &of.actor, &of.reason, json!(of.template))
        }
        What::Time(_) | What::Configured { .. } | What::Placebo { .. } | What::Kept { .. } => return,
    };
    body.insert("command".to_owned(), Value::from(command));
    body.insert("actor".to_owned(), Value::from(actor.as_str()));
    body.insert("command_reason".to_owned(), Value::from(reason.as_str()));
    body.insert("finding".to_owned(), finding);
}

/// The numbers as they were.
fn compared(rollout: &Rollout) -> Vec<Value> {
    let one = |of: &crate::outbox::Compared| {
        json!({
            "service": of.service,
            "control": of.control,
            "candidate": of.candidate,
            "verdict": of.verdict.name(),
            "units": of.units,
            "log10_e": (of.log_sum / std::f64::consts::LN_10 * 1e3).round() / 1e3,
            "regressed": of.regressed.iter().map(|(name, log_e)| json!({
                "guardrail": name,
                "log10_e": (log_e / std::f64::consts::LN_10 * 1e3).round() / 1e3,
            })).collect::<Vec<_>>(),
            "over_limit": of.over_limit,
            "changed": of.changed,
            "flaws": of.flaws,
            "at": of.at.to_string(),
        })
    };
    rollout.compared.iter().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Chain;
    use crate::outbox::Declared;
    use crate::rollout::Command;

    fn object(value: Value) -> Map<String, Value> {
        match value {
            Value::Object(object) => object,
            _ => panic!("an object"),
        }
    }

    #[test]
    fn changes_and_commands_are_told_and_looks_without_news_are_not() {
        let declared = Declared { name: "web".to_owned(), services: vec!["web".to_owned()], ..Declared::default() };
        let (mut book, mut history) = (Book::new(vec![declared]), History::default());
        let mut chain = Chain::default();
        let mut read = |kind: &'static str, body: Value| {
            let line = chain.append(kind, object(body));
            let (id, decisions) = book.entry_of(&line);
            history.entry(&book, id.as_deref(), &decisions);
        };
        read(
            "begin",
            json!({ "service": "web", "services": [{"environment": "", "service": "web"}], "control": "1",
                "candidate": "2", "at": "2026-06-01T00:00:00Z" }),
        );
        let look = |verdict: &str, minute: u64| {
            json!({ "service": "web", "candidate": "2", "verdict": verdict, "at": format!("2026-06-01T00:{minute:02}:00Z"),
                "counters": { "units": [10 * minute, minute] }, "log_sum": 1.0 })
        };
        read("look", look("inconclusive", 1));
        read("look", look("inconclusive", 2));
        read("look", look("fail", 3));
        read("look", look("fail", 4));
        let what = What::Command {
            rollout: "web".to_owned(),
            command: Command::RollBack,
            finding: None,
            actor: "ann".to_owned(),
            reason: "enough".to_owned(),
        };
        let row = Journalled { after: 5, clock_ms: 7, what };
        let decisions = book.journalled(&row.to_row(), &row).unwrap();
        history.row(&book, &row, &decisions);
        let told = history.of("web");
        let events = told["events"].as_array().unwrap();
        let short: Vec<(&str, &str, &Value)> = events
            .iter()
            .map(|event| (event["verdict"].as_str().unwrap(), event["phase"].as_str().unwrap(), &event["actor"]))
            .collect();
        let nobody = Value::Null;
        let ann = json!("ann");
        assert_eq!(
            short,
            [("fail", "rolled back", &ann), ("fail", "failed", &nobody), ("inconclusive", "running", &nobody)],
            "{told:#}"
        );
        assert_eq!(events[1]["compared"][0]["units"], json!([30, 3]), "as it was at that look");
        assert_eq!(events[0]["told"][0]["event"], "rollback");
        assert_eq!(history.of("other")["events"], json!([]));
    }
}
