//! Lines of text that begin with a time: what people's frameworks write where nobody asked for JSON.

use std::borrow::Cow;

use memchr::memmem;

use super::logfmt::{Item, items};
use super::{Object, is_key, rails};
use crate::pipeline::clock;
use crate::pipeline::json;
use crate::pipeline::roles::{self, Role};

/// Words behind the time among which the level is looked for.
const LEVEL_WITHIN: usize = 6;
/// Pairs of a text that become fields.
const PAIRS_MAX: usize = 32;

/// Words that say a level, as frameworks write them.
const LEVELS: [&str; 26] = [
    "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "ERR", "FATAL", "CRITICAL", "CRIT", "SEVERE",
    "ALERT", "EMERG", "PANIC", "FINE", "FINER", "FINEST", "CONFIG", "LOG", // As Serilog's templates have them.
    "INF", "WRN", "FTL", "DBG", "VRB", "TRC",
];
/// Words of .NET's console and what they mean; they stand first, with a colon.
const DOTNET: [(&str, &str); 6] = [
    ("fail:", "ERROR"),
    ("dbug:", "DEBUG"),
    ("trce:", "TRACE"),
    ("crit:", "CRITICAL"),
    ("warn:", "WARN"),
    ("info:", "INFO"),
];
/// Severities of syslog, as systemd takes them from a program: `<3>`.
const SEVERITIES: [&str; 8] = ["EMERG", "ALERT", "CRIT", "ERROR", "WARNING", "NOTICE", "INFO", "DEBUG"];

/// A line that begins with a time, or with a level and then a time.
pub(super) fn object(line: &str) -> Option<String> {
    let line = redis(line).unwrap_or(line);
    // `I, [TIME #PID]  INFO -- : ...` of Ruby's logger.
    let ruby = line.split_once(", [").filter(|(letter, _)| letter.len() == 1).map(|(_, rest)| rest);
    // `[INFO] TIME ...`, `INFO TIME ...`.
    let (ahead, rest) = match line.split_once([' ', '\t']) {
        Some((word, rest)) if ruby.is_none() => {
            level_of(word).map_or((None, line), |level| (Some(level), rest.trim_ascii_start()))
        }
        _ => (None, ruby.unwrap_or(line)),
    };
    let (time, rest) = time_of(rest)?;
    let rest = rest.trim_ascii_start();
    if rest.is_empty() {
        return None;
    }
    let (level, logger, message) = match ahead {
        Some(level) => match rest.split_once('\t').filter(|(id, _)| is_uuid(id)) {
            Some((id, message)) => (Some(level), Some(id), message),
            None => (Some(level), None, rest),
        },
        None => between_bars(rest).unwrap_or_else(|| said(rest)),
    };
    let mut object = Object::new();
    put_said(level, logger, message, &mut object);
    object.text("time", time);
    Some(object.end())
}

/// A line without a time, or with a time of day, that begins with a level: what is around it knows when it was.
pub(super) fn levelled(line: &str) -> Option<String> {
    let bare = line.strip_prefix('[').unwrap_or(line);
    let of_day = bare.split([' ', ']']).next().filter(|word| is_time_of_day(word)).map_or(0, str::len);
    let is_timed = of_day > 0;
    let rest = if is_timed { bare.get(of_day..)?.trim_start_matches([' ', ']']) } else { line };
    let (level, logger, message) = if let Some(found) = of_python(rest) {
        found
    } else if let Some((digit, message)) = rest.strip_prefix('<').and_then(|rest| rest.split_once('>')) {
        let severity: usize = digit.parse().ok()?;
        (*SEVERITIES.get(severity)?, None, message)
    } else {
        let first = rest.split_ascii_whitespace().next()?;
        if !is_timed && dotnet(first).is_none() && level_of(first).is_none() {
            return None;
        }
        let (level, logger, message) = said(rest);
        (level?, logger, message)
    };
    let mut object = Object::new();
    put_said(Some(level), logger, message, &mut object);
    Some(object.end())
}

/// `10:00:00`, `10:00:00.123`
fn is_time_of_day(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.len() >= 8
        && bytes.iter().enumerate().all(|(at, byte)| match at {
            2 | 5 => *byte == b':',
            8 => matches!(byte, b'.' | b','),
            _ => byte.is_ascii_digit(),
        })
}

/// `ERROR:root:it failed` of Python's `basicConfig`.
fn of_python(text: &str) -> Option<(&'static str, Option<&str>, &str)> {
    let (word, rest) = text.split_once(':')?;
    let level = LEVELS.into_iter().find(|level| *level == word)?;
    let (logger, message) = rest.split_once(':')?;
    (!logger.is_empty() && is_logger(logger)).then_some((level, Some(logger), message))
}

/// The level of a word of .NET's console.
fn dotnet(word: &str) -> Option<&'static str> {
    DOTNET.into_iter().find(|(known, _)| *known == word).map(|(_, level)| level)
}

/// Redis begins with the process and its role: `1:M 20 Nov 2026 10:00:00.123 * Ready`.
fn redis(line: &str) -> Option<&str> {
    let (process, rest) = line.split_once(':')?;
    let rest = rest.strip_prefix(['M', 'S', 'C', 'X'])?.strip_prefix(' ')?;
    (!process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit())).then_some(rest)
}

/// The object at the end of a text, in which zap, Caddy and Monolog have the fields of the line; behind it may be another, which Monolog
/// fills by itself.
fn object_in(text: &str) -> Option<&str> {
    let end = text.trim_ascii_end();
    let at = memmem::find(end.as_bytes(), b"{\"")
        .filter(|at| end.ends_with(['}', ']']) && (*at == 0 || end[..*at].ends_with([' ', '\t'])))?;
    let object = end.get(at..)?;
    let is_one = |object: &str| json::scan_object(object, &mut |_, _| {}).is_ok();
    if is_one(object) {
        return Some(object);
    }
    let before = object.rfind("} {").or_else(|| object.rfind("} [")).and_then(|close| object.get(..=close))?;
    is_one(before).then_some(before)
}

/// Fields beside a text may be those of a request: a status is a number, or there is a route or a method.
fn is_of_request(said: &str) -> bool {
    let (mut has_word, mut has_more) = (false, false);
    let read = json::scan_object(said, &mut |key, value| match (roles::role_named(&key.get()), value) {
        (Some(Role::Status), json::Value::Number(_)) => has_more = true,
        (Some(Role::Status), _) => has_word = true,
        (Some(Role::Route | Role::Method), _) => has_more = true,
        _ => {}
    });
    !has_word || has_more || read.is_err()
}

fn put_said(level: Option<&str>, logger: Option<&str>, message: &str, object: &mut Object) {
    let mut said = Object::new();
    let is_request = match object_in(message) {
        Some(fields) => {
            // Pairs stand before it.
            let before = (fields.as_ptr() as usize).saturating_sub(message.as_ptr() as usize);
            pairs_of(message.get(..before).unwrap_or_default(), &mut said);
            said.fields_of(fields);
            false
        }
        None => {
            let is_request = rails::put(message, &mut said);
            pairs_of(message, &mut said);
            is_request
        }
    };
    let said = said.end();
    if said.len() > 2 {
        object.fields_of(&said);
        // `job done status=ok` tells of something that has a status, and of no request.
        if !is_request && !is_of_request(&said) {
            object.text("kind", "log");
        }
    }
    if let Some(level) = level {
        object.text("level", level);
    }
    if let Some(logger) = logger {
        // Lambda has the id of the request there.
        object.text(if is_uuid(logger) { "request_id" } else { "logger" }, logger);
    }
    object.text("message", message);
}

/// The time that a text begins with, as the clock reads it, and what stands behind it.
pub(super) fn time_of(text: &str) -> Option<(&str, &str)> {
    let opens = text.starts_with('[');
    let text = text.strip_prefix('[').unwrap_or(text);
    let (time, mut rest) = clock::time_before(text)?;
    let next = rest.trim_ascii_start().split([' ', ']', '\t']).next().unwrap_or_default();
    if opens && !is_level(next) {
        // What else stands in the brackets: `#PID`.
        rest = rest.split_once(']').map_or(rest, |(_, rest)| rest);
    }
    let rest = rest.trim_start_matches(':').strip_prefix(", ").unwrap_or(rest.trim_start_matches(':'));
    // What is in columns is text of no form that is known here, but for NLog's.
    let is_text = rest.is_empty() || rest.starts_with([' ', '\t', ']', '-', '[']) || between_bars(rest).is_some();
    is_text.then_some((time, rest))
}

/// A word that is a level, whatever marks are around it.
fn level_of(word: &str) -> Option<&'static str> {
    let bare = word.trim_matches(|c: char| "[]():|<>".contains(c));
    let is_marked = bare.len() < word.len();
    // `app.ERROR:` of Monolog.
    if let Some((_, last)) = bare.rsplit_once('.').filter(|_| word.ends_with(':')) {
        return LEVELS.into_iter().find(|level| *level == last);
    }
    // `[core:error]` of Apache.
    if let Some((_, last)) = bare.split_once(':').filter(|_| word.starts_with('[') && word.ends_with(']')) {
        return LEVELS.into_iter().find(|level| level.eq_ignore_ascii_case(last));
    }
    let found = LEVELS.into_iter().find(|level| level.eq_ignore_ascii_case(bare))?;
    // In small letters a word is one of the text, unless it is marked.
    (is_marked || bare == found).then_some(found)
}

/// A word is a level as frameworks write it.
pub(super) fn is_level(word: &str) -> bool {
    LEVELS.contains(&word)
}

/// `|LEVEL|LOGGER|TEXT` of NLog.
fn between_bars(rest: &str) -> Option<(Option<&'static str>, Option<&str>, &str)> {
    let mut parts = rest.strip_prefix('|')?.splitn(3, '|');
    let level = level_of(parts.next()?)?;
    let logger = parts.next()?;
    Some((Some(level), Some(logger).filter(|name| is_logger(name)), parts.next()?))
}

/// Level, logger and message of what stands behind the time.
fn said(rest: &str) -> (Option<&'static str>, Option<&str>, &str) {
    let mut at = 0;
    for number in 0..LEVEL_WITHIN {
        let from = at + rest[at..].len() - rest[at..].trim_ascii_start().len();
        let until = rest[from..].find([' ', '\t']).map_or(rest.len(), |end| from + end);
        let of_dotnet = if number == 0 { dotnet(&rest[from..until]) } else { None };
        if let Some(level) = of_dotnet.or_else(|| level_of(&rest[from..until])) {
            let behind = rest[until..].trim_ascii_start().trim_start_matches("- ").trim_start_matches("-- ");
            // `NAME - LEVEL - ...` of Python.
            let before = rest[..from].trim_matches([' ', '\t', '-']);
            let named =
                Some(before).filter(|name| number > 0 && !name.is_empty() && !name.contains(' ') && is_logger(name));
            let (logger, message) = named_in(behind);
            return (Some(level), named.or(logger), message);
        }
        if until == rest.len() {
            break;
        }
        at = until;
    }
    (None, None, rest)
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

fn is_logger(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-$/:[]".contains(&byte))
}

/// The logger that a message begins with: `1 --- [main] o.s.Name : ...` of Spring Boot, `a::b: ...` of Rust, `[name] ...`.
fn named_in(text: &str) -> (Option<&str>, &str) {
    if let Some(at) = memmem::find(text.as_bytes(), b"--- [")
        && let Some((_, behind)) = text.get(at..).and_then(|behind| behind.split_once(']'))
        && let Some((logger, message)) = behind.split_once(" : ")
    {
        let logger = logger.trim_ascii();
        // A service may stand in brackets of its own before it.
        let logger = logger.rsplit_once(' ').map_or(logger, |(_, logger)| logger);
        return (Some(logger), message.trim_ascii());
    }
    if let Some((logger, message)) = text.split_once(": ").filter(|(name, _)| name.contains("::") && is_logger(name)) {
        return (Some(logger), message);
    }
    (None, text.trim_start_matches(": "))
}

/// Units that stand behind a number and a blank.
const UNITS: [(&str, &str); 6] =
    [("ns", "ns"), ("us", "us"), ("\u{b5}s", "us"), ("\u{3bc}s", "us"), ("ms", "ms"), ("s", "s")];

/// Pairs that stand in a text become fields: `status=200`, and those in braces, as Rust's spans have them.
pub(super) fn pairs_of(message: &str, object: &mut Object) {
    if !message.contains('=') {
        return;
    }
    let spaced = match memchr::memchr3(b'{', b'}', b',', message.as_bytes()) {
        Some(_) => Cow::Owned(without_marks(message)),
        None => Cow::Borrowed(message),
    };
    let items = items(&spaced);
    let pairs = items.iter().enumerate().filter_map(|(at, item)| match item {
        // `latency=414 us`, as Rust's spans have it.
        Item::Pair(key, value) => match items.get(at + 1) {
            Some(Item::Word(unit)) if value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
                let unit = UNITS.into_iter().find(|(name, _)| name == unit).map_or("", |(_, unit)| unit);
                Some((*key, Cow::Owned(format!("{value}{unit}"))))
            }
            _ => Some((*key, Cow::Borrowed(value.as_ref()))),
        },
        Item::Word(_) => None,
    });
    // What comes first is of the line; what repeats its name is told of something else (`error=upstream said status=200`).
    let mut seen: Vec<&str> = Vec::new();
    for (key, value) in pairs.take(PAIRS_MAX).filter(|(key, value)| is_key(key) && !value.is_empty()) {
        if seen.contains(&key) {
            continue;
        }
        seen.push(key);
        object.value(key, value.trim_end_matches([':', ';', ')', '.']));
    }
}

/// A text without braces and without commas, but for those within a number: `1,234.5`.
fn without_marks(message: &str) -> String {
    let bytes = message.as_bytes();
    let is_digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
    let of = |(at, c): (usize, char)| match c {
        ',' if is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)) => c,
        '{' | '}' | ',' => ' ',
        _ => c,
    };
    message.char_indices().map(of).collect()
}
