//! `serin run`: log lines that come over HTTP or from Kafka, judged while they come; the verdict over HTTP.
//!
//! One thread reads, folds and decides; another answers. What comes over HTTP is on disk before it is answered, and read from
//! there. What is shown has been made durable before. A program that starts again goes on from its last checkpoint, or reads topics
//! and write-ahead log from their beginning, and must come to the same ledger before it shows anything.

mod again;
mod annotations;
mod api;
mod appended;
mod checkpoint;
#[cfg(feature = "index")]
mod counters;
mod course;
pub(super) mod dashboards;
mod desk;
mod door;
mod elastic;
mod events;
mod flagger;
mod follow;
mod forget;
mod gate;
mod history;
mod hooks;
mod http;
mod ingest;
mod inputs;
mod kept;
#[cfg(feature = "kafka")]
mod lag;
mod links;
mod live;
mod log;
mod loki;
mod metrics;
mod mute;
mod openapi;
mod otlp;
mod page;
mod placebo;
mod reader;
mod rejects;
mod reload;
#[cfg(feature = "index")]
mod searching;
mod server;
mod session;
mod settings;
mod stalls;
mod state;
mod streams;
mod trial;
mod ui;

use std::cell::Cell;
#[cfg(feature = "kafka")]
use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
#[cfg(feature = "kafka")]
use std::path::Path;
use std::sync::atomic::AtomicI64;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use anyhow::{Context, bail};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

pub(super) use self::again::{Again, read_again};
use self::http::Shared;
use self::log::{say, warn};
use self::reader::Reader;
use self::reload::Reloading;
use self::server::Bounds;
pub(super) use self::settings::Said;
use self::state::State;
use crate::cli::arguments::{LogFormat, RunArguments};
use crate::cli::config::Config;
use crate::cli::report::count;
use crate::cli::terminal::harmless;
use crate::cli::tokens::{Access, Tokens};
use crate::cli::{compare, config, policy_file};
use crate::pipeline::survey::Wishes;
#[cfg(feature = "kafka")]
use crate::source::kafka::Connection;
use crate::source::tail::Tail;
#[cfg(feature = "index")]
use crate::source::wal::WalReader;
use crate::source::wal::{Opened, Wal};

/// Folder of the write-ahead log in that of the state.
const WAL: &str = "wal";
/// How long stopping may take.
const STOP: Duration = Duration::from_secs(8);
/// How long those may take after it whose requests are under way.
const LAST_ANSWERS: Duration = Duration::from_millis(1_500);
/// How long what was decided before waits for whether another program owns the topics now, where no broker answers.
#[cfg(feature = "kafka")]
const UNKNOWN_OWNER: Duration = Duration::from_secs(10);

/// Runs `run`. `said`: what the command line says.
pub(super) fn run(mut arguments: RunArguments, said: &Said) -> anyhow::Result<u8> {
    let policy = arguments.judge.policy.as_deref().map(policy_file::read).transpose()?;
    let config = config::load(arguments.config.as_deref(), policy)?;
    config.apply(&mut arguments, &said.given)?;
    let in_force = said.in_force(&config, arguments.config.as_deref());
    #[cfg(feature = "kafka")]
    match (&arguments.brokers, arguments.topics.is_empty()) {
        (Some(_), true) => bail!("--brokers: name a topic as well (--topic NAME)"),
        (None, false) => bail!("--topic: name brokers as well (--brokers HOST:PORT)"),
        (None, true) if arguments.http => {
            bail!("--http: without --brokers lines are taken over HTTP anyway; leave it out")
        }
        (Some(_), false) | (None, true) => {}
    }
    if arguments.log_format == LogFormat::Json {
        log::as_json();
    }
    let listen = config::address(&arguments.listen)?;
    // What is wrong in it is said before anything begins.
    arguments.tokens.as_deref().map(Tokens::read).transpose().context("--tokens")?;
    if !listen.ip().is_loopback() && arguments.tokens.is_none() {
        bail!(
            "--listen {listen}: without --tokens only this machine may ask (127.0.0.1 or ::1), since nobody is asked who \
             they are"
        );
    }
    let idle = compare::duration(&arguments.idle).context("--idle")?;
    let idle = Duration::from_micros(u64::try_from(idle).unwrap_or(0)).max(Duration::from_secs(1));
    let stall = compare::duration(&arguments.stall).context("--stall")?;
    let stall = Duration::from_micros(u64::try_from(stall).unwrap_or(0)).max(Duration::from_secs(1));
    let checkpoints = compare::duration(&arguments.checkpoint).context("--checkpoint")?;
    let checkpoints = Duration::from_micros(u64::try_from(checkpoints).unwrap_or(0));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // One may be reading a body while the other answers the gate.
        .worker_threads(2)
        .enable_all()
        .build()
        .context("the runtime of the server")?;
    let status = runtime.block_on(serve(
        arguments,
        config,
        (said.given.clone(), in_force),
        listen,
        Times { idle, stall, checkpoints },
    ));
    runtime.shutdown_background();
    match status {
        Err(ended) if log::is_json() => {
            log::error(&format!("{ended:#}"));
            Ok(super::STATUS_ERROR)
        }
        status => status,
    }
}

/// Topics can be read by these names and patterns.
#[cfg(feature = "kafka")]
pub(super) fn topics_are_fit(topics: &[String]) -> anyhow::Result<()> {
    inputs::Asked::of(Connection::plain(""), topics).map(|_| ())
}

/// A file says how brokers are spoken to.
#[cfg(feature = "kafka")]
pub(super) fn properties_are_fit(path: &str) -> anyhow::Result<()> {
    Ok(Connection::with_file("", Path::new(path)).map(|_| ())?)
}

/// Times of the reader.
#[derive(Clone, Copy)]
struct Times {
    /// A partition without records for so long holds nothing back.
    idle: Duration,
    /// One that is not known to have none holds nothing back after so long, while others go on.
    stall: Duration,
    /// Between two checkpoints.
    checkpoints: Duration,
}

/// A pipeline for streams that never come would do nothing, and say nothing.
fn pipelines_apply(arguments: &RunArguments, wishes: &Wishes) -> anyhow::Result<()> {
    #[cfg(feature = "kafka")]
    if arguments.brokers.is_some() {
        return Ok(());
    }
    #[cfg(not(feature = "kafka"))]
    let _no_topics = arguments;
    match wishes.preparation.stages.iter().find(|stage| !stage.is_empty() && !stage.is_for(inputs::HTTP)) {
        None => Ok(()),
        Some(stage) => bail!(
            "the pipeline {} is for streams {}, and here there is one, `{}`: all that comes over HTTP and from files that are followed.              Leave its `streams` out, or name that one",
            stage.name,
            stage.streams.join(", "),
            inputs::HTTP
        ),
    }
}

async fn serve(
    arguments: RunArguments,
    config: Config,
    (given, in_force): (BTreeSet<String>, serde_json::Value),
    listen: SocketAddr,
    times: Times,
) -> anyhow::Result<u8> {
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let mut hang_up = signal(SignalKind::hangup())?;
    let listener =
        tokio::net::TcpListener::bind(listen).await.with_context(|| format!("--listen {listen}: cannot be used"))?;
    let bound = listener.local_addr()?;
    let address = for_clients(bound);
    // What is asked wrongly is said now, and not once lines have come.
    let wishes = compare::wishes(&arguments.how, compare::arm_rule(&arguments.judge)?)?;
    pipelines_apply(&arguments, &wishes)?;
    let mut state = State::open(&arguments.state)?;
    let tokens = Tokens::load(arguments.tokens.as_deref(), config.operate_token.as_deref(), &arguments.state)?;
    tokens.keep(&arguments.state)?;
    let access = Access::new(tokens);
    let desk = desk::start(&arguments.state, state.durable(), &config)?;
    #[cfg(feature = "kafka")]
    if reader::has_group(&arguments) {
        desk.rest(UNKNOWN_OWNER);
    }
    let (wal, reader, note) = match takes_http(&arguments) {
        true => {
            let read = state.position(inputs::HTTP)?;
            let Opened { wal, reader, torn, note } = Wal::open_read(&arguments.state.join(WAL), read)?;
            if torn > 0 {
                say(&format!(
                    "{} at the end of the write-ahead log are no whole record (a last write that did not come to disk), and \
                     are cut off",
                    count(torn, "byte")
                ));
            }
            (Some(wal), Some(reader), note)
        }
        false => (None, None, Vec::new()),
    };
    let tail = match arguments.files.is_empty() {
        true => None,
        false => Some(Tail::new(&arguments.files, arguments.from_end, &note)?),
    };
    if let Some(folder) = &arguments.ui_dir {
        ui::serve_from(folder);
    }
    if !arguments.is_demo {
        banner(address, wal.is_some());
    }

    let shared = Arc::new(Shared::new(wal.clone(), arguments.judge.memory));
    shared.reads_as(wishes);
    shared.configured(in_force);
    shared.links_are(config.links.clone());
    #[cfg(feature = "index")]
    searching::start(&arguments, &shared, reader.as_ref().map(WalReader::again))?;
    forget::start(&arguments.state, &shared, tokio::runtime::Handle::current())?;
    let stale_after = Arc::new(AtomicI64::new(config.stale_after));
    let of_listener = Arc::clone(&shared);
    desk.listen(move || of_listener.news.rollouts());
    let of_kept = desk.clone();
    shared
        .kept
        .open(&arguments.state, arguments.keep_reports, move || api::all_whole(&of_kept.view()))
        .context("reports as they were, in the folder of --state")?;
    let sessions = session::Sessions::default();
    let of_api = api::Api {
        shared: Arc::clone(&shared),
        sessions: sessions.clone(),
        desk: desk.clone(),
        access: access.clone(),
        stale_after: Arc::clone(&stale_after),
        address,
        dashboards: arguments.dashboards.as_deref().map(Arc::from),
    };
    let reloading = Reloading {
        file: arguments.config.clone(),
        policy: arguments.judge.policy.clone(),
        given,
        tokens: arguments.tokens.clone(),
        state: arguments.state.clone(),
        is_open: !bound.ip().is_loopback(),
        config: config.clone(),
        access: access.clone(),
        stale_after,
        desk: desk.clone(),
    };
    let reloading = Arc::new(std::sync::Mutex::new(reloading));
    if let (Some(tail), Some(wal)) = (tail, &wal) {
        follow::start(tail, wal.clone(), tokio::runtime::Handle::current(), Arc::clone(&shared));
    }
    if wal.is_some() {
        placebo::start(&arguments.state, desk.clone(), Arc::clone(&shared));
    }
    let (done_in, mut done) = oneshot::channel();
    let (of_reader, of_desk) = (Arc::clone(&shared), desk.clone());
    std::thread::spawn(move || {
        server::step_back();
        let (arguments, policy, desk) = (&arguments, &config.policy, &of_desk);
        let of_http = reader;
        let reader = Reader {
            arguments,
            policy,
            shared: &of_reader,
            desk,
            times,
            is_troubled: Cell::new(false),
            #[cfg(feature = "kafka")]
            owner: OnceCell::new(),
        };
        let read = reader.read(&mut state, of_http);
        // A standby takes over once this one has left, and the program ends with what is sent here.
        #[cfg(feature = "kafka")]
        drop(reader.owner);
        // Nobody listens any more when stopping took too long.
        let _may_be_gone = done_in.send(read);
    });
    let ended = |read: Result<anyhow::Result<()>, _>| match read {
        Ok(read) => read.map(|()| 0),
        Err(_) => bail!("the reader has died"),
    };
    let of_api = api::routes(of_api);
    #[cfg(feature = "index")]
    let of_api = of_api.merge(searching::routes(Arc::clone(&shared)));
    let served = http::Served {
        shared: Arc::clone(&shared),
        wal,
        bound,
        address,
        access,
        sessions,
        #[cfg(feature = "index")]
        desk: desk.clone(),
    };
    let routes = http::routes(served, of_api);
    let open = GracefulShutdown::new();
    let mut served = Box::pin(server::serve(listener, routes, Bounds::default(), &shared.connections_refused, &open));
    loop {
        tokio::select! {
            served = &mut served => {
                served.context("the server")?;
                bail!("the server has ended");
            }
            read = &mut done => return ended(read),
            _ = hang_up.recv() => {
                let (reloading, shared) = (Arc::clone(&reloading), Arc::clone(&shared));
                // It reads files and waits for the disk.
                tokio::task::spawn_blocking(move || {
                    let (done, words) = reloading.lock().unwrap_or_else(PoisonError::into_inner).told();
                    // Who hears of it may ask.
                    shared.reloaded(if done { None } else { Some(words.clone()) });
                    if done { say(&words) } else { warn(&harmless(&words, 2_000)) }
                });
            }
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
        }
    }
    say("stopping");
    shared.stop.tell();
    shared.news.end();
    #[cfg(feature = "index")]
    shared.searching.stop();
    desk.stop();
    // Nobody is let in any more. Who has sent a body whole is answered, also where that waits for the reader to end.
    drop(served);
    let answered = tokio::spawn(open.shutdown());
    let began = tokio::time::Instant::now();
    let stopped = async {
        let read = tokio::time::timeout(STOP, done).await;
        // What the reader has left of its time is theirs.
        let _some_are_slow = tokio::time::timeout_at(began + STOP + LAST_ANSWERS, answered).await;
        // What is not committed is read again at the next start.
        #[cfg(feature = "index")]
        let _at_most = tokio::time::timeout_at(began + STOP + LAST_ANSWERS, shared.searching.committed()).await;
        read
    };
    tokio::select! {
        read = stopped => match read {
            Ok(read) => ended(read),
            Err(_) => bail!("stopping took more than {} s", STOP.as_secs()),
        },
        _ = interrupt.recv() => bail!("a second signal: ended at once"),
        _ = terminate.recv() => bail!("a second signal: ended at once"),
    }
}

/// An address at which clients find what listens at another: where that is any address of this machine, the one by which others
/// are reached.
fn for_clients(bound: SocketAddr) -> SocketAddr {
    if !bound.ip().is_unspecified() {
        return bound;
    }
    // No packet is sent: the system only says which of its addresses it would send from.
    let own = |from: IpAddr, to: &str| {
        let socket = UdpSocket::bind((from, 0)).ok()?;
        socket.connect((to.parse::<IpAddr>().ok()?, 9)).ok()?;
        socket.local_addr().ok().map(|own| own.ip()).filter(|own| !own.is_unspecified())
    };
    let four = || own(Ipv4Addr::UNSPECIFIED.into(), "192.0.2.1");
    let ip = match bound.ip() {
        IpAddr::V4(_) => four().unwrap_or(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(any) => own(any.into(), "2001:db8::1").or_else(four).unwrap_or(Ipv6Addr::LOCALHOST.into()),
    };
    SocketAddr::new(ip, bound.port())
}

/// Lines are taken over HTTP.
fn takes_http(arguments: &RunArguments) -> bool {
    #[cfg(feature = "kafka")]
    return arguments.brokers.is_none() || arguments.http || !arguments.files.is_empty();
    #[cfg(not(feature = "kafka"))]
    {
        let _always = arguments;
        true
    }
}

/// Where to look, and where to send lines.
fn banner(address: SocketAddr, takes_http: bool) {
    say(&format!("the verdict is at http://{address}/"));
    if !takes_http || log::is_json() {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_for_clients_is_one_that_leads_here() {
        let here: SocketAddr = "127.0.0.1:7878".parse().unwrap();
        assert_eq!(for_clients(here), here);
        for any in ["0.0.0.0:7878", "[::]:7878"] {
            let shown = for_clients(any.parse().unwrap());
            assert!(!shown.ip().is_unspecified() && shown.port() == 7878, "{shown}");
        }
    }
}
