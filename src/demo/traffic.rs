//! Rollouts with known truth: log lines of a shop's checkout service while a canary runs.
//!
//! Users have habits, since that is what breaks naive tests: a few send most requests, some are slow, some err often,
//! and now and then a client retries a failing call for minutes. Traffic follows the day, and one incident hits both
//! arms. A [`Story`] says what the release does on top of that, and what a judge should make of it.
//! The lines are made from a seed alone: no clock, no files, no thread. The model knows nothing of Serin's own tests.

mod sheet;
mod shop;
mod story;
#[cfg(test)]
mod tests;

pub use story::{Effect, Expect, Story, stories};

use self::sheet::Sheet;
use self::shop::{BUG, CALLS, CHECKOUT, FAILURES, Failure, ROUTES, SLOW, STORM_FAILURE};
use super::random::{Alias, Random, unit_from_bits};
use crate::time::{DAY, MINUTE, Timestamp};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Duration of a typical request on a route of factor 1, in microseconds.
const TYPICAL_MICROS: f64 = 30_000.0;
/// Standard deviation of a user's own offset of log latency.
const USER_LATENCY_SD: f64 = 0.35;
/// Standard deviation of log latency between requests of one user.
const REQUEST_LATENCY_SD: f64 = 0.9;
/// Share of requests that wait for something (a pause, a cold cache), and how many times longer these take.
const PAUSE: (f64, f64) = (0.02, 4.0);
/// Failed requests give up early.
const FAILED_LATENCY_FACTOR: f64 = 0.5;
/// From here a request is logged as slow.
const SLOW_MICROS: u64 = 300_000;
/// No user fails more often than this by habit; only matters in the incident.
const ERROR_PROBABILITY_MAX: f64 = 0.5;
/// Share of all errors that come from retry storms, errors per minute of a storm, and its mean length in minutes.
const STORM: (f64, f64, f64) = (0.3, 5.0, 20.0);
/// The incident: its length in minutes, how many times more errors, how many times longer requests take.
const INCIDENT: (u32, f64, f64) = (8, 5.0, 1.5);
/// How far traffic swings around its daily mean.
const RHYTHM: f64 = 0.6;

/// Client, its share of users.
const CLIENTS: [(&str, f64); 3] = [("android", 0.16), ("ios", 0.24), ("web", 0.60)];
/// Region, its share of users.
const REGIONS: [(&str, f64); 3] = [("eu-west-1", 0.5), ("us-east-1", 0.3), ("ap-northeast-1", 0.2)];

struct User {
    /// Number in the name of the user, unrelated to the rank.
    id: u32,
    /// Offset of log latency.
    latency: f64,
    /// Errors relative to the mean user, weighted by requests.
    errors: f64,
    client: &'static str,
    region: &'static str,
    /// Where the assignment puts it: below the canary's share, it belongs to the canary once the rollout has begun.
    place: f64,
    /// Meets the bug of [`Effect::BreaksUsers`] if on the canary.
    prone: bool,
}

/// A client that retries a failing call.
struct Storm {
    user: usize,
    until_minute: f64,
}

/// What all lines of one version share.
struct Arm {
    /// Service, version and environment as they stand in a line.
    head: Vec<u8>,
    pods: Vec<String>,
    latency_factor: f64,
    spans: u64,
    /// Downstream calls, in turn.
    calls: Vec<(&'static str, &'static str, &'static str)>,
}

struct Request {
    route: usize,
    failure: Option<&'static Failure>,
    started: i64,
    micros: u64,
    trace: [u64; 2],
    span: u64,
}

/// The log of one story, minute by minute.
pub struct Traffic {
    story: Story,
    random: Random,
    users: Vec<User>,
    choose_user: Alias,
    choose_route: Alias,
    storms: Vec<Storm>,
    incident_from: u32,
    baseline: Arm,
    canary: Arm,
    next_minute: u32,
    sheet: Sheet,
}

/// What several stories of one service have in common: its users, and its pods as long as they are not restarted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fleet {
    /// Seed of the users.
    pub users: u64,
    /// Seeds of the pods of (baseline, canary).
    pub pods: [u64; 2],
}

impl Traffic {
    /// The traffic of a story; the same story and seed give the same bytes.
    pub fn new(story: &Story, seed: u64) -> Self {
        // The name is mixed in, so that stories of one seed are independent of each other.
        let mut random = Random::new(seed ^ xxh3_64(story.name.as_bytes()));
        let assignment_key = random.bits();
        let users = users(story, assignment_key, &mut random);
        let incident_from = incident(story, &mut random);
        let arms = [false, true].map(|canary| Arm::new(story, canary, &mut random));
        Self::with(story, users, incident_from, arms, random)
    }

    /// The same for a story whose users and pods were there before it: who is sent to the canary is drawn anew.
    pub fn of_fleet(story: &Story, fleet: Fleet, seed: u64) -> Self {
        let mut random = Random::new(seed ^ xxh3_64(story.name.as_bytes()));
        let assignment_key = random.bits();
        let users = users(story, assignment_key, &mut Random::new(fleet.users));
        let incident_from = incident(story, &mut random);
        let [baseline, canary] = fleet.pods.map(Random::new);
        let arms = [(false, baseline), (true, canary)].map(|(canary, mut pods)| Arm::new(story, canary, &mut pods));
        Self::with(story, users, incident_from, arms, random)
    }

    fn with(story: &Story, users: Vec<User>, incident_from: u32, [baseline, canary]: [Arm; 2], random: Random) -> Self {
        let (_, _, mean_minutes) = STORM;
        let mut traffic = Self {
            story: *story,
            choose_user: Alias::new(&weights(users.len())),
            users,
            choose_route: Alias::new(&ROUTES.map(|route| route.share)),
            storms: Vec::new(),
            incident_from,
            baseline,
            canary,
            next_minute: 0,
            sheet: Sheet::new(),
            random,
        };
        // Storms are memoryless: those that began before the story are as long from here on as new ones.
        traffic.begin_storms(0, traffic.storms_per_minute() * mean_minutes);
        traffic
    }

    /// Event time at which the story begins.
    pub fn start(&self) -> Timestamp {
        self.story.start
    }

    /// Appends the lines written in the next minute; false, and nothing appended, when the story is over. A request
    /// is logged when it completes, so the last minute also brings what is then still open.
    pub fn minute(&mut self, out: &mut Vec<u8>) -> bool {
        if self.next_minute >= self.story.minutes {
            return false;
        }
        let minute = self.next_minute;
        self.next_minute += 1;
        for _ in 0..self.random.poisson(self.story.requests_per_minute * rhythm(self.minute_start(minute))) {
            let user = self.choose_user.draw(&mut self.random);
            let route = self.choose_route.draw(&mut self.random);
            let failure = self.failure(user, route, minute);
            self.request(user, route, failure, minute);
        }
        self.begin_storms(minute, self.storms_per_minute());
        self.storms.retain(|storm| storm.until_minute > f64::from(minute));
        let (_, per_minute, _) = STORM;
        for i in 0..self.storms.len() {
            for _ in 0..self.random.poisson(per_minute) {
                self.request(self.storms[i].user, CHECKOUT, Some(&FAILURES[STORM_FAILURE]), minute);
            }
        }
        let last = self.next_minute == self.story.minutes;
        self.sheet.release(if last { i64::MAX } else { self.minute_start(minute + 1) }, out);
        true
    }

    fn minute_start(&self, minute: u32) -> i64 {
        self.story.start.0 + i64::from(minute) * MINUTE
    }

    fn in_incident(&self, minute: u32) -> bool {
        minute.checked_sub(self.incident_from).is_some_and(|since| since < INCIDENT.0)
    }

    /// The request of a user is served by the canary.
    fn on_canary(&self, user: usize, minute: u32) -> bool {
        minute.checked_sub(self.story.lead_minutes).is_some_and(|since| {
            let step = self.story.ramp.iter().rfind(|(from, _)| *from <= since);
            self.users[user].place < step.map_or(self.story.canary_share, |(_, share)| *share)
        })
    }

    /// What the release does to a request: nothing on the baseline, nor before it shows.
    fn effect(&self, canary: bool, minute: u32) -> Effect {
        let shows_from = self.story.lead_minutes + self.story.onset_minutes;
        if canary && minute >= shows_from { self.story.effect } else { Effect::None }
    }

    fn storms_per_minute(&self) -> f64 {
        let (share_of_errors, errors_per_minute, mean_minutes) = STORM;
        let errors = self.story.requests_per_minute * self.story.error_rate * share_of_errors;
        errors / (errors_per_minute * mean_minutes)
    }

    fn begin_storms(&mut self, minute: u32, mean: f64) {
        let (_, _, mean_minutes) = STORM;
        for _ in 0..self.random.poisson(mean) {
            let user = self.random.below(self.users.len() as u64) as usize;
            let until_minute = f64::from(minute) + self.random.exponential() * mean_minutes;
            self.storms.push(Storm { user, until_minute });
        }
    }

    /// Whether an ordinary request fails, and how.
    fn failure(&mut self, user: usize, route: usize, minute: u32) -> Option<&'static Failure> {
        let effect = self.effect(self.on_canary(user, minute), minute);
        let user = &self.users[user];
        match effect {
            Effect::BreaksUsers { error_rate, .. }
                if user.prone && route == CHECKOUT && self.random.chance(error_rate) =>
            {
                return Some(&BUG);
            }
            Effect::Fails { share } if self.random.chance(share) => return FAILURES.first(),
            Effect::BreaksUsers { .. }
            | Effect::Fails { .. }
            | Effect::None
            | Effect::SlowsTail { .. }
            | Effect::Slows { .. }
            | Effect::ReturnsEarly { .. }
            | Effect::Misroutes { .. } => {}
        }
        let (share_of_storms, _, _) = STORM;
        let mut probability = self.story.error_rate * (1.0 - share_of_storms) * user.errors;
        if self.in_incident(minute) {
            probability *= INCIDENT.1;
        }
        if !self.random.chance(probability.min(ERROR_PROBABILITY_MAX)) {
            return None;
        }
        let failure = FAILURES.get(self.random.below(FAILURES.len() as u64) as usize)?;
        match effect {
            // Nobody waits for a service that is not called: such a request fails in another way, not less often.
            Effect::ReturnsEarly { without, .. } if failure.cause == Some(without) => FAILURES.first(),
            _ => Some(failure),
        }
    }

    /// One request and the lines that it leaves.
    fn request(&mut self, user: usize, route: usize, failure: Option<&'static Failure>, minute: u32) {
        let started = self.minute_start(minute) + self.random.below(MINUTE as u64) as i64;
        let latency = self.latency(user, route, failure.is_some(), minute);
        let request = Request {
            route,
            failure,
            started,
            micros: latency as u64,
            trace: [self.random.bits(), self.random.bits()],
            span: self.random.bits(),
        };
        let arm = if self.on_canary(user, minute) { &self.canary } else { &self.baseline };
        let user = &self.users[user];
        // Failures are logged always; of other traces a fixed part is kept whole, as trace sampling does.
        let traced = unit_from_bits(request.trace[1]) < self.story.traced_share;
        let pod = arm.pod(&mut self.random);
        if traced {
            let calls = if arm.spans > 1 { arm.spans + self.random.below(3) - 1 } else { arm.spans };
            for call in 0..calls {
                self.sheet.span(&request, arm, user, (call, calls), &mut self.random);
            }
        }
        let route = &ROUTES[request.route];
        match request.failure {
            Some(failure) => self.sheet.log(&request, arm, user, pod, "error", failure.log, &mut self.random),
            None if traced && request.micros > SLOW_MICROS => {
                self.sheet.log(&request, arm, user, pod, "warn", SLOW, &mut self.random);
            }
            None if traced && self.random.chance(0.5) => {
                self.sheet.log(&request, arm, user, pod, "info", route.note, &mut self.random);
            }
            None => {}
        }
        self.sheet.request(&request, arm, user, pod, &mut self.random);
    }

    /// Duration of a request in microseconds.
    fn latency(&mut self, user: usize, route: usize, failed: bool, minute: u32) -> f64 {
        let canary = self.on_canary(user, minute);
        let user = &self.users[user];
        let arm = if canary { &self.canary } else { &self.baseline };
        let ratio = ROUTES[route].latency_factor * libm::exp(user.latency + REQUEST_LATENCY_SD * self.random.normal());
        let mut micros = TYPICAL_MICROS * ratio * arm.latency_factor;
        if self.random.chance(PAUSE.0) {
            micros *= PAUSE.1;
        }
        // A ratio of 1 is close to the median, so half of the requests are candidates.
        match self.effect(canary, minute) {
            Effect::SlowsTail { share, factor } if ratio > 1.0 && self.random.chance(2.0 * share) => micros *= factor,
            Effect::Slows { factor } => micros *= factor,
            Effect::SlowsTail { .. }
            | Effect::None
            | Effect::BreaksUsers { .. }
            | Effect::Fails { .. }
            | Effect::ReturnsEarly { .. }
            | Effect::Misroutes { .. } => {}
        }
        if failed {
            micros *= FAILED_LATENCY_FACTOR;
        }
        if self.in_incident(minute) {
            micros *= INCIDENT.2;
        }
        micros
    }
}

/// Traffic relative to its daily mean: highest at 14:00 UTC, lowest at 02:00, the mean at 08:00 and 20:00.
fn rhythm(micros: i64) -> f64 {
    let of_day = micros.rem_euclid(DAY) as f64 / DAY as f64;
    1.0 - RHYTHM * libm::cos(std::f64::consts::TAU * (of_day - 2.0 / 24.0))
}

/// How often users come, by rank.
fn weights(users: usize) -> Vec<f64> {
    (0..users).map(|rank| 1.0 / (rank as f64 + 30.0)).collect()
}

/// The users of a story, those who come most often first.
fn users(story: &Story, assignment_key: u64, random: &mut Random) -> Vec<User> {
    let mut users: Vec<User> = (0..story.users.max(1)).map(|id| User::new(id, story, assignment_key, random)).collect();
    // Shuffled, so that neither name nor assignment tells who comes often.
    for i in (1..users.len()).rev() {
        users.swap(i, random.below(i as u64 + 1) as usize);
    }
    if let Effect::BreaksUsers { spared, .. } = story.effect {
        users.iter_mut().take(spared as usize).for_each(|user| user.prone = false);
    }
    // The error rate of the story is per request, so propensities are scaled to a weighted mean of 1.
    let weights = weights(users.len());
    let total: f64 = weights.iter().sum();
    let mean: f64 = users.iter().zip(&weights).map(|(user, weight)| user.errors * weight).sum::<f64>() / total;
    for user in &mut users {
        user.errors /= mean.max(f64::MIN_POSITIVE);
    }
    users
}

/// The minute in which the incident of a story begins.
fn incident(story: &Story, random: &mut Random) -> u32 {
    story.minutes / 20 * 9 + random.below(u64::from(story.minutes / 10) + 1) as u32
}

impl User {
    fn new(id: u32, story: &Story, assignment_key: u64, random: &mut Random) -> Self {
        let latency = USER_LATENCY_SD * random.normal();
        let errors = random.gamma_half();
        let client = choose(&CLIENTS, random.unit());
        let region = choose(&REGIONS, random.unit());
        let id = id.wrapping_add(10_000);
        // A router sees the name of the user and nothing else, and gives the same answer each time.
        let mut place = unit_from_bits(xxh3_64_with_seed(&id.to_le_bytes(), assignment_key));
        // Drawn in each story, so that a story and the same one without its effect have the same users.
        let proneness = random.unit();
        let prone = matches!(story.effect, Effect::BreaksUsers { share, .. } if proneness < share);
        if let Effect::Misroutes { client: sent } = story.effect
            && client == sent
        {
            place = 0.0;
        }
        Self { id, latency, errors, client, region, place, prone }
    }
}

/// The entry whose stretch of the unit interval holds `at`.
fn choose(shares: &[(&'static str, f64)], at: f64) -> &'static str {
    let mut left = at;
    let mut chosen = "";
    for &(name, share) in shares {
        chosen = name;
        if left < share {
            break;
        }
        left -= share;
    }
    chosen
}

impl Arm {
    fn new(story: &Story, canary: bool, random: &mut Random) -> Self {
        let (version, share) = match canary {
            true => (story.canary_version, story.canary_share),
            false => (story.version, 1.0 - story.canary_share),
        };
        let service = story.service;
        let head = format!(r#"","service":"{service}","version":"{version}","environment":"production","kind":""#);
        let template = random.below(1 << 16);
        let pods = (0..((10.0 * share) as usize).clamp(2, 10))
            .map(|_| format!("{service}-{template:04x}-{:05x}", random.below(1 << 20)))
            .collect();
        let mut calls = CALLS.to_vec();
        let (mut latency_factor, mut spans) = (1.0, story.spans);
        if let (true, Effect::ReturnsEarly { latency_factor: factor, spans: fewer, without }) = (canary, story.effect) {
            (latency_factor, spans) = (factor, fewer);
            calls.retain(|(service, ..)| *service != without);
        }
        Self { head: head.into_bytes(), pods, latency_factor, spans: u64::from(spans), calls }
    }

    /// A router spreads requests over the pods of a version evenly, whoever sends them.
    fn pod(&self, random: &mut Random) -> &str {
        self.pods.get(random.below(self.pods.len() as u64) as usize).map_or("", String::as_str)
    }
}
