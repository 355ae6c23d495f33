//! Muting a template of a rollout: who reads its log lines need not see this one for a while. No verdict, gate or hook goes by it.

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::run::api::{self, Api, problem};
use crate::cli::run::desk::View;
use crate::cli::run::hooks::clock_ms;
use crate::outbox::{Muted, What};

/// Longest time, in hours.
const HOURS_MAX: f64 = 366.0 * 24.0;
/// Hexadecimal digits of a template's id.
const ID_DIGITS: usize = 16;

/// A mute as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    /// Who it is; of a session that is its token.
    actor: Option<String>,
    reason: String,
    /// For how long; none ends one that is there.
    hours: f64,
}

/// `POST /v1/rollouts/{id}/templates/{template}/mute`.
pub(super) async fn take(
    State(api): State<Api>,
    Path((rollout, template)): Path<(String, String)>,
    request: Request,
) -> Response {
    let (who, sent) = match api::commanded::<Sent>(&api, request).await {
        Ok(both) => both,
        Err(refusal) => return refusal,
    };
    let Some(actor) = api::words("actor", &who.or(sent.actor).unwrap_or_default()) else {
        return problem(StatusCode::BAD_REQUEST, "actor: 1 to 100 characters are needed");
    };
    let Some(reason) = api::words("reason", &sent.reason) else {
        return problem(StatusCode::BAD_REQUEST, "reason: 1 to 500 characters are needed");
    };
    if !(0.0..=HOURS_MAX).contains(&sent.hours) {
        return problem(StatusCode::BAD_REQUEST, &format!("hours: 0 (no longer) to {HOURS_MAX}"));
    }
    if template.len() != ID_DIGITS || !template.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return problem(StatusCode::BAD_REQUEST, "a template is named by 16 hexadecimal digits, as the report has it");
    }
    #[expect(clippy::cast_possible_truncation, reason = "hours are bounded above")]
    let until_ms = clock_ms().saturating_add((sent.hours * 3_600_000.0) as i64);
    let what = What::Muted(Muted { rollout: rollout.clone(), template, until_ms, actor, reason });
    match api::journalled(&api, what).await {
        Ok(()) => axum::Json(json!({ "muted": muted(&api.desk.view(), &rollout) })).into_response(),
        Err(refusal) => refusal,
    }
}

/// What is muted of a rollout now.
pub(super) fn muted(view: &View, rollout: &str) -> Value {
    let now = clock_ms();
    view.book
        .muted()
        .iter()
        .filter(|of| of.rollout == rollout && of.until_ms > now)
        .map(|of| json!({ "template": of.template, "until_ms": of.until_ms, "actor": of.actor, "reason": of.reason }))
        .collect()
}
