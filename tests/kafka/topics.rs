//! What happens to topics while `serin run` reads them: topics and partitions that come, topics that are made anew, records that are
//! deleted before they were read; and what records hold, with a real Kafka node.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::Path;

use crate::broken_canary;
use crate::common::node::{Node, is_ready, send};
use crate::common::running::{PATIENCE, Running, until};
use crate::common::{Line, folder_with, serin};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use serde_json::{Value, json};

fn send_all<'a>(producer: &BaseProducer, topic: &str, partition: i32, lines: impl IntoIterator<Item = &'a Line>) {
    for line in lines {
        send(producer, topic, partition, Some(&line.text()));
    }
    producer.flush(PATIENCE).unwrap();
}

fn running(node: &Node, topics: &[&str], state: &Path) -> Running {
    let mut arguments = vec!["--brokers", &node.brokers, "--idle", "2s", "--checkpoint", "0s"];
    topics.iter().for_each(|topic| arguments.extend(["--topic", topic]));
    Running::start(&arguments, state)
}

/// A stream has been read up to an offset.
fn read_up_to(running: &Running, stream: &str, next: u64) {
    until("it is read", || {
        let health: Value = serde_json::from_str(&running.ask("/healthz", &running.address)?.1).unwrap();
        let of = health["lag"]["partitions"].as_array()?.iter().find(|of| of["stream"] == stream)?;
        (of["next"].as_u64() >= Some(next)).then_some(())
    });
}

/// Everything has come and is counted.
fn counted(running: &Running, lines: usize) -> Value {
    running.settled(|report| report["records"]["read"].as_u64() >= Some(lines as u64))
}

fn says(running: &Running, words: &str) -> bool {
    running.said.lock().unwrap().iter().any(|line| line.contains(words))
}

#[test]
fn topics_and_partitions_that_come_are_read_from_their_beginning_without_a_restart() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let node = Node::start(folder.path());
    node.create("logs.a", 1, &[]);
    node.create("other", 1, &[]);
    let producer = node.producer("logs.a");
    let lines = broken_canary();
    let (first, rest) = lines.split_at(4_000);
    let topics = ["^logs\\."];
    let program = running(&node, &topics, &state);
    send_all(&producer, "logs.a", 0, first);
    until("lines come", || program.report());
    // What no pattern means is not read.
    send_all(&producer, "other", 0, &lines[..10]);

    node.more_partitions("logs.a", 2);
    node.create("logs.b", 1, &[]);
    // What the other was told of the topic does not have the new partition.
    let producer = node.producer("logs.a");
    let ways = [("logs.a", 0), ("logs.a", 1), ("logs.b", 0)];
    for (number, (topic, partition)) in ways.into_iter().enumerate() {
        let of = rest.iter().filter(|line| line.user % 3 == number as u64);
        for line in of {
            send(&producer, topic, partition, Some(&line.text()));
        }
    }
    producer.flush(PATIENCE).unwrap();
    let report = counted(&program, lines.len());
    assert_eq!((&report["records"]["read"], &report["verdict"]), (&lines.len().into(), &"fail".into()));
    for stream in ["logs.a/1", "logs.b/0"] {
        assert!(says(&program, &format!("{stream} has come")), "{stream}");
    }
    // The same after kill -9, from the checkpoint and from nothing but topics and ledger; and once more by a replay.
    drop(program);
    let program = running(&node, &topics, &state);
    assert_eq!(counted(&program, lines.len())["records"], report["records"]);
    drop(program);
    std::fs::remove_file(state.join("checkpoint")).unwrap();
    let program = running(&node, &topics, &state);
    let again = counted(&program, lines.len());
    assert_eq!((&again["records"], &again["comparisons"]), (&report["records"], &report["comparisons"]));
    drop(program);
    let replayed = serin(folder.path(), &["replay", "state", "--brokers", &node.brokers]).expect(0);
    assert!(replayed.out.starts_with("Every byte agrees: "), "{}", replayed.out);
    let words = serin(folder.path(), &["replay", "state"]).expect(2).err;
    assert!(words.contains("--brokers"), "{words}");
    // What is asked for must hold what the ledger rests on.
    let arguments =
        ["run", "--listen", "127.0.0.1:0", "--state", "state", "--brokers", &node.brokers, "--topic", "logs.b"];
    let words = serin(folder.path(), &arguments).expect(2).err;
    assert!(words.contains("made from other topics"), "{words}");
}

/// Producers that fill one partition after another leave some with a few lines: no others there bear out their times, but those of the
/// other partitions do.
#[test]
fn a_partition_with_few_lines_is_judged_as_well() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let node = Node::start(folder.path());
    node.create("logs", 3, &[]);
    let producer = node.producer("logs");
    let lines = broken_canary();
    let few = 7;
    let (most, rest) = lines.split_at(lines.len() - few - 1);
    send_all(&producer, "logs", 0, most);
    send_all(&producer, "logs", 1, &rest[..few]);
    // The last of them closes the windows of all others.
    send_all(&producer, "logs", 0, &rest[few..]);
    let running = running(&node, &["logs"], &state);
    let report = running.settled(|report| report["records"]["read"].as_u64() >= Some(lines.len() as u64 - 1));
    assert_eq!(report["records"]["on_time"], report["records"]["read"]);
    drop(running);
    let moves = std::fs::read_to_string(state.join("idle.ndjson")).unwrap();
    assert!(moves.contains("\"held\":true"), "{moves}");
    let replayed = serin(folder.path(), &["replay", "state", "--brokers", &node.brokers]).expect(0);
    assert!(replayed.out.starts_with("Every byte agrees: "), "{}", replayed.out);
}

#[test]
fn a_topic_that_is_made_anew_is_another_log_and_is_said() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let node = Node::start(folder.path());
    node.create("t", 1, &[]);
    let lines = broken_canary();
    let program = running(&node, &["t"], &state);
    send_all(&node.producer("t"), "t", 0, &lines[..4_000]);
    read_up_to(&program, "t/0", 4_000);

    // While it is read, with fewer records than were read.
    node.delete("t");
    node.create("t", 1, &[]);
    send_all(&node.producer("t"), "t", 0, &lines[4_000..5_000]);
    read_up_to(&program, "t/0#2", 1_000);
    assert!(says(&program, "made anew"));
    let found = |program: &Running, lines: usize| {
        until("it is found", || {
            let answer = program.ask("/v1/search?q=*&limit=1", &program.address)?.1;
            let answer: Value = serde_json::from_str(&answer).ok()?;
            (answer["total"]["lines"].as_u64() == Some(lines as u64)).then_some(())
        });
    };
    found(&program, 5_000);

    // While nobody reads, and with more records than were read: the record that was read last is another.
    program.stop();
    node.delete("t");
    node.create("t", 1, &[]);
    send_all(&node.producer("t"), "t", 0, &lines[5_000..]);
    let program = running(&node, &["t"], &state);
    let report = counted(&program, lines.len());
    assert_eq!((&report["records"]["read"], &report["verdict"]), (&lines.len().into(), &"fail".into()));
    assert_eq!(report["kafka"]["made_anew"], json!(["t/0", "t/0#2"]));
    found(&program, lines.len());
    drop(program);
    let words = serin(folder.path(), &["replay", "state", "--brokers", &node.brokers]).expect(2).err;
    assert!(words.contains("made anew"), "{words}");
}

#[test]
fn records_that_were_deleted_before_they_were_read_are_counted_and_said() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let node = Node::start(folder.path());
    node.create("t", 1, &[]);
    let producer = node.producer("t");
    let lines = broken_canary();
    let program = running(&node, &["t"], &state);
    send_all(&producer, "t", 0, &lines[..4_000]);
    read_up_to(&program, "t/0", 4_000);
    program.stop();
    send_all(&producer, "t", 0, &lines[4_000..]);
    node.delete_records("t", 0, 4_500);
    let program = running(&node, &["t"], &state);
    let report = counted(&program, lines.len() - 500);
    assert_eq!(report["records"]["read"], lines.len() - 500);
    assert_eq!(report["kafka"]["lost"], json!({ "t/0": 500 }));
    assert!(says(&program, "500 records of t/0 were deleted before they were read"));
    assert!(program.page().unwrap().1.contains("LOST: Kafka deleted 500 records"));
    drop(program);
    let words = serin(folder.path(), &["replay", "state", "--brokers", &node.brokers]).expect(2).err;
    assert!(words.contains("were deleted"), "{words}");
    // Without the checkpoint what the ledger rests on is gone.
    std::fs::remove_file(state.join("checkpoint")).unwrap();
    let arguments = ["run", "--listen", "127.0.0.1:0", "--state", "state", "--brokers", &node.brokers, "--topic", "t"];
    let words = serin(folder.path(), &arguments).expect(2).err;
    assert!(words.contains("that the ledger rests on were deleted"), "{words}");
}

/// A field of protobuf with a length.
fn field(tag: u8, inner: &[u8]) -> Vec<u8> {
    let mut out = vec![tag << 3 | 2];
    let mut length = inner.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(inner);
    out
}

/// `ExportLogsServiceRequest` with a record for each line, whose body it is.
fn otlp_proto(lines: &[Line]) -> Vec<u8> {
    let record = |line: &Line| field(2, &field(5, &field(1, line.text().as_bytes())));
    field(1, &field(2, &lines.iter().flat_map(record).collect::<Vec<u8>>()))
}

fn otlp_json(lines: &[Line]) -> String {
    let record = |line: &Line| json!({ "body": { "stringValue": line.text() } });
    json!({ "resourceLogs": [{ "scopeLogs": [{ "logRecords": lines.iter().map(record).collect::<Vec<_>>() }] }] })
        .to_string()
}

fn send_bytes(producer: &BaseProducer, topic: &str, payload: &[u8]) {
    let sent = producer.send(BaseRecord::<(), [u8]>::to(topic).partition(0).payload(payload));
    assert!(sent.is_ok());
}

#[test]
fn what_records_hold_is_told_by_each_and_counted() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let node = Node::start(folder.path());
    node.create("mixed", 1, &[("max.message.bytes", "33554432")]);
    node.create("proto", 1, &[]);
    let producer = node.producer("mixed");
    // A message that is not what its topic holds comes first, and blocks nothing.
    send_bytes(&producer, "proto", b"{\"not\":\"a batch\"}");
    let lines = broken_canary();
    let program = running(&node, &["mixed", "proto=otlp_proto"], &state);
    for (number, batch) in lines.chunks(20).enumerate() {
        if number == 100 {
            let long = format!("{{\"message\":\"{}\"}}", "x".repeat(17 << 20));
            send_bytes(&producer, "mixed", long.as_bytes());
            let time = serin::time::Timestamp(batch[0].at);
            send(&producer, "mixed", 0, Some(&format!("<14>1 {time} web-1 shop 7 - - no request")));
        }
        match number % 6 {
            0 => batch.iter().for_each(|line| send(&producer, "mixed", 0, Some(&line.text()))),
            1 => send_bytes(&producer, "mixed", &otlp_proto(batch)),
            2 => send_bytes(&producer, "mixed", otlp_json(batch).as_bytes()),
            3 => batch.iter().for_each(|line| {
                let text = format!("<14>1 2026-06-01T10:00:00Z web-1 shop 7 - - {}", line.text());
                send(&producer, "mixed", 0, Some(&text));
            }),
            // The body of a log record alone, in quotes.
            4 => batch.iter().for_each(|line| send(&producer, "mixed", 0, Some(&json!(line.text()).to_string()))),
            _ => send_bytes(&producer, "proto", &otlp_proto(batch)),
        }
        // Partitions have a time of their own, and none may run away from the others.
        producer.poll(std::time::Duration::ZERO);
    }
    producer.flush(PATIENCE).unwrap();
    let all = lines.len() + 3;
    let report = counted(&program, all);
    assert_eq!((&report["records"]["read"], &report["verdict"]), (&all.into(), &"fail".into()));
    let rejects = &report["records"]["rejects"];
    assert_eq!((&rejects["too_long"], &rejects["malformed"]), (&1.into(), &1.into()), "{rejects}");
    assert_eq!(report["records"]["events"], all - 2);
    let kept = std::fs::read_to_string(state.join("rejects.ndjson")).unwrap();
    let mut kept: Vec<Value> = kept.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(kept.len(), 2, "{kept:?}");
    kept.sort_by_key(|one| one["reason"].to_string());
    assert_eq!((&kept[0]["reason"], &kept[0]["stream"]), (&"malformed".into(), &"proto/0".into()));
    assert!(kept[0]["line"].as_str().unwrap().contains("not an ExportLogsServiceRequest"), "{}", kept[0]);
    assert_eq!((&kept[1]["reason"], &kept[1]["stream"]), (&"too_long".into(), &"mixed/0".into()));
    let batches = lines.len() / 20;
    let of = |kind: usize| (batches + 5 - kind) / 6;
    let expect = json!({
        "json": of(0) * 20 + 1,
        "otlp_proto": of(1),
        "otlp_json": of(2),
        "syslog": of(3) * 20 + 1,
        "raw": of(4) * 20,
    });
    assert_eq!(report["kafka"]["read_as"]["mixed"], expect);
    assert_eq!(report["kafka"]["read_as"]["proto"], json!({ "otlp_proto": of(5) + 1 }));
    assert!(program.page().unwrap().1.contains("as otlp_json"));
    drop(program);
    let replayed = serin(folder.path(), &["replay", "state", "--brokers", &node.brokers]).expect(0);
    assert!(replayed.out.starts_with("Every byte agrees: "), "{}", replayed.out);
}

#[test]
fn key_and_headers_play_roles() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let node = Node::start(folder.path());
    node.create("t", 1, &[]);
    let producer = node.producer("t");
    let lines = broken_canary();
    for line in &lines {
        let cohort = if line.arm == 0 { "baseline" } else { "canary" };
        let text = line
            .text()
            .replace(&format!("\"cohort\":\"{cohort}\","), "")
            .replace(&format!("\"user\":\"u{}\",", line.user), "");
        assert!(!text.contains("cohort") && !text.contains("user"), "{text}");
        let headers = OwnedHeaders::new().insert(Header { key: "cohort", value: Some(cohort) });
        let key = format!("u{}", line.user);
        let mut record = BaseRecord::to("t").partition(0).payload(&text).key(&key).headers(headers);
        while let Err((_, again)) = producer.send(record) {
            producer.poll(std::time::Duration::from_millis(50));
            record = again;
        }
    }
    producer.flush(PATIENCE).unwrap();
    let roles = ["--role", "cohort=kafka.headers.cohort", "--role", "user=kafka.key"];
    let arguments = [&["--brokers", &node.brokers, "--topic", "t", "--idle", "2s"][..], &roles].concat();
    let program = Running::start(&arguments, &state);
    let report = counted(&program, lines.len());
    assert_eq!(report["verdict"], "fail");
    let comparison = &report["comparisons"][0];
    assert_eq!((&comparison["candidate"], &comparison["unit"]), (&"canary".into(), &"user".into()));
    drop(program);
    // As if each line had said it itself.
    let text: String = lines.iter().map(|line| line.text() + "\n").collect();
    std::fs::write(folder.path().join("app.log"), text).unwrap();
    let files = serin(folder.path(), &["compare", "app.log", "--format", "json"]).expect(1).json();
    assert_eq!(files["comparisons"][0]["failed_at"], comparison["failed_at"]);
}

/// What a collector sends: few records with many lines each.
#[test]
fn one_record_with_many_lines_shows_what_they_are() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let node = Node::start(folder.path());
    node.create("batches", 1, &[]);
    let text: String = broken_canary()[..60].iter().map(|line| line.text() + "\n").collect();
    let producer = node.producer("batches");
    send(&producer, "batches", 0, Some(&text));
    producer.flush(PATIENCE).unwrap();
    let running = running(&node, &["batches"], &folder.path().join("state"));
    let report = until("it is known what lines are", || running.report());
    assert_eq!(report["survey"]["roles"]["cohort"]["fields"][0]["path"], "cohort");
    let (_, metrics) = running.ask("/metrics", &running.address).unwrap();
    let said = |name: &str| metrics.lines().find(|line| line.starts_with(name)).map(|line| line.ends_with(" 60"));
    assert_eq!(said("serin_source_lines_total"), Some(true), "{metrics}");
}
