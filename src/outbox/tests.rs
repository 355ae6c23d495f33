use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serde_json::json;

use super::*;

mod cells;
use crate::ledger::Chain;
use crate::rollout::{AtDeadline, Command, Course, Event, Now, Phase, Step};
use crate::time::{MINUTE, Micros};

/// A minute of the first of June 2026.
fn at(minute: i64) -> Timestamp {
    Timestamp(1_780_272_000_000_000 + minute * MINUTE)
}

fn declared() -> Declared {
    Declared { name: "checkout".to_owned(), services: vec!["web".to_owned()], ..Declared::default() }
}

/// Writes a ledger as the engine does, as far as a book reads it.
#[derive(Default)]
struct Ledger {
    chain: Chain,
    lines: Vec<String>,
}

impl Ledger {
    fn add(&mut self, kind: &str, body: Value) {
        let Value::Object(body) = body else { panic!("an object") };
        self.lines.push(self.chain.append(kind, body));
    }

    fn begin(&mut self, service: &str, candidate: &str, minute: i64) {
        self.add(
            "begin",
            json!({ "service": service, "services": [{"environment": "", "service": service}], "control": "1",
                "candidate": candidate, "at": at(minute).to_string() }),
        );
    }

    fn look(&mut self, service: &str, candidate: &str, minute: i64, verdict: &str, more: Value) {
        let mut body = json!({ "service": service, "candidate": candidate, "verdict": verdict,
            "at": at(minute).to_string(), "log_sum": 9.0, "counters": {"units": [10, 20]} });
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.add("look", body);
    }
}

fn read(book: &mut Book, ledger: &Ledger) -> Vec<Decision> {
    ledger.lines.iter().flat_map(|line| book.entry(line)).collect()
}

fn topics(decisions: &[Decision]) -> Vec<(&str, u64)> {
    decisions.iter().map(|decision| (decision.topic.name(), decision.generation)).collect()
}

const AUTOMATIC: &str = "2026-06-01T00:03:00Z";

/// A reason names whatever carries the failure: guardrails, metrics of one's own, lines of level error, limits.
#[test]
fn a_reason_names_what_carries_the_failure() {
    let error = |id: &str, log_e: f64| json!({ "id": id, "change": "new", "log_e": log_e, "units": [0, 12] });
    let templates = json!({ "errors": [error("a", 99.0), error("b", 17.0), error("c", 16.5)], "failing": ["b", "c"] });
    for (more, reason) in [
        (json!({}), "web: worse by the sum of its evidence (e 8103)"),
        (
            json!({ "cells": { "error_units": { "finding": "regressed", "log_e": 5.0 } } }),
            "web: worse by error units (e 148)",
        ),
        (json!({ "templates": templates }), "web: worse by error lines (e 10^7)"),
        (
            json!({ "metrics": { "paid": { "finding": "regressed", "log_e": 5.0 }, "seen": { "finding": "undecided", "log_e": 1.0 } } }),
            "web: worse by paid (e 148)",
        ),
        (
            json!({ "limits": { "p99": { "fails": true }, "errors": { "fails": false } } }),
            "web: worse by the limit of p99",
        ),
    ] {
        let mut ledger = Ledger::default();
        ledger.begin("web", "2", 0);
        ledger.look("web", "2", 1, "fail", more);
        let mut book = Book::new(vec![declared()]);
        read(&mut book, &ledger);
        assert_eq!(book.rollout("checkout").unwrap().reason(), reason);
    }
}

#[test]
fn a_failure_is_told_and_rolled_back_once_its_evidence_is_automatic() {
    let mut ledger = Ledger::default();
    ledger.add("start", json!({}));
    ledger.begin("web", "2", 0);
    ledger.look("web", "2", 1, "inconclusive", json!({}));
    ledger.look("web", "2", 2, "fail", json!({ "failed_at": "x" }));
    ledger.look("web", "2", 3, "fail", json!({ "failed_at": "x", "automatic_at": AUTOMATIC }));
    ledger.look("web", "2", 4, "fail", json!({ "failed_at": "x", "automatic_at": AUTOMATIC }));
    let mut book = Book::new(vec![declared()]);
    let decisions = read(&mut book, &ledger);
    assert_eq!(topics(&decisions), [("fail", 1), ("rollback", 2)]);
    let [fail, rollback] = decisions.as_slice() else { panic!() };
    assert_eq!((&fail.data["action"], &fail.data["automatic"]), (&json!("notify"), &json!(false)));
    assert_eq!((&rollback.data["action"], &rollback.data["automatic"]), (&json!("rollback"), &json!(true)));
    assert_eq!(rollback.data["at"], "2026-06-01T00:03:00Z");
    assert_ne!(fail.id("a"), rollback.id("a"));
    assert_ne!(fail.id("a"), fail.id("b"));
    assert_eq!(book.rollout("checkout").unwrap().state.phase, Phase::RolledBack);
}

#[test]
fn a_rollout_that_nobody_declared_only_notifies() {
    let mut ledger = Ledger::default();
    ledger.begin("cart", "2", 0);
    ledger.look("cart", "2", 2, "fail", json!({ "automatic_at": AUTOMATIC }));
    ledger.add("notify", json!({ "service": "cart", "candidate": "2", "at": at(2).to_string() }));
    // What was declared says it itself.
    ledger.begin("web", "2", 0);
    ledger.add("notify", json!({ "service": "web", "candidate": "2", "at": at(2).to_string() }));
    let mut book = Book::new(vec![declared()]);
    let decisions = read(&mut book, &ledger);
    assert_eq!(topics(&decisions), [("found", 1)]);
    assert_eq!(decisions[0].data["declared"], false);
    assert!(decisions[0].rollout.starts_with("found-"));
}

#[test]
fn the_name_of_a_declaration_is_its_only_rollout_and_of_several_none() {
    let mut ledger = Ledger::default();
    let mut book = Book::new(vec![declared()]);
    assert!(book.rollout_called("checkout").is_none());
    for (environment, alone) in [("prod", true), ("staging", false)] {
        ledger.add(
            "begin",
            json!({ "service": format!("web in {environment}"), "services": [{"environment": environment, "service": "web"}],
                "control": "1", "candidate": "2", "at": at(0).to_string() }),
        );
        book.entry(ledger.lines.last().unwrap());
        let id = format!("checkout@{environment}");
        assert_eq!(book.rollout(&id).map(|of| of.id.as_str()), Some(id.as_str()));
        assert_eq!(book.rollout_called("checkout").is_some(), alone, "{environment}");
        assert_eq!(book.several_called("checkout").is_none(), alone, "{environment}");
    }
    let words = book.several_called("checkout").unwrap();
    assert!(words.ends_with("name one of checkout@prod, checkout@staging"), "{words}");
    // Before its first line an environment is as any other.
    let awaited = book.awaited_called("checkout@test").unwrap();
    assert_eq!((awaited.id.as_str(), awaited.environment.as_deref()), ("checkout@test", Some("test")));
    assert!(["checkout@", "checkout@a@b", "other@test"].iter().all(|id| book.awaited_called(id).is_none()));
    assert!(book.rollout_called("checkout@staging").is_some() && book.rollout_called("other").is_none());
}

#[test]
fn a_pass_needs_every_service_and_an_accepted_change_counts_as_none() {
    let mut ledger = Ledger::default();
    let both = Declared { services: vec!["web".to_owned(), "api".to_owned()], ..declared() };
    ledger.begin("web", "2", 0);
    ledger.look("web", "2", 5, "pass", json!({}));
    let mut book = Book::new(vec![both]);
    assert!(read(&mut book, &ledger).is_empty(), "the other is not compared yet");
    ledger.begin("api", "2", 6);
    let changed = json!({ "would_pass": true, "changed": { "routes": 9.0, "faster": 1.0 } });
    ledger.look("api", "2", 8, "inconclusive", changed);
    let more = ledger.lines[2..].iter().flat_map(|line| book.entry(line)).collect::<Vec<_>>();
    assert!(more.is_empty());
    assert!(book.rollout("checkout").unwrap().reason().contains("changed and not accepted: routes"));
    let accept = |finding: &str| Journalled {
        after: 4,
        clock_ms: 0,
        what: What::Command {
            rollout: "checkout".to_owned(),
            command: Command::Accept,
            finding: Some(finding.to_owned()),
            actor: "ann".to_owned(),
            reason: "planned".to_owned(),
        },
    };
    assert!(book.journalled("a", &accept("luck")).unwrap_err().contains("no finding"));
    assert!(book.journalled("b", &accept("faster")).unwrap().is_empty(), "that is not what holds it back");
    let decisions = book.journalled("c", &accept("routes")).unwrap();
    assert_eq!(topics(&decisions), [("pass", 1), ("promote", 2)]);
    assert_eq!((&decisions[0].data["actor"], &decisions[0].data["command_reason"]), (&json!("ann"), &json!("planned")));
}

#[test]
fn commands_and_time_come_by_the_journal() {
    let course = Course {
        steps: vec![Step { share_ppm: 50_000, minimum: 10 * MINUTE }],
        needs_approval: false,
        deadline: Some((60 * MINUTE, AtDeadline::Hold)),
    };
    let mut ledger = Ledger::default();
    ledger.begin("web", "2", 0);
    ledger.look("web", "2", 1, "invalid", json!({ "flaws": ["sample_ratio"] }));
    let mut book = Book::new(vec![Declared { course, ..declared() }]);
    let decisions = read(&mut book, &ledger);
    assert_eq!(topics(&decisions), [("invalid", 1)]);
    assert!(decisions[0].data["reason"].as_str().unwrap().contains("sample_ratio"));
    assert!(book.due(Now::both(at(9))).is_empty());
    let time = |minute: i64| Journalled { after: 2, clock_ms: 0, what: What::Time(Now::both(at(minute))) };
    assert!(book.journalled("t1", &time(10)).unwrap().is_empty());
    let decisions = book.journalled("t2", &time(60)).unwrap();
    assert_eq!(topics(&decisions), [("deadline", 2)]);
    assert!(book.due(Now::both(at(90))).is_empty(), "once");
    let command = |rollout: &str, command| Journalled {
        after: 2,
        clock_ms: 7,
        what: What::Command {
            rollout: rollout.to_owned(),
            command,
            finding: None,
            actor: "ann".to_owned(),
            reason: "why".to_owned(),
        },
    };
    assert!(book.journalled("x", &command("nobody", Command::Hold)).unwrap_err().contains("no rollout"));
    let before = book.clone();
    assert_eq!(book.journalled("x", &command("checkout", Command::Hold)).unwrap_err(), "it is held already");
    assert_eq!(book.rollout("checkout"), before.rollout("checkout"));
    assert_eq!(topics(&book.journalled("y", &command("checkout", Command::Resume)).unwrap()), [("resumed", 3)]);
    assert_eq!(topics(&book.journalled("z", &command("checkout", Command::RollBack)).unwrap()), [("rollback", 4)]);
}

/// What was decided before a configuration was changed was decided by the one before: folded again, both come out as they did.
#[test]
fn a_changed_configuration_counts_from_its_place_on() {
    let with = |name: &str, deadline: Micros| {
        let course = Course { deadline: Some((deadline, AtDeadline::RollBack)), ..Course::default() };
        Declared { name: name.to_owned(), course, ..declared() }
    };
    let row = |after: u64, what: What| Journalled { after, clock_ms: 1, what };
    let configured = |after, of: Declared| row(after, What::Configured { declared: vec![of], hooks: Vec::new() });
    let mut ledger = Ledger::default();
    ledger.begin("web", "2", 0);
    ledger.look("web", "2", 1, "inconclusive", json!({}));
    let fold = |book: &mut Book, rows: &[Journalled]| {
        let mut told = Vec::new();
        let mut rows = rows.iter().peekable();
        for line in ledger.lines.iter().map(Some).chain([None]) {
            while let Some(row) = rows.next_if(|row| row.after <= book.read().entries) {
                told.extend(book.journalled(&row.to_row(), row).unwrap());
            }
            line.iter().for_each(|line| told.extend(book.entry(line)));
        }
        told
    };
    let time = |minute: i64| What::Time(Now::both(at(minute)));
    // The first deadline came; then it was put off, and somebody began nothing anew.
    let rows = [configured(0, with("old", 10 * MINUTE)), row(2, time(11)), configured(2, with("new", 60 * MINUTE))];
    let mut book = Book::default();
    let told = fold(&mut book, &rows);
    assert_eq!(topics(&told), [("deadline", 1), ("rollback", 2)]);
    assert_eq!(told[1].rollout, "old");
    let rollout = book.rollout("new").expect("it goes under its new name");
    assert_eq!((rollout.state.phase, book.rollout("old")), (Phase::RolledBack, None));
    // Put off in time, it comes later.
    let rows = [configured(0, with("old", 10 * MINUTE)), configured(2, with("old", 60 * MINUTE)), row(2, time(11))];
    let mut book = Book::default();
    assert!(fold(&mut book, &rows).is_empty());
    assert_eq!(book.due(Now::both(at(61))), [("old".to_owned(), Event::Deadline)]);
    // Who is compared with whom cannot change.
    let other = Declared { services: vec!["other".to_owned()], ..with("old", MINUTE) };
    let before = book.clone();
    assert!(book.journalled("x", &configured(2, other)).unwrap_err().contains("other rollouts"));
    assert_eq!(book.declared(), before.declared());
    let row = configured(2, with("old", MINUTE)).to_row();
    let (_, body) = read_rows(&row).unwrap().remove(0);
    assert_eq!(Journalled::from_row(&body).unwrap(), configured(2, with("old", MINUTE)));
}

/// Where healthy traffic is rolled back too often, failures are told and not acted on, until a later night says otherwise.
#[test]
fn a_placebo_that_fails_withholds_automatic_actions() {
    let placebo = |day: i64, failed: u32| {
        let (environment, service) = (String::new(), "web".to_owned());
        let of = Placebo { environment, service, day, splits: 100, failed, allowed: 4 };
        Journalled { after: 0, clock_ms: 1, what: What::Placebo { day, services: vec![of] } }
    };
    let mut ledger = Ledger::default();
    ledger.begin("web", "2", 0);
    ledger.look("web", "2", 2, "fail", json!({ "automatic_at": AUTOMATIC }));
    ledger.look("web", "2", 3, "fail", json!({ "automatic_at": AUTOMATIC }));
    let fold = |rows: &[(usize, Journalled)]| {
        let mut book = Book::new(vec![declared()]);
        let mut told = Vec::new();
        for (at, line) in ledger.lines.iter().enumerate() {
            for (_, row) in rows.iter().filter(|(before, _)| *before == at) {
                let (_, body) = read_rows(&row.to_row()).unwrap().remove(0);
                assert_eq!(Journalled::from_row(&body).as_ref(), Some(row));
                told.extend(book.journalled(&row.to_row(), row).unwrap());
            }
            told.extend(book.entry(line));
        }
        (book, told)
    };
    assert_eq!(topics(&fold(&[(0, placebo(1, 4))]).1), [("rollback", 1)]);
    let (book, told) = fold(&[(0, placebo(1, 5))]);
    assert_eq!(topics(&told), [("fail", 1)]);
    assert!(told[0].data["withheld"].as_str().unwrap().contains("5 would have been rolled back, and 4 may be"));
    assert!(book.withheld(book.rollout("checkout").unwrap()).is_some());
    let (book, told) = fold(&[(0, placebo(1, 5)), (2, placebo(2, 0))]);
    assert_eq!(topics(&told), [("fail", 1), ("rollback", 2)]);
    assert_eq!((book.placebos().len(), book.placebo_day()), (1, Some(2)));
    // What is kept in place of rows holds all of it.
    let what = What::Kept { bytes: 7, book: Box::new(book.clone()), hooks: Vec::new() };
    let row = Journalled { after: 3, clock_ms: 1, what };
    let (_, body) = read_rows(&row.to_row()).unwrap().remove(0);
    assert_eq!(Journalled::from_row(&body), Some(row));
}

/// What is forgotten is not told again, however often everything is folded anew.
#[test]
fn what_was_settled_is_not_decided_again() {
    let all = decisions(40);
    let now = 1_000;
    let mut deliveries = Deliveries::default();
    deliveries.open(vec![target("one")], &[], 0, now);
    let mut rows = String::new();
    for decision in &all[..30] {
        let list = deliveries.decide(decision, now);
        assert_eq!(list.len(), 1);
        rows.push_str(&Deliveries::rows_of(&list));
        deliveries.take(list);
    }
    for _ in 0..25 {
        let (list, _) = deliveries.next(now);
        assert!(matches!(list.as_slice(), [Do::Send { .. }]));
        rows.push_str(&deliveries.outcome(0, now, Outcome::Taken(200)).unwrap());
    }
    let settled = deliveries.settle(all[29].read, 5);
    assert_eq!(deliveries.known(), 10, "five that wait, and five at their end");
    assert!(settled.len() < rows.len() / 2);
    let mut again = Deliveries::restore(&read_rows(&settled).unwrap()).unwrap();
    again.open(vec![target("one")], &[], 0, now);
    assert_eq!(again.known(), 10);
    let told: Vec<usize> = all.iter().map(|decision| again.decide(decision, now).len()).collect();
    assert_eq!(told, [[0; 30].as_slice(), &[1; 10]].concat());
    let (list, _) = again.next(now);
    assert!(matches!(list.as_slice(), [Do::Send { .. }]), "what waited goes on");
}

#[test]
fn names_of_arms_may_have_gaps() {
    for (pattern, name, is) in [
        ("canary", "canary", true),
        ("canary", "canary-2", false),
        ("canary*", "canary-2", true),
        ("*-canary", "web-canary", true),
        ("a*b*c", "a1b2c", true),
        ("a*b*c", "a1c2b", false),
        ("*", "", true),
        ("a*a", "a", false),
    ] {
        assert_eq!(glob(pattern, name), is, "{pattern} {name}");
    }
}

#[test]
fn rows_know_whether_they_are_whole() {
    let rows: String = (0..3)
        .map(|number| {
            Journalled { after: number, clock_ms: 5, what: What::Time(Now::both(Timestamp(number as i64))) }.to_row()
        })
        .collect();
    let read = read_rows(&rows).unwrap();
    assert_eq!(read.len(), 3);
    assert_eq!(Journalled::from_row(&read[2].1).unwrap().after, 2);
    assert_eq!(read_rows(&rows.replacen("\"after\":1", "\"after\":7", 1)), Err(Damaged(2)));
    assert_eq!(read_rows("").unwrap(), []);
    assert_eq!(read_rows(&rows[..rows.len() - 1]).unwrap().len(), 2, "a line that was being written is none");
}

fn target(name: &str) -> Target {
    Target { name: name.to_owned(), topics: Topic::ALL.to_vec(), expires_ms: 900_000, since: Since::default() }
}

const HOUR_MS: i64 = 3_600_000;

/// Random numbers of a seed.
struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

/// A target as the test sees it: what it was sent, and by when it must have answered.
struct World {
    random: Random,
    /// Time as it passes, and how far the clock is ahead of it.
    now: i64,
    ahead: i64,
    lasts_ms: i64,
    /// Rows that last.
    disk: String,
    deliveries: Deliveries,
    /// Of each target: ids and bodies in the order in which they came.
    came: Vec<Vec<(String, String)>>,
    /// Answers under way: target, when, what.
    answers: Vec<(usize, i64, Outcome)>,
    crashes: u64,
    jumps: u64,
}

impl World {
    /// `lasts_ms`: how long a rollback means something.
    fn new(seed: u64, lasts_ms: i64) -> World {
        let mut world = World {
            random: Random(seed),
            now: 1_000_000_000,
            ahead: 0,
            lasts_ms,
            disk: String::new(),
            deliveries: Deliveries::default(),
            came: vec![Vec::new(), Vec::new()],
            answers: Vec::new(),
            crashes: 0,
            jumps: 0,
        };
        world.start();
        world
    }

    /// Everything in memory is gone; the disk is read again.
    fn start(&mut self) {
        let rows = read_rows(&self.disk).unwrap();
        self.deliveries = Deliveries::restore(&rows).unwrap();
        let seed = self.random.below(1 << 30);
        let targets = ["one", "two"].map(|name| Target { expires_ms: self.lasts_ms, ..target(name) });
        let rows = self.deliveries.open(targets.to_vec(), &[], seed, self.clock());
        self.disk.extend(rows);
        self.answers.clear();
    }

    fn clock(&self) -> i64 {
        self.now + self.ahead
    }

    /// The clock is set, back or forward, by hours or seconds.
    fn may_jump(&mut self, often: u64) {
        if often > 0 && self.random.below(often) == 0 {
            let most = if self.random.below(2) == 0 { 10 * HOUR_MS } else { 20_000 };
            self.ahead = self.random.below(2 * most.unsigned_abs()).cast_signed() - most;
            self.jumps += 1;
        }
    }

    /// Between any two writes the program may die.
    fn may_crash(&mut self, often: u64) -> bool {
        let dies = often > 0 && self.random.below(often) == 0;
        if dies {
            self.crashes += 1;
            self.start();
        }
        dies
    }

    /// One turn: what is decided is written and taken, what is due is sent, what is answered is written.
    fn turn(&mut self, often: u64, failing: u64, all: &[Decision]) {
        self.may_jump(often);
        // A restart reads the whole ledger again.
        for decision in all {
            let list = self.deliveries.decide(decision, self.clock());
            if list.is_empty() {
                continue;
            }
            if self.may_crash(often) {
                return;
            }
            self.disk += &Deliveries::rows_of(&list);
            if self.may_crash(often) {
                return;
            }
            self.deliveries.take(list);
        }
        let (list, wait) = self.deliveries.next(self.clock());
        for what in list {
            if self.may_crash(often) {
                return;
            }
            match what {
                Do::Write(row) => self.disk += &row,
                Do::Send { target, id, body } => {
                    self.came[target].push((id, body));
                    let outcome = match self.random.below(10) {
                        at if at >= failing => Outcome::Taken(200),
                        at if at % 3 == 0 => Outcome::NoAnswer,
                        at if at % 3 == 1 => Outcome::Refused(503, Some(2)),
                        _ => Outcome::Refused(500, None),
                    };
                    let after = self.random.below(3_000) as i64;
                    self.answers.push((target, self.now + after, outcome));
                }
            }
        }
        if self.may_crash(often) {
            return;
        }
        self.answers.sort_by_key(|(_, at, _)| *at);
        match self.answers.first().copied() {
            Some((target, at, outcome)) => {
                self.answers.remove(0);
                self.now = self.now.max(at);
                if let Some(row) = self.deliveries.outcome(target, self.clock(), outcome)
                    && !self.may_crash(often)
                {
                    self.disk += &row;
                }
            }
            None => self.now = wait.map_or(self.now + 100, |wait| (wait - self.ahead).max(self.now)),
        }
    }
}

fn decisions(count: usize) -> Vec<Decision> {
    let mut ledger = Ledger::default();
    for number in 0..count {
        let candidate = (number + 2).to_string();
        ledger.begin("web", &candidate, number as i64);
        ledger.look("web", &candidate, number as i64, "fail", json!({ "automatic_at": AUTOMATIC }));
    }
    read(&mut Book::new(vec![declared()]), &ledger)
}

/// Crashes between any two writes, answers that get lost, targets that fail, clocks that are set back and forward by hours: in the end,
/// and soon, each target has everything, in order, and what came again came with the same bytes.
#[test]
fn whatever_crashes_everything_arrives_in_order_and_repeats_are_identical() {
    for seed in 0..300 {
        let all = decisions(6);
        let mut world = World::new(seed, 48 * HOUR_MS);
        for _ in 0..60 {
            world.turn(12, 5, &all);
        }
        // The storm is over; the last thing that happens is that the clock is set back.
        let since = world.now;
        world.ahead -= 10 * HOUR_MS;
        let waiting = |world: &World| world.deliveries.targets().map(|(_, lane)| lane.waiting()).sum::<usize>();
        for _ in 0..2_000 {
            world.turn(0, 0, &all);
            if waiting(&world) == 0 {
                break;
            }
        }
        assert_eq!(waiting(&world), 0, "seed {seed}");
        // The longest pause, and answers one after the other.
        assert!(world.now - since < 120_000, "seed {seed}: {} ms", world.now - since);
        for (number, name) in ["one", "two"].into_iter().enumerate() {
            let expected: Vec<String> = all.iter().map(|decision| decision.id(name)).collect();
            let mut bodies = std::collections::BTreeMap::new();
            let mut first = Vec::new();
            for (id, body) in &world.came[number] {
                let known = bodies.entry(id.clone()).or_insert_with(|| {
                    first.push(id.clone());
                    body.clone()
                });
                assert_eq!(known, body, "seed {seed}: a repeat has the same bytes");
            }
            assert_eq!(first, expected, "seed {seed}: each of them, in order");
        }
        let restored = Deliveries::restore(&read_rows(&world.disk).unwrap()).unwrap();
        assert!(restored.latest().all(|delivery| matches!(delivery.standing, Standing::Taken(_))), "seed {seed}");
        assert!(world.crashes > 0 && world.jumps > 0, "seed {seed}");
    }
}

#[test]
fn a_target_that_is_broken_is_asked_seldom_and_what_is_late_is_given_up() {
    let all = decisions(1);
    let mut world = World::new(1, HOUR_MS / 4);
    let begin = world.now;
    for _ in 0..2_000 {
        world.turn(0, 10, &all);
    }
    let delivery: Vec<&Delivery> = world.deliveries.latest().collect();
    assert!(delivery.iter().all(|of| matches!(of.standing, Standing::GivenUp(_, why) if why == Why::Expired.name())));
    let asked = world.came[0].len();
    // 15 minutes: six attempts at first, then one in each 30 to 60 s.
    assert!((20..=40).contains(&asked), "{asked} attempts in {} s", (world.now - begin) / 1_000);
}

#[test]
fn a_lane_waits_as_long_as_it_is_asked_and_stops_when_nothing_is_wanted() {
    let mut lane = Lane::new(3);
    let give = |id: &str| Given { id: id.to_owned(), expires_ms: 1_000_000 };
    lane.push(give("a"));
    lane.push(give("b"));
    assert_eq!(lane.next(0), Next::Send("a".to_owned()));
    assert_eq!(lane.next(0), Next::Nothing, "one at a time");
    assert_eq!(lane.outcome(10, Outcome::Refused(429, Some(30))), None);
    assert_eq!(lane.next(10), Next::Wait(30_010));
    assert_eq!(lane.next(30_010), Next::Send("a".to_owned()));
    assert_eq!(lane.outcome(30_020, Outcome::Taken(200)), Some("a".to_owned()));
    assert_eq!((lane.failures(), lane.is_broken()), (0, false));
    assert_eq!(lane.next(30_020), Next::Send("b".to_owned()));
    assert_eq!(lane.outcome(30_030, Outcome::Gone), None);
    assert_eq!(lane.next(30_030), Next::GiveUp("b".to_owned(), Why::Gone));
    assert!(lane.is_gone());
    assert_eq!(lane.outcome(30_040, Outcome::Taken(200)), None, "nothing was under way");
}

#[test]
fn what_waits_for_a_hook_that_is_gone_is_given_up() {
    let all = decisions(1);
    let mut deliveries = Deliveries::default();
    assert!(deliveries.open(vec![target("one")], &[], 0, 0).is_empty());
    let list = deliveries.decide(&all[0], 5);
    let disk = Deliveries::rows_of(&list);
    let mut restored = Deliveries::restore(&read_rows(&disk).unwrap()).unwrap();
    let rows = restored.open(vec![target("two")], &[], 0, 9);
    assert_eq!(rows.len(), 1);
    let again = Deliveries::restore(&read_rows(&(disk + &rows[0])).unwrap()).unwrap();
    assert!(matches!(again.latest().next().unwrap().standing, Standing::GivenUp(9, _)));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, rng_seed: RngSeed::Fixed(577), failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the ledger says, and wherever it is cut: what was decided before the cut is decided again, the same, and
    /// generations of a rollout rise by one; of one attempt at most one rollback is told.
    #[test]
    fn decisions_are_a_function_of_the_ledger(
        looks in prop::collection::vec((0..4usize, 0..3usize, any::<bool>(), any::<bool>()), 1..40),
        cut in 0..80usize,
    ) {
        let mut ledger = Ledger::default();
        for (minute, (verdict, candidate, automatic, begins)) in looks.into_iter().enumerate() {
            let (minute, candidate) = (minute as i64, (candidate + 2).to_string());
            if begins {
                ledger.begin("web", &candidate, minute);
            }
            let verdict = ["pass", "fail", "inconclusive", "invalid"][verdict];
            let more = if automatic && verdict == "fail" { json!({ "automatic_at": AUTOMATIC }) } else { json!({}) };
            ledger.look("web", &candidate, minute, verdict, more);
        }
        let whole = read(&mut Book::new(vec![declared()]), &ledger);
        let mut book = Book::new(vec![declared()]);
        let cut = cut.min(ledger.lines.len());
        let before: Vec<Decision> = ledger.lines[..cut].iter().flat_map(|line| book.entry(line)).collect();
        prop_assert_eq!(&before[..], &whole[..before.len()]);
        for (number, decision) in whole.iter().enumerate() {
            prop_assert_eq!(decision.generation, number as u64 + 1);
        }
        let ids: std::collections::BTreeSet<String> = whole.iter().map(|decision| decision.id("x")).collect();
        prop_assert_eq!(ids.len(), whole.len());
        let mut attempts: Vec<&Value> =
            whole.iter().filter(|of| of.topic == Topic::Rollback).map(|of| &of.data["attempt"]).collect();
        let all = attempts.len();
        attempts.dedup();
        prop_assert_eq!(attempts.len(), all);
    }
}

/// A muted template is remembered until its time is over, and no decision goes by it.
#[test]
fn a_muted_template_changes_no_decision() {
    let muted = |template: &str, clock_ms: i64, until_ms: i64| {
        let (rollout, actor, reason) = ("checkout".to_owned(), "ann".to_owned(), "noise".to_owned());
        let of = Muted { rollout, template: template.to_owned(), until_ms, actor, reason };
        Journalled { after: 1, clock_ms, what: What::Muted(of) }
    };
    let known = |book: &Book| -> Vec<(String, i64)> {
        book.muted().iter().map(|of| (of.template.clone(), of.until_ms)).collect()
    };
    let mut ledger = Ledger::default();
    ledger.begin("web", "2", 0);
    let mut book = Book::new(vec![declared()]);
    read(&mut book, &ledger);
    for row in [muted("a", 10, 100), muted("b", 20, 30), muted("a", 25, 200)] {
        let (_, body) = read_rows(&row.to_row()).unwrap().remove(0);
        assert_eq!(Journalled::from_row(&body).as_ref(), Some(&row));
        assert_eq!(book.journalled(&row.to_row(), &row), Ok(Vec::new()));
    }
    assert_eq!(known(&book), [("b".to_owned(), 30), ("a".to_owned(), 200)], "the later one counts");
    // What is over goes when another comes; no time at all takes one back.
    book.journalled("x", &muted("a", 40, 0)).unwrap();
    assert_eq!(known(&book), []);
    let mut other = muted("a", 50, 60);
    let What::Muted(of) = &mut other.what else { panic!("a mute") };
    of.rollout = "nobody".to_owned();
    assert!(book.journalled("x", &other).is_err());
    book.journalled("x", &muted("a", 50, 9_000)).unwrap();
    ledger.lines.clear();
    ledger.look("web", "2", 2, "fail", json!({ "automatic_at": AUTOMATIC }));
    assert_eq!(topics(&read(&mut book, &ledger)), [("rollback", 1)]);
    let kept: Book = serde_json::from_value(serde_json::to_value(&book).unwrap()).unwrap();
    assert_eq!(known(&kept), [("a".to_owned(), 9_000)]);
}
