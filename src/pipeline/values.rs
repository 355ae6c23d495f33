//! Values in the notations that loggers use: levels, truth, statuses, durations.

use crate::event::Level;
use crate::pipeline::number;
use crate::pipeline::roles::{ErrorNotation, LatencyUnit, StatusNotation};

/// Severity from a word, a letter, a pino number (10 to 60), a syslog severity (0 to 7) or an OpenTelemetry number text.
pub fn level(text: &str) -> Level {
    let first = text.bytes().next().unwrap_or(0);
    if first.is_ascii_digit() {
        return match number::parse_u64(text) {
            Some(60..100) => Level::Fatal,
            // Monolog, and from 700 on Java's own logging.
            Some(100..200) => Level::Debug,
            Some(200..300 | 700..900) => Level::Info,
            Some(300..400 | 900..1000) => Level::Warn,
            Some(400..500 | 1000..) => Level::Error,
            Some(500..700) => Level::Fatal,
            Some(50..60) => Level::Error,
            Some(40..50) => Level::Warn,
            Some(30..40) => Level::Info,
            Some(20..30) => Level::Debug,
            Some(10..20) => Level::Trace,
            Some(0..=2) => Level::Fatal,
            Some(3) => Level::Error,
            Some(4) => Level::Warn,
            Some(5 | 6) => Level::Info,
            Some(7) => Level::Debug,
            _ => Level::Unknown,
        };
    }
    match (first.to_ascii_lowercase(), text.len()) {
        (b'i', _) | (b'n', 1) | (b's', 7) => Level::Info,
        (b'n', _) if text.eq_ignore_ascii_case("notice") => Level::Info,
        (b'w', _) => Level::Warn,
        (b'e', _) if text.eq_ignore_ascii_case("emergency") || text.eq_ignore_ascii_case("emerg") => Level::Fatal,
        (b'e', _) => Level::Error,
        // Google Cloud: none is known.
        (b'd', 7) => Level::Unknown,
        (b'd', _) => Level::Debug,
        (b't' | b'v', _) => Level::Trace,
        // Java's own logging: SEVERE, CONFIG, FINE, FINER, FINEST. winston: silly, http.
        (b's', 6) => Level::Error,
        (b'f', 4..=6) if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("fine")) => Level::Debug,
        (b'c', 6) | (b'h', 4) => Level::Debug,
        (b's', 5) => Level::Trace,
        (b'l', 3) => Level::Info,
        (b'f' | b'c' | b'a' | b'p', _) => Level::Fatal,
        _ => Level::Unknown,
    }
}

/// OpenTelemetry severity number (1 to 24).
pub fn level_of_severity_number(text: &str) -> Level {
    match number::parse_u64(text) {
        Some(1..=4) => Level::Trace,
        Some(5..=8) => Level::Debug,
        Some(9..=12) => Level::Info,
        Some(13..=16) => Level::Warn,
        Some(17..=20) => Level::Error,
        Some(21..=24) => Level::Fatal,
        _ => Level::Unknown,
    }
}

/// What a status says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Status {
    /// HTTP status divided by 100; 0 when it is no HTTP status.
    pub class: u8,
    /// The server failed.
    pub error: bool,
}

/// Status from an HTTP number, a gRPC code name, or the words that loggers write.
///
/// Server errors are HTTP 500 to 599 and the gRPC codes that the gRPC documentation maps to them: UNKNOWN,
/// DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS. Status 0 (Envoy: no answer) is an error.
pub fn status(text: &str) -> Option<Status> {
    // Nearly always.
    if let [hundreds @ b'1'..=b'5', b'0'..=b'9', b'0'..=b'9'] = text.as_bytes() {
        return Some(Status { class: hundreds - b'0', error: *hundreds == b'5' });
    }
    any_status(text)
}

fn any_status(text: &str) -> Option<Status> {
    // `200.0`, of a table that pandas wrote.
    let text = text.trim();
    if let Some(number) = number::parse_u64(text.strip_suffix(".0").unwrap_or(text)) {
        return match number {
            100..=599 => Some(Status { class: (number / 100) as u8, error: number >= 500 }),
            0 => Some(Status { class: 0, error: true }),
            _ => None,
        };
    }
    // `5xx`
    if let [hundreds @ b'1'..=b'5', b'x' | b'X', b'x' | b'X'] = text.as_bytes() {
        return Some(Status { class: hundreds - b'0', error: *hundreds == b'5' });
    }
    // `HTTP/1.1 500`, `HTTP 500`
    if let Some(rest) = text.strip_prefix("HTTP").filter(|rest| rest.starts_with([' ', '/'])) {
        return rest.split_once(' ').and_then(|(_, code)| any_status(code)).filter(|status| status.class > 0);
    }
    // `500 Internal Server Error`
    if let Some((number, _)) = text.split_once(' ').filter(|(number, _)| number.len() == 3) {
        return any_status(number).filter(|status| status.class > 0);
    }
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    // Reason phrases (RFC 9110).
    let phrases = ["internal server error", "bad gateway", "service unavailable", "gateway timeout"];
    let is_phrase = |phrase: &&str| {
        let same = |(a, b): (u8, u8)| a.eq_ignore_ascii_case(&b) || (a == b' ' && b == b'_');
        phrase.len() == text.len() && phrase.bytes().zip(text.bytes()).all(same)
    };
    if phrases.iter().any(is_phrase) {
        return Some(Status { class: 5, error: true });
    }
    if ["ok", "success", "succeeded", "completed"].iter().any(|word| is(word)) {
        return Some(Status { class: 2, error: false });
    }
    let server =
        ["unknown", "deadlineexceeded", "deadline_exceeded", "unimplemented", "internal", "unavailable", "dataloss"];
    if server.iter().any(|word| is(word))
        || is("data_loss")
        || is("error")
        || is("failed")
        || is("failure")
        || is("fail")
        || is("timeout")
    {
        return Some(Status { class: 5, error: true });
    }
    let client = [
        "canceled",
        "cancelled",
        "invalidargument",
        "invalid_argument",
        "notfound",
        "not_found",
        "alreadyexists",
        "already_exists",
        "permissiondenied",
        "permission_denied",
        "unauthenticated",
        "resourceexhausted",
        "resource_exhausted",
        "failedprecondition",
        "failed_precondition",
        "aborted",
        "outofrange",
        "out_of_range",
    ];
    client.iter().any(|word| is(word)).then_some(Status { class: 4, error: false })
}

/// Status in the notation of its field.
#[inline]
pub fn status_in(text: &str, notation: StatusNotation) -> Option<Status> {
    match notation {
        StatusNotation::Http => status(text),
        StatusNotation::Grpc => grpc_status(text),
        StatusNotation::Span => span_status(text),
    }
}

/// Status from a gRPC code: its number or its name. Other numbers are read as HTTP statuses.
fn grpc_status(text: &str) -> Option<Status> {
    match number::parse_u64(text.trim()) {
        Some(0) => Some(Status { class: 2, error: false }),
        // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
        Some(2 | 4 | 12..=15) => Some(Status { class: 5, error: true }),
        Some(1..=16) => Some(Status { class: 4, error: false }),
        _ => status(text),
    }
}

/// Status of an OpenTelemetry span. Other numbers are read as HTTP statuses.
fn span_status(text: &str) -> Option<Status> {
    let word = text.strip_prefix("STATUS_CODE_").unwrap_or(text);
    match word {
        "0" | "1" => Some(Status { class: 2, error: false }),
        "2" => Some(Status { class: 5, error: true }),
        _ if word.eq_ignore_ascii_case("unset") => Some(Status { class: 2, error: false }),
        _ => status(word),
    }
}

/// A word that stands where an identity is missing: `anonymous` is nobody, however many requests it makes.
#[inline]
pub fn is_nobody(text: &str) -> bool {
    const LONGEST: usize = 20;
    const SPAN: usize = 16;
    match text.as_bytes() {
        [] => true,
        // Ids mostly have a digit, and no such word has.
        [b'0'] | [b'-'] | [b'-', b'1'] => true,
        // OpenTelemetry's ids of nothing, and the nil UUID.
        bytes if bytes.len() >= SPAN && bytes.iter().all(|byte| matches!(byte, b'0' | b'-')) => true,
        bytes if bytes.len() > LONGEST => false,
        bytes if bytes.iter().any(u8::is_ascii_digit) => false,
        bytes => is_word_for_nobody(bytes),
    }
}

#[inline(never)]
fn is_word_for_nobody(bytes: &[u8]) -> bool {
    const WORDS: [&str; 19] = [
        "nil",
        "anon",
        "null",
        "none",
        "guest",
        "visitor",
        "unknown",
        "anonymous",
        "undefined",
        "anonymoususer",
        "unauthenticated",
        "notauthenticated",
        "notloggedin",
        "loggedout",
        "nouser",
        // What was taken out, here or before.
        "redacted",
        "filtered",
        "masked",
        "removed",
    ];
    let mut letters = [0u8; 20];
    let mut len = 0;
    for byte in bytes.iter().filter(|byte| byte.is_ascii_alphabetic()) {
        if let Some(letter) = letters.get_mut(len) {
            *letter = byte.to_ascii_lowercase();
            len += 1;
        }
    }
    // Letters of other scripts are no signs around a word.
    let is_plain = bytes.iter().all(|byte| byte.is_ascii_alphabetic() || b"-_ <>()[]{}.*/'\"".contains(byte));
    let word = letters.get(..len).unwrap_or_default();
    is_plain
        && (bytes == b"***" || bytes.eq_ignore_ascii_case(b"n/a") || WORDS.iter().any(|known| known.as_bytes() == word))
}

/// The client in an address as servers and proxies write it: the first of a list, without its port, which is another for each connection.
pub fn client_of(text: &str) -> &str {
    let first = text.split(',').next().unwrap_or(text).trim_ascii();
    if let Some((inside, _)) = first.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        return inside;
    }
    match first.rsplit_once(':') {
        Some((host, port))
            if !host.contains(':')
                && (1..=5).contains(&port.len())
                && port.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            host
        }
        _ => first,
    }
}

/// Characters of a pod template's hash: Kubernetes writes a number of 32 bits in decimal, and these for its digits
/// (`SafeEncodeString` of apimachinery). They are fewer than those of the random end of a pod's name.
const HASH_DIGITS: &[u8] = b"bcdf456789";
/// Characters of the random end of a pod's name.
const NAME_END: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// The workload and the hash of the pod's template in the name of a pod that a ReplicaSet made: `web` and `5d9c7b8f6d` in
/// `web-5d9c7b8f6d-x7k2p`.
///
/// It tells versions apart, and not which is the newer. Pods of a StatefulSet (`web-0`), a DaemonSet (`web-x7k2p`) and a
/// Job (`web-29547810-x7k2p`: digits of a time, which has 0, 1, 2 or 3 in it for decades) have none. Shorter hashes than
/// 8 characters are 1 in 400 and not recognised, so that words are not taken for hashes.
pub fn pod_template(pod: &str) -> Option<(&str, &str)> {
    let (set, end) = pod.rsplit_once('-')?;
    let (workload, hash) = set.rsplit_once('-')?;
    let is_hash = (8..=10).contains(&hash.len()) && hash.bytes().all(|byte| HASH_DIGITS.contains(&byte));
    let is_end = end.len() == 5 && end.bytes().all(|byte| NAME_END.contains(&byte));
    (is_hash && is_end && !workload.is_empty()).then_some((workload, hash))
}

/// Truth from a word or number.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "1" | "yes" => Some(true),
        "false" | "False" | "FALSE" | "0" | "no" | "" => Some(false),
        _ => None,
    }
}

/// A field about failures says that the work failed. Text that is no word for "none" says what failed.
pub fn failed(text: &str, notation: ErrorNotation) -> bool {
    let is = |word: &&str| text.eq_ignore_ascii_case(word);
    match notation {
        ErrorNotation::Failed => {
            const NONE: [&str; 11] = ["", "-", "0", "no", "ok", "nil", "none", "null", "<nil>", "false", "undefined"];
            !NONE.iter().any(is)
        }
        ErrorNotation::Success => truth(text) == Some(false) && !text.is_empty(),
        ErrorNotation::Outcome => ["failure", "failed", "error"].iter().any(is),
    }
}

/// The text of an object or list without anything in it.
pub fn is_empty_json(raw: &str) -> bool {
    raw.trim_matches(|c: char| c.is_ascii_whitespace() || matches!(c, '{' | '}' | '[' | ']')).is_empty()
}

/// Latency in microseconds from a number in `unit`, or from text with its own unit (`12.5ms`, `1.2s`, `1m2.5s`, `3.1 seconds`), as ISO 8601
/// has it (`PT0.7S`) or as a time span of .NET (`00:00:00.0441234`, `1.02:00:00`).
pub fn latency_us(text: &str, unit: LatencyUnit) -> Option<u64> {
    if let [b'0'..=b'9', .., b'0'..=b'9'] = text.as_bytes() {
        let read = decimal_us(text, unit).or_else(|| time_span_us(text));
        return read.or_else(|| decimal_us(&without_thousands(text)?, unit));
    }
    let text = text.trim();
    match text.bytes().last() {
        Some(b'0'..=b'9' | b'.') => decimal_us(text, unit),
        Some(_) => match text.strip_prefix("PT") {
            Some(parts) => iso_duration_us(parts),
            None => go_duration_us(text).or_else(|| {
                // `1,012.3 ms`
                let unit_at = text.find(|c: char| c.is_ascii_alphabetic() || c == ' ')?;
                let (number, unit) = text.split_at(unit_at);
                go_duration_us(&(without_thousands(number)? + unit))
            }),
        },
        None => None,
    }
}

/// `1,234.5` without its commas. `1,234` may be a fraction as well, and is neither.
fn without_thousands(text: &str) -> Option<String> {
    let (whole, _) = text.split_once('.')?;
    let mut groups = whole.split(',');
    let first = groups.next().filter(|first| (1..=3).contains(&first.len()))?;
    (first.len() < whole.len() && groups.all(|group| group.len() == 3)).then(|| text.replace(',', ""))
}

/// The part of an ISO 8601 duration behind `PT`: `1H2M3.5S`, each part at most once and in this order.
fn iso_duration_us(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0u64;
    for (letter, seconds) in [('H', 3600), ('M', 60), ('S', 1)] {
        let Some((value, behind)) = rest.split_once(letter) else { continue };
        total = total.checked_add(decimal_us(value, LatencyUnit::Seconds)?.checked_mul(seconds)?)?;
        rest = behind;
    }
    (rest.is_empty() && !text.is_empty()).then_some(total)
}

/// `[d.]hh:mm:ss[.fffffff]`, as .NET writes a TimeSpan.
fn time_span_us(text: &str) -> Option<u64> {
    let (hours, rest) = text.split_once(':')?;
    let (minutes, seconds) = rest.split_once(':')?;
    let (days, hours) = hours.split_once('.').unwrap_or(("0", hours));
    let number = |text: &str, below: u64| text.parse::<u64>().ok().filter(|number| text.len() <= 8 && *number < below);
    let two = |text: &str, below: u64| number(text, below).filter(|_| text.len() == 2);
    two(seconds.get(..2)?, 60)?;
    let whole = number(days, 100_000)? * 86_400
        + number(hours, 24).filter(|_| hours.len() <= 2)? * 3_600
        + two(minutes, 60)? * 60;
    decimal_us(seconds, LatencyUnit::Seconds)?.checked_add(whole * 1_000_000)
}

fn decimal_us(text: &str, unit: LatencyUnit) -> Option<u64> {
    match unit {
        LatencyUnit::Nanos => number::micros_from_decimal(text, 1, 1000),
        LatencyUnit::Micros => number::micros_from_decimal(text, 1, 1),
        LatencyUnit::Millis => number::micros_from_decimal(text, 1000, 1),
        LatencyUnit::Seconds => number::micros_from_decimal(text, 1_000_000, 1),
    }
}

/// A duration as Go prints it: decimal numbers with units, largest first.
fn go_duration_us(text: &str) -> Option<u64> {
    let mut rest = text;
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').filter(|at| *at > 0)?;
        let (value, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let us = match unit.trim() {
            "ns" | "nanosecond" | "nanoseconds" => decimal_us(value, LatencyUnit::Nanos)?,
            "us" | "\u{b5}s" | "\u{3bc}s" | "usec" | "microsecond" | "microseconds" => {
                decimal_us(value, LatencyUnit::Micros)?
            }
            "ms" | "msec" | "msecs" | "millis" | "millisecond" | "milliseconds" => {
                decimal_us(value, LatencyUnit::Millis)?
            }
            "s" | "sec" | "secs" | "second" | "seconds" => decimal_us(value, LatencyUnit::Seconds)?,
            "m" | "min" | "minute" | "minutes" => decimal_us(value, LatencyUnit::Seconds)?.checked_mul(60)?,
            "h" | "hour" | "hours" => decimal_us(value, LatencyUnit::Seconds)?.checked_mul(3600)?,
            _ => return None,
        };
        total = total.checked_add(us)?;
        // `1 minute 3 seconds`
        rest = tail.trim_ascii_start();
    }
    Some(total)
}

/// Route with what varies taken out: the query string, and path segments that are numbers, ids, tokens or addresses.
///
/// Appends to `out`; returns false (and appends nothing) when `path` can be used as it is.
pub fn mask_route(path: &str, out: &mut String) -> bool {
    // An address in full: its host is no part of the route.
    if path.starts_with("http")
        && let Some((_, behind)) = path.split_once("://")
    {
        let local = behind.find('/').and_then(|at| behind.get(at..)).unwrap_or("/");
        if !mask_route(local, out) {
            out.push_str(local);
        }
        return true;
    }
    let end = path.find(['?', '#']).unwrap_or(path.len());
    let Some(clean) = path.get(..end) else { return false };
    let varies = |segment: &str| {
        let digits = segment.bytes().filter(u8::is_ascii_digit).count();
        let hex = segment.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
        (digits > 0 && digits == segment.len())
            || (segment.len() >= 8 && hex && digits >= 2)
            || segment.len() > 64
            || (segment.len() >= TOKEN_MIN && is_token(segment))
            || segment.contains('@')
            || (segment.contains('%') && segment.contains("%40"))
    };
    if end == path.len() && !clean.split('/').any(varies) {
        return false;
    }
    for (at, segment) in clean.split('/').enumerate() {
        if at > 0 {
            out.push('/');
        }
        out.push_str(if varies(segment) { "{id}" } else { segment });
    }
    true
}

/// Bytes from which a path segment may be a token.
const TOKEN_MIN: usize = 20;

/// A part this long that mixes letters and digits is no word.
const MIXED_MIN: usize = 8;

/// A long segment is a token, not words: between separators it goes to and fro between letters and digits, or it
/// changes case at every other letter. `hipstershop.ProductCatalogService` and `oauth2-callback-endpoint` do neither.
fn is_token(segment: &str) -> bool {
    let changes = |part: &[u8], differ: fn(u8, u8) -> bool| {
        part.windows(2).filter(|pair| matches!(pair, [a, b] if differ(*a, *b))).count()
    };
    let separator = |b: &u8| matches!(b, b'-' | b'_' | b'.' | b'~' | b':' | b',' | b'+' | b'=');
    let mixes =
        |part: &[u8]| part.len() >= MIXED_MIN && changes(part, |a, b| a.is_ascii_digit() != b.is_ascii_digit()) >= 2;
    segment.as_bytes().split(separator).any(mixes)
        || changes(segment.as_bytes(), |a, b| a.is_ascii_uppercase() != b.is_ascii_uppercase()) * 2 >= segment.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels() {
        for (text, expect) in [
            ("info", Level::Info),
            ("INFO", Level::Info),
            ("W", Level::Warn),
            ("warning", Level::Warn),
            ("err", Level::Error),
            ("emerg", Level::Fatal),
            ("critical", Level::Fatal),
            ("alert", Level::Fatal),
            ("panic", Level::Fatal),
            ("notice", Level::Info),
            ("debug", Level::Debug),
            ("30", Level::Info),
            ("50", Level::Error),
            ("60", Level::Fatal),
            ("3", Level::Error),
            ("6", Level::Info),
            ("", Level::Unknown),
            ("?", Level::Unknown),
            ("Verbose", Level::Trace),
            ("Information", Level::Info),
            ("DEFAULT", Level::Unknown),
            ("SEVERE", Level::Error),
            ("FINEST", Level::Debug),
            ("CONFIG", Level::Debug),
            ("LOG", Level::Info),
            ("200", Level::Info),
            ("550", Level::Fatal),
            ("1000", Level::Error),
        ] {
            assert_eq!(level(text), expect, "{text}");
        }
        assert_eq!(level_of_severity_number("17"), Level::Error);
        assert_eq!(level_of_severity_number("0"), Level::Unknown);
    }

    #[test]
    fn statuses() {
        assert_eq!(status("200"), Some(Status { class: 2, error: false }));
        assert_eq!(status("503"), Some(Status { class: 5, error: true }));
        assert_eq!(status("404"), Some(Status { class: 4, error: false }));
        assert_eq!(status("0"), Some(Status { class: 0, error: true }));
        assert_eq!(status("OK"), Some(Status { class: 2, error: false }));
        assert_eq!(status("UNAVAILABLE"), Some(Status { class: 5, error: true }));
        assert_eq!(status("NotFound"), Some(Status { class: 4, error: false }));
        assert_eq!(status("shipped"), None);
        assert_eq!(status("7"), None);
    }

    #[test]
    fn failures() {
        for (text, notation, expect) in [
            ("boom", ErrorNotation::Failed, true),
            ("true", ErrorNotation::Failed, true),
            ("1", ErrorNotation::Failed, true),
            ("none", ErrorNotation::Failed, false),
            ("None", ErrorNotation::Failed, false),
            ("false", ErrorNotation::Failed, false),
            ("False", ErrorNotation::Failed, false),
            ("0", ErrorNotation::Failed, false),
            ("", ErrorNotation::Failed, false),
            ("null", ErrorNotation::Failed, false),
            ("no", ErrorNotation::Failed, false),
            ("OK", ErrorNotation::Failed, false),
            ("<nil>", ErrorNotation::Failed, false),
            ("not found", ErrorNotation::Failed, true),
            ("false", ErrorNotation::Success, true),
            ("0", ErrorNotation::Success, true),
            ("true", ErrorNotation::Success, false),
            ("", ErrorNotation::Success, false),
            ("perhaps", ErrorNotation::Success, false),
            ("failure", ErrorNotation::Outcome, true),
            ("success", ErrorNotation::Outcome, false),
            ("unknown", ErrorNotation::Outcome, false),
        ] {
            assert_eq!(failed(text, notation), expect, "{text} {notation:?}");
        }
        for (raw, expect) in [("{}", true), ("[ ]", true), ("{ }", true), (r#"{"a":1}"#, false), ("[0]", false)] {
            assert_eq!(is_empty_json(raw), expect, "{raw}");
        }
    }

    #[test]
    fn statuses_of_spans() {
        let ok = Some(Status { class: 2, error: false });
        let failed = Some(Status { class: 5, error: true });
        for (text, expect) in [
            ("0", ok),
            ("1", ok),
            ("2", failed),
            ("STATUS_CODE_UNSET", ok),
            ("STATUS_CODE_OK", ok),
            ("STATUS_CODE_ERROR", failed),
            ("Error", failed),
            ("Unset", ok),
            ("503", failed),
            ("3", None),
        ] {
            assert_eq!(status_in(text, StatusNotation::Span), expect, "{text}");
        }
    }

    #[test]
    fn nobody() {
        for text in [
            "",
            "-",
            "0",
            "null",
            "None",
            "nil",
            "unknown",
            "Anonymous",
            "ANON",
            "guest",
            "undefined",
            "visitor",
            "n/a",
            "not-logged-in",
            "<anonymous>",
            "(none)",
            "***",
            "[FILTERED]",
            "AnonymousUser",
            "0000000000000000",
            "00000000000000000000000000000000",
            "00000000-0000-0000-0000-000000000000",
        ] {
            assert!(is_nobody(text), "{text}");
        }
        for text in
            ["00", "1", "u0", "nobody", "guest1", "anonymous2", "--", " ", "na", "guests", "\u{e9}none", "system"]
        {
            assert!(!is_nobody(text), "{text}");
        }
    }

    #[test]
    fn pods_of_replica_sets_alone_tell_their_template() {
        for (pod, hash) in [
            ("web-5d9c7b8f6d-x7k2p", Some("5d9c7b8f6d")),
            ("coredns-66b6c48dd5-cxlzw", Some("66b6c48dd5")),
            ("checkout-canary-7fb96c846b-2mnqz", Some("7fb96c846b")),
            ("shop/front-end-75675f58-7xqr8", Some("75675f58")),
            // StatefulSet, DaemonSet, Job of a CronJob, a static pod, a bare pod, a host.
            ("web-0", None),
            ("postgres-main-0", None),
            ("web-x7k2p", None),
            ("kube-proxy-x7k2p", None),
            ("node-exporter-hv8tk", None),
            ("backup-29547810-x7k2p", None),
            ("report-28457962-x7k2p", None),
            ("kube-apiserver-control-plane-1", None),
            ("ip-10-0-5-44.eu-west-1.compute.internal", None),
            ("web-1564180365-khku8", None),
            // Too short, too long, other characters, nothing in front.
            ("web-5d9c7b8-x7k2p", None),
            ("web-5d9c7b8f6d7-x7k2p", None),
            ("web-5D9c7b8f6d-x7k2p", None),
            ("web-fluentbd-x7k2p", None),
            ("web-5d9c7b8f6d-x7k2", None),
            ("web-5d9c7b8f6d-x7k2p1", None),
            ("web-5d9c7b8f6d-x7kap", None),
            ("-5d9c7b8f6d-x7k2p", None),
            ("5d9c7b8f6d-x7k2p", None),
            ("", None),
            ("--", None),
        ] {
            assert_eq!(pod_template(pod).map(|(_, hash)| hash), hash, "{pod}");
        }
        assert_eq!(pod_template("web-api-5d9c7b8f6d-x7k2p"), Some(("web-api", "5d9c7b8f6d")));
    }

    #[test]
    fn grpc_codes() {
        let ok = Some(Status { class: 2, error: false });
        let server = Some(Status { class: 5, error: true });
        let client = Some(Status { class: 4, error: false });
        for (text, expect) in [
            ("0", ok),
            ("OK", ok),
            ("1", client),
            ("CANCELLED", client),
            ("2", server),
            ("Unknown", server),
            ("3", client),
            ("4", server),
            ("DeadlineExceeded", server),
            ("5", client),
            ("NotFound", client),
            ("11", client),
            ("12", server),
            ("13", server),
            ("INTERNAL", server),
            ("14", server),
            ("Unavailable", server),
            ("15", server),
            ("DATA_LOSS", server),
            ("16", client),
            ("UNAUTHENTICATED", client),
            ("200", ok),
            ("17", None),
            ("-", None),
            ("", None),
        ] {
            assert_eq!(status_in(text, StatusNotation::Grpc), expect, "{text}");
        }
        assert_eq!(status_in("14", StatusNotation::Http), None);
        assert_eq!(status_in("0", StatusNotation::Http), Some(Status { class: 0, error: true }));
    }

    #[test]
    fn durations() {
        assert_eq!(latency_us("12.345", LatencyUnit::Millis), Some(12_345));
        assert_eq!(latency_us("0.0123", LatencyUnit::Seconds), Some(12_300));
        assert_eq!(latency_us("1500", LatencyUnit::Nanos), Some(2));
        assert_eq!(latency_us("12.5ms", LatencyUnit::Seconds), Some(12_500));
        assert_eq!(latency_us("1m2.5s", LatencyUnit::Millis), Some(62_500_000));
        assert_eq!(latency_us("250\u{b5}s", LatencyUnit::Millis), Some(250));
        assert_eq!(latency_us("-1", LatencyUnit::Millis), None);
        assert_eq!(latency_us("soon", LatencyUnit::Millis), None);
        assert_eq!(latency_us("", LatencyUnit::Millis), None);
    }

    #[test]
    fn a_client_is_the_first_address_without_its_port() {
        for (text, client) in [
            ("10.0.0.7", "10.0.0.7"),
            ("10.0.0.7:51234", "10.0.0.7"),
            ("10.0.0.7, 10.1.0.1", "10.0.0.7"),
            (" 10.0.0.7:1 , 10.1.0.1:2", "10.0.0.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("::1", "::1"),
            ("web-1:80", "web-1"),
            ("a:b", "a:b"),
            ("", ""),
        ] {
            assert_eq!(client_of(text), client, "{text}");
        }
    }

    #[test]
    fn routes_lose_what_varies() {
        let mask = |path: &str| {
            let mut out = String::new();
            if mask_route(path, &mut out) { out } else { path.to_owned() }
        };
        assert_eq!(mask("/api/cart"), "/api/cart");
        assert_eq!(mask("/api/orders/123?x=1"), "/api/orders/{id}");
        assert_eq!(mask("/u/550e8400-e29b-41d4-a716-446655440000/a"), "/u/{id}/a");
        assert_eq!(mask("/v2/items"), "/v2/items");
        assert_eq!(mask("grpc.Service/Get"), "grpc.Service/Get");
        for segment in [
            "AbCdEfGhIjKlMnOpQrStUvWxYz-u1594@example.com",
            "ann@example.com",
            "ann%40example.com",
            "eyJhbGciOiJIUzI1NiJ9.secretpart",
            "AbCdEfGhIjKlMnOpQrStUvWxYz",
            "k3jf9x2mq8z7w1p5v4b6",
            "dGhpcyBpcyBhIHRva2Vu_x1-Zm9yIHJlc2V0",
            "order-a1b2c3d4e5f6g7h8",
        ] {
            assert_eq!(mask(&format!("/reset/{segment}/x")), "/reset/{id}/x", "{segment}");
        }
        for path in [
            "/hipstershop.ProductCatalogService/GetProduct",
            "/grpc.health.v1.Health/Check",
            "/oauth2-callback-endpoint/GetOrdersByCustomerId",
            "/apis/v1beta1.subresources.kubevirt.io",
            "/elasticsearch7-cluster-status",
            "/2026-summer-sale-landing",
            "/getRecommendationsForUser",
            "/a%20b",
        ] {
            assert_eq!(mask(path), path);
        }
    }
}
