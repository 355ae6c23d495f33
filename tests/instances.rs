//! Instances (pods, hosts): a canary of one, late lines by name, warnings whose arm only the instance tells, and far too
//! many of them.

mod common;

use common::{Case, Line, Random, START, Traffic, bytes_of, folder_with, serin, with_pods};
use serde_json::json;
use serin::compare::verdict::{Behaviour, Flaw};
use serin::engine::policy::Policy;
use serin::engine::units::Arm;
use serin::engine::{Engine, Input};
use serin::pipeline::survey::Wishes;
use serin::time::SECOND;

fn judged(streams: Vec<(&str, Vec<Line>)>) -> Engine {
    let streams = streams.into_iter().map(|(name, lines)| (name.to_owned(), bytes_of(&lines))).collect();
    let case = Case::new("instances", streams, &Wishes::default(), Policy::default());
    let (mut engine, _) = case.engine();
    for fed in case.inputs(50_000, &mut Random::new(1)) {
        engine.apply(fed.input());
    }
    engine.apply(Input::Finish);
    engine
}

/// Each arm on so many pods of its own.
fn on_pods(line: &Line, pods: [u64; 2]) -> String {
    format!("web-{}-{}", ["old", "new"][line.arm], line.user % pods[line.arm])
}

#[test]
fn a_failure_on_one_pod_is_of_this_pod_or_this_version() {
    let lines = Traffic { errors: vec![0.02, 0.5], ..Traffic::default() }.lines();
    let said = |pods: [u64; 2], arguments: &[&str]| {
        let folder = folder_with(&[("app.log", &bytes_of(&with_pods(&lines, |line| on_pods(line, pods))))]);
        serin(folder.path(), &[&["compare", "app.log"], arguments].concat()).expect(1)
    };
    let words = "`canary` ran on one instance alone, `web-new-0`: it is this pod or this version";
    let one = said([3, 1], &[]).out;
    assert!(one.lines().next().unwrap().ends_with(" is worse than baseline, on one condition"), "{one}");
    assert!(one.replace("\n  ", " ").contains(&format!("The condition: {words}.")), "{one}");
    assert!(one.contains("3 of the baseline, 1 of the canary"), "{one}");
    let report = said([3, 1], &["--format", "json"]).json();
    let comparison = &report["comparisons"][0];
    assert_eq!(comparison["assumption"], words);
    let canary = &comparison["instances"]["canary"];
    assert_eq!((&canary["seen"], &canary["more"]), (&json!(1), &json!(false)));
    let requests = &comparison["by_service"][0]["canary"]["requests"];
    assert_eq!((&canary["list"][0]["instance"], &canary["list"][0]["requests"]), (&json!("web-new-0"), requests));
    let two = said([3, 2], &[]).out;
    assert!(two.lines().next().unwrap().ends_with(" is worse than baseline"), "{two}");
    assert!(!two.contains("one instance"), "{two}");
    // One proxy in front of both arms says nothing of the pods behind it.
    let folder = folder_with(&[("app.log", &bytes_of(&with_pods(&lines, |_| "proxy-1".to_owned())))]);
    let proxy = serin(folder.path(), &["compare", "app.log"]).expect(1).out;
    assert!(!proxy.contains("condition") && proxy.contains("1 of the baseline, 1 of the canary"), "{proxy}");
}

#[test]
fn a_pass_of_one_pod_says_so_where_requests_are_routed_one_by_one() {
    // Each request goes to either arm, whoever asks.
    let per_request = |sticky: bool, pods: [u64; 2]| {
        let mut random = Random::new(5);
        let lines: Vec<Line> = (0..80_000u64)
            .map(|number| {
                let user = random.below(20_000);
                let arm = if sticky { user % 2 } else { random.below(2) } as usize;
                let (name, pod) = (["baseline", "canary"][arm], ["old", "new"][arm]);
                let pod = format!("web-{pod}-{}", random.below(pods[arm]));
                let status = if random.chance(0.005) { 503 } else { 200 };
                let latency = 20 + random.below(80);
                let fields = format!(
                    "\"pod\":\"{pod}\",\"service\":\"shop\",\"cohort\":\"{name}\",\"user\":\"u{user}\",\"status\":{status},\"latency_ms\":{latency},\"route\":\"/a\""
                );
                Line::new(START + number as i64 * SECOND / 5, user, arm, &fields)
            })
            .collect();
        let folder = folder_with(&[("app.log", &bytes_of(&lines)), ("p.yaml", b"guardrails: [errors]\n")]);
        serin(folder.path(), &["compare", "app.log", "--policy", "p.yaml"]).expect(0).out.replace("\n  ", " ")
    };
    let words = "`canary` ran on one instance alone, `web-new-0`: other pods of this version are taken to do as well";
    let one = per_request(false, [3, 1]);
    assert!(one.contains("requests are routed one by one"), "{one}");
    assert!(one.contains("within every margin asked for, on one condition"), "{one}");
    assert!(one.contains(&format!("The condition: {words}.")), "{one}");
    for (sticky, pods) in [(false, [3, 2]), (true, [3, 1])] {
        let other = per_request(sticky, pods);
        assert!(!other.contains("condition"), "{other}");
    }
}

#[test]
fn late_lines_are_told_by_instance() {
    // One pod of the canary ships its lines a minute late.
    let lines = with_pods(&Traffic::default().lines(), |line| on_pods(line, [3, 3]));
    let mut written: Vec<(i64, Line)> = lines
        .into_iter()
        .map(|line| (line.at + if line.text.contains("web-new-2") { 60 * SECOND } else { 0 }, line))
        .collect();
    written.sort_by_key(|(at, _)| *at);
    let lines: Vec<Line> = written.into_iter().map(|(_, line)| line).collect();
    let late = lines.iter().filter(|line| line.text.contains("web-new-2") && line.text.contains("cohort")).count();
    let engine = judged(vec![("app.log", lines.clone())]);
    let comparison = engine.comparison(0, 0).unwrap();
    assert!(comparison.look.flaws.contains(&Flaw::Lateness), "{:?}", comparison.look.flaws);
    let (name, count) = comparison.instances.latest(Arm::Candidate).unwrap();
    assert_eq!(name, "web-new-2");
    assert!(count as usize > late * 9 / 10 && count as usize <= late, "{count} of {late}");
    let of = |arm: Arm| comparison.instances.list(arm).iter().map(|(_, totals)| totals.late).sum::<u64>();
    assert_eq!([of(Arm::Control), of(Arm::Candidate)], [0, 1].map(|arm| comparison.totals[0][arm].late));
    let folder = folder_with(&[("app.log", &bytes_of(&lines))]);
    let text = serin(folder.path(), &["compare", "app.log"]).expect(4).out;
    let all = comparison.totals[0][0].late + comparison.totals[0][1].late;
    let words = format!("{count} of {all} late lines are of `web-new-2` (canary)");
    assert_eq!(text.split_whitespace().collect::<Vec<_>>().join(" ").matches(&words).count(), 2, "{text}");
    let report = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
    let first = &report["comparisons"][0]["instances"]["canary"]["list"][0];
    assert_eq!((&first["instance"], &first["late"]), (&json!("web-new-2"), &json!(count)));
}

/// A line that names an instance alone belongs to the arm that this instance ran, if it ran one.
#[test]
fn warnings_that_name_their_instance_alone_are_of_its_arm() {
    let healthy =
        Traffic { requests: 6_000, users: 1_500, minutes: 100, errors: vec![0.02, 0.02], ..Traffic::default() };
    let lines = |pods: &dyn Fn(&Line) -> String, rate: [u64; 2]| {
        let mut lines: Vec<Line> = Vec::new();
        for (number, line) in healthy.lines().into_iter().enumerate() {
            let pod = pods(&line);
            let text = line.text.replacen('{', &format!("{{\"pod\":\"{pod}\","), 1);
            if number as u64 % 10 < rate[line.arm] {
                let fields = format!("\"service\":\"shop\",\"level\":\"error\",\"msg\":\"panic\",\"pod\":\"{pod}\"");
                lines.push(Line::new(line.at + 1, line.user, line.arm, &fields));
            }
            lines.push(Line { text, ..line });
        }
        lines.sort_by_key(|line| line.at);
        lines
    };
    let own = |line: &Line| on_pods(line, [3, 2]);
    let changed = |engine: &Engine| engine.comparison(0, 0).unwrap().look.changed_groups().collect::<Vec<_>>();
    let sums = |engine: &Engine| engine.comparison(0, 0).unwrap().warnings.sums();
    // The canary panics in nine of ten requests, the baseline in one.
    let engine = judged(vec![("app.log", lines(&own, [1, 9]))]);
    assert!(changed(&engine).contains(&Behaviour::WarningLines), "{:?}", changed(&engine));
    let [control, candidate] = sums(&engine);
    assert!(candidate > 4 * control && control > 100, "{control} {candidate}");
    let unattributed = engine.unattributed_warnings(0);
    assert!(unattributed < 100, "before an arm is compared nobody knows it: {unattributed}");
    // Alike in both arms: no change.
    let engine = judged(vec![("app.log", lines(&own, [5, 5]))]);
    assert!(!changed(&engine).contains(&Behaviour::WarningLines), "{:?}", changed(&engine));
    // Pods that run both arms tell nothing: nobody knows whose the panics are.
    let all = lines(&|line| format!("web-{}", line.user % 3), [1, 9]);
    let panics = all.iter().filter(|line| line.text.contains("panic")).count() as u64;
    let engine = judged(vec![("app.log", all)]);
    assert!(sums(&engine).iter().sum::<i64>() < 100, "{:?}", sums(&engine));
    assert!(engine.unattributed_warnings(0) + 100 > panics, "{} of {panics}", engine.unattributed_warnings(0));
}

#[test]
fn a_hundred_thousand_instances_stay_within_bounds() {
    let lines: Vec<Line> = (0..100_000u64)
        .map(|number| {
            let arm = (number % 2) as usize;
            let name = ["baseline", "canary"][arm];
            let fields = format!(
                "\"pod\":\"pod-{number}\",\"service\":\"shop\",\"cohort\":\"{name}\",\"user\":\"u{}\",\"status\":200,\"latency_ms\":5",
                number % 500 * 2 + number % 2
            );
            Line::new(START + number as i64 * 3_000, number, arm, &fields)
        })
        .collect();
    let streams = vec![("app.log".to_owned(), bytes_of(&lines))];
    let case = Case::new("many instances", streams, &Wishes::default(), Policy::default());
    let (mut engine, _) = case.engine();
    for fed in case.inputs(1 << 20, &mut Random::new(1)) {
        if let common::Fed::Partial(_, partial, _) = &fed {
            assert!(partial.names.instances.len() <= 4_096 && partial.instances.as_slice().len() <= 2 * 4_096);
        }
        engine.apply(fed.input());
    }
    engine.apply(Input::Finish);
    let comparison = engine.comparison(0, 0).unwrap();
    for arm in [Arm::Control, Arm::Candidate] {
        assert_eq!(comparison.instances.seen(arm), 256);
        assert!(comparison.instances.has_others(arm));
        let lines: u64 = comparison.instances.list(arm).iter().map(|(_, totals)| totals.lines).sum();
        assert_eq!(lines, comparison.totals[0][arm.at()].lines, "none is lost");
    }
    assert_eq!(comparison.totals[0].iter().map(|totals| totals.lines).sum::<u64>(), 100_000);
    assert!(engine.snapshot().len() < 4 << 20, "{} bytes", engine.snapshot().len());
}
