//! The index of decisions: what happened to rollouts, as lines that Grafana's stock data source asks for annotations.

use serde_json::{Map, Value, json};

use super::{Failed, Looks, Source, as_list, fits, iso, known_keys, looks, only_query, window};
use crate::cli::clock::now;
use crate::cli::run::annotations::Annotation;
use crate::cli::run::searching::elastic::query::{Reader, TIME};
use crate::index::{Told, ToldRecord};
use crate::pipeline::decode::fields::FieldReader;
use crate::query::{self, Node};

/// Name of the index.
pub(in crate::cli::run) const DECISIONS: &str = "serin-decisions";
/// What a name with `*` begins with that means no other.
const BEGINS: &str = "serin-dec";
/// Fields of its lines.
const FIELDS: [&str; 11] =
    ["@timestamp", "kind", "rollout", "service", "control", "candidate", "verdict", "phase", "title", "text", "tags"];

/// Whether an index, as paths and headers name it (a name, several with commas, a list; with `*` for any text), is that of decisions.
///
/// # Errors
/// Decisions and lines in one question.
pub(super) fn is_named(index: &Value) -> Result<bool, Failed> {
    let names: Vec<&str> = match index {
        Value::String(names) => names.split(',').collect(),
        Value::Array(list) => list.iter().filter_map(Value::as_str).flat_map(|names| names.split(',')).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => Vec::new(),
    };
    // Any other name, and what fits others as well, stands for all lines.
    let is_one = |name: &&str| name.starts_with(BEGINS) && fits(name, DECISIONS);
    match names.iter().filter(|name| is_one(name)).count() {
        0 => Ok(false),
        some if some == names.len() => Ok(true),
        _ => Err(Failed::of(400, "illegal_argument_exception", &format!("[{DECISIONS}] is asked apart from lines"))),
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

/// A mark that matches.
struct Chosen<'c> {
    /// Its number among all.
    number: u64,
    mark: &'c Annotation,
    source: Value,
}

fn hit(number: u64, mark: &Annotation, source: Value, looks: &Looks) -> Value {
    let ms = mark.at.0.div_euclid(1_000);
    let mut hit = json!({ "_index": DECISIONS, "_id": format!("{ms}.{number}"), "_score": null, "sort": [ms] });
    let Some(out) = hit.as_object_mut() else { return hit };
    let of = |name: &String| Some((name.clone(), source.get(name)?.clone()));
    let fields: Map<String, Value> = FIELDS
        .iter()
        .filter(|name| looks.fields.iter().any(|wanted| fits(&wanted.name, name)))
        .filter_map(|name| Some(((*name).to_owned(), as_list(source.get(*name)?))))
        .collect();
    if !fields.is_empty() {
        out.insert("fields".to_owned(), Value::Object(fields));
    }
    match &looks.source {
        Source::None => {}
        Source::Fields(list) => {
            out.insert("_source".to_owned(), Value::Object(list.iter().filter_map(of).collect()));
        }
        Source::All => {
            out.insert("_source".to_owned(), source);
        }
    }
    hit
}

/// The order of hits: by time, and nothing else.
fn is_oldest_first(sort: Option<&Value>) -> Result<bool, Failed> {
    let list = match sort {
        None | Some(Value::Null) => return Ok(false),
        Some(Value::Array(list)) => list.iter().collect(),
        Some(one) => vec![one],
    };
    let mut first = None;
    for one in list {
        let named: Vec<(&str, &str)> = match one {
            Value::String(text) => vec![text.split_once(':').unwrap_or((text, "asc"))],
            Value::Object(fields) => {
                let way = |of: &'_ Value| -> Option<String> {
                    of.as_str().or_else(|| of.get("order")?.as_str()).map(str::to_owned)
                };
                if let [(name, of)] = fields.iter().collect::<Vec<_>>().as_slice() {
                    match way(of).as_deref() {
                        Some("desc") => vec![(name.as_str(), "desc")],
                        None | Some("asc") => vec![(name.as_str(), "asc")],
                        Some(_) => vec![(name.as_str(), "")],
                    }
                } else {
                    Vec::new()
                }
            }
            _ => Vec::new(),
        };
        match named.as_slice() {
            [("_doc" | "_score" | "_shard_doc", _)] => {}
            [("@timestamp", way @ ("asc" | "desc"))] => {
                first.get_or_insert(*way == "asc");
            }
            _ => {
                let words = format!("[{DECISIONS}] is sorted by [@timestamp], asc or desc; not by {one}");
                return Err(Failed::of(400, "illegal_argument_exception", &words));
            }
        }
    }
    Ok(first.unwrap_or(false))
}

/// What happened to rollouts.
pub(super) struct Decisions<'d> {
    pub marks: &'d [Annotation],
}

impl Decisions<'_> {
    /// Marks that match, the oldest first.
    fn chosen(&self, body: &Map<String, Value>) -> Result<Vec<Chosen<'_>>, Failed> {
        let times = super::figures::times(std::iter::empty());
        let kinds = [("title", "message"), ("text", "message")].map(|(name, kind)| (name.to_owned(), kind)).into();
        let mut reader = Reader::new(&times, &kinds, now());
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
        for (position, mark) in (0u64..).zip(self.marks) {
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
                chosen.push(Chosen { number: position, mark, source });
            }
        }
        Ok(chosen)
    }

    /// How many match.
    pub(super) fn count(&self, body: &Map<String, Value>) -> Result<Value, Failed> {
        only_query(body)?;
        Ok(json!({ "count": self.chosen(body)?.len(), "_shards": super::shards(None) }))
    }

    /// Those that match, the newest first unless `sort` says otherwise; figures of them are not to be had.
    pub(super) fn search(&self, body: &Map<String, Value>) -> Result<Value, Failed> {
        known_keys(body)?;
        if let Some(name) = ["aggs", "aggregations", "search_after"].iter().find(|name| body.contains_key(**name)) {
            return Err(Failed::parsing(&format!("[{name}] is not supported on [{DECISIONS}]")));
        }
        let (from, size) = window(body)?;
        let looks = looks(body)?;
        let mut chosen = self.chosen(body)?;
        let total = chosen.len();
        if !is_oldest_first(body.get("sort"))? {
            chosen.reverse();
        }
        let hits: Vec<Value> = chosen
            .into_iter()
            .skip(from)
            .take(size)
            .map(|Chosen { number, mark, source }| hit(number, mark, source, &looks))
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
}

/// What its lines have.
pub(super) fn kinds() -> impl Iterator<Item = (&'static str, &'static str)> {
    FIELDS.into_iter().map(|name| {
        let kind = match name {
            "@timestamp" => "date",
            "title" | "text" => "text",
            _ => "keyword",
        };
        (name, kind)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decisions_are_an_index_of_their_own() {
        for (index, expect) in [
            (json!("serin-decisions"), Some(true)),
            (json!(["serin-decisions"]), Some(true)),
            (json!("serin-dec*"), Some(true)),
            (json!("serin-*"), Some(false)),
            (json!("logs,other"), Some(false)),
            (json!(null), Some(false)),
            (json!("serin-decisions,serin"), None),
            (json!(["serin-decisions", "logs-*"]), None),
        ] {
            assert_eq!(is_named(&index).ok(), expect, "{index}");
        }
    }

    #[test]
    fn marks_are_sorted_by_time_or_not_at_all() {
        for (sort, expect) in [
            (json!(null), Some(false)),
            (json!("@timestamp"), Some(true)),
            (json!(["@timestamp:desc"]), Some(false)),
            (
                json!([{ "@timestamp": { "order": "desc", "unmapped_type": "boolean" } }, { "_doc": { "order": "desc" } }]),
                Some(false),
            ),
            (json!([{ "@timestamp": "asc" }]), Some(true)),
            (json!([{ "kind": "asc" }]), None),
            (json!("nonsense"), None),
            (json!([{ "@timestamp": "up" }]), None),
            (json!([5]), None),
        ] {
            assert_eq!(is_oldest_first(Some(&sort)).ok(), expect, "{sort}");
        }
    }
}
