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
    /// Its values, in the order of [`Counted::by`]; `None` where lines have none.
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
struct Words {
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
}

/// Values of a field in a segment, as numbers of [`Words`].
enum Names {
    Ords(Column<u64>, Vec<u32>),
    Listed(Vec<u32>),
}

impl Names {
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
    fn of(&self, document: u32) -> Option<u64> {
        match self {
            Hashes::Column(column) => column.first(document),
            Hashes::Names(names) => Some(u64::from(names.of(document))).filter(|id| *id != 0),
        }
    }
}

/// A segment with what has been opened of it.
struct Opened<'s> {
    segment: &'s Segment,
    reader: &'s SegmentReader,
    columns: &'s DerivedColumns,
    documents: &'s Bits,
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

    fn names(&self, path: &str, words: &mut Words) -> Result<Names, Stopped> {
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

/// Numbers in bins of 1/64 octave.
#[derive(Clone, Default, Debug)]
struct Histogram {
    /// Bin of the first count.
    low: u32,
    counts: Vec<u64>,
    /// Zero and below.
    least: u64,
    min: f64,
    max: f64,
    values: u64,
}

/// Bits of a number below its bin: sign, exponent and six bits of the fraction make the bin.
const BELOW_BIN: u32 = 52 - 6;

impl Histogram {
    fn add(&mut self, value: f64, weight: u64) {
        (self.min, self.max) =
            if self.values == 0 { (value, value) } else { (self.min.min(value), self.max.max(value)) };
        self.values += weight;
        if value <= 0.0 {
            self.least += weight;
            return;
        }
        let bin = (value.to_bits() >> BELOW_BIN) as u32;
        if self.counts.is_empty() {
            self.low = bin;
        }
        if bin < self.low {
            let more = (self.low - bin) as usize;
            self.counts.splice(0..0, std::iter::repeat_n(0, more));
            self.low = bin;
        }
        let at = (bin - self.low) as usize;
        if at >= self.counts.len() {
            self.counts.resize(at + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(at) {
            *count += weight;
        }
    }

    /// The value with this share of values at or below it: the middle of its bin, and no further out than any value.
    fn quantile(&self, share: f64) -> Option<f64> {
        if self.values == 0 {
            return None;
        }
        let rank = ((share * self.values as f64).ceil() as u64).clamp(1, self.values);
        let mut seen = self.least;
        if rank <= seen {
            return Some(self.min);
        }
        for (at, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                let edge = |bin: u32| f64::from_bits(u64::from(bin) << BELOW_BIN);
                let bin = self.low + at as u32;
                return Some(((edge(bin) + edge(bin + 1)) / 2.0).clamp(self.min, self.max));
            }
        }
        Some(self.max)
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

impl Cells<'_> {
    fn new_cell(&self) -> Cell {
        let sums = self.asked.metrics.iter().map(|metric| match metric {
            Metric::Distinct(_) => Sum::Distinct(HashSet::default(), HashMap::default()),
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
        let plain = self.asked.by.is_empty() && self.asked.every.is_none() && self.asked.metrics.is_empty();
        if plain || documents.is_empty() {
            return Ok(());
        }
        let opened = Opened { segment, reader, columns: &columns, documents: &documents };
        let mut names = Vec::new();
        for (path, words) in self.asked.by.iter().zip(&mut self.words) {
            names.push(opened.names(path, words)?);
        }
        let mut sources = Vec::new();
        for (metric, words) in self.asked.metrics.iter().zip(&mut self.of_metrics) {
            sources.push(match metric {
                Metric::Distinct(path) => Source::Hashes(opened.hashes(path, words)?),
                Metric::Quantiles(path, _) | Metric::Stats(path) => Source::Numbers(opened.numbers(path)?),
            });
        }
        let most = if self.asked.metrics.is_empty() { GROUPS_MAX } else { RICH_GROUPS_MAX };
        let mut key = (vec![0; names.len()], 0i64);
        let mut last: Option<usize> = None;
        for (number, document) in documents.iter().enumerate() {
            if number % 8_192 == 0 && (self.asked.stop)() {
                return Err(Stopped::Late);
            }
            let mut same = last.is_some();
            for (place, names) in key.0.iter_mut().zip(&names) {
                let id = names.of(document);
                same &= *place == id;
                *place = id;
            }
            if let Some((every, ahead)) = self.asked.every {
                let time = columns.time.first(document).unwrap_or(0);
                let from = (time + ahead).div_euclid(every) * every - ahead;
                same &= key.1 == from;
                key.1 = from;
            }
            let at = match last.filter(|_| same) {
                Some(at) => at,
                None => match self.places.get(&key) {
                    Some(at) => *at,
                    None if self.cells.len() < most => {
                        let cell = self.new_cell();
                        self.cells.push((key.0.clone(), key.1, cell));
                        self.places.insert(key.clone(), self.cells.len() - 1);
                        self.cells.len() - 1
                    }
                    None => {
                        self.not_listed += 1;
                        last = None;
                        continue;
                    }
                },
            };
            last = Some(at);
            let Some((_, _, cell)) = self.cells.get_mut(at) else { continue };
            let weight = weights.and_then(|weights| weights.first(document)).unwrap_or(1);
            cell.lines += weight;
            cell.kept += 1;
            for ((sum, source), of_units) in cell.sums.iter_mut().zip(&sources).zip(&of_units) {
                match (sum, source) {
                    (Sum::Distinct(set, weighed), Source::Hashes(hashes)) => {
                        let Some(hash) = hashes.of(document).filter(|_| self.distinct < DISTINCT_MAX) else { continue };
                        if weight > 1 && *of_units && !set.contains(&hash) {
                            self.distinct += usize::from(weighed.insert(hash, weight).is_none());
                        } else if set.insert(hash) {
                            // A unit with a line that was kept for itself stands for itself.
                            self.distinct += usize::from(weighed.remove(&hash).is_none());
                        }
                    }
                    (Sum::Quantiles(histogram), Source::Numbers(numbers)) => {
                        if let Some(number) = numbers.of(document) {
                            histogram.add(number, weight);
                        }
                    }
                    (Sum::Stats { count, min, max, sum }, Source::Numbers(numbers)) => {
                        if let Some(number) = numbers.of(document) {
                            (*min, *max) =
                                if *count == 0 { (number, number) } else { (min.min(number), max.max(number)) };
                            *count += weight;
                            *sum += number * weight as f64;
                        }
                    }
                    (Sum::Distinct(..), Source::Numbers(_))
                    | (Sum::Quantiles(_) | Sum::Stats { .. }, Source::Hashes(_)) => {}
                }
            }
        }
        Ok(())
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
            words: empty(asked.by.len()),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_bin() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.quantile(0.5), None);
        let mut values: Vec<f64> = (0..10_000).map(|at| 1.0007f64.powi((at * 7_919) % 10_000)).collect();
        values.iter().for_each(|value| histogram.add(*value, 1));
        values.sort_by(f64::total_cmp);
        for share in [0.0, 0.01, 0.5, 0.9, 0.99, 1.0] {
            let rank = ((share * 10_000.0f64).ceil() as usize).clamp(1, 10_000);
            let (found, exact) = (histogram.quantile(share).unwrap(), values[rank - 1]);
            assert!((found / exact - 1.0).abs() < 0.008, "{share}: {found} for {exact}");
        }
        histogram.add(-3.0, 1);
        histogram.add(0.0, 1);
        assert_eq!(histogram.quantile(0.0), Some(-3.0));
    }
}
