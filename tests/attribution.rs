//! What is counted for whom: requests that inherit their arm, units that two rollouts share, warnings of nobody.

mod common;

use common::{Case, Labels, Line, START, Traffic, bytes_of, folder_with, ledger_values, serin};
use serin::compare::verdict::Behaviour;
use serin::engine::Engine;
use serin::engine::policy::Policy;
use serin::pipeline::survey::Wishes;
use serin::time::SECOND;

/// An engine that has read these streams.
fn judged(streams: Vec<(&str, Vec<Line>)>) -> Engine {
    let streams = streams.into_iter().map(|(name, lines)| (name.to_owned(), bytes_of(&lines))).collect();
    Case::new("attribution", streams, &Wishes::default(), Policy::default()).judged()
}

/// Requests that carry no arm inherit that of their unit, and so do their status classes.
#[test]
fn joined_requests_count_by_status_class() {
    for retries in [false, true] {
        let traffic = Traffic {
            requests: 6_000,
            users: 1_500,
            labels: Labels::OnExposures,
            errors: vec![0.05, 0.05],
            retries,
            ..Traffic::default()
        };
        // What goes well in the canary is no longer found, and that is no failure.
        let lines = traffic.lines().into_iter().map(|line| match line.arm {
            1 => Line { text: line.text.replace("\"status\":200", "\"status\":404"), ..line },
            _ => line,
        });
        let engine = judged(vec![("app.log", lines.collect())]);
        let comparison = engine.comparison(0, 0).unwrap();
        for (arm, totals) in comparison.totals[0].iter().enumerate() {
            assert!(totals.requests > 1_000, "{totals:?}");
            assert_eq!(totals.status.iter().sum::<u64>(), totals.requests, "arm {arm}, retries {retries}");
            assert_eq!(totals.status[5], totals.errors, "arm {arm}, retries {retries}");
            let (found, not_found) = (totals.status[2], totals.status[4]);
            assert!(if arm == 0 { not_found == 0 && found > 0 } else { found == 0 && not_found > 0 }, "{totals:?}");
        }
        let changed: Vec<Behaviour> = comparison.look.changed_groups().collect();
        assert!(changed.contains(&Behaviour::StatusClasses), "{changed:?}");
    }
}

#[test]
fn units_of_two_rollouts_are_laid_across_each_other() {
    let shop = Traffic { users: 3_000, requests: 6_000, ..Traffic::default() };
    let mail = |seed| Traffic { service: "mail", seed, ..shop.clone() };
    for (seed, lies_across) in [(1, false), (2, true)] {
        let engine = judged(vec![("mail.log", mail(seed).lines()), ("shop.log", shop.lines())]);
        let [pair] = engine.shared_units().try_into().unwrap();
        assert_eq!((pair.first, pair.second, pair.one_of), ((0, 0), (1, 0), 1));
        let [[cc, ck], [kc, kk]] = pair.units;
        // Counted by hand: users that both logs have, by their arm in each.
        let mut users = [[0u64; 2]; 2];
        let seen =
            |traffic: &Traffic| traffic.lines().iter().map(|line| line.user).collect::<std::collections::BTreeSet<_>>();
        for user in seen(&mail(seed)).intersection(&seen(&shop)) {
            users[mail(seed).arm_of(*user)][shop.arm_of(*user)] += 1;
        }
        assert_eq!(pair.units, users, "seed {seed}");
        assert!(cc > 100 && kk > 100, "{pair:?}");
        assert_eq!(ck > 100 && kc > 100, lies_across, "{pair:?}");
        assert!(lies_across || ck + kc == 0, "assigned alike: {pair:?}");
    }
    // More units than are looked at: a sample.
    let crowd = |service, seed| Traffic { service, seed, users: 40_000, requests: 20_000, ..Traffic::default() };
    let engine = judged(vec![("a.log", crowd("mail", 1).lines()), ("b.log", crowd("shop", 2).lines())]);
    let [pair] = engine.shared_units().try_into().unwrap();
    let listed: u64 = pair.units.iter().flatten().sum();
    assert!(pair.one_of >= 2 && listed > 200 && listed <= 4_096, "{pair:?}");
}

/// Services that are declared to be released together share one budget, and one that is worse fails the release.
#[test]
fn services_of_a_declared_release_share_a_budget_and_a_verdict() {
    let part = |service, seed, errors| Traffic { service, seed, errors, ..Traffic::default() };
    let web = part("web", 1, vec![0.02, 0.02]).lines();
    let api = part("api", 2, vec![0.02, 0.6]).lines();
    let worker = part("worker", 3, vec![0.02, 0.02]).lines();
    let folder = folder_with(&[
        ("web.log", &bytes_of(&web)),
        ("api.log", &bytes_of(&api)),
        ("worker.log", &bytes_of(&worker)),
        ("p.yaml", b"release: [web, worker]\n"),
    ]);
    let folder = folder.path();
    let logs = ["compare", "web.log", "api.log", "worker.log"];
    let json =
        |more: &[&str], status| serin(folder, &[&logs[..], more, &["--format", "json"]].concat()).expect(status).json();
    let report = json(&["--release", "web,api,worker", "--ledger", "l.ndjson"], 1);
    assert_eq!(report["verdict"], "fail");
    assert_eq!(report["carried_by"], serde_json::json!(["api"]));
    // Nine tenths: the rest is for the same two arms, should they meet again.
    let ln = |part: f64| 100f64.ln() - (0.9 * part).ln();
    let line = |report: &serde_json::Value, service: &str| {
        let list = report["comparisons"].as_array().unwrap();
        list.iter().find(|one| one["service"] == service).unwrap()["log_fail"].as_f64().unwrap()
    };
    for (service, part) in [("web", 0.5), ("api", 0.25), ("worker", 0.25)] {
        assert!((line(&report, service) - ln(part)).abs() < 1e-5, "{service}: {}", line(&report, service));
    }
    serin(folder, &["replay", "l.ndjson", "web.log", "api.log", "worker.log"]).expect(0);
    let said = serin(folder, &[&logs[..], &["--release", "web,api,worker"]].concat()).expect(1);
    assert!(said.out.starts_with("Release of web, api, worker: FAIL, by api\n"), "{}", said.out);
    // Nobody declares it: found, with one error level, most of it for the first; and the one that stands out among all is told.
    let report = json(&["--ledger", "found.ndjson"], 1);
    let [found] = report["found_releases"].as_array().unwrap().as_slice() else { panic!("{report}") };
    assert_eq!(found["services"], serde_json::json!(["api", "web", "worker"]));
    assert_eq!((&found["verdict"], &found["carried_by"]), (&"fail".into(), &serde_json::json!(["api"])));
    for one in report["comparisons"].as_array().unwrap() {
        assert_eq!(one["notified"], one["service"] == "api", "{}", one["service"]);
    }
    // All three are compared from the same window on: in the order of their names.
    for (service, part) in [("api", 1.0), ("web", 0.05 / 0.9), ("worker", 0.1 / 6.0 / 0.9)] {
        assert!((line(&report, service) - ln(part)).abs() < 1e-5, "{service}: {}", line(&report, service));
    }
    let ledger = ledger_values(&std::fs::read_to_string(folder.join("found.ndjson")).unwrap());
    let told: Vec<_> = ledger.iter().filter(|entry| entry["kind"] == "notify").collect();
    assert_eq!(told.len(), 1, "once, and not again");
    assert_eq!((&told[0]["service"], &told[0]["family"]), (&"api".into(), &64.into()));
    serin(folder, &["replay", "found.ndjson", "web.log", "api.log", "worker.log"]).expect(0);
    // In a policy; who is not named has a budget of its own.
    let report = json(&["--policy", "p.yaml"], 1);
    for (service, part) in [("web", 0.5), ("api", 1.0), ("worker", 0.5)] {
        assert!((line(&report, service) - ln(part)).abs() < 1e-5, "{service}: {}", line(&report, service));
    }
    let said = serin(folder, &[&logs[..], &["--release", "web,apy"]].concat()).expect(2);
    assert!(said.err.contains("--release apy") && said.err.contains("api"), "{}", said.err);
}

/// A release of several services names those that are not compared, and says why.
#[test]
fn a_release_names_what_is_not_compared() {
    let web = Traffic { service: "web", errors: vec![0.02, 0.6], ..Traffic::default() }.lines();
    let api = Traffic { service: "api", seed: 2, shares: vec![], ..Traffic::default() }.lines();
    let folder = folder_with(&[("web.log", &bytes_of(&web)), ("api.log", &bytes_of(&api))]);
    let logs = ["compare", "web.log", "api.log", "--release", "web,api"];
    let said = serin(folder.path(), &logs).expect(1);
    let text = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.starts_with(
            "Release of web, api: FAIL, by web \
             api is not compared, so the release cannot pass: only `baseline` was seen, 1,500 requests. "
        ),
        "{}",
        said.out
    );
    let report = serin(folder.path(), &[&logs[..], &["--format", "json"]].concat()).json();
    let reason = "only `baseline` was seen, 1,500 requests";
    assert_eq!(report["not_compared"][0], serde_json::json!({ "service": "api", "reason": reason }));
}

#[test]
fn units_of_others_are_not_shared() {
    let shop = Traffic::default();
    let others = Traffic { service: "mail", ..Traffic::default() }.lines().into_iter();
    let others = others.map(|line| Line { text: line.text.replace("\"user\":\"u", "\"user\":\"w"), ..line });
    let engine = judged(vec![("mail.log", others.collect()), ("shop.log", shop.lines())]);
    assert_eq!(engine.releases().map(|(_, list)| list.len()).collect::<Vec<_>>(), [1, 1]);
    assert!(engine.shared_units().is_empty());
}

/// Warnings that name neither a unit nor an arm are counted and shown, and count for no arm.
#[test]
fn warnings_of_nobody_are_shown() {
    let mut lines = Traffic::default().lines();
    for number in 0..30 {
        let at = START + number * 7 * SECOND;
        let nobody = "\"service\":\"shop\",\"level\":\"error\",\"msg\":\"panic: nil map\"";
        let known = "\"service\":\"shop\",\"level\":\"error\",\"msg\":\"cart is gone\",\"user\":\"u3\"";
        let calm = "\"service\":\"shop\",\"level\":\"info\",\"msg\":\"tick\"";
        let of_arm = "\"service\":\"shop\",\"level\":\"warn\",\"msg\":\"slow\",\"cohort\":\"canary\"";
        for text in [nobody, known, calm, of_arm] {
            lines.push(Line::new(at, 0, 0, text));
        }
    }
    lines.sort_by_key(|line| line.at);
    let engine = judged(vec![("app.log", lines.clone())]);
    assert_eq!(engine.unattributed_warnings(0), 30);
    let folder = folder_with(&[("app.log", &bytes_of(&lines))]);
    let said = serin(folder.path(), &["compare", "app.log"]);
    assert!(said.out.contains("30 lines of level warn or worse name neither a user nor an arm"), "{}", said.out);
    let report = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
    assert_eq!(report["comparisons"][0]["unattributed_warnings"], 30);
}
