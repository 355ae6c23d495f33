//! A rollout that fails, and a `serin run` that acts on it.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::path::Path;

use serde_json::Value;
use serin::time::MINUTE;

use super::running::Running;
use super::{Line, Traffic};

pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// The lines of a canary that is broken, and one four minutes later that closes their windows.
pub fn broken() -> String {
    let traffic = Traffic {
        seed: 61,
        requests: 8_000,
        users: 2_000,
        minutes: 20,
        errors: vec![0.01, 0.25],
        ..Traffic::default()
    };
    let mut lines = traffic.lines();
    let last = lines.iter().map(|line| line.at).max().unwrap() + 4 * MINUTE;
    lines.push(Line::new(last, 0, 0, r#""level":"info","message":"after""#));
    lines.iter().map(|line| line.text() + "\n").collect()
}

/// A configuration with one rollout and one hook, beside its secret. Its target may take all the time that there is: a slow one is no
/// failure.
pub fn configure(folder: &Path, address: &str, more: &str) -> String {
    configure_with(folder, address, ("idle: 2s", "30s"), more)
}

/// The same, with the first lines, and how long a message may take.
pub fn configure_with(folder: &Path, address: &str, (first, timeout): (&str, &str), more: &str) -> String {
    std::fs::write(folder.join("secret"), SECRET).unwrap();
    std::fs::write(folder.join("token"), "a token of the test, long enough").unwrap();
    let text = format!(
        "{first}\noperate_token_file: {0}/token\nhooks:\n- {{name: pager, url: 'http://{address}/hook', secret_file: {0}/secret, \
         timeout: {timeout}}}\nrollouts:\n- {{name: shop, services: [shop], owners: [team-shop]{more}}}\n",
        folder.display()
    );
    let path = folder.join("serin.yaml");
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// Bodies of a text, each with its key.
pub fn bodies(text: &str) -> Vec<(String, String)> {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    lines.chunks(2_000).enumerate().map(|(number, batch)| (number.to_string(), batch.concat())).collect()
}

/// Sends a body; false where the program has gone.
pub fn post_body(running: &Running, (key, body): &(String, String)) -> bool {
    let answer = running.post("/ingest", &[("Idempotency-Key", key)], body.as_bytes());
    answer.is_some_and(|(status, said)| {
        assert_eq!(status, 200, "{said}");
        true
    })
}

pub fn post(running: &Running, text: &str) {
    for body in &bodies(text) {
        assert!(post_body(running, body), "the program has gone");
    }
}

pub fn rollout(running: &Running) -> Option<Value> {
    let (status, body) = running.ask("/v1/rollouts/shop", &running.address)?;
    (status == 200).then(|| serde_json::from_str(&body).unwrap())
}
