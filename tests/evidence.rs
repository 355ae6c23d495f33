//! From a number of a report to its lines: each query that a report carries finds as many lines, units or traces as the number beside it
//! says. On made traffic, and on the real logs of `shared/data` (see `real_logs.rs`).
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{Line, Traffic, folder_with, serin, talk, with_log_lines};
use serde_json::Value;

/// What a query finds of a file: lines, or distinct values of a field.
fn found(folder: &Path, file: &str, query: &str, counted: &str, known: &BTreeSet<String>) -> u64 {
    let found = serin(folder, &["search", file, query, "--json", "--limit", "1000000"]);
    assert!(found.status < 2, "{query}: {}", found.err);
    let lines = found.out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    if counted == "lines" {
        return lines.count() as u64;
    }
    let value = |line: Value| match line.get(counted) {
        Some(value) => value.to_string(),
        None => serde_json::from_str::<Value>(line["line"].as_str().unwrap()).unwrap()[counted].to_string(),
    };
    let values = lines.map(value).collect::<BTreeSet<String>>();
    if counted == "_unit" { values.len() as u64 } else { values.intersection(known).count() as u64 }
}

/// Traces that the judged service has a line of: others are in no test, whatever their lines are.
fn traces(folder: &Path, file: &str, service: &str) -> BTreeSet<String> {
    let lines = serin(folder, &["search", file, &format!("_service:{service}"), "--json", "--limit", "1000000"]).out;
    let line = |line: &str| serde_json::from_str::<Value>(line).unwrap()["line"].as_str().unwrap().to_owned();
    lines.lines().map(|text| serde_json::from_str::<Value>(&line(text)).unwrap()["trace_id"].to_string()).collect()
}

/// Every pair of query and number in a report, with where it stands.
fn links(value: &Value, place: &str, list: &mut Vec<(String, String, String, u64)>) {
    match value {
        Value::Object(object) => {
            let text = |key: &str| object.get(key).and_then(Value::as_str).map(str::to_owned);
            if let (Some(query), Some(counted), Some(count)) =
                (text("query"), text("counted"), object.get("count").and_then(Value::as_u64))
            {
                list.push((place.to_owned(), query, counted, count));
            }
            object.iter().for_each(|(name, value)| links(value, &format!("{place}.{name}"), list));
        }
        Value::Array(values) => {
            values.iter().enumerate().for_each(|(at, value)| links(value, &format!("{place}.{at}"), list));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Asks every query of a report. Returns how many there were by the part of the report, and what is not as it says.
fn check(folder: &Path, file: &str, options: &[&str]) -> (Vec<String>, Vec<String>) {
    let report = serin(folder, &[&["compare", file, "--format", "json"], options].concat()).json();
    let (mut places, mut wrong) = (Vec::new(), Vec::new());
    for (at, comparison) in report["comparisons"].as_array().unwrap().iter().enumerate() {
        let known = traces(folder, file, comparison["service"].as_str().unwrap());
        let mut list = Vec::new();
        links(comparison, "", &mut list);
        for (number, service) in comparison["by_service"].as_array().unwrap().iter().enumerate() {
            for arm in ["baseline", "canary"] {
                for of in ["requests", "errors"] {
                    let query = service["queries"][arm][of].as_str().unwrap().to_owned();
                    let place = format!(".by_service.{number}.{arm}.{of}");
                    list.push((place, query, "lines".to_owned(), service[arm][of].as_u64().unwrap()));
                }
            }
        }
        for template in comparison["templates"]["listed"].as_array().unwrap() {
            let lines: u64 = template["lines"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
            let query = template["query"].as_str().unwrap().to_owned();
            list.push((format!(".templates {}", template["text"]), query, "lines".to_owned(), lines));
        }
        for (place, query, counted, count) in list {
            let found = found(folder, file, &query, &counted, &known);
            if found != count {
                wrong.push(format!("{file} {at}{place}: {count}, and {found} of {counted} were found by {query}"));
            }
            places.push(format!("{place} {}", if count > 0 { "some" } else { "none" }));
        }
    }
    (places, wrong)
}

#[test]
fn each_number_of_a_report_is_what_its_query_finds() {
    // Half of the candidate's users meet an error that no one else does, more of its requests fail, in one region most of them, and all
    // are slower; a third of its users hears warnings.
    let traffic = Traffic { seed: 61, requests: 6_000, users: 900, errors: vec![0.02, 0.2], ..Traffic::default() };
    let lines = with_log_lines(&traffic.lines(), |line| {
        let mut said = talk(line);
        if line.arm == 1 && line.user % 2 == 0 {
            said.push(format!("\"level\":\"error\",\"msg\":\"no price list\",\"user\":\"u{}\"", line.user));
        }
        if line.arm == 1 && line.user % 3 == 0 {
            said.push(format!("\"level\":\"warn\",\"msg\":\"cache is cold\",\"user\":\"u{}\"", line.user));
        }
        said
    });
    // Each user stays in one region.
    let region = |line: &Line| line.text().replacen('{', &format!("{{\"region\":\"r{}\",", line.user % 3), 1) + "\n";
    let text: String = lines.iter().map(region).collect();
    let folder = folder_with(&[("app.log", text.as_bytes())]);
    let (places, wrong) = check(folder.path(), "app.log", &[]);
    assert!(wrong.is_empty(), "{wrong:#?}");
    for part in ["by_service", "templates", "guardrails", "segments"] {
        assert!(places.iter().any(|place| place.contains(part) && place.ends_with("some")), "{part}: {places:#?}");
    }
}

#[test]
fn findings_on_real_logs_lead_to_their_lines() {
    let data = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/boutique");
    if !data.exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing in CI", data.display());
        println!("skipped: {} is missing", data.display());
        return;
    }
    let (mut all, mut wrong) = (Vec::new(), Vec::new());
    for name in ["f0", "f1", "f2", "f4", "aa_hash"] {
        let (places, not_so) = check(&data, &format!("{name}.ndjson.gz"), &[]);
        all.extend(places);
        wrong.extend(not_so);
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for part in ["guardrails", "changes", "by_service"] {
        assert!(all.iter().any(|place| place.contains(part) && place.ends_with("some")), "{part}");
    }
}
