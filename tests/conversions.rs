//! Business events that may not become rarer: a planted fall fails, equal rates and a rise do not.

mod common;

use std::collections::BTreeMap;

use common::{Case, Labels, Line, Random, Traffic, bytes_of, entries, folder_with, ledger_values, serin};
use serde_json::Value;
use serin::compare::verdict::{Finding, Verdict};
use serin::engine::policy::Policy;
use serin::engine::{Engine, Input};
use serin::pipeline::plan::Conversions;
use serin::pipeline::survey::Wishes;
use serin::time::SECOND;

/// Users who come about twice, alike in both arms.
fn shop(seed: u64) -> Traffic {
    Traffic {
        seed,
        users: 12_000,
        requests: 24_000,
        minutes: 40,
        shares: vec![0.4],
        errors: vec![0.005; 2],
        slower: vec![1.0; 2],
        ..Traffic::default()
    }
}

/// A share of the users of each arm (control, candidate) checks out, once or twice, some seconds after its first request;
/// the lines say neither arm nor cohort.
fn checkouts(traffic: &Traffic, shares: [f64; 2], fields: &str) -> Vec<Line> {
    let mut random = Random::new(traffic.seed ^ 0xc0);
    let mut first: BTreeMap<u64, (i64, usize)> = BTreeMap::new();
    for line in traffic.lines() {
        first.entry(line.user).or_insert((line.at, line.arm));
    }
    let mut lines = Vec::new();
    for (user, (at, arm)) in first {
        if random.chance(shares[arm]) {
            let text = format!("\"service\":\"orders\",{fields},\"user\":\"u{user}\"");
            for again in 0..=random.below(2) as i64 {
                let at = at + (15 + 60 * again + random.below(40) as i64) * SECOND;
                lines.push(Line::new(at, user, arm, &text));
            }
        }
    }
    lines.sort_by_key(|line| line.at);
    lines
}

const CHECKOUT: &str = "\"kind\":\"event\",\"event\":{\"name\":\"checkout_completed\"}";

fn case(traffic: &Traffic, checkouts: &[Line], names: &[&str]) -> Case {
    let conversions =
        Conversions { names: names.iter().map(|name| (*name).to_owned()).collect(), ..Conversions::default() };
    let streams =
        vec![("orders.log".to_owned(), bytes_of(checkouts)), ("shop.log".to_owned(), bytes_of(&traffic.lines()))];
    let policy = Policy { conversions: conversions.clone(), ..Policy::default() };
    let mut case = Case::new("conversions", streams, &Wishes::default(), policy);
    case.plan.conversions = conversions;
    case
}

#[test]
fn a_planted_fall_fails_and_equal_rates_and_a_rise_do_not() {
    for (shares, fails) in [([0.2, 0.12], true), ([0.2, 0.2], false), ([0.12, 0.2], false)] {
        for seed in 1..=3 {
            let traffic = shop(seed);
            let engine = case(&traffic, &checkouts(&traffic, shares, CHECKOUT), &["checkout_completed"]).judged();
            let comparison = engine.comparison(0, 0).unwrap();
            let [conversion] = comparison.conversions.as_slice() else { panic!("one event") };
            for (arm, share) in conversion.shares().into_iter().enumerate() {
                assert!((share.unwrap() - shares[arm]).abs() < 0.02, "arm {arm}: {share:?}, seed {seed}");
            }
            assert_eq!(comparison.look.verdict == Verdict::Fail, fails, "{shares:?}, seed {seed}");
            if let Some(failure) = &comparison.failure {
                assert_eq!((failure.conversions.as_slice(), failure.cells.as_slice()), (&[0][..], &[][..]));
            } else {
                assert!(comparison.look.conversion(0).log_e < 3.0, "{shares:?}, seed {seed}");
            }
        }
    }
}

/// An event counts for the arm of its unit: found by exposures, and whatever the line itself names.
#[test]
fn events_join_through_their_unit() {
    let plain = shop(4);
    let exposed = Traffic { labels: Labels::OnExposures, ..plain.clone() };
    let of_another = format!("{CHECKOUT},\"cohort\":\"eu\"");
    let only_a_name = "\"event.name\":\"checkout_completed\"";
    for (traffic, fields) in [(&exposed, CHECKOUT), (&plain, &of_another), (&plain, only_a_name)] {
        let lines = checkouts(traffic, [0.3, 0.1], fields);
        let users: std::collections::BTreeSet<u64> = lines.iter().map(|line| line.user).collect();
        let engine = case(traffic, &lines, &["checkout_completed"]).judged();
        let comparison = engine.comparison(0, 0).unwrap();
        let conversion = &comparison.conversions[0];
        let met: u64 = conversion.units.totals().iter().map(|(_, met)| met).sum();
        assert!(met as f64 > 0.97 * users.len() as f64, "{met} of {}, {fields}", users.len());
        assert_eq!(conversion.lines, lines.len() as u64, "{fields}");
        assert_eq!(comparison.look.verdict, Verdict::Fail, "{fields}");
    }
}

#[test]
fn events_of_nobody_or_of_strangers_enter_no_test() {
    let traffic = shop(5);
    let mut lines = checkouts(&traffic, [0.1, 0.1], CHECKOUT);
    let (expect, end) = (lines.len() as u64, lines.last().unwrap().at);
    for number in 0..300 {
        let anonymous = format!("\"service\":\"orders\",{CHECKOUT}");
        let stranger = format!("{anonymous},\"user\":\"stranger{number}\"");
        lines.extend([anonymous, stranger].map(|fields| Line::new(end - number * SECOND, 0, 0, &fields)));
    }
    lines.sort_by_key(|line| line.at);
    let engine = case(&traffic, &lines, &["checkout_completed"]).judged();
    let conversion = &engine.comparison(0, 0).unwrap().conversions[0];
    assert_eq!((conversion.lines, conversion.without_unit), (expect + 600, 300));
    assert!((300..400).contains(&conversion.unassigned), "{}", conversion.unassigned);
    for ((units, met), share) in conversion.units.totals().into_iter().zip([0.1, 0.1]) {
        assert!(met as f64 / units as f64 <= share + 0.02);
    }
}

/// A canary that forgets to say who it was has not lost its buyers.
#[test]
fn lines_of_one_arm_that_lack_their_user_are_no_fall() {
    let traffic = shop(10);
    let mut lines = checkouts(&traffic, [0.2, 0.2], CHECKOUT);
    for (number, line) in lines.iter_mut().enumerate() {
        let arm = ["baseline", "canary"][line.arm];
        let fields = if line.arm == 1 && number % 3 > 0 {
            format!("\"service\":\"orders\",{CHECKOUT},\"cohort\":\"{arm}\"")
        } else {
            format!("\"service\":\"orders\",{CHECKOUT},\"cohort\":\"{arm}\",\"user\":\"u{}\"", line.user)
        };
        *line = Line::new(line.at, line.user, line.arm, &fields);
    }
    let engine = case(&traffic, &lines, &["checkout_completed"]).judged();
    let comparison = engine.comparison(0, 0).unwrap();
    let [control, candidate] = comparison.conversions[0].shares();
    assert!(candidate.unwrap() < 0.7 * control.unwrap(), "{candidate:?} {control:?}");
    assert_eq!(comparison.conversion_finding(0), Finding::BrokenMeasurement);
    assert_eq!((comparison.failure.clone(), comparison.look.conversion(0).log_e), (None, 0.0));
}

#[test]
fn events_that_nobody_declared_are_only_shown() {
    let traffic = shop(6);
    let lines = checkouts(&traffic, [0.2, 0.05], CHECKOUT);
    for names in [&[][..], &["signup"][..]] {
        let engine = case(&traffic, &lines, names).judged();
        let comparison = engine.comparison(0, 0).unwrap();
        assert_ne!(comparison.look.verdict, Verdict::Fail);
        assert!(comparison.conversions.iter().all(|of| of.lines == 0 && of.log_e().is_none()));
    }
}

/// The part of the budget is shared, whatever comes: the sum of weights stays one.
#[test]
fn the_budget_is_shared_evenly() {
    let traffic = shop(7);
    let lines = checkouts(&traffic, [0.2, 0.2], CHECKOUT);
    for names in [&[][..], &["checkout_completed"][..], &["checkout_completed", "signup", "refund"][..]] {
        let case = case(&traffic, &lines, names);
        let (mut engine, mut ledger) = case.engine();
        for fed in case.inputs(50_000, &mut Random::new(1)) {
            ledger.push_str(&entries(engine.apply(fed.input())));
        }
        let entries = ledger_values(&ledger);
        let begin = entries.iter().find(|entry| entry["kind"] == "begin").unwrap();
        let weight = 0.12 / (1 + names.len()) as f64;
        assert_eq!(begin["weights"]["deficit"].as_f64(), Some(weight));
        let each = begin.get("conversions").and_then(Value::as_object);
        assert_eq!(each.map_or(0, serde_json::Map::len), names.len());
        assert!(each.into_iter().flatten().all(|(_, of)| of.as_f64() == Some(weight)));
    }
}

#[test]
fn a_restored_engine_goes_on_alike() {
    let traffic = shop(8);
    let case = case(&traffic, &checkouts(&traffic, [0.2, 0.12], CHECKOUT), &["signup", "checkout_completed"]);
    let fed = case.inputs(20_000, &mut Random::new(1));
    let (mut engine, _) = case.engine();
    let (before, after) = fed.split_at(fed.len() / 2);
    for input in before {
        engine.apply(input.input());
    }
    let mut again = Engine::restore(case.settings.clone(), &engine.snapshot()).unwrap();
    assert!(again.snapshot() == engine.snapshot());
    assert!(engine.comparison(0, 0).unwrap().conversions[1].units.totals()[1].1 > 10);
    for input in after {
        assert_eq!(entries(engine.apply(input.input())), entries(again.apply(input.input())));
    }
    assert_eq!(entries(engine.apply(Input::Finish)), entries(again.apply(Input::Finish)));
    assert!(again.snapshot() == engine.snapshot());
    assert_eq!(engine.verdict(), Some(Verdict::Fail));
}

#[test]
fn a_fall_is_said_everywhere() {
    let traffic = shop(9);
    let policy = "conversions: [checkout_completed, \"sign <up>\"]\n";
    let folder = folder_with(&[
        ("shop.log", &bytes_of(&traffic.lines())),
        ("orders.log", &bytes_of(&checkouts(&traffic, [0.2, 0.12], CHECKOUT))),
        ("p.yaml", policy.as_bytes()),
        ("field.yaml", b"conversions: [checkout_completed]\nconversion_field: other.field\n"),
    ]);
    let folder = folder.path();
    let compare = |policy: &str, format: &str, status: i32| {
        let logs = ["compare", "shop.log", "orders.log", "--ledger", "l.ndjson"];
        serin(folder, &[&logs[..], &["--policy", policy, "--format", format]].concat()).expect(status)
    };
    let text = compare("p.yaml", "text", 1).out;
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "FAIL shop: canary is worse than baseline",
        "Fewer users reach checkout_completed: 1",
        " % of canary users, ",
        " % of baseline users, at most 0.",
        "users with checkout_completed ",
        "sign <up>: no line has this name in `event.name`, ",
        "checkout_completed: ",
    ] {
        assert!(words.contains(part), "{part}: {text}");
    }
    assert!(
        text.lines().any(|line| line.contains("users with checkout_completed") && line.ends_with(" fell")),
        "{text}"
    );
    assert!(text.lines().any(|line| line.contains("users with sign <up>") && line.ends_with(" no data")), "{text}");

    let page = compare("p.yaml", "html", 1).out;
    assert!(page.contains("Fewer users reach checkout_completed") && page.contains("users with sign &lt;up&gt;"));
    let report = compare("p.yaml", "json", 1).json();
    let [checkout, signup] = [0, 1].map(|at| report["comparisons"][0]["conversions"][at].clone());
    assert_eq!((&checkout["event"], &checkout["finding"]), (&"checkout_completed".into(), &"regressed".into()));
    assert!(checkout["effect"]["high"].as_f64().unwrap() < 1.0 && checkout["log_e"].as_f64().unwrap() > 7.0);
    let share = |arm: usize| checkout["met"][arm].as_f64().unwrap() / checkout["counts"][arm].as_f64().unwrap();
    assert_eq!((checkout["baseline"].as_f64(), checkout["canary"].as_f64()), (Some(share(0)), Some(share(1))));
    assert_eq!((&signup["finding"], &signup["lines"]), (&"no data".into(), &0.into()));

    let ledger = std::fs::read_to_string(folder.join("l.ndjson")).unwrap();
    let values = ledger_values(&ledger);
    let failed = values.iter().find(|entry| entry.get("verdict").is_some_and(|verdict| verdict == "fail")).unwrap();
    assert_eq!(failed["conversions"]["checkout_completed"]["finding"], "regressed");
    assert!(!ledger.contains("\"u1"), "no unit's name");
    assert!(serin(folder, &["show", "l.ndjson"]).expect(0).out.contains(", fewer: checkout_completed"));
    let again = serin(folder, &["replay", "l.ndjson", "shop.log", "orders.log", "--threads", "3"]).expect(0);
    assert!(again.out.contains("Every byte agrees"), "{}", again.out);

    let elsewhere = compare("field.yaml", "json", 0).json();
    assert_eq!(elsewhere["comparisons"][0]["conversions"][0]["lines"], 0);
}
