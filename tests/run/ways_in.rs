//! The ways in besides `POST /ingest`, as shippers use them: each ends in lines that are judged like a file of them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::common::running::Running;
use crate::common::{Line, Traffic, folder_with, serin};
use serde_json::Value;
use serin::source::wal::Wal;
use serin::time::MINUTE;

/// A rollout that fails, and a line four minutes later that closes its windows.
fn bad_rollout() -> Vec<Line> {
    let errors = vec![0.01, 0.2];
    let traffic = Traffic { seed: 61, requests: 12_000, users: 3_000, minutes: 30, errors, ..Traffic::default() };
    let mut lines = traffic.lines();
    let at = lines.iter().map(|line| line.at).max().unwrap() + 4 * MINUTE;
    lines.push(Line::new(at, 0, 0, r#""level":"info","message":"after""#));
    lines
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

/// The report, once so many lines are counted.
fn counted(running: &Running, lines: usize) -> Value {
    running.settled(|report| report["records"]["read"].as_u64() >= Some(lines as u64))
}

/// What `compare` says of the same lines in a file, and what was said live: the same failure at the same time.
fn fails_as_in_a_file(running: &Running, folder: &Path, lines: &[Line]) -> Value {
    let report = counted(running, lines.len());
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
    assert_eq!(stored, lines.iter().map(Line::text).collect::<Vec<_>>(), "documents as they came");
}

/// An item that is refused is said to be so, and is a reject in the report.
#[test]
fn refused_items_of_bulk_are_counted_rejects() {
    let lines = bad_rollout();
    let folder = folder_with(&[("app.log", text_of(&lines).as_bytes())]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    let (last, before) = lines.split_last().unwrap();
    let send = |lines: &[Line]| {
        let good: String = lines.iter().map(|line| format!("{{\"create\":{{}}}}\n{}\n", line.text())).collect();
        assert_eq!(json(running.post("/_bulk", &[], good.as_bytes()), 200)["errors"], false);
    };
    send(before);
    let bad = "{\"create\":{\"_id\":\"a\"}}\n{\"status\":\n{\"update\":{\"_id\":\"b\"}}\n{\"doc\":{\"status\":500}}\n{\"delete\":{\"_id\":\"c\"}}\n";
    let said = json(running.post("/_bulk", &[], bad.as_bytes()), 200);
    assert_eq!(said["errors"], true);
    let items = &said["items"];
    for (item, action, id) in [(&items[0], "create", "a"), (&items[1], "update", "b"), (&items[2], "delete", "c")] {
        assert_eq!((&item[action]["status"], &item[action]["_id"]), (&400.into(), &id.into()), "{said}");
    }
    send(std::slice::from_ref(last));
    let report = counted(&running, lines.len() + 3);
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
    for (request, expected) in [("GET /_mget", 501), ("GET /_bulk", 405), ("GET /nowhere", 404), ("DELETE /index", 404)]
    {
        let (status, _, body) = ask(request, "any", any);
        let said: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!((status, &said["status"]), (expected, &expected.into()), "{request}");
        assert!(said["error"]["reason"].as_str().unwrap().len() > 10);
    }
    // A browser sees the page.
    assert!(running.page().unwrap().1.starts_with("<!"));
}

/// A message of protobuf, field by field.
#[derive(Default, Clone)]
struct Proto(Vec<u8>);

impl Proto {
    fn varint(mut self, mut number: u64) -> Proto {
        while number > 0x7f {
            self.0.push((number & 0x7f) as u8 | 0x80);
            number >>= 7;
        }
        self.0.push(number as u8);
        self
    }

    fn bytes(self, tag: u64, bytes: &[u8]) -> Proto {
        let mut more = self.varint(tag << 3 | 2).varint(bytes.len() as u64);
        more.0.extend_from_slice(bytes);
        more
    }

    fn number(self, tag: u64, number: u64) -> Proto {
        self.varint(tag << 3).varint(number)
    }

    fn fixed(self, tag: u64, bytes: [u8; 8]) -> Proto {
        let mut more = self.varint(tag << 3 | 1);
        more.0.extend_from_slice(&bytes);
        more
    }
}

type Fields = Vec<(String, Value)>;

/// Fields of a line that belong to its process, and so to the resource or the labels; and the others.
fn fields_of(line: &Line) -> (Fields, Fields) {
    let Value::Object(fields) = serde_json::from_str(&line.text()).unwrap() else { panic!("an object") };
    fields.into_iter().filter(|(key, _)| key != "ts").partition(|(key, _)| key == "service" || key == "cohort")
}

fn any_json(value: &Value) -> Value {
    match value {
        Value::String(text) => serde_json::json!({ "stringValue": text }),
        Value::Bool(value) => serde_json::json!({ "boolValue": value }),
        Value::Number(number) if number.is_f64() => serde_json::json!({ "doubleValue": number }),
        Value::Number(number) => serde_json::json!({ "intValue": number.to_string() }),
        other => panic!("{other}"),
    }
}

fn any_proto(value: &Value) -> Proto {
    match value {
        Value::String(text) => Proto::default().bytes(1, text.as_bytes()),
        Value::Bool(value) => Proto::default().number(2, u64::from(*value)),
        Value::Number(number) if number.is_f64() => Proto::default().fixed(4, number.as_f64().unwrap().to_le_bytes()),
        Value::Number(number) => Proto::default().number(3, number.as_u64().unwrap()),
        other => panic!("{other}"),
    }
}

/// As an SDK names it.
fn otel_name(key: &str) -> &str {
    if key == "service" { "service.name" } else { key }
}

fn otlp_json(batch: &[Line]) -> Vec<u8> {
    let resource_logs: Vec<Value> = batch
        .iter()
        .map(|line| {
            let (resource, fields) = fields_of(line);
            let attributes = |fields: &[(String, Value)]| -> Vec<Value> {
                let pair = |(key, value): &(String, Value)| serde_json::json!({ "key": otel_name(key), "value": any_json(value) });
                fields.iter().map(pair).collect()
            };
            serde_json::json!({
                "resource": { "attributes": attributes(&resource) },
                "scopeLogs": [{ "logRecords": [{ "timeUnixNano": (line.at * 1_000).to_string(), "attributes": attributes(&fields) }] }],
            })
        })
        .collect();
    serde_json::json!({ "resourceLogs": resource_logs }).to_string().into_bytes()
}

fn otlp_proto(batch: &[Line]) -> Vec<u8> {
    let pair = |(key, value): &(String, Value)| {
        Proto::default().bytes(2, &any_proto(value).0).bytes(1, otel_name(key).as_bytes())
    };
    let mut request = Proto::default();
    for line in batch {
        let (resource, fields) = fields_of(line);
        let resource = resource.iter().fold(Proto::default(), |all, field| all.bytes(1, &pair(field).0));
        let time = Proto::default().fixed(1, (line.at as u64 * 1_000).to_le_bytes());
        let record = fields.iter().fold(time, |all, field| all.bytes(6, &pair(field).0));
        // The collector writes what is further down first.
        let of_resource = Proto::default().bytes(2, &Proto::default().bytes(2, &record.0).0).bytes(1, &resource.0);
        request = request.bytes(1, &of_resource.0);
    }
    request.0
}

#[test]
fn a_broken_canary_fails_on_otlp() {
    let lines = bad_rollout();
    let folder = folder_with(&[("app.log", text_of(&lines).as_bytes())]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    for (number, batch) in lines.chunks(400).enumerate() {
        let said = match number % 2 {
            0 => running.post("/v1/logs", &[("Content-Type", "application/json")], &otlp_json(batch)),
            _ => running.post(
                "/otlp/v1/logs",
                &[("Content-Type", "application/x-protobuf"), ("Content-Encoding", "gzip")],
                &gzip(&otlp_proto(batch)),
            ),
        };
        let (status, body) = said.unwrap();
        assert_eq!((status, body.as_str()), (200, ["{}", ""][number % 2]));
    }
    fails_as_in_a_file(&running, folder.path(), &lines);
}

/// Partial success counts what is refused, and each is a reject in the report.
#[test]
fn refused_records_of_otlp_are_said_and_counted() {
    let lines = bad_rollout();
    let folder = folder_with(&[]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    let kind = [("Content-Type", "application/json")];
    let (last, before) = lines.split_last().unwrap();
    let send = |lines: &[Line]| {
        assert_eq!(json(running.post("/v1/logs", &kind, &otlp_json(lines)), 200), serde_json::json!({}));
    };
    send(before);
    let body = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"no time"}},{"timeUnixNano":"7"}]}]}]}"#;
    let said = json(running.post("/v1/logs", &kind, body.as_bytes()), 200);
    assert_eq!(said["partialSuccess"]["rejectedLogRecords"], "2");
    send(std::slice::from_ref(last));
    let report = counted(&running, lines.len() + 2);
    let rejects = &report["records"]["rejects"];
    assert_eq!((&rejects["no_time"], &rejects["time_out_of_range"]), (&1.into(), &1.into()), "{rejects}");
    // In the words of google.rpc.Status, in the notation of the request.
    let said = json(running.post("/v1/logs", &kind, b"{"), 400);
    assert!(
        said["code"] == 3 && said["message"].as_str().unwrap().contains("not an ExportLogsServiceRequest"),
        "{said}"
    );
    let head = format!(
        "POST /v1/logs HTTP/1.1\r\nHost: {}\r\nContent-Type: application/x-protobuf\r\nContent-Length: 3\r\nConnection: close\r\n\r\n",
        running.address
    );
    let (status, head, body) = running.exchange_bytes(&[head.as_bytes(), b"\xff\xff\xff"].concat()).unwrap();
    assert!(status == 400 && head.contains("content-type: application/x-protobuf") && body[..2] == [8, 3], "{head}");
    assert_eq!(running.post("/v1/logs", &[("Content-Type", "text/plain")], b"x").unwrap().0, 415);
}

fn loki_json(batch: &[Line]) -> Vec<u8> {
    let streams: Vec<Value> = batch
        .iter()
        .map(|line| {
            let (labels, fields) = fields_of(line);
            let labels: serde_json::Map<String, Value> = labels.into_iter().collect();
            let fields: serde_json::Map<String, Value> = fields.into_iter().collect();
            let text = Value::Object(fields).to_string();
            serde_json::json!({ "stream": labels, "values": [[(line.at * 1_000).to_string(), text, {}]] })
        })
        .collect();
    serde_json::json!({ "streams": streams }).to_string().into_bytes()
}

fn loki_proto(batch: &[Line]) -> Vec<u8> {
    let mut push = Proto::default();
    for line in batch {
        let (labels, fields) = fields_of(line);
        let labels: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let fields: serde_json::Map<String, Value> = fields.into_iter().collect();
        let (seconds, nanos) = (line.at / 1_000_000, line.at % 1_000_000 * 1_000);
        let time = Proto::default().number(1, seconds as u64).number(2, nanos as u64);
        let entry = Proto::default().bytes(1, &time.0).bytes(2, Value::Object(fields).to_string().as_bytes());
        let stream = Proto::default().bytes(1, format!("{{{}}}", labels.join(", ")).as_bytes()).bytes(2, &entry.0);
        push = push.bytes(1, &stream.0);
    }
    snap::raw::Encoder::new().compress_vec(&push.0).unwrap()
}

#[test]
fn a_broken_canary_fails_on_pushes_of_loki() {
    let lines = bad_rollout();
    let folder = folder_with(&[("app.log", text_of(&lines).as_bytes())]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    // Vector asks before it starts.
    assert_eq!(running.ask("/ready", &running.address).unwrap().0, 200);
    let (last, before) = lines.split_last().unwrap();
    for (number, batch) in before.chunks(400).enumerate() {
        let proto: &[(&str, &str)] = &[("Content-Type", "application/x-protobuf"), ("Content-Encoding", "snappy")];
        let said = match number % 3 {
            0 => running.post(
                "/loki/api/v1/push",
                &[("Content-Type", "application/json; charset=utf-8")],
                &loki_json(batch),
            ),
            1 => running.post("/loki/api/v1/push", &proto[..number % 2], &loki_proto(batch)),
            _ => running.post("/api/prom/push", proto, &loki_proto(batch)),
        };
        assert_eq!(said.unwrap(), (204, String::new()));
    }
    let (status, words) = running
        .post("/loki/api/v1/push", &[("Content-Type", "application/json")], br#"{"streams":[{"values":[["5","x"]]}]}"#)
        .unwrap();
    assert!(status == 400 && words.contains("1 of 1 entries") && words.contains("kept as rejects"), "{words}");
    assert_eq!(running.post("/loki/api/v1/push", &[], b"no snappy").unwrap().0, 400);
    let push = loki_json(std::slice::from_ref(last));
    assert_eq!(running.post("/loki/api/v1/push", &[("Content-Type", "application/json")], &push).unwrap().0, 204);
    let report = counted(&running, lines.len() + 1);
    assert_eq!((&report["verdict"], &report["records"]["rejects"]["time_out_of_range"]), (&"fail".into(), &1.into()));
    let files = serin(folder.path(), &["compare", "app.log", "--format", "json"]).expect(1).json();
    assert_eq!(report["comparisons"][0]["failed_at"], files["comparisons"][0]["failed_at"]);
}

/// With tokens each call needs one for it, in the form that its client has; without, nobody beyond this machine is listened to.
#[test]
fn tokens_say_who_may_send_and_who_may_ask() {
    let folder = folder_with(&[(
        "tokens",
        // SHA-256 of `sender` and of `reader`.
        concat!(
            "shop ingest 0a367b92cf0b037dfd89960ee832d56f7fc151681bb41e53690e776f5786998a\n",
            "page read 3d0941964aa3ebdcb00ccef58b1bb399f9f898465e9886d5aec7f31090a0fb30\n"
        )
        .as_bytes(),
    )]);
    let refused = serin(folder.path(), &["run", "--listen", "0.0.0.0:0", "--state", "s"]).expect(2).err;
    assert!(refused.contains("without --tokens only this machine may ask"), "{refused}");
    let tokens = folder.path().join("tokens");
    let running = Running::start(&["--tokens", tokens.to_str().unwrap()], &folder.path().join("state"));
    let line = bad_rollout()[0].text();
    let sender = |form: &'static str| [("Authorization", form)];
    let (status, words) = running.post("/ingest", &[], line.as_bytes()).unwrap();
    assert!(status == 401 && words.contains("Authorization: Bearer"), "{words}");
    assert_eq!(running.post("/ingest", &sender("Bearer sender"), line.as_bytes()).unwrap().0, 200);
    let bulk = format!("{{\"create\":{{}}}}\n{line}\n");
    // `id:sender` and `user:sender` in base64.
    assert_eq!(running.post("/_bulk", &sender("ApiKey aWQ6c2VuZGVy"), bulk.as_bytes()).unwrap().0, 200);
    assert_eq!(running.post("/_bulk", &sender("Basic dXNlcjpzZW5kZXI="), bulk.as_bytes()).unwrap().0, 200);
    assert_eq!(running.post("/v1/logs", &sender("Splunk sender"), b"").unwrap().0, 415, "let in, and then refused");
    let (status, words) = running.post("/v1/verdict", &sender("Bearer sender"), b"{}").unwrap();
    assert!(status == 403 && words.contains("scope read"), "{words}");
    assert_eq!(running.post("/v1/verdict", &sender("Bearer reader"), b"{}").unwrap().0, 200);
    assert_eq!(running.post("/ingest", &sender("Bearer reader"), line.as_bytes()).unwrap().0, 403);
    // A document with the name of a search is a document.
    for path in ["/_doc/_search", "/logs/_create/_count", "/logs/_doc/_msearch/", "/logs/_doc/_mapping"] {
        let (status, words) = running.post(path, &sender("Bearer reader"), line.as_bytes()).unwrap();
        assert!(status == 403 && words.contains("scope ingest"), "{path}: {status} {words}");
    }
    assert_eq!(running.ask("/healthz", &running.address).unwrap().0, 200, "probes have no token");
    assert_eq!(running.ask("/v1/report", &running.address).unwrap().0, 401);
}
