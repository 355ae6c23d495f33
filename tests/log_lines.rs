//! Log lines by template, from files to the verdict: what is new is named, what is no error fails nothing, and what was
//! announced is accepted.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use common::{Line, Said, Traffic, balance, bytes_of, folder_with, ledger_values, serin, with_log_lines};
use serde_json::Value;

/// Traffic in which the two arms do the same; a tenth of users in the canary.
fn traffic(seed: u64) -> Traffic {
    Traffic {
        seed,
        users: 2_000,
        requests: 6_000,
        minutes: 30,
        shares: vec![0.1],
        errors: vec![0.0; 2],
        slower: vec![1.0; 2],
        ..Traffic::default()
    }
}

fn of_user(line: &Line, level: &str, text: &str) -> String {
    format!("\"level\":\"{level}\",\"msg\":\"{text}\",\"user\":\"u{}\"", line.user)
}

struct Compared {
    folder: tempfile::TempDir,
    said: Said,
}

impl Compared {
    fn report(&self) -> Value {
        self.said.json()
    }

    fn text(&self) -> String {
        serin(self.folder.path(), &["compare", "app.log"]).out
    }
}

fn compare(lines: &[Line], policy: &str) -> Compared {
    let folder = folder_with(&[("app.log", &bytes_of(lines)), ("policy.yaml", policy.as_bytes())]);
    let arguments = ["compare", "app.log", "--policy", "policy.yaml", "--format", "json", "--ledger", "ledger.ndjson"];
    let said = serin(folder.path(), &arguments);
    assert!(!said.err.contains("panicked"), "{}", said.err);
    Compared { folder, said }
}

fn comparison(report: &Value) -> &Value {
    &report["comparisons"][0]
}

fn listed(report: &Value) -> Vec<(String, String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let list = comparison(report)["templates"]["listed"].as_array().unwrap();
    list.iter().map(|one| (text(&one["change"]), text(&one["level"]), text(&one["text"]))).collect()
}

#[test]
fn a_new_error_line_fails_the_rollout_and_is_named() {
    let lines = with_log_lines(&traffic(1).lines(), |line| {
        let mut said = vec![of_user(line, "info", &format!("cart {} opened", line.user))];
        if line.arm == 1 && line.user % 10 == 0 {
            said.push(of_user(line, "error", &format!("payment {} \\u001b(declined by bank", line.user)));
        }
        if line.user % 50 == 0 {
            said.push(of_user(line, "error", "cache is gone"));
        }
        said
    });
    let compared = compare(&lines, "");
    let report = compared.report();
    balance(&report);
    let of = comparison(&report);
    assert_eq!(of["verdict"], "fail", "{}", compared.said.out);
    let reasons = of["reasons"].to_string();
    assert!(reasons.contains("A new error line: `payment <*>"), "{reasons}");
    let list = listed(&report);
    assert_eq!(list.len(), 1, "{list:?}");
    assert_eq!((list[0].0.as_str(), list[0].1.as_str()), ("new", "error or worse"));
    let one = &of["templates"]["listed"][0];
    assert_eq!(one["units"][0], 0);
    assert!(one["units"][1].as_u64().unwrap() >= 6, "{one}");
    assert_eq!(of["templates"]["failing"][0], one["id"]);
    // The place is that of such a line.
    let unattributed = &one["unattributed"];
    let offset = [&one["canary"], unattributed]
        .into_iter()
        .find_map(|places| places[0]["offset"].as_u64())
        .expect("a line to look at") as usize;
    let log = String::from_utf8(bytes_of(&lines)).unwrap();
    assert!(log[offset..].lines().next().unwrap().contains("declined by bank"), "{one}");

    let text = compared.text();
    assert!(text.contains("error lines that differ") && text.contains("NEW   payment <*>"), "{text}");
    assert!(!text.contains('\u{1b}'), "no escape of a log line reaches the terminal");
    let ledger = std::fs::read_to_string(compared.folder.path().join("ledger.ndjson")).unwrap();
    assert!(!ledger.contains("declined") && !ledger.contains("cache is gone"), "no text of a log in the ledger");
    let looks = ledger_values(&ledger);
    assert!(looks.iter().any(|entry| entry["kind"] == "look" && entry["templates"]["failing"][0] == one["id"]));
    let replayed = serin(compared.folder.path(), &["replay", "ledger.ndjson", "app.log"]).expect(0);
    assert!(!replayed.out.is_empty());
    let page = serin(compared.folder.path(), &["compare", "app.log", "--format", "html"]).out;
    assert!(page.contains("declined by bank") && !page.contains('\u{1b}'));
}

#[test]
fn ten_new_lines_below_error_do_not_fail_and_can_be_expected() {
    let names = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    let lines = with_log_lines(&traffic(2).lines(), |line| {
        let arm = ["baseline", "canary"][line.arm];
        let say = |text: String| format!("{},\"cohort\":\"{arm}\"", of_user(line, "info", &text));
        let mut said = vec![say(format!("cart {} opened", line.user))];
        if line.arm == 1 {
            said.extend(names.iter().map(|name| say(format!("step {name} of {} done", line.user))));
        }
        said
    });
    let report = compare(&lines, "").report();
    let of = comparison(&report);
    assert_eq!(of["verdict"], "inconclusive");
    assert_eq!(of["held_back_by_change"], true);
    let groups = of["changed_groups"].to_string();
    assert!(groups.contains("\"templates\"") && groups.contains("\"lines_per_trace\""), "{groups}");
    assert!(of["reasons"].to_string().contains("the log line `step"), "{}", of["reasons"]);
    let list = listed(&report);
    assert_eq!(
        list.iter().filter(|(change, level, _)| change == "new" && level == "below error").count(),
        10,
        "{list:?}"
    );
    assert_eq!(list.len(), 10, "what both write alike is not listed: {list:?}");

    let accepted = |policy: &str| {
        let report = compare(&lines, policy).report();
        assert_ne!(comparison(&report)["verdict"], "fail");
        comparison(&report)["held_back_by_change"] == false
    };
    assert!(accepted("expect: [templates, lines_per_trace]"));
    assert!(!accepted("expect: [templates]"), "more lines are another change");
    let each: String = names.iter().map(|name| format!("  - template: step {name} of <*> done\n")).collect();
    assert!(accepted(&format!("expect:\n  - lines_per_trace\n{each}")));
    let nine = each.replace("  - template: step ten of <*> done\n", "");
    assert!(!accepted(&format!("expect:\n  - lines_per_trace\n{nine}")), "one was not announced");
}

#[test]
fn an_error_line_that_was_announced_fails_nothing() {
    let lines = with_log_lines(&traffic(3).lines(), |line| match line.arm {
        1 => vec![of_user(line, "error", &format!("legacy call of {}", line.user))],
        _ => Vec::new(),
    });
    assert_eq!(comparison(&compare(&lines, "").report())["verdict"], "fail");
    let compared = compare(&lines, "expect: [{template: legacy call of <*>}, lines_per_trace, warning_lines]");
    assert_ne!(comparison(&compared.report())["verdict"], "fail", "{}", compared.said.out);
    serin(compared.folder.path(), &["replay", "ledger.ndjson", "app.log"]).expect(0);
}

#[test]
fn both_arms_alike_list_nothing() {
    for seed in 4..8 {
        let lines = with_log_lines(&traffic(seed).lines(), |line| {
            let mut said = vec![of_user(line, "info", &format!("cart {} opened", line.user))];
            if line.user % 9 == 0 {
                said.push(of_user(line, "error", &format!("payment {} declined", line.user)));
            }
            said
        });
        let compared = compare(&lines, "");
        assert_ne!(comparison(&compared.report())["verdict"], "fail", "{}", compared.said.out);
        assert_eq!(listed(&compared.report()), []);
        assert!(!compared.text().contains("lines that differ"));
    }
}

#[test]
fn lines_without_an_arm_have_that_of_their_unit_trace_or_instance() {
    let plain = traffic(9).lines();
    let traced: Vec<Line> = plain
        .iter()
        .enumerate()
        .map(|(number, line)| Line {
            text: line.text.replacen('{', &format!("{{\"trace_id\":\"t{number}\",\"pod\":\"web-{}\",", line.arm), 1),
            ..line.clone()
        })
        .collect();
    let lines = with_log_lines(&traced, |line| {
        let trace = line.text.split('"').nth(3).unwrap();
        let mut said = vec![format!("\"level\":\"info\",\"msg\":\"called\",\"trace_id\":\"{trace}\"")];
        if line.arm == 1 {
            said.push(format!("\"level\":\"error\",\"msg\":\"by trace\",\"trace_id\":\"{trace}\""));
            said.push(format!("\"level\":\"error\",\"msg\":\"by pod\",\"pod\":\"web-{}\"", line.arm));
        }
        said
    });
    let compared = compare(&lines, "");
    let report = compared.report();
    assert_eq!(comparison(&report)["verdict"], "fail", "{}", compared.said.out);
    let list = listed(&report);
    let errors: Vec<&str> = list.iter().filter(|one| one.1 == "error or worse").map(|one| one.2.as_str()).collect();
    assert_eq!(errors, ["by trace"], "lines of no unit are not tested");
    let one = &comparison(&report)["templates"]["listed"][0];
    assert!(one["lines"][1].as_u64().unwrap() > 100 && one["lines"][0] == 0, "{one}");
}

#[test]
fn texts_without_end_are_counted_and_decide_nothing() {
    let word = |mut number: u64| {
        let mut word = String::new();
        while number > 0 {
            word.push(char::from(b'g' + (number % 19) as u8));
            number /= 19;
        }
        word
    };
    let plain = traffic(10).lines();
    let lines = with_log_lines(&plain, |line| {
        (0..12)
            .map(|at| {
                of_user(line, if at == 0 { "error" } else { "info" }, &format!("hello {}", word(line.at as u64 + at)))
            })
            .collect()
    });
    let compared = compare(&lines, "");
    let report = compared.report();
    balance(&report);
    assert_ne!(comparison(&report)["verdict"], "fail", "{}", compared.said.out);
    let of = &comparison(&report)["templates"];
    assert_eq!(
        (of["error_or_worse"]["tested"].as_u64(), of["below_error"]["tested"].as_u64()),
        (Some(1_024), Some(3_072))
    );
    let past: u64 = of["below_error"]["lines_past_bound"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
    assert!(past > 50_000, "{of}");
    assert!(comparison(&report)["bounds_met"].to_string().contains("more than 1024 kinds of error lines"), "{report}");
}
