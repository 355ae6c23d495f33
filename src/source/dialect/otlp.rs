//! OTLP logs, as protobuf and as JSON: each log record becomes one line.
//!
//! The messages are those of `opentelemetry/proto/{common,resource,logs}/v1` and of the collector's `ExportLogsServiceRequest`, as far
//! as a line says something of them. Texts are read as bytes, since one that is not UTF-8 must not cost a whole batch. JSON
//! deviates from protobuf's own: ids in hexadecimal, enumerations as numbers (opentelemetry.io/docs/specs/otlp, "JSON Protobuf
//! Encoding").
//!
//! | of the record | in the line |
//! | --- | --- |
//! | `time_unix_nano`; without it a time in a body that is a JSON object; without that `observed_time_unix_nano` | `@timestamp` |
//! | `severity_number` 1 to 24 | `level` (trace, debug, info, warn, error, fatal) and `severity_number` |
//! | `severity_text` | `severity_text` |
//! | `trace_id`, `span_id` | the same, in hexadecimal |
//! | `event_name` | `event.name` |
//! | body | `message`; a map, or a text that is a JSON object: its fields |
//! | attributes of the record, of its scope, of its resource | each under its own key, in this order: under a key that is there already behind `attributes.`, `scope.`, `resource.` |
//! | name and version of the scope | `otel.scope.name`, `otel.scope.version` |

use std::borrow::Cow;
use std::fmt;

use prost::Message;
use serde::de::{self, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize};

use crate::pipeline::clock::{self, EpochUnit};
use crate::pipeline::decode::LINE_MAX;
use crate::source::dialect::record::{self, Lines, Shared, Text};
use crate::source::dialect::{Made, Unreadable, bounds};

/// A request: records of several resources.
#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Request {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "list")]
    resource_logs: Vec<ResourceLogs>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ResourceLogs {
    #[prost(message, optional, tag = "1")]
    resource: Option<Resource>,
    #[prost(message, repeated, tag = "2")]
    #[serde(deserialize_with = "list")]
    scope_logs: Vec<ScopeLogs>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Resource {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "list")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ScopeLogs {
    #[prost(message, optional, tag = "1")]
    scope: Option<Scope>,
    #[prost(message, repeated, tag = "2")]
    #[serde(deserialize_with = "list")]
    log_records: Vec<LogRecord>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Scope {
    #[prost(bytes = "vec", tag = "1")]
    #[serde(deserialize_with = "text")]
    name: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    #[serde(deserialize_with = "text")]
    version: Vec<u8>,
    #[prost(message, repeated, tag = "3")]
    #[serde(deserialize_with = "list")]
    attributes: Vec<KeyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct LogRecord {
    #[prost(fixed64, tag = "1")]
    #[serde(deserialize_with = "unsigned")]
    time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    #[serde(deserialize_with = "severity")]
    severity_number: i32,
    #[prost(bytes = "vec", tag = "3")]
    #[serde(deserialize_with = "text")]
    severity_text: Vec<u8>,
    #[prost(message, optional, tag = "5")]
    body: Option<AnyValue>,
    #[prost(message, repeated, tag = "6")]
    #[serde(deserialize_with = "list")]
    attributes: Vec<KeyValue>,
    #[prost(bytes = "vec", tag = "9")]
    #[serde(deserialize_with = "hexadecimal")]
    trace_id: Vec<u8>,
    #[prost(bytes = "vec", tag = "10")]
    #[serde(deserialize_with = "hexadecimal")]
    span_id: Vec<u8>,
    #[prost(fixed64, tag = "11")]
    #[serde(deserialize_with = "unsigned")]
    observed_time_unix_nano: u64,
    #[prost(bytes = "vec", tag = "12")]
    #[serde(deserialize_with = "text")]
    event_name: Vec<u8>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct KeyValue {
    #[prost(bytes = "vec", tag = "1")]
    #[serde(deserialize_with = "text")]
    key: Vec<u8>,
    #[prost(message, optional, tag = "2")]
    value: Option<AnyValue>,
}

#[derive(Clone, PartialEq, Message)]
struct AnyValue {
    #[prost(oneof = "Any", tags = "1, 2, 3, 4, 5, 6, 7")]
    value: Option<Any>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
enum Any {
    #[prost(bytes, tag = "1")]
    Text(Vec<u8>),
    #[prost(bool, tag = "2")]
    Bool(bool),
    #[prost(int64, tag = "3")]
    Int(i64),
    #[prost(double, tag = "4")]
    Double(f64),
    #[prost(message, tag = "5")]
    List(List),
    #[prost(message, tag = "6")]
    Map(Map),
    #[prost(bytes, tag = "7")]
    Bytes(Vec<u8>),
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct List {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "list")]
    values: Vec<AnyValue>,
}

#[derive(Clone, PartialEq, Message, Deserialize)]
#[serde(default)]
struct Map {
    #[prost(message, repeated, tag = "1")]
    #[serde(deserialize_with = "list")]
    values: Vec<KeyValue>,
}

/// An answer.
#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_log_records: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`: why a request was not taken.
#[derive(Clone, PartialEq, Message, Serialize)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// How a request is written, and so its answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Notation {
    /// `application/x-protobuf`
    Proto,
    /// `application/json`
    Json,
}

impl Notation {
    /// The notation of a media type.
    pub fn of(media_type: &str) -> Option<Notation> {
        match media_type {
            "application/x-protobuf" | "application/protobuf" => Some(Notation::Proto),
            "application/json" => Some(Notation::Json),
            _ => None,
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Notation::Proto => "application/x-protobuf",
            Notation::Json => "application/json",
        }
    }

    /// The lines of a request, at most so many bytes of them.
    ///
    /// # Errors
    /// A body that is no request, or more lines than that.
    pub fn lines(self, body: &[u8], most: usize) -> Result<Made, Unreadable> {
        match self {
            Notation::Proto => bounds::proto(body, schema)?,
            Notation::Json => bounds::json(body)?,
        }
        let request = match self {
            Notation::Proto => Request::decode(body)
                .map_err(|bad| Unreadable::Malformed(format!("not an ExportLogsServiceRequest in protobuf: {bad}")))?,
            Notation::Json => serde_json::from_slice(body)
                .map_err(|bad| Unreadable::Malformed(format!("not an ExportLogsServiceRequest in JSON: {bad}")))?,
        };
        lines_of(&request, most)
    }

    /// The answer to a request that was taken.
    pub fn taken(self, made: &Made) -> Vec<u8> {
        let partial = made.why.as_ref().map(|why| PartialSuccess {
            rejected_log_records: i64::try_from(made.refused).unwrap_or(i64::MAX),
            error_message: format!("{why}; kept as a reject, and counted"),
        });
        match self {
            Notation::Proto => Response { partial_success: partial }.encode_to_vec(),
            Notation::Json => match partial {
                None => b"{}".to_vec(),
                Some(PartialSuccess { rejected_log_records, error_message }) => serde_json::json!({
                    "partialSuccess": {
                        // 64-bit numbers are texts in JSON.
                        "rejectedLogRecords": rejected_log_records.to_string(),
                        "errorMessage": error_message,
                    },
                })
                .to_string()
                .into_bytes(),
            },
        }
    }

    /// The answer to one that was not. `code`: of `google.rpc.Code`.
    pub fn refused(self, code: i32, words: &str) -> Vec<u8> {
        let status = Status { code, message: words.to_owned() };
        match self {
            Notation::Proto => status.encode_to_vec(),
            Notation::Json => serde_json::to_vec(&status).unwrap_or_default(),
        }
    }
}

/// Which fields are messages: of a request (0), of the logs of a resource (1), a resource (2), the logs of a scope (3), a scope (4), a
/// record (5), a pair (6), a value (7), a list (8), a map (9).
fn schema(kind: u8, tag: u64) -> Option<u8> {
    match (kind, tag) {
        (0, 1) => Some(1),
        (1, 1) => Some(2),
        (1, 2) => Some(3),
        (3, 1) => Some(4),
        (3, 2) => Some(5),
        (2, 1) | (4, 3) | (5, 6) | (9, 1) => Some(6),
        (5, 5) | (6, 2) | (8, 1) => Some(7),
        (7, 5) => Some(8),
        (7, 6) => Some(9),
        _ => None,
    }
}

fn lossy(bytes: &[u8]) -> Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

/// Word of a severity number (OpenTelemetry log data model, "Severity fields").
fn level(number: i32) -> Option<&'static str> {
    match number {
        1..=4 => Some("trace"),
        5..=8 => Some("debug"),
        9..=12 => Some("info"),
        13..=16 => Some("warn"),
        17..=20 => Some("error"),
        21..=24 => Some("fatal"),
        _ => None,
    }
}

fn lines_of(request: &Request, most: usize) -> Result<Made, Unreadable> {
    let mut made = Made::default();
    let mut lines = Lines::default();
    for of_resource in &request.resource_logs {
        for of_scope in &of_resource.scope_logs {
            // A resource without a record costs nothing.
            if of_scope.log_records.is_empty() {
                continue;
            }
            let mut shared = Shared::default();
            if let Some(scope) = &of_scope.scope {
                for (key, text) in [("otel.scope.name", &scope.name), ("otel.scope.version", &scope.version)] {
                    if !text.is_empty() {
                        shared.add(key, |out| record::put_text(out, &lossy(text)));
                    }
                }
                scope.attributes.iter().for_each(|field| share(&mut shared, "scope", field));
            }
            let resource = of_resource.resource.iter().flat_map(|resource| &resource.attributes);
            resource.for_each(|field| share(&mut shared, "resource", field));
            for of_record in &of_scope.log_records {
                let from = lines.out.len();
                if from + shared.len() > most {
                    return Err(Unreadable::TooLong(most));
                }
                let refused = line(&mut lines, of_record, &shared);
                let length = lines.out.len() - from;
                made.add((length > LINE_MAX).then_some("a record is longer than a line may be").or(refused));
            }
        }
    }
    if lines.out.len() > most {
        return Err(Unreadable::TooLong(most));
    }
    made.lines = lines.out;
    Ok(made)
}

fn share(shared: &mut Shared, prefix: &str, field: &KeyValue) {
    if let Some(value) = field.value.as_ref().and_then(|any| any.value.as_ref()) {
        let key = lossy(&field.key);
        if !shared.has(&key) {
            shared.add(&key, |out| put_any(out, value));
        } else {
            shared.add(&format!("{prefix}.{key}"), |out| put_any(out, value));
        }
    }
}

/// Writes the line of a record. Says why it can only be a reject, where that is so.
fn line(lines: &mut Lines, of_record: &LogRecord, shared: &Shared) -> Option<&'static str> {
    let body = of_record.body.as_ref().and_then(|any| any.value.as_ref());
    let body_text = match body {
        Some(Any::Text(text)) => lossy(text),
        Some(Any::Bool(_) | Any::Int(_) | Any::Double(_) | Any::List(_) | Any::Map(_) | Any::Bytes(_)) | None => {
            Cow::Borrowed("")
        }
    };
    let text = Text::of(&body_text);
    let from = lines.out.len();
    lines.begin();
    let nanos = match (of_record.time_unix_nano, of_record.observed_time_unix_nano) {
        (0, _) if text.has_time() => None,
        (0, observed) => Some(observed),
        (time, _) => Some(time),
    };
    let refused = match nanos {
        None => {
            lines.own_time(&text);
            None
        }
        Some(0) => Some("a record has no time"),
        Some(nanos) => {
            let digits = nanos.to_string();
            lines.field("", record::TIME, |out| out.extend_from_slice(digits.as_bytes()));
            let taken = clock::parse_epoch(&digits, Some(EpochUnit::Nanos)).is_ok();
            (!taken).then_some("a record has a time outside the years 1980 to 2199")
        }
    };
    if let Some(level) = level(of_record.severity_number) {
        lines.field("", "level", |out| record::put_text(out, level));
        lines.field("", "severity_number", |out| {
            out.extend_from_slice(of_record.severity_number.to_string().as_bytes());
        });
    }
    if !of_record.severity_text.is_empty() {
        lines.field("", "severity_text", |out| record::put_text(out, &lossy(&of_record.severity_text)));
    }
    for (key, id, length) in [("trace_id", &of_record.trace_id, 16), ("span_id", &of_record.span_id, 8)] {
        if id.len() == length && id.iter().any(|byte| *byte != 0) {
            lines.field("", key, |out| put_hexadecimal(out, id));
        }
    }
    if !of_record.event_name.is_empty() {
        lines.field("", "event.name", |out| record::put_text(out, &lossy(&of_record.event_name)));
    }
    for field in &of_record.attributes {
        put_field(lines, "attributes", field);
    }
    match body {
        None => {}
        Some(Any::Text(_)) => lines.text("body", &text),
        Some(Any::Map(map)) => map.values.iter().for_each(|field| put_field(lines, "body", field)),
        Some(other @ (Any::Bool(_) | Any::Int(_) | Any::Double(_) | Any::List(_) | Any::Bytes(_))) => {
            lines.field("body", record::MESSAGE, |out| put_any(out, other));
        }
    }
    lines.shared("resource", shared);
    lines.end(from);
    refused
}

fn put_field(lines: &mut Lines, prefix: &str, field: &KeyValue) {
    if let Some(value) = field.value.as_ref().and_then(|any| any.value.as_ref()) {
        lines.field(prefix, &lossy(&field.key), |out| put_any(out, value));
    }
}

fn put_any(out: &mut Vec<u8>, any: &Any) {
    match any {
        Any::Text(text) => record::put_text(out, &lossy(text)),
        Any::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
        Any::Int(number) => out.extend_from_slice(number.to_string().as_bytes()),
        Any::Double(number) => record::put_double(out, *number),
        Any::Bytes(bytes) => put_base64(out, bytes),
        Any::List(list) => {
            out.push(b'[');
            for (number, item) in list.values.iter().enumerate() {
                if number > 0 {
                    out.push(b',');
                }
                match &item.value {
                    Some(value) => put_any(out, value),
                    None => out.extend_from_slice(b"null"),
                }
            }
            out.push(b']');
        }
        Any::Map(map) => {
            let mut fields = Shared::default();
            for field in &map.values {
                if let Some(value) = field.value.as_ref().and_then(|any| any.value.as_ref()) {
                    fields.add(&lossy(&field.key), |out| put_any(out, value));
                }
            }
            out.push(b'{');
            fields.put(out);
            out.push(b'}');
        }
    }
}

fn put_hexadecimal(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push(b'"');
    for byte in bytes {
        out.extend([byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
    }
    out.push(b'"');
}

/// As protobuf's JSON has it (RFC 4648, section 4).
fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    out.push(b'"');
    for three in bytes.chunks(3) {
        let word = three.iter().fold(0u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        let digits = [18, 12, 6, 0].map(|shift| DIGITS[(word >> shift & 63) as usize]);
        out.extend_from_slice(&digits[..=three.len()]);
        out.extend(std::iter::repeat_n(b'=', 3 - three.len()));
    }
    out.push(b'"');
}

/// A list; `null` is an empty one.
fn list<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}

fn text<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    Ok(Option::<String>::deserialize(from)?.unwrap_or_default().into_bytes())
}

/// A number, as one or as a text.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Number(serde_json::Number),
    Text(String),
}

impl Written {
    fn parse<T: std::str::FromStr, E: de::Error>(self, what: &str) -> Result<T, E> {
        let text = match self {
            Written::Number(number) => number.to_string(),
            Written::Text(text) => text,
        };
        text.parse().map_err(|_| E::custom(format!("{what} expected, found `{text}`")))
    }
}

fn unsigned<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
    Option::<Written>::deserialize(from)?.map_or(Ok(0), |written| written.parse("a whole number"))
}

/// A severity number; some write its name, which says nothing here that the text would not.
fn severity<'de, D: Deserializer<'de>>(from: D) -> Result<i32, D::Error> {
    Ok(match Option::<Written>::deserialize(from)? {
        Some(Written::Number(number)) => number.as_i64().and_then(|number| i32::try_from(number).ok()).unwrap_or(0),
        Some(Written::Text(_)) | None => 0,
    })
}

fn hexadecimal<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    let text = Option::<String>::deserialize(from)?.unwrap_or_default();
    let digits: Option<Vec<u8>> = text.chars().map(|c| Some(c.to_digit(16)? as u8)).collect();
    match digits.filter(|digits| digits.len().is_multiple_of(2)) {
        Some(digits) => Ok(digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect()),
        None => Err(de::Error::custom("an id in hexadecimal digits expected")),
    }
}

impl<'de> Deserialize<'de> for AnyValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<AnyValue, D::Error> {
        struct OfFields;

        impl<'de> Visitor<'de> for OfFields {
            type Value = AnyValue;

            fn expecting(&self, words: &mut fmt::Formatter<'_>) -> fmt::Result {
                words.write_str("an object with one value, like {\"stringValue\":\"\"}")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<AnyValue, A::Error> {
                let mut value = None;
                while let Some(key) = map.next_key::<Cow<'_, str>>()? {
                    let found = match &*key {
                        // Bytes stay the text that they are written as.
                        "stringValue" | "bytesValue" => {
                            map.next_value::<Option<String>>()?.map(|text| Any::Text(text.into_bytes()))
                        }
                        "boolValue" => map.next_value::<Option<bool>>()?.map(Any::Bool),
                        "intValue" => match map.next_value::<Option<Written>>()? {
                            Some(written) => Some(Any::Int(written.parse("a whole number")?)),
                            None => None,
                        },
                        "doubleValue" => match map.next_value::<Option<Written>>()? {
                            Some(written) => Some(Any::Double(written.parse("a number")?)),
                            None => None,
                        },
                        "arrayValue" => map.next_value::<Option<List>>()?.map(Any::List),
                        "kvlistValue" => map.next_value::<Option<Map>>()?.map(Any::Map),
                        _ => {
                            map.next_value::<IgnoredAny>()?;
                            None
                        }
                    };
                    value = found.or(value);
                }
                Ok(AnyValue { value })
            }
        }

        from.deserialize_map(OfFields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 1 << 20;

    fn proto(hexadecimal: &str) -> Vec<u8> {
        let digits: Vec<u8> = hexadecimal.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
        digits.chunks(2).map(|two| two[0] << 4 | two[1]).collect()
    }

    fn text(made: &Made) -> String {
        String::from_utf8(made.lines.clone()).unwrap()
    }

    /// The bytes that an OpenTelemetry Collector 0.155 sent over HTTP: it writes scopes before their resource, and values before
    /// their keys.
    #[test]
    fn what_a_collector_sends_is_read() {
        let body = proto(concat!(
            "0a69124d12445208eee19b7ec3c1b1744a105b8efff798038103d269b633813fc60c3207120218070a016b2a0c0a0a68656c6c6f206f746c70",
            "1a045741524e100d090020c16860d4ea180a050a036c69620a180a1612060a04636172740a0c736572766963652e6e616d65",
        ));
        let made = Notation::Proto.lines(&body, MOST).unwrap();
        let expect = concat!(
            r#"{"@timestamp":1795480912000000000,"level":"warn","severity_number":13,"severity_text":"WARN","#,
            r#""trace_id":"5b8efff798038103d269b633813fc60c","span_id":"eee19b7ec3c1b174","k":7,"message":"hello otlp","#,
            r#""otel.scope.name":"lib","service.name":"cart"}"#,
            "\n"
        );
        assert_eq!(text(&made), expect);
        assert_eq!((made.records, made.refused), (1, 0));
        assert!(Notation::Proto.taken(&made).is_empty(), "full success leaves the field out");
        assert_eq!(Notation::Json.taken(&made), b"{}");
    }

    #[test]
    fn json_says_the_same_as_protobuf() {
        let body = r#"{"resourceLogs":[{"resource":{"attributes":[
            {"key":"service.name","value":{"stringValue":"web"}},{"key":"service.version","value":{"stringValue":"2.0"}},
            {"key":"k","value":{"stringValue":"of the resource"}}],"droppedAttributesCount":0},
            "scopeLogs":[{"scope":{"name":"lib","attributes":[{"key":"k","value":{"boolValue":true}}]},"logRecords":[
            {"timeUnixNano":"1700000000000000001","severityNumber":17,"traceId":"5B8EFFF798038103D269B633813FC60C",
             "body":{"kvlistValue":{"values":[{"key":"status","value":{"intValue":"503"}},
               {"key":"m","value":{"kvlistValue":{"values":[{"key":"x","value":{"doubleValue":0.5}}]}}}]}},
             "attributes":[{"key":"list","value":{"arrayValue":{"values":[{"intValue":1},{},{"stringValue":"a\nb"}]}}},
               {"key":"nothing","value":{}},{"key":"nan","value":{"doubleValue":"NaN"}}],"unknown":{"x":[1]}},
            {"observedTimeUnixNano":1700000000000000002,"body":null,"attributes":null,"severityText":"Information"}]}]}]}"#;
        let made = Notation::Json.lines(body.as_bytes(), MOST).unwrap();
        let expect = concat!(
            r#"{"@timestamp":1700000000000000001,"level":"error","severity_number":17,"trace_id":"5b8efff798038103d269b633813fc60c","#,
            r#""list":[1,null,"a\nb"],"nan":"NaN","status":503,"m":{"x":0.5},"otel.scope.name":"lib","k":true,"#,
            r#""service.name":"web","service.version":"2.0","resource.k":"of the resource"}"#,
            "\n",
            r#"{"@timestamp":1700000000000000002,"severity_text":"Information","otel.scope.name":"lib","k":true,"#,
            r#""service.name":"web","service.version":"2.0","resource.k":"of the resource"}"#,
            "\n",
        );
        assert_eq!(text(&made), expect);
        let again = Request::decode(&*serde_json::from_str::<Request>(body).unwrap().encode_to_vec()).unwrap();
        assert_eq!(text(&lines_of(&again, MOST).unwrap()), expect);
    }

    /// A program that logs JSON to its console, read by a collector that knows nothing of it.
    #[test]
    fn a_body_that_is_json_is_its_fields() {
        let body = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"level","value":{"stringValue":"x"}}]},"scopeLogs":[{"logRecords":[
            {"observedTimeUnixNano":"1700000009000000000","body":{"stringValue":"{\"ts\":1700000001.5,\"level\":\"error\",\"msg\":\"no\"}"}},
            {"timeUnixNano":"1700000003000000000","body":{"stringValue":"{\"ts\":1700000001.5}"}}]}]}]}"#;
        let made = Notation::Json.lines(body.as_bytes(), MOST).unwrap();
        let expect = concat!(
            r#"{"@timestamp":1700000001.5,"ts":1700000001.5,"level":"error","msg":"no","resource.level":"x"}"#,
            "\n",
            r#"{"@timestamp":1700000003000000000,"ts":1700000001.5,"level":"x"}"#,
            "\n",
        );
        assert_eq!(text(&made), expect);
    }

    #[test]
    fn records_without_a_time_are_refused_and_kept() {
        let body = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"lost"}},
            {"timeUnixNano":"5","body":{"stringValue":"1970"}},{"timeUnixNano":"1700000000000000000"}]}]}]}"#;
        let made = Notation::Json.lines(body.as_bytes(), MOST).unwrap();
        assert_eq!((made.records, made.refused), (3, 2));
        assert_eq!(
            text(&made),
            "{\"message\":\"lost\"}\n{\"@timestamp\":5,\"message\":\"1970\"}\n{\"@timestamp\":1700000000000000000}\n"
        );
        let said: serde_json::Value = serde_json::from_slice(&Notation::Json.taken(&made)).unwrap();
        assert_eq!(said["partialSuccess"]["rejectedLogRecords"], "2");
        let said = Response::decode(&*Notation::Proto.taken(&made)).unwrap().partial_success.unwrap();
        assert_eq!(said.rejected_log_records, 2);
        assert!(said.error_message.starts_with("a record has no time"), "{}", said.error_message);
    }

    /// A text that is not UTF-8 costs itself alone.
    #[test]
    fn texts_that_are_not_utf_8_do_not_cost_a_batch() {
        let key_value = |key: &[u8]| KeyValue {
            key: key.to_vec(),
            value: Some(AnyValue { value: Some(Any::Bytes(vec![0xff, 0, 1, 2])) }),
        };
        let log_record = LogRecord {
            time_unix_nano: 1_700_000_000_000_000_000,
            body: Some(AnyValue { value: Some(Any::Text(b"caf\xe9".to_vec())) }),
            attributes: vec![key_value(b"\xffk")],
            ..LogRecord::default()
        };
        let of_scope = ScopeLogs { log_records: vec![log_record], ..ScopeLogs::default() };
        let request =
            Request { resource_logs: vec![ResourceLogs { scope_logs: vec![of_scope], ..ResourceLogs::default() }] };
        let made = Notation::Proto.lines(&request.encode_to_vec(), MOST).unwrap();
        assert_eq!(
            text(&made),
            "{\"@timestamp\":1700000000000000000,\"\u{fffd}k\":\"/wABAg==\",\"message\":\"caf\u{fffd}\"}\n"
        );
    }

    #[test]
    fn what_is_no_request_is_refused_and_a_bomb_is_not_unfolded() {
        for body in [
            "",
            "{\"resourceLogs\":5}",
            "[]",
            "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"traceId\":\"xyz\"}]}]}]}",
        ] {
            assert!(matches!(Notation::Json.lines(body.as_bytes(), MOST), Err(Unreadable::Malformed(_))), "{body}");
        }
        assert!(matches!(Notation::Proto.lines(b"\xff\xff\xff", MOST), Err(Unreadable::Malformed(_))));
        assert_eq!(Notation::Proto.lines(b"", MOST).unwrap(), Made::default(), "an empty request is one");
        // A list in a list, and so on, far deeper than any line may be.
        let framed = |tag: u8, inner: &[u8]| {
            let mut outer = vec![tag];
            prost::encoding::encode_varint(inner.len() as u64, &mut outer);
            outer.extend_from_slice(inner);
            outer
        };
        let any = (0..2_000).fold(Vec::new(), |any, _| framed(0x2a, &framed(0x0a, &any)));
        let body = framed(0x0a, &framed(0x12, &framed(0x12, &framed(0x2a, &any))));
        assert!(matches!(Notation::Proto.lines(&body, MOST), Err(Unreadable::Malformed(_))));
        // A large resource with very many empty records.
        let value = Some(AnyValue { value: Some(Any::Text(vec![b'x'; 10_000])) });
        let resource = Some(Resource { attributes: vec![KeyValue { key: b"k".to_vec(), value }] });
        let of_scope = ScopeLogs { log_records: vec![LogRecord::default(); 10_000], ..ScopeLogs::default() };
        let request = Request { resource_logs: vec![ResourceLogs { resource, scope_logs: vec![of_scope] }] };
        assert_eq!(Notation::Proto.lines(&request.encode_to_vec(), MOST), Err(Unreadable::TooLong(MOST)));
    }

    /// Two bytes of an empty record would be hundreds in memory.
    #[test]
    fn very_many_empty_messages_are_refused_before_they_are_made() {
        let most = bounds::MESSAGES_MAX;
        let empty = KeyValue { key: Vec::new(), value: Some(AnyValue { value: Some(Any::Map(Map::default())) }) };
        let list = List { values: vec![AnyValue::default(); most] };
        let scope = Scope { attributes: vec![empty.clone(); most / 2], ..Scope::default() };
        let record = |value: Any| LogRecord { body: Some(AnyValue { value: Some(value) }), ..LogRecord::default() };
        for of_scope in [
            ScopeLogs { log_records: vec![LogRecord::default(); most], ..ScopeLogs::default() },
            ScopeLogs { log_records: vec![record(Any::List(list))], ..ScopeLogs::default() },
            ScopeLogs { scope: Some(scope), log_records: vec![LogRecord::default()] },
            ScopeLogs {
                log_records: vec![record(Any::Map(Map { values: vec![empty; most / 2] }))],
                ..ScopeLogs::default()
            },
        ] {
            let of_resource = ResourceLogs { scope_logs: vec![of_scope], ..ResourceLogs::default() };
            let body = Request { resource_logs: vec![of_resource] }.encode_to_vec();
            assert_eq!(Notation::Proto.lines(&body, MOST), Err(Unreadable::TooMany(most)));
        }
        let body = format!("{{\"resourceLogs\":[{}]}}", vec!["{}"; most].join(","));
        assert_eq!(Notation::Json.lines(body.as_bytes(), MOST), Err(Unreadable::TooMany(most)));
    }

    #[test]
    fn base64_is_that_of_the_standard() {
        for (bytes, expect) in [("", "\"\""), ("f", "\"Zg==\""), ("fo", "\"Zm8=\""), ("foobar", "\"Zm9vYmFy\"")] {
            let mut out = Vec::new();
            put_base64(&mut out, bytes.as_bytes());
            assert_eq!(String::from_utf8(out).unwrap(), expect);
        }
    }
}
