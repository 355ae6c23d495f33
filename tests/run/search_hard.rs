//! Search where things go wrong: many at once, questions that ask for too much, a file that is gone, more names than anybody has.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::{Path, PathBuf};

use crate::common::running::{Running, until};
use crate::common::{Line, Traffic, folder_with, talk, with_log_lines};
use serde_json::Value;

fn lines() -> Vec<Line> {
    with_log_lines(&Traffic { seed: 71, requests: 3_000, users: 700, ..Traffic::default() }.lines(), talk)
}

fn text_of(lines: &[Line]) -> String {
    lines.iter().map(|line| line.text() + "\n").collect()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn ask(running: &Running, path: &str) -> Option<(u16, Value)> {
    let (status, body) = running.ask(path, &running.address)?;
    Some((status, serde_json::from_str(&body).unwrap_or(Value::String(body))))
}

fn total(running: &Running) -> Option<u64> {
    let (status, body) = ask(running, "/v1/search?limit=1&count=1000000000")?;
    (status == 200).then(|| body["total"]["lines"].as_u64()).flatten()
}

fn status(running: &Running) -> Value {
    ask(running, "/v1/status").unwrap().1["index"].clone()
}

fn sent(running: &Running, text: &str, key: &str) {
    let (status, body) = running.post("/ingest", &[("Idempotency-Key", key)], text.as_bytes()).unwrap();
    assert_eq!(status, 200, "{body}");
}

/// Two hundred at once: each is answered in full or told to come again, and the program goes on answering others.
#[test]
fn two_hundred_searches_at_once_are_answered_or_refused() {
    let lines = lines();
    let folder = folder_with(&[]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    sent(&running, &text_of(&lines), "1");
    until("all are found", || (total(&running)? == lines.len() as u64).then_some(()));
    let kinds = [
        "/v1/search?limit=1000&q=status:503".to_owned(),
        // Each line is read for it.
        format!("/v1/search?limit=5&count=1000000000&q={}", encoded("msg:/.*(a|b|c)*x.*/ OR status:503")),
        "/v1/aggregate?by=user,route&every=1m&distinct=_unit&quantiles=latency_ms".to_owned(),
    ];
    let answers: Vec<(usize, u16, Value)> = std::thread::scope(|scope| {
        let asked: Vec<_> = (0..200)
            .map(|number| {
                let (running, path) = (&running, &kinds[number % kinds.len()]);
                scope.spawn(move || {
                    let (status, body) = ask(running, path).unwrap();
                    (number % 3, status, body)
                })
            })
            .collect();
        asked.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let failed = lines.iter().filter(|line| line.text().contains("\"status\":503")).count();
    let mut whole = [0; 3];
    for (kind, status, body) in answers {
        match (status, kind) {
            (429, _) => assert!(body["error"].as_str().unwrap().contains("too many"), "{body}"),
            (200, 0) => {
                assert_eq!((body["lines"].as_array().unwrap().len(), body["partial"].is_null()), (failed, true))
            }
            (200, _) => {}
            other => panic!("{other:?}: {body}"),
        }
        whole[kind] += usize::from(status == 200);
    }
    assert!(whole.iter().all(|count| *count > 5), "{whole:?}");
    assert_eq!(running.ask("/healthz", &running.address).unwrap().0, 200);
}

/// A table with a group for every line, expressions that take an engine that goes back for ever, and queries that are none.
#[test]
fn a_question_that_asks_for_too_much_ends() {
    let lines = lines();
    let folder = folder_with(&[]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    sent(&running, &text_of(&lines), "1");
    until("all are found", || (total(&running)? == lines.len() as u64).then_some(()));
    let (code, body) = ask(&running, "/v1/aggregate?by=_position,user,route&size=10000").unwrap();
    assert_eq!((code, &body["lines"]), (200, &lines.len().into()), "{body}");
    let listed: u64 = body["groups"].as_array().unwrap().iter().map(|group| group["lines"].as_u64().unwrap()).sum();
    assert_eq!(listed + body["lines_of_others"].as_u64().unwrap(), lines.len() as u64);
    let long = format!("msg:/{}/", "(a?){50}".repeat(20) + &"a".repeat(50));
    // Each ends by the limits that searches have, or is refused.
    for query in
        ["msg:/(a+)+b/", "msg:/(x+x+)+y/", "msg:/(.*)(.*)(.*)(.*)(.*)z/", &long, "msg:/((a{1,99}){1,99}){1,99}/"]
    {
        let (code, body) = ask(&running, &format!("/v1/search?q={}", encoded(query))).unwrap();
        let is_whole = || body["partial"].is_null() || body["partial"] == "time";
        assert!((code == 200 && is_whole()) || (code == 400 && body["error"].is_string()), "{query}: {code} {body}");
    }
    // Time that is over is said.
    let slow = encoded("msg:/.*(a|b|c|d)*(e|f|g)*nothing.*/");
    let (code, body) = ask(&running, &format!("/v1/search?timeout=0.000001&q={slow}")).unwrap();
    assert_eq!((code, body["partial"].as_str(), body["total"]["is_exact"].as_bool()), (200, Some("time"), Some(false)));
    for query in ["(".repeat(200), "a:".to_owned(), "x ".repeat(9_000), "NOT ".repeat(500) + "a"] {
        assert_eq!(ask(&running, &format!("/v1/search?q={}", encoded(&query))).unwrap().0, 400, "{query:.20}");
    }
    assert_eq!(running.ask("/healthz", &running.address).unwrap().0, 200);
}

/// A million names of fields: each is found by its name, none costs a column, and the list of names ends.
#[test]
fn a_million_names_of_fields_are_found_and_cost_no_columns() {
    let folder = folder_with(&[]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    let line = |number: u64| {
        let fields: String = (0..200).map(|at| format!(",\"k{}_{at}\":{at}", number)).collect();
        format!(
            "{{\"ts\":\"2026-06-01T10:{:02}:{:02}Z\",\"level\":\"info\",\"version\":\"1\",\"status\":200,\"msg\":\"x\"{fields}}}\n",
            number / 60 % 60,
            number % 60
        )
    };
    for batch in 0..50 {
        let text: String = (batch * 100..(batch + 1) * 100).map(line).collect();
        sent(&running, &text, &batch.to_string());
    }
    until("all are found", || (total(&running)? == 5_000).then_some(()));
    for (number, at) in [(0, 0), (2_500, 7), (4_999, 199)] {
        let (code, body) = ask(&running, &format!("/v1/search?q=k{number}_{at}:{at}")).unwrap();
        assert_eq!((code, &body["total"]["lines"]), (200, &1.into()), "{body}");
    }
    let (code, body) = ask(&running, "/v1/search?q=k5000_1:1").unwrap();
    assert_eq!(code, 400, "{body}");
    let (_, body) = ask(&running, "/v1/fields").unwrap();
    let fields = body["fields"].as_array().unwrap();
    assert!(fields.len() > 1_000 && fields.iter().filter(|field| field["kind"] == "number").count() <= 32);
    let pid = running.child.id();
    if let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/status")) {
        let rss = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let kib: u64 = rss.trim().trim_end_matches(" kB").parse().unwrap();
        assert!(kib < 1_200 << 10, "{kib} KiB");
    }
}

fn files(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, kind));
        } else if path.extension().is_some_and(|of| of == kind) {
            found.push(path);
        }
    }
    found
}

/// A file of the newest part is removed while the program is stopped: that is told, and what the write-ahead log still has is indexed again.
#[test]
fn a_file_that_is_gone_is_told_and_made_again() {
    let lines = lines();
    for kind in ["store", "fast", "idx"] {
        let folder = folder_with(&[]);
        let state = folder.path().join("state");
        let running = Running::start(&["--idle", "2s"], &state);
        sent(&running, &text_of(&lines), "1");
        until("all are found", || (total(&running)? == lines.len() as u64).then_some(()));
        drop(running);
        let victim = files(&state.join("index"), kind).pop().unwrap();
        std::fs::remove_file(&victim).unwrap();
        let running = Running::start(&["--idle", "2s"], &state);
        until(&format!("all are found again without {kind}"), || {
            (total(&running)? == lines.len() as u64).then_some(())
        });
        assert_eq!(status(&running)["damaged_parts"], 1, "{kind}");
        assert_eq!(running.ask("/healthz", &running.address).unwrap().0, 200);
    }
}
