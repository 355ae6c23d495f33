//! What reading the sample with a plan gives.

use std::collections::BTreeMap;

use crate::event::{Intern, Kind, NO_LATENCY, NO_NAME, RejectReason, ServiceKey};
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::plan::Plan;
use crate::pipeline::roles::Role;
use crate::pipeline::survey::{Head, ServiceReport};
use crate::time::Timestamp;

/// Coverage of a role.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts {
    pub(super) lines: u64,
    pub(super) requests: u64,
    pub(super) by_field: BTreeMap<usize, u64>,
}

/// What reading the sample with a plan gives.
#[derive(Clone, Debug, Default)]
pub(super) struct Covered {
    pub(super) roles: BTreeMap<Role, Counts>,
    pub(super) requests: u64,
    /// Requests whose latency is told.
    pub(super) timed: u64,
    pub(super) rejects: BTreeMap<RejectReason, u64>,
    pub(super) services: BTreeMap<ServiceKey, ServiceReport>,
    /// Traces with more than one line.
    pub(super) shared_traces: u64,
    /// Requests with the id of one before, and those of them that began when it had ended, and had not failed: no attempt follows that.
    pub(super) repeated_request_ids: u64,
    pub(super) after_success: u64,
    /// Lines with a sampling rate that is none.
    pub(super) rates_unread: u64,
    pub(super) events: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
    /// Lines whose time names its zone, and lines whose time names none and has none of the plan's.
    pub(super) zoned: Times,
    pub(super) unzoned: Times,
    /// Services that appear in one trace together, with how often the first of a pair was the slower request.
    pub(super) neighbours: BTreeMap<(ServiceKey, ServiceKey), u64>,
    pub(super) slowest: BTreeMap<ServiceKey, u64>,
}

/// Times of some lines.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) lines: u64,
    pub(super) first: Option<Timestamp>,
    pub(super) last: Option<Timestamp>,
}

impl Times {
    fn add(&mut self, time: Timestamp) {
        self.lines += 1;
        self.first = Some(self.first.map_or(time, |first| first.min(time)));
        self.last = Some(self.last.map_or(time, |last| last.max(time)));
    }
}

impl Covered {
    pub(super) fn events_per_second(&self) -> f64 {
        match (self.first, self.last) {
            (Some(first), Some(last)) if last > first => self.events as f64 * 1e6 / (last.0 - first.0) as f64,
            _ => 0.0,
        }
    }
}

pub(super) fn cover(heads: &[Head<'_>], plan: &Plan) -> Covered {
    let mut covered = Covered::default();
    let mut traces: BTreeMap<u64, (u64, BTreeMap<ServiceKey, u64>)> = BTreeMap::new();
    // When the last request of each id ended, and whether it did what was asked.
    let mut requests: BTreeMap<(ServiceKey, u64), (Timestamp, bool)> = BTreeMap::new();
    // Request ids are looked at whatever the plan says of joining.
    let plan = Plan { join_attempts: true, follow_traces: true, ..plan.clone() };
    for head in heads {
        let mut decoder = Decoder::new(&plan, head.stream);
        for (at, line) in head.lines.iter().enumerate() {
            let event = match decoder.decode(line, at as u64) {
                Ok(Decoded::Event(event)) => event,
                Ok(Decoded::Outside) => continue,
                Err(reason) => {
                    *covered.rejects.entry(reason).or_default() += 1;
                    continue;
                }
            };
            covered.events += 1;
            covered.first = Some(covered.first.map_or(event.time, |first| first.min(event.time)));
            covered.last = Some(covered.last.map_or(event.time, |last| last.max(event.time)));
            if decoder.named_zone() {
                covered.zoned.add(event.time);
            } else if plan.zone_of(head.stream).is_utc() {
                covered.unzoned.add(event.time);
            }
            let is_request = event.kind == Kind::Request;
            covered.requests += u64::from(is_request);
            covered.timed += u64::from(is_request && event.latency_us != NO_LATENCY);
            covered.rates_unread += u64::from(event.rate_unread);
            for (role, field) in decoder.covered(line) {
                let Some(field) = field else { continue };
                let counts = covered.roles.entry(role).or_default();
                counts.lines += 1;
                counts.requests += u64::from(is_request);
                *counts.by_field.entry(field).or_default() += 1;
            }
            let source = decoder.source();
            let names = decoder.interner().names();
            // Cells of a service are found while lines are read; how they are read is the same for all.
            let key = names.services.get(usize::from(event.service)).map(ServiceKey::without_cell).unwrap_or_default();
            let service = covered.services.entry(key.clone()).or_default();
            match event.kind {
                Kind::Request => {
                    service.requests += 1;
                    *service.sources.entry(source).or_default() += 1;
                }
                Kind::Span => service.spans += 1,
                Kind::Log | Kind::Exposure | Kind::Business => service.logs += 1,
            }
            if event.arm != NO_NAME
                && let Some(arm) = names.arms.get(usize::from(event.arm))
            {
                *service.arms.entry(arm.clone()).or_default() += 1;
            }
            if event.request != 0 {
                let succeeded = !event.error && event.status_class < 4;
                if let Some((end, has_succeeded)) =
                    requests.insert((key.clone(), event.request), (event.time, succeeded))
                {
                    let took = if event.latency_us == NO_LATENCY { 0 } else { event.latency_us };
                    let begin = event.time.0.saturating_sub(i64::try_from(took).unwrap_or(i64::MAX));
                    covered.repeated_request_ids += 1;
                    covered.after_success += u64::from(has_succeeded && begin > end.0);
                }
            }
            if event.trace != 0 {
                let (lines, slowest) = traces.entry(event.trace).or_default();
                *lines += 1;
                let latency = if is_request && event.latency_us != NO_LATENCY { event.latency_us + 1 } else { 0 };
                let known = slowest.entry(key).or_default();
                *known = (*known).max(latency);
            }
        }
    }
    for (lines, services) in traces.values() {
        covered.shared_traces += u64::from(*lines > 1);
        if services.len() > 1 {
            if let Some((slowest, _)) =
                services.iter().max_by_key(|(key, latency)| (**latency, std::cmp::Reverse(*key)))
            {
                *covered.slowest.entry(slowest.clone()).or_default() += 1;
            }
            let keys: Vec<&ServiceKey> = services.keys().collect();
            for pair in keys.windows(2) {
                if let [a, b] = pair {
                    *covered.neighbours.entry(((*a).clone(), (*b).clone())).or_default() += 1;
                }
            }
        }
    }
    covered
}
