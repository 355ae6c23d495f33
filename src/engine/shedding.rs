//! One bound on all state, and what goes first when it is met.
//!
//! What goes depends on what the state contains and on nothing else: bytes are told from counts (`memory`), and whatever is
//! chosen among is put in order by event time, numbers of units and the numbers of releases. So the same logs shed the same at
//! the same window, whichever way they were read, and a restored engine sheds as the one that was saved (LG-2, EN-1).
//!
//! In this order, until an eighth of the bound is free again:
//! 1. histories of services without a live rollout, those that learnt least lately first: small shifts of latency will not be found;
//! 2. sums of rollouts that are over, those that ended first: verdict, evidence and counts stay;
//! 3. half of the open traces, of the units that were exposed before and of those of rollouts that run at once, by keyed hash, and
//!    half again;
//! 4. the ages of the units of rollouts that remember most of them, then pair tests (routes, status classes, called services) that remember most: their evidence stays what it is;
//! 5. half of the units, by keyed hash, of the rollout that remembers most, and so on;
//! 6. discovered rollouts with the fewest units: no longer judged, their last verdict stands;
//! 7. rollouts that are over and of which an arm is gone, those that ended first: they stand in the ledger alone.
//!
//! FAIL stays valid throughout. Which units go on is a hash of theirs, decided by how many there are and never by what they
//! did: among those that are left a release that changes nothing still leaves the errors to chance. A test that stops, stops at
//! a time that knows nothing of outcomes, and an e-value at such a time is one. Histories only ever take away noise.
//!
//! What this module does not know: windows that are still open. How many those are depends on the order of reading.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use crate::engine::comparison::Comparison;
use crate::engine::memory::{self, Bytes};
use crate::engine::{Engine, Output};
use crate::event::ServiceKey;
use crate::sketch::codec::{Damaged, Reader, Writer};

/// Bytes of state of an engine, unless somebody says otherwise. Ten thousand services of which each is being rolled out take
/// about half of it, with some thousand users each; what a machine that reads their logs has to spare.
pub const STATE_MAX: u64 = 4 << 30;

/// Bytes that a rollout, or a release without one, keeps whatever is given up: about 8 KB, and some for its names. So many stand free for each
/// that is taken, as thousands of services may begin one in the same window.
const FLOOR: u64 = 16 << 10;

/// Fewest open traces that are halved: fewer cost little.
const TRACES_LEAST: usize = 1_024;
/// The same of exposed units.
const EXPOSED_LEAST: usize = 1_024;
/// The same of units that two rollouts have in common.
const SHARED_LEAST: usize = 1_024;
/// Fewest remembered pairs for which a test is stopped.
const PAIRS_LEAST: usize = 1_024;
/// Fewest units that are halved: with a sample of fewer a rollout of thousands is hardly judged any more.
const UNITS_LEAST: usize = 4_096;

/// How often something went because memory was short.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Shed {
    /// Services whose users' history went.
    pub histories: u64,
    /// Rollouts that were over, of which only the gist stayed.
    pub gists: u64,
    /// Times that the open traces were halved.
    pub traces: u64,
    /// Times that the units that were exposed before were halved.
    pub exposed: u64,
    /// Times that the units were halved that two rollouts have in common.
    pub shared: u64,
    /// Rollouts whose units are no longer followed by age.
    pub ages: u64,
    /// Rollouts whose pair tests stopped.
    pub pairs: u64,
    /// Times that a rollout's units were halved.
    pub units: u64,
    /// Discovered rollouts that were no longer judged.
    pub rollouts: u64,
    /// Rollouts that were over, of which nothing stayed.
    pub forgotten: u64,
    /// Windows in which something new was not taken: a release, a version, a rollout.
    pub full: u64,
}

impl Shed {
    fn counts_mut(&mut self) -> [&mut u64; 11] {
        let Shed { histories, gists, traces, exposed, shared, ages, pairs, units, rollouts, forgotten, full } = self;
        [histories, gists, traces, exposed, shared, ages, pairs, units, rollouts, forgotten, full]
    }

    fn counts(mut self) -> [u64; 11] {
        self.counts_mut().map(|count| *count)
    }

    /// What was given up, in words; empty when nothing was.
    pub fn words(self, memory: u64) -> Vec<String> {
        let said = [
            "services whose history of users was given up",
            "rollouts that were over, of which only verdict, evidence and counts were kept",
            "times only every second of the open traces went on",
            "times only every second unit that was exposed before was remembered",
            "times only every second unit that two rollouts have in common went on",
            "rollouts whose users were no longer followed by the time since they were first seen",
            "rollouts whose routes, status classes and called services were no longer compared",
            "times only every second unit of a rollout went on",
            "rollouts that were no longer judged",
            "rollouts that were over, of which only the ledger tells",
            "windows in which not every new service, version or rollout was taken",
        ];
        let given = self.counts().into_iter().zip(said).filter(|(count, _)| *count > 0);
        let list: Vec<String> = given.map(|(count, what)| format!("{count} {what}")).collect();
        if list.is_empty() {
            return list;
        }
        vec![format!("{} of state (--memory) were met: {}", Bytes(memory), list.join("; "))]
    }

    pub(super) fn write(self, w: &mut Writer) {
        self.counts().into_iter().for_each(|count| w.uint(count));
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<Shed, Damaged> {
        let mut shed = Shed::default();
        for count in shed.counts_mut() {
            *count = r.uint()?;
        }
        Ok(shed)
    }
}

/// What each release costs, as of its last window.
#[derive(Clone, Debug, Default)]
pub(super) struct Sizes {
    of_release: Vec<u64>,
    sum: u64,
    /// What releases share, as of the last window.
    rest: u64,
}

impl Sizes {
    fn set(&mut self, at: usize, bytes: u64) {
        if self.of_release.len() <= at {
            self.of_release.resize(at + 1, 0);
        }
        self.sum += bytes;
        self.sum -= std::mem::replace(&mut self.of_release[at], bytes);
    }
}

impl Engine {
    /// Bytes of state, told from counts; without windows that are still open.
    pub fn state_bytes(&self) -> u64 {
        self.sizes.sum + self.sizes.rest
    }

    fn measure_rest(&mut self) {
        self.sizes.rest = self.common.traces.bytes()
            + self.common.exposed.bytes()
            + self.overlaps.bytes()
            + self.levels.bytes()
            + self.notifications.bytes()
            + memory::tree::<ServiceKey, u64>(self.unplanned.len())
            + self.unplanned.keys().map(memory::key).sum::<u64>();
    }

    /// The same by part, largest first.
    pub fn state_parts(&self) -> Vec<(&'static str, u64)> {
        let mut parts: Vec<(&'static str, u64)> = vec![
            ("open traces", self.common.traces.bytes()),
            ("exposed units", self.common.exposed.bytes()),
            ("units of two rollouts", self.overlaps.bytes()),
            ("error levels and notifications", self.levels.bytes() + self.notifications.bytes()),
        ];
        for (name, bytes) in self.releases.iter().flat_map(|release| release.parts()) {
            match parts.iter_mut().find(|(known, _)| *known == name) {
                Some((_, sum)) => *sum += bytes,
                None => parts.push((name, bytes)),
            }
        }
        parts.sort_by_key(|(name, bytes)| (Reverse(*bytes), *name));
        parts
    }

    /// How often something was given up because memory was short.
    pub fn shed(&self) -> Shed {
        self.shed
    }

    /// Measures every release: those of a snapshot, or those that were given.
    pub(super) fn measure_all(&mut self) {
        self.sizes = Sizes::default();
        (0..self.releases.len()).for_each(|at| self.measure(at));
        self.measure_rest();
    }

    /// Measures a release anew.
    fn measure(&mut self, at: usize) {
        if let Some(release) = self.releases.get(at) {
            self.sizes.set(at, release.bytes());
        }
    }

    /// A window begins to close: so much may be taken in it that is new.
    pub(super) fn make_room(&mut self) {
        let free = self.settings.memory.saturating_sub(self.state_bytes());
        self.common.room = if self.common.is_full { 0 } else { free / FLOOR };
        self.common.refused = self.common.is_full;
    }

    /// A window has closed, in which these releases had something.
    pub(super) fn keep_bound(&mut self, concerned: &BTreeSet<usize>, outputs: &mut Vec<Output>) {
        concerned.iter().for_each(|at| self.measure(*at));
        self.measure_rest();
        let most = self.settings.memory;
        let aim = most / 8 * 7;
        if self.state_bytes() > most {
            self.shed_histories(aim);
            self.shed_sums(aim);
            self.shed_traces(aim);
            self.shed_ages(aim);
            self.shed_pairs(aim);
            self.shed_units(aim);
            self.shed_rollouts(aim, outputs);
            self.shed_over(aim, outputs);
            // What is left cannot be given up: nothing comes to it while there is so much.
            self.common.is_full = true;
        }
        self.common.is_full &= self.state_bytes() > aim;
        self.shed.full += u64::from(self.common.is_full || self.common.refused);
    }

    fn shed_histories(&mut self, aim: u64) {
        let mut list = Vec::new();
        for (at, release) in self.releases.iter().enumerate() {
            if release.history_bytes() > 0 && release.live().is_empty() {
                list.push((release.learnt_at(), at));
            }
        }
        list.sort_unstable();
        for (_, at) in list {
            if self.state_bytes() <= aim {
                return;
            }
            if let Some(release) = self.releases.get_mut(at) {
                release.forget_history();
                self.shed.histories += 1;
            }
            self.measure(at);
        }
    }

    fn shed_sums(&mut self, aim: u64) {
        let mut list = Vec::new();
        for (at, release) in self.releases.iter().enumerate() {
            for (number, comparison) in release.comparisons.numbered() {
                if let Some(end) = comparison.end.filter(|_| !comparison.is_gist()) {
                    list.push((end.at, at, number));
                }
            }
        }
        list.sort_unstable();
        for (_, at, number) in list {
            if self.state_bytes() <= aim {
                return;
            }
            if let Some(comparison) = self.releases.get_mut(at).and_then(|of| of.comparisons.get_mut(number)) {
                comparison.keep_the_gist();
                self.shed.gists += 1;
            }
            self.measure(at);
        }
    }

    fn shed_traces(&mut self, aim: u64) {
        while self.state_bytes() > aim && self.common.traces.len() > TRACES_LEAST {
            self.common.traces.halve();
            self.measure_rest();
            self.shed.traces += 1;
        }
        while self.state_bytes() > aim && self.common.exposed.len() > EXPOSED_LEAST {
            self.common.exposed.halve();
            self.measure_rest();
            self.shed.exposed += 1;
        }
        while self.state_bytes() > aim && self.overlaps.halve_largest(SHARED_LEAST) {
            self.measure_rest();
            self.shed.shared += 1;
        }
    }

    /// Live comparisons by something of them, with their places.
    fn live<T: Ord>(&self, of: impl Fn(&Comparison) -> T) -> Vec<(T, usize, usize)> {
        let mut list = Vec::new();
        for (at, release) in self.releases.iter().enumerate() {
            for (number, comparison) in release.comparisons.numbered() {
                if comparison.end.is_none() {
                    list.push((of(comparison), at, number));
                }
            }
        }
        list.sort_unstable();
        list
    }

    fn shed_ages(&mut self, aim: u64) {
        let list = self.live(|comparison| Reverse(comparison.ages.len()));
        for (Reverse(units), at, number) in list {
            if self.state_bytes() <= aim || units == 0 {
                return;
            }
            if let Some(comparison) = self.releases.get_mut(at).and_then(|of| of.comparisons.get_mut(number)) {
                comparison.ages.stop();
                self.shed.ages += 1;
            }
            self.measure(at);
        }
    }

    fn shed_pairs(&mut self, aim: u64) {
        let list = self.live(|comparison| Reverse(comparison.remembered()[1]));
        for (Reverse(pairs), at, number) in list {
            if self.state_bytes() <= aim || pairs < PAIRS_LEAST {
                return;
            }
            if let Some(comparison) = self.releases.get_mut(at).and_then(|of| of.comparisons.get_mut(number)) {
                comparison.stop_pairs();
                self.shed.pairs += 1;
            }
            self.measure(at);
        }
    }

    fn shed_units(&mut self, aim: u64) {
        let all = self.live(|comparison| comparison.remembered()[0]);
        let places = all.into_iter().map(|(units, at, number)| (units, Reverse((at, number))));
        let mut largest: BinaryHeap<(usize, Reverse<(usize, usize)>)> = places.collect();
        while self.state_bytes() > aim
            && let Some((units, Reverse((at, number)))) = largest.pop()
        {
            if units < UNITS_LEAST {
                return;
            }
            if let Some(comparison) = self.releases.get_mut(at).and_then(|of| of.comparisons.get_mut(number)) {
                comparison.halve_units();
                self.shed.units += 1;
                largest.push((comparison.remembered()[0], Reverse((at, number))));
            }
            self.measure(at);
        }
    }

    fn shed_rollouts(&mut self, aim: u64, outputs: &mut Vec<Output>) {
        // What somebody named ends when they say so.
        if self.settings.arms.is_declared() {
            return;
        }
        for (_, at, number) in self.live(|comparison| comparison.units().iter().sum::<u64>()) {
            if self.state_bytes() <= aim {
                return;
            }
            let Some(release) = self.releases.get_mut(at) else { continue };
            for (kind, body) in release.give_up(number, &self.settings) {
                outputs.push(Output::Entry(self.chain.append(kind, body)));
            }
            outputs.push(Output::Looked { release: at, comparison: number });
            self.shed.rollouts += 1;
            self.measure(at);
        }
    }

    fn shed_over(&mut self, aim: u64, outputs: &mut Vec<Output>) {
        if self.state_bytes() <= aim {
            return;
        }
        let mut list = Vec::new();
        for (at, release) in self.releases.iter().enumerate() {
            list.extend(release.over().map(|(end, number)| (end, at, number)));
        }
        list.sort_unstable();
        for (_, at, number) in list {
            if self.state_bytes() <= aim {
                return;
            }
            if let Some(release) = self.releases.get_mut(at) {
                release.forget(number, &mut self.levels);
                self.shed.forgotten += 1;
            }
            self.hand_over_gone(at, outputs);
            self.measure(at);
            self.measure_rest();
        }
    }

    /// Those that a release has forgotten are shown once more.
    pub(super) fn hand_over_gone(&mut self, at: usize, outputs: &mut Vec<Output>) {
        let gone = self.releases.get_mut(at).map(|release| release.take_gone()).unwrap_or_default();
        let gone = gone.into_iter();
        outputs.extend(gone.map(|(number, of)| Output::Forgotten { release: at, number, comparison: Box::new(of) }));
    }
}
