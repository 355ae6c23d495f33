//! Topics of Apache Kafka as streams: each partition is one, named `topic/partition`.
//!
//! Partitions are assigned by hand and read from their earliest offset, or from where a checkpoint ended: a program that starts again goes
//! by its own state, and nothing can count twice. A group says which program owns the topics ([`Owner`]), and never what is read: what is
//! committed to it is for people who watch how far reading is.
//!
//! What Kafka deletes before it was read is told of ([`Came::Lost`]), and so is a topic that was deleted and made anew
//! ([`Came::Anew`]): its offsets mean other records then, so its partitions are further streams. That is seen by an end before the place
//! where reading is, and where the new topic has grown past it, by the time of the record read last, which is asked for again.

mod claim;
mod client;
mod find;
mod name;
mod owner;

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedHeaders, BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use self::client::Client;
pub use self::client::{Connection, ConnectionError};
use self::find::Finder;
pub use self::name::{StreamName, Wanted, WantedError};
pub use self::owner::{Asks, Owner, Positions, Stands, fresh_instance, group_of, is_instance};
use crate::source::stop::Stop;

/// How long one question to a broker may take.
const ANSWER: Duration = Duration::from_secs(2);
/// Between two questions for topics that are not there.
const PAUSE: Duration = Duration::from_millis(500);
/// A topic that is not there for so long is taken to be deleted: it holds nothing back any more.
const GONE: Duration = Duration::from_secs(30);
/// Topics past which no more are read: each has a client with threads of its own.
pub const TOPICS_MAX: usize = 64;
/// Partitions past which no more are read.
pub const PARTITIONS_MAX: usize = 4_096;

/// Why reading topics stopped.
#[derive(Debug, thiserror::Error)]
pub enum KafkaSourceError {
    /// The client was not made, or was not given its partitions.
    #[error("Kafka: {0}")]
    Client(String),
    /// The client cannot go on.
    #[error("Kafka: {0}")]
    Lost(RDKafkaErrorCode),
    /// The group may not be joined.
    #[error(
        "Kafka: there is no right on group {0}, by which one program owns the topics: grant READ on it (--group names another), or \
         give --group none to read without one"
    )]
    NoRight(String),
    /// The topics are another's now.
    #[error(
        "Kafka: another serin ({host}) owns the topics of group {group} now: it took over while nothing was heard of this one. This \
         one ends, so that nothing is told twice; started again it waits as standby"
    )]
    TakenOver {
        /// The group.
        group: String,
        /// Where the other is.
        host: String,
    },
    /// Another program has this one's identity.
    #[error(
        "Kafka: another serin with the identity of this state folder has joined group {0} (was the folder copied?). This one ends, \
         so that nothing is told twice; remove the file `instance` from the copy"
    )]
    Replaced(String),
}

impl From<KafkaError> for KafkaSourceError {
    fn from(error: KafkaError) -> Self {
        KafkaSourceError::Client(error.to_string())
    }
}

/// What a poll has brought.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Came {
    /// A record of this stream.
    Record(usize),
    /// Nothing in the time given.
    Nothing,
    /// Something is out of order that may pass; the client goes on trying.
    Trouble(String),
    /// So many records of a stream were deleted before they were read.
    Lost(usize, u64),
    /// The topic was deleted and made anew: of this stream nothing comes any more.
    Anew(usize),
}

/// One record that was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// Its offset.
    pub offset: u64,
    /// Its time, in milliseconds; 0 where it has none.
    pub millis: i64,
}

/// Where reading a stream begins.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Start {
    /// The stream.
    pub stream: StreamName,
    /// Offset of its next record; without one it begins at its earliest.
    pub next: Option<u64>,
    /// The record that was read last.
    pub last: Option<Known>,
}

/// A record, as the client has it.
pub struct Record<'a> {
    message: &'a BorrowedMessage<'a>,
}

impl<'a> Record<'a> {
    /// Its offset.
    pub fn offset(&self) -> u64 {
        u64::try_from(self.message.offset()).unwrap_or(0)
    }

    /// Its time, in milliseconds; 0 where it has none.
    pub fn millis(&self) -> i64 {
        self.message.timestamp().to_millis().unwrap_or(0)
    }

    /// What it holds.
    pub fn payload(&self) -> Option<&'a [u8]> {
        self.message.payload()
    }

    /// Its key.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.message.key()
    }

    /// Its headers: names and values.
    pub fn headers(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        use rdkafka::message::Headers;
        let headers: Option<&'a BorrowedHeaders> = self.message.headers();
        headers.into_iter().flat_map(|all| all.iter()).filter_map(|header| Some((header.key, header.value?)))
    }
}

/// How far a partition has been read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lag {
    /// The stream.
    pub stream: String,
    /// Offset of the next record.
    pub next: u64,
    /// The broker's end of the partition, as the client was told last.
    pub end: Option<u64>,
    /// Time of the record that was read last, in milliseconds.
    pub millis: Option<i64>,
}

impl Lag {
    /// Records that are there and have not been read. Markers of transactions count as records here.
    pub fn records(&self) -> Option<u64> {
        Some(self.end?.saturating_sub(self.next))
    }
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

struct Stream {
    name: StreamName,
    /// Index of its topic.
    topic: usize,
    /// Offset of the next record.
    next: i64,
    reach: Reach,
    /// Nothing comes any more: the topic was made anew.
    over: bool,
    /// The record that was read last.
    last: Option<Known>,
    /// The same, when it is to come again, to show whether this is still the same log.
    check: Option<Known>,
    /// When a broker said anything of it last.
    answered: Option<Instant>,
}

/// One topic. Each has a client of its own: what a client says of the end of a partition does not name the topic.
struct Topic {
    name: String,
    client: Client,
    /// Index of the stream of each partition.
    streams: BTreeMap<i32, usize>,
    /// Since when brokers say that there is no such topic.
    gone: Option<Instant>,
}

/// Topics that are being read.
pub struct Topics {
    connection: Connection,
    topics: Vec<Topic>,
    streams: Vec<Stream>,
    /// What is to be told before further records.
    told: VecDeque<Came>,
    /// The topic that is asked next.
    next: usize,
    finder: Finder,
}

impl Topics {
    /// Begins to read topics: `starts`, or without any all partitions that there are, from their earliest record. Waits until
    /// brokers answer and all topics are there; `None` when `stop` was set meanwhile. `say` hears what is waited for.
    ///
    /// # Errors
    /// A client that cannot be made.
    pub fn open(
        connection: &Connection,
        wanted: &Wanted,
        starts: &[Start],
        stop: &Stop,
        say: &mut dyn FnMut(String),
    ) -> Result<Option<Topics>, KafkaSourceError> {
        let finder = Finder::start(connection, wanted)?;
        let client = connection.consumer()?;
        let (connection, streams) = (connection.clone(), Vec::new());
        let mut all = Topics { connection, topics: Vec::new(), streams, told: VecDeque::new(), next: 0, finder };
        let Some(found) = wait_for(&client, wanted, starts, stop, say) else { return Ok(None) };
        let fresh: Vec<Start> = match starts {
            [] => all.fresh(&found, say),
            starts => starts.to_vec(),
        };
        let mut silent = Vec::new();
        for start in fresh {
            // Of a topic that was made anew the latest generation is there.
            if starts.iter().any(|other| start.stream.is_before(&other.stream)) {
                all.add_ended(start)?;
                continue;
            }
            if !found.get(&start.stream.topic).is_some_and(|list| list.contains(&start.stream.partition)) {
                all.add_ended(start)?;
                continue;
            }
            if stop.is_told() {
                return Ok(None);
            }
            if !all.add(start.clone())? {
                silent.push(start);
            }
        }
        while !silent.is_empty() {
            // Where reading goes on, it does so beside a partition of which nobody says anything.
            let others_answer = all.streams.iter().any(|stream| stream.answered.is_some());
            for start in std::mem::take(&mut silent) {
                if start.next.is_some() && others_answer {
                    say(format!("no broker answers for {} yet; the others are read", start.stream));
                    all.add_unasked(start)?;
                    continue;
                }
                say(format!("no broker answers for {} yet", start.stream));
                if stop.wait(PAUSE) {
                    return Ok(None);
                }
                if !all.add(start.clone())? {
                    silent.push(start);
                }
            }
        }
        for topic in 0..all.topics.len() {
            all.assign(topic)?;
        }
        Ok(Some(all))
    }

    /// Streams of partitions that are not read yet, each from its earliest record, as many as may be.
    fn fresh(&self, found: &find::Partitions, say: &mut dyn FnMut(String)) -> Vec<Start> {
        let mut list = Vec::new();
        let mut topics = self.topics.len();
        for (topic, partitions) in found {
            let known = self.topics.iter().find(|known| known.name == *topic);
            if known.is_none() {
                if topics >= TOPICS_MAX {
                    say(format!("more than {TOPICS_MAX} topics are asked for: {topic} is not read"));
                    continue;
                }
                topics += 1;
            }
            for partition in partitions {
                if known.is_some_and(|topic| topic.streams.contains_key(partition)) {
                    continue;
                }
                if self.streams.len() + list.len() >= PARTITIONS_MAX {
                    say(format!(
                        "more than {PARTITIONS_MAX} partitions are asked for: {topic}/{partition} is not read"
                    ));
                    continue;
                }
                list.push(Start { stream: StreamName::new(topic, *partition), next: None, last: None });
            }
        }
        list
    }

    /// Partitions that have come since it was last asked, to be joined.
    pub fn found(&mut self, say: &mut dyn FnMut(String)) -> Vec<StreamName> {
        let Some(found) = self.finder.take() else { return Vec::new() };
        for topic in &mut self.topics {
            let Some(partitions) = found.get(&topic.name) else {
                topic.gone.get_or_insert_with(Instant::now);
                continue;
            };
            topic.gone = None;
            // Kafka takes no partition away: the topic was made anew with fewer.
            for (_, at) in topic.streams.iter().filter(|(partition, _)| !partitions.contains(partition)) {
                if let Some(stream) = self.streams.get_mut(*at).filter(|stream| !stream.over) {
                    stream.over = true;
                    say(format!("there is no partition {} any more", stream.name));
                }
            }
        }
        self.fresh(&found, say).into_iter().map(|start| start.stream).collect()
    }

    /// What is out of order and stays so: topics that are gone, brokers that do not answer.
    pub fn standing(&self) -> Option<String> {
        let gone = self.topics.iter().find(|topic| topic.gone.is_some());
        let gone = gone.map(|topic| format!("there is no topic {} any more", topic.name));
        self.finder.failure().or(gone).map(|words| format!("Kafka: {words}"))
    }

    /// Reads a further stream from its earliest record. Gives the offset of that, or nothing where no broker answers: it can be tried
    /// again.
    ///
    /// # Errors
    /// A client that cannot be made.
    pub fn join(&mut self, stream: StreamName, next: Option<u64>) -> Result<Option<u64>, KafkaSourceError> {
        if !self.add(Start { stream, next, last: None })? {
            return Ok(None);
        }
        let Some(Stream { topic, next, .. }) = self.streams.last() else { return Ok(None) };
        let (topic, next) = (*topic, *next);
        self.assign(topic)?;
        Ok(Some(u64::try_from(next).unwrap_or(0)))
    }

    /// Adds a stream, as yet unassigned; false where no broker answers.
    fn add(&mut self, Start { stream: name, next, last }: Start) -> Result<bool, KafkaSourceError> {
        let topic = self.topic(&name.topic)?;
        let Some(of) = self.topics.get_mut(topic) else { return Ok(false) };
        let at = self.streams.len();
        if of.streams.is_empty() {
            // Tokens of OAUTHBEARER are asked for by polling.
            let _nothing_is_assigned = of.client.poll(Duration::ZERO);
        } else {
            // What the client was told of the topic before does not have this partition. Where nobody answers, nor is the next answered.
            let _refreshed = of.client.fetch_metadata(Some(&name.topic), ANSWER);
        }
        let marks = of.client.fetch_watermarks(&name.topic, name.partition, ANSWER);
        let Ok((low, high)) = marks else { return Ok(false) };
        let mut stream = Stream {
            topic,
            next: low,
            reach: Reach::Within,
            over: false,
            last,
            check: None,
            answered: Some(Instant::now()),
            name: name.clone(),
        };
        if let Some(next) = next.and_then(|next| i64::try_from(next).ok()) {
            stream.next = next;
            self.told.extend(stream.hold_against(at, low, high));
        }
        // A generation before has ended.
        if let Some(before) = of.streams.insert(name.partition, at).and_then(|before| self.streams.get_mut(before)) {
            before.over = true;
        }
        self.streams.push(stream);
        Ok(true)
    }

    /// Adds a stream, as yet unassigned, that goes on from where it was read and of which no broker says anything. What is not there any
    /// more is told of when it is asked for.
    fn add_unasked(&mut self, Start { stream: name, next, last }: Start) -> Result<(), KafkaSourceError> {
        let topic = self.topic(&name.topic)?;
        let next = next.and_then(|next| i64::try_from(next).ok()).unwrap_or(0);
        let at = self.streams.len();
        if let Some(before) = self.topics.get_mut(topic).and_then(|of| of.streams.insert(name.partition, at)) {
            self.streams.get_mut(before).into_iter().for_each(|before| before.over = true);
        }
        let check = last.filter(|last| last.millis > 0);
        self.streams.push(Stream { topic, next, reach: Reach::Within, over: false, last, check, answered: None, name });
        Ok(())
    }

    /// Adds a stream of which nothing comes any more.
    fn add_ended(&mut self, Start { stream: name, last, .. }: Start) -> Result<(), KafkaSourceError> {
        let topic = self.topic(&name.topic)?;
        self.streams.push(Stream {
            topic,
            next: 0,
            reach: Reach::End,
            over: true,
            last,
            check: None,
            answered: None,
            name,
        });
        Ok(())
    }

    /// Index of a topic, which is added where it is none of those that are read.
    fn topic(&mut self, name: &str) -> Result<usize, KafkaSourceError> {
        if let Some(at) = self.topics.iter().position(|topic| topic.name == name) {
            return Ok(at);
        }
        let client = self.connection.consumer()?;
        self.topics.push(Topic { name: name.to_owned(), client, streams: BTreeMap::new(), gone: None });
        Ok(self.topics.len() - 1)
    }

    /// Reads the partitions of a topic from where each stands.
    fn assign(&mut self, topic: usize) -> Result<(), KafkaSourceError> {
        let Some(of) = self.topics.get(topic) else { return Ok(()) };
        let mut assignment = TopicPartitionList::new();
        for (partition, at) in &of.streams {
            let Some(stream) = self.streams.get(*at).filter(|stream| !stream.over) else { continue };
            let from = stream.check.and_then(|check| i64::try_from(check.offset).ok()).unwrap_or(stream.next);
            assignment.add_partition_offset(&of.name, *partition, Offset::Offset(from))?;
        }
        of.client.assign(&assignment)?;
        Ok(())
    }

    /// Names of the streams.
    pub fn names(&self) -> Vec<String> {
        self.streams.iter().map(|stream| stream.name.to_string()).collect()
    }

    /// The name of a stream.
    pub fn name(&self, stream: usize) -> Option<&StreamName> {
        self.streams.get(stream).map(|stream| &stream.name)
    }

    /// Offset of the next record of a stream.
    pub fn next_offset(&self, stream: usize) -> u64 {
        self.streams.get(stream).map_or(0, |stream| u64::try_from(stream.next).unwrap_or(0))
    }

    /// The record of a stream that was read last.
    pub fn last(&self, stream: usize) -> Option<Known> {
        self.streams.get(stream).and_then(|stream| stream.last)
    }

    /// How far each stream has been read that has not ended.
    pub fn lags(&self) -> Vec<Lag> {
        let live = self.streams.iter().filter(|stream| !stream.over);
        live.map(|stream| {
            let end = self.topics.get(stream.topic).and_then(|topic| topic.client.context().end(stream.name.partition));
            Lag {
                stream: stream.name.to_string(),
                next: u64::try_from(stream.next).unwrap_or(0),
                end: end.and_then(|end| u64::try_from(end).ok()),
                millis: stream.last.map(|last| last.millis).filter(|millis| *millis > 0),
            }
        })
        .collect()
    }

    /// Hands the next record to `take`. Waits for it at most about so long.
    ///
    /// # Errors
    /// A client that cannot go on.
    pub fn poll(&mut self, wait: Duration, take: impl FnOnce(usize, &Record<'_>)) -> Result<Came, KafkaSourceError> {
        let share = wait / u32::try_from(self.topics.len()).unwrap_or(u32::MAX).max(1);
        for wait in [Duration::ZERO, share] {
            for _ in 0..self.topics.len() {
                if let Some(came) = self.told.pop_front() {
                    return Ok(came);
                }
                let at = self.next;
                self.next = (at + 1) % self.topics.len();
                let Some(topic) = self.topics.get(at) else { continue };
                match topic.client.poll(wait) {
                    None => {}
                    Some(Ok(message)) => {
                        let Some(index) = topic.streams.get(&message.partition()).copied() else { continue };
                        let Some(stream) = self.streams.get_mut(index).filter(|stream| !stream.over) else { continue };
                        (stream.reach, stream.answered) = (Reach::Within, Some(Instant::now()));
                        let millis = message.timestamp().to_millis().unwrap_or(0);
                        match stream.comes(message.offset(), millis) {
                            Fit::Next => {
                                take(index, &Record { message: &message });
                                return Ok(Came::Record(index));
                            }
                            Fit::Known => {}
                            Fit::Other => {
                                drop(message);
                                self.told.push_back(Came::Anew(index));
                                self.assign(at)?;
                            }
                        }
                    }
                    Some(Err(KafkaError::PartitionEOF(partition))) => {
                        let stream = topic.streams.get(&partition).copied();
                        if let Some(stream) = stream.and_then(|stream| self.streams.get_mut(stream)) {
                            (stream.reach, stream.answered) = (Reach::End, Some(Instant::now()));
                        }
                    }
                    Some(Err(error)) => return self.trouble(at, &error),
                }
            }
        }
        Ok(self.told.pop_front().unwrap_or(Came::Nothing))
    }

    /// What an error of a topic's client means.
    fn trouble(&mut self, topic: usize, error: &KafkaError) -> Result<Came, KafkaSourceError> {
        use RDKafkaErrorCode as Code;
        let name = self.topics.get(topic).map_or("", |topic| topic.name.as_str());
        match error.rdkafka_error_code() {
            Some(Code::Fatal) => Err(KafkaSourceError::Lost(Code::Fatal)),
            // The place is not there any more: before what is kept, or behind the end of a topic that was made anew.
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => self.examine(topic, true),
            // It may have been made anew, and have more records than the old one.
            Some(
                code @ (Code::UnknownTopicOrPartition
                | Code::UnknownTopic
                | Code::UnknownPartition
                | Code::UnknownTopicId),
            ) => {
                let words = format!("Kafka: topic {name}: {code}");
                self.examine(topic, false).map(|came| if came == Came::Nothing { Came::Trouble(words) } else { came })
            }
            Some(code) => Ok(Came::Trouble(format!("Kafka: topic {name}: {code}"))),
            None => Err(KafkaSourceError::Client(error.to_string())),
        }
    }

    /// Holds every partition of a topic against what the broker has, and reads on from there. `moved`: a place was not there.
    fn examine(&mut self, topic: usize, moved: bool) -> Result<Came, KafkaSourceError> {
        let Some(of) = self.topics.get(topic) else { return Ok(Came::Nothing) };
        let mut found = Vec::new();
        for (partition, at) in &of.streams {
            if self.streams.get(*at).is_none_or(|stream| stream.over) {
                continue;
            }
            match of.client.fetch_watermarks(&of.name, *partition, ANSWER) {
                Ok((low, high)) => found.push((*at, low, high)),
                Err(error) if moved => {
                    // The client has given the partition up; whoever comes by later tries again.
                    let words = format!("Kafka: topic {}: {error}", of.name);
                    self.assign(topic)?;
                    return Ok(Came::Trouble(words));
                }
                Err(_) => return Ok(Came::Nothing),
            }
        }
        for (at, low, high) in found {
            let Some(stream) = self.streams.get_mut(at) else { continue };
            self.told.extend(stream.hold_against(at, low, high));
        }
        self.assign(topic)?;
        Ok(self.told.pop_front().unwrap_or(Came::Nothing))
    }

    /// When a broker said anything of a stream last.
    pub fn answered(&self, stream: usize) -> Option<Instant> {
        self.streams.get(stream)?.answered
    }

    /// All records of a stream have come, and the broker says that there are no others; `None` when it does not answer.
    pub fn is_at_end(&mut self, stream: usize) -> Option<bool> {
        let stream = self.streams.get_mut(stream)?;
        if stream.over {
            return Some(true);
        }
        let topic = self.topics.get(stream.topic)?;
        if topic.gone.is_some_and(|gone| gone.elapsed() >= GONE) {
            return Some(true);
        }
        if stream.reach == Reach::Within {
            return Some(false);
        }
        let (_, end) = topic.client.fetch_watermarks(&topic.name, stream.name.partition, ANSWER).ok()?;
        stream.answered = Some(Instant::now());
        if stream.reach == Reach::End {
            stream.reach = Reach::EndAt(end);
        }
        Some(stream.reach == Reach::EndAt(end))
    }
}

/// What a record that comes is to its stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fit {
    /// The next.
    Next,
    /// One that was read.
    Known,
    /// One of another log.
    Other,
}

impl Stream {
    /// A record comes.
    fn comes(&mut self, offset: i64, millis: i64) -> Fit {
        if let Some(check) = self.check.take() {
            let same = i64::try_from(check.offset) != Ok(offset) || check.millis == millis;
            if !same {
                self.over = true;
                return Fit::Other;
            }
        }
        if offset < self.next {
            return Fit::Known;
        }
        self.next = offset.saturating_add(1);
        self.last = Some(Known { offset: u64::try_from(offset).unwrap_or(0), millis });
        Fit::Next
    }

    /// Holds the place against the first record that the broker has and its end; says what is to be told.
    fn hold_against(&mut self, at: usize, low: i64, high: i64) -> Option<Came> {
        if high < self.next {
            self.over = true;
            return Some(Came::Anew(at));
        }
        if low > self.next {
            let lost = u64::try_from(low - self.next).unwrap_or(0);
            (self.next, self.check) = (low, None);
            return Some(Came::Lost(at, lost));
        }
        // A record that is still there shows whether this is the log that it was read from.
        self.check = self.last.filter(|last| last.millis > 0 && i64::try_from(last.offset).is_ok_and(|at| at >= low));
        None
    }
}

/// Waits until brokers answer and all topics are there, or all partitions of `starts`. `None` when `stop` was set before.
fn wait_for(
    client: &Client,
    wanted: &Wanted,
    starts: &[Start],
    stop: &Stop,
    say: &mut dyn FnMut(String),
) -> Option<find::Partitions> {
    let mut said = String::new();
    while !stop.is_told() {
        let _nothing_is_assigned = client.poll(Duration::ZERO);
        let why = match find::ask(client, wanted) {
            Ok(found) => {
                let missing = |start: &&Start| !found.contains_key(&start.stream.topic);
                let topic = wanted.names().iter().find(|name| !found.contains_key(*name));
                match (topic, starts.iter().find(missing)) {
                    (Some(name), _) => format!("there is no topic `{name}` yet"),
                    (None, Some(start)) => format!("there is no topic `{}` any more", start.stream.topic),
                    (None, None) if found.is_empty() => "there is no topic of that pattern yet".to_owned(),
                    (None, None) => return Some(found),
                }
            }
            Err(error) => match error.rdkafka_error_code() {
                Some(RDKafkaErrorCode::Authentication) => "the brokers refuse the login".to_owned(),
                Some(_) | None => "no broker answers yet".to_owned(),
            },
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

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(next: i64, last: Option<Known>) -> Stream {
        let name = StreamName::new("t", 0);
        Stream { name, topic: 0, next, reach: Reach::Within, over: false, last, check: None, answered: None }
    }

    #[test]
    fn a_place_that_is_gone_is_told_and_a_topic_made_anew_is_another_log() {
        let mut of = stream(10, None);
        assert_eq!(of.hold_against(3, 4, 10), None);
        assert_eq!((of.hold_against(3, 14, 20), of.next), (Some(Came::Lost(3, 4)), 14));
        assert_eq!((of.hold_against(3, 0, 13), of.over), (Some(Came::Anew(3)), true));

        // It has grown past the place: the record that was read last is another.
        let last = Some(Known { offset: 9, millis: 77 });
        let mut same = stream(10, last);
        assert_eq!((same.hold_against(0, 0, 12), same.check), (None, last));
        assert_eq!([same.comes(9, 77), same.comes(10, 78), same.comes(10, 78)], [Fit::Known, Fit::Next, Fit::Known]);
        assert_eq!((same.next, same.last), (11, Some(Known { offset: 10, millis: 78 })));
        let mut other = stream(10, last);
        other.hold_against(0, 0, 12);
        assert_eq!((other.comes(9, 78), other.over), (Fit::Other, true));
        // Where it has been removed nothing can be said.
        let mut removed = stream(10, last);
        assert_eq!((removed.hold_against(0, 10, 12), removed.check), (None, None));
        let mut compacted = stream(10, last);
        compacted.hold_against(0, 0, 12);
        assert_eq!(compacted.comes(11, 5), Fit::Next);
    }
}
