//! Files that `serin run` follows: each line counts once, whatever is rotated, emptied or killed.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use crate::common::running::{Running, until};
use crate::common::{Random, Traffic, folder_with, serin};
use serde_json::Value;
use serin::source::wal::WalReader;

fn append(path: &Path, bytes: &[u8]) {
    OpenOptions::new().append(true).create(true).open(path).unwrap().write_all(bytes).unwrap();
}

/// What is in the write-ahead log, line by line.
fn stored(state: &Path) -> Vec<String> {
    let mut reader = WalReader::of_whole(&state.join("wal")).unwrap();
    let mut lines = Vec::new();
    while let Some((_, text)) = reader.next(Duration::ZERO).unwrap() {
        lines.extend(String::from_utf8(text).unwrap().lines().map(str::to_owned));
    }
    lines
}

fn status(running: &Running) -> Option<Value> {
    let (status, body) = running.ask("/v1/status", &running.address)?;
    (status == 200).then(|| serde_json::from_str(&body).unwrap())
}

/// A program that is killed at random places while its files grow and are rotated, and started again.
#[test]
fn each_line_is_stored_once_whatever_is_killed_and_rotated() {
    for seed in [1, 2, 3] {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let folder = folder_with(&[]);
        let (log, state) = (folder.path().join("app.log"), folder.path().join("state"));
        let pattern = format!("{}*", log.display());
        // Each line is another, so that what is missing or there twice shows.
        let lines: Vec<String> = Traffic { seed, requests: 6_000, ..Traffic::default() }
            .lines()
            .iter()
            .enumerate()
            .map(|(number, line)| line.text().replacen('{', &format!("{{\"n\":{number},"), 1))
            .collect();
        let text: Vec<u8> = lines.iter().flat_map(|line| [line.as_bytes(), b"\n"].concat()).collect();
        let (mut running, mut rest, mut rotated) = (None, text.as_slice(), 0);
        while !rest.is_empty() {
            // Where a piece ends, a line may not.
            let (piece, more) = rest.split_at(rest.len().min(1 + random.below(90_000) as usize));
            append(&log, piece);
            rest = more;
            if random.chance(0.3) && piece.ends_with(b"\n") || random.chance(0.1) {
                // Whoever writes a line in two pieces goes on in the file in which it began.
                if rest.is_empty() || piece.ends_with(b"\n") {
                    rotated += 1;
                    std::fs::rename(&log, folder.path().join(format!("app.log.{rotated}"))).unwrap();
                }
            }
            let program = running.take().unwrap_or_else(|| Running::start(&[&pattern, "--checkpoint", "0s"], &state));
            // It does something meanwhile, nobody knows how much.
            for _ in 0..random.below(4) {
                status(&program).unwrap();
            }
            if random.chance(0.5) {
                drop(program);
            } else {
                running = Some(program);
            }
        }
        let running = running.unwrap_or_else(|| Running::start(&[&pattern], &state));
        until("all is stored", || {
            let files = status(&running)?["files"].clone();
            (files["unread_bytes"] == 0 && files["followed"].as_u64() > Some(0)).then_some(())
        });
        until("all is judged", || running.report());
        let unstored = |stored: &[String]| lines.len() - stored.len();
        until("the last lines are stored", || (unstored(&stored(&state)) == 0).then_some(()));
        drop(running);
        let (mut came, mut expected) = (stored(&state), lines);
        came.sort();
        expected.sort();
        assert!(came == expected, "seed {seed}: a line is missing or there twice");
        let said = serin(folder.path(), &["replay", "state"]).expect(0).out;
        assert!(said.contains("entries") || said.contains("entry"), "{said}");
    }
}

#[test]
fn a_rotated_file_is_judged_as_one_log_and_new_files_are_found() {
    let folder = folder_with(&[]);
    let log = folder.path().join("shop.log");
    let lines: Vec<String> = Traffic { requests: 4_000, minutes: 20, ..Traffic::default() }
        .lines()
        .iter()
        .map(|line| line.text() + "\n")
        .collect();
    let pattern = format!("{}/*.log", folder.path().display());
    let running = Running::start(&[&pattern, "--idle", "2s"], &folder.path().join("state"));
    running.heard("no file is there yet");
    append(&log, lines[..2_000].concat().as_bytes());
    until("it is followed", || (status(&running)?["files"]["followed"] == 1).then_some(()));
    until("there is a report", || running.report());
    std::fs::rename(&log, folder.path().join("shop.log.1")).unwrap();
    append(&log, lines[2_000..].concat().as_bytes());
    append(&folder.path().join("other.log"), b"not a line\n");
    until("the old one is read on for a while", || {
        let metrics = running.ask("/metrics", &running.address)?.1;
        metrics.contains("\nserin_files_followed 3\n").then_some(())
    });
    let report = running.settled(|report| report["records"]["read"].as_u64() > Some(3_000));
    assert_eq!(report["records"]["late"], 0, "the order of a rotated log is that of its files");
}
