//! What tools and collectors put around a line.

use super::text::time_of;
use super::{DEPTH_MAX, Object, first_key, klog, lambda, logfmt, rails, records, servers};
use crate::pipeline::access;
use crate::pipeline::clock;
use crate::pipeline::json::{self, Str, Value};
use crate::pipeline::values;

/// An object around a line; `key`: the text from its first key on.
pub(super) fn of_object(line: &str, key: &str, depth: usize) -> Option<String> {
    if key.starts_with("log\"") {
        docker(line, depth)
    } else if key.starts_with("labels\"") || key.starts_with("line\"") {
        logcli(line, depth)
    } else if key.starts_with("topic\"") {
        kcat(line, depth)
    } else if key.starts_with("_index\"") || key.starts_with("_id\"") || key.starts_with("_source\"") {
        hit(line, depth).or_else(|| if key.starts_with("_id\"") { records::datadog(line) } else { None })
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

fn hit(line: &str, depth: usize) -> Option<String> {
    let [Some(Value::Object(source)), Some(_)] = fields(line, ["_source", "_index"])? else { return None };
    // A collector may have put a line into it.
    let held = || if depth < DEPTH_MAX { records::held(source, depth + 1) } else { None };
    Some(held().unwrap_or_else(|| source.to_owned()))
}

fn journal(line: &str, depth: usize) -> Option<String> {
    if !line.contains("\"__REALTIME_TIMESTAMP\"") {
        return None;
    }
    let names = ["__REALTIME_TIMESTAMP", "MESSAGE", "PRIORITY", "_HOSTNAME", "SYSLOG_IDENTIFIER"];
    let [Some(Value::String(time)), Some(message), level, host, app] = fields(line, names)? else { return None };
    let message: String = match message {
        Value::String(text) => text.get().into_owned(),
        // What is no plain text, such as colours, stands as its bytes.
        Value::Array(raw) => String::from_utf8_lossy(&serde_json::from_str::<Vec<u8>>(raw).ok()?).into_owned(),
        _ => return None,
    };
    let mut object = Object::new();
    object.value("time", &time.get());
    for (key, value) in [("level", level), ("host.name", host), ("app", app)] {
        if let Some(Value::String(value)) = value {
            object.text(key, &value.get());
        }
    }
    object.line(&message, depth);
    Some(object.end())
}

/// Text around a line.
pub(super) fn of_text(line: &str, depth: usize) -> Option<String> {
    kubectl(line, depth)
        .or_else(|| runtime(line, depth))
        .or_else(|| compose(line, depth))
        .or_else(|| stern(line, depth))
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

/// `POD CONTAINER ...` of stern, perhaps with a namespace before it. A pod of a Deployment is told by its name, others where what they
/// said is more than text.
fn stern(line: &str, depth: usize) -> Option<String> {
    let (first, rest) = line.split_once(' ')?;
    let (second, inner) = rest.split_once(' ')?;
    let is_name = |name: &str| {
        let is_of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        !name.is_empty() && name.bytes().all(is_of_name) && name.bytes().any(|byte| byte.is_ascii_lowercase())
    };
    if !is_name(first) || !is_name(second) {
        return None;
    }
    let (pod, container, inner) = match values::pod_template(second).and_then(|_| inner.split_once(' ')) {
        Some((container, inner)) if is_name(container) => (second, container, inner),
        _ => (first, second, inner),
    };
    let is_numbered = || {
        let end = pod.rsplit_once('-').map_or("", |(_, end)| end);
        !end.is_empty() && end.bytes().all(|byte| byte.is_ascii_digit())
    };
    if values::pod_template(pod).is_none() && !(is_numbered() && says_more(inner)) {
        return None;
    }
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
    let (name, rest) = line.split_once(' ')?;
    let inner = rest.trim_start_matches(' ').strip_prefix("| ")?;
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.@".contains(&byte);
    if name.is_empty() || !name.bytes().all(is_name) || inner.trim_ascii().is_empty() {
        return None;
    }
    // `NAME.1.ID@NODE` of a swarm.
    let swarm = name.split_once('@').and_then(|(task, _)| task.split_once('.'));
    let is_number = |number: &str| !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let service = match swarm {
        Some((service, _)) => service,
        None => match name.rsplit_once(['-', '_']).filter(|(_, number)| is_number(number)) {
            Some((service, _)) => service,
            // A name of one's own (`container_name`).
            None if says_more(inner.trim_ascii_start()) => name,
            None => return None,
        },
    };
    let mut object = Object::new();
    object.text("app", service);
    object.text("instance", name);
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

/// `TIME {app="shop", pod="a"} LINE`, as `logcli` writes it where nobody says otherwise.
fn labelled(time: &str, inner: &str, depth: usize) -> Option<String> {
    let (labels, line) = inner.strip_prefix('{').filter(|rest| !rest.starts_with('"'))?.split_once("} ")?;
    let spaced = labels.replace("\", ", "\" ").replace("\",", "\" ");
    let mut object = Object::new();
    for item in logfmt::items(&spaced) {
        let logfmt::Item::Pair(key, value) = item else { return None };
        object.text(key, &value);
    }
    object.text("time", time);
    object.line(line, depth);
    Some(object.end())
}

/// `TIME app[ID] REGION [LEVEL]LINE` of Fly.
fn fly(time: &str, inner: &str, depth: usize) -> Option<String> {
    let (source, rest) = inner.split_once(' ')?;
    let (region, rest) = rest.split_once(' ')?;
    let (level, line) = rest.strip_prefix('[')?.split_once(']')?;
    let instance = source.strip_suffix(']')?.strip_prefix("app[")?;
    let is_word = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase());
    if region.len() != 3 || !is_word(region) || !is_word(level) {
        return None;
    }
    let mut object = Object::new();
    object.text("time", time);
    object.text("instance", instance);
    object.text("region", region);
    object.text("level", level);
    object.line(line, depth);
    Some(object.end())
}

/// A time, and then an object, an access log or another line that says more than text.
fn stamped(line: &str, depth: usize) -> Option<String> {
    let (time, inner) = time_of(line)?;
    let inner = inner.trim_ascii_start();
    if let Some(found) = labelled(time, inner, depth).or_else(|| fly(time, inner, depth)) {
        return Some(found);
    }
    // `aws logs tail` has the stream between the two.
    let inner = match inner.split_once(' ') {
        Some((_, behind)) if !says_more(inner) && says_more(behind) => behind,
        _ => inner,
    };
    if !says_more(inner) {
        return None;
    }
    let mut object = Object::new();
    object.text("time", time);
    object.line(inner, depth);
    Some(object.end())
}
