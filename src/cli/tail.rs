//! `serin tail`: new lines of a running `serin run` as they come.
//!
//! An answer that breaks off is gone on with from where it was, also after the program was started again; lines that were too many for a slow
//! reader are counted and told of.

use std::io::{BufRead as _, IsTerminal as _, Write};
use std::time::Duration;

use anyhow::anyhow;
use serde_json::Value;

use crate::cli::arguments::{Colours, RemoteArguments, TailArguments};
use crate::cli::remote::Remote;
use crate::cli::report::count;
use crate::cli::search::{SHOWN, encoded};
use crate::cli::terminal::harmless;

/// Before it is asked again where an answer broke off.
const AGAIN: Duration = Duration::from_secs(1);
/// Characters of a stream's name, and of an arm's.
const NAME: usize = 60;

/// Runs `tail`.
pub(super) fn run(arguments: &TailArguments) -> anyhow::Result<u8> {
    let query = arguments.query.as_deref().unwrap_or("*");
    follow(&arguments.remote, query, arguments.after.as_deref(), arguments.json, arguments.color)
}

/// How lines are coloured.
#[derive(Clone, Copy)]
struct Paint(bool);

impl Paint {
    /// As asked; where nothing is, a terminal is written in colours unless `NO_COLOR` is set.
    fn of(asked: Colours) -> Paint {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|set| !set.is_empty());
        Paint(match asked {
            Colours::Always => true,
            Colours::Never => false,
            Colours::Auto => !plain && std::io::stdout().is_terminal(),
        })
    }

    /// Text in a colour of a terminal.
    fn with(self, code: &str, text: &str) -> String {
        if self.0 && !code.is_empty() { format!("\u{1b}[{code}m{text}\u{1b}[0m") } else { text.to_owned() }
    }

    /// A line for people.
    fn line(self, line: &Value) -> String {
        let of = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
        let failed = of("_failed") == "true";
        let code = match of("_level") {
            "fatal" => "1;31",
            "error" => "31",
            _ if failed => "31",
            "warn" => "33",
            "debug" | "trace" => "2",
            _ => "",
        };
        let mut text = format!("{}  {}", self.with("2", of("time")), self.with("36", &harmless(of("stream"), NAME)));
        if !of("_arm").is_empty() {
            text.push_str(&format!("  {}", self.with("35", &harmless(of("_arm"), NAME))));
        }
        text.push_str(&format!("  {}", self.with(code, &harmless(of("line"), SHOWN))));
        text
    }
}

/// Shows new lines as they come, until the program answers no more.
pub(super) fn follow(
    remote: &RemoteArguments,
    query: &str,
    after: Option<&str>,
    json: bool,
    colours: Colours,
) -> anyhow::Result<u8> {
    let remote = Remote::new(remote)?;
    let paint = Paint::of(colours);
    let mut after = after.unwrap_or_default().to_owned();
    let mut out = std::io::stdout().lock();
    loop {
        let mut path = format!("/v1/tail?q={}", encoded(query));
        if !after.is_empty() {
            path.push_str(&format!("&after={}", encoded(&after)));
        }
        let mut event = String::new();
        let reader = remote.stream(&path)?;
        for text in reader.lines() {
            // It ends, or breaks off.
            let Ok(text) = text else { break };
            if let Some(name) = text.strip_prefix("event: ") {
                name.clone_into(&mut event);
            } else if let Some(id) = text.strip_prefix("id: ") {
                id.clone_into(&mut after);
            } else if text.is_empty() {
                event.clear();
            } else if let Some(data) = text.strip_prefix("data: ") {
                let line: Value = serde_json::from_str(data).map_err(|_| anyhow!("an event that is none"))?;
                if event == "gap" {
                    let lines = line.get("lines").and_then(Value::as_u64).unwrap_or(0);
                    writeln!(std::io::stderr(), "{} were left out", count(lines, "line"))?;
                } else if json {
                    writeln!(out, "{line}")?;
                } else {
                    writeln!(out, "{}", paint.line(&line))?;
                }
                out.flush()?;
            }
        }
        // The stream broke: it is asked for again from the last line on, and not at once, so that a program that starts anew is not
        // pressed. One that has ended answers no more, which is said by that question.
        std::thread::sleep(AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_wrong_stands_out_and_no_line_can_colour_itself() {
        let line = |level: &str, text: &str| json!({ "time": "T", "stream": "http", "_level": level, "line": text });
        assert_eq!(Paint(false).line(&line("error", "x")), "T  http  x");
        let red = Paint(true).line(&line("error", "x\u{1b}[32my"));
        assert!(red.contains("\u{1b}[31mx") && !red.contains("\u{1b}[32m"), "{red:?}");
        assert!(Paint(true).line(&line("info", "x")).ends_with("  x"));
        let failed = json!({ "time": "T", "stream": "s", "_arm": "2", "_failed": "true", "line": "x" });
        let failed = Paint(true).line(&failed);
        assert!(failed.contains("\u{1b}[35m2") && failed.contains("\u{1b}[31mx"), "{failed:?}");
    }
}
