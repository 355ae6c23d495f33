//! What is a request, and what is work inside one, a probe or a call to somebody else.

use serde_json::{Map, Value};
use serin::compare::verdict::Flaw;

use crate::common::{folder_with, serin};
use crate::{explained, log};

/// Each hundredth line is of a probe.
#[test]
fn health_probes_in_another_form_displace_no_requests() {
    let text = log(|of, number| {
        let probe =
            "127.0.0.1 - - [01/Jun/2026:10:00:00 +0000] \"GET /health HTTP/1.1\" 200 2 \"-\" \"kube-probe/1.29\"";
        let line = Value::Object(
            of.iter().filter(|(key, _)| *key != "service").map(|(key, value)| (key.clone(), value.clone())).collect(),
        );
        if number % 100 == 99 { format!("{line}\n{probe}") } else { line.to_string() }
    });
    let folder = folder_with(&[("app.log", text.as_bytes())]);
    let report = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
    assert_eq!(report["comparisons"][0]["candidate"], "canary", "{report}");
    assert_eq!(report["comparisons"][0]["unit"], "user");
}

#[test]
fn words_beside_a_text_make_no_request() {
    for text in ["retry after 500 ms status=ok", "job status=failed duration=3", "probe of db status=down took=5ms"] {
        let said = explained(&format!("2026-06-01T10:00:00Z INFO {text}\n").repeat(5));
        assert!(said.contains("a log line") && !said.contains("a request"), "{text}: {said}");
    }
}

#[test]
fn calls_to_others_are_no_requests_where_a_service_logs_its_own() {
    // The retried call of the canary fails; what the user asked for does not.
    let call = |of: &Map<String, Value>, url: &str| {
        format!(
            "{{\"ts\":{},\"cohort\":{},\"user\":{},\"msg\":\"http client request\",{url},\"http.status_code\":503,\"duration_ms\":9}}",
            of["ts"], of["cohort"], of["user"]
        )
    };
    let own = |of: &Map<String, Value>| {
        format!(
            "{{\"ts\":{},\"cohort\":{},\"user\":{},\"path\":\"/a\",\"http.status_code\":200,\"duration_ms\":20}}",
            of["ts"], of["cohort"], of["user"]
        )
    };
    let compared = |text: String| -> (Value, String) {
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let how = ["compare", "app.log", "--segment", "none", "--format", "json"];
        let report: Value = serde_json::from_str(&serin(folder.path(), &how).out).unwrap();
        (report["comparisons"][0]["requests"].clone(), report["survey"]["notes"].to_string())
    };
    let (alone, _) = compared(log(|of, _| own(of)));
    for url in [
        "\"url\":\"http://prices/x\",\"path\":\"/x\"",
        "\"request\":{\"url\":\"http://prices/x\"}",
        "\"Uri\":\"http://prices/x\",\"SourceContext\":\"System.Net.Http.HttpClient.Prices.ClientHandler\"",
        "\"peer.service\":\"prices\",\"path\":\"/x\"",
        "\"url.full\":\"http://prices/x\"",
        "\"http.url\":\"https://prices/x\"",
        "\"peer.service\":\"prices\"",
        "\"url\":\"http://prices/x\"",
    ] {
        let (beside, notes) = compared(log(|of, _| format!("{}\n{}", call(of, url), own(of))));
        assert_eq!(beside, alone, "{url}: {notes}");
        assert!(notes.contains("calls to others") && notes.contains("=outgoing"), "{notes}");
        // Where nothing else looks like a request, they are; a probe is none.
        let (probed, notes) =
            compared(log(|of, _| format!("{}\n{}", call(of, url), own(of).replace("/a", "/healthz"))));
        assert_eq!(probed, alone, "{url}: {notes}");
        let (calls, notes) = compared(log(|of, _| call(of, url)));
        assert_eq!(calls, alone, "{url}: {notes}");
    }
}

#[test]
fn what_a_library_logs_is_no_request_of_the_service() {
    let request = log(|of, n| {
        format!(
            "{{\"@t\":{},\"@mt\":\"HTTP {{RequestMethod}} responded\",\"RequestMethod\":\"GET\",\"RequestPath\":\"/a\",\"StatusCode\":{},\
             \"Elapsed\":{},\"UserId\":{},\"SourceContext\":\"Serilog.AspNetCore.RequestLoggingMiddleware\",\"Version\":{}}}\n\
             {{\"@t\":{},\"@mt\":\"Executed DbCommand ({{elapsed}}ms)\",\"elapsed\":\"3\",\"RequestPath\":\"/a\",\"UserId\":{},\
             \"SourceContext\":\"Microsoft.EntityFrameworkCore.Database.Command\",\"Version\":{},\"n\":{n}}}",
            of["ts"], of["status"], of["latency_ms"], of["user"], of["cohort"], of["ts"], of["user"], of["cohort"]
        )
    });
    let requests = |text: &str| {
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        serin(folder.path(), &["compare", "app.log", "--format", "json"]).json()["comparisons"][0]["requests"].clone()
    };
    let alone: String =
        request.lines().filter(|line| !line.contains("Executed")).map(|line| line.to_owned() + "\n").collect();
    assert_eq!(requests(&request), requests(&alone));
    assert!(requests(&alone)[1].as_u64().unwrap() > 100);
}

#[test]
fn lines_with_a_path_and_a_duration_are_work_where_requests_have_a_status() {
    let text = log(|of, n| {
        let step = format!(
            "{{\"ts\":{},\"level\":30,\"req\":{{\"method\":\"GET\",\"url\":\"/a\"}},\"duration_ms\":{},\"msg\":\"db query\",\"user\":{},\"cohort\":{}}}\n",
            of["ts"],
            2 + n % 3,
            of["user"],
            of["cohort"]
        );
        let end = format!(
            "{{\"ts\":{},\"level\":30,\"req\":{{\"method\":\"GET\",\"url\":\"/a\"}},\"res\":{{\"statusCode\":{}}},\"responseTime\":{},\"user\":{},\"cohort\":{}}}",
            of["ts"], of["status"], of["latency_ms"], of["user"], of["cohort"]
        );
        step.repeat(12) + &end
    });
    let folder = folder_with(&[("app.log", text.as_bytes())]);
    let said = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
    let requests: u64 = said["comparisons"][0]["requests"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
    assert!((1_000..=1_200).contains(&requests), "{requests}");
    assert!(explained(&text).contains("work inside them"));
    // Where nothing has a status they are all that there is, and those that failed count with them.
    for told in [",\"error\":\"boom\"", ",\"error\":\"boom\",\"status\":500"] {
        let line = |n: u64| {
            let rest = if n.is_multiple_of(10) { told } else { "" };
            format!(
                "{{\"ts\":\"2026-06-01T10:00:{:02}Z\",\"path\":\"/a\",\"duration_ms\":{n},\"user\":\"u{n}\"{rest}}}\n",
                n % 60
            )
        };
        let said = explained(&(0..200).map(line).collect::<String>());
        assert!(said.contains("100.0 % a request"), "{told}: {said}");
    }
    let alone: String =
        text.lines().filter(|line| line.contains("db query")).map(|line| line.to_owned() + "\n").collect();
    assert!(explained(&alone).contains("100.0 % a request"));
}

/// Steps of requests fail and are tried again: with what marks them, they are no requests however they ended. A request that crashed before it had
/// a status is one.
#[test]
fn a_step_that_failed_is_none_of_the_requests_and_a_crash_is_one() {
    for (mark, told, crashes) in [
        (",\"sql\":\"select 1\"", true, false),
        (",\"db\":{\"rows\":3}", true, false),
        // By its value: requests of this log have a status when they fail.
        (",\"msg\":\"query\"", true, false),
        (",\"msg\":\"query\"", true, true),
        (",\"sql\":\"select 1\"", true, true),
        // Nothing marks it.
        ("", false, false),
    ] {
        let mut crashed = 0;
        let text = log(|of, n| {
            let base = format!(
                "{{\"ts\":{},\"service\":\"shop\",\"user\":{},\"cohort\":{},\"path\":\"/a\"",
                of["ts"], of["user"], of["cohort"]
            );
            let failed = if n % 8 == 0 { ",\"error\":\"deadlock, tried again\"" } else { "" };
            let step = format!("{base},\"duration_ms\":3{mark}{failed}}}\n");
            let is_crash = crashes && n % 10 == 3;
            crashed += u64::from(is_crash);
            let status = if n % 50 == 1 { "500" } else { "200" };
            let end = match is_crash {
                true => format!("{base},\"duration_ms\":9,\"error\":\"boom\",\"msg\":\"died\"}}"),
                false => format!("{base},\"duration_ms\":20,\"status\":{status},\"msg\":\"request\"}}"),
            };
            step.repeat(3) + &end
        });
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
        let of = &said["comparisons"][0];
        let requests: u64 = of["requests"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
        let all = text.lines().count() as u64 / 4;
        assert_eq!((1..=all).contains(&requests), told, "{mark} {crashes}: {requests}");
        if told {
            assert!(requests > all - all / 10, "{mark} {crashes}: {requests} of {all}");
        }
    }
}

/// Calls to others with a path and a status of their own, and the lines of error handlers: another line stands for the request.
#[test]
fn what_stands_beside_the_line_of_a_request_is_none() {
    let id = |n: usize| format!("{:08x}-0000-4000-8000-{n:012x}", n * 7_919);
    // How a line of a request says whose it is, and what is written before it: its form, and whether only failures have it.
    let cases: [(&str, &str, bool, bool); 7] = [
        (
            "request_id",
            "\"method\":\"GET\",\"path\":\"/stock\",\"component\":\"http-client\",\"status\":STATUS,\"duration_ms\":3",
            false,
            true,
        ),
        (
            "trace_id",
            "\"method\":\"GET\",\"path\":\"/stock\",\"upstream\":\"stock\",\"status\":STATUS,\"duration_ms\":3",
            false,
            false,
        ),
        ("trace_id", "\"msg\":\"stock responded\",\"status\":STATUS,\"elapsed_ms\":3", false, true),
        (
            "request_id",
            "\"level\":\"error\",\"msg\":\"handler error\",\"err\":\"boom\",\"path\":\"/a\",\"status\":STATUS,\"duration_ms\":3",
            true,
            true,
        ),
        (
            "",
            "\"level\":\"error\",\"msg\":\"boom\",\"url\":\"/a\",\"statusCode\":STATUS,\"stack\":\"Error: boom\"",
            true,
            true,
        ),
        // Ids of their own: requests of another kind.
        (
            "own",
            "\"method\":\"POST\",\"path\":\"/graphql\",\"operation\":\"cart\",\"status\":STATUS,\"duration_ms\":3",
            false,
            false,
        ),
        // Nothing tells: they count, as they did.
        (
            "",
            "\"method\":\"POST\",\"path\":\"/graphql\",\"operation\":\"cart\",\"status\":STATUS,\"duration_ms\":3",
            false,
            false,
        ),
    ];
    for (by, form, only_failures, is_inside) in cases {
        let mut others = 0;
        let text = log(|of, n| {
            let base = format!(
                "{{\"ts\":{},\"service\":\"shop\",\"user\":{},\"cohort\":{}",
                of["ts"], of["user"], of["cohort"]
            );
            let failed = of["cohort"] == "canary" && n % 5 == 0;
            let told = |n: usize| match by {
                "" => String::new(),
                "own" => format!(",\"request_id\":\"{}\"", id(n)),
                by => format!(",\"{by}\":\"{}\"", id(n)),
            };
            let (own, inner) = if by == "own" { (told(n), told(n + 1_000_000)) } else { (told(n), told(n)) };
            let inner = if only_failures { "" } else { &inner };
            let other = format!("{base}{inner},{}}}\n", form.replace("STATUS", if failed { "500" } else { "200" }));
            // What calls went wrong was made good; what handlers tell of is how the request ended.
            let status = if failed && only_failures { 500 } else { 200 };
            let end = format!(
                "{base}{own},\"method\":\"GET\",\"path\":\"/a\",\"status\":{status},\"duration_ms\":20,\"msg\":\"request completed\"}}"
            );
            let writes = !only_failures || failed;
            others += u64::from(writes);
            if writes { other + &end } else { end }
        });
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
        let of = &said["comparisons"][0];
        let requests: u64 = of["requests"].as_array().unwrap().iter().filter_map(Value::as_u64).sum();
        let own = text.lines().count() as u64 - others;
        let expected = if is_inside { own } else { own + others };
        assert!((expected * 9 / 10..=expected).contains(&requests), "{by} {form}: {requests} of {expected}");
        if !only_failures {
            assert_eq!(of["verdict"] == "fail", !is_inside, "{by} {form}: {}", of["reasons"]);
        }
        assert_eq!(explained(&text).contains("work inside them"), is_inside, "{by} {form}");
    }
}

/// What looks like work inside requests, and is requests: every fifth that the canary is asked fails, and that is found.
#[test]
fn requests_of_their_own_are_not_taken_for_work() {
    type Form = fn(&dyn Fn(u64, &str) -> String, bool) -> String;
    // One id for two requests, one after the other.
    let sequence: Form = |line, fails| {
        let status = if fails { 500 } else { 200 };
        line(20, "\"request_id\":\"ID\",\"path\":\"/page\",\"status\":200,\"duration_ms\":20")
            + &line(
                60,
                &format!(
                    "\"request_id\":\"ID\",\"operation\":\"add\",\"path\":\"/add\",\"status\":{status},\"duration_ms\":30"
                ),
            )
    };
    // What marks the work of one service is in the requests of another.
    let marks: Form = |line, fails| {
        let status = if fails { 500 } else { 200 };
        let of = |at, name: &str, rest: &str| line(at, &format!("\"service\":\"{name}\",\"request_id\":\"ID\",{rest}"));
        of(10, "gw", "\"operation\":\"ask\",\"path\":\"/ask\",\"status\":200,\"duration_ms\":5")
            + &of(20, "gw", "\"path\":\"/page\",\"status\":200,\"duration_ms\":19")
            + &of(
                30,
                "shop",
                &format!("\"operation\":\"cart\",\"path\":\"/cart\",\"status\":{status},\"duration_ms\":9"),
            )
    };
    let word: Form = |line, fails| {
        let status = if fails { "error" } else { "ok" };
        line(20, &format!("\"path\":\"/page\",\"status\":\"{status}\",\"statusCode\":200,\"duration_ms\":20"))
    };
    // A request that failed says less than the call inside it.
    let call: Form = |line, fails| {
        let called = line(
            10,
            "\"request_id\":\"ID\",\"upstream\":\"stock\",\"path\":\"/stock\",\"status\":200,\"duration_ms\":5",
        );
        let end = match fails {
            true => line(10, "\"request_id\":\"ID\",\"msg\":\"request failed\",\"path\":\"/page\",\"status\":500"),
            false => line(
                20,
                "\"request_id\":\"ID\",\"msg\":\"request completed\",\"path\":\"/page\",\"status\":200,\"duration_ms\":19",
            ),
        };
        called + &end
    };
    // Whoever met a failure asks again.
    let again: Form = |line, fails| {
        let first = match fails {
            true => line(20, "\"msg\":\"request failed\",\"path\":\"/page\",\"status\":500,\"duration_ms\":20"),
            false => String::new(),
        };
        first + &line(70, "\"msg\":\"request completed\",\"path\":\"/page\",\"status\":200,\"duration_ms\":40")
    };
    // What only calls had so far, the requests of the next version have too.
    let host: Form = |line, fails| {
        let (host, status) = if fails { (",\"host\":\"a\"", 500) } else { ("", 200) };
        line(
            10,
            "\"request_id\":\"ID\",\"msg\":\"called\",\"host\":\"stock\",\"path\":\"/stock\",\"status\":200,\"duration_ms\":5",
        ) + &line(
            20,
            &format!(
                "\"request_id\":\"ID\",\"msg\":\"request completed\",\"path\":\"/page\",\"status\":{status},\"duration_ms\":19{host}"
            ),
        )
    };
    // Requests of a page, and what it asks for meanwhile, are of one trace.
    let page: Form = |line, fails| {
        let status = if fails { 500 } else { 200 };
        line(
            30,
            &format!(
                "\"trace_id\":\"ID\",\"operation\":\"cart\",\"path\":\"/graphql\",\"status\":{status},\"duration_ms\":9"
            ),
        ) + &line(60, "\"trace_id\":\"ID\",\"path\":\"/page\",\"status\":200,\"duration_ms\":59")
    };
    let cases: [(&str, Form, &str); 7] = [
        ("sequence", sequence, ""),
        ("marks", marks, "shop"),
        ("word", word, ""),
        ("call", call, ""),
        ("again", again, ""),
        ("host", host, ""),
        ("page", page, ""),
    ];
    for (what, form, service) in cases {
        let mut text = String::new();
        for n in 0..3_000u64 {
            let user = n * 7 % 401;
            // The first lines, by which a log is understood, may show none of the canary.
            let is_canary = user % 4 == 0 && (what != "host" || n > 2_000);
            let arm = if is_canary { "canary" } else { "baseline" };
            let line = |ms: u64, fields: &str| {
                let at = n * 997 + ms;
                let (minutes, seconds, ms) = (at / 60_000, at / 1_000 % 60, at % 1_000);
                let id = format!("{n:08x}-0000-4000-8000-000000000000");
                format!(
                    "{{\"ts\":\"2026-06-01T10:{minutes:02}:{seconds:02}.{ms:03}Z\",\"user\":\"u{user}\",\"cohort\":\"{arm}\",{}}}\n",
                    fields.replace("ID", &id)
                )
            };
            text += &form(&line, is_canary && n % 5 == 0);
        }
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
        let list = said["comparisons"].as_array().unwrap();
        let of = list.iter().find(|of| service.is_empty() || of["service"] == service).unwrap();
        assert_eq!(of["verdict"], "fail", "{what}: {} {}", of["reasons"], said["survey"]["notes"]);
    }
}

/// What happens inside requests, and fails in the canary: no rollback for what requests got over, and no pass over what they did not.
#[test]
fn what_happens_inside_requests_decides_nothing_by_itself() {
    type Form = fn(&dyn Fn(u64, &str) -> String, u64, bool) -> String;
    const REQUEST: &str = "\"request_id\":\"ID\",\"msg\":\"done\",\"path\":\"/page\",\"status\":200,\"duration_ms\":39";
    // A call that only the canary makes, which the first lines do not show.
    let late: Form = |line, n, is_canary| {
        let status = if n.is_multiple_of(5) { 503 } else { 200 };
        let call = match is_canary {
            true => format!(
                "\"request_id\":\"ID\",\"msg\":\"called\",\"component\":\"stock\",\"path\":\"/stock\",\"status\":{status},\"duration_ms\":5"
            ),
            false => return line(40, REQUEST),
        };
        line(20, &call) + &line(40, REQUEST)
    };
    // One that shares with its request the piece of work of the trace alone.
    let span: Form = |line, n, is_canary| {
        let status = if is_canary && n.is_multiple_of(5) { 503 } else { 200 };
        let ids = "\"traceId\":\"ID\",\"spanId\":\"s-ID\"";
        line(
            20,
            &format!(
                "{ids},\"msg\":\"called\",\"component\":\"stock\",\"path\":\"/stock\",\"status\":{status},\"duration_ms\":5"
            ),
        ) + &line(40, &format!("{ids},\"msg\":\"done\",\"path\":\"/page\",\"status\":200,\"duration_ms\":39"))
    };
    // Requests of many optional fields.
    let wide: Form = |line, n, is_canary| {
        let status = if is_canary && n.is_multiple_of(5) { 503 } else { 200 };
        let some: String = (0..9).filter(|bit| n >> bit & 1 == 1).map(|bit| format!(",\"field{bit}\":{n}")).collect();
        line(
            20,
            &format!(
                "\"request_id\":\"ID\",\"msg\":\"called\",\"component\":\"stock\",\"path\":\"/stock\",\"status\":{status},\"duration_ms\":5"
            ),
        ) + &line(40, &format!("{REQUEST}{some}"))
    };
    // Many kinds of calls.
    let kinds: Form = |line, n, is_canary| {
        let status = if is_canary && n.is_multiple_of(5) { 503 } else { 200 };
        let kind = n * 7 / 5 % 20;
        line(
            20,
            &format!(
                "\"request_id\":\"ID\",\"msg\":\"call number {kind}\",\"component\":\"of{kind}\",\"path\":\"/{kind}\",\"status\":{status},\"duration_ms\":5"
            ),
        ) + &line(40, REQUEST)
    };
    // It is the client's fault, whatever the word beside the code.
    let jsend: Form = |line, n, is_canary| {
        let rest = match n % 5 {
            0 if is_canary => "\"status\":\"fail\",\"statusCode\":404",
            _ => "\"status\":\"success\",\"statusCode\":200",
        };
        line(40, &format!("\"request_id\":\"ID\",\"msg\":\"done\",\"path\":\"/page\",\"duration_ms\":39,{rest}"))
    };
    // The answer is one of 200 whatever became of what was asked.
    let graphql: Form = |line, n, is_canary| {
        let status = if is_canary && n.is_multiple_of(5) { "error" } else { "ok" };
        line(
            38,
            &format!(
                "\"request_id\":\"ID\",\"msg\":\"graphql operation\",\"operation\":\"cart\",\"status\":\"{status}\",\"duration_ms\":30"
            ),
        ) + &line(40, REQUEST)
    };
    let cases: [(&str, Form, &[&str]); 6] = [
        ("late", late, &["inconclusive"]),
        ("span", span, &["inconclusive"]),
        ("wide", wide, &["inconclusive"]),
        ("kinds", kinds, &["inconclusive"]),
        ("jsend", jsend, &["inconclusive"]),
        ("graphql", graphql, &["inconclusive"]),
    ];
    for (what, form, verdicts) in cases {
        let text = of_requests(what == "late", &form);
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
        let of = &said["comparisons"][0];
        let told = format!("{what}: {} {} {}", of["reasons"], of["flaws"], said["survey"]["notes"]);
        assert!(verdicts.iter().any(|verdict| of["verdict"] == *verdict), "{} {told}", of["verdict"]);
        assert!(of["automatic_at"].is_null(), "{told}");
        assert_eq!(of["flaws"].to_string().contains(Flaw::UnequalCalls.name()), what == "late", "{told}");
    }
}

/// Makes a line of fields, so many milliseconds after the begin of its request.
type LineOf<'a> = &'a dyn Fn(u64, &str) -> String;

/// Lines of 16,000 requests, a third of them the canary's, which begins late or at once. `form`: the lines of one, by a function that makes a
/// line of fields so many milliseconds after its begin; `ID` in them is that of the request.
fn of_requests(is_late: bool, form: &dyn Fn(LineOf<'_>, u64, bool) -> String) -> String {
    let mut text = String::new();
    for n in 0..16_000u64 {
        let user = n * 7 % 1_201;
        let is_canary = user.is_multiple_of(3) && (!is_late || n > 6_000);
        let arm = if is_canary { "canary" } else { "baseline" };
        let line = |ms: u64, fields: &str| {
            let at = n * 97 + ms;
            let (minutes, seconds, ms) = (at / 60_000, at / 1_000 % 60, at % 1_000);
            let id = format!("{n:08x}-0000-4000-8000-000000000000");
            format!(
                "{{\"ts\":\"2026-06-01T10:{minutes:02}:{seconds:02}.{ms:03}Z\",\"user\":\"u{user}\",\"cohort\":\"{arm}\",{}}}\n",
                fields.replace("ID", &id)
            )
        };
        text += &form(&line, n, is_canary);
    }
    text
}

/// A call inside requests that only the canary makes, which the first lines do not show, and whose failures it gets over, is no failure,
/// whatever ids it has and however often it fails. A canary whose requests fail themselves fails all the same.
#[test]
fn failures_that_the_canary_gets_over_are_none() {
    let ids = "\"request_id\":\"ID\",\"trace_id\":\"t-ID\"";
    let of_trace = "\"trace_id\":\"t-ID\"";
    let of_other = "\"request_id\":\"other-ID\",\"trace_id\":\"t-ID\"";
    for (what, call_ids, path, after, often, fails, itself) in [
        ("always", ids, "/stock", 20, 1, 1, 0),
        ("seldom", ids, "/stock", 20, 16, 2, 0),
        ("same path", ids, "/page", 20, 1, 12, 0),
        ("behind its answer", ids, "/stock", 60, 1, 12, 0),
        ("by trace", of_trace, "/stock", 20, 1, 12, 0),
        ("of another id", of_other, "/stock", 20, 1, 12, 0),
        ("fails itself", ids, "/stock", 20, 1, 12, 8),
    ] {
        let text = of_requests(true, &|line, n, is_canary| {
            let status = if is_canary && itself > 0 && n % itself == 5 { 500 } else { 200 };
            let request =
                line(40, &format!("{ids},\"msg\":\"done\",\"path\":\"/page\",\"status\":{status},\"duration_ms\":39"));
            let number = n / 3;
            if !is_canary || !number.is_multiple_of(often) {
                return request;
            }
            let status = if (number / often).is_multiple_of(fails) { 503 } else { 200 };
            let call = format!(
                "{call_ids},\"msg\":\"called\",\"component\":\"stock\",\"path\":\"{path}\",\"status\":{status},\"duration_ms\":5"
            );
            if after > 40 { request + &line(after, &call) } else { line(after, &call) + &request }
        });
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
        let of = &said["comparisons"][0];
        let told = format!("{what}: {} {}", of["reasons"], of["flaws"]);
        assert_eq!(of["verdict"], if itself == 0 { "inconclusive" } else { "fail" }, "{told}");
        assert_eq!(of["automatic_at"].is_null(), itself == 0, "{told}");
        assert!(of["flaws"].to_string().contains(Flaw::UnequalCalls.name()), "{told}");
    }
}

/// All requests of a page have its id and one path: each is a request, and none an attempt of the one before.
#[test]
fn requests_of_a_page_under_one_id_are_no_attempts() {
    let text = of_requests(false, &|line, n, is_canary| {
        let of = |at: u64, operation: &str, fails: bool| {
            let status = if fails { 500 } else { 200 };
            line(
                at,
                &format!(
                    "\"correlation_id\":\"ID\",\"msg\":\"done\",\"path\":\"/graphql\",\"operation\":\"{operation}\",\"status\":{status},\"duration_ms\":9"
                ),
            )
        };
        of(10, "Cart", is_canary && n.is_multiple_of(11)) + &of(30, "Prices", false) + &of(50, "Banner", false)
    });
    let folder = folder_with(&[("app.log", text.as_bytes())]);
    let said = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
    let of = &said["comparisons"][0];
    assert_eq!(of["verdict"], "fail", "{}", of["reasons"]);
    assert!(!of["automatic_at"].is_null(), "{}", of["flaws"]);
}

/// `retrieve` and `against` say nothing of trying again.
#[test]
fn words_within_words_make_no_attempts() {
    // Two requests of one user at once, of which the canary's second fails.
    for message in ["failed to retrieve the cart", "failed to check against stock", "could not load the cart"] {
        let text = of_requests(false, &|line, n, is_canary| {
            let second = match is_canary && n.is_multiple_of(9) {
                true => format!("\"msg\":\"{message}\",\"path\":\"/cart\",\"status\":500,\"duration_ms\":20"),
                false => "\"msg\":\"done\",\"path\":\"/cart\",\"status\":200,\"duration_ms\":20".to_owned(),
            };
            line(30, &second) + &line(40, "\"msg\":\"done\",\"path\":\"/cart\",\"status\":200,\"duration_ms\":38")
        });
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
        assert_eq!(said["comparisons"][0]["verdict"], "fail", "{message}: {}", said["survey"]["notes"]);
    }
}

/// Of services that call each other that is compared where requests come in; where it has one version alone, those that have two are named.
#[test]
fn what_could_be_compared_instead_is_said() {
    let text = of_requests(false, &|line, n, is_canary| {
        let status = if is_canary && n.is_multiple_of(5) { 500 } else { 200 };
        let version = if is_canary { "1.5.0" } else { "1.4.2" };
        let of = |at: u64, service: &str, version: &str, took: u64| {
            line(
                at,
                &format!(
                    "\"trace_id\":\"ID\",\"service\":\"{service}\",\"version\":\"{version}\",\"path\":\"/a\",\"status\":{status},\"duration_ms\":{took}"
                ),
            )
            .replace("\"cohort\":\"canary\",", "")
            .replace("\"cohort\":\"baseline\",", "")
        };
        of(20, "shop", version, 20) + &of(30, "gateway", "3", 30)
    });
    let folder = folder_with(&[("app.log", text.as_bytes())]);
    let said = serin(folder.path(), &["compare", "app.log"]).out;
    let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("has 1.4.2 and 1.5.0: --service shop compares those"), "{said}");
    let said = serin(folder.path(), &["compare", "app.log", "--service", "shop", "--format", "json"]).json();
    let of = &said["comparisons"][0];
    assert_eq!((&of["service"], &of["verdict"]), (&Value::from("shop"), &Value::from("fail")), "{}", of["reasons"]);
}

/// Failures that have a form of their own are the requests; what else of the user failed at the time is another.
#[test]
fn requests_that_fail_in_another_form_are_requests() {
    let text = log(|of, n| {
        let base =
            format!("{{\"ts\":{},\"service\":\"shop\",\"user\":{},\"cohort\":{}", of["ts"], of["user"], of["cohort"]);
        let icon = format!(
            "{base},\"msg\":\"request completed\",\"path\":\"/favicon.ico\",\"status\":404,\"duration_ms\":30}}\n"
        );
        let page = match of["cohort"] == "canary" && n % 5 == 0 {
            true => format!(
                "{base},\"msg\":\"request failed\",\"error\":\"boom\",\"path\":\"/a\",\"status\":500,\"duration_ms\":20}}"
            ),
            false => {
                format!("{base},\"msg\":\"request completed\",\"path\":\"/a\",\"status\":200,\"duration_ms\":20}}")
            }
        };
        icon + &page
    });
    let folder = folder_with(&[("app.log", text.as_bytes())]);
    let said = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
    assert_eq!(said["comparisons"][0]["verdict"], "fail", "{}", said["comparisons"][0]["reasons"]);
    assert!(!explained(&text).contains("work inside"));
}

/// The code of an answer counts, whatever a word beside it says.
#[test]
fn a_code_counts_before_a_word() {
    for (word, code) in
        [("completed", "http_status_code"), ("ok", "statusCode"), ("success", "http.status_code"), ("done", "code")]
    {
        let text = log(|of, _| {
            let status = if of["cohort"] == "canary" { "500" } else { "200" };
            format!(
                "{{\"ts\":{},\"status\":\"{word}\",\"{code}\":{status},\"cohort\":{},\"user\":{}}}",
                of["ts"], of["cohort"], of["user"]
            )
        });
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
        assert_eq!(said["comparisons"][0]["verdict"], "fail", "{word} {code}");
    }
    // Whose fault it was says the code alone.
    for (word, rest, verdict) in [
        ("fail", "\"statusCode\":404", "inconclusive"),
        ("error", "\"grpc_code\":\"NotFound\"", "inconclusive"),
        ("error", "\"statusCode\":200", "fail"),
        ("ok", "\"grpc_code\":\"Unavailable\"", "fail"),
    ] {
        let text = log(|of, _| {
            let status = match of["cohort"] == "canary" {
                true => format!("\"status\":\"{word}\",{rest}"),
                false if rest.contains("grpc") => "\"status\":\"success\",\"grpc_code\":\"OK\"".to_owned(),
                false => "\"status\":\"success\",\"statusCode\":200".to_owned(),
            };
            format!("{{\"ts\":{},{status},\"cohort\":{},\"user\":{}}}", of["ts"], of["cohort"], of["user"])
        });
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
        assert_eq!(said["comparisons"][0]["verdict"], verdict, "{word} {rest}");
    }
}

/// Every pod is asked alike whether it is there, so that a small canary has many such lines.
#[test]
fn probes_of_health_are_no_requests() {
    for probe in [
        "\"method\":\"GET\",\"path\":\"/healthz\",\"status\":503",
        "\"path\":\"/actuator/health/readiness\",\"status\":503,\"user_agent\":\"kube-probe/1.29\"",
        "\"path\":\"/\",\"status\":503,\"user_agent\":\"GoogleHC/1.0\"",
        "\"path\":\"/up\",\"status\":503",
        "\"path\":\"/_health\",\"status\":503",
        "\"path\":\"/health/ready\",\"status\":503",
        "\"path\":\"/shop/actuator/prometheus\",\"status\":503",
        "\"path\":\"/api/v1/health\",\"status\":503",
        "\"path\":\"/internal/health/ready\",\"status\":503",
    ] {
        let text = log(|of, n| {
            let probe = match n % 3 {
                0 => format!("{{\"ts\":{},\"cohort\":\"canary\",{probe}}}\n", of["ts"]),
                _ => String::new(),
            };
            format!(
                "{probe}{{\"ts\":{},\"path\":\"/a\",\"status\":200,\"cohort\":{},\"user\":{}}}",
                of["ts"], of["cohort"], of["user"]
            )
        });
        let folder = folder_with(&[("app.log", text.as_bytes())]);
        let said = serin(folder.path(), &["compare", "app.log", "--format", "json"]).json();
        let of = &said["comparisons"][0];
        assert_eq!(
            (&of["verdict"], of["flaws"].as_array().unwrap().len()),
            (&Value::from("inconclusive"), 0),
            "{probe}: {of}"
        );
        // That users have such a path is possible until it is seen that none does.
        let is_told = explained(&text).contains("400 lines of (unnamed service) ask only whether it is there");
        assert_eq!(is_told, !probe.contains("/up"), "{probe}");
    }
    // What is ready is what users ask for, though no line names one.
    for path in ["/api/orders/ready", "/system/patients/health", "/health/plans/ready"] {
        let text = log(|of, n| {
            let status = if of["cohort"] == "canary" && n % 5 == 0 { 503 } else { 200 };
            format!(
                "{{\"ts\":{},\"path\":\"{path}\",\"status\":{status},\"cohort\":{},\"client_ip\":\"10.0.{}.{}\"}}",
                of["ts"],
                of["cohort"],
                n / 250,
                n % 250
            )
        });
        assert!(explained(&text).contains("100.0 % a request"), "{path}");
    }
    // A page of that name that users ask for is a page.
    let text = log(|of, _| {
        format!(
            "{{\"ts\":{},\"path\":\"/live\",\"status\":200,\"cohort\":{},\"user\":{}}}",
            of["ts"], of["cohort"], of["user"]
        )
    });
    assert!(explained(&text).contains("100.0 % a request"));
}

#[test]
fn a_call_says_which_way_it_goes() {
    for way in ["\"span.kind\":\"client\"", "\"span_kind\":\"SPAN_KIND_CLIENT\""] {
        let text = log(|of, _| {
            let base = format!(
                "{{\"ts\":{},\"service\":\"shop\",\"cohort\":{},\"user\":{}",
                of["ts"], of["cohort"], of["user"]
            );
            format!("{base},{way},\"path\":\"/stock\",\"status\":503}}\n{base},\"path\":\"/a\",\"status\":200}}")
        });
        assert!(
            explained(&text).contains("1200 lines of shop name a whole URL or a peer"),
            "{way}: {}",
            explained(&text)
        );
    }
}
