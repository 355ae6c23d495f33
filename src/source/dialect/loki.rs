//! Loki's push, as JSON and as protobuf packed with snappy: each entry becomes one line.
//!
//! Labels of the stream and metadata of the entry come first, then the line: its fields where it is a JSON object, else `message`.
//! As with Loki's own `json`, a field under the key of a label does not replace it; it stands behind `line.`. The time is the one that
//! the line says itself, where it does; else the entry's: many agents give a line the time at which they read it.
//!
//! Names of labels have no dots. Those that are names of OpenTelemetry with dots made underscores (`deployment_environment_name`)
//! get their dots back, where the name with underscores is not known itself.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::LazyLock;

use prost::Message;
use serde::Deserialize;
use serde::de::{self, Deserializer, IgnoredAny, SeqAccess, Visitor};

use crate::pipeline::clock::{self, EpochUnit, TimeError};
use crate::pipeline::decode::LINE_MAX;
use crate::pipeline::roles::Role;
use crate::source::dialect::record::{self, Lines, Shared, Text};
use crate::source::dialect::{Made, Unreadable, bounds};

/// Bytes of the labels of a stream.
const LABELS_MAX: usize = 64 << 10;

/// `logproto.PushRequest`; texts are read as bytes, since one that is not UTF-8 must not cost a whole batch.
#[derive(Clone, PartialEq, Message)]
struct Push {
    #[prost(message, repeated, tag = "1")]
    streams: Vec<StreamOfLabels>,
}

#[derive(Clone, PartialEq, Message)]
struct StreamOfLabels {
    /// As in a query: `{app="web", pod="web-1"}`.
    #[prost(bytes = "vec", tag = "1")]
    labels: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    entries: Vec<EntryOfStream>,
}

#[derive(Clone, PartialEq, Message)]
struct EntryOfStream {
    #[prost(message, optional, tag = "1")]
    timestamp: Option<TimeOfEntry>,
    #[prost(bytes = "vec", tag = "2")]
    line: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    metadata: Vec<Pair>,
}

#[derive(Clone, PartialEq, Message)]
struct TimeOfEntry {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Pair {
    #[prost(bytes = "vec", tag = "1")]
    name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

/// The same in JSON.
#[derive(Deserialize)]
struct JsonPush<'a> {
    #[serde(borrow)]
    streams: Vec<JsonStream<'a>>,
}

#[derive(Deserialize)]
struct JsonStream<'a> {
    #[serde(default)]
    stream: BTreeMap<String, serde_json::Value>,
    #[serde(borrow)]
    values: Vec<JsonEntry<'a>>,
}

struct JsonEntry<'a> {
    time: Cow<'a, str>,
    line: Cow<'a, str>,
    metadata: BTreeMap<String, serde_json::Value>,
}

impl<'de: 'a, 'a> Deserialize<'de> for JsonEntry<'a> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<JsonEntry<'a>, D::Error> {
        struct OfList;

        impl<'de> Visitor<'de> for OfList {
            type Value = JsonEntry<'de>;

            fn expecting(&self, words: &mut fmt::Formatter<'_>) -> fmt::Result {
                words.write_str("[\"<nanoseconds>\", \"<line>\"], with an object of metadata or without")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<JsonEntry<'de>, A::Error> {
                let time =
                    list.next_element::<BorrowedText<'de>>()?.ok_or_else(|| de::Error::invalid_length(0, &self))?;
                let line =
                    list.next_element::<BorrowedText<'de>>()?.ok_or_else(|| de::Error::invalid_length(1, &self))?;
                let metadata = list.next_element::<Option<BTreeMap<String, serde_json::Value>>>()?.flatten();
                while list.next_element::<IgnoredAny>()?.is_some() {}
                Ok(JsonEntry { time: time.0, line: line.0, metadata: metadata.unwrap_or_default() })
            }
        }

        from.deserialize_seq(OfList)
    }
}

/// A text that is borrowed where it has no escapes.
#[derive(Deserialize)]
struct BorrowedText<'a>(#[serde(borrow)] Cow<'a, str>);

/// Known names with dots, by the same with underscores, where that is not known itself.
static DOTTED: LazyLock<BTreeMap<String, &'static str>> = LazyLock::new(|| {
    let known = || Role::ALL.into_iter().flat_map(|role| role.known_names().iter().copied());
    let mut dotted: BTreeMap<String, &'static str> = BTreeMap::new();
    for name in known().filter(|name| name.contains('.')) {
        let plain = name.replace(['.', '-'], "_");
        if known().all(|other| other != plain) {
            dotted.entry(plain).or_insert(name);
        }
    }
    dotted
});

/// A label's name, as the rest of the program knows it.
fn key_of(label: &str) -> &str {
    DOTTED.get(label).copied().unwrap_or(label)
}

/// A time of an entry: digits for the line, and whether it can be taken.
struct When {
    text: String,
    is_taken: bool,
}

/// The lines of a request in JSON, at most so many bytes of them.
///
/// # Errors
/// A body that is no request, or more lines than that.
pub fn of_json(body: &[u8], most: usize) -> Result<Made, Unreadable> {
    let malformed = |what: &dyn fmt::Display| Unreadable::Malformed(format!("not a push request in JSON: {what}"));
    bounds::json(body)?;
    let text = String::from_utf8_lossy(body);
    let push: JsonPush<'_> = serde_json::from_str(&text).map_err(|bad| malformed(&bad))?;
    let mut writer = Writer { lines: Lines::default(), made: Made::default(), most };
    for stream in &push.streams {
        let mut shared = Shared::default();
        stream.stream.iter().for_each(|(label, value)| add_json(&mut shared, label, value));
        for entry in &stream.values {
            let when = when(&entry.time).map_err(|bad| malformed(&bad))?;
            let metadata = |lines: &mut Lines| {
                for (name, value) in &entry.metadata {
                    lines.field("metadata", key_of(name), |out| out.extend_from_slice(value.to_string().as_bytes()));
                }
            };
            writer.entry(when, &entry.line, metadata, &shared)?;
        }
    }
    writer.done()
}

fn add_json(shared: &mut Shared, label: &str, value: &serde_json::Value) {
    shared.add(key_of(label), |out| out.extend_from_slice(value.to_string().as_bytes()));
}

/// The lines of a request in protobuf, as it is once unpacked, at most so many bytes of them.
///
/// # Errors
/// A body that is no request, or more lines than that.
pub fn of_proto(body: &[u8], most: usize) -> Result<Made, Unreadable> {
    let malformed = |what: &dyn fmt::Display| Unreadable::Malformed(format!("not a push request in protobuf: {what}"));
    bounds::proto(body, schema)?;
    let push = Push::decode(body).map_err(|bad| malformed(&bad))?;
    let mut writer = Writer { lines: Lines::default(), made: Made::default(), most };
    for stream in &push.streams {
        let labels = String::from_utf8_lossy(&stream.labels);
        let mut shared = Shared::default();
        for (label, value) in parse_labels(&labels).map_err(|bad| malformed(&bad))? {
            shared.add(key_of(&label), |out| record::put_text(out, &value));
        }
        for entry in &stream.entries {
            let time = entry.timestamp.clone().unwrap_or_default();
            let nanos = i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos);
            let text = nanos.to_string();
            let is_taken = clock::parse_epoch(&text, Some(EpochUnit::Nanos)).is_ok();
            let metadata = |lines: &mut Lines| {
                for Pair { name, value } in &entry.metadata {
                    let name = String::from_utf8_lossy(name);
                    lines
                        .field("metadata", key_of(&name), |out| record::put_text(out, &String::from_utf8_lossy(value)));
                }
            };
            writer.entry(When { text, is_taken }, &String::from_utf8_lossy(&entry.line), metadata, &shared)?;
        }
    }
    writer.done()
}

/// Which fields are messages: of a request (0), a stream (1), an entry (2), a time (3), a pair (4).
fn schema(kind: u8, tag: u64) -> Option<u8> {
    match (kind, tag) {
        (0, 1) => Some(1),
        (1, 2) => Some(2),
        (2, 1) => Some(3),
        (2, 3) => Some(4),
        _ => None,
    }
}

struct Writer {
    lines: Lines,
    made: Made,
    most: usize,
}

impl Writer {
    fn entry(
        &mut self,
        when: When,
        line: &str,
        metadata: impl FnOnce(&mut Lines),
        shared: &Shared,
    ) -> Result<(), Unreadable> {
        let from = self.lines.out.len();
        if from + shared.len() > self.most {
            return Err(Unreadable::TooLong(self.most));
        }
        let text = Text::of(line.trim_ascii_end());
        let lines = &mut self.lines;
        lines.begin();
        let mut refused = None;
        if text.has_time() {
            lines.own_time(&text);
        } else {
            lines.field("", record::TIME, |out| out.extend_from_slice(when.text.as_bytes()));
            refused = (!when.is_taken).then_some("an entry has a time outside the years 1980 to 2199");
        }
        metadata(lines);
        // Labels win over the line's own fields.
        match &text {
            Text::Plain(_) => {
                lines.text("line", &text);
                lines.shared("label", shared);
            }
            Text::Object(..) => {
                lines.each("label", shared);
                lines.text("line", &text);
            }
        }
        let length = lines.end(from);
        self.made.add((length > LINE_MAX).then_some("an entry is longer than a line may be").or(refused));
        Ok(())
    }

    fn done(self) -> Result<Made, Unreadable> {
        if self.lines.out.len() > self.most {
            return Err(Unreadable::TooLong(self.most));
        }
        Ok(Made { lines: self.lines.out, ..self.made })
    }
}

/// A time as JSON has it: nanoseconds as a rule; other units and fractions are told by their size.
fn when(text: &str) -> Result<When, String> {
    match clock::parse_epoch(text, None) {
        // Whole nanoseconds are kept as they are.
        Ok(_) if text.len() >= 18 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Ok(When { text: text.to_owned(), is_taken: true })
        }
        Ok(time) => Ok(When { text: (i128::from(time.0) * 1_000).to_string(), is_taken: true }),
        Err(TimeError::OutOfRange) => {
            let mut quoted = Vec::new();
            record::put_text(&mut quoted, text);
            Ok(When { text: String::from_utf8(quoted).unwrap_or_default(), is_taken: false })
        }
        Err(TimeError::NotATime) => {
            let shown: String = text.chars().take(40).collect();
            Err(format!("`{shown}` is no time in nanoseconds"))
        }
    }
}

/// Labels as Prometheus writes them: `{name="value", other="a \"b\""}`, with the escapes of Go.
fn parse_labels(text: &str) -> Result<Vec<(String, String)>, String> {
    let bad = |what: &str| {
        let shown: String = text.chars().take(80).collect();
        format!("labels `{shown}`: {what}")
    };
    if text.len() > LABELS_MAX {
        return Err(bad("longer than 64 KiB"));
    }
    let mut rest = text.trim().strip_prefix('{').ok_or_else(|| bad("`{` expected"))?.trim_start();
    let mut labels = Vec::new();
    loop {
        if let Some(after) = rest.strip_prefix('}') {
            return if after.trim().is_empty() { Ok(labels) } else { Err(bad("something behind `}`")) };
        }
        // Names may be quoted, where they have other signs than letters, digits and underscores.
        let name;
        if let Some(quoted) = rest.strip_prefix('"') {
            let (unquoted, after) = unquote(quoted).ok_or_else(|| bad("a name that is not closed"))?;
            (name, rest) = (unquoted, after);
        } else {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | ':' | '.' | '-')));
            let (plain, after) = rest.split_at(end.unwrap_or(rest.len()));
            (name, rest) = (plain.to_owned(), after);
        }
        if name.is_empty() {
            return Err(bad("a name expected"));
        }
        rest = rest.trim_start().strip_prefix('=').ok_or_else(|| bad("`=` expected"))?.trim_start();
        let value;
        if let Some(quoted) = rest.strip_prefix('"') {
            let (unquoted, after) = unquote(quoted).ok_or_else(|| bad("a value that is not closed"))?;
            (value, rest) = (unquoted, after);
        } else if let Some((raw, after)) = rest.strip_prefix('`').and_then(|raw| raw.split_once('`')) {
            (value, rest) = (raw.to_owned(), after);
        } else {
            return Err(bad("a quoted value expected"));
        }
        labels.push((name, value));
        rest = rest.trim_start();
        match rest.strip_prefix(',') {
            Some(after) => rest = after.trim_start(),
            None if rest.starts_with('}') => {}
            None => return Err(bad("`,` or `}` expected")),
        }
    }
}

/// A text in Go's quotes, behind the opening one; and what follows the closing one.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut bytes = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Some((String::from_utf8_lossy(&bytes).into_owned(), &text[at + 1..])),
            '\\' => {
                let (_, escape) = chars.next()?;
                let mut digits = |count: usize, base: u32| {
                    (0..count).try_fold(0u32, |number, _| {
                        number.checked_mul(base)?.checked_add(chars.next()?.1.to_digit(base)?)
                    })
                };
                let plain = match escape {
                    'n' => b'\n',
                    't' => b'\t',
                    'r' => b'\r',
                    'a' => 7,
                    'b' => 8,
                    'f' => 12,
                    'v' => 11,
                    '\\' | '"' | '\'' => escape as u8,
                    'x' => digits(2, 16)? as u8,
                    '0'..='3' => (escape.to_digit(8)? * 64 + digits(2, 8)?) as u8,
                    'u' | 'U' => {
                        let code = char::from_u32(digits(if escape == 'u' { 4 } else { 8 }, 16)?)?;
                        bytes.extend_from_slice(code.encode_utf8(&mut [0; 4]).as_bytes());
                        continue;
                    }
                    _ => return None,
                };
                bytes.push(plain);
            }
            c => bytes.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1 << 20;

    fn text(made: &Made) -> String {
        String::from_utf8(made.lines.clone()).unwrap()
    }

    fn json(body: &str) -> Made {
        of_json(body.as_bytes(), MOST).unwrap()
    }

    #[test]
    fn labels_metadata_and_line_are_one_line() {
        let made = json(concat!(
            r#"{"streams":[{"stream":{"app":"web","version":"2.0","deployment_environment_name":"prod"},"values":["#,
            r#"["1700000000000000001","plain \"text\"\n"],"#,
            r#"["1700000000000000002","{\"status\":500,\"version\":\"of the line\",\"time\":\"2023-11-14T22:13:21.5Z\"}",{"trace_id":"ab"}],"#,
            r#"["1700000000.25","x",{}]]},{"values":[]}]}"#
        ));
        let expect = concat!(
            r#"{"@timestamp":1700000000000000001,"message":"plain \"text\"","app":"web","deployment.environment.name":"prod","version":"2.0"}"#,
            "\n",
            r#"{"@timestamp":"2023-11-14T22:13:21.5Z","trace_id":"ab","app":"web","deployment.environment.name":"prod","version":"2.0","#,
            r#""status":500,"line.version":"of the line","time":"2023-11-14T22:13:21.5Z"}"#,
            "\n",
            r#"{"@timestamp":1700000000250000000,"message":"x","app":"web","deployment.environment.name":"prod","version":"2.0"}"#,
            "\n"
        );
        assert_eq!(text(&made), expect);
        assert_eq!((made.records, made.refused), (3, 0));
    }

    #[test]
    fn protobuf_says_the_same_as_json() {
        let pair = |name: &str, value: &str| Pair { name: name.into(), value: value.into() };
        let entry = |nanos: i32, line: &[u8], metadata: Vec<Pair>| EntryOfStream {
            timestamp: Some(TimeOfEntry { seconds: 1_700_000_000, nanos }),
            line: line.to_vec(),
            metadata,
        };
        let push = Push {
            streams: vec![StreamOfLabels {
                labels: br#"{app="web", track="ca\"n\u0061\x72y", }"#.to_vec(),
                entries: vec![
                    entry(1, b"a \xff line", vec![]),
                    entry(2, b"{\"a\":1}", vec![pair("k8s_pod_name", "web-1")]),
                ],
            }],
        };
        let made = of_proto(&push.encode_to_vec(), MOST).unwrap();
        let expect = concat!(
            "{\"@timestamp\":1700000000000000001,\"message\":\"a \u{fffd} line\",\"app\":\"web\",\"track\":\"ca\\\"nary\"}\n",
            "{\"@timestamp\":1700000000000000002,\"k8s.pod.name\":\"web-1\",\"app\":\"web\",\"track\":\"ca\\\"nary\",\"a\":1}\n",
        );
        assert_eq!(text(&made), expect);
    }

    #[test]
    fn times_that_cannot_be_taken_are_refused_and_kept() {
        let made = json(
            r#"{"streams":[{"values":[["123","old"],["1700000000000000000","new"],["9999999999999999999999","far"]]}]}"#,
        );
        assert_eq!((made.records, made.refused), (3, 2));
        assert!(text(&made).starts_with("{\"@timestamp\":\"123\",\"message\":\"old\"}\n"));
        assert!(made.why.unwrap().contains("outside the years"));
    }

    #[test]
    fn what_is_no_request_is_refused() {
        for body in [
            "",
            "{}",
            "{\"streams\":123}",
            "{\"streams\":[{}]}",
            "{\"streams\":[{\"values\":[123]}]}",
            "{\"streams\":[{\"values\":[[]]}]}",
            "{\"streams\":[{\"values\":[[\"123\"]]}]}",
            "{\"streams\":[{\"values\":[[\"123\",1234]]}]}",
            "{\"streams\":[{\"values\":[[123,\"x\"]]}]}",
            "{\"streams\":[{\"values\":[[\"yesterday\",\"x\"]]}]}",
            "{\"streams\":[{\"values\":[[\"1700000000000000000\",\"x\",5]]}]}",
        ] {
            assert!(matches!(of_json(body.as_bytes(), MOST), Err(Unreadable::Malformed(_))), "{body}");
        }
        assert!(matches!(of_proto(b"\xff\xff", MOST), Err(Unreadable::Malformed(_))));
        let push = |stream: StreamOfLabels| Push { streams: vec![stream] }.encode_to_vec();
        let (many, most) =
            (vec![EntryOfStream::default(); bounds::MESSAGES_MAX], Unreadable::TooMany(bounds::MESSAGES_MAX));
        let of_stream = StreamOfLabels { labels: b"{}".to_vec(), entries: many };
        assert_eq!(of_proto(&push(of_stream), MOST), Err(most.clone()));
        let entry = EntryOfStream { metadata: vec![Pair::default(); bounds::MESSAGES_MAX], ..EntryOfStream::default() };
        assert_eq!(
            of_proto(&push(StreamOfLabels { labels: b"{}".to_vec(), entries: vec![entry] }), MOST),
            Err(most.clone())
        );
        let body = format!("{{\"streams\":[{{\"values\":[{}]}}]}}", vec!["[]"; bounds::MESSAGES_MAX].join(","));
        assert_eq!(of_json(body.as_bytes(), MOST), Err(most));
        // Labels are repeated with every line: very many short lines must not unfold to more than there is room for.
        let line = "[\"1700000000000000000\",\"\"]";
        let body = format!(
            "{{\"streams\":[{{\"stream\":{{\"a\":\"{}\"}},\"values\":[{}]}}]}}",
            "x".repeat(10_000),
            vec![line; 10_000].join(",")
        );
        assert_eq!(of_json(body.as_bytes(), MOST), Err(Unreadable::TooLong(MOST)));
    }

    #[test]
    fn labels_are_read_as_prometheus_writes_them() {
        let pairs = |text: &str| parse_labels(text).unwrap();
        assert_eq!(pairs("{}"), []);
        assert_eq!(pairs(" { } "), []);
        let expect = [("a", "1"), ("b_2", "x,}\"\u{e9}\n"), ("c.d", "`")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(pairs("{a=\"1\",b_2 = \"x,}\\\"\\u00e9\\n\", \"c.d\"=\"`\"}"), expect);
        assert_eq!(pairs("{a=`\\n`}"), [("a".to_owned(), "\\n".to_owned())]);
        for bad in [
            "",
            "a=\"1\"",
            "{a=\"1\"",
            "{a=\"1}",
            "{a!=\"1\"}",
            "{a=~\"1\"}",
            "{=\"1\"}",
            "{a=1}",
            "{a=\"1\"} x",
            "{a=\"\\q\"}",
            "{a=\"1\" b=\"2\"}",
        ] {
            assert!(parse_labels(bad).is_err(), "{bad}");
        }
    }
}
