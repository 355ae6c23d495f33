//! What happened to rollouts, as marks on other programs' charts: a list of its own, and lines of an index that Grafana's stock data source
//! asks for annotations.

use std::collections::HashMap;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::run::api::{Api, problem};
use crate::cli::run::history::History;
use crate::outbox::is_found;
use crate::query::date_of;
use crate::time::{Micros, Timestamp};

/// A millisecond.
const MS: Micros = 1_000;
/// Marks of an answer: usual, and most.
const LIMIT: usize = 1_000;
const LIMIT_MAX: usize = 10_000;

/// A mark.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Annotation {
    /// When, in time of the log.
    pub at: Timestamp,
    /// `deploy` where a comparison began, `decision`, or `command`.
    pub kind: &'static str,
    /// Id of the rollout.
    pub rollout: String,
    /// Services, control and candidate, where something is compared.
    pub services: Vec<String>,
    pub control: String,
    pub candidate: String,
    /// How it stands since.
    pub verdict: String,
    pub phase: String,
    /// In a few words, and why.
    pub title: String,
    pub text: String,
}

impl Annotation {
    /// Words by which it is chosen.
    pub(super) fn tags(&self) -> Vec<&str> {
        let list = [self.kind, &self.rollout, &self.verdict].into_iter();
        list.chain(self.services.iter().map(String::as_str).filter(|service| *service != self.rollout)).collect()
    }

    fn json(&self) -> Value {
        json!({
            "time": self.at.0.div_euclid(MS),
            "title": self.title,
            "text": self.text,
            "tags": self.tags(),
            "kind": self.kind,
            "rollout": self.rollout,
            "control": self.control,
            "candidate": self.candidate,
            "verdict": self.verdict,
            "phase": self.phase,
        })
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What an event of a timeline is on a chart; `began`: it is the first of its attempt.
fn annotation(rollout: &str, body: &Value, began: bool) -> Option<Annotation> {
    let at = date_of(body["at"].as_str()?).map(Timestamp)?;
    let compared = body["compared"].as_array().map_or(&[][..], Vec::as_slice);
    let first = |name: &str| compared.first().map_or("", |of| text(&of[name])).to_owned();
    let (verdict, phase) = (text(&body["verdict"]).to_owned(), text(&body["phase"]).to_owned());
    let (control, candidate) = (first("control"), first("candidate"));
    let (kind, words) = if let Some(command) = body["command"].as_str() {
        ("command", format!("{command} by {}", text(&body["actor"])))
    } else if began && !candidate.is_empty() {
        ("deploy", format!("{candidate} beside {control}"))
    } else {
        let is_news = body["verdict"] != body["verdict_before"] || body["phase"] != body["phase_before"];
        let told: Vec<&str> = body["told"].as_array().into_iter().flatten().map(|told| text(&told["event"])).collect();
        if !is_news && told.is_empty() {
            return None;
        }
        let told = if told.is_empty() { String::new() } else { format!("; hooks: {}", told.join(", ")) };
        ("decision", format!("{}, {phase}{told}", verdict.to_uppercase()))
    };
    let services: Vec<String> = compared.iter().map(|of| text(&of["service"]).to_owned()).collect();
    // Who has not named a rollout knows it by its services.
    let name = if is_found(rollout) { services.join(", ") } else { rollout.to_owned() };
    let why = body["command_reason"].as_str().or(body["reason"].as_str()).unwrap_or_default();
    Some(Annotation {
        at,
        kind,
        rollout: rollout.to_owned(),
        services,
        control,
        candidate,
        verdict,
        phase,
        title: format!("{name}: {words}"),
        text: why.to_owned(),
    })
}

/// All that is remembered, the oldest first.
pub(super) fn all(history: &History) -> Vec<Annotation> {
    let mut attempts: HashMap<&str, &Value> = HashMap::new();
    let marks = history.each().filter_map(|(rollout, body)| {
        let began = attempts.insert(rollout, &body["attempt"]) != Some(&body["attempt"]);
        annotation(rollout, body, began)
    });
    marks.collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Asked {
    /// Milliseconds since 1970, as Grafana writes `${__from}`, or RFC 3339.
    from: Option<String>,
    to: Option<String>,
    rollout: Option<String>,
    kind: Option<String>,
    limit: Option<usize>,
}

fn time(text: &str) -> Option<Timestamp> {
    match text.parse::<i64>() {
        Ok(ms) => ms.checked_mul(MS).map(Timestamp),
        Err(_) => date_of(text).map(Timestamp),
    }
}

/// The newest marks, in order of time.
pub(super) async fn answer(State(api): State<Api>, asked: Result<Query<Asked>, QueryRejection>) -> Response {
    let asked = match asked {
        Ok(Query(asked)) => asked,
        Err(error) => return problem(StatusCode::BAD_REQUEST, &error.body_text()),
    };
    let (from, to) = (asked.from.as_deref().map(time), asked.to.as_deref().map(time));
    if from == Some(None) || to == Some(None) {
        return problem(StatusCode::BAD_REQUEST, "from, to: milliseconds since 1970, or RFC 3339");
    }
    let (from, to) = (from.flatten(), to.flatten());
    let limit = asked.limit.unwrap_or(LIMIT);
    if limit > LIMIT_MAX {
        return problem(StatusCode::BAD_REQUEST, &format!("limit: at most {LIMIT_MAX}"));
    }
    if asked.kind.as_deref().is_some_and(|kind| !["deploy", "decision", "command"].contains(&kind)) {
        return problem(StatusCode::BAD_REQUEST, "kind: deploy, decision or command");
    }
    let mut marks = all(&api.desk.view().history);
    marks.retain(|mark| {
        from.is_none_or(|from| mark.at >= from)
            && to.is_none_or(|to| mark.at <= to)
            && asked.rollout.as_ref().is_none_or(|rollout| mark.rollout == *rollout)
            && asked.kind.as_ref().is_none_or(|kind| mark.kind == *kind)
    });
    let left_out = marks.len().saturating_sub(limit);
    let list: Vec<Value> = marks.iter().skip(left_out).map(Annotation::json).collect();
    axum::Json(list).into_response()
}
