//! Rows that travel in a window partial: one for each unit that was active, exposed, or met a route or a trace.
//!
//! Rows are collected loose and settled once: sorted by key, equal keys combined. Offsets inside the window are in
//! microseconds, so a window is at most an hour long.

use core::cmp::{Ordering, Reverse};

use crate::event::{self, NameId, SEGMENT_FIELDS_MAX};
use crate::sketch::sort::{gather_by_place, sort_by_place};

/// Longest window, in microseconds: offsets inside it fit 32 bits.
pub const WINDOW_MAX: i64 = 3_600_000_000;

/// "No second request", "no root yet".
pub const NEVER: u32 = u32::MAX;

/// Loose rows above which a list is settled early, so that its size follows distinct units and not lines.
const SETTLE_EVERY: usize = 1 << 16;

/// A row with a key under which rows combine.
pub trait Row: Copy {
    /// Sort key; rows with equal keys combine.
    type Key: Ord;
    /// The key of this row.
    fn key(&self) -> Self::Key;
    /// First bits of the key as a number: the row with the smaller place has the smaller key.
    fn place(&self) -> u64;
    /// Adds a row with the same key.
    fn combine(&mut self, other: &Self);
    /// Renames service, arm and route.
    fn rename(&mut self, names: &Renaming);
}

/// New index of each old index.
#[derive(Clone, Debug, Default)]
pub struct Renaming {
    /// Services.
    pub services: Vec<NameId>,
    /// Arms.
    pub arms: Vec<NameId>,
    /// Arms that are past the bound of their service, by (old service, old arm), in order; and the new index of what they become.
    pub past: Vec<(NameId, NameId)>,
    /// New index of the name for those.
    pub other_arm: NameId,
    /// Routes.
    pub routes: Vec<NameId>,
    /// Instances.
    pub instances: Vec<NameId>,
    /// Streams.
    pub streams: Vec<NameId>,
    /// Values of segments, by field.
    pub segments: [Vec<NameId>; SEGMENT_FIELDS_MAX],
}

impl Renaming {
    /// New index of a service.
    pub fn service(&self, id: NameId) -> NameId {
        self.services.get(usize::from(id)).copied().unwrap_or(event::NO_NAME)
    }
    /// New index of an arm, by the old ones of its service and itself.
    pub fn arm(&self, service: NameId, id: NameId) -> NameId {
        if !self.past.is_empty() && self.past.binary_search(&(service, id)).is_ok() {
            return self.other_arm;
        }
        self.arms.get(usize::from(id)).copied().unwrap_or(event::NO_NAME)
    }
    /// New index of a route.
    pub fn route(&self, id: NameId) -> NameId {
        self.routes.get(usize::from(id)).copied().unwrap_or(event::NO_NAME)
    }
    /// New index of an instance.
    pub fn instance(&self, id: NameId) -> NameId {
        self.instances.get(usize::from(id)).copied().unwrap_or(event::NO_NAME)
    }
    /// New index of a stream.
    pub fn stream(&self, id: NameId) -> NameId {
        self.streams.get(usize::from(id)).copied().unwrap_or(event::NO_NAME)
    }
    /// New indices of the values of segments.
    pub fn segments(&self, values: [NameId; SEGMENT_FIELDS_MAX]) -> [NameId; SEGMENT_FIELDS_MAX] {
        let new = |field: usize| self.segments[field].get(usize::from(values[field])).copied();
        std::array::from_fn(|field| new(field).unwrap_or(event::NO_NAME))
    }
}

/// A list of rows: loose while lines come in, settled when the window is handed on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rows<R> {
    rows: Vec<R>,
    /// Lists that were appended since the last time that this one was settled: kept apart, so that each row moves once.
    parts: Vec<Vec<R>>,
    settled: usize,
}

impl<R> Default for Rows<R> {
    fn default() -> Self {
        Rows { rows: Vec::new(), parts: Vec::new(), settled: 0 }
    }
}

impl<R: Row> Rows<R> {
    /// Adds one row.
    #[inline]
    pub fn add(&mut self, row: R) {
        self.rows.push(row);
        if self.rows.len() >= self.settled.saturating_mul(2) + SETTLE_EVERY {
            self.settle();
        }
    }

    /// Appends rows of another list; the result must be settled.
    pub fn append(&mut self, other: Rows<R>) {
        if self.is_empty() {
            *self = other;
        } else {
            self.parts.extend(std::iter::once(other.rows).chain(other.parts).filter(|list| !list.is_empty()));
        }
    }

    /// Sorts and combines: the canonical form. Rows with equal keys combine to the same row in any order.
    pub fn settle(&mut self) {
        if self.parts.is_empty() {
            sort_by_place(&mut self.rows, Row::place, Row::key);
        } else {
            self.parts.push(std::mem::take(&mut self.rows));
            self.rows = gather_by_place(&std::mem::take(&mut self.parts), Row::place, Row::key);
        }
        self.rows.dedup_by(|next, kept| {
            let same = next.key() == kept.key();
            if same {
                kept.combine(next);
            }
            same
        });
        self.settled = self.rows.len();
    }

    /// Keeps the rows for which `keep` is true.
    pub fn retain(&mut self, mut keep: impl FnMut(&R) -> bool) {
        self.rows.retain(&mut keep);
        self.parts.iter_mut().for_each(|list| list.retain(&mut keep));
        self.settled = self.settled.min(self.rows.len());
    }

    /// Changes every row; the result must be settled.
    pub fn change(&mut self, change: impl FnMut(&mut R)) {
        self.rows.iter_mut().chain(self.parts.iter_mut().flatten()).for_each(change);
    }

    /// Renames in place; order may no longer hold afterwards.
    pub fn rename(&mut self, names: &Renaming) {
        self.rows.iter_mut().chain(self.parts.iter_mut().flatten()).for_each(|row| row.rename(names));
    }

    /// Every row, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &R> {
        self.rows.iter().chain(self.parts.iter().flatten())
    }

    /// Rows, loose ones counted one by one.
    pub fn len(&self) -> usize {
        self.rows.len() + self.parts.iter().map(Vec::len).sum::<usize>()
    }

    /// No row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows. Only of a list to which nothing was appended since it was settled.
    pub fn as_slice(&self) -> &[R] {
        debug_assert!(self.parts.is_empty());
        &self.rows
    }

    /// Rows from a list, settled.
    pub fn from_vec(rows: Vec<R>) -> Rows<R> {
        let mut list = Rows { rows, ..Rows::default() };
        list.settle();
        list
    }
}

/// Place of rows that are sorted by service and then by a hash.
#[inline]
fn place_of(service: NameId, hash: u64) -> u64 {
    u64::from(service) << 48 | hash >> 16
}

/// What one unit did in one service under one arm in a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnitRow {
    /// Hash of the unit.
    pub unit: u64,
    /// Earliest request, microseconds after the start of the window.
    pub first: u32,
    /// Second earliest request, or [`NEVER`].
    pub second: u32,
    /// Requests.
    pub requests: u32,
    /// Requests that failed.
    pub errors: u32,
    /// Service.
    pub service: NameId,
    /// Arm; [`event::NO_NAME`] when the requests carried none.
    pub arm: NameId,
    /// Largest latency bin plus one, 0 when no request had a latency.
    pub slowest: u16,
    /// Latency bin plus one of the earliest request, 0 when it had none.
    pub first_latency: u16,
}

impl Row for UnitRow {
    /// Service, unit, arm in one number: one comparison instead of three.
    type Key = u128;
    #[inline]
    fn key(&self) -> Self::Key {
        u128::from(self.service) << 80 | u128::from(self.unit) << 16 | u128::from(self.arm)
    }
    #[inline]
    fn place(&self) -> u64 {
        place_of(self.service, self.unit)
    }
    #[inline]
    fn combine(&mut self, other: &Self) {
        // Of requests at the same microsecond the slowest: no order of arrival decides.
        self.first_latency = match self.first.cmp(&other.first) {
            core::cmp::Ordering::Less => self.first_latency,
            core::cmp::Ordering::Equal => self.first_latency.max(other.first_latency),
            core::cmp::Ordering::Greater => other.first_latency,
        };
        let (first, second) = two_smallest([self.first, self.second, other.first, other.second]);
        self.first = first;
        self.second = second;
        self.requests = self.requests.saturating_add(other.requests);
        self.errors = self.errors.saturating_add(other.errors);
        self.slowest = self.slowest.max(other.slowest);
    }
    fn rename(&mut self, names: &Renaming) {
        self.arm = names.arm(self.service, self.arm);
        self.service = names.service(self.service);
    }
}

/// The two smallest of four, in order.
fn two_smallest(mut values: [u32; 4]) -> (u32, u32) {
    values.sort_unstable();
    let [first, second, ..] = values;
    (first, second)
}

/// What one instance logged in one service under one arm in a window.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct InstanceRow {
    /// Lines of any kind, on time.
    pub lines: u64,
    /// Requests among them.
    pub requests: u64,
    /// Lines of level warn or worse among them that name no unit, failed requests aside.
    pub warnings: u64,
    /// Lines whose window had closed; counted where they arrived.
    pub late: u64,
    /// Service.
    pub service: NameId,
    /// Arm, or [`event::NO_NAME`].
    pub arm: NameId,
    /// Instance.
    pub instance: NameId,
}

impl InstanceRow {
    /// Nothing yet.
    pub fn new(service: NameId, arm: NameId, instance: NameId) -> InstanceRow {
        InstanceRow { lines: 0, requests: 0, warnings: 0, late: 0, service, arm, instance }
    }

    /// Counts a line that is on time.
    #[inline]
    pub fn count(&mut self, event: &event::Event) {
        self.lines += 1;
        self.requests += u64::from(event.kind == event::Kind::Request);
        self.warnings += u64::from(event.level >= event::Level::Warn && !event.error && event.unit == 0);
    }
}

impl Row for InstanceRow {
    type Key = (NameId, NameId, NameId);
    fn key(&self) -> Self::Key {
        (self.service, self.arm, self.instance)
    }
    fn place(&self) -> u64 {
        u64::from(self.service) << 48 | u64::from(self.arm) << 32 | u64::from(self.instance) << 16
    }
    fn combine(&mut self, other: &Self) {
        self.lines = self.lines.saturating_add(other.lines);
        self.requests = self.requests.saturating_add(other.requests);
        self.warnings = self.warnings.saturating_add(other.warnings);
        self.late = self.late.saturating_add(other.late);
    }
    fn rename(&mut self, names: &Renaming) {
        self.arm = names.arm(self.service, self.arm);
        self.service = names.service(self.service);
        self.instance = names.instance(self.instance);
    }
}

/// A unit was given an arm.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ExposureRow {
    /// Hash of the unit.
    pub unit: u64,
    /// Earliest exposure, microseconds after the start of the window.
    pub at: u32,
    /// Exposures.
    pub count: u32,
    /// Service that logged it.
    pub service: NameId,
    /// Arm.
    pub arm: NameId,
}

impl Row for ExposureRow {
    type Key = (NameId, u64, NameId);
    fn key(&self) -> Self::Key {
        (self.service, self.unit, self.arm)
    }
    #[inline]
    fn place(&self) -> u64 {
        place_of(self.service, self.unit)
    }
    fn combine(&mut self, other: &Self) {
        self.at = self.at.min(other.at);
        self.count = self.count.saturating_add(other.count);
    }
    fn rename(&mut self, names: &Renaming) {
        self.arm = names.arm(self.service, self.arm);
        self.service = names.service(self.service);
    }
}

/// A request without an arm of its own: it inherits the arm of its unit when the window closes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OutcomeRow {
    /// Hash of the unit.
    pub unit: u64,
    /// Time of the request, microseconds after the start of the window.
    pub at: u32,
    /// How many equal requests.
    pub count: u32,
    /// Service.
    pub service: NameId,
    /// Latency bin plus one, 0 without a latency.
    pub latency: u16,
    /// Status divided by 100, 0 without a status.
    pub status_class: u8,
    /// The request failed.
    pub error: bool,
}

impl Row for OutcomeRow {
    type Key = (NameId, u64, u32, u16, u8, bool);
    fn key(&self) -> Self::Key {
        (self.service, self.unit, self.at, self.latency, self.status_class, self.error)
    }
    #[inline]
    fn place(&self) -> u64 {
        place_of(self.service, self.unit)
    }
    fn combine(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
    }
    fn rename(&mut self, names: &Renaming) {
        self.service = names.service(self.service);
    }
}

/// An attempt of a request that other attempts may share: joined by request id when the window closes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AttemptRow {
    /// Hash of the request id.
    pub request: u64,
    /// Hash of the unit.
    pub unit: u64,
    /// Time of the attempt, microseconds after the start of the window.
    pub at: u32,
    /// Service.
    pub service: NameId,
    /// Arm, or [`event::NO_NAME`].
    pub arm: NameId,
    /// Latency bin plus one, 0 without a latency.
    pub latency: u16,
    /// Status divided by 100, 0 without a status.
    pub status_class: u8,
    /// The attempt failed.
    pub error: bool,
}

impl Row for AttemptRow {
    type Key = (NameId, u64, u32, NameId, u64, u16, bool, u8);
    fn key(&self) -> Self::Key {
        (self.service, self.request, self.at, self.arm, self.unit, self.latency, self.error, self.status_class)
    }
    #[inline]
    fn place(&self) -> u64 {
        place_of(self.service, self.request)
    }
    fn combine(&mut self, _: &Self) {}
    fn rename(&mut self, names: &Renaming) {
        self.arm = names.arm(self.service, self.arm);
        self.service = names.service(self.service);
    }
}

/// A unit met a route.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PairRow {
    /// Hash of the unit.
    pub unit: u64,
    /// Service.
    pub service: NameId,
    /// Route, or [`event::NO_NAME`].
    pub route: NameId,
    /// Bit n: a request had a status of class n (0: none).
    pub classes: u8,
}

impl Row for PairRow {
    type Key = (NameId, u64, NameId);
    fn key(&self) -> Self::Key {
        (self.service, self.unit, self.route)
    }
    #[inline]
    fn place(&self) -> u64 {
        place_of(self.service, self.unit)
    }
    fn combine(&mut self, other: &Self) {
        self.classes |= other.classes;
    }
    fn rename(&mut self, names: &Renaming) {
        self.service = names.service(self.service);
        self.route = names.route(self.route);
    }
}

/// What one window saw of one trace in one service.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceRow {
    /// Hash of the trace.
    pub trace: u64,
    /// Unit of the earliest request of the trace, 0 when no request was seen.
    pub unit: u64,
    /// Time of that request, or [`NEVER`].
    pub root_at: u32,
    /// Lines of any kind that carry the trace.
    pub lines: u32,
    /// Service.
    pub service: NameId,
    /// Arm of the request, else of the lines.
    pub arm: NameId,
}

impl Row for TraceRow {
    type Key = (u64, NameId);
    fn key(&self) -> Self::Key {
        (self.trace, self.service)
    }
    #[inline]
    fn place(&self) -> u64 {
        self.trace
    }
    fn combine(&mut self, other: &Self) {
        self.lines = self.lines.saturating_add(other.lines);
        if (other.root_at, other.arm, other.unit) < (self.root_at, self.arm, self.unit) {
            self.root_at = other.root_at;
            self.arm = other.arm;
            self.unit = other.unit;
        }
    }
    fn rename(&mut self, names: &Renaming) {
        self.arm = names.arm(self.service, self.arm);
        self.service = names.service(self.service);
    }
}

/// A unit met a business event that the plan names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ConversionRow {
    /// Hash of the unit; 0 where lines name none.
    pub unit: u64,
    /// Lines.
    pub count: u32,
    /// Service that logged it.
    pub service: NameId,
    /// Arm that lines without a unit name, or [`event::NO_NAME`]; a unit has its own.
    pub arm: NameId,
    /// Number of the event in the plan.
    pub event: u8,
}

impl Row for ConversionRow {
    type Key = (u64, u8, NameId, NameId);
    fn key(&self) -> Self::Key {
        (self.unit, self.event, self.arm, self.service)
    }
    #[inline]
    fn place(&self) -> u64 {
        self.unit
    }
    fn combine(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
    }
    fn rename(&mut self, names: &Renaming) {
        self.arm = names.arm(self.service, self.arm);
        self.service = names.service(self.service);
    }
}

/// Lines of a unit said so of a metric of the plan.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MetricRow {
    /// Hash of the unit; 0 where lines name none.
    pub unit: u64,
    /// Lines.
    pub count: u32,
    /// Service that logged them.
    pub service: NameId,
    /// Arm that they name, or [`event::NO_NAME`].
    pub arm: NameId,
    /// What they said, as [`crate::event::Event::metrics`] has it, less one.
    pub bin: u16,
    /// Number of the metric in the plan.
    pub metric: u8,
}

impl Row for MetricRow {
    type Key = (u64, u8, u16, NameId, NameId);
    fn key(&self) -> Self::Key {
        (self.unit, self.metric, self.bin, self.arm, self.service)
    }
    #[inline]
    fn place(&self) -> u64 {
        self.unit
    }
    fn combine(&mut self, other: &Self) {
        self.count = self.count.saturating_add(other.count);
    }
    fn rename(&mut self, names: &Renaming) {
        self.arm = names.arm(self.service, self.arm);
        self.service = names.service(self.service);
    }
}

/// Requests of one service that one call from outside made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CallRow {
    /// Hash of what they have in common.
    pub call: u64,
    /// Hash of their unit, the largest; 0 where they name none.
    pub unit: u64,
    /// Service.
    pub service: NameId,
    /// Arm that they name, or [`event::NO_NAME`].
    pub arm: NameId,
    /// How many there are, and how many of them failed.
    pub requests: u16,
    /// Those that failed.
    pub failed: u16,
    /// Of those with a latency, that which began first, the longer of two: microseconds from the start of the window, before which it
    /// may have begun, and its latency as a bin and 1 more; 0 where none has one.
    pub begin: i64,
    /// Its latency.
    pub first: u16,
    /// It failed.
    pub first_failed: bool,
    /// Latency of the slowest, as a bin and 1 more.
    pub slowest: u16,
    /// The slowest failed.
    pub slowest_failed: bool,
}

impl CallRow {
    /// A request failed, and that which holds the others did not: it begins first, and takes no less than they do. Neither is enough. What
    /// goes on behind the answer may take longer; what is asked before is measured may begin before. Without latencies nothing tells
    /// which that is, and any that succeeded may be.
    pub fn is_got_over(&self) -> bool {
        match self.first {
            0 => self.failed > 0 && self.failed < self.requests,
            _ => self.failed > 0 && !(self.first_failed && self.slowest_failed),
        }
    }

    /// It failed, and got over nothing. What began before the window is not asked: it may go on behind an answer that lies in the one before.
    pub fn fails_as_a_whole(&self) -> bool {
        self.failed > 0 && !self.is_got_over() && self.begin >= 0
    }
}

impl Row for CallRow {
    type Key = (u64, NameId, NameId);
    fn key(&self) -> Self::Key {
        (self.call, self.service, self.arm)
    }
    #[inline]
    fn place(&self) -> u64 {
        self.call
    }
    fn combine(&mut self, other: &Self) {
        self.requests = self.requests.saturating_add(other.requests);
        self.failed = self.failed.saturating_add(other.failed);
        self.unit = self.unit.max(other.unit);
        // None is later than any.
        let key = |row: &CallRow| (row.first == 0, row.begin, Reverse(row.first));
        match key(self).cmp(&key(other)) {
            Ordering::Less => {}
            // Whichever succeeded.
            Ordering::Equal => self.first_failed &= other.first_failed,
            Ordering::Greater => {
                (self.begin, self.first, self.first_failed) = (other.begin, other.first, other.first_failed);
            }
        }
        match self.slowest.cmp(&other.slowest) {
            Ordering::Less => (self.slowest, self.slowest_failed) = (other.slowest, other.slowest_failed),
            Ordering::Equal => self.slowest_failed &= other.slowest_failed,
            Ordering::Greater => {}
        }
    }
    fn rename(&mut self, names: &Renaming) {
        self.arm = names.arm(self.service, self.arm);
        self.service = names.service(self.service);
    }
}

/// Which segments a unit came with, and how long its requests there took.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SegmentRow {
    /// Hash of the unit.
    pub unit: u64,
    /// Sum of the binary logarithms of latencies (us), 16.16 fixed point.
    pub sum: u64,
    /// Sum of their squares.
    pub square: u64,
    /// Earliest request or exposure, microseconds after the start of the window.
    pub at: u32,
    /// Requests with a latency.
    pub latencies: u32,
    /// Service.
    pub service: NameId,
    /// Arm, or [`event::NO_NAME`].
    pub arm: NameId,
    /// Value of each field, or [`event::NO_NAME`].
    pub values: [NameId; SEGMENT_FIELDS_MAX],
    /// There was an exposure among the lines.
    pub exposed: bool,
}

impl Row for SegmentRow {
    type Key = (NameId, u64, NameId, [NameId; SEGMENT_FIELDS_MAX]);
    fn key(&self) -> Self::Key {
        (self.service, self.unit, self.arm, self.values)
    }
    #[inline]
    fn place(&self) -> u64 {
        place_of(self.service, self.unit)
    }
    fn combine(&mut self, other: &Self) {
        self.at = self.at.min(other.at);
        self.latencies = self.latencies.saturating_add(other.latencies);
        self.sum = self.sum.saturating_add(other.sum);
        self.square = self.square.saturating_add(other.square);
        self.exposed |= other.exposed;
    }
    fn rename(&mut self, names: &Renaming) {
        self.arm = names.arm(self.service, self.arm);
        self.service = names.service(self.service);
        self.values = names.segments(self.values);
    }
}

/// What an evidence line is evidence for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum EvidenceClass {
    /// A request that failed.
    Error,
    /// A slow request.
    Slow,
}

/// Where a line stands that shows a finding: a position, never its text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EvidenceRow {
    /// Rank: smaller is kept first. The slowest octaves first for [`EvidenceClass::Slow`], then a keyed hash.
    pub rank: (u8, u64),
    /// Offset of the line in its stream.
    pub offset: u64,
    /// Event time, microseconds after the start of the window.
    pub at: u32,
    /// Stream.
    pub stream: NameId,
    /// Service.
    pub service: NameId,
    /// Arm.
    pub arm: NameId,
    /// Route.
    pub route: NameId,
    /// Latency bin plus one, 0 without a latency.
    pub latency: u16,
    /// Status divided by 100.
    pub status_class: u8,
    /// What for.
    pub class: EvidenceClass,
}

/// Evidence lines kept for one (service, arm, class).
pub const EVIDENCE_MAX: usize = 20;

impl Row for EvidenceRow {
    type Key = (NameId, NameId, EvidenceClass, (u8, u64), u64, NameId);
    fn key(&self) -> Self::Key {
        (self.service, self.arm, self.class, self.rank, self.offset, self.stream)
    }
    #[inline]
    fn place(&self) -> u64 {
        u64::from(self.service) << 48
            | u64::from(self.arm) << 32
            | u64::from(self.class as u8) << 31
            | u64::from(self.rank.0) << 23
            | self.rank.1 >> 41
    }
    fn combine(&mut self, _: &Self) {}
    fn rename(&mut self, names: &Renaming) {
        self.arm = names.arm(self.service, self.arm);
        self.service = names.service(self.service);
        self.route = names.route(self.route);
        self.stream = names.stream(self.stream);
    }
}
