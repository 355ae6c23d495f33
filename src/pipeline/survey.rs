//! Looks at the first lines of streams and finds the plan: which field plays which role, which services and arms there
//! are, where requests come from, and what is missing.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::{Intern, Kind, NO_LATENCY, NO_NAME, RejectReason, ServiceKey};
use crate::pipeline::decode::{ACCESS_ROLES, Decoded, Decoder, PROXY_STATUS, without_mark};
use crate::pipeline::json::{self, Str, Value};
use crate::pipeline::plan::{ArmRule, FieldRef, Plan, RequestSource, UnitKind};
use crate::pipeline::roles::{LatencyUnit, Role, StatusNotation};
use crate::pipeline::{clock, number, roles, values};
use crate::time::{Timestamp, Windowing};

/// Distinct paths that are counted; further ones are not considered for roles.
const PATHS_MAX: usize = 4096;
/// Depth to which objects are looked into.
const DEPTH_MAX: usize = 5;
/// A unit field must be on this share of request lines to be chosen.
const UNIT_COVERAGE: f64 = 0.5;
/// One that is on this share is taken before better ones that are on fewer lines.
const UNIT_COVERAGE_GOOD: f64 = 0.8;
/// From this share on nearly all requests have a unit, and nothing is said.
const UNIT_COVERAGE_FULL: f64 = 0.995;
/// Rows of one window that samples of pairs and traces aim at.
const ROWS_AIM: f64 = 8_192.0;

/// What the user has said; the survey finds the rest.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Wishes {
    /// Fields of roles as given.
    pub roles: BTreeMap<Role, Vec<FieldRef>>,
    /// How lines find their arm.
    pub arms: Option<ArmRule>,
    /// Request sources of services, by name.
    pub sources: BTreeMap<String, RequestSource>,
    /// What the unit of assignment is.
    pub unit: Option<UnitKind>,
    /// The service whose rollout is judged.
    pub service: Option<String>,
    /// The environment whose lines are read.
    pub environment: Option<String>,
    /// How events are cut into windows.
    pub windowing: Windowing,
}

/// First lines of one stream.
#[derive(Clone, Debug)]
pub struct Head<'a> {
    /// Name of the stream.
    pub stream: &'a str,
    /// Whole lines, decoded text.
    pub lines: Vec<&'a str>,
}

/// How well a role is covered.
#[derive(Clone, PartialEq, Debug)]
pub struct RoleReport {
    /// The role.
    pub role: Role,
    /// Fields that play it, with the lines each was used for.
    pub fields: Vec<(FieldRef, u64)>,
    /// Lines that have it.
    pub lines: u64,
    /// Request lines that have it.
    pub requests: u64,
}

/// What one service's sample looks like.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct ServiceReport {
    /// Requests.
    pub requests: u64,
    /// Spans.
    pub spans: u64,
    /// Other lines.
    pub logs: u64,
    /// Lines by arm.
    pub arms: BTreeMap<String, u64>,
    /// Requests by source.
    pub sources: BTreeMap<RequestSource, u64>,
}

/// Services that carry a new version together; its first service takes the user's requests.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Release {
    /// Entry service first, then the others by name.
    pub services: Vec<ServiceKey>,
}

impl Release {
    /// The service whose requests are judged.
    pub fn entry(&self) -> ServiceKey {
        self.services.first().cloned().unwrap_or_default()
    }
}

/// What the survey found.
#[derive(Clone, PartialEq, Debug)]
pub struct Survey {
    /// The plan to read everything with.
    pub plan: Plan,
    /// Lines looked at.
    pub lines: u64,
    /// Lines that were no events, by reason.
    pub rejects: BTreeMap<RejectReason, u64>,
    /// Request lines among them.
    pub requests: u64,
    /// Coverage of roles that some field plays.
    pub roles: Vec<RoleReport>,
    /// Services.
    pub services: BTreeMap<ServiceKey, ServiceReport>,
    /// What is rolled out together.
    pub releases: Vec<Release>,
    /// Fields whose values may be arms, the one that gives them first, with the most distinct values in one service.
    pub arm_candidates: Vec<(String, usize)>,
    /// What is missing or doubtful, and how to supply it.
    pub notes: Vec<String>,
    /// Paths that were seen, for "did you mean".
    pub paths: BTreeSet<String>,
    /// Access-log lines among those looked at.
    pub access_lines: u64,
    /// Lines that both arm queries match.
    pub both_queries: u64,
    /// The first line, for when nothing could be read.
    pub first_line: Option<String>,
}

impl Survey {
    /// Arms beside one control that the sample shows, in the release that has most of them.
    pub fn candidates_seen(&self) -> usize {
        let arms = |release: &Release| self.services.get(&release.entry()).map_or(0, |service| service.arms.len());
        self.releases.iter().map(arms).max().unwrap_or(0).saturating_sub(1).max(1)
    }
}

/// Counts of one path.
#[derive(Clone, Debug, Default)]
struct PathCount {
    lines: u64,
    scalars: u64,
    objects: u64,
    numbers: Vec<f64>,
    fractions: u64,
    texts: u64,
    /// Lines whose value could be a status.
    statuses: u64,
    /// Of these: 0, which is "no answer" in a proxy's log and "all is well" in others.
    zeros: u64,
    values: BTreeSet<String>,
}

impl PathCount {
    /// Most lines have a status here. (Not most distinct values: a few odd lines have more of those than all healthy ones.)
    fn mostly_statuses(&self, path: &str) -> bool {
        let zero_is_status = path == PROXY_STATUS || StatusNotation::of_field(path) != StatusNotation::Http;
        let zeros_of_codes = if zero_is_status { 0 } else { self.zeros * 2 };
        self.statuses * 10 >= self.scalars * 8 && zeros_of_codes <= self.statuses
    }
}

/// Finds the plan.
pub fn survey(heads: &[Head<'_>], wishes: &Wishes) -> Survey {
    let mut paths: BTreeMap<String, PathCount> = BTreeMap::new();
    let known: BTreeSet<&str> = Role::ALL.iter().flat_map(|role| role.known_names().iter().copied()).collect();
    let mut json_lines = 0u64;
    let mut access_lines = 0u64;
    for line in heads.iter().flat_map(|head| head.lines.iter()).map(|line| without_mark(line)) {
        if line.trim_ascii_start().starts_with('{') {
            let mut seen = Vec::new();
            if collect(line, "", 0, &mut seen).is_ok() {
                json_lines += 1;
                seen.iter().for_each(|(path, value)| count_path(&mut paths, &known, path, value));
            }
        } else if crate::pipeline::access::parse_access(line).is_some() {
            access_lines += 1;
        }
    }
    let mut roles = choose_fields(&paths, access_lines > 0, wishes);
    let mut notes = Vec::new();
    name_latency_units(&mut roles, &paths, &mut notes);

    let mut plan = Plan {
        roles,
        unit: UnitKind::Request,
        arms: ArmRule::None,
        sources: BTreeMap::new(),
        service: wishes.service.clone(),
        environment: wishes.environment.clone(),
        follow_traces: true,
        join_attempts: false,
        windowing: wishes.windowing,
    };
    let (arm_candidates, sources) = look_at_services(heads, &plan);
    plan.sources = choose_sources(sources, &wishes.sources, &mut notes);
    plan.arms = match &wishes.arms {
        Some(arms) => arms.clone(),
        None => choose_arms(&arm_candidates, &mut notes),
    };
    let covered = cover(heads, &plan);
    plan.unit = choose_unit(&covered, wishes, &mut notes);
    plan.follow_traces = covered.shared_traces > 0;
    let rate = covered.events_per_second();
    let bits = |per_window: f64| (per_window / ROWS_AIM).max(1.0).log2_ceil();
    let per_window = rate * (plan.windowing.window as f64 / 1e6);
    plan.windowing.pair_bits = bits(per_window);
    plan.windowing.trace_bits = bits(per_window);

    // Read the sample once more, as everything will be read.
    let read = cover(heads, &plan);
    // Ids count within their unit, which the first reading did not know.
    plan.join_attempts = read.repeated_request_ids > 0;
    let releases = find_releases(&read, wishes);
    let reports = Role::ALL
        .into_iter()
        .filter_map(|role| {
            let fields = plan.fields(role);
            if fields.is_empty() {
                return None;
            }
            let counts = read.roles.get(&role).cloned().filter(|counts| counts.lines > 0)?;
            Some(RoleReport {
                role,
                fields: fields
                    .iter()
                    .enumerate()
                    .map(|(at, field)| (field.clone(), counts.by_field.get(&at).copied().unwrap_or(0)))
                    .collect(),
                lines: counts.lines,
                requests: counts.requests,
            })
        })
        .collect();
    let mut survey = Survey {
        plan,
        lines: json_lines + access_lines,
        rejects: read.rejects.clone(),
        requests: read.requests,
        roles: reports,
        services: read.services.clone(),
        releases,
        arm_candidates: arm_candidates.into_iter().map(|candidate| (candidate.path, candidate.values.len())).collect(),
        notes,
        paths: paths.into_keys().collect(),
        access_lines,
        both_queries: read.rejects.get(&RejectReason::BothArms).copied().unwrap_or(0),
        first_line: heads.iter().find_map(|head| head.lines.first()).map(|line| (*line).to_owned()),
    };
    say_what_is_missing(&mut survey);
    survey
}

/// Ceiling of the binary logarithm, without floating-point logarithms.
trait Log2Ceil {
    fn log2_ceil(self) -> u32;
}

impl Log2Ceil for f64 {
    fn log2_ceil(self) -> u32 {
        let mut bits = 0;
        let mut reach = 1.0;
        while reach < self && bits < 40 {
            reach *= 2.0;
            bits += 1;
        }
        bits
    }
}

fn collect<'a>(
    text: &'a str,
    prefix: &str,
    depth: usize,
    seen: &mut Vec<(String, Value<'a>)>,
) -> Result<(), json::Malformed> {
    let mut nested = Vec::new();
    json::scan_object(text, &mut |key: Str<'a>, value: Value<'a>| {
        let path = if prefix.is_empty() { key.get().into_owned() } else { format!("{prefix}.{}", key.get()) };
        if let Value::Object(raw) = value {
            nested.push((path.clone(), raw));
        }
        if seen.len() < PATHS_MAX {
            seen.push((path, value));
        }
    })?;
    if depth < DEPTH_MAX {
        for (path, raw) in nested {
            collect(raw, &path, depth + 1, seen)?;
        }
    }
    Ok(())
}

fn count_path(paths: &mut BTreeMap<String, PathCount>, known: &BTreeSet<&str>, path: &str, value: &Value<'_>) {
    // One line with very many fields must not hide those that play a role in all others.
    if !paths.contains_key(path) && paths.len() >= PATHS_MAX && !known.contains(path) {
        return;
    }
    let count = paths.entry(path.to_owned()).or_default();
    count.lines += 1;
    let text = match value {
        Value::Null => return,
        Value::Object(_) | Value::Array(_) => {
            count.objects += 1;
            return;
        }
        Value::Bool(b) => b.to_string(),
        Value::Number(n) => {
            if let Some(number) = number::parse_f64(n) {
                if count.numbers.len() < 4096 {
                    count.numbers.push(number);
                }
                count.fractions += u64::from(number.fract() != 0.0);
            }
            (*n).to_owned()
        }
        Value::String(s) => {
            count.texts += 1;
            s.get().into_owned()
        }
    };
    count.scalars += 1;
    count.statuses += u64::from(values::status_in(&text, StatusNotation::of_field(path)).is_some());
    count.zeros += u64::from(text == "0");
    if count.values.len() < 64 && text.len() < 200 {
        count.values.insert(text);
    }
}

fn choose_fields(paths: &BTreeMap<String, PathCount>, access: bool, wishes: &Wishes) -> BTreeMap<Role, Vec<FieldRef>> {
    let mut roles: BTreeMap<Role, Vec<FieldRef>> = BTreeMap::new();
    for role in Role::ALL {
        if let Some(fields) = wishes.roles.get(&role) {
            roles.insert(role, fields.clone());
            continue;
        }
        let mut fields: Vec<FieldRef> = role
            .known_names()
            .iter()
            .filter(|path| {
                // What failed may be told in an object.
                let told = |count: &PathCount| count.scalars > 0 || (role == Role::Error && count.objects > 0);
                paths.get(**path).is_some_and(told)
            })
            .map(|path| FieldRef { path: (*path).to_owned(), unit: None })
            .collect();
        if role == Role::Time {
            // nginx calls a time so, others a duration.
            let is_time = |text: &String| clock::parse_time(text).is_ok();
            fields.retain(|f| {
                f.path != "msec" || paths.get("msec").is_some_and(|count| count.values.iter().all(is_time))
            });
        }
        if role == Role::Status {
            // A field of this name that holds no statuses ("status": "shipped") must not hide one that does.
            fields.retain(|field| paths.get(&field.path).is_some_and(|count| count.mostly_statuses(&field.path)));
        }
        if access
            && let Some((_, path)) = ACCESS_ROLES.iter().find(|(r, _)| *r == role)
            && fields.iter().all(|field| field.path != *path)
        {
            let unit = (role == Role::Latency).then_some(LatencyUnit::Seconds);
            fields.push(FieldRef { path: (*path).to_owned(), unit });
        }
        fields.truncate(6);
        if !fields.is_empty() {
            roles.insert(role, fields);
        }
    }
    // `log` and `event` are texts of a line only when nothing better is.
    roles
}

/// Integers from this median on are nanoseconds: as milliseconds half of the requests would take longer than a quarter
/// of an hour.
const NANOS_FROM: f64 = 1_000_000.0;

/// A median from here on is doubtful, in microseconds.
const DOUBTFUL_US: f64 = 600e6;

/// Latency fields without a telling name: the unit is guessed from the values, and that is said.
fn name_latency_units(
    roles: &mut BTreeMap<Role, Vec<FieldRef>>,
    paths: &BTreeMap<String, PathCount>,
    notes: &mut Vec<String>,
) {
    for field in roles.get_mut(&Role::Latency).into_iter().flatten() {
        let count = paths.get(&field.path).cloned().unwrap_or_default();
        let mut numbers = count.numbers;
        numbers.sort_by(f64::total_cmp);
        let median = numbers.get(numbers.len() / 2).copied().unwrap_or(0.0);
        let path = &field.path;
        let named = field.unit.or(LatencyUnit::of_field(path));
        let unit = match named {
            Some(unit) => unit,
            None if count.fractions == 0 && median >= NANOS_FROM => LatencyUnit::Nanos,
            None if count.fractions * 2 > numbers.len() as u64 && median < 5.0 => LatencyUnit::Seconds,
            None => LatencyUnit::Millis,
        };
        field.unit = Some(unit);
        if named.is_none() && !numbers.is_empty() {
            notes.push(format!(
                "latency: `{path}` does not name its unit; read as {unit} (median {median}). If that is wrong: --role latency={path}:us",
                unit = unit.name(),
            ));
        }
        let seconds = median * unit.micros() / 1e6;
        if seconds * 1e6 > DOUBTFUL_US {
            notes.push(format!(
                "latency: half of `{path}` would be above {:.0} minutes when read as {}; that is doubtful. Name its unit with --role latency={path}:us, or another field",
                seconds / 60.0,
                unit.name(),
            ));
        }
    }
}

/// A field whose values may be arms.
#[derive(Clone, Debug)]
struct ArmCandidate {
    path: String,
    role: Role,
    /// Distinct values within the service that has most of them: services have versions of their own, which are no arms.
    values: BTreeSet<String>,
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

/// Distinct values of a field that are kept.
const ARM_VALUES_MAX: usize = 64;

/// Fields that may give the arms, best first, and the sources that log requests of each service.
fn look_at_services(
    heads: &[Head<'_>],
    plan: &Plan,
) -> (Vec<ArmCandidate>, BTreeMap<ServiceKey, BTreeSet<RequestSource>>) {
    let mut sources: BTreeMap<ServiceKey, BTreeSet<RequestSource>> = BTreeMap::new();
    let fields: Vec<(Role, &str)> = [Role::Cohort, Role::Variant, Role::Version]
        .into_iter()
        .flat_map(|role| plan.fields(role).iter().map(move |field| (role, field.path.as_str())))
        .collect();
    let mut values: BTreeMap<(usize, ServiceKey), BTreeSet<String>> = BTreeMap::new();
    for head in heads {
        let mut decoder = Decoder::new(plan, head.stream);
        for (offset, line) in head.lines.iter().enumerate() {
            let Ok(Decoded::Event(event)) = decoder.decode(line, offset as u64) else { continue };
            let source = decoder.source();
            let services = &decoder.interner().names().services;
            let Some(service) = services.get(usize::from(event.service)) else { continue };
            if event.kind == Kind::Request {
                sources.entry(service.clone()).or_default().insert(source);
            }
            for (at, (_, path)) in fields.iter().enumerate() {
                let Some(value) =
                    json::lookup(without_mark(line), path).and_then(scalar_text).filter(|value| !value.is_empty())
                else {
                    continue;
                };
                let known = values.entry((at, service.clone())).or_default();
                if known.len() < ARM_VALUES_MAX {
                    known.insert(value);
                }
            }
        }
    }
    let mut candidates: Vec<ArmCandidate> = fields
        .into_iter()
        .enumerate()
        .map(|(at, (role, path))| {
            let of_field = values.iter().filter(|((field, _), _)| *field == at).map(|(_, values)| values);
            let most = of_field.max_by_key(|values| values.len()).cloned().unwrap_or_default();
            ArmCandidate { path: path.to_owned(), role, values: most }
        })
        .collect();
    candidates.sort_by_key(|candidate| (candidate.values.len() < 2, candidate.rank()));
    (candidates, sources)
}

/// A scalar as text.
fn scalar_text(value: Value<'_>) -> Option<String> {
    match value {
        Value::Null | Value::Object(_) | Value::Array(_) => None,
        Value::Bool(b) => Some(b.to_string()),
        Value::Number(number) => Some(number.to_owned()),
        Value::String(text) => Some(text.get().into_owned()),
    }
}

/// The best candidate gives the arms; those that would give others are named.
fn choose_arms(candidates: &[ArmCandidate], notes: &mut Vec<String>) -> ArmRule {
    let Some((chosen, others)) = candidates.split_first() else { return ArmRule::None };
    let others: Vec<&ArmCandidate> = others.iter().filter(|other| other.values.len() >= 2).collect();
    let mut note = format!("arms: the values of `{}` ({})", chosen.path, some_of(&chosen.values));
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
    ArmRule::Field(chosen.path.clone())
}

/// A few values, to be recognised by.
fn some_of(values: &BTreeSet<String>) -> String {
    const SHOWN: usize = 3;
    // A value may be anything, and a note is shown as it is.
    let short = |value: &String| value.chars().filter(|c| !c.is_control()).take(40).collect::<String>();
    let mut text = values.iter().take(SHOWN).map(short).collect::<Vec<_>>().join(", ");
    if values.len() > SHOWN {
        text.push_str(", ...");
    }
    text
}

/// Coverage of a role.
#[derive(Clone, Debug, Default)]
struct Counts {
    lines: u64,
    requests: u64,
    by_field: BTreeMap<usize, u64>,
}

/// What reading the sample with a plan gives.
#[derive(Clone, Debug, Default)]
struct Covered {
    roles: BTreeMap<Role, Counts>,
    requests: u64,
    rejects: BTreeMap<RejectReason, u64>,
    services: BTreeMap<ServiceKey, ServiceReport>,
    /// Traces with more than one line.
    shared_traces: u64,
    repeated_request_ids: u64,
    events: u64,
    first: Option<Timestamp>,
    last: Option<Timestamp>,
    /// Services that appear in one trace together, with how often the first of a pair was the slower request.
    neighbours: BTreeMap<(ServiceKey, ServiceKey), u64>,
    slowest: BTreeMap<ServiceKey, u64>,
}

impl Covered {
    fn events_per_second(&self) -> f64 {
        match (self.first, self.last) {
            (Some(first), Some(last)) if last > first => self.events as f64 * 1e6 / (last.0 - first.0) as f64,
            _ => 0.0,
        }
    }
}

fn cover(heads: &[Head<'_>], plan: &Plan) -> Covered {
    let mut covered = Covered::default();
    let mut traces: BTreeMap<u64, (u64, BTreeMap<ServiceKey, u64>)> = BTreeMap::new();
    let mut requests: BTreeSet<(ServiceKey, u64)> = BTreeSet::new();
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
            let is_request = event.kind == Kind::Request;
            covered.requests += u64::from(is_request);
            for (role, field) in decoder.covered(line) {
                let Some(field) = field else { continue };
                let counts = covered.roles.entry(role).or_default();
                counts.lines += 1;
                counts.requests += u64::from(is_request);
                *counts.by_field.entry(field).or_default() += 1;
            }
            let source = decoder.source();
            let names = decoder.interner().names();
            let key = names.services.get(usize::from(event.service)).cloned().unwrap_or_default();
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
            if event.request != 0 && !requests.insert((key.clone(), event.request)) {
                covered.repeated_request_ids += 1;
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

fn choose_sources(
    seen: BTreeMap<ServiceKey, BTreeSet<RequestSource>>,
    asked: &BTreeMap<String, RequestSource>,
    notes: &mut Vec<String>,
) -> BTreeMap<ServiceKey, RequestSource> {
    let mut sources = BTreeMap::new();
    for (key, several) in seen {
        let Some(outermost) = several.first().copied() else { continue };
        let asked = asked.get(&key.service).copied();
        let best = asked.filter(|asked| several.contains(asked)).unwrap_or(outermost);
        if let Some(asked) = asked.filter(|asked| !several.contains(asked)) {
            notes.push(format!("{key} has no requests from its {}; its {} counts", asked.name(), best.name()));
        }
        // Beside roots, lines that look like requests are the work inside them.
        if several.len() > 1 && best != RequestSource::RootSpan {
            notes.push(format!(
                "requests of {key} are logged by several sources; its {} counts, so that none counts twice",
                best.name()
            ));
        }
        sources.insert(key, best);
    }
    sources
}

fn choose_unit(covered: &Covered, wishes: &Wishes, notes: &mut Vec<String>) -> UnitKind {
    let share = |role: Role| {
        let requests = covered.roles.get(&role).map_or(0, |counts| counts.requests);
        if covered.requests == 0 { 0.0 } else { requests as f64 / covered.requests as f64 }
    };
    let percent = |role: Role| format!("{:.0} %", share(role) * 100.0);
    let say_the_rest = |unit: UnitKind, role: Role, notes: &mut Vec<String>| {
        if share(role) < UNIT_COVERAGE_FULL {
            notes.push(format!(
                "unit: {} of requests name a {}; the others belong to none",
                percent(role),
                unit.name()
            ));
        }
    };
    if let Some(unit) = wishes.unit {
        if let Some((_, role)) = UnitKind::BY_ROLE.into_iter().find(|(known, _)| *known == unit) {
            say_the_rest(unit, role, notes);
        }
        return unit;
    }
    // A field that the user named as a unit is the unit.
    for (unit, role) in UnitKind::BY_ROLE {
        if wishes.roles.contains_key(&role) && role != Role::Trace && role != Role::Instance && share(role) > 0.0 {
            say_the_rest(unit, role, notes);
            return unit;
        }
    }
    // One pod serves many users: as a unit it is for the user to choose. A trace is one visit of a user at most: it
    // counts only where no better unit does.
    let (users, traces): (Vec<_>, Vec<_>) = UnitKind::BY_ROLE
        .into_iter()
        .filter(|(unit, _)| *unit != UnitKind::Instance)
        .partition(|(unit, _)| *unit != UnitKind::Trace);
    let chosen = [(&users, UNIT_COVERAGE_GOOD), (&users, UNIT_COVERAGE), (&traces, UNIT_COVERAGE)]
        .into_iter()
        .find_map(|(units, least)| units.iter().find(|(_, role)| share(*role) >= least).copied());
    let (unit, of_role) = chosen.unzip();
    let unit = unit.unwrap_or(UnitKind::Request);
    let passed_over: Vec<String> = users
        .iter()
        .filter(|(other, role)| *other < unit && share(*role) > 0.0)
        .map(|(other, role)| format!("{} of requests name a {}", percent(*role), other.name()))
        .collect();
    if unit.is_once() && covered.requests > 0 {
        let why = match passed_over.is_empty() {
            true => "no user, session or client address is logged".to_owned(),
            false => format!("only {}", passed_over.join(", ")),
        };
        notes.push(format!(
            "unit: {why}, so each {} is its own unit. If users stick to an arm, every test is then too bold; name the field that assignment goes by with --role user=FIELD",
            unit.name()
        ));
    } else if !passed_over.is_empty() {
        notes.push(format!(
            "unit: only {}, so the {} is taken; name it on every request, or use --role user=FIELD",
            passed_over.join(", "),
            unit.name()
        ));
    }
    if let Some(role) = of_role {
        say_the_rest(unit, role, notes);
    }
    unit
}

/// Services that share traces are released together; services that do not stand alone.
fn find_releases(covered: &Covered, wishes: &Wishes) -> Vec<Release> {
    let mut group: BTreeMap<ServiceKey, ServiceKey> =
        covered.services.keys().map(|key| (key.clone(), key.clone())).collect();
    let find = |group: &BTreeMap<ServiceKey, ServiceKey>, key: &ServiceKey| {
        let mut at = key.clone();
        while let Some(up) = group.get(&at).filter(|up| **up != at) {
            at = up.clone();
        }
        at
    };
    for (a, b) in covered.neighbours.keys() {
        if a.environment != b.environment {
            continue;
        }
        let (ra, rb) = (find(&group, a), find(&group, b));
        let (low, high) = if ra < rb { (ra, rb) } else { (rb, ra) };
        group.insert(high, low);
    }
    let mut members: BTreeMap<ServiceKey, Vec<ServiceKey>> = BTreeMap::new();
    for key in covered.services.keys() {
        members.entry(find(&group, key)).or_default().push(key.clone());
    }
    let mut releases = Vec::new();
    for services in members.into_values() {
        let rank = |key: &ServiceKey| {
            let service = covered.services.get(key).cloned().unwrap_or_default();
            let slowest = covered.slowest.get(key).copied().unwrap_or(0);
            let asked = wishes.service.as_deref() == Some(key.service.as_str());
            (asked, service.requests > 0, slowest, service.requests)
        };
        let Some(entry) = services.iter().max_by_key(|key| (rank(key), std::cmp::Reverse(*key))).cloned() else {
            continue;
        };
        if covered.services.get(&entry).is_none_or(|service| service.requests == 0) {
            continue;
        }
        if wishes.service.as_ref().is_some_and(|wanted| *wanted != entry.service) {
            continue;
        }
        let mut list = vec![entry.clone()];
        list.extend(services.into_iter().filter(|key| *key != entry));
        releases.push(Release { services: list });
    }
    releases
}

fn say_what_is_missing(survey: &mut Survey) {
    let mut notes = Vec::new();
    let has = |role: Role| survey.roles.iter().any(|report| report.role == role);
    if !has(Role::Time) && !has(Role::Start) {
        notes.push("time: no field is recognised as a time; name it with --role time=FIELD".to_owned());
    }
    if survey.requests == 0 && survey.lines > 0 {
        notes.push(
            "requests: no line looks like a finished request (a status, or a latency with a route); name the fields with --role status=FIELD or --role latency=FIELD"
                .to_owned(),
        );
    }
    if survey.plan.arms == ArmRule::None {
        notes.push(
            "arms: no field says which version or cohort a line belongs to; use --arm-by FIELD, or --baseline QUERY --canary QUERY"
                .to_owned(),
        );
    }
    let is_end =
        |role: &RoleReport| role.fields.iter().any(|(field, lines)| *lines > 0 && roles::is_end_time(&field.path));
    let has_ends = has(Role::Start) && survey.roles.iter().any(|role| role.role == Role::Time && is_end(role));
    if !has(Role::Latency) && !has_ends && survey.requests > 0 {
        notes.push("latency: no field is recognised; it is not judged. Name it with --role latency=FIELD".to_owned());
    }
    if !has(Role::Status) && !has(Role::Error) && survey.requests > 0 {
        notes.push(
            "errors: no status and no error field is recognised; requests logged at level error count as failed. Name one with --role status=FIELD or --role error=FIELD"
                .to_owned(),
        );
    }
    survey.notes.splice(0..0, notes);
}

#[cfg(test)]
mod tests;
