//! One service's log runs wild: names, texts, users and garbage without end. Memory stays bounded, nothing is lost uncounted, and another
//! service is judged as if the flood were not there, to the byte.
//!
//! `SERIN_LINES=1000000 cargo test --release --test flood` floods with a million lines of each kind.

mod common;

use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

use common::{Case, Random, Traffic, bytes_of, ledger_values};
use peak_alloc::PeakAlloc;
use serde_json::{Map, Value};
use serin::engine::policy::Policy;
use serin::pipeline::survey::Wishes;
use serin::source::run::Options;
use serin::time::Timestamp;

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What is allocated is counted for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// What lies in memory grows with threads: not with the machine's.
fn options() -> Options {
    Options { threads: 2, ..Options::default() }
}

/// Lines of each flood, where no number is given.
const LINES: u64 = 120_000;
/// What the engine may remember.
const MEMORY: u64 = 192 << 20;
/// Most that may be allocated at any time: the engine's memory, windows that are open (two of them, with a row a line), chunks and the
/// ledger that is held here.
const PEAK_MIB: f32 = 1_024.0;

/// A word of letters alone: a template, route or name that no rule takes for a number.
fn word(mut number: u64) -> String {
    let mut text = String::new();
    for _ in 0..6 {
        text.push(char::from(b'a' + (number % 26) as u8));
        number /= 26;
    }
    text
}

type Flood = (&'static str, fn(u64) -> String);
/// Of this one all lines come at once, within one window.
const AT_ONCE: &str = "versions at once";

/// The fields of the line of a number, behind its time.
const FLOODS: [Flood; 11] = [
    ("field names", |n| format!("\"service\":\"wild\",\"status\":200,\"f{n}\":1,\"o\":{{\"g{n}\":2}}")),
    ("services", |n| format!("\"service\":\"s-{}\",\"cohort\":\"baseline\",\"user\":\"u{n}\",\"status\":200", word(n))),
    ("versions", |n| format!("\"service\":\"wild\",\"cohort\":\"v-{}\",\"user\":\"u{n}\",\"status\":200", word(n))),
    (AT_ONCE, |n| format!("\"service\":\"wild\",\"cohort\":\"v-{}\",\"user\":\"u{n}\",\"status\":200", word(n))),
    ("routes", |n| format!("\"service\":\"wild\",\"cohort\":\"baseline\",\"status\":200,\"route\":\"/{}\"", word(n))),
    ("instances", |n| {
        format!("\"service\":\"wild\",\"cohort\":\"baseline\",\"status\":200,\"pod\":\"web-{}\"", word(n))
    }),
    ("users", |n| format!("\"service\":\"wild\",\"cohort\":\"baseline\",\"user\":\"{}\",\"status\":200", word(n))),
    ("messages", |n| {
        format!(
            "\"service\":\"wild\",\"cohort\":\"canary\",\"user\":\"u{}\",\"level\":\"error\",\"msg\":\"lost {} of {}\"",
            n % 999,
            word(n),
            word(n * 7)
        )
    }),
    ("holes", |n| format!("\"service\":\"wild\",\"level\":\"error\",\"msg\":\"{}\"", format!("{n}={n} ").repeat(200))),
    ("escapes", |n| format!("\"service\":\"wild\",\"level\":\"warn\",\"msg\":\"\\u001b[2J\\u202e {} \\u0000\"", n % 7)),
    ("traces", |n| format!("\"service\":\"wild\",\"trace_id\":\"t{n}\",\"status\":500,\"cohort\":\"canary\"")),
];

/// What a ledger says of one service, without what every entry has of the whole.
fn of_service(ledger: &str, service: &str) -> Vec<Map<String, Value>> {
    let mut list = ledger_values(ledger);
    list.retain(|entry| entry.get("service").and_then(Value::as_str) == Some(service) && entry["kind"] != "notify");
    for entry in &mut list {
        for key in ["entry", "previous", "positions"] {
            entry.remove(key);
        }
    }
    list
}

#[test]
fn a_service_is_judged_as_if_the_flood_were_not_there() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = std::env::var("SERIN_LINES").ok().and_then(|text| text.parse().ok()).unwrap_or(LINES);
    let traffic = Traffic { seed: 43, requests: 3_000, users: 700, errors: vec![0.02, 0.25], ..Traffic::default() };
    let healthy = traffic.lines();
    let (first, last) = (healthy.first().unwrap().at, healthy.last().unwrap().at);
    let mut case =
        Case::new("flood", vec![("shop.log".to_owned(), bytes_of(&healthy))], &Wishes::default(), Policy::default());
    case.settings.memory = MEMORY;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("shop.log"), bytes_of(&healthy)).unwrap();
    let alone = case.judge_files(&[path("shop.log")], options());
    let expected = of_service(&alone.ledger, "shop");
    assert!(expected.len() > 3 && alone.ledger.contains("\"verdict\":\"fail\""));

    for (name, fields) in FLOODS {
        let mut text = String::new();
        for number in 0..lines {
            let share = if name == AT_ONCE { number % 1_000 } else { number * 1_000_000 / lines };
            let at = Timestamp(first + (last - first) * share as i64 / 1_000_000);
            let _infallible = writeln!(text, "{{\"ts\":\"{at}\",{}}}", fields(number));
        }
        std::fs::write(path("wild.log"), &text).unwrap();
        let size = text.len();
        drop(text);
        ALLOCATOR.reset_peak_usage();
        let flooded = case.judge_files(&[path("shop.log"), path("wild.log")], options());
        let peak = ALLOCATOR.peak_usage_as_mb();
        let engine = flooded.engine.unwrap();
        let tally = engine.tally();
        let records = healthy.len() as u64 + lines;
        println!(
            "{name}: {lines} lines, {} MB; {peak:.0} MiB at most, {} MiB of state",
            size >> 20,
            engine.state_bytes() >> 20
        );
        assert_eq!(tally.records, records, "{name}");
        assert_eq!(of_service(&flooded.ledger, "shop"), expected, "{name}");
        assert!(engine.state_bytes() <= MEMORY, "{name}: {}", engine.state_bytes());
        assert!(peak < PEAK_MIB, "{name}: {peak} MiB");
    }
}

/// Bytes that are no lines at all, and lines that end nowhere.
#[test]
fn garbage_is_counted_and_changes_nothing() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let traffic = Traffic { seed: 44, requests: 2_000, users: 500, errors: vec![0.02, 0.25], ..Traffic::default() };
    let mut case = Case::new(
        "garbage",
        vec![("shop.log".to_owned(), bytes_of(&traffic.lines()))],
        &Wishes::default(),
        Policy::default(),
    );
    case.settings.memory = MEMORY;
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("shop.log"), bytes_of(&traffic.lines())).unwrap();
    let expected = of_service(&case.judge_files(&[path("shop.log")], Options::default()).ledger, "shop");
    let mut random = Random::new(45);
    let mut garbage: Vec<u8> = (0..8 << 20).map(|_| random.below(256) as u8).collect();
    // A hundred megabytes without an end, and a million braces.
    garbage.extend(std::iter::repeat_n(b'x', 100 << 20));
    garbage.push(b'\n');
    garbage.extend(std::iter::repeat_n(b'{', 1 << 20));
    garbage.push(b'\n');
    let lines = garbage.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count() as u64;
    std::fs::write(path("wild.log"), &garbage).unwrap();
    drop(garbage);
    ALLOCATOR.reset_peak_usage();
    let flooded = case.judge_files(&[path("shop.log"), path("wild.log")], options());
    let peak = ALLOCATOR.peak_usage_as_mb();
    let engine = flooded.engine.unwrap();
    let rejects = engine.tally().rejects.iter().sum::<u64>();
    println!("garbage: {lines} lines; {peak:.0} MiB at most");
    assert_eq!(engine.tally().records, 2_000 + rejects);
    // A line that is indented goes on with the one before.
    assert!(rejects <= lines && rejects * 10 > lines * 9, "{rejects} of {lines}");
    assert_eq!(of_service(&flooded.ledger, "shop"), expected);
    assert!(peak < PEAK_MIB / 2.0, "{peak} MiB");
}
