//! Search over HTTP: lines, what is around them, fields, figures, export.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use hyper::body::{Body, Bytes, Frame};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use crate::cli::clock::now;
use crate::cli::run::api::Table;
use crate::cli::run::http::Shared;
use crate::cli::run::searching::{WAITING, shares, table, tail};
use crate::cli::search::line_json;
use crate::index::{Asked, Covered, Cursor, Found, Index, Page, is_derived, told_paths};
use crate::query::{Node, ParseError, Query};

/// Lines of a page: usual, and most.
const LIMIT: usize = 50;
const LIMIT_MAX: usize = 1_000;
/// Lines around a line, on each side: usual, and most.
const AROUND: usize = 5;
const AROUND_MAX: usize = 200;
/// Matches that are counted for certain: usual, and most.
const COUNT_TO: u64 = 10_000;
const COUNT_TO_MAX: u64 = 1_000_000_000;
/// Lines that are looked at for what fields hold: usual, and most; and values of a field that are listed.
const COVERED: usize = 1_000;
const COVERED_MAX: usize = 10_000;
const VALUES: usize = 5;
const VALUES_MAX: usize = 100;
/// How long a search may take: usual, and most, in seconds.
const TIMEOUT: f64 = 10.0;
const TIMEOUT_MAX: f64 = 60.0;
/// Lines of an export.
const EXPORT_MAX: u64 = 10_000_000;
/// Pieces of an answer that wait for a slow reader.
const PIECES: usize = 16;

/// The routes.
pub(in crate::cli::run) fn routes(shared: Arc<Shared>) -> Router {
    crate::cli::run::api::router(routes_table()).with_state(shared)
}

fn routes_table() -> Table<Arc<Shared>> {
    vec![
        ("/v1/search", "get", get(search)),
        ("/v1/search/around", "get", get(around)),
        ("/v1/fields", "get", get(fields)),
        ("/v1/aggregate", "get", get(table::aggregate)),
        ("/v1/shares", "get", get(shares::shares)),
        ("/v1/export", "get", get(export)),
        ("/v1/tail", "get", get(tail::tail)),
    ]
}

/// Paths that are answered here, with what they are asked with.
#[cfg(test)]
pub(in crate::cli::run) fn paths() -> Vec<(&'static str, &'static str)> {
    routes_table().into_iter().map(|(path, method, _)| (path, method)).collect()
}

/// An answer in place of what was asked for.
pub(in crate::cli::run) struct Refusal(Box<Response>, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        *self.0
    }
}

impl Refusal {
    /// Its status.
    pub(super) fn status(&self) -> StatusCode {
        self.0.status()
    }

    /// Its words.
    pub(super) fn words(&self) -> &str {
        &self.1
    }
}

/// A refusal.
pub(super) fn problem(status: StatusCode, words: &str) -> Refusal {
    Refusal(Box::new((status, axum::Json(json!({ "error": words }))).into_response()), words.to_owned())
}

/// A query that is none.
pub(super) fn no_query(error: &ParseError) -> Refusal {
    let body = json!({
        "error": error.to_string(),
        "message": error.message,
        "from": error.at.start,
        "to": error.at.end,
        "help": error.help,
    });
    Refusal(Box::new((StatusCode::BAD_REQUEST, axum::Json(body)).into_response()), error.message.clone())
}

/// Parameters that are none.
pub(super) fn given<T>(parameters: Result<Parameters<T>, QueryRejection>) -> Result<T, Refusal> {
    parameters.map(|parameters| parameters.0).map_err(|error| problem(StatusCode::BAD_REQUEST, &error.body_text()))
}

/// Tells a search to stop once nobody waits for it.
struct Leaves(Arc<AtomicBool>);

impl Drop for Leaves {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a search on a thread of its own when its turn has come. It stops when the time is over or the client leaves.
pub(super) async fn run<T: Send + 'static>(
    shared: &Arc<Shared>,
    timeout: Option<f64>,
    what: impl FnOnce(&Index, &dyn Fn() -> bool) -> T + Send + 'static,
) -> Result<T, Refusal> {
    let searching = &shared.searching;
    let Some(index) = searching.index.get().map(Arc::clone) else {
        return Err(match searching.is_off() {
            true => problem(StatusCode::NOT_FOUND, "no lines are kept for search here (--index off)"),
            false => problem(StatusCode::SERVICE_UNAVAILABLE, "nothing is indexed yet"),
        });
    };
    let seconds = timeout.unwrap_or(TIMEOUT);
    if !(seconds > 0.0 && seconds <= TIMEOUT_MAX) {
        return Err(problem(
            StatusCode::BAD_REQUEST,
            &format!("timeout: more than 0 and at most {TIMEOUT_MAX} seconds"),
        ));
    }
    if searching.waiting.fetch_add(1, Ordering::Relaxed) >= WAITING {
        searching.waiting.fetch_sub(1, Ordering::Relaxed);
        searching.refused.fetch_add(1, Ordering::Relaxed);
        let mut refusal = problem(StatusCode::TOO_MANY_REQUESTS, "too many searches wait for their turn");
        refusal.0.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        return Err(refusal);
    }
    let waits = Waits(shared);
    let turn = searching.turns.acquire().await;
    drop(waits);
    if turn.is_err() {
        return Err(problem(StatusCode::SERVICE_UNAVAILABLE, "stopping"));
    }
    let gone = Arc::new(AtomicBool::new(false));
    let _leaves = Leaves(Arc::clone(&gone));
    let until = Instant::now() + Duration::from_secs_f64(seconds);
    let of = Arc::clone(shared);
    let done = tokio::task::spawn_blocking(move || {
        what(&index, &|| gone.load(Ordering::Relaxed) || Instant::now() >= until || of.stop.is_told())
    });
    done.await.map_err(|_| problem(StatusCode::INTERNAL_SERVER_ERROR, "the search has died"))
}

/// One that waits for its turn; it does so no more when this goes, whatever ends it.
struct Waits<'a>(&'a Arc<Shared>);

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.searching.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What lines are to be: a query, and times.
pub(super) fn tree(
    shared: &Shared,
    index: &Index,
    query: &str,
    (since, until): (Option<&str>, Option<&str>),
) -> Result<Node, Refusal> {
    let mut text = String::new();
    let mut nodes = Vec::new();
    let aliases = shared.searching.aliases.get().cloned().unwrap_or_default();
    for (part, sign) in [(Some(query), ""), (since, ">="), (until, "<")] {
        let Some(part) = part else { continue };
        text.clear();
        if !sign.is_empty() {
            text.push_str("_time:");
            text.push_str(sign);
        }
        text.push_str(part);
        // What is more than one time would be a query of its own.
        if !sign.is_empty() && part.contains(|c: char| c.is_whitespace() || "()[]{}\"".contains(c)) {
            let words = format!("`{part}` is no time: 2026-06-01T10:00:00Z, 2026-06-01, now-15m");
            return Err(problem(StatusCode::BAD_REQUEST, &words));
        }
        let query = Query::parse_at(&text, now()).map_err(|error| no_query(&error))?;
        let node = index.resolve(&query, &aliases).map_err(|error| damaged(&error))?;
        nodes.push(node.map_err(|error| no_query(&error))?);
    }
    Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::And(nodes) })
}

/// An index that cannot be read.
pub(super) fn damaged(error: &tantivy::TantivyError) -> Refusal {
    problem(StatusCode::INTERNAL_SERVER_ERROR, &format!("the index cannot be read: {error}"))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Searched {
    q: Option<String>,
    since: Option<String>,
    until: Option<String>,
    limit: Option<usize>,
    before: Option<String>,
    count: Option<u64>,
    timeout: Option<f64>,
}

async fn search(
    State(shared): State<Arc<Shared>>,
    asked: Result<Parameters<Searched>, QueryRejection>,
) -> Result<Response, Refusal> {
    let asked = given(asked)?;
    let limit = asked.limit.unwrap_or(LIMIT);
    if !(0..=LIMIT_MAX).contains(&limit) {
        return Err(problem(StatusCode::BAD_REQUEST, &format!("limit: at most {LIMIT_MAX}")));
    }
    let count_to = asked.count.unwrap_or(COUNT_TO);
    if count_to > COUNT_TO_MAX {
        return Err(problem(StatusCode::BAD_REQUEST, &format!("count: at most {COUNT_TO_MAX}")));
    }
    let before = asked.before.as_deref().map(str::parse::<Cursor>).transpose();
    let before = before.map_err(|words| problem(StatusCode::BAD_REQUEST, &format!("before: {words}")))?;
    let began = Instant::now();
    let of = Arc::clone(&shared);
    let (page, tree) = run(&shared, asked.timeout, move |index, stop| {
        let query = asked.q.as_deref().unwrap_or("*");
        let tree = tree(&of, index, query, (asked.since.as_deref(), asked.until.as_deref()))?;
        let asked = Asked { tree: &tree, limit, before, count_to, stop };
        let page = index.search(&asked).map_err(|error| damaged(&error))?;
        Ok((page, tree))
    })
    .await??;
    let Page { lines, total, partial, next } = page;
    let body = json!({
        "query": tree.to_string(),
        "lines": lines.iter().map(|line| line_json(line, Some(&tree))).collect::<Vec<_>>(),
        "total": {
            "lines": total.lines, "is_exact": total.is_exact, "is_estimate": total.is_estimate, "kept": total.kept,
        },
        "partial": partial.as_ref().map(|partial| partial.name()),
        "next": next.map(|next| next.to_string()),
        "took_ms": began.elapsed().as_secs_f64() * 1e3,
    });
    Ok(axum::Json(body).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Around {
    stream: String,
    position: u64,
    before: Option<usize>,
    behind: Option<usize>,
    timeout: Option<f64>,
}

async fn around(
    State(shared): State<Arc<Shared>>,
    asked: Result<Parameters<Around>, QueryRejection>,
) -> Result<Response, Refusal> {
    let Around { stream, position, before, behind, timeout } = given(asked)?;
    let (before, behind) = (before.unwrap_or(AROUND), behind.unwrap_or(AROUND));
    if before.max(behind) > AROUND_MAX {
        return Err(problem(StatusCode::BAD_REQUEST, &format!("before, behind: at most {AROUND_MAX}")));
    }
    let lines = run(&shared, timeout, move |index, _| {
        index.around(&stream, position, before, behind).map_err(|error| damaged(&error))
    })
    .await??;
    let lines: Vec<Value> = lines.iter().map(|line| line_json(line, None)).collect();
    Ok(axum::Json(json!({ "lines": lines })).into_response())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    q: Option<String>,
    since: Option<String>,
    until: Option<String>,
    lines: Option<usize>,
    values: Option<usize>,
    timeout: Option<f64>,
}

/// Fields of all lines, and what the newest ones that match hold of them.
async fn fields(
    State(shared): State<Arc<Shared>>,
    asked: Result<Parameters<Fields>, QueryRejection>,
) -> Result<Response, Refusal> {
    let asked = given(asked)?;
    let (limit, values) = (asked.lines.unwrap_or(COVERED), asked.values.unwrap_or(VALUES));
    if limit > COVERED_MAX || values > VALUES_MAX {
        let words = format!("lines: at most {COVERED_MAX}; values: at most {VALUES_MAX}");
        return Err(problem(StatusCode::BAD_REQUEST, &words));
    }
    let of = Arc::clone(&shared);
    let (known, covered) = run(&shared, asked.timeout, move |index, stop| {
        let query = asked.q.as_deref().unwrap_or("*");
        let tree = tree(&of, index, query, (asked.since.as_deref(), asked.until.as_deref()))?;
        let asked = Asked { tree: &tree, limit, before: None, count_to: COUNT_TO, stop };
        let known = index.fields().map_err(|error| damaged(&error))?;
        Ok((known, index.covered(&asked, values).map_err(|error| damaged(&error))?))
    })
    .await??;
    let Covered { lines, fields, total, partial } = covered;
    // Of the rest of what decoding says nothing was looked at.
    let is_told = |path: &str| !is_derived(path) || told_paths().any(|told| told == path);
    let of_path = |path: &str| fields.iter().find(|field| field.path == path);
    let list = known.iter().map(|field| {
        let seen = of_path(&field.path);
        let values = seen.map_or(&[][..], |seen| &seen.values).iter();
        json!({
            "path": field.path,
            "kind": field.kind,
            "lines": if is_told(&field.path) { Some(seen.map_or(0, |seen| seen.lines)) } else { None },
            "values": values.map(|(value, lines)| json!({ "value": value, "lines": lines })).collect::<Vec<_>>(),
        })
    });
    let body = json!({
        "fields": list.collect::<Vec<_>>(),
        "lines": lines,
        "total": { "lines": total.lines, "is_exact": total.is_exact, "is_estimate": total.is_estimate, "kept": total.kept },
        "partial": partial.as_ref().map(|partial| partial.name()),
    });
    Ok(axum::Json(body).into_response())
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Format {
    Ndjson,
    Csv,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Exported {
    q: Option<String>,
    since: Option<String>,
    until: Option<String>,
    format: Option<Format>,
    limit: Option<u64>,
}

/// All lines that match, newest first, page by page, as fast as they are read.
async fn export(
    State(shared): State<Arc<Shared>>,
    asked: Result<Parameters<Exported>, QueryRejection>,
) -> Result<Response, Refusal> {
    let asked = given(asked)?;
    let format = asked.format.unwrap_or(Format::Ndjson);
    let most = asked.limit.unwrap_or(EXPORT_MAX);
    if most > EXPORT_MAX {
        return Err(problem(StatusCode::BAD_REQUEST, &format!("limit: at most {EXPORT_MAX}")));
    }
    let of = Arc::clone(&shared);
    let tree = run(&shared, None, move |index, _| {
        tree(&of, index, asked.q.as_deref().unwrap_or("*"), (asked.since.as_deref(), asked.until.as_deref()))
    })
    .await??;
    let tree = Arc::new(tree);
    let (sender, body) = piecewise(PIECES);
    tokio::spawn(async move {
        let mut left = most;
        let mut before = None;
        if format == Format::Csv && sender.send(Ok(Bytes::from_static(b"time,stream,position,line\r\n"))).await.is_err()
        {
            return;
        }
        while left > 0 {
            let (tree, limit) = (Arc::clone(&tree), usize::try_from(left).unwrap_or(LIMIT_MAX).min(LIMIT_MAX));
            let page = run(&shared, Some(TIMEOUT_MAX), move |index, stop| {
                index.search(&Asked { tree: &tree, limit, before, count_to: 0, stop })
            })
            .await;
            let Ok(Ok(page)) = page else {
                let _gone =
                    sender.send(broken_off(format, String::new(), "the index could not be read to the end")).await;
                return;
            };
            let text: String = page.lines.iter().map(|line| exported(line, format)).collect();
            left = left.saturating_sub(page.lines.len() as u64);
            let more = page.next;
            if page.partial.is_some() {
                let _gone = sender.send(broken_off(format, text, "not whole")).await;
                return;
            }
            if sender.send(Ok(Bytes::from(text))).await.is_err() || more.is_none() {
                return;
            }
            before = more;
        }
    });
    let kind = match format {
        Format::Ndjson => "application/x-ndjson",
        Format::Csv => "text/csv; charset=utf-8",
    };
    Ok(([(header::CONTENT_TYPE, kind)], axum::body::Body::new(body)).into_response())
}

/// The end of an answer that breaks off, which must not look whole: a last line that says so, or in a table, where that would be a row, a
/// connection that breaks.
fn broken_off(format: Format, text: String, why: &str) -> Piece {
    match format {
        Format::Ndjson => Ok(Bytes::from(format!("{text}{}\n", json!({ "error": why })))),
        Format::Csv => Err(io::Error::other(why.to_owned())),
    }
}

fn exported(found: &Found, format: Format) -> String {
    match format {
        Format::Ndjson => format!("{}\n", line_json(found, None)),
        Format::Csv => {
            let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
            format!(
                "{},{},{},{}\r\n",
                found.time(),
                quoted(&found.at.stream),
                found.at.position,
                // A table that would take it for a formula must not.
                quoted(&if found.line.starts_with(['=', '+', '-', '@']) {
                    format!("'{}", found.line)
                } else {
                    found.line.clone()
                })
            )
        }
    }
}

/// A piece of a body; an error breaks the connection.
pub(super) type Piece = io::Result<Bytes>;

/// A body that is sent piece by piece.
pub(super) struct Pieces(mpsc::Receiver<Piece>);

/// Where pieces are put, and the body of them. So many may wait.
pub(super) fn piecewise(waiting: usize) -> (mpsc::Sender<Piece>, Pieces) {
    let (sender, receiver) = mpsc::channel(waiting);
    (sender, Pieces(receiver))
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.0.poll_recv(context).map(|piece| piece.map(|piece| piece.map(Frame::data)))
    }
}
