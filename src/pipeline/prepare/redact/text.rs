//! What is taken out of texts: values behind the names of secrets, headers, elements of XML and options of a command line.

use std::borrow::Cow;

use regex::{Captures, Regex, RegexBuilder};

use super::names::{SECRET_NAMES, is_count, is_folder, is_ordinary, last_word};
use super::{REDACTED, Redaction, Way};

impl Redaction {
    /// A text without what is taken out; `None` where it stays.
    pub(super) fn text(&self, text: &str) -> Option<String> {
        if self.is_blind {
            return Some(REDACTED.to_owned());
        }
        let found = self.found_in(text);
        // By their names go values that do not look like what they are.
        let has = |part: &[u8]| memchr::memmem::find(text.as_bytes(), part).is_some();
        let found = match &self.in_text {
            Some(names) if has(b"</") || has(b"--") => {
                let now = found.as_deref().unwrap_or(text);
                match names.others.replace_all(now, |of: &Captures<'_>| {
                    let part = |name: &str| of.name(name).map_or("", |part| part.as_str());
                    format!("{}{}{REDACTED}{}", part("tag"), part("head"), part("close"))
                }) {
                    Cow::Owned(text) => Some(text),
                    Cow::Borrowed(_) => found,
                }
            }
            _ => found,
        };
        let has_pair = memchr::memchr2(b'=', b':', text.as_bytes()).is_some() || has(b"%3");
        let Some(names) = self.in_text.as_ref().filter(|_| has_pair) else { return found };
        let of_header = names.headers.as_ref().map(|headers| {
            let text = found.as_deref().unwrap_or(text);
            headers.replace_all(text, |of: &Captures<'_>| {
                format!("{}{REDACTED}", of.name("header").map_or("", |part| part.as_str()))
            })
        });
        let text_now = match &of_header {
            Some(Cow::Owned(text)) => text.as_str(),
            _ => found.as_deref().unwrap_or(text),
        };
        let named = names.pairs.replace_all(text_now, |of: &Captures<'_>| {
            let part = |name: &str| of.name(name).map_or("", |part| part.as_str());
            if let Some(value) = of.name("inside") {
                if is_ordinary(part("of")) && !self.is_named(part("of")) {
                    return of.get(0).map_or("", |whole| whole.as_str()).to_owned();
                }
                let way = self.way(part("of")).unwrap_or(Way::Removed);
                return format!("{}{}", part("before"), self.value(way, value.as_str()));
            }
            if is_ordinary(part("name")) && !self.is_named(part("name")) {
                return of.get(0).map_or("", |whole| whole.as_str()).to_owned();
            }
            let value = part("value");
            // In an address or a form, and of a connection, it is what the name says.
            let is_loose = !part("head").starts_with(['?', '&', ';']) && !self.is_named(part("name"));
            let is_short = || ["pass", "sig"].iter().any(|word| last_word(part("name")).1.eq_ignore_ascii_case(word));
            let is_hollow = value == "[]" || value == "{}";
            if is_hollow || is_loose && (is_folder(part("name"), value) || is_short() && is_count(part("name"), value))
            {
                return of.get(0).map_or("", |whole| whole.as_str()).to_owned();
            }
            let way = self.way(part("name")).unwrap_or(Way::Removed);
            // A name in quotes has a value in quotes, as JSON needs it.
            let quote = match part("q") {
                "" if value.starts_with('"') => "\"",
                "'" if !value.starts_with('\'') => "",
                quote => quote,
            };
            format!("{}{quote}{}{quote}", part("head"), self.value(way, value.trim_matches(['"', '\''])))
        });
        match named {
            Cow::Owned(named) if named != text => Some(named),
            _ if text_now != text => Some(text_now.to_owned()),
            _ => None,
        }
    }
}

/// Names of fields with their values in text.
#[derive(Debug)]
pub(super) struct InText {
    pairs: Regex,
    /// Headers whose whole rest is secret.
    headers: Option<Regex>,
    /// Elements of XML, and options of a command line.
    others: Regex,
}

/// What is found in text by its name; what was taken out already is no value.
///
/// # Errors
/// More names than an expression may have.
pub(super) fn in_text(fields: &[(String, Way)], secrets: bool) -> Result<Option<InText>, regex::Error> {
    let mut names: Vec<String> = fields.iter().map(|(name, _)| regex::escape(name)).collect();
    names.extend(secrets.then(|| SECRET_NAMES.to_owned()));
    if names.is_empty() {
        return Ok(None);
    }
    let names = names.join("|");
    // Objects in strings in strings have quotes with escapes before them; such a value ends at the next. A value may be a list, an object,
    // a text as Python (`b'..'`) and Rust (`Some("..")`) write it, or a word; Ruby writes `=>`.
    let pairs = format!(
        r#"(?P<before>(?:^|[^A-Za-z0-9_])(?P<of>(?:{names}))(?:\\*["'])?\s*(?:=>|[=:])\s*\\+")(?P<inside>(?:[^"\\]|\\+[^"\\])+)|(?P<head>(?:^|[^A-Za-z0-9_])(?P<name>(?:{names}))(?:\]|%5D)?(?P<q>\\*["']|%22)?\s*(?:=>|[=:]|%3D|%3A)\s*)(?P<value>\[[^\]]*\]?|\{{[^}}]*\}}?|(?:[A-Za-z]{{1,16}}\()?[bu]?"(?:[^"\\]|\\.)*"?\)?|(?:[A-Za-z]{{1,16}}\()?[bu]?'(?:[^'\\]|\\.)*'?\)?|[^\s,;&}}<"'\\][^\s,;&}}"'\\]*)"#
    );
    // Of a header the credentials go: a list of parameters, cookies, the one word of a scheme; of any other the whole rest.
    let headers = r#"(?P<header>(?:^|[^A-Za-z0-9_])(?:(?:set-)?cookie|(?:proxy-)?authorization)["']?\s*:\s*["']?(?:(?:basic|bearer|digest|negotiate|ntlm|token|apikey|aws4-hmac-sha256|oauth)\s+)?)(?:[A-Za-z0-9_.-]+=(?:"[^"\r\n]*"|[^\s",;]*)(?:[,;]\s*[A-Za-z0-9_.-]+(?:=(?:"[^"\r\n]*"|[^\s",;]*))?)*|[^"'\r\n<][^"'\r\n]*)"#;
    let build = |source: &str| RegexBuilder::new(source).case_insensitive(true).size_limit(16 << 20).build();
    let headers = secrets.then(|| build(headers)).transpose()?;
    // An element ends at the next; one that nothing ends is a word.
    let others = format!(
        r"(?P<tag><(?:[A-Za-z][A-Za-z0-9_-]*:)?(?:{names})(?:\s[^<>]*)?>)(?:[^<]+(?P<close></)|[^<\s-][^<\s]*)|(?P<head>(?:^|\s)--(?:{names})\s+)[^<\s-][^<\s]*"
    );
    Ok(Some(InText { pairs: build(&pairs)?, headers, others: build(&others)? }))
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
