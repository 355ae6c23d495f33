//! Who owns topics: a second `serin run` on the same topics waits as standby, with a real Kafka node.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::broken_canary;
use crate::common::acting::{configure, rollout};
use crate::common::node::{Node, is_ready, send};
use crate::common::receiver::{Answer, Receiver};
use crate::common::running::{PATIENCE, Running, until};
use crate::common::{Line, folder_with};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseProducer, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde_json::Value;
use tempfile::TempDir;

const TOPIC: &str = "requests";
/// A session that ends within a test, and one that does not: whoever waited for its end would wait for longer than any test does.
const SHORT: &str = "session.timeout.ms=6000\n";
const LONG: &str = "session.timeout.ms=300000\n";

/// A node with the topic; `None` where there is no Kafka.
fn node_with_topic() -> Option<(TempDir, Node)> {
    is_ready().then(|| {
        let folder = folder_with(&[]);
        let node = Node::start(folder.path());
        node.create(TOPIC, 1, &[]);
        (folder, node)
    })
}

fn send_all(producer: &BaseProducer, lines: &[Line]) {
    lines.iter().for_each(|line| send(producer, TOPIC, 0, Some(&line.text())));
    producer.flush(PATIENCE).unwrap();
}

/// A program with a state folder of its own, that reads the topic.
fn start(node: &Node, folder: &Path, state: &str, session: &str, more: &[&str]) -> Running {
    let properties = folder.join("properties");
    std::fs::write(&properties, session).unwrap();
    let arguments = ["--brokers", &node.brokers, "--topic", TOPIC, "--checkpoint", "0s", "--idle", "2s"];
    let arguments = [&arguments[..], &["--kafka-properties", properties.to_str().unwrap()], more].concat();
    Running::start(&arguments, &folder.join(state))
}

fn health(running: &Running) -> Option<Value> {
    serde_json::from_str(&running.ask("/healthz", &running.address)?.1).ok()
}

fn owns(running: &Running) -> bool {
    running.ask("/readyz", &running.address).is_some_and(|(status, _)| status == 200)
}

fn stands_by(running: &Running) -> bool {
    let waiting = health(running).map(|health| health["waiting_for"].to_string()).unwrap_or_default();
    waiting.contains("(standby): another serin (127.0.0.1)")
}

fn signal(running: &Running, signal: &str) {
    let pid = running.child.id().to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
}

/// The status with which a program ends by itself.
fn ended(running: &mut Running) -> Option<i32> {
    until("it ends", || running.child.try_wait().unwrap()).code()
}

fn asks(node: &Node, group: &str) -> BaseConsumer {
    ClientConfig::new().set("bootstrap.servers", &node.brokers).set("group.id", group).create().unwrap()
}

/// Ids of the members of a group.
fn members(node: &Node, group: &str) -> Vec<String> {
    let list = asks(node, group).fetch_group_list(Some(group), Duration::from_secs(5)).unwrap();
    list.groups().iter().flat_map(|of| of.members()).map(|of| of.id().to_owned()).collect()
}

#[test]
fn a_second_program_waits_and_takes_over_from_one_that_was_killed() {
    let Some((folder, node)) = node_with_topic() else { return };
    let producer = node.producer(TOPIC);
    let lines = broken_canary();
    let receivers = [0, 1].map(|_| Receiver::start(|_, _| Answer::Status(200, String::new())));
    let programs = [0, 1].map(|at| {
        let place = folder.path().join(at.to_string());
        std::fs::create_dir(&place).unwrap();
        let config = configure(&place, &receivers[at].address, "");
        let config = std::fs::read_to_string(config).unwrap().replace("idle: 2s\n", "");
        std::fs::write(place.join("serin.yaml"), config).unwrap();
        let config = place.join("serin.yaml").display().to_string();
        let program = start(&node, folder.path(), &format!("{at}/state"), SHORT, &["--config", &config]);
        until("one owns, the other waits", || {
            (if at == 0 { owns(&program) } else { stands_by(&program) }).then_some(())
        });
        program
    });
    let [first, second] = programs;
    // Everything before the canary fails.
    send_all(&producer, &lines[..300]);
    until("the first judges", || first.report());

    let (status, body) = second.ask("/readyz", &second.address).unwrap();
    assert!(status == 503 && body.contains("takes over when it is gone"), "{status} {body}");
    assert!(body.contains("serin.requests") && body.contains("--group none"), "{body}");
    let (_, metrics) = second.ask("/metrics", &second.address).unwrap();
    assert!(metrics.lines().any(|line| line == "serin_owner 0"), "{metrics}");
    let (_, gate) = second.ask("/v1/rollouts/shop/gate", &second.address).unwrap();
    assert!(gate.contains("inconclusive") && gate.contains("standby"), "{gate}");
    assert!(second.report().is_none());
    let said = |words: &str| second.said.lock().unwrap().iter().filter(|line| line.contains(words)).count();
    assert_eq!(said("standby"), 1);

    drop(first);
    send_all(&producer, &lines[300..]);
    until("the second takes over", || owns(&second).then_some(()));
    second.heard("this one owns the topics of group serin.requests");
    let report = second.settled(|report| report["records"]["read"].as_u64() >= Some(lines.len() as u64));
    assert_eq!((&report["records"]["read"], &report["verdict"]), (&lines.len().into(), &"fail".into()));
    until("it rolls back", || receivers[1].came().iter().any(|one| one.event() == "rollback").then_some(()));
    let rollbacks = |of: &Receiver| of.came().iter().filter(|one| one.event() == "rollback").count();
    assert_eq!(receivers.each_ref().map(rollbacks), [0, 1]);
    assert!(rollout(&second).is_some());
    let (_, metrics) = second.ask("/metrics", &second.address).unwrap();
    assert!(metrics.lines().any(|line| line == "serin_owner 1"), "{metrics}");
    second.stop();
}

#[test]
fn one_that_ends_in_order_hands_over_and_one_that_starts_again_does_not_wait() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let node = Node::start(folder.path());
    node.create(TOPIC, 2, &[]);
    let begin = |state: &str| start(&node, folder.path(), state, LONG, &["--group", "judges"]);
    let owned = |program: &Running| until("it owns the topics", || owns(program).then_some(()));
    let first = begin("first");
    owned(&first);
    let identity = std::fs::read_to_string(folder.path().join("first/instance")).unwrap();
    assert!(members(&node, "judges").iter().all(|id| id.starts_with(&format!("{}-", identity.trim()))));
    // Killed and started anew, again and again, whatever it is doing: its membership is its own.
    drop(first);
    for _ in 0..3 {
        drop(begin("first"));
        let again = begin("first");
        owned(&again);
        drop(again);
    }
    let first = begin("first");
    owned(&first);
    let second = begin("second");
    until("the second waits", || stands_by(&second).then_some(()));
    // A standby ends at once, and nothing of it stays.
    second.stop();
    assert_eq!(members(&node, "judges").len(), 1);
    let second = begin("second");
    until("the second waits", || stands_by(&second).then_some(()));
    first.stop();
    owned(&second);
    second.stop();
    assert_eq!(members(&node, "judges"), [] as [String; 0]);
}

#[test]
fn of_programs_that_start_at_the_same_moment_one_owns_the_topics() {
    if !is_ready() {
        return;
    }
    let folder = folder_with(&[]);
    let node = Node::start(folder.path());
    node.create(TOPIC, 3, &[]);
    for round in 0..4 {
        let begin = |at: &usize| {
            start(&node, folder.path(), &format!("{round}-{at}"), SHORT, &["--group", &format!("g{round}")])
        };
        let programs: Vec<Running> = std::thread::scope(|scope| {
            let starting: Vec<_> = [0, 1, 2].map(|at| scope.spawn(move || begin(&at))).into_iter().collect();
            starting.into_iter().map(|one| one.join().unwrap()).collect()
        });
        until("one owns and the others wait", || {
            let owners = programs.iter().filter(|one| owns(one)).count();
            assert!(owners < 2, "round {round}: {owners} own the topics");
            (owners == 1 && programs.iter().filter(|one| stands_by(one)).count() == 2).then_some(())
        });
    }
}

#[test]
fn without_a_group_topics_are_read_beside_their_owner() {
    let Some((folder, node)) = node_with_topic() else { return };
    let lines = broken_canary();
    send_all(&node.producer(TOPIC), &lines);
    let programs = [("a", &[][..]), ("b", &["--group", "none"]), ("c", &["--group", "of-its-own"])]
        .map(|(state, more)| start(&node, folder.path(), state, LONG, more));
    for program in &programs {
        let report = program.settled(|report| report["records"]["read"].as_u64() >= Some(lines.len() as u64));
        assert_eq!(report["verdict"], "fail");
    }
    // How far it is, tools see that look at the group; of none there is nothing to see.
    let committed = |group: &str| {
        let mut list = TopicPartitionList::new();
        list.add_partition(TOPIC, 0);
        let list = asks(&node, group).committed_offsets(list, Duration::from_secs(5)).ok()?;
        Some(list.elements()[0].offset())
    };
    for group in ["serin.requests", "of-its-own"] {
        until("it is told", || (committed(group)? == Offset::Offset(lines.len() as i64)).then_some(()));
    }
    assert_eq!(committed("none"), Some(Offset::Invalid));
    assert_eq!(members(&node, "none"), [] as [String; 0]);
}

/// The owner was held up for so long that Kafka took it for gone: two would tell of the same rollout.
#[test]
fn an_owner_that_comes_back_after_another_took_over_ends() {
    let Some((folder, node)) = node_with_topic() else { return };
    let begin = |state: &str| start(&node, folder.path(), state, SHORT, &[]);
    let mut first = begin("first");
    until("the first owns the topics", || owns(&first).then_some(()));
    let second = begin("second");
    until("the second waits", || stands_by(&second).then_some(()));
    signal(&first, "-STOP");
    until("the second takes over", || owns(&second).then_some(()));
    signal(&first, "-CONT");
    assert_eq!(ended(&mut first), Some(2));
    first.heard("took over while nothing was heard of this one");
    assert!(owns(&second));
    // Where nobody took over it goes on.
    signal(&second, "-STOP");
    until("it is taken for gone", || members(&node, "serin.requests").is_empty().then_some(()));
    signal(&second, "-CONT");
    until("it is back", || (members(&node, "serin.requests").len() == 1).then_some(()));
    assert!(owns(&second));
    second.stop();
}

/// An owner that was lost comes back as standby, and has something to tell that its target had not taken: another tells by now.
#[test]
fn a_standby_tells_nothing_of_before() {
    let Some((folder, node)) = node_with_topic() else { return };
    let lines = broken_canary();
    send_all(&node.producer(TOPIC), &lines);
    let refuses = Receiver::start(|_, _| Answer::Status(500, String::new()));
    let takes = Receiver::start(|_, _| Answer::Status(200, String::new()));
    let begin = |at: &str, receiver: &Receiver| {
        let place = folder.path().join(at);
        std::fs::create_dir_all(&place).unwrap();
        let config = configure(&place, &receiver.address, "");
        start(&node, folder.path(), &format!("{at}/state"), SHORT, &["--config", &config])
    };
    let tried = || refuses.came().len();
    let first = begin("first", &refuses);
    until("the first tries to tell", || (tried() > 0).then_some(()));
    let second = begin("second", &takes);
    until("the second waits", || stands_by(&second).then_some(()));
    assert_eq!(takes.came().len(), 0);
    drop(first);
    let before = tried();
    until("the second rolls back", || takes.came().iter().any(|one| one.event() == "rollback").then_some(()));
    // What it has not told is due, and stays so.
    let first = begin("first", &refuses);
    until("the first waits", || stands_by(&first).then_some(()));
    // Nor is it commanded.
    let token = [("Authorization", "Bearer a token of the test, long enough")];
    let (status, body) = first.post("/v1/rollouts/shop/hold", &token, br#"{"actor":"ann","reason":"x"}"#).unwrap();
    assert!(status == 503 && body.contains("standby"), "{status} {body}");
    second.settled(|report| report["verdict"] == "fail");
    assert_eq!(tried(), before);
    second.stop();
    until("the first tells", || (tried() > before).then_some(()));
}

/// A state folder that was copied has the identity of the other.
#[test]
fn of_two_with_one_identity_the_later_goes_on() {
    let Some((folder, node)) = node_with_topic() else { return };
    let mut first = start(&node, folder.path(), "first", LONG, &[]);
    until("the first owns the topics", || owns(&first).then_some(()));
    std::fs::create_dir(folder.path().join("copy")).unwrap();
    std::fs::copy(folder.path().join("first/instance"), folder.path().join("copy/instance")).unwrap();
    let copy = start(&node, folder.path(), "copy", LONG, &[]);
    assert_eq!(ended(&mut first), Some(2));
    first.heard("another serin with the identity of this state folder");
    until("the later owns the topics", || owns(&copy).then_some(()));
    copy.stop();
}

/// Where there are rights on groups, and this one has none.
#[test]
fn a_group_without_a_right_on_it_is_said() {
    let Some((folder, node)) = node_with_topic() else { return };
    node.forbid_group("theirs");
    let mut refused = start(&node, folder.path(), "refused", "", &["--group", "theirs"]);
    assert_eq!(ended(&mut refused), Some(2));
    refused.heard("there is no right on group theirs");
    for group in ["ours", "none"] {
        let program = start(&node, folder.path(), group, "", &["--group", group]);
        until("it reads", || owns(&program).then_some(()));
    }
}

/// While the broker is away nothing changes, and afterwards the owner is the owner.
#[test]
fn an_owner_outlasts_its_broker() {
    let Some((folder, node)) = node_with_topic() else { return };
    let lines = broken_canary();
    let producer = node.producer(TOPIC);
    let first = start(&node, folder.path(), "first", "", &[]);
    send_all(&producer, &lines[..4_000]);
    until("it judges", || first.report());
    let second = start(&node, folder.path(), "second", "", &[]);
    until("the second waits", || stands_by(&second).then_some(()));
    node.kill();
    until("it is seen", || (!owns(&first)).then_some(()));
    assert!(first.report().is_some(), "what was known is shown");
    node.again();
    until("it is well again", || owns(&first).then_some(()));
    send_all(&producer, &lines[4_000..]);
    let report = first.settled(|report| report["records"]["read"].as_u64() >= Some(lines.len() as u64));
    assert_eq!(report["verdict"], "fail");
    assert!(second.report().is_none() && !owns(&second));
    first.stop();
    until("the second takes over", || owns(&second).then_some(()));
}
