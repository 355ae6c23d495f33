//! Objects in which a collector or a cloud keeps a line, told by a key of theirs that applications do not write.
//!
//! What is only a wrapping of fields (`jsonPayload`, `fields`, `properties`) stays as it is: the survey finds the fields in it
//! ([`WRAPPERS`](crate::pipeline::roles::WRAPPERS)).

use super::wrapped::fields;
use super::{DEPTH_MAX, Object};
use crate::pipeline::access;
use crate::pipeline::json::{self, Str, Value};
use crate::pipeline::roles::{self, Role};

/// Keys of an object by one of which such a record is told.
pub const KEYS: [&str; 12] = [
    "textPayload",
    "ingestionTime",
    "@message",
    "short_message",
    "stream",
    "source_type",
    "input",
    "podName",
    "record",
    "@version",
    "facility",
    "FACILITY",
];

/// Bytes of a line in which a record of Datadog shows what it is.
const NEAR: usize = 200;

/// The record as object, where it is one of these.
pub(super) fn object(line: &str, depth: usize) -> Option<String> {
    let mut found = [false; KEYS.len()];
    json::scan_object(line, &mut |key: Str<'_>, value: Value<'_>| {
        if let Some(at) = KEYS.iter().position(|known| key.is(known)) {
            found[at] = match value {
                Value::Object(_) => matches!(KEYS[at], "input" | "record"),
                Value::Number(_) => KEYS[at] == "ingestionTime",
                Value::String(_) => !matches!(KEYS[at], "input" | "record"),
                _ => false,
            };
        }
    })
    .ok()?;
    let [
        text_payload,
        ingestion_time,
        message,
        short_message,
        stream,
        source_type,
        input,
        pod,
        record,
        version,
        facility,
        macros,
    ] = found;
    if record {
        lambda(line)
    } else if pod {
        inside(line, "message", depth)
    } else if short_message {
        let object = gelf(line)?;
        Some(inside(&object, "message", depth).unwrap_or(object))
    } else if text_payload {
        inside(line, "textPayload", depth)
    } else if ingestion_time {
        inside(line, "message", depth)
    } else if message {
        inside(line, "@message", depth)
    } else if stream || source_type || input {
        inside(line, "log", depth).or_else(|| inside(line, "message", depth))
    } else if version && holds_no_request(line) {
        inside(line, "message", depth)
    } else if macros {
        of_macros(line, depth)
    } else if facility {
        // Templates of rsyslog.
        inside(line, "message", depth).or_else(|| inside(line, "msg", depth))
    } else {
        None
    }
}

/// Logstash keeps a line as it read it beside nothing that plays a role in a request; an application that writes its `@version` says a level.
fn holds_no_request(line: &str) -> bool {
    let mut says = false;
    let read = json::scan_object(line, &mut |key: Str<'_>, _: Value<'_>| {
        says |=
            matches!(roles::role_of_known(key.raw()), Some(Role::Status | Role::Latency | Role::Level | Role::User));
    });
    read.is_ok() && !says
}

/// The line in what a collector stored.
pub(super) fn held(source: &str, depth: usize) -> Option<String> {
    object(source, depth).or_else(|| inside(source, "log", depth)).or_else(|| inside(source, "message", depth))
}

/// `{"time":...,"type":"platform.report","record":{"requestId":...,"metrics":{"durationMs":...},"status":"success"}}` of Lambda, which is
/// a request.
fn lambda(line: &str) -> Option<String> {
    let [Some(Value::String(time)), Some(Value::String(kind)), Some(Value::Object(record))] =
        fields(line, ["time", "type", "record"])?
    else {
        return None;
    };
    if kind.get() != "platform.report" {
        return None;
    }
    let [id, status, metrics] = fields(record, ["requestId", "status", "metrics"])?;
    let mut object = Object::new();
    object.text("time", &time.get());
    object.text("kind", "request");
    if let Some(Value::String(id)) = id {
        object.text("request_id", &id.get());
    }
    if let Some(Value::Object(metrics)) = metrics
        && let [Some(Value::Number(took))] = fields(metrics, ["durationMs"])?
    {
        object.raw("duration_ms", took);
    }
    let is_good = matches!(status, Some(Value::String(status)) if status.get() == "success");
    object.raw("failed", if is_good { "false" } else { "true" });
    object.text("message", line);
    Some(object.end())
}

/// An object in whose text another line stands: its other fields, and then what that line says. Text of no known form stays where it is.
pub(super) fn inside(line: &str, key: &str, depth: usize) -> Option<String> {
    let [Some(Value::String(text))] = fields(line, [key])? else { return None };
    let text = text.get();
    let text = text.trim_ascii();
    let is_line =
        text.starts_with('{') || access::parse_access(text).is_some() || super::unwrapped(text, DEPTH_MAX).is_some();
    if depth >= DEPTH_MAX || !is_line {
        return None;
    }
    let mut inner = Object::new();
    inner.line(text, depth);
    let inner = inner.end();
    let has_time = has_time(&inner);
    let mut object = Object::new();
    // What told the record goes, so that the object is not taken for one once more.
    json::scan_object(line, &mut |name: Str<'_>, value: Value<'_>| match name.raw() {
        "stream" => object.value_of("log.iostream", value),
        raw if raw == key || KEYS.contains(&raw) => {}
        // When the collector had it says less than the line.
        raw if has_time && roles::role_of_known(raw) == Some(Role::Time) => {}
        _ => object.field(name, value),
    })
    .ok()?;
    object.fields_of(&inner);
    Some(object.end())
}

/// `{"PROGRAM":"shop","PRIORITY":"info","MESSAGE":"...","ISODATE":"...","HOST":"web-1","FACILITY":"user"}`: macros of syslog-ng under their own
/// names, as its `format-json` writes them.
fn of_macros(line: &str, depth: usize) -> Option<String> {
    const TIMES: [&str; 4] = ["ISODATE", "S_ISODATE", "R_ISODATE", "DATE"];
    let [Some(Value::String(message)), times @ ..] = fields(line, ["MESSAGE", TIMES[0], TIMES[1], TIMES[2], TIMES[3]])?
    else {
        return None;
    };
    let mut inner = Object::new();
    inner.line(&message.get(), depth);
    let inner = inner.end();
    let mut object = Object::new();
    if let Some(time) = times.into_iter().flatten().next().filter(|_| !has_time(&inner)) {
        object.value_of("time", time);
    }
    json::scan_object(line, &mut |name: Str<'_>, value: Value<'_>| match name.raw() {
        "PRIORITY" | "LEVEL" => object.value_of("level", value),
        "HOST" => object.value_of("host.name", value),
        "PROGRAM" => object.value_of("app", value),
        "PID" => object.value_of("process.pid", value),
        "FACILITY" => object.value_of("log.syslog.facility.name", value),
        "MESSAGE" => {}
        raw if TIMES.contains(&raw) => {}
        _ => object.field(name, value),
    })
    .ok()?;
    object.fields_of(&inner);
    Some(object.end())
}

/// The line says itself when it was written.
fn has_time(object: &str) -> bool {
    let mut has = false;
    let read = json::scan_object(object, &mut |key: Str<'_>, _: Value<'_>| {
        has |= matches!(roles::role_of_known(key.raw()), Some(Role::Time | Role::Start));
    });
    has && read.is_ok()
}

/// GELF (`{"version":"1.1","host":...,"short_message":...,"_field":...}`): its version is that of the format.
fn gelf(line: &str) -> Option<String> {
    let mut object = Object::new();
    json::scan_object(line, &mut |name: Str<'_>, value: Value<'_>| {
        let raw = name.raw();
        match raw {
            "version" => {}
            "host" => object.value_of("host.name", value),
            "short_message" => object.value_of("message", value),
            "full_message" => object.value_of("full_message", value),
            _ => match raw.strip_prefix('_').filter(|rest| !rest.is_empty()) {
                Some(own) => {
                    object.raw_key(own);
                    object.put(value);
                }
                None => object.field(name, value),
            },
        }
    })
    .ok()?;
    Some(object.end())
}

/// What Datadog keeps of a line, as it stands in its archives and as its API gives it (`content`): its status is a level.
pub(super) fn datadog(line: &str) -> Option<String> {
    let start = line.as_bytes().get(..NEAR).unwrap_or(line.as_bytes());
    let is_there = |key: &str| memchr::memmem::find(start, key.as_bytes()).is_some();
    if !(is_there("\"type\":\"log\"") || is_there("\"content\":{") || line.starts_with("{\"_id\"")) {
        return None;
    }
    let [content, attributes, date, tags] = fields(line, ["content", "attributes", "date", "tags"])?;
    let record = match (content, attributes, date, tags) {
        (Some(Value::Object(content)), ..) => content,
        // `{"id":...,"type":"log","attributes":{"attributes":{...},"service":...}}`
        (None, Some(Value::Object(outer)), None, _) if fields(outer, ["service", "timestamp"])?[1].is_some() => outer,
        (None, Some(Value::Object(_)), Some(_), _) => line,
        _ => return None,
    };
    let mut object = Object::new();
    let mut own = None;
    json::scan_object(record, &mut |name: Str<'_>, value: Value<'_>| match (name.raw(), value) {
        ("status", Value::String(_)) => object.value_of("level", value),
        ("date", _) => object.value_of("timestamp", value),
        ("attributes", Value::Object(attributes)) => own = Some(attributes),
        ("tags", Value::Array(tags)) => put_tags(&mut object, tags),
        ("_id" | "id" | "source", _) => {}
        _ => object.field(name, value),
    })
    .ok()?;
    if let Some(own) = own {
        json::scan_object(own, &mut |name: Str<'_>, value: Value<'_>| match (name.raw(), value) {
            // A standard attribute, in nanoseconds.
            ("duration", Value::Number(_)) => object.value_of("duration_ns", value),
            _ => object.field(name, value),
        })
        .ok()?;
    }
    Some(object.end())
}

/// `["env:prod","version:1.2"]`
fn put_tags(object: &mut Object, tags: &str) {
    let Ok(tags) = serde_json::from_str::<Vec<String>>(tags) else { return };
    for (key, value) in tags.iter().filter_map(|tag| tag.split_once(':')) {
        if matches!(key, "env" | "version" | "pod_name" | "kube_deployment") {
            object.text(key, value);
        }
    }
}
