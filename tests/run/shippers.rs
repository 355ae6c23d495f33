//! Real clients against the real binary: rsyslog, syslog-ng, and the Elasticsearch and OpenTelemetry clients for Python, each with the
//! configuration that its page below `docs/ingest` shows.
//!
//! They are downloaded by `tests/servers/shippers.sh` (Debian's packages, unpacked and not installed, and Python's). Where its tools are
//! missing the tests say so and are skipped; in CI (`CI=true`) that is a failure.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::clients::{Client, append, bad_rollout, clients_are_ready, shippers, stored};
use crate::common::running::{Running, until};
use crate::common::{Line, folder_with};
use serde_json::Value;

fn is_ready() -> bool {
    clients_are_ready(&["prepare"])
}

/// The configuration of a page: its first block in this language, with another port and another log.
fn page(name: &str, language: &str, running: &Running, log: &Path) -> String {
    let pages = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/ingest");
    let text = std::fs::read_to_string(pages.join(name)).unwrap();
    let block = text.split(&format!("\n```{language}\n")).nth(1).unwrap().split("\n```\n").next().unwrap();
    let port = running.address.rsplit_once(':').unwrap().1;
    let folder = log.parent().unwrap().to_str().unwrap();
    block
        .replace("7878", port)
        .replace("/var/log/app/app.log", log.to_str().unwrap())
        .replace("/var/spool/rsyslog", folder)
}

/// What the first lines are understood as.
fn understood(folder: &Path, lines: &[String]) -> Value {
    let running = Running::start(&[], &folder.join("other"));
    let body = lines[..lines.len().min(500)].join("\n");
    let (status, said) = running.post("/ingest?debug=1", &[], body.as_bytes()).unwrap();
    assert_eq!(status, 200, "{said}");
    serde_json::from_str(&said).unwrap()
}

/// The verdict on what a client has sent, and each line as the program wrote it, with its service, version and cohort.
fn ends_in_a_verdict(running: Running, folder: &Path, state: &Path, lines: &[Line]) {
    let report = running.settled(|report| report["records"]["read"].as_u64() >= Some(lines.len() as u64));
    assert_eq!(report["verdict"], "fail", "{report}");
    let rejects = &report["records"]["rejects"];
    assert!(rejects.as_object().unwrap().values().all(|count| *count == 0), "{rejects}");
    let comparison = &report["comparisons"][0];
    assert_eq!((&comparison["control"], &comparison["candidate"]), (&"baseline".into(), &"canary".into()));
    drop(running);
    let stored = stored(state);
    let (mut sent, mut came): (Vec<Value>, Vec<Value>) = (
        lines.iter().map(|line| serde_json::from_str(&line.text()).unwrap()).collect(),
        stored.iter().map(|line| serde_json::from_str(line).unwrap()).collect(),
    );
    sent.sort_by_key(Value::to_string);
    came.sort_by_key(Value::to_string);
    assert!(sent == came, "every line once: {} of {}", came.len(), sent.len());
    let said = understood(folder, &stored);
    for role in ["service", "version", "cohort"] {
        assert_eq!(said["roles"][role], serde_json::json!([role]));
    }
    let events = said["events"].as_array().unwrap();
    let requests = events.iter().filter(|event| event["service"] == "shop" && event["kind"] == "request").count();
    assert_eq!(requests + 1, events.len(), "all but the one that is no request: {said}");
    for arm in ["baseline", "canary"] {
        assert!(events.iter().any(|event| event["arm"] == arm), "{arm}");
    }
}

/// A shipper of syslog's kind, which follows the log of a program. Serin is stopped for a while, and the program goes on logging.
fn follows(shipper: &str, page_name: &str) {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let (state, log) = (folder.path().join("state"), folder.path().join("app.log"));
    let running = Running::start(&["--idle", "2s"], &state);
    let configuration = folder.path().join("shipper.conf");
    std::fs::write(&configuration, page(page_name, "", &running, &log)).unwrap();
    let lines = bad_rollout();
    let (first, rest) = lines.split_at(lines.len() / 2);
    append(&log, first);
    let mut command = shippers();
    command.arg(shipper).arg(&configuration).arg(folder.path());
    let client = Client::start(command);
    until("lines come", || running.report());
    let address = running.address.clone();
    running.stop();
    append(&log, rest);
    // Long enough for what has no room to be thrown away.
    let began = Instant::now();
    until("queues are full", || (began.elapsed() > Duration::from_secs(8)).then_some(()));
    let running = Running::start_at(&address, &["--idle", "2s"], &state);
    running.settled(|report| report["records"]["read"].as_u64() >= Some(lines.len() as u64));
    drop(client);
    ends_in_a_verdict(running, folder.path(), &state, &lines);
}

#[test]
fn rsyslog_follows_a_log_by_bulk_requests() {
    follows("rsyslog", "rsyslog.md");
}

#[test]
fn syslog_ng_follows_a_log_by_posts() {
    follows("syslog-ng", "syslog-ng.md");
}

fn python(folder: &Path, program: &str) -> String {
    let path: PathBuf = folder.join("program.py");
    std::fs::write(&path, program).unwrap();
    let output = shippers().arg("python").arg(&path).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    out.into_owned()
}

#[test]
fn the_elasticsearch_client_for_python_sends_in_bulk() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let (state, log) = (folder.path().join("state"), folder.path().join("app.log"));
    let running = Running::start(&["--idle", "2s"], &state);
    let lines = bad_rollout();
    std::fs::write(&log, lines.iter().map(|line| line.text() + "\n").collect::<String>()).unwrap();
    let said = python(folder.path(), &page("elasticsearch.md", "python", &running, &log));
    assert_eq!(said.trim(), format!("{} stored, 0 refused", lines.len()));
    ends_in_a_verdict(running, folder.path(), &state, &lines);
}

#[test]
fn the_opentelemetry_sdk_for_python_sends_its_records() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let running = Running::start(&[], &state);
    python(folder.path(), &page("otlp.md", "python", &running, Path::new("none")));
    drop(running);
    let stored = stored(&state);
    assert_eq!(stored.len(), 100);
    let first: Value = serde_json::from_str(&stored[0]).unwrap();
    for (field, value) in [
        ("service.name", "shop"),
        ("service.version", "2.0"),
        ("cohort", "canary"),
        ("level", "info"),
        ("message", "request"),
        ("http.route", "/cart"),
    ] {
        assert_eq!(first[field], value, "{first}");
    }
    let said = understood(folder.path(), &stored);
    for (role, field) in
        [("service", "service.name"), ("version", "service.version"), ("cohort", "cohort"), ("user", "user.id")]
    {
        assert_eq!(said["roles"][role][0], field, "{said}");
    }
    let events = said["events"].as_array().unwrap();
    assert!(
        events.iter().all(|event| event["service"] == "shop" && event["arm"] == "canary" && event["kind"] == "request"),
        "{said}"
    );
    assert_eq!(
        (&events[0]["latency_us"], &events[0]["status_class"], &events[0]["has_unit"]),
        (&12_500.into(), &2.into(), &true.into())
    );
}
