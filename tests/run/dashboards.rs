//! Every question of every dashboard, asked of a running program: those of our own files as the page asks them, and those of Grafana's as
//! its stock data sources do. No Prometheus runs here: of an expression the names of its series and labels are looked for.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::common::acting::{broken, configure, post, rollout};
use crate::common::receiver::{Answer, Receiver};
use crate::common::running::{Running, until};
use crate::common::{folder_with, running};
use serde_json::{Value, json};

/// A program in which everything has happened that a dashboard shows.
fn busy(folder: &Path, receiver: &Receiver) -> Running {
    let config = configure(folder, &receiver.address, "");
    let running = Running::start(&["--config", &config], &folder.join("state"));
    post(&running, &broken());
    // An error line, and one that is no event.
    let more = "{\"ts\":\"2026-06-01T09:20:00Z\",\"service\":\"shop\",\"level\":\"error\",\"msg\":\"lost\"}\n{\"no\":\"time\"}\n";
    let (status, _) = running.post("/ingest", &[], more.as_bytes()).unwrap();
    assert_eq!(status, 200);
    until("it was rolled back", || rollout(&running).filter(|rollout| rollout["phase"] == "rolled back"));
    until("the report says so", || running.report().filter(|report| report["verdict"] == "fail"));
    until("all lines are found", || {
        let (status, body) = running.ask("/v1/search?q=_kind:reject", &running.address)?;
        (status == 200 && body.contains("\"lines\":[{")).then_some(())
    });
    running
}

fn get(running: &Running, path: &str) -> Value {
    let (status, body) = running.ask(path, &running.address).unwrap();
    assert_eq!(status, 200, "{path}: {body}");
    serde_json::from_str(&body).unwrap()
}

/// Names of series with the labels that they have.
fn series(running: &Running) -> BTreeMap<String, BTreeSet<String>> {
    let (_, text) = running.ask("/metrics", &running.address).unwrap();
    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            found.entry(rest.split(' ').next().unwrap().to_owned()).or_default();
        } else if !line.starts_with('#') {
            let (name, rest) = line.split_at(line.find(['{', ' ']).unwrap());
            let labels = rest.strip_prefix('{').and_then(|rest| rest.split_once('}')).map_or("", |(labels, _)| labels);
            let of = found.entry(name.to_owned()).or_default();
            of.extend(labels.split("\",").filter_map(|label| Some(label.split_once('=')?.0.to_owned())));
        }
    }
    found
}

fn escaped(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn text<'v>(spec: &'v Value, key: &str) -> &'v str {
    spec[key].as_str().unwrap_or_default()
}

#[test]
fn every_panel_of_our_own_dashboards_is_answered() {
    let receiver = Receiver::start(|_, _| Answer::Status(200, String::new()));
    let folder = folder_with(&[]);
    let running = busy(folder.path(), &receiver);
    let known = series(&running);
    let report = get(&running, "/v1/report");
    let list = get(&running, "/v1/dashboards");
    let mut kinds = BTreeSet::new();
    for board in list["dashboards"].as_array().unwrap() {
        assert_eq!(board["problems"], Value::Null, "{board}");
        let board = get(&running, &format!("/v1/dashboards/{}", board["name"].as_str().unwrap()));
        for panel in board["panels"].as_array().unwrap() {
            let (kind, spec, name) = (panel["kind"].as_str().unwrap(), &panel["spec"], &panel["title"]);
            kinds.insert(kind.to_owned());
            // Without a service its term is left out, as the page does it.
            for query in
                [text(spec, "query").replace(" _service:$service", ""), text(spec, "query").replace("$service", "shop")]
            {
                let query = escaped(&query);
                match kind {
                    "TimeSeries" => {
                        let figure = match text(spec, "figure") {
                            "quantile" => format!("&quantiles={}&shares={}", text(spec, "of"), spec["share"]),
                            "distinct" => format!("&distinct={}", text(spec, "of")),
                            _ => String::new(),
                        };
                        let by = text(spec, "by");
                        let table = get(&running, &format!("/v1/aggregate?q={query}&every=60s&by={by}{figure}"));
                        assert!(table["groups"].as_array().unwrap().len() > 1, "{name}: {table}");
                    }
                    "Table" => {
                        let by: Vec<&str> =
                            spec["by"].as_array().unwrap().iter().map(|by| by.as_str().unwrap()).collect();
                        let mut path = format!("/v1/aggregate?q={query}&by={}", by.join(","));
                        for key in ["quantiles", "distinct"] {
                            if let Some(field) = spec[key].as_str() {
                                path += &format!("&{key}={field}");
                            }
                        }
                        let table = get(&running, &path);
                        assert!(table["lines"].as_u64().unwrap() > 0, "{name}: {table}");
                    }
                    "Lines" => {
                        let found = get(&running, &format!("/v1/search?q={query}&limit={}", spec["limit"]));
                        assert!(!found["lines"].as_array().unwrap().is_empty(), "{name}: {found}");
                    }
                    "Metrics" => {
                        for metric in spec["names"].as_array().unwrap() {
                            // How far partitions are behind is known of topics alone.
                            assert!(known.contains_key(metric.as_str().unwrap()), "{name}: {metric}");
                        }
                    }
                    "Rollouts" => assert!(get(&running, "/v1/rollouts")["rollouts"][0]["id"] == "shop"),
                    "DeltaTable" => assert!(report["comparisons"][0]["guardrails"].as_array().unwrap().len() > 3),
                    "TemplateDiff" => assert!(report["comparisons"][0]["templates"]["listed"].is_array()),
                    other => panic!("{other}: a kind that is not asked here"),
                }
            }
        }
    }
    assert_eq!(kinds.len(), 7, "every kind of panel is shown by one of them: {kinds:?}");
}

/// A question of the Elasticsearch data source, built from a panel as it builds it.
fn question(target: &Value) -> Value {
    let range = json!({ "range": { "@timestamp": {
        "gte": 1_700_000_000_000_i64, "lte": 1_900_000_000_000_i64, "format": "epoch_millis"
    } } });
    let query = text(target, "query").replace("$service", "*");
    let query =
        json!({ "bool": { "filter": [range, { "query_string": { "analyze_wildcard": true, "query": query } }] } });
    let metric = &target["metrics"][0];
    let sort = json!([{ "@timestamp": { "order": "desc", "unmapped_type": "boolean" } }]);
    if metric["type"] == "logs" {
        return json!({ "size": 100, "query": query, "sort": sort });
    }
    let mut aggregation = match metric["type"].as_str().unwrap() {
        "count" => Value::Null,
        "percentiles" => {
            json!({ "1": { "percentiles": { "field": metric["field"], "percents": metric["settings"]["percents"] } } })
        }
        "cardinality" => json!({ "1": { "cardinality": { "field": metric["field"] } } }),
        other => panic!("{other}"),
    };
    for bucket in target["bucketAggs"].as_array().unwrap().iter().rev() {
        let field = &bucket["field"];
        let mut of = match bucket["type"].as_str().unwrap() {
            "date_histogram" => json!({ "date_histogram": {
                "field": field, "fixed_interval": "1m", "min_doc_count": 0, "format": "epoch_millis"
            } }),
            "terms" => json!({ "terms": { "field": field, "size": bucket["settings"]["size"],
                "order": { "_key": bucket["settings"]["order"] }, "min_doc_count": bucket["settings"]["min_doc_count"] } }),
            other => panic!("{other}"),
        };
        if !aggregation.is_null() {
            of["aggs"] = aggregation;
        }
        aggregation = json!({ bucket["id"].as_str().unwrap(): of });
    }
    json!({ "size": 0, "query": query, "aggs": aggregation })
}

/// Names of series in an expression, and labels that it names.
fn names_of(expression: &str) -> (Vec<String>, Vec<String>) {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names = words.filter(|word| word.starts_with("serin_")).map(str::to_owned).collect();
    let mut labels = Vec::new();
    for (from, to) in [("by (", ')'), ("{", '}')] {
        for part in expression.split(from).skip(1) {
            let list = part.split(to).next().unwrap();
            labels.extend(list.split(',').map(|label| label.split('=').next().unwrap().trim().to_owned()));
        }
    }
    (names, labels)
}

#[test]
fn every_panel_for_grafana_is_answered() {
    let receiver = Receiver::start(|_, _| Answer::Status(200, String::new()));
    let folder = folder_with(&[]);
    let running: running::Running = busy(folder.path(), &receiver);
    let known = series(&running);
    let (mut boards, mut expressions, mut questions) = (0, 0, 0);
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("dashboards/grafana")).unwrap() {
        let path = entry.unwrap().path();
        let board: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        boards += 1;
        let variables: Vec<String> = board["templating"]["list"]
            .as_array()
            .unwrap()
            .iter()
            .map(|of| format!("${{{}}}", text(of, "name")))
            .collect();
        for panel in board["panels"].as_array().unwrap() {
            let title = &panel["title"];
            for target in panel["targets"].as_array().unwrap() {
                let source = &target["datasource"];
                assert!(variables.iter().any(|of| source["uid"] == of.as_str()), "{title}: {source}");
                if source["type"] == "prometheus" {
                    expressions += 1;
                    let (names, mut labels) = names_of(text(target, "expr"));
                    labels.extend(
                        text(target, "legendFormat")
                            .split("{{")
                            .skip(1)
                            .map(|of| of.split("}}").next().unwrap().to_owned()),
                    );
                    assert!(!names.is_empty(), "{title}");
                    for name in names {
                        let of = known.get(&name).unwrap_or_else(|| panic!("{title}: no series {name}"));
                        // Families of sources that only topics have are there without series.
                        for label in labels.iter().filter(|_| !of.is_empty()) {
                            assert!(of.contains(label), "{title}: {name} has no label {label}, but {of:?}");
                        }
                    }
                } else {
                    questions += 1;
                    let asked = format!("{}\n{}\n", json!({ "index": "logs-*" }), question(target));
                    let headers = [("Content-Type", "application/json")];
                    let (status, answer) = running.post("/_msearch", &headers, asked.as_bytes()).unwrap();
                    let answer: Value = serde_json::from_str(&answer).unwrap();
                    let answer = &answer["responses"][0];
                    assert!(status == 200 && answer["status"] == 200, "{title}: {answer}");
                    let found = match answer["aggregations"].as_object().and_then(|of| of.values().next()) {
                        Some(of) => of["buckets"].as_array().unwrap().len(),
                        None => answer["hits"]["hits"].as_array().unwrap().len(),
                    };
                    assert!(found > 0, "{title}: {answer}");
                }
            }
        }
    }
    assert_eq!(boards, 3);
    assert!(expressions > 15 && questions > 6, "{expressions} {questions}");
}
