//! The scoreboard: exact counters and evidence of pinned seeds, the mean of evidence where nothing has changed, delays that
//! must not grow, and a page that says what its figures say.
//!
//! `golden/scoreboard.txt` pins 20 seeds of each cheap row, shortened. A change of decisions changes it: look at what
//! changed, then write it anew with `SERIN_WRITE_GOLDEN=1 cargo test --test scoreboard exact`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;

use serin::compare::verdict::{Cell, Flaw, Verdict};
use serin::simulate::board::{RowFigures, mean_and_error, quantile};
use serin::simulate::rows::{Event, Row, rows};
use serin::simulate::run::{ERRORS, Record, STOPS, SUM};
use serin::simulate::traffic::{Routing, Share, Traffic};
use serin::simulate::{print, run_all};

/// A row with all of its plans cut to so many minutes, without the rules of others.
fn row(name: &str, minutes: u32) -> Row {
    let mut row = rows().into_iter().find(|row| row.name == name).unwrap();
    for plan in &mut row.plans {
        plan.minutes = plan.minutes.min(minutes);
        plan.rivals = false;
        plan.intervals = false;
        plan.oracle = false;
    }
    row
}

/// Records of seeds 1 to `runs`, in order.
fn run(row: &Row, runs: u64) -> Vec<Record> {
    let jobs: Vec<(usize, u64)> = (1..=runs).map(|seed| (0, seed)).collect();
    let records = Mutex::new(Vec::new());
    run_all(std::slice::from_ref(row), &jobs, 2, &|record, _| {
        records.lock().unwrap().push(record);
        Ok::<(), ()>(())
    })
    .unwrap();
    let mut records = records.into_inner().unwrap();
    records.sort_by_key(|record| record.seed);
    records
}

/// Rows whose runs are cheap, and the minutes to which they are cut.
const CHEAP: [(&str, u32); 19] = [
    ("aa-a0", 240),
    ("aa-a1", 240),
    ("aa-a2", 240),
    ("aa-a3", 240),
    ("ramp-incidents", 480),
    ("ramp-covers", 240),
    ("share-90", 240),
    ("changed", 120),
    ("unit-rule", 30),
    ("margin-errors", 240),
    ("delay-1-3", 240),
    ("delay-users", 120),
    ("pods", 120),
    ("crossover", 240),
    ("proxy-broken", 120),
    ("crash-loop", 120),
    ("crash-loop-proxy", 60),
    ("two-candidates", 240),
    ("delay-segment", 240),
];

/// What is pinned of a run.
fn pinned(record: &Record) -> String {
    let [control, candidate] = record.truth;
    let mut line = format!(
        "{} {} {} min, {} requests, truth {control:?} {candidate:?}, units {:?}, strata {}, {}",
        record.row,
        record.seed,
        record.minutes,
        record.requests,
        record.units,
        record.strata,
        record.verdict.as_deref().unwrap_or("nothing to compare"),
    );
    for (curve, evidence) in &record.curves {
        write!(line, ", {curve} {} max {}", evidence.last, evidence.max).unwrap();
    }
    line
}

#[test]
fn exact_counters_and_evidence_of_pinned_seeds() {
    let mut lines: Vec<String> = Vec::new();
    for (name, minutes) in CHEAP {
        let row = row(name, minutes);
        let records = run(&row, 20);
        assert!(records.iter().all(|record| record.requests > 0 && record.minutes > 0), "{name}");
        lines.extend(records.iter().map(pinned));
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/scoreboard.txt");
    if std::env::var_os("SERIN_WRITE_GOLDEN").is_some() {
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    let golden: Vec<&str> = golden.lines().collect();
    let differing: Vec<String> = lines
        .iter()
        .zip(&golden)
        .filter(|(got, pinned)| got != pinned)
        .map(|(got, pinned)| format!("pinned {pinned}\ngot    {got}"))
        .collect();
    assert!(differing.is_empty(), "{} runs differ; the first:\n{}", differing.len(), differing[0]);
    assert_eq!(lines.len(), golden.len());
}

/// Sticky users with retry loops at 5 %, and independent requests at 50 % with so many errors that a test which is a
/// little too bold shows. A mean alone does not show it: evidence has a heavy tail, and so has its standard error. By
/// Markov's inequality not more than one run in k may reach k.
#[test]
fn evidence_has_a_mean_of_at_most_one_where_nothing_has_changed() {
    let thin = row("aa-a2", 240);
    let mut busy = row("aa-a0", 60);
    for plan in &mut busy.plans {
        plan.traffic = Traffic {
            per_minute: 600.0,
            daily: false,
            share: Share::Constant(0.5),
            error_rate: 0.05,
            latency: true,
            ..plan.traffic
        };
    }
    for (what, row, runs) in [("thin", thin, 100), ("busy", busy, 200)] {
        let records = run(&row, runs);
        let lasted = records.iter().map(|record| record.minutes).min().unwrap();
        for curve in [SUM, ERRORS].into_iter().chain(Cell::ALL.map(Cell::name)) {
            for (stop, minutes) in STOPS.into_iter().enumerate().filter(|(_, minutes)| *minutes <= lasted) {
                let values: Vec<f64> = records.iter().filter_map(|record| record.e_at(curve, stop)).collect();
                assert_eq!(values.len(), records.len(), "{curve}");
                let (mean, error) = mean_and_error(&values);
                println!("{what}, {curve} after {minutes} min: mean {mean:.3}, standard error {error:.3}");
                assert!(mean <= 1.0 + 3.0 * error, "{what}, {curve} after {minutes} min: {mean} +- {error}");
                for level in [2.0, 5.0, 20.0] {
                    let (reached, n) = (values.iter().filter(|e| **e >= level).count() as f64, values.len() as f64);
                    let (most, deviation) = (n / level, (n / level * (1.0 - 1.0 / level)).sqrt());
                    let text = format!("{what}, {curve} after {minutes} min: {reached} of {n} reached {level}");
                    assert!(reached <= most + 3.0 * deviation, "{text}");
                }
                // Evidence that never moves would be a test that is not there.
                let tested = matches!(curve, SUM | ERRORS | "error_units" | "latency_mean");
                assert!(!tested || error > 1e-4, "{what}, {curve} does not move");
            }
        }
    }
}

/// Units of the candidate that have met a new error line when it is listed, and when it fails the rollout; and that nothing
/// else is listed, with it or without.
#[test]
fn a_new_error_line_is_found_after_six_units_and_no_other_is() {
    let new = run(&row("template-new", 300), 11);
    for what in ["listed", "failed"] {
        let units: Vec<Option<u32>> =
            new.iter().map(|record| record.lines.get(what).map(|[_, units]| *units)).collect();
        let (median, _, _) = quantile(&units, 0.5);
        println!("{what} after {median:?} units: {units:?}");
        assert!(median.is_some_and(|median| (3.0..=6.0).contains(&median)), "{what}: {units:?}");
    }
    let same = run(&row("template-aa", 100), 11);
    for record in new.iter().chain(&same) {
        assert!(!record.lines.contains_key("false"), "{} {}: {:?}", record.row, record.seed, record.lines);
    }
    assert!(same.iter().all(|record| record.verdict.as_deref() != Some("fail")));
}

/// Rows, the minutes to which they are cut, and the median of seeds 1 to 50 as measured when this was written.
const MEDIANS: [(&str, u32, Event, f64); 4] = [
    ("delay-1-3", 350, Event::Said(Verdict::Fail), 170.0),
    ("delay-users", 150, Event::Said(Verdict::Fail), 23.0),
    ("decided-05-1-600", 120, Event::Said(Verdict::Fail), 15.0),
    ("pass-200", 1_000, Event::Said(Verdict::Pass), 507.0),
];

/// A factor of two either way is a finding, and so is already one of 1.6.
#[test]
fn median_delays_are_what_they_were() {
    for (name, minutes, event, expected) in MEDIANS {
        let row = row(name, minutes);
        let times: Vec<Option<u32>> =
            run(&row, 50).iter().map(|record| event.at(record, &row.plan(record.seed).traffic)).collect();
        let (median, _, _) = quantile(&times, 0.5);
        println!("{name}: median {median:?} min, expected {expected}");
        let median = median.expect("half of the runs have it");
        assert!(median <= 1.6 * expected && median >= expected / 1.6, "{name}: {median} min instead of {expected}");
    }
}

/// A ramp in steps too small to be seen moves users: that holds a pass back, and is no broken assignment.
#[test]
fn a_share_that_creeps_up_is_no_crossover() {
    let mut creeping = row("ramp-creeping", 1_440);
    creeping.plans.iter_mut().for_each(|plan| (plan.traffic.users, plan.traffic.per_minute) = (500, 100.0));
    for record in run(&creeping, 3) {
        assert!(record.flaws.contains_key(Flaw::CreepingShare.name()), "{record:?}");
        assert!(!record.flaws.contains_key(Flaw::Crossover.name()), "{record:?}");
        assert_eq!(record.verdict.as_deref(), Some(Verdict::Inconclusive.name()));
    }
    let mut roaming = row("crossover", 1_440);
    roaming.plans.iter_mut().for_each(|plan| plan.traffic.routing = Routing::Roaming(0.2));
    let invalid = run(&roaming, 3).iter().filter(|record| record.flaws.contains_key(Flaw::Crossover.name())).count();
    assert_eq!(invalid, 3, "users that are dealt anew come and leave");
}

fn serin(arguments: &[&str]) -> (i32, String, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_serin")).arg("scoreboard").args(arguments).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (out.status.code().unwrap(), text(out.stdout), text(out.stderr))
}

#[test]
fn runs_add_up_and_no_seed_is_run_twice() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let board = |file: &str, more: &[&str]| {
        let mut arguments = vec!["--row", "decided-users-60", "--results", file, "--format", "json"];
        arguments.extend(more);
        let (status, out, err) = serin(&arguments);
        assert_eq!(status, 0, "{err}");
        (out, err)
    };
    let (whole, err) = board(&at("whole"), &["--runs", "6"]);
    assert!(err.contains("s a run") && err.contains("h of one thread"), "{err}");
    let (_, _) = board(&at("parts"), &["--seeds", "1..2"]);
    // A run that was killed while it wrote.
    let half = std::fs::read_to_string(at("parts")).unwrap();
    std::fs::write(at("parts"), format!("{half}{}", &half[..100])).unwrap();
    let (_, _) = board(&at("parts"), &["--runs", "6", "--threads", "1"]);
    let (parts, err) = board(&at("parts"), &["--runs", "6"]);
    assert_eq!(parts, whole);
    assert!(!err.contains("s a run"), "nothing is left to run: {err}");
    let lines = std::fs::read_to_string(at("parts")).unwrap();
    let mut seeds: Vec<u64> = lines.lines().map(|line| serde_json::from_str::<Record>(line).unwrap().seed).collect();
    seeds.sort_unstable();
    assert_eq!(seeds, [1, 2, 3, 4, 5, 6]);
    let figures: Vec<RowFigures> = serde_json::from_str(&parts).unwrap();
    assert_eq!((figures[0].runs, figures[0].seeds.as_slice()), (6, [[1, 6]].as_slice()));
    let (text, _) = board(&at("parts"), &["--runs", "0"]);
    assert_eq!(text, whole);
}

#[test]
fn results_of_other_decisions_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("results").display().to_string();
    let arguments =
        |runs: &'static str| ["--row", "decided-users-60", "--results", &file, "--runs", runs].map(str::to_owned);
    let board = |runs: &'static str| serin(&arguments(runs).iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(board("1").0, 0);
    let text = std::fs::read_to_string(&file).unwrap();
    let record: Record = serde_json::from_str(text.trim()).unwrap();
    let other = Record { strata: record.strata + 1, ..record.clone() };
    std::fs::write(&file, serde_json::to_string(&other).unwrap() + "\n").unwrap();
    let (status, _, err) = board("2");
    assert!(status == 2 && err.contains("made by other decisions"), "{err}");
    let newer = Record { engine: record.engine + 1, ..record };
    std::fs::write(&file, serde_json::to_string(&newer).unwrap() + "\n").unwrap();
    assert!(board("0").2.contains("made by engine"), "{}", board("0").2);
    std::fs::write(&file, "{}\n").unwrap();
    assert!(board("0").2.contains("line 1"), "{}", board("0").2);
    let (status, _, err) = serin(&["--row", "nonsense"]);
    assert!(status == 2 && err.contains("aa-a2") && err.contains("decided-healthy-60"), "{err}");
}

/// `docs/scoreboard.md` is written from `docs/scoreboard.json`, and both tell of the rows that there are.
#[test]
fn the_page_says_what_its_figures_say() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs");
    let json = std::fs::read_to_string(docs.join("scoreboard.json")).unwrap();
    let figures: Vec<RowFigures> = serde_json::from_str(&json).unwrap();
    let page = std::fs::read_to_string(docs.join("scoreboard.md")).unwrap();
    assert!(page == print::markdown(&figures), "write the page anew: it says how at its top");
    for (row, shown) in rows().iter().zip(&figures) {
        assert_eq!((row.name, row.title.as_str(), row.runs), (shown.row.as_str(), shown.title.as_str(), shown.asked));
        assert_eq!(row.lines.len(), shown.figures.len(), "{}", row.name);
        assert!(row.lines.iter().zip(&shown.figures).all(|(line, figure)| figure.text.starts_with(&line.text)));
        assert_eq!(shown.runs, shown.seeds.iter().map(|[from, to]| to - from + 1).sum::<u64>(), "{}", row.name);
    }
    assert_eq!(rows().len(), figures.len());
}
