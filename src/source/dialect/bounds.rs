//! How many messages a body may hold: one of two bytes becomes a hundred times that in memory, so they are counted before any is made.

use crate::source::dialect::Unreadable;

/// Messages of a protobuf body, objects and lists of a JSON body, and items of a bulk request, at most.
pub(super) const MESSAGES_MAX: usize = 1_000_000;
/// Nesting that is looked into; deeper ones are refused when they are read.
const DEPTH_MAX: usize = 100;

/// Kinds of messages by number, and which kind a field of a kind is; fields that are no messages are none.
pub(super) type Schema = fn(kind: u8, tag: u64) -> Option<u8>;

/// A body of protobuf, whose outermost message is of kind 0, holds no more than [`MESSAGES_MAX`].
///
/// # Errors
/// It holds more. A body that is broken is not refused here.
pub(super) fn proto(body: &[u8], schema: Schema) -> Result<(), Unreadable> {
    let mut left = MESSAGES_MAX;
    match walk(body, 0, schema, DEPTH_MAX, &mut left) {
        Some(()) => Ok(()),
        None if left == 0 => Err(Unreadable::TooMany(MESSAGES_MAX)),
        None => Ok(()),
    }
}

fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..70).step_by(7) {
        let (first, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(first & 0x7f).checked_shl(shift)?;
        if first & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

/// `None`: there are too many, or the bytes are broken.
fn walk(mut bytes: &[u8], kind: u8, schema: Schema, depth: usize, left: &mut usize) -> Option<()> {
    while !bytes.is_empty() {
        let key = varint(&mut bytes)?;
        let length = match key & 7 {
            0 => {
                varint(&mut bytes)?;
                continue;
            }
            1 => 8,
            5 => 4,
            2 => usize::try_from(varint(&mut bytes)?).ok()?,
            _ => return None,
        };
        let (inner, rest) = bytes.split_at_checked(length)?;
        bytes = rest;
        if let Some(kind) = schema(kind, key >> 3).filter(|_| key & 7 == 2) {
            if *left == 0 {
                return None;
            }
            *left -= 1;
            if depth > 0 {
                walk(inner, kind, schema, depth - 1, left)?;
            }
        }
    }
    Some(())
}

/// A body of JSON is an object, and holds no more objects and lists than that. Brackets in texts count too.
///
/// # Errors
/// It is something else, or holds more.
pub(super) fn json(body: &[u8]) -> Result<(), Unreadable> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Unreadable::Malformed("not a JSON object".to_owned()));
    }
    let found = memchr::memchr2_iter(b'{', b'[', body).take(MESSAGES_MAX + 1).count();
    if found > MESSAGES_MAX { Err(Unreadable::TooMany(MESSAGES_MAX)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Messages within messages of field 1, in which field 2 is a text.
    fn nested(_: u8, tag: u64) -> Option<u8> {
        (tag == 1).then_some(0)
    }

    #[test]
    fn messages_are_counted_and_texts_are_not() {
        let empty = [0x0a, 0];
        assert_eq!(proto(&empty.repeat(MESSAGES_MAX), nested), Ok(()));
        assert_eq!(proto(&empty.repeat(MESSAGES_MAX + 1), nested), Err(Unreadable::TooMany(MESSAGES_MAX)));
        assert_eq!(proto(&[0x12, 0].repeat(MESSAGES_MAX + 1), nested), Ok(()));
        // Those further in count as well.
        let mut inner = empty.repeat(MESSAGES_MAX);
        let mut outer = vec![0x0a];
        let mut length = inner.len();
        while length > 0x7f {
            outer.push((length & 0x7f) as u8 | 0x80);
            length >>= 7;
        }
        outer.push(length as u8);
        outer.append(&mut inner);
        assert_eq!(proto(&outer, nested), Err(Unreadable::TooMany(MESSAGES_MAX)));
        for broken in [&b"\x0a\x05"[..], b"\x0b", b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"] {
            assert_eq!(proto(broken, nested), Ok(()), "whoever reads it says so");
        }
        assert_eq!(json(&b"{[".repeat(MESSAGES_MAX / 2)), Ok(()));
        assert_eq!(json(&b" {[".repeat(MESSAGES_MAX / 2 + 1)), Err(Unreadable::TooMany(MESSAGES_MAX)));
        assert!(matches!(json(b"[]"), Err(Unreadable::Malformed(_))));
    }
}
