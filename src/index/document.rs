//! From a line and what decoding says of it to the document that an index keeps.

use std::borrow::Cow;
use std::fmt::Write as _;

use tantivy::TantivyDocument;
use tantivy::schema::Field;

use crate::event::{self, Event, Kind, Level, Names, RejectReason};
use crate::index::derived::template_text;
use crate::index::layout::{
    BEYOND, ColumnKind, LINE_ONLY, Layout, MESSAGE_MARK, MESSAGE_MAX, PATH_MAX, SEPARATOR, TERMS_MAX, UNIT_BITS,
    VALUE_MAX, id_hash, is_plain,
};
use crate::pipeline::decode::fields::{FieldReader, FieldValue, PathId};
use crate::pipeline::shape::table::Table;
use crate::query::{self, Value};
use crate::time::Timestamp;

/// What decoding says of a line.
#[derive(Clone, Copy, Debug)]
pub struct Told<'n> {
    /// Event time; of a reject that of the line before it.
    pub time: Timestamp,
    /// What the line counts towards; `reject` and `outside` are none of these.
    pub kind: &'n str,
    /// The piece of work failed.
    pub failed: bool,
    /// Severity, or nothing where the line has none.
    pub level: &'n str,
    /// Service.
    pub service: &'n str,
    /// Arm, as the line says.
    pub arm: &'n str,
    /// Route, with its ids masked.
    pub route: &'n str,
    /// Template, 0 where there is none.
    pub template: u64,
    /// Hash of the unit, 0 where there is none.
    pub unit: u64,
    /// Latency in microseconds, [`event::NO_LATENCY`] where there is none.
    pub latency_us: u64,
    /// Class of the status (`5xx`), or nothing where the line has none.
    pub status: &'n str,
    /// Why the line is no event.
    pub reject: Option<RejectReason>,
    /// How many lines it stands for, where others like it were left out ([`crate::index::Sampling`]); else 1.
    pub weight: u32,
}

/// The word of a kind.
pub fn kind_name(kind: Kind) -> &'static str {
    kind.name()
}

/// The word of a class of status.
fn status_name(class: u8) -> &'static str {
    match class {
        1 => "1xx",
        2 => "2xx",
        3 => "3xx",
        4 => "4xx",
        5 => "5xx",
        _ => "",
    }
}

/// The word of a severity; conditions know its place in their order.
pub(super) fn level_name(level: Level) -> &'static str {
    level.name()
}

/// Words of [`Told::kind`] of a line that is no event.
pub const REJECT: &str = "reject";
/// The same of an event of another environment, or outside of the time that is asked.
pub const OUTSIDE: &str = "outside";

impl<'n> Told<'n> {
    /// What decoding says of an event.
    pub fn of(event: &Event, names: &'n Names) -> Told<'n> {
        let name = |list: &'n [String], id| event::name_at(list, id).map_or("", String::as_str);
        Told {
            time: event.time,
            kind: kind_name(event.kind),
            failed: event.error,
            level: level_name(event.level),
            service: names.services.get(usize::from(event.service)).map_or("", |key| key.service.as_str()),
            arm: name(&names.arms, event.arm),
            route: name(&names.routes, event.route),
            template: event.template,
            unit: event.unit,
            latency_us: event.latency_us,
            status: status_name(event.status_class),
            reject: None,
            weight: 1,
        }
    }

    /// A line that is no event, behind one of this time.
    pub fn none(time: Timestamp, reject: Option<RejectReason>) -> Told<'n> {
        let kind = if reject.is_some() { REJECT } else { OUTSIDE };
        Told {
            time,
            kind,
            failed: false,
            level: "",
            service: "",
            arm: "",
            route: "",
            template: 0,
            unit: 0,
            latency_us: event::NO_LATENCY,
            status: "",
            reject,
            weight: 1,
        }
    }
}

/// Where the values of a path go.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// Terms.
    Terms,
    /// A column of this kind.
    Column(ColumnKind, Field),
    /// Tokens.
    Message(Field),
    /// Only the line can be asked.
    Unknown,
}

/// Makes documents of one layout.
#[derive(Debug)]
pub(super) struct Maker {
    reader: FieldReader,
    generation: u64,
    /// Place of each path, by its number.
    places: Vec<Place>,
    term: String,
}

/// Bits of a unit's hash that are kept.
pub(super) fn unit_bits(unit: u64) -> u64 {
    unit >> (64 - UNIT_BITS)
}

impl Maker {
    /// Of lines that may be of these tables.
    pub(super) fn new(tables: &[Table]) -> Maker {
        Maker { reader: FieldReader::of_tables(tables), generation: 0, places: Vec::new(), term: String::new() }
    }

    /// Forgets the places of paths: the layout is another one.
    pub(super) fn anew(&mut self) {
        self.places.clear();
    }

    /// The document of a line.
    pub(super) fn document(
        &mut self,
        layout: &Layout,
        stream: &str,
        position: u64,
        line: &str,
        told: &Told<'_>,
    ) -> TantivyDocument {
        let mut document = TantivyDocument::new();
        document.add_i64(layout.time, told.time.0);
        document.add_text(layout.stream, stream);
        document.add_u64(layout.position, position);
        document.add_text(layout.kind, told.kind);
        for (field, text) in [
            (layout.service, told.service),
            (layout.arm, told.arm),
            (layout.route, told.route),
            (layout.level, told.level),
            (layout.status, told.status),
        ] {
            if !text.is_empty() {
                document.add_text(field, text);
            }
        }
        if told.failed {
            document.add_u64(layout.failed, 1);
        }
        if told.template != 0 {
            document.add_text(layout.template, template_text(told.template));
        }
        if told.unit != 0 {
            document.add_u64(layout.unit, unit_bits(told.unit));
        }
        if told.latency_us != event::NO_LATENCY {
            document.add_u64(layout.latency, told.latency_us);
        }
        if told.weight > 1 {
            document.add_u64(layout.weight, u64::from(told.weight));
        }
        if let Some(reject) = told.reject {
            document.add_text(layout.reject, reject.name());
        }
        let mut terms = Terms { document, field: layout.terms, count: 0, term: std::mem::take(&mut self.term) };
        match self.reader.read(line) {
            Ok(fields) => {
                if self.generation != self.reader.generation() {
                    self.generation = self.reader.generation();
                    self.places.clear();
                }
                for (id, value) in &fields {
                    let place = self.place(layout, *id);
                    put(place, self.reader.path(*id), value, &mut terms);
                }
            }
            Err(_) => {
                let value = FieldValue::Value(Value::Str(Cow::Borrowed(line)));
                put(place_of(layout, query::MESSAGE), query::MESSAGE, &value, &mut terms);
            }
        }
        self.term = terms.term;
        terms.document
    }

    fn place(&mut self, layout: &Layout, id: PathId) -> Place {
        while self.places.len() <= id as usize {
            let path = self.reader.path(self.places.len() as PathId);
            self.places.push(place_of(layout, path));
        }
        self.places.get(id as usize).copied().unwrap_or(Place::Unknown)
    }
}

fn place_of(layout: &Layout, path: &str) -> Place {
    if let Some(message) = layout.message(path) {
        Place::Message(message.field)
    } else if let Some(column) = layout.column(path) {
        Place::Column(column.kind, column.field)
    } else if is_plain(path) && path.len() <= PATH_MAX {
        Place::Terms
    } else {
        Place::Unknown
    }
}

struct Terms {
    document: TantivyDocument,
    field: Field,
    count: usize,
    term: String,
}

impl Terms {
    /// A value as a term, or the mark that the line has it.
    fn add(&mut self, path: &str, value: &Value<'_>) {
        self.term.clear();
        self.term.push_str(path);
        match value {
            Value::Str(text) if text.len() > VALUE_MAX => return self.line_only(path),
            Value::Str(text) => {
                self.term.push(SEPARATOR);
                self.term.push('s');
                self.term.push_str(text);
            }
            Value::Number(number) => {
                // A text takes whatever is written into it.
                let _infallible = write!(self.term, "{SEPARATOR}n{number}");
            }
            Value::Bool(b) => self.term.push_str(if *b { "\u{1}btrue" } else { "\u{1}bfalse" }),
            Value::List(_) => return self.line_only(path),
        }
        self.push();
    }

    fn line_only(&mut self, path: &str) {
        self.marked(path, LINE_ONLY);
    }

    fn marked(&mut self, path: &str, mark: char) {
        self.term.clear();
        self.term.push_str(path);
        self.term.push(mark);
        self.push();
    }

    fn beyond(&mut self) {
        self.document.add_text(self.field, BEYOND);
    }

    fn push(&mut self) {
        if self.count == TERMS_MAX {
            self.beyond();
        } else if self.count < TERMS_MAX {
            self.document.add_text(self.field, &self.term);
        }
        self.count += 1;
    }
}

fn put(place: Place, path: &str, value: &FieldValue<'_>, terms: &mut Terms) {
    let value = match (place, value) {
        (Place::Unknown, _) => return terms.beyond(),
        (Place::Message(field), FieldValue::Value(Value::Str(text))) => {
            if text.len() > MESSAGE_MAX {
                return terms.line_only(path);
            }
            terms.document.add_text(field, text);
            return terms.marked(path, MESSAGE_MARK);
        }
        (Place::Message(_) | Place::Column(ColumnKind::Line, _), _) | (_, FieldValue::Object(_)) => {
            // A list without a scalar has no value.
            if !matches!(value, FieldValue::Value(Value::List(list)) if list.is_empty()) {
                terms.line_only(path);
            }
            return;
        }
        (_, FieldValue::Value(value)) => value,
    };
    match value {
        Value::List(list) => list.iter().for_each(|value| put_one(place, path, value, terms)),
        value => put_one(place, path, value, terms),
    }
}

fn put_one(place: Place, path: &str, value: &Value<'_>, terms: &mut Terms) {
    let Place::Column(kind, field) = place else { return terms.add(path, value) };
    match (kind, value) {
        (ColumnKind::Text, Value::Str(text)) if text.len() <= VALUE_MAX => terms.document.add_text(field, text),
        // Two zeros would be one.
        (ColumnKind::Number, Value::Number(number)) if *number != 0.0 || number.is_sign_positive() => {
            terms.document.add_f64(field, *number);
        }
        (ColumnKind::Date, Value::Str(text)) => match query::date_of(text) {
            Some(micros) => terms.document.add_i64(field, micros),
            None => terms.add(path, value),
        },
        (ColumnKind::Id, Value::Str(text)) => terms.document.add_u64(field, id_hash(text)),
        // What a column does not take is found like any other value.
        (ColumnKind::Text | ColumnKind::Number | ColumnKind::Date | ColumnKind::Id | ColumnKind::Line, _) => {
            terms.add(path, value);
        }
    }
}
