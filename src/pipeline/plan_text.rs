//! A plan as JSON, for the first entry of a ledger, and back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::event::{SEGMENT_FIELDS_MAX, ServiceKey};
use crate::pipeline::clock::Zone;
use crate::pipeline::metric;
use crate::pipeline::plan::{
    ArmRule, CONVERSIONS_MAX, Conversions, FieldRef, Mark, Plan, RequestSource, TIMES_MAX, UnitKind, WorkForm,
};
use crate::pipeline::prepare::{self, Preparation};
use crate::pipeline::roles::{LatencyUnit, Role};
use crate::pipeline::shape::table::{TABLES_MAX, Table};
use crate::query::Query;
use crate::time::{Timestamp, Windowing};

/// The plan as JSON: names of fields, queries, numbers.
pub fn to_json(plan: &Plan) -> Value {
    let roles: Map<String, Value> = plan
        .roles
        .iter()
        .map(|(role, fields)| {
            let list: Vec<Value> = fields
                .iter()
                .map(|field| json!({ "path": field.path, "unit": field.unit.map(LatencyUnit::name) }))
                .collect();
            (role.name().to_owned(), Value::from(list))
        })
        .collect();
    let arms = match &plan.arms {
        ArmRule::None => json!({ "by": "none" }),
        ArmRule::Field(path) => json!({ "by": "field", "path": path }),
        ArmRule::PodTemplate { path, workloads } => {
            json!({ "by": "pod_template", "path": path, "workloads": workloads })
        }
        ArmRule::Queries { baseline, canary } => {
            json!({ "by": "queries", "baseline": baseline.source(), "canary": canary.source() })
        }
        ArmRule::Hash { share_ppm, seed } => json!({ "by": "hash", "share_ppm": share_ppm, "seed": seed }),
    };
    let sources: Vec<Value> = plan
        .sources
        .iter()
        .map(|(key, source)| json!({ "environment": key.environment, "service": key.service, "source": source.name() }))
        .collect();
    let w = &plan.windowing;
    let mut value = json!({
        "roles": roles,
        "unit": plan.unit.name(),
        "arms": arms,
        "sources": sources,
        "service": plan.service,
        "environment": plan.environment,
        "follow_traces": plan.follow_traces,
        "join_attempts": plan.join_attempts,
        "adds_duration": plan.adds_duration,
        "windowing": {
            "window_us": w.window,
            "lateness_us": w.lateness,
            "since_us": w.since.map(|t| t.0),
            "until_us": w.until.map(|t| t.0),
            "pair_bits": w.pair_bits,
            "trace_bits": w.trace_bits,
        },
    });
    if let (false, Some(fields)) = (plan.inside.is_empty(), value.as_object_mut()) {
        let mark = |mark: &Mark| json!({ "field": mark.path, "value": mark.value });
        let form = |form: &WorkForm| {
            let marks: Vec<Value> = form.marks.iter().map(mark).collect();
            json!({ "marks": marks, "lacks_status": form.lacks_status })
        };
        let of_service = |(key, forms): (&ServiceKey, &BTreeSet<WorkForm>)| {
            let forms: Vec<Value> = forms.iter().map(form).collect();
            json!({ "environment": key.environment, "service": key.service, "forms": forms })
        };
        fields.insert("inside".to_owned(), plan.inside.iter().map(of_service).collect());
    }
    if let (Some(from), Some(fields)) = (plan.years_from, value.as_object_mut()) {
        fields.insert("years_from_us".to_owned(), json!(from.0));
    }
    if let (false, Some(fields)) = (plan.zone.is_utc(), value.as_object_mut()) {
        fields.insert("zone".to_owned(), json!(plan.zone.name()));
    }
    if let (false, Some(fields)) = (plan.tables.is_empty(), value.as_object_mut()) {
        fields.insert("tables".to_owned(), plan.tables.iter().map(Table::to_json).collect());
    }
    if !plan.conversions.is_empty()
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("conversions".to_owned(), conversions_to_json(&plan.conversions));
    }
    if !plan.metrics.is_empty()
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("metrics".to_owned(), metric::to_json(&plan.metrics));
    }
    if !plan.segments.is_empty()
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("segments".to_owned(), json!(plan.segments));
    }
    if !plan.preparation.is_empty()
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("preparation".to_owned(), prepare::to_json(&plan.preparation));
    }
    value
}

/// Business events that are tested, as JSON.
pub fn conversions_to_json(conversions: &Conversions) -> Value {
    let mut value = json!({ "names": conversions.names, "field": conversions.field });
    if !conversions.harms.is_empty()
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("harms".to_owned(), json!(conversions.harms));
    }
    if !conversions.at_least.is_empty()
        && let Some(fields) = value.as_object_mut()
    {
        fields.insert("at_least".to_owned(), json!(conversions.at_least));
    }
    value
}

/// What [`conversions_to_json`] wrote; nothing where an object has no such key.
///
/// # Errors
/// [`BadPlan`] where it is something else.
pub fn conversions_from_json(value: Option<&Value>) -> Result<Conversions, BadPlan> {
    let Some(value) = value else { return Ok(Conversions::default()) };
    let bad = || BadPlan("conversions".to_owned());
    let names = value.get("names").and_then(Value::as_array).ok_or_else(bad)?;
    let names: Option<Vec<String>> = names.iter().map(|name| name.as_str().map(str::to_owned)).collect();
    let names = names.filter(|names| (1..=CONVERSIONS_MAX).contains(&names.len())).ok_or_else(bad)?;
    let harms = match value.get("harms") {
        None => Some(BTreeSet::new()),
        Some(list) => {
            list.as_array().and_then(|list| list.iter().map(|name| name.as_str().map(str::to_owned)).collect())
        }
    };
    let field = value.get("field").and_then(Value::as_str).map(str::to_owned);
    let at_least = match value.get("at_least") {
        None => Some(BTreeMap::new()),
        Some(of) => of.as_object().and_then(|of| {
            let times =
                |value: &Value| u16::try_from(value.as_u64()?).ok().filter(|times| (2..=TIMES_MAX).contains(times));
            of.iter().map(|(name, value)| Some((name.clone(), times(value)?))).collect()
        }),
    };
    Ok(Conversions { names, field, harms: harms.ok_or_else(bad)?, at_least: at_least.ok_or_else(bad)? })
}

/// Headers of tables; none where a plan has no such key.
fn tables_from_json(value: Option<&Value>) -> Result<Vec<Table>, BadPlan> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let tables: Option<Vec<Table>> = value.as_array().and_then(|list| list.iter().map(Table::from_json).collect());
    tables.filter(|tables| (1..=TABLES_MAX).contains(&tables.len())).ok_or_else(|| BadPlan("tables".to_owned()))
}

/// Fields whose values are segments; none where a plan has no such key.
fn segments_from_json(value: Option<&Value>) -> Result<Vec<String>, BadPlan> {
    let Some(value) = value else { return Ok(Vec::new()) };
    let fields = value.as_array().map(|list| list.iter().map(|field| field.as_str().map(str::to_owned)));
    let fields: Option<Vec<String>> = fields.and_then(Iterator::collect);
    fields
        .filter(|fields| (1..=SEGMENT_FIELDS_MAX).contains(&fields.len()))
        .ok_or_else(|| BadPlan("segments".to_owned()))
}

/// The zone of times that name none; UTC where a plan has no such key.
fn zone_from_json(value: Option<&Value>) -> Result<Zone, BadPlan> {
    let Some(value) = value else { return Ok(Zone::default()) };
    let zone = value.as_str().and_then(|name| Zone::parse(name).ok());
    zone.ok_or_else(|| BadPlan("zone".to_owned()))
}

/// What tells work inside requests; nothing where a plan has no such key.
fn inside_from_json(value: Option<&Value>) -> Result<BTreeMap<ServiceKey, BTreeSet<WorkForm>>, BadPlan> {
    let bad = || BadPlan("inside".to_owned());
    let Some(value) = value else { return Ok(BTreeMap::new()) };
    let text = |of: &Value, key: &str| of.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(bad);
    let mark = |of: &Value| {
        Ok(Mark { path: text(of, "field")?, value: of.get("value").and_then(Value::as_str).map(str::to_owned) })
    };
    let of_service = |of: &Value| {
        let key =
            ServiceKey { environment: text(of, "environment")?, cell: String::new(), service: text(of, "service")? };
        let forms = of.get("forms").and_then(Value::as_array).ok_or_else(bad)?;
        let form = |form: &Value| {
            // No marks would be those of every line.
            let marks =
                form.get("marks").and_then(Value::as_array).filter(|marks| !marks.is_empty()).ok_or_else(bad)?;
            let lacks_status = form.get("lacks_status").and_then(Value::as_bool).ok_or_else(bad)?;
            Ok(WorkForm { marks: marks.iter().map(mark).collect::<Result<_, BadPlan>>()?, lacks_status })
        };
        Ok((key, forms.iter().map(form).collect::<Result<BTreeSet<_>, BadPlan>>()?))
    };
    value.as_array().ok_or_else(bad)?.iter().map(of_service).collect()
}

/// What is done to lines; nothing where a plan has no such key.
fn preparation_from_json(value: Option<&Value>) -> Result<Preparation, BadPlan> {
    match value {
        None => Ok(Preparation::default()),
        Some(value) => prepare::from_json(value).ok_or_else(|| BadPlan("preparation".to_owned())),
    }
}

/// A plan that is not one.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the plan in the ledger is not one this version can read: {0}")]
pub struct BadPlan(pub String);

/// The plan of a ledger.
///
/// # Errors
/// [`BadPlan`] names the first field that is missing or wrong.
pub fn from_json(value: &Value) -> Result<Plan, BadPlan> {
    let bad = |what: &str| BadPlan(what.to_owned());
    let text = |value: &Value, key: &str| -> Result<String, BadPlan> {
        value.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(|| bad(key))
    };
    let optional = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
    let mut plan = Plan {
        roles: std::collections::BTreeMap::new(),
        unit: UnitKind::from_name(&text(value, "unit")?).ok_or_else(|| bad("unit"))?,
        arms: ArmRule::None,
        sources: std::collections::BTreeMap::new(),
        inside: inside_from_json(value.get("inside"))?,
        service: optional("service"),
        environment: optional("environment"),
        follow_traces: value.get("follow_traces").and_then(Value::as_bool).ok_or_else(|| bad("follow_traces"))?,
        join_attempts: value.get("join_attempts").and_then(Value::as_bool).ok_or_else(|| bad("join_attempts"))?,
        adds_duration: value.get("adds_duration").and_then(Value::as_bool).ok_or_else(|| bad("adds_duration"))?,
        years_from: value.get("years_from_us").and_then(Value::as_i64).map(Timestamp),
        zone: zone_from_json(value.get("zone"))?,
        tables: tables_from_json(value.get("tables"))?,
        conversions: conversions_from_json(value.get("conversions"))?,
        metrics: metric::from_json(value.get("metrics")).ok_or_else(|| bad("metrics"))?,
        segments: segments_from_json(value.get("segments"))?,
        preparation: preparation_from_json(value.get("preparation"))?,
        windowing: Windowing::default(),
    };
    for (name, list) in value.get("roles").and_then(Value::as_object).ok_or_else(|| bad("roles"))? {
        let role = Role::from_name(name).ok_or_else(|| bad(name))?;
        let mut fields = Vec::new();
        for field in list.as_array().ok_or_else(|| bad(name))? {
            let unit = match field.get("unit").and_then(Value::as_str) {
                Some(unit) => Some(LatencyUnit::from_name(unit).ok_or_else(|| bad(unit))?),
                None => None,
            };
            fields.push(FieldRef { path: text(field, "path")?, unit });
        }
        plan.roles.insert(role, fields);
    }
    let arms = value.get("arms").ok_or_else(|| bad("arms"))?;
    plan.arms = match text(arms, "by")?.as_str() {
        "none" => ArmRule::None,
        "field" => ArmRule::Field(text(arms, "path")?),
        "pod_template" => ArmRule::PodTemplate {
            path: text(arms, "path")?,
            workloads: arms
                .get("workloads")
                .and_then(Value::as_array)
                .and_then(|list| list.iter().map(|name| name.as_str().map(str::to_owned)).collect())
                .ok_or_else(|| bad("workloads"))?,
        },
        "queries" => {
            let query = |key: &str| -> Result<Query, BadPlan> {
                Query::parse(&text(arms, key)?).map_err(|error| BadPlan(format!("{key}: {error}")))
            };
            ArmRule::Queries { baseline: query("baseline")?, canary: query("canary")? }
        }
        "hash" => ArmRule::Hash {
            share_ppm: arms
                .get("share_ppm")
                .and_then(Value::as_u64)
                .and_then(|share| u32::try_from(share).ok())
                .ok_or_else(|| bad("share_ppm"))?,
            seed: text(arms, "seed")?,
        },
        _ => return Err(bad("arms.by")),
    };
    for source in value.get("sources").and_then(Value::as_array).ok_or_else(|| bad("sources"))? {
        let key = ServiceKey {
            environment: text(source, "environment")?,
            cell: String::new(),
            service: text(source, "service")?,
        };
        let found = RequestSource::from_name(&text(source, "source")?).ok_or_else(|| bad("source"))?;
        plan.sources.insert(key, found);
    }
    let w = value.get("windowing").ok_or_else(|| bad("windowing"))?;
    let number = |key: &str| w.get(key).and_then(Value::as_i64);
    let bits = |key: &str| number(key).and_then(|bits| u32::try_from(bits).ok()).ok_or_else(|| bad(key));
    plan.windowing = Windowing {
        window: number("window_us").filter(|w| *w > 0).ok_or_else(|| bad("window_us"))?,
        lateness: number("lateness_us").filter(|l| *l >= 0).ok_or_else(|| bad("lateness_us"))?,
        since: number("since_us").map(Timestamp),
        until: number("until_us").map(Timestamp),
        pair_bits: bits("pair_bits")?,
        trace_bits: bits("trace_bits")?,
    };
    Ok(plan)
}
