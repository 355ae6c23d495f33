//! Thousands of services and hundreds of versions: state stays within its bound, what is given up is counted and depends on
//! nothing but the logs, and a service is judged as if the others were not there.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;
mod fleet;

use serde_json::{Map, Value};
use serin::engine::shedding::STATE_MAX;
use serin::engine::{Engine, Input};

use common::{Case, Random, entries, ledger_values};
use fleet::{BROKEN, Fleet, HEALTHY};

const SMALL: Fleet = Fleet { services: 60, versions: 5, requests: 2, users: 60, probes: true };
/// Less than the rollouts of [`SMALL`] take.
const TIGHT: u64 = 4 << 20;

/// Reads all of a case; the engine is saved and restored at every `stop`-th input. Returns the ledger.
fn judged(case: &Case, chunk_bytes: usize, seed: u64, stop: usize) -> (Engine, String) {
    let (mut engine, mut ledger) = case.engine();
    for (number, fed) in case.inputs(chunk_bytes, &mut Random::new(seed)).into_iter().enumerate() {
        if stop > 0 && number % stop == stop - 1 {
            engine = Engine::restore(case.settings.clone(), &engine.snapshot()).unwrap();
        }
        ledger.push_str(&entries(engine.apply(fed.input())));
        assert!(engine.state_bytes() <= case.settings.memory, "{} bytes", engine.state_bytes());
    }
    ledger.push_str(&entries(engine.apply(Input::Finish)));
    (engine, ledger)
}

/// What a ledger says of one service, without what every entry has of the whole: its number, the hash of the entry before, and
/// how far streams were read.
fn of_service(ledger: &str, service: &str) -> Vec<Map<String, Value>> {
    let mut list = ledger_values(ledger);
    list.retain(|entry| entry.get("service").and_then(Value::as_str) == Some(service));
    for entry in &mut list {
        for key in ["entry", "previous", "positions"] {
            entry.remove(key);
        }
    }
    list
}

#[test]
fn a_service_is_judged_as_if_the_others_were_not_there() {
    let alone = Fleet { services: 0, ..SMALL };
    let (_, expected) = judged(&alone.case(STATE_MAX), 50_000, 1, 0);
    for memory in [STATE_MAX, TIGHT] {
        let (engine, ledger) = judged(&SMALL.case(memory), 50_000, 1, 0);
        for (service, verdict) in [(HEALTHY, "inconclusive"), (BROKEN, "fail")] {
            let (mine, theirs) = (of_service(&ledger, service), of_service(&expected, service));
            assert!(mine.len() > 3, "{service}: {}", mine.len());
            // Who is told of is decided among all rollouts of a day.
            let judged = |list: &[Map<String, Value>]| -> Vec<Map<String, Value>> {
                list.iter().filter(|entry| entry["kind"] != "notify").cloned().collect()
            };
            assert_eq!(judged(&mine), judged(&theirs), "{service} with {memory} bytes");
            let last = mine.iter().rev().find_map(|entry| entry.get("verdict")).and_then(Value::as_str);
            assert!(last == Some(verdict) || (service == HEALTHY && last == Some("pass")), "{service}: {last:?}");
        }
        let shed = engine.shed();
        assert_eq!(memory == TIGHT, shed.gists > 0 && shed.rollouts > 0, "{shed:?}");
        assert_eq!(engine.releases().count(), 62);
        let said = engine.bounds_met(0).join("\n");
        assert_eq!(said.contains("of state (--memory) were met"), memory == TIGHT, "{said}");
    }
}

#[test]
fn what_is_given_up_depends_on_the_logs_alone() {
    let case = SMALL.case(TIGHT);
    let (engine, ledger) = judged(&case, 50_000, 1, 0);
    assert!(engine.shed().rollouts > 0 && ledger.contains("no_memory"), "{:?}", engine.shed());
    for (chunk_bytes, seed, stop) in [(7_000, 2, 0), (200_000, 3, 0), (50_000, 4, 13)] {
        let (other, again) = judged(&case, chunk_bytes, seed, stop);
        assert_eq!(other.shed(), engine.shed());
        assert!(again == ledger, "another ledger: chunks of {chunk_bytes}, order {seed}, restored at every {stop}");
    }
}

/// A program that runs for months: versions that came long ago are forgotten, and those that come now are judged.
#[test]
fn a_service_is_judged_however_many_versions_it_has_had() {
    let long = Fleet { services: 1, versions: 80, requests: 4, users: 60, probes: false };
    let case = long.case(STATE_MAX);
    let (engine, ledger) = judged(&case, 50_000, 1, 0);
    let begun: Vec<String> = ledger_values(&ledger)
        .iter()
        .filter(|entry| entry["kind"] == "begin")
        .map(|entry| entry["candidate"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(begun, (1..80).map(|number| format!("v{number}")).collect::<Vec<_>>());
    let (_, list) = engine.releases().next().unwrap();
    assert_eq!((list.len(), list.forgotten().count), (64, 15));
    // Numbers stay, and what is forgotten is not there.
    assert_eq!(list.numbered().map(|(number, _)| number).collect::<Vec<_>>(), (15..79).collect::<Vec<_>>());
    assert!(engine.comparison(0, 14).is_none() && engine.comparison(0, 78).is_some_and(|of| of.candidate == "v79"));
    assert!(engine.bounds_met(0).contains(&"15 earlier rollouts of this service stand in the ledger alone".to_owned()));
    assert!(engine.arms_not_judged(0).is_empty());
    // Of versions that nothing is kept of no word stays.
    let arms: Vec<String> = engine.arms_seen(0).into_iter().map(|(arm, _)| arm).collect();
    assert!(!arms.contains(&"v14".to_owned()) && arms.contains(&"v16".to_owned()), "{arms:?}");
    let (_, again) = judged(&case, 7_000, 2, 11);
    assert!(again == ledger);
}

#[test]
fn thousands_of_rollouts_that_begin_at_once_stay_within_the_bound() {
    // Each keeps some kilobytes whatever is given up; what all of these would keep is more than there may be.
    let crowd = Fleet { services: 400, versions: 5, requests: 2, users: 60, probes: false };
    let (engine, ledger) = judged(&crowd.case(8 << 20), 2_000_000, 1, 0);
    assert!(engine.shed().full > 0 && engine.shed().forgotten > 0, "{:?}", engine.shed());
    assert!(ledger_values(&ledger).iter().any(|entry| entry["kind"] == "begin" && entry["candidate"] == "v4"));
}
