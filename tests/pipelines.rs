//! Pipelines: those that are part of the program hold what they carry, and one of your own decides, replays and redacts as it says.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use std::path::{Path, PathBuf};

#[cfg(unix)]
use common::running::{Running, until};
use common::{Line, Random, Traffic, folder_with, serin};
use serde_json::{Map, Value};

fn fields(line: &Line) -> Map<String, Value> {
    serde_json::from_str(&line.text()).unwrap()
}

fn text_of(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn report(folder: &Path, arguments: &[&str]) -> Value {
    let said = serin(folder, arguments);
    serde_json::from_str(&said.out).unwrap_or_else(|_| panic!("{}{}", said.out, said.err))
}

/// What decides: counts, effects and evidence of each guardrail.
fn decided(report: &Value) -> Vec<Value> {
    let comparison = &report["comparisons"][0];
    let of = ["units", "requests", "log_sum", "guardrails", "control", "candidate", "service", "unit", "failed_at"];
    let list: Vec<Value> = of.iter().map(|key| comparison[key].clone()).collect();
    assert!(list.iter().all(|value| !value.is_null()), "{comparison}");
    list
}

#[test]
fn those_that_are_part_of_the_program_hold_what_they_carry() {
    let folder = folder_with(&[]);
    let said = serin(folder.path(), &["test"]);
    assert_eq!(said.status, 0, "{}{}", said.out, said.err);
    // The same from the files of the repository.
    let pipelines = Path::new(env!("CARGO_MANIFEST_DIR")).join("pipelines");
    let again = serin(folder.path(), &["test", pipelines.to_str().unwrap()]);
    assert_eq!(again.out.lines().last(), said.out.lines().last(), "{}", again.out);
    let count = std::fs::read_dir(&pipelines).unwrap();
    let is_yaml = |path: &PathBuf| path.extension().is_some_and(|end| end == "yaml");
    let files = count.map(|entry| entry.unwrap().path()).filter(is_yaml).count();
    assert_eq!(said.out.lines().count(), files + 1, "a file of pipelines/ is no part of the program");
    for name in ["nginx", "kubernetes"] {
        assert_eq!(serin(folder.path(), &["test", name]).status, 0);
    }
    let said = serin(folder.path(), &["test", "ngnix"]);
    assert!(said.status == 2 && said.err.contains("did you mean nginx?"), "{}", said.err);
}

const OF_MY_OWN: &str = r"pipeline: mine
patterns:
  - '^(?<time>\S+)\|(?<user>[^|]*)\|(?<variant>\w+)\|(?<status>\d+)\|(?<took>[\d.]+)\|(?<path>\S+)$'
set:
  - service: shop
  - {when: 'variant:canary', cohort: canary}
  - {when: 'variant:baseline', cohort: baseline}
roles:
  latency: took:ms
";

#[test]
fn a_form_of_ones_own_decides_as_json_does_and_replays_to_the_byte() {
    let traffic = Traffic { seed: 17, requests: 3_000, users: 900, errors: vec![0.02, 0.3], ..Traffic::default() };
    let lines = traffic.lines();
    let plain: String = lines.iter().map(|line| line.text() + "\n").collect();
    let mine: String = lines
        .iter()
        .map(|line| {
            let of = fields(line);
            let [ts, user, cohort, status, took, path] =
                ["ts", "user", "cohort", "status", "latency_ms", "route"].map(|key| text_of(&of[key]));
            format!("[pod/shop-6d9f7c5b8-x2x4z/app] {ts}|{user}|{cohort}|{status}|{took}|{path}\n")
        })
        .collect();
    let folder = folder_with(&[
        ("plain.log", plain.as_bytes()),
        ("mine.log", mine.as_bytes()),
        ("mine.yaml", OF_MY_OWN.as_bytes()),
    ]);
    let how = ["--format", "json", "--segment", "none"];
    let wanted = report(folder.path(), &[&["compare", "plain.log"], &how[..]].concat());
    assert_eq!(wanted["verdict"], "fail");
    let with = ["compare", "mine.log", "--pipeline", "mine.yaml", "--ledger", "l.ndjson"];
    let found = report(folder.path(), &[&with, &how[..]].concat());
    assert_eq!(decided(&found), decided(&wanted));
    // Without the pipeline not a line is read.
    assert_eq!(serin(folder.path(), &["compare", "mine.log"]).status, 2);
    // The ledger knows how lines were read: no pipeline is named.
    let again = serin(folder.path(), &["replay", "l.ndjson", "mine.log"]);
    assert!(again.status == 0 && again.out.contains("Every byte agrees"), "{}{}", again.out, again.err);
}

/// A share of requests to one path becomes rarer in the canary; nothing else says so.
#[test]
fn a_business_event_may_be_a_request_of_an_access_log() {
    let mut random = Random::new(5);
    let traffic = Traffic {
        seed: 23,
        users: 9_000,
        requests: 24_000,
        minutes: 40,
        errors: vec![0.005; 2],
        slower: vec![1.0; 2],
        ..Traffic::default()
    };
    let mut text = String::new();
    for line in traffic.lines() {
        let of = fields(&line);
        let pays = random.chance([0.12, 0.06][line.arm]);
        let (path, host) = (if pays { "/pay" } else { "/cart" }, ["old", "new"][line.arm]);
        let time = text_of(&of["ts"]);
        let clock = time.get(11..19).unwrap();
        text.push_str(&format!(
            "{host} 10.0.0.7 - {} [01/Jun/2026:{clock} +0000] \"POST {path} HTTP/1.1\" {} 5 \"-\" \"x\"\n",
            text_of(&of["user"]),
            of["status"]
        ));
    }
    let pipeline = "pipeline: pay\narms: host\nevents: [{name: paid, where: 'path:\"/pay\" AND status:<400'}]\n";
    let folder = folder_with(&[
        ("access.log", text.as_bytes()),
        ("pay.yaml", pipeline.as_bytes()),
        ("harm.yaml", pipeline.replace("where:", "harm: rises, where:").as_bytes()),
    ]);
    let how = ["--format", "json", "--segment", "none", "--control", "old"];
    let report = report(folder.path(), &[&["compare", "access.log", "--pipeline", "pay.yaml"], &how[..]].concat());
    let paid = &report["comparisons"][0]["conversions"][0];
    assert_eq!((&paid["event"], &report["verdict"]), (&Value::from("paid"), &Value::from("fail")), "{paid}");
    // The other way round nothing is rarer.
    let how = ["--format", "json", "--segment", "none", "--control", "new"];
    let report =
        self::report(folder.path(), &[&["compare", "access.log", "--pipeline", "pay.yaml"], &how[..]].concat());
    assert_ne!(report["verdict"], "fail");
    // Unless that is the harm.
    let risen = serin(folder.path(), &["compare", "access.log", "--pipeline", "harm.yaml", "--control", "new"]);
    assert_eq!(risen.status, 1, "{}{}", risen.out, risen.err);
    assert!(risen.out.contains("More users meet paid: ") && risen.out.contains(" rose"), "{}", risen.out);
}

/// As many users reload as before; in the canary they do it again and again.
#[test]
fn how_often_users_do_something_may_be_a_guardrail() {
    let mut random = Random::new(8);
    let mut text = String::new();
    for second in 0..3_000_u64 {
        for _ in 0..6 {
            let user = random.below(3_000);
            let (arm, again) = if user.is_multiple_of(3) { ("canary", 4) } else { ("baseline", 1) };
            let reloads = if random.chance(0.05) { again } else { 0 };
            for part in 0..=reloads {
                let path = if part == 0 { "/cart" } else { "/reload" };
                text.push_str(&format!(
                    "{{\"ts\":\"2026-06-01T10:{:02}:{:02}.{part}Z\",\"user\":\"u{user}\",\"cohort\":\"{arm}\",\"path\":\"{path}\",\"status\":200}}\n",
                    second / 60,
                    second % 60
                ));
            }
        }
    }
    let pipeline = "pipeline: often\nevents: [{name: reload, where: 'path:\"/reload\"', harm: rises, at_least: 4}]\n";
    let folder = folder_with(&[
        ("app.log", text.as_bytes()),
        ("often.yaml", pipeline.as_bytes()),
        ("ever.yaml", pipeline.replace(", at_least: 4", "").as_bytes()),
    ]);
    let compared =
        |pipeline: &str| serin(folder.path(), &["compare", "app.log", "--pipeline", pipeline, "--segment", "none"]);
    let often = compared("often.yaml");
    assert_eq!(often.status, 1, "{}{}", often.out, often.err);
    assert!(often.out.contains("More users meet reload (4 times and more): "), "{}", often.out);
    let ever = compared("ever.yaml");
    assert_ne!(ever.status, 1, "{}", ever.out);
    // What is remembered of users is part of the state: a replay decides the same.
    let how = ["compare", "app.log", "--pipeline", "often.yaml", "--ledger", "l.ndjson"];
    assert_eq!(serin(folder.path(), &how).status, 1);
    let again = serin(folder.path(), &["replay", "l.ndjson", "app.log"]);
    assert!(again.status == 0 && again.out.contains("Every byte agrees"), "{}{}", again.out, again.err);
}

#[test]
fn tests_are_told_where_they_fail_and_can_be_written_anew() {
    let text = "pipeline: mine\ntests:\n  - about: a request\n    lines: |\n      {\"ts\":\"2026-06-01T10:00:00Z\",\"status\":503}\n    gives:\n      - {kind: request, status: 2xx, it's: ''}\n  - lines: ['{\"ts\":\"2026-06-01T10:00:00Z\"}']\n    gives: [{kind: log}]\n";
    let folder = folder_with(&[("mine.yaml", text.as_bytes())]);
    let said = serin(folder.path(), &["test", "mine.yaml"]);
    assert_eq!(said.status, 1, "{}", said.err);
    assert!(
        said.out
            .contains("mine.yaml:6: a request: not as written\n  line 1: status: `2xx` is written, and it is `5xx`"),
        "{}",
        said.out
    );
    assert!(said.out.contains("1 of 2 tests failed"), "{}", said.out);
    assert_eq!(serin(folder.path(), &["test", "mine.yaml", "--update"]).status, 0);
    assert_eq!(serin(folder.path(), &["test", "mine.yaml"]).status, 0);
    let written = std::fs::read_to_string(folder.path().join("mine.yaml")).unwrap();
    assert_eq!(written.replace("5xx", "2xx").replace("'it''s'", "it's"), text);
    // What could not be read again is not written.
    let inline = "pipeline: a\ntests:\n  - lines: ['{\"ts\":\"2026-06-01T10:00:00Z\"}']\n    gives: [{line: x}]\n";
    let kept = folder_with(&[("a.yaml", inline.as_bytes())]);
    let said = serin(kept.path(), &["test", "a.yaml", "--update"]);
    assert!(said.status == 2 && said.err.contains("Nothing was changed"), "{}{}", said.out, said.err);
    assert_eq!(std::fs::read_to_string(kept.path().join("a.yaml")).unwrap(), inline);
    let wrong = folder_with(&[("wrong.yaml", b"pipeline: a\nunit: users\nset: [{}]\n")]);
    for command in [&["test", "wrong.yaml"][..], &["check", "wrong.yaml"]] {
        let said = serin(wrong.path(), command);
        assert_eq!(
            (said.status, said.out.lines().filter(|line| line.starts_with("wrong.yaml:")).count()),
            (2, 2),
            "{}",
            said.out
        );
    }
    let said = serin(wrong.path(), &["explain", "wrong.yaml", "--pipeline", "wrong.yaml"]);
    assert!(said.status == 2 && said.err.contains("wrong.yaml:2:7: unit: `users` is unknown"), "{}", said.err);
}

const SECRETS: [&str; 4] =
    ["ann7@example.com", "hunter2", "4111111111111111", "ghp_0123456789012345678901234567890123ab"];

/// Files of a folder, but for the write-ahead log, whose bytes have a text.
#[cfg(unix)]
fn holding(folder: &Path, text: &str) -> Vec<PathBuf> {
    let mut list = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "wal") {
                list.extend(holding(&path, text));
            }
        } else if let Ok(bytes) = std::fs::read(&path)
            && bytes.windows(text.len()).any(|window| window == text.as_bytes())
        {
            list.push(path);
        }
    }
    list
}

fn with_secrets() -> String {
    let traffic = Traffic { seed: 29, requests: 2_000, users: 400, errors: vec![0.02, 0.3], ..Traffic::default() };
    let mut text = String::new();
    for (number, line) in traffic.lines().iter().enumerate() {
        let mut of = fields(line);
        let user = text_of(&of["user"]).replace('u', "ann") + "@example.com";
        of.insert("user".to_owned(), Value::from(user));
        of.insert(
            "message".to_owned(),
            Value::from("paid with 4111111111111111 by ghp_0123456789012345678901234567890123ab"),
        );
        of.insert("form".to_owned(), serde_json::json!({ "password": "hunter2", "step": number % 3 }));
        text.push_str(&(Value::Object(of.clone()).to_string() + "\n"));
        if number % 10 == 0 {
            let (time, user) = (&of["ts"], &of["user"]);
            text.push_str(&format!(
                "{{\"ts\":{time},\"user\":{user},\"level\":\"info\",\"msg\":\"receipt of 4111111111111111 sent\"}}\n"
            ));
        }
        if number % 100 == 0 {
            text.push_str("{\"user\":\"ann7@example.com\",\"password\":\"hunter2\n");
            text.push_str("ann7@example.com said password=hunter2\n");
        }
    }
    text
}

const REDACT: &str = "pipeline: clean\nredact:\n  looks: [email, card, token]\n";

#[test]
fn redaction_changes_no_verdict_and_needs_its_key_to_replay() {
    let text = with_secrets();
    let key = b"a key of the test that is long enough";
    let folder = folder_with(&[
        ("app.log", text.as_bytes()),
        ("clean.yaml", REDACT.as_bytes()),
        ("key", key),
        ("short", b"abc"),
    ]);
    let how = ["--format", "json", "--segment", "none"];
    let plain = report(folder.path(), &[&["compare", "app.log"], &how[..]].concat());
    let with =
        ["compare", "app.log", "--pipeline", "clean.yaml", "--redaction-key", "key", "--ledger", "l", "--rejects", "r"];
    let clean = report(folder.path(), &[&with, &how[..]].concat());
    // As many users, requests, errors; what is drawn by hash (buckets) differs.
    for key in ["units", "requests"] {
        assert_eq!(clean["comparisons"][0][key], plain["comparisons"][0][key], "{key}");
    }
    assert_eq!(clean["verdict"], "fail");
    for file in ["l", "r"] {
        let kept = std::fs::read_to_string(folder.path().join(file)).unwrap();
        for secret in SECRETS {
            assert!(!kept.contains(secret), "{secret} in {file}");
        }
    }
    assert!(std::fs::read_to_string(folder.path().join("r")).unwrap().contains("<email:"));
    let said = serin(folder.path(), &["replay", "l", "app.log"]);
    assert!(said.status == 2 && said.err.contains("give that one: --redaction-key FILE"), "{}", said.err);
    let said = serin(folder.path(), &["replay", "l", "app.log", "--redaction-key", "key"]);
    assert!(said.out.contains("Every byte agrees"), "{}{}", said.out, said.err);
    let said = serin(folder.path(), &["compare", "app.log", "--redaction-key", "short"]);
    assert!(said.status == 2 && said.err.contains("too short"), "{}", said.err);
    // Templates and searches see what is kept.
    let said = serin(folder.path(), &["templates", "app.log", "--pipeline", "clean.yaml"]);
    assert!(said.status == 0 && said.out.contains("<card>"), "{}{}", said.out, said.err);
    let said = serin(folder.path(), &["search", "app.log", "hunter2", "--pipeline", "clean.yaml"]);
    assert!(!said.out.contains("hunter2"), "{}", said.out);
}

#[cfg(unix)]
#[test]
fn a_running_program_keeps_no_secret_outside_its_write_ahead_log() {
    let folder = folder_with(&[("clean.yaml", REDACT.as_bytes())]);
    let config = format!("idle: 1s\ncheckpoint: 0s\npipelines: [{}/clean.yaml]\n", folder.path().display());
    std::fs::write(folder.path().join("serin.yaml"), &config).unwrap();
    let path = folder.path().join("serin.yaml").display().to_string();
    let state = folder.path().join("state");
    let running = Running::start(&["--config", &path], &state);
    let text = with_secrets();
    let (status, body) = running.post("/ingest?debug=1", &[], text.lines().next().unwrap().as_bytes()).unwrap();
    assert!(status == 200 && body.contains("\"has_unit\":true"), "{body}");
    let (status, body) = running.post("/ingest", &[], text.as_bytes()).unwrap();
    assert_eq!(status, 200, "{body}");
    let search = |query: &str| -> Option<Value> {
        let query: String = query.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let (_, body) = running.ask(&format!("/v1/search?count=100000&limit=50&q={query}"), &running.address)?;
        serde_json::from_str(&body).ok()
    };
    let all = text.lines().count() as u64;
    until("every line", || search("*").filter(|found| found["total"]["lines"] == all));
    for secret in SECRETS {
        let found = search(&format!("\"{secret}\"")).unwrap();
        assert_eq!(found["total"]["lines"], 0, "{secret}: {found}");
        assert!(!search("*").unwrap().to_string().contains(secret), "{secret}");
    }
    let paid = search("\"paid with\"").unwrap();
    assert!(paid.to_string().contains("<card>"), "{paid}");
    until("kept rejects", || {
        std::fs::read_to_string(state.join("rejects.ndjson")).ok().filter(|text| text.contains("<email:"))
    });
    running.stop();
    for secret in SECRETS {
        assert_eq!(holding(&state, secret), Vec::<PathBuf>::new(), "{secret}");
    }
    // Another pipeline decides otherwise.
    std::fs::write(folder.path().join("clean.yaml"), REDACT.replace("card, ", "")).unwrap();
    let mut command = common::command();
    command.args(["run", "--config", &path, "--listen", "127.0.0.1:0", "--state"]).arg(&state);
    let said = common::said(command.output().unwrap());
    assert!(said.status == 2 && said.err.contains("made from other"), "{}", said.err);
}

/// Words that vary are told by a rule, which gives the template its name too.
#[test]
fn a_rule_makes_one_template_of_many() {
    let (colours, names) = (["red", "blue", "green", "odd"], ["ann", "bob", "cid", "dora", "eve"]);
    let lines: String = (0..40)
        .map(|number| {
            let (colour, name) = (colours[number % colours.len()], names[number % names.len()]);
            format!(
                "{{\"time\":\"2026-06-01T10:{number:02}:00Z\",\"service\":\"shop\",\"message\":\"no {colour} shoes left for {name}\"}}\n"
            )
        })
        .collect();
    let rule = "pipeline: words\nset: [{when: 'service:shop AND message:\"shoes left\"', template: 'no shoes left'}]\n";
    let folder = folder_with(&[("app.log", lines.as_bytes()), ("words.yaml", rule.as_bytes())]);
    let templates = |with: &[&str]| -> Vec<(String, u64)> {
        let said = serin(folder.path(), &[&["templates", "app.log", "--json"], with].concat());
        let found: Value = serde_json::from_str(&said.out).unwrap();
        let list = found["templates"].as_array().unwrap().iter();
        list.map(|of| (text_of(&of["template"]), of["lines"].as_u64().unwrap())).collect()
    };
    assert_eq!(templates(&[]).len(), colours.len() * names.len());
    assert_eq!(templates(&["--pipeline", "words.yaml"]), [("no shoes left".to_owned(), 40)]);
}
