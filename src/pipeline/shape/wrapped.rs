//! What tools and collectors put around a line.

use super::text::time_of;
use super::{Object, first_key, klog, lambda, rails, records, servers};
use crate::pipeline::access;
use crate::pipeline::clock;
use crate::pipeline::json::{self, Str, Value};

/// An object around a line; `key`: the text from its first key on.
pub(super) fn of_object(line: &str, key: &str, depth: usize) -> Option<String> {
    if key.starts_with("log\"") {
        docker(line, depth)
    } else if key.starts_with("labels\"") || key.starts_with("line\"") {
        logcli(line, depth)
    } else if key.starts_with("topic\"") {
        kcat(line, depth)
    } else if key.starts_with("_index\"") || key.starts_with("_id\"") || key.starts_with("_source\"") {
        hit(line).or_else(|| if key.starts_with("_id\"") { records::datadog(line) } else { None })
    } else if key.starts_with("id\"") {
        records::datadog(line)
    } else if key.starts_with('_') || key.bytes().next().is_some_and(|first| first.is_ascii_uppercase()) {
        journal(line, depth)
    } else {
        None
    }
}

/// The fields of an object that are asked for, in this order.
pub(super) fn fields<'a, const N: usize>(object: &'a str, names: [&str; N]) -> Option<[Option<Value<'a>>; N]> {
    let mut found = [None; N];
    json::scan_object(object, &mut |key: Str<'a>, value: Value<'a>| {
        if let Some(at) = names.iter().position(|name| key.is(name)) {
            found[at] = Some(value);
        }
    })
    .ok()?;
    Some(found)
}

fn docker(line: &str, depth: usize) -> Option<String> {
    let [Some(Value::String(log)), Some(Value::String(time)), Some(Value::String(_))] =
        fields(line, ["log", "time", "stream"])?
    else {
        return None;
    };
    let mut object = Object::new();
    object.text("time", &time.get());
    object.line(&log.get(), depth);
    Some(object.end())
}

fn logcli(line: &str, depth: usize) -> Option<String> {
    let [Some(Value::String(inner)), Some(Value::String(time)), labels] =
        fields(line, ["line", "timestamp", "labels"])?
    else {
        return None;
    };
    let mut object = Object::new();
    if let Some(Value::Object(labels)) = labels {
        object.fields_of(labels);
    }
    object.text("time", &time.get());
    object.line(&inner.get(), depth);
    Some(object.end())
}

fn kcat(line: &str, depth: usize) -> Option<String> {
    let [Some(Value::String(payload)), ts, key, Some(Value::Number(_))] =
        fields(line, ["payload", "ts", "key", "partition"])?
    else {
        return None;
    };
    let mut object = Object::new();
    if let Some(Value::Number(ts)) = ts {
        object.raw("time", ts);
    }
    if let Some(Value::String(key)) = key {
        object.text("kafka.key", &key.get());
    }
    object.line(&payload.get(), depth);
    Some(object.end())
}

fn hit(line: &str) -> Option<String> {
    let [Some(Value::Object(source)), Some(_)] = fields(line, ["_source", "_index"])? else { return None };
    Some(source.to_owned())
}

fn journal(line: &str, depth: usize) -> Option<String> {
    if !line.contains("\"__REALTIME_TIMESTAMP\"") {
        return None;
    }
    let names = ["__REALTIME_TIMESTAMP", "MESSAGE", "PRIORITY", "_HOSTNAME", "SYSLOG_IDENTIFIER"];
    let [Some(Value::String(time)), Some(Value::String(message)), level, host, app] = fields(line, names)? else {
        return None;
    };
    let mut object = Object::new();
    object.value("time", &time.get());
    for (key, value) in [("level", level), ("host.name", host), ("app", app)] {
        if let Some(Value::String(value)) = value {
            object.text(key, &value.get());
        }
    }
    object.line(&message.get(), depth);
    Some(object.end())
}

/// Text around a line.
pub(super) fn of_text(line: &str, depth: usize) -> Option<String> {
    kubectl(line, depth)
        .or_else(|| runtime(line, depth))
        .or_else(|| compose(line, depth))
        .or_else(|| stamped(line, depth))
}

/// `[pod/NAME/CONTAINER] ...`
fn kubectl(line: &str, depth: usize) -> Option<String> {
    let (names, inner) = line.strip_prefix("[pod/")?.split_once(']')?;
    let (pod, container) = names.split_once('/')?;
    let mut object = Object::new();
    object.text("k8s.pod.name", pod);
    object.text("k8s.container.name", container);
    object.line(inner, depth);
    Some(object.end())
}

/// `TIME stdout F ...`
fn runtime(line: &str, depth: usize) -> Option<String> {
    let mut parts = line.splitn(4, ' ');
    let (time, stream, tag, inner) = (parts.next()?, parts.next()?, parts.next()?, parts.next().unwrap_or_default());
    if !matches!(stream, "stdout" | "stderr") || !matches!(tag, "F" | "P") || clock::parse_time(time).is_err() {
        return None;
    }
    let mut object = Object::new();
    object.text("time", time);
    object.line(inner, depth);
    Some(object.end())
}

/// `NAME-1  | ...`
fn compose(line: &str, depth: usize) -> Option<String> {
    let (name, inner) = line.split_once(" | ")?;
    let name = name.trim_ascii_end();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_name) || inner.trim_ascii().is_empty() {
        return None;
    }
    let (service, number) =
        name.rsplit_once('-').filter(|(_, number)| number.bytes().all(|byte| byte.is_ascii_digit()))?;
    let mut object = Object::new();
    object.text("app", service);
    object.text("instance", &format!("{service}-{number}"));
    object.line(inner, depth);
    Some(object.end())
}

/// An object, an access log, or what Lambda says of a call.
fn says_more(line: &str) -> bool {
    line.starts_with("{\"") && !first_key(line).is_empty()
        || access::parse_access(line).is_some()
        || lambda::object(line).is_some()
        || servers::object(line).is_some()
        || rails::object(line).is_some()
        || klog::object(line).is_some()
        // A time before a line that has its own.
        || time_of(line).is_some()
}

/// A time, and then an object, an access log or another line that says more than text.
fn stamped(line: &str, depth: usize) -> Option<String> {
    let (time, inner) = time_of(line)?;
    let inner = inner.trim_ascii_start();
    // `aws logs tail` has the stream between the two.
    let inner = match inner.split_once(' ') {
        Some((_, behind)) if !says_more(inner) && says_more(behind) => behind,
        _ => inner,
    };
    if !says_more(inner) {
        return None;
    }
    let mut object = Object::new();
    object.text("time", &time);
    object.line(inner, depth);
    Some(object.end())
}
