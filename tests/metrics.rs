//! Metrics of one's own: what a pipeline measures fails a rollout where it goes the way that does harm, and only then.

mod common;

use common::{Case, Line, Random, Traffic, bytes_of, entries, folder_with, ledger_values, serin};
use serde_json::Value;
use serin::compare::verdict::{Finding, Flaw, Verdict};
use serin::engine::policy::Policy;
use serin::engine::{Engine, Input};
use serin::pipeline::metric::{Metric, MetricKind};
use serin::pipeline::survey::Wishes;
use serin::time::SECOND;

const PIPELINE: &str = r#"pipeline: shop
metrics:
  - {name: cache hits, where: 'cache:hit', of: '_exists_:cache', harm: falls}
  - {name: database calls, where: 'call:db', harm: rises}
  - {name: render time, field: render_ms, harm: rises}
  - {name: cart, field: cart.value, where: 'status:200', harm: falls}
tests:
  - about: what lines say of each metric
    lines:
      - '{"ts":"2026-06-01T10:00:00Z","service":"shop","cohort":"canary","user":"u1","status":200,"latency_ms":5,"cache":"hit","render_ms":12.5,"cart":{"value":20}}'
      - '{"ts":"2026-06-01T10:00:01Z","service":"shop","cohort":"canary","user":"u1","status":500,"latency_ms":5,"cache":"miss","render_ms":-1,"cart":{"value":20}}'
      - '{"ts":"2026-06-01T10:00:02Z","service":"shop","cohort":"canary","user":"u1","msg":"select","call":"db"}'
      - '{"ts":"2026-06-01T10:00:03Z","service":"shop","cohort":"canary","user":"u1","msg":"nothing to measure"}'
    gives:
      - {metrics: 'cache hits 1, render time 12.416, cart 19.968'}
      - {metrics: 'cache hits 0, render time unreadable'}
      - {metrics: database calls 1}
      - {kind: log}
"#;
const NAMES: [&str; 4] = ["cache hits", "database calls", "render time", "cart"];

/// Users who come often, alike in both arms.
fn shop(seed: u64) -> Traffic {
    Traffic {
        seed,
        users: 1_500,
        requests: 24_000,
        minutes: 60,
        shares: vec![0.4],
        errors: vec![0.005; 2],
        slower: vec![1.0; 2],
        ..Traffic::default()
    }
}

/// Requests that say what the pipeline measures, and calls that name neither arm nor cohort; `worse`: the metric that is worse in the
/// canary by a quarter or so. Users differ in all of them.
fn measured(traffic: &Traffic, worse: Option<usize>) -> Vec<Line> {
    let mut random = Random::new(traffic.seed ^ 0x3e);
    let mut lines = Vec::new();
    for mut line in traffic.lines() {
        let is_worse = |at: usize| line.arm == 1 && worse == Some(at);
        let of_user = (line.user * 7 % 10) as f64 / 10.0;
        let hit = random.chance(0.85 + of_user * 0.1 - if is_worse(0) { 0.06 } else { 0.0 });
        let spread = |random: &mut Random| 0.5 + random.chance(0.5) as u64 as f64 + random.below(100) as f64 / 100.0;
        let render = 40.0 * (1.0 + of_user) * spread(&mut random) * if is_worse(2) { 1.25 } else { 1.0 };
        let cart = 20.0 * (1.0 + of_user) * spread(&mut random) * if is_worse(3) { 0.8 } else { 1.0 };
        let calls = random.below(3) + if is_worse(1) { u64::from(random.chance(0.4)) } else { 0 };
        let text = line.text.strip_suffix('}').expect("an object").to_owned();
        let cache = if hit { "hit" } else { "miss" };
        line.text =
            format!("{text},\"cache\":\"{cache}\",\"render_ms\":{render:.3},\"cart\":{{\"value\":{cart:.2}}}}}");
        for n in 0..calls {
            let fields = format!("\"service\":\"shop\",\"msg\":\"select\",\"call\":\"db\",\"user\":\"u{}\"", line.user);
            lines.push(Line::new(line.at + SECOND + n as i64, line.user, line.arm, &fields));
        }
        lines.push(line);
    }
    lines.sort_by_key(|line| line.at);
    lines
}

#[test]
fn each_kind_fails_where_it_is_worse_and_nowhere_else() {
    for worse in [None, Some(0), Some(1), Some(2), Some(3)] {
        let lines = bytes_of(&measured(&shop(3), worse));
        let folder = folder_with(&[("shop.log", &lines), ("p.yaml", PIPELINE.as_bytes())]);
        let arguments = ["compare", "shop.log", "--pipeline", "p.yaml", "--format", "json"];
        let run = serin(folder.path(), &arguments);
        assert_eq!(run.status == 1, worse.is_some(), "{worse:?}: {}", run.err);
        let report = run.json();
        let list = report["comparisons"][0]["metrics"].as_array().unwrap();
        assert_eq!(list.len(), NAMES.len());
        for (at, (of, name)) in list.iter().zip(NAMES).enumerate() {
            assert_eq!(of["metric"], *name);
            let finding = if worse == Some(at) { "regressed" } else { "undecided" };
            assert_eq!(of["finding"], finding, "{worse:?}: {of}");
            assert_eq!(of["unassigned"].as_u64(), Some(0), "{of}");
        }
        let guardrails = report["comparisons"][0]["guardrails"].as_array().unwrap();
        assert!(guardrails.iter().all(|row| row["finding"] != "regressed"), "{guardrails:?}");
    }
}

#[test]
fn values_are_those_of_the_log() {
    let lines = measured(&shop(5), Some(2));
    let folder = folder_with(&[("shop.log", &bytes_of(&lines)), ("p.yaml", PIPELINE.as_bytes())]);
    let arguments = ["compare", "shop.log", "--pipeline", "p.yaml", "--format", "json"];
    let report = serin(folder.path(), &arguments).expect(1).json();
    let of = |name: &str| {
        let list = report["comparisons"][0]["metrics"].as_array().unwrap();
        list.iter().find(|of| of["metric"] == name).unwrap().clone()
    };
    let objects: Vec<(usize, Value)> =
        lines.iter().map(|line| (line.arm, serde_json::from_str(&line.text()).unwrap())).collect();
    for (arm, key) in ["baseline", "canary"].into_iter().enumerate() {
        let ours = || objects.iter().filter(|(of, _)| *of == arm).map(|(_, object)| object);
        let requests = ours().filter(|object| object.get("status").is_some()).count() as f64;
        let hits = ours().filter(|object| object["cache"] == "hit").count() as f64;
        assert_eq!(of("cache hits")[key].as_f64(), Some(hits / requests));
        let calls = ours().filter(|object| object.get("call").is_some()).count() as f64;
        assert_eq!(of("database calls")[key].as_f64(), Some(calls / requests));
        let renders: Vec<f64> = ours().filter_map(|object| object.get("render_ms")?.as_f64()).collect();
        let typical = (renders.iter().map(|value| value.ln_1p()).sum::<f64>() / renders.len() as f64).exp_m1();
        let said = of("render time")[key].as_f64().unwrap();
        assert!((said / typical - 1.0).abs() < 0.005, "{said} {typical}");
        let mut sorted = renders;
        sorted.sort_by(f64::total_cmp);
        for (place, share) in [0.5, 0.9, 0.99].into_iter().enumerate() {
            let exact = sorted[(sorted.len() as f64 * share) as usize];
            let said = of("render time")["percentiles"][key][place].as_f64().unwrap();
            assert!((said / exact - 1.0).abs() < 0.02, "p{share}: {said} {exact}");
        }
    }
}

#[test]
fn a_worse_metric_is_said_everywhere() {
    let lines = bytes_of(&measured(&shop(9), Some(2)));
    let folder = folder_with(&[("shop.log", &lines), ("p.yaml", PIPELINE.as_bytes())]);
    let folder = folder.path();
    let compare = |format: &str| {
        let logs = ["compare", "shop.log", "--pipeline", "p.yaml", "--ledger", "l.ndjson", "--format", format];
        serin(folder, &logs).expect(1).out
    };
    let text = compare("text");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "FAIL shop: canary was worse than baseline",
        "render time rises: ",
        " (typical) in the canary, ",
        "render time: 24,000 lines, ",
    ] {
        assert!(words.contains(part), "{part}: {text}");
    }
    assert!(text.lines().any(|line| line.contains("render time, typical") && line.ends_with(" rose")), "{text}");
    assert!(text.lines().any(|line| line.contains("cache hits") && line.ends_with(" undecided")), "{text}");
    assert!(text.lines().any(|line| line.contains("database calls, per request")), "{text}");
    let page = compare("html");
    assert!(page.contains("render time rises") && page.contains("fails when it falls"));
    let ledger = std::fs::read_to_string(folder.join("l.ndjson")).unwrap();
    let values = ledger_values(&ledger);
    let begin = values.iter().find(|entry| entry["kind"] == "begin").unwrap();
    let each = begin["metrics"].as_object().unwrap();
    assert!(each.len() == 4 && each.values().all(|weight| weight.as_f64() == Some(0.12 / 5.0)), "{begin:?}");
    let failed = values.iter().find(|entry| entry.get("verdict").is_some_and(|verdict| verdict == "fail")).unwrap();
    assert_eq!(failed["metrics"]["render time"]["finding"], "regressed");
    assert!(serin(folder, &["show", "l.ndjson"]).expect(0).out.contains(", worse: render time"));
    let again = serin(folder, &["replay", "l.ndjson", "shop.log", "--threads", "3"]).expect(0);
    assert!(again.out.contains("Every byte agrees"), "{}", again.out);
    serin(folder, &["test", "p.yaml"]).expect(0);
}

/// Fields that hold what is measured, without rules.
fn case(lines: &[Line]) -> Case {
    let metric =
        |name: &str, kind, field: &str| Metric { name: name.to_owned(), kind, field: field.to_owned(), harms: true };
    let metrics = vec![
        metric("render", MetricKind::Gauge, "render_ms"),
        metric("never", MetricKind::Count, "not.there"),
        metric("calls", MetricKind::Count, "one"),
    ];
    let policy = Policy { metrics: metrics.clone(), ..Policy::default() };
    let mut case = Case::new("metrics", vec![("shop.log".to_owned(), bytes_of(lines))], &Wishes::default(), policy);
    case.plan.metrics = metrics;
    case
}

#[test]
fn a_restored_engine_goes_on_alike() {
    let mut lines = measured(&shop(8), Some(2));
    lines.iter_mut().for_each(|line| line.text = line.text.replace("\"call\":\"db\"", "\"one\":1"));
    let case = case(&lines);
    let fed = case.inputs(20_000, &mut Random::new(1));
    let (mut engine, _) = case.engine();
    let (before, after) = fed.split_at(fed.len() / 2);
    for input in before {
        engine.apply(input.input());
    }
    let mut again = Engine::restore(case.settings.clone(), &engine.snapshot()).unwrap();
    assert!(again.snapshot() == engine.snapshot());
    assert!(engine.comparison(0, 0).unwrap().metrics[2].counted[1] > 10);
    for input in after {
        assert_eq!(entries(engine.apply(input.input())), entries(again.apply(input.input())));
    }
    assert_eq!(entries(engine.apply(Input::Finish)), entries(again.apply(Input::Finish)));
    assert!(again.snapshot() == engine.snapshot());
    assert_eq!(engine.verdict(), Some(Verdict::Fail));
    let comparison = engine.comparison(0, 0).unwrap();
    let findings = [0, 1, 2].map(|at| comparison.metric_finding(at));
    assert_eq!(findings, [Finding::Regressed, Finding::NoData, Finding::Undecided]);
    assert_eq!(comparison.failure.as_ref().unwrap().metrics, [0]);
}

#[test]
fn what_is_wrong_in_a_metric_is_said_with_its_place() {
    for (metric, words) in [
        ("{where: 'a:b', harm: rises}", "metrics: a name is needed"),
        ("{name: a, where: 'a:b'}", "metrics: `a` needs `harm: rises` or `harm: falls`"),
        ("{name: a, where: 'a:b', harm: up}", "metrics.harm: `up` is unknown; there are falls, rises"),
        (
            "{name: a, harm: rises}",
            "metrics: `a` needs `where` (a count), `where` and `of` (a ratio) or `field` (a gauge)",
        ),
        ("{name: a, where: 'a:(', harm: rises}", "metrics.where: "),
        (
            "{name: a, of: 'a:b', field: c, harm: rises}",
            "a ratio has `where` and `of`, a gauge has a `field`; this has both",
        ),
        ("{name: a, field: ' ', harm: rises}", "metrics.field: the field has no name"),
        ("{name: a, mean: b, harm: rises}", "`metrics.mean` is unknown; there are name, where, of, field, harm"),
    ] {
        let text = format!("pipeline: p\nmetrics:\n  - {metric}\n");
        let folder = folder_with(&[("p.yaml", text.as_bytes())]);
        let said = serin(folder.path(), &["check", "p.yaml"]).expect(2);
        let all = format!("{}{}", said.out, said.err);
        assert!(all.contains(words) && all.contains("3"), "{metric}: {all}");
    }
    let twice = "pipeline: p\nmetrics:\n  - {name: a b, where: 'x:y', harm: rises}\n  - {name: A.B, where: 'x:z', harm: rises}\n";
    let log = bytes_of(&shop(1).lines());
    let folder = folder_with(&[("p.yaml", twice.as_bytes()), ("shop.log", &log)]);
    let said = serin(folder.path(), &["compare", "shop.log", "--pipeline", "p.yaml"]).expect(2);
    assert!(said.err.contains("metrics `a b` and `A.B` are the same"), "{}", said.err);
}

/// A queue that is empty half of the time: what is shown is in the log, and a change of the other half is found.
#[test]
fn a_gauge_that_is_often_zero_is_told_and_tested() {
    const QUEUE: &[u8] = b"pipeline: queue\nmetrics:\n  - {name: depth, field: depth, harm: rises}\n";
    for (of_canary, status) in [(3, 0), (5, 1)] {
        let traffic = shop(15);
        let mut random = Random::new(77);
        let mut lines = traffic.lines();
        for line in &mut lines {
            let full = if line.arm == 1 { of_canary } else { 3 };
            let depth = if random.chance(0.5) { 0 } else { full };
            line.text = format!("{},\"depth\":{depth}}}", line.text.strip_suffix('}').unwrap());
        }
        let folder = folder_with(&[("shop.log", &bytes_of(&lines)), ("p.yaml", QUEUE)]);
        let run = serin(folder.path(), &["compare", "shop.log", "--pipeline", "p.yaml", "--format", "json"]);
        assert_eq!(run.status == 1, status == 1, "{of_canary}: {}", run.out);
        let of = &run.json()["comparisons"][0]["metrics"][0];
        // One more than 0 and one more than 3 have 2 as their geometric mean.
        let typical = of["baseline"].as_f64().unwrap();
        assert!((typical - 1.0).abs() < 0.05, "{of}");
        let percentiles: Vec<f64> = serde_json::from_value(of["percentiles"]["baseline"].clone()).unwrap();
        assert!(percentiles[0] == 0.0 || (percentiles[0] - 3.0).abs() < 0.05, "{of}");
        assert!((percentiles[2] - 3.0).abs() < 0.05, "{of}");
    }
}

/// A canary that begins to write what is no number drops out of its own guardrail: that is said, and no pass.
#[test]
fn a_gauge_that_one_arm_cannot_say_holds_back_a_pass() {
    const RENDER: &[u8] = b"pipeline: render\nmetrics:\n  - {name: render time, field: render_ms, harm: rises}\n";
    for broken in [None, Some("-1"), Some("\"NaN\""), Some("null"), Some("{}")] {
        let word = if broken.is_some() { "inconclusive" } else { "pass" };
        let mut random = Random::new(78);
        let mut lines = Traffic { requests: 90_000, users: 9_000, ..shop(16) }.lines();
        for line in &mut lines {
            let value = match broken {
                Some(broken) if line.arm == 1 && random.chance(0.3) => broken.to_owned(),
                _ => (20 + random.below(40)).to_string(),
            };
            line.text = format!("{},\"render_ms\":{value}}}", line.text.strip_suffix('}').unwrap());
        }
        let folder = folder_with(&[("shop.log", &bytes_of(&lines)), ("p.yaml", RENDER)]);
        let said = serin(folder.path(), &["compare", "shop.log", "--pipeline", "p.yaml", "--format", "json"]).json();
        let of = &said["comparisons"][0];
        assert_eq!(of["verdict"], word, "{broken:?}: {}", of["reasons"]);
        assert_eq!(of["metrics"][0]["unread"][1].as_u64().unwrap() > 0, broken.is_some());
        let flaws = of["flaws"].to_string();
        assert_eq!(flaws.contains(Flaw::OwnMeasurement.name()), broken.is_some(), "{flaws}");
        let reasons = of["reasons"].to_string();
        assert_eq!(reasons.contains("`render time` cannot be compared"), broken.is_some());
        // A pass says nothing of what it does not ask, least of all before a full day.
        let unasked = "No pass rests on metrics of one's own: they were compared for less than a full day.";
        assert_eq!(reasons.contains(unasked), broken.is_none(), "{reasons}");
    }
}

/// However many lines say something, a window keeps so many rows, and a count is that of all.
#[test]
fn past_the_bound_a_sample_of_units_stands_for_all() {
    const CALLS: &[u8] = b"pipeline: calls\nmetrics:\n  - {name: calls, where: 'call:db', harm: rises}\n";
    let text: String = (0..300_000u64)
        .flat_map(|n| {
            let arm = if n % 2 == 0 { "baseline" } else { "canary" };
            let base = format!("\"ts\":\"2026-06-01T10:00:0{}Z\",\"service\":\"shop\",\"user\":\"u{n}\"", n % 10);
            let request = format!("{{{base},\"cohort\":\"{arm}\",\"status\":200,\"latency_ms\":5}}\n");
            [request, format!("{{{base},\"msg\":\"x\",\"call\":\"db\"}}\n")]
        })
        .collect();
    let folder = folder_with(&[("shop.log", text.as_bytes()), ("p.yaml", CALLS)]);
    let said = serin(folder.path(), &["compare", "shop.log", "--pipeline", "p.yaml", "--format", "json"]).json();
    let of = &said["comparisons"][0];
    let shown = ["baseline", "canary"].map(|arm| of["metrics"][0][arm].as_f64().unwrap());
    assert!(shown.iter().all(|calls| (calls - 1.0).abs() < 0.03), "{shown:?}");
    assert!(of["bounds_met"].to_string().contains("for metrics of one's own"), "{}", of["bounds_met"]);
}
