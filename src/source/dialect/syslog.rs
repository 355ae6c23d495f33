//! Lines of syslog, as relays write them: RFC 5424, RFC 3164, and rsyslog's own file formats. What a program said is the line; what the
//! relay knows (host, program, level, time) stands beside it.
//!
//! | of the line | in the line that is made |
//! | --- | --- |
//! | time, where the text has none; RFC 3164 names neither year nor zone, so the record's own time stands for it | `@timestamp` |
//! | severity of the priority | `level` |
//! | host, program, process | `host.name`, `app`, `process.pid` |
//! | text | `message`; a JSON object (also behind `@cee:`): its fields; a line of an access log stays as it is |

use crate::pipeline::{access, clock};
use crate::source::dialect::record::{Lines, MESSAGE, TIME, Text, put_text};

/// Words of severities (RFC 5424, 6.2.1).
const LEVELS: [&str; 8] = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

/// A line, taken apart.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Syslog<'a> {
    level: Option<&'static str>,
    time: Option<&'a str>,
    host: Option<&'a str>,
    app: Option<&'a str>,
    process: Option<&'a str>,
    text: &'a str,
}

/// Takes a line apart; `None`: it is none of syslog.
pub(super) fn parse(line: &str) -> Option<Syslog<'_>> {
    let line = line.trim_ascii_end();
    let Some(rest) = line.strip_prefix('<') else {
        // A file of rsyslog: a time in full, and then as RFC 3164.
        let (time, rest) = line.split_once(' ')?;
        if !time.contains('T') || clock::parse_time(time).is_err() {
            return None;
        }
        let read = host_and_tag(Syslog { time: Some(time), ..Syslog::default() }, rest)?;
        return read.app.is_some().then_some(read);
    };
    let (priority, rest) = rest.split_once('>')?;
    let priority: u8 = (priority.len() <= 3).then(|| priority.parse().ok())?.filter(|priority| *priority < 192)?;
    let level = LEVELS.get(usize::from(priority % 8)).copied();
    if let Some(rest) = rest.strip_prefix("1 ") {
        return rfc5424(level, rest);
    }
    // RFC 3164: `Jun  1 10:00:00`, or a time in full, as newer relays write it.
    let known = Syslog { level, ..Syslog::default() };
    match rest.split_once(' ') {
        Some((time, rest)) if time.contains('T') && clock::parse_time(time).is_ok() => {
            host_and_tag(Syslog { time: Some(time), ..known }, rest)
        }
        _ => host_and_tag(known, rest.get(15..).filter(|_| is_month(rest))?.strip_prefix(' ')?),
    }
}

fn is_month(text: &str) -> bool {
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    months.iter().any(|month| text.starts_with(month))
}

/// `HOST APP PROCID MSGID SD MSG`, behind the time; `-` is nothing.
fn rfc5424<'a>(level: Option<&'static str>, rest: &'a str) -> Option<Syslog<'a>> {
    let mut parts = rest.splitn(6, ' ');
    let mut part = || parts.next().map(|part| (part != "-").then_some(part));
    let (time, host, app, process, _id) = (part()?, part()?, part()?, part()?, part()?);
    let rest = parts.next()?;
    let text = match rest.strip_prefix('-') {
        Some(text) => text,
        None => &rest[structured_end(rest)?..],
    };
    let text = text.strip_prefix(' ').unwrap_or(text);
    Some(Syslog { level, time, host, app, process, text: text.strip_prefix('\u{feff}').unwrap_or(text) })
}

/// Where elements of structured data end: `[id name="value"][id ...]`.
fn structured_end(text: &str) -> Option<usize> {
    let (mut inside, mut quoted, mut escaped) = (false, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match (inside, quoted, byte) {
            (_, true, _) if escaped => escaped = false,
            (_, true, b'\\') => escaped = true,
            (true, _, b'"') => quoted = !quoted,
            (_, true, _) => {}
            (true, false, b']') => inside = false,
            (false, false, b'[') => inside = true,
            (false, false, _) => return (at > 0).then_some(at),
            (true, false, _) => {}
        }
    }
    (!inside).then_some(text.len())
}

/// `HOST TAG[PID]: MSG`.
fn host_and_tag<'a>(known: Syslog<'a>, rest: &'a str) -> Option<Syslog<'a>> {
    let (host, rest) = rest.split_once(' ')?;
    let host = Some(host);
    let Some((tag, text)) = rest.split_once(':').filter(|(tag, _)| !tag.contains(' ') && !tag.starts_with('{')) else {
        return Some(Syslog { host, text: rest, ..known });
    };
    let (app, process) = match tag.split_once('[') {
        Some((app, process)) => (app, process.strip_suffix(']')),
        None => (tag, None),
    };
    let app = (!app.is_empty()).then_some(app);
    Some(Syslog { host, app, process, text: text.strip_prefix(' ').unwrap_or(text), ..known })
}

impl Syslog<'_> {
    /// Writes the line. `millis`: the time of the record that it came in, 0 where it has none.
    pub(super) fn put(&self, lines: &mut Lines, millis: i64) {
        let said = self.text.trim_ascii_start();
        if access::parse_access(said).is_some() {
            lines.out.extend_from_slice(said.as_bytes());
            lines.out.push(b'\n');
            return;
        }
        let text = Text::of(said.strip_prefix("@cee:").map_or(said, str::trim_ascii_start));
        let from = lines.out.len();
        lines.begin();
        match (text.has_time(), self.time, millis) {
            (true, _, _) => lines.own_time(&text),
            (false, Some(time), _) => lines.field("", TIME, |out| put_text(out, time)),
            (false, None, 1..) => lines.field("", TIME, |out| out.extend_from_slice(millis.to_string().as_bytes())),
            (false, None, _) => {}
        }
        match &text {
            Text::Plain(_) => lines.field("", MESSAGE, |out| put_text(out, said)),
            Text::Object(..) => lines.text("body", &text),
        }
        for (key, value) in
            [("level", self.level), ("host.name", self.host), ("app", self.app), ("process.pid", self.process)]
        {
            if let Some(value) = value {
                lines.field("syslog", key, |out| put_text(out, value));
            }
        }
        lines.end(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(line: &str) -> String {
        let mut lines = Lines::default();
        parse(line).unwrap().put(&mut lines, 1_780_308_000_123);
        String::from_utf8(lines.out).unwrap().trim_end().to_owned()
    }

    #[test]
    fn each_form_says_who_when_and_what() {
        for (line, expect) in [
            (
                "<11>1 2026-06-01T10:00:00.5Z web-1 shop 77 - [a@1 x=\"]\\\"\"][b y=\"1\"] \u{feff}{\"status\":500}",
                r#"{"@timestamp":"2026-06-01T10:00:00.5Z","status":500,"level":"error","host.name":"web-1","app":"shop","process.pid":"77"}"#,
            ),
            ("<14>1 - - - - - - hello", r#"{"@timestamp":1780308000123,"message":"hello","level":"info"}"#),
            (
                "<13>Jun  1 10:00:00 web-1 shop[77]: @cee: {\"a\":1}\n",
                r#"{"@timestamp":1780308000123,"a":1,"level":"notice","host.name":"web-1","app":"shop","process.pid":"77"}"#,
            ),
            (
                "2026-06-01T10:00:00+02:00 web-1 shop: {\"level\":\"warn\",\"ts\":\"2026-06-01T07:00:00Z\"}",
                r#"{"@timestamp":"2026-06-01T07:00:00Z","level":"warn","ts":"2026-06-01T07:00:00Z","host.name":"web-1","app":"shop"}"#,
            ),
            (
                "<190>Jun  1 10:00:00 web-1 nginx: 1.2.3.4 - - [01/Jun/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
                "1.2.3.4 - - [01/Jun/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
            ),
        ] {
            assert_eq!(made(line), expect, "{line}");
        }
        for none in [
            "",
            "<",
            "<999>1 x",
            "<14>x",
            "{\"a\":1}",
            "2026-06-01T10:00:00Z",
            "2026-06-01T10:00:00Z GET /x 200",
            "1.2.3.4 - - [01/Jun/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
            "<14>1 - - - - - [a",
            "[main] INFO x",
        ] {
            assert_eq!(parse(none), None, "{none}");
        }
    }
}
