//! Requests of other projects' suites that send logs, with the answers that those suites expect, against the real binary; rows are
//! read back from the write-ahead log.
//!
//! The cases lie in a folder `shared/data` beside the checkout (OpenSearch API specification, Elasticsearch's client tests, VictoriaLogs'
//! tests of Loki's push, examples of OTLP; Apache-2.0 and MIT). Where it is missing the test says so and is skipped; in CI
//! (`CI=true`) that is a failure.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::time::Duration;

use crate::common::running::Running;
use crate::common::{folder_with, wire_cases};
use serde_json::Value;
use serin::source::wal::Wal;

/// What is supported, by suite: requests that bring log lines. All of them hold, with their rows.
///
/// `_bulk` with `create`, `index` (also `update` and `delete`, which are answered by item), one document by `_doc` or `_create`, Loki's push
/// in JSON, OTLP logs in JSON.
const SUPPORTED: [(&str, usize); 4] = [
    ("opensearch-api-spec", 43),
    ("elasticsearch-clients-tests", 9),
    ("loki-push-json(victorialogs)", 9),
    ("otlp-examples", 2),
];

/// Requests that send something as logs are sent, and do not hold: case, step, why.
const NOT_SUPPORTED: [(&str, usize, &str); 3] = [
    ("_core/bulk.yaml", 1, "a deletion is refused as such (400), and not said to have found nothing (404, no error)"),
    (
        "indices/data_stream/stats.yaml",
        2,
        "expects 200 for the request that `indices/data_stream/data_stream.yaml` expects 201 for",
    ),
    (
        "TestParseJSONRequest_Success#6",
        0,
        "one of its three times lies in 1974: it is refused (400), the others are taken",
    ),
];

/// All other requests of the suites (searching, counting, mappings, aliases, snapshots, metrics, traces) are no log lines: nothing of
/// what they ask for is here.
fn sends_logs(method: &str, path: &str) -> bool {
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    let writes = method == "POST" || method == "PUT";
    match words.as_slice() {
        ["_bulk"] | ["loki", "api", "v1", "push"] | ["v1", "logs"] | [_, "_create", _] => writes,
        [_, "_doc"] => method == "POST",
        _ => false,
    }
}

/// Everything that is expected is there; more may be.
fn holds(expect: &Value, found: &Value) -> bool {
    match (expect, found) {
        (Value::Object(expect), Value::Object(found)) => {
            expect.iter().all(|(key, value)| found.get(key).is_some_and(|found| holds(value, found)))
        }
        (Value::Array(expect), Value::Array(found)) => {
            expect.len() == found.len() && expect.iter().zip(found).all(|(expect, found)| holds(expect, found))
        }
        (expect, found) => expect == found,
    }
}

/// Rows that a step must leave: documents as they are, one for each item; entries and records as far as the suite says.
fn rows_of(step: &Value) -> Vec<Value> {
    let path = step["path"].as_str().unwrap();
    if let Some(rows) = step["expect_rows"].as_array() {
        let times = step["expect_timestamps_ns"].as_array().unwrap();
        return rows
            .iter()
            .zip(times)
            .map(|(row, time)| {
                let mut row = row.clone();
                let fields = row.as_object_mut().unwrap();
                let message = fields.remove("_msg").unwrap();
                fields.insert("message".to_owned(), message);
                fields.insert("@timestamp".to_owned(), time.clone());
                row
            })
            .collect();
    }
    if path == "/v1/logs" {
        let record = &step["body"]["resourceLogs"][0]["scopeLogs"][0]["logRecords"][0];
        let time: u64 = record["timeUnixNano"].as_str().unwrap().parse().unwrap();
        let mut row = serde_json::json!({
            "@timestamp": time,
            "service.name": "my.service",
            "otel.scope.name": "my.library",
            "otel.scope.version": "1.0.0",
            "my.scope.attribute": "some scope attribute",
            "severity_text": record["severityText"],
            "severity_number": record["severityNumber"],
            "level": "info",
        });
        let more = match record["eventName"].as_str() {
            Some(_) => serde_json::json!({
                "event.name": "browser.page_view",
                "event.attribute": "some event attribute",
                "type": 0,
                "url": "https://www.guidgenerator.com/online-guid-generator.aspx",
                "title": "Free Online GUID Generator",
            }),
            None => serde_json::json!({
                "message": "Example log record",
                "trace_id": "5b8efff798038103d269b633813fc60c",
                "span_id": "eee19b7ec3c1b174",
                "string.attribute": "some string",
                "boolean.attribute": true,
                "int.attribute": 10,
                "double.attribute": 637.704,
                "array.attribute": ["many", "values"],
                "map.attribute": { "some.map.key": "some value" },
            }),
        };
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        return vec![row];
    }
    if path.contains("loki") {
        return Vec::new();
    }
    match step["ndjson"].as_array() {
        None => vec![step["body"].clone()],
        Some(list) => {
            let mut rows = Vec::new();
            let mut list = list.iter();
            while let Some(action) = list.next() {
                rows.push(if action.get("delete").is_some() { action.clone() } else { list.next().unwrap().clone() });
            }
            rows
        }
    }
}

#[test]
fn requests_of_other_suites_that_send_logs_hold_with_their_rows() {
    let Some(cases) = wire_cases() else { return };
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let running = Running::start(&[], &state);
    let mut rows: Vec<(String, Value)> = Vec::new();
    let mut held: Vec<String> = Vec::new();
    let mut left_out: Vec<(String, usize)> = Vec::new();
    for case in cases.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let (suite, id) = (case["suite"].as_str().unwrap(), case["id"].as_str().unwrap());
        for (number, step) in case["steps"].as_array().unwrap().iter().enumerate() {
            let (method, path) = (step["method"].as_str().unwrap_or("GET"), step["path"].as_str().unwrap());
            if !sends_logs(method, path) {
                continue;
            }
            if NOT_SUPPORTED.iter().any(|(case, step, _)| (*case, *step) == (id, number)) {
                left_out.push((id.to_owned(), number));
                continue;
            }
            let body = match (step["raw_body"].as_str(), step["ndjson"].as_array()) {
                (Some(raw), _) => raw.to_owned(),
                (None, Some(list)) => list.iter().map(|line| line.to_string() + "\n").collect(),
                (None, None) => step["body"].to_string(),
            };
            let query = step["query"].as_object().map(|query| {
                let pairs: Vec<String> = query.iter().map(|(key, value)| format!("{key}={value}")).collect();
                format!("?{}", pairs.join("&"))
            });
            let kind = step["headers"]["Content-Type"].as_str().unwrap_or("application/json");
            let head = format!(
                "{method} {path}{} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
                query.unwrap_or_default(),
                running.address,
                body.len()
            );
            let (status, answer) = running.exchange(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
            let place = format!("{suite} {id} step {number}: {status} {answer}");
            let expected: Vec<u64> = match &step["expect_status"] {
                Value::Array(list) => list.iter().map(|status| status.as_u64().unwrap()).collect(),
                Value::Null => vec![200, 201],
                one => vec![one.as_u64().unwrap()],
            };
            assert!(expected.contains(&u64::from(status)), "{place}");
            let said: Value = serde_json::from_str(&answer).unwrap_or(Value::Null);
            assert!(step["expect"].is_null() || holds(&step["expect"], &said), "{place}");
            for assertion in step["asserts"].as_array().into_iter().flatten() {
                for (path, value) in assertion["match"].as_object().into_iter().flatten() {
                    assert_eq!(said.pointer(&format!("/{}", path.replace('.', "/"))), Some(value), "{place}");
                }
                if let Some(path) = assertion["is_true"].as_str() {
                    assert!(said.get(path).is_some_and(|value| !value.is_null()), "{place}");
                }
            }
            held.push(suite.to_owned());
            if status < 300 {
                rows.extend(rows_of(step).into_iter().map(|row| (place.clone(), row)));
            }
        }
    }
    let counts = SUPPORTED.map(|(suite, _)| (suite, held.iter().filter(|held| *held == suite).count()));
    assert_eq!(counts, SUPPORTED);
    assert_eq!(left_out, NOT_SUPPORTED.map(|(case, step, _)| (case.to_owned(), step)));
    drop(running);

    let mut opened = Wal::open(&state.join("wal")).unwrap();
    let mut stored = Vec::new();
    while let Some((_, text)) = opened.reader.next(Duration::ZERO).unwrap() {
        stored
            .extend(String::from_utf8(text).unwrap().lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    assert_eq!(stored.len(), rows.len());
    for ((place, row), stored) in rows.iter().zip(&stored) {
        assert!(holds(row, stored), "{place}\n{row}\n{stored}");
    }
    println!("{} requests hold, {} rows read back", held.len(), rows.len());
}
