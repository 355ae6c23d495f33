//! Lines as a good structured logger writes them, in the order in which several pods write to one file.

use super::shop::ROUTES;
use super::{Arm, Request, User};
use crate::demo::random::Random;
use crate::demo::text::{Fraction, Part, TimeText, decimal, hex, millis, phrase, text};
use crate::time::SECOND;

/// A line is written at most this long after its event time, since several pods share a file.
const JITTER: f64 = 2.0 * SECOND as f64;

/// Lines that are made but not yet written: they leave in the order in which the pods write them.
pub(super) struct Sheet {
    bytes: Vec<u8>,
    lines: Vec<Line>,
    time: TimeText,
    /// Swapped with `bytes` at each release, so that no minute allocates.
    kept: Vec<u8>,
}

/// When a line is written, and where its bytes lie.
struct Line {
    written: i64,
    from: usize,
    until: usize,
}

impl Sheet {
    pub(super) fn new() -> Self {
        Self { bytes: Vec::new(), lines: Vec::new(), time: TimeText::new(), kept: Vec::new() }
    }

    /// Appends all lines that are written before `until` and keeps the others.
    pub(super) fn release(&mut self, until: i64, out: &mut Vec<u8>) {
        // The position breaks ties, so the order does not depend on the sort.
        self.lines.sort_unstable_by_key(|line| (line.written, line.from));
        let due = self.lines.partition_point(|line| line.written < until);
        for line in self.lines.drain(..due) {
            out.extend_from_slice(&self.bytes[line.from..line.until]);
        }
        self.kept.clear();
        for line in &mut self.lines {
            let from = self.kept.len();
            self.kept.extend_from_slice(&self.bytes[line.from..line.until]);
            (line.from, line.until) = (from, self.kept.len());
        }
        std::mem::swap(&mut self.bytes, &mut self.kept);
    }

    /// Begins a line of this event time and level.
    fn begin(&mut self, at: i64, level: &str) -> usize {
        let from = self.bytes.len();
        text(&mut self.bytes, r#"{"timestamp":""#);
        self.time.push(&mut self.bytes, at, Fraction::Millis);
        text(&mut self.bytes, r#"","level":""#);
        text(&mut self.bytes, level);
        from
    }

    /// Ends the line that began at `from`.
    fn end(&mut self, from: usize, at: i64, random: &mut Random) {
        text(&mut self.bytes, "\"}\n");
        // Most lines are flushed at once and few late: the product of two uniforms has mean 1/4.
        let delay = (JITTER * random.unit() * random.unit()) as i64;
        self.lines.push(Line { written: at + delay, from, until: self.bytes.len() });
    }

    pub(super) fn request(&mut self, request: &Request, arm: &Arm, user: &User, pod: &str, random: &mut Random) {
        let at = request.started + request.micros as i64;
        let route = &ROUTES[request.route];
        let (level, status, message) = match request.failure {
            Some(failure) => ("error", failure.status, failure.message),
            None => ("info", 200, route.message),
        };
        let from = self.begin(at, level);
        let out = &mut self.bytes;
        out.extend_from_slice(&arm.head);
        text(out, r#"request","user_id":"u-"#);
        decimal(out, u64::from(user.id));
        ids(out, request);
        text(out, r#"","span_id":""#);
        hex(out, request.span);
        text(out, r#"","route":""#);
        text(out, route.path);
        text(out, r#"","method":""#);
        text(out, route.method);
        text(out, r#"","status":"#);
        decimal(out, status);
        text(out, r#","duration_ms":"#);
        millis(out, request.micros);
        text(out, r#","region":""#);
        text(out, user.region);
        text(out, r#"","client":""#);
        text(out, user.client);
        text(out, r#"","pod":""#);
        text(out, pod);
        text(out, r#"","message":""#);
        phrase(out, message, salt(request, random));
        self.end(from, at, random);
    }

    /// A log line of the released service somewhere inside the request.
    #[expect(clippy::too_many_arguments, reason = "the fields of a line; a struct for one call would say no more")]
    pub(super) fn log(
        &mut self,
        request: &Request,
        arm: &Arm,
        user: &User,
        pod: &str,
        level: &str,
        message: &[Part],
        random: &mut Random,
    ) {
        let at = request.started + random.below(request.micros.max(1)) as i64;
        let from = self.begin(at, level);
        let out = &mut self.bytes;
        out.extend_from_slice(&arm.head);
        text(out, r#"log","user_id":"u-"#);
        decimal(out, u64::from(user.id));
        ids(out, request);
        text(out, r#"","pod":""#);
        text(out, pod);
        text(out, r#"","message":""#);
        phrase(out, message, salt(request, random));
        self.end(from, at, random);
    }

    /// One downstream call of the request. It knows the trace, but neither the user nor the version under test.
    pub(super) fn span(&mut self, request: &Request, arm: &Arm, user: &User, call: (u64, u64), random: &mut Random) {
        let (call, calls) = call;
        let turn = call as usize % arm.calls.len().max(1);
        let Some(&(service, version, operation)) = arm.calls.get(turn) else { return };
        // Calls follow each other inside the request, each filling part of its slot.
        let slot = request.micros / (calls + 1);
        let at = request.started + (slot * (call + 1)) as i64;
        let from = self.begin(at, "info");
        let out = &mut self.bytes;
        text(out, r#"","service":""#);
        text(out, service);
        text(out, r#"","version":""#);
        text(out, version);
        text(out, r#"","environment":"production","kind":"span"#);
        ids(out, request);
        text(out, r#"","span_id":""#);
        hex(out, random.bits());
        text(out, r#"","parent_id":""#);
        hex(out, request.span);
        text(out, r#"","duration_ms":"#);
        millis(out, random.below(slot.max(1)));
        text(out, r#","region":""#);
        text(out, user.region);
        text(out, r#"","message":""#);
        text(out, operation);
        self.end(from, at, random);
    }
}

/// What the values of a line's text are made of. A failure is told by two lines: both are of the same thing.
fn salt(request: &Request, random: &mut Random) -> u64 {
    let salt = random.bits();
    if request.failure.is_some() { request.trace[0] ^ request.span } else { salt }
}

/// The trace id, after an open string value.
fn ids(out: &mut Vec<u8>, request: &Request) {
    text(out, r#"","trace_id":""#);
    hex(out, request.trace[0]);
    hex(out, request.trace[1]);
}
