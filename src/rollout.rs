//! The state of one declared rollout: (state, event) -> (state, actions). No clock, no files: times are arguments.
//!
//! An event is what a look says (a verdict), what time brings (a step's shortest time is over, the deadline has come), or what a
//! person commands. An action is for the edge to perform, once it is durable. FAIL is never taken back: what failed is rolled
//! back, or begun anew.

use serde::{Deserialize, Serialize};

use crate::compare::verdict::Verdict;
use crate::time::{Micros, Timestamp};

/// One step of a rollout.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Step {
    /// Share of units that the candidate serves in it, in parts per million.
    pub share_ppm: u32,
    /// Shortest time that it is watched.
    pub minimum: Micros,
}

/// What follows when a rollout is undecided at its deadline.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum AtDeadline {
    /// It is held until somebody decides.
    Hold,
    /// It goes on as if it had passed.
    Promote,
    /// It is rolled back.
    RollBack,
}

impl AtDeadline {
    /// Every answer.
    pub const ALL: [AtDeadline; 3] = [AtDeadline::Hold, AtDeadline::Promote, AtDeadline::RollBack];

    /// The word that configuration uses.
    pub fn name(self) -> &'static str {
        match self {
            AtDeadline::Hold => "hold",
            AtDeadline::Promote => "promote",
            AtDeadline::RollBack => "rollback",
        }
    }
}

/// How a rollout is to go.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Course {
    /// Its steps; without any there is one, of unknown share and no shortest time.
    pub steps: Vec<Step>,
    /// A pass waits for `approve`.
    pub needs_approval: bool,
    /// When it must be decided, counted from its beginning, and what follows when it is not.
    pub deadline: Option<(Micros, AtDeadline)>,
}

impl Course {
    fn last_step(&self) -> usize {
        self.steps.len().saturating_sub(1)
    }

    fn minimum(&self, step: usize) -> Micros {
        self.steps.get(step).map_or(0, |step| step.minimum)
    }
}

/// Where a rollout stands.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum Phase {
    /// No comparison of it has begun.
    #[default]
    Waiting,
    /// A step is being watched.
    Running,
    /// The step passed, and waits for its shortest time or for approval.
    Passed,
    /// Somebody, or the deadline, holds it.
    Held,
    /// It failed; nothing was rolled back yet.
    Failed,
    /// A rollback was ordered.
    RolledBack,
    /// Every step passed.
    Done,
    /// It ended undecided.
    Over,
}

impl Phase {
    /// Every phase, in order.
    pub const ALL: [Phase; 8] = [
        Phase::Waiting,
        Phase::Running,
        Phase::Passed,
        Phase::Held,
        Phase::Failed,
        Phase::RolledBack,
        Phase::Done,
        Phase::Over,
    ];

    /// The word that answers and reports use.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Waiting => "waiting",
            Phase::Running => "running",
            Phase::Passed => "passed",
            Phase::Held => "held",
            Phase::Failed => "failed",
            Phase::RolledBack => "rolled back",
            Phase::Done => "done",
            Phase::Over => "over",
        }
    }
}

/// What a person commands.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Command {
    /// The step may pass: once its evidence says so.
    Approve,
    /// Nothing is promoted until `resume`.
    Hold,
    /// A hold is over.
    Resume,
    /// Roll back now.
    RollBack,
    /// A change of behaviour is accepted; which one is not for this machine.
    Accept,
}

impl Command {
    /// Every command.
    pub const ALL: [Command; 5] =
        [Command::Approve, Command::Hold, Command::Resume, Command::RollBack, Command::Accept];

    /// The word that command line, API and journal use.
    pub fn name(self) -> &'static str {
        match self {
            Command::Approve => "approve",
            Command::Hold => "hold",
            Command::Resume => "resume",
            Command::RollBack => "rollback",
            Command::Accept => "accept",
        }
    }

    /// The command of a word.
    pub fn from_name(name: &str) -> Option<Command> {
        Command::ALL.into_iter().find(|command| command.name() == name)
    }
}

/// What can happen to a rollout.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// A comparison of it has begun: a new attempt.
    Begin,
    /// A look says so.
    Look {
        /// The verdict, with accepted changes taken into account.
        verdict: Verdict,
        /// The evidence has reached the bar of automatic actions.
        automatic: bool,
        /// The step whose share the logs show; `None` where they show none.
        seen: Option<usize>,
    },
    /// The step's shortest time is over.
    StepTime,
    /// The deadline has come.
    Deadline,
    /// Its comparison is over.
    End,
    /// Cells that come before it are done; or (`false`) one of them is not, and it waits.
    Turn(bool),
    /// A person commands.
    Command(Command),
}

/// What the edge is to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Roll back.
    RollBack {
        /// Without asking anybody: the evidence has reached the bar of automatic actions.
        automatic: bool,
    },
    /// Somebody is told that it failed.
    TellFail,
    /// Somebody is told that a step passed.
    TellPass,
    /// Somebody is told that the comparison means nothing.
    TellInvalid,
    /// Somebody is told that it is undecided at its deadline.
    TellDeadline,
    /// Somebody is told that it is held.
    TellHeld,
    /// Somebody is told that it goes on.
    TellResumed,
    /// The next step begins.
    Advance {
        /// Its number, from 0.
        step: usize,
    },
    /// The last step has passed.
    Promote,
    /// Somebody is told that it ended undecided.
    TellOver,
}

/// Why a command is refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refused(
    /// In words.
    pub &'static str,
);

/// How far event time has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Now {
    /// While no line comes it goes on by the clock: deadlines.
    pub by_clock: Timestamp,
    /// End of the windows that were judged: what was observed.
    pub judged: Timestamp,
}

impl Now {
    /// Lines come as time goes.
    pub const fn both(at: Timestamp) -> Now {
        Now { by_clock: at, judged: at }
    }
}

/// The state of a rollout.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct State {
    /// Where it stands.
    pub phase: Phase,
    /// The step that is watched, from 0.
    pub step: usize,
    /// When this attempt began, or its turn came: the deadline counts from there.
    pub began: Timestamp,
    /// When the step began.
    pub step_began: Timestamp,
    /// What the last look said of this step.
    pub verdict: Verdict,
    /// The step whose share it showed.
    pub seen: Option<usize>,
    /// The step's shortest time is over.
    pub step_time_over: bool,
    /// Its deadline has come.
    pub deadline_over: bool,
    /// It stands where it does because its deadline came, and nobody has commanded anything since.
    pub by_deadline: bool,
    /// The step is approved.
    pub approved: bool,
    /// No cell comes before it that is not done. While one does, it is watched, and goes on to no step.
    #[serde(default = "yes")]
    pub is_its_turn: bool,
}

fn yes() -> bool {
    true
}

impl Default for State {
    fn default() -> Self {
        State {
            phase: Phase::Waiting,
            step: 0,
            began: Timestamp(0),
            step_began: Timestamp(0),
            verdict: Verdict::Inconclusive,
            seen: None,
            step_time_over: false,
            deadline_over: false,
            by_deadline: false,
            approved: false,
            is_its_turn: true,
        }
    }
}

impl State {
    /// The state after an event at a time, and what is to be done. Only a command can be refused; the state is then as before.
    pub fn apply(&mut self, course: &Course, at: Timestamp, event: Event) -> Result<Vec<Action>, Refused> {
        match event {
            Event::Begin => {
                let step_time_over = course.minimum(0) == 0;
                *self = State {
                    phase: Phase::Running,
                    began: at,
                    step_began: at,
                    step_time_over,
                    is_its_turn: self.is_its_turn,
                    ..State::default()
                };
                Ok(Vec::new())
            }
            Event::Look { verdict, automatic, seen } => {
                self.seen = seen;
                let verdict = self.of_this_step(verdict);
                Ok(self.look(course, at, verdict, automatic))
            }
            Event::StepTime => {
                self.step_time_over = true;
                Ok(self.go_on(course, at))
            }
            Event::Deadline => Ok(self.deadline(course, at)),
            Event::End => Ok(match self.phase {
                Phase::Running | Phase::Passed | Phase::Held => {
                    self.phase = Phase::Over;
                    vec![Action::TellOver]
                }
                Phase::Waiting | Phase::Failed | Phase::RolledBack | Phase::Done | Phase::Over => Vec::new(),
            }),
            Event::Turn(has_come) => {
                if has_come && !self.is_its_turn {
                    self.began = at;
                }
                self.is_its_turn = has_come;
                Ok(self.go_on(course, at))
            }
            Event::Command(command) => {
                let done = self.command(course, at, command)?;
                self.by_deadline = false;
                Ok(done)
            }
        }
    }

    /// Evidence of an earlier step, which exposes fewer and has wider margins, passes no later one.
    fn of_this_step(&self, verdict: Verdict) -> Verdict {
        let is_of_earlier = self.seen.is_some_and(|seen| seen < self.step);
        if verdict == Verdict::Pass && is_of_earlier { Verdict::Inconclusive } else { verdict }
    }

    fn look(&mut self, course: &Course, at: Timestamp, verdict: Verdict, automatic: bool) -> Vec<Action> {
        let before = std::mem::replace(&mut self.verdict, verdict);
        match (self.phase, verdict) {
            (Phase::Waiting | Phase::RolledBack | Phase::Over, _) => Vec::new(),
            // Held, or done: what is proven to be worse is rolled back all the same.
            (Phase::Running | Phase::Passed | Phase::Held | Phase::Failed | Phase::Done, Verdict::Fail)
                if automatic =>
            {
                self.phase = Phase::RolledBack;
                vec![Action::RollBack { automatic: true }]
            }
            (Phase::Failed, _) => Vec::new(),
            (Phase::Running | Phase::Passed | Phase::Held | Phase::Done, Verdict::Fail) => {
                self.phase = Phase::Failed;
                vec![Action::TellFail]
            }
            (Phase::Running | Phase::Passed | Phase::Held | Phase::Done, Verdict::Invalid) => {
                if self.phase == Phase::Passed {
                    self.phase = Phase::Running;
                }
                if before == Verdict::Invalid { Vec::new() } else { vec![Action::TellInvalid] }
            }
            (Phase::Running, Verdict::Pass) => {
                self.phase = Phase::Passed;
                let mut actions = vec![Action::TellPass];
                actions.extend(self.go_on(course, at));
                actions
            }
            // Its evidence has fallen again.
            (Phase::Passed, Verdict::Inconclusive) => {
                self.phase = Phase::Running;
                Vec::new()
            }
            (Phase::Running, Verdict::Inconclusive)
            | (Phase::Passed, Verdict::Pass)
            | (Phase::Held | Phase::Done, Verdict::Pass | Verdict::Inconclusive) => Vec::new(),
        }
    }

    /// A step that has passed goes on, when nothing is left to wait for.
    fn go_on(&mut self, course: &Course, at: Timestamp) -> Vec<Action> {
        let waits = !self.is_its_turn || !self.step_time_over || (course.needs_approval && !self.approved);
        if self.phase != Phase::Passed || waits {
            return Vec::new();
        }
        self.next_step(course, at)
    }

    fn next_step(&mut self, course: &Course, at: Timestamp) -> Vec<Action> {
        if self.step >= course.last_step() {
            self.phase = Phase::Done;
            return vec![Action::Promote];
        }
        self.step += 1;
        self.step_began = at;
        self.approved = false;
        self.step_time_over = course.minimum(self.step) == 0;
        // What stood when the step began stands until a look says otherwise; its shortest time gives looks the time for it. Where
        // logs show the share of an earlier step, it does not stand.
        self.verdict = self.of_this_step(self.verdict);
        self.phase = if self.verdict == Verdict::Pass { Phase::Passed } else { Phase::Running };
        vec![Action::Advance { step: self.step }]
    }

    fn deadline(&mut self, course: &Course, at: Timestamp) -> Vec<Action> {
        self.deadline_over = true;
        let then = course.deadline.map_or(AtDeadline::Hold, |(_, then)| then);
        match self.phase {
            Phase::Running | Phase::Passed => {}
            Phase::Waiting | Phase::Held | Phase::Failed | Phase::RolledBack | Phase::Done | Phase::Over => {
                return Vec::new();
            }
        }
        self.by_deadline = true;
        let mut actions = vec![Action::TellDeadline];
        match then {
            AtDeadline::Hold => self.phase = Phase::Held,
            AtDeadline::Promote => {
                self.phase = Phase::Done;
                self.step = course.last_step();
                self.step_began = at;
                actions.push(Action::Promote);
            }
            AtDeadline::RollBack => {
                self.phase = Phase::RolledBack;
                actions.push(Action::RollBack { automatic: false });
            }
        }
        actions
    }

    fn command(&mut self, course: &Course, at: Timestamp, command: Command) -> Result<Vec<Action>, Refused> {
        match (command, self.phase) {
            (_, Phase::Waiting) => Err(Refused("nothing of it runs yet")),
            (Command::Approve, Phase::Running | Phase::Passed) => {
                self.approved = true;
                Ok(self.go_on(course, at))
            }
            (Command::Approve, Phase::Held) => Err(Refused("it is held; resume it first")),
            (Command::Approve, Phase::Failed) => {
                Err(Refused("it failed, which is never taken back; roll it back, or begin another"))
            }
            (Command::Hold, Phase::Running | Phase::Passed) => {
                self.phase = Phase::Held;
                Ok(vec![Action::TellHeld])
            }
            (Command::Hold, Phase::Held) => Err(Refused("it is held already")),
            (Command::Hold, Phase::Failed) => Err(Refused("it failed; roll it back")),
            (Command::Resume, Phase::Held) => {
                self.phase = if self.verdict == Verdict::Pass { Phase::Passed } else { Phase::Running };
                let mut actions = vec![Action::TellResumed];
                actions.extend(self.go_on(course, at));
                Ok(actions)
            }
            (Command::Resume, Phase::Running | Phase::Passed | Phase::Failed) => Err(Refused("it is not held")),
            (
                Command::RollBack,
                Phase::Running | Phase::Passed | Phase::Held | Phase::Failed | Phase::Done | Phase::Over,
            ) => {
                self.phase = Phase::RolledBack;
                Ok(vec![Action::RollBack { automatic: false }])
            }
            (Command::RollBack, Phase::RolledBack) => Err(Refused("it was rolled back already")),
            // What is accepted changes what the next look says.
            (Command::Accept, Phase::Running | Phase::Passed | Phase::Held | Phase::Failed | Phase::Done) => {
                Ok(Vec::new())
            }
            (Command::Approve | Command::Hold | Command::Resume | Command::Accept, Phase::RolledBack) => {
                Err(Refused("it was rolled back"))
            }
            (Command::Approve | Command::Hold | Command::Resume, Phase::Done) => Err(Refused("every step has passed")),
            (Command::Approve | Command::Hold | Command::Resume | Command::Accept, Phase::Over) => {
                Err(Refused("it is over"))
            }
        }
    }

    /// It is to go otherwise from now on. A deadline that was changed is looked at anew: it may come again, counted from the same
    /// beginning. A step's shortest time that was changed is too.
    pub fn goes_otherwise(&mut self, was: &Course, now: &Course) {
        if was.deadline != now.deadline {
            self.deadline_over = false;
        }
        if was.minimum(self.step) != now.minimum(self.step) {
            self.step_time_over = now.minimum(self.step) == 0;
        }
    }

    /// What time has brought by now: events that are due, in order.
    pub fn due(&self, course: &Course, now: Now) -> Vec<Event> {
        let mut events = Vec::new();
        let is_watched = matches!(self.phase, Phase::Running | Phase::Passed | Phase::Held);
        if !is_watched {
            return events;
        }
        if !self.step_time_over && now.judged.0 - self.step_began.0 >= course.minimum(self.step) {
            events.push(Event::StepTime);
        }
        // Who waits for others is not late.
        let has_deadline = self.is_its_turn && !self.deadline_over;
        if has_deadline && course.deadline.is_some_and(|(after, _)| now.by_clock.0 - self.began.0 >= after) {
            events.push(Event::Deadline);
        }
        events
    }
}

#[cfg(test)]
mod tests;
