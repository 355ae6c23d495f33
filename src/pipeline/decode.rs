//! One line in, one [`Event`] out, as a [`Plan`] says.
//!
//! The decoder looks at a line once: the scanner hands it each field, a trie of wanted paths says which slot the field
//! fills, and the roles read their slots. Lines of one logger repeat their keys in the same order, so the key expected
//! at each place is tried first.

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::event::{self, Event, Intern, Kind, Level, NO_LATENCY, NO_NAME, NameId, RejectReason};
use crate::pipeline::intern::Interner;
use crate::pipeline::json::{self, Str, Value};
use crate::pipeline::plan::{ArmRule, BASELINE, CANARY, Plan, RequestSource, UnitKind};
use crate::pipeline::roles::{LatencyUnit, Role};
use crate::pipeline::{access, clock, number, values};
use crate::query::{self, Query};
use crate::time::{Micros, Timestamp};

/// Key of the hash that splits units into arms.
const KEY_SPLIT: u64 = 0x5e71_4000_0000_00a1;

/// Longest line that is decoded, in bytes.
pub const LINE_MAX: usize = 16 << 20;

/// A line that is well-formed, but not asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded {
    /// An event.
    Event(Event),
    /// An event of another environment.
    Outside,
}

/// A field's value as the line has it.
#[derive(Clone, Copy, Debug)]
enum Slot<'a> {
    Text(Str<'a>),
    Plain(&'a str),
    Whole(u64),
    Number(&'a str),
    Bool(bool),
    Nested(&'a str),
}

impl<'a> Slot<'a> {
    fn new(value: Value<'a>) -> Option<Slot<'a>> {
        match value {
            Value::Null => None,
            Value::Bool(b) => Some(Slot::Bool(b)),
            Value::Number(n) => Some(Slot::Number(n)),
            Value::String(s) => Some(Slot::Text(s)),
            Value::Object(raw) | Value::Array(raw) => Some(Slot::Nested(raw)),
        }
    }

    #[inline]
    fn text(&self) -> Cow<'a, str> {
        match self {
            Slot::Text(s) => s.get(),
            Slot::Plain(n) | Slot::Number(n) | Slot::Nested(n) => Cow::Borrowed(n),
            Slot::Whole(n) => Cow::Owned(n.to_string()),
            Slot::Bool(true) => Cow::Borrowed("true"),
            Slot::Bool(false) => Cow::Borrowed("false"),
        }
    }

    fn is_scalar(&self) -> bool {
        !matches!(self, Slot::Nested(_))
    }
}

/// What a wanted key leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Step {
    /// Slot that the value fills.
    slot: Option<u16>,
    /// Trie node for the fields of the object below.
    node: Option<u16>,
}

/// One level of wanted paths.
#[derive(Debug, Default)]
struct Node {
    keys: BTreeMap<String, Step>,
    /// Keys as the last line had them, with what they led to.
    expected: Vec<(Box<str>, Step)>,
}

/// Keys that are remembered per level; longer objects are looked up key by key.
const EXPECTED_MAX: usize = 64;

/// Decodes lines of one stream after the other.
#[derive(Debug)]
pub struct Decoder<'p> {
    plan: &'p Plan,
    nodes: Vec<Node>,
    /// Slots of each role, in the order of [`Role::ALL`], with the unit for latencies.
    roles: Vec<Vec<(u16, LatencyUnit)>>,
    /// Paths of slots, for queries.
    paths: Vec<String>,
    number_of_slots: usize,
    arm_slot: Option<u16>,
    split_key: u64,
    has_root: bool,
    names: Interner,
    route_text: String,
    stream: String,
    /// Arms of the two queries or of the split, once they are named.
    two_arms: Option<(NameId, NameId)>,
    /// Source of each service index.
    sources: Vec<Option<RequestSource>>,
}

/// Path under which queries see the name of the stream.
pub const STREAM_PATH: &str = "file";

impl<'p> Decoder<'p> {
    /// A decoder for lines of `stream`.
    pub fn new(plan: &'p Plan, stream: &str) -> Decoder<'p> {
        let mut decoder = Decoder {
            plan,
            nodes: vec![Node::default()],
            roles: Vec::new(),
            paths: Vec::new(),
            number_of_slots: 0,
            arm_slot: None,
            split_key: 0,
            has_root: !plan.fields(Role::Root).is_empty(),
            names: Interner::default(),
            route_text: String::new(),
            stream: stream.to_owned(),
            two_arms: None,
            sources: Vec::new(),
        };
        for role in Role::ALL {
            let fields = plan.fields(role);
            let slots = fields
                .iter()
                .map(|field| (decoder.want(&field.path), field.unit.unwrap_or(LatencyUnit::Millis)))
                .collect();
            decoder.roles.push(slots);
        }
        match &plan.arms {
            ArmRule::None => {}
            ArmRule::Field(path) => decoder.arm_slot = Some(decoder.want(path)),
            ArmRule::Queries { baseline, canary } => {
                for path in baseline.fields().into_iter().chain(canary.fields()) {
                    decoder.want(&path);
                }
            }
            ArmRule::Hash { seed, .. } => decoder.split_key = event::identity_hash(seed.as_bytes()) ^ KEY_SPLIT,
        }
        decoder
    }

    /// Slot of a path; wanted from now on.
    fn want(&mut self, path: &str) -> u16 {
        if let Some(at) = self.paths.iter().position(|known| known == path) {
            return at as u16;
        }
        let slot = self.number_of_slots as u16;
        self.number_of_slots += 1;
        self.paths.push(path.to_owned());
        self.want_below(0, path, slot);
        slot
    }

    /// A path may be one key, or be cut at any of its dots.
    fn want_below(&mut self, node: usize, path: &str, slot: u16) {
        let Some(level) = self.nodes.get_mut(node) else { return };
        level.keys.entry(path.to_owned()).or_default().slot.get_or_insert(slot);
        for (at, _) in path.match_indices('.') {
            let (head, tail) = (&path[..at], &path[at + 1..]);
            if head.is_empty() || tail.is_empty() {
                continue;
            }
            let next = self.nodes.len() as u16;
            let Some(level) = self.nodes.get_mut(node) else { return };
            let child = *level.keys.entry(head.to_owned()).or_default().node.get_or_insert(next);
            if child == next {
                self.nodes.push(Node::default());
            }
            self.want_below(usize::from(child), tail, slot);
        }
    }

    /// The names that events refer to.
    pub fn interner(&mut self) -> &mut Interner {
        &mut self.names
    }

    /// Forgets names, so that the next chunk starts with none.
    pub fn take_names(&mut self) -> Interner {
        self.two_arms = None;
        self.sources.clear();
        std::mem::take(&mut self.names)
    }

    /// Decodes one line without its newline. `offset`: where it starts in the stream.
    ///
    /// # Errors
    /// Why the line is no event.
    #[inline]
    pub fn decode(&mut self, line: &str, offset: u64) -> Result<Decoded, RejectReason> {
        if line.len() > LINE_MAX {
            return Err(RejectReason::TooLong);
        }
        let mut slots: [Option<Slot<'_>>; SLOTS_MAX] = [None; SLOTS_MAX];
        let is_json = line.trim_ascii_start().starts_with('{');
        if is_json {
            let mut nodes = std::mem::take(&mut self.nodes);
            let scanned = scan(&mut nodes, 0, line, &mut slots);
            self.nodes = nodes;
            scanned.map_err(|_| RejectReason::Malformed)?;
            self.read(line, &slots, offset, false)
        } else {
            let parsed = access::parse_access(line).ok_or(RejectReason::Malformed)?;
            self.fill_access(&parsed, &mut slots);
            self.read(line, &slots, offset, true)
        }
    }

    /// Puts the parts of an access-log line where JSON fields would be.
    fn fill_access<'a>(&self, parsed: &access::Access<'a>, slots: &mut [Option<Slot<'a>>; SLOTS_MAX]) {
        for (path, slot) in self.paths.iter().zip(slots.iter_mut()) {
            *slot = access_field(parsed, path);
        }
    }

    #[inline]
    fn first<'a>(&self, role: Role, slots: &[Option<Slot<'a>>; SLOTS_MAX]) -> Option<(Slot<'a>, LatencyUnit)> {
        let list = self.roles.get(role as usize)?;
        list.iter().find_map(|(slot, unit)| match slots.get(usize::from(*slot)) {
            Some(Some(value)) if value.is_scalar() => Some((*value, *unit)),
            _ => None,
        })
    }

    #[inline]
    fn hash_of(&self, role: Role, slots: &[Option<Slot<'_>>; SLOTS_MAX]) -> u64 {
        match self.first(role, slots) {
            Some((value, _)) => {
                let text = value.text();
                if text.is_empty() || text == "-" { 0 } else { event::identity_hash(text.as_bytes()) }
            }
            None => 0,
        }
    }

    fn read(
        &mut self,
        line: &str,
        slots: &[Option<Slot<'_>>; SLOTS_MAX],
        offset: u64,
        access_line: bool,
    ) -> Result<Decoded, RejectReason> {
        let plan = self.plan;
        let latency_us = match self.first(Role::Latency, slots) {
            Some((value, unit)) => values::latency_us(&value.text(), unit).unwrap_or(NO_LATENCY),
            None => NO_LATENCY,
        };
        let time = self.time(slots, latency_us)?;

        let environment = self.first(Role::Environment, slots).map(|(value, _)| value.text()).unwrap_or_default();
        if plan.environment.as_deref().is_some_and(|wanted| wanted != environment) {
            return Ok(Decoded::Outside);
        }
        let service_text = self.first(Role::Service, slots).map(|(value, _)| value.text()).unwrap_or_default();
        let service = self.names.service(&environment, &service_text);
        if service == NO_NAME {
            return Err(RejectReason::TooManyNames);
        }

        let status = self.first(Role::Status, slots).and_then(|(value, _)| values::status(&value.text()));
        let level = self.level(slots);
        let (kind, source) = self.kind(slots, status.is_some(), latency_us != NO_LATENCY, access_line);
        let kind = if kind == Kind::Request && self.source_of(service).is_some_and(|chosen| chosen != source) {
            // Another source speaks for this service's requests; this line is work or talk inside them.
            Kind::Log
        } else {
            kind
        };

        let error = match (self.first(Role::Error, slots), status) {
            (Some((Slot::Bool(failed), _)), status) => failed || status.is_some_and(|s| s.error),
            (_, Some(status)) => status.error,
            (Some((value, _)), None) => {
                let text = value.text();
                values::truth(&text).unwrap_or(!text.is_empty())
            }
            (None, None) => kind == Kind::Request && level >= Level::Error,
        };

        let trace_hash = if plan.follow_traces || plan.unit == UnitKind::Trace { self.hash_of(Role::Trace, slots) } else { 0 };
        let unit = match plan.unit {
            UnitKind::User => self.hash_of(Role::User, slots),
            UnitKind::Session => self.hash_of(Role::Session, slots),
            UnitKind::Client => self.hash_of(Role::Client, slots),
            UnitKind::Trace => trace_hash,
            UnitKind::Instance => self.hash_of(Role::Instance, slots),
            UnitKind::Request => event::mix(event::identity_hash(self.stream.as_bytes()), offset.wrapping_add(1)).max(1),
        };
        let request = if plan.join_attempts && kind == Kind::Request { self.hash_of(Role::Request, slots) } else { 0 };
        let route = if kind == Kind::Request { self.route(slots) } else { NO_NAME };
        let arm = self.arm(line, slots, unit);
        let weight = self.first(Role::SampleRate, slots).map_or(1, |(value, _)| sample_weight(&value.text()));

        Ok(Decoded::Event(Event {
            time,
            offset,
            unit,
            trace: if plan.follow_traces { trace_hash } else { 0 },
            request,
            latency_us,
            service,
            arm,
            route,
            weight,
            kind,
            level,
            status_class: status.map_or(0, |status| status.class),
            error,
        }))
    }

    #[inline]
    fn time(&self, slots: &[Option<Slot<'_>>; SLOTS_MAX], latency_us: u64) -> Result<Timestamp, RejectReason> {
        let parse = |value: Slot<'_>| match value {
            Slot::Text(text) => match text.plain() {
                Some(plain) => clock::parse_time(plain),
                None => clock::parse_time(&text.get()),
            },
            Slot::Plain(text) | Slot::Number(text) => clock::parse_time(text),
            Slot::Whole(_) | Slot::Bool(_) | Slot::Nested(_) => Err(clock::TimeError::NotATime),
        };
        let rejected = |error| match error {
            clock::TimeError::NotATime => RejectReason::BadTime,
            clock::TimeError::OutOfRange => RejectReason::TimeOutOfRange,
        };
        if let Some((value, _)) = self.first(Role::Time, slots) {
            return parse(value).map_err(rejected);
        }
        let (value, _) = self.first(Role::Start, slots).ok_or(RejectReason::NoTime)?;
        let start = parse(value).map_err(rejected)?;
        let latency = if latency_us == NO_LATENCY { 0 } else { Micros::try_from(latency_us).unwrap_or(0) };
        Ok(Timestamp(start.0.saturating_add(latency)))
    }

    #[inline]
    fn level(&self, slots: &[Option<Slot<'_>>; SLOTS_MAX]) -> Level {
        let Some(list) = self.roles.get(Role::Level as usize) else { return Level::Unknown };
        for (slot, _) in list {
            if let Some(Some(value)) = slots.get(usize::from(*slot)) {
                let is_number_of_otel = self
                    .paths
                    .get(usize::from(*slot))
                    .is_some_and(|path| path.eq_ignore_ascii_case("severitynumber") || path == "severity_number");
                let text = value.text();
                return if is_number_of_otel { values::level_of_severity_number(&text) } else { values::level(&text) };
            }
        }
        Level::Unknown
    }

    #[inline]
    fn kind(
        &self,
        slots: &[Option<Slot<'_>>; SLOTS_MAX],
        has_status: bool,
        has_latency: bool,
        access_line: bool,
    ) -> (Kind, RequestSource) {
        if access_line {
            return (Kind::Request, RequestSource::AccessLog);
        }
        let root = match self.first(Role::Root, slots) {
            Some((Slot::Bool(root), _)) => Some(root),
            Some((value, _)) => values::truth(&value.text()),
            None => None,
        };
        let has_parent = self.first(Role::Parent, slots).is_some_and(|(value, _)| {
            let text = value.text();
            !text.is_empty() && !text.bytes().all(|b| b == b'0')
        });
        let said = self.first(Role::Kind, slots).map(|(value, _)| value.text());
        let kind = match said.as_deref() {
            Some("request") => Kind::Request,
            Some("span") if root == Some(true) => Kind::Request,
            Some("span") => Kind::Span,
            Some("log") => Kind::Log,
            Some("exposure") => Kind::Exposure,
            Some("event") if !has_status => Kind::Business,
            _ => {
                let has_route = self.first(Role::Route, slots).is_some() || self.first(Role::Method, slots).is_some();
                if root == Some(true) || has_status || (has_latency && has_route) { Kind::Request } else { Kind::Log }
            }
        };
        if kind != Kind::Request {
            return (kind, RequestSource::Application);
        }
        if root == Some(true) {
            return (Kind::Request, RequestSource::RootSpan);
        }
        if has_parent || (self.has_root && root != Some(true)) {
            return (Kind::Span, RequestSource::RootSpan);
        }
        (Kind::Request, RequestSource::Application)
    }

    #[inline]
    fn source_of(&mut self, service: NameId) -> Option<RequestSource> {
        let at = usize::from(service);
        while self.sources.len() <= at {
            let key = self.names.names().services.get(self.sources.len());
            self.sources.push(key.and_then(|key| self.plan.sources.get(key)).copied());
        }
        self.sources.get(at).copied().flatten()
    }

    #[inline]
    fn route(&mut self, slots: &[Option<Slot<'_>>; SLOTS_MAX]) -> NameId {
        let Some((value, _)) = self.first(Role::Route, slots) else { return NO_NAME };
        let text = value.text();
        self.route_text.clear();
        let mut masked = std::mem::take(&mut self.route_text);
        let id = if values::mask_route(&text, &mut masked) { self.names.route(&masked) } else { self.names.route(&text) };
        self.route_text = masked;
        id
    }

    #[inline]
    fn arm(&mut self, line: &str, slots: &[Option<Slot<'_>>; SLOTS_MAX], unit: u64) -> NameId {
        match &self.plan.arms {
            ArmRule::None => NO_NAME,
            ArmRule::Field(_) => {
                let slot = self.arm_slot.and_then(|slot| slots.get(usize::from(slot)).copied().flatten());
                match slot {
                    Some(value) if value.is_scalar() => {
                        let text = value.text();
                        if text.is_empty() { NO_NAME } else { self.names.arm(&text) }
                    }
                    _ => NO_NAME,
                }
            }
            ArmRule::Hash { share_ppm, .. } => {
                if unit == 0 {
                    return NO_NAME;
                }
                let (baseline, canary) = self.two_arms();
                if in_split(unit, self.split_key, *share_ppm) { canary } else { baseline }
            }
            ArmRule::Queries { baseline, canary } => {
                let record = LineRecord { line, paths: &self.paths, slots, stream: &self.stream };
                let arm = match (baseline.matches(&record), canary.matches(&record)) {
                    (true, false) => Some(false),
                    (false, true) => Some(true),
                    (true, true) | (false, false) => None,
                };
                let (baseline, canary) = self.two_arms();
                arm.map_or(NO_NAME, |is_canary| if is_canary { canary } else { baseline })
            }
        }
    }

    fn two_arms(&mut self) -> (NameId, NameId) {
        if let Some(arms) = self.two_arms {
            return arms;
        }
        let arms = (self.names.arm(BASELINE), self.names.arm(CANARY));
        self.two_arms = Some(arms);
        arms
    }

    /// What two queries say of a line: for the check, before anything starts, that arms do not overlap.
    pub fn matches(&mut self, line: &str, query: &Query) -> bool {
        for path in query.fields() {
            self.want(&path);
        }
        let mut slots: [Option<Slot<'_>>; SLOTS_MAX] = [None; SLOTS_MAX];
        if line.trim_ascii_start().starts_with('{') {
            if scan(&mut self.nodes, 0, line, &mut slots).is_err() {
                return false;
            }
        } else if let Some(parsed) = access::parse_access(line) {
            self.fill_access(&parsed, &mut slots);
        }
        query.matches(&LineRecord { line, paths: &self.paths, slots: &slots, stream: &self.stream })
    }

    /// Whether a role has a value in a line; for the survey's coverage.
    pub(crate) fn covered(&mut self, line: &str) -> Vec<(Role, Option<usize>)> {
        let mut slots: [Option<Slot<'_>>; SLOTS_MAX] = [None; SLOTS_MAX];
        if line.trim_ascii_start().starts_with('{') {
            if scan(&mut self.nodes, 0, line, &mut slots).is_err() {
                return Vec::new();
            }
        } else if let Some(parsed) = access::parse_access(line) {
            self.fill_access(&parsed, &mut slots);
        }
        Role::ALL
            .into_iter()
            .map(|role| {
                let list = self.roles.get(role as usize).map_or(&[][..], Vec::as_slice);
                let at = list.iter().position(|(slot, _)| {
                    slots.get(usize::from(*slot)).copied().flatten().is_some_and(|value| {
                        value.is_scalar() && {
                            let text = value.text();
                            !text.is_empty() && text != "-"
                        }
                    })
                });
                (role, at)
            })
            .collect()
    }
}

/// A unit is in the canary of a split.
pub fn in_split(unit: u64, split_key: u64, share_ppm: u32) -> bool {
    let place = event::mix(unit, split_key);
    u128::from(place) * 1_000_000 < u128::from(share_ppm) << 64
}

/// Key of a split with a seed.
pub fn split_key(seed: &str) -> u64 {
    event::identity_hash(seed.as_bytes()) ^ KEY_SPLIT
}

/// Distinct fields that a plan may read.
pub const SLOTS_MAX: usize = 96;

/// Fills slots from an object; `node` is the trie level of its keys.
fn scan<'a>(
    nodes: &mut [Node],
    node: usize,
    text: &'a str,
    slots: &mut [Option<Slot<'a>>; SLOTS_MAX],
) -> Result<(), json::Malformed> {
    let mut place = 0usize;
    let mut nested: [(u16, &'a str); 8] = [(0, ""); 8];
    let mut nested_len = 0;
    let Some(level) = nodes.get_mut(node) else { return Ok(()) };
    json::scan_object(text, &mut |key: Str<'a>, value: Value<'a>| {
        let step = match level.expected.get(place) {
            Some((expected, step)) if key.plain() == Some(expected) => *step,
            _ => level.look_up(place, &key),
        };
        place += 1;
        if let Some(slot) = step.slot
            && let Some(slot) = slots.get_mut(usize::from(slot))
        {
            *slot = Slot::new(value);
        }
        if let (Some(child), Value::Object(raw)) = (step.node, value)
            && let Some(place) = nested.get_mut(nested_len)
        {
            *place = (child, raw);
            nested_len += 1;
        }
    })?;
    for &(child, raw) in nested.iter().take(nested_len) {
        scan(nodes, usize::from(child), raw, slots)?;
    }
    Ok(())
}

impl Node {
    #[cold]
    fn look_up(&mut self, place: usize, key: &Str<'_>) -> Step {
        let text = key.get();
        let step = self.keys.get(text.as_ref()).copied().unwrap_or_default();
        if place < EXPECTED_MAX && key.plain().is_some() && text.len() <= 64 {
            if self.expected.len() <= place {
                self.expected.resize_with(place + 1, || ("".into(), Step::default()));
            }
            self.expected[place] = (text.as_ref().into(), step);
        }
        step
    }
}

/// Parts of an access-log line under the names that roles and queries use.
fn access_field<'a>(line: &access::Access<'a>, path: &str) -> Option<Slot<'a>> {
    match path {
        "time" => Some(Slot::Plain(line.time)),
        "client" => Some(Slot::Plain(line.client)),
        "user" => line.user.map(Slot::Plain),
        "method" => line.method.map(Slot::Plain),
        "path" => line.path.map(Slot::Plain),
        "protocol" => line.protocol.map(Slot::Plain),
        "status" => Some(Slot::Whole(u64::from(line.status))),
        "bytes" => line.bytes.map(Slot::Whole),
        "referer" => line.referer.map(Slot::Plain),
        "agent" => line.agent.map(Slot::Plain),
        "request_time" => line.request_time.map(Slot::Plain),
        "host" => line.vhost.map(Slot::Plain),
        _ => None,
    }
}

/// Roles of access-log lines.
pub const ACCESS_ROLES: [(Role, &str); 7] = [
    (Role::Time, "time"),
    (Role::Client, "client"),
    (Role::User, "user"),
    (Role::Status, "status"),
    (Role::Route, "path"),
    (Role::Method, "method"),
    (Role::Latency, "request_time"),
];

/// Sampling weight: how many events a line stands for.
fn sample_weight(text: &str) -> u32 {
    match number::parse_f64(text) {
        // A rate above one says "one in so many"; a share below one says the same the other way round.
        Some(rate) if rate >= 1.0 => rate.min(1e6) as u32,
        Some(share) if share > 0.0 => (1.0 / share).min(1e6) as u32,
        _ => 1,
    }
}

/// A line as queries see it.
struct LineRecord<'a> {
    line: &'a str,
    paths: &'a [String],
    slots: &'a [Option<Slot<'a>>; SLOTS_MAX],
    stream: &'a str,
}

impl query::Record for LineRecord<'_> {
    fn field(&self, path: &str) -> Option<query::Value<'_>> {
        if path == STREAM_PATH {
            return Some(query::Value::Str(Cow::Borrowed(self.stream)));
        }
        let at = self.paths.iter().position(|known| known == path)?;
        match self.slots.get(at).copied().flatten() {
            Some(Slot::Bool(b)) => Some(query::Value::Bool(b)),
            Some(Slot::Number(n)) => Some(match number::parse_f64(n) {
                Some(number) => query::Value::Number(number),
                None => query::Value::Str(Cow::Borrowed(n)),
            }),
            Some(Slot::Text(text)) => Some(query::Value::Str(text.get())),
            Some(Slot::Plain(text)) => Some(query::Value::Str(Cow::Borrowed(text))),
            Some(Slot::Whole(n)) => Some(query::Value::Number(n as f64)),
            Some(Slot::Nested(raw)) => Some(nested_value(raw)),
            None if path == "message" && !self.line.starts_with('{') => {
                Some(query::Value::Str(Cow::Borrowed(self.line)))
            }
            None => None,
        }
    }
}

/// A list of scalars as a list; anything else as its text.
fn nested_value(raw: &str) -> query::Value<'_> {
    let Ok(serde_json::Value::Array(items)) = serde_json::from_str(raw) else {
        return query::Value::Str(Cow::Borrowed(raw));
    };
    let scalar = |item: serde_json::Value| match item {
        serde_json::Value::String(s) => Some(query::Value::Str(Cow::Owned(s))),
        serde_json::Value::Bool(b) => Some(query::Value::Bool(b)),
        serde_json::Value::Number(n) => n.as_f64().map(query::Value::Number),
        _ => None,
    };
    query::Value::List(items.into_iter().filter_map(scalar).collect())
}
