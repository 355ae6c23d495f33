//! How long it takes from the first request of a total failure to the first byte of the hook, on the wall clock, whole and in parts.
//!
//! Each run is a `serin run` of its own with a declared rollout and a hook, and traffic as it happens: 90 requests a second to the
//! control, 10 to the canary, each line with the time of now, sent every tenth of a second over HTTP or to Kafka. The canary is well
//! for a while, and then every request of it fails.

use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::bench::child::{Running, Scratch};
use crate::event::mix;
use crate::time::Timestamp;

/// Requests of the control and of the canary in a tick, and the length of one.
const REQUESTS: [u64; 2] = [9, 1];
const TICK: Duration = Duration::from_millis(100);
/// Users of each.
const USERS: [u64; 2] = [2_000, 300];
/// The length of a window.
const WINDOW: Duration = Duration::from_secs(10);
/// A run that has told nothing after this long has failed.
const PATIENCE: Duration = Duration::from_secs(120);
/// Any secret: nobody checks signatures here.
const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// What one run took, in seconds. The parts add up to the whole.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct HookTimes {
    /// From the first failing request to the end of the window that proved it: evidence, and the rest of a window.
    pub evidence: f64,
    /// From there to the decision: lateness, what is on its way, folding and tests.
    pub decision: f64,
    /// From there to the first byte of the hook: the ledger's disk, the delivery's, and the connection.
    pub delivery: f64,
    /// The whole.
    pub whole: f64,
}

/// Where lines go.
pub trait Send: std::marker::Send {
    /// Sends lines.
    ///
    /// # Errors
    /// A way that is gone.
    fn send(&mut self, running: &Running, lines: &[String]) -> io::Result<()>;
    /// Options of `serin run` for it.
    fn options(&self) -> Vec<String>;
}

/// By `POST /ingest`.
#[derive(Clone, Copy, Debug)]
pub struct OverHttp;

impl Send for OverHttp {
    fn send(&mut self, running: &Running, lines: &[String]) -> io::Result<()> {
        running.post("/ingest", "application/x-ndjson", lines.concat().as_bytes())
    }

    fn options(&self) -> Vec<String> {
        Vec::new()
    }
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64()
}

/// Measures as many runs, side by side, each with its own way.
///
/// # Errors
/// A program that does not start, or tells nothing.
pub fn hook(ways: Vec<Box<dyn Send>>, healthy: Duration) -> io::Result<Vec<HookTimes>> {
    // The first failure comes at every place of a window alike.
    let all = ways.len().max(1) as f64;
    let after = |number: usize| healthy + WINDOW.mul_f64(number as f64 / all);
    std::thread::scope(|scope| {
        let runs: Vec<_> = ways
            .into_iter()
            .enumerate()
            .map(|(number, way)| {
                let healthy = after(number);
                scope.spawn(move || one(number as u64, way, healthy))
            })
            .collect();
        runs.into_iter().map(|run| run.join().map_err(|_| io::Error::other("a run has died"))?).collect()
    })
}

fn one(number: u64, mut way: Box<dyn Send>, healthy: Duration) -> io::Result<HookTimes> {
    let scratch = Scratch::new(&format!("hook-{number}"))?;
    let folder = scratch.path();
    let (address, told) = receiver()?;
    std::fs::write(folder.join("secret"), SECRET)?;
    let config = folder.join("serin.yaml");
    std::fs::write(
        &config,
        format!(
            "hooks:\n- {{name: bench, url: 'http://{address}/', secret_file: {0}/secret}}\nrollouts:\n- {{name: shop, services: \
             [shop], owners: [bench]}}\n",
            folder.display()
        ),
    )?;
    let config = config.display().to_string();
    let options = way.options();
    let arguments: Vec<&str> = ["--config", &config].into_iter().chain(options.iter().map(String::as_str)).collect();
    let running = Running::start(&arguments, &folder.join("state"))?;
    let began = Instant::now();
    let mut failing: Option<f64> = None;
    let mut tick = 0u64;
    while began.elapsed() < healthy + PATIENCE {
        let bad = began.elapsed() >= healthy;
        let lines: Vec<String> = (0..2)
            .flat_map(|arm| (0..REQUESTS[arm]).map(move |request| (arm, request)))
            .map(|(arm, request)| {
                let drawn = mix(mix(number, tick), arm as u64 * 100 + request);
                let at = now();
                if bad && arm == 1 {
                    failing.get_or_insert(at);
                }
                line(arm, drawn, at, bad)
            })
            .collect();
        way.send(&running, &lines)?;
        tick += 1;
        let next = TICK * u32::try_from(tick).unwrap_or(u32::MAX);
        // The next tick, or the hook before it.
        match told.recv_timeout(next.saturating_sub(began.elapsed())) {
            Ok((at, message)) => {
                let from = failing.ok_or_else(|| io::Error::other("rolled back while nothing failed"))?;
                return times(from, at, &message);
            }
            Err(_) => continue,
        }
    }
    Err(io::Error::other("no rollback was told"))
}

fn line(arm: usize, drawn: u64, at: f64, bad: bool) -> String {
    let name = ["baseline", "canary"][arm.min(1)];
    let fails = (bad && arm == 1) || drawn.is_multiple_of(997);
    let user = mix(drawn, 1) % USERS[arm.min(1)];
    let latency = 20 + mix(drawn, 2) % 60;
    let at = Timestamp((at * 1e6) as i64);
    let status = if fails { 503 } else { 200 };
    format!(
        "{{\"ts\":\"{at}\",\"service\":\"shop\",\"cohort\":\"{name}\",\"user\":\"{name}-{user}\",\"status\":{status},\"latency_ms\":{latency},\
         \"route\":\"/pay\",\"level\":\"info\"}}\n"
    )
}

/// Listens, and hands on when the first byte of a rollback came, with its body.
fn receiver() -> io::Result<(String, Receiver<(f64, Value)>)> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?.to_string();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            let mut bytes = vec![0; 1];
            if stream.read_exact(&mut bytes).is_err() {
                continue;
            }
            let at = now();
            let mut part = [0; 4_096];
            let body = loop {
                let text = String::from_utf8_lossy(&bytes);
                if let Some((head, body)) = text.split_once("\r\n\r\n") {
                    let length = head.to_ascii_lowercase().split("content-length: ").nth(1).map_or(0, |rest| {
                        rest.split("\r\n").next().and_then(|length| length.parse().ok()).unwrap_or(0)
                    });
                    if body.len() >= length {
                        break body.to_owned();
                    }
                }
                match stream.read(&mut part) {
                    Ok(0) | Err(_) => break String::new(),
                    Ok(read) => bytes.extend_from_slice(&part[..read]),
                }
            };
            // Whoever sent it sends it again otherwise, and nobody looks at that.
            let _answered = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let message: Value = serde_json::from_str(&body).unwrap_or_default();
            if message["data"]["action"] == "rollback" && sender.send((at, message)).is_err() {
                return;
            }
        }
    });
    Ok((address, receiver))
}

fn times(from: f64, at: f64, message: &Value) -> io::Result<HookTimes> {
    let time = |value: &Value| -> io::Result<f64> {
        let text = value.as_str().ok_or_else(|| io::Error::other("a message without a time"))?;
        let time = crate::pipeline::clock::parse_time(text).map_err(io::Error::other)?;
        Ok(time.0 as f64 / 1e6)
    };
    let (proved, decided) = (time(&message["data"]["compared"][0]["automatic_at"])?, time(&message["timestamp"])?);
    Ok(HookTimes { evidence: proved - from, decision: decided - proved, delivery: at - decided, whole: at - from })
}
