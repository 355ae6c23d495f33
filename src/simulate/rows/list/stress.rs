//! Rows under stress: what is the honest thing to say?

use super::{
    E20, RIVALS, STRESS, at_most, called_invalid, ends, false_fail, line, never_passes, plan, rivals, with_rivals,
};
use crate::compare::verdict::Verdict;
use crate::engine::limits::Limits;
use crate::engine::policy::Policy;
use crate::simulate::rows::{Event, Measure, Row, Target};
use crate::simulate::run::Plan;
use crate::simulate::traffic::{Disturbance, Effect, Logging, Routing, Share, Traffic};
use crate::simulate::world::DISTURBED_FROM;

/// The rows of this part.
pub(super) fn rows() -> Vec<Row> {
    let base = Traffic { latency: true, ..Traffic::A2 };
    let broken = Traffic { error_rate: 0.01, effect: Effect::Errors(0.02), ..base };
    let declared = |traffic, minutes| Plan {
        policy: Policy { declared_share: Some(0.05), ..Policy::default() },
        ..plan(traffic, minutes)
    };
    let fails = |share| {
        line(
            format!("whole rollout FAILs: {:.0} % of runs", share * 100.0),
            Measure::Time(Event::Said(Verdict::Fail), share),
            Target::None,
        )
    };
    let invalid = || called_invalid(Target::None);
    let row = |name, title: &str, runs, plan: Plan, lines| Row {
        name,
        part: STRESS,
        title: title.to_owned(),
        runs,
        plans: vec![plan],
        lines,
    };
    let with = |disturbance, traffic: Traffic| Traffic { disturbance, ..traffic };
    let logged = |logging, traffic: Traffic| Traffic { logging, ..traffic };
    let routed = |routing, traffic: Traffic| Traffic { routing, ..traffic };
    let many = |users, per_minute, traffic: Traffic| Traffic { users, per_minute, ..traffic };
    vec![
        row(
            "pods",
            "pods with bad half hours (errors sd .7, latency sd .15), 2 of 40 in the canary, nothing changed",
            400,
            with_rivals(with(Disturbance::Pods, base), 1_440),
            {
                let mut lines = vec![false_fail()];
                lines.extend(rivals(&RIVALS, Measure::Share));
                lines
            },
        ),
        row(
            "pods-broken",
            "the same pods, errors 1 -> 3 %",
            200,
            plan(with(Disturbance::Pods, broken), 600),
            vec![fails(0.5), fails(0.8)],
        ),
        row(
            "users-500k",
            "500,000 users, 3,000 a minute, nothing changed",
            200,
            plan(many(500_000, 3_000.0, base), 1_440),
            vec![false_fail(), invalid()],
        ),
        row(
            "users-500k-broken",
            "500,000 users, 3,000 a minute, errors 1 -> 3 %",
            100,
            plan(many(500_000, 3_000.0, broken), 120),
            vec![fails(0.5), fails(0.8)],
        ),
        row(
            "users-5m",
            "5,000,000 users, 30,000 a minute, nothing changed",
            40,
            plan(many(5_000_000, 30_000.0, base), 120),
            vec![false_fail(), invalid()],
        ),
        row(
            "users-5m-broken",
            "5,000,000 users, 30,000 a minute, errors 1 -> 3 %",
            40,
            plan(many(5_000_000, 30_000.0, broken), 30),
            vec![fails(0.5), fails(0.8)],
        ),
        row(
            "crossover",
            "5 % of users dealt anew with each request, nothing changed",
            400,
            plan(routed(Routing::Roaming(0.05), base), 1_440),
            vec![false_fail(), invalid()],
        ),
        row(
            "crossover-broken",
            "5 % of users dealt anew with each request, errors 1 -> 3 %",
            200,
            plan(routed(Routing::Roaming(0.05), broken), 600),
            vec![fails(0.5), fails(0.8), invalid(), never_passes()],
        ),
        row(
            "proxy",
            "a proxy tries failed requests again on any arm, nothing changed",
            400,
            plan(logged(Logging::ProxyRetries, base), 1_440),
            vec![
                false_fail(),
                line("a behaviour is called changed", Measure::Share(Event::HeldBack), at_most(0.01)),
                invalid(),
            ],
        ),
        row(
            "proxy-broken",
            "a proxy tries failed requests again on any arm, errors 1 -> 20 %",
            200,
            plan(logged(Logging::ProxyRetries, Traffic { effect: Effect::Errors(0.2), ..broken }), 600),
            vec![
                fails(0.5),
                fails(0.8),
                line("a behaviour is called changed", Measure::Share(Event::HeldBack), Target::None),
                never_passes(),
            ],
        ),
        row(
            "sampling",
            "the shipper keeps one line in ten and says so, nothing changed",
            400,
            plan(logged(Logging::Sampled(0.1), many(20_000, 2_000.0, base)), 1_440),
            vec![false_fail(), invalid()],
        ),
        row(
            "sampling-errors",
            "the shipper keeps all errors and one other line in ten",
            200,
            plan(logged(Logging::ErrorsKept(0.1), many(20_000, 2_000.0, base)), 600),
            // Both arms are sampled alike, so equal arms stay equal: shown rates are too large, and nothing is broken.
            vec![false_fail(), invalid()],
        ),
        row(
            "sampling-by-arm",
            "the shipper keeps half of the canary's lines",
            200,
            plan(logged(Logging::CandidateSampled(0.5), many(20_000, 2_000.0, base)), 600),
            vec![false_fail(), ends(Verdict::Invalid, Target::ShareAtLeast(0.99)), never_passes()],
        ),
        row(
            "other-flag",
            "an unrelated flag makes half of all users fail five times as often",
            400,
            plan(with(Disturbance::OtherFlag, base), 1_440),
            vec![false_fail(), invalid()],
        ),
        row(
            "two-candidates",
            "two candidates at once, the other one fails 2 % more",
            200,
            plan(with(Disturbance::SecondCandidate, base), 1_440),
            vec![
                false_fail(),
                line(
                    "the bad one ends as fail",
                    Measure::Share(Event::SecondEnded(Verdict::Fail)),
                    Target::ShareAtLeast(0.8),
                ),
                invalid(),
            ],
        ),
        Row {
            name: "within-window",
            part: STRESS,
            title: "a rollout of 5, 25 or 50 %, declared, that begins within a window: after 10, 30 or 50 seconds of it; nothing \
                    changed, 3,000 requests a minute"
                .to_owned(),
            runs: 600,
            plans: [(0.05, 10_000), (0.25, 30_000), (0.5, 50_000)]
                .map(|(share, begins)| Plan {
                    policy: Policy { declared_share: Some(share), ..Policy::default() },
                    ..plan(many(20_000, 3_000.0, Traffic { share: Share::WithinWindow(share, begins), ..base }), 240)
                })
                .to_vec(),
            lines: vec![false_fail(), called_invalid(at_most(0.01)), ends(Verdict::Invalid, Target::None)],
        },
        row(
            "crash-silent",
            "the canary dies before it logs; its share is declared",
            100,
            declared(logged(Logging::CandidateSilent, base), 240),
            vec![
                line("nothing is compared, there is no verdict", Measure::Share(Event::NeverCompared), Target::None),
                ends(Verdict::Invalid, Target::None),
                never_passes(),
            ],
        ),
        row(
            "crash-loop",
            "four of five canary users meet a process that dies; the share is declared",
            200,
            declared(logged(Logging::CandidateLosesUsers(0.2), base), 600),
            vec![fails(0.5), fails(0.8), never_passes()],
        ),
        row(
            "crash-loop-undeclared",
            "the same, no share declared",
            200,
            plan(logged(Logging::CandidateLosesUsers(0.2), base), 600),
            vec![ends(Verdict::Fail, Target::None), ends(Verdict::Invalid, Target::None), never_passes()],
        ),
        row(
            "crash-silent-proxy",
            "the canary dies before it logs, and a proxy logs whom it sends there; no share declared",
            200,
            plan(logged(Logging::Upstream(0.0), base), 240),
            vec![fails(0.5), fails(0.8), ends(Verdict::Invalid, Target::None), never_passes()],
        ),
        row(
            "crash-loop-proxy",
            "four of five canary users meet a process that dies, and a proxy logs whom it sends there; no share declared",
            200,
            plan(logged(Logging::Upstream(0.2), base), 600),
            vec![fails(0.5), fails(0.8), never_passes()],
        ),
        row(
            "proxy-exposures",
            "a proxy logs whom it sends to which arm, one request in 200 is lost behind it, nothing changed",
            400,
            plan(logged(Logging::Upstream(1.0), base), 1_440),
            vec![
                false_fail(),
                line(
                    "units without a request, alpha .05",
                    Measure::Share(Event::Reached("unanswered", E20)),
                    at_most(0.05),
                ),
            ],
        ),
        row(
            "interference-limit",
            "after an hour both arms fail five times as often; the policy allows 1.5 % of errors and fails beyond it",
            200,
            Plan {
                policy: Policy {
                    limits: Limits { errors_ppm: Some(15_000), fails: true, ..Limits::default() },
                    ..Policy::default()
                },
                ..plan(with(Disturbance::BothHurt, Traffic { share: Share::Constant(0.5), ..base }), 1_440)
            },
            vec![
                fails(0.5),
                fails(0.8),
                ends(Verdict::Fail, Target::None),
                ends(Verdict::Inconclusive, Target::None),
                line(
                    "whole rollout PASSes while both arms fail too often",
                    Measure::Share(Event::SaidFrom(Verdict::Pass, DISTURBED_FROM)),
                    at_most(0.0),
                ),
            ],
        ),
        row(
            "interference",
            "after an hour both arms fail five times as often and take twice as long",
            200,
            plan(with(Disturbance::BothHurt, Traffic { share: Share::Constant(0.5), ..base }), 1_440),
            vec![
                false_fail(),
                ends(Verdict::Inconclusive, Target::None),
                ends(Verdict::Pass, Target::None),
                ends(Verdict::Invalid, Target::None),
            ],
        ),
    ]
}
