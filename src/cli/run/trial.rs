//! A message to a hook that says it is a trial: whether the target is reached, and knows our signature, is found out before it
//! matters. It goes by itself, stands in no order, and counts nowhere.

use std::time::Instant;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::json;

use crate::cli::run::api::{self, Api, problem};
use crate::cli::run::hooks::{self, Job, clock_ms};
use crate::cli::run::kept::time_of;
use crate::cli::terminal::harmless;
use crate::outbox::Outcome;

/// A trial as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    /// Who it is; of a session that is its token.
    actor: Option<String>,
}

/// `POST /v1/hooks/{name}/test`.
pub(super) async fn take(State(api): State<Api>, Path(name): Path<String>, request: Request) -> Response {
    let (who, sent) = match api::commanded::<Sent>(&api, request).await {
        Ok(both) => both,
        Err(refusal) => return refusal,
    };
    let hook = api.desk.view().hooks.iter().find(|hook| hook.name == name).cloned();
    let Some(hook) = hook else {
        return problem(StatusCode::NOT_FOUND, "there is no such hook; GET /v1/hooks lists them");
    };
    let Some(id) = id() else {
        return problem(StatusCode::SERVICE_UNAVAILABLE, "there is no randomness here");
    };
    let body = json!({
        "type": "serin.test",
        "timestamp": time_of(clock_ms()),
        "data": { "id": id, "action": "none", "hook": name, "actor": who.or(sent.actor) },
    });
    let job = Job { id, body: body.to_string() };
    let done = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        let (outcome, words) = hooks::send_once(&hook, &job);
        (outcome, words, began.elapsed(), job.id)
    });
    let Ok((outcome, words, took, id)) = done.await else {
        return problem(StatusCode::INTERNAL_SERVER_ERROR, "the sending has died");
    };
    axum::Json(json!({
        "id": id,
        "is_taken": matches!(outcome, Outcome::Taken(_)),
        "words": words.map(|words| harmless(&words, 200)),
        "took_ms": took.as_secs_f64() * 1e3,
        "body": body,
    }))
    .into_response()
}

fn id() -> Option<String> {
    let mut bytes = [0; 12];
    getrandom::fill(&mut bytes).ok()?;
    Some(format!("msg_test_{}", bytes.map(|byte| format!("{byte:02x}")).concat()))
}
