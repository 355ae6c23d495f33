//! The ways in besides `POST /ingest`, as shippers use them: each ends in lines that are judged like a file of them.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use common::running::Running;
use common::{Line, Traffic, folder_with, serin};
use serde_json::Value;
use serin::source::wal::Wal;
use serin::time::MINUTE;

fn bad_rollout() -> Vec<Line> {
    let errors = vec![0.01, 0.2];
    Traffic { seed: 61, requests: 12_000, users: 3_000, minutes: 30, errors, ..Traffic::default() }.lines()
}

fn text_of(lines: &[Line]) -> String {
    lines.iter().map(|line| line.text() + "\n").collect()
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// All lines of a write-ahead log, once its program has ended.
fn stored(state: &Path) -> Vec<String> {
    let mut opened = Wal::open(&state.join("wal")).unwrap();
    let mut lines = Vec::new();
    while let Some((_, text)) = opened.reader.next(Duration::ZERO).unwrap() {
        lines.extend(String::from_utf8(text).unwrap().lines().map(str::to_owned));
    }
    lines
}

fn json(answer: Option<(u16, String)>, status: u16) -> Value {
    let (got, body) = answer.expect("an answer");
    assert_eq!(got, status, "{body}");
    serde_json::from_str(&body).unwrap()
}

/// The report, once so many lines and one more are counted: that one comes four minutes after them, and closes their windows.
fn counted(running: &Running, lines: &[Line], more: usize) -> Value {
    let at = lines.iter().map(|line| line.at).max().unwrap() + 4 * MINUTE;
    let after = Line::new(at, 0, 0, r#""level":"info","message":"after""#).text() + "\n";
    json(running.post("/ingest", &[], after.as_bytes()), 200);
    running.settled(|report| report["records"]["read"].as_u64() > Some((lines.len() + more) as u64))
}

/// What `compare` says of the same lines in a file, and what was said live: the same failure at the same time.
fn fails_as_in_a_file(running: &Running, folder: &Path, lines: &[Line]) -> Value {
    let report = counted(running, lines, 0);
    assert_eq!(report["verdict"], "fail");
    let files = serin(folder, &["compare", "app.log", "--format", "json"]).expect(1).json();
    assert_eq!(report["comparisons"][0]["failed_at"], files["comparisons"][0]["failed_at"]);
    assert_eq!(report["comparisons"][0]["service"], files["comparisons"][0]["service"]);
    report
}

#[test]
fn a_broken_canary_fails_on_bulk_requests() {
    let lines = bad_rollout();
    let folder = folder_with(&[("app.log", text_of(&lines).as_bytes())]);
    let state = folder.path().join("state");
    let running = Running::start(&["--idle", "2s"], &state);
    let kind = ("Content-Type", "application/x-ndjson");
    for (number, batch) in lines.chunks(400).enumerate() {
        let action = ["{\"create\":{\"_index\":\"logs-web\"}}\n", "{\"index\":{}}\n"][number % 2];
        let body: String = batch.iter().map(|line| action.to_owned() + &line.text() + "\n").collect();
        let said = match number % 3 {
            0 => running.post("/_bulk?refresh=false", &[kind], body.as_bytes()),
            1 => running.post("/logs-web/_bulk", &[kind, ("Content-Encoding", "gzip")], &gzip(body.as_bytes())),
            _ => running.post("/some/prefix/_bulk/", &[("Content-Type", "application/json")], body.as_bytes()),
        };
        let said = json(said, 200);
        assert_eq!((&said["errors"], said["items"].as_array().unwrap().len()), (&false.into(), batch.len()));
    }
    fails_as_in_a_file(&running, folder.path(), &lines);
    drop(running);
    let stored = stored(&state);
    assert_eq!(stored[..lines.len()], lines.iter().map(Line::text).collect::<Vec<_>>(), "documents as they came");
}

/// An item that is refused is said to be so, and is a reject in the report.
#[test]
fn refused_items_of_bulk_are_counted_rejects() {
    let lines = bad_rollout();
    let folder = folder_with(&[("app.log", text_of(&lines).as_bytes())]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    let good: String = lines.iter().map(|line| format!("{{\"create\":{{}}}}\n{}\n", line.text())).collect();
    assert_eq!(json(running.post("/_bulk", &[], good.as_bytes()), 200)["errors"], false);
    let bad = "{\"create\":{\"_id\":\"a\"}}\n{\"status\":\n{\"update\":{\"_id\":\"b\"}}\n{\"doc\":{\"status\":500}}\n{\"delete\":{\"_id\":\"c\"}}\n";
    let said = json(running.post("/_bulk", &[], bad.as_bytes()), 200);
    assert_eq!(said["errors"], true);
    let items = &said["items"];
    for (item, action, id) in [(&items[0], "create", "a"), (&items[1], "update", "b"), (&items[2], "delete", "c")] {
        assert_eq!((&item[action]["status"], &item[action]["_id"]), (&400.into(), &id.into()), "{said}");
    }
    let report = counted(&running, &lines, 3);
    let rejects = &report["records"]["rejects"];
    assert_eq!((&rejects["malformed"], &rejects["no_time"]), (&1.into(), &2.into()), "{rejects}");
    // A body that is none is refused whole, in the words of Elasticsearch.
    let said = json(running.post("/_bulk", &[], b"{\"status\":200}\n"), 400);
    assert!(said["error"]["reason"].as_str().unwrap().starts_with("Malformed action/metadata line [1]"), "{said}");
    let said = json(running.post("/_bulk", &[("Content-Encoding", "br")], b"x"), 415);
    assert_eq!(said["status"], 415);
}

/// What each client asks before it sends, from the contract pages of its sources (transcripts; the clients themselves are not run
/// here).
#[test]
fn clients_of_elasticsearch_find_what_they_look_for() {
    let folder = folder_with(&[]);
    let running = Running::start(&[], &folder.path().join("state"));
    let ask = |request: &str, agent: &str, accept: &str| -> (u16, String, Vec<u8>) {
        let head = format!(
            "{request} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {agent}\r\nAccept: {accept}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
            running.address
        );
        running.exchange_bytes(head.as_bytes()).unwrap()
    };
    let any = "*/*";
    let v9 = "application/vnd.elasticsearch+json; compatible-with=9";
    for (client, request, accept, path, expected) in [
        ("Vector/0.49.0", "GET /_cluster/health", any, "/status", "green"),
        ("Vector/0.49.0", "GET /", any, "/version/number", "8.17.0"),
        ("Logstash/8.17.0", "GET /", any, "/tagline", "You Know, for Search"),
        ("Logstash/8.17.0", "GET /", any, "/version/build_flavor", "default"),
        ("Logstash/8.17.0", "GET /_license", any, "/license/status", "active"),
        ("Logstash/8.17.0", "GET /_xpack", any, "/license/status", "active"),
        ("Logstash/8.17.0", "GET /_nodes/http", any, "/nodes/serin/http/publish_address", running.address.as_str()),
        ("Elastic-filebeat/9.2.1 (linux; amd64)", "GET /", "application/json", "/version/number", "9.2.1"),
        ("Elastic-filebeat/9.2.1 (linux; amd64)", "GET /_license?human=false", any, "/license/type", "basic"),
        ("elasticsearch-py/9.1.0", "GET /", v9, "/version/build_type", "tar"),
        ("go-elasticsearch/8.19", "GET /_nodes/_all/http", any, "/_nodes/total", "1"),
        ("rsyslog", "GET /_cat/health?format=json", any, "/0/status", "green"),
    ] {
        let (status, head, body) = ask(request, client, accept);
        assert_eq!(status, 200, "{client}: {request}");
        assert!(head.contains("x-elastic-product: elasticsearch"), "{client}: {request}: {head}");
        let kind = if accept == v9 { v9 } else { "application/json" };
        assert!(head.contains(&format!("content-type: {kind}")), "{client}: {request}: {head}");
        let said: Value = serde_json::from_slice(&body).unwrap();
        let found = said.pointer(path).map(|value| value.to_string().trim_matches('"').to_owned());
        assert_eq!(found.as_deref(), Some(expected), "{client}: {request}: {said}");
    }
    for request in [
        "HEAD /",
        "HEAD /_index_template/logstash",
        "GET /_template/logstash",
        "PUT /_index_template/filebeat",
        "GET /_ilm/policy/filebeat",
        "PUT /_ilm/policy/filebeat",
        "GET /_ingest/pipeline/filebeat-nginx",
        "HEAD /filebeat-9.2.1",
        "GET /_cat/health",
    ] {
        assert_eq!(ask(request, "any", any).0, 200, "{request}");
    }
    for (request, expected) in
        [("GET /_search", 501), ("GET /_bulk", 405), ("GET /nowhere", 404), ("DELETE /index", 404)]
    {
        let (status, _, body) = ask(request, "any", any);
        let said: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, &said["status"]), (expected, &expected.into()), "{request}");
        assert!(said["error"]["reason"].as_str().unwrap().len() > 10);
    }
    // A browser sees the page.
    assert!(running.page().unwrap().1.starts_with("<!"));
}
