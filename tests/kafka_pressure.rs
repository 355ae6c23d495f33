//! Back-pressure: `serin run` is let read half of what a producer brings to a real Kafka node. Memory stays flat, the lag is shown, and
//! nothing is dropped.
//!
//! `SERIN_SECONDS=60 cargo test --test kafka_pressure -- --nocapture` keeps it up so long.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use std::time::{Duration, Instant};

use common::node::{Node, is_ready, send};
use common::running::{PATIENCE, Running, until};
use common::{Line, Traffic, folder_with};
use rdkafka::producer::Producer;
use serde_json::Value;
use serin::time::MINUTE;

/// Records a second that are read; twice as many come.
const READ: u64 = 4_000;
/// Bytes of a text that each record has beside its fields, so that what waits in memory would be seen.
const FILLER: usize = 2_000;
/// What Kafka's client may read ahead.
const AHEAD: &str = "queued.max.messages.kbytes=8192\nqueued.min.messages=1000\n";

fn resident_mib(running: &Running) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Records that wait.
fn lag(running: &Running) -> Option<u64> {
    let health: Value = serde_json::from_str(&running.ask("/healthz", &running.address)?.1).unwrap();
    health["lag"]["records"].as_u64()
}

#[test]
fn a_producer_that_is_twice_as_fast_costs_no_memory_and_loses_nothing() {
    if !is_ready() {
        return;
    }
    let seconds = std::env::var("SERIN_SECONDS").ok().and_then(|text| text.parse().ok()).unwrap_or(8);
    let folder = folder_with(&[("properties", AHEAD.as_bytes())]);
    let node = Node::start(folder.path());
    node.create("t", 1, &[]);
    // Nothing is packed: what waits is as long as it is.
    let producer = node.producer_with("t", "none");
    let filler = format!("{{\"filler\":\"{}\",", "x".repeat(FILLER));
    let requests = 2_000;
    let pattern = Traffic { seed: 5, requests, users: 500, minutes: 1, ..Traffic::default() }.lines();
    let line = |number: u64| -> Line {
        let line = &pattern[(number % requests) as usize];
        let at = line.at + (number / requests) as i64 * MINUTE;
        Line { at, text: line.text.replacen('{', &filler, 1), ..line.clone() }
    };
    let (properties, rate) = (folder.path().join("properties").display().to_string(), READ.to_string());
    let arguments = ["--brokers", &node.brokers, "--topic", "t", "--idle", "2s", "--kafka-properties", &properties];
    let arguments = [&arguments[..], &["--read-at-most", &rate]].concat();
    let running = Running::start(&arguments, &folder.path().join("state"));
    let (mut sent, mut most, mut memory) = (0, 0, Vec::new());
    let (began, length) = (Instant::now(), Duration::from_secs(seconds));
    until("it begins to read", || {
        let due = (began.elapsed().as_millis() as u64 * 2 * READ) / 1_000;
        while sent < due {
            send(&producer, "t", 0, Some(&line(sent).text()));
            sent += 1;
        }
        running.report()
    });
    while began.elapsed() < length {
        // So many are due by now; asking takes a little while.
        let due = (began.elapsed().as_millis() as u64 * 2 * READ) / 1_000;
        while sent < due {
            send(&producer, "t", 0, Some(&line(sent).text()));
            sent += 1;
        }
        producer.flush(PATIENCE).unwrap();
        most = most.max(lag(&running).unwrap());
        memory.push(resident_mib(&running));
    }
    let (early, end) = (memory[memory.len() / 3], memory[memory.len() - 1]);
    println!(
        "{sent} records in {:.0} s, at most {most} waited; memory {early:.0} and {end:.0} MiB",
        began.elapsed().as_secs_f64()
    );
    assert!(most > sent / 8, "the lag is shown: {most} of {sent}");
    assert!(end < early * 1.2 + 16.0, "{memory:.0?}");
    // What comes long after closes all windows.
    let last = Line { at: line(sent).at + 4 * MINUTE, ..line(sent) };
    send(&producer, "t", 0, Some(&last.text()));
    producer.flush(PATIENCE).unwrap();
    until("everything is read", || (lag(&running)? == 0).then_some(()));
    let report = running.settled(|report| report["records"]["read"].as_u64() > Some(sent));
    assert_eq!((&report["records"]["read"], &report["records"]["late"]), (&(sent + 1).into(), &0.into()));
}
