//! `serin test`: the tests that pipelines carry.

use std::fmt::Write as _;

use anyhow::{Context, bail};
use clap::Args;

use crate::cli::report::count;
use crate::cli::terminal::{self, harmless};
use crate::event::{Event, Intern, Level, METRIC_UNREAD, NO_LATENCY, Names, name_at};
use crate::pipeline::decode::fields::FieldReader;
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::metric::{GAUGE_PARTS, MetricKind};
use crate::pipeline::plan::Plan;
use crate::pipeline::prepare::Key;
use crate::pipeline::survey::{Head, Wishes, survey};
use crate::query::{Record as _, Value};
use crate::sketch::latency::bin_low;

use super::keys::schema;
use super::{Pipeline, Source, Test, join, parse, shipped_names, sources, told};

/// Keys that are written for a line, where nothing was named before.
const WRITTEN: [&str; 10] =
    ["kind", "service", "arm", "time", "status", "failed", "latency_ms", "level", "route", "event"];
/// Characters of a value that are shown.
const SHOWN: usize = 200;

/// Arguments of `test`.
#[derive(Debug, Args)]
#[command(
    after_help = "Each test of a pipeline is a few lines and what they are read as. Only what a test names is compared; a test without \
`gives` shows what there is.\n\nExit status: 0 every test passed, 1 one did not, 2 a file that is no pipeline.\n\nExamples:\n  serin test\n  serin \
test pipelines/\n  serin test nginx my.yaml\n  serin test --update my.yaml"
)]
pub(in crate::cli) struct TestArguments {
    /// Pipelines: files, folders of files, or names of those that are part of the program (default: all of those)
    #[arg(value_name = "NAME|FILE")]
    pub pipelines: Vec<String>,
    /// Write into the files what was seen
    #[arg(long)]
    pub update: bool,
    /// Print the JSON Schema of a pipeline instead, for editors
    #[arg(long, conflicts_with_all = ["pipelines", "update"])]
    pub schema: bool,
}

/// Runs `test`.
pub(in crate::cli) fn run(arguments: &TestArguments) -> anyhow::Result<u8> {
    if arguments.schema {
        terminal::print(&format!("{:#}\n", schema()))?;
        return Ok(0);
    }
    let names: Vec<String> = match arguments.pipelines.is_empty() {
        true => shipped_names().map(str::to_owned).collect(),
        false => arguments.pipelines.clone(),
    };
    let mut text = String::new();
    let (mut wrong, mut failed, mut all) = (false, 0, 0);
    for name in &names {
        for source in sources(name)? {
            let pipeline = match parse(&source.text) {
                Ok(pipeline) => pipeline,
                Err(problems) => {
                    text.push_str(&told(&source.shown, &problems));
                    wrong = true;
                    continue;
                }
            };
            let results: Vec<(usize, Vec<Seen>)> =
                pipeline.tests.iter().map(|test| read(&pipeline, test)).enumerate().collect();
            if arguments.update {
                update(&source, &pipeline, &results, &mut text)?;
                continue;
            }
            let mut here = 0;
            for (test, (_, seen)) in pipeline.tests.iter().zip(&results) {
                let misses = differences(test, seen);
                all += 1;
                if !misses.is_empty() {
                    here += 1;
                    let about = if test.about.is_empty() { "a test" } else { &test.about };
                    let _infallible =
                        writeln!(text, "{}:{}: {}: not as written", source.shown, test.at.0, harmless(about, 120));
                    text.push_str(&misses);
                }
            }
            failed += here;
            if here == 0 {
                let _infallible =
                    writeln!(text, "{}: {} passed", source.shown, count(pipeline.tests.len() as u64, "test"));
            }
        }
    }
    if !arguments.update && !wrong {
        let _infallible = match failed {
            0 => writeln!(text, "all {} passed", count(all, "test")),
            failed => writeln!(text, "{failed} of {} failed", count(all, "test")),
        };
    }
    terminal::print(&text)?;
    Ok(match (wrong, failed) {
        (true, _) => super::super::STATUS_ERROR,
        (false, 0) => 0,
        (false, _) => 1,
    })
}

/// What a line was read as.
pub(super) struct Seen {
    /// The line as it is read.
    line: String,
    keys: Vec<(&'static str, String)>,
    /// Every field of the line.
    fields: Vec<(String, String)>,
}

impl Seen {
    /// The value of a key: of what was decoded, else of a field.
    fn get(&self, key: &str) -> Option<&str> {
        if key == "line" {
            return Some(&self.line);
        }
        let known = self.keys.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
        known.or_else(|| self.fields.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str()))
    }
}

/// Reads the lines of a test as the pipeline says.
pub(super) fn read(pipeline: &Pipeline, test: &Test) -> Vec<Seen> {
    let mut wishes = Wishes::default();
    // One pipeline is not in the way of another.
    let joined = join(vec![pipeline.clone()], Key::default(), &mut wishes);
    debug_assert!(joined.is_ok());
    let lines: Vec<&str> = test.lines.iter().map(String::as_str).filter(|line| !line.trim().is_empty()).collect();
    let head = Head { stream: &test.stream, lines: lines.clone() };
    let mut plan = survey(&[head], &wishes).plan;
    plan.conversions.names.clone_from(&wishes.events);
    plan.metrics.clone_from(&wishes.metrics);
    let mut decoder = Decoder::new(&plan, &test.stream);
    let mut reader = FieldReader::default();
    lines
        .into_iter()
        .map(|line| {
            let line = decoder.prepared(line).into_owned();
            let keys = match decoder.decode_prepared(&line, 0) {
                Ok(Decoded::Event(event)) => keys(&event, Intern::names(decoder.interner()), &plan),
                Ok(Decoded::Outside) => vec![("kind", "outside".to_owned())],
                Err(reason) => vec![("rejected", reason.name().to_owned())],
            };
            let found = reader.read(&line).unwrap_or_default();
            let value = |value: Value<'_>| match value {
                Value::Str(text) => text.into_owned(),
                Value::Number(number) => number.to_string(),
                Value::Bool(truth) => truth.to_string(),
                Value::List(_) => "(a list)".to_owned(),
            };
            let record = reader.record(&found, &test.stream);
            let fields = found.iter().filter_map(|(id, _)| {
                let path = reader.path(*id);
                Some((path.to_owned(), value(record.field(path)?)))
            });
            Seen { fields: fields.collect(), keys, line }
        })
        .collect()
}

fn keys(event: &Event, names: &Names, plan: &Plan) -> Vec<(&'static str, String)> {
    let named = |list: &[String], id| name_at(list, id).cloned().unwrap_or_default();
    let service = names.services.get(usize::from(event.service));
    let mut keys = vec![
        ("kind", event.kind.name().to_owned()),
        ("environment", service.map(|key| key.environment.clone()).unwrap_or_default()),
        ("cell", service.map(|key| key.cell.clone()).unwrap_or_default()),
        ("service", service.map(|key| key.service.clone()).unwrap_or_default()),
        ("arm", named(&names.arms, event.arm)),
        ("time", event.time.to_string()),
        ("route", named(&names.routes, event.route)),
        ("instance", named(&names.instances, event.instance)),
        ("failed", event.error.to_string()),
        ("unit", (event.unit != 0).to_string()),
    ];
    if event.status_class > 0 {
        keys.push(("status", format!("{}xx", event.status_class)));
    }
    if event.latency_us != NO_LATENCY {
        keys.push(("latency_ms", (event.latency_us as f64 / 1_000.0).to_string()));
    }
    if event.level != Level::Unknown {
        keys.push(("level", event.level.name().to_owned()));
    }
    if let Some(name) = event.conversion.checked_sub(1).and_then(|at| plan.conversions.names.get(usize::from(at))) {
        keys.push(("event", name.clone()));
    }
    let said = event.metrics.iter().zip(&plan.metrics).filter_map(|(said, metric)| {
        let bin = said.checked_sub(1)?;
        if *said == METRIC_UNREAD {
            return Some(format!("{} unreadable", metric.name));
        }
        let value = match metric.kind {
            MetricKind::Ratio | MetricKind::Count => f64::from(bin),
            MetricKind::Gauge => bin_low(bin) as f64 / GAUGE_PARTS as f64,
        };
        Some(format!("{} {value}", metric.name))
    });
    let said: Vec<String> = said.collect();
    if !said.is_empty() {
        keys.push(("metrics", said.join(", ")));
    }
    keys
}

/// Where lines were read otherwise than a test says; empty where they were not.
pub(super) fn differences(test: &Test, seen: &[Seen]) -> String {
    let mut text = String::new();
    let shown = |text: &str| harmless(text, SHOWN);
    if test.gives.is_empty() {
        text.push_str("  it says nothing of what its lines give; they give:\n");
        seen.iter().for_each(|seen| text.push_str(&format!("    - {}\n", written(seen, &[]))));
        return text;
    }
    if test.gives.len() != seen.len() {
        let _infallible =
            writeln!(text, "  {} and {}", count(seen.len() as u64, "line"), count(test.gives.len() as u64, "result"));
    }
    for (number, (gives, seen)) in test.gives.iter().zip(seen).enumerate() {
        for (key, wanted) in gives {
            let found = seen.get(key);
            if found.unwrap_or_default() != wanted {
                let found = match found {
                    Some(found) => format!("`{}`", shown(found)),
                    None => match seen.get("rejected") {
                        Some(reason) => format!("nothing: the line is rejected ({reason})"),
                        None => "nothing".to_owned(),
                    },
                };
                let _infallible =
                    writeln!(text, "  line {}: {key}: `{}` is written, and it is {found}", number + 1, shown(wanted));
            }
        }
    }
    text
}

/// What a line gives, as a mapping in one line. `named`: keys that the test names; those that say something where it names none.
fn written(seen: &Seen, named: &[(String, String)]) -> String {
    let pairs: Vec<String> = match named {
        [] => std::iter::once("rejected")
            .chain(WRITTEN)
            .filter_map(|key| Some((key, seen.get(key)?)))
            .filter(|(key, value)| !(value.is_empty() || (*key == "failed" && *value == "false")))
            .map(|(key, value)| format!("{key}: {}", quoted(value)))
            .collect(),
        named => named
            .iter()
            .map(|(key, _)| format!("{}: {}", quoted(key), quoted(seen.get(key).unwrap_or_default())))
            .collect(),
    };
    format!("{{{}}}", pairs.join(", "))
}

/// A text as YAML takes it inside braces.
fn quoted(text: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_./-".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) && !text.starts_with('-') {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', "''"))
}

/// Writes what was seen into a pipeline's file.
fn update(
    source: &Source,
    pipeline: &Pipeline,
    results: &[(usize, Vec<Seen>)],
    text: &mut String,
) -> anyhow::Result<()> {
    let Some(path) = &source.path else {
        bail!("{}: this one is part of the program; its text is updated where it lies as a file", source.shown);
    };
    let mut lines: Vec<String> = source.text.lines().map(str::to_owned).collect();
    let mut changed = 0;
    // From the last: what stands before stays where it is.
    for (test, (_, seen)) in pipeline.tests.iter().zip(results).rev() {
        if differences(test, seen).is_empty() {
            continue;
        }
        let (line, column) = test.at;
        changed += 1;
        if test.gives.is_empty() {
            // Behind its other keys.
            let indent = column.saturating_sub(1);
            let is_inside = |text: &&String| text.trim().is_empty() || text.len() - text.trim_start().len() >= indent;
            let rest = lines.get(line..).unwrap_or_default();
            let inside: Vec<&String> = rest.iter().take_while(is_inside).collect();
            let blank = inside.iter().rev().take_while(|text| text.trim().is_empty()).count();
            let end = line + inside.len() - blank;
            let results = seen.iter().map(|seen| format!("{}  - {}", " ".repeat(indent), written(seen, &[])));
            let block: Vec<String> = std::iter::once(format!("{}gives:", " ".repeat(indent))).chain(results).collect();
            lines.splice(end..end, block);
            continue;
        }
        let (first, indent) = (line, column.saturating_sub(1));
        let is_inside = |text: &String| {
            let own = text.len() - text.trim_start().len();
            text.trim().is_empty() || own > indent || (own == indent && text.trim_start().starts_with("- "))
        };
        let end = lines.iter().skip(first).take_while(|text| is_inside(text)).count() + first;
        let block = seen.iter().enumerate().map(|(at, seen)| {
            let named = test.gives.get(at).map_or(&[] as &[_], Vec::as_slice);
            format!("{}  - {}", " ".repeat(indent), written(seen, named))
        });
        let block: Vec<String> = block.collect();
        let trailing =
            lines.get(first..end).map_or(0, |rest| rest.iter().rev().take_while(|text| text.trim().is_empty()).count());
        lines.splice(first..end - trailing, block);
    }
    if changed > 0 {
        let written = lines.join("\n") + "\n";
        // What could not be read again would be no pipeline any more.
        let is_whole = parse(&written).is_ok_and(|again| {
            let gives = again.tests.iter().map(|test| &test.gives);
            gives.zip(results).all(|(gives, (_, seen))| gives.len() == seen.len())
        });
        if !is_whole {
            bail!(
                "{}: the results could not be put into this file; write each test's `gives` as a list of lines below it, or leave it out, and try again. Nothing was changed",
                source.shown
            );
        }
        std::fs::write(path, written).with_context(|| format!("{}: cannot be written", source.shown))?;
    }
    let _infallible = writeln!(text, "{}: {} written anew", source.shown, count(changed, "test"));
    Ok(())
}
