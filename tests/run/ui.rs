//! What the web UI rests on, with the real program: its files, sessions, commands by them, and the demo that opens on it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::{Read, Write};
use std::process::Stdio;

use crate::common::acting::{configure, post, rollout};
use crate::common::receiver::{Answer, Receiver};
use crate::common::running::{Running, connected, lines_of, until};
use crate::common::{Traffic, bytes_of, command, folder_with};
use serde_json::Value;

const TOKEN: &str = "a token of the test, long enough";

/// Status, head and body of an answer.
fn ask(running: &Running, method: &str, path: &str, headers: &str, body: &str) -> (u16, String, String) {
    let (host, length) = (&running.address, body.len());
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\nContent-Type: application/json\r\n{headers}Connection: close\r\n\r\n"
    );
    let answer = exchange(&running.address, &format!("{head}{body}")).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().find_map(|line| {
        let (of, value) = line.split_once(':')?;
        of.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

#[test]
fn a_browser_gets_the_ui_and_others_what_they_got_before() {
    let folder = folder_with(&[]);
    let running = Running::start(&[], &folder.path().join("state"));
    for path in ["/", "/rollouts/shop", "/search?q=x", "/status"] {
        let (status, head, body) = ask(&running, "GET", path, "Accept: text/html\r\n", "");
        assert_eq!(status, 200, "{path}");
        assert!(body.contains("/app.js"), "{path}: {body}");
        let policy = header(&head, "content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'self'") && !policy.contains("unsafe"), "{policy}");
    }
    let (_, head, body) = ask(&running, "GET", "/app.js", "", "");
    assert_eq!(header(&head, "content-type"), Some("text/javascript; charset=utf-8"));
    assert!(!body.is_empty());
    let tag = format!("If-None-Match: {}\r\n", header(&head, "etag").unwrap());
    assert_eq!(ask(&running, "GET", "/app.js", &tag, "").0, 304);
    let (_, _, body) = ask(&running, "GET", "/", "Accept: application/json\r\n", "");
    assert!(body.contains("You Know, for Search"), "{body}");
    let (status, _, body) = ask(&running, "GET", "/logs/_search", "Accept: text/html\r\n", "");
    assert!(status != 404 && !body.contains("/app.js"), "{status} {body}");
    // The page without scripts keeps its own policy.
    let (status, head, _) = ask(&running, "GET", "/v1/report.html", "Accept: text/html\r\n", "");
    assert!(status == 200 && header(&head, "content-security-policy").unwrap().starts_with("default-src 'none'"));
}

#[test]
fn who_has_logged_in_commands_under_the_name_of_the_token() {
    let receiver = Receiver::start(|_, _| Answer::Status(200, String::new()));
    let folder = folder_with(&[]);
    let config = configure(folder.path(), &receiver.address, "");
    let running = Running::start(&["--config", &config], &folder.path().join("state"));
    let login = |token: &str| ask(&running, "POST", "/v1/session", "", &format!(r#"{{"token":"{token}"}}"#));
    assert_eq!(login("guessed").0, 401);
    let (status, head, body) = login(TOKEN);
    assert_eq!(status, 200, "{body}");
    let cookie = header(&head, "set-cookie").unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Strict"), "{cookie}");
    let cookie = format!("Cookie: {}\r\n", cookie.split(';').next().unwrap());
    let session: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(session["name"], "operator");
    let csrf = format!("X-CSRF-Token: {}\r\n", session["csrf"].as_str().unwrap());
    let traffic =
        Traffic { seed: 5, requests: 4_000, users: 900, minutes: 6, errors: vec![0.01, 0.01], ..Traffic::default() };
    post(&running, &String::from_utf8(bytes_of(&traffic.lines())).unwrap());
    until("it runs", || rollout(&running).filter(|rollout| rollout["phase"] == "running"));

    // Neither a cookie without the word nor one from another page commands.
    let hold = |headers: &str| ask(&running, "POST", "/v1/rollouts/shop/hold", headers, r#"{"reason":"why"}"#);
    assert_eq!(hold("").0, 401);
    assert_eq!(hold(&cookie).0, 403);
    assert_eq!(hold(&format!("{cookie}{csrf}Origin: http://evil.example\r\n")).0, 403);
    let both = format!("{cookie}{csrf}");
    let named = r#"{"reason":"known","actor":"somebody else"}"#;
    let (status, _, body) = ask(&running, "POST", "/v1/rollouts/shop/hold", &both, named);
    assert_eq!(status, 200, "{body}");
    let (_, _, timeline) = ask(&running, "GET", "/v1/rollouts/shop/timeline", "", "");
    let timeline: Value = serde_json::from_str(&timeline).unwrap();
    let latest = &timeline["events"][0];
    assert_eq!((&latest["command"], &latest["actor"]), (&"hold".into(), &"operator".into()), "{timeline:#}");
    assert_eq!((&latest["phase_before"], &latest["phase"]), (&"running".into(), &"held".into()), "{timeline:#}");

    ask(&running, "DELETE", "/v1/session", &both, "");
    assert_eq!(hold(&both).0, 401);
}

#[test]
fn where_tokens_are_asked_for_the_files_are_open_and_the_data_are_not() {
    let folder = folder_with(&[]);
    let tokens = folder.path().join("tokens");
    let made = command().args(["token", "web", "--for", "read", "--tokens"]).arg(&tokens).output().unwrap();
    let secret = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    let running = Running::start(&["--tokens", &tokens.display().to_string()], &folder.path().join("state"));
    assert_eq!(ask(&running, "GET", "/", "Accept: text/html\r\n", "").0, 200);
    let by_script = "Sec-Fetch-Dest: empty\r\n";
    let (status, head, _) = ask(&running, "GET", "/v1/rollouts", by_script, "");
    // With a challenge the browser would ask its user, and not the page.
    assert!(status == 401 && header(&head, "www-authenticate").is_none(), "{head}");
    assert!(header(&ask(&running, "GET", "/v1/rollouts", "", "").1, "www-authenticate").is_some());
    let (_, head, body) = ask(&running, "POST", "/v1/session", "", &format!(r#"{{"token":"{secret}"}}"#));
    let cookie = format!("Cookie: {}\r\n", header(&head, "set-cookie").unwrap().split(';').next().unwrap());
    assert_eq!(ask(&running, "GET", "/v1/rollouts", &cookie, "").0, 200);
    assert_eq!(ask(&running, "POST", "/ingest", &cookie, "{}").0, 401, "a cookie alone changes nothing");
    let session: Value = serde_json::from_str(&body).unwrap();
    let both = format!("{cookie}X-CSRF-Token: {}\r\n", session["csrf"].as_str().unwrap());
    assert_eq!(ask(&running, "POST", "/ingest", &both, "{}").0, 403, "reading is no sending");
}

/// The demo is the real program: a rollout goes bad, a hook is told, and the canary's lines end.
#[test]
fn the_demo_shows_a_rollout_that_is_rolled_back() {
    let folder = folder_with(&[]);
    let mut child = command()
        .args(["demo", "--story", "few-users", "--keep"])
        .arg(folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = lines_of(child.stdout.take().unwrap());
    let first = said.next().unwrap();
    let address = first.split_once("http://").unwrap().1.split('/').next().unwrap().to_owned();
    let get = |path: &str| {
        let request = format!("GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n");
        let mut answer = exchange(&address, &request)?;
        let at = answer.find("\r\n\r\n")?;
        serde_json::from_str::<Value>(&answer.split_off(at)).ok()
    };
    let rolled_back =
        until("it is rolled back", || get("/v1/rollouts/checkout").filter(|of| of["phase"] == "rolled back"));
    assert_eq!(rolled_back["verdict"], "fail");
    until("the hook was taken", || {
        get("/v1/hooks").filter(|of| {
            of["deliveries"]
                .as_array()
                .is_some_and(|list| list.iter().any(|one| one["event"] == "rollback" && one["state"] == "taken"))
        })
    });
    child.kill().unwrap();
    child.wait().unwrap();
}

/// What is answered, as it came: a cookie is not the same in small letters.
fn exchange(address: &str, request: &str) -> Option<String> {
    let mut stream = connected(address).ok()?;
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).ok()?;
    String::from_utf8(answer).ok()
}
