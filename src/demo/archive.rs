//! An archive with known truth: a month of a shop's log in which it was deployed forty times.
//!
//! One service, the same users all the time, the day's rhythm, one incident in each stretch that hits every version. Most
//! deploys are healthy canaries; some are bad, each in its own way; some go to everybody within minutes; and twice all
//! pods are restarted without a new version. Whoever is sent to a canary is drawn anew for each.

use crate::demo::random::Random;
use crate::demo::traffic::{Effect, Expect, Fleet, Story, Traffic};
use crate::time::{DAY, Timestamp, days_from_civil};
use xxhash_rust::xxh3::xxh3_64;

/// Days of the archive.
const DAYS: u32 = 30;
/// Minutes of a day.
const DAY_MINUTES: u32 = 1_440;
/// Minutes of a cut-over that are told apart from what follows: time for its pods to change.
const CUT_OVER_MINUTES: u32 = 60;
/// Names of the versions, in order. Stories hold names of the program's own making.
const VERSIONS: [&str; 41] = [
    "1.0.0", "1.1.0", "1.2.0", "1.3.0", "1.4.0", "1.5.0", "1.6.0", "1.7.0", "1.8.0", "1.9.0", "1.10.0", "1.11.0",
    "1.12.0", "1.13.0", "1.14.0", "1.15.0", "1.16.0", "1.17.0", "1.18.0", "1.19.0", "1.20.0", "1.21.0", "1.22.0",
    "1.23.0", "1.24.0", "1.25.0", "1.26.0", "1.27.0", "1.28.0", "1.29.0", "1.30.0", "1.31.0", "1.32.0", "1.33.0",
    "1.34.0", "1.35.0", "1.36.0", "1.37.0", "1.38.0", "1.39.0", "1.40.0",
];
/// Shares of a canary that begins small.
const RAMP: &[(u32, f64)] = &[(0, 0.05), (30, 0.2), (90, 0.5)];
/// Pods that change one after the other.
const ROLLING: &[(u32, f64)] = &[(0, 0.25), (1, 0.5), (2, 0.75), (3, 1.0)];

/// How a deploy was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Both versions served side by side, for hours.
    Canary,
    /// The new version replaced the old one within minutes.
    CutOver,
    /// All pods came anew, with the same version.
    Restart,
}

/// One deploy of the archive.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Deploy {
    /// How it was made.
    pub kind: Kind,
    /// When it began.
    pub at: Timestamp,
    /// The version before.
    pub from: &'static str,
    /// The new version; of a restart the same.
    pub to: &'static str,
    /// What it does.
    pub effect: Effect,
    /// The new version stayed.
    pub promoted: bool,
}

impl Deploy {
    /// The new version is worse than the old one.
    pub fn is_bad(&self) -> bool {
        self.effect != Effect::None
    }
}

/// What bad canaries do, with the minutes until it shows.
const BAD: [(Effect, u32); 6] = [
    // Few users fail, on nearly each of their checkouts.
    (Effect::BreaksUsers { share: 0.1, spared: 500, error_rate: 0.9 }, 0),
    // A fifteenth of all requests waits.
    (Effect::SlowsTail { share: 0.07, factor: 5.0 }, 0),
    // .5 -> 2.5 %.
    (Effect::Fails { share: 0.02 }, 0),
    // Sound for three hours.
    (Effect::Slows { factor: 1.8 }, 180),
    // Everything is slower.
    (Effect::Slows { factor: 1.5 }, 0),
    // One checkout in seven fails, of every user.
    (Effect::BreaksUsers { share: 1.0, spared: 0, error_rate: 0.15 }, 0),
];

/// How large an archive is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Size {
    /// Requests a minute, as mean over a day.
    pub requests_per_minute: f64,
    /// Users of the shop.
    pub users: u32,
}

impl Default for Size {
    fn default() -> Self {
        Size { requests_per_minute: 100.0, users: 20_000 }
    }
}

/// A stretch of the archive, as a story.
#[derive(Clone, Copy, Debug)]
struct Stretch {
    story: Story,
    pods: [u64; 2],
}

/// See the module text.
pub struct Archive {
    seed: u64,
    deploys: Vec<Deploy>,
    stretches: Vec<Stretch>,
    at: usize,
    now: Option<Traffic>,
}

impl Archive {
    /// The archive of a seed.
    pub fn new(seed: u64, size: Size) -> Archive {
        let (deploys, stretches) = plan(seed, size);
        Archive { seed, deploys, stretches, at: 0, now: None }
    }

    /// Every deploy, in order: forty, and two restarts.
    pub fn deploys(&self) -> &[Deploy] {
        &self.deploys
    }

    /// Appends the lines of the next minute; false, and nothing appended, at the end.
    pub fn minute(&mut self, out: &mut Vec<u8>) -> bool {
        while let Some(stretch) = self.stretches.get(self.at) {
            let seed = self.seed ^ xxh3_64(&stretch.story.start.0.to_le_bytes());
            let fleet = Fleet { users: self.seed, pods: stretch.pods };
            let now = self.now.get_or_insert_with(|| Traffic::of_fleet(&stretch.story, fleet, seed));
            if now.minute(out) {
                return true;
            }
            self.now = None;
            self.at += 1;
        }
        false
    }
}

/// What is to happen in one slot of the archive.
#[derive(Clone, Copy, Debug)]
struct Step {
    kind: Kind,
    effect: Effect,
    onset_minutes: u32,
    ramp: &'static [(u32, f64)],
}

/// The steps of an archive, in an order of the seed: 24 healthy canaries, 6 bad ones, 10 cut-overs of which one is bad,
/// 2 restarts.
fn steps(random: &mut Random) -> Vec<Step> {
    let canary = |effect, onset_minutes, ramp| Step { kind: Kind::Canary, effect, onset_minutes, ramp };
    let other = |kind, effect, ramp| Step { kind, effect, onset_minutes: 0, ramp };
    let mut list: Vec<Step> = (0..24).map(|n| canary(Effect::None, 0, if n % 3 == 0 { RAMP } else { &[] })).collect();
    list.extend(BAD.iter().map(|(effect, onset)| canary(*effect, *onset, &[])));
    list.extend((0..9).map(|n| other(Kind::CutOver, Effect::None, if n % 2 == 0 { ROLLING } else { &[] })));
    list.push(other(Kind::CutOver, Effect::Fails { share: 0.02 }, &[]));
    list.extend((0..2).map(|_| other(Kind::Restart, Effect::None, &[])));
    for i in (1..list.len()).rev() {
        list.swap(i, random.below(i as u64 + 1) as usize);
    }
    list
}

fn plan(seed: u64, size: Size) -> (Vec<Deploy>, Vec<Stretch>) {
    let mut random = Random::new(seed ^ xxh3_64(b"archive"));
    let start = Timestamp(days_from_civil(2026, 6, 1) * DAY);
    let steps = steps(&mut random);
    // A slot for each step, after a day of quiet.
    let slot = (DAYS - 1) * DAY_MINUTES / steps.len() as u32;
    let idle = Story {
        name: "archive",
        title: "A month of a shop.",
        service: "checkout",
        version: "",
        canary_version: "",
        start,
        minutes: 0,
        lead_minutes: 0,
        requests_per_minute: size.requests_per_minute,
        users: size.users,
        canary_share: 0.0,
        ramp: &[],
        declared_share: None,
        error_rate: 0.005,
        traced_share: 0.0,
        spans: 1,
        effect: Effect::None,
        onset_minutes: 0,
        expect: Expect::Pass,
    };
    let mut deploys = Vec::new();
    let mut stretches: Vec<Stretch> = Vec::new();
    let mut minute = 0;
    let mut versions = VERSIONS.iter().copied();
    let mut version = versions.next().unwrap_or_default();
    let mut restarts = 0u64;
    let pods = |version: &str, restarts: u64| xxh3_64(version.as_bytes()) ^ seed ^ restarts;
    let at = |minute: u32| Timestamp(start.0 + i64::from(minute) * crate::time::MINUTE);
    let quiet = |stretches: &mut Vec<Stretch>, minute: &mut u32, until: u32, version, restarts| {
        let story = Story { start: at(*minute), minutes: until - *minute, version, canary_version: version, ..idle };
        stretches.push(Stretch { story, pods: [pods(version, restarts); 2] });
        *minute = until;
    };
    for (number, step) in (0..).zip(steps) {
        // Somewhere in its slot, with room for its length.
        let canary_minutes = 330 + random.below(120) as u32;
        let from = DAY_MINUTES + number * slot + 20 + random.below(u64::from(slot - canary_minutes - 160)) as u32;
        quiet(&mut stretches, &mut minute, from, version, restarts);
        if step.kind == Kind::Restart {
            restarts += 1;
            let (from, to) = (version, version);
            deploys.push(Deploy { kind: step.kind, at: at(minute), from, to, effect: step.effect, promoted: true });
            continue;
        }
        let to = versions.next().unwrap_or_default();
        // Somebody takes back every bad canary at last, and a sound one now and then.
        let promoted = step.kind == Kind::CutOver || (step.effect == Effect::None && random.chance(0.9));
        let is_canary = step.kind == Kind::Canary;
        let story = Story {
            start: at(minute),
            minutes: if is_canary { canary_minutes } else { CUT_OVER_MINUTES },
            version,
            canary_version: to,
            canary_share: if is_canary { 0.5 } else { 1.0 },
            ramp: step.ramp,
            effect: step.effect,
            onset_minutes: step.onset_minutes,
            ..idle
        };
        stretches.push(Stretch { story, pods: [pods(version, restarts), pods(to, restarts)] });
        deploys.push(Deploy { kind: step.kind, at: at(minute), from: version, to, effect: step.effect, promoted });
        minute += story.minutes;
        if promoted {
            version = to;
        }
    }
    quiet(&mut stretches, &mut minute, DAYS * DAY_MINUTES, version, restarts);
    (deploys, stretches)
}
