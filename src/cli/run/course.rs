//! The course of each comparison of the report, for charts: what its looks said, at most some hundred of them.

use std::sync::Arc;

use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::html::{Courses, Point};
use crate::cli::report::Row;
use crate::cli::report::{Effect, Report};
use crate::cli::run::http::Shared;
use crate::compare::verdict::{Cell, Finding};
use crate::engine::Engine;

/// What the looks of a comparison said.
#[derive(Clone, Debug)]
pub(super) struct CourseOf {
    service: String,
    control: String,
    candidate: String,
    points: Vec<Point>,
    /// The guardrail that a row in a list draws: what carries the verdict.
    leading: Option<usize>,
}

/// The courses of a report, in the order of its comparisons.
pub(super) fn of(report: &Report<'_>, engine: &Engine, courses: &Courses) -> Vec<CourseOf> {
    let places = engine
        .releases()
        .enumerate()
        .flat_map(|(release, (_, list))| list.numbered().map(move |(at, _)| (release, at)));
    let one = |(judged, (release, at)): (&crate::cli::report::Judged<'_>, (usize, usize))| {
        let mut points = courses.points(release, at).to_vec();
        // Whatever was left out: the last look is what the words of the report rest on.
        let last = Point::from_rows(judged.comparison, &judged.rows);
        match points.last_mut() {
            Some(end) if end.at >= last.at => *end = last,
            Some(_) | None => points.push(last),
        }
        CourseOf {
            service: judged.service.clone(),
            control: judged.comparison.control.clone(),
            candidate: judged.comparison.candidate.clone(),
            points,
            leading: leading(&judged.rows),
        }
    };
    report.comparisons.iter().zip(places).map(one).collect()
}

/// Points of a course that is drawn in a row of a list.
const SPARK_POINTS: usize = 30;
/// Courses that are drawn so, those that began last.
const SPARKS: usize = 500;

/// The row that carries a verdict: what regressed with most evidence, else the first that has an effect.
fn leading(rows: &[Row]) -> Option<usize> {
    let worst = rows.iter().filter(|row| row.finding == Finding::Regressed && row.effect.is_some());
    let row = worst.max_by(|a, b| a.log_e.total_cmp(&b.log_e)).or_else(|| rows.iter().find(|row| row.effect.is_some()));
    Cell::ALL.iter().position(|cell| row.is_some_and(|row| row.cell == *cell))
}

/// An effect as three numbers; `null` where one is infinite.
fn effect(effect: &Option<Effect>) -> Value {
    let Some(effect) = effect else { return Value::Null };
    let number = |value: f64| if value.is_finite() { Value::from(value) } else { Value::Null };
    let estimate = if effect.is_at_limit() { Value::Null } else { number(effect.estimate) };
    json!([number(effect.low), estimate, number(effect.high)])
}

pub(super) fn to_json(of: &CourseOf) -> Value {
    let point = |point: &Point| {
        json!({
            "at": point.at.to_string(),
            "log_sum": (point.log_sum * 1e6).round() / 1e6,
            "effects": point.effects.iter().map(effect).collect::<Vec<_>>(),
            "log_e": point.said.iter().map(|said| said.map(|(log_e, _)| (log_e * 1e6).round() / 1e6)).collect::<Vec<_>>(),
            "findings": point.said.iter().map(|said| said.map(|(_, finding)| finding.name())).collect::<Vec<_>>(),
        })
    };
    json!({
        "service": of.service,
        "control": of.control,
        "candidate": of.candidate,
        "leading": of.leading.map(|at| Cell::ALL.map(Cell::name)[at]),
        "guardrails": Cell::ALL.map(Cell::name),
        "points": of.points.iter().map(point).collect::<Vec<_>>(),
    })
}

/// A course as a row of a list draws it: one guardrail, few points.
fn spark(of: &CourseOf) -> Value {
    let step = of.points.len().div_ceil(SPARK_POINTS).max(1);
    let last = of.points.len().saturating_sub(1);
    let points = of.points.iter().enumerate().filter(|(at, _)| (last - at).is_multiple_of(step));
    let effects = points.map(|(_, point)| of.leading.and_then(|at| point.effects.get(at)).map_or(Value::Null, effect));
    json!({
        "service": of.service,
        "control": of.control,
        "candidate": of.candidate,
        "guardrail": of.leading.and_then(|at| Cell::ALL.get(at)).map(|cell| cell.name()),
        "effects": effects.collect::<Vec<_>>(),
    })
}

/// `GET /v1/sparks`.
pub(super) async fn sparks(State(shared): State<Arc<Shared>>) -> Response {
    let courses = shared.courses();
    let list: Vec<Value> = courses.iter().rev().take(SPARKS).map(spark).collect();
    axum::Json(json!({ "sparks": list })).into_response()
}

/// Which comparison.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    service: String,
    control: String,
    candidate: String,
}

/// `GET /v1/course`.
pub(super) async fn answer(State(shared): State<Arc<Shared>>, Query(asked): Query<Asked>) -> Response {
    let courses = shared.courses();
    // Of two that met again, the later.
    let found = courses
        .iter()
        .rev()
        .find(|of| (&of.service, &of.control, &of.candidate) == (&asked.service, &asked.control, &asked.candidate));
    match found {
        Some(found) => axum::Json(to_json(found)).into_response(),
        None => {
            let words = "the report has no such comparison; GET /v1/report lists them";
            (StatusCode::NOT_FOUND, axum::Json(json!({ "error": words }))).into_response()
        }
    }
}
