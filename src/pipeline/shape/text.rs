//! Lines of text that begin with a time: what people's frameworks write where nobody asked for JSON.

use super::logfmt::{Item, items};
use super::{Object, is_key, rails};
use crate::pipeline::clock;

/// Words behind the time among which the level is looked for.
const LEVEL_WITHIN: usize = 6;
/// Pairs of a text that become fields.
const PAIRS_MAX: usize = 32;

/// Words that say a level, as frameworks write them.
const LEVELS: [&str; 24] = [
    "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "ERR", "FATAL", "CRITICAL", "CRIT", "SEVERE",
    "ALERT", "EMERG", "PANIC", "FINE", "CONFIG", "LOG", // As Serilog's templates have them.
    "INF", "WRN", "FTL", "DBG", "VRB", "TRC",
];

/// A line that begins with a time, or with a level and then a time.
pub(super) fn object(line: &str) -> Option<String> {
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
        None => said(rest),
    };
    let mut object = Object::new();
    rails::put(message, &mut object);
    pairs_of(message, &mut object);
    object.text("time", &time);
    if let Some(level) = level {
        object.text("level", level);
    }
    if let Some(logger) = logger {
        // Lambda has the id of the request there.
        object.text(if is_uuid(logger) { "request_id" } else { "logger" }, logger);
    }
    object.text("message", message);
    Some(object.end())
}

/// Names of zones that are not read: half of them mean several.
const ZONES: [&str; 24] = [
    "EST", "EDT", "CST", "CDT", "MST", "MDT", "PST", "PDT", "AKST", "HST", "CET", "CEST", "EET", "EEST", "WET", "WEST",
    "BST", "IST", "MSK", "JST", "KST", "AEST", "AEDT", "NZST",
];

/// The time that a text begins with, as the clock reads it, and what stands behind it.
pub(super) fn time_of(text: &str) -> Option<(String, &str)> {
    let opens = text.starts_with('[');
    let text = text.strip_prefix('[').unwrap_or(text);
    if !text.as_bytes().first()?.is_ascii_digit() {
        return None;
    }
    let is_end = |c: char| c == ' ' || c == ']' || c == '\t';
    let first = text.find(is_end).unwrap_or(text.len());
    let second = text.get(first + 1..).and_then(|rest| rest.find(is_end)).map_or(text.len(), |at| first + 1 + at);
    let third = text.get(second + 1..).and_then(|rest| rest.find(is_end)).map_or(text.len(), |at| second + 1 + at);
    let zone = text.get(second..third).unwrap_or_default().trim_ascii();
    let is_zone = matches!(zone, "Z" | "UTC" | "GMT") || (zone.len() >= 3 && zone.starts_with(['+', '-']));
    // A date and a time with a blank between them, perhaps with a zone, else one word.
    for end in [third, second, first].into_iter().skip(usize::from(!is_zone)) {
        let word = text.get(..end)?.trim_ascii_end().trim_end_matches([',', ':']);
        let Some(time) = read(word) else { continue };
        let mut rest = text.get(end..)?;
        let next = rest.trim_ascii_start().split([' ', ']', '\t']).next().unwrap_or_default();
        if ZONES.contains(&next) {
            // Hours are not guessed.
            return None;
        }
        if opens && !is_level(next) {
            // What else stands in the brackets: `#PID`.
            rest = rest.split_once(']').map_or(rest, |(_, rest)| rest);
        }
        return Some((time, rest.trim_start_matches([':', ','])));
    }
    None
}

/// A time in the notations of frameworks: with a comma or a full stop before the fraction, slashes in the date, a blank or T between.
fn read(word: &str) -> Option<String> {
    let (date, time) = (word.get(..10)?, word.get(10..)?);
    let marks = [4, 7].map(|at| date.as_bytes().get(at).copied());
    if !matches!(marks, [Some(b'-'), Some(b'-')] | [Some(b'/'), Some(b'/')]) || !time.starts_with(['T', ' ']) {
        return None;
    }
    let written = format!("{}{}", date.replace('/', "-"), time.replace(',', "."));
    clock::parse_time(&written).ok().map(|_| written)
}

/// A word that is a level, whatever marks are around it.
fn level_of(word: &str) -> Option<&'static str> {
    let bare = word.trim_matches(|c: char| "[]():|<>".contains(c));
    let is_marked = bare.len() < word.len();
    // `app.ERROR:` of Monolog.
    if let Some((_, last)) = bare.rsplit_once('.').filter(|_| word.ends_with(':')) {
        return LEVELS.into_iter().find(|level| *level == last);
    }
    let found = LEVELS.into_iter().find(|level| level.eq_ignore_ascii_case(bare))?;
    // In small letters a word is one of the text, unless it is marked.
    (is_marked || bare == found).then_some(found)
}

/// A word is a level as frameworks write it.
pub(super) fn is_level(word: &str) -> bool {
    LEVELS.contains(&word)
}

/// Level, logger and message of what stands behind the time.
fn said(rest: &str) -> (Option<&'static str>, Option<&str>, &str) {
    let mut at = 0;
    for number in 0..LEVEL_WITHIN {
        let from = at + rest[at..].len() - rest[at..].trim_ascii_start().len();
        let until = rest[from..].find([' ', '\t']).map_or(rest.len(), |end| from + end);
        if let Some(level) = level_of(&rest[from..until]) {
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
    if let Some((_, behind)) = text.split_once("--- [")
        && let Some((_, behind)) = behind.split_once(']')
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
    let spaced: String = message.chars().map(|c| if matches!(c, '{' | '}' | ',') { ' ' } else { c }).collect();
    let items = items(&spaced);
    let pairs = items.iter().enumerate().filter_map(|(at, item)| match item {
        // `latency=414 us`, as Rust's spans have it.
        Item::Pair(key, value) => match items.get(at + 1) {
            Some(Item::Word(unit)) if value.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') => {
                let unit = UNITS.into_iter().find(|(name, _)| name == unit).map_or("", |(_, unit)| unit);
                Some((*key, format!("{value}{unit}")))
            }
            _ => Some((*key, value.clone())),
        },
        Item::Word(_) => None,
    });
    for (key, value) in pairs.take(PAIRS_MAX).filter(|(key, value)| is_key(key) && !value.is_empty()) {
        object.value(key, value.trim_end_matches([':', ';', ')']));
    }
}
