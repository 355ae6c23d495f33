//! The logs that people have at hand: one rollout as each tool, collector and framework writes it, and the verdict on it is the same.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use common::{Random, Traffic, folder_with, serin};
use serde_json::{Map, Value};

fn rollout() -> Vec<Map<String, Value>> {
    let traffic = Traffic { seed: 71, requests: 3_000, users: 900, errors: vec![0.02, 0.3], ..Traffic::default() };
    traffic.lines().iter().map(|line| serde_json::from_str::<Map<String, Value>>(&line.text()).unwrap()).collect()
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn ts(line: &Map<String, Value>) -> String {
    text_of(&line["ts"])
}

fn json(line: &Map<String, Value>) -> String {
    Value::Object(line.clone()).to_string()
}

fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The fields without the time.
fn fields(line: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = line.clone();
    fields.remove("ts");
    fields
}

fn logfmt(line: &Map<String, Value>) -> String {
    let pairs = line.iter().map(|(key, value)| format!("{key}={}", text_of(value)));
    pairs.collect::<Vec<_>>().join(" ")
}

type Shape = (&'static str, fn(&Map<String, Value>) -> String);

/// Each with where its form is told of.
const SHAPES: [Shape; 20] = [
    ("JSON", json),
    // https://brandur.org/logfmt
    ("logfmt", logfmt),
    // https://kubernetes.io/docs/reference/kubectl/generated/kubectl_logs/ (--prefix)
    ("kubectl --prefix", |line| format!("[pod/shop-6d9f7c5b8-x2x4z/app] {}", json(line))),
    ("kubectl --prefix of logfmt", |line| format!("[pod/shop-6d9f7c5b8-x2x4z/app] {}", logfmt(line))),
    // The same page (--timestamps), and both.
    ("kubectl --timestamps", |line| format!("{} {}", ts(line), json(&fields(line)))),
    ("kubectl --prefix --timestamps", |line| {
        format!("[pod/shop-6d9f7c5b8-x2x4z/app] {} {}", ts(line), json(&fields(line)))
    }),
    // https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
    ("CRI", |line| format!("{} stdout F {}", ts(line), json(&fields(line)))),
    ("CRI of logfmt", |line| format!("{} stderr F {}", ts(line), logfmt(&fields(line)))),
    // https://docs.docker.com/engine/logging/drivers/json-file/
    ("docker json-file", |line| {
        format!(
            "{{\"log\":{},\"stream\":\"stdout\",\"time\":{}}}",
            quoted(&(json(&fields(line)) + "\n")),
            quoted(&ts(line))
        )
    }),
    ("docker json-file of logfmt", |line| {
        format!(
            "{{\"log\":{},\"stream\":\"stdout\",\"time\":{}}}",
            quoted(&(logfmt(&fields(line)) + "\n")),
            quoted(&ts(line))
        )
    }),
    // https://docs.docker.com/reference/cli/docker/compose/logs/
    ("docker compose", |line| format!("shop-1  | {}", json(line))),
    // https://grafana.com/docs/loki/latest/query/logcli/ (-o jsonl)
    ("logcli", |line| {
        format!(
            "{{\"labels\":{{\"job\":\"shop\"}},\"line\":{},\"timestamp\":{}}}",
            quoted(&json(&fields(line))),
            quoted(&ts(line))
        )
    }),
    // https://github.com/edenhill/kcat (-J)
    ("kcat", |line| {
        format!(
            "{{\"topic\":\"t\",\"partition\":0,\"offset\":1,\"tstype\":\"create\",\"ts\":1,\"broker\":0,\"key\":null,\"payload\":{}}}",
            quoted(&json(line))
        )
    }),
    // https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-search
    ("Elasticsearch hits", |line| {
        format!("{{\"_index\":\"logs\",\"_id\":\"1\",\"_score\":1.0,\"_source\":{}}}", json(line))
    }),
    // https://www.freedesktop.org/software/systemd/man/latest/systemd.journal-fields.html
    ("journalctl", |line| {
        let time = ts(line);
        let micros = micros(&time);
        format!(
            "{{\"_HOSTNAME\":\"web-1\",\"__REALTIME_TIMESTAMP\":\"{micros}\",\"PRIORITY\":\"6\",\"SYSLOG_IDENTIFIER\":\"shop\",\"MESSAGE\":{}}}",
            quoted(&json(&fields(line)))
        )
    }),
    // RFC 5424
    ("syslog", |line| format!("<14>1 {} web-1 shop 77 - - {}", ts(line), json(&fields(line)))),
    // https://docs.rs/tracing-subscriber/latest/tracing_subscriber/fmt/
    ("tracing", |line| format!("{}  INFO shop::http: done {}", ts(line), logfmt(&fields(line)))),
    // https://docs.spring.io/spring-boot/reference/features/logging.html
    ("Spring Boot", |line| {
        format!("{}  INFO 1 --- [shop] [nio-8080-exec-1] c.e.Shop : done {}", ts(line), logfmt(&fields(line)))
    }),
    // https://docs.python.org/3/howto/logging.html
    ("Python", |line| {
        format!("{} - shop - INFO - done {}", ts(line).replace('T', " ").replace('Z', ""), logfmt(&fields(line)))
    }),
    // https://docs.ruby-lang.org/en/master/Logger/Formatter.html
    ("Ruby", |line| format!("I, [{} #77]  INFO -- : done {}", ts(line).replace('Z', ""), logfmt(&fields(line)))),
];

/// Microseconds of an RFC 3339 time, by the decoder's own clock.
fn micros(time: &str) -> i64 {
    serin::pipeline::clock::parse_time(time).unwrap().0
}

/// What decides: counts, effects and evidence of each guardrail.
fn decided(report: &Value) -> Vec<Value> {
    let comparison = &report["comparisons"][0];
    let of = ["units", "requests", "log_sum", "guardrails", "control", "candidate", "service", "unit", "failed_at"];
    let mut list: Vec<Value> = of.iter().map(|key| comparison[key].clone()).collect();
    assert!(list.iter().all(|value| !value.is_null()), "{comparison}");
    list.extend(["verdict", "records"].map(|key| report[key].clone()));
    list
}

#[test]
fn the_verdict_is_the_same_in_whatever_form_the_log_comes() {
    let lines = rollout();
    let judged = |shape: fn(&Map<String, Value>) -> String| -> Value {
        let text: String = lines.iter().map(|line| shape(line) + "\n").collect();
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said = serin(folder.path(), &["compare", "app.log", "--format", "json", "--segment", "none"]);
        serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err))
    };
    let plain = judged(SHAPES[0].1);
    assert_eq!(plain["verdict"], "fail");
    let expect = decided(&plain);
    for (name, shape) in SHAPES {
        assert_eq!(decided(&judged(shape)), expect, "{name}");
    }
}

#[test]
fn forms_may_be_mixed_in_one_file() {
    let lines = rollout();
    let mut random = Random::new(3);
    let plain: String = lines.iter().map(|line| json(line) + "\n").collect();
    let mixed: String =
        lines.iter().map(|line| SHAPES[random.below(SHAPES.len() as u64) as usize].1(line) + "\n").collect();
    let folder = folder_with(&[("plain.log", plain.as_bytes()), ("mixed.log", mixed.as_bytes())]);
    let judged = |file: &str| -> Value {
        let said = serin(folder.path(), &["compare", file, "--format", "json", "--segment", "none"]);
        serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err))
    };
    assert_eq!(decided(&judged("mixed.log")), decided(&judged("plain.log")));
}

#[test]
fn traces_behind_their_lines_count_nothing() {
    let lines = rollout();
    let plain: String = lines.iter().map(|line| json(line) + "\n").collect();
    let traced = |line: &Map<String, Value>| {
        let trace = if line["status"] == 503 {
            "\tat com.example.Shop.pay(Shop.java:7)\n\nCaused by: java.io.IOException: x\n\t... 2 more\n"
        } else {
            ""
        };
        json(line) + "\n" + trace
    };
    let traced: String = lines.iter().map(traced).collect();
    let folder = folder_with(&[("plain.log", plain.as_bytes()), ("traced.log", traced.as_bytes())]);
    let judged = |file: &str| -> Value {
        let said = serin(folder.path(), &["compare", file, "--format", "json", "--segment", "none"]);
        serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err))
    };
    assert_eq!(decided(&judged("traced.log")), decided(&judged("plain.log")));
}

#[test]
fn a_search_sees_the_fields_of_each_form() {
    let lines = rollout();
    let failed = lines.iter().filter(|line| line["status"] == 503 && line["cohort"] == "canary").count();
    for (name, shape) in SHAPES {
        let text: String = lines.iter().map(|line| shape(line) + "\n").collect();
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said =
            serin(folder.path(), &["search", "app.log", "cohort:canary status:>=500", "--json", "--limit", "100000"]);
        assert_eq!(said.out.lines().count(), failed, "{name}: {}", said.err);
    }
}

#[test]
fn explain_says_how_each_line_is_read_and_why_one_counts_nowhere() {
    let mut text: String =
        rollout().iter().take(50).map(|line| format!("[pod/shop-6d9f7c5b8-x2x4z/app] {}\n", logfmt(line))).collect();
    text.push_str("bare text\n[pod/a/b] {\"status\":2\n{\"status\":200}\n\x1b[31mred\n");
    let folder = folder_with(&[("app.log", text.as_bytes())]);
    let said = serin(folder.path(), &["explain", "app.log"]);
    assert_eq!(said.status, 0, "{}", said.err);
    for expect in [
        "92.6 %  a request",
        "user from user = u",
        "is read as {\"k8s.pod.name\"",
        "no known form",
        "or was cut",
        "no field with a time",
        "arms         the values of `cohort`",
    ] {
        assert!(said.out.contains(expect), "{expect} in {}", said.out);
    }
    // Nothing of a log is let through to the terminal.
    assert!(!said.out.contains('\x1b'), "{}", said.out);
    let json = serin(folder.path(), &["explain", "app.log", "--json", "--lines", "2"]);
    let document: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(document["lines"]["a request"], 50);
    assert_eq!(document["examples"].as_array().unwrap().len(), 2);
    assert!(
        document["fields"]
            .as_array()
            .unwrap()
            .iter()
            .any(|of| of["role"] == "instance" && of["field"] == "k8s.pod.name")
    );
}
