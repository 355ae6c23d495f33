//! `serin.yaml`: everything that `serin run` takes as options, and what it does with verdicts: rollouts and hooks.
//!
//! The file is read as a whole, and everything that is wrong in it is told at once, with its place. Options override it.

mod check;
mod hooks;
mod links;
mod rollouts;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
#[cfg(feature = "index")]
use clap::ValueEnum;

pub(super) use self::check::check;
pub(super) use self::hooks::Hook;
#[cfg(test)]
pub(super) use self::hooks::parse_secrets;
pub(super) use self::links::Link;
#[cfg(feature = "index")]
use crate::cli::arguments::Indexed;
use crate::cli::arguments::{HowArguments, LogFormat, RunArguments};
#[cfg(feature = "kafka")]
use crate::cli::run;
use crate::cli::terminal::harmless;
use crate::cli::tokens::{self, Tokens};
use crate::cli::yaml::{self, Fields, Form, Located, Place, Problem, Problems};
use crate::cli::{arguments, compare, pipelines, policy_file};
use crate::engine::policy::{OfRollout, Policy};
use crate::outbox::Declared;
use crate::source::tail;
use crate::time::{MINUTE, Micros};

/// The file that is read when none is named.
pub(super) const DEFAULT_FILE: &str = "serin.yaml";

/// What a gate takes for too old, when nothing is said.
const STALE_AFTER: Micros = 5 * MINUTE;

/// A configuration.
#[derive(Clone, Debug)]
pub(super) struct Config {
    /// What stands for options, by the name of the option's field.
    options: Vec<Written>,
    /// What is asked of every rollout that says nothing else, and of each that does.
    pub policy: Policy,
    /// Rollouts that may act.
    pub declared: Vec<Declared>,
    /// Who is told.
    pub hooks: Vec<Hook>,
    /// Where lines can be seen elsewhere.
    pub links: Vec<Link>,
    /// A pass on older data than this is none, for a gate.
    pub stale_after: Micros,
    /// The file with the token that commands need.
    pub operate_token: Option<PathBuf>,
}

/// An option as the file writes it.
#[derive(Clone, Debug)]
struct Written {
    id: &'static str,
    at: Place,
    values: Vec<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            options: Vec::new(),
            policy: Policy::default(),
            declared: Vec::new(),
            hooks: Vec::new(),
            links: Vec::new(),
            stale_after: STALE_AFTER,
            operate_token: None,
        }
    }
}

/// Problems, one a line.
fn told(path: &Path, problems: &[Problem]) -> String {
    pipelines::told(&path.display().to_string(), problems)
}

/// The configuration of `run`: of the file that is named, or that lies in the working directory, or none. `policy`: that of an
/// option, which stands in place of the file's.
pub(super) fn load(named: Option<&Path>, policy: Option<Policy>) -> anyhow::Result<Config> {
    let default = Path::new(DEFAULT_FILE);
    let path = match named {
        Some(path) => path,
        None if default.exists() => default,
        None => return Ok(Config { policy: policy.unwrap_or_default(), ..Config::default() }),
    };
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    match parse(&text, policy, Outside::Looked) {
        Ok(config) => Ok(config),
        Err(problems) => bail!("{}", told(path, &problems).trim_end()),
    }
}

/// Whether files and environment are looked at that the configuration names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Outside {
    Looked,
    #[cfg(test)]
    Ignored,
}

fn parse(text: &str, policy: Option<Policy>, outside: Outside) -> Result<Config, Vec<Problem>> {
    let mut problems = Problems::default();
    let node = yaml::parse(text).map_err(|problem| vec![problem])?;
    let mut fields = Fields::of(&node, "", &mut problems);
    let mut config = Config { options: options(&mut fields, &mut problems), ..Config::default() };
    if let Some(node) = fields.get("policy") {
        let mut of = Fields::of(node, "policy", &mut problems);
        config.policy = policy_file::policy(&mut of, &Policy::default(), &mut problems);
        of.finish(&mut problems);
    }
    if let Some(policy) = policy {
        config.policy = policy;
    }
    if let Some((text, at)) = fields.text("stale_after", &mut problems) {
        match compare::duration(&text) {
            Ok(time) => config.stale_after = time,
            Err(error) => problems.add(at, format!("stale_after: {error}")),
        }
    }
    if let Some((path, at)) = fields.text("operate_token_file", &mut problems) {
        if outside == Outside::Looked
            && let Err(error) = tokens::operator_of(Path::new(&path))
        {
            problems.add(at, format!("{error:#}"));
        }
        config.operate_token = Some(PathBuf::from(path));
    }
    if let Some((list, _)) = fields.list("hooks", &mut problems) {
        config.hooks = hooks::hooks(list, outside == Outside::Looked, &mut problems);
    }
    if let Some((list, _)) = fields.list("links", &mut problems) {
        config.links = links::links(list, &mut problems);
    }
    if let Some((list, _)) = fields.list("rollouts", &mut problems) {
        // Pipelines are read later; they may name the field.
        let names_cell = |of: &Written| of.id == "pipelines" || of.values.iter().any(|role| role.starts_with("cell="));
        let may_have_cells = config.options.iter().any(names_cell);
        let rollouts = rollouts::rollouts(list, &config.policy, &config.hooks, may_have_cells, &mut problems);
        for (declared, policy) in rollouts {
            config.policy.rollouts.push(OfRollout {
                environment: declared.environment.clone(),
                services: declared.services.clone(),
                policy,
            });
            config.declared.push(declared);
        }
    }
    fields.finish(&mut problems);
    match problems.0.is_empty() {
        true => Ok(config),
        false => Err(problems.sorted()),
    }
}

/// Keys that hold one value, by the name of the option's field.
const SINGLE: [&str; 32] = [
    "brokers",
    "kafka_properties",
    "group",
    "state",
    "listen",
    "idle",
    "stall",
    "unit",
    "service",
    "environment",
    "window",
    "lateness",
    "since",
    "until",
    "zone",
    "year_from",
    "baseline",
    "canary",
    "arm_by",
    "control",
    "checkpoint",
    "keep_log",
    "memory",
    "tokens",
    "log_format",
    "index",
    "index_keep",
    "index_size",
    "index_sample",
    "keep_reports",
    "dashboards",
    "redaction_key",
];
/// Keys that hold a list.
const LISTS: [(&str, &str); 5] = [
    ("pipelines", "pipelines"),
    ("files", "files"),
    ("topics", "topics"),
    ("candidates", "candidates"),
    ("segments", "segments"),
];
/// Keys that hold a mapping of names to values, written as `NAME=VALUE` by the option.
const MAPPINGS: [(&str, &str); 2] = [("roles", "roles"), ("requests_from", "requests_from")];

fn options(fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<Written> {
    let mut list = Vec::new();
    for id in SINGLE {
        let Some((value, at)) = fields.text(id, problems) else { continue };
        list.push(Written { id, at, values: vec![value] });
    }
    for id in ["http", "from_end"] {
        if let Some((flag, at)) = fields.flag(id, problems)
            && flag
        {
            list.push(Written { id, at, values: Vec::new() });
        }
    }
    for (key, id) in LISTS {
        let Some((texts, at)) = fields.texts(key, problems) else { continue };
        list.push(Written { id, at, values: texts.into_iter().map(|(text, _)| text).collect() });
    }
    for (key, id) in MAPPINGS {
        let Some(node) = fields.get(key) else { continue };
        let Form::Mapping(entries) = &node.form else {
            problems.add(node.at, format!("{key}: names with values are needed (name: value)"));
            continue;
        };
        for (name, at, value) in entries {
            let value = match &value.form {
                Form::List(texts) => {
                    let texts: Vec<String> = texts
                        .iter()
                        .filter_map(|node| yaml::text_of(node, &format!("{key}.{name}"), problems))
                        .collect();
                    texts.join(",")
                }
                Form::Text { .. } | Form::Nothing | Form::Mapping(_) => {
                    let Some(text) = yaml::text_of(value, &format!("{key}.{name}"), problems) else { continue };
                    text
                }
            };
            list.push(Written { id, at: *at, values: vec![format!("{name}={value}")] });
        }
    }
    for written in &list {
        if let Err(error) = is_fit(written) {
            problems.add(written.at, format!("{}: {}", written.id, without_option(&format!("{error:#}"))));
        }
    }
    together(&list, problems);
    list
}

/// What an error of an option says, without its name: the file has its own.
fn without_option(text: &str) -> &str {
    let rest = text.strip_prefix("--").and_then(|rest| rest.split_once(": ").map(|(_, rest)| rest));
    rest.unwrap_or(text)
}

/// A value is one that its option would take.
fn is_fit(written: &Written) -> anyhow::Result<()> {
    let mut how = HowArguments::plain();
    let first = written.values.first().cloned();
    match written.id {
        "roles" => how.roles = written.values.clone(),
        "requests_from" => how.requests_from = written.values.clone(),
        "unit" => how.unit = first,
        "pipelines" => how.pipelines = written.values.clone(),
        "redaction_key" => how.redaction_key = first.map(PathBuf::from),
        "segments" => how.segments = written.values.clone(),
        "window" => how.window = first.unwrap_or_default(),
        "lateness" => how.lateness = first.unwrap_or_default(),
        "since" => how.since = first,
        "until" => how.until = first,
        "zone" => how.zone = first,
        "year_from" => how.year_from = first,
        "index" | "index_keep" | "index_size" | "index_sample" if !cfg!(feature = "index") => {
            bail!("this program was built without search")
        }
        "idle" | "stall" | "checkpoint" => return compare::duration(&first.unwrap_or_default()).map(|_| ()),
        "memory" | "keep_log" | "index_size" => {
            return arguments::memory(&first.unwrap_or_default()).map(|_| ()).map_err(|words| anyhow::anyhow!(words));
        }
        "log_format" => return log_format(&first.unwrap_or_default()).map(|_| ()),
        "listen" => return address(&first.unwrap_or_default()).map(|_| ()),
        "baseline" | "canary" => return compare::query("", &first.unwrap_or_default()).map(|_| ()),
        "brokers" | "kafka_properties" | "group" | "topics" | "http" if !cfg!(feature = "kafka") => {
            bail!("this program was built without Kafka")
        }
        #[cfg(feature = "kafka")]
        "topics" => return run::topics_are_fit(&written.values),
        #[cfg(feature = "kafka")]
        "kafka_properties" => return run::properties_are_fit(&first.unwrap_or_default()),
        "files" => return Ok(tail::are_fit(&written.values)?),
        "tokens" => return Tokens::read(Path::new(&first.unwrap_or_default())).map(|_| ()),
        #[cfg(feature = "kafka")]
        "group" => {
            return arguments::group(&first.unwrap_or_default()).map(|_| ()).map_err(|words| anyhow::anyhow!(words));
        }
        #[cfg(feature = "index")]
        "index" => return indexed(&first.unwrap_or_default()).map(|_| ()),
        "keep_reports" => {
            let words = |words| anyhow::anyhow!("{words}");
            return arguments::length_of_time(&first.unwrap_or_default()).map(|_| ()).map_err(words);
        }
        #[cfg(feature = "index")]
        "index_sample" => return sample(&first.unwrap_or_default()).map(|_| ()),
        #[cfg(feature = "index")]
        "index_keep" => {
            let words = |words| anyhow::anyhow!("{words}");
            return arguments::length_of_time(&first.unwrap_or_default()).map(|_| ()).map_err(words);
        }
        _ => return Ok(()),
    }
    compare::wishes(&how, None).map(|_| ())
}

/// An address to listen on.
pub(super) fn address(text: &str) -> anyhow::Result<std::net::SocketAddr> {
    let listen: std::net::SocketAddr =
        text.parse().map_err(|_| anyhow::anyhow!("--listen {text}: write ADDRESS:PORT, for example 127.0.0.1:7878"))?;
    Ok(listen)
}

/// How events are written.
fn log_format(text: &str) -> anyhow::Result<LogFormat> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => bail!("`{}` is unknown; there are text and json", harmless(text, 40)),
    }
}

/// One unit of how many is kept.
#[cfg(feature = "index")]
fn sample(text: &str) -> anyhow::Result<u32> {
    let number = text.parse::<u32>().ok().filter(|number| (1..=10_000).contains(number));
    number.ok_or_else(|| anyhow::anyhow!("`{}` is no number from 1 to 10,000", harmless(text, 40)))
}

/// Which lines are kept for search.
#[cfg(feature = "index")]
fn indexed(text: &str) -> anyhow::Result<Indexed> {
    let known = Indexed::value_variants().iter().find(|one| {
        let name = one.to_possible_value();
        name.is_some_and(|name| name.get_name() == text)
    });
    known.copied().ok_or_else(|| {
        let names: Vec<String> = Indexed::value_variants()
            .iter()
            .filter_map(|one| Some(one.to_possible_value()?.get_name().to_owned()))
            .collect();
        anyhow::anyhow!("`{}` is unknown; there are {}", harmless(text, 40), names.join(", "))
    })
}

/// What cannot stand together.
fn together(list: &[Written], problems: &mut Problems) {
    let find = |id: &str| list.iter().find(|written| written.id == id);
    for (one, other) in [("baseline", "canary"), ("canary", "baseline"), ("brokers", "topics"), ("topics", "brokers")] {
        if let (Some(written), None) = (find(one), find(other)) {
            problems.add(written.at, format!("{one}: needs {other} as well"));
        }
    }
    for other in ["arm_by", "control", "candidates"] {
        if let (Some(_), Some(written)) = (find("baseline"), find(other)) {
            problems.add(
                written.at,
                format!("{other}: not together with baseline and canary, which say which arm is which"),
            );
        }
    }
    if let (Some(written), None) = (find("http"), find("brokers")) {
        problems.add(written.at, "http: without brokers lines are taken over HTTP anyway; leave it out".to_owned());
    }
}

/// Options that are read at the start alone, but that no decision rests on.
const OF_A_START: [&str; 17] = [
    "group",
    "files",
    "from_end",
    "listen",
    "state",
    "idle",
    "stall",
    "checkpoint",
    "keep_log",
    "keep_reports",
    "dashboards",
    "http",
    "log_format",
    "index",
    "index_keep",
    "index_size",
    "index_sample",
];

impl Config {
    /// The value of an option that has one.
    pub(super) fn option(&self, id: &str) -> Option<&str> {
        self.options.iter().find(|written| written.id == id)?.values.first().map(String::as_str)
    }

    /// What stands for options: the name of the option's field, and its values.
    pub(super) fn written(&self) -> impl Iterator<Item = (&'static str, String)> + '_ {
        let value = |of: &Written| if of.values.is_empty() { "true".to_owned() } else { of.values.join(", ") };
        self.options.iter().map(move |of| (of.id, value(of)))
    }

    /// What another configuration has otherwise, and cannot have while the program runs, in words. `given`: options that were
    /// given, for which the file does not count.
    pub(super) fn fixed_differences(&self, other: &Config, given: &BTreeSet<String>) -> Vec<String> {
        let of = |config: &Config, id: &str| -> Vec<Vec<String>> {
            config.options.iter().filter(|written| written.id == id).map(|written| written.values.clone()).collect()
        };
        let ids: BTreeSet<&str> =
            self.options.iter().chain(&other.options).map(|written| written.id).filter(|id| *id != "tokens").collect();
        let mut list: Vec<String> = ids
            .into_iter()
            .filter(|id| !given.contains(*id) && of(self, id) != of(other, id))
            .map(|id| match OF_A_START.contains(&id) {
                true => format!("{id}: is read at the start alone; stop the program and start it again"),
                false => format!("{id}: every decision rests on it; another one needs a new state directory (--state)"),
            })
            .collect();
        let ground = |config: &Config| -> Vec<(Option<String>, Vec<String>)> {
            config.declared.iter().map(|of| (of.environment.clone(), of.services.clone())).collect()
        };
        if ground(self) != ground(other) {
            list.push(
                "rollouts: which there are, by environment and services, every decision rests on; others need a new state \
                 directory (--state)"
                    .to_owned(),
            );
        } else if self.policy != other.policy {
            list.push(
                "policy (guardrails, expect, limits, minimum_minutes, shares of steps, a candidate that is named in full, ...): every decision \
                 rests on it; another one needs a new state directory (--state)"
                    .to_owned(),
            );
        }
        list
    }

    /// Puts what the file says in place of options that were not given.
    pub(super) fn apply(&self, arguments: &mut RunArguments, given: &BTreeSet<String>) -> anyhow::Result<()> {
        let is_given = |id: &str| given.contains(id);
        let arms_given = ["arm_by", "control", "candidates"].into_iter().any(is_given);
        let queries_given = is_given("baseline") || is_given("canary");
        let mut files_roles = Vec::new();
        for written in &self.options {
            let id = written.id;
            let crossed = match id {
                "baseline" | "canary" => arms_given || queries_given,
                "arm_by" | "control" | "candidates" => queries_given,
                _ => false,
            };
            let first = written.values.first().cloned();
            if id == "roles" {
                // A role that an option names is that option's.
                let role = first.as_deref().and_then(|text| text.split_once('=')).map(|(role, _)| format!("{role}="));
                if !arguments.how.roles.iter().any(|text| role.as_ref().is_some_and(|role| text.starts_with(role))) {
                    files_roles.extend(first);
                }
                continue;
            }
            if is_given(id) || crossed {
                continue;
            }
            let (how, judge) = (&mut arguments.how, &mut arguments.judge);
            match id {
                #[cfg(feature = "kafka")]
                "brokers" => arguments.brokers = first,
                #[cfg(feature = "kafka")]
                "kafka_properties" => arguments.kafka_properties = first.map(PathBuf::from),
                #[cfg(feature = "kafka")]
                "group" => arguments.group = first,
                #[cfg(feature = "kafka")]
                "topics" => arguments.topics.clone_from(&written.values),
                #[cfg(feature = "kafka")]
                "http" => arguments.http = true,
                "from_end" => arguments.from_end = true,
                "files" => arguments.files.clone_from(&written.values),
                "state" => arguments.state = PathBuf::from(first.unwrap_or_default()),
                "listen" => arguments.listen = first.unwrap_or_default(),
                "log_format" => arguments.log_format = log_format(&first.unwrap_or_default())?,
                "tokens" => arguments.tokens = first.map(PathBuf::from),
                "idle" => arguments.idle = first.unwrap_or_default(),
                "stall" => arguments.stall = first.unwrap_or_default(),
                "checkpoint" => arguments.checkpoint = first.unwrap_or_default(),
                "keep_log" => {
                    arguments.keep_log =
                        arguments::memory(&first.unwrap_or_default()).map_err(|words| anyhow::anyhow!(words))?;
                }
                "keep_reports" => {
                    arguments.keep_reports = arguments::length_of_time(&first.unwrap_or_default())
                        .map_err(|words| anyhow::anyhow!(words))?;
                }
                "dashboards" => arguments.dashboards = first.map(PathBuf::from),
                #[cfg(feature = "index")]
                "index" => arguments.index.what = indexed(&first.unwrap_or_default())?,
                #[cfg(feature = "index")]
                "index_sample" => arguments.index.sample = sample(&first.unwrap_or_default())?,
                #[cfg(feature = "index")]
                "index_keep" => {
                    arguments.index.keep = arguments::length_of_time(&first.unwrap_or_default())
                        .map_err(|words| anyhow::anyhow!(words))?;
                }
                #[cfg(feature = "index")]
                "index_size" => {
                    arguments.index.bytes =
                        arguments::memory(&first.unwrap_or_default()).map_err(|words| anyhow::anyhow!(words))?;
                }
                "requests_from" => how.requests_from.extend(first),
                "unit" => how.unit = first,
                "pipelines" => how.pipelines.clone_from(&written.values),
                "redaction_key" => how.redaction_key = first.map(PathBuf::from),
                "segments" => how.segments.clone_from(&written.values),
                "service" => how.service = first,
                "environment" => how.environment = first,
                "window" => how.window = first.unwrap_or_default(),
                "lateness" => how.lateness = first.unwrap_or_default(),
                "since" => how.since = first,
                "until" => how.until = first,
                "zone" => how.zone = first,
                "year_from" => how.year_from = first,
                "baseline" => judge.baseline = first,
                "canary" => judge.canary = first,
                "arm_by" => judge.arm_by = first,
                "control" => judge.control = first,
                "candidates" => judge.candidates.clone_from(&written.values),
                "memory" => {
                    judge.memory =
                        arguments::memory(&first.unwrap_or_default()).map_err(|words| anyhow::anyhow!(words))?
                }
                _ => {}
            }
        }
        arguments.how.roles.extend(files_roles);
        Ok(())
    }
}

/// A text, where it is one of a few words.
fn one_of<T: Copy>((text, at): Located<String>, name: &str, known: &[(&str, T)], problems: &mut Problems) -> Option<T> {
    let found = known.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
    if found.is_none() {
        let words: Vec<&str> = known.iter().map(|(word, _)| *word).collect();
        problems.add(at, format!("{name}: `{text}` is unknown; there are {}", words.join(", ")));
    }
    found
}

#[cfg(test)]
mod tests;
