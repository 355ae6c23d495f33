use super::*;

fn read(line: &str) -> serde_json::Value {
    serde_json::from_str(&of(line, &[])).unwrap_or_else(|_| panic!("{line} is {}", of(line, &[])))
}

#[test]
fn each_form_becomes_the_object_that_it_says() {
    let access = r#"10.0.0.7 - ann [01/Jun/2026:10:00:00 +0000] "GET /cart HTTP/1.1" 200 5 "-" "curl""#;
    for (line, expect) in [
        // kubectl logs --prefix
        (
            r#"[pod/cart-6d9f7c5b8-x2x4z/app] {"ts":"2026-06-01T10:00:00Z","status":200}"#,
            r#"{"k8s.pod.name":"cart-6d9f7c5b8-x2x4z","k8s.container.name":"app","ts":"2026-06-01T10:00:00Z","status":200}"#,
        ),
        // The same of a container that writes logfmt.
        (
            "[pod/a-1/b] level=info msg=\"it \\\"is\\\"\" status=200",
            r#"{"k8s.pod.name":"a-1","k8s.container.name":"b","level":"info","msg":"it \"is\"","status":200}"#,
        ),
        // CRI, https://github.com/kubernetes/design-proposals-archive/blob/main/node/kubelet-cri-logging.md
        (
            "2026-06-01T10:00:00.123456789Z stderr F it failed",
            r#"{"time":"2026-06-01T10:00:00.123456789Z","message":"it failed"}"#,
        ),
        // Docker's json-file.
        (
            r#"{"log":"{\"status\":500}\n","stream":"stdout","time":"2026-06-01T10:00:00.5Z"}"#,
            r#"{"time":"2026-06-01T10:00:00.5Z","status":500}"#,
        ),
        // docker compose logs
        (r#"web-12  | {"status":200}"#, r#"{"app":"web","instance":"web-12","status":200}"#),
        // kubectl logs --timestamps, docker logs -t
        (r#"2026-06-01T10:00:00.5Z {"status":200}"#, r#"{"time":"2026-06-01T10:00:00.5Z","status":200}"#),
        // logcli -o jsonl
        (
            r#"{"labels":{"app":"cart","pod":"c-1"},"line":"level=warn status=503","timestamp":"2026-06-01T10:00:00Z"}"#,
            r#"{"app":"cart","pod":"c-1","time":"2026-06-01T10:00:00Z","level":"warn","status":503}"#,
        ),
        // kcat -J
        (
            r#"{"topic":"t","partition":0,"offset":7,"tstype":"create","ts":1780308000123,"broker":0,"key":"u1","payload":"{\"status\":200}"}"#,
            r#"{"time":1780308000123,"kafka.key":"u1","status":200}"#,
        ),
        // Elasticsearch
        (
            r#"{"_index":"logs","_id":"1","_score":1.0,"_source":{"status":200,"a":{"b":1}}}"#,
            r#"{"status":200,"a":{"b":1}}"#,
        ),
        // journalctl -o json
        (
            r#"{"PRIORITY":"3","_HOSTNAME":"web-1","__REALTIME_TIMESTAMP":"1780308000123456","MESSAGE":"it failed","SYSLOG_IDENTIFIER":"shop"}"#,
            r#"{"time":1780308000123456,"level":"3","host.name":"web-1","app":"shop","message":"it failed"}"#,
        ),
        // syslog-ng's format-json: the line has its own time, or has none.
        (
            r#"{"PROGRAM":"shop","PRIORITY":"notice","PID":"7","MESSAGE":"{\"ts\":5,\"level\":\"error\"}","ISODATE":"2026-06-01T10:00:00+00:00","HOST":"web-1","FACILITY":"user"}"#,
            r#"{"app":"shop","level":"error","process.pid":"7","host.name":"web-1","log.syslog.facility.name":"user","ts":5}"#,
        ),
        (
            r#"{"user":"u7","PRIORITY":"err","MESSAGE":"it failed","HOST":"web-1","FACILITY":"user","DATE":"Jun  1 10:00:00"}"#,
            r#"{"time":"Jun  1 10:00:00","user":"u7","level":"err","host.name":"web-1","log.syslog.facility.name":"user","message":"it failed"}"#,
        ),
        // A template of rsyslog.
        (
            r#"{"@timestamp":"2026-06-01T10:00:00+00:00", "host":"web-1", "severity":"notice", "facility":"local0", "tag":"shop:", "message":"{\"ts\":5,\"level\":\"error\"}"}"#,
            r#"{"host":"web-1","severity":"notice","tag":"shop:","ts":5,"level":"error"}"#,
        ),
        // Heroku's router
        (
            r#"at=info method=GET path="/cart" status=200 service=12ms trace=0012 dyno="#,
            r#"{"serin.source":"access log","message":"at=info method=GET path=\"/cart\" status=200 service=12ms trace=0012 dyno=","at":"info","method":"GET","path":"/cart","status":200,"duration_ms":12,"trace":"0012"}"#,
        ),
        // A message without quotes.
        ("level=info msg=it is up port=80", r#"{"level":"info","msg":"it is up","port":80}"#),
        // syslog
        (
            "<11>1 2026-06-01T10:00:00.5Z web-1 shop 77 - - {\"status\":500}",
            r#"{"time":"2026-06-01T10:00:00.5Z","level":"error","host.name":"web-1","app":"shop","process.pid":"77","status":500}"#,
        ),
        // Spring Boot
        (
            "2026-06-01T10:00:00.123Z  WARN 1 --- [shop] [nio-8080-exec-1] o.s.web.Filter : it took 5 s",
            r#"{"time":"2026-06-01T10:00:00.123Z","level":"WARN","logger":"o.s.web.Filter","message":"it took 5 s"}"#,
        ),
        // Python
        (
            "2026-06-01 10:00:00,123 - shop.cart - ERROR - it failed user=u7",
            r#"{"user":"u7","time":"2026-06-01 10:00:00,123","level":"ERROR","logger":"shop.cart","message":"it failed user=u7"}"#,
        ),
        // Rails
        (
            "I, [2026-06-01T10:00:00.123456 #77]  INFO -- : Completed 200 OK",
            r#"{"time":"2026-06-01T10:00:00.123456","level":"INFO","message":"Completed 200 OK"}"#,
        ),
        // Rust's tracing
        (
            "2026-06-01T10:00:00.123456Z  INFO request{method=GET path=/cart}: shop::http: done status=200 took=3ms",
            r#"{"method":"GET","path":"/cart","status":200,"took":"3ms","time":"2026-06-01T10:00:00.123456Z","level":"INFO","message":"request{method=GET path=/cart}: shop::http: done status=200 took=3ms"}"#,
        ),
        // nginx's error log
        (
            "2026/06/01 10:00:00 [error] 31#31: *1 upstream timed out",
            r#"{"time":"2026/06/01 10:00:00","level":"ERROR","message":"31#31: *1 upstream timed out"}"#,
        ),
        // log4j
        (
            "[2026-06-01 10:00:00,123] INFO [main] it is up",
            r#"{"time":"2026-06-01 10:00:00,123","level":"INFO","message":"[main] it is up"}"#,
        ),
    ] {
        let expect: serde_json::Value = serde_json::from_str(expect).unwrap();
        assert_eq!(read(line), expect, "{line}");
    }
    let wrapped = read(&format!("[pod/a/b] {access}"));
    assert!(wrapped["status"] == 200 && wrapped["path"] == "/cart" && wrapped["user"] == "ann", "{wrapped}");
    // Twice.
    let twice = read(r#"[pod/a/b] 2026-06-01T10:00:00.5Z {"status":200}"#);
    assert!(twice["time"] == "2026-06-01T10:00:00.5Z" && twice["status"] == 200, "{twice}");
}

#[test]
fn what_is_no_known_form_stays_as_it_is() {
    for line in [
        "",
        " ",
        "{",
        "{\"a\":1}",
        "{\"log\":\"x\"}",
        "{\"labels\":{},\"a\":1}",
        "{\"_index\":\"a\"}",
        "{\"MESSAGE\":\"a\"}",
        "{\"FACILITY\":\"user\",\"MESSAGE\":1}",
        "{\"facility\":\"user\",\"message\":\"it is up\"}",
        "it is up",
        "a=b",
        "=a b=c",
        "a b=c d=e",
        "web | it",
        "[pod/a]",
        "2026-06-01T10:00:00Z",
        "2026-06-01",
        "Caused by: java.lang.IllegalStateException: a=b",
        "\tat com.example.Shop.pay(Shop.java:7)",
        "10.0.0.7 - - [01/Jun/2026:10:00:00 +0000] \"GET / HTTP/1.1\" 200 5",
    ] {
        assert_eq!(of(line, &[]), line);
    }
}

#[test]
fn an_object_that_was_cut_stays_damaged() {
    for line in ["[pod/a/b] {\"status\":200", "[pod/a/b] {", "2026-06-01T10:00:00Z {\"a\":{\"b\":1"] {
        assert!(serde_json::from_str::<serde_json::Value>(&of(line, &[])).is_err(), "{}", of(line, &[]));
    }
}

#[test]
fn whatever_a_line_is_an_object_comes_out_or_the_line_itself() {
    // Pieces of all forms in any order, by a fixed generator.
    let pieces = [
        "[pod/a/b] ",
        "2026-06-01T10:00:00Z ",
        "stdout F ",
        "{\"log\":\"",
        "\"",
        "\\",
        "{",
        "}",
        "a=",
        "\"x",
        " ",
        "web-1 | ",
        "INFO",
        "[",
        "]",
        "<14>1 ",
        "- ",
        "\u{1f600}",
        "\t",
        "\u{7}",
        "{\"_index\":1,\"_source\":{}}",
        "b=1 c=2 ",
        "é",
        ",",
        ":",
        "--- [",
        "[GIN] 2026/06/01 - 10:00:00 | 200 | 1ms | ::1 | GET \"/\"",
        "[2026-06-01T10:00:00Z] \"GET / HTTP/1.1\" 200 - 0 1 2 3 ",
        "REPORT RequestId: a Duration: 1 ms",
        "I0601 10:00:00.000000 1 a.go:1] ",
        "Jun  1 10:00:00 web-1 a[7]: ",
        "\u{1b}[31m",
        "\n\tat a",
        "\u{b}",
        "{\"textPayload\":\"",
        "{\"short_message\":1,\"_a\":2}",
        "{\"_id\":\"a\",\"date\":1,\"attributes\":{}}",
        "Completed 200 OK in 1ms",
        "GET / 200 1 ms - 5",
        "https 2026-06-01T10:00:00Z a b:1 c 0.1 0.1 0.1 200 200 1 1 \"GET / HTTP/1.1\" ",
        "::1:1 [01/Jun/2026:10:00:00.000] a b/c 1/1/1/1/1 200 1 - - ---- \"GET /\"",
    ];
    let mut state = 7u64;
    for _ in 0..50_000 {
        let mut line = String::new();
        for _ in 0..1 + state % 9 {
            state = crate::event::mix(state, 3);
            line.push_str(pieces[(state % pieces.len() as u64) as usize]);
        }
        let made = of(&line, &[]);
        // What is not read is damaged in a way that a reader sees.
        assert!(made == line || made.trim_ascii_start().starts_with('{'), "{line:?} becomes {made:?}");
    }
}
