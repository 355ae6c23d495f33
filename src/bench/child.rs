//! `serin run` as a process of its own, measured from outside.

use std::io::{self, BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Ticks of CPU time in a second, as Linux shows them to programs (`USER_HZ`), on every machine.
const TICKS: f64 = 100.0;
/// How long anything may take. It bounds, and decides nothing.
const PATIENCE: Duration = Duration::from_secs(600);
/// Between two questions.
const AGAIN: Duration = Duration::from_millis(100);

/// A scratch folder, removed with this.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Scratch {
    /// Makes one.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub(super) fn new(name: &str) -> io::Result<Scratch> {
        let folder = std::env::temp_dir().join(format!("serin-bench-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder)?;
        Ok(Scratch(folder))
    }

    /// Its path.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind is in the folder for such things.
        let _stays = std::fs::remove_dir_all(&self.0);
    }
}

/// A program that runs; it ends with this.
#[derive(Debug)]
pub struct Running {
    child: Child,
    /// Where it listens.
    pub address: String,
    agent: ureq::Agent,
}

impl Running {
    /// Starts this same program as `run` on a free port, and waits until it listens.
    ///
    /// # Errors
    /// A program that does not start.
    pub fn start(arguments: &[&str], state: &Path) -> io::Result<Running> {
        let mut child = Command::new(std::env::current_exe()?)
            // What search keeps is measured by `serin bench index`.
            .args(["run", "--index", "off", "--listen", "127.0.0.1:0", "--state"])
            .arg(state)
            .args(arguments)
            // No configuration that lies about is meant.
            .current_dir(state.parent().unwrap_or(state))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().ok_or_else(|| io::Error::other("no standard error"))?;
        let mut lines = BufReader::new(stderr).lines();
        let mut said = String::new();
        let address = lines.by_ref().map_while(Result::ok).find_map(|line| {
            let address = line.split_once("http://").map(|(_, rest)| rest.trim_end_matches('/').to_owned());
            said = line;
            address
        });
        let address = address.ok_or_else(|| io::Error::other(format!("`serin run` does not start: {said}")))?;
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().new_agent();
        Ok(Running { child, address, agent })
    }

    /// Sends a body until it is taken. 429 and 503 mean: later.
    ///
    /// # Errors
    /// A body that is refused, or a program that is gone.
    pub fn post(&self, path: &str, kind: &str, body: &[u8]) -> io::Result<()> {
        let began = Instant::now();
        loop {
            let asked =
                self.agent.post(format!("http://{}{path}", self.address)).header("content-type", kind).send(body);
            let mut answer = asked.map_err(io::Error::other)?;
            match answer.status().as_u16() {
                200..=299 => return Ok(()),
                // It asks for patience, and tells nobody when there is room again.
                429 | 503 if began.elapsed() < PATIENCE => std::thread::sleep(AGAIN),
                status => {
                    let words = answer.body_mut().read_to_string().unwrap_or_default();
                    return Err(io::Error::other(format!("{path}: {status} {words}")));
                }
            }
        }
    }

    /// What it says, as JSON; `None` where it has nothing to say yet.
    pub fn ask(&self, path: &str) -> Option<Value> {
        let mut answer = self.agent.get(format!("http://{}{path}", self.address)).call().ok()?;
        let text = answer.body_mut().read_to_string().ok()?;
        serde_json::from_str(&text).ok()
    }

    /// Waits until it has counted so many records.
    ///
    /// # Errors
    /// That it takes too long.
    pub fn wait_for_records(&self, records: u64) -> io::Result<()> {
        let began = Instant::now();
        while began.elapsed() < PATIENCE {
            let read = self.ask("/v1/report").and_then(|report| report["records"]["read"].as_u64());
            if read >= Some(records) {
                return Ok(());
            }
            // Another process is asked, and tells of nothing by itself. Only CPU time is measured, not this wait.
            std::thread::sleep(AGAIN);
        }
        Err(io::Error::other(format!("{records} records were not counted in {} s", PATIENCE.as_secs())))
    }

    /// CPU seconds of all its threads so far, of user and system.
    pub fn cpu(&self) -> f64 {
        cpu_of(self.child.id()).unwrap_or(0.0)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = (self.child.kill(), self.child.wait());
    }
}

/// CPU seconds of a process.
pub(super) fn cpu_of(pid: u32) -> Option<f64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|field| field.parse::<f64>().ok());
    Some((ticks(11)? + ticks(12)?) / TICKS)
}
