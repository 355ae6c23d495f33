//! The gate: `POST /v1/verdict` and `GET /v1/rollouts/ID/gate`, asked by rollout controllers again and again.
//!
//! Always answered with 200, a verdict and a reason: an answer that a controller takes for an error of its own would abort
//! rollouts whenever this program starts again. What is not known is `inconclusive`, and so is what was last said before a
//! restart, and a pass on data that is too old.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::report::{Report, count};
use crate::cli::run::api::Api;
use crate::cli::run::hooks::clock_ms;
use crate::cli::terminal::harmless;
use crate::compare::budget;
use crate::compare::verdict::Verdict;
use crate::outbox::{Book, Compared, Rollout};
use crate::rollout::Phase;
use crate::time::{Micros, SECOND, Timestamp};

/// Cells that an answer names.
const CELLS_NAMED: usize = 20;

/// Longest question.
const QUESTION_MAX: usize = 64 << 10;

/// What is said of each comparison.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Gate {
    rows: Vec<Row>,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Row {
    service: String,
    environment: String,
    cell: String,
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
    cell: Option<String>,
    canary: Option<Arm>,
    baseline: Option<Arm>,
}

impl Gate {
    /// Names of arms of new code that is being judged.
    #[cfg(feature = "index")]
    pub(super) fn candidates(&self) -> Vec<String> {
        self.rows.iter().filter(|row| !row.is_over).map(|row| row.candidate.clone()).collect()
    }

    /// What a report says.
    pub(super) fn of(report: &Report<'_>) -> Gate {
        let rows = report.comparisons.iter().map(|judged| {
            let (comparison, entry) = (judged.comparison, judged.services.first());
            let reasons: Vec<String> = judged.sentences().into_iter().take(2).collect();
            let needed = judged.needs.iter().filter(|need| need.needed.is_finite()).map(|need| need.needed - need.have);
            Row {
                service: entry.map(|key| key.service.clone()).unwrap_or_default(),
                environment: entry.map(|key| key.environment.clone()).unwrap_or_default(),
                cell: entry.map(|key| key.cell.clone()).unwrap_or_default(),
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

    /// Rows that are meant; the same two may meet again, and the latest comes first.
    fn find(&self, question: &Question) -> Result<Option<&Row>, String> {
        let is_asked = |row: &&Row| {
            row.service == question.service
                && question.environment.as_ref().is_none_or(|asked| *asked == row.environment)
                && question.cell.as_ref().is_none_or(|asked| *asked == row.cell)
                && question.canary.as_ref().is_none_or(|asked| asked.is(&row.candidate))
                && question.baseline.as_ref().is_none_or(|asked| asked.is(&row.control))
        };
        let mut found: Vec<&Row> = self.rows.iter().filter(is_asked).collect();
        found.sort_by_key(|row| (row.is_over, std::cmp::Reverse(row.ended_at)));
        let environments: std::collections::BTreeSet<&str> = found.iter().map(|row| row.environment.as_str()).collect();
        if environments.len() > 1 {
            let list: Vec<String> = environments.iter().map(|name| harmless(name, 60)).collect();
            return Err(format!("several environments have it ({}): name one", list.join(", ")));
        }
        let cells: std::collections::BTreeSet<&str> = found.iter().map(|row| row.cell.as_str()).collect();
        if cells.len() > 1 {
            let list: Vec<String> = cells.iter().take(CELLS_NAMED).map(|name| harmless(name, 60)).collect();
            return Err(format!("several cells have it ({}): name one", list.join(", ")));
        }
        Ok(found.first().copied())
    }

    /// What entries of a ledger last said, before logs were read again.
    pub(super) fn restored(book: &Book) -> Gate {
        let all = book.rollouts().flat_map(|rollout| rollout.compared.iter().map(move |of| (rollout, of)));
        Gate { rows: all.map(|(rollout, of)| Row::restored(rollout, of)).collect() }
    }

    /// The row of a comparison.
    fn row_of(&self, compared: &Compared) -> Option<&Row> {
        let is_it = |row: &&Row| {
            row.service == compared.service
                && row.environment == compared.environment
                && row.cell == compared.cell
                && row.control == compared.control
                && row.candidate == compared.candidate
        };
        self.rows.iter().filter(is_it).min_by_key(|row| (row.is_over, std::cmp::Reverse(row.ended_at)))
    }
}

/// How a question is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asked {
    /// The clock.
    pub now: Timestamp,
    /// A pass on older data is none.
    pub stale_after: Micros,
    /// The step that is asked for, from 0; without, the whole rollout.
    pub step: Option<usize>,
    /// Where people look.
    pub address: SocketAddr,
}

impl Row {
    fn restored(rollout: &Rollout, of: &Compared) -> Row {
        let at = |text: &Option<String>| text.as_deref().and_then(|text| crate::pipeline::clock::parse_time(text).ok());
        Row {
            service: of.service.clone(),
            environment: of.environment.clone(),
            cell: of.cell.clone(),
            control: of.control.clone(),
            candidate: of.candidate.clone(),
            verdict: of.verdict,
            reason: rollout.reason(),
            log_sum: of.log_sum,
            units: of.units,
            units_needed: None,
            failed_at: at(&of.failed_at),
            automatic_at: at(&of.automatic_at),
            ended_at: of.at,
            is_over: of.over,
        }
    }

    fn lag(&self, now: Timestamp) -> Micros {
        (now.0 - self.ended_at.0).max(0)
    }

    /// The answer; `said`: what is said in place of its own verdict and reason.
    fn answer(&self, said: (Verdict, String), rollout: Option<&Rollout>, asked: &Asked) -> Value {
        let [baseline, canary] = self.units;
        let (verdict, reason) = said;
        json!({ "data": {
            "verdict": verdict.name(),
            "score": score(verdict),
            "reason": reason,
            "rollout": rollout.map(|rollout| rollout.id.as_str()),
            "phase": rollout.filter(|rollout| rollout.declared.is_some()).map(|rollout| rollout.state.phase.name()),
            "step": rollout.filter(|rollout| rollout.declared.is_some()).map(|rollout| rollout.state.step),
            "service": self.service,
            "environment": self.environment,
            "cell": self.cell,
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
            "data_lag_s": self.lag(asked.now) / SECOND,
            "url": format!("http://{}/", asked.address),
        }})
    }
}

/// For controllers that compare a number: the whole for pass, nothing for fail, half else.
fn score(verdict: Verdict) -> u32 {
    match verdict {
        Verdict::Pass => 100,
        Verdict::Inconclusive | Verdict::Invalid => 50,
        Verdict::Fail => 0,
    }
}

/// Nothing is known, and why.
fn unknown(reason: &str) -> Value {
    json!({ "data": { "verdict": Verdict::Inconclusive.name(), "score": score(Verdict::Inconclusive), "reason": reason } })
}

/// A pass on old data is none, and what the logs leave undecided says so; what failed stays failed, and what people and deadlines have
/// decided does not rest on data.
fn unless_stale(
    said: (Verdict, String),
    rollout: Option<&Rollout>,
    book: &Book,
    row: &Row,
    asked: &Asked,
) -> (Verdict, String) {
    let lag = row.lag(asked.now);
    if lag <= asked.stale_after {
        return said;
    }
    let stale =
        format!("the data is stale: the last window that was judged ended {} ago, at {}", ago(lag), row.ended_at);
    let by_logs = rollout.is_none_or(|of| match of.state.phase {
        // Who waits for another cell does not wait for data.
        Phase::Running | Phase::Passed => book.waits_for(of).is_none(),
        Phase::Waiting | Phase::Held | Phase::Failed | Phase::RolledBack | Phase::Done | Phase::Over => {
            of.declared.is_none()
        }
    });
    match said {
        (Verdict::Pass, _) => (Verdict::Inconclusive, format!("{stale}; before that it passed")),
        (Verdict::Inconclusive, words) if by_logs => (Verdict::Inconclusive, format!("{stale}. Before that: {words}")),
        (Verdict::Fail | Verdict::Invalid | Verdict::Inconclusive, _) => said,
    }
}

fn ago(lag: Micros) -> String {
    match lag / SECOND {
        seconds @ 0..=119 => format!("{seconds} s"),
        seconds @ 120..=7_199 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3_600),
    }
}

/// What is said of a declared rollout, whose last row says `of_row`. What people and time have decided stands before the logs'
/// verdict.
fn of_phase(rollout: &Rollout, book: &Book, of_row: (Verdict, String), asked: &Asked) -> (Verdict, String) {
    let state = &rollout.state;
    let by = |verb: &str| match &rollout.commanded {
        Some((_, actor, reason, _)) => format!("{verb} by {}: {}", harmless(actor, 60), harmless(reason, 200)),
        None => verb.to_owned(),
    };
    let steps = book.declaration(rollout).map_or(1, |declared| declared.course.steps.len().max(1));
    let step_passed = asked.step.is_some_and(|step| step < state.step);
    match state.phase {
        Phase::RolledBack if state.verdict == Verdict::Fail => (Verdict::Fail, of_row.1),
        Phase::RolledBack if state.by_deadline => (Verdict::Fail, "rolled back at its deadline, undecided".to_owned()),
        Phase::RolledBack => (Verdict::Fail, by("rolled back")),
        Phase::Failed => match book.withheld(rollout) {
            Some(of) => (Verdict::Fail, format!("{} But {}.", of_row.1, of.reason())),
            None => (Verdict::Fail, of_row.1),
        },
        Phase::Waiting => (Verdict::Inconclusive, "nothing of it runs yet".to_owned()),
        Phase::Over => (Verdict::Inconclusive, format!("it ended undecided. {}", of_row.1)),
        Phase::Held if state.by_deadline => (Verdict::Inconclusive, "held at its deadline, undecided".to_owned()),
        Phase::Held => (Verdict::Inconclusive, by("held")),
        Phase::Done if state.verdict == Verdict::Pass || state.by_deadline => (Verdict::Pass, of_row.1),
        Phase::Running | Phase::Passed | Phase::Done if step_passed => {
            (Verdict::Pass, format!("step {} has passed", asked.step.unwrap_or(0)))
        }
        // What its own lines say against it is said all the same.
        Phase::Running | Phase::Passed
            if matches!(of_row.0, Verdict::Pass | Verdict::Inconclusive) && book.waits_for(rollout).is_some() =>
        {
            let words = book.waits_words(rollout).unwrap_or_default();
            match of_row.0 {
                Verdict::Pass => (Verdict::Inconclusive, format!("{words}. Its own lines pass. {}", of_row.1)),
                _ => (Verdict::Inconclusive, format!("{words}. {}", of_row.1)),
            }
        }
        Phase::Passed => {
            let waits =
                match (state.step_time_over, book.declaration(rollout).is_some_and(|of| of.course.needs_approval)) {
                    (false, _) => "its shortest time is not over",
                    (true, true) if !state.approved => "it waits for approval",
                    (true, _) => "the next step begins",
                };
            (Verdict::Inconclusive, format!("step {} of {steps} passes, and {waits}", state.step + 1))
        }
        Phase::Running | Phase::Done => match of_row.0 {
            // What was measured under a smaller share passes no later step.
            Verdict::Pass if state.seen.is_some_and(|seen| seen < state.step) => {
                let words = "is judged by lines of its own share, which have not come yet";
                (Verdict::Inconclusive, format!("step {} of {steps} {words}. {}", state.step + 1, of_row.1))
            }
            // Another service of the rollout says otherwise.
            Verdict::Pass if book.declaration(rollout).is_some_and(|of| of.services.len() > 1) => {
                (Verdict::Inconclusive, format!("not every service passes yet. {}", of_row.1))
            }
            // The look that says so is not durable yet.
            Verdict::Pass => (Verdict::Inconclusive, format!("it is being written down. {}", of_row.1)),
            Verdict::Fail | Verdict::Inconclusive | Verdict::Invalid => of_row,
        },
    }
}

/// The answer that is given by the ledger alone, before logs were read again.
fn restored(row: &Row, rollout: Option<&Rollout>, waiting: &str, asked: &Asked) -> Value {
    let words = format!(
        "{waiting}; the ledger last said {} of data that ended {} ago. {}",
        row.verdict.name(),
        ago(row.lag(asked.now)),
        row.reason
    );
    row.answer((Verdict::Inconclusive, words), rollout, asked)
}

/// What is said of a row: of the rollout that it belongs to, where that is declared.
fn said_of(row: &Row, book: &Book, asked: &Asked) -> Value {
    let rollout = book.rollouts().find(|rollout| {
        let is_it = |of: &&Compared| {
            of.service == row.service
                && of.environment == row.environment
                && of.cell == row.cell
                && of.control == row.control
                && of.candidate == row.candidate
        };
        rollout.compared.iter().any(|of| is_it(&of))
    });
    let own = (row.verdict, row.reason.clone());
    let said = match rollout.filter(|rollout| rollout.declared.is_some()) {
        Some(rollout) => of_phase(rollout, book, own, asked),
        None => own,
    };
    row.answer(unless_stale(said, rollout, book, row, asked), rollout, asked)
}

/// The answer to a question.
fn answer(api: &Api, question: &Question, asked: &Asked) -> Value {
    let view = api.desk.view();
    match api.shared.gate() {
        Ok(gate) => match gate.find(question) {
            Err(words) => unknown(&words),
            Ok(Some(row)) => said_of(row, &view.book, asked),
            Ok(None) => {
                unknown("no comparison of this service and these arms has begun: are lines of both arms coming?")
            }
        },
        Err(waiting) => match Gate::restored(&view.book).find(question) {
            Ok(Some(row)) => restored(row, None, &waiting, asked),
            Ok(None) | Err(_) => unknown(&waiting),
        },
    }
}

/// The answer about a rollout by its id; `None` where there is none.
pub(super) fn of_rollout(api: &Api, id: &str, asked: &Asked) -> Option<Value> {
    let view = api.desk.view();
    let Some(rollout) = view.book.rollout_called(id) else {
        if let Some(words) = view.book.several_called(id) {
            return Some(unknown(&words));
        }
        let declared = view.book.awaited_called(id)?.declared;
        let why = api.shared.gate().err().unwrap_or_else(|| {
            let services = count(declared.services.len() as u64, "service");
            format!("no comparison of its {services} has begun: are lines of both arms coming?")
        });
        return Some(unknown(&why));
    };
    // The worst comparison speaks for all.
    let worst = |of: &&&Compared| match of.verdict {
        Verdict::Fail => 0,
        Verdict::Invalid => 1,
        Verdict::Inconclusive => 2,
        Verdict::Pass => 3,
    };
    let current = rollout.current();
    let compared = current.iter().min_by_key(worst)?;
    Some(match api.shared.gate() {
        Err(waiting) => restored(&Row::restored(rollout, compared), Some(rollout), &waiting, asked),
        Ok(gate) => match gate.row_of(compared) {
            Some(row) => {
                let own = (row.verdict, row.reason.clone());
                let said = match rollout.declared {
                    Some(_) => of_phase(rollout, &view.book, own, asked),
                    None => own,
                };
                row.answer(unless_stale(said, Some(rollout), &view.book, row, asked), Some(rollout), asked)
            }
            None => restored(&Row::restored(rollout, compared), Some(rollout), "not in the report yet", asked),
        },
    })
}

/// How a question is looked at now.
pub(super) fn asked_now(api: &Api, step: Option<usize>) -> Asked {
    let now = Timestamp(clock_ms().saturating_mul(1_000));
    Asked { now, stale_after: api.stale_after.load(Ordering::Acquire), step, address: api.address }
}

/// Answers a question.
pub(super) async fn verdict(State(api): State<Api>, request: Request) -> Response {
    let body = axum::body::to_bytes(request.into_body(), QUESTION_MAX).await;
    let said = match &body {
        Ok(body) => answered(&api, body),
        Err(_) => unknown("the question is too long, or did not come whole"),
    };
    axum::Json(said).into_response()
}

fn answered(api: &Api, body: &[u8]) -> Value {
    match serde_json::from_slice(body) {
        Ok(question) => answer(api, &question, &asked_now(api, None)),
        Err(error) => {
            let example = r#"{"service":"web","canary":"2.0","baseline":"1.0"}"#;
            unknown(&format!("the question is not understood ({error}); for example {example}"))
        }
    }
}

/// A question about a service, as a dialect puts it.
pub(super) fn of_service(api: &Api, service: &str, fields: [Option<&str>; 4]) -> Value {
    let [environment, cell, canary, baseline] = fields.map(|field| field.map(str::to_owned));
    let question = Question {
        service: service.to_owned(),
        environment,
        cell,
        canary: canary.map(Arm::Name),
        baseline: baseline.map(Arm::Name),
    };
    answer(api, &question, &asked_now(api, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(candidate: &str, verdict: Verdict, ended_at: i64) -> Row {
        Row {
            service: "web".to_owned(),
            environment: "prod".to_owned(),
            cell: String::new(),
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

    fn asked() -> Asked {
        let address = "127.0.0.1:1".parse().unwrap();
        Asked { now: Timestamp(60 * SECOND), stale_after: 30 * SECOND, step: None, address }
    }

    #[test]
    fn a_pass_on_old_data_is_none_and_a_failure_stays() {
        for (verdict, ended, expected) in [
            (Verdict::Pass, 31, Verdict::Pass),
            (Verdict::Pass, 29, Verdict::Inconclusive),
            (Verdict::Fail, 0, Verdict::Fail),
            (Verdict::Invalid, 0, Verdict::Invalid),
            (Verdict::Inconclusive, 31, Verdict::Inconclusive),
        ] {
            let row = row("2", verdict, ended * SECOND);
            let said = said_of(&row, &Book::default(), &asked());
            assert_eq!(said["data"]["verdict"], expected.name(), "{said}");
            let is_stale = verdict != expected;
            assert_eq!(said["data"]["reason"].as_str().unwrap().contains("stale"), is_stale, "{said}");
        }
        let said = said_of(&row("2", Verdict::Inconclusive, 29 * SECOND), &Book::default(), &asked());
        let reason = said["data"]["reason"].as_str().unwrap();
        assert!(reason.starts_with("the data is stale: ") && reason.contains(". Before that: "), "{said}");
    }

    #[test]
    fn before_logs_are_read_again_nothing_but_inconclusive_is_said() {
        for verdict in Verdict::ALL {
            let said = restored(&row("2", verdict, 0), None, "waiting for the logs", &asked());
            assert_eq!(said["data"]["verdict"], "inconclusive");
            let words = said["data"]["reason"].as_str().unwrap();
            let expected =
                format!("waiting for the logs; the ledger last said {} of data that ended 60 s ago", verdict.name());
            assert!(words.starts_with(&expected), "{words}");
            assert_eq!(said["data"]["data_lag_s"], 60);
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
            let said = match gate.find(&question) {
                Ok(Some(row)) => said_of(row, &Book::default(), &asked()),
                Ok(None) => unknown("no comparison"),
                Err(words) => unknown(&words),
            };
            said["data"].clone()
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
