//! What `serin run` costs for a line, by each way in, beside a lower bound that is measured in the same run.
//!
//! The program runs as a process of its own with state folder, write-ahead log, ledger and checkpoints as they are without options.
//! Its CPU time, of all threads, is read from outside between the first body and the moment in which all lines are counted, less what a
//! start costs. Bodies are made before anything is measured.
//!
//! | way in | bound |
//! | --- | --- |
//! | NDJSON | the whole fold of the same lines in one thread, without disk and HTTP ([`super::fold`]) |
//! | `_bulk`, OTLP, Loki | decoding alone: bodies made lines by this program's own readers, and lines made events; no windows, tests, disk or HTTP |
//! | Kafka | a client of the same library that polls records and counts them |

use std::io;
use std::time::Instant;

use crate::bench::child::{Running, Scratch};
use crate::bench::{CHUNK_BYTES, cpu, survey_of};
use crate::demo::corpus::Corpus;
use crate::pipeline::decode::{Decoded, Decoder};
use crate::source::dialect::bulk::Bulk;
use crate::source::dialect::loki;
use crate::source::dialect::otlp::Notation;

/// Bytes that lines of a body may become.
const LINES_MAX: usize = 64 << 20;

/// One way in.
#[derive(Clone, PartialEq, Debug)]
pub struct WayFigures {
    /// Its name.
    pub name: &'static str,
    /// What it is held against.
    pub bound: &'static str,
    /// The bound, ns of CPU a line.
    pub bound_ns: f64,
    /// `serin run`, ns of CPU a line, of user and system.
    pub run_ns: f64,
    /// Lines a second of wall time.
    pub lines_per_second: f64,
    /// The broker, ns of CPU a line while `serin run` read, where its process was named.
    pub broker_ns: Option<f64>,
    /// The most that `run_ns` may be, as the design asks: a factor of the bound, or so many ns beyond it.
    pub at_most: AtMost,
}

/// A target.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum AtMost {
    /// So many times the bound.
    Times(f64),
    /// So many ns beyond the bound.
    Beyond(f64),
}

/// A way in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Way {
    Ndjson,
    Bulk,
    Otlp,
    Loki,
}

impl Way {
    const ALL: [Way; 4] = [Way::Ndjson, Way::Bulk, Way::Otlp, Way::Loki];

    fn name(self) -> &'static str {
        match self {
            Way::Ndjson => "NDJSON",
            Way::Bulk => "_bulk",
            Way::Otlp => "OTLP, protobuf",
            Way::Loki => "Loki, protobuf and snappy",
        }
    }

    fn path(self) -> (&'static str, &'static str) {
        match self {
            Way::Ndjson => ("/ingest", "application/x-ndjson"),
            Way::Bulk => ("/_bulk", "application/x-ndjson"),
            Way::Otlp => ("/v1/logs", "application/x-protobuf"),
            Way::Loki => ("/loki/api/v1/push", "application/x-protobuf"),
        }
    }

    /// A body of lines.
    fn body(self, text: &[u8]) -> Vec<u8> {
        let lines = || text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
        match self {
            Way::Ndjson => text.to_vec(),
            Way::Bulk => lines().flat_map(|line| [&b"{\"create\":{}}\n"[..], line, b"\n"].concat()).collect(),
            Way::Otlp => {
                let record = |line| field(2, &field(5, &field(1, line)));
                field(1, &field(2, &lines().flat_map(record).collect::<Vec<u8>>()))
            }
            Way::Loki => {
                // 2026-06-01: the time that Loki keeps; a line has its own.
                let time = [&[0x08][..], &varint(1_780_308_000)].concat();
                let entry = |line| field(2, &[field(1, &time), field(2, line)].concat());
                let stream = [field(1, b"{app=\"bench\"}"), lines().flat_map(entry).collect::<Vec<u8>>()].concat();
                snap::raw::Encoder::new().compress_vec(&field(1, &stream)).unwrap_or_default()
            }
        }
    }

    /// The lines of a body, as `run` makes them.
    fn lines(self, body: Vec<u8>) -> Vec<u8> {
        match self {
            Way::Ndjson => body,
            Way::Bulk => Bulk::read(&body, None).map(|bulk| bulk.lines).unwrap_or_default(),
            Way::Otlp => Notation::Proto.lines(&body, LINES_MAX).map(|made| made.lines).unwrap_or_default(),
            Way::Loki => {
                let body = snap::raw::Decoder::new().decompress_vec(&body).unwrap_or_default();
                loki::of_proto(&body, LINES_MAX).map(|made| made.lines).unwrap_or_default()
            }
        }
    }
}

fn varint(mut number: u64) -> Vec<u8> {
    let mut out = Vec::new();
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
    out
}

/// A field of protobuf with a length.
fn field(tag: u8, inner: &[u8]) -> Vec<u8> {
    [&[tag << 3 | 2][..], &varint(inner.len() as u64), inner].concat()
}

/// The corpus in chunks, and its lines.
pub(super) fn corpus(lines: u64, users: u32, seed: u64) -> (Vec<Vec<u8>>, u64) {
    let mut corpus = Corpus::new(lines, users, seed);
    let mut chunks = Vec::new();
    let mut text = Vec::new();
    while corpus.chunk(&mut text, CHUNK_BYTES) {
        chunks.push(std::mem::take(&mut text));
    }
    let lines = chunks.iter().map(|chunk| memchr::memchr_iter(b'\n', chunk).count() as u64).sum();
    (chunks, lines)
}

/// A line long after all others, which closes their windows.
pub(super) const LAST: &str =
    "{\"timestamp\":\"2027-06-01T00:00:00Z\",\"level\":\"info\",\"service\":\"checkout\",\"message\":\"after\"}\n";
/// It is believed only with others of its kind (`fold::clock_guard`).
pub(super) const LAST_TIMES: usize = 21;

/// Measures what comes over HTTP. `fold_ns`: the bound of NDJSON.
///
/// # Errors
/// A program that does not start or does not count.
pub fn http(lines: u64, users: u32, seed: u64, fold_ns: f64) -> io::Result<Vec<WayFigures>> {
    let (chunks, lines) = corpus(lines, users, seed);
    Way::ALL.into_iter().map(|way| of_way(way, &chunks, lines, users, seed, fold_ns)).collect()
}

fn of_way(way: Way, chunks: &[Vec<u8>], lines: u64, users: u32, seed: u64, fold_ns: f64) -> io::Result<WayFigures> {
    let per_line = |seconds: f64| seconds * 1e9 / lines.max(1) as f64;
    let mut bodies: Vec<Vec<u8>> = chunks.iter().map(|chunk| way.body(chunk)).collect();
    let (bound, bound_ns) = match way {
        Way::Ndjson => ("whole fold in one thread", fold_ns),
        Way::Bulk | Way::Otlp | Way::Loki => {
            let found = survey_of(lines, users, seed);
            let mut decoder = Decoder::new(&found.plan, "bench");
            let (at, mut weight) = (cpu(), 0u64);
            for body in bodies.clone() {
                let made = way.lines(body);
                let text = String::from_utf8_lossy(&made);
                for line in text.lines() {
                    if let Ok(Decoded::Event(event)) = decoder.decode(line, 0) {
                        weight = weight.wrapping_add(event.unit);
                    }
                }
            }
            let took = cpu() - at;
            std::hint::black_box(weight);
            ("decoding bodies and lines alone", took as f64 / lines.max(1) as f64)
        }
    };
    bodies.push(way.body(LAST.repeat(LAST_TIMES).as_bytes()));
    let state = Scratch::new("state")?;
    let running = Running::start(&["--idle", "1s"], &state.path().join("state"))?;
    let (path, kind) = way.path();
    let (began, before) = (Instant::now(), running.cpu());
    for body in &bodies {
        running.post(path, kind, body)?;
    }
    running.wait_for_records(lines)?;
    let (wall, took) = (began.elapsed().as_secs_f64(), running.cpu() - before);
    let at_most = if way == Way::Ndjson { AtMost::Times(1.3) } else { AtMost::Times(1.5) };
    Ok(WayFigures {
        name: way.name(),
        bound,
        bound_ns,
        run_ns: per_line(took),
        lines_per_second: lines as f64 / wall,
        broker_ns: None,
        at_most,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_brings_the_same_lines() {
        let (chunks, lines) = corpus(50, 10, 1);
        assert_eq!(lines, 50);
        for way in Way::ALL {
            let made = way.lines(way.body(&chunks[0]));
            assert_eq!(memchr::memchr_iter(b'\n', &made).count(), 50, "{way:?}");
        }
    }
}
