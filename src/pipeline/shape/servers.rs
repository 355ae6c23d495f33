//! Lines of the access logs of servers and proxies, in text: what is neither the common nor the combined format.
//!
//! Each becomes an object that says of itself that it is an access log, so that its requests are not counted beside those that the
//! application logs.

use super::{Object, is_number};
use crate::pipeline::access;
use crate::pipeline::clock;
use crate::pipeline::plan::RequestSource;
use crate::pipeline::roles::LatencyUnit;
use crate::pipeline::values;

/// Parts of a line that are looked at.
const PARTS_MAX: usize = 64;
/// Methods that a line may begin with.
const METHODS: [&str; 9] = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "CONNECT"];
/// What a load balancer of AWS calls the kinds of its connections.
const CONNECTIONS: [&str; 6] = ["http", "https", "h2", "grpcs", "ws", "wss"];
/// What nginx calls it that the client closed the connection before there was an answer; nobody else has a status for it.
pub(super) const CLIENT_CLOSED: &str = "499";
/// Levels of uvicorn.
const UVICORN: [&str; 2] = ["INFO", "DEBUG"];

/// The line as object.
pub(super) fn object(line: &str) -> Option<String> {
    match line.as_bytes().first()? {
        b'[' => envoy(line).or_else(|| gin(line)).or_else(|| django(line)).or_else(|| uwsgi(line)),
        b'0'..=b'9' | b':' => {
            haproxy(line).or_else(|| balancer(line)).or_else(|| squid(line)).or_else(|| morgan_short(line))
        }
        b'A'..=b'Z' => morgan(line).or_else(|| uvicorn(line)),
        b'"' => chi(line),
        b'a'..=b'z' => balancer(line).or_else(|| haproxy(line)),
        _ => None,
    }
}

/// Parts between blanks; what stands in quotes is one, without them.
fn parts(text: &str) -> Vec<&str> {
    let mut list = Vec::new();
    let mut rest = text.trim_ascii_start();
    while !rest.is_empty() && list.len() < PARTS_MAX {
        let (part, behind) = match rest.strip_prefix('"').and_then(until_quote) {
            Some(found) => found,
            None => rest.split_once(' ').unwrap_or((rest, "")),
        };
        list.push(part);
        rest = behind.trim_ascii_start();
    }
    list
}

/// What stands before the next quote that is not escaped, and behind it.
fn until_quote(inside: &str) -> Option<(&str, &str)> {
    let mut escaped = false;
    for (at, byte) in inside.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some((inside.get(..at)?, inside.get(at + 1..)?)),
            _ => {}
        }
    }
    None
}

fn begun() -> Object {
    let mut object = Object::new();
    object.of_source(RequestSource::AccessLog);
    object
}

/// A connection that was no request.
fn connection(line: &str, time: &str) -> String {
    let mut object = Object::new();
    object.text("message", line);
    object.text("time", time);
    object.text("kind", "log");
    object.end()
}

fn present(text: &str) -> Option<&str> {
    (text != "-" && !text.is_empty()).then_some(text)
}

/// Texts that are there, under their names.
fn put_texts(object: &mut Object, named: &[(&str, &str)]) {
    for (key, value) in named {
        if let Some(value) = present(value) {
            object.text(key, value);
        }
    }
}

/// Numbers that are there, under their names.
fn put_numbers(object: &mut Object, named: &[(&str, &str)]) {
    for (key, value) in named {
        if is_number(value) {
            object.raw(key, value);
        }
    }
}

fn put_request(object: &mut Object, request: &str) {
    let (method, path, protocol) = access::request_line(request);
    for (key, value) in [("method", method), ("path", path.map(path_of)), ("protocol", protocol)] {
        if let Some(value) = value.and_then(present) {
            object.text(key, value);
        }
    }
}

/// The path of an address that may be written in full.
fn path_of(address: &str) -> &str {
    let Some((_, behind)) = address.split_once("://") else { return address };
    behind.find('/').and_then(|at| behind.get(at..)).unwrap_or("/")
}

/// An address without its port.
fn host_of(address: &str) -> &str {
    match address.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) => {
            host.trim_start_matches('[').trim_end_matches(']')
        }
        _ => address,
    }
}

fn is_status(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `[TIME] "REQUEST" CODE FLAGS ...`, as Envoy and Istio write it where nobody says otherwise. The time is when the request began.
fn envoy(line: &str) -> Option<String> {
    let (time, _) = line.strip_prefix('[')?.split_once("] \"")?;
    clock::parse_time(time).ok()?;
    let all = parts(line.get(time.len() + 3..)?);
    let [request, code, flags, rest @ ..] = all.as_slice() else { return None };
    // Envoy goes on with bytes, Istio with why the answer is what it is.
    let (details, rest) = match rest {
        [details, _, failure, more @ ..] if !is_number(details) => (Some((*details, *failure)), more),
        more => (None, more),
    };
    let [received, sent, duration, upstream, forwarded, agent, id, authority, host, more @ ..] = rest else {
        return None;
    };
    if !is_number(code) || !is_number(received) || !is_number(sent) {
        return None;
    }
    if *request == "- - -" {
        return Some(connection(line, time));
    }
    // No answer, since the client went away.
    let code = if *code == "0" && flags.split(',').any(|flag| flag == "DC") { CLIENT_CLOSED } else { code };
    let mut object = begun();
    object.text("start_time", time);
    object.text("message", line);
    put_request(&mut object, request);
    put_numbers(
        &mut object,
        &[
            ("response_code", code),
            ("bytes_received", received),
            ("bytes_sent", sent),
            ("duration_ms", duration),
            ("upstream_service_time", upstream),
        ],
    );
    put_texts(
        &mut object,
        &[
            ("response_flags", flags),
            ("x_forwarded_for", forwarded),
            ("user_agent", agent),
            ("request_id", id),
            ("authority", authority),
            ("upstream_host", host),
        ],
    );
    if let Some((details, failure)) = details {
        put_texts(&mut object, &[("response_code_details", details), ("upstream_transport_failure_reason", failure)]);
        if let [cluster, local, at, remote, name, route, ..] = more {
            put_texts(
                &mut object,
                &[
                    ("upstream_cluster", cluster),
                    ("upstream_local_address", local),
                    ("downstream_local_address", at),
                    ("downstream_remote_address", host_of(remote)),
                    ("requested_server_name", name),
                    ("route_name", route),
                ],
            );
        }
    }
    Some(object.end())
}

/// `[GIN] DATE - TIME | STATUS | LATENCY | CLIENT | METHOD "PATH"`
fn gin(line: &str) -> Option<String> {
    let mut columns = line.strip_prefix("[GIN] ")?.split('|').map(str::trim_ascii);
    let (time, status, latency, client, asked) =
        (columns.next()?, columns.next()?, columns.next()?, columns.next()?, columns.next()?);
    let time = time.replacen(" - ", " ", 1);
    if clock::parse_time(&time).is_err() || !is_status(status) {
        return None;
    }
    let [method, path, ..] = parts(asked)[..] else { return None };
    let mut object = begun();
    object.text("message", line);
    object.text("time", &time);
    object.raw("status", status);
    if let Some(micros) = values::latency_us(latency, LatencyUnit::Micros) {
        object.raw("latency_us", &micros.to_string());
    }
    put_texts(&mut object, &[("client", client), ("method", method), ("path", path)]);
    Some(object.end())
}

/// `[01/Jun/2026 10:00:00] "REQUEST" STATUS BYTES` of Django's server for development.
fn django(line: &str) -> Option<String> {
    let (time, _) = line.strip_prefix('[')?.split_once("] \"")?;
    let written = time.replacen(' ', ":", 1);
    clock::parse_time(&written).ok()?;
    let all = parts(line.get(time.len() + 3..)?);
    let [request, status, bytes, ..] = all.as_slice() else { return None };
    if !is_status(status) {
        return None;
    }
    let mut object = begun();
    object.text("message", line);
    object.text("time", &written);
    put_request(&mut object, request);
    put_numbers(&mut object, &[("status", status), ("bytes", bytes)]);
    Some(object.end())
}

/// `[KIND] TIME BALANCER CLIENT TARGET SECONDS SECONDS SECONDS STATUS STATUS RECEIVED SENT "REQUEST" "AGENT" ...` of AWS. The time is when
/// the answer was given.
fn balancer(line: &str) -> Option<String> {
    let rest = match line.split_once(' ') {
        Some((kind, rest)) if CONNECTIONS.contains(&kind) => rest,
        _ => line,
    };
    let mut words = rest.split(' ');
    let (time, client) = (words.next()?, words.nth(1)?);
    // `-`: there was none.
    let is_client = client == "-" || host_of(client).len() < client.len();
    if !time.ends_with('Z') || !is_client || clock::parse_time(time).is_err() {
        return None;
    }
    let all = parts(rest);
    let [_, name, client, target, first, second, third, status, _, received, sent, request, more @ ..] = all.as_slice()
    else {
        return None;
    };
    // `-1`: there was no target, or it gave no answer. How long that took is not said.
    let is_unknown = [first, second, third].contains(&&"-1");
    let took = [first, second, third]
        .map(|seconds| if is_unknown { Some(0) } else { values::latency_us(seconds, LatencyUnit::Seconds) });
    if !(is_status(status) || *status == "-") || !is_number(received) || !is_number(sent) {
        return None;
    }
    let micros = took.into_iter().try_fold(0u64, |sum, part| sum.checked_add(part?))?;
    if *request == "- - - " || *request == "- - -" {
        return Some(connection(line, time));
    }
    let mut object = begun();
    object.text("message", line);
    // Those of the older kind say when they received the request.
    object.text(if rest.len() < line.len() { "time" } else { "start_time" }, time);
    if !is_unknown {
        object.raw("latency_us", &micros.to_string());
    }
    put_request(&mut object, request);
    put_numbers(&mut object, &[("status", status), ("bytes_received", received), ("bytes_sent", sent)]);
    put_texts(&mut object, &[("load_balancer", name), ("client", host_of(client)), ("upstream_host", target)]);
    if let [agent, _, _, more @ ..] = more {
        put_texts(&mut object, &[("user_agent", agent)]);
        if let [group, trace, domain, ..] = more {
            put_texts(&mut object, &[("target_group", group), ("request_id", trace), ("authority", domain)]);
        }
    }
    Some(object.end())
}

/// `CLIENT:PORT [TIME] FRONTEND BACKEND/SERVER TR/Tw/Tc/Tr/Ta STATUS BYTES ... "REQUEST"` of HAProxy's `option httplog`. The time is when
/// the request was received.
fn haproxy(line: &str) -> Option<String> {
    let (client, rest) = line.split_once(' ')?;
    let (time, rest) = rest.strip_prefix('[')?.split_once("] ")?;
    if !client.contains(':') || clock::parse_time(time).is_err() {
        return None;
    }
    let (before, request) = match rest.split_once(" \"") {
        Some((before, request)) => (before, request.trim_end_matches('"')),
        None => return None,
    };
    let all = parts(before);
    let [frontend, place, timers, status, bytes, _, _, state, ..] = all.as_slice() else { return None };
    let (backend, server) = place.split_once('/')?;
    if timers.bytes().filter(|byte| *byte == b'/').count() < 4 {
        return None;
    }
    let took = timers.rsplit('/').next().unwrap_or_default().trim_start_matches('+');
    let mut object = begun();
    object.text("message", line);
    object.text("start_time", time);
    put_texts(
        &mut object,
        &[
            ("client", host_of(client)),
            ("frontend", frontend.trim_end_matches('~')),
            ("backend", backend),
            ("server", server),
            ("termination_state", state),
        ],
    );
    put_numbers(&mut object, &[("duration_ms", took), ("bytes", bytes.trim_start_matches('+'))]);
    if is_status(status) {
        object.raw("status", status);
    }
    put_request(&mut object, request);
    Some(object.end())
}

/// `INFO:     CLIENT:PORT - "REQUEST" STATUS WORDS` of uvicorn, which names no time.
fn uvicorn(line: &str) -> Option<String> {
    let (level, rest) = line.split_once(": ")?;
    if !UVICORN.contains(&level) {
        return None;
    }
    let (client, rest) = rest.trim_ascii_start().split_once(" - \"")?;
    let (request, rest) = until_quote(rest)?;
    let status = rest.trim_ascii_start().split(' ').next().unwrap_or_default();
    if client.contains(' ') || !is_status(status) {
        return None;
    }
    let mut object = begun();
    object.text("message", line);
    object.text("level", level);
    object.text("client", host_of(client));
    object.raw("status", status);
    put_request(&mut object, request);
    Some(object.end())
}

/// `SECONDS MILLIS CLIENT RESULT/STATUS BYTES METHOD URL USER HIERARCHY/PEER TYPE` of Squid. The time is when the answer was given.
fn squid(line: &str) -> Option<String> {
    let (time, rest) = line.split_once(' ')?;
    if time.len() != 14 || time.as_bytes().get(10) != Some(&b'.') || clock::parse_time(time).is_err() {
        return None;
    }
    let all = parts(rest);
    let [took, client, result, bytes, method, url, user, hierarchy, ..] = all.as_slice() else { return None };
    let (result, status) = result.split_once('/')?;
    if !is_number(took) || !is_status(status) || !hierarchy.contains('/') {
        return None;
    }
    let mut object = begun();
    object.text("message", line);
    object.text("time", time);
    put_texts(
        &mut object,
        &[("client", client), ("result", result), ("method", method), ("path", path_of(url)), ("user", user)],
    );
    put_numbers(&mut object, &[("duration_ms", took), ("status", status), ("bytes", bytes)]);
    Some(object.end())
}

/// `[pid: 7|app: 0|req: 1/1] CLIENT (USER) {...} [TIME] METHOD PATH => generated BYTES bytes in 12 msecs (HTTP/1.1 200) ...` of uWSGI. The
/// time is when the request began.
fn uwsgi(line: &str) -> Option<String> {
    let (_, rest) = line.strip_prefix("[pid: ")?.split_once("] ")?;
    let (client, rest) = rest.split_once(' ')?;
    let (_, rest) = rest.split_once("} [")?;
    let (time, rest) = rest.split_once("] ")?;
    let (asked, rest) = rest.split_once(" => generated ")?;
    let (bytes, rest) = rest.split_once(" bytes in ")?;
    let (took, rest) = rest.split_once(' ')?;
    let unit = rest.split(' ').next().unwrap_or_default();
    let micros = values::latency_us(&format!("{took}{unit}"), LatencyUnit::Millis)?;
    let (_, status) = rest.split_once(")").and_then(|(inside, _)| inside.rsplit_once(' '))?;
    if clock::parse_time(time).is_err() || !is_status(status) {
        return None;
    }
    let mut object = begun();
    object.text("message", line);
    object.text("start_time", time);
    put_texts(&mut object, &[("client", client)]);
    put_request(&mut object, asked);
    object.raw("latency_us", &micros.to_string());
    put_numbers(&mut object, &[("status", status), ("bytes", bytes)]);
    Some(object.end())
}

/// `"METHOD URL PROTOCOL" from CLIENT - STATUS BYTESB in 12.3ms` of chi, which names no time.
fn chi(line: &str) -> Option<String> {
    let (request, rest) = until_quote(line.strip_prefix('"')?)?;
    let (client, rest) = rest.strip_prefix(" from ")?.split_once(" - ")?;
    let (status, rest) = rest.split_once(' ')?;
    let (bytes, took) = rest.split_once("B in ")?;
    let micros = values::latency_us(took, LatencyUnit::Micros)?;
    if !is_status(status) || client.contains(' ') {
        return None;
    }
    let mut object = begun();
    object.text("message", line);
    object.text("client", host_of(client));
    put_request(&mut object, request);
    object.raw("latency_us", &micros.to_string());
    put_numbers(&mut object, &[("status", status), ("bytes", bytes)]);
    Some(object.end())
}

/// `METHOD PATH STATUS 1.2 ms - BYTES` (`dev`) or `METHOD PATH STATUS BYTES - 1.2 ms` (`tiny`) of morgan, which name no time.
fn morgan(line: &str) -> Option<String> {
    let mut words = line.split(' ');
    let method = words.next().filter(|method| METHODS.contains(method))?;
    let path = words.next()?;
    let rest: Vec<&str> = words.collect();
    let (status, took, bytes) = match rest.as_slice() {
        [status, took, "ms", "-", bytes] | [status, bytes, "-", took, "ms"] => (*status, *took, *bytes),
        _ => return None,
    };
    of_morgan(line, ["-"; 2], (method, path), (status, took, bytes))
}

/// `CLIENT USER METHOD PATH HTTP/1.1 STATUS BYTES - 1.2 ms` (`short`) of morgan.
fn morgan_short(line: &str) -> Option<String> {
    if !line.ends_with(" ms") {
        return None;
    }
    let words: Vec<&str> = line.split(' ').take(PARTS_MAX).collect();
    match words.as_slice() {
        [client, user, method, path, protocol, status, bytes, "-", took, "ms"]
            if METHODS.contains(method) && protocol.starts_with("HTTP/") =>
        {
            of_morgan(line, [client, user], (method, path), (status, took, bytes))
        }
        _ => None,
    }
}

fn of_morgan(
    line: &str,
    [client, user]: [&str; 2],
    (method, path): (&str, &str),
    (status, took, bytes): (&str, &str, &str),
) -> Option<String> {
    if !is_status(status) && status != "-" {
        return None;
    }
    let mut object = begun();
    object.text("message", line);
    put_texts(&mut object, &[("client_ip", client), ("user", user), ("method", method), ("path", path)]);
    put_numbers(&mut object, &[("status", status), ("duration_ms", took), ("bytes", bytes)]);
    Some(object.end())
}
