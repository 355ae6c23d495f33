//! The reading of a query as Elasticsearch's `bool`: for clusters that keep lines elsewhere, OpenSearch as well.
//!
//! Fields are to be mapped as keyword, number or date, and messages as text whose tokens are runs of letters, digits and `_`. Severities become
//! the words for them, since a cluster knows no order of those.

use serde_json::{Map, Value, json};

use crate::query::matcher::LEVEL_WORDS;
use crate::query::{Bound, Condition, Edge, Node, Pattern};

/// A query in Elasticsearch's DSL that finds what a tree does.
pub fn to_elastic(node: &Node) -> Value {
    let all = |nodes: &[Node]| nodes.iter().map(to_elastic).collect::<Vec<_>>();
    match node {
        Node::All => json!({ "match_all": {} }),
        Node::And(nodes) if nodes.is_empty() => json!({ "match_all": {} }),
        Node::And(nodes) => json!({ "bool": { "filter": all(nodes) } }),
        Node::Or(nodes) if nodes.is_empty() => json!({ "match_none": {} }),
        Node::Or(nodes) => json!({ "bool": { "should": all(nodes), "minimum_should_match": 1 } }),
        Node::Not(node) => json!({ "bool": { "must_not": [to_elastic(node)] } }),
        Node::Is(path, condition) => is(path, condition),
    }
}

fn is(path: &str, condition: &Condition) -> Value {
    match condition {
        Condition::Exists => json!({ "exists": { "field": path } }),
        Condition::Phrase(tokens) => json!({ "match_phrase": { path: { "query": tokens.join(" ") } } }),
        Condition::Equals(value) => json!({ "term": { path: { "value": value } } }),
        Condition::Wildcard(pattern) => json!({ "wildcard": { path: { "value": wildcard(pattern) } } }),
        Condition::Matches(expression) => json!({ "regexp": { path: { "value": expression.source } } }),
        Condition::Between(low, high) => between(path, low, high),
    }
}

/// Wildcards with nothing escaped but what means something in them.
fn wildcard(pattern: &Pattern) -> String {
    let char_of = |c: &Option<char>| match c {
        None => "?".to_owned(),
        Some(c @ ('*' | '?' | '\\')) => format!("\\{c}"),
        Some(c) => c.to_string(),
    };
    let runs: Vec<String> = pattern.runs.iter().map(|run| run.iter().map(char_of).collect()).collect();
    runs.join("*")
}

fn between(path: &str, low: &Edge, high: &Edge) -> Value {
    let levels = |edge: &Edge| matches!(edge, Edge::With(Bound::Level(..)) | Edge::Without(Bound::Level(..)));
    if levels(low) || levels(high) {
        let fits = |level: u8| {
            let above = match low {
                Edge::With(Bound::Level(bound, _)) => level >= *bound,
                Edge::Without(Bound::Level(bound, _)) => level > *bound,
                Edge::Open | Edge::With(_) | Edge::Without(_) => true,
            };
            let below = match high {
                Edge::With(Bound::Level(bound, _)) => level <= *bound,
                Edge::Without(Bound::Level(bound, _)) => level < *bound,
                Edge::Open | Edge::With(_) | Edge::Without(_) => true,
            };
            above && below
        };
        let known = LEVEL_WORDS.iter().filter(|(_, level)| fits(*level));
        let words: Vec<String> = known.flat_map(|(word, _)| [(*word).to_owned(), word.to_ascii_uppercase()]).collect();
        return json!({ "terms": { path: words } });
    }
    let mut range = Map::new();
    let mut put = |edge: &Edge, with: &str, without: &str| {
        let (name, bound) = match edge {
            Edge::Open => return,
            Edge::With(bound) => (with, bound),
            Edge::Without(bound) => (without, bound),
        };
        let value = match bound {
            Bound::Number(number) | Bound::Duration(number) => json!(number),
            Bound::Date(_, text) | Bound::Level(_, text) | Bound::Text(text) => json!(text),
        };
        range.insert(name.to_owned(), value);
    };
    put(low, "gte", "gt");
    put(high, "lte", "lt");
    json!({ "range": { path: range } })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;

    #[test]
    fn trees_are_clauses() {
        for (text, expect) in [
            ("*", json!({ "match_all": {} })),
            ("a:1", json!({ "term": { "a": { "value": "1" } } })),
            (
                "\"card declined\" AND NOT _exists_:test",
                json!({ "bool": { "filter": [
                    { "match_phrase": { "message": { "query": "card declined" } } },
                    { "bool": { "must_not": [{ "exists": { "field": "test" } }] } },
                ] } }),
            ),
            (
                "a:[400 TO 499} OR b:>250ms",
                json!({ "bool": { "should": [
                    { "range": { "a": { "gte": 400.0, "lt": 499.0 } } },
                    { "range": { "b": { "gt": 250.0 } } },
                ], "minimum_should_match": 1 } }),
            ),
            ("path:/api/*", json!({ "wildcard": { "path": { "value": "/api/*" } } })),
            ("path:/x.+/", json!({ "regexp": { "path": { "value": "x.+" } } })),
        ] {
            assert_eq!(to_elastic(Query::parse(text).unwrap().tree()), expect, "{text}");
        }
        let words = to_elastic(Query::parse("level>=error").unwrap().tree());
        let words: Vec<&str> = words["terms"]["level"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        assert!(words.contains(&"error") && words.contains(&"FATAL") && !words.contains(&"warn"), "{words:?}");
    }
}
