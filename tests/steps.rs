//! Declared steps: which one the logs show, what margin it has, and that a pass of one is none of the next.

mod common;

use common::{Case, Line, Random, Traffic, bytes_of, entries, ledger_values};
use serin::compare::verdict::Verdict;
use serin::engine::Input;
use serin::engine::look::Margins;
use serin::engine::policy::Policy;
use serin::pipeline::survey::Wishes;
use serin::time::MINUTE;

const STRETCH: i64 = 40;

/// 40 minutes in which a fifth of the users is in the canary and the arms are alike, then others with three fifths of
/// them, of whose requests such a share fails.
fn ramp(failing: f64, minutes: i64) -> Vec<Line> {
    let of = |seed: u64, share: f64, failing: f64, minutes: i64| Traffic {
        seed,
        users: 60_000,
        requests: 1_500 * minutes as u64,
        minutes,
        shares: vec![share],
        errors: vec![0.02, failing],
        slower: vec![1.0, 1.0],
        ..Traffic::default()
    };
    let later =
        of(2, 0.6, failing, minutes).lines().into_iter().map(|line| Line { at: line.at + STRETCH * MINUTE, ..line });
    of(1, 0.2, 0.02, STRETCH).lines().into_iter().chain(later).collect()
}

/// Minute, verdict, step and multiplier of the margins of a look.
type Said = (i64, Verdict, Option<u8>, f64);

/// What is said at each look, and the ledger.
fn course(steps: Vec<u32>, failing: f64, minutes: i64) -> (Vec<Said>, String) {
    let policy = Policy { latency: false, steps, ..Policy::default() };
    let lines = ramp(failing, minutes);
    let mut case = Case::new("steps", vec![("app.log".to_owned(), bytes_of(&lines))], &Wishes::default(), policy);
    case.plan.windowing.window = MINUTE;
    case.settings.windowing.window = MINUTE;
    let (mut engine, mut ledger) = case.engine();
    let mut looks = Vec::new();
    for fed in case.inputs(20_000, &mut Random::new(1)) {
        ledger.push_str(&entries(engine.apply(fed.input())));
        if let Some(comparison) = engine.comparison(0, 0) {
            let minute = (comparison.ended_at.0 - common::START) / MINUTE;
            let mult = Margins::of(comparison, &case.settings.policy).mult;
            looks.push((minute, comparison.look.verdict, comparison.look.step, mult));
        }
    }
    ledger.push_str(&entries(engine.apply(Input::Finish)));
    (looks, ledger)
}

#[test]
fn an_early_step_has_a_wider_margin_and_its_pass_is_none_of_the_next() {
    let first_pass = |looks: &[Said], from: i64| {
        looks.iter().find(|(minute, verdict, ..)| *minute > from && *verdict == Verdict::Pass).map(|look| look.0)
    };
    let (without, ledger) = course(Vec::new(), 0.02, STRETCH);
    assert!(without.iter().all(|(_, _, step, mult)| step.is_none() && *mult == 1.0));
    assert!(!ledger.contains("\"step\""));
    let (with, ledger) = course(vec![200_000, 250_000, 600_000], 0.02, STRETCH);
    // A quarter of all users comes next: four times the margin.
    assert!(with.iter().any(|look| (look.2, look.3) == (Some(0), 4.0)));
    assert!(with.iter().filter(|look| look.0 > STRETCH + 10).all(|look| (look.2, look.3) == (Some(2), 1.0)));
    let (early, late) = (first_pass(&with, 0).unwrap(), first_pass(&without, 0).unwrap_or(i64::MAX));
    assert!(early < late && early <= STRETCH, "{early} {late}");
    // The step that begins has to be proven anew.
    let begins = with.iter().rposition(|look| look.2 == Some(0)).unwrap() + 1;
    assert_eq!(with[begins].1, Verdict::Inconclusive);
    // Each change of step is told.
    let told: Vec<i64> = ledger_values(&ledger).iter().filter_map(|entry| entry.get("step")?.as_i64()).collect();
    assert!(told.contains(&0) && told.last() == Some(&2), "{told:?}");
}

/// Code that breaks under the load of the last step alone: that all was well in those before it is no evidence.
#[test]
fn what_earlier_steps_have_shown_is_no_evidence_for_a_later_one() {
    let (looks, _) = course(vec![200_000, 250_000, 600_000], 0.026, STRETCH);
    let later: Vec<&Said> = looks.iter().filter(|look| look.2 == Some(2)).collect();
    assert!(later.len() > 30);
    assert!(later.iter().all(|look| look.1 != Verdict::Pass), "{later:?}");
    assert!(looks.iter().any(|look| look.2 == Some(0) && look.1 == Verdict::Pass));
    // A sound one passes the last step by what it shows there.
    let (looks, _) = course(vec![200_000, 250_000, 600_000], 0.02, 3 * STRETCH);
    let of_last = |look: &&Said| look.2 == Some(2) && look.1 == Verdict::Pass;
    assert!(looks.iter().find(of_last).is_some_and(|look| look.0 > STRETCH + 5));
}
