//! Kafka's part of the measurements: a topic is filled, counted by a bare client, and read by `serin run`.

use std::io;
use std::time::{Duration, Instant};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rustix::time::ClockId;

use crate::bench::child::{Running, Scratch, cpu_of};
use crate::bench::clock;
use crate::bench::hook;
use crate::bench::live::{AtMost, LAST, LAST_TIMES, WayFigures, corpus};

const PARTITIONS: i32 = 4;
const PATIENCE: Duration = Duration::from_secs(120);

fn other(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// A name that no earlier measurement had.
fn fresh(what: &str) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("serin-bench-{what}-{}", now.as_nanos())
}

fn create(brokers: &str, topic: &str) -> io::Result<()> {
    let admin: AdminClient<DefaultClientContext> =
        ClientConfig::new().set("bootstrap.servers", brokers).create().map_err(other)?;
    let new = NewTopic::new(topic, PARTITIONS, TopicReplication::Fixed(1));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let made = runtime.block_on(admin.create_topics([&new], &AdminOptions::new())).map_err(other)?;
    match made.into_iter().next() {
        Some(Ok(_)) => Ok(()),
        Some(Err((_, code))) => Err(other(code)),
        None => Err(io::Error::other("the topic was not made")),
    }
}

fn producer(brokers: &str) -> io::Result<BaseProducer> {
    ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("compression.type", "lz4")
        .create()
        .map_err(other)
}

fn send(producer: &BaseProducer, topic: &str, partition: i32, line: &[u8]) -> io::Result<()> {
    let mut record = BaseRecord::<(), [u8]>::to(topic).partition(partition).payload(line);
    let began = Instant::now();
    while let Err((error, again)) = producer.send(record) {
        if began.elapsed() > PATIENCE {
            return Err(other(error));
        }
        producer.poll(Duration::from_millis(10));
        record = again;
    }
    Ok(())
}

/// Measures what comes from Kafka. `broker`: its process on this machine, whose CPU time is told apart.
///
/// # Errors
/// Brokers that do not answer, or a program that does not count.
pub fn kafka(brokers: &str, broker: Option<u32>, lines: u64, users: u32, seed: u64) -> io::Result<WayFigures> {
    let (chunks, lines) = corpus(lines, users, seed);
    let topic = fresh("live");
    create(brokers, &topic)?;
    let producer = producer(brokers)?;
    let each = chunks.iter().flat_map(|chunk| chunk.split(|byte| *byte == b'\n')).filter(|line| !line.is_empty());
    for (number, line) in each.enumerate() {
        send(&producer, &topic, number as i32 % PARTITIONS, line)?;
    }
    let last = LAST.trim_end().as_bytes();
    for number in 0..LAST_TIMES as i32 * PARTITIONS {
        send(&producer, &topic, number % PARTITIONS, last)?;
    }
    producer.flush(PATIENCE).map_err(other)?;
    drop((producer, chunks));
    let all = lines + LAST_TIMES as u64 * PARTITIONS as u64;
    let per_line = |seconds: f64| seconds * 1e9 / lines.max(1) as f64;

    let bound = bare(brokers, &topic, all)?;
    let state = Scratch::new("state")?;
    let arguments = ["--brokers", brokers, "--topic", &topic, "--idle", "1s"];
    let running = Running::start(&arguments, &state.path().join("state"))?;
    let of_broker = || broker.and_then(cpu_of);
    let (began, before) = (Instant::now(), of_broker());
    running.wait_for_records(lines)?;
    let (wall, took) = (began.elapsed().as_secs_f64(), running.cpu());
    let broker_ns = of_broker().zip(before).map(|(after, before)| per_line(after - before));
    Ok(WayFigures {
        name: "Kafka, lz4",
        bound: "a client that polls and counts",
        bound_ns: per_line(bound),
        run_ns: per_line(took),
        lines_per_second: lines as f64 / wall,
        broker_ns,
        at_most: AtMost::Beyond(1_000.0),
    })
}

/// CPU seconds of this process, all its threads, while it does nothing but count.
fn bare(brokers: &str, topic: &str, records: u64) -> io::Result<f64> {
    let at = clock(ClockId::ProcessCPUTime);
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "serin-bench")
        .set("enable.auto.commit", "false")
        .set("check.crcs", "true")
        .create()
        .map_err(other)?;
    let mut assignment = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        assignment.add_partition_offset(topic, partition, Offset::Beginning).map_err(other)?;
    }
    consumer.assign(&assignment).map_err(other)?;
    let (mut counted, mut weight, began) = (0, 0usize, Instant::now());
    while counted < records {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => {
                use rdkafka::message::Message;
                weight = weight.wrapping_add(record.payload().map_or(0, <[u8]>::len));
                counted += 1;
            }
            Some(Err(_)) | None if began.elapsed() < PATIENCE => {}
            Some(Err(error)) => return Err(other(error)),
            None => return Err(io::Error::other("the bare client was not given all records")),
        }
    }
    std::hint::black_box(weight);
    Ok((clock(ClockId::ProcessCPUTime) - at) as f64 / 1e9)
}

/// Lines of the hook's measurement by way of a topic.
struct OverKafka {
    brokers: String,
    topic: String,
    producer: BaseProducer,
    sent: i32,
}

impl hook::Send for OverKafka {
    fn send(&mut self, _: &Running, lines: &[String]) -> io::Result<()> {
        for line in lines {
            send(&self.producer, &self.topic, self.sent % PARTITIONS, line.trim_end().as_bytes())?;
            self.sent = self.sent.wrapping_add(1) & i32::MAX;
        }
        self.producer.poll(Duration::ZERO);
        Ok(())
    }

    fn options(&self) -> Vec<String> {
        ["--brokers", &self.brokers, "--topic", &self.topic, "--group", "none"].map(str::to_owned).to_vec()
    }
}

/// A way by a topic of its own.
///
/// # Errors
/// Brokers that do not answer.
pub fn over_kafka(brokers: &str) -> io::Result<Box<dyn hook::Send>> {
    let topic = fresh("hook");
    create(brokers, &topic)?;
    Ok(Box::new(OverKafka { brokers: brokers.to_owned(), topic, producer: producer(brokers)?, sent: 0 }))
}
