//! Lines judged while they come, and the same ledger after `kill -9`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::node::{Node, is_ready, send};
use crate::common::running::{PATIENCE, Running, until};
use crate::common::{Line, Traffic, folder_with, serin};
use rdkafka::producer::{BaseProducer, Producer};
use serde_json::Value;

const TOPIC: &str = "requests";

fn running(node: &Node, state: &Path) -> Running {
    Running::start(&["--brokers", &node.brokers, "--topic", TOPIC, "--idle", "2s"], state)
}

fn send_lines(producer: &BaseProducer, lines: &[Line]) {
    // Never more than --lateness of the lines is on its way: where one partition's come so late that it is moved on to the other, none
    // of them is late.
    for part in lines.chunks(50) {
        for line in part {
            send(producer, TOPIC, i32::try_from(line.user % 2).unwrap(), Some(&line.text()));
        }
        producer.flush(PATIENCE).unwrap();
    }
}

#[test]
fn a_broken_canary_fails_while_it_runs_and_again_after_a_crash() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let node = Node::start(folder.path());
    let producer = node.producer(TOPIC);
    let traffic = Traffic {
        seed: 61,
        requests: 12_000,
        users: 3_000,
        minutes: 30,
        errors: vec![0.01, 0.2],
        ..Traffic::default()
    };
    let lines = traffic.lines();
    let state = folder.path().join("state");
    let ledger = || std::fs::read(state.join("ledger.ndjson")).unwrap();

    let running_of = || running(&node, &state);
    let running = running_of();
    let (status, body) = running.ask("/v1/report", &running.address).unwrap();
    assert!(status == 503 && body.contains("waiting_for"), "{status} {body}");
    assert_eq!(running.ask("/healthz", &running.address).unwrap().0, 200);
    assert_eq!(running.ask("/v1/report", "elsewhere.example").unwrap().0, 403);

    // Two partitions bring lines, one brings nothing, and still windows close.
    send_lines(&producer, &lines[..4_000]);
    until("a first report", || running.report());
    send_lines(&producer, &lines[4_000..9_000]);
    let report = running.settled(|report| report["verdict"] == "fail");
    assert_eq!(report["comparisons"][0]["candidate"], "canary");
    let page = running.page().unwrap().1;
    for part in ["class=\"verdict fail\"", "FAIL</h2>", "http-equiv=\"refresh\"", "href=\"/v1/report\""] {
        assert!(page.contains(part), "{part}: {page}");
    }

    // From the silent partition come old lines, and records that hold nothing: late, and rejected.
    for line in &lines[..5] {
        send(&producer, TOPIC, 2, Some(&line.text()));
    }
    send(&producer, TOPIC, 2, None);
    send(&producer, TOPIC, 2, Some(""));
    producer.flush(PATIENCE).unwrap();
    send_lines(&producer, &lines[9_000..]);
    let before = running.settled(|report| report["records"]["late"].as_u64() >= Some(5));
    assert_eq!(before["records"]["late"], 5);
    assert_eq!(before["records"]["rejects"]["unknown_format"], 2);
    let kept = ledger();
    // One more behind the place up to which it was moved on.
    send(&producer, TOPIC, 2, Some(&lines[0].text()));
    producer.flush(PATIENCE).unwrap();

    // kill -9, with that one read or not: the same again from nothing but the topic.
    drop(running);
    let mut running = running_of();
    let again = running.settled(|report| report["records"] == before["records"]);
    assert_eq!(again["verdict"], "fail");
    assert_eq!(again["comparisons"], before["comparisons"]);
    assert_eq!(ledger(), kept);

    // The same lines as files are judged alike.
    let of = |partition: u64| -> String {
        lines.iter().filter(|line| line.user % 2 == partition).map(|line| line.text() + "\n").collect()
    };
    std::fs::write(folder.path().join("0.log"), of(0)).unwrap();
    std::fs::write(folder.path().join("1.log"), of(1)).unwrap();
    let files = serin(folder.path(), &["compare", "0.log", "1.log", "--format", "json"]).expect(1);
    let files: Value = serde_json::from_str(&files.out).unwrap();
    assert_eq!(files["comparisons"][0]["failed_at"], again["comparisons"][0]["failed_at"]);

    // Asked to stop, it stops.
    let asked = Instant::now();
    let pid = running.child.id().to_string();
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    assert_eq!(running.child.wait().unwrap().code(), Some(0));
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(ledger(), kept);
}

#[test]
fn only_this_machine_may_ask() {
    let folder = folder_with(&[]);
    let arguments = ["run", "--brokers", "127.0.0.1:1", "--topic", "t", "--listen", "0.0.0.0:0"];
    let refused = serin(folder.path(), &arguments).expect(2);
    assert!(refused.err.contains("only this machine"), "{}", refused.err);
    assert!(!folder.path().join("serin-state").exists());
}

/// What a topic holds stays there; of what was read from it nothing of the unit is left, and a restart, which goes on behind it, brings
/// nothing back.
#[test]
fn a_unit_that_came_by_a_topic_is_forgotten_and_stays_so() {
    if !is_ready() {
        return;
    }
    const SECRET: &str = "a token of the test, long enough";
    let folder = folder_with(&[("token", SECRET.as_bytes())]);
    let config = format!("checkpoint: 0s\noperate_token_file: {}/token\n", folder.path().display());
    std::fs::write(folder.path().join("serin.yaml"), config).unwrap();
    let node = Node::start(folder.path());
    let producer = node.producer(TOPIC);
    let lines = Traffic { seed: 62, requests: 4_000, users: 300, ..Traffic::default() }.lines();
    let user = lines[0].user;
    let of_user = lines.iter().filter(|line| line.user == user).count() as u64;
    let text = lines[0].text();
    let id = serde_json::from_str::<Value>(&text).unwrap()["user"].as_str().unwrap().to_owned();
    let state = folder.path().join("state");
    let config = folder.path().join("serin.yaml").display().to_string();
    let start =
        || Running::start(&["--config", &config, "--brokers", &node.brokers, "--topic", TOPIC, "--idle", "2s"], &state);
    let found = |running: &Running, query: &str, expect: u64| {
        let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        until(&format!("{expect} lines of {query}"), || {
            let path = format!("/v1/search?count=1000000000&limit=1&q={query}");
            let (_, body) = running.ask(&path, &running.address)?;
            let total = serde_json::from_str::<Value>(&body).ok()?["total"]["lines"].as_u64()?;
            (total == expect).then_some(())
        });
    };
    let running = start();
    send_lines(&producer, &lines);
    found(&running, "*", lines.len() as u64);
    found(&running, &format!("user:\"{id}\""), of_user);
    let output = serin(
        folder.path(),
        &["forget", "--unit", &id, "--actor", "ann", "--address", &running.address, "--token-file", "token"],
    )
    .expect(0);
    assert!(output.out.contains(&format!("{of_user} lines in the index")), "{}", output.out);
    found(&running, &format!("user:\"{id}\""), 0);
    let left = lines.len() as u64 - of_user;
    found(&running, "*", left);
    // Killed and started anew.
    drop(running);
    let running = start();
    send(&producer, TOPIC, 0, Some(&lines[1].text()));
    producer.flush(PATIENCE).unwrap();
    found(&running, "*", left + 1);
    found(&running, &format!("user:\"{id}\""), u64::from(lines[1].user == user));
}
