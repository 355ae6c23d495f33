//! Back-pressure: `serin run` may read so many records a second, and a producer always brings more to a real Kafka node. Memory stays
//! flat, the lag is shown, and nothing is dropped.
//!
//! `SERIN_SECONDS=60 cargo test --test kafka pressure:: -- --nocapture` keeps it up so long.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use crate::common::node::{Node, is_ready, send};
use crate::common::running::{PATIENCE, Running, until};
use crate::common::{Line, Traffic, folder_with};
use rdkafka::producer::Producer;
use serde_json::Value;
use serin::time::MINUTE;

/// Records a second that are read.
const READ: u64 = 3_000;
/// Records that wait at least, each time that the producer has brought some; half of them must be shown as waiting at any time.
const WAITING: u64 = 24_000;
/// Fewest looks at memory.
const LOOKS: usize = 12;
/// Bytes of a text that each record has beside its fields, so that what waits in memory would be seen.
const FILLER: usize = 2_000;
/// What Kafka's client may read ahead.
const AHEAD: &str = "queued.max.messages.kbytes=8192\nqueued.min.messages=1000\n";

fn resident_mib(running: &Running) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", running.child.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Records that wait, and the next one that is read.
fn lag(running: &Running) -> Option<(u64, u64)> {
    let health: Value = serde_json::from_str(&running.ask("/healthz", &running.address)?.1).unwrap();
    let lag = &health["lag"];
    Some((lag["records"].as_u64()?, lag["partitions"][0]["next"].as_u64()?))
}

#[test]
fn a_producer_that_is_faster_costs_no_memory_and_loses_nothing() {
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
    let mut sent = 0;
    // Whatever has been read, so many wait behind it.
    let bring = |next: u64, sent: &mut u64| {
        while *sent < next + WAITING {
            send(&producer, "t", 0, Some(&line(*sent).text()));
            *sent += 1;
        }
        producer.flush(PATIENCE).unwrap();
    };
    bring(0, &mut sent);
    until("it begins to read", || running.report());
    let (_, first) = until("it says how far it is", || lag(&running));
    bring(first, &mut sent);
    until("it says what waits", || lag(&running).filter(|(waiting, _)| *waiting >= WAITING / 2));
    let (mut shown, mut memory, mut before) = (Vec::new(), Vec::new(), first);
    while before < first + READ * seconds || memory.len() < LOOKS {
        let (waiting, next) = until("it reads on", || {
            memory.push(resident_mib(&running));
            lag(&running).filter(|(_, next)| *next > before)
        });
        shown.push(waiting);
        bring(next, &mut sent);
        before = next;
    }
    // The first quarter fills what is read ahead, and the index.
    let most = |part: &[f64]| part.iter().copied().fold(0.0, f64::max);
    let quarter = memory.len() / 4;
    let (early, end) = (most(&memory[quarter..2 * quarter]), most(&memory[3 * quarter..]));
    let (least, greatest) = (shown.iter().min().unwrap(), shown.iter().max().unwrap());
    println!(
        "{sent} records, {least} to {greatest} waited at {} looks; memory {early:.0} and {end:.0} MiB",
        memory.len()
    );
    assert!(*least >= WAITING / 2, "the lag is shown: {least} of {sent}");
    assert!(end < early * 1.2 + 16.0, "{memory:.0?}");
    // What comes long after closes all windows.
    let last = Line { at: line(sent).at + 4 * MINUTE, ..line(sent) };
    send(&producer, "t", 0, Some(&last.text()));
    producer.flush(PATIENCE).unwrap();
    until("everything is read", || (lag(&running)?.0 == 0).then_some(()));
    let report = running.settled(|report| report["records"]["read"].as_u64() > Some(sent));
    assert_eq!((&report["records"]["read"], &report["records"]["late"]), (&(sent + 1).into(), &0.into()));
}
