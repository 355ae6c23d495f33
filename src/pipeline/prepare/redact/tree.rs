//! What is taken out of objects of JSON: by the names of fields, by pairs of a name and its value, and out of the texts in them.

use std::collections::BTreeMap;

use crate::pipeline::json::{self, Kind, Malformed, Str};
use crate::pipeline::roles;

use super::names::{is_count, is_folder, is_like_secret, is_name, is_short_sid, last_word, name_ends_with};
use super::text::Pairs;
use super::{DEPTH_MAX, Edit, REDACTED, Redaction, Way, escaped, told_by_words};

/// Where an object says whose value it has, as OpenTelemetry, lists of headers, configurations and what checks fields write it.
const PAIR_NAMES: [&str; 23] = [
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
    "attribute",
    "column",
    "setting",
    "option",
    "variable",
    "header",
    "headerName",
    "instancePath",
    "dataPath",
    "k",
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

/// Of these, names of fields alone; a mail also has a name, and goes from one to another.
const CHANGED_NAMES: [&str; 10] = [
    "field",
    "Field",
    "property",
    "propertyName",
    "PropertyName",
    "propertyPath",
    "attribute",
    "column",
    "setting",
    "variable",
];

/// Where it has what the value of such a field was and is.
const CHANGED_VALUES: [&str; 12] =
    ["from", "to", "old", "new", "before", "after", "previous", "current", "actual", "rejected", "lhs", "rhs"];

/// A value that an object may hold for one of its names.
fn is_value(key: &str) -> bool {
    PAIR_VALUES.contains(&key) || CHANGED_VALUES.contains(&key) || matches!(key, "data" | "v")
}

/// Whose value an object has.
struct Pair {
    /// Under which key it says so, and that it says it as a list of steps.
    by: &'static str,
    is_path: bool,
    name: String,
    way: Way,
}

impl Pair {
    /// Its value stands under a key.
    fn holds(&self, key: &str) -> bool {
        let is_changed = CHANGED_NAMES.contains(&self.by) || self.by == "path" && self.is_path;
        match self.by {
            "k" => key == "v",
            "instancePath" | "dataPath" if key == "data" => true,
            _ => PAIR_VALUES.contains(&key) || is_changed && CHANGED_VALUES.contains(&key),
        }
    }
}

/// The name that a pointer to a field ends with (`/user/apiKey`), as JSON Patch (`is_patch`) and JSON Schema have it. Any other path with a
/// slash is that of a page.
fn name_of<'a>(by: &str, text: &'a str, is_patch: bool) -> &'a str {
    let is_pointer = matches!(by, "instancePath" | "dataPath") || by == "path" && is_patch;
    match is_pointer {
        true => text.rsplit('/').next().unwrap_or(text).trim_start_matches(['.', '$']),
        false => text,
    }
}

/// What JSON Patch does to a field.
const PATCHES: [&str; 3] = ["add", "replace", "test"];

/// Nothing is in a list or an object.
fn is_hollow(raw: &str) -> bool {
    raw.bytes().all(|byte| matches!(byte, b'[' | b']' | b'{' | b'}') || byte.is_ascii_whitespace())
}

/// A list of numbers alone.
fn is_numbers(raw: &str) -> bool {
    raw.bytes().all(|byte| byte.is_ascii_digit() || b"[], ".contains(&byte))
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

impl Redaction {
    /// Edits of an object; `None` where it is none.
    pub(super) fn of_object(&self, line: &str) -> Option<Vec<Edit>> {
        self.of_object_at(line, 0)
    }

    /// The same of one that stands so deep in others.
    pub(super) fn of_object_at(&self, line: &str, depth: usize) -> Option<Vec<Edit>> {
        let mut edits = Vec::new();
        self.object(line, 0, "", depth, &mut edits).ok()?;
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
            let of_pair = of_pair.as_ref().filter(|pair| pair.holds(&key));
            let path = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
            let raw = object.get(from..until).unwrap_or_default();
            let is_none =
                |pair: &Pair| kind == Kind::Number && is_count(&pair.name, raw) || is_short_sid(&pair.name, raw);
            let by_pair = of_pair.filter(|pair| !is_none(pair)).map(|pair| pair.way);
            let is_text = matches!(kind, Kind::Plain | Kind::Escaped);
            let by_pair = by_pair.or_else(|| (is_text && self.is_cookies(&path, raw)).then_some(Way::Removed));
            let way = by_pair.or_else(|| self.way(&path).filter(|_| !self.is_none(&path, kind, raw)));
            let with = match (kind, way) {
                (Kind::Null, _) | (Kind::True | Kind::False, None) => None,
                // `has_password` is none.
                (Kind::True | Kind::False, Some(_)) if !self.is_named(&path) => None,
                (Kind::Plain, Some(way)) => Some(self.value(way, raw)),
                (Kind::Escaped, Some(way)) => Some(self.value(way, &json::unescape(raw))),
                (Kind::Plain, None) => self.text_at(raw, depth).map(|found| escaped(&found)),
                (Kind::Escaped, None) => self.text_at(&json::unescape(raw), depth).map(|found| escaped(&found)),
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

    /// Whose values an object has that says it (`{"field":"password","rejectedValue":"x"}`).
    fn way_of_pair(&self, object: &str, fields: &[Field]) -> Option<Pair> {
        fields.iter().find(|field| is_value(&field.key))?;
        let raw = |field: &Field| object.get(field.from..field.until).unwrap_or_default();
        let is_patch = fields.iter().any(|field| field.key == "op" && PATCHES.contains(&raw(field)));
        fields.iter().find_map(|field| {
            let by = PAIR_NAMES.into_iter().find(|name| *name == field.key)?;
            let (name, is_path) = match field.kind {
                Kind::Plain => (raw(field).to_owned(), false),
                // Of the steps of a path the last one.
                Kind::Array => {
                    let steps = serde_json::from_str::<Vec<serde_json::Value>>(raw(field)).ok()?;
                    (steps.last()?.as_str()?.to_owned(), true)
                }
                _ => return None,
            };
            self.pair(by, &name, is_path, is_patch)
        })
    }

    fn pair(&self, by: &'static str, name: &str, is_path: bool, is_patch: bool) -> Option<Pair> {
        let name = name_of(by, name, is_patch);
        let way = is_name(name).then(|| self.way(name)).flatten()?;
        Some(Pair { by, is_path, name: name.to_owned(), way })
    }

    /// Cookies in a text, not how many there are.
    fn is_cookies(&self, path: &str, text: &str) -> bool {
        self.secrets && last_word(path).1.eq_ignore_ascii_case("cookies") && text.contains('=')
    }

    /// By its name a value were a secret, and it is none: a count, the folder of a shell, an empty list. What is named by the user is one.
    fn is_none(&self, path: &str, kind: Kind, raw: &str) -> bool {
        let is_none = match kind {
            Kind::Number => is_count(path, raw),
            Kind::Plain => is_folder(path, raw),
            Kind::Array | Kind::Object => is_hollow(raw),
            _ => false,
        };
        let is_none = is_none || is_short_sid(path, raw);
        is_none && !self.is_named(path)
    }

    /// A name is that of secrets in the plural.
    fn is_plural(&self, path: &str) -> bool {
        let is_codes = || self.secrets && name_ends_with(path, "backupcodes");
        path.strip_suffix(['s', 'S']).is_some_and(|one| self.way(one).is_some() && !is_short_sid(one, "")) || is_codes()
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
    pub(super) fn tree(&self, value: &mut serde_json::Value, path: &str, depth: usize) -> bool {
        use serde_json::Value as Tree;
        if depth >= DEPTH_MAX {
            *value = Tree::from(REDACTED);
            return true;
        }
        match value {
            Tree::Null | Tree::Bool(_) => false,
            Tree::String(text) => self.text_at(text, depth).map(|found| *text = found).is_some(),
            Tree::Number(number) => match self.text(&number.to_string()) {
                Some(found) => {
                    *value = Tree::from(found);
                    true
                }
                None => false,
            },
            Tree::Array(list) => {
                let mut any = false;
                let words: Vec<&str> = list.iter().map(|item| item.as_str().unwrap_or_default()).collect();
                for (nth, from) in told_by_words(&self.finder, &words) {
                    let Some(Tree::String(word)) = list.get_mut(nth) else { continue };
                    word.truncate(from);
                    word.push_str(REDACTED);
                    any = true;
                }
                // Headers and options come as a name and, behind it, its value; any other list is one of words.
                let of_headers = path.to_ascii_lowercase().ends_with("headers");
                let names: Vec<Option<(String, Way)>> = list
                    .iter()
                    .map(|item| item.as_str().filter(|text| is_name(text) && (of_headers || text.starts_with('-'))))
                    .map(|name| name.map(|name| name.trim_start_matches('-')))
                    .map(|name| name.and_then(|name| Some((name.to_owned(), self.way(name)?))))
                    .collect();
                let before = std::iter::once(None).chain(names);
                for (item, named) in list.iter_mut().zip(before) {
                    if let Tree::Array(pair) = item
                        && let [Tree::String(name), value @ Tree::String(_)] = pair.as_mut_slice()
                        && let text = value.as_str().unwrap_or_default()
                        && let Some(way) = self.way_of_header(name, text)
                    {
                        *value = Tree::from(self.value(way, text));
                        any = true;
                        continue;
                    }
                    any |= match (named, item.as_str()) {
                        (Some((name, way)), Some(text)) if !text.is_empty() && !is_short_sid(&name, text) => {
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
                        Tree::Number(number) => is_count(&path, &number.to_string()) || is_short_sid(&path, ""),
                        Tree::String(text) => is_folder(&path, text) || is_short_sid(&path, text),
                        Tree::Array(list) => list.is_empty() || is_short_sid(&path, ""),
                        Tree::Object(fields) => fields.is_empty() || is_short_sid(&path, ""),
                        Tree::Null => false,
                    };
                    let way = self.way(&path).filter(|_| !is_kept(&item) || self.is_named(&path));
                    let may_hold = (item.is_array() || item.is_object()) && self.is_plural(&path);
                    let is_plural = may_hold && self.is_of_secrets(&path, &item.to_string());
                    let is_cookies = item.as_str().is_some_and(|text| self.is_cookies(&path, text));
                    let way = way.or_else(|| (is_plural || is_cookies).then_some(Way::Removed));
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
    /// `secret` do: those are also words of scopes, unless what they name is none.
    pub(super) fn way_of_header(&self, name: &str, value: &str) -> Option<Way> {
        let is_plain = ["token", "secret", "credential", "credentials", "signature", "jwt", "cookie"];
        let is_word = is_plain.iter().any(|word| name.eq_ignore_ascii_case(word)) && !is_like_secret(value);
        let is_none = is_word || is_short_sid(name, value);
        (is_name(name) && !is_none).then(|| self.way(name.trim_start_matches('-'))).flatten()
    }

    /// Takes the values out of an object that is a name and a value (`{"key":"password","value":"x"}`), as OpenTelemetry, lists of headers
    /// and what checks fields have them; whether it did.
    fn named_pair(&self, fields: &mut serde_json::Map<String, serde_json::Value>) -> bool {
        if !fields.keys().any(|key| is_value(key)) {
            return false;
        }
        let is_patch = fields.get("op").and_then(serde_json::Value::as_str).is_some_and(|op| PATCHES.contains(&op));
        let pair = PAIR_NAMES.into_iter().find_map(|by| match fields.get(by)? {
            serde_json::Value::Array(steps) => self.pair(by, steps.last()?.as_str()?, true, is_patch),
            value => self.pair(by, value.as_str()?, false, is_patch),
        });
        let Some(pair) = pair else { return false };
        let (name, way) = (&pair.name, pair.way);
        let mut any = false;
        for (_, value) in fields.iter_mut().filter(|(key, _)| pair.holds(key)) {
            if value.is_null() || value.is_boolean() || value.is_number() && is_count(name, &value.to_string()) {
                continue;
            }
            // OpenTelemetry says of which type a value is.
            let inner = value.get("stringValue").and_then(serde_json::Value::as_str);
            let text = inner.or(value.as_str()).map_or_else(|| value.to_string(), str::to_owned);
            if is_short_sid(name, &text) {
                continue;
            }
            let with = self.value(way, &text);
            *value = match inner {
                Some(_) => serde_json::json!({ "stringValue": with }),
                None => serde_json::Value::from(with),
            };
            any = true;
        }
        any
    }
}
