//! `/v1/openapi.json` and the answers of a running program: every operation is asked, and every field of every answer stands in its
//! schema, with its type. That the document has all routes and no others is tested where the routes are.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};

use crate::common::acting::{broken, configure_with, post, rollout};
use crate::common::receiver::{Answer, Receiver};
use crate::common::running::{Running, connected, until};
use crate::common::{Traffic, folder_with, talk, with_log_lines, with_pods, with_segments};
use serde_json::{Value, json};

/// The document, and what was asked of it.
struct Document {
    value: Value,
    asked: BTreeSet<(String, String)>,
}

impl Document {
    fn resolve<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str() {
            None => schema,
            Some(name) => self.value.pointer(name.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{name}")),
        }
    }

    /// What a value has that its schema has not, or otherwise, or is missing.
    fn differences(&self, value: &Value, schema: &Value, place: &str, found: &mut Vec<String>) {
        let schema = self.resolve(schema);
        if schema == &json!({}) {
            return;
        }
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let kinds: Vec<&str> = match &schema["type"] {
            Value::String(one) => vec![one],
            several => several
                .as_array()
                .unwrap_or_else(|| panic!("{place}: {schema}"))
                .iter()
                .map(|of| of.as_str().unwrap())
                .collect(),
        };
        let is_of = kinds.contains(&kind) || (kind == "integer" && kinds.contains(&"number"));
        if !is_of {
            found.push(format!("{place}: {kind}, and not {kinds:?}"));
            return;
        }
        if let Some(known) = schema["enum"].as_array()
            && !known.contains(value)
        {
            found.push(format!("{place}: {value} is none of {known:?}"));
        }
        match value {
            Value::Array(list) => {
                list.iter().for_each(|one| self.differences(one, &schema["items"], &format!("{place}[]"), found));
            }
            Value::Object(object) => {
                for (name, one) in object {
                    let of = schema["properties"].get(name).or(schema.get("additionalProperties"));
                    match of {
                        Some(of) => self.differences(one, of, &format!("{place}.{name}"), found),
                        None => found.push(format!("{place}.{name} is not in the document")),
                    }
                }
                for name in schema["required"].as_array().into_iter().flatten() {
                    if !object.contains_key(name.as_str().unwrap()) {
                        found.push(format!("{place}.{name} is missing"));
                    }
                }
            }
            _ => {}
        }
    }

    /// Holds an answer against its operation.
    fn check(&mut self, method: &str, path: &str, (status, head, body): (u16, String, Vec<u8>)) -> Value {
        self.asked.insert((path.to_owned(), method.to_owned()));
        let operation = self.value["paths"][path].get(method).unwrap_or_else(|| panic!("{method} {path}"));
        let answer =
            &operation["responses"].get(status.to_string()).unwrap_or_else(|| panic!("{method} {path}: {status}"));
        let answer = self.resolve(answer);
        let Some(content) = answer["content"].as_object() else {
            assert!(body.is_empty(), "{method} {path} {status}: {body:?}");
            return Value::Null;
        };
        let kind = head.lines().find_map(|line| line.strip_prefix("content-type: ")).unwrap_or_default();
        let kind = kind.split(';').next().unwrap();
        let schema = &content.get(kind).unwrap_or_else(|| panic!("{method} {path} {status}: {kind}"))["schema"];
        if kind != "application/json" {
            assert_eq!(schema["type"], "string", "{path}");
            return Value::Null;
        }
        let value: Value = serde_json::from_slice(&body).unwrap();
        let mut found = Vec::new();
        self.differences(&value, schema, "", &mut found);
        found.sort();
        found.dedup();
        assert!(found.is_empty(), "{method} {path} {status}:\n{}\n{value:#}", found.join("\n"));
        value
    }
}

struct Asking<'a> {
    running: &'a Running,
    document: Document,
}

impl Asking<'_> {
    /// Asks a path of the document; `to`: the path with its parts filled in, and its query.
    fn ask(&mut self, method: &str, path: &str, to: &str, headers: &str, body: &[u8]) -> Value {
        let (host, length) = (&self.running.address, body.len());
        let head = format!(
            "{} {to} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{headers}Connection: close\r\n\r\n",
            method.to_uppercase()
        );
        let answer = self.running.exchange_bytes(&[head.as_bytes(), body].concat()).unwrap();
        self.document.check(method, path, answer)
    }

    fn get(&mut self, path: &str) -> Value {
        self.ask("get", path, path, "", b"")
    }

    /// Everything that is only looked at.
    fn look(&mut self) {
        for path in [
            "/healthz",
            "/readyz",
            "/metrics",
            "/v1/openapi.json",
            "/v1/status",
            "/v1/rollouts",
            "/v1/report",
            "/v1/report.html",
            "/v1/annotations",
            "/v1/hooks",
            "/v1/forget",
            "/v1/sparks",
            "/v1/dashboards",
            "/v1/session",
            "/ready",
            "/v1/fields",
        ] {
            self.get(path);
        }
        self.ask("get", "/", "/", "Accept: text/html\r\n", b"");
        self.ask("get", "/", "/", "", b"");
        let list = self.get("/v1/rollouts")["rollouts"].as_array().unwrap().clone();
        let ids = list.iter().map(|rollout| rollout["id"].as_str().unwrap().to_owned());
        for id in ids.chain(["nobody".to_owned()]) {
            self.ask("get", "/v1/rollouts/{id}", &format!("/v1/rollouts/{id}"), "", b"");
            self.ask("get", "/v1/rollouts/{id}/gate", &format!("/v1/rollouts/{id}/gate?step=0"), "", b"");
            self.ask("get", "/v1/rollouts/{id}/timeline", &format!("/v1/rollouts/{id}/timeline"), "", b"");
        }
        self.ask("get", "/v1/course", "/v1/course?service=shop&control=baseline&candidate=canary", "", b"");
        self.ask("get", "/v1/course", "/v1/course", "", b"");
        self.ask("get", "/v1/annotations", "/v1/annotations?from=soon", "", b"");
        for at in ["2999-01-01T00:00:00Z", "1999-01-01T00:00:00Z", "soon"] {
            self.ask("get", "/v1/asof", &format!("/v1/asof?at={at}"), "", b"");
        }
        for name in ["service-overview", "rollout-health", "ingest-health", "nobody"] {
            self.ask("get", "/v1/dashboards/{name}", &format!("/v1/dashboards/{name}"), "", b"");
        }
        let kind = "Content-Type: application/json\r\n";
        for question in [&br#"{"service":"shop","canary":"canary"}"#[..], b"{"] {
            self.ask("post", "/v1/verdict", "/v1/verdict", kind, question);
        }
        for kind_of in ["rollback", "rollout", "event", "confirm-promotion", "luck"] {
            let to = format!("/v1/flagger/{kind_of}");
            self.ask("post", "/v1/flagger/{kind}", &to, kind, br#"{"name":"shop","metadata":{}}"#);
        }
    }
}

fn ok() -> Answer {
    Answer::Status(200, String::new())
}

/// Lines that show much: log lines of many kinds, pods, segments, spans, retries.
fn rich() -> String {
    let traffic =
        Traffic { seed: 9, requests: 4_000, users: 700, minutes: 15, spans: true, retries: true, ..Traffic::default() };
    let lines = with_pods(&with_log_lines(&traffic.lines(), talk), |line| format!("pod-{}", line.arm));
    let lines = with_segments(&lines, |user| format!("\"region\":\"r{}\"", user % 3));
    lines.iter().map(|line| line.text() + "\n").collect()
}

#[test]
fn every_operation_answers_as_the_document_says() {
    let receiver = Receiver::start(|_, _| ok());
    let folder = folder_with(&[]);
    // Whatever is forgotten is forgotten by the next checkpoint.
    let first = ("idle: 2s\ncheckpoint: 0s", "30s");
    let config = configure_with(
        folder.path(),
        &receiver.address,
        first,
        ", steps: [{share_percent: 5}], deadline: {after: 90m}",
    );
    let running = Running::start(&["--config", &config], &folder.path().join("state"));
    let (status, text) = running.ask("/v1/openapi.json", &running.address).unwrap();
    assert_eq!(status, 200);
    let document = Document { value: serde_json::from_str(&text).unwrap(), asked: BTreeSet::new() };
    assert!(document.value["openapi"].as_str().unwrap().starts_with("3.1"));
    let mut asking = Asking { running: &running, document };
    // Before there is anything.
    asking.look();
    let json = "Content-Type: application/json\r\n";
    // Ways in, with what they take and what they do not.
    let line = br#"{"ts":"2026-06-01T09:00:00Z","service":"x","level":"info","msg":"hello"}"#;
    for (method, to, body) in [
        ("post", "/ingest", &line[..]),
        ("put", "/ingest", line),
        ("post", "/ingest?debug=1", line),
        ("post", "/ingest", b"[{"),
    ] {
        asking.ask(method, "/ingest", to, json, body);
    }
    let key = "Idempotency-Key: a\r\n";
    asking.ask("post", "/ingest", "/ingest", key, line);
    asking.ask("post", "/ingest", "/ingest", key, line);
    asking.ask("post", "/ingest", "/ingest", "Content-Encoding: rot13\r\n", line);
    for path in ["/v1/logs", "/otlp/v1/logs"] {
        asking.ask(
            "post",
            path,
            path,
            json,
            br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}"#,
        );
        asking.ask("post", path, path, json, b"{");
        asking.ask("post", path, path, "Content-Type: text/plain\r\n", b"x");
    }
    for path in ["/loki/api/v1/push", "/api/prom/push"] {
        asking.ask(
            "post",
            path,
            path,
            json,
            br#"{"streams":[{"stream":{"a":"b"},"values":[["1780272000000000000","x"]]}]}"#,
        );
        asking.ask("post", path, path, json, b"{");
    }
    let bulk = b"{\"create\":{}}\n{\"msg\":\"x\"}\n{\"delete\":{\"_id\":\"1\"}}\n";
    let good = b"{\"create\":{}}\n{\"msg\":\"x\"}\n";
    for (path, to) in [("/_bulk", "/_bulk"), ("/{index}/_bulk", "/logs/_bulk")] {
        asking.ask("post", path, to, json, good);
        asking.ask("post", path, to, json, bulk);
        asking.ask("post", path, to, json, b"nonsense\n");
    }
    asking.ask("post", "/{index}/_doc", "/logs/_doc", json, b"{\"msg\":\"x\"}");
    for (path, to) in [("/{index}/_doc/{id}", "/logs/_doc/7"), ("/{index}/_create/{id}", "/logs/_create/8")] {
        asking.ask("post", path, to, json, b"{\"msg\":\"x\"}");
        asking.ask("put", path, to, json, b"{\"msg\":\"x\"}");
    }
    post(&running, &rich());
    post(&running, &broken());
    until("it has failed", || rollout(&running).filter(|rollout| rollout["phase"] == "rolled back"));
    until("there is a report", || running.report());
    asking.look();
    // Search.
    until("lines are found", || {
        let (status, _) = running.ask("/v1/search?q=status:503&limit=1", &running.address)?;
        (status == 200).then_some(())
    });
    for (path, to) in [
        ("/v1/search", "/v1/search?q=status:503&limit=3"),
        ("/v1/search", "/v1/search?q=hello"),
        ("/v1/search", "/v1/search?q=level:%3E=warn%20AND%20(order%20OR%20lost)"),
        ("/v1/search", "/v1/search?q=(("),
        ("/v1/search", "/v1/search?q=staus:1"),
        ("/v1/search", "/v1/search?limit=100000"),
        ("/v1/search", "/v1/search?luck=1"),
        ("/v1/search/around", "/v1/search/around?stream=http&position=0"),
        ("/v1/search/around", "/v1/search/around"),
        ("/v1/fields", "/v1/fields"),
        ("/v1/fields", "/v1/fields?q=((&values=1"),
        ("/v1/fields", "/v1/fields?lines=1000000"),
        ("/v1/aggregate", "/v1/aggregate?by=cohort&every=1m&quantiles=duration_ms&distinct=_unit&stats=status"),
        ("/v1/aggregate", "/v1/aggregate?by=nobody"),
        ("/v1/shares", "/v1/shares?by=cohort"),
        ("/v1/shares", "/v1/shares?q=*&of=hello"),
        ("/v1/shares", "/v1/shares?by=nobody"),
        ("/v1/shares", "/v1/shares?from=counters"),
        ("/v1/shares", "/v1/shares?from=counters&by=cohort"),
        (
            "/v1/who",
            "/v1/who?rollout=shop&used=_failed:true&step=asked=_kind:request&step=failed=_failed:true&segment=region",
        ),
        ("/v1/who", "/v1/who?used=*&exposed=_kind:request&until=2999-01-01"),
        ("/v1/who", "/v1/who?used=(("),
        ("/v1/who", "/v1/who"),
        ("/v1/who", "/v1/who?used=*&rollout=nobody"),
        ("/v1/export", "/v1/export?q=status:503&format=csv"),
        ("/v1/export", "/v1/export?q=status:503&limit=10"),
        ("/v1/export", "/v1/export?format=pdf"),
        ("/v1/tail", "/v1/tail?after=nonsense"),
        ("/_mapping", "/_mapping"),
        ("/{index}/_mapping", "/logs/_mapping"),
    ] {
        asking.ask("get", path, to, "", b"");
    }
    for (of, body) in [
        ("_search", &b"{\"size\":1}"[..]),
        ("_search", b"{\"query\":{\"luck\":{}}}"),
        ("_msearch", b"{}\n{\"size\":0}\n"),
        ("_count", b"{\"query\":{\"term\":{\"status\":503}}}"),
        ("_field_caps", b""),
    ] {
        for method in ["get", "post"] {
            asking.ask(method, &format!("/{of}"), &format!("/{of}"), json, body);
            asking.ask(method, &format!("/{{index}}/{of}"), &format!("/logs/{of}"), json, body);
        }
    }
    // Commands.
    let token = "Authorization: Bearer a token of the test, long enough\r\n";
    let path = "/v1/rollouts/{id}/{command}";
    let why = br#"{"actor":"ann","reason":"why"}"#;
    for (to, headers, body) in [
        ("/v1/rollouts/shop/hold", "", &why[..]),
        ("/v1/rollouts/shop/hold", token, why),
        ("/v1/rollouts/shop/hold", token, b"{"),
        ("/v1/rollouts/nobody/hold", token, why),
    ] {
        asking.ask("post", path, to, headers, body);
    }
    let unit = br#"{"unit":"u1","actor":"ann","reason":"asked to"}"#;
    for (headers, body) in
        [("", &unit[..]), (token, unit), (token, b"{"), (token, br#"{"unit":"","actor":"a","reason":"b"}"#)]
    {
        asking.ask("post", "/v1/forget", "/v1/forget", headers, body);
    }
    until("it is forgotten", || {
        let (_, body) = running.ask("/v1/forget", &running.address)?;
        let list = serde_json::from_str::<Value>(&body).ok()?["requests"].as_array()?.clone();
        list.iter().any(|of| of["done"] == true).then_some(())
    });
    let path = "/v1/rollouts/{id}/templates/{template}/mute";
    let noise = br#"{"actor":"ann","reason":"noise","hours":8}"#;
    for (to, headers, body) in [
        ("/v1/rollouts/shop/templates/0123456789abcdef/mute", "", &noise[..]),
        ("/v1/rollouts/shop/templates/0123456789abcdef/mute", token, noise),
        ("/v1/rollouts/shop/templates/all/mute", token, noise),
        ("/v1/rollouts/nobody/templates/0123456789abcdef/mute", token, noise),
    ] {
        asking.ask("post", path, to, headers, body);
    }
    for (to, headers, body) in [
        ("/v1/hooks/pager/test", "", &b"{}"[..]),
        ("/v1/hooks/pager/test", token, b"{}"),
        ("/v1/hooks/pager/test", token, b"["),
        ("/v1/hooks/nobody/test", token, b"{}"),
    ] {
        asking.ask("post", "/v1/hooks/{name}/test", to, headers, body);
    }
    asking.look();
    // A session: a token for a cookie.
    let logins = [&br#"{"token":"a token of the test, long enough"}"#[..], br#"{"token":"another"}"#, b"{"];
    logins.into_iter().for_each(|body| drop(asking.ask("post", "/v1/session", "/v1/session", json, body)));
    asking.ask("delete", "/v1/session", "/v1/session", "", b"");
    // Events have no end before the program stops.
    let asked = format!("GET /v1/events HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", running.address);
    let mut events = connected(&running.address).unwrap();
    events.write_all(asked.as_bytes()).unwrap();
    let said = BufReader::new(events).lines().map_while(Result::ok);
    let (head, body): (Vec<String>, Vec<String>) =
        said.take_while(|line| !line.starts_with("data: ")).partition(|line| !line.starts_with("event: "));
    assert!(head.iter().any(|line| line.eq_ignore_ascii_case("content-type: text/event-stream")), "{head:?}");
    assert_eq!(body, ["event: report"]);
    asking.document.asked.insert(("/v1/events".to_owned(), "get".to_owned()));

    let all: BTreeSet<(String, String)> = asking.document.value["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, of)| of.as_object().unwrap().keys().map(move |method| (path.clone(), method.clone())))
        .filter(|(_, method)| method != "parameters")
        .collect();
    assert_eq!(asking.document.asked, all, "each operation was asked");
}
