//! What has been decided on its way to each target: what is due, what was taken, what was given up.
//!
//! A delivery is written down, with the bytes that will be sent, before it is sent for the first time; what became of it is
//! written down after. Whoever starts again reads these rows, and repeats what has no end yet: with the same id, the same
//! generation, the same bytes.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::outbox::lane::{Given, Lane, Next, Outcome, Why};
use crate::outbox::rows::{Row, row};
use crate::outbox::{Decision, Since, Topic};
use crate::time::Timestamp;

/// How long what is no rollback means something, in milliseconds: a day.
const EXPIRES_MS: i64 = 24 * 3_600_000;

/// Who is told.
#[derive(Clone, PartialEq, Debug)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// What it is told.
    pub topics: Vec<Topic>,
    /// How long a rollback means something, in milliseconds.
    pub expires_ms: i64,
    /// What came before it was configured like this is not told.
    pub since: Since,
}

/// What became of a delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It is on its way.
    Waiting,
    /// It was taken, when.
    Taken(i64),
    /// It is not sent any more: when, and why.
    GivenUp(i64, &'static str),
}

/// A message to a target.
#[derive(Clone, PartialEq, Debug)]
pub struct Delivery {
    /// Its id, by which a receiver knows what comes again.
    pub id: String,
    /// Name of its target.
    pub target: String,
    /// The rollout.
    pub rollout: String,
    /// What is told.
    pub topic: Topic,
    /// Number of the decision among those of its rollout.
    pub generation: u64,
    /// The clock when it was decided, in milliseconds since 1970.
    pub decided_ms: i64,
    /// When it is too late.
    pub expires_ms: i64,
    /// The bytes that are sent; empty once it is at its end.
    pub body: String,
    /// What became of it.
    pub standing: Standing,
}

impl Delivery {
    fn to_row(&self) -> String {
        let body = json!({
            "kind": "due",
            "id": self.id,
            "target": self.target,
            "rollout": self.rollout,
            "topic": self.topic.name(),
            "generation": self.generation,
            "decided_ms": self.decided_ms,
            "expires_ms": self.expires_ms,
            "body": self.body,
        });
        of_object(body)
    }

    fn from_row(body: &Map<String, Value>) -> Option<Delivery> {
        let text = |key: &str| body.get(key).and_then(Value::as_str).map(str::to_owned);
        let number = |key: &str| body.get(key).and_then(Value::as_i64);
        Some(Delivery {
            id: text("id")?,
            target: text("target")?,
            rollout: text("rollout")?,
            topic: Topic::from_name(&text("topic")?)?,
            generation: body.get("generation")?.as_u64()?,
            decided_ms: number("decided_ms")?,
            expires_ms: number("expires_ms")?,
            body: text("body")?,
            standing: Standing::Waiting,
        })
    }
}

fn of_object(value: Value) -> String {
    match value {
        Value::Object(object) => row(object),
        _ => String::new(),
    }
}

/// Something for the edge to do.
#[derive(Clone, PartialEq, Debug)]
pub enum Do {
    /// Send these bytes under this id to the target of this number.
    Send {
        /// Number of the target.
        target: usize,
        /// Its id.
        id: String,
        /// The bytes.
        body: String,
    },
    /// Write this row down.
    Write(String),
}

/// All deliveries.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    targets: Vec<Target>,
    lanes: Vec<Lane>,
    /// By id.
    all: BTreeMap<String, Delivery>,
    /// Ids in the order in which they were decided.
    order: Vec<String>,
    /// What was decided up to here and is not known was at its end, and is forgotten.
    settled: Since,
}

/// A row that is none of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("row {0} is none that this version knows")]
pub struct Unknown(
    /// Its number, from 1.
    pub usize,
);

impl Deliveries {
    /// What rows tell.
    ///
    /// # Errors
    /// The first row that is none of these.
    pub fn restore(rows: &[Row]) -> Result<Deliveries, Unknown> {
        let mut deliveries = Deliveries::default();
        for (at, (_, body)) in rows.iter().enumerate() {
            deliveries.read(body).ok_or(Unknown(at + 1))?;
        }
        Ok(deliveries)
    }

    fn read(&mut self, body: &Map<String, Value>) -> Option<()> {
        let text = |key: &str| body.get(key).and_then(Value::as_str);
        match text("kind")? {
            "due" => {
                let delivery = Delivery::from_row(body)?;
                self.order.push(delivery.id.clone());
                self.all.insert(delivery.id.clone(), delivery);
            }
            "settled" => {
                let number = |key: &str| body.get(key).and_then(Value::as_u64);
                self.settled = Since { entries: number("entries")?, rows: number("rows")? };
            }
            "end" => {
                let at = body.get("clock_ms")?.as_i64()?;
                let standing = match text("why") {
                    None => Standing::Taken(at),
                    Some(word) => Standing::GivenUp(at, WHYS.into_iter().find(|why| *why == word)?),
                };
                self.end(text("id")?, standing);
            }
            _ => return None,
        }
        Some(())
    }

    /// The targets there are from now on, each with the seed of its pauses. What waits for them goes on, and what waits for others
    /// is given up; returns rows to be written down. `unchanged`: names of those whose way goes on as it is; what is under way to
    /// others may be sent once more.
    pub fn open(&mut self, targets: Vec<Target>, unchanged: &[String], seed: u64, now: i64) -> Vec<String> {
        let mut kept: BTreeMap<String, Lane> =
            self.targets.drain(..).map(|target| target.name).zip(self.lanes.drain(..)).collect();
        kept.retain(|name, _| unchanged.contains(name));
        self.targets = targets;
        let fresh: Vec<bool> = self.targets.iter().map(|target| !kept.contains_key(&target.name)).collect();
        let lane = |(at, target): (usize, &Target)| {
            kept.remove(&target.name).unwrap_or_else(|| Lane::new(seed.wrapping_add(at as u64)))
        };
        self.lanes = self.targets.iter().enumerate().map(lane).collect();
        let mut rows = Vec::new();
        for id in self.order.clone() {
            let Some(delivery) = self.all.get(&id).filter(|delivery| delivery.standing == Standing::Waiting) else {
                continue;
            };
            match self.targets.iter().position(|target| target.name == delivery.target) {
                Some(at) if fresh[at] => self.lanes[at].push(Given { id, expires_ms: delivery.expires_ms }),
                Some(_) => {}
                None => {
                    self.end(&id, Standing::GivenUp(now, NO_TARGET));
                    rows.push(end_row(&id, now, Some(NO_TARGET)));
                }
            }
        }
        rows
    }

    /// The deliveries of a decision that are not known yet. Nothing changes: they are written down first, and then taken.
    pub fn decide(&self, decision: &Decision, now: i64) -> Vec<Delivery> {
        let wants = |target: &&Target| {
            target.topics.contains(&decision.topic)
                && decision.hooks.as_ref().is_none_or(|names| names.contains(&target.name))
                && !target.since.covers(decision.read, decision.journalled)
        };
        let mut list = Vec::new();
        if self.settled.covers(decision.read, decision.journalled) {
            return list;
        }
        for target in self.targets.iter().filter(wants) {
            let id = decision.id(&target.name);
            if self.all.contains_key(&id) {
                continue;
            }
            let lasts = if decision.topic == Topic::Rollback { target.expires_ms } else { EXPIRES_MS };
            let expires_ms = now.saturating_add(lasts);
            let time = |ms: i64| Timestamp(ms.saturating_mul(1_000)).to_string();
            let mut data = decision.data.clone();
            data.insert("id".to_owned(), Value::from(id.as_str()));
            data.insert("expires_at".to_owned(), Value::from(time(expires_ms)));
            let body = json!({
                "type": format!("serin.rollout.{}", decision.topic.name()),
                "timestamp": time(now),
                "data": data,
            });
            list.push(Delivery {
                id,
                target: target.name.clone(),
                rollout: decision.rollout.clone(),
                topic: decision.topic,
                generation: decision.generation,
                decided_ms: now,
                expires_ms,
                body: body.to_string(),
                standing: Standing::Waiting,
            });
        }
        list
    }

    /// Forgets the oldest that are at their end, down to `most`; everything that was decided from what was read up to `read` must
    /// be known. Returns all rows that are left to be written, in place of those before.
    pub fn settle(&mut self, read: Since, most: usize) -> String {
        let is_ended = |of: &Delivery| of.standing != Standing::Waiting;
        let ended = self.all.values().filter(|of| is_ended(of)).count();
        let mut more = ended.saturating_sub(most);
        let all = &mut self.all;
        self.order.retain(|id| {
            let goes = more > 0 && all.get(id).is_none_or(is_ended);
            if goes {
                more -= 1;
                all.remove(id);
            }
            !goes
        });
        self.settled = read;
        let settled = json!({ "kind": "settled", "entries": read.entries, "rows": read.rows });
        let mut rows = of_object(settled);
        for delivery in self.order.iter().filter_map(|id| self.all.get(id)) {
            rows.push_str(&delivery.to_row());
            match delivery.standing {
                Standing::Waiting => {}
                Standing::Taken(at) => rows.push_str(&end_row(&delivery.id, at, None)),
                Standing::GivenUp(at, why) => rows.push_str(&end_row(&delivery.id, at, Some(why))),
            }
        }
        rows
    }

    /// How many are known.
    pub fn known(&self) -> usize {
        self.all.len()
    }

    /// Rows of deliveries that are to be taken.
    pub fn rows_of(deliveries: &[Delivery]) -> String {
        deliveries.iter().map(Delivery::to_row).collect()
    }

    /// Takes deliveries whose rows last.
    pub fn take(&mut self, deliveries: Vec<Delivery>) {
        for delivery in deliveries {
            if let Some(at) = self.targets.iter().position(|target| target.name == delivery.target) {
                self.lanes[at].push(Given { id: delivery.id.clone(), expires_ms: delivery.expires_ms });
            }
            self.order.push(delivery.id.clone());
            self.all.insert(delivery.id.clone(), delivery);
        }
    }

    /// What is to be done at a time, and when to ask again if nothing happens until then.
    pub fn next(&mut self, now: i64) -> (Vec<Do>, Option<i64>) {
        let (mut list, mut wait) = (Vec::new(), None::<i64>);
        for target in 0..self.lanes.len() {
            while let Some(lane) = self.lanes.get_mut(target) {
                match lane.next(now) {
                    Next::Nothing => break,
                    Next::Wait(until) => {
                        wait = Some(wait.map_or(until, |wait| wait.min(until)));
                        break;
                    }
                    Next::Send(id) => {
                        let body = self.all.get(&id).map(|delivery| delivery.body.clone()).unwrap_or_default();
                        list.push(Do::Send { target, id, body });
                        break;
                    }
                    Next::GiveUp(id, why) => {
                        self.end(&id, Standing::GivenUp(now, why.name()));
                        list.push(Do::Write(end_row(&id, now, Some(why.name()))));
                    }
                }
            }
        }
        (list, wait)
    }

    /// What became of what was sent to a target: a row to be written down, when that is its end.
    pub fn outcome(&mut self, target: usize, now: i64, outcome: Outcome) -> Option<String> {
        let id = self.lanes.get_mut(target)?.outcome(now, outcome)?;
        self.end(&id, Standing::Taken(now));
        Some(end_row(&id, now, None))
    }

    fn end(&mut self, id: &str, standing: Standing) {
        if let Some(delivery) = self.all.get_mut(id) {
            delivery.standing = standing;
            delivery.body = String::new();
        }
    }

    /// The targets, each with its way.
    pub fn targets(&self) -> impl Iterator<Item = (&Target, &Lane)> {
        self.targets.iter().zip(&self.lanes)
    }

    /// All deliveries, the latest first.
    pub fn latest(&self) -> impl Iterator<Item = &Delivery> {
        self.order.iter().rev().filter_map(|id| self.all.get(id))
    }
}

/// Why something is given up whose target is gone from the configuration.
const NO_TARGET: &str = "the hook is not configured any more";
/// Every reason.
const WHYS: [&str; 3] = [Why::Expired.name(), Why::Gone.name(), NO_TARGET];

fn end_row(id: &str, now: i64, why: Option<&str>) -> String {
    let mut body = Map::new();
    body.insert("kind".to_owned(), Value::from("end"));
    body.insert("id".to_owned(), Value::from(id));
    body.insert("clock_ms".to_owned(), Value::from(now));
    if let Some(why) = why {
        body.insert("why".to_owned(), Value::from(why));
    }
    row(body)
}
