//! That something has changed, told to who shows it: server-sent events.
//!
//! An event says which of two things is another one than before, the report or the rollouts, and not what it is now: whoever hears
//! it asks for that. So nothing has to be kept for those who are away. The id of an event says how far both had come; whoever comes
//! again with it (`Last-Event-ID`) hears at once of what has changed meanwhile, and how often it did (`skipped`).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use hyper::body::{Bytes, Frame};
use serde_json::json;
use tokio::sync::{Semaphore, mpsc, watch};

use crate::cli::run::door::Refused;
use crate::cli::run::http::Shared;

/// Who may listen at a time; each takes one of the connections.
const LISTENERS: usize = 256;
/// Between two events of one thing to one listener. What changes meanwhile is one event.
const PAUSE: Duration = Duration::from_millis(500);
/// A comment is sent after so long without an event, so that a dead connection is noticed.
const QUIET: Duration = Duration::from_secs(15);

/// How often each has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Versions {
    report: u64,
    rollouts: u64,
    /// The program is stopping.
    ended: bool,
}

/// What has changed, for whoever listens.
pub(super) struct News {
    versions: watch::Sender<Versions>,
    /// Differs between two runs of the program: versions are counted anew.
    run: u64,
    places: Arc<Semaphore>,
}

impl Default for News {
    fn default() -> News {
        let mut run = [0; 8];
        // Without randomness two runs may look alike, and a listener then asks once less.
        let _same = getrandom::fill(&mut run);
        News {
            versions: watch::Sender::new(Versions::default()),
            run: u64::from_le_bytes(run) >> 16,
            places: Arc::new(Semaphore::new(LISTENERS)),
        }
    }
}

impl News {
    /// There is another report.
    pub(super) fn report(&self) {
        self.versions.send_modify(|versions| versions.report += 1);
    }

    /// A rollout, or what is told of one, stands otherwise.
    pub(super) fn rollouts(&self) {
        self.versions.send_modify(|versions| versions.rollouts += 1);
    }

    /// Nothing follows.
    pub(super) fn end(&self) {
        self.versions.send_modify(|versions| versions.ended = true);
    }

    fn id(&self, of: Versions) -> String {
        format!("{:x}-{}-{}", self.run, of.report, of.rollouts)
    }

    /// What a listener had heard of, by the id of its last event. `None`: an id of another run, or none at all.
    fn heard(&self, id: &str) -> Option<Versions> {
        let mut parts = id.split('-');
        let run = u64::from_str_radix(parts.next()?, 16).ok()?;
        let mut number = || parts.next()?.parse::<u64>().ok();
        let heard = Versions { report: number()?, rollouts: number()?, ended: false };
        (run == self.run).then_some(heard)
    }

    /// Events from one state to another.
    fn between(&self, heard: Option<Versions>, now: Versions) -> String {
        let mut text = String::new();
        let id = self.id(now);
        let mut of = |name: &str, heard: Option<u64>, now: u64| {
            if heard == Some(now) {
                return;
            }
            let skipped = heard.map(|heard| now.saturating_sub(heard).saturating_sub(1));
            text.push_str(&format!(
                "id: {id}\nevent: {name}\ndata: {}\n\n",
                json!({ "version": now, "skipped": skipped })
            ));
        };
        of("report", heard.map(|heard| heard.report), now.report);
        of("rollouts", heard.map(|heard| heard.rollouts), now.rollouts);
        text
    }
}

/// A body that comes in pieces.
struct Pieces(mpsc::Receiver<Bytes>);

impl HttpBody for Pieces {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        self.get_mut().0.poll_recv(context).map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// `GET /v1/events`.
pub(super) async fn listen(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let news = &shared.news;
    let Ok(place) = Arc::clone(&news.places).try_acquire_owned() else {
        let words = format!("{LISTENERS} listen already; ask GET /v1/report again and again instead");
        return Refused(StatusCode::SERVICE_UNAVAILABLE, words).into_response();
    };
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
    let mut heard = last.and_then(|id| news.heard(id));
    let mut versions = news.versions.subscribe();
    let (sender, receiver) = mpsc::channel(1);
    let of = Arc::clone(&shared);
    tokio::spawn(async move {
        let _place = place;
        loop {
            let now = *versions.borrow_and_update();
            let text = of.news.between(heard, now);
            heard = Some(now);
            // Who reads slowly is waited for, and hears of the state that there is then.
            if !text.is_empty() && sender.send(Bytes::from(text)).await.is_err() {
                return;
            }
            if now.ended {
                return;
            }
            let pause = tokio::time::sleep(PAUSE);
            // Whoever waits for a value has seen all that came before it: what changes in the pause is to be seen after it.
            let mut ending = versions.clone();
            tokio::select! {
                () = pause => {}
                () = sender.closed() => return,
                _ = ending.wait_for(|versions| versions.ended) => continue,
            }
            let changed = tokio::select! {
                changed = tokio::time::timeout(QUIET, versions.changed()) => changed,
                () = sender.closed() => return,
            };
            match changed {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return,
                Err(_) => {
                    if sender.send(Bytes::from_static(b": quiet\n\n")).await.is_err() {
                        return;
                    }
                }
            }
        }
    });
    ([(header::CONTENT_TYPE, "text/event-stream")], Body::new(Pieces(receiver))).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_comes_again_hears_what_has_changed_and_how_often() {
        let news = News::default();
        news.report();
        let first = *news.versions.borrow();
        assert_eq!(news.heard(&news.id(first)), Some(first));
        for _ in 0..3 {
            news.report();
        }
        let now = *news.versions.borrow();
        let text = news.between(Some(first), now);
        assert_eq!(text, format!("id: {}\nevent: report\ndata: {{\"skipped\":2,\"version\":4}}\n\n", news.id(now)));
        assert_eq!(news.between(Some(now), now), "");
        // Whoever is new, or comes from another run, asks for everything.
        for id in ["", "x", "1-2", &format!("{:x}-1-0", news.run ^ 1)] {
            let text = news.between(news.heard(id), now);
            assert!(
                text.contains("event: report") && text.contains("event: rollouts") && text.contains("null"),
                "{id}"
            );
        }
    }

    #[test]
    fn what_changes_in_the_pause_is_told_after_it() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let shared = Arc::new(Shared::default());
            let response = listen(State(Arc::clone(&shared)), HeaderMap::new()).await;
            let mut body = response.into_body();
            let next = async |body: &mut Body| {
                let frame = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
                String::from_utf8(frame.unwrap().unwrap().into_data().unwrap().to_vec()).unwrap()
            };
            let first = next(&mut body).await;
            assert!(first.contains("event: report"), "{first}");
            shared.news.report();
            let second = next(&mut body).await;
            assert!(second.contains("event: report") && second.contains("\"version\":1"), "{second}");
        });
    }

    #[test]
    fn it_ends_with_the_program() {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let shared = Arc::new(Shared::default());
            let response = listen(State(Arc::clone(&shared)), HeaderMap::new()).await;
            shared.news.rollouts();
            shared.news.end();
            let text = axum::body::to_bytes(response.into_body(), 1 << 16).await.unwrap();
            assert!(text.starts_with(b"id: "), "{text:?}");
            assert_eq!(shared.news.places.available_permits(), LISTENERS, "its place is free again");
        });
    }
}
