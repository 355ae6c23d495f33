//! The report for programs. Version 1; fields are added, never renamed.

use serde_json::{Map, Value, json};

use crate::compare::share::Interval;
use crate::compare::unit_rule::Routing;
use crate::compare::verdict::{Behaviour, Cell, Verdict};
use crate::engine::ages::{Age, Ratio, Told, What};
use crate::engine::comparison::Evidence;
use crate::engine::forecast::Counted;
use crate::engine::limits::{Limit, LimitLook, Over};
use crate::engine::overlaps::Joined;
use crate::engine::overlaps::blame::{Blame, Effects};
use crate::engine::segments::SegmentTest;
use crate::engine::templates::{Listed, Place};
use crate::engine::totals::Totals;
use crate::engine::units::Arm;
use crate::event::{RejectReason, ServiceKey};
use crate::ledger::rounded;
use crate::math;
use crate::pipeline::metric::MetricKind;
use crate::pipeline::plan::ArmRule;
use crate::pipeline::roles::Role;
use crate::pipeline::survey::SegmentsFrom;
use crate::pipeline::survey::Survey;
use crate::sketch::latency::bin_middle;
use crate::time::HOUR;

use super::backtest::json::deploy;
use super::exit_status;
use super::html;
use super::report::queries;
use super::report::{
    Beside, ConversionRow, Done, Effect, EffectKind, FORECAST_MAX, Judged, MetricRow, Report, Row, SegmentRow, Shared,
    strength,
};

/// Version of this document.
const REPORT_VERSION: u64 = 1;

/// The report as JSON.
pub(super) fn to_json(report: &Report<'_>) -> Value {
    let t = &report.tally;
    let rejects: Map<String, Value> = RejectReason::ALL
        .into_iter()
        .zip(t.rejects)
        .map(|(reason, count)| (reason.name().to_owned(), Value::from(count)))
        .collect();
    json!({
        "version": REPORT_VERSION,
        "verdict": report.verdict.name(),
        "exit_status": exit_status(report.verdict),
        "carried_by": report.carried_by,
        "release": report.release,
        "not_compared": report.not_compared.iter().map(|(service, why)| json!({
            "service": service,
            "reason": why,
        })).collect::<Vec<_>>(),
        "found_releases": report.found_releases.iter().map(|found| json!({
            "candidate": found.candidate,
            "services": found.services,
            "verdict": found.verdict.name(),
            "carried_by": found.carried_by,
        })).collect::<Vec<_>>(),
        "comparisons": report.comparisons.iter().map(comparison).collect::<Vec<_>>(),
        "nothing_to_compare": report.alone.iter().map(|alone| json!({
            "service": alone.service,
            "reason": alone.reason(),
            "arms": alone.arms.iter().map(|(arm, requests)| json!({ "arm": arm, "requests": requests })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "not_in_plan": report.unplanned.iter().map(|(key, requests)| json!({
            "environment": key.environment,
            "cell": key.cell,
            "service": key.service,
            "requests": requests,
        })).collect::<Vec<_>>(),
        "cut_overs": report.cut_overs.iter().map(deploy).collect::<Vec<_>>(),
        "crashes": report.crashes.iter().map(|of| json!({
            "stream": of.stream,
            "lines": of.lines,
            "arm": of.arm,
        })).collect::<Vec<_>>(),
        "unread_fields": report.unread.iter().map(|(path, role, lines)| json!({
            "field": path,
            "role": role.name(),
            "lines": lines,
        })).collect::<Vec<_>>(),
        "kafka": {
            "read_as": report.kafka.read_as,
            "lost": report.kafka.lost,
            "made_anew": report.kafka.anew,
            "stalled": report.kafka.stalled,
        },
        "possible_duplicates": { "bodies": report.repeats.0, "lines": report.repeats.1 },
        "records": {
            "read": t.records,
            "events": t.events,
            "on_time": t.on_time,
            "late": t.late,
            "outside": t.outside,
            "rejects": rejects,
        },
        "survey": survey(report.survey),
    })
}

/// How lines were read.
fn survey(s: &Survey) -> Value {
    let roles: Map<String, Value> = s
        .roles
        .iter()
        .map(|role| {
            let fields: Vec<Value> = role
                .fields
                .iter()
                .map(|(field, lines)| {
                    let guessed = role.role == Role::Latency && s.guessed_units.contains(&field.path);
                    json!({
                        "path": field.path,
                        "unit": field.unit.map(|unit| unit.name()),
                        "unit_guessed": guessed,
                        "lines": lines,
                    })
                })
                .collect();
            let value = json!({ "fields": fields, "lines": role.lines, "requests": role.requests });
            (role.role.name().to_owned(), value)
        })
        .collect();
    let services: Vec<Value> = s
        .services
        .iter()
        .map(|(key, service)| {
            json!({
                "environment": key.environment,
                "service": key.service,
                "requests": service.requests,
                "spans": service.spans,
                "other_lines": service.logs,
                "arms": service.arms,
                "request_source": s.plan.sources.get(key).map(|source| source.name()),
            })
        })
        .collect();
    json!({
        "lines": s.lines,
        "requests": s.requests,
        "unit": s.plan.unit.name(),
        "arms": arms_rule(&s.plan.arms),
        "arm_fields": s.arm_candidates.iter().map(|(path, values)| json!({ "path": path, "values": values })).collect::<Vec<_>>(),
        "roles": roles,
        "services": services,
        "segments": {
            "fields": s.plan.segments,
            "found": s.segments.from == SegmentsFrom::Found,
            "left_out": s.segments.left_out.iter().map(|(path, why)| json!({ "field": path, "reason": why })).collect::<Vec<_>>(),
        },
        "notes": s.notes,
    })
}

fn number(value: f64) -> Value {
    if value.is_finite() { Value::from(value) } else { Value::Null }
}

/// What gives the arms.
fn shared_units(judged: &Judged<'_>) -> Vec<Value> {
    let one = |shared: &Shared| {
        json!({
            "service": shared.service,
            "candidate": shared.candidate,
            "units": shared.units,
            "one_of": shared.one_of,
        })
    };
    judged.shared.iter().map(one).collect()
}

/// Other rollouts that ran at the same time.
fn overlaps(judged: &Judged<'_>) -> Value {
    let interval = |of: &Interval| {
        json!({
            "estimate": if of.low > 0.0 || of.high.is_finite() { number(of.estimate) } else { Value::Null },
            "low": number(of.low),
            "high": number(of.high),
        })
    };
    let effects = |of: &Effects| {
        json!({
            "here": interval(&of.own),
            "here_within": interval(&of.own_within),
            "there": interval(&of.other),
            "there_within": interval(&of.other_within),
        })
    };
    let arms = ["baseline", "canary"];
    let one = |of: &Beside| {
        let cells: Vec<Value> = [(0, 0), (0, 1), (1, 0), (1, 1)]
            .into_iter()
            .map(|(here, there): (usize, usize)| {
                let cell = of.cells[here][there];
                json!({
                    "here": arms[here],
                    "there": arms[there],
                    "units": of.units[here][there],
                    "at_risk": cell.at_risk,
                    "erring": cell.erring,
                    "requests": cell.requests,
                    "failed": cell.failed,
                })
            })
            .collect();
        json!({
            "service": of.service,
            "control": of.control,
            "candidate": of.candidate,
            "joined_by": match of.joined {
                Joined::Unit => judged.comparison.unit.name(),
                Joined::Call => "call",
            },
            "followed": number(of.followed),
            "over": of.is_over,
            "cells": cells,
            "ratios": effects(&of.effects),
            "says": of.blame.name(),
            "explains_it": of.blame_there == Blame::Other,
        })
    };
    judged.beside.iter().map(one).collect()
}

/// A difference by the time since units were first seen in their arm; `null` while there is one age, and where units have none.
fn by_age(judged: &Judged<'_>) -> Value {
    let ages = &judged.comparison.ages;
    let seen = judged.ages();
    if seen.is_empty() {
        return Value::Null;
    }
    let interval = |of: Ratio| {
        let [low, estimate, high] = of.interval();
        json!({ "estimate": number(estimate), "low": number(low), "high": number(high) })
    };
    let one = |age: &Age| {
        let of = |what: What| ages.ratio(what, &[*age]).map(interval);
        let cells = ages.cells(*age);
        let events = judged.comparison.conversions.iter().enumerate().map(|(at, event)| {
            let [at_risk, met] = ages.met(at, *age);
            json!({ "event": event.name, "at_risk": at_risk, "met": met, "ratio": of(What::Event(at)) })
        });
        json!({
            "age": age.name(),
            "units": cells.map(|cell| cell.units),
            "erring": cells.map(|cell| cell.erring),
            "requests": cells.map(|cell| cell.requests),
            "failed": cells.map(|cell| cell.failed),
            "errors": of(What::Errors),
            "latency": of(What::Latency),
            "events": events.collect::<Vec<_>>(),
        })
    };
    let told = |of: &Told| {
        json!({
            "what": match of.what {
                What::Errors => "errors",
                What::Latency => "latency",
                What::Event(_) => "event",
            },
            "event": match of.what {
                What::Event(at) => judged.comparison.conversions.get(at).map(|event| event.name.clone()),
                What::Errors | What::Latency => None,
            },
            "course": of.course.name(),
            "later_from": of.later_from.name(),
            "first": interval(of.first),
            "later": interval(of.later),
        })
    };
    json!({
        "followed": number(ages.followed()),
        "moved": ages.moved(),
        "ages": seen.iter().map(one).collect::<Vec<_>>(),
        "says": judged.aged().iter().map(told).collect::<Vec<_>>(),
    })
}

/// Instances of one arm that are listed.
const INSTANCES_LISTED: usize = 20;

/// Instances of an arm, those with most late lines first.
fn instances(judged: &Judged<'_>, arm: Arm) -> Value {
    let instances = &judged.comparison.instances;
    let list: Vec<Value> = instances
        .list(arm)
        .into_iter()
        .take(INSTANCES_LISTED)
        .map(|(name, of)| json!({ "instance": name, "lines": of.lines, "requests": of.requests, "late": of.late }))
        .collect();
    json!({ "seen": instances.seen(arm), "more": instances.has_others(arm), "list": list })
}

/// What windows closed without, where they did.
fn missed(judged: &Judged<'_>) -> Option<Value> {
    let missed = &judged.comparison.missed;
    let (from, until) = missed.between;
    let value = || json!({ "streams": missed.streams, "from": from.to_string(), "until": until.to_string() });
    (!missed.is_nothing()).then(value)
}

fn assumption(judged: &Judged<'_>) -> Option<String> {
    let conditions = judged.conditions();
    (!conditions.is_empty()).then(|| conditions.join("; and "))
}

fn arms_rule(arms: &ArmRule) -> Value {
    match arms {
        ArmRule::None => json!({ "by": "none" }),
        ArmRule::Field(path) => json!({ "by": "field", "path": path }),
        ArmRule::PodTemplate { path, .. } => json!({ "by": "pod_template", "path": path }),
        ArmRule::Queries { baseline, canary } => {
            json!({ "by": "queries", "baseline": baseline.source(), "canary": canary.source() })
        }
        ArmRule::Hash { share_ppm, seed } => {
            json!({ "by": "hash", "share": f64::from(*share_ppm) / 1e6, "seed": seed })
        }
    }
}

/// A line to look at.
fn evidence_line(line: &Evidence) -> Value {
    json!({
        "class": if line.slow { "slow" } else { "error" },
        "stream": line.stream,
        "offset": line.offset,
        "time": line.time.to_string(),
        "route": line.route,
        "status": (line.status_class > 0).then(|| format!("{}xx", line.status_class)),
        "latency_ms": line.latency.checked_sub(1).map(|bin| number(bin_middle(bin) / 1000.0)),
    })
}

fn routing(routing: Routing) -> &'static str {
    match routing {
        Routing::Undecided => "undecided",
        Routing::Sticky => "sticky",
        Routing::PerRequest => "per request",
        Routing::Mixed => "mixed",
    }
}

/// What a service did under one arm.
fn totals(totals: &Totals) -> Value {
    let done = Done::of(totals);
    let [none, s1, s2, s3, s4, s5] = totals.status;
    json!({
        "requests": totals.requests,
        "errors": totals.errors,
        "status": { "1xx": s1, "2xx": s2, "3xx": s3, "4xx": s4, "5xx": s5, "none": none },
        "lines": totals.lines,
        "spans": totals.spans,
        "error_lines": totals.error_lines,
        "warn_lines": totals.warn_lines,
        "business_events": totals.business,
        "without_unit": totals.without_unit,
        "errors_without_unit": totals.errors_without_unit,
        "without_latency": totals.without_latency,
        "rates_unread": totals.rates_unread,
        "latency_text": totals.latency_text,
        "latency_unread": totals.latency_unread,
        "status_text": totals.status_text,
        "status_unread": totals.status_unread,
        "late": totals.late,
        "per_request": {
            "errors": done.failed.map(number),
            "lines": done.lines.map(number),
            "spans": done.spans.map(number),
            "error_lines": done.error_lines.map(number),
            "warn_lines": done.warn_lines.map(number),
            "business_events": done.business.map(number),
        },
        "p50_ms": done.p50_ms.map(number),
        "p99_ms": done.p99_ms.map(number),
    })
}

fn comparison(judged: &Judged<'_>) -> Value {
    let comparison = judged.comparison;
    let look = &comparison.look;
    let changed: Map<String, Value> = Behaviour::ALL
        .into_iter()
        .map(|group| (group.name().to_owned(), rounded(look.changed[group as usize])))
        .collect();
    let by_service: Vec<Value> = judged
        .services
        .iter()
        .zip(&comparison.totals)
        .map(|(key, [control, candidate])| {
            json!({
                "environment": key.environment,
                "cell": key.cell,
                "service": key.service,
                "baseline": totals(control),
                "canary": totals(candidate),
                "queries": {
                    "baseline": queries_of(judged, key, &comparison.control),
                    "canary": queries_of(judged, key, &comparison.candidate),
                },
            })
        })
        .collect();
    let evidence: Vec<Value> = comparison.evidence[1].iter().map(evidence_line).collect();
    let mut fields = json!({
        "service": judged.service,
        "services": judged.services.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "control": comparison.control,
        "candidate": comparison.candidate,
        "control_from": comparison.control_from.name(),
        "verdict": look.verdict.name(),
        "held_back_by_change": look.held_back,
        "reasons": judged.sentences(),
        "failed_at": comparison.failure.as_ref().map(|failure| failure.at.to_string()),
        "seconds_to_fail": comparison.failure.as_ref().map(|failure| (failure.at.0 - comparison.started_at.0) as f64 / 1e6),
        "started_at": comparison.started_at.to_string(),
        "ended_at": comparison.ended_at.to_string(),
        "active_until": comparison.active_until.map(|until| until.map(|until| until.to_string())),
        "rollout_end": comparison.end.map(|end| json!({ "at": end.at.to_string(), "reason": end.reason.name() })),
        "looks": comparison.looks,
        "strata": comparison.strata(),
        "unit": comparison.unit.name(),
        "units": comparison.distinct_units(),
        "requests": comparison.error_volume.events(),
        "recovered_by_retry": comparison.recovered,
        "unassigned": comparison.unassigned,
        "routing": routing(comparison.routing),
        "assumption": assumption(judged),
        "by_service": by_service,
        "log_sum": rounded(look.log_sum),
        "log_fail": rounded(comparison.log_fail),
        "flaws": look.flaws.iter().map(|flaw| flaw.name()).collect::<Vec<_>>(),
        "declared_share": judged.policy.declared_share,
        "sample_ratio": look.sample_ratio.map_or(json!("not checkable"), rounded),
        "guardrails": judged.rows.iter().map(|row| guardrail(judged, row)).collect::<Vec<_>>(),
        "changed": changed,
        "log_changed": rounded(look.log_changed),
        "changed_groups": look.changed_groups().map(Behaviour::name).collect::<Vec<_>>(),
        "needs": needs(judged),
        "bounds_met": judged.bounds,
        "history_hours": judged.history.map(|history| history as f64 / HOUR as f64),
        "shared_units": shared_units(judged),
        "notified": judged.notified,
        "unattributed_warnings": judged.unattributed_warnings,
        "arms_not_compared": judged.not_judged,
        "evidence": evidence,
    });
    // The macro goes no deeper.
    if let Some(fields) = fields.as_object_mut() {
        fields.insert("missed".to_owned(), json!(missed(judged)));
        let by_arm =
            json!({ "baseline": instances(judged, Arm::Control), "canary": instances(judged, Arm::Candidate) });
        fields.insert("instances".to_owned(), by_arm);
        let automatic_at = comparison.failure.as_ref().and_then(|failure| failure.automatic_at);
        fields.insert("automatic_at".to_owned(), json!(automatic_at.map(|at| at.to_string())));
        fields.insert("limits".to_owned(), limits(judged));
        fields.insert("templates".to_owned(), templates(judged));
        fields.insert("conversions".to_owned(), judged.conversions.iter().map(conversion).collect());
        fields.insert("metrics".to_owned(), judged.metrics.iter().map(metric).collect());
        fields.insert("segments".to_owned(), segments(judged));
        fields.insert("changes".to_owned(), changes(judged));
        fields.insert("overlaps".to_owned(), overlaps(judged));
        fields.insert("by_age".to_owned(), by_age(judged));
    }
    fields
}

/// Lines of both arms, with their query and their number.
fn lines_of([baseline, canary]: &[queries::Lines; 2]) -> Value {
    let one = |of: &queries::Lines| json!({ "query": of.query, "counted": of.counted, "count": of.count });
    json!({ "baseline": one(baseline), "canary": one(canary) })
}

/// What changed, with the lines behind it.
fn changes(judged: &Judged<'_>) -> Value {
    let Some(service) = judged.services.first() else { return json!([]) };
    let list = queries::of_changes(judged.comparison, service, &judged.survey.plan);
    let one =
        |of: &queries::Changed| json!({ "group": of.group.name(), "what": of.what, "lines": lines_of(&of.lines) });
    list.iter().map(one).collect()
}

/// Queries that find the requests of an arm, and those that failed.
fn queries_of(judged: &Judged<'_>, service: &ServiceKey, arm: &str) -> Value {
    let (plan, comparison) = (&judged.survey.plan, judged.comparison);
    let of = |failed| queries::of_requests(plan, service, arm, failed, comparison.started_at, comparison.ended_at);
    json!({ "requests": of(false), "errors": of(true) })
}

/// Templates of each class of level that are listed.
const TEMPLATES_LISTED: usize = 200;

/// Log lines by template, and those that differ at this moment.
fn templates(judged: &Judged<'_>) -> Value {
    let comparison = judged.comparison;
    let of = &comparison.templates;
    let list = of.list();
    let places = |places: &[Place]| -> Vec<Value> {
        let one =
            |place: &Place| json!({ "stream": place.stream, "offset": place.offset, "time": place.time.to_string() });
        places.iter().map(one).collect()
    };
    let one = |listed: &Listed<'_>| {
        let template = listed.template;
        let [control, candidate, nobodys] = &template.places;
        json!({
            "id": format!("{:016x}", listed.id),
            "text": template.text,
            "level": if listed.severe { "error or worse" } else { "below error" },
            "change": listed.change.name(),
            "instead_of": template.twin().map(|id| format!("{id:016x}")),
            "log_e": rounded(listed.log_e),
            "evidence": strength(listed.log_e),
            "units": template.units(),
            "lines": template.lines,
            "query": judged.services.first().map(|service| {
                queries::of_template(
                    &judged.survey.plan,
                    (listed.id, listed.severe),
                    service,
                    comparison.started_at,
                    comparison.ended_at,
                )
            }),
            "per_thousand_requests": judged.per_thousand(template).map(|rate| rate.map(number)),
            "first_seen": template.first_seen.to_string(),
            "baseline": places(control),
            "canary": places(candidate),
            "unattributed": places(nobodys),
        })
    };
    let (errors, others): (Vec<&Listed<'_>>, Vec<&Listed<'_>>) = list.iter().partition(|listed| listed.severe);
    let shown = errors.iter().take(TEMPLATES_LISTED).chain(others.iter().take(TEMPLATES_LISTED));
    let failing = comparison.failure.iter().flat_map(|failure| &failure.templates);
    let [followed_below, followed_errors] = of.followed();
    let [past_below, past_errors] = of.past_bound();
    let [tested_below, tested_errors] = of.tested();
    json!({
        "below_error": { "tested": tested_below, "followed": number(followed_below), "lines_past_bound": past_below, "differ": others.len() },
        "error_or_worse": { "tested": tested_errors, "followed": number(followed_errors), "lines_past_bound": past_errors, "differ": errors.len() },
        "log_errors": comparison.look.templates.log_errors.map(rounded),
        "pairs_unassigned": of.unassigned(),
        "failing": failing.map(|id| format!("{id:016x}")).collect::<Vec<_>>(),
        "listed": shown.map(|listed| one(listed)).collect::<Vec<_>>(),
    })
}

/// Absolute limits of the policy.
fn limits(judged: &Judged<'_>) -> Value {
    let policy = judged.policy.limits;
    let one = |(limit, said): (Limit, LimitLook)| {
        let share = |counted: Over| counted.share().map(number);
        json!({
            "limit": limit.name(),
            "threshold_ms": policy.p99_us.filter(|_| limit == Limit::P99).map(|us| number(us as f64 / 1e3)),
            "allowed": judged.allowed(limit),
            "baseline": share(said.arms[0]),
            "canary": share(said.arms[1]),
            "both": share(said.both()),
            "over": said.arms.map(|counted| counted.over),
            "of": said.arms.map(|counted| counted.of),
            "long": json!({
                "over": said.long.map(|counted| counted.over),
                "of": said.long.map(|counted| counted.of),
            }),
            "broken": said.broken,
            "holds_back": said.holds_back,
            "on_break": if policy.fails { "fail" } else { "hold" },
            "fails": said.fails,
        })
    };
    judged.limits().into_iter().map(one).collect()
}

/// Segments, and how much of the difference is who the units are; `null` where there are no fields.
fn segments(judged: &Judged<'_>) -> Value {
    let of = &judged.comparison.segments;
    if of.is_none() {
        return Value::Null;
    }
    let told = &judged.segments.told;
    let mix = told.mix.as_ref().map(|mix| {
        json!({
            "field": judged.segment_field(mix.field),
            "difference": number(mix.difference),
            "mix": number(mix.mix),
            "rate": number(mix.rate),
            "ratio": mix.ratio.map(number),
            "adjusted_ratio": mix.adjusted.map(|of| json!({
                "estimate": number(of.ratio),
                "low": number(of.low),
                "high": number(of.high),
            })),
        })
    });
    json!({
        "fields": of.fields,
        "found": judged.survey.segments.from == SegmentsFrom::Found,
        "unequal": judged.comparison.look.unequal.iter().map(|field| judged.segment_field(usize::from(*field))).collect::<Vec<_>>(),
        "descriptive": mix,
        "cells": judged.segments.rows.iter().map(|row| segment(judged, row)).collect::<Vec<_>>(),
        "more": told.more,
        "rest": told.rests.iter().map(|rest| json!({
            "field": judged.segment_field(rest.field),
            "units": rest.units,
            "erring": rest.erring,
        })).collect::<Vec<_>>(),
    })
}

/// One segment, or two whose units fail together.
fn segment(judged: &Judged<'_>, row: &SegmentRow) -> Value {
    let lines = judged.services.first().map(|service| {
        let [all, failed] = queries::of_segment(&judged.survey.plan, judged.comparison, service, row);
        json!({ "units": lines_of(&all), "erring": lines_of(&failed) })
    });
    let named = |list: &[(String, String)]| -> Vec<Value> {
        list.iter().map(|(field, value)| json!({ "field": field, "value": value })).collect()
    };
    let tests: Map<String, Value> = SegmentTest::ALL
        .into_iter()
        .map(|test| {
            let at = test as usize;
            let of = if test == SegmentTest::Errors { row.errors } else { row.latency };
            let value = json!({
                "finding": row.findings[at].name(),
                "effect": effect(of),
                "log_e": row.log_e[at].map(rounded),
                "evidence": row.log_e[at].map(strength),
            });
            (test.name().to_owned(), value)
        })
        .collect();
    json!({
        "segment": named(&row.parts),
        "same_units": named(&row.same),
        "units": row.member.units,
        "erring": row.member.erring,
        "excess": number(row.member.excess),
        "of_excess": row.member.of_excess.map(number),
        "of_units": number(row.member.of_units),
        "lines": lines,
        "tests": tests,
    })
}

/// A business event that may not become rarer, or more frequent.
fn conversion(row: &ConversionRow) -> Value {
    let [lines, without_unit, unassigned] = row.lines;
    json!({
        "event": row.name,
        "harms": row.harms,
        "at_least": row.at_least,
        "finding": row.finding.name(),
        "baseline": row.values[0].map(number),
        "canary": row.values[1].map(number),
        "effect": effect(row.effect),
        "log_e": rounded(row.log_e),
        "evidence": strength(row.log_e),
        "counts": row.counts,
        "met": row.met,
        "lines": lines,
        "without_unit": without_unit,
        "unassigned": unassigned,
    })
}

/// A metric of one's own.
fn metric(row: &MetricRow) -> Value {
    let [lines, without_unit, unassigned] = row.lines;
    let of = |arm: usize| json!(row.quantiles[arm].map(|value| value.map(number)));
    let is_gauge = row.kind == MetricKind::Gauge;
    json!({
        "metric": row.name,
        "field": row.field,
        "kind": row.kind.name(),
        "harms": row.harms,
        "finding": row.finding.name(),
        "baseline": row.values[0].map(number),
        "canary": row.values[1].map(number),
        "percentiles": if is_gauge { json!({ "baseline": of(0), "canary": of(1) }) } else { Value::Null },
        "effect": effect(row.effect),
        "log_e": rounded(row.log_e),
        "evidence": strength(row.log_e),
        "counts": row.events,
        "lines": lines,
        "without_unit": without_unit,
        "unassigned": unassigned,
        "beyond": row.beyond,
        "unread": row.unread,
    })
}

/// Size of a difference.
fn effect(effect: Option<Effect>) -> Option<Value> {
    effect.map(|effect| {
        json!({
            "kind": effect.kind.name(),
            "estimate": if effect.is_at_limit() { Value::Null } else { number(effect.estimate) },
            "low": number(effect.low),
            "high": number(effect.high),
        })
    })
}

/// The effect at which a pass ends, in the unit of the row's effect; `null` where a pass does not ask.
fn margin(judged: &Judged<'_>, row: &Row) -> Option<Value> {
    let margin = html::margin(judged, row.cell)?;
    row.effect.map(|effect| match effect.kind {
        EffectKind::Ratio => number(math::exp(margin)),
        EffectKind::Difference => number(margin),
        EffectKind::Change => number(math::exp(margin) - 1.0),
    })
}

fn guardrail(judged: &Judged<'_>, row: &Row) -> Value {
    json!({
        "guardrail": row.cell.name(),
        "label": judged.name_of(row),
        "margin": margin(judged, row),
        "finding": row.finding.name(),
        "baseline": row.values[0].map(number),
        "canary": row.values[1].map(number),
        "values_in": match row.cell {
            Cell::ErrorUnits
            | Cell::ErrorVolume
            | Cell::LatencyP99Units
            | Cell::ErrorUnits8
            | Cell::ErrorUnits64
            | Cell::Unanswered => Some("share"),
            Cell::LatencyMean | Cell::LatencyP50 | Cell::LatencyP90 | Cell::LatencyP99 => Some("ms"),
            Cell::Deficit => None,
        },
        "above": row.above.map(|([control, candidate], threshold)| json!({
            "threshold_ms": number(threshold),
            "baseline": number(control),
            "canary": number(candidate),
        })),
        "effect": effect(row.effect),
        "log_e": rounded(row.log_e),
        "log_pass": rounded(judged.comparison.look.cell(row.cell).log_pass),
        "evidence": strength(row.log_e),
        "counts": row.counts,
        "lines": judged.services.first().and_then(|service| {
            queries::of_guardrail(&judged.survey.plan, judged.comparison, service, row).map(|lines| lines_of(&lines))
        }),
    })
}

/// What a pass still needs, while nothing is decided.
fn needs(judged: &Judged<'_>) -> Vec<Value> {
    judged
        .needs
        .iter()
        .filter(|_| judged.comparison.look.verdict == Verdict::Inconclusive)
        .map(|need| {
            let beyond = need.time.is_some_and(|time| time > FORECAST_MAX);
            json!({
                "guardrail": need.cell.name(),
                "counted": match need.counted {
                    Counted::ErringUnits => "erring units",
                    Counted::CandidateUnits => "canary units",
                    Counted::CandidateRequests => "canary requests",
                },
                "needed": number(need.needed),
                "have": number(need.have),
                "seconds": need.time.filter(|_| !beyond).map(|time| time as f64 / 1e6),
                "over_90_days": beyond,
            })
        })
        .collect()
}
