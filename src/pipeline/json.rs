//! Scanner for one log line that holds one JSON object.
//!
//! The hot path of the program: it finds the keys and values of the top level and hands out slices of the line, without
//! allocating and without building a tree. It accepts exactly the objects that `serde_json` accepts with its default
//! settings (depth limit and number range included), so that a line means the same wherever it is read again.
//!
//! It deliberately does not know what keys mean, and it does not check UTF-8: that is done once per batch.

use std::borrow::Cow;

/// Nesting that is refused, the top-level object counted: the default limit of `serde_json`.
const DEPTH_LIMIT: u32 = 128;

/// Value of a key, as a slice of the line. Everything inside has been validated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// Text of a number, as written.
    Number(&'a str),
    /// A string.
    String(Str<'a>),
    /// Text of an object, braces included; [`scan_object`] reads it.
    Object(&'a str),
    /// Text of an array, brackets included.
    Array(&'a str),
}

/// Text between two quotes, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Str<'a> {
    raw: &'a str,
    escaped: bool,
}

impl<'a> Str<'a> {
    /// The text with its escapes resolved; borrowed when there are none.
    pub fn get(&self) -> Cow<'a, str> {
        if self.escaped { Cow::Owned(unescape(self.raw)) } else { Cow::Borrowed(self.raw) }
    }

    /// The text when it holds no escapes, which is nearly always so.
    #[inline]
    pub fn plain(&self) -> Option<&'a str> {
        if self.escaped { None } else { Some(self.raw) }
    }

    /// The text as written in the line, escapes included.
    #[inline]
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// Compares with a text without allocating for plain strings.
    #[inline]
    pub fn is(&self, text: &str) -> bool {
        if self.escaped { unescape(self.raw) == text } else { self.raw == text }
    }
}

/// Why a line is not one JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {at}")]
pub struct Malformed {
    /// Byte offset in the line.
    pub at: usize,
    /// What was wrong, in a few words.
    pub what: &'static str,
}

#[cold]
fn malformed<T>(at: usize, what: &'static str) -> Result<T, Malformed> {
    Err(Malformed { at, what })
}

/// What is done with the keys and values of an object.
pub trait Visit<'a> {
    /// Length of the key whose first byte is at `at`, when it is the one that is expected there. Its closing quote has
    /// been seen too, and it has no escapes.
    ///
    /// The keys of a log come in the same order in line after line; one that is expected need not be searched for its
    /// end, and where the next value begins does not wait for that search.
    #[inline(always)]
    fn expected(&mut self, _bytes: &[u8], _at: usize) -> Option<usize> {
        None
    }

    /// A value; `key` is `None` when it is the one that was expected.
    fn value(&mut self, key: Option<Str<'a>>, value: Value<'a>);
}

/// Visits without expecting anything.
struct Each<'f, F>(&'f mut F);

impl<'a, F: FnMut(Str<'a>, Value<'a>)> Visit<'a> for Each<'_, F> {
    #[inline(always)]
    fn value(&mut self, key: Option<Str<'a>>, value: Value<'a>) {
        if let Some(key) = key {
            (self.0)(key, value);
        }
    }
}

/// Visits the keys of the object in `text`, in the order of the text; a key written twice is visited twice.
///
/// White space around the object is allowed, anything else is not.
///
/// The visitor may be called before a later mistake is found: on an error, discard what was collected.
pub fn scan_object<'a>(text: &'a str, visit: &mut impl FnMut(Str<'a>, Value<'a>)) -> Result<(), Malformed> {
    visit_object(text, &mut Each(visit))
}

/// [`scan_object`] for a visitor that may know which key comes next.
#[inline(always)]
pub fn visit_object<'a>(text: &'a str, visit: &mut impl Visit<'a>) -> Result<(), Malformed> {
    let bytes = text.as_bytes();
    let mut at = skip_space(bytes, 0);
    if byte(bytes, at) != b'{' {
        return malformed(at, "not an object");
    }
    at = skip_space(bytes, at + 1);
    if byte(bytes, at) == b'}' {
        return end_of_line(bytes, at + 1);
    }
    at = opening_quote(bytes, at)?;
    loop {
        // `at` is the first byte of a key, then its closing quote, then the last byte of its value.
        let (name, name_end) = match visit.expected(bytes, at) {
            Some(len) => (None, at + len),
            None => {
                let (name, name_end) = key(text, at)?;
                (Some(name), name_end)
            }
        };
        let value;
        (value, at) = match next_string(bytes, name_end, b':') {
            Some(from) => string_value(text, from)?,
            None => any_value(text, colon(bytes, name_end + 1)?)?,
        };
        visit.value(name, value);
        if let Some(from) = next_string(bytes, at, b',') {
            at = from;
            continue;
        }
        at = skip_space(bytes, at + 1);
        match byte(bytes, at) {
            b',' => at = opening_quote(bytes, skip_space(bytes, at + 1))?,
            b'}' => return end_of_line(bytes, at + 1),
            _ => return malformed(at, "comma or end of object expected"),
        }
    }
}

/// Position behind the quote that must stand at `at`.
#[inline(always)]
fn opening_quote(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    if byte(bytes, at) == b'"' { Ok(at + 1) } else { malformed(at, "key expected") }
}

/// Where the next string begins when a string ends at `end` and only a separator, with or without one space, is between.
///
/// That is the case nearly everywhere in a log line, and one load answers it.
#[inline(always)]
fn next_string(bytes: &[u8], end: usize, separator: u8) -> Option<usize> {
    let four = u32::from_le_bytes(*chunk_at::<4>(bytes, end)?);
    let dense = u32::from_le_bytes([b'"', separator, b'"', 0]);
    let spaced = u32::from_le_bytes([b'"', separator, b' ', b'"']);
    if four & 0x00ff_ffff == dense {
        Some(end + 3)
    } else if four == spaced {
        Some(end + 4)
    } else {
        None
    }
}

/// Any value, whose first byte is at `at`; gives the position of its last byte.
#[inline(always)]
fn any_value(text: &str, at: usize) -> Result<(Value<'_>, usize), Malformed> {
    let bytes = text.as_bytes();
    let (value, after) = match byte(bytes, at) {
        b'-' | b'0'..=b'9' => {
            let after = number(text, at)?;
            (Value::Number(slice(text, at, after)?), after)
        }
        b't' => (Value::Bool(true), word(bytes, at, b"true")?),
        b'f' => (Value::Bool(false), word(bytes, at, b"false")?),
        b'n' => (Value::Null, word(bytes, at, b"null")?),
        b'{' => {
            let after = container(text, at)?;
            (Value::Object(slice(text, at, after)?), after)
        }
        b'[' => {
            let after = container(text, at)?;
            (Value::Array(slice(text, at, after)?), after)
        }
        b'"' => return string_value(text, at + 1),
        _ => return malformed(at, "value expected"),
    };
    Ok((value, after - 1))
}

/// Looks up a dotted path in the text of an object.
///
/// At each level a key that equals the whole remaining path wins (`{"http.status":1}`); otherwise the path is followed
/// into the object under its first segment (`{"http":{"status":1}}`). Of keys written twice the last one counts.
/// `None` when there is no such key or the text is not an object.
pub fn lookup<'a>(object_text: &'a str, path: &str) -> Option<Value<'a>> {
    let mut object = object_text;
    let mut path = path;
    loop {
        let (head, tail) = match path.split_once('.') {
            Some((head, tail)) => (head, Some(tail)),
            None => (path, None),
        };
        let mut whole = None;
        let mut nested = None;
        scan_object(object, &mut |key, value| {
            if key.is(path) {
                whole = Some(value);
            } else if tail.is_some() && key.is(head) {
                nested = Some(value);
            }
        })
        .ok()?;
        if whole.is_some() {
            return whole;
        }
        let Some(Value::Object(inner)) = nested else { return None };
        object = inner;
        path = tail?;
    }
}

/// The byte at a position, 0 behind the end: no rule accepts a NUL outside strings, so that reads as a mistake.
#[inline(always)]
fn byte(bytes: &[u8], at: usize) -> u8 {
    match bytes.get(at) {
        Some(b) => *b,
        None => 0,
    }
}

/// Part of the line between two positions next to ASCII bytes.
#[inline(always)]
fn slice(text: &str, from: usize, until: usize) -> Result<&str, Malformed> {
    match text.get(from..until) {
        Some(part) => Ok(part),
        None => malformed(from, "not UTF-8"),
    }
}

/// The `N` bytes from a position on, when there are that many.
#[inline(always)]
fn chunk_at<const N: usize>(bytes: &[u8], at: usize) -> Option<&[u8; N]> {
    bytes.get(at..at.wrapping_add(N))?.first_chunk::<N>()
}

#[inline(always)]
fn skip_space(bytes: &[u8], at: usize) -> usize {
    // Most lines are written without spaces, or with one after a comma or colon.
    if byte(bytes, at) > b' ' { at } else { skip_more_space(bytes, at) }
}

fn skip_more_space(bytes: &[u8], mut at: usize) -> usize {
    while let b' ' | b'\t' | b'\n' | b'\r' = byte(bytes, at) {
        at += 1;
    }
    at
}

fn end_of_line(bytes: &[u8], at: usize) -> Result<(), Malformed> {
    let at = skip_space(bytes, at);
    if at < bytes.len() { malformed(at, "text after the object") } else { Ok(()) }
}

#[inline]
fn word(bytes: &[u8], at: usize, word: &[u8]) -> Result<usize, Malformed> {
    match bytes.get(at..).is_some_and(|rest| rest.starts_with(word)) {
        true => Ok(at + word.len()),
        false => malformed(at, "value expected"),
    }
}

/// Reads the key whose first byte behind the opening quote is at `from`; gives the position of the closing quote.
#[inline(always)]
fn key(text: &str, from: usize) -> Result<(Str<'_>, usize), Malformed> {
    let bytes = text.as_bytes();
    let at = special(bytes, from);
    if byte(bytes, at) == b'"' {
        return Ok((Str { raw: slice(text, from, at)?, escaped: false }, at));
    }
    let end = escaped_string_end(bytes, at)?;
    Ok((Str { raw: slice(text, from, end)?, escaped: true }, end))
}

/// Reads the value whose first byte behind the opening quote is at `from`; gives the position of the closing quote.
#[inline(always)]
fn string_value(text: &str, from: usize) -> Result<(Value<'_>, usize), Malformed> {
    let (end, escaped) = string_end(text.as_bytes(), from)?;
    Ok((Value::String(Str { raw: slice(text, from, end)?, escaped }), end))
}

/// Position of the closing quote, and whether there are escapes before it.
#[inline(always)]
fn string_end(bytes: &[u8], from: usize) -> Result<(usize, bool), Malformed> {
    let at = special(bytes, from);
    match byte(bytes, at) {
        b'"' => Ok((at, false)),
        _ => Ok((escaped_string_end(bytes, at)?, true)),
    }
}

/// Continues behind the plain beginning of a string: at an escape, a control character or the end of the line.
#[inline(never)]
fn escaped_string_end(bytes: &[u8], mut at: usize) -> Result<usize, Malformed> {
    loop {
        at = match (byte(bytes, at), byte(bytes, at + 1)) {
            (b'"', _) => return Ok(at),
            (b'\\', b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at + 2,
            (b'\\', _) => escape(bytes, at)?.1,
            _ if at < bytes.len() => return malformed(at, "control character in a string"),
            _ => return malformed(at, "string without end"),
        };
        at = special(bytes, at);
    }
}

/// Position of the next quote, backslash or control character; the length of the line when there is none.
///
/// Sixteen bytes at a time, without a branch on which half has it: strings of a field are mostly shorter than that, and
/// whether they are shorter than eight cannot be foreseen.
#[inline(always)]
fn special(bytes: &[u8], mut at: usize) -> usize {
    while let Some(chunk) = chunk_at::<8>(bytes, at) {
        let found = special_bytes(u64::from_le_bytes(*chunk));
        if found != 0 {
            return at + (found.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    special_in_tail(bytes, at)
}

#[inline(always)]
fn halves(chunk: &[u8; 16]) -> [u64; 2] {
    let both = u128::from_le_bytes(*chunk);
    [both as u64, (both >> 64) as u64]
}

/// [`special`] for the last few bytes of a line.
#[inline(always)]
fn special_in_tail(bytes: &[u8], mut at: usize) -> usize {
    // The last bytes of the line, those before `at` shifted out; the zeros that come in end the search.
    if let Some(chunk) = bytes.last_chunk::<16>()
        && let Some(left @ 1..) = bytes.len().checked_sub(at)
    {
        let shifted = u128::from_le_bytes(*chunk) >> (8 * (16 - left.min(16)));
        let [low, high] = halves(&shifted.to_le_bytes()).map(|half| u128::from(special_bytes(half)));
        return at + ((high << 64 | low).trailing_zeros() / 8) as usize;
    }
    while let Some(b) = bytes.get(at) {
        if matches!(b, b'"' | b'\\' | 0..0x20) {
            break;
        }
        at += 1;
    }
    at
}

/// Sets the top bit of the bytes of `chunk` that are a quote, a backslash or below 0x20.
///
/// Exact for the lowest such byte; those above it may be marked wrongly, because the subtraction borrows from them.
/// Flipping bit 1 maps the quote (0x22) to 0x20 and the control characters onto themselves, so one comparison with 0x21
/// covers both.
#[inline(always)]
fn special_bytes(chunk: u64) -> u64 {
    const ONES: u64 = u64::MAX / 255;
    let quote_or_control = (chunk ^ (ONES * 0x02)).wrapping_sub(ONES * 0x21);
    let backslash = (chunk ^ (ONES * b'\\' as u64)).wrapping_sub(ONES);
    (quote_or_control | backslash) & (!chunk & (ONES * 0x80))
}

/// Reads the escape whose backslash is at `at`; gives its character and the position behind it.
fn escape(bytes: &[u8], at: usize) -> Result<(char, usize), Malformed> {
    let plain = match byte(bytes, at + 1) {
        b'"' => '"',
        b'\\' => '\\',
        b'/' => '/',
        b'b' => '\u{8}',
        b'f' => '\u{c}',
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'u' => {
            let Some(first) = hex4(bytes, at + 2) else { return malformed(at, "invalid escape") };
            if let Some(c) = char::from_u32(first) {
                return Ok((c, at + 6));
            }
            // Only a high surrogate followed by a low one is a character.
            let is_pair = first < 0xdc00 && byte(bytes, at + 6) == b'\\' && byte(bytes, at + 7) == b'u';
            let second = if is_pair { hex4(bytes, at + 8) } else { None };
            return match second {
                Some(low @ 0xdc00..=0xdfff) => {
                    let code = 0x1_0000 + ((first - 0xd800) << 10) + (low - 0xdc00);
                    Ok((char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER), at + 12))
                }
                _ => malformed(at, "lone surrogate"),
            };
        }
        _ => return malformed(at, "invalid escape"),
    };
    Ok((plain, at + 2))
}

fn hex4(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..)?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |code, digit| Some(code << 4 | char::from(*digit).to_digit(16)?))
}

/// Resolves the escapes of a string that has been validated; an escape that is not one is left out.
#[cold]
pub(super) fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut from = 0;
    while let Some(plain) = memchr::memchr(b'\\', raw.as_bytes().get(from..).unwrap_or_default()) {
        text.push_str(raw.get(from..from + plain).unwrap_or_default());
        let Ok((c, after)) = escape(raw.as_bytes(), from + plain) else { return text };
        text.push(c);
        from = after;
    }
    text.push_str(raw.get(from..).unwrap_or_default());
    text
}

/// Position behind the number that begins at `from` with a digit or a minus.
#[inline]
fn number(text: &str, from: usize) -> Result<usize, Malformed> {
    let bytes = text.as_bytes();
    let mut at = from;
    if byte(bytes, at) == b'-' {
        at += 1;
    }
    let integer_from = at;
    at = skip_digits(bytes, at);
    let integer_digits = at - integer_from;
    if integer_digits == 0 || (integer_digits > 1 && byte(bytes, integer_from) == b'0') {
        return malformed(from, "invalid number");
    }
    if byte(bytes, at) == b'.' {
        let fraction_from = at + 1;
        at = skip_digits(bytes, fraction_from);
        if at == fraction_from {
            return malformed(from, "invalid number");
        }
    }
    let mut exponent_digits = 0;
    if let b'e' | b'E' = byte(bytes, at) {
        at += 1;
        if let b'+' | b'-' = byte(bytes, at) {
            at += 1;
        }
        let exponent_from = at;
        at = skip_digits(bytes, at);
        exponent_digits = at - exponent_from;
        if exponent_digits == 0 {
            return malformed(from, "invalid number");
        }
    }
    // Below 1e200 * 1e99, so far below the largest f64.
    if integer_digits <= 200 && exponent_digits <= 2 { Ok(at) } else { in_range(text, from, at) }
}

/// Position behind the digits that begin at `at`.
///
/// Eight at a time: how many digits a number has is different in every line, and a branch on each could not be foreseen.
#[inline(always)]
fn skip_digits(bytes: &[u8], mut at: usize) -> usize {
    const ONES: u64 = u64::MAX / 255;
    while let Some(chunk) = chunk_at::<8>(bytes, at) {
        // Digits become 0 to 9, all else is more; what carries over reaches only bytes above one that is no digit.
        let less_zero = u64::from_le_bytes(*chunk) ^ (ONES * b'0' as u64);
        let others = (less_zero.wrapping_add(ONES * 0x76) | less_zero) & (ONES * 0x80);
        if others != 0 {
            return at + (others.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while byte(bytes, at).is_ascii_digit() {
        at += 1;
    }
    at
}

/// Refuses numbers that `serde_json` finds too large.
///
/// Its arithmetic is not correctly rounded, so close to the largest f64 only it can tell; such numbers do not occur in
/// logs except to annoy.
#[cold]
#[inline(never)]
fn in_range(text: &str, from: usize, until: usize) -> Result<usize, Malformed> {
    match serde_json::from_str::<f64>(slice(text, from, until)?) {
        Ok(_) => Ok(until),
        Err(_) => malformed(from, "number out of range"),
    }
}

/// Position behind the object or array that begins at `from`, all of it validated.
///
/// A loop with one bit per open level instead of recursion: no line can exhaust the stack.
fn container(text: &str, from: usize) -> Result<usize, Malformed> {
    let bytes = text.as_bytes();
    // Bit 0 is the innermost open level: 1 for an object, 0 for an array. 127 levels fit.
    let mut levels: u128 = 0;
    // The top-level object of the line is one level already.
    let mut depth = 1;
    let mut at = from;
    loop {
        // A value is expected here.
        at = match byte(bytes, at) {
            b'"' => string_end(bytes, at + 1)?.0 + 1,
            b'-' | b'0'..=b'9' => number(text, at)?,
            b't' => word(bytes, at, b"true")?,
            b'f' => word(bytes, at, b"false")?,
            b'n' => word(bytes, at, b"null")?,
            open @ (b'{' | b'[') => {
                depth += 1;
                if depth == DEPTH_LIMIT {
                    return malformed(at, "nested too deeply");
                }
                levels = levels << 1 | u128::from(open == b'{');
                at = skip_space(bytes, at + 1);
                match (open, byte(bytes, at)) {
                    (b'{', b'}') | (b'[', b']') => at,
                    (b'{', _) => {
                        at = key_and_colon(bytes, at)?;
                        continue;
                    }
                    _ => continue,
                }
            }
            _ => return malformed(at, "value expected"),
        };
        // Behind a value, or at the end of an empty container: close what ends here.
        loop {
            at = skip_space(bytes, at);
            let in_object = levels & 1 == 1;
            match byte(bytes, at) {
                b',' => {
                    at = skip_space(bytes, at + 1);
                    if in_object {
                        at = key_and_colon(bytes, at)?;
                    }
                    break;
                }
                b'}' if in_object => {}
                b']' if !in_object => {}
                _ => return malformed(at, "comma or end expected"),
            }
            at += 1;
            levels >>= 1;
            depth -= 1;
            if depth == 1 {
                return Ok(at);
            }
        }
    }
}

/// Position of the value that follows a key at `at`.
#[inline(always)]
fn key_and_colon(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    if byte(bytes, at) != b'"' {
        return malformed(at, "key expected");
    }
    let end = string_end(bytes, at + 1)?.0;
    match next_string(bytes, end, b':') {
        Some(from) => Ok(from - 1),
        None => colon(bytes, end + 1),
    }
}

/// Position of the value behind a colon that stands at `at`, perhaps with space around it.
#[inline(always)]
fn colon(bytes: &[u8], at: usize) -> Result<usize, Malformed> {
    let at = skip_space(bytes, at);
    if byte(bytes, at) != b':' {
        return malformed(at, "colon expected");
    }
    Ok(skip_space(bytes, at + 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;
    use serde_json::Map;

    /// What the scanner makes of a line, as a map in which the last of equal keys wins.
    fn scanned(line: &str) -> Result<Map<String, serde_json::Value>, Malformed> {
        let mut map = Map::new();
        scan_object(line, &mut |key, value| {
            let parse = |text: &str| serde_json::from_str(text).expect("the scanner validates nested values");
            let value = match value {
                Value::Null => serde_json::Value::Null,
                Value::Bool(b) => b.into(),
                Value::String(s) => s.get().into(),
                Value::Number(text) | Value::Object(text) | Value::Array(text) => parse(text),
            };
            assert_eq!(key.plain().is_none(), key.raw().contains('\\'));
            map.insert(key.get().into_owned(), value);
        })?;
        Ok(map)
    }

    /// The scanner and `serde_json` agree on whether a line is an object and on what is in it.
    fn check(line: &str) -> bool {
        let expected = match serde_json::from_str(line) {
            Ok(serde_json::Value::Object(map)) => Some(map),
            _ => None,
        };
        let short: String = line.chars().take(300).collect();
        match (scanned_without_panic(line), &expected) {
            (Ok(map), Some(expected)) => assert_eq!(&map, expected, "{short}"),
            (Err(malformed), None) => assert!(malformed.at <= line.len(), "{malformed} in {short}"),
            (ours, _) => panic!("scanner: {ours:?}, serde_json accepts: {}, line: {short}", expected.is_some()),
        }
        expected.is_some()
    }

    /// The visitor of [`scanned`] parses values that a later mistake makes worthless, so the line is checked before.
    fn scanned_without_panic(line: &str) -> Result<Map<String, serde_json::Value>, Malformed> {
        scan_object(line, &mut |_, _| {})?;
        scanned(line)
    }

    fn accepts(line: &str) {
        assert!(check(line), "{line}");
    }

    fn rejects(line: &str) {
        assert!(!check(line), "{line}");
    }

    #[test]
    fn values_of_every_kind() {
        let mut seen = Vec::new();
        let line =
            r#" { "a" : null, "b":true,"c":false,"d":-1.5e3,"e":"x","f":{"g":[1]},"h":[], "":"", "é\n":"\u00e9\t" } "#;
        scan_object(line, &mut |key, value| seen.push((key.get(), value))).unwrap();
        let keys: Vec<_> = seen.iter().map(|(key, _)| key.as_ref()).collect();
        assert_eq!(keys, ["a", "b", "c", "d", "e", "f", "h", "", "é\n"]);
        let plain = |raw| Value::String(Str { raw, escaped: false });
        let values: Vec<_> = seen.iter().map(|(_, value)| *value).collect();
        assert_eq!(values[..4], [Value::Null, Value::Bool(true), Value::Bool(false), Value::Number("-1.5e3")]);
        assert_eq!(values[4..8], [plain("x"), Value::Object(r#"{"g":[1]}"#), Value::Array("[]"), plain("")]);
        let Value::String(last) = values[8] else { panic!("not a string") };
        assert_eq!((last.plain(), last.raw(), last.get().as_ref()), (None, r"\u00e9\t", "é\t"));
        assert!(last.is("é\t") && !last.is(r"\u00e9\t"));
        accepts(line);
    }

    #[test]
    fn duplicate_keys_are_visited_in_order() {
        let mut seen = Vec::new();
        scan_object(r#"{"a":1,"b":2,"a":3}"#, &mut |key, value| seen.push((key.raw(), value))).unwrap();
        assert_eq!(seen, [("a", Value::Number("1")), ("b", Value::Number("2")), ("a", Value::Number("3"))]);
    }

    #[test]
    fn says_where_a_line_is_wrong() {
        let check = |line: &str, at, what| assert_eq!(scan_object(line, &mut |_, _| {}), Err(Malformed { at, what }));
        check("", 0, "not an object");
        check("[1]", 0, "not an object");
        check("{\"a\":1", 6, "comma or end of object expected");
        check("{\"a\":1}x", 7, "text after the object");
        check("{\"a\":\"b", 7, "string without end");
        check("{\"a\":\"b\u{1}\"}", 7, "control character in a string");
        check("{\"a\":01}", 5, "invalid number");
        check("{\"a\":{\"b\" 1}}", 10, "colon expected");
    }

    #[test]
    fn structure() {
        for line in
            ["{}", " {\t}\r\n", r#"{"a":1}"#, r#"{"":0}"#, r#"{"a":{}}"#, r#"{"a":[[],[{}]]}"#, r#"{"a":[1 , 2]}"#]
        {
            accepts(line);
        }
        for line in [
            "",
            " ",
            "null",
            "1",
            "\"a\"",
            "[]",
            "{",
            "}",
            "{}{}",
            "{} x",
            "{,}",
            "{1:2}",
            "{a:1}",
            "{'a':1}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1,,\"b\":2}",
            "{\"a\":1 \"b\":2}",
            "{\"a\"::1}",
            "{\"a\":[1,]}",
            "{\"a\":[,1]}",
            "{\"a\":[1}}",
            "{\"a\":{\"b\":1]}",
            "{\"a\":{\"b\"}}",
            "{\"a\":{1:1}}",
            "{\"a\":{\"b\":1,}}",
            "{\"a\":[}",
            "{\"a\":{]}",
            "{\"a\":nul}",
            "{\"a\":nulll}",
            "{\"a\":True}",
            "{\"a\":NaN}",
            "{\"a\":Infinity}",
            "{\"a\":undefined}",
            "{\"a\":1}\0",
            "\0{\"a\":1}",
            "{\0\"a\":1}",
            "{\"a\":\0}",
            "{\"a\0\":1}",
            "{\"a\":1\0}",
            "\u{feff}{\"a\":1}",
            "{\u{b}\"a\":1}",
            "{\u{a0}\"a\":1}",
            "{\"a\":1}//",
            "{/**/\"a\":1}",
            "{\"a\":é}",
            "{\"a\" é:1}",
        ] {
            rejects(line);
        }
    }

    #[test]
    fn strings() {
        let strings = [
            ("", true),
            ("x", true),
            (r#"\"\\\/\b\f\n\r\t"#, true),
            (r"\u0000\u001f\u007F\uFFFF\ufffe", true),
            (r"\ud83d\ude00", true),
            (r"\uD83D\uDE00x", true),
            ("\u{7f}\u{80}\u{2028}😀", true),
            ("1234567\\n", true),
            (r"\ud800", false),
            (r"\udc00", false),
            (r"\udc00\udc00", false),
            (r"\ud800\ud800", false),
            (r"\ud800x", false),
            (r"\ud800\n", false),
            (r"\ud800\u0041", false),
            (r"\ud800\u", false),
            (r"\ude00\ud83d", false),
            (r"\u12", false),
            (r"\u12g4", false),
            (r"\u+123", false),
            (r"\u 123", false),
            (r"\x41", false),
            (r"\a", false),
            (r"\'", false),
            (r"\U0041", false),
            ("\\", false),
            (r"\ué000", false),
            ("\n", false),
            ("\t", false),
            ("\u{1f}", false),
            ("\0", false),
        ];
        for (string, valid) in strings {
            // At every offset in the eight bytes that are looked at together, as a key, a value and nested.
            for padding in 0..20 {
                let string = format!("{}{string}{}", "p".repeat(padding), "q".repeat(padding % 3));
                for line in [
                    format!("{{\"{string}\":1}}"),
                    format!("{{\"k\":\"{string}\"}}"),
                    format!("{{\"k\":\"{string}\",\"a\":\"0123456789abcdef\"}}"),
                    format!("{{\"k\":[{{\"{string}\":\"{string}\"}}], \"z\": \"0123456789abcdef\"}}"),
                ] {
                    assert_eq!(check(&line), valid, "{line}");
                }
            }
        }
    }

    #[test]
    fn numbers() {
        for number in [
            "0",
            "-0",
            "-0.0",
            "0e0",
            "1",
            "-1",
            "10",
            "1.0",
            "1.50",
            "1e5",
            "1E+05",
            "1e-0",
            "0.1e-400",
            "1e-1000000000000",
            "0e999",
            "0e99999999999999999999",
            "18446744073709551615",
            "18446744073709551616",
            "-9223372036854775809",
            "1e308",
            "1.7976931348623157e308",
            "123456789012345678901234567890.123456789012345678901234567890",
            "1e00000000000005",
        ] {
            accepts(&format!("{{\"a\":{number}}}"));
            accepts(&format!("{{\"a\":[{number}],\"b\":{number} }}"));
        }
        for number in [
            "01",
            "-01",
            "00",
            "-",
            "+1",
            ".5",
            "5.",
            "-.5",
            "1.e5",
            "1e",
            "1e+",
            "1e-",
            "1E",
            "0x10",
            "1_000",
            "1e5.5",
            "--1",
            "1-",
            "1.2.3",
            "1e999",
            "-1e999",
            "1e309",
            "1e400",
            "1e99999999999999999999",
            "1.8e308",
            "1 2",
            "١",
        ] {
            rejects(&format!("{{\"a\":{number}}}"));
            rejects(&format!("{{\"a\":[{number}]}}"));
        }
        // Close to the largest f64, where the arithmetic of serde_json decides.
        for mantissa in 17_976_931_348_623_150_u64..17_976_931_348_623_170 {
            for exponent in [290, 291, 292, 293] {
                check(&format!("{{\"a\":{mantissa}e{exponent}}}"));
            }
        }
        for digits in [199, 200, 201, 300, 307, 308, 309, 310, 400] {
            for exponent in ["", "e0", "e9", "e99", "e100", "e-99", "e-200"] {
                for digit in ["1", "9"] {
                    check(&format!("{{\"a\":{}{exponent}}}", digit.repeat(digits)));
                    check(&format!("{{\"a\":[0.{}{exponent}]}}", digit.repeat(digits)));
                }
            }
        }
    }

    #[test]
    fn nesting() {
        let nested = |open: &str, close: &str, depth: usize| {
            format!("{{\"a\":{}1{}}}", open.repeat(depth - 1), close.repeat(depth - 1))
        };
        for (open, close) in [("[", "]"), ("{\"b\":", "}"), ("[[{\"b\":", "}]]")] {
            let levels = open.matches(['[', '{']).count();
            for depth in 1..140 {
                let line = nested(open, close, depth);
                assert_eq!(check(&line), (depth - 1) * levels < 127, "{line}");
            }
        }
        for depth in [10_000, 1_000_000] {
            rejects(&nested("[", "]", depth));
            rejects(&nested("{\"b\":", "}", depth));
            rejects(&format!("{{\"a\":{}", "[".repeat(depth)));
        }
        // Width is no depth.
        accepts(&format!("{{\"a\":[{}[[]]]}}", "[[]],".repeat(10_000)));
    }

    #[test]
    fn large_lines() {
        let keys: String = (0..100_000).map(|i| format!("\"key{i}\":{i},")).collect();
        accepts(&format!("{{{keys}\"last\":0}}"));
        rejects(&format!("{{{keys}}}"));
        let long = "0123456789".repeat(1_000_000);
        accepts(&format!("{{\"a\":\"{long}\"}}"));
        rejects(&format!("{{\"a\":\"{long}"));
        accepts(&format!("{{\"{long}\":\"{}\"}}", "\\\\".repeat(100_000)));
        rejects(&format!("{{\"a\":{long}}}"));
    }

    #[test]
    fn every_cut_of_a_line() {
        let line = r#"{"ts":"2026-11-24T10:00:00Z","n":-1.25e3,"ok":true, "é": {"a":[null,"\ud83d\ude00"]},"msg":"say \"hi\""}"#;
        accepts(line);
        for (cut, _) in line.char_indices() {
            rejects(&line[..cut]);
            check(&line[cut..]);
        }
    }

    #[test]
    fn lookup_of_paths() {
        let line = r#"{"a":1,"http.status":200,"http":{"status":500,"re\u0071uest":{"method":"GET","x.y":7}},"deep.er":{"z":1},"a":2}"#;
        let check = |path: &str, expected: Option<Value<'_>>| assert_eq!(lookup(line, path), expected, "{path}");
        check("a", Some(Value::Number("2")));
        check("http.status", Some(Value::Number("200")));
        check("http.request.method", Some(Value::String(Str { raw: "GET", escaped: false })));
        check("http.request.x.y", Some(Value::Number("7")));
        check("http.request", Some(Value::Object(r#"{"method":"GET","x.y":7}"#)));
        for path in ["", ".", "b", "a.b", "http.", ".http", "http..status", "http.status.x", "http.request.x"] {
            check(path, None);
        }
        assert_eq!(lookup("{\"a\":1", "a"), None);
        assert_eq!(lookup(r#"{"":{"":{"a":1}}}"#, "..a"), Some(Value::Number("1")));
    }

    fn space() -> impl Strategy<Value = &'static str> {
        prop_oneof![8 => Just(""), 2 => Just(" "), 1 => prop::sample::select(vec!["\t", "\n", "\r", "  \t", "         "])]
    }

    /// The inside of a string in one of many spellings, most of them valid.
    fn string_text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            6 => "[a-z0-9 ._/-]{0,20}",
            2 => "\\PC{0,6}",
            1 => prop::sample::select(vec![r#"\""#, r"\\", r"\/", r"\b", r"\f", r"\n", r"\r", r"\t"]).prop_map(str::to_owned),
            1 => any::<char>().prop_map(|c| c.encode_utf16(&mut [0; 2]).iter().map(|u| format!("\\u{u:04x}")).collect()),
            1 => (0..32_u32).prop_map(|c| format!("\\u{c:04X}")),
        ];
        prop::collection::vec(piece, 0..4).prop_map(|pieces| pieces.concat().replace(|c: char| c < ' ', "?")).prop_map(
            |text| {
                // A quote or backslash that did not come from an escape above would end the string; keep escapes whole.
                let mut out = String::new();
                let mut chars = text.chars().peekable();
                while let Some(c) = chars.next() {
                    match c {
                        '"' => out.push('\''),
                        '\\' if chars.peek().is_some_and(|next| "\"\\/bfnrtu".contains(*next)) => {
                            out.push(c);
                            out.extend(chars.next());
                        }
                        '\\' => out.push('|'),
                        _ => out.push(c),
                    }
                }
                out
            },
        )
    }

    fn number_text() -> impl Strategy<Value = String> {
        prop_oneof![
            any::<i64>().prop_map(|n| n.to_string()),
            any::<u64>().prop_map(|n| n.to_string()),
            (-1000..1000_i32).prop_map(|n| n.to_string()),
            any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(|x| format!("{x:e}")),
            (0.0..1e4_f64).prop_map(|x| format!("{x:.3}")),
            "-?(0|[1-9][0-9]{0,25})(\\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?",
        ]
    }

    fn value_text() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            4 => string_text().prop_map(|s| format!("\"{s}\"")),
            3 => number_text(),
            1 => prop::sample::select(vec!["null", "true", "false"]).prop_map(str::to_owned),
        ];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop_oneof![
                (space(), prop::collection::vec((inner.clone(), space()), 0..4)).prop_map(|(a, items)| {
                    let items: Vec<_> = items.iter().map(|(value, b)| format!("{b}{value}{a}")).collect();
                    format!("[{a}{}]", items.join(","))
                }),
                members(inner, 4),
            ]
        })
    }

    fn members(value: impl Strategy<Value = String>, most: usize) -> impl Strategy<Value = String> {
        let key = prop_oneof![3 => "[a-c]{0,2}", 1 => string_text()];
        prop::collection::vec((space(), key, space(), space(), value), 0..=most).prop_map(|members| {
            let end = members.first().map_or("", |member| member.2);
            let members: Vec<_> =
                members.iter().map(|(a, key, b, c, value)| format!("{a}\"{key}\"{b}:{c}{value}{b}")).collect();
            format!("{{{}{end}}}", members.join(","))
        })
    }

    fn line() -> impl Strategy<Value = String> {
        (space(), members(value_text(), 8), space()).prop_map(|(a, object, b)| format!("{a}{object}{b}"))
    }

    /// Damage to a line: cut here, a character put in, replaced or taken out, a piece copied elsewhere.
    fn damaged(line: &str, kind: u8, at: usize, other: usize, c: char) -> String {
        let chars: Vec<char> = line.chars().collect();
        let at = at % (chars.len() + 1);
        let (before, after) = chars.split_at(at);
        let rest = after.get(1..).unwrap_or_default();
        let flipped = after.first().and_then(|old| char::from_u32(u32::from(*old) ^ (1 << (other % 7))));
        let piece: Vec<char> = chars.iter().skip(other % (chars.len() + 1)).take(5).copied().collect();
        let parts: [&[char]; 3] = match kind {
            0 => [before, &[], &[]],
            1 => [before, &[c], after],
            2 => [before, &[c], rest],
            3 => [before, &[], rest],
            4 => [before, &piece, after],
            _ => [before, &[flipped.unwrap_or(c)], rest],
        };
        parts.concat().into_iter().collect()
    }

    fn syntax_char() -> impl Strategy<Value = char> {
        prop_oneof![
            6 => prop::sample::select("{}[]\",:\\ \t\n0123456789.-+eEunltrfas/b\0\u{1}\u{1f}\u{7f}".chars().collect::<Vec<_>>()),
            1 => any::<char>(),
        ]
    }

    fn config(cases: u32) -> ProptestConfig {
        ProptestConfig { cases, rng_seed: RngSeed::Fixed(470), failure_persistence: None, ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(config(5_000))]

        #[test]
        fn agrees_with_serde_json_on_objects(line in line()) {
            check(&line);
        }
    }

    proptest! {
        #![proptest_config(config(4_000))]

        #[test]
        fn agrees_with_serde_json_on_damaged_lines(
            line in line(),
            damage in prop::collection::vec((0..6_u8, any::<usize>(), any::<usize>(), syntax_char()), 6),
        ) {
            // Each damage alone, then all of the first few together.
            let mut worse = line.clone();
            for (kind, at, other, c) in damage {
                check(&damaged(&line, kind, at, other, c));
                worse = damaged(&worse, kind.max(1), at, other, c);
                check(&worse);
            }
        }

        #[test]
        fn agrees_with_serde_json_on_syntax_soup(inside in prop::collection::vec(syntax_char(), 0..12)) {
            let inside: String = inside.into_iter().collect();
            check(&inside);
            check(&format!("{{\"a\":{inside}}}"));
            check(&format!("{{\"a\":\"{inside}\"}}"));
            check(&format!("{{{inside}}}"));
        }
    }

    #[test]
    fn generated_lines_are_mostly_valid() {
        // Guards the tests above against a generator that only ever makes rubbish.
        use proptest::strategy::ValueTree;
        let mut runner = proptest::test_runner::TestRunner::new(config(1));
        let valid =
            (0..500).filter(|_| check(&line().new_tree(&mut runner).expect("no filter is strict").current())).count();
        assert!(valid > 350, "{valid} of 500 lines valid");
    }
}
