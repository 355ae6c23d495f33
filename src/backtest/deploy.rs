//! What is told of each deploy that an archive shows.

use crate::compare::verdict::{Cell, Flaw, Verdict};
use crate::engine::comparison::ControlFrom;
use crate::engine::ending::{EndReason, RolloutEnd};
use crate::rival::State;
use crate::time::{Micros, Timestamp};

/// A new version of a service.
#[derive(Clone, PartialEq, Debug)]
pub struct Deploy {
    /// The service, with its environment.
    pub service: String,
    /// The version before it.
    pub from: String,
    /// The new version.
    pub to: String,
    /// When it first served.
    pub at: Timestamp,
    /// What can be said of it.
    pub what: What,
}

/// What can be said of a deploy.
#[derive(Clone, PartialEq, Debug)]
pub enum What {
    /// Both versions served side by side, so it was judged.
    Judged(Judged),
    /// One replaced the other: before and after are told, and are no verdict.
    CutOver(CutOver),
}

/// A rollout, as it would have been judged.
#[derive(Clone, PartialEq, Debug)]
pub struct Judged {
    /// How it is known which version is the old one.
    pub control_from: ControlFrom,
    /// Time for which both were seen.
    pub beside: Micros,
    /// Share of requests that the new version had, in steps: from when on.
    pub steps: Vec<(Timestamp, f64)>,
    /// The last verdict.
    pub verdict: Verdict,
    /// A pass is held back by a changed behaviour.
    pub held_back: bool,
    /// When it first passed.
    pub passed_at: Option<Timestamp>,
    /// When it failed, and by what.
    pub stop: Option<Stop>,
    /// What was broken at the last look.
    pub flaws: Vec<Flaw>,
    /// Why it ended; `None` where both still served when the log ended.
    pub end: Option<RolloutEnd>,
    /// Users (or what counts once) that met the new version until the rollout ended.
    pub exposed: u64,
    /// Only part of the units was followed: `exposed` is what they tell of all.
    pub is_estimate: bool,
    /// Requests to the new version until then.
    pub requests: u64,
    /// What the rules that people use today said.
    pub rules: [Said; RULES.len()],
}

/// The rules in the order in which they are told of.
pub const RULES: [&str; 2] = ["Flagger", "Kayenta"];

/// A failure.
#[derive(Clone, PartialEq, Debug)]
pub struct Stop {
    /// End of the window that proved it.
    pub at: Timestamp,
    /// What carried the evidence, strongest first.
    pub cells: Vec<Cell>,
    /// Segments that carried it, in words.
    pub segments: Vec<String>,
    /// Users that had met the new version by then.
    pub exposed: u64,
    /// Requests to the new version by then.
    pub requests: u64,
}

/// What a rule decided, and after how many minutes of the rollout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Said {
    /// Its decision.
    pub state: State,
    /// Minutes until it; `None` while it is watching.
    pub after_minutes: Option<u64>,
}

/// One version replaced another.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct CutOver {
    /// The old version in the time before; `None` where nothing of it is known.
    pub before: Option<Side>,
    /// The new version in the time after.
    pub after: Option<Side>,
    /// Longest time that each side covers.
    pub span: Micros,
}

/// What one version did in a stretch of time.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Side {
    /// Requests.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// Median latency in milliseconds.
    pub p50_ms: Option<f64>,
    /// 99th percentile of latency in milliseconds.
    pub p99_ms: Option<f64>,
}

impl Side {
    /// Share of requests that failed.
    pub fn error_rate(&self) -> f64 {
        self.errors as f64 / self.requests.max(1) as f64
    }
}

/// Most pods of a version came anew within minutes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restart {
    /// The service, with its environment.
    pub service: String,
    /// Its version, which stayed.
    pub version: String,
    /// When the first new instance was seen.
    pub at: Timestamp,
    /// Instances that came.
    pub new: usize,
    /// Instances that were not seen again.
    pub gone: usize,
}

/// What would have become of a deploy.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// It failed.
    Stopped,
    /// It passed, and did not fail later.
    Passed,
    /// It behaves differently, which people must look at.
    HeldBack,
    /// Neither, by the time it ended.
    Undecided,
    /// The comparison was broken.
    Invalid,
    /// One version replaced the other: nothing to judge.
    CutOver,
}

impl Outcome {
    /// Every outcome, in the order in which they are counted.
    pub const ALL: [Outcome; 6] =
        [Outcome::Passed, Outcome::Stopped, Outcome::HeldBack, Outcome::Undecided, Outcome::Invalid, Outcome::CutOver];

    /// The word in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Stopped => "stopped",
            Outcome::Passed => "passed",
            Outcome::HeldBack => "held_back",
            Outcome::Undecided => "undecided",
            Outcome::Invalid => "invalid",
            Outcome::CutOver => "cut_over",
        }
    }
}

impl Judged {
    /// Users that met the new version only after it had failed: those whom stopping it there would have spared.
    pub fn spared(&self) -> Option<u64> {
        self.stop.as_ref().map(|stop| self.exposed.saturating_sub(stop.exposed))
    }

    /// What would have become of it.
    pub fn outcome(&self) -> Outcome {
        if self.stop.is_some() {
            return Outcome::Stopped;
        }
        if self.passed_at.is_some() {
            return Outcome::Passed;
        }
        match self.verdict {
            Verdict::Invalid => Outcome::Invalid,
            Verdict::Inconclusive | Verdict::Pass | Verdict::Fail if self.held_back => Outcome::HeldBack,
            Verdict::Inconclusive | Verdict::Pass | Verdict::Fail => Outcome::Undecided,
        }
    }

    /// What was done with it, for people.
    pub fn fate(&self) -> &'static str {
        match self.end.map(|end| end.reason) {
            None => "still beside the old version when the log ended",
            Some(EndReason::CandidateSilent | EndReason::ControlTookOver) => "taken back",
            Some(EndReason::ControlSilent | EndReason::CandidateTookOver) => "given to everybody",
            Some(EndReason::BothSilent) => "replaced by another version",
            Some(EndReason::NoMemory) => "no longer followed, since memory was short",
        }
    }
}

impl Deploy {
    /// What would have become of it.
    pub fn outcome(&self) -> Outcome {
        match &self.what {
            What::Judged(judged) => judged.outcome(),
            What::CutOver(_) => Outcome::CutOver,
        }
    }
}
