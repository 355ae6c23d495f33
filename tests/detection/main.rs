//! The forms in which logs come: 50 lines of each, written as its own documentation says, must be recognised with all that they say:
//! whether a line is a request, when it was done, how it ended, how long it took, how bad it was, whose it was, of which service and version.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on ends here")]

mod applications;
mod clouds;
mod model;
mod servers;
mod wrappings;

use model::{Has, Line, Shape};
use serin::event::{Intern, Kind, Level, NO_LATENCY, identity_hash, name_at};
use serin::pipeline::decode::{Decoded, Decoder};
use serin::pipeline::plan::{ArmRule, UnitKind};
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
        let texts: Vec<String> = shape.head.map(str::to_owned).into_iter().chain(lines.iter().map(|of| of.2.clone())).collect();
        let survey = found(&texts);
        let of_shape = misread(&survey, &lines, true);
        wrong.extend(of_shape.into_iter().take(4));
    }
    assert!(wrong.is_empty(), "{} of {} forms:\n{}", wrong.len(), shapes.len(), wrong.join("\n"));
    assert!(shapes.len() >= 40, "{}", shapes.len());
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
        let chosen: Vec<Shape> = (0..2 + mixture % 4).map(|at| forms[(mixture * 7 + at * 11) % forms.len()]).collect();
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
