//! The verdict over HTTP, for this machine alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};

use crate::cli::config::Link;
use crate::cli::run::api::{self, Table};
use crate::cli::run::course::CourseOf;
use crate::cli::run::door::{Door, Room};
use crate::cli::run::elastic::{self, Elastic};
use crate::cli::run::events::{self, News};
use crate::cli::run::follow::Files;
use crate::cli::run::gate::Gate;
use crate::cli::run::kept::{self, Kept};
use crate::cli::run::metrics::Metrics;
use crate::cli::run::placebo::Ground;
use crate::cli::run::session::{Asked, CSRF, Sessions};
use crate::cli::run::{course, ingest, loki, otlp, page, ui};
use crate::cli::tokens::{Access, Allowed, Scope};
use crate::pipeline::survey::Wishes;
#[cfg(feature = "kafka")]
use crate::source::kafka::Lag;
use crate::source::stop::Stop;
use crate::source::wal::{AppendError, Wal};

/// How often a page asks again, in seconds.
pub(super) const REFRESH_SECONDS: u32 = 5;

/// Partitions that stall and are named in words.
const STALLS_NAMED: usize = 5;

/// What readers of the page see, and whether to stop.
#[derive(Default)]
pub(super) struct Shared {
    /// The program is to stop.
    pub stop: Stop,
    /// Connections past the bound.
    pub connections_refused: AtomicU64,
    /// Another program owns the topics.
    pub is_standby: AtomicBool,
    /// Lines that were read and are not judged: their windows wait for later lines.
    pub lines_waiting: AtomicU64,
    /// The index, and whoever asks it.
    #[cfg(feature = "index")]
    pub searching: crate::cli::run::searching::Searching,
    /// What is to be forgotten.
    pub forgetting: crate::cli::run::forget::Forgetting,
    /// What is scraped.
    pub metrics: Metrics,
    /// That something has changed.
    pub news: News,
    /// Reports as they were.
    pub kept: Kept,
    /// Bytes that the state of the engine may take.
    memory_limit: u64,
    /// Room of bodies that are being read.
    room: Room,
    /// Files that are followed, where any are to be.
    files: Mutex<Option<Files>>,
    /// What everything is decided by, once that is known.
    ground: OnceLock<Ground>,
    /// How lines are to be read, as the user has said.
    wishes: OnceLock<Arc<Wishes>>,
    /// The options that were in force at the start, as JSON.
    configuration: OnceLock<Value>,
    /// Where lines can be seen elsewhere.
    links: Mutex<Vec<Link>>,
    /// The write-ahead log, where lines are taken here.
    wal: Option<Wal>,
    shown: Mutex<Shown>,
}

#[derive(Clone, Default)]
struct Shown {
    /// Where lines come from was reached, and the ledger is open.
    reached: bool,
    /// Why the configuration was not read again when that was last asked, where it was not.
    not_reloaded: Option<String>,
    /// What is waited for, where that is so.
    waiting: Option<String>,
    /// What is out of order, where something is.
    trouble: Option<String>,
    /// What is out of order with a source and stays so until it is mended.
    source: Option<String>,
    /// Why nothing is decided, where that is so.
    stalled: Option<String>,
    /// The report as JSON and as a page.
    report: Option<(Arc<str>, Arc<str>)>,
    /// The clock when it was made, in milliseconds since 1970.
    at_ms: i64,
    /// The course of each comparison of the report.
    courses: Arc<[CourseOf]>,
    /// Shares of units with an error, of each comparison.
    #[cfg(feature = "index")]
    shares: Arc<[crate::cli::run::counters::CountedShares]>,
    /// What controllers are told.
    gate: Arc<Gate>,
    /// How far partitions have been read.
    #[cfg(feature = "kafka")]
    lags: Vec<Lag>,
    /// Partitions that stall, and since when nothing comes from each.
    stalls: BTreeMap<String, String>,
    /// Why no checkpoint was written when that was last tried, where none was.
    unsaved: Option<String>,
}

impl Shared {
    /// With the write-ahead log, where lines are taken here.
    pub(super) fn new(wal: Option<Wal>, memory_limit: u64) -> Shared {
        Shared { wal, memory_limit, ..Shared::default() }
    }

    /// The write-ahead log, where lines are taken here.
    pub(super) fn wal(&self) -> Option<&Wal> {
        self.wal.as_ref()
    }

    /// Bytes that the state of the engine may take.
    pub(super) fn memory_limit(&self) -> u64 {
        self.memory_limit
    }

    /// Where lines can be seen elsewhere.
    pub(super) fn links_are(&self, links: Vec<Link>) {
        *self.links.lock().unwrap_or_else(PoisonError::into_inner) = links;
    }

    /// Where lines can be seen elsewhere.
    pub(super) fn links(&self) -> Vec<Link> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The options that are in force, as JSON.
    pub(super) fn configured(&self, in_force: Value) {
        // It is said once.
        let _known = self.configuration.set(in_force);
    }

    /// The options that were in force at the start.
    pub(super) fn configuration(&self) -> Value {
        self.configuration.get().cloned().unwrap_or(Value::Null)
    }

    /// How lines are to be read, as the user has said.
    pub(super) fn reads_as(&self, wishes: Wishes) {
        // It is said once.
        let _known = self.wishes.set(Arc::new(wishes));
    }

    /// What everything is decided by.
    pub(super) fn decides_by(&self, ground: Ground) {
        // It is found once.
        let _known = self.ground.set(ground);
    }

    /// What everything is decided by, once that is known.
    pub(super) fn ground(&self) -> Option<Ground> {
        self.ground.get().cloned()
    }

    /// What is known of files that are followed, to be changed.
    pub(super) fn files<T>(&self, what: impl FnOnce(&mut Files) -> T) -> T {
        what(self.files.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default())
    }

    /// What is known of files that are followed, where any are to be.
    pub(super) fn files_followed(&self) -> Option<Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Bytes that wait for the disk, bytes of bodies that are being read, and how many of the latter there may be.
    pub(super) fn waiting_bytes(&self) -> (usize, usize, usize) {
        let (bodies, most) = self.room.used();
        (self.wal.as_ref().map_or(0, Wal::waiting_bytes), bodies, most)
    }

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

    /// A source is out of order and stays so, or none is.
    #[cfg(feature = "kafka")]
    pub(super) fn source(&self, what: Option<String>) {
        self.with(|shown| shown.source = what);
    }

    /// How far partitions have been read.
    #[cfg(feature = "kafka")]
    pub(super) fn lags(&self, lags: Vec<Lag>) {
        self.with(|shown| shown.lags = lags);
    }

    /// How far each partition has been read, as of the last second or two.
    #[cfg(feature = "kafka")]
    pub(super) fn lag(&self) -> Vec<Lag> {
        self.with(|shown| shown.lags.clone())
    }

    /// Partitions stall, and since when nothing comes from each.
    pub(super) fn stalls(&self, stalls: BTreeMap<String, String>) {
        self.with(|shown| shown.stalls = stalls);
    }

    /// Partitions that stall, and since when nothing comes from each.
    pub(super) fn stalled_partitions(&self) -> BTreeMap<String, String> {
        self.with(|shown| shown.stalls.clone())
    }

    /// A checkpoint was written, or why none was; returns whether that is new.
    pub(super) fn unsaved(&self, why: Option<String>) -> bool {
        self.with(|shown| {
            let is_new = shown.unsaved.is_some() != why.is_some();
            shown.unsaved = why;
            is_new
        })
    }

    /// Nothing is decided, and why; or it is again.
    pub(super) fn stalled(&self, why: Option<String>) {
        self.with(|shown| shown.stalled = why);
    }

    /// Where lines come from was reached.
    pub(super) fn reached(&self) {
        self.with(|shown| shown.reached = true);
    }

    /// The configuration was read again; or why it was not.
    pub(super) fn reloaded(&self, refused: Option<String>) {
        self.with(|shown| shown.not_reloaded = refused);
    }

    /// Why the configuration was not read again when that was last asked, where it was not.
    pub(super) fn not_reloaded(&self) -> Option<String> {
        self.with(|shown| shown.not_reloaded.clone())
    }

    /// Why lines cannot be taken and judged now, where that is so: there is no reason before the first lines, nor while logs are
    /// read again.
    pub(super) fn not_ready(&self) -> Option<String> {
        if self.stop.is_told() {
            return Some("stopping".to_owned());
        }
        let (trouble, waiting) = self.standing_of_all();
        let starting = || format!("waiting for {}", waiting.as_deref().unwrap_or("the program to start"));
        trouble.or_else(|| (!self.with(|shown| shown.reached)).then(starting))
    }

    /// What is out of order, and what is waited for.
    pub(super) fn standing(&self) -> (Option<String>, Option<String>) {
        let (trouble, waiting) = self.standing_of_all();
        let minor = || self.with(|shown| stalls_in_words(&shown.stalls).or_else(|| shown.unsaved.clone()));
        (trouble.or_else(minor), waiting)
    }

    /// The same, but for partitions that stall, where what the others bring is taken and judged, and for checkpoints, without which a
    /// restart takes longer.
    fn standing_of_all(&self) -> (Option<String>, Option<String>) {
        // Lines are refused until a write succeeds.
        let refused = self.wal.as_ref().and_then(Wal::failure).map(|failure| AppendError::Disk(failure).to_string());
        let files = self.files_followed().and_then(|files| files.trouble);
        self.with(|shown| {
            let trouble =
                shown.stalled.clone().or(refused).or(shown.trouble.clone()).or(shown.source.clone()).or(files);
            (trouble, shown.waiting.clone())
        })
    }

    /// There is a report. `verdicts`: what it says, as a hash.
    pub(super) fn show(&self, json: String, html: String, courses: Vec<CourseOf>, gate: Gate, verdicts: u64) {
        let of = kept::Shown { at_ms: self.kept.stamp(), report: json.into(), courses: courses.into() };
        self.kept.judged(&of, verdicts);
        self.with(|shown| {
            shown.waiting = None;
            shown.gate = Arc::new(gate);
            shown.at_ms = of.at_ms;
            shown.courses = of.courses;
            shown.report = Some((of.report, html.into()));
        });
        self.news.report();
    }

    /// Shares of units with an error, of the report that is shown; `None` while there is none.
    #[cfg(feature = "index")]
    pub(super) fn shares(&self) -> Option<Arc<[crate::cli::run::counters::CountedShares]>> {
        self.with(|shown| shown.report.is_some().then(|| Arc::clone(&shown.shares)))
    }

    /// The same, before the report is shown that they are of.
    #[cfg(feature = "index")]
    pub(super) fn count_shares(&self, shares: Vec<crate::cli::run::counters::CountedShares>) {
        self.with(|shown| shown.shares = shares.into());
    }

    /// The courses of the report that is shown.
    pub(super) fn courses(&self) -> Arc<[CourseOf]> {
        self.with(|shown| Arc::clone(&shown.courses))
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

/// Partitions that stall, in words.
fn stalls_in_words(stalls: &BTreeMap<String, String>) -> Option<String> {
    let named: Vec<String> =
        stalls.iter().take(STALLS_NAMED).map(|(name, since)| format!("{name} since {since}")).collect();
    let more = stalls.len().saturating_sub(STALLS_NAMED);
    let more = if more > 0 { format!(", and {more} more") } else { String::new() };
    let words = format!("partitions stall, and are judged without: {}{more}", named.join(", "));
    (!stalls.is_empty()).then_some(words)
}

fn ways_in() -> Table<Door> {
    vec![
        ("/ingest", "post put", post(ingest::take).put(ingest::take)),
        ("/v1/logs", "post", post(otlp::take)),
        ("/otlp/v1/logs", "post", post(otlp::take)),
        ("/loki/api/v1/push", "post", post(loki::take)),
        ("/api/prom/push", "post", post(loki::take)),
        ("/ready", "get", get(loki::ready)),
    ]
}

fn pages() -> Table<Arc<Shared>> {
    vec![
        ("/", "get", get(index)),
        ("/v1/report", "get", get(report)),
        ("/v1/report.html", "get", get(report_page)),
        ("/v1/course", "get", get(course::answer)),
        ("/v1/sparks", "get", get(course::sparks)),
        ("/v1/asof", "get", get(kept::answer)),
        ("/v1/events", "get", get(events::listen)),
    ]
}

/// Paths that are answered here, with what they are asked with.
#[cfg(test)]
pub(super) fn paths() -> Vec<(&'static str, &'static str)> {
    let ways_in = ways_in().into_iter().map(|(path, method, _)| (path, method));
    ways_in.chain(pages().into_iter().map(|(path, method, _)| (path, method))).collect()
}

/// What the routes go by.
pub(super) struct Served {
    pub shared: Arc<Shared>,
    pub wal: Option<Wal>,
    /// Where it listens, and the address that is told.
    pub bound: SocketAddr,
    pub address: SocketAddr,
    pub access: Access,
    pub sessions: Sessions,
    #[cfg(feature = "index")]
    pub desk: crate::cli::run::desk::Desk,
}

/// The routes, for requests that name this machine.
pub(super) fn routes(served: Served, of_rollouts: Router) -> Router {
    let Served { shared, wal, bound, address, access, sessions, .. } = served;
    let door = Door::new(wal, &shared.room, shared.wishes.get().cloned().unwrap_or_default());
    let ways_in = api::router(ways_in()).with_state(door.clone()).fallback(otherwise).with_state(Elastic {
        door,
        address,
        #[cfg(feature = "index")]
        shared: Arc::clone(&shared),
        #[cfg(feature = "index")]
        desk: served.desk,
    });
    Router::new().merge(api::router(pages())).with_state(shared).merge(ways_in).merge(of_rollouts).layer(
        middleware::from_fn(move |request: Request, next: Next| {
            guard(bound, access.clone(), sessions.clone(), request, next)
        }),
    )
}

/// Who may ask for what: with tokens whoever has one for it; without, this machine alone.
async fn guard(address: SocketAddr, access: Access, sessions: Sessions, mut request: Request, next: Next) -> Response {
    let tokens = access.tokens();
    let tokens = tokens.for_all().then_some(&*tokens);
    // A page elsewhere must not reach in through a name that it has made lead here. Where tokens are asked for it has none: a
    // browser keeps those that it has for the name under which it was given them.
    let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
    if tokens.is_none() && !host.is_some_and(|host| is_this_machine(host, address)) {
        let words = format!(
            "this name does not lead here: without tokens only this machine may ask, as http://localhost:{}; --tokens lets others in\n",
            address.port()
        );
        return (StatusCode::FORBIDDEN, words).into_response();
    }
    // Nor may a page elsewhere send lines.
    let origin = request.headers().get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
    if origin.is_some_and(|origin| !is_own_page(origin, host, address)) {
        let words = "not from another page: a page may ask only where it came from; a program sends no Origin\n";
        return (StatusCode::FORBIDDEN, words).into_response();
    }
    let has_token = request.headers().contains_key(header::AUTHORIZATION);
    let session = match sessions.of(request.method(), request.headers()) {
        Asked::Session(session) if !has_token => Some(session),
        Asked::WithoutWord
            if !has_token && scopes_of(request.method(), request.uri().path()) == Some(&[Scope::Operate][..]) =>
        {
            let words = format!("a session that changes something says so: {CSRF}, as GET /v1/session tells it\n");
            return (StatusCode::FORBIDDEN, words).into_response();
        }
        Asked::Session(_) | Asked::WithoutWord | Asked::Nobody => None,
    };
    let scopes = if ui::is_asked(&request) { None } else { scopes_of(request.method(), request.uri().path()) };
    if let (Some(tokens), Some(scopes)) = (tokens, scopes) {
        let allowed = match &session {
            Some(session) => tokens.allow_known(&session.token, scopes),
            None => tokens.allow(request.headers(), scopes),
        };
        match allowed {
            Allowed::Yes => {}
            Allowed::No => {
                let names: Vec<&str> = scopes.iter().map(|scope| scope.name()).collect();
                let words = format!("this token is not for that; it needs the scope {}\n", names.join(" or "));
                return (StatusCode::FORBIDDEN, words).into_response();
            }
            // A browser that is asked so asks its user, which a page that can log in need not have.
            Allowed::Unknown if request.headers().get("sec-fetch-dest").is_some_and(|of| of == "empty") => {
                return (StatusCode::UNAUTHORIZED, "a token is needed: POST /v1/session\n").into_response();
            }
            Allowed::Unknown => {
                let ask = [(header::WWW_AUTHENTICATE, "Basic realm=\"serin\"")];
                let words = "a token is needed: Authorization: Bearer SECRET (or Basic, ApiKey, Splunk)\n";
                return (StatusCode::UNAUTHORIZED, ask, words).into_response();
            }
        }
    }
    if let Some(session) = session {
        request.extensions_mut().insert(session);
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
        response.headers_mut().entry(name).or_insert(HeaderValue::from_static(value));
    }
    response
}

/// What a token must be for; `None`: anybody may ask.
fn scopes_of(method: &Method, path: &str) -> Option<&'static [Scope]> {
    match path {
        "/healthz" | "/readyz" | "/ready" | "/v1/session" => None,
        "/" => Some(&[Scope::Read, Scope::Ingest]),
        "/v1/report" | "/v1/verdict" | "/metrics" => Some(&[Scope::Read]),
        "/v1/logs" => Some(&[Scope::Ingest]),
        // They change nothing.
        _ if path.starts_with("/v1/flagger/") => Some(&[Scope::Read]),
        _ if path.starts_with("/v1/") && *method == Method::GET => Some(&[Scope::Read]),
        _ if path.starts_with("/v1/") => Some(&[Scope::Operate]),
        // Whoever searches asks first whether this is well.
        _ if path.contains("/_cluster/health") => Some(&[Scope::Read, Scope::Ingest]),
        _ if elastic::is_search(path) => Some(&[Scope::Read]),
        _ => Some(&[Scope::Ingest]),
    }
}

/// A page is one of ours: it has this machine's name, or the one under which it asks.
fn is_own_page(origin: &str, host: Option<&str>, address: SocketAddr) -> bool {
    let plain = origin.strip_prefix("http://");
    plain.is_some_and(|name| is_this_machine(name, address))
        || (!address.ip().is_loopback() && host.is_some() && plain.or_else(|| origin.strip_prefix("https://")) == host)
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

/// The UI for browsers; what is no browser asks whether this is Elasticsearch, or wants no page.
async fn index(request: Request) -> Response {
    ui::answer(&request).unwrap_or_else(|| elastic::root(request.headers()))
}

/// Files and screens of the UI; whatever else no route answers is a client's of Elasticsearch.
async fn otherwise(elastic: State<Elastic>, request: Request) -> Response {
    match ui::answer(&request) {
        Some(page) => page,
        None => {
            let is_lost = ui::is_lost(&request);
            let answer = elastic::any(elastic, request).await;
            let page = (is_lost && answer.status() == StatusCode::NOT_FOUND).then(ui::nothing_here).flatten();
            page.unwrap_or(answer)
        }
    }
}

/// The report as one page that needs no script.
async fn report_page(State(shared): State<Arc<Shared>>) -> Response {
    let shown = shared.with(|shown| shown.clone());
    let kind = [(header::CONTENT_TYPE, "text/html; charset=utf-8")];
    match (shown.report, shown.waiting) {
        (Some((_, html)), None) => (kind, html.to_string()).into_response(),
        (_, waiting) => (kind, page::waiting(waiting.as_deref().unwrap_or("the first log lines"))).into_response(),
    }
}

async fn report(State(shared): State<Arc<Shared>>) -> Response {
    let shown = shared.with(|shown| shown.clone());
    let kind = [(header::CONTENT_TYPE, "application/json")];
    match (shown.report, shown.waiting) {
        (Some((json, _)), None) => {
            let of = kept::Shown { at_ms: shown.at_ms, report: Arc::clone(&json), courses: shown.courses };
            let asof = [(kept::HEADER, kept::time_of(of.at_ms))];
            // Whoever sees it may want to show it to others as it was.
            tokio::task::spawn_blocking(move || shared.kept.seen(&of));
            (kind, asof, json.to_string()).into_response()
        }
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
    fn what_changes_a_rollout_needs_a_token_for_it() {
        let scopes = |method: Method, path: &str| scopes_of(&method, path);
        assert_eq!(scopes(Method::GET, "/healthz"), None);
        assert_eq!(scopes(Method::POST, "/v1/verdict"), Some(&[Scope::Read][..]));
        assert_eq!(scopes(Method::POST, "/v1/flagger/rollback"), Some(&[Scope::Read][..]));
        assert_eq!(scopes(Method::POST, "/v1/rollouts/1/approve"), Some(&[Scope::Operate][..]));
        assert_eq!(scopes(Method::GET, "/v1/rollouts"), Some(&[Scope::Read][..]));
        assert_eq!(scopes(Method::POST, "/logs/_search/"), Some(&[Scope::Read][..]));
        assert_eq!(scopes(Method::GET, "/_cluster/health"), Some(&[Scope::Read, Scope::Ingest][..]));
        for path in ["/ingest", "/_bulk", "/x/_bulk", "/v1/logs", "/otlp/v1/logs", "/loki/api/v1/push", "/_license"] {
            assert_eq!(scopes(Method::POST, path), Some(&[Scope::Ingest][..]), "{path}");
        }
    }

    #[test]
    fn a_page_elsewhere_is_none_of_ours() {
        let here: SocketAddr = "127.0.0.1:7878".parse().unwrap();
        let wide: SocketAddr = "10.0.0.1:7878".parse().unwrap();
        let host = Some("serin.example:7878");
        assert!(is_own_page("http://localhost:7878", None, here));
        assert!(is_own_page("https://serin.example:7878", host, wide));
        for (origin, host, address) in [
            ("http://evil.example", host, wide),
            ("null", host, wide),
            ("http://serin.example:7878", host, here),
            ("http://serin.example:7878", None, wide),
        ] {
            assert!(!is_own_page(origin, host, address), "{origin}");
        }
    }

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
