//! The corpus of the bench: one long stream of structured request logs, the same bytes from the same arguments.
//!
//! Lines average about 470 bytes and have 16 top-level keys, as wide as what services log in earnest. Making them must
//! cost little beside reading them, so everything that repeats is prepared as fragments and a line is a few copies.
//! Both cohorts behave alike: what is measured here is speed, truth is the matter of [`super::traffic`].

use super::random::{Alias, Random, mix, unit_from_bits};
use super::text::Part::{Id, Number, Text};
use super::text::{Fraction, Part, TimeText, decimal, hex, millis, phrase, text};
use crate::time::{DAY, SECOND, Timestamp, days_from_civil};

const SERVICES: [(&str, &str, &str); 8] = [
    ("checkout", "2.4.0", "2.5.0"),
    ("cart", "1.19.0", "1.20.0"),
    ("catalog", "8.0.3", "8.1.0"),
    ("search", "4.11.2", "4.12.0"),
    ("payments", "6.1.2", "6.2.0"),
    ("accounts", "5.2.1", "5.3.0"),
    ("shipping", "3.0.9", "3.1.0"),
    ("frontend", "12.7.0", "12.8.0"),
];
const ROUTES: [&str; 8] = [
    "/api/v2/products/{id}",
    "/api/v2/search",
    "/api/v2/cart",
    "/api/v2/cart/items",
    "/api/v2/checkout",
    "/api/v2/orders/{id}",
    "/api/v2/accounts/me",
    "/healthz",
];
const REGIONS: [&str; 5] = ["eu-west-1", "eu-central-1", "us-east-1", "us-west-2", "ap-northeast-1"];
const HOSTS: usize = 40;
/// Level, status, and how many of 1,000 lines have them. Status 500 is .5 % and the only error.
const OUTCOMES: [(&str, u64, f64); 6] = [
    ("info", 200, 770.0),
    ("debug", 200, 140.0),
    ("info", 201, 50.0),
    ("warn", 404, 25.0),
    ("info", 302, 10.0),
    ("error", 500, 5.0),
];
/// Plain messages and ones with characters that JSON escapes, in turn.
const MESSAGES: [&[Part]; 6] = [
    &[Text("request completed for item "), Number(90_000), Text(" after "), Number(9), Text(" backend calls")],
    &[Text("cache hit for key \\\"product:"), Number(90_000), Text("\\\" age "), Number(3_600), Text(" s")],
    &[Text("order o-"), Id, Text(" accepted, "), Number(12), Text(" items, total "), Number(900), Text(".50 EUR")],
    &[Text("user agent \\\"Mozilla/5.0 (X11; Linux x86_64)\\\" accepted language de-"), Id],
    &[Text("session s-"), Id, Text(" restored from replica "), Number(12), Text(" after "), Number(400), Text(" ms")],
    &[Text("query plan: scan orders\\n  filter user\\n  limit "), Number(100), Text("\\n  cost "), Number(90_000)],
];
/// Durations are looked up: a draw from this many quantiles costs one load instead of a logarithm.
const QUANTILES: usize = 4_096;

/// Largest reservation for one chunk.
const RESERVE_MAX: usize = 64 << 20;

/// A stream of log lines in order of time.
#[derive(Clone, Debug)]
pub struct Corpus {
    left: u64,
    random: Random,
    micros: i64,
    gap_micros: u64,
    choose_user: Alias,
    choose_outcome: Alias,
    canary: Vec<bool>,
    durations: Vec<u32>,
    /// From the level to the user, by outcome, service and cohort.
    heads: Vec<Vec<u8>>,
    /// From the route to the duration, by outcome and route.
    middles: Vec<Vec<u8>>,
    /// From the region into the nested attributes, by host.
    tails: Vec<Vec<u8>>,
    time: TimeText,
}

impl Corpus {
    /// A corpus of so many lines by so many users, 5,000 lines to the second of event time.
    pub fn new(lines: u64, users: u32, seed: u64) -> Self {
        let mut random = Random::new(seed);
        let key = random.bits();
        // Mild: of 500,000 users the busiest sends one line in 14,000.
        let weights: Vec<f64> = (0..users).map(|rank| 1.0 / libm::sqrt(f64::from(rank) + 100.0)).collect();
        let canary = (0..u64::from(users)).map(|user| unit_from_bits(mix(user ^ key)) < 0.1).collect();
        let mut heads = Vec::new();
        for (level, ..) in OUTCOMES {
            for (service, version, canary_version) in SERVICES {
                for (version, cohort) in [(version, "baseline"), (canary_version, "canary")] {
                    heads.push(format!(
                        r#"","level":"{level}","service":"{service}","version":"{version}","cohort":"{cohort}","user_id":"u-"#
                    ));
                }
            }
        }
        let mut middles = Vec::new();
        for (_, status, _) in OUTCOMES {
            for route in ROUTES {
                middles.push(format!(r#"","route":"{route}","status":{status},"duration_ms":"#));
            }
        }
        let tails = (0..HOSTS).map(|host| {
            let region = REGIONS[host % REGIONS.len()];
            let (rack, unit) = (host / 8, host % 8 + 10);
            format!(
                r#","region":"{region}","host":"ip-10-{rack}-{unit}","attrs":{{"tenant":"t-{unit}","retry":false,"items":"#
            )
        });
        let bytes = |fragments: Vec<String>| fragments.into_iter().map(String::into_bytes).collect();
        Self {
            left: lines,
            durations: durations(&mut random),
            random,
            micros: start().0,
            gap_micros: SECOND as u64 / 5_000,
            choose_user: Alias::new(&weights),
            choose_outcome: Alias::new(&OUTCOMES.map(|(_, _, weight)| weight)),
            canary,
            heads: bytes(heads),
            middles: bytes(middles),
            tails: tails.map(String::into_bytes).collect(),
            time: TimeText::new(),
        }
    }

    /// Event time before the first line.
    pub fn start(&self) -> Timestamp {
        start()
    }

    /// Appends whole lines until `bytes` bytes are there, at least one; false, and nothing appended, when the corpus
    /// is over. The last line may go beyond. How it is cut into chunks does not change the stream.
    pub fn chunk(&mut self, out: &mut Vec<u8>, bytes: usize) -> bool {
        if self.left == 0 {
            return false;
        }
        // One reservation for the chunk, since growing by and by would copy it; bounded, since callers may say "all".
        out.reserve(bytes.min(RESERVE_MAX) + 1_024);
        let until = out.len().saturating_add(bytes);
        while self.left > 0 {
            self.left -= 1;
            self.line(out);
            if out.len() >= until {
                break;
            }
        }
        true
    }

    fn line(&mut self, out: &mut Vec<u8>) {
        let random = &mut self.random;
        // Gaps are even from zero to twice the mean: time never goes back.
        self.micros += random.below(2 * self.gap_micros + 1) as i64;
        let user = self.choose_user.draw(random);
        let outcome = self.choose_outcome.draw(random);
        // One draw serves the small choices: 3 bits each for service and route, the upper half for the host.
        let choices = random.bits();
        let service = (choices & 7) as usize;
        let route = (choices >> 3 & 7) as usize;
        let message = (((choices >> 6 & 0xFFFF) * MESSAGES.len() as u64) >> 16) as usize;
        let host = (((choices >> 32) * HOSTS as u64) >> 32) as usize;
        let cohort = usize::from(self.canary.get(user).copied().unwrap_or(false));
        let amounts = random.bits();
        let quantile = u64::from(self.durations[(amounts % QUANTILES as u64) as usize]);
        // Spread by up to 1/8 between neighbouring quantiles, so that durations are not a list of 4,096.
        let duration = quantile + ((quantile * (amounts >> 12 & 0xFF)) >> 11);

        out.extend_from_slice(b"{\"timestamp\":\"");
        self.time.push(out, self.micros, Fraction::Micros);
        out.extend_from_slice(&self.heads[(outcome * SERVICES.len() + service) * 2 + cohort]);
        decimal(out, 100_000 + user as u64);
        text(out, r#"","trace_id":""#);
        hex(out, random.bits());
        hex(out, random.bits());
        text(out, r#"","span_id":""#);
        hex(out, random.bits());
        out.extend_from_slice(&self.middles[outcome * ROUTES.len() + route]);
        millis(out, duration);
        text(out, r#","bytes":"#);
        decimal(out, 200 + (amounts >> 20 & 0xFFFF));
        out.extend_from_slice(&self.tails[host]);
        decimal(out, 1 + (amounts >> 36 & 15));
        text(out, r#","sku":"SKU-"#);
        decimal(out, 10_000 + (amounts >> 40 & 0xFFFF));
        text(out, r#""},"message":""#);
        phrase(out, MESSAGES[message], random.bits());
        text(out, "\"}\n");
    }
}

fn start() -> Timestamp {
    Timestamp(days_from_civil(2026, 6, 1) * DAY + DAY / 2)
}

/// Microseconds of equally likely durations: log-normal with median 24 ms, and one in fifty 4 to 20 times longer.
fn durations(random: &mut Random) -> Vec<u32> {
    let duration = |_| {
        let mut micros = 24_000.0 * libm::exp(0.8 * random.normal());
        if random.chance(0.02) {
            micros *= 4.0 + 16.0 * random.unit();
        }
        micros as u32
    };
    (0..QUANTILES).map(duration).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, BTreeSet};
    use xxhash_rust::xxh3::xxh3_64;

    fn bytes(mut corpus: Corpus, chunk: usize) -> Vec<u8> {
        let mut out = Vec::new();
        while corpus.chunk(&mut out, chunk) {}
        out
    }

    #[test]
    fn bytes_are_golden_and_independent_of_chunks() {
        let whole = bytes(Corpus::new(20_000, 500_000, 1), usize::MAX / 2);
        assert_eq!(xxh3_64(&whole), 0xa146_6db9_1eb5_3457, "{:#x}", xxh3_64(&whole));
        assert_eq!(bytes(Corpus::new(20_000, 500_000, 1), 10_000), whole);
    }

    #[test]
    fn lines_are_as_promised() {
        let lines = 50_000;
        let out = bytes(Corpus::new(lines, 500_000, 2), 100_000);
        let mut cohorts: BTreeMap<String, String> = BTreeMap::new();
        let (mut canary, mut errors) = (0.0, 0.0);
        let mut hosts = BTreeSet::new();
        let mut durations = Vec::new();
        let mut last = String::new();
        let mut count = 0;
        for line in std::str::from_utf8(&out).unwrap().lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            let object = value.as_object().unwrap();
            assert_eq!(object.len(), 16, "{line}");
            let text = |key: &str| object[key].as_str().unwrap().to_owned();
            assert!(text("timestamp") >= last, "{line}");
            last = text("timestamp");
            let cohort = cohorts.entry(text("user_id")).or_insert_with(|| text("cohort"));
            assert_eq!(*cohort, text("cohort"), "{line}");
            canary += f64::from(u8::from(text("cohort") == "canary"));
            assert_eq!(object["status"] == 500, text("level") == "error");
            errors += f64::from(u8::from(object["status"] == 500));
            assert_eq!(text("trace_id").len(), 32);
            hosts.insert(text("host"));
            durations.push(object["duration_ms"].as_f64().unwrap());
            count += 1;
        }
        let n = lines as f64;
        assert_eq!(count, lines);
        let average = out.len() as f64 / n;
        assert!((average / 470.0 - 1.0).abs() < 0.05, "{average} bytes a line");
        assert!((canary / n - 0.1).abs() < 0.01, "{}", canary / n);
        assert!((errors / n - 0.005).abs() < 0.001, "{}", errors / n);
        assert_eq!(hosts.len(), HOSTS);
        assert!(last.starts_with("2026-06-01T12:00:09.9") || last.starts_with("2026-06-01T12:00:10.0"), "{last}");
        durations.sort_by(f64::total_cmp);
        let quantile = |q: f64| durations[(q * n) as usize];
        assert!((20.0..30.0).contains(&quantile(0.5)), "{}", quantile(0.5));
        assert!(quantile(0.99) > 7.0 * quantile(0.5), "{}", quantile(0.99));
    }

    #[test]
    fn edges_do_not_panic() {
        let mut out = Vec::new();
        assert!(!Corpus::new(0, 10, 1).chunk(&mut out, 1_000));
        assert!(out.is_empty());
        let mut corpus = Corpus::new(3, 0, 1);
        assert!(corpus.chunk(&mut out, 0));
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 1);
        assert!(corpus.chunk(&mut out, usize::MAX));
        assert!(!corpus.chunk(&mut out, usize::MAX));
        assert_eq!(out.iter().filter(|&&byte| byte == b'\n').count(), 3);
    }
}
