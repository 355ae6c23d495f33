//! New lines as they are indexed: server-sent events that can be resumed. A reader who is too slow gets a counted gap, and holds nobody up.

use std::sync::Arc;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::Bytes;
use serde::Deserialize;
use serde_json::json;

use crate::cli::run::http::Shared;
use crate::cli::run::searching::api::{Refusal, damaged, given, piecewise, problem, run, tree};
use crate::cli::search::line_json;
use crate::index::Positions;

/// Events that wait for a slow reader, each with the lines of one commit.
const WAITING: usize = 8;
/// Lines of one commit that are shown to a reader; further ones are a gap.
const LINES: usize = 1_000;
/// A comment is sent after so long without a line, so that a dead connection is noticed.
const QUIET: std::time::Duration = std::time::Duration::from_secs(15);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Tailed {
    q: Option<String>,
    /// Where to go on: the id of the last event; without, with what comes from now on.
    after: Option<String>,
}

pub(super) async fn tail(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    asked: Result<Parameters<Tailed>, QueryRejection>,
) -> Result<Response, Refusal> {
    let asked = given(asked)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).map(str::to_owned).or(asked.after);
    let from = match last.as_deref().map(Positions::from_id) {
        None => None,
        Some(Some(positions)) => Some(positions),
        Some(None) => return Err(problem(StatusCode::BAD_REQUEST, "after: no id of an event")),
    };
    let mut commits = shared.searching.commits.subscribe();
    commits.mark_unchanged();
    let of = Arc::clone(&shared);
    let (tree, now) = run(&shared, None, move |index, _| {
        let tree = tree(&of, index, asked.q.as_deref().unwrap_or("*"), (None, None))?;
        let now = index.positions().map_err(|error| problem(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()))?;
        Ok::<_, Refusal>((Arc::new(tree), now))
    })
    .await??;
    let mut positions = from.unwrap_or(now);
    let (sender, body) = piecewise(WAITING);
    tokio::spawn(async move {
        let mut gap = 0u64;
        loop {
            let (of_tree, after) = (Arc::clone(&tree), positions.clone());
            let came = run(&shared, None, move |index, stop| {
                index.after(&after, &of_tree, LINES, stop).map_err(|error| damaged(&error))
            })
            .await;
            if let Ok(Ok(came)) = came {
                gap += came.left_out;
                positions = came.positions;
                let mut text = String::new();
                let id = positions.to_id();
                if gap > 0 {
                    text.push_str(&format!("event: gap\ndata: {}\nid: {id}\n\n", json!({ "lines": gap })));
                }
                for line in &came.lines {
                    text.push_str(&format!("data: {}\nid: {id}\n\n", line_json(line, None)));
                }
                if !text.is_empty() {
                    match sender.try_send(Bytes::from(text)) {
                        Ok(()) => gap = 0,
                        Err(tokio::sync::mpsc::error::TrySendError::Full(_)) => gap += came.lines.len() as u64,
                        Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) => return,
                    }
                }
            }
            // The next commit, or a sign of life.
            match tokio::time::timeout(QUIET, commits.changed()).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => {
                    if let Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) =
                        sender.try_send(Bytes::from_static(b": quiet\n\n"))
                    {
                        return;
                    }
                }
            }
            if sender.is_closed() {
                return;
            }
        }
    });
    Ok(([(header::CONTENT_TYPE, "text/event-stream")], axum::body::Body::new(body)).into_response())
}
