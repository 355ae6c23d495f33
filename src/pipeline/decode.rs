//! One line in, one [`Event`] out, as a [`Plan`] says.
//!
//! The decoder looks at a line once: the scanner hands it each field, a trie of wanted paths says which slot the field
//! fills, and the roles read their slots. Lines of one logger repeat their keys in the same order, so the key expected
//! at each place is tried first.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use crate::event::{self, Event, Intern, Kind, Level, NO_LATENCY, NO_NAME, NameId, RejectReason};
use crate::pipeline::intern::Interner;
use crate::pipeline::json::{self, Kind as ValueKind, Str};
use crate::pipeline::plan::{ArmRule, BASELINE, CANARY, Plan, RequestSource, UnitKind};
use crate::pipeline::roles::{self, ErrorNotation, LatencyUnit, Role, StatusNotation};
use crate::pipeline::{access, clock, number, values};
use crate::query;
use crate::time::{Micros, Timestamp};

/// Key of the hash that splits units into arms.
const KEY_SPLIT: u64 = 0x5e71_4000_0000_00a1;

/// Status field of Envoy's and Istio's access logs.
pub const PROXY_STATUS: &str = "response_code";

/// Bytes from which a request id is taken to be unique, whoever asks; shorter ones may be counters.
const UNIQUE_ID_MIN: usize = 16;

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

/// How a field's value stands in the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
enum Form {
    /// Absent or null.
    #[default]
    Absent,
    /// Text without escapes, or a number.
    Plain,
    /// A JSON number.
    Number,
    /// Text with escapes.
    Escaped,
    /// True.
    True,
    /// False.
    False,
    /// An object or a list.
    Nested,
}

/// Where a field's value stands in the line. Twelve bytes, so that a line's slots fit a few cache lines.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Slot {
    from: u32,
    until: u32,
    form: Form,
}

impl Slot {
    /// The slot of a part of the line. Lines are shorter than 4 GiB ([`LINE_MAX`]).
    #[inline]
    fn of(part: &str, origin: usize, form: Form) -> Slot {
        let from = (part.as_ptr() as usize).wrapping_sub(origin) as u32;
        Slot { from, until: from.wrapping_add(part.len() as u32), form }
    }

    #[inline]
    fn raw<'a>(&self, line: &'a str) -> &'a str {
        line.get(self.from as usize..self.until as usize).unwrap_or("")
    }

    #[inline]
    fn text<'a>(&self, line: &'a str) -> Cow<'a, str> {
        match self.form {
            Form::Plain | Form::Number | Form::Nested => Cow::Borrowed(self.raw(line)),
            Form::Escaped => Cow::Owned(json::unescape(self.raw(line))),
            Form::True => Cow::Borrowed("true"),
            Form::False => Cow::Borrowed("false"),
            Form::Absent => Cow::Borrowed(""),
        }
    }

    #[inline]
    fn is_scalar(&self) -> bool {
        !matches!(self.form, Form::Absent | Form::Nested)
    }
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

/// What a wanted key leads to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Step {
    /// Slot that the value fills.
    slot: Option<u8>,
    /// Trie node for the fields of the object below.
    node: Option<u16>,
}

/// One level of wanted paths.
#[derive(Debug, Default)]
struct Node {
    keys: BTreeMap<String, Step>,
    /// Keys in the order of the lines so far, with what they lead to. A line may leave some out.
    expected: Vec<Lead>,
}

/// Keys that are remembered per level; longer objects are looked up key by key.
const EXPECTED_MAX: usize = 64;

/// Remembered keys that are tried at a place.
const LOOK_AHEAD: usize = 4;

/// Bytes of a line that are compared at once; keys for which they are too few are not remembered.
const LEAD_MAX: usize = 32;

/// A remembered key with what stands around it, from behind the value before it up to its own value. Kept in place:
/// comparing it touches no other memory.
#[derive(Clone, Copy, Debug)]
struct Lead {
    bytes: [u8; LEAD_MAX],
    /// All ones where a byte counts.
    mask: [u8; LEAD_MAX],
    len: u8,
    /// The last byte is the opening quote of a string.
    is_string: bool,
    /// What the key leads to.
    step: Step,
}

impl Lead {
    /// What no line has: it is not UTF-8.
    const NONE: Lead = Lead {
        bytes: [u8::MAX; LEAD_MAX],
        mask: [u8::MAX; LEAD_MAX],
        len: 0,
        is_string: false,
        step: Step { slot: None, node: None },
    };

    /// `None` when the text is too long.
    fn new(text: &[u8], is_string: bool, step: Step) -> Option<Lead> {
        let len = u8::try_from(text.len()).ok()?;
        let mut lead = Lead { bytes: [0; LEAD_MAX], mask: [0; LEAD_MAX], len, is_string, step };
        lead.bytes.get_mut(..text.len())?.copy_from_slice(text);
        lead.mask.get_mut(..text.len())?.fill(u8::MAX);
        Some(lead)
    }

    /// Without the quote at its end.
    fn text(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len).saturating_sub(usize::from(self.is_string))).unwrap_or_default()
    }

    /// It stands at a position.
    #[inline(always)]
    fn stands_at(&self, text: &[u8], at: usize) -> bool {
        match text.get(at..at.wrapping_add(LEAD_MAX)).and_then(|rest| rest.first_chunk::<LEAD_MAX>()) {
            Some(block) => self.begins(block),
            None => self.stands_near_end(text, at),
        }
    }

    /// All bytes at once, whatever the length: a loop or a call would cost more than the few bytes that there are.
    #[inline(always)]
    fn begins(&self, block: &[u8; LEAD_MAX]) -> bool {
        let [block, bytes, mask] = [block, &self.bytes, &self.mask].map(words);
        let different = |at: usize| (block[at] ^ bytes[at]) & mask[at];
        different(0) | different(1) | different(2) | different(3) == 0
    }

    #[inline(never)]
    fn stands_near_end(&self, text: &[u8], at: usize) -> bool {
        let rest = text.get(at..).unwrap_or_default();
        let mut block = [0; LEAD_MAX];
        block.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
        self.begins(&block)
    }
}

/// Bytes as numbers, for operations on eight at once.
#[inline(always)]
fn words(bytes: &[u8; 32]) -> [u64; 4] {
    let (words, _) = bytes.as_chunks::<8>();
    std::array::from_fn(|at| words.get(at).map_or(0, |word| u64::from_le_bytes(*word)))
}

/// Decodes lines of one stream after the other.
#[derive(Debug)]
pub struct Decoder<'p> {
    plan: &'p Plan,
    nodes: Vec<Node>,
    /// Slots of each role, in the order of [`Role::ALL`].
    roles: [RoleSlots; Role::ALL.len()],
    /// Fields of the role level that hold OpenTelemetry severity numbers.
    otel_levels: [bool; FIELDS_MAX],
    /// Paths of slots, for queries.
    paths: Vec<String>,
    /// Values of the current line.
    slots: Vec<Slot>,
    /// An access-log line, then what it does not hold as text of its own.
    scratch: String,
    /// Length of the access-log line; `None` for JSON.
    access_len: Option<usize>,
    arm_slot: Option<u8>,
    /// Slot of the status as proxies call it.
    proxy_status: Option<u8>,
    /// Time fields that say when the work ended.
    end_times: [bool; FIELDS_MAX],
    /// How each status field writes statuses.
    notations: [StatusNotation; FIELDS_MAX],
    /// What each field about failures holds.
    error_notations: [ErrorNotation; FIELDS_MAX],
    /// Slot of the first status field that holds gRPC codes.
    grpc_status: Option<u8>,
    split_key: u64,
    /// Where the last line says that its request, if it is one, is logged.
    source: RequestSource,
    names: Interner,
    /// Names seen lately, by their bytes: most lines need no hash table.
    services: ShortNames<(Short, Short)>,
    short_arms: ShortNames<Short>,
    short_routes: ShortNames<Short>,
    routes: RouteCache,
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
            nodes: vec![Node::default()],
            roles: [RoleSlots::default(); Role::ALL.len()],
            otel_levels: [false; FIELDS_MAX],
            paths: Vec::new(),
            slots: Vec::new(),
            scratch: String::new(),
            access_len: None,
            arm_slot: None,
            proxy_status: None,
            end_times: [false; FIELDS_MAX],
            notations: [StatusNotation::Http; FIELDS_MAX],
            error_notations: [ErrorNotation::Failed; FIELDS_MAX],
            grpc_status: None,
            split_key: 0,
            source: RequestSource::Application,
            names: Interner::default(),
            services: ShortNames::default(),
            short_arms: ShortNames::default(),
            short_routes: ShortNames::default(),
            routes: RouteCache::default(),
            clock: clock::Clock::default(),
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
                if role == Role::Time {
                    decoder.end_times[at] = roles::is_end_time(&field.path);
                }
                if role == Role::Error {
                    decoder.error_notations[at] = ErrorNotation::of_field(&field.path);
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
    pub fn forget_names(&mut self) {
        self.take_names();
    }

    /// Takes the names out; the next chunk starts with none.
    pub fn take_names(&mut self) -> Interner {
        self.two_arms = None;
        self.sources.clear();
        self.routes = RouteCache::default();
        self.services = ShortNames::default();
        self.short_arms = ShortNames::default();
        self.short_routes = ShortNames::default();
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
        let line = if offset == 0 { without_mark(line) } else { line };
        match self.fill(line) {
            Filled::Json => self.read(line, offset, false),
            Filled::Access => {
                // The parts of an access line that are no text of it stand behind it.
                let mut text = std::mem::take(&mut self.scratch);
                let read = self.read(&text, offset, true);
                text.clear();
                self.scratch = text;
                read
            }
            Filled::Malformed => Err(RejectReason::Malformed),
            Filled::Unknown => Err(RejectReason::UnknownFormat),
        }
    }

    /// The arm that the text of a line names which could not be read, where a field gives the arms: the first scalar
    /// behind the field's name. By the line alone, so that it does not matter what was read before.
    pub fn arm_of_damaged(&mut self, line: &[u8]) -> Option<NameId> {
        let ArmRule::Field(path) = &self.plan.arms else { return None };
        let key = format!("\"{}\"", path.rsplit('.').next()?);
        let behind = line.get(memchr::memmem::find(line, key.as_bytes())? + key.len()..)?;
        let value = behind.trim_ascii_start().strip_prefix(b":")?.trim_ascii_start();
        let value = match value.strip_prefix(b"\"") {
            Some(text) => {
                text.get(..memchr::memchr2(b'"', b'\\', text).filter(|end| text.get(*end) == Some(&b'"'))?)?
            }
            None => value.get(..value.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'.')?)?,
        };
        let text = std::str::from_utf8(value).ok().filter(|text| !text.is_empty() && text.len() <= ARM_TEXT_MAX)?;
        Some(self.names.arm(text)).filter(|arm| *arm != NO_NAME)
    }

    /// Fills the slots from a line. For an access-log line they refer to `scratch`, which then holds the line.
    #[inline]
    fn fill(&mut self, line: &str) -> Filled {
        self.slots.fill(Slot::default());
        self.access_len = None;
        if line.trim_ascii_start().starts_with('{') {
            return match scan(&mut self.nodes, 0, line, 0..line.len(), &mut self.slots) {
                Ok(()) => Filled::Json,
                Err(_) => Filled::Malformed,
            };
        }
        self.scratch.clear();
        self.scratch.push_str(line);
        self.access_len = Some(line.len());
        let Some(parsed) = access::parse_access(line) else { return Filled::Unknown };
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

    /// Hash of an identity: of the first field of its role that names one.
    #[inline]
    fn hash_of(&self, role: Role, line: &str) -> u64 {
        let list = &self.roles[role as usize];
        for slot in list.slots.iter().take(usize::from(list.len)) {
            if let Some(slot) = self.slots.get(usize::from(*slot))
                && slot.is_scalar()
            {
                let text = slot.text(line);
                if !values::is_nobody(&text) {
                    return event::identity_hash(text.as_bytes());
                }
            }
        }
        0
    }

    /// Hash of the request id, within what attempts of one request have in common: unit, route and method.
    ///
    /// An id is passed on to every call that a request makes, and some are counters of a process (`req-1`): alone it
    /// would join calls, and users, that have nothing to do with each other.
    fn request(&self, line: &str, unit: u64) -> u64 {
        let Some(id) = self.text(Role::Request, line).filter(|id| !values::is_nobody(id)) else { return 0 };
        let unit = match self.plan.unit {
            UnitKind::User | UnitKind::Session | UnitKind::Client => unit,
            // A trace may begin anew, an instance may change, and each line is a request of its own.
            UnitKind::Trace | UnitKind::Instance | UnitKind::Request => 0,
        };
        if unit == 0 && id.len() < UNIQUE_ID_MIN {
            return 0;
        }
        let within = |hash, role| event::mix(hash, self.hash_of(role, line));
        let hash = event::mix(event::identity_hash(id.as_bytes()), unit);
        within(within(hash, Role::Route), Role::Method).max(1)
    }

    fn read(&mut self, line: &str, offset: u64, access_line: bool) -> Result<Decoded, RejectReason> {
        let plan = self.plan;
        let latency_us = match self.first(Role::Latency) {
            Some((slot, at)) => {
                let unit = self.roles[Role::Latency as usize].units[at].unwrap_or(LatencyUnit::Millis);
                values::latency_us(&slot.text(line), unit).unwrap_or(NO_LATENCY)
            }
            None => NO_LATENCY,
        };
        let time = self.time(line, latency_us)?;
        let latency_us = if latency_us == NO_LATENCY { self.since_start(line, time) } else { latency_us };

        let Some(service) = self.service(line) else { return Ok(Decoded::Outside) };
        if service == NO_NAME {
            return Err(RejectReason::TooManyNames);
        }

        let status = self.status(line);
        let level = self.level(line);
        let chosen = self.source_of(service);
        let (kind, source) = self.kind(line, status.is_some(), latency_us != NO_LATENCY, access_line, chosen);
        self.source = source;
        let kind = if kind == Kind::Request && chosen.is_some_and(|chosen| chosen != source) {
            // Another source speaks for this service's requests; this line is work or talk inside them.
            Kind::Log
        } else {
            kind
        };

        let error = match (self.failed(line), status) {
            (Some(Failed::Said), _) => true,
            (Some(Failed::Unsuccessful), status) => status.is_none_or(|status| status.class != 4),
            (_, Some(status)) => status.error,
            (Some(says), None) => says == Failed::Named,
            (None, None) => kind == Kind::Request && level >= Level::Error,
        };

        let wants_trace = plan.follow_traces || plan.unit == UnitKind::Trace;
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
        let request = if plan.join_attempts && kind == Kind::Request { self.request(line, unit) } else { 0 };
        let route = if kind == Kind::Request { self.route(line) } else { NO_NAME };
        let arm = self.arm(line, unit)?;
        let weight = self.text(Role::SampleRate, line).map_or(1, |text| sample_weight(&text));

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
    fn time(&mut self, line: &str, latency_us: u64) -> Result<Timestamp, RejectReason> {
        let (of_time, of_start) = (self.first(Role::Time), self.first(Role::Start));
        let mut parse = |slot: Slot| match slot.form {
            Form::Plain | Form::Number => self.clock.parse_time(slot.raw(line)),
            Form::Escaped => self.clock.parse_time(&slot.text(line)),
            Form::Absent | Form::True | Form::False | Form::Nested => Err(clock::TimeError::NotATime),
        };
        let rejected = |error| match error {
            clock::TimeError::NotATime => RejectReason::BadTime,
            clock::TimeError::OutOfRange => RejectReason::TimeOutOfRange,
        };
        if let Some((slot, _)) = of_time {
            return parse(slot).map_err(rejected);
        }
        let (slot, _) = of_start.ok_or(RejectReason::NoTime)?;
        let start = parse(slot).map_err(rejected)?;
        let latency = if latency_us == NO_LATENCY { 0 } else { Micros::try_from(latency_us).unwrap_or(Micros::MAX) };
        let end = Timestamp(start.0.saturating_add(latency));
        if clock::is_in_range(end) { Ok(end) } else { Err(RejectReason::TimeOutOfRange) }
    }

    /// What fields about failures say; `None` when there is none.
    #[inline]
    fn failed(&self, line: &str) -> Option<Failed> {
        let list = &self.roles[Role::Error as usize];
        let mut most = None;
        for at in 0..usize::from(list.len).min(FIELDS_MAX) {
            let Some(slot) = self.slots.get(usize::from(list.slots[at])) else { continue };
            let notation = self.error_notations[at];
            let says = match (slot.form, notation) {
                (Form::Absent, _) => continue,
                (Form::True, ErrorNotation::Failed) => Failed::Said,
                (Form::Nested, _) if values::is_empty_json(slot.raw(line)) => Failed::No,
                (Form::Nested, _) => Failed::Named,
                _ if !values::failed(&slot.text(line), notation) => Failed::No,
                (_, ErrorNotation::Failed) => Failed::Named,
                (_, ErrorNotation::Success | ErrorNotation::Outcome) => Failed::Unsuccessful,
            };
            most = most.max(Some(says));
        }
        most
    }

    #[inline]
    fn status(&self, line: &str) -> Option<values::Status> {
        let first = self.first(Role::Status);
        let status = first.and_then(|(slot, at)| values::status_in(&slot.text(line), self.notations[at]));
        let Some(grpc) = self.grpc_status else { return status };
        // A gRPC call fails inside an HTTP answer that is 200.
        let slot = self.slots.get(usize::from(grpc)).filter(|slot| slot.is_scalar());
        let grpc = slot.and_then(|slot| values::status_in(&slot.text(line), StatusNotation::Grpc));
        match (status, grpc) {
            (Some(status), Some(grpc)) if !status.error && status.class < 4 && grpc.class >= 4 => Some(grpc),
            _ => status.or(grpc),
        }
    }

    /// Latency of a line that has no field for it, but says when the work started and when it ended.
    fn since_start(&self, line: &str, end: Timestamp) -> u64 {
        if !self.first(Role::Time).is_some_and(|(_, at)| self.end_times[at]) {
            return NO_LATENCY;
        }
        let start = self.text(Role::Start, line).and_then(|text| clock::parse_time(&text).ok());
        start.and_then(|start| u64::try_from(end.0 - start.0).ok()).unwrap_or(NO_LATENCY)
    }

    #[inline]
    fn level(&self, line: &str) -> Level {
        match self.first(Role::Level) {
            Some((slot, at)) if self.otel_levels[at] => values::level_of_severity_number(&slot.text(line)),
            Some((slot, _)) => values::level(&slot.text(line)),
            None => Level::Unknown,
        }
    }

    /// Kind of a line and the source that it belongs to; `chosen`: the source of its service's requests, once known.
    #[inline]
    fn kind(
        &self,
        line: &str,
        has_status: bool,
        has_latency: bool,
        access_line: bool,
        chosen: Option<RequestSource>,
    ) -> (Kind, RequestSource) {
        if access_line {
            return (Kind::Request, RequestSource::AccessLog);
        }
        let root = match self.first(Role::Root) {
            Some((Slot { form: Form::True, .. }, _)) => Some(true),
            Some((slot, _)) => values::truth(&slot.text(line)),
            None => None,
        };
        let has_parent = self.text(Role::Parent, line).is_some_and(|text| {
            // Some loggers write zeros for "no parent".
            !text.is_empty() && !text.bytes().all(|b| b == b'0')
        });
        let said = self.text(Role::Kind, line);
        let kind = match said.as_deref() {
            Some("request") => Kind::Request,
            Some("span") if root == Some(true) => Kind::Request,
            Some("span") => Kind::Span,
            Some("log") => Kind::Log,
            Some("exposure") => Kind::Exposure,
            Some("event") if !has_status => Kind::Business,
            // OpenTelemetry: a service is asked by others, or by nobody it knows of.
            Some("SPAN_KIND_SERVER" | "SPAN_KIND_CONSUMER") if !has_parent => {
                return (Kind::Request, RequestSource::RootSpan);
            }
            Some(kind) if kind.starts_with("SPAN_KIND_") => Kind::Span,
            _ => {
                let has_route = self.first(Role::Route).is_some() || self.first(Role::Method).is_some();
                if root == Some(true) || has_status || (has_latency && has_route) { Kind::Request } else { Kind::Log }
            }
        };
        if kind != Kind::Request {
            return (kind, RequestSource::Application);
        }
        if root == Some(true) {
            return (Kind::Request, RequestSource::RootSpan);
        }
        if self.is_proxy_line() {
            return (Kind::Request, RequestSource::AccessLog);
        }
        // Where a service marks its roots, what it does not mark is work inside them.
        if has_parent || root == Some(false) || chosen == Some(RequestSource::RootSpan) {
            return (Kind::Span, RequestSource::RootSpan);
        }
        (Kind::Request, RequestSource::Application)
    }

    /// The line is a proxy's or mesh's access log in JSON: no application calls its status `response_code`.
    fn is_proxy_line(&self) -> bool {
        self.proxy_status.is_some_and(|slot| self.slots.get(usize::from(slot)).is_some_and(Slot::is_scalar))
    }

    /// Service and environment; `None` when the environment is not the one asked for.
    #[inline]
    fn service(&mut self, line: &str) -> Option<NameId> {
        let environment = self.first(Role::Environment).map(|(slot, _)| slot).unwrap_or_default();
        let service = self.first(Role::Service).map(|(slot, _)| slot).unwrap_or_default();
        let short = match (Short::of(line, service), Short::of(line, environment)) {
            (Some(service), Some(environment)) => {
                Some((service.mixed() ^ environment.mixed().rotate_left(7), (service, environment)))
            }
            _ => None,
        };
        if let Some((mixed, key)) = &short
            && let Some(id) = self.services.get(*mixed, key)
        {
            return Some(id);
        }
        let environment = environment.text(line);
        if self.plan.environment.as_deref().is_some_and(|wanted| wanted != environment) {
            return None;
        }
        let text = service.text(line);
        // Envoy names clusters `outbound|80|subset|host`; the subset is the version, the host is the service.
        let name = text.rsplit_once('|').map_or(text.as_ref(), |(_, host)| host);
        let id = self.names.service(&environment, name);
        if let Some((mixed, key)) = short {
            self.services.put(mixed, key, id);
        }
        Some(id)
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
    fn route(&mut self, line: &str) -> NameId {
        match self.first(Role::Route) {
            Some((slot, _)) => {
                let short = Short::of(line, slot);
                if let Some(short) = short
                    && let Some(id) = self.short_routes.get(short.mixed(), &short)
                {
                    return id;
                }
                let text = slot.text(line);
                let id = self.routes.id_of(&text, &mut self.names);
                if let Some(short) = short {
                    self.short_routes.put(short.mixed(), short, id);
                }
                id
            }
            None => NO_NAME,
        }
    }

    #[inline]
    fn arm(&mut self, line: &str, unit: u64) -> Result<NameId, RejectReason> {
        match &self.plan.arms {
            ArmRule::None => Ok(NO_NAME),
            ArmRule::Field(_) => {
                let slot =
                    self.arm_slot.and_then(|slot| self.slots.get(usize::from(slot)).copied()).unwrap_or_default();
                if !slot.is_scalar() {
                    return Ok(NO_NAME);
                }
                let short = Short::of(line, slot);
                if let Some(short) = short
                    && let Some(id) = self.short_arms.get(short.mixed(), &short)
                {
                    return Ok(id);
                }
                let text = slot.text(line);
                let id = if text.is_empty() { NO_NAME } else { self.names.arm(&text) };
                if let Some(short) = short {
                    self.short_arms.put(short.mixed(), short, id);
                }
                Ok(id)
            }
            ArmRule::Hash { share_ppm, .. } => {
                if unit == 0 {
                    return Ok(NO_NAME);
                }
                let (baseline, canary) = self.two_arms();
                Ok(if in_split(unit, self.split_key, *share_ppm) { canary } else { baseline })
            }
            ArmRule::Queries { baseline, canary } => {
                let record = self.record(line);
                let matched = (baseline.matches(&record), canary.matches(&record));
                let (baseline, canary) = self.two_arms();
                match matched {
                    (true, false) => Ok(baseline),
                    (false, true) => Ok(canary),
                    (false, false) => Ok(NO_NAME),
                    (true, true) => Err(RejectReason::BothArms),
                }
            }
        }
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

    fn two_arms(&mut self) -> (NameId, NameId) {
        if let Some(arms) = self.two_arms {
            return arms;
        }
        let arms = (self.names.arm(BASELINE), self.names.arm(CANARY));
        self.two_arms = Some(arms);
        arms
    }

    /// Whether a query matches a line.
    #[cfg(test)]
    fn matches(&mut self, line: &str, query: &query::Query) -> bool {
        for path in query.fields() {
            self.want(&path);
        }
        match self.fill(line) {
            Filled::Json => query.matches(&self.record(line)),
            Filled::Access => query.matches(&self.record(&self.scratch)),
            Filled::Malformed | Filled::Unknown => false,
        }
    }

    /// Where the line that was decoded last says that its request is logged.
    pub(crate) fn source(&self) -> RequestSource {
        self.source
    }

    /// Which field of each role has a value in a line; for the survey's coverage.
    pub(crate) fn covered(&mut self, line: &str) -> Vec<(Role, Option<usize>)> {
        let line = without_mark(line);
        let text = match self.fill(line) {
            Filled::Json => line,
            Filled::Access => &self.scratch,
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

/// A value of at most 32 bytes, its bytes as numbers, zeros behind: equal numbers and lengths are equal values.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Short {
    words: [u64; 4],
    len: u32,
}

/// Longest value that is remembered by its bytes.
const SHORT_MAX: usize = 32;

/// All ones in front, by how many.
const FRONT: [[u8; SHORT_MAX]; SHORT_MAX + 1] = {
    let mut masks = [[0; SHORT_MAX]; SHORT_MAX + 1];
    let mut len = 0;
    while len <= SHORT_MAX {
        let mut at = 0;
        while at < len {
            masks[len][at] = u8::MAX;
            at += 1;
        }
        len += 1;
    }
    masks
};

impl Short {
    /// The value of a slot, read with what follows it in the line; `None` when it is long, escaped, or near the end.
    #[inline]
    fn of(line: &str, slot: Slot) -> Option<Short> {
        if slot.form == Form::Absent {
            return Some(Short::default());
        }
        let len = slot.until.wrapping_sub(slot.from);
        if !matches!(slot.form, Form::Plain | Form::Number) {
            return None;
        }
        let mask = FRONT.get(len as usize)?;
        let block = line.as_bytes().get(slot.from as usize..)?.first_chunk::<SHORT_MAX>()?;
        let (block, mask) = (words(block), words(mask));
        Some(Short { words: std::array::from_fn(|at| block[at] & mask[at]), len })
    }

    /// Any number that is mostly different for different values.
    #[inline]
    fn mixed(&self) -> u64 {
        let [a, b, c, d] = self.words;
        (a ^ b.rotate_left(17) ^ c.rotate_left(31) ^ d.rotate_left(47)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }
}

/// Direct-mapped memory of short names; `K` is one value or several.
#[derive(Debug)]
struct ShortNames<K> {
    /// Empty until the first name.
    entries: Vec<Option<(K, NameId)>>,
}

/// Places of a [`ShortNames`], a power of two.
const SHORT_PLACES: usize = 64;

impl<K> Default for ShortNames<K> {
    fn default() -> Self {
        ShortNames { entries: Vec::new() }
    }
}

impl<K: Copy + PartialEq> ShortNames<K> {
    #[inline]
    fn place(mixed: u64) -> usize {
        (mixed >> 58) as usize % SHORT_PLACES
    }

    #[inline]
    fn get(&self, mixed: u64, key: &K) -> Option<NameId> {
        match self.entries.get(Self::place(mixed))? {
            Some((known, id)) if known == key => Some(*id),
            _ => None,
        }
    }

    fn put(&mut self, mixed: u64, key: K, id: NameId) {
        if self.entries.is_empty() {
            self.entries = vec![None; SHORT_PLACES];
        }
        if let Some(entry) = self.entries.get_mut(Self::place(mixed)) {
            *entry = Some((key, id));
        }
    }
}

/// A line without the mark (U+FEFF) that some programs put at the start of a file.
pub(crate) fn without_mark(line: &str) -> &str {
    line.strip_prefix('\u{feff}').unwrap_or(line)
}

/// What a line's fields about failures say.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Failed {
    /// Nothing failed.
    No,
    /// Something failed, and is named; a status says whether the request did.
    Named,
    /// There was no success; a status that blames the client says that the service is not to blame.
    Unsuccessful,
    /// The work failed.
    Said,
}

/// What a line was filled from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Filled {
    Json,
    Access,
    Malformed,
    Unknown,
}

/// Routes by their text as written: masking is done once a text.
#[derive(Debug, Default)]
struct RouteCache {
    seen: crate::pipeline::intern::Table,
    texts: Vec<String>,
    ids: Vec<NameId>,
    masked: String,
}

/// Texts that are remembered; paths with ids in them would fill memory otherwise.
const ROUTE_TEXTS_MAX: usize = 4_096;

impl RouteCache {
    #[inline]
    fn id_of(&mut self, text: &str, names: &mut Interner) -> NameId {
        let hash = self.seen.hash(text);
        if let Some(at) = self.seen.get(hash, &self.texts, |known| known == text) {
            return self.ids.get(usize::from(at)).copied().unwrap_or(NO_NAME);
        }
        self.masked.clear();
        let id = if values::mask_route(text, &mut self.masked) { names.route(&self.masked) } else { names.route(text) };
        if self.texts.len() < ROUTE_TEXTS_MAX {
            self.seen.find(hash, &mut self.texts, |known| known == text, || text.to_owned());
            self.ids.push(id);
        }
        id
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

/// Bytes of the name of an arm in a damaged line; what is longer is no arm.
const ARM_TEXT_MAX: usize = 128;

/// Distinct fields that a plan may read.
pub const SLOTS_MAX: usize = 200;

/// Fills slots from an object that stands in a line; `node`: trie level of its keys.
fn scan(
    nodes: &mut [Node],
    node: usize,
    line: &str,
    object: Range<usize>,
    slots: &mut [Slot],
) -> Result<(), json::Malformed> {
    let (Some(level), Some(text)) = (nodes.get_mut(node), line.get(object.clone())) else { return Ok(()) };
    let mut fill =
        Fill { level, slots, from: object.start, place: 0, step: Step::default(), nested: Nested::default() };
    json::visit_object(text, &mut fill)?;
    if fill.nested.len == 0 {
        return Ok(());
    }
    let nested = fill.nested;
    for &(child, slot) in nested.objects.iter().take(nested.len) {
        scan(nodes, usize::from(child), line, slot.from as usize..slot.until as usize, slots)?;
    }
    Ok(())
}

/// Fills slots from one object while it is scanned.
struct Fill<'n> {
    level: &'n mut Node,
    slots: &'n mut [Slot],
    /// Where the object stands in the line.
    from: usize,
    /// Keys so far.
    place: usize,
    /// What the latest key leads to.
    step: Step,
    nested: Nested,
}

/// Objects to look into, with their trie level.
#[derive(Default)]
struct Nested {
    objects: [(u16, Slot); NESTED_MAX],
    len: usize,
}

impl<'a> json::Visit<'a> for Fill<'_> {
    #[inline(always)]
    fn expected(&mut self, bytes: &[u8], at: usize) -> Option<(usize, bool)> {
        let (ahead, lead) =
            self.level.candidates(self.place).iter().enumerate().find(|(_, lead)| lead.stands_at(bytes, at))?;
        self.place += ahead;
        self.step = lead.step;
        Some((at + usize::from(lead.len), lead.is_string))
    }

    fn key(&mut self, key: Str<'a>, lead: &[u8], is_string: bool) {
        (self.place, self.step) = self.level.look_up(self.place, &key, lead, is_string);
    }

    #[inline(always)]
    fn value(&mut self, kind: ValueKind, from: usize, until: usize) {
        self.place += 1;
        if self.step == Step::default() {
            return;
        }
        // Lines are shorter than 4 GiB ([`LINE_MAX`]).
        let stands = |form| Slot { from: (self.from + from) as u32, until: (self.from + until) as u32, form };
        let found = match kind {
            ValueKind::Null => Slot::default(),
            ValueKind::True => Slot { form: Form::True, ..Slot::default() },
            ValueKind::False => Slot { form: Form::False, ..Slot::default() },
            ValueKind::Number => stands(Form::Number),
            ValueKind::Plain => stands(Form::Plain),
            ValueKind::Escaped => stands(Form::Escaped),
            ValueKind::Object | ValueKind::Array => stands(Form::Nested),
        };
        if let Some(slot) = self.step.slot
            && let Some(slot) = self.slots.get_mut(usize::from(slot))
        {
            *slot = found;
        }
        if let (Some(child), ValueKind::Object) = (self.step.node, kind)
            && let Some(object) = self.nested.objects.get_mut(self.nested.len)
        {
            *object = (child, found);
            self.nested.len += 1;
        }
    }
}

/// Objects of one level that are looked into: as many as wanted paths can share a level.
const NESTED_MAX: usize = 16;

impl Node {
    /// What may come at a place. What was learned behind the opening brace holds only there.
    #[inline(always)]
    fn candidates(&self, place: usize) -> &[Lead] {
        let rest = self.expected.get(place..).unwrap_or_default();
        rest.get(..if place == 0 { 1 } else { LOOK_AHEAD }).unwrap_or(rest)
    }

    /// Finds a key that was not expected, and remembers it; gives its place and what it leads to.
    #[cold]
    fn look_up(&mut self, place: usize, key: &Str<'_>, lead: &[u8], is_string: bool) -> (usize, Step) {
        let step = self.keys.get(key.get().as_ref()).copied().unwrap_or_default();
        let text = if is_string { lead.split_last().map_or(lead, |(_, text)| text) } else { lead };
        // A key whose value is a string in one line and none in the other.
        if let Some(ahead) = self.candidates(place).iter().position(|known| known.text() == text)
            && let (Some(known), Some(lead)) = (self.expected.get_mut(place + ahead), Lead::new(text, false, step))
        {
            *known = lead;
            return (place + ahead, step);
        }
        if let Some(lead) = Lead::new(lead, is_string, step) {
            if place > 0 && place <= self.expected.len() && self.expected.len() < EXPECTED_MAX {
                self.expected.insert(place, lead);
            } else if place < EXPECTED_MAX {
                if self.expected.len() <= place {
                    self.expected.resize(place + 1, Lead::NONE);
                }
                self.expected[place] = lead;
            }
        }
        (place, step)
    }
}

/// Parts of an access-log line under the names that roles and queries use.
fn access_field<'a>(line: &access::Access<'a>, path: &str) -> AccessField<'a> {
    let text = match path {
        "status" => return AccessField::Number(u64::from(line.status)),
        "bytes" => return line.bytes.map_or(AccessField::Absent, AccessField::Number),
        "time" => Some(line.time),
        "client" => Some(line.client),
        "user" => line.user,
        "method" => line.method,
        "path" => line.path,
        "protocol" => line.protocol,
        "referer" => line.referer,
        "agent" => line.agent,
        "request_time" => line.request_time,
        "host" => line.vhost,
        _ => None,
    };
    text.map_or(AccessField::Absent, AccessField::Text)
}

/// A part of an access-log line.
enum AccessField<'a> {
    Text(&'a str),
    Number(u64),
    Absent,
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
    /// What the slots refer to.
    line: &'a str,
    /// The line itself where it is no JSON: its own message.
    message: Option<&'a str>,
    paths: &'a [String],
    slots: &'a [Slot],
    stream: &'a str,
}

impl query::Record for LineRecord<'_> {
    fn field(&self, path: &str) -> Option<query::Value<'_>> {
        if path == STREAM_PATH {
            return Some(query::Value::Str(Cow::Borrowed(self.stream)));
        }
        let slot = self.paths.iter().position(|known| known == path).and_then(|at| self.slots.get(at)).copied();
        let slot = slot.unwrap_or_default();
        match slot.form {
            Form::True => Some(query::Value::Bool(true)),
            Form::False => Some(query::Value::Bool(false)),
            Form::Number => Some(match number::parse_f64(slot.raw(self.line)) {
                Some(number) => query::Value::Number(number),
                None => query::Value::Str(Cow::Borrowed(slot.raw(self.line))),
            }),
            Form::Plain | Form::Escaped => Some(query::Value::Str(slot.text(self.line))),
            Form::Nested => Some(nested_value(slot.raw(self.line))),
            Form::Absent if path == query::MESSAGE => self.message.map(|text| query::Value::Str(Cow::Borrowed(text))),
            Form::Absent => None,
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

#[cfg(test)]
mod tests;
