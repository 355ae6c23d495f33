//! Independent clients of Kafka produce, with each compression, to a real node; `serin run` reads. kcat and confluent-kafka for Python
//! are run as their page, `docs/ingest/kafka.md`, shows them.
//!
//! They are downloaded by `tests/servers/shippers.sh`. Where its tools are missing the test says so and is skipped; in CI (`CI=true`) that
//! is a failure.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::common::node::{Node, is_ready};
use crate::common::running::Running;
use crate::common::{Line, Traffic, folder_with, serin};
use serde_json::json;
use serin::time::MINUTE;

const COMPRESSIONS: [&str; 4] = ["zstd", "lz4", "gzip", "snappy"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn shippers() -> Command {
    let mut command = Command::new(root().join("tests/servers/shippers.sh"));
    command.stdin(Stdio::null());
    command
}

fn clients_are_ready() -> bool {
    for (tool, option) in
        [("apt-get", "--version"), ("dpkg", "--version"), ("python3", "--version"), ("flock", "--version")]
    {
        let there = Command::new(tool).arg(option).stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{tool} is missing in CI");
            println!("skipped: {tool} is missing");
            return false;
        }
    }
    assert!(shippers().arg("prepare-kafka").status().unwrap().success(), "the clients are downloaded");
    true
}

/// A block of the page that begins so, with another broker, log and compression.
fn page(begins: &str, node: &Node, log: &Path, compression: &str) -> String {
    let text = std::fs::read_to_string(root().join("docs/ingest/kafka.md")).unwrap();
    let block = text
        .split("```")
        .find(|block| block.trim_start_matches(char::is_alphabetic).trim_start().starts_with(begins))
        .unwrap();
    let (_language, block) = block.split_once('\n').unwrap();
    block
        .replace("localhost:9092", &node.brokers)
        .replace("/var/log/app/app.log", log.to_str().unwrap())
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
    if !is_ready() || !clients_are_ready() {
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
