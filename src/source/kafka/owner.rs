//! One program owns its topics, and a second waits: membership of a group of Kafka, which assigns nothing.
//!
//! The group is joined by a client of its own, with the identity of the state folder as `group.instance.id`: a program that starts again
//! after `kill -9` takes its own membership back at once, while that of another lasts until its session runs out. A client that is closed
//! keeps such a membership (KIP-345), so a program that ends in order unsubscribes first, upon which librdkafka leaves. What is to be done
//! when is decided by [`Claim`], where it stands why no two programs own the topics at once; this asks and tells the coordinator.
//!
//! While no broker answers nothing changes: nobody can take over then, and what was decided must not wait for Kafka.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::source::kafka::claim::{Claim, Heard, IDENTITY, Member, Next};
use crate::source::kafka::client::{Client, Connection, Rebalanced};
use crate::source::kafka::{ANSWER, KafkaSourceError, Wanted, wait_for};
use crate::source::stop::Stop;

/// How long one question for news of the group waits.
const POLL: Duration = Duration::from_millis(100);
/// Between two looks at who is in the group, give or take a fifth: how soon a standby sees that the owner has left.
const LOOK: Duration = Duration::from_millis(1_000);
/// How long leaving may take. What is not left in order is left when the session runs out.
const LEAVE: Duration = Duration::from_secs(2);
/// Longest name of a group that is made of the names of topics; what is longer is cut, with a hash of the whole.
const GROUP_MAX: usize = 200;

/// The group of topics, given as names and patterns.
pub fn group_of<'a>(topics: impl IntoIterator<Item = &'a str>) -> String {
    let mut topics: Vec<&str> = topics.into_iter().collect();
    topics.sort_unstable();
    topics.dedup();
    let whole = format!("serin.{}", topics.join(","));
    if whole.len() <= GROUP_MAX {
        return whole;
    }
    let hash = xxhash_rust::xxh3::xxh3_128(whole.as_bytes());
    let cut = whole.floor_char_boundary(GROUP_MAX - 33);
    format!("{}.{hash:032x}", &whole[..cut])
}

/// An identity, made of something that nobody else has.
pub fn fresh_instance(random: [u8; 16]) -> String {
    format!("{IDENTITY}{:032x}", u128::from_be_bytes(random))
}

/// An identity is one: what one of a program begins with, and 32 hexadecimal digits.
pub fn is_instance(text: &str) -> bool {
    let digits = text.strip_prefix(IDENTITY);
    digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Who wants to own which topics.
pub struct Asks<'a> {
    /// How brokers are spoken to.
    pub connection: &'a Connection,
    /// Which topics.
    pub wanted: &'a Wanted,
    /// The group.
    pub group: &'a str,
    /// The identity, which stays the same over restarts.
    pub instance: &'a str,
}

/// Why a program does not own its topics yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Stands {
    /// Something is waited for.
    Waits(String),
    /// Nothing is out of order: it is joining the group.
    Joins,
    /// Another program owns them; the host where it is.
    By(String),
}

/// Offsets of the next records, by topic and partition.
pub type Positions = BTreeMap<(String, i32), i64>;

/// Membership of the group, and what follows from what comes.
struct Membership {
    client: Client,
    claim: Claim,
    group: String,
    /// Topics that are named when it joins; nothing of them is read here.
    topics: Vec<String>,
    /// When to look who is in the group, where that is to be.
    look: Option<Instant>,
    /// What is out of order with the group.
    trouble: Option<String>,
    /// It owns the topics.
    is_owner: bool,
}

/// What others are to know of.
enum Came {
    /// The topics are owned.
    Own,
    /// Another owns them.
    StandBy(Member),
}

impl Membership {
    /// Polls for about so long, and does what follows from what comes.
    fn turn(&mut self, most: Duration) -> Result<Option<Came>, KafkaSourceError> {
        let until_look = self.look.map_or(most, |at| at.saturating_duration_since(Instant::now()).min(most));
        if let Some(Err(error)) = self.client.poll(until_look) {
            let code = error.rdkafka_error_code();
            if let KafkaError::MessageConsumptionFatal(_) = error {
                return Err(match self.client.client().fatal_error() {
                    Some((RDKafkaErrorCode::FencedInstanceId, _)) => KafkaSourceError::Replaced(self.group.clone()),
                    Some((code, _)) => KafkaSourceError::Lost(code),
                    None => KafkaSourceError::Client(error.to_string()),
                });
            }
            // A right that is taken away later takes nothing from an owner: nor may another join.
            if code == Some(RDKafkaErrorCode::GroupAuthorizationFailed) && !self.is_owner {
                return Err(KafkaSourceError::NoRight(self.group.clone()));
            }
            self.trouble = self.words(code);
        }
        let mut came = None;
        while let Some(rebalanced) = self.client.context().rebalanced() {
            let heard = match rebalanced {
                Rebalanced::In => Heard::Joined,
                Rebalanced::Out { lost: true } => Heard::Lost,
                // Another has joined or left. It is in the next round.
                Rebalanced::Out { lost: false } => continue,
            };
            self.trouble = None;
            came = self.hear(heard)?.or(came);
        }
        if self.look.is_some_and(|at| at <= Instant::now()) {
            match self.members() {
                Ok(members) => {
                    (self.look, self.trouble) = (None, None);
                    came = self.hear(Heard::Members(members))?.or(came);
                }
                Err(error) => {
                    self.trouble = self.words(error.rdkafka_error_code());
                    self.look = Some(Instant::now() + LOOK);
                }
            }
        }
        Ok(came)
    }

    /// What is out of order, in words that stay the same while it does.
    fn words(&self, code: Option<RDKafkaErrorCode>) -> Option<String> {
        use RDKafkaErrorCode as Code;
        match code? {
            Code::AllBrokersDown | Code::BrokerTransportFailure | Code::OperationTimedOut | Code::Resolve => {
                Some("no broker answers".to_owned())
            }
            Code::Authentication => Some("the brokers refuse the login".to_owned()),
            code => Some(format!("group {}: {code}", self.group)),
        }
    }

    fn hear(&mut self, heard: Heard) -> Result<Option<Came>, KafkaSourceError> {
        let now = Instant::now();
        match self.claim.hear(heard) {
            Next::Hear => self.look = None,
            Next::Look => self.look = Some(now),
            Next::LookLater => self.look = Some(now + jittered(LOOK)),
            Next::StandBy(other) => {
                self.look = Some(now + jittered(LOOK));
                return Ok(Some(Came::StandBy(other)));
            }
            Next::Join => {
                self.look = None;
                let topics: Vec<&str> = self.topics.iter().map(String::as_str).collect();
                self.client.subscribe(&topics)?;
            }
            Next::Leave => {
                self.leave();
                // Whoever else has left as well looks at another time.
                self.claim.hear(Heard::Left);
                self.look = Some(now + LOOK.mul_f64(2.0 * random()));
            }
            Next::Own => {
                self.look = None;
                return Ok(Some(Came::Own));
            }
            Next::End(other) => {
                return Err(KafkaSourceError::TakenOver { group: self.group.clone(), host: other.host });
            }
        }
        Ok(None)
    }

    /// Who is in the group, as its coordinator says.
    fn members(&self) -> Result<Vec<Member>, KafkaError> {
        let list = self.client.fetch_group_list(Some(&self.group), ANSWER)?;
        let members = list.groups().iter().filter(|of| of.name() == self.group).flat_map(|of| of.members());
        let host = |host: &str| host.trim_start_matches('/').to_owned();
        Ok(members.map(|of| Member { id: of.id().to_owned(), host: host(of.client_host()) }).collect())
    }

    /// Leaves the group, and waits until it has, for a while.
    fn leave(&mut self) {
        let until = Instant::now() + LEAVE;
        self.client.unsubscribe();
        while Instant::now() < until {
            // It leaves once it has been told that its round is over.
            let _other_news = self.client.poll(POLL / 2);
            while self.client.context().rebalanced().is_some() {}
            if self.members().is_ok_and(|members| !self.claim.is_in(&members)) {
                return;
            }
        }
    }
}

/// A length of time, give or take a fifth.
fn jittered(time: Duration) -> Duration {
    time.mul_f64(0.8 + 0.4 * random())
}

/// A number from 0 to 1 that differs from that of other programs.
fn random() -> f64 {
    f64::from(RandomState::new().hash_one(0) as u32) / f64::from(u32::MAX)
}

/// What the program and the thread of its membership tell each other.
#[derive(Default)]
struct Between {
    /// It is to leave.
    done: Stop,
    /// It has left, or tried for long enough.
    left: Stop,
    /// The topics are owned no more, and why.
    over: Stop,
    ended: Mutex<Option<KafkaSourceError>>,
    /// What is to be committed.
    positions: Mutex<Option<Positions>>,
}

/// Topics that are owned, until this ends: it leaves the group then.
pub struct Owner {
    between: Arc<Between>,
}

impl Owner {
    /// Waits until topics are there and nobody else owns them. `None` when `stop` was set meanwhile. `say` hears again and again why it
    /// waits.
    ///
    /// # Errors
    /// A client that cannot be made, or may not join.
    pub fn claim(
        Asks { connection, wanted, group, instance }: Asks<'_>,
        stop: &Stop,
        say: &mut dyn FnMut(Stands),
    ) -> Result<Option<Owner>, KafkaSourceError> {
        let (client, session) = connection.member(group, instance)?;
        let Some(found) = wait_for(&client, wanted, &[], stop, &mut |words| say(Stands::Waits(words))) else {
            return Ok(None);
        };
        // One that joins and dies before it has left is gone after a session.
        let patience = u32::try_from(2 * session.as_millis() / LOOK.as_millis()).unwrap_or(u32::MAX);
        let mut of = Membership {
            client,
            claim: Claim::new(instance, patience),
            group: group.to_owned(),
            topics: found.into_keys().collect(),
            look: Some(Instant::now()),
            trouble: None,
            is_owner: false,
        };
        let mut waits = None;
        loop {
            if stop.is_told() {
                // It may be a member for a moment. Closing the client may wait for a broker.
                std::thread::spawn(move || of.leave());
                return Ok(None);
            }
            match of.turn(POLL)? {
                None => {}
                Some(Came::Own) => break,
                Some(Came::StandBy(other)) => waits = Some(Stands::By(other.host)),
            }
            match of.trouble.clone().map(Stands::Waits).or(waits.clone()) {
                Some(why) => say(why),
                None => say(Stands::Joins),
            }
        }
        of.is_owner = true;
        let owner = Owner { between: Arc::default() };
        let between = Arc::clone(&owner.between);
        std::thread::spawn(move || {
            if let Err(ended) = of.keep(&between) {
                *between.ended.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
                between.over.tell();
            }
            of.leave();
            between.left.tell();
        });
        Ok(Some(owner))
    }

    /// Why the topics are owned no more, once that is so.
    pub fn ended(&self) -> Option<KafkaSourceError> {
        if !self.between.over.is_told() {
            return None;
        }
        self.between.ended.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Tells the group how far topics have been read, some time soon and if it can be: for whoever looks at the group. It is never read
    /// back.
    pub fn tell(&self, positions: Positions) {
        *self.between.positions.lock().unwrap_or_else(PoisonError::into_inner) = Some(positions);
    }
}

impl Membership {
    /// Stays in the group until it is told to leave.
    fn keep(&mut self, between: &Between) -> Result<(), KafkaSourceError> {
        while !between.done.is_told() {
            self.turn(POLL)?;
            self.commit(between);
        }
        self.commit(between);
        Ok(())
    }

    fn commit(&self, between: &Between) {
        let Some(positions) = between.positions.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let mut list = TopicPartitionList::new();
        for ((topic, partition), next) in &positions {
            // A negative one would be the place where a group begins.
            if list.add_partition_offset(topic, *partition, Offset::Offset(*next)).is_err() {
                return;
            }
        }
        // The next checkpoint tells more.
        let _may_fail = self.client.commit(&list, CommitMode::Async);
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        self.between.done.tell();
        self.between.left.wait(LEAVE + POLL);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_in_any_order_have_one_group_with_a_name_of_a_bounded_length() {
        assert_eq!(group_of(["b", "^a\\.", "b"]), "serin.^a\\.,b");
        assert_eq!(group_of(["^a\\.", "b"]), group_of(["b", "^a\\."]));
        let long = |last: &str| group_of(["ä".repeat(150).as_str(), last]);
        assert!(long("x").len() <= GROUP_MAX && long("x").len() > GROUP_MAX - 4, "{}", long("x").len());
        assert!(long("x") != long("y") && long("x").starts_with("serin.x,ä"), "{}", long("x"));
        let just = "t".repeat(GROUP_MAX - "serin.".len());
        assert_eq!(group_of([just.as_str()]), format!("serin.{just}"));
    }

    #[test]
    fn an_identity_is_told_from_anything_else() {
        assert!(is_instance(&fresh_instance([0; 16])) && is_instance(&fresh_instance([255; 16])));
        for wrong in ["", "serin-", "serin-0123456789abcdef0123456789abcdeg", "0123456789abcdef0123456789abcdef"] {
            assert!(!is_instance(wrong), "{wrong}");
        }
    }
}
