//! From text to tree: recursive descent, one character of look-ahead, every place remembered.

use std::ops::Range;

use regex::RegexBuilder;

use crate::query::error::ParseError;
use crate::query::matcher::{date_of, duration_of, folded, level_of, number_of, tokens};
use crate::query::tree::{Bound, Condition, Edge, Expression, Node, Pattern};
use crate::query::{EXISTS, MESSAGE};
use crate::time::Timestamp;

/// Longest query, in bytes.
pub(super) const LENGTH_MAX: usize = 8 * 1024;
/// Deepest nesting.
const DEPTH_MAX: usize = 64;
/// Most terms.
const TERMS_MAX: usize = 1_024;
/// Largest compiled regular expression, in bytes.
const REGEX_BYTES: usize = 1 << 20;

type Parsed<T> = Result<T, ParseError>;

/// Parses a whole query. `now`: microseconds since 1970 that `now` stands for, where it may be written.
pub(super) fn parse(text: &str, now: Option<i64>) -> Parsed<Node> {
    let mut parser = Parser { text, at: 0, depth: 0, terms: 0, now };
    if text.len() > LENGTH_MAX {
        return Err(parser.error(0..0, format!("a query is at most {LENGTH_MAX} bytes long"), None));
    }
    parser.space();
    if parser.rest().is_empty() {
        return Err(parser.error(0..0, "the query is empty", Some("`*` matches everything".to_owned())));
    }
    let node = parser.any_of(None)?;
    parser.space();
    match parser.peek() {
        None => Ok(node),
        Some(')') => Err(parser.error(parser.here(), "this parenthesis closes nothing", None)),
        Some(_) => Err(parser.error(parser.here(), "not expected here", None)),
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
    terms: usize,
    now: Option<i64>,
}

/// A word as written: characters, and whether each stood for itself.
struct Word {
    chars: Vec<(char, bool)>,
    span: Range<usize>,
}

impl Word {
    fn text(&self) -> String {
        self.chars.iter().map(|(c, _)| c).collect()
    }

    /// Holds escapes.
    fn is_escaped(&self) -> bool {
        self.chars.iter().any(|(_, bare)| !bare)
    }

    /// Holds wildcards that are not escaped.
    fn is_wild(&self) -> bool {
        self.chars.iter().any(|(c, bare)| *bare && matches!(c, '*' | '?'))
    }
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or("")
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    /// The place of the next character; empty at the end.
    fn here(&self) -> Range<usize> {
        self.at..self.at + self.peek().map_or(0, char::len_utf8)
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn eat(&mut self, text: &str) -> bool {
        let found = self.rest().starts_with(text);
        if found {
            self.at += text.len();
        }
        found
    }

    /// Eats a word in capitals that ends where it should.
    fn eat_keyword(&mut self, word: &str) -> bool {
        let after = self.rest().get(word.len()..).and_then(|rest| rest.chars().next());
        let ends = after.is_none_or(|c| c.is_whitespace() || matches!(c, '(' | ')' | '"'));
        ends && self.eat(word)
    }

    fn error(&self, at: Range<usize>, message: impl Into<String>, help: Option<String>) -> ParseError {
        ParseError { message: message.into(), at, help, query: self.text.to_owned() }
    }

    /// `a OR b OR c`. `field`: inside `field:( )`, terms are values of it.
    fn any_of(&mut self, field: Option<&str>) -> Parsed<Node> {
        let mut nodes = vec![self.all_of(field)?];
        loop {
            self.space();
            let from = self.at;
            if !(self.eat_keyword("OR") || self.eat("||")) {
                break;
            }
            self.operand_follows(from..self.at)?;
            nodes.push(self.all_of(field)?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Or(nodes) })
    }

    /// `a AND b c`.
    fn all_of(&mut self, field: Option<&str>) -> Parsed<Node> {
        let mut nodes = vec![self.one(field)?];
        loop {
            self.space();
            let from = self.at;
            if self.eat_keyword("AND") || self.eat("&&") {
                self.operand_follows(from..self.at)?;
            } else if self.rest().is_empty() || self.rest().starts_with(')') || self.at_or() {
                break;
            }
            nodes.push(self.one(field)?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::And(nodes) })
    }

    fn at_or(&self) -> bool {
        let mut ahead = Parser { text: self.text, at: self.at, depth: 0, terms: 0, now: None };
        ahead.eat_keyword("OR") || ahead.eat("||")
    }

    fn operand_follows(&mut self, operator: Range<usize>) -> Parsed<()> {
        self.space();
        if self.rest().is_empty() || self.rest().starts_with(')') {
            return Err(self.error(operator, "something must follow this operator", None));
        }
        Ok(())
    }

    fn one(&mut self, field: Option<&str>) -> Parsed<Node> {
        self.space();
        let from = self.at;
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(self.error(self.here(), format!("nested deeper than {DEPTH_MAX} levels"), None));
        }
        let node = self.one_inside(field, from);
        self.depth -= 1;
        node
    }

    fn one_inside(&mut self, field: Option<&str>, from: usize) -> Parsed<Node> {
        if self.eat_keyword("NOT") || self.eat("!") {
            self.operand_follows(from..self.at)?;
            return Ok(Node::Not(Box::new(self.one(field)?)));
        }
        for (operator, sign) in [("AND", "&&"), ("OR", "||")] {
            if self.eat_keyword(operator) || self.eat(sign) {
                let operator = self.text.get(from..self.at).unwrap_or(operator);
                return Err(self.error(from..self.at, format!("something must stand before {operator}"), None));
            }
        }
        match self.peek() {
            None => Err(self.error(from..from, "a term is missing here", None)),
            Some('-') if field.is_none() || !self.number_follows() => {
                self.at += 1;
                self.operand_follows(from..self.at)?;
                Ok(Node::Not(Box::new(self.one(field)?)))
            }
            Some('+') => {
                self.at += 1;
                self.operand_follows(from..self.at)?;
                self.one(field)
            }
            Some('(') => self.group(field),
            Some(')') => Err(self.error(from..from + 1, "a term is missing before this parenthesis", None)),
            Some(c @ ('&' | '|')) => Err(self.error(
                from..from + 1,
                format!("`{c}` alone is no operator"),
                Some(format!("write {c}{c}, or AND and OR")),
            )),
            Some(_) => {
                self.terms += 1;
                if self.terms > TERMS_MAX {
                    return Err(self.error(self.here(), format!("more than {TERMS_MAX} terms"), None));
                }
                match field {
                    Some(field) => self.value(field),
                    None => self.term(),
                }
            }
        }
    }

    fn number_follows(&self) -> bool {
        self.rest().chars().nth(1).is_some_and(|c| c.is_ascii_digit() || c == '.')
    }

    fn group(&mut self, field: Option<&str>) -> Parsed<Node> {
        let open = self.at;
        self.at += 1;
        let node = self.any_of(field)?;
        self.space();
        if self.eat(")") {
            Ok(node)
        } else if self.rest().is_empty() {
            Err(self.error(open..open + 1, "this parenthesis is never closed", None))
        } else {
            Err(self.error(self.here(), "not expected here", None))
        }
    }

    /// A word, a phrase, or a field with a condition.
    fn term(&mut self) -> Parsed<Node> {
        let from = self.at;
        if self.peek() == Some('"') {
            let (text, span) = self.quoted()?;
            return self.phrase(MESSAGE, &text, span);
        }
        let word = self.word(false)?;
        let name = word.text();
        let compared = ["<=", ">=", "<", ">", "="].iter().any(|op| self.rest().starts_with(op));
        if word.chars.is_empty() {
            let help = if self.peek() == Some(':') { Some("write field:value".to_owned()) } else { None };
            return Err(self.error(self.here(), "a field or a word is missing here", help));
        }
        if self.eat(":") {
            if name == EXISTS && !word.is_escaped() {
                let path = self.word(true)?;
                if path.chars.is_empty() {
                    return Err(self.error(from..self.at, "a field is missing after _exists_:", None));
                }
                return Ok(Node::Is(path.text(), Condition::Exists));
            }
            if self.rest().is_empty() || self.rest().starts_with(char::is_whitespace) {
                return Err(self.error(
                    from..self.at,
                    format!("a value is missing after `{name}:`"),
                    Some(format!("write {name}:value without a space, or {name}:* for any value")),
                ));
            }
            return if self.peek() == Some('(') { self.group(Some(&name)) } else { self.value(&name) };
        }
        if compared {
            return self.value(&name);
        }
        self.bare_word(&word)
    }

    fn bare_word(&mut self, word: &Word) -> Parsed<Node> {
        let text = word.text();
        if matches!(text.as_str(), "and" | "or" | "not") {
            let capitals = text.to_uppercase();
            return Err(self.error(
                word.span.clone(),
                format!("`{text}` in small letters"),
                Some(format!("write {capitals} in capitals, or quote the word: \"{text}\"")),
            ));
        }
        if text == "*" && word.is_wild() {
            return Ok(Node::All);
        }
        if word.is_wild() {
            let source = self.text.get(word.span.clone()).unwrap_or("").to_owned();
            let pattern: Vec<(char, bool)> =
                word.chars.iter().map(|(c, bare)| (c.to_ascii_lowercase(), *bare)).collect();
            return Err(self.error(
                word.span.clone(),
                "wildcards need a field",
                Some(format!("{MESSAGE}:*{}*", Pattern::new(source, &pattern).source.trim_matches('*'))),
            ));
        }
        self.phrase(MESSAGE, &text, word.span.clone())
    }

    fn phrase(&self, path: &str, text: &str, span: Range<usize>) -> Parsed<Node> {
        let list: Vec<String> = tokens(text).map(folded).collect();
        if list.is_empty() {
            return Err(self.error(span, "there is no word in this", None));
        }
        Ok(Node::Is(path.to_owned(), Condition::Phrase(list)))
    }

    /// What follows `field:` or a comparison sign.
    fn value(&mut self, field: &str) -> Parsed<Node> {
        let is = |condition| Ok(Node::Is(field.to_owned(), condition));
        match self.peek() {
            Some('"') => {
                let (text, span) = self.quoted()?;
                if field == MESSAGE { self.phrase(field, &text, span) } else { is(Condition::Equals(text)) }
            }
            Some('/') if self.is_expression()? => is(self.expression()?),
            Some('[' | '{') => is(self.range()?),
            Some('<' | '>' | '=') => is(self.comparison()?),
            _ => {
                let word = self.word(true)?;
                let text = word.text();
                if word.chars.is_empty() {
                    return Err(self.error(self.here(), format!("a value for `{field}` is missing here"), None));
                }
                if text == "*" && word.is_wild() {
                    return is(Condition::Exists);
                }
                if word.is_wild() {
                    let source = self.text.get(word.span.clone()).unwrap_or("");
                    // In the canonical text only expressions begin with a bare slash.
                    let source = if source.starts_with('/') { format!("\\{source}") } else { source.to_owned() };
                    return is(Condition::Wildcard(Pattern::new(source, &word.chars)));
                }
                if field == MESSAGE { self.phrase(field, &text, word.span) } else { is(Condition::Equals(text)) }
            }
        }
    }

    /// `/x/` is an expression; `/api/cart` and `/api/cart/` are paths: the next slash ends an expression, and then a space,
    /// `)` or nothing follows.
    ///
    /// A path may stand before terms that hold slashes, so an expression holds no bare space; where it seems to, the
    /// query is refused.
    fn is_expression(&self) -> Parsed<bool> {
        let rest = self.rest();
        let mut escaped = false;
        // Where the last word begins, once a space was met.
        let mut word = None;
        for (at, c) in rest.char_indices().skip(1) {
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '"' if word.is_some() => return Ok(false),
                '/' => {
                    // A slash where a value may begin: this is another term.
                    let begins =
                        |before: &str| before.is_empty() || before.ends_with([':', '(', '-', '+', '!', '&', '|']);
                    if word.and_then(|word| rest.get(word..at)).is_some_and(begins) {
                        return Ok(false);
                    }
                    let after = rest.get(at + 1..).and_then(|rest| rest.chars().next());
                    if at == 1 || after.is_some_and(|c| !c.is_whitespace() && c != ')') {
                        return Ok(false);
                    }
                    if word.is_none() {
                        return Ok(true);
                    }
                    return Err(self.error(
                        self.at..self.at + at + 1,
                        "a space in an expression, or a path before another term",
                        Some("write the space of an expression as `\\ `, and a path in quotes".to_owned()),
                    ));
                }
                c if c.is_whitespace() => word = Some(at + c.len_utf8()),
                _ => {}
            }
        }
        Ok(false)
    }

    fn expression(&mut self) -> Parsed<Condition> {
        let from = self.at;
        self.at += 1;
        let mut escaped = false;
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                '/' => break,
                _ => {}
            }
        }
        let source = self.text.get(from + 1..self.at - 1).unwrap_or("").to_owned();
        let compile = |text: &str| RegexBuilder::new(text).size_limit(REGEX_BYTES).build();
        // Alone first: `a)|(b` must not become one by what is put around it.
        let compiled = compile(&source).and_then(|_| compile(&format!("^(?:{source})$")));
        match compiled {
            Ok(compiled) => Ok(Condition::Matches(Expression { source, compiled })),
            Err(error) => {
                let why = error.to_string();
                let why = why.lines().last().unwrap_or("").trim_start_matches("error: ").to_owned();
                Err(self.error(from..self.at, format!("not a regular expression: {why}"), None))
            }
        }
    }

    fn comparison(&mut self) -> Parsed<Condition> {
        let from = self.at;
        for wrong in ["=>", "=<", "=="] {
            if self.eat(wrong) {
                let right = match wrong {
                    "=>" => ">=",
                    "=<" => "<=",
                    _ => ":",
                };
                return Err(self.error(
                    from..self.at,
                    format!("`{wrong}` is no operator"),
                    Some(format!("did you mean `{right}`?")),
                ));
            }
        }
        if self.eat("=") {
            return Err(self.error(from..self.at, "`=` is no operator", Some("write field:value".to_owned())));
        }
        let operator = ["<=", ">=", "<", ">"].into_iter().find(|op| self.eat(op)).unwrap_or(">");
        let signs = self.rest().find(|c| !matches!(c, '<' | '>' | '=')).unwrap_or(self.rest().len());
        if signs > 0 {
            self.at += signs;
            let wrong = self.text.get(from..self.at).unwrap_or("");
            return Err(self.error(from..self.at, format!("`{wrong}` is no operator"), None));
        }
        self.space();
        let bound = self.bound()?;
        Ok(match operator {
            "<=" => Condition::Between(Edge::Open, Edge::With(bound)),
            "<" => Condition::Between(Edge::Open, Edge::Without(bound)),
            ">=" => Condition::Between(Edge::With(bound), Edge::Open),
            _ => Condition::Between(Edge::Without(bound), Edge::Open),
        })
    }

    fn range(&mut self) -> Parsed<Condition> {
        let open = self.at;
        let with_low = self.eat("[");
        if !with_low {
            self.at += 1;
        }
        self.space();
        let low = self.range_bound()?;
        self.space();
        if !self.eat_keyword("TO") {
            return Err(self.error(self.here(), "TO is missing in this range", Some("write [400 TO 499]".to_owned())));
        }
        self.space();
        let high = self.range_bound()?;
        self.space();
        let with_high = self.eat("]");
        if !with_high && !self.eat("}") {
            return Err(self.error(
                open..open + 1,
                "this range is never closed",
                Some("write [400 TO 499]".to_owned()),
            ));
        }
        let edge = |bound: Option<Bound>, with: bool| match bound {
            None => Edge::Open,
            Some(bound) if with => Edge::With(bound),
            Some(bound) => Edge::Without(bound),
        };
        let (low, high) = (edge(low, with_low), edge(high, with_high));
        Ok(if low == Edge::Open && high == Edge::Open { Condition::Exists } else { Condition::Between(low, high) })
    }

    fn range_bound(&mut self) -> Parsed<Option<Bound>> {
        if self.rest().starts_with('*') {
            self.at += 1;
            return Ok(None);
        }
        self.bound().map(Some)
    }

    fn bound(&mut self) -> Parsed<Bound> {
        let from = self.at;
        if self.peek() == Some('"') {
            let (text, _) = self.quoted()?;
            return Ok(Bound::Text(text));
        }
        let word = self.word(true)?;
        let text = word.text();
        if word.chars.is_empty() {
            return Err(self.error(from..from, "a value is missing here", None));
        }
        if word.is_wild() {
            return Err(self.error(word.span, "a range ends at a value, not at wildcards", None));
        }
        if let Some(behind) = text.strip_prefix("now").filter(|_| !word.is_escaped()) {
            return self.relative(behind, word.span);
        }
        Ok(if let Some(number) = number_of(&text) {
            Bound::Number(number)
        } else if let Some(ms) = duration_of(&text) {
            Bound::Duration(ms)
        } else if let Some(micros) = date_of(&text) {
            Bound::Date(micros, text)
        } else if let Some(level) = level_of(&text) {
            Bound::Level(level, text)
        } else {
            Bound::Text(text)
        })
    }

    /// A time as it is counted from now: `now`, `now-15m`, `now+1h`.
    fn relative(&self, behind: &str, span: Range<usize>) -> Parsed<Bound> {
        let away = match (behind, behind.strip_prefix('-'), behind.strip_prefix('+')) {
            ("", _, _) => Some(0.0),
            (_, Some(length), _) => duration_of(length).map(|ms| -ms),
            (_, _, Some(length)) => duration_of(length),
            (_, None, None) => None,
        };
        let Some(away) = away else {
            return Err(self.error(span, "no time", Some("write now, now-15m or now-1h, or a quoted text".to_owned())));
        };
        let Some(now) = self.now else {
            let help = "write a date, or a quoted text".to_owned();
            return Err(self.error(span, "a time counted from now has no meaning here", Some(help)));
        };
        let micros = now.saturating_add((away * 1e3) as i64);
        Ok(Bound::Date(micros, Timestamp(micros).to_string()))
    }

    fn quoted(&mut self) -> Parsed<(String, Range<usize>)> {
        let open = self.at;
        self.at += 1;
        let mut text = String::new();
        while let Some(c) = self.peek() {
            self.at += c.len_utf8();
            match c {
                '"' => return Ok((text, open..self.at)),
                '\\' => {
                    if let Some(next) = self.peek() {
                        self.at += next.len_utf8();
                        text.push(next);
                    }
                }
                c => text.push(c),
            }
        }
        Err(self.error(open..open + 1, "this quote is never closed", None))
    }

    /// A run of characters up to space, a parenthesis or a quote. `value`: a colon or a comparison sign belongs to it.
    fn word(&mut self, value: bool) -> Parsed<Word> {
        let from = self.at;
        let mut chars = Vec::new();
        while let Some(c) = self.peek() {
            if c == '\\' {
                let Some(next) = self.rest().chars().nth(1) else {
                    return Err(self.error(self.at..self.at + 1, "nothing to escape here", None));
                };
                self.at += 1 + next.len_utf8();
                chars.push((next, false));
                continue;
            }
            let ends = c.is_whitespace()
                || matches!(c, '(' | ')' | '"' | ']' | '}')
                || (!value && matches!(c, ':' | '<' | '>' | '=' | '[' | '{'));
            if ends {
                break;
            }
            self.at += c.len_utf8();
            chars.push((c, true));
        }
        Ok(Word { chars, span: from..self.at })
    }
}
