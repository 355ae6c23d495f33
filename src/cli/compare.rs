//! `serin compare`: files in, verdict out.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufWriter, Write};

use anyhow::{Context, anyhow, bail};

use crate::cli::arguments::{CompareArguments, Format, HowArguments, JudgeArguments};
use crate::cli::clock::today;
use crate::cli::html::{self, Around, Courses};
use crate::cli::report::{Noticed, Report};
use crate::cli::terminal::{Progress, harmless};
use crate::cli::{buckets, exit_status, output, pipelines, policy_file, report_json, terminal};
use crate::engine::policy::Policy;
use crate::engine::shedding::STATE_MAX;
use crate::engine::{ArmChoice, Engine, Output, Settings};
use crate::event::ServiceKey;
use crate::pipeline::clock::{self, Zone};
use crate::pipeline::continued::records;
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::plan::{
    ArmRule, BASELINE, CANARY, CONVERSIONS_MAX, Conversions, FieldRef, RequestSource, UnitKind,
};
use crate::pipeline::plan_text;
use crate::pipeline::roles::{self, LatencyUnit, Role};
use crate::pipeline::survey::{Head, Survey, Wishes, survey};
use crate::query::{Query, suggest};
use crate::sketch::partial::WindowPartial;
use crate::source::files::{self, Stream};
use crate::source::fold_chunk::KeptReject;
use crate::source::head::read_head;
use crate::source::run::{Observer, Options, run as run_streams};
use crate::time::{DAY, MINUTE, Micros, SECOND, Timestamp, Windowing};

/// Bytes of each stream that the survey looks at.
pub(super) const HEAD_BYTES: usize = 1 << 20;
/// Streams that the survey looks at.
pub(super) const HEAD_STREAMS: usize = 64;
/// Lines of each stream that the survey looks at.
const HEAD_LINES: usize = 4_000;

/// Runs `compare`.
pub(super) fn run(arguments: &CompareArguments) -> anyhow::Result<u8> {
    let mut streams = files::find(&arguments.logs.files)?;
    if let (Some(ledger), Some(rejects)) = (&arguments.ledger, &arguments.rejects)
        && output::same_file(ledger, rejects)
    {
        bail!("--ledger and --rejects are the same file, {}: each needs its own.", ledger.display());
    }
    for (option, path) in
        [("--ledger", &arguments.ledger), ("--rejects", &arguments.rejects), ("--buckets", &arguments.buckets)]
    {
        if let Some(path) = path
            && files::is_among(path, &streams)
        {
            bail!("{option} {}: this is one of the logs, and would be overwritten.", path.display());
        }
    }
    let (found, settings) = ground(&arguments.logs.how, &arguments.judge, |wishes| look_at(&mut streams, wishes))?;
    let mut engine = Engine::new(settings);
    let mut observer = Recorder::new(arguments, streams.iter().map(files::size_on_disk).sum())?;
    let options = Options {
        threads: arguments.logs.threads.unwrap_or(Options::default().threads),
        keep_rejects: arguments.rejects.is_some(),
        ..Options::default()
    };
    let done = run_streams(&streams, &found.plan, &mut engine, plan_text::to_json(&found.plan), options, &mut observer);
    observer.progress.finish();
    done?;
    observer.flush()?;
    observer.noticed.finish();
    let tally = engine.tally();
    if tally.events > 0 && tally.events == tally.outside {
        nothing_left(arguments, &found, &mut streams)?;
    }

    if let Some(path) = &arguments.buckets {
        let file = output::create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
        let mut out = BufWriter::new(file);
        buckets::write(&engine, &mut out)
            .and_then(|()| out.flush())
            .with_context(|| format!("{}: cannot be written", path.display()))?;
    }
    let report = Report::new(&engine, &found, &observer.noticed);
    match arguments.format {
        Format::Text => terminal::print(&report.text())?,
        Format::Json => terminal::print(&format!("{:#}\n", report_json::to_json(&report)))?,
        Format::Markdown => terminal::print(&report.markdown())?,
        Format::Html => {
            let courses = observer.courses.unwrap_or_default();
            terminal::print(&html::report(&report, &engine, &courses, &around(arguments)))?;
        }
    }
    Ok(exit_status(report.verdict))
}

/// How to come to the same report again.
fn around(arguments: &CompareArguments) -> Around {
    let quoted = |word: &str| output::quoted(std::path::Path::new(word));
    let mut again = vec![("The same report from the same logs:".to_owned(), output::own_command())];
    again.push(match &arguments.ledger {
        Some(ledger) => {
            let files: Vec<String> = arguments.logs.files.iter().map(|file| quoted(file)).collect();
            let ledger = output::quoted(ledger);
            let command = format!("serin replay {ledger} {}", files.join(" "));
            ("Every decision again, compared to the byte:".to_owned(), command)
        }
        None => {
            let what = "No ledger was written. With --ledger FILE, serin replay recomputes every decision and compares to the byte.";
            (what.to_owned(), String::new())
        }
    });
    Around { again, ..Around::default() }
}

/// What the first lines of streams show.
pub(super) struct Looked {
    /// What was found.
    pub found: Survey,
    /// There are no further lines.
    pub is_all: bool,
}

/// Every line was left out as asked: says which times or environments were seen.
fn nothing_left(arguments: &CompareArguments, found: &Survey, streams: &mut [Stream]) -> anyhow::Result<()> {
    let options: Vec<&str> = [("--since", &arguments.logs.how.since), ("--until", &arguments.logs.how.until)]
        .into_iter()
        .filter(|(_, given)| given.is_some())
        .map(|(option, _)| option)
        .collect();
    if options.is_empty() {
        let of_environment = found.notes.iter().find(|note| note.starts_with("--environment"));
        bail!("{}", of_environment.map_or("every line was left out as asked.", String::as_str));
    }
    let mut plan = found.plan.clone();
    (plan.windowing.since, plan.windowing.until) = (None, None);
    let mut times: Vec<Timestamp> = Vec::new();
    for (name, text) in heads(streams)? {
        let mut decoder = Decoder::new(&plan, &name);
        times.extend(sample(&text).filter_map(|line| match decoder.decode(line, 0) {
            Ok(Decoded::Event(event)) => Some(event.time),
            _ => None,
        }));
    }
    let seen = match (times.iter().min(), times.iter().max()) {
        (Some(first), Some(last)) => format!(" The first lines of what was given are from {first} to {last}."),
        _ => String::new(),
    };
    bail!("{}: nothing lies inside.{seen}", options.join(" and "))
}

/// What everything is decided by, from the arguments and from what `look` finds in the first lines.
pub(super) fn ground(
    how: &HowArguments,
    judge: &JudgeArguments,
    look: impl FnMut(&Wishes) -> anyhow::Result<Looked>,
) -> anyhow::Result<(Survey, Settings)> {
    let policy = match &judge.policy {
        Some(path) => policy_file::read(path)?,
        None => Policy::default(),
    };
    ground_with(how, judge, policy, look)
}

/// The same, with a policy that was read before.
pub(super) fn ground_with(
    how: &HowArguments,
    judge: &JudgeArguments,
    mut policy: Policy,
    mut look: impl FnMut(&Wishes) -> anyhow::Result<Looked>,
) -> anyhow::Result<(Survey, Settings)> {
    let mut notes = Vec::new();
    if let Some(share) = &judge.share {
        let share_asked = f64::from(parts_per_million(share).context("--share")?) / 1e6;
        if let Some(of_policy) = policy.declared_share.replace(share_asked)
            && of_policy != share_asked
        {
            notes.push(format!("share: --share {share} counts, not the {} % of the policy", of_policy * 100.0));
        }
    }
    if let Some(control) = judge.control.as_ref().filter(|control| judge.candidates.contains(control)) {
        bail!("--candidate {0}: `{0}` is the control; name the other arm.", harmless(control, 60));
    }
    if !judge.release.is_empty() {
        policy.release =
            policy_file::distinct_services(judge.release.clone()).map_err(|problem| anyhow!("--release: {problem}"))?;
    }
    let wishes = with_segments(wishes(how, arm_rule(judge)?)?, &policy)?;
    let Looked { mut found, is_all } = look(&wishes)?;
    if let Some(environment) = &wishes.environment
        && found.services.is_empty()
        && found.lines > 0
    {
        // Nothing is of this environment: which are there?
        let all = look(&Wishes { environment: None, ..wishes.clone() })?.found;
        let there: BTreeSet<&str> = all.services.keys().map(|key| key.environment.as_str()).collect();
        let what = "no line of this environment was seen";
        absent(&mut notes, is_all, "--environment", environment, what, "Environments", &there)?;
    }
    check(&found, how, judge)?;
    check_limits(&found, &policy)?;
    check_segments(&found)?;
    let arms: BTreeSet<&str> =
        found.services.values().flat_map(|service| service.arms.keys()).map(String::as_str).collect();
    let control = judge.control.iter().map(|arm| ("--control", arm));
    for (option, arm) in control.chain(judge.candidates.iter().map(|arm| ("--candidate", arm))) {
        if arms.contains(arm.as_str()) || (arms.is_empty() && !is_all) {
            continue;
        }
        absent(&mut notes, is_all, option, arm, "no line of this arm was seen", "Arms", &arms)?;
    }
    let services: BTreeSet<&str> = found.services.keys().map(|key| key.service.as_str()).collect();
    for (service, _) in wishes.sources.iter().filter(|(service, _)| !services.contains(service.as_str())) {
        let what = "no line of this service was seen";
        absent(&mut notes, is_all, "--requests-from", service, what, "Services", &services)?;
    }
    let with_requests = found.services.iter().filter(|(_, service)| service.requests > 0);
    let services: BTreeSet<&str> = with_requests.map(|(key, _)| key.service.as_str()).collect();
    for (_, name) in policy.released_together().filter(|(_, name)| !services.contains(*name)) {
        let words = unknown("--release", name, "no request of this service was seen", "Services", &services);
        if is_all {
            bail!("{words}");
        }
        notes.push(format!("{words} (in the first lines)"));
    }
    found.notes.extend(notes);
    policy.conversions = with_events(policy.conversions, &wishes)?;
    found.plan.conversions = policy.conversions.clone();
    policy.metrics.clone_from(&wishes.metrics);
    found.plan.metrics = wishes.metrics;
    let settings = Settings { memory: judge.memory, ..settings(&found, arm_choice(judge, &found), policy) };
    Ok((found, settings))
}

/// A name that no line has is an error where all lines were looked at; else it may yet come, and a note says so.
fn absent(
    notes: &mut Vec<String>,
    is_all: bool,
    option: &str,
    name: &str,
    what: &str,
    kind: &str,
    there: &BTreeSet<&str>,
) -> anyhow::Result<()> {
    if is_all {
        bail!("{}", unknown(option, name, what, kind, there));
    }
    notes.push(unknown(option, name, what, &format!("{kind} in the first lines"), there));
    Ok(())
}

/// A name that no line has, with the nearest one and those that there are.
fn unknown(option: &str, name: &str, what: &str, kind: &str, there: &BTreeSet<&str>) -> String {
    let near = suggest(name, there.iter().copied());
    let near = near.map_or(".".to_owned(), |near| format!("; did you mean `{}`?", harmless(near, 60)));
    let list: Vec<String> = there
        .iter()
        .take(40)
        .map(|name| if name.is_empty() { "(unnamed)".to_owned() } else { harmless(name, 60) })
        .collect();
    let list = if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    format!("{option} {}: {what}{near} {kind}: {list}.", harmless(name, 60))
}

/// The year in which times without one lie ends a day ahead, by which clocks may differ: a later one is of the year before.
const YEAR: Micros = 364 * DAY;

/// What the user has said of how to read logs.
pub(super) fn wishes(how: &HowArguments, arms: Option<ArmRule>) -> anyhow::Result<Wishes> {
    let mut wishes = Wishes {
        arms,
        service: how.service.clone(),
        environment: how.environment.clone(),
        windowing: windowing(how)?,
        unit: how.unit.as_deref().map(unit).transpose()?,
        segments: policy_file::segment_fields(&how.segments).map_err(|problem| anyhow!("--segment: {problem}"))?,
        sources: how.requests_from.iter().map(|text| source(text)).collect::<anyhow::Result<_>>()?,
        ..Wishes::default()
    };
    wishes.names_years = how.year_from.is_some();
    wishes.years_from = Some(match &how.year_from {
        Some(date) => clock::parse_time(&format!("{date}T00:00:00Z"))
            .map_err(|_| anyhow!("--year-from {date}: write a date, for example 2025-06-01"))?,
        None => Timestamp(today().0 - YEAR),
    });
    if let Some(zone) = &how.zone {
        wishes.zone = Zone::parse(zone).map_err(|error| anyhow!("--zone: {error}"))?;
    }
    for role in &how.roles {
        let (name, fields) =
            role.split_once('=').ok_or_else(|| anyhow!("--role {role}: write ROLE=FIELD, for example time=ts"))?;
        let known = Role::from_name(name).ok_or_else(|| {
            let near = suggest(name, Role::ALL.into_iter().map(Role::name));
            let hint = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            anyhow!("--role {role}: there is no role `{name}`{hint}")
        })?;
        for field in fields.split(',') {
            let field = role_field(known, field).map_err(|error| anyhow!("--role {role}: {error}"))?;
            wishes.roles.entry(known).or_default().push(field);
        }
    }
    pipelines::apply(how, &mut wishes)?;
    Ok(wishes)
}

/// A field that plays a role, as people write it: a latency may name its unit, `took:ms`.
pub(super) fn role_field(role: Role, text: &str) -> anyhow::Result<FieldRef> {
    if text.split(':').next().is_none_or(str::is_empty) {
        bail!("a field has no name; write ROLE=FIELD, for example time=ts.");
    }
    let (path, unit) = match text.rsplit_once(':') {
        Some((path, unit)) if role == Role::Latency => {
            let unit =
                LatencyUnit::from_name(unit).ok_or_else(|| anyhow!("`{unit}` is no unit; there are ns, us, ms, s"))?;
            if path.rsplit_once(':').is_some_and(|(_, unit)| LatencyUnit::from_name(unit).is_some()) {
                bail!("`{text}` names two units; a field has one: {path}");
            }
            (path, Some(unit))
        }
        _ => (text, None),
    };
    Ok(FieldRef { path: path.to_owned(), unit })
}

pub(super) fn source(text: &str) -> anyhow::Result<(String, RequestSource)> {
    let sources = [
        ("access-log", RequestSource::AccessLog),
        ("root-span", RequestSource::RootSpan),
        ("application", RequestSource::Application),
        ("timed", RequestSource::Timed),
        ("outgoing", RequestSource::Outgoing),
    ];
    let parts = text.split_once('=').and_then(|(service, name)| {
        // As reports call a service that has no name.
        let service = if service == "(unnamed service)" { "" } else { service };
        sources.into_iter().find(|(known, _)| *known == name).map(|(_, source)| (service.to_owned(), source))
    });
    parts.ok_or_else(|| {
        anyhow!("--requests-from {text}: write SERVICE=access-log, root-span, application, timed or outgoing.")
    })
}

fn unit(text: &str) -> anyhow::Result<UnitKind> {
    let name = if text == "client" { UnitKind::Client.name() } else { text };
    UnitKind::from_name(name)
        .ok_or_else(|| anyhow!("--unit {text}: there are user, session, client, trace, instance, request."))
}

fn windowing(how: &HowArguments) -> anyhow::Result<Windowing> {
    let window = duration(&how.window).context("--window")?;
    if !(SECOND..=crate::sketch::rows::WINDOW_MAX).contains(&window) {
        bail!("--window: must be between 1s and 1h, got {}", how.window);
    }
    let zone = how.zone.as_deref().and_then(|zone| Zone::parse(zone).ok()).unwrap_or_default();
    let time = |text: &Option<String>, option: &str| -> anyhow::Result<Option<Timestamp>> {
        text.as_deref()
            .map(|text| {
                let mut clock = clock::Clock::within(None, zone.clone());
                clock.parse_time(text).map_err(|_| anyhow!("{option}: `{text}` is not a time (2026-06-01T12:00:00Z)"))
            })
            .transpose()
    };
    let (since, until) = (time(&how.since, "--since")?, time(&how.until, "--until")?);
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        bail!("--since {since} is not before --until {until}: nothing would be left");
    }
    Ok(Windowing {
        window,
        lateness: duration(&how.lateness).context("--lateness")?,
        since,
        until,
        ..Windowing::default()
    })
}

/// A duration as people write it: 10s, 1m, 1h.
pub(super) fn duration(text: &str) -> anyhow::Result<Micros> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: f64 = number.parse().map_err(|_| anyhow!("`{text}` is not a duration (10s, 1m, 1h)"))?;
    let unit = match unit {
        "ms" => SECOND / 1000,
        "s" => SECOND,
        "m" | "min" => MINUTE,
        "h" => 60 * MINUTE,
        "d" => 24 * 60 * MINUTE,
        _ => bail!("`{text}` is not a duration (10s, 1m, 1h)"),
    };
    let micros = number * unit as f64;
    if !(0.0..1e15).contains(&micros) {
        bail!("`{text}` is too long");
    }
    Ok(micros as Micros)
}

/// A share: `5%` or `0.05`; in parts per million.
pub(super) fn parts_per_million(text: &str) -> anyhow::Result<u32> {
    let wrong = || anyhow!("`{text}` is not a share (5% or 0.05)");
    let share = match text.trim().strip_suffix('%') {
        Some(percent) => percent.trim().parse::<f64>().map_err(|_| wrong())? / 100.0,
        None => text.trim().parse::<f64>().map_err(|_| wrong())?,
    };
    let ppm = (share * 1e6).round();
    // A share of 0.00001 % would be none at all.
    if !(1.0..1e6).contains(&ppm) {
        bail!("a share lies between 0.0001 % and 99.9999 %, got {text}");
    }
    Ok(ppm as u32)
}

/// How lines find their arm, as far as the user has said.
pub(super) fn arm_rule(judge: &JudgeArguments) -> anyhow::Result<Option<ArmRule>> {
    if let (Some(baseline), Some(canary)) = (&judge.baseline, &judge.canary) {
        return Ok(Some(ArmRule::Queries {
            baseline: query("--baseline", baseline)?,
            canary: query("--canary", canary)?,
        }));
    }
    judge.arm_by.as_deref().map(arm_by).transpose()
}

/// `FIELD` or `hash(unit, 5%, seed)`.
pub(super) fn arm_by(text: &str) -> anyhow::Result<ArmRule> {
    let Some(inside) = text.trim().strip_prefix("hash(").and_then(|rest| rest.strip_suffix(')')) else {
        return Ok(ArmRule::Field(text.trim().to_owned()));
    };
    let parts: Vec<&str> = inside.split(',').map(str::trim).collect();
    match parts.as_slice() {
        ["unit", share, seed] if !seed.is_empty() => {
            Ok(ArmRule::Hash { share_ppm: parts_per_million(share).context("--arm-by")?, seed: (*seed).to_owned() })
        }
        _ => bail!("--arm-by: write hash(unit, 5%, seed), got {text}"),
    }
}

/// Parses a query of an option.
pub(super) fn query(option: &str, text: &str) -> anyhow::Result<Query> {
    Query::parse(text).map_err(|error| anyhow!("{option}: {error}"))
}

/// The first text of the first streams. What was read of standard input is put back.
pub(super) fn heads(streams: &mut [Stream]) -> anyhow::Result<Vec<(String, String)>> {
    let mut texts = Vec::new();
    for stream in streams.iter_mut().take(HEAD_STREAMS) {
        let head = read_head(stream, HEAD_BYTES)?;
        texts.push((stream.name.clone(), String::from_utf8_lossy(&head).into_owned()));
    }
    Ok(texts)
}

/// Lines of a head that are looked at.
pub(super) fn sample(text: &str) -> impl Iterator<Item = &str> {
    let whole = match text.rfind('\n') {
        Some(end) if text.len() >= HEAD_BYTES => &text[..end],
        _ => text,
    };
    // Cuts lie at newlines, which no character contains.
    let records = records(whole.as_bytes(), 0).filter_map(|of| std::str::from_utf8(of.text).ok());
    records.filter(|line| !line.trim().is_empty()).take(HEAD_LINES)
}

/// Reads the first lines of streams and finds the plan. What was read of standard input is put back.
pub(super) fn look_at(streams: &mut [Stream], wishes: &Wishes) -> anyhow::Result<Looked> {
    let mut looked = look_at_heads(&heads(streams)?, wishes)?;
    looked.is_all &= streams.len() <= HEAD_STREAMS && streams.iter().all(|stream| stream.parts.len() == 1);
    Ok(looked)
}

/// The same for text that is at hand: of each stream its name and its first [`HEAD_BYTES`].
pub(super) fn look_at_heads(texts: &[(String, String)], wishes: &Wishes) -> anyhow::Result<Looked> {
    let heads: Vec<Head<'_>> =
        texts.iter().map(|(name, text)| Head { stream: name, lines: sample(text).collect() }).collect();
    if heads.iter().all(|head| head.lines.is_empty()) {
        bail!(
            "there is not a single line in what was given: give log files that hold lines, or - and lines on standard input."
        );
    }
    // Fields, services and arms are what they are, also outside the span that is judged.
    let mut every_time = wishes.clone();
    (every_time.windowing.since, every_time.windowing.until) = (None, None);
    let mut found = survey(&heads, &every_time);
    (found.plan.windowing.since, found.plan.windowing.until) = (wishes.windowing.since, wishes.windowing.until);
    let is_all = texts.iter().all(|(_, text)| text.len() < HEAD_BYTES && text.lines().count() < HEAD_LINES);
    Ok(Looked { found, is_all })
}

/// Fields that the user names must be there.
pub(super) fn check_roles(found: &Survey, how: &HowArguments) -> anyhow::Result<()> {
    for role in &how.roles {
        for path in role.split_once('=').map_or("", |(_, fields)| fields).split(',') {
            let path = path.split(':').next().unwrap_or(path);
            // A field of a known name may come later: a report has told so.
            if roles::role_of_known(path).is_none() {
                unknown_field(found, path, "--role")?;
            }
        }
    }
    Ok(())
}

/// Lines must be of a kind that is understood, and have a time.
pub(super) fn check_readable(found: &Survey) -> anyhow::Result<()> {
    if found.lines == 0 {
        bail!(
            "no line is of a form that is known: JSON with one object a line, logs of servers and of frameworks, what collectors put around them (docs/formats.md); a text of your own needs a pipeline with a pattern (docs/pipelines.md). A first line, as it was read: {}.",
            found.first_line.as_deref().map(|line| harmless(line, 100)).unwrap_or_default()
        );
    }
    if found.plan.fields(Role::Time).is_empty() && found.plan.fields(Role::Start).is_empty() {
        bail!(
            "no field is recognised as the time of a line; name it with --role time=FIELD. Fields seen: {}.",
            seen(found)
        );
    }
    Ok(())
}

/// Says at the start what cannot work, with what to do.
fn check(found: &Survey, how: &HowArguments, judge: &JudgeArguments) -> anyhow::Result<()> {
    check_readable(found)?;
    check_roles(found, how)?;
    match &found.plan.arms {
        ArmRule::None => bail!(
            "{}. Fields seen: {}.",
            found.no_arms().unwrap_or("no field says which arm a line belongs to"),
            seen(found)
        ),
        ArmRule::Field(path) if judge.arm_by.is_some() => unknown_field(found, path, "--arm-by")?,
        ArmRule::Queries { baseline, canary } => {
            for (option, query) in [("--baseline", baseline), ("--canary", canary)] {
                for path in query.fields() {
                    if path != "message" && path != crate::pipeline::decode::STREAM_PATH {
                        unknown_field(found, &path, option)?;
                    }
                }
            }
            if found.both_queries > 0 {
                bail!(
                    "--baseline and --canary overlap: {} of {} lines looked at match both, so they belong to neither arm.",
                    found.both_queries,
                    found.lines
                );
            }
        }
        ArmRule::Field(_) | ArmRule::PodTemplate { .. } | ArmRule::Hash { .. } => {}
    }
    if let Some(service) = &how.service
        && found.services.keys().all(|key| key.service != *service)
    {
        let names: BTreeSet<&str> = found.services.keys().map(|key| key.service.as_str()).collect();
        bail!("{}", unknown("--service", service, "no line of this service was seen", "Services", &names));
    }
    Ok(())
}

/// The same, with the segments of a policy where the command line names none.
pub(super) fn with_segments(wishes: Wishes, policy: &Policy) -> anyhow::Result<Wishes> {
    let of_policy = policy_file::segment_fields(&policy.segments).map_err(|problem| anyhow!("segments: {problem}"))?;
    Ok(Wishes { segments: wishes.segments.clone().or(of_policy), ..wishes })
}

/// A field whose values are segments says nothing about arms, and is there.
pub(super) fn check_segments(found: &Survey) -> anyhow::Result<()> {
    if let Some((path, why)) = found.segments.refused.first() {
        bail!("--segment {}: no segment: {why}.", harmless(path, 80));
    }
    found.plan.segments.iter().try_for_each(|path| unknown_field(found, path, "--segment"))
}

/// The business events of a policy with those of pipelines.
fn with_events(mut conversions: Conversions, wishes: &Wishes) -> anyhow::Result<Conversions> {
    conversions.harms.extend(wishes.harms.iter().cloned());
    conversions.at_least.extend(wishes.at_least.clone());
    for event in &wishes.events {
        if !conversions.names.contains(event) {
            conversions.names.push(event.clone());
        }
    }
    if conversions.names.len() > CONVERSIONS_MAX {
        bail!(
            "policy and pipelines name {} business events; at most {CONVERSIONS_MAX} are tested",
            conversions.names.len()
        );
    }
    Ok(conversions)
}

/// A limit in milliseconds is no limit where the unit of what it limits is a guess.
fn check_limits(found: &Survey, policy: &Policy) -> anyhow::Result<()> {
    let Some(field) = found.guessed_latencies().next().filter(|_| policy.limits_latency()) else {
        return Ok(());
    };
    let (path, unit) = (harmless(&field.path, 60), field.unit.unwrap_or(LatencyUnit::Millis));
    let others = LatencyUnit::ALL.into_iter().filter(|other| *other != unit).map(LatencyUnit::name);
    bail!(
        "limits.p99_ms of the policy needs a latency whose unit is known, and that `{path}` is in {unit} is a guess. Name its unit: --role latency={path}:{unit} if that is right, else :{others}.",
        unit = unit.name(),
        others = others.collect::<Vec<_>>().join(", :"),
    );
}

fn seen(found: &Survey) -> String {
    let list: Vec<&str> = found.paths.iter().take(40).map(String::as_str).collect();
    harmless(&list.join(", "), 600)
}

fn unknown_field(found: &Survey, path: &str, option: &str) -> anyhow::Result<()> {
    // Access logs have fields of their own, which no JSON line shows.
    if path.is_empty() || found.paths.is_empty() || found.paths.contains(path) || found.access_lines > 0 {
        return Ok(());
    }
    let near = suggest(path, found.paths.iter().map(String::as_str));
    let hint = near.map_or(".".to_owned(), |near| format!("; did you mean `{}`?", harmless(near, 80)));
    bail!("{option}: no line has a field `{}`{hint} Fields seen: {}.", harmless(path, 80), seen(found))
}

fn arm_choice(judge: &JudgeArguments, found: &Survey) -> ArmChoice {
    match found.plan.arms {
        ArmRule::Queries { .. } | ArmRule::Hash { .. } => two_arms(),
        ArmRule::None | ArmRule::Field(_) | ArmRule::PodTemplate { .. } => {
            // Named twice it is still one: the error level is shared by as many as there are.
            let mut candidates: Vec<String> = Vec::new();
            for name in &judge.candidates {
                if !candidates.contains(name) {
                    candidates.push(name.clone());
                }
            }
            let sharing = if candidates.is_empty() { found.candidates_seen() } else { candidates.len() };
            ArmChoice { control: judge.control.clone(), candidates, sharing }
        }
    }
}

/// The arms that queries and hashes give.
pub(super) fn two_arms() -> ArmChoice {
    ArmChoice { control: Some(BASELINE.to_owned()), candidates: vec![CANARY.to_owned()], sharing: 1 }
}

/// What is rolled out together, as the survey found it; of a declared release each service is judged by itself.
fn releases(found: &Survey, policy: &Policy) -> Vec<Vec<ServiceKey>> {
    let named = |key: &ServiceKey| policy.of(Some(key)).release.contains(&key.service);
    let mut list: Vec<Vec<ServiceKey>> = Vec::new();
    for release in &found.releases {
        let mut services = release.services.clone();
        let is_entry = services.first().is_some_and(named);
        let apart: Vec<ServiceKey> =
            services.iter().skip(usize::from(is_entry)).filter(|key| named(key)).cloned().collect();
        services.retain(|key| !apart.contains(key));
        list.push(services);
        list.extend(apart.into_iter().map(|key| vec![key]));
    }
    list
}

/// What the engine decides by.
pub(super) fn settings(found: &Survey, arms: ArmChoice, policy: Policy) -> Settings {
    // A hash of each unit assigns it, whatever it is.
    let by_hash = matches!(found.plan.arms, ArmRule::Hash { .. });
    let mut policy = Policy {
        segments: found.plan.segments.clone(),
        requests_assigned: policy.requests_assigned || by_hash,
        ..policy
    };
    // Lines are read alike for all.
    for of_rollout in &mut policy.rollouts {
        of_rollout.policy.segments = policy.segments.clone();
        of_rollout.policy.conversions = policy.conversions.clone();
        of_rollout.policy.metrics = policy.metrics.clone();
    }
    Settings {
        windowing: found.plan.windowing,
        releases: releases(found, &policy),
        arms,
        unit: found.plan.unit,
        policy,
        memory: STATE_MAX,
    }
}

/// Writes ledger and rejects while the engine runs.
struct Recorder {
    ledger: Option<BufWriter<File>>,
    rejects: Option<BufWriter<File>>,
    /// The course of comparisons, where it will be drawn.
    courses: Option<Courses>,
    progress: Progress,
    /// What is no part of any verdict, and to be told.
    noticed: Noticed,
}

impl Recorder {
    fn new(arguments: &CompareArguments, bytes: u64) -> anyhow::Result<Recorder> {
        let create = |path: &Option<std::path::PathBuf>| -> anyhow::Result<Option<BufWriter<File>>> {
            path.as_ref()
                .map(|path| {
                    let file =
                        output::create(path).with_context(|| format!("{}: cannot be written", path.display()))?;
                    Ok(BufWriter::new(file))
                })
                .transpose()
        };
        Ok(Recorder {
            ledger: create(&arguments.ledger)?,
            rejects: create(&arguments.rejects)?,
            courses: (arguments.format == Format::Html).then(Courses::default),
            progress: Progress::bytes(bytes),
            noticed: Noticed::default(),
        })
    }

    fn flush(&mut self) -> std::io::Result<()> {
        for file in [&mut self.ledger, &mut self.rejects].into_iter().flatten() {
            file.flush()?;
        }
        Ok(())
    }
}

impl Observer for Recorder {
    fn unread(&mut self, fields: BTreeMap<String, u64>) {
        self.noticed.unread(fields);
    }

    fn crashes(&mut self, stream: &str, lines: u64, arms: &[String]) {
        self.noticed.crashes(stream, lines, arms);
    }

    fn window(&mut self, engine: &Engine, partial: &WindowPartial) {
        self.noticed.window(engine, partial);
    }

    fn outputs(&mut self, engine: &Engine, outputs: Vec<Output>) -> std::io::Result<()> {
        for output in outputs {
            match output {
                Output::Entry(line) => {
                    if let Some(ledger) = &mut self.ledger {
                        ledger.write_all(line.as_bytes())?;
                    }
                }
                Output::Looked { release, comparison } => {
                    if let Some(courses) = &mut self.courses {
                        courses.look(engine, release, comparison);
                    }
                }
                Output::Forgotten { release, number, .. } => {
                    if let Some(courses) = &mut self.courses {
                        courses.forget(release, number);
                    }
                }
            }
        }
        Ok(())
    }

    fn rejects(&mut self, stream: &str, rejects: Vec<KeptReject>) -> std::io::Result<()> {
        if let Some(file) = &mut self.rejects {
            for reject in rejects {
                let line = serde_json::json!({
                    "reason": reject.reason.name(),
                    "stream": stream,
                    "offset": reject.offset,
                    "line": reject.line,
                });
                writeln!(file, "{line}")?;
            }
        }
        Ok(())
    }

    fn progress(&mut self, bytes: u64) {
        self.progress.add(bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_and_durations() {
        assert_eq!(parts_per_million("5%").unwrap(), 50_000);
        assert_eq!(parts_per_million("0.125").unwrap(), 125_000);
        assert!(
            parts_per_million("0").is_err() && parts_per_million("120%").is_err() && parts_per_million("x").is_err()
        );
        assert_eq!(duration("10s").unwrap(), 10 * SECOND);
        assert_eq!(duration("1.5m").unwrap(), 90 * SECOND);
        assert!(duration("ten").is_err() && duration("10").is_err());
    }

    #[test]
    fn arms_by_hash() {
        let rule = arm_by("hash(unit, 5%, 17)").unwrap();
        assert_eq!(rule, ArmRule::Hash { share_ppm: 50_000, seed: "17".to_owned() });
        assert_eq!(arm_by("track").unwrap(), ArmRule::Field("track".to_owned()));
        assert!(arm_by("hash(user, 5%)").is_err());
    }
}
