//! One line in, one [`Event`] out, as a [`Plan`] says.
//!
//! The decoder looks at a line once: the scanner hands it each field, a trie of wanted paths says which slot the field
//! fills, and the roles read their slots.

mod access_fields;
mod arms;
mod crash;
pub mod fields;
mod identity;
mod names;
mod outcome;
mod record;
mod scan;
mod seen;
mod segments;
mod slots;
mod template;
mod times;

use std::borrow::Cow;
use std::collections::BTreeMap;

use crate::event::{
    self, Event, FieldForm, Intern, Kind, Level, NO_LATENCY, NO_NAME, NO_TEMPLATE, NameId, RejectReason, ServiceKey,
};
use crate::pipeline::intern::Interner;
use crate::pipeline::plan::{ArmRule, Plan, RequestSource, SOURCE_PATH, UnitKind, WorkForm};
use crate::pipeline::prepare::Preparer;
use crate::pipeline::roles::{self, ErrorNotation, LatencyUnit, RateNotation, Role, StatusNotation};
use crate::pipeline::{access, clock, shape, values};

use access_fields::{AccessField, access_field};
use names::LastInstance;
use outcome::Failed;
use record::LineRecord;
use scan::{Nested, Node, scan};
use seen::{RouteCache, Short, ShortNames};
use slots::{Form, Slot};
use template::Templates;

pub use access_fields::{ACCESS_DURATION, ACCESS_ROLES};
pub use arms::{in_split, split_key};
pub(crate) use crash::is_crash;
#[cfg(feature = "serve")]
pub(crate) use names::CELL_MAX;
pub(crate) use outcome::is_probe_route;
pub(crate) use segments::is_no_segment;

/// Status field of Envoy's and Istio's access logs.
pub const PROXY_STATUS: &str = "response_code";
/// Why Envoy gave an answer or none; `DC`: the client went away.
const PROXY_FLAGS: &str = "response_flags";
/// Field of Caddy's log of errors, which has the requests of its access log once more.
const PROXY_TROUBLE: &str = "err_trace";
/// Fields that only servers and proxies write: nginx, Caddy, Traefik, Cloudflare.
const PROXY_FIELDS: [&str; 5] =
    ["body_bytes_sent", "resp_headers", "DownstreamStatus", "EdgeResponseStatus", "httpRequest.requestMethod"];

/// Fields that hold whole URLs where a call is meant, beside those that may hold a route.
const URL_FIELDS: [&str; 13] = [
    "url.full",
    "Attributes.url.full",
    "attributes.url.full",
    "http.url",
    "Attributes.http.url",
    "attributes.http.url",
    "url",
    "request.url",
    "request_url",
    "http.request.url",
    "target_url",
    "target",
    // Of .NET's HttpClient.
    "Uri",
];
/// Fields that name the logger of a line.
const LOGGER_FIELDS: [&str; 8] = [
    "SourceContext",
    "Properties.SourceContext",
    "logger",
    "logger_name",
    "loggerName",
    "log.logger",
    "Category",
    "category",
];
/// Fields that name whom the service asked.
const PEERS: [&str; 2] = ["peer.service", "config.baseURL"];
/// Fields that say which way a request goes, and the words for one that the service makes. (`direction` is also that of a payment.)
const DIRECTIONS: [&str; 4] = ["span.kind", "span_kind", "spanKind", "grpc.component"];
const OUTWARD: [&str; 3] = ["client", "producer", "SPAN_KIND_CLIENT"];
/// Fields in which Azure's Application Insights says what a record is, as a workspace and as its older tables have them.
const RECORD_TYPES: [&str; 2] = ["Type", "itemType"];
/// Fields that name the program that asks.
const AGENTS: [&str; 8] = [
    "user_agent",
    "http_user_agent",
    "userAgent",
    "user_agent.original",
    "http.user_agent",
    "agent",
    "req.headers.user-agent",
    "httpRequest.userAgent",
];

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

/// Slots of a role: fields that may play it, in order.
#[derive(Clone, Copy, Debug, Default)]
struct RoleSlots {
    slots: [u8; FIELDS_MAX],
    units: [Option<LatencyUnit>; FIELDS_MAX],
    len: u8,
}

/// Fields of one role that are tried.
const FIELDS_MAX: usize = 6;

/// Distinct fields that a plan may read.
pub const SLOTS_MAX: usize = 250;

/// Decodes lines of one stream after the other.
#[derive(Debug)]
pub struct Decoder<'p> {
    plan: &'p Plan,
    /// What is done to lines first; `None`: nothing.
    preparer: Option<Preparer>,
    nodes: Vec<Node>,
    /// Slots of each role, in the order of [`Role::ALL`].
    roles: [RoleSlots; Role::ALL.len()],
    /// Fields of the role level that hold OpenTelemetry severity numbers.
    otel_levels: [bool; FIELDS_MAX],
    /// Paths of slots, for queries.
    paths: Vec<String>,
    /// Values of the current line.
    slots: Vec<Slot>,
    /// Objects of the line that are still to be looked into.
    nested: Nested,
    /// An access-log line, then what it does not hold as text of its own.
    scratch: String,
    /// Length of the access-log line; `None` for JSON.
    access_len: Option<usize>,
    arm_slot: Option<u8>,
    /// Slots of the fields that may name a business event.
    event_names: Vec<u8>,
    /// Slots of the fields of metrics.
    metric_slots: Vec<u8>,
    /// Slots of the fields whose values are segments.
    segment_slots: Vec<u8>,
    /// Slot of the status as proxies call it.
    proxy_status: Option<u8>,
    /// Slots of the keys by which records that hold a line are told; mostly one.
    record_slots: Vec<u8>,
    /// Slot of the source that a line names.
    source_slot: u8,
    /// Slots of [`PROXY_FIELDS`], of the flags of an answer by Envoy, and of what only Caddy's log of errors has.
    proxy_slots: [u8; PROXY_FIELDS.len()],
    flags_slot: u8,
    trouble_slot: u8,
    /// Slots of [`URL_FIELDS`] and of [`PEERS`].
    url_slots: [u8; URL_FIELDS.len()],
    peer_slots: [u8; PEERS.len()],
    logger_slots: [u8; LOGGER_FIELDS.len()],
    direction_slots: [u8; DIRECTIONS.len()],
    agent_slots: [u8; AGENTS.len()],
    type_slots: [u8; RECORD_TYPES.len()],
    /// The line that was decoded last asks only whether the service is there, or is told as a request that is not taken from its source.
    is_probe: bool,
    is_aside: bool,
    /// Of services that have such forms: those of work inside requests, each with the slots of its marks.
    inside: BTreeMap<&'p ServiceKey, Vec<(&'p WorkForm, Vec<u8>)>>,
    /// Time fields that say when the work ended.
    end_times: [bool; FIELDS_MAX],
    /// Latency fields of lines whose time says when the work began.
    from_received: [bool; FIELDS_MAX],
    /// How each status field writes statuses.
    notations: [StatusNotation; FIELDS_MAX],
    /// What each field about failures holds.
    error_notations: [ErrorNotation; FIELDS_MAX],
    /// How each sampling field writes rates.
    rate_notations: [RateNotation; FIELDS_MAX],
    /// Slot of the first status field that holds gRPC codes.
    grpc_status: Option<u8>,
    split_key: u64,
    /// Where the last line says that its request, if it is one, is logged.
    source: RequestSource,
    names: Interner,
    /// Names seen lately, by their bytes: most lines need no hash table.
    services: ShortNames<(Short, Short, Short)>,
    short_arms: ShortNames<Short>,
    short_routes: ShortNames<Short>,
    routes: RouteCache,
    /// A fleet has more instances than a log has services, arms and routes.
    short_instances: ShortNames<Short, 8>,
    last_instance: LastInstance,
    templates: Templates,
    short_segments: [ShortNames<Short>; event::SEGMENT_FIELDS_MAX],
    clock: clock::Clock,
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
            preparer: Preparer::of(&plan.preparation, &plan.tables, stream),
            nodes: vec![Node::default()],
            roles: [RoleSlots::default(); Role::ALL.len()],
            otel_levels: [false; FIELDS_MAX],
            paths: Vec::new(),
            slots: Vec::new(),
            nested: Nested::new(),
            scratch: String::new(),
            access_len: None,
            arm_slot: None,
            event_names: Vec::new(),
            metric_slots: Vec::new(),
            segment_slots: Vec::new(),
            proxy_status: None,
            record_slots: Vec::new(),
            source_slot: 0,
            proxy_slots: [0; PROXY_FIELDS.len()],
            flags_slot: 0,
            trouble_slot: 0,
            url_slots: [0; URL_FIELDS.len()],
            peer_slots: [0; PEERS.len()],
            logger_slots: [0; LOGGER_FIELDS.len()],
            direction_slots: [0; DIRECTIONS.len()],
            agent_slots: [0; AGENTS.len()],
            type_slots: [0; RECORD_TYPES.len()],
            is_probe: false,
            is_aside: false,
            inside: BTreeMap::new(),
            end_times: [false; FIELDS_MAX],
            from_received: [false; FIELDS_MAX],
            notations: [StatusNotation::Http; FIELDS_MAX],
            error_notations: [ErrorNotation::Failed; FIELDS_MAX],
            rate_notations: [RateNotation::OneInMany; FIELDS_MAX],
            grpc_status: None,
            split_key: 0,
            source: RequestSource::Application,
            names: Interner::default(),
            services: ShortNames::default(),
            short_arms: ShortNames::default(),
            short_routes: ShortNames::default(),
            routes: RouteCache::default(),
            short_instances: ShortNames::default(),
            last_instance: LastInstance::default(),
            templates: Templates::default(),
            short_segments: Default::default(),
            clock: clock::Clock::within(plan.years_from, plan.zone_of(stream).clone()),
            stream: stream.to_owned(),
            two_arms: None,
            sources: Vec::new(),
        };
        for role in Role::ALL {
            let mut list = RoleSlots::default();
            for (at, field) in plan.fields(role).iter().take(FIELDS_MAX).enumerate() {
                list.slots[at] = decoder.want(&field.path);
                list.units[at] = field.unit;
                list.len += 1;
                if role == Role::Status && field.path == PROXY_STATUS {
                    decoder.proxy_status = Some(list.slots[at]);
                }
                if role == Role::Latency {
                    decoder.from_received[at] = plan.adds_duration && field.path == ACCESS_DURATION;
                }
                if role == Role::Time {
                    decoder.end_times[at] = roles::is_end_time(&field.path);
                }
                if role == Role::Error {
                    decoder.error_notations[at] = ErrorNotation::of_field(&field.path);
                }
                if role == Role::SampleRate {
                    decoder.rate_notations[at] = RateNotation::of_field(&field.path);
                }
                if role == Role::Status {
                    decoder.notations[at] = StatusNotation::of_field(&field.path);
                    if decoder.notations[at] == StatusNotation::Grpc {
                        decoder.grpc_status.get_or_insert(list.slots[at]);
                    }
                }
                if role == Role::Level {
                    let path = field.path.to_ascii_lowercase();
                    decoder.otel_levels[at] = path.ends_with("severitynumber") || path.ends_with("severity_number");
                }
            }
            decoder.roles[role as usize] = list;
        }
        match &plan.arms {
            ArmRule::None => {}
            ArmRule::Field(path) | ArmRule::PodTemplate { path, .. } => decoder.arm_slot = Some(decoder.want(path)),
            ArmRule::Queries { baseline, canary } => {
                for path in baseline.fields().into_iter().chain(canary.fields()) {
                    decoder.want(&path);
                }
            }
            ArmRule::Hash { seed, .. } => decoder.split_key = split_key(seed),
        }
        // Any log may have lines that go on with what one said, and the first lines rarely show one.
        let stack = decoder.want(shape::STACK_PATH);
        let stacks = &mut decoder.roles[Role::Stack as usize];
        if let Some(slot) = stacks.slots.get_mut(usize::from(stacks.len)) {
            *slot = stack;
            stacks.len += 1;
        }
        decoder.source_slot = decoder.want(SOURCE_PATH);
        decoder.proxy_slots = PROXY_FIELDS.map(|path| decoder.want(path));
        decoder.flags_slot = decoder.want(PROXY_FLAGS);
        decoder.trouble_slot = decoder.want(PROXY_TROUBLE);
        decoder.url_slots = URL_FIELDS.map(|path| decoder.want(path));
        decoder.peer_slots = PEERS.map(|path| decoder.want(path));
        decoder.logger_slots = LOGGER_FIELDS.map(|path| decoder.want(path));
        decoder.direction_slots = DIRECTIONS.map(|path| decoder.want(path));
        decoder.agent_slots = AGENTS.map(|path| decoder.want(path));
        decoder.type_slots = RECORD_TYPES.map(|path| decoder.want(path));
        for (service, forms) in &plan.inside {
            let mut slots = |form: &WorkForm| form.marks.iter().map(|mark| decoder.want(&mark.path)).collect();
            let forms = forms.iter().map(|form| (form, slots(form))).collect();
            decoder.inside.insert(service, forms);
        }
        decoder.want_records();
        decoder.event_names = plan.conversions.fields().into_iter().map(|path| decoder.want(path)).collect();
        decoder.metric_slots =
            plan.metrics.iter().take(event::METRICS_MAX).map(|metric| decoder.want(&metric.field)).collect();
        let segments = plan.segments.iter().take(event::SEGMENT_FIELDS_MAX);
        decoder.segment_slots = segments.map(|path| decoder.want(path)).collect();
        decoder
    }

    /// Slot of a path; wanted from now on.
    ///
    /// Paths past [`SLOTS_MAX`] share the last slot's number and are never found; a plan has far fewer.
    fn want(&mut self, path: &str) -> u8 {
        if let Some(at) = self.paths.iter().position(|known| known == path) {
            return at as u8;
        }
        if self.paths.len() >= SLOTS_MAX {
            return u8::MAX;
        }
        let slot = self.paths.len() as u8;
        self.slots.push(Slot::default());
        self.paths.push(path.to_owned());
        self.want_below(0, path, slot);
        slot
    }

    /// The keys of records that hold a line share one slot, where the plan does not read them.
    fn want_records(&mut self) {
        let shared = self.want("serin.record");
        if let Some(root) = self.nodes.first_mut() {
            for key in shape::KEYS {
                let slot = *root.keys.entry(key.to_owned()).or_default().slot.get_or_insert(shared);
                if !self.record_slots.contains(&slot) {
                    self.record_slots.push(slot);
                }
            }
        }
    }

    /// A path may be one key, or be cut at any of its dots.
    fn want_below(&mut self, node: usize, path: &str, slot: u8) {
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
                let prefix = format!("{}{head}.", self.nodes.get(node).map_or("", |level| level.prefix.as_str()));
                self.nodes.push(Node { prefix, ..Node::default() });
            }
            self.want_below(usize::from(child), tail, slot);
        }
    }

    /// Fields of known names that the plan does not read, with how many lines have had them since this was asked last.
    pub fn take_unread(&mut self) -> BTreeMap<String, u64> {
        self.nodes.iter_mut().flat_map(|node| std::mem::take(&mut node.unread)).collect()
    }

    /// The names that events refer to.
    pub fn interner(&mut self) -> &mut Interner {
        &mut self.names
    }

    /// The next chunk begins: it goes on with the names so far, unless there are many.
    pub fn begin_chunk(&mut self) {
        if !self.names.can_go_on() {
            self.take_names();
        }
    }

    /// Takes the names out; the next chunk starts with none.
    pub fn take_names(&mut self) -> Interner {
        self.two_arms = None;
        self.sources.clear();
        self.routes = RouteCache::default();
        self.short_instances = ShortNames::default();
        self.last_instance = LastInstance::default();
        self.forget_templates();
        self.short_segments = Default::default();
        self.services = ShortNames::default();
        self.short_arms = ShortNames::default();
        self.short_routes = ShortNames::default();
        std::mem::take(&mut self.names)
    }

    /// A line as it is read, shown and kept: what the plan does to lines first has been done ([`Plan::preparation`]).
    #[inline]
    pub fn prepared<'a>(&mut self, line: &'a str) -> Cow<'a, str> {
        match &mut self.preparer {
            None => Cow::Borrowed(line),
            Some(preparer) => preparer.line(line),
        }
    }

    /// The same for bytes, which may be no text.
    pub fn prepared_bytes<'a>(&mut self, line: &'a [u8]) -> Cow<'a, [u8]> {
        match &mut self.preparer {
            None => Cow::Borrowed(line),
            Some(preparer) => Cow::Owned(preparer.line(&String::from_utf8_lossy(line)).into_owned().into_bytes()),
        }
    }

    /// Decodes one line without its newline. `offset`: where it starts in the stream.
    ///
    /// # Errors
    /// Why the line is no event.
    #[inline]
    pub fn decode(&mut self, line: &str, offset: u64) -> Result<Decoded, RejectReason> {
        if self.preparer.is_none() {
            return self.decode_prepared(line, offset);
        }
        let line = self.prepared(line).into_owned();
        self.decode_prepared(&line, offset)
    }

    /// Decodes a line that was prepared ([`Decoder::prepared`]).
    ///
    /// # Errors
    /// Why the line is no event.
    #[inline]
    pub fn decode_prepared(&mut self, line: &str, offset: u64) -> Result<Decoded, RejectReason> {
        if line.len() > LINE_MAX {
            return Err(RejectReason::TooLong);
        }
        let line = if offset == 0 { without_mark(line) } else { line };
        match self.fill(line) {
            Filled::Json => self.read(line, offset, false),
            filled @ (Filled::Access | Filled::Made) => {
                // The parts of an access line that are no text of it stand behind it.
                let mut text = std::mem::take(&mut self.scratch);
                let read = self.read(&text, offset, filled == Filled::Access);
                text.clear();
                self.scratch = text;
                read
            }
            Filled::Malformed => Err(RejectReason::Malformed),
            Filled::Unknown if crash::is_crash(line) => Err(RejectReason::CrashText),
            Filled::Unknown => Err(RejectReason::UnknownFormat),
        }
    }

    /// Fills the slots from a line. For an access-log line they refer to `scratch`, which then holds the line.
    #[inline]
    fn fill(&mut self, line: &str) -> Filled {
        self.slots.fill(Slot::default());
        self.nested.clear();
        self.access_len = None;
        if line.trim_ascii_start().starts_with('{') {
            if let Some(made) = shape::of_object(line) {
                return self.fill_made(made);
            }
            return match scan(&mut self.nodes, 0, line, 0..line.len(), &mut self.slots, &mut self.nested) {
                Ok(()) if self.is_record() => match shape::of_record(line) {
                    Some(made) => {
                        self.slots.fill(Slot::default());
                        self.fill_made(made)
                    }
                    None => Filled::Json,
                },
                Ok(()) => Filled::Json,
                Err(_) => match shape::of_joined(line) {
                    Some(made) => {
                        self.slots.fill(Slot::default());
                        self.nested.clear();
                        self.fill_made(made)
                    }
                    None => Filled::Malformed,
                },
            };
        }
        if !self.plan.tables.is_empty()
            && let Some(made) = shape::table::by_table(line, &self.plan.tables)
        {
            return self.fill_made(made);
        }
        self.scratch.clear();
        self.scratch.push_str(line);
        self.access_len = Some(line.len());
        let Some(parsed) = access::parse_access(line) else {
            return match shape::of_text(line) {
                Some(made) => self.fill_made(made),
                None => Filled::Unknown,
            };
        };
        let origin = line.as_ptr() as usize;
        for (path, slot) in self.paths.iter().zip(&mut self.slots) {
            *slot = match access_field(&parsed, path) {
                AccessField::Text(part) => Slot::of(part, origin, Form::Plain),
                AccessField::Number(number) => {
                    let from = self.scratch.len() as u32;
                    self.scratch.push_str(&number.to_string());
                    Slot { from, until: self.scratch.len() as u32, form: Form::Number }
                }
                AccessField::Absent => Slot::default(),
            };
        }
        Filled::Access
    }

    /// The object has a key by which a record that holds a line is told.
    #[inline]
    fn is_record(&self) -> bool {
        let is_there = |slot: &u8| self.slots.get(usize::from(*slot)).is_some_and(|slot| slot.form != Form::Absent);
        self.record_slots.iter().any(is_there)
    }

    /// Fills the slots from an object that a line was made.
    fn fill_made(&mut self, made: String) -> Filled {
        (self.scratch, self.access_len) = (made, None);
        match scan(&mut self.nodes, 0, &self.scratch, 0..self.scratch.len(), &mut self.slots, &mut self.nested) {
            Ok(()) => Filled::Made,
            Err(_) => Filled::Malformed,
        }
    }

    /// The first field of a role that has a value.
    #[inline]
    fn first(&self, role: Role) -> Option<(Slot, usize)> {
        let list = &self.roles[role as usize];
        for at in 0..usize::from(list.len).min(FIELDS_MAX) {
            if let Some(slot) = self.slots.get(usize::from(list.slots[at]))
                && slot.is_scalar()
            {
                return Some((*slot, at));
            }
        }
        None
    }

    #[inline]
    fn text<'a>(&self, role: Role, line: &'a str) -> Option<Cow<'a, str>> {
        self.first(role).map(|(slot, _)| slot.text(line))
    }

    fn read(&mut self, line: &str, offset: u64, access_line: bool) -> Result<Decoded, RejectReason> {
        let plan = self.plan;
        let mut from_received = false;
        let first_latency = self.first(Role::Latency);
        let read_latency_us = match first_latency {
            Some((slot, at)) => {
                from_received = self.from_received[at];
                let unit = self.roles[Role::Latency as usize].units[at].unwrap_or(LatencyUnit::Millis);
                values::latency_us(&slot.text(line), unit).unwrap_or(NO_LATENCY)
            }
            None => NO_LATENCY,
        };
        let has_latency = read_latency_us != NO_LATENCY;
        let time = self.time(line, read_latency_us)?;
        let time = if from_received && has_latency { times::after(time, read_latency_us)? } else { time };
        let latency_us = if has_latency { read_latency_us } else { self.since_start(line, time) };

        let Some(service) = self.service(line) else { return Ok(Decoded::Outside) };
        if service == NO_NAME {
            return Err(RejectReason::TooManyNames);
        }

        let first_status = self.first_status(line);
        let status = self.status(line, first_status);
        let level = self.level(line);
        let chosen = self.source_of(service);
        let (kind, source) =
            self.kind(line, (status.is_some(), latency_us != NO_LATENCY), access_line, (service, chosen));
        let (kind, conversion) = self.conversion(line, kind);
        let metrics = self.metrics(line);
        self.source = source;
        // A service that is not known takes its requests from anything but what looks like its calls to others.
        let is_others = chosen.map_or(source == RequestSource::Outgoing, |chosen| !chosen.takes(source));
        self.is_aside = kind == Kind::Request && is_others;
        let kind = if self.is_aside {
            // Another source speaks for this service's requests; this line is work or talk inside them.
            Kind::Log
        } else {
            kind
        };

        let failed = self.failed(line);
        let error = match (failed, status) {
            (Some(Failed::Said), _) => true,
            (Some(Failed::Unsuccessful), status) => status.is_none_or(|status| status.class != 4),
            (_, Some(status)) => status.error,
            (Some(says), None) => says == Failed::Named,
            (None, None) => kind == Kind::Request && level >= Level::Error,
        };
        // A request that names an error and did not fail went wrong somewhere: that is a warning, whatever its level says.
        let is_warning = kind == Kind::Request && failed == Some(Failed::Named) && !error;
        let level = if is_warning { level.max(Level::Warn) } else { level };

        // Only requests that did not fail are asked: failures may be written another way by code that is fine.
        let (latency_form, status_form) = if kind == Kind::Request && !error {
            (
                self.form(Role::Latency, first_latency, line, access_line, has_latency),
                self.form(Role::Status, first_status, line, access_line, status.is_some()),
            )
        } else {
            (FieldForm::Absent, FieldForm::Absent)
        };

        let wants_trace = plan.follow_traces || plan.unit == UnitKind::Trace || kind == Kind::Request;
        let trace_hash = if wants_trace { self.hash_of(Role::Trace, line) } else { 0 };
        let unit = match plan.unit {
            UnitKind::User => self.hash_of(Role::User, line),
            UnitKind::Session => self.hash_of(Role::Session, line),
            UnitKind::Client => self.hash_of(Role::Client, line),
            UnitKind::Trace => trace_hash,
            UnitKind::Instance => self.hash_of(Role::Instance, line),
            UnitKind::Request => {
                event::mix(event::identity_hash(self.stream.as_bytes()), offset.wrapping_add(1)).max(1)
            }
        };
        self.is_probe = kind == Kind::Request && self.asks_for_health(line, unit);
        let kind = if self.is_probe { Kind::Log } else { kind };
        let id = if kind == Kind::Request { self.hash_of(Role::Request, line) } else { 0 };
        let request = if plan.join_attempts && kind == Kind::Request { self.request(line, unit, id) } else { 0 };
        let call = if kind == Kind::Request { self.call(line, unit, id, trace_hash) } else { 0 };
        let route = if kind == Kind::Request { self.route(line) } else { NO_NAME };
        let arm = self.arm(line, unit)?;
        // Where requests are the unit, a line that is none of them and names no arm belongs to nobody.
        let unit = if plan.unit == UnitKind::Request && kind != Kind::Request && arm == NO_NAME { 0 } else { unit };
        let instance = self.instance(line);
        let segments = if unit == 0 { event::NO_SEGMENTS } else { self.segments(line, kind) };
        let (weight, rate_unread) = self.weight(line);
        // The text of an access line says its fields once more.
        let is_access = access_line || source == RequestSource::AccessLog && self.named_source(line).is_some();
        let failed_inside = self.is_aside && error;
        let template = if is_access { NO_TEMPLATE } else { self.template(line, kind, level, failed_inside) };
        let sampling = if self.roles[Role::SampleRate as usize].len == 0 {
            event::NOT_SAMPLED
        } else {
            event::sampling_group(event::name_at(&Intern::names(&self.names).routes, route).map(String::as_str))
        };

        Ok(Decoded::Event(Event {
            time,
            offset,
            unit,
            trace: if plan.follow_traces { trace_hash } else { 0 },
            request,
            call,
            latency_us,
            service,
            arm,
            route,
            instance,
            weight,
            latency_form,
            status_form,
            sampling,
            rate_unread,
            kind,
            level,
            status_class: status.map_or(0, |status| status.class),
            segments,
            conversion,
            metrics,
            error,
            template,
        }))
    }

    /// The current line as queries see it; `text`: what the slots refer to.
    fn record<'a>(&'a self, text: &'a str) -> LineRecord<'a> {
        LineRecord {
            line: text,
            message: self.access_len.and_then(|len| text.get(..len)),
            paths: &self.paths,
            slots: &self.slots,
            stream: &self.stream,
        }
    }

    /// Whether a query matches a line.
    #[cfg(test)]
    fn matches(&mut self, line: &str, query: &crate::query::Query) -> bool {
        for path in query.fields() {
            self.want(&path);
        }
        match self.fill(line) {
            Filled::Json => query.matches(&self.record(line)),
            Filled::Access | Filled::Made => query.matches(&self.record(&self.scratch)),
            Filled::Malformed | Filled::Unknown => false,
        }
    }

    /// The time of the line that was decoded last named its zone, or needed none.
    pub(crate) fn named_zone(&self) -> bool {
        self.clock.named_zone()
    }

    /// The line that was decoded last is told as a request, of a source of which none are taken; which is [`Decoder::source`].
    #[cfg(feature = "edge")]
    pub(crate) fn is_aside(&self) -> bool {
        self.is_aside
    }

    /// The line that was decoded last asks only whether the service is there: it looks like a request, and counts as none.
    pub(crate) fn is_probe(&self) -> bool {
        self.is_probe
    }

    /// Where the line that was decoded last says that its request is logged.
    pub(crate) fn source(&self) -> RequestSource {
        self.source
    }

    /// Which field of each role has a value in a line that was prepared; for the survey's coverage.
    pub(crate) fn covered(&mut self, line: &str) -> Vec<(Role, Option<usize>)> {
        let line = without_mark(line);
        let text = match self.fill(line) {
            Filled::Json => line,
            Filled::Access | Filled::Made => &self.scratch,
            Filled::Malformed | Filled::Unknown => return Vec::new(),
        };
        let has_value = |role: Role, slot: u8| {
            self.slots.get(usize::from(slot)).is_some_and(|slot| {
                let told = role == Role::Error && slot.form == Form::Nested;
                (slot.is_scalar() || told) && {
                    let text = slot.text(text);
                    match role {
                        Role::User | Role::Session | Role::Client | Role::Trace | Role::Instance => {
                            !values::is_nobody(&text)
                        }
                        _ => !text.is_empty() && text != "-",
                    }
                }
            })
        };
        Role::ALL
            .into_iter()
            .map(|role| {
                let list = &self.roles[role as usize];
                let at = (0..usize::from(list.len).min(FIELDS_MAX)).find(|at| has_value(role, list.slots[*at]));
                (role, at)
            })
            .collect()
    }
}

/// A line without the mark (U+FEFF) that some programs put at the start of a file.
pub(crate) fn without_mark(line: &str) -> &str {
    line.strip_prefix('\u{feff}').unwrap_or(line)
}

/// What a line was filled from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Filled {
    Json,
    Access,
    /// An object that the line was made.
    Made,
    Malformed,
    Unknown,
}

#[cfg(test)]
mod tests;
