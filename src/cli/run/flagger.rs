//! Flagger's webhooks: `POST /v1/flagger/KIND`, for the hooks of a Canary.
//!
//! Flagger takes 200 for yes, and shows the body of what is no; it swallows the bodies of 429 and 5xx, so a no is 403 or 412. Its
//! question names no version: which rollout is meant is said by `metadata` (`rollout`, or `service` with `environment`, `cell`, `canary`
//! and `baseline`), else the Canary's name is that of the service.

use std::collections::BTreeMap;

use axum::extract::{Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;

use crate::cli::run::api::Api;
use crate::cli::run::gate;
use crate::cli::terminal::harmless;
use crate::compare::verdict::Verdict;

/// Longest question.
const QUESTION_MAX: usize = 64 << 10;

/// Which hook of a Canary asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    ConfirmRollout,
    PreRollout,
    Rollout,
    ConfirmTrafficIncrease,
    ConfirmPromotion,
    Rollback,
    PostRollout,
    Event,
}

const KINDS: [(&str, Kind); 8] = [
    ("confirm-rollout", Kind::ConfirmRollout),
    ("pre-rollout", Kind::PreRollout),
    ("rollout", Kind::Rollout),
    ("confirm-traffic-increase", Kind::ConfirmTrafficIncrease),
    ("confirm-promotion", Kind::ConfirmPromotion),
    ("rollback", Kind::Rollback),
    ("post-rollout", Kind::PostRollout),
    ("event", Kind::Event),
];

/// A question of Flagger. Further fields may come with its versions.
#[derive(Debug, Deserialize)]
struct Question {
    name: String,
    #[serde(default)]
    metadata: BTreeMap<String, String>,
}

/// What a hook is told: the status, by what is said of the rollout and by whether it is held by somebody.
fn status(kind: Kind, verdict: Verdict, held: bool) -> StatusCode {
    let yes = StatusCode::OK;
    match kind {
        // Whether to begin: no, while somebody holds it.
        Kind::ConfirmRollout if held => StatusCode::FORBIDDEN,
        Kind::ConfirmRollout | Kind::PostRollout | Kind::Event => yes,
        // Each no counts as a failed check: only what failed is one.
        Kind::PreRollout | Kind::Rollout => match verdict {
            Verdict::Fail => StatusCode::PRECONDITION_FAILED,
            Verdict::Pass | Verdict::Inconclusive | Verdict::Invalid => yes,
        },
        // A no holds the weight and counts as nothing.
        Kind::ConfirmTrafficIncrease | Kind::ConfirmPromotion => match verdict {
            Verdict::Pass => yes,
            Verdict::Fail | Verdict::Inconclusive | Verdict::Invalid => StatusCode::FORBIDDEN,
        },
        // Here yes rolls back.
        Kind::Rollback => match verdict {
            Verdict::Fail => yes,
            Verdict::Pass | Verdict::Inconclusive | Verdict::Invalid => StatusCode::FORBIDDEN,
        },
    }
}

/// Answers a hook of a Canary.
pub(super) async fn asked(State(api): State<Api>, Path(word): Path<String>, request: Request) -> Response {
    let Some((_, kind)) = KINDS.into_iter().find(|(known, _)| *known == word) else {
        let known: Vec<&str> = KINDS.into_iter().map(|(word, _)| word).collect();
        return (StatusCode::NOT_FOUND, format!("there are {}\n", known.join(", "))).into_response();
    };
    let body = axum::body::to_bytes(request.into_body(), QUESTION_MAX).await;
    let question: Result<Question, String> = match &body {
        Ok(body) => serde_json::from_slice(body).map_err(|error| error.to_string()),
        Err(_) => Err("too long, or it did not come whole".to_owned()),
    };
    let said = match &question {
        Ok(question) => said_of(&api, question),
        Err(error) => Err(format!("the question is not understood: {error}")),
    };
    let (status, words) = match said {
        Ok(said) => {
            let word = said["data"]["verdict"].as_str().unwrap_or_default();
            let verdict = Verdict::ALL.into_iter().find(|verdict| verdict.name() == word);
            let held = said["data"]["phase"] == "held";
            let mut words = format!("{word}: {}", said["data"]["reason"].as_str().unwrap_or_default());
            if let Some(needed) = said["data"]["units_needed"].as_u64() {
                words.push_str(&format!(" Needs {needed} more users."));
            }
            (status(kind, verdict.unwrap_or(Verdict::Inconclusive), held), words)
        }
        // What is not known fails nothing and promotes nothing.
        Err(words) => (status(kind, Verdict::Inconclusive, false), format!("inconclusive: {words}")),
    };
    (status, format!("{}\n", harmless(&words, 800))).into_response()
}

fn said_of(api: &Api, question: &Question) -> Result<Value, String> {
    let field = |key: &str| question.metadata.get(key).map(String::as_str).filter(|text| !text.is_empty());
    if let Some(id) = field("rollout") {
        return gate::of_rollout(api, id, &gate::asked_now(api, None))
            .ok_or_else(|| format!("there is no rollout `{id}`"));
    }
    let service = field("service").unwrap_or(&question.name);
    Ok(gate::of_service(api, service, [field("environment"), field("cell"), field("canary"), field("baseline")]))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What Flagger does with an answer: 200 is yes (it takes no status above 202 for one), and here it rolls back.
    #[test]
    fn only_a_failure_rolls_back_and_only_a_pass_promotes() {
        let table = |kind| Verdict::ALL.map(|verdict| status(kind, verdict, false).as_u16());
        // pass, fail, inconclusive, invalid.
        assert_eq!(table(Kind::Rollback), [403, 200, 403, 403]);
        assert_eq!(table(Kind::Rollout), [200, 412, 200, 200]);
        assert_eq!(table(Kind::PreRollout), [200, 412, 200, 200]);
        assert_eq!(table(Kind::ConfirmTrafficIncrease), [200, 403, 403, 403]);
        assert_eq!(table(Kind::ConfirmPromotion), [200, 403, 403, 403]);
        assert_eq!(table(Kind::ConfirmRollout), [200; 4]);
        assert_eq!(status(Kind::ConfirmRollout, Verdict::Inconclusive, true).as_u16(), 403);
        for kind in [Kind::PostRollout, Kind::Event] {
            assert_eq!(table(kind), [200; 4]);
        }
    }
}
