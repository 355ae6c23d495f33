//! When a discovered rollout is over, what its last verdict is, and that the next one begins anew (semantics 3 and 6).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use common::{Case, Line, Random, Traffic, bytes_of, entries, folder_with, ledger_values, serin};
use serin::compare::verdict::Verdict;
use serin::engine::comparison::ControlFrom;
use serin::engine::ending::EndReason;
use serin::engine::policy::Policy;
use serin::engine::{Engine, Input};
use serin::pipeline::survey::Wishes;
use serin::sketch::codec::Writer;
use serin::time::MINUTE;

/// Lines of stretches of traffic, one after the other.
fn stretches(list: &[Traffic]) -> Vec<Line> {
    let mut from = 0;
    let mut all = Vec::new();
    for traffic in list {
        all.extend(traffic.lines().into_iter().map(|line| Line { at: line.at + from * MINUTE, ..line }));
        from += traffic.minutes;
    }
    all
}

fn both(minutes: i64) -> Traffic {
    Traffic {
        minutes,
        requests: 60 * minutes as u64,
        errors: vec![0.02, 0.02],
        slower: vec![1.0, 1.0],
        ..Traffic::default()
    }
}

/// All units in the control.
fn control_alone(minutes: i64) -> Traffic {
    Traffic { shares: vec![0.0], ..both(minutes) }
}

fn case(stretches_of: &[Traffic], policy: Policy) -> Case {
    let lines = stretches(stretches_of);
    let mut case = Case::new("endings", vec![("app.log".to_owned(), bytes_of(&lines))], &Wishes::default(), policy);
    case.plan.windowing.window = MINUTE;
    case.settings.windowing.window = MINUTE;
    case
}

/// The engine at the end, its ledger, and the verdicts of the first comparison at each look.
fn judged(case: &Case) -> (Engine, String, Vec<Verdict>) {
    let (mut engine, mut ledger) = case.engine();
    let mut verdicts = Vec::new();
    for fed in case.inputs(20_000, &mut Random::new(1)) {
        ledger.push_str(&entries(engine.apply(fed.input())));
        verdicts.extend(engine.comparison(0, 0).map(|comparison| comparison.look.verdict));
    }
    ledger.push_str(&entries(engine.apply(Input::Finish)));
    (engine, ledger, verdicts)
}

/// (service, control, candidate) of `begin` entries, and (candidate, reason, verdict) of `ended` ones, in order.
fn story(ledger: &str) -> Vec<String> {
    ledger_values(ledger)
        .into_iter()
        .filter_map(|entry| {
            let word = |key: &str| entry[key].as_str().unwrap().to_owned();
            match entry["kind"].as_str().unwrap() {
                "begin" => Some(format!("{} against {}", word("candidate"), word("control"))),
                "ended" => Some(format!("{} ended: {}, {}", word("candidate"), word("reason"), word("verdict"))),
                _ => None,
            }
        })
        .collect()
}

#[test]
fn a_rollout_ends_with_its_candidate_and_the_next_begins_anew() {
    let case = case(&[both(40), control_alone(45), both(30)], Policy::default());
    let (engine, ledger, _) = judged(&case);
    assert_eq!(
        story(&ledger),
        ["canary against baseline", "canary ended: candidate_silent, inconclusive", "canary against baseline"]
    );
    let (first, second) = (engine.comparison(0, 0).unwrap(), engine.comparison(0, 1).unwrap());
    let end = first.end.unwrap();
    assert_eq!(end.reason, EndReason::CandidateSilent);
    // Thirty minutes after its last line, to a window.
    assert_eq!(end.at.0 - common::START, 70 * MINUTE);
    assert!(second.end.is_none() && second.started_at.0 - common::START >= 85 * MINUTE);
    // Its own start: nothing of the first rollout is in the second.
    let requests = |at: usize| engine.comparison(0, at).unwrap().error_volume.events();
    assert!(
        requests(0)[1] > 500 && requests(1)[1] > 300 && requests(1)[0] < requests(0)[0],
        "{:?}",
        (requests(0), requests(1))
    );
    // However often the same two meet, they have one error level: .9 of it, and .1/2 the second time.
    for (comparison, part) in [(first, 0.9f64), (second, 0.05)] {
        let expected = 100f64.ln() - part.ln();
        assert!((comparison.log_fail - expected).abs() < 1e-9, "{part}: {}", comparison.log_fail);
    }
    // It takes no more: looks end where it ended.
    assert_eq!(first.ended_at, end.at);
}

#[test]
fn who_has_taken_over_ends_the_rollout_and_a_third_version_is_compared_with_it() {
    let versions = |shares: Vec<f64>, minutes| Traffic {
        arms: vec!["v1", "v2", "v3"],
        shares,
        errors: vec![0.02; 3],
        slower: vec![1.0; 3],
        ..both(minutes)
    };
    let case = case(
        &[
            versions(vec![0.0, 0.0], 20),
            versions(vec![0.4, 0.0], 30),
            versions(vec![1.0, 0.0], 40),
            versions(vec![0.6, 0.4], 20),
        ],
        Policy::default(),
    );
    let (engine, ledger, _) = judged(&case);
    assert_eq!(story(&ledger), ["v2 against v1", "v2 ended: control_silent, inconclusive", "v3 against v2"]);
    assert!(engine.comparison(0, 1).unwrap().end.is_none());
}

#[test]
fn what_is_left_of_a_candidate_is_watched() {
    // Half of all users, then .6 %, of whose requests a third fail at last.
    let part = |minutes, share, errors| Traffic {
        users: 30_000,
        requests: 240 * minutes as u64,
        shares: vec![share],
        errors: vec![0.02, errors],
        ..both(minutes)
    };
    let case = case(&[part(40, 0.5, 0.02), part(100, 0.006, 0.02), part(150, 0.006, 0.3)], Policy::default());
    let (engine, ledger, _) = judged(&case);
    let story = story(&ledger);
    assert_eq!(story[0], "canary against baseline");
    assert!(story[1].starts_with("canary ended: control_took_over"), "{story:?}");
    assert_eq!(story[2..], ["canary against baseline"]);
    let begun = engine.comparison(0, 1).unwrap().started_at.0 - common::START;
    assert!(begun < 140 * MINUTE, "before it turns bad: {}", begun / MINUTE);
    assert_eq!(engine.verdict(), Some(Verdict::Fail));
}

#[test]
fn a_candidate_of_a_declared_share_that_is_missing_is_a_deficit() {
    let crowd =
        |minutes, share| Traffic { users: 20_000, requests: 60 * minutes as u64, shares: vec![share], ..both(minutes) };
    for (later, ended) in [(0.0, "candidate_silent"), (0.001, "control_took_over")] {
        let stretches = [crowd(60, 0.2), crowd(150, later)];
        let declared = Policy { declared_share: Some(0.2), ..Policy::default() };
        let (engine, ledger, _) = judged(&case(&stretches, declared));
        // Once it has failed it is over when it is silent, and not before: a rest of it goes on.
        let told = ["canary against baseline", "canary ended: candidate_silent, fail"];
        assert_eq!(story(&ledger), told, "{later}");
        assert_eq!(engine.verdict(), Some(Verdict::Fail), "{later}");
        // Nobody promised anything: it was taken back.
        let (engine, ledger, _) = judged(&case(&stretches, Policy::default()));
        assert!(story(&ledger)[1].contains(ended), "{later}: {:?}", story(&ledger));
        assert_eq!(engine.verdict(), Some(Verdict::Inconclusive));
    }
}

/// A user who asks once a minute, of a version that nobody else uses.
fn probe(minutes: i64) -> Vec<Line> {
    let fields = "\"service\":\"shop\",\"cohort\":\"v0\",\"user\":\"probe\",\"status\":200,\"latency_ms\":5";
    (0..minutes).map(|minute| Line::new(common::START + minute * MINUTE, 0, 0, fields)).collect()
}

#[test]
fn a_probe_ends_nothing_and_is_no_control() {
    let versions = |minutes, shares| Traffic { arms: vec!["v1", "v2", "v3"], shares, ..both(minutes) };
    let three = |mut traffic: Traffic| {
        traffic.errors = vec![0.02; 3];
        traffic.slower = vec![1.0; 3];
        traffic.lines()
    };
    let story_of = |parts: Vec<(i64, Vec<Line>)>| {
        let mut lines: Vec<Line> = Vec::new();
        for (from, part) in parts {
            lines.extend(part.into_iter().map(|line| Line { at: line.at + from * MINUTE, ..line }));
        }
        lines.sort_by_key(|line| line.at);
        let mut case =
            Case::new("probe", vec![("app.log".to_owned(), bytes_of(&lines))], &Wishes::default(), Policy::default());
        case.plan.windowing.window = MINUTE;
        case.settings.windowing.window = MINUTE;
        story(&judged(&case).1)
    };
    let two = |minutes| three(versions(minutes, vec![0.5, 0.0]));
    // Nobody is there for three quarters of an hour, and two versions come back.
    assert_eq!(story_of(vec![(0, two(60)), (58, probe(50)), (105, two(40))]), ["v2 against v1"]);
    // A third version with users of its own is something else.
    let third = three(versions(45, vec![0.0, 1.0]));
    assert_eq!(
        story_of(vec![(0, two(60)), (60, third)]),
        [
            "v2 against v1",
            "v3 against v2",
            "v2 ended: both_silent, inconclusive",
            // It was cut over to: its control left when it came.
            "v3 ended: control_silent, inconclusive"
        ]
    );
    // A candidate that comes after the pause is compared with who served before it.
    let old = three(versions(60, vec![0.0, 0.0]));
    assert_eq!(story_of(vec![(0, old), (58, probe(50)), (105, two(40))]), ["v2 against v1"]);
}

#[test]
fn a_release_passes_where_each_service_is_compared_in_each_environment() {
    let traffic = Traffic { users: 20_000, requests: 30_000, errors: vec![0.1, 0.1], ..both(30) };
    for (old_in, verdict) in [("", Verdict::Pass), ("prod", Verdict::Inconclusive)] {
        let mut lines = Vec::new();
        for line in traffic.lines() {
            for (environment, service) in [("prod", "web"), ("prod", "api"), ("staging", "web"), ("staging", "api")] {
                let name = format!("\"environment\":\"{environment}\",\"service\":\"{service}\"");
                let text = line.text.replace("\"service\":\"shop\"", &name);
                let is_old = environment == old_in && service == "api";
                let text = if is_old { text.replace("canary", "baseline") } else { text };
                lines.push(Line { text, ..line.clone() });
            }
        }
        let policy = Policy {
            latency: false,
            next_share: 0.1,
            release: vec!["web".to_owned(), "api".to_owned()],
            ..Policy::default()
        };
        let log = vec![("app.log".to_owned(), bytes_of(&lines))];
        let (engine, _, _) = judged(&Case::new("release", log, &Wishes::default(), policy));
        let list = engine.releases().flat_map(|(_, list)| list).map(|one| one.look.verdict);
        let list: Vec<Verdict> = list.collect();
        assert!(list.iter().all(|verdict| *verdict == Verdict::Pass), "{list:?}");
        assert_eq!(engine.verdict(), Some(verdict), "{old_in}");
    }
}

#[test]
fn silence_is_no_pass_and_takes_no_failure_back() {
    let early = Policy { latency: false, next_share: 0.1, minimum_time: 10 * MINUTE, ..Policy::default() };
    // Enough for a pass, were the time over.
    let healthy = Traffic { users: 20_000, requests: 30_000, errors: vec![0.1, 0.1], ..both(8) };
    let worse = Traffic { errors: vec![0.02, 0.5], ..both(20) };
    for (stretch, verdict) in [(healthy, Verdict::Inconclusive), (worse, Verdict::Fail)] {
        let case = case(&[stretch, control_alone(60)], early.clone());
        let (engine, ledger, verdicts) = judged(&case);
        let first = engine.comparison(0, 0).unwrap();
        assert_eq!(first.end.unwrap().reason, EndReason::CandidateSilent, "{:?}", story(&ledger));
        assert_eq!(first.look.verdict, verdict);
        assert!(!verdicts.contains(&Verdict::Pass), "{verdicts:?}");
        assert_eq!(engine.verdict(), Some(verdict));
    }
}

#[test]
fn a_pass_that_was_reached_stands() {
    let policy = Policy { latency: false, next_share: 0.1, minimum_time: 5 * MINUTE, ..Policy::default() };
    let healthy = Traffic { users: 20_000, requests: 30_000, errors: vec![0.1, 0.1], ..both(30) };
    let case = case(&[healthy, control_alone(45)], policy);
    let (engine, ledger, _) = judged(&case);
    assert_eq!(story(&ledger)[1], "canary ended: candidate_silent, pass");
    assert_eq!(engine.comparison(0, 0).unwrap().look.verdict, Verdict::Pass);
}

#[test]
fn a_rollout_that_somebody_named_goes_on() {
    let mut case = case(&[both(40), control_alone(60)], Policy::default());
    case.settings.arms.control = Some("baseline".to_owned());
    case.settings.arms.candidates = vec!["canary".to_owned()];
    let (engine, ledger, _) = judged(&case);
    assert_eq!(story(&ledger), ["canary against baseline"]);
    assert!(engine.comparison(0, 0).unwrap().end.is_none());
}

#[test]
fn an_ended_rollout_remembers_no_units() {
    let crowd = Traffic { users: 12_000, requests: 24_000, ..both(30) };
    let case = case(&[crowd, control_alone(40)], Policy::default());
    let (mut engine, _) = case.engine();
    let mut sizes: Vec<(bool, usize)> = Vec::new();
    for fed in case.inputs(20_000, &mut Random::new(1)) {
        engine.apply(fed.input());
        if let Some(comparison) = engine.comparison(0, 0) {
            let mut w = Writer::default();
            comparison.write(&mut w);
            sizes.push((comparison.end.is_some(), w.bytes.len()));
        }
    }
    let largest = sizes.iter().map(|(_, size)| *size).max().unwrap();
    let (ended, last) = *sizes.last().unwrap();
    assert!(ended && last * 3 < largest, "{last} of {largest} bytes");
}

#[test]
fn reports_say_that_it_is_over_and_why() {
    let lines = stretches(&[both(30), control_alone(45)]);
    let folder = folder_with(&[("app.log", &bytes_of(&lines))]);
    let folder = folder.path();
    let said = serin(folder, &["compare", "app.log", "--ledger", "l.ndjson"]).expect(3);
    assert!(said.out.contains("The rollout ended at 2026-06-01T11:00"), "{}", said.out);
    assert!(said.out.contains("the candidate was silent for 30 minutes"), "{}", said.out);
    let report = serin(folder, &["compare", "app.log", "--format", "json"]).json();
    assert_eq!(report["comparisons"][0]["rollout_end"]["reason"], "candidate_silent");
    let shown = serin(folder, &["show", "l.ndjson"]).expect(0);
    assert!(shown.out.contains("inconclusive: candidate silent"), "{}", shown.out);
    serin(folder, &["replay", "l.ndjson", "app.log"]).expect(0);
    // Whoever names the arms decides when it is over.
    let named = ["compare", "app.log", "--control", "baseline", "--candidate", "canary", "--format", "json"];
    assert!(serin(folder, &named).json()["comparisons"][0]["rollout_end"].is_null());
}

/// Stretches with a pause of the whole service between two of them, in minutes.
fn with_pause(before: &[Traffic], pause: i64, after: &[Traffic]) -> Vec<Line> {
    let mut lines = stretches(before);
    let from = before.iter().map(|traffic| traffic.minutes).sum::<i64>() + pause;
    lines.extend(stretches(after).into_iter().map(|line| Line { at: line.at + from * MINUTE, ..line }));
    lines
}

fn judged_lines(lines: &[Line]) -> (Engine, String) {
    let mut case =
        Case::new("endings", vec![("app.log".to_owned(), bytes_of(lines))], &Wishes::default(), Policy::default());
    case.plan.windowing.window = MINUTE;
    case.settings.windowing.window = MINUTE;
    let (engine, ledger, _) = judged(&case);
    (engine, ledger)
}

/// Who served before a night without users is who served before (semantics 3): a version that comes after it is compared
/// with that one, whatever the versions are called.
#[test]
fn a_rollout_after_a_pause_has_its_control() {
    let first = |minutes| Traffic { arms: vec!["v1", "v2"], ..both(minutes) };
    let second = |minutes| Traffic { arms: vec!["v2", "v3"], ..both(minutes) };
    for pause in [0, 25, 40, 600] {
        // v2 takes over from v1, and v3 comes when nobody was there for a while.
        let before =
            [first(30), Traffic { shares: vec![1.0], ..first(60) }, Traffic { shares: vec![0.0], ..second(10) }];
        let (_, ledger) = judged_lines(&with_pause(&before, pause, &[second(60)]));
        let story = story(&ledger);
        assert_eq!(story.last().unwrap(), "v3 against v2", "{pause}: {story:?}");
        // Names that tell nothing of their age.
        let hashes = |minutes| Traffic { arms: vec!["c0ffee1", "77be012"], ..both(minutes) };
        let alone = [Traffic { shares: vec![0.0], ..hashes(60) }];
        let (engine, _) = judged_lines(&with_pause(&alone, pause, &[hashes(60)]));
        let comparison = engine.comparison(0, 0).unwrap();
        assert_eq!((comparison.control.as_str(), comparison.candidate.as_str()), ("c0ffee1", "77be012"), "{pause}");
        assert_eq!(comparison.control_from, ControlFrom::ServedBefore, "{pause}");
    }
}

/// Where all users go back at once there is nothing to compare, and no comparison that lacks an arm.
#[test]
fn going_back_at_once_is_no_rollout() {
    let versions = |minutes| Traffic { arms: vec!["v1", "v2"], ..both(minutes) };
    let all_new = |minutes| Traffic { shares: vec![1.0], ..versions(minutes) };
    let all_old = |minutes| Traffic { shares: vec![0.0], ..versions(minutes) };
    let (engine, ledger) = judged_lines(&stretches(&[all_old(30), versions(60), all_new(60), all_old(120)]));
    assert_eq!(story(&ledger).len(), 2, "{:?}", story(&ledger));
    assert!(engine.comparison(0, 1).is_none());
    // Who goes back bit by bit is beside the other again.
    let (_, ledger) = judged_lines(&stretches(&[all_old(30), versions(60), all_new(60), versions(60), all_old(60)]));
    assert_eq!(story(&ledger).len(), 4, "{:?}", story(&ledger));
}
