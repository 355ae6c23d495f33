//! Every notation, and what is none.

use super::*;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

fn check(text: &str, expected: &str) {
    let mut clock = Clock::default();
    assert_eq!(clock.parse_time(text), parse_time(text));
    assert_eq!(clock.parse_time(text), parse_time(text), "with its minute known: {text}");
    match parse_time(text) {
        Ok(time) => assert_eq!(time.to_string(), expected, "{text}"),
        Err(error) => panic!("{text}: {error}"),
    }
}

fn refused(text: &str, expected: TimeError) {
    let mut clock = Clock::default();
    assert_eq!((clock.parse_time(text), clock.parse_time(text)), (Err(expected), Err(expected)), "{text}");
    assert_eq!(parse_time(text), Err(expected), "{text}");
}

#[test]
fn iso_8601_and_rfc_3339() {
    check("2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z");
    check("2026-11-24T10:00:00.1Z", "2026-11-24T10:00:00.100Z");
    check("2026-11-24T10:00:00.123Z", "2026-11-24T10:00:00.123Z");
    check("2026-11-24T10:00:00.123456Z", "2026-11-24T10:00:00.123456Z");
    check("2026-11-24T23:59:59.999999999Z", "2026-11-24T23:59:59.999999Z");
    check("2026-11-24T10:00:00.000000999999999999999999Z", "2026-11-24T10:00:00Z");
    check("2026-11-24t10:00:00z", "2026-11-24T10:00:00Z");
    check("2026-11-24 10:00:00Z", "2026-11-24T10:00:00Z");
    check("2026-11-24 10:00:00,123", "2026-11-24T10:00:00.123Z");
    check("2026-11-24 10:00:00", "2026-11-24T10:00:00Z");
    check("2026-11-24T10:00:00", "2026-11-24T10:00:00Z");
    check("2026-11-24T10:00:00.5", "2026-11-24T10:00:00.500Z");
    check("2026-11-24T10:00Z", "2026-11-24T10:00:00Z");
    check("2026-11-24T10:00+02", "2026-11-24T08:00:00Z");
    check("20261124T100000Z", "2026-11-24T10:00:00Z");
    check("20261124T100000.25+0100", "2026-11-24T09:00:00.250Z");
    check("20261124T1000Z", "2026-11-24T10:00:00Z");
    check("  2026-11-24T10:00:00Z\r\n", "2026-11-24T10:00:00Z");
}

#[test]
fn zones() {
    check("2026-11-24T10:00:00+01:00", "2026-11-24T09:00:00Z");
    check("2026-11-24T10:00:00.5+0130", "2026-11-24T08:30:00.500Z");
    check("2026-11-24T10:00:00+01", "2026-11-24T09:00:00Z");
    check("2026-11-24T10:00:00-05:30", "2026-11-24T15:30:00Z");
    check("2026-11-24T10:00:00-00:00", "2026-11-24T10:00:00Z");
    check("2026-11-24 10:00:00 +0100", "2026-11-24T09:00:00Z");
    check("2026-11-24 10:00:00.123 UTC", "2026-11-24T10:00:00.123Z");
    check("2026-11-24 10:00:00 GMT", "2026-11-24T10:00:00Z");
    check("2027-01-01T00:30:00+23:59", "2026-12-31T00:31:00Z");
    check("2026-12-31T23:30:00-01:00", "2027-01-01T00:30:00Z");
    for zone in [
        "+24:00", "+01:60", "+1", "+1:00", "+", "+01:", "+01:0", "+010", "+01000", "CEST", "ZZ", "Z Z", "Z+01:00", " ",
        "é",
    ] {
        if zone.trim().is_empty() {
            check(&format!("2026-11-24T10:00:00{zone}"), "2026-11-24T10:00:00Z");
        } else {
            refused(&format!("2026-11-24T10:00:00{zone}"), TimeError::NotATime);
        }
    }
}

#[test]
fn slashes_and_common_log_format() {
    check("2026/11/24 10:00:00", "2026-11-24T10:00:00Z");
    check("2026/11/24 10:00:00.250", "2026-11-24T10:00:00.250Z");
    check("17/May/2015:10:05:00 +0000", "2015-05-17T10:05:00Z");
    check("[17/May/2015:10:05:00 +0000]", "2015-05-17T10:05:00Z");
    check("[2026-11-24T10:00:00Z]", "2026-11-24T10:00:00Z");
    check("01/jan/2026:00:00:00 -0830", "2026-01-01T08:30:00Z");
    check("31/DEC/2026:23:59:59.999 +0000", "2026-12-31T23:59:59.999Z");
    check("17/May/2015:10:05:00", "2015-05-17T10:05:00Z");
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    for (number, name) in (1..).zip(months) {
        check(&format!("28/{name}/2020:01:02:03 +0000"), &format!("2020-{number:02}-28T01:02:03Z"));
    }
    for text in [
        "17/Mai/2015:10:05:00 +0000",
        "17/May-2015:10:05:00 +0000",
        "017/May/2015:10:05:00 +0000",
        "/May/2015:10:05:00 +0000",
        "17/May/15:10:05:00 +0000",
        "31/Jun/2015:10:05:00 +0000",
        "[17/May/2015:10:05:00 +0000",
        "17/05/2015:10:05:00 +0000",
        "2026/11-24 10:00:00",
        "2026-11/24 10:00:00",
        "[]",
        "[",
        "]",
    ] {
        refused(text, TimeError::NotATime);
    }
}

#[test]
fn months_by_name() {
    check("17/May/2015 10:05:00", "2015-05-17T10:05:00Z");
    check("7/May/2015:10:05:00 +0000", "2015-05-07T10:05:00Z");
    check("17-May-2015 10:05:00 UTC", "2015-05-17T10:05:00Z");
    check("20 Nov 2026 10:00:00.123", "2026-11-20T10:00:00.123Z");
    check("Fri, 20 Nov 2026 10:00:00 GMT", "2026-11-20T10:00:00Z");
    check("Fri, 20 Nov 2026 10:00:00 +0100", "2026-11-20T09:00:00Z");
    check("Sun, 1 Nov 2026 10:00:00 GMT", "2026-11-01T10:00:00Z");
    check("Fri Nov 20 10:00:00 2026", "2026-11-20T10:00:00Z");
    check("Sun Nov  1 10:00:00 2026", "2026-11-01T10:00:00Z");
    check("Fri Nov 20 10:00:00.123456 2026", "2026-11-20T10:00:00.123456Z");
    check("Fri Nov 20 10:00:00 UTC 2026", "2026-11-20T10:00:00Z");
    check("Nov 20, 2026 10:00:00 AM", "2026-11-20T10:00:00Z");
    check("Nov 20, 2026 1:00:00 PM", "2026-11-20T13:00:00Z");
    check("Nov 20, 2026, 12:00:00\u{202f}AM", "2026-11-20T00:00:00Z");
    check("Nov 20, 2026 12:30:00 PM", "2026-11-20T12:30:00Z");
    check("Nov 20 2026 10:00:00", "2026-11-20T10:00:00Z");
    for text in [
        "Fri Nov 20 10:00:00 EST 2026",
        "Fri Nov 20 10:00:00 CET 2026",
        "Fri, Nov 20 10:00:00 2026",
        "Nov 20, 2026 13:00:00 PM",
        "Nov 20, 2026 0:00:00 AM",
        "Nov 20, 2026 1:00:00",
        "Nov 20, 2026 1:00:00 XM",
        "20 Nov 2026 1:00:00",
        "20 Nov 2026",
        "Fri, Fri, 20 Nov 2026 10:00:00 GMT",
    ] {
        refused(text, TimeError::NotATime);
    }
}

#[test]
fn what_languages_add() {
    check("2026-11-24T10:00:00.5+01:00[Europe/Berlin]", "2026-11-24T09:00:00.500Z");
    check("2026-11-24T10:00Z[UTC]", "2026-11-24T10:00:00Z");
    check("2026-11-24 10:00:00.5 +0100 CET m=+0.012345", "2026-11-24T09:00:00.500Z");
    check("2026-11-24 10:00:00 +0000 UTC", "2026-11-24T10:00:00Z");
    check("2026.11.24 10:00:00.123456", "2026-11-24T10:00:00.123456Z");
    check("20261124 10:00:00.25", "2026-11-24T10:00:00.250Z");
    check("/Date(1700000000123)/", "2023-11-14T22:13:20.123Z");
    check("/Date(1700000000123+0100)/", "2023-11-14T22:13:20.123Z");
    for text in [
        "2026-11-24T10:00:00[Europe/Berlin]",
        "2026-11-24T10:00:00+01:00[Europe/Berlin",
        "2026-11-24T10:00:00+01:00[]",
        "2026-11-24 10:00:00 CET",
        "2026.11-24 10:00:00",
        "/Date()/",
        "/Date(x)/",
        "/Date(1700000000123",
    ] {
        refused(text, TimeError::NotATime);
    }
    refused("/Date(-1)/", TimeError::OutOfRange);
}

#[test]
fn a_time_before_a_text() {
    for (text, time) in [
        ("2026-11-24T10:00:00Z up", "2026-11-24T10:00:00Z"),
        ("2026-11-24 10:00:00,123 - shop - up", "2026-11-24 10:00:00,123"),
        ("2026-11-24 10:00:00 +0200 INFO up", "2026-11-24 10:00:00 +0200"),
        ("2026-11-24 10:00:00.5+02 up", "2026-11-24 10:00:00.5+02"),
        ("2026-11-24 10:00:00 -12 errors", "2026-11-24 10:00:00"),
        ("2026-11-24 10:00:00: up", "2026-11-24 10:00:00"),
        ("2026-11-24 10:00:00.1234|INFO|Shop|up", "2026-11-24 10:00:00.1234"),
        ("2026-11-24 10:00:00 UTC [7] up", "2026-11-24 10:00:00 UTC"),
        ("2026-11-24T10:00:00.5+01:00[Europe/Berlin] up", "2026-11-24T10:00:00.5+01:00[Europe/Berlin]"),
        ("2026-11-24 10:00:00 +0200 CEST [7]", "2026-11-24 10:00:00 +0200 CEST"),
        ("Nov 20, 2026 1:00:00 PM com.example.Shop pay", "Nov 20, 2026 1:00:00 PM"),
        ("20 Nov 2026 10:00:00.123 * Ready", "20 Nov 2026 10:00:00.123"),
        ("Fri Nov 20 10:00:00.123456 2026] [core:error] up", "Fri Nov 20 10:00:00.123456 2026"),
        ("2026-11-24T10:00:00Z", "2026-11-24T10:00:00Z"),
    ] {
        let expect = Some((time, text.strip_prefix(time).unwrap()));
        assert_eq!(time_before(text), expect, "{text}");
        assert!(parse_time(time).is_ok(), "{text}");
    }
    for text in
        ["up", "", "1700000000 up", "2026-11-24 10:00:00x", "2026-11-24 10:00:00 CEST up", "2026-11-24", "10:00:00 up"]
    {
        assert_eq!(time_before(text), None, "{text}");
    }
}

#[test]
fn numbers_since_1970() {
    for text in [
        "1700000000",
        "1700000000000",
        "1700000000000000",
        "1700000000000000000",
        "1.7e9",
        "1.7E+09",
        "1.7e12",
        "17e8",
        "1700000000.0",
        "1700000000.0000009",
        "1700000000000.0009",
        "1700000000000000999",
        "+1700000000",
        "01700000000",
        "1700000000.",
    ] {
        check(text, "2023-11-14T22:13:20Z");
    }
    check("1700000000.123456789", "2023-11-14T22:13:20.123456Z");
    check("1700000000123.456", "2023-11-14T22:13:20.123456Z");
    check("1.700000000123456e9", "2023-11-14T22:13:20.123456Z");
    check("1.7000000001234567e+09", "2023-11-14T22:13:20.123456Z");
    // The first and the last of each unit.
    for (first, last) in [
        ("315532800", "7258118399.999999"),
        ("315532800000", "7258118399999.999"),
        ("315532800000000", "7258118399999999"),
        ("315532800000000000", "7258118399999999999"),
    ] {
        check(first, "1980-01-01T00:00:00Z");
        check(last, "2199-12-31T23:59:59.999999Z");
    }
    for text in [
        "0",
        "1",
        "-1",
        "-0",
        "20261124",
        "315532799",
        "315532799.999999",
        "7258118400",
        "99999999999",
        "315532799999",
        "7258118400000",
        "315532799999999",
        "7258118400000000",
        "315532799999999999",
        "7258118400000000000",
        "18446744073709551615",
        "-1700000000",
        "1e40",
        "1e400",
        "1e999999999999",
        "1e-5",
        "1e-999999999999",
        "99999999999999999999999999999999999999999999",
    ] {
        refused(text, TimeError::OutOfRange);
    }
    for text in [
        "",
        ".",
        "-",
        "e9",
        "1.7e",
        "1.7e+",
        "1.7.0",
        "1-7",
        "1700000000s",
        "0x6553f100",
        "NaN",
        "inf",
        "1,700,000,000",
        "１７",
    ] {
        refused(text, TimeError::NotATime);
    }
}

#[test]
fn numbers_of_a_known_unit() {
    let check = |text: &str, unit, expected: &str| {
        assert_eq!(parse_epoch(text, Some(unit)).map(|time| time.to_string()).as_deref(), Ok(expected), "{text}");
    };
    check("1700000000.5", EpochUnit::Seconds, "2023-11-14T22:13:20.500Z");
    check("1700000000000.5", EpochUnit::Millis, "2023-11-14T22:13:20.000500Z");
    check("1.7e15", EpochUnit::Micros, "2023-11-14T22:13:20Z");
    check("1700000000000001999", EpochUnit::Nanos, "2023-11-14T22:13:20.000001Z");
    assert_eq!(parse_epoch("1700000000", Some(EpochUnit::Millis)), Err(TimeError::OutOfRange));
    assert_eq!(parse_epoch("1700000000000", Some(EpochUnit::Seconds)), Err(TimeError::OutOfRange));
    assert_eq!(parse_epoch("x", Some(EpochUnit::Seconds)), Err(TimeError::NotATime));
    assert_eq!(parse_epoch("2026-11-24T10:00:00Z", None), Err(TimeError::NotATime));
}

#[test]
fn leap_seconds_stay_in_their_minute() {
    check("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z");
    check("2016-12-31T23:59:60.5Z", "2016-12-31T23:59:59.999999Z");
    check("2017-01-01T08:59:60+09:00", "2016-12-31T23:59:59.999999Z");
    check("31/Dec/2016:23:59:60 +0000", "2016-12-31T23:59:59.999999Z");
    refused("2016-12-31T23:59:61Z", TimeError::NotATime);
}

#[test]
fn what_does_not_exist() {
    for date in
        ["2026-02-30", "2026-02-29", "2100-02-29", "2026-04-31", "2026-00-10", "2026-13-01", "2026-01-00", "2026-01-32"]
    {
        refused(&format!("{date}T10:00:00Z"), TimeError::NotATime);
        refused(&format!("{date} 10:00:00"), TimeError::NotATime);
    }
    for time in [
        "24:00:00",
        "10:60:00",
        "10:00:61",
        "10:00:00.",
        "10:00:",
        "10:0:00",
        "10",
        "1:00:00",
        "-1:00:00",
        "10:00:0x",
        "10.00.00",
        "",
    ] {
        refused(&format!("2026-11-24T{time}Z"), TimeError::NotATime);
    }
    check("2024-02-29T10:00:00Z", "2024-02-29T10:00:00Z");
    check("2000-02-29T10:00:00Z", "2000-02-29T10:00:00Z");
    for text in [
        "now",
        "2026-11-24",
        "10:00:00",
        "2026-11-24T10:00:00Zx",
        "x2026-11-24T10:00:00Z",
        "2026-11-24_10:00:00Z",
        "2026-1124T10:00:00Z",
        "26-11-24T10:00:00Z",
        "+12026-11-24T10:00:00Z",
        "٢٠٢٦-11-24T10:00:00Z",
        "2026-11-24T10:00:00\0",
        "Mon Nov 24 10:00:00",
        "Mon Nov 24 2026 10:00:00",
        "Mon Nov 32 10:00:00 2026",
    ] {
        refused(text, TimeError::NotATime);
    }
}

#[test]
fn the_range_of_years() {
    check("1980-01-01T00:00:00Z", "1980-01-01T00:00:00Z");
    check("2199-12-31T23:59:59.999999Z", "2199-12-31T23:59:59.999999Z");
    check("2200-01-01T00:00:00+01:00", "2199-12-31T23:00:00Z");
    for text in [
        "1979-12-31T23:59:59.999999Z",
        "2200-01-01T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "1970-01-01T00:00:00Z",
        "01/Jan/0001:00:00:00 +0000",
        "1980-01-01T00:00:00+00:01",
        "9999-12-31T23:59:59.9-23:59",
    ] {
        refused(text, TimeError::OutOfRange);
    }
    refused("0001-02-30T00:00:00Z", TimeError::NotATime);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, rng_seed: RngSeed::Fixed(1980), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_notation_gives_the_time_back(micros in EARLIEST + DAY..LATEST - DAY, offset in -23 * 60 - 59..24 * 60_i64, whole: bool) {
        let micros = if whole { micros - micros % SECOND } else { micros };
        let time = Ok(Timestamp(micros));
        let shown = Timestamp(micros).to_string();
        prop_assert_eq!(parse_time(&shown), time);
        prop_assert_eq!(parse_any(&shown), Ok(Read::Utc(micros)));
        prop_assert_eq!(parse_time(&shown.replace('T', " ").replace('Z', "")), time);
        prop_assert_eq!(parse_time(&shown.replace('-', "/").replace('T', " ").replace('.', ",")), time);
        prop_assert_eq!(parse_time(&shown.replace(['-', ':'], "")), time);
        let local = Timestamp(micros + offset * MINUTE).to_string();
        let sign = if offset < 0 { '-' } else { '+' };
        let (hours, minutes) = (offset.abs() / 60, offset.abs() % 60);
        prop_assert_eq!(parse_time(&local.replace('Z', &format!("{sign}{hours:02}:{minutes:02}"))), time);
        prop_assert_eq!(parse_time(&local.replace('Z', &format!(" {sign}{hours:02}{minutes:02}"))), time);
        // A clock that knows its zone reads the same without it, and leaves alone what names one.
        let Ok(zone) = Zone::parse(&format!("{sign}{:02}:{minutes:02}", hours % 18)) else { return Ok(()) };
        let mut clock = Clock::within(None, zone.clone());
        let ahead = offset.signum() * ((hours % 18) * 60 + minutes) * MINUTE;
        let unzoned = Timestamp(micros + ahead).to_string().replace('Z', "");
        prop_assert_eq!((clock.parse_time(&unzoned), clock.named_zone()), (time, false));
        prop_assert_eq!((clock.parse_time(&shown), clock.named_zone()), (time, true));
        prop_assert_eq!((clock.parse_time(&unzoned.replace('T', " ")), clock.named_zone()), (time, false));
        prop_assert_eq!((clock.parse_time(&format!("{second}.{in_second:06}", second = micros / SECOND, in_second = micros % SECOND)), clock.named_zone()), (time, true));
        let (second, in_second) = (micros / SECOND, micros % SECOND);
        prop_assert_eq!(parse_time(&format!("{second}.{in_second:06}")), time);
        prop_assert_eq!(parse_time(&format!("{}.{:03}", micros / 1000, micros % 1000)), time);
        prop_assert_eq!(parse_time(&micros.to_string()), time);
        // As many tenths of microseconds since the year 1 are of our time.
        if !TICKS.contains(&(micros as u128 * 1_000)) {
            prop_assert_eq!(parse_time(&format!("{micros}999")), time);
        }
        let ticks = (micros + TICKS_TO_1970) as u128 * 10 + 7;
        if TICKS.contains(&ticks) {
            prop_assert_eq!(parse_time(&ticks.to_string()), time);
        }
        prop_assert_eq!(parse_time(&format!("{micros}e-6")), time);
    }

    #[test]
    fn the_short_way_and_the_long_way_agree(
        year in 1970..2210_u32, month in 0..14_u32, day in 0..33_u32, hour in 0..26_u32, minute in 0..62_u32, second in 0..63_u32,
        fraction in "|\\.[0-9]{0,12}", zone in "Z|z|",
    ) {
        let text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}{zone}");
        prop_assert_eq!(parse_time(&text), parse_any(&text).and_then(|read| in_range(read.to_utc(&Zone::default()))));
    }

    #[test]
    fn any_text_is_answered(text in "\\PC{0,40}|[0-9TtZz:./, +\\[\\]eE-]{0,40}", at in 0..40_usize, c: char) {
        let mut damaged: Vec<char> = "[2026-11-24T10:00:00.123456+01:00]".chars().collect();
        damaged.insert(at.min(damaged.len()), c);
        let damaged: String = damaged.into_iter().collect();
        for text in [&text, &damaged] {
            parse_time(text).ok();
            for unit in [EpochUnit::Seconds, EpochUnit::Millis, EpochUnit::Micros, EpochUnit::Nanos] {
                parse_epoch(text, Some(unit)).ok();
            }
        }
    }
}
