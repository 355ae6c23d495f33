//! What is found in the first lines of logs.

use super::*;
use crate::pipeline::roles::LatencyUnit;

/// What is found in lines of one stream.
fn found(lines: &[String]) -> Survey {
    let head = Head { stream: "log", lines: lines.iter().map(String::as_str).collect() };
    survey(&[head], &Wishes::default())
}

/// Lines a second apart; each gives the fields behind its time.
fn lines(count: usize, fields: impl Fn(usize) -> String) -> Vec<String> {
    let time = |at: usize| format!("2026-06-01T10:{:02}:{:02}Z", at / 60 % 60, at % 60);
    (0..count).map(|at| format!(r#"{{"ts":"{}",{}}}"#, time(at), fields(at))).collect()
}

fn fields_of(survey: &Survey, role: Role) -> Vec<&str> {
    survey.plan.fields(role).iter().map(|field| field.path.as_str()).collect()
}

#[test]
fn attempts_are_joined_where_one_call_of_one_user_repeats_an_id() {
    let joined = |fields: &dyn Fn(usize) -> String| found(&lines(40, fields)).plan.join_attempts;
    // What is repeated has failed.
    let request = |at: usize| format!(r#""path":"/a","status":{}"#, [503, 200][at % 2]);
    // A counter of each process: four users come to the same number.
    assert!(!joined(&|at| format!(r#""user":"u{at}","reqId":"req-{}",{}"#, at / 4, request(at))));
    assert!(joined(&|at| format!(r#""user":"u{}","reqId":"req-{}",{}"#, at / 2, at / 2, request(at))));
    // One id for all that a page asks of one path.
    let of_page = r#""path":"/graphql","status":200"#;
    assert!(!joined(&|at| format!(r#""user":"u{}","reqId":"req-{}",{of_page}"#, at / 4, at / 4)));
    // Two calls that pass an id on.
    let passed_on = |at: usize| format!("4fd1-8bde-41aa-{}", at / 2);
    assert!(!joined(&|at| format!(r#""x_request_id":"{}","path":"/{}","status":200"#, passed_on(at), at % 2)));
    assert!(joined(&|at| format!(r#""x_request_id":"{}",{}"#, passed_on(at), request(at))));
}

#[test]
fn each_service_has_a_request_source_of_its_own() {
    let survey = found(&lines(40, |at| match at % 4 {
        0 => r#""service":"front","root":true,"kind":"span","status":200"#.to_owned(),
        1 => r#""service":"front","kind":"span","status":200"#.to_owned(),
        2 => r#""service":"front","status":200"#.to_owned(),
        _ => r#""service":"billing","status":200"#.to_owned(),
    }));
    let seen = |service: &str| {
        let key = ServiceKey { environment: String::new(), cell: String::new(), service: service.to_owned() };
        let report = &survey.services[&key];
        (survey.plan.sources[&key], report.requests, report.spans)
    };
    assert_eq!(seen("front"), (RequestSource::RootSpan, 10, 20));
    assert_eq!(seen("billing"), (RequestSource::Application, 10, 0));
    assert!(survey.notes.iter().all(|note| !note.contains("several sources")), "{:?}", survey.notes);
}

#[test]
fn units_of_latencies_without_a_telling_name() {
    let doubt = |text: &str| format!("latency: half of {text}, or another field");
    for (field, value, unit, doubtful) in [
        ("duration", "54000000", LatencyUnit::Nanos, None),
        ("duration", "1000000", LatencyUnit::Nanos, None),
        ("duration", "54.5", LatencyUnit::Millis, None),
        ("duration", "54", LatencyUnit::Millis, None),
        ("duration", "0.054", LatencyUnit::Seconds, None),
        ("duration", "960000", LatencyUnit::Micros, None),
        (
            "duration_s",
            "54000",
            LatencyUnit::Seconds,
            Some(
                "`duration_s` would be above 900 minutes when read as s; that is doubtful. Name its unit with --role latency=duration_s:ms (or :us, :ns)",
            ),
        ),
    ] {
        let survey = found(&lines(30, |_| format!(r#""{field}":{value},"path":"/a","status":200"#)));
        assert_eq!(survey.plan.fields(Role::Latency)[0].unit, Some(unit), "{field} {value}");
        assert_eq!(survey.guessed_latencies().count(), usize::from(field == "duration"), "{field} {value}");
        let why = if value == "960000" { ", since as ms 993 requests would be in flight at once" } else { "" };
        let guess = format!(
            "latency: `{field}` does not name its unit; read as {} (median {value}){why}. If that is wrong: --role latency={field}:{}",
            unit.name(),
            match unit {
                LatencyUnit::Seconds => "ms (or :us, :ns)",
                LatencyUnit::Millis => "s (or :us, :ns)",
                LatencyUnit::Micros => "s (or :ms, :ns)",
                LatencyUnit::Nanos => "s (or :ms, :us)",
            }
        );
        let said: Vec<&String> = survey.notes.iter().filter(|note| note.starts_with("latency")).collect();
        let mut expect = Vec::new();
        expect.extend((field == "duration").then_some(guess));
        expect.extend(doubtful.map(doubt));
        assert_eq!(said, expect.iter().collect::<Vec<_>>(), "{field} {value}");
    }
}

#[test]
fn times_as_nginx_calls_them() {
    let time = |fields: &str| {
        let line = format!("{{{fields},\"status\":200}}");
        let survey = found(&[format!("\u{feff}{line}"), line.clone(), line]);
        let seen = (survey.requests, survey.rejects.values().sum::<u64>());
        (seen, fields_of(&survey, Role::Time).join(" "))
    };
    let local = r#""time_local":"01/Jun/2026:12:00:00 +0000""#;
    assert_eq!(time(local), ((3, 0), "time_local".to_owned()));
    assert_eq!(time(r#""time_iso8601":"2026-06-01T12:00:00+00:00""#), ((3, 0), "time_iso8601".to_owned()));
    assert_eq!(time(&format!(r#""msec":"1780315200.007",{local}"#)), ((3, 0), "msec time_local".to_owned()));
    assert_eq!(time(&format!(r#""msec":12,{local}"#)), ((3, 0), "time_local".to_owned()));
}

#[test]
fn half_of_the_requests_must_name_a_unit() {
    let check = |fields: &dyn Fn(usize) -> String, expect: UnitKind, about_units: &[&str]| {
        let survey = found(&lines(100, |at| format!(r#"{},"version":"1","status":200"#, fields(at))));
        let said: Vec<&str> = survey.notes.iter().map(String::as_str).filter(|note| note.starts_with("unit")).collect();
        assert_eq!((survey.plan.unit, said.as_slice()), (expect, about_units));
    };
    let user = |at: usize, percent: usize| if at < percent { format!("u{at}") } else { "anonymous".to_owned() };
    check(&|at| format!(r#""user":"{}""#, user(at, 100)), UnitKind::User, &[]);
    check(
        &|at| format!(r#""user":"{}""#, user(at, 60)),
        UnitKind::User,
        &["unit: 60 % of requests name a user; the others belong to none"],
    );
    check(
        &|at| format!(r#""user":"{}","trace_id":"{at}a""#, user(at, 60)),
        UnitKind::User,
        &["unit: 60 % of requests name a user; the others belong to none"],
    );
    check(
        &|at| format!(r#""user":"{}","session_id":"s{at}""#, user(at, 60)),
        UnitKind::Session,
        &[
            "unit: only 60 % of requests name a user, so the session is taken; name it on every request, or use --role user=FIELD",
        ],
    );
    check(
        &|at| format!(r#""user":"{}""#, user(at, 40)),
        UnitKind::Request,
        &[
            "unit: only 40 % of requests name a user, so each request is its own unit. If users stick to an arm, every test is then too bold; name the field that assignment goes by with --role user=FIELD",
        ],
    );
    check(
        &|at| format!(r#""user":"{}""#, user(at, 0)),
        UnitKind::Request,
        &[
            "unit: no user, session or client address is logged, so each request is its own unit. If users stick to an arm, every test is then too bold; name the field that assignment goes by with --role user=FIELD",
        ],
    );
}

#[test]
fn which_field_gives_the_arms() {
    let check = |fields: &dyn Fn(usize) -> String, expect: &str, note: &str| {
        let survey = found(&lines(40, fields));
        assert_eq!(survey.plan.arms, ArmRule::Field(expect.to_owned()), "{note}");
        assert!(survey.notes.iter().any(|said| said == note), "{note}: {:?}", survey.notes);
    };
    let two = |at: usize| if at.is_multiple_of(2) { "1.0" } else { "2.0" };
    check(
        &|at| {
            let variant = ["A", "B", "C", "D"][at % 4];
            format!(r#""service":"s","variant":"{variant}","version":"{}","status":200"#, two(at))
        },
        "version",
        "arms: the values of `version` (1.0, 2.0); `variant` has 4 values too (A, B, C, ...); --arm-by FIELD takes another",
    );
    check(
        &|at| {
            let variant = ["Control", "blue"][at / 2 % 2];
            format!(r#""service":"s","variant":"{variant}","version":"{}","status":200"#, two(at))
        },
        "variant",
        "arms: the values of `variant` (Control, blue); `version` has 2 values too (1.0, 2.0); --arm-by FIELD takes another",
    );
    check(
        &|at| format!(r#""service":"s","track":"{}","version":"{}","status":200"#, ["x", "y"][at / 2 % 2], two(at)),
        "track",
        "arms: the values of `track` (x, y); `version` has 2 values too (1.0, 2.0); --arm-by FIELD takes another",
    );
    // Each service has a version of its own, and the canary has not begun.
    check(
        &|at| format!(r#""service":"s{}","track":"stable","version":"{}","status":200"#, two(at), two(at)),
        "track",
        "arms: the values of `track` (stable)",
    );
    check(
        &|at| format!(r#""service":"s","variant":"{}","version":"1.0","status":200"#, two(at)),
        "variant",
        "arms: the values of `variant` (1.0, 2.0)",
    );
}

#[test]
fn codes_are_statuses_where_they_look_like_them() {
    for (field, values, expect) in [
        ("code", [200, 500], true),
        ("code", [0, 50_001], false),
        ("code", [0, 500], false),
        ("status", [0, 0], false),
        ("status", [200, 0], true),
        ("grpc.code", [0, 13], true),
        ("response_code", [0, 0], true),
    ] {
        // One in ten fails.
        let lines =
            lines(50, |at| format!(r#""{field}":{},"path":"/a","latency_ms":5"#, values[usize::from(at % 10 == 9)]));
        let survey = found(&lines);
        assert_eq!(!fields_of(&survey, Role::Status).is_empty(), expect, "{field} {values:?}");
        assert_eq!(survey.requests, 50, "{field} {values:?}");
    }
}

#[test]
fn rates_that_are_none_are_said() {
    let said = |state: &str| {
        let survey = found(&lines(20, |_| format!(r#""tracestate":"{state}","path":"/a","status":200"#)));
        survey.notes.into_iter().find(|note| note.starts_with("sampling"))
    };
    assert_eq!(said("ot=th:c"), None);
    assert_eq!(said("congo=th:C"), None);
    let expect = "sampling: 20 of 20 lines have a rate that is none (`tracestate`); they count as not sampled";
    assert_eq!(said("ot=th:C").as_deref(), Some(expect));
}

#[test]
fn the_pods_name_gives_the_arms_where_no_field_does() {
    let pod = |at: usize| {
        let (hash, end) = [("5d9c7b8f6d", "x7k2p"), ("66b6c48dd5", "cxlzw"), ("5d9c7b8f6d", "2mnqz")][at % 3];
        format!(r#""service":"s","kubernetes":{{"pod_name":"web-{hash}-{end}"}},"status":200"#)
    };
    let survey = found(&lines(40, pod));
    assert_eq!(
        survey.plan.arms,
        ArmRule::PodTemplate { path: "kubernetes.pod_name".to_owned(), workloads: ["web".to_owned()].into() }
    );
    let note = "arms: the version taken from the pod's name, `kubernetes.pod_name` (5d9c7b8f6d, 66b6c48dd5)";
    assert!(survey.notes.iter().any(|said| said == note), "{:?}", survey.notes);
    let key = ServiceKey { environment: String::new(), cell: String::new(), service: "s".to_owned() };
    assert_eq!(survey.services[&key].arms.keys().collect::<Vec<_>>(), ["5d9c7b8f6d", "66b6c48dd5"]);
    // Any version, cohort or variant is better, also one that all lines share.
    let survey = found(&lines(40, |at| format!(r#"{},"version":"1.0""#, pod(at))));
    assert_eq!(survey.plan.arms, ArmRule::Field("version".to_owned()));
    for pod in ["web-0", "web-x7k2p", "backup-29547810-x7k2p"] {
        let survey = found(&lines(40, |_| format!(r#""service":"s","pod":"{pod}","status":200"#)));
        assert_eq!(survey.plan.arms, ArmRule::None, "{pod}");
    }
    let wishes = Wishes { arms: Some(ArmRule::Field("zone".to_owned())), ..Wishes::default() };
    let lines = lines(40, pod);
    let head = Head { stream: "log", lines: lines.iter().map(String::as_str).collect() };
    assert_eq!(super::survey(&[head], &wishes).plan.arms, ArmRule::Field("zone".to_owned()));
}

#[test]
fn pods_of_several_workloads_are_no_versions_of_one() {
    let pods = ["web-5d9c7b8f6d-x7k2p", "worker-7c6b9d8f5c-2mnqz", "web-66b6c48dd5-cxlzw"];
    let of = |pods: &[&str], service: &str| {
        found(&lines(40, |at| format!(r#"{service}"pod":"{}","status":200"#, pods[at % pods.len()])))
    };
    let survey = of(&pods, "");
    assert_eq!(survey.plan.arms, ArmRule::None);
    let note = "arms: no field says which version or cohort a line belongs to, and `pod` names pods of several workloads (web, worker), whose versions are not compared; name the service of a line with --role service=FIELD, or take --arm-by FIELD";
    assert!(survey.notes.iter().any(|said| said == note), "{:?}", survey.notes);
    // Also under the name of one service.
    let survey = of(&pods, r#""service":"s","#);
    assert_eq!(survey.plan.arms, ArmRule::None);
    let note = "arms: no field says which version or cohort a line belongs to, and `pod` names pods of several workloads under the service `s` (web, worker), whose versions are not compared; name the version of a line with --role version=FIELD, take --arm-by FIELD, or say which pods are which: --baseline QUERY --canary QUERY";
    assert!(survey.notes.iter().any(|said| said == note), "{:?}", survey.notes);
    let rule = |workloads: &[&str]| ArmRule::PodTemplate {
        path: "pod".to_owned(),
        workloads: workloads.iter().map(|name| (*name).to_owned()).collect(),
    };
    // Services of one workload each; and one that is judged alone.
    let of_services = |name_of_worker: &str, service: Option<&str>| {
        let name = |at: usize| if at % 3 == 1 { name_of_worker } else { "front" };
        let lines = lines(40, |at| format!(r#""service":"{}","pod":"{}","status":200"#, name(at), pods[at % 3]));
        let wishes = Wishes { service: service.map(str::to_owned), ..Wishes::default() };
        super::survey(&[Head { stream: "log", lines: lines.iter().map(String::as_str).collect() }], &wishes).plan.arms
    };
    assert_eq!(of_services("back", None), rule(&["web", "worker"]));
    assert_eq!(of_services("front", None), ArmRule::None);
    assert_eq!(of_services("back", Some("front")), rule(&["web", "worker"]));
    // One workload, also where another comes later, with a service or without.
    let survey = of(&[pods[0], pods[2]], r#""service":"s","#);
    assert_eq!(survey.plan.arms, rule(&["web"]));
    let survey = of(&[pods[0], pods[2]], "");
    assert_eq!(survey.plan.arms, rule(&["web"]));
    let mut decoder = crate::pipeline::decode::Decoder::new(&survey.plan, "log");
    for (pod, arm) in [(pods[2], Some("66b6c48dd5")), (pods[1], None)] {
        let line = format!(r#"{{"ts":"2026-06-01T10:00:00Z","pod":"{pod}","status":200}}"#);
        let Ok(crate::pipeline::decode::Decoded::Event(event)) = decoder.decode(&line, 0) else { panic!("{line}") };
        let arms = &crate::event::Intern::names(decoder.interner()).arms;
        assert_eq!(arms.get(usize::from(event.arm)).map(String::as_str), arm, "{pod}");
        let damaged = format!(r#"{{"pod":"{pod}","status":2"#);
        assert_eq!(decoder.arm_of_damaged(damaged.as_bytes()).is_some(), arm.is_some(), "{pod}");
    }
}

/// What is said of the unit of the first latency field, without the advice behind it.
fn said_of_latency(lines: &[String]) -> (Option<LatencyUnit>, String) {
    let survey = found(lines);
    let note = survey.notes.iter().find(|note| note.starts_with("latency")).cloned().unwrap_or_default();
    let unit = survey.plan.fields(Role::Latency).last().and_then(|field| field.unit);
    (unit, note.split(". If").next().unwrap_or_default().to_owned())
}

#[test]
fn microseconds_without_a_name_are_told_by_what_else_the_lines_say() {
    // 100 requests a second of 54 ms each: as milliseconds 5,400 would be in flight.
    let busy = |at: usize, value: String| {
        let time = format!("2026-06-01T10:00:{:02}.{:03}Z", at / 100, at % 100 * 10);
        format!(r#"{{"ts":"{time}","duration":{value},"path":"/a","status":200}}"#)
    };
    let at_once: Vec<String> = (0..1_000).map(|at| busy(at, (54_000 + at % 7).to_string())).collect();
    let (unit, said) = said_of_latency(&at_once);
    assert_eq!(unit, Some(LatencyUnit::Micros));
    assert!(
        said.starts_with("latency: `duration` does not name its unit; read as us (median 54003), since as ms 54"),
        "{said}"
    );
    // Fractions of milliseconds at that rate are no seconds.
    let fast: Vec<String> = (0..1_000).map(|at| busy(at, format!("3.{}", at % 7 + 1))).collect();
    assert_eq!(said_of_latency(&fast).0, Some(LatencyUnit::Millis));
    // 10,000 requests a second of 50 ms: 500 are in flight.
    let gateway: Vec<String> = (0..1_000)
        .map(|at| {
            let time = format!("2026-06-01T10:00:00.{:06}Z", at * 100);
            format!(r#"{{"ts":"{time}","duration":{},"path":"/a","status":200}}"#, 50 + at % 7)
        })
        .collect();
    assert_eq!(said_of_latency(&gateway).0, Some(LatencyUnit::Millis));
    // A few slow requests are what they say.
    let slow = lines(30, |_| r#""duration":54000,"path":"/a","status":200"#.to_owned());
    assert_eq!(said_of_latency(&slow).0, Some(LatencyUnit::Millis));
    for (fields, unit, by) in [
        (r#""duration":54000,"upstream_response_time":0.050"#, LatencyUnit::Micros, "`upstream_response_time`"),
        (r#""duration":54000,"upstream_response_time":"40.000""#, LatencyUnit::Millis, "`upstream_response_time`"),
        (r#""duration":54,"latency_us":54000"#, LatencyUnit::Millis, "`latency_us`"),
        (
            r#""startTime":"2026-06-01T10:00:00.000Z","endTime":"2026-06-01T10:00:00.054Z","took":54000"#,
            LatencyUnit::Micros,
            "the time from its start to its end",
        ),
    ] {
        let line = format!(r#"{{{fields},"path":"/a","status":200}}"#);
        let line =
            if line.contains("endTime") { line } else { line.replacen('{', r#"{"ts":"2026-06-01T10:00:00Z","#, 1) };
        let (found, said) = said_of_latency(&vec![line.clone(); 20]);
        assert_eq!(found, Some(unit), "{fields}");
        assert_eq!(
            super::survey(&[Head { stream: "log", lines: vec![&line; 20] }], &Wishes::default())
                .guessed_latencies()
                .count(),
            0
        );
        assert!(said.ends_with(&format!("by {by} of the same lines")), "{said}");
    }
}

#[test]
fn durations_behind_apaches_format_are_recognised_and_nginx_is_not_taken_for_it() {
    let access = |rest: &dyn Fn(usize) -> String| -> Survey {
        let lines: Vec<String> = (0..50).map(|at| access_line(at as u64 * 1_000_000, &rest(at))).collect();
        found(&lines)
    };
    // A line a second, whose order tells nothing: the number may be anything.
    for (rest, units) in [(54_000, ":us (or :ms, :s)"), (54, ":ms (or :us, :s)")] {
        let survey = access(&|at| format!(" {}", rest + at * 7 % 50));
        assert_eq!(fields_of(&survey, Role::Latency), ["request_time"], "{rest}");
        assert!(!survey.plan.adds_duration, "{rest}");
        let note = &survey.notes.iter().find(|note| note.contains("whole number")).expect("a note");
        let why = "neither a name beside it (`rt=0.054`) nor the order of the lines tells that it is a duration";
        assert!(note.contains(why) && note.ends_with(&format!("--role latency=access_duration{units}")), "{note}");
    }
    for rest in [" 0.054", "", " rt=0.054 urt=0.050"] {
        let survey = access(&|_| rest.to_owned());
        assert_eq!(fields_of(&survey, Role::Latency), ["request_time"], "{rest}");
        assert!(survey.notes.iter().all(|said| !said.starts_with("time")), "{:?}", survey.notes);
    }
    // One line of nginx says that the others' whole number may be anything.
    let survey = access(&|at| if at == 7 { " 0.054".to_owned() } else { format!(" {}", 54_000 + at) });
    assert_eq!(fields_of(&survey, Role::Latency), ["request_time"]);
    // Now and then is too seldom.
    let survey = access(&|at| if at % 3 == 0 { format!(" {}", 54_000 + at) } else { String::new() });
    assert_eq!(fields_of(&survey, Role::Latency), ["request_time"]);
}

/// A line of a request that came so many microseconds after twelve.
fn access_line(received: u64, rest: &str) -> String {
    let second = received / 1_000_000;
    let time = format!("{:02}:{:02}:{:02}", 12 + second / 3600, second / 60 % 60, second % 60);
    format!(r#"192.0.2.7 - - [17/May/2015:{time} +0000] "GET /a HTTP/1.1" 200 2326 "-" "curl/8"{rest}"#)
}

/// 4,000 requests, six a second: when each came, and how long it took, in microseconds. One in 32 takes 20 ms to 20 s.
fn visits(fast: u64) -> Vec<(u64, u64)> {
    let mut received = 0;
    (0..4_000)
        .map(|at| {
            let dice = crate::event::mix(at, 7);
            received += dice % 333_333;
            let took = fast + (dice >> 20) % fast * 2;
            (received, if dice >> 59 == 0 { took + (20_000 << ((dice >> 48) % 11)) } else { took })
        })
        .collect()
}

/// The survey of these requests, their lines in the order in which they end or came, with a number behind each.
fn numbered(by_end: bool, fast: u64, number: impl Fn(usize, u64) -> u64) -> Survey {
    let mut visits = visits(fast);
    if by_end {
        visits.sort_by_key(|(received, took)| received + took);
    }
    let line =
        |(at, (received, took)): (usize, &(u64, u64))| access_line(*received, &format!(" {}", number(at, *took)));
    found(&visits.iter().enumerate().map(line).collect::<Vec<_>>())
}

#[test]
fn the_order_of_access_lines_tells_the_unit_of_their_duration() {
    for (fast, divisor, unit) in [
        // A fast site, whose numbers would be a plausible number of milliseconds.
        (300, 1, LatencyUnit::Micros),
        (20_000, 1, LatencyUnit::Micros),
        (100_000, 1_000, LatencyUnit::Millis),
        (20_000, 1_000, LatencyUnit::Millis),
        (1_500_000, 1_000_000, LatencyUnit::Seconds),
    ] {
        let survey = numbered(true, fast, |_, took| took / divisor);
        let found = survey.plan.fields(Role::Latency).last().and_then(|field| field.unit);
        assert_eq!((found, survey.plan.adds_duration), (Some(unit), true), "{fast} {divisor}: {:?}", survey.notes);
        let note = &survey.notes.iter().find(|note| note.starts_with("latency")).expect("a note");
        assert!(note.contains("by the order of the lines"), "{note}");
        assert_eq!(survey.guessed_latencies().count(), 0);
        assert!(survey.notes.iter().any(|note| note.starts_with("time: access lines end in how long")));
    }
}

/// Numbers of a usual size of microseconds, none of which is long: so short durations would bring no line out of order.
#[test]
fn milliseconds_are_told_by_how_many_lines_are_out_of_order() {
    let mut visits: Vec<(u64, u64)> = visits(150_000).into_iter().filter(|(_, took)| *took < 1_000_000).collect();
    visits.sort_by_key(|(received, took)| received + took);
    let line = |(received, took): &(u64, u64)| access_line(*received, &format!(" {}", took / 1_000));
    let survey = found(&visits.iter().map(line).collect::<Vec<_>>());
    assert_eq!(survey.plan.fields(Role::Latency).last().and_then(|field| field.unit), Some(LatencyUnit::Millis));
    assert!(survey.plan.adds_duration);
}

#[test]
fn whole_seconds_are_too_coarse_for_a_latency() {
    let said = |survey: &Survey| survey.notes.iter().find(|note| note.contains("too coarse")).cloned();
    for by_end in [true, false] {
        let survey = numbered(by_end, 300, |_, took| took / 1_000_000);
        assert_eq!(fields_of(&survey, Role::Latency), ["request_time"], "{by_end}");
        let said = said(&survey).expect("a note");
        assert!(said.contains("it is 0 or 1 in ") && said.contains("Log it finer: %D"), "{said}");
    }
    // Also where it is asked for.
    let lines_of = |unit: u64| -> Vec<String> {
        (0..50).map(|at| access_line(at * 1_000_000, &format!(" {}", u64::from(at == 7) * unit))).collect()
    };
    let field = FieldRef { path: "access_duration".to_owned(), unit: Some(LatencyUnit::Seconds) };
    let wishes = Wishes { roles: [(Role::Latency, vec![field])].into(), ..Wishes::default() };
    let text = lines_of(3);
    let survey = super::survey(&[Head { stream: "log", lines: text.iter().map(String::as_str).collect() }], &wishes);
    assert!(fields_of(&survey, Role::Latency).is_empty() && said(&survey).is_some(), "{:?}", survey.notes);
    for (field, values, coarse) in [
        ("duration_s", ["0", "1", "4"], true),
        ("duration_s", ["\"0\"", "\"1\"", "\"0\""], true),
        ("duration_s", ["0.0", "1.0", "0.0"], true),
        ("duration_s", ["2", "1", "4"], false),
        ("duration_s", ["0", "1", "0.25"], false),
        ("request_time", ["0.000", "0.000", "0.001"], false),
        ("duration_ms", ["0", "1", "0"], false),
    ] {
        let survey = found(&lines(30, |at| format!(r#""{field}":{},"path":"/a","status":200"#, values[at % 3])));
        assert_eq!(fields_of(&survey, Role::Latency).is_empty(), coarse, "{field} {values:?}");
        assert_eq!(said(&survey).is_some(), coarse, "{field} {values:?}: {:?}", survey.notes);
    }
    // Another field is left.
    let survey = found(&lines(30, |_| r#""duration_s":0,"latency_ms":54,"path":"/a","status":200"#.to_owned()));
    assert_eq!(fields_of(&survey, Role::Latency), ["latency_ms"]);
}

#[test]
fn times_are_not_moved_by_numbers_that_are_no_durations() {
    for (what, by_end, number, why) in [
        // A length: as a duration it would end long after the lines behind it.
        ("length", false, (|_, took| took) as fn(usize, u64) -> u64, "in no unit do requests end in the order"),
        ("process", true, |at, _| [12_031, 12_044, 31_245, 9_123][at % 4], "4000 lines have 4 different ones"),
        ("port", true, |_, _| 443, "4000 lines have 1 different ones"),
        (
            "client's port",
            false,
            |at, _| 32_768 + crate::event::mix(at as u64, 3) % 28_000,
            "nor the order of the lines",
        ),
        ("bytes", true, |_, _| 2_326, "in 4000 of 4000 lines it is the bytes of the answer"),
        ("length of lines by their end", true, |at, _| crate::event::mix(at as u64, 3) % 5_000, "a larger number"),
    ] {
        let survey = numbered(by_end, 300, number);
        assert_eq!(fields_of(&survey, Role::Latency), ["request_time"], "{what}: {:?}", survey.notes);
        assert!(!survey.plan.adds_duration, "{what}");
        let note = survey.notes.iter().find(|note| note.contains("whole number")).expect("a note");
        assert!(note.contains(why), "{what}: {note}");
    }
    // Asked for, it is the latency; the times stay where the order speaks against it.
    let field = FieldRef { path: "access_duration".to_owned(), unit: Some(LatencyUnit::Micros) };
    let wishes = Wishes { roles: [(Role::Latency, vec![field])].into(), ..Wishes::default() };
    for by_end in [false, true] {
        let mut visits = visits(300);
        if by_end {
            visits.sort_by_key(|(received, took)| received + took);
        }
        let lines: Vec<String> =
            visits.iter().map(|(received, took)| access_line(*received, &format!(" {took}"))).collect();
        let head = Head { stream: "log", lines: lines.iter().map(String::as_str).collect() };
        let survey = super::survey(&[head], &wishes);
        assert_eq!(fields_of(&survey, Role::Latency), ["access_duration"]);
        assert_eq!(survey.plan.adds_duration, by_end);
    }
}

#[test]
fn an_access_log_stays_one_whatever_wraps_it() {
    let plain = |at: usize| {
        let second = at % 60;
        format!(
            r#"10.0.0.{second} - - [01/Jun/2026:10:00:{second:02} +0000] "GET /cart HTTP/1.1" 200 5 "-" "curl" 0.012"#
        )
    };
    for wrap in ["", "[pod/shop-1/nginx] ", "2026-06-01T10:00:00Z stdout F ", "web-1  | ", "2026-06-01T10:00:00Z "] {
        let both: Vec<String> = (0..40)
            .flat_map(|at| {
                let second = at % 60;
                let said = format!(r#"{{"time":"2026-06-01T10:00:{second:02}Z","status":200,"latency_ms":7}}"#);
                [format!("{wrap}{}", plain(at)), format!("{wrap}{said}")]
            })
            .collect();
        let survey = found(&both);
        assert_eq!(survey.requests, 40, "{wrap}: each is one request");
        let sources: Vec<&RequestSource> = survey.plan.sources.values().collect();
        assert_eq!(sources, [&RequestSource::AccessLog], "{wrap}");
    }
    // A line may say so itself; one that says something else is of no known source.
    for (word, expect) in [
        ("access log", RequestSource::AccessLog),
        ("root span", RequestSource::RootSpan),
        ("application log", RequestSource::Application),
        ("gossip", RequestSource::Application),
    ] {
        let survey = found(&lines(20, |_| format!(r#""status":200,"serin.source":"{word}""#)));
        assert_eq!(survey.services.values().next().unwrap().sources.keys().collect::<Vec<_>>(), [&expect], "{word}");
    }
    assert_eq!(found(&lines(20, |_| r#""serin":{"source":"access log"}"#.to_owned())).requests, 20);
}
