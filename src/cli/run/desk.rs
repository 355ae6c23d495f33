//! Where decisions become messages: one thread that reads the ledger as far as it lasts, takes commands, and hands out
//! deliveries. The reader of logs never waits for it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};

use crate::cli::config::Config;
use crate::cli::run::appended::Appended;
use crate::cli::run::hooks::{self, Job, clock_ms};
use crate::cli::run::say;
use crate::cli::terminal::harmless;
use crate::outbox::{
    Book, Decision, Deliveries, Do, Journalled, Outcome, Since, Standing, Target, Topic, What, read_rows,
};
use crate::time::Timestamp;

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
}

/// What can happen at the desk.
enum Message {
    /// The reader has come further.
    Progress,
    /// An answer of a target, by its number; in words what kept it from being a success.
    Answered(usize, Outcome, Option<String>),
    /// A command.
    Command(What, SyncSender<Answer>),
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
}

/// By what the other threads speak to the desk.
#[derive(Clone)]
pub(super) struct Desk {
    sender: Sender<Message>,
    view: Arc<RwLock<View>>,
    progress: Arc<Progress>,
}

impl Desk {
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

    /// Everything that the ledger held has been computed again.
    pub(super) fn is_caught_up(&self) -> bool {
        self.progress.caught_up.load(Ordering::Acquire)
    }

    /// Commands; returns when it is durable, or refused.
    pub(super) fn command(&self, what: What) -> Answer {
        let gone = || Answer::NotNow("the program is stopping".to_owned());
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.tell(Message::Command(what, sender));
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
    /// Decisions that are not written down yet.
    decided: VecDeque<Decision>,
    workers: Vec<Sender<Job>>,
    /// Event time as it was last told, and when.
    time: (i64, Instant),
    /// The disk is not tried before.
    not_before: Option<Instant>,
}

/// Opens journal and receipts in a folder, reads what the ledger holds, and starts the thread.
pub(super) fn start(folder: &Path, held: u64, config: &Config) -> anyhow::Result<Desk> {
    let shown = |name: &str| folder.join(name).display().to_string();
    let rows_of = |file: &Appended, name: &str| {
        read_rows(&file.held)
            .with_context(|| format!("{}: restore it, or begin anew with another --state", shown(name)))
    };
    let journal = Appended::open(&folder.join("journal.ndjson"))?;
    let rows: VecDeque<(String, Journalled)> = rows_of(&journal, "journal.ndjson")?
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
    // Who is new is told of what comes from now on: how far are ledger and journal?
    let here = Since { entries: entries_in(folder, held)?, rows: rows.len() as u64 };
    let mut declared = config.declared.clone();
    for of in &mut declared {
        let text = format!("{:?}", (&of.environment, &of.services, &of.control, &of.candidate, &of.course, &of.hooks));
        let (since, row) = deliveries.since(&format!("rollout {}", of.name), &text, here);
        of.since = since;
        row.iter().for_each(|row| receipts.append(row));
    }
    let mut targets = Vec::new();
    for hook in &config.hooks {
        let topics: Vec<&str> = hook.topics.iter().copied().map(Topic::name).collect();
        let (since, row) = deliveries.since(&format!("hook {}", hook.name), &topics.join(" "), here);
        row.iter().for_each(|row| receipts.append(row));
        targets.push(Target {
            name: hook.name.clone(),
            topics: hook.topics.clone(),
            expires_ms: hook.expires / 1_000,
            since,
        });
    }
    let count = targets.len();
    // Pauses need not be foreseen, only differ from those of other programs.
    let seed = clock_ms().unsigned_abs() ^ u64::from(std::process::id());
    deliveries.open(targets, seed, clock_ms()).iter().for_each(|row| receipts.append(row));
    receipts.sync().with_context(|| shown("receipts.ndjson"))?;

    let view = View { book: Book::new(declared), deliveries, last_answers: vec![None; count], trouble: None };
    let view = Arc::new(RwLock::new(view));
    let progress = Arc::new(Progress {
        durable: AtomicU64::new(held),
        caught_up: AtomicBool::new(held == 0),
        time: AtomicI64::new(NO_TIME),
    });
    let (sender, receiver) = std::sync::mpsc::channel();
    let workers = config.hooks.iter().cloned().enumerate().map(|(at, hook)| {
        let sender = sender.clone();
        hooks::start(hook, move |outcome, words| {
            let _gone = sender.send(Message::Answered(at, outcome, words));
        })
    });
    let mut work = Work {
        view: Arc::clone(&view),
        progress: Arc::clone(&progress),
        ledger,
        read: 0,
        rest: Vec::new(),
        rows,
        journal,
        receipts,
        decided: VecDeque::new(),
        workers: workers.collect(),
        time: (NO_TIME, Instant::now()),
        not_before: None,
    };
    // Whoever asks from the first moment on is told what was last known.
    work.read_ledger().with_context(|| shown("ledger.ndjson"))?;
    std::thread::spawn(move || work.run(&receiver));
    Ok(Desk { sender, view, progress })
}

/// Entries in the first bytes of the ledger.
fn entries_in(folder: &Path, held: u64) -> anyhow::Result<u64> {
    let mut file = File::open(folder.join("ledger.ndjson"))?.take(held);
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
                Ok(Message::Command(what, answer)) => {
                    // Whoever asked may have gone.
                    let _gone = answer.try_send(self.command(what));
                }
            }
            if let Err(error) = self.read_ledger() {
                self.trouble(format!("the ledger cannot be read: {error}"));
            }
            again = self.turn();
        }
    }

    fn trouble(&mut self, words: String) {
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        if view.trouble.as_ref() != Some(&words) {
            say(&harmless(&words, 300));
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
                let decisions = self.view.write().unwrap_or_else(PoisonError::into_inner).book.entry(&line);
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
                Ok(decisions) => self.decided.extend(decisions),
                // The configuration has changed since: what was commanded means nothing now.
                Err(why) => say(&format!("a command of the journal is left out: {}", harmless(&why, 200))),
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
        self.view.write().unwrap_or_else(PoisonError::into_inner).book = book;
        self.decided.extend(decisions);
        Answer::Done
    }

    fn command(&mut self, what: What) -> Answer {
        if !self.rows.is_empty() {
            return Answer::NotNow("the journal goes further than the ledger, which is being written again".to_owned());
        }
        self.journal(what)
    }

    /// Event time by now: while nothing comes it goes on by the clock, since silence must not stop a deadline.
    fn event_time(&mut self) -> Option<Timestamp> {
        let told = self.progress.time.load(Ordering::Acquire);
        if told == NO_TIME || !self.progress.caught_up.load(Ordering::Acquire) {
            return None;
        }
        if told != self.time.0 {
            self.time = (told, Instant::now());
        }
        let since = i64::try_from(self.time.1.elapsed().as_micros()).unwrap_or(i64::MAX);
        Some(Timestamp(told.saturating_add(since)))
    }

    /// What is due; returns when to look again.
    fn turn(&mut self) -> Duration {
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
                        let _gone = worker.send(Job { id, body });
                    }
                }
            }
        }
        // An end that is not written down is repeated after a restart, with the same bytes.
        if let Err(error) = self.receipts.sync() {
            return self.disk_refuses(format!("receipts cannot be written: {error}"));
        }
        self.no_trouble();
        let until = wait.map_or(LOOK_AGAIN, |wait| Duration::from_millis((wait - now).max(1).unsigned_abs()));
        until.min(LOOK_AGAIN)
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
        }
        self.decided = later;
        Ok(())
    }

    fn answered(&mut self, target: usize, outcome: Outcome, words: Option<String>) {
        let words = words.map(|words| harmless(&words, 200));
        let mut view = self.view.write().unwrap_or_else(PoisonError::into_inner);
        let row = view.deliveries.outcome(target, clock_ms(), outcome);
        if let Some(last) = view.last_answers.get_mut(target) {
            let is_news = words.is_some() && *last != words;
            *last = words;
            let name = view.deliveries.targets().nth(target).map(|(target, _)| target.name.clone()).unwrap_or_default();
            if is_news && let Some(Some(words)) = view.last_answers.get(target) {
                say(&format!("hook {name}: {words}; it is tried again"));
            }
        }
        drop(view);
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
        let state = match (lane.is_gone(), lane.is_broken(), lane.failures()) {
            (true, _, _) => "gone",
            (false, true, _) => "broken",
            (false, false, 0) => "ok",
            (false, false, _) => "failing",
        };
        json!({
            "name": target.name,
            "state": state,
            "waiting": lane.waiting(),
            "taken": taken,
            "given_up": given_up,
            "last_given_up": last_given_up,
            "last_answer": view.last_answers.get(at).cloned().flatten(),
        })
    });
    hooks.collect()
}
