//! What `who` says, for programs.

use serde_json::{Value, json};

use crate::adoption::intervals::{self, Estimate};
use crate::adoption::survival::FirstUse;
use crate::adoption::{Adopted, Adoption, Count, Grouped, OfArm, Point, Retention, Segment};
use crate::cli::report::queries::{path as query_path, quoted as query_text};
use crate::cli::who::Told;
use crate::time::{DAY, Micros, SECOND, Timestamp};

/// Version of the document; fields are added, never renamed.
const DOCUMENT_VERSION: u64 = 1;
/// Points of a curve.
const CURVE: i64 = 60;

/// Queries that find the lines behind numbers. Of each unit there may be several lines, and a unit that names several values of a field is in the
/// segment of the first.
pub(in crate::cli) struct Queries {
    /// What all lines are: their time, and of what they are.
    pub scope: String,
    /// An exposure.
    pub exposed: String,
    /// A use.
    pub used: String,
    /// Each step.
    pub steps: Vec<String>,
    /// Lines that name an arm, where not all do.
    pub with_arm: String,
    /// Every use names its arm.
    pub uses_name_arms: bool,
}

impl Queries {
    /// Lines that are all of this, within the scope.
    fn of(&self, parts: &[&str]) -> String {
        let mut all: Vec<String> = Vec::new();
        for part in parts.iter().chain([&self.scope.as_str()]).filter(|part| !part.is_empty() && **part != "*") {
            all.push(if is_one(part) { (*part).to_owned() } else { format!("({part})") });
        }
        if all.is_empty() { "*".to_owned() } else { all.join(" AND ") }
    }
}

/// A query of one term needs no brackets.
fn is_one(query: &str) -> bool {
    !query.contains(char::is_whitespace)
}

fn number(value: f64) -> Value {
    if value.is_finite() { Value::from((value * 1e6).round() / 1e6) } else { Value::Null }
}

fn estimate(of: Option<Estimate>) -> Value {
    of.map_or(Value::Null, |of| json!({ "value": number(of.value), "low": number(of.low), "high": number(of.high) }))
}

fn adopted(of: &Adopted) -> Value {
    json!({ "exposed": of.exposed.units(), "used": of.used.units(), "rate": estimate(of.rate()) })
}

/// Lines of those that were exposed, and of uses, where both can be asked for.
fn both(told: &Told, what: &str) -> Value {
    told.queries
        .as_ref()
        .map_or(Value::Null, |of| json!({ "exposed": of.of(&[what, &of.exposed]), "used": of.of(&[what, &of.used]) }))
}

fn segment(of: &Segment, told: &Told) -> Value {
    let [rate, low, high] = of.rate;
    let same = |of: &Grouped| json!({ "field": of.field, "value": of.value, "overlap": number(of.overlap) });
    let lines = match of.value.as_str() {
        "(others)" => Value::Null,
        "(none)" => both(told, &format!("NOT _exists_:{}", query_path(&of.field))),
        value => both(told, &format!("{}:{}", query_path(&of.field), query_text(value))),
    };
    json!({
        "field": of.field,
        "value": of.value,
        "adopted": adopted(&of.adopted),
        "found": of.found,
        "log_e": number(of.log_e),
        "rate_ratio": { "value": number(rate), "low": number(low), "high": number(high), "valid": "anytime" },
        "lift": estimate(of.lift),
        "difference": estimate(of.difference),
        "same_units": of.same.iter().map(same).collect::<Vec<_>>(),
        "lines": lines,
    })
}

/// Part of exposed units that have used by each of some ages, up to the longest that somebody was watched.
fn curve(of: &FirstUse, longest: Micros) -> Vec<Value> {
    let step = (longest / CURVE / SECOND + 1) * SECOND;
    let ages: Vec<Micros> = (0..).map(|at| at * step).take_while(|age| *age < longest + step).collect();
    let at = |(age, used): (&Micros, Estimate)| json!({ "age_s": age / SECOND, "used": estimate(Some(used)) });
    ages.iter().zip(of.curve(&ages)).map(at).collect()
}

/// Units that came through each step, and which part that is of the first and of the one before.
fn steps(counts: &[Count], told: &Told, arm: Option<&str>) -> Vec<Value> {
    let share = |count: &Count, of: Option<&Count>| {
        estimate(of.and_then(|of| intervals::share(count.followed.min(of.followed), of.followed)))
    };
    let of_step = |(at, count): (usize, &Count)| {
        let query = told.queries.as_ref().filter(|of| arm.is_none() || of.uses_name_arms);
        let lines = query.and_then(|of| {
            let step = of.steps.get(at)?;
            Some(of.of(&[step, arm.map(of_arm).as_deref().unwrap_or(""), arm.map_or("", |_| of.with_arm.as_str())]))
        });
        json!({
            "name": told.steps.get(at),
            "units": count.units(),
            "of_first": share(count, counts.first()),
            "of_before": share(count, at.checked_sub(1).and_then(|before| counts.get(before))),
            "lines": lines,
        })
    };
    counts.iter().enumerate().map(of_step).collect()
}

fn of_arm(arm: &str) -> String {
    format!("_arm:{}", query_text(arm))
}

/// The document.
pub(in crate::cli) fn document(adoption: &Adoption, told: &Told) -> Value {
    let units = |counts: &[Count]| counts.iter().map(|count| count.units()).collect::<Vec<_>>();
    let arm = |of: &OfArm| {
        let lines = told.queries.as_ref().map_or(Value::Null, |queries| {
            let parts = |what: &str| queries.of(&[&of_arm(&of.arm), what, &queries.with_arm]);
            let used = queries.uses_name_arms.then(|| parts(&queries.used));
            json!({ "exposed": parts(&queries.exposed), "used": used })
        });
        json!({
            "arm": of.arm,
            "adopted": adopted(&of.adopted),
            "steps": units(&of.steps),
            "funnel": steps(&of.steps, told, Some(&of.arm)),
            "curve": curve(&of.first_use, adoption.longest),
            "lines": lines,
        })
    };
    let point = |of: &Point| {
        let [exposed, used] = of.new.map(Count::units);
        let (until, so_far) = (of.until.to_string(), adopted(&of.so_far));
        json!({ "until": until, "so_far": so_far, "new": { "exposed": exposed, "used": used } })
    };
    let retained = |of: &Retention| {
        let again = of.again.iter().enumerate().map(|(later, (count, whole))| {
            let day = of.day.0 + later as i64 * DAY;
            let time = format!("_time:[{} TO {}}}", Timestamp(day), Timestamp(day + DAY));
            let lines = told.queries.as_ref().map(|of| of.of(&[&of.used, &time]));
            json!({ "units": count.units(), "whole_day": whole, "lines": lines })
        });
        json!({ "day": of.day.to_string(), "units": of.units.units(), "again": again.collect::<Vec<_>>() })
    };
    let first_use =
        |age: &i64| json!({ "age_s": age / SECOND, "used": estimate(Some(adoption.first_use.used_by(*age))) });
    let median = adoption.first_use.age_of(0.5).map(|age| age / SECOND);
    let buckets = |names: [&str; 4], counts: &[Count; 4]| {
        names
            .into_iter()
            .zip(counts)
            .map(|(name, count)| (name.to_owned(), Value::from(count.units())))
            .collect::<serde_json::Map<_, _>>()
    };
    json!({
        "document": "who",
        "version": DOCUMENT_VERSION,
        "asked": { "used": told.used, "exposed": told.exposed, "unit": told.unit, "steps": told.steps, "within": told.within, "segments": told.segments },
        "lines": { "read": told.lines[0], "without_unit": told.lines[1], "rejected": told.lines[2] },
        "queries": both(told, ""),
        "span": adoption.span.map(|time| time.to_string()),
        "followed_one_of": adoption.one_of(),
        "units": { "seen": adoption.units.units(), "standard_error": number(adoption.units.error()), "busy": adoption.busy },
        "adopted": adopted(&adoption.adopted),
        "used_without_exposure": adoption.used_before.units(),
        "first_use": {
            "by_age": adoption.ages.iter().map(first_use).collect::<Vec<_>>(),
            "median_s": median,
            "curve": curve(&adoption.first_use, adoption.longest),
        },
        "uses": buckets(["1", "2-4", "5-9", "10+"], &adoption.uses),
        "days": buckets(["1", "2", "3-6", "7+"], &adoption.days),
        "retention": adoption.retention.iter().map(retained).collect::<Vec<_>>(),
        "funnel": units(&adoption.steps),
        "steps": steps(&adoption.steps, told, None),
        "arms": adoption.arms.iter().map(arm).collect::<Vec<_>>(),
        "segments": adoption.segments.iter().map(|of| segment(of, told)).collect::<Vec<_>>(),
        "segments_tested": adoption.tested,
        "course": adoption.course.iter().map(point).collect::<Vec<_>>(),
    })
}
