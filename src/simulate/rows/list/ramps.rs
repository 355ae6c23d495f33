//! Rows under a changing share, with a difference: what is passed, and whether intervals hold it.

use super::{DELAY, FALSE_PASS, PASS, line, never_passes, plan};
use crate::compare::verdict::{Cell, Verdict};
use crate::math;
use crate::simulate::rows::{Event, Measure, Row, Target};
use crate::simulate::run::{Plan, Stop, Truth};
use crate::simulate::traffic::{Course, Effect, Share, Traffic};

/// Minutes of a ramp: three hours a step.
const MINUTES: u32 = 720;

/// The rows of this part.
pub(super) fn rows() -> Vec<Row> {
    let base = Traffic { latency: true, course: Course::Drift, ..Traffic::A2 };
    let busy = |traffic: Traffic| Traffic { users: 300_000, per_minute: 3_000.0, ..traffic };
    let row = |name, part, title: &str, runs, plan, lines| Row {
        name,
        part,
        title: title.to_owned(),
        runs,
        plans: vec![plan],
        lines,
    };
    let nominal = Target::ShareAtMost(0.05, 0.08);
    let passes = |share: f64| {
        line(
            format!("whole rollout PASSes: {:.0} % of runs", share * 100.0),
            Measure::Time(Event::Said(Verdict::Pass), share),
            Target::None,
        )
    };
    let fails = |share: f64| {
        line(
            format!("whole rollout FAILs: {:.0} % of runs", share * 100.0),
            Measure::Time(Event::Said(Verdict::Fail), share),
            Target::None,
        )
    };
    // Each request of the new code fails so much more often, or takes so much longer: the same in every minute.
    let errors = Traffic { effect: Effect::Errors(0.004), users: 100_000, per_minute: 1_000.0, ..base };
    let slower = Traffic { effect: Effect::Slower(1.2), ..errors };
    let holds = |traffic: Traffic, truth: Truth| Plan { truth: Some(truth), ..plan(traffic, MINUTES) };
    let leaves_out = |cell: Cell| {
        let text = format!("95 % interval of {} ever leaves out the truth", cell.name());
        line(text, Measure::Share(Event::Outside(cell)), nominal)
    };
    let mut rows = Vec::new();
    for (name, words, share) in [
        ("ramp-margin", "1-5-25-50 %", Share::Steps),
        ("creep-margin", "share creeping from 1 to 50 %", Share::Creeping),
    ] {
        let traffic = busy(Traffic { share, effect: Effect::ErrorsTimes(1.5), ..base });
        let title =
            format!("errors of each canary user x 1.5, undeclared {words} in 12 h, 300,000 users, 3,000 a minute");
        let held = line("error_units held", Measure::Share(Event::Passed(Cell::ErrorUnits)), nominal);
        let whole = line("whole rollout PASSes", Measure::Share(Event::Said(Verdict::Pass)), nominal);
        rows.push(row(name, FALSE_PASS, &title, 400, plan(traffic, MINUTES), vec![held, whole]));
    }
    for (name, words, share) in
        [("ramp-covers", "1-5-25-50 %", Share::Steps), ("creep-covers", "creeping from 1 to 50 %", Share::Creeping)]
    {
        let title = format!(".4 % more canary requests fail, undeclared {words} in 12 h, 1,000 a minute");
        let lines = vec![leaves_out(Cell::ErrorVolume), fails(0.5), fails(0.8), never_passes()];
        let traffic = Traffic { share, ..errors };
        rows.push(row(name, DELAY, &title, 400, holds(traffic, Truth::ErrorVolume(0.004)), lines));
    }
    rows.push(row(
        "ramp-covers-latency",
        DELAY,
        "latency +20 %, undeclared 1-5-25-50 % in 12 h, 1,000 a minute",
        400,
        holds(Traffic { share: Share::Steps, ..slower }, Truth::LatencyMean(math::ln(1.2))),
        vec![leaves_out(Cell::LatencyMean), fails(0.5), fails(0.8), never_passes()],
    ));
    let healthy = Plan { stop: Stop::Decided, ..plan(busy(Traffic { share: Share::Steps, ..base }), MINUTES) };
    rows.push(row(
        "pass-ramp",
        PASS,
        "nothing changed, undeclared 1-5-25-50 % in 12 h, 300,000 users, 3,000 a minute",
        100,
        healthy,
        vec![
            passes(0.5),
            passes(0.8),
            line(
                "whole rollout FAILs (alpha .01)",
                Measure::Share(Event::Said(Verdict::Fail)),
                Target::ShareAtMost(0.01, 1.0),
            ),
        ],
    ));
    rows
}
