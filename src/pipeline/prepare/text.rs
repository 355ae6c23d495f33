//! A preparation as JSON, for the plan of a ledger, and back. The key is not told; by its fingerprint another one is refused.

use serde_json::{Map, Value, json};

use super::redact::{Key, Looks, Redact};
use super::{LinePattern, Preparation, Rule, STAGES_MAX, Stage, Words};
use crate::pipeline::clock::Zone;
use crate::query::Query;

/// A preparation as JSON.
pub fn to_json(preparation: &Preparation) -> Value {
    let stages: Vec<Value> = preparation.stages.iter().map(stage_to_json).collect();
    json!({ "stages": stages, "key": preparation.key.fingerprint() })
}

fn stage_to_json(stage: &Stage) -> Value {
    let patterns: Vec<&str> = stage.patterns.iter().map(LinePattern::source).collect();
    let rules: Vec<Value> = stage
        .rules
        .iter()
        .map(|rule| {
            let set: Vec<Value> = rule.set.iter().map(|(name, words)| json!([name, words.source()])).collect();
            json!({ "when": rule.when.as_ref().map(Query::source), "set": set })
        })
        .collect();
    let looks: Vec<&str> = stage.redact.looks.iter().map(|looks| looks.name()).collect();
    let mut value = json!({
        "name": stage.name,
        "streams": stage.streams,
        "patterns": patterns,
        "rules": rules,
        "redact": { "fields": stage.redact.fields, "hashed": stage.redact.hashed, "looks": looks },
    });
    if let (Some(zone), Some(fields)) = (&stage.zone, value.as_object_mut()) {
        fields.insert("zone".to_owned(), json!(zone.name()));
    }
    value
}

/// What [`to_json`] wrote, with a key that is still to be given ([`Preparation::unlock`]); `None` where it is something else.
pub fn from_json(value: &Value) -> Option<Preparation> {
    let stages = value.get("stages")?.as_array().filter(|list| list.len() <= STAGES_MAX)?;
    let stages = stages.iter().map(|stage| stage_from_json(stage.as_object()?)).collect::<Option<Vec<Stage>>>()?;
    Some(Preparation { stages, key: Key::told_by(value.get("key")?.as_str()?) })
}

fn stage_from_json(stage: &Map<String, Value>) -> Option<Stage> {
    let texts = |value: &Value| -> Option<Vec<String>> {
        value.as_array()?.iter().map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let redact = stage.get("redact")?;
    let looks = texts(redact.get("looks")?)?.iter().map(|name| Looks::from_name(name)).collect::<Option<_>>()?;
    Some(Stage {
        name: stage.get("name")?.as_str()?.to_owned(),
        streams: texts(stage.get("streams")?)?,
        patterns: texts(stage.get("patterns")?)?
            .iter()
            .map(|source| LinePattern::parse(source).ok())
            .collect::<Option<_>>()?,
        rules: stage.get("rules")?.as_array()?.iter().map(rule_from_json).collect::<Option<_>>()?,
        redact: Redact {
            fields: texts(redact.get("fields")?)?.into_iter().collect(),
            hashed: texts(redact.get("hashed")?)?.into_iter().collect(),
            looks,
        },
        zone: match stage.get("zone") {
            None => None,
            Some(zone) => Some(Zone::parse(zone.as_str()?).ok()?),
        },
    })
}

fn rule_from_json(rule: &Value) -> Option<Rule> {
    let when = match rule.get("when")? {
        Value::Null => None,
        when => Some(Query::parse(when.as_str()?).ok()?),
    };
    let set = rule.get("set")?.as_array()?.iter().map(|pair| {
        let pair = pair.as_array()?;
        let (name, words) = (pair.first()?.as_str()?, pair.get(1)?.as_str()?);
        Some((name.to_owned(), Words::parse(words).ok()?))
    });
    Some(Rule { when, set: set.collect::<Option<_>>()? })
}
