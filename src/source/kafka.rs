//! Topics of Apache Kafka as streams: each partition is one, named `topic/partition`.
//!
//! Partitions are assigned by hand and read from their earliest offset, or from where a checkpoint ended. No group is joined and
//! nothing is committed: a program that starts again goes by its own state, and nothing can count twice.
//!
//! A record's payload is one line, or several ([`crate::source::batch`]).

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::source::stop::Stop;

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
    /// Finds the partitions of topics and begins to read them from the offsets in `from`, by stream, others from their earliest
    /// one. Waits until brokers answer and
    /// all topics are there; `None` when `stop` was set meanwhile. `say` hears what is waited for.
    ///
    /// # Errors
    /// A client that cannot be made.
    pub fn open(
        brokers: &str,
        topics: &[String],
        from: &BTreeMap<String, u64>,
        stop: &Stop,
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
                let stream = format!("{name}/{partition}");
                let offset = match from.get(&stream).map(|offset| i64::try_from(*offset)) {
                    Some(Ok(offset)) => Offset::Offset(offset),
                    Some(Err(_)) | None => Offset::Beginning,
                };
                assignment.add_partition_offset(name, partition, offset).map_err(KafkaSourceError::Client)?;
                streams.insert(partition, all.names.len());
                all.names.push(stream);
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
fn partitions_of(consumer: &BaseConsumer, topic: &str, stop: &Stop, say: &mut dyn FnMut(String)) -> Option<Vec<i32>> {
    let mut said = String::new();
    while !stop.is_told() {
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
        // No broker or no topic yet, and nobody tells when there is: it is asked again, unless it is time to stop.
        stop.wait(PAUSE);
    }
    None
}
