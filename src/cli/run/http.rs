//! The verdict over HTTP, for this machine alone.

use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::json;

use crate::cli::run::gate::Gate;
use crate::cli::run::{ingest, page};
use crate::source::wal::Wal;

/// How often a page asks again, in seconds.
pub(super) const REFRESH_SECONDS: u32 = 5;

/// What readers of the page see, and whether to stop.
#[derive(Default)]
pub(super) struct Shared {
    /// The program is to stop.
    pub stop: AtomicBool,
    shown: Mutex<Shown>,
}

#[derive(Clone, Default)]
struct Shown {
    /// What is waited for, where that is so.
    waiting: Option<String>,
    /// What is out of order, where something is.
    trouble: Option<String>,
    /// Why nothing is decided, where that is so.
    stalled: Option<String>,
    /// The report as JSON and as a page.
    report: Option<(Arc<str>, Arc<str>)>,
    /// What controllers are told.
    gate: Arc<Gate>,
}

impl Shared {
    fn with<T>(&self, what: impl FnOnce(&mut Shown) -> T) -> T {
        what(&mut self.shown.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// There is nothing to show yet, and why.
    pub(super) fn wait_for(&self, what: &str) {
        self.with(|shown| shown.waiting = Some(what.to_owned()));
    }

    /// Something is out of order, or nothing is any more.
    pub(super) fn trouble(&self, what: Option<String>) {
        self.with(|shown| shown.trouble = what);
    }

    /// Nothing is decided, and why; or it is again.
    pub(super) fn stalled(&self, why: Option<String>) {
        self.with(|shown| shown.stalled = why);
    }

    /// What is out of order, and what is waited for.
    pub(super) fn standing(&self) -> (Option<String>, Option<String>) {
        self.with(|shown| (shown.stalled.clone().or(shown.trouble.clone()), shown.waiting.clone()))
    }

    /// There is a report.
    pub(super) fn show(&self, json: String, html: String, gate: Gate) {
        self.with(|shown| {
            shown.waiting = None;
            shown.gate = Arc::new(gate);
            shown.report = Some((json.into(), html.into()));
        });
    }
}

impl Shared {
    /// What controllers are told, or what is waited for.
    pub(super) fn gate(&self) -> Result<Arc<Gate>, String> {
        self.with(|shown| match (&shown.waiting, &shown.stalled) {
            (_, Some(stalled)) => Err(stalled.clone()),
            (None, None) if shown.report.is_some() => Ok(Arc::clone(&shown.gate)),
            (None, None) => Err("waiting for the first log lines".to_owned()),
            (Some(waiting), None) => Err(format!("waiting for {waiting}")),
        })
    }
}

/// The routes, for requests that name this machine.
pub(super) fn routes(shared: Arc<Shared>, wal: Option<Wal>, address: SocketAddr, api: Router) -> Router {
    let ingest = Router::new().route("/ingest", post(ingest::take).put(ingest::take)).with_state(wal);
    Router::new()
        .route("/", get(index))
        .route("/v1/report", get(report))
        .with_state(shared)
        .merge(ingest)
        .merge(api)
        .layer(middleware::from_fn(move |request: Request, next: Next| guard(address, request, next)))
}

/// A page elsewhere must not reach in through a name that it has made lead here.
async fn guard(address: SocketAddr, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if !host.is_some_and(|host| is_this_machine(host, address)) {
        return (StatusCode::FORBIDDEN, "this name does not lead here\n").into_response();
    }
    // Nor may a page elsewhere send lines.
    let origin = request.headers().get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    if origin.is_some_and(|origin| !origin.strip_prefix("http://").is_some_and(|host| is_this_machine(host, address))) {
        return (StatusCode::FORBIDDEN, "not from another page\n").into_response();
    }
    let mut response = next.run(request).await;
    let policy =
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, policy),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
    ] {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

/// The name, with the port, under which this machine is spoken to.
fn is_this_machine(host: &str, address: SocketAddr) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port == address.port().to_string() => name,
        Some(_) => return false,
        None if address.port() == 80 => host,
        None => return false,
    };
    let own = match address {
        SocketAddr::V4(address) => address.ip().to_string(),
        SocketAddr::V6(address) => format!("[{}]", address.ip()),
    };
    name.eq_ignore_ascii_case("localhost") || name == own
}

async fn index(State(shared): State<Arc<Shared>>) -> Response {
    let shown = shared.with(|shown| shown.clone());
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    match (shown.report, shown.waiting) {
        (Some((_, html)), None) => (kind, html.to_string()).into_response(),
        (_, waiting) => (kind, page::waiting(waiting.as_deref().unwrap_or("starting"))).into_response(),
    }
}

async fn report(State(shared): State<Arc<Shared>>) -> Response {
    let shown = shared.with(|shown| shown.clone());
    let kind = [(header::CONTENT_TYPE, "application/json")];
    match (shown.report, shown.waiting) {
        (Some((json, _)), None) => (kind, json.to_string()).into_response(),
        (_, waiting) => {
            let body = format!("{}\n", json!({ "waiting_for": waiting.as_deref().unwrap_or("starting") }));
            (StatusCode::SERVICE_UNAVAILABLE, [(header::RETRY_AFTER, "1")], kind, body).into_response()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_lead_here() {
        let address: SocketAddr = "127.0.0.1:7878".parse().unwrap();
        assert!(is_this_machine("127.0.0.1:7878", address) && is_this_machine("LocalHost:7878", address));
        for host in ["evil.example:7878", "127.0.0.1", "127.0.0.1:80", "localhost.evil.example:7878", "", ":7878"] {
            assert!(!is_this_machine(host, address), "{host}");
        }
        let six: SocketAddr = "[::1]:7878".parse().unwrap();
        assert!(is_this_machine("[::1]:7878", six) && !is_this_machine("[::2]:7878", six));
    }
}
