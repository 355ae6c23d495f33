//! `serin backtest`: on a month of known truth every deploy is found, every bad canary is stopped and no sound one, and
//! what replaced another version within minutes is told of without a verdict.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use std::io::Write;
use std::process::Stdio;

use common::{command, said};
use serde_json::Value;
use serin::demo::archive::{Archive, Deploy, Kind, Size};
use serin::time::{MINUTE, Timestamp};

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
