//! Placebo splits of `serin run`: made once for each day that is over, and what follows where they fail.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::Path;

use crate::common::acting::{broken, configure, post, rollout};
use crate::common::receiver::{Answer, Came, Receiver};
use crate::common::running::{Running, until};
use crate::common::{Line, Traffic, folder_with, serin};
use serde_json::Value;
use serin::outbox::{Journalled, Placebo, What};
use serin::time::HOUR;

fn status(running: &Running) -> Value {
    serde_json::from_str(&running.ask("/v1/status", &running.address).unwrap().1).unwrap()
}

fn rows(state: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(state.join("journal.ndjson")).unwrap();
    text.lines().filter(|row| row.contains(r#""kind":"placebo""#)).map(str::to_owned).collect()
}

#[test]
fn a_day_that_is_over_is_split_once_and_healthy_traffic_is_trusted() {
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let traffic = Traffic {
        requests: 700,
        users: 250,
        minutes: 5,
        errors: vec![0.02, 0.02],
        slower: vec![1.0, 1.0],
        ..Traffic::default()
    };
    let today = traffic.lines();
    let next: Vec<Line> = today.iter().map(|line| Line { at: line.at + 24 * HOUR, ..line.clone() }).collect();
    let text: String = today.iter().chain(&next).map(|line| line.text() + "\n").collect();
    let mut running = Running::start(&[], &state);
    post(&running, &text);
    let found = until("the day was split", || {
        let list = status(&running)["placebos"].as_array().unwrap().clone();
        list.first().cloned()
    });
    assert_eq!((&found["service"], &found["day"]), (&"shop".into(), &"2026-06-01T00:00:00Z".into()));
    assert_eq!((&found["splits"], &found["allowed"], &found["withheld"]), (&100.into(), &4.into(), &Value::Null));
    assert!(found["failed"].as_u64() <= Some(4), "{found}");
    assert!(!state.join("placebo.lines").exists());
    let before = rows(&state);
    assert_eq!(before.len(), 1);
    // After a restart it is known, and not done again.
    drop(running);
    running = Running::start(&[], &state);
    until("all was computed again", || (status(&running)["caught_up"] == true).then_some(()));
    assert_eq!(status(&running)["placebos"][0], found);
    let report = until("there is a report", || running.report());
    assert_eq!(report["placebos"][0], found);
    assert_eq!(rows(&state), before);
}

#[test]
fn where_the_placebo_fails_a_failure_is_told_and_not_acted_on() {
    let receiver = Receiver::start(|_, _: &Came| Answer::Status(200, String::new()));
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let config = configure(folder.path(), &receiver.address, "");
    // As a night would have journalled it; no later one comes.
    let of = Placebo {
        environment: String::new(),
        service: "shop".to_owned(),
        day: 30_000,
        splits: 100,
        failed: 9,
        allowed: 4,
    };
    let row = Journalled { after: 0, clock_ms: 1, what: What::Placebo { day: 30_000, services: vec![of] } };
    drop(Running::start(&["--config", &config], &state));
    let path = state.join("journal.ndjson");
    let journal = std::fs::read_to_string(&path).unwrap() + &row.to_row();
    std::fs::write(&path, journal).unwrap();

    let running = Running::start(&["--config", &config], &state);
    post(&running, &broken());
    let failed = until("it has failed", || rollout(&running).filter(|rollout| rollout["phase"] == "failed"));
    let words = "9 would have been rolled back, and 4 may be";
    assert!(failed["withheld"].as_str().unwrap().contains(words) && failed["automatic"] == true, "{failed}");
    let came = until("it is told", || receiver.came().into_iter().next());
    assert_eq!(came.event(), "fail");
    assert!(came.json()["data"]["withheld"].as_str().unwrap().contains(words));
    let report = until("there is a report", || running.report());
    assert!(report["placebos"][0]["withheld"].as_str().unwrap().contains(words));
    let gate: Value =
        serde_json::from_str(&running.ask("/v1/rollouts/shop/gate", &running.address).unwrap().1).unwrap();
    assert_eq!(gate["data"]["verdict"], "fail");
    assert!(gate["data"]["reason"].as_str().unwrap().contains(words), "{gate}");
    assert!(running.page().unwrap().1.contains(words));
    let said = serin(folder.path(), &["status", "--address", &running.address]).expect(0).out;
    assert!(said.contains(words), "{said}");
    assert_eq!(receiver.came().len(), 1, "nothing was rolled back");
}
