//! Cells of a declared rollout: each is a rollout of its own, and those that are named come one after the other.
//!
//! A cell goes on to no step while one before it is not done with the same candidates. What failed there is the code, so later cells wait
//! until another candidate has passed, or until somebody accepts the order ([`ORDER`]) for one of them.

use crate::outbox::Decision;
use crate::outbox::book::{Because, Book, Compared, Declared, Rollout, found_id};
use crate::pipeline::clock::parse_time;
use crate::rollout::{Event, Phase};

/// What `accept` names to let a cell go on though one before it is not done.
pub const ORDER: &str = "order";

/// A rollout of which nothing has begun.
#[derive(Clone, Debug)]
pub struct Awaited<'b> {
    /// By what it is asked for.
    pub id: String,
    /// What it was declared as.
    pub declared: &'b Declared,
    /// Its environment, where it is known.
    pub environment: Option<String>,
    /// Its cell; empty where none is named.
    pub cell: &'b str,
}

/// Candidates that a cell is known to have been done with; the oldest go.
const DONE_WITH_MAX: usize = 64;

impl Rollout {
    /// A comparison of it begins.
    pub(super) fn begin(&mut self, compared: Compared) {
        // It has a cell of its own, so what is said of all cells is not said of it.
        self.compared.retain(|of| of.service != compared.service || of.cell == compared.cell);
        let same =
            |(service, candidate): &(String, String)| *service == compared.service && *candidate == compared.candidate;
        self.done_with.retain(|of| !same(of));
        self.compared.push(compared);
    }

    /// Remembers with which candidates it is done, and that it is not any more; `before`: where it stood.
    pub(super) fn note_done(&mut self, before: Phase) {
        let now = self.state.phase;
        if (before == Phase::Done) == (now == Phase::Done) {
            return;
        }
        let pairs: Vec<(String, String)> =
            self.current().into_iter().map(|of| (of.service.clone(), of.candidate.clone())).collect();
        match now {
            Phase::Done => {
                self.done_with.retain(|of| !pairs.contains(of));
                self.done_with.extend(pairs);
                let more = self.done_with.len().saturating_sub(DONE_WITH_MAX);
                self.done_with.drain(..more);
            }
            Phase::Failed | Phase::RolledBack => self.done_with.retain(|of| !pairs.contains(of)),
            // Another attempt: what it was done with before, it was.
            Phase::Waiting | Phase::Running | Phase::Passed | Phase::Held | Phase::Over => {}
        }
    }

    /// It was done with what another cell compares now: of each service with the same candidate.
    fn was_done_with(&self, other: &Rollout) -> bool {
        let has = |of: &&Compared| {
            self.done_with.iter().any(|(service, candidate)| *service == of.service && *candidate == of.candidate)
        };
        other.current().iter().all(has)
    }
}

impl Book {
    /// The id of the rollout that a comparison belongs to: that of its declaration, unless another environment or cell has the same.
    pub(super) fn id_of(&self, declared: &Declared, compared: &Compared) -> String {
        let id = declared.id(&compared.environment, &compared.cell);
        let is_other = |of: &Rollout| (&of.environment, &of.cell) != (&compared.environment, &compared.cell);
        match self.rollouts.get(&id).is_some_and(is_other) {
            true => format!("{id}@{}", found_id(compared).trim_start_matches("found-")),
            false => id,
        }
    }

    /// The rollout of a declaration in a cell of an environment.
    fn in_cell(&self, at: usize, environment: &str, cell: &str) -> Option<&Rollout> {
        let is_it = |of: &&Rollout| of.declared == Some(at) && of.environment == environment && of.cell == cell;
        let usual = self.declared.get(at).map(|declared| declared.id(environment, cell));
        let known = usual.and_then(|id| self.rollouts.get(&id));
        // Where it is there and is another one, this one has an id that nobody else has.
        known.filter(is_it).or_else(|| known.and_then(|_| self.rollouts.values().find(is_it)))
    }

    /// The first cell that comes before a rollout and is not done with its candidates, with its rollout where one has begun.
    pub fn waits_for(&self, rollout: &Rollout) -> Option<(&str, Option<&Rollout>)> {
        let at = rollout.declared?;
        let declared = self.declared.get(at)?;
        if rollout.accepted.iter().any(|finding| finding == ORDER) {
            return None;
        }
        declared.cells.iter().take(declared.place(&rollout.cell)).find_map(|cell| {
            let earlier = self.in_cell(at, &rollout.environment, cell);
            let is_done = earlier.is_some_and(|earlier| earlier.was_done_with(rollout));
            (!is_done).then_some((cell.as_str(), earlier))
        })
    }

    /// The same, in words.
    pub fn waits_words(&self, rollout: &Rollout) -> Option<String> {
        let (cell, earlier) = self.waits_for(rollout)?;
        let what = match earlier.map(|earlier| earlier.state.phase) {
            None | Some(Phase::Waiting) => "nothing of it runs yet",
            Some(Phase::Failed) => "it failed",
            Some(Phase::RolledBack) => "it was rolled back",
            Some(Phase::Held) => "it is held",
            Some(Phase::Over) => "it ended undecided",
            Some(Phase::Done) => "it is done with another candidate",
            Some(Phase::Running | Phase::Passed) => "it is not done",
        };
        Some(format!("{cell} comes first, and {what}"))
    }

    /// What was declared and of which nothing has begun: of cells that are named, each.
    pub fn awaited(&self) -> Vec<Awaited<'_>> {
        let mut list = Vec::new();
        for (at, declared) in self.declared.iter().enumerate() {
            let begun = || self.rollouts.values().filter(move |of| of.declared == Some(at));
            if declared.cells.is_empty() {
                if begun().next().is_none() {
                    let environment = declared.environment.clone();
                    list.push(Awaited { id: declared.name.clone(), declared, environment, cell: "" });
                }
                continue;
            }
            let mut environments: Vec<String> = declared.environment.iter().cloned().collect();
            environments.extend(begun().map(|of| of.environment.clone()));
            environments.sort_unstable();
            environments.dedup();
            if environments.is_empty() {
                environments.push(String::new());
            }
            for environment in &environments {
                let cells = declared.cells.iter().filter(|cell| self.in_cell(at, environment, cell).is_none());
                list.extend(cells.map(|cell| Awaited {
                    id: declared.id(environment, cell),
                    declared,
                    environment: Some(environment.clone()),
                    cell,
                }));
            }
        }
        list
    }

    /// The cell that comes after a rollout that is done.
    pub(super) fn next_cell(&self, rollout: &Rollout) -> Option<&str> {
        let at = rollout.declared?;
        let declared = self.declared.get(at)?;
        let later = declared.cells.iter().skip(declared.place(&rollout.cell).saturating_add(1));
        let is_done =
            |cell: &str| self.in_cell(at, &rollout.environment, cell).is_some_and(|later| later.was_done_with(rollout));
        later.map(String::as_str).find(|cell| !is_done(cell))
    }

    /// Cells of one environment whose turn has come or gone after something happened to one of them, and what follows.
    pub(super) fn turns(&mut self, id: &str, because: &Because<'_>) -> Vec<Decision> {
        let mut decisions = Vec::new();
        let Some(of) = self.rollouts.get(id) else { return decisions };
        let Some(at) = of.declared else { return decisions };
        let has_order = self.declared.get(at).is_some_and(|declared| !declared.cells.is_empty());
        if !has_order && of.state.is_its_turn {
            return decisions;
        }
        let environment = of.environment.clone();
        // Each time round a cell that is done may give others their turn; it ends, since none is done twice.
        loop {
            let is_of = |of: &&Rollout| of.declared == Some(at) && of.environment == environment;
            let changed: Vec<(String, bool)> = self
                .rollouts
                .values()
                .filter(is_of)
                .map(|of| (of, self.waits_for(of).is_none()))
                .filter(|(of, is_its_turn)| *is_its_turn != of.state.is_its_turn)
                .map(|(of, is_its_turn)| (of.id.clone(), is_its_turn))
                .collect();
            if changed.is_empty() {
                return decisions;
            }
            for (id, is_its_turn) in changed {
                decisions.extend(self.happened(&id, Event::Turn(is_its_turn), because).unwrap_or_default());
            }
        }
    }

    /// What is compared of services whose lines name no cell is of every cell of their environment. Gives it to those that lack it, or have
    /// it from before, after something came of one rollout; the ids of those that were given something that had changed.
    pub(super) fn share_uncut(&mut self, id: &str) -> Vec<String> {
        let Some(of) = self.rollouts.get(id) else { return Vec::new() };
        let several = of.declared.and_then(|at| self.declared.get(at)).is_some_and(|of| of.services.len() > 1);
        let (at, environment) = (of.declared, of.environment.clone());
        if !several {
            return Vec::new();
        }
        let uncut = match of.cell.is_empty() {
            true => Some(of),
            false => at.and_then(|at| self.in_cell(at, &environment, "")),
        };
        let Some(uncut) = uncut.map(|uncut| uncut.compared.clone()) else { return Vec::new() };
        let mut given = Vec::new();
        let is_of = |of: &&mut Rollout| of.declared == at && of.environment == environment && !of.cell.is_empty();
        for of in self.rollouts.values_mut().filter(is_of) {
            let own: Vec<Compared> = of.compared.iter().filter(|of| !of.cell.is_empty()).cloned().collect();
            let lacks = |one: &&Compared| !own.iter().any(|of| of.service == one.service);
            // What had failed before this attempt began is of another one.
            let since = own.iter().map(|of| of.began).min();
            let failed_before = |one: &&Compared| {
                one.failed_at.as_deref().and_then(|at| parse_time(at).ok()).is_some_and(|at| Some(at) < since)
            };
            let shared: Vec<Compared> = uncut.iter().filter(|one| lacks(one) && !failed_before(one)).cloned().collect();
            let now: Vec<Compared> = own.iter().chain(&shared).cloned().collect();
            if now != of.compared {
                of.compared = now;
                given.push(of.id.clone());
            }
        }
        given
    }
}
