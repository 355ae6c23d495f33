//! Lines that a query finds, newest first.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::sync::Arc;

use tantivy::columnar::Column;
use tantivy::error::DataCorruption;
use tantivy::schema::{Field, Value as _};
use tantivy::{DocAddress, Searcher, TantivyDocument, TantivyError};

use crate::index::bits::Bits;
use crate::index::derived::{Derived, DerivedColumns};
use crate::index::layout::{Layout, names};
use crate::index::lines::Unpacked;
use crate::index::positions::Positions;
use crate::index::reading::{Reading, Sides, Stopped};
use crate::index::store::{Index, Part, times};
use crate::pipeline::decode::fields::{FieldReader, FieldRecord, FieldValue, PathId};
use crate::query::{self, Node, Record, Value};
use crate::time::Timestamp;

/// A place in the order of lines: time, stream, position.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Cursor {
    /// Event time in microseconds.
    pub time: i64,
    /// Stream.
    pub stream: String,
    /// Position in the stream.
    pub position: u64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.time, self.position, self.stream)
    }
}

impl std::str::FromStr for Cursor {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Cursor, &'static str> {
        const FORM: &str = "no cursor of a search";
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(FORM);
        let time = part()?.parse().map_err(|_| FORM)?;
        let position = part()?.parse().map_err(|_| FORM)?;
        Ok(Cursor { time, position, stream: part()?.to_owned() })
    }
}

/// A question for lines.
pub struct Asked<'a> {
    /// What they must be, with names as paths ([`Index::resolve`]).
    pub tree: &'a Node,
    /// Lines of a page.
    pub limit: usize,
    /// Only lines that come after this place, in the order of the answer.
    pub before: Option<Cursor>,
    /// Matches that are counted for certain.
    pub count_to: u64,
    /// It is time to stop: the answer is then as far as it has come.
    pub stop: &'a dyn Fn() -> bool,
}

/// A line that was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// Where it stands.
    pub at: Cursor,
    /// The line.
    pub line: String,
    /// What decoding said of it, by the names of fields (`_service`, ...), where it did.
    pub told: Vec<(&'static str, String)>,
}

/// How many lines match.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Total {
    /// So many; where lines were left out ([`crate::index::Sampling`]), as those that were kept say.
    pub lines: u64,
    /// Lines that are there.
    pub kept: u64,
    /// Some stand for others.
    pub is_estimate: bool,
    /// There are no more.
    pub is_exact: bool,
}

/// Why an answer is not whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Partial {
    /// It took too long, or nobody waited any more.
    Time,
    /// There is too much to keep.
    Matches,
    /// A part could not be read, and why.
    Damaged(String),
}

impl Partial {
    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Partial::Time => "time",
            Partial::Matches => "matches",
            Partial::Damaged(_) => "damaged",
        }
    }
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Lines, newest first.
    pub lines: Vec<Found>,
    /// How many match, over all pages.
    pub total: Total,
    /// Why it is not whole.
    pub partial: Option<Partial>,
    /// Where the next page begins.
    pub next: Option<Cursor>,
}

/// One segment of a part.
pub(super) struct Segment {
    pub(super) part: Arc<Part>,
    pub(super) searcher: Searcher,
    pub(super) ord: u32,
    pub(super) times: (i64, i64),
}

/// A document that may be on the page.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Candidate {
    at: Cursor,
    segment: usize,
    document: u32,
}

impl Index {
    /// All segments, those with the newest lines first.
    pub(super) fn segments(&self) -> tantivy::Result<Vec<Segment>> {
        let mut all = Vec::new();
        for part in self.parts() {
            let searcher = part.searcher();
            for (ord, segment) in searcher.segment_readers().iter().enumerate() {
                if segment.num_docs() > 0 {
                    let times = times(segment)?;
                    all.push(Segment { part: Arc::clone(&part), searcher: searcher.clone(), ord: ord as u32, times });
                }
            }
        }
        all.sort_by_key(|segment| Reverse(segment.times.1));
        Ok(all)
    }

    /// Lines that match, newest first.
    ///
    /// # Errors
    /// A part that cannot be listed. What cannot be read of one that can is told in the answer.
    pub fn search(&self, asked: &Asked<'_>) -> tantivy::Result<Page> {
        let segments = self.segments()?;
        let mut page: Vec<Candidate> = Vec::new();
        let mut total = Total { lines: 0, kept: 0, is_estimate: false, is_exact: true };
        let mut partial = None;
        for (at, segment) in segments.iter().enumerate() {
            // Who asks for no line wants the count alone.
            let is_full = asked.limit == 0 || page.len() > asked.limit;
            let needed = !is_full || page.last().is_some_and(|last| last.at.time <= segment.times.1);
            if !needed && total.lines >= asked.count_to {
                total.is_exact = false;
                break;
            }
            match in_segment(segment, at, asked, &mut page, &mut total) {
                Ok(()) => {}
                Err(Stopped::Late) => {
                    (partial, total.is_exact) = (Some(Partial::Time), false);
                    break;
                }
                Err(Stopped::Broken(error)) => {
                    (partial, total.is_exact) = (Some(Partial::Damaged(error.to_string())), false);
                }
            }
        }
        let more = page.len() > asked.limit;
        page.truncate(asked.limit);
        let next = page.last().filter(|_| more).map(|last| last.at.clone());
        let (mut lines, mut pages) = (Vec::with_capacity(page.len()), Pages::new(&segments));
        for candidate in page {
            // Each line of a damaged file may take long to fail.
            if pages.failures >= FAILURES_MAX || (pages.failures > 0 && (asked.stop)()) {
                break;
            }
            match pages.found(candidate) {
                Ok(line) => lines.extend(line),
                Err(error) => partial = Some(Partial::Damaged(error.to_string())),
            }
        }
        Ok(Page { lines, total, partial, next })
    }

    /// Lines of a stream around a position: so many before, the one there, and so many behind, in their order.
    ///
    /// # Errors
    /// A part that cannot be read.
    pub fn around(&self, stream: &str, position: u64, before: usize, behind: usize) -> tantivy::Result<Vec<Found>> {
        let segments = self.segments()?;
        let mut ahead: BinaryHeap<Reverse<(u64, usize, u32)>> = BinaryHeap::new();
        let mut after: BinaryHeap<(u64, usize, u32)> = BinaryHeap::new();
        for (at, segment) in segments.iter().enumerate() {
            let reader = segment.searcher.segment_reader(segment.ord);
            let columns = DerivedColumns::open(reader)?;
            let Some(streams) = columns.text(Derived::Stream) else { continue };
            let Some(own) = streams.dictionary().term_ord(stream.as_bytes())? else { continue };
            for document in 0..reader.max_doc() {
                if streams.ords().first(document) != Some(own) {
                    continue;
                }
                let Some(here) = columns.position.first(document) else { continue };
                if here < position {
                    ahead.push(Reverse((here, at, document)));
                    if ahead.len() > before {
                        ahead.pop();
                    }
                } else {
                    after.push((here, at, document));
                    if after.len() > behind + 1 {
                        after.pop();
                    }
                }
            }
        }
        let mut places: Vec<(u64, usize, u32)> = ahead.into_iter().map(|Reverse(place)| place).chain(after).collect();
        places.sort_unstable();
        let (mut lines, mut pages) = (Vec::with_capacity(places.len()), Pages::new(&segments));
        for (position, segment, document) in places {
            let at = Cursor { time: 0, stream: stream.to_owned(), position };
            lines.extend(pages.found(Candidate { at, segment, document })?);
        }
        Ok(lines)
    }
}

/// Lines that came new.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Came {
    /// Those that match, stream by stream in their order.
    pub lines: Vec<Found>,
    /// Further ones that match.
    pub left_out: u64,
    /// Behind all of them.
    pub positions: Positions,
}

/// Parts in which new lines are looked for: the newest, and the one that was closed last.
const NEW_PARTS: usize = 2;

impl Index {
    /// Lines behind positions that match, at most so many: the last ones where there are more.
    ///
    /// # Errors
    /// A part that cannot be read.
    pub fn after(
        &self,
        after: &Positions,
        tree: &Node,
        limit: usize,
        stop: &dyn Fn() -> bool,
    ) -> tantivy::Result<Came> {
        let parts = self.parts();
        let first = parts.len().saturating_sub(NEW_PARTS);
        let oldest = parts.get(first).map_or(0, |part| part.number);
        let segments: Vec<Segment> =
            self.segments()?.into_iter().filter(|segment| segment.part.number >= oldest).collect();
        let mut positions = after.clone();
        let mut found: Vec<(String, u64, usize, u32)> = Vec::new();
        let mut left_out = 0;
        for (at, segment) in segments.iter().enumerate() {
            let reader = segment.searcher.segment_reader(segment.ord);
            let columns = DerivedColumns::open(reader)?;
            let Some(streams) = columns.text(Derived::Stream) else { continue };
            let mut names = Vec::new();
            let mut terms = streams.dictionary().stream()?;
            while terms.advance() {
                let name = String::from_utf8_lossy(terms.key()).into_owned();
                names.push((after.next(&name), name));
            }
            // Most segments hold nothing new.
            let least = names.iter().map(|(next, _)| *next).min().unwrap_or(0);
            if columns.position.max_value() < least {
                continue;
            }
            let mut new = Vec::new();
            for document in 0..reader.max_doc() {
                let (Some(ord), Some(position)) = (streams.ords().first(document), columns.position.first(document))
                else {
                    continue;
                };
                if names.get(ord as usize).is_some_and(|(next, _)| position >= *next) {
                    new.push((ord as usize, position, document));
                }
            }
            if new.is_empty() {
                continue;
            }
            let matching = match decided(segment, &columns, tree, stop) {
                Ok(matching) => matching,
                Err(Stopped::Late) => continue,
                Err(Stopped::Broken(error)) => return Err(error),
            };
            for (ord, position, document) in new {
                let Some((_, name)) = names.get(ord) else { continue };
                positions.reach(name, position + 1);
                if matching.has(document) {
                    found.push((name.clone(), position, at, document));
                }
            }
        }
        found.sort_unstable();
        if found.len() > limit {
            left_out = (found.len() - limit) as u64;
            found.drain(..found.len() - limit);
        }
        let (mut lines, mut pages) = (Vec::with_capacity(found.len()), Pages::new(&segments));
        for (stream, position, segment, document) in found {
            let at = Cursor { time: 0, stream, position };
            lines.extend(pages.found(Candidate { at, segment, document })?);
        }
        Ok(Came { lines, left_out, positions })
    }
}

/// What a query says of a segment, where all that is open has been decided by the lines.
pub(super) fn decided(
    segment: &Segment,
    columns: &DerivedColumns,
    tree: &Node,
    stop: &dyn Fn() -> bool,
) -> Result<Bits, Stopped> {
    let reader = segment.searcher.segment_reader(segment.ord);
    let sides = Reading { layout: &segment.part.layout, segment: reader, columns, stop }.read(tree)?;
    let open = sides.open();
    let mut certain = sides.lower.unwrap_or(sides.upper);
    if !open.is_empty() {
        let mut lines = Lines::new(segment, columns)?;
        for (number, document) in open.iter().enumerate() {
            if number % 64 == 0 && stop() {
                return Err(Stopped::Late);
            }
            if lines.matches(document, tree)? {
                certain.insert(document);
            }
        }
    }
    columns.broken()?;
    Ok(certain)
}

fn in_segment(
    segment: &Segment,
    at: usize,
    asked: &Asked<'_>,
    page: &mut Vec<Candidate>,
    total: &mut Total,
) -> Result<(), Stopped> {
    let reader = segment.searcher.segment_reader(segment.ord);
    let columns = DerivedColumns::open(reader)?;
    let sides = Reading { layout: &segment.part.layout, segment: reader, columns: &columns, stop: asked.stop }
        .read(asked.tree)?;
    let open = sides.open();
    let Sides { upper, lower } = sides;
    let certain = lower.unwrap_or(upper);
    let (lines, is_estimate) = columns.weigh(&certain);
    total.lines += lines;
    total.kept += certain.count();
    total.is_estimate |= is_estimate;
    let mut best = Best::new(asked, &columns, page)?;
    if asked.limit > 0 {
        certain.iter().for_each(|document| best.offer(document));
    }
    let mut lines = Lines::new(segment, &columns)?;
    let mut left_out = false;
    // The newest lines tend to come last.
    let open: Vec<u32> = open.iter().collect();
    for (number, document) in open.into_iter().rev().enumerate() {
        if number % 64 == 0 && (asked.stop)() {
            // What was found so far is still right.
            best.finish(at, page)?;
            return Err(Stopped::Late);
        }
        let counts = total.lines < asked.count_to;
        if !counts && (asked.limit == 0 || !best.wants(document)) {
            left_out = true;
            continue;
        }
        if lines.matches(document, asked.tree)? {
            let weight = columns.weight_of(document);
            total.lines += weight;
            total.kept += 1;
            total.is_estimate |= weight > 1;
            if asked.limit > 0 {
                best.offer(document);
            }
        }
    }
    total.is_exact &= !left_out && !total.is_estimate;
    best.finish(at, page)?;
    Ok(columns.broken()?)
}

/// Time, place of the stream's name among those of the segment, position, document.
type Key = (i64, u64, u64, u32);

/// The newest documents of a segment, one more than a page has.
struct Best<'c> {
    columns: &'c DerivedColumns,
    heap: BinaryHeap<Reverse<Key>>,
    most: usize,
    /// Older ones are on no page.
    oldest: i64,
    /// Only those before: time, names of streams below this place (or at it, with a lower position).
    before: Option<(i64, u64, u64)>,
}

impl<'c> Best<'c> {
    fn new(asked: &Asked<'_>, columns: &'c DerivedColumns, page: &[Candidate]) -> Result<Best<'c>, Stopped> {
        let most = asked.limit.saturating_add(1);
        let oldest = if page.len() >= most { page.last().map_or(i64::MIN, |last| last.at.time) } else { i64::MIN };
        let before = match &asked.before {
            None => None,
            Some(cursor) => {
                // Twice the place, and one more where the name itself is there: names in between compare as they should.
                let place = match columns.text(Derived::Stream) {
                    None => 0,
                    Some(streams) => {
                        let names = streams.dictionary();
                        match names.term_ord(cursor.stream.as_bytes())? {
                            Some(ord) => 2 * ord + 1,
                            None => 2 * below(streams, &cursor.stream)?,
                        }
                    }
                };
                Some((cursor.time, place, cursor.position))
            }
        };
        Ok(Best { columns, heap: BinaryHeap::new(), most, oldest, before })
    }

    fn key(&self, document: u32) -> Option<Key> {
        let time = self.columns.time.first(document)?;
        if time < self.oldest || self.before.is_some_and(|before| time > before.0) {
            return None;
        }
        if self.heap.len() >= self.most && self.heap.peek().is_some_and(|Reverse(worst)| time < worst.0) {
            return None;
        }
        let stream = self.columns.text(Derived::Stream).and_then(|streams| streams.ords().first(document)).unwrap_or(0);
        let position = self.columns.position.first(document)?;
        if self.before.is_some_and(|before| (time, 2 * stream + 1, position) >= before) {
            return None;
        }
        Some((time, stream, position, document))
    }

    /// Whether a document would be among the newest.
    fn wants(&self, document: u32) -> bool {
        let key = self.key(document);
        let worst = self.heap.peek().filter(|_| self.heap.len() >= self.most);
        key.is_some_and(|key| worst.is_none_or(|Reverse(worst)| key > *worst))
    }

    fn offer(&mut self, document: u32) {
        if let Some(key) = self.key(document) {
            self.heap.push(Reverse(key));
            if self.heap.len() > self.most {
                self.heap.pop();
            }
        }
    }

    fn finish(self, at: usize, page: &mut Vec<Candidate>) -> Result<(), Stopped> {
        let mut names: Vec<(u64, String)> = Vec::new();
        for Reverse((time, stream, position, document)) in self.heap {
            let name = match names.iter().find(|(ord, _)| *ord == stream) {
                Some((_, name)) => name.clone(),
                None => {
                    let mut name = String::new();
                    if let Some(streams) = self.columns.text(Derived::Stream) {
                        streams.ord_to_str(stream, &mut name)?;
                    }
                    names.push((stream, name.clone()));
                    name
                }
            };
            page.push(Candidate { at: Cursor { time, stream: name, position }, segment: at, document });
        }
        page.sort_unstable_by(|a, b| b.cmp(a));
        page.truncate(self.most);
        Ok(())
    }
}

/// How many names of streams stand before a name.
fn below(streams: &tantivy::columnar::StrColumn, name: &str) -> Result<u64, Stopped> {
    let mut terms = streams.dictionary().stream()?;
    let mut count = 0;
    while terms.advance() && terms.key() < name.as_bytes() {
        count += 1;
    }
    Ok(count)
}

/// Reads lines of a segment, group by group.
pub(super) struct LineReader<'s> {
    searcher: &'s Searcher,
    ord: u32,
    line: Field,
    in_group: Column<u64>,
    /// The group that was read last: its first document, and its lines.
    group: Option<(u32, Unpacked)>,
}

impl<'s> LineReader<'s> {
    pub(super) fn open(layout: &Layout, searcher: &'s Searcher, ord: u32) -> tantivy::Result<LineReader<'s>> {
        let in_group = searcher.segment_reader(ord).fast_fields().u64(names::IN_GROUP)?;
        Ok(LineReader { searcher, ord, line: layout.line, in_group, group: None })
    }

    /// The line of a document.
    pub(super) fn line(&mut self, document: u32) -> tantivy::Result<&str> {
        let damaged = || TantivyError::DataCorruption(DataCorruption::comment_only("a group of lines"));
        let number = self.in_group.first(document).and_then(|number| u32::try_from(number).ok()).ok_or_else(damaged)?;
        let first = document.checked_sub(number).ok_or_else(damaged)?;
        if self.group.as_ref().is_none_or(|(known, _)| *known != first) {
            let stored: TantivyDocument = self.searcher.doc(DocAddress::new(self.ord, first))?;
            let packed = stored.get_first(self.line).and_then(|packed| packed.as_bytes());
            let lines = packed.and_then(Unpacked::of).ok_or_else(damaged)?;
            self.group = Some((first, lines));
        }
        let group = self.group.as_ref().map(|(_, lines)| lines);
        group.and_then(|lines| lines.line(number as usize)).ok_or_else(damaged)
    }
}

/// Documents of a page as lines; neighbours share their group.
struct Pages<'s> {
    segments: &'s [Segment],
    readers: Vec<Option<LineReader<'s>>>,
    /// Lines that could not be read.
    failures: usize,
}

/// Lines of a page that may fail before the rest of it is left.
const FAILURES_MAX: usize = 3;

impl<'s> Pages<'s> {
    fn new(segments: &'s [Segment]) -> Pages<'s> {
        Pages { segments, readers: segments.iter().map(|_| None).collect(), failures: 0 }
    }

    fn found(&mut self, candidate: Candidate) -> tantivy::Result<Option<Found>> {
        let found = self.read(candidate);
        self.failures += usize::from(found.is_err());
        found
    }

    fn read(&mut self, candidate: Candidate) -> tantivy::Result<Option<Found>> {
        let Some(segment) = self.segments.get(candidate.segment) else { return Ok(None) };
        let Some(reader) = self.readers.get_mut(candidate.segment) else { return Ok(None) };
        let lines = match reader {
            Some(lines) => lines,
            none => none.insert(LineReader::open(&segment.part.layout, &segment.searcher, segment.ord)?),
        };
        let line = lines.line(candidate.document)?.to_owned();
        found(segment, candidate, line)
    }
}

fn found(segment: &Segment, candidate: Candidate, line: String) -> tantivy::Result<Option<Found>> {
    let columns = DerivedColumns::open(segment.searcher.segment_reader(segment.ord))?;
    let shown = Derived::TOLD;
    let mut told = Vec::new();
    for field in shown {
        if let Some(Value::Str(text)) = columns.value(field, candidate.document) {
            told.push((field.path(), text.into_owned()));
        }
    }
    if matches!(columns.value(Derived::Failed, candidate.document), Some(Value::Bool(true))) {
        told.push((Derived::Failed.path(), "true".to_owned()));
    }
    let weight = columns.weight_of(candidate.document);
    if weight > 1 {
        told.push((Derived::Weight.path(), weight.to_string()));
    }
    let mut at = candidate.at;
    at.time = columns.time.first(candidate.document).unwrap_or(at.time);
    Ok(Some(Found { at, line, told }))
}

/// Lines of a segment, read to decide.
pub(super) struct Lines<'s> {
    lines: LineReader<'s>,
    columns: &'s DerivedColumns,
    reader: FieldReader,
}

impl<'s> Lines<'s> {
    pub(super) fn new(segment: &'s Segment, columns: &'s DerivedColumns) -> tantivy::Result<Lines<'s>> {
        let lines = LineReader::open(&segment.part.layout, &segment.searcher, segment.ord)?;
        Ok(Lines { lines, columns, reader: FieldReader::of_tables(&segment.part.layout.tables) })
    }

    /// The value of a field, as the line has it.
    pub(super) fn value(&mut self, document: u32, path: &str) -> Result<Option<Value<'static>>, Stopped> {
        let line = self.lines.line(document)?;
        let fields = self.reader.read(line);
        let view = LineView {
            fields: fields.as_deref().ok().map(|fields| self.reader.record(fields, "")),
            line,
            derived: None,
        };
        Ok(view.field(path).map(owned))
    }

    fn matches(&mut self, document: u32, tree: &Node) -> Result<bool, Stopped> {
        let line = self.lines.line(document)?;
        let fields = self.reader.read(line);
        let view = LineView {
            fields: fields.as_deref().ok().map(|fields| self.reader.record(fields, "")),
            line,
            derived: Some((self.columns, document)),
        };
        Ok(tree.matches(&view))
    }
}

/// A line as queries see it, with what decoding said of it.
struct LineView<'r, 'a> {
    /// Its fields; `None`: it has none, and is its own message.
    fields: Option<FieldRecord<'r, 'a>>,
    line: &'a str,
    derived: Option<(&'r DerivedColumns, u32)>,
}

impl Record for LineView<'_, '_> {
    fn field(&self, path: &str) -> Option<Value<'_>> {
        if let (Some(field), Some((columns, document))) = (Derived::of(path), self.derived) {
            return columns.value(field, document);
        }
        match &self.fields {
            Some(fields) => fields.field(path),
            None if path == query::MESSAGE => Some(Value::Str(std::borrow::Cow::Borrowed(self.line))),
            None => None,
        }
    }
}

fn owned(value: Value<'_>) -> Value<'static> {
    match value {
        Value::Str(text) => Value::Str(text.into_owned().into()),
        Value::Number(number) => Value::Number(number),
        Value::Bool(b) => Value::Bool(b),
        Value::List(list) => Value::List(list.into_iter().map(owned).collect()),
    }
}

impl Found {
    /// The time of the line.
    pub fn time(&self) -> Timestamp {
        Timestamp(self.at.time)
    }

    /// Where values of a line meet what a tree asks for: path, and from where to where, in bytes of the value.
    pub fn highlights(&self, tree: &Node) -> Vec<(String, std::ops::Range<usize>)> {
        let mut reader = FieldReader::default();
        let fields = reader.read(&self.line).ok();
        let mut marks = Vec::new();
        marked(tree, &mut |path, phrase| {
            let value = match &fields {
                Some(fields) => value_of(&reader, fields, path),
                None => (path == query::MESSAGE).then(|| self.line.clone()),
            };
            for range in value.iter().flat_map(|text| phrase_ranges(text, phrase)) {
                marks.push((path.to_owned(), range));
            }
        });
        marks.sort_by(|a, b| (&a.0, a.1.start, a.1.end).cmp(&(&b.0, b.1.start, b.1.end)));
        marks.dedup();
        marks
    }
}

fn value_of(reader: &FieldReader, fields: &[(PathId, FieldValue<'_>)], path: &str) -> Option<String> {
    let found = fields.iter().find(|(id, _)| reader.path(*id) == path)?;
    match &found.1 {
        FieldValue::Value(Value::Str(text)) => Some(text.to_string()),
        FieldValue::Value(Value::Number(_) | Value::Bool(_) | Value::List(_)) | FieldValue::Object(_) => None,
    }
}

/// Calls `see` with each phrase that a match may come from.
fn marked(node: &Node, see: &mut impl FnMut(&str, &[String])) {
    match node {
        Node::All | Node::Not(_) => {}
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|node| marked(node, see)),
        Node::Is(path, query::Condition::Phrase(phrase)) => see(path, phrase),
        Node::Is(_, _) => {}
    }
}

fn phrase_ranges(text: &str, phrase: &[String]) -> Vec<std::ops::Range<usize>> {
    let origin = text.as_ptr() as usize;
    let tokens: Vec<(usize, &str)> =
        query::tokens(text).map(|token| ((token.as_ptr() as usize).wrapping_sub(origin), token)).collect();
    let same = |(token, wanted): (&(usize, &str), &String)| query::folded(token.1) == *wanted;
    let runs = tokens.windows(phrase.len().max(1)).filter(|run| run.iter().zip(phrase).all(same));
    runs.filter_map(|run| {
        let ((from, _), (last, token)) = (run.first()?, run.last()?);
        Some(*from..last + token.len())
    })
    .collect()
}
