//! `serin demo`: rollouts with known truth, judged from their log lines as `serin compare` would judge them.
//!
//! Nothing is taken from the generator but bytes: they go through survey, decoder, windows and engine, and what other
//! rules say comes from the engine's counts of the same lines. Whether a story came out as expected is computed.

#[cfg(feature = "serve")]
mod live;
mod screen;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Parser;

use self::screen::{Paint, Screen, conclusion_words, time_of_day};
use crate::cli::arguments::{Arguments, Command, CompareArguments, DemoArguments};
use crate::cli::compare::{self, HEAD_BYTES};
use crate::cli::output::{self, quoted};
use crate::cli::report::{Noticed, Report, span, wrap_words};
use crate::cli::terminal::{harmless, print};
use crate::demo::archive::{Archive, Size};
use crate::demo::course::Course;
use crate::demo::others::{Others, RULES};
use crate::demo::traffic::{Expect, Story, Traffic, stories};
use crate::engine::{Engine, Output};
use crate::pipeline::plan_text;
use crate::rival::State;
use crate::source::run::{Observer, PushedStream};

/// Exit status when a story does not come out as it should.
const STATUS_UNEXPECTED: u8 = 1;
/// Fast, and logs still become five times smaller.
const ZSTD_LEVEL: i32 = 1;
/// Bytes of an archive that are written at once.
const ARCHIVE_BYTES: usize = 1 << 16;
/// Columns of running text.
const WIDTH: usize = 100;

/// Runs `demo`.
pub(super) fn run(arguments: &DemoArguments) -> anyhow::Result<u8> {
    if arguments.archive {
        return write_archive(arguments.seed);
    }
    if !(arguments.speed.is_finite() && arguments.speed >= 0.0) {
        bail!("--speed: hours of event time per second, 0 for as fast as possible; got {}", arguments.speed);
    }
    let folder = arguments.keep.clone().unwrap_or_else(|| std::env::temp_dir().join("serin-demo"));
    #[cfg(feature = "serve")]
    if !arguments.no_ui {
        return live::run(arguments, &folder);
    }
    let word = arguments.story.as_deref().unwrap_or("");
    let chosen: Vec<Story> = stories().into_iter().filter(|story| story.name.contains(word)).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = stories().iter().map(|story| story.name).collect();
        bail!("--story {}: there are {}", harmless(word, 60), names.join(", "));
    }
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{}: cannot be made; choose a folder with --keep DIR", folder.display()))?;

    let began = Instant::now();
    let show = Show { paint: Paint::of_stdout(), program: program(), folder, arguments };
    show.welcome(chosen.len())?;
    let mut told = Vec::new();
    for (at, story) in chosen.iter().enumerate() {
        show.title(story, at + 1, chosen.len())?;
        told.push(show.story(story)?);
    }
    show.table(&told, began.elapsed())?;
    let as_expected = told.iter().all(|told| told.course.is_as_expected(told.story.expect));
    Ok(if as_expected { 0 } else { STATUS_UNEXPECTED })
}

/// The log of a month, to standard output.
fn write_archive(seed: u64) -> anyhow::Result<u8> {
    let mut archive = Archive::new(seed, Size::default());
    let mut out = std::io::stdout().lock();
    let mut lines = Vec::new();
    while archive.minute(&mut lines) {
        if lines.len() > ARCHIVE_BYTES {
            out.write_all(&lines)?;
            lines.clear();
        }
    }
    out.write_all(&lines)?;
    out.flush()?;
    Ok(0)
}

/// How this program was called, so that printed commands work where they are printed.
fn program() -> String {
    std::env::args_os().next().map_or_else(|| "serin".to_owned(), |name| quoted(Path::new(&name)))
}

/// One story, told to its end.
struct Told {
    story: Story,
    course: Course,
    others: Others,
}

struct Show<'a> {
    paint: Paint,
    program: String,
    folder: PathBuf,
    arguments: &'a DemoArguments,
}

impl Show<'_> {
    fn welcome(&self, count: usize) -> anyhow::Result<()> {
        let mut text = String::new();
        let many = match count {
            1 => "One rollout of a shop's checkout service, made up with a".to_owned(),
            _ => format!("{count} rollouts of a shop's checkout service, made up with"),
        };
        let sentences = format!(
            "{many} known truth (seed {}). Serin gets nothing but the log lines, minute by minute, and looks after every \
             10 s of event time.",
            self.arguments.seed
        );
        paragraph(&mut text, "", &sentences);
        paragraph(&mut text, "", "Beside it, on the same minutes, what people use today:");
        RULES.iter().for_each(|rule| paragraph(&mut text, "  ", rule));
        Ok(print(&text)?)
    }

    fn title(&self, story: &Story, at: usize, of: usize) -> anyhow::Result<()> {
        let mut text = format!("\n{}\n", self.paint.bold(&format!("{at}/{of}  {}", story.name)));
        paragraph(&mut text, "  ", story.title);
        Ok(print(&text)?)
    }

    /// Tells a story to its end.
    fn story(&self, story: &Story) -> anyhow::Result<Told> {
        let stream = format!("{}.ndjson", story.name);
        let log_path = self.folder.join(format!("{stream}.zst"));
        let ledger_path = self.folder.join(format!("{}.ledger", story.name));
        let command = compare_command(story, &log_path);
        let judged_as = parse(&command)?;

        let mut traffic = Traffic::new(story, self.arguments.seed);
        let mut head = Vec::new();
        while head.len() < HEAD_BYTES && traffic.minute(&mut head) {}
        let start = String::from_utf8_lossy(head.get(..HEAD_BYTES).unwrap_or(&head)).into_owned();
        let texts = [(stream.clone(), start)];
        let (found, settings) =
            compare::ground(&judged_as.logs.how, &judged_as.judge, |wishes| compare::look_at_heads(&texts, wishes))?;

        let mut engine = Engine::new(settings);
        let mut log = Log::create(&log_path)?;
        let mut watch = Watch {
            story: *story,
            ledger: BufWriter::new(create(&ledger_path)?),
            course: Course::default(),
            others: Others::default(),
            screen: Screen::new(self.paint),
        };
        let plan_text = plan_text::to_json(&found.plan);
        let mut pushed = PushedStream::begin(&stream, &found.plan, &mut engine, plan_text, &mut watch)?;
        let mut bytes = head;
        loop {
            log.write(&bytes)?;
            bytes = pushed.push(bytes, &mut engine, &mut watch)?;
            bytes.clear();
            if watch.course.is_over() || !traffic.minute(&mut bytes) {
                break;
            }
            self.pace(&mut watch.screen)?;
        }
        pushed.end(&mut engine, &mut watch)?;
        log.finish()?;
        watch.ledger.flush().with_context(|| format!("{}: cannot be written", ledger_path.display()))?;
        watch.screen.end()?;

        let Watch { course, others, .. } = watch;
        let told = Told { story: *story, course, others };
        let report = Report::new(&engine, &found, &Noticed::default());
        self.outcome(&told, &report, &command, &ledger_path, &log_path)?;
        Ok(told)
    }

    /// Waits as long as a minute of event time is to take.
    fn pace(&self, screen: &mut Screen) -> anyhow::Result<()> {
        if self.arguments.speed > 0.0 {
            let wait = Duration::try_from_secs_f64(1.0 / (60.0 * self.arguments.speed)).unwrap_or(Duration::MAX);
            screen.settle(wait)?;
            // The pace that `--speed` asks for; it decides nothing.
            std::thread::sleep(wait);
        }
        Ok(())
    }

    fn outcome(
        &self,
        told: &Told,
        report: &Report<'_>,
        command: &[String],
        ledger: &Path,
        log: &Path,
    ) -> anyhow::Result<()> {
        let Told { story, course, others } = told;
        let mut text = String::from("\n");
        let judged = report.comparisons.iter().filter(|judged| is_of(story, judged.services));
        let reasons: Vec<String> = judged.flat_map(|judged| judged.sentences()).collect();
        let words = self.paint.conclusion(course.current());
        let width = WIDTH - conclusion_words(course.current()).len();
        let mut lines = wrap_words(&when(course), width).into_iter();
        text.push_str(&format!("  {words}  {}\n", lines.next().unwrap_or_default()));
        lines.for_each(|line| text.push_str(&format!("  {line}\n")));
        reasons.iter().for_each(|sentence| paragraph(&mut text, "  ", sentence));
        paragraph(&mut text, "  ", &others.sentences().join(" "));
        if course.is_as_expected(story.expect) {
            paragraph(&mut text, "  ", "This is what the story deserves.");
        } else {
            let line = format!("NOT AS EXPECTED: this story deserves {}.", deserved(story.expect));
            text.push_str(&format!("  {}\n", self.paint.bad(&line)));
        }
        text.push_str("\n  The same decision from the log, and from the ledger to the byte:\n");
        let words: Vec<String> = command.iter().map(|word| quoted(Path::new(word))).collect();
        text.push_str(&format!("    {} {}\n", self.program, words.join(" ")));
        text.push_str(&format!("    {} replay {} {}\n", self.program, quoted(ledger), quoted(log)));
        Ok(print(&text)?)
    }

    fn table(&self, told: &[Told], took: Duration) -> anyhow::Result<()> {
        let mut text = String::from("\n");
        let cells = |cells: [&str; 5]| {
            let [name, verdict, expected, after, dashboard] = cells;
            let line = format!("{name:<18} {verdict:<26} {expected:<12} {after:<14} {dashboard}");
            line.trim_end().to_owned()
        };
        text.push_str(&self.paint.bold(&cells(["story", "verdict", "as expected", "after", "dashboard threshold"])));
        text.push('\n');
        for Told { story, course, others } in told {
            let minutes = others.minutes();
            let dashboard = match others.dashboard() {
                (State::RolledBack, Some(at)) => format!("after {at} min"),
                _ => format!("silent for {minutes} min"),
            };
            let after = course.first().map_or("-".to_owned(), |at| span(course.after(at)));
            let words = conclusion_words(course.current());
            let expected = if course.is_as_expected(story.expect) { "yes" } else { "NO" };
            let line = cells([story.name, words, expected, &after, &dashboard]);
            // Colours go in last: they have no width.
            text.push_str(&line.replacen(words, &self.paint.conclusion(course.current()), 1));
            text.push('\n');
        }
        let unexpected: Vec<&str> = told
            .iter()
            .filter(|told| !told.course.is_as_expected(told.story.expect))
            .map(|told| told.story.name)
            .collect();
        text.push('\n');
        let logs = format!(
            "{:.1} s, logs and ledgers in {}.",
            took.as_secs_f64(),
            harmless(&self.folder.display().to_string(), 200)
        );
        if unexpected.is_empty() {
            text.push_str(&format!("Every story came out as it should; {logs}\n"));
        } else {
            let line = format!("Not as expected: {}.", unexpected.join(", "));
            text.push_str(&format!("{} {logs}\n", self.paint.bad(&line)));
        }
        text.push_str(&format!("Next, on a log of yours: {} compare YOUR.log\n", self.program));
        Ok(print(&text)?)
    }
}

/// The arguments of `serin` that judge a kept log as the demo does.
fn compare_command(story: &Story, log: &Path) -> Vec<String> {
    let mut command = vec!["compare".to_owned(), log.display().to_string()];
    if let Some(share) = story.declared_share {
        command.extend(["--share".to_owned(), format!("{}%", share * 100.0)]);
    }
    command
}

/// Arguments as the command line takes them, so that no default differs.
fn parse(command: &[String]) -> anyhow::Result<CompareArguments> {
    let words = std::iter::once("serin").chain(command.iter().map(String::as_str));
    match Arguments::try_parse_from(words)?.command {
        Command::Compare(arguments) => Ok(arguments),
        _ => bail!("not a comparison"),
    }
}

/// When the conclusion was reached, counted from the canary's first requests.
fn when(course: &Course) -> String {
    let Some(first) = course.first() else { return format!("after {}.", span(course.length())) };
    let mut text = format!("first at {}, {} into the rollout", time_of_day(first), span(course.after(first)));
    if course.since() != first {
        text.push_str(&format!(", and without a break since {}", time_of_day(course.since())));
    }
    text.push_str(&format!("; watched for {}.", span(course.length())));
    text
}

fn deserved(expect: Expect) -> &'static str {
    match expect {
        Expect::Pass => "a PASS, and neither FAIL nor INVALID on the way",
        Expect::Fail => "a FAIL, and no PASS before it",
        Expect::Changed => "to be held back for a changed behaviour, and never a PASS or FAIL",
        Expect::Invalid => "INVALID, and never a PASS or FAIL",
    }
}

fn is_of(story: &Story, services: &[crate::event::ServiceKey]) -> bool {
    services.first().is_some_and(|key| key.service == story.service)
}

/// A sentence in lines, each behind `indent`.
fn paragraph(text: &mut String, indent: &str, sentence: &str) {
    for line in wrap_words(sentence, WIDTH) {
        text.push_str(&format!("{indent}{}\n", harmless(&line, 200)));
    }
}

fn create(path: &Path) -> anyhow::Result<File> {
    output::create(path)
        .with_context(|| format!("{}: cannot be written; choose a folder with --keep DIR", path.display()))
}

/// The log of a story on disk.
struct Log<'a> {
    path: &'a Path,
    packed: zstd::Encoder<'static, File>,
}

impl<'a> Log<'a> {
    fn create(path: &'a Path) -> anyhow::Result<Log<'a>> {
        let packed = zstd::Encoder::new(create(path)?, ZSTD_LEVEL)?;
        Ok(Log { path, packed })
    }

    fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.packed.write_all(bytes).with_context(|| format!("{}: cannot be written", self.path.display()))
    }

    fn finish(self) -> anyhow::Result<()> {
        self.packed.finish().with_context(|| format!("{}: cannot be written", self.path.display()))?;
        Ok(())
    }
}

/// Follows the engine: ledger, course, other rules, screen.
struct Watch {
    story: Story,
    ledger: BufWriter<File>,
    course: Course,
    others: Others,
    screen: Screen,
}

impl Observer for Watch {
    fn outputs(&mut self, engine: &Engine, outputs: Vec<Output>) -> std::io::Result<()> {
        for output in outputs {
            match output {
                Output::Entry(line) => self.ledger.write_all(line.as_bytes())?,
                Output::Looked { release, comparison } => {
                    let of_story = engine.releases().nth(release).is_some_and(|(list, _)| is_of(&self.story, list));
                    let Some(comparison) = engine.comparison(release, comparison).filter(|_| of_story) else {
                        continue;
                    };
                    self.course.look(comparison);
                    self.others.look(comparison);
                    self.screen.look(comparison, &engine.settings().policy)?;
                }
                Output::Forgotten { .. } => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_printed_command_is_the_one_that_is_judged_by() {
        for story in stories() {
            let arguments = parse(&compare_command(&story, Path::new("/tmp/a b.ndjson.zst"))).unwrap();
            assert_eq!(arguments.logs.files, ["/tmp/a b.ndjson.zst"]);
            let share = arguments.judge.share.map(|share| compare::parts_per_million(&share).unwrap());
            assert_eq!(share, story.declared_share.map(|share| (share * 1e6) as u32), "{}", story.name);
        }
    }
}
