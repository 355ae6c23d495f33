//! The way of a message to its target: signed as Standard Webhooks asks, by a thread of its own for each hook.

use std::sync::mpsc::{Receiver, Sender};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use crate::cli::config::Hook;
use crate::outbox::Outcome;

/// Longest head of an answer.
const HEAD_MAX: usize = 16 << 10;
/// Bytes of a block of SHA-256.
const BLOCK: usize = 64;

/// HMAC-SHA256 (RFC 2104).
fn hmac(key: &[u8], message: &[&[u8]]) -> [u8; 32] {
    let mut block = [0u8; BLOCK];
    if key.len() > BLOCK {
        block[..32].copy_from_slice(&Sha256::digest(key));
    } else {
        block[..key.len()].copy_from_slice(key);
    }
    let mut inner = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x36));
    message.iter().for_each(|part| inner.update(part));
    let mut outer = Sha256::new_with_prefix(block.map(|byte| byte ^ 0x5c));
    outer.update(inner.finalize());
    outer.finalize().into()
}

/// The value of `webhook-signature`: one signature for each secret.
pub(super) fn signatures(secrets: &[Vec<u8>], id: &str, seconds: u64, body: &str) -> String {
    let time = seconds.to_string();
    let message = [id.as_bytes(), b".", time.as_bytes(), b".", body.as_bytes()];
    let list: Vec<String> =
        secrets.iter().map(|secret| format!("v1,{}", STANDARD.encode(hmac(secret, &message)))).collect();
    list.join(" ")
}

/// Something to be sent.
pub(super) struct Job {
    pub id: String,
    pub body: String,
}

/// Milliseconds since 1970.
pub(super) fn clock_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis());
    i64::try_from(since).unwrap_or(i64::MAX)
}

/// The client of a hook: follows nothing, asks no proxy, keeps no connection.
fn agent(hook: &Hook) -> ureq::Agent {
    let mut tls = TlsConfig::builder();
    let certificates: Vec<Certificate<'static>> = hook
        .ca
        .iter()
        .flat_map(|pem| parse_pem(pem))
        .filter_map(|item| match item {
            Ok(PemItem::Certificate(certificate)) => Some(certificate),
            _ => None,
        })
        .collect();
    if !certificates.is_empty() {
        tls = tls.root_certs(RootCerts::Specific(std::sync::Arc::new(certificates)));
    }
    let config = ureq::Agent::config_builder()
        .tls_config(tls.build())
        .proxy(None)
        .max_redirects(0)
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_micros(hook.timeout.unsigned_abs())))
        .max_response_header_size(HEAD_MAX)
        .max_idle_connections(0)
        .user_agent(concat!("serin/", env!("CARGO_PKG_VERSION")))
        .build();
    config.new_agent()
}

/// What became of an attempt, and in words what kept it from being a success.
fn send(agent: &ureq::Agent, hook: &Hook, job: &Job) -> (Outcome, Option<String>) {
    let seconds = clock_ms().unsigned_abs() / 1_000;
    let answer = agent
        .post(&hook.url)
        .header("content-type", "application/json")
        .header("webhook-id", &job.id)
        .header("webhook-timestamp", seconds.to_string())
        .header("webhook-signature", signatures(&hook.secrets.0, &job.id, seconds, &job.body))
        .send(job.body.as_bytes());
    match answer {
        Err(error) => (Outcome::NoAnswer, Some(format!("no answer: {error}"))),
        Ok(answer) => {
            let asked = answer.headers().get("retry-after").and_then(|value| value.to_str().ok()?.trim().parse().ok());
            match answer.status().as_u16() {
                status @ 200..=299 => (Outcome::Taken(status), None),
                410 => (Outcome::Gone, Some("status 410: it wants nothing any more".to_owned())),
                status => (Outcome::Refused(status, asked), Some(format!("status {status}"))),
            }
        }
    }
}

/// One message by itself, and what became of it.
pub(super) fn send_once(hook: &Hook, job: &Job) -> (Outcome, Option<String>) {
    send(&agent(hook), hook, job)
}

/// Sends what comes, one after the other, and says what became of it, until nobody hands anything in.
pub(super) fn deliver(hook: &Hook, jobs: &Receiver<Job>, mut done: impl FnMut(Outcome, Option<String>)) {
    let agent = agent(hook);
    while let Ok(job) = jobs.recv() {
        let (outcome, words) = send(&agent, hook, &job);
        done(outcome, words);
    }
}

/// Starts the thread of a hook.
pub(super) fn start(hook: Hook, done: impl FnMut(Outcome, Option<String>) + Send + 'static) -> Sender<Job> {
    let (sender, jobs) = std::sync::mpsc::channel();
    std::thread::spawn(move || deliver(&hook, &jobs, done));
    sender
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Cases 1, 2 and 6 of RFC 4231.
    #[test]
    fn hmac_is_that_of_the_rfc() {
        let one = hmac(&[0x0b; 20], &[b"Hi There"]);
        assert_eq!(hex(&one), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
        let two = hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"]);
        assert_eq!(hex(&two), "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
        let six = hmac(&[0xaa; 131], &[b"Test Using Larger Than Block-Size Key - Hash Key First"]);
        assert_eq!(hex(&six), "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    }

    /// The vector of Standard Webhooks' own libraries.
    #[test]
    fn signatures_are_those_of_standard_webhooks() {
        let secret = crate::cli::config::parse_secrets("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let said = signatures(&secret.0, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(said, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        let twice = signatures(&[secret.0[0].clone(), vec![1; 24]], "a", 1, "{}");
        assert_eq!(twice.split(' ').count(), 2);
    }
}
