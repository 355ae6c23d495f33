//! Where lines come from: topics of Kafka, and the write-ahead log of what comes over HTTP. Each partition is a stream, and the
//! write-ahead log is one.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::source::batch::Batch;
#[cfg(feature = "kafka")]
use crate::source::batch::RECORD_LINES;
#[cfg(feature = "kafka")]
use crate::source::kafka::{Came, Topics};
#[cfg(feature = "kafka")]
use crate::source::stop::Stop;
use crate::source::wal::WalReader;

/// Name of the stream of what comes over HTTP.
pub(super) const HTTP: &str = "http";

/// What a question for lines has brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Heard {
    /// A record of a stream: bytes, and lines with any text.
    Record { stream: usize, bytes: usize, lines: usize },
    /// Nothing in the time given.
    Nothing,
    /// Something is out of order that may pass.
    #[cfg_attr(not(feature = "kafka"), expect(dead_code, reason = "a write-ahead log is in order or ends the program"))]
    Trouble(String),
}

fn batch_from(name: &str, from: &BTreeMap<String, u64>) -> Batch {
    Batch::starting_at(from.get(name).copied().unwrap_or(0))
}

/// All streams, with the lines that wait to become chunks.
pub(super) struct Inputs {
    names: Vec<String>,
    batches: Vec<Batch>,
    /// The last of all streams.
    http: Option<WalReader>,
    #[cfg(feature = "kafka")]
    topics: Option<Topics>,
    /// The write-ahead log is asked first: they take turns.
    http_first: bool,
}

impl Inputs {
    /// The write-ahead log alone.
    pub(super) fn of_http(reader: WalReader, from: &BTreeMap<String, u64>) -> Inputs {
        Inputs {
            names: vec![HTTP.to_owned()],
            batches: vec![batch_from(HTTP, from)],
            http: Some(reader),
            #[cfg(feature = "kafka")]
            topics: None,
            http_first: true,
        }
    }

    /// Topics, and the write-ahead log where one is given. Waits until all topics are there; `None` when `stop` was set
    /// meanwhile.
    #[cfg(feature = "kafka")]
    pub(super) fn of_topics(
        brokers: &str,
        topics: &[String],
        http: Option<WalReader>,
        from: &BTreeMap<String, u64>,
        stop: &Stop,
        wait: &mut dyn FnMut(String),
    ) -> anyhow::Result<Option<Inputs>> {
        let mut asked = topics.to_vec();
        asked.sort();
        asked.dedup();
        // A position counts lines within records; a record is read as a whole.
        let offsets = from.iter().map(|(name, next)| (name.clone(), next.div_ceil(RECORD_LINES))).collect();
        let Some(topics) = Topics::open(brokers, &asked, &offsets, stop, wait)? else { return Ok(None) };
        let mut names = topics.names().to_vec();
        names.extend(http.is_some().then(|| HTTP.to_owned()));
        let batches = names.iter().map(|name| batch_from(name, from)).collect();
        Ok(Some(Inputs { names, batches, http, topics: Some(topics), http_first: true }))
    }

    /// Names of the streams.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The lines of a stream that wait to become chunks.
    pub(super) fn batch(&mut self, stream: usize) -> Option<&mut Batch> {
        self.batches.get_mut(stream)
    }

    /// Takes the next record of any stream. Waits for it at most about so long.
    pub(super) fn poll(&mut self, wait: Duration) -> anyhow::Result<Heard> {
        self.http_first = !self.http_first;
        if self.http_first {
            let heard = self.poll_http(Duration::ZERO)?;
            if heard != Heard::Nothing {
                return Ok(heard);
            }
        }
        #[cfg(feature = "kafka")]
        if self.topics.is_some() {
            let heard = self.poll_topics(if self.http_first { wait } else { Duration::ZERO })?;
            return if heard == Heard::Nothing { self.poll_http(Duration::ZERO) } else { Ok(heard) };
        }
        self.poll_http(wait)
    }

    fn poll_http(&mut self, wait: Duration) -> anyhow::Result<Heard> {
        let Some(reader) = &mut self.http else { return Ok(Heard::Nothing) };
        let Some((at, text)) = reader.next(wait)? else { return Ok(Heard::Nothing) };
        let stream = self.names.len().saturating_sub(1);
        if let Some(batch) = self.batches.get_mut(stream) {
            batch.add_text(at, &text);
        }
        let lines = memchr::memchr_iter(b'\n', &text).count();
        Ok(Heard::Record { stream, bytes: text.len(), lines })
    }

    #[cfg(feature = "kafka")]
    fn poll_topics(&mut self, wait: Duration) -> anyhow::Result<Heard> {
        let Some(topics) = &mut self.topics else { return Ok(Heard::Nothing) };
        let batches = &mut self.batches;
        let (mut bytes, mut lines) = (0, 0);
        let came = topics.poll(wait, |stream, offset, payload| {
            bytes = payload.map_or(0, <[u8]>::len);
            lines = usize::from(payload.is_some_and(|payload| !payload.trim_ascii().is_empty()));
            if let Some(batch) = batches.get_mut(stream) {
                batch.add(offset, payload);
            }
        })?;
        Ok(match came {
            Came::Record(stream) => Heard::Record { stream, bytes, lines },
            Came::Nothing => Heard::Nothing,
            Came::Trouble(code) => Heard::Trouble(format!("Kafka: {code}")),
        })
    }

    /// Bodies that most likely were sent again over HTTP, and their lines, since this was last asked.
    pub(super) fn take_repeats(&mut self) -> (u64, u64) {
        self.http.as_mut().map_or((0, 0), WalReader::take_repeats)
    }

    /// The write-ahead log is the only stream, and nothing was ever written to it.
    pub(super) fn have_nothing(&self) -> bool {
        self.names.len() == 1 && self.http.as_ref().is_some_and(|reader| reader.is_at_end())
    }

    /// All records of a stream have come, and there are no others; `None` when nobody can say.
    pub(super) fn is_at_end(&mut self, stream: usize) -> Option<bool> {
        if let Some(reader) = self.http.as_ref().filter(|_| stream + 1 == self.names.len()) {
            return Some(reader.is_at_end());
        }
        #[cfg(feature = "kafka")]
        if let Some(topics) = &mut self.topics {
            return topics.is_at_end(stream);
        }
        None
    }
}
