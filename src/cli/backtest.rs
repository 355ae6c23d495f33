//! `serin backtest`: every deploy of an archive, judged as it would have been judged.

pub(super) mod json;
mod text;

use anyhow::bail;

pub(super) use self::text::{before_after, remark, short};
use crate::backtest::{Backtest, Deploy, Found, Judged, Outcome, RULES, Said, Stop, What};
use crate::cli::arguments::{BacktestArguments, Format, JudgeArguments};
use crate::cli::compare::{ground, look_at};
use crate::cli::report::{count, grouped, markdown_of_text};
use crate::cli::terminal::{Progress, harmless};
use crate::cli::{html, output, terminal};
use crate::compare::verdict::Cell;
use crate::engine::shedding::STATE_MAX;
use crate::engine::{Engine, Output};
use crate::pipeline::plan::ArmRule;
use crate::pipeline::plan_text;
use crate::pipeline::survey::Survey;
use crate::rival::State;
use crate::sketch::partial::{Tally, WindowPartial};
use crate::source::files;
use crate::source::run::{Observer, Options, run as run_streams};
use crate::time::Timestamp;

/// Runs `backtest`.
pub(super) fn run(arguments: &BacktestArguments) -> anyhow::Result<u8> {
    let mut streams = files::find(&arguments.logs.files)?;
    let judge = JudgeArguments {
        baseline: None,
        canary: None,
        arm_by: arguments.arm_by.clone(),
        control: None,
        candidates: Vec::new(),
        share: None,
        release: Vec::new(),
        policy: arguments.policy.clone(),
        memory: STATE_MAX,
    };
    let (survey, mut settings) = ground(&arguments.logs.how, &judge, |wishes| {
        let looked = look_at(&mut streams, wishes)?;
        if looked.found.lines > 0 && matches!(looked.found.plan.arms, ArmRule::None) {
            bail!("no field says which version a line belongs to; name it with --arm-by FIELD.");
        }
        Ok(looked)
    })?;
    if settings.arms.is_declared() {
        bail!("--arm-by: give a field; a split by hash has no deploys.");
    }
    // A month shows many versions, and each rollout is judged in its own time: they do not share one error level.
    settings.arms.sharing = 1;
    let mut engine = Engine::new(settings);
    let mut watcher = Watcher {
        backtest: Backtest::default(),
        progress: Progress::bytes(streams.iter().map(files::size_on_disk).sum()),
    };
    let options =
        Options { threads: arguments.logs.threads.unwrap_or(Options::default().threads), ..Options::default() };
    let done =
        run_streams(&streams, &survey.plan, &mut engine, plan_text::to_json(&survey.plan), options, &mut watcher);
    watcher.progress.finish();
    done?;
    let found = watcher.backtest.finish(&engine);
    if engine.tally().events > 0 && engine.tally().events == engine.tally().outside {
        bail!("every line was left out: nothing lies in the times or the environment that was asked for.");
    }
    let others = engine.unplanned().iter().filter(|_| survey.plan.service.is_none());
    let shown = Shown {
        found: &found,
        survey: &survey,
        tally: engine.tally(),
        unplanned: others.map(|(key, requests)| (key.to_string(), *requests)).collect(),
        command: output::own_command(),
    };
    match arguments.format {
        Format::Text => terminal::print(&shown.text())?,
        Format::Json => terminal::print(&format!("{:#}\n", shown.json()))?,
        Format::Markdown => terminal::print(&markdown_of_text(&shown.text()))?,
        Format::Html => terminal::print(&html::backtest(&shown))?,
    }
    Ok(0)
}

/// Watches the engine.
struct Watcher {
    backtest: Backtest,
    progress: Progress,
}

impl Observer for Watcher {
    fn outputs(&mut self, engine: &Engine, outputs: Vec<Output>) -> std::io::Result<()> {
        self.backtest.outputs(engine, &outputs);
        Ok(())
    }

    fn window(&mut self, engine: &Engine, partial: &WindowPartial) {
        self.backtest.window(engine, partial);
    }

    fn progress(&mut self, bytes: u64) {
        self.progress.add(bytes);
    }
}

/// Everything that is printed.
pub(super) struct Shown<'a> {
    pub(super) found: &'a Found,
    survey: &'a Survey,
    tally: &'a Tally,
    /// Services that the first lines did not show, with their requests: nothing looked at them.
    unplanned: Vec<(String, u64)>,
    /// The command that was run.
    pub(super) command: String,
}

/// What a guardrail is about, in a word.
fn about(cell: Cell) -> &'static str {
    match cell {
        Cell::ErrorUnits | Cell::ErrorVolume | Cell::ErrorUnits8 | Cell::ErrorUnits64 => "errors",
        Cell::LatencyMean | Cell::LatencyP50 | Cell::LatencyP90 | Cell::LatencyP99 | Cell::LatencyP99Units => "latency",
        Cell::Deficit | Cell::Unanswered => "traffic",
    }
}

/// What stopped a deploy, in a word or two: the guardrail, else the segment, that carried most.
pub(super) fn by(stop: &Stop) -> String {
    let guardrail = stop.cells.first().map(|cell| about(*cell).to_owned());
    guardrail.or_else(|| stop.segments.first().map(|name| harmless(name, 40))).unwrap_or_else(|| "-".to_owned())
}

/// Date and minute of a time, in UTC.
pub(super) fn minute_of(at: Timestamp) -> String {
    let text = at.to_string();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

/// The verdict on a deploy in a word or two.
pub(super) fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Stopped => "FAIL",
        Outcome::Passed => "PASS",
        Outcome::HeldBack => "held back",
        Outcome::Undecided => "undecided",
        Outcome::Invalid => "INVALID",
        Outcome::CutOver => "cut over",
    }
}

/// The shares of a rollout, first to last, in whole per cent where that tells enough.
pub(super) fn shares(judged: &Judged) -> String {
    let mut list: Vec<String> = judged
        .steps
        .iter()
        .map(|(_, share)| {
            let percent = share * 100.0;
            if percent >= 2.0 { format!("{percent:.0}") } else { format!("{percent:.1}") }
        })
        .collect();
    list.dedup();
    match list.as_slice() {
        [] => "-".to_owned(),
        [one] => format!("{one} %"),
        [first, .., last] if list.len() > 3 => format!("{first}..{last} %"),
        several => format!("{} %", several.join(">")),
    }
}

impl Shown<'_> {
    /// Deploys that were judged.
    pub(super) fn judged(&self) -> impl Iterator<Item = (&Deploy, &Judged)> {
        self.found.deploys.iter().filter_map(|deploy| match &deploy.what {
            What::Judged(judged) => Some((deploy, judged)),
            What::CutOver(_) => None,
        })
    }

    /// How many deploys have each outcome.
    pub(super) fn outcomes(&self) -> [(Outcome, usize); Outcome::ALL.len()] {
        Outcome::ALL
            .map(|outcome| (outcome, self.found.deploys.iter().filter(|deploy| deploy.outcome() == outcome).count()))
    }

    /// Users that stopping at each failure would have spared.
    pub(super) fn spared(&self) -> u64 {
        self.judged().filter_map(|(_, judged)| judged.spared()).sum()
    }

    /// What counts once, in the plural.
    pub(super) fn units(&self) -> &'static str {
        self.survey.plan.unit.plural()
    }

    /// What was read, in a sentence.
    pub(super) fn intro(&self) -> String {
        let services: Vec<String> = self.found.services.iter().take(8).map(|name| harmless(name, 60)).collect();
        let more = self.found.services.len().saturating_sub(8);
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let span = self
            .found
            .span
            .map_or(String::new(), |(first, last)| format!(", from {} to {} UTC", minute_of(first), minute_of(last)));
        let services = if services.is_empty() { "no service with requests".to_owned() } else { services.join(", ") };
        format!("{} of {services}{more}{span}.", count(self.tally.records, "line"))
    }

    /// The whole in words.
    pub(super) fn summary(&self) -> Vec<String> {
        let n = |of: Outcome| self.outcomes().into_iter().find(|(outcome, _)| *outcome == of).map_or(0, |(_, n)| n);
        let mut parts = vec![
            format!("{} would have passed", n(Outcome::Passed)),
            format!("{} stopped", n(Outcome::Stopped)),
            format!("{} undecided", n(Outcome::Undecided)),
        ];
        for (outcome, what) in
            [(Outcome::HeldBack, "held back by a changed behaviour"), (Outcome::Invalid, "not to be judged")]
        {
            if n(outcome) > 0 {
                parts.push(format!("{} {what}", n(outcome)));
            }
        }
        if n(Outcome::CutOver) > 0 {
            parts.push(format!("{} cut over, which nothing can judge", n(Outcome::CutOver)));
        }
        let mut list = vec![format!("{}: {}.", count(self.found.deploys.len() as u64, "deploy"), parts.join(", "))];
        match n(Outcome::Stopped) {
            0 => {}
            1 => list.push(format!(
                "{} met the one that failed only after that: stopping it there would have spared them.",
                self.many_units(self.spared())
            )),
            several => list.push(format!(
                "{} met one of the {several} that failed only after that: stopping it there would have spared them.",
                self.many_units(self.spared())
            )),
        }
        list.extend((0..RULES.len()).filter_map(|rule| self.rule_summary(rule)));
        list
    }

    fn many_units(&self, n: u64) -> String {
        format!("{} {}", grouped(n), self.units())
    }

    /// What a rule would have done, in a sentence.
    fn rule_summary(&self, rule: usize) -> Option<String> {
        let all = self.judged().count();
        if all == 0 {
            return None;
        }
        let stopped: Vec<&Judged> = self
            .judged()
            .filter(|(_, judged)| judged.rules[rule].state == State::RolledBack)
            .map(|(_, judged)| judged)
            .collect();
        let failed = self.judged().filter(|(_, judged)| judged.stop.is_some()).count();
        let both = stopped.iter().filter(|judged| judged.stop.is_some()).count();
        let missed = self
            .judged()
            .filter(|(_, judged)| judged.stop.is_some() && judged.rules[rule].state == State::Passed)
            .count();
        let (name, others) = (RULES[rule], stopped.len() - both);
        Some(match failed {
            0 => format!("{name}'s rule would have stopped {others} of {all}."),
            _ => format!(
                "{name}'s rule would have stopped {} of {all}: {both} of the {failed} that failed here, and {others} that did not; it would have promoted {missed} of those that failed.",
                stopped.len(),
            ),
        })
    }

    /// What to bear in mind.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = vec![
            format!(
                "met it: {} that met the new version until its rollout ended; spared: those of them that met it only after it had failed. Both are counted one by one from the logs.",
                self.units()
            ),
            "Flagger and Kayenta: minutes after which their rules would have stopped the rollout, or promoted it (ok). Flagger's limits are 99 % success and a p99 of 500 ms, or twice the share of errors and 1.5 times the p99 of the service before the rollout where that is usual. Neither has the error guarantee of a verdict here.".to_owned(),
            "A failure is wrong at most once in 100 rollouts, each by itself: of many healthy ones a few may be stopped.".to_owned(),
        ];
        if self.judged().any(|(_, judged)| judged.is_estimate) {
            notes.push("* only part of the users could be followed: the number is what these tell of all.".to_owned());
        }
        if self.found.deploys.iter().any(|deploy| deploy.outcome() == Outcome::CutOver) {
            notes.push(
                "Cut over: both versions were seen side by side for less than 10 minutes. Before and after are an hour each and no verdict, because everything else changed too: the hour of the day, who came, what else was deployed.".to_owned(),
            );
        }
        for (service, arms) in &self.found.not_judged {
            let arms: Vec<String> = arms.iter().take(20).map(|arm| harmless(arm, 60)).collect();
            notes.push(format!(
                "{}: not judged, because there were too many rollouts before: {}. Use --since and --until to look at a part of the archive.",
                harmless(service, 60),
                arms.join(", ")
            ));
        }
        if !self.unplanned.is_empty() {
            let list: Vec<String> = self
                .unplanned
                .iter()
                .take(20)
                .map(|(name, n)| format!("{} ({})", harmless(name, 60), count(*n, "request")))
                .collect();
            notes.push(format!(
                "Not looked at, because the first lines of the files did not show them: {}. --service NAME takes one.",
                list.join(", ")
            ));
        }
        notes.extend(self.found.bounds.iter().map(|bound| format!("Bound met: {}.", harmless(bound, 200))));
        notes.extend(self.survey.notes.iter().map(|note| harmless(note, 400)));
        notes
    }
}

/// What a rule said, in a few characters.
pub(super) fn said(said: Said) -> String {
    let minutes = said.after_minutes.unwrap_or(0);
    match said.state {
        State::Watching => "-".to_owned(),
        State::RolledBack => format!("{minutes} min"),
        State::Passed => format!("ok {minutes}"),
    }
}

/// When a deploy was decided, after its start.
pub(super) fn decided_after(deploy: &Deploy, judged: &Judged) -> Option<i64> {
    let at = judged.stop.as_ref().map(|stop| stop.at).or(judged.passed_at)?;
    Some(at.0 - deploy.at.0)
}
