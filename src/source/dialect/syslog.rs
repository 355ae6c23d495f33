//! Lines of syslog ([`crate::pipeline::shape::syslog`]) as lines that are stored. What a program said is the line; what the
//! relay knows (host, program, level, time) stands beside it.
//!
//! | of the line | in the line that is made |
//! | --- | --- |
//! | time, where the text has none; RFC 3164 names neither year nor zone, so the record's own time stands for it | `@timestamp` |
//! | severity of the priority | `level` |
//! | host, program, process | `host.name`, `app`, `process.pid` |
//! | text | `message`; a JSON object (also behind `@cee:`): its fields; a line of an access log stays as it is |

use crate::pipeline::access;
use crate::pipeline::shape::syslog::Syslog;
use crate::source::dialect::record::{Lines, MESSAGE, TIME, Text, put_text};

/// Writes the line. `millis`: the time of the record that it came in, 0 where it has none.
pub(super) fn put(of: &Syslog<'_>, lines: &mut Lines, millis: i64) {
    let said = of.text.trim_ascii_start();
    if access::parse_access(said).is_some() {
        lines.out.extend_from_slice(said.as_bytes());
        lines.out.push(b'\n');
        return;
    }
    let text = Text::of(said.strip_prefix("@cee:").map_or(said, str::trim_ascii_start));
    let from = lines.out.len();
    lines.begin();
    match (text.has_time(), of.time, millis) {
        (true, _, _) => lines.own_time(&text),
        (false, Some(time), _) => lines.field("", TIME, |out| put_text(out, time)),
        (false, None, 1..) => lines.field("", TIME, |out| out.extend_from_slice(millis.to_string().as_bytes())),
        (false, None, _) => {}
    }
    match &text {
        Text::Plain(_) => lines.field("", MESSAGE, |out| put_text(out, said)),
        Text::Object(..) => lines.text("body", &text),
    }
    for (key, value) in [("level", of.level), ("host.name", of.host), ("app", of.app), ("process.pid", of.process)] {
        if let Some(value) = value {
            lines.field("syslog", key, |out| put_text(out, value));
        }
    }
    lines.end(from);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::shape::syslog::parse;

    fn made(line: &str) -> String {
        let mut lines = Lines::default();
        put(&parse(line).unwrap(), &mut lines, 1_780_308_000_123);
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
