//! [`WindowPartial`]: everything that one window of one or more streams contributes to a verdict.
//!
//! A partial is built loose by one fold, settled into its canonical form (names sorted, rows sorted and combined), and
//! merged with others. The canonical form depends on the lines alone, not on how they were cut up (SK-1, WN-1).

mod codec;
mod loose;
mod names;
mod segments;
mod template_codec;
mod templates;

use crate::event::{self, FieldForm, Kind, Level, NO_LATENCY, NO_NAME, NameId, Names, RejectReason};
use crate::sketch::latency::LatencyTable;
use crate::sketch::rows::{
    AttemptRow, CallRow, ConversionRow, EVIDENCE_MAX, EvidenceClass, EvidenceRow, ExposureRow, InstanceRow, MetricRow,
    OutcomeRow, PairRow, Row, Rows, SegmentRow, TraceRow, UnitRow,
};
use crate::sketch::templates::{CLASSES, TemplatePairs, TemplateRow};
use crate::sketch::weights::WeightTable;

pub use crate::event::OTHER;
pub use loose::LoosePartial;
pub use templates::{TEMPLATE_PAIRS_MAX, TEMPLATE_TEXTS_MAX, TEMPLATES_MAX, is_counted};

/// Version of the encoded form.
pub const PARTIAL_VERSION: u8 = 6;

/// Distinct services of one window that are counted by name; the others share [`OTHER`].
pub const SERVICES_MAX: usize = 16_384;
/// Distinct arms of one window that are counted by name, of one service; so that one whose versions run wild takes no other's place.
pub const ARMS_OF_SERVICE_MAX: usize = 256;
/// Distinct cells of one window that are counted by name, of one service, for the same reason; the others share [`OTHER`].
pub const CELLS_OF_SERVICE_MAX: usize = 256;
/// Distinct arms over all services.
pub const ARMS_MAX: usize = 32_768;
/// Distinct routes of one window that are counted by name.
pub const ROUTES_MAX: usize = 256;
/// Distinct instances of one window, over all services, that are counted by name.
pub const INSTANCES_MAX: usize = 4_096;
/// Distinct values of one field of one window that are counted by name, of fields whose values are segments.
pub const SEGMENT_VALUES_MAX: usize = 256;

/// (unit, route) rows of one window; past it the sample of units halves.
pub const PAIR_ROWS_MAX: usize = 1 << 15;
/// (trace, service) rows of one window; past it the sample of traces halves.
pub const TRACE_ROWS_MAX: usize = 1 << 15;
/// (unit, metric, value) rows of one window; past it the sample of units halves.
pub const METRIC_ROWS_MAX: usize = 1 << 17;
/// Calls of one window whose requests are counted; past it their sample halves.
pub const CALL_ROWS_MAX: usize = 1 << 13;

/// Counters of one service under one arm.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Cell {
    /// Lines of any kind.
    pub lines: u64,
    /// Requests.
    pub requests: u64,
    /// Spans.
    pub spans: u64,
    /// Exposures.
    pub exposures: u64,
    /// Business events.
    pub business: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Lines of level warn.
    pub warn_lines: u64,
    /// Lines of level error or worse.
    pub error_lines: u64,
    /// Requests by status divided by 100; index 0 counts requests without a status.
    pub status: [u64; 6],
    /// Requests without a unit: they enter no test.
    pub without_unit: u64,
    /// Those of them that failed.
    pub errors_without_unit: u64,
    /// Requests without a latency.
    pub without_latency: u64,
    /// Sum of latencies in microseconds.
    pub latency_sum_us: u64,
    /// Requests that did not fail and whose latency is a text.
    pub latency_text: u64,
    /// Requests that did not fail, with a latency field whose value is none.
    pub latency_unread: u64,
    /// Requests that did not fail and whose status is a text.
    pub status_text: u64,
    /// Requests that did not fail, with a status field whose value is none.
    pub status_unread: u64,
    /// Requests with a sampling rate that is none; they count once.
    pub rates_unread: u64,
    /// Sum of sampling weights of requests, in units of 1 / [`event::WEIGHT_ONE`].
    pub request_weight: u64,
    /// Sum of sampling weights of failed requests.
    pub error_weight: u64,
    /// Lines whose window had closed; counted where they arrived.
    pub late: u64,
    /// Lines that could not be read and whose text names the arm; of no service. Counted where they arrived.
    pub damaged: u64,
    /// Lines of level warn or worse that name neither a unit nor an arm, failed requests aside.
    pub warnings_unattributed: u64,
    /// Latency of requests with a unit by (bucket of the unit, bin).
    pub latency: LatencyTable,
    /// Latency of spans by bin (bucket 0): shown, not tested.
    pub span_latency: LatencyTable,
    /// Lines of level warn or worse that name a unit, by its bucket (bin [`WARNING`]); without the lines of failed requests, which are
    /// counted as errors.
    pub warnings: LatencyTable,
    /// Requests with a unit that lack a latency (bin [`GAP_LATENCY`]) or a status ([`GAP_STATUS`]), or did not fail and have it
    /// in another form (the bins after these), by bucket of the unit.
    pub gaps: LatencyTable,
    /// Sampling weights of requests with a unit; empty where the plan reads no sampling rate.
    pub weights: WeightTable,
}

/// Bin of [`Cell::warnings`] of lines of level warn or worse.
pub const WARNING: u16 = 0;
/// Bin of [`Cell::warnings`] of lines below warn, or of no level, that are no requests, but part of what a unit's requests log.
pub const OTHER_LINE: u16 = 1;
/// Bin of [`Cell::gaps`] of requests without a latency.
pub const GAP_LATENCY: u16 = 0;
/// Bin of [`Cell::gaps`] of requests without a status.
pub const GAP_STATUS: u16 = 1;
/// Bin of [`Cell::gaps`] of requests whose latency is a text.
pub const GAP_LATENCY_TEXT: u16 = 2;
/// Bin of [`Cell::gaps`] of requests with a latency field whose value is none.
pub const GAP_LATENCY_UNREAD: u16 = 3;
/// Bin of [`Cell::gaps`] of requests whose status is a text.
pub const GAP_STATUS_TEXT: u16 = 4;
/// Bin of [`Cell::gaps`] of requests with a status field whose value is none.
pub const GAP_STATUS_UNREAD: u16 = 5;
/// Number of bins of [`Cell::gaps`].
pub const GAPS: usize = 6;

impl Cell {
    /// Counts a value that is written as a text, or is none, by the bucket of its unit.
    #[inline]
    fn note_form(&mut self, unit: u64, form: FieldForm, [text, unread]: [u16; 2]) {
        let gap = match form {
            FieldForm::Absent | FieldForm::Number => return,
            FieldForm::Text => text,
            FieldForm::Unreadable => unread,
        };
        if unit != 0 {
            self.gaps.add(event::bucket_of(unit), gap);
        }
    }

    fn add(&mut self, other: Cell) {
        for (mine, theirs) in self.counts_mut().into_iter().zip(other.counts()) {
            *mine = mine.saturating_add(theirs);
        }
        self.latency.take_in(other.latency);
        self.span_latency.take_in(other.span_latency);
        self.warnings.take_in(other.warnings);
        self.gaps.take_in(other.gaps);
        self.weights.take_in(other.weights);
    }

    /// The tables, in the order in which they are encoded.
    fn tables_mut(&mut self) -> [&mut LatencyTable; 5] {
        [&mut self.latency, &mut self.span_latency, &mut self.warnings, &mut self.gaps, self.weights.table_mut()]
    }

    fn counts_mut(&mut self) -> [&mut u64; 28] {
        let [s0, s1, s2, s3, s4, s5] = &mut self.status;
        [
            &mut self.lines,
            &mut self.requests,
            &mut self.spans,
            &mut self.exposures,
            &mut self.business,
            &mut self.errors,
            &mut self.warn_lines,
            &mut self.error_lines,
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            &mut self.without_unit,
            &mut self.errors_without_unit,
            &mut self.without_latency,
            &mut self.latency_sum_us,
            &mut self.latency_text,
            &mut self.latency_unread,
            &mut self.status_text,
            &mut self.status_unread,
            &mut self.rates_unread,
            &mut self.request_weight,
            &mut self.error_weight,
            &mut self.late,
            &mut self.damaged,
            &mut self.warnings_unattributed,
        ]
    }

    fn counts(&self) -> [u64; 28] {
        let [s0, s1, s2, s3, s4, s5] = self.status;
        [
            self.lines,
            self.requests,
            self.spans,
            self.exposures,
            self.business,
            self.errors,
            self.warn_lines,
            self.error_lines,
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            self.without_unit,
            self.errors_without_unit,
            self.without_latency,
            self.latency_sum_us,
            self.latency_text,
            self.latency_unread,
            self.status_text,
            self.status_unread,
            self.rates_unread,
            self.request_weight,
            self.error_weight,
            self.late,
            self.damaged,
            self.warnings_unattributed,
        ]
    }
}

/// What became of every record; counted in the window that was oldest and open when the record was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally {
    /// Lines read.
    pub records: u64,
    /// Lines that became events.
    pub events: u64,
    /// Events counted in their window.
    pub on_time: u64,
    /// Events whose window had closed.
    pub late: u64,
    /// Events outside the asked span of time, service or environment.
    pub outside: u64,
    /// Rejects by reason, in the order of [`RejectReason::ALL`].
    pub rejects: [u64; RejectReason::ALL.len()],
}

impl Tally {
    /// Adds another tally.
    pub fn add(&mut self, other: &Tally) {
        self.records += other.records;
        self.events += other.events;
        self.on_time += other.on_time;
        self.late += other.late;
        self.outside += other.outside;
        for (mine, theirs) in self.rejects.iter_mut().zip(other.rejects) {
            *mine += theirs;
        }
    }

    /// All rejects.
    pub fn rejected(&self) -> u64 {
        self.rejects.iter().sum()
    }

    /// Counts one reject.
    pub fn reject(&mut self, reason: RejectReason) {
        if let Some(slot) = self.rejects.get_mut(reason as usize) {
            *slot += 1;
        }
    }

    /// EV-2: nothing vanishes.
    pub fn balances(&self) -> bool {
        self.records == self.events + self.rejected() && self.events == self.on_time + self.late + self.outside
    }
}

/// Everything that one window contributes. See the module text.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WindowPartial {
    /// Number of the window: start divided by length.
    pub window: i64,
    /// Names that cells and rows refer to.
    pub names: Names,
    /// Streams that evidence refers to.
    pub streams: Vec<String>,
    /// (service, arm, counters), sorted.
    pub cells: Vec<(NameId, NameId, Cell)>,
    /// What each instance logged.
    pub instances: Rows<InstanceRow>,
    /// Active units.
    pub units: Rows<UnitRow>,
    /// Exposed units.
    pub exposures: Rows<ExposureRow>,
    /// Requests that inherit the arm of their unit.
    pub outcomes: Rows<OutcomeRow>,
    /// Attempts that may share a request.
    pub attempts: Rows<AttemptRow>,
    /// Units that met a business event of the plan.
    pub conversions: Rows<ConversionRow>,
    /// What units' lines said of the metrics of the plan, of units in `metric_range`.
    pub metrics: Rows<MetricRow>,
    /// Largest keyed hash of units in `metrics`: all, or all but for a power of two.
    pub metric_range: u64,
    /// (unit, route), of units in `pair_range`.
    pub pairs: Rows<PairRow>,
    /// Largest keyed hash of units in `pairs`.
    pub pair_range: u64,
    /// What calls from outside made, of calls in `call_range`.
    pub calls: Rows<CallRow>,
    /// Largest keyed hash of calls in `calls`.
    pub call_range: u64,
    /// (trace, service), of traces in `trace_range`.
    pub traces: Rows<TraceRow>,
    /// Largest keyed hash of traces in `traces`.
    pub trace_range: u64,
    /// Positions of lines that show errors and slowness.
    pub evidence: Rows<EvidenceRow>,
    /// Records read while this was the oldest open window of their stream.
    pub tally: Tally,
    /// Lines of templates.
    pub templates: Rows<TemplateRow>,
    /// Units that met templates below level error, and of level error or worse.
    pub template_pairs: [TemplatePairs; CLASSES],
    /// Segments of units in `segment_range`; empty where the plan has no segments.
    pub segments: Rows<SegmentRow>,
    /// Largest keyed hash of units in `segments`.
    pub segment_range: u64,
}

impl WindowPartial {
    /// An empty partial.
    pub fn new(window: i64) -> WindowPartial {
        WindowPartial {
            window,
            names: Names::default(),
            streams: Vec::new(),
            cells: Vec::new(),
            instances: Rows::default(),
            units: Rows::default(),
            exposures: Rows::default(),
            outcomes: Rows::default(),
            attempts: Rows::default(),
            conversions: Rows::default(),
            metrics: Rows::default(),
            metric_range: u64::MAX,
            pairs: Rows::default(),
            pair_range: u64::MAX,
            calls: Rows::default(),
            call_range: u64::MAX,
            traces: Rows::default(),
            trace_range: u64::MAX,
            evidence: Rows::default(),
            tally: Tally::default(),
            templates: Rows::default(),
            template_pairs: Default::default(),
            segments: Rows::default(),
            segment_range: u64::MAX,
        }
    }

    /// True when no line of the window itself is in here (a tally alone may still be).
    pub fn is_empty(&self) -> bool {
        self.cells.iter().all(|(_, _, cell)| cell.lines == 0)
    }

    /// Merges a list of partials of one window into one canonical partial.
    pub fn merge(window: i64, partials: impl IntoIterator<Item = WindowPartial>) -> WindowPartial {
        LoosePartial::merge(window, partials.into_iter().map(LoosePartial::of).collect())
    }

    /// Rows of every kind, and entries of latency tables: what the memory of a partial grows with.
    pub fn len(&self) -> usize {
        let entries: usize = self.cells.iter().map(|(_, _, cell)| cell.latency.len() + cell.span_latency.len()).sum();
        entries
            + self.instances.len()
            + self.units.len()
            + self.exposures.len()
            + self.outcomes.len()
            + self.attempts.len()
            + self.conversions.len()
            + self.metrics.len()
            + self.pairs.len()
            + self.calls.len()
            + self.traces.len()
            + self.evidence.len()
            + self.template_rows()
            + self.segments.len()
    }

    /// Brings the partial into its canonical form.
    pub fn settle(&mut self) {
        let names = std::mem::take(&mut self.names);
        let streams = std::mem::take(&mut self.streams);
        self.settle_with(&names, &streams);
    }

    /// [`WindowPartial::settle`] for a partial whose names stand in a larger list.
    pub fn settle_with(&mut self, names: &Names, streams: &[String]) {
        // Rows that go must not leave their names behind: which of them were here at all depends on how lines were cut.
        self.settle_evidence();
        let range = self.pair_range;
        self.pairs.retain(|row| pair_hash(row.unit) <= range);
        if self.pairs.len() > PAIR_ROWS_MAX {
            self.settle_pairs();
        }
        self.settle_templates();
        self.drop_segments();
        self.settle_names(names, streams);
        // Services past their bound have become one, which may have too many templates.
        if self.settle_templates() {
            let (names, streams) = (std::mem::take(&mut self.names), std::mem::take(&mut self.streams));
            self.settle_names(&names, &streams);
            self.settle_templates();
        }
        self.settle_template_pairs();
        self.cells.sort_by_key(|(service, arm, _)| (*service, *arm));
        self.cells.dedup_by(|next, kept| {
            let same = next.0 == kept.0 && next.1 == kept.1;
            if same {
                kept.2.add(std::mem::take(&mut next.2));
            }
            same
        });
        for (_, _, cell) in &mut self.cells {
            cell.tables_mut().into_iter().for_each(LatencyTable::settle);
        }
        self.instances.settle();
        self.units.settle();
        self.exposures.settle();
        self.outcomes.settle();
        self.attempts.settle();
        self.conversions.settle();
        let range = self.metric_range;
        self.metric_range = settle_sample(&mut self.metrics, range, METRIC_ROWS_MAX, |row| metric_hash(row.unit));
        self.settle_pairs();
        let range = self.call_range;
        self.call_range = settle_sample(&mut self.calls, range, CALL_ROWS_MAX, |row| call_hash(row.call));
        let range = self.trace_range;
        self.trace_range = settle_sample(&mut self.traces, range, TRACE_ROWS_MAX, |row| trace_hash(row.trace));
        self.settle_evidence();
        self.settle_segments();
    }

    /// Pairs of units in the sample, which halves while there are too many.
    fn settle_pairs(&mut self) {
        let range = self.pair_range;
        self.pair_range = settle_sample(&mut self.pairs, range, PAIR_ROWS_MAX, |row| pair_hash(row.unit));
    }

    /// The best few evidence lines of each (service, arm, class).
    fn settle_evidence(&mut self) {
        self.evidence.settle();
        let mut group = (NO_NAME, NO_NAME, EvidenceClass::Error);
        let mut kept = 0;
        self.evidence.retain(|row| {
            let this = (row.service, row.arm, row.class);
            kept = if this == group { kept + 1 } else { 1 };
            group = this;
            kept <= EVIDENCE_MAX
        });
    }

    /// Counts one event that is on time.
    ///
    /// `cell`: index of its (service, arm) in `cells`; `keep`: the evidence of that cell.
    /// `offset_us`: its time after the start of the window. `stream_hash`: hash of the stream's name.
    #[inline]
    pub fn count(&mut self, cell: usize, event: &event::Event, offset_us: u32, stream_hash: u64, keep: &mut Keep) {
        let Some((_, _, counters)) = self.cells.get_mut(cell) else { return };
        counters.lines += 1;
        counters.warn_lines += u64::from(event.level == Level::Warn);
        counters.error_lines += u64::from(event.level >= Level::Error);
        // Only by the buckets that requests are counted in: warnings of one unit come in bursts.
        if event.level >= Level::Warn && !event.error && event.arm != NO_NAME && event.unit != 0 {
            counters.warnings.add(event::bucket_of(event.unit), WARNING);
        }
        if event.kind == Kind::Log && event.level < Level::Warn && event.arm != NO_NAME && event.unit != 0 {
            counters.warnings.add(event::bucket_of(event.unit), OTHER_LINE);
        }
        let unattributed = event.level >= Level::Warn && !event.error && event.arm == NO_NAME && event.unit == 0;
        counters.warnings_unattributed += u64::from(unattributed);
        let latency =
            if event.latency_us == NO_LATENCY { 0 } else { crate::sketch::latency::bin_of(event.latency_us) + 1 };
        match event.kind {
            Kind::Request => {
                counters.requests += 1;
                counters.errors += u64::from(event.error);
                if let Some(slot) = counters.status.get_mut(usize::from(event.status_class)) {
                    *slot += 1;
                }
                // Failures may be written another way by code that is fine.
                if !event.error {
                    counters.latency_text += u64::from(event.latency_form == FieldForm::Text);
                    counters.latency_unread += u64::from(event.latency_form == FieldForm::Unreadable);
                    counters.status_text += u64::from(event.status_form == FieldForm::Text);
                    counters.status_unread += u64::from(event.status_form == FieldForm::Unreadable);
                    counters.note_form(event.unit, event.latency_form, [GAP_LATENCY_TEXT, GAP_LATENCY_UNREAD]);
                    counters.note_form(event.unit, event.status_form, [GAP_STATUS_TEXT, GAP_STATUS_UNREAD]);
                }
                counters.rates_unread += u64::from(event.rate_unread);
                counters.request_weight += u64::from(event.weight);
                counters.error_weight += if event.error { u64::from(event.weight) } else { 0 };
                if event.sampling != event::NOT_SAMPLED && event.unit != 0 {
                    counters.weights.add(event);
                }
                if latency == 0 {
                    counters.without_latency += 1;
                } else {
                    counters.latency_sum_us = counters.latency_sum_us.saturating_add(event.latency_us);
                }
                if event.unit != 0 && (latency == 0 || event.status_class == 0) {
                    let bucket = event::bucket_of(event.unit);
                    for (lacks, gap) in [(latency == 0, GAP_LATENCY), (event.status_class == 0, GAP_STATUS)] {
                        if lacks {
                            counters.gaps.add(bucket, gap);
                        }
                    }
                }
                if event.unit == 0 {
                    counters.without_unit += 1;
                    counters.errors_without_unit += u64::from(event.error);
                } else if event.request != 0 {
                    self.attempts.add(AttemptRow {
                        request: event.request,
                        unit: event.unit,
                        at: offset_us,
                        service: event.service,
                        arm: event.arm,
                        latency,
                        status_class: event.status_class,
                        error: event.error,
                    });
                } else if event.arm == NO_NAME {
                    self.outcomes.add(OutcomeRow {
                        unit: event.unit,
                        at: offset_us,
                        count: 1,
                        service: event.service,
                        latency,
                        status_class: event.status_class,
                        error: event.error,
                    });
                } else {
                    if latency != 0 {
                        counters.latency.add(event::bucket_of(event.unit), latency - 1);
                    }
                    self.units.add(UnitRow {
                        unit: event.unit,
                        first: offset_us,
                        second: crate::sketch::rows::NEVER,
                        requests: 1,
                        errors: u32::from(event.error),
                        service: event.service,
                        arm: event.arm,
                        slowest: latency,
                        first_latency: latency,
                    });
                }
                if event.unit != 0 && pair_hash(event.unit) <= self.pair_range {
                    self.pairs.add(PairRow {
                        unit: event.unit,
                        service: event.service,
                        route: event.route,
                        classes: 1 << event.status_class.min(7),
                    });
                }
                if event.segments != event::NO_SEGMENTS {
                    self.count_segments(event, offset_us, latency);
                }
                keep.consider(event, offset_us, latency, stream_hash);
            }
            Kind::Span => {
                counters.spans += 1;
                if latency != 0 {
                    counters.span_latency.add(0, latency - 1);
                }
            }
            Kind::Log => {}
            Kind::Exposure => {
                counters.exposures += 1;
                if event.segments != event::NO_SEGMENTS {
                    self.count_segments(event, offset_us, 0);
                }
                if event.unit != 0 && event.arm != NO_NAME {
                    self.exposures.add(ExposureRow {
                        unit: event.unit,
                        at: offset_us,
                        count: 1,
                        service: event.service,
                        arm: event.arm,
                    });
                }
            }
            Kind::Business => counters.business += 1,
        }
        if let Some(number) = event.conversion.checked_sub(1) {
            let (unit, service) = (event.unit, event.service);
            let arm = if unit == 0 { event.arm } else { NO_NAME };
            self.conversions.add(ConversionRow { unit, count: 1, service, arm, event: number });
        }
        if event.metrics != event::NO_METRICS && metric_hash(event.unit) <= self.metric_range {
            for (metric, said) in (0u8..).zip(event.metrics) {
                if let Some(bin) = said.checked_sub(1) {
                    let (unit, service, arm) = (event.unit, event.service, event.arm);
                    // Of lines of nobody it is only counted how many there are.
                    let bin = if unit == 0 { 0 } else { bin };
                    self.metrics.add(MetricRow { unit, count: 1, service, arm, metric, bin });
                }
            }
        }
        if event.call != 0 && call_hash(event.call) <= self.call_range {
            self.calls.add(CallRow {
                call: event.call,
                unit: event.unit,
                service: event.service,
                arm: event.arm,
                requests: 1,
                failed: u16::from(event.error),
                begin: if latency == 0 { 0 } else { i64::from(offset_us).saturating_sub_unsigned(event.latency_us) },
                first: latency,
                first_failed: event.error,
                slowest: latency,
                slowest_failed: event.error,
            });
        }
        if event.trace != 0 && trace_hash(event.trace) <= self.trace_range {
            let request = event.kind == Kind::Request;
            self.traces.add(TraceRow {
                trace: event.trace,
                unit: if request { event.unit } else { 0 },
                root_at: if request { offset_us } else { crate::sketch::rows::NEVER },
                lines: 1,
                service: event.service,
                arm: event.arm,
            });
        }
    }

    /// Takes over the evidence that was kept while lines were counted.
    pub fn take_evidence(&mut self, keep: &mut Keep) {
        for top in &mut keep.tops {
            top.pick();
            top.rows.drain(..).for_each(|row| self.evidence.add(row));
        }
    }
}

/// Evidence of one (service, arm) while lines are counted: the best few of each class.
#[derive(Clone, Debug, Default)]
pub struct Keep {
    tops: [Top; 2],
}

impl Keep {
    /// Keeps the position of a request if it ranks among the first [`EVIDENCE_MAX`].
    #[inline]
    fn consider(&mut self, event: &event::Event, offset_us: u32, latency: u16, stream_hash: u64) {
        let [errors, slow] = &mut self.tops;
        let octave_rank = u8::MAX - (latency >> 6) as u8;
        if !event.error && (latency == 0 || slow.refuses(octave_rank)) {
            return;
        }
        let hash = event::mix(event.offset ^ stream_hash, event::KEY_EVIDENCE);
        let row = EvidenceRow {
            rank: (0, hash),
            offset: event.offset,
            at: offset_us,
            stream: 0,
            service: event.service,
            arm: event.arm,
            route: event.route,
            latency,
            status_class: event.status_class,
            class: EvidenceClass::Error,
        };
        if event.error {
            errors.add(row);
        }
        if latency != 0 && !slow.refuses(octave_rank) {
            slow.add(EvidenceRow { rank: (octave_rank, hash), class: EvidenceClass::Slow, ..row });
        }
    }
}

/// The rows of smallest rank so far, and a few more until the next time that there are too many.
#[derive(Clone, Debug, Default)]
struct Top {
    rows: Vec<EvidenceRow>,
    /// Largest rank that can still get in, once there are enough rows.
    bound: Option<(u8, u64)>,
}

impl Top {
    /// Rows at which the best are picked out. Keeping the list sorted instead would move rows for every one that gets
    /// in, and the first lines of every chunk all do.
    const TOO_MANY: usize = 3 * EVIDENCE_MAX;

    /// No row whose rank starts with this number can get in.
    #[inline]
    fn refuses(&self, rank: u8) -> bool {
        self.bound.is_some_and(|bound| bound.0 < rank)
    }

    #[inline]
    fn add(&mut self, row: EvidenceRow) {
        if self.bound.is_some_and(|bound| bound < row.rank) {
            return;
        }
        self.rows.push(row);
        if self.rows.len() >= Top::TOO_MANY {
            self.pick();
        }
    }

    /// Keeps the best.
    fn pick(&mut self) {
        if self.rows.len() > EVIDENCE_MAX {
            let (_, worst, _) = self.rows.select_nth_unstable_by_key(EVIDENCE_MAX - 1, |row| row.rank);
            self.bound = Some(worst.rank);
            self.rows.truncate(EVIDENCE_MAX);
        }
    }
}

/// Place of a unit in the order in which the sample of pairs is taken.
#[inline]
pub fn pair_hash(unit: u64) -> u64 {
    event::mix(unit, event::KEY_PAIRS)
}

/// Place of a unit in the order in which the sample of what metrics say is taken; lines of nobody are always in it.
#[inline]
pub fn metric_hash(unit: u64) -> u64 {
    if unit == 0 { 0 } else { event::mix(unit, event::KEY_METRICS) }
}

/// Place of a call in the order in which the sample of calls is taken.
#[inline]
pub fn call_hash(call: u64) -> u64 {
    event::mix(call, event::KEY_CALLS)
}

/// Place of a trace in the order in which the sample of traces is taken.
#[inline]
pub fn trace_hash(trace: u64) -> u64 {
    event::mix(trace, event::KEY_TRACES)
}

/// Halves the sample until its settled rows fit; the result depends on the rows alone, because a subset never needs a
/// smaller range than the whole.
fn settle_sample<R: Row>(rows: &mut Rows<R>, range: u64, rows_max: usize, hash: impl Fn(&R) -> u64) -> u64 {
    let mut range = range;
    rows.retain(|row| hash(row) <= range);
    rows.settle();
    while rows.len() > rows_max && range > 0 {
        range >>= 1;
        rows.retain(|row| hash(row) <= range);
    }
    range
}
