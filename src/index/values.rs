//! Values of the fields of a segment's lines, for groups and figures: from columns where there are some, from terms, and from the lines
//! themselves. A field may hold a list, so that a line has several.

use std::borrow::Cow;

use hashbrown::HashMap;
use tantivy::columnar::Column;
use tantivy::index::SegmentReader;
use tantivy::schema::IndexRecordOption;

use crate::index::bits::Bits;
use crate::index::derived::{Derived, DerivedColumns};
use crate::index::layout::{ColumnKind, LINE_ONLY, SEPARATOR, id_hash, names};
use crate::index::reading::{Reading, Stopped};
use crate::index::search::{Lines, Segment};
use crate::query::{self, Value};

/// Name by which units are counted.
pub const UNIT: &str = "_unit";

/// Values of one field over all segments, by number.
#[derive(Default)]
pub(super) struct Words {
    words: Vec<String>,
    ids: HashMap<String, u32, foldhash::fast::FixedState>,
}

impl Words {
    pub(super) fn id(&mut self, word: &str) -> u32 {
        if let Some(id) = self.ids.get(word) {
            return *id;
        }
        // Zero is no value.
        let id = self.words.len() as u32 + 1;
        self.words.push(word.to_owned());
        self.ids.insert(word.to_owned(), id);
        id
    }

    /// The word of a number.
    pub(super) fn word(&self, id: u32) -> Option<&str> {
        self.words.get((id as usize).checked_sub(1)?).map(String::as_str)
    }
}

/// Values of documents beyond their first: those of lists, which few lines have.
type Further<T> = HashMap<u32, Vec<T>, foldhash::fast::FixedState>;

fn further_of<T>(further: &Further<T>, document: u32) -> &[T] {
    if further.is_empty() { &[] } else { further.get(&document).map_or(&[], Vec::as_slice) }
}

/// Something that a value may be, and that says that there is none.
trait Absent: Copy + PartialEq {
    const NONE: Self;
    fn is_none(self) -> bool;
}

impl Absent for u32 {
    const NONE: u32 = 0;
    fn is_none(self) -> bool {
        self == 0
    }
}

impl Absent for f64 {
    const NONE: f64 = f64::NAN;
    fn is_none(self) -> bool {
        self.is_nan()
    }
}

/// Values by document.
struct Listing<T> {
    first: Vec<T>,
    further: Further<T>,
}

impl<T: Absent> Listing<T> {
    fn new(documents: u32) -> Listing<T> {
        Listing { first: vec![T::NONE; documents as usize], further: Further::default() }
    }

    fn add(&mut self, document: u32, value: T) {
        let Some(first) = self.first.get_mut(document as usize) else { return };
        if value.is_none() || *first == value {
            return;
        }
        if first.is_none() {
            *first = value;
            return;
        }
        let further = self.further.entry(document).or_default();
        if !further.contains(&value) {
            further.push(value);
        }
    }
}

/// What documents have in a column beyond their first value.
fn beyond_first<T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static, Of: PartialEq>(
    column: &Column<T>,
    documents: &Bits,
    of: impl Fn(T) -> Of,
) -> Further<Of> {
    let mut further = Further::default();
    if column.get_cardinality().is_multivalue() {
        for document in documents.iter() {
            let mut values = column.values_for_doc(document).map(&of);
            let Some(first) = values.next() else { continue };
            let mut list = Vec::new();
            for value in values {
                if value != first && !list.contains(&value) {
                    list.push(value);
                }
            }
            if !list.is_empty() {
                further.insert(document, list);
            }
        }
    }
    further
}

/// Values of a field in a segment, as numbers of [`Words`].
pub(super) struct Names {
    first: FirstName,
    further: Further<u32>,
}

enum FirstName {
    Ords(Column<u64>, Vec<u32>),
    Listed(Vec<u32>),
}

impl From<Listing<u32>> for Names {
    fn from(listing: Listing<u32>) -> Names {
        Names { first: FirstName::Listed(listing.first), further: listing.further }
    }
}

/// Documents that are read together: columns are unpacked faster in blocks.
pub(super) const BLOCK: usize = 512;

/// The values of a column for some documents.
pub(super) fn of_column<T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static>(
    column: &Column<T>,
    documents: &[u32],
    out: &mut Vec<Option<T>>,
) {
    out.clear();
    out.resize(documents.len(), None);
    column.first_vals(documents, out);
}

impl Names {
    /// The first value of each of some documents.
    pub(super) fn of_all(&self, documents: &[u32], ords: &mut Vec<Option<u64>>, out: &mut Vec<u32>) {
        out.clear();
        match &self.first {
            FirstName::Ords(column, ids) => {
                of_column(column, documents, ords);
                let id = |ord: &Option<u64>| ord.and_then(|ord| ids.get(ord as usize).copied()).unwrap_or(0);
                out.extend(ords.iter().map(id));
            }
            FirstName::Listed(_) => out.extend(documents.iter().map(|document| self.of(*document))),
        }
    }

    fn of(&self, document: u32) -> u32 {
        match &self.first {
            FirstName::Ords(column, ids) => {
                column.first(document).and_then(|ord| ids.get(ord as usize).copied()).unwrap_or(0)
            }
            FirstName::Listed(ids) => ids.get(document as usize).copied().unwrap_or(0),
        }
    }

    /// Some document has more than one.
    pub(super) fn has_lists(&self) -> bool {
        !self.further.is_empty()
    }

    /// What a document has beyond its first.
    pub(super) fn further(&self, document: u32) -> &[u32] {
        further_of(&self.further, document)
    }
}

/// Values of a field in a segment, as numbers.
pub(super) struct Numbers {
    first: FirstNumber,
    further: Further<f64>,
}

enum FirstNumber {
    Column(Column<f64>),
    /// In microseconds; they are counted in milliseconds.
    Times(Column<i64>),
    Listed(Vec<f64>),
}

fn millis(micros: i64) -> f64 {
    micros as f64 / 1e3
}

impl Numbers {
    /// The first value of each of some documents.
    pub(super) fn of_all(&self, documents: &[u32], times: &mut Vec<Option<i64>>, out: &mut Vec<Option<f64>>) {
        match &self.first {
            FirstNumber::Column(column) => of_column(column, documents, out),
            FirstNumber::Times(column) => {
                of_column(column, documents, times);
                out.clear();
                out.extend(times.iter().map(|time| time.map(millis)));
            }
            FirstNumber::Listed(_) => {
                out.clear();
                out.extend(documents.iter().map(|document| self.of(*document)));
            }
        }
    }

    fn of(&self, document: u32) -> Option<f64> {
        match &self.first {
            FirstNumber::Column(column) => column.first(document),
            FirstNumber::Times(column) => column.first(document).map(millis),
            FirstNumber::Listed(numbers) => numbers.get(document as usize).copied().filter(|number| !number.is_nan()),
        }
    }

    pub(super) fn further(&self, document: u32) -> &[f64] {
        further_of(&self.further, document)
    }
}

/// Values of a field in a segment, as hashes.
pub(super) enum Hashes {
    Column(Column<u64>, Further<u64>),
    Names(Names),
}

impl Hashes {
    /// The first value of each of some documents.
    pub(super) fn of_all(&self, documents: &[u32], out: &mut Vec<Option<u64>>) {
        match self {
            Hashes::Column(column, _) => of_column(column, documents, out),
            Hashes::Names(names) => {
                out.clear();
                let of = |document: &u32| Some(u64::from(names.of(*document))).filter(|id| *id != 0);
                out.extend(documents.iter().map(of));
            }
        }
    }

    pub(super) fn further(&self, document: u32) -> impl Iterator<Item = u64> + '_ {
        let (hashes, names) = match self {
            Hashes::Column(_, further) => (further_of(further, document), &[][..]),
            Hashes::Names(names) => (&[][..], names.further(document)),
        };
        hashes.iter().copied().chain(names.iter().map(|id| u64::from(*id)))
    }
}

/// A segment with what has been opened of it.
pub(super) struct Opened<'s> {
    pub(super) segment: &'s Segment,
    pub(super) reader: &'s SegmentReader,
    pub(super) columns: &'s DerivedColumns,
    pub(super) documents: &'s Bits,
}

impl Opened<'_> {
    fn of_column(&self, column: &tantivy::columnar::StrColumn, words: &mut Words) -> Result<Names, Stopped> {
        let mut ids = Vec::with_capacity(column.num_terms());
        let mut terms = column.dictionary().stream()?;
        while terms.advance() {
            ids.push(words.id(&String::from_utf8_lossy(terms.key())));
        }
        let of = |ord: u64| ids.get(ord as usize).copied().unwrap_or(0);
        let further = beyond_first(column.ords(), self.documents, of);
        Ok(Names { first: FirstName::Ords(column.ords().clone(), ids), further })
    }

    /// Values of a path, as they are listed, those of a list one by one: by `see`, document by document.
    fn each(&self, path: &str, see: &mut dyn FnMut(u32, &Value<'_>)) -> Result<(), Stopped> {
        self.each_term(path, see)?;
        self.each_of_lines(path, see)
    }

    /// Those that are terms.
    fn each_term(&self, path: &str, see: &mut dyn FnMut(u32, &Value<'_>)) -> Result<(), Stopped> {
        let field = self.segment.part.layout.terms;
        let inverted = self.reader.inverted_index(field)?;
        let (from, until) = (format!("{path}{SEPARATOR}"), format!("{path}{LINE_ONLY}"));
        let mut terms = inverted.terms().range().ge(&from).lt(&until).into_stream()?;
        while terms.advance() {
            let Some(value) = std::str::from_utf8(terms.key()).ok().and_then(|term| term.get(from.len()..)) else {
                continue;
            };
            let text = value.get(1..).unwrap_or("");
            let value = match value.bytes().next() {
                Some(b'n') => Value::Number(text.parse().unwrap_or(f64::NAN)),
                Some(b'b') => Value::Bool(text == "true"),
                _ => Value::Str(Cow::Borrowed(text)),
            };
            let mut postings = inverted.read_block_postings_from_terminfo(terms.value(), IndexRecordOption::Basic)?;
            while !postings.docs().is_empty() {
                postings.docs().iter().for_each(|document| see(*document, &value));
                postings.advance();
            }
        }
        Ok(())
    }

    /// Those that the line alone has.
    fn each_of_lines(&self, path: &str, see: &mut dyn FnMut(u32, &Value<'_>)) -> Result<(), Stopped> {
        let layout = &self.segment.part.layout;
        let is_hashed = layout
            .column(path)
            .is_some_and(|column| matches!(column.kind, ColumnKind::Id | ColumnKind::Line | ColumnKind::Date));
        let marks = Reading { layout, segment: self.reader, columns: self.columns, stop: &|| false };
        let of_line = if is_hashed || layout.message(path).is_some() {
            self.documents.clone()
        } else {
            marks.in_line_only(path)?.and(self.documents)
        };
        if !of_line.is_empty() {
            let mut lines = Lines::new(self.segment, self.columns)?;
            for document in of_line.iter() {
                match lines.value(document, path)? {
                    Some(Value::List(list)) => list.iter().for_each(|value| see(document, value)),
                    Some(value) => see(document, &value),
                    None => {}
                }
            }
        }
        Ok(())
    }

    pub(super) fn names(&self, path: &str, words: &mut Words) -> Result<Names, Stopped> {
        let fast = self.reader.fast_fields();
        let mut listing = Listing::new(self.reader.max_doc());
        if let Some(field) = Derived::of(path) {
            if let Some(column) = self.columns.text(field) {
                return self.of_column(column, words);
            }
            for document in self.documents.iter() {
                if let Some(value) = self.columns.value(field, document) {
                    listing.add(document, words.id(&text_of(&value)));
                }
            }
            return Ok(listing.into());
        }
        if let Some(column) = self.segment.part.layout.column(path) {
            match column.kind {
                ColumnKind::Text => {
                    if let Some(values) = fast.str(&column.name)? {
                        let names = self.of_column(&values, words)?;
                        let mut others = false;
                        self.each(path, &mut |_, _| others = true)?;
                        if !others {
                            return Ok(names);
                        }
                        for document in self.documents.iter() {
                            listing.add(document, names.of(document));
                            names.further(document).iter().for_each(|id| listing.add(document, *id));
                        }
                    }
                }
                ColumnKind::Number => {
                    if let Some(values) = fast.column_opt::<f64>(&column.name)? {
                        let mut known: HashMap<u64, u32, foldhash::fast::FixedState> = HashMap::default();
                        for document in self.documents.iter() {
                            for number in values.values_for_doc(document) {
                                let id = known.entry(number.to_bits()).or_insert_with(|| words.id(&number.to_string()));
                                listing.add(document, *id);
                            }
                        }
                    }
                }
                ColumnKind::Date | ColumnKind::Id | ColumnKind::Line => {}
            }
        }
        self.each(path, &mut |document, value| {
            if self.documents.has(document) {
                listing.add(document, words.id(&text_of(value)));
            }
        })?;
        Ok(listing.into())
    }

    pub(super) fn numbers(&self, path: &str) -> Result<Numbers, Stopped> {
        if Derived::of(path) == Some(Derived::Time) {
            return Ok(Numbers { first: FirstNumber::Times(self.columns.time.clone()), further: Further::default() });
        }
        let mut listing = Listing::new(self.reader.max_doc());
        if let Some(field) = Derived::of(path) {
            for document in self.documents.iter() {
                if let Some(Value::Number(number)) = self.columns.value(field, document) {
                    listing.add(document, number);
                }
            }
            return Ok(Numbers { first: FirstNumber::Listed(listing.first), further: listing.further });
        }
        let fast = self.reader.fast_fields();
        let column = self.segment.part.layout.column(path);
        match column.map(|column| (column.kind, column.name.as_str())) {
            Some((ColumnKind::Number, name)) => {
                if let Some(values) = fast.column_opt::<f64>(name)? {
                    // What is written as text, and what the column does not take, is a term.
                    let mut others = false;
                    self.each_term(path, &mut |_, value| others |= number_of(value).is_some())?;
                    if !others {
                        let further = beyond_first(&values, self.documents, |number| number);
                        return Ok(Numbers { first: FirstNumber::Column(values), further });
                    }
                    for document in self.documents.iter() {
                        values.values_for_doc(document).for_each(|number| listing.add(document, number));
                    }
                }
            }
            Some((ColumnKind::Date, name)) => {
                if let Some(values) = fast.column_opt::<i64>(name)? {
                    let further = beyond_first(&values, self.documents, millis);
                    return Ok(Numbers { first: FirstNumber::Times(values), further });
                }
            }
            Some((ColumnKind::Text, name)) => {
                if let Some(values) = fast.str(name)? {
                    let mut of_ord = Vec::with_capacity(values.num_terms());
                    let mut terms = values.dictionary().stream()?;
                    while terms.advance() {
                        let text = std::str::from_utf8(terms.key()).ok();
                        of_ord.push(text.and_then(query::number_of).unwrap_or(f64::NAN));
                    }
                    for document in self.documents.iter() {
                        for ord in values.ords().values_for_doc(document) {
                            listing.add(document, of_ord.get(ord as usize).copied().unwrap_or(f64::NAN));
                        }
                    }
                }
            }
            Some((ColumnKind::Id | ColumnKind::Line, _)) | None => {}
        }
        self.each(path, &mut |document, value| {
            if let Some(number) = number_of(value) {
                listing.add(document, number);
            }
        })?;
        Ok(Numbers { first: FirstNumber::Listed(listing.first), further: listing.further })
    }

    /// In which range between bounds the values of a field lie.
    pub(super) fn ranges(&self, path: &str, bounds: &[f64], words: &mut Words) -> Result<Names, Stopped> {
        let numbers = self.numbers(path)?;
        let bound =
            |at: Option<usize>| at.and_then(|at| bounds.get(at)).map_or_else(String::new, |bound| shown(*bound));
        let ids: Vec<u32> = (0..=bounds.len())
            .map(|above| words.id(&format!("{}..{}", bound(above.checked_sub(1)), bound(Some(above)))))
            .collect();
        let mut listing = Listing::new(self.reader.max_doc());
        for document in self.documents.iter() {
            for number in numbers.of(document).iter().chain(numbers.further(document)) {
                let above = bounds.partition_point(|bound| bound <= number);
                listing.add(document, ids.get(above).copied().unwrap_or(0));
            }
        }
        Ok(listing.into())
    }

    pub(super) fn hashes(&self, path: &str, words: &mut Words) -> Result<Hashes, Stopped> {
        let fast = self.reader.fast_fields();
        let name = match self.segment.part.layout.column(path) {
            _ if path == UNIT => Some(names::UNIT),
            Some(column) if column.kind == ColumnKind::Id => Some(column.name.as_str()),
            Some(_) | None => None,
        };
        if let Some(name) = name
            && let Some(column) = fast.column_opt::<u64>(name)?
        {
            let mut further = beyond_first(&column, self.documents, |hash| hash);
            if path != UNIT {
                // What is no text stands among the terms.
                self.each_term(path, &mut |document, value| {
                    let hash = id_hash(&text_of(value));
                    if self.documents.has(document) && column.values_for_doc(document).all(|known| known != hash) {
                        further.entry(document).or_default().push(hash);
                    }
                })?;
            }
            return Ok(Hashes::Column(column, further));
        }
        if path == UNIT {
            return Ok(Hashes::Names(Listing::new(0).into()));
        }
        Ok(Hashes::Names(self.names(path, words)?))
    }
}

/// A value as a number: also one that is written as text, as ranges of searches have it.
fn number_of(value: &Value<'_>) -> Option<f64> {
    match value {
        Value::Number(number) => Some(*number),
        Value::Str(text) => query::number_of(text),
        Value::Bool(_) | Value::List(_) => None,
    }
}

/// A bound as it is written in the name of a range.
fn shown(bound: f64) -> String {
    if bound.abs() < 1e15 { bound.to_string() } else { format!("{bound:e}") }
}

fn text_of(value: &Value<'_>) -> String {
    match value {
        Value::Str(text) => text.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Bool(b) => b.to_string(),
        Value::List(list) => list.iter().map(text_of).collect::<Vec<_>>().join(","),
    }
}
