//! Topics of Apache Kafka as streams: each partition is one, named `topic/partition`.
//!
//! Partitions are assigned by hand and read from their earliest offset. No group is joined and nothing is committed, so
//! a program that starts again reads everything again, and nothing can count twice.
//!
//! A record's payload is one line, or several. The position of a line is 4,096 times the record's offset, plus its
//! number in the record.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::pipeline::decode::LINE_MAX;
use crate::source::lines::Chunk;

/// Lines of one record that have a position of their own; what is beyond is one line that is too long.
pub const RECORD_LINES: u64 = 4_096;
/// Bytes from which on a chunk is handed out.
const CHUNK_BYTES: usize = 1 << 20;
/// Bytes that are kept of a line that is too long.
const TOO_LONG_KEPT: usize = 256;
/// How long one question to a broker may take.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two questions for topics that are not there.
const PAUSE: Duration = Duration::from_millis(500);

/// Why reading topics stopped.
#[derive(Debug, thiserror::Error)]
pub enum KafkaSourceError {
    /// The client was not made, or was not given its partitions.
    #[error("Kafka: {0}")]
    Client(KafkaError),
    /// A partition can no longer be read.
    #[error("Kafka: {0}")]
    Lost(RDKafkaErrorCode),
}

/// What a poll has brought.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Came {
    /// A record of this stream.
    Record(usize),
    /// Nothing in the time given.
    Nothing,
    /// A broker does not answer; the client goes on trying.
    Trouble(RDKafkaErrorCode),
}

/// One topic. Each has a client of its own: what a client says of the end of a partition does not name the topic.
struct Topic {
    name: String,
    consumer: BaseConsumer,
    /// Index of the stream of each partition.
    streams: BTreeMap<i32, usize>,
}

/// How far a stream has been read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reach {
    /// There may be more.
    Within,
    /// All that was there has come.
    End,
    /// The same, with the broker's end of the partition then.
    EndAt(i64),
}

/// Topics that are being read.
pub struct Topics {
    topics: Vec<Topic>,
    /// Names of streams, by topic and partition.
    names: Vec<String>,
    reach: Vec<Reach>,
    /// The topic that is asked next.
    next: usize,
}

impl Topics {
    /// Finds the partitions of topics and begins to read them from their earliest offset. Waits until brokers answer and
    /// all topics are there; `None` when `stop` was set meanwhile. `say` hears what is waited for.
    ///
    /// # Errors
    /// A client that cannot be made.
    pub fn open(
        brokers: &str,
        topics: &[String],
        stop: &AtomicBool,
        say: &mut dyn FnMut(String),
    ) -> Result<Option<Topics>, KafkaSourceError> {
        let mut all = Topics { topics: Vec::new(), names: Vec::new(), reach: Vec::new(), next: 0 };
        for name in topics {
            let consumer: BaseConsumer = ClientConfig::new()
                .set("bootstrap.servers", brokers)
                .set("client.id", "serin")
                // The client wants a name even where no group is joined.
                .set("group.id", "serin")
                .set("enable.auto.commit", "false")
                .set("enable.auto.offset.store", "false")
                .set("enable.partition.eof", "true")
                // Records that were deleted before they were read are an error, not a gap.
                .set("auto.offset.reset", "error")
                .set("check.crcs", "true")
                .set_log_level(RDKafkaLogLevel::Emerg)
                .create()
                .map_err(KafkaSourceError::Client)?;
            let Some(partitions) = partitions_of(&consumer, name, stop, say) else { return Ok(None) };
            let mut assignment = TopicPartitionList::new();
            let mut streams = BTreeMap::new();
            for partition in partitions {
                assignment
                    .add_partition_offset(name, partition, Offset::Beginning)
                    .map_err(KafkaSourceError::Client)?;
                streams.insert(partition, all.names.len());
                all.names.push(format!("{name}/{partition}"));
                all.reach.push(Reach::Within);
            }
            consumer.assign(&assignment).map_err(KafkaSourceError::Client)?;
            all.topics.push(Topic { name: name.clone(), consumer, streams });
        }
        Ok(Some(all))
    }

    /// Names of the streams.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Hands the next record, its offset and payload, to `take`. Waits for it at most so long, for each topic.
    ///
    /// # Errors
    /// A partition that can no longer be read: deleted, forbidden, or cut off at its beginning while it was read.
    pub fn poll(
        &mut self,
        wait: Duration,
        take: impl FnOnce(usize, u64, Option<&[u8]>),
    ) -> Result<Came, KafkaSourceError> {
        for wait in [Duration::ZERO, wait] {
            for _ in 0..self.topics.len() {
                let at = self.next;
                self.next = (at + 1) % self.topics.len();
                let Some(topic) = self.topics.get(at) else { continue };
                match topic.consumer.poll(wait) {
                    None => {}
                    Some(Ok(record)) => {
                        let Some(stream) = topic.streams.get(&record.partition()).copied() else { continue };
                        if let Some(reach) = self.reach.get_mut(stream) {
                            *reach = Reach::Within;
                        }
                        take(stream, u64::try_from(record.offset()).unwrap_or(0), record.payload());
                        return Ok(Came::Record(stream));
                    }
                    Some(Err(KafkaError::PartitionEOF(partition))) => {
                        let stream = topic.streams.get(&partition).copied();
                        if let Some(reach) = stream.and_then(|stream| self.reach.get_mut(stream)) {
                            *reach = Reach::End;
                        }
                    }
                    Some(Err(error)) => return trouble(error),
                }
            }
        }
        Ok(Came::Nothing)
    }

    /// All records of a stream have come, and the broker says that there are no others; `None` when it does not answer.
    pub fn is_at_end(&mut self, stream: usize) -> Option<bool> {
        let (topic, partition) = self.topics.iter().find_map(|topic| {
            let found = topic.streams.iter().find(|(_, at)| **at == stream);
            found.map(|(partition, _)| (topic, *partition))
        })?;
        let reach = self.reach.get_mut(stream)?;
        if *reach == Reach::Within {
            return Some(false);
        }
        let (_, end) = topic.consumer.fetch_watermarks(&topic.name, partition, ANSWER).ok()?;
        if *reach == Reach::End {
            *reach = Reach::EndAt(end);
        }
        Some(*reach == Reach::EndAt(end))
    }
}

/// Errors that pass are told; others end the reading.
fn trouble(error: KafkaError) -> Result<Came, KafkaSourceError> {
    use RDKafkaErrorCode as Code;
    match error.rdkafka_error_code() {
        Some(
            code @ (Code::AutoOffsetReset
            | Code::OffsetOutOfRange
            | Code::UnknownTopicOrPartition
            | Code::UnknownTopic
            | Code::UnknownPartition
            | Code::TopicAuthorizationFailed
            | Code::BadMessage
            | Code::InvalidMessage
            | Code::BadCompression
            | Code::NotImplemented
            | Code::Fatal),
        ) => Err(KafkaSourceError::Lost(code)),
        Some(code) => Ok(Came::Trouble(code)),
        None => Err(KafkaSourceError::Client(error)),
    }
}

/// Partitions of a topic, ascending; `None` when `stop` was set before there were any.
fn partitions_of(
    consumer: &BaseConsumer,
    topic: &str,
    stop: &AtomicBool,
    say: &mut dyn FnMut(String),
) -> Option<Vec<i32>> {
    let mut said = String::new();
    while !stop.load(Ordering::Relaxed) {
        let why = match consumer.fetch_metadata(Some(topic), ANSWER) {
            Ok(answer) => {
                let found = answer.topics().iter().find(|found| found.name() == topic);
                let mut list: Vec<i32> =
                    found.map(|topic| topic.partitions().iter().map(|p| p.id()).collect()).unwrap_or_default();
                list.sort_unstable();
                if !list.is_empty() {
                    return Some(list);
                }
                format!("there is no topic `{topic}` yet")
            }
            Err(_) => "no broker answers yet".to_owned(),
        };
        if why != said {
            say(why.clone());
            said = why;
        }
        // No broker or no topic yet: nothing here could wake us, so it is asked again.
        std::thread::sleep(PAUSE);
    }
    None
}

/// Lines of one stream that wait to become a chunk.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    positions: Vec<u64>,
    done: Vec<Chunk>,
    /// Position after the last line.
    after: u64,
}

impl Batch {
    /// Takes a record. Without a payload, or with an empty one, it is one empty line, which becomes a reject.
    pub fn add(&mut self, offset: u64, payload: Option<&[u8]>) {
        let first = offset.saturating_mul(RECORD_LINES);
        let payload = payload.unwrap_or_default();
        let mut rest = payload;
        let mut number = 0;
        while !rest.is_empty() {
            let last = number == RECORD_LINES - 1;
            let end = if last { None } else { memchr::memchr(b'\n', rest) };
            let (line, others) = match end {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            rest = others;
            if line.trim_ascii().is_empty() {
                continue;
            }
            if line.len() > LINE_MAX || (last && memchr::memchr(b'\n', line).is_some()) {
                self.too_long(first + number, line);
            } else {
                self.line(first + number, line);
            }
            number += 1;
        }
        if number == 0 {
            self.line(first, b"");
        }
        if self.bytes.len() >= CHUNK_BYTES {
            self.close();
        }
    }

    /// Position after the last line that was added.
    pub fn after(&self) -> u64 {
        self.after
    }

    /// A chunk is full.
    pub fn is_full(&self) -> bool {
        !self.done.is_empty()
    }

    /// What has come since it was last asked, as chunks in order.
    pub fn chunks(&mut self) -> Vec<Chunk> {
        self.close();
        std::mem::take(&mut self.done)
    }

    fn line(&mut self, position: u64, line: &[u8]) {
        // A chunk stays below twice its size, whatever the lines are.
        if self.bytes.len() + line.len() > CHUNK_BYTES {
            self.close();
        }
        self.bytes.extend_from_slice(line);
        self.bytes.push(b'\n');
        self.positions.push(position);
        self.after = position + 1;
    }

    fn too_long(&mut self, position: u64, line: &[u8]) {
        self.close();
        let bytes = line.get(..TOO_LONG_KEPT).unwrap_or(line).to_vec();
        let too_long = Some(line.len() as u64);
        self.done.push(Chunk { bytes, from: position, last: false, too_long, positions: vec![position] });
        self.after = position + 1;
    }

    fn close(&mut self) {
        if let Some(from) = self.positions.first().copied() {
            let (bytes, positions) = (std::mem::take(&mut self.bytes), std::mem::take(&mut self.positions));
            self.done.push(Chunk { bytes, from, last: false, too_long: None, positions });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_of_a_record_has_a_position_of_its_own() {
        let mut batch = Batch::default();
        batch.add(7, Some(b"one"));
        batch.add(9, Some(b"two\r\n\nthree\n"));
        batch.add(10, None);
        batch.add(11, Some(b"\n"));
        let chunks = batch.chunks();
        assert_eq!(chunks.len(), 1);
        assert_eq!(chunks[0].bytes, b"one\ntwo\r\nthree\n\n\n");
        assert_eq!(chunks[0].positions, [7 * 4096, 9 * 4096, 9 * 4096 + 1, 10 * 4096, 11 * 4096]);
        assert_eq!((chunks[0].from, batch.after()), (7 * 4096, 11 * 4096 + 1));
        assert!(batch.chunks().is_empty());
    }

    #[test]
    fn lines_past_the_bound_of_a_record_are_one_that_is_too_long() {
        let mut batch = Batch::default();
        batch.add(1, Some("x\n".repeat(5_000).as_bytes()));
        batch.add(2, Some(b"after"));
        let chunks = batch.chunks();
        assert_eq!(chunks.iter().map(|chunk| chunk.positions.len()).collect::<Vec<_>>(), [4_095, 1, 1]);
        assert_eq!(chunks[1].too_long, Some(2 * (5_000 - 4_095)));
        assert_eq!(chunks[1].from, 4_096 + 4_095);
        assert_eq!(chunks[2].from, 2 * 4_096);
    }

    #[test]
    fn chunks_are_cut_at_their_size() {
        let mut batch = Batch::default();
        (0..3).for_each(|offset| batch.add(offset, Some(&vec![b'x'; CHUNK_BYTES / 2 + 1])));
        assert!(batch.is_full());
        assert_eq!(batch.chunks().len(), 3);
    }
}
