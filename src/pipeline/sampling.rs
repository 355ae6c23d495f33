//! How many events a line stands for, as the sampler that kept it says.
//!
//! | field | value | the line stands for |
//! | --- | --- | --- |
//! | `sample_rate`, Honeycomb's `SampleRate`, others | N, at least 1 | N lines: one in N was kept |
//! | the same | p, between 0 and 1; `30%` | 1 / p lines: each was kept with this probability |
//! | Datadog's `_sample_rate` | p, at most 1; `30%` | 1 / p lines; a probability above 1 is none |
//! | OpenTelemetry's `sampling.threshold` of a log record | T, text of 1 to 14 hexadecimal digits | 2^56 / (2^56 - T) lines |
//! | `tracestate` of W3C, entry `ot` | `th:T` | 2^56 / (2^56 - T) lines |
//! | the same, as it was written before `th` | `p:n` | 2^n lines for n up to 62, none for 63 |
//!
//! Sources: OpenTelemetry specification, "TraceState handling" and "TraceState: probability sampling" (digits are lower
//! case, zeros are added behind up to 14 of them); OTEP 168 and 170 for `p`; W3C Trace Context for the list.
//!
//! Whatever else stands there is no rate: the line counts once, and is counted as one whose rate cannot be read.

use crate::event::{WEIGHT_MAX, WEIGHT_ONE};
use crate::pipeline::number;
use crate::pipeline::roles::RateNotation;

/// What a field says of sampling.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rate {
    /// Nothing.
    Silent,
    /// How many events the line stands for, in units of 1 / [`WEIGHT_ONE`].
    Weight(u32),
    /// Something that is no rate.
    Unreadable,
}

/// Bits of an OpenTelemetry threshold.
const THRESHOLD_BITS: u32 = 56;

/// Digits of an OpenTelemetry threshold.
const THRESHOLD_DIGITS: usize = 14;

/// Longest `ot` entry of a trace state, in bytes.
const ENTRY_MAX: usize = 256;

/// Power of two that the old `p` writes for "kept by something else than chance: stands for none".
const P_OF_NONE: u64 = 63;

/// The rate in a field's value; `is_number`: it stands there as a JSON number.
pub fn rate(text: &str, is_number: bool, notation: RateNotation) -> Rate {
    let text = text.trim_ascii();
    if text.is_empty() || text == "-" {
        return Rate::Silent;
    }
    let weight = match notation {
        RateNotation::OneInMany => one_in_many(text),
        RateNotation::Probability => probability(text),
        // A number may be the threshold itself, or what is left of its digits: nobody knows.
        RateNotation::Threshold if is_number => None,
        RateNotation::Threshold => threshold(text),
        RateNotation::TraceState => return trace_state(text),
    };
    weight.map_or(Rate::Unreadable, Rate::Weight)
}

fn one_in_many(text: &str) -> Option<u32> {
    match number::parse_f64(text) {
        Some(rate) if rate >= 1.0 => Some(weight(rate)),
        _ => probability(text),
    }
}

fn probability(text: &str) -> Option<u32> {
    let share = match text.strip_suffix('%') {
        Some(percent) => number::parse_f64(percent.trim_ascii_end())? / 100.0,
        None => number::parse_f64(text)?,
    };
    (share > 0.0 && share <= 1.0).then(|| weight(1.0 / share))
}

/// A weight of at least 1 as fixed point.
fn weight(times: f64) -> u32 {
    (times * f64::from(WEIGHT_ONE)).round().min(f64::from(WEIGHT_MAX)) as u32
}

/// Weight of a rejection threshold, exactly rounded.
fn threshold(digits: &str) -> Option<u32> {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if digits.is_empty() || digits.len() > THRESHOLD_DIGITS || !digits.bytes().all(is_digit) {
        return None;
    }
    let missing = THRESHOLD_DIGITS - digits.len();
    let rejected = u64::from_str_radix(digits, 16).ok()? << (4 * missing);
    let kept = u128::from((1_u64 << THRESHOLD_BITS) - rejected);
    let all = u128::from(WEIGHT_ONE) << THRESHOLD_BITS;
    let weight = (all + kept / 2) / kept;
    Some(u32::try_from(weight).unwrap_or(WEIGHT_MAX).min(WEIGHT_MAX))
}

/// The rate in a W3C trace state: a list of `vendor=value`, of which OpenTelemetry's value is a list of `key:value`.
fn trace_state(text: &str) -> Rate {
    let Ok(entry) = only(text.split(','), "ot", '=') else { return Rate::Unreadable };
    let Some(entry) = entry else { return Rate::Silent };
    if entry.len() > ENTRY_MAX {
        return Rate::Unreadable;
    }
    let (Ok(th), Ok(p)) = (only(entry.split(';'), "th", ':'), only(entry.split(';'), "p", ':')) else {
        return Rate::Unreadable;
    };
    let weight = match (th, p) {
        (Some(digits), _) => threshold(digits),
        (None, Some(power)) => power_of_two(power),
        (None, None) => return Rate::Silent,
    };
    weight.map_or(Rate::Unreadable, Rate::Weight)
}

/// Weight of the old `p`.
fn power_of_two(text: &str) -> Option<u32> {
    match number::parse_u64(text)? {
        P_OF_NONE => Some(0),
        power if power < P_OF_NONE => {
            let weight = u64::from(WEIGHT_ONE)
                .checked_shl(power as u32)
                .filter(|weight| weight >> power == u64::from(WEIGHT_ONE));
            Some(
                weight
                    .and_then(|weight| u32::try_from(weight).ok())
                    .map_or(WEIGHT_MAX, |weight| weight.min(WEIGHT_MAX)),
            )
        }
        _ => None,
    }
}

/// The value of a key in a list in which keys are unique; an error where it is not.
fn only<'a>(list: impl Iterator<Item = &'a str>, key: &str, separator: char) -> Result<Option<&'a str>, ()> {
    let mut found = None;
    for member in list {
        let value = member.trim_ascii().strip_prefix(key).and_then(|rest| rest.strip_prefix(separator));
        if value.is_some() && std::mem::replace(&mut found, value).is_some() {
            return Err(());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    /// How many events a value stands for.
    fn times(text: &str, notation: RateNotation) -> Option<f64> {
        match rate(text, false, notation) {
            Rate::Weight(weight) => Some(f64::from(weight) / f64::from(WEIGHT_ONE)),
            Rate::Silent | Rate::Unreadable => None,
        }
    }

    fn check(notation: RateNotation, cases: &[(&str, f64)]) {
        for (text, expect) in cases {
            let times = times(text, notation).unwrap_or_else(|| panic!("{text}: no rate"));
            assert!((times - expect).abs() <= expect * 1e-3, "{text}: {times} instead of {expect}");
        }
    }

    #[test]
    fn rates_and_probabilities_to_a_thousandth() {
        check(
            RateNotation::OneInMany,
            &[
                ("1", 1.0),
                ("1.0", 1.0),
                ("2", 2.0),
                ("2.5", 2.5),
                ("100", 100.0),
                ("0.3", 10.0 / 3.0),
                ("0.75", 4.0 / 3.0),
                ("0.999", 1.001_001),
                ("0.1", 10.0),
                ("1e-3", 1_000.0),
                ("30%", 10.0 / 3.0),
                ("100 %", 1.0),
                ("0.5%", 200.0),
                ("1e300", 1e6),
                ("1e-300", 1e6),
            ],
        );
        check(RateNotation::Probability, &[("1", 1.0), ("0.3", 10.0 / 3.0), ("30%", 10.0 / 3.0)]);
    }

    #[test]
    fn thresholds_of_the_specification() {
        // Its own examples: 100 %, 25 %, 75 %, 96.875 %, and 1 % with five digits.
        let cases = [("0", 1.0), ("c", 4.0), ("4", 4.0 / 3.0), ("08", 1.0 / 0.968_75), ("fd70a4", 100.0)];
        check(RateNotation::Threshold, &cases);
        check(RateNotation::Threshold, &[("00000000000000", 1.0), ("c0000000000000", 4.0), ("ffffffffffffff", 1e6)]);
        let states = cases.map(|(digits, expect)| (format!("ot=th:{digits}"), expect));
        let states = states.each_ref().map(|(text, expect)| (text.as_str(), *expect));
        check(RateNotation::TraceState, &states);
        check(
            RateNotation::TraceState,
            &[
                ("ot=rv:6e6d1a75832a2f;th:8", 2.0),
                ("congo=t61rcWkgMzE, ot=th:8;rv:6e6d1a75832a2f ,rojo=00f067aa0ba902b7", 2.0),
                ("ot=p:3;r:62", 8.0),
                ("ot=p:0;r:62", 1.0),
                ("ot=p:62;r:62", 1e6),
                ("ot=p:20;r:62", 1e6),
                ("ot=p:3;th:c", 4.0),
            ],
        );
        assert_eq!(rate("ot=p:63", false, RateNotation::TraceState), Rate::Weight(0));
    }

    #[test]
    fn what_is_no_rate_is_none() {
        use RateNotation::{OneInMany, Probability, Threshold, TraceState};
        for (notation, text) in [
            (OneInMany, "0"),
            (OneInMany, "-2"),
            (OneInMany, "often"),
            (OneInMany, "NaN"),
            (OneInMany, "inf"),
            (OneInMany, "0%"),
            (OneInMany, "130%"),
            (OneInMany, "%"),
            (Probability, "2"),
            (Probability, "0"),
            (Threshold, "C"),
            (Threshold, "0xc"),
            (Threshold, "c00000000000000"),
            (Threshold, "+c"),
            (Threshold, "g"),
            (TraceState, "ot=th:"),
            (TraceState, "ot=th:C"),
            (TraceState, "ot=th:123456789012345"),
            (TraceState, "ot=th:8;th:c"),
            (TraceState, "ot=th:8,ot=th:c"),
            (TraceState, "ot=th:zz;p:3"),
            (TraceState, "ot=p:64"),
            (TraceState, "ot=p:-1"),
        ] {
            assert_eq!(rate(text, false, notation), Rate::Unreadable, "{notation:?} {text}");
        }
        let long = format!("ot=th:8;x:{}", "a".repeat(256));
        assert_eq!(rate(&long, false, TraceState), Rate::Unreadable);
        assert_eq!(rate("8", true, Threshold), Rate::Unreadable, "a number");
        for (notation, text) in [
            (OneInMany, ""),
            (OneInMany, "-"),
            (TraceState, "[]"),
            (TraceState, "congo=t61rcWkgMzE"),
            (TraceState, "ot=rv:6e6d1a75832a2f"),
            (TraceState, "tenant@ot=th:8"),
            (TraceState, "note=th:8"),
            (TraceState, "ot:th=8"),
        ] {
            assert_eq!(rate(text, false, notation), Rate::Silent, "{notation:?} {text}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3_000, rng_seed: RngSeed::Fixed(235), failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_text_is_answered_within_the_bound(
            text in "\\PC{0,40}|[0-9a-f.%e+-]{0,20}|(ot=|a=)?((th|p|rv):[0-9a-f]{0,16}[;,]?){0,4}(ot=th:[0-9a-f]{0,15})?",
            is_number in any::<bool>(),
        ) {
            for notation in [RateNotation::OneInMany, RateNotation::Probability, RateNotation::Threshold, RateNotation::TraceState] {
                if let Rate::Weight(weight) = rate(&text, is_number, notation) {
                    prop_assert!(weight <= WEIGHT_MAX);
                    prop_assert!(weight >= WEIGHT_ONE || notation == RateNotation::TraceState);
                }
            }
        }

        /// Zeros behind change nothing, and what is rejected and what is kept make up the whole.
        #[test]
        fn thresholds_weigh_what_their_probability_says(digits in "[0-9a-f]{1,14}") {
            let padded = format!("{digits:0<14}");
            let rejected = u64::from_str_radix(&padded, 16).unwrap() as f64 / (1_u64 << 56) as f64;
            let expect = (1.0 / (1.0 - rejected)).min(1e6);
            let times = times(&digits, RateNotation::Threshold).unwrap();
            prop_assert!((times - expect).abs() <= expect * 2e-4, "{} {}", times, expect);
            prop_assert_eq!(rate(&digits, false, RateNotation::Threshold), rate(&padded, false, RateNotation::Threshold));
        }
    }
}
