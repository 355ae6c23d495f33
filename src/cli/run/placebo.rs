//! Each night, of event time: the traffic of the day before, split at random many times and judged as rollouts are. Where more
//! splits would have been rolled back than the error level allows, automatic actions of that service are withheld until a later night
//! says otherwise.
//!
//! What was found is journalled with its place, and decisions go by that row: after a restart, and in whatever order things are read
//! again, they come out alike. The row itself is made from the day's lines in the write-ahead log, so from Kafka there is none.

use std::fs::{File, OpenOptions};
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use crate::calibrate::log::Log;
use crate::calibrate::placebo::{SPLITS, allowed, failed};
use crate::cli::compare::two_arms;
use crate::cli::run::WAL;
use crate::cli::run::desk::{Answer, Desk};
use crate::cli::run::http::Shared;
use crate::cli::run::log::{say, warn};
use crate::cli::run::server;
use crate::cli::terminal::harmless;
use crate::engine::Settings;
use crate::outbox::{Placebo, What};
use crate::pipeline::plan::{ArmRule, Plan};
use crate::pipeline::roles::Role;
use crate::source::files::{Part, Stream};
use crate::source::wal::WalReader;
use crate::time::{HOUR, Timestamp};

/// Between two looks whether a day is over.
const LOOK: Duration = Duration::from_secs(10);
/// A day of event time.
const DAY: i64 = 24 * HOUR;
/// Bytes of lines that are looked at: the last ones of the write-ahead log.
const BYTES_MAX: u64 = 256 << 20;
/// Events that are kept in memory, 72 bytes each; of more the file is read for each split.
const EVENTS_MAX: usize = 2_000_000;
/// Services whose traffic is split, those first that had most requests among the first lines.
const SERVICES_MAX: usize = 8;
/// Fewest units: with fewer a split says nothing.
const UNITS_MIN: u64 = 40;
/// Where the lines of the day lie meanwhile.
const LINES: &str = "placebo.lines";

/// What everything is decided by, for whoever judges the same lines otherwise.
#[derive(Clone)]
pub(super) struct Ground {
    pub plan: Plan,
    pub settings: Settings,
}

/// Splits the traffic of each day that is over, until the program stops.
pub(super) fn start(folder: &Path, desk: Desk, shared: Arc<Shared>) {
    let folder = folder.to_owned();
    std::thread::spawn(move || {
        server::step_back();
        // A day of which nothing can be said is not journalled, and not looked at again until the next start.
        let mut looked_at = None::<i64>;
        while !shared.stop.wait(LOOK) {
            let (Some(now), Some(ground)) = (desk.time(), shared.ground()) else { continue };
            let day = now.0.div_euclid(DAY) - 1;
            if desk.view().book.placebo_day().max(looked_at).is_some_and(|last| last >= day) {
                continue;
            }
            match of_day(&folder, day, &ground, &|| shared.stop.is_told()) {
                Ok(None) => return,
                Ok(Some(services)) if services.is_empty() => looked_at = Some(day),
                Ok(Some(services)) => {
                    for of in &services {
                        let words = harmless(&of.reason(), 600);
                        if of.is_exceeded() { warn(&words) } else { say(&as_it_should_be(of)) }
                    }
                    match desk.command(What::Placebo { day, services }) {
                        Answer::Done => {}
                        // It is done again: the same lines say the same.
                        Answer::Refused(words) | Answer::NotNow(words) => {
                            warn(&format!("placebo splits cannot be journalled: {}", harmless(&words, 300)));
                        }
                    }
                }
                Err(error) => {
                    warn(&format!("placebo splits cannot be made: {}", harmless(&format!("{error:#}"), 400)));
                    shared.stop.wait(LOOK * 30);
                }
            }
        }
    });
}

fn as_it_should_be(of: &Placebo) -> String {
    format!(
        "placebo: of {} random splits of {}'s own traffic of a day {} would have been rolled back; {} may be",
        of.splits,
        harmless(&of.service, 80),
        of.failed,
        of.allowed
    )
}

/// The placebo splits of a day; `None` when `stop` says so before they are all judged.
fn of_day(folder: &Path, day: i64, ground: &Ground, stop: &dyn Fn() -> bool) -> anyhow::Result<Option<Vec<Placebo>>> {
    let path = folder.join(LINES);
    let done = write_lines(folder, &path).and_then(|()| of_lines(&path, day, ground, stop));
    // The next night writes it anew.
    let _may_stay = std::fs::remove_file(&path);
    done
}

/// Writes the last lines of the write-ahead log into a file.
fn write_lines(folder: &Path, path: &Path) -> anyhow::Result<()> {
    let mut reader = WalReader::of_whole(&folder.join(WAL))?;
    reader.skip_near(BYTES_MAX)?;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file: File = options.open(path).with_context(|| format!("{}: cannot be written", path.display()))?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    while let Some((_, text)) = reader.next(Duration::ZERO)? {
        out.write_all(&text)?;
    }
    out.flush()?;
    Ok(())
}

fn of_lines(path: &Path, day: i64, ground: &Ground, stop: &dyn Fn() -> bool) -> anyhow::Result<Option<Vec<Placebo>>> {
    let mut found = Vec::new();
    for release in ground.settings.releases.iter().take(SERVICES_MAX) {
        let Some(entry) = release.first() else { continue };
        let mut plan = ground.plan.clone();
        // All cells of a service are one here: the splits are of its users.
        plan.roles.remove(&Role::Cell);
        plan.arms = ArmRule::Hash { share_ppm: 500_000, seed: "0".to_owned() };
        plan.windowing.since = Some(Timestamp(day * DAY));
        plan.windowing.until = Some(Timestamp((day + 1) * DAY));
        let mut policy = ground.settings.policy.of(Some(entry)).clone();
        // What is asked of one rollout is not asked of these.
        policy.rollouts.clear();
        policy.candidates.clear();
        (policy.declared_share, policy.step_share) = (None, None);
        let settings = Settings {
            windowing: plan.windowing,
            releases: vec![release.clone()],
            arms: two_arms(),
            policy,
            ..ground.settings.clone()
        };
        let stream = Stream { name: "placebo".to_owned(), parts: vec![Part::File(path.to_owned())] };
        let log = Log::read(vec![stream], plan, entry.clone(), EVENTS_MAX, &mut |_| {})?;
        if log.facts.units < UNITS_MIN {
            continue;
        }
        let Some(failed) = failed(&log, &settings, stop)? else { return Ok(None) };
        found.push(Placebo {
            environment: entry.environment.clone(),
            service: entry.service.clone(),
            day,
            splits: SPLITS,
            failed,
            allowed: allowed(SPLITS),
        });
    }
    Ok(Some(found))
}
