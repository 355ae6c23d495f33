//! Damaged input for every decoder: lines, bodies and records that are cut, doubled, spliced and flipped, from printed seeds. Nothing
//! ends the program, what one reading takes another takes, and what is taken out of lines stays out.
//!
//! `SERIN_SECONDS=600 cargo test --release --test mutations` goes on for ten minutes with each decoder; `SERIN_SEED=N` begins elsewhere.

mod common;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use common::{Random, Traffic};
use serin::pipeline::decode::fields::FieldReader;
use serin::pipeline::decode::{Decoded, Decoder};
use serin::pipeline::plan::Plan;
use serin::pipeline::prepare::redact::Looks;
use serin::pipeline::prepare::{Key, LinePattern, Preparation, Preparer, Redact, Rule, Stage, Words};
use serin::pipeline::survey::{Head, Wishes, survey};
use serin::pipeline::{access, clock, json, shape, template};
use serin::query::Query;
use serin::source::dialect::message::{Envelope, Format, Messages};
use serin::source::dialect::otlp::Notation;
use serin::source::dialect::{bulk, loki};

/// Damaged inputs of each decoder, where no time is given.
const ROUNDS: u64 = 4_000;

/// Lines of many forms.
fn seeds() -> Vec<String> {
    let mut lines: Vec<String> = [
        r#"{"ts":"2026-06-01T10:00:00Z","level":"error","msg":"no \"stock\" \u00e9","service":"shop","version":"1.5.0","user_id":"ann","status":503,"latency_ms":12.5,"a":{"b":[1,{"c":null}]}}"#,
        r#"10.0.0.7 - ann [01/Jun/2026:10:00:00 +0000] "GET /cart?id=7 HTTP/1.1" 503 5 "-" "curl/8.5.0" rt=0.120 "10.0.0.8""#,
        r#"2026-06-01T10:00:00Z stdout F {"status":200,"path":"/cart"}"#,
        r#"{"log":"{\"status\":200}\n","stream":"stdout","time":"2026-06-01T10:00:00.5Z"}"#,
        r#"[pod/shop-6d9f7c5b8-x2x4z/app] time="2026-06-01T10:00:00Z" level=error msg="no stock" user=ann"#,
        "<11>1 2026-06-01T10:00:00Z web-1 shop 77 - [a@1 b=\"c\"] no stock",
        "shop-1  | 2026-06-01 10:00:00,123 - shop - ERROR - gone a=1 b=\"x y\"",
        "2026-06-01T10:00:00.000Z  INFO 1 --- [shop] [nio-8080-exec-1] c.e.Shop : done status=200",
        "I, [2026-06-01T10:00:00.000000 #77]  INFO -- : done took=1.5ms",
        "2026/06/01 10:00:00 [error] 31#31: *7 connect() failed (111: Connection refused), client: 10.0.0.7",
        r#"{"labels":{"app":"shop"},"line":"level=info status=200","timestamp":"2026-06-01T10:00:00Z"}"#,
        r#"{"__REALTIME_TIMESTAMP":"1780308000000000","MESSAGE":"slow","PRIORITY":"4","_HOSTNAME":"a"}"#,
        r#"{"topic":"t","partition":0,"offset":1,"ts":1780308000000,"key":"k","payload":"{\"status\":200}"}"#,
        r#"{"_index":"logs","_source":{"@timestamp":"2026-06-01T10:00:00Z","status":200}}"#,
        "java.lang.IllegalStateException: no stock\n\tat a.b.C.d(C.java:7)\nCaused by: x",
        "Traceback (most recent call last):\n  File \"a.py\", line 7, in f\nValueError: x",
        "Jun 01, 2026 10:00:00 AM shop.Cart add\nSEVERE: gone\n\tat a.b.C.d(C.java:7)",
        "2026-06-01T10:00:00.5Z /app/shop.js:12\n2026-06-01T10:00:00.5Z     throw new Error('x')",
        r#"shop-6d9f7c5b8-x2x4z shop 10.0.0.7 - ann [01/Jun/2026 10:00:00] "GET http://a/cart HTTP/1.1" 200 5 "-" "x" 3.2 ms"#,
        "1780308000.123    345 10.0.0.7 TCP_MISS/200 4512 GET http://a/cart ann HIER_DIRECT/10.0.0.9 text/html",
        "[pid: 7|app: 0|req: 1/1] 10.0.0.7 () {3 vars in 5 bytes} [Mon Jun  1 10:00:00 2026] GET /cart => generated 5 bytes in 12 msecs (HTTP/1.1 200) 2",
        r#"2026-06-01T10:00:00Z {app="shop", pod="a"} [10:00:47 ERR] HTTP GET /cart responded 500 in 9.5 ms"#,
        "2026-06-01 10:00:00.1234|ERROR|Shop.Cart|gone {\"user\": \"ann\"} []",
        r#"{"time":"2026-06-01T10:00:00Z","type":"platform.report","record":{"requestId":"a","metrics":{"durationMs":3.5},"status":"error"}}"#,
        "1:M 01 Jun 2026 10:00:00.123 * Ready after PT0.7S and 00:00:00.0441234",
        r#"2026/06/01 10:00:00 "GET http://a/cart HTTP/1.1" from 10.0.0.7:5 - 500 11B in 12.3µs"#,
    ]
    .map(str::to_owned)
    .to_vec();
    let traffic = Traffic { requests: 40, users: 9, spans: true, retries: true, ..Traffic::default() };
    lines.extend(traffic.lines().iter().map(common::Line::text));
    lines
}

/// Pieces that decoders stumble over.
const PIECES: [&str; 26] = [
    "\"",
    "\\",
    "{",
    "}",
    "[",
    "]",
    "\\u",
    "\\ud800",
    "\u{0}",
    "\u{feff}",
    "\u{202e}",
    "\x1b[31m",
    "\n",
    "\r\n",
    "\t",
    "=",
    ":",
    ",",
    "-",
    "1e999",
    "99999999999999999999",
    "<*>",
    "${x}",
    "💥",
    "a@b.de",
    "4111111111111111",
];

fn damaged(random: &mut Random, from: &[Vec<u8>]) -> Vec<u8> {
    let pick = |random: &mut Random| from[random.below(from.len() as u64) as usize].clone();
    let mut bytes = pick(random);
    for _ in 0..=random.below(4) {
        let at = random.below(bytes.len() as u64 + 1) as usize;
        let until = (at + random.below(24) as usize).min(bytes.len());
        match random.below(8) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..until)),
            2 => drop(bytes.splice(at..at, PIECES[random.below(PIECES.len() as u64) as usize].bytes())),
            3 if at < bytes.len() => bytes[at] ^= 1 << random.below(8),
            4 => {
                let part = bytes[at..until].to_vec();
                let times = 1 + random.below(20) as usize;
                drop(bytes.splice(at..at, part.repeat(times)));
            }
            5 => {
                let other = pick(random);
                let from = random.below(other.len() as u64 + 1) as usize;
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
            6 => drop(bytes.splice(at..at, b"{\"a\":".repeat(random.below(200) as usize))),
            _ => bytes.push(random.below(256) as u8),
        }
    }
    bytes.truncate(1 << 16);
    bytes
}

/// Calls `see` with damaged input, for the time that is given or so many rounds.
fn each(name: &str, from: &[Vec<u8>], mut see: impl FnMut(&[u8])) {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let seed = number("SERIN_SEED").unwrap_or(20_260_601);
    let until = number("SERIN_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    println!("{name}: SERIN_SEED={seed}");
    let mut random = Random::new(seed ^ name.len() as u64);
    let mut rounds = 0;
    while until.map_or(rounds < ROUNDS, |until| rounds % 64 != 0 || Instant::now() < until) {
        rounds += 1;
        see(&damaged(&mut random, from));
    }
    println!("{name}: {rounds} damaged inputs");
}

fn bytes(lines: &[String]) -> Vec<Vec<u8>> {
    lines.iter().map(|line| line.clone().into_bytes()).collect()
}

fn plan(preparation: Preparation) -> Plan {
    let lines = seeds();
    let head = Head { stream: "a", lines: lines.iter().map(String::as_str).collect() };
    survey(&[head], &Wishes { preparation, ..Wishes::default() }).plan
}

#[test]
fn lines() {
    let plan = plan(Preparation::default());
    let mut decoder = Decoder::new(&plan, "a");
    let mut reader = FieldReader::default();
    let mut offset = 0;
    each("lines", &bytes(&seeds()), |bytes| {
        // A mark is one only at the start of a stream, which a search does not know.
        let Some(text) = std::str::from_utf8(bytes).ok().filter(|text| !text.starts_with('\u{feff}')) else { return };
        offset += 1;
        let decoded = decoder.decode(text, offset);
        // By itself a line is what it is among others.
        let again = Decoder::new(&plan, "a").decode(text, offset);
        assert_eq!(decoded.map(is_event), again.map(is_event), "{text:?}");
        // What decoding calls an event has fields for a search, and what has none is no event.
        let fields = reader.read(text).map(|fields| fields.len());
        match (decoded, fields) {
            (Ok(_), fields) => assert!(fields.is_ok(), "{text:?}"),
            (Err(decoded), Err(read)) => assert_eq!(decoded, read, "{text:?}"),
            (Err(_), Ok(_)) => {}
        }
        decoder.begin_chunk();
    });
}

fn is_event(decoded: Decoded) -> bool {
    matches!(decoded, Decoded::Event(_))
}

#[test]
fn objects() {
    each("objects", &bytes(&seeds()), |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let scanned = json::scan_object(text, &mut |_, _| {}).is_ok();
        let parsed = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok();
        assert_eq!(scanned, parsed, "{text:?}");
    });
}

#[test]
fn access_logs_and_times() {
    each("access logs and times", &bytes(&seeds()), |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        if let Some(parts) = access::parse_access(text) {
            assert!(text.contains(parts.time) && text.contains(parts.client));
        }
        for word in text.split(['"', ' ', '[', ']']).chain([text]) {
            if let Ok(time) = clock::parse_time(word) {
                assert!(clock::is_in_range(time), "{word:?}");
            }
        }
    });
}

#[test]
fn templates() {
    each("templates", &bytes(&seeds()), |bytes| {
        let mut canonical = template::Canonical::default();
        for writer in [template::Writer::Message, template::Writer::Producer] {
            canonical.mask(bytes, writer);
            let once = canonical.text().to_vec();
            // What stands for a value may be longer than it.
            assert!(once.len() <= 3 * bytes.len() + 64, "{bytes:?}");
            assert_eq!(template::mask(bytes, writer), once);
        }
        canonical.add_stack(&String::from_utf8_lossy(bytes));
    });
}

#[test]
fn queries() {
    let texts = [
        "status:>=500 AND (version:1.5* OR NOT _exists_:user)",
        "\"a b\"~ -c:[1 TO 5}",
        "took:<50ms file:a*",
        "message:/a.*b/",
    ];
    let from: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).chain(bytes(&seeds())).collect();
    each("queries", &from, |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        if let Ok(query) = Query::parse(text) {
            let canonical = query.to_string();
            let again = Query::parse(&canonical);
            // Unless it became longer than a query may be.
            if let Ok(again) = again {
                assert_eq!(again.to_string(), canonical, "{text:?}");
            } else {
                assert!(canonical.len() > text.len(), "{text:?} {canonical:?}");
            }
        }
    });
}

#[test]
fn bodies() {
    let documents = "{\"create\":{\"_index\":\"logs\"}}\n{\"@timestamp\":\"2026-06-01T10:00:00Z\",\"status\":200}\n{\"delete\":{\"_id\":\"1\"}}\n{\"update\":{}}\n{\"doc\":{}}\n";
    let otlp = r#"{"resourceLogs":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},"scopeLogs":[{"logRecords":[{"timeUnixNano":"1780308000000000000","severityNumber":9,"body":{"kvlistValue":{"values":[{"key":"a","value":{"arrayValue":{"values":[{"intValue":"1"}]}}}]}},"attributes":[],"traceId":"0af7651916cd43dd8448eb211c80319c"}]}]}]}"#;
    let push =
        r#"{"streams":[{"stream":{"app":"shop"},"values":[["1780308000000000000","{\"status\":200}",{"a":"b"}]]}]}"#;
    // A batch in protobuf: resource logs 1, scope logs 2, records 2, body 5.
    let proto = [0x0a, 0x0d, 0x12, 0x0b, 0x12, 0x09, 0x2a, 0x07, 0x0a, 0x05, b'h', b'e', b'l', b'l', b'o'];
    let mut from: Vec<Vec<u8>> = [documents, otlp, push].map(|text| text.as_bytes().to_vec()).to_vec();
    from.push(proto.to_vec());
    from.extend(bytes(&seeds()));
    let mut messages = Messages::default();
    each("bodies", &from, |bytes| {
        if let Ok(bulk) = bulk::Bulk::read(bytes, Some("logs")) {
            assert!(serde_json::from_str::<serde_json::Value>(&bulk.answer(1, 1)).is_ok());
        }
        for notation in [Notation::Proto, Notation::Json] {
            if let Ok(made) = notation.lines(bytes, 1_000) {
                lines_are_whole(&made.lines, made.records);
            }
        }
        for made in [loki::of_json(bytes, 1_000), loki::of_proto(bytes, 1_000)].into_iter().flatten() {
            lines_are_whole(&made.lines, made.records);
        }
        for format in Format::ALL {
            let headers = [("version", &b"1.5.0"[..]), ("odd \"", bytes)];
            let envelope = Envelope { key: Some(bytes), headers: headers.into_iter(), millis: 1_780_308_000_000 };
            let (lines, _) = messages.lines(format, bytes, envelope);
            assert!(lines.len() <= 64 * bytes.len() + (1 << 16), "{format:?}");
        }
    });
}

/// As many lines as records.
fn lines_are_whole(lines: &[u8], records: u64) {
    let count = lines.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
    assert_eq!(count as u64, records, "{}", String::from_utf8_lossy(lines));
}

const SECRETS: [&str; 3] = ["ann@example.com", "4111111111111111", "hunter2"];

/// Lines in which secrets stand where redaction finds them, then damaged anywhere else.
#[test]
fn what_is_taken_out_stays_out() {
    let set = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<BTreeSet<String>>();
    let stage = Stage {
        name: "a".to_owned(),
        patterns: vec![LinePattern::parse(r"^(?<time>\S+) (?<level>[A-Z]+) (?<message>.*)$").unwrap()],
        rules: vec![Rule { when: None, set: vec![("service".to_owned(), Words::parse("${level}-x").unwrap())] }],
        redact: Redact { fields: set(&["password"]), hashed: set(&["user_id"]), looks: Looks::ALL.into() },
        ..Stage::default()
    };
    let preparation = Preparation { stages: vec![stage], key: Key::new(b"a key of the test") };
    let plan = plan(preparation.clone());
    let mut preparer = Preparer::of(&preparation, &[], "a").unwrap();
    let mut decoder = Decoder::new(&plan, "a");
    let mut random = Random::new(9);
    each("what is taken out", &bytes(&seeds()), |bytes| {
        let Ok(text) = std::str::from_utf8(bytes) else { return };
        let was_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(text).is_ok();
        let prepared = preparer.line(text).into_owned();
        let is_object = serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(&prepared).is_ok();
        // What stands in a wrapping may be damaged.
        let was_object = was_object && serde_json::from_str::<serde_json::Value>(&shape::of(text, &[])).is_ok();
        assert!(is_object || !was_object, "{text:?} became {prepared:?}");
        let _fate = decoder.decode_prepared(&prepared, 1);

        // The secrets by themselves, each between things that are none of it.
        let words: Vec<String> =
            text.chars().filter(|c| !c.is_ascii_alphanumeric()).take(8).map(String::from).collect();
        let around = |random: &mut Random| match words.get(random.below(9) as usize).map(String::as_str) {
            // What is part of a word or a number makes another one of it.
            None | Some("." | "_" | "-" | "@" | "%" | "+" | "=" | "&" | "'" | "\"" | "\\" | "<" | ";" | "," | "}") => {
                " ".to_owned()
            }
            Some(c) if c.is_ascii() => c.to_owned(),
            Some(_) => " ".to_owned(),
        };
        let (before, after) = (around(&mut random), around(&mut random));
        let message = format!("{before}{}{after}{}{before}password={}{after}", SECRETS[0], SECRETS[1], SECRETS[2]);
        let line =
            serde_json::json!({ "ts": "2026-06-01T10:00:00Z", "message": message, "a": [{ "password": SECRETS[2] }] });
        let prepared = preparer.line(&line.to_string()).into_owned();
        for secret in SECRETS {
            assert!(!prepared.contains(secret), "{secret} in {prepared}");
        }
    });
}
