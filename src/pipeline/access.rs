//! Access log lines of Apache and nginx, in the common and the combined format and what is often put behind them.
//!
//! Split by hand: about ten times as fast as a regular expression with captures. Fields are slices of the line as written;
//! escapes in them (`\"`, `\x22`) are kept. What a status or a path means is decided elsewhere.

use core::net::IpAddr;

use memchr::memchr;

/// One request of an access log. A field that the server wrote as `-` is `None`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access<'a> {
    /// Virtual host in front of the line, with its port if there is one (`example.com:443`).
    pub vhost: Option<&'a str>,
    /// Address or name of the client; the first of a list.
    pub client: &'a str,
    /// Identity by RFC 1413, nearly always absent.
    pub ident: Option<&'a str>,
    /// User of HTTP authentication; may hold spaces.
    pub user: Option<&'a str>,
    /// Time between the brackets, for [`parse_time`](super::clock::parse_time).
    pub time: &'a str,
    /// The request line between its quotes, whatever the client sent.
    pub request: &'a str,
    /// Method, when the request line is one.
    pub method: Option<&'a str>,
    /// Path with its query, when the request line is one.
    pub path: Option<&'a str>,
    /// Protocol, when the request line is one and names it; HTTP/0.9 does not.
    pub protocol: Option<&'a str>,
    /// Status of the answer, three digits (nginx writes 000 when there was none).
    pub status: u16,
    /// Bytes of the answer; Apache writes `-` for none.
    pub bytes: Option<u64>,
    /// Referring page.
    pub referer: Option<&'a str>,
    /// User agent.
    pub agent: Option<&'a str>,
    /// What follows the fields above, without the space before it; empty when nothing does.
    pub rest: &'a str,
    /// Time the request took, in seconds or with its unit, as found in `rest`: see [`parse_access`].
    pub request_time: Option<&'a str>,
    /// How long the request took, where `rest` is one whole number and nothing else, as Apache writes `%D` (microseconds),
    /// `%{ms}T` and `%T` (seconds) behind the combined format. The line then says when the request was received.
    pub duration: Option<&'a str>,
    /// Addresses from a quoted field of `rest` that holds nothing else, as nginx's `"$http_x_forwarded_for"`.
    pub forwarded_for: Option<&'a str>,
}

/// Splits an access log line; `None` when it is not one.
///
/// ```text
/// [vhost[:port] ]client ident user [time] "request" status bytes[ "referer" "agent"][ rest]
/// ```
///
/// The request time is the value of `rt=`, `request_time=` or `request_time:` in the rest, otherwise its first bare number
/// with three decimals or more, which is how nginx, gunicorn and Rack write seconds; or a number with its unit, `12ms` of Traefik and
/// `12.3 ms` of morgan. Other numbers could be anything (Apache's `%D` counts microseconds, `%T` seconds) and numbers in quotes are ratios in nginx's own examples, so they are left alone. A whole number
/// that stands alone behind the combined format is kept as [`Access::duration`]; whether it is one, and in which unit, is decided
/// elsewhere.
pub fn parse_access(line: &str) -> Option<Access<'_>> {
    let line = line.trim_ascii_end();
    // What kubectl puts before a line would pass for a virtual host.
    if line.starts_with("[pod/") {
        return None;
    }
    let head_len = time_bracket(line.as_bytes())?;
    let (head, from_time) = (line.get(..head_len)?, line.get(head_len + 2..)?);
    let Who { mut vhost, client, ident, user } = who(head)?;
    if client.is_empty() || ident.is_empty() || user.is_empty() {
        return None;
    }

    let (time, after_time) = split_at_byte(from_time, b']')?;
    // `01/Jun/2026:10:00:00 +0000`, `Mon, 01 Jun 2026 10:00:00 GMT`
    let is_weekday = || matches!(time.as_bytes(), [b'A'..=b'Z', b'a'..=b'z', b'a'..=b'z', b',' | b' ', ..]);
    if !time.as_bytes().first()?.is_ascii_digit() && !is_weekday() {
        return None;
    }
    let mut asked = after_time.strip_prefix(' ')?;
    if !asked.starts_with('"') {
        // APISIX has the host there.
        let (host, rest) = word(asked);
        (vhost, asked) = (Some(host).filter(|_| vhost.is_none()), rest.strip_prefix(' ')?);
    }
    let (request, after_request) = quoted(asked)?;
    let (status, after_status) = word(after_request.strip_prefix(' ')?);
    let (bytes, after_bytes) = word(after_status.strip_prefix(' ')?);
    let (method, path, protocol) = request_line(request);
    let combined = two_quoted(after_bytes);
    let (referer, agent, rest) = match combined {
        Some((referer, agent, rest)) => (present(referer), present(agent), rest),
        None => (None, None, after_bytes),
    };
    let mut access = Access {
        vhost,
        client,
        ident: present(ident),
        user: present(user),
        time,
        request,
        method,
        path,
        protocol,
        status: status_code(status)?,
        bytes: match bytes {
            "-" => None,
            _ => Some(super::number::parse_u64(bytes)?),
        },
        referer,
        agent,
        rest: rest.trim_ascii_start(),
        request_time: None,
        duration: None,
        forwarded_for: None,
    };
    if !access.rest.is_empty() {
        (access.request_time, access.forwarded_for) = extras(access.rest);
        access.duration = (combined.is_some() && is_whole_number(access.rest)).then_some(access.rest);
    }
    Some(access)
}

/// Position of the ` [` in front of the time. A user may hold brackets, the time holds none and a quote follows it.
fn time_bracket(line: &[u8]) -> Option<usize> {
    // Behind the first quote begins what the client sent, which may look like anything.
    let before_request = line.get(..memchr(b'"', line)?)?;
    let bracket = memchr::memrchr(b'[', before_request)?;
    let space = bracket.checked_sub(1)?;
    (line.get(space) == Some(&b' ')).then_some(space)
}

/// Who asked whom, from the part before the time.
struct Who<'a> {
    vhost: Option<&'a str>,
    client: &'a str,
    ident: &'a str,
    user: &'a str,
}

fn who(head: &str) -> Option<Who<'_>> {
    let (mut first, mut after) = head.split_once(' ')?;
    // Several addresses, from `$http_x_forwarded_for` in the place of the client: the first is the client.
    let client = first.strip_suffix(',').unwrap_or(first);
    while first.ends_with(',') {
        (first, after) = after.split_once(' ')?;
    }
    let (second, third) = after.split_once(' ')?;
    // Older versions of Jetty write two blanks.
    let third = third.trim_ascii();
    if third.contains(' ') && is_around(first, second) {
        return None;
    }
    // Four words are a virtual host and a client or a user of two words.
    if let Some((third, fourth)) = third.split_once(' ')
        && client == first
        && second != "-"
        && (is_address(second) || has_port(first))
    {
        return Some(Who { vhost: Some(first), client: second, ident: third, user: fourth });
    }
    // An address behind other words is the client, and they are what somebody put before the line: a pod, a level.
    if third.contains(' ') && (is_address(second) || third.split(' ').any(is_address)) {
        return None;
    }
    // `INFO:werkzeug:10.0.0.7`
    let is_level = |word: &str| word.len() >= 4 && word.bytes().all(|b| b.is_ascii_uppercase());
    if client.split_once(':').is_some_and(|(word, _)| is_level(word)) && !is_address(client) && !has_port(client) {
        return None;
    }
    Some(Who { vhost: None, client, ident: second, user: third })
}

/// The first words of a line are what a collector or a relay put before it: a time, the stream of a container, a service.
fn is_around(first: &str, second: &str) -> bool {
    let is_month = first.len() == 3 && second.len() <= 2 && second.bytes().all(|b| b.is_ascii_digit());
    let is_time = first.len() >= 19 && matches!(first.as_bytes(), [b'0'..=b'9', _, _, _, b'-', ..]);
    is_time || is_month || first.starts_with('<') || matches!(second, "|" | "stdout" | "stderr")
}

/// Whether a word is a host with a port and not an IPv6 address.
fn has_port(word: &str) -> bool {
    word.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) && !is_address(word)
}

fn is_address(word: &str) -> bool {
    // Parsing is slow for what is clearly a word.
    word.as_bytes().first().is_some_and(|b| b.is_ascii_hexdigit() || *b == b':') && word.parse::<IpAddr>().is_ok()
}

fn present(field: &str) -> Option<&str> {
    if field == "-" { None } else { Some(field) }
}

/// Method, path and protocol, all `None` when the client did not send an HTTP request line.
pub(crate) fn request_line(request: &str) -> (Option<&str>, Option<&str>, Option<&str>) {
    let Some((method, after)) = split_at_byte(request, b' ') else { return (None, None, None) };
    let is_method =
        (1..=32).contains(&method.len()) && method.bytes().all(|b| b.is_ascii_alphabetic() || b == b'-' || b == b'_');
    // A path may hold spaces that a client failed to escape; the protocol is the last word.
    let (path, protocol) = match memchr::memrchr(b' ', after.as_bytes()).and_then(|at| after.split_at_checked(at)) {
        Some((path, protocol)) if protocol.starts_with(" HTTP/") => (path, protocol.get(1..)),
        _ => (after, None),
    };
    if !is_method || path.is_empty() || (protocol.is_none() && path.contains(' ')) {
        return (None, None, None);
    }
    (Some(method), Some(path), protocol)
}

fn status_code(text: &str) -> Option<u16> {
    if text.len() == 3 { super::number::parse_u64(text).and_then(|status| u16::try_from(status).ok()) } else { None }
}

/// The two quoted fields of the combined format, each behind a space, and what follows them.
fn two_quoted(text: &str) -> Option<(&str, &str, &str)> {
    let (referer, after_referer) = quoted(text.strip_prefix(' ')?)?;
    let (agent, rest) = quoted(after_referer.strip_prefix(' ')?)?;
    Some((referer, agent, rest))
}

/// The text between quotes at the beginning of `text`, and what follows the closing one, which a space or the end must.
fn quoted(text: &str) -> Option<(&str, &str)> {
    let inside = text.strip_prefix('"')?;
    let bytes = inside.as_bytes();
    let mut from = 0;
    loop {
        let quote = from + memchr(b'"', bytes.get(from..)?)?;
        let (field, after) = (inside.get(..quote)?, inside.get(quote + 1..)?);
        // An odd number of backslashes escapes the quote. Counting only back to the last quote keeps this linear.
        let backslashes = bytes.get(from..quote)?.iter().rev().take_while(|b| **b == b'\\').count();
        if backslashes % 2 == 0 {
            return (after.is_empty() || after.starts_with(' ')).then_some((field, after));
        }
        from = quote + 1;
    }
}

/// Splits at the next space, which stays with the second part.
fn word(text: &str) -> (&str, &str) {
    text.split_at_checked(memchr(b' ', text.as_bytes()).unwrap_or(text.len())).unwrap_or((text, ""))
}

/// Splits at the next such byte, which is left out.
fn split_at_byte(text: &str, separator: u8) -> Option<(&str, &str)> {
    let at = memchr(separator, text.as_bytes())?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

/// Request time and forwarded addresses from what follows the combined format.
fn extras(rest: &str) -> (Option<&str>, Option<&str>) {
    let mut named = None;
    let mut bare = None;
    let mut forwarded_for = None;
    let mut left = rest;
    while !left.is_empty() {
        left = left.trim_ascii_start();
        if let Some((field, after)) = quoted(left) {
            let first = field.split(',').next().unwrap_or_default();
            if forwarded_for.is_none() && is_address(first) {
                forwarded_for = Some(field);
            }
            left = after;
            continue;
        }
        let (token, after) = word(left);
        // `12ms`, as Traefik ends its line, or `12.3 ms`, as morgan does.
        let (unit, behind) = word(after.trim_ascii_start());
        let with_unit = is_seconds(token) && TIME_UNITS.contains(&unit);
        let timed = match with_unit {
            true => left.len().checked_sub(behind.len()).and_then(|len| left.get(..len)),
            false => Some(token).filter(|_| has_unit(token)),
        };
        if let Some(timed) = timed.filter(|_| named.is_none()) {
            named = Some(timed);
            left = if with_unit { behind } else { after };
            continue;
        }
        left = after;
        let value = ["rt=", "request_time=", "request_time:"].iter().find_map(|name| token.strip_prefix(*name));
        if let Some(value) = value.map(|value| value.trim_matches('"')) {
            named = named.or(is_seconds(value).then_some(value));
        } else if bare.is_none() && has_decimals(token) {
            bare = Some(token);
        }
    }
    (named.or(bare), forwarded_for)
}

/// Units behind a number.
const TIME_UNITS: [&str; 6] = ["ms", "us", "\u{b5}s", "\u{3bc}s", "s", "msecs"];

/// `12ms`, `3210us`, `0.1s`
fn has_unit(value: &str) -> bool {
    value.ends_with('s') && TIME_UNITS.iter().any(|unit| value.strip_suffix(unit).is_some_and(is_seconds))
}

fn is_seconds(value: &str) -> bool {
    let (whole, fraction) = value.split_once('.').unwrap_or((value, "0"));
    [whole, fraction].iter().all(|digits| !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
}

/// A whole number that a duration may be: below 2^40 microseconds.
fn is_whole_number(text: &str) -> bool {
    (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// Seconds as servers write them: with three decimals (nginx), four (Rack) or six (gunicorn, Actix). Ratios have fewer.
fn has_decimals(value: &str) -> bool {
    is_seconds(value) && value.split_once('.').is_some_and(|(_, decimals)| (3..=9).contains(&decimals.len()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::clock::parse_time;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// Fields that a case does not name are those of the first line below.
    fn parsed(line: &str) -> Access<'_> {
        parse_access(line).unwrap_or_else(|| panic!("not an access line: {line}"))
    }

    const COMMON: &str = r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a/b.png?x=1 HTTP/1.1" 200 2326"#;

    fn common() -> Access<'static> {
        Access {
            vhost: None,
            client: "192.0.2.1",
            ident: None,
            user: None,
            time: "17/May/2015:10:05:03 +0000",
            request: "GET /a/b.png?x=1 HTTP/1.1",
            method: Some("GET"),
            path: Some("/a/b.png?x=1"),
            protocol: Some("HTTP/1.1"),
            status: 200,
            bytes: Some(2326),
            referer: None,
            agent: None,
            rest: "",
            request_time: None,
            duration: None,
            forwarded_for: None,
        }
    }

    #[test]
    fn common_and_combined() {
        assert_eq!(parse_access(COMMON), Some(common()));
        assert_eq!(parse_access(&format!("{COMMON}\r\n")), Some(common()));
        let line = format!(r#"{COMMON} "http://example.com/start" "Mozilla/5.0 (X11; Linux x86_64)""#);
        let expected = Access {
            referer: Some("http://example.com/start"),
            agent: Some("Mozilla/5.0 (X11; Linux x86_64)"),
            ..common()
        };
        assert_eq!(parse_access(&line), Some(expected));
        assert_eq!(parse_access(&format!(r#"{COMMON} "-" "-""#)), Some(common()));
        assert_eq!(
            parse_access(&format!(r#"{COMMON} "" """#)),
            Some(Access { referer: Some(""), agent: Some(""), ..common() })
        );
        assert_eq!(parse_time(common().time).unwrap().to_string(), "2015-05-17T10:05:03Z");
    }

    #[test]
    fn who_asked() {
        let check = |who: &str, vhost, client, ident, user| {
            let line = COMMON.replace("192.0.2.1 - -", who);
            assert_eq!(parsed(&line), Access { vhost, client, ident, user, ..common() }, "{line}");
        };
        check("2001:db8::7 - -", None, "2001:db8::7", None, None);
        check("::1 - -", None, "::1", None, None);
        check("crawler.example.net - -", None, "crawler.example.net", None, None);
        check("192.0.2.1 id frank", None, "192.0.2.1", Some("id"), Some("frank"));
        check("192.0.2.1 - Frank N. Furter", None, "192.0.2.1", None, Some("Frank N. Furter"));
        check("192.0.2.1 - we[ird] user", None, "192.0.2.1", None, Some("we[ird] user"));
        check("192.0.2.1 - [odd", None, "192.0.2.1", None, Some("[odd"));
        check("example.com:443 192.0.2.1 - -", Some("example.com:443"), "192.0.2.1", None, None);
        check("example.com 192.0.2.1 - joe", Some("example.com"), "192.0.2.1", None, Some("joe"));
        check("example.com:443 2001:db8::7 - -", Some("example.com:443"), "2001:db8::7", None, None);
        check("[::1]:8080 client.example.net - -", Some("[::1]:8080"), "client.example.net", None, None);
        check(
            "example.com:443 client.example.net - a b",
            Some("example.com:443"),
            "client.example.net",
            None,
            Some("a b"),
        );
        check("2001:db8::80 - two words", None, "2001:db8::80", None, Some("two words"));
        check("198.51.100.7, 192.0.2.1 - -", None, "198.51.100.7", None, None);
        check("198.51.100.7, 192.0.2.9, 192.0.2.1 - two words", None, "198.51.100.7", None, Some("two words"));
        check("192.0.2.1:5678 - two words", None, "192.0.2.1:5678", None, Some("two words"));
        check("unix: - -", None, "unix:", None, None);
        check("- - -", None, "-", None, None);
        check("192.0.2.1 - jürgen", None, "192.0.2.1", None, Some("jürgen"));
    }

    #[test]
    fn what_was_asked() {
        let check = |request: &str, method, path, protocol| {
            let line = COMMON.replace("GET /a/b.png?x=1 HTTP/1.1", request);
            assert_eq!(parsed(&line), Access { request, method, path, protocol, ..common() }, "{line}");
        };
        check("POST / HTTP/2.0", Some("POST"), Some("/"), Some("HTTP/2.0"));
        check("OPTIONS * HTTP/1.0", Some("OPTIONS"), Some("*"), Some("HTTP/1.0"));
        check("CONNECT example.com:443 HTTP/1.1", Some("CONNECT"), Some("example.com:443"), Some("HTTP/1.1"));
        check("VERSION-CONTROL /x HTTP/1.1", Some("VERSION-CONTROL"), Some("/x"), Some("HTTP/1.1"));
        check("GET /", Some("GET"), Some("/"), None);
        check("GET /a b c HTTP/1.1", Some("GET"), Some("/a b c"), Some("HTTP/1.1"));
        check(r#"GET /?q=\"x\" HTTP/1.1"#, Some("GET"), Some(r#"/?q=\"x\""#), Some("HTTP/1.1"));
        check(r"GET /a\\ HTTP/1.1", Some("GET"), Some(r"/a\\"), Some("HTTP/1.1"));
        check("GET /[x] HTTP/1.1", Some("GET"), Some("/[x]"), Some("HTTP/1.1"));
        check("GET /ü HTTP/1.1", Some("GET"), Some("/ü"), Some("HTTP/1.1"));
        for request in [
            "-",
            "",
            r"\x16\x03\x01\x02",
            r"\x16\x03 \x01",
            "GET",
            "GET ",
            "GET  HTTP/1.1",
            "hello wide world",
            "1 2 HTTP/1.1",
            r"\\",
            r#"\""#,
            " ",
        ] {
            check(request, None, None, None);
        }
    }

    #[test]
    fn status_and_bytes() {
        let check = |answer: &str, expected: Option<(u16, Option<u64>)>| {
            let line = COMMON.replace("200 2326", answer);
            assert_eq!(parse_access(&line).map(|access| (access.status, access.bytes)), expected, "{line}");
        };
        check("304 -", Some((304, None)));
        check("499 0", Some((499, Some(0))));
        check("000 0", Some((0, Some(0))));
        check("206 18446744073709551615", Some((206, Some(u64::MAX))));
        for answer in [
            "",
            "200",
            "200 ",
            "20 1",
            "2000 1",
            "- 1",
            "abc 1",
            "200 x",
            "200 -1",
            "200 1.5",
            "200  1",
            "+20 1",
            "200 18446744073709551616",
        ] {
            check(answer, None);
        }
    }

    #[test]
    fn what_follows() {
        let check = |rest: &str, request_time, forwarded_for| {
            let line = format!(r#"{COMMON} "http://example.com/" "curl/8.5.0" {rest}"#);
            let expected = Access {
                referer: Some("http://example.com/"),
                agent: Some("curl/8.5.0"),
                rest,
                request_time,
                duration: (rest == "1234").then_some(rest),
                forwarded_for,
                ..common()
            };
            assert_eq!(parse_access(&line), Some(expected), "{line}");
        };
        check("0.123", Some("0.123"), None);
        check("0.012345", Some("0.012345"), None);
        check("3.210 ms", Some("3.210 ms"), None);
        check("512 3210us 0.123", Some("3210us"), None);
        check("2 ms 0.123", Some("2 ms"), None);
        check(r#""198.51.100.7""#, None, Some("198.51.100.7"));
        check(r#""198.51.100.7, 192.0.2.9" 1.005"#, Some("1.005"), Some("198.51.100.7, 192.0.2.9"));
        check(r#""2001:db8::7" rt=0.250"#, Some("0.250"), Some("2001:db8::7"));
        check(r#""-""#, None, None);
        check(r#"rt=0.123 urt="0.120" uct="0.000""#, Some("0.123"), None);
        check(r#"uct="0.001" urt="0.120" rt="0.123""#, Some("0.123"), None);
        check("0.999 request_time=12", Some("12"), None);
        check("rt=- 0.500", Some("0.500"), None);
        check("462 0.003 [default-svc-80] [] 10.0.0.1:80 12 0.002 200 4f5e", Some("0.003"), None);
        check(r#""2.34""#, None, None);
        check(r#""0.123""#, None, None);
        check("1234", None, None);
        check("1.5 .123 1.2.345", None, None);
        check(r#""unfinished 0.123"#, Some("0.123"), None);
    }

    #[test]
    fn additions_to_the_common_format() {
        let line = format!("{COMMON} 0.042");
        assert_eq!(parsed(&line), Access { rest: "0.042", request_time: Some("0.042"), ..common() });
        let line = format!(r#"{COMMON} "only one""#);
        assert_eq!(parsed(&line), Access { rest: r#""only one""#, ..common() });
    }

    #[test]
    fn a_whole_number_alone_behind_the_combined_format_may_be_a_duration() {
        let duration = |rest: &str| parsed(&format!(r#"{COMMON} "-" "curl/8"{rest}"#)).duration.map(str::to_owned);
        assert_eq!(duration(" 54000").as_deref(), Some("54000"));
        assert_eq!(duration(" 0").as_deref(), Some("0"));
        for rest in
            ["", " 0.054", " -54", " 512 2326 54000", " 54000 \"-\"", " rt=0.054", " 1234567890123", " -", " 54ms"]
        {
            assert_eq!(duration(rest), None, "{rest}");
        }
        // Behind the common format it may be anything.
        assert_eq!(parsed(&format!("{COMMON} 54000")).duration, None);
    }

    #[test]
    fn a_line_cut_in_the_agent() {
        let line = format!(r#"{COMMON} "-" "Mozilla/5.0 (compatible"#);
        assert_eq!(parsed(&line), Access { rest: r#""-" "Mozilla/5.0 (compatible"#, ..common() });
    }

    #[test]
    fn quotes_in_fields() {
        let line = format!(r#"{COMMON} "http://example.com/?q=\"x\"" "\"Mozilla\\" 0.001"#);
        let access = parsed(&line);
        assert_eq!(access.referer, Some(r#"http://example.com/?q=\"x\""#));
        assert_eq!(access.agent, Some(r#"\"Mozilla\\"#));
        assert_eq!(access.request_time, Some("0.001"));
        // A client cannot forge fields behind its request.
        let line = COMMON.replace("/a/b.png?x=1", r#"/\" 500 1 \"[x] \"y\""#);
        assert_eq!((parsed(&line).status, parsed(&line).bytes), (200, Some(2326)));
    }

    #[test]
    fn other_lines() {
        for line in [
            "",
            " ",
            "\"",
            "[",
            "]",
            "- - - [] \"\" 200 1",
            "hello world",
            r#"{"message":"GET / HTTP/1.1"}"#,
            "[17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1",
            "192.0.2.1 [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1",
            "192.0.2.1 - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\" 200 1",
            "192.0.2.1 - - 17/May/2015:10:05:03 \"GET / HTTP/1.1\" 200 1",
            "192.0.2.1 - - [17/May/2015:10:05:03 +0000 \"GET / HTTP/1.1\" 200 1",
            "192.0.2.1 - - [17/May/2015:10:05:03 +0000]\"GET / HTTP/1.1\" 200 1",
            "192.0.2.1 - - [17/May/2015:10:05:03 +0000] GET / HTTP/1.1 200 1",
            "192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1 200 1",
            "192.0.2.1 - - [17/May/2015:10:05:03 +0000] \"GET / HTTP/1.1\"200 1",
            "192.0.2.1 - - [error] \"GET / HTTP/1.1\" 200 1",
            "[Sun May 17 10:05:03 2015] [error] [client 192.0.2.1] File does not exist: /x",
            "2026-11-24T10:00:00Z INFO [main] \"quoted\" 200 1",
        ] {
            assert_eq!(parse_access(line), None, "{line}");
        }
        for (cut, _) in COMMON.char_indices().take_while(|(cut, _)| *cut < COMMON.len() - 3) {
            assert_eq!(parse_access(&COMMON[..cut]), None, "{}", &COMMON[..cut]);
        }
    }

    #[test]
    fn long_lines_take_linear_time() {
        for piece in ["\\\"", "\\", "\"", " ", "[", " \"", "1.1.1.1, ", "\"\\"] {
            let long = piece.repeat(200_000);
            for line in [
                long.clone(),
                format!("{COMMON} \"-\" \"-\" {long}"),
                COMMON.replace("/a/b.png", &long),
                COMMON.replace("192.0.2.1", &long),
            ] {
                parse_access(&line);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3_000, rng_seed: RngSeed::Fixed(404), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_answered(
            soup in "\\PC{0,60}|[0-9a-f:., \"\\\\\\[\\]-]{0,80}",
            damage in prop::collection::vec((any::<prop::sample::Index>(), any::<char>(), 0..3_u8), 1..4),
        ) {
            parse_access(&soup);
            parse_access(&COMMON.replace("/a/b.png", &soup));
            parse_access(&format!("{COMMON} \"-\" \"-\" {soup}"));
            let mut chars: Vec<char> = format!(r#"example.com:443 {COMMON} "http://é/" "curl \"8\"" "1.1.1.1" rt=0.123"#).chars().collect();
            for (at, c, kind) in damage {
                let at = at.index(chars.len());
                match kind {
                    0 => chars.insert(at, c),
                    1 => chars[at] = c,
                    _ => chars.truncate(at.max(1)),
                }
            }
            parse_access(&chars.into_iter().collect::<String>());
        }
    }
}
