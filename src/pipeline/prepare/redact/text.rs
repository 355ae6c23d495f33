//! What is taken out of texts: values behind the names of secrets, headers, elements of XML, options of a command line, SQL, what checks of
//! forms say, and objects that stand in a text.

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};

use super::names::{
    SECRET_NAMES, is_count, is_folder, is_like_secret, is_ordinary, is_short_sid, last_word, name_ends_with,
};
use super::{DEPTH_MAX, Edit, REDACTED, Redaction, Way, edits_of, escaped, spliced};

/// Bytes of a text that is read as an object or a list.
const JSON_MAX: usize = 256 << 10;

/// Places in a text where an object may begin that goes to its end.
const TAILS_MAX: usize = 3;

impl Redaction {
    /// A text without what is taken out; `None` where it stays.
    pub(super) fn text(&self, text: &str) -> Option<String> {
        self.text_at(text, 0)
    }

    /// The same of a text that stands so deep in objects.
    pub(super) fn text_at(&self, text: &str, depth: usize) -> Option<String> {
        if self.is_blind {
            return Some(REDACTED.to_owned());
        }
        if let Some(found) = self.of_json(text, depth) {
            return found;
        }
        let mut now = Cow::Borrowed(text);
        let then = |now: &mut Cow<'_, str>, next: Option<String>| {
            if let Some(next) = next {
                *now = Cow::Owned(next);
            }
        };
        then(&mut now, self.of_tail(text, depth));
        let next = self.found_in(&now);
        then(&mut now, next);
        if let Some(names) = &self.in_text {
            let next = self.named_in(&now, names);
            then(&mut now, next);
        }
        match now {
            Cow::Owned(now) if now != text => Some(now),
            _ => None,
        }
    }

    /// A text that is an object or a list of JSON; without what is taken out, if anything is. `None`: it is none, or too large.
    fn of_json(&self, text: &str, depth: usize) -> Option<Option<String>> {
        let inner = text.trim_ascii();
        let is_json = matches!(inner.as_bytes(), [b'{', .., b'}'] | [b'[', .., b']']);
        if !is_json || inner.len() > JSON_MAX || depth >= DEPTH_MAX {
            return None;
        }
        if inner.starts_with("{\\\"") || inner.starts_with("[{\\\"") {
            // It has the escapes of the text in which it stood.
            let once = serde_json::from_str::<String>(&format!("\"{inner}\"")).ok()?;
            return self.of_json(&once, depth + 1).map(|found| found.map(|found| escaped(&found)));
        }
        if inner.starts_with('{') {
            let edits = self.of_object_at(inner, depth + 1)?;
            return Some((!edits.is_empty()).then(|| spliced(inner, edits)));
        }
        let mut list: serde_json::Value = serde_json::from_str(inner).ok()?;
        Some(self.tree(&mut list, "", depth + 1).then(|| list.to_string()))
    }

    /// A text that ends with an object or a list (`not valid: [{"field": ..}]`), without what is taken out of that.
    fn of_tail(&self, text: &str, depth: usize) -> Option<String> {
        if !text.trim_ascii_end().ends_with(['}', ']']) || text.len() > JSON_MAX {
            return None;
        }
        let bytes = text.as_bytes();
        let begins = |at: &usize| match (bytes.get(*at), bytes.get(at + 1)) {
            (Some(b'{'), Some(b'"')) => true,
            (Some(b'['), Some(next)) => matches!(next, b'{' | b'[' | b'"'),
            _ => false,
        };
        let tails = memchr::memchr2_iter(b'{', b'[', bytes).filter(begins).take(TAILS_MAX);
        let found = tails.filter_map(|at| Some((at, self.of_json(text.get(at..)?, depth)?))).next();
        let (at, found) = found?;
        Some(format!("{}{}", text.get(..at)?, found?))
    }

    /// A text without the values of names in it; `None` where it stays. By their names go values that do not look like what they are.
    fn named_in(&self, text: &str, names: &InText) -> Option<String> {
        let has = |part: &[u8]| memchr::memmem::find(text.as_bytes(), part).is_some();
        let mut now = Cow::Borrowed(text);
        let pass =
            |now: &mut Cow<'_, str>, regex: &Regex, with: &dyn Fn(&str, &Captures<'_>, &mut Vec<Edit>) -> usize| {
                let edits = edits_of(now, regex, |of, edits| with(now, of, edits));
                if !edits.is_empty() {
                    *now = Cow::Owned(spliced(now, edits));
                }
            };
        if has(b"</") || has(b"--") {
            pass(&mut now, &names.others, &|_, of, edits| {
                let whole = of.get(0).map_or(0..0, |whole| whole.range());
                // What was taken out before is written as such an element, and nothing ends it.
                if of.name("tag").is_some_and(|tag| tag.as_str() == "<token>") && of.name("close").is_none() {
                    return of.name("tag").map_or(whole.end, |tag| tag.end());
                }
                let before = ["tag", "entry", "head"].iter().find_map(|name| of.name(name));
                let until =
                    ["close", "closed"].iter().find_map(|name| of.name(name)).map_or(whole.end, |end| end.start());
                edits.push((before.map_or(whole.start, |before| before.end()), until, REDACTED.to_owned()));
                whole.end
            });
        }
        if let Some(spoken) = &names.spoken {
            if memchr::memchr3(b'\'', b'"', b'`', text.as_bytes()).is_some() || has(b"value") || has(b"Key (") {
                pass(&mut now, &spoken.phrases, &|_, of, edits| self.of_phrase(of, edits));
            }
            if has(b"VALUES") || has(b"values") {
                pass(&mut now, &spoken.inserts, &|text, of, edits| self.of_insert(text, of, edits));
            }
            if has(b"input") {
                let mut from = 0;
                let edits = edits_of(&now, &spoken.inputs, |of, edits| {
                    let whole = of.get(0).map_or(0..0, |whole| whole.range());
                    let before = now.get(from..whole.start).unwrap_or_default();
                    let way = self.way_of_check(before);
                    if let Some((way, value)) = way.zip(of.name("value")).filter(|(_, value)| !is_ours(value.as_str()))
                    {
                        edits.push((value.start(), value.end(), self.value(way, value.as_str())));
                    }
                    from = whole.end;
                    whole.end
                });
                if !edits.is_empty() {
                    now = Cow::Owned(spliced(&now, edits));
                }
            }
        }
        if memchr::memchr2(b'=', b':', text.as_bytes()).is_some() || has(b"%3") {
            if let Some(spoken) = &names.spoken {
                pass(&mut now, &spoken.headers, &|_, of, edits| {
                    let whole = of.get(0).map_or(0..0, |whole| whole.range());
                    let head = of.name("header").or(of.name("cookies")).map_or(whole.start, |head| head.end());
                    edits.push((head, whole.end, REDACTED.to_owned()));
                    whole.end
                });
            }
            pass(&mut now, &names.pairs, &|text, of, edits| self.of_pair(text, of, edits));
        }
        match now {
            Cow::Owned(now) if now != text => Some(now),
            _ => None,
        }
    }

    /// What is taken out of a name and its value in a text, and where the search goes on.
    fn of_pair(&self, text: &str, of: &Captures<'_>, edits: &mut Vec<Edit>) -> usize {
        let part = |name: &str| of.name(name).map_or("", |part| part.as_str());
        let end = of.get(0).map_or(text.len(), |whole| whole.end());
        if let Some(value) = of.name("inside") {
            let name = part("of");
            if !(is_ordinary(name) || is_short_sid(name, value.as_str()) || is_ours(value.as_str()))
                || self.is_named(name)
            {
                let way = self.way(name).unwrap_or(Way::Removed);
                edits.push((value.start(), value.end(), self.value(way, value.as_str())));
            }
            return end;
        }
        let Some(found) = of.name("value") else { return end };
        let (name, value) = (part("name"), found.as_str());
        let bare = value.trim_matches(['"', '\'']);
        if (is_ordinary(name) || is_short_sid(name, bare)) && !self.is_named(name) {
            return end;
        }
        // In SQL such quotes have names in them, and in prose what is explained behind a colon.
        if part("q") == "`" && part("head").trim_ascii_end().ends_with(':') && !self.is_named(name) {
            return end;
        }
        // In an address or a form, and of a connection, it is what the name says.
        let is_loose = !part("head").starts_with(['?', '&', ';']) && !self.is_named(name);
        let is_short = || ["pass", "sig"].iter().any(|word| last_word(name).1.eq_ignore_ascii_case(word));
        let is_hollow = value == "[]" || value == "{}" || is_ours(value) || is_placeholder(value);
        if is_hollow || is_loose && (is_folder(name, value) || is_short() && is_count(name, value)) {
            return end;
        }
        let way = self.way(name).unwrap_or(Way::Removed);
        if let Some(rejected) = of.name("rejected") {
            // What Spring says of a field.
            if !matches!(rejected.as_str(), "" | "null" | REDACTED) {
                edits.push((rejected.start(), rejected.end(), self.value(way, rejected.as_str())));
            }
            return end;
        }
        // A name in quotes has a value in quotes, as JSON needs it.
        let quote = match part("q") {
            "" if value.starts_with('"') => "\"",
            "'" if !value.starts_with('\'') => "",
            "`" => "",
            quote => quote,
        };
        let is_word = !value.starts_with(['"', '\'', '[', '{', '<']);
        let more = if is_word && is_of_words(name) { goes_on(text, end) } else { 0 };
        edits.push((found.start(), end + more, format!("{quote}{}{quote}", self.value(way, bare))));
        end + more
    }

    /// The same of what says no pair: SQL, what a database says of a key, an element of a configuration.
    fn of_phrase(&self, of: &Captures<'_>, edits: &mut Vec<Edit>) -> usize {
        let part = |name: &str| of.name(name).map_or("", |part| part.as_str());
        let whole = of.get(0).map_or(0..0, |whole| whole.range());
        let way = |name: &str, value: &str| {
            let way = Some(self.way(name).unwrap_or(Way::Removed));
            way.filter(|_| {
                !is_ordinary(name) && !is_short_sid(name, value) && !is_count(name, value) && !is_ours(value)
            })
        };
        let bare = |value: &str| value.trim_matches(['"', '\'', '(', ')', ' ']).to_owned();
        if let Some(value) = of.name("like_value").or(of.name("beside_value")).or(of.name("set_value")) {
            let name = [part("like_name"), part("beside_name")].concat();
            if let Some(way) = way(&name, &bare(value.as_str())) {
                edits.push((value.start(), value.end(), self.value(way, &bare(value.as_str()))));
            }
        } else if let Some(value) = of.name("told") {
            // SQL has its words in capitals; in prose a text in quotes is one where it is a word and looks like none of a sentence.
            let inner = bare(value.as_str());
            let is_sql = part("word") == "PASSWORD";
            let is_prose = inner.contains(' ') || inner.bytes().all(|byte| byte.is_ascii_lowercase());
            if !inner.is_empty() && !is_ours(&inner) && (is_sql || !is_prose) {
                edits.push((value.start(), value.end(), self.value(Way::Removed, &inner)));
            }
        } else if let Some(value) = of.name("tuple_value") {
            let way = self.way_of_header(part("tuple_name"), value.as_str());
            if let Some(way) = way.filter(|_| is_like_secret(value.as_str())) {
                edits.push((value.start(), value.end(), self.value(way, value.as_str())));
            }
        } else if let Some(value) = of.name("entry_value") {
            let key = part("entry_key");
            let of_column = || INDEX_ENDS.iter().find_map(|end| self.way(key.strip_suffix(end)?));
            if let Some(way) = self.way(key).or_else(of_column).filter(|_| !is_ours(value.as_str())) {
                edits.push((value.start(), value.end(), self.value(way, value.as_str())));
            }
        } else if let Some(entries) = of.name("entries") {
            let columns: Vec<Option<Way>> = part("columns").split(',').map(|name| self.way(bare_name(name))).collect();
            let values: Vec<&str> = entries.as_str().split(", ").collect();
            // Where commas are in the values, nobody knows which is whose.
            if values.len() != columns.len() {
                if let Some(way) = columns.into_iter().flatten().next() {
                    edits.push((entries.start(), entries.end(), self.value(way, entries.as_str())));
                }
                return whole.end;
            }
            let mut at = entries.start();
            for (way, value) in columns.into_iter().zip(values) {
                if let Some(way) = way.filter(|_| !is_ours(value)) {
                    edits.push((at, at + value.len(), self.value(way, value)));
                }
                at += value.len() + ", ".len();
            }
        }
        whole.end
    }

    /// The same of rows of SQL, by the names of their columns: `(name, password) VALUES ('ann', 'x'), (..)`.
    fn of_insert(&self, text: &str, of: &Captures<'_>, edits: &mut Vec<Edit>) -> usize {
        let end = of.get(0).map_or(text.len(), |whole| whole.end());
        let columns = of.name("columns").map_or("", |columns| columns.as_str());
        let columns: Vec<Option<Way>> = columns.split(',').map(|name| self.way(bare_name(name))).collect();
        if columns.iter().all(Option::is_none) {
            return end;
        }
        // Behind the bracket of a row.
        let mut row = Row { text, at: end };
        loop {
            let mut columns = columns.iter();
            loop {
                let value = row.value();
                let way = columns.next().copied().flatten();
                let given = text.get(value.clone()).unwrap_or_default();
                let is_text =
                    given.starts_with(['\'', '"']) || given.get(1..).is_some_and(|rest| rest.starts_with('\''));
                if let Some(way) = way.filter(|_| is_text && !is_ours(given)) {
                    edits.push((value.start, value.end, self.value(way, given.trim_matches(['\'', '"']))));
                }
                if !row.goes_on() {
                    break;
                }
            }
            if !row.has_next() {
                return row.at.max(end);
            }
        }
    }

    /// What becomes of what a check was given (`'input': 'x'`, `input_value='x'` of pydantic), by what stands before it: the place of it in
    /// brackets, or the line before what is said of it.
    fn way_of_check(&self, before: &str) -> Option<Way> {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
        let last = |text: &str| {
            let name = text.trim_end_matches(|c| !is_of_name(c)).rsplit(|c| !is_of_name(c)).next();
            name.filter(|name| !name.is_empty()).and_then(|name| self.way(name))
        };
        if let Some(at) = memchr::memmem::rfind(before.as_bytes(), b"loc") {
            let place = before.get(at + "loc".len()..)?;
            return last(place.get(..place.find([')', ']'])?)?);
        }
        let mut lines = before.rsplit(['\n', '\x0b', '\r']).skip(1);
        match lines.next() {
            Some(line) => last(line),
            // The lines were joined.
            None => before.split(|c| !is_of_name(c)).filter(|word| !word.is_empty()).find_map(|word| self.way(word)),
        }
    }
}

/// The values of a row of SQL, one after the other. Each byte is looked at once.
struct Row<'a> {
    text: &'a str,
    at: usize,
}

impl Row<'_> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while self.byte().is_some_and(|byte| byte.is_ascii_whitespace()) {
            self.at += 1;
        }
    }

    /// Where the next value stands; behind it are a comma or the end of the row.
    fn value(&mut self) -> std::ops::Range<usize> {
        self.skip_blanks();
        let from = self.at;
        let (mut quote, mut open) = (None, 0);
        while let Some(byte) = self.byte() {
            match (quote, byte) {
                (Some(_), b'\\') => self.at += 1,
                (Some(known), _) if byte == known => quote = None,
                (Some(_), _) => {}
                (None, b'\'' | b'"') => quote = Some(byte),
                (None, b'(') => open += 1,
                (None, b')') if open > 0 => open -= 1,
                (None, b',') if open == 0 => break,
                (None, b')') => break,
                _ => {}
            }
            self.at += 1;
        }
        self.at = self.at.min(self.text.len());
        let value = self.text.get(from..self.at).unwrap_or_default();
        from..from + value.trim_ascii_end().len()
    }

    /// Another value follows in the row.
    fn goes_on(&mut self) -> bool {
        let is_comma = self.byte() == Some(b',');
        self.at += usize::from(self.byte().is_some());
        is_comma
    }

    /// Another row follows.
    fn has_next(&mut self) -> bool {
        let ended = self.at;
        self.skip_blanks();
        if self.byte() == Some(b',') {
            self.at += 1;
            self.skip_blanks();
            if self.byte() == Some(b'(') {
                self.at += 1;
                return true;
            }
        }
        self.at = ended;
        false
    }
}

/// How the names of indexes end that are made of a column's name.
const INDEX_ENDS: [&str; 6] = ["_UNIQUE", "_unique", "_uniq", "_idx", "_key", "_index"];

/// The name of a column without its quotes, its type and what is made of it: `lower(token::text)`.
fn bare_name(name: &str) -> &str {
    let name = name.rsplit('(').next().unwrap_or(name);
    let name = name.split([')', ':']).next().unwrap_or(name);
    name.trim_matches(|c: char| c.is_ascii_whitespace() || "\"'`[]".contains(c))
}

/// What stands there was taken out before.
fn is_ours(value: &str) -> bool {
    let bare = value.trim_matches(['"', '\'']);
    let marks = ["<redacted", "<hash:", "<token", "<card", "<email:"];
    bare.ends_with('>') && marks.iter().any(|mark| bare.starts_with(mark)) && bare.matches('<').count() == 1
}

/// A word in angle brackets says what is meant, not what it is: `<empty>`, `<not set>`. With a figure in it, it is a value.
fn is_placeholder(value: &str) -> bool {
    value.starts_with('<') && !value.bytes().any(|byte| byte.is_ascii_digit())
}

/// A secret under this name is one that people think of: it may have commas in it.
fn is_of_words(name: &str) -> bool {
    ["password", "passwd", "pwd", "passphrase", "secret", "pass"].iter().any(|end| name_ends_with(name, end))
}

/// Bytes of a password that go on behind a comma or a semicolon (`password=p@ss,word`), which ends at the next pair.
fn goes_on(text: &str, from: usize) -> usize {
    let mut at = from;
    loop {
        let rest = text.get(at..).unwrap_or_default();
        let Some(part) = rest.strip_prefix([',', ';']) else { break };
        let is_end = |c: char| c.is_whitespace() || ",;=:\"'`<>(){}[]&\\".contains(c);
        let until = part.find(is_end).unwrap_or(part.len());
        let is_pair = part.get(until..).is_some_and(|rest| rest.starts_with(['=', ':', '"', '\'', '(', '[', '{']));
        if until == 0 || is_pair {
            break;
        }
        at += 1 + until;
    }
    at - from
}

/// Names of fields with their values in text.
#[derive(Debug)]
pub(super) struct InText {
    pairs: Regex,
    /// Elements of XML, and options of a command line.
    others: Regex,
    spoken: Option<Spoken>,
}

/// What is looked for where secrets are, whatever fields are named.
#[derive(Debug)]
struct Spoken {
    /// Headers whose whole rest is secret.
    headers: Regex,
    phrases: Regex,
    /// Rows of SQL with the names of their columns.
    inserts: Regex,
    /// What checks were given.
    inputs: Regex,
}

/// What is found in text by its name; what was taken out already is no value.
///
/// # Errors
/// More names than an expression may have.
pub(super) fn in_text(fields: &[(String, Way)], secrets: bool) -> Result<Option<InText>, regex::Error> {
    // Letters of ASCII alone have no others in other cases, which is cheaper to look for.
    let mut names: Vec<String> = fields.iter().map(|(name, _)| format!("(?i:{})", regex::escape(name))).collect();
    names.extend(secrets.then(|| format!("(?i-u:{SECRET_NAMES})")));
    if names.is_empty() {
        return Ok(None);
    }
    let names = names.join("|");
    // Objects in strings in strings have quotes with escapes before them; such a value ends at the next. A value may be a list, an object,
    // a text as Python (`b'..'`), Rust (`Some("..")`) and PHP write it, or a word; Ruby writes `=>`, Go `:=`, and YAML a type before it.
    let pairs = format!(
        r#"(?P<before>(?:^|[^A-Za-z0-9_])(?P<of>(?:{names}))(?:\\*["'])?\s*(?:=>|[=:])\s*\\+")(?P<inside>(?:[^"\\]|\\+[^"\\])+)|(?P<head>(?:^|[^A-Za-z0-9_])(?P<name>(?:{names}))(?:\[\]|%5[Bb]%5[Dd]|\]|%5[Dd])?(?P<q>\\*["'`]|%22)?\]?\s*(?:=>|[:!=]?=|<>|:|%3[Dd]|%3[Aa])\s*(?:!!?[A-Za-z]+\s+)?)(?P<value>(?i-u:rejected value) \[(?P<rejected>(?:[^\]]|\][^;,\s\]])*)\]?|\[[^\]]*\]?|\{{[^}}]*\}}?|(?:string\([0-9]+\)\s*|[A-Za-z]{{1,16}}\()?[bu]?"(?:[^"\\]|\\.)*"?\)?|(?:[A-Za-z]{{1,16}}\()?[bu]?'(?:[^'\\]|\\.)*'?\)?|<[^\s<>"']+>|[^\s,;&}}<"'\\][^\s,;&}}"'\\]*)"#
    );
    let build = |source: &str| RegexBuilder::new(source).size_limit(16 << 20).build();
    // An element ends at the next; one that nothing ends is a word.
    let others = format!(
        r#"(?P<tag><(?:[A-Za-z][A-Za-z0-9_-]*:)?(?:{names})(?:\s[^<>]*)?>)(?:[^<]+(?P<close></)|[^<\s-][^<\s]*)|(?P<entry><[A-Za-z][A-Za-z0-9_:-]*\s(?:[^<>]*\s)?(?i-u:key|name)\s*=\s*["'](?:[A-Za-z0-9_-]+\.)*(?:{names})["'][^<>]*>)[^<]+(?P<closed></)|(?P<head>(?:^|\s)--(?:{names})\s+)(?:'[^'\r\n]*'|"[^"\r\n]*"|[^<\s-][^<\s]*)"#
    );
    let spoken = secrets.then(|| Spoken::new(&build)).transpose()?;
    Ok(Some(InText { pairs: build(&pairs)?, others: build(&others)?, spoken }))
}

impl Spoken {
    fn new(build: &dyn Fn(&str) -> Result<Regex, regex::Error>) -> Result<Spoken, regex::Error> {
        let names = format!("(?i-u:{SECRET_NAMES})");
        // Of a header the credentials go: a list of parameters, cookies, the one word of a scheme; of any other the whole rest.
        let list =
            r#"[A-Za-z0-9_.-]+=(?:"[^"\r\n]*"|[^\s",;]*)(?:[,;]\s*[A-Za-z0-9_.-]+(?:=(?:"[^"\r\n]*"|[^\s",;]*))?)*"#;
        let headers = format!(
            r#"(?P<header>(?:^|[^A-Za-z0-9_])(?i-u:(?:set-)?cookie|(?:proxy-)?authorization)["']?\s*:\s*["']?(?:(?i-u:basic|bearer|digest|negotiate|ntlm|token|apikey|aws4-hmac-sha256|oauth)\s+)?)(?:{list}|[^"'\r\n<][^"'\r\n]*)|(?P<cookies>(?:^|[^A-Za-z0-9_])(?i-u:cookies)["']?\s*[:=]\s*["']?){list}"#
        );
        // Values that SQL compares with, the password of a role, what a database says of keys that are there already, names and values side
        // by side in configurations, and as pairs of Python. Each reaches to the next quote or bracket.
        let phrases = format!(
            r#"(?:^|[^A-Za-z0-9_])(?P<like_name>{names})["'`\]]?\s+(?:(?i-u:not)\s+)?(?:(?i-u:i?like|eq)\s+|(?i-u:in)\s*\(\s*)(?P<like_value>'[^']*'?(?:\s*,\s*'[^']*'?)*)|(?:^|[^A-Za-z0-9_])(?i-u:set\s+password\s+for\s+)[^\s=]+\s*=\s*(?:(?i-u:password)\s*\(\s*)?(?P<set_value>'[^'\r\n]*'?)|(?:^|[^A-Za-z0-9_"'`])(?P<word>(?i-u:password|passwd|passphrase))\s+(?P<told>'[^'\r\n]*'?|"[^"\r\n]*"?)|Key \((?P<columns>[^()=\r\n]*(?:\([^()\r\n]*\)[^()=\r\n]*)*)\)=\((?P<entries>[^()\r\n]*(?:\([^()\r\n]*\)[^()\r\n]*)*)|Duplicate entry '(?P<entry_value>[^'\r\n]*)' for key '(?P<entry_key>[^'\r\n]*)'|(?:^|[^A-Za-z0-9_])(?i-u:key|name)\s*[=:]\s*["']?(?:[A-Za-z0-9_-]+\.)*(?P<beside_name>{names})["']?,?\s+(?i-u:value)\s*[=:]\s*(?P<beside_value>"[^"]*"?|'[^']*'?|[^\s"'<>,;&}}]+)|["'](?P<tuple_name>{names})["'],\s*b?["'](?P<tuple_value>[^"'\r\n]+)"#
        );
        let inserts = r"\((?P<columns>[^()]*)\)\s*(?i-u:values?)\s*\(";
        let inputs = r#"(?-u:\b)input(?:_value)?["']?\s*[=:]\s*(?P<value>'(?:[^'\\]|\\.)*'?|"(?:[^"\\]|\\.)*"?|[^\s,(){}\["'\]<]+)"#;
        Ok(Spoken {
            headers: build(&headers)?,
            phrases: build(&phrases)?,
            inserts: build(inserts)?,
            inputs: build(inputs)?,
        })
    }
}

/// Where behind each name of texts its value stands: behind `=` or `:`, up to a blank, a separator or a quote.
pub(super) struct Pairs<'a> {
    /// What stands behind each name: the first few times.
    at: hashbrown::HashMap<&'a str, Vec<&'a str>, foldhash::fast::FixedState>,
}

/// Values of one name that are looked at.
const SAME_NAME_MAX: usize = 64;

impl<'a> Pairs<'a> {
    pub(super) fn of(texts: &[&'a str]) -> Pairs<'a> {
        let is_of_name = |c: char| c.is_alphanumeric() || "_-.@$/".contains(c);
        let mut pairs = Pairs { at: hashbrown::HashMap::default() };
        for text in texts {
            for (sign, _) in text.match_indices(['=', ':']) {
                let before = text.get(..sign).unwrap_or_default().trim_end_matches(['"', '\'']);
                let from = before.char_indices().rev().take_while(|(_, c)| is_of_name(*c)).last().map(|(at, _)| at);
                let Some(name) = from.and_then(|from| before.get(from..)) else { continue };
                let behind = text.get(sign + 1..).unwrap_or_default();
                let known = pairs.at.entry(name).or_default();
                if known.len() < SAME_NAME_MAX {
                    known.push(behind.trim_start_matches([' ', '"', '\'']));
                }
            }
        }
        pairs
    }

    pub(super) fn has_name(&self, name: &str) -> bool {
        self.at.contains_key(name)
    }

    pub(super) fn has(&self, name: &str, value: &str) -> bool {
        let is_end = |c: char| c.is_whitespace() || ",;&\"')}]".contains(c);
        self.at
            .get(name)
            .into_iter()
            .flatten()
            .any(|behind| behind.strip_prefix(value).is_some_and(|rest| rest.chars().next().is_none_or(is_end)))
    }
}
