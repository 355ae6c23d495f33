//! Lines over HTTP: `POST /ingest`. Answered once they are on disk.
//!
//! One JSON object or one access-log line a line; or a JSON array, or one JSON object over several lines. A line that nobody can
//! read is taken all the same: it becomes a reject, which is counted and shown. With `?debug=1` nothing is stored, and the
//! answer says what the lines are understood as.

use std::io::Read;
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_64;

use crate::cli::compare;
use crate::event::{Event, FieldForm, Intern, Kind, NO_LATENCY, Names, name_at};
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::survey::{RoleReport, Wishes};
use crate::source::wal::{AppendError, Appended, PAYLOAD_MAX, Wal};

/// Longest body as it is sent.
const BODY_MAX: usize = 32 << 20;
/// How long a client may take to send a body.
const BODY_TIME: Duration = Duration::from_secs(30);
/// Lines that `debug=1` tells of.
const DEBUG_LINES: usize = 1_000;
/// Longest idempotency key.
const KEY_MAX: usize = 256;

/// Why a body was not taken, with the status that says so.
#[derive(Debug)]
struct Refused(StatusCode, String);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Refused(status, words) = self;
        let mut response = (status, axum::Json(json!({ "error": words }))).into_response();
        if matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE) {
            response.headers_mut().insert(header::RETRY_AFTER, header::HeaderValue::from_static("1"));
        }
        response
    }
}

/// Takes lines.
pub(super) async fn take(State(wal): State<Option<Wal>>, request: Request) -> Response {
    match taken(wal, request).await {
        Ok(body) => (StatusCode::OK, axum::Json(body)).into_response(),
        Err(refused) => refused.into_response(),
    }
}

async fn taken(wal: Option<Wal>, request: Request) -> Result<Value, Refused> {
    let (head, body) = request.into_parts();
    let Some(wal) = wal else {
        let words = "lines are taken from Kafka alone; start with --http to take them here too";
        return Err(Refused(StatusCode::NOT_FOUND, words.to_owned()));
    };
    let is_debug = head.uri.query().is_some_and(|query| query.split('&').any(|part| part == "debug=1"));
    let text = read(&head.headers, body).await?;
    if text.trim_ascii().is_empty() {
        return Ok(json!({ "accepted": 0 }));
    }
    let lines = count_lines(&text);
    if is_debug {
        return Ok(understood(&text));
    }
    let key = key(&head.headers)?;
    match wal.append(key, text).await {
        Ok(Appended::Record(_)) => Ok(json!({ "accepted": lines })),
        Ok(Appended::Repeated(_)) => Ok(json!({ "accepted": lines, "repeated": true })),
        Err(error @ AppendError::Full) => Err(Refused(StatusCode::TOO_MANY_REQUESTS, error.to_string())),
        Err(error @ (AppendError::Disk(_) | AppendError::Stopping)) => {
            Err(Refused(StatusCode::SERVICE_UNAVAILABLE, error.to_string()))
        }
    }
}

fn count_lines(text: &[u8]) -> usize {
    text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count()
}

/// By what a body is known when it is sent again; 0 without a key.
fn key(headers: &HeaderMap) -> Result<u64, Refused> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(0) };
    if value.is_empty() || value.len() > KEY_MAX {
        let words = format!("an idempotency key has 1 to {KEY_MAX} bytes");
        return Err(Refused(StatusCode::BAD_REQUEST, words));
    }
    Ok(xxh3_64(value.as_bytes()).max(1))
}

/// The body as lines, each ended by a newline.
async fn read(headers: &HeaderMap, body: Body) -> Result<Vec<u8>, Refused> {
    let too_large = |most: usize| {
        let words =
            format!("longer than {} MiB; send fewer lines at a time (split -C {}M app.log)", most >> 20, most >> 21);
        Refused(StatusCode::PAYLOAD_TOO_LARGE, words)
    };
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > BODY_MAX) {
        return Err(too_large(BODY_MAX));
    }
    let bytes = match tokio::time::timeout(BODY_TIME, axum::body::to_bytes(body, BODY_MAX)).await {
        Err(_) => return Err(Refused(StatusCode::REQUEST_TIMEOUT, "the body did not come in time".to_owned())),
        Ok(Err(_)) => return Err(too_large(BODY_MAX)),
        Ok(Ok(bytes)) => bytes,
    };
    let word = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().trim();
    let encoding = word(header::CONTENT_ENCODING).to_ascii_lowercase();
    let is_json = word(header::CONTENT_TYPE).split(';').next().is_some_and(|kind| kind.trim() == "application/json");
    let decoded = match encoding.as_str() {
        "" | "identity" => bytes.to_vec(),
        "gzip" | "x-gzip" => unpack(flate2::read::MultiGzDecoder::new(&*bytes))?,
        // By name zlib; some clients send the bare format.
        "deflate" => unpack(flate2::read::ZlibDecoder::new(&*bytes))
            .or_else(|_| unpack(flate2::read::DeflateDecoder::new(&*bytes)))?,
        "zstd" => unpack(zstd::Decoder::new(&*bytes).map_err(|error| damaged(&error))?)?,
        other => {
            let words = format!("content encoding `{}` is not known; use gzip, deflate, zstd or none", shown(other));
            return Err(Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
        }
    };
    let starts_list = decoded.trim_ascii_start().first() == Some(&b'[');
    let mut text = match is_json || starts_list {
        false => decoded,
        true => match one_a_line(&decoded) {
            Ok(lines) => lines,
            // `[main] INFO started` begins like a list, and lines may come under the wrong name: each is taken, or rejected, by
            // itself.
            Err(_) if !(is_json && starts_list) => decoded,
            Err(refused) => return Err(refused),
        },
    };
    if text.last().is_some_and(|last| *last != b'\n') {
        text.push(b'\n');
    }
    Ok(text)
}

fn shown(word: &str) -> String {
    word.chars().filter(|c| c.is_ascii_graphic()).take(40).collect()
}

fn damaged(error: &std::io::Error) -> Refused {
    Refused(StatusCode::BAD_REQUEST, format!("the body cannot be unpacked: {error}"))
}

fn unpack(reader: impl Read) -> Result<Vec<u8>, Refused> {
    let mut out = Vec::new();
    reader.take(PAYLOAD_MAX as u64).read_to_end(&mut out).map_err(|error| damaged(&error))?;
    if out.len() >= PAYLOAD_MAX {
        let words = format!("longer than {} MiB once unpacked; send fewer lines at a time", PAYLOAD_MAX >> 20);
        return Err(Refused(StatusCode::PAYLOAD_TOO_LARGE, words));
    }
    Ok(out)
}

/// JSON values, bare, in a list, or over several lines, as one a line.
fn one_a_line(text: &[u8]) -> Result<Vec<u8>, Refused> {
    let bad = |error: serde_json::Error| {
        let words = format!("not JSON: {error}; lines of JSON are `application/x-ndjson`");
        Refused(StatusCode::BAD_REQUEST, words)
    };
    let mut out = Vec::with_capacity(text.len());
    let mut add = |value: &RawValue| -> Result<(), Refused> {
        if value.get().contains('\n') {
            let value: Value = serde_json::from_str(value.get()).map_err(bad)?;
            out.extend_from_slice(value.to_string().as_bytes());
        } else {
            out.extend_from_slice(value.get().as_bytes());
        }
        out.push(b'\n');
        Ok(())
    };
    for value in serde_json::Deserializer::from_slice(text).into_iter::<&RawValue>() {
        let value = value.map_err(bad)?;
        if value.get().starts_with('[') {
            let list: Vec<&RawValue> = serde_json::from_str(value.get()).map_err(bad)?;
            list.into_iter().try_for_each(&mut add)?;
        } else {
            add(value)?;
        }
    }
    Ok(out)
}

/// What lines are understood as, taken by themselves.
fn understood(text: &[u8]) -> Value {
    let text = String::from_utf8_lossy(text);
    let head: String = text.lines().take(DEBUG_LINES).flat_map(|line| [line, "\n"]).collect();
    let looked = match compare::look_at_heads(&[("debug".to_owned(), head.clone())], &Wishes::default()) {
        Ok(looked) => looked,
        Err(error) => return json!({ "stored": false, "error": format!("{error:#}") }),
    };
    let plan = &looked.found.plan;
    let mut decoder = Decoder::new(plan, "debug");
    let events: Vec<Value> = head
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| match decoder.decode(line, 0) {
            Ok(Decoded::Event(event)) => event_json(&event, decoder.interner().names()),
            Ok(Decoded::Outside) => json!({ "left_out": true }),
            Err(reason) => json!({ "rejected": reason.name() }),
        })
        .collect();
    let roles = |role: &RoleReport| {
        let fields: Vec<&str> = role.fields.iter().map(|(field, _)| field.path.as_str()).collect();
        (role.role.name().to_owned(), json!(fields))
    };
    json!({
        "stored": false,
        "roles": looked.found.roles.iter().map(roles).collect::<serde_json::Map<_, _>>(),
        "unit": plan.unit.name(),
        "events": events,
    })
}

fn event_json(event: &Event, names: &Names) -> Value {
    let service = names.services.get(usize::from(event.service));
    let kind = match event.kind {
        Kind::Request => "request",
        Kind::Span => "span",
        Kind::Log => "log",
        Kind::Exposure => "exposure",
        Kind::Business => "event",
    };
    json!({
        "time": event.time.to_string(),
        "kind": kind,
        "environment": service.map(|key| &key.environment),
        "service": service.map(|key| &key.service),
        "arm": name_at(&names.arms, event.arm),
        "route": name_at(&names.routes, event.route),
        "instance": name_at(&names.instances, event.instance),
        "has_unit": event.unit != 0,
        "has_trace": event.trace != 0,
        "latency_us": (event.latency_us != NO_LATENCY).then_some(event.latency_us),
        "status_class": (event.status_class != 0).then_some(event.status_class),
        "status_unreadable": event.status_form == FieldForm::Unreadable,
        "error": event.error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> String {
        String::from_utf8(one_a_line(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn json_in_any_layout_is_one_value_a_line() {
        assert_eq!(lines(r#"[{"a":1},{"b":"[x]"}]"#), "{\"a\":1}\n{\"b\":\"[x]\"}\n");
        assert_eq!(lines("{\n \"a\": 1\n}"), "{\"a\":1}\n");
        assert_eq!(lines("{\"a\":1} {\"b\":2}\n{\"c\":3}"), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
        assert_eq!(lines("[]"), "");
        assert!(one_a_line(b"[{\"a\":1}, {").is_err() && one_a_line(b"{\"a\":1},").is_err());
    }

    #[test]
    fn a_bomb_is_refused_and_not_unpacked() {
        let bomb = zstd::encode_all(&vec![b' '; PAYLOAD_MAX + 1][..], 1).unwrap();
        let Refused(status, _) = unpack(zstd::Decoder::new(&*bomb).unwrap()).unwrap_err();
        assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    }
}
