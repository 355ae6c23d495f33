//! What only time brings: users who are known before a rollout begins, and regressions that begin late (statistics design
//! 4.3 and 4.6).
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use common::{Case, Line, Random, START, bytes_of, entries, folder_with, ledger_values, serin};
use serde_json::{Map, Value};
use serin::engine::policy::Policy;
use serin::engine::{Engine, Input};
use serin::event;
use serin::pipeline::survey::Wishes;
use serin::time::{HOUR, MINUTE};

const USERS: u64 = 400;

/// Requests of users who differ tenfold in latency and by a fifth from request to request.
struct Stretch {
    hours: i64,
    requests_per_hour: u64,
    /// Without a candidate everybody is in the control.
    has_candidate: bool,
    /// Factor on the candidate's latency.
    slower: f64,
    /// Error rates of control and candidate.
    errors: [f64; 2],
}

fn lines_of(stretches: &[Stretch]) -> Vec<Line> {
    let mut random = Random::new(11);
    let mut from = START;
    let mut lines = Vec::new();
    for stretch in stretches {
        let requests = stretch.requests_per_hour * stretch.hours as u64;
        for number in 0..requests {
            let at = from + (number as i64 * stretch.hours * HOUR) / requests as i64;
            let user = random.below(USERS);
            let arm = usize::from(stretch.has_candidate && event::mix(user, 91).is_multiple_of(2));
            let usual = 20.0 * 10f64.powf(event::mix(user, 92) as f64 / u64::MAX as f64);
            let factor = if arm == 1 { stretch.slower } else { 1.0 };
            let latency = usual * factor * (0.8 + 0.4 * random.unit());
            let status = if random.chance(stretch.errors[arm]) { 500 } else { 200 };
            let version = ["1.0.0", "1.1.0"][arm];
            let fields = format!(
                "\"service\":\"shop\",\"version\":\"{version}\",\"user\":\"u{user}\",\"status\":{status},\"latency_ms\":{latency:.2}"
            );
            lines.push(Line::new(at, user, arm, &fields));
        }
        from += stretch.hours * HOUR;
    }
    lines
}

fn alone(hours: i64) -> Stretch {
    Stretch { hours, requests_per_hour: 1_200, has_candidate: false, slower: 1.0, errors: [0.01; 2] }
}

/// A tenth slower for three hours.
fn slower() -> Stretch {
    Stretch { hours: 3, requests_per_hour: 2_400, has_candidate: true, slower: 1.1, errors: [0.01; 2] }
}

#[test]
fn with_a_day_of_history_users_are_compared_with_themselves() {
    for (hours, finds) in [(26, true), (20, false), (0, false)] {
        let log = bytes_of(&lines_of(&[alone(hours), slower()]));
        let folder = folder_with(&[("app.log", &log)]);
        let arguments = ["compare", "app.log", "--window", "1m", "--ledger", "l.ndjson"];
        let arguments = [&arguments[..], &["--control", "1.0.0", "--candidate", "1.1.0", "--format", "json"]].concat();
        let report = serin(folder.path(), &arguments).expect(if finds { 1 } else { 3 }).json();
        let comparison = &report["comparisons"][0];
        let history = comparison["history_hours"].as_f64();
        assert_eq!(history.is_some(), finds, "{hours} hours: {history:?}");
        if finds {
            assert!((25.9..26.1).contains(&history.unwrap()), "{history:?}");
            let mean =
                comparison["guardrails"].as_array().unwrap().iter().find(|row| row["guardrail"] == "latency_mean");
            assert_eq!(mean.unwrap()["finding"], "regressed");
        }
        serin(folder.path(), &["replay", "l.ndjson", "app.log"]).expect(0);
    }
}

/// History hours and the finding on the mean of a log of 26 hours of one version and 3 of two.
fn learnt(lines: &[Line]) -> (Option<f64>, Value) {
    let folder = folder_with(&[("app.log", &bytes_of(lines))]);
    let arguments = ["compare", "app.log", "--window", "1m", "--ledger", "l.ndjson"];
    let arguments = [&arguments[..], &["--control", "1.0.0", "--candidate", "1.1.0", "--format", "json"]].concat();
    let report = serin(folder.path(), &arguments).expect(1).json();
    serin(folder.path(), &["replay", "l.ndjson", "app.log"]).expect(0);
    let comparison = &report["comparisons"][0];
    let mean = comparison["guardrails"].as_array().unwrap().iter().find(|row| row["guardrail"] == "latency_mean");
    (comparison["history_hours"].as_f64(), mean.unwrap()["finding"].clone())
}

#[test]
fn a_stray_request_of_another_version_is_no_new_history() {
    let mut lines = lines_of(&[alone(26), slower()]);
    let stray = START + 25 * HOUR;
    lines.retain(|line| line.at.div_euclid(MINUTE) != stray.div_euclid(MINUTE));
    let at = lines.partition_point(|line| line.at < stray);
    let old = "\"service\":\"shop\",\"version\":\"0.9.0\",\"user\":\"probe\",\"status\":200,\"latency_ms\":3";
    lines.insert(at, Line::new(stray + MINUTE / 2, USERS, 0, old));
    let (hours, mean) = learnt(&lines);
    assert!((25.9..26.1).contains(&hours.unwrap_or(0.0)), "{hours:?}");
    assert_eq!(mean, "regressed");
}

#[test]
fn requests_with_ids_are_learnt_too() {
    let mut lines = Vec::new();
    for (number, line) in lines_of(&[alone(26), slower()]).into_iter().enumerate() {
        let id = format!("\"request_id\":\"{number:08x}-0000-4000-8000-{number:012x}\",\"status\"");
        let line = Line { text: line.text.replace("\"status\"", &id), ..line };
        if line.text.contains("\"status\":500") {
            let text = line.text.replace("\"status\":500", "\"status\":200");
            lines.push(Line { at: line.at + 300_000, text, ..line.clone() });
        }
        lines.push(line);
    }
    lines.sort_by_key(|line| line.at);
    let (hours, mean) = learnt(&lines);
    assert!((25.9..26.1).contains(&hours.unwrap_or(0.0)), "{hours:?}");
    assert_eq!(mean, "regressed");
}

/// Two quiet days, then five in a hundred requests of the candidate fail instead of one.
fn late_onset() -> Vec<Line> {
    let both = |hours, errors| Stretch { hours, requests_per_hour: 600, has_candidate: true, slower: 1.0, errors };
    lines_of(&[both(60, [0.01; 2]), both(14, [0.01, 0.05])])
}

fn looks(ledger: &str) -> Vec<Map<String, Value>> {
    ledger_values(ledger).into_iter().filter(|entry| entry["kind"] == "look").collect()
}

#[test]
fn what_begins_late_is_found_by_a_restart() {
    let folder = folder_with(&[("app.log", &bytes_of(&late_onset()))]);
    let arguments = ["compare", "app.log", "--window", "10m", "--ledger", "l.ndjson", "--control", "1.0.0"];
    let said = serin(folder.path(), &[&arguments[..], &["--candidate", "1.1.0"]].concat()).expect(1);
    assert!(said.out.contains("It began late: tests that were begun anew"), "{}", said.out);
    let looks = looks(&std::fs::read_to_string(folder.path().join("l.ndjson")).unwrap());
    let failed = looks.iter().find(|look| look["verdict"] == "fail").unwrap();
    let evidence = |key: &str| failed["cells"]["error_volume"][key].as_f64().unwrap();
    assert!(
        evidence("log_e") > evidence("log_e_start") + 1.0,
        "from the start {}, with restarts {}",
        evidence("log_e_start"),
        evidence("log_e")
    );
    serin(folder.path(), &["replay", "l.ndjson", "app.log"]).expect(0);
}

#[test]
fn long_rollouts_go_on_as_they_were_saved() {
    let histories = lines_of(&[alone(26), slower()]);
    for (name, lines) in [("history", histories), ("late onset", late_onset())] {
        let wishes = Wishes::default();
        let mut case = Case::new(name, vec![("app.log".to_owned(), bytes_of(&lines))], &wishes, Policy::default());
        case.plan.windowing.window = 30 * MINUTE;
        case.settings.windowing.window = 30 * MINUTE;
        case.settings.arms.control = Some("1.0.0".to_owned());
        let fed = case.inputs(50_000, &mut Random::new(5));
        let (mut engine, _) = case.engine();
        let mut saved: Vec<(Vec<u8>, String)> = Vec::new();
        for (at, input) in fed.iter().enumerate() {
            let text = entries(engine.apply(input.input()));
            saved.iter_mut().for_each(|(_, tail)| tail.push_str(&text));
            if at % 6 == 0 {
                saved.push((engine.snapshot(), String::new()));
            }
        }
        let text = entries(engine.apply(Input::Finish));
        saved.iter_mut().for_each(|(_, tail)| tail.push_str(&text));
        let end = engine.snapshot();
        assert!(saved.len() > 5, "{name}: saved {} times", saved.len());
        for (at, (snapshot, tail)) in saved.iter().enumerate() {
            let mut again = Engine::restore(case.settings.clone(), snapshot).unwrap();
            assert!(again.snapshot() == *snapshot, "{name} {at}: a restored engine is the one that was saved");
            let mut ledger = String::new();
            for input in &fed {
                ledger.push_str(&entries(again.apply(input.input())));
            }
            ledger.push_str(&entries(again.apply(Input::Finish)));
            assert!(ledger == *tail && again.snapshot() == end, "{name} {at}");
        }
    }
}
