//! Which field gives the arms, and which sources log the requests of each service.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{self, Intern, Kind, ServiceKey};
use crate::pipeline::decode::{Decoded, Decoder, is_probe_route, without_mark};
use crate::pipeline::json::{self, Value};
use crate::pipeline::plan::{ArmRule, Plan, RequestSource};
use crate::pipeline::roles::Role;
use crate::pipeline::survey::Head;
use crate::pipeline::survey::inside::Inside;
use crate::pipeline::values;

/// A field whose values may be arms.
#[derive(Clone, Debug)]
pub(super) struct ArmCandidate {
    pub(super) path: String,
    role: Role,
    /// Distinct values within the service that has most of them: services have versions of their own, which are no arms.
    pub(super) values: BTreeSet<String>,
    /// Of pods' names: the workloads whose pods these are, by the name of the service that says so.
    workloads: BTreeMap<String, BTreeSet<String>>,
}

impl ArmCandidate {
    /// Place in the order of preference. A flag has variants whatever is rolled out, and a release is what versions
    /// tell apart; variants come first only where their names are those of arms.
    fn rank(&self) -> usize {
        let is_arm = |value: &String| ARM_NAMES.iter().any(|name| value.eq_ignore_ascii_case(name));
        match self.role {
            Role::Cohort => 0,
            Role::Variant if self.values.iter().any(is_arm) => 1,
            Role::Version => 2,
            _ => 3,
        }
    }
}

/// Values that only arms have.
const ARM_NAMES: [&str; 7] = ["control", "baseline", "stable", "primary", "canary", "candidate", "treatment"];

/// A source with fewer than one in so many of the requests of another is passed over.
const SOURCE_SHARE: u64 = 10;

/// Distinct values of a field that are kept.
const ARM_VALUES_MAX: usize = 64;

/// Fields that may give the arms, best first, the sources that log requests of each service, and what tells work inside requests.
pub(super) fn look_at_services(
    heads: &[Head<'_>],
    plan: &Plan,
    notes: &mut Vec<String>,
) -> (Vec<ArmCandidate>, BTreeMap<ServiceKey, BTreeMap<RequestSource, u64>>, Inside) {
    let mut sources: BTreeMap<ServiceKey, BTreeMap<RequestSource, u64>> = BTreeMap::new();
    let fields: Vec<(Role, &str)> = [Role::Cohort, Role::Variant, Role::Version, Role::Instance]
        .into_iter()
        .flat_map(|role| plan.fields(role).iter().map(move |field| (role, field.path.as_str())))
        .collect();
    let mut inside = Inside::new(plan);
    let mut probes: BTreeMap<ServiceKey, u64> = BTreeMap::new();
    let mut found: BTreeMap<(usize, ServiceKey), BTreeSet<String>> = BTreeMap::new();
    // Fields that name a protocol.
    let mut of_protocols: BTreeSet<usize> = BTreeSet::new();
    let mut workloads: BTreeMap<usize, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for head in heads {
        let mut decoder = Decoder::new(plan, head.stream);
        for (offset, line) in head.lines.iter().enumerate() {
            let Ok(Decoded::Event(event)) = decoder.decode(line, offset as u64) else { continue };
            let (source, is_told_probe) = (decoder.source(), decoder.is_probe());
            let services = &decoder.interner().names().services;
            // How lines are written is the same in every cell.
            let Some(service) = services.get(usize::from(event.service)).map(ServiceKey::without_cell) else {
                continue;
            };
            let service = &service;
            // Probes of health are no log of what a service is asked, beside lines that may be.
            let route = event::name_at(&decoder.interner().names().routes, event.route);
            // That it failed is said by errors too; a status makes a request of a line.
            let source = match source {
                RequestSource::Application if event.status_class == 0 => RequestSource::Timed,
                source => source,
            };
            if is_told_probe {
                *probes.entry(service.clone()).or_default() += 1;
            }
            if event.kind == Kind::Request {
                inside.note(line, (service, source), (&event, route.map(String::as_str)));
            }
            let is_own = matches!(source, RequestSource::Application | RequestSource::Timed);
            let is_probe = is_own && route.is_some_and(|route| is_probe_route(route));
            if (event.kind == Kind::Request && !is_probe) || source == RequestSource::Outgoing {
                *sources.entry(service.clone()).or_default().entry(source).or_default() += 1;
            }
            for (at, (role, path)) in fields.iter().enumerate() {
                let value = json::lookup(without_mark(line), path).and_then(scalar_text);
                let Some(value) = value.filter(|value| !value.is_empty()) else { continue };
                if is_protocol(&value) {
                    of_protocols.insert(at);
                    continue;
                }
                let value = if *role == Role::Instance {
                    let Some((workload, hash)) = values::pod_template(&value) else { continue };
                    let of_service = workloads.entry(at).or_default().entry(service.service.clone()).or_default();
                    if of_service.len() < ARM_VALUES_MAX {
                        of_service.insert(workload.to_owned());
                    }
                    hash.to_owned()
                } else {
                    value
                };
                let known = found.entry((at, service.clone())).or_default();
                if known.len() < ARM_VALUES_MAX {
                    known.insert(value);
                }
            }
        }
    }
    let mut candidates: Vec<ArmCandidate> = fields
        .into_iter()
        .enumerate()
        .filter(|(at, _)| !of_protocols.contains(at) || found.keys().any(|(field, _)| field == at))
        .map(|(at, (role, path))| {
            let of_field = || found.iter().filter(|((field, _), _)| *field == at);
            let most = of_field().map(|(_, values)| values).max_by_key(|values| values.len());
            ArmCandidate {
                path: path.to_owned(),
                role,
                values: most.cloned().unwrap_or_default(),
                workloads: workloads.remove(&at).unwrap_or_default(),
            }
        })
        .collect();
    // Names of pods tell something only where they have a hash, and only where nothing better does.
    let has_field = candidates.iter().any(|candidate| candidate.role != Role::Instance && !candidate.values.is_empty());
    candidates.retain(|candidate| candidate.role != Role::Instance || (!has_field && !candidate.values.is_empty()));
    // Fields that a pipeline names may have no value here.
    candidates.sort_by_key(|candidate| (candidate.values.len() < 2, candidate.values.is_empty(), candidate.rank()));
    // A request whose line lacks its status is one, and one arm may lack it more often.
    for (service, by_source) in &mut sources {
        if inside.is_like_requests(service)
            && let Some(timed) = by_source.remove(&RequestSource::Timed)
        {
            *by_source.entry(RequestSource::Application).or_default() += timed;
        }
        // What is inside requests is told as one and is none.
        let (marks, lines) = inside.found(service);
        if !marks.is_empty()
            && let Some(own) = by_source.get_mut(&RequestSource::Application)
        {
            let lines = lines.min(own.saturating_sub(1));
            *own -= lines;
            if lines > 0 {
                *by_source.entry(RequestSource::Timed).or_default() += lines;
            }
        }
    }
    for (key, lines) in probes {
        notes.push(format!("requests: {lines} lines of {key} ask only whether it is there (probes of health); they count as no requests"));
    }
    (candidates, sources, inside)
}

/// A value is the version of a protocol, which is none of a service.
fn is_protocol(value: &str) -> bool {
    let is_of = |protocol: &str| value.get(..protocol.len()).is_some_and(|start| start.eq_ignore_ascii_case(protocol));
    ["HTTP/", "TLSv", "SSLv"].into_iter().any(is_of)
}

/// A scalar as text.
pub(super) fn scalar_text(value: Value<'_>) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) | Value::Array(_) => None,
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(number) => Some(number.to_owned()),
        Value::String(text) => Some(text.get().into_owned()),
    }
}

/// The best candidate gives the arms; those that would give others are named.
/// `of_service`: the only service that is judged, where one is.
pub(super) fn choose_arms(
    candidates: &[ArmCandidate],
    of_service: Option<&String>,
    notes: &mut Vec<String>,
) -> ArmRule {
    let Some((chosen, others)) = candidates.split_first() else { return ArmRule::None };
    // Templates of several workloads are no versions of one another: a worker beside the web server is no candidate.
    let mixed =
        chosen.workloads.iter().find(|(service, of_it)| of_it.len() > 1 && of_service.is_none_or(|of| of == *service));
    if let Some((service, several)) = mixed {
        let (of_service, remedy) = match service.as_str() {
            "" => (
                String::new(),
                "name the service of a line with --role service=FIELD, or take --arm-by FIELD".to_owned(),
            ),
            name => (
                format!(" under the service `{}`", shown(name)),
                "name the version of a line with --role version=FIELD, take --arm-by FIELD, or say which pods are which: \
                 --baseline QUERY --canary QUERY"
                    .to_owned(),
            ),
        };
        notes.push(format!(
            "arms: no field says which version or cohort a line belongs to, and `{}` names pods of several workloads{of_service} ({}), whose versions are not compared; {remedy}",
            chosen.path,
            some_of(several)
        ));
        return ArmRule::None;
    }
    let others: Vec<&ArmCandidate> = others.iter().filter(|other| other.values.len() >= 2).collect();
    let what = if chosen.role == Role::Instance { "the version taken from the pod's name," } else { "the values of" };
    let mut note = format!("arms: {what} `{}` ({})", chosen.path, some_of(&chosen.values));
    for other in &others {
        note.push_str(&format!(
            "; `{}` has {} values too ({})",
            other.path,
            other.values.len(),
            some_of(&other.values)
        ));
    }
    if !others.is_empty() {
        note.push_str("; --arm-by FIELD takes another");
    }
    notes.push(note);
    if chosen.role == Role::Instance {
        let alone = chosen.workloads.values().filter(|of_service| of_service.len() == 1);
        ArmRule::PodTemplate { path: chosen.path.clone(), workloads: alone.flatten().cloned().collect() }
    } else {
        ArmRule::Field(chosen.path.clone())
    }
}

/// A value may be anything, and a note is shown as it is.
fn shown(value: &str) -> String {
    value.chars().filter(|c| !c.is_control()).take(40).collect()
}

/// A few values, to be recognised by.
fn some_of(values: &BTreeSet<String>) -> String {
    const SHOWN: usize = 3;
    let mut text = values.iter().take(SHOWN).map(|value| shown(value)).collect::<Vec<_>>().join(", ");
    if values.len() > SHOWN {
        text.push_str(", ...");
    }
    text
}

pub(super) fn choose_sources(
    seen: &BTreeMap<ServiceKey, BTreeMap<RequestSource, u64>>,
    asked: &BTreeMap<String, RequestSource>,
    notes: &mut Vec<String>,
) -> BTreeMap<ServiceKey, RequestSource> {
    let mut sources = BTreeMap::new();
    for (key, several) in seen {
        // A few health probes in an access log are no log of the service's requests.
        // Nor are many lines of a database's library its requests.
        let whole = several.iter().filter(|(source, _)| **source != RequestSource::Timed);
        let most = whole.map(|(_, requests)| *requests).max().unwrap_or(0);
        let is_one = |(_, requests): &(&RequestSource, &u64)| **requests * SOURCE_SHARE >= most;
        let Some(outermost) = several.iter().find(is_one).map(|(source, _)| *source) else { continue };
        let asked = asked.get(&key.service).copied();
        let best = asked.filter(|asked| several.contains_key(asked)).unwrap_or(outermost);
        if let Some(asked) = asked.filter(|asked| !several.contains_key(asked)) {
            notes.push(format!("{key} has no requests from its {}; its {} counts", asked.name(), best.name()));
        }
        let calls = several.get(&RequestSource::Outgoing).copied().unwrap_or(0);
        if best != RequestSource::Outgoing && calls > 0 {
            notes.push(format!(
                "requests: {calls} lines of {key} name a whole URL or a peer, or say that they go out; they are taken for its calls to others, not for requests of its own. If they are its requests: --requests-from {}=outgoing",
                shown(&key.service)
            ));
        }
        let timed = several.get(&RequestSource::Timed).copied().unwrap_or(0);
        if best == RequestSource::Application && timed > 0 && asked.is_none() {
            notes.push(format!(
                "requests: {timed} lines of {key} look like requests, and are taken for work inside them: they have a path and a duration and no status, where requests have one, or another line stands for the request that they are part of. If they are requests of their own: --requests-from {}=application",
                shown(&key.service)
            ));
        }
        // Beside roots, lines that look like requests are the work inside them.
        let set_aside = [RequestSource::Timed, RequestSource::Outgoing];
        let own = several.keys().filter(|source| !set_aside.contains(source)).count();
        if own > 1 && best != RequestSource::RootSpan {
            notes.push(format!(
                "requests of {key} are logged by several sources; its {} counts, so that none counts twice (--requests-from {}=application, or another, if the other is meant)",
                best.name(),
                shown(&key.service)
            ));
        }
        sources.insert(
            key.clone(),
            match best {
                RequestSource::Application if timed > 0 && asked.is_none() => RequestSource::Answered,
                // None has a status: those that failed count with them.
                RequestSource::Timed if asked.is_none() => RequestSource::Application,
                best => best,
            },
        );
    }
    sources
}
