//! `GET /v1/who`: who uses a feature, from the lines that are kept, over the time of a rollout or any other.
//!
//! The same sums as `serin who` makes of files ([`crate::adoption`]), with smaller bounds: a running program has other work. Lines are read from the
//! columns of the index, so that none has to be decoded; one that does not answer in its time, or that nobody waits for, stops.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use axum::extract::rejection::QueryRejection;
use axum::extract::{Query as Parameters, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::adoption::units::{self, Line, Units};
use crate::adoption::{Adoption, Asked};
use crate::cli::compare;
use crate::cli::report::queries::{of_role, quoted};
use crate::cli::run::api::Api;
use crate::cli::run::http::Shared;
use crate::cli::run::searching::api::{Refusal, damaged, given, problem, run, tree};
use crate::cli::run::searching::table::are_fields;
use crate::cli::who::Told;
use crate::cli::who::json::{Queries, document};
use crate::event::{Kind, SEGMENT_FIELDS_MAX};
use crate::index::{Counted, Index, OfUnits, Partial, Seen, kind_name};
use crate::outbox::Rollout;
use crate::pipeline::plan::Plan;
use crate::pipeline::roles::Role;
use crate::query::Node;
use crate::time::{HOUR, Micros, Timestamp};

/// Units that are followed at most, and seconds in which they used or came through a step; past them one in two.
const UNITS: usize = 1 << 18;
const MARKS: usize = 1 << 21;
/// Lines that are read.
const LINES: u64 = 20_000_000;
/// First uses that are weighed for segments.
const USES: usize = 4_096;
/// Longest way through a funnel.
const WITHIN: Micros = HOUR;
const WITHIN_WORDS: &str = "1h";
/// Fields that every question tells of a line, before those of segments.
const OWN: [&str; 3] = ["_kind", "_service", "_arm"];

/// What is asked.
#[derive(Default)]
struct Who {
    used: String,
    exposed: Option<String>,
    rollout: Option<String>,
    since: Option<String>,
    until: Option<String>,
    steps: Vec<(String, String)>,
    within: Option<String>,
    segments: Vec<String>,
    timeout: Option<f64>,
}

impl Who {
    /// From parameters, of which `step` and `segment` may come several times.
    fn of(parameters: Vec<(String, String)>) -> Result<Who, Refusal> {
        let refuse = |words: &str| problem(StatusCode::BAD_REQUEST, words);
        let mut who = Who::default();
        let mut used = None;
        for (name, value) in parameters {
            let one = match name.as_str() {
                "used" => &mut used,
                "exposed" => &mut who.exposed,
                "rollout" => &mut who.rollout,
                "since" => &mut who.since,
                "until" => &mut who.until,
                "within" => &mut who.within,
                "step" => {
                    let parts = value.split_once('=').filter(|(name, query)| !name.is_empty() && !query.is_empty());
                    let (name, query) = parts.ok_or_else(|| refuse("step: NAME=QUERY, for example cart=path:/cart"))?;
                    who.steps.push((name.to_owned(), query.to_owned()));
                    continue;
                }
                "segment" => {
                    who.segments.extend(value.split(',').filter(|field| !field.is_empty()).map(str::to_owned));
                    continue;
                }
                "timeout" => {
                    let seconds = value.parse().map_err(|_| refuse("timeout: a number of seconds"))?;
                    who.timeout = Some(seconds);
                    continue;
                }
                _ => return Err(refuse(&format!("unknown parameter `{name}`"))),
            };
            if one.replace(value).is_some() {
                return Err(refuse(&format!("{name}: once")));
            }
        }
        who.used = used.filter(|used| !used.trim().is_empty()).ok_or_else(|| refuse("used: a query is missing"))?;
        if who.steps.len() == 1 || who.steps.len() > units::STEPS_MAX {
            return Err(refuse(&format!("step: a funnel has two to {} steps", units::STEPS_MAX)));
        }
        if who.segments.len() > SEGMENT_FIELDS_MAX {
            return Err(refuse(&format!("segment: at most {SEGMENT_FIELDS_MAX} fields")));
        }
        Ok(who)
    }
}

/// Of which lines a rollout is.
struct OfRollout {
    since: Timestamp,
    /// The end of its last window, where it is over.
    until: Option<Timestamp>,
    services: Vec<String>,
    arms: Vec<String>,
    /// A query of the lines of its cell; empty where it is in none.
    in_cell: String,
}

impl OfRollout {
    fn of(rollout: &Rollout, plan: Option<&Plan>) -> Option<OfRollout> {
        let current = rollout.current();
        let fields = plan.map(|plan| plan.fields(Role::Cell)).filter(|_| !rollout.cell.is_empty());
        Some(OfRollout {
            since: current.iter().map(|of| of.began).min()?,
            until: if current.iter().all(|of| of.over) { current.iter().map(|of| of.at).max() } else { None },
            services: distinct(current.iter().map(|of| &of.service)),
            arms: distinct(current.iter().flat_map(|of| [&of.control, &of.candidate])),
            in_cell: fields.map(|fields| of_role(fields, &rollout.cell)).unwrap_or_default(),
        })
    }

    /// Lines of its services.
    fn of_services(&self) -> String {
        let services = any("_service", &self.services);
        if self.in_cell.is_empty() { services } else { format!("{services} AND {}", self.in_cell) }
    }

    /// Lines of its services that name one of its arms: who has one was exposed.
    fn of_arms(&self) -> String {
        format!("{} AND {}", self.of_services(), any("_arm", &self.arms))
    }
}

/// Each name once, in order.
fn distinct<'n>(names: impl Iterator<Item = &'n String>) -> Vec<String> {
    names.collect::<BTreeSet<_>>().into_iter().cloned().collect()
}

/// A query: a field has one of some values.
fn any(field: &str, values: &[String]) -> String {
    let one = |value: &String| match value.as_str() {
        "" => format!("NOT _exists_:{field}"),
        value => format!("{field}:{}", quoted(value)),
    };
    let all: Vec<String> = values.iter().map(one).collect();
    if all.len() == 1 { all.concat() } else { format!("({})", all.join(" OR ")) }
}

/// `GET /v1/who`.
pub(in crate::cli::run) async fn who(
    State(api): State<Api>,
    asked: Result<Parameters<Vec<(String, String)>>, QueryRejection>,
) -> Result<Response, Refusal> {
    let who = Who::of(given(asked)?)?;
    let within = match &who.within {
        None => WITHIN,
        Some(text) => {
            compare::duration(text).map_err(|error| problem(StatusCode::BAD_REQUEST, &format!("within: {error:#}")))?
        }
    };
    let rollout = match &who.rollout {
        None => None,
        Some(id) => {
            let view = api.desk.view();
            let found = view
                .book
                .rollout(id)
                .and_then(|rollout| OfRollout::of(rollout, api.shared.searching.known_plan().as_ref()));
            let words = "there is no such rollout, or nothing of it runs yet; GET /v1/rollouts lists them";
            Some(found.ok_or_else(|| problem(StatusCode::NOT_FOUND, words))?)
        }
    };
    let began = Instant::now();
    let shared = Arc::clone(&api.shared);
    let body = run(&api.shared, who.timeout, move |index, stop| {
        answer(&shared, index, stop, (&who, within, rollout.as_ref()), began)
    })
    .await??;
    Ok(axum::Json(body).into_response())
}

fn answer(
    shared: &Shared,
    index: &Index,
    stop: &dyn Fn() -> bool,
    (who, within, rollout): (&Who, Micros, Option<&OfRollout>),
    began: Instant,
) -> Result<Value, Refusal> {
    let (since, until) = (
        who.since.clone().or_else(|| rollout.map(|of| of.since.to_string())),
        who.until.clone().or_else(|| rollout.and_then(|of| of.until).map(|until| until.to_string())),
    );
    let (since, until) = (since.as_deref(), until.as_deref());
    let within_times = |query: &str| tree(shared, index, query, (since, until));
    let resolve = |query: &str| tree(shared, index, query, (None, None));
    let plan = shared.searching.known_plan();
    let segments = match (&plan, who.segments.is_empty()) {
        (Some(plan), true) => plan.segments.clone(),
        (_, _) => {
            are_fields(index, who.segments.iter().map(String::as_str))?;
            who.segments.clone()
        }
    };
    let rejected = count(index, &within_times("_kind:reject")?, stop)?;
    // What shows an exposure: what is said, else logged exposures where there are any, else whatever line has an arm, or every line.
    let (exposed, exposed_words) = match &who.exposed {
        Some(query) => (query.clone(), query.clone()),
        None if count(index, &within_times("_kind:exposure")?, stop)? > 0 => {
            ("_kind:exposure".to_owned(), "logged exposures".to_owned())
        }
        None => match rollout {
            Some(of) => (of.of_arms(), format!("every line of {} that names its arm", of.services.join(", "))),
            None => ("*".to_owned(), "every line".to_owned()),
        },
    };
    let mut questions = vec![resolve(&who.used)?, resolve(&exposed)?];
    for (_, query) in &who.steps {
        questions.push(resolve(query)?);
    }
    let fields: Vec<String> = OWN.iter().map(|field| (*field).to_owned()).chain(segments.iter().cloned()).collect();
    let all = within_times("NOT (_kind:reject OR _kind:outside)")?;
    let asked = OfUnits { tree: &all, questions: &questions, fields: &fields, most: LINES, stop };
    let mut units = Units::bounded(UNITS, MARKS);
    let mut uses = [0u64; 2];
    let seen = index.each_of_units(&asked, |line| {
        let [kind, service, arm] = [0, 1, 2].map(|at| line.values.get(at).copied().flatten());
        let is_own = |of: &OfRollout| {
            let is = |list: &[String], one: Option<&str>| list.iter().any(|own| own == one.unwrap_or(""));
            is(&of.services, service) && is(&of.arms, arm)
        };
        let arm = arm.filter(|_| rollout.is_none_or(is_own));
        let mut of_segments = [None; SEGMENT_FIELDS_MAX];
        // Other lines stand for who meets them: a field of error lines alone would see a unit only when it errs.
        if [Kind::Request, Kind::Exposure].map(kind_name).contains(&kind.unwrap_or("")) {
            for (slot, value) in of_segments.iter_mut().zip(line.values.iter().skip(OWN.len())) {
                *slot = *value;
            }
        }
        let used = line.is & 1 == 1;
        uses[0] += u64::from(used);
        uses[1] += u64::from(used && arm.is_some());
        units.take(&Line {
            unit: line.unit,
            time: Timestamp(line.time),
            exposed: line.is >> 1 & 1 == 1,
            used,
            steps: (line.is >> 2) as u8,
            arm,
            segments: of_segments,
        });
    });
    let Seen { lines, without_unit, is_sampled, partial } = seen.map_err(|error| damaged(&error))?;
    let adoption =
        Adoption::of(units, &Asked { segments: segments.clone(), steps: who.steps.len(), within, uses_max: USES });
    let time = match (since, until) {
        (None, None) => String::new(),
        (Some(since), None) => format!("_time:>={since}"),
        (None, Some(until)) => format!("_time:<{until}"),
        (Some(since), Some(until)) => format!("_time:>={since} AND _time:<{until}"),
    };
    let told = Told {
        used: who.used.clone(),
        exposed: exposed_words,
        steps: who.steps.iter().map(|(name, _)| name.clone()).collect(),
        within: who.within.clone().unwrap_or_else(|| WITHIN_WORDS.to_owned()),
        unit: plan.map_or("unit", |plan| plan.unit.name()),
        segments,
        lines: [lines + rejected, without_unit, rejected],
        queries: Some(Queries {
            scope: time,
            exposed,
            used: who.used.clone(),
            steps: who.steps.iter().map(|(_, query)| query.clone()).collect(),
            with_arm: rollout.map(OfRollout::of_services).unwrap_or_default(),
            uses_name_arms: uses[0] == uses[1],
        }),
    };
    let mut body = document(&adoption, &told);
    if let Some(body) = body.as_object_mut() {
        body.insert("rollout".to_owned(), json!(who.rollout));
        body.insert("is_sampled".to_owned(), Value::from(is_sampled));
        body.insert("partial".to_owned(), json!(partial.as_ref().map(Partial::name)));
        body.insert("took_ms".to_owned(), Value::from(began.elapsed().as_secs_f64() * 1e3));
    }
    Ok(body)
}

/// Lines that match.
fn count(index: &Index, tree: &Node, stop: &dyn Fn() -> bool) -> Result<u64, Refusal> {
    let counted = Counted { tree, by: &[], ranges: None, every: None, metrics: &[], stop };
    index.aggregate(&counted).map(|table| table.kept).map_err(|error| damaged(&error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(list: &[(&str, &str)]) -> Result<Who, String> {
        let list = list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Who::of(list).map_err(|refusal| refusal.words().to_owned())
    }

    #[test]
    fn parameters_are_those_that_are_known() {
        let who = parsed(&[("used", "a:b"), ("step", "x=p:q=r"), ("step", "y=z"), ("segment", "c,d")]).unwrap();
        assert_eq!(who.steps, [("x".to_owned(), "p:q=r".to_owned()), ("y".to_owned(), "z".to_owned())]);
        assert_eq!((who.used.as_str(), who.segments.len()), ("a:b", 2));
        for (list, word) in [
            (&[][..], "used"),
            (&[("used", " ")], "used"),
            (&[("used", "a"), ("used", "b")], "once"),
            (&[("used", "a"), ("luck", "b")], "luck"),
            (&[("used", "a"), ("step", "x=y")], "two to"),
            (&[("used", "a"), ("step", "x")], "NAME=QUERY"),
            (&[("used", "a"), ("segment", "1,2,3,4,5")], "at most"),
            (&[("used", "a"), ("timeout", "soon")], "seconds"),
        ] {
            let words = parsed(list).err().unwrap_or_default();
            assert!(words.contains(word), "{list:?}: {words}");
        }
    }

    #[test]
    fn lines_of_a_rollout_are_those_of_its_services_and_arms() {
        let of = |services: &[&str]| OfRollout {
            since: Timestamp(0),
            until: None,
            services: services.iter().map(|name| (*name).to_owned()).collect(),
            arms: vec!["1".to_owned(), "2".to_owned()],
            in_cell: String::new(),
        };
        assert_eq!(of(&["a"]).of_arms(), "_service:\"a\" AND (_arm:\"1\" OR _arm:\"2\")");
        let in_cell = OfRollout { in_cell: "city:\"geneva\"".to_owned(), ..of(&["a"]) };
        assert_eq!(in_cell.of_services(), "_service:\"a\" AND city:\"geneva\"");
        assert_eq!(of(&["", "a"]).of_services(), "(NOT _exists_:_service OR _service:\"a\")");
    }
}
