//! The first hour with logs as they are: what would be read wrongly without a word is read rightly, or said.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

#[path = "../common/mod.rs"]
mod common;
mod requests;

use common::{Random, Traffic, folder_with, serin};
use serde_json::{Map, Value};

/// Requests of two versions, as lines of a form; none fails but by chance.
fn log(mut form: impl FnMut(&Map<String, Value>, usize) -> String) -> String {
    let traffic = Traffic { seed: 91, requests: 1_200, users: 300, ..Traffic::default() };
    let line = |(number, line): (usize, &common::Line)| {
        form(&serde_json::from_str::<Map<String, Value>>(&line.text()).unwrap(), number) + "\n"
    };
    traffic.lines().iter().enumerate().map(line).collect()
}

fn text_of(fields: &Map<String, Value>, key: &str) -> String {
    fields[key].as_str().map_or_else(|| fields[key].to_string(), str::to_owned)
}

/// What `explain` says, in one line.
fn explained(text: &str) -> String {
    let folder = folder_with(&[("app.log", text.as_bytes())]);
    let said = serin(folder.path(), &["explain", "app.log"]);
    assert_eq!(said.status, 0, "{}", said.err);
    said.out.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn a_latency_in_quotes_has_its_unit_guessed_and_said() {
    let text = log(|of, _| {
        let seconds = of["latency_ms"].as_f64().unwrap() / 1_000.0;
        format!(
            "{{\"ts\":{},\"status\":\"{}\",\"cohort\":{},\"user\":{},\"response_time\":\"{seconds:.3}\"}}",
            of["ts"], of["status"], of["cohort"], of["user"]
        )
    });
    let said = explained(&text);
    assert!(said.contains("`response_time` does not name its unit; read as s "), "{said}");
    // A limit in milliseconds is none where the unit is a guess.
    let folder = folder_with(&[("app.log", text.as_bytes()), ("policy.yaml", b"limits: {p99_ms: 100}\n")]);
    let said = serin(folder.path(), &["compare", "app.log", "--policy", "policy.yaml"]);
    assert!(said.status == 2 && said.err.contains("is a guess"), "{}{}", said.out, said.err);
}

#[test]
fn a_time_before_a_line_that_has_its_own_hides_nothing() {
    for form in [
        "2026-06-01 10:00:01,000 ERROR shop user=u1 path=/a status=500 duration=12ms",
        "2026/06/01 10:00:01 [error] 31#31: *7 it failed, status=500 user=u1",
        "E0601 10:00:01.000000 1 shop.go:7] it failed status=500 user=u1",
    ] {
        let line = format!("[pod/shop-6d9f7c5b8-x2x4z/app] 2026-06-01T10:00:01.000123456Z {form}\n");
        let said = explained(&line.repeat(20));
        assert!(
            said.contains("level error") || said.contains("level = error") || said.contains("level from level"),
            "{form}: {said}"
        );
        assert!(said.contains("status") && !said.contains("host.name"), "{form}: {said}");
    }
    // Text that only looks like a host and a program.
    let said = explained(&"2026-06-01T10:00:01Z payment service: order 7 failed status=500\n".repeat(20));
    assert!(!said.contains("host.name") && said.contains("status"), "{said}");
    // What rsyslog writes is still read.
    let said = explained(&"2026-06-01T10:00:01.123456+00:00 web-1 shop: it failed\n".repeat(20));
    assert!(said.contains("service from app = shop"), "{said}");
}

#[test]
fn levels_of_other_templates_count() {
    for (line, level) in [
        ("[2026-06-01T10:00:00Z ERROR shop::pay] it failed", "error"),
        ("[2026-06-01T10:00:00.123456+00:00] app.ERROR: it failed {\"a\":1} []", "error"),
        ("2026-06-01 10:00:00.123 +01:00 [WRN] it is slow", "warn"),
        ("2026-06-01 10:00:00.123 +01:00 [FTL] it died", "fatal"),
    ] {
        let folder = folder_with(&[("app.log", (line.to_owned() + "\n").repeat(20).as_bytes())]);
        let said = serin(folder.path(), &["templates", "app.log"]);
        assert!(said.out.contains(level), "{line}: {}", said.out);
    }
}

#[test]
fn a_zone_by_name_is_no_time() {
    for line in
        ["2026-06-01 10:00:00.123 EST [77] ERROR: it failed", "2026-06-01 10:00:00 PST INFO app: status=200 path=/a"]
    {
        let said = explained(&format!("{line}\n").repeat(20));
        assert!(said.contains("rejected") && !said.contains("10:00:00Z"), "{line}: {said}");
    }
    assert!(explained(&"2026-06-01 10:00:00 UTC INFO app: status=200 path=/a\n".repeat(20)).contains("a request"));
}

#[test]
fn a_protocol_is_no_version_and_a_unit_may_stand_behind_a_blank() {
    let text = log(|of, _| {
        format!(
            "{}  INFO request{{method=GET uri=/a version=HTTP/1.1 cohort={} user={}}}: shop: done latency=414 \u{3bc}s status={}",
            text_of(of, "ts"),
            text_of(of, "cohort"),
            text_of(of, "user"),
            of["status"]
        )
    });
    let said = explained(&text);
    assert!(said.contains("the values of `cohort`") && said.contains("0.414 ms"), "{said}");
    let text = text.replace("cohort=baseline", "").replace("cohort=canary", "");
    assert!(!explained(&text).contains("the values of `version`"));
}

/// Only requests that did not fail say how a value is written.
#[test]
fn an_arm_that_fails_more_is_no_arm_that_writes_otherwise() {
    let text = log(|of, number| {
        let fails = of["cohort"] == "baseline" && number % 5 < 2;
        format!(
            "ts={} cohort={} user={} status={} duration={:.0}ms",
            text_of(of, "ts"),
            text_of(of, "cohort"),
            text_of(of, "user"),
            if fails { 503 } else { 200 },
            of["latency_ms"].as_f64().unwrap()
        )
    });
    let folder = folder_with(&[("app.log", text.as_bytes())]);
    let report = serin(folder.path(), &["compare", "app.log", "--format", "json", "--control", "baseline"]).json();
    assert_ne!(report["verdict"], "invalid", "{}", report["comparisons"][0]["flaws"]);
}

#[test]
fn where_nothing_can_tell_a_failure_nothing_passes() {
    let errors = |rest: &str| -> String {
        let mut random = Random::new(1);
        let mut text = String::new();
        for number in 0..60_000_u64 {
            let (user, second) = (random.below(20_000), number * 7_200 / 60_000);
            let time = format!("2026-06-01T{:02}:{:02}:{:02}Z", 9 + second / 3_600, second / 60 % 60, second % 60);
            text.push_str(&format!(
                "{{\"time\":\"{time}\",\"duration_ms\":{},\"path\":\"/a\",\"user\":\"u{user}\",\"version\":\"v{}\"{}}}\n",
                30 + random.below(30),
                1 + user % 2,
                rest.replace("TIME", &time)
            ));
        }
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let how = ["compare", "app.log", "--control", "v1", "--segment", "none", "--format", "json"];
        let report: Value = serde_json::from_str(&serin(folder.path(), &how).out).unwrap();
        let rows = report["comparisons"][0]["guardrails"].as_array().unwrap();
        let errors = rows.iter().find(|row| row["guardrail"] == "error_units").unwrap();
        errors["finding"].as_str().unwrap().to_owned()
    };
    // A pass needs errors to be held.
    for (rest, finding) in [
        (",\"status\":200", "held"),
        (",\"status\":\"200 OK\"", "held"),
        ("", "no data"),
        (",\"outcome_code\":200", "no data"),
        (",\"status\":200.0", "held"),
        (",\"http\":{\"status\":200}", "held"),
        // That something else is bad tells nothing of how a request ended.
        ("}\n{\"time\":\"TIME\",\"level\":\"warn\",\"msg\":\"cache cold\",\"version\":\"v1\"", "no data"),
    ] {
        assert_eq!(errors(rest), finding, "{rest}");
    }
}

#[test]
fn a_port_makes_no_client() {
    let units = |port: fn(usize) -> String| -> Value {
        let text = log(|of, number| {
            let user: u64 = text_of(of, "user").bytes().fold(7, |hash, byte| hash * 31 % 65_521 + u64::from(byte));
            format!(
                "{{\"ts\":{},\"cohort\":{},\"status\":200,\"remote_addr\":\"10.0.{}.{}{}\"}}",
                of["ts"],
                of["cohort"],
                user / 256,
                user % 256,
                port(number)
            )
        });
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said = serin(folder.path(), &["compare", "app.log", "--segment", "none", "--format", "json"]);
        let report: Value = serde_json::from_str(&said.out).unwrap();
        report["comparisons"][0]["units"].clone()
    };
    let (plain, with_ports) = (units(|_| String::new()), units(|number| format!(":{}", 1_024 + number)));
    assert!(plain.is_array() && plain == with_ports, "{plain} and {with_ports}");
}

#[test]
fn lines_that_fit_no_pattern_are_said() {
    let text = log(|of, number| match number % 10 {
        0 => format!("{} - {} -", text_of(of, "ts"), text_of(of, "cohort")),
        _ => format!("{}|{}|200", text_of(of, "ts"), text_of(of, "cohort")),
    });
    let pipeline = "pipeline: mine\npatterns: ['^(?<time>[^|]+)\\|(?<cohort>[^|]+)\\|(?<status>\\d+)$']\n";
    let folder = folder_with(&[("app.log", text.as_bytes()), ("mine.yaml", pipeline.as_bytes())]);
    let said = serin(folder.path(), &["compare", "app.log", "--pipeline", "mine.yaml"]);
    assert!(
        said.out.contains("of 1,200 lines of text fit no pattern")
            || said.out.contains("120 of 1200 lines of text fit"),
        "{}",
        said.out
    );
}

#[test]
fn what_is_taken_out_is_not_shown_by_explain() {
    let line = "{\"ts\":\"2026-06-01T10:00:00Z\",\"status\":200,\"password\":\"hunter2\",\"session_id\":\"s-abc\"}\n";
    let pipeline = "pipeline: safe\nredact: {looks: [token]}\n";
    let folder = folder_with(&[("app.log", line.repeat(5).as_bytes()), ("safe.yaml", pipeline.as_bytes())]);
    for json in [false, true] {
        let mut arguments = vec!["explain", "app.log", "--pipeline", "safe.yaml"];
        arguments.extend(json.then_some("--json"));
        let said = serin(folder.path(), &arguments);
        assert!(!said.out.contains("hunter2") && !said.out.contains("s-abc"), "{}", said.out);
        assert!(said.out.contains("<hash:"), "sessions stay as many as they are: {}", said.out);
    }
}

/// Requests that say their zone, and lines of text beside them that do not; `shift`: how far ahead of UTC these are written.
fn beside_text(hours_ahead: i64) -> String {
    log(|of, number| {
        let at = serin::pipeline::clock::parse_time(&text_of(of, "ts")).unwrap();
        let shown = serin::time::Timestamp(at.0 + hours_ahead * serin::time::HOUR).to_string();
        let zone = if hours_ahead == 0 { "Z" } else { "" };
        let line = Value::Object(of.clone());
        format!("{line}\n{}{zone} WARN cart {number} was repriced", shown.trim_end_matches('Z').replace('T', " "))
    })
}

#[test]
fn local_times_count_as_those_of_their_zone() {
    let pipeline = "pipeline: local\nzone: +02:00\n";
    let read = |text: &str, more: &[&str]| -> (Value, String) {
        let folder = folder_with(&[("app.log", text.as_bytes()), ("local.yaml", pipeline.as_bytes())]);
        let mut how = vec!["compare", "app.log", "--format", "json"];
        how.extend(more);
        let said = serin(folder.path(), &how);
        let report: Value = serde_json::from_str(&said.out).unwrap();
        (report["comparisons"][0].clone(), report["survey"]["notes"].to_string())
    };
    let (in_utc, notes) = read(&beside_text(0), &[]);
    assert!(in_utc["verdict"] != "invalid" && !notes.contains("--zone"), "{in_utc}{notes}");
    let local = beside_text(2);
    for how in [["--zone", "+02:00"], ["--zone", "Europe/Berlin"], ["--pipeline", "local.yaml"]] {
        let (as_local, notes) = read(&local, &how);
        assert_eq!(as_local["guardrails"], in_utc["guardrails"], "{how:?}");
        assert_eq!(as_local["flaws"], in_utc["flaws"], "{how:?}");
        assert!(!notes.contains("say so: --zone"), "{notes}");
    }
    let (_, notes) = read(&local, &[]);
    assert!(
        notes.contains("lie 2 h ahead of the lines that name theirs") && notes.contains("--zone +02:00"),
        "{notes}"
    );
    let folder = folder_with(&[("app.log", local.as_bytes())]);
    let said = serin(folder.path(), &["compare", "app.log", "--zone", "CST"]);
    assert!(said.status == 2 && said.err.contains("Europe/Berlin"), "{}", said.err);
}

#[test]
fn no_verdict_rests_on_the_part_of_a_log_that_is_in_order() {
    let traffic = Traffic { seed: 91, requests: 4_000, minutes: 240, errors: vec![0.02, 0.4], ..Traffic::default() };
    let mut lines: Vec<String> = traffic.lines().iter().map(common::Line::text).collect();
    let mut random = Random::new(3);
    (1..lines.len()).rev().for_each(|at| lines.swap(at, random.below(at as u64 + 1) as usize));
    // Lines far ahead of the others are put aside, and no lateness brings them back.
    let folder = folder_with(&[("app.log", lines.join("\n").as_bytes())]);
    let said = serin(folder.path(), &["compare", "app.log", "--lateness", "1h"]);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.status == 4 && words.contains("lie far ahead of those beside them: they are in no test"), "{words}");
}

#[test]
fn users_that_are_taken_out_are_said_and_are_nobody() {
    let text = log(|of, _| Value::Object(of.clone()).to_string());
    let pipeline = "pipeline: safe\nredact: {fields: [user]}\n";
    let folder = folder_with(&[("app.log", text.as_bytes()), ("safe.yaml", pipeline.as_bytes())]);
    let said = serin(folder.path(), &["compare", "app.log", "--pipeline", "safe.yaml", "--format", "json"]);
    let report: Value = serde_json::from_str(&said.out).unwrap();
    assert_eq!(report["comparisons"][0]["unit"], "request", "{report}");
    let notes = report["survey"]["notes"].to_string();
    assert!(notes.contains("`user` is taken out of lines") && notes.contains("redact.hash"), "{notes}");
    // What another program took out.
    let text = text.replace("\"user\":\"u", "\"user\":\"[FILTERED]\",\"was\":\"u");
    let folder = folder_with(&[("app.log", text.as_bytes())]);
    let report = serin(folder.path(), &["compare", "app.log", "--format", "json"]).out;
    assert!(serde_json::from_str::<Value>(&report).unwrap()["comparisons"][0]["unit"] == "request", "{report}");
}

#[test]
fn values_in_text_are_read_as_they_are_written() {
    for (line, parts) in [
        ("INFO shop: request user=u7 path=/a status=200 duration_ms=1,234.5", &["a request", "1234.5 ms"][..]),
        ("INFO shop: request user=u7 path=/a status=200 duration=5ms.", &["a request", "5 ms"]),
        ("INFO request user=u7 path=/a status=200 duration_ms=3 {\"request_id\":\"x\"} []", &["a request", "3 ms"]),
        (
            "INFO request path=/a status=500 duration_ms=3 error='upstream said status=200 ok' said status=204",
            &["a request", "5xx"],
        ),
        ("INFO request user='ann b' path='/a' status='200' sql='x = 7'", &["a request", "2xx"]),
    ] {
        let said = explained(&format!("2026-06-01T10:00:00Z {line}\n").repeat(5));
        for part in parts {
            assert!(said.contains(part), "{line}: no {part} in {said}");
        }
    }
}

#[test]
fn services_of_compose_are_told_whatever_they_are_called() {
    let inner = "{\"ts\":\"2026-06-01T10:00:00Z\",\"status\":200,\"path\":\"/a\"}";
    for name in ["web-1", "web_1", "web"] {
        let said = explained(&format!("{name}  | {inner}\n").repeat(5));
        assert!(said.contains("a request") && said.contains("service from app = web"), "{name}: {said}");
    }
}

#[test]
fn a_format_that_is_of_utc_stays_so() {
    let text = "#Fields: date time cs-method cs-uri-stem sc-status time-taken\n2026-06-01 10:00:00 GET /a 200 5\n";
    let folder = folder_with(&[("iis.log", text.as_bytes())]);
    let said = serin(folder.path(), &["explain", "iis.log", "--zone", "Europe/Berlin"]);
    assert!(said.out.contains("10:00:00Z"), "{}{}", said.out, said.err);
}

/// What fails is written by another clock, two hours ahead.
#[test]
fn nothing_passes_while_lines_far_ahead_may_be_the_failures() {
    let traffic = Traffic {
        seed: 7,
        users: 6_000,
        requests: 24_000,
        minutes: 120,
        errors: vec![0.005, 0.03],
        slower: vec![1.0; 2],
        ..Traffic::default()
    };
    let mut text = String::new();
    for line in traffic.lines() {
        let line = line.text();
        let ahead = line.contains("\"status\":503");
        text.push_str(&if ahead {
            line.replacen("T09:", "T13:", 1).replacen("T10:", "T14:", 1).replacen("T11:", "T15:", 1)
        } else {
            line
        });
        text.push('\n');
    }
    let folder = folder_with(&[("app.log", text.as_bytes())]);
    let said = serin(folder.path(), &["compare", "app.log", "--segment", "none"]);
    let words = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert_eq!(said.status, 3, "{words}");
    assert!(words.contains("failures may be among them, so nothing passes"), "{words}");
}

/// The address of each line is the gateway's; it passes on whose requests they are.
#[test]
fn behind_a_gateway_the_client_is_who_it_passes_on() {
    let units = |form: fn(&str) -> String| -> Value {
        let text = log(|of, _| {
            let user: u64 = text_of(of, "user").bytes().fold(7, |hash, byte| hash * 31 % 65_521 + u64::from(byte));
            let client = format!("10.9.{}.{}", user / 256, user % 256);
            format!("{{\"ts\":{},\"cohort\":{},\"status\":200,{}}}", of["ts"], of["cohort"], form(&client))
        });
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said = serin(folder.path(), &["compare", "app.log", "--segment", "none", "--format", "json"]);
        serde_json::from_str::<Value>(&said.out).unwrap()["comparisons"][0]["units"].clone()
    };
    let plain = units(|client| format!("\"remote_addr\":\"{client}\""));
    assert!(plain.is_array(), "{plain}");
    for form in [
        (|client: &str| format!("\"remote_addr\":\"127.0.0.6\",\"http_x_forwarded_for\":\"{client}, 10.0.0.1\""))
            as fn(&str) -> String,
        |client| format!("\"downstream_remote_address\":\"10.0.0.1:443\",\"x_forwarded_for\":\"{client}\""),
        // Where it passes on nobody, the address is all that there is.
        |client| format!("\"remote_addr\":\"{client}\",\"http_x_forwarded_for\":\"-\""),
    ] {
        assert_eq!(units(form), plain);
    }
}

/// Lines of one pod that begin with blanks behind their own time are lines of their own: Spring Boot and Rust's tracing write levels to
/// the right.
#[test]
fn lines_with_their_level_to_the_right_are_counted_one_by_one() {
    for level in [" INFO", "INFO ", "ERROR"] {
        for prefix in ["", "[pod/shop-5f6d7c8b9f-x2x4z/app] ", "web-1  | ", "2026-06-01T10:00:01.5Z stdout F "] {
            let line = |n: usize| {
                let at = format!("2026-06-01T10:00:{:02}.343Z", n % 60);
                format!(
                    "{prefix}{at} {level} 1 --- [nio-1] c.e.R : method=GET uri=/a status=200 took=6{n}ms user=u{n}\n"
                )
            };
            let said = explained(&(0..30).map(line).collect::<String>());
            assert!(said.contains("The first 30 lines: 100.0 % a request"), "{prefix:?} {level:?}: {said}");
        }
    }
    // A trace of such a pod stays with its line.
    let trace = "[pod/a-1/b] 2026-06-01T10:00:00.343Z ERROR 1 --- [x] c.e.R : it failed user=u1\n\
                 [pod/a-1/b] 2026-06-01T10:00:00.344Z java.lang.IllegalStateException: no stock\n\
                 [pod/a-1/b] 2026-06-01T10:00:00.344Z \tat c.e.Cart.get(Cart.java:42)\n";
    let said = explained(&trace.repeat(10));
    assert!(said.contains("The first 10 lines"), "{said}");
}

#[test]
fn logs_of_clouds_are_read_with_their_own_names() {
    // API Gateway: the time of a request is no latency, and the canary is told by its deployment.
    let text = log(|of, _| {
        format!(
            "{{\"requestId\":\"r\",\"ip\":\"10.0.0.1\",\"requestTime\":\"01/Jun/2026:10:00:00 +0000\",\"ts\":{},\"httpMethod\":\"GET\",\
             \"path\":\"/a\",\"status\":\"{}\",\"responseLatency\":\"{}\",\"integrationLatency\":\"1\",\"user\":{},\"cohort\":{}}}",
            of["ts"], of["status"], of["latency_ms"], of["user"], of["cohort"]
        )
    });
    let said = explained(&text);
    assert!(said.contains("latency from responseLatency") && !said.contains("requestTime = "), "{said}");
    // Cloud Run: its own lines are the requests, whole URLs and all.
    let text = log(|of, _| {
        format!(
            "{{\"httpRequest\":{{\"requestMethod\":\"GET\",\"requestUrl\":\"https://shop.example.com/a\",\"status\":{},\"latency\":\"0.01s\"}},\
             \"timestamp\":{},\"severity\":\"INFO\",\"user\":{},\"cohort\":{}}}\n\
             {{\"jsonPayload\":{{\"message\":\"handled\",\"status\":200,\"path\":\"/a\",\"user\":{}}},\"timestamp\":{},\"cohort\":{}}}",
            of["status"], of["ts"], of["user"], of["cohort"], of["user"], of["ts"], of["cohort"]
        )
    });
    let folder = folder_with(&[("run.log", text.as_bytes())]);
    let report = serin(folder.path(), &["compare", "run.log", "--format", "json"]).json();
    let services = report["comparisons"][0]["by_service"].as_array().unwrap();
    let errors: u64 =
        services.iter().flat_map(|of| [&of["baseline"], &of["canary"]]).filter_map(|of| of["errors"].as_u64()).sum();
    assert!(errors > 10, "{services:?}");
    // Application Insights.
    let text = log(|of, _| {
        format!(
            "{{\"TimeGenerated\":{},\"time\":{},\"Name\":\"GET /a\",\"Success\":\"{}\",\"ResultCode\":\"{}\",\"DurationMs\":{},\"UserId\":{},\"cohort\":{}}}",
            of["ts"],
            of["ts"],
            of["status"] == 200,
            of["status"],
            of["latency_ms"],
            of["user"],
            of["cohort"]
        )
    });
    let said = explained(&text);
    assert!(said.contains("status from ResultCode") && said.contains("1,200 lines: 100.0 % a request"), "{said}");
}

#[test]
fn a_header_that_is_a_list_of_one_is_its_value() {
    let text = log(|of, _| {
        format!(
            "{{\"ts\":{},\"request\":{{\"method\":\"GET\",\"uri\":\"/a\"}},\"resp_headers\":{{\"X-App-Version\":[{}]}},\"status\":{},\"user\":{}}}",
            of["ts"], of["cohort"], of["status"], of["user"]
        )
    });
    let folder = folder_with(&[("caddy.log", text.as_bytes())]);
    let arguments =
        ["compare", "caddy.log", "--arm-by", "resp_headers.X-App-Version", "--control", "baseline", "--format", "json"];
    let report = serin(folder.path(), &arguments).json();
    assert_eq!(report["comparisons"][0]["candidate"], "canary");
}

#[test]
fn the_short_form_of_morgan_names_client_and_user() {
    let text = log(|of, _| {
        let user = text_of(of, "user");
        format!(
            "{{\"log\":\"10.0.0.1 {user} GET /a HTTP/1.1 {} 512 - {} ms\\n\",\"stream\":\"stdout\",\"time\":{}}}",
            of["status"], of["latency_ms"], of["ts"]
        )
    });
    let said = explained(&text);
    assert!(said.contains("user from user"), "{said}");
}

#[test]
fn behind_a_gateway_the_client_of_an_access_line_is_who_it_passes_on() {
    let text: String = (0..40)
        .map(|n| format!("10.0.0.1 - - [01/Jun/2026:10:00:{n:02} +0000] \"GET /a HTTP/1.1\" 200 5 \"-\" \"curl\" \"203.0.113.{n}\"\n"))
        .collect();
    let said = explained(&text);
    assert!(said.contains("client forwarded_for in 100.0 %"), "{said}");
}

#[test]
fn a_time_under_the_name_of_a_latency_hides_none() {
    for time in ["\"2026-06-01 10:00:00\"", "1780308000"] {
        let text = log(|of, _| {
            format!(
                "{{\"ts\":{},\"request_time\":{time},\"elapsed_ms\":{},\"status\":{},\"path\":\"/a\",\"user\":{},\"cohort\":{}}}",
                of["ts"], of["latency_ms"], of["status"], of["user"], of["cohort"]
            )
        });
        let said = explained(&text);
        assert!(said.contains("latency elapsed_ms in 100.0 %"), "{time}: {said}");
    }
}

#[test]
fn what_logstash_keeps_is_read_and_what_an_application_says_stays() {
    let inner = r#"{\"status\":200,\"path\":\"/a\",\"duration_ms\":3,\"user\":\"u1\"}"#;
    let text = format!("{{\"@timestamp\":\"2026-06-01T10:00:00Z\",\"@version\":\"1\",\"message\":\"{inner}\"}}\n");
    assert!(explained(&text.repeat(20)).contains("100.0 % a request"));
    let own = format!(
        "{{\"@timestamp\":\"2026-06-01T10:00:00Z\",\"@version\":\"1\",\"level\":\"INFO\",\"message\":\"{inner}\"}}\n"
    );
    assert!(!explained(&own.repeat(20)).contains("100.0 % a request"));
}

/// A flag that is evaluated once for each user, in the first minutes too.
#[test]
fn users_whose_flag_was_evaluated_before_both_variants_were_seen_count() {
    let mut seen = std::collections::BTreeSet::new();
    let text = log(|of, _| {
        let exposure = if seen_first(&mut seen, &text_of(of, "user")) {
            format!(
                "{{\"timestamp\":{},\"service.name\":\"shop\",\"event.name\":\"feature_flag.evaluation\",\"feature_flag.key\":\"new\",\
                 \"feature_flag.result.variant\":{},\"user.id\":{}}}\n",
                of["ts"], of["cohort"], of["user"]
            )
        } else {
            String::new()
        };
        format!(
            "{exposure}{{\"timestamp\":{},\"service.name\":\"shop\",\"http.response.status_code\":{},\"url.path\":\"/a\",\"duration_ms\":{},\"user.id\":{}}}",
            of["ts"], of["status"], of["latency_ms"], of["user"]
        )
    });
    let pipeline = b"pipeline: flag\narms: {flag: new}\nunit: user\n";
    let folder = folder_with(&[("app.log", text.as_bytes()), ("flag.yaml", pipeline)]);
    let report = serin(folder.path(), &["compare", "app.log", "--pipeline", "flag.yaml", "--format", "json"]).json();
    let of = &report["comparisons"][0];
    // Only those of the windows before the candidate was large enough are not compared.
    let compared: u64 = of["requests"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
    assert!(compared > 1_050, "{compared}, {} of nobody", of["unassigned"]);
    assert!(of["unassigned"].as_u64().unwrap() < 10, "{}", of["unassigned"]);
}

fn seen_first(seen: &mut std::collections::BTreeSet<String>, user: &str) -> bool {
    seen.insert(user.to_owned())
}

#[test]
fn what_a_message_lost_no_field_of_it_keeps() {
    let lines = "2026-11-20T09:00:00Z INFO shop: hdr Cookie: theme=dark; _shop_session=hunter2\n\
                 2026-11-20T09:00:01Z INFO shop: Authorization: AWS4-HMAC-SHA256 Credential=A/b, SignedHeaders=host, Signature=hunter2 status=200\n\
                 2026-11-20T09:00:02Z INFO shop: Authorization: OAuth oauth_nonce=\"hunter2\", oauth_signature=\"hunter2\" user=u1\n";
    let folder = folder_with(&[
        ("app.log", lines.repeat(10).as_bytes()),
        ("r.yaml", b"pipeline: r\nredact: {looks: [email, card, token]}\n"),
    ]);
    let said = serin(folder.path(), &["explain", "app.log", "--pipeline", "r.yaml"]).expect(0);
    assert!(!said.out.contains("hunter2") && said.out.contains("u1") && said.out.contains("200"), "{}", said.out);
}

#[test]
fn records_of_application_insights_say_what_they_are() {
    for [kind, request, dependency, code] in
        [["Type", "AppRequests", "AppDependencies", "ResultCode"], ["itemType", "request", "dependency", "resultCode"]]
    {
        let text = log(|of, _| {
            let base = format!(
                "{{\"TimeGenerated\":{},\"AppRoleName\":\"shop\",\"AppVersion\":{},\"UserAuthenticatedId\":{}",
                of["ts"], of["cohort"], of["user"]
            );
            let call = format!(
                "{base},\"{kind}\":\"{dependency}\",\"Target\":\"db\",\"Success\":true,\"{code}\":\"0\",\"DurationMs\":3}}\n"
            );
            call.repeat(2)
                + &format!(
                    "{base},\"{kind}\":\"{request}\",\"Url\":\"https://shop.example.com/a\",\"Success\":true,\"{code}\":\"200\",\"DurationMs\":30}}"
                )
        });
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said = serin(folder.path(), &["compare", "app.log", "--control", "baseline", "--format", "json"]).json();
        let of = &said["comparisons"][0];
        let sum = |key: &str| of[key].as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>();
        assert!((1_000..=1_200).contains(&sum("requests")), "{kind}: {}", of["requests"]);
        assert_eq!(of["unit"], "user");
    }
}
