//! Pipelines: how the lines of one kind of log are read, as a file in YAML that carries its own tests.
//!
//! A pipeline does three things: it changes lines before they are read ([`crate::pipeline::prepare`]), it says what the survey would
//! else find (roles, arms, unit, segments), and it names business events and metrics. Some are part of the program; `pipelines/` has their text.

mod keep;
mod keys;
mod metrics;
mod parse;
mod shipped;
mod test;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use crate::cli::arguments::HowArguments;
use crate::cli::terminal::harmless;
use crate::cli::yaml::Problem;
use crate::event::METRICS_MAX;
use crate::pipeline::kept::KeepRule;
use crate::pipeline::metric::Metric;
use crate::pipeline::plan::{ArmRule, CONVERSIONS_MAX, FieldRef, RequestSource, UnitKind};
use crate::pipeline::prepare::{GIVEN, Key, Preparation, STAGES_MAX, Stage};
use crate::pipeline::roles::Role;
use crate::pipeline::survey::Wishes;
use crate::query::suggest;

#[cfg(feature = "serve")]
pub(super) use parse::is_one;
pub(super) use parse::parse;
pub(super) use test::{TestArguments, run as test};

/// Largest file of a key, in bytes.
const KEY_MAX: u64 = 4_096;
/// Shortest key: 128 bits, if every byte were random.
const KEY_MIN: usize = 16;

/// A pipeline.
#[derive(Clone, Debug, Default)]
pub(super) struct Pipeline {
    /// What is done to lines; carries the name.
    pub stage: Stage,
    /// What it reads, in a sentence.
    pub about: String,
    pub roles: BTreeMap<Role, Vec<FieldRef>>,
    pub arms: Option<ArmRule>,
    pub unit: Option<UnitKind>,
    pub segments: Option<Vec<String>>,
    pub requests_from: BTreeMap<String, RequestSource>,
    /// Names of business events.
    pub events: Vec<String>,
    /// Those of them that do harm.
    pub harms: BTreeSet<String>,
    /// How many times a unit meets one before it counts, where that is not once.
    pub at_least: BTreeMap<String, u16>,
    /// Metrics of one's own.
    pub metrics: Vec<Metric>,
    /// Which lines are kept for search.
    pub index: Vec<KeepRule>,
    pub tests: Vec<Test>,
}

/// A test that a pipeline carries.
#[derive(Clone, Debug)]
pub(super) struct Test {
    pub about: String,
    /// Name of the stream that the lines are of.
    pub stream: String,
    pub lines: Vec<String>,
    /// What the lines are read as, in their order: keys and values.
    pub gives: Vec<Vec<(String, String)>>,
    /// Line of the file where `gives` stands, from 1, and the column of its key; without it those of the test.
    pub at: (usize, usize),
}

/// Where a pipeline's text is.
#[derive(Clone, Debug)]
pub(super) struct Source {
    /// The file, or the name of one that is part of the program.
    pub shown: String,
    pub text: String,
    /// The file, where there is one.
    pub path: Option<PathBuf>,
}

/// The text of a pipeline that is named: of a file, of all files of a folder, or one that is part of the program.
pub(super) fn sources(name: &str) -> anyhow::Result<Vec<Source>> {
    if let Some(text) = shipped::text(name) {
        return Ok(vec![Source { shown: name.to_owned(), text: text.to_owned(), path: None }]);
    }
    let path = Path::new(name);
    if !path.exists() {
        let near = suggest(name, shipped::names());
        let hint = near.map_or_else(
            || format!("there are {}", shipped::names().collect::<Vec<_>>().join(", ")),
            |near| format!("did you mean {near}?"),
        );
        bail!("{}: no such file, and no pipeline of this name is part of the program; {hint}", harmless(name, 200));
    }
    let mut paths = vec![path.to_owned()];
    if path.is_dir() {
        let entries = std::fs::read_dir(path).with_context(|| format!("{name}: cannot be read"))?;
        let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml" || end == "yml");
        paths = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(is_yaml).collect();
        paths.sort();
        if paths.is_empty() {
            bail!("{name}: this folder has no *.yaml");
        }
    }
    paths
        .into_iter()
        .map(|path| {
            let shown = path.display().to_string();
            let text = std::fs::read_to_string(&path).with_context(|| format!("{shown}: cannot be read"))?;
            Ok(Source { shown, text, path: Some(path) })
        })
        .collect()
}

/// Names of those that are part of the program.
pub(super) fn shipped_names() -> impl Iterator<Item = &'static str> {
    shipped::names()
}

/// Problems, one a line.
pub(super) fn told(shown: &str, problems: &[Problem]) -> String {
    let line = |problem: &Problem| {
        format!("{shown}:{}:{}: {}\n", problem.at.line, problem.at.column, harmless(&problem.words, 600))
    };
    problems.iter().map(line).collect()
}

/// Reads pipelines; everything that is wrong in them is told at once.
fn read(names: &[String]) -> anyhow::Result<Vec<Pipeline>> {
    let mut list = Vec::new();
    let mut wrong = String::new();
    for name in names {
        for source in sources(name)? {
            match parse(&source.text) {
                Ok(pipeline) => list.push(pipeline),
                Err(problems) => wrong.push_str(&told(&source.shown, &problems)),
            }
        }
    }
    if !wrong.is_empty() {
        bail!("{}", wrong.trim_end());
    }
    Ok(list)
}

/// The key that hashes are made with.
///
/// # Errors
/// A file that cannot be read, is too short or too long.
pub(super) fn key(path: Option<&Path>) -> anyhow::Result<Key> {
    let Some(path) = path else { return Ok(Key::default()) };
    let shown = path.display();
    let size = std::fs::metadata(path).with_context(|| format!("--redaction-key {shown}: cannot be read"))?.len();
    if size > KEY_MAX {
        bail!("--redaction-key {shown}: {size} bytes; a key has at most {KEY_MAX}");
    }
    let bytes = std::fs::read(path).with_context(|| format!("--redaction-key {shown}: cannot be read"))?;
    let secret = bytes.trim_ascii();
    if secret.len() < KEY_MIN {
        bail!(
            "--redaction-key {shown}: too short; a key has {KEY_MIN} bytes or more (openssl rand -hex 32 > FILE makes one)"
        );
    }
    Ok(Key::new(secret))
}

/// Rules of pipelines for what is kept for search, each for the streams of its pipeline, in their order.
///
/// # Errors
/// A pipeline that cannot be read, or is wrong.
#[cfg(feature = "index")]
pub(super) fn keep_rules(how: &HowArguments) -> anyhow::Result<Vec<KeepRule>> {
    let of = |pipeline: Pipeline| {
        let streams = pipeline.stage.streams;
        pipeline.index.into_iter().map(move |rule| KeepRule { streams: streams.clone(), ..rule })
    };
    Ok(read(&how.pipelines)?.into_iter().flat_map(of).collect())
}

/// Puts what pipelines say into what is wished; what the user says beside counts more.
pub(super) fn apply(how: &HowArguments, wishes: &mut Wishes) -> anyhow::Result<()> {
    let list = read(&how.pipelines)?;
    join(list, key(how.redaction_key.as_deref())?, wishes)
}

/// The same, for pipelines that were read.
fn join(list: Vec<Pipeline>, key: Key, wishes: &mut Wishes) -> anyhow::Result<()> {
    if list.len() > STAGES_MAX {
        bail!("--pipeline: {} pipelines; at most {STAGES_MAX} are taken", list.len());
    }
    let mut names = BTreeSet::new();
    let mut arms: Option<(String, ArmRule)> = None;
    let mut unit: Option<(String, UnitKind)> = None;
    let mut set: BTreeSet<String> = BTreeSet::new();
    for pipeline in list {
        let name = pipeline.stage.name.clone();
        if !names.insert(name.clone()) {
            bail!("--pipeline: two are called {name}");
        }
        for (role, fields) in pipeline.roles {
            wishes.preferred.entry(role).or_default().extend(fields);
        }
        set.extend(pipeline.stage.rules.iter().flat_map(|rule| rule.set.iter().map(|(name, _)| name.clone())));
        if let Some(rule) = pipeline.arms {
            if let Some((other, _)) = arms.as_ref().filter(|(_, known)| *known != rule) {
                bail!(
                    "--pipeline: {other} and {name} find the arm in different ways; leave `arms` out of one, or say --arm-by"
                );
            }
            arms = Some((name.clone(), rule));
        }
        if let Some(kind) = pipeline.unit {
            if let Some((other, _)) = unit.filter(|(_, known)| *known != kind) {
                bail!("--pipeline: {other} and {name} name different units; leave `unit` out of one, or say --unit");
            }
            unit = Some((name.clone(), kind));
        }
        if wishes.segments.is_none() {
            wishes.segments = pipeline.segments;
        }
        for (service, source) in pipeline.requests_from {
            wishes.sources.entry(service).or_insert(source);
        }
        for event in pipeline.events {
            if !wishes.events.contains(&event) {
                wishes.events.push(event);
            }
        }
        wishes.harms.extend(pipeline.harms);
        wishes.at_least.extend(pipeline.at_least);
        for metric in pipeline.metrics {
            // Fields are told apart by what is left of a name; two of one field would be one.
            let is_alike = |known: &Metric| known.name == metric.name || known.field == metric.field;
            if let Some(known) = wishes.metrics.iter().find(|known| is_alike(known)) {
                bail!("--pipeline: metrics `{}` and `{}` are the same; name each once", known.name, metric.name);
            }
            wishes.metrics.push(metric);
        }
        wishes.preparation.stages.push(pipeline.stage);
    }
    // What a rule gives a role counts most.
    for role in Role::ALL.into_iter().filter(|role| set.contains(role.name())) {
        wishes.preferred.entry(role).or_default().insert(0, FieldRef { path: given(role), unit: None });
    }
    if wishes.events.len() > CONVERSIONS_MAX {
        bail!("--pipeline: {} business events; at most {CONVERSIONS_MAX} are tested", wishes.events.len());
    }
    if wishes.metrics.len() > METRICS_MAX {
        bail!("--pipeline: {} metrics; at most {METRICS_MAX} are tested", wishes.metrics.len());
    }
    wishes.arms = wishes.arms.take().or(arms.map(|(_, rule)| rule));
    wishes.unit = wishes.unit.or(unit.map(|(_, kind)| kind));
    wishes.preparation.key = key;
    if wishes.preparation.is_empty() {
        wishes.preparation = Preparation::default();
    }
    Ok(())
}

/// The field by which rules give a role its value.
fn given(role: Role) -> String {
    format!("{GIVEN}{}", role.name())
}
