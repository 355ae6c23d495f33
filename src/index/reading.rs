//! A query's reading on one segment of an index.
//!
//! It gives two sets: documents that match for certain, and those that may. Between the two the line itself decides. Conditions are
//! tried on the values that dictionaries and columns hold with [`Condition::holds`], the same code that reads records; so the index adds
//! speed, and no meaning of its own.

use std::borrow::Cow;
use std::ops::RangeInclusive;

use tantivy::columnar::{Cardinality, Column, StrColumn};
use tantivy::index::{InvertedIndexReader, SegmentReader};
use tantivy::postings::TermInfo;
use tantivy::query::{EnableScoring, PhraseQuery, Query as _};
use tantivy::schema::{Field, IndexRecordOption};
use tantivy::{DocSet, TERMINATED, Term};

use crate::index::bits::Bits;
use crate::index::derived::{Derived, DerivedColumns, latency_ms, unit_text};
use crate::index::layout::{
    BEYOND, Column as PathColumn, ColumnKind, LINE_ONLY, Layout, MESSAGE_MARK, SEPARATOR, id_hash, is_plain,
};
use crate::query::{self, Bound, Condition, Edge, Node, Pattern, Value};

/// What a query says of the documents of a segment.
#[derive(Clone, Debug)]
pub(super) struct Sides {
    /// No other document matches.
    pub upper: Bits,
    /// These match; `None`: all of `upper` do.
    pub lower: Option<Bits>,
}

impl Sides {
    fn exact(bits: Bits) -> Sides {
        Sides { upper: bits, lower: None }
    }

    /// Certain ones, and others that may match.
    fn with(certain: Bits, maybe: Bits) -> Sides {
        let maybe = maybe.without(&certain);
        if maybe.is_empty() {
            return Sides::exact(certain);
        }
        Sides { upper: certain.clone().or(&maybe), lower: Some(certain) }
    }

    fn lower(&self) -> &Bits {
        self.lower.as_ref().unwrap_or(&self.upper)
    }

    /// Documents that may match, and of which it is not certain.
    pub(super) fn open(&self) -> Bits {
        match &self.lower {
            None => Bits::none(0),
            Some(lower) => self.upper.clone().without(lower),
        }
    }

    fn not(self) -> Sides {
        let upper = self.lower().clone().not();
        Sides { lower: self.lower.is_some().then(|| self.upper.not()), upper }
    }

    fn joined(self, other: &Sides, both: bool) -> Sides {
        let join = |a: Bits, b: &Bits| if both { a.and(b) } else { a.or(b) };
        let lower = (self.lower.is_some() || other.lower.is_some()).then(|| join(self.lower().clone(), other.lower()));
        Sides { upper: join(self.upper, &other.upper), lower }
    }
}

/// Why reading stopped.
#[derive(Debug)]
pub(super) enum Stopped {
    /// It took too long, or nobody waits.
    Late,
    /// A file cannot be read.
    Broken(tantivy::TantivyError),
}

impl From<tantivy::TantivyError> for Stopped {
    fn from(error: tantivy::TantivyError) -> Stopped {
        Stopped::Broken(error)
    }
}

impl From<std::io::Error> for Stopped {
    fn from(error: std::io::Error) -> Stopped {
        Stopped::Broken(error.into())
    }
}

type Read<T> = Result<T, Stopped>;

/// Terms, or values, between two looks at the time.
const BETWEEN_LOOKS: u32 = 4_096;
/// Shortest part of a pattern by which tokens of a message are looked for.
const FRAGMENT_MIN: usize = 3;

/// Reads queries on one segment.
pub(super) struct Reading<'s> {
    pub layout: &'s Layout,
    pub segment: &'s SegmentReader,
    pub columns: &'s DerivedColumns,
    /// It is time to stop.
    pub stop: &'s dyn Fn() -> bool,
}

impl Reading<'_> {
    fn none(&self) -> Bits {
        Bits::none(self.segment.max_doc())
    }

    /// What a tree says.
    pub(super) fn read(&self, node: &Node) -> Read<Sides> {
        if (self.stop)() {
            return Err(Stopped::Late);
        }
        match node {
            Node::All => Ok(Sides::exact(self.none().not())),
            Node::Not(node) => Ok(self.read(node)?.not()),
            Node::Or(nodes) => {
                let mut all = Sides::exact(self.none());
                for node in nodes {
                    all = all.joined(&self.read(node)?, false);
                }
                Ok(all)
            }
            Node::And(nodes) => {
                let mut all = Sides::exact(self.none().not());
                // What leaves little is cheap where it asks for time.
                let is_time = |node: &&Node| matches!(node, Node::Is(path, _) if path == Derived::Time.path());
                let first = nodes.iter().filter(is_time);
                for node in first.chain(nodes.iter().filter(|node| !is_time(node))) {
                    if all.upper.is_empty() {
                        break;
                    }
                    all = all.joined(&self.read(node)?, true);
                }
                Ok(all)
            }
            Node::Is(path, condition) => match Derived::of(path) {
                Some(field) => Ok(Sides::exact(self.derived(field, condition)?)),
                None => self.field(path, condition),
            },
        }
    }

    /// Documents whose lines alone have a value of a path.
    pub(super) fn in_line_only(&self, path: &str) -> Read<Bits> {
        let mut bits = self.none();
        self.term(self.layout.terms, &format!("{path}{LINE_ONLY}"), &mut bits)?;
        self.term(self.layout.terms, BEYOND, &mut bits)?;
        Ok(bits)
    }

    fn inverted(&self, field: Field) -> Read<std::sync::Arc<InvertedIndexReader>> {
        Ok(self.segment.inverted_index(field)?)
    }

    fn add_postings(&self, inverted: &InvertedIndexReader, term: &TermInfo, bits: &mut Bits) -> Read<()> {
        let mut postings = inverted.read_block_postings_from_terminfo(term, IndexRecordOption::Basic)?;
        loop {
            let documents = postings.docs();
            if documents.is_empty() {
                return Ok(());
            }
            documents.iter().for_each(|document| bits.insert(*document));
            postings.advance();
        }
    }

    /// Documents with a term.
    fn term(&self, field: Field, text: &str, bits: &mut Bits) -> Read<()> {
        let inverted = self.inverted(field)?;
        if let Some(info) = inverted.get_term_info(&Term::from_field_text(field, text))? {
            self.add_postings(&inverted, &info, bits)?;
        }
        Ok(())
    }

    /// Documents with a term from `from` up to `until` that is taken.
    fn terms(
        &self,
        field: Field,
        range: (&str, Option<&str>),
        bits: &mut Bits,
        mut takes: impl FnMut(&str) -> bool,
    ) -> Read<()> {
        let inverted = self.inverted(field)?;
        let mut builder = inverted.terms().range().ge(range.0);
        if let Some(until) = range.1 {
            builder = builder.lt(until);
        }
        let mut stream = builder.into_stream()?;
        let mut looked_at = 0u32;
        while stream.advance() {
            looked_at += 1;
            if looked_at.is_multiple_of(BETWEEN_LOOKS) && (self.stop)() {
                return Err(Stopped::Late);
            }
            if std::str::from_utf8(stream.key()).is_ok_and(&mut takes) {
                self.add_postings(&inverted, stream.value(), bits)?;
            }
        }
        Ok(())
    }

    /// Documents with a value of a column in a range.
    fn range<T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static>(
        &self,
        column: &Column<T>,
        range: RangeInclusive<T>,
        bits: &mut Bits,
    ) {
        // Columns take for granted that the two overlap.
        if range.is_empty() || *range.end() < column.min_value() || *range.start() > column.max_value() {
            return;
        }
        if *range.start() <= column.min_value() && *range.end() >= column.max_value() {
            return self.has_value(column, bits);
        }
        let mut found = Vec::new();
        // In pieces: the list of documents stays small.
        const PIECE: u32 = 1 << 16;
        let mut from = 0;
        while from < self.segment.max_doc() {
            let until = from.saturating_add(PIECE).min(self.segment.max_doc());
            found.clear();
            column.get_docids_for_value_range(range.clone(), from..until, &mut found);
            found.iter().for_each(|document| bits.insert(*document));
            from = until;
        }
    }

    /// Documents with a value in a column.
    fn has_value<T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static>(
        &self,
        column: &Column<T>,
        bits: &mut Bits,
    ) {
        let all = column.get_cardinality() == Cardinality::Full;
        for document in 0..self.segment.max_doc() {
            if all || column.first(document).is_some() {
                bits.insert(document);
            }
        }
    }

    /// Documents with a value of a column that is taken.
    fn scan<T: PartialOrd + Copy + std::fmt::Debug + Send + Sync + 'static>(
        &self,
        column: &Column<T>,
        bits: &mut Bits,
        takes: impl Fn(T) -> bool,
    ) -> Read<()> {
        for document in 0..self.segment.max_doc() {
            if document.is_multiple_of(BETWEEN_LOOKS) && (self.stop)() {
                return Err(Stopped::Late);
            }
            if column.values_for_doc(document).any(&takes) {
                bits.insert(document);
            }
        }
        Ok(())
    }

    /// Documents with a text of a column that meets a condition: it is tried on the different texts.
    fn texts(&self, column: &StrColumn, condition: &Condition, bits: &mut Bits) -> Read<()> {
        let mut taken = Vec::new();
        match condition {
            Condition::Exists => {
                self.has_value(column.ords(), bits);
                return Ok(());
            }
            Condition::Equals(wanted) if query::number_of(wanted).is_none() => {
                taken.extend(column.dictionary().term_ord(wanted.as_bytes())?);
            }
            Condition::Equals(_)
            | Condition::Phrase(_)
            | Condition::Wildcard(_)
            | Condition::Matches(_)
            | Condition::Between(..) => {
                let mut terms = column.dictionary().stream()?;
                let mut looked_at = 0u32;
                while terms.advance() {
                    looked_at += 1;
                    if looked_at.is_multiple_of(BETWEEN_LOOKS) && (self.stop)() {
                        return Err(Stopped::Late);
                    }
                    let holds = std::str::from_utf8(terms.key())
                        .is_ok_and(|text| condition.holds(&Value::Str(Cow::Borrowed(text))));
                    if holds {
                        taken.push(terms.term_ord());
                    }
                }
            }
        }
        match taken.as_slice() {
            [] => {}
            [one] => self.range(column.ords(), *one..=*one, bits),
            [first, .., last] if last - first + 1 == taken.len() as u64 => {
                self.range(column.ords(), *first..=*last, bits);
            }
            _ => self.scan(column.ords(), bits, |ord| taken.binary_search(&ord).is_ok())?,
        }
        Ok(())
    }

    fn derived(&self, field: Derived, condition: &Condition) -> Read<Bits> {
        let mut bits = self.none();
        if let Some(column) = self.columns.text(field) {
            self.texts(column, condition, &mut bits)?;
            return Ok(bits);
        }
        match (field, condition) {
            (Derived::Time, Condition::Between(low, high)) if is_dated(low) && is_dated(high) => {
                self.range(&self.columns.time, dates(low, high), &mut bits);
            }
            (Derived::Failed, _) => {
                if let Some(failed) = self.columns.failed() {
                    self.has_value(failed, &mut bits);
                }
                let holds = |failed: bool| condition.holds(&Value::Bool(failed));
                bits = match (holds(true), holds(false)) {
                    (true, true) => self.none().not(),
                    (true, false) => bits,
                    (false, true) => bits.not(),
                    (false, false) => self.none(),
                };
            }
            (Derived::Latency, _) => {
                if let Some(column) = self.columns.latency() {
                    self.scan(column, &mut bits, |us| condition.holds(&Value::Number(latency_ms(us))))?;
                }
            }
            (Derived::Unit, Condition::Exists) => {
                if let Some(column) = self.columns.unit() {
                    self.has_value(column, &mut bits);
                }
            }
            (Derived::Unit, _) => {
                if let Some(column) = self.columns.unit() {
                    self.scan(column, &mut bits, |unit| condition.holds(&Value::Str(Cow::Owned(unit_text(unit)))))?;
                }
            }
            (Derived::Weight, _) => {
                // Most lines stand for themselves alone, and have no value.
                let weights = self.columns.weight();
                if condition.holds(&Value::Number(1.0)) {
                    bits = bits.not();
                    if let Some(column) = weights {
                        let mut others = self.none();
                        self.scan(column, &mut others, |weight| !condition.holds(&Value::Number(weight as f64)))?;
                        bits = bits.without(&others);
                    }
                } else if let Some(column) = weights {
                    self.scan(column, &mut bits, |weight| condition.holds(&Value::Number(weight as f64)))?;
                }
            }
            (Derived::Position, _) => {
                self.scan(&self.columns.position, &mut bits, |at| condition.holds(&Value::Number(at as f64)))?;
            }
            (
                Derived::Time
                | Derived::Template
                | Derived::Stream
                | Derived::Service
                | Derived::Arm
                | Derived::Route
                | Derived::Kind
                | Derived::Reject
                | Derived::Level
                | Derived::Status,
                _,
            ) => {
                for document in 0..self.segment.max_doc() {
                    if document.is_multiple_of(BETWEEN_LOOKS) && (self.stop)() {
                        return Err(Stopped::Late);
                    }
                    if self.columns.value(field, document).is_some_and(|value| condition.holds(&value)) {
                        bits.insert(document);
                    }
                }
            }
        }
        Ok(bits)
    }

    /// A field of lines.
    fn field(&self, path: &str, condition: &Condition) -> Read<Sides> {
        let terms = self.layout.terms;
        let (mut certain, mut maybe) = (self.none(), self.none());
        self.term(terms, BEYOND, &mut maybe)?;
        if !is_plain(path) {
            return Ok(Sides::with(certain, maybe));
        }
        let line_only = if *condition == Condition::Exists { &mut certain } else { &mut maybe };
        self.term(terms, &format!("{path}{LINE_ONLY}"), line_only)?;
        if let Some(message) = self.layout.message(path) {
            let marked = format!("{path}{MESSAGE_MARK}");
            match condition {
                Condition::Exists => self.term(terms, &marked, &mut certain)?,
                Condition::Phrase(tokens) => self.phrase(message.field, tokens, &mut certain)?,
                Condition::Wildcard(pattern) => match fragment(pattern) {
                    Some(fragment) => {
                        self.terms(message.field, ("", None), &mut maybe, |token| token.contains(&fragment))?;
                    }
                    None => self.term(terms, &marked, &mut maybe)?,
                },
                Condition::Equals(_) | Condition::Matches(_) | Condition::Between(..) => {
                    self.term(terms, &marked, &mut maybe)?;
                }
            }
        } else if let Some(column) = self.layout.column(path) {
            self.column(column, condition, &mut certain, &mut maybe)?;
        }
        self.values(path, condition, &mut certain)?;
        Ok(Sides::with(certain, maybe))
    }

    fn phrase(&self, field: Field, tokens: &[String], bits: &mut Bits) -> Read<()> {
        let terms: Vec<Term> = tokens.iter().map(|token| Term::from_field_text(field, token)).collect();
        if let [token] = tokens {
            return self.term(field, token, bits);
        }
        let schema = &self.layout.schema;
        let weight = PhraseQuery::new(terms).weight(EnableScoring::disabled_from_schema(schema))?;
        let mut found = weight.scorer(self.segment, 1.0)?;
        let mut document = found.doc();
        while document != TERMINATED {
            bits.insert(document);
            document = found.advance();
        }
        Ok(())
    }

    /// Values that are terms of the one field that all others share.
    fn values(&self, path: &str, condition: &Condition, bits: &mut Bits) -> Read<()> {
        let field = self.layout.terms;
        let (from, until) = (format!("{path}{SEPARATOR}"), format!("{path}{LINE_ONLY}"));
        if let Condition::Equals(wanted) = condition {
            match query::number_of(wanted) {
                None => {
                    self.term(field, &format!("{from}s{wanted}"), bits)?;
                    if matches!(wanted.as_str(), "true" | "false") {
                        self.term(field, &format!("{from}b{wanted}"), bits)?;
                    }
                }
                Some(_) => {
                    // A number may be written in many ways; all begin with one of `+`, `-`, `.` and a digit.
                    for kind in ['n', 's'] {
                        let range = (format!("{from}{kind}+"), format!("{from}{kind}:"));
                        self.terms(field, (&range.0, Some(&range.1)), bits, |term| {
                            term.get(from.len()..).is_some_and(|value| term_holds(value, condition))
                        })?;
                    }
                }
            }
            return Ok(());
        }
        self.terms(field, (&from, Some(&until)), bits, |term| {
            term.get(from.len()..).is_some_and(|value| term_holds(value, condition))
        })
    }

    fn column(&self, column: &PathColumn, condition: &Condition, certain: &mut Bits, maybe: &mut Bits) -> Read<()> {
        let fast = self.segment.fast_fields();
        match column.kind {
            ColumnKind::Text => {
                if let Some(values) = fast.str(&column.name)? {
                    self.texts(&values, condition, certain)?;
                }
            }
            ColumnKind::Number => {
                let Some(values) = fast.column_opt::<f64>(&column.name)? else { return Ok(()) };
                match condition {
                    Condition::Exists => self.has_value(&values, certain),
                    Condition::Equals(wanted) => {
                        if let Some(number) = query::number_of(wanted) {
                            // Zero has one sign in a column.
                            self.range(&values, (number + 0.0)..=(number + 0.0), certain);
                        }
                    }
                    Condition::Between(low, high) => {
                        if let Some(range) = numbers(low, high) {
                            self.range(&values, range, certain);
                        }
                    }
                    Condition::Phrase(_) | Condition::Wildcard(_) | Condition::Matches(_) => {
                        self.scan(&values, certain, |number| condition.holds(&Value::Number(number)))?;
                    }
                }
            }
            ColumnKind::Date => {
                let Some(values) = fast.column_opt::<i64>(&column.name)? else { return Ok(()) };
                match condition {
                    Condition::Exists => self.has_value(&values, certain),
                    Condition::Between(low, high) if is_dated(low) && is_dated(high) => {
                        self.range(&values, dates(low, high), certain);
                    }
                    Condition::Between(..)
                    | Condition::Equals(_)
                    | Condition::Phrase(_)
                    | Condition::Wildcard(_)
                    | Condition::Matches(_) => self.has_value(&values, maybe),
                }
            }
            ColumnKind::Id => {
                let Some(values) = fast.column_opt::<u64>(&column.name)? else { return Ok(()) };
                match condition {
                    Condition::Exists => self.has_value(&values, certain),
                    Condition::Equals(wanted) => {
                        let hash = id_hash(wanted);
                        self.range(&values, hash..=hash, maybe);
                    }
                    Condition::Between(..) | Condition::Phrase(_) | Condition::Wildcard(_) | Condition::Matches(_) => {
                        self.has_value(&values, maybe);
                    }
                }
            }
            ColumnKind::Line => {}
        }
        Ok(())
    }
}

/// The value of a term, behind the path.
fn term_holds(value: &str, condition: &Condition) -> bool {
    let (Some(kind), Some(text)) = (value.chars().next(), value.get(1..)) else { return false };
    match kind {
        'n' => text.parse().is_ok_and(|number| condition.holds(&Value::Number(number))),
        'b' => condition.holds(&Value::Bool(text == "true")),
        _ => condition.holds(&Value::Str(Cow::Borrowed(text))),
    }
}

fn is_dated(edge: &Edge) -> bool {
    match edge {
        Edge::Open | Edge::With(Bound::Date(..)) | Edge::Without(Bound::Date(..)) => true,
        Edge::With(_) | Edge::Without(_) => false,
    }
}

/// Microseconds between two dates.
fn dates(low: &Edge, high: &Edge) -> RangeInclusive<i64> {
    let micros = |edge: &Edge, step: i64, open: i64| match edge {
        Edge::With(Bound::Date(micros, _)) => *micros,
        Edge::Without(Bound::Date(micros, _)) => micros.saturating_add(step),
        Edge::Open | Edge::With(_) | Edge::Without(_) => open,
    };
    micros(low, 1, i64::MIN)..=micros(high, -1, i64::MAX)
}

/// Numbers between two ends; `None` where an end is none, since no number lies there.
fn numbers(low: &Edge, high: &Edge) -> Option<RangeInclusive<f64>> {
    let number = |bound: &Bound| match bound {
        Bound::Number(number) | Bound::Duration(number) => Some(*number + 0.0),
        Bound::Date(..) | Bound::Level(..) | Bound::Text(_) => None,
    };
    let low = match low {
        Edge::Open => f64::NEG_INFINITY,
        Edge::With(bound) => number(bound)?,
        // Above zero there is no smaller zero.
        Edge::Without(bound) => number(bound)?.next_up(),
    };
    let high = match high {
        Edge::Open => f64::INFINITY,
        Edge::With(bound) => number(bound)?,
        Edge::Without(bound) => number(bound)?.next_down(),
    };
    Some(low..=high)
}

/// A part of a pattern that stands within one token of whatever fits, in small letters.
fn fragment(pattern: &Pattern) -> Option<String> {
    let mut longest = String::new();
    for run in &pattern.runs {
        let mut current = String::new();
        for c in run.iter().copied().chain([None]) {
            match c {
                Some(c) if c.is_ascii_alphanumeric() || c == '_' => current.push(c.to_ascii_lowercase()),
                Some(_) | None => {
                    if current.len() > longest.len() {
                        longest = std::mem::take(&mut current);
                    }
                    current.clear();
                }
            }
        }
    }
    (longest.len() >= FRAGMENT_MIN).then_some(longest)
}
