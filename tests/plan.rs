//! `serin plan`: minutes that come true in simulated rollouts, and what it says and refuses.

mod common;

use common::{Case, Traffic as Log, bytes_of, folder_with, serin};
use serin::compare::verdict::Verdict;
use serin::engine::policy::Policy;
use serin::engine::{Engine, Output};
use serin::pipeline::plan_text;
use serin::pipeline::survey::Wishes;
use serin::plan::{Traffic, plan};
use serin::source::run::{Observer, PushedStream};

/// Minutes until half and four of five healthy canaries had passed, as `tests/healthy_pass.rs` measures them (its
/// traffic, 50 % share, one-minute windows): requests a minute over the day, half (16 runs), four of five (64 runs).
const MEASURED: [(f64, f64, f64); 2] = [(3_000.0, 57.0, 185.0), (200.0, 487.0, 1_080.0)];
/// The day of that traffic starts at its low: mean of 1 - .6 cos over the first minutes.
fn mean_traffic(requests: f64, minutes: f64) -> f64 {
    let phase = std::f64::consts::TAU * minutes / 1_440.0;
    requests * (1.0 - 0.6 * phase.sin() / phase)
}

/// The plan's minutes are within a factor of 1.6 of measured ones. It knows of that traffic only its size, the users and
/// the error rate.
#[test]
fn minutes_to_a_pass_come_true() {
    for (requests, half, most) in MEASURED {
        for (at, measured) in [half, most].into_iter().enumerate() {
            let traffic = Traffic::assumed(mean_traffic(requests, measured), 20_000.0, 0.005, 1.0);
            let said = plan(&traffic, &Policy::default(), 0.5, None, None).pass[at].expect("it can be decided");
            println!("{requests} a minute: said {said:.0} min, measured {measured:.0}");
            assert!((said / measured).max(measured / said) < 1.6, "{requests}: said {said:.0}, measured {measured:.0}");
        }
    }
}

/// `calibrate` on the demo's healthy log (README): when 80 % of splits with a planted change had been rolled back.
#[test]
fn minutes_to_find_a_change_come_true() {
    let traffic = Traffic::assumed(212_063.0 / 88.0, 39_289.0, 0.0045, 1.0 / 6.0);
    for (change, measured) in [
        (serin::plan::Change::Errors(0.005), 11.0),
        (serin::plan::Change::Errors(0.01), 4.0),
        (serin::plan::Change::Errors(0.02), 110.0 / 60.0),
        (serin::plan::Change::Slower(0.2), 250.0 / 60.0),
    ] {
        let found = plan(&traffic, &Policy::default(), 0.5, Some(change), None).find.expect("a change was named");
        let said = found[1].expect("it can be found");
        println!("{change:?}: said {said:.1} min, measured {measured:.1}");
        assert!((said / measured).max(measured / said) < 2.0, "{change:?}: said {said:.1}, measured {measured:.1}");
    }
}

/// The first look at which a rollout passes, and the candidate's units then.
#[derive(Default)]
struct FirstPass(Option<u64>);

impl Observer for FirstPass {
    fn outputs(&mut self, engine: &Engine, _: Vec<Output>) -> std::io::Result<()> {
        if let Some(comparison) = engine.comparison(0, 0)
            && comparison.look.verdict == Verdict::Pass
        {
            self.0.get_or_insert(comparison.distinct_units()[1]);
        }
        Ok(())
    }
}

/// A service without errors passes by its units alone: with those that the plan says.
#[test]
fn a_service_without_errors_passes_as_planned() {
    let log = Log {
        users: 60_000,
        requests: 60_000,
        minutes: 60,
        errors: vec![0.0; 2],
        slower: vec![1.0; 2],
        shares: vec![0.5],
        ..Log::default()
    };
    let policy = Policy { latency: false, minimum_time: 0, ..Policy::default() };
    let streams = vec![("app.log".to_owned(), bytes_of(&log.lines()))];
    let case = Case::new("no errors", streams, &Wishes::default(), policy.clone());
    let (mut engine, mut passed) = (Engine::new(case.settings.clone()), FirstPass::default());
    let text = plan_text::to_json(&case.plan);
    let mut pushed = PushedStream::begin("app.log", &case.plan, &mut engine, text, &mut passed).unwrap();
    pushed.push(case.streams[0].1.clone(), &mut engine, &mut passed).unwrap();
    pushed.end(&mut engine, &mut passed).unwrap();
    let units = passed.0.expect("it passes");
    let planned = plan(&Traffic::assumed(1_000.0, 60_000.0, 0.0, 1.0 / 6.0), &policy, 0.5, None, None);
    // When so many have come depends on how often each comes, which the plan assumes.
    assert!(planned.pass.iter().all(Option::is_some), "{planned:?}");
    let needed = planned.guardrails[0].needed;
    println!("{needed:.0} units planned, passed with {units}");
    assert!((0.9..1.1).contains(&(units as f64 / needed)), "{units} units, {needed:.0} planned");
}

const SIZE: [&str; 7] = ["plan", "--traffic", "3000/min", "--users", "20000", "--errors", "0.5%"];

fn said(more: &[&str]) -> common::Said {
    let folder = folder_with(&[]);
    serin(folder.path(), &[&SIZE, more].concat())
}

#[test]
fn the_plan_is_in_words_and_for_programs() {
    let options = ["--share", "5%", "--change", "errors:+0.5%", "--for", "1h"];
    let text = said(&options).expect(0).out;
    for words in [
        "3,000 requests a minute, 0.50 % of them fail; 5.00 % of users in the canary.",
        "a healthy canary passes after",
        "0.50 % more requests fail: found after",
        "users with errors",
        "Not decided in 1 h: users with errors; in that time only",
        "Accepted in 1 h: ",
        "share of canary",
    ] {
        assert!(text.contains(words), "{words} is missing in\n{text}");
    }
    assert!(text.lines().all(|line| line.chars().count() <= 110), "{text}");

    let json = said(&[&options[..], &["--format", "json"]].concat()).expect(0).json();
    assert_eq!((json["version"].as_u64(), json["share"].as_f64()), (Some(1), Some(0.05)));
    assert_eq!(json["seconds_to_pass"][1], serde_json::Value::Null, "not in 90 days");
    let half = json["seconds_to_pass"][0].as_f64().expect("seconds");
    assert!(json["seconds_to_find"][1].as_f64().expect("seconds") < half, "a large change shows before a pass");
    let quarter = said(&["--share", "25%", "--format", "json"]).expect(0).json();
    let [half, most] = [0, 1].map(|at| quarter["seconds_to_pass"][at].as_f64().expect("seconds"));
    assert!(half < most && quarter["harm"]["seconds"].as_f64() == Some(most), "{quarter}");
    let names: Vec<&str> =
        json["guardrails"].as_array().expect("a list").iter().filter_map(|one| one["guardrail"].as_str()).collect();
    assert_eq!(names, ["error_units", "error_volume", "latency_p90", "latency_p99"]);
    let shares: Vec<f64> =
        json["shares"].as_array().expect("a list").iter().filter_map(|one| one["share"].as_f64()).collect();
    assert_eq!(shares, [0.01, 0.05, 0.1, 0.25, 0.5]);
    let exposed = json["harm"]["units_exposed"].as_f64().expect("a number");
    assert!((1.0..=1_000.0).contains(&exposed), "5 % of 20,000 users: {exposed}");
}

#[test]
fn a_policy_changes_what_is_asked() {
    let folder = folder_with(&[("policy.yaml", b"guardrails: [errors]\nnext_share_percent: 25\n")]);
    let with =
        serin(folder.path(), &[&SIZE[..], &["--policy", "policy.yaml", "--format", "json"]].concat()).expect(0).json();
    let without = said(&["--format", "json"]).expect(0).json();
    let names = with["guardrails"].as_array().expect("a list").len();
    assert_eq!(names, 1, "an early step asks for erring users alone: {with}");
    let seconds = |json: &serde_json::Value| json["seconds_to_pass"][1].as_f64().expect("seconds");
    assert!(seconds(&with) < seconds(&without));
}

#[test]
fn a_plan_is_read_off_a_log() {
    let log = Log {
        requests: 20_000,
        users: 4_000,
        minutes: 40,
        errors: vec![0.02, 0.02],
        slower: vec![1.0; 2],
        ..Log::default()
    };
    let folder = folder_with(&[("app.log", &bytes_of(&log.lines()))]);
    let json = serin(folder.path(), &["plan", "app.log", "--format", "json"]).expect(0).json();
    let requests = json["requests_per_minute"].as_f64().expect("a number");
    assert!((450.0..550.0).contains(&requests), "{requests}");
    let errors = json["error_rate"].as_f64().expect("a number");
    assert!((0.017..0.023).contains(&errors), "{errors}");
    assert!(json["seconds_to_pass"][0].as_f64().is_some_and(|seconds| (300.0..86_400.0).contains(&seconds)), "{json}");
    let text = serin(folder.path(), &["plan", "app.log"]).expect(0).out;
    assert!(text.contains("requests a minute of shop") && text.contains("Read off"), "{text}");
}

#[test]
fn what_cannot_be_planned_is_refused_with_a_reason() {
    let folder = folder_with(&[
        ("empty.log", b""),
        ("app.log", b"{\"ts\":\"2026-06-01T10:00:00Z\",\"service\":\"a\",\"status\":200}\n"),
    ]);
    for (arguments, words) in [
        (&["plan"][..], "--traffic"),
        (&["plan", "--traffic", "3000/min"], "--users"),
        (&["plan", "--traffic", "3000", "--users", "9", "--errors", "1%"], "write 3000/min"),
        (&["plan", "--traffic", "0/s", "--users", "9", "--errors", "1%"], "must be above 0"),
        (&["plan", "--traffic", "1/s", "--users", "1", "--errors", "1%"], "--users 1"),
        (&["plan", "--traffic", "1/s", "--users", "9", "--errors", "200%"], "--errors"),
        (&["plan", "--traffic", "1/s", "--users", "9", "--errors", "1%", "--share", "0%"], "--share"),
        (&["plan", "--traffic", "1/s", "--users", "9", "--errors", "1%", "--change", "errors:-1%"], "--change"),
        (&["plan", "--traffic", "1/s", "--users", "9", "--errors", "1%", "--for", "0s"], "--for"),
        (&["plan", "no-such.log"], "no-such.log"),
        (&["plan", "empty.log"], "not a single line"),
        (&["plan", "app.log"], "too few to plan from"),
        (&["plan", "app.log", "--traffic", "1/s", "--users", "9", "--errors", "1%"], "cannot be used with"),
    ] {
        let said = serin(folder.path(), arguments).expect(2);
        assert!(said.err.contains(words), "{arguments:?}: {}", said.err);
    }
}
