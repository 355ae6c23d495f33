//! `serin run` with a real Kafka node and lines over HTTP, killed with `kill -9` again and again while both bring lines: in the end every
//! acknowledged line counts once, every decision exists once, and the ledger is the one that topics and write-ahead log give again.
//!
//! `SERIN_ROUNDS=1000 cargo test --test kafka crashes:: -- --nocapture` does it as often; `SERIN_SEED=N` begins with another seed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::acting::configure;
use crate::common::node::{Node, is_ready, send};
use crate::common::receiver::{Answer, Receiver};
use crate::common::running::{PATIENCE, Running, until};
use crate::common::{Line, Random, Traffic, folder_with, ledger_values, serin};
use rdkafka::producer::{BaseProducer, Producer};
use serde_json::Value;
use serin::time::MINUTE;

const PARTITIONS: i32 = 3;

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// A canary that is broken, each user's lines by one way: three partitions and HTTP.
fn lines(seed: u64) -> Vec<Line> {
    let errors = vec![0.01, 0.25];
    Traffic { seed, requests: 6_000, users: 1_500, minutes: 20, errors, ..Traffic::default() }.lines()
}

struct Producers<'a> {
    kafka: &'a BaseProducer,
    topic: &'a str,
}

impl Producers<'_> {
    /// Sends what goes over Kafka; it is acknowledged later.
    fn to_kafka(&self, batch: &[Line]) {
        for line in batch {
            if let Some(partition) = partition_of(line) {
                send(self.kafka, self.topic, partition, Some(&line.text()));
            }
        }
        self.kafka.poll(Duration::ZERO);
    }
}

fn partition_of(line: &Line) -> Option<i32> {
    i32::try_from(line.user % 4).ok().filter(|partition| *partition < PARTITIONS)
}

fn to_http(batch: &[Line]) -> String {
    batch.iter().filter(|line| partition_of(line).is_none()).map(|line| line.text() + "\n").collect()
}

/// Everything has come, and nothing twice.
fn counted(running: &Running, lines: u64) -> Value {
    running.settled(|report| report["records"]["read"].as_u64() >= Some(lines))
}

/// The chain holds, each comparison began once, and topics and log give the same ledger again.
fn holds(folder: &Path, state: &Path, node: &Node) {
    let text = std::fs::read_to_string(state.join("ledger.ndjson")).unwrap();
    let entries = ledger_values(&text);
    assert!(entries.iter().enumerate().all(|(number, entry)| entry["entry"] == number));
    assert_eq!(entries.iter().filter(|entry| entry["kind"] == "begin").count(), 1);
    let replayed = serin(folder, &["replay", state.to_str().unwrap(), "--brokers", &node.brokers]).expect(0);
    assert!(replayed.out.starts_with("Every byte agrees: "), "{}", replayed.out);
}

#[test]
fn after_kill_9_every_acknowledged_line_counts_once() {
    if !is_ready() {
        return;
    }
    let (rounds, first) = (number("SERIN_ROUNDS", 3), number("SERIN_SEED", 1));
    let shared = folder_with(&[]);
    let node = Node::start(shared.path());
    let (mut kills, mut resumed) = (0, 0);
    for seed in first..first + rounds {
        let folder = folder_with(&[]);
        let state = folder.path().join("state");
        let topic = format!("requests-{seed}");
        let kafka = node.producer(&topic);
        let receiver = Receiver::start(|_, _| Answer::Status(200, String::new()));
        let config = configure(folder.path(), &receiver.address, "");
        let mut random = Random::new(seed);
        // After every batch of lines, or now and then.
        let every = if seed % 3 == 0 { "1s" } else { "0s" };
        let start = || {
            let arguments = ["--config", &config, "--brokers", &node.brokers, "--topic", &topic, "--http"];
            Running::start(&[&arguments[..], &["--idle", "5s", "--checkpoint", every]].concat(), &state)
        };
        let mut lines = lines(seed);
        let last = lines.iter().map(|line| line.at).max().unwrap() + 4 * MINUTE;
        // One line behind the others in each stream closes their windows.
        lines.extend((0..4).map(|user| Line::new(last, user, 0, r#""level":"info","message":"after""#)));
        let producers = Producers { kafka: &kafka, topic: &topic };
        let mut running = start();
        let mut of_round = 0;
        for (number, batch) in lines.chunks(100).enumerate() {
            producers.to_kafka(batch);
            let (text, key) = (to_http(batch), format!("{seed}-{number}"));
            let key = [("Idempotency-Key", key.as_str())];
            if random.below(6) == 0 {
                // While what was sent is on its way: before it is read, while it is, or after; sometimes while it starts again.
                std::thread::scope(|scope| {
                    scope.spawn(|| running.post("/ingest", &key, text.as_bytes()));
                    for _ in 0..random.below(200_000) {
                        std::hint::black_box(random.next());
                    }
                    let pid = running.child.id().to_string();
                    assert!(Command::new("kill").args(["-9", &pid]).status().unwrap().success());
                });
                drop(running);
                running = start();
                of_round += 1;
                if random.below(3) == 0 {
                    drop(running);
                    running = start();
                    of_round += 1;
                }
                // Once it has judged it gets so far each time that it reads again.
                if number > 10 || random.below(2) == 0 {
                    until("it reads", || {
                        let said = running.said.lock().unwrap();
                        said.iter().find(|line| line.contains("reading 4 streams from")).map(|line| {
                            resumed += usize::from(line.contains("the last checkpoint"));
                        })
                    });
                }
            }
            until("the body is taken", || {
                let (status, _) = running.post("/ingest", &key, text.as_bytes())?;
                (status == 200).then_some(())
            });
            // Some kills come before it has judged anything, more after it has.
            if number == 10 {
                kafka.flush(PATIENCE).unwrap();
                until("it judges", || running.report());
            }
        }
        kafka.flush(PATIENCE).unwrap();
        let report = counted(&running, lines.len() as u64);
        println!("seed {seed}: {of_round} kills, checkpoints {every}, {}", report["records"]);
        assert_eq!(report["records"]["read"], lines.len(), "seed {seed}");
        assert_eq!(report["records"]["events"], lines.len(), "seed {seed}: {}", report["records"]);
        assert_eq!(report["verdict"], "fail", "seed {seed}");
        kills += of_round;

        // Told at least once, known by one id, with the same bytes.
        until("the rollback is told", || receiver.came().iter().any(|one| one.event() == "rollback").then_some(()));
        let mut bodies: BTreeMap<String, String> = BTreeMap::new();
        for one in receiver.came() {
            let known = bodies.entry(one.id().to_owned()).or_insert_with(|| one.body.clone());
            assert_eq!(*known, one.body, "seed {seed}");
        }
        let rollbacks = bodies.values().filter(|body| body.contains("serin.rollout.rollback")).count();
        assert_eq!(rollbacks, 1, "seed {seed}");
        drop(running);
        holds(folder.path(), &state, &node);
    }
    assert!(kills > 2 * rounds, "{kills} kills");
    println!("{kills} kills in {rounds} rounds; {resumed} starts from a checkpoint were waited for");
    assert!(resumed as u64 >= rounds);
}

/// The broker is killed while it is read from, and comes back: nothing is lost, and meanwhile health says so.
#[test]
fn a_broker_that_is_killed_and_comes_back_loses_nothing() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let node = Node::start(folder.path());
    let topic = "requests";
    let kafka = node.producer(topic);
    let arguments = ["--brokers", &node.brokers, "--topic", topic, "--idle", "2s", "--checkpoint", "0s"];
    let running = Running::start(&arguments, &state);
    let mut lines: Vec<Line> = lines(7).into_iter().filter(|line| partition_of(line).is_some()).collect();
    lines.push(Line { at: lines.last().unwrap().at + 4 * MINUTE, ..lines[0].clone() });
    let producers = Producers { kafka: &kafka, topic };
    let (first, rest) = lines.split_at(lines.len() / 2);
    producers.to_kafka(first);
    kafka.flush(PATIENCE).unwrap();
    until("lines come", || running.report());

    node.kill();
    // What the producer is given now waits until it can be sent.
    producers.to_kafka(&rest[..500]);
    let health = || -> Option<Value> {
        let (status, body) = running.ask("/healthz", &running.address)?;
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(status == 503, body["status"] == "trouble", "{body}");
        Some(body)
    };
    let said = until("health says it", || health().filter(|body| body["status"] == "trouble"));
    assert!(said["trouble"].as_str().unwrap().contains("Kafka"), "{said}");
    assert_eq!(running.ask("/v1/report", &running.address).unwrap().0, 200, "what was known is shown");
    node.again();
    producers.to_kafka(&rest[500..]);
    kafka.flush(PATIENCE).unwrap();
    let report = counted(&running, lines.len() as u64);
    assert_eq!((&report["records"]["read"], &report["verdict"]), (&lines.len().into(), &"fail".into()));
    until("health is well again", || health().filter(|body| body["status"] == "ok"));
    let lag = until("nothing waits", || health().filter(|body| body["lag"]["records"] == 0));
    let ends: u64 = lag["lag"]["partitions"].as_array().unwrap().iter().map(|of| of["end"].as_u64().unwrap()).sum();
    assert_eq!(ends, lines.len() as u64);
    drop(running);
    holds(folder.path(), &state, &node);
}
