//! `/metrics` of `serin run`: the text format, read strictly, and what its series say.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::acting::{broken, configure, post, rollout};
use common::receiver::{Answer, Receiver};
use common::running::{Running, until};
use common::{Traffic, folder_with};

/// Series by name and labels, as in the text.
type Series = BTreeMap<(String, BTreeMap<String, String>), f64>;

/// Reads the text format of Prometheus (version 0.0.4), and takes nothing that it does not allow: each family has a help and a
/// type before its series, once; names are of the program and say their unit; series are there once; histograms add up.
fn read(text: &str) -> Series {
    assert!(text.ends_with('\n'));
    let (mut series, mut families) = (Series::new(), BTreeSet::new());
    let mut family: Option<(String, String)> = None;
    let mut help: Option<String> = None;
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, words) = rest.split_once(' ').unwrap();
            assert!(help.is_none() && !words.is_empty() && families.insert(name.to_owned()), "{line}");
            help = Some(name.to_owned());
            continue;
        }
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (name, kind) = rest.split_once(' ').unwrap();
            assert_eq!(help.take().as_deref(), Some(name), "the help stands before: {line}");
            assert!(["counter", "gauge", "histogram"].contains(&kind), "{line}");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(name.starts_with("serin_") && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{line}");
            family = Some((name.to_owned(), kind.to_owned()));
            continue;
        }
        let (family, kind) = family.as_ref().expect("a type stands before");
        let name_end = line.find(['{', ' ']).unwrap();
        let name = &line[..name_end];
        let ending = name.strip_prefix(family.as_str()).expect("series of a family stand together");
        match kind.as_str() {
            "histogram" => assert!(["_bucket", "_sum", "_count"].contains(&ending), "{line}"),
            _ => assert_eq!(ending, "", "{line}"),
        }
        let (labels, rest) = labels(&line[name_end..]);
        let value = match rest.strip_prefix(' ').unwrap() {
            "+Inf" => f64::INFINITY,
            "-Inf" => f64::NEG_INFINITY,
            "NaN" => f64::NAN,
            number => number.parse().unwrap(),
        };
        assert!(kind != "counter" || value >= 0.0, "{line}");
        assert!(series.insert((name.to_owned(), labels), value).is_none(), "twice: {line}");
    }
    assert!(help.is_none());
    for ((name, labels), count) in &series {
        let Some(family) = name.strip_suffix("_count") else { continue };
        let of = |series: &Series, le: &str| {
            let mut labels = labels.clone();
            labels.insert("le".to_owned(), le.to_owned());
            series.get(&(format!("{family}_bucket"), labels)).copied()
        };
        assert_eq!(of(&series, "+Inf"), Some(*count));
        let mut buckets: Vec<(f64, f64)> = series
            .iter()
            .filter(|((name, _), _)| *name == format!("{family}_bucket"))
            .map(|((_, labels), count)| (labels["le"].replace('+', "").parse().unwrap(), *count))
            .collect();
        buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert!(buckets.len() > 2 && buckets.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{buckets:?}");
    }
    series
}

/// Labels, and what stands behind them.
fn labels(text: &str) -> (BTreeMap<String, String>, &str) {
    let mut labels = BTreeMap::new();
    let Some(mut rest) = text.strip_prefix('{') else { return (labels, text) };
    loop {
        let (name, value) = rest.split_once("=\"").unwrap();
        assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'), "{text}");
        let (mut unescaped, mut chars) = (String::new(), value.char_indices());
        let end = loop {
            match chars.next().unwrap() {
                (at, '"') => break at,
                (_, '\\') => match chars.next().unwrap().1 {
                    'n' => unescaped.push('\n'),
                    c @ ('\\' | '"') => unescaped.push(c),
                    c => panic!("\\{c} in {text}"),
                },
                (_, c) => unescaped.push(c),
            }
        };
        assert!(labels.insert(name.to_owned(), unescaped).is_none(), "{text}");
        match value[end + 1..].split_at(1) {
            (",", more) => rest = more,
            ("}", more) => return (labels, more),
            _ => panic!("{text}"),
        }
    }
}

/// The value of a series, told by its name and some of its labels.
fn value(series: &Series, name: &str, some: &[(&str, &str)]) -> Option<f64> {
    let is = |(of, labels): &&(String, BTreeMap<String, String>)| {
        of == name && some.iter().all(|(label, value)| labels.get(*label).is_some_and(|of| of == value))
    };
    let mut found = series.keys().filter(is);
    let value = series[found.next()?];
    assert!(found.next().is_none(), "{name} {some:?} are several");
    Some(value)
}

fn scrape(running: &Running) -> Series {
    let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", running.address);
    let (status, head, body) = running.exchange_bytes(request.as_bytes()).unwrap();
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{head}");
    read(&String::from_utf8(body).unwrap())
}

#[test]
fn what_is_scraped_is_what_came_and_what_is_said_of_it() {
    let receiver = Receiver::start(|_, _| Answer::Status(200, String::new()));
    let folder = folder_with(&[]);
    let config = configure(folder.path(), &receiver.address, "");
    let running = Running::start(&["--config", &config], &folder.path().join("state"));
    let before = scrape(&running);
    assert_eq!(value(&before, "serin_verdict_seconds_count", &[]), Some(0.0));
    assert!(value(&before, "serin_data_lag_seconds", &[]).unwrap().is_nan());
    let text = broken() + "not a line\n";
    post(&running, &text);
    until("it has failed", || rollout(&running).filter(|rollout| rollout["phase"] == "rolled back"));
    until("it was told", || {
        (value(&scrape(&running), "serin_hook_deliveries", &[("end", "taken")])? >= 1.0).then_some(())
    });
    until("all is read", || {
        (value(&scrape(&running), "serin_source_lag_bytes", &[("source", "http")])? == 0.0).then_some(())
    });
    let report = running.settled(|report| report["comparisons"][0]["verdict"] == "fail");
    #[cfg(feature = "index")]
    until("each line can be searched", || {
        (value(&scrape(&running), "serin_index_lines", &[])? == text.lines().count() as f64).then_some(())
    });
    let series = scrape(&running);
    let one =
        |name: &str, some: &[(&str, &str)]| value(&series, name, some).unwrap_or_else(|| panic!("{name} {some:?}"));
    let http = [("source", "http")];
    assert_eq!(one("serin_source_lines_total", &http), text.lines().count() as f64);
    assert_eq!(one("serin_source_bytes_total", &http), text.len() as f64);
    let records = &report["records"];
    assert_eq!(one("serin_records_total", &[]), records["read"].as_f64().unwrap());
    assert_eq!(one("serin_late_records_total", &[]), records["late"].as_f64().unwrap());
    for (reason, count) in records["rejects"].as_object().unwrap() {
        assert_eq!(one("serin_rejected_records_total", &[("reason", reason)]), count.as_f64().unwrap());
    }
    assert!(one("serin_role_coverage_ratio", &[("role", "user")]) > 0.9);
    assert!(one("serin_windows_total", &[]) > 50.0 && one("serin_verdict_seconds_count", &[]) >= 1.0);
    assert!(one("serin_data_lag_seconds", &[]) > 0.0 && one("serin_ledger_entries_total", &[]) > 2.0);
    let arms = [("service", "shop"), ("control", "baseline"), ("candidate", "canary")];
    let of = |more: &[(&'static str, &'static str)]| [&arms[..], more].concat();
    for (verdict, is) in [("fail", 1.0), ("pass", 0.0), ("inconclusive", 0.0), ("invalid", 0.0)] {
        assert_eq!(one("serin_rollout_verdict", &of(&[("verdict", verdict)])), is);
    }
    assert!(one("serin_rollout_log_e", &of(&[])) > 7.0);
    assert!(one("serin_guardrail_log_e", &of(&[("guardrail", "error_units")])) > 7.0);
    let errors = [("guardrail", "error_volume"), ("kind", "difference")];
    let end = |end: &'static str| one("serin_guardrail_delta", &of(&[errors[0], errors[1], ("end", end)]));
    assert!(end("low") > 0.1 && end("low") < end("estimate") && end("estimate") < end("high"));
    let units = &report["comparisons"][0]["candidate"]["units"];
    if let Some(units) = units.as_f64() {
        assert_eq!(one("serin_rollout_units", &of(&[("arm", "candidate")])), units);
    }
    assert_eq!(one("serin_hook_state", &[("hook", "pager"), ("state", "ok")]), 1.0);
    assert_eq!(one("serin_memory_limit_bytes", &[("bound", "state")]), (4u64 << 30) as f64);
    assert!(one("serin_ready", &[]) == 1.0 && one("serin_rollouts_not_exported", &[]) == 0.0);
}

/// Of more rollouts than have series of their own the others are counted.
#[test]
fn series_of_rollouts_are_bounded_and_the_others_counted() {
    let folder = folder_with(&[]);
    let running = Running::start(&["--idle", "1s"], &folder.path().join("state"));
    let traffic = Traffic { requests: 200, users: 200, minutes: 2, errors: vec![0.0, 0.0], ..Traffic::default() };
    let lines = traffic.lines();
    let mut text = String::new();
    // Line by line, so that all services run side by side.
    for line in &lines {
        for number in 0..203 {
            text.push_str(&line.text().replace("\"shop\"", &format!("\"shop-{number}\"")));
            text.push('\n');
        }
    }
    post(&running, &text);
    let more = until("there are more than have series", || {
        let series = scrape(&running);
        value(&series, "serin_rollouts_not_exported", &[]).filter(|more| *more > 0.0).map(|more| (series, more))
    });
    let verdicts = more.0.keys().filter(|(name, _)| name == "serin_rollout_log_e").count();
    assert_eq!(verdicts, 200);
}
