//! Lines over HTTP: `POST /ingest`. Answered once they are on disk.
//!
//! One JSON object or one access-log line a line; or a JSON array, or one JSON object over several lines. A line that nobody can
//! read is taken all the same: it becomes a reject, which is counted and shown. With `?debug=1` nothing is stored, and the
//! answer says what the lines are understood as.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::cli::compare;
use crate::cli::run::door::{Door, Refused, Sent, Taken};
use crate::event::{Event, FieldForm, Intern, NO_LATENCY, Names, name_at};
use crate::pipeline::continued;
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::survey::{RoleReport, Wishes};
use crate::source::wal::Appended;

/// Lines that `debug=1` tells of.
const DEBUG_LINES: usize = 1_000;

/// Takes lines.
pub(super) async fn take(State(door): State<Door>, request: Request) -> Response {
    let taken = door.take(request, |sent| {
        let mut text = lines(sent)?;
        let count = count_lines(&text);
        continued::join(&mut text);
        Ok((text, count))
    });
    let body = match taken.await {
        Ok(Taken::Looked(looked)) => looked,
        Ok(Taken::Nothing(_)) => json!({ "accepted": 0 }),
        Ok(Taken::Stored(Appended::Record(_), lines)) => json!({ "accepted": lines }),
        Ok(Taken::Stored(Appended::Repeated(_), lines)) => json!({ "accepted": lines, "repeated": true }),
        Err(refused) => return refused.into_response(),
    };
    axum::Json(body).into_response()
}

/// Lines that are not empty.
fn count_lines(text: &[u8]) -> usize {
    let mut from = 0;
    let ends = memchr::memchr_iter(b'\n', text).chain([text.len()]);
    ends.filter(|end| {
        let line = text.get(from..*end).unwrap_or_default();
        from = end + 1;
        !line.trim_ascii().is_empty()
    })
    .count()
}

/// The body as lines, each ended by a newline.
fn lines(sent: &mut Sent) -> Result<Vec<u8>, Refused> {
    let is_json = sent.kind() == "application/json";
    let decoded = std::mem::take(&mut sent.bytes);
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

/// JSON values, bare, in a list, or over several lines, as one a line.
fn one_a_line(text: &[u8]) -> Result<Vec<u8>, Refused> {
    let bad = |error: serde_json::Error| {
        let words = format!("not JSON: {error}; lines of JSON are `application/x-ndjson`");
        Refused(StatusCode::BAD_REQUEST, words)
    };
    let mut out = Vec::with_capacity(text.len());
    let mut add = |value: &RawValue| -> Result<(), Refused> {
        if value.get().contains('\n') {
            without_blanks(value.get(), &mut out);
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

/// A value of JSON without the blanks between its parts: numbers, names and their order stay as they came.
fn without_blanks(json: &str, out: &mut Vec<u8>) {
    let (mut is_text, mut is_escaped) = (false, false);
    for byte in json.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' if is_text => is_escaped = true,
            b'"' => is_text = !is_text,
            b' ' | b'\t' | b'\n' | b'\r' if !is_text => continue,
            _ => {}
        }
        out.push(byte);
    }
}

/// What lines are understood as, taken by themselves.
pub(super) fn understood(text: &[u8], wishes: &Wishes) -> Value {
    let text = String::from_utf8_lossy(text);
    let head: String = text.lines().take(DEBUG_LINES).flat_map(|line| [line, "\n"]).collect();
    let looked = match compare::look_at_heads(&[("debug".to_owned(), head.clone())], wishes) {
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
    json!({
        "time": event.time.to_string(),
        "kind": event.kind.name(),
        "environment": service.map(|key| &key.environment),
        "cell": service.map(|key| &key.cell),
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

    fn as_lines(text: &str) -> String {
        String::from_utf8(one_a_line(text.as_bytes()).unwrap()).unwrap()
    }

    #[test]
    fn empty_lines_are_none() {
        for (text, lines) in [("", 0), ("\n\n", 0), ("a", 1), ("a\n", 1), ("a\n \r\n\nb", 2)] {
            assert_eq!(count_lines(text.as_bytes()), lines, "{text:?}");
        }
    }

    #[test]
    fn json_in_any_layout_is_one_value_a_line() {
        assert_eq!(as_lines(r#"[{"a":1},{"b":"[x]"}]"#), "{\"a\":1}\n{\"b\":\"[x]\"}\n");
        assert_eq!(as_lines("{\n \"a\": 1\n}"), "{\"a\":1}\n");
        assert_eq!(as_lines("{\"a\":1} {\"b\":2}\n{\"c\":3}"), "{\"a\":1}\n{\"b\":2}\n{\"c\":3}\n");
        assert_eq!(as_lines("[]"), "");
        let long = "12345678901234567890123";
        let same = format!("{{\"b\":{long},\"a\":1.10,\"a\":\" x \\\"  \\\\\"}}\n");
        assert_eq!(as_lines(&format!("[\n {{ \"b\" : {long},\r\n \"a\":1.10, \"a\": \" x \\\"  \\\\\" }}\n]")), same);
        assert!(one_a_line(b"[{\"a\":1}, {").is_err() && one_a_line(b"{\"a\":1},").is_err());
    }
}
