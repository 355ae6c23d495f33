use std::collections::BTreeSet;

use super::redact::Looks;
use super::*;
use crate::query::Query;

fn stage() -> Stage {
    Stage { name: "x".to_owned(), ..Stage::default() }
}

fn prepared(stage: Stage, line: &str) -> String {
    let preparation = Preparation { stages: vec![stage], key: Key::default() };
    match Preparer::of(&preparation, &[], "web/1.log") {
        Some(mut preparer) => preparer.line(line).into_owned(),
        None => line.to_owned(),
    }
}

fn rule(when: &str, set: &[(&str, &str)]) -> Rule {
    let set = set.iter().map(|(name, words)| ((*name).to_owned(), Words::parse(words).unwrap()));
    Rule { when: (!when.is_empty()).then(|| Query::parse(when).unwrap()), set: set.collect() }
}

#[test]
fn a_pattern_makes_an_object_of_what_it_fits() {
    let pattern =
        LinePattern::parse(r"^(?<time>\S+) (?<level>\w) (?<http.status>\d+) (?<user>\S+) (?<message>.*)$").unwrap();
    let with = || Stage { patterns: vec![pattern.clone()], ..stage() };
    assert_eq!(
        prepared(with(), r#"2026-06-01T10:00:00Z E 503 - it "fell""#),
        r#"{"time":"2026-06-01T10:00:00Z","level":"E","http.status":503,"message":"it \"fell\""}"#
    );
    assert_eq!(prepared(with(), "nothing of that"), "nothing of that");
    // Inside what a collector put around it; its own fields count.
    assert_eq!(
        prepared(with(), "[pod/shop-6d9f7c5b8-x2x4z/app] 2026-06-01T10:00:00Z E 503 ann x"),
        r#"{"k8s.pod.name":"shop-6d9f7c5b8-x2x4z","k8s.container.name":"app","message":"2026-06-01T10:00:00Z E 503 ann x","time":"2026-06-01T10:00:00Z","level":"E","http.status":503,"user":"ann","message":"x"}"#
    );
    // What goes on with it is its stack.
    let traced = prepared(with(), "2026-06-01T10:00:00Z E 503 - x\n\tat a.b(C.java:7)");
    assert!(traced.ends_with(r#","serin.stack":"\tat a.b(C.java:7)"}"#), "{traced}");
    // Streams that a pipeline is not for keep theirs.
    let other = Stage { streams: vec!["api/*".to_owned()], ..with() };
    assert_eq!(prepared(other, "2026-06-01T10:00:00Z E 503 - x"), "2026-06-01T10:00:00Z E 503 - x");
    let this = Stage { streams: vec!["web/*".to_owned()], ..with() };
    assert!(prepared(this, "2026-06-01T10:00:00Z E 503 - x").starts_with('{'));
}

#[test]
fn what_is_no_pattern_says_why() {
    let said = |source: &str| LinePattern::parse(source).unwrap_err().to_string();
    assert_eq!(said(r"^(\d+)"), r"no group has a name, so nothing would be read; write (?<status>\d+)");
    assert_eq!(said("(?<a>"), "no regular expression: unclosed group");
    assert_eq!(said(r"(?<a>\w{1,900}\w{1,900}\w{1,900})"), "it takes more than 2097152 bytes of memory");
    assert_eq!(said(&"a".repeat(5_000)), "longer than 4096 bytes");
}

#[test]
fn rules_add_fields_in_order() {
    let rules = vec![
        rule("", &[("service", "shop"), ("where", "${region}-${zone}")]),
        rule("where:eu-*", &[("cohort", "${where}")]),
        rule("flag:checkout", &[("variant", "${v}"), ("missing", "${nothing}")]),
    ];
    let with = || Stage { rules: rules.clone(), ..stage() };
    assert_eq!(
        prepared(with(), r#"{"region":"eu","zone":1}"#),
        r#"{"region":"eu","zone":1,"serin.service":"shop","where":"eu-1","serin.cohort":"eu-1"}"#
    );
    assert_eq!(
        prepared(with(), r#"{"flag":"checkout","v":"on"}"#),
        r#"{"flag":"checkout","v":"on","serin.service":"shop","serin.variant":"on"}"#
    );
    assert_eq!(prepared(with(), "{}"), r#"{"serin.service":"shop"}"#);
    // What cannot be read stays.
    assert_eq!(prepared(with(), "{damaged"), "{damaged");
    assert_eq!(Words::parse("${a").unwrap_err().to_string(), "`${` has no `}`; a field of the line is written ${name}");
    assert_eq!(Words::parse("${}").unwrap_err().to_string(), "`${}` names no field");
}

#[test]
fn an_access_log_gets_fields_too() {
    let with = Stage { rules: vec![rule("path:\"/pay\" AND status:>=500", &[("event", "lost")])], ..stage() };
    let line = |path: &str, status: u16| {
        format!(r#"10.0.0.7 - ann [01/Jun/2026:10:00:00 +0000] "GET {path} HTTP/1.1" {status} 5"#)
    };
    let told = prepared(with.clone(), &line("/pay", 503));
    assert!(told.starts_with('{') && told.ends_with(r#","serin.event":"lost"}"#), "{told}");
    assert_eq!(prepared(with, &line("/", 200)), line("/", 200));
}

#[test]
fn a_preparation_comes_back_from_json() {
    let stage = Stage {
        name: "mine".to_owned(),
        streams: vec!["a/*".to_owned()],
        patterns: vec![LinePattern::parse(r"^(?<status>\d+)").unwrap()],
        rules: vec![rule("", &[("service", "shop")]), rule("a:b", &[("cohort", "${c}")])],
        redact: Redact {
            fields: BTreeSet::from(["password".to_owned()]),
            hashed: BTreeSet::from(["user.id".to_owned()]),
            looks: BTreeSet::from(Looks::ALL),
        },
        zone: Zone::parse("Europe/Berlin").ok(),
    };
    let preparation = Preparation { stages: vec![stage], key: Key::new(b"secret") };
    let json = to_json(&preparation);
    assert!(!json.to_string().contains("secret"));
    let back = from_json(&json).unwrap();
    assert_eq!(back.clone().unlock(&Key::new(b"secret")), Ok(preparation));
    assert_eq!(back.clone().unlock(&Key::new(b"other")), Err(OtherKey { has_one: true }));
    assert_eq!(back.unlock(&Key::default()), Err(OtherKey { has_one: true }));
    assert_eq!(from_json(&serde_json::json!({ "stages": [{}], "key": "" })), None);
}
