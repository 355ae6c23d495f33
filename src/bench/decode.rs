//! Decoding of each form of lines, beside a lower bound of its own: the same lines through its parser alone, or what stands in
//! them without the form.

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value};

use crate::demo::corpus::Corpus;
use crate::pipeline::access;
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::json;
use crate::pipeline::prepare::redact::Looks;
use crate::pipeline::prepare::{LinePattern, Preparation, Redact, Stage};
use crate::pipeline::survey::{Head, Wishes, survey};
use crate::time::Timestamp;

/// Bytes of the corpus that are made at a time.
const CHUNK_BYTES: usize = 1 << 20;
/// Lines that the survey looks at.
const HEAD_LINES: usize = 2_000;

type Fields = Map<String, Value>;

/// What a form is held against.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Bound {
    /// Each key and value of the same object is visited, and nothing is done with it.
    Scan,
    /// The same line is cut into its parts.
    Access,
    /// The object that stands inside is decoded.
    Inner,
    /// The same line by a regular expression with captures, which is how most programs read it.
    Captures,
}

impl Bound {
    fn words(self) -> &'static str {
        match self {
            Bound::Scan => "visiting each key and value",
            Bound::Access => "cutting the line into its parts",
            Bound::Inner => "decoding the object inside",
            Bound::Captures => "a regular expression with captures",
        }
    }
}

struct Form {
    name: &'static str,
    line: fn(&Fields) -> String,
    bound: Bound,
    preparation: fn() -> Preparation,
}

/// What was measured of a form.
#[derive(Clone, PartialEq, Debug)]
pub struct DecodeFigures {
    /// Its name.
    pub name: &'static str,
    /// Mean bytes of a line.
    pub bytes: f64,
    /// ns of CPU to decode a line.
    pub ns: f64,
    /// ns of CPU of the bound.
    pub bound_ns: f64,
    /// What the bound is.
    pub bound: &'static str,
    /// Lines that became events, of those that were decoded.
    pub events: u64,
    /// Lines.
    pub lines: u64,
}

fn text(fields: &Fields, key: &str) -> String {
    match fields.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => String::new(),
    }
}

fn object(fields: &Fields) -> String {
    Value::Object(fields.clone()).to_string()
}

fn pairs(fields: &Fields) -> String {
    let pair = |(key, value): (&String, &Value)| match value {
        Value::String(text) if text.contains([' ', '"', '=']) => format!("{key}={value}"),
        Value::String(text) => format!("{key}={text}"),
        value => format!("{key}={value}"),
    };
    fields.iter().filter(|(_, value)| !value.is_object()).map(pair).collect::<Vec<_>>().join(" ")
}

fn without_time(fields: &Fields) -> Fields {
    fields.iter().filter(|(key, _)| *key != "timestamp").map(|(key, value)| (key.clone(), value.clone())).collect()
}

fn access_line(fields: &Fields) -> String {
    let time = crate::pipeline::clock::parse_time(&text(fields, "timestamp")).unwrap_or(Timestamp(0)).to_string();
    let part = |from: usize, until: usize| time.get(from..until).unwrap_or("00").to_owned();
    let month = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = part(5, 7).parse::<usize>().ok().and_then(|at| month.get(at.wrapping_sub(1))).unwrap_or(&"Jan");
    format!(
        "10.1.2.3 - {} [{}/{month}/{}:{} +0000] \"GET {} HTTP/1.1\" {} 512 \"-\" \"Mozilla/5.0 (X11; Linux x86_64)\" rt={}",
        text(fields, "user_id"),
        part(8, 10),
        part(0, 4),
        part(11, 19),
        text(fields, "route"),
        text(fields, "status"),
        text(fields, "duration_ms"),
    )
}

fn of_my_own(fields: &Fields) -> String {
    let keys = ["timestamp", "level", "service", "version", "user_id", "route", "status", "duration_ms"];
    keys.map(|key| text(fields, key)).join("|")
}

/// The access line as people write it with captures.
const ACCESS: &str =
    r#"^(\S+) (\S+) (\S+) \[([^\]]+)\] "([A-Z]+) (\S+) ([^"]+)" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)" rt=(\S+)$"#;
const OF_MY_OWN: &str = r"^(?<timestamp>[^|]+)\|(?<level>[^|]+)\|(?<service>[^|]+)\|(?<version>[^|]+)\|(?<user_id>[^|]+)\|(?<route>[^|]+)\|(?<status>\d+)\|(?<duration_ms>[\d.]+)$";

fn with_pattern() -> Preparation {
    let patterns = LinePattern::parse(OF_MY_OWN).into_iter().collect();
    Preparation {
        stages: vec![Stage { name: "own".to_owned(), patterns, ..Stage::default() }],
        ..Preparation::default()
    }
}

fn with_redaction() -> Preparation {
    let redact = Redact { looks: Looks::ALL.into(), ..Redact::default() };
    Preparation {
        stages: vec![Stage { name: "clean".to_owned(), redact, ..Stage::default() }],
        ..Preparation::default()
    }
}

fn forms() -> [Form; 11] {
    let form = |name, bound, line| Form { name, line, bound, preparation: Preparation::default };
    [
        form("JSON", Bound::Scan, object),
        form("access log", Bound::Access, access_line),
        form("access log, beside captures", Bound::Captures, access_line),
        form("logfmt", Bound::Inner, pairs),
        form("kubectl --prefix", Bound::Inner, |fields| format!("[pod/shop-6d9f7c5b8-x2x4z/app] {}", object(fields))),
        form("CRI", Bound::Inner, |fields| {
            format!("{} stdout F {}", text(fields, "timestamp"), object(&without_time(fields)))
        }),
        form("Docker's json-file", Bound::Inner, |fields| {
            let log = Value::from(object(&without_time(fields)) + "\n");
            format!("{{\"log\":{log},\"stream\":\"stdout\",\"time\":\"{}\"}}", text(fields, "timestamp"))
        }),
        form("syslog (RFC 5424)", Bound::Inner, |fields| {
            format!("<14>1 {} web-1 shop 77 - - {}", text(fields, "timestamp"), object(&without_time(fields)))
        }),
        form("text of tracing", Bound::Inner, |fields| {
            format!("{}  INFO shop::http: done {}", text(fields, "timestamp"), pairs(&without_time(fields)))
        }),
        Form { preparation: with_pattern, ..form("a pattern of one's own", Bound::Inner, of_my_own) },
        Form { preparation: with_redaction, ..form("JSON with redaction", Bound::Inner, object) },
    ]
}

fn cpu() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// Decodes lines of each form. Each is read twice, and the second time counts.
pub fn decode(lines: u64, seed: u64) -> Vec<DecodeFigures> {
    let mut corpus = Corpus::new(lines, 50_000, seed);
    let mut bytes = Vec::new();
    while corpus.chunk(&mut bytes, CHUNK_BYTES) {}
    let text = String::from_utf8_lossy(&bytes);
    let fields: Vec<Fields> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    forms().iter().map(|form| measured(form, &fields)).collect()
}

fn measured(form: &Form, fields: &[Fields]) -> DecodeFigures {
    let lines: Vec<String> = fields.iter().map(form.line).collect();
    let inner: Vec<String> = match form.bound {
        Bound::Inner => fields.iter().map(object).collect(),
        Bound::Scan | Bound::Access | Bound::Captures => Vec::new(),
    };
    let (events, ns) = through_decoder(&lines, (form.preparation)());
    let bound_ns = match form.bound {
        Bound::Inner => through_decoder(&inner, Preparation::default()).1,
        Bound::Scan => twice(&lines, |line| {
            let mut seen = 0;
            // Every line of the corpus is an object.
            let _is_one = json::scan_object(line, &mut |key, _| seen += key.raw().len());
            seen
        }),
        Bound::Access => twice(&lines, |line| access::parse_access(line).map_or(0, |parts| usize::from(parts.status))),
        Bound::Captures => match regex::Regex::new(ACCESS) {
            Ok(regex) => twice(&lines, |line| regex.captures(line).map_or(0, |groups| groups.len())),
            Err(_) => 0.0,
        },
    };
    let count = lines.len().max(1) as f64;
    DecodeFigures {
        name: form.name,
        bytes: lines.iter().map(String::len).sum::<usize>() as f64 / count,
        ns,
        bound_ns,
        bound: form.bound.words(),
        events,
        lines: lines.len() as u64,
    }
}

/// ns of CPU a line of the second of two rounds.
fn twice(lines: &[String], mut of: impl FnMut(&str) -> usize) -> f64 {
    let mut round = || {
        let from = cpu();
        let sum: usize = lines.iter().map(|line| of(line)).sum();
        std::hint::black_box(sum);
        (cpu() - from) as f64 / lines.len().max(1) as f64
    };
    round();
    round()
}

/// Events, and ns of CPU a line.
fn through_decoder(lines: &[String], preparation: Preparation) -> (u64, f64) {
    let stream = "corpus";
    let head = Head { stream, lines: lines.iter().take(HEAD_LINES).map(String::as_str).collect() };
    let plan = survey(&[head], &Wishes { preparation, ..Wishes::default() }).plan;
    let mut decoder = Decoder::new(&plan, stream);
    let mut events = 0;
    let ns = twice(lines, |line| {
        let is_event = matches!(decoder.decode(line, 1), Ok(Decoded::Event(_)));
        events += u64::from(is_event);
        usize::from(is_event)
    });
    (events / 2, ns)
}
