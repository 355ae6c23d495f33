//! `serin forget`: after it nothing that the program keeps holds the unit's lines, whatever crashes meanwhile; everything else is as it was.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::common::running::{Running, until};
use crate::common::{Line, Traffic, command, folder_with, talk, with_log_lines};
use serde_json::Value;

const TOKEN: &str = "a token of the test, long enough";

/// Users have names so long that no file has one by chance.
fn rollout() -> Vec<Line> {
    let errors = vec![0.01, 0.2];
    let traffic = Traffic { seed: 61, requests: 2_000, users: 300, errors, ..Traffic::default() };
    let mut lines = with_log_lines(&traffic.lines(), talk);
    for line in &mut lines {
        let user = line.user;
        line.text = line.text.replace(&format!("\"u{user}\""), &format!("\"customer-{user}@example.org\""));
    }
    lines
}

fn configured(folder: &Path) -> String {
    std::fs::write(folder.join("token"), TOKEN).unwrap();
    let path = folder.join("serin.yaml");
    let text = format!("idle: 2s\ncheckpoint: 0s\noperate_token_file: {}/token\n", folder.display());
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn start(folder: &Path) -> Running {
    Running::start(&["--config", &configured(folder)], &folder.join("state"))
}

/// Users with their lines, those with most lines first.
fn users(lines: &[Line]) -> Vec<(String, u64)> {
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for line in lines {
        *counts.entry(id_of(&line.text())).or_default() += 1;
    }
    let mut list: Vec<(String, u64)> = counts.into_iter().filter(|(id, _)| !id.is_empty()).collect();
    list.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    list
}

fn id_of(line: &str) -> String {
    let value: Value = serde_json::from_str(line).unwrap();
    value["user"].as_str().or(value["user_id"].as_str()).unwrap_or_default().to_owned()
}

fn send(running: &Running, lines: &[Line], first: usize) {
    for (number, batch) in lines.chunks(900).enumerate() {
        let text: String = batch.iter().map(|line| line.text() + "\n").collect();
        let key = format!("{first}-{number}");
        let (status, body) = running.post("/ingest", &[("Idempotency-Key", &key)], text.as_bytes()).unwrap();
        assert_eq!(status, 200, "{body}");
    }
}

fn total(running: &Running, query: &str) -> Option<u64> {
    let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let (status, body) = running.ask(&format!("/v1/search?count=1000000000&limit=1&q={query}"), &running.address)?;
    let body: Value = serde_json::from_str(&body).ok()?;
    (status == 200).then(|| body["total"]["lines"].as_u64()).flatten()
}

fn found(running: &Running, query: &str, expect: u64) {
    until(&format!("{expect} lines of {query}"), || (total(running, query)? == expect).then_some(()));
}

/// Files of a folder whose bytes have a text as it is.
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut list = Vec::new();
    let entries = match std::fs::read_dir(folder) {
        // The program merges and removes meanwhile.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return list,
        entries => entries.unwrap(),
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list.extend(holding(&path, text));
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            list.push(path);
        }
    }
    list
}

fn requests(running: &Running) -> Option<Vec<Value>> {
    let (_, body) = running.ask("/v1/forget", &running.address)?;
    Some(serde_json::from_str::<Value>(&body).ok()?["requests"].as_array()?.clone())
}

fn ask(running: &Running, unit: &str) -> u64 {
    let token = format!("Bearer {TOKEN}");
    let body = serde_json::json!({ "unit": unit, "actor": "ann", "reason": "asked to" }).to_string();
    let (status, body) = running.post("/v1/forget", &[("Authorization", &token)], body.as_bytes()).unwrap();
    assert_eq!(status, 202, "{body}");
    serde_json::from_str::<Value>(&body).unwrap()["number"].as_u64().unwrap()
}

fn row(running: &Running, number: u64) -> Option<Value> {
    requests(running)?.into_iter().find(|of| of["number"] == number && of["done"] == true)
}

fn replay(state: &Path) -> (i32, String) {
    let output = command().arg("replay").arg(state).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output.status.code().unwrap(), text)
}

#[test]
fn a_units_lines_are_gone_from_log_index_and_dead_letters_and_replay_says_so() {
    let lines = rollout();
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let running = start(folder.path());
    let (unit, count) = users(&lines)[0].clone();
    let broken = format!("{{\"user\":\"{unit}\", \"broken\n");
    send(&running, &lines, 0);
    assert_eq!(running.post("/ingest", &[], broken.as_bytes()).unwrap().0, 200);
    found(&running, "*", lines.len() as u64 + 1);
    until("log, dead letters and first lines hold it", || (holding(&state, &unit).len() >= 3).then_some(()));
    // Whoever has no token for it may not.
    let body = serde_json::json!({ "unit": unit, "actor": "ann", "reason": "r" }).to_string();
    assert_eq!(running.post("/v1/forget", &[], body.as_bytes()).unwrap().0, 401);

    let output = command()
        .args(["forget", "--unit", &unit, "--actor", "ann", "--address", &running.address, "--token-file"])
        .arg(folder.path().join("token"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(
        said.contains(&format!(
            "{} lines in the write-ahead log, {} lines in the index, 1 line that",
            count + 1,
            count + 1
        )),
        "{said}"
    );
    assert_eq!(holding(&state, &unit), Vec::<PathBuf>::new());
    let others = lines.len() as u64 - count;
    found(&running, "*", others);
    found(&running, &format!("user:\"{unit}\""), 0);
    let other = users(&lines)[1].clone();
    found(&running, &format!("user:\"{}\"", other.0), other.1);
    // What comes from now on is taken again, and found.
    let again = format!(
        "{{\"ts\":\"2026-06-01T13:00:00Z\",\"service\":\"shop\",\"user\":\"{unit}\",\"level\":\"info\",\"message\":\"back\"}}\n"
    );
    assert_eq!(running.post("/ingest", &[], again.as_bytes()).unwrap().0, 200);
    found(&running, "message:back", 1);
    running.stop();

    // A restart decides alike, and finds alike.
    let running = start(folder.path());
    found(&running, "*", others + 1);
    let row = row(&running, 0).unwrap();
    assert_eq!((row["log_lines"].as_u64(), row["dead_letters"].as_u64()), (Some(count + 1), Some(1)));
    assert!(!row.to_string().contains(&unit), "{row}");
    running.stop();
    let (status, text) = replay(&state);
    assert!(status == 3 && text.contains("erased:"), "{status}: {text}");
    // What is altered before the first erased line is no erasure.
    let ledger = std::fs::read_to_string(state.join("ledger.ndjson")).unwrap();
    let register = std::fs::read_to_string(state.join("erased.ndjson")).unwrap();
    let mut erased: Value = serde_json::from_str(register.trim()).unwrap();
    erased["first"] = Value::from(u64::MAX);
    std::fs::write(state.join("erased.ndjson"), format!("{erased}\n")).unwrap();
    let (status, text) = replay(&state);
    assert!(status == 1 && text.contains("differs first"), "{status}: {text}");
    assert!(!ledger.contains(&unit));
}

/// Killed wherever it is, a request goes on after the restart, counts what it found before, and leaves each other line once.
#[test]
fn a_request_that_is_killed_between_its_steps_goes_on_after_the_restart() {
    let lines = rollout();
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let mut running = start(folder.path());
    send(&running, &lines, 0);
    let mut left = lines.len() as u64;
    found(&running, "*", left);
    // Killed when this stands in the file of what is under way: at once, and behind each step that is noted.
    let stages = ["\"unit\"", "\"log\":{", "\"dead_letters\":0", "\"index\":", "never"];
    for (stage, (unit, count)) in stages.iter().zip(users(&lines)) {
        let number = ask(&running, &unit);
        until("it is under way, or done", || {
            let noted = std::fs::read_to_string(state.join("erasing.json")).unwrap_or_default();
            let is_at = noted.contains(stage) && !noted.contains(&format!("{stage}null"));
            (is_at || row(&running, number).is_some()).then_some(())
        });
        let pid = running.child.id().to_string();
        assert!(std::process::Command::new("kill").args(["-9", &pid]).status().unwrap().success());
        drop(running);
        running = start(folder.path());
        let row = until("it is done", || row(&running, number));
        left -= count;
        let counted = ["log_lines", "index_lines"].map(|key| row[key].as_u64());
        assert_eq!(counted, [Some(count), Some(count)], "{stage}: {row}");
        assert_eq!(holding(&state, &unit), Vec::<PathBuf>::new(), "{stage}");
        found(&running, "*", left);
    }
    let (_, exported) = running.ask("/v1/export", &running.address).unwrap();
    let mut indexed: Vec<String> = exported
        .lines()
        .filter_map(|line| Some(serde_json::from_str::<Value>(line).ok()?.get("line")?.as_str()?.to_owned()))
        .collect();
    let gone: Vec<String> = users(&lines).into_iter().take(stages.len()).map(|(unit, _)| unit).collect();
    let mut expect: Vec<String> = lines.iter().map(Line::text).filter(|line| !gone.contains(&id_of(line))).collect();
    indexed.sort();
    expect.sort();
    assert!(indexed == expect, "{} and {}", indexed.len(), expect.len());
    // The index is made anew from what the log still has.
    running.stop();
    std::fs::remove_dir_all(state.join("index")).unwrap();
    let running = start(folder.path());
    found(&running, "*", left);
}
