//! Every rollout, as ledger and journal tell it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::compare::verdict::{Behaviour, Verdict};
use crate::ledger;
use crate::outbox::{Decision, Journalled, Muted, Placebo, Since, Topic, What};
use crate::pipeline::clock::parse_time;
use crate::rollout::{Action, Command, Course, Event, Now, Phase, State};
use crate::time::Timestamp;

mod cells;
mod entry;
mod named;

pub use cells::{Awaited, ORDER};
use entry::{changed, number_of, over_limit, regressed, rounded, texts};

/// Comparisons that belong to no declared rollout and are followed; further ones are not listed.
const FOUND_MAX: usize = 16_384;

/// Services whose placebo splits are remembered; those that were as they should be go first.
const PLACEBOS_MAX: usize = 1_024;

/// Templates that are muted at a time, of all rollouts; the one that ends first makes room.
const MUTED_MAX: usize = 1_024;

/// A rollout that somebody declared.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Declared {
    /// Its name.
    pub name: String,
    /// Its environment; without, each environment has a rollout of its own.
    pub environment: Option<String>,
    /// Cells in the order in which they are rolled out; further ones come after these, in any order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cells: Vec<String>,
    /// Its services, the entry first.
    pub services: Vec<String>,
    /// Which arm is the control, as a name in which `*` is anything.
    pub control: Option<String>,
    /// Which arm is the candidate, likewise.
    pub candidate: Option<String>,
    /// Behaviours whose change is expected.
    pub expect: Vec<String>,
    /// How it is to go.
    pub course: Course,
    /// Who owns it, for the message.
    pub owners: Vec<String>,
    /// Names of hooks that are told; every one without.
    pub hooks: Option<Vec<String>>,
}

impl Declared {
    /// The id of its rollout in an environment and a cell.
    fn id(&self, environment: &str, cell: &str) -> String {
        let environment = if self.environment.is_some() { "" } else { environment };
        let mut id = self.name.clone();
        for part in [environment, cell].into_iter().filter(|part| !part.is_empty()) {
            id.push('@');
            id.push_str(part);
        }
        id
    }

    /// Place of a cell in the order: those that are not named come last, all at once.
    fn place(&self, cell: &str) -> usize {
        self.cells.iter().position(|known| known == cell).unwrap_or(self.cells.len())
    }
}

/// Two lists declare the same comparisons, by environment and services; how they go may differ.
pub fn same_ground(one: &[Declared], other: &[Declared]) -> bool {
    let ground = |of: &Declared| (of.environment.clone(), of.services.clone());
    one.iter().map(ground).eq(other.iter().map(ground))
}

/// A name in which `*` stands for anything.
pub fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| name.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// One comparison, as its latest entries tell it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Compared {
    /// Service.
    pub service: String,
    /// Its environment.
    pub environment: String,
    /// Its cell; empty where its lines name none.
    #[serde(default)]
    pub cell: String,
    /// Control.
    pub control: String,
    /// Candidate.
    pub candidate: String,
    /// When it began.
    pub began: Timestamp,
    /// What its last entry says.
    pub verdict: Verdict,
    /// It would pass if all changes were accepted.
    pub would_pass: bool,
    /// Behaviours that changed and are not expected.
    pub changed: Vec<String>,
    /// What is out of order.
    pub flaws: Vec<String>,
    /// What regressed, each with ln e: cells, metrics and conversions of one's own, and `error_lines`.
    pub regressed: Vec<(String, f64)>,
    /// Limits whose break fails it.
    #[serde(default)]
    pub over_limit: Vec<String>,
    /// ln of the weighted sum.
    pub log_sum: f64,
    /// Units of control and candidate.
    pub units: [u64; 2],
    /// The step whose share its logs show.
    pub step: Option<usize>,
    /// When it failed.
    pub failed_at: Option<String>,
    /// When its evidence reached the bar of automatic actions.
    pub automatic_at: Option<String>,
    /// End of the last window that an entry tells of.
    pub at: Timestamp,
    /// Number of its last entry.
    pub entry: u64,
    /// It is over.
    pub over: bool,
}

/// A rollout, declared or found.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Rollout {
    /// By what it is asked for.
    pub id: String,
    /// Which declaration it follows; none where it was found.
    pub declared: Option<usize>,
    /// Its environment.
    pub environment: String,
    /// Its cell; empty where its lines name none.
    #[serde(default)]
    pub cell: String,
    /// Where it stands.
    pub state: State,
    /// What is compared, by service and candidate, in the order in which it began.
    pub compared: Vec<Compared>,
    /// Behaviours whose change somebody accepted in this attempt.
    pub accepted: Vec<String>,
    /// Decisions so far.
    pub generation: u64,
    /// Attempts so far.
    pub attempts: u64,
    /// The last command: what, who, why, when (milliseconds since 1970).
    pub commanded: Option<(Command, String, String, i64)>,
    /// With which candidates it was done, each with its service, the latest last: what later cells wait for.
    #[serde(default)]
    pub done_with: Vec<(String, String)>,
}

impl Rollout {
    fn new(id: String, declared: Option<usize>, environment: &str, cell: &str) -> Rollout {
        Rollout {
            id,
            declared,
            environment: environment.to_owned(),
            cell: cell.to_owned(),
            state: State::default(),
            compared: Vec::new(),
            accepted: Vec::new(),
            generation: 0,
            attempts: 0,
            commanded: None,
            done_with: Vec::new(),
        }
    }

    /// What one comparison says, with what was accepted.
    fn verdict_of(&self, compared: &Compared) -> Verdict {
        let accepted = compared.changed.iter().all(|name| self.accepted.contains(name));
        if compared.would_pass && accepted { Verdict::Pass } else { compared.verdict }
    }

    /// Comparisons that still run; all of them where none does.
    pub fn current(&self) -> Vec<&Compared> {
        let live: Vec<&Compared> = self.compared.iter().filter(|compared| !compared.over).collect();
        if live.is_empty() { self.compared.iter().collect() } else { live }
    }

    /// The worst that its comparisons say, and whether one of them may be acted on without asking. `services`: how many there
    /// must be for a pass.
    pub fn verdict(&self, services: usize) -> (Verdict, bool) {
        // What failed counts, over or not.
        let failed = self.compared.iter().filter(|compared| compared.verdict == Verdict::Fail);
        let automatic = failed.clone().any(|compared| compared.automatic_at.is_some());
        if failed.count() > 0 {
            return (Verdict::Fail, automatic);
        }
        let current = self.current();
        let said: Vec<Verdict> = current.iter().map(|compared| self.verdict_of(compared)).collect();
        let mut names: Vec<&str> = current.iter().map(|compared| compared.service.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let verdict = if said.contains(&Verdict::Invalid) {
            Verdict::Invalid
        } else if said.is_empty() || said.contains(&Verdict::Inconclusive) || names.len() < services {
            Verdict::Inconclusive
        } else {
            Verdict::Pass
        };
        (verdict, false)
    }

    /// Why, in words.
    pub fn reason(&self) -> String {
        let mut reasons: Vec<String> = Vec::new();
        for compared in &self.compared {
            let of = format!("{}: ", compared.service);
            if compared.verdict == Verdict::Fail {
                let mut cells: Vec<String> = compared
                    .regressed
                    .iter()
                    .map(|(name, log_e)| format!("{} (e {})", name.replace('_', " "), evidence(*log_e)))
                    .collect();
                cells.extend(compared.over_limit.iter().map(|name| format!("the limit of {name}")));
                if cells.is_empty() {
                    cells.push(format!("the sum of its evidence (e {})", evidence(compared.log_sum)));
                }
                reasons.push(format!("{of}worse by {}", cells.join(", ")));
            } else if !compared.flaws.is_empty() && compared.verdict == Verdict::Invalid {
                reasons.push(format!("{of}the comparison is broken: {}", compared.flaws.join(", ")));
            } else {
                let open: Vec<&str> =
                    compared.changed.iter().filter(|name| !self.accepted.contains(name)).map(String::as_str).collect();
                if !open.is_empty() {
                    reasons.push(format!("{of}changed and not accepted: {}", open.join(", ")));
                }
            }
        }
        reasons.join("; ")
    }
}

/// An e-value for people.
fn evidence(log_e: f64) -> String {
    let digits = log_e / std::f64::consts::LN_10;
    if digits >= 6.0 { format!("10^{digits:.0}") } else { format!("{:.0}", crate::math::exp(log_e)) }
}

/// Folds ledger and journal.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Book {
    declared: Vec<Declared>,
    /// Ledger entries that were read.
    entries: u64,
    /// Rows of the journal that were read.
    rows: u64,
    /// Rollouts by id.
    rollouts: BTreeMap<String, Rollout>,
    /// Which rollout a comparison belongs to, by the service's words and the candidate.
    #[serde(with = "pairs")]
    places: BTreeMap<(String, String), String>,
    /// Event time that entries have told of.
    latest: Option<Timestamp>,
    /// Comparisons that are not listed, for there were too many.
    not_listed: u64,
    /// The day of the last placebo splits.
    placebo_day: Option<i64>,
    /// What placebo splits last said of a service.
    placebos: Vec<Placebo>,
    /// Templates that are muted; those whose time is over go when another comes.
    #[serde(default)]
    muted: Vec<Muted>,
}

/// A map by pairs as a list: names in JSON are single texts.
mod pairs {
    use std::collections::BTreeMap;

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    type Map = BTreeMap<(String, String), String>;

    pub(super) fn serialize<S: Serializer>(map: &Map, to: S) -> Result<S::Ok, S::Error> {
        map.iter().collect::<Vec<_>>().serialize(to)
    }

    pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Map, D::Error> {
        Vec::<((String, String), String)>::deserialize(from).map(|list| list.into_iter().collect())
    }
}

/// One thing that happened, as far as messages tell of it.
struct Because<'a> {
    source: String,
    at: Timestamp,
    /// It stands in the journal, not in the ledger.
    journalled: bool,
    /// Who commanded it, and why.
    by: Option<(&'a str, &'a str)>,
}

impl Book {
    /// An empty book, in which these are declared from the beginning.
    pub fn new(declared: Vec<Declared>) -> Book {
        Book { declared, ..Book::default() }
    }

    /// What was declared.
    pub fn declared(&self) -> &[Declared] {
        &self.declared
    }

    /// What was read so far.
    pub fn read(&self) -> Since {
        Since { entries: self.entries, rows: self.rows }
    }

    /// Every rollout, by id.
    pub fn rollouts(&self) -> impl Iterator<Item = &Rollout> {
        self.rollouts.values()
    }

    /// One rollout.
    pub fn rollout(&self, id: &str) -> Option<&Rollout> {
        self.rollouts.get(id)
    }

    /// What it was declared as.
    pub fn declaration(&self, rollout: &Rollout) -> Option<&Declared> {
        rollout.declared.and_then(|at| self.declared.get(at))
    }

    /// What its comparisons say together.
    pub fn verdict(&self, rollout: &Rollout) -> (Verdict, bool) {
        rollout.verdict(self.declaration(rollout).map_or(1, |declared| declared.services.len()))
    }

    /// The day of the last placebo splits.
    pub fn placebo_day(&self) -> Option<i64> {
        self.placebo_day
    }

    /// What placebo splits last said of services.
    pub fn placebos(&self) -> &[Placebo] {
        &self.placebos
    }

    /// Templates that somebody muted, some of them until a time that is over.
    pub fn muted(&self) -> &[Muted] {
        &self.muted
    }

    /// Why what follows from evidence is told and not acted on, where that is so: the placebo splits of one of its services.
    pub fn withheld(&self, rollout: &Rollout) -> Option<&Placebo> {
        let is_of = |of: &Placebo| {
            rollout.compared.iter().any(|one| (&one.environment, &one.service) == (&of.environment, &of.service))
        };
        self.placebos.iter().find(|of| of.is_exceeded() && is_of(of))
    }

    /// Event time that entries have told of.
    pub fn latest(&self) -> Option<Timestamp> {
        self.latest
    }

    /// Comparisons that are not listed, for there were too many.
    pub fn not_listed(&self) -> u64 {
        self.not_listed
    }

    /// Reads the next line of the ledger. What is no entry is counted and tells nothing.
    pub fn entry(&mut self, line: &str) -> Vec<Decision> {
        self.entry_of(line).1
    }

    /// The same, with the id of the rollout that the line tells of.
    pub fn entry_of(&mut self, line: &str) -> (Option<String>, Vec<Decision>) {
        let line = line.trim_end_matches('\n');
        let number = self.entries;
        self.entries += 1;
        let Ok(Value::Object(entry)) = serde_json::from_str::<Value>(line) else { return (None, Vec::new()) };
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default();
        let at = ["at", "last_at"].iter().find_map(|key| parse_time(text(key)).ok());
        if let Some(at) = at {
            self.latest = Some(self.latest.map_or(at, |latest| latest.max(at)));
        }
        let at = at.or(self.latest).unwrap_or(Timestamp(0));
        let because = Because { source: ledger::hash_of(line), at, journalled: false, by: None };
        let decisions = match text("kind") {
            "begin" => self.begin(&entry, number, at, &because),
            "look" | "ended" => self.look(&entry, number, at, text("kind") == "ended", &because),
            "notify" => self.found(&entry, &because),
            _ => return (None, Vec::new()),
        };
        (self.places.get(&(text("service").to_owned(), text("candidate").to_owned())).cloned(), decisions)
    }

    fn begin(
        &mut self,
        entry: &Map<String, Value>,
        number: u64,
        at: Timestamp,
        because: &Because<'_>,
    ) -> Vec<Decision> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let first = entry.get("services").and_then(Value::as_array).and_then(|list| list.first());
        let of = |key: &str| first.and_then(|of| of.get(key)).and_then(Value::as_str).unwrap_or_default().to_owned();
        let compared = Compared {
            service: of("service"),
            environment: of("environment"),
            cell: of("cell"),
            control: text("control"),
            candidate: text("candidate"),
            began: at,
            verdict: Verdict::Inconclusive,
            would_pass: false,
            changed: Vec::new(),
            flaws: Vec::new(),
            regressed: Vec::new(),
            over_limit: Vec::new(),
            log_sum: 0.0,
            units: [0, 0],
            step: None,
            failed_at: None,
            automatic_at: None,
            at,
            entry: number,
            over: false,
        };
        let declared = self.declared.iter().position(|declared| {
            let is = |pattern: &Option<String>, name: &str| pattern.as_ref().is_none_or(|pattern| glob(pattern, name));
            declared.environment.as_ref().is_none_or(|environment| *environment == compared.environment)
                && declared.services.contains(&compared.service)
                && is(&declared.control, &compared.control)
                && is(&declared.candidate, &compared.candidate)
        });
        let id = match declared.and_then(|at| self.declared.get(at)) {
            Some(declared) => self.id_of(declared, &compared),
            None => found_id(&compared),
        };
        if declared.is_none() && !self.rollouts.contains_key(&id) && !self.has_room() {
            self.not_listed += 1;
            return Vec::new();
        }
        self.places.insert((text("service"), compared.candidate.clone()), id.clone());
        let rollout = self
            .rollouts
            .entry(id.clone())
            .or_insert_with(|| Rollout::new(id.clone(), declared, &compared.environment, &compared.cell));
        let again =
            rollout.compared.iter().any(|of| of.service == compared.service && of.candidate == compared.candidate);
        let all_over = rollout.compared.iter().filter(|of| of.service == compared.service).all(|of| of.over)
            && rollout.compared.iter().any(|of| of.service == compared.service);
        let is_new = match rollout.state.phase {
            Phase::Waiting | Phase::Failed | Phase::RolledBack | Phase::Done | Phase::Over => true,
            Phase::Running | Phase::Passed | Phase::Held => again || all_over,
        };
        if is_new {
            rollout.compared.clear();
            rollout.accepted.clear();
            rollout.attempts += 1;
        }
        rollout.begin(compared);
        self.share_uncut(&id);
        let mut decisions =
            if is_new { self.happened(&id, Event::Begin, because).unwrap_or_default() } else { Vec::new() };
        decisions.extend(self.turns(&id, because));
        decisions
    }

    /// Room for one more that was found: those that are over make room.
    fn has_room(&mut self) -> bool {
        let found = |rollout: &Rollout| rollout.declared.is_none();
        if self.rollouts.values().filter(|rollout| found(rollout)).count() < FOUND_MAX {
            return true;
        }
        self.rollouts.retain(|_, rollout| !found(rollout) || rollout.compared.iter().any(|of| !of.over));
        let rollouts = &self.rollouts;
        self.places.retain(|_, id| rollouts.contains_key(id));
        self.rollouts.values().filter(|rollout| found(rollout)).count() < FOUND_MAX
    }

    fn look(
        &mut self,
        entry: &Map<String, Value>,
        number: u64,
        at: Timestamp,
        ended: bool,
        because: &Because<'_>,
    ) -> Vec<Decision> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str);
        let place = (text("service").unwrap_or_default().to_owned(), text("candidate").unwrap_or_default().to_owned());
        let Some(id) = self.places.get(&place).cloned() else { return Vec::new() };
        let Some(rollout) = self.rollouts.get_mut(&id) else { return Vec::new() };
        let expected = rollout.declared.and_then(|at| self.declared.get(at)).map(|declared| declared.expect.as_slice());
        let Some(compared) =
            rollout.compared.iter_mut().rev().find(|of| of.candidate == place.1 && is_of(of, &place.0))
        else {
            return Vec::new();
        };
        let verdict = Verdict::ALL.into_iter().find(|verdict| Some(verdict.name()) == text("verdict"));
        compared.verdict = verdict.unwrap_or(Verdict::Inconclusive);
        (compared.at, compared.entry) = (at, number);
        compared.failed_at = text("failed_at").map(str::to_owned);
        compared.automatic_at = text("automatic_at").map(str::to_owned);
        let units = entry.get("counters").and_then(|counters| counters.get("units")).and_then(Value::as_array);
        if let Some([control, candidate]) = units.map(Vec::as_slice) {
            compared.units = [control.as_u64().unwrap_or(0), candidate.as_u64().unwrap_or(0)];
        }
        if ended {
            compared.over = true;
            compared.would_pass = false;
        } else {
            compared.would_pass = entry.get("would_pass").and_then(Value::as_bool).unwrap_or(false);
            compared.step = entry.get("step").and_then(Value::as_u64).and_then(|step| usize::try_from(step).ok());
            compared.log_sum = number_of(entry.get("log_sum"));
            compared.flaws = texts(entry.get("flaws"));
            compared.regressed = regressed(entry);
            compared.over_limit = over_limit(entry);
            compared.changed = changed(entry, expected.unwrap_or_default());
        }
        if rollout.declared.is_none() {
            return Vec::new();
        }
        let all_over = rollout.compared.iter().all(|of| of.over);
        let mut decisions = self.looked(&id, because);
        if ended && all_over {
            decisions.extend(self.happened(&id, Event::End, because).unwrap_or_default());
        }
        for id in self.share_uncut(&id) {
            decisions.extend(self.looked(&id, because));
            if ended && self.rollouts.get(&id).is_some_and(|of| of.compared.iter().all(|of| of.over)) {
                decisions.extend(self.happened(&id, Event::End, because).unwrap_or_default());
            }
        }
        decisions.extend(self.turns(&id, because));
        decisions
    }

    /// What its comparisons say now.
    fn looked(&mut self, id: &str, because: &Because<'_>) -> Vec<Decision> {
        let Some(rollout) = self.rollouts.get(id) else { return Vec::new() };
        let (verdict, automatic) = self.verdict(rollout);
        let automatic = automatic && self.withheld(rollout).is_none();
        // The service that is furthest behind: nothing passes a step before all are in it.
        let seen = rollout.current().iter().filter_map(|compared| compared.step).min();
        self.happened(id, Event::Look { verdict, automatic, seen }, because).unwrap_or_default()
    }

    fn found(&mut self, entry: &Map<String, Value>, because: &Because<'_>) -> Vec<Decision> {
        let text = |key: &str| entry.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let Some(id) = self.places.get(&(text("service"), text("candidate"))).cloned() else { return Vec::new() };
        // Who declared it is told by its own decisions.
        if self.rollouts.get(&id).is_none_or(|rollout| rollout.declared.is_some()) {
            return Vec::new();
        }
        self.decision(&id, Topic::Found, false, because).into_iter().collect()
    }

    /// Reads the next row of the journal.
    ///
    /// # Errors
    /// Why the command is refused, in words; nothing has changed then.
    pub fn journalled(&mut self, row: &str, what: &Journalled) -> Result<Vec<Decision>, String> {
        let source = ledger::hash_of(row.trim_end_matches('\n'));
        self.rows += 1;
        let done = self.take(source, what);
        self.rows -= u64::from(done.is_err());
        done
    }

    fn take(&mut self, source: String, what: &Journalled) -> Result<Vec<Decision>, String> {
        match &what.what {
            What::Time(now) => {
                let at = now.by_clock;
                self.latest = Some(self.latest.map_or(at, |latest| latest.max(at)));
                let because = Because { source, at, journalled: true, by: None };
                let mut decisions = Vec::new();
                for (id, event) in self.due(*now) {
                    decisions.extend(self.happened(&id, event, &because).unwrap_or_default());
                    decisions.extend(self.turns(&id, &because));
                }
                Ok(decisions)
            }
            What::Command { rollout: id, command, finding, actor, reason } => {
                let rollout = self.rollouts.get(id).ok_or_else(|| format!("there is no rollout `{id}`"))?;
                if rollout.declared.is_none() {
                    return Err("it was found, not declared: nobody can act on it (docs/rollouts.md)".to_owned());
                }
                let accepted = match (command, finding) {
                    (Command::Accept, Some(finding)) => {
                        if Behaviour::from_name(finding).is_none() && finding != ORDER {
                            let known = Behaviour::ALL.into_iter().map(Behaviour::name);
                            let list: Vec<&str> = known.chain([ORDER]).collect();
                            return Err(format!(
                                "`{finding}` is no finding that can be accepted; there are {}",
                                list.join(", ")
                            ));
                        }
                        Some(finding.clone())
                    }
                    (Command::Accept, None) => return Err("which finding is accepted?".to_owned()),
                    (Command::Approve | Command::Hold | Command::Resume | Command::RollBack, _) => None,
                };
                let at = self.latest.unwrap_or(Timestamp(0));
                let because = Because { source, at, journalled: true, by: Some((actor, reason)) };
                let mut decisions = self.happened(id, Event::Command(*command), &because)?;
                if let Some(rollout) = self.rollouts.get_mut(id) {
                    rollout.commanded = Some((*command, actor.clone(), reason.clone(), what.clock_ms));
                    if let Some(finding) = accepted.filter(|finding| !rollout.accepted.contains(finding)) {
                        rollout.accepted.push(finding);
                    }
                }
                if *command == Command::Accept {
                    decisions.extend(self.looked(id, &because));
                }
                decisions.extend(self.turns(id, &because));
                Ok(decisions)
            }
            What::Configured { declared, .. } => self.configure(declared).map(|()| Vec::new()),
            What::Placebo { day, services } => {
                self.placebo_day = Some(*day);
                for new in services {
                    self.placebos.retain(|of| (&of.environment, &of.service) != (&new.environment, &new.service));
                    if self.placebos.len() >= PLACEBOS_MAX {
                        let first = self.placebos.iter().position(|of| !of.is_exceeded()).unwrap_or(0);
                        self.placebos.remove(first);
                    }
                    self.placebos.push(new.clone());
                }
                Ok(Vec::new())
            }
            What::Muted(of) => {
                if !self.rollouts.contains_key(&of.rollout) {
                    return Err(format!("there is no rollout `{}`", of.rollout));
                }
                let now = what.clock_ms;
                let is_same = |one: &Muted| (&one.rollout, &one.template) == (&of.rollout, &of.template);
                self.muted.retain(|one| one.until_ms > now && !is_same(one));
                if of.until_ms > now {
                    if self.muted.len() >= MUTED_MAX
                        && let Some(first) =
                            (0..self.muted.len()).min_by_key(|at| self.muted.get(*at).map(|of| of.until_ms))
                    {
                        self.muted.remove(first);
                    }
                    self.muted.push(of.clone());
                }
                Ok(Vec::new())
            }
            // It stands first, and is read before any other.
            What::Kept { .. } => Err("what was kept stands in the middle of the journal".to_owned()),
        }
    }

    /// Rollouts go otherwise from here on; who is compared with whom stays.
    fn configure(&mut self, declared: &[Declared]) -> Result<(), String> {
        if !self.declared.is_empty() && !same_ground(&self.declared, declared) {
            return Err("other rollouts are declared than those whose decisions were made".to_owned());
        }
        let before = std::mem::replace(&mut self.declared, declared.to_vec());
        let mut ids = BTreeMap::new();
        for (id, mut rollout) in std::mem::take(&mut self.rollouts) {
            let both = rollout.declared.and_then(|at| Some((before.get(at)?, self.declared.get(at)?)));
            if let Some((was, now)) = both {
                rollout.state.goes_otherwise(&was.course, &now.course);
                // A name that was kept apart from another one's stays so.
                if rollout.id == was.id(&rollout.environment, &rollout.cell) {
                    rollout.id = now.id(&rollout.environment, &rollout.cell);
                }
            }
            ids.insert(id, rollout.id.clone());
            self.rollouts.insert(rollout.id.clone(), rollout);
        }
        for id in self.places.values_mut() {
            if let Some(now) = ids.get(id) {
                id.clone_from(now);
            }
        }
        Ok(())
    }

    /// What event time brings by now, by rollout.
    pub fn due(&self, now: Now) -> Vec<(String, Event)> {
        let mut list = Vec::new();
        for rollout in self.rollouts.values() {
            let Some(declared) = self.declaration(rollout) else { continue };
            let due = rollout.state.due(&declared.course, now);
            list.extend(due.into_iter().map(|event| (rollout.id.clone(), event)));
        }
        list
    }

    /// An event of a rollout, and the decisions that follow.
    fn happened(&mut self, id: &str, event: Event, because: &Because<'_>) -> Result<Vec<Decision>, String> {
        let Some(rollout) = self.rollouts.get_mut(id) else { return Ok(Vec::new()) };
        let Some(declared) = rollout.declared.and_then(|at| self.declared.get(at)) else { return Ok(Vec::new()) };
        let before = rollout.state.phase;
        let actions =
            rollout.state.apply(&declared.course, because.at, event).map_err(|refused| refused.0.to_owned())?;
        rollout.note_done(before);
        Ok(actions
            .into_iter()
            .filter_map(|action| {
                let (topic, automatic) = match action {
                    Action::RollBack { automatic } => (Topic::Rollback, automatic),
                    Action::TellFail => (Topic::Fail, false),
                    Action::TellPass => (Topic::Pass, false),
                    Action::TellInvalid => (Topic::Invalid, false),
                    Action::TellDeadline => (Topic::Deadline, false),
                    Action::TellHeld => (Topic::Held, false),
                    Action::TellResumed => (Topic::Resumed, false),
                    Action::Advance { .. } => (Topic::Step, false),
                    Action::Promote => (Topic::Promote, false),
                    Action::TellOver => (Topic::Over, false),
                };
                self.decision(id, topic, automatic, because)
            })
            .collect())
    }

    fn decision(&mut self, id: &str, topic: Topic, automatic: bool, because: &Because<'_>) -> Option<Decision> {
        let withheld = self.rollouts.get(id).and_then(|rollout| self.withheld(rollout)).map(Placebo::reason);
        let next_cell = self.rollouts.get(id).filter(|_| topic == Topic::Promote);
        let next_cell = next_cell.and_then(|rollout| self.next_cell(rollout)).map(str::to_owned);
        let rollout = self.rollouts.get_mut(id)?;
        let declared = rollout.declared.and_then(|at| self.declared.get(at));
        rollout.generation += 1;
        let read = Since { entries: self.entries, rows: self.rows };
        let (verdict, _) = rollout.verdict(declared.map_or(1, |declared| declared.services.len()));
        let compared: Vec<Value> = rollout
            .compared
            .iter()
            .map(|of| {
                json!({
                    "service": of.service,
                    "environment": of.environment,
                    "cell": of.cell,
                    "control": of.control,
                    "candidate": of.candidate,
                    "verdict": rollout.verdict_of(of).name(),
                    "log10_e": rounded(of.log_sum),
                    "control_units": of.units[0],
                    "candidate_units": of.units[1],
                    "failed_at": of.failed_at,
                    "automatic_at": of.automatic_at,
                })
            })
            .collect();
        let share = declared.and_then(|declared| declared.course.steps.get(rollout.state.step));
        let data = json!({
            "action": topic.action(),
            "automatic": automatic,
            "rollout": rollout.id,
            "declared": declared.is_some(),
            "environment": rollout.environment,
            "cell": rollout.cell,
            "next_cell": next_cell,
            "generation": rollout.generation,
            "attempt": rollout.attempts,
            "verdict": verdict.name(),
            "reason": rollout.reason(),
            "withheld": withheld,
            "phase": rollout.state.phase.name(),
            "step": rollout.state.step,
            "share_percent": share.map(|step| f64::from(step.share_ppm) / 1e4),
            "compared": compared,
            "owners": declared.map(|declared| declared.owners.clone()).unwrap_or_default(),
            "actor": because.by.map(|(actor, _)| actor),
            "command_reason": because.by.map(|(_, reason)| reason),
            "at": because.at.to_string(),
            "entry": self.entries.saturating_sub(1),
        });
        let Value::Object(data) = data else { return None };
        Some(Decision {
            source: because.source.clone(),
            rollout: rollout.id.clone(),
            generation: rollout.generation,
            topic,
            at: because.at,
            read,
            journalled: because.journalled,
            hooks: declared.and_then(|declared| declared.hooks.clone()),
            data,
        })
    }
}

/// Words that a release is named by are its entry service, with its environment.
fn is_of(compared: &Compared, words: &str) -> bool {
    let key = crate::event::ServiceKey {
        environment: compared.environment.clone(),
        cell: compared.cell.clone(),
        service: compared.service.clone(),
    };
    key.to_string() == words
}

/// How ids of rollouts that nobody declared begin.
const FOUND: &str = "found-";

/// The id of a rollout that was found: the same whenever the same two meet.
fn found_id(compared: &Compared) -> String {
    let mut hash = Sha256::new();
    for part in [&compared.environment, &compared.service, &compared.control, &compared.candidate] {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    // Ids of what is in no cell stay what they were.
    if !compared.cell.is_empty() {
        hash.update(compared.cell.as_bytes());
    }
    let digits: String = hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect();
    format!("{FOUND}{digits}")
}

/// An id is that of a rollout that nobody declared.
pub fn is_found(id: &str) -> bool {
    id.starts_with(FOUND)
}
