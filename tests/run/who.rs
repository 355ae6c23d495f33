//! Who uses a feature, asked of a running program: the same as `serin who` says of the same lines, within a rollout's time and arms, and
//! never longer than it may take.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use crate::common::running::{Running, until};
use crate::common::{Line, Traffic, folder_with, serin, talk, with_log_lines, with_segments};
use serde_json::{Value, json};

/// Requests of two arms whose users name a region, with log lines of the same users behind them.
fn lines() -> Vec<Line> {
    let errors = vec![0.02, 0.2];
    let traffic = Traffic { seed: 23, requests: 4_000, users: 900, errors, ..Traffic::default() };
    with_segments(&with_log_lines(&traffic.lines(), talk), |user| format!("\"region\":\"r{}\"", user % 3))
}

fn text_of(lines: &[Line]) -> String {
    lines.iter().map(|line| line.text() + "\n").collect()
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02x}")).collect()
}

/// What a running program answers.
fn asked(running: &Running, parameters: &[(&str, &str)]) -> (u16, Value) {
    let list: Vec<String> = parameters.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
    let (status, body) = running.ask(&format!("/v1/who?{}", list.join("&")), &running.address).unwrap();
    (status, serde_json::from_str(&body).unwrap())
}

/// A running program that has indexed all of this.
fn running(lines: &[Line], folder: &std::path::Path) -> Running {
    let running = Running::start(&["--idle", "2s"], &folder.join("state"));
    let (status, body) = running.post("/ingest", &[], text_of(lines).as_bytes()).unwrap();
    assert_eq!(status, 200, "{body}");
    until("all lines are indexed", || {
        let (status, body) = running.ask("/v1/search?count=1000000000&limit=1", &running.address)?;
        let found: Value = serde_json::from_str(&body).ok()?;
        (status == 200 && found["total"]["lines"] == lines.len()).then_some(())
    });
    running
}

/// The document without what only one of the two says.
fn common_to_both(document: &Value) -> Value {
    fn without(value: &Value) -> Value {
        match value {
            Value::Array(list) => list.iter().map(without).collect(),
            Value::Object(object) => {
                let told = ["lines", "queries", "partial", "took_ms", "is_sampled", "rollout"];
                object
                    .iter()
                    .filter(|(name, value)| !told.contains(&name.as_str()) || value.get("read").is_some())
                    .map(|(name, value)| (name.clone(), without(value)))
                    .collect()
            }
            one => one.clone(),
        }
    }
    without(document)
}

#[test]
fn a_running_program_says_what_the_command_says_of_files() {
    let lines = lines();
    let folder = folder_with(&[("app.log", text_of(&lines).as_bytes())]);
    let running = running(&lines, folder.path());
    let steps = ["asked=_kind:request", "lost=\"is lost\""];
    for (used, exposed, segment) in [("status:503", None, "region"), ("\"is lost\"", Some("_kind:request"), "region")] {
        let mut arguments =
            vec!["who", "app.log", "--used", used, "--segment", segment, "--format", "json", "--within", "5m"];
        let mut parameters = vec![("used", used), ("segment", segment), ("within", "5m")];
        for step in steps {
            arguments.extend(["--step", step]);
            parameters.push(("step", step));
        }
        if let Some(exposed) = exposed {
            arguments.extend(["--exposed", exposed]);
            parameters.push(("exposed", exposed));
        }
        let files: Value = serde_json::from_str(&serin(folder.path(), &arguments).expect(0).out).unwrap();
        let (status, said) = asked(&running, &parameters);
        assert_eq!(status, 200, "{said}");
        assert_eq!(common_to_both(&said), common_to_both(&files));
        assert!(said["adopted"]["used"].as_u64() > Some(20) && said["partial"] == Value::Null, "{said}");
        assert_eq!(said["segments"].as_array().unwrap().len(), 3, "{:#}", said["segments"]);
    }
}

#[test]
fn each_number_has_a_query_that_finds_its_lines() {
    let lines = lines();
    let folder = folder_with(&[]);
    let running = running(&lines, folder.path());
    let (_, said) = asked(
        &running,
        &[
            ("used", "status:503"),
            ("segment", "region"),
            ("step", "a=_kind:request"),
            ("step", "b=status:503"),
            ("until", "2999-01-01"),
        ],
    );
    let distinct = |query: &Value| {
        let path = format!("/v1/aggregate?distinct=_unit&q={}", encoded(query.as_str().unwrap()));
        let (status, body) = running.ask(&path, &running.address).unwrap();
        assert_eq!(status, 200, "{query}: {body}");
        serde_json::from_str::<Value>(&body).unwrap()["groups"][0]["distinct"].clone()
    };
    // Every line shows an exposure, so all who used it had been exposed.
    assert_eq!(distinct(&said["queries"]["used"]), said["adopted"]["used"]);
    assert_eq!(distinct(&said["queries"]["exposed"]), said["adopted"]["exposed"]);
    assert_eq!(distinct(&said["steps"][0]["lines"]), said["steps"][0]["units"]);
    for arm in said["arms"].as_array().unwrap() {
        assert_eq!(distinct(&arm["lines"]["used"]), arm["adopted"]["used"], "{arm}");
    }
    let day = &said["retention"][0]["again"][0];
    assert_eq!(distinct(&day["lines"]), day["units"]);
    for segment in
        said["segments"].as_array().unwrap().iter().filter(|of| of["value"] != "(others)" && of["value"] != "(none)")
    {
        // One line in thirteen is of another user, who then has two regions.
        let [found, told] = [distinct(&segment["lines"]["exposed"]), segment["adopted"]["exposed"].clone()];
        assert!(found.as_u64() >= told.as_u64() && told.as_u64() > Some(30), "{segment}: {found}");
    }
}

#[test]
fn a_rollout_is_its_time_and_its_arms_and_nothing_is_asked_without_bounds() {
    let lines = lines();
    let folder = folder_with(&[]);
    let running = running(&lines, folder.path());
    let rollout = until("there is a rollout", || {
        let (_, body) = running.ask("/v1/rollouts", &running.address)?;
        let list: Value = serde_json::from_str(&body).ok()?;
        list["rollouts"].as_array()?.first()?["id"].as_str().map(str::to_owned)
    });
    let (status, said) = asked(&running, &[("used", "status:503"), ("rollout", &rollout)]);
    assert_eq!((status, &said["rollout"]), (200, &json!(rollout)), "{said}");
    let arms: Vec<&str> = said["arms"].as_array().unwrap().iter().map(|arm| arm["arm"].as_str().unwrap()).collect();
    assert_eq!(arms, ["baseline", "canary"]);
    assert!(said["asked"]["exposed"].as_str().unwrap().contains("names its arm"), "{said}");
    // The part that used it rises with age, and ends where the arm's part does: everybody was watched from his exposure on.
    for arm in said["arms"].as_array().unwrap() {
        let curve: Vec<f64> =
            arm["curve"].as_array().unwrap().iter().map(|point| point["used"]["value"].as_f64().unwrap()).collect();
        assert!(curve.len() > 10 && curve.windows(2).all(|pair| pair[0] <= pair[1]), "{curve:?}");
    }
    let rates: Vec<f64> =
        said["arms"].as_array().unwrap().iter().map(|arm| arm["adopted"]["rate"]["value"].as_f64().unwrap()).collect();
    assert!(rates[1] > 2.0 * rates[0], "{rates:?}");

    for (parameters, status, words) in [
        (&[("used", "*"), ("rollout", "nobody")][..], 404, "no such rollout"),
        (&[("used", "staus:1")], 400, "staus"),
        (&[("exposed", "*")], 400, "used"),
        (&[("used", "*"), ("segment", "regoin")], 400, "did you mean `region`"),
        (&[("used", "*"), ("within", "soon")], 400, "within"),
        (&[("used", "*"), ("timeout", "61")], 400, "timeout"),
    ] {
        let (said_status, body) = asked(&running, parameters);
        assert_eq!(said_status, status, "{body}");
        assert!(body["error"].as_str().unwrap().contains(words), "{body}");
    }
    // Who has no time for it is told that it is not whole.
    let (_, hurried) = asked(&running, &[("used", "status:503"), ("timeout", "0.000001")]);
    assert_eq!(hurried["partial"], "time", "{hurried}");
}
