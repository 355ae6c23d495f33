//! Counts, quantiles and distinct values of the lines that a query finds, by groups and by time.
//!
//! Everything is counted here, on the columns and terms of the index, so that a parameter has one meaning and none is passed over.
//! A line whose field holds a list counts for each different value of it: it is in the group of each, and each is one value of a figure.
//! Quantiles come from bins of 1/64 octave (at most .8 % from the value). Distinct values are counted by hashes: of a column of ids by 32 bits
//! (of 500,000 about 30 are lost), of units by 40.

use std::borrow::Cow;

use hashbrown::{HashMap, HashSet};
use tantivy::columnar::Column;
use tantivy::index::SegmentReader;
use tantivy::schema::IndexRecordOption;

use crate::index::bits::Bits;
use crate::index::derived::{Derived, DerivedColumns};
use crate::index::histogram::Histogram;
use crate::index::layout::{ColumnKind, LINE_ONLY, SEPARATOR, id_hash, names};
use crate::index::reading::{Reading, Stopped};
use crate::index::search::{Lines, Partial, Segment};
use crate::index::store::Index;
use crate::query::{self, Node, Value};
use crate::time::Micros;

/// Name by which units are counted.
pub const UNIT: &str = "_unit";
/// Groups that are kept; lines of others are counted together.
pub(super) const GROUPS_MAX: usize = 65_536;
/// Groups with quantiles or distinct values.
pub(super) const RICH_GROUPS_MAX: usize = 4_096;
/// Distinct values that are kept, over all groups.
pub(super) const DISTINCT_MAX: usize = 20_000_000;
/// Groups that one line may be in, by lists; the answer is not whole where one is in more.
const GROUPS_OF_A_LINE: usize = 4_096;

/// What is said of each group, besides how many lines it has.
#[derive(Clone, PartialEq, Debug)]
pub enum Metric {
    /// Distinct values of a field.
    Distinct(String),
    /// Quantiles of a field of numbers, from 0 to 1.
    Quantiles(String, Vec<f64>),
    /// Least, greatest, sum and number of values of a field of numbers; of times in milliseconds since 1970.
    Stats(String),
    /// Values of a field of any kind.
    Values(String),
}

impl Metric {
    /// The field whose values are asked for.
    pub fn field(&self) -> &str {
        match self {
            Metric::Distinct(field) | Metric::Quantiles(field, _) | Metric::Stats(field) | Metric::Values(field) => {
                field
            }
        }
    }
}

/// A question for figures.
pub struct Counted<'a> {
    /// What lines must be, with names as paths.
    pub tree: &'a Node,
    /// Fields whose values make groups; `_time` is not one of them.
    pub by: &'a [String],
    /// A field of numbers whose ranges between these bounds, ascending, make groups: their keys stand behind those of `by`.
    pub ranges: Option<(&'a str, &'a [f64])>,
    /// Length of a stretch of time, and how far the zone is ahead of UTC; stretches begin in its midnight.
    pub every: Option<(Micros, Micros)>,
    /// What is said of each group.
    pub metrics: &'a [Metric],
    /// It is time to stop.
    pub stop: &'a dyn Fn() -> bool,
}

/// What was found of a metric.
#[derive(Clone, PartialEq, Debug)]
pub enum Figure {
    /// So many distinct values.
    Distinct(u64),
    /// Quantiles in the order in which they were asked; none without a value.
    Quantiles(Vec<Option<f64>>),
    /// Values, their least, greatest and sum.
    Stats {
        /// Values.
        count: u64,
        /// The least.
        min: f64,
        /// The greatest.
        max: f64,
        /// The sum.
        sum: f64,
    },
    /// So many values.
    Values(u64),
}

/// A group.
#[derive(Clone, PartialEq, Debug)]
pub struct Group {
    /// Its values, in the order of [`Counted::by`], and its range (`..100`, `100..500` with 100 and without 500, `500..`); `None` where
    /// lines have none.
    pub key: Vec<Option<String>>,
    /// Where its stretch of time begins, in microseconds.
    pub from: Option<i64>,
    /// Lines; where lines were left out, as those that were kept say. So are figures, but for the least and the greatest value, and for
    /// distinct values of anything but units, of which those of lines that were kept are counted.
    pub lines: u64,
    /// Lines that are there.
    pub kept: u64,
    /// Variance of the number of distinct units that comes from what was left out.
    pub variance: f64,
    /// In the order of [`Counted::metrics`].
    pub figures: Vec<Figure>,
}

/// An answer.
#[derive(Clone, PartialEq, Debug)]
pub struct Table {
    /// Groups: in order of time, then those with most lines first. By a field that holds lists a line is in several.
    pub groups: Vec<Group>,
    /// Lines that match; where lines were left out, as those that were kept say.
    pub lines: u64,
    /// Lines that are there.
    pub kept: u64,
    /// Some stand for others.
    pub is_estimate: bool,
    /// Lines of groups past the bound.
    pub not_listed: u64,
    /// Why it is not whole.
    pub partial: Option<Partial>,
}

/// Values of one field over all segments, by number.
#[derive(Default)]
pub(super) struct Words {
    words: Vec<String>,
    ids: HashMap<String, u32, foldhash::fast::FixedState>,
}

impl Words {
    fn id(&mut self, word: &str) -> u32 {
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

    fn further(&self, document: u32) -> &[u32] {
        further_of(&self.further, document)
    }
}

/// Values of a field in a segment, as numbers.
struct Numbers {
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
    fn of_all(&self, documents: &[u32], times: &mut Vec<Option<i64>>, out: &mut Vec<Option<f64>>) {
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

    fn further(&self, document: u32) -> &[f64] {
        further_of(&self.further, document)
    }
}

/// Values of a field in a segment, as hashes.
enum Hashes {
    Column(Column<u64>, Further<u64>),
    Names(Names),
}

impl Hashes {
    /// The first value of each of some documents.
    fn of_all(&self, documents: &[u32], out: &mut Vec<Option<u64>>) {
        match self {
            Hashes::Column(column, _) => of_column(column, documents, out),
            Hashes::Names(names) => {
                out.clear();
                let of = |document: &u32| Some(u64::from(names.of(*document))).filter(|id| *id != 0);
                out.extend(documents.iter().map(of));
            }
        }
    }

    fn further(&self, document: u32) -> impl Iterator<Item = u64> + '_ {
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

    fn numbers(&self, path: &str) -> Result<Numbers, Stopped> {
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
    fn ranges(&self, path: &str, bounds: &[f64], words: &mut Words) -> Result<Names, Stopped> {
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

    fn hashes(&self, path: &str, words: &mut Words) -> Result<Hashes, Stopped> {
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

enum Sum {
    /// Hashes; of units that lines of others stand for too, each with the least of their weights.
    Distinct(HashSet<u64, foldhash::fast::FixedState>, HashMap<u64, u64, foldhash::fast::FixedState>),
    Quantiles(Histogram),
    Stats {
        count: u64,
        min: f64,
        max: f64,
        sum: f64,
    },
    Values(u64),
}

impl Sum {
    #[inline]
    fn number(&mut self, number: f64, weight: u64) {
        match self {
            Sum::Quantiles(histogram) => histogram.add(number, weight),
            Sum::Stats { count, min, max, sum } => {
                (*min, *max) = if *count == 0 { (number, number) } else { (min.min(number), max.max(number)) };
                *count += weight;
                *sum += number * weight as f64;
            }
            Sum::Distinct(..) | Sum::Values(_) => {}
        }
    }

    /// A value; how many are kept in all so far is `distinct`.
    #[inline]
    fn hash(&mut self, hash: u64, weight: u64, is_unit: bool, distinct: &mut usize) {
        match self {
            Sum::Values(values) => *values += weight,
            Sum::Distinct(..) if *distinct >= DISTINCT_MAX => {}
            Sum::Distinct(set, weighed) => {
                if weight > 1 && is_unit && !set.contains(&hash) {
                    *distinct += usize::from(weighed.insert(hash, weight).is_none());
                } else if set.insert(hash) {
                    // A unit with a line that was kept for itself stands for itself.
                    *distinct += usize::from(weighed.is_empty() || weighed.remove(&hash).is_none());
                }
            }
            Sum::Quantiles(_) | Sum::Stats { .. } => {}
        }
    }
}

struct Cell {
    lines: u64,
    kept: u64,
    sums: Vec<Sum>,
}

/// Groups while they are counted.
struct Cells<'a> {
    asked: &'a Counted<'a>,
    words: Vec<Words>,
    of_metrics: Vec<Words>,
    cells: Vec<(Vec<u32>, i64, Cell)>,
    places: HashMap<(Vec<u32>, i64), usize, foldhash::fast::FixedState>,
    lines: u64,
    kept: u64,
    is_estimate: bool,
    not_listed: u64,
    /// A line is in more groups than it was counted in.
    is_cut: bool,
    distinct: usize,
}

enum Source {
    Numbers(Numbers),
    Hashes(Hashes),
}

/// What is read of some documents.
enum Of {
    Numbers(Vec<Option<f64>>),
    Hashes(Vec<Option<u64>>),
}

/// Some documents, with what groups and figures need of them.
struct Block {
    documents: Vec<u32>,
    /// Numbers of values, by field and document.
    names: Vec<Vec<u32>>,
    /// Where the stretch of time of each document begins.
    from: Vec<i64>,
    values: Vec<Of>,
    ords: Vec<Option<u64>>,
    times: Vec<Option<i64>>,
}

impl Block {
    fn new(fields: usize, figures: usize) -> Block {
        Block {
            documents: Vec::with_capacity(BLOCK),
            names: vec![Vec::new(); fields],
            from: Vec::new(),
            values: Vec::with_capacity(figures),
            ords: Vec::new(),
            times: Vec::new(),
        }
    }

    fn read(&mut self, names: &[Names], sources: &[Source], every: Option<(&Column<i64>, (Micros, Micros))>) {
        for (names, out) in names.iter().zip(&mut self.names) {
            names.of_all(&self.documents, &mut self.ords, out);
        }
        self.from.clear();
        if let Some((times, (every, ahead))) = every {
            of_column(times, &self.documents, &mut self.times);
            let begins = |time: &Option<i64>| (time.unwrap_or(0) + ahead).div_euclid(every) * every - ahead;
            self.from.extend(self.times.iter().map(begins));
        }
        for (at, source) in sources.iter().enumerate() {
            match (source, self.values.get_mut(at)) {
                (Source::Numbers(numbers), Some(Of::Numbers(out))) => {
                    numbers.of_all(&self.documents, &mut self.times, out);
                }
                (Source::Hashes(hashes), Some(Of::Hashes(out))) => hashes.of_all(&self.documents, out),
                (Source::Numbers(numbers), _) => {
                    let mut out = Vec::new();
                    numbers.of_all(&self.documents, &mut self.times, &mut out);
                    self.values.insert(at, Of::Numbers(out));
                }
                (Source::Hashes(hashes), _) => {
                    let mut out = Vec::new();
                    hashes.of_all(&self.documents, &mut out);
                    self.values.insert(at, Of::Hashes(out));
                }
            }
        }
    }
}

/// Keys of the groups of a line whose fields hold lists, but for the one of all first values; and whether there are more than the bound.
fn further_keys(first: &[u32], names: &[Names], document: u32) -> (Vec<Vec<u32>>, bool) {
    let mut keys = vec![Vec::with_capacity(first.len())];
    let mut is_cut = false;
    for (first, names) in first.iter().zip(names) {
        let further = names.further(document);
        let mut longer = Vec::with_capacity(keys.len());
        for id in std::iter::once(first).chain(further) {
            for key in &keys {
                if longer.len() < GROUPS_OF_A_LINE {
                    longer.push([key.as_slice(), &[*id]].concat());
                } else {
                    is_cut = true;
                }
            }
        }
        keys = longer;
    }
    // The one of first values comes first.
    keys.remove(0);
    (keys, is_cut)
}

impl Cells<'_> {
    /// Parts of a key.
    fn of_groups(&self) -> usize {
        self.words.len()
    }

    fn new_cell(&self) -> Cell {
        let sums = self.asked.metrics.iter().map(|metric| match metric {
            Metric::Distinct(_) => Sum::Distinct(HashSet::default(), HashMap::default()),
            Metric::Quantiles(path, _) if path == Derived::Latency.path() => Sum::Quantiles(Histogram::of_latencies()),
            Metric::Quantiles(..) => Sum::Quantiles(Histogram::default()),
            Metric::Stats(_) => Sum::Stats { count: 0, min: 0.0, max: 0.0, sum: 0.0 },
            Metric::Values(_) => Sum::Values(0),
        });
        Cell { lines: 0, kept: 0, sums: sums.collect() }
    }

    fn add(&mut self, segment: &Segment) -> Result<(), Stopped> {
        let reader = segment.searcher.segment_reader(segment.ord);
        let columns = DerivedColumns::open(reader)?;
        let documents = super::search::decided(segment, &columns, self.asked.tree, self.asked.stop)?;
        let (lines, is_estimate) = columns.weigh(&documents);
        self.lines += lines;
        self.kept += documents.count();
        self.is_estimate |= is_estimate;
        let weights = columns.weight().filter(|_| is_estimate);
        let of_units: Vec<bool> =
            self.asked.metrics.iter().map(|metric| matches!(metric, Metric::Distinct(path) if path == UNIT)).collect();
        let plain = self.of_groups() == 0 && self.asked.every.is_none() && self.asked.metrics.is_empty();
        if plain || documents.is_empty() {
            return Ok(());
        }
        let opened = Opened { segment, reader, columns: &columns, documents: &documents };
        let mut names = Vec::new();
        for (path, words) in self.asked.by.iter().zip(&mut self.words) {
            names.push(opened.names(path, words)?);
        }
        if let (Some((path, bounds)), Some(words)) = (self.asked.ranges, self.words.last_mut()) {
            names.push(opened.ranges(path, bounds, words)?);
        }
        let mut sources = Vec::new();
        for (metric, words) in self.asked.metrics.iter().zip(&mut self.of_metrics) {
            sources.push(match metric {
                Metric::Distinct(path) | Metric::Values(path) => Source::Hashes(opened.hashes(path, words)?),
                Metric::Quantiles(path, _) | Metric::Stats(path) => Source::Numbers(opened.numbers(path)?),
            });
        }
        let most = if self.asked.metrics.is_empty() { GROUPS_MAX } else { RICH_GROUPS_MAX };
        let mut block = Block::new(names.len(), sources.len());
        let mut all = documents.iter();
        loop {
            block.documents.clear();
            block.documents.extend(all.by_ref().take(BLOCK));
            if block.documents.is_empty() {
                break;
            }
            if (self.asked.stop)() {
                return Err(Stopped::Late);
            }
            block.read(&names, &sources, self.asked.every.map(|every| (&columns.time, every)));
            self.add_block(&block, (&names, &sources), most, weights, &of_units);
        }
        Ok(())
    }

    /// The cell of a key; `None`: there are too many.
    fn cell(&mut self, key: &(Vec<u32>, i64), most: usize) -> Option<usize> {
        if let Some(at) = self.places.get(key) {
            return Some(*at);
        }
        if self.cells.len() >= most {
            return None;
        }
        let cell = self.new_cell();
        self.cells.push((key.0.clone(), key.1, cell));
        self.places.insert(key.clone(), self.cells.len() - 1);
        Some(self.cells.len() - 1)
    }

    fn add_block(
        &mut self,
        block: &Block,
        (names, sources): (&[Names], &[Source]),
        most: usize,
        weights: Option<&Column<u64>>,
        of_units: &[bool],
    ) {
        let mut key = (vec![0; block.names.len()], i64::MIN);
        let mut last: Option<usize> = None;
        // Of one field: cells of its values in the stretch of time that is read, one more than their places.
        let mut table: Vec<usize> = Vec::new();
        let have_lists = names.iter().any(|names| !names.further.is_empty());
        for (row, document) in block.documents.iter().enumerate() {
            let from = block.from.get(row).copied().unwrap_or(0);
            let mut same = last.is_some() && key.1 == from;
            if key.1 != from {
                table.clear();
            }
            key.1 = from;
            for (place, ids) in key.0.iter_mut().zip(&block.names) {
                let id = ids.get(row).copied().unwrap_or(0);
                same &= *place == id;
                *place = id;
            }
            let at = match (last.filter(|_| same), key.0.as_slice()) {
                (Some(at), _) => Some(at),
                (None, [id]) => match table.get(*id as usize).copied().filter(|at| *at > 0) {
                    Some(at) => Some(at - 1),
                    None => {
                        let id = *id as usize;
                        let at = self.cell(&key, most);
                        if table.len() <= id {
                            table.resize(id + 1, 0);
                        }
                        if let (Some(at), Some(place)) = (at, table.get_mut(id)) {
                            *place = at + 1;
                        }
                        at
                    }
                },
                (None, _) => self.cell(&key, most),
            };
            last = at;
            let weight = weights.and_then(|weights| weights.first(*document)).unwrap_or(1);
            self.add_line(at, block, (row, *document), sources, weight, of_units);
            if have_lists && names.iter().any(|names| !names.further(*document).is_empty()) {
                let (others, is_cut) = further_keys(&key.0, names, *document);
                self.is_cut |= is_cut;
                for ids in others {
                    let at = self.cell(&(ids, from), most);
                    self.add_line(at, block, (row, *document), sources, weight, of_units);
                }
            }
        }
    }

    /// Counts a line in a group; in none where there are too many.
    #[inline]
    fn add_line(
        &mut self,
        at: Option<usize>,
        block: &Block,
        (row, document): (usize, u32),
        sources: &[Source],
        weight: u64,
        of_units: &[bool],
    ) {
        let Some(at) = at else {
            self.not_listed += 1;
            return;
        };
        let Some((_, _, cell)) = self.cells.get_mut(at) else { return };
        cell.lines += weight;
        cell.kept += 1;
        let values = block.values.iter().zip(sources).zip(of_units);
        for (sum, ((values, source), of_units)) in cell.sums.iter_mut().zip(values) {
            match (values, source) {
                (Of::Numbers(numbers), Source::Numbers(all)) => {
                    if let Some(number) = numbers.get(row).copied().flatten() {
                        sum.number(number, weight);
                    }
                    all.further(document).iter().for_each(|number| sum.number(*number, weight));
                }
                (Of::Hashes(hashes), Source::Hashes(all)) => {
                    if let Some(hash) = hashes.get(row).copied().flatten() {
                        sum.hash(hash, weight, *of_units, &mut self.distinct);
                    }
                    all.further(document).for_each(|hash| sum.hash(hash, weight, *of_units, &mut self.distinct));
                }
                (Of::Numbers(_), Source::Hashes(_)) | (Of::Hashes(_), Source::Numbers(_)) => {}
            }
        }
    }

    fn table(self, partial: Option<Partial>) -> Table {
        let asked = self.asked;
        let words = self.words;
        let mut groups: Vec<Group> = self
            .cells
            .into_iter()
            .map(|(ids, from, cell)| {
                let key = ids.iter().zip(&words).map(|(id, words)| {
                    let at = (*id as usize).checked_sub(1)?;
                    words.words.get(at).cloned()
                });
                let mut variance = 0.0;
                let figures = cell.sums.into_iter().zip(asked.metrics).map(|(sum, metric)| match sum {
                    Sum::Distinct(set, weighed) => {
                        // Horvitz and Thompson: each counts by one over the share of its kind that is kept.
                        let others: u64 = weighed.values().sum();
                        variance +=
                            weighed.values().map(|weight| (weight * weight.saturating_sub(1)) as f64).sum::<f64>();
                        Figure::Distinct(set.len() as u64 + others)
                    }
                    Sum::Quantiles(histogram) => {
                        let shares = match metric {
                            Metric::Quantiles(_, shares) => shares.as_slice(),
                            Metric::Distinct(_) | Metric::Stats(_) | Metric::Values(_) => &[],
                        };
                        Figure::Quantiles(shares.iter().map(|share| histogram.quantile(*share)).collect())
                    }
                    Sum::Stats { count, min, max, sum } => Figure::Stats { count, min, max, sum },
                    Sum::Values(values) => Figure::Values(values),
                });
                let figures = figures.collect();
                Group {
                    key: key.collect(),
                    from: asked.every.map(|_| from),
                    lines: cell.lines,
                    kept: cell.kept,
                    variance,
                    figures,
                }
            })
            .collect();
        groups.sort_by(|a, b| a.from.cmp(&b.from).then(b.lines.cmp(&a.lines)).then_with(|| a.key.cmp(&b.key)));
        let partial = partial.or((self.distinct >= DISTINCT_MAX || self.is_cut).then_some(Partial::Matches));
        let Cells { lines, kept, is_estimate, not_listed, .. } = self;
        Table { groups, lines, kept, is_estimate, not_listed, partial }
    }
}

impl Index {
    /// Figures of the lines that match.
    ///
    /// # Errors
    /// A part that cannot be listed. What cannot be read of one that can is told in the answer.
    pub fn aggregate(&self, asked: &Counted<'_>) -> tantivy::Result<Table> {
        let empty = |count: usize| std::iter::repeat_with(Words::default).take(count).collect::<Vec<_>>();
        let mut cells = Cells {
            asked,
            words: empty(asked.by.len() + usize::from(asked.ranges.is_some())),
            of_metrics: empty(asked.metrics.len()),
            cells: Vec::new(),
            places: HashMap::default(),
            lines: 0,
            kept: 0,
            is_estimate: false,
            not_listed: 0,
            is_cut: false,
            distinct: 0,
        };
        let mut partial = None;
        for segment in &self.segments()? {
            match cells.add(segment) {
                Ok(()) => {}
                Err(Stopped::Late) => {
                    partial = Some(Partial::Time);
                    break;
                }
                Err(Stopped::Broken(error)) => partial = Some(Partial::Damaged(error.to_string())),
            }
        }
        Ok(cells.table(partial))
    }
}
