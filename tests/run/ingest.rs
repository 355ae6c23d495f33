//! `serin run` without configuration: lines over HTTP, judged while they come, each counted once whatever crashes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::Write;
use std::path::Path;

use crate::common::running::{Running, until};
use crate::common::{Line, Random, Traffic, folder_with, ledger_values, serin};
use serde_json::Value;
use serin::time::{DAY, MINUTE, SECOND, Timestamp};

fn text_of(lines: &[Line]) -> String {
    lines.iter().map(|line| line.text() + "\n").collect()
}

fn bad_rollout() -> Vec<Line> {
    let errors = vec![0.01, 0.2];
    Traffic { seed: 61, requests: 12_000, users: 3_000, minutes: 30, errors, ..Traffic::default() }.lines()
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn zlib(text: &str) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

fn accepted(answer: Option<(u16, String)>) -> u64 {
    let (status, body) = answer.expect("an answer");
    assert_eq!(status, 200, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["accepted"].as_u64().unwrap()
}

/// The report, once all lines are counted: a line four minutes after them closes their windows, and is the one more.
fn counted(running: &Running, lines: &[Line]) -> Value {
    let after = Line::new(
        lines.iter().map(|line| line.at).max().unwrap() + 4 * MINUTE,
        0,
        0,
        r#""level":"info","message":"after""#,
    );
    assert_eq!(accepted(running.post("/ingest", &[], text_of(&[after]).as_bytes())), 1);
    running.settled(|report| report["records"]["read"].as_u64() > Some(lines.len() as u64))
}

#[test]
fn a_broken_canary_fails_on_lines_in_every_encoding() {
    let lines = bad_rollout();
    let folder = folder_with(&[("app.log", text_of(&lines).as_bytes())]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    let array = |lines: &[Line]| format!("[{}]", lines.iter().map(Line::text).collect::<Vec<_>>().join(",\n"));
    for (number, batch) in lines.chunks(500).enumerate() {
        let text = text_of(batch);
        let (headers, body): (&[(&str, &str)], Vec<u8>) = match number % 5 {
            0 => (&[], text.into_bytes()),
            1 => (&[("Content-Encoding", "gzip")], gzip(&text)),
            2 => (&[("Content-Encoding", "zstd")], zstd::encode_all(text.as_bytes(), 3).unwrap()),
            3 => (&[("Content-Encoding", "deflate")], zlib(&text)),
            _ => (&[("Content-Type", "application/json; charset=utf-8")], array(batch).into_bytes()),
        };
        assert_eq!(accepted(running.post("/ingest", headers, &body)), batch.len() as u64);
    }
    let report = counted(&running, &lines);
    assert_eq!(report["verdict"], "fail");
    let files = serin(folder.path(), &["compare", "app.log", "--format", "json"]).expect(1).json();
    assert_eq!(report["comparisons"][0]["failed_at"], files["comparisons"][0]["failed_at"]);
    assert_eq!(report["records"]["rejects"], files["records"]["rejects"]);

    // A rollout controller asks.
    let ask = |question: &str| -> Value {
        let (status, body) =
            running.post("/v1/verdict", &[("Content-Type", "application/json")], question.as_bytes()).unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["data"].take()
    };
    let service = report["comparisons"][0]["service"].as_str().unwrap().split(' ').next().unwrap().to_owned();
    let said = ask(&format!(r#"{{"service":"{service}","canary":{{"cohort":"canary"}},"baseline":"baseline"}}"#));
    assert_eq!(said["verdict"], "fail");
    assert!(said["reason"].as_str().unwrap().contains("More users meet errors"), "{said}");
    assert!(said["log10_e"].as_f64().unwrap() > 3.0 && said["automatic_at"].is_string(), "{said}");
    assert_eq!(ask(r#"{"service":"nobody"}"#)["verdict"], "inconclusive");
    assert_eq!(ask("{")["verdict"], "inconclusive");
}

#[test]
fn what_cannot_be_taken_is_refused_with_the_reason() {
    let folder = folder_with(&[]);
    let running = Running::start(&[], &folder.path().join("state"));
    let status = |headers: &[(&str, &str)], body: &[u8]| running.post("/ingest", headers, body).unwrap();
    let json: &[(&str, &str)] = &[("Content-Type", "application/json")];
    for (headers, body, expected, words) in [
        (json, &b"[{\"a\":1}"[..], 400, "not JSON"),
        (&[("Content-Encoding", "br")][..], b"x", 415, "use gzip"),
        (&[("Content-Encoding", "gzip")], b"no gzip", 400, "cannot be unpacked"),
        (&[("Idempotency-Key", "")], b"{}\n", 400, "idempotency key"),
        (&[("Origin", "http://evil.example")], b"{}\n", 403, "not from another page"),
    ] {
        let (got, said) = status(headers, body);
        assert!(got == expected && said.contains(words), "{got} {said}");
    }
    let bomb = zstd::encode_all(&vec![b' '; 65 << 20][..], 1).unwrap();
    assert_eq!(status(&[("Content-Encoding", "zstd")], &bomb).0, 413);
    let long = format!(
        "POST /ingest HTTP/1.1\r\nHost: {}\r\nContent-Length: 99999999\r\nConnection: close\r\n\r\n",
        running.address
    );
    assert_eq!(running.exchange(long.as_bytes()).map(|(status, _)| status), Some(413), "before a byte of it has come");
    assert_eq!(accepted(running.post("/ingest", &[], b"\n \n")), 0);
    // What was refused is nowhere.
    assert_eq!(running.ask("/v1/report", &running.address).unwrap().0, 503);
}

#[test]
fn debug_says_what_lines_are_and_stores_nothing() {
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let running = Running::start(&[], &state);
    let lines = text_of(&bad_rollout()[..200]) + "not a line\n";
    let (status, body) = running.post("/ingest?debug=1", &[], lines.as_bytes()).unwrap();
    assert_eq!(status, 200, "{body}");
    let said: Value = serde_json::from_str(&body).unwrap();
    let events = said["events"].as_array().unwrap();
    assert_eq!(
        (events.len(), &events[200]["rejected"], &said["stored"]),
        (201, &"unknown_format".into(), &false.into())
    );
    assert_eq!((&events[0]["kind"], &events[0]["has_unit"]), (&"request".into(), &true.into()));
    assert!(said["roles"]["user"].is_array(), "{body}");
    let bytes: u64 =
        std::fs::read_dir(state.join("wal")).unwrap().map(|of| of.unwrap().metadata().unwrap().len()).sum();
    assert!(bytes < 100, "only the head of a segment: {bytes}");
}

/// What a service logs while it starts, and what is no log at all, is waited out and counted.
#[test]
fn lines_without_a_request_are_waited_out() {
    let lines = bad_rollout();
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let running = Running::start(&["--idle", "2s"], &state);
    let start = |line: &Line| {
        format!(r#"{{"ts":"{}","cohort":"canary","level":"info","message":"starting"}}"#, Timestamp(line.at)) + "\n"
    };
    let noise = "[main] INFO started\n".repeat(60) + &start(&lines[0]).repeat(60);
    assert_eq!(accepted(running.post("/ingest", &[], noise.as_bytes())), 120);
    until("it says what it waits for", || {
        let (_, body) = running.ask("/healthz", &running.address)?;
        body.contains("other log lines").then_some(())
    });
    drop(running);
    // More than what is looked at together.
    let often: &[&str] = &["--idle", "2s", "--checkpoint", "0s"];
    let running = Running::start(often, &state);
    assert_eq!(accepted(running.post("/ingest", &[], "[main] INFO started\n".repeat(5_000).as_bytes())), 5_000);
    for batch in lines.chunks(2_000) {
        accepted(running.post("/ingest", &[], text_of(batch).as_bytes()));
    }
    let report = counted(&running, &lines);
    assert_eq!((&report["verdict"], &report["records"]["rejects"]["unknown_format"]), (&"fail".into(), &5_060.into()));
    drop(running);
    let running = Running::start(often, &state);
    // All that came before the restart, and the line behind it.
    let is_whole = |again: &Value| again["records"]["read"] == report["records"]["read"];
    assert_eq!(running.settled(is_whole), report);
    assert!(running.said.lock().unwrap().iter().any(|line| line.contains("from the last checkpoint")));
    drop(running);
    // What does not tell what lines are is of no use, and nothing is lost by it.
    std::fs::write(state.join("heads.json"), "[]").unwrap();
    let running = Running::start(often, &state);
    assert_eq!(running.settled(is_whole)["comparisons"], report["comparisons"]);
    drop(running);
    for file in ["checkpoint", "wal"].map(|name| state.join(name)) {
        if file.is_dir() { std::fs::remove_dir_all(file) } else { std::fs::remove_file(file) }.unwrap();
    }
    let running = Running::start(often, &state);
    until("it says what is missing", || {
        let (status, body) = running.ask("/healthz", &running.address)?;
        (status == 503 && body.contains("nothing of the lines that it was made from")).then_some(())
    });
}

/// A producer that sends again what was not answered, under the key of the first time, and a program that is killed at any
/// moment: in the end each line counts once, and the ledger is one that the whole log gives.
#[test]
fn after_kill_9_every_answered_line_counts_once() {
    let lines = bad_rollout();
    let mut random = Random::new(7);
    for round in 0..2 {
        let folder = folder_with(&[]);
        let state = folder.path().join("state");
        let mut running = Running::start(&["--idle", "2s"], &state);
        let mut kills = 0;
        for (number, batch) in lines.chunks(150).enumerate() {
            let text = text_of(batch);
            let key = format!("{round}-{number}");
            // Before the batch, while it is under way, or after it: one batch in eight.
            let kill = random.below(8) == 0;
            if kill {
                kills += 1;
                std::thread::scope(|scope| {
                    scope.spawn(|| running.post("/ingest", &[("Idempotency-Key", &key)], text.as_bytes()));
                    let pid = running.child.id().to_string();
                    assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
                });
                drop(running);
                running = Running::start(&["--idle", "2s"], &state);
            }
            let answer = running.post("/ingest", &[("Idempotency-Key", &key)], text.as_bytes());
            assert_eq!(accepted(answer), batch.len() as u64);
        }
        let report = counted(&running, &lines);
        assert_eq!(report["records"]["read"], lines.len() + 1, "round {round}, {kills} kills");
        assert_eq!(report["verdict"], "fail");
        assert!(kills > 2, "{kills}");
        drop(running);
        whole_ledger(&state);
    }
}

/// The same with checkpoints after every batch of lines: what goes on from one comes to the ledger, byte for byte, and to the
/// report that the whole log gives.
#[test]
fn what_goes_on_from_a_checkpoint_decides_as_if_it_had_read_everything() {
    let lines = bad_rollout();
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let often: &[&str] = &["--idle", "2s", "--checkpoint", "0s"];
    let mut random = Random::new(11);
    let mut running = Running::start(often, &state);
    let (mut kills, mut resumed) = (0, 0);
    for batch in lines.chunks(150) {
        if random.below(8) == 0 {
            kills += 1;
            until("there is a checkpoint", || state.join("checkpoint").exists().then_some(()));
            // Some of what was answered is read and some is not; it may be writing the next checkpoint.
            drop(running);
            running = Running::start(often, &state);
            until("it says where it begins", || {
                let said = running.said.lock().unwrap();
                said.iter().find(|line| line.contains("reading 1 stream from")).map(|line| {
                    resumed += usize::from(line.contains("the last checkpoint"));
                })
            });
        }
        assert_eq!(accepted(running.post("/ingest", &[], text_of(batch).as_bytes())), batch.len() as u64);
    }
    let report = counted(&running, &lines);
    assert_eq!((&report["records"]["read"], &report["verdict"]), (&(lines.len() + 1).into(), &"fail".into()));
    assert!(kills > 5 && resumed == kills, "{resumed} of {kills}");
    drop(running);
    whole_ledger(&state);

    let replayed = serin(folder.path(), &["replay", "state"]).expect(0);
    assert!(replayed.out.starts_with("Every byte agrees: "), "{}", replayed.out);

    let whole = folder.path().join("whole");
    std::fs::create_dir_all(whole.join("wal")).unwrap();
    for file in std::fs::read_dir(state.join("wal")).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), whole.join("wal").join(file.file_name())).unwrap();
    }
    std::fs::copy(state.join("idle.ndjson"), whole.join("idle.ndjson")).unwrap();
    let running = Running::start(&["--idle", "2s"], &whole);
    let again = running.settled(|report| report["records"]["read"].as_u64() > Some(lines.len() as u64));
    drop(running);
    let ledger = |state: &Path| std::fs::read_to_string(state.join("ledger.ndjson")).unwrap();
    assert_eq!(ledger(&whole), ledger(&state));
    assert_eq!(again["comparisons"], report["comparisons"]);

    // A ledger that is not the checkpoint's, and a checkpoint that is damaged.
    let text = ledger(&state);
    let shorter = text.lines().take(text.lines().count() / 2).map(|line| format!("{line}\n")).collect::<String>();
    std::fs::write(state.join("ledger.ndjson"), shorter).unwrap();
    let said = refused(&state);
    assert!(said.contains("the ledger does not have what the checkpoint rests on"), "{said}");
    std::fs::write(state.join("ledger.ndjson"), &text).unwrap();
    let checkpoint = state.join("checkpoint");
    let mut bytes = std::fs::read(&checkpoint).unwrap();
    bytes[100] ^= 1;
    std::fs::write(&checkpoint, bytes).unwrap();
    let running = Running::start(&["--idle", "2s"], &state);
    let again = running.settled(|report| report["records"]["read"].as_u64() > Some(lines.len() as u64));
    assert_eq!(again["comparisons"], report["comparisons"]);
    assert!(running.said.lock().unwrap().iter().any(|line| line.contains("the checkpoint is of no use")));
}

/// A service that is quiet for two hours, and logs a few lines then: no others bear their times out. They are judged when nothing else comes,
/// as they are of now; the same after a crash and in a replay. What says that it is of next year still is not.
#[test]
fn a_few_lines_behind_a_pause_are_judged_when_no_others_come() {
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_micros() as i64;
    let lines = |from: i64, count: i64| -> String {
        let line = |number: i64| {
            let at = Timestamp(from + number * 20 * SECOND);
            format!(
                "{{\"time\":\"{at}\",\"service\":\"shop\",\"version\":\"1.0\",\"status\":200,\"message\":\"few\"}}\n"
            )
        };
        (0..count).map(line).collect()
    };
    let running = Running::start(&["--idle", "1s"], &state);
    assert_eq!(accepted(running.post("/ingest", &[], lines(now - 140 * MINUTE, 60).as_bytes())), 60);
    // The last window stays open: others may belong to it.
    running.settled(|report| report["records"]["on_time"].as_u64() >= Some(58));
    assert_eq!(accepted(running.post("/ingest", &[], lines(now - 4 * MINUTE, 12).as_bytes())), 12);
    let read = |report: &Value| report["records"]["on_time"].as_u64() >= Some(70);
    let report = running.settled(read);
    assert_eq!(accepted(running.post("/ingest", &[], lines(now + 365 * DAY, 1).as_bytes())), 1);
    drop(running);
    let running = Running::start(&["--idle", "1s"], &state);
    let again = running.settled(read);
    assert_eq!(again["records"], report["records"]);
    drop(running);
    let moves = std::fs::read_to_string(state.join("idle.ndjson")).unwrap();
    assert_eq!(moves.lines().filter(|line| line.contains("\"held\":true")).count(), 1, "{moves}");
    let replayed = serin(folder.path(), &["replay", "state"]).expect(0);
    assert!(replayed.out.starts_with("Every byte agrees: "), "{}", replayed.out);
}

/// What a program says that does not begin with a state folder.
fn refused(state: &Path) -> String {
    let mut child = crate::common::command()
        .args(["run", "--listen", "127.0.0.1:0", "--state"])
        .arg(state)
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(2), "{said}");
    said
}

/// The chain holds, and each decision stands there once.
fn whole_ledger(state: &Path) {
    let text = std::fs::read_to_string(state.join("ledger.ndjson")).unwrap();
    let entries = ledger_values(&text);
    assert!(entries.iter().enumerate().all(|(number, entry)| entry["entry"] == number));
    let first_fails = entries.iter().filter(|entry| entry["kind"] == "begin").count();
    assert_eq!(first_fails, 1);
}

#[test]
fn one_program_a_folder_and_a_damaged_log_is_refused() {
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let running = Running::start(&[], &state);
    let words = serin(folder.path(), &["run", "--listen", "127.0.0.1:0", "--state", "state"]).expect(2).err;
    assert!(words.contains("another `serin run` uses it"), "{words}");
    for _ in 0..2 {
        accepted(running.post("/ingest", &[], text_of(&bad_rollout()[..50]).as_bytes()));
    }
    until("lines are read", || running.report());
    drop(running);
    // A last line that did not come to disk whole is made again, and said.
    let ledger = state.join("ledger.ndjson");
    let text = std::fs::read(&ledger).unwrap();
    std::fs::write(&ledger, &text[..text.len() - 10]).unwrap();
    let running = Running::start(&[], &state);
    until("it has read all again", || (std::fs::read(&ledger).unwrap() == text).then_some(()));
    drop(running);
    std::fs::write(&ledger, &text[..text.len() - 10]).unwrap();
    let segment = std::fs::read_dir(state.join("wal")).unwrap().next().unwrap().unwrap().path();
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[200] ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let words = serin(folder.path(), &["run", "--listen", "127.0.0.1:0", "--state", "state"]).expect(2).err;
    assert!(words.contains("is damaged"), "{words}");
    assert!(words.contains("ledger.ndjson: ") && words.contains("at the end are no whole line"), "{words}");
    assert_eq!(std::fs::read(&segment).unwrap(), bytes);
}

/// What a full disk refuses is not lost without a word: the sender is told to come again, and health says why.
#[test]
fn a_disk_that_refuses_is_said_by_status_and_health() {
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let running = Running::start_with_files_of(200, &["--idle", "2s"], &state);
    let lines = bad_rollout();
    let many = text_of(&lines);
    assert!(many.len() > 400 << 10);
    let (status, said) = running.post("/ingest", &[], many.as_bytes()).unwrap();
    assert!(status == 503 && said.contains("the write-ahead log cannot be written"), "{status} {said}");
    let (status, said) = running.ask("/healthz", &running.address).unwrap();
    let health: Value = serde_json::from_str(&said).unwrap();
    assert_eq!((status, &health["status"]), (503, &"trouble".into()));
    assert!(health["trouble"].as_str().unwrap().contains("write-ahead log cannot be written"), "{health}");
    // Room again: fewer lines fit.
    let few = text_of(&lines[..200]);
    assert_eq!(accepted(running.post("/ingest", &[], few.as_bytes())), 200);
    let (status, said) = running.ask("/healthz", &running.address).unwrap();
    assert_eq!(status, 200, "{said}");
}

/// Bodies that come again without a key count, and are told of; also after a restart.
#[test]
fn possible_duplicates_are_counted_and_said() {
    let lines = bad_rollout();
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let running = Running::start(&["--idle", "2s"], &state);
    let text = text_of(&lines);
    let extra = text_of(&lines[..300]);
    accepted(running.post("/ingest", &[], text.as_bytes()));
    for headers in [&[][..], &[("Idempotency-Key", "a")], &[("Idempotency-Key", "b")], &[("Content-Encoding", "gzip")]]
    {
        let body = if headers.first().is_some_and(|header| header.0 == "Content-Encoding") {
            gzip(&extra)
        } else {
            extra.clone().into_bytes()
        };
        accepted(running.post("/ingest", headers, &body));
    }
    let report = counted(&running, &lines);
    let expect = serde_json::json!({ "bodies": 1, "lines": 300 });
    assert_eq!(report["possible_duplicates"], expect, "bodies with keys of their own are no duplicates");
    assert!(running.page().unwrap().1.contains("Idempotency-Key"));
    drop(running);
    let running = Running::start(&["--idle", "2s"], &state);
    let report = running.settled(|report| report["records"]["read"].as_u64() > Some(lines.len() as u64));
    assert_eq!(report["possible_duplicates"], expect);
}
