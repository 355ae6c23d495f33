//! The report for programs. Version 1; fields are added, never renamed.

use serde_json::{Map, Value, json};

use crate::compare::verdict::Behaviour;
use crate::event::RejectReason;
use crate::ledger::rounded;

use super::report::{EffectKind, Judged, Report, strength};

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
    let s = report.survey;
    let roles: Map<String, Value> = s
        .roles
        .iter()
        .map(|role| {
            let fields: Vec<Value> = role
                .fields
                .iter()
                .map(|(field, lines)| json!({ "path": field.path, "unit": field.unit.map(|unit| unit.name()), "lines": lines }))
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
        "version": REPORT_VERSION,
        "comparisons": report.comparisons.iter().map(comparison).collect::<Vec<_>>(),
        "nothing_to_compare": report.alone.iter().map(|(service, arms)| json!({
            "service": service,
            "arms": arms.iter().map(|(arm, requests)| json!({ "arm": arm, "requests": requests })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
        "records": {
            "read": t.records,
            "events": t.events,
            "on_time": t.on_time,
            "late": t.late,
            "outside": t.outside,
            "rejects": rejects,
        },
        "survey": {
            "lines": s.lines,
            "requests": s.requests,
            "unit": s.plan.unit.name(),
            "roles": roles,
            "services": services,
            "notes": s.notes,
        },
    })
}

fn number(value: f64) -> Value {
    if value.is_finite() { Value::from(value) } else { Value::Null }
}

fn comparison(judged: &Judged<'_>) -> Value {
    let comparison = judged.comparison;
    let look = &comparison.look;
    let guardrails: Vec<Value> = judged
        .rows
        .iter()
        .map(|row| {
            let effect = row.effect.map(|effect| {
                json!({
                    "kind": match effect.kind {
                        EffectKind::Ratio => "ratio",
                        EffectKind::Difference => "difference",
                        EffectKind::Change => "change",
                    },
                    "estimate": number(effect.estimate),
                    "low": number(effect.low),
                    "high": number(effect.high),
                })
            });
            json!({
                "guardrail": row.cell.name(),
                "finding": row.finding.name(),
                "baseline": row.values[0].map(number),
                "canary": row.values[1].map(number),
                "effect": effect,
                "log_e": rounded(row.log_e),
                "log_pass": rounded(look.cell(row.cell).log_pass),
                "evidence": strength(row.log_e),
                "counts": row.counts,
            })
        })
        .collect();
    let changed: Map<String, Value> = Behaviour::ALL
        .into_iter()
        .map(|group| (group.name().to_owned(), rounded(look.changed[group as usize])))
        .collect();
    json!({
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
        "looks": comparison.looks,
        "strata": comparison.strata(),
        "unit": comparison.unit.name(),
        "units": comparison.units(),
        "requests": comparison.error_volume.events(),
        "recovered_by_retry": comparison.recovered,
        "unassigned": comparison.unassigned,
        "routing": format!("{:?}", comparison.routing).to_lowercase(),
        "log_sum": rounded(look.log_sum),
        "log_fail": rounded(comparison.log_fail),
        "flaws": look.flaws.iter().map(|flaw| flaw.name()).collect::<Vec<_>>(),
        "sample_ratio": look.sample_ratio.map_or(json!("not checkable"), rounded),
        "guardrails": guardrails,
        "changed": changed,
        "log_changed": rounded(look.log_changed),
        "changed_groups": look.changed_groups().map(Behaviour::name).collect::<Vec<_>>(),
        "needs": judged.needs.iter().map(|need| json!({
            "guardrail": need.cell.name(),
            "needed": number(need.needed),
            "have": number(need.have),
            "seconds": need.time.map(|time| time as f64 / 1e6),
        })).collect::<Vec<_>>(),
        "bounds_met": judged.bounds,
        "arms_not_compared": judged.not_judged,
        "evidence": comparison.evidence[1].iter().map(|line| json!({
            "class": if line.slow { "slow" } else { "error" },
            "stream": line.stream,
            "offset": line.offset,
            "time": line.time.to_string(),
            "route": line.route,
        })).collect::<Vec<_>>(),
    })
}
