//! The gate: `POST /v1/verdict`, asked by rollout controllers (Argo Rollouts' web metric) again and again.
//!
//! Always answered with 200, a verdict and a reason: an answer that a controller takes for an error of its own would abort
//! rollouts whenever this program starts again. What is not known is `inconclusive`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::report::Report;
use crate::cli::run::http::Shared;
use crate::cli::terminal::harmless;
use crate::compare::budget;
use crate::compare::verdict::Verdict;
use crate::time::{SECOND, Timestamp};

/// Longest question.
const QUESTION_MAX: usize = 64 << 10;

/// What is said of each comparison.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Gate {
    rows: Vec<Row>,
}

#[derive(Clone, PartialEq, Debug)]
struct Row {
    service: String,
    environment: String,
    control: String,
    candidate: String,
    verdict: Verdict,
    reason: String,
    log_sum: f64,
    units: [u64; 2],
    units_needed: Option<u64>,
    failed_at: Option<Timestamp>,
    automatic_at: Option<Timestamp>,
    /// End of the last window that was looked at.
    ended_at: Timestamp,
    is_over: bool,
}

/// Which arm is meant: its name, or fields of its lines, one of whose values is its name.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(untagged)]
enum Arm {
    Name(String),
    Fields(BTreeMap<String, String>),
}

impl Arm {
    fn is(&self, name: &str) -> bool {
        match self {
            Arm::Name(asked) => asked == name,
            Arm::Fields(fields) => fields.values().any(|asked| asked == name),
        }
    }
}

/// A question.
#[derive(Clone, PartialEq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Question {
    service: String,
    environment: Option<String>,
    canary: Option<Arm>,
    baseline: Option<Arm>,
}

impl Gate {
    /// What a report says.
    pub(super) fn of(report: &Report<'_>) -> Gate {
        let rows = report.comparisons.iter().map(|judged| {
            let (comparison, entry) = (judged.comparison, judged.services.first());
            let reasons: Vec<String> = judged.sentences().into_iter().take(2).collect();
            let needed = judged.needs.iter().filter(|need| need.needed.is_finite()).map(|need| need.needed - need.have);
            Row {
                service: entry.map(|key| key.service.clone()).unwrap_or_default(),
                environment: entry.map(|key| key.environment.clone()).unwrap_or_default(),
                control: comparison.control.clone(),
                candidate: comparison.candidate.clone(),
                verdict: comparison.look.verdict,
                reason: harmless(&reasons.join(" "), 600),
                log_sum: comparison.look.log_sum,
                units: comparison.distinct_units(),
                units_needed: needed.fold(None, |most: Option<u64>, n| Some(most.unwrap_or(0).max(n.max(0.0) as u64))),
                failed_at: comparison.failure.as_ref().map(|failure| failure.at),
                automatic_at: comparison.failure.as_ref().and_then(|failure| failure.automatic_at),
                ended_at: comparison.ended_at,
                is_over: comparison.end.is_some(),
            }
        });
        Gate { rows: rows.collect() }
    }

    /// The answer to a question at a time of the clock.
    fn answer(&self, question: &Question, now: Timestamp) -> Value {
        let is_asked = |row: &&Row| {
            row.service == question.service
                && question.environment.as_ref().is_none_or(|asked| *asked == row.environment)
                && question.canary.as_ref().is_none_or(|asked| asked.is(&row.candidate))
                && question.baseline.as_ref().is_none_or(|asked| asked.is(&row.control))
        };
        let mut found: Vec<&Row> = self.rows.iter().filter(is_asked).collect();
        // The same two may meet again: the latest counts.
        found.sort_by_key(|row| (row.is_over, std::cmp::Reverse(row.ended_at)));
        let environments: std::collections::BTreeSet<&str> = found.iter().map(|row| row.environment.as_str()).collect();
        if environments.len() > 1 {
            let list: Vec<String> = environments.iter().map(|name| harmless(name, 60)).collect();
            return unknown(&format!("several environments have it ({}): name one", list.join(", ")));
        }
        match found.first() {
            None => unknown("no comparison of this service and these arms has begun: are lines of both arms coming?"),
            Some(row) => row.answer(now),
        }
    }
}

impl Row {
    fn answer(&self, now: Timestamp) -> Value {
        let [baseline, canary] = self.units;
        json!({ "data": {
            "verdict": self.verdict.name(),
            "reason": self.reason,
            "service": self.service,
            "environment": self.environment,
            "canary": self.candidate,
            "baseline": self.control,
            "log10_e": (self.log_sum / std::f64::consts::LN_10 * 1e3).round() / 1e3,
            "alpha": budget::ALPHA_FAIL,
            "canary_units": canary,
            "baseline_units": baseline,
            "units_needed": self.units_needed,
            "failed_at": self.failed_at.map(|at| at.to_string()),
            "automatic_at": self.automatic_at.map(|at| at.to_string()),
            "data_until": self.ended_at.to_string(),
            "data_lag_s": (now.0 - self.ended_at.0).max(0) / SECOND,
        }})
    }
}

/// Nothing is known, and why.
fn unknown(reason: &str) -> Value {
    json!({ "data": { "verdict": Verdict::Inconclusive.name(), "reason": reason } })
}

/// Answers a question.
pub(super) async fn verdict(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let body = axum::body::to_bytes(request.into_body(), QUESTION_MAX).await;
    let said = match &body {
        Ok(body) => answered(&shared, body),
        Err(_) => unknown("the question is too long, or did not come whole"),
    };
    axum::Json(said).into_response()
}

fn answered(shared: &Shared, body: &[u8]) -> Value {
    let question: Question = match serde_json::from_slice(body) {
        Ok(question) => question,
        Err(error) => {
            let example = r#"{"service":"web","canary":"2.0","baseline":"1.0"}"#;
            return unknown(&format!("the question is not understood ({error}); for example {example}"));
        }
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_micros());
    match shared.gate() {
        Ok(gate) => gate.answer(&question, Timestamp(i64::try_from(now).unwrap_or(i64::MAX))),
        Err(waiting) => unknown(&format!("waiting for {waiting}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(candidate: &str, verdict: Verdict, ended_at: i64) -> Row {
        Row {
            service: "web".to_owned(),
            environment: "prod".to_owned(),
            control: "1".to_owned(),
            candidate: candidate.to_owned(),
            verdict,
            reason: "because".to_owned(),
            log_sum: 3.0,
            units: [10, 5],
            units_needed: None,
            failed_at: None,
            automatic_at: None,
            ended_at: Timestamp(ended_at),
            is_over: false,
        }
    }

    #[test]
    fn a_question_finds_its_comparison_by_service_and_arms() {
        let over = Row { is_over: true, ..row("2", Verdict::Fail, 90 * SECOND) };
        let elsewhere = Row { environment: "test".to_owned(), ..row("2", Verdict::Pass, 0) };
        let rows = vec![over, row("2", Verdict::Pass, 50 * SECOND), row("3", Verdict::Invalid, 0), elsewhere];
        let gate = Gate { rows };
        let ask = |text: &str| -> Value {
            let question: Question = serde_json::from_str(text).unwrap();
            gate.answer(&question, Timestamp(60 * SECOND))["data"].take()
        };
        let found = ask(r#"{"service":"web","environment":"prod","canary":{"pod-template-hash":"2"},"baseline":"1"}"#);
        assert_eq!((&found["verdict"], &found["data_lag_s"]), (&"pass".into(), &10.into()));
        assert_eq!(ask(r#"{"service":"web","canary":"3"}"#)["verdict"], "invalid");
        for (question, words) in [
            (r#"{"service":"web","canary":"2"}"#, "several environments"),
            (r#"{"service":"web","canary":"9"}"#, "no comparison"),
            (r#"{"service":"other"}"#, "no comparison"),
        ] {
            let said = ask(question);
            assert_eq!(said["verdict"], "inconclusive");
            assert!(said["reason"].as_str().unwrap().contains(words), "{said}");
        }
    }
}
