//! Lines of every notation, and what they become.

use std::collections::BTreeMap;

use super::*;
use crate::event::Intern;
use crate::pipeline::clock::Zone;
use crate::pipeline::plan::{BASELINE, CANARY, Conversions, FieldRef};
use crate::pipeline::prepare::Preparation;
use crate::pipeline::survey::{Head, Wishes, survey};
use crate::query::Query;
use crate::time::Windowing;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;

/// A plan whose roles are played by these fields.
fn plan(roles: &[(Role, &str)]) -> Plan {
    let mut plan = Plan {
        roles: BTreeMap::new(),
        unit: UnitKind::Request,
        arms: ArmRule::None,
        sources: BTreeMap::new(),
        service: None,
        environment: None,
        follow_traces: false,
        join_attempts: false,
        adds_duration: false,
        inside: std::collections::BTreeMap::new(),
        years_from: None,
        zone: Zone::default(),
        tables: Vec::new(),
        conversions: Conversions::default(),
        metrics: Vec::new(),
        segments: Vec::new(),
        preparation: Preparation::default(),
        windowing: Windowing::default(),
    };
    for (role, path) in [(Role::Time, "ts")].iter().chain(roles) {
        plan.roles.entry(*role).or_default().push(FieldRef { path: (*path).to_owned(), unit: None });
    }
    plan
}

/// The event of a line; `fields` stand behind its time.
fn event(plan: &Plan, fields: &str) -> Event {
    let line = format!(r#"{{"ts":"2026-06-01T10:00:00Z",{fields}}}"#);
    match Decoder::new(plan, "log").decode(&line, 0) {
        Ok(Decoded::Event(event)) => event,
        other => panic!("{line}: {other:?}"),
    }
}

fn matches(line: &str, query: &str) -> bool {
    Decoder::new(&plan(&[]), "log").matches(line, &Query::parse(query).unwrap())
}

#[test]
fn a_cell_is_what_the_first_field_with_a_value_says() {
    let plan =
        plan(&[(Role::Service, "service"), (Role::Environment, "env"), (Role::Cell, "city"), (Role::Cell, "region")]);
    let mut decoder = Decoder::new(&plan, "log");
    let long = "x".repeat(201);
    for (fields, key) in [
        (r#""service":"a","env":"prod","city":"geneva""#, ["prod", "geneva", "a"]),
        (r#""service":"a","env":"geneva""#, ["geneva", "", "a"]),
        (r#""service":"a","city":"geneva""#, ["", "geneva", "a"]),
        (r#""service":"a","city":"St. \"Gallen\"","region":"east""#, ["", "St. \"Gallen\"", "a"]),
        (r#""service":"a","city":7"#, ["", "7", "a"]),
        (r#""service":"a","city":null,"region":"east""#, ["", "east", "a"]),
        (r#""service":"a","city":"-","region":"east""#, ["", "", "a"]),
        (r#""service":"a","city":{"name":"geneva"}"#, ["", "", "a"]),
        (format!(r#""service":"a","city":"{long}""#).as_str(), ["", "", "a"]),
    ] {
        // Short names are remembered: both times it is the same.
        for _ in 0..2 {
            let line = format!(
                r#"{{"ts":"2026-06-01T10:00:00Z",{fields},"more":"so that all of it is in reach of a block"}}"#
            );
            let Ok(Decoded::Event(event)) = decoder.decode(&line, 0) else { panic!("{line}") };
            let found = &decoder.interner().names().services[usize::from(event.service)];
            assert_eq!([&found.environment, &found.cell, &found.service].map(String::as_str), key, "{line}");
        }
    }
}

#[test]
fn what_is_known_of_a_service_holds_in_all_its_cells() {
    let mut plan =
        plan(&[(Role::Service, "service"), (Role::Cell, "city"), (Role::Status, "status"), (Role::Method, "method")]);
    let key = event::ServiceKey { service: "front".to_owned(), ..event::ServiceKey::default() };
    plan.sources.insert(key, RequestSource::RootSpan);
    for city in ["", "geneva", "one that came late"] {
        let line = format!(r#""service":"front","city":"{city}","status":200,"method":"GET""#);
        assert_ne!(event(&plan, &line).kind, Kind::Request, "{city}: its roots are its requests");
    }
}

#[test]
fn a_line_of_both_arms_is_rejected() {
    let mut plan = plan(&[(Role::Status, "status")]);
    plan.arms =
        ArmRule::Queries { baseline: Query::parse("build:b1*").unwrap(), canary: Query::parse("build:*b2").unwrap() };
    let mut decoder = Decoder::new(&plan, "log");
    let mut arm = |build: &str| {
        let line = format!(r#"{{"ts":"2026-06-01T10:00:00Z","status":200,"build":"{build}"}}"#);
        match decoder.decode(&line, 0) {
            Ok(Decoded::Event(event)) => {
                Ok(event::name_at(&decoder.interner().names().arms, event.arm).cloned().unwrap_or_default())
            }
            Ok(Decoded::Outside) => panic!("outside"),
            Err(reason) => Err(reason),
        }
    };
    assert_eq!(arm("b1"), Ok(BASELINE.to_owned()));
    assert_eq!(arm("b2"), Ok(CANARY.to_owned()));
    assert_eq!(arm("b3"), Ok(String::new()));
    assert_eq!(arm("b1.b2"), Err(RejectReason::BothArms));
}

#[test]
fn fields_about_failures() {
    let error = |fields: &str| {
        let roles = [
            (Role::Error, "error"),
            (Role::Error, "event.outcome"),
            (Role::Error, "success"),
            (Role::Status, "status"),
            (Role::Latency, "ms"),
            (Role::Route, "path"),
        ];
        event(&plan(&roles), &format!(r#""ms":5,"path":"/a",{fields}"#)).error
    };
    for (fields, expect) in [
        (r#""error":"boom""#, true),
        (r#""error":"none""#, false),
        (r#""error":null"#, false),
        (r#""error":{}"#, false),
        (r#""error":[]"#, false),
        (r#""error":{"code":7}"#, true),
        (r#""error":true"#, true),
        (r#""error":1"#, true),
        (r#""error":0"#, false),
        (r#""success":false"#, true),
        (r#""success":true"#, false),
        (r#""success":false,"error":"none""#, true),
        (r#""event":{"outcome":"failure"}"#, true),
        (r#""event.outcome":"success""#, false),
        (r#""event.outcome":"unknown""#, false),
        // The status says whether the request failed, unless the line does.
        (r#""status":200,"error":"boom""#, false),
        (r#""status":500,"error":"none""#, true),
        (r#""status":200,"error":true"#, true),
        (r#""status":200,"success":false"#, true),
        (r#""status":200,"event.outcome":"failure""#, true),
        (r#""status":404,"success":false"#, false),
        (r#""status":404,"error":true"#, true),
        (r#""status":500,"success":true"#, true),
    ] {
        assert_eq!(error(fields), expect, "{fields}");
    }
}

#[test]
fn a_byte_order_mark_starts_a_stream_only() {
    let plan = plan(&[(Role::Status, "status")]);
    let decode = |offset: u64, line: &str| Decoder::new(&plan, "log").decode(line, offset);
    let line = r#"{"ts":"2026-06-01T10:00:00Z","status":200}"#;
    let marked = format!("\u{feff}{line}");
    assert_eq!(decode(0, &marked), decode(0, line));
    assert_eq!(decode(9, &marked), Err(RejectReason::UnknownFormat));
    assert_eq!(decode(0, &format!("\u{feff}{marked}")), Err(RejectReason::UnknownFormat));
}

#[test]
fn spans_as_opentelemetry_writes_them() {
    let roles = [
        (Role::Time, "endTimeUnixNano"),
        (Role::Start, "startTimeUnixNano"),
        (Role::Kind, "kind"),
        (Role::Parent, "parentSpanId"),
        (Role::Status, "status.code"),
    ];
    let mut plan = plan(&roles);
    plan.roles.get_mut(&Role::Time).unwrap().remove(0);
    let check = |fields: &str, kind: Kind, error: bool| {
        let line = format!(
            r#"{{"startTimeUnixNano":"1780315199950775040","endTimeUnixNano":"1780315200007214592",{fields}}}"#
        );
        let Ok(Decoded::Event(event)) = Decoder::new(&plan, "log").decode(&line, 0) else { panic!("{line}") };
        assert_eq!((event.kind, event.error, event.latency_us), (kind, error, 56_439), "{fields}");
        assert_eq!(event.time.0, 1_780_315_200_007_214, "{fields}");
    };
    check(r#""kind":"SPAN_KIND_SERVER","status":{}"#, Kind::Request, false);
    check(r#""kind":"SPAN_KIND_SERVER","status":{"code":0}"#, Kind::Request, false);
    check(r#""kind":"SPAN_KIND_SERVER","status":{"code":2}"#, Kind::Request, true);
    check(r#""kind":"SPAN_KIND_SERVER","status":{"code":"STATUS_CODE_ERROR"}"#, Kind::Request, true);
    check(r#""kind":"SPAN_KIND_SERVER","parentSpanId":"","status":{"code":1}"#, Kind::Request, false);
    check(r#""kind":"SPAN_KIND_SERVER","parentSpanId":"b2221a58008a05a6","status":{"code":1}"#, Kind::Span, false);
    check(r#""kind":"SPAN_KIND_CLIENT","status":{"code":2}"#, Kind::Span, true);
    check(r#""kind":"SPAN_KIND_INTERNAL""#, Kind::Span, false);
}

#[test]
fn roots_of_one_service_say_nothing_of_another() {
    let mut plan = plan(&[(Role::Service, "service"), (Role::Root, "root"), (Role::Status, "status")]);
    let kind = |plan: &Plan, fields: &str| event(plan, &format!("{fields},\"status\":200")).kind;
    assert_eq!(kind(&plan, r#""service":"front","root":true"#), Kind::Request);
    assert_eq!(kind(&plan, r#""service":"front","root":false"#), Kind::Span);
    let key = |service: &str| event::ServiceKey {
        environment: String::new(),
        cell: String::new(),
        service: service.to_owned(),
    };
    plan.sources.insert(key("front"), RequestSource::RootSpan);
    plan.sources.insert(key("billing"), RequestSource::Application);
    assert_eq!(kind(&plan, r#""service":"front""#), Kind::Span);
    assert_eq!(kind(&plan, r#""service":"billing""#), Kind::Request);
    assert_eq!(kind(&plan, r#""service":"new""#), Kind::Request);
}

#[test]
fn nobody_is_no_unit() {
    let mut plan = plan(&[(Role::User, "user"), (Role::User, "user_id"), (Role::Status, "status")]);
    plan.unit = UnitKind::User;
    let unit = |fields: &str| event(&plan, fields).unit;
    let seven = unit(r#""user_id":7"#);
    assert_ne!(seven, 0);
    for fields in
        [r#""user":"anonymous""#, r#""user":"Unknown","user_id":"-""#, r#""user":null"#, r#""user":"","user_id":0"#]
    {
        assert_eq!(unit(fields), 0, "{fields}");
    }
    assert_eq!(unit(r#""user":"guest","user_id":7"#), seven);
}

#[test]
fn a_request_id_counts_within_its_unit_route_and_method() {
    let roles = [
        (Role::Request, "id"),
        (Role::User, "user"),
        (Role::Route, "path"),
        (Role::Method, "method"),
        (Role::Status, "status"),
    ];
    let mut plan = plan(&roles);
    plan.join_attempts = true;
    let long = "550e8400-e29b-41d4-a716-446655440000";
    let request = |plan: &Plan, id: &str, user: &str, path: &str, method: &str| {
        let fields = format!(r#""id":"{id}","user":"{user}","path":"{path}","method":"{method}","status":500"#);
        event(plan, &fields).request
    };
    plan.unit = UnitKind::User;
    for id in ["req-1", long] {
        let first = request(&plan, id, "ann", "/a", "GET");
        assert_ne!(first, 0, "{id}");
        assert_eq!(request(&plan, id, "ann", "/a", "GET"), first, "{id}");
        assert_ne!(request(&plan, id, "bob", "/a", "GET"), first, "{id}: another user");
        assert_ne!(request(&plan, id, "ann", "/b", "GET"), first, "{id}: another call");
        assert_ne!(request(&plan, id, "ann", "/a", "POST"), first, "{id}: another method");
    }
    assert_eq!(request(&plan, "req-1", "", "/a", "GET"), 0, "a counter without a user");
    assert_ne!(request(&plan, long, "", "/a", "GET"), 0);
    for id in ["", "-"] {
        assert_eq!(request(&plan, id, "ann", "/a", "GET"), 0, "{id}");
    }
    for unit in [UnitKind::Request, UnitKind::Trace, UnitKind::Instance] {
        plan.unit = unit;
        assert_eq!(request(&plan, "req-1", "ann", "/a", "GET"), 0, "{unit:?}");
        let first = request(&plan, long, "ann", "/a", "GET");
        assert_eq!(request(&plan, long, "ann", "/a", "GET"), first, "{unit:?}");
        assert_ne!(request(&plan, long, "ann", "/b", "GET"), first, "{unit:?}");
    }
}

#[test]
fn a_grpc_status_decides_behind_an_http_status_that_is_fine() {
    let plan = plan(&[(Role::Status, "response_code"), (Role::Status, "grpc_status")]);
    for (fields, class, error) in [
        (r#""response_code":200,"grpc_status":"Unavailable""#, 5, true),
        (r#""response_code":200,"grpc_status":14"#, 5, true),
        (r#""response_code":200,"grpc_status":"NotFound""#, 4, false),
        (r#""response_code":200,"grpc_status":"OK""#, 2, false),
        (r#""response_code":200,"grpc_status":0"#, 2, false),
        (r#""response_code":200,"grpc_status":"-""#, 2, false),
        (r#""response_code":200,"grpc_status":null"#, 2, false),
        (r#""response_code":503,"grpc_status":"OK""#, 5, true),
        (r#""response_code":404,"grpc_status":"Unimplemented""#, 4, false),
        (r#""response_code":0,"grpc_status":"OK""#, 0, true),
        (r#""grpc_status":0"#, 2, false),
        (r#""grpc_status":13"#, 5, true),
        (r#""response_code":"-","grpc_status":"Internal""#, 5, true),
    ] {
        let event = event(&plan, fields);
        assert_eq!((event.kind, event.status_class, event.error), (Kind::Request, class, error), "{fields}");
    }
}

#[test]
fn what_a_line_says_of_its_sampling_comes_before_what_its_trace_says() {
    let fields = ["sample_rate", "_sample_rate", "Attributes.sampling.threshold", "tracestate"];
    let plan = plan(&fields.map(|path| (Role::SampleRate, path)));
    let one = event::WEIGHT_ONE;
    for (fields, times, unread) in [
        (r#""a":1"#, one, false),
        (r#""sample_rate":1"#, one, false),
        (r#""sample_rate":20,"tracestate":"ot=th:c""#, 20 * one, false),
        (r#""sample_rate":"25%""#, 4 * one, false),
        (r#""tracestate":"congo=1,ot=th:c""#, 4 * one, false),
        (r#""Attributes":{"sampling.threshold":"8"},"tracestate":"ot=th:c""#, 2 * one, false),
        (r#""Attributes":{"sampling":{"threshold":"8"}}"#, 2 * one, false),
        (r#""_sample_rate":0.5"#, 2 * one, false),
        // What is no rate leaves the word to the next field, and is counted where none has one.
        (r#""sample_rate":0,"tracestate":"ot=th:c""#, 4 * one, false),
        (r#""sample_rate":null,"tracestate":"congo=1""#, one, false),
        (r#""_sample_rate":2"#, one, true),
        (r#""tracestate":"ot=th:C""#, one, true),
        (r#""tracestate":["ot=th:c"]"#, 4 * one, false),
        (r#""tracestate":["congo=1","ot=th:c"]"#, one, true),
        (r#""sample_rate":true"#, one, true),
        (r#""Attributes.sampling.threshold":8"#, one, true),
    ] {
        let event = event(&plan, fields);
        assert_eq!((event.weight, event.rate_unread), (times, unread), "{fields}");
    }
}

#[test]
fn the_message_of_an_access_log_line_is_the_line() {
    let line = r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 2326"#;
    // Status and bytes are read as numbers, which stand behind the line.
    let read = "status:200 AND bytes:2326 AND ";
    for (query, expect) in [
        ("message:*2326", true),
        ("\"200 2326\"", true),
        ("23262002326", false),
        ("message:*2326*2326*", false),
        ("message:*200*200*", false),
    ] {
        assert_eq!(matches(line, &format!("{read}{query}")), expect, "{query}");
    }
}

#[test]
fn json_without_a_message_has_none() {
    for line in [r#"{"a":"word"}"#, r#"  {"a":"word"}"#] {
        assert!(matches(line, "a:word"), "{line}");
        assert!(!matches(line, "word"), "{line}");
    }
}

const HEAD: &str = r#"{"time":"2026-11-24T10:00:00Z","service":"cart","version":"1.2.0","user":"u-1","route":"/a","status":200,"duration_ms":1.5,"http":{"status_code":200,"route":"/b"}}"#;

/// Members of a line and the commas between them, some of them not JSON.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let member = prop_oneof![
        3 => Just(r#""time":"2026-11-24T10:00:07.250Z""#),
        3 => Just(r#""service":"cart""#),
        1 => Just(r#""service": "shop""#),
        1 => Just(r#""service":null"#),
        2 => Just(r#""version":"1.2.0""#),
        1 => Just(r#""version":17"#),
        2 => Just(r#""user":"u-1""#),
        1 => Just(r#""user" : "u-\u0031""#),
        1 => Just(r#""us\u0065r":"u-2""#),
        2 => Just(r#""status":200"#),
        1 => Just(r#""status":"503""#),
        1 => Just(r#""status": true"#),
        2 => Just(r#""duration_ms":12.5"#),
        1 => Just(r#""http":{"status_code":500,"route":"/c"}"#),
        1 => Just(r#""http":{"route":"/c"}"#),
        1 => Just(r#""a key that is longer than what is remembered of one":1"#),
        1 => Just(r#""status":"#),
        1 => Just(r#"service":"cart""#),
    ];
    let comma = prop_oneof![8 => Just(","), 1 => Just(" , "), 1 => Just(""), 1 => Just(",,")];
    let line = proptest::collection::vec((member, comma), 0..8).prop_map(|members| {
        let mut line = String::from("{");
        for (at, (member, comma)) in members.iter().enumerate() {
            // Rarely the comma is before the first member.
            if at > 0 || *comma == ",," {
                line.push_str(comma);
            }
            line.push_str(member);
        }
        line + "}"
    });
    proptest::collection::vec(line, 1..12)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(344), failure_persistence: None, ..ProptestConfig::default() })]

    /// What is expected of a line never changes what it means.
    #[test]
    fn lines_before_do_not_matter(lines in lines()) {
        let found = survey(&[Head { stream: "s", lines: vec![HEAD; 30] }], &Wishes::default());
        let mut decoder = Decoder::new(&found.plan, "s");
        prop_assert!(decoder.decode(HEAD, 0).is_ok());
        for line in &lines {
            let mut fresh = Decoder::new(&found.plan, "s");
            // The same names in the same order.
            prop_assert!(fresh.fill(HEAD) == Filled::Json);
            fresh.nodes.iter_mut().for_each(|node| node.expected.clear());
            let (filled, expected) = (decoder.fill(line), fresh.fill(line));
            prop_assert_eq!(filled, expected, "{}", line);
            if filled == Filled::Json {
                prop_assert_eq!(&decoder.slots, &fresh.slots, "{}", line);
                prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{}", line);
            } else {
                prop_assert!(serde_json::from_str::<serde_json::Value>(line).is_err(), "{}", line);
            }
        }
    }
}

#[test]
fn a_request_counts_when_it_was_completed() {
    let decode_as = |adds_duration: bool, line: &str, latency: &[(&str, LatencyUnit)]| {
        let mut plan = plan(&[(Role::Status, "status")]);
        plan.adds_duration = adds_duration;
        plan.roles.insert(Role::Time, vec![FieldRef { path: "time".to_owned(), unit: None }]);
        let fields = latency.iter().map(|(path, unit)| FieldRef { path: (*path).to_owned(), unit: Some(*unit) });
        plan.roles.insert(Role::Latency, fields.collect());
        let Ok(Decoded::Event(event)) = Decoder::new(&plan, "log").decode(line, 0) else { panic!("{line}") };
        (event.time.0, event.latency_us)
    };
    let decode = |line: &str, latency: &[(&str, LatencyUnit)]| decode_as(true, line, latency);
    let start = 1_431_857_103_000_000;
    let line = |rest: &str| {
        format!(r#"192.0.2.1 - - [17/May/2015:10:05:03 +0000] "GET /a HTTP/1.1" 200 2326 "-" "curl/8" {rest}"#)
    };
    let fields = [("request_time", LatencyUnit::Seconds), (ACCESS_DURATION, LatencyUnit::Micros)];
    // nginx writes the time at which the answer was complete, Apache that at which the request came.
    assert_eq!(decode(&line("61.250"), &fields), (start, 61_250_000));
    assert_eq!(decode(&line("61250000"), &fields), (start + 61_250_000, 61_250_000));
    assert_eq!(decode(&line("61"), &[(ACCESS_DURATION, LatencyUnit::Seconds)]), (start + 61_000_000, 61_000_000));
    assert_eq!(decode(&line("-"), &fields), (start, NO_LATENCY));
    // Where the order of the lines does not say so, their times stay as they are.
    assert_eq!(decode_as(false, &line("61250000"), &fields), (start, 61_250_000));
}

#[test]
fn how_latency_and_status_stand_in_a_line() {
    use event::FieldForm::{Absent, Number, Text, Unreadable};
    let plan = plan(&[(Role::Latency, "ms"), (Role::Status, "status"), (Role::Kind, "kind"), (Role::Error, "error")]);
    for (fields, latency, status) in [
        (r#""ms":5,"status":200"#, Number, Number),
        (r#""ms":"5","status":"200""#, Text, Text),
        (r#""ms":"5ms","status":"OK""#, Text, Text),
        (r#""status":200"#, Absent, Number),
        (r#""ms":null,"status":"-""#, Absent, Absent),
        (r#""ms":"","status":"""#, Absent, Absent),
        (r#""ms":"slow","status":"shipped""#, Unreadable, Unreadable),
        (r#""ms":-5,"status":7"#, Unreadable, Unreadable),
        (r#""ms":true,"status":false"#, Unreadable, Unreadable),
        (r#""ms":{"p":5},"status":[200]"#, Unreadable, Unreadable),
    ] {
        let forms = |rest: &str| {
            let event = event(&plan, &format!("{fields},{rest}"));
            (event.latency_form, event.status_form)
        };
        assert_eq!(forms(r#""kind":"request""#), (latency, status), "{fields}");
        // What fails, and what is no request, may be written otherwise.
        assert_eq!(forms(r#""kind":"request","error":true"#), (Absent, Absent), "{fields}");
        assert_eq!(forms(r#""kind":"log""#), (Absent, Absent), "{fields}");
    }
}
