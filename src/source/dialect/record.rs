//! One record as one line: a JSON object whose keys are distinct.
//!
//! What is nearer to the record wins a key; what comes later under the same key stands behind a prefix that says where it is from.
//! A text that is a JSON object itself (a program that logs JSON, read by a collector) is not a text in a line but its fields.

use std::ops::Range;

use xxhash_rust::xxh3::xxh3_64;

use crate::pipeline::clock;
use crate::pipeline::json::{self, Value};
use crate::pipeline::roles::Role;

/// Key of the time of a line, by which every reader of logs knows it.
pub(super) const TIME: &str = "@timestamp";
/// Key of the text of a line.
pub(super) const MESSAGE: &str = "message";

/// Appends a text as JSON.
pub(super) fn put_text(out: &mut Vec<u8>, text: &str) {
    // Nothing but memory could fail.
    let _never_fails = serde_json::to_writer(out, text);
}

/// Appends a number, or its name where JSON has none.
pub(super) fn put_double(out: &mut Vec<u8>, number: f64) {
    match serde_json::Number::from_f64(number) {
        Some(number) => out.extend_from_slice(number.to_string().as_bytes()),
        None => put_text(out, &number.to_string()),
    }
}

/// Appends a value as it stands in another text; line ends between its parts become blanks.
fn put_value(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Null => out.extend_from_slice(b"null"),
        Value::Bool(true) => out.extend_from_slice(b"true"),
        Value::Bool(false) => out.extend_from_slice(b"false"),
        Value::Number(number) => out.extend_from_slice(number.as_bytes()),
        Value::String(text) => {
            out.push(b'"');
            out.extend_from_slice(text.raw().as_bytes());
            out.push(b'"');
        }
        Value::Object(raw) | Value::Array(raw) => {
            // In a string no line end can stand.
            out.extend(raw.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
        }
    }
}

/// Where keys, in quotes, stand in a text. Found by hash: a record may have as many as its sender likes.
#[derive(Debug, Default)]
struct Keys {
    list: Vec<Range<usize>>,
    index: hashbrown::HashMap<u64, usize, foldhash::fast::FixedState>,
}

impl Keys {
    fn has(&self, text: &[u8], key: &[u8]) -> bool {
        let Some(at) = self.index.get(&xxh3_64(key)) else { return false };
        // Another key of that hash is hardly to be met.
        self.list.get(*at).is_some_and(|known| text[known.clone()] == *key)
            || self.list.iter().any(|known| text[known.clone()] == *key)
    }

    /// Adds the key that stands in a text from there to there.
    fn add(&mut self, text: &[u8], key: Range<usize>) {
        self.index.entry(xxh3_64(&text[key.clone()])).or_insert(self.list.len());
        self.list.push(key);
    }

    fn clear(&mut self) {
        self.list.clear();
        self.index.clear();
    }
}

/// Fields that many lines share.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// All of them, with commas between.
    text: Vec<u8>,
    keys: Keys,
    /// Key, in quotes, and value of each, in `text`.
    fields: Vec<(Range<usize>, Range<usize>)>,
}

impl Shared {
    /// Adds a field, unless one of that key is there.
    pub(super) fn add(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
        let before = self.text.len();
        if before > 0 {
            self.text.push(b',');
        }
        let from = self.text.len();
        put_text(&mut self.text, key);
        let until = self.text.len();
        if self.keys.has(&self.text, &self.text[from..until]) {
            self.text.truncate(before);
            return;
        }
        self.text.push(b':');
        let at = self.text.len();
        value(&mut self.text);
        self.keys.add(&self.text, from..until);
        self.fields.push((from..until, at..self.text.len()));
    }

    /// A field of that key is there.
    pub(super) fn has(&self, key: &str) -> bool {
        let mut quoted = Vec::new();
        put_text(&mut quoted, key);
        self.keys.has(&self.text, &quoted)
    }

    /// Appends all of them, with commas between.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.text);
    }

    /// Bytes of all of them.
    pub(super) fn len(&self) -> usize {
        self.text.len()
    }
}

/// Writes lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    /// What is written.
    pub out: Vec<u8>,
    /// Keys of the line that is being written, in `out`.
    keys: Keys,
}

impl Lines {
    /// Begins a line.
    pub(super) fn begin(&mut self) {
        self.keys.clear();
        self.out.push(b'{');
    }

    /// Ends it. Gives its length.
    pub(super) fn end(&mut self, from: usize) -> usize {
        self.out.extend_from_slice(b"}\n");
        self.out.len() - from
    }

    /// The key that was written last, in quotes, from there on, is one of the line's already.
    fn is_known(&self, from: usize) -> bool {
        let key = &self.out[from..];
        self.keys.has(&self.out, key)
    }

    /// Adds a field; under a key that the line has, behind the prefix; where that is there too, not at all.
    pub(super) fn field(&mut self, prefix: &str, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
        let before = self.out.len();
        if !self.keys.list.is_empty() {
            self.out.push(b',');
        }
        let from = self.out.len();
        put_text(&mut self.out, key);
        if self.is_known(from) {
            self.out.truncate(from);
            put_text(&mut self.out, &format!("{prefix}.{key}"));
            if self.is_known(from) {
                self.out.truncate(before);
                return;
            }
        }
        self.keys.add(&self.out, from..self.out.len());
        self.out.push(b':');
        value(&mut self.out);
    }

    /// Adds fields that many lines share, as the last of a line.
    pub(super) fn shared(&mut self, prefix: &str, shared: &Shared) {
        let is_known = |(key, _): &(Range<usize>, Range<usize>)| self.keys.has(&self.out, &shared.text[key.clone()]);
        if shared.fields.iter().any(is_known) {
            self.each(prefix, shared);
        } else if !shared.text.is_empty() {
            if !self.keys.list.is_empty() {
                self.out.push(b',');
            }
            // What came now would not know their keys.
            self.out.extend_from_slice(&shared.text);
        }
    }

    /// Adds fields that many lines share, one by one.
    pub(super) fn each(&mut self, prefix: &str, shared: &Shared) {
        for (key, value) in &shared.fields {
            let key: String = serde_json::from_slice(&shared.text[key.clone()]).unwrap_or_default();
            let value = &shared.text[value.clone()];
            self.field(prefix, &key, |out| out.extend_from_slice(value));
        }
    }

    /// Adds what the text of a record says: its fields where it is a JSON object, else itself.
    pub(super) fn text(&mut self, prefix: &str, text: &Text<'_>) {
        match text {
            Text::Plain(text) => {
                self.field(prefix, MESSAGE, |out| put_text(out, text));
            }
            Text::Object(fields, time) => {
                for (number, (key, value)) in fields.iter().enumerate() {
                    // It is there as the time of the line.
                    if key != TIME || *time != Some(number) {
                        self.field(prefix, key, |out| put_value(out, value));
                    }
                }
            }
        }
    }

    /// Adds the time that the text of a record says, as that of the line.
    pub(super) fn own_time(&mut self, text: &Text<'_>) {
        if let Text::Object(fields, Some(time)) = text
            && let Some((_, value)) = fields.get(*time)
        {
            self.field("", TIME, |out| put_value(out, value));
        }
    }
}

/// The text of a record.
#[derive(Debug)]
pub(super) enum Text<'a> {
    /// A text.
    Plain(&'a str),
    /// A JSON object: its fields, and which of them says when it was, where one does.
    Object(Vec<(String, Value<'a>)>, Option<usize>),
}

impl<'a> Text<'a> {
    /// Reads a text.
    pub(super) fn of(text: &'a str) -> Text<'a> {
        if !text.trim_ascii_start().starts_with('{') {
            return Text::Plain(text);
        }
        let mut fields = Vec::new();
        let scanned = json::scan_object(text, &mut |key, value| fields.push((key.get().into_owned(), value)));
        if scanned.is_err() || fields.is_empty() {
            return Text::Plain(text);
        }
        let time = Role::Time.known_names().iter().find_map(|name| {
            let at = fields.iter().position(|(key, _)| key == name)?;
            says_when(&fields[at].1).then_some(at)
        });
        Text::Object(fields, time)
    }

    /// The text says itself when it was.
    pub(super) fn has_time(&self) -> bool {
        matches!(self, Text::Object(_, Some(_)))
    }
}

/// The value is a time.
fn says_when(value: &Value<'_>) -> bool {
    match value {
        Value::String(text) => clock::parse_time(&text.get()).is_ok(),
        Value::Number(number) => clock::parse_time(number).is_ok(),
        Value::Null | Value::Bool(_) | Value::Object(_) | Value::Array(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: u64) -> impl FnOnce(&mut Vec<u8>) {
        move |out| out.extend_from_slice(n.to_string().as_bytes())
    }

    fn line(build: impl FnOnce(&mut Lines)) -> String {
        let mut lines = Lines::default();
        lines.begin();
        build(&mut lines);
        lines.end(0);
        String::from_utf8(lines.out).unwrap()
    }

    /// With a search through all keys for each this would take minutes.
    #[test]
    fn a_record_may_have_very_many_keys() {
        let said = line(|line| {
            for round in 0..3 {
                (0..100_000).for_each(|n| line.field("again", &format!("k{n}"), number(n + round)));
            }
        });
        let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&said).unwrap();
        assert_eq!((fields.len(), &fields["k7"], &fields["again.k7"]), (200_000, &7.into(), &8.into()));
    }

    #[test]
    fn a_key_stands_once_and_what_is_nearer_keeps_it() {
        let mut shared = Shared::default();
        shared.add("a", number(7));
        shared.add("service.name", |out| put_text(out, "web"));
        shared.add("a", number(8));
        let said = line(|line| {
            line.field("body", "b", number(1));
            line.field("body", "b", number(2));
            line.field("body", "b", number(3));
            line.shared("resource", &shared);
        });
        assert_eq!(said, "{\"b\":1,\"body.b\":2,\"a\":7,\"service.name\":\"web\"}\n");
        let said = line(|line| {
            line.field("", "a", number(1));
            line.shared("resource", &shared);
        });
        assert_eq!(said, "{\"a\":1,\"resource.a\":7,\"service.name\":\"web\"}\n");
        assert_eq!(line(|line| line.shared("", &shared)), "{\"a\":7,\"service.name\":\"web\"}\n");
        assert_eq!(line(|_| {}), "{}\n");
    }

    #[test]
    fn a_text_that_is_an_object_is_its_fields_on_one_line() {
        let text = "{\"time\":\"2026-11-24T10:00:00Z\",\"x\":{\n\"y\":[1,\r\n2]},\"s\":\"a\\nb\"}";
        let text = Text::of(text);
        assert!(text.has_time());
        let said = line(|line| {
            line.own_time(&text);
            line.text("body", &text);
        });
        let expect = concat!(
            r#"{"@timestamp":"2026-11-24T10:00:00Z","time":"2026-11-24T10:00:00Z","#,
            r#""x":{ "y":[1,  2]},"s":"a\nb"}"#,
            "\n"
        );
        assert_eq!(said, expect);
        // A time of its own that is none is no time of the line.
        let text = Text::of(r#"{"@timestamp":0.25,"ts":1700000000}"#);
        let said = line(|line| {
            line.own_time(&text);
            line.text("body", &text);
        });
        assert_eq!(said, "{\"@timestamp\":1700000000,\"body.@timestamp\":0.25,\"ts\":1700000000}\n");
        for plain in ["text", "{broken", "{}", "[1]"] {
            assert!(matches!(Text::of(plain), Text::Plain(_)), "{plain}");
        }
    }
}
