//! Numbers as they stand in logs.
//!
//! Durations become integer microseconds without passing through a float: `12.345` milliseconds and `0.012345` seconds
//! must be the same number, or two ways to log one duration would fall into different buckets.

/// Significant digits that are kept; those behind are cut.
///
/// All that an integer number of microseconds and its rounding need (20), with some to spare, and few enough that the
/// digits times a unit fit into 128 bits.
const DIGITS_KEPT: u32 = 25;

/// Largest numerator and denominator of a unit.
const UNIT_MAX: u64 = 1_000_000_000_000;

/// Powers of ten that are exact as f64.
const EXACT_POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// Powers of ten that fit.
const POWERS: [u64; 20] = {
    let mut powers = [1; 20];
    let mut at = 1;
    while at < powers.len() {
        powers[at] = powers[at - 1] * 10;
        at += 1;
    }
    powers
};

/// Parses a text of nothing but digits; `None` also when it does not fit.
#[inline]
pub fn parse_u64(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    // 19 digits always fit.
    if bytes.is_empty() || bytes.len() > 19 {
        return parse_long_u64(bytes);
    }
    let mut value = 0;
    for b in bytes {
        value = value * 10 + u64::from(digit(*b)?);
    }
    Some(value)
}

#[cold]
fn parse_long_u64(bytes: &[u8]) -> Option<u64> {
    bytes.first()?;
    bytes.iter().try_fold(0_u64, |value, b| value.checked_mul(10)?.checked_add(u64::from(digit(*b)?)))
}

/// Parses a finite decimal number, to the same bits as the standard library.
///
/// `None` for texts that are not a number, for infinity and NaN and for numbers too large for an f64.
#[inline]
pub fn parse_f64(text: &str) -> Option<f64> {
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', unsigned @ ..] => (true, unsigned),
        unsigned => (false, unsigned),
    };
    match simple_decimal(unsigned) {
        // Both are exact as f64, so their quotient is correctly rounded.
        Some((digits, fraction_digits)) if digits <= 1 << 53 => {
            let value = digits as i64 as f64 / EXACT_POWERS.get(fraction_digits as usize)?;
            Some(if negative { -value } else { value })
        }
        _ => text.parse().ok().filter(|value: &f64| value.is_finite()),
    }
}

/// Converts a decimal number of some unit to whole microseconds, half rounded up.
///
/// The unit is `numer / denom` microseconds: seconds are 1 000 000 / 1, milliseconds 1 000 / 1, nanoseconds 1 / 1 000.
/// The arithmetic is on integers, so texts of equal value (`1.5`, `1.50`, `15e-1`) give equal results, and the rounding is
/// exact for units that are a power of ten of a microsecond. Digits behind the 25th significant one are cut.
///
/// `None` for texts that are not a number, for negative numbers, for infinity and NaN and for more than `i64::MAX`
/// microseconds; also for a unit with a zero or with more than 10^12 on either side.
#[inline]
pub fn micros_from_decimal(text: &str, numer: u64, denom: u64) -> Option<u64> {
    if !(1..=UNIT_MAX).contains(&numer) || !(1..=UNIT_MAX).contains(&denom) {
        return None;
    }
    let micros = simple_micros(text, numer, denom).or_else(|| any_micros(text, numer, denom))?;
    (micros <= i64::MAX as u64).then_some(micros)
}

/// The case of nearly all durations: few digits, no exponent, everything fits into 64 bits.
#[inline]
fn simple_micros(text: &str, numer: u64, denom: u64) -> Option<u64> {
    let (digits, fraction_digits) = simple_decimal(text.as_bytes())?;
    let dividend = digits.checked_mul(numer)?;
    let divisor = POWERS.get(fraction_digits as usize)?.checked_mul(denom)?;
    let (quotient, remainder) = (dividend / divisor, dividend % divisor);
    Some(quotient + u64::from(remainder >= divisor - remainder))
}

#[cold]
fn any_micros(text: &str, numer: u64, denom: u64) -> Option<u64> {
    let decimal = Decimal::parse(text)?;
    if decimal.digits == 0 {
        return Some(0);
    }
    if decimal.negative {
        return None;
    }
    // At most 10^37.
    let dividend = decimal.digits * u128::from(numer);
    let power = 10_u128.checked_pow(u32::try_from(decimal.exponent.unsigned_abs()).unwrap_or(u32::MAX));
    let (dividend, divisor) = if decimal.exponent >= 0 {
        // What does not fit here is beyond i64 even after dividing by 10^12.
        (dividend.checked_mul(power?)?, u128::from(denom))
    } else {
        match power.and_then(|power| power.checked_mul(u128::from(denom))) {
            Some(divisor) => (dividend, divisor),
            // Divided by more than 3 * 10^38: below a half.
            None => return Some(0),
        }
    };
    let (quotient, remainder) = (dividend / divisor, dividend % divisor);
    u64::try_from(quotient + u128::from(remainder >= divisor - remainder)).ok()
}

/// A decimal number taken apart: `digits * 10^exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Decimal {
    /// Whether there was a minus, also in front of zero.
    pub(super) negative: bool,
    /// The first significant digits, at most [`DIGITS_KEPT`].
    pub(super) digits: u128,
    /// Power of ten of the last digit kept.
    pub(super) exponent: i64,
}

impl Decimal {
    /// Takes a number apart. Accepts what the standard library accepts as a float, without infinity and NaN.
    pub(super) fn parse(text: &str) -> Option<Decimal> {
        let (negative, rest) = match text.as_bytes() {
            [b'-', rest @ ..] => (true, rest),
            [b'+', rest @ ..] => (false, rest),
            rest => (false, rest),
        };
        let mantissa_len = rest.iter().position(|b| matches!(b, b'e' | b'E')).unwrap_or(rest.len());
        let (mantissa, exponent) = rest.split_at_checked(mantissa_len)?;
        let mut decimal = Decimal { negative, digits: 0, exponent: 0 };
        let mut num_digits = 0;
        let mut num_kept = 0;
        let mut point = None;
        for b in mantissa {
            if *b == b'.' && point.is_none() {
                point = Some(num_digits);
                continue;
            }
            let digit = digit(*b)?;
            num_digits += 1_i64;
            if num_kept < DIGITS_KEPT {
                decimal.digits = decimal.digits * 10 + u128::from(digit);
                // Zeros in front are not significant.
                num_kept += u32::from(decimal.digits != 0);
            } else {
                decimal.exponent += 1;
            }
        }
        if num_digits == 0 {
            return None;
        }
        decimal.exponent -= num_digits - point.unwrap_or(num_digits);
        if let [_, exponent @ ..] = exponent {
            decimal.exponent += parse_exponent(exponent)?;
        }
        Some(decimal)
    }

    /// The whole part of the number times a power of ten, without its sign; `None` when it does not fit.
    pub(super) fn whole_times_power(&self, power: i64) -> Option<u128> {
        let exponent = self.exponent + power;
        let factor = 10_u128.checked_pow(u32::try_from(exponent.unsigned_abs()).unwrap_or(u32::MAX));
        match factor {
            _ if self.digits == 0 => Some(0),
            Some(factor) if exponent >= 0 => self.digits.checked_mul(factor),
            Some(factor) => Some(self.digits / factor),
            None if exponent >= 0 => None,
            None => Some(0),
        }
    }
}

/// An exponent with or without a sign; beyond any that makes a difference it stays at the same large number.
fn parse_exponent(bytes: &[u8]) -> Option<i64> {
    // Larger than any text is long, so digits in front of it cannot bring the number back into range.
    const LARGEST: i64 = 1 << 61;
    let (negative, digits) = match bytes {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    digits.first()?;
    let mut value = 0_i64;
    for b in digits {
        value = value.saturating_mul(10).saturating_add(i64::from(digit(*b)?)).min(LARGEST);
    }
    Some(if negative { -value } else { value })
}

/// Digits, and how many of them are behind the point, of a text like `12` or `12.345` with at most 19 digits.
#[inline]
fn simple_decimal(text: &[u8]) -> Option<(u64, u32)> {
    let mut digits = 0_u64;
    let mut num_digits = 0;
    let mut point = None;
    for b in text {
        match digit(*b) {
            Some(digit) if num_digits < 19 => {
                digits = digits * 10 + u64::from(digit);
                num_digits += 1;
            }
            None if *b == b'.' && point.is_none() => point = Some(num_digits),
            _ => return None,
        }
    }
    (num_digits > 0).then_some((digits, num_digits - point.unwrap_or(num_digits)))
}

#[inline(always)]
fn digit(b: u8) -> Option<u8> {
    let digit = b.wrapping_sub(b'0');
    (digit < 10).then_some(digit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    const SECONDS: (u64, u64) = (1_000_000, 1);
    const MILLIS: (u64, u64) = (1_000, 1);
    const MICROS: (u64, u64) = (1, 1);
    const NANOS: (u64, u64) = (1, 1_000);
    const HOURS: (u64, u64) = (3_600_000_000, 1);

    #[test]
    fn u64s() {
        let check = |text: &str, expected| assert_eq!(parse_u64(text), expected, "{text}");
        check("0", Some(0));
        check("007", Some(7));
        check("9999999999999999999", Some(9_999_999_999_999_999_999));
        check("18446744073709551615", Some(u64::MAX));
        check("00000000000000000000000018446744073709551615", Some(u64::MAX));
        for text in [
            "",
            "18446744073709551616",
            "99999999999999999999999",
            "+1",
            "-1",
            "1.0",
            "1e3",
            " 1",
            "1 ",
            "a",
            "٣",
            "0x1",
            "1_0",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn f64s() {
        let check = |text: &str, expected: Option<f64>| {
            assert_eq!(parse_f64(text).map(f64::to_bits), expected.map(f64::to_bits), "{text}");
        };
        check("0", Some(0.0));
        check("-0", Some(-0.0));
        check("12.345", Some(12.345));
        check("-0.1", Some(-0.1));
        check("9007199254740993", Some(9_007_199_254_740_992.0));
        check("0.3000000000000000166", Some(0.3));
        check("1e3", Some(1000.0));
        check("1.7E+09", Some(1.7e9));
        check("5.", Some(5.0));
        check(".5", Some(0.5));
        check("1e-400", Some(0.0));
        for text in [
            "",
            "-",
            "+",
            ".",
            "e5",
            "1e",
            "1.2.3",
            "1,5",
            "1 ",
            " 1",
            "--1",
            "nan",
            "NaN",
            "inf",
            "-Infinity",
            "1e999",
            "-1e400",
            "0x1p3",
        ] {
            check(text, None);
        }
    }

    fn check_micros(text: &str, unit: (u64, u64), expected: Option<u64>) {
        assert_eq!(micros_from_decimal(text, unit.0, unit.1), expected, "{text} of {unit:?}");
    }

    #[test]
    fn micros_of_units() {
        check_micros("12.345", MILLIS, Some(12_345));
        check_micros("0.0123", SECONDS, Some(12_300));
        check_micros("1234567", NANOS, Some(1_235));
        check_micros("7", MICROS, Some(7));
        check_micros("1.5", HOURS, Some(5_400_000_000));
        check_micros("0", SECONDS, Some(0));
        check_micros("-0.0", SECONDS, Some(0));
        check_micros("1.2e-3", SECONDS, Some(1_200));
        check_micros("+1", SECONDS, Some(1_000_000));
        check_micros("2", (1, 3), Some(1));
    }

    #[test]
    fn micros_round_half_up() {
        check_micros("0.4999999999999999999999999999999999999999", MICROS, Some(0));
        check_micros("0.49999", MICROS, Some(0));
        check_micros("0.5", MICROS, Some(1));
        check_micros("1.5", MICROS, Some(2));
        check_micros("2.5", MICROS, Some(3));
        check_micros("1499", NANOS, Some(1));
        check_micros("1500", NANOS, Some(2));
        check_micros("0.0000005", SECONDS, Some(1));
        check_micros("0.00000049999999999999", SECONDS, Some(0));
        check_micros("9007199254740993.5", MICROS, Some(9_007_199_254_740_994));
    }

    #[test]
    fn micros_at_the_edge() {
        check_micros("9223372036854775807", MICROS, Some(i64::MAX as u64));
        check_micros("9223372036854775807.4", MICROS, Some(i64::MAX as u64));
        check_micros("9223372036854.775807", SECONDS, Some(i64::MAX as u64));
        check_micros("9223372036854775807.5", MICROS, None);
        check_micros("9223372036854775808", MICROS, None);
        check_micros("9223372036855", SECONDS, None);
        check_micros("99999999999999999999999999999999999999999999999999", NANOS, None);
        check_micros("1e400", NANOS, None);
        check_micros("1e99999999999999999999999", NANOS, None);
        check_micros("1e-99999999999999999999999", SECONDS, Some(0));
        check_micros("1e-39", SECONDS, Some(0));
        check_micros("0e99999999999999999999999", SECONDS, Some(0));
        check_micros(&format!("0.{}1e100001", "0".repeat(100_000)), SECONDS, Some(1_000_000));
        check_micros(&format!("1{}e-100000", "0".repeat(100_000)), SECONDS, Some(1_000_000));
        for text in [
            "",
            "-1",
            "-0.0000001",
            "NaN",
            "inf",
            "1ms",
            "1,5",
            " 1",
            "1 ",
            ".",
            "e3",
            "1e",
            "1e+",
            "1e1.5",
            "--1",
            "٣",
        ] {
            for unit in [SECONDS, MILLIS, MICROS, NANOS] {
                check_micros(text, unit, None);
            }
        }
        check_micros("1", (0, 1), None);
        check_micros("1", (1, 0), None);
        check_micros("1", (UNIT_MAX + 1, 1), None);
        check_micros("1", (UNIT_MAX, 1), Some(UNIT_MAX));
        check_micros("1e25", (UNIT_MAX, UNIT_MAX), None);
        check_micros("1e18", (UNIT_MAX, UNIT_MAX), Some(1_000_000_000_000_000_000));
    }

    #[test]
    fn decimals_taken_apart() {
        let check = |text: &str, negative, digits, exponent| {
            assert_eq!(Decimal::parse(text), Some(Decimal { negative, digits, exponent }), "{text}");
        };
        check("0012.50", false, 1250, -2);
        check("-1.7e9", true, 17, 8);
        check("1234567890123456789012345678", false, 1_234_567_890_123_456_789_012_345, 3);
        check("0.00000000000000000000000000000000001", false, 1, -35);
        let check = |text: &str, power, expected| {
            assert_eq!(Decimal::parse(text).unwrap().whole_times_power(power), expected, "{text}");
        };
        check("1.999", 0, Some(1));
        check("1.999", 2, Some(199));
        check("1.999", 6, Some(1_999_000));
        check("1999", -3, Some(1));
        check("1e30", 9, None);
        check("1e-50", 9, Some(0));
        check("0e50", 9, Some(0));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3_000, rng_seed: RngSeed::Fixed(17), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn f64_has_the_bits_of_std(text in "-?[0-9]{1,17}(\\.[0-9]{0,12})?([eE][+-]?[0-9]{1,3})?") {
            let expected = text.parse::<f64>().ok().filter(|x| x.is_finite());
            prop_assert_eq!(parse_f64(&text).map(f64::to_bits), expected.map(f64::to_bits));
        }

        #[test]
        fn shown_f64s_come_back(value in any::<f64>()) {
            let expected = Some(value).filter(|x| x.is_finite());
            prop_assert_eq!(parse_f64(&value.to_string()).map(f64::to_bits), expected.map(f64::to_bits));
        }

        #[test]
        fn nanos_come_out_rounded_in_every_unit(nanos in prop_oneof![0..10_000_u64, 0..u64::MAX / 2]) {
            let expected = Some(nanos / 1000 + u64::from(nanos % 1000 >= 500));
            let shifted = |places: u32| {
                let power = 10_u64.pow(places);
                format!("{}.{:02$}", nanos / power, nanos % power, places as usize)
            };
            prop_assert_eq!(micros_from_decimal(&nanos.to_string(), 1, 1000), expected);
            for (places, (numer, denom)) in [(3, MICROS), (6, MILLIS), (9, SECONDS)] {
                let text = shifted(places);
                prop_assert_eq!(micros_from_decimal(&text, numer, denom), expected, "{}", &text);
                prop_assert_eq!(micros_from_decimal(&format!("{text}000"), numer, denom), expected);
                prop_assert_eq!(micros_from_decimal(&format!("00{text}e0"), numer, denom), expected);
                prop_assert_eq!(micros_from_decimal(&format!("{nanos}e-{places}"), numer, denom), expected);
                prop_assert_eq!(micros_from_decimal(&format!("{nanos}{}E-{}", "0".repeat(30), places + 30), numer, denom), expected);
                prop_assert_eq!(micros_from_decimal(&format!("0.{}{nanos:020}e+{}", "0".repeat(9), 29 - places), numer, denom), expected);
            }
        }

        #[test]
        fn any_text_is_answered(text in "\\PC{0,20}|[0-9.eE+-]{0,24}", numer: u64, denom: u64) {
            parse_u64(&text);
            parse_f64(&text);
            micros_from_decimal(&text, numer, denom);
            micros_from_decimal(&text, numer % UNIT_MAX, denom % UNIT_MAX);
        }
    }
}
