//! A query finds in an index exactly the lines that it matches by itself: random trees over random lines, read three ways. The event
//! matcher reads the line as the decoder does for arms, the index by its terms and columns, and the plain reading has the fields that
//! the line was written from.
//!
//! Every run uses a fixed seed, printed on failure; `SERIN_TEST_SEED=7 cargo test` tries another one.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serin::event::{self, Intern, name_at};
use serin::index::{Aliases, Asked, ColumnKind, Columns, Index, Settings, Told, Writer};
use serin::pipeline::decode::{Decoded, Decoder};
use serin::pipeline::plan::{ArmRule, BASELINE, Plan};
use serin::pipeline::survey::{Head, Wishes, survey};
use serin::query::{Query, Record, Value};
use serin::time::Timestamp;

/// Seeded random numbers.
struct Random(u64);

impl Random {
    fn new(seed: u64) -> Random {
        Random(event::mix(seed, 77))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        event::mix(self.0, 0)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

const STREAM: &str = "app.log";
const LINES: usize = 400;

/// A line, and the fields that it was written from.
struct Written {
    text: String,
    fields: BTreeMap<String, Value<'static>>,
    is_event: bool,
}

impl Record for Written {
    fn field(&self, path: &str) -> Option<Value<'_>> {
        if path == "file" { Some(Value::Str(STREAM.into())) } else { self.fields.get(path).cloned() }
    }
}

fn pick<'a, T: ?Sized>(random: &mut Random, list: &[&'a T]) -> &'a T {
    list[random.below(list.len() as u64) as usize]
}

const WORDS: [&str; 14] = [
    "card",
    "Declined",
    "PAYMENT",
    "user_7",
    "503",
    "Stra\u{df}e",
    "\u{130}x",
    "caf\u{e9}",
    "reset",
    "by",
    "peer",
    "a.b",
    "--",
    "time-out",
];

fn message(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(7) {
        text.push_str(pick(random, &WORDS));
        text.push_str(pick(random, &[" ", ": ", "/", ""]));
    }
    text
}

/// JSON of a value, with numbers as they come.
fn scalar(random: &mut Random, path: &str) -> (String, Option<Value<'static>>) {
    let quote = |text: &str| serde_json::to_string(text).unwrap();
    let text = |text: String| (quote(&text), Some(Value::Str(Cow::Owned(text))));
    let number = |raw: &str| (raw.to_owned(), Some(Value::Number(raw.parse().unwrap())));
    match (path, random.below(20)) {
        (_, 0) => ("null".to_owned(), None),
        (_, 1) => text("long ".repeat(80)),
        (_, 2) => ("true".to_owned(), Some(Value::Bool(true))),
        (_, 3) => {
            let list = vec![Value::Str("a".into()), Value::Number(5.0), Value::Bool(false), Value::Str("cart".into())];
            (r#"["a",5,null,{"x":1},false,[7],"cart"]"#.to_owned(), Some(Value::List(list)))
        }
        (_, 4) => ("[]".to_owned(), Some(Value::List(Vec::new()))),
        (_, 5) => {
            let raw = r#"{"deep":{"er":"cart"},"5":5}"#;
            (raw.to_owned(), Some(Value::Str(raw.into())))
        }
        ("msg" | "message" | "note", _) => text(message(random)),
        ("status" | "http.status" | "bytes", 6) => {
            let raw = pick(random, &["500", "0500", "5e2", "card"]);
            text(raw.to_owned())
        }
        ("status" | "http.status" | "bytes", _) => {
            number(pick(random, &["200", "404", "500", "503", "5e2", "-0.0", "0", "250", "1500.5"]))
        }
        ("latency", 6..=8) => text(pick(random, &["250ms", "1.5s", "10us", "fast"]).to_owned()),
        ("latency", _) => number(&format!("{}.{}", random.below(2_000), random.below(10))),
        ("level", _) => text(pick(random, &["info", "WARN", "Error", "fatal", "odd"]).to_owned()),
        ("trace_id", _) => text(format!("{:016x}", random.next() % 64)),
        ("user", _) => text(pick(random, &["u1", "u17", "17", "17.0", "u 5", "\u{fc}5"]).to_owned()),
        ("ts", _) => {
            text(format!("2026-06-01T12:{:02}:{:02}.{:03}Z", random.below(60), random.below(60), random.below(1_000)))
        }
        (_, _) => text(pick(random, &["cart", "checkout", "Cart", "2.4.0", "JP", "/api/cart", "5", ""]).to_owned()),
    }
}

const PATHS: [&str; 14] = [
    "msg",
    "message",
    "note",
    "status",
    "http.status",
    "bytes",
    "latency",
    "level",
    "trace_id",
    "user",
    "service",
    "version",
    "geo.country",
    "tag",
];

fn written(random: &mut Random) -> Written {
    let ts = format!("2026-06-01T12:{:02}:{:02}Z", random.below(60), random.below(60));
    match random.below(30) {
        0 => {
            let text = pick(random, &["{\"msg\":\"card", "card declined by peer", "panic: card", "{} x"]).to_owned();
            let fields = BTreeMap::from([("message".to_owned(), Value::Str(text.clone().into()))]);
            return Written { text, fields, is_event: false };
        }
        1 | 2 => {
            let (status, path) = (pick(random, &["200", "503"]), pick(random, &["/api/cart", "/card"]));
            let text = format!(
                "10.0.0.{} - u17 [01/Jun/2026:12:00:0{} +0000] \"GET {path} HTTP/1.1\" {status} 250",
                random.below(9),
                random.below(9)
            );
            let mut fields = BTreeMap::new();
            let mut put = |path: &str, value: Value<'static>| fields.insert(path.to_owned(), value);
            put("client", Value::Str(text.split(' ').next().unwrap().to_owned().into()));
            put("user", Value::Str("u17".into()));
            put("time", Value::Str(text.split(['[', ']']).nth(1).unwrap().to_owned().into()));
            put("method", Value::Str("GET".into()));
            put("path", Value::Str(path.to_owned().into()));
            put("protocol", Value::Str("HTTP/1.1".into()));
            put("status", Value::Number(status.parse().unwrap()));
            put("bytes", Value::Number(250.0));
            put("message", Value::Str(text.clone().into()));
            return Written { text, fields, is_event: true };
        }
        _ => {}
    }
    let mut fields = BTreeMap::from([("ts".to_owned(), Value::Str(ts.clone().into()))]);
    let mut parts = vec![format!("\"ts\":\"{ts}\"")];
    // Fields of nested objects are scanned behind all keys of the line.
    let mut nested: Vec<(String, Option<Value<'static>>)> = Vec::new();
    let mut set = |path: String, value: Option<Value<'static>>| match value {
        Some(value) => fields.insert(path, value),
        None => fields.remove(&path),
    };
    for _ in 0..random.below(9) + 2 {
        let path = pick(random, &PATHS);
        let (raw, value) = scalar(random, path);
        if raw.starts_with('{') {
            nested.push((format!("{path}.deep"), Some(Value::Str(r#"{"er":"cart"}"#.into()))));
            nested.push((format!("{path}.5"), Some(Value::Number(5.0))));
            nested.push((format!("{path}.deep.er"), Some(Value::Str("cart".into()))));
        }
        match path.split_once('.').filter(|_| random.below(2) == 0) {
            Some((outer, inner)) => {
                let object = format!("{{\"{inner}\":{raw}}}");
                parts.push(format!("\"{outer}\":{object}"));
                set(outer.to_owned(), Some(Value::Str(object.into())));
                nested.push((path.to_owned(), value));
            }
            None => {
                parts.push(format!("\"{path}\":{raw}"));
                set(path.to_owned(), value);
            }
        }
    }
    // Objects in objects come last, in the order of their outer ones; what has one path twice is left to fate and made plain.
    let twice: BTreeSet<&String> = {
        let mut seen = BTreeSet::new();
        nested.iter().map(|(path, _)| path).filter(|path| !seen.insert(*path)).collect()
    };
    let is_clear = twice.is_empty();
    for (path, value) in nested.iter().cloned() {
        set(path, value);
    }
    if !is_clear {
        return written(random);
    }
    Written { text: format!("{{{}}}", parts.join(",")), fields, is_event: true }
}

/// Conditions as they are written.
const CONDITIONS: [&str; 40] = [
    ":500",
    ":503",
    ":\"500.0\"",
    ":0500",
    ":cart",
    ":Cart",
    ":\"\"",
    ":17",
    ":u17",
    ":true",
    ":false",
    ":JP",
    ":card",
    ":*",
    ":c*",
    ":*ar*",
    ":c?rt",
    ":*5*",
    ":u*",
    ":*/cart",
    ":*eclin*",
    ":/c.*t/",
    ":/[a-c]+.*/",
    ":/5../",
    ":/.*(er|ed).*/",
    ">=500",
    "<300",
    ":[200 TO 404]",
    ":{0 TO 503}",
    ":<=0",
    ">250ms",
    ":[10us TO 2s}",
    "<2026-06-01T12:30:00Z",
    ":[2026-06-01T12:10:00Z TO 2026-06-01T12:20:00.5Z}",
    ">=warn",
    ":<error",
    ":[a TO d]",
    ">\"b\"",
    ":(cart OR 5)",
    ":\"card declined\"",
];

#[derive(Clone, Debug)]
enum Tree {
    Leaf(usize, usize),
    Word(usize),
    And(Vec<Tree>),
    Or(Vec<Tree>),
    Not(Box<Tree>),
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        6 => (0..SEARCHED.len(), 0..CONDITIONS.len()).prop_map(|(path, condition)| Tree::Leaf(path, condition)),
        1 => (0..PHRASES.len()).prop_map(Tree::Word),
    ];
    leaf.prop_recursive(4, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 2..4).prop_map(Tree::And),
            vec(inner.clone(), 2..4).prop_map(Tree::Or),
            inner.prop_map(|tree| Tree::Not(Box::new(tree))),
        ]
    })
}

const SEARCHED: [&str; 24] = [
    "msg",
    "message",
    "note",
    "status",
    "http.status",
    "bytes",
    "latency",
    "level",
    "trace_id",
    "user",
    "service",
    "version",
    "geo.country",
    "tag",
    "http",
    "geo",
    "ts",
    "path",
    "file",
    "note.deep",
    "note.deep.er",
    "status.5",
    "client",
    "time",
];
const PHRASES: [&str; 8] = [
    "message:card",
    "message:\"card declined\"",
    "msg:\"reset by peer\"",
    "msg:503",
    "msg:\u{130}x",
    "msg:STRA\u{df}E",
    "msg:user_7",
    "msg:\"a b\"",
];

/// A message is asked for its words, so none cannot be asked for.
fn written_leaf(path: &str, condition: &str) -> String {
    let condition = if path == "message" && condition == ":\"\"" { ":*" } else { condition };
    format!("{path}{condition}")
}

impl Tree {
    fn text(&self) -> String {
        let list =
            |trees: &[Tree], word: &str| format!("({})", trees.iter().map(Tree::text).collect::<Vec<_>>().join(word));
        match self {
            Tree::Leaf(path, condition) => written_leaf(SEARCHED[*path], CONDITIONS[*condition]),
            Tree::Word(word) => PHRASES[*word].to_owned(),
            Tree::And(trees) => list(trees, " AND "),
            Tree::Or(trees) => list(trees, " OR "),
            Tree::Not(tree) => format!("NOT {}", tree.text()),
        }
    }
}

/// Lines, their index, and the plan by which they are events.
struct Corpus {
    lines: Vec<Written>,
    index: Arc<Index>,
    plan: Plan,
    _folder: tempfile::TempDir,
}

fn corpus(seed: u64, columns: Option<Columns>) -> Corpus {
    let mut random = Random::new(seed);
    let lines: Vec<Written> = (0..LINES).map(|_| written(&mut random)).collect();
    let texts: Vec<&str> = lines.iter().map(|line| line.text.as_str()).collect();
    let plan = survey(&[Head { stream: STREAM, lines: texts.clone() }], &Wishes::default()).plan;
    let columns = columns.unwrap_or_else(|| Columns::find(&plan, texts.iter().copied()));
    let folder = tempfile::tempdir().unwrap();
    let index = Arc::new(Index::open(folder.path()).unwrap());
    let mut writer =
        Writer::open(Arc::clone(&index), Settings { memory: 16 << 20, ..Settings::default() }, columns).unwrap();
    for (at, line) in lines.iter().enumerate() {
        writer.add(STREAM, at as u64, &line.text, &Told::none(Timestamp(at as i64), None)).unwrap();
        // Several segments.
        if at % 150 == 0 {
            writer.commit().unwrap();
        }
    }
    writer.finish().unwrap();
    Corpus { lines, index, plan, _folder: folder }
}

impl Corpus {
    fn in_index(&self, query: &Query) -> BTreeSet<u64> {
        // Names are taken as paths: which of them lines have depends on chance.
        let asked = Asked { tree: query.tree(), limit: LINES, before: None, count_to: u64::MAX, stop: &|| false };
        let page = self.index.search(&asked).unwrap();
        assert_eq!((page.partial, page.next), (None, None));
        let found: BTreeSet<u64> = page.lines.iter().map(|line| line.at.position).collect();
        assert_eq!(page.total.lines as usize, found.len());
        assert!(page.total.is_exact && page.lines.len() == found.len());
        for line in &page.lines {
            assert_eq!(line.line, self.lines[line.at.position as usize].text);
        }
        found
    }

    fn by_events(&self, query: &Query) -> BTreeSet<u64> {
        let canary = Query::parse("_exists_:never").unwrap();
        let plan = Plan { arms: ArmRule::Queries { baseline: query.clone(), canary }, ..self.plan.clone() };
        let mut decoder = Decoder::new(&plan, STREAM);
        let mut found = BTreeSet::new();
        for (at, line) in self.lines.iter().enumerate() {
            if let Ok(Decoded::Event(event)) = decoder.decode(&line.text, at as u64) {
                let arm = name_at(&Intern::names(decoder.interner()).arms, event.arm);
                if arm.is_some_and(|arm| arm == BASELINE) {
                    found.insert(at as u64);
                }
            }
        }
        found
    }

    fn plainly(&self, query: &Query, events: bool) -> BTreeSet<u64> {
        let matches = |line: &Written| (!events || line.is_event) && query.matches(line);
        (0u64..).zip(&self.lines).filter(|(_, line)| matches(line)).map(|(at, _)| at).collect()
    }
}

#[test]
fn an_index_finds_what_a_query_matches() {
    let kinds = |kinds: &[(&str, ColumnKind)]| Columns {
        list: kinds.iter().map(|(path, kind)| ((*path).to_owned(), *kind)).collect(),
        messages: vec!["msg".to_owned(), "message".to_owned()],
        tables: Vec::new(),
    };
    let corpora = [
        // As the lines themselves suggest.
        corpus(1, None),
        corpus(2, None),
        // No column at all, and no message but the usual.
        corpus(3, Some(Columns { messages: vec!["message".to_owned()], ..Columns::default() })),
        // Columns of every kind, some of which do not fit.
        corpus(
            4,
            Some(kinds(&[
                ("status", ColumnKind::Number),
                ("http.status", ColumnKind::Text),
                ("ts", ColumnKind::Date),
                ("trace_id", ColumnKind::Id),
                ("user", ColumnKind::Id),
                ("note", ColumnKind::Line),
                ("service", ColumnKind::Text),
                ("level", ColumnKind::Text),
                ("latency", ColumnKind::Number),
                ("bytes", ColumnKind::Date),
            ])),
        ),
    ];
    let mut bytes = [0; 32];
    let seed = std::env::var("SERIN_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_601u64);
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases: 1_500, failure_persistence: None, ..Config::default() };
    let run = TestRunner::new_with_rng(config, random).run(&(0..corpora.len(), any_tree()), |(at, tree)| {
        let text = tree.text();
        let query = Query::parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let corpus = &corpora[at];
        prop_assert_eq!(corpus.in_index(&query), corpus.plainly(&query, false), "index and plain reading of {}", text);
        prop_assert_eq!(corpus.by_events(&query), corpus.plainly(&query, true), "events and plain reading of {}", text);
        Ok(())
    });
    if let Err(failure) = run {
        panic!("seed {seed}: {failure}");
    }
}

/// Each condition on each field by itself, so that none is left to chance.
#[test]
fn every_condition_is_read_on_every_field() {
    let corpora = [corpus(5, None), corpus(6, Some(Columns::default()))];
    let mut found = 0;
    for path in SEARCHED {
        for condition in CONDITIONS {
            let query = Query::parse(&written_leaf(path, condition)).unwrap();
            for corpus in &corpora {
                let expect = corpus.plainly(&query, false);
                assert_eq!(corpus.in_index(&query), expect, "{path}{condition}");
                found += usize::from(!expect.is_empty());
            }
        }
    }
    assert!(found > 400, "{found} of them find something");
}

#[test]
fn names_are_paths_or_roles_and_others_are_refused() {
    let corpus = corpus(7, None);
    let aliases = Aliases::of(&corpus.plan);
    let resolve = |text: &str| corpus.index.resolve(&Query::parse(text).unwrap(), &aliases).unwrap();
    let refused = |text: &str| resolve(text).unwrap_err().to_string();
    assert_eq!(
        refused("card AND (status:500 OR -staus>=500)"),
        "no line has a field `staus`\n  card AND (status:500 OR -staus>=500)\n                           ^^^^^\n  help: did you mean `status`?"
    );
    assert!(refused("nothing_like_it:5").starts_with("no line has a field `nothing_like_it`"));
    assert!(resolve("_exists_:nothing_like_it OR _kind:request").is_ok());
    // A word is looked for in every field that holds the message.
    assert_eq!(resolve("card").unwrap().to_string(), "\"card\" OR msg:\"card\"");
    let paths: Vec<String> = corpus.index.fields().unwrap().into_iter().map(|field| field.path).collect();
    for path in PATHS.into_iter().chain(["ts", "client", "note.deep.er", "_time"]) {
        assert!(paths.iter().any(|known| known == path), "{path} in {paths:?}");
    }
}
