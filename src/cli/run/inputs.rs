//! Where lines come from: topics of Kafka, and the write-ahead log of what comes over HTTP. Each partition is a stream, and the
//! write-ahead log is one.

use std::time::{Duration, Instant};

use crate::cli::run::metrics::Lag;
use crate::source::batch::Batch;
#[cfg(feature = "kafka")]
use crate::source::batch::RECORD_LINES;
#[cfg(feature = "kafka")]
use crate::source::dialect::message::{Envelope, Format, Messages};
#[cfg(feature = "kafka")]
use crate::source::kafka::{Came, Connection, Known, Start, StreamName, Topics, Wanted};
#[cfg(feature = "kafka")]
use crate::source::stop::Stop;
use crate::source::wal::WalReader;

/// Name of the stream of what comes over HTTP.
pub(super) const HTTP: &str = "http";

/// What a question for lines has brought.
#[derive(Clone, PartialEq, Eq, Debug)]
#[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "a write-ahead log is in order or ends the program"))]
pub(super) enum Heard {
    /// A record of a stream: bytes, and lines with any text.
    Record { stream: usize, bytes: usize, lines: usize },
    /// Nothing in the time given.
    Nothing,
    /// Something is out of order that may pass.
    Trouble(String),
    /// So many records of a stream were deleted before they were read.
    Lost { stream: usize, records: u64 },
    /// The topic of a stream was deleted and made anew.
    Anew { stream: usize },
}

/// Where reading a stream goes on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct From {
    /// The stream.
    pub name: String,
    /// Position of its next line; without one its first.
    pub next: Option<u64>,
    /// Time of the record before that, in milliseconds; 0 where it has none.
    pub millis: i64,
    /// What its records were read as, where it is a partition.
    pub format: Option<String>,
}

/// What is to be read of Kafka.
#[cfg(feature = "kafka")]
pub(super) struct Asked {
    /// How brokers are spoken to.
    pub connection: Connection,
    /// Which topics.
    pub wanted: Wanted,
    /// What records of topics hold, as far as it was said: a name or pattern as it was given.
    pub formats: Vec<(String, Format)>,
}

#[cfg(feature = "kafka")]
impl Asked {
    /// `NAME`, `^PATTERN`, or either with `=FORMAT` behind it.
    pub(super) fn of(connection: Connection, topics: &[String]) -> anyhow::Result<Asked> {
        let mut formats = Vec::new();
        for topic in topics {
            let (name, format) = match topic.rsplit_once('=') {
                Some((name, format)) => {
                    let known: Vec<&str> = Format::ALL.iter().map(|format| format.name()).collect();
                    let unknown = || anyhow::anyhow!("`{format}` is no format; there are {}", known.join(", "));
                    (name, Format::from_name(format).ok_or_else(unknown)?)
                }
                None => (topic.as_str(), Format::Auto),
            };
            formats.push((name.to_owned(), format));
        }
        let wanted = Wanted::parse(formats.iter().map(|(name, _)| name.as_str()))?;
        Ok(Asked { connection, wanted, formats })
    }

    /// A partition is asked for, and read as before.
    pub(super) fn has(&self, from: &From) -> bool {
        let Some(name) = StreamName::parse(&from.name) else { return false };
        let format = self.format(&name.topic).name();
        self.wanted.takes(&name.topic) && from.format.as_deref().is_none_or(|before| before == format)
    }

    /// What records of a topic hold: as its name says, or the first pattern that means it.
    fn format(&self, topic: &str) -> Format {
        let named = self.formats.iter().find(|(name, _)| name == topic);
        let meant = || {
            let means = |text: &str| text.starts_with('^') && Wanted::parse([text]).is_ok_and(|one| one.takes(topic));
            self.formats.iter().find(|(name, _)| means(name))
        };
        named.or_else(meant).map_or(Format::Auto, |(_, format)| *format)
    }
}

/// Topics, and what their records hold.
#[cfg(feature = "kafka")]
struct OfKafka {
    asked: Asked,
    topics: Topics,
    /// Index among all streams, by that among topics'.
    streams: Vec<usize>,
    formats: Vec<Format>,
    messages: Messages,
    /// Records of each stream by what they were read as, as [`Format::ALL`] has it, since it was last asked.
    read_as: Vec<[u64; Format::ALL.len()]>,
}

/// All streams, with the lines that wait to become chunks.
pub(super) struct Inputs {
    names: Vec<String>,
    batches: Vec<Batch>,
    /// The write-ahead log, and which stream it is.
    http: Option<(usize, WalReader)>,
    #[cfg(feature = "kafka")]
    kafka: Option<OfKafka>,
    /// The write-ahead log is asked first: they take turns.
    http_first: bool,
    throttle: Option<Throttle>,
}

/// Reads at most so many records a second.
struct Throttle {
    per_second: u64,
    began: Instant,
    taken: u64,
}

impl Throttle {
    /// None may be read now.
    fn is_full(&self) -> bool {
        let allowed = self.began.elapsed().as_millis().saturating_mul(u128::from(self.per_second)) / 1_000;
        u128::from(self.taken) >= allowed
    }
}

impl Inputs {
    /// Reads at most so many records a second from now on.
    pub(super) fn read_at_most(&mut self, per_second: Option<u64>) {
        self.throttle = per_second.map(|per_second| Throttle { per_second, began: Instant::now(), taken: 0 });
    }

    /// The write-ahead log alone, which is read from there.
    pub(super) fn of_http(reader: WalReader, next: u64) -> Inputs {
        Inputs {
            names: vec![HTTP.to_owned()],
            batches: vec![Batch::starting_at(next)],
            http: Some((0, reader)),
            #[cfg(feature = "kafka")]
            kafka: None,
            http_first: true,
            throttle: None,
        }
    }

    /// Topics, and the write-ahead log where one is given: the streams of `from`, or without any all that are there. Waits until all
    /// topics are there; `None` when `stop` was set meanwhile.
    #[cfg(feature = "kafka")]
    pub(super) fn of_topics(
        asked: Asked,
        http: Option<WalReader>,
        from: &[From],
        stop: &Stop,
        wait: &mut dyn FnMut(String),
    ) -> anyhow::Result<Option<Inputs>> {
        let of_kafka = from.iter().filter(|from| from.name != HTTP);
        let starts: Option<Vec<Start>> = of_kafka.map(start).collect();
        let Some(starts) = starts else { anyhow::bail!("the ledger there has streams that are no partitions") };
        let Some(topics) = Topics::open(&asked.connection, &asked.wanted, &starts, stop, wait)? else {
            return Ok(None);
        };
        let names: Vec<String> = if from.is_empty() {
            topics.names().into_iter().chain(http.is_some().then(|| HTTP.to_owned())).collect()
        } else {
            from.iter().map(|from| from.name.clone()).collect()
        };
        let next = |name: &String| from.iter().find(|from| from.name == *name).and_then(|from| from.next).unwrap_or(0);
        let batches = names.iter().map(|name| Batch::starting_at(next(name))).collect();
        let at = |name: &str| names.iter().position(|known| known == name);
        let of_topics = topics.names();
        let streams = of_topics.iter().filter_map(|name| at(name)).collect();
        let formats = of_topics.iter().filter_map(|name| StreamName::parse(name));
        let formats = formats.map(|name| asked.format(&name.topic)).collect();
        let http = http.zip(at(HTTP)).map(|(reader, at)| (at, reader));
        let (messages, read_as) = (Messages::default(), Vec::new());
        let kafka = Some(OfKafka { asked, topics, streams, formats, messages, read_as });
        Ok(Some(Inputs { names, batches, http, kafka, http_first: true, throttle: None }))
    }

    /// Names of the streams.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The lines of a stream that wait to become chunks.
    pub(super) fn batch(&mut self, stream: usize) -> Option<&mut Batch> {
        self.batches.get_mut(stream)
    }

    /// How long nothing may be read, as [`Inputs::read_at_most`] asks.
    pub(super) fn rests(&self) -> Option<Duration> {
        self.throttle.as_ref().filter(|throttle| throttle.is_full()).map(|_| Duration::from_millis(1))
    }

    /// Takes the next record of any stream. Waits for it at most about so long.
    pub(super) fn poll(&mut self, wait: Duration) -> anyhow::Result<Heard> {
        let heard = self.poll_any(wait)?;
        if let (Some(throttle), Heard::Record { .. }) = (&mut self.throttle, &heard) {
            throttle.taken += 1;
        }
        Ok(heard)
    }

    fn poll_any(&mut self, wait: Duration) -> anyhow::Result<Heard> {
        self.http_first = !self.http_first;
        if self.http_first {
            let heard = self.poll_http(Duration::ZERO)?;
            if heard != Heard::Nothing {
                return Ok(heard);
            }
        }
        #[cfg(feature = "kafka")]
        if self.kafka.is_some() {
            let heard = self.poll_topics(if self.http_first { wait } else { Duration::ZERO })?;
            return if heard == Heard::Nothing { self.poll_http(Duration::ZERO) } else { Ok(heard) };
        }
        self.poll_http(wait)
    }

    fn poll_http(&mut self, wait: Duration) -> anyhow::Result<Heard> {
        let Some((stream, reader)) = &mut self.http else { return Ok(Heard::Nothing) };
        let Some((at, text)) = reader.next(wait)? else { return Ok(Heard::Nothing) };
        if let Some(batch) = self.batches.get_mut(*stream) {
            batch.add_text(at, &text);
        }
        let (bytes, lines) = (text.len(), memchr::memchr_iter(b'\n', &text).count());
        reader.recycle(text);
        Ok(Heard::Record { stream: *stream, bytes, lines })
    }

    /// Bodies that most likely were sent again over HTTP, and their lines, since this was last asked.
    pub(super) fn take_repeats(&mut self) -> (u64, u64) {
        self.http.as_mut().map_or((0, 0), |(_, reader)| reader.take_repeats())
    }

    /// The write-ahead log is the only stream, and nothing was ever written to it.
    pub(super) fn have_nothing(&self) -> bool {
        self.names.len() == 1 && self.http.as_ref().is_some_and(|(_, reader)| reader.is_at_end())
    }

    /// How far reading a stream is behind what is there.
    pub(super) fn lag(&self, stream: usize) -> Lag {
        let http = self.http.as_ref().filter(|(at, _)| *at == stream);
        let bytes = http.map(|(_, reader)| reader.behind());
        #[cfg(feature = "kafka")]
        let records =
            self.lags().iter().find(|lag| self.names.get(stream) == Some(&lag.stream)).and_then(|lag| lag.records());
        #[cfg(not(feature = "kafka"))]
        let records = None;
        Lag { bytes, records }
    }

    /// All records of a stream have come, and there are no others; `None` when nobody can say.
    pub(super) fn is_at_end(&mut self, stream: usize) -> Option<bool> {
        if let Some((_, reader)) = self.http.as_ref().filter(|(at, _)| *at == stream) {
            return Some(reader.is_at_end());
        }
        #[cfg(feature = "kafka")]
        if let Some(of) = &mut self.kafka
            && let Some(at) = of.streams.iter().position(|at| *at == stream)
        {
            return of.topics.is_at_end(at);
        }
        None
    }

    /// When a broker said anything of a stream last; `None` of one that is no partition.
    pub(super) fn answered(&self, stream: usize) -> Option<Instant> {
        #[cfg(feature = "kafka")]
        if let Some(of) = &self.kafka
            && let Some(at) = of.streams.iter().position(|at| *at == stream)
        {
            return of.topics.answered(at);
        }
        let _is_no_partition = stream;
        None
    }

    /// Time of the record of a stream that was read last, in milliseconds; 0 where it has none.
    pub(super) fn millis(&self, stream: usize) -> i64 {
        #[cfg(feature = "kafka")]
        if let Some(of) = &self.kafka
            && let Some(at) = of.streams.iter().position(|at| *at == stream)
        {
            return of.topics.last(at).map_or(0, |last| last.millis);
        }
        let _has_no_records = stream;
        0
    }
}

/// Where reading a partition goes on: a position counts lines within records, and a record is read as a whole.
#[cfg(feature = "kafka")]
fn start(from: &From) -> Option<Start> {
    let next = from.next.map(|next| next.div_ceil(RECORD_LINES));
    let last = next.filter(|next| *next > 0).map(|next| Known { offset: next - 1, millis: from.millis });
    Some(Start { stream: StreamName::parse(&from.name)?, next, last })
}

#[cfg(feature = "kafka")]
impl Inputs {
    fn poll_topics(&mut self, wait: Duration) -> anyhow::Result<Heard> {
        let Some(of) = &mut self.kafka else { return Ok(Heard::Nothing) };
        let OfKafka { topics, streams, formats, messages, read_as, .. } = of;
        let batches = &mut self.batches;
        let (mut bytes, mut lines) = (0, 0);
        let came = topics.poll(wait, |at, record| {
            let (Some(stream), Some(format)) = (streams.get(at), formats.get(at)) else { return };
            let Some(batch) = batches.get_mut(*stream) else { return };
            let payload = record.payload().unwrap_or_default();
            bytes = payload.len();
            let envelope = Envelope { key: record.key(), headers: record.headers(), millis: record.millis() };
            let (text, read) = messages.lines(*format, payload, envelope);
            // A record may hold a batch.
            lines = text.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).count();
            batch.add(record.offset(), Some(text));
            if read_as.len() <= at {
                read_as.resize(at + 1, Default::default());
            }
            read_as[at][read as usize] += 1;
        })?;
        let stream = |at: usize| streams.get(at).copied().unwrap_or(usize::MAX);
        Ok(match came {
            Came::Record(at) => Heard::Record { stream: stream(at), bytes, lines },
            Came::Nothing => Heard::Nothing,
            Came::Trouble(words) => Heard::Trouble(words),
            Came::Lost(at, records) => Heard::Lost { stream: stream(at), records },
            Came::Anew(at) => Heard::Anew { stream: stream(at) },
        })
    }

    /// How far partitions have been read.
    pub(super) fn lags(&self) -> Vec<crate::source::kafka::Lag> {
        self.kafka.as_ref().map(|of| of.topics.lags()).unwrap_or_default()
    }

    /// Records of each topic by what they were read as, since this was last asked.
    pub(super) fn take_formats(&mut self) -> Vec<(String, &'static str, u64)> {
        let Some(of) = &mut self.kafka else { return Vec::new() };
        let mut list = Vec::new();
        for (at, records) in of.read_as.iter_mut().enumerate() {
            let topic = of.topics.name(at).map(|name| name.topic.clone()).unwrap_or_default();
            let each = Format::ALL.into_iter().zip(std::mem::take(records)).filter(|(_, records)| *records > 0);
            list.extend(each.map(|(format, records)| (topic.clone(), format.name(), records)));
        }
        list
    }

    /// What is out of order and stays so.
    pub(super) fn standing(&self) -> Option<String> {
        self.kafka.as_ref().and_then(|of| of.topics.standing())
    }

    /// Partitions that have come since it was last asked, to be joined.
    pub(super) fn found(&mut self, say: &mut dyn FnMut(String)) -> Vec<StreamName> {
        self.kafka.as_mut().map(|of| of.topics.found(say)).unwrap_or_default()
    }

    /// Reads a further partition, from its earliest record. Gives the first position and the format; nothing where no broker answers.
    pub(super) fn join(&mut self, name: &StreamName) -> anyhow::Result<Option<(u64, Format)>> {
        let Some(of) = &mut self.kafka else { return Ok(None) };
        let Some(first) = of.topics.join(name.clone(), None)? else { return Ok(None) };
        let format = of.asked.format(&name.topic);
        of.streams.push(self.names.len());
        of.formats.push(format);
        self.names.push(name.to_string());
        self.batches.push(Batch::default());
        Ok(Some((first.saturating_mul(RECORD_LINES), format)))
    }

    /// The first position of each stream that is read now, and its format, where it is a partition's.
    pub(super) fn begins(&self) -> Vec<(String, u64, Format)> {
        let Some(of) = &self.kafka else { return Vec::new() };
        let each = of.streams.iter().zip(&of.formats).enumerate();
        each.filter_map(|(at, (stream, format))| {
            Some((self.names.get(*stream)?.clone(), of.topics.next_offset(at).saturating_mul(RECORD_LINES), *format))
        })
        .collect()
    }
}
