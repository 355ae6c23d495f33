//! What a line becomes: an [`Event`] with resolved names and hashed identities, or a counted reject.
//!
//! Events are small and own nothing, so that a stream of them can be kept and judged again under other labels.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Kinds of records: what a line counts towards.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// One finished piece of work seen by the outermost logger that we have.
    Request,
    /// Work inside a request.
    Span,
    /// Any other line.
    Log,
    /// A unit was given a version or flag variant.
    Exposure,
    /// A named business event of a unit.
    Business,
}

impl Kind {
    /// The word for it, as lines, queries and reports have it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Request => "request",
            Kind::Span => "span",
            Kind::Log => "log",
            Kind::Exposure => "exposure",
            Kind::Business => "event",
        }
    }
}

/// Normalised severity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Level {
    /// No level in the line.
    Unknown,
    /// Trace.
    Trace,
    /// Debug.
    Debug,
    /// Info, notice.
    Info,
    /// Warning.
    Warn,
    /// Error.
    Error,
    /// Fatal, critical, alert, emergency, panic.
    Fatal,
}

impl Level {
    /// The word for it; empty where the line has none.
    pub fn name(self) -> &'static str {
        match self {
            Level::Unknown => "",
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Fatal => "fatal",
        }
    }
}

/// How the value of a role stands in a line.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum FieldForm {
    /// No field of the role, or one that says nothing (null, empty, `-`).
    #[default]
    Absent,
    /// A JSON number; the notation of an access log, which knows no other.
    Number,
    /// A text.
    Text,
    /// A field is there, and its value is none of the role: an object, a list, a word.
    Unreadable,
}

/// Index of a name in the [`Names`] that belong to the same batch.
pub type NameId = u16;

/// "No name": the line carries no arm, no route, or no instance.
pub const NO_NAME: NameId = NameId::MAX;

/// Name that stands for all names past a bound.
pub const OTHER: &str = "(other)";

/// "No latency in this line", in microseconds.
pub const NO_LATENCY: u64 = u64::MAX;

/// "No template": the line has no text, or one that is not looked at.
pub const NO_TEMPLATE: u64 = 0;

/// Id of all templates past a bound, counted together. No text has it.
pub const OVERFLOW_TEMPLATE: u64 = 1;

/// Weight of a line that stands for itself alone. Weights are fixed point, so that sums of them can be merged in any order:
/// one is a whole number of 4,096ths, within 0.013 % of what the sampler says. Such sums say whether both arms are sampled
/// alike; no test counts with them.
pub const WEIGHT_ONE: u32 = 1 << 12;

/// Greatest weight: a line stands for a million at most.
pub const WEIGHT_MAX: u32 = 1_000_000 * WEIGHT_ONE;

/// Fields whose values are segments, in one plan.
pub const SEGMENT_FIELDS_MAX: usize = 4;

/// [`Event::segments`] of a line that names none.
pub const NO_SEGMENTS: [NameId; SEGMENT_FIELDS_MAX] = [NO_NAME; SEGMENT_FIELDS_MAX];

/// Metrics of one's own, in one plan.
pub const METRICS_MAX: usize = 4;

/// [`Event::metrics`] of a line that says nothing of any; one that does has for it one more than a bin of
/// [`crate::sketch::latency`]: of a ratio 0 or 1, of a gauge that of its thousandths.
pub const NO_METRICS: [u16; METRICS_MAX] = [0; METRICS_MAX];

/// [`Event::metrics`] of a line whose gauge has a value that is no number from 0 on.
pub const METRIC_UNREAD: u16 = u16::MAX;

/// [`Event::sampling`] where the plan reads no sampling rate.
pub const NOT_SAMPLED: u16 = 0;

/// [`Event::sampling`] of an event of a route, where the plan reads a sampling rate.
pub fn sampling_group(route: Option<&str>) -> u16 {
    1 + route.map_or(0, |route| (identity_hash(route.as_bytes()) & 0xff) as u16)
}

/// One line, understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Event time; of a request its completion.
    pub time: Timestamp,
    /// Offset of the line in its stream, in bytes of decoded text.
    pub offset: u64,
    /// Hash of the unit of assignment; 0 when the line has none.
    pub unit: u64,
    /// Hash of the trace; 0 when the line has none.
    pub trace: u64,
    /// Hash of the request id with unit, route and method; 0 when the line has none that is unique within these, or
    /// attempts are not joined.
    pub request: u64,
    /// Hash of what all requests have in common that one call from outside makes: the trace, else the request id; 0 when the line has
    /// neither, or is no request.
    #[serde(default)]
    pub call: u64,
    /// Latency in microseconds, [`NO_LATENCY`] when the line has none.
    pub latency_us: u64,
    /// (environment, service), an index into [`Names::services`].
    pub service: NameId,
    /// Arm as the line says, an index into [`Names::arms`], or [`NO_NAME`].
    pub arm: NameId,
    /// Route, an index into [`Names::routes`], or [`NO_NAME`].
    pub route: NameId,
    /// Instance (pod, host) that wrote the line, an index into [`Names::instances`], or [`NO_NAME`].
    pub instance: NameId,
    /// How many events this line stands for, as the sampler that kept it says, in units of 1 / [`WEIGHT_ONE`].
    pub weight: u32,
    /// How its latency stands in the line; told only of requests that did not fail.
    pub latency_form: FieldForm,
    /// How its status stands in the line; told only of requests that did not fail.
    pub status_form: FieldForm,
    /// What a sampler may go by: [`NOT_SAMPLED`] where the plan reads no sampling rate, else one more than 8 bits of a hash of
    /// the route.
    pub sampling: u16,
    /// The line has a sampling rate that is none; it counts once.
    pub rate_unread: bool,
    /// What the line counts towards.
    pub kind: Kind,
    /// Severity.
    pub level: Level,
    /// Status divided by 100 (1..=5), 0 when the line has no status.
    pub status_class: u8,
    /// Value of each field whose values are segments, an index into [`Names::segments`] of that field, or [`NO_NAME`].
    // A number in place of SEGMENT_FIELDS_MAX: with the name the compiler (1.95) fails on closures that hold an event.
    pub segments: [NameId; 4],
    /// Number of the business event, as the plan counts those that it names, plus one; 0 for any other line.
    pub conversion: u8,
    /// What the line says of each metric of the plan.
    // A number in place of METRICS_MAX, as for segments.
    pub metrics: [u16; 4],
    /// The piece of work failed.
    pub error: bool,
    /// Id of the line's template, [`NO_TEMPLATE`] where its text is not looked at; its text stands in [`Names::templates`].
    pub template: u64,
}

impl Event {
    /// A line of level warn or worse that names an arm and no unit, a failed request aside: it counts for its arm.
    #[inline]
    pub fn warns_for_arm(&self) -> bool {
        self.level >= Level::Warn && !self.error && self.unit == 0 && self.arm != NO_NAME
    }
}

/// Environment, cell and service: what metrics are kept for. Nothing of one is compared with another.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub struct ServiceKey {
    /// Environment; empty when the log has none.
    pub environment: String,
    /// Cell of the environment (a city, a region, a compartment); empty where a line names none.
    pub cell: String,
    /// Service; empty when the log has none.
    pub service: String,
}

impl std::fmt::Display for ServiceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let service = if self.service.is_empty() { "(unnamed service)" } else { &self.service };
        match (self.environment.as_str(), self.cell.as_str()) {
            ("", "") => f.write_str(service),
            (environment, "") => write!(f, "{service} in {environment}"),
            ("", cell) => write!(f, "{service} in cell {cell}"),
            (environment, cell) => write!(f, "{service} in {environment}, cell {cell}"),
        }
    }
}

impl ServiceKey {
    /// The service over all its cells: how its lines are written is the same in each.
    pub fn without_cell(&self) -> ServiceKey {
        self.in_cell("")
    }

    /// The service in a cell.
    pub fn in_cell(&self, cell: &str) -> ServiceKey {
        ServiceKey { cell: cell.to_owned(), ..self.clone() }
    }

    /// Whether what this service logs of units (exposures, business events, metrics) is of a service that is judged: where lines name no
    /// environment or no cell it is of every one, as it is of a service that is not cut into cells. A service that is cut speaks for the
    /// cell that it names alone.
    pub fn concerns(&self, judged: &ServiceKey) -> bool {
        let is_environment = self.environment.is_empty() || self.environment == judged.environment;
        let is_uncut = judged.cell.is_empty() && judged.service != self.service;
        is_environment && (self.cell.is_empty() || self.cell == judged.cell || is_uncut)
    }
}

/// The names that a batch of events refers to by index.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Names {
    /// Services with their environment.
    pub services: Vec<ServiceKey>,
    /// Arms: values of the arm field, or `baseline` and `canary` where queries decide.
    pub arms: Vec<String>,
    /// Routes.
    pub routes: Vec<String>,
    /// Instances: pods, hosts.
    pub instances: Vec<String>,
    /// Texts of templates, found by their id.
    pub templates: Vec<TemplateText>,
    /// Values of each field whose values are segments, in the order of the plan's fields.
    pub segments: [Vec<String>; SEGMENT_FIELDS_MAX],
}

/// What lines of one template have in common. Values are masked: no user's text is in it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct TemplateText {
    /// Id of the template; equal ids have equal texts.
    pub id: u64,
    /// Its text, cut after [`TEMPLATE_TEXT_MAX`] bytes.
    pub text: String,
}

impl TemplateText {
    /// The text of a template, cut.
    pub fn new(id: u64, text: &[u8]) -> TemplateText {
        let mut end = text.len().min(TEMPLATE_TEXT_MAX);
        while end > 0 && text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
            end -= 1;
        }
        TemplateText { id, text: String::from_utf8_lossy(text.get(..end).unwrap_or_default()).into_owned() }
    }
}

impl std::hash::Hash for TemplateText {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

/// Bytes of a template's text that are kept for reports; its id is of the whole.
pub const TEMPLATE_TEXT_MAX: usize = 400;

/// Names that grow while lines are read.
pub trait Intern {
    /// All names so far.
    fn names(&self) -> &Names;
    /// The same, to be kept: names that are added later are not in it.
    fn shared(&self) -> Arc<Names>;
    /// Index of a service, by environment, cell and name.
    fn service(&mut self, environment: &str, cell: &str, service: &str) -> NameId;
    /// Index of an arm.
    fn arm(&mut self, arm: &str) -> NameId;
    /// Index of a route.
    fn route(&mut self, route: &str) -> NameId;
    /// Index of an instance.
    fn instance(&mut self, instance: &str) -> NameId;
    /// Makes the text of a template known.
    fn template(&mut self, id: u64, text: &[u8]);
    /// Index of a value of the `field`-th field whose values are segments.
    fn segment(&mut self, field: usize, value: &str) -> NameId;
}

/// Name at an index, when there is one.
pub fn name_at(list: &[String], id: NameId) -> Option<&String> {
    if id == NO_NAME { None } else { list.get(usize::from(id)) }
}

/// Why a line could not become an event. Each is counted, and the line can be kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RejectReason {
    /// Not valid UTF-8.
    NotUtf8,
    /// Longer than the longest line that is read.
    TooLong,
    /// Truncated or malformed JSON.
    Malformed,
    /// Neither a JSON object nor a line of an access log nor of any other known form.
    UnknownFormat,
    /// No field with a time.
    NoTime,
    /// The time is in no known notation.
    BadTime,
    /// The time lies outside 1980 to 2200.
    TimeOutOfRange,
    /// Far ahead of the stream's time, and no further line agreed.
    Quarantined,
    /// The service is past the bound of distinct services of a batch. (An arm, route or instance past theirs is none.)
    TooManyNames,
    /// Both arm queries match: the line would count for both arms, or for neither.
    BothArms,
    /// Of no known form, and what a runtime writes when a program dies.
    CrashText,
}

impl RejectReason {
    /// Every reason, in order.
    pub const ALL: [RejectReason; 11] = [
        RejectReason::NotUtf8,
        RejectReason::TooLong,
        RejectReason::Malformed,
        RejectReason::UnknownFormat,
        RejectReason::NoTime,
        RejectReason::BadTime,
        RejectReason::TimeOutOfRange,
        RejectReason::Quarantined,
        RejectReason::TooManyNames,
        RejectReason::BothArms,
        RejectReason::CrashText,
    ];

    /// A record was there, and cannot be told to belong to one arm: what it said is lost to the comparison.
    pub fn is_damage(self) -> bool {
        match self {
            RejectReason::NotUtf8 | RejectReason::TooLong | RejectReason::Malformed | RejectReason::BothArms => true,
            RejectReason::UnknownFormat
            | RejectReason::NoTime
            | RejectReason::BadTime
            | RejectReason::TimeOutOfRange
            | RejectReason::Quarantined
            | RejectReason::TooManyNames
            | RejectReason::CrashText => false,
        }
    }

    /// The word that counts and reject files use.
    pub fn name(self) -> &'static str {
        match self {
            RejectReason::NotUtf8 => "not_utf8",
            RejectReason::TooLong => "too_long",
            RejectReason::Malformed => "malformed",
            RejectReason::UnknownFormat => "unknown_format",
            RejectReason::CrashText => "crash_text",
            RejectReason::NoTime => "no_time",
            RejectReason::BadTime => "bad_time",
            RejectReason::TimeOutOfRange => "time_out_of_range",
            RejectReason::Quarantined => "quarantined",
            RejectReason::TooManyNames => "too_many_names",
            RejectReason::BothArms => "both_arms",
        }
    }
}

/// Hash of an identity (unit, trace, request): stable for ever, since replays depend on it; never 0.
pub fn identity_hash(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64_with_seed(bytes, 0x5e71_4000_0000_0001).max(1)
}

/// Mixes a hash with a key, so that uses (buckets, samples, splits) are independent of each other.
///
/// The finaliser of splitmix64 (Steele, Lea, Flood 2014).
pub fn mix(hash: u64, key: u64) -> u64 {
    let mut z = hash ^ key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Key of the 64 buckets of the bucket test.
pub const KEY_BUCKET: u64 = 1;
/// Key of the sample of units whose (unit, route) and (unit, service) pairs are kept.
pub const KEY_PAIRS: u64 = 2;
/// Key of the sample of traces.
pub const KEY_TRACES: u64 = 3;
/// Key of the order of evidence lines.
pub const KEY_EVIDENCE: u64 = 4;
/// Key of the order of activities of one unit at the same microsecond.
pub const KEY_TIE: u64 = 5;
/// Key of the sample of units that the unit store goes on with once it is full.
pub const KEY_STORE: u64 = 6;
/// Cell of the user effects.
pub const KEY_EFFECTS: u64 = 8;
/// Key of the sample of units whose exposures are remembered.
pub const KEY_EXPOSED: u64 = 11;
/// Key of the sample of units that are followed when it is asked who uses a feature.
pub const KEY_ADOPTION: u64 = 9;
/// Key of the sample of them whose first uses are weighed.
pub const KEY_ADOPTION_USES: u64 = 10;
/// Key of the sample of units whose metrics are followed.
pub const KEY_METRICS: u64 = 12;
/// Key of the sample of calls whose requests are counted.
pub const KEY_CALLS: u64 = 13;

/// Bucket (0..64) of a unit for the bucket test.
pub fn bucket_of(unit: u64) -> u32 {
    (mix(unit, KEY_BUCKET) >> 58) as u32
}
