//! The thread that reads: what lines are, where reading begins, and what everything is decided by.

use std::cell::Cell;
#[cfg(feature = "kafka")]
use std::cell::OnceCell;
use std::collections::BTreeMap;
#[cfg(feature = "kafka")]
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

#[cfg(feature = "kafka")]
use anyhow::Context;
use anyhow::{anyhow, bail};

use crate::cli::arguments::RunArguments;
use crate::cli::report::count;
use crate::cli::run::Times;
#[cfg(feature = "kafka")]
use crate::cli::run::checkpoint::Place;
use crate::cli::run::checkpoint::{self, Checkpoint, Heads, Shown};
use crate::cli::run::desk::Desk;
use crate::cli::run::http::Shared;
#[cfg(feature = "kafka")]
use crate::cli::run::inputs::Asked;
use crate::cli::run::inputs::{self, From, Heard, Inputs};
use crate::cli::run::live::{Live, Watch};
use crate::cli::run::log::{say, warn};
use crate::cli::run::placebo::Ground;
use crate::cli::run::rejects::{REJECTS_BYTES, Rejects};
use crate::cli::run::stalls::Stalls;
use crate::cli::run::state::State;
#[cfg(feature = "kafka")]
use crate::cli::run::streams::Row;
use crate::cli::terminal::harmless;
use crate::cli::{clock, compare, pipelines, replay};
use crate::engine::policy::Policy;
use crate::engine::{Engine, Settings};
use crate::pipeline::decode::Decoder;
use crate::pipeline::plan::Plan;
use crate::pipeline::plan_text;
use crate::pipeline::survey::{Survey, Wishes};
#[cfg(feature = "kafka")]
use crate::source::batch::RECORD_LINES;
#[cfg(feature = "kafka")]
use crate::source::kafka::{Asks, Connection, Owner, Positions, Stands, StreamName, group_of};
use crate::source::lines::Chunk;
use crate::source::run::PushedStreams;
use crate::source::wal::WalReader;
use crate::time::{DAY, Micros, Timestamp, Windowing};

/// Lines after which it is looked at what they are, and the fewest.
const HEAD_LINES: usize = 4_000;
const HEAD_LINES_MIN: usize = 50;
/// Bytes after which they are looked at, and time since the first line, once there are the fewest.
const HEAD_BYTES: usize = 16 << 20;
const HEAD_TIME: Duration = Duration::from_secs(3);
/// Bytes of lines that say nothing of requests and are waited out: they are kept, since they count.
const WAITED_BYTES: usize = 256 << 20;
/// How long one question for a record waits.
const POLL: Duration = Duration::from_millis(100);
/// Between two attempts to write what the disk refused.
const DISK_AGAIN: Duration = Duration::from_secs(1);
/// What everything is decided by, and what it was found from.
struct Planned {
    /// The lines of each stream that were read until it was found.
    heads: Vec<Vec<Chunk>>,
    /// Those that it was found from.
    first: Heads,
    found: Survey,
    settings: Settings,
}

/// A checkpoint, and what everything is decided by.
struct Saved {
    checkpoint: Checkpoint,
    found: Survey,
    settings: Settings,
}

/// Streams that were there when everything began, and those that came later, each with the first window to which it adds.
type KnownStreams = (Vec<From>, Vec<(From, i64)>);

/// Reads streams until it is told to stop.
pub(super) struct Reader<'a> {
    pub arguments: &'a RunArguments,
    pub policy: &'a Policy,
    pub shared: &'a Shared,
    pub desk: &'a Desk,
    pub times: Times,
    /// Something is said to be out of order that may pass.
    pub is_troubled: Cell<bool>,
    /// That the topics are owned, once they are.
    #[cfg(feature = "kafka")]
    pub owner: OnceCell<Owner>,
}

/// In place of a name of a group: none.
#[cfg(feature = "kafka")]
const NO_GROUP: &str = "none";

/// Topics are read that one program owns at a time.
#[cfg(feature = "kafka")]
pub(super) fn has_group(arguments: &RunArguments) -> bool {
    arguments.brokers.is_some() && arguments.group.as_deref() != Some(NO_GROUP)
}

impl Reader<'_> {
    /// The next record of any stream, if one comes soon.
    pub(super) fn poll(&self, inputs: &mut Inputs) -> anyhow::Result<Heard> {
        #[cfg(feature = "kafka")]
        if let Some(ended) = self.owner.get().and_then(Owner::ended) {
            self.desk.stop();
            return Err(ended.into());
        }
        match inputs.rests() {
            Some(rest) => {
                self.shared.stop.wait(rest);
                Ok(Heard::Nothing)
            }
            None => inputs.poll(POLL),
        }
    }

    pub(super) fn stopping(&self) -> bool {
        self.shared.stop.is_told()
    }

    /// Writes something without which nothing more may be decided. While the disk refuses it is tried again, until the program
    /// is told to stop.
    pub(super) fn written<E: std::fmt::Display>(
        &self,
        what: &str,
        mut write: impl FnMut() -> Result<(), E>,
    ) -> anyhow::Result<()> {
        let mut began = None::<Instant>;
        while let Err(error) = write() {
            let words = format!("{what} cannot be written ({error:#}): nothing is decided until it can");
            if began.is_none() {
                warn(&words);
            }
            began.get_or_insert_with(Instant::now);
            self.shared.stalled(Some(words));
            if self.shared.stop.wait(DISK_AGAIN) {
                bail!("{what} cannot be written: {error:#}");
            }
        }
        if let Some(began) = began {
            self.shared.stalled(None);
            say(&format!("{what} is written again, after {} s", began.elapsed().as_secs()));
        }
        Ok(())
    }

    /// Everything lasts that was decided, and the desk knows.
    pub(super) fn lasts(&self, state: &mut State, engine: &Engine) -> anyhow::Result<()> {
        self.written("the ledger", || state.sync())?;
        self.desk.progress(state.durable(), state.is_caught_up(), engine.closed_until());
        Ok(())
    }

    pub(super) fn read(&self, state: &mut State, http: Option<WalReader>) -> anyhow::Result<()> {
        let done = self.read_streams(state, http);
        match state.differs() {
            Some(words) => bail!("{}: {words}", self.arguments.state.display()),
            None => done,
        }
    }

    /// Every stream that was asked for, read from where `from` says; `None` when it was told to stop before all were there.
    fn inputs(&self, http: Option<WalReader>, from: &[From], state: &State) -> anyhow::Result<Option<Inputs>> {
        let mut http = http;
        let of_http = from.iter().find(|from| from.name == inputs::HTTP);
        if !from.is_empty() && of_http.is_some() != http.is_some() {
            bail!("{}: {OTHER_GROUND}", self.arguments.state.display());
        }
        let next = of_http.and_then(|from| from.next);
        if let Some(reader) = &mut http {
            match next {
                Some(next) => reader.skip_to(next)?,
                None if reader.first()? > 0 => bail!(
                    "{}: the write-ahead log has lost its beginning, and there is no checkpoint to go on from; begin anew with \
                     another --state",
                    self.arguments.state.display()
                ),
                None => {}
            }
        }
        #[cfg(feature = "kafka")]
        if let Some(brokers) = &self.arguments.brokers {
            let stop = &self.shared.stop;
            let asked = Asked::of(self.connection(brokers)?, &self.arguments.topics).context("--topic")?;
            if from.iter().any(|from| from.name != inputs::HTTP && !asked.has(from)) {
                bail!("{}: {OTHER_GROUND}", self.arguments.state.display());
            }
            self.shared.wait_for("a broker");
            if !self.owns(&asked, state)? {
                return Ok(None);
            }
            let mut wait = |what: String| {
                say(&what);
                self.shared.wait_for(&format!("Kafka ({what})"));
            };
            return Inputs::of_topics(asked, http, from, stop, &mut wait);
        }
        if from.iter().any(|from| from.name != inputs::HTTP) {
            bail!("{}: {OTHER_GROUND}", self.arguments.state.display());
        }
        #[cfg(not(feature = "kafka"))]
        let _has_no_identity = state;
        Ok(http.map(|http| Inputs::of_http(http, next.unwrap_or(0))))
    }

    /// Waits until no other program owns the topics; false when it was told to stop before. While another does, nothing is read, told or
    /// decided here.
    #[cfg(feature = "kafka")]
    fn owns(&self, asked: &Asked, state: &State) -> anyhow::Result<bool> {
        if !has_group(self.arguments) {
            return Ok(true);
        }
        let of_topics = || group_of(asked.formats.iter().map(|(name, _)| name.as_str()));
        let group = self.arguments.group.clone().unwrap_or_else(of_topics);
        let instance = state.instance()?;
        let (mut said, mut has_stood_by) = (String::new(), false);
        let mut hear = |stands: Stands| {
            let is_quiet = stands == Stands::Joins;
            let words = match stands {
                Stands::Waits(what) => format!("Kafka ({what})"),
                Stands::Joins => format!("group {group} to let this one in"),
                Stands::By(host) => {
                    has_stood_by = true;
                    let words = format!(
                        "its turn (standby): another serin ({}) owns the topics of group {}; this one takes over when it is gone; to \
                         read beside it give --group of its own or --group none",
                        harmless(&host, 100),
                        harmless(&group, 300)
                    );
                    self.shared.is_standby.store(true, Ordering::Relaxed);
                    self.desk.stand_by(&format!("waiting for {words}"));
                    words
                }
            };
            if words != said {
                if !is_quiet {
                    say(&format!("waiting for {words}"));
                }
                self.shared.wait_for(&words);
                said = words;
            }
        };
        let asks = Asks { connection: &asked.connection, wanted: &asked.wanted, group: &group, instance: &instance };
        let Some(owner) = Owner::claim(asks, &self.shared.stop, &mut hear)? else { return Ok(false) };
        if has_stood_by {
            say(&format!("the other serin is gone: this one owns the topics of group {}", harmless(&group, 300)));
        }
        self.shared.is_standby.store(false, Ordering::Relaxed);
        self.desk.act();
        // There is none before.
        let _first = self.owner.set(owner);
        Ok(true)
    }

    /// Tells the group how far topics are read and saved, for those who look at it.
    #[cfg(feature = "kafka")]
    pub(super) fn tell(&self, places: &[Place]) {
        let Some(owner) = self.owner.get() else { return };
        let mut positions = Positions::new();
        let mut generations: BTreeMap<(String, i32), u32> = BTreeMap::new();
        for place in places.iter().filter(|place| place.next > 0) {
            let Some(name) = StreamName::parse(&place.name) else { continue };
            let key = (name.topic, name.partition);
            let latest = generations.entry(key.clone()).or_default();
            if *latest <= name.generation {
                *latest = name.generation;
                positions.insert(key, i64::try_from(place.next.div_ceil(RECORD_LINES)).unwrap_or(i64::MAX));
            }
        }
        owner.tell(positions);
    }

    /// How brokers are spoken to.
    #[cfg(feature = "kafka")]
    fn connection(&self, brokers: &str) -> anyhow::Result<Connection> {
        Ok(match &self.arguments.kafka_properties {
            Some(path) => Connection::with_file(brokers, path).context("--kafka-properties")?,
            None => Connection::plain(brokers),
        })
    }

    /// Where each stream that the ledger rests on goes on: those that were there when everything began, then those that came later,
    /// with the window in which they came.
    fn known(&self, saved: Option<&Saved>, state: &State) -> anyhow::Result<KnownStreams> {
        let rows = state.rows()?;
        let row = |name: &str| rows.iter().rev().find(|row| row.name == name);
        let first = |name: &str| row(name).map(|row| row.first);
        let format = |name: &str| row(name).map(|row| row.format.clone());
        let base: Vec<From> = match (saved, state.start()?) {
            (Some(saved), _) => {
                let places = saved.checkpoint.places.iter();
                places
                    .map(|place| From {
                        next: Some(place.next).filter(|next| *next > 0).max(first(&place.name)),
                        millis: place.millis,
                        format: format(&place.name),
                        name: place.name.clone(),
                    })
                    .collect()
            }
            (None, Some(start)) => {
                let key = pipelines::key(self.arguments.how.redaction_key.as_deref())?;
                let names = replay::ground(&start, &key)?.2.into_iter();
                names.map(|name| From { next: first(&name), millis: 0, format: format(&name), name }).collect()
            }
            (None, None) => return Ok(Default::default()),
        };
        let mut later: Vec<(From, i64)> = Vec::new();
        for row in &rows {
            let Some(window) = row.joined else { continue };
            if base.iter().chain(later.iter().map(|(from, _)| from)).all(|known| known.name != row.name) {
                let from =
                    From { name: row.name.clone(), next: Some(row.first), millis: 0, format: Some(row.format.clone()) };
                later.push((from, window));
            }
        }
        Ok((base, later))
    }

    /// The checkpoint to go on from, with the first lines that its plan rests on. What cannot be used is told of: everything is
    /// read again then.
    fn saved(&self, state: &State) -> anyhow::Result<Option<Saved>> {
        let folder = &self.arguments.state;
        let unusable = |why: &str| {
            say(&format!("{}: the checkpoint is of no use ({why}): everything is read again", folder.display()));
            Ok(None)
        };
        let checkpoint = match Checkpoint::read(folder)? {
            None => return Ok(None),
            Some(Err(damaged)) => return unusable(&damaged.to_string()),
            Some(Ok(checkpoint)) => checkpoint,
        };
        let heads = match checkpoint::read_heads(folder) {
            Ok(Some(heads)) => heads,
            Ok(None) => return unusable("the first lines were not kept"),
            Err(damaged) => return unusable(&format!("{damaged:#}")),
        };
        match self.ground(&heads, state)? {
            Ok((found, settings)) => Ok(Some(Saved { checkpoint, found, settings })),
            Err(unclear) => unusable(&format!("its first lines: {unclear:#}")),
        }
    }

    fn read_streams(&self, state: &mut State, http: Option<WalReader>) -> anyhow::Result<()> {
        let saved = self.saved(state)?;
        let (base, later) = self.known(saved.as_ref(), state)?;
        let from: Vec<From> = base.iter().chain(later.iter().map(|(from, _)| from)).cloned().collect();
        let Some(mut inputs) = self.inputs(http, &from, state)? else { return Ok(()) };
        self.shared.reached();
        inputs.read_at_most(self.arguments.read_at_most);
        #[cfg(feature = "kafka")]
        if from.is_empty() {
            let rows = inputs.begins().into_iter().map(|(name, first, format)| Row {
                name,
                first,
                format: format.name().to_owned(),
                joined: None,
            });
            let rows: Vec<Row> = rows.collect();
            state.joined(rows.iter());
            self.written("the state directory", || state.sync())?;
        }
        let mut names = inputs.names().to_vec();
        let of_base = if from.is_empty() { names.len() } else { base.len() };
        self.shared.metrics.streams(&names);
        let (begun, found) = match saved {
            Some(saved) => {
                say(&format!("reading {} from the last checkpoint", count(names.len() as u64, "stream")));
                let behind = saved.checkpoint.places.iter().map(|place| (place.name.clone(), place.next));
                self.shared.forgetting.checkpointed(behind);
                self.begin_again(names.len(), saved, state)?
            }
            None => {
                say(&format!("reading {} from the beginning", count(names.len() as u64, "stream")));
                self.shared.wait_for("the first log lines");
                if state.start()?.is_some() && inputs.have_nothing() {
                    // It does not end: the gate goes on to say what the ledger knew, and that it is no verdict of now.
                    let words = format!(
                        "{}: there is a ledger, and nothing of the lines that it was made from (was the write-ahead log \
                         removed?); restore it, or begin anew with another --state",
                        self.arguments.state.display()
                    );
                    warn(&words);
                    self.shared.stalled(Some(words));
                }
                let Some(Planned { heads, first, found, settings }) = self.plan(&mut inputs, state)? else {
                    return Ok(());
                };
                let kept = kept_heads(&first, &found.plan);
                self.written("the state directory", || checkpoint::write_heads(state.folder(), &kept))?;
                let engine = Engine::new(settings);
                (Begun { heads, engine, streams: None, moves: vec![0; names.len()], shown: Shown::default() }, found)
            }
        };
        let Begun { heads, mut engine, streams, moves: mut moves_made, shown } = begun;
        moves_made.resize(names.len(), 0);
        let plan = found.plan.clone();
        #[cfg(feature = "index")]
        self.shared.searching.planned(&plan);
        self.shared.decides_by(Ground { plan: plan.clone(), settings: engine.settings().clone() });
        let mut moves = state.moves(&names)?;
        for (moves, made) in moves.iter_mut().zip(&moves_made) {
            moves.drain(..usize::try_from(*made).unwrap_or(usize::MAX).min(moves.len()));
        }
        if !state.is_caught_up() {
            self.shared.wait_for("the logs to be read again up to where the ledger ends");
        }
        let Shown { noticed, courses } = shown;
        let mut watch = Watch {
            reader: self,
            state,
            found: &found,
            verdicts: BTreeMap::new(),
            courses,
            noticed,
            looked: true,
            is_ahead: false,
            rejects: Rejects::open(&self.arguments.state, REJECTS_BYTES, self.shared.forgetting.rejects()),
            rejects_refused: false,
        };
        let first = names.get(..of_base).unwrap_or(&names);
        let mut pushed = match streams {
            Some(saved) => {
                PushedStreams::resume(first, &plan, &saved).map_err(|damaged| anyhow!("checkpoint: {damaged}"))?
            }
            None => PushedStreams::begin(first, &plan, &mut engine, plan_text::to_json(&plan), &mut watch)?,
        };
        pushed.keep_rejects();
        for (from, window) in &later {
            pushed.join(&from.name, *window, &mut engine, &mut watch)?;
        }
        let now = Instant::now();
        let mut stalls = Stalls::default();
        names.iter().for_each(|name| stalls.add(name != inputs::HTTP));
        let live = Live {
            reader: self,
            stalls,
            last: vec![now; names.len()],
            names: std::mem::take(&mut names),
            inputs,
            pushed,
            moves,
            moves_made,
            #[cfg(feature = "kafka")]
            coming: Vec::new(),
        };
        live.follow(heads, &mut engine, &mut watch)
    }

    /// State as a checkpoint has it. It must be of these streams and of this ledger.
    fn begin_again(
        &self,
        streams: usize,
        Saved { checkpoint: saved, found, settings }: Saved,
        state: &mut State,
    ) -> anyhow::Result<(Begun, Survey)> {
        let folder = self.arguments.state.display();
        if !state.resume(saved.written) {
            bail!(
                "{folder}: the ledger does not have what the checkpoint rests on (was a file replaced?); restore both, or begin \
                 anew with another --state"
            );
        }
        let engine =
            Engine::restore(settings, &saved.engine).map_err(|damaged| anyhow!("{folder}: checkpoint: {damaged}"))?;
        let moves = saved.places.iter().map(|place| place.moves).collect();
        let heads = vec![Vec::new(); streams];
        Ok((Begun { heads, engine, streams: Some(saved.streams), moves, shown: saved.shown }, found))
    }

    /// What everything is decided by, with the lines that were read for it. Lines that say nothing of requests (a start, a
    /// health check, text of no known form) are waited out; `None` when it was told to stop.
    fn plan(&self, inputs: &mut Inputs, state: &State) -> anyhow::Result<Option<Planned>> {
        let names = inputs.names().to_vec();
        let mut heads: Vec<Vec<Chunk>> = names.iter().map(|_| Vec::new()).collect();
        let (mut bytes, mut said) = (0, String::new());
        loop {
            let Some(more) = self.heads(inputs, state)? else { return Ok(None) };
            bytes += more.iter().flatten().map(|chunk| chunk.bytes.len()).sum::<usize>();
            let first = texts(&names, &more);
            let ground = self.ground(&first, state)?;
            heads.iter_mut().zip(more).for_each(|(all, more)| all.extend(more));
            let why = match ground {
                Ok((found, settings)) => {
                    if state.start()?.is_some() || found.services.values().any(|service| service.requests > 0) {
                        return Ok(Some(Planned { heads, first, found, settings }));
                    }
                    "no line so far tells of a request (a status, a latency, or a root span)".to_owned()
                }
                Err(unclear) => format!("{unclear:#}"),
            };
            if bytes >= WAITED_BYTES {
                bail!(
                    "{why}; {} MiB of lines were read, and no more are waited out: see to it that the log tells of requests, or \
                     say with --role which fields do, and begin anew with another --state",
                    bytes >> 20
                );
            }
            if why != said {
                say(&harmless(&why, 600));
                self.shared.wait_for(&format!("other log lines: {why}"));
                said = why;
            }
        }
    }

    /// The next lines of all streams; `None` when it was told to stop.
    fn heads(&self, inputs: &mut Inputs, state: &State) -> anyhow::Result<Option<Vec<Vec<Chunk>>>> {
        let mut first: Option<Instant> = None;
        let (mut lines, mut bytes) = (0, 0);
        let has_time = |first: Option<Instant>| first.is_none_or(|first| first.elapsed() < HEAD_TIME);
        while lines < HEAD_LINES && bytes < HEAD_BYTES && (lines < HEAD_LINES_MIN || has_time(first)) {
            if self.stopping() {
                return Ok(None);
            }
            let heard = self.poll(inputs)?;
            if let Heard::Record { bytes: more, lines: with_text, .. } = heard
                && with_text > 0
            {
                first.get_or_insert_with(Instant::now);
                lines += with_text;
                bytes += more;
                if lines < HEAD_LINES_MIN {
                    self.shared.wait_for(&format!(
                        "more log lines: {lines} have come, and {HEAD_LINES_MIN} show what they are"
                    ));
                }
            }
            self.hear_first(&heard, inputs.names(), state)?;
        }
        let streams = 0..inputs.names().len();
        Ok(Some(streams.map(|stream| inputs.batch(stream).map(|batch| batch.chunks()).unwrap_or_default()).collect()))
    }

    /// Hears what came beside lines, before everything is decided by something.
    fn hear_first(&self, heard: &Heard, names: &[String], state: &State) -> anyhow::Result<()> {
        match heard {
            Heard::Record { .. } | Heard::Nothing | Heard::Trouble(_) => self.passing(heard),
            Heard::Lost { stream, records } if state.start()?.is_some() => {
                bail!("{}", lost_before(&names[*stream], *records));
            }
            // What was never looked at is missed by nobody.
            Heard::Lost { .. } => {}
            Heard::Anew { stream } => bail!("{}: the topic was deleted and made anew; start again", names[*stream]),
        }
        Ok(())
    }

    /// Hears what came beside lines.
    pub(super) fn hear(&self, heard: &Heard, names: &[String], watch: &mut Watch<'_>) -> anyhow::Result<()> {
        match heard {
            Heard::Record { .. } | Heard::Nothing | Heard::Trouble(_) => self.passing(heard),
            Heard::Lost { stream, records } if !watch.state.is_caught_up() => {
                bail!("{}", lost_before(&names[*stream], *records));
            }
            Heard::Lost { stream, records } => {
                say(&format!(
                    "{} of {} were deleted before they were read (retention): they count nowhere",
                    count(*records, "record"),
                    names[*stream]
                ));
                watch.noticed.lost(&names[*stream], *records);
            }
            Heard::Anew { stream } => {
                say(&format!(
                    "{}: the topic was deleted and made anew: what it brings now is another log, from its beginning",
                    names[*stream]
                ));
                watch.noticed.anew(&names[*stream]);
            }
        }
        Ok(())
    }

    fn passing(&self, heard: &Heard) {
        match heard {
            Heard::Record { stream, bytes, lines } => {
                self.shared.metrics.came(*stream, *lines, *bytes);
                if self.is_troubled.replace(false) {
                    self.shared.trouble(None);
                }
            }
            Heard::Trouble(words) => {
                self.is_troubled.set(true);
                self.shared.trouble(Some(words.clone()));
            }
            Heard::Nothing | Heard::Lost { .. } | Heard::Anew { .. } => {}
        }
    }

    /// What everything is decided by: as the ledger says, where there is one. The inner error says what lines do not tell.
    fn ground(&self, texts: &Heads, state: &State) -> anyhow::Result<Result<(Survey, Settings), anyhow::Error>> {
        let RunArguments { how, judge, .. } = self.arguments;
        let ground = compare::ground_with(how, judge, self.policy.clone(), |wishes| {
            // What comes lies ahead, and a little of what was written before.
            let from = Timestamp(clock::today().0 - YEARLESS_BACK);
            let years_from = if wishes.names_years { wishes.years_from } else { Some(from) };
            let mut looked =
                compare::look_at_heads(texts, &Wishes { years_from, now: Some(clock::now()), ..wishes.clone() })?;
            looked.is_all = false;
            Ok(looked)
        });
        let (mut found, mut settings) = match ground {
            Ok(ground) => ground,
            Err(unclear) => return Ok(Err(unclear)),
        };
        if let Some(start) = state.start()? {
            let asked = compare::wishes(how, compare::arm_rule(judge)?)?;
            let (plan, recorded, _) = replay::ground(&start, &asked.preparation.key)?;
            // How much is sampled comes from the first lines, not from options.
            let times = |w: &Windowing| (w.window, w.lateness, w.since, w.until);
            let same = recorded.policy == settings.policy
                && recorded.arms.control == settings.arms.control
                && recorded.arms.candidates == settings.arms.candidates
                && times(&plan.windowing) == times(&found.plan.windowing)
                && plan.service == found.plan.service
                && plan.environment == found.plan.environment
                && asked.arms.is_none_or(|arms| arms == plan.arms)
                && asked.roles.keys().all(|role| plan.fields(*role) == found.plan.fields(*role))
                && asked.preparation == plan.preparation
                && asked.zone == plan.zone
                && asked.preferred.keys().all(|role| plan.fields(*role) == found.plan.fields(*role))
                && asked.unit.is_none_or(|unit| unit == plan.unit)
                && (asked.sources.is_empty() || plan.sources == found.plan.sources)
                && recorded.memory == settings.memory;
            if !same {
                bail!("{}: {OTHER_GROUND}", self.arguments.state.display());
            }
            say(&format!("reading again what {} of the ledger rest on", count(state.entries_held() as u64, "entry")));
            (found.plan, settings) = (plan, recorded);
        }
        Ok(Ok((found, settings)))
    }
}

/// Records that the ledger rests on are gone.
fn lost_before(stream: &str, records: u64) -> String {
    format!(
        "{} of {stream} that the ledger rests on were deleted (retention), and there is no checkpoint behind them; begin anew with \
         another --state",
        count(records, "record")
    )
}

/// How far back times without a year are read when `run` begins; ten months lie ahead.
const YEARLESS_BACK: Micros = 60 * DAY;

const OTHER_GROUND: &str = "the ledger there was made from other topics, formats or options (the policy and the rollouts of serin.yaml, but for their \
     names, shortest times, owners, hooks and deadlines, are such); give those, or another --state";

/// First lines as they are kept: without what is taken out of lines.
fn kept_heads(heads: &Heads, plan: &Plan) -> Heads {
    if !plan.preparation.redacts() {
        return heads.clone();
    }
    let kept = |(stream, text): &(String, String)| {
        let mut decoder = Decoder::new(plan, stream);
        let lines = text.lines().map(|line| decoder.prepared(line).into_owned() + "\n");
        (stream.clone(), lines.collect())
    };
    heads.iter().map(kept).collect()
}

/// The first lines of streams, as text.
fn texts(names: &[String], heads: &[Vec<Chunk>]) -> Heads {
    names
        .iter()
        .zip(heads)
        .filter(|(_, chunks)| !chunks.is_empty())
        .take(compare::HEAD_STREAMS)
        .map(|(name, chunks)| {
            let bytes: Vec<u8> = chunks.iter().flat_map(|chunk| &chunk.bytes).copied().collect();
            let head = bytes.get(..compare::HEAD_BYTES).unwrap_or(&bytes);
            (name.clone(), String::from_utf8_lossy(head).into_owned())
        })
        .collect()
}

/// Where reading begins.
struct Begun {
    /// Lines of each stream that were read for the plan.
    heads: Vec<Vec<Chunk>>,
    engine: Engine,
    /// Open windows and clocks of the streams, where a checkpoint had them.
    streams: Option<Vec<u8>>,
    /// Times that each stream was moved on before.
    moves: Vec<u64>,
    shown: Shown,
}
