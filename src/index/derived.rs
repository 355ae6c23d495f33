//! What decoding said of lines, as fields: `_time`, `_stream`, `_position`, `_service`, `_arm`, `_route`, `_kind`, `_failed`, `_template`,
//! `_reject`, `_level`, `_latency`, `_status`, `_unit`, `_weight`.

use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};

use tantivy::TantivyError;
use tantivy::columnar::{Column, StrColumn};
use tantivy::index::SegmentReader;

use crate::index::bits::Bits;
use crate::index::layout::names;
use crate::pipeline::decode::STREAM_PATH;
use crate::query::Value;
use crate::time::Timestamp;

/// A field of this kind.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Derived {
    Time,
    Stream,
    Position,
    Service,
    Arm,
    Route,
    Kind,
    Failed,
    Template,
    Reject,
    Level,
    Latency,
    Status,
    Unit,
    Weight,
}

/// Values that a field may have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Values {
    Numbers,
    Times,
    /// So many hexadecimal digits.
    Digits(usize),
    /// These, and no others.
    Words(&'static [&'static str]),
    Any,
}

impl Derived {
    /// What an answer says of a line beside it.
    pub(super) const TOLD: [Derived; 8] = [
        Derived::Service,
        Derived::Arm,
        Derived::Route,
        Derived::Kind,
        Derived::Level,
        Derived::Template,
        Derived::Reject,
        Derived::Unit,
    ];

    pub(super) const ALL: [Derived; 15] = [
        Derived::Time,
        Derived::Stream,
        Derived::Position,
        Derived::Service,
        Derived::Arm,
        Derived::Route,
        Derived::Kind,
        Derived::Failed,
        Derived::Template,
        Derived::Reject,
        Derived::Level,
        Derived::Latency,
        Derived::Status,
        Derived::Unit,
        Derived::Weight,
    ];

    /// Its name in queries.
    pub(super) fn path(self) -> &'static str {
        match self {
            Derived::Time => "_time",
            Derived::Stream => "_stream",
            Derived::Position => "_position",
            Derived::Service => "_service",
            Derived::Arm => "_arm",
            Derived::Route => "_route",
            Derived::Kind => "_kind",
            Derived::Failed => "_failed",
            Derived::Template => "_template",
            Derived::Reject => "_reject",
            Derived::Level => "_level",
            Derived::Latency => "_latency",
            Derived::Status => "_status",
            Derived::Unit => "_unit",
            Derived::Weight => "_weight",
        }
    }

    /// What its values are, whatever a line writes.
    pub(super) fn values(self) -> Values {
        match self {
            Derived::Time => Values::Times,
            Derived::Position | Derived::Latency | Derived::Weight => Values::Numbers,
            Derived::Kind => Values::Words(&["request", "span", "log", "exposure", "event", "reject", "outside"]),
            Derived::Failed => Values::Words(&["true", "false"]),
            Derived::Level => Values::Words(&["trace", "debug", "info", "warn", "error", "fatal"]),
            Derived::Status => Values::Words(&["1xx", "2xx", "3xx", "4xx", "5xx"]),
            Derived::Stream | Derived::Service | Derived::Arm | Derived::Route => Values::Any,
            Derived::Template => Values::Digits(16),
            Derived::Unit => Values::Digits(10),
            Derived::Reject => Values::Words(&[
                "not_utf8",
                "too_long",
                "malformed",
                "unknown_format",
                "crash_text",
                "no_time",
                "bad_time",
                "time_out_of_range",
                "quarantined",
                "too_many_names",
                "both_arms",
            ]),
        }
    }

    /// The field of a path.
    pub(super) fn of(path: &str) -> Option<Derived> {
        if path == STREAM_PATH {
            return Some(Derived::Stream);
        }
        Derived::ALL.into_iter().find(|field| field.path() == path)
    }
}

impl Derived {
    /// Name of the column, where it holds texts.
    fn text_column(self) -> Option<&'static str> {
        match self {
            Derived::Stream => Some(names::STREAM),
            Derived::Service => Some(names::SERVICE),
            Derived::Arm => Some(names::ARM),
            Derived::Route => Some(names::ROUTE),
            Derived::Kind => Some(names::KIND),
            Derived::Reject => Some(names::REJECT),
            Derived::Level => Some(names::LEVEL),
            Derived::Status => Some(names::STATUS),
            Derived::Template => Some(names::TEMPLATE),
            Derived::Time
            | Derived::Position
            | Derived::Failed
            | Derived::Latency
            | Derived::Unit
            | Derived::Weight => None,
        }
    }
}

/// How a template's id is written.
pub(super) fn template_text(template: u64) -> String {
    format!("{template:016x}")
}

/// A latency in milliseconds: a range says its unit, and a number is of these.
pub(super) fn latency_ms(us: u64) -> f64 {
    us as f64 / 1e3
}

/// How the bits of a unit's hash that are kept are written.
pub(super) fn unit_text(bits: u64) -> String {
    format!("{bits:010x}")
}

/// The columns of a segment. Most questions need few of them, so they are opened when they are asked for.
pub(super) struct DerivedColumns {
    segment: SegmentReader,
    pub(super) time: Column<i64>,
    pub(super) position: Column<u64>,
    failed: OnceCell<Option<Column<u64>>>,
    latency: OnceCell<Option<Column<u64>>>,
    unit: OnceCell<Option<Column<u64>>>,
    weight: OnceCell<Option<Column<u64>>>,
    texts: [OnceCell<Option<StrColumn>>; Derived::ALL.len()],
    /// Why one could not be opened.
    broken: RefCell<Option<TantivyError>>,
}

impl DerivedColumns {
    pub(super) fn open(segment: &SegmentReader) -> tantivy::Result<DerivedColumns> {
        let fast = segment.fast_fields();
        Ok(DerivedColumns {
            time: fast.i64(names::TIME)?,
            position: fast.u64(names::POSITION)?,
            segment: segment.clone(),
            failed: OnceCell::new(),
            latency: OnceCell::new(),
            unit: OnceCell::new(),
            weight: OnceCell::new(),
            texts: std::array::from_fn(|_| OnceCell::new()),
            broken: RefCell::new(None),
        })
    }

    /// Why a column that was asked for could not be opened; it then seemed to be empty.
    pub(super) fn broken(&self) -> tantivy::Result<()> {
        self.broken.take().map_or(Ok(()), Err)
    }

    fn opened<T>(&self, column: tantivy::Result<Option<T>>) -> Option<T> {
        column.unwrap_or_else(|error| {
            *self.broken.borrow_mut() = Some(error);
            None
        })
    }

    /// The column of a field of texts.
    pub(super) fn text(&self, field: Derived) -> Option<&StrColumn> {
        let name = field.text_column()?;
        let column = self.texts.get(field as usize)?;
        column.get_or_init(|| self.opened(self.segment.fast_fields().str(name))).as_ref()
    }

    /// Latencies in microseconds.
    pub(super) fn latency(&self) -> Option<&Column<u64>> {
        self.latency.get_or_init(|| self.opened(self.segment.fast_fields().column_opt(names::LATENCY))).as_ref()
    }

    /// The bits of units' hashes that are kept.
    pub(super) fn unit(&self) -> Option<&Column<u64>> {
        self.unit.get_or_init(|| self.opened(self.segment.fast_fields().column_opt(names::UNIT))).as_ref()
    }

    /// How many lines a document stands for; without a value one.
    pub(super) fn weight(&self) -> Option<&Column<u64>> {
        self.weight.get_or_init(|| self.opened(self.segment.fast_fields().column_opt(names::WEIGHT))).as_ref()
    }

    /// How many lines a document stands for.
    pub(super) fn weight_of(&self, document: u32) -> u64 {
        self.weight().and_then(|weights| weights.first(document)).unwrap_or(1)
    }

    /// How many lines some documents stand for, and whether any stands for others.
    pub(super) fn weigh(&self, documents: &Bits) -> (u64, bool) {
        let count = documents.count();
        let Some(weights) = self.weight().filter(|weights| weights.max_value() > 1) else { return (count, false) };
        let of = documents.iter().filter_map(|document| weights.first(document));
        let more: u64 = of.map(|weight| weight.saturating_sub(1)).sum();
        (count + more, more > 0)
    }

    pub(super) fn failed(&self) -> Option<&Column<u64>> {
        self.failed.get_or_init(|| self.opened(self.segment.fast_fields().column_opt(names::FAILED))).as_ref()
    }

    /// The value of a document.
    pub(super) fn value(&self, field: Derived, document: u32) -> Option<Value<'static>> {
        let text = |text: String| Value::Str(Cow::Owned(text));
        match field {
            Derived::Time => self.time.first(document).map(|time| text(Timestamp(time).to_string())),
            Derived::Position => self.position.first(document).map(|position| Value::Number(position as f64)),
            Derived::Failed => Some(Value::Bool(self.failed().is_some_and(|failed| failed.first(document).is_some()))),
            Derived::Latency => self.latency()?.first(document).map(|us| Value::Number(latency_ms(us))),
            Derived::Unit => self.unit()?.first(document).map(|bits| text(unit_text(bits))),
            Derived::Weight => Some(Value::Number(self.weight_of(document) as f64)),
            Derived::Stream
            | Derived::Service
            | Derived::Arm
            | Derived::Route
            | Derived::Kind
            | Derived::Template
            | Derived::Reject
            | Derived::Level
            | Derived::Status => {
                let column = self.text(field)?;
                let mut out = String::new();
                let ord = column.ords().first(document)?;
                column.ord_to_str(ord, &mut out).ok()?.then(|| text(out))
            }
        }
    }
}
