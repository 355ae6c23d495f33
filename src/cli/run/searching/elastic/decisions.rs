//! The index of decisions: what happened to rollouts, as lines that Grafana's stock data source asks for annotations.

use serde_json::{Map, Value, json};

use super::{Context, Failed, INDEX, SIZE_MAX, iso};
use crate::cli::clock::now;
use crate::cli::run::annotations::Annotation;
use crate::cli::run::searching::elastic::query::{Reader, TIME};
use crate::index::{Told, ToldRecord};
use crate::pipeline::decode::fields::FieldReader;
use crate::query::{self, Node};

/// Name of the index.
pub(in crate::cli::run) const DECISIONS: &str = "serin-decisions";
/// Fields of its lines.
const FIELDS: [&str; 11] =
    ["@timestamp", "kind", "rollout", "service", "control", "candidate", "verdict", "phase", "title", "text", "tags"];

/// The name of one index, as paths and headers have it.
pub(super) fn is_named(index: &Value) -> bool {
    match index {
        Value::String(name) => name == DECISIONS,
        Value::Array(list) => !list.is_empty() && list.iter().all(is_named),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => false,
    }
}

fn source(mark: &Annotation) -> Value {
    json!({
        "@timestamp": iso(mark.at),
        "kind": mark.kind,
        "rollout": mark.rollout,
        "service": mark.services,
        "control": mark.control,
        "candidate": mark.candidate,
        "verdict": mark.verdict,
        "phase": mark.phase,
        "title": mark.title,
        "text": mark.text,
        "tags": mark.tags(),
    })
}

/// Words without a field are looked for in what a person reads.
fn in_words(node: Node) -> Node {
    match node {
        Node::All => Node::All,
        Node::And(nodes) => Node::And(nodes.into_iter().map(in_words).collect()),
        Node::Or(nodes) => Node::Or(nodes.into_iter().map(in_words).collect()),
        Node::Not(node) => Node::Not(Box::new(in_words(*node))),
        Node::Is(path, condition) if path == query::MESSAGE => {
            let of = |name: &str| Node::Is(name.to_owned(), condition.clone());
            Node::Or(vec![of("title"), of("text")])
        }
        Node::Is(path, condition) => Node::Is(path, condition),
    }
}

impl Context<'_> {
    /// Marks that match, with their lines, the oldest first.
    fn chosen(&self, body: &Map<String, Value>) -> Result<Vec<(&Annotation, Value)>, Failed> {
        let times = super::figures::times(std::iter::empty());
        let mut reader = Reader::new(&times, now());
        let tree = match body.get("query").filter(|query| !query.is_null()) {
            None => Node::All,
            Some(query) => in_words(reader.node(query)?),
        };
        let mut unknown = None;
        tree.visit(&mut |path| {
            if path != TIME && !FIELDS.contains(&path) {
                unknown.get_or_insert_with(|| path.to_owned());
            }
        });
        if let Some(name) = unknown {
            return Err(Failed::no_field(&name, FIELDS.into_iter()));
        }
        let mut fields = FieldReader::default();
        let mut chosen = Vec::new();
        for (position, mark) in (0u64..).zip(self.decisions) {
            let source = source(mark);
            let line = source.to_string();
            let read = fields.read(&line).unwrap_or_default();
            let record = ToldRecord {
                line: &line,
                fields: Some(fields.record(&read, DECISIONS)),
                told: Told::none(mark.at, None),
                stream: DECISIONS,
                position,
            };
            if tree.matches(&record) {
                chosen.push((mark, source));
            }
        }
        Ok(chosen)
    }

    /// How many match.
    pub(super) fn count_decisions(&self, body: &Map<String, Value>) -> Result<Value, Failed> {
        Ok(json!({ "count": self.chosen(body)?.len(), "_shards": super::shards(None) }))
    }

    /// Those that match, the newest first unless `sort` says otherwise; figures of them are not to be had.
    pub(super) fn search_decisions(&self, body: &Map<String, Value>) -> Result<Value, Failed> {
        if let Some(name) = ["aggs", "aggregations", "search_after"].iter().find(|name| body.contains_key(**name)) {
            return Err(Failed::parsing(&format!("[{name}] is not supported on [{DECISIONS}]")));
        }
        let mut chosen = self.chosen(body)?;
        let total = chosen.len();
        let sort = body.get("sort").map(Value::to_string).unwrap_or_default();
        if !sort.contains("\"asc\"") && sort != "[\"@timestamp\"]" {
            chosen.reverse();
        }
        let number = |name: &str, usual: usize| {
            body.get(name).and_then(Value::as_u64).and_then(|number| usize::try_from(number).ok()).unwrap_or(usual)
        };
        let (size, from) = (number("size", 10).min(SIZE_MAX), number("from", 0));
        let hits: Vec<Value> = chosen
            .into_iter()
            .enumerate()
            .skip(from)
            .take(size)
            .map(|(number, (mark, source))| {
                let ms = mark.at.0.div_euclid(1_000);
                json!({
                    "_index": DECISIONS, "_id": format!("{ms}.{number}"), "_score": null, "sort": [ms],
                    "fields": { "@timestamp": [iso(mark.at)] }, "_source": source,
                })
            })
            .collect();
        let total = match body.get("rest_total_hits_as_int") {
            Some(Value::Bool(true)) => json!(total),
            _ => json!({ "value": total, "relation": "eq" }),
        };
        Ok(json!({
            "took": 0, "timed_out": false, "_shards": super::shards(None),
            "hits": { "total": total, "max_score": null, "hits": hits },
        }))
    }

    /// What its lines have.
    pub(super) fn decision_kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
        FIELDS.into_iter().map(|name| {
            let kind = match name {
                "@timestamp" => "date",
                "title" | "text" => "text",
                _ => "keyword",
            };
            (name, kind)
        })
    }
}

/// The name under which a question about an index is answered.
pub(super) fn shown_name(is_decisions: bool) -> &'static str {
    if is_decisions { DECISIONS } else { INDEX }
}
