use super::*;
use crate::sketch::codec::{Reader, Writer};
use crate::time::MINUTE;

const SEVERE: usize = 1;

fn lines(id: u64, severe: bool, arm: Option<Arm>) -> TemplateLines<'static> {
    TemplateLines { id, severe, arm, lines: 1, text: Some("a text"), place: None }
}

fn pair(unit: u64, id: u64) -> TemplatePair {
    TemplatePair { unit: event::mix(unit, 9), id, armless: 0 }
}

/// Units at risk: `share` in a hundred in the candidate.
fn with_units(units: u64, share: u64) -> Templates {
    let mut templates = Templates::new(false);
    (0..units).for_each(|unit| templates.at_risk(arm_of(unit, share)));
    templates
}

fn arm_of(unit: u64, share: u64) -> Arm {
    if unit % 100 < share { Arm::Candidate } else { Arm::Control }
}

fn add(templates: &mut Templates, id: u64, severe: bool, units: impl Iterator<Item = u64>, share: u64) {
    templates.take_lines(Timestamp(0), &[lines(id, severe, None)]);
    units.for_each(|unit| templates.meet(usize::from(severe), &pair(unit, id), Some(arm_of(unit, share))));
}

#[test]
fn six_units_of_a_candidate_of_five_in_a_hundred_fail_a_rollout_and_are_listed() {
    for (units, listed, fails) in [(3, false, false), (5, true, false), (6, true, true)] {
        let mut templates = with_units(20_000, 5);
        add(&mut templates, 77, true, (0..units).map(|at| at * 100), 5);
        let said = templates.look(&[]);
        let log_sum = budget::log_sum(&[(budget::TEMPLATES, said.log_errors.unwrap())], 1.0 - budget::TEMPLATES);
        let list: Vec<(u64, Change)> = templates.list().iter().map(|listed| (listed.id, listed.change)).collect();
        assert_eq!(list, if listed { vec![(77, Change::New)] } else { vec![] }, "{units} units");
        assert_eq!(log_sum >= math::ln(100.0), fails, "{units} units: {log_sum}");
        if fails {
            assert_eq!(templates.leading(&[], math::ln(100.0), log_sum), [77]);
        }
        assert_eq!(said.log_changed, 0.0, "no behaviour");
        assert_eq!(templates.get(77, true).unwrap().units(), [0, units]);
        let mut again = templates.clone();
        again.changed_since = true;
        assert!(again.look(&[77]).log_errors.unwrap().abs() < 1e-9, "what was expected is no evidence");
    }
}

#[test]
fn templates_below_error_are_behaviour_and_never_fail() {
    let mut templates = with_units(2_000, 50);
    add(&mut templates, 5, false, (0..2_000).filter(|unit| arm_of(*unit, 50) == Arm::Candidate), 50);
    add(&mut templates, 6, false, 0..2_000, 50);
    let said = templates.look(&[5]);
    assert_eq!(said.log_errors, None);
    assert!(said.log_changed > 100.0 && said.log_unexpected < 0.0, "{said:?}");
    let list = templates.list();
    assert_eq!(list.len(), 1);
    assert_eq!((list[0].id, list[0].change, list[0].severe), (5, Change::New, false));
}

#[test]
fn directions_are_told() {
    let mut templates = with_units(4_000, 50);
    let in_arm = |arm: Arm| (0..4_000).filter(move |unit| arm_of(*unit, 50) == arm);
    add(&mut templates, 10, true, in_arm(Arm::Control).take(200), 50);
    add(&mut templates, 11, true, in_arm(Arm::Control).take(20).chain(in_arm(Arm::Candidate).take(400)), 50);
    add(&mut templates, 12, false, in_arm(Arm::Candidate).take(20).chain(in_arm(Arm::Control).take(400)), 50);
    add(&mut templates, 13, true, 0..200, 50);
    templates.look(&[]);
    let mut list: Vec<(u64, Change)> = templates.list().iter().map(|listed| (listed.id, listed.change)).collect();
    list.sort_unstable();
    assert_eq!(list, [(10, Change::Gone), (11, Change::Up), (12, Change::Down)]);
}

#[test]
fn a_unit_meets_a_template_once_and_at_each_level() {
    let mut templates = with_units(100, 50);
    for _ in 0..3 {
        add(&mut templates, 7, true, 0..10, 50);
        add(&mut templates, 7, false, 0..5, 50);
    }
    assert_eq!(templates.get(7, true).unwrap().units(), [0, 10]);
    assert_eq!(templates.get(7, false).unwrap().units(), [0, 5]);
    templates.cut();
    (0..100).for_each(|unit| templates.at_risk(arm_of(unit, 50)));
    add(&mut templates, 7, true, 0..20, 50);
    assert_eq!(templates.get(7, true).unwrap().units(), [0, 20], "the first time of its life");
}

#[test]
fn slots_go_by_window_and_id_and_further_templates_are_counted() {
    let mut templates = with_units(100, 50);
    templates.take_lines(Timestamp(0), &[lines(9_000_000, true, Some(Arm::Candidate))]);
    (0..3).for_each(|unit| templates.meet(SEVERE, &pair(unit, 9_000_000), Some(Arm::Candidate)));
    templates.look(&[]);
    let flood: Vec<TemplateLines<'_>> = (2..2_002).rev().map(|id| lines(id, true, Some(Arm::Candidate))).collect();
    templates.take_lines(Timestamp(1), &flood);
    assert_eq!(templates.tested(), [0, ERROR_SLOTS]);
    assert!(templates.get(9_000_000, true).is_some() && templates.get(2, true).is_some());
    assert!(templates.get(2_001, true).is_none(), "the largest ids of a window wait");
    let past = 2_000 - (ERROR_SLOTS as u64 - 1);
    assert_eq!(templates.past_bound(), [[0; 3], [0, past, 0]]);
    templates.take_lines(Timestamp(2), &[lines(event::OVERFLOW_TEMPLATE, true, None)]);
    assert_eq!(templates.past_bound()[1], [0, past, 1]);
}

#[test]
fn lines_without_an_arm_have_that_of_their_unit() {
    let mut templates = with_units(100, 50);
    templates.take_lines(Timestamp(0), &[TemplateLines { lines: 5, ..lines(3, true, None) }]);
    templates.meet(SEVERE, &TemplatePair { armless: 3, ..pair(1, 3) }, Some(Arm::Candidate));
    templates.meet(SEVERE, &TemplatePair { armless: 2, ..pair(2, 3) }, None);
    assert_eq!(templates.get(3, true).unwrap().lines, [0, 3, 2]);
    assert_eq!(templates.unassigned(), 1);
}

#[test]
fn full_sets_follow_fewer_units_and_what_is_written_is_read_back() {
    let mut templates = Templates::new(false);
    for window in 0..40u64 {
        for unit in window * 10_000..(window + 1) * 10_000 {
            templates.at_risk(arm_of(unit, 50));
        }
        add(&mut templates, 4, false, window * 10_000..(window + 1) * 10_000, 50);
        templates.keep_bound();
    }
    let [below, severe] = templates.followed();
    assert!((0.05..0.6).contains(&below) && severe == 1.0, "{below}");
    assert!(templates.classes[0].pairs.len() <= 4 * PAIRS_MAX);
    let said = templates.look(&[]);
    assert!(said.log_changed < 0.0, "both arms alike: {said:?}");
    let mut w = Writer::default();
    templates.write(&mut w);
    assert_eq!(Templates::read(&mut Reader::new(&w.bytes)).unwrap(), templates);
}

#[test]
fn strata_that_merge_keep_their_counts_with_their_units() {
    let mut templates = Templates::new(false);
    for stratum in 0..100u64 {
        (0..100).for_each(|unit| templates.at_risk(arm_of(unit, 5 + stratum % 60)));
        add(&mut templates, 8, true, stratum * 100..stratum * 100 + 3, 5 + stratum % 60);
        templates.cut();
    }
    let template = templates.get(8, true).unwrap();
    assert_eq!(template.units(), [0, 300]);
    assert!(template.first.len() <= crate::engine::first_events::STRATA_MAX);
    for (stratum, [_, met]) in templates.at_risk.strata().iter().zip(&template.first) {
        assert_eq!(stratum.units, met / 3 * 100, "three of each hundred");
    }
    assert!(templates.look(&[]).log_errors.unwrap() > 10.0);
}

#[test]
fn lines_of_which_each_is_its_own_template_keep_no_slot() {
    const MINUTES: i64 = 60;
    let mut templates = with_units(40_000, 5);
    let (mut unit, mut failed) = (0, None);
    for minute in 0..MINUTES {
        let start = Timestamp(minute * MINUTE);
        let of_minute = |at: i64| 1_000 + (minute * 100 + at) as u64;
        let new: Vec<TemplateLines<'_>> = (0..100).map(|at| lines(of_minute(at), true, None)).collect();
        templates.take_lines(start, &new);
        for at in 0..100 {
            unit += 7;
            templates.meet(SEVERE, &pair(unit, of_minute(at)), Some(arm_of(unit, 5)));
        }
        // From the fortieth minute on the candidate writes a line of its own.
        if minute >= 40 {
            let own = 20_000 + (minute - 40) as u64;
            templates.take_lines(start, &[lines(77, true, None)]);
            templates.meet(SEVERE, &pair(own * 100, 77), Some(Arm::Candidate));
        }
        let said = templates.look(&[]).log_errors.unwrap();
        let log_sum = budget::log_sum(&[(budget::TEMPLATES, said)], 1.0 - budget::TEMPLATES);
        if log_sum >= math::ln(100.0) {
            failed.get_or_insert(minute);
        }
    }
    assert!(matches!(failed, Some(44..=47)), "{failed:?}");
    assert_eq!(templates.tested()[SEVERE], ERROR_SLOTS);
    assert!(templates.classes[SEVERE].reused > 3_000);
    let kept: u64 = templates.classes[SEVERE].slots.values().flat_map(|of| of.lines).sum();
    assert_eq!(kept + templates.past_bound()[SEVERE].iter().sum::<u64>(), 6_000 + 20, "each line is somewhere");
}

#[test]
fn slots_that_are_used_again_are_no_second_chance() {
    // One of a hundred units is in the candidate; each meets one line that nobody else meets.
    let (mut sum, mut runs) = (0.0, 0.0);
    for seed in 1..=40u64 {
        let mut templates = with_units(20_000, 1);
        let mut unit = seed * 101;
        for minute in 0..40 {
            let ids: Vec<u64> = (0..200).map(|at| 1_000 + minute * 200 + at).collect();
            let new: Vec<TemplateLines<'_>> = ids.iter().map(|id| lines(*id, true, None)).collect();
            templates.take_lines(Timestamp(minute as i64 * MINUTE), &new);
            for id in ids {
                unit = event::mix(unit, seed);
                templates.meet(SEVERE, &pair(unit, id), Some(arm_of(unit % 20_000, 1)));
            }
            templates.look(&[]);
        }
        sum += math::exp(templates.look(&[]).log_errors.unwrap());
        runs += 1.0;
    }
    let mean = sum / runs;
    assert!((0.5..1.02).contains(&mean), "{mean}");
}

/// A template with a text of its own, met by units of one arm.
fn add_text(templates: &mut Templates, id: u64, text: &str, arm: Arm, units: usize) {
    templates.take_lines(Timestamp(0), &[TemplateLines { text: Some(text), arm: Some(arm), ..lines(id, true, None) }]);
    let of_arm = (0..4_000).filter(|unit| arm_of(*unit, 50) == arm).take(units);
    of_arm.for_each(|unit| templates.meet(SEVERE, &pair(unit, id), Some(arm)));
}

#[test]
fn an_error_that_reads_otherwise_in_the_candidate_fails_nothing_while_as_many_meet_it() {
    for (met, fails) in [(40, false), (400, true)] {
        let mut templates = with_units(4_000, 50);
        add_text(&mut templates, 21, "[green] cannot load cart <*>", Arm::Control, 40);
        add_text(&mut templates, 22, "[blue] cannot load cart <*>", Arm::Candidate, met);
        let said = templates.look(&[]).log_errors.unwrap();
        assert_eq!(said > 10.0, fails, "{met}: {said}");
        assert_eq!(templates.get(22, true).unwrap().twin(), Some(21));
        let list: Vec<(u64, Change)> = templates.list().iter().map(|listed| (listed.id, listed.change)).collect();
        assert!(list.contains(&(22, Change::New)), "it is listed all the same: {list:?}");
        let mut w = Writer::default();
        templates.write(&mut w);
        let mut r = Reader::new(&w.bytes);
        assert_eq!(Templates::read(&mut r).unwrap(), templates);
    }
}

#[test]
fn what_replaced_another_error_is_a_change_and_no_failure() {
    // (text that is gone, units that met it, units of the candidate that still do, units that meet the new one): whether it fails.
    for (gone, met, still, new, fails) in [
        ("[green] cannot load cart <*>", 40, 0, 40, false),
        // One canary user still meets the old text.
        ("[green] cannot load cart <*>", 40, 1, 40, false),
        // As many do as before: nothing is gone.
        ("[green] cannot load cart <*>", 40, 40, 40, true),
        // It reads otherwise altogether, and it is proven that it is gone.
        ("upstream timed out", 40, 0, 40, false),
        // By accident it has not been seen.
        ("upstream timed out", 2, 0, 40, true),
        // More meet the new one than met what is gone.
        ("upstream timed out", 40, 0, 400, true),
    ] {
        let mut templates = with_units(4_000, 50);
        add_text(&mut templates, 21, gone, Arm::Control, met);
        add_text(&mut templates, 21, gone, Arm::Candidate, still);
        add_text(&mut templates, 22, "[blue] cannot load cart <*>", Arm::Candidate, new);
        let said = templates.look(&[]);
        assert_eq!(said.log_errors.unwrap() > 10.0, fails, "{gone} {met} {still} {new}: {said:?}");
        // It stands out all the same, unless it was expected.
        assert!(fails || said.log_changed > 10.0, "{gone} {met} {still} {new}: {said:?}");
        let reworded = templates.reworded();
        assert_eq!(reworded.iter().filter(|of| !of.is_more).count(), usize::from(!fails));
        templates.changed_since = true;
        assert!(templates.look(&[22]).log_unexpected < 1.0);
    }
}

#[test]
fn what_more_meet_than_met_what_is_gone_is_told_as_such() {
    let mut templates = with_units(4_000, 50);
    add_text(&mut templates, 21, "cannot load cart", Arm::Control, 40);
    add_text(&mut templates, 22, "cannot load the cart", Arm::Candidate, 80);
    let said = templates.look(&[]);
    assert!((3.0..10.0).contains(&templates.get(22, true).unwrap().log_e()), "{said:?}");
    assert_eq!(templates.reworded().iter().map(|of| of.is_more).collect::<Vec<_>>(), [true]);
}

#[test]
fn several_that_share_a_twin_are_weighed_together() {
    let mut templates = with_units(4_000, 50);
    add_text(&mut templates, 21, "cannot load cart", Arm::Control, 40);
    add_text(&mut templates, 22, "cannot load cart of a guest", Arm::Candidate, 40);
    assert!(templates.look(&[]).log_errors.unwrap() < 1.0);
    add_text(&mut templates, 23, "cannot load cart of a member", Arm::Candidate, 400);
    assert!(templates.look(&[]).log_errors.unwrap() > 10.0, "one gone error hides no crowd of new ones");
}
