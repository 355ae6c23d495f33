//! Counts, quantiles and distinct values of the lines that a query finds, by groups and by time.
//!
//! Everything is counted here, on the columns and terms of the index, so that a parameter has one meaning and none is passed over.
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
use crate::index::layout::{ColumnKind, LINE_ONLY, SEPARATOR, names};
use crate::index::reading::{Reading, Stopped};
use crate::index::search::{Lines, Partial, Segment};
use crate::index::store::Index;
use crate::query::{Node, Value};
use crate::time::Micros;

/// Name by which units are counted.
pub const UNIT: &str = "_unit";
/// Groups that are kept; lines of others are counted together.
pub(super) const GROUPS_MAX: usize = 65_536;
/// Groups with quantiles or distinct values.
pub(super) const RICH_GROUPS_MAX: usize = 4_096;
/// Distinct values that are kept, over all groups.
pub(super) const DISTINCT_MAX: usize = 20_000_000;

/// What is said of each group, besides how many lines it has.
#[derive(Clone, PartialEq, Debug)]
pub enum Metric {
    /// Distinct values of a field.
    Distinct(String),
    /// Quantiles of a field of numbers, from 0 to 1.
    Quantiles(String, Vec<f64>),
    /// Least, greatest, sum and number of values of a field of numbers.
    Stats(String),
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
    /// Groups: in order of time, then those with most lines first.
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

/// Values of a field in a segment, as numbers of [`Words`].
pub(super) enum Names {
    Ords(Column<u64>, Vec<u32>),
    Listed(Vec<u32>),
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
    /// The same for some documents.
    pub(super) fn of_all(&self, documents: &[u32], ords: &mut Vec<Option<u64>>, out: &mut Vec<u32>) {
        out.clear();
        match self {
            Names::Ords(column, ids) => {
                of_column(column, documents, ords);
                let id = |ord: &Option<u64>| ord.and_then(|ord| ids.get(ord as usize).copied()).unwrap_or(0);
                out.extend(ords.iter().map(id));
            }
            Names::Listed(_) => out.extend(documents.iter().map(|document| self.of(*document))),
        }
    }

    fn of(&self, document: u32) -> u32 {
        match self {
            Names::Ords(column, ids) => {
                column.first(document).and_then(|ord| ids.get(ord as usize).copied()).unwrap_or(0)
            }
            Names::Listed(ids) => ids.get(document as usize).copied().unwrap_or(0),
        }
    }
}

/// Values of a field in a segment, as numbers.
enum Numbers {
    Column(Column<f64>),
    Listed(Vec<f64>),
}

impl Numbers {
    /// The same for some documents.
    fn of_all(&self, documents: &[u32], out: &mut Vec<Option<f64>>) {
        match self {
            Numbers::Column(column) => of_column(column, documents, out),
            Numbers::Listed(_) => {
                out.clear();
                out.extend(documents.iter().map(|document| self.of(*document)));
            }
        }
    }

    fn of(&self, document: u32) -> Option<f64> {
        match self {
            Numbers::Column(column) => column.first(document),
            Numbers::Listed(numbers) => numbers.get(document as usize).copied().filter(|number| !number.is_nan()),
        }
    }
}

/// Values of a field in a segment, as hashes.
enum Hashes {
    Column(Column<u64>),
    Names(Names),
}

impl Hashes {
    /// The same for some documents.
    fn of_all(&self, documents: &[u32], out: &mut Vec<Option<u64>>) {
        match self {
            Hashes::Column(column) => of_column(column, documents, out),
            Hashes::Names(_) => {
                out.clear();
                out.extend(documents.iter().map(|document| self.of(*document)));
            }
        }
    }

    fn of(&self, document: u32) -> Option<u64> {
        match self {
            Hashes::Column(column) => column.first(document),
            Hashes::Names(names) => Some(u64::from(names.of(document))).filter(|id| *id != 0),
        }
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
        Ok(Names::Ords(column.ords().clone(), ids))
    }

    /// Values of a path, as they are listed: by `see`, document by document.
    fn each(&self, path: &str, see: &mut dyn FnMut(u32, &Value<'_>)) -> Result<(), Stopped> {
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
        // What the line alone has.
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
                if let Some(value) = lines.value(document, path)? {
                    see(document, &value);
                }
            }
        }
        Ok(())
    }

    pub(super) fn names(&self, path: &str, words: &mut Words) -> Result<Names, Stopped> {
        let fast = self.reader.fast_fields();
        let most = self.reader.max_doc();
        if let Some(field) = Derived::of(path) {
            if let Some(column) = self.columns.text(field) {
                return self.of_column(column, words);
            }
            let mut ids = vec![0; most as usize];
            for document in self.documents.iter() {
                if let (Some(id), Some(value)) = (ids.get_mut(document as usize), self.columns.value(field, document)) {
                    *id = words.id(&text_of(&value));
                }
            }
            return Ok(Names::Listed(ids));
        }
        let column = self.segment.part.layout.column(path);
        let mut ids = vec![0; most as usize];
        if let Some(column) = column {
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
                            if let Some(id) = ids.get_mut(document as usize) {
                                *id = names.of(document);
                            }
                        }
                    }
                }
                ColumnKind::Number => {
                    if let Some(values) = fast.column_opt::<f64>(&column.name)? {
                        let mut known: HashMap<u64, u32, foldhash::fast::FixedState> = HashMap::default();
                        for document in self.documents.iter() {
                            let (Some(number), Some(id)) = (values.first(document), ids.get_mut(document as usize))
                            else {
                                continue;
                            };
                            *id = *known.entry(number.to_bits()).or_insert_with(|| words.id(&number.to_string()));
                        }
                    }
                }
                ColumnKind::Date | ColumnKind::Id | ColumnKind::Line => {}
            }
        }
        self.each(path, &mut |document, value| {
            if self.documents.has(document)
                && let Some(id) = ids.get_mut(document as usize)
                && *id == 0
            {
                *id = words.id(&text_of(value));
            }
        })?;
        Ok(Names::Listed(ids))
    }

    fn numbers(&self, path: &str) -> Result<Numbers, Stopped> {
        if let Some(column) = self.segment.part.layout.column(path).filter(|column| column.kind == ColumnKind::Number)
            && let Some(values) = self.reader.fast_fields().column_opt::<f64>(&column.name)?
        {
            return Ok(Numbers::Column(values));
        }
        let mut numbers = vec![f64::NAN; self.reader.max_doc() as usize];
        if let Some(field) = Derived::of(path) {
            for document in self.documents.iter() {
                if let (Some(place), Some(Value::Number(number))) =
                    (numbers.get_mut(document as usize), self.columns.value(field, document))
                {
                    *place = number;
                }
            }
            return Ok(Numbers::Listed(numbers));
        }
        self.each(path, &mut |document, value| {
            if let (Value::Number(number), Some(place)) = (value, numbers.get_mut(document as usize)) {
                *place = *number;
            }
        })?;
        Ok(Numbers::Listed(numbers))
    }

    /// In which range between bounds the values of a field lie.
    fn ranges(&self, path: &str, bounds: &[f64], words: &mut Words) -> Result<Names, Stopped> {
        let numbers = self.numbers(path)?;
        let bound = |at: Option<usize>| at.and_then(|at| bounds.get(at)).map_or_else(String::new, f64::to_string);
        let ids: Vec<u32> = (0..=bounds.len())
            .map(|above| words.id(&format!("{}..{}", bound(above.checked_sub(1)), bound(Some(above)))))
            .collect();
        let mut of = vec![0; self.reader.max_doc() as usize];
        for document in self.documents.iter() {
            let above = numbers.of(document).map(|number| bounds.partition_point(|bound| *bound <= number));
            if let (Some(place), Some(id)) = (of.get_mut(document as usize), above.and_then(|above| ids.get(above))) {
                *place = *id;
            }
        }
        Ok(Names::Listed(of))
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
            return Ok(Hashes::Column(column));
        }
        if path == UNIT {
            return Ok(Hashes::Names(Names::Listed(Vec::new())));
        }
        Ok(Hashes::Names(self.names(path, words)?))
    }
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
                (Source::Numbers(numbers), Some(Of::Numbers(out))) => numbers.of_all(&self.documents, out),
                (Source::Hashes(hashes), Some(Of::Hashes(out))) => hashes.of_all(&self.documents, out),
                (Source::Numbers(numbers), _) => {
                    let mut out = Vec::new();
                    numbers.of_all(&self.documents, &mut out);
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
                Metric::Distinct(path) => Source::Hashes(opened.hashes(path, words)?),
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
            self.add_block(&block, most, weights, &of_units);
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

    fn add_block(&mut self, block: &Block, most: usize, weights: Option<&Column<u64>>, of_units: &[bool]) {
        let mut key = (vec![0; block.names.len()], i64::MIN);
        let mut last: Option<usize> = None;
        // Of one field: cells of its values in the stretch of time that is read, one more than their places.
        let mut table: Vec<usize> = Vec::new();
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
            let Some(at) = at else {
                self.not_listed += 1;
                continue;
            };
            let Some((_, _, cell)) = self.cells.get_mut(at) else { continue };
            let weight = weights.and_then(|weights| weights.first(*document)).unwrap_or(1);
            cell.lines += weight;
            cell.kept += 1;
            for ((sum, values), of_units) in cell.sums.iter_mut().zip(&block.values).zip(of_units) {
                match (sum, values) {
                    (Sum::Distinct(set, weighed), Of::Hashes(hashes)) => {
                        let hash = hashes.get(row).copied().flatten();
                        let Some(hash) = hash.filter(|_| self.distinct < DISTINCT_MAX) else { continue };
                        if weight > 1 && *of_units && !set.contains(&hash) {
                            self.distinct += usize::from(weighed.insert(hash, weight).is_none());
                        } else if set.insert(hash) {
                            // A unit with a line that was kept for itself stands for itself.
                            self.distinct += usize::from(weighed.is_empty() || weighed.remove(&hash).is_none());
                        }
                    }
                    (Sum::Quantiles(histogram), Of::Numbers(numbers)) => {
                        if let Some(number) = numbers.get(row).copied().flatten() {
                            histogram.add(number, weight);
                        }
                    }
                    (Sum::Stats { count, min, max, sum }, Of::Numbers(numbers)) => {
                        if let Some(number) = numbers.get(row).copied().flatten() {
                            (*min, *max) =
                                if *count == 0 { (number, number) } else { (min.min(number), max.max(number)) };
                            *count += weight;
                            *sum += number * weight as f64;
                        }
                    }
                    (Sum::Distinct(..), Of::Numbers(_)) | (Sum::Quantiles(_) | Sum::Stats { .. }, Of::Hashes(_)) => {}
                }
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
                            Metric::Distinct(_) | Metric::Stats(_) => &[],
                        };
                        Figure::Quantiles(shares.iter().map(|share| histogram.quantile(*share)).collect())
                    }
                    Sum::Stats { count, min, max, sum } => Figure::Stats { count, min, max, sum },
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
        let partial = partial.or((self.distinct >= DISTINCT_MAX).then_some(Partial::Matches));
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
