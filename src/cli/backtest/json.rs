//! The document for programs, as docs/backtest.md describes it.

use serde_json::{Map, Value, json};

use super::Shown;
use crate::backtest::{Deploy, Judged, RULES, Side, What};
use crate::rival::State;
use crate::time::{MINUTE, SECOND, Timestamp};

/// Version of the document; fields are added, never renamed.
const DOCUMENT_VERSION: u64 = 1;

impl Shown<'_> {
    /// For programs.
    pub(super) fn json(&self) -> Value {
        let found = self.found;
        let outcomes: Map<String, Value> =
            self.outcomes().into_iter().map(|(outcome, n)| (outcome.name().to_owned(), json!(n))).collect();
        json!({
            "version": DOCUMENT_VERSION,
            "from": found.span.map(|(first, _)| time(first)),
            "until": found.span.map(|(_, last)| time(last)),
            "records": self.tally.records,
            "events": self.tally.events,
            "unit": self.survey.plan.unit.name(),
            "services": found.services,
            "deploys": found.deploys.iter().map(deploy).collect::<Vec<_>>(),
            "restarts": found.restarts.iter().map(|restart| json!({
                "service": restart.service,
                "version": restart.version,
                "at": time(restart.at),
                "instances_new": restart.new,
                "instances_gone": restart.gone,
            })).collect::<Vec<_>>(),
            "summary": { "deploys": found.deploys.len(), "outcomes": outcomes, "spared": self.spared() },
            "not_judged": found.not_judged.iter().map(|(service, arms)| json!({
                "service": service,
                "versions": arms,
            })).collect::<Vec<_>>(),
            "notes": self.notes(),
        })
    }
}

fn time(at: Timestamp) -> String {
    at.to_string()
}

/// One deploy.
pub(in crate::cli) fn deploy(of: &Deploy) -> Value {
    let mut value = json!({
        "service": of.service,
        "from": of.from,
        "to": of.to,
        "at": time(of.at),
        "outcome": of.outcome().name(),
    });
    let (key, what) = match &of.what {
        What::Judged(judged) => ("judged", self::judged(of, judged)),
        What::CutOver(cut_over) => (
            "cut_over",
            json!({
                "span_seconds": cut_over.span / SECOND,
                "before": cut_over.before.map(side),
                "after": cut_over.after.map(side),
            }),
        ),
    };
    if let Some(fields) = value.as_object_mut() {
        fields.insert(key.to_owned(), what);
    }
    value
}

fn side(of: Side) -> Value {
    json!({ "requests": of.requests, "errors": of.errors, "p50_ms": of.p50_ms, "p99_ms": of.p99_ms })
}

fn judged(deploy: &Deploy, of: &Judged) -> Value {
    let seconds = |at: Timestamp| (at.0 - deploy.at.0) / SECOND;
    let rules: Map<String, Value> = RULES
        .iter()
        .zip(of.rules)
        .map(|(name, said)| {
            let decision = match said.state {
                State::Watching => "undecided",
                State::RolledBack => "stopped",
                State::Passed => "promoted",
            };
            (name.to_lowercase(), json!({ "decision": decision, "after_minutes": said.after_minutes }))
        })
        .collect();
    json!({
        "verdict": of.verdict.name(),
        "held_back": of.held_back,
        "flaws": of.flaws.iter().map(|flaw| flaw.name()).collect::<Vec<_>>(),
        "control_from": of.control_from.name(),
        "beside_seconds": of.beside / SECOND,
        "shares": of.steps.iter().map(|(at, share)| json!({
            "at": time(*at),
            "share": (share * 1e4).round() / 1e4,
        })).collect::<Vec<_>>(),
        "passed": of.passed_at.map(|at| json!({ "at": time(at), "after_seconds": seconds(at) })),
        "stopped": of.stop.as_ref().map(|stop| json!({
            "at": time(stop.at),
            "after_seconds": seconds(stop.at),
            "by": stop.cells.iter().map(|cell| cell.name().to_owned()).chain(stop.segments.clone()).collect::<Vec<_>>(),
            "exposed": stop.exposed,
            "requests": stop.requests,
        })),
        "ended": of.end.map(|end| json!({
            "at": time(end.at),
            "reason": end.reason.name(),
            "minutes": (end.at.0 - deploy.at.0) / MINUTE,
        })),
        "fate": of.fate(),
        "exposed": of.exposed,
        "exposed_is_estimate": of.is_estimate,
        "requests": of.requests,
        "spared": of.spared(),
        "rules": rules,
    })
}
