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

/// What kind a value is; of a string, whether it has escapes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `null`
    Null,
    /// `true`
    True,
    /// `false`
    False,
    /// A number.
    Number,
    /// A string without escapes.
    Plain,
    /// A string with escapes.
    Escaped,
    /// An object.
    Object,
    /// An array.
    Array,
}

/// What is done with the keys and values of an object: [`Visit::expected`] or [`Visit::key`] comes before each value.
pub trait Visit<'a> {
    /// When the text behind `at`, up to where a value begins, is what was expected there: where that is, and whether
    /// the value is a string, whose opening quote then is part of the text.
    ///
    /// `at` is behind the opening brace or behind a value, and the answer must be what [`Visit::key`] was told of the
    /// same text, behind the brace or behind a value as now.
    ///
    /// The keys of a log come in the same order in line after line, between the same commas and colons. Comparing all
    /// of that at once is less work than searching for its parts, and where the value begins is known without waiting.
    fn expected(&mut self, bytes: &[u8], at: usize) -> Option<(usize, bool)>;

    /// A key. `lead`: the text from behind the brace or the value before it up to its value; `is_string`: with the
    /// opening quote of that.
    fn key(&mut self, key: Str<'a>, lead: &[u8], is_string: bool);

    /// The value of the key, from where to where it stands: of a string, what is between the quotes.
    fn value(&mut self, kind: Kind, from: usize, until: usize);
}

/// Hands out keys and values, expecting nothing.
struct Each<'a, 'f, F> {
    text: &'a str,
    key: Option<Str<'a>>,
    visit: &'f mut F,
}

impl<'a, F: FnMut(Str<'a>, Value<'a>)> Visit<'a> for Each<'a, '_, F> {
    #[inline]
    fn expected(&mut self, _: &[u8], _: usize) -> Option<(usize, bool)> {
        None
    }

    #[inline]
    fn key(&mut self, key: Str<'a>, _: &[u8], _: bool) {
        self.key = Some(key);
    }

    #[inline]
    fn value(&mut self, kind: Kind, from: usize, until: usize) {
        // Quotes, brackets and digits are ASCII: there is a character boundary on both sides.
        let raw = self.text.get(from..until).unwrap_or_default();
        let value = match kind {
            Kind::Null => Value::Null,
            Kind::True => Value::Bool(true),
            Kind::False => Value::Bool(false),
            Kind::Number => Value::Number(raw),
            Kind::Plain => Value::String(Str { raw, escaped: false }),
            Kind::Escaped => Value::String(Str { raw, escaped: true }),
            Kind::Object => Value::Object(raw),
            Kind::Array => Value::Array(raw),
        };
        if let Some(key) = self.key {
            (self.visit)(key, value);
        }
    }
}

/// Visits the keys of the object in `text`, in the order of the text; a key written twice is visited twice.
///
/// White space around the object is allowed, anything else is not.
///
/// The visitor may be called before a later mistake is found: on an error, discard what was collected.
pub fn scan_object<'a>(text: &'a str, visit: &mut impl FnMut(Str<'a>, Value<'a>)) -> Result<(), Malformed> {
    visit_object(text, &mut Each { text, key: None, visit })
}

/// [`scan_object`] for a visitor that may know what comes next.
#[inline(always)]
pub fn visit_object<'a>(text: &'a str, visit: &mut impl Visit<'a>) -> Result<(), Malformed> {
    let bytes = text.as_bytes();
    let mut at = skip_space(bytes, 0);
    if byte(bytes, at) != b'{' {
        return malformed(at, "not an object");
    }
    at += 1;
    let mut is_first = true;
    loop {
        // `at` is behind the opening brace or behind a value.
        let (from, is_string) = match visit.expected(bytes, at) {
            Some(found) => found,
            None => {
                let Some((key, from)) = next_key(text, at, is_first)? else { return Ok(()) };
                let is_string = byte(bytes, from) == b'"';
                let from = from + usize::from(is_string);
                visit.key(key, bytes.get(at..from).unwrap_or_default(), is_string);
                (from, is_string)
            }
        };
        is_first = false;
        if is_string {
            let (end, escaped) = string_end(bytes, from)?;
            visit.value(if escaped { Kind::Escaped } else { Kind::Plain }, from, end);
            at = end + 1;
        } else {
            at = any_value(text, skip_space(bytes, from), visit)?;
        }
    }
}

/// The key that follows at `at`, and where its value begins; `None` at the end of the object, and of the text.
fn next_key(text: &str, at: usize, is_first: bool) -> Result<Option<(Str<'_>, usize)>, Malformed> {
    let bytes = text.as_bytes();
    let mut at = skip_space(bytes, at);
    match byte(bytes, at) {
        b'}' => return end_of_line(bytes, at + 1).map(|()| None),
        b',' if !is_first => at = skip_space(bytes, at + 1),
        _ if !is_first => return malformed(at, "comma or end of object expected"),
        _ => {}
    }
    if byte(bytes, at) != b'"' {
        return malformed(at, "key expected");
    }
    let (name, end) = key(text, at + 1)?;
    Ok(Some((name, colon(bytes, end + 1)?)))
}

/// Visits any value, whose first byte is at `at`; gives the position behind it.
#[inline(always)]
fn any_value<'a>(text: &'a str, at: usize, visit: &mut impl Visit<'a>) -> Result<usize, Malformed> {
    let bytes = text.as_bytes();
    let (kind, after) = match byte(bytes, at) {
        b'-' | b'0'..=b'9' => (Kind::Number, number(text, at)?),
        b't' => (Kind::True, word(bytes, at, b"true")?),
        b'f' => (Kind::False, word(bytes, at, b"false")?),
        b'n' => (Kind::Null, word(bytes, at, b"null")?),
        b'{' => (Kind::Object, container(text, at)?),
        b'[' => (Kind::Array, container(text, at)?),
        b'"' => {
            let (end, escaped) = string_end(bytes, at + 1)?;
            visit.value(if escaped { Kind::Escaped } else { Kind::Plain }, at + 1, end);
            return Ok(end + 1);
        }
        _ => return malformed(at, "value expected"),
    };
    visit.value(kind, at, after);
    Ok(after)
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
    colon(bytes, string_end(bytes, at + 1)?.0 + 1)
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
mod tests;
