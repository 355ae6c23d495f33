//! What a window brings to a comparison.

use crate::engine::conversions::Converted;
use crate::engine::metrics::Measured;
use crate::engine::segments::SegmentInput;
use crate::engine::templates::TemplateInput;
use crate::engine::units::Arm;
use crate::event::{self, Names};
use crate::sketch::latency::LatencyTable;
use crate::sketch::rows::EvidenceRow;
use crate::sketch::weights::WeightTable;
use crate::time::Timestamp;

/// What a unit did in a window under one arm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Activity {
    /// Hash of the unit.
    pub unit: u64,
    /// Arm.
    pub arm: Arm,
    /// Earliest activity, microseconds after the start of the window.
    pub first: u32,
    /// Second earliest request, or [`NEVER`].
    pub second: u32,
    /// Requests; 0 for a bare exposure.
    pub requests: u32,
    /// Failed requests.
    pub errors: u32,
    /// Largest latency bin plus one.
    pub slowest: u16,
    /// Latency bin plus one of the earliest request.
    pub first_latency: u16,
    /// Requests whose first attempt failed and whose last did not.
    pub recovered: u32,
}

/// Everything a window brings to a comparison.
#[derive(Debug)]
pub struct WindowInput<'a> {
    /// Number of the window.
    pub window: i64,
    /// Its start.
    pub start: Timestamp,
    /// Its end.
    pub end: Timestamp,
    /// Activities, sorted by unit.
    pub activities: &'a [Activity],
    /// Latencies of (control, candidate).
    pub latency: [LatencyTable; 2],
    /// Routes of sampled units: (unit, route, status classes as bits), sorted by unit.
    pub routes: Vec<(u64, Option<&'a str>, u8)>,
    /// Lines of level warn or worse of (control, candidate), by bucket.
    pub warnings: [LatencyTable; 2],
    /// What requests of (control, candidate) lack, by bucket.
    pub gaps: [LatencyTable; 2],
    /// Requests without a unit of (control, candidate), and failed ones among them: in no test, but within the limits.
    pub without_unit: [[u64; 2]; 2],
    /// Business events of the policy.
    pub conversions: &'a [Converted],
    /// What lines say of the metrics of the policy.
    pub metrics: (&'a [Measured], u64),
    /// Units that another service gave an arm, and when, in order of services and units.
    pub exposed_elsewhere: Vec<(u64, Arm, Timestamp)>,
    /// Sampling weights of requests of (control, candidate).
    pub weights: [WeightTable; 2],
    /// Traces that are complete.
    pub traces: Vec<CompleteTrace>,
    /// Evidence of the entry service under (control, candidate).
    pub evidence: [Vec<Evidence>; 2],
    /// Templates of the entry service.
    pub templates: TemplateInput<'a>,
    /// Segments of units, sorted by unit; empty where there are none.
    pub segments: Vec<SegmentInput>,
    /// Names of the window, which `segments` refers to.
    pub names: &'a Names,
}

/// A trace that will not grow any more.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CompleteTrace {
    /// Hash of the trace.
    pub hash: u64,
    /// Unit of its request, 0 when that has none.
    pub unit: u64,
    /// Arm, as the request carried it.
    pub arm: Option<Arm>,
    /// Lines of any kind.
    pub lines: u64,
    /// Names of the services that it called.
    pub services: Vec<String>,
}

/// A line that shows a finding: where it stands and what the roles say, never its text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Evidence {
    /// Rank within its class.
    pub rank: (u8, u64),
    /// A slow request, not a failed one.
    pub slow: bool,
    /// Stream.
    pub stream: String,
    /// Offset in the stream.
    pub offset: u64,
    /// Event time.
    pub time: Timestamp,
    /// Route.
    pub route: String,
    /// Latency bin plus one.
    pub latency: u16,
    /// Status divided by 100.
    pub status_class: u8,
}

impl Evidence {
    /// Evidence from a row of a window.
    pub fn new(row: &EvidenceRow, start: Timestamp, streams: &[String], routes: &[String]) -> Evidence {
        Evidence {
            rank: row.rank,
            slow: row.class == crate::sketch::rows::EvidenceClass::Slow,
            stream: streams.get(usize::from(row.stream)).cloned().unwrap_or_default(),
            offset: row.offset,
            time: Timestamp(start.0 + i64::from(row.at)),
            route: event::name_at(routes, row.route).cloned().unwrap_or_default(),
            latency: row.latency,
            status_class: row.status_class,
        }
    }
}
