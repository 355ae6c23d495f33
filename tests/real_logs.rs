//! Real logs with known truth: what must fail fails, what must not does not, under the labels as they are, swapped, and
//! permuted.
//!
//! The logs lie in a folder `shared/data` beside the checkout. Where it is missing the tests say so and are skipped; in
//! CI (`CI=true`) that is a failure. No rule of the program is tuned to these files.

use std::path::PathBuf;

use serin::compare::verdict::{Behaviour, Verdict};
use serin::demo::random::Random;
use serin::engine::comparison::Comparison;
use serin::engine::policy::Policy;
use serin::engine::shedding::STATE_MAX;
use serin::engine::{ArmChoice, Engine, Input, Settings};
use serin::event::{self, Event, Intern, Kind, NameId};
use serin::fold::{ChunkFold, ClockGuard, StreamFold};
use serin::pipeline::decode::{Decoded, Decoder, in_split, split_key};
use serin::pipeline::intern::Interner;
use serin::pipeline::survey::{Head, Survey, Wishes, survey};
use serin::source::files::{Part, Stream};
use serin::source::lines::{ChunkReader, lines};
use serin::time::MINUTE;

/// A log file; `None` when it is missing and that is allowed.
fn data(name: &str) -> Option<PathBuf> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data").join(name);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing in CI", path.display());
    println!("skipped: {} is missing", path.display());
    None
}

/// A log, decoded once, to be judged under many labels.
struct Log {
    survey: Survey,
    events: Vec<Event>,
    names: Interner,
}

/// What a judgement says.
#[derive(Clone, Debug)]
struct Judged {
    verdict: Verdict,
    /// Seconds until FAIL.
    fail_after: Option<f64>,
    ever_passed: bool,
    changed: Vec<Behaviour>,
}

impl Log {
    fn read(path: PathBuf) -> Log {
        let stream = Stream { name: "log".to_owned(), parts: vec![Part::File(path)] };
        let mut reader = ChunkReader::new(&stream, 1 << 24);
        let mut text = Vec::new();
        while let Some(chunk) = reader.next_chunk().expect("the file can be read") {
            text.extend(chunk.bytes);
        }
        let text = String::from_utf8(text).expect("the file is UTF-8");
        let head = Head { stream: "log", lines: text.lines().take(4_000).collect() };
        let found = survey(&[head], &Wishes::default());
        let mut decoder = Decoder::new(&found.plan, "log");
        let mut events = Vec::new();
        for (line, offset, _) in lines(text.as_bytes(), 0) {
            let line = std::str::from_utf8(line).expect("a line of UTF-8 text");
            match decoder.decode(line, offset) {
                Ok(Decoded::Event(event)) => events.push(event),
                other => panic!("{other:?}: {line}"),
            }
        }
        let names = decoder.take_names();
        Log { survey: found, events, names }
    }

    fn arms(&mut self) -> [NameId; 2] {
        [self.names.arm("baseline"), self.names.arm("canary")]
    }

    /// Judges the log with every event changed by `change`.
    fn judge(&mut self, change: impl Fn(&mut Event)) -> Judged {
        let windowing = self.survey.plan.windowing;
        let mut engine = Engine::new(Settings {
            windowing,
            releases: self.survey.releases.iter().map(|release| release.services.clone()).collect(),
            arms: ArmChoice { control: Some("baseline".to_owned()), candidates: vec!["canary".to_owned()], sharing: 1 },
            unit: self.survey.plan.unit,
            policy: Policy { minimum_time: MINUTE, ..Policy::default() },
            memory: STATE_MAX,
        });
        engine.apply(Input::Stream { name: "log".to_owned() });
        let mut fold = ChunkFold::with_guard(&windowing, "log", 0, i64::MIN, ClockGuard::default());
        for event in &self.events {
            let mut event = *event;
            change(&mut event);
            fold.event(&event, event.offset + 1, &mut self.names);
        }
        let chunk = fold.finish(&mut self.names, true);
        let mut stream = StreamFold::new(windowing);
        let passed = stream.push(chunk, Some(u64::MAX), |_| unreachable!("the chunk was folded behind the guard"));
        let mut ever_passed = false;
        for window in passed {
            let oldest_open = window.partial.window.saturating_add(1);
            engine.apply(Input::Partial { stream: "log".to_owned(), partial: window.partial, at: window.at });
            engine.apply(Input::Progress { stream: "log".to_owned(), oldest_open });
            ever_passed |= engine.comparison(0, 0).is_some_and(|c| c.look.verdict == Verdict::Pass);
        }
        engine.apply(Input::Finish);
        let comparison: &Comparison = engine.comparison(0, 0).expect("both arms are there");
        let fail_after = comparison.failure.as_ref().map(|f| (f.at.0 - comparison.started_at.0) as f64 / 1e6);
        let verdict = comparison.look.verdict;
        Judged {
            verdict,
            fail_after,
            ever_passed: ever_passed || verdict == Verdict::Pass,
            changed: comparison.look.changed_groups().collect(),
        }
    }

    /// Judges under the labels that the log carries, or swapped.
    fn judge_labels(&mut self, swapped: bool) -> Judged {
        let [baseline, canary] = self.arms();
        self.judge(|event| {
            if swapped {
                event.arm = if event.arm == baseline { canary } else { baseline };
            }
        })
    }

    /// Judges with the labels of whole traces permuted.
    fn judge_permuted(&mut self, seed: u64) -> Judged {
        let [_, canary] = self.arms();
        let mut labels: Vec<(u64, NameId)> =
            self.events.iter().filter(|e| e.kind == Kind::Request).map(|e| (e.trace, e.arm)).collect();
        labels.sort_unstable();
        labels.dedup_by_key(|(trace, _)| *trace);
        let mut random = Random::new(seed);
        for at in (1..labels.len()).rev() {
            let other = random.below(at as u64 + 1) as usize;
            let arm = labels[at].1;
            labels[at].1 = labels[other].1;
            labels[other].1 = arm;
        }
        let labels: std::collections::BTreeMap<u64, NameId> = labels.into_iter().collect();
        self.judge(|event| event.arm = labels.get(&event.trace).copied().unwrap_or(canary))
    }
}

#[test]
fn boutique_faults_are_found_and_nothing_else() {
    for (name, fault) in [("f0", true), ("f1", false), ("f2", true), ("f4", true), ("aa_hash", false)] {
        let Some(path) = data(&format!("boutique/{name}.ndjson.gz")) else { return };
        let mut log = Log::read(path);
        let as_is = log.judge_labels(false);
        let swapped = log.judge_labels(true);
        println!(
            "{name}: {:?} after {:?} s, changed {:?}; swapped {:?}",
            as_is.verdict, as_is.fail_after, as_is.changed, swapped.verdict
        );
        assert!(!as_is.ever_passed, "{name} passed");
        assert_eq!(as_is.verdict == Verdict::Fail, fault, "{name}");
        if name == "f1" {
            assert!(
                as_is.changed.contains(&Behaviour::LinesPerTrace),
                "what changed is not named: {:?}",
                as_is.changed
            );
        } else {
            assert_ne!(swapped.verdict, Verdict::Fail, "{name} swapped");
        }
    }
}

/// CP-2 on real traffic: with labels that mean nothing, hardly anything fails.
#[test]
fn cp_2_permuted_labels_of_boutique_do_not_fail() {
    for name in ["f0", "f1", "f2", "f4", "aa_hash"] {
        let Some(path) = data(&format!("boutique/{name}.ndjson.gz")) else { return };
        let failed: usize = std::thread::scope(|scope| {
            let halves: Vec<_> = (0..2u64)
                .map(|half| {
                    let path = path.clone();
                    scope.spawn(move || {
                        let mut log = Log::read(path);
                        (0..100).filter(|i| log.judge_permuted(2 * i + half).verdict == Verdict::Fail).count()
                    })
                })
                .collect();
            halves.into_iter().map(|half| half.join().expect("a half ends")).sum()
        });
        println!("{name}: {failed} of 200 permutations fail (seeds 0..200)");
        assert!(failed <= 4, "{name}: {failed} of 200");
    }
}

/// CP-2 on real clients: splits by hash fail hardly ever; a planted regression is found.
#[test]
fn cp_2_splits_of_an_access_log_do_not_fail_unless_errors_are_planted() {
    let Some(path) = data("access_apache.ndjson.gz") else { return };
    for (share_ppm, plant) in [(50_000u32, false), (500_000, false), (500_000, true)] {
        let judged: Vec<Judged> = std::thread::scope(|scope| {
            let halves: Vec<_> = (0..2u64)
                .map(|half| {
                    let path = path.clone();
                    scope.spawn(move || {
                        let mut log = Log::read(path);
                        let [baseline, canary] = log.arms();
                        let splits = (0..100u64).map(|i| {
                            let seed = 2 * i + half;
                            let key = split_key(&seed.to_string());
                            log.judge(|event| {
                                let in_canary = in_split(event.unit, key, share_ppm);
                                event.arm = if in_canary { canary } else { baseline };
                                if plant && in_canary && event::mix(event.offset, seed ^ 77).is_multiple_of(10) {
                                    event.error = true;
                                    event.status_class = 5;
                                }
                            })
                        });
                        splits.collect::<Vec<_>>()
                    })
                })
                .collect();
            halves.into_iter().flat_map(|half| half.join().expect("a half ends")).collect()
        });
        let failed = judged.iter().filter(|j| j.verdict == Verdict::Fail).count();
        let mut times: Vec<f64> = judged.iter().filter_map(|j| j.fail_after).collect();
        times.sort_by(f64::total_cmp);
        let median = times.get(times.len() / 2).map(|s| s / 3600.0);
        println!(
            "{} of {} splits at {} % fail{}; median time {median:.1?} h",
            failed,
            judged.len(),
            share_ppm / 10_000,
            if plant { " with 10 % of canary requests turned into errors" } else { "" }
        );
        if plant {
            assert!(failed * 10 >= judged.len() * 9, "{failed} of {}", judged.len());
        } else {
            assert!(failed * 50 <= judged.len(), "{failed} of {}", judged.len());
        }
    }
}
