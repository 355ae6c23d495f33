//! Cells: a service that is rolled out city by city has a verdict in each, and one city is rolled back alone.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use common::acting::{SECRET, post};
use common::receiver::{Answer, Came, Receiver};
use common::running::{Running, until};
use common::{Line, Random, Traffic, bytes_of, folder_with, ledger_values, serin};
use serde_json::{Value, json};
use serin::time::MINUTE;

/// Lines of a city, whose users are its own.
fn of_city(city: &str, traffic: &Traffic) -> Vec<Line> {
    let in_city = |line: Line| {
        let text = line.text.replacen('{', &format!("{{\"city\":\"{city}\","), 1);
        Line { text: text.replace("\"user\":\"u", &format!("\"user\":\"{city}-")), ..line }
    };
    traffic.lines().into_iter().map(in_city).collect()
}

/// A canary that fails as often as the baseline, or in this part of its requests.
fn traffic(seed: u64, failing: f64) -> Traffic {
    Traffic {
        seed,
        requests: 20_000,
        users: 8_000,
        minutes: 20,
        shares: vec![0.5],
        errors: vec![0.01, failing],
        slower: vec![1.0, 1.0],
        ..Traffic::default()
    }
}

/// Harm in Geneva alone: Basel is as it should be.
fn two_cities() -> Vec<Line> {
    let mut lines = of_city("geneva", &Traffic { requests: 4_000, users: 1_000, ..traffic(3, 0.2) });
    lines.extend(of_city("basel", &traffic(4, 0.01)));
    lines.sort_by_key(|line| line.at);
    lines
}

const POLICY: &str = "guardrails: [errors]\nminimum_minutes: 2\nnext_share_percent: 10\n";

fn comparison<'r>(report: &'r Value, service: &str) -> &'r Value {
    let mut all = report["comparisons"].as_array().unwrap().iter();
    all.find(|one| one["service"] == service).unwrap_or_else(|| panic!("no {service}: {report}"))
}

#[test]
fn harm_in_one_cell_fails_that_cell_alone_and_its_lines_are_those_of_the_cell() {
    let text = bytes_of(&two_cities());
    let folder = folder_with(&[("app.log", &text), ("policy.yaml", POLICY.as_bytes())]);
    let compare =
        |more: &[&str]| serin(folder.path(), &[&["compare", "app.log", "--policy", "policy.yaml"], more].concat());
    let said = compare(&["--role", "cell=city", "--format", "json", "--ledger", "ledger.ndjson"]).expect(1);
    let report = said.json();
    common::balance(&report);
    assert_eq!((report["verdict"].as_str(), report["comparisons"].as_array().unwrap().len()), (Some("fail"), 2));
    let (geneva, basel) = (comparison(&report, "shop in cell geneva"), comparison(&report, "shop in cell basel"));
    assert_eq!((geneva["verdict"].as_str(), basel["verdict"].as_str()), (Some("fail"), Some("pass")), "{basel}");
    assert_eq!(report["carried_by"], json!(["shop in cell geneva"]));
    assert_eq!(geneva["by_service"][0]["cell"], "geneva");
    assert_eq!(report["survey"]["roles"]["cell"]["fields"][0]["path"], "city");
    // Nothing is said of the service as a whole, which no line is of.
    assert_eq!(report["nothing_to_compare"], json!([]));
    for (comparison, city) in [(geneva, "geneva"), (basel, "basel")] {
        for arm in ["baseline", "canary"] {
            for of in ["requests", "errors"] {
                let query = comparison["by_service"][0]["queries"][arm][of].as_str().unwrap();
                let found =
                    serin(folder.path(), &["search", "app.log", query, "--json", "--limit", "100000"]).expect(0);
                let lines: Vec<&str> = found.out.lines().collect();
                assert_eq!(Some(lines.len() as u64), comparison["by_service"][0][arm][of].as_u64(), "{query}");
                assert!(lines.iter().all(|line| line.contains(city)), "{query}");
            }
        }
    }
    // Read again from the ledger it is the same, and every form names the cell.
    let entries = ledger_values(&std::fs::read_to_string(folder.path().join("ledger.ndjson")).unwrap());
    let begun: Vec<&Value> =
        entries.iter().filter(|entry| entry["kind"] == "begin").map(|entry| &entry["services"][0]["cell"]).collect();
    assert_eq!(begun.len(), 2);
    serin(folder.path(), &["replay", "ledger.ndjson", "app.log"]).expect(0);
    for format in ["text", "markdown", "html"] {
        let said = compare(&["--role", "cell=city", "--format", format]).expect(1).out;
        assert!(said.contains("shop in cell geneva") && said.contains("shop in cell basel"), "{format}: {said}");
    }
    // Without the role it is one service.
    let whole = compare(&["--format", "json"]).json();
    assert_eq!(
        (whole["comparisons"].as_array().unwrap().len(), &whole["comparisons"][0]["service"]),
        (1, &json!("shop"))
    );
    // A pipeline may say what the cell is.
    let pipeline =
        "pipeline: cities\nset:\n- {when: 'city:gen*', cell: 'west'}\n- {when: 'NOT city:gen*', cell: 'north'}\n";
    std::fs::write(folder.path().join("cities.yaml"), pipeline).unwrap();
    let report = compare(&["--pipeline", "cities.yaml", "--format", "json"]).expect(1).json();
    assert_eq!(comparison(&report, "shop in cell west")["verdict"], "fail");
    assert_eq!(comparison(&report, "shop in cell north")["verdict"], "pass");
}

#[test]
fn lines_without_a_cell_are_judged_by_themselves_and_what_others_log_is_of_every_cell() {
    // Exposures come from a service that knows no city; of the requests a part names none.
    let labels = common::Labels::OnExposures;
    let plain = |seed, failing| Traffic { labels, shares: vec![0.4], ..traffic(seed, failing) };
    let mut lines = of_city("geneva", &plain(5, 0.2));
    lines.extend(of_city("basel", &plain(6, 0.01)));
    for line in &mut lines {
        if line.exposure {
            line.text = line.text.replace("\"city\":\"geneva\",", "").replace("\"city\":\"basel\",", "");
        }
    }
    lines.extend(plain(7, 0.01).lines());
    lines.sort_by_key(|line| line.at);
    let folder = folder_with(&[("app.log", &bytes_of(&lines))]);
    let said = serin(folder.path(), &["compare", "app.log", "--role", "cell=city", "--format", "json"]).expect(1);
    let report = said.json();
    let verdict = |service: &str| comparison(&report, service)["verdict"].as_str().unwrap().to_owned();
    assert_eq!(verdict("shop in cell geneva"), "fail");
    assert!(verdict("shop in cell basel") != "fail" && verdict("shop") != "fail", "{report}");
    // Each has the requests of its own lines, and the arms that their users were given.
    for (service, requests) in [("shop in cell geneva", 20_000), ("shop in cell basel", 20_000), ("shop", 20_000)] {
        let of = &comparison(&report, service)["by_service"][0];
        let got = |arm: &str| of[arm]["requests"].as_u64().unwrap();
        let share = (got("baseline") + got("canary")) as f64 / f64::from(requests);
        assert!(share > 0.9 && share <= 1.0, "{service}: {share}");
    }
    // How many lines name a cell is told.
    let text = serin(folder.path(), &["compare", "app.log", "--role", "cell=city"]).expect(1).out;
    assert!(text.contains("cell city ") && !text.contains("cell city 100%"), "{text}");
}

#[test]
fn a_cell_that_comes_late_is_judged_and_a_field_of_a_million_values_breaks_nothing() {
    // The first lines are of one city; the other begins later.
    let mut lines = of_city("basel", &traffic(8, 0.01));
    lines
        .extend(of_city("geneva", &traffic(9, 0.2)).into_iter().map(|line| Line { at: line.at + 20 * MINUTE, ..line }));
    // Of another service every line names another cell.
    let mut random = Random::new(3);
    let last = lines.iter().map(|line| line.at).max().unwrap();
    for number in 0..60_000i64 {
        let at = common::START + (last - common::START) * number / 60_000;
        let user = random.below(2_000);
        let fields = format!(
            "\"service\":\"wild\",\"cohort\":\"{}\",\"user\":\"w{user}\",\"city\":\"c{number}\",\"status\":200,\"latency_ms\":5",
            if user.is_multiple_of(2) { "baseline" } else { "canary" }
        );
        lines.push(Line::new(at, user, 0, &fields));
    }
    lines.sort_by_key(|line| line.at);
    let folder = folder_with(&[("app.log", &bytes_of(&lines))]);
    let said = serin(folder.path(), &["compare", "app.log", "--role", "cell=city", "--format", "json"]).expect(1);
    let report = said.json();
    assert_eq!(comparison(&report, "shop in cell geneva")["verdict"], "fail");
    assert_ne!(comparison(&report, "shop in cell basel")["verdict"], "fail");
    let past = &report["not_in_plan"][0];
    assert_eq!((&past["service"], &past["cell"]), (&json!("wild"), &json!("(other)")), "{}", report["not_in_plan"]);
    assert!(past["requests"].as_u64() > Some(50_000), "{past}");
    assert!(report["nothing_to_compare"].as_array().unwrap().len() <= 256);
    let text = serin(folder.path(), &["compare", "app.log", "--role", "cell=city"]).expect(1).out;
    assert!(text.contains("at most 256 cells"), "{text}");
}

fn get(running: &Running, path: &str) -> Option<Value> {
    let (status, body) = running.ask(path, &running.address)?;
    (status == 200).then(|| serde_json::from_str(&body).unwrap())
}

/// Events of a cell, as hooks were told.
fn events(came: &[Came], cell: &str) -> Vec<String> {
    came.iter().filter(|one| one.json()["data"]["cell"] == cell).map(Came::event).collect()
}

/// Geneva comes first and breaks: it is rolled back alone, once. Basel passes by its own lines, waits, and goes on when somebody says so.
#[test]
fn a_cell_that_breaks_is_rolled_back_alone() {
    let receiver = Receiver::start(|_, _| Answer::Status(200, String::new()));
    let folder = folder_with(&[("secret", SECRET.as_bytes()), ("token", b"a token of the test, long enough")]);
    let config = format!(
        "idle: 2s\noperate_token_file: {0}/token\nroles: {{cell: city}}\nhooks:\n- {{name: pager, url: 'http://{1}/hook', \
         secret_file: {0}/secret}}\nrollouts:\n- name: shop\n  services: [shop]\n  cells: [geneva, basel, zurich]\n  guardrails: \
         [errors]\n  minimum_minutes: 2\n  next_share_percent: 10\n",
        folder.path().display(),
        receiver.address
    );
    std::fs::write(folder.path().join("serin.yaml"), config).unwrap();
    serin(folder.path(), &["check"]).expect(0);
    let config = folder.path().join("serin.yaml").display().to_string();
    let state = folder.path().join("state");
    let mut running = Running::start(&["--config", &config], &state);
    let waiting = until("all are awaited", || get(&running, "/v1/rollouts"));
    let cells: Vec<&Value> = waiting["rollouts"].as_array().unwrap().iter().map(|one| &one["cell"]).collect();
    assert_eq!(cells, ["geneva", "basel", "zurich"]);
    assert_eq!(get(&running, "/v1/rollouts/shop@zurich").unwrap()["phase"], "waiting");

    let mut lines = two_cities();
    let last = lines.iter().map(|line| line.at).max().unwrap() + 4 * MINUTE;
    lines.push(Line::new(last, 0, 0, r#""level":"info","message":"after""#));
    post(&running, &lines.iter().map(|line| line.text() + "\n").collect::<String>());
    let of = |running: &Running, cell: &str, phase: &str| {
        let rollout = get(running, &format!("/v1/rollouts/shop@{cell}"))?;
        (rollout["phase"] == phase).then_some(rollout)
    };
    let geneva = until("geneva is rolled back", || of(&running, "geneva", "rolled back"));
    assert_eq!(
        (&geneva["cell"], &geneva["environment"], &geneva["verdict"]),
        (&json!("geneva"), &json!(""), &json!("fail"))
    );
    let basel = until("basel passes", || of(&running, "basel", "passed"));
    assert_eq!((&basel["verdict"], &basel["waits_for"]), (&json!("pass"), &json!("geneva")));
    let gate = || {
        until("the report has it", || {
            let said = get(&running, "/v1/rollouts/shop@basel/gate")?["data"].clone();
            said["reason"].as_str()?.starts_with("geneva comes first").then_some(said)
        })
    };
    let said = gate();
    assert_eq!((&said["verdict"], &said["cell"]), (&json!("inconclusive"), &json!("basel")));
    assert!(said["reason"].as_str().unwrap().starts_with("geneva comes first, and it was rolled back"), "{said}");
    let question = |body: Value| running.post("/v1/verdict", &[], body.to_string().as_bytes()).unwrap().1;
    assert!(question(json!({ "service": "shop" })).contains("several cells have it (basel, geneva): name one"));
    assert!(question(json!({ "service": "shop", "cell": "geneva" })).contains(r#""verdict":"fail""#));
    let came = until("both were told", || {
        let came = receiver.came();
        (events(&came, "geneva").contains(&"rollback".to_owned()) && events(&came, "basel") == ["pass"]).then_some(came)
    });
    assert_eq!(came.iter().filter(|one| one.event() == "rollback").count(), 1);
    let rollback = came.iter().find(|one| one.event() == "rollback").unwrap().json()["data"].clone();
    assert_eq!(
        (&rollback["rollout"], &rollback["cell"], &rollback["automatic"], &rollback["compared"][0]["cell"]),
        (&json!("shop@geneva"), &json!("geneva"), &json!(true), &json!("geneva"))
    );

    // After a crash it stands where it stood, and nothing is told again. A command is of its cell alone.
    drop(running);
    running = Running::start(&["--config", &config], &state);
    until("basel passes again", || of(&running, "basel", "passed"));
    let listed = serin(folder.path(), &["rollouts", "--address", &running.address]).expect(0).out;
    assert!(listed.contains("shop@basel") && listed.contains("geneva comes first"), "{listed}");
    let token = folder.path().join("token").display().to_string();
    let command = |words: &[&str]| {
        let more = ["--address", &running.address, "--token-file", &token, "--actor", "ann", "--reason", "seen"];
        serin(folder.path(), &[words, &more].concat())
    };
    command(&["accept", "order", "shop@basel"]).expect(0);
    let came = until("basel is told to go on", || {
        let came = receiver.came();
        events(&came, "basel").contains(&"promote".to_owned()).then_some(came)
    });
    let promote = came.iter().find(|one| one.event() == "promote").unwrap().json()["data"].clone();
    assert_eq!((&promote["cell"], &promote["next_cell"]), (&json!("basel"), &json!("zurich")));
    assert_eq!(events(&came, "geneva").iter().filter(|event| *event == "rollback").count(), 1, "once");
    assert_eq!(get(&running, "/v1/rollouts/shop@geneva").unwrap()["phase"], "rolled back");
    assert_eq!(get(&running, "/v1/rollouts/shop@basel").unwrap()["phase"], "done");
}
