//! What `who` says, for programs.

use serde_json::{Value, json};

use crate::adoption::intervals::Estimate;
use crate::adoption::{Adopted, Adoption, Count, Grouped, OfArm, Point, Retention, Segment};
use crate::cli::who::Told;
use crate::time::SECOND;

/// Version of the document; fields are added, never renamed.
const DOCUMENT_VERSION: u64 = 1;

fn number(value: f64) -> Value {
    if value.is_finite() { Value::from((value * 1e6).round() / 1e6) } else { Value::Null }
}

fn estimate(of: Option<Estimate>) -> Value {
    of.map_or(Value::Null, |of| json!({ "value": number(of.value), "low": number(of.low), "high": number(of.high) }))
}

fn adopted(of: &Adopted) -> Value {
    json!({ "exposed": of.exposed.units(), "used": of.used.units(), "rate": estimate(of.rate()) })
}

fn segment(of: &Segment) -> Value {
    let [rate, low, high] = of.rate;
    let same = |of: &Grouped| json!({ "field": of.field, "value": of.value, "overlap": number(of.overlap) });
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
    })
}

/// The document.
pub(super) fn document(adoption: &Adoption, told: &Told) -> Value {
    let units = |counts: &[Count]| counts.iter().map(|count| count.units()).collect::<Vec<_>>();
    let arm = |of: &OfArm| json!({ "arm": of.arm, "adopted": adopted(&of.adopted), "steps": units(&of.steps) });
    let point = |of: &Point| {
        let [exposed, used] = of.new.map(Count::units);
        let (until, so_far) = (of.until.to_string(), adopted(&of.so_far));
        json!({ "until": until, "so_far": so_far, "new": { "exposed": exposed, "used": used } })
    };
    let retained = |of: &Retention| {
        let again = of.again.iter().map(|(count, whole)| json!({ "units": count.units(), "whole_day": whole }));
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
        "span": adoption.span.map(|time| time.to_string()),
        "followed_one_of": adoption.one_of(),
        "units": { "seen": adoption.units.units(), "standard_error": number(adoption.units.error()), "busy": adoption.busy },
        "adopted": adopted(&adoption.adopted),
        "used_without_exposure": adoption.used_before.units(),
        "first_use": { "by_age": adoption.ages.iter().map(first_use).collect::<Vec<_>>(), "median_s": median },
        "uses": buckets(["1", "2-4", "5-9", "10+"], &adoption.uses),
        "days": buckets(["1", "2", "3-6", "7+"], &adoption.days),
        "retention": adoption.retention.iter().map(retained).collect::<Vec<_>>(),
        "funnel": units(&adoption.steps),
        "arms": adoption.arms.iter().map(arm).collect::<Vec<_>>(),
        "segments": adoption.segments.iter().map(segment).collect::<Vec<_>>(),
        "segments_tested": adoption.tested,
        "course": adoption.course.iter().map(point).collect::<Vec<_>>(),
    })
}
