//! A seeded world of users that makes the window partials of one rollout, minute by minute.
//!
//! Every request becomes an [`Event`] and is counted by [`WindowPartial::count`], as the fold of a log does it; the engine
//! sees nothing else. Beside it the world keeps what a metrics system would have stored, for the rules that people use
//! today, and what an oracle would know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use crate::demo::random::{Alias, Random};
use crate::event::{self, Event, FieldForm, Kind, Level, NO_LATENCY, NO_NAME, Names, ServiceKey, WEIGHT_ONE};
use crate::math;
use crate::rival::Minute;
use crate::simulate::traffic::{Disturbance, Effect, Logging, Routing, SEGMENTS, Traffic};
use crate::sketch::partial::{Keep, WindowPartial};
use crate::sketch::templates::TemplateCounts;
use crate::time::{MINUTE, Timestamp};

/// Names of the arms, sorted: candidate, second candidate, control.
pub const ARMS: [&str; 3] = ["new", "newer", "old"];
/// Index of the candidate, the second candidate and the control.
const CANDIDATE: usize = 0;
const SECOND: usize = 1;
const CONTROL: usize = 2;
/// The service that is rolled out.
pub const SERVICE: &str = "shop";
/// The proxy before it, where one logs, and the share of requests that are lost behind it.
const PROXY: &str = "edge";
const LOST: f64 = 0.005;
/// The one log.
pub const STREAM: &str = "shop.log";
/// Number of the first window.
pub const FIRST_WINDOW: i64 = 29_667_000;

/// ln of 60 ms in microseconds; sd of user and request effects; share and factor of the slow path.
const LN_TYPICAL_US: f64 = 11.002_099_841_204_238;
const SD_USERS: f64 = 0.35;
const SD_REQUESTS: f64 = 0.6;
const SLOW_SHARE: f64 = 0.02;
const LN_SLOW: f64 = 2.0 * std::f64::consts::LN_2;
/// What a very slow request takes.
const VERY_SLOW_US: u64 = 10_000_000;
/// Pods of both arms, minutes of a spell, and the spread of their factors.
const PODS: f64 = 40.0;
const SPELL: u32 = 30;
const DAY_MINUTES: u32 = 1_440;
const SD_POD_ERRORS: f64 = 0.7;
const SD_POD_LATENCY: f64 = 0.15;
/// Attempts that a proxy adds at most.
const RETRIES: u32 = 2;
/// Log lines of a request, where lines are logged.
const LINES_OF_A_REQUEST: usize = 2;
/// Minute from which a disturbance acts.
pub const DISTURBED_FROM: u32 = 60;

/// Users by weight: the same for every rollout with so many, so they are made once.
#[derive(Debug)]
struct Population {
    weights: Vec<f64>,
    alias: Alias,
}

impl Population {
    fn of(users: u32, skewed: bool) -> Arc<Population> {
        static KNOWN: Mutex<BTreeMap<(u32, bool), Arc<Population>>> = Mutex::new(BTreeMap::new());
        let mut known = KNOWN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let make = || {
            let weight = |rank: u32| if skewed { 1.0 / (f64::from(rank) + 10.0) } else { 1.0 };
            let weights: Vec<f64> = (0..users).map(weight).collect();
            let alias = Alias::new(&weights);
            Arc::new(Population { weights, alias })
        };
        Arc::clone(known.entry((users, skewed)).or_insert_with(make))
    }
}

/// A user.
#[derive(Clone, Copy, Debug)]
struct User {
    unit: u64,
    /// Factor of the error rate.
    propensity: f32,
    /// Added to ln latency.
    slowness: f32,
    /// Where the assignment puts it (0 to 1): below the share, in the candidate.
    place: f32,
    /// Uniform: which users an effect or a trait concerns.
    luck: f32,
    erred: bool,
    /// Has changed its arm with its last request.
    swapped: bool,
}

/// A pod in its present spell.
#[derive(Clone, Copy, Debug)]
struct Pod {
    errors: f64,
    ln_latency: f64,
}

/// What a metrics system stores of an arm in a minute.
#[derive(Clone, Debug, Default)]
struct Stored {
    requests: u64,
    errors: u64,
    latencies_us: Vec<u64>,
}

impl Stored {
    fn minute(&mut self) -> Minute {
        Minute::new(self.requests, self.errors, &mut self.latencies_us)
    }
}

/// Counts of one arm since the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Truth {
    /// Requests.
    pub requests: u64,
    /// Failed requests.
    pub errors: u64,
    /// Distinct users with a failed request.
    pub erring_users: u64,
}

/// See the module text.
#[derive(Debug)]
pub struct World {
    traffic: Traffic,
    minutes: u32,
    random: Random,
    population: Arc<Population>,
    users: Vec<User>,
    /// Users that try again and again, and the minute at which they stop.
    loops: Vec<(u32, u32)>,
    pods: [Vec<Pod>; 2],
    names: Names,
    /// Templates of log lines by how often they come.
    kinds: Option<Alias>,
    keep_latencies: bool,
    stored: [Stored; 2],
    truth: [Truth; 2],
    /// Requests, attempts and lost requests, all counted.
    requests: u64,
    minute: u32,
    /// Minutes before the rollout that are over.
    before: u32,
}

impl World {
    /// A world. `minutes`: length of the rollout, over which shares and rates move. `keep_latencies`: also for
    /// [`World::stored`].
    pub fn new(traffic: Traffic, minutes: u32, seed: u64, keep_latencies: bool) -> World {
        let population = Population::of(traffic.users, traffic.skewed);
        let mut random = Random::new(seed);
        let salt = random.bits();
        let mut users: Vec<User> = (0..u64::from(traffic.users))
            .map(|number| {
                let place = random.unit() as f32;
                let luck = random.unit() as f32;
                // Twice a Gamma(1/2): mean 1.
                let propensity = if traffic.frail { (2.0 * random.gamma_half()) as f32 } else { 1.0 };
                let slowness = if traffic.frail && traffic.latency { (SD_USERS * random.normal()) as f32 } else { 0.0 };
                let unit = event::mix(number + 1, salt).max(1);
                // The first request changes it, so that a user begins in its own arm.
                let swapped = matches!(traffic.routing, Routing::Swapping(users) if f64::from(luck) < users);
                User { unit, propensity, slowness, place, luck, erred: false, swapped }
            })
            .collect();
        let weights = &population.weights;
        let weighted: f64 = weights.iter().zip(&users).map(|(weight, user)| weight * f64::from(user.propensity)).sum();
        let mean = (weighted / weights.iter().sum::<f64>()) as f32;
        if traffic.frail && mean > 0.0 {
            users.iter_mut().for_each(|user| user.propensity /= mean);
        }
        let routes = match traffic.logging {
            Logging::Routes(routes) => (0..routes).map(|route| format!("/r{route:03}")).collect(),
            _ => Vec::new(),
        };
        let kinds = match traffic.logging {
            Logging::Lines(kinds) => {
                let weights: Vec<f64> = (0..kinds).map(|rank| 1.0 / (f64::from(rank) + 10.0)).collect();
                Some(Alias::new(&weights))
            }
            _ => None,
        };
        let service =
            |name: &str| ServiceKey { environment: String::new(), cell: String::new(), service: name.to_owned() };
        let mut services = vec![service(SERVICE)];
        if matches!(traffic.logging, Logging::Upstream(_)) {
            services.push(service(PROXY));
        }
        let names = Names {
            services,
            arms: ARMS.map(str::to_owned).to_vec(),
            routes,
            instances: Vec::new(),
            templates: Vec::new(),
            segments: segment_names(&traffic),
        };
        World {
            traffic,
            minutes,
            random,
            population,
            users,
            loops: Vec::new(),
            pods: [Vec::new(), Vec::new()],
            names,
            kinds,
            keep_latencies,
            stored: Default::default(),
            truth: Default::default(),
            requests: 0,
            minute: 0,
            before: 0,
        }
    }

    /// Requests so far, with attempts.
    pub fn requests(&self) -> u64 {
        self.requests
    }

    /// The last minute of (control, candidate) as a metrics system has it.
    pub fn stored(&mut self) -> [Minute; 2] {
        let [control, candidate] = &mut self.stored;
        [control.minute(), candidate.minute()]
    }

    /// Counts begin anew.
    pub fn forget_truth(&mut self) {
        self.truth = Default::default();
        self.users.iter_mut().for_each(|user| user.erred = false);
    }

    /// Counts of (control, candidate) since the start, whatever of it was logged.
    pub fn truth(&self) -> [Truth; 2] {
        self.truth
    }

    /// Windows so far, those before the rollout included.
    pub fn windows(&self) -> u32 {
        self.before + self.minute
    }

    /// The partial of the next of `all` minutes before the rollout, settled: the control alone, without retry loops.
    pub fn next_before(&mut self, all: u32) -> WindowPartial {
        let to_go = all.saturating_sub(self.before);
        let mut window = Window::new(&self.traffic, -i64::from(to_go), self.before);
        let state = State { share: 0.0, error_rate: self.traffic.error_rate, effect: Effect::None };
        // A rollout begins at the low of a day.
        let of_day = DAY_MINUTES - to_go % DAY_MINUTES;
        let requests = self.random.poisson(self.traffic.requests_at(of_day));
        let step = MINUTE as u64 / (requests + 1);
        for number in 0..requests {
            let user = self.population.alias.draw(&mut self.random);
            self.request(user, false, (number * step) as u32, &state, &mut window);
        }
        self.before += 1;
        window.settle(&self.names)
    }

    /// The partial of the next minute, settled.
    pub fn next_window(&mut self) -> WindowPartial {
        let minute = self.minute;
        let mut window = Window::new(&self.traffic, i64::from(minute), self.before + minute);
        self.stored = Default::default();
        if self.traffic.disturbance == Disturbance::Pods && minute.is_multiple_of(SPELL) {
            self.new_spells();
        }
        let state = State {
            share: self.traffic.share.at(minute, self.minutes),
            error_rate: self.traffic.course.rate(self.traffic.error_rate, minute, self.minutes)
                * (1.0 - self.traffic.loop_share())
                * if self.both_hurt() { 5.0 } else { 1.0 },
            effect: if minute >= self.traffic.onset { self.traffic.effect } else { Effect::None },
        };
        let requests = self.random.poisson(self.traffic.requests_at(minute));
        let step = MINUTE as u64 / (requests + 1);
        for number in 0..requests {
            let user = self.population.alias.draw(&mut self.random);
            self.request(user, false, (number * step) as u32, &state, &mut window);
        }
        if self.traffic.loops {
            self.loop_requests(&state, &mut window);
        }
        self.minute += 1;
        window.settle(&self.names)
    }

    fn both_hurt(&self) -> bool {
        self.traffic.disturbance == Disturbance::BothHurt && self.minute >= DISTURBED_FROM
    }

    fn new_spells(&mut self) {
        let share = self.traffic.share.at(self.minute, self.minutes);
        let of_candidate = (PODS * share).round().max(2.0);
        for (pods, count) in self.pods.iter_mut().zip([(PODS - of_candidate).max(2.0), of_candidate]) {
            pods.clear();
            for _ in 0..count as usize {
                let z = SD_POD_ERRORS * self.random.normal();
                let errors = math::exp(z - 0.5 * SD_POD_ERRORS * SD_POD_ERRORS);
                pods.push(Pod { errors, ln_latency: SD_POD_LATENCY * self.random.normal() });
            }
        }
    }

    fn loop_requests(&mut self, state: &State, window: &mut Window) {
        let minute = self.minute;
        // A loop is 100 requests long on average.
        let per_minute = self.traffic.per_minute * self.traffic.error_rate * self.traffic.loop_share() / 100.0;
        for _ in 0..self.random.poisson(per_minute) {
            let until = minute + (self.random.exponential() * 20.0) as u32 + 1;
            self.loops.push((self.random.below(u64::from(self.traffic.users)) as u32, until));
        }
        self.loops.retain(|(_, until)| *until > minute);
        for at in 0..self.loops.len() {
            let user = self.loops[at].0;
            for _ in 0..self.random.poisson(5.0) {
                self.request(user as usize, true, MINUTE as u32 - 1, state, window);
            }
        }
    }

    /// The arm of a user's next request.
    fn arm(&mut self, user: usize, share: f64) -> usize {
        let of = &mut self.users[user];
        let anew = match self.traffic.routing {
            Routing::Sticky => false,
            Routing::PerRequest => true,
            Routing::Roaming(users) => f64::from(of.luck) < users,
            Routing::Swapping(users) => {
                of.swapped ^= f64::from(of.luck) < users;
                false
            }
        };
        let place = if anew { self.random.unit() } else { f64::from(of.place) };
        let second = self.traffic.disturbance == Disturbance::SecondCandidate;
        let in_candidate = (place < share) != of.swapped;
        if in_candidate {
            CANDIDATE
        } else if second && place < 2.0 * share {
            SECOND
        } else {
            CONTROL
        }
    }

    /// Whether a request fails under an arm.
    fn fails(&mut self, user: usize, arm: usize, pod: Option<Pod>, state: &State) -> bool {
        let of = &self.users[user];
        let mut p = (state.error_rate * f64::from(of.propensity)).min(1.0);
        let flagged = self.traffic.disturbance == Disturbance::OtherFlag && self.minute >= DISTURBED_FROM;
        if flagged && of.luck < 0.5 {
            p *= 5.0;
        }
        if let Some(pod) = pod {
            p *= pod.errors;
        }
        match arm {
            CANDIDATE => match state.effect {
                Effect::Errors(share) => p += share,
                Effect::ErrorsTimes(factor) => p *= factor,
                Effect::FrailTimes(factor) if of.propensity >= 3.0 => p *= factor,
                Effect::UsersBroken(users) if f64::from(of.luck) < users => p = 1.0,
                Effect::SegmentErrorsTimes(factor) if segment_of(of.unit) == 0 => p *= factor,
                Effect::UsersBroken(_)
                | Effect::FrailTimes(_)
                | Effect::SegmentErrorsTimes(_)
                | Effect::None
                | Effect::Slower(_)
                | Effect::VerySlow(_)
                | Effect::NewLine(_) => {}
            },
            SECOND => p += 0.02,
            _ => {}
        }
        self.random.chance(p)
    }

    fn latency_us(&mut self, user: usize, arm: usize, pod: Option<Pod>, state: &State) -> u64 {
        if !self.traffic.latency {
            return NO_LATENCY;
        }
        let mut ln = LN_TYPICAL_US + f64::from(self.users[user].slowness) + SD_REQUESTS * self.random.normal();
        if self.random.chance(SLOW_SHARE) {
            ln += LN_SLOW;
        }
        if let Some(pod) = pod {
            ln += pod.ln_latency;
        }
        if self.both_hurt() {
            ln += std::f64::consts::LN_2;
        }
        if arm == CANDIDATE {
            match state.effect {
                Effect::Slower(factor) => ln += math::ln(factor),
                Effect::VerySlow(share) if self.random.chance(share) => return VERY_SLOW_US,
                Effect::VerySlow(_)
                | Effect::None
                | Effect::Errors(_)
                | Effect::ErrorsTimes(_)
                | Effect::NewLine(_)
                | Effect::FrailTimes(_)
                | Effect::UsersBroken(_)
                | Effect::SegmentErrorsTimes(_) => {}
            }
        }
        math::exp(ln) as u64
    }

    /// One request of a user, with the attempts that a proxy adds.
    fn request(&mut self, user: usize, looping: bool, at: u32, state: &State, window: &mut Window) {
        let share = if self.traffic.share.has_begun(self.minute, at) { state.share } else { 0.0 };
        let mut arm = self.arm(user, share);
        let id = match self.traffic.logging {
            Logging::ProxyRetries => event::mix(self.requests + 1, 0x0072_6571).max(1),
            _ => 0,
        };
        let mut attempt = 0;
        loop {
            let of_arm = usize::from(arm == CANDIDATE);
            let pod = match self.pods[of_arm].len() {
                0 => None,
                pods => self.pods[of_arm].get(self.random.below(pods as u64) as usize).copied(),
            };
            let error = looping || self.fails(user, arm, pod, state);
            let latency_us = self.latency_us(user, arm, pod, state);
            self.note(user, arm, error, latency_us);
            // A further attempt begins when the one before has ended; they share a window, as nearly all do.
            let at = (at + attempt * 50_000).min(MINUTE as u32 - 1);
            self.log(user, arm, error, latency_us, at, id, window);
            if !error || attempt == RETRIES || self.traffic.logging != Logging::ProxyRetries {
                return;
            }
            attempt += 1;
            arm = if self.random.unit() < share { CANDIDATE } else { CONTROL };
        }
    }

    /// What the metrics system and the oracle see: requests of the first two arms, whatever of them is logged.
    fn note(&mut self, user: usize, arm: usize, error: bool, latency_us: u64) {
        self.requests += 1;
        if arm == SECOND {
            return;
        }
        let of_arm = usize::from(arm == CANDIDATE);
        let truth = &mut self.truth[of_arm];
        truth.requests += 1;
        truth.errors += u64::from(error);
        if error && !self.users[user].erred {
            self.users[user].erred = true;
            truth.erring_users += 1;
        }
        let stored = &mut self.stored[of_arm];
        stored.requests += 1;
        stored.errors += u64::from(error);
        if self.keep_latencies && latency_us != NO_LATENCY {
            stored.latencies_us.push(latency_us);
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what a line says")]
    fn log(&mut self, user: usize, arm: usize, error: bool, latency_us: u64, at: u32, id: u64, window: &mut Window) {
        let of = &self.users[user];
        let mut weight = WEIGHT_ONE;
        let mut status_class = if error { 5 } else { 2 };
        let mut route = NO_NAME;
        let mut kept = 1.0;
        match self.traffic.logging {
            Logging::Plain | Logging::ProxyRetries | Logging::Lines(_) => {}
            Logging::Routes(routes) => {
                // The product of two uniform numbers: few routes take most requests.
                let place = self.random.unit() * self.random.unit();
                route = ((place * f64::from(routes)) as u16).min(routes.saturating_sub(1));
                if !error && self.random.chance(0.03) {
                    status_class = 4;
                }
            }
            Logging::Sampled(share) => kept = share,
            Logging::ErrorsKept(share) if !error => kept = share,
            Logging::ErrorsKept(_) => {}
            Logging::CandidateSampled(share) if arm == CANDIDATE => kept = share,
            Logging::CandidateSampled(_) => {}
            Logging::CandidateSilent if arm == CANDIDATE => return,
            Logging::CandidateSilent => {}
            Logging::CandidateLosesUsers(share) if arm == CANDIDATE && f64::from(of.luck) >= share => return,
            Logging::CandidateLosesUsers(_) => {}
            Logging::Upstream(share) => {
                window.expose(of.unit, arm, at);
                let dies = arm == CANDIDATE && f64::from(of.luck) >= share;
                if self.random.chance(LOST) || dies {
                    return;
                }
            }
        }
        let says_rates =
            matches!(self.traffic.logging, Logging::Sampled(_) | Logging::ErrorsKept(_) | Logging::CandidateSampled(_));
        let sampling = if says_rates { event::sampling_group(None) } else { event::NOT_SAMPLED };
        if kept < 1.0 {
            if !self.random.chance(kept) {
                return;
            }
            weight = (f64::from(WEIGHT_ONE) / kept).round() as u32;
        }
        let event = Event {
            time: Timestamp(window.start + i64::from(at)),
            offset: window.offset,
            unit: of.unit,
            trace: 0,
            request: id,
            call: 0,
            latency_us,
            service: 0,
            arm: arm as u16,
            route,
            weight,
            kind: Kind::Request,
            level: Level::Info,
            status_class,
            error,
            latency_form: FieldForm::Absent,
            status_form: FieldForm::Absent,
            sampling,
            rate_unread: false,
            conversion: 0,
            metrics: crate::event::NO_METRICS,
            segments: match self.traffic.segments {
                true => [segment_of(of.unit), NO_NAME, NO_NAME, NO_NAME],
                false => event::NO_SEGMENTS,
            },
            instance: NO_NAME,
            template: event::NO_TEMPLATE,
        };
        window.count(arm, &event, at);
        if let Logging::Lines(_) = self.traffic.logging {
            self.say(&event, at, window);
        }
    }

    /// What the code logs beside a request.
    fn say(&mut self, request: &Event, at: u32, window: &mut Window) {
        let Some(kinds) = &self.kinds else { return };
        let mut lines = [0u64; LINES_OF_A_REQUEST + 1];
        for line in lines.iter_mut().take(LINES_OF_A_REQUEST) {
            *line = kinds.draw(&mut self.random) as u64 + 1;
        }
        let is_new = usize::from(request.arm) == CANDIDATE && self.minute >= self.traffic.onset;
        let adds = match self.traffic.effect {
            Effect::NewLine(share) => is_new && self.random.chance(share),
            Effect::None
            | Effect::Errors(_)
            | Effect::ErrorsTimes(_)
            | Effect::FrailTimes(_)
            | Effect::SegmentErrorsTimes(_)
            | Effect::UsersBroken(_)
            | Effect::Slower(_)
            | Effect::VerySlow(_) => false,
        };
        for (number, line) in lines.into_iter().enumerate() {
            if number == LINES_OF_A_REQUEST && !adds {
                break;
            }
            let severe = line % 4 == 0;
            let line = Event {
                offset: window.offset,
                latency_us: NO_LATENCY,
                route: NO_NAME,
                kind: Kind::Log,
                level: if severe { Level::Error } else { Level::Info },
                status_class: 0,
                error: false,
                template: template_of(line),
                ..*request
            };
            window.count(usize::from(request.arm), &line, at);
        }
    }
}

/// Id of the template of a number.
fn template_of(line: u64) -> u64 {
    event::mix(line, 0x6c69_6e65).max(event::OVERFLOW_TEMPLATE + 1)
}

/// Id of the line that [`Effect::NewLine`] adds.
pub fn new_line() -> u64 {
    template_of(0)
}

/// Key of the segment of a user.
const KEY_SEGMENT: u64 = 0x7365_676d;
/// Share of users in the first segment.
const FIRST_SEGMENT: f64 = 0.05;

/// The segment of a user: by its hash, so that whoever is dealt no segments draws no other random numbers.
fn segment_of(unit: u64) -> u16 {
    let place = event::mix(unit, KEY_SEGMENT) as f64 / u64::MAX as f64;
    let others = f64::from(SEGMENTS - 1);
    if place < FIRST_SEGMENT {
        return 0;
    }
    1 + (((place - FIRST_SEGMENT) / (1.0 - FIRST_SEGMENT) * others) as u16).min(SEGMENTS - 2)
}

/// Names of segments, sorted, where there are any.
fn segment_names(traffic: &Traffic) -> [Vec<String>; event::SEGMENT_FIELDS_MAX] {
    let mut names: [Vec<String>; event::SEGMENT_FIELDS_MAX] = Default::default();
    if traffic.segments {
        names[0] = (0..SEGMENTS).map(|segment| format!("s{segment:02}")).collect();
    }
    names
}

/// What holds in a minute.
#[derive(Clone, Copy, Debug)]
struct State {
    share: f64,
    error_rate: f64,
    effect: Effect,
}

/// A window that is being filled.
#[derive(Debug)]
struct Window {
    start: i64,
    partial: WindowPartial,
    templates: TemplateCounts,
    /// Of the service by arm, then of the proxy, where one logs.
    keeps: Vec<Keep>,
    offset: u64,
    lines: u64,
}

impl Window {
    /// `minute` of the rollout, negative before it; `nth` window of the log.
    fn new(traffic: &Traffic, minute: i64, nth: u32) -> Window {
        let number = FIRST_WINDOW + minute;
        let mut partial = WindowPartial::new(number);
        let services = if matches!(traffic.logging, Logging::Upstream(_)) { 2 } else { 1 };
        for service in 0..services {
            for arm in 0..ARMS.len() {
                partial.cells.push((service, arm as u16, Default::default()));
            }
        }
        let keeps = partial.cells.iter().map(|_| Keep::default()).collect();
        // Only where routes are logged is there anything to compare them by.
        if !matches!(traffic.logging, Logging::Routes(_)) {
            partial.pair_range = 0;
        }
        partial.trace_range = 0;
        Window {
            start: number * MINUTE,
            partial,
            templates: TemplateCounts::new(0),
            keeps,
            // A line has 200 bytes, and a minute never 2^28 of them.
            offset: u64::from(nth) << 36,
            lines: 0,
        }
    }

    fn count(&mut self, arm: usize, event: &Event, at: u32) {
        self.lines += 1;
        self.offset += 200;
        self.partial.count(arm, event, at, 0, &mut self.keeps[arm]);
        if event.template != event::NO_TEMPLATE {
            self.templates.count(event, at, 0);
        }
    }

    /// The proxy logs that it sends a unit to an arm.
    fn expose(&mut self, unit: u64, arm: usize, at: u32) {
        let event = Event {
            time: Timestamp(self.start + i64::from(at)),
            offset: self.offset,
            unit,
            trace: 0,
            request: 0,
            call: 0,
            latency_us: NO_LATENCY,
            service: 1,
            arm: arm as u16,
            route: NO_NAME,
            weight: WEIGHT_ONE,
            kind: Kind::Exposure,
            level: Level::Info,
            status_class: 0,
            error: false,
            latency_form: FieldForm::Absent,
            status_form: FieldForm::Absent,
            sampling: event::NOT_SAMPLED,
            rate_unread: false,
            conversion: 0,
            metrics: crate::event::NO_METRICS,
            instance: NO_NAME,
            template: event::NO_TEMPLATE,
            segments: event::NO_SEGMENTS,
        };
        self.count(ARMS.len() + arm, &event, at);
    }

    fn settle(mut self, names: &Names) -> WindowPartial {
        let tally = &mut self.partial.tally;
        tally.records = self.lines;
        tally.events = self.lines;
        tally.on_time = self.lines;
        for keep in &mut self.keeps {
            self.partial.take_evidence(keep);
        }
        (self.partial.templates, self.partial.template_pairs) = self.templates.take();
        self.partial.cells.retain(|(_, _, cell)| cell.lines > 0);
        self.partial.settle_with(names, &[STREAM.to_owned()]);
        self.partial
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::traffic::{Course, Share};

    fn after(traffic: Traffic, minutes: u32, seed: u64) -> ([Truth; 2], Vec<WindowPartial>) {
        let mut world = World::new(traffic, minutes, seed, false);
        let partials = (0..minutes).map(|_| world.next_window()).collect();
        (world.truth(), partials)
    }

    #[test]
    fn the_same_seed_makes_the_same_partials() {
        let traffic = Traffic { latency: true, logging: Logging::Routes(20), ..Traffic::A2 };
        assert_eq!(after(traffic, 5, 3).1, after(traffic, 5, 3).1);
        assert_ne!(after(traffic, 5, 3).1, after(traffic, 5, 4).1);
    }

    #[test]
    fn rates_shares_and_counts_are_those_of_the_traffic() {
        let traffic = Traffic { per_minute: 3_000.0, daily: false, course: Course::Flat, ..Traffic::A2 };
        let ([control, candidate], partials) = after(traffic, 200, 1);
        let requests = (control.requests + candidate.requests) as f64;
        assert!((requests / 600_000.0 - 1.0).abs() < 0.02, "{requests}");
        let rate = (control.errors + candidate.errors) as f64 / requests;
        assert!((0.004..0.006).contains(&rate), "{rate}");
        // Heavy users make the share of requests uneven; that of units is not.
        let counted: u64 = partials.iter().flat_map(|partial| &partial.cells).map(|(_, _, cell)| cell.requests).sum();
        assert_eq!(counted as f64, requests);
        assert!(partials.iter().all(|partial| partial.tally.balances()));
    }

    #[test]
    fn the_candidate_meets_what_the_new_code_does() {
        let base = Traffic { per_minute: 2_000.0, share: Share::Constant(0.5), latency: true, ..Traffic::A0 };
        let rates = |effect| {
            let ([control, candidate], _) = after(Traffic { effect, ..base }, 60, 5);
            [control, candidate].map(|arm| arm.errors as f64 / arm.requests as f64)
        };
        let [control, candidate] = rates(Effect::Errors(0.02));
        assert!((control - 0.005).abs() < 0.002 && (candidate - 0.025).abs() < 0.004, "{control} {candidate}");
        let [_, candidate] = rates(Effect::UsersBroken(0.08));
        assert!((candidate - 0.085).abs() < 0.01, "{candidate}");
        let mean = |effect| {
            let (_, partials) = after(Traffic { effect, ..base }, 10, 5);
            let sum = |arm: u16| -> f64 {
                let of = partials.iter().flat_map(|partial| &partial.cells).filter(|(_, a, _)| *a == arm);
                let (us, n) = of.fold((0, 0), |(us, n), (_, _, cell)| (us + cell.latency_sum_us, n + cell.requests));
                us as f64 / n as f64
            };
            sum(0) / sum(1)
        };
        assert!((mean(Effect::None) - 1.0).abs() < 0.05 && (mean(Effect::Slower(1.2)) - 1.2).abs() < 0.06);
    }

    #[test]
    fn logs_lack_what_they_are_said_to_lack() {
        let base = Traffic { per_minute: 1_000.0, share: Share::Constant(0.5), ..Traffic::A2 };
        let requests = |logging| {
            let (truth, partials) = after(Traffic { logging, ..base }, 20, 9);
            let mut of_arm = [(0, 0); 2];
            for partial in &partials {
                for (_, arm, cell) in &partial.cells {
                    let is_new = partial.names.arms[usize::from(*arm)] == ARMS[CANDIDATE];
                    let of = &mut of_arm[usize::from(is_new)];
                    of.0 += cell.requests;
                    of.1 += cell.request_weight / u64::from(WEIGHT_ONE);
                }
            }
            (truth.map(|arm| arm.requests), of_arm)
        };
        let (truth, logged) = requests(Logging::Sampled(0.1));
        assert!(logged.iter().zip(truth).all(|(of, truth)| of.1 == 10 * of.0 && of.1.abs_diff(truth) < truth / 10));
        let (truth, logged) = requests(Logging::CandidateSilent);
        assert!(logged[1].0 == 0 && logged[0].0 == truth[0]);
        let (truth, logged) = requests(Logging::CandidateLosesUsers(0.2));
        assert!(logged[1].0 < truth[1] / 2 && logged[1].0 > truth[1] / 20);
        let (_, partials) = after(Traffic { logging: Logging::ProxyRetries, ..base }, 5, 9);
        let attempts = |partial: &WindowPartial| partial.attempts.as_slice().len();
        assert!(partials.iter().all(|partial| attempts(partial) > 0 && partial.units.as_slice().is_empty()));
    }
}
