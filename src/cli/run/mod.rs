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
#[cfg(feature = "kafka")]
mod lag;
mod live;
mod loki;
mod otlp;
mod page;
mod reader;
mod rejects;
#[cfg(feature = "index")]
mod searching;
mod server;
mod state;
mod streams;
mod token;
mod tokens;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

pub(super) use self::again::{Again, read_again};
use self::http::Shared;
use self::reader::Reader;
use self::server::Bounds;
use self::state::State;
use self::tokens::Tokens;
use crate::cli::arguments::RunArguments;
use crate::cli::config::Config;
use crate::cli::report::count;
use crate::cli::{compare, config, policy_file};
#[cfg(feature = "index")]
use crate::source::wal::WalReader;
use crate::source::wal::{Opened, Wal};

/// Folder of the write-ahead log in that of the state.
const WAL: &str = "wal";
/// How long stopping may take.
const STOP: Duration = Duration::from_secs(8);
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
    #[cfg(feature = "index")]
    if !arguments.index.none {
        searching::start(&arguments, &shared, reader.as_ref().map(WalReader::again));
    }
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
        let (of_http, reader) =
            (reader, Reader { arguments, policy, shared: &of_reader, desk, times, is_troubled: Cell::new(false) });
        let read = reader.read(&mut state, of_http);
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
    let routes = http::routes(Arc::clone(&shared), wal, address, tokens, of_api);
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
    shared.stop.tell();
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
