//! Lines that go on with what the line before them said: frames of a stack trace, the rest of a line that a container runtime cut.
//!
//! Whether a line does is a question of the lines in front of it, back to the first of its record, and of nothing behind it. So the
//! records of a stream are the same however it is cut into chunks, as long as a chunk begins where a record does. A line that
//! [`begins`] one, whatever stands before it, is where chunks are cut.
//!
//! What stands around each line of a trace (a prefix of kubectl, a time of a container runtime) is looked through.

/// Bytes of a record of several lines: a line past them begins the next.
pub const RECORD_MAX: usize = 64 << 10;

/// Words with which a line of a trace begins, where it is not indented.
const WORDS: [&str; 15] = [
    "at ",
    "Caused by: ",
    "Suppressed: ",
    "During handling of the above exception",
    "The above exception was the direct cause",
    "goroutine ",
    "created by ",
    "stack backtrace:",
    "note: run with `RUST_BACKTRACE",
    "note: Some details are omitted",
    "--- End of ",
    "... ",
    "exit status ",
    "Fatal Python error",
    "}",
];

/// Of these, what no program says behind a time of its own.
const STAMPED_WORDS: [&str; 9] = [
    "Caused by: ",
    "Suppressed: ",
    "During handling of the above exception",
    "The above exception was the direct cause",
    "Traceback (most recent call last)",
    "goroutine ",
    "created by ",
    "stack backtrace:",
    "--- End of ",
];

/// How the name of what was thrown ends.
const THROWN: [&str; 6] = ["Exception", "Error", "Throwable", "Warning", "Interrupt", "Fault"];

/// Words of a line after which a trace that begins anew is that line's.
const BAD: [&str; 10] =
    ["ERROR", "error", "FATAL", "fatal", "CRITICAL", "SEVERE", "Exception", "exception", "WARN", "panic"];

/// Bytes of a first line in which they are looked for.
const LOOKED_AT: usize = 4_096;

/// Bytes of a time in front of a line.
const STAMP_MAX: usize = 40;

/// Words of a level with which a line begins.
const LEVELS: [&str; 9] = ["TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL"];

/// How the second line of a record of Java's own logging begins.
const JAVA_LEVELS: [&str; 7] = ["SEVERE: ", "WARNING: ", "INFO: ", "CONFIG: ", "FINE: ", "FINER: ", "FINEST: "];

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// What wraps each line of a log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Around<'a> {
    /// Nothing.
    Nothing,
    /// `[pod/NAME/CONTAINER]`, `NAME-1 |`
    Prefix(&'a [u8]),
    /// The name of the stream that a container runtime wrote, and that the line goes on.
    Runtime(&'a [u8], bool),
    /// A time, as `kubectl logs --timestamps` and `docker logs -t` put it before each line.
    Stamp,
    /// `{"log":"` of Docker.
    Docker,
}

impl Around<'_> {
    fn is_same(self, other: Around<'_>) -> bool {
        match (self, other) {
            (Around::Runtime(one, _), Around::Runtime(other, _)) => one == other,
            // The time may be the first line's own.
            (Around::Stamp, Around::Nothing) => true,
            (one, other) => one == other,
        }
    }
}

/// What stands around a line, and the line.
pub fn look_through(line: &[u8]) -> (Around<'_>, &[u8]) {
    match line.first() {
        Some(b'[') if line.starts_with(b"[pod/") => {
            let end = memchr::memchr(b']', line).map_or(0, |at| at + 1);
            let inner = line.get(end..).unwrap_or_default();
            let inner = inner.strip_prefix(b" ").unwrap_or(inner);
            (Around::Prefix(line.get(..end).unwrap_or_default()), behind_stamp(inner).unwrap_or(inner))
        }
        Some(b'{') => match line.strip_prefix(b"{\"log\":\"") {
            Some(inner) => (Around::Docker, inner),
            None => (Around::Nothing, line),
        },
        Some(b'0'..=b'9') => match (of_runtime(line), behind_stamp(line)) {
            (Some(found), _) => found,
            (None, Some(inner)) => (Around::Stamp, inner),
            (None, None) => (Around::Nothing, line),
        },
        Some(b'a'..=b'z' | b'A'..=b'Z') => of_compose(line).unwrap_or((Around::Nothing, line)),
        _ => (Around::Nothing, line),
    }
}

/// `TIME stdout F ...`
fn of_runtime(line: &[u8]) -> Option<(Around<'_>, &[u8])> {
    let end = memchr::memchr(b' ', line.get(..40).unwrap_or(line))?;
    let rest = line.get(end + 1..)?;
    let stream = rest.get(..6).filter(|stream| matches!(*stream, b"stdout" | b"stderr"))?;
    let (goes_on, inner) = match rest.get(6..)? {
        [b' ', b'F', b' ', inner @ ..] => (false, inner),
        [b' ', b'P', b' ', inner @ ..] => (true, inner),
        [b' ', b'F'] => (false, &rest[rest.len()..]),
        _ => return None,
    };
    Some((Around::Runtime(stream, goes_on), inner))
}

/// A time was looked through too, before the line or behind its prefix: it may be the line's own.
fn is_stamped(line: &[u8], around: Around<'_>, inner: &[u8]) -> bool {
    match around {
        Around::Stamp => true,
        // Two bytes stand between a prefix and its line at most.
        Around::Prefix(prefix) => line.len() > prefix.len() + inner.len() + 2,
        Around::Nothing | Around::Runtime(..) | Around::Docker => false,
    }
}

/// What stands behind a time that is one word: `2026-06-01T10:00:00.123456789Z `, `2026-06-01T10:00:00+02:00 `.
fn behind_stamp(line: &[u8]) -> Option<&[u8]> {
    if line.get(10) != Some(&b'T') || line.get(4) != Some(&b'-') {
        return None;
    }
    let end = line.iter().take(STAMP_MAX).position(|byte| *byte == b' ').unwrap_or(line.len());
    let is_time = line.get(..end)?.iter().all(|byte| byte.is_ascii_digit() || b"-T:.Z+".contains(byte));
    (is_time && end <= STAMP_MAX).then(|| line.get(end + 1..).unwrap_or_default())
}

/// A line that says all by itself, whatever stands before it: an object, a date, an address with what an access log has behind it.
fn is_whole(text: &[u8]) -> bool {
    let is_date = || {
        matches!(text, [a, b, c, d, b'-' | b'/', e, f, b'-' | b'/', ..]
            if [a, b, c, d, e, f].iter().all(|byte| byte.is_ascii_digit()))
    };
    let is_access = || {
        let start = text.get(..80).unwrap_or(text);
        let has = |words: &[u8]| memchr::memmem::find(start, words).is_some();
        text.first().is_some_and(u8::is_ascii_digit) && has(b" - ") && has(b" [")
    };
    text.starts_with(b"{\"") || is_date() || is_access()
}

fn begins_with_level(text: &[u8]) -> bool {
    let text = text.strip_prefix(b"[").unwrap_or(text);
    let end = text.iter().take(16).position(|byte| !byte.is_ascii_alphabetic()).unwrap_or(text.len().min(16));
    text.get(..end).is_some_and(|word| LEVELS.iter().any(|level| level.as_bytes().eq_ignore_ascii_case(word)))
}

/// `NAME-1  | ...`
fn of_compose(line: &[u8]) -> Option<(Around<'_>, &[u8])> {
    let bar = memchr::memchr(b'|', line.get(..80).unwrap_or(line))?;
    let before = line.get(..bar)?;
    let name = before.trim_ascii_end();
    let is_name =
        name.len() < before.len() && name.iter().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(byte));
    let inner = line.get(bar + 1..)?;
    is_name.then(|| (Around::Prefix(before), inner.strip_prefix(b" ").unwrap_or(inner)))
}

/// A line of one record at least begins here, whatever stands before it: `line` is no line of a trace, and `before`, the line in front of
/// it, does not go on.
pub fn begins(line: &[u8], before: &[u8]) -> bool {
    is_first(line) && !goes_on(before)
}

/// A container runtime cut the line, or it is the first of two that Java's own logging writes.
#[inline]
fn goes_on(line: &[u8]) -> bool {
    match line.first() {
        None | Some(b'{') => false,
        Some(_) => {
            let (around, inner) = look_through(line);
            matches!(around, Around::Runtime(_, true)) || is_head_of_java(inner)
        }
    }
}

#[inline]
fn is_first(line: &[u8]) -> bool {
    // Nearly always.
    if line.first() == Some(&b'{') && !line.starts_with(b"{\"log\":\"") {
        return true;
    }
    let (around, inner) = look_through(line);
    // Levels stand to the right in some programs' text.
    let inner = match inner.trim_ascii_start() {
        text if is_stamped(line, around, inner) && begins_with_level(text) => text,
        _ => inner,
    };
    match inner {
        [b'{' | b'[' | b'<' | b'0'..=b'9', ..] => true,
        // Somebody indented whole lines.
        [b' ' | b'\t', ..] => is_whole(inner.trim_ascii_start()),
        // A quote in Docker's text is written so.
        [b'\\', b'"', ..] if around == Around::Docker => false,
        [b'I' | b'W' | b'E' | b'F', a, b, c, d, ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_digit()) => true,
        [a, b, c, b' ', ..] if MONTHS.iter().any(|month| month.as_bytes() == [*a, *b, *c]) => true,
        [b'a'..=b'z' | b'A'..=b'Z' | b'@' | b'_', ..] => {
            let start = inner.get(..32).unwrap_or(inner);
            let word = start.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"_.@-".contains(byte));
            let (word, behind) = start.split_at_checked(word.unwrap_or(start.len())).unwrap_or((start, b""));
            behind.first() == Some(&b'=') || LEVELS.iter().any(|level| level.as_bytes() == word)
        }
        _ => false,
    }
}

/// A record while its lines are read.
#[derive(Debug)]
pub struct Record<'a> {
    around: Around<'a>,
    len: usize,
    /// Its first line: it may say that something is wrong.
    first: &'a [u8],
    is_python: bool,
    is_go: bool,
    is_node: bool,
    /// It is what was thrown.
    is_thrown: bool,
    /// It is the first of the two lines of Java's own logging, whose second says the level.
    is_java: bool,
    /// Its second line says that something is wrong.
    says_wrong: bool,
    /// The line before ended in what Rust says of a panic; its text comes next.
    panicked: bool,
    /// The line before was indented.
    indented: bool,
    /// A container runtime cut the line before.
    goes_on: bool,
}

impl<'a> Record<'a> {
    /// A record that begins with a line.
    pub fn new(line: &'a [u8]) -> Record<'a> {
        let (around, inner) = look_through(line.strip_suffix(b"\r").unwrap_or(line));
        Record {
            around,
            len: line.len(),
            first: inner.get(..LOOKED_AT).unwrap_or(inner),
            is_python: inner.starts_with(b"Traceback (most recent call last)"),
            is_go: inner.starts_with(b"panic: ") || inner.starts_with(b"goroutine "),
            is_node: is_place_of_node(inner),
            is_thrown: is_thrown(inner) || is_panic(inner),
            is_java: is_head_of_java(inner),
            says_wrong: false,
            panicked: is_panic(inner),
            indented: false,
            goes_on: matches!(around, Around::Runtime(_, true)),
        }
    }

    /// The next line belongs to the record.
    pub fn takes(&mut self, line: &[u8]) -> bool {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if self.len + line.len() > RECORD_MAX {
            return false;
        }
        let taken = self.goes_on && matches!(look_through(line).0, Around::Runtime(..)) && self.is_same(line)
            || (self.is_java || !is_first(line)) && self.goes_with(line);
        if taken {
            self.len += line.len() + 1;
            self.goes_on = matches!(look_through(line).0, Around::Runtime(_, true));
        }
        taken
    }

    /// The first line says that something is wrong.
    fn is_bad(&self) -> bool {
        self.says_wrong || BAD.iter().any(|word| memchr::memmem::find(self.first, word.as_bytes()).is_some())
    }

    fn is_same(&self, line: &[u8]) -> bool {
        self.around.is_same(look_through(line).0)
    }

    fn goes_with(&mut self, line: &[u8]) -> bool {
        // Blank lines lie between the parts of traces.
        if line.trim_ascii().is_empty() {
            return true;
        }
        let (around, inner) = look_through(line);
        if self.is_java && JAVA_LEVELS.iter().any(|level| inner.starts_with(level.as_bytes())) {
            self.says_wrong |= [&b"SEVERE"[..], b"WARNING"].iter().any(|level| inner.starts_with(level));
            return std::mem::take(&mut self.is_java) && self.around.is_same(around);
        }
        if !self.around.is_same(around) {
            return false;
        }
        // Programs put a time before each of their lines too: then only a trace goes on.
        let is_stamped = is_stamped(line, around, inner);
        if is_stamped && !(self.is_bad() || self.is_python || self.is_go || self.is_node || self.is_thrown) {
            return false;
        }
        let (was_indented, after_panic) = (self.indented, std::mem::take(&mut self.panicked));
        self.indented = matches!(inner, [b' ' | b'\t', ..]) || (around == Around::Docker && inner.starts_with(b"\\t"));
        if self.indented || inner.is_empty() || (around == Around::Docker && inner.starts_with(b"\\n")) {
            return true;
        }
        if inner.starts_with(b"Traceback (most recent call last)") {
            // Without a line that says so, it is a crash, which begins by itself.
            let goes = self.is_bad() || self.is_python;
            self.is_python |= goes;
            return goes;
        }
        if is_panic(inner) {
            return false;
        }
        let words = if is_stamped { &STAMPED_WORDS[..] } else { &WORDS };
        if words.iter().any(|word| inner.starts_with(word.as_bytes())) {
            self.is_go |= inner.starts_with(b"goroutine ");
            return true;
        }
        if is_thrown(inner) {
            return self.is_python || self.is_node || self.is_bad();
        }
        // The last line of Python's trace, of whatever class.
        let is_last =
            (self.is_python && was_indented && is_class(inner)) || (self.is_node && inner.starts_with(b"Node.js v"));
        is_last || after_panic || (self.is_go && is_call(inner))
    }
}

/// A line with those that go on with what it said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lines<'a> {
    /// The lines, without the newline and carriage return at their end.
    pub text: &'a [u8],
    /// Offset of the first.
    pub at: u64,
    /// Offset after the last.
    pub after: u64,
}

/// What stands for the newlines of a record where each line has a position of its own, as in the write-ahead log: a vertical tab, which
/// no line of JSON has.
pub const JOINT: u8 = 0x0b;

/// Makes the lines of each record one line.
pub fn join(text: &mut [u8]) {
    let mut joints = Vec::new();
    for of in records(text, 0) {
        joints.extend(memchr::memchr_iter(b'\n', of.text).map(|newline| of.at as usize + newline));
    }
    for joint in joints {
        if let Some(byte) = text.get_mut(joint) {
            *byte = JOINT;
        }
    }
}

/// The line that begins at a position.
pub fn line_at(bytes: &[u8], at: usize) -> &[u8] {
    let rest = bytes.get(at..).unwrap_or_default();
    rest.get(..memchr::memchr(b'\n', rest).unwrap_or(rest.len())).unwrap_or_default()
}

/// Lines of a text, each with those that go on with what it said. The text begins where a record does.
pub fn records(bytes: &[u8], from: u64) -> impl Iterator<Item = Lines<'_>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        if start >= bytes.len() {
            return None;
        }
        let first = line_at(bytes, start);
        let (mut end, mut text_end) = (start + first.len(), start + first.len());
        let mut record = None;
        while let Some(next) = bytes.get(end + 1) {
            // Most lines tell by their first byte that they begin a record.
            if *next == b'{' && !bytes.get(end + 1..).unwrap_or_default().starts_with(b"{\"log\"") {
                break;
            }
            let line = line_at(bytes, end + 1);
            if record.is_none() && begins(line, first) {
                break;
            }
            if first.trim_ascii().is_empty() || !record.get_or_insert_with(|| Record::new(first)).takes(line) {
                break;
            }
            end += 1 + line.len();
            if !line.trim_ascii().is_empty() {
                text_end = end;
            }
        }
        let text = bytes.get(start..text_end).unwrap_or_default();
        let of = Lines {
            text: text.strip_suffix(b"\r").unwrap_or(text),
            at: from + start as u64,
            after: from + (end as u64 + 1),
        };
        start = end + 1;
        Some(of)
    })
}

/// `/app/shop.js:12`, `node:internal/process:95`: where Node says a program died that nothing caught.
pub fn is_place_of_node(line: &[u8]) -> bool {
    let line = line.trim_ascii_end();
    let Some(colon) = memchr::memrchr(b':', line) else { return false };
    let (place, number) = line.split_at_checked(colon).unwrap_or_default();
    let is_number = number.len() > 1 && number.iter().skip(1).all(u8::is_ascii_digit);
    let is_script = [&b".js"[..], b".mjs", b".cjs", b".ts"].iter().any(|end| place.ends_with(end));
    is_number
        && !place.contains(&b' ')
        && (place.starts_with(b"node:") || (is_script && (place.starts_with(b"/") || place.starts_with(b"file:///"))))
}

/// `Nov 20, 2026 10:00:00 AM com.example.Shop pay`
pub fn is_head_of_java(inner: &[u8]) -> bool {
    let start = inner.get(..40).unwrap_or(inner);
    MONTHS.iter().any(|month| start.starts_with(month.as_bytes()))
        && start.get(4..8).is_some_and(|day| day.contains(&b','))
        && [&b"AM "[..], b"PM "].iter().any(|half| memchr::memmem::find(start, half).is_some())
}

/// `java.lang.IllegalStateException: it failed`, with the name of the class in full.
pub fn is_thrown_in_full(line: &[u8]) -> bool {
    is_thrown(line) && name_before_colon(line).is_some_and(|name| name.contains(&b'.'))
}

/// `thread 'main' panicked at src/main.rs:4:10:`
fn is_panic(inner: &[u8]) -> bool {
    inner.starts_with(b"thread '") && inner.ends_with(b":") && memchr::memmem::find(inner, b"panicked at").is_some()
}

/// A name with dots, and nothing else before a colon or the end.
fn name_before_colon(inner: &[u8]) -> Option<&[u8]> {
    let end =
        inner.iter().position(|byte| !byte.is_ascii_alphanumeric() && !b"_.$".contains(byte)).unwrap_or(inner.len());
    let (name, behind) = inner.split_at_checked(end)?;
    let is_name = name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
    (is_name && matches!(behind, [] | [b':', ..] | [b'\\', b'n', ..])).then_some(name)
}

/// `java.lang.IllegalStateException: it failed`, `ValueError: it failed`, `System.Exception: it failed`
fn is_thrown(inner: &[u8]) -> bool {
    name_before_colon(inner).is_some_and(|name| THROWN.iter().any(|end| name.ends_with(end.as_bytes())))
}

fn is_class(inner: &[u8]) -> bool {
    name_before_colon(inner).is_some()
}

/// `main.main()`, `net/http.(*conn).serve(0xc000)`
fn is_call(inner: &[u8]) -> bool {
    inner.ends_with(b")") && memchr::memchr(b'(', inner).is_some() && !inner.starts_with(b"(")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(text: &str) -> Vec<String> {
        let mut list: Vec<String> = Vec::new();
        let mut lines = text.split('\n').peekable();
        while let Some(line) = lines.next() {
            let mut record = Record::new(line.as_bytes());
            let mut whole = line.to_owned();
            while let Some(next) = lines.next_if(|next| record.takes(next.as_bytes())) {
                whole.push('\n');
                whole.push_str(next);
            }
            list.push(whole);
        }
        list
    }

    #[test]
    fn traces_belong_to_the_line_before_them() {
        let java = "2026-06-01T10:00:00Z ERROR 7 --- [main] c.e.Shop : it failed\n\njava.lang.IllegalStateException: no cart\n\tat com.example.Shop.pay(Shop.java:7)\nCaused by: java.io.IOException: gone\n\t... 12 more";
        let python = "2026-06-01 10:00:00,123 - shop - ERROR - it failed\nTraceback (most recent call last):\n  File \"/app/shop.py\", line 3, in pay\n    raise Gone(\"x\")\nshop.Gone: x\n\nDuring handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"/app/shop.py\", line 9, in pay\nValueError: y";
        let go = "2026/06/01 10:00:00 http: panic serving 10.0.0.7:5123: no cart\ngoroutine 12 [running]:\nnet/http.(*conn).serve.func1()\n\t/usr/local/go/src/net/http/server.go:1 +0x1d\npanic({0x1, 0x2})\n\t/usr/local/go/src/runtime/panic.go:1 +0x1d\ncreated by net/http.(*Server).Serve\n\t/usr/local/go/src/net/http/server.go:2 +0x1d";
        let node = "2026-06-01T10:00:00Z ERROR it failed\nTypeError: no cart\n    at pay (/app/shop.js:1:2)\n    at process.processTicksAndRejections (node:internal/process/task_queues:95:5)";
        let dotnet = "2026-06-01 10:00:00.123 [ERROR] it failed\nSystem.InvalidOperationException: no cart\n   at Shop.Pay() in /app/Shop.cs:line 5\n--- End of inner exception stack trace ---\n   at Shop.Main()";
        let rust = "thread 'main' panicked at src/main.rs:4:10:\nno cart\nstack backtrace:\n   0: shop::pay\n             at ./src/main.rs:4:10\nnote: run with `RUST_BACKTRACE=full` for a verbose backtrace";
        let uncaught = "/app/shop.js:12\n    throw new Error('x');\n    ^\n\nError: x\n    at pay (/app/shop.js:12:7)\n\nNode.js v22.1.0";
        let bare = "java.lang.IllegalStateException: no cart\n\tat com.example.Shop.pay(Shop.java:7)\nCaused by: java.io.IOException: gone\n\t... 12 more";
        let crash = "Traceback (most recent call last):\n  File \"/app/shop.py\", line 3, in pay\nKeyError: 'cart'";
        for trace in [java, python, go, node, dotnet, rust, crash, uncaught, bare] {
            for prefix in
                ["", "[pod/shop-1/app] ", "2026-06-01T10:00:00.5Z stderr F ", "web-1  | ", "2026-06-01T10:00:00.5Z "]
            {
                if trace == rust && prefix.len() == 23 {
                    // What a panic says is any text, and a program may write a time of its own before that.
                    continue;
                }
                let wrapped: String = trace.split('\n').map(|line| format!("{prefix}{line}\n")).collect();
                let head = trace.split('\n').next().unwrap();
                let next = format!("{prefix}2026-06-01T10:00:01Z INFO it is up");
                let found = records(&format!("{prefix}2026-06-01T10:00:00Z INFO it is up\n{wrapped}{next}"));
                assert_eq!(found.len(), 3, "{found:#?}");
                assert!(found[1].starts_with(&format!("{prefix}{head}")) && found[2] == next, "{found:#?}");
            }
        }
    }

    #[test]
    fn javas_own_logging_has_two_lines_for_a_record() {
        let head = "Nov 20, 2026 10:00:00 AM com.example.Shop pay";
        let text = format!(
            "{head}\nSEVERE: it failed\njava.lang.IllegalStateException: no cart\n\tat com.example.Shop.pay(Shop.java:7)\n{head}\nINFO: it is up\nINFO: alone"
        );
        assert_eq!(records(&text).len(), 3, "{:#?}", records(&text));
        assert!(!begins(b"INFO: it is up", head.as_bytes()) && begins(b"INFO: alone", b"INFO: it is up"));
    }

    #[test]
    fn whole_lines_may_be_indented() {
        let text = "  {\"a\":1}\n  {\"a\":2}\n\t2026-06-01T10:00:00Z up\n  10.0.0.7 - - [01/Jun/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5\n  10.0.0.7 - ann [x\n    at a\n  File \"a\"\n  12: f";
        assert_eq!(records(text).len(), 5, "{:#?}", records(text));
    }

    #[test]
    fn lines_with_a_time_of_their_own_are_no_trace() {
        let text = "2026-06-01T10:00:00Z ERROR it failed\n2026-06-01T10:00:01Z at capacity\n2026-06-01T10:00:02Z  INFO shop: it is up\n2026-06-01T10:00:03Z   all is well\n2026-06-01T10:00:04Z   indented";
        assert_eq!(records(text).len(), 5, "{:#?}", records(text));
    }

    #[test]
    fn records_become_lines_of_the_same_length() {
        let mut text = b"{\"a\":1}\n10:00 ERROR a\n\n\tat b\n\n{\"b\":2}\n\tat c".to_vec();
        join(&mut text);
        assert_eq!(text, b"{\"a\":1}\n10:00 ERROR a\x0b\x0b\tat b\n\n{\"b\":2}\x0b\tat c");
    }

    #[test]
    fn each_line_of_a_log_is_a_record() {
        let lines = "{\"a\":1}\n2026-06-01T10:00:00Z INFO a\nI0601 10:00:00.000000 1 a.go:1] b\nJun  1 10:00:00 web-1 shop: a\nts=1 level=info\nGET / 200 1 ms - 5\nINFO:     started\nit is up\n<14>1 - - - - - - a\n10.0.0.7 - - [01/Jun/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5\nlistening on (all)\nError handling is on\nnothing: is wrong";
        assert_eq!(records(lines).len(), lines.split('\n').count(), "{:#?}", records(lines));
        // A crash that follows a healthy line is none of its words.
        assert_eq!(
            records("10:00 all is well\nTraceback (most recent call last):\n  File \"a\"\nKeyError: 1").len(),
            2
        );
    }

    #[test]
    fn a_line_that_a_runtime_cut_goes_on_in_the_next() {
        let cut = "2026-06-01T10:00:00Z stdout P {\"a\":\n2026-06-01T10:00:00Z stdout P 1,\n2026-06-01T10:00:00Z stdout F \"b\":2}";
        assert_eq!(records(&format!("{cut}\n2026-06-01T10:00:01Z stdout F {{}}")).len(), 2);
        assert_eq!(records("2026-06-01T10:00:00Z stdout P {\n2026-06-01T10:00:00Z stderr F other").len(), 2);
    }

    #[test]
    fn a_record_is_bounded_and_begins_say_where_one_does() {
        let long = format!("a\n{}", "\tat x\n".repeat(20_000));
        let found = records(&long);
        assert!(found.len() > 1 && found.iter().all(|record| record.len() <= RECORD_MAX + 1), "{}", found.len());
        for (line, before, expect) in [
            ("{\"a\":1}", "\tat x", true),
            ("{\"log\":\"\\tat x", "{\"log\":\"a", false),
            ("{\"log\":\"{", "{\"log\":\"a", true),
            ("2026-06-01T10:00:00Z stdout F {", "2026-06-01T10:00:00Z stdout P {", false),
            ("2026-06-01T10:00:00Z stdout F {", "2026-06-01T10:00:00Z stdout F {", true),
            ("2026-06-01T10:00:00Z stdout F \tat x", "", false),
            ("text", "", false),
        ] {
            assert_eq!(begins(line.as_bytes(), before.as_bytes()), expect, "{line}");
        }
    }
}
