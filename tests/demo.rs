//! The demo as people run it: every story comes out as it deserves, and the commands that it prints reproduce it.

use std::path::Path;
use std::process::{Command, Output};

fn demo(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_serin"))
        .args(["demo", "--no-ui"])
        .arg("--keep")
        .arg(folder)
        .args(arguments)
        .output()
        .expect("the program can be run")
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// Runs a story twice, and what it prints; `status`: exit status of `serin compare` for its verdict.
fn check(story: &str, verdict: &str, status: i32) {
    // A blank, since printed commands must be quoted where it matters.
    let folder = tempfile::Builder::new().prefix("serin demo").tempdir().expect("a folder");
    let first = demo(folder.path(), &["--story", story]);
    let shown = text(&first);
    assert_eq!(first.status.code(), Some(0), "{shown}\n{}", String::from_utf8_lossy(&first.stderr));
    assert!(!shown.contains('\u{1b}') && !shown.contains('\r'), "no terminal, no control sequences: {shown}");
    let row = shown.lines().rfind(|line| line.starts_with(story)).expect("a row in the closing table");
    let cells: Vec<&str> = row.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
    assert_eq!(cells.get(1..3), Some([verdict, "yes"].as_slice()), "{row}");
    assert!(shown.lines().any(|line| line.starts_with(&format!("  {verdict}  first at "))), "{shown}");

    let commands: Vec<&str> = shown.lines().filter(|line| line.starts_with("    ") && line.contains(".zst")).collect();
    let [compare, replay] = commands.as_slice() else { panic!("two commands: {shown}") };
    let run = |command: &str| Command::new("sh").arg("-c").arg(command.trim()).output().expect("a shell");
    let replayed = run(replay);
    assert_eq!(replayed.status.code(), Some(0), "{replay}: {}", text(&replayed));
    assert!(text(&replayed).starts_with("Every byte agrees"), "{}", text(&replayed));
    let compared = run(compare);
    assert_eq!(compared.status.code(), Some(status), "{compare}: {}", text(&compared));
    let word = verdict.split(' ').next().unwrap_or_default();
    let judged = text(&compared);
    assert!(judged.lines().next().is_some_and(|line| line.starts_with(word)), "{judged}");

    let ledger = |folder: &Path| std::fs::read(folder.join(format!("{story}.ledger"))).expect("a ledger");
    let once = ledger(folder.path());
    assert_eq!(demo(folder.path(), &["--story", story]).status.code(), Some(0));
    assert!(once == ledger(folder.path()), "{story}: the same seed gives the same ledger");
}

#[test]
fn healthy_passes() {
    check("healthy", "PASS", 0);
}

#[test]
fn few_users_broken_fails() {
    check("few-users-broken", "FAIL", 1);
}

#[test]
fn slow_tail_fails() {
    check("slow-tail", "FAIL", 1);
}

#[test]
fn faster_but_broken_is_held_back() {
    check("faster-but-broken", "INCONCLUSIVE (held back)", 3);
}

#[test]
fn broken_assignment_is_invalid() {
    check("broken-assignment", "INVALID", 4);
}

#[test]
fn arguments_that_mean_nothing_are_refused() {
    let folder = tempfile::tempdir().expect("a folder");
    for arguments in [["--story", "no-such"], ["--speed", "NaN"], ["--speed", "-1"], ["--seed", "x"]] {
        let refused = demo(folder.path(), &arguments);
        assert_eq!(refused.status.code(), Some(2), "{arguments:?}");
        assert!(!refused.stderr.is_empty() && refused.stdout.is_empty(), "{arguments:?}");
    }
    let names = String::from_utf8(demo(folder.path(), &["--story", "no-such"]).stderr).expect("text");
    assert!(names.contains("healthy, few-users-broken"), "{names}");
}
