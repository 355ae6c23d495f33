//! What semantics 9 promises, line by line: with fixed streams, configuration and journal the ledger has equal bytes for
//! any number of threads, chunk sizes, interleavings, stop and resume points; re-partitioned with nothing late, counters
//! and verdicts are equal.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use std::io::Write as _;
use std::path::PathBuf;

use common::{Case, Fed, Labels, Line, Random, Traffic, bytes_of, cases, entries, ledger_values, serin};
use serde_json::{Map, Value, json};
use serin::engine::policy::Policy;
use serin::engine::{Engine, Input, Output};
use serin::ledger::{Chain, GENESIS};
use serin::pipeline::plan_text;
use serin::pipeline::survey::Wishes;
use serin::sketch::partial::{INSTANCES_MAX, WindowPartial};
use serin::source::lines::Chunk;
use serin::source::run::{Observer, Options, PushedStreams};
use serin::time::MINUTE;
use sha2::{Digest as _, Sha256};

const SEEDS: [u64; 2] = [3, 11];

fn options(threads: usize, chunk_bytes: usize) -> Options {
    Options { threads, chunk_bytes, keep_rejects: true }
}

/// Shows where two ledgers part, not both in full.
#[track_caller]
fn same_ledger(expect: &str, found: &str, what: &str) {
    if let Some(difference) = serin::ledger::compare(expect, found) {
        panic!("{what}: {difference:#?}");
    }
}

fn write(case: &Case) -> (tempfile::TempDir, Vec<PathBuf>) {
    let files: Vec<(&str, &[u8])> =
        case.streams.iter().map(|(name, bytes)| (name.as_str(), bytes.as_slice())).collect();
    let folder = common::folder_with(&files);
    let paths = case.streams.iter().map(|(name, _)| folder.path().join(name)).collect();
    (folder, paths)
}

#[test]
fn lg_2_threads_and_chunk_sizes_do_not_matter() {
    for seed in SEEDS {
        println!("seed {seed}");
        for case in cases(seed) {
            let (_folder, files) = write(&case);
            let whole = case.judge_files(&files, options(1, 1 << 20));
            assert!(
                ledger_values(&whole.ledger).iter().filter(|entry| entry["kind"] == "look").count() >= 2,
                "{}",
                case.name
            );
            for threads in 1..=4 {
                for chunk_bytes in [64, 1 << 10, 1 << 16, 1 << 20] {
                    let what = format!("seed {seed}, {}, {threads} threads, chunks of {chunk_bytes}", case.name);
                    let found = case.judge_files(&files, options(threads, chunk_bytes));
                    same_ledger(&whole.ledger, &found.ledger, &what);
                    let sorted = |recorded: &common::Recorded| {
                        let mut list: Vec<String> =
                            recorded.rejects.iter().map(|reject| format!("{reject:?}")).collect();
                        list.sort();
                        list
                    };
                    assert_eq!(sorted(&whole), sorted(&found), "{what}");
                    assert_eq!(whole.bytes, found.bytes, "{what}");
                }
            }
        }
    }
}

#[test]
fn lg_2_interleavings_do_not_matter() {
    for seed in SEEDS {
        println!("seed {seed}");
        for case in cases(seed) {
            let mut ledgers = Vec::new();
            for (round, chunk_bytes) in [(0, 1), (1, 300), (2, 5_000), (3, 5_000), (4, 1 << 20)] {
                let (mut engine, mut ledger) = case.engine();
                for fed in case.inputs(chunk_bytes, &mut Random::new(seed * 100 + round)) {
                    ledger.push_str(&entries(engine.apply(fed.input())));
                }
                ledger.push_str(&entries(engine.apply(Input::Finish)));
                ledgers.push(ledger);
            }
            let (_folder, files) = write(&case);
            let whole = case.judge_files(&files, options(1, 1 << 20));
            for ledger in &ledgers {
                same_ledger(&whole.ledger, ledger, &format!("seed {seed}, {}", case.name));
            }
        }
    }
}

/// What an observer was told of one comparison, call by call: how many of its looks a call told of, and the window of the
/// latest.
#[derive(Default)]
struct Steps {
    recorded: common::Recorded,
    most: usize,
    windows: Vec<i64>,
}

impl Observer for Steps {
    fn outputs(&mut self, engine: &Engine, outputs: Vec<Output>) -> std::io::Result<()> {
        let looks =
            outputs.iter().filter(|output| matches!(output, Output::Looked { release: 0, comparison: 0 })).count();
        self.most = self.most.max(looks);
        self.windows.extend((looks > 0).then(|| engine.comparison(0, 0).map_or(0, |comparison| comparison.window)));
        self.recorded.outputs(engine, outputs)
    }
}

/// A stream that holds all others back is moved on at once, as when a partition is idle: an observer sees each look while it
/// is the latest, and the ledger is the same.
#[test]
fn windows_that_close_together_are_told_one_by_one() {
    let lines = Traffic { seed: 15, minutes: 30, ..Traffic::default() }.lines();
    let few: Vec<Line> = lines.iter().step_by(3).take(60).cloned().collect();
    let streams = vec![("a.log".to_owned(), bytes_of(&lines)), ("b.log".to_owned(), bytes_of(&few))];
    let case = Case::new("idle", streams, &Wishes::default(), Policy::default());
    let (_folder, files) = write(&case);
    let whole = case.judge_files(&files, options(1, 1 << 20));

    let names: Vec<String> = case.streams.iter().map(|(name, _)| name.clone()).collect();
    let (mut engine, mut steps) = (Engine::new(case.settings.clone()), Steps::default());
    let text = plan_text::to_json(&case.plan);
    let mut pushed = PushedStreams::begin(&names, &case.plan, &mut engine, text, &mut steps).unwrap();
    let chunk = |bytes: &[u8], from: usize, last: bool| Chunk {
        bytes: bytes.to_vec(),
        from: from as u64,
        last,
        too_long: None,
        positions: Vec::new(),
    };
    let [a, b] = [&case.streams[0].1, &case.streams[1].1];
    pushed.push(0, chunk(a, 0, false), &mut engine, &mut steps).unwrap();
    pushed.push(1, chunk(b, 0, false), &mut engine, &mut steps).unwrap();
    let before = steps.windows.len();
    let to = pushed.oldest_open(0);
    pushed.advance(1, to, b.len() as u64, &mut engine, &mut steps).unwrap();
    assert!(steps.windows.len() > before + 100, "{} looks", steps.windows.len());
    for (stream, bytes) in [a, b].into_iter().enumerate() {
        pushed.push(stream, chunk(&[], bytes.len(), true), &mut engine, &mut steps).unwrap();
    }
    steps.recorded.outputs(&engine, engine.clone().apply(Input::Finish)).unwrap();
    assert_eq!(steps.most, 1, "looks told in one call");
    assert!(steps.windows.is_sorted_by(|a, b| a < b), "{:?}", steps.windows);
    same_ledger(&whole.ledger, &steps.recorded.ledger, "told one by one");
}

#[test]
fn lg_2_order_of_files_packing_and_rotation_do_not_matter() {
    for seed in SEEDS {
        println!("seed {seed}");
        for case in cases(seed) {
            let (folder, mut files) = write(&case);
            let whole = case.judge_files(&files, options(2, 1 << 14));
            files.reverse();
            let reversed = case.judge_files(&files, options(2, 1 << 14));
            same_ledger(
                &whole.ledger,
                &reversed.ledger,
                &format!("seed {seed}, {}, files named in another order", case.name),
            );
            let in_folder = case.judge_files(&[folder.path().to_owned()], options(2, 1 << 14));
            same_ledger(&whole.ledger, &in_folder.ledger, &format!("seed {seed}, {}, as a folder", case.name));

            let packed = tempfile::tempdir().unwrap();
            let mut gzip = Vec::new();
            let mut zstd = Vec::new();
            for (name, bytes) in &case.streams {
                for (kind, list) in [("gz", &mut gzip), ("zst", &mut zstd)] {
                    let path = packed.path().join(kind).join(format!("{name}.{kind}"));
                    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                    std::fs::write(&path, pack(kind, bytes)).unwrap();
                    list.push(path);
                }
            }
            for files in [gzip, zstd] {
                let found = case.judge_files(&files, options(1, 1 << 12));
                same_ledger(&whole.ledger, &found.ledger, &format!("seed {seed}, {}, packed {files:?}", case.name));
            }

            // Rotated into parts, the oldest with the highest number, some packed.
            let rotated = tempfile::tempdir().unwrap();
            let mut random = Random::new(seed);
            for (name, bytes) in &case.streams {
                let number_of_parts = 1 + random.below(12) as usize;
                let parts = cut(bytes, number_of_parts);
                for (at, part) in parts.iter().enumerate() {
                    let age = parts.len() - 1 - at;
                    let path = match age {
                        0 => rotated.path().join(name),
                        _ if random.chance(0.3) => rotated.path().join(format!("{name}.{age}.gz")),
                        _ => rotated.path().join(format!("{name}.{age}")),
                    };
                    let packed = path.extension().is_some_and(|extension| extension == "gz");
                    std::fs::write(&path, if packed { pack("gz", part) } else { part.clone() }).unwrap();
                }
            }
            let found = case.judge_files(&[rotated.path().to_owned()], options(3, 1 << 12));
            same_ledger(&whole.ledger, &found.ledger, &format!("seed {seed}, {}, rotated", case.name));
        }
    }
}

fn pack(kind: &str, bytes: &[u8]) -> Vec<u8> {
    if kind == "zst" {
        return zstd::encode_all(bytes, 1).unwrap();
    }
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(bytes).unwrap();
    gzip.finish().unwrap()
}

/// Cuts at newlines into so many parts; some may be empty.
fn cut(bytes: &[u8], number_of_parts: usize) -> Vec<Vec<u8>> {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    (0..number_of_parts)
        .map(|part| {
            let edge = |part: usize| lines.len() * part / number_of_parts;
            lines[edge(part)..edge(part + 1)].concat()
        })
        .collect()
}

/// EN-1, EN-2: stopped at any look, restored, and fed everything again from the start, the same entries follow.
#[test]
fn en_1_stop_and_resume_at_every_look() {
    for seed in SEEDS {
        println!("seed {seed}");
        for case in cases(seed) {
            let fed = case.inputs(2_000, &mut Random::new(seed));
            let (mut engine, _) = case.engine();
            let mut tails: Vec<String> = Vec::new();
            let mut snapshots: Vec<(usize, Vec<u8>)> = Vec::new();
            for input in &fed {
                let outputs = engine.apply(input.input());
                let looked = !outputs.is_empty();
                let text = entries(outputs);
                tails.iter_mut().for_each(|tail| tail.push_str(&text));
                if looked {
                    snapshots.push((tails.len(), engine.snapshot()));
                    tails.push(String::new());
                }
            }
            let text = entries(engine.apply(Input::Finish));
            tails.iter_mut().for_each(|tail| tail.push_str(&text));
            let end = engine.snapshot();
            assert!(snapshots.len() > 20, "seed {seed}, {}: {} looks", case.name, snapshots.len());
            // With the second half of the input, in another order, the same: what was taken is dropped.
            let other = case.inputs(700, &mut Random::new(seed + 1));
            for (at, snapshot) in &snapshots {
                let what = format!("seed {seed}, {}, resumed after output {at}", case.name);
                let mut again = Engine::restore(case.settings.clone(), snapshot).unwrap();
                assert!(again.snapshot() == *snapshot, "{what}: a restored engine is the one that was saved");
                let fed = if at % 2 == 0 { &fed } else { &other };
                let mut ledger = String::new();
                for (name, _) in &case.streams {
                    ledger.push_str(&entries(again.apply(Input::Stream { name: name.clone() })));
                }
                for input in fed {
                    ledger.push_str(&entries(again.apply(input.input())));
                }
                ledger.push_str(&entries(again.apply(Input::Finish)));
                assert!(ledger == tails[*at], "{what}:\n{ledger}\ninstead of\n{}", tails[*at]);
                assert!(again.snapshot() == end, "{what}: the state at the end");
            }
        }
    }
}

#[test]
fn en_2_what_comes_again_changes_nothing() {
    let seed = 5;
    println!("seed {seed}");
    for case in cases(seed) {
        let fed = case.inputs(1_500, &mut Random::new(seed));
        let (mut engine, _) = case.engine();
        for (at, input) in fed.iter().enumerate() {
            engine.apply(input.input());
            let before = engine.snapshot();
            // The last input and one from before.
            for again in [at, at / 2] {
                assert!(engine.apply(fed[again].input()).is_empty(), "{}", case.name);
            }
            assert!(engine.snapshot() == before, "{}, input {at}", case.name);
        }
        engine.apply(Input::Finish);
        let before = engine.snapshot();
        assert!(engine.apply(Input::Finish).is_empty());
        for input in &fed {
            assert!(engine.apply(input.input()).is_empty());
        }
        assert!(engine.snapshot() == before, "{}", case.name);
    }
}

/// WN-2: a stream that is announced once windows have closed reopens none of them; all that it brings there is late.
#[test]
fn wn_2_a_stream_that_is_announced_too_late_reopens_nothing() {
    let case = cases(5).swap_remove(0);
    let fed = case.inputs(1_500, &mut Random::new(5));
    let (mut engine, _) = case.engine();
    for input in &fed {
        engine.apply(input.input());
    }
    let before = *engine.tally();
    assert!(before.on_time > 1_000, "{before:?}");
    let name = "announced too late";
    engine.apply(Input::Stream { name: name.to_owned() });
    for input in &fed {
        let outputs = engine.apply(match input.input() {
            Input::Partial { partial, at, .. } => Input::Partial { stream: name.to_owned(), partial, at },
            Input::Progress { oldest_open, .. } => Input::Progress { stream: name.to_owned(), oldest_open },
            other => other,
        });
        assert!(outputs.is_empty(), "{outputs:?}");
    }
    let tally = *engine.tally();
    assert_eq!((tally.on_time, tally.late), (before.on_time, 2 * before.late + before.on_time));
    assert_eq!((tally.records, tally.events), (2 * before.records, 2 * before.events));
    assert!(tally.balances(), "{tally:?}");
}

/// LG-1: an entry carries the SHA-256 of the whole line before it, as any tool computes it.
#[test]
fn lg_1_an_entry_carries_the_hash_of_the_line_before() {
    let case = cases(5).swap_remove(0);
    let (_folder, files) = write(&case);
    let ledger = case.judge_files(&files, options(1, 1 << 20)).ledger;
    let mut before = GENESIS.to_owned();
    for line in ledger.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        assert_eq!(entry["previous"], before.as_str(), "{line}");
        before = Sha256::digest(line.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    }
    assert!(ledger.lines().count() > 10, "{ledger}");
}

/// EV-1: every record has one place, and places rise.
#[test]
fn ev_1_offsets_of_lines_are_distinct_and_rise() {
    for case in cases(7) {
        for chunk_bytes in [1, 100, 1 << 20] {
            for (_, bytes) in &case.streams {
                let mut next = 0;
                let mut last = None;
                for chunk in common::chunks_of(bytes, chunk_bytes) {
                    assert_eq!(chunk.from, next);
                    next += chunk.bytes.len() as u64;
                    for (line, offset, after) in serin::source::lines::lines(&chunk.bytes, chunk.from) {
                        assert!(last.is_none_or(|last| offset > last) && after > offset);
                        assert_eq!(&bytes[offset as usize..offset as usize + line.len()], line);
                        last = Some(offset);
                    }
                }
                assert_eq!(next, bytes.len() as u64);
            }
        }
    }
}

/// Entries without what depends on the layout of files.
fn without_positions(ledger: &str) -> Vec<Value> {
    ledger_values(ledger)
        .into_iter()
        .map(|mut entry| {
            for key in ["previous", "positions", "streams"] {
                entry.remove(key);
            }
            Value::Object(entry)
        })
        .collect()
}

/// Traffic thin enough to leave windows empty, in which nothing is late.
fn sparse(seed: u64) -> Vec<(&'static str, Vec<Line>)> {
    let thin = Traffic { seed, users: 60, requests: 500, minutes: 90, ..Traffic::default() };
    vec![
        ("dense", Traffic { seed, ..Traffic::default() }.lines()),
        ("thin", thin.lines()),
        ("thin traces", Traffic { spans: true, ..thin.clone() }.lines()),
        ("thin retries", Traffic { retries: true, ..thin.clone() }.lines()),
        ("thin exposures", Traffic { labels: Labels::OnExposures, ..thin }.lines()),
    ]
}

#[test]
fn repartitioned_with_nothing_late_counters_and_verdicts_are_equal() {
    for seed in [3, 11, 12, 13] {
        println!("seed {seed}");
        for (name, lines) in sparse(seed) {
            let whole =
                Case::new(name, vec![("app.log".to_owned(), bytes_of(&lines))], &Wishes::default(), Policy::default());
            let judge = |case: &Case| {
                let (_folder, files) = write(case);
                case.judge_files(&files, options(2, 1 << 12)).ledger
            };
            let expect = without_positions(&judge(&whole));
            for parts in [2u64, 5] {
                for by_unit in [true, false] {
                    let mut dealt: Vec<Vec<Line>> = vec![Vec::new(); parts as usize];
                    for (at, line) in lines.iter().enumerate() {
                        let part = if by_unit { line.user } else { at as u64 } % parts;
                        dealt[part as usize].push(line.clone());
                    }
                    let streams =
                        dealt.iter().enumerate().map(|(at, lines)| (format!("part{at}.log"), bytes_of(lines)));
                    let case = Case { streams: streams.collect(), ..whole.clone() };
                    let found = without_positions(&judge(&case));
                    for (a, b) in expect.iter().zip(&found) {
                        assert_eq!(a, b, "seed {seed}, {name}, {parts} files, by unit: {by_unit}");
                    }
                    assert_eq!(expect.len(), found.len(), "seed {seed}, {name}, {parts} files, by unit: {by_unit}");
                }
            }
        }
    }
}

/// Names past their bounds are dropped by hash, and names that only dropped evidence refers to are dropped with it.
#[test]
fn sk_1_names_of_a_window_do_not_depend_on_chunks() {
    for (services, arms, routes, pods) in [(1_500, 90, 400, 20_000), (1, 2, 200, 50)] {
        let mut random = Random::new(9);
        let lines: Vec<Line> = (0..9_000)
            .map(|number| {
                let (service, arm, route) = (random.below(services), random.below(arms), random.below(routes));
                let pod = random.below(pods);
                let fields = format!(
                    "\"pod\":\"p{pod}\",\"service\":\"s{service}\",\"cohort\":\"a{arm}\",\"user\":\"u{number}\",\"status\":503,\"latency_ms\":5,\"route\":\"/r-{route}-x\""
                );
                Line::new(common::START + number * 1_500, number as u64, 0, &fields)
            })
            .collect();
        let streams = vec![("app.log".to_owned(), bytes_of(&lines))];
        let mut case = Case::new("many names", streams, &Wishes::default(), Policy::default());
        for pair_bits in [0, 8] {
            case.plan.windowing.pair_bits = pair_bits;
            let partials = |chunk_bytes: usize| -> Vec<WindowPartial> {
                let fed = case.inputs(chunk_bytes, &mut Random::new(1));
                fed.into_iter()
                    .filter_map(|fed| match fed {
                        Fed::Partial(_, partial, _) => Some(*partial),
                        Fed::Progress(..) => None,
                    })
                    .collect()
            };
            let whole = partials(1 << 30);
            let most = whole.iter().map(|partial| partial.names.instances.len()).max();
            assert_eq!(most == Some(INSTANCES_MAX), pods > 4_096, "{most:?} names of instances");
            let lines = |partial: &WindowPartial| partial.instances.as_slice().iter().map(|row| row.lines).sum::<u64>();
            assert_eq!(whole.iter().map(lines).sum::<u64>(), 9_000);
            for chunk_bytes in [100_000, 20_000, 3_000] {
                for (a, b) in whole.iter().zip(&partials(chunk_bytes)) {
                    let what = format!("{services} services, pair bits {pair_bits}, chunks of {chunk_bytes}");
                    assert_eq!(a.names, b.names, "{what}");
                    assert!(a == b && a.encode() == b.encode(), "{what}");
                }
            }
        }
    }
}

/// CP-4: what fails, and how slowly, does not move the cuts between strata.
#[test]
fn cp_4_outcomes_do_not_move_strata() {
    for seed in [1, 2, 3] {
        println!("seed {seed}");
        // A ramp: the share rises in the middle, which cuts a stratum.
        let ramp = |errors: Vec<f64>, slower: Vec<f64>| {
            let first = Traffic {
                seed,
                requests: 6_000,
                users: 2_000,
                minutes: 60,
                errors: errors.clone(),
                shares: vec![0.1],
                ..Traffic::default()
            };
            let mut lines = first.lines();
            let second = Traffic { seed: seed + 1_000, slower, errors, shares: vec![0.6], ..first };
            lines.extend(second.lines().into_iter().map(|line| Line { at: line.at + 60 * MINUTE, ..line }));
            Case::new("ramp", vec![("app.log".to_owned(), bytes_of(&lines))], &Wishes::default(), Policy::default())
        };
        let strata = |case: &Case| -> Vec<(i64, u32)> {
            let (mut engine, _) = case.engine();
            let mut list = Vec::new();
            for fed in case.inputs(1 << 14, &mut Random::new(seed)) {
                engine.apply(fed.input());
                let now = engine.comparison(0, 0).map_or((0, 1), |comparison| (comparison.window, comparison.strata()));
                if list.last().is_none_or(|(_, strata)| *strata != now.1) {
                    list.push(now);
                }
            }
            list
        };
        let calm = strata(&ramp(vec![0.01, 0.01], vec![1.0, 1.0]));
        let broken = strata(&ramp(vec![0.01, 0.6], vec![1.0, 5.0]));
        assert_eq!(calm, broken, "seed {seed}");
        assert!(calm.len() > 1, "seed {seed}: the ramp cuts a stratum: {calm:?}");
    }
}

/// A ledger with one entry changed and its chain mended: only recomputing finds it.
fn mended(text: &str, line: usize, change: &dyn Fn(&mut Map<String, Value>)) -> String {
    let mut chain = Chain::default();
    ledger_values(text)
        .into_iter()
        .enumerate()
        .map(|(at, mut entry)| {
            if at == line {
                change(&mut entry);
            }
            let kind = entry["kind"].as_str().unwrap().to_owned();
            ["entry", "kind", "previous"].iter().for_each(|key| drop(entry.remove(*key)));
            chain.append(&kind, entry)
        })
        .collect()
}

#[test]
fn lg_2_replay_finds_every_kind_of_change() {
    let traffic = Traffic {
        seed: 4,
        requests: 4_000,
        users: 500,
        minutes: 90,
        errors: vec![0.01, 0.02],
        spans: true,
        ..Traffic::default()
    };
    let folder = common::folder_with(&[("app.log", &bytes_of(&traffic.lines()))]);
    let folder = folder.path();
    serin(folder, &["compare", "app.log", "--ledger", "l.ndjson", "--share", "40%"]);
    let text = std::fs::read_to_string(folder.join("l.ndjson")).unwrap();
    let entries = ledger_values(&text);
    let agrees = serin(folder, &["replay", "l.ndjson", "app.log"]).expect(0);
    assert!(agrees.out.contains("Every byte agrees"), "{}", agrees.out);
    assert_eq!(mended(&text, 0, &|_| ()), text, "mending alone changes nothing");

    let find = |kind: &str| {
        entries.iter().position(|entry| entry["kind"] == kind).unwrap_or_else(|| panic!("no entry `{kind}`"))
    };
    let last_look = entries.iter().rposition(|entry| entry["kind"] == "look").unwrap();
    type Change = Box<dyn Fn(&mut Map<String, Value>)>;
    let set = |path: &'static [&'static str], value: Value| -> Change {
        Box::new(move |entry: &mut Map<String, Value>| {
            let (last, above) = path.split_last().unwrap();
            let mut at = entry;
            for key in above {
                at = at.get_mut(*key).and_then(Value::as_object_mut).unwrap_or_else(|| panic!("no {path:?}"));
            }
            let old = at.insert((*last).to_owned(), value.clone());
            assert!(old.is_some_and(|old| old != value), "{path:?} was there and is another now");
        })
    };
    let cases: Vec<(usize, Change, &str)> = vec![
        (find("begin"), set(&["log_fail"], json!(1.5)), "log_fail"),
        (find("begin"), set(&["candidate"], json!("other")), "candidate"),
        (last_look, set(&["verdict"], json!("pass")), "verdict"),
        (last_look, set(&["held_back"], json!(true)), "held_back"),
        (last_look, set(&["log_sum"], json!(9.25)), "log_sum"),
        (last_look, set(&["cells", "error_units", "log_e"], json!(7.5)), "cells.error_units.log_e"),
        (last_look, set(&["cells", "latency_p90", "finding"], json!("held!")), "cells.latency_p90.finding"),
        (last_look, set(&["counters", "requests"], json!([1, 2])), "counters.requests[0]"),
        (last_look, set(&["counters", "errors"], json!([1, 2])), "counters.errors[0]"),
        (last_look, set(&["counters", "units"], json!([1, 2])), "counters.units[0]"),
        (last_look, set(&["changed", "routes"], json!(3.5)), "changed.routes"),
        (last_look, set(&["flaws"], json!(["crossover"])), "flaws"),
        (last_look, set(&["sample_ratio"], json!(3.5)), "sample_ratio"),
        (last_look, set(&["thresholds_us", "p99"], json!(1)), "thresholds_us.p99"),
        (last_look, set(&["digest"], json!("0000000000000000")), "digest"),
        (last_look, set(&["look"], json!(1)), "look"),
        (last_look, set(&["positions", "app.log"], json!(1)), "positions.app.log"),
        (find("end"), set(&["records"], json!(1)), "records"),
        (find("end"), set(&["late"], json!(1)), "late"),
        (find("end"), set(&["verdicts"], json!([])), "verdicts"),
    ];
    for (line, change, path) in &cases {
        std::fs::write(folder.join("x.ndjson"), mended(&text, *line, change.as_ref())).unwrap();
        let said = serin(folder, &["replay", "x.ndjson", "app.log"]).expect(1);
        assert!(said.out.contains(&format!("differs first in line {}", line + 1)), "{path}: {}", said.out);
        assert!(said.out.contains(&format!("  {path}: recorded ")), "{path}: {}", said.out);
        assert!(said.out.contains(entries[*line]["kind"].as_str().unwrap()), "{path}: {}", said.out);
    }

    // Among looks without an entry of their own the first that differs is named.
    let at = find("looks");
    let change: Change = Box::new(|entry| {
        let mut checks = entry["checks"].as_str().unwrap().to_owned();
        checks.replace_range(16..24, "00000000");
        entry.insert("checks".to_owned(), Value::from(checks));
    });
    std::fs::write(folder.join("x.ndjson"), mended(&text, at, change.as_ref())).unwrap();
    let said = serin(folder, &["replay", "x.ndjson", "app.log"]).expect(1);
    assert!(said.out.contains("first look that differs: number 3"), "{}", said.out);

    // A shorter ledger, and one whose policy was changed, differ too.
    let shorter: String = text.lines().take(entries.len() - 1).map(|line| format!("{line}\n")).collect();
    std::fs::write(folder.join("x.ndjson"), shorter).unwrap();
    serin(folder, &["replay", "x.ndjson", "app.log"]).expect(1);
    let strict = mended(&text, 0, set(&["policy", "declared_share"], json!(0.41)).as_ref());
    std::fs::write(folder.join("x.ndjson"), strict).unwrap();
    serin(folder, &["replay", "x.ndjson", "app.log"]).expect(1);

    // LG-1: without mending, the chain tells; that is a damaged file and no replay.
    let altered = text.replacen("\"kind\":\"begin\"", "\"kind\":\"began\"", 1);
    std::fs::write(folder.join("x.ndjson"), altered).unwrap();
    let said = serin(folder, &["replay", "x.ndjson", "app.log"]).expect(2);
    assert!(said.err.contains("altered or removed"), "{}", said.err);

    // Other logs under the same name: the first look and its counters.
    let other = Traffic { seed: 4, errors: vec![0.01, 0.03], ..traffic };
    std::fs::create_dir(folder.join("other")).unwrap();
    std::fs::write(folder.join("other/app.log"), bytes_of(&other.lines())).unwrap();
    let said = serin(folder, &["replay", "l.ndjson", "other/app.log"]).expect(1);
    assert!(said.out.contains("counters.errors") || said.out.contains("first look that differs"), "{}", said.out);
    std::fs::write(folder.join("b.log"), bytes_of(&other.lines())).unwrap();
    let said = serin(folder, &["replay", "l.ndjson", "b.log"]).expect(2);
    assert!(said.err.contains("`app.log`, which is not among the files given"), "{}", said.err);
}

/// LG-2 for odd policies: what stands in the ledger is what was decided by, to the last digit.
#[test]
fn lg_2_policies_survive_the_ledger() {
    let traffic = Traffic { seed: 6, ..Traffic::default() };
    let folder = common::folder_with(&[("app.log", &bytes_of(&traffic.lines()))]);
    let folder = folder.path();
    for policy in [
        "next_share_percent: 33.3\nshare_percent: 33.3\n",
        "minimum_minutes: 0.123456\n",
        "next_share_percent: 0.7\nminimum_minutes: 3.3\nguardrails: [errors]\n",
        "limits: {errors_percent: 0.3333, p99_ms: 12.3456, on_break: fail}\n",
        "conversions: [a, b, \"c d\"]\nconversion_field: x.y\nshare_percent: 40\n",
        "limits: {p99_ms: 1}\nguardrails: [errors]\n",
        "share_percent: 14.7\nexpect: [routes, called_services]\nguardrails: [latency]\n",
    ] {
        std::fs::write(folder.join("p.yaml"), policy).unwrap();
        let said = serin(folder, &["compare", "app.log", "--policy", "p.yaml", "--ledger", "l.ndjson"]);
        assert_ne!(said.status, 2, "{}", said.err);
        let again = serin(folder, &["replay", "l.ndjson", "app.log"]);
        assert_eq!(again.status, 0, "{policy}{}{}", again.out, again.err);
    }
    for window in ["1s", "7s", "90s", "1h"] {
        let said = serin(
            folder,
            &[
                "compare",
                "app.log",
                "--window",
                window,
                "--lateness",
                "1.5s",
                "--since",
                "2026-06-01T10:02:00Z",
                "--ledger",
                "l.ndjson",
            ],
        );
        assert_ne!(said.status, 2, "{}", said.err);
        serin(folder, &["replay", "l.ndjson", "app.log", "--threads", "3"]).expect(0);
    }
}
