//! Sampled logs: a rate that depends on what a request is does no harm, one that depends on the arm does.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use std::fmt::Write as _;

use common::{Random, START, folder_with, serin};
use serde_json::Value;
use serin::compare::verdict::{Flaw, Verdict};
use serin::engine::sampling::Sampling;
use serin::event::{self, Event, FieldForm, Kind, Level, NO_NAME, WEIGHT_ONE};
use serin::sketch::weights::WeightTable;
use serin::time::{MINUTE, SECOND, Timestamp};

/// A request before it is sampled.
struct Request {
    canary: bool,
    route: &'static str,
    failed: bool,
    latency_us: u64,
}

/// One line in how many is kept.
type Sampler = fn(&Request) -> u32;

struct World {
    share: f64,
    users: u64,
    /// Requests of both arms before sampling.
    requests: u64,
    /// Error rate of (control, canary).
    errors: [f64; 2],
    /// Factor on latency of the canary.
    slower: f64,
    /// Health checks come from a few addresses, as those of load balancers do.
    probes: u64,
}

const HEALTHY: World = World { share: 0.5, users: 5_000, requests: 40_000, errors: [0.02; 2], slower: 1.0, probes: 3 };

impl World {
    /// The sums of a seed, by windows of 10 seconds over an hour.
    fn run(&self, seed: u64, sampler: Sampler) -> Sampling {
        let mut random = Random::new(seed);
        let mut sampling = Sampling::default();
        for window in 0..360 {
            let mut tables: [WeightTable; 2] = Default::default();
            for _ in 0..self.requests / 360 {
                let is_probe = random.chance(0.3);
                // A few users make most requests.
                let unit = if is_probe {
                    1 + random.below(self.probes)
                } else {
                    1_000 + (random.unit().powi(4) * self.users as f64) as u64
                };
                let canary = (event::mix(event::mix(unit, 9), seed) as f64 / u64::MAX as f64) < self.share;
                let slower = if canary { self.slower } else { 1.0 };
                let request = Request {
                    canary,
                    route: if is_probe { "/health" } else { ["/cart", "/pay", "/search"][random.below(3) as usize] },
                    failed: !is_probe && random.chance(self.errors[usize::from(canary)]),
                    latency_us: ((5_000.0 + 95_000.0 * random.unit().powi(3)) * slower) as u64,
                };
                let times = sampler(&request);
                if !random.chance(1.0 / f64::from(times)) {
                    continue;
                }
                tables[usize::from(canary)].add(&Event {
                    time: Timestamp(START),
                    offset: 0,
                    unit: event::mix(event::mix(unit, 3), seed),
                    trace: 0,
                    request: 0,
                    call: 0,
                    latency_us: request.latency_us,
                    service: 0,
                    arm: u16::from(canary),
                    route: NO_NAME,
                    instance: NO_NAME,
                    weight: times * WEIGHT_ONE,
                    latency_form: FieldForm::Number,
                    status_form: FieldForm::Number,
                    sampling: event::sampling_group(Some(request.route)),
                    rate_unread: false,
                    conversion: 0,
                    metrics: serin::event::NO_METRICS,
                    segments: event::NO_SEGMENTS,
                    kind: Kind::Request,
                    level: Level::Info,
                    status_class: if request.failed { 5 } else { 2 },
                    error: request.failed,
                    template: serin::event::NO_TEMPLATE,
                });
            }
            tables.iter_mut().for_each(WeightTable::settle);
            let start = START + window * 10 * SECOND;
            sampling.close_window(&tables, Timestamp(start), Timestamp(start + 10 * SECOND));
        }
        sampling
    }
}

/// [flaw by arm, flaw by outcome between arms, failures thinned in both].
fn said(sampling: &Sampling) -> [bool; 3] {
    [sampling.differs_by_arm(), sampling.outcome_differs_by_arm(), sampling.failures_are_thinned()]
}

/// Samplers that both arms share. The last two are what tail samplers do.
const ALIKE: [(&str, Sampler); 4] = [
    ("health checks", |request| if request.route == "/health" { 10 } else { 1 }),
    ("routes", |request| match request.route {
        "/health" => 100,
        "/search" => 4,
        _ => 1,
    }),
    ("failures in full", |request| if request.failed { 1 } else { 10 }),
    ("failures and what is slow in full", |request| if request.failed || request.latency_us > 50_000 { 1 } else { 10 }),
];

#[test]
fn a_sampler_that_both_arms_share_is_no_flaw() {
    for (name, sampler) in ALIKE {
        for (share, users, probes) in [(0.05, 60, 1), (0.05, 20_000, 3), (0.5, 60, 1), (0.5, 20_000, 3)] {
            let world = World { share, users, probes, requests: 12_000, ..HEALTHY };
            let flawed: Vec<u64> = (0..200).filter(|seed| said(&world.run(*seed, sampler)) != [false; 3]).collect();
            assert_eq!(flawed, Vec::<u64>::new(), "{name}, {share} of {users} users");
        }
    }
}

/// The same where the canary is worse: that must not be hidden behind a flaw.
#[test]
fn a_canary_that_is_worse_is_no_flaw_of_sampling() {
    for (name, sampler) in ALIKE {
        for (errors, slower) in [([0.02, 0.2], 1.0), ([0.02, 0.02], 1.3), ([0.02, 0.2], 2.0)] {
            let world = World { errors, slower, ..HEALTHY };
            for seed in 0..20 {
                assert_eq!(said(&world.run(seed, sampler)), [false; 3], "{name}, {errors:?}, {slower}, seed {seed}");
            }
        }
    }
}

#[test]
fn other_rates_in_one_arm_are_found() {
    let by_arm: [Sampler; 3] = [
        |request| if request.canary { 1 } else { 10 },
        |request| if request.canary { 4 } else { 3 },
        // On one route alone.
        |request| if request.canary && request.route == "/pay" { 10 } else { 1 },
    ];
    for (number, sampler) in by_arm.into_iter().enumerate() {
        for share in [0.05, 0.5] {
            for seed in 0..20 {
                let world = World { share, requests: 120_000, ..HEALTHY };
                let [arm, ..] = said(&world.run(seed, sampler));
                assert!(arm, "sampler {number}, share {share}, seed {seed}");
            }
        }
    }
    // The canary's failures are written in full, of all others one in ten.
    for seed in 0..20 {
        let world = World { errors: [0.05; 2], requests: 120_000, ..HEALTHY };
        let of_failures = world.run(seed, |request| if request.canary && request.failed { 1 } else { 10 });
        assert_eq!(said(&of_failures)[..2], [false, true], "seed {seed}");
        let of_successes = world.run(seed, |request| if request.canary && !request.failed { 10 } else { 1 });
        assert_eq!(said(&of_successes)[..2], [true, true], "seed {seed}");
    }
}

/// Margins are absolute: where failures are thinned more than others, too much would be within them.
#[test]
fn failures_that_are_thinned_in_both_arms_are_found() {
    for seed in 0..20 {
        let world = World { errors: [0.1; 2], requests: 60_000, ..HEALTHY };
        let thinned = world.run(seed, |request| if request.failed { 5 } else { 1 });
        assert_eq!(said(&thinned), [false, false, true], "seed {seed}");
    }
}

/// Lines of a log; `rate`: what a line says of (canary, failed, health check), and one line in how many is kept.
fn log(seed: u64, errors: [f64; 2], rate: fn(bool, bool, bool) -> (Option<u32>, u32)) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut out = String::new();
    for number in 0..30_000 {
        let at = START + number * 60 * MINUTE / 30_000;
        let health = random.chance(0.3);
        let user = if health { random.below(2) } else { 10 + random.below(2_000) };
        let canary = event::mix(user, seed + 3).is_multiple_of(2);
        let failed = !health && random.chance(errors[usize::from(canary)]);
        let (says, times) = rate(canary, failed, health);
        if !random.chance(1.0 / f64::from(times)) {
            continue;
        }
        let says = says.map_or(String::new(), |times| format!(",\"sample_rate\":{times}"));
        writeln!(
            out,
            "{{\"ts\":\"{}\",\"service\":\"shop\",\"cohort\":\"{}\",\"user\":\"u{user}\",\"route\":\"{}\",\"status\":{},\"latency_ms\":{:.2}{says}}}",
            Timestamp(at),
            if canary { "canary" } else { "baseline" },
            if health { "/health" } else { "/pay" },
            if failed { 500 } else { 200 },
            10.0 + 90.0 * random.unit(),
        )
        .unwrap();
    }
    out.into_bytes()
}

fn judged(bytes: &[u8]) -> (Value, Vec<String>, String) {
    let folder = folder_with(&[("app.log", bytes)]);
    let report = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
    let text = serin(folder.path(), &["compare", "app.log"]).out;
    let comparison = &report["comparisons"][0];
    let flaws = comparison["flaws"].as_array().unwrap();
    (comparison["verdict"].clone(), flaws.iter().map(|flaw| flaw.as_str().unwrap().to_owned()).collect(), text)
}

#[test]
fn what_the_program_says_of_sampled_logs() {
    // Healthy, and health checks are sampled.
    let (verdict, flaws, text) =
        judged(&log(1, [0.02; 2], |_, _, health| if health { (Some(10), 10) } else { (None, 1) }));
    assert_ne!((verdict, flaws), (Verdict::Invalid.name().into(), vec![]), "{text}");
    // Failures in full, others one in ten, in both arms: said, and a broken canary fails.
    let tail = |_, failed, _| if failed { (Some(1), 1) } else { (Some(10), 10) };
    let (verdict, flaws, text) = judged(&log(2, [0.02, 0.1], tail));
    assert_eq!((verdict, flaws), (Verdict::Fail.name().into(), vec![]), "{text}");
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(text.contains("a failed request stands for 1.0, another for 10.0: rates are those of the lines"), "{text}");
    // The canary's failures in full, its others one in ten, and the lines do not say so: never a pass.
    let (verdict, _, text) =
        judged(&log(3, [0.02; 2], |canary, failed, _| (None, if canary && !failed { 10 } else { 1 })));
    assert_eq!(verdict, Verdict::Fail.name(), "{text}");
    // The same with rates.
    let rates = |canary: bool, failed: bool, _| match canary && !failed {
        true => (Some(10), 10),
        false => (Some(1), 1),
    };
    let (verdict, flaws, text) = judged(&log(3, [0.02; 2], rates));
    assert_eq!(verdict, Verdict::Invalid.name(), "{text}");
    assert!(flaws.contains(&Flaw::SamplingByArm.name().to_owned()), "{flaws:?}");
}
