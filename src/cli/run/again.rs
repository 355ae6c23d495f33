//! The decisions of a state folder again, from the write-ahead log in it and from its topics, while another program may be at work
//! there.

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::cli::arguments::ReplayArguments;
use crate::cli::pipelines;
use crate::cli::replay::{self, Gone};
#[cfg(feature = "kafka")]
use crate::cli::run::inputs::{Asked, From};
use crate::cli::run::inputs::{HTTP, Heard, Inputs};
use crate::cli::run::live::{make, push_around_moves};
use crate::cli::run::state::{Move, moves_of};
use crate::cli::run::streams::{self, Row, rows};
use crate::cli::run::{WAL, forget};
use crate::engine::{Engine, Output};
use crate::pipeline::plan_text;
use crate::source::run::{Observer, PushedStreams};
use crate::source::wal::WalReader;

/// Records are folded together for so long, and one question for a record waits so long.
const TOGETHER: Duration = Duration::from_millis(200);
/// How long is waited for brokers.
#[cfg(feature = "kafka")]
const BROKERS: Duration = Duration::from_secs(30);

/// A ledger, and what is read again.
pub(in crate::cli) struct Again {
    /// The ledger's text, read before anything else: the program may write on.
    pub recorded: String,
    /// Its entries.
    pub entries: usize,
    /// Lines that are not there any more, since somebody was forgotten.
    pub erased: Option<Gone>,
}

/// Counts entries on their way.
struct Counted<'a> {
    observer: &'a mut dyn Observer,
    entries: usize,
}

impl Observer for Counted<'_> {
    fn outputs(&mut self, engine: &Engine, outputs: Vec<Output>) -> std::io::Result<()> {
        self.entries += outputs.iter().filter(|output| matches!(output, Output::Entry(_))).count();
        self.observer.outputs(engine, outputs)
    }

    fn progress(&mut self, bytes: u64) {
        self.observer.progress(bytes);
    }
}

/// Reads a state folder again; `observer` hears the entries.
pub(in crate::cli) fn read_again(arguments: &ReplayArguments, observer: &mut dyn Observer) -> anyhow::Result<Again> {
    let folder = arguments.ledger.as_path();
    let path = folder.join("ledger.ndjson");
    let (recorded, entries) = replay::read_ledger(&path)?;
    let Some(start) = entries.first() else { bail!("{}: empty", path.display()) };
    let (plan, settings, first) = replay::ground(start, &pipelines::key(arguments.redaction_key.as_deref())?)
        .with_context(|| path.display().to_string())?;
    let rows = rows(&whole_lines(&folder.join(streams::FILE)))?;
    let joined: Vec<&Row> = rows.iter().filter(|row| row.joined.is_some() && !first.contains(&row.name)).collect();
    let names: Vec<String> = first.iter().chain(joined.iter().map(|row| &row.name)).cloned().collect();
    let mut inputs = inputs(arguments, &names, &rows)?;
    let mut moves = moves_of(&whole_lines(&folder.join("idle.ndjson")), &names)?;

    let mut observer = Counted { observer, entries: 0 };
    let mut engine = Engine::new(settings);
    let mut pushed = PushedStreams::begin(&first, &plan, &mut engine, plan_text::to_json(&plan), &mut observer)?;
    for row in &joined {
        pushed.join(&row.name, row.joined.unwrap_or(i64::MIN), &mut engine, &mut observer)?;
    }
    // Whoever writes on may never come to an end; what the ledger has is enough.
    let mut heard = Instant::now();
    let mut trouble = None;
    while observer.entries < entries.len() {
        let ended = read_some(&mut inputs, &names, &mut heard, &mut trouble)?;
        for (stream, moves) in moves.iter_mut().enumerate() {
            for chunk in inputs.batch(stream).map(|batch| batch.chunks()).unwrap_or_default() {
                push_around_moves(&mut pushed, moves, (stream, chunk), &mut engine, &mut observer)?;
            }
        }
        if !ended {
            continue;
        }
        let at_end: Vec<bool> = (0..names.len()).map(|stream| inputs.is_at_end(stream) == Some(true)).collect();
        for (stream, _) in at_end.iter().enumerate().filter(|(_, ended)| **ended) {
            for due in std::mem::take::<VecDeque<Move>>(&mut moves[stream]) {
                make(&mut pushed, stream, due, &mut engine, &mut observer)?;
            }
        }
        if at_end.iter().all(|ended| *ended) {
            break;
        }
        if heard.elapsed() >= GIVES_UP {
            let missing = at_end.iter().zip(&names).find(|(ended, _)| !**ended).map_or("", |(_, name)| name.as_str());
            let why = trouble.unwrap_or_else(|| "no broker says why".to_owned());
            bail!("nothing comes from {missing}, which is not known to have been read to its end: {why}");
        }
    }
    let erased = forget::read(folder)?;
    let first = erased.iter().filter_map(|erased| erased.first).min();
    let lines = erased.iter().map(|erased| erased.log_lines).sum();
    Ok(Again { recorded, entries: entries.len(), erased: first.map(|first| Gone { lines, first, stream: HTTP }) })
}

/// How long nothing may come from partitions that are not known to have been read to their ends: one of several brokers may be gone, and
/// another takes over.
const GIVES_UP: Duration = Duration::from_secs(30);

/// Reads for a while. Whether nothing came; `heard`: when something did last, `trouble`: what is out of order and may pass.
fn read_some(
    inputs: &mut Inputs,
    names: &[String],
    heard: &mut Instant,
    trouble: &mut Option<String>,
) -> anyhow::Result<bool> {
    let began = Instant::now();
    while began.elapsed() < TOGETHER {
        match inputs.poll(TOGETHER)? {
            Heard::Record { stream, .. } => {
                *heard = Instant::now();
                if inputs.batch(stream).is_none_or(|batch| batch.is_full()) {
                    break;
                }
            }
            Heard::Nothing => return Ok(true),
            Heard::Trouble(words) => {
                *trouble = Some(words);
                return Ok(true);
            }
            Heard::Lost { stream, records } => bail!(
                "{}: {records} records that the ledger rests on were deleted (retention of the topic): decisions before cannot be made \
                 again",
                names[stream]
            ),
            Heard::Anew { stream } => bail!("{}: {MADE_ANEW}", names[stream]),
        }
    }
    Ok(false)
}

const MADE_ANEW: &str = "the topic was deleted and made anew: the records that the ledger rests on are gone, and its decisions cannot be made again";

/// The lines of a file that are whole: one that is being written belongs to something that has not happened yet.
fn whole_lines(path: &Path) -> String {
    let mut text = std::fs::read_to_string(path).unwrap_or_default();
    text.truncate(text.rfind('\n').map_or(0, |end| end + 1));
    text
}

/// What everything is read from.
fn inputs(arguments: &ReplayArguments, names: &[String], rows: &[Row]) -> anyhow::Result<Inputs> {
    let folder = arguments.ledger.as_path();
    let http = names.iter().any(|name| name == HTTP).then(|| WalReader::of_whole(&folder.join(WAL))).transpose()?;
    if let Some(reader) = &http
        && reader.first()? > 0
    {
        bail!(
            "{}: the beginning of the write-ahead log was removed (--keep-log of `serin run`): decisions before cannot be made again",
            folder.display()
        );
    }
    if names.iter().all(|name| name == HTTP) {
        return http.map(|http| Inputs::of_http(http, 0)).with_context(|| format!("{}: no streams", folder.display()));
    }
    of_topics(arguments, names, rows, http)
}

#[cfg(not(feature = "kafka"))]
fn of_topics(arguments: &ReplayArguments, _: &[String], _: &[Row], _: Option<WalReader>) -> anyhow::Result<Inputs> {
    bail!("{}: its lines came from topics, and this program was built without Kafka", arguments.ledger.display())
}

/// Topics as they were read, from the first record on.
#[cfg(feature = "kafka")]
fn of_topics(
    arguments: &ReplayArguments,
    names: &[String],
    rows: &[Row],
    http: Option<WalReader>,
) -> anyhow::Result<Inputs> {
    use std::sync::Arc;

    use crate::source::kafka::{Connection, StreamName};
    use crate::source::stop::Stop;

    let shown = arguments.ledger.display();
    let Some(brokers) = &arguments.brokers else {
        bail!("{shown}: its lines came from topics: say where they are (--brokers HOST:PORT)");
    };
    let connection = match &arguments.kafka_properties {
        Some(path) => Connection::with_file(brokers, path).context("--kafka-properties")?,
        None => Connection::plain(brokers),
    };
    let (mut topics, mut from) = (Vec::new(), Vec::new());
    for name in names {
        let row = rows.iter().rev().find(|row| row.name == *name);
        from.push(From { name: name.clone(), next: row.map(|row| row.first), millis: 0, format: None });
        let Some(stream) = StreamName::parse(name) else { continue };
        if names.contains(&stream.next().to_string()) {
            bail!("{name}: {MADE_ANEW}");
        }
        let topic = format!("{}={}", stream.topic, row.map_or("auto", |row| row.format.as_str()));
        if !topics.contains(&topic) {
            topics.push(topic);
        }
    }
    let (stop, opened) = (Arc::new(Stop::default()), Arc::new(Stop::default()));
    let (stops, opens) = (Arc::clone(&stop), Arc::clone(&opened));
    std::thread::spawn(move || {
        if !opens.wait(BROKERS) {
            stops.tell();
        }
    });
    let mut why = String::new();
    let inputs = Inputs::of_topics(Asked::of(connection, &topics)?, http, &from, &stop, &mut |words| why = words)?;
    opened.tell();
    inputs.with_context(|| format!("{brokers}: {why}"))
}
