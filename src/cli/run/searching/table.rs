//! Figures over HTTP.

use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::cli::compare;
use crate::cli::run::http::Shared;
use crate::cli::run::searching::api::{Refusal, damaged, given, problem, run, tree};
use crate::index::{Counted, Figure, Group, Index, Metric, UNIT};
use crate::query::suggest;
use crate::time::{HOUR, MINUTE, Micros, SECOND, Timestamp};

/// Fields that make groups.
const BY_MAX: usize = 4;
/// Bounds of ranges.
const RANGES_MAX: usize = 64;
/// Groups that are listed: usual, and most.
const SIZE: usize = 100;
const SIZE_MAX: usize = 10_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Figures {
    q: Option<String>,
    since: Option<String>,
    until: Option<String>,
    /// Fields, with commas.
    by: Option<String>,
    /// A field of numbers and bounds: `_latency:100,500`.
    ranges: Option<String>,
    /// Length of a stretch of time.
    every: Option<String>,
    /// `Z`, or an offset like `+02:00`.
    zone: Option<String>,
    /// Field of numbers, and which quantiles of it.
    quantiles: Option<String>,
    shares: Option<String>,
    /// Field whose distinct values are counted.
    distinct: Option<String>,
    /// Field of numbers.
    stats: Option<String>,
    size: Option<usize>,
    timeout: Option<f64>,
}

/// An offset from UTC.
pub(super) fn zone(text: &str) -> Option<Micros> {
    if text == "Z" {
        return Some(0);
    }
    let (sign, rest) = match text.as_bytes().first()? {
        b'+' => (1, text.get(1..)?),
        b'-' => (-1, text.get(1..)?),
        _ => return None,
    };
    let (hours, minutes) = rest.split_once(':')?;
    let number = |text: &str| (text.len() == 2).then(|| text.parse::<i64>().ok()).flatten();
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    ((0..=14).contains(&hours) && (0..60).contains(&minutes)).then(|| sign * (hours * HOUR + minutes * MINUTE))
}

/// A path as a query would read it: a role's fields are asked for by their path.
fn path(text: &str) -> Result<String, Refusal> {
    if text.is_empty() { Err(problem(StatusCode::BAD_REQUEST, "a field is missing")) } else { Ok(text.to_owned()) }
}

/// A field of numbers, and bounds of its values.
fn ranges(text: &str) -> Result<(String, Vec<f64>), Refusal> {
    let refuse = || {
        let words = format!("ranges: a field and at most {RANGES_MAX} numbers that rise, like _latency:100,500");
        problem(StatusCode::BAD_REQUEST, &words)
    };
    let (field, bounds) = text.rsplit_once(':').ok_or_else(refuse)?;
    let bounds = bounds.split(',').map(|bound| bound.trim().parse::<f64>().ok().filter(|bound| bound.is_finite()));
    let bounds: Vec<f64> = bounds.collect::<Option<_>>().ok_or_else(refuse)?;
    let rise = bounds.windows(2).all(|pair| pair[0] < pair[1]);
    if !rise || bounds.len() > RANGES_MAX {
        return Err(refuse());
    }
    Ok((path(field)?, bounds))
}

pub(super) async fn aggregate(
    State(shared): State<Arc<Shared>>,
    asked: Result<Parameters<Figures>, QueryRejection>,
) -> Result<Response, Refusal> {
    let asked = given(asked)?;
    let refuse = |words: &str| problem(StatusCode::BAD_REQUEST, words);
    let by: Vec<String> = match &asked.by {
        None => Vec::new(),
        Some(list) => list.split(',').map(path).collect::<Result<_, _>>()?,
    };
    if by.len() > BY_MAX {
        return Err(refuse(&format!("by: at most {BY_MAX} fields")));
    }
    let ranges = asked.ranges.as_deref().map(ranges).transpose()?;
    let mut keys: Vec<&str> = by.iter().chain(ranges.iter().map(|(field, _)| field)).map(String::as_str).collect();
    keys.sort_unstable();
    if let Some(pair) = keys.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(refuse(&format!(
            "by, ranges: `{}` is there twice, and the keys of groups have one place for it",
            pair[0]
        )));
    }
    let ahead = match &asked.zone {
        None => 0,
        Some(_) if asked.every.is_none() => return Err(refuse("zone: only with every")),
        Some(text) => {
            zone(text).ok_or_else(|| refuse("zone: Z, or an offset like +02:00; names of zones are not known"))?
        }
    };
    let every = match &asked.every {
        None => None,
        Some(text) => {
            let every = compare::duration(text).map_err(|error| refuse(&format!("every: {error:#}")))?;
            if every < SECOND {
                return Err(refuse("every: at least 1s"));
            }
            Some((every, ahead))
        }
    };
    let mut metrics = Vec::new();
    if let Some(field) = &asked.quantiles {
        let shares = asked.shares.as_deref().unwrap_or("0.5,0.9,0.99").split(',').map(|share| {
            let share = share.parse::<f64>().ok().filter(|share| (0.0..=1.0).contains(share));
            share.ok_or_else(|| refuse("shares: numbers from 0 to 1, with commas"))
        });
        metrics.push(Metric::Quantiles(path(field)?, shares.collect::<Result<_, _>>()?));
    } else if asked.shares.is_some() {
        return Err(refuse("shares: only with quantiles"));
    }
    if let Some(field) = &asked.distinct {
        metrics.push(Metric::Distinct(path(field)?));
    }
    if let Some(field) = &asked.stats {
        metrics.push(Metric::Stats(path(field)?));
    }
    let size = asked.size.unwrap_or(SIZE);
    if size > SIZE_MAX {
        return Err(refuse(&format!("size: at most {SIZE_MAX}")));
    }
    let began = Instant::now();
    let of = Arc::clone(&shared);
    let (of_by, of_metrics, of_ranges) = (by.clone(), metrics.clone(), ranges.clone());
    let table = run(&shared, asked.timeout, move |index, stop| {
        let query = asked.q.as_deref().unwrap_or("*");
        let tree = tree(&of, index, query, (asked.since.as_deref(), asked.until.as_deref()))?;
        let metrics = of_metrics.as_slice();
        let of_field = of_ranges.iter().map(|(field, _)| field);
        let fields = of_by.iter().chain(of_field.clone()).map(String::as_str);
        are_fields(index, fields.chain(metrics.iter().map(Metric::field)))?;
        let of_numbers = metrics.iter().filter_map(|metric| match metric {
            Metric::Quantiles(field, _) => Some((field.as_str(), false)),
            Metric::Stats(field) => Some((field.as_str(), true)),
            Metric::Distinct(_) | Metric::Values(_) => None,
        });
        are_numbers(index, of_field.map(|field| (field.as_str(), true)).chain(of_numbers))?;
        let ranges = of_ranges.as_ref().map(|(field, bounds)| (field.as_str(), bounds.as_slice()));
        index
            .aggregate(&Counted { tree: &tree, by: &of_by, ranges, every, metrics, stop })
            .map_err(|error| damaged(&error))
    })
    .await??;
    let listed = table.groups.len().min(size);
    let mut groups = table.groups;
    if groups.len() > size && every.is_some() {
        // In order of time those with most lines are not in front.
        groups.sort_by_key(|group| std::cmp::Reverse(group.lines));
        groups.truncate(size);
        groups.sort_by_key(|group| group.from);
    }
    groups.truncate(size);
    let mut by = by;
    by.extend(ranges.map(|(field, _)| field));
    let listed_lines: u64 = groups.iter().map(|group| group.lines).sum();
    let body = json!({
        "groups": groups.iter().map(|group| group_json(group, &by, &metrics)).collect::<Vec<_>>(),
        "lines": table.lines,
        "kept": table.kept,
        "is_estimate": table.is_estimate,
        "listed": listed,
        "lines_of_others": if by.is_empty() && every.is_none() { 0 } else { table.lines.saturating_sub(listed_lines) },
        "partial": table.partial.as_ref().map(|partial| partial.name()),
        "took_ms": began.elapsed().as_secs_f64() * 1e3,
    });
    Ok(axum::Json(body).into_response())
}

/// Names are checked as those of queries are.
pub(super) fn are_fields<'f>(index: &Index, mut names: impl Iterator<Item = &'f str>) -> Result<(), Refusal> {
    let known = index.fields().map_err(|error| damaged(&error))?;
    let is_known = |name: &&str| *name == UNIT || known.iter().any(|field| field.path == **name);
    let Some(name) = names.find(|name| !is_known(name)) else { return Ok(()) };
    let meant = suggest(name, known.iter().map(|field| field.path.as_str()));
    let help = meant.map(|meant| format!("; did you mean `{meant}`?")).unwrap_or_default();
    Err(problem(StatusCode::BAD_REQUEST, &format!("no line has a field `{name}`{help}")))
}

/// Fields whose values are put in order or summed hold numbers, or times where those are taken as well.
fn are_numbers<'f>(index: &Index, mut names: impl Iterator<Item = (&'f str, bool)>) -> Result<(), Refusal> {
    let known = index.fields().map_err(|error| damaged(&error))?;
    names.try_for_each(|(name, takes_times)| {
        let Some(field) = known.iter().find(|field| field.path == name) else { return Ok(()) };
        if !takes_times && (name == "_time" || field.kind == "date") {
            let words = "quantiles: of numbers; of times they would be months off. `every` counts lines by time";
            return Err(problem(StatusCode::BAD_REQUEST, words));
        }
        if index.may_be_number(field).map_err(|error| damaged(&error))? {
            return Ok(());
        }
        Err(problem(StatusCode::BAD_REQUEST, &format!("a field of numbers is needed, and `{name}` holds none")))
    })
}

fn group_json(group: &Group, by: &[String], metrics: &[Metric]) -> Value {
    let mut out = Map::new();
    if let Some(from) = group.from {
        out.insert("from".to_owned(), Value::from(Timestamp(from).to_string()));
    }
    let key: Map<String, Value> =
        by.iter().zip(&group.key).map(|(name, value)| (name.clone(), Value::from(value.as_deref()))).collect();
    out.insert("key".to_owned(), Value::Object(key));
    out.insert("lines".to_owned(), Value::from(group.lines));
    out.insert("kept".to_owned(), Value::from(group.kept));
    for (figure, metric) in group.figures.iter().zip(metrics) {
        let (name, value) = match (figure, metric) {
            (Figure::Distinct(count), _) => ("distinct", Value::from(*count)),
            (Figure::Quantiles(values), Metric::Quantiles(_, shares)) => {
                let values = shares.iter().zip(values).map(|(share, value)| (share.to_string(), Value::from(*value)));
                ("quantiles", Value::Object(values.collect()))
            }
            (Figure::Quantiles(values), Metric::Distinct(_) | Metric::Stats(_) | Metric::Values(_)) => {
                ("quantiles", Value::from(values.clone()))
            }
            (Figure::Values(count), _) => ("values", Value::from(*count)),
            (Figure::Stats { count: 0, .. }, _) => ("stats", json!({ "count": 0 })),
            (Figure::Stats { count, min, max, sum }, _) => {
                let mean = sum / *count as f64;
                ("stats", json!({ "count": count, "min": min, "max": max, "sum": sum, "mean": mean }))
            }
        };
        out.insert(name.to_owned(), value);
    }
    Value::Object(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zones_are_offsets() {
        for (text, expect) in [
            ("Z", Some(0)),
            ("+02:00", Some(2 * HOUR)),
            ("-03:30", Some(-3 * HOUR - 30 * MINUTE)),
            ("Europe/Berlin", None),
            ("+2:00", None),
            ("+15:00", None),
            ("", None),
        ] {
            assert_eq!(zone(text), expect, "{text}");
        }
    }
}
