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
use crate::index::{Came, Positions};

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

/// Events of what came behind positions. Who hears a part of them goes on behind the last that it has heard.
fn events(before: &Positions, came: &Came, gap: u64) -> String {
    let (mut text, mut place) = (String::new(), before.clone());
    // What was left out are the first lines, stream by stream.
    let mut at_stream = None;
    let mut reach = |place: &mut Positions, stream: &str, next: u64| {
        if at_stream.as_deref() != Some(stream) {
            for (name, end) in came.positions.iter().filter(|(name, _)| *name < stream) {
                place.reach(name, end);
            }
            at_stream = Some(stream.to_owned());
        }
        place.reach(stream, next);
    };
    if gap > 0 {
        match came.lines.first() {
            Some(first) => reach(&mut place, &first.at.stream, first.at.position),
            None => place = came.positions.clone(),
        }
        text.push_str(&format!("event: gap\ndata: {}\nid: {}\n\n", json!({ "lines": gap }), place.to_id()));
    }
    for (number, line) in came.lines.iter().enumerate() {
        reach(&mut place, &line.at.stream, line.at.position + 1);
        if number + 1 == came.lines.len() {
            place = came.positions.clone();
        }
        text.push_str(&format!("data: {}\nid: {}\n\n", line_json(line, None), place.to_id()));
    }
    text
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
                let text = events(&positions, &came, gap);
                positions = came.positions;
                if !text.is_empty() {
                    match sender.try_send(Ok(Bytes::from(text))) {
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
                        sender.try_send(Ok(Bytes::from_static(b": quiet\n\n")))
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::{Cursor, Found};

    #[test]
    fn who_goes_on_behind_any_event_misses_nothing() {
        let mut before = Positions::default();
        before.reach("a", 10);
        before.reach("b", 20);
        let mut behind = before.clone();
        behind.reach("a", 15);
        behind.reach("b", 26);
        let line = |stream: &str, position| Found {
            at: Cursor { time: 0, position, stream: stream.to_owned() },
            line: String::new(),
            told: Vec::new(),
        };
        let all = vec![line("a", 11), line("a", 13), line("b", 21), line("b", 24)];
        let ids = |came: &Came, gap| -> Vec<Positions> {
            let text = events(&before, came, gap);
            text.lines().filter_map(|line| Positions::from_id(line.strip_prefix("id: ")?)).collect()
        };
        let left =
            |place: &Positions| all.iter().filter(|line| line.at.position >= place.next(&line.at.stream)).count();
        let came = Came { lines: all.clone(), left_out: 0, positions: behind.clone() };
        assert_eq!(ids(&came, 0).iter().map(left).collect::<Vec<_>>(), [3, 2, 1, 0]);
        assert_eq!(ids(&came, 0).last(), Some(&behind));
        // With a gap before them: whoever has heard of it alone gets the rest, and not what it tells of.
        let came = Came { lines: all[1..].to_vec(), left_out: 1, positions: behind.clone() };
        assert_eq!(ids(&came, 1).iter().map(left).collect::<Vec<_>>(), [3, 2, 1, 0]);
        let came = Came { lines: all[2..].to_vec(), left_out: 2, positions: behind.clone() };
        assert_eq!(ids(&came, 2).iter().map(left).collect::<Vec<_>>(), [2, 1, 0]);
        let came = Came { lines: Vec::new(), left_out: 4, positions: behind.clone() };
        assert_eq!(ids(&came, 4), [behind.clone()]);
        assert!(ids(&Came { lines: Vec::new(), left_out: 0, positions: behind }, 0).is_empty());
    }
}
