//! Where decisions become messages: one thread that reads the ledger as far as it lasts, takes commands, and hands out
//! deliveries. The reader of logs never waits for it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use crate::cli::config::{Config, Hook};
use crate::cli::run::appended::Appended;
use crate::cli::run::history::History;
use crate::cli::run::hooks::{self, Job, clock_ms};
use crate::cli::run::log::warn;
use crate::cli::terminal::harmless;
use crate::outbox::{
    Book, Decision, Declared, Deliveries, Do, HookState, Journalled, Outcome, Since, Standing, Target, Told, What,
    read_rows, same_ground,
};
use crate::rollout::Now;
use crate::time::Timestamp;

/// Messages at their end that are remembered, and as many more before the oldest go.
const ENDED_KEPT: usize = 10_000;
/// Bytes of the receipts past which those that are at their end lose theirs.
const RECEIPTS_BYTES: u64 = 64 << 20;
/// Bytes of the journal, beside what it keeps of the rollouts, past which its rows are put aside.
const JOURNAL_BYTES: u64 = 16 << 20;
/// Where they are put, for people; what was there before is gone then.
const ASIDE: &str = "journal.old.ndjson";

/// Bounds of what is kept.
#[derive(Clone, Copy, Debug)]
struct Keep {
    ended: usize,
    receipts_bytes: u64,
    journal_bytes: u64,
}

/// How long the desk waits for anything to happen before it looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// After a refusal of the disk.
const DISK_AGAIN: Duration = Duration::from_secs(1);
/// Bytes of the ledger that are read at once.
const READ_BYTES: usize = 1 << 20;
/// No time is known.
const NO_TIME: i64 = i64::MIN;

/// How far the reader has come.
pub(super) struct Progress {
    /// Bytes of the ledger that last.
    durable: AtomicU64,
    /// Everything that the ledger held at the start has been computed again.
    caught_up: AtomicBool,
    /// Event time up to which windows have closed, in microseconds.
    time: AtomicI64,
    /// Why nothing is told and nothing decided, where that is so.
    rest: Mutex<Rest>,
}

/// Whether the desk rests.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "topics alone have owners"))]
enum Rest {
    /// It does not.
    #[default]
    No,
    /// Until then, since it is not known yet who owns the topics.
    Until(Instant),
    /// As long as another program owns them; in words.
    StandBy(String),
}

/// What can happen at the desk.
enum Message {
    /// The reader has come further.
    Progress,
    /// An answer of a target, by the number of its worker; in words what kept it from being a success.
    Answered(u64, Outcome, Option<String>),
    /// A command.
    Command(What, SyncSender<Answer>),
    /// Rollouts go otherwise, and others are told.
    Configure(Vec<Declared>, Vec<Hook>, SyncSender<Answer>),
    /// It is to end.
    Stop,
}

/// What is said to who commands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// It is journalled, and has taken effect.
    Done,
    /// The rollout does not allow it now.
    Refused(String),
    /// The disk refuses, or the program is stopping.
    NotNow(String),
}

/// What others see.
pub(super) struct View {
    pub book: Book,
    pub deliveries: Deliveries,
    /// Answers of each target that were no success: the last one.
    pub last_answers: Vec<Option<String>>,
    /// What is out of order.
    pub trouble: Option<String>,
    /// What has happened.
    pub history: History,
    /// Who is told, as it is configured.
    pub hooks: Vec<Hook>,
}

/// By what the other threads speak to the desk.
#[derive(Clone)]
pub(super) struct Desk {
    sender: Sender<Message>,
    view: Arc<RwLock<View>>,
    progress: Arc<Progress>,
    /// Told of what changes, once somebody wants to know.
    listener: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

impl Desk {
    /// Whoever is to be told when rollouts, or what is told of them, stand otherwise.
    pub(super) fn listen(&self, listener: impl Fn() + Send + Sync + 'static) {
        // There is one.
        let _first = self.listener.set(Box::new(listener));
    }

    /// What the desk knows.
    pub(super) fn view(&self) -> RwLockReadGuard<'_, View> {
        self.view.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The reader has come this far.
    pub(super) fn progress(&self, durable: u64, caught_up: bool, time: Option<Timestamp>) {
        self.progress.durable.fetch_max(durable, Ordering::AcqRel);
        self.progress.caught_up.store(caught_up, Ordering::Release);
        if let Some(time) = time {
            self.progress.time.fetch_max(time.0, Ordering::AcqRel);
        }
        self.tell(Message::Progress);
    }

    /// Tells and decides nothing for so long, unless it is told before that it may: whose the topics are is not known. Where nobody says
    /// it, what was decided must not wait.
    #[cfg(feature = "kafka")]
    pub(super) fn rest(&self, most: Duration) {
        self.rests(Rest::Until(Instant::now() + most));
    }

    /// Another program owns the topics, and tells. What is not told yet waits, and commands are refused, with these words.
    #[cfg(feature = "kafka")]
    pub(super) fn stand_by(&self, words: &str) {
        self.rests(Rest::StandBy(words.to_owned()));
    }

    /// This program owns the topics.
    #[cfg(feature = "kafka")]
    pub(super) fn act(&self) {
        self.rests(Rest::No);
        self.tell(Message::Progress);
    }

    #[cfg(feature = "kafka")]
    fn rests(&self, rest: Rest) {
        *self.progress.rest.lock().unwrap_or_else(PoisonError::into_inner) = rest;
    }

    /// Everything that the ledger held has been computed again.
    pub(super) fn is_caught_up(&self) -> bool {
        self.progress.caught_up.load(Ordering::Acquire)
    }

    /// Commands; returns when it is durable, or refused.
    pub(super) fn command(&self, what: What) -> Answer {
        self.ask(|sender| Message::Command(what, sender))
    }

    /// Event time up to which windows have closed, once everything that the ledger held has been computed again.
    pub(super) fn time(&self) -> Option<Timestamp> {
        let time = self.progress.time.load(Ordering::Acquire);
        (time != NO_TIME && self.is_caught_up()).then_some(Timestamp(time))
    }

    /// Rollouts go otherwise from now on, and these hooks are told; returns when that is durable, or refused.
    pub(super) fn configure(&self, config: &Config) -> Answer {
        self.ask(|sender| Message::Configure(config.declared.clone(), config.hooks.clone(), sender))
    }

    fn ask(&self, message: impl FnOnce(SyncSender<Answer>) -> Message) -> Answer {
        let gone = || Answer::NotNow("the program is stopping".to_owned());
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.tell(message(sender));
        receiver.recv_timeout(Duration::from_secs(10)).unwrap_or_else(|_| gone())
    }

    /// It is to end.
    pub(super) fn stop(&self) {
        self.tell(Message::Stop);
    }

    fn tell(&self, message: Message) {
        // When the desk has gone, the program is ending.
        let _gone = self.sender.send(message);
    }
}

/// The thread.
struct Work {
    view: Arc<RwLock<View>>,
    progress: Arc<Progress>,
    ledger: File,
    /// Bytes of it that were read.
    read: u64,
    /// The start of a line whose rest was not read yet.
    rest: Vec<u8>,
    /// Rows of the journal that wait for ledger entries.
    rows: VecDeque<(String, Journalled)>,
    journal: Appended,
    receipts: Appended,
    folder: PathBuf,
    keep: Keep,
    /// Bytes of the journal that rows in place of others take.
    kept_bytes: u64,
    /// Decisions that are not written down yet.
    decided: VecDeque<Decision>,
    workers: Vec<Worker>,
    /// Workers so far.
    hired: u64,
    /// Who is told what, as the journal has it.
    told: Vec<Told>,
    /// By which workers answer.
    sender: Sender<Message>,
    /// Event time as it was last told, and when.
    time: (i64, Instant),
    /// The disk is not tried before.
    not_before: Option<Instant>,
    /// What others see has changed since the listener was told.
    is_news: bool,
    listener: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
}

/// The thread of a hook.
struct Worker {
    /// By which its answers are known: one that was replaced may still answer.
    id: u64,
    hook: Hook,
    jobs: Sender<Job>,
}

/// Who is told what, and since when: what is told what it was told before is so since then.
fn told_of(hooks: &[Hook], before: &[Told], here: Since) -> Vec<Told> {
    let since = |hook: &Hook| before.iter().find(|told| told.name == hook.name && told.topics == hook.topics);
    hooks
        .iter()
        .map(|hook| Told {
            name: hook.name.clone(),
            topics: hook.topics.clone(),
            since: since(hook).map_or(here, |told| told.since),
        })
        .collect()
}

fn targets_of(hooks: &[Hook], told: &[Told]) -> Vec<Target> {
    let target = |(hook, told): (&Hook, &Told)| Target {
        name: hook.name.clone(),
        topics: hook.topics.clone(),
        expires_ms: hook.expires / 1_000,
        since: told.since,
    };
    hooks.iter().zip(told).map(target).collect()
}

/// Opens journal and receipts in a folder, reads what the ledger holds, and starts the thread.
pub(super) fn start(folder: &Path, held: u64, config: &Config) -> anyhow::Result<Desk> {
    let keep = Keep { ended: ENDED_KEPT, receipts_bytes: RECEIPTS_BYTES, journal_bytes: JOURNAL_BYTES };
    start_with(folder, held, config, keep)
}

fn start_with(folder: &Path, held: u64, config: &Config, keep: Keep) -> anyhow::Result<Desk> {
    let shown = |name: &str| folder.join(name).display().to_string();
    let rows_of = |file: &Appended, name: &str| {
        read_rows(&file.held)
            .with_context(|| format!("{}: restore it, or begin anew with another --state", shown(name)))
    };
    let mut journal = Appended::open(&folder.join("journal.ndjson"))?;
    let mut rows: VecDeque<(String, Journalled)> = rows_of(&journal, "journal.ndjson")?
        .into_iter()
        .enumerate()
        .map(|(at, (line, body))| {
            let row = Journalled::from_row(&body);
            row.map(|row| (line, row)).with_context(|| format!("{}: row {}", shown("journal.ndjson"), at + 1))
        })
        .collect::<anyhow::Result<_>>()?;
    let mut receipts = Appended::open(&folder.join("receipts.ndjson"))?;
    let mut deliveries =
        Deliveries::restore(&rows_of(&receipts, "receipts.ndjson")?).with_context(|| shown("receipts.ndjson"))?;

    let ledger = File::open(folder.join("ledger.ndjson")).with_context(|| shown("ledger.ndjson"))?;
    // What is configured counts from where the ledger ends: what was decided before was decided by what was configured then.
    let (mut book, mut read, mut kept_bytes) = (Book::default(), 0, 0);
    let mut kept = None;
    if let Some((line, row)) = rows.pop_front_if(|(_, row)| matches!(row.what, What::Kept { .. }))
        && let What::Kept { bytes, book: of, hooks } = row.what
    {
        kept_bytes = line.len() as u64 + 1;
        if bytes > held {
            bail!(
                "{}: the ledger is shorter than what the journal rests on (was a file replaced?); restore both, or begin anew \
                 with another --state",
                folder.display()
            );
        }
        kept = Some((of.declared().to_vec(), hooks));
        (book, read) = (*of, bytes);
    }
    let before = book.read();
    let more = entries_between(folder, read, held)?;
    let here = Since { entries: before.entries + more, rows: before.rows + rows.len() as u64 };
    let last = rows.iter().rev().find_map(|(_, row)| match &row.what {
        What::Configured { declared, hooks } => Some((declared.clone(), hooks.clone())),
        What::Command { .. } | What::Time(_) | What::Placebo { .. } | What::Muted(_) | What::Kept { .. } => None,
    });
    let last = last.or(kept);
    let is_first = last.is_none();
    let (declared, before) = last.unwrap_or_default();
    let told = told_of(&config.hooks, &before, here);
    if !is_first && !same_ground(&declared, &config.declared) {
        bail!(
            "{}: other rollouts (by environment and services) are declared than those whose decisions are there; declare \
             those, or begin anew with another --state",
            folder.display()
        );
    }
    if declared != config.declared || before != told {
        // What is declared at the very first was so from the beginning.
        let after = if is_first { 0 } else { rows.back().map_or(0, |(_, row)| row.after).max(here.entries) };
        let what = What::Configured { declared: config.declared.clone(), hooks: told.clone() };
        let row = Journalled { after, clock_ms: clock_ms(), what };
        let text = row.to_row();
        journal.append(&text);
        journal.sync().with_context(|| shown("journal.ndjson"))?;
        rows.push_back((text.trim_end().to_owned(), row));
    }
    // Pauses need not be foreseen, only differ from those of other programs.
    let seed = clock_ms().unsigned_abs() ^ u64::from(std::process::id());
    let ended = deliveries.open(targets_of(&config.hooks, &told), &[], seed, clock_ms());
    ended.iter().for_each(|row| receipts.append(row));
    receipts.sync().with_context(|| shown("receipts.ndjson"))?;

    let count = config.hooks.len();
    let view = View {
        book,
        deliveries,
        last_answers: vec![None; count],
        trouble: None,
        history: History::default(),
        hooks: config.hooks.clone(),
    };
    let view = Arc::new(RwLock::new(view));
    let progress = Arc::new(Progress {
        durable: AtomicU64::new(held),
        caught_up: AtomicBool::new(held == 0),
        time: AtomicI64::new(NO_TIME),
        rest: Mutex::default(),
    });
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut work = Work {
        view: Arc::clone(&view),
        progress: Arc::clone(&progress),
        ledger,
        read,
        rest: Vec::new(),
        rows,
        journal,
        receipts,
        folder: folder.to_owned(),
        keep,
        kept_bytes,
        decided: VecDeque::new(),
        workers: Vec::new(),
        hired: 0,
        told,
        sender: sender.clone(),
        time: (NO_TIME, Instant::now()),
        not_before: None,
        is_news: false,
        listener: Arc::default(),
    };
    let listener = Arc::clone(&work.listener);
    config.hooks.iter().for_each(|hook| work.hire(hook));
    // Whoever asks from the first moment on is told what was last known.
    work.read_ledger().with_context(|| shown("ledger.ndjson"))?;
    std::thread::spawn(move || work.run(&receiver));
    Ok(Desk { sender, view, progress, listener })
}

/// Entries between two places of the ledger.
fn entries_between(folder: &Path, from: u64, to: u64) -> anyhow::Result<u64> {
    let mut file = File::open(folder.join("ledger.ndjson"))?;
    file.seek(SeekFrom::Start(from))?;
    let mut file = file.take(to - from);
    let (mut buffer, mut lines) = (vec![0; READ_BYTES], 0);
    loop {
        let got = file.read(&mut buffer)?;
        if got == 0 {
            return Ok(lines);
        }
        lines += memchr::memchr_iter(b'\n', &buffer[..got]).count() as u64;
    }
}

impl Work {
    fn run(&mut self, messages: &Receiver<Message>) {
        let mut again = LOOK_AGAIN;
        loop {
            match messages.recv_timeout(again) {
                Ok(Message::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(Message::Progress) | Err(RecvTimeoutError::Timeout) => {}
                Ok(Message::Answered(target, outcome, words)) => self.answered(target, outcome, words),
                Ok(Message::Configure(declared, hooks, answer)) => {
                    let _gone = answer.try_send(self.configure(declared, &hooks));
                }
                Ok(Message::Command(what, answer)) => {
                    // Whoever asked may have gone.
                    let _gone = answer.try_send(self.command(what));
                }
            }
            if let Err(error) = self.read_ledger() {
                self.trouble(format!("the ledger cannot be read: {error}"));
            }
            again = self.turn();
            if std::mem::take(&mut self.is_news)
                && let Some(tell) = self.listener.get()
            {
                tell();
            }
        }
    }

    fn trouble(&mut self, words: String) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if view.trouble.as_ref() != Some(&words) {
            warn(&harmless(&words, 300));
            view.trouble = Some(words);
        }
    }

    fn no_trouble(&mut self) {
        self.view.write().unwrap_or_else(PoisonError::into_inner).trouble = None;
    }

    /// Reads what lasts of the ledger, and rows of the journal in their places.
    fn read_ledger(&mut self) -> std::io::Result<()> {
        loop {
            let there = self.progress.durable.load(Ordering::Acquire).saturating_sub(self.read);
            if there == 0 {
                self.read_rows();
                return Ok(());
            }
            let most = usize::try_from(there).unwrap_or(READ_BYTES).min(READ_BYTES);
            let mut bytes = vec![0; most];
            self.ledger.seek(SeekFrom::Start(self.read))?;
            let got = self.ledger.read(&mut bytes)?;
            if got == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            self.read += got as u64;
            bytes.truncate(got);
            self.rest.extend(bytes);
            let mut from = 0;
            while let Some(end) = memchr::memchr(b'\n', &self.rest[from..]) {
                let line = String::from_utf8_lossy(&self.rest[from..=from + end]).into_owned();
                from += end + 1;
                self.read_rows();
                let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
                let (rollout, decisions) = view.book.entry_of(&line);
                let View { book, history, .. } = &mut *view;
                history.entry(book, rollout.as_deref(), &decisions);
                drop(view);
                self.is_news = true;
                self.decided.extend(decisions);
            }
            self.rest.drain(..from);
        }
    }

    /// Rows of the journal whose place has come.
    fn read_rows(&mut self) {
        loop {
            let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
            let entries = view.book.read().entries;
            let Some((line, row)) = self.rows.pop_front_if(|(_, row)| row.after <= entries) else { return };
            match view.book.journalled(&line, &row) {
                Ok(decisions) => {
                    let View { book, history, .. } = &mut *view;
                    history.row(book, &row, &decisions);
                    self.is_news = true;
                    self.decided.extend(decisions);
                }
                // Rows are refused before they are written: only a ledger that was put in this one's place gives another answer.
                Err(why) => warn(&format!("a command of the journal is left out: {}", harmless(&why, 200))),
            }
        }
    }

    /// Writes a row of the journal, and lets it take effect.
    fn journal(&mut self, what: What) -> Answer {
        // Nobody else changes what is seen, so nobody who asks waits for the disk.
        let mut book = self.view.read().unwrap_or_else(PoisonError::into_inner).book.clone();
        let row = Journalled { after: book.read().entries, clock_ms: clock_ms(), what };
        let text = row.to_row();
        let decisions = match book.journalled(&text, &row) {
            Ok(decisions) => decisions,
            Err(why) => return Answer::Refused(why),
        };
        self.journal.append(&text);
        if let Err(error) = self.journal.sync() {
            self.journal.take_back();
            return Answer::NotNow(format!("the journal cannot be written: {error}"));
        }
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        view.history.row(&book, &row, &decisions);
        view.book = book;
        drop(view);
        self.is_news = true;
        self.decided.extend(decisions);
        Answer::Done
    }

    fn command(&mut self, what: What) -> Answer {
        match self.rest() {
            Rest::No => {}
            Rest::Until(_) => return Answer::NotNow("it is not known yet who owns the topics".to_owned()),
            Rest::StandBy(words) => return Answer::NotNow(words),
        }
        if !self.rows.is_empty() {
            return Answer::NotNow("the journal goes further than the ledger, which is being written again".to_owned());
        }
        self.journal(what)
    }

    /// Rollouts go otherwise from here on, and these hooks are told.
    fn configure(&mut self, declared: Vec<Declared>, hooks: &[Hook]) -> Answer {
        if !self.rows.is_empty() {
            return Answer::NotNow("the journal goes further than the ledger, which is being written again".to_owned());
        }
        let (here, as_before) = {
            let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
            (view.book.read(), view.book.declared() == declared)
        };
        let told = told_of(hooks, &self.told, here);
        if !as_before || told != self.told {
            match self.journal(What::Configured { declared, hooks: told.clone() }) {
                Answer::Done => {}
                refused @ (Answer::Refused(_) | Answer::NotNow(_)) => return refused,
            }
        }
        // It counts from here on, whatever follows.
        self.told = told;
        let mut before = std::mem::take(&mut self.workers);
        let unchanged: Vec<String> = hooks
            .iter()
            .filter(|hook| before.iter().any(|of| of.hook == **hook))
            .map(|hook| hook.name.clone())
            .collect();
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let names: Vec<String> = view.deliveries.targets().map(|(target, _)| target.name.clone()).collect();
        let answers: Vec<Option<String>> = hooks
            .iter()
            .map(|hook| {
                names.iter().position(|name| *name == hook.name).and_then(|at| view.last_answers.get(at).cloned()?)
            })
            .collect();
        let now = clock_ms();
        let ended = view.deliveries.open(targets_of(hooks, &self.told), &unchanged, now.unsigned_abs(), now);
        view.last_answers = answers;
        view.hooks = hooks.to_vec();
        drop(view);
        // They are synced with what comes next; without, they are given up again after a restart.
        ended.iter().for_each(|row| self.receipts.append(row));
        for hook in hooks {
            match before.iter().position(|of| of.hook == *hook) {
                Some(at) => self.workers.push(before.swap_remove(at)),
                None => self.hire(hook),
            }
        }
        Answer::Done
    }

    /// Starts the thread of a hook.
    fn hire(&mut self, hook: &Hook) {
        let (sender, id) = (self.sender.clone(), self.hired);
        self.hired += 1;
        let jobs = hooks::start(hook.clone(), move |outcome, words| {
            let _gone = sender.send(Message::Answered(id, outcome, words));
        });
        self.workers.push(Worker { id, hook: hook.clone(), jobs });
    }

    /// Event time by now: while nothing comes it goes on by the clock, since silence must not stop a deadline. What was judged does not:
    /// nothing is observed while nothing comes.
    fn event_time(&mut self) -> Option<Now> {
        let told = self.progress.time.load(Ordering::Acquire);
        if told == NO_TIME || !self.progress.caught_up.load(Ordering::Acquire) {
            return None;
        }
        if told != self.time.0 {
            self.time = (told, Instant::now());
        }
        let since = i64::try_from(self.time.1.elapsed().as_micros()).unwrap_or(i64::MAX);
        Some(Now { by_clock: Timestamp(told.saturating_add(since)), judged: Timestamp(told) })
    }

    /// Whether it rests now.
    fn rest(&self) -> Rest {
        let rest = self.progress.rest.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match rest {
            Rest::Until(at) if at <= Instant::now() => Rest::No,
            rest => rest,
        }
    }

    /// What is due; returns when to look again.
    fn turn(&mut self) -> Duration {
        if self.rest() != Rest::No {
            return LOOK_AGAIN;
        }
        if self.not_before.is_some_and(|at| at > Instant::now()) {
            return DISK_AGAIN;
        }
        self.not_before = None;
        if let Some(now) = self.event_time() {
            let is_due = !self.view.read().unwrap_or_else(PoisonError::into_inner).book.due(now).is_empty();
            if is_due && let Answer::NotNow(why) = self.journal(What::Time(now)) {
                return self.disk_refuses(why);
            }
        }
        if let Err(error) = self.take_decisions() {
            return self.disk_refuses(format!("what is to be delivered cannot be written down: {error}"));
        }
        let now = clock_ms();
        let (list, wait) = {
            let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
            view.deliveries.next(now)
        };
        for what in list {
            match what {
                Do::Write(row) => self.receipts.append(&row),
                Do::Send { target, id, body } => {
                    if let Some(worker) = self.workers.get(target) {
                        let _gone = worker.jobs.send(Job { id, body });
                    }
                }
            }
        }
        // An end that is not written down is repeated after a restart, with the same bytes.
        if let Err(error) = self.receipts.sync() {
            return self.disk_refuses(format!("receipts cannot be written: {error}"));
        }
        if let Err(error) = self.tidy() {
            return self.disk_refuses(format!("what is over cannot be put aside: {error}"));
        }
        self.no_trouble();
        let until = wait.map_or(LOOK_AGAIN, |wait| Duration::from_millis((wait - now).max(1).unsigned_abs()));
        until.min(LOOK_AGAIN)
    }

    /// Forgets what is over for long, where there is too much of it. What everything follows from is kept: a restart comes to the
    /// same state, and nothing is told again.
    fn tidy(&mut self) -> std::io::Result<()> {
        // Decisions that wait would seem to have been told.
        if !self.decided.is_empty() || !self.rows.is_empty() || !self.progress.caught_up.load(Ordering::Acquire) {
            return Ok(());
        }
        let keep = self.keep;
        let known = self.view.read().unwrap_or_else(PoisonError::into_inner).deliveries.known();
        if known > 2 * keep.ended || self.receipts.durable() > keep.receipts_bytes {
            let rows = {
                let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
                let read = view.book.read();
                view.deliveries.settle(read, keep.ended)
            };
            self.receipts.replace(&self.folder.join("receipts.ndjson"), &rows)?;
            // What waits is not to be written again and again.
            self.keep.receipts_bytes = keep.receipts_bytes.max(2 * rows.len() as u64);
        }
        if self.journal.durable() > keep.journal_bytes + 2 * self.kept_bytes {
            let (book, path) = (
                self.view.read().unwrap_or_else(PoisonError::into_inner).book.clone(),
                self.folder.join("journal.ndjson"),
            );
            let after = book.read().entries;
            // Of the ledger, whole lines were read.
            let bytes = self.read - self.rest.len() as u64;
            let what = What::Kept { bytes, book: Box::new(book), hooks: self.told.clone() };
            let row = Journalled { after, clock_ms: clock_ms(), what }.to_row();
            let aside = self.folder.join(ASIDE);
            match std::fs::remove_file(&aside) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
            std::fs::hard_link(&path, &aside)?;
            self.journal.replace(&path, &row)?;
            self.kept_bytes = row.len() as u64;
        }
        Ok(())
    }

    fn disk_refuses(&mut self, words: String) -> Duration {
        self.trouble(words);
        self.not_before = Some(Instant::now() + DISK_AGAIN);
        DISK_AGAIN
    }

    /// Writes down what was decided, and takes it. What follows from a ledger waits until that has been computed again.
    fn take_decisions(&mut self) -> std::io::Result<()> {
        let caught_up = self.progress.caught_up.load(Ordering::Acquire);
        let mut later = VecDeque::new();
        while let Some(decision) = self.decided.pop_front() {
            if !caught_up && !decision.journalled {
                later.push_back(decision);
                continue;
            }
            let list = {
                let view = self.view.read().unwrap_or_else(PoisonError::into_inner);
                view.deliveries.decide(&decision, clock_ms())
            };
            if list.is_empty() {
                continue;
            }
            self.receipts.append(&Deliveries::rows_of(&list));
            if let Err(error) = self.receipts.sync() {
                // It is decided again later, under the same id. Ends that were to be written with it are repeated after a
                // restart, which is allowed.
                self.receipts.take_back();
                later.push_back(decision);
                later.append(&mut self.decided);
                self.decided = later;
                return Err(error);
            }
            self.view.write().unwrap_or_else(PoisonError::into_inner).deliveries.take(list);
            self.is_news = true;
        }
        self.decided = later;
        Ok(())
    }

    fn answered(&mut self, worker: u64, outcome: Outcome, words: Option<String>) {
        // What a hook answered that was configured otherwise since, it is asked once more.
        let Some(target) = self.workers.iter().position(|of| of.id == worker) else { return };
        let words = words.map(|words| harmless(&words, 200));
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let row = view.deliveries.outcome(target, clock_ms(), outcome);
        if let Some(last) = view.last_answers.get_mut(target) {
            let is_news = words.is_some() && *last != words;
            *last = words;
            let name = view.deliveries.targets().nth(target).map(|(target, _)| target.name.clone()).unwrap_or_default();
            if is_news && let Some(Some(words)) = view.last_answers.get(target) {
                warn(&format!("hook {name}: {words}; it is tried again"));
            }
        }
        drop(view);
        self.is_news = true;
        row.iter().for_each(|row| self.receipts.append(row));
    }
}

/// What is to be known of hooks, for programs.
pub(super) fn hooks_json(view: &View) -> Value {
    let hooks = view.deliveries.targets().enumerate().map(|(at, (target, lane))| {
        let of = view.deliveries.latest().filter(|delivery| delivery.target == target.name);
        let (mut taken, mut given_up, mut last_given_up) = (0u64, 0u64, None);
        for delivery in of {
            match delivery.standing {
                Standing::Waiting => {}
                Standing::Taken(_) => taken += 1,
                Standing::GivenUp(_, why) => {
                    given_up += 1;
                    last_given_up
                        .get_or_insert_with(|| json!({ "id": delivery.id, "rollout": delivery.rollout, "why": why }));
                }
            }
        }
        json!({
            "name": target.name,
            "state": HookState::of(lane).name(),
            "waiting": lane.waiting(),
            "taken": taken,
            "given_up": given_up,
            "last_given_up": last_given_up,
            "last_answer": view.last_answers.get(at).cloned().flatten(),
        })
    });
    hooks.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::cli::run::state::State;
    use crate::ledger::Chain;
    use crate::rollout::{Command, Phase};

    const KEEP: Keep = Keep { ended: 10, receipts_bytes: 20_000, journal_bytes: 4_000 };

    /// A ledger with a comparison that runs.
    fn ledger(folder: &Path) -> u64 {
        let mut chain = Chain::default();
        let body = json!({ "service": "web", "services": [{"environment": "", "service": "web"}], "control": "1",
            "candidate": "2", "at": "2026-06-01T00:00:00Z" });
        let Value::Object(begin) = body else { panic!("an object") };
        let text: String = [chain.append("start", Map::new()), chain.append("begin", begin)].concat();
        // The folder is made as the program makes it.
        drop(State::open(folder).unwrap());
        std::fs::write(folder.join("ledger.ndjson"), &text).unwrap();
        text.len() as u64
    }

    fn config() -> Config {
        let declared = Declared { name: "web".to_owned(), services: vec!["web".to_owned()], ..Declared::default() };
        let mut config = Config::default();
        config.declared.push(declared);
        config
    }

    fn command(command: Command) -> What {
        let (actor, reason) = ("ann".to_owned(), "because it is so and no other way, as everybody knows".to_owned());
        What::Command { rollout: "web".to_owned(), command, finding: None, actor, reason }
    }

    /// A journal does not grow without end; after each restart everything stands as it did.
    #[test]
    fn rows_that_were_put_aside_count_all_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path().join("state");
        let held = ledger(&at);
        let size = |name: &str| std::fs::metadata(at.join(name)).map_or(0, |metadata| metadata.len());
        let mut largest = 0;
        for round in 0..6 {
            let desk = start_with(&at, held, &config(), KEEP).unwrap();
            desk.progress(held, true, None);
            let before = desk.view().book.clone();
            assert_eq!(before.rollout("web").unwrap().generation, round * 20);
            for _ in 0..10 {
                assert_eq!(desk.command(command(Command::Hold)), Answer::Done);
                assert_eq!(desk.command(command(Command::Resume)), Answer::Done);
                largest = largest.max(size("journal.ndjson"));
            }
            // An answer comes after what was tidied before.
            assert!(matches!(desk.command(command(Command::Resume)), Answer::Refused(_)));
            assert_eq!(desk.view().book.rollout("web").unwrap().state.phase, Phase::Running);
            desk.stop();
            // That nobody answers any more means that its files are closed.
            assert_ne!(desk.command(command(Command::Hold)), Answer::Done);
        }
        assert!(largest < 12_000 && size(ASIDE) > 4_000, "{largest} {}", size(ASIDE));
        // Not of this ledger.
        std::fs::write(at.join("ledger.ndjson"), "").unwrap();
        let refused = start_with(&at, 0, &config(), KEEP).err().unwrap();
        assert!(refused.to_string().contains("shorter than what the journal rests on"), "{refused:#}");
    }
}
