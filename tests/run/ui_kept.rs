//! What the web UI asks for and writes beside rollouts, with the real program: reports as they were, muted templates, trials of hooks.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use crate::common::acting::{broken, configure, post, rollout};
use crate::common::receiver::{Answer, Receiver};
use crate::common::running::{Running, until};
use crate::common::{Traffic, bytes_of, folder_with};
use serde_json::Value;

const TOKEN: (&str, &str) = ("Authorization", "Bearer a token of the test, long enough");

fn get(running: &Running, path: &str) -> (u16, Value) {
    let (status, body) = running.ask(path, &running.address).unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

fn send(running: &Running, path: &str, body: &str) -> (u16, Value) {
    let (status, body) = running.post(path, &[TOKEN], body.as_bytes()).unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

/// The report, and the time by which it can be asked for later.
fn report(running: &Running) -> Option<(String, String)> {
    let head = format!("GET /v1/report HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", running.address);
    let (status, head, body) = running.exchange_bytes(head.as_bytes())?;
    let asof = head.lines().find_map(|line| line.strip_prefix("serin-asof: "))?.to_ascii_uppercase();
    (status == 200).then(|| (asof, String::from_utf8(body).unwrap()))
}

/// A link made of what is shown shows the same numbers later: after more lines, and after a restart.
#[test]
fn a_report_is_shown_again_as_it_was() {
    let receiver = Receiver::start(|_, _| Answer::Status(200, String::new()));
    let folder = folder_with(&[]);
    let config = configure(folder.path(), &receiver.address, "");
    let state = folder.path().join("state");
    let running = Running::start(&["--config", &config], &state);
    let healthy = Traffic { seed: 5, requests: 3_000, users: 900, minutes: 6, ..Traffic::default() };
    post(&running, &String::from_utf8(bytes_of(&healthy.lines())).unwrap());
    until("it runs", || rollout(&running).filter(|rollout| rollout["phase"] == "running"));
    let (asof, shown) = until("there is a report", || report(&running));
    let path = format!("/v1/asof?at={asof}");
    let same = |running: &Running| {
        let (status, then) = get(running, &path);
        assert_eq!((status, &then["asof"]), (200, &Value::from(asof.as_str())));
        assert_eq!(then["report"], serde_json::from_str::<Value>(&shown).unwrap());
        assert_eq!(then["rollouts"][0]["phase"], "running");
        assert_eq!(then["courses"][0]["service"], then["report"]["comparisons"][0]["service"]);
        then["events"].as_u64().unwrap()
    };
    let events = same(&running);
    post(&running, &broken());
    until("it was rolled back", || rollout(&running).filter(|rollout| rollout["phase"] == "rolled back"));
    let (later, now) = until("the report says so", || report(&running).filter(|(_, body)| body.contains("\"fail\"")));
    assert!(later > asof && now != shown);
    same(&running);
    // What came after it stands in the timeline behind it.
    let (_, timeline) = get(&running, "/v1/rollouts/shop/timeline");
    assert!(timeline["events"][0]["number"].as_u64().unwrap() >= events, "{timeline}");
    // The change of the verdict was kept though nobody asked for it.
    let (_, status) = get(&running, "/v1/status");
    assert!(status["reports"]["kept"].as_u64().unwrap() >= 2 && status["reports"]["bytes"].as_u64().unwrap() > 500);
    assert_eq!(status["reports"]["keep_seconds"], 30 * 86_400);
    let (status, none) = get(&running, "/v1/asof?at=2001-01-01T00:00:00Z");
    assert!(status == 404 && none["error"].as_str().unwrap().contains("the oldest that is kept is of 20"), "{none}");
    running.stop();
    let again = Running::start(&["--config", &config], &state);
    same(&again);
}

#[test]
fn a_muted_template_stands_in_the_timeline_and_changes_no_verdict() {
    let receiver = Receiver::start(|_, _| Answer::Status(200, String::new()));
    let folder = folder_with(&[]);
    let config = configure(folder.path(), &receiver.address, "");
    let state = folder.path().join("state");
    let running = Running::start(&["--config", &config], &state);
    post(&running, &broken());
    let before = until("it was rolled back", || rollout(&running).filter(|rollout| rollout["phase"] == "rolled back"));
    assert_eq!(before["muted"], Value::Array(vec![]));
    let path = "/v1/rollouts/shop/templates/00ff00ff00ff00ff/mute";
    for wrong in [
        r#"{"actor":"ann","reason":"","hours":1}"#,
        r#"{"reason":"noise","hours":1}"#,
        r#"{"actor":"ann","reason":"noise","hours":-1}"#,
        r#"{"actor":"ann","reason":"noise"}"#,
    ] {
        assert_eq!(send(&running, path, wrong).0, 400, "{wrong}");
    }
    let (status, _) = running.post(path, &[], br#"{"actor":"ann","reason":"noise","hours":1}"#).unwrap();
    assert_eq!(status, 401);
    let (status, said) = send(&running, path, r#"{"actor":"ann","reason":"known noise","hours":24}"#);
    assert_eq!((status, &said["muted"][0]["template"]), (200, &Value::from("00ff00ff00ff00ff")), "{said}");
    let muted = rollout(&running).unwrap();
    assert_eq!((&muted["verdict"], &muted["phase"]), (&before["verdict"], &before["phase"]));
    assert_eq!(muted["muted"][0]["reason"], "known noise");
    let latest = |running: &Running| get(running, "/v1/rollouts/shop/timeline").1["events"][0].clone();
    let event = latest(&running);
    assert_eq!(
        (&event["command"], &event["actor"], &event["finding"], &event["until_ms"]),
        (&"mute".into(), &"ann".into(), &"00ff00ff00ff00ff".into(), &muted["muted"][0]["until_ms"]),
        "{event:#}"
    );
    running.stop();
    let again = Running::start(&["--config", &config], &state);
    let kept = until("it is read again", || rollout(&again).filter(|of| !of["muted"].as_array().unwrap().is_empty()));
    assert_eq!(kept["muted"], muted["muted"]);
    let (status, said) = send(&again, path, r#"{"actor":"bob","reason":"it matters","hours":0}"#);
    assert_eq!((status, &said["muted"]), (200, &Value::Array(vec![])));
    assert_eq!(latest(&again)["command"], "unmute");
}

/// A trial is signed as every message is, says that it is one, and counts nowhere.
#[test]
fn a_hook_is_tried_by_itself() {
    let receiver = Receiver::start(|number, _| Answer::Status(if number == 0 { 200 } else { 503 }, String::new()));
    let folder = folder_with(&[]);
    let config = configure(folder.path(), &receiver.address, "");
    let running = Running::start(&["--config", &config], &folder.path().join("state"));
    let (status, said) = send(&running, "/v1/hooks/pager/test", r#"{"actor":"ann"}"#);
    assert_eq!((status, &said["is_taken"]), (200, &Value::Bool(true)), "{said}");
    let came = receiver.came();
    let message = came[0].json();
    assert_eq!((&message["type"], &message["data"]["action"]), (&"serin.test".into(), &"none".into()));
    assert_eq!((&message, &message["data"]["id"]), (&said["body"], &Value::from(came[0].id())));
    assert!(came[0].headers["webhook-signature"].starts_with("v1,"));
    let (_, said) = send(&running, "/v1/hooks/pager/test", r#"{"actor":"ann"}"#);
    assert_eq!((&said["is_taken"], &said["words"]), (&false.into(), &"status 503".into()));
    let (_, hooks) = get(&running, "/v1/hooks");
    assert_eq!((&hooks["hooks"][0]["state"], &hooks["hooks"][0]["taken"]), (&"ok".into(), &0.into()), "{hooks}");
    assert_eq!(hooks["deliveries"], Value::Array(vec![]));
    assert_eq!(send(&running, "/v1/hooks/nobody/test", "{}").0, 404);
}
