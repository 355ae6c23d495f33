//! A target of hooks that keeps everything it was sent, and answers as a test wants.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What came.
#[derive(Clone, Debug)]
pub struct Came {
    pub path: String,
    /// Names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Came {
    pub fn id(&self) -> &str {
        &self.headers["webhook-id"]
    }

    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }

    pub fn event(&self) -> String {
        self.json()["type"].as_str().unwrap().trim_start_matches("serin.rollout.").to_owned()
    }
}

/// What is done with what came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// This status, with these further header lines.
    Status(u16, String),
    /// Nothing, until the other side gives up.
    Silence,
    /// The connection is closed.
    Close,
}

pub struct Receiver {
    pub address: String,
    came: Arc<Mutex<Vec<Came>>>,
}

fn read_one(stream: &TcpStream) -> Option<Came> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Came { path, headers, body: String::from_utf8(body).ok()? })
}

impl Receiver {
    /// Listens; `answer` is asked with the number of what came, from 0.
    pub fn start(answer: impl Fn(usize, &Came) -> Answer + Send + 'static) -> Receiver {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let came = Arc::new(Mutex::new(Vec::new()));
        let log = Arc::clone(&came);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Ok(mut stream) = stream else { continue };
                let Some(one) = read_one(&stream) else { continue };
                let number = {
                    let mut log = log.lock().unwrap();
                    log.push(one.clone());
                    log.len() - 1
                };
                match answer(number, &one) {
                    Answer::Close => {}
                    Answer::Silence => {
                        // Ends when the other side closes.
                        let _gone = stream.read(&mut [0; 16]);
                    }
                    Answer::Status(status, more) => {
                        let text =
                            format!("HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n{more}\r\n");
                        let _gone = stream.write_all(text.as_bytes());
                    }
                }
            }
        });
        Receiver { address, came }
    }

    /// Everything that came so far.
    pub fn came(&self) -> Vec<Came> {
        self.came.lock().unwrap().clone()
    }
}
