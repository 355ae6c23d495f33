//! `GET /v1/shares`: of the units of each group (a version, an arm, a region) the share that meets something, with its interval.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::run::http::Shared;
use crate::cli::run::searching::api::{Refusal, damaged, given, problem, run, tree};
use crate::cli::run::searching::table::are_fields;
use crate::index::{Counted, Figure, Index, Metric, UNIT};
use crate::query::Node;

/// What units are to meet, where nothing is said: a failed request.
const FAILED: &str = "_kind:request AND _failed:true";
/// Of which units, where nothing is said: those that requested something.
const REQUESTS: &str = "_kind:request";
/// Quantile of the normal distribution for intervals of 95 %.
const Z: f64 = 1.959_963_984_540_054;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Shares {
    /// Whose units; requests, where nothing is said.
    q: Option<String>,
    /// What they meet.
    of: Option<String>,
    since: Option<String>,
    until: Option<String>,
    /// Field of the groups.
    by: Option<String>,
    timeout: Option<f64>,
    /// Where they come from.
    from: Option<From>,
}

/// Where shares come from.
#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum From {
    /// Lines that are kept.
    Index,
    /// The counters of verdicts.
    Counters,
}

/// Interval of a share at 95 % (Wilson 1927), from `k` of `n`.
fn interval(k: u64, n: u64) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (n, share) = (n as f64, k as f64 / n as f64);
    let middle = share + Z * Z / (2.0 * n);
    let width = Z * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + Z * Z / n;
    (((middle - width) / scale).max(0.0), ((middle + width) / scale).min(1.0))
}

/// Distinct units of a group, and the variance that comes from lines that were left out.
type Units = (u64, f64);

/// Interval of a share of units that were counted, or of which some stand for others: the one of the counts, and as much wider as the number
/// of all units may be off at 95 %.
fn widened(met: u64, (units, variance): Units) -> (f64, f64) {
    let (low, high) = interval(met, units);
    let off = Z * variance.sqrt() / (units.max(1) as f64);
    (low / (1.0 + off), if off < 1.0 { (high / (1.0 - off)).min(1.0) } else { 1.0 })
}

/// What was counted of each group.
struct OfGroups {
    units: BTreeMap<String, Units>,
    partial: Option<&'static str>,
    is_estimate: bool,
}

/// Distinct units by group.
fn units(index: &Index, tree: &Node, by: &[String], stop: &dyn Fn() -> bool) -> tantivy::Result<OfGroups> {
    let metrics = [Metric::Distinct(UNIT.to_owned())];
    let table = index.aggregate(&Counted { tree, by, ranges: None, every: None, metrics: &metrics, stop })?;
    let partial = table.partial.as_ref().map(|partial| partial.name());
    let partial = partial.or((table.not_listed > 0).then_some("matches"));
    let of = |figures: &[Figure]| match figures.first() {
        Some(Figure::Distinct(count)) => *count,
        Some(Figure::Quantiles(_) | Figure::Stats { .. } | Figure::Values(_)) | None => 0,
    };
    let list = table.groups.iter().filter_map(|group| {
        let key = if by.is_empty() { Some(String::new()) } else { group.key.first().cloned().flatten() };
        Some((key?, (of(&group.figures), group.variance)))
    });
    Ok(OfGroups { units: list.collect(), partial, is_estimate: table.is_estimate })
}

/// Shares as verdicts count them.
fn of_counters(shared: &Shared, began: Instant) -> Result<Response, Refusal> {
    let Some(shares) = shared.shares() else {
        return Err(problem(StatusCode::SERVICE_UNAVAILABLE, "there is no report yet"));
    };
    let comparisons: Vec<Value> = shares.iter().map(|of| of.to_json(interval)).collect();
    let took = began.elapsed().as_secs_f64() * 1e3;
    Ok(axum::Json(json!({ "comparisons": comparisons, "took_ms": took })).into_response())
}

pub(super) async fn shares(
    State(shared): State<Arc<Shared>>,
    asked: Result<Parameters<Shares>, QueryRejection>,
) -> Result<Response, Refusal> {
    let asked = given(asked)?;
    let began = Instant::now();
    if asked.from == Some(From::Counters) {
        let others = [&asked.q, &asked.of, &asked.since, &asked.until, &asked.by];
        if others.iter().any(|other| other.is_some()) || asked.timeout.is_some() {
            return Err(problem(
                StatusCode::BAD_REQUEST,
                "from=counters: these are of each comparison, from its beginning; leave the other parameters out",
            ));
        }
        return of_counters(&shared, began);
    }
    let by: Vec<String> = asked.by.iter().cloned().collect();
    if by.iter().any(String::is_empty) {
        return Err(problem(StatusCode::BAD_REQUEST, "by: a field is missing"));
    }
    let of = Arc::clone(&shared);
    let body = run(&shared, asked.timeout, move |index, stop| {
        let times = (asked.since.as_deref(), asked.until.as_deref());
        let all = tree(&of, index, asked.q.as_deref().unwrap_or(REQUESTS), times)?;
        let met = tree(&of, index, asked.of.as_deref().unwrap_or(FAILED), (None, None))?;
        are_fields(index, by.iter().map(String::as_str))?;
        let all_units = units(index, &all, &by, stop).map_err(|error| damaged(&error))?;
        let both = Node::And(vec![all, met]);
        let met_units = units(index, &both, &by, stop).map_err(|error| damaged(&error))?;
        let group = |(key, of_key): (&String, &Units)| {
            let (units, variance) = *of_key;
            // Both are counts of hashes, so that of the part may be greater by collisions of the whole.
            let (met, of_met) = met_units.units.get(key).copied().unwrap_or((0, 0.0));
            let met = met.min(units);
            let (low, high) = widened(met, (units, variance + of_met));
            let share = (units > 0).then(|| met as f64 / units as f64);
            let key = if by.is_empty() { Value::Null } else { Value::from(key.as_str()) };
            json!({ "key": key, "units": units, "met": met, "share": share, "low": low, "high": high })
        };
        let groups: Vec<Value> = all_units.units.iter().map(group).collect();
        let took = began.elapsed().as_secs_f64() * 1e3;
        Ok::<_, Refusal>(json!({
            "groups": groups,
            "partial": all_units.partial.or(met_units.partial),
            "is_estimate": all_units.is_estimate || met_units.is_estimate,
            "took_ms": took,
        }))
    })
    .await??;
    Ok(axum::Json(body).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Figures of the formula, computed apart.
    #[test]
    fn intervals_are_those_of_wilson() {
        for ((k, n), (low, high)) in [
            ((0, 10), (0.0, 0.277_532_8)),
            ((5, 10), (0.236_593_1, 0.763_406_9)),
            ((10, 10), (0.722_467_2, 1.0)),
            ((1, 1_000), (0.000_176_5, 0.005_642_6)),
        ] {
            let found = interval(k, n);
            assert!((found.0 - low).abs() < 1e-5 && (found.1 - high).abs() < 1e-5, "{k} of {n}: {found:?}");
        }
    }
}
