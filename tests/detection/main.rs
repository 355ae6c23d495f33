//! The forms in which logs come: 50 lines of each, written as its own documentation says, must be recognised with all that they say:
//! whether a line is a request, when it was done, how it ended, how long it took, how bad it was, whose it was, of which service and version.

mod applications;
mod clouds;
mod model;
mod seen;
mod servers;
mod wrappings;

use model::{Has, Line, Shape};
use serin::event::{Intern, Kind, Level, NO_LATENCY, identity_hash, name_at};
use serin::pipeline::decode::{Decoded, Decoder};
use serin::pipeline::plan::{ArmRule, UnitKind};
use serin::pipeline::plan_text;
use serin::pipeline::survey::{Head, Survey, Wishes, survey};
use serin::time::Timestamp;

fn shapes() -> Vec<Shape> {
    [applications::SHAPES, servers::SHAPES, clouds::SHAPES, wrappings::SHAPES].concat()
}

/// The year in which times without one lie, where nothing else tells.
fn found(lines: &[String]) -> Survey {
    let head = Head { stream: "app.log", lines: lines.iter().map(String::as_str).collect() };
    // 2025-11-28
    survey(&[head], &Wishes { years_from: Some(Timestamp(1_764_288_000_000_000)), ..Wishes::default() })
}

/// Lines that are read in another way than they say; `pure`: of one form, so that also names count.
fn misread(survey: &Survey, lines: &[(Shape, Line, String)], pure: bool) -> Vec<String> {
    let mut decoder = Decoder::new(&survey.plan, "app.log");
    let mut wrong = Vec::new();
    for (shape, line, text) in lines {
        let event = match decoder.decode(text, 1) {
            Ok(Decoded::Event(event)) => event,
            other => {
                wrong.push(format!("{}: {other:?}: {text}", shape.name));
                continue;
            }
        };
        let mut check = |what: &str, is: String, expect: String| {
            if is != expect {
                wrong.push(format!("{}: {what} is {is} and not {expect}: {text}", shape.name));
            }
        };
        let has = |part: Has| shape.has.contains(&part);
        let kind = if has(Has::Log) { Kind::Log } else { Kind::Request };
        check("kind", format!("{:?}", event.kind), format!("{kind:?}"));
        let precision = if has(Has::WholeSeconds) { 1_000_000 } else { 1_000 };
        if !has(Has::NoTime) {
            let expect = line.time - line.time.rem_euclid(precision);
            check("time", event.time.to_string(), Timestamp(expect).to_string());
        }
        if has(Has::Status) {
            check("status", format!("{}xx", event.status_class), format!("{}xx", line.status / 100));
            check("failed", event.error.to_string(), (line.status >= 500).to_string());
        }
        let latency = if has(Has::Latency) { line.millis * 1_000 } else { NO_LATENCY };
        check("latency", event.latency_us.to_string(), latency.to_string());
        if has(Has::Level) {
            let expect = if line.status >= 500 { Level::Error } else { Level::Info };
            check("level", format!("{:?}", event.level), format!("{expect:?}"));
        }
        if !pure {
            continue;
        }
        let names = Intern::names(decoder.interner());
        if has(Has::Service) {
            check("service", names.services[usize::from(event.service)].service.clone(), "shop".to_owned());
        }
        if has(Has::Version) {
            let arm = name_at(&names.arms, event.arm).cloned().unwrap_or_default();
            check("arms by", format!("{}", matches!(survey.plan.arms, ArmRule::Field(_))), "true".to_owned());
            check("version", arm, line.version.to_owned());
        }
        if has(Has::User) {
            check("unit", format!("{:?}", survey.plan.unit), format!("{:?}", UnitKind::User));
            check("user", event.unit.to_string(), identity_hash(line.user.as_bytes()).to_string());
        }
        if has(Has::Path) {
            check("route", name_at(&names.routes, event.route).cloned().unwrap_or_default(), line.path.to_owned());
        }
        if has(Has::AccessLog) {
            let source = survey.plan.sources.values().map(|source| source.name()).collect::<Vec<_>>().join(" and ");
            check("source", source, "access log".to_owned());
        }
    }
    wrong
}

#[test]
fn each_form_is_recognised_with_what_it_says() {
    let mut wrong = Vec::new();
    let shapes = shapes();
    for shape in &shapes {
        assert!(shape.documentation.starts_with("https://"), "{}", shape.name);
        let lines: Vec<(Shape, Line, String)> =
            (0..50).map(Line::numbered).map(|line| (*shape, line.clone(), (shape.line)(&line))).collect();
        let texts: Vec<String> =
            shape.head.map(str::to_owned).into_iter().chain(lines.iter().map(|of| of.2.clone())).collect();
        let survey = found(&texts);
        let of_shape = misread(&survey, &lines, true);
        // The plan of a ledger reads the same.
        let plan = plan_text::from_json(&plan_text::to_json(&survey.plan));
        assert_eq!(plan.as_ref(), Ok(&survey.plan), "{}", shape.name);
        wrong.extend(of_shape.into_iter().take(4));
    }
    assert!(wrong.is_empty(), "{} of {} forms:\n{}", wrong.len(), shapes.len(), wrong.join("\n"));
    assert!(shapes.len() >= 40, "{}", shapes.len());
}

/// What is not told by the lines is said, and not guessed.
#[test]
fn what_is_ambiguous_is_said() {
    let notes = |line: fn(&Line) -> String| -> String {
        let lines: Vec<String> = (0..50).map(|number| line(&Line::numbered(number))).collect();
        found(&lines).notes.join("\n")
    };
    for (expect, line) in [
        // A table without its header.
        (
            "no header tells what they are",
            (|l| format!("{},GET,{},{},{}", l.utc(), l.path, l.status, l.millis)) as fn(&Line) -> String,
        ),
        // Day and month.
        ("day and month", |l| format!(r#"{{"time":"01/06/2026 {}","status":{}}}"#, l.clock(), l.status)),
        // No year.
        ("names no year; it is read as of the year from 2025-11-28 on, by today's date", |l| {
            format!("Jun  1 {} web-1 shop[77]: status={} path={}", l.clock(), l.status, l.path)
        }),
        // A number without a unit.
        ("does not name its unit", |l| {
            format!(r#"{{"time":"{}","status":{},"duration":{}}}"#, l.utc(), l.status, l.millis)
        }),
        // Two sources of the requests of one service.
        ("several", |l| {
            if l.time % 2_000_000 < 1_000_000 {
                l.combined()
            } else {
                format!(r#"{{"time":"{}","status":{}}}"#, l.utc(), l.status)
            }
        }),
        // No time.
        ("no field is recognised as a time", |l| format!("GET {} {} 512 - {}.000 ms", l.path, l.status, l.millis)),
    ] {
        let said = notes(line);
        assert!(said.contains(expect), "{expect} in {said}");
    }
    // Seconds, milliseconds, microseconds and nanoseconds since 1970 have no number in common.
    let times = [(1, "1780308000"), (1, "1780308000000"), (1, "1780308000000000"), (1, "1780308000000000000")];
    let lines: Vec<String> = times.iter().map(|(_, time)| format!(r#"{{"time":{time},"status":200}}"#)).collect();
    let survey = found(&lines);
    let mut decoder = Decoder::new(&survey.plan, "app.log");
    for line in &lines {
        let Ok(Decoded::Event(event)) = decoder.decode(line, 1) else { panic!("{line}") };
        assert_eq!(event.time, Timestamp(1_780_308_000_000_000), "{line}");
    }
}

/// A trace belongs to its line, and its functions to the template of that.
#[test]
fn traces_in_text_are_joined_to_their_line() {
    let head = |l: &Line| format!("{} ERROR shop.cart it failed", l.utc());
    let java = "java.lang.IllegalStateException: no cart\n\tat com.example.Shop.pay(Shop.java:7)\n\tat com.example.Shop.main(Shop.java:3)\nCaused by: java.io.IOException: gone\n\tat com.example.Disk.read(Disk.java:9)\n\t... 2 more";
    let python = "Traceback (most recent call last):\n  File \"/app/shop.py\", line 3, in pay\n    raise Gone(x)\nshop.errors.Gone: x";
    let go = "goroutine 12 [running]:\nmain.pay(0xc000)\n\t/app/main.go:12 +0x1d\nmain.main()\n\t/app/main.go:3 +0x1d";
    let node = "TypeError: no cart\n    at pay (/app/shop.js:1:2)\n    at main (/app/shop.js:9:2)";
    let dotnet = "System.InvalidOperationException: no cart\n   at Shop.Pay() in /app/Shop.cs:line 5\n--- End of inner exception stack trace ---\n   at Shop.Main() in /app/Shop.cs:line 9";
    let rust = "stack backtrace:\n   0: shop::pay\n             at ./src/main.rs:4:10\n   1: shop::main\n             at ./src/main.rs:9:1";
    for trace in [java, python, go, node, dotnet, rust] {
        for prefix in ["", "[pod/shop-6d9f7c5b8-x2x4z/shop] ", "2026-06-01T10:00:00.5Z stderr F "] {
            let text: String = (0..50)
                .map(Line::numbered)
                .map(|line| {
                    let block = if line.is_error() {
                        format!("{}\n{trace}", head(&line))
                    } else {
                        format!("{} INFO it is up", line.utc())
                    };
                    block.split('\n').map(|line| format!("{prefix}{line}\n")).collect::<String>()
                })
                .collect();
            let records: Vec<String> = serin::pipeline::continued::records(text.as_bytes(), 0)
                .map(|of| String::from_utf8(of.text.to_vec()).unwrap())
                .collect();
            assert_eq!(records.len(), 50, "{prefix}{trace}");
            // As the write-ahead log has them.
            let mut joined = text.clone().into_bytes();
            serin::pipeline::continued::join(&mut joined);
            let joined = String::from_utf8(joined).unwrap();
            assert_eq!(
                joined.trim_end().split('\n').collect::<Vec<_>>().join("\n").replace('\u{b}', "\n"),
                text.trim_end()
            );
            assert_eq!(joined.lines().filter(|line| !line.trim().is_empty()).count(), 50, "{prefix}{trace}");
            let survey = found(&records);
            assert!(survey.rejects.is_empty(), "{prefix}{trace}: {:?}", survey.rejects);
            let mut decoder = Decoder::new(&survey.plan, "app.log");
            let errors: Vec<u64> = records
                .iter()
                .map(String::as_str)
                .chain(joined.lines().filter(|line| !line.trim().is_empty()))
                .filter_map(|record| match decoder.decode(record, 1) {
                    Ok(Decoded::Event(event)) if event.level == Level::Error => Some(event.template),
                    Ok(_) => None,
                    Err(reason) => panic!("{reason:?}: {record}"),
                })
                .collect();
            assert_eq!(errors.len(), 20);
            assert!(errors.iter().all(|id| *id == errors[0]), "one statement, one template");
        }
    }
}

/// A line that a container runtime cut is put together.
#[test]
fn parts_of_a_line_are_one() {
    let text: String = (0..50)
        .map(Line::numbered)
        .map(|l| {
            let said = format!(r#"{{"status":{},"latency_ms":{},"path":"{}"}}"#, l.status, l.millis, l.path);
            let (first, second) = said.split_at(12);
            format!("{} stdout P {first}\n{} stdout F {second}\n", l.utc(), l.utc())
        })
        .collect();
    let records: Vec<String> = serin::pipeline::continued::records(text.as_bytes(), 0)
        .map(|of| String::from_utf8(of.text.to_vec()).unwrap())
        .collect();
    let survey = found(&records);
    assert_eq!((records.len(), survey.requests, survey.rejects.len()), (50, 50, 0));
}

#[test]
fn twenty_mixtures_are_read_as_each_of_their_forms_is() {
    let shapes = shapes();
    // One source of requests for one service: access logs with access logs, what applications write with its like.
    let of = |access: bool| -> Vec<Shape> {
        let is_of = |shape: &&Shape| shape.has.contains(&Has::AccessLog) == access && shape.head.is_none();
        shapes.iter().filter(is_of).copied().collect()
    };
    let mut wrong = Vec::new();
    for mixture in 0..20 {
        let forms = of(mixture % 4 == 3);
        let chosen: Vec<Shape> = (0..2 + mixture % 4).map(|at| forms[(mixture * 7 + at * 5) % forms.len()]).collect();
        let lines: Vec<(Shape, Line, String)> = (0..50 * chosen.len())
            .map(|number| {
                let (shape, line) = (chosen[number % chosen.len()], Line::numbered(number));
                let text = (shape.line)(&line);
                (shape, line, text)
            })
            .collect();
        let texts: Vec<String> = lines.iter().map(|of| of.2.clone()).collect();
        let names = chosen.iter().map(|shape| shape.name).collect::<Vec<_>>().join(", ");
        let found = misread(&found(&texts), &lines, false);
        wrong.extend(found.into_iter().take(3).map(|words| format!("[{names}] {words}")));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
