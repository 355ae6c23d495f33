//! Counts, quantiles and distinct values of the lines that a query finds, by groups and by time.
//!
//! Everything is counted here, on the columns and terms of the index, so that a parameter has one meaning and none is passed over.
//! A line whose field holds a list counts for each different value of it: it is in the group of each, and each is one value of a figure.
//! Quantiles come from bins of 1/64 octave (at most .8 % from the value). Distinct values are counted by hashes: of a column of ids by 32 bits
//! (of 500,000 about 30 are lost), of units by 40.

use hashbrown::{HashMap, HashSet};
use tantivy::columnar::Column;

use crate::index::derived::{Derived, DerivedColumns};
use crate::index::histogram::Histogram;
use crate::index::reading::Stopped;
use crate::index::search::{Partial, Segment};
use crate::index::store::Index;
use crate::index::values::{BLOCK, Hashes, Names, Numbers, Opened, UNIT, Words, of_column};
use crate::query::Node;
use crate::time::Micros;

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
        let have_lists = names.iter().any(|names| names.has_lists());
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
                let key = ids.iter().zip(&words).map(|(id, words)| words.word(*id).map(str::to_owned));
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
