//! What is taken out of lines: named fields, and what looks like an e-mail address, a card's number or a secret, wherever it stands.
//!
//! Taken out is taken out for everything behind: counts, templates, search, rejects. An address becomes a keyed hash of it, so that
//! users who are told by theirs stay as many as they are.

mod find;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use regex::{Captures, Regex, RegexBuilder};
use sha2::{Digest, Sha256};

use crate::pipeline::access;
use crate::pipeline::decode::is_crash;
use crate::pipeline::json::{self, Kind, Malformed, Str};
use crate::pipeline::roles;
use crate::pipeline::shape;
use crate::pipeline::shape::table::Table;

use find::Finder;

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

/// How the names of fields end that hold a secret, in small letters without `_` and `-`, where secrets are taken out.
const SECRET_FIELDS: [&str; 31] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "passwordconfirmation",
    "secret",
    "token",
    "apikey",
    "accesskey",
    "secretkey",
    "privatekey",
    "accesskeyid",
    "credential",
    "credentials",
    "authorization",
    "cookie",
    "jwt",
    "sessionid",
    "sessid",
    "accountkey",
    "encryptionkey",
    "signingkey",
    "masterkey",
    "signature",
    "passwordhash",
    "passwdhash",
    "passworddigest",
    "subscriptionkey",
    "functionskey",
    "storagekey",
    "clientkeydata",
];

/// Bytes of the longest of them.
const SECRET_FIELD_MAX: usize = 20;

/// Names that hold one where they are the last word of a field's name.
const SECRET_WORDS: [&str; 6] = ["pass", "pw", "otp", "cvv", "cvc", "sig"];

/// The same in text.
const SECRET_NAMES: &str = r"[A-Za-z0-9_-]*?(?:password(?:[_-]?(?:confirmation|hash|digest))?|passwd(?:[_-]?hash)?|pwd|passphrase|secret|token|(?:api|access|secret|private|account|encryption|signing|master|subscription|functions|storage)[_-]?key(?:[_-]?id)?|client[_-]?key[_-]?data|credentials?|authorization|cookie|jwt|sess(?:ion)?[_-]?id|signature)|(?:[A-Za-z0-9_-]*?[_-])?(?:otp|cvv|cvc)|[A-Za-z0-9_-]*?(?:[_.-](?:pass|pw|sig)|(?-i:[a-z]Pass))";

/// Words before `signature`, `pass` and `sig` with which they name no secret.
const ORDINARY_BEFORE: [&str; 20] = [
    // Of what is told apart by it.
    "error",
    "crash",
    "exception",
    "stack",
    "method",
    "function",
    "call",
    "issue",
    "attack",
    "virus",
    "operation",
    // Which round it is, or what was checked.
    "first",
    "second",
    "third",
    "multi",
    "dmarc",
    "spf",
    "dkim", // How a program ended.
    "exit",
    "term",
];

/// Words before `token` with which it is a place in a list or the number of a lock: people search by them, and they open nothing.
const ORDINARY_TOKENS: [&str; 4] = ["page", "next", "continuation", "fencing"];

/// What stands before the last word of a name, and that word: words end at `.`, `_`, `-`, brackets, and where a capital follows a small letter.
fn last_word(name: &str) -> (&str, &str) {
    let name = name.trim_end_matches(['.', '_', '-', '[', ']']);
    let starts = name.as_bytes().windows(2).rposition(|pair| match pair {
        [b'.' | b'_' | b'-' | b'[' | b']', _] => true,
        [before, first] => before.is_ascii_lowercase() && first.is_ascii_uppercase(),
        _ => false,
    });
    name.split_at_checked(starts.map_or(0, |at| at + 1)).unwrap_or(("", name))
}

/// A name ends as those of secrets do, and is none: `error_signature`, `first_pass`, `exit_sig`, `nextPageToken`.
fn is_ordinary(path: &str) -> bool {
    let (before, last) = last_word(path);
    let is_any = |word: &str, of: &[&str]| of.iter().any(|known| word.eq_ignore_ascii_case(known));
    let with: &[&str] = match last {
        _ if last.eq_ignore_ascii_case("token") => &ORDINARY_TOKENS,
        _ if is_any(last, &["signature", "pass", "sig"]) => &ORDINARY_BEFORE,
        _ => return false,
    };
    is_any(last_word(before).1, with)
}

/// A field holds a secret by its name.
fn is_secret_name(path: &str) -> bool {
    let (before, last) = last_word(path);
    // Of the short ones, `dbPass` is of two words; `compass` is of one.
    let is_whole = before.is_empty() || before.ends_with(['.', '_', '-', '[', ']']);
    let is_word = || match is_whole {
        true => SECRET_WORDS.iter().any(|word| last.eq_ignore_ascii_case(word)),
        false => last == "Pass" || last == "Pw",
    };
    (is_word() || Tail::of(path).is_secret()) && !is_ordinary(path)
}

/// The end of a field's name in small letters, without `_`, `-` and brackets.
struct Tail {
    bytes: [u8; SECRET_FIELD_MAX],
    from: usize,
}

impl Tail {
    fn of(path: &str) -> Tail {
        let mut tail = Tail { bytes: [0; SECRET_FIELD_MAX], from: SECRET_FIELD_MAX };
        let name = path.bytes().rev().take_while(|byte| *byte != b'.');
        let letters = name.filter(|byte| !matches!(byte, b'_' | b'-' | b'[' | b']'));
        for (to, byte) in tail.bytes.iter_mut().rev().zip(letters) {
            *to = byte.to_ascii_lowercase();
            tail.from -= 1;
        }
        tail
    }

    fn is_secret(&self) -> bool {
        let name = self.bytes.get(self.from..).unwrap_or_default();
        SECRET_FIELDS.iter().any(|end| name.ends_with(end.as_bytes()))
    }
}

/// A number under such a name is how many there are: `pass: 17`, `n_cookie: 4`. Of passwords and codes as long, none is sure.
fn is_count(name: &str, number: &str) -> bool {
    let last = last_word(name).1;
    let counted = ["pass", "token", "cookie", "sig"].iter().any(|word| last.eq_ignore_ascii_case(word));
    counted && (1..=3).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// The folder that a shell is in has the name of a password: `PWD=/srv/app`. Connections write it `Pwd`, or behind a semicolon.
fn is_folder(name: &str, value: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte);
    let name = name.rsplit('.').next().unwrap_or(name);
    matches!(name, "PWD" | "OLDPWD" | "pwd" | "oldpwd") && value.starts_with('/') && value.bytes().all(is_part)
}

/// Nothing is in a list or an object.
fn is_hollow(raw: &str) -> bool {
    raw.bytes().all(|byte| matches!(byte, b'[' | b']' | b'{' | b'}') || byte.is_ascii_whitespace())
}

/// A list of numbers alone.
fn is_numbers(raw: &str) -> bool {
    raw.bytes().all(|byte| byte.is_ascii_digit() || b"[], ".contains(&byte))
}

/// Where an object says whose value it has, as OpenTelemetry, lists of headers and what checks fields write it.
const PAIR_NAMES: [&str; 13] = [
    "key",
    "name",
    "Key",
    "Name",
    "field",
    "Field",
    "property",
    "propertyName",
    "PropertyName",
    "propertyPath",
    "path",
    "loc",
    "param",
];

/// Where it has the value.
const PAIR_VALUES: [&str; 10] = [
    "value",
    "Value",
    "rejectedValue",
    "invalidValue",
    "attemptedValue",
    "AttemptedValue",
    "received",
    "input",
    "newValue",
    "oldValue",
];

fn is_session_name(path: &str) -> bool {
    name_ends_with(path, "sessionid")
}

/// The last part of a path ends with these letters, in any case, whatever `_` and `-` are among its own.
fn name_ends_with(path: &str, end: &str) -> bool {
    let name = path.rsplit('.').next().unwrap_or(path);
    let mut letters = name
        .bytes()
        .rev()
        .filter(|byte| !matches!(byte, b'_' | b'-' | b'[' | b']'))
        .map(|byte| byte.to_ascii_lowercase());
    end.bytes().rev().all(|byte| letters.next() == Some(byte))
}

/// A text may be the name of a field, a header or an option.
fn is_name(text: &str) -> bool {
    (1..=64).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
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

/// The fields of an object with where they stand in it.
struct Fields<'a> {
    object: &'a str,
    list: Vec<Field>,
    key: (String, usize, usize),
}

struct Field {
    key: String,
    /// Where its name stands, between the quotes.
    named: (usize, usize),
    kind: Kind,
    from: usize,
    until: usize,
}

impl<'a> json::Visit<'a> for Fields<'a> {
    fn expected(&mut self, _bytes: &[u8], _at: usize) -> Option<(usize, bool)> {
        None
    }

    fn key(&mut self, key: Str<'a>, _lead: &[u8], _is_string: bool) {
        let at = (key.raw().as_ptr() as usize).wrapping_sub(self.object.as_ptr() as usize);
        self.key = (key.get().into_owned(), at, at.wrapping_add(key.raw().len()));
    }

    fn value(&mut self, kind: Kind, from: usize, until: usize) {
        let (key, named_from, named_until) = std::mem::take(&mut self.key);
        self.list.push(Field { key, named: (named_from, named_until), kind, from, until });
    }
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

    /// Edits of an object; `None` where it is none.
    fn of_object(&self, line: &str) -> Option<Vec<Edit>> {
        let mut edits = Vec::new();
        self.object(line, 0, "", 0, &mut edits).ok()?;
        if self.secrets && !edits.is_empty() {
            self.of_texts(line, &mut edits).ok()?;
        }
        Some(edits)
    }

    /// Fields that were cut out of a text which has lost them: `Cookie: a=b` is a secret, and `a` alone looks like none.
    fn of_texts(&self, line: &str, edits: &mut Vec<Edit>) -> Result<(), Malformed> {
        let mut fields = Fields { object: line, list: Vec::new(), key: Default::default() };
        json::visit_object(line, &mut fields)?;
        let raw = |field: &Field| line.get(field.from..field.until).unwrap_or_default();
        let text = |field: &Field| match field.kind {
            Kind::Escaped => json::unescape(raw(field)),
            _ => raw(field).to_owned(),
        };
        let known: BTreeMap<usize, &str> = edits.iter().map(|(from, _, with)| (*from, with.as_str())).collect();
        let texts = fields.list.iter().filter(|field| matches!(field.kind, Kind::Plain | Kind::Escaped));
        let lost: Vec<(String, String)> = texts
            .filter_map(|field| Some((text(field), json::unescape(known.get(&field.from)?))))
            .filter(|(before, _)| before.contains(['=', ':']) && before.contains(' '))
            .collect();
        if lost.is_empty() {
            return Ok(());
        }
        let (before, left): (Vec<&str>, Vec<&str>) =
            lost.iter().map(|(before, left)| (before.as_str(), left.as_str())).unzip();
        let (before, left) = (Pairs::of(&before), Pairs::of(&left));
        let mut more = Vec::new();
        for field in fields.list {
            let is_value = matches!(field.kind, Kind::Plain | Kind::Escaped | Kind::Number);
            // What plays a role is no secret that looks like none.
            if !is_value || known.contains_key(&field.from) || roles::role_of_known(&field.key).is_some() {
                continue;
            }
            if !before.has_name(&field.key) {
                continue;
            }
            let value = text(&field);
            if !value.is_empty() && before.has(&field.key, &value) && !left.has(&field.key, &value) {
                let quotes = if field.kind == Kind::Number { "\"" } else { "" };
                more.push((field.from, field.until, format!("{quotes}{REDACTED}{quotes}")));
            }
        }
        edits.extend(more);
        Ok(())
    }

    /// Edits of an object that stands at `at` in the line.
    fn object(
        &self,
        object: &str,
        at: usize,
        prefix: &str,
        depth: usize,
        edits: &mut Vec<Edit>,
    ) -> Result<(), Malformed> {
        let mut fields = Fields { object, list: Vec::new(), key: Default::default() };
        json::visit_object(object, &mut fields)?;
        let of_pair = self.way_of_pair(object, &fields.list);
        for Field { key, named, kind, from, until } in fields.list {
            // A name may be an address: users in a map.
            if let Some(found) = self.found_in(&key) {
                edits.push((at + named.0, at + named.1, escaped(&found)));
            }
            let of_pair = of_pair.as_ref().filter(|_| PAIR_VALUES.contains(&key.as_str()));
            let path = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
            let raw = object.get(from..until).unwrap_or_default();
            let by_pair = of_pair.filter(|(name, _)| kind != Kind::Number || !is_count(name, raw)).map(|(_, way)| *way);
            let way = by_pair.or_else(|| self.way(&path).filter(|_| !self.is_none(&path, kind, raw)));
            let with = match (kind, way) {
                (Kind::Null, _) | (Kind::True | Kind::False, None) => None,
                // `has_password` is none.
                (Kind::True | Kind::False, Some(_)) if !self.is_named(&path) => None,
                (Kind::Plain, Some(way)) => Some(self.value(way, raw)),
                (Kind::Escaped, Some(way)) => Some(self.value(way, &json::unescape(raw))),
                (Kind::Plain, None) => self.text(raw).map(|found| escaped(&found)),
                (Kind::Escaped, None) => self.text(&json::unescape(raw)).map(|found| escaped(&found)),
                (_, Some(way)) => Some(format!("\"{}\"", self.value(way, raw))),
                (Kind::Number, None) => self.text(raw).map(|found| format!("\"{}\"", escaped(&found))),
                // A list or an object of a secret's name in the plural.
                (Kind::Array | Kind::Object, None) if self.is_of_secrets(&path, raw) => Some(format!("\"{REDACTED}\"")),
                (Kind::Array, None) => self.list(raw, &path, depth),
                (Kind::Object, None) if depth >= DEPTH_MAX => Some(format!("\"{REDACTED}\"")),
                (Kind::Object, None) => {
                    self.object(raw, at + from, &path, depth + 1, edits)?;
                    None
                }
            };
            edits.extend(with.map(|with| (at + from, at + until, with)));
        }
        Ok(())
    }

    /// What becomes of the values of an object that says whose they are (`{"field":"password","rejectedValue":"x"}`), and the name.
    fn way_of_pair(&self, object: &str, fields: &[Field]) -> Option<(String, Way)> {
        fields.iter().find(|field| PAIR_VALUES.contains(&field.key.as_str()))?;
        let named = fields.iter().filter(|field| PAIR_NAMES.contains(&field.key.as_str()));
        named.into_iter().find_map(|field| {
            let raw = object.get(field.from..field.until).unwrap_or_default();
            let name = match field.kind {
                Kind::Plain => raw.to_owned(),
                // Of the steps of a path the last one.
                Kind::Array => serde_json::from_str::<Vec<serde_json::Value>>(raw).ok()?.pop()?.as_str()?.to_owned(),
                _ => return None,
            };
            let way = is_name(&name).then(|| self.way(&name)).flatten()?;
            Some((name, way))
        })
    }

    /// By its name a value were a secret, and it is none: a count, the folder of a shell, an empty list. What is named by the user is one.
    fn is_none(&self, path: &str, kind: Kind, raw: &str) -> bool {
        let is_none = match kind {
            Kind::Number => is_count(path, raw),
            Kind::Plain => is_folder(path, raw),
            Kind::Array | Kind::Object => is_hollow(raw),
            _ => false,
        };
        is_none && !self.is_named(path)
    }

    /// A name is that of secrets in the plural.
    fn is_plural(&self, path: &str) -> bool {
        path.strip_suffix(['s', 'S']).is_some_and(|one| self.way(one).is_some())
    }

    /// A list or an object is of secrets by its name in the plural. Tokens are also counted: an object without a text in it is one of counts.
    fn is_of_secrets(&self, path: &str, raw: &str) -> bool {
        if !self.is_plural(path) || is_hollow(raw) {
            return false;
        }
        let of_tokens = last_word(path).1.eq_ignore_ascii_case("tokens");
        match raw.trim_ascii_start().starts_with('{') {
            true => {
                let behind = |colon: usize| raw.get(colon + 1..).unwrap_or_default().trim_ascii_start();
                memchr::memchr_iter(b':', raw.as_bytes()).any(|colon| behind(colon).starts_with(['"', '[']))
            }
            false => !(of_tokens && is_numbers(raw)),
        }
    }

    /// A list without what is taken out; `None` where it stays.
    fn list(&self, raw: &str, path: &str, depth: usize) -> Option<String> {
        let mut list: serde_json::Value = serde_json::from_str(raw).ok()?;
        self.tree(&mut list, path, depth).then(|| list.to_string())
    }

    /// Takes out of a tree; whether anything was.
    fn tree(&self, value: &mut serde_json::Value, path: &str, depth: usize) -> bool {
        use serde_json::Value as Tree;
        if depth >= DEPTH_MAX {
            *value = Tree::from(REDACTED);
            return true;
        }
        match value {
            Tree::Null | Tree::Bool(_) => false,
            Tree::String(text) => self.text(text).map(|found| *text = found).is_some(),
            Tree::Number(number) => match self.text(&number.to_string()) {
                Some(found) => {
                    *value = Tree::from(found);
                    true
                }
                None => false,
            },
            Tree::Array(list) => {
                let mut any = false;
                // Headers and options come as a name and, behind it, its value; any other list is one of words.
                let of_headers = path.to_ascii_lowercase().ends_with("headers");
                let names: Vec<Option<Way>> = list
                    .iter()
                    .map(|item| item.as_str().filter(|text| is_name(text) && (of_headers || text.starts_with('-'))))
                    .map(|name| name.and_then(|name| self.way(name.trim_start_matches('-'))))
                    .collect();
                let before = std::iter::once(None).chain(names);
                for (item, way) in list.iter_mut().zip(before) {
                    if let Tree::Array(pair) = item
                        && let [Tree::String(name), value @ Tree::String(_)] = pair.as_mut_slice()
                        && let Some(way) = self.way_of_header(name)
                    {
                        let text = value.as_str().unwrap_or_default();
                        *value = Tree::from(self.value(way, text));
                        any = true;
                        continue;
                    }
                    any |= match (way, item.as_str()) {
                        (Some(way), Some(text)) if !text.is_empty() => {
                            *item = Tree::from(self.value(way, text));
                            true
                        }
                        _ => self.tree(item, path, depth + 1),
                    };
                }
                any
            }
            Tree::Object(fields) => {
                let mut any = self.named_pair(fields);
                for (key, mut item) in std::mem::take(fields) {
                    let path = format!("{path}.{key}");
                    let is_kept = |item: &Tree| match item {
                        Tree::Bool(_) => true,
                        Tree::Number(number) => is_count(&path, &number.to_string()),
                        Tree::String(text) => is_folder(&path, text),
                        Tree::Array(list) => list.is_empty(),
                        Tree::Object(fields) => fields.is_empty(),
                        Tree::Null => false,
                    };
                    let way = self.way(&path).filter(|_| !is_kept(&item) || self.is_named(&path));
                    let may_hold = (item.is_array() || item.is_object()) && self.is_plural(&path);
                    let is_plural = may_hold && self.is_of_secrets(&path, &item.to_string());
                    let way = way.or_else(|| is_plural.then_some(Way::Removed));
                    any |= match way {
                        Some(way) => {
                            let text = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
                            item = Tree::from(self.value(way, &text));
                            true
                        }
                        None => self.tree(&mut item, &path, depth + 1),
                    };
                    let found = self.found_in(&key);
                    any |= found.is_some();
                    fields.insert(found.unwrap_or(key), item);
                }
                any
            }
        }
    }

    /// What becomes of the second of a pair in a list of pairs, by the first. A name without a hyphen must say more than `token` and
    /// `secret` do: those are also words of scopes.
    fn way_of_header(&self, name: &str) -> Option<Way> {
        let is_plain = ["token", "secret", "credential", "credentials", "signature", "jwt", "cookie"];
        let is_word = is_plain.iter().any(|word| name.eq_ignore_ascii_case(word));
        (is_name(name) && !is_word).then(|| self.way(name.trim_start_matches('-'))).flatten()
    }

    /// Takes the values out of an object that is a name and a value (`{"key":"password","value":"x"}`), as OpenTelemetry, lists of headers
    /// and what checks fields have them; whether it did.
    fn named_pair(&self, fields: &mut serde_json::Map<String, serde_json::Value>) -> bool {
        if !PAIR_VALUES.iter().any(|key| fields.contains_key(*key)) {
            return false;
        }
        let name_in = |value: &serde_json::Value| match value {
            serde_json::Value::Array(steps) => steps.last().and_then(serde_json::Value::as_str).map(str::to_owned),
            value => value.as_str().map(str::to_owned),
        };
        let named = PAIR_NAMES.into_iter().find_map(|key| {
            let name = name_in(fields.get(key)?).filter(|name| is_name(name))?;
            let way = self.way(&name)?;
            Some((name, way))
        });
        let Some((name, way)) = named else { return false };
        let mut any = false;
        for key in PAIR_VALUES {
            let Some(value) = fields.get_mut(key).filter(|value| !value.is_null() && !value.is_boolean()) else {
                continue;
            };
            if value.is_number() && is_count(&name, &value.to_string()) {
                continue;
            }
            // OpenTelemetry says of which type a value is.
            let inner = value.get("stringValue").and_then(serde_json::Value::as_str);
            let text = inner.or(value.as_str()).map_or_else(|| value.to_string(), str::to_owned);
            let with = self.value(way, &text);
            *value = match inner {
                Some(_) => serde_json::json!({ "stringValue": with }),
                None => serde_json::Value::from(with),
            };
            any = true;
        }
        any
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

    /// A text without what is taken out; `None` where it stays.
    fn text(&self, text: &str) -> Option<String> {
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

    /// A text without what is found by how it looks; `None` where it stays.
    fn found_in(&self, text: &str) -> Option<String> {
        self.finder.replaced(text, &|text: &str| hex(&self.key.hash(text.to_ascii_lowercase().as_bytes())))
    }
}

/// Where behind each name of texts its value stands: behind `=` or `:`, up to a blank, a separator or a quote.
struct Pairs<'a> {
    /// What stands behind each name: the first few times.
    at: hashbrown::HashMap<&'a str, Vec<&'a str>, foldhash::fast::FixedState>,
}

/// Values of one name that are looked at.
const SAME_NAME_MAX: usize = 64;

impl<'a> Pairs<'a> {
    fn of(texts: &[&'a str]) -> Pairs<'a> {
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

    fn has_name(&self, name: &str) -> bool {
        self.at.contains_key(name)
    }

    fn has(&self, name: &str, value: &str) -> bool {
        let is_end = |c: char| c.is_whitespace() || ",;&\"')}]".contains(c);
        self.at
            .get(name)
            .into_iter()
            .flatten()
            .any(|behind| behind.strip_prefix(value).is_some_and(|rest| rest.chars().next().is_none_or(is_end)))
    }
}

/// A line says something though it has no fields: a program died, or there is nothing in it.
fn is_told(line: &str) -> bool {
    line.trim_ascii().is_empty() || is_crash(line)
}

/// Names of fields with their values in text.
#[derive(Debug)]
struct InText {
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
fn in_text(fields: &[(String, Way)], secrets: bool) -> Result<Option<InText>, regex::Error> {
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

/// A text as it stands between the quotes of JSON.
fn escaped(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
