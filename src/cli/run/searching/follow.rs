//! Reading for the index: its own places in the write-ahead log and the topics, its own decoders.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::cli::run::checkpoint;
#[cfg(feature = "kafka")]
use crate::cli::run::checkpoint::{Checkpoint, Place};
use crate::cli::run::forget::Erased;
use crate::cli::run::http::Shared;
#[cfg(feature = "kafka")]
use crate::cli::run::inputs::Asked;
use crate::cli::run::inputs::{self, From, Heard, Inputs};
use crate::cli::run::log::warn;
use crate::cli::run::searching::{Job, Ways};
#[cfg(feature = "kafka")]
use crate::cli::run::streams;
use crate::event::{Intern, RejectReason};
use crate::index::{Aliases, Columns, Index, Sampling, Told, ToldRecord, Writer};
use crate::pipeline::decode::fields::FieldReader;
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::kept::Keeping;
use crate::pipeline::plan::Plan;
use crate::source::fold_chunk::not_utf8;
#[cfg(feature = "kafka")]
use crate::source::kafka::{Connection, StreamName};
use crate::source::lines::{Chunk, lines};
use crate::source::wal::WalReader;
use crate::time::Timestamp;

/// From the first line that waits to the commit: what is taken is found within two seconds.
const COMMIT: Duration = Duration::from_millis(800);
/// How long one question for a record waits.
const POLL: Duration = Duration::from_millis(100);
/// Between two looks for partitions that have come.
#[cfg(feature = "kafka")]
const LOOK: Duration = Duration::from_secs(2);
/// Lines of one commit.
const LINES: u64 = 500_000;

/// Reads and indexes until it is told to stop.
pub(super) struct Follower<'a> {
    shared: &'a Shared,
    plan: &'a Plan,
    inputs: Inputs,
    writer: Writer,
    streams: Vec<Stream<'a>>,
    forgotten: Vec<Erased>,
    kept: Kept,
    /// Partitions that have come and are not read yet.
    #[cfg(feature = "kafka")]
    coming: Vec<StreamName>,
}

/// What is kept of lines.
struct Kept {
    keeping: Keeping,
    sampling: Sampling,
    /// Reads lines for rules that ask what they hold.
    reader: FieldReader,
}

impl Kept {
    /// For how many lines a line stands; `None`: it is not kept.
    fn weight(&mut self, (stream, position): (&str, u64), line: &str, told: &Told<'_>) -> Option<u32> {
        let keep = if self.keeping.asks() {
            let read = self.reader.read(line).ok();
            let fields = read.as_ref().map(|fields| self.reader.record(fields, stream));
            self.keeping.of(stream, Some(&ToldRecord { line, fields, told: *told, stream, position }))
        } else {
            self.keeping.of(stream, None)
        };
        self.sampling.weight(keep, stream, position, told)
    }
}

struct Stream<'a> {
    name: String,
    decoder: Decoder<'a>,
    /// Event time of the line before.
    time: Timestamp,
}

impl<'a> Stream<'a> {
    fn new(plan: &'a Plan, name: &str) -> Stream<'a> {
        Stream { name: name.to_owned(), decoder: Decoder::new(plan, name), time: Timestamp(0) }
    }
}

impl<'a> Follower<'a> {
    /// Goes on where the index ends; `None` when it was told to stop before all streams were there.
    pub(super) fn begin(
        ways: &Ways,
        shared: &'a Shared,
        plan: &'a Plan,
        index: Arc<Index>,
    ) -> anyhow::Result<Option<Follower<'a>>> {
        let known = index.parts().last().map(|part| part.columns());
        let columns = match known {
            Some(columns) => columns,
            None => {
                let heads = checkpoint::read_heads(&ways.folder)?.unwrap_or_default();
                Columns::find(plan, heads.iter().flat_map(|(_, text)| text.lines()))
            }
        };
        let writer = Writer::open(index, ways.settings, columns)?;
        // By the time of the record that was read last it shows whether a topic was made anew while nothing was read: the checkpoint has
        // it, where the index was as far.
        #[cfg(feature = "kafka")]
        let places = Checkpoint::read(&ways.folder)?.and_then(Result::ok).map(|saved| saved.places).unwrap_or_default();
        #[cfg(feature = "kafka")]
        let millis_of = |name: &str, next: u64| {
            let is_there = |place: &&Place| place.name == name && place.next == next;
            places.iter().find(is_there).map_or(0, |place| place.millis)
        };
        #[cfg(not(feature = "kafka"))]
        let millis_of = |_: &str, _: u64| 0;
        let from_of = |(name, next): (&str, u64)| From {
            name: name.to_owned(),
            next: Some(next),
            millis: millis_of(name, next),
            format: None,
        };
        let mut from: Vec<From> = writer.positions().iter().map(from_of).collect();
        // What the reader has found to be made anew already.
        #[cfg(feature = "kafka")]
        if !from.is_empty() {
            let known = std::fs::read_to_string(ways.folder.join(streams::FILE)).unwrap_or_default();
            let whole = known.rfind('\n').map_or("", |end| &known[..=end]);
            let made_anew =
                |row: streams::Row| StreamName::parse(&row.name).filter(|name| name.generation > 1).map(|_| row.name);
            let names: Vec<String> = streams::rows(whole)?.into_iter().filter_map(made_anew).collect();
            let unknown = names.into_iter().filter(|name| !from.iter().any(|from| from.name == *name));
            let unknown: Vec<From> = unknown.map(|name| From { name, next: None, millis: 0, format: None }).collect();
            from.extend(unknown);
        }
        let mut http = ways.http.as_ref().map(|reader| reader.again());
        if let Some(reader) = &mut http {
            let (first, next) = (reader.first()?, writer.next(inputs::HTTP));
            if next < first {
                // Nothing waits for the index, so the log may have been cut off before it.
                shared.searching.lost.fetch_add(first - next, Ordering::Relaxed);
                warn(&format!(
                    "search: {} bytes of lines were removed from the write-ahead log before they were indexed; --keep-log \
                     keeps more",
                    first - next
                ));
            }
            let next = next.max(first);
            reader.skip_to(next)?;
            // Where nothing is known, all that is there is read.
            if !from.is_empty() {
                from.retain(|from| from.name != inputs::HTTP);
                from.push(from_of((inputs::HTTP, next)));
            }
        }
        let Some(inputs) = all(ways, shared, http, &from)? else { return Ok(None) };
        let streams = inputs.names().iter().map(|name| Stream::new(plan, name)).collect();
        let forgotten = shared.forgetting.erased();
        let reader = FieldReader::of_tables(&plan.tables);
        let aliases = Aliases::of(plan);
        let keeping = ways.keeping.by_roles(&|name| aliases.get(name).to_vec());
        let kept = Kept { keeping, sampling: Sampling::default(), reader };
        Ok(Some(Follower {
            shared,
            plan,
            inputs,
            writer,
            streams,
            forgotten,
            kept,
            #[cfg(feature = "kafka")]
            coming: Vec::new(),
        }))
    }

    pub(super) fn follow(mut self) -> anyhow::Result<()> {
        let mut waits: Option<Instant> = None;
        #[cfg(feature = "kafka")]
        let mut looked = Instant::now();
        let mut added = 0;
        while !self.shared.stop.is_told() {
            let heard = self.inputs.poll(POLL)?;
            let full = match heard {
                Heard::Record { stream, .. } => {
                    waits.get_or_insert_with(Instant::now);
                    self.inputs.batch(stream).is_none_or(|batch| batch.is_full())
                }
                Heard::Lost { records, .. } => {
                    self.shared.searching.lost.fetch_add(records, Ordering::Relaxed);
                    true
                }
                #[cfg(feature = "kafka")]
                Heard::Anew { stream } => {
                    let name = self.streams.get(stream).and_then(|of| StreamName::parse(&of.name));
                    self.coming.extend(name.map(|name| name.next()));
                    true
                }
                #[cfg(not(feature = "kafka"))]
                Heard::Anew { .. } => true,
                // What is out of order the reader says.
                Heard::Nothing | Heard::Trouble(_) => true,
            };
            #[cfg(feature = "kafka")]
            if looked.elapsed() >= LOOK {
                // What came before, and is in the index already, is passed over by its positions.
                self.coming.extend(self.inputs.found(&mut |_| {}));
                for name in std::mem::take(&mut self.coming) {
                    let shown = name.to_string();
                    if self.streams.iter().any(|of| of.name == shown) {
                        continue;
                    }
                    match self.inputs.join(&name)? {
                        Some(_) => self.streams.push(Stream::new(self.plan, &shown)),
                        None => self.coming.push(name),
                    }
                }
                looked = Instant::now();
            }
            let due = waits.is_some_and(|since| since.elapsed() >= COMMIT) || added >= LINES;
            if full || due {
                added += self.index()?;
            }
            if due {
                self.writer.commit()?;
                self.shared.searching.trouble(None);
                self.shared.searching.commits.send_modify(|commits| *commits += 1);
                (waits, added) = (None, 0);
            }
            if let Some(job) = self.shared.searching.job(self.writer.next(inputs::HTTP)) {
                self.index()?;
                self.forget(job)?;
                (waits, added) = (None, 0);
            }
        }
        self.writer.commit()?;
        // Nothing is lost where merges do not end in time.
        self.shared.searching.indexes.send_replace(false);
        self.writer.finish()?;
        Ok(())
    }

    /// Takes lines out.
    fn forget(&mut self, job: Job) -> anyhow::Result<()> {
        let done = job.carry_out(&mut self.writer, self.plan);
        self.shared.searching.commits.send_modify(|commits| *commits += 1);
        self.forgotten = self.shared.forgetting.erased();
        done
    }

    /// Indexes what has come.
    fn index(&mut self) -> anyhow::Result<u64> {
        let mut count = 0;
        if !self.kept.keeping.is_all()
            && let Ok(gate) = self.shared.gate()
        {
            self.kept.sampling.candidates(gate.candidates());
        }
        for at in 0..self.streams.len() {
            let Some(batch) = self.inputs.batch(at) else { continue };
            let (chunks, after) = (batch.chunks(), batch.after());
            let Some(stream) = self.streams.get_mut(at) else { continue };
            for chunk in chunks {
                count += add_chunk(&mut self.writer, (&self.forgotten, &mut self.kept), stream, &chunk)?;
            }
            self.writer.reach(&stream.name, after);
        }
        self.shared.searching.left_out.store(self.kept.sampling.left_out(), Ordering::Relaxed);
        Ok(count)
    }
}

fn add_chunk(
    writer: &mut Writer,
    (forgotten, kept): (&[Erased], &mut Kept),
    stream: &mut Stream<'_>,
    chunk: &Chunk,
) -> anyhow::Result<u64> {
    stream.decoder.begin_chunk();
    let mut count = 0;
    for (number, (line, offset, _)) in lines(&chunk.bytes, chunk.from).enumerate() {
        // However many lines are in what is too long: it is one line, or the end of one record.
        if chunk.too_long.is_some() && number > 0 {
            break;
        }
        let position = chunk.positions.get(number).copied().unwrap_or(offset);
        if position < writer.next(&stream.name) {
            continue;
        }
        count += 1;
        let mut add = |text: &str, told: &Told<'_>| match kept.weight((&stream.name, position), text, told) {
            Some(weight) => writer.add(&stream.name, position, text, &Told { weight, ..*told }).map(|_| ()),
            None => Ok(()),
        };
        let Ok(text) = std::str::from_utf8(line) else {
            let text = stream.decoder.prepared_bytes(line);
            add(&String::from_utf8_lossy(&text), &Told::none(stream.time, Some(not_utf8(line))))?;
            continue;
        };
        let text = &*stream.decoder.prepared(text);
        if chunk.too_long.is_some() {
            add(text, &Told::none(stream.time, Some(RejectReason::TooLong)))?;
            continue;
        }
        match stream.decoder.decode_prepared(text, position) {
            Ok(Decoded::Event(event)) => {
                stream.time = event.time;
                // What a topic still has of a unit that was forgotten, where its lines are read again.
                if forgotten.iter().any(|erased| erased.has(&stream.name, position, event.unit)) {
                    continue;
                }
                add(text, &Told::of(&event, Intern::names(stream.decoder.interner())))?;
            }
            Ok(Decoded::Outside) => {
                add(text, &Told::none(stream.time, None))?;
            }
            Err(reason) => {
                add(text, &Told::none(stream.time, Some(reason)))?;
            }
        }
    }
    Ok(count)
}

#[cfg(feature = "kafka")]
fn all(ways: &Ways, shared: &Shared, http: Option<WalReader>, from: &[From]) -> anyhow::Result<Option<Inputs>> {
    if let Some(of) = &ways.topics {
        let connection = match &of.properties {
            Some(path) => Connection::with_file(&of.brokers, path)?,
            None => Connection::plain(&of.brokers),
        };
        // What is waited for, the reader says.
        return Inputs::of_topics(Asked::of(connection, &of.topics)?, http, from, &shared.stop, &mut |_| {});
    }
    Ok(of_http(http, from))
}

#[cfg(not(feature = "kafka"))]
fn all(_ways: &Ways, _shared: &Shared, http: Option<WalReader>, from: &[From]) -> anyhow::Result<Option<Inputs>> {
    Ok(of_http(http, from))
}

fn of_http(http: Option<WalReader>, from: &[From]) -> Option<Inputs> {
    let next = from.iter().find(|from| from.name == inputs::HTTP).and_then(|from| from.next);
    http.map(|http| Inputs::of_http(http, next.unwrap_or(0)))
}
