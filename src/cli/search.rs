//! `serin search`: lines by a query, from files or from a running `serin run`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
#[cfg(feature = "serve")]
use std::io::BufRead as _;
use std::io::Write;

#[cfg(feature = "serve")]
use anyhow::anyhow;
use anyhow::bail;
use serde_json::{Map, Value};

use crate::cli::arguments::SearchArguments;
use crate::cli::compare;
use crate::cli::each_line::{EachLine, Resolved};
#[cfg(feature = "serve")]
use crate::cli::remote::{Remote, refused};
use crate::cli::report::count;
use crate::cli::terminal::{Progress, harmless};
use crate::index::{Cursor, Found};
use crate::query::Node;
use crate::source::files;

/// Characters of a line that are shown to a person.
const SHOWN: usize = 2_000;
/// Lines that are held for the answer.
const LIMIT_MAX: usize = 1_000_000;
/// Lines that are asked for at a time.
#[cfg(feature = "serve")]
const PAGE: usize = 1_000;

/// Runs `search`.
pub(super) fn run(arguments: &SearchArguments) -> anyhow::Result<u8> {
    let Some((text, files)) = arguments.words.split_last() else { bail!("a query is needed") };
    if arguments.limit > LIMIT_MAX {
        bail!("--limit: at most {LIMIT_MAX}");
    }
    #[cfg(feature = "serve")]
    if arguments.follow {
        if !files.is_empty() {
            bail!("--follow: asks a running `serin run`, so no files are named");
        }
        return follow(arguments, text);
    }
    if files.is_empty() {
        #[cfg(feature = "serve")]
        return ask(arguments, text);
        #[cfg(not(feature = "serve"))]
        bail!("name log files, and then the query");
    }
    let mut streams = files::find(files)?;
    let wishes = compare::wishes(&arguments.how, None)?;
    let found = compare::look_at(&mut streams, &wishes)?.found;
    let mut each = EachLine::new(&mut streams, &found.plan)?;
    let query = each.resolve(text)?;
    let (lines, total) = in_files(&mut each, &query, arguments.limit)?;
    let mut out = std::io::stdout().lock();
    for line in &lines {
        if arguments.json { writeln!(out, "{}", line_json(line, None))? } else { show(&mut out, line)? }
    }
    if !arguments.json && total > lines.len() as u64 {
        writeln!(std::io::stderr(), "the newest {} of {}", lines.len(), count(total, "line"))?;
    }
    Ok(u8::from(total == 0))
}

/// Asks a running program.
#[cfg(feature = "serve")]
fn ask(arguments: &SearchArguments, query: &str) -> anyhow::Result<u8> {
    let remote = Remote::new(&arguments.remote)?;
    let (mut left, mut before, mut total) = (arguments.limit, String::new(), 0);
    let mut out = std::io::stdout().lock();
    loop {
        let mut path = format!("/v1/search?q={}&limit={}", encoded(query), left.min(PAGE));
        for (name, value) in [
            ("since", arguments.how.since.as_deref()),
            ("until", arguments.how.until.as_deref()),
            ("before", Some(before.as_str())),
        ] {
            if let Some(value) = value.filter(|value| !value.is_empty()) {
                path.push_str(&format!("&{name}={}", encoded(value)));
            }
        }
        let (status, body) = remote.get(&path)?;
        if status != 200 {
            return Err(refused(status, &body));
        }
        let text = |value: &Value, key: &str| value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
        let lines = body.get("lines").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        total = total.max(body.pointer("/total/lines").and_then(Value::as_u64).unwrap_or(0));
        for line in lines {
            if arguments.json {
                writeln!(out, "{line}")?;
                continue;
            }
            let (time, stream) = (text(line, "time"), text(line, "stream"));
            writeln!(out, "{time}  {}  {}", harmless(&stream, 60), harmless(&text(line, "line"), SHOWN))?;
        }
        if let Some(why) = body.get("partial").and_then(Value::as_str) {
            bail!("the answer is not whole ({})", harmless(why, 100));
        }
        left = left.saturating_sub(lines.len());
        before = text(&body, "next");
        if left == 0 || before.is_empty() {
            break;
        }
    }
    let shown = (arguments.limit - left) as u64;
    if !arguments.json && total > shown {
        writeln!(std::io::stderr(), "the newest {shown} of {}", count(total, "line"))?;
    }
    Ok(u8::from(total == 0))
}

/// Shows new lines as they come. An answer that breaks off is gone on with from where it was.
#[cfg(feature = "serve")]
fn follow(arguments: &SearchArguments, query: &str) -> anyhow::Result<u8> {
    let remote = Remote::new(&arguments.remote)?;
    let mut after = String::new();
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
                let of = |key: &str| line.get(key).and_then(Value::as_str).unwrap_or_default();
                if event == "gap" {
                    let lines = line.get("lines").and_then(Value::as_u64).unwrap_or(0);
                    writeln!(std::io::stderr(), "{} were left out", count(lines, "line"))?;
                } else if arguments.json {
                    writeln!(out, "{line}")?;
                } else {
                    let (stream, line) = (harmless(of("stream"), 60), harmless(of("line"), SHOWN));
                    writeln!(out, "{}  {stream}  {line}", of("time"))?;
                }
                out.flush()?;
            }
        }
        // The stream broke: it is asked for again from the last line on, and not at once, so that a program that starts anew is not
        // pressed. One that has ended answers no more, which is said by that question.
        std::thread::sleep(std::time::Duration::from_secs(1));
    }
}

/// Text as a parameter.
#[cfg(feature = "serve")]
fn encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

fn show(out: &mut impl Write, line: &Found) -> std::io::Result<()> {
    writeln!(out, "{}  {}  {}", line.time(), harmless(&line.at.stream, 60), harmless(&line.line, SHOWN))
}

/// A line as answers have it.
pub(super) fn line_json(found: &Found, tree: Option<&Node>) -> Value {
    let mut line = Map::new();
    line.insert("time".to_owned(), Value::from(found.time().to_string()));
    line.insert("stream".to_owned(), Value::from(found.at.stream.as_str()));
    line.insert("position".to_owned(), Value::from(found.at.position));
    line.insert("cursor".to_owned(), Value::from(found.at.to_string()));
    line.insert("line".to_owned(), Value::from(found.line.as_str()));
    for (name, value) in &found.told {
        line.insert((*name).to_owned(), Value::from(value.as_str()));
    }
    if let Some(tree) = tree {
        let marks = found.highlights(tree).into_iter();
        let marks = marks.map(|(field, at)| serde_json::json!({ "field": field, "from": at.start, "to": at.end }));
        line.insert("highlights".to_owned(), Value::Array(marks.collect()));
    }
    Value::Object(line)
}

/// The newest lines of files that match, and how many do.
fn in_files(lines: &mut EachLine<'_>, query: &Resolved, limit: usize) -> anyhow::Result<(Vec<Found>, u64)> {
    let (mut newest, mut total) = (BinaryHeap::new(), 0u64);
    lines.read(&Progress::bytes(0), |record, _| {
        if !query.tree.matches(record) {
            return;
        }
        total += 1;
        let at = Cursor { time: record.told.time.0, stream: record.stream.to_owned(), position: record.position };
        let is_new = newest.len() < limit || newest.peek().is_some_and(|Reverse((worst, _, _))| at > *worst);
        if is_new {
            newest.push(Reverse((at, record.line.to_owned(), record.told())));
            if newest.len() > limit {
                newest.pop();
            }
        }
    })?;
    lines.check_met(query)?;
    let mut found: Vec<Found> = newest.into_iter().map(|Reverse((at, line, told))| Found { at, line, told }).collect();
    found.sort_by(|a, b| b.at.cmp(&a.at));
    Ok((found, total))
}
