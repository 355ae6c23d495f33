//! Lines of units, one by one: who did what when.

use crate::index::derived::DerivedColumns;
use crate::index::reading::Stopped;
use crate::index::search::{Partial, Segment, decided};
use crate::index::store::Index;
use crate::index::values::{BLOCK, Names, Opened, Words, of_column};
use crate::query::Node;

/// A question for lines of units.
pub struct OfUnits<'a> {
    /// What lines must be, with names as paths ([`Index::resolve`]).
    pub tree: &'a Node,
    /// What is asked of each of them besides; at most 64 of these.
    pub questions: &'a [Node],
    /// Fields whose values are told.
    pub fields: &'a [String],
    /// Lines that are read at most.
    pub most: u64,
    /// It is time to stop: the answer is then as far as it has come.
    pub stop: &'a dyn Fn() -> bool,
}

/// A line of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnitLine<'l> {
    /// Bits of the unit's hash, which are not 0.
    pub unit: u64,
    /// Event time in microseconds.
    pub time: i64,
    /// Questions to which the answer is yes, as bits.
    pub is: u64,
    /// Values of the fields; of several one.
    pub values: &'l [Option<&'l str>],
}

/// What was read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Lines.
    pub lines: u64,
    /// Those of them that name no unit.
    pub without_unit: u64,
    /// Some stand for others that were left out.
    pub is_sampled: bool,
    /// Why it is not all of them.
    pub partial: Option<Partial>,
}

impl Index {
    /// Calls `see` with each line that matches and names a unit: stretches of time one after the other, the oldest first, and in no order within
    /// one. So where it ends early what is missing is the latest.
    ///
    /// # Errors
    /// A part that cannot be listed. What cannot be read of one that can is told in the answer.
    pub fn each_of_units(&self, asked: &OfUnits<'_>, mut see: impl FnMut(UnitLine<'_>)) -> tantivy::Result<Seen> {
        let mut words: Vec<Words> = std::iter::repeat_with(Words::default).take(asked.fields.len()).collect();
        let mut seen = Seen::default();
        let mut segments = self.segments()?;
        segments.sort_by_key(|segment| segment.times.0);
        for segment in &segments {
            match in_segment(segment, asked, &mut words, &mut seen, &mut see) {
                Ok(()) if seen.lines < asked.most => {}
                Ok(()) => {
                    seen.partial = Some(Partial::Matches);
                    break;
                }
                Err(Stopped::Late) => {
                    seen.partial = Some(Partial::Time);
                    break;
                }
                Err(Stopped::Broken(error)) => seen.partial = Some(Partial::Damaged(error.to_string())),
            }
        }
        Ok(seen)
    }
}

fn in_segment(
    segment: &Segment,
    asked: &OfUnits<'_>,
    words: &mut [Words],
    seen: &mut Seen,
    see: &mut impl FnMut(UnitLine<'_>),
) -> Result<(), Stopped> {
    let reader = segment.searcher.segment_reader(segment.ord);
    let columns = DerivedColumns::open(reader)?;
    let documents = decided(segment, &columns, asked.tree, asked.stop)?;
    if documents.is_empty() {
        return Ok(());
    }
    seen.is_sampled |= columns.weigh(&documents).1;
    let mut answers = Vec::with_capacity(asked.questions.len());
    for question in asked.questions {
        answers.push(decided(segment, &columns, question, asked.stop)?);
    }
    let opened = Opened { segment, reader, columns: &columns, documents: &documents };
    let mut names: Vec<Names> = Vec::with_capacity(asked.fields.len());
    for (path, words) in asked.fields.iter().zip(words.iter_mut()) {
        names.push(opened.names(path, words)?);
    }
    let units = columns.unit();
    let mut all = documents.iter();
    let mut block: Vec<u32> = Vec::with_capacity(BLOCK);
    let (mut hashes, mut times, mut ords) = (Vec::new(), Vec::new(), Vec::new());
    let mut ids: Vec<Vec<u32>> = vec![Vec::new(); names.len()];
    let mut values: Vec<Option<&str>> = Vec::with_capacity(names.len());
    while seen.lines < asked.most {
        block.clear();
        block.extend(all.by_ref().take(BLOCK));
        if block.is_empty() {
            break;
        }
        if (asked.stop)() {
            return Err(Stopped::Late);
        }
        seen.lines += block.len() as u64;
        let Some(units) = units else {
            seen.without_unit += block.len() as u64;
            continue;
        };
        of_column(units, &block, &mut hashes);
        of_column(&columns.time, &block, &mut times);
        for (names, ids) in names.iter().zip(&mut ids) {
            names.of_all(&block, &mut ords, ids);
        }
        for (row, document) in block.iter().enumerate() {
            let Some(unit) = hashes.get(row).copied().flatten().filter(|unit| *unit != 0) else {
                seen.without_unit += 1;
                continue;
            };
            let is = answers.iter().enumerate().filter(|(_, answer)| answer.has(*document));
            let is = is.fold(0u64, |bits, (at, _)| bits | 1 << (at & 63));
            values.clear();
            values.extend(ids.iter().zip(words.iter()).map(|(ids, words)| words.word(*ids.get(row)?)));
            see(UnitLine { unit, time: times.get(row).copied().flatten().unwrap_or(0), is, values: &values });
        }
    }
    Ok(columns.broken()?)
}
