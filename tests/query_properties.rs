//! What must hold for any query: it means what a slow, plain reading says, its canonical text says the same again, and
//! text that is no query is refused at a place that can be shown.
//!
//! Every run uses a fixed seed, printed on failure; `SERIN_TEST_SEED=7 cargo test` tries another one.

use std::borrow::Cow;
use std::collections::BTreeSet;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use serin::query::{Query, Record, Value};

// The laws.

#[test]
fn queries_mean_what_the_plain_reading_says() {
    check(10_000, (any_tree(), any_line(), any::<u64>()), |(tree, line, seed)| {
        let text = Writer(seed).query(&tree);
        let query = Query::parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let expect = holds(&tree, &line);
        prop_assert_eq!(query.matches(&line), expect, "{}", text);
        let canonical = query.to_string();
        let again = Query::parse(&canonical).map_err(|error| TestCaseError::fail(error.to_string()))?;
        prop_assert_eq!(again.tree(), query.tree(), "{} as {}", text, canonical);
        prop_assert_eq!(again.matches(&line), expect, "{} as {}", text, canonical);
        Ok(())
    });
}

#[test]
fn spelling_does_not_change_the_meaning() {
    check(4_000, (any_tree(), vec(any_line(), 4), any::<[u64; 2]>()), |(tree, lines, seeds)| {
        let texts = seeds.map(|seed| Writer(seed).query(&tree));
        let [one, other] = texts.each_ref().map(|text| Query::parse(text).unwrap_or_else(|error| panic!("{error}")));
        for line in &lines {
            prop_assert_eq!(one.matches(line), other.matches(line), "{} and {}", one.source(), other.source());
        }
        prop_assert_eq!(one.fields(), other.fields(), "{} and {}", one.source(), other.source());
        Ok(())
    });
}

#[test]
fn any_text_is_a_query_or_an_error_with_a_place() {
    check(20_000, any::<String>(), |text| reads_or_refuses(&text));
    check(30_000, any_token_text(), |text| reads_or_refuses(&text));
}

#[test]
fn any_value_can_be_quoted() {
    check(5_000, any::<String>(), |value| {
        let text = format!("f:\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""));
        reads_or_refuses(&text)?;
        let query = Query::parse(&text).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let line = Line(vec![("f", Sample::Text(Known::plain(&value)))]);
        prop_assert!(query.matches(&line), "{}", text);
        Ok(())
    });
}

/// A query that is understood has a canonical text that is a fixed point; an error points into the text.
fn reads_or_refuses(text: &str) -> Result<(), TestCaseError> {
    match Query::parse(text) {
        Ok(query) => {
            let canonical = query.to_string();
            let again = Query::parse(&canonical)
                .map_err(|error| TestCaseError::fail(format!("{text:?} has the canonical text\n{error}")))?;
            prop_assert_eq!(again.tree(), query.tree(), "{:?} as {:?}", text, &canonical);
            prop_assert_eq!(again.to_string(), canonical, "{:?}", text);
            prop_assert_eq!(again.fields(), query.fields());
            for line in [Line(Vec::new()), Line(vec![("message", Sample::Text(Known::plain("a b 5")))])] {
                prop_assert_eq!(again.matches(&line), query.matches(&line), "{:?}", text);
            }
        }
        Err(error) => {
            prop_assert_eq!(&error.query, text);
            prop_assert!(!error.message.is_empty());
            prop_assert!(error.at.start <= error.at.end, "{:?}", error);
            prop_assert!(text.get(error.at.clone()).is_some(), "{:?}", error);
            prop_assert!(error.to_string().contains('^'), "{:?}", error);
        }
    }
    Ok(())
}

// Limits.

#[test]
fn limits_are_exact_and_errors_there_have_a_place() {
    for (before, deepest) in [("NOT ", 63), ("!", 63), ("-", 63), ("(", 63)] {
        for (times, fits) in [(deepest, true), (deepest + 1, false), (1_000, false)] {
            for term in ["a", "é", "f:é", ""] {
                let closed = if before == "(" { ")".repeat(times) } else { String::new() };
                let text = format!("{}{term}{closed}", before.repeat(times));
                reads_or_refuses(&text).unwrap_or_else(|failure| panic!("{text}: {failure}"));
                assert_eq!(Query::parse(&text).is_ok(), fits && !term.is_empty(), "{text}");
            }
        }
    }
    for (more, fits) in [("", true), (" é", false)] {
        let text = vec!["a"; 1_024].join(" ") + more;
        reads_or_refuses(&text).unwrap_or_else(|failure| panic!("{text}: {failure}"));
        assert_eq!(Query::parse(&text).is_ok(), fits);
    }
    let endless = format!("f:>{}d", "9".repeat(308));
    reads_or_refuses(&endless).unwrap_or_else(|failure| panic!("{endless}: {failure}"));
    for bytes in [8 * 1_024, 8 * 1_024 + 1] {
        let text = "a".repeat(bytes);
        assert_eq!(Query::parse(&text).is_ok(), bytes == 8 * 1_024);
    }
}

/// The canonical text never nests deeper than what was written.
#[test]
fn the_deepest_queries_have_a_canonical_text() {
    for inside in ["(a b OR c d)", "(a OR b c)", "f:(a b OR c)", "((a b) c OR d)"] {
        for times in 55..64 {
            let text = format!("{}{inside}", "NOT ".repeat(times));
            reads_or_refuses(&text).unwrap_or_else(|failure| panic!("{text}: {failure}"));
        }
    }
}

// Errors, word for word.

#[test]
fn errors_are_exact() {
    for (query, message, at, help) in [
        ("a AND (b OR (c d)", "this parenthesis is never closed", 6..7, None),
        ("(a OR b)) c", "this parenthesis closes nothing", 8..9, None),
        ("()", "a term is missing before this parenthesis", 1..2, None),
        ("(", "a term is missing here", 1..1, None),
        ("é OR", "something must follow this operator", 3..5, None),
        ("(a || ) b", "something must follow this operator", 3..5, None),
        ("a NOT", "something must follow this operator", 2..5, None),
        ("a -", "something must follow this operator", 2..3, None),
        ("a OR AND b", "something must stand before AND", 5..8, None),
        ("&& a", "something must stand before &&", 0..2, None),
        ("a && || b", "something must stand before ||", 5..7, None),
        ("a & b", "`&` alone is no operator", 2..3, Some("write &&, or AND and OR")),
        ("a | b", "`|` alone is no operator", 2..3, Some("write ||, or AND and OR")),
        ("status==500", "`==` is no operator", 6..8, Some("did you mean `:`?")),
        ("status=<500", "`=<` is no operator", 6..8, Some("did you mean `<=`?")),
        ("status=500", "`=` is no operator", 6..7, Some("write field:value")),
        ("status>>500", "`>>` is no operator", 6..8, None),
        ("status:<=>500", "`<=>` is no operator", 7..10, None),
        ("status:<> 500", "`<>` is no operator", 7..9, None),
        ("status >= 500", "a field or a word is missing here", 7..8, None),
        (":500", "a field or a word is missing here", 0..1, Some("write field:value")),
        ("f:a]", "a field or a word is missing here", 3..4, None),
        ("(status:)", "a value for `status` is missing here", 8..9, None),
        ("status:>", "a value is missing here", 8..8, None),
        ("status:[400 TO ]", "a value is missing here", 15..15, None),
        ("status:[400", "TO is missing in this range", 11..11, Some("write [400 TO 499]")),
        ("status:[400 é]", "TO is missing in this range", 12..14, Some("write [400 TO 499]")),
        ("status:{400 TO 499 b", "this range is never closed", 7..8, Some("write [400 TO 499]")),
        ("status:[4* TO 499]", "a range ends at a value, not at wildcards", 8..10, None),
        ("_exists_: f", "a field is missing after _exists_:", 0..9, None),
        ("é \"!?\"", "there is no word in this", 3..7, None),
        ("card*", "wildcards need a field", 0..5, Some("message:*card*")),
        ("f:\"é\\\"", "this quote is never closed", 2..3, None),
        ("f:é\\", "nothing to escape here", 4..5, None),
        ("path:/a(/ b", "not a regular expression: unclosed group", 5..9, None),
        ("path:/a)|(b/", "not a regular expression: unopened group", 5..12, None),
        (
            "f:/card declined/",
            "a space in an expression, or a path before another term",
            2..17,
            Some("write the space of an expression as `\\ `, and a path in quotes"),
        ),
    ] {
        let error = Query::parse(query).expect_err(query);
        assert_eq!((error.message.as_str(), error.at, error.help.as_deref()), (message, at, help), "{query}");
    }
}

#[test]
fn errors_cannot_act_on_a_terminal() {
    let error = Query::parse("\"a\u{1b}[2J\" AND").unwrap_err();
    assert_eq!(error.at, 8..11);
    assert!(!error.to_string().contains('\u{1b}'));
}

// Queries as trees, and their plain reading.

#[derive(Clone, Debug)]
enum Tree {
    All,
    Is(&'static str, Condition),
    /// `field:( )`: a tree whose leaves are all of this field.
    Group(&'static str, Box<Tree>),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
}

#[derive(Clone, Debug)]
enum Condition {
    Exists,
    Phrase(Vec<&'static str>),
    Equals(Known),
    Wildcard(Vec<Piece>),
    Matches(Expression),
    Compare(&'static str, Bound),
    Range { low: Option<Bound>, with_low: bool, high: Option<Bound>, with_high: bool },
}

#[derive(Clone, Copy, Debug)]
enum Piece {
    Char(char),
    One,
    Run,
}

#[derive(Clone, Debug)]
enum Expression {
    Char(char),
    Dot,
    Star(Box<Expression>),
    Both(Box<Expression>, Box<Expression>),
    Either(Box<Expression>, Box<Expression>),
}

/// A value at the end of a range, as it may be written, and what it says.
#[derive(Clone, Debug)]
enum Bound {
    Number(&'static str, f64),
    Millis(&'static str, f64),
    Date(&'static str, i64),
    Level(&'static str, u8),
    Text(String),
}

/// Text with what a reader can take it for.
#[derive(Clone, Debug)]
struct Known {
    text: String,
    number: Option<f64>,
    millis: Option<f64>,
    date: Option<i64>,
    level: Option<u8>,
}

impl Known {
    fn plain(text: &str) -> Known {
        Known { text: text.to_owned(), number: None, millis: None, date: None, level: None }
    }
}

#[derive(Clone, Debug)]
enum Sample {
    Text(Known),
    Number(f64, &'static str),
    Bool(bool),
    List(Vec<Sample>),
}

#[derive(Clone, Debug)]
struct Line(Vec<(&'static str, Sample)>);

impl Record for Line {
    fn field(&self, path: &str) -> Option<Value<'_>> {
        self.0.iter().find(|(name, _)| *name == path).map(|(_, sample)| value_of(sample))
    }
}

fn value_of(sample: &Sample) -> Value<'_> {
    match sample {
        Sample::Text(known) => Value::Str(Cow::Borrowed(&known.text)),
        Sample::Number(number, _) => Value::Number(*number),
        Sample::Bool(bool) => Value::Bool(*bool),
        Sample::List(samples) => Value::List(samples.iter().map(value_of).collect()),
    }
}

fn holds(tree: &Tree, line: &Line) -> bool {
    match tree {
        Tree::All => true,
        Tree::Group(_, tree) => holds(tree, line),
        Tree::Not(tree) => !holds(tree, line),
        Tree::And(trees) => trees.iter().filter(|tree| holds(tree, line)).count() == trees.len(),
        Tree::Or(trees) => trees.iter().filter(|tree| holds(tree, line)).count() > 0,
        Tree::Is(field, condition) => {
            let found: Vec<&Sample> = line.0.iter().filter(|(name, _)| name == field).map(|(_, s)| s).collect();
            match found.first() {
                None => false,
                Some(Sample::List(samples)) => samples.iter().any(|sample| meets(condition, sample)),
                Some(sample) => meets(condition, sample),
            }
        }
    }
}

fn meets(condition: &Condition, sample: &Sample) -> bool {
    let text = match sample {
        Sample::Text(known) => known.text.as_str(),
        Sample::Number(_, text) => text,
        Sample::Bool(true) => "true",
        Sample::Bool(false) => "false",
        Sample::List(_) => unreachable!("lists are not nested"),
    };
    let chars: Vec<char> = text.chars().collect();
    match condition {
        Condition::Exists => true,
        Condition::Phrase(words) => {
            // Side by side in the list of tokens: the same as inside its text with marks between.
            let marked = |words: Vec<String>| words.iter().map(|word| format!("|{word}|")).collect::<String>();
            marked(tokens(text)).contains(&marked(words.iter().map(|word| folded(word)).collect()))
        }
        Condition::Equals(wanted) => match sample {
            Sample::Number(number, _) => wanted.number == Some(*number),
            Sample::Text(known) if known.number.is_some() && known.number == wanted.number => true,
            _ => text == wanted.text,
        },
        Condition::Wildcard(pieces) => fits(pieces, &chars),
        Condition::Matches(expression) => ends(expression, &chars, 0).contains(&chars.len()),
        Condition::Compare(operator, bound) => ordered(sample, operator, bound),
        Condition::Range { low, with_low, high, with_high } => {
            low.as_ref().is_none_or(|low| ordered(sample, if *with_low { ">=" } else { ">" }, low))
                && high.as_ref().is_none_or(|high| ordered(sample, if *with_high { "<=" } else { "<" }, high))
        }
    }
}

fn is_token_char(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn folded(word: &str) -> String {
    word.chars().flat_map(char::to_lowercase).filter(|c| is_token_char(*c)).collect()
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens = vec![String::new()];
    for c in text.chars() {
        match tokens.last_mut() {
            Some(last) if is_token_char(c) => last.push(c),
            _ => tokens.push(String::new()),
        }
    }
    tokens.iter().filter(|token| !token.is_empty()).map(|token| folded(token)).collect()
}

fn fits(pieces: &[Piece], chars: &[char]) -> bool {
    match (pieces, chars) {
        ([], []) => true,
        ([Piece::Run, rest @ ..], chars) => (0..=chars.len()).any(|skipped| fits(rest, &chars[skipped..])),
        ([Piece::One, rest @ ..], [_, chars @ ..]) => fits(rest, chars),
        ([Piece::Char(wanted), rest @ ..], [c, chars @ ..]) => wanted == c && fits(rest, chars),
        _ => false,
    }
}

/// Where an expression may end that starts at a place.
fn ends(expression: &Expression, chars: &[char], from: usize) -> BTreeSet<usize> {
    match expression {
        Expression::Char(wanted) => (chars.get(from) == Some(wanted)).then_some(from + 1).into_iter().collect(),
        Expression::Dot => chars.get(from).filter(|c| **c != '\n').map(|_| from + 1).into_iter().collect(),
        Expression::Both(one, other) => {
            ends(one, chars, from).into_iter().flat_map(|middle| ends(other, chars, middle)).collect()
        }
        Expression::Either(one, other) => &ends(one, chars, from) | &ends(other, chars, from),
        Expression::Star(repeated) => {
            let mut reached = BTreeSet::from([from]);
            loop {
                let next: BTreeSet<usize> = reached.iter().flat_map(|at| ends(repeated, chars, *at)).collect();
                let all = &reached | &next;
                if all == reached {
                    return all;
                }
                reached = all;
            }
        }
    }
}

fn ordered(sample: &Sample, operator: &str, bound: &Bound) -> bool {
    fn by<T: PartialOrd>(value: Option<T>, operator: &str, bound: T) -> bool {
        value.is_some_and(|value| match operator {
            "<" => value < bound,
            "<=" => value <= bound,
            ">" => value > bound,
            _ => value >= bound,
        })
    }
    match (sample, bound) {
        (Sample::Number(number, _), Bound::Number(_, bound) | Bound::Millis(_, bound)) => {
            by(Some(*number), operator, *bound)
        }
        (Sample::Text(known), Bound::Number(_, bound)) => by(known.number, operator, *bound),
        (Sample::Text(known), Bound::Millis(_, bound)) => by(known.number.or(known.millis), operator, *bound),
        (Sample::Text(known), Bound::Date(_, bound)) => by(known.date, operator, *bound),
        (Sample::Text(known), Bound::Level(_, bound)) => by(known.level, operator, *bound),
        (Sample::Text(known), Bound::Text(bound)) => by(Some(known.text.as_str()), operator, bound),
        _ => false,
    }
}

// Small alphabets, so that queries and lines meet.

const FIELDS: [&str; 12] = [
    "message",
    "service",
    "status",
    "geo.country",
    "f",
    "two words",
    "a:b",
    "_exists_",
    "NOT",
    "-x",
    "*",
    "größe/\\\"(]}<=>{[&|!+?",
];

/// 2026-06-01T00:00:00Z: 20605 days after 1970.
const JUNE: i64 = 20_605 * 86_400 * 1_000_000;
const HOUR: i64 = 3_600 * 1_000_000;

fn known_texts() -> Vec<Known> {
    let plain = Known::plain;
    let number = |text, number| Known { number: Some(number), ..plain(text) };
    let millis = |text, millis| Known { millis: Some(millis), ..plain(text) };
    let date = |text, date| Known { date: Some(date), ..plain(text) };
    let level = |text, level| Known { level: Some(level), ..plain(text) };
    let mut all = vec![
        number("503", 503.0),
        number("503.0", 503.0),
        number("5.03e2", 503.0),
        number("-3", -3.0),
        number("+2.5", 2.5),
        number(".5", 0.5),
        millis("250ms", 250.0),
        millis("1s", 1_000.0),
        millis("1.5s", 1_500.0),
        millis("500us", 0.5),
        date("2026-06-01", JUNE),
        date("2026-06-01T12:00:00Z", JUNE + 12 * HOUR),
        date("2026-06-01 14:00:00+02:00", JUNE + 12 * HOUR),
        date("2026-06-01T12:00:00.25", JUNE + 12 * HOUR + 250_000),
        level("warn", 4),
        level("ERROR", 5),
        level("Error", 5),
        level("panic", 6),
    ];
    let texts = [
        "true",
        "false",
        "JP",
        "/api/cart",
        "/api/",
        "/a/",
        "/",
        "a b",
        "say \"hi\"",
        "café",
        "AND",
        "or",
        "TO",
        "",
        "*",
        "-",
        "!a",
        "&&",
        "[1 TO 2]",
        ">5",
        "2.4.0",
        "Infinity",
        "NaN",
        "line\nbreak",
        "Card declined: user_7",
        "card—DECLINED for User_7",
        "declined card",
        "İstanbul, a",
        "\u{212a}elvin",
    ];
    all.extend(texts.map(plain));
    all
}

const WORDS: [&str; 11] = ["card", "Declined", "USER_7", "for", "a", "B", "café", "CAFÉ", "İstanbul", "kelvin", "503"];

const NUMBERS: [(f64, &str); 6] =
    [(503.0, "503"), (2.5, "2.5"), (-3.0, "-3"), (0.0, "0"), (250.0, "250"), (1e21, "1000000000000000000000")];

const CHARS: [char; 16] = ['a', 'a', 'b', 'A', ' ', '"', '\\', '*', '?', '(', ')', ':', '/', 'é', '-', '|'];

fn any_known() -> impl Strategy<Value = Known> {
    prop_oneof![
        2 => select(known_texts()),
        1 => vec(select(&CHARS[..]), 0..5).prop_map(|chars| Known::plain(&chars.into_iter().collect::<String>())),
    ]
}

fn any_bound() -> impl Strategy<Value = Bound> {
    let bounds = vec![
        Bound::Number("503", 503.0),
        Bound::Number("5.03e2", 503.0),
        Bound::Number("-3", -3.0),
        Bound::Number("+.5", 0.5),
        Bound::Number("1e21", 1e21),
        Bound::Millis("250ms", 250.0),
        Bound::Millis("0.25s", 250.0),
        Bound::Millis("500µs", 0.5),
        Bound::Millis("500000ns", 0.5),
        Bound::Millis("1m", 60_000.0),
        Bound::Millis("1d", 86_400_000.0),
        Bound::Date("2026-06-01", JUNE),
        Bound::Date("2026-06-01T12:00:00Z", JUNE + 12 * HOUR),
        Bound::Date("2026-06-01T10:30:00.000-01:30", JUNE + 12 * HOUR),
        Bound::Date("2026-06-01 12:00:00", JUNE + 12 * HOUR),
        Bound::Level("Warn", 4),
        Bound::Level("err", 5),
        Bound::Level("emerg", 6),
    ];
    prop_oneof![2 => select(bounds), 1 => any_known().prop_map(|known| Bound::Text(known.text))]
}

fn any_condition() -> impl Strategy<Value = Condition> {
    let piece = prop_oneof![
        3 => select(&CHARS[..]).prop_map(Piece::Char),
        1 => Just(Piece::One),
        1 => Just(Piece::Run),
    ];
    let wildcard = (vec(piece, 0..5), select(vec![Piece::One, Piece::Run]), any::<prop::sample::Index>());
    let expression = prop_oneof![3 => select(&CHARS[..]).prop_map(Expression::Char), 1 => Just(Expression::Dot)];
    let expression = expression.prop_recursive(4, 10, 2, |inner| {
        let two = (inner.clone(), inner.clone());
        prop_oneof![
            inner.prop_map(|inner| Expression::Star(Box::new(inner))),
            two.clone().prop_map(|(one, other)| Expression::Both(Box::new(one), Box::new(other))),
            two.prop_map(|(one, other)| Expression::Either(Box::new(one), Box::new(other))),
        ]
    });
    let end = || prop::option::weighted(0.8, any_bound());
    prop_oneof![
        1 => Just(Condition::Exists),
        3 => any_known().prop_map(Condition::Equals),
        2 => wildcard.prop_map(|(mut pieces, wild, at)| {
            pieces.insert(at.index(pieces.len() + 1), wild);
            Condition::Wildcard(pieces)
        }),
        2 => expression.prop_map(Condition::Matches),
        2 => (select(vec!["<", "<=", ">", ">="]), any_bound()).prop_map(|(op, bound)| Condition::Compare(op, bound)),
        2 => (end(), any::<bool>(), end(), any::<bool>()).prop_map(|(low, with_low, high, with_high)| {
            Condition::Range { low, with_low, high, with_high }
        }),
    ]
}

/// A condition on a field. Values of `message` are phrases, so there is no equality there.
fn any_leaf(fields: impl Strategy<Value = &'static str>) -> impl Strategy<Value = Tree> {
    (fields, any_condition(), vec(select(&WORDS[..]), 1..3)).prop_map(|(field, condition, words)| {
        match (field, condition) {
            ("message", Condition::Equals(_)) => Tree::Is(field, Condition::Phrase(words)),
            (field, condition) => Tree::Is(field, condition),
        }
    })
}

fn joined(inner: impl Strategy<Value = Tree> + Clone) -> impl Strategy<Value = Tree> {
    prop_oneof![
        inner.clone().prop_map(|tree| Tree::Not(Box::new(tree))),
        vec(inner.clone(), 2..4).prop_map(Tree::And),
        vec(inner, 2..4).prop_map(Tree::Or),
    ]
}

fn any_tree() -> impl Strategy<Value = Tree> {
    let group = select(&FIELDS[..]).prop_flat_map(|field| {
        let tree = any_leaf(Just(field)).prop_recursive(2, 5, 3, joined);
        tree.prop_map(move |tree| Tree::Group(field, Box::new(tree)))
    });
    // Few fields in most leaves, so that they are there in most lines.
    let fields = prop_oneof![1 => select(&FIELDS[..]), 2 => select(&FIELDS[..3])];
    let leaf = prop_oneof![1 => Just(Tree::All), 8 => any_leaf(fields), 2 => group];
    leaf.prop_recursive(4, 12, 3, joined)
}

fn any_line() -> impl Strategy<Value = Line> {
    let one = || {
        prop_oneof![
            4 => any_known().prop_map(Sample::Text),
            2 => select(&NUMBERS[..]).prop_map(|(number, text)| Sample::Number(number, text)),
            1 => any::<bool>().prop_map(Sample::Bool),
        ]
    };
    let sample = prop_oneof![6 => one(), 1 => vec(one(), 0..3).prop_map(Sample::List)];
    vec(prop::option::weighted(0.7, sample), FIELDS.len()).prop_map(|samples| {
        Line(FIELDS.into_iter().zip(samples).filter_map(|(field, sample)| Some((field, sample?))).collect())
    })
}

/// The language's own words in any order.
fn any_token_text() -> impl Strategy<Value = String> {
    let tokens = [
        "AND",
        "OR",
        "NOT",
        "&&",
        "||",
        "!",
        "-",
        "+",
        "(",
        ")",
        "\"",
        "\\",
        "/",
        "f:",
        "f",
        "message:",
        "_exists_:",
        "_exists_",
        ":",
        ">",
        ">=",
        "<",
        "=",
        "[",
        "]",
        "{",
        "}",
        "TO",
        "*",
        "?",
        "a",
        "b",
        "5",
        "250ms",
        "é",
        "İ",
        "warn",
        "2026-06-01",
        "and",
        "|",
        "&",
        "/a/",
        "/a b/",
        "[1 TO 5]",
        "{* TO b}",
        "a*",
        "f:/x*/",
        "\"a b\"",
        "\u{3000}",
        "\n",
        "f:(",
        "\\ ",
        "b*/",
        "/f:",
        "x:/a*",
        "(",
        ")",
        "2026-06-01\\ 12:00:00",
    ];
    let piece = (select(tokens.to_vec()), select(vec!["", " ", " "]));
    vec(piece, 0..12).prop_map(|pieces| pieces.into_iter().flat_map(|(token, space)| [token, space]).collect())
}

// Trees as text, in one of many spellings.

/// Chooses spellings; the number is the state of a splitmix64 generator.
struct Writer(u64);

/// A written part, and whether another part may follow without a space.
struct Part {
    text: String,
    closed: bool,
}

/// How tightly the place of a part binds.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Place {
    Any,
    InAnd,
    Operand,
}

impl Writer {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((x ^ (x >> 31)) % n as u64) as usize
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    fn pick(&mut self, of: &[&'static str]) -> &'static str {
        of[self.below(of.len())]
    }

    fn some_space(&mut self) -> &'static str {
        self.pick(&[" ", " ", " ", "  ", "\t", "\n", "\u{3000}"])
    }

    fn maybe_space(&mut self) -> &'static str {
        if self.one_in(4) { self.some_space() } else { "" }
    }

    fn query(&mut self, tree: &Tree) -> String {
        format!("{}{}{}", self.maybe_space(), self.part(tree, None, Place::Any).text, self.maybe_space())
    }

    /// `field`: inside `field:( )`.
    fn part(&mut self, tree: &Tree, field: Option<&str>, place: Place) -> Part {
        let needs = match tree {
            Tree::Or(_) => place > Place::Any,
            Tree::And(_) => place > Place::InAnd,
            _ => false,
        };
        if needs || self.one_in(8) {
            let inside = self.part(tree, field, Place::Any).text;
            let text = format!("({}{inside}{})", self.maybe_space(), self.maybe_space());
            return Part { text, closed: true };
        }
        match tree {
            Tree::All => Part { text: "*".to_owned(), closed: false },
            Tree::Is(of, condition) => self.leaf(of, condition, field.is_some()),
            Tree::Group(of, tree) => {
                let inside = self.part(tree, Some(of), Place::Any).text;
                Part { text: format!("{}:({inside}{})", self.name(of), self.maybe_space()), closed: true }
            }
            Tree::Not(tree) => {
                let Part { text, closed } = self.part(tree, field, Place::Operand);
                let sign =
                    if field.is_some() { self.pick(&["NOT", "!"]) } else { self.pick(&["NOT", "NOT", "!", "-"]) };
                let tight = sign != "NOT" || text.starts_with(['(', '"']);
                let space = if tight { self.maybe_space() } else { self.some_space() };
                Part { text: format!("{sign}{space}{text}"), closed }
            }
            Tree::And(trees) => self.list(trees, field, Place::InAnd),
            Tree::Or(trees) => self.list(trees, field, Place::Any),
        }
    }

    fn list(&mut self, trees: &[Tree], field: Option<&str>, place: Place) -> Part {
        let is_and = place == Place::InAnd;
        let inner = if is_and { Place::Operand } else { Place::InAnd };
        let mut all: Option<Part> = None;
        for tree in trees {
            let mut next = self.part(tree, field, inner);
            if is_and && self.one_in(8) {
                next.text.insert(0, '+');
            }
            all = Some(match all {
                None => next,
                Some(before) => {
                    let opened = next.text.starts_with(['(', '"']);
                    let operator =
                        if is_and { self.pick(&["AND", "&&", "", ""]) } else { self.pick(&["OR", "OR", "||"]) };
                    let tight_before = before.closed || (operator.is_empty() && opened);
                    let tight_after = opened || operator != "AND" && operator != "OR";
                    let first = if tight_before { self.maybe_space() } else { self.some_space() };
                    let second = if tight_after { self.maybe_space() } else { self.some_space() };
                    let text = format!("{}{first}{operator}{second}{}", before.text, next.text);
                    Part { text, closed: next.closed }
                }
            });
        }
        all.unwrap_or(Part { text: "*".to_owned(), closed: false })
    }

    fn leaf(&mut self, field: &str, condition: &Condition, in_group: bool) -> Part {
        if is_exists(condition) && !in_group && self.one_in(2) {
            return Part { text: format!("_exists_:{}", self.word(field, "", false)), closed: false };
        }
        let (value, is_comparison) = match condition {
            Condition::Exists => (self.pick(&["*", "[* TO *]", "{* TO *]"]).to_owned(), false),
            Condition::Phrase(words) => {
                let phrase = self.phrase(words);
                // Words and phrases without a field search the message.
                if !in_group && self.one_in(2) {
                    let closed = phrase.ends_with('"');
                    return Part { text: phrase, closed };
                }
                (phrase, false)
            }
            Condition::Equals(known) => (self.text(&known.text, in_group), false),
            Condition::Wildcard(pieces) => {
                let mut text = String::new();
                for (at, piece) in pieces.iter().enumerate() {
                    match piece {
                        Piece::One => text.push('?'),
                        Piece::Run => text.push('*'),
                        Piece::Char(c) => self.escape(*c, at == 0, at + 1 == pieces.len(), in_group, &mut text),
                    }
                }
                (text, false)
            }
            Condition::Matches(expression) => (format!("/{}/", self.expression(expression)), false),
            Condition::Compare(operator, bound) => {
                (format!("{operator}{}{}", self.maybe_space(), self.bound(bound)), true)
            }
            Condition::Range { low, with_low, high, with_high } => {
                let open = if *with_low { "[" } else { "{" };
                let close = if *with_high { "]" } else { "}" };
                let mut end = |bound: &Option<Bound>| bound.as_ref().map_or("*".to_owned(), |bound| self.bound(bound));
                let (low, high) = (end(low), end(high));
                let spaces = [self.maybe_space(), self.some_space(), self.some_space(), self.maybe_space()];
                let [a, b, c, d] = spaces;
                (format!("{open}{a}{low}{b}TO{c}{high}{d}{close}"), false)
            }
        };
        let closed = value.ends_with(']') && matches!(condition, Condition::Range { .. });
        // An expression ends with a space, and without one behind a path `/a)(path:/b/` would be an expression.
        let value = match condition {
            Condition::Equals(_) | Condition::Wildcard(_) | Condition::Matches(_) if value.starts_with('/') => {
                value + self.some_space()
            }
            _ => value,
        };
        if in_group {
            return Part { text: value, closed };
        }
        let colon = if is_comparison && self.one_in(2) { "" } else { ":" };
        Part { text: format!("{}{colon}{value}", self.name(field)), closed }
    }

    /// A field before a colon or a comparison sign.
    fn name(&mut self, field: &str) -> String {
        self.word(field, ":<>=[{&|!+-_N*", false)
    }

    /// A word with escapes where they are needed, and sometimes where not. `also`: characters that need one as well.
    fn word(&mut self, text: &str, also: &str, in_group: bool) -> String {
        let mut out = String::new();
        let last = text.chars().count().saturating_sub(1);
        for (at, c) in text.chars().enumerate() {
            if also.contains(c) {
                out.push('\\');
                out.push(c);
            } else {
                self.escape(c, at == 0, at == last, in_group, &mut out);
            }
        }
        out
    }

    /// A character of a value that stands for itself.
    fn escape(&mut self, c: char, first: bool, last: bool, in_group: bool, out: &mut String) {
        let needs = c.is_whitespace()
            || matches!(c, '(' | ')' | '"' | ']' | '}' | '\\' | '*' | '?')
            || (first && matches!(c, '[' | '{' | '<' | '>' | '='))
            || (first && in_group && matches!(c, '+' | '-' | '!' | '&' | '|' | 'A' | 'N' | 'O'))
            || (last && c == '/');
        if needs || self.one_in(16) {
            out.push('\\');
        }
        out.push(c);
    }

    fn quoted(&mut self, text: &str) -> String {
        let mut out = String::from("\"");
        for c in text.chars() {
            if matches!(c, '"' | '\\') || self.one_in(16) {
                out.push('\\');
            }
            out.push(c);
        }
        out.push('"');
        out
    }

    fn text(&mut self, text: &str, in_group: bool) -> String {
        if text.is_empty() || self.one_in(2) { self.quoted(text) } else { self.word(text, "", in_group) }
    }

    fn phrase(&mut self, words: &[&str]) -> String {
        let mut cased: Vec<String> = Vec::new();
        for word in words {
            cased.push(match self.below(3) {
                0 => word.to_uppercase(),
                1 if !word.contains('İ') => word.to_lowercase(),
                _ => (*word).to_owned(),
            });
        }
        if self.one_in(2) {
            let between = self.pick(&["-", ".", "/", ",", "—"]);
            cased.join(between)
        } else {
            let between = self.pick(&[" ", "  ", "-", " \\\" ", ": ", " ("]);
            format!("\"{}\"", cased.join(between))
        }
    }

    fn expression(&mut self, expression: &Expression) -> String {
        match expression {
            Expression::Dot => ".".to_owned(),
            Expression::Char(c) if c.is_alphanumeric() => c.to_string(),
            Expression::Char(c) => format!("\\{c}"),
            Expression::Star(inner) => format!("(?:{})*", self.expression(inner)),
            Expression::Both(one, other) => format!("{}{}", self.expression(one), self.expression(other)),
            Expression::Either(one, other) => format!("(?:{}|{})", self.expression(one), self.expression(other)),
        }
    }

    fn bound(&mut self, bound: &Bound) -> String {
        match bound {
            Bound::Number(text, _) | Bound::Millis(text, _) | Bound::Date(text, _) | Bound::Level(text, _) => {
                self.word(text, "", false)
            }
            // Quotes make a text of what reads as something else.
            Bound::Text(text) => {
                let is_more = known_texts().iter().any(|known| {
                    known.text == *text
                        && (known.number.is_some()
                            || known.millis.is_some()
                            || known.date.is_some()
                            || known.level.is_some())
                });
                if is_more || text.is_empty() || self.one_in(2) {
                    self.quoted(text)
                } else {
                    self.word(text, "", false)
                }
            }
        }
    }
}

/// The field has any value, however that is written.
fn is_exists(condition: &Condition) -> bool {
    matches!(condition, Condition::Exists | Condition::Range { low: None, high: None, .. })
}

fn check<S: Strategy>(cases: u32, inputs: S, property: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed().to_le_bytes());
    let random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(failure) = TestRunner::new_with_rng(config, random).run(&inputs, property) {
        panic!("seed {}: {failure}", seed());
    }
}

fn seed() -> u64 {
    std::env::var("SERIN_TEST_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_260_601)
}
