//! Searches as Elasticsearch's clients and Grafana's data source for it send them: `_search`, `_msearch`, `_count`, `_field_caps`,
//! `_mapping`. Every name of an index stands for all lines, but one ([`decisions`]).
//!
//! What is not supported is an error that says so; of what only says how an answer is to look some is taken and not followed
//! ([`TAKEN`]).

mod decisions;
mod figures;
mod query;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use axum::extract::Request;
use axum::http::{Method, StatusCode};
use serde_json::{Map, Value, json};

use self::decisions::Decisions;
use self::figures::{Counting, Levels};
use self::query::Reader;
use crate::cli::clock::now;
use crate::cli::run::annotations;
use crate::cli::run::desk::Desk;
use crate::cli::run::http::Shared;
use crate::cli::run::searching::api;
use crate::index::{Asked, Cursor, Found, Index, KnownField, Partial, impossible_in};
use crate::pipeline::roles::Role;
use crate::query::{Node, suggest};
use crate::time::Timestamp;

/// Lines of a page.
const SIZE_MAX: usize = 10_000;
/// Matches that are counted for certain where nothing is said, and where all are asked for.
const COUNT_TO: u64 = 10_000;
const COUNT_ALL: u64 = 1_000_000_000;
/// Longest question, and most questions in one.
const BODY_MAX: usize = 1 << 20;
const QUESTIONS_MAX: usize = 50;
/// How long one request may take, in seconds.
const TIMEOUT: f64 = 30.0;
/// Name of the one index.
const INDEX: &str = "serin";
/// Keys of a search that are taken and not followed: they say how an answer is to look.
const TAKEN: [&str; 9] = [
    "docvalue_fields",
    "script_fields",
    "highlight",
    "version",
    "stored_fields",
    "explain",
    "track_scores",
    "timeout",
    "seq_no_primary_term",
];
/// Parameters that are taken and not followed.
const PARAMETERS: [&str; 14] = [
    "ignore_unavailable",
    "allow_no_indices",
    "expand_wildcards",
    "max_concurrent_shard_requests",
    "preference",
    "pretty",
    "human",
    "error_trace",
    "typed_keys",
    "include_unmapped",
    "ccs_minimize_roundtrips",
    "request_cache",
    "search_type",
    "include_type_name",
];

/// Why a question is not answered.
#[derive(Debug)]
pub(super) struct Failed {
    status: u16,
    kind: &'static str,
    words: String,
}

impl Failed {
    fn of(status: u16, kind: &'static str, words: &str) -> Failed {
        Failed { status, kind, words: words.to_owned() }
    }

    fn parsing(words: &str) -> Failed {
        Failed::of(400, "parsing_exception", words)
    }

    fn no_field<'k>(name: &str, known: impl Iterator<Item = &'k str>) -> Failed {
        let meant = suggest(name, known);
        let help = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
        Failed::of(400, "query_shard_exception", &format!("no line has a field `{name}`{help}"))
    }

    fn json(&self) -> Value {
        let cause = json!({ "type": self.kind, "reason": self.words });
        json!({
            "error": { "root_cause": [cause], "type": self.kind, "reason": self.words },
            "status": self.status,
        })
    }
}

impl From<tantivy::TantivyError> for Failed {
    fn from(error: tantivy::TantivyError) -> Failed {
        Failed::of(500, "search_phase_execution_exception", &format!("the index cannot be read: {error}"))
    }
}

/// What a path asks for, where it is a search.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::cli::run) enum Question {
    Search,
    Several,
    Count,
    Fields,
    Mapping,
}

impl Question {
    /// The question of the words behind the name of an index.
    pub(in crate::cli::run) fn of(words: &[&str], method: &Method) -> Option<Question> {
        let reads = *method == Method::GET || *method == Method::HEAD;
        match words {
            ["_search"] => Some(Question::Search),
            ["_msearch"] => Some(Question::Several),
            ["_count"] => Some(Question::Count),
            ["_field_caps"] => Some(Question::Fields),
            ["_mapping"] | ["_mappings"] if reads => Some(Question::Mapping),
            _ => None,
        }
    }
}

/// Paths by which is searched, with what they are asked with.
#[cfg(test)]
pub(in crate::cli::run) const PATHS: [(&str, &str); 10] = [
    ("/_search", "get post"),
    ("/{index}/_search", "get post"),
    ("/_msearch", "get post"),
    ("/{index}/_msearch", "get post"),
    ("/_count", "get post"),
    ("/{index}/_count", "get post"),
    ("/_field_caps", "get post"),
    ("/{index}/_field_caps", "get post"),
    ("/_mapping", "get"),
    ("/{index}/_mapping", "get"),
];

/// Answers a question: the status, and the body.
pub(in crate::cli::run) async fn answer(
    (shared, desk): (&Arc<Shared>, &Desk),
    index: Option<&str>,
    question: Question,
    request: Request,
) -> (StatusCode, Value) {
    // Clients write commas and stars of a path in both ways.
    let plain = |index: &str| index.replace("%2C", ",").replace("%2c", ",").replace("%2A", "*").replace("%2a", "*");
    let is_decisions = index.map_or(Ok(false), |index| decisions::is_named(&Value::from(plain(index))));
    let answered = match is_decisions {
        Ok(is_decisions) => asked((shared, desk), is_decisions, question, request).await,
        Err(failed) => Err(failed),
    };
    let (status, body) = match answered {
        Ok(body) => (200, body),
        Err(failed) => (failed.status, failed.json()),
    };
    (StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body)
}

/// Parameters as they are written.
fn parameters(request: &Request) -> Result<BTreeMap<String, String>, Failed> {
    let uri = request.uri();
    let axum::extract::Query(list) = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri)
        .map_err(|error| Failed::of(400, "illegal_argument_exception", &error.body_text()))?;
    Ok(list.into_iter().collect())
}

async fn asked(
    (shared, desk): (&Arc<Shared>, &Desk),
    is_decisions: bool,
    question: Question,
    request: Request,
) -> Result<Value, Failed> {
    let parameters = parameters(&request)?;
    let body = axum::body::to_bytes(request.into_body(), BODY_MAX).await.map_err(|_| {
        let words = format!("the question is longer than {BODY_MAX} bytes, or did not come whole");
        Failed::of(413, "content_too_long_exception", &words)
    })?;
    let of = Arc::clone(shared);
    // Several questions say in their headers of which index they are.
    let marks =
        if is_decisions || question == Question::Several { annotations::all(&desk.view().history) } else { Vec::new() };
    if question == Question::Several {
        checked(&parameters, &["rest_total_hits_as_int"])?;
    }
    // Decisions are none of the lines: they are there without an index, and without waiting for a turn.
    if is_decisions || (question == Question::Several && Several::read(&body, is_decisions)?.are_decisions()) {
        let decisions = Decisions { marks: &marks };
        return match question {
            Question::Search => decisions.search(&with_parameters(parse(&body)?, &parameters)?),
            Question::Count => decisions.count(&with_parameters(parse(&body)?, &parameters)?),
            Question::Several => {
                Ok(Several::read(&body, is_decisions)?.answer(&decisions, |_| Err(Failed::parsing("no lines"))))
            }
            Question::Fields => {
                checked(&parameters, &["fields"])?;
                let wanted = wanted_fields(&parse(&body)?, &parameters)?;
                Ok(field_caps(decisions::kinds().collect(), &wanted, decisions::DECISIONS))
            }
            Question::Mapping => {
                checked(&parameters, &[])?;
                Ok(mapping(decisions::kinds().collect(), decisions::DECISIONS))
            }
        };
    }
    let done = api::run(shared, Some(TIMEOUT), move |index, stop| {
        let known: BTreeMap<String, &'static str> =
            index.fields()?.into_iter().map(|field| (field.path, field.kind)).collect();
        let mut of_times: Vec<String> = Vec::new();
        if let Some(plan) = of.ground().map(|ground| ground.plan) {
            of_times.extend(plan.fields(Role::Time).iter().map(|field| field.path.clone()));
        }
        let times = figures::times(of_times.into_iter());
        let context = Context { shared: &of, index, stop, known: &known, times: &times };
        match question {
            Question::Search => context.search(&with_parameters(parse(&body)?, &parameters)?),
            Question::Count => context.count(&with_parameters(parse(&body)?, &parameters)?),
            Question::Several => {
                let decisions = Decisions { marks: &marks };
                Ok(Several::read(&body, is_decisions)?.answer(&decisions, |asked| context.search(asked)))
            }
            Question::Fields => {
                checked(&parameters, &["fields"])?;
                Ok(field_caps(context.kinds(), &wanted_fields(&parse(&body)?, &parameters)?, INDEX))
            }
            Question::Mapping => {
                checked(&parameters, &[])?;
                Ok(mapping(context.kinds(), INDEX))
            }
        }
    })
    .await;
    match done {
        Ok(answer) => answer,
        Err(refusal) => Err(Failed::of(
            refusal.status().as_u16(),
            match refusal.status() {
                StatusCode::TOO_MANY_REQUESTS => "es_rejected_execution_exception",
                StatusCode::NOT_FOUND => "index_not_found_exception",
                _ => "unavailable_shards_exception",
            },
            refusal.words(),
        )),
    }
}

/// Names of fields, with `*` for any text, that a question for fields names.
fn wanted_fields(body: &Map<String, Value>, parameters: &BTreeMap<String, String>) -> Result<Vec<String>, Failed> {
    // Every line is in the one index, so none is left out by what it holds.
    let is_all = |filter: &Value| filter.get("match_all").is_some_and(|of| of == &json!({}));
    let other = body.iter().find(|(key, value)| match key.as_str() {
        "fields" => false,
        "index_filter" => !is_all(value),
        _ => true,
    });
    if let Some((key, _)) = other {
        return Err(Failed::parsing(&format!("[field_caps] does not support [{key}] as it is")));
    }
    if let Some(list) = parameters.get("fields") {
        return Ok(list.split(',').map(str::to_owned).collect());
    }
    let names: Option<Vec<String>> = match body.get("fields") {
        None => Some(vec!["*".to_owned()]),
        Some(Value::String(name)) => Some(vec![name.clone()]),
        Some(of) => of.as_array().and_then(|list| list.iter().map(|name| name.as_str().map(str::to_owned)).collect()),
    };
    names.ok_or_else(|| Failed::parsing("[fields] is a name, or a list of names"))
}

/// Several questions in one body, two lines each.
struct Several(Vec<Result<OneOfSeveral, Failed>>);

struct OneOfSeveral {
    /// It is about decisions.
    is_decisions: bool,
    asked: Map<String, Value>,
}

impl Several {
    /// `is_decisions`: what a header means that names no index.
    fn read(body: &[u8], is_decisions: bool) -> Result<Several, Failed> {
        let lines: Vec<&[u8]> =
            body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect();
        if !lines.len().is_multiple_of(2) {
            return Err(Failed::parsing("a question is two lines: a header, and a search"));
        }
        if lines.len() / 2 > QUESTIONS_MAX {
            return Err(Failed::parsing(&format!("at most {QUESTIONS_MAX} questions")));
        }
        let known = [
            "index",
            "search_type",
            "ignore_unavailable",
            "allow_no_indices",
            "expand_wildcards",
            "preference",
            "request_cache",
        ];
        let one = |header: &[u8], asked: &[u8]| {
            let header = parse(header)?;
            if let Some(key) = header.keys().find(|key| !known.contains(&key.as_str())) {
                return Err(Failed::parsing(&format!("key [{key}] is not supported in the metadata section")));
            }
            let is_decisions = header.get("index").map_or(Ok(is_decisions), decisions::is_named)?;
            Ok(OneOfSeveral { is_decisions, asked: parse(asked)? })
        };
        Ok(Several(lines.as_chunks().0.iter().map(|[header, asked]| one(header, asked)).collect()))
    }

    /// None is of lines.
    fn are_decisions(&self) -> bool {
        self.0.iter().all(|one| one.as_ref().is_ok_and(|one| one.is_decisions))
    }

    fn answer(self, decisions: &Decisions<'_>, lines: impl Fn(&Map<String, Value>) -> Result<Value, Failed>) -> Value {
        let began = Instant::now();
        let answers: Vec<Value> = self
            .0
            .into_iter()
            .map(|one| {
                let answer = one.and_then(
                    |OneOfSeveral { is_decisions, asked }| {
                        if is_decisions { decisions.search(&asked) } else { lines(&asked) }
                    },
                );
                match answer {
                    Ok(Value::Object(mut answer)) => {
                        answer.insert("status".to_owned(), json!(200));
                        Value::Object(answer)
                    }
                    Ok(other) => other,
                    Err(failed) => failed.json(),
                }
            })
            .collect();
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        json!({ "took": took, "responses": answers })
    }
}

/// A body: an object, or nothing.
fn parse(body: &[u8]) -> Result<Map<String, Value>, Failed> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(body)) => Ok(body),
        Ok(_) => Err(Failed::parsing("the body must be an object")),
        Err(error) => Err(Failed::parsing(&format!("the body is no JSON: {error}"))),
    }
}

/// Parameters that are known, or taken.
fn checked(parameters: &BTreeMap<String, String>, known: &[&str]) -> Result<(), Failed> {
    let is_known = |name: &str| known.contains(&name) || PARAMETERS.contains(&name);
    match parameters.keys().find(|name| !is_known(name)) {
        None => Ok(()),
        Some(name) => {
            let words = format!("request contains unrecognized parameter: [{name}]");
            Err(Failed::of(400, "illegal_argument_exception", &words))
        }
    }
}

/// A body with what parameters say beside it.
fn with_parameters(
    mut body: Map<String, Value>,
    parameters: &BTreeMap<String, String>,
) -> Result<Map<String, Value>, Failed> {
    checked(
        parameters,
        &["q", "size", "from", "sort", "default_operator", "track_total_hits", "rest_total_hits_as_int", "timeout"],
    )?;
    if let Some(text) = parameters.get("sort") {
        body.insert("sort".to_owned(), text.split(',').map(Value::from).collect());
    }
    if let Some(text) = parameters.get("q") {
        let operator = parameters.get("default_operator").map_or("AND", String::as_str);
        let asked = json!({ "query_string": { "query": text, "default_operator": operator } });
        body.insert("query".to_owned(), asked);
    }
    for name in ["size", "from", "track_total_hits"] {
        if let Some(text) = parameters.get(name) {
            let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
            body.insert(name.to_owned(), value);
        }
    }
    if let Some(text) = parameters.get("rest_total_hits_as_int") {
        let value = serde_json::from_str(text).unwrap_or_else(|_| Value::from(text.as_str()));
        body.insert("rest_total_hits_as_int".to_owned(), value);
    }
    Ok(body)
}

/// What questions are answered from.
struct Context<'c> {
    shared: &'c Shared,
    index: &'c Index,
    stop: &'c dyn Fn() -> bool,
    known: &'c BTreeMap<String, &'static str>,
    times: &'c BTreeSet<String>,
}

/// How lines are shown.
struct Looks {
    source: Source,
    fields: Vec<WantedField>,
}

/// A field that is shown beside the line.
struct WantedField {
    /// With `*` for any text.
    name: String,
    /// Times are milliseconds.
    as_millis: bool,
}

enum Source {
    All,
    None,
    Fields(Vec<String>),
}

impl Context<'_> {
    fn resolved(&self, node: &Node) -> Result<Node, Failed> {
        if let Some(wrong) = impossible_in(node) {
            let words = format!("{}; there are {}", wrong.message, wrong.help);
            return Err(Failed::of(400, "query_shard_exception", &words));
        }
        let aliases = self.shared.searching.aliases.get().cloned().unwrap_or_default();
        match self.index.resolve_node(node, &aliases)? {
            Ok(node) => Ok(node),
            Err(name) => Err(Failed::no_field(&name, self.known.keys().map(String::as_str))),
        }
    }

    fn tree(&self, reader: &mut Reader<'_>, body: &Map<String, Value>) -> Result<Node, Failed> {
        let node =
            body.get("query").filter(|query| !query.is_null()).map_or(Ok(Node::All), |query| reader.node(query))?;
        self.resolved(&node)
    }

    fn count(&self, body: &Map<String, Value>) -> Result<Value, Failed> {
        only_query(body)?;
        let tree = self.tree(&mut Reader::new(self.times, self.known, now()), body)?;
        let asked = Asked { tree: &tree, limit: 0, before: None, count_to: COUNT_ALL, stop: self.stop };
        let page = self.index.search(&asked)?;
        if let Some(partial) = &page.partial {
            let words = format!("not everything could be counted ({})", partial.name());
            return Err(Failed::of(503, "search_phase_execution_exception", &words));
        }
        Ok(json!({ "count": page.total.lines, "_shards": shards(None) }))
    }

    fn search(&self, body: &Map<String, Value>) -> Result<Value, Failed> {
        let began = Instant::now();
        known_keys(body)?;
        let mut reader = Reader::new(self.times, self.known, now());
        let tree = self.tree(&mut reader, body)?;
        let (from, size) = window(body)?;
        let before = self.order(body, size)?;
        let count_to = count_to(body)?;
        let looks = looks(body)?;
        let asked = Asked { tree: &tree, limit: from + size, before, count_to, stop: self.stop };
        let mut page = self.index.search(&asked)?;
        let mut partial = page.partial.take();
        let hits: Vec<Value> = page.lines.iter().skip(from).map(|found| self.hit(found, &looks)).collect();
        let relation = if page.total.is_exact { "eq" } else { "gte" };
        let total = match body.get("rest_total_hits_as_int") {
            Some(Value::Bool(true)) => json!(page.total.lines),
            _ => json!({ "value": page.total.lines, "relation": relation }),
        };
        let mut out = Map::new();
        if body.contains_key("aggs") && body.contains_key("aggregations") {
            return Err(Failed::parsing("[aggs] and [aggregations] are one; say it once"));
        }
        if let Some(aggs) = body.get("aggs").or_else(|| body.get("aggregations")).filter(|aggs| !aggs.is_null()) {
            let resolve = |node: &Node| self.resolved(node);
            let may_be_number = |field: &KnownField| self.index.may_be_number(field).unwrap_or(true);
            let level = Levels::new(&mut reader, self.known, &resolve, &may_be_number).read(aggs)?;
            let counting = Counting { index: self.index, stop: self.stop, known: self.known };
            let (figures, why) = counting.answer(&level, &tree)?;
            partial = partial.or(why);
            out.insert("aggregations".to_owned(), Value::Object(figures));
        }
        out.insert("took".to_owned(), json!(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)));
        out.insert("timed_out".to_owned(), json!(partial == Some(Partial::Time)));
        out.insert("_shards".to_owned(), shards(partial.as_ref()));
        out.insert("hits".to_owned(), json!({ "total": total, "max_score": null, "hits": hits }));
        Ok(Value::Object(out))
    }

    /// Lines come newest first; where a page goes on.
    fn order(&self, body: &Map<String, Value>, size: usize) -> Result<Option<Cursor>, Failed> {
        let list = match body.get("sort") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(list)) => list.iter().collect(),
            Some(one) => vec![one],
        };
        for one in list {
            let named: Vec<(&str, Option<&Value>)> = match one {
                Value::String(name) => match name.split_once(':') {
                    Some((name, "desc")) => vec![(name, None)],
                    _ => vec![(name, Some(&Value::Null))],
                },
                Value::Object(fields) => fields.iter().map(|(name, of)| (name.as_str(), Some(of))).collect(),
                _ => return Err(Failed::parsing("[sort] is a list of fields")),
            };
            for (name, of) in named {
                let way = match of {
                    None => "desc",
                    Some(Value::String(way)) => way.as_str(),
                    Some(of) => of.get("order").and_then(Value::as_str).unwrap_or("asc"),
                };
                let is_fit = match name {
                    // In which order lines of one time stand is not asked.
                    "_doc" | "_score" | "_shard_doc" => true,
                    name => query::path(self.times, name) == query::TIME && (way == "desc" || size == 0),
                };
                if !is_fit {
                    let words = format!("lines come newest first: [sort] by [{name}] {way} is not supported");
                    return Err(Failed::of(400, "illegal_argument_exception", &words));
                }
            }
        }
        let Some(after) = body.get("search_after").filter(|after| !after.is_null()) else { return Ok(None) };
        let cursor = after.as_array().and_then(|list| list.last()?.as_str()?.parse::<Cursor>().ok());
        let words = "[search_after] is what stands in [sort] of the last line, with sort by time and _doc";
        cursor.map(Some).ok_or_else(|| Failed::of(400, "illegal_argument_exception", words))
    }

    fn hit(&self, found: &Found, looks: &Looks) -> Value {
        let line = match serde_json::from_str::<Value>(&found.line) {
            Ok(Value::Object(fields)) => fields,
            Ok(_) | Err(_) => Map::from_iter([("message".to_owned(), Value::from(found.line.as_str()))]),
        };
        let mut hit = json!({
            "_index": INDEX,
            "_id": format!("{}.{}", found.at.position, found.at.stream),
            "_score": null,
            "sort": [found.at.time.div_euclid(1_000), found.at.to_string()],
        });
        let Some(out) = hit.as_object_mut() else { return hit };
        let mut shown = Map::new();
        for WantedField { name, as_millis } in &looks.fields {
            if query::path(self.times, name) == query::TIME {
                let at = found.time();
                let time = if *as_millis { json!(at.0.div_euclid(1_000).to_string()) } else { json!(iso(at)) };
                shown.insert(name.clone(), json!([time]));
            } else if name.contains('*') {
                each_path(&line, "", &mut |path, value| {
                    if fits(name, path) {
                        shown.insert(path.to_owned(), as_list(value));
                    }
                });
            } else if let Some(value) = at_path(&line, name) {
                shown.insert(name.clone(), as_list(value));
            }
        }
        if !shown.is_empty() {
            out.insert("fields".to_owned(), Value::Object(shown));
        }
        let source = match &looks.source {
            Source::None => return hit,
            Source::All => {
                let mut line = line;
                // Where the line has its time under another name, that is found here.
                line.entry("@timestamp").or_insert_with(|| json!(iso(found.time())));
                line
            }
            Source::Fields(list) => {
                list.iter().filter_map(|name| Some((name.clone(), at_path(&line, name)?.clone()))).collect()
            }
        };
        out.insert("_source".to_owned(), Value::Object(source));
        hit
    }

    /// Fields with Elasticsearch's words for their kinds.
    fn kinds(&self) -> BTreeMap<&str, &'static str> {
        let mut kinds: BTreeMap<&str, &'static str> = BTreeMap::new();
        for (path, kind) in self.known {
            let kind = match (path.as_str(), *kind) {
                (query::TIME, _) | (_, "date") => "date",
                ("_latency" | "_position", _) | (_, "number") => "double",
                ("_failed", _) => "boolean",
                (_, "message" | "line") => "text",
                _ => "keyword",
            };
            kinds.insert(path, kind);
        }
        for time in self.times {
            kinds.insert(time, "date");
        }
        kinds
    }
}

/// What `_field_caps` answers.
fn field_caps(kinds: BTreeMap<&str, &'static str>, wanted: &[String], index: &str) -> Value {
    let fields: Map<String, Value> = kinds
        .into_iter()
        .filter(|(path, _)| wanted.iter().any(|wanted| fits(wanted, path)))
        .map(|(path, kind)| {
            let of = json!({
                "type": kind, "metadata_field": false, "searchable": true, "aggregatable": kind != "text",
            });
            (path.to_owned(), json!({ kind: of }))
        })
        .collect();
    json!({ "indices": [index], "fields": fields })
}

/// What `_mapping` answers.
fn mapping(kinds: BTreeMap<&str, &'static str>, index: &str) -> Value {
    let mut root = Map::new();
    for (path, kind) in kinds {
        let mut at = &mut root;
        let mut words = path.split('.').peekable();
        while let Some(word) = words.next() {
            let of = at.entry(word).or_insert_with(|| json!({}));
            let Some(of) = of.as_object_mut() else { break };
            if words.peek().is_none() {
                of.insert("type".to_owned(), json!(kind));
                break;
            }
            let inner = of.entry("properties").or_insert_with(|| json!({}));
            let Some(inner) = inner.as_object_mut() else { break };
            at = inner;
        }
    }
    json!({ index: { "mappings": { "properties": root } } })
}

/// A name with stars fits a path.
fn fits(wanted: &str, path: &str) -> bool {
    let mut parts = wanted.split('*');
    let Some(mut rest) = parts.next().and_then(|first| path.strip_prefix(first)) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        match rest.find(part) {
            Some(at) => rest = rest.get(at + part.len()..).unwrap_or(""),
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Who asks how many says of what alone.
fn only_query(body: &Map<String, Value>) -> Result<(), Failed> {
    match body.keys().find(|key| *key != "query") {
        None => Ok(()),
        Some(other) => Err(Failed::parsing(&format!("request does not support [{other}]"))),
    }
}

/// A search has keys that are known.
fn known_keys(body: &Map<String, Value>) -> Result<(), Failed> {
    let known = [
        "query",
        "size",
        "from",
        "aggs",
        "aggregations",
        "sort",
        "search_after",
        "_source",
        "fields",
        "track_total_hits",
        "rest_total_hits_as_int",
    ];
    if let Some(other) = body.keys().find(|key| !known.contains(&key.as_str()) && !TAKEN.contains(&key.as_str())) {
        return Err(Failed::parsing(&format!("unknown key for a search: [{other}]")));
    }
    if body.get("rest_total_hits_as_int").is_some_and(|of| !of.is_boolean()) {
        return Err(Failed::parsing("[rest_total_hits_as_int] is true or false"));
    }
    count_to(body)?;
    if body.get("script_fields").and_then(Value::as_object).is_some_and(|scripts| !scripts.is_empty()) {
        return Err(Failed::parsing("[script_fields] are not supported"));
    }
    Ok(())
}

/// Up to how many matches are counted for certain.
fn count_to(body: &Map<String, Value>) -> Result<u64, Failed> {
    match body.get("track_total_hits") {
        None | Some(Value::Null) => Ok(COUNT_TO),
        Some(Value::Bool(true)) => Ok(COUNT_ALL),
        Some(Value::Bool(false)) => Ok(0),
        Some(value) => value
            .as_u64()
            .map(|most| most.min(COUNT_ALL))
            .ok_or_else(|| Failed::parsing("[track_total_hits] is true, false or a number")),
    }
}

/// Hits that are left out, and those that are wanted behind them.
fn window(body: &Map<String, Value>) -> Result<(usize, usize), Failed> {
    let number = |name: &str, usual: usize| match body.get(name) {
        None | Some(Value::Null) => Ok(usual),
        Some(value) => value
            .as_u64()
            .or_else(|| value.as_str()?.parse().ok())
            .and_then(|number| usize::try_from(number).ok())
            .ok_or_else(|| Failed::of(400, "illegal_argument_exception", &format!("[{name}] is no number"))),
    };
    let (size, from) = (number("size", 10)?, number("from", 0)?);
    if size.saturating_add(from) > SIZE_MAX {
        let words = format!("Result window is too large: [from] and [size] are at most {SIZE_MAX} together");
        return Err(Failed::of(400, "illegal_argument_exception", &words));
    }
    Ok((from, size))
}

fn looks(body: &Map<String, Value>) -> Result<Looks, Failed> {
    let names = |list: &[Value]| -> Option<Vec<String>> {
        list.iter().map(|name| name.as_str().filter(|name| !name.contains('*')).map(str::to_owned)).collect()
    };
    let source = match body.get("_source") {
        None | Some(Value::Null | Value::Bool(true)) => Source::All,
        Some(Value::Bool(false)) => Source::None,
        Some(Value::String(name)) if !name.contains('*') => Source::Fields(vec![name.clone()]),
        Some(Value::Array(list)) => Source::Fields(
            names(list).ok_or_else(|| Failed::parsing("[_source] is a list of whole names of fields here"))?,
        ),
        Some(_) => return Err(Failed::parsing("[_source] is true, false, or a list of whole names of fields here")),
    };
    let fields = match body.get("fields") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) => list.iter().map(wanted_field).collect::<Result<_, _>>()?,
        Some(_) => return Err(Failed::parsing("[fields] is a list of names of fields")),
    };
    Ok(Looks { source, fields })
}

/// One of `fields`: a name, or a name with a notation of times.
fn wanted_field(of: &Value) -> Result<WantedField, Failed> {
    let wrong = || Failed::parsing("[fields] is a list of names of fields, or of objects with [field] and [format]");
    let Value::Object(object) = of else {
        return of.as_str().map(|name| WantedField { name: name.to_owned(), as_millis: false }).ok_or_else(wrong);
    };
    if object.keys().any(|key| !["field", "format", "include_unmapped"].contains(&key.as_str())) {
        return Err(wrong());
    }
    let name = object.get("field").and_then(Value::as_str).ok_or_else(wrong)?.to_owned();
    let as_millis = match object.get("format").map(Value::as_str) {
        None => false,
        Some(Some("epoch_millis")) => true,
        // As times are written anyway.
        Some(Some(format)) if format.starts_with("strict_date") || format == "date_time" => false,
        Some(_) => return Err(Failed::parsing("[format] is epoch_millis or strict_date_optional_time here")),
    };
    Ok(WantedField { name, as_millis })
}

/// A value of `fields`: those are lists.
fn as_list(value: &Value) -> Value {
    if value.is_array() { value.clone() } else { json!([value]) }
}

/// Calls `see` with each value that is no object, and its path.
fn each_path(line: &Map<String, Value>, above: &str, see: &mut impl FnMut(&str, &Value)) {
    for (key, value) in line {
        let path = if above.is_empty() { key.clone() } else { format!("{above}.{key}") };
        match value {
            Value::Object(inner) => each_path(inner, &path, see),
            value => see(&path, value),
        }
    }
}

/// The value at a path: one key, or nested.
fn at_path<'v>(line: &'v Map<String, Value>, path: &str) -> Option<&'v Value> {
    if let Some(value) = line.get(path) {
        return Some(value);
    }
    path.match_indices('.').find_map(|(at, _)| {
        let inner = line.get(path.get(..at)?)?.as_object()?;
        at_path(inner, path.get(at + 1..)?)
    })
}

/// A time as Elasticsearch writes it, to the millisecond.
fn iso(at: Timestamp) -> String {
    let seconds = Timestamp(at.0.div_euclid(1_000_000).saturating_mul(1_000_000)).to_string();
    format!("{}.{:03}Z", seconds.trim_end_matches('Z'), at.0.rem_euclid(1_000_000) / 1_000)
}

fn shards(partial: Option<&Partial>) -> Value {
    match partial {
        None | Some(Partial::Time) => json!({ "total": 1, "successful": 1, "skipped": 0, "failed": 0 }),
        Some(Partial::Matches) => failed_shard("there is too much to keep: the figures are not whole"),
        Some(Partial::Damaged(why)) => failed_shard(why),
    }
}

fn failed_shard(why: &str) -> Value {
    let reason = json!({ "type": "search_phase_execution_exception", "reason": why });
    let failure = json!({ "shard": 0, "index": INDEX, "reason": reason });
    json!({ "total": 1, "successful": 0, "skipped": 0, "failed": 1, "failures": [failure] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_stars_fit_paths() {
        for (wanted, path, is) in [
            ("*", "a.b", true),
            ("a.*", "a.b", true),
            ("*b", "a.b", true),
            ("a*c*e", "abcde", true),
            ("a*c*e", "abde", false),
            ("a", "ab", false),
            ("a.b", "a.b", true),
        ] {
            assert_eq!(fits(wanted, path), is, "{wanted} {path}");
        }
    }

    #[test]
    fn times_are_written_to_the_millisecond() {
        assert_eq!(iso(Timestamp(1_500_000)), "1970-01-01T00:00:01.500Z");
        assert_eq!(iso(Timestamp(-1)), "1969-12-31T23:59:59.999Z");
    }
}
