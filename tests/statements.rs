//! `serin templates`: what a log says by statement, and how two arms differ in it.

mod common;

use common::{Random, folder_with, serin};
use serde_json::Value;

/// Requests of two versions, each with a line that both say, one that only the new one says, one that it says no more, and one that
/// more of its users meet.
fn log() -> String {
    let mut random = Random::new(3);
    let mut text = String::new();
    for number in 0..4_000u64 {
        let user = random.below(800);
        let version = ["2.4.0", "2.5.0"][(user % 2) as usize];
        let time = serin::time::Timestamp(1_750_032_000_000_000 + number as i64 * 500_000);
        let mut put = |fields: &str| {
            text.push_str(&format!(
                "{{\"ts\":\"{time}\",\"service\":\"shop\",\"version\":\"{version}\",\"user\":\"u{user}\",{fields}}}\n"
            ));
        };
        put("\"status\":200,\"duration_ms\":5,\"path\":\"/pay\"");
        put(&format!("\"level\":\"info\",\"message\":\"paid order {number} of {} EUR\"", random.below(90)));
        let is_new = version == "2.5.0";
        if is_new && number % 40 == 0 {
            put(&format!("\"level\":\"error\",\"message\":\"no price list for voucher v{number}\""));
        }
        if !is_new && number % 40 == 0 {
            put(&format!("\"level\":\"warn\",\"message\":\"legacy rounding of order {number}\""));
        }
        if random.chance(if is_new { 0.2 } else { 0.02 }) {
            put(&format!("\"level\":\"warn\",\"message\":\"retry {} of the bank\"", 1 + number % 3));
        }
    }
    text
}

#[test]
fn statements_are_counted_whatever_values_they_were_written_with() {
    let text = log();
    let folder = folder_with(&[("app.log", text.as_bytes())]);
    let said = serin(folder.path(), &["templates", "app.log", "--json"]);
    let document: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err));
    let list = document["templates"].as_array().unwrap();
    assert_eq!(list.len(), 4, "{document}");
    // What may be an error comes first.
    assert_eq!((&list[0]["template"], &list[0]["level"]), (&"no price list for voucher <*>".into(), &"error".into()));
    for (at, words) in [(0, "no price list"), (1, "paid order")] {
        let lines = text.lines().filter(|line| line.contains(words)).count();
        assert_eq!(list[at]["lines"], lines, "{words}");
        assert!(list[at]["example"].as_str().unwrap().contains(words));
    }
    // The same ids in whatever order and form the lines come.
    let mut lines: Vec<String> = text.lines().map(|line| format!("[pod/a/b] {line}\n")).collect();
    lines.reverse();
    let other = folder_with(&[("app.log", lines.concat().as_bytes())]);
    let again: Value = serde_json::from_str(&serin(other.path(), &["templates", "app.log", "--json"]).out).unwrap();
    let ids = |of: &Value| {
        of["templates"].as_array().unwrap().iter().map(|of| (of["id"].clone(), of["lines"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(ids(&again), ids(&document));
    let errors = serin(folder.path(), &["templates", "app.log", "--level", "error"]);
    assert!(errors.out.contains("no price list") && !errors.out.contains("\ninfo"), "{}", errors.out);
}

#[test]
fn two_arms_are_set_side_by_side() {
    let folder = folder_with(&[("app.log", log().as_bytes())]);
    let said = serin(folder.path(), &["templates", "app.log", "--diff", "2.4.0", "2.5.0", "--json"]);
    let document: Value = serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}", said.err));
    let list = document["templates"].as_array().unwrap();
    let change = |words: &str| {
        list.iter().find(|of| of["template"].as_str().unwrap().contains(words)).unwrap()["change"].clone()
    };
    assert_eq!(
        ["no price list", "legacy rounding", "retry", "paid order"].map(change),
        ["new", "gone", "up", "same"].map(Value::from)
    );
    let text = serin(folder.path(), &["templates", "app.log", "--diff", "2.4.0", "2.5.0"]).out;
    assert!(text.contains("2.5.0 beside 2.4.0: 1 new, 1 gone, 1 up, 1 same (single look)"), "{text}");
    let wrong = serin(folder.path(), &["templates", "app.log", "--diff", "2.4.0", "9"]);
    assert!(wrong.status == 2 && wrong.err.contains("there are 2.4.0, 2.5.0"), "{}", wrong.err);
}
