//! Absolute limits: what harms both arms alike is seen by no comparison, and holds back a pass all the same.

mod common;

use common::{Case, Labels, Line, Random, START, Traffic, bytes_of, entries, folder_with, ledger_values, serin};
use serde_json::Value;
use serin::compare::verdict::Verdict;
use serin::engine::limits::{Limit, Limits};
use serin::engine::policy::Policy;
use serin::engine::{Engine, Input};
use serin::pipeline::survey::Wishes;
use serin::time::MINUTE;

/// Both arms alike, with few errors and thus a pass soon.
fn calm() -> Traffic {
    Traffic {
        users: 6_000,
        requests: 24_000,
        minutes: 40,
        shares: vec![0.5],
        errors: vec![0.005, 0.005],
        slower: vec![1.0, 1.0],
        ..Traffic::default()
    }
}

/// The same, and from the 20th to the 30th minute a tenth of all requests of both arms fail and are slow.
fn hurt(traffic: &Traffic, lasts: i64) -> Vec<Line> {
    let mut random = Random::new(9);
    let mut harm = |line: Line| {
        let minute = (line.at - START) / MINUTE;
        if (20..20 + lasts).contains(&minute) && random.chance(0.1) {
            let text = line.text.replace("\"status\":200,\"latency_ms\":", "\"status\":503,\"latency_ms\":9");
            Line { text, ..line }
        } else {
            line
        }
    };
    traffic.lines().into_iter().map(&mut harm).collect()
}

const ERRORS: Limits = Limits { errors_ppm: Some(20_000), p99_us: None, fails: false };

fn case(lines: &[Line], limits: Limits) -> Case {
    let policy = Policy { latency: false, next_share: 0.25, limits, ..Policy::default() };
    Case::new("limits", vec![("app.log".to_owned(), bytes_of(lines))], &Wishes::default(), policy)
}

/// Verdict, and whether the limit on errors is broken or holds back a pass, at each look.
fn course(case: &Case) -> (Vec<(Verdict, bool)>, Engine) {
    let (mut engine, _) = case.engine();
    let mut looks = Vec::new();
    for fed in case.inputs(20_000, &mut Random::new(1)) {
        engine.apply(fed.input());
        if let Some(comparison) = engine.comparison(0, 0) {
            let look = &comparison.look;
            looks.push((look.verdict, look.limits_that_hold_back().any(|limit| limit == Limit::Errors)));
        }
    }
    engine.apply(Input::Finish);
    (looks, engine)
}

#[test]
fn what_hurts_both_arms_holds_back_a_pass_while_it_lasts() {
    let calm = Traffic { minutes: 70, requests: 42_000, ..calm() };
    let lines = hurt(&calm, 10);
    let (without, engine) = course(&case(&lines, Limits::default()));
    assert_eq!(engine.verdict(), Some(Verdict::Pass), "no comparison sees it");
    let (with, engine) = course(&case(&lines, ERRORS));
    assert_eq!(with.len(), without.len());
    assert!(with.iter().any(|(_, beyond)| *beyond));
    for ((verdict, beyond), (alone, _)) in with.iter().zip(&without) {
        let held_back = if *beyond && *alone == Verdict::Pass { Verdict::Inconclusive } else { *alone };
        assert_eq!(*verdict, held_back);
    }
    assert!(
        without
            .iter()
            .zip(&with)
            .any(|((alone, _), (with, _))| (*alone, *with) == (Verdict::Pass, Verdict::Inconclusive))
    );
    assert_eq!(
        engine.verdict(),
        Some(Verdict::Pass),
        "it was met again, and the half hour that it was broken in has passed"
    );
}

#[test]
fn a_limit_that_is_met_changes_no_verdict() {
    let lines = calm().lines();
    let (without, _) = course(&case(&lines, Limits::default()));
    for limits in [ERRORS, Limits { p99_us: Some(5_000_000), fails: true, ..ERRORS }] {
        let (with, engine) = course(&case(&lines, limits));
        assert_eq!(with, without);
        assert!(engine.comparison(0, 0).unwrap().look.limit(Limit::Errors).unwrap().both().of > 2_000);
    }
}

#[test]
fn a_break_fails_only_where_the_policy_says_so_and_only_when_it_lasts() {
    for (lasts, fails) in [(2, false), (10, true)] {
        let (looks, engine) = course(&case(&hurt(&calm(), lasts), Limits { fails: true, ..ERRORS }));
        assert!(looks.iter().any(|(_, beyond)| *beyond));
        let failure = engine.comparison(0, 0).unwrap().failure.clone();
        assert_eq!(failure.is_some(), fails, "{failure:?}");
        if let Some(failure) = failure {
            assert_eq!((failure.limits, failure.cells), (vec![Limit::Errors], vec![]));
            let minute = (failure.at.0 - START) as f64 / MINUTE as f64;
            assert!((25.0..27.0).contains(&minute), "{minute}");
            assert_eq!(engine.verdict(), Some(Verdict::Fail), "latched");
        }
    }
}

#[test]
fn slow_requests_of_both_arms_are_held_against_the_99th_percentile() {
    let limits = Limits { errors_ppm: None, p99_us: Some(2_000_000), fails: false };
    let (_, engine) = course(&case(&calm().lines(), limits));
    assert!(!engine.comparison(0, 0).unwrap().look.limit(Limit::P99).unwrap().broken);
    let slow = Traffic { slower: vec![12.0, 12.0], ..calm() };
    let (_, engine) = course(&case(&slow.lines(), limits));
    let look = &engine.comparison(0, 0).unwrap().look;
    assert_eq!(look.beyond().collect::<Vec<_>>(), [Limit::P99]);
    assert_eq!(look.verdict, Verdict::Inconclusive);
    assert!(look.limit(Limit::P99).unwrap().arms.iter().all(|arm| arm.share().unwrap() > 0.01));
}

/// Requests that inherit their arm count, and so do those that name no unit and are in no test.
#[test]
fn every_request_of_an_arm_is_watched() {
    let exposed = Traffic { labels: Labels::OnExposures, errors: vec![0.08; 2], ..calm() };
    let anonymous: Vec<Line> = Traffic { errors: vec![0.0; 2], ..calm() }
        .lines()
        .into_iter()
        .enumerate()
        .flat_map(|(number, line)| {
            // One further request in five has no user, and fails.
            let arm = ["baseline", "canary"][line.arm];
            let fields = format!("\"service\":\"shop\",\"cohort\":\"{arm}\",\"status\":500,\"latency_ms\":3");
            let more = (number % 5 == 0).then(|| Line::new(line.at, 0, line.arm, &fields));
            [Some(line), more].into_iter().flatten()
        })
        .collect();
    for lines in [exposed.lines(), anonymous] {
        let (_, engine) = course(&case(&lines, ERRORS));
        let said = engine.comparison(0, 0).unwrap().look.limit(Limit::Errors).unwrap();
        assert!(said.broken, "{said:?}");
        assert!(said.arms.iter().all(|arm| arm.share().unwrap() > 0.05), "{said:?}");
    }
}

#[test]
fn a_restored_engine_goes_on_in_the_middle_of_a_break() {
    let case = case(&hurt(&calm(), 10), Limits { fails: true, ..ERRORS });
    let fed = case.inputs(20_000, &mut Random::new(1));
    let (mut engine, _) = case.engine();
    let (mut tail, mut again, mut tail_again) = (String::new(), None, String::new());
    for input in &fed {
        tail.push_str(&entries(engine.apply(input.input())));
        if let Some(restored) = &mut again {
            let restored: &mut Engine = restored;
            tail_again.push_str(&entries(restored.apply(input.input())));
        } else if engine.comparison(0, 0).is_some_and(|comparison| comparison.look.beyond().next().is_some()) {
            assert!(engine.comparison(0, 0).unwrap().failure.is_none());
            again = Some(Engine::restore(case.settings.clone(), &engine.snapshot()).unwrap());
            tail.clear();
        }
    }
    let mut again = again.unwrap();
    tail.push_str(&entries(engine.apply(Input::Finish)));
    tail_again.push_str(&entries(again.apply(Input::Finish)));
    assert_eq!(tail, tail_again);
    assert!(tail.contains("\"verdict\":\"fail\"") && again.snapshot() == engine.snapshot());
}

/// The words and the numbers, wherever somebody may look.
#[test]
fn a_broken_limit_is_said_everywhere() {
    let lines = hurt(&calm(), 60);
    let folder = folder_with(&[
        ("app.log", &bytes_of(&lines)),
        ("hold.yaml", b"guardrails: [errors]\nnext_share_percent: 25\nlimits:\n  errors_percent: 2\n  p99_ms: 700.5\n"),
        ("fail.yaml", b"guardrails: [errors]\nnext_share_percent: 25\nlimits: {errors_percent: 2, on_break: fail}\n"),
        ("none.yaml", b"guardrails: [errors]\nnext_share_percent: 25\n"),
    ]);
    let folder = folder.path();
    let compare = |policy: &str, format: &str, status: i32| {
        let arguments = ["compare", "app.log", "--policy", policy, "--format", format, "--ledger", "l.ndjson"];
        serin(folder, &arguments).expect(status)
    };

    let none = compare("none.yaml", "json", 0).json();
    assert_eq!(none["comparisons"][0]["limits"], Value::Array(Vec::new()));
    assert!(!std::fs::read_to_string(folder.join("l.ndjson")).unwrap().contains("limits"));

    let text = compare("hold.yaml", "text", 3).out;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "INCONCLUSIVE shop: no pass beyond a limit of the policy; nothing proves that canary is worse than baseline",
        "Both arms are beyond the limits of the policy: errors ",
        " % (limit 2.00 %; baseline ",
        "p99 above 700 ms, which ",
        "nothing says that the new code is the cause",
        "a pass waits until the limit is met again",
        "Every required guardrail is within its margin, after ",
        "errors: broken; of ",
        "p99: broken; of ",
    ] {
        assert!(words.contains(part), "{part}: {text}");
    }
    let page = compare("hold.yaml", "html", 3).out;
    assert!(page.contains("Both arms are beyond the limits of the policy") && page.contains("p99: broken; of "));
    let report = compare("hold.yaml", "json", 3).json();
    let [errors, p99] = [0, 1].map(|at| report["comparisons"][0]["limits"][at].clone());
    assert_eq!(
        (&errors["limit"], &errors["allowed"], &errors["broken"]),
        (&"errors".into(), &0.02.into(), &true.into())
    );
    assert_eq!((&p99["threshold_ms"], &p99["on_break"], &p99["fails"]), (&700.5.into(), &"hold".into(), &false.into()));
    let number = |value: &Value| value.as_f64().unwrap();
    let over: f64 = errors["over"].as_array().unwrap().iter().map(number).sum();
    let of: f64 = errors["of"].as_array().unwrap().iter().map(number).sum();
    assert!((number(&errors["both"]) - over / of).abs() < 1e-12 && over / of > 0.08, "{errors}");
    assert!(number(&errors["baseline"]) > 0.05 && number(&errors["canary"]) > 0.05, "{errors}");

    let ledger = std::fs::read_to_string(folder.join("l.ndjson")).unwrap();
    let values = ledger_values(&ledger);
    assert_eq!(values[0]["policy"]["limits"]["errors_ppm"], 20_000);
    let broke = values.iter().position(|entry| entry["kind"] == "look" && entry["limits"]["errors"]["broken"] == true);
    assert_eq!(values[broke.unwrap()]["verdict"], "inconclusive");
    assert!(values.iter().any(|entry| entry["kind"] == "look" && entry["limits"]["errors"]["broken"] == false));
    assert!(serin(folder, &["show", "l.ndjson"]).expect(0).out.contains(", beyond the limit: errors"));
    assert!(serin(folder, &["replay", "l.ndjson", "app.log", "--threads", "3"]).expect(0).out.contains("Every byte"));

    let failed = compare("fail.yaml", "text", 1).out;
    let words = failed.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "FAIL shop: canary and baseline broke a limit of the policy",
        "By policy (on_break: fail): at 2026-06-01T10:2",
        "both arms taken together were beyond the limit of errors in the 5 minutes after it broke too",
        "nothing says that the new code is the cause",
        "broken, and a failure by policy",
    ] {
        assert!(words.contains(part), "{part}: {failed}");
    }
    serin(folder, &["replay", "l.ndjson", "app.log"]).expect(0);
    let report = compare("fail.yaml", "json", 1).json();
    assert_eq!(report["comparisons"][0]["limits"][0]["fails"], true);
}
