//! Programs that send log lines, and what they send in the tests: a bad rollout.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use serin::source::wal::Wal;
use serin::time::MINUTE;

use super::{Line, Traffic, serin};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `tests/servers/shippers.sh`, which has real clients.
pub fn shippers() -> Command {
    let mut command = Command::new(root().join("tests/servers/shippers.sh"));
    command.stdin(Stdio::null());
    command
}

/// Its tools are there, and so are the clients of these names.
pub fn clients_are_ready(prepare: &[&str]) -> bool {
    for tool in ["apt-get", "dpkg", "python3", "flock"] {
        let there = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{tool} is missing in CI");
            println!("skipped: {tool} is missing");
            return false;
        }
    }
    for clients in prepare {
        assert!(shippers().arg(clients).status().unwrap().success(), "the clients are downloaded");
    }
    true
}

/// A block of a page below `docs/ingest` that begins so.
pub fn block(page: &str, begins: &str) -> String {
    let text = std::fs::read_to_string(root().join("docs/ingest").join(page)).unwrap();
    let block = text
        .split("```")
        .find(|block| block.trim_start_matches(char::is_alphabetic).trim_start().starts_with(begins))
        .unwrap_or_else(|| panic!("{page} has no block that begins with {begins}"));
    let (_language, block) = block.split_once('\n').unwrap();
    block.to_owned()
}

/// A client that runs; it ends with this.
pub struct Client(Child);

impl Client {
    pub fn start(mut command: Command) -> Client {
        Client(command.spawn().unwrap())
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.0.wait().unwrap().success(), "it stops by itself");
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = (self.0.kill(), self.0.wait());
    }
}

/// A bad rollout whose lines say service, version and cohort; one line of it is long, and has letters and signs of all kinds.
pub fn bad_rollout() -> Vec<Line> {
    let errors = vec![0.01, 0.2];
    let traffic = Traffic { seed: 61, requests: 6_000, users: 1_500, minutes: 20, errors, ..Traffic::default() };
    let mut lines = traffic.lines();
    for line in &mut lines {
        let version = ["1.0", "2.0"][line.arm];
        line.text = line.text.replacen('{', &format!("{{\"version\":\"{version}\","), 1);
    }
    let long = format!("ünï \\t \\\"quoted\\\" \\\\ %s ${{x}} {}", "x".repeat(20_000));
    lines.insert(7, Line::new(lines[7].at, 0, 0, &format!(r#""service":"shop","level":"info","message":"{long}""#)));
    // The windows of all others are closed by it.
    let at = lines.iter().map(|line| line.at).max().unwrap() + 4 * MINUTE;
    lines.push(Line::new(at, 0, 0, r#""level":"info","message":"after""#));
    lines
}

/// Appends lines to a log, as the program that writes it.
pub fn append(log: &Path, lines: &[Line]) {
    let text: String = lines.iter().map(|line| line.text() + "\n").collect();
    std::fs::OpenOptions::new().create(true).append(true).open(log).unwrap().write_all(text.as_bytes()).unwrap();
}

/// All lines of a write-ahead log, once its program has ended.
pub fn stored(state: &Path) -> Vec<String> {
    let mut opened = Wal::open(&state.join("wal")).unwrap();
    let mut lines = Vec::new();
    while let Some((_, text)) = opened.reader.next(Duration::ZERO).unwrap() {
        lines.extend(String::from_utf8(text).unwrap().lines().filter(|line| !line.is_empty()).map(str::to_owned));
    }
    lines
}

/// All requests of [`bad_rollout`] have been read.
pub fn all_but_the_last(report: &Value, lines: &[Line]) -> bool {
    report["records"]["read"].as_u64() >= Some(lines.len() as u64 - 1)
}

/// Every line of [`bad_rollout`] was read once and on time, its fields play their roles, and what is found is what `serin compare` finds in
/// the same lines as a file, but for what is named.
#[track_caller]
pub fn is_judged_as_a_file(report: &Value, folder: &Path, lines: &[Line], but_for: &[&str]) {
    let records = &report["records"];
    let read = records["read"].as_u64().unwrap() as usize;
    assert!([&records["on_time"], &records["events"]].iter().all(|count| **count == read), "{records}");
    // Nothing need close the window of the last.
    assert!(read == lines.len() || read + 1 == lines.len(), "{} lines: {records}", lines.len());
    for (role, field) in [("service", "service"), ("version", "version"), ("cohort", "cohort"), ("user", "user")] {
        assert_eq!(report["survey"]["roles"][role]["fields"][0]["path"], field, "{}", report["survey"]["roles"]);
    }
    let log = folder.join("whole.log");
    append(&log, &lines[..read]);
    let file = serin(folder, &["compare", "whole.log", "--format", "json"]).json();
    assert_eq!((&report["verdict"], &file["verdict"]), (&"fail".into(), &"fail".into()));
    let compared = |report: &Value| {
        let mut comparison = report["comparisons"][0].clone();
        // Where its lines stand is another matter.
        comparison.as_object_mut().unwrap().remove("evidence").unwrap();
        comparison
    };
    let (found, expect) = (compared(report), compared(&file));
    assert_eq!(
        (&found["service"], &found["control"], &found["candidate"]),
        (&json!("shop"), &json!("baseline"), &json!("canary"))
    );
    for (key, expect) in expect.as_object().unwrap() {
        assert!(but_for.contains(&key.as_str()) || &found[key] == expect, "{key}: {} and not {expect}", found[key]);
    }
}
