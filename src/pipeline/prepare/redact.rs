//! What is taken out of lines: named fields, and what looks like an e-mail address, a card's number or a secret, wherever it stands.
//!
//! Taken out is taken out for everything behind: counts, templates, search, rejects. An address becomes a keyed hash of it, so that
//! users who are told by theirs stay as many as they are.

mod find;
mod names;
mod text;
mod tree;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use regex::{Captures, Regex};
use sha2::{Digest, Sha256};

use crate::pipeline::access;
use crate::pipeline::decode::is_crash;
use crate::pipeline::shape;
use crate::pipeline::shape::table::Table;

use find::{Finder, told_by_words};
use names::{is_secret_name, is_session_name};
use text::{InText, in_text};

/// What stands where something was taken out.
pub const REDACTED: &str = "<redacted>";

/// Objects in objects that are looked into; what lies deeper is taken out as a whole.
const DEPTH_MAX: usize = 32;

/// What looks like something that must not be kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Looks {
    /// An e-mail address; becomes `<email:HASH>`.
    Email,
    /// The number of a payment card: 13 to 19 digits of a known issuer, whose check digit is right; becomes `<card>`.
    Card,
    /// A password, key or token, by its form or by the name before it; becomes `<token>`.
    Token,
}

impl Looks {
    /// All.
    pub const ALL: [Looks; 3] = [Looks::Email, Looks::Card, Looks::Token];

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Looks::Email => "email",
            Looks::Card => "card",
            Looks::Token => "token",
        }
    }

    /// What a word names.
    pub fn from_name(name: &str) -> Option<Looks> {
        Looks::ALL.into_iter().find(|looks| looks.name() == name)
    }
}

/// What is taken out. A field is named by its path or by the end of it (`password` is also that of `user.password`), in any case.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Redact {
    /// Fields whose value becomes [`REDACTED`].
    pub fields: BTreeSet<String>,
    /// Fields whose value becomes a keyed hash: equal values stay equal.
    pub hashed: BTreeSet<String>,
    /// What is found by how it looks.
    pub looks: BTreeSet<Looks>,
}

impl Redact {
    /// Nothing is taken out.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty() && self.hashed.is_empty() && self.looks.is_empty()
    }

    /// The value of a field is taken out, and nothing is left of it by which two are told apart.
    pub fn removes(&self, path: &str) -> bool {
        let is = |names: &BTreeSet<String>| names.iter().any(|name| is_end_of(path, name));
        is(&self.fields) && !is(&self.hashed)
    }

    /// What either takes out.
    pub fn and(&self, other: &Redact) -> Redact {
        Redact {
            fields: &self.fields | &other.fields,
            hashed: &self.hashed | &other.hashed,
            looks: &self.looks | &other.looks,
        }
    }
}

/// What hashes are keyed with. Without a key anybody who guesses a value can check the guess.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Key {
    secret: Vec<u8>,
    /// By what it is told from another; empty where there is none.
    fingerprint: String,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({})", self.fingerprint)
    }
}

impl Key {
    /// A key of secret bytes.
    pub fn new(secret: &[u8]) -> Key {
        let key = Key { secret: secret.to_vec(), fingerprint: String::new() };
        let fingerprint = if secret.is_empty() { String::new() } else { hex(&key.hash(b"serin redaction key")) };
        Key { fingerprint, ..key }
    }

    /// A key of which no more is known than by what it is told from another.
    pub(super) fn told_by(fingerprint: &str) -> Key {
        Key { secret: Vec::new(), fingerprint: fingerprint.to_owned() }
    }

    /// There is none.
    pub fn is_none(&self) -> bool {
        self.fingerprint.is_empty()
    }

    /// By what a key is told from another, without telling it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }

    /// HMAC-SHA-256 (RFC 2104), cut to 64 bits.
    fn hash(&self, text: &[u8]) -> [u8; 8] {
        let mut block = [0u8; 64];
        let is_long = self.secret.len() > block.len();
        let short = if is_long { Sha256::digest(&self.secret).to_vec() } else { self.secret.clone() };
        block.iter_mut().zip(&short).for_each(|(to, from)| *to = *from);
        let pad = |with: u8| block.map(|byte| byte ^ with);
        let inner = Sha256::new().chain_update(pad(0x36)).chain_update(text).finalize();
        let outer = Sha256::new().chain_update(pad(0x5c)).chain_update(inner).finalize();
        let mut cut = [0u8; 8];
        cut.iter_mut().zip(outer.iter()).for_each(|(to, from)| *to = *from);
        cut
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A field is named by its path or by the end of it, in any case.
fn is_end_of(path: &str, name: &str) -> bool {
    let Some(at) = path.len().checked_sub(name.len()) else { return false };
    let same = path.get(at..).is_some_and(|end| end.eq_ignore_ascii_case(name));
    same && (at == 0 || path.as_bytes().get(at - 1) == Some(&b'.'))
}

/// What becomes of a field's value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Removed,
    Hashed,
}

/// Takes out what [`Redact`] says.
#[derive(Debug)]
pub struct Redaction {
    /// Names in lower case.
    fields: Vec<(String, Way)>,
    /// Fields that hold a secret by their name are taken out too.
    secrets: bool,
    /// `name=value` and `"name": "value"` in text, where fields are named.
    in_text: Option<InText>,
    /// What is to be found in text could not be put into an expression (so many names are asked for): no text is kept.
    is_blind: bool,
    finder: Finder,
    key: Key,
}

/// A piece of a line and what comes in its place.
type Edit = (usize, usize, String);

impl Redaction {
    /// By what is asked.
    pub fn new(redact: &Redact, key: &Key) -> Redaction {
        let lower = |name: &String| name.to_ascii_lowercase();
        let hashed = redact.hashed.iter().map(|name| (lower(name), Way::Hashed));
        let removed = redact.fields.iter().map(|name| (lower(name), Way::Removed));
        let fields: Vec<(String, Way)> = hashed.chain(removed).collect();
        let secrets = redact.looks.contains(&Looks::Token);
        let finder = Finder::new(&redact.looks);
        let (in_text, is_blind) = match in_text(&fields, secrets) {
            Ok(in_text) => (in_text, finder.is_blind()),
            Err(_) => (None, true),
        };
        Redaction { in_text, is_blind, fields, secrets, finder, key: key.clone() }
    }

    /// A line, which may be of a table, without what is taken out.
    pub fn line<'a>(&self, line: Cow<'a, str>, tables: &[Table]) -> Cow<'a, str> {
        // What is wrapped is taken apart first: fields are told by their names in the line itself.
        let shaped = match shape::of(&line, tables) {
            Cow::Owned(shaped) => Some(shaped),
            Cow::Borrowed(_) => None,
        };
        let line = shaped.map_or(line, Cow::Owned);
        let edits =
            if line.trim_ascii_start().starts_with('{') { self.of_object(&line) } else { self.of_access(&line) };
        let edited = match edits {
            Some(edits) if edits.is_empty() => return line,
            Some(edits) => spliced(&line, edits),
            // Which part of it is a field that is named, nobody knows.
            None if !self.fields.is_empty() && !line.trim_ascii_start().starts_with('{') && !is_told(&line) => {
                REDACTED.to_owned()
            }
            None => match self.text(&line) {
                Some(text) => text,
                None => return line,
            },
        };
        Cow::Owned(edited)
    }

    /// Edits of an access log's line; `None` where it is none, or where something is to be taken out of the text itself.
    fn of_access(&self, line: &str) -> Option<Vec<Edit>> {
        let parsed = access::parse_access(line)?;
        let parts = [
            ("client", Some(parsed.client)),
            ("user", parsed.user),
            ("path", parsed.path),
            ("referer", parsed.referer),
            ("agent", parsed.agent),
            ("host", parsed.vhost),
            ("forwarded_for", parsed.forwarded_for),
        ];
        let mut edits = Vec::new();
        for (name, part) in parts {
            let Some(part) = part else { continue };
            match self.way(name) {
                Some(way) => edits.push(edit(line, part, self.value(way, part))),
                None => {
                    if let Some(found) = self.text(part) {
                        edits.push(edit(line, part, found.replace([' ', '"'], "_")));
                    }
                }
            }
        }
        if let Some(found) = self.text(parsed.rest) {
            let overlaps = parsed.forwarded_for.is_some() && self.way("forwarded_for").is_some();
            if !overlaps {
                edits.retain(|(_, until, _)| *until <= line.len() - parsed.rest.len());
                edits.push(edit(line, parsed.rest, found));
            }
        }
        Some(edits)
    }

    /// A field is named by the user.
    fn is_named(&self, path: &str) -> bool {
        self.fields.iter().any(|(name, _)| is_end_of(path, name))
    }

    /// What becomes of a field.
    fn way(&self, path: &str) -> Option<Way> {
        let named = self.fields.iter().find(|(name, _)| is_end_of(path, name)).map(|(_, way)| *way);
        // Sessions stay as many as they are: they may be what is assigned to an arm.
        let of_name = || if is_session_name(path) { Way::Hashed } else { Way::Removed };
        named.or_else(|| (self.secrets && is_secret_name(path)).then(of_name))
    }

    /// What stands in place of a value; nothing in it needs an escape.
    fn value(&self, way: Way, text: &str) -> String {
        match way {
            Way::Removed => REDACTED.to_owned(),
            Way::Hashed => format!("<hash:{}>", hex(&self.key.hash(text.as_bytes()))),
        }
    }

    /// A text without what is found by how it looks; `None` where it stays.
    fn found_in(&self, text: &str) -> Option<String> {
        self.finder.replaced(text, &|text: &str| hex(&self.key.hash(text.to_ascii_lowercase().as_bytes())))
    }
}

/// A line says something though it has no fields: a program died, or there is nothing in it.
fn is_told(line: &str) -> bool {
    line.trim_ascii().is_empty() || is_crash(line)
}

/// What stands in a line, and what comes in its place.
fn edit(line: &str, part: &str, with: String) -> Edit {
    let from = (part.as_ptr() as usize).wrapping_sub(line.as_ptr() as usize);
    (from, from.wrapping_add(part.len()), with)
}

/// The line with all edits made.
fn spliced(line: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|(from, _, _)| *from);
    let mut text = String::with_capacity(line.len());
    let mut at = 0;
    for (from, until, with) in edits {
        text.push_str(line.get(at..from).unwrap_or_default());
        text.push_str(&with);
        at = until;
    }
    text.push_str(line.get(at..).unwrap_or_default());
    text
}

/// What an expression finds in a text and what comes in its place: `with` says it, and where the search goes on, which may be behind what
/// was found.
fn edits_of(text: &str, of: &Regex, mut with: impl FnMut(&Captures<'_>, &mut Vec<Edit>) -> usize) -> Vec<Edit> {
    let mut edits = Vec::new();
    let mut at = 0;
    while let Some(found) = of.captures_at(text, at) {
        let starts = found.get(0).map_or(text.len(), |whole| whole.start());
        let next = with(&found, &mut edits);
        // Nothing is looked at twice for ever.
        if next <= at || next <= starts || next > text.len() {
            break;
        }
        at = next;
    }
    edits
}

/// A text as it stands between the quotes of JSON.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
