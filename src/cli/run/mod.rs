//! `serin run`: log lines that come over HTTP or from Kafka, judged while they come; the verdict over HTTP.
//!
//! One thread reads, folds and decides; another answers. What comes over HTTP is on disk before it is answered, and read from
//! there. What is shown has been made durable before. A program that starts again goes on from its last checkpoint, or reads topics
//! and write-ahead log from their beginning, and must come to the same ledger before it shows anything.

mod again;
mod api;
mod appended;
mod checkpoint;
mod desk;
mod door;
mod elastic;
mod flagger;
mod gate;
mod hooks;
mod http;
mod ingest;
mod inputs;
mod loki;
mod otlp;
mod page;
mod server;
mod state;
mod token;
mod tokens;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

pub(super) use self::again::{Again, read_again};
use self::checkpoint::{Checkpoint, Heads, Place, Shown};
use self::desk::Desk;
use self::gate::Gate;
use self::http::Shared;
use self::inputs::{Heard, Inputs};
use self::server::Bounds;
use self::state::{Move, State};
use self::tokens::Tokens;
use crate::cli::arguments::RunArguments;
use crate::cli::config::Config;
use crate::cli::html::Courses;
use crate::cli::output::quoted;
use crate::cli::report::{Noticed, Report, count};
use crate::cli::terminal::harmless;
use crate::cli::{compare, config, policy_file, replay, report_json};
use crate::compare::verdict::Verdict;
use crate::engine::policy::Policy;
use crate::engine::{Engine, Output, Settings};
use crate::pipeline::plan_text;
use crate::pipeline::survey::Survey;
use crate::sketch::partial::WindowPartial;
use crate::source::lines::Chunk;
use crate::source::run::{Observer, PushedStreams};
use crate::source::wal::{self, Opened, Wal, WalReader};
use crate::time::Windowing;

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
/// Records are folded together for so long.
const TOGETHER: Duration = Duration::from_millis(200);
/// Between two reports, and between two looks for partitions from which nothing comes.
const SHOW: Duration = Duration::from_millis(500);
const LOOK_FOR_IDLE: Duration = Duration::from_secs(1);
/// Folder of the write-ahead log in that of the state.
const WAL: &str = "wal";
/// How long stopping may take.
const STOP: Duration = Duration::from_secs(8);
/// Between two attempts to write what the disk refused, and between two looks for a signal meanwhile.
const DISK_AGAIN: Duration = Duration::from_secs(1);
const LOOK_FOR_STOP: Duration = Duration::from_millis(50);
/// Bytes of the ledger that may wait to be written.
const LEDGER_WAITING: usize = 1 << 20;

/// Runs `run`. `given`: options that were given, by the names of their fields.
pub(super) fn run(mut arguments: RunArguments, given: &BTreeSet<String>) -> anyhow::Result<u8> {
    let policy = arguments.judge.policy.as_deref().map(policy_file::read).transpose()?;
    let config = config::load(arguments.config.as_deref(), policy)?;
    config.apply(&mut arguments, given)?;
    #[cfg(feature = "kafka")]
    match (&arguments.brokers, arguments.topics.is_empty()) {
        (Some(_), true) => bail!("--brokers: name a topic as well (--topic NAME)"),
        (None, false) => bail!("--topic: name brokers as well (--brokers HOST:PORT)"),
        (None, true) if arguments.http => {
            bail!("--http: without --brokers lines are taken over HTTP anyway; leave it out")
        }
        (Some(_), false) | (None, true) => {}
    }
    let listen = config::address(&arguments.listen)?;
    let tokens = arguments.tokens.as_deref().map(Tokens::read).transpose().context("--tokens")?;
    if !listen.ip().is_loopback() && tokens.is_none() {
        bail!(
            "--listen {listen}: without --tokens only this machine may ask (127.0.0.1 or ::1), since nobody is asked who \
             they are"
        );
    }
    let idle = compare::duration(&arguments.idle).context("--idle")?;
    let idle = Duration::from_micros(u64::try_from(idle).unwrap_or(0)).max(Duration::from_secs(1));
    let checkpoints = compare::duration(&arguments.checkpoint).context("--checkpoint")?;
    let checkpoints = Duration::from_micros(u64::try_from(checkpoints).unwrap_or(0));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // One may be reading a body while the other answers the gate.
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime of the server")?;
    let status = runtime.block_on(serve(arguments, config, (listen, tokens), Times { idle, checkpoints }));
    runtime.shutdown_background();
    status
}

/// Times of the reader.
#[derive(Clone, Copy)]
struct Times {
    /// A partition without records for so long holds nothing back.
    idle: Duration,
    /// Between two checkpoints.
    checkpoints: Duration,
}

async fn serve(
    arguments: RunArguments,
    config: Config,
    (listen, tokens): (SocketAddr, Option<Tokens>),
    times: Times,
) -> anyhow::Result<u8> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let listener =
        tokio::net::TcpListener::bind(listen).await.with_context(|| format!("--listen {listen}: cannot be used"))?;
    let address = listener.local_addr()?;
    // What is asked wrongly is said now, and not once lines have come.
    compare::wishes(&arguments.how, compare::arm_rule(&arguments.judge)?)?;
    let mut state = State::open(&arguments.state)?;
    let token = token::keep(&arguments.state, config.operate_token.as_deref())?;
    let desk = desk::start(&arguments.state, state.durable(), &config)?;
    let (wal, reader) = match takes_http(&arguments) {
        true => {
            let Opened { wal, reader, torn } = Wal::open(&arguments.state.join(WAL))?;
            if torn > 0 {
                say(&format!(
                    "{} at the end of the write-ahead log are no whole record (a last write that did not come to disk), and \
                     are cut off",
                    count(torn, "byte")
                ));
            }
            (Some(wal), Some(reader))
        }
        false => (None, None),
    };
    banner(address, wal.is_some());

    let shared = Arc::new(Shared::new(wal.clone()));
    let tokens = tokens.map(|tokens| Arc::new(tokens.and_operator(token.as_ref())));
    let of_api = api::Api {
        shared: Arc::clone(&shared),
        desk: desk.clone(),
        token,
        tokens: tokens.clone(),
        stale_after: config.stale_after,
        address,
    };
    let (done_in, mut done) = oneshot::channel();
    let (of_reader, of_desk) = (Arc::clone(&shared), desk.clone());
    std::thread::spawn(move || {
        server::step_back();
        let (arguments, policy, desk) = (&arguments, &config.policy, &of_desk);
        let (of_http, reader) = (reader, Reader { arguments, policy, shared: &of_reader, desk, times });
        let read = reader.read(&mut state, of_http);
        // Nobody listens any more when stopping took too long.
        let _may_be_gone = done_in.send(read);
    });
    let ended = |read: Result<anyhow::Result<()>, _>| match read {
        Ok(read) => read.map(|()| 0),
        Err(_) => bail!("the reader has died"),
    };
    let routes = http::routes(Arc::clone(&shared), wal, address, tokens, api::routes(of_api));
    tokio::select! {
        served = server::serve(listener, routes, Bounds::default(), &shared.connections_refused) => {
            served.context("the server")?;
            bail!("the server has ended");
        }
        read = &mut done => return ended(read),
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
    say("stopping");
    shared.stop.store(true, Ordering::Relaxed);
    desk.stop();
    tokio::select! {
        read = tokio::time::timeout(STOP, done) => match read {
            Ok(read) => ended(read),
            Err(_) => bail!("stopping took more than {} s", STOP.as_secs()),
        },
        _ = interrupt.recv() => bail!("a second signal: ended at once"),
        _ = terminate.recv() => bail!("a second signal: ended at once"),
    }
}

/// A line on standard error.
fn say(words: &str) {
    // Where nobody reads it, nothing is lost that the ledger does not have.
    let _nobody_reads = writeln!(std::io::stderr(), "serin: {words}");
}

/// Lines are taken over HTTP.
fn takes_http(arguments: &RunArguments) -> bool {
    #[cfg(feature = "kafka")]
    return arguments.brokers.is_none() || arguments.http;
    #[cfg(not(feature = "kafka"))]
    {
        let _always = arguments;
        true
    }
}

/// Where to look, and where to send lines.
fn banner(address: SocketAddr, takes_http: bool) {
    say(&format!("the verdict is at http://{address}/"));
    if !takes_http {
        return;
    }
    let (host, port) = (address.ip(), address.port());
    for line in [
        "send log lines (JSON objects or access-log lines, one a line), for example:".to_owned(),
        format!("  curl --data-binary @app.log http://{address}/ingest"),
        format!(
            "  Vector: type = \"http\", uri = \"http://{address}/ingest\", encoding.codec = \"json\", framing.method = \
             \"newline_delimited\""
        ),
        format!("  Fluent Bit: [OUTPUT] Name http, Host {host}, Port {port}, URI /ingest, Format json_lines"),
        format!("  OpenTelemetry Collector: exporters: {{otlphttp: {{endpoint: \"http://{address}\"}}}}"),
        format!("  clients of Elasticsearch (_bulk) and Loki (push): http://{address}"),
    ] {
        say(&line);
    }
}

/// The lines of each stream that were read for a plan, and what is decided by.
type Planned = (Vec<Vec<Chunk>>, Survey, Settings);

/// Reads streams until it is told to stop.
struct Reader<'a> {
    arguments: &'a RunArguments,
    policy: &'a Policy,
    shared: &'a Shared,
    desk: &'a Desk,
    times: Times,
}

impl Reader<'_> {
    fn stopping(&self) -> bool {
        self.shared.stop.load(Ordering::Relaxed)
    }

    /// Writes something without which nothing more may be decided. While the disk refuses it is tried again, until the program
    /// is told to stop.
    fn written<E: std::fmt::Display>(
        &self,
        what: &str,
        mut write: impl FnMut() -> Result<(), E>,
    ) -> anyhow::Result<()> {
        let mut began = None::<Instant>;
        while let Err(error) = write() {
            let words = format!("{what} cannot be written ({error:#}): nothing is decided until it can");
            if began.is_none() {
                say(&words);
            }
            began.get_or_insert_with(Instant::now);
            self.shared.stalled(Some(words));
            let tried = Instant::now();
            while tried.elapsed() < DISK_AGAIN {
                if self.stopping() {
                    bail!("{what} cannot be written: {error:#}");
                }
                std::thread::sleep(LOOK_FOR_STOP);
            }
        }
        if let Some(began) = began {
            self.shared.stalled(None);
            say(&format!("{what} is written again, after {} s", began.elapsed().as_secs()));
        }
        Ok(())
    }

    /// Everything lasts that was decided, and the desk knows.
    fn lasts(&self, state: &mut State, engine: &Engine) -> anyhow::Result<()> {
        self.written("the ledger", || state.sync())?;
        self.desk.progress(state.durable(), state.is_caught_up(), engine.closed_until());
        Ok(())
    }

    fn read(&self, state: &mut State, http: Option<WalReader>) -> anyhow::Result<()> {
        let done = self.read_streams(state, http);
        match state.differs() {
            Some(words) => bail!("{}: {words}", self.arguments.state.display()),
            None => done,
        }
    }

    /// Every stream that was asked for, read from where `from` says; `None` when it was told to stop before all were there.
    fn inputs(&self, http: Option<WalReader>, from: &BTreeMap<String, u64>) -> anyhow::Result<Option<Inputs>> {
        let mut http = http;
        if let Some(reader) = &mut http {
            match from.get(inputs::HTTP) {
                Some(next) => reader.skip_to(*next)?,
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
            self.shared.wait_for("a broker");
            let mut wait = |what: String| {
                say(&what);
                self.shared.wait_for(&what);
            };
            return Inputs::of_topics(brokers, &self.arguments.topics, http, from, stop, &mut wait);
        }
        Ok(http.map(|http| Inputs::of_http(http, from)))
    }

    /// The checkpoint to go on from, with the first lines that its plan rests on. What cannot be used is told of: everything is
    /// read again then.
    fn saved(&self) -> anyhow::Result<Option<(Checkpoint, Heads)>> {
        let folder = &self.arguments.state;
        let unusable = |why: &str| {
            say(&format!("{}: the checkpoint is of no use ({why}): everything is read again", folder.display()));
            Ok(None)
        };
        match (Checkpoint::read(folder)?, checkpoint::read_heads(folder)?) {
            (None, _) => Ok(None),
            (Some(Err(damaged)), _) => unusable(&damaged.to_string()),
            (Some(Ok(_)), None) => unusable("the first lines were not kept"),
            (Some(Ok(checkpoint)), Some(heads)) => Ok(Some((checkpoint, heads))),
        }
    }

    fn read_streams(&self, state: &mut State, http: Option<WalReader>) -> anyhow::Result<()> {
        let saved = self.saved()?;
        let from: BTreeMap<String, u64> = saved
            .iter()
            .flat_map(|(checkpoint, _)| &checkpoint.places)
            .filter(|place| place.next > 0)
            .map(|place| (place.name.clone(), place.next))
            .collect();
        let Some(mut inputs) = self.inputs(http, &from)? else { return Ok(()) };
        let names = inputs.names().to_vec();
        let (begun, found) = match saved {
            Some((checkpoint, heads)) => {
                say(&format!("reading {} from the last checkpoint", count(names.len() as u64, "stream")));
                self.begin_again(&names, checkpoint, &heads, state)?
            }
            None => {
                say(&format!("reading {} from the beginning", count(names.len() as u64, "stream")));
                self.shared.wait_for("the first log lines");
                let Some((heads, found, settings)) = self.plan(&mut inputs, state)? else { return Ok(()) };
                let first = texts(&names, &heads);
                self.written("the state directory", || checkpoint::write_heads(state.folder(), &first))?;
                let engine = Engine::new(settings);
                (Begun { heads, engine, streams: None, moves: vec![0; names.len()], shown: Shown::default() }, found)
            }
        };
        let Begun { heads, mut engine, streams, moves: moves_made, shown } = begun;
        let plan = found.plan.clone();
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
        };
        let pushed = match streams {
            Some(saved) => {
                PushedStreams::resume(&names, &plan, &saved).map_err(|damaged| anyhow!("checkpoint: {damaged}"))?
            }
            None => PushedStreams::begin(&names, &plan, &mut engine, plan_text::to_json(&plan), &mut watch)?,
        };
        let now = Instant::now();
        let live = Live { reader: self, last: vec![now; names.len()], names, inputs, pushed, moves, moves_made };
        live.follow(heads, &mut engine, &mut watch)
    }

    /// State as a checkpoint has it. It must be of these streams and of this ledger.
    fn begin_again(
        &self,
        names: &[String],
        saved: Checkpoint,
        heads: &Heads,
        state: &mut State,
    ) -> anyhow::Result<(Begun, Survey)> {
        let folder = self.arguments.state.display();
        if !saved.places.iter().map(|place| &place.name).eq(names) {
            bail!("{folder}: {OTHER_GROUND}");
        }
        let (found, settings) = self.ground(names, heads, state)??;
        if !state.resume(saved.written) {
            bail!(
                "{folder}: the ledger does not have what the checkpoint rests on (was a file replaced?); restore both, or begin \
                 anew with another --state"
            );
        }
        let engine =
            Engine::restore(settings, &saved.engine).map_err(|damaged| anyhow!("{folder}: checkpoint: {damaged}"))?;
        let moves = saved.places.iter().map(|place| place.moves).collect();
        let heads = names.iter().map(|_| Vec::new()).collect();
        Ok((Begun { heads, engine, streams: Some(saved.streams), moves, shown: saved.shown }, found))
    }

    /// What everything is decided by, with the lines that were read for it. Lines that say nothing of requests (a start, a
    /// health check, text of no known form) are waited out; `None` when it was told to stop.
    fn plan(&self, inputs: &mut Inputs, state: &State) -> anyhow::Result<Option<Planned>> {
        let names = inputs.names().to_vec();
        let mut heads: Vec<Vec<Chunk>> = names.iter().map(|_| Vec::new()).collect();
        let (mut bytes, mut said) = (0, String::new());
        loop {
            let Some(more) = self.heads(inputs)? else { return Ok(None) };
            bytes += more.iter().flatten().map(|chunk| chunk.bytes.len()).sum::<usize>();
            let ground = self.ground(&names, &texts(&names, &more), state)?;
            heads.iter_mut().zip(more).for_each(|(all, more)| all.extend(more));
            let why = match ground {
                Ok((found, settings)) => {
                    if state.start()?.is_some() || found.services.values().any(|service| service.requests > 0) {
                        return Ok(Some((heads, found, settings)));
                    }
                    "no line so far tells of a request (a status, a latency, or a root span)".to_owned()
                }
                Err(unclear) => format!("{unclear:#}"),
            };
            if bytes >= WAITED_BYTES {
                bail!("{why}; {} MiB of lines were read", bytes >> 20);
            }
            if why != said {
                say(&harmless(&why, 600));
                self.shared.wait_for(&format!("other log lines: {why}"));
                said = why;
            }
        }
    }

    /// The next lines of all streams; `None` when it was told to stop.
    fn heads(&self, inputs: &mut Inputs) -> anyhow::Result<Option<Vec<Vec<Chunk>>>> {
        let mut first: Option<Instant> = None;
        let (mut lines, mut bytes) = (0, 0);
        let has_time = |first: Option<Instant>| first.is_none_or(|first| first.elapsed() < HEAD_TIME);
        while lines < HEAD_LINES && bytes < HEAD_BYTES && (lines < HEAD_LINES_MIN || has_time(first)) {
            if self.stopping() {
                return Ok(None);
            }
            let heard = inputs.poll(POLL)?;
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
            self.hear(heard);
        }
        let streams = 0..inputs.names().len();
        Ok(Some(streams.map(|stream| inputs.batch(stream).map(|batch| batch.chunks()).unwrap_or_default()).collect()))
    }

    fn hear(&self, heard: Heard) {
        match heard {
            Heard::Record { .. } => self.shared.trouble(None),
            Heard::Nothing => {}
            Heard::Trouble(words) => self.shared.trouble(Some(words)),
        }
    }

    /// What everything is decided by: as the ledger says, where there is one. The inner error says what lines do not tell.
    fn ground(
        &self,
        names: &[String],
        texts: &Heads,
        state: &State,
    ) -> anyhow::Result<Result<(Survey, Settings), anyhow::Error>> {
        let RunArguments { how, judge, .. } = self.arguments;
        let ground = compare::ground_with(how, judge, self.policy.clone(), |wishes| {
            let mut looked = compare::look_at_heads(texts, wishes)?;
            looked.is_all = false;
            Ok(looked)
        });
        let (mut found, mut settings) = match ground {
            Ok(ground) => ground,
            Err(unclear) => return Ok(Err(unclear)),
        };
        if let Some(start) = state.start()? {
            let (plan, recorded, streams) = replay::ground(&start)?;
            let mut sorted: Vec<&String> = names.iter().collect();
            sorted.sort();
            let asked = compare::wishes(how, compare::arm_rule(judge)?)?;
            // How much is sampled comes from the first lines, not from options.
            let times = |w: &Windowing| (w.window, w.lateness, w.since, w.until);
            let same = streams.iter().eq(sorted)
                && recorded.policy == settings.policy
                && recorded.arms.control == settings.arms.control
                && recorded.arms.candidates == settings.arms.candidates
                && times(&plan.windowing) == times(&found.plan.windowing)
                && plan.service == found.plan.service
                && plan.environment == found.plan.environment
                && asked.arms.is_none_or(|arms| arms == plan.arms)
                && asked.roles.keys().all(|role| plan.fields(*role) == found.plan.fields(*role));
            if !same {
                bail!("{}: {OTHER_GROUND}", self.arguments.state.display());
            }
            say(&format!("reading again what {} of the ledger rest on", count(state.entries_held() as u64, "entry")));
            (found.plan, settings) = (plan, recorded);
        }
        Ok(Ok((found, settings)))
    }
}

const OTHER_GROUND: &str =
    "the ledger there was made from other topics, partitions or options; give those, or another --state";

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

/// Streams that are being followed.
struct Live<'a> {
    reader: &'a Reader<'a>,
    names: Vec<String>,
    inputs: Inputs,
    pushed: PushedStreams<'a>,
    /// When the last record of each stream came.
    last: Vec<Instant>,
    /// Moves of earlier runs that are still to be made again.
    moves: Vec<VecDeque<Move>>,
    /// Times that each stream was moved on.
    moves_made: Vec<u64>,
}

impl Live<'_> {
    fn follow(mut self, heads: Vec<Vec<Chunk>>, engine: &mut Engine, watch: &mut Watch<'_>) -> anyhow::Result<()> {
        // The first lines go the way of all others, so that moves among them are made in their places.
        for (stream, chunks) in heads.into_iter().enumerate() {
            for chunk in chunks {
                self.push_around_moves(stream, chunk, engine, watch)?;
            }
        }
        let (mut shown, mut looked_for_idle) = (None::<Instant>, Instant::now());
        let mut checkpoints =
            Checkpoints { every: self.reader.times.checkpoints, last: Instant::now(), took: Duration::ZERO };
        while !self.reader.stopping() {
            let began = Instant::now();
            while began.elapsed() < TOGETHER && !self.reader.stopping() {
                let heard = self.inputs.poll(POLL)?;
                let mut at = None;
                if let Heard::Record { stream, .. } = heard {
                    self.last[stream] = Instant::now();
                    at = Some(stream);
                }
                self.reader.hear(heard);
                if at.is_none_or(|stream| self.inputs.batch(stream).is_none_or(|batch| batch.is_full())) {
                    break;
                }
            }
            for stream in 0..self.names.len() {
                for chunk in self.inputs.batch(stream).map(|batch| batch.chunks()).unwrap_or_default() {
                    self.push_around_moves(stream, chunk, engine, watch)?;
                }
            }
            if looked_for_idle.elapsed() >= LOOK_FOR_IDLE {
                self.move_idle(engine, watch)?;
                looked_for_idle = Instant::now();
            }
            if watch.looked && watch.state.is_caught_up() && shown.is_none_or(|shown| shown.elapsed() >= SHOW) {
                self.reader.lasts(watch.state, engine)?;
                watch.noticed.repeated(self.inputs.take_repeats());
                let report = Report::new(engine, watch.found, &watch.noticed);
                let state = quoted(&self.reader.arguments.state);
                self.reader.shared.show(
                    format!("{:#}\n", report_json::to_json(&report)),
                    page::of(&report, engine, &watch.courses, &state),
                    Gate::of(&report),
                );
                watch.looked = false;
                shown = Some(Instant::now());
            }
            if watch.is_ahead && watch.state.is_caught_up() && checkpoints.is_due() {
                let began = Instant::now();
                // Without one a restart reads more; that the disk refuses it is no reason to stop.
                if let Err(error) = self.checkpoint(engine, watch) {
                    say(&format!("no checkpoint was written: {error:#}"));
                }
                checkpoints = Checkpoints { last: Instant::now(), took: began.elapsed(), ..checkpoints };
            }
        }
        self.reader.lasts(watch.state, engine)?;
        if watch.is_ahead && watch.state.is_caught_up() {
            self.checkpoint(engine, watch)?;
        }
        Ok(())
    }

    /// Saves state and places; then what lies far enough behind is removed from the write-ahead log.
    fn checkpoint(&mut self, engine: &Engine, watch: &mut Watch<'_>) -> anyhow::Result<()> {
        // A checkpoint must not know more than the ledger.
        self.reader.lasts(watch.state, engine)?;
        let mut places = Vec::with_capacity(self.names.len());
        for (stream, name) in self.names.iter().enumerate() {
            let next = self.inputs.batch(stream).map_or(0, |batch| batch.after());
            places.push(Place { name: name.clone(), next, moves: self.moves_made[stream] });
        }
        let http = places.iter().find(|place| place.name == inputs::HTTP).map(|place| place.next);
        watch.noticed.repeated(self.inputs.take_repeats());
        let checkpoint = Checkpoint {
            written: watch.state.written(),
            places,
            engine: engine.snapshot(),
            streams: self.pushed.save(),
            shown: Shown { noticed: watch.noticed.clone(), courses: watch.courses.clone() },
        };
        checkpoint.write(watch.state.folder())?;
        watch.is_ahead = false;
        if let Some(before) = http {
            wal::trim(&watch.state.folder().join(WAL), before, self.reader.arguments.keep_log)?;
        }
        Ok(())
    }

    /// Pushes a chunk, cut where an earlier run moved the stream on.
    fn push_around_moves(
        &mut self,
        stream: usize,
        chunk: Chunk,
        engine: &mut Engine,
        watch: &mut Watch<'_>,
    ) -> anyhow::Result<()> {
        watch.came();
        let moves = &mut self.moves[stream];
        let due = moves.len();
        push_around_moves(&mut self.pushed, moves, (stream, chunk), engine, watch)?;
        self.moves_made[stream] += (due - moves.len()) as u64;
        Ok(())
    }

    /// A partition from which nothing has come for a while, and in which nothing is left to read, does not hold windows
    /// back: it is moved on to where the others are. What it brings later and lies before is late.
    fn move_idle(&mut self, engine: &mut Engine, watch: &mut Watch<'_>) -> anyhow::Result<()> {
        let mut idle = Vec::new();
        for stream in 0..self.names.len() {
            let quiet = self.last[stream].elapsed() >= self.reader.times.idle;
            if self.reader.stopping() {
                return Ok(());
            }
            match quiet.then(|| self.inputs.is_at_end(stream)) {
                None => {}
                // Whose broker does not answer may still have lines: nothing is moved on.
                Some(None) => return Ok(()),
                Some(Some(ended)) => {
                    self.reader.shared.trouble(None);
                    if ended {
                        idle.push(stream);
                    }
                }
            }
        }
        for stream in &idle {
            while let Some(Move { next, window }) = self.moves[*stream].pop_front() {
                self.moves_made[*stream] += 1;
                self.pushed.advance(*stream, window, next, engine, watch)?;
                watch.came();
            }
        }
        if idle.len() == self.names.len() && !watch.state.is_caught_up() {
            bail!(
                "the logs hold less than what the ledger rests on (were they emptied or made anew?); begin anew with \
                 another --state"
            );
        }
        let active = (0..self.names.len()).filter(|stream| !idle.contains(stream));
        let to = match active.map(|stream| self.pushed.oldest_open(stream)).min() {
            Some(slowest) => slowest,
            // Nothing comes from anywhere: what has come is judged as far as the furthest stream allows.
            None => idle.iter().map(|stream| self.pushed.oldest_open(*stream)).max().unwrap_or(i64::MIN),
        };
        let moved: Vec<(usize, Move)> = idle
            .into_iter()
            .filter(|stream| self.pushed.oldest_open(*stream) < to)
            .map(|stream| {
                let next = self.inputs.batch(stream).map_or(0, |batch| batch.after());
                (stream, Move { next, window: to })
            })
            .collect();
        if moved.is_empty() {
            return Ok(());
        }
        watch.state.moved(moved.iter().map(|(stream, to)| (self.names[*stream].as_str(), *to)));
        self.reader.lasts(watch.state, engine)?;
        for (stream, Move { next, window }) in moved {
            self.moves_made[stream] += 1;
            self.pushed.advance(stream, window, next, engine, watch)?;
        }
        watch.came();
        Ok(())
    }
}

/// Pushes a chunk of a stream, and makes each move that stands before one of its lines in its place.
fn push_around_moves(
    pushed: &mut PushedStreams<'_>,
    moves: &mut VecDeque<Move>,
    (stream, chunk): (usize, Chunk),
    engine: &mut Engine,
    observer: &mut dyn Observer,
) -> anyhow::Result<()> {
    let mut chunk = chunk;
    while let Some(due) = moves.front().copied() {
        let before = chunk.positions.partition_point(|position| *position < due.next);
        if before == chunk.positions.len() {
            break;
        }
        if before > 0 {
            let end = memchr::memchr_iter(b'\n', &chunk.bytes).nth(before - 1).map_or(0, |newline| newline + 1);
            let rest = Chunk {
                bytes: chunk.bytes.split_off(end),
                from: chunk.positions[before],
                positions: chunk.positions.split_off(before),
                ..chunk
            };
            pushed.push(stream, chunk, engine, observer)?;
            chunk = rest;
        }
        moves.pop_front();
        pushed.advance(stream, due.window, due.next, engine, observer)?;
    }
    pushed.push(stream, chunk, engine, observer)?;
    Ok(())
}

/// Keeps the ledger, and tells of verdicts.
struct Watch<'a> {
    reader: &'a Reader<'a>,
    state: &'a mut State,
    found: &'a Survey,
    /// The verdict of each comparison that was told last.
    verdicts: BTreeMap<(usize, usize), Verdict>,
    /// The course of comparisons, for the page.
    courses: Courses,
    /// What is no part of any verdict, and to be told.
    noticed: Noticed,
    /// Something has come since the last report, and since the last checkpoint.
    looked: bool,
    is_ahead: bool,
}

impl Watch<'_> {
    fn came(&mut self) {
        (self.looked, self.is_ahead) = (true, true);
    }
}

/// When the next checkpoint is due. A large state takes long to save: nineteen parts of twenty of the time are for reading.
struct Checkpoints {
    every: Duration,
    last: Instant,
    took: Duration,
}

impl Checkpoints {
    const READING: u32 = 19;

    fn is_due(&self) -> bool {
        self.last.elapsed() >= self.every.max(self.took.saturating_mul(Self::READING))
    }
}

impl Observer for Watch<'_> {
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
        for output in &outputs {
            if let Output::Entry(line) = output {
                self.state.entry(line)?;
            }
        }
        for output in &outputs {
            if let Output::Looked { release, comparison } = output {
                self.courses.look(engine, *release, *comparison);
            }
        }
        if !self.state.is_caught_up() {
            return Ok(());
        }
        if self.state.pending() > LEDGER_WAITING {
            self.reader.lasts(self.state, engine).map_err(std::io::Error::other)?;
        }
        for output in outputs {
            let Output::Looked { release, comparison: at } = output else { continue };
            let Some(comparison) = engine.comparison(release, at) else { continue };
            let verdict = comparison.look.verdict;
            if self.verdicts.insert((release, at), verdict) == Some(verdict) {
                continue;
            }
            self.reader.lasts(self.state, engine).map_err(std::io::Error::other)?;
            let report = Report::new(engine, self.found, &self.noticed);
            let judged = report.comparisons.iter().find(|judged| std::ptr::eq(judged.comparison, comparison));
            let Some(judged) = judged else { continue };
            // The headline, and the first reason for it.
            let words = judged.sentences().into_iter().nth(1).unwrap_or_default();
            say(&format!("{}. {}", judged.title(), harmless(&words, 300)));
        }
        Ok(())
    }
}
