//! The scanner against `serde_json`, on hand-made, generated and mutated lines.

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
    for line in ["{}", " {\t}\r\n", r#"{"a":1}"#, r#"{"":0}"#, r#"{"a":{}}"#, r#"{"a":[[],[{}]]}"#, r#"{"a":[1 , 2]}"#]
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
    let line =
        r#"{"ts":"2026-11-24T10:00:00Z","n":-1.25e3,"ok":true, "é": {"a":[null,"\ud83d\ude00"]},"msg":"say \"hi\""}"#;
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
