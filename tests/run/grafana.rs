//! What Grafana's stock data source for Elasticsearch asks, and official clients. The requests are written from its source (version 12.8.0
//! of the plugin) as the contract of this project states it; no Grafana runs here.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use crate::common::running::{Running, until};
use crate::common::{Line, Traffic, folder_with, talk, with_log_lines};
use serde_json::{Value, json};

fn lines() -> Vec<Line> {
    let errors = vec![0.02, 0.2];
    with_log_lines(&Traffic { seed: 81, requests: 2_000, users: 500, errors, ..Traffic::default() }.lines(), talk)
}

fn text_of(lines: &[Line]) -> String {
    lines.iter().map(|line| line.text() + "\n").collect()
}

fn start(folder: &std::path::Path, lines: &[Line]) -> Running {
    let running = Running::start(&["--idle", "2s"], &folder.join("state"));
    let (status, body) = running.post("/ingest", &[], text_of(lines).as_bytes()).unwrap();
    assert_eq!(status, 200, "{body}");
    until("all are found", || {
        let (status, body) = running.post("/_count", &[("Content-Type", "application/json")], b"{}")?;
        (status == 200 && serde_json::from_str::<Value>(&body).unwrap()["count"] == lines.len()).then_some(())
    });
    running
}

fn post(running: &Running, path: &str, body: &str) -> (u16, Value) {
    let (status, body) = running.post(path, &[("Content-Type", "application/json")], body.as_bytes()).unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

/// One question of `_msearch` as the data source sends it.
fn asked(running: &Running, question: &Value) -> Value {
    let header = json!({ "search_type": "query_then_fetch", "ignore_unavailable": true, "index": "logs-*" });
    let (status, answer) =
        post(running, "/_msearch?max_concurrent_shard_requests=5", &format!("{header}\n{question}\n"));
    assert_eq!(status, 200, "{answer}");
    answer["responses"][0].clone()
}

/// The filters that every question has.
fn filters(lucene: &str) -> Value {
    let range = json!({ "range": { "@timestamp": {
        "gte": 1_700_000_000_000_i64, "lte": 1_900_000_000_000_i64, "format": "epoch_millis"
    } } });
    json!({ "bool": { "filter": [range, { "query_string": { "analyze_wildcard": true, "query": lucene } }] } })
}

fn count(lines: &[Line], keep: impl Fn(&str) -> bool) -> u64 {
    lines.iter().filter(|line| keep(&line.text())).count() as u64
}

#[test]
fn the_stock_data_source_finds_health_fields_lines_and_figures() {
    let lines = lines();
    let folder = folder_with(&[]);
    let running = start(folder.path(), &lines);
    let get = |path: &str| -> Value {
        let (status, body) = running.ask(path, &running.address).unwrap();
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    };
    // Save and test.
    assert!(get("/")["version"]["number"].as_str().unwrap().starts_with("8."));
    assert_ne!(get("/_cluster/health?wait_for_status=yellow")["status"], "red");
    let fields = get("/logs-*/_field_caps?fields=@timestamp");
    assert_eq!(fields["fields"]["@timestamp"]["date"]["searchable"], true);
    let fields = get("/logs-*/_field_caps?fields=*");
    for (field, kind) in
        [("cohort", "keyword"), ("latency_ms", "double"), ("msg", "text"), ("ts", "date"), ("_arm", "keyword")]
    {
        assert_eq!(fields["fields"][field][kind]["type"], kind, "{field}: {}", fields["fields"][field]);
    }
    assert_eq!(get("/logs-*/_mapping")["serin"]["mappings"]["properties"]["cohort"]["type"], "keyword");

    // Lines, with their volume.
    let histogram = json!({ "field": "@timestamp", "fixed_interval": "1m", "min_doc_count": 0, "format": "epoch_millis",
        "extended_bounds": { "min": 1_780_272_000_000_i64, "max": 1_780_275_600_000_i64 } });
    let logs = json!({
        "size": 500, "query": filters("status:>=500 AND cohort:canary"),
        "sort": { "@timestamp": { "order": "desc", "unmapped_type": "boolean" }, "_doc": { "order": "desc" } },
        "docvalue_fields": ["@timestamp"], "script_fields": {},
        "fields": [{ "field": "@timestamp", "format": "strict_date_optional_time_nanos" }],
        "highlight": { "fields": { "*": {} }, "pre_tags": ["@HIGHLIGHT@"], "post_tags": ["@/HIGHLIGHT@"], "fragment_size": 2147483647 },
        "aggs": { "1": { "date_histogram": histogram } },
    });
    let answer = asked(&running, &logs);
    let failed = count(&lines, |line| line.contains("\"status\":503") && line.contains("\"cohort\":\"canary\""));
    assert_eq!(
        (answer["status"].as_u64(), &answer["hits"]["total"]),
        (Some(200), &json!({ "value": failed, "relation": "eq" })),
        "{answer}"
    );
    let buckets = answer["aggregations"]["1"]["buckets"].as_array().unwrap();
    assert_eq!(buckets.iter().map(|bucket| bucket["doc_count"].as_u64().unwrap()).sum::<u64>(), failed);
    assert!(
        buckets.windows(2).all(|pair| pair[1]["key"].as_i64().unwrap() - pair[0]["key"].as_i64().unwrap() == 60_000)
    );
    let hits = answer["hits"]["hits"].as_array().unwrap();
    assert_eq!(hits.len() as u64, failed.min(500));
    assert!(
        hits.iter()
            .all(|hit| hit["_source"]["status"] == 503
                && hit["fields"]["@timestamp"][0].as_str().unwrap().ends_with('Z'))
    );
    // The page behind it.
    let half = json!({ "size": 5, "query": filters("status:503"), "sort": logs["sort"] });
    let first = asked(&running, &half);
    let mut next = half.clone();
    next["search_after"] = first["hits"]["hits"][4]["sort"].clone();
    let second = asked(&running, &next);
    let ids = |answer: &Value| -> Vec<Value> {
        answer["hits"]["hits"].as_array().unwrap().iter().map(|hit| hit["_id"].clone()).collect()
    };
    let whole = asked(&running, &json!({ "size": 10, "query": filters("status:503"), "sort": logs["sort"] }));
    assert_eq!([ids(&first), ids(&second)].concat(), ids(&whole));

    // A panel: by version, in time, a percentile, with the versions in its order.
    let panel = json!({ "size": 0, "query": filters("*"), "aggs": { "2": {
        "terms": { "field": "cohort", "size": "10", "order": { "1[99.0]": "desc" }, "min_doc_count": "1" },
        "aggs": {
            "1": { "percentiles": { "field": "latency_ms", "percents": ["50", "99"] } },
            "3": { "date_histogram": { "field": "@timestamp", "fixed_interval": "5m", "min_doc_count": 0, "format": "epoch_millis", "time_zone": "+02:00" },
                   "aggs": { "4": { "cardinality": { "field": "user" } }, "5": { "avg": { "field": "latency_ms" } } } },
        },
    }, "6": { "filters": { "filters": { "failed": { "query_string": { "query": "status:503" } }, "rest": { "query_string": { "query": "NOT status:503" } } } } } } });
    let answer = asked(&running, &panel);
    assert_eq!(answer["status"], 200, "{answer}");
    let arms = answer["aggregations"]["2"]["buckets"].as_array().unwrap();
    assert_eq!(arms.len(), 2);
    let p99 = |arm: &Value| arm["1"]["values"]["99.0"].as_f64().unwrap();
    assert!(p99(&arms[0]) >= p99(&arms[1]), "{arms:#?}");
    for arm in arms {
        let of = format!("\"cohort\":{}", arm["key"]);
        assert_eq!(arm["doc_count"], count(&lines, |line| line.contains(&of)));
        let times = arm["3"]["buckets"].as_array().unwrap();
        assert_eq!(
            times.iter().map(|at| at["doc_count"].as_u64().unwrap()).sum::<u64>(),
            arm["doc_count"].as_u64().unwrap()
        );
        assert!(
            times.iter().any(|at| at["4"]["value"].as_u64().unwrap() > 3 && at["5"]["value"].as_f64().unwrap() > 1.0)
        );
    }
    let filters_of = &answer["aggregations"]["6"]["buckets"];
    assert_eq!(filters_of["failed"]["doc_count"], count(&lines, |line| line.contains("\"status\":503")));
    assert_eq!(filters_of["rest"]["doc_count"], count(&lines, |line| !line.contains("\"status\":503")));
    // Values of a variable.
    let variable = asked(
        &running,
        &json!({ "size": 0, "query": filters("*"), "aggs": { "1": {
        "terms": { "field": "cohort", "size": 500, "order": { "_key": "asc" } } } } }),
    );
    let keys: Vec<&Value> =
        variable["aggregations"]["1"]["buckets"].as_array().unwrap().iter().map(|of| &of["key"]).collect();
    assert!(keys.len() == 2 && keys[0].as_str() < keys[1].as_str(), "{keys:?}");
}

#[test]
fn what_happened_to_rollouts_is_marked_on_charts() {
    let lines = lines();
    let folder = folder_with(&[]);
    let running = start(folder.path(), &lines);
    let list = |parameters: &str| -> Vec<Value> {
        let (status, body) = running.ask(&format!("/v1/annotations?{parameters}"), &running.address).unwrap();
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    };
    running.settled(|report| report["verdict"] == "fail");
    let marks = list("");
    let rollout = marks[0]["rollout"].as_str().unwrap();
    let timeline = running.ask(&format!("/v1/rollouts/{rollout}/timeline"), &running.address).unwrap().1;
    let timeline: Value = serde_json::from_str(&timeline).unwrap();
    let events = timeline["events"].as_array().unwrap();
    let is_failure = |event: &&Value| event["verdict"] == "fail" && event["verdict_before"] != "fail";
    let failed = events.iter().find(is_failure).unwrap_or_else(|| panic!("{timeline}"));

    // It began, and then it failed; both at the times of the timeline.
    assert_eq!((&marks[0]["kind"], &marks[0]["title"]), (&json!("deploy"), &json!("shop: canary beside baseline")));
    let mark = marks.iter().find(|mark| mark["verdict"] == "fail").unwrap();
    assert_eq!(
        (&mark["kind"], &mark["tags"]),
        (&json!("decision"), &json!(["decision", rollout, "fail", "shop"])),
        "{mark}"
    );
    assert_eq!(mark["text"], failed["reason"]);
    let time = mark["time"].as_i64().unwrap();

    // A list is of what is asked for.
    assert_eq!(list(&format!("from={time}&to={time}&kind=decision")), std::slice::from_ref(mark));
    let before = marks.iter().filter(|mark| mark["time"].as_i64().unwrap() < time).cloned().collect::<Vec<_>>();
    assert!(!before.is_empty());
    assert_eq!(list(&format!("to={}&rollout={rollout}", time - 1)), before);
    assert_eq!(list("limit=1"), marks[marks.len() - 1..]);
    assert!(list("rollout=other").is_empty());
    for wrong in ["from=yesterday", "kind=other", "limit=100000", "other=1"] {
        let (status, body) = running.ask(&format!("/v1/annotations?{wrong}"), &running.address).unwrap();
        assert_eq!(status, 400, "{wrong}: {body}");
    }

    // A data source of the index of decisions has the same.
    let ask = |lucene: &str| {
        let header =
            json!({ "search_type": "query_then_fetch", "ignore_unavailable": true, "index": "serin-decisions" });
        let question = json!({ "query": filters(lucene), "size": 10_000 });
        let (_, answer) = post(&running, "/_msearch", &format!("{header}\n{question}\n"));
        answer["responses"][0].clone()
    };
    let sources = |answer: &Value| -> Vec<Value> {
        answer["hits"]["hits"].as_array().unwrap().iter().map(|hit| hit["_source"].clone()).collect()
    };
    let all = ask("*");
    assert_eq!(all["hits"]["total"]["value"], marks.len(), "{all}");
    for (source, mark) in sources(&all).iter().rev().zip(&marks) {
        assert_eq!(
            (&source["title"], &source["text"], &source["tags"]),
            (&mark["title"], &mark["text"], &mark["tags"])
        );
    }
    let found = sources(&ask("tags:decision AND verdict:fail AND fail"));
    let failures = marks.iter().rev().filter(|mark| mark["kind"] == "decision" && mark["verdict"] == "fail");
    let title = |of: &Value| of["title"].as_str().unwrap().to_owned();
    assert_eq!(found.iter().map(title).collect::<Vec<_>>(), failures.map(title).collect::<Vec<_>>());
    assert_eq!(ask("status:500")["error"]["type"], "query_shard_exception");
    for wrong in
        [r#"{"foo":1}"#, r#"{"size":"x"}"#, r#"{"size":20000}"#, r#"{"sort":[{"kind":"asc"}]}"#, r#"{"aggs":{}}"#]
    {
        assert_eq!(post(&running, "/serin-decisions/_search", wrong).0, 400, "{wrong}");
    }
    assert_eq!(post(&running, "/serin-decisions/_count", r#"{"size":1}"#).0, 400);
    let (_, one) =
        post(&running, "/serin-decisions/_search", r#"{"size":1,"sort":["@timestamp:asc"],"_source":["title"]}"#);
    assert_eq!(one["hits"]["hits"][0]["_source"], json!({ "title": marks[0]["title"] }));
    assert_eq!(post(&running, "/serin-decisions/_count", "{}").1["count"], marks.len());
    let mapping = running.ask("/serin-decisions/_mapping", &running.address).unwrap().1;
    let mapping: Value = serde_json::from_str(&mapping).unwrap();
    assert_eq!(mapping["serin-decisions"]["mappings"]["properties"]["@timestamp"]["type"], "date");
}

/// Decisions are none of the lines: they are found where no lines are kept.
#[test]
fn decisions_are_found_without_an_index_of_lines() {
    let folder = folder_with(&[]);
    let running = Running::start(&["--idle", "2s", "--index", "off"], &folder.path().join("state"));
    assert_eq!(running.post("/ingest", &[], text_of(&lines()).as_bytes()).unwrap().0, 200);
    running.settled(|report| report["verdict"] == "fail");
    let found = |answer: &Value| answer["hits"]["total"]["value"].as_u64().unwrap();
    let (status, of_index) = post(&running, "/serin-decisions/_search", r#"{"query":{"term":{"verdict":"fail"}}}"#);
    assert!(status == 200 && found(&of_index) > 0, "{of_index}");
    let pair = |index: &str| format!("{{\"index\":\"{index}\"}}\n{{}}\n");
    let (status, several) = post(&running, "/_msearch", &pair("serin-decisions"));
    assert!(status == 200 && found(&several["responses"][0]) > 0, "{several}");
    assert_eq!(post(&running, "/_msearch", &(pair("serin-decisions") + &pair("logs"))).0, 404);
    assert_eq!(post(&running, "/logs/_search", "{}").0, 404);
}

#[test]
fn what_is_not_supported_is_said_in_the_words_of_elasticsearch() {
    let lines = lines();
    let folder = folder_with(&[]);
    let running = start(folder.path(), &lines);
    for (question, words) in [
        (json!({ "aggs": { "1": { "top_metrics": {} } } }), "unknown aggregation type [top_metrics]"),
        (
            json!({ "aggs": { "1": { "date_histogram": { "field": "@timestamp", "calendar_interval": "1M" } } } }),
            "at most a week",
        ),
        (
            json!({ "aggs": { "1": { "date_histogram": { "field": "@timestamp", "fixed_interval": "1h", "time_zone": "Europe/Berlin" } } } }),
            "names of zones",
        ),
        (json!({ "aggs": { "1": { "terms": { "field": "cohrt" } } } }), "did you mean `cohort`"),
        (json!({ "aggs": { "1": { "avg": { "field": "cohort" } } } }), "field of numbers"),
        (json!({ "query": { "fuzzy": {} } }), "unknown query [fuzzy]"),
        (json!({ "query": { "term": { "staus": 503 } } }), "did you mean `status`"),
        (json!({ "query": { "query_string": { "query": "status:[" } } }), "Failed to parse query"),
        (json!({ "sort": [{ "latency_ms": "asc" }] }), "newest first"),
        (json!({ "query": { "query_string": {} } }), "needs [query]"),
        (json!({ "query": { "match": { "msg": { "query": "a", "operator": "xor" } } } }), "[operator] is"),
        (json!({ "query": { "match_all": { "foo": 1 } } }), "does not support [foo]"),
        (json!({ "query": { "range": { "status": { "gte": 500, "gt": 600 } } } }), "one end of it"),
        (json!({ "query": { "range": { "@timestamp": { "gte": "2026", "format": "yyyy" } } } }), "[format] of [range]"),
        (json!({ "query": { "term": { "_level": "ERROR" } } }), "there are trace, debug, info"),
        (json!({ "query": { "range": { "_status": { "gte": 500 } } } }), "there are 1xx"),
        (json!({ "aggs": {}, "aggregations": {} }), "say it once"),
        (json!({ "aggs": { "1": { "percentiles": { "field": "@timestamp" } } } }), "are of numbers"),
        (json!({ "fields": [{ "field": "ts", "format": "yyyy" }] }), "[format] is"),
        (json!({ "track_total_hits": "x" }), "[track_total_hits] is"),
        (json!({ "fields": "cohort" }), "[fields] is a list"),
        (json!({ "aggs": { "1": { "terms": { "field": "cohort", "min_doc_count": 0 } } } }), "at least 1"),
        (json!({ "aggs": { "1": { "terms": { "field": "cohort", "order": ["x"] } } } }), "[order] is"),
        (json!({ "aggs": { "1": { "percentiles": { "field": "latency_ms", "keyed": "x" } } } }), "[keyed] is"),
        (
            json!({ "aggs": { "1": { "date_histogram": { "field": "@timestamp", "fixed_interval": "1h", "time_zone": 5 } } } }),
            "[time_zone] is",
        ),
        (
            json!({ "aggs": { "1": { "date_histogram": { "field": "@timestamp", "fixed_interval": "1h", "format": "yyyy" } } } }),
            "[format] is",
        ),
        (
            json!({ "aggs": { "1": { "date_histogram": { "field": "@timestamp", "fixed_interval": "1h", "calendar_interval": "1h" } } } }),
            "needs one of",
        ),
        (
            json!({ "aggs": { "1": { "date_histogram": { "field": "@timestamp", "calendar_interval": "3d" } } } }),
            "[calendar_interval] is",
        ),
        (json!({ "suggest": {} }), "unknown key"),
        (json!({ "size": 100_000 }), "Result window is too large"),
    ] {
        let (status, answer) = post(&running, "/logs/_search", &question.to_string());
        assert_eq!((status, answer["status"].as_u64()), (400, Some(400)), "{question}: {answer}");
        let reason = answer["error"]["reason"].as_str().unwrap();
        assert!(
            reason.contains(words) && answer["error"]["root_cause"][0]["type"] == answer["error"]["type"],
            "{question}: {reason}"
        );
        // One of several that fails leaves the others.
        let both = format!("{{}}\n{question}\n{{}}\n{{\"size\":0}}\n");
        let (status, answer) = post(&running, "/_msearch", &both);
        assert_eq!(
            (status, &answer["responses"][0]["status"], &answer["responses"][1]["status"]),
            (200, &json!(400), &json!(200))
        );
    }
    // What is asked in another way is answered.
    let ends = json!({ "min": { "min": { "field": "@timestamp" } }, "max": { "max": { "field": "@timestamp" } } });
    let asked = json!({ "size": 100, "fields": ["coh*"], "aggs": {
        "ends": { "filters": { "filters": { "all": { "match_all": {} } } }, "aggs": ends },
        "texts": { "value_count": { "field": "cohort" } },
        "days": { "date_histogram": {
            "field": "@timestamp", "fixed_interval": "1d",
            "extended_bounds": { "min": "2026-05-30T00:00:00Z", "max": "2026-06-02T12:00:00Z" },
        } },
    } });
    let (status, answer) = post(&running, "/logs/_search", &asked.to_string());
    assert_eq!(status, 200, "{answer}");
    let ends = [lines.iter().map(|line| line.at).min(), lines.iter().map(|line| line.at).max()];
    let shown = &answer["aggregations"]["ends"]["buckets"]["all"];
    for (name, at) in ["min", "max"].into_iter().zip(ends) {
        assert_eq!(shown[name]["value"], at.unwrap().div_euclid(1_000), "{answer}");
        assert!(shown[name]["value_as_string"].as_str().unwrap().starts_with("2026-"));
    }
    let all = lines.iter().filter(|line| line.text().contains("\"cohort\":")).count();
    assert_eq!(answer["aggregations"]["texts"]["value"], all);
    assert_eq!(answer["aggregations"]["days"]["buckets"].as_array().unwrap().len(), 4);
    let hits = answer["hits"]["hits"].as_array().unwrap();
    assert!(hits.iter().any(|hit| hit["fields"]["cohort"].is_array()), "{answer}");
    assert_eq!(post(&running, "/_field_caps", r#"{"fields":"cohort"}"#).1["fields"].as_object().unwrap().len(), 1);
    assert_eq!(running.ask("/_mapping?foo=1", &running.address).unwrap().0, 400);
    assert_eq!(post(&running, "/_all/_search", "{}").0, 200);
    assert_eq!(post(&running, "/serin-decisions%2Clogs/_search", "{}").0, 400);
    let millis = json!({ "size": 1, "fields": [{ "field": "@timestamp", "format": "epoch_millis" }] });
    let shown = post(&running, "/logs/_search", &millis.to_string()).1["hits"]["hits"][0].clone();
    assert_eq!(shown["fields"]["@timestamp"][0], shown["sort"][0].to_string());
    assert_eq!(post(&running, "/_search?routing=x", "{}").0, 400);
    assert_eq!(post(&running, "/_msearch", "{}\n").0, 400);
    assert_eq!(post(&running, "/_search", "[1]").0, 400);
}

/// The official client for Python searches what it has sent, in two major versions.
#[test]
fn the_elasticsearch_clients_for_python_find_what_they_have_sent() {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/elasticsearch-search.sh");
    let has = |tool: &str| std::process::Command::new(tool).arg("--version").output().is_ok();
    if !has("python3") || !has("flock") {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "python3 and flock are missing in CI");
        println!("skipped: python3 or flock is missing");
        return;
    }
    let folder = folder_with(&[]);
    let running = start(folder.path(), &lines());
    for major in ["8", "9"] {
        let output = std::process::Command::new("bash")
            .arg(&script)
            .args([major, &format!("http://{}", running.address)])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if said.contains("cannot be installed") && std::env::var("CI").as_deref() != Ok("true") {
            println!("skipped: {said}");
            return;
        }
        assert!(output.status.success() && said.contains("all is found"), "client {major}: {said}");
    }
}

/// The official client for JavaScript does the same, in two major versions.
#[test]
fn the_elasticsearch_clients_for_javascript_find_what_they_have_sent() {
    let script = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/elasticsearch-search-js.sh");
    let has = |tool: &str| std::process::Command::new(tool).arg("--version").output().is_ok();
    if !has("node") || !has("npm") || !has("flock") {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "node, npm and flock are missing in CI");
        println!("skipped: node, npm or flock is missing");
        return;
    }
    for major in ["8", "9"] {
        let folder = folder_with(&[]);
        let running = start(folder.path(), &lines());
        let output = std::process::Command::new("bash")
            .arg(&script)
            .args([major, &format!("http://{}", running.address)])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        if said.contains("cannot be installed") && std::env::var("CI").as_deref() != Ok("true") {
            println!("skipped: {said}");
            return;
        }
        assert!(output.status.success() && said.contains("all is found"), "client {major}: {said}");
    }
}
