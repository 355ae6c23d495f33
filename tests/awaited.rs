//! Candidates that are named in full: one that logs lines and no requests is missed, where a share was promised.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use common::{Case, Line, Random, START, bytes_of, entries, ledger_values};
use serin::compare::verdict::{Cell, Verdict};
use serin::engine::policy::{OfRollout, Policy};
use serin::engine::{Engine, Input};
use serin::pipeline::survey::Wishes;
use serin::time::{MINUTE, SECOND, Timestamp};

/// When the canary logs its first line.
const FIRST: i64 = START + 3 * MINUTE;

/// Twenty requests a second for some minutes, from the third on; `version`: which serves a user at a time, and `None` where the request
/// is lost.
fn requests(minutes: i64, version: impl Fn(i64, u64) -> Option<&'static str>) -> Vec<Line> {
    let mut random = Random::new(7);
    let mut lines = Vec::new();
    for number in 0..minutes * 60 * 20 {
        let at = START + number * SECOND / 20;
        let user = random.below(4_000);
        let status = if random.chance(0.01) { 503 } else { 200 };
        let took = 20 + random.below(10);
        let Some(version) = version(at, user) else { continue };
        let fields = format!(
            "\"service\":\"shop\",\"version\":\"{version}\",\"user\":\"u{user}\",\"status\":{status},\"latency_ms\":{took}"
        );
        lines.push(Line::new(at, user, 0, &fields));
    }
    lines
}

/// Of those to whom a fifth of the users is sent from the first line on, nobody is answered.
fn nobody(at: i64, user: u64) -> Option<&'static str> {
    (at < FIRST || !user.is_multiple_of(5)).then_some("1.0")
}

/// A line of a version that is no request.
fn says(at: i64, version: &str, level: &str, message: &str) -> Line {
    let fields = format!(
        "\"service\":\"shop\",\"version\":\"{version}\",\"pod\":\"shop-1\",\"level\":\"{level}\",\"message\":\"{message}\""
    );
    Line::new(at, 0, 1, &fields)
}

/// It starts and dies, every ten seconds.
fn crashes(version: &str, from: i64, until: i64) -> Vec<Line> {
    let one = |at: i64| {
        [
            says(at, version, "info", "starting"),
            says(at + SECOND, version, "error", "cannot connect to the database"),
            says(at + 2 * SECOND, version, "fatal", "exiting with status 1"),
        ]
    };
    (0..(until - from) / (10 * SECOND)).flat_map(|number| one(from + number * 10 * SECOND)).collect()
}

/// What a rollout of the shop asks: 2.0 is awaited, and a fifth of the users is meant for it.
fn promised() -> Policy {
    Policy { candidates: vec!["2.0".to_owned()], declared_share: Some(0.2), ..Policy::default() }
}

fn case(parts: &[Vec<Line>], policy: Policy) -> Case {
    let mut lines = parts.concat();
    lines.sort_by_key(|line| line.at);
    let rollout = OfRollout { environment: None, services: vec!["shop".to_owned()], policy };
    let policy = Policy { rollouts: vec![rollout], ..Policy::default() };
    Case::new("awaited", vec![("app.log".to_owned(), bytes_of(&lines))], &Wishes::default(), policy)
}

/// The engine at the end, and its ledger; it goes on from a snapshot after each input where that is asked for.
fn judge(case: &Case, from_snapshots: bool) -> (Engine, String) {
    let (mut engine, mut ledger) = case.engine();
    for fed in case.inputs(20_000, &mut Random::new(1)) {
        ledger.push_str(&entries(engine.apply(fed.input())));
        if from_snapshots {
            engine = Engine::restore(case.settings.clone(), &engine.snapshot()).unwrap();
        }
    }
    ledger.push_str(&entries(engine.apply(Input::Finish)));
    (engine, ledger)
}

fn judged(parts: &[Vec<Line>], policy: Policy) -> Engine {
    judge(&case(parts, policy), false).0
}

/// Seconds from the first line until it has failed so far that nobody is asked.
fn rolled_back_after(engine: &Engine) -> Option<i64> {
    let failure = engine.comparison(0, 0)?.failure.as_ref()?;
    assert_eq!(failure.cells, [Cell::Deficit]);
    Some((failure.automatic_at?.0 - FIRST) / SECOND)
}

#[test]
fn a_candidate_that_logs_its_crashes_alone_is_missed_within_two_minutes() {
    let requests = || requests(8, nobody);
    let until = FIRST + 5 * MINUTE;
    let once = |level: &str| vec![says(FIRST, "2.0", level, "hello")];
    let cases = [
        ("crashes", crashes("2.0", FIRST, until)),
        ("one line", once("info")),
        ("starts", (0..30).map(|n| says(FIRST + n * 10 * SECOND, "2.0", "info", "starting")).collect()),
    ];
    for (name, lines) in cases {
        let engine = judged(&[requests(), lines], promised());
        let comparison = engine.comparison(0, 0).unwrap();
        assert_eq!((comparison.candidate.as_str(), comparison.control.as_str()), ("2.0", "1.0"), "{name}");
        let after = rolled_back_after(&engine).unwrap_or_else(|| panic!("{name}: it has not failed"));
        // As long as it may start nothing is missing.
        assert!((60..=120).contains(&after), "{name}: {after} s");
    }
    // The share of the first step is a promise as well.
    let steps = Policy { declared_share: None, step_share: Some(0.2), ..promised() };
    let engine = judged(&[requests(), crashes("2.0", FIRST, until)], steps);
    assert!(rolled_back_after(&engine).is_some_and(|after| after <= 120));
}

#[test]
fn a_candidate_that_takes_its_share_once_it_has_started_is_not_missed() {
    let after = |seconds: i64| {
        move |at: i64, user: u64| {
            let is_its = at >= FIRST + seconds * SECOND && user.is_multiple_of(5);
            Some(if is_its { "2.0" } else { "1.0" })
        }
    };
    let starting = |seconds: i64| -> Vec<Line> {
        (0..seconds / 5).map(|n| says(FIRST + n * 5 * SECOND, "2.0", "info", "starting")).collect()
    };
    let engine = judged(&[requests(8, after(40)), starting(40)], promised());
    let comparison = engine.comparison(0, 0).unwrap();
    assert_eq!(comparison.started_at, Timestamp(FIRST + 40 * SECOND), "it begins with its first request");
    assert!(comparison.failure.is_none() && comparison.look.verdict != Verdict::Invalid, "{:?}", comparison.look);
    // One that needs longer says so.
    let slow = [requests(8, after(150)), starting(150)];
    let patient = Policy { starts_within: 3 * MINUTE, ..promised() };
    assert!(judged(&slow, patient).comparison(0, 0).unwrap().failure.is_none());
    assert!(rolled_back_after(&judged(&slow, promised())).is_some());
}

/// Thin traffic: before enough is missing it comes, and what was before is no lack of its own.
#[test]
fn what_was_missing_before_the_first_request_is_forgotten_with_it() {
    let since = FIRST + 95 * SECOND;
    let thin = |at: i64, user: u64| {
        let is_its = at >= since && user.is_multiple_of(5);
        Some(if is_its { "2.0" } else { "1.0" })
    };
    let lines: Vec<Line> = requests(6, thin).into_iter().step_by(20).collect();
    let engine = judged(&[lines, vec![says(FIRST, "2.0", "info", "starting")]], promised());
    let comparison = engine.comparison(0, 0).unwrap();
    assert!(comparison.started_at < Timestamp(since), "it was missed");
    let deficit = comparison.look.cell(Cell::Deficit);
    assert!(comparison.failure.is_none() && deficit.log_start < -0.9, "{deficit:?} of {:?}", comparison.distinct);
}

#[test]
fn nothing_begins_by_lines_where_nobody_is_awaited_or_nothing_was_promised() {
    let lines = || [requests(8, nobody), crashes("2.0", FIRST, FIRST + 5 * MINUTE)];
    let compared = |policy: Policy| {
        let engine = judged(&lines(), policy);
        engine.releases().map(|(_, comparisons)| comparisons.len()).sum::<usize>()
    };
    assert_eq!(compared(promised()), 1);
    assert_eq!(compared(Policy { declared_share: None, ..promised() }), 0, "no share");
    assert_eq!(compared(Policy { candidates: Vec::new(), ..promised() }), 0, "a pattern");
    assert_eq!(compared(Policy { candidates: vec!["3.0".to_owned()], ..promised() }), 0, "another version");
    let elsewhere = |key: fn(&mut OfRollout)| {
        let mut case = case(&lines(), promised());
        case.settings.policy.rollouts.iter_mut().for_each(key);
        judge(&case, false).0.releases().map(|(_, comparisons)| comparisons.len()).sum::<usize>()
    };
    assert_eq!(elsewhere(|rollout| rollout.services = vec!["cart".to_owned()]), 0, "another service");
    assert_eq!(elsewhere(|rollout| rollout.environment = Some("prod".to_owned())), 0, "another environment");
}

#[test]
fn the_share_of_the_first_step_is_one_that_a_candidate_has_at_least() {
    let steps = || Policy { step_share: Some(0.2), steps: vec![200_000, 500_000], ..Policy::default() };
    let of = |part: u64, of: u64| {
        move |at: i64, user: u64| {
            let mut random = Random::new(at as u64 ^ user);
            match at >= FIRST && user.is_multiple_of(of) {
                true => (random.below(100) < part).then_some("2.0"),
                false => Some("1.0"),
            }
        }
    };
    // It logs three of a hundred requests.
    let few = judged(&[requests(12, of(3, 5))], steps());
    assert!(few.comparison(0, 0).is_some_and(|of| of.failure.as_ref().unwrap().cells == [Cell::Deficit]));
    let nobody_asked = judged(&[requests(12, of(3, 5))], Policy { step_share: None, ..steps() });
    assert!(nobody_asked.comparison(0, 0).is_none_or(|of| of.failure.is_none()));
    for (part, every) in [(100, 5), (100, 2)] {
        let engine = judged(&[requests(12, of(part, every))], steps());
        let comparison = engine.comparison(0, 0).unwrap();
        let look = &comparison.look;
        assert!(comparison.failure.is_none() && look.flaws.is_empty(), "one in {every}: {:?}", look.flaws);
        assert_eq!((look.sample_ratio, look.cell(Cell::Deficit).has_data), (None, true), "one in {every}");
    }
}

/// Arms have the same name in every release. What was rolled back is silent, and what comes under its name is another.
#[test]
fn a_candidate_that_died_at_its_start_leaves_room_for_the_next() {
    let again = FIRST + 50 * MINUTE;
    let version = |at: i64, user: u64| match user.is_multiple_of(5) {
        true if at >= again => Some("2.0"),
        true if (FIRST..FIRST + 4 * MINUTE).contains(&at) => None,
        _ => Some("1.0"),
    };
    let lines = [requests(65, version), crashes("2.0", FIRST, FIRST + 4 * MINUTE)];
    let case = case(&lines, promised());
    let (engine, ledger) = judge(&case, false);
    let told: Vec<String> = ledger_values(&ledger)
        .into_iter()
        .filter(|entry| entry["kind"] == "begin" || entry["kind"] == "ended")
        .map(|entry| {
            let reason = entry.get("reason").and_then(|reason| reason.as_str());
            format!("{} {}", entry["kind"].as_str().unwrap(), reason.unwrap_or_default())
        })
        .collect();
    assert_eq!(told, ["begin ", "ended candidate_silent", "begin "]);
    assert!(engine.comparison(0, 0).unwrap().failure.is_some());
    let next = engine.comparison(0, 1).unwrap();
    assert!(next.failure.is_none() && next.started_at >= Timestamp(again), "{:?}", next.look);
    // However often it goes on from a snapshot.
    assert_eq!(judge(&case, true).1, ledger);
}
