//! What the traffic of a simulated rollout is like: the truth that verdicts are held against.
//!
//! The model is that of the statistics design, section 3: a daily rhythm of +-60 % that starts at its low, users with
//! weight 1 / (rank + 10), an error propensity per user Gamma(1/2) scaled to mean 1 over requests, retry loops that make
//! 30 % of all errors, log-normal latency with user effects. Each field switches one trait on or off.

/// Minutes of a day.
const DAY: f64 = 1_440.0;

/// Share of units that the candidate gets, over a rollout of `minutes`.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Share {
    /// Always the same (0 to 1).
    Constant(f64),
    /// The first, from so many milliseconds of the first minute on; before it the control alone, in the same window.
    WithinWindow(f64, u32),
    /// 1, 5, 25 and 50 % for a quarter of the time each; nobody declares it.
    Steps,
    /// Creeps from 1 to 50 %.
    Creeping,
}

impl Share {
    /// Share in a minute.
    pub fn at(self, minute: u32, minutes: u32) -> f64 {
        let part = f64::from(minute) / f64::from(minutes.max(1));
        match self {
            Share::Constant(share) | Share::WithinWindow(share, _) => share,
            Share::Steps => {
                let steps = [0.01, 0.05, 0.25, 0.5];
                steps[((part * 4.0) as usize).min(3)]
            }
            Share::Creeping => 0.01 + 0.49 * part,
        }
    }

    /// Whether the candidate serves at this millisecond of a minute.
    pub fn has_begun(self, minute: u32, at_ms: u32) -> bool {
        !matches!(self, Share::WithinWindow(_, begins) if minute == 0 && at_ms < begins)
    }
}

/// How requests of a user come to an arm.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Routing {
    /// A user stays in one arm.
    Sticky,
    /// Each request is dealt anew.
    PerRequest,
    /// Sticky, but for this share of users, whose requests are dealt anew.
    Roaming(f64),
    /// Sticky, but for this share of users, who change their arm with every request.
    Swapping(f64),
}

/// How the error rate of both arms moves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Course {
    /// It does not.
    Flat,
    /// +-30 % over the day, and an hour at five times the rate from minute 3,000 on.
    DayWithIncident,
    /// From .3 to .7 % over the rollout, whatever the base rate.
    Drift,
    /// As [`Course::Drift`], with five times the rate for an hour after the step to 25 % and for half an hour on both
    /// sides of the step to 50 %.
    DriftWithIncidents,
}

impl Course {
    /// Error rate in a minute of a rollout.
    pub fn rate(self, base: f64, minute: u32, minutes: u32) -> f64 {
        let drifting = || 0.003 + 0.004 * f64::from(minute) / f64::from(minutes.max(1));
        match self {
            Course::Flat => base,
            Course::DayWithIncident => {
                let rate = base * (1.0 + 0.3 * sine(f64::from(minute) / DAY));
                if (3_000..3_060).contains(&minute) { 5.0 * rate } else { rate }
            }
            Course::Drift => drifting(),
            Course::DriftWithIncidents => {
                let (half, last) = (minutes / 2, minutes * 3 / 4);
                let first = minute >= half + 30 && minute < half + 90;
                let second = minute + 30 >= last && minute < last + 30;
                if first || second { 5.0 * drifting() } else { drifting() }
            }
        }
    }
}

/// What the new code does to requests of its own arm.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Effect {
    /// Nothing.
    None,
    /// So many more requests fail, as a share of all.
    Errors(f64),
    /// The error rate of each user is multiplied.
    ErrorsTimes(f64),
    /// The error rate of the users that fail most (three times the mean and more) is multiplied: who never failed does not.
    FrailTimes(f64),
    /// Every request of this share of users fails.
    UsersBroken(f64),
    /// Every request takes so much longer (1.2: a fifth).
    Slower(f64),
    /// This share of requests takes 10 s.
    VerySlow(f64),
    /// This share of requests writes an error line that the old code does not have; where lines are logged.
    NewLine(f64),
    /// The error rate of each user of one segment, of 5 % of users, is multiplied.
    SegmentErrorsTimes(f64),
}

/// What else happens while the rollout runs.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Disturbance {
    /// Nothing.
    None,
    /// Each pod of an arm has a bad or good half hour: its error rate and its latency are multiplied by log-normal factors
    /// (sd .7 and .15). 40 pods serve; the candidate has its share of them, two at least.
    Pods,
    /// From the first hour on an unrelated flag makes one half of all users, of both arms alike, fail five times as often.
    OtherFlag,
    /// A second candidate of the same size is rolled out at the same time and fails 2 % more requests.
    SecondCandidate,
    /// From the first hour on both arms fail five times as often and take twice as long: the candidate hurts what both use.
    BothHurt,
}

/// What reaches the log.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Logging {
    /// Every request.
    Plain,
    /// Every request, with one of so many routes, and 3 % of requests answered 4xx.
    Routes(u16),
    /// Every request, and two log lines of it with one of so many templates, every fourth of which is of level error.
    Lines(u16),
    /// Every attempt: a proxy tries a request that failed up to twice again, on any arm, under the same request id.
    ProxyRetries,
    /// This share of requests, with the weight that says so.
    Sampled(f64),
    /// This share of requests that succeed, with the weight that says so, and all that fail.
    ErrorsKept(f64),
    /// This share of the candidate's requests, with the weight that says so, and all of the control's.
    CandidateSampled(f64),
    /// Nothing of the candidate: it dies before it logs.
    CandidateSilent,
    /// Of the candidate only the requests of this share of its users: the others meet a process that dies.
    CandidateLosesUsers(f64),
    /// A proxy logs to which arm it sends each request, and one request in two hundred is lost behind it; of the candidate
    /// only the requests of this share of its users are logged, since the others meet a process that dies.
    Upstream(f64),
}

/// One kind of traffic. See the module text.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Traffic {
    /// Users.
    pub users: u32,
    /// Users have weight 1 / (rank + 10); else all have the same.
    pub skewed: bool,
    /// Requests a minute of all arms, on average over a day.
    pub per_minute: f64,
    /// The daily rhythm.
    pub daily: bool,
    /// Share of units in the candidate.
    pub share: Share,
    /// How requests come to an arm.
    pub routing: Routing,
    /// Base error rate per request, retry loops included.
    pub error_rate: f64,
    /// Users differ in their propensity to fail.
    pub frail: bool,
    /// 30 % of errors come from users who try again five times a minute for 20 minutes.
    pub loops: bool,
    /// How the error rate moves.
    pub course: Course,
    /// Requests have a latency: 60 ms, log-normal with user effects of sd .35 (where users are `frail`) and request effects
    /// of sd .6, 2 % of requests four times slower.
    pub latency: bool,
    /// What the new code does.
    pub effect: Effect,
    /// Minute from which it does.
    pub onset: u32,
    /// What else happens.
    pub disturbance: Disturbance,
    /// What is logged.
    pub logging: Logging,
    /// Requests name one of [`SEGMENTS`] segments, each of which is the same for all requests of a user.
    pub segments: bool,
}

/// Segments of users: one of 5 % of them, and others of equal size.
pub const SEGMENTS: u16 = 50;

impl Traffic {
    /// Sticky users who differ, with retry loops, 200 requests a minute, 5 % in the candidate, errors only: A2 of the design.
    pub const A2: Traffic = Traffic {
        users: 20_000,
        skewed: true,
        per_minute: 200.0,
        daily: true,
        share: Share::Constant(0.05),
        routing: Routing::Sticky,
        error_rate: 0.005,
        frail: true,
        loops: true,
        course: Course::DayWithIncident,
        latency: false,
        effect: Effect::None,
        onset: 0,
        disturbance: Disturbance::None,
        logging: Logging::Plain,
        segments: false,
    };

    /// Independent requests: A0.
    pub const A0: Traffic = Traffic { skewed: false, frail: false, loops: false, course: Course::Flat, ..Traffic::A2 };

    /// A2 without retry loops: A1.
    pub const A1: Traffic = Traffic { loops: false, ..Traffic::A2 };

    /// The same users and loops, each request dealt anew: A3.
    pub const A3: Traffic = Traffic { routing: Routing::PerRequest, ..Traffic::A2 };

    /// Expected requests of a minute, without those of retry loops.
    pub fn requests_at(&self, minute: u32) -> f64 {
        // A day starts at its low.
        let rhythm = if self.daily { 1.0 + 0.6 * sine(f64::from(minute) / DAY - 0.25) } else { 1.0 };
        self.per_minute * rhythm
    }

    /// Share of errors that come from retry loops.
    pub fn loop_share(&self) -> f64 {
        if self.loops { 0.3 } else { 0.0 }
    }
}

/// Sine of a phase in turns, by the pinned library: traffic is the same on every platform.
fn sine(turns: f64) -> f64 {
    libm::sin(std::f64::consts::TAU * turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_course_of_a_ramp_is_that_of_the_design() {
        let shares = [0, 359, 360, 719, 720, 1_079, 1_080, 1_439].map(|minute| Share::Steps.at(minute, 1_440));
        assert_eq!(shares, [0.01, 0.01, 0.05, 0.05, 0.25, 0.25, 0.5, 0.5]);
        assert_eq!(Share::Creeping.at(0, 1_440), 0.01);
        let within = Share::WithinWindow(0.5, 30_000);
        assert_eq!(
            [(0, 29_999), (0, 30_000), (1, 0)].map(|(minute, ms)| within.has_begun(minute, ms)),
            [false, true, true]
        );
        let rate = |minute| Course::DriftWithIncidents.rate(0.005, minute, 1_440);
        assert!((rate(0) - 0.003).abs() < 1e-12 && (rate(720) - 0.005).abs() < 1e-12);
        // Five times the rate from minute 750 to 810, and from 1,050 to 1,110.
        assert!(rate(749) < 0.006 && rate(750) > 0.02 && rate(809) > 0.02 && rate(810) < 0.006);
        assert!(rate(1_049) < 0.007 && rate(1_050) > 0.02 && rate(1_109) > 0.02 && rate(1_110) < 0.007);
    }

    #[test]
    fn a_day_starts_at_its_low() {
        let a2 = Traffic::A2;
        assert!((a2.requests_at(0) - 80.0).abs() < 1e-9 && (a2.requests_at(720) - 320.0).abs() < 1e-9);
        assert!((Course::DayWithIncident.rate(0.005, 360, 10_000) - 0.0065).abs() < 1e-12);
        assert!(Course::DayWithIncident.rate(0.005, 3_000, 10_000) > 0.02);
    }
}
