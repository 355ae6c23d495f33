//! Queries against records.

use super::*;

struct Line(Vec<(&'static str, Value<'static>)>);

impl Record for Line {
    fn field(&self, path: &str) -> Option<Value<'_>> {
        self.0.iter().find(|(name, _)| *name == path).map(|(_, value)| value.clone())
    }
}

fn line() -> Line {
    let text = |text: &'static str| Value::Str(Cow::Borrowed(text));
    Line(vec![
        ("message", text("payment: Card declined for user_7")),
        ("service", text("checkout")),
        ("version", text("2.4.0")),
        ("status", Value::Number(503.0)),
        ("level", text("ERROR")),
        ("path", text("/api/cart")),
        ("latency", Value::Number(312.5)),
        ("ts", text("2026-06-01T12:00:00.5Z")),
        ("geo.country", text("JP")),
        ("ok", Value::Bool(false)),
        ("tags", Value::List(vec![text("a"), text("b")])),
    ])
}

#[test]
fn table() {
    for (query, expect) in [
        ("*", true),
        ("service:checkout AND version:2.4.0 AND (status:>=500 OR level:error) AND \"card declined\"", true),
        ("geo.country:JP path:/api/* NOT _exists_:test", true),
        ("status:503", true),
        ("status:503.0", true),
        ("status>=504", false),
        ("status:[500 TO 599]", true),
        ("status:{503 TO *}", false),
        ("level>=warn", true),
        ("level:>=fatal", false),
        ("level:<error", false),
        ("latency:>250ms", true),
        ("latency:>1s", false),
        ("ts:>=2026-06-01 AND ts:<2026-06-02", true),
        ("ts:>2026-06-01T12:00:00.600Z", false),
        ("declined", true),
        ("DECLINED card", true),
        ("\"declined card\"", false),
        ("user", false),
        ("message:\"for user_7\"", true),
        ("message:*declined*", true),
        ("service:(cart OR checkout)", true),
        ("service:(cart OR search)", false),
        ("path:/\\/api\\/.*/", true),
        ("path:/api/cart", true),
        ("path:/\\/api/", false),
        ("-service:checkout", false),
        ("!service:cart && ok:false", true),
        ("tags:b", true),
        ("tags:c", false),
        ("_exists_:geo.country", true),
        ("geo.city:*", false),
        ("service:check?ut", true),
        ("service:Checkout", false),
        ("missing:>5", false),
        ("path:/api/* AND path:/\\/api\\/.*/", true),
        ("path:(/nowhere OR /.*cart/)", true),
        ("message:/.*Card\\ declined.*/", true),
        ("path:/*/\"declined\"", false),
        ("path:/.api.(cart|search)/", true),
        ("-path:/api/cart/ AND declined", true),
        ("ts:<2026-06-01\\ 13:00:00", true),
        ("_exists_>5 OR \\_exists_:5", false),
        ("\"İ\"", false),
        ("declined OR b AND NOT (c OR d)", true),
    ] {
        let parsed = Query::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(parsed.matches(&line()), expect, "{query}");
        let again = Query::parse(&parsed.to_string()).unwrap_or_else(|error| panic!("{parsed}: {error}"));
        assert_eq!(again.tree(), parsed.tree(), "{query} as {parsed}");
    }
}

#[test]
fn errors_show_the_place() {
    for (query, expect) in [
        ("", "the query is empty\n  \n  ^\n  help: `*` matches everything"),
        ("(a OR b", "this parenthesis is never closed\n  (a OR b\n  ^"),
        ("a)", "this parenthesis closes nothing\n  a)\n   ^"),
        ("a AND", "something must follow this operator\n  a AND\n    ^^^"),
        (
            "a and b",
            "`and` in small letters\n  a and b\n    ^^^\n  help: write AND in capitals, or quote the word: \"and\"",
        ),
        ("status=>500", "`=>` is no operator\n  status=>500\n        ^^\n  help: did you mean `>=`?"),
        (
            "status: 500",
            "a value is missing after `status:`\n  status: 500\n  ^^^^^^^\n  help: write status:value without a space, or status:* for any value",
        ),
        ("\"open", "this quote is never closed\n  \"open\n  ^"),
        ("status:[1 2]", "TO is missing in this range\n  status:[1 2]\n            ^\n  help: write [400 TO 499]"),
        ("é [", "a field or a word is missing here\n  é [\n    ^"),
        ("f:[é é]", "TO is missing in this range\n  f:[é é]\n       ^\n  help: write [400 TO 499]"),
        ("&& a", "something must stand before &&\n  && a\n  ^^"),
        ("status>>500", "`>>` is no operator\n  status>>500\n        ^^"),
        ("f:/a)|(b/", "not a regular expression: unopened group\n  f:/a)|(b/\n    ^^^^^^^"),
        (
            "f:/a b/",
            "a space in an expression, or a path before another term\n  f:/a b/\n    ^^^^^\n  help: write the space of an expression as `\\ `, and a path in quotes",
        ),
        ("OR a", "something must stand before OR\n  OR a\n  ^^"),
    ] {
        assert_eq!(Query::parse(query).unwrap_err().to_string(), expect, "{query}");
    }
}

#[test]
fn did_you_mean() {
    assert_eq!(suggest("staus", ["status", "service"].into_iter()), Some("status"));
    assert_eq!(suggest("zzz", ["status", "service"].into_iter()), None);
}

#[test]
fn times_are_counted_from_now_where_there_is_one() {
    let now = Timestamp(1_780_316_100_000_000);
    for (text, expect) in [
        ("ts:>now-15m", "ts:{2026-06-01T12:00:00Z TO *]"),
        ("ts:[now-1h TO now]", "ts:[2026-06-01T11:15:00Z TO 2026-06-01T12:15:00Z]"),
        ("ts:<=now+1d", "ts:[* TO 2026-06-02T12:15:00Z]"),
        ("name:>\"now\"", "name:{\"now\" TO *]"),
    ] {
        assert_eq!(Query::parse_at(text, now).unwrap().to_string(), expect);
    }
    assert_eq!(
        Query::parse("ts:>now-15m").unwrap_err().to_string(),
        "a time counted from now has no meaning here\n  ts:>now-15m\n      ^^^^^^^\n  help: write a date, or a quoted text"
    );
    assert_eq!(
        Query::parse_at("ts:>nowadays", now).unwrap_err().to_string(),
        "no time\n  ts:>nowadays\n      ^^^^^^^^\n  help: write now, now-15m or now-1h, or a quoted text"
    );
}
