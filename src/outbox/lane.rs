//! The way to one target: in order, one at a time, again after a while that grows, and seldom while it is broken.

use std::collections::VecDeque;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// First pause after a failure, and the longest, in milliseconds. A pause is drawn evenly between 0 and its bound, which doubles
/// with each failure ("full jitter"), so that targets that come back are not asked by all at once.
const PAUSE_FIRST: i64 = 1_000;
const PAUSE_MAX: i64 = 60_000;
/// Failures in a row after which a target counts as broken: it is then asked no more than twice in each of these, in
/// milliseconds, until it takes something.
pub const BREAK_AFTER: u32 = 6;
const BROKEN_PAUSE: i64 = 60_000;
/// The longest that a target may ask to be left alone (`Retry-After`), in milliseconds.
const ASKED_PAUSE_MAX: i64 = 600_000;

/// What became of an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// It was taken (2xx).
    Taken(u16),
    /// The target wants nothing any more (410).
    Gone,
    /// Another status; seconds after which the target wants to be asked again.
    Refused(u16, Option<u32>),
    /// No answer: no connection, a time-out, a broken one.
    NoAnswer,
}

/// Why something is not delivered any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Why {
    /// It is too late: the time in which it means something is over.
    Expired,
    /// The target wants nothing any more.
    Gone,
}

impl Why {
    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            Why::Expired => "expired before the target took it",
            Why::Gone => "the target answered 410: it wants nothing any more",
        }
    }
}

/// Something to be delivered.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Given {
    /// Its id.
    pub id: String,
    /// When it is too late, in milliseconds since 1970.
    pub expires_ms: i64,
}

/// What is to be done now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// Nothing is waiting, or an answer is.
    Nothing,
    /// Ask again at this time.
    Wait(i64),
    /// Send this.
    Send(String),
    /// This is given up.
    GiveUp(String, Why),
}

/// How a hook is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HookState {
    /// The last attempt succeeded, or there was none.
    Ok,
    /// The last attempts failed.
    Failing,
    /// So many failed that it is asked seldom.
    Broken,
    /// It wants nothing any more.
    Gone,
}

impl HookState {
    /// Every state.
    pub const ALL: [HookState; 4] = [HookState::Ok, HookState::Failing, HookState::Broken, HookState::Gone];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            HookState::Ok => "ok",
            HookState::Failing => "failing",
            HookState::Broken => "broken",
            HookState::Gone => "gone",
        }
    }

    /// That of a way.
    pub fn of(lane: &Lane) -> HookState {
        match (lane.is_gone(), lane.is_broken(), lane.failures()) {
            (true, _, _) => HookState::Gone,
            (false, true, _) => HookState::Broken,
            (false, false, 0) => HookState::Ok,
            (false, false, _) => HookState::Failing,
        }
    }
}

/// The state of the way to one target.
#[derive(Clone, Debug)]
pub struct Lane {
    waiting: VecDeque<Given>,
    /// The first of them is under way.
    under_way: bool,
    /// Failures in a row.
    failures: u32,
    /// When the last one was, and until when it is left alone since.
    paused: Option<(i64, i64)>,
    gone: bool,
    /// Of the random pauses.
    seed: u64,
}

impl Lane {
    /// An empty way; equal seeds pause alike.
    pub fn new(seed: u64) -> Lane {
        Lane { waiting: VecDeque::new(), under_way: false, failures: 0, paused: None, gone: false, seed }
    }

    /// One more, behind all others.
    pub fn push(&mut self, given: Given) {
        self.waiting.push_back(given);
    }

    /// What waits, the first under way included.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Failures in a row.
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The target counts as broken.
    pub fn is_broken(&self) -> bool {
        self.failures >= BREAK_AFTER
    }

    /// The target wants nothing any more.
    pub fn is_gone(&self) -> bool {
        self.gone
    }

    /// What is to be done at a time; what it says is under way, or given up, is so from then on.
    pub fn next(&mut self, now: i64) -> Next {
        if self.under_way {
            return Next::Nothing;
        }
        // What has become too late behind another would wait in vain as well.
        let late = self.waiting.iter().position(|given| given.expires_ms <= now || self.gone);
        if let Some(given) = late.and_then(|at| self.waiting.remove(at)) {
            return Next::GiveUp(given.id, if self.gone { Why::Gone } else { Why::Expired });
        }
        // A clock that was set back does not make the pause longer by as much.
        self.paused = self.paused.map(|(from, until)| (from.min(now), until - (from - now).max(0)));
        match (self.waiting.front(), self.paused) {
            (None, _) => Next::Nothing,
            (Some(first), Some((_, until))) if until > now => {
                let soonest = self.waiting.iter().map(|given| given.expires_ms).min().unwrap_or(first.expires_ms);
                Next::Wait(until.min(soonest))
            }
            (Some(first), _) => {
                self.under_way = true;
                Next::Send(first.id.clone())
            }
        }
    }

    /// What became of what was under way; returns its id when it was taken.
    pub fn outcome(&mut self, now: i64, outcome: Outcome) -> Option<String> {
        if !std::mem::take(&mut self.under_way) {
            return None;
        }
        let asked = match outcome {
            Outcome::Taken(_) => {
                self.failures = 0;
                self.paused = None;
                return self.waiting.pop_front().map(|given| given.id);
            }
            Outcome::Gone => {
                self.gone = true;
                return None;
            }
            Outcome::Refused(_, seconds) => seconds.map_or(0, |seconds| i64::from(seconds) * 1_000),
            Outcome::NoAnswer => 0,
        };
        self.failures = self.failures.saturating_add(1);
        let id = self.waiting.front().map_or("", |first| first.id.as_str());
        let random = xxh3_64_with_seed(id.as_bytes(), self.seed ^ u64::from(self.failures));
        let pause = if self.is_broken() {
            BROKEN_PAUSE / 2 + even(random, BROKEN_PAUSE / 2)
        } else {
            even(random, (PAUSE_FIRST << (self.failures - 1).min(16)).min(PAUSE_MAX))
        };
        self.paused = Some((now, now.saturating_add(pause.max(asked.min(ASKED_PAUSE_MAX)))));
        None
    }
}

/// Evenly between 0 and `most`.
fn even(random: u64, most: i64) -> i64 {
    (random % (most.unsigned_abs() + 1)).cast_signed()
}
