//! Lines as documentation and other people's logs show them, byte for byte in their form, and what each says.

use std::collections::BTreeMap;

use serin::event::{Intern, NO_LATENCY, name_at};
use serin::pipeline::decode::{Decoded, Decoder};

use super::found;

/// Lines of one log, each with what it says: words of `kind`, `status`, `failed`, `us` (latency), `level`, `route`, `service`,
/// `time`, `unit`.
type Log = (&'static str, &'static [(&'static str, &'static str)]);

const LOGS: &[Log] = &[
    (
        "morgan's combined format with a time behind it",
        &[
            (
                r#"10.0.0.7 - - [01/Jun/2026:10:00:00 +0000] "GET /cart HTTP/1.1" 200 512 "-" "curl" 3.210 ms"#,
                "kind=request status=2xx us=3210 route=/cart",
            ),
            (r#"10.0.0.7 - - [01/Jun/2026:10:00:00 +0000] "GET /cart HTTP/1.1" 200 512 - 3210us"#, "us=3210"),
        ],
    ),
    (
        "gunicorn, Rack: seconds with other than three decimals",
        &[
            (r#"10.0.0.7 - - [01/Jun/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 "-" "curl" 0.012345"#, "us=12345"),
            (r#"10.0.0.7 - - [01/Jun/2026:10:00:00 +0000] "GET / HTTP/1.1" 200 5 0.0008"#, "us=800"),
        ],
    ),
    (
        "morgan's default",
        &[(
            r#"10.0.0.7 - - [Mon, 01 Jun 2026 10:00:00 GMT] "GET /cart HTTP/1.1" 200 512 "-" "curl""#,
            "kind=request status=2xx time=2026-06-01T10:00:00Z",
        )],
    ),
    (
        "werkzeug",
        &[
            (
                r#"127.0.0.1 - - [01/Jun/2026 10:00:00] "GET /cart HTTP/1.1" 500 -"#,
                "kind=request failed=true route=/cart",
            ),
            (
                r#"2026-06-01T10:00:00Z stderr F INFO:werkzeug:127.0.0.1 - - [01/Jun/2026 10:00:00] "GET /cart HTTP/1.1" 200 -"#,
                "kind=log level=info",
            ),
        ],
    ),
    (
        "APISIX",
        &[(
            r#"10.0.0.7 - - [01/Jun/2026:10:00:00 +0000] shop.example.com "GET /cart HTTP/1.1" 200 512 0.012 "-" "curl" 10.1.0.4:8080 200 0.011 "http://x" "id""#,
            "kind=request status=2xx us=12000 route=/cart",
        )],
    ),
    (
        "an access line behind other words",
        &[(
            r#"shop-6d9f7c5b8-x2x4z shop 10.0.0.7 - ann [01/Jun/2026:10:00:00 +0000] "GET /cart HTTP/1.1" 200 512 "-" "curl""#,
            "kind=request route=/cart service=shop unit=user",
        )],
    ),
    (
        "Jetty of old",
        &[(
            r#"127.0.0.1 -  -  [01/Jun/2026:10:00:00 +0200] "GET /relog/ HTTP/1.1" 200 60 "-" "curl/7.35.0" 18"#,
            "kind=request unit=client-address",
        )],
    ),
    (
        "stern",
        &[
            (
                r#"shop-6d9f7c5b8-x2x4z shop {"time":"2026-06-01T10:00:00Z","status":500,"latency_ms":3}"#,
                "kind=request failed=true us=3000 service=shop",
            ),
            (
                r#"prod shop-6d9f7c5b8-x2x4z shop {"time":"2026-06-01T10:00:00Z","status":200,"latency_ms":3}"#,
                "kind=request service=shop",
            ),
        ],
    ),
    (
        "load balancers of AWS that got no answer of a target",
        &[
            (
                r#"http 2026-06-01T10:00:00.123456Z app/shop/50dc6c495c0c9188 10.0.0.7:2817 10.1.0.1:80 0.000 -1 -1 504 - 34 366 "GET http://www.example.com:80/cart HTTP/1.1" "curl/7.46.0" - - arn:aws:x "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 2026-06-01T09:59:00.123456Z "forward" "-" "-" "10.1.0.1:80" "-" "-" "-" TID_1"#,
                "kind=request failed=true us=- route=/cart",
            ),
            (
                r#"http 2026-06-01T10:00:00.123456Z app/shop/50dc6c495c0c9188 10.0.0.7:2817 10.1.0.1:80 0.000 0.001 0.000 200 200 34 366 "GET http://www.example.com:80/cart HTTP/1.1" "curl/7.46.0" - - arn:aws:x "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 2026-06-01T09:59:00.123456Z "forward" "-" "-" "10.1.0.1:80" "200" "-" "-" TID_1"#,
                "kind=request us=1000",
            ),
        ],
    ),
    (
        "Envoy: connections, and clients that went away",
        &[
            (
                r#"[2026-06-01T10:00:00.000Z] "- - -" 0 - - - "-" 1024 2048 9 - "-" "-" "-" "-" "10.1.0.4:3306" outbound|3306||db 10.1.0.9:1 10.1.0.8:3306 10.1.0.9:2 - -"#,
                "kind=log",
            ),
            (
                r#"[2026-06-01T10:00:00.000Z] "GET /cart HTTP/1.1" 0 DC downstream_remote_disconnect - "-" 0 0 30 - "-" "curl" "id" "shop" "10.1.0.4:8080" outbound|80||shop 10.1.0.9:1 10.1.0.8:80 10.1.0.9:2 - default"#,
                "kind=request failed=false status=4xx",
            ),
            (
                r#"[2026-06-01T10:00:00.000Z] "GET /cart HTTP/1.1" 0 UH - - "-" 0 0 30 - "-" "curl" "id" "shop" "-" outbound|80||shop 10.1.0.9:1 10.1.0.8:80 10.1.0.9:2 - default"#,
                "kind=request failed=true",
            ),
        ],
    ),
    (
        "Envoy's JSON of a client that went away",
        &[
            (
                r#"{"start_time":"2026-06-01T10:00:00.000Z","method":"GET","path":"/cart","response_code":0,"response_flags":"DC","duration":3}"#,
                "kind=request failed=false",
            ),
            (
                r#"{"start_time":"2026-06-01T10:00:00.000Z","method":"GET","path":"/cart","response_code":0,"response_flags":"UF","duration":3}"#,
                "kind=request failed=true",
            ),
        ],
    ),
    (
        "Caddy, whose log of errors has requests once more",
        &[
            (
                r#"{"level":"error","ts":1780308000.5,"logger":"http.log.access.log0","msg":"handled request","request":{"remote_ip":"10.0.0.7","method":"GET","host":"localhost","uri":"/cart?x=1","headers":{}},"bytes_read":0,"user_id":"ann","duration":31.5,"size":0,"status":502,"resp_headers":{"Server":["Caddy"]}}"#,
                "kind=request failed=true us=31500000 route=/cart",
            ),
            (
                r#"{"level":"error","ts":1780308000.5,"logger":"http.log.error","msg":"dial tcp: refused","request":{"remote_ip":"10.0.0.7","method":"GET","host":"localhost","uri":"/cart","headers":{}},"duration":2.2501,"status":502,"err_id":"tmu8c2s3s","err_trace":"reverseproxy.statusError (reverseproxy.go:1390)"}"#,
                "kind=log level=error",
            ),
        ],
    ),
    (
        "Traefik's JSON",
        &[(
            r#"{"ClientAddr":"10.0.0.7:40000","ClientHost":"10.0.0.7","DownstreamStatus":200,"Duration":95821,"OriginDuration":90000,"RequestMethod":"GET","RequestPath":"/cart","ServiceName":"shop@docker","StartUTC":"2026-06-01T10:00:00.123456789Z","level":"info","msg":"","time":"2026-06-01T10:00:00Z"}"#,
            "kind=request status=2xx us=96 route=/cart",
        )],
    ),
    (
        "Serilog's log of requests",
        &[(
            r#"{"@t":"2026-06-01T10:00:00.1234567Z","@mt":"HTTP {RequestMethod} {RequestPath} responded {StatusCode} in {Elapsed:0.0000} ms","@r":["1.9000"],"RequestMethod":"GET","RequestPath":"/cart","StatusCode":200,"Elapsed":1.9}"#,
            "kind=request status=2xx us=1900 route=/cart",
        )],
    ),
    (
        "lograge",
        &[(
            r#"{"method":"GET","path":"/cart","format":"html","controller":"CartController","action":"show","status":200,"duration":1.92,"view":0.5,"db":0.2,"@timestamp":"2026-06-01T10:00:00.123Z","@version":"1"}"#,
            "kind=request us=1920 route=/cart",
        )],
    ),
    (
        "Datadog's standard attribute",
        &[(
            r#"{"_id":"AAAA","date":"2026-06-01T10:00:00.123Z","service":"shop","host":"web-1","status":"info","message":"done","attributes":{"http":{"status_code":200,"method":"GET","url_details":{"path":"/cart"}},"duration":340000}}"#,
            "kind=request us=340 route=/cart service=shop",
        )],
    ),
    (
        ".NET's console",
        &[
            ("2026-06-01T10:00:00Z fail: Shop.Cart[0]", "kind=log level=error"),
            ("2026-06-01T10:00:00Z stdout F dbug: Shop.Cart[0]", "level=debug"),
            ("2026-06-01T10:00:00Z stdout F <3>Shop.Cart[0] boom", "level=error"),
        ],
    ),
    (
        "levels behind another's time",
        &[
            ("2026-06-01T10:00:00Z stderr F ERROR:root:boom", "level=error"),
            ("2026-06-01T10:00:00Z stderr F SEVERE: boom", "level=error"),
            ("2026-06-01T10:00:00Z stderr F 10:00:00.123 [main] ERROR shop.Cart -- boom", "level=error"),
            ("2026-06-01T10:00:00Z stderr F [10:00:47 ERR] boom", "level=error"),
            ("2026-06-01T10:00:00Z stderr F all is well", "level="),
        ],
    ),
    (
        "syslog without a host",
        &[
            (
                r#"<134>Feb  6 12:14:14 haproxy[14389]: 10.0.1.2:33317 [06/Feb/2026:12:14:14.655] http-in~ static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1""#,
                "kind=request status=2xx us=109000 route=/index.html",
            ),
            (r#"<30>Jun  1 10:00:00 shop[77]: {"status":200,"latency_ms":1}"#, "kind=request service=shop"),
        ],
    ),
    (
        "a drain of Heroku",
        &[("83 <40>1 2026-06-01T10:00:00.123456+00:00 host app web.3 - State changed from starting to up", "level=")],
    ),
    (
        "hits of Elasticsearch that hold a collector's record",
        &[
            (
                r#"{"_index":"f","_id":"1","_source":{"@timestamp":"2026-06-01T10:00:00.123Z","message":"{\"status\":500,\"latency_ms\":3}","input":{"type":"log"},"log":{"file":{"path":"/x"}}}}"#,
                "kind=request failed=true us=3000",
            ),
            (
                r#"{"_index":"f","_id":"1","_source":{"@timestamp":"2026-06-01T10:00:00.123Z","log":"{\"status\":200,\"latency_ms\":3}"}}"#,
                "kind=request status=2xx",
            ),
        ],
    ),
    (
        "GELF of Docker",
        &[(
            r#"{"version":"1.1","host":"web-1","short_message":"{\"status\":200,\"latency_ms\":3}","timestamp":1.780308000624e+09,"level":6,"_container_name":"shop"}"#,
            "kind=request us=3000",
        )],
    ),
    (
        "logcli",
        &[(
            r#"2026-06-01T10:00:00Z {app="shop", pod="shop-1"} {"status":200,"latency_ms":12}"#,
            "kind=request us=12000 service=shop",
        )],
    ),
    (
        "Filebeat, which puts fields below its own",
        &[(
            r#"{"@timestamp":"2026-06-01T10:00:00.123Z","json":{"status":200,"latency_ms":12,"path":"/cart"},"agent":{"type":"filebeat"}}"#,
            "kind=request us=12000 route=/cart",
        )],
    ),
    (
        "journalctl, of a line with colours",
        &[(
            r#"{"__REALTIME_TIMESTAMP":"1780308000000000","_HOSTNAME":"web-1","SYSLOG_IDENTIFIER":"shop","PRIORITY":"6","MESSAGE":[27,91,51,49,109,98,111,111,109,27,91,48,109]}"#,
            "kind=log service=shop level=info",
        )],
    ),
    (
        "Fly",
        &[(
            r#"2026-06-01T10:00:00Z app[e286e73ef45768] dfw [error]{"status":200,"latency_ms":1}"#,
            "kind=request level=error",
        )],
    ),
    (
        "a swarm of Docker",
        &[(
            r#"shop.1.abc@node1    | {"time":"2026-06-01T10:00:00Z","status":200,"latency_ms":1}"#,
            "kind=request service=shop",
        )],
    ),
    (
        "NLog",
        &[("2026-06-01 10:00:00.1234|ERROR|Shop.Cart|boom", "kind=log level=error time=2026-06-01T10:00:00.123400Z")],
    ),
    (
        "Tomcat and PHP",
        &[
            ("01-Jun-2026 10:00:00.123 SEVERE [main] org.apache.catalina.startup.X boom", "level=error"),
            ("[01-Jun-2026 10:00:00 UTC] PHP Fatal error:  boom in /app/x.php", "level=error"),
        ],
    ),
    (
        "Squid",
        &[
            (
                "1780308000.123    345 10.0.0.7 TCP_MISS/200 4512 GET http://shop.example.com/cart - HIER_DIRECT/93.184.216.34 text/html",
                "kind=request status=2xx us=345000 route=/cart",
            ),
            (
                "1780308003.456  60000 10.0.0.7 TCP_MISS/503 3912 GET http://x/ - HIER_NONE/- text/html",
                "failed=true us=60000000 route=/",
            ),
        ],
    ),
    (
        "Kong's JSON",
        &[(
            r#"{"latencies":{"request":515,"kong":58,"proxy":457},"service":{"name":"shop","id":"1"},"request":{"uri":"/cart","method":"GET"},"client_ip":"10.0.0.7","response":{"status":200,"size":434},"started_at":1780308000425}"#,
            "kind=request status=2xx us=515000 route=/cart time=2026-06-01T10:00:00.940Z",
        )],
    ),
    (
        "Cloudflare",
        &[(
            r#"{"ClientIP":"10.0.0.7","ClientRequestMethod":"GET","ClientRequestURI":"/cart?x=1","EdgeEndTimestamp":"2026-06-01T10:00:00Z","EdgeResponseStatus":500,"EdgeStartTimestamp":"2026-06-01T09:59:59Z","RayID":"3a6050bcbe121a87"}"#,
            "kind=request failed=true us=- route=/cart time=2026-06-01T10:00:00Z",
        )],
    ),
    (
        "Cloudflare, with what it took",
        &[(
            r#"{"ClientIP":"10.0.0.7","ClientRequestMethod":"GET","ClientRequestURI":"/cart?x=1","EdgeEndTimestamp":"2026-06-01T10:00:00Z","EdgeResponseStatus":500,"EdgeStartTimestamp":"2026-06-01T09:59:59Z","EdgeTimeToFirstByteMs":124,"RayID":"3a6050bcbe121a87"}"#,
            "kind=request failed=true us=124000 route=/cart time=2026-06-01T10:00:00Z",
        )],
    ),
    (
        "Azure's gateway",
        &[(
            r#"{"timeStamp":"2026-06-01T10:00:00Z","resourceId":"/x","category":"ApplicationGatewayAccessLog","properties":{"instanceId":"a","clientIP":"10.0.0.7","httpMethod":"GET","requestUri":"/cart","httpStatus":502,"timeTaken":0.25}}"#,
            "kind=request failed=true us=250000 route=/cart",
        )],
    ),
    (
        "Lambda's JSON",
        &[
            (
                r#"{"time":"2026-06-01T10:00:00.123Z","type":"platform.report","record":{"requestId":"6d67e385","metrics":{"durationMs":3923.569,"billedDurationMs":3924},"status":"success"}}"#,
                "kind=request failed=false us=3923569",
            ),
            (
                r#"{"time":"2026-06-01T10:00:00.123Z","type":"platform.report","record":{"requestId":"6d67e385","metrics":{"durationMs":3000.0},"status":"timeout"}}"#,
                "kind=request failed=true",
            ),
        ],
    ),
    (
        "loguru",
        &[(
            r#"{"text":"boom\n","record":{"elapsed":{"repr":"0:00:01","seconds":1.0},"extra":{"status":500,"duration_ms":3},"level":{"icon":"x","name":"ERROR","no":40},"message":"boom","name":"shop","time":{"repr":"2026-06-01 10:00:00.123456+00:00","timestamp":1780308000.123456}}}"#,
            "kind=request failed=true us=3000 level=error",
        )],
    ),
    (
        "semantic_logger and Monolog",
        &[
            (
                r#"{"host":"web-1","application":"shop","timestamp":"2026-06-01T10:00:00.123Z","level":"info","name":"CartController","message":"Completed #show","duration_ms":12.5,"payload":{"controller":"CartController","action":"show","method":"GET","path":"/cart","status":200}}"#,
                "kind=request us=12500 route=/cart service=shop",
            ),
            (
                r#"[2026-06-01T10:00:00.123456+00:00] app.INFO: it is done {"status":500,"duration_ms":12.5} []"#,
                "kind=request failed=true us=12500 level=info",
            ),
        ],
    ),
    (
        "MongoDB",
        &[(
            r#"{"t":{"$date":"2026-06-01T10:00:00.123+00:00"},"s":"E","c":"NETWORK","id":22943,"ctx":"listener","msg":"boom","attr":{"remote":"127.0.0.1:1"}}"#,
            "kind=log level=error time=2026-06-01T10:00:00.123Z",
        )],
    ),
    (
        "Apache's log of errors",
        &[(
            "[Mon Jun 01 10:00:00.123456 2026] [core:error] [pid 35708:tid 4328636416] [client 10.0.0.7] File does not exist: /x",
            "kind=log level=error time=2026-06-01T10:00:00.123456Z",
        )],
    ),
    (
        "Redis",
        &[("1:M 01 Jun 2026 10:00:00.123 * Ready to accept connections", "kind=log time=2026-06-01T10:00:00.123Z")],
    ),
    (
        "Java's own logging",
        &[("Jun 01, 2026 10:00:00 AM shop.Cart add\nSEVERE: boom", "kind=log level=error time=2026-06-01T10:00:00Z")],
    ),
    (
        "uWSGI",
        &[(
            "[pid: 7|app: 0|req: 1/1] 10.0.0.7 () {32 vars in 500 bytes} [Mon Jun  1 10:00:00 2026] GET /cart => generated 512 bytes in 12 msecs (HTTP/1.1 200) 2 headers in 79 bytes (1 switches on core 0)",
            "kind=request status=2xx us=12000 route=/cart",
        )],
    ),
    (
        "chi",
        &[(
            r#"2026/06/01 10:00:00 "GET http://shop.example.com/cart HTTP/1.1" from 10.0.0.7:50000 - 500 11B in 12.3µs"#,
            "kind=request failed=true us=12 route=/cart",
        )],
    ),
    (
        "Serilog's text and Phoenix",
        &[
            (
                "2026-06-01 10:00:00.123 +02:00 [INF] HTTP GET /cart responded 200 in 95.0581 ms",
                "kind=request us=95058 route=/cart level=info",
            ),
            (
                "2026-06-01T10:00:00Z stdout F 10:00:00.123 request_id=F1 [info] Sent 500 in 312µs",
                "kind=request failed=true us=312",
            ),
        ],
    ),
    (
        "zap's and Caddy's console",
        &[(
            "2026/06/01 10:00:00.123\tINFO\thttp\tdone\t{\"status\": 200, \"latency_ms\": 3}",
            "kind=request status=2xx us=3000 level=info",
        )],
    ),
    (
        "addresses in full",
        &[(
            r#"{"timestamp":"2026-06-01T10:00:00Z","severity":"INFO","httpRequest":{"requestMethod":"GET","requestUrl":"https://shop-abc-uc.a.run.app/cart/7?x=1","status":200,"latency":"0.0125s"}}"#,
            "kind=request us=12500 route=/cart/{id}",
        )],
    ),
    (
        "nginx with the line of the request in one field",
        &[(
            r#"{"time_iso8601":"2026-06-01T10:00:00+00:00","remote_addr":"10.0.0.7","request":"GET /cart/7 HTTP/1.1","status":"200","body_bytes_sent":"5","request_time":"0.012"}"#,
            "kind=request us=12000 route=/cart/{id}",
        )],
    ),
    (
        "durations of other languages",
        &[
            (r#"{"time":"2026-06-01T10:00:00Z","status":200,"duration":"00:00:00.0441234"}"#, "us=44123"),
            (r#"{"time":"2026-06-01T10:00:00Z","status":200,"duration":"PT0.7S"}"#, "us=700000"),
            (r#"{"time":"2026-06-01T10:00:00Z","status":200,"duration":"3.1 seconds"}"#, "us=3100000"),
        ],
    ),
];

#[test]
fn lines_that_others_wrote_say_what_they_say() {
    let mut wrong = Vec::new();
    for (form, lines) in LOGS {
        let texts: Vec<String> = lines.iter().map(|(line, _)| (*line).to_owned()).collect();
        let survey = found(&texts);
        let mut decoder = Decoder::new(&survey.plan, "app.log");
        for (line, expect) in *lines {
            let read = match decoder.decode(line, 1) {
                Ok(Decoded::Event(event)) => {
                    let names = Intern::names(decoder.interner());
                    let service = names.services.get(usize::from(event.service)).map(|key| key.service.clone());
                    let latency = Some(event.latency_us).filter(|us| *us != NO_LATENCY);
                    BTreeMap::from([
                        ("kind", event.kind.name().to_owned()),
                        ("status", format!("{}xx", event.status_class)),
                        ("failed", event.error.to_string()),
                        ("us", latency.map_or("-".to_owned(), |us| us.to_string())),
                        ("level", event.level.name().to_owned()),
                        ("route", name_at(&names.routes, event.route).cloned().unwrap_or_default()),
                        ("service", service.unwrap_or_default()),
                        ("time", event.time.to_string()),
                        ("unit", survey.plan.unit.name().replace(' ', "-")),
                    ])
                }
                other => {
                    wrong.push(format!("{form}: {other:?}: {line}"));
                    continue;
                }
            };
            for (key, value) in expect.split(' ').filter_map(|pair| pair.split_once('=')) {
                let found = read[key].as_str();
                if found != value {
                    wrong.push(format!("{form}: {key} is {found} and not {value}: {line}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} of {} logs:\n{}", wrong.len(), LOGS.len(), wrong.join("\n"));
}
