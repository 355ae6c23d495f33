//! Log templates: what lines of one statement have in common, whatever values it was written with.
//!
//! [`mask`] is a pure function of the text: no line that came before changes what a line becomes, so that every chunk, process
//! and restart gives the same [`template_id`]. What the producer says of its own template comes first; it is masked by fewer
//! rules, because some producers write the finished message there.

mod group;
mod stack;

use crate::event::OVERFLOW_TEMPLATE;

pub use group::{GROUP_MIN, groups};
pub use stack::{FRAMES_MAX, add_stack};

/// Version of the rules: part of every id, so that ids of different rules never meet.
pub const MASKER_VERSION: u8 = 1;

/// Bytes of a text that are looked at; what comes behind is [`CUT`].
pub const TEXT_MAX: usize = 4_096;
/// Tokens of a text that are looked at.
pub const TOKENS_MAX: usize = 128;
/// Shortest token of hexadecimal digits without any decimal one that is taken for an id.
const HEX_MIN: usize = 8;

/// What stands for a value.
pub const HOLE: &str = "<*>";
/// What stands between a message and what a field beside it says.
const DETAIL: &str = " | ";
/// What stands for all that is behind a bound.
pub const CUT: &str = "<...>";

/// Keys whose value stays where it is a word: it says what happened, not to whom.
const TELLING_KEYS: [&[u8]; 7] = [b"level", b"status", b"code", b"error", b"reason", b"state", b"outcome"];

/// Who wrote the text that is masked.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Writer {
    /// A statement filled in: every token that looks like a value is one.
    Message,
    /// The producer names the template or the event: dots, slashes and `=` are part of names, digits are not.
    Producer,
}

/// Where tokens end, as a bit of [`CLASSES`].
const SPACE: u8 = 1;
const DELIMITER: u8 = 1 << 1;
const LINE_END: u8 = 1 << 2;
const ENDS_TOKEN: u8 = SPACE | DELIMITER | LINE_END;
/// What a token is made of.
const DIGIT: u8 = 1 << 3;
const NO_HEX: u8 = 1 << 4;
const NO_LETTER: u8 = 1 << 5;
const PATH: u8 = 1 << 6;

const CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut table = [0u8; 256];
    let mut at = 0;
    while at < 256 {
        let byte = at as u8;
        table[at] = match byte {
            b' ' | b'\t' | b'\r' => SPACE,
            b'\n' => LINE_END,
            b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'=' | b',' | b';' | b'"' | b'\'' | b'<' | b'>' | b'|' => {
                DELIMITER
            }
            b'0'..=b'9' => DIGIT | NO_LETTER,
            b'a'..=b'f' | b'A'..=b'F' => 0,
            b'g'..=b'z' | b'G'..=b'Z' => NO_HEX,
            b'.' | b'/' | b'@' => NO_HEX | NO_LETTER | PATH,
            _ => NO_HEX | NO_LETTER,
        };
        at += 1;
    }
    table
}

#[inline(always)]
fn class(byte: u8) -> u8 {
    CLASSES[usize::from(byte)]
}

/// Id of a template, by its canonical text; the same for every service. Never 0 or [`OVERFLOW_TEMPLATE`].
pub fn template_id(canonical: &[u8]) -> u64 {
    let mut bytes = Vec::with_capacity(canonical.len() + 1);
    bytes.push(MASKER_VERSION);
    bytes.extend_from_slice(canonical);
    id_of_versioned(&bytes)
}

#[inline]
fn id_of_versioned(bytes: &[u8]) -> u64 {
    xxhash_rust::xxh3::xxh3_64(bytes).max(OVERFLOW_TEMPLATE + 1)
}

/// A template under construction; its room is used again for the next.
#[derive(Clone, Debug)]
pub struct Canonical {
    /// The version, then the canonical text.
    bytes: Vec<u8>,
    /// Some of the text was a value, or was cut.
    has_holes: bool,
}

impl Default for Canonical {
    fn default() -> Self {
        Canonical { bytes: vec![MASKER_VERSION], has_holes: false }
    }
}

impl Canonical {
    /// Begins anew with the mask of a text.
    #[inline]
    pub fn mask(&mut self, text: &[u8], writer: Writer) {
        self.bytes.clear();
        self.bytes.push(MASKER_VERSION);
        self.has_holes = mask_into(text, writer, &mut self.bytes);
    }

    /// Some of the text was a value, or was cut: the next line of the statement most likely reads otherwise.
    pub fn has_holes(&self) -> bool {
        self.has_holes
    }

    /// Adds what a stack trace tells, from the text of the message behind its first line, or from a field of its own.
    pub fn add_stack(&mut self, trace: &str) {
        add_stack(trace, &mut self.bytes);
    }

    /// Adds what a field beside the message says of the failure, masked.
    pub fn add_detail(&mut self, detail: &[u8], writer: Writer) {
        let before = self.bytes.len();
        self.bytes.extend_from_slice(DETAIL.as_bytes());
        let from = self.bytes.len();
        self.has_holes |= mask_into(detail, writer, &mut self.bytes);
        if self.bytes.len() == from {
            self.bytes.truncate(before);
        }
    }

    /// The canonical text.
    pub fn text(&self) -> &[u8] {
        self.bytes.get(1..).unwrap_or_default()
    }

    /// Its id.
    #[inline]
    pub fn id(&self) -> u64 {
        id_of_versioned(&self.bytes)
    }

    /// Nothing is left of the text.
    pub fn is_empty(&self) -> bool {
        self.bytes.len() <= 1
    }
}

/// The canonical text of the first line of a text.
pub fn mask(text: &[u8], writer: Writer) -> Vec<u8> {
    let mut out = Vec::new();
    mask_into(text, writer, &mut out);
    out
}

/// What is known while a text is masked.
struct Masking<'o> {
    out: &'o mut Vec<u8>,
    /// Where the canonical text begins.
    from: usize,
    /// Space was read and not yet written.
    space: bool,
    /// Length behind the last hole, when only delimiters and spaces came since.
    hole_end: Option<usize>,
    has_holes: bool,
}

impl Masking<'_> {
    #[inline]
    fn put_space(&mut self) {
        if self.space && self.out.len() > self.from {
            self.out.push(b' ');
        }
        self.space = false;
    }

    /// Holes with only delimiters between them are one: a list of values is as long as it happens to be.
    #[inline]
    fn hole(&mut self) {
        self.has_holes = true;
        match self.hole_end {
            Some(end) => {
                self.out.truncate(end);
                self.space = false;
            }
            None => {
                self.put_space();
                self.out.extend_from_slice(HOLE.as_bytes());
                self.hole_end = Some(self.out.len());
            }
        }
    }

    #[inline]
    fn literal(&mut self, token: &[u8]) {
        self.put_space();
        self.out.extend_from_slice(token);
        self.hole_end = None;
    }
}

/// Appends the canonical text of the first line of a text; true when a value was in it, or it was cut.
#[inline]
fn mask_into(text: &[u8], writer: Writer, out: &mut Vec<u8>) -> bool {
    // A text may begin with empty lines.
    let from = text.iter().position(|byte| class(*byte) & (SPACE | LINE_END) == 0).unwrap_or(text.len());
    let text = text.get(from..).unwrap_or_default();
    let (text, mut is_cut) = match text.len() > TEXT_MAX {
        true => (cut_at_character(text), true),
        false => (text, false),
    };
    let from = out.len();
    let mut masking = Masking { out, from, space: false, hole_end: None, has_holes: false };
    let mut at = 0;
    let mut tokens = 0;
    // The token before the `=` that was read last, when nothing else is between.
    let mut key: &[u8] = &[];
    let mut secret = Secret::No;
    while let Some(&byte) = text.get(at) {
        let class_here = class(byte);
        if class_here & ENDS_TOKEN == 0 {
            let (token, made_of) = token_at(text, at);
            if tokens == TOKENS_MAX {
                is_cut = true;
                break;
            }
            tokens += 1;
            let behind_key = at > 0 && text.get(at - 1) == Some(&b'=');
            let is_word = token.iter().any(u8::is_ascii_alphanumeric) || !token.is_ascii();
            if is_value(token, made_of, writer, behind_key, key)
                || (secret == Secret::Next && is_word && names_secret(token) == Secret::No)
            {
                masking.hole();
                key = &[];
                secret = Secret::No;
            } else {
                masking.literal(token);
                key = token;
                secret = match names_secret(token) {
                    Secret::No if !is_word && secret != Secret::No => Secret::Next,
                    named => named,
                };
            }
            at += token.len();
        } else if class_here == DELIMITER {
            let rest = text.get(at..).unwrap_or_default();
            // What was masked before stays as it is.
            if byte == b'<' && rest.starts_with(HOLE.as_bytes()) {
                if tokens == TOKENS_MAX {
                    is_cut = true;
                    break;
                }
                tokens += 1;
                masking.hole();
                key = &[];
                secret = Secret::No;
                at += HOLE.len();
            } else if byte == b'<' && rest == CUT.as_bytes() {
                is_cut = true;
                break;
            } else {
                masking.put_space();
                masking.out.push(byte);
                if byte != b'=' {
                    key = &[];
                }
                if secret == Secret::Named && matches!(byte, b'=' | b'"' | b'\'') {
                    secret = Secret::Next;
                }
                at += 1;
            }
        } else if class_here == SPACE {
            masking.space = true;
            key = &[];
            at += 1;
        } else {
            return masking.has_holes;
        }
    }
    if is_cut {
        masking.put_space();
        masking.out.extend_from_slice(CUT.as_bytes());
    }
    masking.has_holes || is_cut
}

/// The token that begins at a position, and what it is made of.
#[inline(always)]
fn token_at(text: &[u8], from: usize) -> (&[u8], u8) {
    let rest = text.get(from..).unwrap_or_default();
    let mut made_of = 0;
    let mut len = 0;
    for byte in rest {
        let class_here = class(*byte);
        if class_here & ENDS_TOKEN != 0 {
            break;
        }
        made_of |= class_here;
        len += 1;
    }
    (rest.get(..len).unwrap_or_default(), made_of)
}

#[inline(always)]
fn is_value(token: &[u8], made_of: u8, writer: Writer, behind_key: bool, key: &[u8]) -> bool {
    if made_of & DIGIT != 0 || (made_of & NO_HEX == 0 && token.len() >= HEX_MIN) {
        return true;
    }
    match writer {
        Writer::Producer => false,
        Writer::Message => {
            if behind_key {
                return made_of & NO_LETTER != 0 || !TELLING_KEYS.contains(&key);
            }
            made_of & PATH != 0 && has_two(token)
        }
    }
}

/// Two dots, or two slashes, or an address of somebody.
fn has_two(token: &[u8]) -> bool {
    let of = |wanted: u8| token.iter().filter(|byte| **byte == wanted).nth(1).is_some();
    let at = memchr::memchr(b'@', token);
    of(b'.') || of(b'/') || at.is_some_and(|at| at > 0 && at + 1 < token.len())
}

/// What the words before say of the next one.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Secret {
    /// Nothing.
    No,
    /// A secret was named: behind a colon, a quote or `=` comes the secret.
    Named,
    /// It is the secret.
    Next,
}

/// Words behind which a secret may stand: reports show what is left of a text.
const SECRET_WORDS: [&[u8]; 16] = [
    b"password",
    b"passwd",
    b"passphrase",
    b"pwd",
    b"secret",
    b"token",
    b"apikey",
    b"api_key",
    b"api-key",
    b"access_token",
    b"refresh_token",
    b"client_secret",
    b"authorization",
    b"bearer",
    b"cookie",
    b"credential",
];

/// Whether a token names a secret. With a colon behind it, or where it says how somebody is known, the secret is next.
#[inline]
fn names_secret(token: &[u8]) -> Secret {
    let word = token.strip_suffix(b":").unwrap_or(token);
    let first = word.first().map_or(0, |byte| byte | 0x20);
    let may_be = (3..=13).contains(&word.len()) && matches!(first, b'p' | b's' | b't' | b'a' | b'r' | b'c' | b'b');
    if !may_be || !SECRET_WORDS.iter().any(|secret| secret.eq_ignore_ascii_case(word)) {
        return Secret::No;
    }
    match word.len() < token.len() || word.eq_ignore_ascii_case(b"bearer") {
        true => Secret::Next,
        false => Secret::Named,
    }
}

/// The first bytes of a text, without a part of a character at their end.
fn cut_at_character(text: &[u8]) -> &[u8] {
    let mut end = TEXT_MAX;
    while end > TEXT_MAX - 4 && text.get(end).is_some_and(|byte| byte & 0xc0 == 0x80) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests;
