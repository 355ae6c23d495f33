//! YAML as a tree in which everything knows its place, so that all that is wrong in a file can be told at once.
//!
//! What is written is text, list or mapping; what a text is (a number, a duration) is decided by whoever asks for it. Aliases
//! and tags are refused: a file that people check by eye says each thing where it counts.

use std::borrow::Cow;
use std::fmt;

use granit_parser::{Event, Parser, ScalarStyle};

use crate::query::suggest;

/// Longest file, in bytes.
const FILE_MAX: usize = 4 << 20;
/// Deepest nesting.
const DEPTH_MAX: usize = 32;

/// Line and column, both from 1.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
}

/// What is wrong, where, and what to do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Problem {
    pub at: Place,
    pub words: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}: {}", self.at.line, self.at.column, self.words)
    }
}

/// Everything that is wrong.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Problems(pub Vec<Problem>);

impl Problems {
    pub(super) fn add(&mut self, at: Place, words: impl Into<String>) {
        self.0.push(Problem { at, words: words.into() });
    }

    /// In the order of the file.
    pub(super) fn sorted(mut self) -> Vec<Problem> {
        self.0.sort_by_key(|problem| problem.at);
        self.0
    }
}

/// One value with its place.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Node {
    pub at: Place,
    pub form: Form,
}

#[derive(Clone, PartialEq, Debug)]
pub(super) enum Form {
    /// `null`, `~`, or nothing behind a key.
    Nothing,
    /// A text; bare where it has no quotes.
    Text {
        text: String,
        bare: bool,
    },
    List(Vec<Node>),
    /// Keys with their places, in order.
    Mapping(Vec<(String, Place, Node)>),
}

impl Form {
    fn name(&self) -> &'static str {
        match self {
            Form::Nothing => "nothing",
            Form::Text { .. } => "a text",
            Form::List(_) => "a list",
            Form::Mapping(_) => "a mapping (key: value)",
        }
    }
}

/// The tree of a file; nothing where it is empty.
pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    if text.len() > FILE_MAX {
        return Err(Problem { at: Place { line: 1, column: 1 }, words: format!("longer than {FILE_MAX} bytes") });
    }
    let mut builder = Builder { root: None, open: Vec::new() };
    for event in Parser::new_from_str(text) {
        let (event, span) = event.map_err(|error| Problem {
            at: Place { line: error.marker().line(), column: error.marker().col() + 1 },
            words: format!("not YAML: {}", error.info()),
        })?;
        let at = Place { line: span.start.line(), column: span.start.col() + 1 };
        builder.event(event, at)?;
    }
    Ok(builder.root.unwrap_or(Node { at: Place { line: 1, column: 1 }, form: Form::Nothing }))
}

/// A list or mapping that has begun.
struct Open {
    at: Place,
    form: Form,
    /// The key whose value comes next.
    key: Option<(String, Place)>,
}

struct Builder {
    root: Option<Node>,
    open: Vec<Open>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, at: Place) -> Result<(), Problem> {
        let wrong = |words: &str| Err(Problem { at, words: words.to_owned() });
        match event {
            Event::StreamStart | Event::StreamEnd | Event::DocumentEnd | Event::Anchor(..) => Ok(()),
            Event::DocumentStart(..) if self.root.is_some() => wrong("a second document; a file has one"),
            Event::DocumentStart(..) => Ok(()),
            Event::Alias(_) | Event::UnresolvedAlias(_) => wrong("an alias (`*name`); write the value out"),
            Event::Scalar(_, _, _, Some(_))
            | Event::SequenceStart(_, _, Some(_))
            | Event::MappingStart(_, _, Some(_)) => wrong("a tag (`!name`); there are none here"),
            Event::Scalar(text, style, _, None) => {
                let bare = matches!(style, ScalarStyle::Plain);
                let form = match (bare, text.as_ref()) {
                    (true, "" | "~" | "null" | "Null" | "NULL") => Form::Nothing,
                    _ => Form::Text { text: Cow::into_owned(text), bare },
                };
                self.value(Node { at, form })
            }
            Event::SequenceStart(_, _, None) => self.begin(at, Form::List(Vec::new())),
            Event::MappingStart(_, _, None) => self.begin(at, Form::Mapping(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(done) => self.value(Node { at: done.at, form: done.form }),
                None => Ok(()),
            },
            // Comments, where the parser tells of them.
            _ => Ok(()),
        }
    }

    fn begin(&mut self, at: Place, form: Form) -> Result<(), Problem> {
        if self.open.len() >= DEPTH_MAX {
            return Err(Problem { at, words: format!("nested deeper than {DEPTH_MAX}") });
        }
        self.open.push(Open { at, form, key: None });
        Ok(())
    }

    fn value(&mut self, node: Node) -> Result<(), Problem> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut open.form, open.key.take()) {
            (Form::List(list), _) => list.push(node),
            (Form::Mapping(list), Some((key, at))) => {
                if list.iter().any(|(known, _, _)| *known == key) {
                    return Err(Problem { at, words: format!("`{key}` stands twice") });
                }
                list.push((key, at, node));
            }
            (_, None) => match node.form {
                Form::Text { text, .. } => open.key = Some((text, node.at)),
                other => {
                    let words = format!("a key is a text, and this is {}", other.name());
                    return Err(Problem { at: node.at, words });
                }
            },
            (_, Some(_)) => {}
        }
        Ok(())
    }
}

/// The keys of a mapping, as they are asked for. What is not asked for is a problem.
pub(super) struct Fields<'a> {
    /// Where the mapping begins.
    #[cfg_attr(not(feature = "serve"), expect(dead_code, reason = "for configurations"))]
    pub at: Place,
    /// What stands before a key when it is told of: `limits.`.
    path: String,
    entries: &'a [(String, Place, Node)],
    asked: Vec<&'static str>,
}

/// A text with its place.
pub(super) type Located<T> = (T, Place);

impl<'a> Fields<'a> {
    /// The keys of a node; none where it is nothing, or no mapping, which is a problem.
    pub(super) fn of(node: &'a Node, path: &str, problems: &mut Problems) -> Fields<'a> {
        let entries: &[_] = match &node.form {
            Form::Mapping(entries) => entries,
            Form::Nothing => &[],
            other => {
                let what = if path.is_empty() { String::new() } else { format!("{path}: ") };
                problems.add(
                    node.at,
                    format!("{what}keys with values are needed (key: value), and this is {}", other.name()),
                );
                &[]
            }
        };
        let path = if path.is_empty() { String::new() } else { format!("{path}.") };
        Fields { at: node.at, path, entries, asked: Vec::new() }
    }

    /// A key as it is told of.
    pub(super) fn name(&self, key: &str) -> String {
        format!("{}{key}", self.path)
    }

    /// The value of a key, when there is one.
    pub(super) fn get(&mut self, key: &'static str) -> Option<&'a Node> {
        self.asked.push(key);
        let (_, _, node) = self.entries.iter().find(|(known, _, _)| known == key)?;
        (node.form != Form::Nothing).then_some(node)
    }

    /// Where a key stands, when there is one.
    pub(super) fn place(&self, key: &str) -> Option<Place> {
        self.entries.iter().find(|(known, _, _)| known == key).map(|(_, at, _)| *at)
    }

    pub(super) fn text(&mut self, key: &'static str, problems: &mut Problems) -> Option<Located<String>> {
        let node = self.get(key)?;
        let text = text_of(node, &self.name(key), problems)?;
        Some((text, node.at))
    }

    pub(super) fn number(&mut self, key: &'static str, problems: &mut Problems) -> Option<Located<f64>> {
        let node = self.get(key)?;
        let number = match &node.form {
            Form::Text { text, bare: true } => number(text),
            _ => None,
        };
        if number.is_none() {
            let shown = match &node.form {
                Form::Text { text, .. } => format!("`{text}`"),
                other => other.name().to_owned(),
            };
            problems.add(node.at, format!("{}: a number is needed, got {shown}", self.name(key)));
        }
        Some((number?, node.at))
    }

    #[cfg(feature = "serve")]
    pub(super) fn flag(&mut self, key: &'static str, problems: &mut Problems) -> Option<Located<bool>> {
        let node = self.get(key)?;
        let flag = match &node.form {
            Form::Text { text, bare: true } if text == "true" => Some(true),
            Form::Text { text, bare: true } if text == "false" => Some(false),
            _ => None,
        };
        if flag.is_none() {
            problems.add(node.at, format!("{}: true or false is needed", self.name(key)));
        }
        Some((flag?, node.at))
    }

    /// Values of a list.
    pub(super) fn list(&mut self, key: &'static str, problems: &mut Problems) -> Option<Located<&'a [Node]>> {
        let node = self.get(key)?;
        match &node.form {
            Form::List(list) => Some((list, node.at)),
            other => {
                let words = format!(
                    "{}: a list is needed ([a, b], or one `- a` a line), and this is {}",
                    self.name(key),
                    other.name()
                );
                problems.add(node.at, words);
                None
            }
        }
    }

    /// Texts of a list.
    pub(super) fn texts(
        &mut self,
        key: &'static str,
        problems: &mut Problems,
    ) -> Option<Located<Vec<Located<String>>>> {
        let (list, at) = self.list(key, problems)?;
        let name = self.name(key);
        let texts = list.iter().filter_map(|node| Some((text_of(node, &name, problems)?, node.at))).collect();
        Some((texts, at))
    }

    /// Nothing more is asked for: what is left is unknown.
    pub(super) fn finish(self, problems: &mut Problems) {
        for (key, at, _) in self.entries.iter().filter(|(key, _, _)| !self.asked.contains(&key.as_str())) {
            let near = suggest(key, self.asked.iter().copied());
            let hint = near.map_or_else(
                || format!("there are {}", self.asked.join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            problems.add(*at, format!("`{}{key}` is unknown; {hint}", self.path));
        }
    }
}

/// The text of a node.
pub(super) fn text_of(node: &Node, name: &str, problems: &mut Problems) -> Option<String> {
    match &node.form {
        Form::Text { text, .. } => Some(text.clone()),
        other => {
            problems.add(node.at, format!("{name}: a text is needed, and this is {}", other.name()));
            None
        }
    }
}

/// A number as YAML writes it.
fn number(text: &str) -> Option<f64> {
    match text {
        ".nan" | ".NaN" | ".NAN" => return Some(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" => return Some(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => return Some(f64::NEG_INFINITY),
        _ => {}
    }
    let is_number = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'-' | b'+' | b'e' | b'E'));
    if is_number { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_problem_has_its_place() {
        let node = parse("a: 1\nb:\n  c: [x, {y: 2}]\nlimts: ~\n").unwrap();
        let mut problems = Problems::default();
        let mut fields = Fields::of(&node, "", &mut problems);
        assert_eq!(fields.number("a", &mut problems), Some((1.0, Place { line: 1, column: 4 })));
        let inner = fields.get("b").unwrap();
        let mut inner = Fields::of(inner, "b", &mut problems);
        let texts = inner.texts("c", &mut problems).unwrap();
        assert_eq!(texts.0, [("x".to_owned(), Place { line: 3, column: 7 })]);
        inner.finish(&mut problems);
        assert!(fields.get("limits").is_none());
        fields.finish(&mut problems);
        let said: Vec<String> = problems.sorted().iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "line 3 column 10: b.c: a text is needed, and this is a mapping (key: value)",
                "line 4 column 1: `limts` is unknown; did you mean `limits`?"
            ]
        );
    }

    #[test]
    fn what_is_no_plain_yaml_is_refused_with_its_place() {
        for (text, words) in [
            ("a: [1", "line 1"),
            ("a: 1\na: 2", "line 2 column 1: `a` stands twice"),
            ("a: &x 1\nb: *x", "line 2 column 4: an alias"),
            ("a: !!str 1", "a tag"),
            ("---\na: 1\n---\nb: 2", "a second document"),
            ("[a]: 1", "a key is a text"),
        ] {
            let said = parse(text).unwrap_err().to_string();
            assert!(said.contains(words), "{text}: {said}");
        }
        let deep = "[".repeat(40) + &"]".repeat(40);
        assert!(parse(&deep).unwrap_err().words.contains("nested deeper"));
        assert_eq!(parse("# only this").unwrap().form, Form::Nothing);
    }
}
