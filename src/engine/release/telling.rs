//! Looks at the comparisons of a release, and the ledger entries that tell of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::compare::budget;
use crate::compare::verdict::Verdict;
use crate::engine::comparison::{Failure, ReadSoFar};
use crate::engine::limits::Limit;
use crate::engine::release::{Entry, ReleaseState};
use crate::engine::stalls::Gap;
use crate::engine::{Settings, entries, look};
use crate::math;
use crate::time::{HOUR, Timestamp};

/// Looks that one digest entry covers.
const DIGEST_LOOKS: usize = 100;

impl ReleaseState {
    /// The entry that tells of a new comparison, once.
    pub(in crate::engine) fn begin_entry(&mut self, at: usize, settings: &Settings) -> Option<Map<String, Value>> {
        if self.comparisons.begin(at) {
            return None;
        }
        Some(entries::begin(&self.name(), &self.services, &self.comparisons[at], settings))
    }

    /// Windows have closed without streams that had more. Returns the comparisons that this is new to, of those that were looked at
    /// before.
    pub(in crate::engine) fn miss(&mut self, missing: &[(String, Gap)], settings: &Settings) -> Vec<usize> {
        let mut first = Vec::new();
        if missing.is_empty() {
            return first;
        }
        for at in self.live() {
            let comparison = &mut self.comparisons[at];
            let mut is_new = false;
            for (stream, gap) in missing {
                is_new |= comparison.missed.add(stream, *gap, comparison.started, &settings.windowing);
            }
            if is_new && comparison.looks > 0 {
                first.push(at);
            }
        }
        first
    }

    /// Looks at a comparison; returns the entries that tell of it.
    pub(in crate::engine) fn look(
        &mut self,
        at: usize,
        settings: &Settings,
        positions: &BTreeMap<String, u64>,
        read: ReadSoFar,
    ) -> Vec<Entry> {
        let comparison = &mut self.comparisons[at];
        let [events, late] = self.arrived;
        comparison.read = ReadSoFar { events, late, ..read };
        let policy = settings.policy.of(self.services.first());
        let look = look::look(comparison, policy);
        let regressed = look.log_sum >= comparison.log_fail;
        let limits: Vec<Limit> = look.failing_limits().collect();
        if (regressed || !limits.is_empty()) && comparison.failure.is_none() {
            if look.verdict == Verdict::Fail {
                let (log_fail, log_sum) = (comparison.log_fail, look.log_sum);
                let leading = || comparison.templates.leading(&policy.expect_templates, log_fail, log_sum);
                let templates = if regressed { leading() } else { Vec::new() };
                comparison.failure = Some(Failure {
                    window: comparison.window,
                    at: comparison.ended_at,
                    automatic_at: None,
                    cells: if regressed { look.leading(comparison.log_fail) } else { Vec::new() },
                    conversions: if regressed { look.leading_conversions(comparison.log_fail) } else { Vec::new() },
                    metrics: if regressed { look.leading_metrics(comparison.log_fail) } else { Vec::new() },
                    segments: if regressed { look.leading_segments(comparison.log_fail) } else { Vec::new() },
                    limits,
                    templates,
                });
            } else if regressed && comparison.regressed_while_invalid.is_none() {
                comparison.regressed_while_invalid = Some(comparison.window);
            }
        }
        // Of users who stick to an arm and are not logged, requests are no independent evidence, and nothing shows it.
        let is_sure = !comparison.unit.is_once() || policy.requests_assigned;
        let is_automatic = is_sure && look.log_sum >= comparison.log_fail + math::ln(budget::AUTOMATIC);
        if let Some(failure) = &mut comparison.failure
            && is_automatic
        {
            failure.automatic_at.get_or_insert(comparison.ended_at);
        }
        comparison.look = look;
        if !settings.arms.is_declared() {
            comparison.note_heard();
        }
        let status = entries::status(comparison);
        let ended = comparison.ended_at.0;
        let untold = self.comparisons.untold(at);
        let hour_over = untold.full_at.is_none_or(|at| ended - at >= HOUR);
        if hour_over || status != untold.told {
            return self.tell(at, settings, positions);
        }
        let mut list = Vec::new();
        let check = entries::check(&self.comparisons[at]);
        let untold = self.comparisons.untold(at);
        if untold.checks.is_empty() {
            untold.first_at = ended;
        }
        untold.last_at = ended;
        untold.checks.push(check);
        if untold.checks.len() >= DIGEST_LOOKS {
            list.extend(self.digest(at));
        }
        list
    }

    /// The last word on a comparison.
    pub(in crate::engine) fn last_look(
        &mut self,
        at: usize,
        settings: &Settings,
        positions: &BTreeMap<String, u64>,
        read: ReadSoFar,
    ) -> Vec<Entry> {
        self.comparisons.untold(at).full_at = None;
        self.look(at, settings, positions, read)
    }

    fn tell(&mut self, at: usize, settings: &Settings, positions: &BTreeMap<String, u64>) -> Vec<Entry> {
        let mut list: Vec<Entry> = self.digest(at).into_iter().collect();
        let name = self.name();
        let comparison = &self.comparisons[at];
        let policy = settings.policy.of(self.services.first());
        list.push(("look", entries::look(&name, comparison, policy, positions)));
        let (ended, told) = (comparison.ended_at.0, entries::status(comparison));
        let untold = self.comparisons.untold(at);
        (untold.full_at, untold.told) = (Some(ended), told);
        list
    }

    /// The entry for looks that changed nothing, when there are any.
    pub(super) fn digest(&mut self, at: usize) -> Option<(&'static str, Map<String, Value>)> {
        let untold = self.comparisons.untold(at);
        if untold.checks.is_empty() {
            return None;
        }
        let checks = std::mem::take(&mut untold.checks);
        let (first, last) = (Timestamp(untold.first_at), Timestamp(untold.last_at));
        let name = self.name();
        Some(("looks", entries::looks(&name, &self.comparisons[at], first, last, &checks)))
    }

    /// Verdict of each comparison, for the last entry.
    pub(in crate::engine) fn summary(&self) -> Vec<(String, String)> {
        self.comparisons
            .iter()
            .map(|comparison| (comparison.candidate.clone(), comparison.look.verdict.name().to_owned()))
            .collect()
    }
}
