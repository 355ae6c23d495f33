//! The life of `serin run`: who may ask, what may change while it runs, and how it says how it is.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::{Read, Write};
use std::path::Path;
use std::process::Command;

use crate::common::acting::{SECRET, post, rollout};
use crate::common::receiver::{Answer, Came, Receiver};
use crate::common::running::{Running, connected, until};
use crate::common::{Traffic, folder_with, serin};
use serde_json::Value;

/// What `serin token` prints is let in for what it is for, and nothing of the secret is in the file.
#[test]
fn a_token_that_was_made_lets_in_and_stands_nowhere() {
    let folder = folder_with(&[]);
    let said = serin(folder.path(), &["token", "web", "--for", "ingest,read"]).expect(0).out;
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[1].starts_with("serin_") && lines[4].starts_with("web ingest,read "), "{said}");
    let make = |name: &str, scopes: &str| serin(folder.path(), &["token", name, "--for", scopes, "--tokens", "tokens"]);
    let web = make("web", "ingest").expect(0).out.trim().to_owned();
    let ann = make("ann", "operate").expect(0).out.trim().to_owned();
    assert!(web.len() >= 40 && web != ann);
    assert!(make("web", "read").expect(2).err.contains("there is a token of the name web"));
    assert!(make("eve", "root").expect(2).err.contains("`root` is no scope"));
    make("two words", "read").expect(2);
    let path = folder.path().join("tokens");
    let file = std::fs::read_to_string(&path).unwrap();
    assert_eq!(file.lines().count(), 2);
    assert!(!file.contains(&web) && !file.contains(&ann));
    let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600);

    let config = folder.path().join("serin.yaml");
    std::fs::write(&config, format!("tokens: {}\n", path.display())).unwrap();
    let running = Running::start(&["--config", config.to_str().unwrap()], &folder.path().join("state"));
    let line: &[u8] = b"{\"a\":1}\n";
    let send = |value: &str| running.post("/ingest", &[("Authorization", value)], line).unwrap().0;
    assert_eq!(
        [send(&format!("Splunk {web}")), send(&format!("Bearer {ann}")), send("Bearer serin_x")],
        [200, 403, 401]
    );
    let hold = |value: &str| {
        running.post("/v1/rollouts/shop/hold", &[("Authorization", value)], br#"{"actor":"a","reason":"b"}"#).unwrap().0
    };
    // There is no such rollout, so much may an operator know.
    assert_eq!([hold(&format!("Bearer {web}")), hold(&format!("Bearer {ann}"))], [403, 404]);
}

fn signal(running: &Running, name: &str) {
    let done = Command::new("kill").args([name, &running.child.id().to_string()]).status().unwrap();
    assert!(done.success());
}

fn json(running: &Running, path: &str) -> (u16, Value) {
    let (status, body) = running.ask(path, &running.address).unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

/// Reads the configuration again; why it was refused.
fn reload(running: &Running, said: &str) {
    running.said.lock().unwrap().clear();
    signal(running, "-HUP");
    running.heard(said);
}

fn healthy() -> String {
    let traffic =
        Traffic { seed: 5, requests: 4_000, users: 900, minutes: 6, errors: vec![0.01, 0.01], ..Traffic::default() };
    traffic.lines().iter().map(|line| line.text() + "\n").collect()
}

fn journal(state: &Path) -> Vec<String> {
    std::fs::read_to_string(state.join("journal.ndjson")).unwrap().lines().map(str::to_owned).collect()
}

fn events(receiver: &Receiver) -> Vec<String> {
    receiver.came().iter().map(Came::event).collect()
}

#[test]
fn what_may_change_counts_from_its_place_on_and_what_may_not_is_refused_whole() {
    let ok = |_: usize, _: &Came| Answer::Status(200, String::new());
    let (pager, mail) = (Receiver::start(ok), Receiver::start(ok));
    let folder = folder_with(&[("secret", SECRET.as_bytes()), ("one", b"the first token, long enough")]);
    std::fs::write(folder.path().join("two"), "the second token, long enough").unwrap();
    let (at, state) = (folder.path().display().to_string(), folder.path().join("state"));
    let hook = |name: &str, of: &Receiver| {
        format!("- {{name: {name}, url: 'http://{}/', secret_file: {at}/secret, timeout: 30s}}\n", of.address)
    };
    let write = |first: &str, hooks: &str, rollout: &str| {
        let text = format!("{first}\nhooks:\n{hooks}rollouts:\n- {{name: shop, services: [shop], {rollout}}}\n");
        std::fs::write(folder.path().join("serin.yaml"), text).unwrap();
    };
    let before = (format!("zone: +02:00\noperate_token_file: {at}/one"), hook("pager", &pager), "owners: [a]");
    let after = (
        format!("zone: +02:00\noperate_token_file: {at}/two"),
        hook("pager", &pager) + &hook("mail", &mail),
        "owners: [b], deadline: {after: 2m, then: rollback}",
    );
    write(&before.0, &before.1, before.2);
    let config = folder.path().join("serin.yaml").display().to_string();
    let start = || Running::start(&["--config", &config], &state);
    let mut running = start();
    post(&running, &healthy());
    until("it runs", || rollout(&running).filter(|rollout| rollout["phase"] == "running"));
    // What is in force, and who said so.
    let status = json(&running, "/v1/status").1;
    assert!(status["configuration"]["file"].as_str().unwrap().ends_with("serin.yaml"), "{status}");
    let setting = |name: &str| {
        let settings = status["configuration"]["settings"].as_array().unwrap();
        settings.iter().find(|setting| setting["name"] == name).unwrap_or_else(|| panic!("{name}: {status}"))["from"]
            .clone()
    };
    assert_eq!(["listen", "zone", "window"].map(setting), ["option", "file", "default"]);
    let command = |running: &Running, token: &str, reason: &str| {
        let body = format!(r#"{{"actor":"ann","reason":"{reason}","finding":"routes"}}"#);
        let value = format!("Bearer the {token} token, long enough");
        running.post("/v1/rollouts/shop/accept", &[("Authorization", &value)], body.as_bytes()).unwrap().0
    };
    assert_eq!([command(&running, "first", "x"), command(&running, "second", "x")], [200, 401]);

    // What no decision could be made by any more is refused, and nothing of the file counts, neither token nor hook.
    for (more, why) in [
        ("window: 20s", "window: every decision rests on it"),
        ("listen: 127.0.0.1:1", "listen: is read at the start alone"),
        ("policy: {minimum_minutes: 9}", "policy (guardrails"),
        ("stale_after: soon", "serin.yaml:3:14: stale_after"),
    ] {
        // An option that is given stands before the file's; only `listen` is.
        if more.starts_with("listen") {
            continue;
        }
        write(&format!("{}\n{more}", after.0), &after.1, after.2);
        reload(&running, "goes on as it was");
        let said = json(&running, "/v1/status").1["not_reloaded"].as_str().unwrap().to_owned();
        assert!(said.contains(why), "{said}");
    }
    write(&after.0, &after.1, "owners: [b], candidate: canary");
    reload(&running, "policy (guardrails");
    std::fs::write(&config, "rollouts: []\n").unwrap();
    reload(&running, "rollouts: which there are");
    assert_eq!([command(&running, "first", "x"), command(&running, "second", "x")], [200, 401]);
    assert_eq!(rollout(&running).unwrap()["owners"][0], "a");
    assert!(serin(folder.path(), &["status", "--address", &running.address]).expect(0).out.contains("SIGHUP: "));

    write(&after.0, &after.1, after.2);
    reload(&running, "counts from ledger entry");
    assert_eq!(command(&running, "first", "x"), 401);
    let now = until("its deadline has come", || rollout(&running).filter(|rollout| rollout["phase"] == "rolled back"));
    assert_eq!(command(&running, "second", "x"), 409);
    assert_eq!(now["owners"][0], "b");
    assert_eq!(json(&running, "/v1/status").1["not_reloaded"], Value::Null);
    for receiver in [&pager, &mail] {
        until("it is told", || (receiver.came().len() >= 2).then_some(()));
        assert_eq!(events(receiver), ["deadline", "rollback"]);
    }
    let rows = journal(&state);
    assert_eq!(rows.iter().filter(|row| row.contains(r#""kind":"configured""#)).count(), 2);
    assert!(!rows.concat().contains("whsec"), "no secret is journalled");

    // A restart decides alike, with this file and with the one before: what was decided stays.
    for first in [true, false] {
        drop(running);
        if !first {
            write(&before.0, &before.1, before.2);
        }
        running = start();
        until("the ledger was computed again", || (json(&running, "/v1/status").1["caught_up"] == true).then_some(()));
        assert_eq!(rollout(&running).unwrap()["phase"], "rolled back");
        assert_eq!(journal(&state).len(), rows.len() + usize::from(!first));
    }
    assert_eq!(rollout(&running).unwrap()["owners"][0], "a");
    assert_eq!((events(&pager).len(), events(&mail).len()), (2, 2), "nothing is told again");
}

#[test]
fn ready_is_what_takes_lines_and_decides() {
    let folder = folder_with(&[]);
    let state = folder.path().join("state");
    let running = Running::start(&[], &state);
    let ready = |running: &Running| json(running, "/readyz");
    until("it waits for lines", || (ready(&running).0 == 200).then_some(()));
    post(&running, &healthy());
    until("there is a ledger", || running.report());
    assert_eq!(ready(&running).1["ready"], true);
    // The log that the ledger was made from is gone: nothing can be decided.
    drop(running);
    std::fs::remove_dir_all(state.join("wal")).unwrap();
    // There may be one.
    let _none = std::fs::remove_file(state.join("checkpoint"));
    let running = Running::start(&[], &state);
    let said =
        until("it says so", || Some(ready(&running)).filter(|said| said.0 == 503 && said.1["reason"] != "starting"));
    let said = until("the reason is known", || {
        let reason = ready(&running).1["reason"].as_str()?.to_owned();
        reason.contains("there is a ledger").then_some((said.0, reason))
    });
    assert_eq!(said.0, 503);
}

/// Each event is one object; what it ends by is one too. Who has sent a body whole is answered before the end.
#[test]
fn events_are_json_and_the_last_bodies_are_answered() {
    let folder = folder_with(&[("tokens.yaml", b"")]);
    let state = folder.path().join("state");
    let mut running = Running::start(&["--log-format", "json"], &state);
    let line = b"{\"a\":1}\n";
    let mut slow = connected(&running.address).unwrap();
    let head = format!(
        "POST /ingest HTTP/1.1\r\nHost: {}\r\nContent-Length: 16\r\nExpect: 100-continue\r\n\r\n",
        running.address
    );
    slow.write_all(head.as_bytes()).unwrap();
    // Its body is being read once it is asked for.
    let mut asked = [0; 25];
    slow.read_exact(&mut asked).unwrap();
    assert_eq!(&asked, b"HTTP/1.1 100 Continue\r\n\r\n");
    slow.write_all(line).unwrap();
    signal(&running, "-TERM");
    running.heard("stopping");
    slow.write_all(line).unwrap();
    let mut answer = [0; 12];
    slow.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    assert!(running.child.wait().unwrap().success());
    for line in running.said.lock().unwrap().iter() {
        let event: Value = serde_json::from_str(line).unwrap();
        assert!(event["time"].as_str().unwrap().ends_with('Z') && event["level"] == "info" && event["message"] != "");
    }
    let refused = serin(folder.path(), &["run", "--log-format", "json", "--state", "state", "--listen", "256.0.0.1:1"]);
    assert!(refused.expect(2).err.contains("write ADDRESS:PORT"));
    let both = Running::start(&[], &state);
    let said =
        serin(folder.path(), &["run", "--log-format", "json", "--state", "state", "--listen", "127.0.0.1:0"]).expect(2);
    let event: Value = serde_json::from_str(said.err.trim_end()).unwrap();
    assert!(event["level"] == "error" && event["message"].as_str().unwrap().contains("another `serin run` uses it"));
    drop(both);
}

/// A folder that belongs to somebody else is refused with what to do. One that turns read-only while the program runs is said; lines are
/// taken and counted meanwhile, and saving goes on once it can.
#[test]
fn a_state_folder_that_cannot_be_written_is_refused_and_one_that_turns_so_is_said() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
    /// `nobody`.
    const SOMEONE: u32 = 65_534;
    let folder = folder_with(&[]);
    let allow = |path: &Path, mode: u32| std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
    allow(folder.path(), 0o755);
    // Who is not bound by permissions becomes somebody who is, and may not enter the folder where the program was built.
    let program = folder.path().join("serin");
    std::fs::copy(env!("CARGO_BIN_EXE_serin"), &program).unwrap();
    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    let someone = || {
        let mut command = Command::new(if is_root { "setpriv".as_ref() } else { program.as_os_str() });
        if is_root {
            let who = [format!("--reuid={SOMEONE}"), format!("--regid={SOMEONE}"), "--clear-groups".to_owned()];
            command.args(who).arg(&program);
        }
        command
    };

    let theirs = folder.path().join("theirs");
    std::fs::create_dir(&theirs).unwrap();
    allow(&theirs, 0o555);
    let refused = someone().args(["run", "--listen", "127.0.0.1:0", "--state"]).arg(&theirs).output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(2), "{said}");
    assert!(said.contains("cannot be written") && said.contains("--state"), "{said}");

    let ours = folder.path().join("ours");
    std::fs::create_dir(&ours).unwrap();
    if is_root {
        chown(&ours, Some(SOMEONE), Some(SOMEONE)).unwrap();
    }
    let running = Running::start_by(someone(), &["--idle", "2s", "--checkpoint", "0s"], &ours);
    let lines = Traffic { requests: 3_000, ..Traffic::default() }.lines();
    let send = |part: std::ops::Range<usize>| {
        let text: String = lines[part].iter().map(|line| line.text() + "\n").collect();
        assert_eq!(running.post("/ingest", &[], text.as_bytes()).unwrap().0, 200);
    };
    let health = || {
        let (status, said) = running.ask("/healthz", &running.address)?;
        Some((status, serde_json::from_str::<Value>(&said).ok()?["trouble"].as_str().unwrap_or_default().to_owned()))
    };
    send(0..1_000);
    until("it is saved", || ours.join("checkpoint").exists().then_some(()));
    allow(&ours, 0o555);
    send(1_000..2_000);
    running.heard("no checkpoint was written");
    let (status, trouble) = until("it is said", || health().filter(|(status, _)| *status == 503));
    assert!(
        trouble.contains("no checkpoint was written") && trouble.contains("cannot be written"),
        "{status} {trouble}"
    );
    assert_eq!(running.ask("/readyz", &running.address).unwrap().0, 200, "lines are taken and judged");
    until("they count, but for the last windows", || {
        (running.report()?["records"]["read"].as_u64() > Some(1_500)).then_some(())
    });
    allow(&ours, 0o755);
    send(2_000..3_000);
    running.heard("a checkpoint was written again");
    until("it is well again", || health().filter(|(status, _)| *status == 200));
    let said = running.said.lock().unwrap();
    assert_eq!(said.iter().filter(|line| line.contains("no checkpoint was written")).count(), 1, "once, not each time");
}
