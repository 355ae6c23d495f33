//! Searches of other projects' suites (OpenSearch API specification, Elasticsearch's client tests; Apache-2.0), with the documents that they
//! send before, against the real binary.
//!
//! The cases lie in a folder `shared/data` beside the checkout. Where it is missing the test says so and is skipped; in CI (`CI=true`) that is a
//! failure.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::common::running::{Running, until};
use crate::common::{Line, Traffic, folder_with, wire_cases};
use serde_json::Value;

/// Steps that are supported, by case: all of them hold. Those that ask one index for what only it has do not, since every name of an index stands
/// for all lines; neither do scripts, scrolls, mappings that somebody declares, and fuzzy searches.
const SUPPORTED: [(&str, &[usize]); 16] = [
    ("_core/count.yaml", &[0, 1]),
    ("_core/field_caps.yaml", &[1, 2, 3, 4]),
    ("_core/mapping.yaml", &[0]),
    ("_core/search.yaml", &[0, 1]),
    ("_core/search/aggregations/avg.yaml", &[1]),
    ("_core/search/aggregations/max.yaml", &[1]),
    ("_core/search/aggregations/min.yaml", &[1]),
    ("_core/search/aggregations/terms_aggregate_nested_aggs.yaml", &[2, 3]),
    ("_core/search/aggregations/terms_order.yaml", &[2, 3, 4, 5, 6, 7]),
    ("cat/health.yaml", &[0, 1, 3]),
    ("cluster/health.yaml", &[1, 2]),
    ("cluster/health.yml#cluster.health", &[0]),
    ("indices/msearch/msearch.yaml", &[1]),
    ("info_stack.yml#info", &[0]),
    ("msearch.yml#msearch", &[2]),
    ("ping/ping.yml#ping", &[0]),
];

/// As many lines are looked at together for what lines are; while there are so few they are waited for.
const HEAD: u64 = 4_000;
const FEW: usize = 40;

/// A step that asks for lines, figures, fields, or who is there.
fn asks(path: &str) -> bool {
    let last = path.rsplit('/').next().unwrap_or_default();
    ["_search", "_msearch", "_count", "_field_caps", "_mapping", "", "health"].contains(&last)
}

/// A step that brings documents.
fn sends(method: &str, path: &str) -> bool {
    let words: Vec<&str> = path.split('/').filter(|word| !word.is_empty()).collect();
    let writes = method == "POST" || method == "PUT";
    writes && matches!(words.as_slice(), ["_bulk"] | [_, "_bulk"] | [_, "_doc"] | [_, "_doc", _] | [_, "_create", _])
}

/// Everything that is expected is there; more may be, but in lists.
fn holds(expect: &Value, found: &Value) -> bool {
    match (expect, found) {
        (Value::Object(expect), Value::Object(found)) => {
            expect.iter().all(|(key, value)| found.get(key).is_some_and(|found| holds(value, found)))
        }
        (Value::Array(expect), Value::Array(found)) => {
            expect.len() == found.len() && expect.iter().zip(found).all(|(expect, found)| holds(expect, found))
        }
        (Value::Number(expect), Value::Number(found)) => expect.as_f64() == found.as_f64(),
        (expect, found) => expect == found,
    }
}

/// Asks as a step says; status and body of the answer.
fn step(running: &Running, step: &Value) -> (u16, Value) {
    let method = step["method"].as_str().or(step["method"][0].as_str()).unwrap_or("GET");
    let body = match (step["ndjson"].as_array(), &step["body"]) {
        (Some(list), _) => list.iter().map(|line| line.to_string() + "\n").collect(),
        (None, Value::Null) => String::new(),
        (None, body) => body.to_string(),
    };
    let query = step["query"].as_object().map(|query| {
        let text = |value: &Value| value.as_str().map_or(value.to_string(), str::to_owned);
        let pairs: Vec<String> = query.iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
        format!("?{}", pairs.join("&").replace('<', "%3C"))
    });
    let kind = step["headers"]["Content-Type"].as_str().unwrap_or("application/json");
    let head = format!(
        "{method} {}{} HTTP/1.1\r\nHost: {}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        step["path"].as_str().unwrap(),
        query.unwrap_or_default(),
        running.address,
        body.len()
    );
    let (status, answer) = running.exchange(&[head.as_bytes(), body.as_bytes()].concat()).unwrap();
    (status, serde_json::from_str(&answer).unwrap_or(Value::Null))
}

/// What a step expects is so.
fn is_met(step: &Value, status: u16, said: &Value) -> bool {
    let statuses: Vec<u64> = match &step["expect_status"] {
        Value::Array(list) => list.iter().map(|status| status.as_u64().unwrap()).collect(),
        Value::Null => vec![200, 201],
        one => vec![one.as_u64().unwrap()],
    };
    let met = |assertion: &Value| {
        let matches = assertion["match"].as_object().into_iter().flatten().all(|(path, value)| {
            let found = said.pointer(&format!("/{}", path.replace('.', "/")));
            match value.as_str().filter(|text| text.len() > 2 && text.starts_with('/') && text.ends_with('/')) {
                Some(pattern) => found
                    .and_then(Value::as_str)
                    .is_some_and(|text| regex::Regex::new(&pattern[1..pattern.len() - 1]).unwrap().is_match(text)),
                None => found.is_some_and(|found| holds(value, found)),
            }
        });
        let is_true = assertion["is_true"].as_str().filter(|path| !path.is_empty());
        matches
            && is_true.is_none_or(|path| said.get(path).is_some_and(|value| !value.is_null()))
            && ["set", "gte", "lt", "length"].iter().all(|other| assertion[*other].is_null())
    };
    statuses.contains(&u64::from(status))
        && (step["expect"].is_null() || holds(&step["expect"], said))
        && step["asserts"].as_array().into_iter().flatten().all(met)
}

/// Steps of a case that hold, on a program of its own.
fn held(case: &Value) -> Vec<usize> {
    let steps = case["steps"].as_array().unwrap();
    let folder = folder_with(&[]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    // Lines of a service, by which it is known what lines are. They have no field of those that the suites use.
    // The first lines end by their number, and not by the clock: few of them come before the documents, and the rest behind.
    let lines = Traffic { seed: 3, requests: HEAD, users: 40, ..Traffic::default() }.lines();
    let send = |lines: &[Line]| {
        let text: String = lines.iter().map(|line| line.text() + "\n").collect();
        assert_eq!(running.post("/ingest", &[], text.as_bytes()).unwrap().0, 200);
        lines.len() as u64
    };
    let (few, rest) = lines.split_at(FEW);
    let (mut sent, mut rest) = (send(few), Some(rest));
    let mut held = Vec::new();
    for (number, of) in steps.iter().enumerate() {
        let method = of["method"].as_str().or(of["method"][0].as_str()).unwrap_or("GET");
        let path = of["path"].as_str().unwrap();
        if sends(method, path) {
            let (status, _) = step(&running, of);
            if status < 300 {
                sent += of["ndjson"].as_array().map_or(1, |list| list.len() as u64 / 2);
            }
        } else if asks(path) && !path.contains('$') {
            sent += rest.take().map_or(0, send);
            until("all is indexed", || {
                let (status, body) = running.ask("/v1/search?count=1000000&limit=1", &running.address)?;
                let body: Value = serde_json::from_str(&body).ok()?;
                (status == 200 && body["total"]["lines"].as_u64()? >= sent).then_some(())
            });
            let (status, said) = step(&running, of);
            if is_met(of, status, &said) {
                held.push(number);
            } else {
                println!(
                    "not supported: {} step {number}: {status} {}",
                    case["id"],
                    said.to_string().chars().take(300).collect::<String>()
                );
            }
        }
    }
    held
}

#[test]
fn searches_of_other_suites_hold_as_far_as_they_are_supported() {
    let Some(cases) = wire_cases() else { return };
    let suites = ["opensearch-api-spec", "elasticsearch-clients-tests"];
    let cases: Vec<Value> = cases
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|case| suites.contains(&case["suite"].as_str().unwrap()))
        .filter(|case| {
            let steps = case["steps"].as_array().unwrap();
            steps.iter().any(|step| asks(step["path"].as_str().unwrap()))
        })
        .collect();
    let (left, found) = (Mutex::new(cases.iter()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        // They wait for commits.
        for _ in 0..10 {
            scope.spawn(|| {
                loop {
                    let Some(case) = left.lock().unwrap().next() else { return };
                    let held = held(case);
                    if !held.is_empty() {
                        found.lock().unwrap().push((case["id"].as_str().unwrap().to_owned(), held));
                    }
                }
            });
        }
    });
    let found: BTreeSet<(String, Vec<usize>)> = found.into_inner().unwrap().into_iter().collect();
    let expect: BTreeSet<(String, Vec<usize>)> =
        SUPPORTED.iter().map(|(case, steps)| ((*case).to_owned(), steps.to_vec())).collect();
    for (case, steps) in &found {
        println!("    (\"{case}\", &{steps:?}),");
    }
    let steps: usize = found.iter().map(|(_, steps)| steps.len()).sum();
    println!("{steps} searches of {} cases hold", found.len());
    assert_eq!(found, expect);
}
