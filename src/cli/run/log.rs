//! What `serin run` says on standard error while it runs: a line an event, as text or as JSON. Never a secret, and of log text only
//! what was made harmless.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::json;

use crate::cli::run::hooks::clock_ms;
use crate::time::Timestamp;

/// Lines are JSON. One program has one standard error.
static JSON: AtomicBool = AtomicBool::new(false);

/// How grave an event is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Level {
    Info,
    Warn,
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }
}

/// Lines are JSON from now on.
pub(super) fn as_json() {
    JSON.store(true, Ordering::Relaxed);
}

/// Whether they are.
pub(super) fn is_json() -> bool {
    JSON.load(Ordering::Relaxed)
}

/// Something is as it should be.
pub(super) fn say(words: &str) {
    line(Level::Info, words);
}

/// Something is out of order, and may pass.
pub(super) fn warn(words: &str) {
    line(Level::Warn, words);
}

/// The program ends by this.
pub(super) fn error(words: &str) {
    line(Level::Error, words);
}

fn line(level: Level, words: &str) {
    let text = match is_json() {
        true => to_json(level, words, clock_ms()),
        false => format!("serin: {words}"),
    };
    // Where nobody reads it, nothing is lost that the ledger does not have.
    let _nobody_reads = writeln!(std::io::stderr(), "{text}");
}

fn to_json(level: Level, words: &str, clock_ms: i64) -> String {
    let time = Timestamp(clock_ms.saturating_mul(1_000)).to_string();
    json!({ "time": time, "level": level.name(), "message": words }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_of_json() {
        let text = to_json(Level::Warn, "two\nlines and \"quotes\"", 1_780_272_000_123);
        let line = r#"{"level":"warn","message":"two\nlines and \"quotes\"","time":"2026-06-01T00:00:00.123Z"}"#;
        assert_eq!(text, line);
    }
}
