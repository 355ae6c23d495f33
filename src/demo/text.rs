//! Bytes of JSON lines without formatting machinery: numbers, times and phrases straight into a reused buffer.

use crate::time::{DAY, HOUR, MINUTE, SECOND, civil_from_days};

/// The two digits of 0 to 99, so that a decimal costs one division per two digits.
const PAIRS: [[u8; 2]; 100] = {
    let mut pairs = [[0; 2]; 100];
    let mut i = 0;
    while i < 100 {
        pairs[i] = [b'0' + (i / 10) as u8, b'0' + (i % 10) as u8];
        i += 1;
    }
    pairs
};

/// The two hexadecimal digits of a byte.
const HEX: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut i = 0;
    while i < 256 {
        pairs[i] = [digits[i >> 4], digits[i & 15]];
        i += 1;
    }
    pairs
};

/// Appends the text.
#[inline]
pub(super) fn text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

/// Appends a decimal number.
#[inline]
pub(super) fn decimal(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 20];
    let mut from = digits.len();
    let mut rest = value;
    while rest >= 10 && from >= 2 {
        from -= 2;
        digits[from..from + 2].copy_from_slice(&PAIRS[(rest % 100) as usize]);
        rest /= 100;
    }
    if rest > 0 || value == 0 {
        from -= 1;
        digits[from] = b'0' + (rest % 10) as u8;
    }
    out.extend_from_slice(&digits[from..]);
}

/// Appends microseconds as milliseconds with three decimals: 12345 becomes `12.345`.
#[inline]
pub(super) fn millis(out: &mut Vec<u8>, micros: u64) {
    decimal(out, micros / 1_000);
    let fraction = micros % 1_000;
    let [tens, ones] = PAIRS[(fraction % 100) as usize];
    out.extend_from_slice(&[b'.', b'0' + (fraction / 100) as u8, tens, ones]);
}

/// Appends 16 hexadecimal digits.
#[inline]
pub(super) fn hex(out: &mut Vec<u8>, value: u64) {
    let mut digits = [0u8; 16];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(value.to_be_bytes()) {
        pair.copy_from_slice(&HEX[byte as usize]);
    }
    out.extend_from_slice(&digits);
}

/// Appends 6 hexadecimal digits: short names of carts, orders and the like.
#[inline]
pub(super) fn short_hex(out: &mut Vec<u8>, value: u64) {
    let [a, b, c, ..] = value.to_le_bytes();
    for byte in [a, b, c] {
        out.extend_from_slice(&HEX[byte as usize]);
    }
}

/// A piece of a message.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    /// Written as it stands: already escaped for JSON.
    Text(&'static str),
    /// A decimal number from 1 to the given one.
    Number(u64),
    /// Six hexadecimal digits.
    Id,
}

/// Appends a message; its variable parts are a function of `salt`.
#[inline]
pub(super) fn phrase(out: &mut Vec<u8>, parts: &[Part], salt: u64) {
    let mut salt = salt;
    for part in parts {
        match *part {
            Part::Text(words) => text(out, words),
            Part::Number(max) => {
                decimal(out, 1 + (salt >> 32) * max / (1 << 32));
                salt = salt.rotate_left(23);
            }
            Part::Id => {
                short_hex(out, salt);
                salt = salt.rotate_left(29);
            }
        }
    }
}

/// How many digits of a second a time is written with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fraction {
    Millis,
    Micros,
}

/// Writes times as RFC 3339 in UTC. The date is kept between lines, since it changes once a day.
#[derive(Clone, Debug)]
pub(super) struct TimeText {
    day: i64,
    date: [u8; 11],
}

impl TimeText {
    pub(super) fn new() -> Self {
        Self { day: 0, date: *b"1970-01-01T" }
    }

    /// Appends the time, for instance `2026-06-01T12:00:00.123Z`.
    #[inline]
    pub(super) fn push(&mut self, out: &mut Vec<u8>, micros: i64, fraction: Fraction) {
        let day = micros.div_euclid(DAY);
        if day != self.day {
            self.turn_to(day);
        }
        let in_day = micros.rem_euclid(DAY);
        let [h0, h1] = pair(in_day / HOUR);
        let [m0, m1] = pair(in_day / MINUTE % 60);
        let [s0, s1] = pair(in_day / SECOND % 60);
        let [a, b] = pair(in_day % SECOND / 10_000);
        let [c, d] = pair(in_day % 10_000 / 100);
        let [e, f] = pair(in_day % 100);
        out.extend_from_slice(&self.date);
        match fraction {
            Fraction::Millis => out.extend_from_slice(&[h0, h1, b':', m0, m1, b':', s0, s1, b'.', a, b, c, b'Z']),
            Fraction::Micros => {
                out.extend_from_slice(&[h0, h1, b':', m0, m1, b':', s0, s1, b'.', a, b, c, d, e, f, b'Z']);
            }
        }
    }

    #[cold]
    fn turn_to(&mut self, day: i64) {
        let (year, month, day_of_month) = civil_from_days(day);
        let [y0, y1] = pair(year.rem_euclid(10_000) / 100);
        let [y2, y3] = pair(year.rem_euclid(100));
        let [m0, m1] = pair(i64::from(month));
        let [d0, d1] = pair(i64::from(day_of_month));
        self.date = [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1, b'T'];
        self.day = day;
    }
}

/// Two digits of a number from 0 to 99.
#[inline]
fn pair(value: i64) -> [u8; 2] {
    PAIRS[(value % 100).unsigned_abs() as usize]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn writes_numbers() {
        for value in [0, 1, 9, 10, 11, 99, 100, 101, 999, 1_000, 65_536, 1_000_000, u64::MAX - 1, u64::MAX] {
            assert_eq!(written(|out| decimal(out, value)), value.to_string());
            assert_eq!(written(|out| hex(out, value)), format!("{value:016x}"));
        }
        assert_eq!(written(|out| millis(out, 12_345)), "12.345");
        assert_eq!(written(|out| millis(out, 7)), "0.007");
        assert_eq!(written(|out| millis(out, 1_000)), "1.000");
        assert_eq!(written(|out| short_hex(out, 0x00_01_02_03)), "030201");
    }

    #[test]
    fn writes_times() {
        let mut time = TimeText::new();
        let mut check = |micros: i64, fraction, expect: &str| {
            assert_eq!(written(|out| time.push(out, micros, fraction)), expect);
        };
        check(0, Fraction::Millis, "1970-01-01T00:00:00.000Z");
        check(1_661_140_439_378_397, Fraction::Micros, "2022-08-22T03:53:59.378397Z");
        check(1_661_140_439_378_397, Fraction::Millis, "2022-08-22T03:53:59.378Z");
        check(-1, Fraction::Micros, "1969-12-31T23:59:59.999999Z");
    }

    #[test]
    fn numbers_of_a_phrase_stay_in_range() {
        let parts = [Part::Text("n="), Part::Number(3)];
        for salt in [0, 1 << 31, 1 << 62, u64::MAX] {
            let line = written(|out| phrase(out, &parts, salt));
            assert!(["n=1", "n=2", "n=3"].contains(&line.as_str()), "{line}");
        }
    }
}
