//! Search in `serin run`: a thread of its own reads the same write-ahead log and the same topics, with places of its own, and indexes each line.
//!
//! Nothing waits for it: no answer to who sends lines, and no verdict. Where its disk is full, what was indexed before is found, and
//! the rest once there is room. A line is found about a second after it was taken.

mod api;
pub(super) mod elastic;
mod follow;
mod forget;
mod shares;
mod table;
mod tail;
mod who;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::Semaphore;

#[cfg(test)]
pub(super) use self::api::paths;
pub(super) use self::api::routes;
use self::follow::Follower;
pub(super) use self::forget::Job;
pub(super) use self::who::who;
use crate::cli::arguments::{Indexed, RunArguments};
use crate::cli::pipelines;
use crate::cli::run::http::Shared;
use crate::cli::run::log::warn;
use crate::cli::run::server;
use crate::index::{Aliases, Index, Settings};
use crate::pipeline::kept::{Keep, Keeping};
use crate::pipeline::plan::Plan;
use crate::source::wal::WalReader;

/// Folder of the index in that of the state.
const FOLDER: &str = "index";
/// Between two attempts to go on.
const AGAIN: Duration = Duration::from_secs(5);
/// How long one wait for the plan is.
const WAIT: Duration = Duration::from_millis(200);
/// Searches at a time, and those that wait for their turn.
const AT_A_TIME: usize = 2;
const WAITING: u64 = 64;

/// What is searched, once there is something.
pub(super) struct Searching {
    plan: Mutex<Option<Plan>>,
    found: Condvar,
    index: OnceLock<Arc<Index>>,
    /// No line is kept, once that is known.
    off: OnceLock<bool>,
    aliases: OnceLock<Aliases>,
    /// What is out of order, where something is.
    trouble: Mutex<Option<String>>,
    /// What is to be taken out.
    job: Mutex<Option<Job>>,
    /// Bytes or records that were gone before they were indexed.
    lost: AtomicU64,
    /// Number of commits, for those who follow.
    commits: tokio::sync::watch::Sender<u64>,
    /// Something is read that is not committed yet, or may be.
    indexes: tokio::sync::watch::Sender<bool>,
    turns: Semaphore,
    waiting: AtomicU64,
    /// Searches that found too many waiting.
    refused: AtomicU64,
    /// Lines that the policy left out since the start.
    left_out: AtomicU64,
}

/// Figures of search, for who scrapes.
pub(super) struct Figures {
    pub lines: u64,
    pub bytes: u64,
    pub parts: usize,
    pub damaged: usize,
    pub lost: u64,
    pub commits: u64,
    pub is_in_trouble: bool,
    pub waiting: u64,
    pub refused: u64,
}

impl Default for Searching {
    fn default() -> Searching {
        Searching {
            plan: Mutex::default(),
            found: Condvar::new(),
            index: OnceLock::new(),
            off: OnceLock::new(),
            aliases: OnceLock::new(),
            trouble: Mutex::default(),
            job: Mutex::default(),
            lost: AtomicU64::new(0),
            commits: tokio::sync::watch::Sender::new(0),
            indexes: tokio::sync::watch::Sender::new(false),
            turns: Semaphore::new(AT_A_TIME),
            waiting: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            left_out: AtomicU64::new(0),
        }
    }
}

impl Searching {
    /// It is known what lines are.
    pub(super) fn planned(&self, plan: &Plan) {
        *self.plan.lock().unwrap_or_else(PoisonError::into_inner) = Some(plan.clone());
        self.found.notify_all();
    }

    fn plan(&self) -> Option<Plan> {
        let plan = self.plan.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.found.wait_timeout_while(plan, WAIT, |plan| plan.is_none());
        waited.unwrap_or_else(PoisonError::into_inner).0.clone()
    }

    /// What lines are, once that is known.
    fn known_plan(&self) -> Option<Plan> {
        self.plan.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn trouble(&self, what: Option<String>) {
        *self.trouble.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    /// Searches that wait for their turn are answered that there is none any more.
    pub(super) fn stop(&self) {
        self.turns.close();
    }

    /// What was read when the program was told to stop is committed.
    pub(super) async fn committed(&self) {
        let mut indexes = self.indexes.subscribe();
        // Its sender is here.
        let _at_rest = indexes.wait_for(|indexes| !indexes).await;
    }

    /// No line is kept.
    fn is_off(&self) -> bool {
        self.off.get() == Some(&true)
    }

    /// Figures, once there is an index.
    pub(super) fn figures(&self) -> Option<Figures> {
        let index = self.index.get()?;
        Some(Figures {
            lines: index.lines(),
            bytes: index.bytes(),
            parts: index.parts().len(),
            damaged: index.damaged().len(),
            lost: self.lost.load(Ordering::Relaxed),
            commits: *self.commits.borrow(),
            is_in_trouble: self.trouble.lock().unwrap_or_else(PoisonError::into_inner).is_some(),
            waiting: self.waiting.load(Ordering::Relaxed),
            refused: self.refused.load(Ordering::Relaxed),
        })
    }

    /// What `status` says of it.
    pub(super) fn status(&self) -> Value {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let index = self.index.get();
        json!({
            "is_off": self.is_off(),
            "lines": index.map(|index| index.lines()),
            "bytes": index.map(|index| index.bytes()),
            "parts": index.map(|index| index.parts().len()),
            "damaged_parts": index.map(|index| index.damaged().len()),
            "trouble": trouble,
            "lost": self.lost.load(Ordering::Relaxed),
            "left_out": self.left_out.load(Ordering::Relaxed),
        })
    }
}

/// Starts the thread, where lines are to be kept. `http`: the write-ahead log, where lines are taken over HTTP.
///
/// # Errors
/// A pipeline that is wrong.
pub(super) fn start(arguments: &RunArguments, shared: &Arc<Shared>, http: Option<WalReader>) -> anyhow::Result<()> {
    let rest = match arguments.index.what {
        Indexed::All => Keep::All,
        Indexed::Sampled => Keep::Sampled(arguments.index.sample),
        Indexed::Off => Keep::Off,
    };
    let keeping = Keeping::new(pipelines::keep_rules(&arguments.how)?, rest);
    // It is set once.
    let _set = shared.searching.off.set(keeping.is_off());
    if keeping.is_off() {
        return Ok(());
    }
    let settings = Settings { keep: arguments.index.keep, keep_bytes: arguments.index.bytes, ..Settings::default() };
    let ways = Ways {
        folder: arguments.state.clone(),
        settings,
        keeping,
        http,
        #[cfg(feature = "kafka")]
        topics: arguments.brokers.clone().map(|brokers| OfKafka {
            brokers,
            properties: arguments.kafka_properties.clone(),
            topics: arguments.topics.clone(),
        }),
    };
    let shared = Arc::clone(shared);
    std::thread::spawn(move || {
        server::step_back();
        let ran = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| run(&ways, &shared)));
        if ran.is_err() {
            shared.searching.indexes.send_replace(false);
            // Verdicts do not rest on it, so the program goes on and says so.
            shared
                .searching
                .trouble(Some("search: the thread that indexes has died; lines that come are not found".to_owned()));
        }
    });
    Ok(())
}

/// Where lines come from, and where they go.
struct Ways {
    folder: PathBuf,
    settings: Settings,
    /// Which lines are kept.
    keeping: Keeping,
    http: Option<WalReader>,
    #[cfg(feature = "kafka")]
    topics: Option<OfKafka>,
}

/// Topics, and how brokers are spoken to, as options say.
#[cfg(feature = "kafka")]
struct OfKafka {
    brokers: String,
    properties: Option<PathBuf>,
    topics: Vec<String>,
}

fn run(ways: &Ways, shared: &Shared) {
    let searching = &shared.searching;
    let plan = loop {
        if shared.stop.is_told() {
            return;
        }
        if let Some(plan) = searching.plan() {
            break plan;
        }
    };
    let mut said = String::new();
    while !shared.stop.is_told() {
        let follower =
            open(&ways.folder, searching, &plan).and_then(|index| Follower::begin(ways, shared, &plan, index));
        searching.indexes.send_replace(true);
        let ended = follower.and_then(|follower| match follower {
            None => Ok(()),
            Some(follower) => follower.follow(),
        });
        searching.indexes.send_replace(false);
        let Err(error) = ended else { return };
        let words = format!("search: {error:#}; what was indexed before is found, and it is tried again");
        if words != said {
            warn(&words);
            said = words.clone();
        }
        searching.trouble(Some(words));
        shared.stop.wait(AGAIN);
    }
}

/// The index, which is opened once.
fn open(folder: &Path, searching: &Searching, plan: &Plan) -> anyhow::Result<Arc<Index>> {
    if let Some(index) = searching.index.get() {
        return Ok(Arc::clone(index));
    }
    let index = Arc::new(Index::open(&folder.join(FOLDER))?);
    for (part, why) in index.damaged() {
        warn(&format!("search: part {part} cannot be read and was put aside ({why}); the others are searched"));
    }
    // Nobody else sets them.
    let _set = (searching.aliases.set(Aliases::of(plan)), searching.index.set(Arc::clone(&index)));
    Ok(index)
}
