//! Brokers that die while `serin run` reads: three real nodes, of which one is killed with `kill -9`.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::Path;

use crate::common::node::{Cluster, is_ready, send};
use crate::common::running::{PATIENCE, Running, until};
use crate::common::{Line, Traffic, bytes_of, folder_with, serin};
use rdkafka::producer::{BaseProducer, Producer};
use serde_json::{Value, json};
use serin::time::MINUTE;

const PARTITIONS: u64 = 3;
/// A policy that the calm rollout passes.
const POLICY: &str = "guardrails: [errors]\nnext_share_percent: 25\n";

/// Both arms alike, or a canary that breaks after six minutes.
fn lines(is_broken: bool) -> Vec<Line> {
    let mut lines = Traffic {
        users: 6_000,
        requests: 24_000,
        minutes: 40,
        shares: vec![0.5],
        errors: vec![0.005, 0.005],
        slower: vec![1.0, 1.0],
        ..Traffic::default()
    }
    .lines();
    let breaks = lines[0].at + 6 * MINUTE;
    let harmed = lines.iter_mut().filter(|line| is_broken && line.arm == 1 && line.at > breaks && line.user % 4 == 0);
    harmed.for_each(|line| line.text = line.text.replace("\"status\":200", "\"status\":503"));
    lines
}

fn partition_of(line: &Line) -> i32 {
    i32::try_from(line.user % PARTITIONS).unwrap()
}

/// Sends the lines of those partitions.
fn send_all<'a>(producer: &BaseProducer, topic: &str, lines: impl IntoIterator<Item = &'a Line>) {
    for part in lines.into_iter().collect::<Vec<_>>().chunks(100) {
        part.iter().for_each(|line| send(producer, topic, partition_of(line), Some(&line.text())));
        // None runs away from the others by more than --lateness.
        producer.flush(PATIENCE).unwrap();
    }
}

/// A line of each partition that closes the windows of all before.
fn last(lines: &[Line]) -> Vec<Line> {
    let at = lines.last().unwrap().at + 4 * MINUTE;
    (0..PARTITIONS).map(|user| Line { at, user, ..lines[0].clone() }).collect()
}

fn running(brokers: &str, topic: &str, [idle, stall]: [&str; 2], folder: &Path, state: &str) -> Running {
    let policy = folder.join("policy.yaml");
    std::fs::write(&policy, POLICY).unwrap();
    let arguments = ["--brokers", brokers, "--topic", topic, "--idle", idle, "--stall", stall, "--checkpoint", "0s"];
    Running::start(&[&arguments[..], &["--policy", policy.to_str().unwrap()]].concat(), &folder.join(state))
}

fn health(running: &Running) -> Option<(u16, Value)> {
    let (status, body) = running.ask("/healthz", &running.address)?;
    Some((status, serde_json::from_str(&body).ok()?))
}

/// Lines of a report that were read.
fn read(report: &Value) -> Option<usize> {
    usize::try_from(report["records"]["read"].as_u64()?).ok()
}

/// Every record that is there has been read.
fn read_all(running: &Running, records: u64) {
    until("it is read", || {
        let (_, health) = health(running)?;
        let partitions = health["lag"]["partitions"].as_array()?;
        let next: u64 = partitions.iter().map(|of| of["next"].as_u64()).sum::<Option<u64>>()?;
        (next >= records).then_some(())
    });
}

/// A topic with its lines, the partition that is gone meanwhile, and who sends.
type Rollout<'a> = (&'a str, Vec<Line>, i32, BaseProducer);

fn at_once(rollouts: &[Rollout<'_>], send: impl Fn(&Rollout<'_>) + Sync) {
    std::thread::scope(|scope| rollouts.iter().for_each(|of| drop(scope.spawn(|| send(of)))));
}

fn replays(folder: &Path, state: &str, brokers: &str) {
    let replayed = serin(folder, &["replay", state, "--brokers", brokers]).expect(0);
    assert!(replayed.out.starts_with("Every byte agrees: "), "{}", replayed.out);
}

#[test]
fn a_partition_whose_node_is_gone_holds_nothing_back_and_nothing_passes_without_it() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let cluster = Cluster::start(folder.path());
    let brokers = &cluster.any().brokers;
    // Each partition is on one node alone.
    let topics = [("broken", true), ("calm", false)];
    topics.iter().for_each(|(topic, _)| cluster.any().create(topic, PARTITIONS as i32, &[]));
    let gone = cluster.leader("broken", 1);
    let rollouts: Vec<Rollout<'_>> = topics
        .iter()
        .map(|(topic, is_broken)| {
            let led = (0..PARTITIONS as i32).find(|partition| cluster.leader(topic, *partition) == gone).unwrap();
            (*topic, lines(*is_broken), led, cluster.any().producer(topic))
        })
        .collect();
    std::fs::write(folder.path().join("calm.log"), bytes_of(&rollouts[1].1)).unwrap();
    std::fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
    let whole = serin(folder.path(), &["compare", "calm.log", "--policy", "policy.yaml", "--format", "json"]);
    assert_eq!(whole.expect(0).json()["verdict"], "pass", "with all its lines");

    let begin = |topic: &str| running(brokers, topic, ["2s", "8s"], folder.path(), topic);
    let mut programs: Vec<Running> = topics.iter().map(|(topic, _)| begin(topic)).collect();
    // Five minutes of all partitions, then ten of two, and the rest of all.
    let (first, second) = (3_000, 9_000);
    at_once(&rollouts, |(topic, lines, _, producer)| send_all(producer, topic, &lines[..first]));
    for ((topic, ..), program) in rollouts.iter().zip(&programs) {
        read_all(program, first as u64);
        let report = until("there is a verdict", || program.report());
        assert_eq!(report["verdict"], "inconclusive", "{topic}");
    }
    cluster.nodes[gone].kill();
    at_once(&rollouts, |(topic, lines, led, producer)| {
        send_all(producer, topic, lines[first..second].iter().filter(|line| partition_of(line) != *led));
    });
    for ((topic, _, led, _), program) in rollouts.iter().zip(&programs) {
        let stream = format!("{topic}/{led}");
        program.heard(&format!("{stream} stalls"));
        let report = until("its verdict says so", || {
            let report = program.report()?;
            let flaws = report["comparisons"][0]["flaws"].as_array()?;
            flaws.contains(&"stalled_partition".into()).then_some(report)
        });
        assert_eq!(report["comparisons"][0]["missed"]["streams"], json!([stream]));
        assert!(report["kafka"]["stalled"][&stream].is_string(), "{}", report["kafka"]);
        assert!(program.page().unwrap().1.contains("STALLED"));
        let (status, health) = health(program).unwrap();
        assert_eq!(status, 503, "{health}");
        assert!(health["trouble"].as_str().unwrap().contains(&stream), "{health}");
        assert!(health["stalled"][&stream].is_string(), "{health}");
        // What the others bring is taken and judged.
        assert_eq!(program.ask("/readyz", &program.address).unwrap().0, 200);
        let metrics = program.ask("/metrics", &program.address).unwrap().1;
        assert!(metrics.lines().any(|line| line == "serin_stalled_partitions 1"), "{metrics}");
    }
    until("the broken canary fails while the partition is gone", || {
        (programs[0].report()?["verdict"] == "fail").then_some(())
    });
    // A program that starts again meanwhile goes by what was written down.
    drop(programs.remove(0));
    programs.insert(0, begin("broken"));
    until("it stands where it stood", || (programs[0].report()?["verdict"] == "fail").then_some(()));

    cluster.nodes[gone].again();
    at_once(&rollouts, |(topic, lines, led, producer)| {
        send_all(producer, topic, lines[first..second].iter().filter(|line| partition_of(line) == *led));
        send_all(producer, topic, &lines[second..]);
        send_all(producer, topic, &last(lines));
    });
    for ((topic, lines, ..), program) in rollouts.iter().zip(&programs) {
        let all = lines.len() + PARTITIONS as usize;
        let report = program.settled(|report| read(report) >= Some(all));
        assert_eq!(read(&report), Some(all), "{topic}: each line counts once");
        assert!(report["records"]["late"].as_u64() > Some(500), "{topic}: {}", report["records"]);
        let comparison = &report["comparisons"][0];
        let flaws = comparison["flaws"].as_array().unwrap();
        assert!(flaws.contains(&"stalled_partition".into()), "{topic}: {flaws:?}");
        match *topic {
            "broken" => assert_eq!(report["verdict"], "fail"),
            _ => assert!(
                ["inconclusive", "invalid"].contains(&report["verdict"].as_str().unwrap()),
                "{}",
                report["verdict"]
            ),
        }
        assert!(
            comparison["reasons"].to_string().contains("had more lines and gave none"),
            "{}",
            comparison["reasons"]
        );
        assert_eq!(report["kafka"]["stalled"], json!({}));
        until("it is well again", || {
            let (status, health) = health(program)?;
            (status == 200 && health["stalled"] == json!({})).then_some(())
        });
    }
    programs[1].heard("stalls no more");
    drop(programs);
    topics.iter().for_each(|(topic, _)| replays(folder.path(), topic, brokers));
    let moves = std::fs::read_to_string(folder.path().join("calm/idle.ndjson")).unwrap();
    assert!(moves.contains("\"stalled\":true"), "{moves}");
}

#[test]
fn where_another_node_takes_over_nothing_stalls_and_every_line_counts_once() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let cluster = Cluster::start(folder.path());
    let brokers = &cluster.any().brokers;
    cluster.any().create_copied("logs", PARTITIONS as i32, 3, &[("min.insync.replicas", "2")]);
    let producer = cluster.any().producer("logs");
    let lines = lines(true);
    let program = running(brokers, "logs", ["15s", "60s"], folder.path(), "state");
    let (first, rest) = lines.split_at(8_000);
    send_all(&producer, "logs", first);
    read_all(&program, first.len() as u64);
    let gone = cluster.leader("logs", 1);
    cluster.nodes[gone].kill();
    send_all(&producer, "logs", rest);
    send_all(&producer, "logs", &last(&lines));
    let all = lines.len() + PARTITIONS as usize;
    let report = program.settled(|report| read(report) >= Some(all));
    assert_eq!((read(&report), &report["verdict"]), (Some(all), &"fail".into()));
    assert_eq!(report["records"]["late"], 0);
    assert_eq!(report["comparisons"][0]["missed"], Value::Null);
    assert!(!program.said.lock().unwrap().iter().any(|line| line.contains("stalls")));
    drop(program);
    replays(folder.path(), "state", brokers);
}
