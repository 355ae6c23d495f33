//! `serin who`: who uses a feature, from logs.

pub(in crate::cli) mod json;
mod text;

use anyhow::{Context, anyhow, bail};
use clap::{Args, ValueEnum};

use crate::adoption::units::{self, Units};
use crate::adoption::{Adoption, Asked, USES_MAX};
use crate::cli::arguments::HowArguments;
use crate::cli::compare::{check_roles, duration, look_at, wishes};
use crate::cli::each_line::{EachLine, Resolved};
use crate::cli::terminal::{self, Progress};
use crate::event::{Event, Kind, Names, RejectReason, SEGMENT_FIELDS_MAX, name_at};
use crate::source::files;

/// Arguments of `who`.
#[derive(Debug, Args)]
#[command(
    after_help = "Units (users, or what --unit says) count, not lines. Segments that are called found hold at whatever time \
they are looked at, among all that were looked at; everything else describes, for a single look. Who uses a feature chose it: nothing here is \
an effect of it.\n\nExamples:\n  serin who logs/ --used 'route:/api/export status:<400'\n  serin who app.log --used 'path:/checkout/pay' \
--exposed 'path:/cart' --step 'cart=path:/cart' --step 'pay=path:/checkout/pay' --within 30m --segment country\n\nQueries are those of \
`serin search`. All of it in docs/who.md."
)]
pub(in crate::cli) struct WhoArguments {
    /// Log files, folders, patterns, or - for standard input; plain, gzip or zstd
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<String>,
    /// Lines that are a use of the feature
    #[arg(long, value_name = "QUERY")]
    pub used: String,
    /// Lines that show that a unit was exposed to it (default: logged exposures, where there are any, else every line)
    #[arg(long, value_name = "QUERY")]
    pub exposed: Option<String>,
    /// A step of a funnel, in order (two to eight); units come through it in that order
    #[arg(long = "step", value_name = "NAME=QUERY")]
    pub steps: Vec<String>,
    /// How long the whole way through the funnel may take (10s, 30m, 1d)
    #[arg(long, default_value = "1h", value_name = "DURATION")]
    pub within: String,
    /// Text for people, Markdown for tickets, or JSON for programs
    #[arg(long, value_enum, default_value_t = WhoFormat::Text)]
    pub format: WhoFormat,
    /// How files are read.
    #[command(flatten)]
    pub how: HowArguments,
}

/// How `who` prints.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(in crate::cli) enum WhoFormat {
    /// For people.
    Text,
    /// For tickets.
    Markdown,
    /// For programs.
    Json,
}

/// What was asked, in words, and what was read.
pub(in crate::cli) struct Told {
    /// Query of a use.
    pub used: String,
    /// What shows an exposure, in words.
    pub exposed: String,
    /// Names of the steps.
    pub steps: Vec<String>,
    /// Time for all of them, as it was given.
    pub within: String,
    /// What a unit is.
    pub unit: &'static str,
    /// Fields whose values are segments.
    pub segments: Vec<String>,
    /// Lines; those that name no unit; those that are no event.
    pub lines: [u64; 3],
    /// Queries of the lines behind numbers, where somebody can ask them.
    pub queries: Option<json::Queries>,
}

/// Runs `who`.
pub(super) fn run(arguments: &WhoArguments) -> anyhow::Result<u8> {
    let steps = arguments.steps.iter().map(|step| {
        let parts = step.split_once('=').filter(|(name, query)| !name.is_empty() && !query.is_empty());
        parts.ok_or_else(|| anyhow!("--step {step}: write NAME=QUERY, for example cart=path:/cart"))
    });
    let steps = steps.collect::<anyhow::Result<Vec<_>>>()?;
    if steps.len() == 1 || steps.len() > units::STEPS_MAX {
        bail!("--step: a funnel has two to {} steps", units::STEPS_MAX);
    }
    let within = duration(&arguments.within).context("--within")?;
    let wishes = wishes(&arguments.how, None)?;
    let mut streams = files::find(&arguments.files)?;
    let found = look_at(&mut streams, &wishes)?.found;
    check_roles(&found, &arguments.how)?;
    let mut lines = EachLine::new(&mut streams, &found.plan)?;
    let used = lines.resolve(&arguments.used).context("--used")?;
    let exposed = arguments.exposed.as_deref().map(|text| lines.resolve(text).context("--exposed")).transpose()?;
    let queries = steps.iter().map(|(name, query)| lines.resolve(query).with_context(|| format!("--step {name}")));
    let queries: Vec<Resolved> = queries.collect::<anyhow::Result<_>>()?;

    // Without a query both are counted, since nobody knows yet whether exposures are logged.
    let (mut all, mut of_exposures) = (Units::default(), Units::default());
    let (mut counts, mut exposures) = ([0u64; 3], 0u64);
    let progress = Progress::bytes(0);
    lines.read(&progress, |record, event| {
        counts[0] += 1;
        let Some((event, names)) = event else {
            counts[2] += u64::from(record.told.reject.is_some_and(|reason| reason != RejectReason::CrashText));
            return;
        };
        if event.unit == 0 {
            counts[1] += 1;
            return;
        }
        let is_exposure = event.kind == Kind::Exposure;
        exposures += u64::from(is_exposure);
        let steps = queries.iter().enumerate().filter(|(_, query)| query.tree.matches(record));
        let steps = steps.fold(0, |bits, (at, _)| bits | 1 << at);
        let mut line = line_of(event, names, used.tree.matches(record), steps);
        line.exposed = exposed.as_ref().is_none_or(|query| query.tree.matches(record));
        all.take(&line);
        if exposed.is_none() {
            of_exposures.take(&units::Line { exposed: is_exposure, ..line });
        }
    })?;
    progress.finish();
    [Some(&used), exposed.as_ref()]
        .into_iter()
        .flatten()
        .chain(&queries)
        .try_for_each(|query| lines.check_met(query))?;
    if counts[0] == counts[1] + counts[2] {
        let unit = found.plan.unit.name();
        bail!("no line names a {unit}: name the field with --role {unit}=FIELD, or another unit with --unit");
    }
    let by_exposures = exposed.is_none() && exposures > 0;
    let asked = Asked { segments: found.plan.segments.clone(), steps: steps.len(), within, uses_max: USES_MAX };
    let adoption = Adoption::of(if by_exposures { of_exposures } else { all }, &asked);
    let told = Told {
        used: arguments.used.clone(),
        exposed: match &arguments.exposed {
            Some(query) => query.clone(),
            None if by_exposures => "logged exposures".to_owned(),
            None => "every line".to_owned(),
        },
        steps: steps.iter().map(|(name, _)| (*name).to_owned()).collect(),
        within: arguments.within.clone(),
        unit: found.plan.unit.name(),
        segments: asked.segments,
        lines: counts,
        queries: None,
    };
    let text = match arguments.format {
        WhoFormat::Text => text::text(&adoption, &told),
        WhoFormat::Markdown => text::markdown(&adoption, &told),
        WhoFormat::Json => format!("{:#}\n", json::document(&adoption, &told)),
    };
    terminal::print(&text)?;
    Ok(0)
}

fn line_of<'n>(event: &Event, names: &'n Names, used: bool, steps: u8) -> units::Line<'n> {
    let mut segments = [None; SEGMENT_FIELDS_MAX];
    for ((slot, list), id) in segments.iter_mut().zip(&names.segments).zip(event.segments) {
        *slot = name_at(list, id).map(String::as_str);
    }
    let arm = name_at(&names.arms, event.arm).map(String::as_str);
    units::Line { unit: event.unit, time: event.time, exposed: false, used, steps, arm, segments }
}
