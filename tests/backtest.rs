//! `serin backtest`: on a month of known truth every deploy is found, every bad canary is stopped and no sound one, and
//! what replaced another version within minutes is told of without a verdict.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::process::Stdio;

use common::{bytes_of, command, folder_with, said, serin};
use serde_json::Value;
use serin::demo::archive::{Archive, Deploy, Kind, Size};
use serin::demo::traffic::{Effect, Fleet, Story, Traffic, stories};
use serin::time::{HOUR, MINUTE, Timestamp};

/// Months that are judged at each run; `SERIN_BACKTEST_SEEDS=3,4,5` takes others.
const SEEDS: [u64; 2] = [1, 2];

/// The report on what is piped into the program.
fn backtest(arguments: &[&str], mut write: impl FnMut(&mut Vec<u8>) -> bool + Send) -> Value {
    let mut command = command();
    command.args(["backtest", "-", "--format", "json"]).args(arguments);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut stdin = child.stdin.take().unwrap();
    let output = std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut lines = Vec::new();
            while write(&mut lines) {
                stdin.write_all(&lines).expect("it reads to the end");
                lines.clear();
            }
        });
        child.wait_with_output().expect("it ends")
    });
    said(output).expect(0).json()
}

/// A month, judged: its truth and the report.
fn month(seed: u64) -> (Vec<Deploy>, Value) {
    let mut archive = Archive::new(seed, Size::default());
    let truth = archive.deploys().to_vec();
    (truth, backtest(&[], move |lines| archive.minute(lines)))
}

fn list<'v>(of: &'v Value, key: &str) -> &'v [Value] {
    of[key].as_array().unwrap_or_else(|| panic!("no list {key}"))
}

fn time(of: &Value) -> Timestamp {
    serin::pipeline::clock::parse_time(of.as_str().unwrap()).unwrap()
}

/// What a month was judged to be.
#[derive(Clone, Copy, Debug, Default)]
struct Score {
    deploys: usize,
    canaries: usize,
    bad: usize,
    stopped: usize,
    rightly: usize,
    passed: usize,
    spared: u64,
    rivals: [[usize; 2]; 2],
}

/// Compares a report with the truth.
fn score(truth: &[Deploy], report: &Value) -> Score {
    let mut score = Score::default();
    let found = list(report, "deploys");
    for deploy in truth {
        if deploy.kind == Kind::Restart {
            let near =
                |of: &&Value| of["version"] == deploy.to && (time(&of["at"]).0 - deploy.at.0).abs() <= 10 * MINUTE;
            assert_eq!(list(report, "restarts").iter().filter(near).count(), 1, "{deploy:?}");
            continue;
        }
        let of_versions: Vec<&Value> =
            found.iter().filter(|of| of["from"] == deploy.from && of["to"] == deploy.to).collect();
        let [told] = of_versions.as_slice() else { panic!("{deploy:?} is told of {} times", of_versions.len()) };
        assert!((time(&told["at"]).0 - deploy.at.0).abs() <= 40 * MINUTE, "{deploy:?}: {}", told["at"]);
        score.deploys += 1;
        if deploy.kind == Kind::CutOver {
            assert_eq!(told["outcome"], "cut_over", "{deploy:?}: {told}");
            assert!(told.get("judged").is_none() && told["cut_over"]["before"]["requests"].as_u64() > Some(1_000));
            continue;
        }
        let outcome = told["outcome"].as_str().unwrap();
        let stopped = outcome == "stopped";
        score.canaries += 1;
        score.bad += usize::from(deploy.is_bad());
        score.stopped += usize::from(stopped);
        score.rightly += usize::from(stopped && deploy.is_bad());
        score.passed += usize::from(outcome == "passed");
        score.spared += told["judged"]["spared"].as_u64().unwrap_or(0);
        for (rule, counts) in ["flagger", "kayenta"].into_iter().zip(&mut score.rivals) {
            let stops = told["judged"]["rules"][rule]["decision"] == "stopped";
            counts[usize::from(!deploy.is_bad())] += usize::from(stops);
        }
        let fate = &told["judged"]["fate"];
        assert_eq!(fate, if deploy.promoted { "given to everybody" } else { "taken back" }, "{deploy:?}");
        println!("{} {outcome} {:?} {}", deploy.to, deploy.effect, told["judged"]["stopped"]);
    }
    let restarts = truth.iter().filter(|deploy| deploy.kind == Kind::Restart).count();
    assert_eq!(list(report, "restarts").len(), restarts);
    assert_eq!(found.len(), score.deploys, "nothing else was taken for a deploy");
    score
}

#[test]
fn a_month_of_forty_deploys_is_judged_rightly() {
    let asked = std::env::var("SERIN_BACKTEST_SEEDS").ok();
    let seeds: Vec<u64> = match &asked {
        Some(list) => list.split(',').map(|seed| seed.trim().parse().unwrap()).collect(),
        None => SEEDS.to_vec(),
    };
    let scores = std::thread::scope(|scope| {
        let one = |seed: u64| scope.spawn(move || month(seed));
        // Two at a time: each has two threads of its own.
        let mut scores = Vec::new();
        for two in seeds.chunks(2) {
            let runs: Vec<_> = two.iter().map(|seed| (*seed, one(*seed))).collect();
            scores.extend(runs.into_iter().map(|(seed, run)| {
                let (truth, report) = run.join().unwrap();
                let score = score(&truth, &report);
                println!("seed {seed}: {score:?}");
                score
            }));
        }
        scores
    });
    for score in &scores {
        assert_eq!((score.deploys, score.canaries, score.bad), (40, 30, 6));
        assert_eq!(score.rightly, score.bad, "every bad canary is stopped: {score:?}");
        assert!(score.spared > 0);
    }
    let (rightly, stopped) = scores.iter().fold((0, 0), |(a, b), score| (a + score.rightly, b + score.stopped));
    println!("precision: {rightly} of {stopped}");
    assert!(rightly as f64 >= 0.95 * stopped as f64, "{rightly} of {stopped}");
}

/// The first days of an archive, a file a day, with its deploys.
fn days(seed: u64, number: u32) -> (Vec<Deploy>, Vec<Vec<u8>>) {
    let mut archive = Archive::new(seed, Size { requests_per_minute: 60.0, users: 4_000 });
    let truth = archive.deploys().to_vec();
    let files = (0..number).map(|_| {
        let mut lines = Vec::new();
        (0..1_440).for_each(|_| assert!(archive.minute(&mut lines)));
        lines
    });
    (truth, files.collect())
}

/// What is told, without how it was asked for.
fn told(mut report: Value) -> Value {
    report.as_object_mut().unwrap().remove("notes");
    report
}

#[test]
fn days_in_files_packed_or_piped_tell_the_same() {
    let (_, files) = days(1, 5);
    let whole = files.concat();
    let packed = zstd::encode_all(whole.as_slice(), 1).unwrap();
    let folder = folder_with(&[("whole.ndjson", &whole), ("packed", &packed)]);
    std::fs::create_dir(folder.path().join("days")).unwrap();
    for (day, bytes) in files.iter().enumerate() {
        std::fs::write(folder.path().join(format!("days/app-2026-06-0{}.ndjson", day + 1)), bytes).unwrap();
    }
    let of = |arguments: &[&str]| {
        let arguments = [&["backtest", "--format", "json"], arguments].concat();
        told(serin(folder.path(), &arguments).expect(0).json())
    };
    let report = of(&["whole.ndjson", "--threads", "1"]);
    assert!(list(&report, "deploys").len() >= 4, "{report:#}");
    assert_eq!(report, of(&["packed"]));
    assert_eq!(report, of(&["whole.ndjson", "--threads", "3"]));
    let mut once = Some(whole.clone());
    assert_eq!(report, told(backtest(&[], move |lines| once.take().map(|all| *lines = all).is_some())));
    // In files of a day each, the lines that were flushed after midnight stand in the file of the next.
    assert_eq!(report, of(&["days"]));

    // A part of the time: what began before is not there, or begins later.
    let second = &list(&report, "deploys")[1];
    let since = time(&second["at"]).0 - HOUR;
    let part = of(&["whole.ndjson", "--since", &Timestamp(since).to_string()]);
    let deploys = list(&part, "deploys");
    assert_eq!(deploys.len(), list(&report, "deploys").len() - 1);
    assert_eq!((&deploys[0]["to"], &deploys[0]["at"]), (&second["to"], &second["at"]));
    let none = serin(folder.path(), &["backtest", "packed", "--until", "2020-01-01T00:00:00Z"]).expect(2);
    assert!(none.err.contains("nothing lies in the times"), "{}", none.err);
}

/// Distinct users of a version, those of them that came after a time, and its requests.
fn users_of(log: &[u8], version: &str, after: Timestamp) -> (usize, usize, u64) {
    let mut first: BTreeMap<String, i64> = BTreeMap::new();
    let mut requests = 0;
    for line in std::str::from_utf8(log).unwrap().lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line["version"] == version && line["kind"] == "request" {
            let at = time(&line["timestamp"]).0;
            let known = first.entry(line["user_id"].as_str().unwrap().to_owned()).or_insert(at);
            *known = (*known).min(at);
            requests += 1;
        }
    }
    (first.len(), first.values().filter(|at| **at >= after.0).count(), requests)
}

#[test]
fn users_exposed_and_spared_are_those_of_the_log() {
    // A canary of everybody's errors that is taken back after five hours.
    let log = rollout(Story {
        minutes: 420,
        lead_minutes: 120,
        canary_share: 0.3,
        effect: Effect::Fails { share: 0.05 },
        ..small()
    });
    let report = of_log(&log);
    let [deploy] = list(&report, "deploys") else { panic!("{report:#}") };
    let judged = &deploy["judged"];
    assert_eq!(deploy["outcome"], "stopped");
    let (exposed, spared, requests) = users_of(&log, "2.5.0", time(&judged["stopped"]["at"]));
    // The first windows, before there was enough to compare, count when their users come again.
    let near = |said: &Value, truth: u64| {
        let said = said.as_u64().unwrap();
        assert!(said <= truth && said + truth / 50 + 20 >= truth, "{said} of {truth}");
    };
    near(&judged["exposed"], exposed as u64);
    near(&judged["requests"], requests);
    let said = judged["spared"].as_u64().unwrap();
    assert!(said.abs_diff(spared as u64) <= 20, "{said} of {spared}");
    assert_eq!(
        judged["exposed"].as_u64().unwrap() - judged["stopped"]["exposed"].as_u64().unwrap(),
        said,
        "{judged:#}"
    );
    assert_eq!(judged["shares"].as_array().unwrap().len(), 1);
}

/// A service that is small enough for a test.
fn small() -> Story {
    let healthy = stories()[0];
    Story { requests_per_minute: 120.0, users: 5_000, declared_share: None, traced_share: 0.0, ..healthy }
}

fn rollout(story: Story) -> Vec<u8> {
    let fleet = Fleet { users: 5, pods: [1, 2] };
    let mut traffic = Traffic::of_fleet(&story, fleet, 11);
    let mut lines = Vec::new();
    while traffic.minute(&mut lines) {}
    lines
}

fn of_log(log: &[u8]) -> Value {
    let folder = folder_with(&[("app.log", log)]);
    serin(folder.path(), &["backtest", "app.log", "--format", "json"]).expect(0).json()
}

#[test]
fn what_replaced_another_is_no_verdict_however_bad() {
    const ROLLING: &[(u32, f64)] = &[(0, 0.25), (1, 0.5), (2, 0.75), (3, 1.0)];
    for (ramp, effect) in [
        (ROLLING, Effect::None),
        (ROLLING, Effect::Fails { share: 0.04 }),
        (&[], Effect::Fails { share: 0.2 }),
        (ROLLING, Effect::Slows { factor: 1.3 }),
    ] {
        let log = rollout(Story { minutes: 600, lead_minutes: 120, canary_share: 1.0, ramp, effect, ..small() });
        let report = of_log(&log);
        let [deploy] = list(&report, "deploys") else { panic!("{report:#}") };
        assert_eq!(deploy["outcome"], "cut_over", "{effect:?} {report:#}");
        let side = |side: &str| {
            let of = &deploy["cut_over"][side];
            of["errors"].as_f64().unwrap() / of["requests"].as_f64().unwrap()
        };
        let (before, after) = (side("before"), side("after"));
        let share = if let Effect::Fails { share } = effect { share } else { 0.0 };
        assert!((after - before - share).abs() < 0.02, "{before} {after}");
        assert_eq!(report["summary"]["outcomes"]["stopped"], 0);
    }
}

#[test]
fn steps_of_a_ramp_are_told() {
    const RAMP: &[(u32, f64)] = &[(0, 0.05), (60, 0.2), (120, 0.5)];
    let log = rollout(Story { minutes: 360, lead_minutes: 120, canary_share: 0.5, ramp: RAMP, ..small() });
    let report = of_log(&log);
    let shares: Vec<f64> = list(&list(&report, "deploys")[0]["judged"], "shares")
        .iter()
        .map(|step| step["share"].as_f64().unwrap())
        .collect();
    let [first, second, third] = shares.as_slice() else { panic!("{shares:?}") };
    let near = |share: &f64, truth: f64| assert!((share / truth - 1.0).abs() < 0.3, "{share} {truth}");
    near(first, 0.05);
    near(second, 0.2);
    near(third, 0.5);
    // Whoever moves from the old version to the new one at a step has met it, and counts once.
    let said = list(&report, "deploys")[0]["judged"]["exposed"].as_u64().unwrap();
    let (exposed, _, _) = users_of(&log, "2.5.0", Timestamp(0));
    assert!(said.abs_diff(exposed as u64) <= 20, "{said} of {exposed}");
}

#[test]
fn one_version_alone_is_no_deploy() {
    let log = rollout(Story { minutes: 30, lead_minutes: 30, canary_share: 0.0, ..small() });
    let folder = folder_with(&[("app.log", &log)]);
    let text = serin(folder.path(), &["backtest", "app.log"]).expect(0).out;
    assert!(text.contains("checkout in production: no deploy") && text.contains("0 deploys:"), "{text}");
}

#[test]
fn the_table_can_be_read_in_a_hundred_columns() {
    let (_, files) = days(3, 4);
    let folder = folder_with(&[("app.log", &files.concat())]);
    let text = serin(folder.path(), &["backtest", "app.log"]).expect(0).out;
    let widest = text.lines().map(|line| line.chars().count()).max().unwrap();
    assert!(widest <= 100, "{widest}\n{text}");
    for words in ["when (UTC)", "spared", "would have passed", "Flagger's rule would have stopped"] {
        assert!(text.contains(words), "{words} is missing in {text}");
    }
}

#[test]
fn what_cannot_be_asked_is_said() {
    let traffic = common::Traffic::default();
    let folder = folder_with(&[
        ("app.log", &bytes_of(&traffic.lines())),
        ("plain.log", b"{\"time\":\"2026-06-01T00:00:00Z\",\"status\":200,\"user\":\"a\"}\n"),
    ]);
    let refused: BTreeSet<(&str, &[&str])> = BTreeSet::from([
        ("--arm-by FIELD", &["backtest", "plain.log"] as &[&str]),
        ("a split by hash has no deploys", &["backtest", "app.log", "--arm-by", "hash(unit, 5%, 1)"]),
        ("no such file", &["backtest", "none.log"]),
        ("required", &["backtest"]),
    ]);
    for (words, arguments) in refused {
        let said = serin(folder.path(), arguments).expect(2);
        assert!(said.err.contains(words), "{arguments:?}: {}", said.err);
    }
    let help = serin(folder.path(), &["backtest", "--help"]).expect(0).out;
    assert!(help.contains("Exit status: 0 done"), "{help}");
}
