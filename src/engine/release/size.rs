//! What a release costs in memory, and what it can do without.

use serde_json::{Map, Value};

use crate::engine::ending::EndReason;
use crate::engine::release::{Entry, ReleaseState};
use crate::engine::user_effects::History;
use crate::engine::{Settings, entries, memory};
use crate::event::ServiceKey;
use crate::time::Timestamp;

impl ReleaseState {
    /// Bytes of each part, by name; those of its comparisons summed. A new part of a release has its line here.
    pub(in crate::engine) fn parts(&self) -> Vec<(&'static str, u64)> {
        let mut parts = vec![
            (
                "release itself",
                size_of::<ReleaseState>() as u64
                    + memory::list::<ServiceKey>(self.services.len())
                    // It stands in the index of services too.
                    + self.services.iter().map(|key| 2 * memory::key(key) + 96).sum::<u64>()
                    + self.attempts.bytes(),
            ),
            ("arms", self.arms.bytes()),
            ("history", self.history_bytes()),
            ("comparison itself", self.comparisons.bytes()),
        ];
        for comparison in &self.comparisons {
            for (name, bytes) in comparison.parts() {
                match parts.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, sum)) => *sum += bytes,
                    None => parts.push((name, bytes)),
                }
            }
        }
        parts
    }

    /// Bytes of all of it.
    pub(in crate::engine) fn bytes(&self) -> u64 {
        self.parts().iter().map(|(_, bytes)| bytes).sum()
    }

    /// Bytes of what is known of its users' latency.
    pub(in crate::engine) fn history_bytes(&self) -> u64 {
        self.history.as_ref().map_or(0, History::bytes)
    }

    /// When something was learnt of its users last.
    pub(in crate::engine) fn learnt_at(&self) -> Timestamp {
        self.history.as_ref().map_or(Timestamp(i64::MIN), History::learnt_at)
    }

    /// What is known of its users' latency goes, and nothing is learnt any more.
    pub(in crate::engine) fn forget_history(&mut self) {
        self.history = None;
    }

    /// A discovered rollout is no longer judged; returns the entries that tell of it.
    pub(in crate::engine) fn give_up(&mut self, at: usize, settings: &Settings) -> Vec<Entry> {
        let mut list: Vec<Entry> = Vec::new();
        if let Some(body) = self.begin_entry(at, settings) {
            list.push(("begin", body));
        }
        list.extend(self.digest(at));
        let name = self.name();
        let Some(comparison) = self.comparisons.get_mut(at) else { return list };
        let (end, reason) = (comparison.ended_at, EndReason::NoMemory);
        comparison.end_rollout(end, reason);
        comparison.keep_the_gist();
        let body: Map<String, Value> = entries::ended(&name, comparison, end, reason);
        list.push(("ended", body));
        list
    }
}
