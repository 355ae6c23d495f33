//! `calibrate`: its splits are those of `compare`, what is read again is judged as what was kept, and planted changes
//! are found where nothing is not.

mod common;

use std::sync::atomic::{AtomicU64, Ordering};

use common::{Traffic, bad_day, bytes_of, folder_with, serin, settings_of, survey_of};
use serde_json::Value;
use serin::calibrate::change::Change;
use serin::calibrate::log::{Log, LogError};
use serin::calibrate::{self, Options};
use serin::engine::policy::Policy;
use serin::pipeline::plan::ArmRule;
use serin::pipeline::survey::Wishes;
use serin::source::files::{Part, Stream};
use serin::time::MINUTE;

fn traffic(seed: u64) -> Traffic {
    // Equal arms: what is planted is all there is.
    Traffic {
        seed,
        users: 3_000,
        requests: 12_000,
        minutes: 40,
        errors: vec![0.02; 2],
        slower: vec![1.0; 2],
        ..Traffic::default()
    }
}

fn rule<'a>(group: &'a Value, name: &str) -> &'a Value {
    let rules = group["rules"].as_array().expect("rules");
    rules.iter().find(|rule| rule["rule"] == name).unwrap_or_else(|| panic!("no rule {name}: {group}"))
}

#[test]
fn a_split_is_what_compare_judges() {
    let lines = traffic(3).lines();
    let (even, odd): (Vec<_>, Vec<_>) = lines.iter().cloned().partition(|line| line.user % 2 == 0);
    // Late lines, wrong clocks, a gap and lines that are no events must not come between them.
    let folder = folder_with(&[("a.log", &bad_day(&even, 1)), ("b.log", &bad_day(&odd, 2))]);
    let said = serin(
        folder.path(),
        &[
            "calibrate",
            "a.log",
            "b.log",
            "--splits",
            "4",
            "--share",
            "30%",
            "--plant",
            "errors:20%",
            "--format",
            "json",
        ],
    );
    let report = said.expect(0).json();
    let splits = report["healthy"]["by_split"].as_array().expect("by_split").clone();
    assert_eq!(splits.len(), 4);
    for split in splits {
        let arms = format!("hash(unit, 30%, {})", split["seed"]);
        let compared = serin(folder.path(), &["compare", "a.log", "b.log", "--arm-by", &arms, "--format", "json"]);
        let compared = compared.json();
        let comparison = &compared["comparisons"][0];
        assert_eq!(comparison["verdict"], split["verdict"], "{arms}");
        assert_eq!(comparison["seconds_to_fail"], split["seconds_to_fail"], "{arms}");
        let requests: u64 = comparison["requests"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
        assert!(requests > 10_000, "{requests}");
        assert_eq!(compared["records"]["read"], report["lines"], "{arms}");
    }
}

#[test]
fn nothing_is_rolled_back_and_what_is_planted_is() {
    let folder = folder_with(&[("app.log", &bytes_of(&traffic(5).lines()))]);
    let report =
        serin(folder.path(), &["calibrate", "app.log", "--splits", "30", "--plant", "errors:5%", "--format", "json"]);
    let report = report.expect(0).json();
    assert_eq!(report["requests"], 12_000);
    assert_eq!(rule(&report["healthy"], "Serin")["rolled_back"], 0);
    assert!(rule(&report["healthy"], "z-test each minute")["rolled_back"].as_u64() > Some(3), "{report}");
    // What is planted is in the canary alone, for every rule.
    let each_minute = |group: &str| rule(&report[group], "z-test each minute")["rolled_back"].as_u64();
    assert_eq!(each_minute("planted"), Some(30), "{:?} of 30 when nothing is planted", each_minute("healthy"));
    let planted = rule(&report["planted"], "Serin");
    assert_eq!((&planted["rolled_back"], &planted["promoted"]), (&Value::from(30), &Value::from(0)));
    assert!(planted["seconds_visible"].as_f64().is_some_and(|time| time > 0.0 && time < 2_400.0), "{planted}");
    // Larger changes are seen sooner.
    let visible: Vec<f64> = report["visible"]
        .as_array()
        .expect("visible")
        .iter()
        .filter(|group| group["change"]["errors"].is_number())
        .filter_map(|group| rule(group, "Serin")["seconds_visible"].as_f64())
        .collect();
    assert!(visible.len() >= 2 && visible.is_sorted_by(|a, b| a >= b), "{visible:?}");

    let text = serin(folder.path(), &["calibrate", "app.log", "--splits", "5"]).expect(0).out;
    for words in ["healthy: rolled back (false)", "0 of 5", "2 % more requests fail", "requests take 20 % longer"] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn only_the_baseline_is_split_when_it_is_named() {
    let folder = folder_with(&[("app.log", &bytes_of(&traffic(7).lines()))]);
    let arguments = ["calibrate", "app.log", "--splits", "2", "--format", "json", "--baseline", "cohort:canary"];
    let some = serin(folder.path(), &arguments).expect(0).json();
    let canary = bytes_of(&traffic(7).lines()).split(|b| *b == b'\n').filter(|l| has(l, b"\"canary\"")).count();
    assert_eq!(some["requests"], canary);
    assert_eq!(some["lines"], 12_000);

    for (arguments, words) in [
        (vec!["--baseline", "cohort:nobody"], "no request of `shop` is left to split by --baseline"),
        (vec!["--baseline", "cohort:("], "--baseline"),
        (vec!["--plant", "crashes:1%"], "write errors:2% or latency:20%"),
        (vec!["--share", "0%"], "a share lies between"),
        (vec!["--service", "shpo"], "Services: shop"),
        (vec!["--splits", "0"], "--splits"),
    ] {
        let said = serin(folder.path(), &[vec!["calibrate", "app.log"], arguments].concat()).expect(2);
        assert!(said.err.contains(words), "{words}: {}", said.err);
    }
}

fn has(line: &[u8], part: &[u8]) -> bool {
    line.windows(part.len()).any(|window| window == part)
}

#[test]
fn a_log_that_is_too_large_is_read_again() {
    let streams = vec![("app.log".to_owned(), bad_day(&traffic(9).lines(), 9))];
    let folder = folder_with(&[("app.log", &streams[0].1)]);
    let wishes = Wishes { arms: Some(ArmRule::Hash { share_ppm: 500_000, seed: "0".to_owned() }), ..Wishes::default() };
    let found = survey_of(&streams, &wishes);
    let settings = settings_of(&found, Policy { minimum_time: MINUTE, ..Policy::default() });
    let options = Options {
        splits: 3,
        share_ppm: 500_000,
        plant: Change::Errors { ppm: 50_000 },
        ladder: vec![Change::Slower { percent: 50 }],
        ladder_splits: 2,
        threads: 2,
    };
    let judged = AtomicU64::new(0);
    let run = |events_max: usize| {
        let part = Part::File(folder.path().join("app.log"));
        let stream = Stream { name: "app.log".to_owned(), parts: vec![part] };
        let entry = found.releases[0].entry();
        let log = Log::read(vec![stream], found.plan.clone(), entry, events_max, &mut |_| {}).expect("it is read");
        let count = || {
            judged.fetch_add(1, Ordering::Relaxed);
        };
        let result = calibrate::run(&log, &settings, &options, &count).expect("it is read again");
        (log.in_memory, [result.healthy, result.planted].map(|group| group.splits), result.ladder[0].splits.clone())
    };
    let (kept, two, ladder) = run(usize::MAX);
    let (again, two_again, ladder_again) = run(1_000);
    assert!(kept && !again);
    assert_eq!((two, ladder), (two_again, ladder_again));
    assert_eq!(judged.load(Ordering::Relaxed), 2 * options.judged());

    let once = Stream { name: "stdin".to_owned(), parts: vec![Part::Stdin(streams[0].1.clone())] };
    let refused = Log::read(vec![once], found.plan.clone(), found.releases[0].entry(), 1_000, &mut |_| {});
    assert!(matches!(refused, Err(LogError::StandardInput(1_000))), "{refused:?}");
}
