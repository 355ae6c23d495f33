//! `serin run` as a process of its own, and what it says over HTTP.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::command;

/// How long anything may take on a slow machine. It bounds, and decides nothing.
pub const PATIENCE: Duration = Duration::from_secs(180);

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

/// A connection on which nothing is waited for without end.
pub fn connected(address: &str) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Lines of a program, each once it has said it; the end of its output ends them.
pub fn lines_of(output: impl Read + Send + 'static) -> impl Iterator<Item = String> {
    let (heard, hears) = mpsc::channel();
    std::thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if heard.send(line).is_err() {
                return;
            }
        }
    });
    std::iter::from_fn(move || match hears.recv_timeout(PATIENCE) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it says nothing"),
        line => line.ok(),
    })
}

/// A program that runs; it ends with this, as by `kill -9`.
pub struct Running {
    pub child: Child,
    pub address: String,
    /// What it wrote on standard error since it listens.
    pub said: Arc<Mutex<Vec<String>>>,
    /// It has said more.
    more: Arc<Condvar>,
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
        let (said, more) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Condvar::new()));
        let (hears, tells) = (Arc::clone(&said), Arc::clone(&more));
        let (listens, at) = mpsc::channel();
        std::thread::spawn(move || {
            let mut lines = lines.by_ref().map_while(Result::ok);
            let address = lines.find_map(|line| Some(line.split_once("http://")?.1.split('/').next()?.to_owned()));
            let Some(address) = address else { return };
            // Nobody waits for it any more.
            let _late = listens.send(address);
            for line in lines {
                println!("{line}");
                hears.lock().unwrap().push(line);
                tells.notify_all();
            }
        });
        let address = at.recv_timeout(PATIENCE).expect("it says where it listens");
        Running { child, address, said, more }
    }

    /// Waits until it has said something with these words.
    pub fn heard(&self, words: &str) {
        let said = self.said.lock().unwrap();
        let is_missing = |said: &mut Vec<String>| !said.iter().any(|line| line.contains(words));
        let late = self.more.wait_timeout_while(said, PATIENCE, is_missing).unwrap().1.timed_out();
        assert!(!late, "it does not say: {words}");
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
        let mut stream = connected(&self.address).ok()?;
        let mut answer = Vec::new();
        let done = stream.write_all(request).and_then(|()| stream.read_to_end(&mut answer));
        if done.as_ref().is_err_and(|error| matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut))
        {
            panic!("no answer in time: {}", String::from_utf8_lossy(request).lines().next().unwrap_or_default());
        }
        done.ok()?;
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(answer[..end].to_vec()).ok()?;
        Some((head.split(' ').nth(1)?.parse().ok()?, head.to_ascii_lowercase(), answer[end + 4..].to_vec()))
    }

    /// The report, when there is one.
    pub fn report(&self) -> Option<Value> {
        let (status, body) = self.ask("/v1/report", &self.address)?;
        (status == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    /// The report, once everything is read and it stays as it is.
    pub fn settled(&self, enough: impl Fn(&Value) -> bool) -> Value {
        let (mut before, began) = ((Value::Null, Instant::now()), Instant::now());
        until("the report settles", || {
            let (report, quiet) = (self.report()?, self.quiet());
            if report != before.0 || quiet.is_none() {
                before = (report, Instant::now());
            }
            // What it waits for cannot be told from the program's words alone.
            let last = began.elapsed() + Duration::from_secs(1) > PATIENCE;
            if last {
                let since = before.1.elapsed();
                println!("unchanged for {since:?}: {} {}", before.0["records"], before.0["kafka"]);
                println!("{:?}", self.ask("/healthz", &self.address));
            }
            (enough(&before.0) && before.1.elapsed() > quiet?).then(|| before.0.clone())
        })
    }

    /// How long a report stays that will not change. A log alone is shown as far as it was read: `None` while something of it is left to
    /// read. With topics, partitions from which nothing comes are moved on after a while.
    fn quiet(&self) -> Option<Duration> {
        let (_, text) = self.ask("/metrics", &self.address)?;
        let lags = |unit: &str| -> Vec<f64> {
            let lines = text.lines().filter(|line| line.starts_with(&format!("serin_source_lag_{unit}{{")));
            lines.map(|line| line.rsplit(' ').next().unwrap().parse().unwrap()).collect()
        };
        let (bytes, records) = (lags("bytes"), lags("records"));
        if bytes.is_empty() || !records.is_empty() {
            return Some(Duration::from_secs(5));
        }
        bytes.iter().all(|lag| *lag == 0.0).then_some(Duration::from_secs(2))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = (self.child.kill(), self.child.wait());
    }
}
