//! What tests share: small generated logs with known content, the program as a person runs it, and the core without it.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of this")]

#[cfg(unix)]
pub mod acting;
#[cfg(all(unix, feature = "serve"))]
pub mod clients;
#[cfg(all(unix, feature = "kafka"))]
pub mod node;
#[cfg(unix)]
pub mod receiver;
#[cfg(unix)]
pub mod running;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Map, Value};
use serin::engine::limits::Limits;
use serin::engine::policy::Policy;
use serin::engine::shedding::STATE_MAX;
use serin::engine::{ArmChoice, Engine, Input, Output, Settings};
use serin::event;
use serin::fold::StreamFold;
use serin::pipeline::plan::{ArmRule, BASELINE, CANARY, Conversions, FieldRef, Plan};
use serin::pipeline::plan_text;
use serin::pipeline::roles::Role;
use serin::pipeline::survey::{Head, Survey, Wishes, survey};
use serin::sketch::partial::WindowPartial;
use serin::source::files;
use serin::source::fold_chunk::{KeptReject, fold_chunk, refold_chunk};
use serin::source::lines::Chunk;
use serin::source::run::{Observer, Options, run};
use serin::time::{MINUTE, SECOND, Timestamp};

/// 2026-06-01T10:00:00Z.
pub const START: i64 = 1_780_308_000 * SECOND;

/// Seeded random numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(event::mix(seed, 77))
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        event::mix(self.0, 0)
    }

    /// A number below `n`.
    pub fn below(&mut self, n: u64) -> u64 {
        self.next() % n.max(1)
    }

    /// A number from 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }
}

/// One line to be written; its time is filled in last.
#[derive(Clone, Debug)]
pub struct Line {
    pub at: i64,
    pub user: u64,
    /// 0 control, 1 the first candidate, and so on.
    pub arm: usize,
    pub exposure: bool,
    pub text: String,
}

const TIME: &str = "@TIME@";

impl Line {
    pub fn new(at: i64, user: u64, arm: usize, fields: &str) -> Line {
        Line { at, user, arm, exposure: false, text: format!("{{\"ts\":\"{TIME}\",{fields}}}") }
    }

    pub fn text(&self) -> String {
        self.text.replace(TIME, &Timestamp(self.at).to_string())
    }
}

/// How lines say which arm they belong to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Labels {
    /// Each request has its cohort.
    OnRequests,
    /// Only exposures have it; requests inherit it.
    OnExposures,
}

/// Traffic of one service with users that stick to their arm.
#[derive(Clone, Debug)]
pub struct Traffic {
    pub seed: u64,
    pub service: &'static str,
    pub users: u64,
    pub requests: u64,
    pub minutes: i64,
    /// Share of users in each arm but the control.
    pub shares: Vec<f64>,
    pub arms: Vec<&'static str>,
    /// Error rate by arm.
    pub errors: Vec<f64>,
    /// Factor on latency by arm.
    pub slower: Vec<f64>,
    pub labels: Labels,
    /// Each request is a trace with spans of a second service.
    pub spans: bool,
    /// Failed attempts are tried again under the same request id.
    pub retries: bool,
}

impl Default for Traffic {
    fn default() -> Self {
        Traffic {
            seed: 1,
            service: "shop",
            users: 200,
            requests: 1_500,
            minutes: 12,
            shares: vec![0.4],
            arms: vec!["baseline", "canary"],
            errors: vec![0.02, 0.05],
            slower: vec![1.0, 1.1],
            labels: Labels::OnRequests,
            spans: false,
            retries: false,
        }
    }
}

impl Traffic {
    /// Arm of a user: fixed for ever.
    pub fn arm_of(&self, user: u64) -> usize {
        let place = event::mix(event::mix(user, 5), self.seed) as f64 / u64::MAX as f64;
        let mut reach = 0.0;
        for (at, share) in self.shares.iter().enumerate() {
            reach += share;
            if place < reach {
                return at + 1;
            }
        }
        0
    }

    /// The lines in order of time.
    pub fn lines(&self) -> Vec<Line> {
        let mut random = Random::new(self.seed);
        let mut lines = Vec::new();
        let mut exposed = std::collections::BTreeSet::new();
        let span = self.minutes * MINUTE;
        let mut times: Vec<i64> = (0..self.requests).map(|_| random.below(span as u64) as i64).collect();
        times.sort_unstable();
        for (number, offset) in times.into_iter().enumerate() {
            let at = START + offset;
            // Some users come far more often than others.
            let user = (random.unit() * random.unit() * self.users as f64) as u64;
            let arm = self.arm_of(user);
            let name = self.arms[arm];
            let service = self.service;
            let label = match self.labels {
                Labels::OnRequests => format!("\"cohort\":\"{name}\","),
                Labels::OnExposures => String::new(),
            };
            if self.labels == Labels::OnExposures && (exposed.insert(user) || random.chance(0.05)) {
                let fields =
                    format!("\"service\":\"flags\",\"kind\":\"exposure\",\"cohort\":\"{name}\",\"user\":\"u{user}\"");
                lines.push(Line { exposure: true, ..Line::new(at - 200_000, user, arm, &fields) });
            }
            let trace = if self.spans { format!("\"trace_id\":\"t{}-{number}\",", self.seed) } else { String::new() };
            let id = if self.retries { format!("\"request_id\":\"r{}-{number}\",", self.seed) } else { String::new() };
            let route = ["/cart", "/pay", "/item/17", "/search"][random.below(4) as usize];
            let latency = (20.0 + 80.0 * random.unit() * random.unit() / (1.01 - random.unit())) * self.slower[arm];
            let fails = random.chance(self.errors[arm]);
            let request = |status: u32, latency: f64| {
                format!(
                    "\"service\":\"{service}\",{label}\"user\":\"u{user}\",{trace}{id}\"status\":{status},\"latency_ms\":{latency:.3},\"route\":\"{route}\",\"level\":\"info\""
                )
            };
            if self.spans {
                for part in 0..=random.below(3) {
                    let fields = format!(
                        "\"service\":\"{service}-store\",{trace}\"kind\":\"span\",\"parent_id\":\"p\",\"duration_ms\":{}",
                        1 + part
                    );
                    lines.push(Line::new(at - 3_000 + part as i64 * 700, user, arm, &fields));
                }
            }
            let status = if fails { 503 } else { 200 };
            lines.push(Line::new(at, user, arm, &request(status, latency)));
            if self.retries && fails {
                let later = at + 300_000 + random.below(9_000_000) as i64;
                let status = if random.chance(0.7) { 200 } else { 503 };
                lines.push(Line::new(later, user, arm, &request(status, latency / 2.0)));
            }
        }
        lines.sort_by_key(|line| line.at);
        lines
    }
}

/// Lines as bytes of a file.
pub fn bytes_of(lines: &[Line]) -> Vec<u8> {
    let mut out = String::new();
    for line in lines {
        out.push_str(&line.text());
        out.push('\n');
    }
    out.into_bytes()
}

/// The same log on a bad day: late lines, a wrong clock, a long gap, lines that are no events.
pub fn bad_day(lines: &[Line], seed: u64) -> Vec<u8> {
    let mut random = Random::new(seed ^ 0xbad);
    let gap_at = lines.len() * 2 / 3;
    let mut out: Vec<u8> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let mut line = line.clone();
        if number >= gap_at {
            line.at += 47 * MINUTE;
        }
        if random.chance(0.02) {
            line.at -= (15 + random.below(200) as i64) * SECOND;
        } else if random.chance(0.004) {
            line.at += 400 * 24 * 60 * MINUTE;
        }
        out.extend_from_slice(line.text().as_bytes());
        out.push(b'\n');
        if random.chance(0.02) {
            let junk: [&[u8]; 6] = [
                b"{\"ts\":\"2026-06-01T10:00:0",
                b"\xff\xfe not utf-8",
                b"{\"service\":\"shop\",\"status\":200}",
                b"{\"ts\":\"yesterday\",\"service\":\"shop\",\"status\":200}",
                b"{\"ts\":\"1970-01-01T00:00:00Z\",\"service\":\"shop\"}",
                b"   ",
            ];
            out.extend_from_slice(junk[random.below(6) as usize]);
            out.push(b'\n');
        }
    }
    out
}

/// The same lines, each with its pod; after every fifth a warning of that pod, which names no unit and no arm.
pub fn with_pods(lines: &[Line], pod: impl Fn(&Line) -> String) -> Vec<Line> {
    let mut all = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        let pod = pod(line);
        let text = line.text.replacen('{', &format!("{{\"pod\":\"{pod}\","), 1);
        all.push(Line { text, ..line.clone() });
        if number % 5 == 0 {
            let fields = format!("\"service\":\"shop\",\"level\":\"warn\",\"msg\":\"pool is full\",\"pod\":\"{pod}\"");
            all.push(Line::new(line.at + 1_000, line.user, line.arm, &fields));
        }
    }
    all
}

/// The same lines, each followed by log lines: `say` gives their fields beside the service.
pub fn with_log_lines(lines: &[Line], say: impl Fn(&Line) -> Vec<String>) -> Vec<Line> {
    let mut all = Vec::new();
    for line in lines {
        all.push(line.clone());
        for (number, fields) in say(line).into_iter().enumerate() {
            let fields = format!("\"service\":\"shop\",{fields}");
            all.push(Line::new(line.at + 1_000 * (number as i64 + 1), line.user, line.arm, &fields));
        }
    }
    all.sort_by_key(|line| line.at);
    all
}

/// Log lines of every kind: with an arm, a unit, a pod, or nothing; texts with values, of few and of many kinds, with stack
/// traces.
pub fn talk(line: &Line) -> Vec<String> {
    let (user, arm) = (line.user, ["baseline", "canary"][line.arm.min(1)]);
    let word: String = user.to_string().bytes().map(|digit| char::from(digit - b'0' + b'a')).collect();
    let mut said = vec![
        format!("\"level\":\"info\",\"msg\":\"cart of user {user} has {} items\",\"user\":\"u{user}\"", user % 7),
        format!("\"level\":\"debug\",\"msg\":\"hello {word}\",\"cohort\":\"{arm}\",\"user\":\"u{user}\""),
        format!("\"level\":\"warn\",\"msg\":\"pool is full\",\"pod\":\"web-{arm}-{}\"", user % 3),
    ];
    if user % 11 == 0 {
        said.push(format!(
            "\"level\":\"error\",\"msg\":\"Boom: order {user} is lost\\n\\tat shop.Cart.pay(Cart.java:{user})\",\"user\":\"u{user}\""
        ));
    }
    if user % 13 == 0 && line.arm == 1 {
        said.push(format!("\"level\":\"error\",\"msg\":\"no such key\",\"cohort\":\"{arm}\",\"user\":\"u{user}\""));
    }
    said
}

/// The same lines with fields of their users, by user; every thirteenth request comes from elsewhere.
pub fn with_segments(lines: &[Line], fields: impl Fn(u64) -> String) -> Vec<Line> {
    let of = |(number, line): (usize, &Line)| {
        let user = if number % 13 == 0 { line.user + 1 } else { line.user };
        Line { text: line.text.replacen('{', &format!("{{{},", fields(user)), 1), ..line.clone() }
    };
    lines.iter().enumerate().map(of).collect()
}

/// A named log of a few streams, and how to judge it.
#[derive(Clone)]
pub struct Case {
    pub name: String,
    /// File name and content.
    pub streams: Vec<(String, Vec<u8>)>,
    pub plan: Plan,
    pub settings: Settings,
}

impl Case {
    /// A case that is read as the survey of its streams says.
    pub fn new(name: &str, streams: Vec<(String, Vec<u8>)>, wishes: &Wishes, policy: Policy) -> Case {
        let found = survey_of(&streams, wishes);
        let settings = settings_of(&found, policy);
        Case { name: name.to_owned(), streams, plan: found.plan, settings }
    }

    /// Judged in this process from bytes on disk.
    pub fn judge_files(&self, files: &[PathBuf], options: Options) -> Recorded {
        let names: Vec<String> = files.iter().map(|path| path.display().to_string()).collect();
        let streams = files::find(&names).expect("files that were just written");
        let mut engine = Engine::new(self.settings.clone());
        let mut recorded = Recorded::default();
        run(&streams, &self.plan, &mut engine, plan_text::to_json(&self.plan), options, &mut recorded)
            .expect("readable");
        recorded.engine = Some(engine);
        recorded
    }

    /// Inputs of the engine in one of many possible orders; chunks of about `chunk_bytes`.
    pub fn inputs(&self, chunk_bytes: usize, order: &mut Random) -> Vec<Fed> {
        let mut readings: Vec<(String, Vec<Chunk>, StreamFold)> = self
            .streams
            .iter()
            .map(|(name, bytes)| (name.clone(), chunks_of(bytes, chunk_bytes), StreamFold::new(self.plan.windowing)))
            .collect();
        readings.iter_mut().for_each(|(_, chunks, _)| chunks.reverse());
        let mut fed = Vec::new();
        loop {
            let left: Vec<usize> = (0..readings.len()).filter(|at| !readings[*at].1.is_empty()).collect();
            if left.is_empty() {
                return fed;
            }
            let (name, chunks, fold) = &mut readings[left[order.below(left.len() as u64) as usize]];
            let Some(chunk) = chunks.pop() else { continue };
            let end = chunk.last.then_some(chunk.from + chunk.bytes.len() as u64);
            let (folded, _) = fold_chunk(&self.plan, name, &chunk, false);
            let passed = fold.push(folded, end, |state| refold_chunk(&self.plan, name, &chunk, false, state).0);
            for window in passed {
                fed.push(Fed::Partial(name.clone(), Box::new(window.partial), window.at));
            }
            fed.push(Fed::Progress(name.clone(), fold.oldest_open()));
        }
    }

    /// A fresh engine that knows its streams, with the first entry of its ledger.
    pub fn engine(&self) -> (Engine, String) {
        let mut engine = Engine::new(self.settings.clone());
        for (name, _) in &self.streams {
            engine.apply(Input::Stream { name: name.clone() });
        }
        let first = entries(engine.start(plan_text::to_json(&self.plan)));
        (engine, first)
    }

    /// An engine that has read every stream to its end.
    pub fn judged(&self) -> Engine {
        let (mut engine, _) = self.engine();
        for fed in self.inputs(50_000, &mut Random::new(1)) {
            engine.apply(fed.input());
        }
        engine.apply(Input::Finish);
        engine
    }
}

/// A copy of an input of the engine.
#[derive(Clone, Debug)]
pub enum Fed {
    Partial(String, Box<WindowPartial>, u64),
    Progress(String, i64),
}

impl Fed {
    pub fn input(&self) -> Input {
        match self.clone() {
            Fed::Partial(stream, partial, at) => Input::Partial { stream, partial: *partial, at },
            Fed::Progress(stream, oldest_open) => Input::Progress { stream, oldest_open },
        }
    }
}

/// The text of entries among outputs.
pub fn entries(outputs: Vec<Output>) -> String {
    outputs
        .into_iter()
        .filter_map(|output| match output {
            Output::Entry(line) => Some(line),
            Output::Looked { .. } | Output::Forgotten { .. } => None,
        })
        .collect()
}

/// Whole records in chunks of at least `chunk_bytes`, the last one marked.
pub fn chunks_of(bytes: &[u8], chunk_bytes: usize) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    let mut from = 0;
    let mut rest = bytes;
    loop {
        let mut ends =
            serin::pipeline::continued::records(rest, 0).map(|record| (record.after as usize).min(rest.len()));
        let cut = ends.find(|end| *end >= chunk_bytes).unwrap_or(rest.len());
        let (head, tail) = rest.split_at(cut);
        chunks.push(Chunk { bytes: head.to_vec(), from, last: tail.is_empty(), too_long: None, positions: Vec::new() });
        from += cut as u64;
        rest = tail;
        if rest.is_empty() {
            return chunks;
        }
    }
}

/// What a run says.
#[derive(Default)]
pub struct Recorded {
    pub ledger: String,
    pub rejects: Vec<(String, KeptReject)>,
    pub bytes: u64,
    pub engine: Option<Engine>,
}

impl Observer for Recorded {
    fn outputs(&mut self, _: &Engine, outputs: Vec<Output>) -> std::io::Result<()> {
        self.ledger.push_str(&entries(outputs));
        Ok(())
    }

    fn rejects(&mut self, stream: &str, rejects: Vec<KeptReject>) -> std::io::Result<()> {
        self.rejects.extend(rejects.into_iter().map(|reject| (stream.to_owned(), reject)));
        Ok(())
    }

    fn progress(&mut self, bytes: u64) {
        self.bytes += bytes;
    }
}

/// The survey of the first lines of streams, as the program makes it.
pub fn survey_of(streams: &[(String, Vec<u8>)], wishes: &Wishes) -> Survey {
    let texts: Vec<(String, String)> = streams
        .iter()
        .map(|(name, bytes)| (name.clone(), String::from_utf8_lossy(&bytes[..bytes.len().min(1 << 20)]).into_owned()))
        .collect();
    let heads: Vec<Head<'_>> = texts
        .iter()
        .map(|(name, text)| Head {
            stream: name,
            lines: text.lines().filter(|line| !line.trim().is_empty()).take(4_000).collect(),
        })
        .collect();
    survey(&heads, wishes)
}

pub fn settings_of(found: &Survey, policy: Policy) -> Settings {
    let arms = match found.plan.arms {
        ArmRule::Queries { .. } | ArmRule::Hash { .. } => {
            ArmChoice { control: Some(BASELINE.to_owned()), candidates: vec![CANARY.to_owned()], sharing: 1 }
        }
        ArmRule::None | ArmRule::Field(_) | ArmRule::PodTemplate { .. } => {
            ArmChoice { sharing: found.candidates_seen(), ..ArmChoice::default() }
        }
    };
    Settings {
        windowing: found.plan.windowing,
        releases: found.releases.iter().map(|release| release.services.clone()).collect(),
        arms,
        unit: found.plan.unit,
        policy: Policy { segments: found.plan.segments.clone(), ..policy },
        memory: STATE_MAX,
    }
}

fn pod_of(line: &Line) -> String {
    format!("web-{}-{}", ["baseline", "canary"][line.arm.min(1)], line.user % 3)
}

/// The kinds of logs that determinism is checked on, small.
pub fn cases(seed: u64) -> Vec<Case> {
    let plain = Traffic { seed, ..Traffic::default() };
    let one = |name: &str, bytes: Vec<u8>| {
        Case::new(name, vec![("app.log".to_owned(), bytes)], &Wishes::default(), Policy::default())
    };
    let lines = plain.lines();
    let (even, odd): (Vec<Line>, Vec<Line>) = lines.iter().cloned().partition(|line| line.user % 2 == 0);
    let exposed = Traffic { labels: Labels::OnExposures, ..plain.clone() }.lines();
    let (exposures, outcomes): (Vec<Line>, Vec<Line>) = exposed.into_iter().partition(|line| line.exposure);
    let two = |name: &str, a: Vec<u8>, b: Vec<u8>| {
        let streams = vec![("a.log".to_owned(), a), ("b.log".to_owned(), b)];
        Case::new(name, streams, &Wishes::default(), Policy::default())
    };
    let traces = Traffic { spans: true, ..plain.clone() }.lines();
    // The canary comes, is taken back for so long that the rollout is over, and comes again.
    let canary_twice: Vec<Line> = [(0, 20, 0.4), (20, 40, 0.0), (60, 15, 0.4)]
        .into_iter()
        .flat_map(|(from, minutes, share)| {
            let part = Traffic { minutes, requests: 25 * minutes as u64, shares: vec![share], ..plain.clone() };
            part.lines().into_iter().map(move |line| Line { at: line.at + from * MINUTE, ..line })
        })
        .collect();
    let mut over = one("a rollout that is over, and another", bytes_of(&canary_twice));
    over.plan.windowing.window = MINUTE;
    over.settings.windowing.window = MINUTE;
    // Six pods say their names, one of them runs both arms, and warnings name nothing else.
    let pods = with_pods(&lines, |line| match line.user % 4 {
        0 => "web-both".to_owned(),
        pod => format!("web-{}-{pod}", line.arm),
    });
    let (pods, more_pods): (Vec<Line>, Vec<Line>) = pods.into_iter().partition(|line| line.user % 2 == 0);
    // Beyond one limit of two, which fails it once that has lasted.
    let limits = Limits { errors_ppm: Some(10_000), p99_us: Some(20_000_000), fails: true };
    let busy = Traffic { requests: 6_000, users: 1_500, errors: vec![0.04; 2], slower: vec![1.0; 2], ..plain.clone() };
    let beyond = Case::new(
        "beyond a limit",
        vec![("app.log".to_owned(), bad_day(&busy.lines(), seed))],
        &Wishes::default(),
        Policy { limits, ..Policy::default() },
    );
    // What users do beside their requests, in a log of its own that names no arm; some of it names no user.
    let deeds: Vec<Line> = busy
        .lines()
        .into_iter()
        .filter(|line| line.user % 3 == line.arm as u64 % 2)
        .map(|line| {
            let event = ["signup", "checkout"][line.user as usize % 2];
            let user = if line.user % 7 == 0 { String::new() } else { format!(",\"user\":\"u{}\"", line.user) };
            let fields = format!("\"service\":\"orders\",\"kind\":\"event\",\"event_name\":\"{event}\"{user}");
            Line::new(line.at + 4_000_000, line.user, line.arm, &fields)
        })
        .collect();
    let conversions =
        Conversions { names: vec!["checkout".to_owned(), "signup".to_owned()], field: None, ..Conversions::default() };
    let mut converting = Case::new(
        "business events",
        vec![
            ("orders.log".to_owned(), bad_day(&deeds, seed + 2)),
            ("shop.log".to_owned(), bad_day(&busy.lines(), seed)),
        ],
        &Wishes::default(),
        Policy { conversions: conversions.clone(), ..Policy::default() },
    );
    converting.plan.conversions = conversions;
    // Users of four regions and two clients, of which some change theirs; in two files, on a bad day.
    let regions = with_segments(&busy.lines(), |user| {
        let client = ["2.9", "3.0"][usize::from(user % 9 > 5)];
        format!("\"region\":\"{}\",\"client_version\":\"{client}\"", ["jp", "us", "de", "br"][user as usize % 4])
    });
    let (regions, more_regions): (Vec<Line>, Vec<Line>) = regions.into_iter().partition(|line| line.user % 2 == 0);
    let segments = two("segments", bad_day(&regions, seed), bad_day(&more_regions, seed + 1));
    assert_eq!(segments.plan.segments, ["region", "client_version"]);
    // Users of a service that is rolled out city by city; some lines name no city, and one city comes late.
    let cities = with_segments(&busy.lines(), |user| match user % 7 {
        0 => "\"zone\":\"z\"".to_owned(),
        city => format!("\"city\":\"{}\"", ["geneva", "basel"][city as usize % 2]),
    });
    let late = busy.requests as usize * 2 / 3;
    let come_late = |(number, line): (usize, Line)| match number > late && line.user % 3 == 0 {
        true => Line { text: line.text.replace("\"basel\"", "\"zurich\""), ..line },
        false => line,
    };
    let cities: Vec<Line> = cities.into_iter().enumerate().map(come_late).collect();
    let (cities, more_cities): (Vec<Line>, Vec<Line>) = cities.into_iter().partition(|line| line.user % 2 == 0);
    let city = FieldRef { path: "city".to_owned(), unit: None };
    let cells = Case::new(
        "cells",
        vec![("a.log".to_owned(), bad_day(&cities, seed)), ("b.log".to_owned(), bad_day(&more_cities, seed + 1))],
        &Wishes { roles: [(Role::Cell, vec![city])].into(), ..Wishes::default() },
        Policy::default(),
    );
    vec![
        one("plain", bytes_of(&lines)),
        cells,
        two("two bad days with pods", bad_day(&pods, seed), bad_day(&more_pods, seed + 1)),
        two("two files", bytes_of(&even), bytes_of(&odd)),
        two(
            "two bad days with log lines",
            bad_day(&with_log_lines(&with_pods(&even, pod_of), talk), seed),
            bad_day(&with_log_lines(&with_pods(&odd, pod_of), talk), seed + 1),
        ),
        one("traces", bytes_of(&traces)),
        two("exposures beside outcomes", bytes_of(&exposures), bytes_of(&outcomes)),
        one("retries", bytes_of(&Traffic { retries: true, ..plain.clone() }.lines())),
        one("a bad day", bad_day(&traces, seed)),
        two("two bad days", bad_day(&even, seed), bad_day(&odd, seed + 1)),
        one(
            "three arms",
            bytes_of(
                &Traffic {
                    shares: vec![0.3, 0.3],
                    arms: vec!["control", "b", "c"],
                    errors: vec![0.02, 0.02, 0.1],
                    slower: vec![1.0; 3],
                    ..plain
                }
                .lines(),
            ),
        ),
        over,
        beyond,
        converting,
        segments,
    ]
}

/// What the program said.
#[derive(Clone, Debug)]
pub struct Said {
    pub status: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// The JSON report.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The exit status is as expected, and no panic was printed.
    #[track_caller]
    pub fn expect(self, status: i32) -> Said {
        assert!(!self.err.contains("panicked"), "{}", self.err);
        assert_eq!(self.status, status, "{}\n{}", self.out, self.err);
        self
    }
}

pub fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command.stdin(Stdio::null()).env_remove("RUST_BACKTRACE").env("COLUMNS", "110");
    command
}

/// Runs the program in a folder.
pub fn serin(folder: &Path, arguments: &[&str]) -> Said {
    said(command().current_dir(folder).args(arguments).output().expect("the program starts"))
}

pub fn said(output: std::process::Output) -> Said {
    Said {
        status: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// A folder with files.
pub fn folder_with(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a scratch folder");
    for (name, bytes) in files {
        std::fs::write(folder.path().join(name), bytes).expect("a scratch file");
    }
    folder
}

/// The balance that every report must show (EV-2). Returns records.
#[track_caller]
pub fn balance(report: &Value) -> u64 {
    let records = &report["records"];
    let count = |key: &str| records[key].as_u64().unwrap_or_else(|| panic!("no {key}: {records}"));
    let rejects: u64 = records["rejects"].as_object().expect("rejects").values().filter_map(Value::as_u64).sum();
    assert_eq!(count("read"), count("events") + rejects, "{records}");
    assert_eq!(count("events"), count("on_time") + count("late") + count("outside"), "{records}");
    count("read")
}

/// Entries of a ledger as values.
pub fn ledger_values(text: &str) -> Vec<Map<String, Value>> {
    serin::ledger::read(text).expect("a whole chain")
}

/// Requests that other projects' suites send, a case a line; `None`, and said, where they are not beside the checkout.
pub fn wire_cases() -> Option<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data/wire.ndjson.gz");
    if !path.exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing in CI", path.display());
        println!("skipped: {} is missing", path.display());
        return None;
    }
    let file = std::fs::File::open(path).expect("the cases");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(file), &mut text).expect("the cases unpack");
    Some(text)
}
