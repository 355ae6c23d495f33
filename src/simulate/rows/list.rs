//! The rows themselves, part by part.

mod ramps;
mod stress;

use super::{Event, Line, Measure, Row, Target};
use crate::compare::verdict::{Cell, Verdict};
use crate::engine::policy::Policy;
use crate::simulate::run::{ERRORS, Plan, STOPS, SUM, Stop};
use crate::simulate::traffic::{Course, Effect, Logging, Routing, Share, Traffic};
use crate::words::grouped;

const FALSE_ALARMS: &str = "False alarms: nothing has changed";
const FALSE_PASS: &str = "False PASS: the truth is exactly at the margin";
const DELAY: &str = "Delay: something is worse";
const PASS: &str = "PASS: a healthy canary at the last step";
const STRESS: &str = "Under stress: what is the honest thing to say?";
const LINES: &str = "Log lines: what is new is found, and nothing else";
/// Part that is shown as one table.
pub const DECIDED: &str = "Share decided: 50 % share, within 5, 30 and 120 minutes";

/// Levels by their index.
const E20: usize = 0;
const E100: usize = 1;
const E1000: usize = 2;
const E10000: usize = 3;

/// Names of the rules of others, with what they are in words.
const RIVALS: [&str; 6] = [
    "Flagger",
    "Kayenta",
    "z-test each minute",
    "mSPRT on requests",
    "GrowthBook formula on requests",
    "Lindon-Malek on errors",
];

const LATENCY_RIVALS: [&str; 2] = ["Flagger, latency", "Kayenta, latency and errors"];

fn line(text: impl Into<String>, measure: Measure, target: Target) -> Line {
    Line { text: text.into(), measure, target, rival: false }
}

fn rivals(names: &[&'static str], measure: impl Fn(Event) -> Measure) -> Vec<Line> {
    let of = |name: &&'static str| Line {
        text: (*name).to_owned(),
        measure: measure(Event::Rival(name)),
        target: Target::None,
        rival: true,
    };
    names.iter().map(of).collect()
}

fn at_most(share: f64) -> Target {
    Target::ShareAtMost(share, 1.0)
}

fn plan(traffic: Traffic, minutes: u32) -> Plan {
    Plan {
        traffic,
        minutes,
        history: 0,
        stop: Stop::AtTheEnd,
        policy: Policy::default(),
        rivals: false,
        intervals: false,
        truth: None,
        oracle: false,
    }
}

fn with_rivals(traffic: Traffic, minutes: u32) -> Plan {
    Plan { rivals: true, ..plan(traffic, minutes) }
}

fn false_fail() -> Line {
    line("whole rollout FAILs (alpha .01)", Measure::Share(Event::Said(Verdict::Fail)), at_most(0.01))
}

fn called_invalid(target: Target) -> Line {
    line("called invalid", Measure::Share(Event::Said(Verdict::Invalid)), target)
}

fn never_passes() -> Line {
    line("whole rollout PASSes", Measure::Share(Event::Said(Verdict::Pass)), at_most(0.0))
}

fn ends(verdict: Verdict, target: Target) -> Line {
    line(format!("ends as {}", verdict.name()), Measure::Share(Event::Ended(verdict)), target)
}

/// Every row, in the order in which they are shown.
pub fn rows() -> Vec<Row> {
    let mut rows = false_alarms();
    rows.extend(false_pass());
    rows.extend(delays());
    rows.extend(passes());
    rows.extend(ramps::rows());
    rows.extend(stress::rows());
    rows.extend(decided());
    rows.extend(log_lines());
    rows
}

/// Log lines by template: 1,000 kinds of them, two lines a request.
fn log_lines() -> Vec<Row> {
    let base = Traffic { logging: Logging::Lines(1_000), ..Traffic::A2 };
    let new = Traffic { effect: Effect::NewLine(0.02), ..base };
    let units = |text: &str, what, part, target| line(text, Measure::Units(what, part), target);
    let share = |text: &str, what, target| line(text, Measure::Share(Event::Lines(what)), target);
    vec![
        Row {
            name: "template-aa",
            part: LINES,
            title: "1,000 templates, 5 % share, 100 looks, nothing changed".to_owned(),
            runs: 2_000,
            plans: vec![plan(base, 100)],
            lines: vec![
                share("a line is listed as new or more often", "false", at_most(0.01)),
                share("any line is listed", "any", Target::None),
                false_fail(),
                line("a behaviour is called changed", Measure::Share(Event::HeldBack), at_most(0.01)),
            ],
        },
        Row {
            name: "template-new",
            part: LINES,
            title: "a new error line on 2 % of canary requests, 5 % share, among 1,000 templates".to_owned(),
            runs: 400,
            plans: vec![plan(new, 360)],
            lines: vec![
                units("distinct canary units when it is listed: 50 % of runs", "listed", 0.5, Target::Units(6.0)),
                units("distinct canary units when it is listed: 80 % of runs", "listed", 0.8, Target::None),
                units("distinct canary units when it FAILs: 50 % of runs", "failed", 0.5, Target::Units(6.0)),
                units("distinct canary units when it FAILs: 80 % of runs", "failed", 0.8, Target::None),
                line("whole rollout FAILs: 50 % of runs", Measure::Time(Event::Said(Verdict::Fail), 0.5), Target::None),
                line("whole rollout FAILs: 80 % of runs", Measure::Time(Event::Said(Verdict::Fail), 0.8), Target::None),
                share("another line is listed as new or more often", "false", at_most(0.01)),
            ],
        },
    ]
}

fn false_alarms() -> Vec<Row> {
    let errors = || {
        vec![
            line("error guardrail, alpha .05", Measure::Share(Event::Reached(ERRORS, E20)), at_most(0.05)),
            line("error guardrail, alpha .01", Measure::Share(Event::Reached(ERRORS, E100)), at_most(0.01)),
            false_fail(),
        ]
    };
    let taken_back = |names: &[&'static str]| rivals(names, Measure::Share);
    let mut rows = Vec::new();
    for (name, title, traffic) in [
        ("aa-a0", "A0, independent requests", Traffic::A0),
        ("aa-a1", "A1, sticky users", Traffic::A1),
        ("aa-a3", "A3, sticky users' traffic with each request dealt anew", Traffic::A3),
    ] {
        let mut lines = errors();
        lines.extend(taken_back(&RIVALS));
        let plans = vec![with_rivals(traffic, 10_000)];
        let title = format!("{title}; 10,000 looks");
        rows.push(Row { name, part: FALSE_ALARMS, title, runs: 2_000, plans, lines });
    }
    rows.insert(2, whole_budget(errors(), taken_back));
    for (name, title, share, course) in [
        ("ramp-drift", "undeclared 1-5-25-50 % while errors drift from .3 to .7 %", Share::Steps, Course::Drift),
        ("ramp-incidents", "the same, with incidents at the steps", Share::Steps, Course::DriftWithIncidents),
        ("ramp-creeping", "a share that creeps from 1 to 50 % in a day", Share::Creeping, Course::Drift),
    ] {
        let mut lines = errors();
        lines.push(called_invalid(Target::None));
        lines.extend(taken_back(&RIVALS));
        let plans = vec![with_rivals(Traffic { share, course, ..Traffic::A2 }, 1_440)];
        rows.push(Row { name, part: FALSE_ALARMS, title: title.to_owned(), runs: 400, plans, lines });
    }
    let traffic = Traffic { share: Share::Constant(0.9), ..Traffic::A2 };
    let mut lines =
        vec![line("error volume (T2), alpha .05", Measure::Share(Event::Reached("error_volume", E20)), at_most(0.05))];
    lines.extend(errors());
    rows.push(Row {
        name: "share-90",
        part: FALSE_ALARMS,
        title: "90 % share, retry loops; 10,000 looks".to_owned(),
        runs: 400,
        plans: vec![plan(traffic, 10_000)],
        lines,
    });
    rows.push(unit_rule());
    let traffic = Traffic { logging: Logging::Routes(40), share: Share::Constant(0.5), ..Traffic::A2 };
    rows.push(Row {
        name: "changed",
        part: FALSE_ALARMS,
        title: "40 routes and 4xx answers, sticky users, 50 % share; 10,000 looks".to_owned(),
        runs: 400,
        plans: vec![plan(traffic, 10_000)],
        lines: vec![
            line("a behaviour is called changed", Measure::Share(Event::HeldBack), at_most(0.01)),
            false_fail(),
        ],
    });
    rows
}

/// The whole error budget, end to end, and all that can be read off the same runs.
fn whole_budget(mut lines: Vec<Line>, taken_back: impl Fn(&[&'static str]) -> Vec<Line>) -> Row {
    lines.retain(|line| line.measure != Measure::Share(Event::Said(Verdict::Fail)));
    let sum = |level| Measure::Share(Event::Reached(SUM, level));
    lines.push(line("whole rollout, alpha .05", sum(E20), at_most(0.05)));
    lines.push(line("whole rollout FAILs (alpha .01)", sum(E100), Target::ShareAtMost(0.01, 0.01)));
    lines.push(line("whole rollout, S >= 1,000 (automatic rollback)", sum(E1000), at_most(0.0)));
    lines.push(line("whole rollout, S >= 10,000", sum(E10000), at_most(0.0)));
    for cell in [
        Cell::LatencyMean,
        Cell::LatencyP50,
        Cell::LatencyP90,
        Cell::LatencyP99,
        Cell::LatencyP99Units,
        Cell::ErrorUnits8,
        Cell::ErrorUnits64,
    ] {
        let event = Event::Reached(cell.name(), E20);
        lines.push(line(format!("{}, alpha .05", cell.name()), Measure::Share(event), at_most(0.05)));
    }
    for cell in [
        Cell::ErrorUnits,
        Cell::ErrorVolume,
        Cell::LatencyMean,
        Cell::LatencyP50,
        Cell::LatencyP90,
        Cell::LatencyP99,
        Cell::LatencyP99Units,
    ] {
        let text = format!("95 % interval of {} ever leaves out the truth", cell.name());
        lines.push(line(text, Measure::Share(Event::Outside(cell)), at_most(0.05)));
    }
    lines.push(line("a behaviour is called changed", Measure::Share(Event::HeldBack), at_most(0.01)));
    lines.push(called_invalid(at_most(0.0)));
    for (stop, minutes) in STOPS.into_iter().enumerate() {
        lines.push(line(format!("mean of S after {minutes} min"), Measure::MeanE(SUM, stop), Target::MeanOne));
        lines.push(line(
            format!("mean of the error guardrail's e after {minutes} min"),
            Measure::MeanE(ERRORS, stop),
            Target::MeanOne,
        ));
    }
    lines.extend(taken_back(&RIVALS));
    lines.extend(taken_back(&LATENCY_RIVALS));
    let traffic = Traffic { latency: true, ..Traffic::A2 };
    Row {
        name: "aa-a2",
        part: FALSE_ALARMS,
        title: "A2, sticky users with retry loops, errors and latency: the whole budget; 10,000 looks".to_owned(),
        runs: 3_000,
        plans: vec![Plan { intervals: true, ..with_rivals(traffic, 10_000) }],
        lines,
    }
}

/// Shares of .5, 1, 5 and 50 %, four ways to route: 16 kinds of traffic, dealt over the seeds.
fn unit_rule() -> Row {
    let mut plans = Vec::new();
    for share in [0.005, 0.01, 0.05, 0.5] {
        for routing in [Routing::Roaming(0.01), Routing::Swapping(0.01), Routing::PerRequest, Routing::Roaming(0.5)] {
            let traffic = Traffic {
                users: 200_000,
                per_minute: 4_000.0,
                daily: false,
                share: Share::Constant(share),
                routing,
                ..Traffic::A0
            };
            plans.push(Plan { stop: Stop::Routed, ..plan(traffic, 240) });
        }
    }
    Row {
        name: "unit-rule",
        part: FALSE_ALARMS,
        title: "unit rule: shares of .5, 1, 5, 50 %; users sticky (1 % dealt anew), sticky (1 % swap), per request, half of them sticky".to_owned(),
        runs: 4_800,
        plans,
        lines: vec![
            line("routing decided wrongly", Measure::Share(Event::Misrouted), at_most(0.0)),
            line("routing not decided in 4 hours", Measure::Share(Event::Unrouted), Target::None),
        ],
    }
}

fn false_pass() -> Vec<Row> {
    let nominal = Target::ShareAtMost(0.05, 0.08);
    let held = |cell: Cell| line(format!("{} held", cell.name()), Measure::Share(Event::Passed(cell)), nominal);
    let whole = || line("whole rollout PASSes", Measure::Share(Event::Said(Verdict::Pass)), nominal);
    let errors = Traffic { effect: Effect::ErrorsTimes(1.5), latency: true, ..Traffic::A2 };
    let busy = Traffic { users: 300_000, per_minute: 3_000.0, ..errors };
    let latency = |share: f64, above: f64| Traffic {
        per_minute: 3_000.0,
        share: Share::Constant(0.5),
        latency: true,
        // Of the requests that are not above it anyway.
        effect: Effect::VerySlow(share / (1.0 - above)),
        ..Traffic::A2
    };
    [
        (
            "margin-errors",
            "errors of each canary user x 1.5, 200 a minute, 5 %, a week",
            errors,
            10_000,
            Cell::ErrorUnits,
        ),
        ("margin-errors-busy", "the same, 300,000 users, 3,000 a minute, 10 h", busy, 600, Cell::ErrorUnits),
        (
            "margin-p90",
            "2 % more canary requests above p90, 3,000 a minute, 50 %, 6 h",
            latency(0.02, 0.1),
            360,
            Cell::LatencyP90,
        ),
        (
            "margin-p99",
            ".5 % more canary requests above p99, 3,000 a minute, 50 %, 6 h",
            latency(0.005, 0.01),
            360,
            Cell::LatencyP99,
        ),
    ]
    .into_iter()
    .map(|(name, title, traffic, minutes, cell)| Row {
        name,
        part: FALSE_PASS,
        title: title.to_owned(),
        runs: 400,
        plans: vec![plan(traffic, minutes)],
        lines: vec![held(cell), whole()],
    })
    .collect()
}

fn delays() -> Vec<Row> {
    let base = Traffic { latency: true, ..Traffic::A2 };
    let with_oracle = |traffic, minutes| Plan { oracle: true, ..with_rivals(traffic, minutes) };
    let mut rows = vec![
        Row {
            name: "delay-null",
            part: DELAY,
            title: "without an effect, errors .5 %: what the oracle calls usual".to_owned(),
            runs: 400,
            plans: vec![with_oracle(base, 2_000)],
            lines: vec![false_fail()],
        },
        Row {
            name: "delay-null-1",
            part: DELAY,
            title: "without an effect, errors 1 %: what the oracle calls usual".to_owned(),
            runs: 400,
            plans: vec![with_oracle(Traffic { error_rate: 0.01, ..base }, 600)],
            lines: vec![false_fail()],
        },
    ];
    let one_to_three = Traffic { error_rate: 0.01, effect: Effect::Errors(0.02), ..base };
    for (name, title, traffic, minutes, null) in [
        ("delay-05-1", "errors .5 -> 1 %", Traffic { effect: Effect::Errors(0.005), ..base }, 2_000, "delay-null"),
        ("delay-1-3", "errors 1 -> 3 %", one_to_three, 600, "delay-null-1"),
        (
            "delay-users",
            "8 % of users broken",
            Traffic { effect: Effect::UsersBroken(0.08), ..base },
            300,
            "delay-null",
        ),
    ] {
        let (guardrail, whole_05, fail) =
            (Event::Reached(ERRORS, E20), Event::Reached(SUM, E20), Event::Said(Verdict::Fail));
        let mut lines = vec![
            line("error guardrail, alpha .05 / oracle, 80 %", Measure::Oracle(guardrail, null), Target::Times(1.6)),
            line("whole rollout, alpha .05 / oracle, 80 %", Measure::Oracle(whole_05, null), Target::Times(1.8)),
            line("whole rollout FAILs (alpha .01) / oracle, 80 %", Measure::Oracle(fail, null), Target::Times(2.2)),
        ];
        for (text, event) in [
            ("error guardrail, alpha .05", guardrail),
            ("whole rollout, alpha .05", whole_05),
            ("whole rollout FAILs (alpha .01)", fail),
            ("whole rollout, S >= 1,000 (automatic rollback)", Event::Reached(SUM, E1000)),
            ("whole rollout, S >= 10,000", Event::Reached(SUM, E10000)),
        ] {
            for share in [0.5, 0.8] {
                lines.push(line(
                    format!("{text}: {:.0} % of runs", share * 100.0),
                    Measure::Time(event, share),
                    Target::None,
                ));
            }
        }
        lines.push(never_passes());
        lines.extend(rivals(&RIVALS, |event| Measure::Time(event, 0.8)));
        let title = format!("{title}: 200 requests a minute, 5 % share");
        rows.push(Row { name, part: DELAY, title, runs: 200, plans: vec![with_oracle(traffic, minutes)], lines });
    }
    let frail = Traffic { effect: Effect::FrailTimes(5.0), ..base };
    rows.push(Row {
        name: "delay-frail",
        part: DELAY,
        title: "users that fail three times as often as the mean fail five times as often again, others as before"
            .to_owned(),
        runs: 200,
        plans: vec![plan(frail, 4_000)],
        lines: [
            ("users with an error, alpha .05", Event::Reached("error_units", E20)),
            ("users with 8 errors and more, alpha .05", Event::Reached("error_units_8", E20)),
            ("users with 64 errors and more, alpha .05", Event::Reached("error_units_64", E20)),
            ("whole rollout FAILs (alpha .01)", Event::Said(Verdict::Fail)),
        ]
        .into_iter()
        .map(|(text, event)| line(format!("{text}: 80 % of runs"), Measure::Time(event, 0.8), Target::None))
        .collect(),
    });
    let late = Traffic { effect: Effect::Errors(0.005), onset: 5_000, ..Traffic::A0 };
    rows.push(Row {
        name: "late-onset",
        part: DELAY,
        title: "errors .5 -> 1 % after 3.5 quiet days, independent requests; minutes after the onset".to_owned(),
        runs: 200,
        plans: vec![plan(late, 9_000)],
        lines: vec![
            line(
                "erring units (T1), alpha .01: 50 % of runs",
                Measure::Time(Event::Reached("error_units", E100), 0.5),
                Target::Minutes(800.0),
            ),
            line(
                "whole rollout FAILs (alpha .01): 50 % of runs",
                Measure::Time(Event::Said(Verdict::Fail), 0.5),
                Target::None,
            ),
            line(
                "whole rollout FAILs (alpha .01): 80 % of runs",
                Measure::Time(Event::Said(Verdict::Fail), 0.8),
                Target::None,
            ),
        ],
    });
    let with_latency = Traffic { latency: true, ..Traffic::A1 };
    let slower = Traffic { effect: Effect::Slower(1.05), ..with_latency };
    let within = |share| Measure::Time(Event::Said(Verdict::Fail), share);
    let e20 = |share| Measure::Time(Event::Reached(SUM, E20), share);
    rows.push(Row {
        name: "delay-latency",
        part: DELAY,
        title: "latency +5 % after a day of the old version alone; sticky users".to_owned(),
        runs: 200,
        plans: vec![Plan { history: 1_440, ..plan(slower, 4_000) }],
        lines: vec![
            line("whole rollout, alpha .05: 50 % of runs", e20(0.5), Target::None),
            line("whole rollout, alpha .05: 80 % of runs", e20(0.8), Target::Minutes(1_000.0)),
            line("whole rollout FAILs (alpha .01): 50 % of runs", within(0.5), Target::None),
            line("whole rollout FAILs (alpha .01): 80 % of runs", within(0.8), Target::Minutes(1_800.0)),
        ],
    });
    rows.extend(segments());
    rows.push(Row {
        name: "aa-latency-history",
        part: FALSE_ALARMS,
        title: "nothing has changed; latency with a day of history, sticky users".to_owned(),
        runs: 1_000,
        plans: vec![Plan { history: 1_440, ..plan(with_latency, 4_000) }],
        lines: vec![
            line("whole rollout, alpha .05", Measure::Share(Event::Reached(SUM, E20)), at_most(0.05)),
            false_fail(),
        ],
    });
    rows
}

/// Fifty segments, errors and latency of each, among all else.
fn segments() -> [Row; 2] {
    let policy = Policy { segments: vec!["segment".to_owned()], ..Policy::default() };
    let healthy = Traffic { latency: true, segments: true, ..Traffic::A2 };
    let broken = Traffic { effect: Effect::SegmentErrorsTimes(10.0), ..healthy };
    let times = |text: &str, event| {
        [0.5, 0.8].map(|share| {
            line(format!("{text}: {:.0} % of runs", share * 100.0), Measure::Time(event, share), Target::None)
        })
    };
    let (e20, fails) = (Event::Reached(SUM, E20), Event::Said(Verdict::Fail));
    let found = [
        line("whole rollout, alpha .05: found", Measure::Share(e20), Target::None),
        line("whole rollout FAILs (alpha .01): found", Measure::Share(fails), Target::None),
    ];
    let delays =
        times("whole rollout, alpha .05", e20).into_iter().chain(times("whole rollout FAILs (alpha .01)", fails));
    [
        Row {
            name: "delay-segment",
            part: DELAY,
            title: "one of 50 segments, 5 % of users, with ten times the errors: 200 requests a minute, 5 % share, 4,000 minutes"
                .to_owned(),
            runs: 80,
            plans: vec![Plan { policy: policy.clone(), ..plan(broken, 4_000) }],
            lines: delays.chain(found).collect(),
        },
        Row {
            name: "aa-segments",
            part: FALSE_ALARMS,
            title: "nothing has changed; 50 segments, sticky users with retry loops".to_owned(),
            runs: 450,
            plans: vec![Plan { policy, ..plan(healthy, 10_000) }],
            lines: vec![line("whole rollout, alpha .05", Measure::Share(e20), at_most(0.05)), false_fail()],
        },
    ]
}

fn passes() -> Vec<Row> {
    [
        ("pass-200", 200.0, 20_000, 2_800, 1_400.0, 100),
        ("pass-3000", 3_000.0, 300_000, 600, 180.0, 100),
        ("pass-50000", 50_000.0, 2_000_000, 60, 10.0, 40),
    ]
    .into_iter()
    .map(|(name, per_minute, users, minutes, target, runs)| {
        let traffic = Traffic { per_minute, users, share: Share::Constant(0.5), latency: true, ..Traffic::A2 };
        let pass = Event::Said(Verdict::Pass);
        let mut lines = vec![
            line("verdict PASS: 80 % of runs", Measure::Time(pass, 0.8), Target::Minutes(target)),
            line("verdict PASS: 50 % of runs", Measure::Time(pass, 0.5), Target::None),
        ];
        for cell in [Cell::ErrorUnits, Cell::ErrorVolume, Cell::LatencyP90, Cell::LatencyP99] {
            let text = format!("{} held: 80 % of runs", cell.name());
            lines.push(line(text, Measure::Time(Event::Passed(cell), 0.8), Target::None));
        }
        lines.push(false_fail());
        Row {
            name,
            part: PASS,
            title: format!(
                "{} requests a minute, {} users, 50 % share",
                grouped(per_minute as u64),
                grouped(u64::from(users))
            ),
            runs,
            plans: vec![Plan { stop: Stop::Decided, ..plan(traffic, minutes) }],
            lines,
        }
    })
    .collect()
}

fn decided() -> Vec<Row> {
    const NAMES: [[&str; 4]; 5] = [
        ["decided-healthy-60", "decided-healthy-600", "decided-healthy-6000", "decided-healthy-60000"],
        ["decided-05-1-60", "decided-05-1-600", "decided-05-1-6000", "decided-05-1-60000"],
        ["decided-1-3-60", "decided-1-3-600", "decided-1-3-6000", "decided-1-3-60000"],
        ["decided-users-60", "decided-users-600", "decided-users-6000", "decided-users-60000"],
        ["decided-latency-60", "decided-latency-600", "decided-latency-6000", "decided-latency-60000"],
    ];
    let kinds = [
        ("healthy", 0.005, Effect::None),
        ("errors .5 -> 1 %", 0.005, Effect::Errors(0.005)),
        ("errors 1 -> 3 %", 0.01, Effect::Errors(0.02)),
        ("8 % of users broken", 0.005, Effect::UsersBroken(0.08)),
        ("latency +20 %", 0.005, Effect::Slower(1.2)),
    ];
    let rates = [(60.0, 20_000, 200), (600.0, 120_000, 200), (6_000.0, 1_000_000, 60), (60_000.0, 1_000_000, 40)];
    let mut rows = Vec::new();
    for (names, (title, error_rate, effect)) in NAMES.into_iter().zip(kinds) {
        for (name, (rate, users, runs)) in names.into_iter().zip(rates) {
            let traffic = Traffic {
                users,
                per_minute: 2.0 * rate,
                daily: false,
                share: Share::Constant(0.5),
                error_rate,
                course: Course::Flat,
                latency: true,
                effect,
                ..Traffic::A2
            };
            let (right, wrong) =
                if effect == Effect::None { (Verdict::Pass, Verdict::Fail) } else { (Verdict::Fail, Verdict::Pass) };
            let within = |minutes| {
                let text = format!("{} within {minutes} min", right.name());
                line(text, Measure::Within(Event::Said(right), minutes), Target::None)
            };
            let mut lines = vec![within(5), within(30), within(120)];
            lines.push(line(format!("{}, wrongly", wrong.name()), Measure::Share(Event::Said(wrong)), at_most(0.05)));
            rows.push(Row {
                name,
                part: DECIDED,
                title: format!("{title}, {} canary requests a minute", grouped(rate as u64)),
                runs,
                plans: vec![Plan { stop: Stop::Decided, ..plan(traffic, 120) }],
                lines,
            });
        }
    }
    rows
}
