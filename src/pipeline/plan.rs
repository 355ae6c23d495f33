//! The plan: which field plays which role, which line belongs to which arm. Everything that turns bytes into events.
//!
//! A plan is found by [`super::survey`] or given by the user; the ledger starts with it, so that a replay decodes the
//! same way.

use std::collections::{BTreeMap, BTreeSet};

use crate::event::ServiceKey;
use crate::pipeline::clock::Zone;
use crate::pipeline::metric::Metric;
use crate::pipeline::prepare::{GIVEN_EVENT, Preparation};
use crate::pipeline::roles::{LatencyUnit, Role};
use crate::pipeline::shape::table::Table;
use crate::query::Query;
use crate::time::{Timestamp, Windowing};

/// A field that plays a role.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct FieldRef {
    /// Path, dots as steps into objects or as part of names.
    pub path: String,
    /// Unit, where the role is latency.
    pub unit: Option<LatencyUnit>,
}

/// What a line has that is told by it: a field, or a field with this value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Mark {
    /// Path of the field.
    pub path: String,
    /// Its value, where not any.
    pub value: Option<String>,
}

/// Lines of one form that are work inside requests.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct WorkForm {
    /// What each of its lines has, and no request.
    pub marks: BTreeSet<Mark>,
    /// None of its lines has a status: one that has is something else, whatever fields it shares with them.
    pub lacks_status: bool,
}

/// How a line finds its arm.
#[expect(clippy::large_enum_variant, reason = "there is one of these in a program")]
#[derive(Clone, PartialEq, Debug)]
pub enum ArmRule {
    /// The line does not carry an arm.
    None,
    /// The value of a field is the arm.
    Field(String),
    /// The hash of the pod's template in the pod's name is the arm: see
    /// [`values::pod_template`](super::values::pod_template).
    PodTemplate {
        /// Field that holds the pod's name.
        path: String,
        /// The workloads whose pods have an arm: each the only one of a service that the first lines showed. A workload
        /// that comes later is no version of these.
        workloads: BTreeSet<String>,
    },
    /// Two queries decide; a line that matches neither has no arm, one that matches both is rejected.
    Queries {
        /// Lines of the baseline.
        baseline: Query,
        /// Lines of the canary.
        canary: Query,
    },
    /// A keyed hash of the unit decides: for proof on one's own logs, and for replayed assignments.
    Hash {
        /// Share of units in the canary, in parts per million.
        share_ppm: u32,
        /// Seed of the assignment.
        seed: String,
    },
}

/// Name of the arm that [`ArmRule::Queries`] and [`ArmRule::Hash`] give to baseline lines.
pub const BASELINE: &str = "baseline";
/// Name of the arm that [`ArmRule::Queries`] and [`ArmRule::Hash`] give to canary lines.
pub const CANARY: &str = "canary";

/// What the unit of assignment is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum UnitKind {
    /// A user.
    User,
    /// A session.
    Session,
    /// A client address.
    Client,
    /// A trace: independent requests.
    Trace,
    /// An instance.
    Instance,
    /// Each request is its own unit: no field names one.
    Request,
}

impl UnitKind {
    /// Kinds in the order of preference, with the role of their field.
    pub const BY_ROLE: [(UnitKind, Role); 5] = [
        (UnitKind::User, Role::User),
        (UnitKind::Session, Role::Session),
        (UnitKind::Client, Role::Client),
        (UnitKind::Trace, Role::Trace),
        (UnitKind::Instance, Role::Instance),
    ];

    /// The word for one such unit.
    pub fn name(self) -> &'static str {
        match self {
            UnitKind::User => "user",
            UnitKind::Session => "session",
            UnitKind::Client => "client address",
            UnitKind::Trace => "trace",
            UnitKind::Instance => "instance",
            UnitKind::Request => "request",
        }
    }

    /// The plural of [`UnitKind::name`].
    pub fn plural(self) -> &'static str {
        match self {
            UnitKind::User => "users",
            UnitKind::Session => "sessions",
            UnitKind::Client => "client addresses",
            UnitKind::Trace => "traces",
            UnitKind::Instance => "instances",
            UnitKind::Request => "requests",
        }
    }

    /// The kind of a word.
    pub fn from_name(name: &str) -> Option<UnitKind> {
        [UnitKind::User, UnitKind::Session, UnitKind::Client, UnitKind::Trace, UnitKind::Instance, UnitKind::Request]
            .into_iter()
            .find(|kind| kind.name() == name)
    }

    /// Units come once: no unit can be seen in both arms, so how requests are routed is no question.
    pub fn is_once(self) -> bool {
        matches!(self, UnitKind::Trace | UnitKind::Request)
    }
}

/// Field in which a line says itself which source its request is from, in the words of [`RequestSource::name`]: what another
/// program wrapped, or a user knows.
pub const SOURCE_PATH: &str = "serin.source";

/// Where the requests of a service are taken from: one source each, so that no request counts twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum RequestSource {
    /// A proxy's or mesh's access log.
    AccessLog,
    /// Root spans.
    RootSpan,
    /// The application's own request log.
    Application,
    /// Of it, the lines that say how a request ended; those without, and those with all marks of a form of [`Plan::inside`], are work inside requests. No
    /// line is of this source: it is one to take.
    Answered,
    /// Lines of the application with a path and a duration, and without a word of how it ended: the request as others say it that take
    /// part in it, such as a database's library; or a request whose line lacks its status. And whatever has all marks of a form of [`Plan::inside`].
    Timed,
    /// Lines of the application that look like its calls to others: a whole URL and no path of its own, or a peer. They are requests
    /// where a service logs nothing else that looks like one.
    Outgoing,
}

impl RequestSource {
    /// The word that reports use.
    pub fn name(self) -> &'static str {
        match self {
            RequestSource::AccessLog => "access log",
            RequestSource::RootSpan => "root span",
            RequestSource::Application => "application log",
            RequestSource::Answered => "application log with a status",
            RequestSource::Timed => "timed work",
            RequestSource::Outgoing => "outgoing calls",
        }
    }

    /// Requests are taken from lines of a source, where this one was chosen.
    pub fn takes(self, line: RequestSource) -> bool {
        match self {
            RequestSource::Application => matches!(line, RequestSource::Application | RequestSource::Timed),
            RequestSource::Answered => line == RequestSource::Application,
            RequestSource::AccessLog | RequestSource::RootSpan | RequestSource::Timed | RequestSource::Outgoing => {
                line == self
            }
        }
    }

    /// The source of a word.
    pub fn from_name(name: &str) -> Option<RequestSource> {
        use RequestSource::{AccessLog, Answered, Application, Outgoing, RootSpan, Timed};
        [AccessLog, RootSpan, Application, Answered, Timed, Outgoing].into_iter().find(|source| source.name() == name)
    }
}

/// Most times of an event that can be asked of a unit.
pub const TIMES_MAX: u16 = 1_000;

/// Business events that a plan can name: one bit of a unit each.
pub const CONVERSIONS_MAX: usize = 8;

/// Fields that are known to hold the name of a business event, where the user names none.
pub const EVENT_NAME_FIELDS: [&str; 8] = [
    "event.name",
    "event_name",
    "eventName",
    "EventName",
    "event",
    "event.action",
    "attributes.event.name",
    "Attributes.event.name",
];

/// Business events that are tested, and where their name stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Conversions {
    /// Names of the events, as lines write them; at most [`CONVERSIONS_MAX`].
    pub names: Vec<String>,
    /// Field that holds the name; [`EVENT_NAME_FIELDS`] where none is given.
    pub field: Option<String>,
    /// Names of those that do harm: they may not become more frequent, where the others may not become rarer.
    pub harms: BTreeSet<String>,
    /// How many times a unit meets one before it counts, where that is not once: from 2 to [`TIMES_MAX`].
    pub at_least: BTreeMap<String, u16>,
}

impl Conversions {
    /// No event is named.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Fields that may hold the name; the first is the one by which a pipeline makes a line, also a request's, an event.
    pub fn fields(&self) -> Vec<&str> {
        match &self.field {
            _ if self.is_empty() => Vec::new(),
            Some(field) => vec![GIVEN_EVENT, field],
            None => std::iter::once(GIVEN_EVENT).chain(EVENT_NAME_FIELDS).collect(),
        }
    }
}

/// Everything that turns the bytes of streams into events.
#[derive(Clone, PartialEq, Debug)]
pub struct Plan {
    /// Fields of each role, tried in order.
    pub roles: BTreeMap<Role, Vec<FieldRef>>,
    /// What the unit of assignment is.
    pub unit: UnitKind,
    /// How a line finds its arm.
    pub arms: ArmRule,
    /// Request source of each service that was seen; an unknown service takes all.
    pub sources: BTreeMap<ServiceKey, RequestSource>,
    /// What only work inside requests has, of services whose requests are [`RequestSource::Answered`]: each of its forms.
    pub inside: BTreeMap<ServiceKey, BTreeSet<WorkForm>>,
    /// Only this service's rollout is judged; lines of others still count in traces.
    pub service: Option<String>,
    /// Only this environment's lines are read.
    pub environment: Option<String>,
    /// Traces are followed: some have several lines.
    pub follow_traces: bool,
    /// Attempts that share a request id are joined: some do.
    pub join_attempts: bool,
    /// Access lines that end in how long the request took tell when it was received: it counts when it was completed.
    pub adds_duration: bool,
    /// When the year begins in which times lie that name none, where lines have such times.
    pub years_from: Option<Timestamp>,
    /// The zone of times that name none, but for streams whose pipeline names one.
    pub zone: Zone,
    /// Headers of streams of CSV and TSV, by which lines are read; at most [`TABLES_MAX`](super::shape::table::TABLES_MAX).
    pub tables: Vec<Table>,
    /// Business events that are tested.
    pub conversions: Conversions,
    /// Metrics of one's own that are tested; at most [`METRICS_MAX`](super::metric::METRICS_MAX).
    pub metrics: Vec<Metric>,
    /// Fields whose values are segments: groups of units that are looked at by themselves. At most
    /// [`SEGMENT_FIELDS_MAX`](crate::event::SEGMENT_FIELDS_MAX).
    pub segments: Vec<String>,
    /// What is done to lines before they are read.
    pub preparation: Preparation,
    /// How events are cut into windows.
    pub windowing: Windowing,
}

impl Plan {
    /// The fields of a role.
    pub fn fields(&self, role: Role) -> &[FieldRef] {
        self.roles.get(&role).map_or(&[], Vec::as_slice)
    }

    /// The zone of times of a stream that name none.
    pub fn zone_of(&self, stream: &str) -> &Zone {
        self.preparation.zone_of(stream).unwrap_or(&self.zone)
    }
}
