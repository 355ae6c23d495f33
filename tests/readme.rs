//! The README is true: its commands run, its pictures show what the program prints, its words are the program's.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use common::{Traffic, bytes_of, command, folder_with, said, serin};
use serin::calibrate::RULE_NAMES;

fn readme() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).expect("README.md")
}

/// Lines of fenced blocks of a language.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut inside = false;
    let mut lines = Vec::new();
    for line in text.lines() {
        if let Some(fence) = line.strip_prefix("```") {
            inside = fence == language;
        } else if inside {
            lines.push(line.to_owned());
        }
    }
    lines
}

/// The words of a command line, as a shell would cut this simple kind of one.
fn words(line: &str) -> Vec<String> {
    let line = line.split_once(" #").map_or(line, |(command, _)| command);
    let quoted = line.split('\'').enumerate();
    quoted
        .flat_map(|(at, part)| match at % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect::<Vec<_>>(),
            _ => vec![part.to_owned()],
        })
        .collect()
}

/// The first block of a language on a page.
fn block_of(page: &str, language: &str) -> String {
    let text = std::fs::read_to_string(format!("{}/{page}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let (_, behind) = text.split_once(&format!("```{language}\n")).unwrap();
    behind.split_once("```").unwrap().0.to_owned()
}

/// Lines with their fields; those that are requests.
fn requests(log: &str) -> impl Iterator<Item = serde_json::Map<String, serde_json::Value>> {
    let fields = |line: &str| serde_json::from_str::<serde_json::Map<_, _>>(line).unwrap();
    log.lines().map(fields).filter(|fields| fields.contains_key("status"))
}

fn text_of(fields: &serde_json::Map<String, serde_json::Value>, key: &str) -> String {
    fields.get(key).map_or(String::new(), |value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
}

fn of_pods(log: &str) -> String {
    log.lines().map(|line| format!("[pod/shop-6d9f7c5b8-x2x4z/app] {line}\n")).collect()
}

fn of_nginx(log: &str) -> String {
    let line = |of: serde_json::Map<_, _>| {
        let [time, user, route, status, took, version] =
            ["ts", "user", "route", "status", "latency_ms", "version"].map(|key| text_of(&of, key));
        let seconds = took.parse::<f64>().unwrap() / 1_000.0;
        format!(
            "10.0.0.7 - {user} [01/Jun/2026:{} +0000] \"GET {route} HTTP/1.1\" {status} 5 \"-\" \"x\" rt={seconds:.3} ver={version}\n",
            &time[11..19]
        )
    };
    requests(log).map(line).collect()
}

fn of_ones_own(log: &str) -> String {
    let line = |of: serde_json::Map<_, _>| {
        let [time, user, route, status, took, cohort] =
            ["ts", "user", "route", "status", "latency_ms", "cohort"].map(|key| text_of(&of, key));
        let seconds = took.parse::<f64>().unwrap() / 1_000.0;
        let region = if cohort == "canary" { "eu-1" } else { "us-1" };
        format!("{time} I [{user}@example.com] {region} GET {route} {status} {seconds:.3}\n")
    };
    requests(log).map(line).collect()
}

#[test]
fn every_command_runs() {
    let traffic = Traffic { seed: 51, requests: 4_000, users: 1_000, ..Traffic::default() };
    let log = String::from_utf8(bytes_of(&traffic.lines())).unwrap();
    let log = log
        .replace("\"cohort\":\"baseline\"", "\"cohort\":\"baseline\",\"version\":\"1.4.2\"")
        .replace("\"cohort\":\"canary\"", "\"cohort\":\"canary\",\"version\":\"1.5.0\"");
    let folder = folder_with(&[
        ("app.log", log.as_bytes()),
        ("policy.yaml", b"guardrails: [errors]\n"),
        ("pods.log", of_pods(&log).as_bytes()),
        ("access.log", of_nginx(&log).as_bytes()),
        ("shop.log", of_ones_own(&log).as_bytes()),
        ("shop.yaml", block_of("docs/pipelines.md", "yaml").as_bytes()),
    ]);
    let commands = blocks(&readme(), "sh");
    let mut ran = 0;
    for line in &commands {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let arguments = match words.as_slice() {
            ["serin", arguments @ ..] => arguments,
            ["cargo", "run", "--release", "--", arguments @ ..] => arguments,
            // What this test is a part of.
            ["cargo", "test"] => continue,
            other => panic!("what is this? {other:?}"),
        };
        if arguments == ["demo"] {
            // It goes on until it is stopped: a test of its own looks at it (tests/run/ui.rs).
            continue;
        }
        if arguments == ["demo", "--no-ui"] {
            let kept = folder.path().join("demo");
            let output = command().args(["demo", "--no-ui", "--story", "faster", "--keep"]).arg(kept).output().unwrap();
            said(output).expect(0);
        } else {
            let done = serin(folder.path(), arguments);
            assert_ne!(done.status, 2, "{line}: {}", done.err);
            assert!(!done.out.is_empty(), "{line}");
        }
        ran += 1;
    }
    assert!(ran >= 7, "{commands:?}");
    let calibrated = serin(folder.path(), &["calibrate", "app.log", "--splits", "2"]).expect(0);
    let pictures = blocks(&readme(), "text");
    let head = pictures.iter().find(|line| line.contains("z-test")).expect("the picture of calibrate");
    assert!(calibrated.out.lines().any(|line| line == head), "{}", calibrated.out);
    assert!(RULE_NAMES.iter().all(|name| head.contains(name)));
}

#[test]
fn the_picture_of_the_demo_is_what_it_prints() {
    let folder = folder_with(&[]);
    let shown = serin(folder.path(), &["demo", "--no-ui", "--story", "few-users", "--keep", "kept"]).expect(0);
    let printed: Vec<&str> = shown.out.lines().map(str::trim_end).collect();
    let text = readme();
    let pictures = blocks(&text, "text");
    let from = pictures.iter().position(|line| line.contains("few-users-broken")).expect("the picture of the demo");
    let picture: Vec<&String> = pictures[from + 1..]
        .iter()
        .take_while(|line| !line.contains("split at random"))
        .filter(|line| !line.trim().is_empty() && line.trim() != "...")
        .take_while(|line| line.starts_with("  "))
        .collect();
    assert!(picture.len() >= 8, "{picture:?}");
    for line in picture {
        assert!(printed.contains(&line.trim_end()), "the demo does not print: {line}\n{}", shown.out);
    }
    let report = serin(folder.path(), &["compare", "kept/few-users-broken.ndjson.zst", "--share", "20%"]).expect(1).out;
    let at = pictures.iter().position(|line| line.starts_with("FAIL  ")).expect("the picture of a report");
    let start: Vec<&str> = pictures[at..at + 7].iter().map(String::as_str).collect();
    assert_eq!(report.lines().take(7).collect::<Vec<_>>(), start, "{report}");
}

#[test]
fn exit_statuses_are_the_programs() {
    use serin::compare::verdict::Verdict;
    let text = readme();
    for verdict in Verdict::ALL {
        let row = format!("| {} | {} |", verdict.name().to_uppercase(), serin::cli::exit_status(verdict));
        assert!(text.contains(&row), "{row}");
    }
}
