//! Rollouts over HTTP: what stands, the gate, commands, health.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use axum::Router;
use axum::extract::{Path, Query, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::run::desk::{Answer, Desk, View, hooks_json};
use crate::cli::run::http::Shared;
#[cfg(feature = "kafka")]
use crate::cli::run::lag;
use crate::cli::run::session::{self, Session, Sessions};
use crate::cli::run::{annotations, dashboards, flagger, forget, gate, metrics, mute, openapi, trial};
use crate::cli::tokens::{Access, Allowed, Scope};
use crate::outbox::{Awaited, Delivery, Placebo, Rollout, Standing, What};
use crate::pipeline::roles::Role;
use crate::pipeline::template::MASKER_VERSION;
use crate::rollout::Command;
use crate::time::{HOUR, Timestamp};

/// Longest command.
const COMMAND_MAX: usize = 16 << 10;
/// Longest name of an actor, and longest reason, in characters.
const ACTOR_MAX: usize = 100;
const REASON_MAX: usize = 500;
/// Deliveries of a rollout that are shown.
const DELIVERIES_SHOWN: usize = 50;
/// Rollouts in a report that is kept.
const KEPT_MAX: usize = 1_000;
/// Deliveries of all rollouts that are listed.
const DELIVERIES_LISTED: usize = 200;

/// What the routes go by.
#[derive(Clone)]
pub(super) struct Api {
    pub shared: Arc<Shared>,
    pub desk: Desk,
    /// Who may do what.
    pub access: Access,
    /// Browsers that have given a token.
    pub sessions: Sessions,
    pub stale_after: Arc<AtomicI64>,
    pub address: SocketAddr,
    /// A folder of further dashboards.
    pub dashboards: Option<Arc<std::path::Path>>,
}

/// Paths, what they are asked with, and who answers.
pub(super) type Table<S> = Vec<(&'static str, &'static str, MethodRouter<S>)>;

/// A router of a table.
pub(super) fn router<S: Clone + Send + Sync + 'static>(table: Table<S>) -> Router<S> {
    table.into_iter().fold(Router::new(), |router, (path, _, method)| router.route(path, method))
}

fn table() -> Table<Api> {
    of_search().into_iter().chain(of_rollouts()).collect()
}

#[cfg(feature = "index")]
fn of_search() -> Table<Api> {
    vec![("/v1/who", "get", get(super::searching::who))]
}

#[cfg(not(feature = "index"))]
fn of_search() -> Table<Api> {
    Vec::new()
}

fn of_rollouts() -> Table<Api> {
    vec![
        ("/healthz", "get", get(health)),
        ("/readyz", "get", get(ready)),
        ("/metrics", "get", get(metrics::scrape)),
        ("/v1/openapi.json", "get", get(openapi::document)),
        ("/v1/status", "get", get(status)),
        ("/v1/verdict", "post", post(gate::verdict)),
        ("/v1/rollouts", "get", get(rollouts)),
        ("/v1/rollouts/{id}", "get", get(rollout)),
        ("/v1/rollouts/{id}/gate", "get", get(of_gate)),
        ("/v1/rollouts/{id}/timeline", "get", get(timeline)),
        ("/v1/annotations", "get", get(annotations::answer)),
        ("/v1/hooks", "get", get(hooks)),
        ("/v1/hooks/{name}/test", "post", post(trial::take)),
        ("/v1/rollouts/{id}/templates/{template}/mute", "post", post(mute::take)),
        ("/v1/dashboards", "get", get(dashboards::list)),
        ("/v1/dashboards/{name}", "get", get(dashboards::one)),
        ("/v1/session", "get post delete", get(session::who).post(session::login).delete(session::logout)),
        ("/v1/rollouts/{id}/{command}", "post", post(command)),
        ("/v1/forget", "get post", get(forget::list).post(forget::ask)),
        ("/v1/flagger/{kind}", "post", post(flagger::asked)),
    ]
}

/// The routes.
pub(super) fn routes(api: Api) -> Router {
    router(table()).with_state(api)
}

/// Paths that are answered here, with what they are asked with.
#[cfg(test)]
pub(super) fn paths() -> Vec<(&'static str, &'static str)> {
    table().into_iter().map(|(path, method, _)| (path, method)).collect()
}

pub(super) fn problem(status: StatusCode, words: &str) -> Response {
    (status, axum::Json(json!({ "error": words }))).into_response()
}

/// Well while nothing is out of order; waiting for lines is in order, and so is a hook whose target does not answer: that is
/// said, and is no reason to end this program.
async fn health(State(api): State<Api>) -> Response {
    let (trouble, waiting) = api.shared.standing();
    let view = api.desk.view();
    let trouble = trouble.or(view.trouble.clone());
    let status = if trouble.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let mut body = health_json(trouble, waiting, &view);
    if let Some(body) = body.as_object_mut() {
        let refused = api.shared.connections_refused.load(Ordering::Relaxed);
        body.insert("connections_refused".to_owned(), Value::from(refused));
        #[cfg(feature = "kafka")]
        body.insert("lag".to_owned(), lag::lag_json(&api.shared.lag(), lag::now()));
        body.insert("stalled".to_owned(), json!(api.shared.stalled_partitions()));
    }
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

/// What placebo splits last said.
pub(super) fn placebos_json(placebos: &[Placebo]) -> Value {
    let one = |of: &Placebo| {
        json!({
            "environment": of.environment,
            "service": of.service,
            "day": Timestamp(of.day.saturating_mul(24 * HOUR)).to_string(),
            "splits": of.splits,
            "failed": of.failed,
            "allowed": of.allowed,
            "withheld": of.is_exceeded().then(|| of.reason()),
        })
    };
    placebos.iter().map(one).collect()
}

/// Ready while lines are taken and judged, or waited for.
async fn ready(State(api): State<Api>) -> Response {
    let reason = api.shared.not_ready().or_else(|| api.desk.view().trouble.clone());
    let status = if reason.is_some() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    let body = json!({ "ready": reason.is_none(), "reason": reason });
    (status, [(header::CONTENT_TYPE, "application/json")], format!("{body}\n")).into_response()
}

fn health_json(trouble: Option<String>, waiting: Option<String>, view: &View) -> Value {
    let words = match (&trouble, &waiting) {
        (Some(_), _) => "trouble",
        (None, Some(_)) => "waiting",
        (None, None) => "ok",
    };
    json!({ "status": words, "trouble": trouble, "waiting_for": waiting, "hooks": hooks_json(view) })
}

/// What `serin status` shows.
async fn status(State(api): State<Api>) -> Response {
    let (trouble, waiting) = api.shared.standing();
    let view = api.desk.view();
    let trouble = trouble.or(view.trouble.clone());
    let mut body = health_json(trouble, waiting, &view);
    if let Some(body) = body.as_object_mut() {
        #[cfg(feature = "kafka")]
        body.insert("lag".to_owned(), lag::lag_json(&api.shared.lag(), lag::now()));
        body.insert("stalled".to_owned(), json!(api.shared.stalled_partitions()));
        body.insert("version".to_owned(), Value::from(env!("CARGO_PKG_VERSION")));
        body.insert("masker".to_owned(), Value::from(MASKER_VERSION));
        body.insert("configuration".to_owned(), api.shared.configuration());
        body.insert("ledger_entries".to_owned(), Value::from(view.book.read().entries));
        body.insert("journal_rows".to_owned(), Value::from(view.book.read().rows));
        body.insert("caught_up".to_owned(), Value::from(api.desk.is_caught_up()));
        body.insert("data_until".to_owned(), Value::from(view.book.latest().map(|at| at.to_string())));
        let files = api.shared.files_followed();
        let files = files
            .map(|of| json!({ "followed": of.followed, "not_followed": of.not_followed, "unread_bytes": of.unread }));
        body.insert("files".to_owned(), json!(files));
        body.insert("lines_waiting".to_owned(), Value::from(api.shared.lines_waiting.load(Ordering::Relaxed)));
        body.insert("placebos".to_owned(), placebos_json(view.book.placebos()));
        body.insert("not_reloaded".to_owned(), Value::from(api.shared.not_reloaded()));
        body.insert("declared".to_owned(), Value::from(view.book.declared().len()));
        let found = view.book.rollouts().filter(|rollout| rollout.declared.is_none());
        body.insert("found".to_owned(), Value::from(found.count()));
        body.insert("not_listed".to_owned(), Value::from(view.book.not_listed()));
        body.insert("looked_for".to_owned(), looked_for());
        body.insert("reports".to_owned(), api.shared.kept.status());
        #[cfg(feature = "index")]
        body.insert("index".to_owned(), api.shared.searching.status());
        body.insert("commands".to_owned(), Value::from(api.access.tokens().may_operate()));
    }
    axum::Json(body).into_response()
}

/// Field names by which lines say what a rollout needs.
fn looked_for() -> Value {
    let roles = [Role::Service, Role::Version, Role::Cohort, Role::Variant, Role::User, Role::Latency, Role::Status];
    roles.into_iter().map(|role| (role.name().to_owned(), json!(role.known_names()))).collect()
}

/// What stands of a rollout, in short.
fn summary(view: &View, rollout: &Rollout) -> Value {
    let (verdict, automatic) = view.book.verdict(rollout);
    let declared = view.book.declaration(rollout);
    let steps = declared.map_or(0, |declared| declared.course.steps.len());
    let current = rollout.current();
    let first = current.first();
    json!({
        "id": rollout.id,
        "declared": declared.is_some(),
        "environment": rollout.environment,
        "cell": rollout.cell,
        "waits_for": view.book.waits_for(rollout).map(|(cell, _)| cell),
        "services": declared.map_or_else(
            || first.iter().map(|of| of.service.clone()).collect::<Vec<_>>(),
            |declared| declared.services.clone(),
        ),
        "control": first.map(|of| of.control.as_str()),
        "candidate": first.map(|of| of.candidate.as_str()),
        "verdict": verdict.name(),
        "automatic": automatic,
        "withheld": view.book.withheld(rollout).map(Placebo::reason),
        "reason": rollout.reason(),
        "phase": declared.map(|_| rollout.state.phase.name()),
        "step": declared.map(|_| rollout.state.step),
        "steps": steps,
        "attempt": rollout.attempts,
        "began": first.map(|of| of.began.to_string()),
        "over": rollout.compared.iter().all(|of| of.over),
        "owners": declared.map(|declared| declared.owners.clone()).unwrap_or_default(),
    })
}

/// A declared rollout of which nothing runs yet.
fn waiting(of: &Awaited<'_>) -> Value {
    json!({
        "id": of.id,
        "declared": true,
        "environment": of.environment,
        "cell": of.cell,
        "services": of.declared.services,
        "verdict": "inconclusive",
        "reason": "no comparison of its services has begun",
        "phase": "waiting",
        "over": false,
    })
}

async fn rollouts(State(api): State<Api>) -> Response {
    let view = api.desk.view();
    let mut list: Vec<Value> = view.book.rollouts().map(|rollout| summary(&view, rollout)).collect();
    list.extend(view.book.awaited().iter().map(waiting));
    axum::Json(json!({ "rollouts": list })).into_response()
}

async fn rollout(State(api): State<Api>, Path(id): Path<String>) -> Response {
    let view = api.desk.view();
    let Some(rollout) = view.book.rollout_called(&id) else {
        return match view.book.awaited_called(&id) {
            Some(of) => axum::Json(waiting(&of)).into_response(),
            None => problem(StatusCode::NOT_FOUND, "there is no such rollout; GET /v1/rollouts lists them"),
        };
    };
    axum::Json(whole(&view, rollout)).into_response()
}

/// Everything that stands of a rollout.
fn whole(view: &View, rollout: &Rollout) -> Value {
    let mut body = summary(view, rollout);
    let compared: Vec<Value> = rollout
        .compared
        .iter()
        .map(|of| {
            json!({
                "service": of.service,
                "environment": of.environment,
                "cell": of.cell,
                "control": of.control,
                "candidate": of.candidate,
                "began": of.began.to_string(),
                "verdict": of.verdict.name(),
                "would_pass": of.would_pass,
                "changed": of.changed,
                "flaws": of.flaws,
                "regressed": of.regressed.iter().map(|(name, _)| name).collect::<Vec<_>>(),
                "log10_e": (of.log_sum / std::f64::consts::LN_10 * 1e3).round() / 1e3,
                "control_units": of.units[0],
                "candidate_units": of.units[1],
                "failed_at": of.failed_at,
                "automatic_at": of.automatic_at,
                "at": of.at.to_string(),
                "entry": of.entry,
                "over": of.over,
            })
        })
        .collect();
    let of_rollout = view.deliveries.latest().filter(|delivery| delivery.rollout == rollout.id);
    let deliveries: Vec<Value> = of_rollout.take(DELIVERIES_SHOWN).map(delivery_json).collect();
    if let Some(body) = body.as_object_mut() {
        body.insert("compared".to_owned(), Value::from(compared));
        body.insert("deliveries".to_owned(), Value::from(deliveries));
        body.insert("accepted".to_owned(), json!(rollout.accepted));
        let commanded = rollout.commanded.as_ref().map(|(command, actor, reason, clock_ms)| {
            json!({ "command": command.name(), "actor": actor, "reason": reason, "clock_ms": clock_ms })
        });
        body.insert("commanded".to_owned(), json!(commanded));
        body.insert("muted".to_owned(), mute::muted(view, &rollout.id));
    }
    body
}

/// How all rollouts stand, for a report that is kept, and how many events of timelines there were. Of very many those that run.
pub(super) fn all_whole(view: &View) -> (Value, u64) {
    let runs = |rollout: &&Rollout| rollout.declared.is_some() || rollout.compared.iter().any(|of| !of.over);
    let (running, over): (Vec<&Rollout>, Vec<&Rollout>) = view.book.rollouts().partition(runs);
    let list = running.into_iter().chain(over).take(KEPT_MAX).map(|rollout| whole(view, rollout));
    (list.collect(), view.history.count())
}

fn delivery_json(delivery: &Delivery) -> Value {
    let (state, why, ended_ms) = match delivery.standing {
        Standing::Waiting => ("waiting", None, None),
        Standing::Taken(at) => ("taken", None, Some(at)),
        Standing::GivenUp(at, why) => ("given up", Some(why), Some(at)),
    };
    json!({
        "id": delivery.id,
        "hook": delivery.target,
        "rollout": delivery.rollout,
        "event": delivery.topic.name(),
        "generation": delivery.generation,
        "decided_ms": delivery.decided_ms,
        "ended_ms": ended_ms,
        "expires_ms": delivery.expires_ms,
        "state": state,
        "why": why,
    })
}

/// What happened to a rollout.
async fn timeline(State(api): State<Api>, Path(id): Path<String>) -> Response {
    let view = api.desk.view();
    let rollout = view.book.rollout_called(&id);
    if rollout.is_none() && !view.book.declared().iter().any(|declared| declared.name == id) {
        return problem(StatusCode::NOT_FOUND, "there is no such rollout; GET /v1/rollouts lists them");
    }
    axum::Json(view.history.of(rollout.map_or(&id, |rollout| &rollout.id))).into_response()
}

/// Who is told, and what became of it.
async fn hooks(State(api): State<Api>) -> Response {
    let view = api.desk.view();
    let deliveries: Vec<Value> = view.deliveries.latest().take(DELIVERIES_LISTED).map(delivery_json).collect();
    axum::Json(json!({ "hooks": hooks_json(&view), "deliveries": deliveries })).into_response()
}

#[derive(Debug, Deserialize)]
struct OfStep {
    step: Option<usize>,
}

/// The gate of a rollout: 200 whatever it says, for ids that are known.
async fn of_gate(State(api): State<Api>, Path(id): Path<String>, Query(of): Query<OfStep>) -> Response {
    match gate::of_rollout(&api, &id, &gate::asked_now(&api, of.step)) {
        Some(said) => axum::Json(said).into_response(),
        None => problem(StatusCode::NOT_FOUND, "there is no such rollout; GET /v1/rollouts lists them"),
    }
}

/// A command as it is sent.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Commanded {
    /// Who it is; of a session that is its token.
    actor: Option<String>,
    reason: String,
    finding: Option<String>,
}

/// Who may change something has a token for it. The session, where one was given.
///
/// # Errors
/// The answer to whoever may not.
pub(super) fn may_command(api: &Api, request: &Request) -> Result<Option<Session>, Box<Response>> {
    let tokens = api.access.tokens();
    if !tokens.may_operate() {
        let words = "commands need a token, and none is configured: name a file that holds one with operate_token_file \
                     (serin.yaml), or one for `operate` in the file of --tokens";
        return Err(Box::new(problem(StatusCode::FORBIDDEN, words)));
    }
    let session = request.extensions().get::<Session>().cloned();
    let allowed = match &session {
        Some(session) => tokens.allow_known(&session.token, &[Scope::Operate]),
        None => tokens.allow(request.headers(), &[Scope::Operate]),
    };
    if allowed != Allowed::Yes {
        if session.is_some() {
            return Err(Box::new(problem(
                StatusCode::FORBIDDEN,
                "this token may not command; log in with one for operate",
            )));
        }
        let mut response =
            problem(StatusCode::UNAUTHORIZED, "commands need the operate token: Authorization: Bearer TOKEN");
        response.headers_mut().insert(header::WWW_AUTHENTICATE, header::HeaderValue::from_static("Bearer"));
        return Err(Box::new(response));
    }
    Ok(session)
}

/// Who has logged in is who the token says; else who it says that it is.
///
/// # Errors
/// What is missing, in words.
pub(super) fn actor_of(
    api: &Api,
    session: Option<&Session>,
    said: Option<String>,
    reason: &str,
) -> Result<String, String> {
    let tokens = api.access.tokens();
    let known = session.and_then(|session| tokens.known(&session.token).map(|known| known.name.clone()));
    let actor = known.or(said).unwrap_or_default();
    for (name, text, most) in [("actor", actor.as_str(), ACTOR_MAX), ("reason", reason, REASON_MAX)] {
        if text.trim().is_empty() || text.chars().count() > most {
            return Err(format!("{name}: 1 to {most} characters are needed"));
        }
    }
    Ok(actor)
}

/// The body of a command, and who the session says it is.
///
/// # Errors
/// The answer to who may not command, or sends something else.
pub(super) async fn commanded<T: for<'d> Deserialize<'d>>(
    api: &Api,
    request: Request,
) -> Result<(Option<String>, T), Response> {
    let session = may_command(api, &request).map_err(|refused| *refused)?;
    let Ok(body) = axum::body::to_bytes(request.into_body(), COMMAND_MAX).await else {
        return Err(problem(StatusCode::PAYLOAD_TOO_LARGE, "the command is too long, or did not come whole"));
    };
    let sent = serde_json::from_slice(&body).map_err(|error| {
        let example = r#"{"actor":"ann","reason":"errors are known"}"#;
        problem(StatusCode::BAD_REQUEST, &format!("not a command ({error}); for example {example}"))
    })?;
    // Who has logged in is who the token says.
    let tokens = api.access.tokens();
    Ok((session.and_then(|session| tokens.known(&session.token).map(|known| known.name.clone())), sent))
}

/// A name or reason, where it is one: neither empty nor too long.
pub(super) fn words(name: &str, text: &str) -> Option<String> {
    let most = if name == "actor" { ACTOR_MAX } else { REASON_MAX };
    (!text.trim().is_empty() && text.chars().count() <= most).then(|| text.to_owned())
}

/// Writes a row of the journal.
///
/// # Errors
/// The answer that says why it was not written.
pub(super) async fn journalled(api: &Api, what: What) -> Result<(), Response> {
    let desk = api.desk.clone();
    // It waits for the disk, so it must not keep other requests waiting.
    match tokio::task::spawn_blocking(move || desk.command(what)).await {
        Ok(Answer::Done) => Ok(()),
        Ok(Answer::Refused(words)) => Err(problem(StatusCode::CONFLICT, &words)),
        Ok(Answer::NotNow(words)) => Err(problem(StatusCode::SERVICE_UNAVAILABLE, &words)),
        Err(_) => Err(problem(StatusCode::INTERNAL_SERVER_ERROR, "the desk has died")),
    }
}

async fn command(State(api): State<Api>, Path((id, word)): Path<(String, String)>, request: Request) -> Response {
    let Some(command) = Command::from_name(&word) else {
        let known: Vec<&str> = Command::ALL.into_iter().map(Command::name).collect();
        return problem(StatusCode::NOT_FOUND, &format!("there are {}", known.join(", ")));
    };
    let (who, Commanded { actor, reason, finding }) = match commanded(&api, request).await {
        Ok(both) => both,
        Err(refusal) => return refusal,
    };
    let actor = who.or(actor).unwrap_or_default();
    for (name, text, most) in [("actor", &actor, ACTOR_MAX), ("reason", &reason, REASON_MAX)] {
        if words(name, text).is_none() {
            return problem(StatusCode::BAD_REQUEST, &format!("{name}: 1 to {most} characters are needed"));
        }
    }
    let known = api.desk.view().book.rollout_called(&id).map(|rollout| rollout.id.clone());
    let Some(id) = known else {
        let several = api.desk.view().book.several_called(&id);
        let words = several.unwrap_or_else(|| "there is no such rollout, or nothing of it runs yet".to_owned());
        return problem(StatusCode::NOT_FOUND, &words);
    };
    let what = What::Command { rollout: id.clone(), command, finding, actor, reason };
    match journalled(&api, what).await {
        Ok(()) => rollout(State(api), Path(id)).await,
        Err(refusal) => refusal,
    }
}
