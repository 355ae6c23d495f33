//! Independent clients of Kafka produce, with each compression, to a real node; `serin run` reads. kcat, confluent-kafka for Python, rsyslog
//! and syslog-ng are run as their page, `docs/ingest/kafka.md`, shows them.
//!
//! They are downloaded by `tests/servers/shippers.sh`. Where its tools are missing the test says so and is skipped; in CI (`CI=true`) that
//! is a failure.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::clients::{
    Client, all_but_the_last, append, bad_rollout, block, clients_are_ready, is_judged_as_a_file, shippers,
};
use crate::common::node::{Node, is_ready};
use crate::common::running::{Running, until};
use crate::common::{Line, Traffic, folder_with, serin};
use serde_json::json;
use serin::time::MINUTE;

const COMPRESSIONS: [&str; 4] = ["zstd", "lz4", "gzip", "snappy"];

/// A block of the page that begins so, with another broker, log and compression.
fn page(begins: &str, node: &Node, log: &Path, compression: &str) -> String {
    block("kafka.md", begins)
        .replace("localhost:9092", &node.brokers)
        .replace("/var/log/app/app.log", log.to_str().unwrap())
        .replace("/var/spool/rsyslog", log.parent().unwrap().to_str().unwrap())
        .replace("zstd", compression)
}

fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out.into_owned()
}

#[test]
fn kcat_and_confluent_kafka_produce_with_each_compression() {
    if !is_ready() || !clients_are_ready(&["prepare-kafka"]) {
        return;
    }
    let errors = vec![0.01, 0.25];
    let traffic = Traffic { seed: 61, requests: 8_000, users: 2_000, minutes: 20, errors, ..Traffic::default() };
    let mut lines = traffic.lines();
    for line in &mut lines {
        let version = if line.arm == 0 { "1.0" } else { "2.0" };
        line.text = line.text.replacen('{', &format!("{{\"version\":\"{version}\","), 1);
    }
    lines.push(Line { at: lines.last().unwrap().at + 4 * MINUTE, ..lines[0].clone() });
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let node = Node::start(folder.path());
    node.create("logs", 3, &[]);
    let program = Running::start(&["--brokers", &node.brokers, "--topic", "logs", "--idle", "3s"], &state);
    let ways = COMPRESSIONS.iter().flat_map(|compression| [(true, *compression), (false, *compression)]);
    let parts: Vec<&[Line]> = lines.chunks(lines.len().div_ceil(8)).collect();
    for ((by_kcat, compression), part) in ways.zip(parts) {
        let log: PathBuf = folder.path().join("app.log");
        std::fs::write(&log, part.iter().map(|line| line.text() + "\n").collect::<String>()).unwrap();
        let mut command = shippers();
        if by_kcat {
            let line = page("kcat", &node, &log, compression);
            command.arg("kcat").args(line.split_whitespace().skip(1));
            run(command);
        } else {
            let program = folder.path().join("program.py");
            std::fs::write(&program, page("from confluent_kafka", &node, &log, compression)).unwrap();
            command.arg("python-kafka").arg(&program);
            assert_eq!(run(command).trim(), "0 failed", "{compression}");
        }
    }
    let report = program.settled(|report| report["records"]["read"].as_u64() >= Some(lines.len() as u64));
    assert_eq!((&report["records"]["read"], &report["verdict"]), (&lines.len().into(), &"fail".into()));
    assert!(report["records"]["rejects"].as_object().unwrap().values().all(|count| *count == 0), "{report}");
    assert_eq!(report["kafka"]["read_as"]["logs"], json!({ "json": lines.len() }));
    let comparison = &report["comparisons"][0];
    assert_eq!((&comparison["control"], &comparison["candidate"]), (&"baseline".into(), &"canary".into()));
    for role in ["service", "version", "cohort"] {
        assert_eq!(report["survey"]["roles"][role]["fields"][0]["path"], role, "{}", report["survey"]["roles"]);
    }
    drop(program);
    let replayed = serin(folder.path(), &["replay", "state", "--brokers", &node.brokers]).expect(0);
    assert!(replayed.out.starts_with("Every byte agrees: "), "{}", replayed.out);
}

/// A shipper follows a log to a topic. The node dies and comes back, and the shipper is stopped and started; the program goes on logging all
/// the while.
fn follows_to_a_topic(shipper: &str, begins: &str) {
    if !is_ready() || !clients_are_ready(&["prepare"]) {
        return;
    }
    let folder = folder_with(&[]);
    let (state, log) = (folder.path().join("state"), folder.path().join("app.log"));
    let node = Node::start(folder.path());
    node.create("logs", 3, &[]);
    let configuration = folder.path().join("shipper.conf");
    std::fs::write(&configuration, page(begins, &node, &log, "zstd")).unwrap();
    let start = || {
        let mut command = shippers();
        command.arg(shipper).arg(&configuration).arg(folder.path());
        Client::start(command)
    };
    let come = |lines: usize| {
        until("lines are in the topic", || node.count("logs").filter(|count| *count >= lines));
    };
    let lines = bad_rollout();
    let parts: Vec<&[Line]> = lines.chunks(lines.len().div_ceil(3)).collect();
    append(&log, parts[0]);
    let client = start();
    come(parts[0].len());
    let program = Running::start(&["--brokers", &node.brokers, "--topic", "logs", "--idle", "5s"], &state);
    node.kill();
    append(&log, parts[1]);
    // Long enough for what has no room to be thrown away.
    let began = Instant::now();
    until("queues are full", || (began.elapsed() > Duration::from_secs(8)).then_some(()));
    node.again();
    come(parts[0].len() + parts[1].len());
    client.stop();
    append(&log, parts[2]);
    let client = start();
    come(lines.len());
    client.stop();
    let mut sent: Vec<String> = lines.iter().map(Line::text).collect();
    let mut came: Vec<String> = node.records("logs").iter().map(|line| line.trim().to_owned()).collect();
    sent.sort();
    came.sort();
    assert!(sent == came, "every line once: {} of {}", came.len(), sent.len());
    let report = program.settled(|report| all_but_the_last(report, &lines));
    assert_eq!(report["kafka"]["read_as"]["logs"], json!({ "json": lines.len() }));
    is_judged_as_a_file(&report, folder.path(), &lines, &[]);
}

#[test]
fn rsyslog_follows_a_log_to_a_topic() {
    follows_to_a_topic("rsyslog", "# /etc/rsyslog.d/serin-kafka.conf");
}

#[test]
fn syslog_ng_follows_a_log_to_a_topic() {
    follows_to_a_topic("syslog-ng", "# /etc/syslog-ng/conf.d/serin-kafka.conf");
}

/// What both write where nobody gives them a form, and the forms of JSON that their documentation shows: a line in each is that line.
#[test]
fn forms_of_rsyslog_and_syslog_ng_are_the_lines_in_them() {
    if !is_ready() || !clients_are_ready(&["prepare"]) {
        return;
    }
    let folder = folder_with(&[]);
    let log = folder.path().join("app.log");
    let lines = bad_rollout();
    append(&log, &lines);
    let node = Node::start(folder.path());
    const JSON_OF_RSYSLOG: &str = r#"
template(name="json" type="list" option.jsonf="on") {
  property(outname="@timestamp" name="timereported" dateFormat="rfc3339" format="jsonf")
  property(outname="host" name="hostname" format="jsonf")
  property(outname="severity" name="syslogseverity-text" format="jsonf")
  property(outname="facility" name="syslogfacility-text" format="jsonf")
  property(outname="tag" name="syslogtag" format="jsonf")
  property(outname="message" name="msg" format="jsonf")
}
ruleset("#;
    /// Shipper, beginning of its configuration, and what is changed in it.
    type Form = (&'static str, &'static str, &'static [(&'static str, &'static str)]);
    let forms: [Form; 4] = [
        ("rsyslog", "# /etc/rsyslog.d/serin-kafka.conf", &[(" template=\"line\"", "")]),
        (
            "rsyslog",
            "# /etc/rsyslog.d/serin-kafka.conf",
            &[("\nruleset(", JSON_OF_RSYSLOG), (" template=\"line\"", " template=\"json\"")],
        ),
        ("syslog-ng", "# /etc/syslog-ng/conf.d/serin-kafka.conf", &[("message(\"${MESSAGE}\")", "")]),
        (
            "syslog-ng",
            "# /etc/syslog-ng/conf.d/serin-kafka.conf",
            &[("${MESSAGE}", "$(format-json --scope rfc5424 --key ISODATE)")],
        ),
    ];
    for (number, (shipper, begins, changes)) in forms.into_iter().enumerate() {
        let topic = format!("logs-{number}");
        node.create(&topic, 3, &[]);
        let place = folder.path().join(&topic);
        std::fs::create_dir(&place).unwrap();
        let mut configuration = block("kafka.md", begins)
            .replace("localhost:9092", &node.brokers)
            .replace("/var/log/app/app.log", log.to_str().unwrap())
            .replace("/var/spool/rsyslog", place.to_str().unwrap())
            .replace("\"logs\"", &format!("\"{topic}\""));
        for (from, to) in changes {
            assert!(configuration.contains(from), "{from}");
            configuration = configuration.replace(from, to);
        }
        std::fs::write(place.join("shipper.conf"), configuration).unwrap();
        let mut command = shippers();
        command.arg(shipper).arg(place.join("shipper.conf")).arg(&place);
        let client = Client::start(command);
        until("lines are in the topic", || node.count(&topic).filter(|count| *count >= lines.len()));
        client.stop();
        let state = place.join("state");
        let program = Running::start(&["--brokers", &node.brokers, "--topic", &topic, "--idle", "5s"], &state);
        let report = program.settled(|report| all_but_the_last(report, &lines));
        println!("{topic}: {}", report["kafka"]["read_as"]);
        // They name the host.
        is_judged_as_a_file(&report, &place, &lines, &["instances"]);
    }
}
