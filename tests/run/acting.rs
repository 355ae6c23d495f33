//! `serin run` as controllers and people meet it: configuration, gate, commands, a disk that is full.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::Path;
use std::process::Command;

use crate::common::acting::{broken, configure, post, rollout};
use crate::common::receiver::{Answer, Receiver};
use crate::common::running::{Running, until};
use crate::common::{Line, Random, START, Said, Traffic, folder_with, ledger_values, serin};
use serde_json::{Value, json};
use serin::pipeline::clock::parse_time;
use serin::time::{MINUTE, SECOND, Timestamp};

fn ok() -> Answer {
    Answer::Status(200, String::new())
}

fn get(running: &Running, path: &str) -> (u16, Value) {
    let (status, body) = running.ask(path, &running.address).unwrap();
    (status, serde_json::from_str(&body).unwrap_or(Value::Null))
}

/// The gate of the rollout.
fn gate(running: &Running) -> Value {
    let (status, body) = get(running, "/v1/rollouts/shop/gate");
    assert_eq!(status, 200, "{body}");
    body["data"].clone()
}

fn flagger(running: &Running, kind: &str, metadata: &Value) -> (u16, String) {
    let question = json!({ "name": "shop", "namespace": "test", "phase": "Progressing", "checksum": "85d557f47b", "metadata": metadata });
    running
        .post(&format!("/v1/flagger/{kind}"), &[("Content-Type", "application/json")], question.to_string().as_bytes())
        .unwrap()
}

fn failed(running: &Running) -> Value {
    until("it has failed", || rollout(running).filter(|rollout| rollout["phase"] == "rolled back"))
}

#[test]
fn check_tells_every_problem_with_its_place_and_run_refuses_the_same() {
    let text = "idle: soon\nrollouts:\n- {name: shop, services: []}\nhooks:\n- {name: a, url: 'http://far.example/'}\n";
    let folder = folder_with(&[("serin.yaml", text.as_bytes()), ("empty.yaml", b"")]);
    let said = serin(folder.path(), &["check"]).expect(2).out;
    let places: Vec<&str> = said.lines().map(|line| line.split(": ").next().unwrap()).collect();
    assert_eq!(places, ["serin.yaml:1:7", "serin.yaml:3:26", "serin.yaml:5:3", "serin.yaml:5:18"], "{said}");
    let refused = serin(folder.path(), &["run", "--listen", "127.0.0.1:0"]).expect(2).err;
    for line in said.lines() {
        assert!(refused.contains(line), "{refused}");
    }
    assert!(!folder.path().join("serin-state").exists(), "nothing has begun");
    assert!(serin(folder.path(), &["check", "empty.yaml"]).expect(0).out.contains("nothing is wrong"));
    serin(folder.path(), &["check", "nowhere.yaml"]).expect(2);
}

#[test]
fn the_gate_answers_for_controllers_and_after_a_restart_from_the_ledger() {
    let receiver = Receiver::start(|_, _| ok());
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let config = configure(folder.path(), &receiver.address, "");
    let running = Running::start(&["--config", &config], &state);
    let said = gate(&running);
    assert_eq!(said["verdict"], "inconclusive");
    assert!(said["reason"].as_str().unwrap().contains("waiting for"), "{said}");
    assert_eq!(get(&running, "/v1/rollouts").1["rollouts"][0]["phase"], "waiting");
    let by_rollout = json!({ "rollout": "shop" });
    // What is not known rolls nothing back.
    assert_eq!(flagger(&running, "rollback", &by_rollout).0, 403);
    assert_eq!(flagger(&running, "rollout", &by_rollout).0, 200);
    post(&running, &broken());
    failed(&running);
    let said = until("the report has it", || Some(gate(&running)).filter(|said| said["verdict"] == "fail"));
    assert_eq!((&said["score"], &said["phase"], &said["rollout"]), (&0.into(), &"rolled back".into(), &"shop".into()));
    assert!(said["canary_units"].as_u64() > Some(0) && said["log10_e"].as_f64() > Some(3.0), "{said}");
    assert!(said["reason"].as_str().unwrap().contains("More users meet errors"), "{said}");
    for (kind, metadata, status) in [
        ("rollback", &by_rollout, 200),
        ("rollback", &json!({ "service": "shop", "canary": "canary" }), 200),
        ("rollback", &json!({}), 200),
        ("rollback", &json!({ "rollout": "nobody" }), 403),
        ("rollback", &json!({ "service": "nobody" }), 403),
        ("rollout", &by_rollout, 412),
        ("confirm-traffic-increase", &by_rollout, 403),
        ("confirm-promotion", &by_rollout, 403),
        ("confirm-rollout", &by_rollout, 200),
        ("event", &by_rollout, 200),
        ("post-rollout", &by_rollout, 200),
        ("luck", &by_rollout, 404),
    ] {
        let (got, body) = flagger(&running, kind, metadata);
        assert_eq!(got, status, "{kind} {metadata}: {body}");
    }
    let (_, words) = flagger(&running, "rollout", &by_rollout);
    assert!(words.contains("More users meet errors"), "the reason is in the body: {words}");
    let (status, body) = running.post("/v1/flagger/rollback", &[], b"{").unwrap();
    assert_eq!((status, body.contains("not understood")), (403, true));
    assert_eq!(get(&running, "/v1/rollouts/nobody/gate").0, 404);
    assert_eq!(get(&running, "/v1/rollouts/nobody").0, 404);

    // Its logs are gone, so it waits for ever; the gate says at once what the ledger knew, and acts on none of it.
    drop(running);
    std::fs::remove_dir_all(state.join("wal")).unwrap();
    // There may be one.
    let _none = std::fs::remove_file(state.join("checkpoint"));
    let running = Running::start(&["--config", &config], &state);
    let said = gate(&running);
    assert_eq!(said["verdict"], "inconclusive", "{said}");
    assert!(said["reason"].as_str().unwrap().contains("the ledger last said fail of data that ended"), "{said}");
    assert!(said["data_lag_s"].as_u64() > Some(0) && said["canary_units"].as_u64() > Some(0), "{said}");
    let question = br#"{"service":"shop","canary":"canary"}"#;
    let (_, body) = running.post("/v1/verdict", &[], question).unwrap();
    assert!(body.contains("inconclusive") && body.contains("last said fail"), "{body}");
    assert_eq!(flagger(&running, "rollback", &by_rollout).0, 403, "an outage of this program rolls nothing back");
    let came = receiver.came().len();
    assert_eq!(rollout(&running).unwrap()["phase"], "rolled back");
    assert_eq!(receiver.came().len(), came, "nothing is told again");
}

fn command(running: &Running, words: &[&str], token: &Path) -> Said {
    let folder = token.parent().unwrap();
    let token = token.display().to_string();
    let more = ["--address", &running.address, "--token-file", &token, "--actor", "ann"];
    serin(folder, &[words, &more].concat())
}

/// Traffic of a canary that is as good as the baseline.
fn healthy() -> String {
    let traffic =
        Traffic { seed: 5, requests: 4_000, users: 900, minutes: 6, errors: vec![0.01, 0.01], ..Traffic::default() };
    traffic.lines().iter().map(|line| line.text() + "\n").collect()
}

#[test]
fn people_command_and_the_journal_keeps_it() {
    let receiver = Receiver::start(|_, _| ok());
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let config = configure(folder.path(), &receiver.address, ", approval: true");
    let token = folder.path().join("token");
    let mut running = Running::start(&["--config", &config], &state);
    post(&running, &healthy());
    until("it runs", || rollout(&running).filter(|rollout| rollout["phase"] == "running"));

    // Without the token nothing changes.
    let body = br#"{"actor":"eve","reason":"x"}"#;
    let (status, said) = running.post("/v1/rollouts/shop/rollback", &[], body).unwrap();
    assert_eq!(status, 401, "{said}");
    let wrong = &[("Authorization", "Bearer wrong")];
    assert_eq!(running.post("/v1/rollouts/shop/rollback", wrong, body).unwrap().0, 401);
    assert_eq!(running.ask("/v1/rollouts/shop/rollback", &running.address).unwrap().0, 405);
    let right = &[("Authorization", "Bearer a token of the test, long enough")];
    assert_eq!(running.post("/v1/rollouts/shop/explode", right, body).unwrap().0, 404);
    assert_eq!(running.post("/v1/rollouts/nobody/hold", right, body).unwrap().0, 404);
    for bad in [&b"{"[..], br#"{"actor":"","reason":"x"}"#, br#"{"actor":"a","reason":" "}"#, br#"{"actor":"a"}"#] {
        assert_eq!(running.post("/v1/rollouts/shop/hold", right, bad).unwrap().0, 400);
    }
    assert_eq!(rollout(&running).unwrap()["phase"], "running");

    let said = command(&running, &["hold", "shop", "--reason", "lunch"], &token).expect(0).out;
    assert!(said.contains("shop is held now"), "{said}");
    let said = command(&running, &["hold", "shop", "--reason", "again"], &token).expect(1).out;
    assert!(said.contains("held already"), "{said}");
    // The ledger may tell of the rollout before the first report is made.
    let said = until("there is a report", || {
        let said = gate(&running);
        (!said["reason"].as_str()?.starts_with("waiting for")).then_some(said)
    });
    assert_eq!((&said["verdict"], &said["reason"]), (&"inconclusive".into(), &"held by ann: lunch".into()));
    assert_eq!(flagger(&running, "confirm-rollout", &json!({ "rollout": "shop" })).0, 403);
    command(&running, &["accept", "luck", "shop", "--reason", "x"], &token).expect(1);
    command(&running, &["accept", "routes", "shop", "--reason", "planned"], &token).expect(0);

    // What was commanded stands after a crash.
    drop(running);
    running = Running::start(&["--config", &config], &state);
    let again = until("it is as it was", || rollout(&running).filter(|rollout| rollout["phase"] == "held"));
    assert_eq!((&again["accepted"][0], &again["commanded"]["actor"]), (&"routes".into(), &"ann".into()));
    command(&running, &["resume", "shop", "--reason", "back"], &token).expect(0);
    command(&running, &["rollback", "shop", "--reason", "I say so"], &token).expect(0);
    let came = until("it is told", || {
        let came = receiver.came();
        came.iter().any(|one| one.event() == "rollback").then_some(came)
    });
    let events: Vec<String> = came.iter().map(crate::common::receiver::Came::event).collect();
    assert_eq!(events, ["held", "resumed", "rollback"]);
    let data = &came[2].json()["data"];
    assert_eq!(
        (&data["automatic"], &data["actor"], &data["command_reason"]),
        (&false.into(), &"ann".into(), &"I say so".into())
    );
    let journal = std::fs::read_to_string(state.join("journal.ndjson")).unwrap();
    // What was configured, and four commands.
    assert_eq!(journal.lines().count(), 5, "{journal}");
    let said = command(&running, &["approve", "shop", "--reason", "late"], &token).expect(1).out;
    assert!(said.contains("rolled back"), "{said}");

    // A journal that somebody has changed is refused.
    drop(running);
    std::fs::write(state.join("journal.ndjson"), journal.replacen("lunch", "munch", 1)).unwrap();
    let said = serin(folder.path(), &["run", "--config", &config, "--listen", "127.0.0.1:0", "--state", "state"])
        .expect(2)
        .err;
    assert!(said.contains("line 2 is damaged"), "{said}");
}

#[test]
fn a_running_program_is_asked_from_the_command_line() {
    let receiver = Receiver::start(|_, _| ok());
    let folder = folder_with(&[]);
    let config = configure(folder.path(), &receiver.address, "");
    let running = Running::start(&["--config", &config], &folder.path().join("state"));
    let ask = |words: &[&str]| serin(folder.path(), &[words, &["--address", &running.address]].concat());
    // It answers before it has found that nothing has come.
    until("it waits for lines", || {
        ask(&["status"]).expect(0).out.contains("waiting for: the first log lines").then_some(())
    });
    assert!(ask(&["rollouts"]).expect(0).out.contains("waiting: shop"));
    assert!(ask(&["verdict", "shop"]).expect(3).out.starts_with("INCONCLUSIVE: "));
    ask(&["verdict", "shop", "--inconclusive", "pass"]).expect(0);
    ask(&["verdict", "shop", "--inconclusive", "fail"]).expect(1);
    ask(&["verdict", "shop", "--wait", "--timeout", "1s"]).expect(3);
    assert!(ask(&["verdict", "nobody"]).expect(2).err.contains("no such rollout"));
    assert!(ask(&["verdict", "../x"]).expect(2).err.contains("no id of a rollout"));
    post(&running, &broken());
    let said = ask(&["verdict", "shop", "--wait", "--timeout", "60s"]).expect(1).out;
    assert!(said.starts_with("FAIL: ") && said.contains("More users meet errors"), "{said}");
    assert!(ask(&["rollouts"]).expect(0).out.contains("FAIL"));
    let status = until("it was taken", || Some(ask(&["status"]).expect(0).out).filter(|out| out.contains("1 taken")));
    assert!(status.contains("hook pager: ok") && status.contains("1 declared"), "{status}");
    let address = running.address.clone();
    drop(running);
    let said = serin(folder.path(), &["status", "--address", &address]).expect(2).err;
    assert!(said.contains("nothing answers") && said.contains("--address HOST:PORT"), "{said}");
}

/// No room for the ledger: nothing is decided, that is said, and once there is room it goes on where it was.
#[test]
fn a_full_disk_stops_decisions_and_not_the_program() {
    let receiver = Receiver::start(|_, _| ok());
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let config = configure(folder.path(), &receiver.address, "");
    let running = Running::start(&["--config", &config], &state);
    post(&running, &broken());
    failed(&running);
    until("it was told", || receiver.came().iter().any(|one| one.event() == "rollback").then_some(()));
    drop(running);
    let whole = std::fs::read_to_string(state.join("ledger.ndjson")).unwrap();
    std::fs::remove_file(state.join("ledger.ndjson")).unwrap();
    // There may be one.
    let _none = std::fs::remove_file(state.join("checkpoint"));

    // Files may have so many bytes and no more; a write beyond fails, as on a full disk.
    let mut command = Command::new("prlimit");
    command.args([
        "--fsize=9000:unlimited",
        "sh",
        "-c",
        "trap '' XFSZ; exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_serin"),
    ]);
    let running = Running::start_by(command, &["--config", &config], &state);
    let health = until("it says so", || {
        let (status, health) = get(&running, "/healthz");
        (status == 503 && health["trouble"].as_str()?.contains("cannot be written")).then_some(health)
    });
    assert_eq!(health["status"], "trouble");
    let said = gate(&running);
    assert_eq!(said["verdict"], "inconclusive");
    assert!(said["reason"].as_str().unwrap().contains("cannot be written"), "{said}");
    // It is tried again and again: what a try has left is taken back.
    until("no half entry is left", || {
        let short = std::fs::read_to_string(state.join("ledger.ndjson")).unwrap();
        assert!(whole.starts_with(&short));
        (short.is_empty() || short.ends_with('\n')).then_some(())
    });
    let room = Command::new("prlimit").args(["--pid", &running.child.id().to_string(), "--fsize=unlimited"]).status();
    assert!(room.unwrap().success());
    until("it goes on", || (get(&running, "/healthz").0 == 200).then_some(()));
    until("it is as it was", || {
        let now = std::fs::read_to_string(state.join("ledger.ndjson")).unwrap();
        now.starts_with(&whole).then_some(())
    });
    let entries = ledger_values(&std::fs::read_to_string(state.join("ledger.ndjson")).unwrap());
    assert!(entries.iter().enumerate().all(|(number, entry)| entry["entry"] == number));
    let rollbacks = receiver.came().iter().filter(|one| one.event() == "rollback").count();
    assert_eq!(rollbacks, 1, "what was told is not told again");
}

/// The deadline comes by event time, and by the clock where no line comes any more; it is journalled, once.
#[test]
fn an_undecided_rollout_is_held_at_its_deadline() {
    let receiver = Receiver::start(|_, _| ok());
    let folder = folder_with(&[]);
    let config =
        configure(folder.path(), &receiver.address, ", minimum_minutes: 600, deadline: {after: 4m, then: hold}");
    let running = Running::start(&["--config", &config], &folder.path().join("state"));
    post(&running, &healthy());
    let held = until("it is held", || rollout(&running).filter(|rollout| rollout["phase"] == "held"));
    assert_eq!(held["verdict"], "inconclusive");
    // The first report comes a moment later.
    until("the gate says so", || (gate(&running)["reason"] == "held at its deadline, undecided").then_some(()));
    let came = until("it is told", || {
        let came = receiver.came();
        came.iter().any(|one| one.event() == "deadline").then_some(came)
    });
    let data = &came[0].json()["data"];
    let at = parse_time(data["at"].as_str().unwrap()).unwrap();
    assert!(at >= Timestamp(START + 4 * MINUTE) && data["action"] == "notify", "{data}");
    assert_eq!(came.len(), 1);
}

/// Ten requests a second; from the third minute on a fifth of the users is sent to the canary, whose lines `canary` writes, given
/// the seconds since then; `None` writes none.
fn dying(canary: impl Fn(i64) -> Option<&'static str>) -> String {
    let mut random = Random::new(3);
    let mut text = String::new();
    for number in 0..4_800i64 {
        let at = START + number * SECOND / 10;
        let user = random.below(3_000);
        let since = number / 10 - 180;
        let failing = random.chance(0.01);
        let (arm, fields) = match since >= 0 && user.is_multiple_of(5) {
            true => match canary(since) {
                Some(fields) => ("canary", fields),
                None => continue,
            },
            false => ("baseline", if failing { "\"status\":503" } else { "\"status\":200" }),
        };
        let fields = format!(
            "\"service\":\"shop\",\"cohort\":\"{arm}\",\"user\":\"u{user}\",{fields},\"latency_ms\":{},\"level\":\"info\"",
            20 + random.below(10)
        );
        text += &(Line::new(at, user, 0, &fields).text() + "\n");
    }
    text
}

/// A canary that logs no request at all, and every ten seconds that it starts and why it dies.
#[test]
fn a_canary_that_logs_nothing_but_its_crashes_is_rolled_back_within_two_minutes() {
    let start = START + 180 * SECOND;
    let receiver = Receiver::start(|_, _| ok());
    let folder = folder_with(&[]);
    let config = configure(
        folder.path(),
        &receiver.address,
        ", steps: [{share_percent: 20}, {share_percent: 100}], candidate: canary",
    );
    let running = Running::start(&["--config", &config], &folder.path().join("state"));
    let mut lines: Vec<String> = dying(|_| None).lines().map(|line| format!("{line}\n")).collect();
    for crash in 0..29 {
        for (after, level, message) in [(0, "info", "starting"), (2, "error", "no database"), (3, "fatal", "status 1")]
        {
            let fields = format!(
                "\"service\":\"shop\",\"cohort\":\"canary\",\"pod\":\"shop-{}\",\"level\":\"{level}\",\"message\":\"{message}\"",
                crash % 3
            );
            lines.push(Line::new(start + (10 * crash + after) * SECOND, 0, 1, &fields).text() + "\n");
        }
    }
    // A line begins with its time.
    lines.sort();
    post(&running, &lines.concat());
    failed(&running);
    let came = until("it is told", || receiver.came().into_iter().find(|one| one.event() == "rollback"));
    let data = &came.json()["data"];
    let of = &data["compared"][0];
    let at = parse_time(of["automatic_at"].as_str().unwrap()).unwrap();
    assert!(at.0 - start <= 120 * SECOND, "{data}");
    assert_eq!(
        (&data["automatic"], &of["candidate"], &of["control"]),
        (&json!(true), &json!("canary"), &json!("baseline"))
    );
    // The first report comes a moment later.
    let says_why = || gate(&running)["reason"].as_str()?.contains("it may die before it logs").then_some(());
    until("the gate says why", says_why);
}

/// A canary that answers nothing, and one that logs for 10 s and dies: within two minutes of the start of its traffic the rollout
/// has failed and is rolled back.
#[test]
fn a_canary_that_dies_at_its_start_is_rolled_back_within_two_minutes() {
    let start = START + 180 * SECOND;
    type Canary = fn(i64) -> Option<&'static str>;
    let cases: [(&str, Canary); 2] = [
        ("every request fails", |_| Some("\"status\":503")),
        ("it logs for 10 s", |since| (since < 10).then_some("\"status\":200")),
    ];
    for (name, canary) in cases {
        let receiver = Receiver::start(|_, _| ok());
        let folder = folder_with(&[]);
        let config = configure(folder.path(), &receiver.address, ", share_percent: 20, candidate: canary");
        let running = Running::start(&["--config", &config], &folder.path().join("state"));
        post(&running, &dying(canary));
        failed(&running);
        let came = until("it is told", || receiver.came().into_iter().find(|one| one.event() == "rollback"));
        let data = &came.json()["data"];
        let of = &data["compared"][0];
        let seconds = |key: &str| (parse_time(of[key].as_str().unwrap()).unwrap().0 - start) / SECOND;
        println!("{name}: failed after {} s, automatic after {} s", seconds("failed_at"), seconds("automatic_at"));
        assert!(seconds("automatic_at") <= 120, "{name}: {data}");
        assert_eq!(data["automatic"], true);
    }
}
