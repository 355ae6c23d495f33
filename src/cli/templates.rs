//! `serin templates`: what a log says, by statement, and how two arms differ in it.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use anyhow::bail;
use clap::Args;
use serde_json::{Value, json};

use crate::adoption::intervals::{self, Estimate};
use crate::cli::arguments::HowArguments;
use crate::cli::compare::{check_roles, look_at, wishes};
use crate::cli::each_line::EachLine;
use crate::cli::report::{count, grouped, percent};
use crate::cli::terminal::{self, Progress, harmless};
use crate::event::{Event, Kind, Level, NO_TEMPLATE, Names, OVERFLOW_TEMPLATE, TemplateText, name_at};
use crate::pipeline::template::groups;
use crate::source::files;
use crate::time::Timestamp;

/// Templates that are told apart; what comes past them is one.
const TEMPLATES_MAX: usize = 20_000;
/// Units of a template and arm that are exact; of more every second is followed, by hash, and so on.
const UNITS_MAX: usize = 16_384;
/// Bytes of a line that is kept as an example.
const EXAMPLE_MAX: usize = 1_000;
/// Characters of a template that are shown.
const SHOWN: usize = 200;

/// Arguments of `templates`.
#[derive(Debug, Args)]
#[command(
    after_help = "A template is what all lines of one statement have in common, whatever values they were written with; its id is the same in every \
log, file and run. Lines of level error and worse come first, then the most frequent.\n\nWith --diff two arms are set side by side: NEW and GONE where \
one of them never says it, UP and DOWN where the interval of a single look leaves out 1, for units that met it. What a rollout is judged by holds at \
whatever time it is looked: serin compare.\n\nExamples:\n  serin templates app.log\n  serin templates app.log --diff 2.4.0 2.5.0\n  serin templates \
app.log --json | jq '.templates[0]'"
)]
pub(in crate::cli) struct TemplatesArguments {
    /// Log files, folders, patterns, or - for standard input; plain, gzip or zstd
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// Two arms (versions, cohorts) that are set side by side, the older first
    #[arg(long, num_args = 2, value_names = ["OLD", "NEW"])]
    pub diff: Vec<String>,
    /// Templates that are shown
    #[arg(long, default_value_t = 30, value_name = "N")]
    pub limit: usize,
    /// Only those of this level or worse (warn, error)
    #[arg(long, value_name = "LEVEL")]
    pub level: Option<String>,
    /// Print an object of JSON, with all of them
    #[arg(long)]
    pub json: bool,
    /// How to read them.
    #[command(flatten)]
    pub how: HowArguments,
}

/// Distinct units: exact up to a number, then one in so many.
#[derive(Clone, Debug, Default)]
struct Distinct {
    units: BTreeSet<u64>,
    halved: u32,
}

impl Distinct {
    fn insert(&mut self, unit: u64) {
        let follows =
            |unit: u64, halved: u32| crate::event::mix(unit, crate::event::KEY_ADOPTION) & ((1 << halved) - 1) == 0;
        if unit == 0 || !follows(unit, self.halved) {
            return;
        }
        self.units.insert(unit);
        while self.units.len() > UNITS_MAX {
            self.halved += 1;
            let halved = self.halved;
            self.units.retain(|unit| follows(*unit, halved));
        }
    }

    fn count(&self) -> u64 {
        (self.units.len() as u64) << self.halved
    }
}

/// Lines of one template under one arm.
#[derive(Clone, Debug, Default)]
struct Cell {
    lines: u64,
    units: Distinct,
}

/// One template.
#[derive(Clone, Debug)]
struct Template {
    text: String,
    level: Level,
    first: Timestamp,
    last: Timestamp,
    services: BTreeSet<String>,
    example: (Timestamp, String),
    all: u64,
    /// Of the two arms that are set side by side.
    arms: [Cell; 2],
}

/// How the new arm differs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Change {
    New,
    Gone,
    Up,
    Down,
    Same,
}

impl Change {
    fn name(self) -> &'static str {
        match self {
            Change::New => "new",
            Change::Gone => "gone",
            Change::Up => "up",
            Change::Down => "down",
            Change::Same => "same",
        }
    }
}

/// What all lines came to.
#[derive(Debug, Default)]
struct Seen {
    templates: BTreeMap<u64, Template>,
    lines: u64,
    overflow: u64,
    /// Requests and units of the two arms.
    requests: [u64; 2],
    units: [Distinct; 2],
    arms: BTreeSet<String>,
}

impl Seen {
    fn take(&mut self, line: &str, event: &Event, names: &Names, diff: &[String]) {
        let arm = name_at(&names.arms, event.arm);
        if let Some(arm) = arm.filter(|arm| self.arms.len() < 1_000 && !self.arms.contains(*arm)) {
            self.arms.insert(arm.clone());
        }
        let side = arm.and_then(|arm| diff.iter().position(|of| of == arm)).filter(|side| *side < 2);
        if let Some(side) = side {
            self.requests[side] += u64::from(event.kind == Kind::Request);
            self.units[side].insert(event.unit);
        }
        if event.template == NO_TEMPLATE {
            return;
        }
        self.lines += 1;
        if event.template == OVERFLOW_TEMPLATE
            || (self.templates.len() >= TEMPLATES_MAX && !self.templates.contains_key(&event.template))
        {
            self.overflow += 1;
            return;
        }
        let template = self.templates.entry(event.template).or_insert_with(|| Template {
            text: text_of(names, event.template),
            level: Level::Unknown,
            first: event.time,
            last: event.time,
            services: BTreeSet::new(),
            example: (event.time, String::new()),
            all: 0,
            arms: Default::default(),
        });
        template.level = template.level.max(event.level).max(if event.error { Level::Error } else { Level::Unknown });
        template.first = template.first.min(event.time);
        template.last = template.last.max(event.time);
        if template.services.len() < 20
            && let Some(service) = names.services.get(usize::from(event.service))
        {
            template.services.insert(service.to_string());
        }
        if template.example.1.is_empty() || event.time < template.example.0 {
            let end = (0..=EXAMPLE_MAX.min(line.len())).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
            template.example = (event.time, line.get(..end).unwrap_or_default().to_owned());
        }
        template.all += 1;
        if let Some(cell) = side.and_then(|side| template.arms.get_mut(side)) {
            cell.lines += 1;
            cell.units.insert(event.unit);
        }
    }

    fn change(&self, of: &Template) -> Change {
        match [of.arms[0].lines, of.arms[1].lines] {
            [0, 0] => return Change::Same,
            [0, _] => return Change::New,
            [_, 0] => return Change::Gone,
            [_, _] => {}
        }
        match self.ratio(of) {
            Some(ratio) if ratio.low > 1.0 => Change::Up,
            Some(ratio) if ratio.high < 1.0 => Change::Down,
            Some(_) | None => Change::Same,
        }
    }

    /// Part of the new arm's units that met it over that of the old arm's.
    fn ratio(&self, of: &Template) -> Option<Estimate> {
        let [old, new] =
            [0, 1].map(|side| (of.arms[side].units.count().min(self.units[side].count()), self.units[side].count()));
        intervals::ratio(new, old)
    }

    fn per_thousand(&self, of: &Template) -> [Option<f64>; 2] {
        [0, 1].map(|side| {
            (self.requests[side] > 0).then(|| of.arms[side].lines as f64 * 1_000.0 / self.requests[side] as f64)
        })
    }
}

fn text_of(names: &Names, id: u64) -> String {
    names.templates.iter().find(|TemplateText { id: of, .. }| *of == id).map(|of| of.text.clone()).unwrap_or_default()
}

/// Runs `templates`.
pub(super) fn run(arguments: &TemplatesArguments) -> anyhow::Result<u8> {
    let least = match arguments.level.as_deref().map(crate::pipeline::values::level) {
        Some(Level::Unknown) => bail!("--level: there are debug, info, warn, error, fatal"),
        level => level.unwrap_or(Level::Unknown),
    };
    let wishes = wishes(&arguments.how, None)?;
    let mut streams = files::find(&arguments.files)?;
    let found = look_at(&mut streams, &wishes)?.found;
    check_roles(&found, &arguments.how)?;
    let mut lines = EachLine::new(&mut streams, &found.plan)?;
    let mut seen = Seen::default();
    lines.read(&Progress::bytes(0), |record, event| {
        if let Some((event, names)) = event {
            seen.take(record.line, event, names, &arguments.diff);
        }
    })?;
    for arm in &arguments.diff {
        if !seen.arms.contains(arm) {
            let known: Vec<String> = seen.arms.iter().take(20).map(|arm| harmless(arm, 60)).collect();
            bail!(
                "--diff: no line is of arm {}; there are {}",
                harmless(arm, 60),
                if known.is_empty() { "none".to_owned() } else { known.join(", ") }
            );
        }
    }
    let is_diff = arguments.diff.len() == 2;
    let mut list: Vec<(u64, &Template, Change)> = seen
        .templates
        .iter()
        .filter(|(_, of)| of.level >= least)
        .map(|(id, of)| (*id, of, if is_diff { seen.change(of) } else { Change::Same }))
        .collect();
    // What may be an error first; then what differs, then the most frequent.
    list.sort_by_key(|(id, of, change)| {
        let severe = of.level >= Level::Error;
        (
            Reverse(is_diff && *change != Change::Same),
            Reverse(severe),
            if is_diff { *change } else { Change::Same },
            Reverse(of.all),
            *id,
        )
    });
    let text = if arguments.json {
        format!("{:#}\n", document(&seen, &list, &arguments.diff))
    } else {
        in_words(&seen, &list, arguments)
    };
    terminal::print(&text)?;
    Ok(0)
}

fn level(of: Level) -> &'static str {
    if of == Level::Unknown { "-" } else { of.name() }
}

fn in_words(seen: &Seen, list: &[(u64, &Template, Change)], arguments: &TemplatesArguments) -> String {
    let mut out = String::new();
    let _infallible =
        write!(out, "{} of {}", count(seen.lines, "log line"), count(seen.templates.len() as u64, "template"));
    if seen.overflow > 0 {
        let part = percent(seen.overflow as f64 / seen.lines.max(1) as f64);
        let _infallible = write!(
            out,
            "; {} ({part}) past the bound of {} templates",
            grouped(seen.overflow),
            grouped(TEMPLATES_MAX as u64)
        );
    }
    out.push('\n');
    let diff = &arguments.diff;
    if let [old, new] = diff.as_slice() {
        let counts = list.iter().fold(BTreeMap::new(), |mut counts: BTreeMap<Change, u64>, (_, _, change)| {
            *counts.entry(*change).or_default() += 1;
            counts
        });
        let words: Vec<String> = counts.iter().map(|(change, n)| format!("{n} {}", change.name())).collect();
        let _infallible =
            writeln!(out, "{} beside {}: {} (single look)", harmless(new, 60), harmless(old, 60), words.join(", "));
    }
    for (id, of, change) in list.iter().take(arguments.limit) {
        let word = if diff.is_empty() { String::new() } else { format!("{:<5}", change.name().to_uppercase()) };
        let text = if of.text.is_empty() { "(no text)".to_owned() } else { harmless(&of.text, SHOWN) };
        let _infallible = writeln!(out, "\n{word}{:<6}{text}", level(of.level));
        let mut facts = vec![count(of.all, "line"), format!("id {id:016x}")];
        if diff.is_empty() {
            facts.push(format!("{} to {}", of.first, of.last));
        } else {
            let [old, new] = [0, 1].map(|side| &of.arms[side]);
            facts.push(format!("units {} \u{2192} {}", grouped(old.units.count()), grouped(new.units.count())));
            if let [Some(old), Some(new)] = seen.per_thousand(of) {
                facts.push(format!("per 1,000 requests {old:.2} \u{2192} {new:.2}"));
            }
            if let Some(ratio) = seen.ratio(of) {
                facts.push(format!("\u{d7} {:.2} [{:.2}, {:.2}]", ratio.value, ratio.low, ratio.high));
            }
        }
        let services: Vec<String> = of.services.iter().map(|of| harmless(of, 60)).collect();
        facts.push(services.join(", "));
        let _infallible = writeln!(out, "     {}", facts.join(" \u{b7} "));
        let _infallible = writeln!(out, "     e.g. {}", harmless(&of.example.1, SHOWN));
    }
    if list.len() > arguments.limit {
        let _infallible =
            writeln!(out, "\nand {} more (--limit N, --json has all)", grouped((list.len() - arguments.limit) as u64));
    }
    out
}

fn document(seen: &Seen, list: &[(u64, &Template, Change)], diff: &[String]) -> Value {
    let texts: Vec<&str> = list.iter().map(|(_, of, _)| of.text.as_str()).collect();
    let mut distinct: Vec<&str> = texts.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let group = groups(&distinct);
    let group_of = |text: &str| {
        let at = distinct.binary_search(&text).ok()?;
        distinct.get(*group.get(at)?).map(|text| (*text).to_owned())
    };
    let one = |(id, of, change): &(u64, &Template, Change)| {
        let mut value = json!({
            "id": format!("{id:016x}"),
            "template": of.text,
            "group": group_of(&of.text),
            "level": level(of.level),
            "lines": of.all,
            "first": of.first.to_string(),
            "last": of.last.to_string(),
            "services": of.services,
            "example": of.example.1,
        });
        if !diff.is_empty()
            && let Some(object) = value.as_object_mut()
        {
            let side = |at: usize| json!({ "lines": of.arms[at].lines, "units": of.arms[at].units.count(), "per_thousand_requests": seen.per_thousand(of)[at] });
            object.insert("old".to_owned(), side(0));
            object.insert("new".to_owned(), side(1));
            object.insert("change".to_owned(), Value::from(change.name()));
            let ratio =
                seen.ratio(of).map(|ratio| json!({ "value": ratio.value, "low": ratio.low, "high": ratio.high }));
            object.insert("ratio".to_owned(), ratio.unwrap_or(Value::Null));
        }
        value
    };
    json!({
        "document": "templates",
        "version": 1,
        "lines": seen.lines,
        "overflow": seen.overflow,
        "diff": diff,
        "templates": list.iter().map(one).collect::<Vec<_>>(),
    })
}
