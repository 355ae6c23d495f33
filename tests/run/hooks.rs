//! `serin run` acts: a broken canary is rolled back by a signed message, once, whatever crashes or fails in between.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::collections::BTreeMap;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common::acting::{SECRET, bodies, broken, configure, configure_with, post, post_body, rollout};
use crate::common::receiver::{Answer, Came, Receiver};
use crate::common::running::{PATIENCE, Running, until};
use crate::common::{Random, folder_with};
use serde_json::Value;

fn ok() -> Answer {
    Answer::Status(200, String::new())
}

/// The rollout, once it was rolled back and nothing is on its way any more.
fn over(running: &Running) -> Option<Value> {
    let rollout = rollout(running)?;
    let deliveries = rollout["deliveries"].as_array()?;
    let rolled_back = deliveries.iter().any(|delivery| delivery["event"] == "rollback");
    (rolled_back && deliveries.iter().all(|delivery| delivery["state"] == "taken")).then_some(rollout)
}

/// Nothing is on its way any more, and something was taken.
fn all_taken(running: &Running) -> Value {
    until("everything is delivered", || over(running))
}

/// What came by id, each with how often; what came again must be the same.
fn by_id(came: &[Came]) -> BTreeMap<String, (Came, usize)> {
    let mut ids: BTreeMap<String, (Came, usize)> = BTreeMap::new();
    for one in came {
        let known = ids.entry(one.id().to_owned()).or_insert_with(|| (one.clone(), 0));
        assert_eq!(known.0.body, one.body, "what comes again has the same bytes");
        known.1 += 1;
    }
    ids
}

fn rollbacks(came: &[Came]) -> usize {
    by_id(came).values().filter(|(one, _)| one.event() == "rollback").count()
}

#[test]
fn a_broken_canary_is_rolled_back_once_by_a_signed_message() {
    let receiver = Receiver::start(|_, _| ok());
    let folder = folder_with(&[]);
    let config = configure(folder.path(), &receiver.address, "");
    let running = Running::start(&["--config", &config], &folder.path().join("state"));
    post(&running, &broken());
    let rollout = all_taken(&running);
    assert_eq!((&rollout["phase"], &rollout["verdict"]), (&"rolled back".into(), &"fail".into()));
    let came = receiver.came();
    assert_eq!(rollbacks(&came), 1, "{came:?}");
    let ids = by_id(&came);
    assert!(ids.values().all(|(_, times)| *times == 1));
    // Later decisions have greater generations.
    let generations: Vec<u64> = came.iter().map(|one| one.json()["data"]["generation"].as_u64().unwrap()).collect();
    assert!(generations.is_sorted_by(|a, b| a < b), "{generations:?}");
    let (rollback, _) = ids.values().find(|(one, _)| one.event() == "rollback").unwrap();
    let data = &rollback.json()["data"];
    assert_eq!(
        (&data["action"], &data["automatic"], &data["declared"]),
        (&"rollback".into(), &true.into(), &true.into())
    );
    assert_eq!((&data["compared"][0]["candidate"], &data["owners"][0]), (&"canary".into(), &"team-shop".into()));
    assert!(data["reason"].as_str().unwrap().contains("worse"), "{data}");
    assert_eq!((rollback.path.as_str(), data["id"].as_str().unwrap()), ("/hook", rollback.id()));
    // By the library that receivers use.
    let verifier = standardwebhooks::Webhook::new(SECRET).unwrap();
    for one in &came {
        let mut headers = http::HeaderMap::new();
        for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
            headers.insert(name, one.headers[name].parse().unwrap());
        }
        verifier.verify(one.body.as_bytes(), &headers).unwrap();
        assert!(verifier.verify(format!("{} ", one.body).as_bytes(), &headers).is_err());
    }
    // The secret is nowhere in what is shown or kept.
    let bare = SECRET.trim_start_matches("whsec_");
    for path in ["/v1/rollouts/shop", "/v1/status", "/healthz"] {
        assert!(!running.ask(path, &running.address).unwrap().1.contains(bare));
    }
    let receipts = std::fs::read_to_string(folder.path().join("state/receipts.ndjson")).unwrap();
    assert!(!receipts.contains(bare));
    // What was declared says it itself: nothing was told as found.
    assert!(came.iter().all(|one| one.event() != "found"));
}

#[test]
fn a_target_that_fails_is_asked_again_in_order_with_the_same_bytes() {
    let receiver = Receiver::start(|number, _| match number {
        0 => Answer::Status(500, String::new()),
        1 => Answer::Close,
        2 => Answer::Status(302, "Location: /elsewhere\r\n".to_owned()),
        3 => Answer::Silence,
        4 => Answer::Status(503, "Retry-After: 1\r\n".to_owned()),
        _ => ok(),
    });
    let folder = folder_with(&[]);
    // Only who is silent is given up; whoever answers has time to.
    let config = configure_with(folder.path(), &receiver.address, ("idle: 2s", "5s"), "");
    let running = Running::start(&["--config", &config], &folder.path().join("state"));
    post(&running, &broken());
    until("it is seen that the target fails", || {
        let (status, body) = running.ask("/healthz", &running.address)?;
        assert_eq!(status, 200, "{body}");
        (body.contains("status 500") || body.contains("no answer") || receiver.came().len() > 1).then_some(())
    });
    all_taken(&running);
    let came = receiver.came();
    assert!(came.iter().all(|one| one.path == "/hook"), "no redirect is followed");
    let first = came[0].id().to_owned();
    assert!(came[..6].iter().all(|one| one.id() == first), "nothing overtakes what comes first");
    assert_eq!(by_id(&came)[&first].1, 6);
    assert_eq!(rollbacks(&came), 1);
    let (_, body) = running.ask("/healthz", &running.address).unwrap();
    let health: Value = serde_json::from_str(&body).unwrap();
    assert_eq!((&health["hooks"][0]["state"], &health["hooks"][0]["waiting"]), (&"ok".into(), &0.into()));
}

#[test]
fn a_target_that_wants_nothing_more_is_shown_as_gone() {
    let receiver = Receiver::start(|_, _| Answer::Status(410, String::new()));
    let folder = folder_with(&[]);
    let config = configure(folder.path(), &receiver.address, "");
    let running = Running::start(&["--config", &config], &folder.path().join("state"));
    post(&running, &broken());
    let health = until("it is given up", || {
        let (_, body) = running.ask("/healthz", &running.address)?;
        let health: Value = serde_json::from_str(&body).unwrap();
        (health["hooks"][0]["given_up"].as_u64() > Some(0) && health["hooks"][0]["waiting"] == 0).then_some(health)
    });
    assert_eq!(health["hooks"][0]["state"], "gone");
    assert!(health["hooks"][0]["last_given_up"]["why"].as_str().unwrap().contains("410"), "{health}");
    assert_eq!(receiver.came().len(), 1);
}

/// When the program is killed.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// When the next message has come, before or after the answer.
    AtMessage(bool),
    /// When a file of the state directory has this many bytes.
    AtBytes(&'static str, u64),
}

fn kill(pid: u32) {
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
}

/// Rounds at a time.
const ROUNDS_BESIDE: usize = 4;

/// One round: ids of what was delivered, and how often something came again.
fn crashed_round(seed: u64, text: &str) -> (Vec<String>, usize) {
    let mut random = Random::new(seed);
    let moments: Vec<Moment> = (0..2)
        .map(|_| match random.below(4) {
            0 => Moment::AtMessage(false),
            1 => Moment::AtBytes("ledger.ndjson", 1_000 + random.below(60_000)),
            2 => Moment::AtBytes("receipts.ndjson", random.below(3_000)),
            _ => Moment::AtMessage(true),
        })
        .collect();
    println!("seed {seed}: {moments:?}");
    let (pid, at_message) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(None::<bool>)));
    let killed = Arc::new(AtomicBool::new(false));
    let receiver = {
        let (pid, at_message, killed) = (Arc::clone(&pid), Arc::clone(&at_message), Arc::clone(&killed));
        Receiver::start(move |_, _| match at_message.lock().unwrap().take() {
            Some(false) => {
                kill(pid.load(Ordering::SeqCst));
                killed.store(true, Ordering::SeqCst);
                Answer::Close
            }
            Some(true) => {
                killed.store(true, Ordering::SeqCst);
                ok()
            }
            None => ok(),
        })
    };
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let config = configure(folder.path(), &receiver.address, "");
    let start = || {
        let running = Running::start(&["--config", &config], &state);
        pid.store(running.child.id(), Ordering::SeqCst);
        running
    };
    let lines = text.lines().count() as u64;
    let mut running = start();
    for moment in moments {
        killed.store(false, Ordering::SeqCst);
        if let Moment::AtMessage(answered) = moment {
            *at_message.lock().unwrap() = Some(answered);
        }
        // Some lines come before; others may still be coming when the moment has come.
        let (mut bodies, mut posted, mut looks) = (bodies(text).into_iter(), 0, 0);
        let least = random.below(bodies.len() as u64 + 1);
        let began = std::time::Instant::now();
        loop {
            let is_due = match moment {
                Moment::AtMessage(..) => killed.load(Ordering::SeqCst),
                Moment::AtBytes(file, bytes) => {
                    std::fs::metadata(state.join(file)).is_ok_and(|file| file.len() >= bytes)
                }
            };
            if is_due && posted >= least {
                break;
            }
            if let Some(body) = bodies.next() {
                if !post_body(&running, &body) {
                    assert!(matches!(moment, Moment::AtMessage(false)), "{moment:?}: nobody has killed it");
                    break;
                }
                posted += 1;
                continue;
            }
            // Everything may be over before the moment comes: all is read and judged, and nothing is on its way.
            looks += 1;
            let read = || running.report().and_then(|report| report["records"]["read"].as_u64());
            if looks % 50 == 0 && over(&running).is_some() && read() == Some(lines) {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "{moment:?} does not come");
            // Another process is watched; when it is seen decides nothing but the moment, which is random anyway.
            std::thread::sleep(Duration::from_millis(1));
        }
        drop(running);
        *at_message.lock().unwrap() = None;
        running = start();
    }
    post(&running, text);
    all_taken(&running);
    let came = receiver.came();
    let ids = by_id(&came);
    let repeats = ids.values().map(|(_, times)| times - 1).sum::<usize>();
    assert_eq!(rollbacks(&came), 1, "seed {seed}");
    (ids.into_keys().collect(), repeats)
}

/// `kill -9` at random moments between the first line and the last receipt: in the end each decision is delivered, each under one
/// id, and whatever came again has the same bytes. `SERIN_CRASHES` sets the number of rounds, `SERIN_SEED` the first seed.
#[test]
fn after_kill_9_each_decision_arrives_and_repeats_are_identical() {
    let number = |name: &str, usual: u64| std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual);
    let text = broken();
    let seeds: Vec<u64> = (number("SERIN_SEED", 1)..).take(number("SERIN_CRASHES", 15) as usize).collect();
    // Most of a round is waiting.
    let rounds: Vec<(Vec<String>, usize)> = std::thread::scope(|scope| {
        let part = seeds.len().div_ceil(ROUNDS_BESIDE).max(1);
        let started: Vec<_> = seeds
            .chunks(part)
            .map(|seeds| scope.spawn(|| seeds.iter().map(|seed| crashed_round(*seed, &text)).collect::<Vec<_>>()))
            .collect();
        started.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    // Ids follow from the ledger, and that from the log: they are the same in every round.
    assert!(rounds.iter().all(|(ids, _)| *ids == rounds[0].0));
    let repeats: usize = rounds.iter().map(|(_, repeats)| repeats).sum();
    println!("{repeats} repeats");
    assert!(repeats > 0, "no moment lay between a message and its receipt");
}
