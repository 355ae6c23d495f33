//! Real Kafka nodes. They come by Maven and run on Java; where `mvn` or `java` is missing a test says so and is skipped; in CI (`CI=true`)
//! that is a failure.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewPartitions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use serin::event;

use super::running::until;

/// What the node needs is there.
pub fn is_ready() -> bool {
    for tool in ["mvn", "java"] {
        let there = Command::new(tool).arg("-version").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if !there.is_ok_and(|status| status.success()) {
            assert!(std::env::var("CI").as_deref() != Ok("true"), "{tool} is missing in CI");
            println!("skipped: {tool} is missing");
            return false;
        }
    }
    true
}

fn script(arguments: &[&str]) -> bool {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/servers/kafka.sh");
    Command::new(path).args(arguments).stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}

/// Four ports in a row that are nobody else's. They lie below those that the system gives to whoever asks for any, so that none is
/// taken while a node starts, or starts again; and a file that is locked tells other nodes of this checkout.
struct Ports {
    first: u16,
    _locked: File,
}

impl Ports {
    fn claim() -> Ports {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/servers/ports");
        std::fs::create_dir_all(&folder).unwrap();
        // Another checkout begins elsewhere.
        let places: Vec<u16> = (20_000..32_000).step_by(4).collect();
        let begin = event::mix(folder.as_os_str().len() as u64, u64::from(std::process::id())) as usize % places.len();
        let claim = |first: &u16| {
            let file = File::create(folder.join(first.to_string())).unwrap();
            file.try_lock().ok()?;
            let is_free = (*first..first + 4).all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok());
            is_free.then_some(Ports { first: *first, _locked: file })
        };
        places[begin..].iter().chain(&places[..begin]).find_map(claim).expect("there are ports")
    }
}

/// A node in a folder of its own; it ends with this.
pub struct Node {
    pub folder: PathBuf,
    pub brokers: String,
    /// Ports of SASL_SSL and of SSL, of a node with TLS.
    pub sasl: u16,
    pub ssl: u16,
    _ports: Ports,
}

impl Node {
    pub fn start(folder: &Path) -> Node {
        Node::start_as("start", folder)
    }

    /// One that listens with TLS as well.
    pub fn start_tls(folder: &Path) -> Node {
        Node::start_as("start-tls", folder)
    }

    fn start_as(how: &str, folder: &Path) -> Node {
        let folder = folder.join("kafka");
        let ports = Ports::claim();
        let [port, sasl, ssl] = [0, 2, 3].map(|number| ports.first + number);
        let texts = [0, 1, 2, 3].map(|number| (ports.first + number).to_string());
        let arguments = [how, folder.to_str().unwrap(), &texts[0], &texts[1], &texts[2], &texts[3]];
        assert!(script(&arguments), "the node starts");
        Node { folder, brokers: format!("127.0.0.1:{port}"), sasl, ssl, _ports: ports }
    }

    /// `kill -9`.
    pub fn kill(&self) {
        script(&["stop", self.folder.to_str().unwrap()]);
    }

    /// The same node with what it has.
    pub fn again(&self) {
        assert!(script(&["again", self.folder.to_str().unwrap()]), "the node starts again");
    }

    /// A producer that waits for every replica, once the topic is there, with the node's three partitions.
    pub fn producer(&self, topic: &str) -> BaseProducer {
        self.producer_with(topic, "zstd")
    }

    pub fn producer_with(&self, topic: &str, compression: &str) -> BaseProducer {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &self.brokers)
            .set("enable.idempotence", "true")
            .set("compression.type", compression)
            .set("message.max.bytes", "33554432")
            .set("allow.auto.create.topics", "true")
            .create()
            .unwrap();
        // The first question for the topic makes it.
        until("the node answers", || {
            let answer = producer.client().fetch_metadata(Some(topic), Duration::from_secs(1)).ok()?;
            let found = answer.topics().first()?;
            (found.error().is_none() && !found.partitions().is_empty()).then_some(())
        });
        producer
    }

    fn admin(&self) -> AdminClient<DefaultClientContext> {
        ClientConfig::new().set("bootstrap.servers", &self.brokers).create().unwrap()
    }

    pub fn create(&self, topic: &str, partitions: i32, settings: &[(&str, &str)]) {
        self.create_copied(topic, partitions, 1, settings);
    }

    /// The same, each partition on so many nodes.
    pub fn create_copied(&self, topic: &str, partitions: i32, copies: i32, settings: &[(&str, &str)]) {
        let mut new = NewTopic::new(topic, partitions, TopicReplication::Fixed(copies));
        for (key, value) in settings {
            new = new.set(key, value);
        }
        until("the topic is made", || {
            let made = block(self.admin().create_topics([&new], &AdminOptions::new())).ok()?;
            // An answer may have been lost.
            let is_there = |made: &Result<String, (String, RDKafkaErrorCode)>| match made {
                Ok(_) => true,
                Err((_, code)) => *code == RDKafkaErrorCode::TopicAlreadyExists,
            };
            made.first().filter(|made| is_there(made)).map(|_| ())
        });
    }

    pub fn more_partitions(&self, topic: &str, partitions: usize) {
        let more = NewPartitions::new(topic, partitions);
        let done = block(self.admin().create_partitions([&more], &AdminOptions::new())).unwrap();
        assert!(done[0].is_ok(), "{done:?}");
    }

    /// Whoever asks is allowed nothing on a group any more.
    pub fn forbid_group(&self, group: &str) {
        until("the group is forbidden", || script(&["forbid-group", &self.brokers, group]).then_some(()));
    }

    pub fn delete(&self, topic: &str) {
        let done = block(self.admin().delete_topics(&[topic], &AdminOptions::new())).unwrap();
        assert!(done[0].is_ok(), "{done:?}");
        // Until it is forgotten nobody can make it anew. A producer that asked for it would make it.
        let asks: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &self.brokers).create().unwrap();
        until("the topic is gone", || {
            let answer = asks.fetch_metadata(None, Duration::from_secs(1)).ok()?;
            answer.topics().iter().all(|found| found.name() != topic).then_some(())
        });
    }

    /// How many records a topic has, where the node answers.
    pub fn count(&self, topic: &str) -> Option<usize> {
        let (consumer, ends) = self.ends(topic)?;
        drop(consumer);
        Some(ends.iter().map(|(_, end)| usize::try_from(*end).unwrap()).sum())
    }

    fn ends(&self, topic: &str) -> Option<(BaseConsumer, Vec<(i32, i64)>)> {
        let consumer: BaseConsumer =
            ClientConfig::new().set("bootstrap.servers", &self.brokers).set("group.id", "reads").create().unwrap();
        let answer = consumer.fetch_metadata(Some(topic), Duration::from_secs(2)).ok()?;
        let mut ends = Vec::new();
        for partition in answer.topics().first()?.partitions() {
            let (_, end) = consumer.fetch_watermarks(topic, partition.id(), Duration::from_secs(2)).ok()?;
            ends.push((partition.id(), end));
        }
        Some((consumer, ends))
    }

    /// What all records of a topic hold, as text.
    pub fn records(&self, topic: &str) -> Vec<String> {
        let (consumer, ends) = until("the node answers", || self.ends(topic));
        let mut list = TopicPartitionList::new();
        for (partition, _) in &ends {
            list.add_partition_offset(topic, *partition, Offset::Beginning).unwrap();
        }
        consumer.assign(&list).unwrap();
        let mut records = Vec::new();
        let all: i64 = ends.iter().map(|(_, end)| *end).sum();
        until("all records come", || {
            while let Some(message) = consumer.poll(Duration::from_millis(500)) {
                let message = message.unwrap();
                records.push(String::from_utf8(message.payload().unwrap().to_vec()).unwrap());
            }
            (records.len() as i64 >= all).then_some(())
        });
        records
    }

    /// Deletes the records of a partition before an offset, as retention does.
    pub fn delete_records(&self, topic: &str, partition: i32, before: i64) {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition, Offset::Offset(before)).unwrap();
        block(self.admin().delete_records(&list, &AdminOptions::new())).unwrap();
        let admin = self.admin();
        until("they are gone", || {
            let (low, _) = admin.inner().fetch_watermarks(topic, partition, Duration::from_secs(2)).ok()?;
            (low == before).then_some(())
        });
    }
}

/// Three nodes that are one cluster; each has the brokers of all.
pub struct Cluster {
    pub nodes: Vec<Node>,
}

impl Cluster {
    pub fn start(folder: &Path) -> Cluster {
        let claimed: Vec<Ports> = (0..3).map(|_| Ports::claim()).collect();
        let listed = |list: Vec<String>| list.join(",");
        let brokers = listed(claimed.iter().map(|ports| format!("127.0.0.1:{}", ports.first)).collect());
        let voter = |(at, ports): (usize, &Ports)| format!("{}@127.0.0.1:{}", at + 1, ports.first + 1);
        let voters = listed(claimed.iter().enumerate().map(voter).collect());
        let start = |(at, ports): (usize, Ports)| {
            let folder = folder.join(format!("kafka{}", at + 1));
            let [port, controller] = [0, 1].map(|number| (ports.first + number).to_string());
            let number = (at + 1).to_string();
            assert!(
                script(&["start-one", folder.to_str().unwrap(), &port, &controller, &number, &voters]),
                "it starts"
            );
            Node { folder, brokers: brokers.clone(), sasl: 0, ssl: 0, _ports: ports }
        };
        let cluster = Cluster { nodes: claimed.into_iter().enumerate().map(start).collect() };
        cluster.wait_for(3);
        cluster
    }

    /// Any of them, to ask.
    pub fn any(&self) -> &Node {
        &self.nodes[0]
    }

    /// Waits until so many nodes are there.
    pub fn wait_for(&self, nodes: usize) {
        let asks: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &self.any().brokers).create().unwrap();
        until("the nodes are there", || {
            let answer = asks.fetch_metadata(None, Duration::from_secs(1)).ok()?;
            (answer.brokers().len() == nodes).then_some(())
        });
    }

    /// The node that leads a partition, by its place.
    pub fn leader(&self, topic: &str, partition: i32) -> usize {
        let asks: BaseConsumer = ClientConfig::new().set("bootstrap.servers", &self.any().brokers).create().unwrap();
        until("the partition has a leader", || {
            let answer = asks.fetch_metadata(Some(topic), Duration::from_secs(1)).ok()?;
            let of = answer.topics().first()?.partitions().iter().find(|of| of.id() == partition)?;
            usize::try_from(of.leader() - 1).ok()
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.kill();
    }
}

fn block<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Hands a record to a producer, which may be full.
pub fn send(producer: &BaseProducer, topic: &str, partition: i32, text: Option<&str>) {
    let mut record = BaseRecord::<(), str>::to(topic).partition(partition);
    record.payload = text;
    while let Err((_, again)) = producer.send(record) {
        producer.poll(Duration::from_millis(50));
        record = again;
    }
}
