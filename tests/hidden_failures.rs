//! Failures of the canary that the logs do not show as failed requests: nothing passes over them.

mod common;

use common::{Case, Line, Random, Traffic, bytes_of};
use serin::compare::verdict::{Behaviour, Flaw, Verdict};
use serin::engine::Engine;
use serin::engine::policy::Policy;
use serin::pipeline::survey::Wishes;
use serin::time::SECOND;

/// Both arms alike, and a pass within the hour.
fn calm() -> Vec<Line> {
    calm_for(40)
}

fn calm_for(minutes: i64) -> Vec<Line> {
    let traffic = Traffic {
        users: 6_000,
        requests: 600 * minutes as u64,
        minutes,
        shares: vec![0.5],
        errors: vec![0.005, 0.005],
        slower: vec![1.0, 1.0],
        ..Traffic::default()
    };
    traffic.lines()
}

fn judged(lines: &[Line]) -> Engine {
    let policy = Policy { latency: false, next_share: 0.25, ..Policy::default() };
    Case::new("hidden", vec![("app.log".to_owned(), bytes_of(lines))], &Wishes::default(), policy).judged()
}

/// A share of the requests of the canary is changed, or followed by something.
fn with_harm(lines: Vec<Line>, share: f64, mut harm: impl FnMut(Line) -> Vec<Line>) -> Vec<Line> {
    let mut random = Random::new(5);
    lines
        .into_iter()
        .flat_map(|line| if line.arm == 1 && random.chance(share) { harm(line) } else { vec![line] })
        .collect()
}

#[test]
fn a_calm_rollout_passes() {
    assert_eq!(judged(&calm()).verdict(), Some(Verdict::Pass));
}

/// Requests that time out are logged when they are over: too late to count, and nearly all of them failed.
#[test]
fn late_lines_may_hide_failures() {
    let mut lines = with_harm(calm(), 0.04, |line| {
        // It carries the time of the request, and stands where it was written.
        vec![Line { at: line.at + 45 * SECOND, text: line.text(), ..line }]
    });
    lines.sort_by_key(|line| line.at);
    let engine = judged(&lines);
    let look = &engine.comparison(0, 0).unwrap().look;
    assert_eq!((look.verdict, look.flaws.as_slice()), (Verdict::Inconclusive, [Flaw::SomeLate].as_slice()));
}

/// Logs without a route: a request that lost its status and its latency is told from nothing else.
#[test]
fn requests_without_a_status_are_further_lines() {
    let without_route = |line: Line| Line { text: line.text.replace(",\"route\":", ",\"of\":"), ..line };
    let calm: Vec<Line> = calm().into_iter().map(without_route).collect();
    assert_eq!(judged(&calm).verdict(), Some(Verdict::Pass));
    let lines = with_harm(calm, 0.04, |line| {
        vec![Line {
            text: line.text.replace("\"status\":", "\"was\":").replace("\"latency_ms\":", "\"took\":"),
            ..line
        }]
    });
    let look = judged(&lines).comparison(0, 0).unwrap().look.clone();
    assert_eq!(look.verdict, Verdict::Inconclusive);
    assert_eq!(look.changed_groups().collect::<Vec<_>>(), [Behaviour::LinesPerTrace]);
}

/// Error lines that name the version and nothing else: no user, no pod. What comes in one minute is one witness.
#[test]
fn warnings_that_name_an_arm_alone_count_for_it() {
    let lines = with_harm(calm_for(120), 0.4, |line| {
        let text = "\"service\":\"shop\",\"cohort\":\"canary\",\"level\":\"error\",\"msg\":\"card declined\"";
        let warning = Line::new(line.at, line.user, line.arm, text);
        vec![line, warning]
    });
    let look = judged(&lines).comparison(0, 0).unwrap().look.clone();
    assert_eq!(look.verdict, Verdict::Inconclusive, "{:?} {}", look.changed, look.log_changed);
    assert_eq!(look.changed_groups().collect::<Vec<_>>(), [Behaviour::WarningLines]);
}

/// The canary gives a user a new id with each request: more users, and hardly one of them fails twice.
#[test]
fn users_that_are_counted_several_times_in_one_arm_hold_back_a_pass() {
    let mut number = 0;
    let lines = with_harm(calm(), 1.0, |line| {
        number += 1;
        vec![Line { text: line.text.replace("\"user\":\"u", &format!("\"user\":\"n{number}-")), ..line }]
    });
    let engine = judged(&lines);
    let look = &engine.comparison(0, 0).unwrap().look;
    assert_eq!((look.verdict, look.flaws.as_slice()), (Verdict::Inconclusive, [Flaw::UnequalActivity].as_slice()));
}
