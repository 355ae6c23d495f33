//! Which topics and partitions there are: asked at the start, and again and again by a thread of its own, since a broker that does not
//! answer must not keep anybody from reading.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;

use crate::source::kafka::client::{Client, Connection};
use crate::source::kafka::{ANSWER, KafkaSourceError, Wanted};
use crate::source::stop::Stop;

/// Between two questions for topics and partitions.
const AGAIN: Duration = Duration::from_secs(5);

/// Partitions of each topic that is asked for, ascending.
pub(super) type Partitions = BTreeMap<String, Vec<i32>>;

/// Asks which topics there are.
pub(super) fn ask(client: &Client, wanted: &Wanted) -> Result<Partitions, KafkaError> {
    let mut found = Partitions::new();
    let mut take = |topic: &MetadataTopic| {
        if topic.error().is_none() && wanted.takes(topic.name()) && !topic.partitions().is_empty() {
            let mut list: Vec<i32> = topic.partitions().iter().map(|partition| partition.id()).collect();
            list.sort_unstable();
            found.insert(topic.name().to_owned(), list);
        }
    };
    if wanted.has_patterns() {
        client.fetch_metadata(None, ANSWER)?.topics().iter().for_each(&mut take);
    } else {
        for name in wanted.names() {
            client.fetch_metadata(Some(name), ANSWER)?.topics().iter().for_each(&mut take);
        }
    }
    Ok(found)
}

/// Asks again and again. It ends with this.
pub(super) struct Finder {
    latest: Arc<Mutex<Latest>>,
    done: Arc<Stop>,
}

/// What was answered last.
#[derive(Default)]
struct Latest {
    found: Option<Partitions>,
    /// Why there was no answer, where there was none.
    failure: Option<String>,
}

impl Finder {
    pub(super) fn start(connection: &Connection, wanted: &Wanted) -> Result<Finder, KafkaSourceError> {
        let client = connection.consumer()?;
        let finder = Finder { latest: Arc::default(), done: Arc::default() };
        let (latest, done, wanted) = (Arc::clone(&finder.latest), Arc::clone(&finder.done), wanted.clone());
        std::thread::spawn(move || {
            while !done.wait(AGAIN) {
                // What the client has to tell (that a token is about to end) is told to who polls.
                let _nothing_is_assigned = client.poll(Duration::ZERO);
                let answer = ask(&client, &wanted);
                let mut latest = latest.lock().unwrap_or_else(PoisonError::into_inner);
                match answer {
                    Ok(found) => *latest = Latest { found: Some(found), failure: None },
                    Err(error) => latest.failure = Some(error.to_string()),
                }
            }
        });
        Ok(finder)
    }

    /// The latest answer, when there is one that has not been taken.
    pub(super) fn take(&self) -> Option<Partitions> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).found.take()
    }

    /// Why brokers did not answer last time, where they did not.
    pub(super) fn failure(&self) -> Option<String> {
        self.latest.lock().unwrap_or_else(PoisonError::into_inner).failure.clone()
    }
}

impl Drop for Finder {
    fn drop(&mut self) {
        self.done.tell();
    }
}
