//! `serin run` as a process of its own, and what it says over HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::command;

/// How long anything may take on a slow machine. It bounds, and decides nothing.
pub const PATIENCE: Duration = Duration::from_secs(90);

/// Asks until there is an answer.
pub fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let began = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(began.elapsed() < PATIENCE, "not in time: {what}");
        // Another process is asked over HTTP, and tells of nothing by itself. How long that takes decides nothing: only
        // what is found does, and PATIENCE bounds it.
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A program that runs; it ends with this, as by `kill -9`.
pub struct Running {
    pub child: Child,
    pub address: String,
    /// What it wrote on standard error since it listens.
    pub said: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// `serin run` on a free port.
    pub fn start(arguments: &[&str], state: &Path) -> Running {
        Running::start_by(command(), arguments, state)
    }

    /// The same, where no file may have more than so many KiB.
    pub fn start_with_files_of(kib: u32, arguments: &[&str], state: &Path) -> Running {
        let mut shell = Command::new("bash");
        // Without the trap the signal would end the program; with it a write is refused, as by a full disk.
        shell.args(["-c", &format!("trap '' XFSZ; ulimit -f {kib}; exec \"$@\""), "bash"]);
        shell.arg(command().get_program());
        Running::start_by(shell, arguments, state)
    }

    /// The same, by a command that runs what stands behind it.
    pub fn start_by(command: Command, arguments: &[&str], state: &Path) -> Running {
        Running::spawn(command, "127.0.0.1:0", arguments, state)
    }

    /// `serin run` where one has been.
    pub fn start_at(address: &str, arguments: &[&str], state: &Path) -> Running {
        Running::spawn(command(), address, arguments, state)
    }

    fn spawn(mut command: Command, address: &str, arguments: &[&str], state: &Path) -> Running {
        let mut child = command
            .args(["run", "--listen", address])
            .args(arguments)
            .arg("--state")
            .arg(state)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| Some(line.split_once("http://")?.1.split('/').next()?.to_owned()))
            .expect("it says where it listens");
        let said = Arc::new(Mutex::new(Vec::new()));
        let hears = Arc::clone(&said);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                println!("{line}");
                hears.lock().unwrap().push(line);
            }
        });
        Running { child, address, said }
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }

    /// Status and body of an answer.
    pub fn ask(&self, path: &str, host: &str) -> Option<(u16, String)> {
        let head = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
        self.exchange(head.as_bytes())
    }

    /// Sends a body with further header lines; status and body of the answer, `None` where the program has gone.
    pub fn post(&self, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Option<(u16, String)> {
        let more: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let (host, length) = (&self.address, body.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {length}\r\n{more}Connection: close\r\n\r\n"
        );
        self.exchange(&[head.as_bytes(), body].concat())
    }

    /// The report as a page, as a browser asks for it.
    pub fn page(&self) -> Option<(u16, String)> {
        let host = &self.address;
        let head = format!(
            "GET /v1/report.html HTTP/1.1\r\nHost: {host}\r\nAccept: text/html,*/*;q=0.8\r\nConnection: close\r\n\r\n"
        );
        self.exchange(head.as_bytes())
    }

    /// Sends bytes as they are; status and body of the answer.
    pub fn exchange(&self, request: &[u8]) -> Option<(u16, String)> {
        let (status, _, body) = self.exchange_bytes(request)?;
        Some((status, String::from_utf8(body).ok()?))
    }

    /// The same, with the head of the answer, and a body of any bytes.
    pub fn exchange_bytes(&self, request: &[u8]) -> Option<(u16, String, Vec<u8>)> {
        let mut stream = TcpStream::connect(&self.address).ok()?;
        stream.write_all(request).ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(answer[..end].to_vec()).ok()?;
        Some((head.split(' ').nth(1)?.parse().ok()?, head.to_ascii_lowercase(), answer[end + 4..].to_vec()))
    }

    /// The report, when there is one.
    pub fn report(&self) -> Option<Value> {
        let (status, body) = self.ask("/v1/report", &self.address)?;
        (status == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    /// The report, once it stays as it is.
    pub fn settled(&self, enough: impl Fn(&Value) -> bool) -> Value {
        let mut before = (Value::Null, Instant::now());
        until("the report settles", || {
            let report = self.report()?;
            if report != before.0 {
                before = (report, Instant::now());
            }
            (enough(&before.0) && before.1.elapsed() > Duration::from_secs(5)).then(|| before.0.clone())
        })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = (self.child.kill(), self.child.wait());
    }
}
