//! Failures of the canary that the logs do not show as failed requests: nothing passes over them.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use common::{Case, Line, Random, Recorded, Traffic, bytes_of};
use serin::compare::verdict::{Behaviour, Flaw, Verdict};
use serin::engine::policy::Policy;
use serin::engine::{Engine, Input};
use serin::pipeline::plan_text;
use serin::pipeline::survey::Wishes;
use serin::source::lines::Chunk;
use serin::source::run::{Observer as _, PushedStreams};
use serin::time::{MINUTE, SECOND};

/// Both arms alike, and a pass within the hour.
fn calm() -> Vec<Line> {
    calm_for(40)
}

fn calm_for(minutes: i64) -> Vec<Line> {
    let traffic = Traffic {
        users: 6_000,
        requests: 600 * minutes as u64,
        minutes,
        shares: vec![0.5],
        errors: vec![0.005, 0.005],
        slower: vec![1.0, 1.0],
        ..Traffic::default()
    };
    traffic.lines()
}

fn judged(lines: &[Line]) -> Engine {
    let policy = Policy { latency: false, next_share: 0.25, ..Policy::default() };
    Case::new("hidden", vec![("app.log".to_owned(), bytes_of(lines))], &Wishes::default(), policy).judged()
}

/// A share of the requests of the canary is changed, or followed by something.
fn with_harm(lines: Vec<Line>, share: f64, mut harm: impl FnMut(Line) -> Vec<Line>) -> Vec<Line> {
    let mut random = Random::new(5);
    lines
        .into_iter()
        .flat_map(|line| if line.arm == 1 && random.chance(share) { harm(line) } else { vec![line] })
        .collect()
}

#[test]
fn a_calm_rollout_passes() {
    assert_eq!(judged(&calm()).verdict(), Some(Verdict::Pass));
}

/// Requests that time out are logged when they are over: too late to count, and nearly all of them failed.
#[test]
fn late_lines_may_hide_failures() {
    let mut lines = with_harm(calm(), 0.04, |line| {
        // It carries the time of the request, and stands where it was written.
        vec![Line { at: line.at + 45 * SECOND, text: line.text(), ..line }]
    });
    lines.sort_by_key(|line| line.at);
    let engine = judged(&lines);
    let look = &engine.comparison(0, 0).unwrap().look;
    assert_eq!((look.verdict, look.flaws.as_slice()), (Verdict::Inconclusive, [Flaw::SomeLate].as_slice()));
}

/// Logs without a route: a request that lost its status and its latency is told from nothing else.
#[test]
fn requests_without_a_status_are_further_lines() {
    let without_route = |line: Line| Line { text: line.text.replace(",\"route\":", ",\"of\":"), ..line };
    let calm: Vec<Line> = calm().into_iter().map(without_route).collect();
    assert_eq!(judged(&calm).verdict(), Some(Verdict::Pass));
    let lines = with_harm(calm, 0.04, |line| {
        vec![Line {
            text: line.text.replace("\"status\":", "\"was\":").replace("\"latency_ms\":", "\"took\":"),
            ..line
        }]
    });
    let look = judged(&lines).comparison(0, 0).unwrap().look.clone();
    assert_eq!(look.verdict, Verdict::Inconclusive);
    assert_eq!(look.changed_groups().collect::<Vec<_>>(), [Behaviour::LinesPerTrace]);
}

/// Error lines that name the version and nothing else: no user, no pod. What comes in one minute is one witness.
#[test]
fn warnings_that_name_an_arm_alone_count_for_it() {
    let lines = with_harm(calm_for(120), 0.4, |line| {
        let text = "\"service\":\"shop\",\"cohort\":\"canary\",\"level\":\"error\",\"msg\":\"card declined\"";
        let warning = Line::new(line.at, line.user, line.arm, text);
        vec![line, warning]
    });
    let look = judged(&lines).comparison(0, 0).unwrap().look.clone();
    assert_eq!(look.verdict, Verdict::Inconclusive, "{:?} {}", look.changed, look.log_changed);
    assert_eq!(look.changed_groups().collect::<Vec<_>>(), [Behaviour::WarningLines]);
}

/// The canary gives a user a new id with each request: more users, and hardly one of them fails twice.
#[test]
fn users_that_are_counted_several_times_in_one_arm_hold_back_a_pass() {
    let mut number = 0;
    let lines = with_harm(calm(), 1.0, |line| {
        number += 1;
        vec![Line { text: line.text.replace("\"user\":\"u", &format!("\"user\":\"n{number}-")), ..line }]
    });
    let engine = judged(&lines);
    let look = &engine.comparison(0, 0).unwrap().look;
    assert_eq!((look.verdict, look.flaws.as_slice()), (Verdict::Inconclusive, [Flaw::UnequalActivity].as_slice()));
}

/// Two partitions of which the second stalls: after `before` lines it gives none until the first has `until` of its own.
struct Stalling {
    case: Case,
    before: usize,
    until: usize,
}

impl Stalling {
    /// Lines by partition, and by how many lines of both the second stalls and comes back.
    fn new(parts: [Vec<Line>; 2], stalls: f64, comes_back: f64) -> Stalling {
        let before = (stalls * parts[1].len() as f64) as usize;
        let until = (comes_back * parts[0].len() as f64) as usize;
        let [first, second] = parts.map(|lines| bytes_of(&lines));
        let streams = vec![("logs/0".to_owned(), first), ("logs/1".to_owned(), second)];
        let policy = Policy { latency: false, next_share: 0.25, ..Policy::default() };
        Stalling { case: Case::new("stalling", streams, &Wishes::default(), policy), before, until }
    }

    fn begun<'p>(&'p self, engine: &mut Engine, told: &mut Recorded) -> PushedStreams<'p> {
        let names: Vec<String> = self.case.streams.iter().map(|(name, _)| name.clone()).collect();
        PushedStreams::begin(&names, &self.case.plan, engine, plan_text::to_json(&self.case.plan), told).unwrap()
    }

    /// Lines `from..to` of a stream.
    fn chunk(&self, stream: usize, from: usize, to: usize) -> Chunk {
        let bytes = &self.case.streams[stream].1;
        let ends: Vec<usize> =
            std::iter::once(0).chain(memchr::memchr_iter(b'\n', bytes).map(|newline| newline + 1)).collect();
        let (from, to) = (ends[from], ends[to.min(ends.len() - 1)]);
        Chunk { bytes: bytes[from..to].to_vec(), from: from as u64, last: false, too_long: None, positions: Vec::new() }
    }

    fn lines(&self, stream: usize) -> usize {
        memchr::memchr_iter(b'\n', &self.case.streams[stream].1).count()
    }

    /// As it happens: the second is moved on to where the first is, again and again; `stalls`: those moves say that it has more. Returns
    /// where it was moved on to, with the engine as it was when the second came back, and at the end.
    fn live(&self, stalls: bool) -> (Vec<i64>, Engine, Engine, String) {
        let (mut engine, mut told) = (Engine::new(self.case.settings.clone()), Recorded::default());
        let mut pushed = self.begun(&mut engine, &mut told);
        pushed.push(1, self.chunk(1, 0, self.before), &mut engine, &mut told).unwrap();
        let at = self.chunk(1, self.before, self.before).from;
        let (mut moves, mut read) = (Vec::new(), 0);
        while read < self.until {
            let next = (read + 200).min(self.until);
            pushed.push(0, self.chunk(0, read, next), &mut engine, &mut told).unwrap();
            read = next;
            let to = pushed.oldest_open(0);
            if stalls && to > pushed.oldest_open(1) {
                pushed.stall(1, to, at, &mut engine, &mut told).unwrap();
                moves.push(to);
            }
            // A restart in between changes nothing.
            engine = Engine::restore(self.case.settings.clone(), &engine.snapshot()).unwrap();
        }
        let meanwhile = engine.clone();
        pushed.push(1, self.chunk(1, self.before, self.lines(1)), &mut engine, &mut told).unwrap();
        pushed.push(0, self.chunk(0, read, self.lines(0)), &mut engine, &mut told).unwrap();
        told.outputs(&engine.clone(), engine.apply(Input::Finish)).unwrap();
        (moves, meanwhile, engine, told.ledger)
    }

    /// Again, from what was written down: one stream after the other.
    fn again(&self, moves: &[i64], order: [usize; 2]) -> String {
        let (mut engine, mut told) = (Engine::new(self.case.settings.clone()), Recorded::default());
        let mut pushed = self.begun(&mut engine, &mut told);
        for stream in order {
            if stream == 0 {
                pushed.push(0, self.chunk(0, 0, self.lines(0)), &mut engine, &mut told).unwrap();
                continue;
            }
            pushed.push(1, self.chunk(1, 0, self.before), &mut engine, &mut told).unwrap();
            let at = self.chunk(1, self.before, self.before).from;
            for to in moves {
                pushed.stall(1, *to, at, &mut engine, &mut told).unwrap();
            }
            pushed.push(1, self.chunk(1, self.before, self.lines(1)), &mut engine, &mut told).unwrap();
        }
        told.outputs(&engine.clone(), engine.apply(Input::Finish)).unwrap();
        told.ledger
    }
}

fn by_user(lines: Vec<Line>) -> [Vec<Line>; 2] {
    let (first, second) = lines.into_iter().partition(|line| line.user % 2 == 0);
    [first, second]
}

/// A partition gives nothing while its windows close: what is there may fail the canary, and passes none.
#[test]
fn nothing_passes_on_windows_that_a_partition_is_missing_from() {
    let whole = Stalling::new(by_user(calm()), 0.5, 0.5);
    let (_, _, engine, _) = whole.live(false);
    assert_eq!(engine.verdict(), Some(Verdict::Pass), "what both bring is enough");
    let calm = Stalling::new(by_user(calm()), 0.5, 0.6);
    let (moves, _, engine, ledger) = calm.live(true);
    let comparison = engine.comparison(0, 0).unwrap();
    let look = &comparison.look;
    assert_eq!((look.verdict, look.flaws.as_slice()), (Verdict::Inconclusive, [Flaw::StalledPartition].as_slice()));
    assert!(engine.tally().late > 500 && moves.len() > 3, "{:?}, {moves:?}", engine.tally());
    let missed = &comparison.missed;
    assert_eq!(missed.streams, ["logs/1".to_owned()].into());
    let lasted = missed.between.1.0 - missed.between.0.0;
    assert!((3 * MINUTE..5 * MINUTE).contains(&lasted), "{missed:?}");
    assert!(ledger.contains("\"missed\":{\"from\":"), "it stands in the ledger");
    for order in [[0, 1], [1, 0]] {
        assert!(calm.again(&moves, order) == ledger, "{order:?}");
    }

    // The canary breaks while the partition is missing.
    let broken_from = calm_for(40)[0].at + 21 * MINUTE;
    let broken = with_harm(calm_for(40), 0.3, |line| {
        let text = if line.at > broken_from {
            line.text.replace("\"status\":200", "\"status\":503")
        } else {
            line.text.clone()
        };
        vec![Line { text, ..line }]
    });
    let broken = Stalling::new(by_user(broken), 0.5, 0.7);
    let (moves, meanwhile, engine, ledger) = broken.live(true);
    let look = &meanwhile.comparison(0, 0).unwrap().look;
    assert_eq!((look.verdict, look.flaws.as_slice()), (Verdict::Fail, [Flaw::StalledPartition].as_slice()));
    assert_eq!(engine.verdict(), Some(Verdict::Fail));
    assert!(broken.again(&moves, [0, 1]) == ledger);
}

/// The lines of the canary are what the partition has: they are late, and its users are not missing.
#[test]
fn a_partition_that_is_missing_is_no_deficit() {
    let (control, canary) = calm().into_iter().partition(|line| line.arm == 0);
    let mut stalling = Stalling::new([control, canary], 0.5, 0.8);
    stalling.case.settings.policy.declared_share = Some(0.5);
    let (moves, meanwhile, engine, _) = stalling.live(true);
    assert!(moves.len() > 3, "{moves:?}");
    for engine in [meanwhile, engine] {
        let comparison = engine.comparison(0, 0).unwrap();
        assert!(comparison.failure.is_none() && comparison.look.flaws.contains(&Flaw::StalledPartition));
    }
}

/// A service that only the missing partition tells of has no further lines, and its pass does not stand all the same. What begins once
/// the partition is back is not touched.
#[test]
fn the_pass_of_a_service_that_is_silent_meanwhile_does_not_stand() {
    let shop = calm();
    let cart = Traffic {
        service: "cart",
        seed: 9,
        users: 500,
        requests: 4_000,
        minutes: 60,
        shares: vec![0.5],
        ..Traffic::default()
    };
    let stalling = Stalling::new([cart.lines(), shop], 1.0, 1.0);
    let verdict = |engine: &Engine, name: &str| {
        let of = engine.releases().find(|(services, _)| services[0].service == name).unwrap();
        let look = &of.1.iter().next().unwrap().look;
        (look.verdict, look.flaws.contains(&Flaw::StalledPartition))
    };
    let (_, _, passed, _) = stalling.live(false);
    assert_eq!(verdict(&passed, "shop"), (Verdict::Pass, false));
    let (moves, meanwhile, _, ledger) = stalling.live(true);
    assert_eq!(verdict(&meanwhile, "shop"), (Verdict::Inconclusive, true));
    assert!(stalling.again(&moves, [1, 0]) == ledger);
}
