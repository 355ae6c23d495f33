//! Names in queries: paths of fields, roles in their place, and what is said of a name that nothing has.

use std::collections::{BTreeMap, BTreeSet};

use crate::index::derived::{Derived, DerivedColumns, Values};
use crate::index::layout::{BEYOND, ColumnKind, LINE_ONLY, MESSAGE_MARK, SEPARATOR, is_plain};
use crate::index::reading::Stopped;
use crate::index::search::decided;
use crate::index::store::{Index, Part};
use crate::pipeline::plan::Plan;
use crate::pipeline::roles::Role;
use crate::query::{self, Bound, Condition, Edge, Node, ParseError, Query, suggest};

/// Names of a segment that are listed.
const LISTED_MAX: usize = 10_000;

/// Fields that play a role, by the role's name: `status` finds `http.response.status_code`.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Aliases(BTreeMap<String, Vec<String>>);

impl Aliases {
    /// The roles of a plan.
    pub fn of(plan: &Plan) -> Aliases {
        let fields = |role: Role| plan.fields(role).iter().map(|field| field.path.clone()).collect::<Vec<_>>();
        let of_role = |role: Role| (role.name().to_owned(), fields(role));
        Aliases(Role::ALL.into_iter().map(of_role).filter(|(_, fields)| !fields.is_empty()).collect())
    }

    /// A tree in which names are paths.
    ///
    /// # Errors
    /// A name that is neither a path, as `is_known` says, nor a role.
    pub fn resolve(&self, query: &Query, mut is_known: impl FnMut(&str) -> bool) -> Result<Node, String> {
        let known = query.fields().into_iter().filter(|path| Derived::of(path).is_some() || is_known(path)).collect();
        resolved(query.tree(), &known, self)
    }

    /// A role has this name, and a field.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Fields that play a role, by its name; none of other names.
    pub fn get(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

/// The name of something that decoding says.
pub fn is_derived(path: &str) -> bool {
    Derived::of(path).is_some()
}

/// Names of what answers say of each line beside it, where it is so.
pub fn told_paths() -> impl Iterator<Item = &'static str> {
    Derived::TOLD.into_iter().chain([Derived::Failed]).map(Derived::path)
}

/// A name that nothing has.
pub type Unknown = ParseError;

/// A field of an index.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct KnownField {
    /// Its path.
    pub path: String,
    /// How its values are kept: a kind of column, `message`, `derived`, or `term`.
    pub kind: &'static str,
}

impl Index {
    /// Fields that lines have, sorted by path; of a very long list the first ones.
    ///
    /// # Errors
    /// A part that cannot be read.
    pub fn fields(&self) -> Result<Vec<KnownField>, tantivy::TantivyError> {
        let mut known: BTreeMap<String, &'static str> = BTreeMap::new();
        for field in Derived::ALL {
            known.insert(field.path().to_owned(), "derived");
        }
        for part in self.parts() {
            for message in &part.layout.messages {
                known.entry(message.path.clone()).or_insert("message");
            }
            for column in &part.layout.columns {
                known.entry(column.path.clone()).or_insert(column.kind.name());
            }
            for segment in part.searcher().segment_readers() {
                let inverted = segment.inverted_index(part.layout.terms)?;
                // From path to path: behind the last value of one begins the next.
                let mut from = String::from(char::from(9));
                for _ in 0..LISTED_MAX {
                    let mut terms = inverted.terms().range().ge(&from).into_stream()?;
                    if !terms.advance() {
                        break;
                    }
                    let Ok(term) = std::str::from_utf8(terms.key()) else { break };
                    let Some((path, _)) = term.split_once([SEPARATOR, LINE_ONLY, MESSAGE_MARK]) else { break };
                    from = format!("{path}\u{4}");
                    known.entry(path.to_owned()).or_insert("term");
                }
            }
        }
        Ok(known.into_iter().map(|(path, kind)| KnownField { path, kind }).collect())
    }

    /// A tree in which names are paths.
    ///
    /// # Errors
    /// A name that is no path and no role, with one that may be meant; a range of text where values are numbers. The outer error is a
    /// part that cannot be read.
    pub fn resolve(&self, query: &Query, aliases: &Aliases) -> Result<Result<Node, Unknown>, tantivy::TantivyError> {
        if let Some(error) = impossible(query) {
            return Ok(Err(error));
        }
        let parts = self.parts();
        let mut known = BTreeSet::new();
        for path in query.fields() {
            if is_known(self, &parts, &path)? {
                known.insert(path);
            }
        }
        match resolved(query.tree(), &known, aliases) {
            Ok(node) => Ok(Ok(node)),
            Err(name) => {
                let fields = self.fields()?;
                Ok(Err(unknown(query, &name, fields.iter().map(|field| field.path.as_str()), aliases)))
            }
        }
    }
}

/// Kinds of [`KnownField`] that may hold numbers, or times; of terms each says what it is.
const OF_NUMBERS: [&str; 3] = ["number", "date", "line"];

impl Index {
    /// A field may have values of which there is a least, a greatest and a sum: numbers or times.
    ///
    /// # Errors
    /// A part that cannot be read.
    pub fn may_be_number(&self, field: &KnownField) -> Result<bool, tantivy::TantivyError> {
        if let Some(derived) = Derived::of(&field.path) {
            return Ok(matches!(derived.values(), Values::Numbers | Values::Times));
        }
        if OF_NUMBERS.contains(&field.kind) {
            return Ok(true);
        }
        if !["term", "text"].contains(&field.kind) {
            return Ok(false);
        }
        let (from, until) = (format!("{}{SEPARATOR}n", field.path), format!("{}{SEPARATOR}o", field.path));
        // Numbers may be written as text.
        let texts = (format!("{}{SEPARATOR}s+", field.path), format!("{}{SEPARATOR}s:", field.path));
        let in_line = format!("{}{LINE_ONLY}", field.path);
        for part in self.parts() {
            for segment in part.searcher().segment_readers() {
                let inverted = segment.inverted_index(part.layout.terms)?;
                let terms = inverted.terms();
                if terms.get(&in_line)?.is_some() || terms.range().ge(&from).lt(&until).into_stream()?.advance() {
                    return Ok(true);
                }
                let mut of_text = terms.range().ge(&texts.0).lt(&texts.1).into_stream()?;
                while of_text.advance() {
                    let text = of_text.key().get(texts.0.len() - 1..).and_then(|text| std::str::from_utf8(text).ok());
                    if text.is_some_and(|text| query::number_of(text).is_some()) {
                        return Ok(true);
                    }
                }
                if let Some(column) = part.layout.column(&field.path).filter(|column| column.kind == ColumnKind::Text)
                    && let Some(values) = segment.fast_fields().str(&column.name)?
                {
                    let mut of_column = values.dictionary().range().ge("+").lt(":").into_stream()?;
                    while of_column.advance() {
                        if std::str::from_utf8(of_column.key()).is_ok_and(|text| query::number_of(text).is_some()) {
                            return Ok(true);
                        }
                    }
                }
            }
        }
        Ok(false)
    }

    /// A tree whose names are as they are asked for, with paths in their place; or the first name that no line has.
    ///
    /// # Errors
    /// A part that cannot be read.
    pub fn resolve_node(&self, node: &Node, aliases: &Aliases) -> Result<Result<Node, String>, tantivy::TantivyError> {
        let mut asked = BTreeSet::new();
        node.visit(&mut |path| {
            asked.insert(path.to_owned());
        });
        let (parts, mut known) = (self.parts(), BTreeSet::new());
        for path in asked {
            if is_known(self, &parts, &path)? {
                known.insert(path);
            }
        }
        Ok(resolved(node, &known, aliases))
    }
}

/// What is said of a name that nothing has.
pub fn unknown<'k>(query: &Query, name: &str, known: impl Iterator<Item = &'k str>, aliases: &'k Aliases) -> Unknown {
    let meant = suggest(name, known.chain(aliases.0.keys().map(String::as_str)));
    ParseError {
        message: format!("no line has a field `{name}`"),
        at: place(query.source(), name),
        help: meant.map(|meant| format!("did you mean `{meant}`?")),
        query: query.source().to_owned(),
    }
}

/// What is said of a value that decoding never gives: it would find nothing, whatever lines there are.
pub fn impossible(query: &Query) -> Option<ParseError> {
    let wrong = impossible_in(query.tree())?;
    let source = query.source();
    // Behind the name; another field may have the same value.
    let from = place(source, wrong.path).end;
    let at = source.get(from..).and_then(|rest| rest.find(&wrong.text)).map(|at| from + at);
    Some(ParseError {
        at: at.map_or(0..0, |at| at..at + wrong.text.len()),
        message: wrong.message,
        help: Some(wrong.help),
        query: source.to_owned(),
    })
}

/// A value that decoding never gives, and what is said of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Impossible {
    /// What is wrong.
    pub message: String,
    /// What to write instead.
    pub help: String,
    path: &'static str,
    text: String,
}

/// The first value, or end of a range, that a field cannot have.
pub fn impossible_in(node: &Node) -> Option<Impossible> {
    let (path, condition) = match node {
        Node::And(nodes) | Node::Or(nodes) => return nodes.iter().find_map(impossible_in),
        Node::Not(node) => return impossible_in(node),
        Node::Is(path, condition) => (path, condition),
        Node::All => return None,
    };
    let field = Derived::of(path)?;
    let (is, help) = match field.values() {
        Values::Numbers => ("number", "500, 1.5; in a range 250ms, 2s, too".to_owned()),
        Values::Times => ("time", "2026-06-01T10:00:00Z, now-15m".to_owned()),
        Values::Words(words) => ("word of a list", words.join(", ")),
        Values::Digits(digits) => ("hash", format!("{digits} digits from 0 to f")),
        Values::Any => return None,
    };
    let takes = |bound: &Bound| match (field.values(), bound) {
        (Values::Numbers, Bound::Number(_) | Bound::Duration(_)) | (Values::Times, Bound::Date(..)) => true,
        // Severities have an order; other words have none.
        (Values::Words(_), Bound::Level(..)) => field == Derived::Level,
        _ => false,
    };
    let end = |edge: &Edge| match edge {
        Edge::With(bound) | Edge::Without(bound) if !takes(bound) => Some(text_of(bound)),
        Edge::Open | Edge::With(_) | Edge::Without(_) => None,
    };
    let text = match (field.values(), condition) {
        (Values::Digits(_), Condition::Between(..)) => None,
        (_, Condition::Between(low, high)) => end(low).or_else(|| end(high)),
        (values, Condition::Equals(text)) => {
            let fits = match values {
                Values::Numbers => query::number_of(text).is_some(),
                Values::Times => query::date_of(text).is_some(),
                Values::Words(words) => words.contains(&text.as_str()),
                Values::Digits(digits) => {
                    text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
                }
                Values::Any => true,
            };
            (!fits).then(|| text.clone())
        }
        (_, Condition::Exists | Condition::Phrase(_) | Condition::Wildcard(_) | Condition::Matches(_)) => None,
    }?;
    Some(Impossible {
        message: format!("`{}` is a {is}, and `{text}` is none", field.path()),
        help,
        path: field.path(),
        text,
    })
}

/// The end of a range as it was written.
fn text_of(bound: &Bound) -> String {
    match bound {
        Bound::Number(number) | Bound::Duration(number) => number.to_string(),
        Bound::Date(_, text) | Bound::Level(_, text) | Bound::Text(text) => text.clone(),
    }
}

/// Lines of which only they themselves say what they hold, that are asked whether they have a field.
const BEYOND_MAX: u32 = 1_000;

fn is_known(index: &Index, parts: &[std::sync::Arc<Part>], path: &str) -> tantivy::Result<bool> {
    if Derived::of(path).is_some() {
        return Ok(true);
    }
    let mut beyond = 0;
    for part in parts {
        let layout = &part.layout;
        if layout.column(path).is_some() {
            return Ok(true);
        }
        for segment in part.searcher().segment_readers() {
            let inverted = segment.inverted_index(layout.terms)?;
            let terms = inverted.terms();
            beyond += terms.get(BEYOND)?.map_or(0, |of| of.doc_freq);
            let (from, until) = (format!("{path}{SEPARATOR}"), format!("{path}\u{4}"));
            if is_plain(path) && terms.range().ge(&from).lt(&until).into_stream()?.advance() {
                return Ok(true);
            }
        }
    }
    // A line with more values than are kept, or with names that no term can have, may have any. Of few such lines each is asked.
    if beyond == 0 {
        return Ok(false);
    }
    if beyond > BEYOND_MAX {
        return Ok(true);
    }
    let has = Node::Is(path.to_owned(), Condition::Exists);
    for segment in index.segments()? {
        let columns = DerivedColumns::open(segment.searcher.segment_reader(segment.ord))?;
        match decided(&segment, &columns, &has, &|| false) {
            Ok(found) if found.is_empty() => {}
            Ok(_) | Err(Stopped::Late) => return Ok(true),
            Err(Stopped::Broken(error)) => return Err(error),
        }
    }
    Ok(false)
}

fn resolved(node: &Node, known: &BTreeSet<String>, aliases: &Aliases) -> Result<Node, String> {
    let all = |nodes: &[Node]| nodes.iter().map(|node| resolved(node, known, aliases)).collect::<Result<Vec<_>, _>>();
    Ok(match node {
        Node::All => Node::All,
        Node::And(nodes) => Node::And(all(nodes)?),
        Node::Or(nodes) => Node::Or(all(nodes)?),
        Node::Not(node) => Node::Not(Box::new(resolved(node, known, aliases)?)),
        // A time is one however it is written.
        Node::Is(path, Condition::Equals(text)) if Derived::of(path) == Some(Derived::Time) => {
            let edge = query::date_of(text).map(|at| Edge::With(Bound::Date(at, text.clone())));
            let condition = edge.map_or(Condition::Equals(text.clone()), |edge| Condition::Between(edge.clone(), edge));
            Node::Is(path.clone(), condition)
        }
        Node::Is(path, condition) => {
            let is_message = path == query::MESSAGE;
            let mut paths: Vec<&String> = Vec::new();
            if is_message || known.contains(path) || *condition == Condition::Exists {
                paths.push(path);
            }
            if paths.is_empty() || is_message {
                paths.extend(aliases.get(path).iter().filter(|alias| *alias != path));
            }
            let mut nodes: Vec<Node> =
                paths.into_iter().map(|path| Node::Is(path.clone(), condition.clone())).collect();
            match nodes.len() {
                0 => return Err(path.clone()),
                1 => nodes.remove(0),
                _ => Node::Or(nodes),
            }
        }
    })
}

/// Where a name stands in a query.
fn place(source: &str, name: &str) -> std::ops::Range<usize> {
    let ends = |rest: &str| rest.starts_with([':', '<', '>']);
    let starts = |before: &str| before.chars().next_back().is_none_or(|c| c.is_whitespace() || "(-!+&|".contains(c));
    let found = source
        .match_indices(name)
        .find(|(at, _)| source.get(at + name.len()..).is_some_and(ends) && source.get(..*at).is_some_and(starts));
    found.map_or(0..0, |(at, _)| at..at + name.len())
}
