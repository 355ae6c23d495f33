//! Queries of Elasticsearch's DSL as trees. What is not known is an error, so that nothing is silently left out.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::Failed;
use crate::query::{Bound, Condition, Edge, MESSAGE, Node, Query, date_of, folded, number_of, tokens};
use crate::time::{SECOND, Timestamp};

/// Levels of clauses, and clauses in all.
const DEPTH_MAX: usize = 32;
const CLAUSES_MAX: usize = 1_024;
/// Microseconds of a millisecond.
const MILLISECOND: i64 = SECOND / 1_000;
/// Name of the event time in queries.
pub(super) const TIME: &str = "_time";
/// Name of the severity.
const LEVEL: &str = "_level";

/// Notations of times that a range may name: those that are read anyway.
const FORMATS: [&str; 6] = [
    "epoch_millis",
    "epoch_second",
    "strict_date_optional_time",
    "date_optional_time",
    "strict_date_time",
    "date_time",
];

/// Reads queries.
pub(super) struct Reader<'t> {
    /// Names that stand for the event time.
    pub times: &'t BTreeSet<String>,
    /// What other fields hold.
    pub kinds: &'t BTreeMap<String, &'static str>,
    /// The time of the clock.
    pub now: Timestamp,
    clauses: usize,
}

type Read<T> = Result<T, Failed>;

fn object<'v>(value: &'v Value, of: &str) -> Read<&'v Map<String, Value>> {
    value.as_object().ok_or_else(|| Failed::parsing(&format!("[{of}] must be an object")))
}

/// The one field that a clause names, and what it says of it.
fn one<'v>(value: &'v Value, of: &str) -> Read<(&'v String, &'v Value)> {
    let mut fields = object(value, of)?.iter().filter(|(name, _)| *name != "boost" && *name != "_name");
    match (fields.next(), fields.next()) {
        (Some(field), None) => Ok(field),
        _ => Err(Failed::parsing(&format!("[{of}] must name one field"))),
    }
}

/// A scalar as text.
fn scalar(value: &Value, of: &str) -> Read<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Bool(b) => Ok(b.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            Err(Failed::parsing(&format!("[{of}] needs a text, a number or a boolean")))
        }
    }
}

/// What a clause says, plainly or as `{key: ...}`; of the latter nothing but `allowed` may stand beside it.
fn said(value: &Value, of: &str, key: &str, allowed: &[&str]) -> Read<String> {
    let Value::Object(fields) = value else { return scalar(value, of) };
    if let Some(other) = fields.keys().find(|name| *name != key && !allowed.contains(&name.as_str())) {
        return Err(Failed::parsing(&format!("[{of}] query does not support [{other}] here")));
    }
    let value = fields.get(key).ok_or_else(|| Failed::parsing(&format!("[{of}] needs [{key}]")))?;
    scalar(value, of)
}

/// Nothing but these keys stands in a clause.
fn only(value: &Value, of: &str, allowed: &[&str]) -> Read<()> {
    match object(value, of)?.keys().find(|key| !allowed.contains(&key.as_str())) {
        Some(other) => Err(Failed::parsing(&format!("[{of}] query does not support [{other}] here"))),
        None => Ok(()),
    }
}

/// Everything escaped that is no letter and no digit, but for some characters.
fn escaped(text: &str, plain: &str) -> String {
    let keep = |c: char| c.is_alphanumeric() || c == '_' || plain.contains(c);
    text.chars().map(|c| if keep(c) { c.to_string() } else { format!("\\{c}") }).collect()
}

impl<'t> Reader<'t> {
    pub(super) fn new(
        times: &'t BTreeSet<String>,
        kinds: &'t BTreeMap<String, &'static str>,
        now: Timestamp,
    ) -> Reader<'t> {
        Reader { times, kinds, now, clauses: 0 }
    }

    /// A field as lines have it.
    pub(super) fn path(&self, name: &str) -> String {
        path(self.times, name)
    }

    fn is_time(&self, path: &str) -> bool {
        path == TIME || self.kinds.get(path) == Some(&"date")
    }

    /// A field holds text of which each word is looked for; of any other the whole value is meant, as `_mapping` says.
    fn has_words(&self, path: &str) -> bool {
        path == MESSAGE || matches!(self.kinds.get(path), Some(&("message" | "line")))
    }

    /// A field has a value.
    fn is(&self, path: &str, value: String) -> Read<Node> {
        let condition = if self.is_time(path) {
            let value = Value::from(value);
            Condition::Between(self.time(&value, None, true, true)?, self.time(&value, None, false, true)?)
        } else {
            Condition::Equals(value)
        };
        Ok(Node::Is(path.to_owned(), condition))
    }

    /// The tree of a query.
    pub(super) fn node(&mut self, value: &Value) -> Read<Node> {
        self.read(value, 0)
    }

    fn read(&mut self, value: &Value, depth: usize) -> Read<Node> {
        self.clauses += 1;
        if depth > DEPTH_MAX || self.clauses > CLAUSES_MAX {
            return Err(Failed::parsing(&format!("at most {CLAUSES_MAX} clauses and {DEPTH_MAX} levels of them")));
        }
        let fields = object(value, "query")?;
        let (name, body) = match fields.iter().collect::<Vec<_>>().as_slice() {
            [one] => *one,
            _ => return Err(Failed::parsing("a query must be an object with one clause")),
        };
        match name.as_str() {
            "match_all" | "match_none" => {
                only(body, name, &["boost", "_name"])?;
                Ok(if name == "match_all" { Node::All } else { Node::Not(Box::new(Node::All)) })
            }
            "bool" => self.bool(body, depth),
            "constant_score" => {
                only(body, name, &["filter", "boost", "_name"])?;
                let filter = body.get("filter").ok_or_else(|| Failed::parsing("[constant_score] needs [filter]"))?;
                self.read(filter, depth + 1)
            }
            "exists" => {
                let field = said(body, "exists", "field", &["boost", "_name"])?;
                Ok(Node::Is(self.path(&field), Condition::Exists))
            }
            "term" => {
                let (field, value) = one(body, "term")?;
                let value = said(value, "term", "value", &["boost", "_name"])?;
                self.is(&self.path(field), value)
            }
            "terms" => {
                let (field, values) = one(body, "terms")?;
                let values = values.as_array().ok_or_else(|| Failed::parsing("[terms] needs a list of values"))?;
                self.clauses += values.len();
                let path = self.path(field);
                let of = |value: &Value| self.is(&path, scalar(value, "terms")?);
                Ok(Node::Or(values.iter().map(of).collect::<Read<Vec<_>>>()?))
            }
            "range" => self.range(body),
            "prefix" | "wildcard" | "regexp" => self.pattern(name, body),
            "match" => {
                let (field, value) = one(body, "match")?;
                let text = said(value, "match", "query", &["operator", "boost", "_name", "lenient"])?;
                let all = match value.get("operator").map(|word| word.as_str().map(str::to_ascii_lowercase)) {
                    None => false,
                    Some(Some(word)) if word == "or" => false,
                    Some(Some(word)) if word == "and" => true,
                    Some(_) => return Err(Failed::parsing("[operator] is and, or or")),
                };
                let path = self.path(field);
                if !self.has_words(&path) {
                    return self.is(&path, text);
                }
                let words: Vec<Node> =
                    tokens(&text).map(|token| Node::Is(path.clone(), Condition::Phrase(vec![folded(token)]))).collect();
                self.clauses += words.len();
                Ok(if all { Node::And(words) } else { Node::Or(words) })
            }
            "match_phrase" => {
                let (field, value) = one(body, "match_phrase")?;
                let text = said(value, "match_phrase", "query", &["boost", "_name"])?;
                let path = self.path(field);
                if !self.has_words(&path) {
                    return self.is(&path, text);
                }
                let words: Vec<String> = tokens(&text).map(folded).collect();
                let node = Node::Is(path, Condition::Phrase(words.clone()));
                Ok(if words.is_empty() { Node::Not(Box::new(Node::All)) } else { node })
            }
            "query_string" => self.query_string(body),
            other => Err(Failed::parsing(&format!(
                "unknown query [{other}]; there are bool, constant_score, exists, match, match_all, match_none, match_phrase, prefix, \
                 query_string, range, regexp, term, terms, wildcard"
            ))),
        }
    }

    fn clauses(&mut self, value: &Value, depth: usize) -> Read<Vec<Node>> {
        match value {
            Value::Array(list) => list.iter().map(|value| self.read(value, depth + 1)).collect(),
            value => Ok(vec![self.read(value, depth + 1)?]),
        }
    }

    fn bool(&mut self, body: &Value, depth: usize) -> Read<Node> {
        let (mut all, mut any, mut least) = (Vec::new(), Vec::new(), None);
        let (mut has_any, mut has_all) = (false, false);
        for (name, value) in object(body, "bool")? {
            match name.as_str() {
                "must" | "filter" => {
                    has_all = true;
                    all.extend(self.clauses(value, depth)?);
                }
                "must_not" => {
                    let not = self.clauses(value, depth)?;
                    all.extend(not.into_iter().map(|node| Node::Not(Box::new(node))));
                }
                "should" => {
                    any = self.clauses(value, depth)?;
                    has_any = !any.is_empty();
                }
                "minimum_should_match" => least = Some(scalar(value, "minimum_should_match")?),
                "boost" | "_name" | "adjust_pure_negative" => {}
                other => return Err(Failed::parsing(&format!("[bool] query does not support [{other}]"))),
            }
        }
        let needs_one = match least.as_deref() {
            // Beside what must be, what should be is for scores alone.
            None => has_any && !has_all,
            Some("0") => false,
            Some("1") => has_any,
            Some(_) => return Err(Failed::parsing("[minimum_should_match] is 0 or 1 here")),
        };
        if needs_one {
            all.push(Node::Or(any));
        }
        Ok(if all.is_empty() { Node::All } else { Node::And(all) })
    }

    fn range(&self, body: &Value) -> Read<Node> {
        let (field, of) = one(body, "range")?;
        let path = self.path(field);
        let (mut low, mut high) = (Edge::Open, Edge::Open);
        let fields = object(of, "range")?;
        let format = match fields.get("format").map(Value::as_str) {
            None => None,
            Some(Some(format)) if format.split("||").all(|one| FORMATS.contains(&one)) => Some(format),
            Some(_) => return Err(Failed::parsing(&format!("[format] of [range] is of {}", FORMATS.join(", ")))),
        };
        let mut ends = [None; 2];
        for (name, value) in fields {
            let is_low = match name.as_str() {
                "gte" | "gt" | "from" => true,
                "lte" | "lt" | "to" => false,
                "format" | "boost" | "_name" => continue,
                "time_zone" if matches!(value.as_str(), Some("Z" | "UTC" | "+00:00")) => continue,
                other => return Err(Failed::parsing(&format!("[range] query does not support [{other}]"))),
            };
            if value.is_null() {
                continue;
            }
            if let Some(other) = ends[usize::from(is_low)].replace(name) {
                return Err(Failed::parsing(&format!("[range] has [{other}] and [{name}], which are one end of it")));
            }
            let with = matches!(name.as_str(), "gte" | "lte" | "from" | "to");
            let edge = if self.is_time(&path) {
                self.time(value, format, is_low, with)?
            } else if path == LEVEL {
                level(value, with)?
            } else {
                edge(value, with)?
            };
            *(if is_low { &mut low } else { &mut high }) = edge;
        }
        Ok(Node::Is(path, Condition::Between(low, high)))
    }

    /// A point in time. Of those of whole milliseconds the whole millisecond is meant.
    fn time(&self, value: &Value, format: Option<&str>, is_low: bool, with: bool) -> Read<Edge> {
        let unit = match format {
            Some("epoch_second") => SECOND,
            _ => MILLISECOND,
        };
        let text = scalar(value, "range")?;
        if let Ok(number) = text.parse::<i64>() {
            let micros = number.saturating_mul(unit);
            let from = |at: i64| Bound::Date(at, Timestamp(at).to_string());
            // Low ends begin with the unit or behind it; high ends likewise.
            return Ok(match (is_low, with) {
                (true, true) => Edge::With(from(micros)),
                (true, false) => Edge::With(from(micros.saturating_add(unit))),
                (false, true) => Edge::Without(from(micros.saturating_add(unit))),
                (false, false) => Edge::Without(from(micros)),
            });
        }
        let sign = match (is_low, with) {
            (true, true) => ">=",
            (true, false) => ">",
            (false, true) => "<=",
            (false, false) => "<",
        };
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-+:.".contains(c);
        let parsed = text.chars().all(is_plain).then(|| Query::parse_at(&format!("{TIME}:{sign}{text}"), self.now));
        match parsed.as_ref().and_then(|parsed| parsed.as_ref().ok()).map(Query::tree) {
            Some(Node::Is(_, Condition::Between(low, high))) => {
                let edge = if is_low { low } else { high };
                match edge {
                    Edge::With(Bound::Date(..)) | Edge::Without(Bound::Date(..)) => Ok(edge.clone()),
                    Edge::Open | Edge::With(_) | Edge::Without(_) => Err(no_time(&text)),
                }
            }
            _ => Err(no_time(&text)),
        }
    }

    fn pattern(&self, name: &str, body: &Value) -> Read<Node> {
        let (field, value) = one(body, name)?;
        let allowed = ["boost", "_name", "rewrite", "flags", "max_determinized_states"];
        let key = if name == "wildcard" && value.get("wildcard").is_some() { "wildcard" } else { "value" };
        let text = said(value, name, key, &allowed)?;
        let path = self.path(field);
        let condition = match name {
            "prefix" => format!("{}*", escaped(&text, "")),
            "wildcard" => escaped(&text, "*?\\"),
            _ => format!("/{}/", text.replace('/', "\\/").replace(' ', "\\ ")),
        };
        let query = Query::parse_at(&format!("{}:{condition}", escaped(&path, ".")), self.now);
        query.map(|query| query.tree().clone()).map_err(|error| Failed::parsing(&format!("[{name}] {}", error.message)))
    }

    fn query_string(&self, body: &Value) -> Read<Node> {
        for (name, value) in object(body, "query_string")? {
            let is_fit = match name.as_str() {
                "query" | "analyze_wildcard" | "lenient" | "boost" | "_name" | "allow_leading_wildcard" => true,
                "default_operator" => value.as_str().is_some_and(|word| word.eq_ignore_ascii_case("and")),
                "default_field" => value.as_str() == Some("*"),
                "fields" => value == &serde_json::json!(["*"]),
                _ => false,
            };
            if !is_fit {
                let words = format!(
                    "[query_string] does not support [{name}] as it is; between two terms without a word stands AND"
                );
                return Err(Failed::parsing(&words));
            }
        }
        let text = body.get("query").and_then(Value::as_str);
        let text = text.ok_or_else(|| Failed::parsing("[query_string] needs [query], a text"))?.trim();
        // Data sources send an empty one for everything.
        if text.is_empty() {
            return Ok(Node::All);
        }
        let query = Query::parse_at(text, self.now)
            .map_err(|error| Failed::of(400, "query_shard_exception", &format!("Failed to parse query: {error}")))?;
        Ok(self.renamed(query.tree()))
    }

    fn renamed(&self, node: &Node) -> Node {
        match node {
            Node::All => Node::All,
            Node::And(nodes) => Node::And(nodes.iter().map(|node| self.renamed(node)).collect()),
            Node::Or(nodes) => Node::Or(nodes.iter().map(|node| self.renamed(node)).collect()),
            Node::Not(node) => Node::Not(Box::new(self.renamed(node))),
            Node::Is(path, condition) => Node::Is(self.path(path), condition.clone()),
        }
    }
}

/// A field as lines have it: the event time has one name, and `.keyword` stands for the field before it.
pub(super) fn path(times: &BTreeSet<String>, name: &str) -> String {
    let name = name.strip_suffix(".keyword").unwrap_or(name);
    if times.contains(name) { TIME.to_owned() } else { name.to_owned() }
}

fn no_time(text: &str) -> Failed {
    let text: String = text.chars().take(100).collect();
    Failed::parsing(&format!("[range] `{text}` is no time: milliseconds, RFC 3339, or now-15m"))
}

/// One end of a range of severities.
fn level(value: &Value, with: bool) -> Read<Edge> {
    let text = scalar(value, "range")?;
    let bound = Query::parse(&format!("{LEVEL}:>={}", escaped(&text, ""))).ok().and_then(|query| match query.tree() {
        Node::Is(_, Condition::Between(Edge::With(bound @ Bound::Level(..)), _)) => Some(bound.clone()),
        _ => None,
    });
    let bound = bound.ok_or_else(|| Failed::parsing(&format!("[range] `{text}` is no severity")))?;
    Ok(if with { Edge::With(bound) } else { Edge::Without(bound) })
}

/// One end of a range that is none of times.
fn edge(value: &Value, with: bool) -> Read<Edge> {
    let text = scalar(value, "range")?;
    let bound = match (number_of(&text), date_of(&text)) {
        (Some(number), _) => Bound::Number(number),
        (None, Some(micros)) => Bound::Date(micros, text),
        (None, None) => Bound::Text(text),
    };
    Ok(if with { Edge::With(bound) } else { Edge::Without(bound) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<String, String> {
        let times = BTreeSet::from(["@timestamp".to_owned(), "ts".to_owned()]);
        let kinds = BTreeMap::from([("due".to_owned(), "date"), ("msg".to_owned(), "message")]);
        let mut reader = Reader::new(&times, &kinds, Timestamp(1_000_000_000_000_000));
        reader.node(&value).map(|node| node.to_string()).map_err(|failed| failed.words)
    }

    #[test]
    fn clauses_are_trees() {
        for (asked, expect) in [
            (json!({ "match_all": {} }), "*"),
            (json!({ "term": { "service.keyword": "shop" } }), "service:\"shop\""),
            (json!({ "term": { "status": { "value": 503 } } }), "status:\"503\""),
            (json!({ "term": { "due": 1_000 } }), "due:[1970-01-01T00:00:01Z TO 1970-01-01T00:00:01.001Z}"),
            (json!({ "match": { "version": "2.0" } }), "version:\"2.0\""),
            (json!({ "range": { "_level": { "gte": "warn" } } }), "_level:[warn TO *]"),
            (json!({ "terms": { "a": ["x", 1] } }), "a:\"x\" OR a:\"1\""),
            (json!({ "exists": { "field": "user" } }), "_exists_:user"),
            (json!({ "range": { "status": { "gte": 500, "lt": "600" } } }), "status:[500 TO 600}"),
            (
                json!({ "range": { "@timestamp": { "gte": 1_000, "lte": 2_000, "format": "epoch_millis" } } }),
                "_time:[1970-01-01T00:00:01Z TO 1970-01-01T00:00:02.001Z}",
            ),
            (json!({ "range": { "ts": { "gt": "now-1h" } } }), "_time:{2001-09-09T00:46:40Z TO *]"),
            (json!({ "range": { "due": { "gte": 1_000 } } }), "due:[1970-01-01T00:00:01Z TO *]"),
            (json!({ "range": { "due": { "gt": "now-1h" } } }), "due:{2001-09-09T00:46:40Z TO *]"),
            (json!({ "prefix": { "route": "/api" } }), "route:\\/api*"),
            (json!({ "wildcard": { "route": { "value": "/a*b" } } }), "route:\\/a*b"),
            (json!({ "regexp": { "route": "/a.*" } }), "route:/\\/a.*/"),
            (json!({ "match": { "msg": "Card declined" } }), "msg:\"card\" OR msg:\"declined\""),
            (json!({ "match": { "msg": { "query": "a b", "operator": "and" } } }), "msg:\"a\" AND msg:\"b\""),
            (json!({ "match_phrase": { "msg": "Card declined" } }), "msg:\"card declined\""),
            (
                json!({ "query_string": { "query": "@timestamp:>2020-01-01 AND lost", "analyze_wildcard": true } }),
                "_time:{2020-01-01 TO *] AND \"lost\"",
            ),
            (
                json!({ "bool": { "filter": [{ "term": { "a": 1 } }], "must_not": { "term": { "b": true } }, "should": [] } }),
                "a:\"1\" AND NOT b:\"true\"",
            ),
            (json!({ "bool": { "should": [{ "term": { "a": 1 } }, { "term": { "a": 2 } }] } }), "(a:\"1\" OR a:\"2\")"),
        ] {
            assert_eq!(read(asked.clone()).as_deref(), Ok(expect), "{asked}");
        }
    }

    struct Line(Vec<(&'static str, crate::query::Value<'static>)>);

    impl crate::query::Record for Line {
        fn field(&self, path: &str) -> Option<crate::query::Value<'_>> {
            self.0.iter().find(|(name, _)| *name == path).map(|(_, value)| value.clone())
        }
    }

    /// A tree that is written as Elasticsearch has it, and read again, finds what it found.
    #[test]
    fn a_tree_written_as_clauses_means_the_same() {
        use crate::query::{Value as Of, to_elastic};

        let text = |text: &'static str| Of::Str(text.into());
        let lines: Vec<Line> = vec![
            Line(vec![]),
            Line(vec![("a", Of::Number(1.0)), ("level", text("WARN")), ("message", text("Card declined by bank"))]),
            Line(vec![("a", Of::Number(450.0)), ("level", text("error")), ("b", text("x y"))]),
            Line(vec![("a", text("1")), ("level", text("Fatal")), ("b", text("xzy"))]),
            Line(vec![("b", Of::List(vec![text("x y"), text("q")])), ("c", Of::Bool(true)), ("level", text("info"))]),
            Line(vec![("c", Of::Bool(false)), ("d", text("2026-06-01T12:00:00Z")), ("message", text("declined card"))]),
            Line(vec![("d", text("2026-06-01")), ("e", Of::Number(250.5)), ("message", text(""))]),
        ];
        let times = BTreeSet::new();
        for asked in [
            "*",
            "a:1",
            "a:>=1 AND NOT a:450",
            "a:[1 TO 450}",
            "a:{1 TO *]",
            "b:\"x y\"",
            "b:x*",
            "b:?z?",
            "b:/x.y/",
            "_exists_:c",
            "c:true OR b:q",
            "NOT (c:true OR a:1)",
            "\"card declined\"",
            "declined AND card",
            "level>=error",
            "level<warn",
            "level:[warn TO error]",
            "d:>=2026-06-01T12:00:00Z",
            "d:<2026-06-02",
            "e:>250ms",
            "b:>=\"x z\"",
            "a:(1 OR 450) -c:true",
        ] {
            let query = Query::parse(asked).unwrap();
            let written = to_elastic(query.tree());
            let read = Reader::new(&times, &BTreeMap::new(), Timestamp(0))
                .node(&written)
                .unwrap_or_else(|failed| panic!("{asked}: {}", failed.words));
            let found = |node: &Node| lines.iter().map(|line| node.matches(line)).collect::<Vec<_>>();
            // Words of severities are those that are known, in two cases.
            let expect: Vec<bool> = found(query.tree());
            let mut got = found(&read);
            if asked.starts_with("level") {
                got[3] = expect[3];
            }
            assert_eq!(got, expect, "{asked}: {written}");
        }
    }

    /// The same of 3,000 random trees over 200 random lines, with 4 levels of `and`, `or` and `not`; seeded.
    #[test]
    fn any_tree_written_as_clauses_means_the_same() {
        use crate::event::mix;
        use crate::query::{Value as Of, to_elastic};

        let mut state = 7;
        let mut below = |most: u64| {
            state = mix(state, 11);
            state % most
        };
        const WORDS: [&str; 8] = ["web", "x y", "Card declined", "card", "a*b?", "", "2026-06-01T12:00:00Z", "503"];
        const PATHS: [&str; 4] = ["a", "b", "message", "geo.country"];
        let lines: Vec<Line> = (0..200)
            .map(|_| {
                let mut fields = Vec::new();
                for path in PATHS {
                    let text = |at: u64| Of::Str(WORDS[at as usize].into());
                    match below(6) {
                        0 => {}
                        1 => fields.push((path, Of::Number(below(4) as f64 * 250.5))),
                        2 => fields.push((path, Of::Bool(below(2) == 0))),
                        3 => fields.push((path, Of::List(vec![text(below(8)), text(below(8))]))),
                        _ => fields.push((path, text(below(8)))),
                    }
                }
                Line(fields)
            })
            .collect();
        fn any(below: &mut dyn FnMut(u64) -> u64, depth: u32) -> String {
            let kind = if depth == 0 { 3 } else { below(4) };
            match kind {
                0 => format!("({} AND {})", any(below, depth - 1), any(below, depth - 1)),
                1 => format!("({} OR {})", any(below, depth - 1), any(below, depth - 1)),
                2 => format!("NOT {}", any(below, depth - 1)),
                _ => {
                    let path = PATHS[below(4) as usize];
                    let conditions = [
                        "web",
                        "503",
                        "501",
                        "\"x y\"",
                        "true",
                        "c*",
                        "*d",
                        "?ard",
                        "a\\*b\\?",
                        "/c.r[de]/",
                        ">=250",
                        "<501",
                        "[0 TO 501}",
                        "{250.5 TO *]",
                        ">=\"card\"",
                        ">=2026-06-01",
                        "<2026-06-01T13:00:00Z",
                    ];
                    match below(conditions.len() as u64 + 2) as usize {
                        at if at < conditions.len() => format!("{path}:{}", conditions[at]),
                        at if at == conditions.len() => format!("_exists_:{path}"),
                        _ => "*".to_owned(),
                    }
                }
            }
        }
        let times = BTreeSet::new();
        for _ in 0..3_000 {
            let asked = any(&mut below, 4);
            let query = Query::parse(&asked).unwrap_or_else(|error| panic!("{asked}: {}", error.message));
            let written = to_elastic(query.tree());
            let read = Reader::new(&times, &BTreeMap::new(), Timestamp(0))
                .node(&written)
                .unwrap_or_else(|failed| panic!("{asked}: {written}: {}", failed.words));
            for line in &lines {
                assert_eq!(read.matches(line), query.tree().matches(line), "{asked}: {written}: {:?}", line.0);
            }
        }
    }

    #[test]
    fn what_is_not_known_is_an_error() {
        for asked in [
            json!({ "more_like_this": {} }),
            json!({ "term": { "a": { "value": 1, "case_insensitive": true } } }),
            json!({ "term": { "a": 1, "b": 2 } }),
            json!({ "range": { "@timestamp": { "gte": "yesterday; now" } } }),
            json!({ "range": { "@timestamp": { "gte": 0, "time_zone": "Europe/Berlin" } } }),
            json!({ "bool": { "shuold": [] } }),
            json!({ "bool": { "should": [{ "match_all": {} }], "minimum_should_match": 2 } }),
            json!({ "query_string": { "query": "a", "default_operator": "or" } }),
            json!({ "query_string": { "query": "status:[" } }),
            json!({ "regexp": { "a": "(" } }),
            json!([]),
            json!({}),
        ] {
            assert!(read(asked.clone()).is_err(), "{asked}");
        }
        let mut deep = json!({ "match_all": {} });
        for _ in 0..100 {
            deep = json!({ "bool": { "must": [deep] } });
        }
        assert!(read(deep).unwrap_err().contains("levels"));
    }
}
