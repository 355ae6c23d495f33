//! Lines of syslog, as relays write them: RFC 5424, RFC 3164, and rsyslog's own file formats. What a program said is the line; what the
//! relay knows (host, program, level, time) stands beside it.

use super::Object;
use super::text::is_level;
use crate::pipeline::clock;

/// Words of severities (RFC 5424, 6.2.1).
const LEVELS: [&str; 8] = ["emergency", "alert", "critical", "error", "warning", "notice", "info", "debug"];

/// A line, taken apart.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Syslog<'a> {
    /// Severity of the priority, in a word.
    pub level: Option<&'static str>,
    /// Time in full.
    pub time: Option<&'a str>,
    /// Time as RFC 3164 has it, with neither year nor zone, where there is none in full.
    pub yearless: Option<&'a str>,
    /// Host.
    pub host: Option<&'a str>,
    /// Program.
    pub app: Option<&'a str>,
    /// Process.
    pub process: Option<&'a str>,
    /// What the program said.
    pub text: &'a str,
}

/// Takes a line apart; `None`: it is none of syslog.
pub fn parse(line: &str) -> Option<Syslog<'_>> {
    let line = line.trim_ascii_end();
    // Streams of syslog say how long each line is (RFC 6587).
    let framed = line.trim_start_matches(|c: char| c.is_ascii_digit()).strip_prefix(" <");
    let Some(rest) = line.strip_prefix('<').or(framed) else {
        if is_month(line) {
            let read = rfc3164(Syslog::default(), line)?;
            return read.app.is_some().then_some(read);
        }
        // A file of rsyslog: a time in full, and then as RFC 3164.
        let (time, rest) = line.split_once(' ')?;
        if !time.contains('T') || clock::parse_time(time).is_err() {
            return None;
        }
        if let Some(read) = heroku(time, rest) {
            return Some(read);
        }
        let read = host_and_tag(Syslog { time: Some(time), ..Syslog::default() }, rest)?;
        // `TIME payment service: order 7 failed` is text: rsyslog writes offsets, and most programs their number.
        let is_of_rsyslog = read.process.is_some() || !time.ends_with('Z');
        let is_name = |name: &str| {
            let is_part = |byte: u8| byte.is_ascii_alphanumeric() || b"._-/:".contains(&byte);
            name.bytes().all(is_part) && name.bytes().any(|byte| byte.is_ascii_alphabetic())
        };
        let are_names = read.app.is_some_and(is_name)
            && read
                .host
                .is_some_and(|host| host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_:".contains(&byte)));
        return (is_of_rsyslog && are_names).then_some(read);
    };
    let is_framed = framed.is_some();
    let (priority, rest) = rest.split_once('>')?;
    let priority: u8 = (priority.len() <= 3).then(|| priority.parse().ok())?.filter(|priority| *priority < 192)?;
    let level = LEVELS.get(usize::from(priority % 8)).copied();
    if let Some(rest) = rest.strip_prefix("1 ") {
        let read = rfc5424(level, rest)?;
        // A drain of Heroku gives every line the priority 40, an emergency of syslog itself.
        let is_heroku = is_framed && priority == 40 && matches!(read.app, Some("app" | "heroku"));
        return Some(Syslog { level: level.filter(|_| !is_heroku), ..read });
    }
    // RFC 3164: `Jun  1 10:00:00`, or a time in full, as newer relays write it.
    let known = Syslog { level, ..Syslog::default() };
    match rest.split_once(' ') {
        Some((time, rest)) if time.contains('T') && clock::parse_time(time).is_ok() => {
            host_and_tag(Syslog { time: Some(time), ..known }, rest)
        }
        _ => rfc3164(known, rest),
    }
}

/// `Jun  1 10:00:00 HOST TAG[PID]: MSG`; a time may have a fraction.
fn rfc3164<'a>(known: Syslog<'a>, text: &'a str) -> Option<Syslog<'a>> {
    let rest = text.get(15..).filter(|_| is_month(text))?;
    let end = text.len() - rest.len() + rest.find(' ')?;
    let time = text.get(..end).filter(|time| clock::is_yearless(time));
    // What is no time is none that counts.
    let rest = if time.is_some() { text.get(end..)? } else { rest };
    host_and_tag(Syslog { yearless: time, ..known }, rest.strip_prefix(' ')?)
}

/// `app[web.1]: MSG`, as `heroku logs` writes it: a source and a dyno in the place of a host and a program.
fn heroku<'a>(time: &'a str, rest: &'a str) -> Option<Syslog<'a>> {
    let (tag, text) = rest.split_once(": ")?;
    let (source, dyno) = tag.strip_suffix(']')?.split_once('[')?;
    let is_word = |text: &str| {
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    (is_word(source) && is_word(dyno)).then_some(Syslog {
        time: Some(time),
        host: Some(dyno),
        text,
        ..Syslog::default()
    })
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
        None if rest.starts_with('[') => &rest[structured_end(rest)?..],
        // Heroku leaves it out.
        None => rest,
    };
    let text = text.strip_prefix(' ').unwrap_or(text);
    Some(Syslog {
        level,
        time,
        yearless: None,
        host,
        app,
        process,
        text: text.strip_prefix('\u{feff}').unwrap_or(text),
    })
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
    let (host, behind) = rest.split_once(' ')?;
    // What a program sends itself may name no host: `haproxy[14389]: ...`.
    let is_tag = host.ends_with("]:") && host.contains('[') && known.level.is_some();
    let (host, rest) = if is_tag { ("", rest) } else { (host, behind) };
    if is_level(host) {
        // `TIME ERROR shop::http: ...` is text.
        return None;
    }
    let host = Some(host).filter(|host| !host.is_empty());
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

/// The line as object.
pub(super) fn object(line: &str, depth: usize) -> Option<String> {
    let read = parse(line)?;
    let mut object = Object::new();
    let named =
        [("time", read.time.or(read.yearless)), ("level", read.level), ("host.name", read.host), ("app", read.app)];
    for (key, value) in named.into_iter().chain([("process.pid", read.process)]) {
        if let Some(value) = value {
            object.text(key, value);
        }
    }
    let said = read.text.trim_ascii_start();
    object.line(said.strip_prefix("@cee:").unwrap_or(said), depth);
    Some(object.end())
}
