//! Search: in files, and in a running `serin run`, where each line is found once whatever crashes.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;

use crate::common::running::{Running, connected, lines_of, until};
use crate::common::{Line, Random, Traffic, folder_with, serin, talk, with_log_lines};
use serde_json::{Value, json};
use serin::pipeline::clock::parse_time;

fn text_of(lines: &[Line]) -> String {
    lines.iter().map(|line| line.text() + "\n").collect()
}

/// Requests of two arms, each with log lines behind it.
fn rollout() -> Vec<Line> {
    let errors = vec![0.01, 0.2];
    with_log_lines(&Traffic { seed: 61, requests: 2_000, users: 700, errors, ..Traffic::default() }.lines(), talk)
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

fn asked(running: &Running, path: &str, query: &str) -> Option<(u16, Value)> {
    let (status, body) = running.ask(&format!("{path}q={}", encoded(query)), &running.address)?;
    Some((status, serde_json::from_str(&body).unwrap_or(Value::String(body))))
}

/// The number of lines that match, once it is this.
fn found(running: &Running, query: &str, expect: u64) {
    until(&format!("{expect} lines of {query}"), || {
        let (status, body) = asked(running, "/v1/search?count=1000000000&limit=1&", query)?;
        (status == 200 && body["total"]["lines"] == expect).then_some(())
    });
}

fn sent(running: &Running, text: &str, key: &str) {
    let (status, body) = running.post("/ingest", &[("Idempotency-Key", key)], text.as_bytes()).unwrap();
    assert_eq!(status, 200, "{body}");
}

fn whole(lines: &[Line], keep: impl Fn(&str) -> bool) -> u64 {
    lines.iter().filter(|line| keep(&line.text())).count() as u64
}

#[test]
fn what_was_taken_is_found_with_its_surroundings_fields_and_figures() {
    let lines = rollout();
    let folder = folder_with(&[("app.log", text_of(&lines).as_bytes())]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    for (number, batch) in lines.chunks(900).enumerate() {
        sent(&running, &text_of(batch), &number.to_string());
    }
    found(&running, "*", lines.len() as u64);
    found(
        &running,
        "status:>=500 AND cohort:canary",
        whole(&lines, |line| line.contains("\"status\":503") && line.contains("\"cohort\":\"canary\"")),
    );
    found(
        &running,
        "\"order is lost\" OR (\"no such key\" AND level>=error)",
        whole(&lines, |line| line.contains("no such key")),
    );
    found(&running, "_kind:request AND _failed:true", whole(&lines, |line| line.contains("\"status\":503")));

    // Pages have each line once, newest first, and the lines around one are those that were sent around it.
    let (mut seen, mut before) = (Vec::new(), String::new());
    loop {
        let (_, page) = asked(&running, &format!("/v1/search?limit=700{before}&"), "user:*").unwrap();
        seen.extend(page["lines"].as_array().unwrap().clone());
        match page["next"].as_str() {
            Some(next) => before = format!("&before={}", encoded(next)),
            None => break,
        }
    }
    let positions: std::collections::BTreeSet<u64> =
        seen.iter().map(|line| line["position"].as_u64().unwrap()).collect();
    assert_eq!(positions.len() as u64, whole(&lines, |line| line.contains("\"user\":")));
    assert_eq!(positions.len(), seen.len());
    let time = |line: &Value| line["cursor"].as_str().unwrap().split('.').next().unwrap().parse::<i64>().unwrap();
    assert!(seen.windows(2).all(|pair| time(&pair[0]) >= time(&pair[1])));
    let one = &seen[500];
    let (status, around) = running
        .ask(&format!("/v1/search/around?stream=http&position={}&before=3&behind=2", one["position"]), &running.address)
        .unwrap();
    let around: Value = serde_json::from_str(&around).unwrap();
    let around: Vec<&str> =
        around["lines"].as_array().unwrap().iter().map(|line| line["line"].as_str().unwrap()).collect();
    let at = lines.iter().position(|line| line.text() == one["line"].as_str().unwrap()).unwrap();
    assert_eq!(
        (status, around),
        (200, lines[at - 3..at + 3].iter().map(Line::text).collect::<Vec<_>>().iter().map(String::as_str).collect())
    );

    // Words are marked where they stand.
    let (_, page) = asked(&running, "/v1/search?limit=1&", "\"pool is\"").unwrap();
    assert_eq!(page["lines"][0]["highlights"], serde_json::json!([{ "field": "msg", "from": 0, "to": 7 }]));

    // Names are checked, and parameters too.
    let (status, body) = asked(&running, "/v1/search?", "staus:500").unwrap();
    assert_eq!((status, &body["from"], &body["help"]), (400, &0.into(), &"did you mean `status`?".into()), "{body}");
    // What decoding says in numbers is compared with numbers; a line's own field may hold text.
    let (status, body) = asked(&running, "/v1/search?", "_latency:>100j").unwrap();
    assert_eq!((status, &body["from"], &body["to"]), (400, &10.into(), &14.into()), "{body}");
    for own in ["latency_ms:>100j", "_latency:>100ms", "_time:>now-15m"] {
        let (status, body) = asked(&running, "/v1/search?", own).unwrap();
        assert_eq!(status, 200, "{own}: {body}");
    }
    let (status, body) = asked(&running, "/v1/search?size=5&", "*").unwrap();
    assert_eq!(status, 400, "{body}");
    let (_, fields) = asked(&running, "/v1/fields?", "*").unwrap();
    let kind = |path: &str| {
        let list = fields["fields"].as_array().unwrap();
        list.iter().find(|field| field["path"] == path).map(|field| field["kind"].as_str().unwrap().to_owned())
    };
    assert_eq!((kind("cohort").as_deref(), kind("latency_ms").as_deref()), (Some("text"), Some("number")));
    // What fields hold is of the lines that are asked for: here of all, so it is what searches count.
    let (_, fields) = asked(&running, "/v1/fields?lines=10000&values=100&", "status:503").unwrap();
    let failed = whole(&lines, |line| line.contains("\"status\":503"));
    assert_eq!((&fields["lines"], &fields["total"]["lines"]), (&json!(failed), &json!(failed)));
    let field = |path: &str| fields["fields"].as_array().unwrap().iter().find(|field| field["path"] == path).unwrap();
    assert_eq!(field("status")["values"], json!([{ "value": "503", "lines": failed }]));
    for value in field("_arm")["values"].as_array().unwrap() {
        let arm = format!("\"cohort\":{}", value["value"]);
        assert_eq!(value["lines"], whole(&lines, |line| line.contains("\"status\":503") && line.contains(&arm)));
    }
    assert_eq!(field("_arm")["lines"], failed);
    assert_eq!(field("msg")["lines"], 0, "no failed request has one");
    assert_eq!(asked(&running, "/v1/fields?lines=100000&", "*").unwrap().0, 400);

    // Figures.
    let (_, table) =
        asked(&running, "/v1/aggregate?by=cohort&distinct=_unit&quantiles=latency_ms&", "status:503").unwrap();
    for group in table["groups"].as_array().unwrap() {
        let arm = format!("\"cohort\":{}", group["key"]["cohort"]);
        let of_arm = |line: &&Line| line.text().contains("\"status\":503") && line.text().contains(&arm);
        let users: std::collections::BTreeSet<u64> = lines.iter().filter(of_arm).map(|line| line.user).collect();
        assert_eq!(group["lines"], lines.iter().filter(of_arm).count());
        assert_eq!(group["distinct"], users.len());
        assert!(group["quantiles"]["0.5"].as_f64().unwrap() > 20.0);
    }
    assert_eq!(table["groups"].as_array().unwrap().len(), 2);
    let (_, table) = asked(&running, "/v1/aggregate?ranges=status:400,500&", "*").unwrap();
    let of = |key: &str| {
        table["groups"].as_array().unwrap().iter().find(|group| group["key"]["status"] == key).unwrap()["lines"].clone()
    };
    assert_eq!(of("500.."), asked(&running, "/v1/aggregate?", "status:>=500").unwrap().1["lines"], "{table}");
    assert_eq!(of("..400"), asked(&running, "/v1/aggregate?", "status:<400").unwrap().1["lines"], "{table}");
    assert_eq!(asked(&running, "/v1/aggregate?ranges=status:500,400&", "*").unwrap().0, 400);
    for wrong in [
        "/v1/aggregate?stats=cohort&",
        "/v1/aggregate?quantiles=msg&",
        "/v1/aggregate?ranges=_unit:5&",
        "/v1/aggregate?by=status,status&",
        "/v1/aggregate?by=status&ranges=status:5&",
        "/v1/search?since=2026-01-01+OR+a&",
        "/v1/search?count=2000000000&",
        "/v1/export?limit=20000000&",
    ] {
        let (status, body) = asked(&running, wrong, "*").unwrap();
        assert_eq!(status, 400, "{wrong}: {body}");
    }
    let (status, body) = running.ask("/v1/search/around?stream=http&position=0&before=201", &running.address).unwrap();
    assert_eq!(status, 400, "{body}");
    let times = asked(&running, "/v1/aggregate?stats=_time&", "*").unwrap().1["groups"][0]["stats"].clone();
    let ends = [lines.iter().map(|line| line.at).min(), lines.iter().map(|line| line.at).max()];
    let millis = |at: Option<i64>| json!(at.unwrap() as f64 / 1e3);
    assert_eq!([&times["min"], &times["max"]], [&millis(ends[0]), &millis(ends[1])], "{times}");
    let (status, body) = asked(&running, "/v1/aggregate?by=cohrt&", "*").unwrap();
    assert_eq!((status, &body["error"]), (400, &"no line has a field `cohrt`; did you mean `cohort`?".into()));

    // Everything that matches, as a stream.
    let (_, exported) = running.ask(&format!("/v1/export?q={}", encoded("status:503")), &running.address).unwrap();
    let failed = whole(&lines, |line| line.contains("\"status\":503"));
    assert_eq!(exported.matches("\"line\"").count() as u64, failed);
    let (_, table) =
        running.ask(&format!("/v1/export?format=csv&q={}", encoded("status:503")), &running.address).unwrap();
    assert_eq!(table.lines().filter(|line| line.starts_with("2026-")).count() as u64, failed);

    // The command asks the same, and the files give the same lines.
    let count = |arguments: &[&str]| serin(folder.path(), arguments).expect(0).out.lines().count() as u64;
    assert_eq!(count(&["search", "status:503", "--address", &running.address, "--limit", "100000"]), failed);
    assert_eq!(count(&["search", "app.log", "status:503", "--json", "--limit", "100000"]), failed);
}

/// New lines come to whoever follows, each once, and again from where an earlier reader ended.
#[test]
fn who_follows_hears_new_lines_and_goes_on_where_it_was() {
    let lines = rollout();
    let folder = folder_with(&[]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    sent(&running, &text_of(&lines[..2_000]), "1");
    found(&running, "*", 2_000);
    let follow = |last: &str| {
        let mut stream = connected(&running.address).unwrap();
        let path = format!("/v1/tail?q={}", encoded("\"pool is full\""));
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {}\r\n{last}\r\n", running.address).unwrap();
        BufReader::new(stream)
    };
    let heard = |stream: &mut BufReader<TcpStream>, wanted: usize| {
        let (mut told, mut id) = (Vec::new(), String::new());
        let mut text = String::new();
        while told.len() < wanted {
            text.clear();
            assert!(stream.read_line(&mut text).unwrap() > 0, "it broke off after {told:?}");
            if let Some(line) = text.strip_prefix("data: ") {
                told.push(serde_json::from_str::<Value>(line).unwrap()["line"].as_str().unwrap().to_owned());
            }
            // The id stands behind the line that it belongs to.
            if text.starts_with("data: ") {
                stream.read_line(&mut text).unwrap();
                id = text.lines().last().unwrap().trim_start_matches("id: ").to_owned();
            }
        }
        (told, id)
    };
    let of = |lines: &[Line]| -> Vec<String> {
        lines.iter().map(Line::text).filter(|line| line.contains("pool is full")).collect()
    };
    let mut stream = follow("");
    // It has begun when its head has come.
    let mut head = String::new();
    stream.read_line(&mut head).unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    let expect = of(&lines[2_000..2_600]);
    sent(&running, &text_of(&lines[2_000..2_600]), "2");
    let (told, id) = heard(&mut stream, expect.len());
    assert_eq!(told, expect);
    drop(stream);
    sent(&running, &text_of(&lines[2_600..3_000]), "3");
    found(&running, "*", 3_000);
    let expect = of(&lines[2_600..3_000]);
    let (told, _) = heard(&mut follow(&format!("Last-Event-ID: {id}\r\n")), expect.len());
    assert_eq!(told, expect);
}

#[test]
fn rules_of_a_pipeline_say_which_lines_are_kept() {
    let lines = rollout();
    let pipeline = "pipeline: shop\nindex:\n- {when: '_kind:request AND cohort:baseline AND NOT _failed:true', keep: off}\n\
                    - {when: '_kind:log AND cohort:baseline AND NOT level>=error', keep: sampled, one_in: 5}\n";
    let folder = folder_with(&[("shop.yaml", pipeline.as_bytes())]);
    let path = folder.path().join("shop.yaml");
    let options = ["--idle", "2s", "--pipeline", path.to_str().unwrap()];
    let running = Running::start(&options, &folder.path().join("state"));
    sent(&running, &text_of(&lines), "all");
    let is_baseline = |line: &str| line.contains("\"cohort\":\"baseline\"");
    let is_request = |line: &str| line.contains("\"status\":");
    found(&running, "cohort:canary", whole(&lines, |line| line.contains("\"cohort\":\"canary\"")));
    found(
        &running,
        "_kind:request AND cohort:baseline",
        whole(&lines, |line| is_baseline(line) && line.contains("\"status\":503")),
    );
    // Of the logs that a rule samples those that are kept stand for the rest, and nothing else is left out.
    let logs = whole(&lines, |line| is_baseline(line) && !is_request(line));
    let (_, page) = asked(&running, "/v1/search?limit=0&", "_kind:log AND cohort:baseline").unwrap();
    let kept = page["total"]["kept"].as_u64().unwrap();
    assert!(page["total"]["is_estimate"] == true && kept < logs, "{kept} of {logs}: {page}");
    let off = whole(&lines, |line| is_baseline(line) && is_request(line) && !line.contains("\"status\":503"));
    let status = running.ask("/v1/status", &running.address).unwrap().1;
    let status: Value = serde_json::from_str(&status).unwrap();
    assert_eq!(status["index"]["left_out"], off + logs - kept);
    assert!(off > 500, "{off}");
    // The verdict rests on every line.
    let report: Value = serde_json::from_str(&running.ask("/v1/report", &running.address).unwrap().1).unwrap();
    assert_eq!(report["comparisons"][0]["verdict"], "fail");
}

/// Rules that leave every line out are no reason to read all again, and new rules are for new lines.
#[test]
fn new_rules_are_for_lines_that_come_after_them() {
    let lines = rollout();
    let write = |folder: &std::path::Path, keep: &str| {
        let path = folder.join("shop.yaml");
        std::fs::write(&path, format!("pipeline: shop\nindex:\n- {{keep: {keep}}}\n")).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let index = |running: &Running| -> Value {
        let status = running.ask("/v1/status", &running.address).unwrap().1;
        serde_json::from_str::<Value>(&status).unwrap()["index"].clone()
    };
    let pipeline = write(folder.path(), "off");
    let running = Running::start(&["--idle", "2s", "--pipeline", &pipeline], &state);
    sent(&running, &text_of(&lines), "all");
    until("all are left out", || (index(&running)["left_out"] == lines.len()).then_some(()));
    running.stop();
    let pipeline = write(folder.path(), "all");
    let running = Running::start(&["--idle", "2s", "--pipeline", &pipeline], &state);
    sent(&running, &format!("{}\n", lines[0].text()), "one");
    found(&running, "*", 1);
}

/// With a sample of what is neither wrong nor new, counts are scaled and said to be estimates; what went wrong is there in full.
#[test]
fn a_sampled_index_keeps_what_is_wrong_and_new_and_scales_the_rest() {
    let lines = rollout();
    let folder = folder_with(&[]);
    let options = ["--idle", "2s", "--index", "sampled", "--index-sample", "4"];
    let running = Running::start(&options, &folder.path().join("state"));
    for (number, batch) in lines.chunks(900).enumerate() {
        sent(&running, &text_of(batch), &number.to_string());
    }
    let status = |running: &Running| -> Option<Value> {
        let (_, body) = running.ask("/v1/status", &running.address)?;
        Some(serde_json::from_str::<Value>(&body).unwrap()["index"].clone())
    };
    until("each line is kept or left out", || {
        let index = status(&running)?;
        let (kept, left_out) = (index["lines"].as_u64()?, index["left_out"].as_u64()?);
        (kept + left_out == lines.len() as u64).then_some(())
    });
    let left_out = status(&running).unwrap()["left_out"].as_u64().unwrap();
    assert!(left_out > 300, "{left_out}");
    let failed = whole(&lines, |line| line.contains("\"status\":503"));
    found(&running, "_failed:true", failed);
    let total =
        |query: &str| asked(&running, "/v1/search?count=1000000000&limit=1&", query).unwrap().1["total"].clone();
    assert_eq!(total("_failed:true")["is_estimate"], false);
    let all = total("*");
    assert_eq!((&all["is_estimate"], &all["is_exact"]), (&Value::Bool(true), &Value::Bool(false)));
    assert_eq!(all["kept"], lines.len() as u64 - left_out);
    // One unit of four stands for four: within five standard errors of some hundred units.
    let (estimate, exact) = (all["lines"].as_u64().unwrap() as f64, lines.len() as f64);
    assert!((estimate / exact - 1.0).abs() < 0.25, "{estimate} for {exact}");
    let weighed = total("_weight:4")["kept"].as_u64().unwrap();
    assert!(weighed > 50 && total("_weight:1")["kept"].as_u64().unwrap() + weighed == all["kept"].as_u64().unwrap());
    let (_, table) = asked(&running, "/v1/aggregate?by=_arm&distinct=_unit&", "_kind:request").unwrap();
    assert_eq!(table["is_estimate"], true);
    let (_, shares) = asked(&running, "/v1/shares?", "_kind:request").unwrap();
    let group = &shares["groups"][0];
    let users = 700.0;
    assert!((group["units"].as_f64().unwrap() / users - 1.0).abs() < 0.3, "{shares}");
    assert!(group["low"].as_f64() < group["share"].as_f64() && group["share"].as_f64() < group["high"].as_f64());
}

/// Shares from the counters are those of the lines, without reading one: also where none is kept to be read.
#[test]
fn shares_of_the_counters_are_those_of_the_lines() {
    let lines = rollout();
    let folder = folder_with(&[]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    sent(&running, &text_of(&lines), "1");
    found(&running, "*", lines.len() as u64);
    let counted = |running: &Running| {
        until("a comparison has all units", || {
            let (status, body) = running.ask("/v1/shares?from=counters", &running.address)?;
            let body: Value = serde_json::from_str(&body).ok()?;
            (status == 200 && body["comparisons"][0]["groups"][1]["units"].as_u64()? > 50).then_some(body)
        })
    };
    let counters = counted(&running);
    let comparison = &counters["comparisons"][0];
    for group in comparison["groups"].as_array().unwrap() {
        let arm = group["key"].as_str().unwrap();
        let query = format!(
            "_arm:{arm} AND _time:>={} AND _time:<{}",
            comparison["from"].as_str().unwrap(),
            comparison["until"].as_str().unwrap()
        );
        let (_, table) =
            asked(&running, "/v1/aggregate?distinct=_unit&", &format!("_kind:request AND _failed:true AND {query}"))
                .unwrap();
        assert_eq!(table["groups"][0]["distinct"], group["met"], "{arm}");
        assert!(group["low"].as_f64() <= group["share"].as_f64() && group["share"].as_f64() <= group["high"].as_f64());
    }
    assert!(comparison["difference"]["low"].is_number(), "{comparison}");
    assert!(counters["took_ms"].is_number(), "{counters}");
    drop(running);

    let running = Running::start(&["--idle", "2s", "--index", "off"], &folder.path().join("without"));
    sent(&running, &text_of(&lines), "1");
    let counters = counted(&running);
    assert_eq!(asked(&running, "/v1/search?", "*").unwrap().0, 404);
    assert!(!folder.path().join("without/index").exists());
    let comparison = &counters["comparisons"][0];
    let time = |key: &str| parse_time(comparison[key].as_str().unwrap()).unwrap().0;
    let during = time("from")..time("until");
    for group in comparison["groups"].as_array().unwrap() {
        let arm = format!("\"cohort\":{}", group["key"]);
        let met: std::collections::BTreeSet<u64> = lines
            .iter()
            .filter(|line| during.contains(&line.at))
            .filter(|line| line.text().contains("\"status\":503") && line.text().contains(&arm))
            .map(|line| line.user)
            .collect();
        assert_eq!(group["met"], met.len(), "{comparison}");
    }
}

/// Without an index links lead to where lines are kept.
#[test]
fn links_lead_to_another_search() {
    let lines = rollout();
    let folder = folder_with(&[]);
    let config = folder.path().join("serin.yaml");
    let text = "idle: 2s\nindex: off\nlinks:\n- {name: dashboards, url: \"https://logs.example/app/discover#/?_a=(query:(language:lucene,query:'{lucene}'))&_g=(time:(from:'{from}',to:'{to}'))\"}\n- {name: loki, url: 'https://grafana.example/explore?expr={logql}&from={from_ms}&to={to_ms}'}\n";
    std::fs::write(&config, text).unwrap();
    let running = Running::start(&["--config", &config.display().to_string()], &folder.path().join("state"));
    sent(&running, &text_of(&lines), "1");
    let links = until("there are links", || {
        let links = running.report()?["links"].as_array()?.clone();
        (links.len() == 4).then_some(links)
    });
    let url = |name: &str, arm: &str| {
        let link = links.iter().find(|link| link["name"] == name && link["arm"] == arm).unwrap();
        link["url"].as_str().unwrap().to_owned()
    };
    let lucene = url("dashboards", "canary");
    assert!(lucene.contains("cohort%3A%22canary%22") && lucene.contains("status%3A%3E%3D500"), "{lucene}");
    let loki = url("loki", "baseline");
    assert!(loki.contains("cohort%3D%22baseline%22") && !loki.contains('{'), "{loki}");
    assert_eq!(asked(&running, "/v1/search?", "*").unwrap().0, 404);
    // A hole that is none is told before anything begins.
    std::fs::write(&config, "links:\n- {name: a, url: 'https://x/{lucine}'}\n").unwrap();
    let said = serin(folder.path(), &["check", "serin.yaml"]);
    assert!(said.out.contains("{lucine} is unknown"), "{}{}", said.out, said.err);
}

/// The same on the command line.
#[test]
fn the_command_follows_until_it_is_ended() {
    let lines = rollout();
    let folder = folder_with(&[]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    sent(&running, &text_of(&lines[..1_000]), "1");
    found(&running, "*", 1_000);
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_serin"))
        .args(["search", "_failed:true", "--follow", "--json", "--address", &running.address])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let (heard, hears) = std::sync::mpsc::channel();
    let out = lines_of(child.stdout.take().unwrap());
    std::thread::spawn(move || out.take(3).for_each(|line| heard.send(line).unwrap()));
    let mut told: Vec<String> = Vec::new();
    // Batches go on until it hears: when it has begun to listen is not known.
    let mut batches = lines[1_000..].chunks(100).enumerate();
    while told.len() < 3 {
        let (number, batch) = batches.next().expect("it hears nothing");
        sent(&running, &text_of(batch), &format!("more {number}"));
        found(&running, "*", 1_000 + 100 * (number as u64 + 1));
        told.extend(
            hears
                .try_iter()
                .map(|line| serde_json::from_str::<Value>(&line).unwrap()["line"].as_str().unwrap().to_owned()),
        );
    }
    let first = lines.iter().map(Line::text).filter(|line| line.contains("\"status\":503"));
    let all: Vec<String> = first.collect();
    let at = all.iter().position(|line| *line == told[0]).unwrap();
    assert_eq!(told, all[at..at + 3], "in their order, none left out");
    child.kill().unwrap();
    child.wait().unwrap();
    // `serin tail` goes on behind an event, in colours where they are asked for.
    let mut child = std::process::Command::new(env!("CARGO_BIN_EXE_serin"))
        .args(["tail", "_failed:true", "--after", "http=0", "--color", "always", "--address", &running.address])
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = lines_of(child.stdout.take().unwrap());
    for expect in all.iter().take(20) {
        let text = out.next().unwrap();
        assert!(text.contains(expect) && text.contains("\u{1b}[31m"), "{text:?}\n{expect}");
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let refused = serin(folder.path(), &["tail", "staus:1", "--address", &running.address]).err;
    assert!(refused.contains("did you mean `status`"), "{refused}");
    assert!(serin(folder.path(), &["search", "app.log", "*", "--follow"]).err.contains("--follow"));
}

#[test]
fn shares_of_units_are_those_of_the_lines_with_their_interval() {
    let lines = rollout();
    let folder = folder_with(&[]);
    let running = Running::start(&["--idle", "2s"], &folder.path().join("state"));
    sent(&running, &text_of(&lines), "1");
    found(&running, "*", lines.len() as u64);
    let (status, body) = running.ask("/v1/shares?by=cohort", &running.address).unwrap();
    let body: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((status, &body["partial"]), (200, &Value::Null), "{body}");
    let groups = body["groups"].as_array().unwrap();
    assert_eq!(groups.len(), 2);
    for group in groups {
        let arm = format!("\"cohort\":{}", group["key"]);
        let users = |keep: &dyn Fn(&str) -> bool| {
            let of = lines.iter().filter(|line| line.text().contains("\"status\":") && line.text().contains(&arm));
            let of = of.filter(|line| keep(&line.text())).map(|line| line.user);
            of.collect::<std::collections::BTreeSet<u64>>().len() as f64
        };
        let (all, failed) = (users(&|_| true), users(&|line| line.contains("\"status\":503")));
        assert_eq!((group["units"].as_f64(), group["met"].as_f64()), (Some(all), Some(failed)));
        assert_eq!(group["share"].as_f64(), Some(failed / all));
        let (low, high) = (group["low"].as_f64().unwrap(), group["high"].as_f64().unwrap());
        assert!(low < failed / all && failed / all < high && high - low < 0.2, "{group}");
    }
    // The same share stands in the verdict, which no line is read for.
    let report = running.settled(|report| report["comparisons"][0]["verdict"] == "fail");
    let errors = report["comparisons"][0]["guardrails"].as_array().unwrap();
    let errors = errors.iter().find(|row| row["guardrail"] == "error_units").unwrap();
    let canary = groups.iter().find(|group| group["key"] == "canary").unwrap();
    // The last window is open, so a few units are missing there.
    let (counted, all) = (errors["counts"][1].as_u64().unwrap(), canary["units"].as_u64().unwrap());
    assert!(counted <= all && counted * 10 > all * 9, "{counted} of {all}");
    assert!((errors["canary"].as_f64().unwrap() - canary["share"].as_f64().unwrap()).abs() < 0.03);
}

fn is_exactly_once(running: &Running, lines: &[Line]) {
    found(running, "*", lines.len() as u64);
    let (_, exported) = running.ask("/v1/export", &running.address).unwrap();
    // Between pieces of the answer stand their lengths.
    let mut indexed: Vec<String> = exported
        .lines()
        .filter_map(|line| Some(serde_json::from_str::<Value>(line).ok()?.get("line")?.as_str()?.to_owned()))
        .collect();
    let mut all: Vec<String> = lines.iter().map(Line::text).collect();
    indexed.sort();
    all.sort();
    assert_eq!(indexed.len(), all.len());
    assert!(indexed == all, "the lines are those that were sent");
}

/// A program that is killed at any moment, while lines come and while they are indexed: in the end the index has each line once.
#[test]
fn after_kill_9_each_line_is_in_the_index_once() {
    let lines = rollout();
    let mut random = Random::new(5);
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let mut running = Running::start(&["--idle", "2s"], &state);
    let mut kills = 0;
    for (number, batch) in lines.chunks(300).enumerate() {
        let (text, key) = (text_of(batch), number.to_string());
        if random.below(3) == 0 {
            kills += 1;
            if random.below(2) == 0 {
                // What was sent so far has just been committed, or is about to be.
                found(&running, "*", number as u64 * 300);
            }
            std::thread::scope(|scope| {
                scope.spawn(|| running.post("/ingest", &[("Idempotency-Key", &key)], text.as_bytes()));
                let pid = running.child.id().to_string();
                assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
            });
            drop(running);
            running = Running::start(&["--idle", "2s"], &state);
        }
        sent(&running, &text, &key);
    }
    assert!(kills > 4, "{kills}");
    is_exactly_once(&running, &lines);
    // From the first record on, too: the index is made anew from what the log still has.
    drop(running);
    std::fs::remove_dir_all(state.join("index")).unwrap();
    let running = Running::start(&["--idle", "2s"], &state);
    is_exactly_once(&running, &lines);
}

/// An index that cannot be written stops no verdict, and is told of.
#[test]
fn a_verdict_does_not_wait_for_the_index() {
    let lines = rollout();
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    std::fs::create_dir_all(&state).unwrap();
    std::fs::write(state.join("index"), "in the way").unwrap();
    let running = Running::start(&["--idle", "2s"], &state);
    sent(&running, &text_of(&lines), "1");
    until("there is a verdict", || running.report().filter(|report| report["verdict"] != Value::Null).map(|_| ()));
    let index = |running: &Running| -> Option<Value> {
        let (_, body) = running.ask("/v1/status", &running.address)?;
        Some(serde_json::from_str::<Value>(&body).unwrap()["index"].clone())
    };
    until("it says what is wrong", || index(&running)?["trouble"].as_str().map(|_| ()));
    assert_eq!(running.ask("/healthz", &running.address).unwrap().0, 200);
    assert_eq!(asked(&running, "/v1/search?", "*").unwrap().0, 503);
    // Once there is room, everything is found.
    std::fs::remove_file(state.join("index")).unwrap();
    found(&running, "*", lines.len() as u64);
    assert_eq!(index(&running).unwrap()["trouble"], Value::Null);
}

#[test]
fn files_are_searched_by_names_that_are_checked() {
    let lines = rollout();
    let folder =
        folder_with(&[("app.log", text_of(&lines).as_bytes()), ("none.log", b"{\"ts\":\"2026-06-01T10:00:00Z\"}\n")]);
    let run = |arguments: &[&str], status: i32| serin(folder.path(), arguments).expect(status);
    let said = run(&["search", "app.log", "staus:500"], 2).err;
    assert!(
        said.contains("no line has a field `staus`\n  staus:500\n  ^^^^^\n  help: did you mean `status`?"),
        "{said}"
    );
    assert!(run(&["search", "app.log", "status:"], 2).err.contains("a value is missing after `status:`"));
    let found = run(&["search", "app.log", "status:>=500 AND _arm:canary", "--limit", "3"], 0);
    let expect: Vec<String> = lines
        .iter()
        .rev()
        .map(Line::text)
        .filter(|line| line.contains("\"status\":503") && line.contains("\"cohort\":\"canary\""))
        .take(3)
        .collect();
    let shown: Vec<String> = found.out.lines().map(|line| line.splitn(3, "  ").last().unwrap().to_owned()).collect();
    assert_eq!(shown, expect);
    assert!(found.err.starts_with("the newest 3 of "), "{}", found.err);
    run(&["search", "app.log", "status:999"], 1);
    assert_eq!(run(&["search", "none.log", "*"], 0).out.lines().count(), 1);
}
