//! An OpenTelemetry Collector follows a log and takes what an SDK sends, and passes it on as `docs/ingest/otlp.md` and
//! `docs/ingest/kafka.md` show it: to OTLP over HTTP, and to a real Kafka node in each encoding.
//!
//! Its build takes minutes, so this is no part of the usual run:
//! `SERIN_COLLECTOR=$(tests/servers/collector.sh) cargo test --test collector`. Without the variable the tests say that they are skipped.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::clients::{
    Client, all_but_the_last, append, bad_rollout, block, clients_are_ready, is_judged_as_a_file, shippers, stored,
};
use common::folder_with;
use common::node::{Node, is_ready};
use common::running::{Running, until};
use serde_json::{Value, json};

/// The program, where it was built.
fn collector() -> Option<PathBuf> {
    let path = std::env::var_os("SERIN_COLLECTOR").map(PathBuf::from);
    if path.is_none() {
        println!("skipped: SERIN_COLLECTOR is not set; tests/servers/collector.sh builds one");
    }
    path
}

/// A collector with the files of the pages, in a folder of its own.
struct Place {
    program: PathBuf,
    folder: PathBuf,
    /// Where it takes OTLP.
    port: u16,
    files: Vec<PathBuf>,
}

impl Place {
    fn new(program: &Path, folder: &Path, log: &Path, serin: &str) -> Place {
        std::fs::create_dir_all(folder.join("storage")).unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut place = Place { program: program.to_owned(), folder: folder.to_owned(), port, files: Vec::new() };
        let page = block("otlp.md", "# otelcol.yaml")
            .replace("/var/lib/otelcol", folder.join("storage").to_str().unwrap())
            .replace("/var/log/app/app.log", log.to_str().unwrap())
            .replace("127.0.0.1:4318", &format!("127.0.0.1:{port}"))
            .replace("127.0.0.1:7878", serin);
        place.add("otelcol.yaml", &page);
        // Its own figures have a port that only one program can have.
        place.add("quiet.yaml", "service:\n  telemetry:\n    metrics: {level: none}\n");
        place
    }

    fn add(&mut self, name: &str, text: &str) {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        self.files.push(path);
    }

    /// Sends to a topic, and no longer over HTTP.
    fn follows_to_topic(&mut self, node: &Node, topic: &str, encoding: &str) {
        let page = block("kafka.md", "# otelcol-kafka.yaml")
            .replace("localhost:9092", &node.brokers)
            .replace("topic: otel", &format!("topic: {topic}"))
            .replace("otlp_proto", encoding);
        self.add("otelcol-kafka.yaml", &page);
    }

    fn start(&self) -> Client {
        let mut command = Command::new(&self.program);
        command.stdin(Stdio::null()).stderr(std::fs::File::create(self.folder.join("collector.log")).unwrap());
        for file in &self.files {
            command.arg("--config").arg(file);
        }
        Client::start(command)
    }
}

#[test]
fn a_collector_follows_a_log_over_http() {
    let Some(program) = collector() else { return };
    let folder = folder_with(&[]);
    let (state, log) = (folder.path().join("state"), folder.path().join("app.log"));
    let running = Running::start(&["--idle", "2s"], &state);
    let lines = bad_rollout();
    let (first, rest) = lines.split_at(lines.len() / 2);
    append(&log, first);
    let place = Place::new(&program, folder.path(), &log, &running.address);
    let client = place.start();
    until("lines come", || running.report());
    // The program goes on logging, and the collector is started anew.
    append(&log, &rest[..100]);
    client.stop();
    append(&log, &rest[100..]);
    let client = place.start();
    let report = running.settled(|report| all_but_the_last(report, &lines));
    client.stop();
    is_judged_as_a_file(&report, folder.path(), &lines, &[]);
}

#[test]
fn a_collector_follows_a_log_to_a_topic_in_each_encoding() {
    let Some(program) = collector() else { return };
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let node = Node::start(folder.path());
    let lines = bad_rollout();
    let (first, rest) = lines.split_at(lines.len() / 2);
    for encoding in ["otlp_proto", "otlp_json", "raw"] {
        let topic = format!("logs-{encoding}");
        node.create(&topic, 3, &[]);
        let (here, log) = (folder.path().join(encoding), folder.path().join(format!("{encoding}.log")));
        append(&log, first);
        let mut place = Place::new(&program, &here, &log, "127.0.0.1:9");
        place.follows_to_topic(&node, &topic, encoding);
        let client = place.start();
        // Each record tells by itself what it holds.
        let arguments = ["--brokers", &node.brokers, "--topic", &topic, "--idle", "5s"];
        let running = Running::start(&arguments, &here.join("state"));
        until("lines come", || running.report());
        append(&log, &rest[..100]);
        client.stop();
        append(&log, &rest[100..]);
        let client = place.start();
        let report = running.settled(|report| all_but_the_last(report, &lines));
        client.stop();
        let records = node.count(&topic).unwrap();
        println!("{encoding}: {records} records");
        assert_eq!(report["kafka"]["read_as"][&topic], json!({ encoding: records }));
        assert_eq!(records == lines.len(), encoding == "raw", "{records}");
        is_judged_as_a_file(&report, &here, &lines, &[]);
    }
}

/// The program of the page for Python, which sends to a collector.
fn sdk(place: &Place) {
    let program = block("otlp.md", "import logging").replace("127.0.0.1:7878", &format!("127.0.0.1:{}", place.port));
    let path = place.folder.join("program.py");
    std::fs::write(&path, program).unwrap();
    until("the collector listens", || std::net::TcpStream::connect(("127.0.0.1", place.port)).ok());
    let output = shippers().arg("python").arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn what_an_sdk_sends_comes_through_a_collector_with_its_resource() {
    let Some(program) = collector() else { return };
    if !is_ready() || !clients_are_ready(&["prepare"]) {
        return;
    }
    let folder = folder_with(&[]);
    let none = folder.path().join("none.log");
    let state = folder.path().join("state");
    let running = Running::start(&[], &state);
    let place = Place::new(&program, &folder.path().join("http"), &none, &running.address);
    let client = place.start();
    sdk(&place);
    until("lines come", || running.report());
    client.stop();
    drop(running);
    let lines = stored(&state);
    assert_eq!(lines.len(), 100);
    for line in &lines {
        let line: Value = serde_json::from_str(line).unwrap();
        let found = ["service.name", "service.version", "cohort", "message", "http.route"].map(|field| &line[field]);
        assert_eq!(found, ["shop", "2.0", "canary", "request", "/cart"], "{line}");
    }
    let node = Node::start(folder.path());
    for encoding in ["otlp_proto", "otlp_json"] {
        let topic = format!("sdk-{encoding}");
        node.create(&topic, 1, &[]);
        let mut place = Place::new(&program, &folder.path().join(encoding), &none, "127.0.0.1:9");
        place.follows_to_topic(&node, &topic, encoding);
        let client = place.start();
        sdk(&place);
        client.stop();
        let running = Running::start(&["--brokers", &node.brokers, "--topic", &topic], &place.folder.join("state"));
        let report = until("it is read", || running.report());
        for (role, field) in
            [("service", "service.name"), ("version", "service.version"), ("cohort", "cohort"), ("user", "user.id")]
        {
            assert_eq!(report["survey"]["roles"][role]["fields"][0]["path"], field, "{}", report["survey"]["roles"]);
        }
        let query: String = r#"service.name:"shop" service.version:"2.0" cohort:"canary""#
            .bytes()
            .map(|byte| format!("%{byte:02x}"))
            .collect();
        let found = until("lines are found", || {
            let (_, said) = running.ask(&format!("/v1/search?q={query}&limit=1"), &running.address)?;
            let total = serde_json::from_str::<Value>(&said).ok()?["total"]["lines"].as_u64()?;
            (total >= 100).then_some(total)
        });
        assert_eq!(found, 100);
    }
}
