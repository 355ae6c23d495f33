//! What happens in each rollout of the demo, and what a judge should make of it.

use crate::time::{DAY, MINUTE, Timestamp, days_from_civil};

/// One rollout: its traffic, what the release does, and the verdict it deserves.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    /// Short name for the command line, in kebab-case.
    pub name: &'static str,
    /// What happens, in one sentence.
    pub title: &'static str,
    /// Service that is released.
    pub service: &'static str,
    /// Version that runs on the baseline.
    pub version: &'static str,
    /// Version that runs on the canary.
    pub canary_version: &'static str,
    /// Event time of the first minute.
    pub start: Timestamp,
    /// Length of the story in minutes of event time.
    pub minutes: u32,
    /// Minutes before the rollout begins: until then the baseline serves everybody.
    pub lead_minutes: u32,
    /// Requests per minute of both arms together, as mean over a day.
    pub requests_per_minute: f64,
    /// Users of the service; how often they come falls with their rank.
    pub users: u32,
    /// Share of users that the router means to send to the canary.
    pub canary_share: f64,
    /// Shares that it has before, in steps: from so many minutes after the rollout began on. Empty where it begins with all.
    pub ramp: &'static [(u32, f64)],
    /// Share that the rollout declares, if it declares one.
    pub declared_share: Option<f64>,
    /// Share of failed requests on the baseline outside the incident, retry storms included.
    pub error_rate: f64,
    /// Share of traces that are written with spans and logs beside the request line.
    pub traced_share: f64,
    /// Mean number of spans of a written trace on the baseline.
    pub spans: u32,
    /// What the release changes.
    pub effect: Effect,
    /// Minutes after the rollout began until that shows.
    pub onset_minutes: u32,
    /// The verdict it deserves.
    pub expect: Expect,
}

/// What the release does to the canary's requests.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Effect {
    /// Nothing.
    None,
    /// Some users of the canary fail on most of their checkouts. They are none of those who come often.
    BreaksUsers {
        /// Share of the other users that meet the bug.
        share: f64,
        /// Number of users who come most often, whom the bug spares.
        spared: u32,
        /// Probability that one of their checkouts fails.
        error_rate: f64,
    },
    /// Some requests become slower. They are taken from the slower half, as large carts would be, so the median stays.
    SlowsTail {
        /// Share of all requests that become slower, at most one half.
        share: f64,
        /// How many times longer these take.
        factor: f64,
    },
    /// More requests fail.
    Fails {
        /// Share of all requests that fail in addition.
        share: f64,
    },
    /// Every request takes longer.
    Slows {
        /// How many times longer.
        factor: f64,
    },
    /// The canary returns before its work is done.
    ReturnsEarly {
        /// Duration of a request relative to the baseline.
        latency_factor: f64,
        /// Mean number of spans of a trace.
        spans: u32,
        /// Downstream service that is no longer called.
        without: &'static str,
    },
    /// The router sends all users of one client to the canary.
    Misroutes {
        /// The client, as in the field `client`.
        client: &'static str,
    },
}

/// The verdict that a story deserves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Expect {
    /// The release is healthy and there is enough traffic to say so.
    Pass,
    /// The release is worse.
    Fail,
    /// Nothing is worse, but the canary behaves differently: a person must look before it may pass.
    Changed,
    /// The comparison itself is broken.
    Invalid,
}

/// Minutes before each rollout.
const LEAD_MINUTES: u32 = 5;

/// The stories of the demo, in the order in which they are best told.
pub fn stories() -> Vec<Story> {
    // All stories lie around 08:00, where the rising morning passes the mean of the day. A few minutes of baseline alone
    // tell which version is the old one, as in any log that begins before the rollout.
    let eight = days_from_civil(2026, 6, 1) * DAY + 8 * 60 * MINUTE;
    let start = |minutes: i64| Timestamp(eight - (minutes + i64::from(LEAD_MINUTES)) * MINUTE);
    let healthy = Story {
        name: "healthy",
        title: "A healthy release: the canary does what the baseline does.",
        service: "checkout",
        version: "2.4.0",
        canary_version: "2.5.0",
        start: start(120),
        minutes: 240 + LEAD_MINUTES,
        lead_minutes: LEAD_MINUTES,
        requests_per_minute: 3_000.0,
        users: 60_000,
        canary_share: 0.5,
        ramp: &[],
        declared_share: Some(0.5),
        error_rate: 0.005,
        traced_share: 0.1,
        spans: 1,
        effect: Effect::None,
        onset_minutes: 0,
        expect: Expect::Pass,
    };
    vec![
        healthy,
        Story {
            name: "few-users-broken",
            title: "Nearly 6 % of the canary's users fail on most of their checkouts. They come rarely, so the error rate hardly moves.",
            start: start(60),
            minutes: 120 + LEAD_MINUTES,
            requests_per_minute: 6_000.0,
            canary_share: 0.2,
            declared_share: Some(0.2),
            effect: Effect::BreaksUsers { share: 0.06, spared: 4_000, error_rate: 0.9 },
            expect: Expect::Fail,
            ..healthy
        },
        Story {
            name: "slow-tail",
            title: "5 % of the canary's requests take three times as long, and the median stays where it was.",
            start: start(60),
            minutes: 120 + LEAD_MINUTES,
            declared_share: None,
            effect: Effect::SlowsTail { share: 0.05, factor: 3.0 },
            expect: Expect::Fail,
            ..healthy
        },
        Story {
            name: "faster-but-broken",
            title: "The canary answers 40 % faster without one more error, because it no longer reserves the stock.",
            start: start(30),
            minutes: 60 + LEAD_MINUTES,
            // Traces make this log long, so traffic is thin; one client that retries must not stand out all the same.
            requests_per_minute: 1_200.0,
            users: 20_000,
            error_rate: 0.001,
            traced_share: 1.0,
            spans: 12,
            effect: Effect::ReturnsEarly { latency_factor: 0.6, spans: 6, without: "inventory" },
            expect: Expect::Changed,
            ..healthy
        },
        Story {
            name: "broken-assignment",
            title: "A router bug sends every Android user to the canary: 58 % of users instead of the declared 50 %.",
            start: start(30),
            minutes: 60 + LEAD_MINUTES,
            effect: Effect::Misroutes { client: "android" },
            expect: Expect::Invalid,
            ..healthy
        },
    ]
}
