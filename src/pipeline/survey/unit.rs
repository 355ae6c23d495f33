//! What the unit of assignment is.

use crate::pipeline::plan::UnitKind;
use crate::pipeline::roles::Role;
use crate::pipeline::survey::Wishes;
use crate::pipeline::survey::cover::Covered;

/// A unit field must be on this share of request lines to be chosen.
const UNIT_COVERAGE: f64 = 0.5;
/// One that is on this share is taken before better ones that are on fewer lines.
const UNIT_COVERAGE_GOOD: f64 = 0.8;
/// From this share on nearly all requests have a unit, and nothing is said.
const UNIT_COVERAGE_FULL: f64 = 0.995;

pub(super) fn choose_unit(covered: &Covered, wishes: &Wishes, notes: &mut Vec<String>) -> UnitKind {
    let share = |role: Role| {
        let requests = covered.roles.get(&role).map_or(0, |counts| counts.requests);
        if covered.requests == 0 { 0.0 } else { requests as f64 / covered.requests as f64 }
    };
    let percent = |role: Role| format!("{:.0} %", share(role) * 100.0);
    let say_the_rest = |unit: UnitKind, role: Role, notes: &mut Vec<String>| {
        if share(role) < UNIT_COVERAGE_FULL {
            notes.push(format!(
                "unit: {} of requests name a {}; the others belong to none",
                percent(role),
                unit.name()
            ));
        }
    };
    if let Some(unit) = wishes.unit {
        if let Some((_, role)) = UnitKind::BY_ROLE.into_iter().find(|(known, _)| *known == unit) {
            say_the_rest(unit, role, notes);
        }
        return unit;
    }
    // A field that the user named as a unit is the unit.
    for (unit, role) in UnitKind::BY_ROLE {
        if wishes.roles.contains_key(&role) && role != Role::Trace && role != Role::Instance && share(role) > 0.0 {
            say_the_rest(unit, role, notes);
            return unit;
        }
    }
    // One pod serves many users: as a unit it is for the user to choose. A trace is one visit of a user at most: it
    // counts only where no better unit does.
    let (users, traces): (Vec<_>, Vec<_>) = UnitKind::BY_ROLE
        .into_iter()
        .filter(|(unit, _)| *unit != UnitKind::Instance)
        .partition(|(unit, _)| *unit != UnitKind::Trace);
    let chosen = [(&users, UNIT_COVERAGE_GOOD), (&users, UNIT_COVERAGE), (&traces, UNIT_COVERAGE)]
        .into_iter()
        .find_map(|(units, least)| units.iter().find(|(_, role)| share(*role) >= least).copied());
    let (unit, of_role) = chosen.unzip();
    let unit = unit.unwrap_or(UnitKind::Request);
    let passed_over: Vec<String> = users
        .iter()
        .filter(|(other, role)| *other < unit && share(*role) > 0.0)
        .map(|(other, role)| format!("{} of requests name a {}", percent(*role), other.name()))
        .collect();
    if unit.is_once() && covered.requests > 0 {
        let why = match passed_over.is_empty() {
            true => "no user, session or client address is logged".to_owned(),
            false => format!("only {}", passed_over.join(", ")),
        };
        notes.push(format!(
            "unit: {why}, so each {} is its own unit. If users stick to an arm, every test is then too bold; name the field that assignment goes by with --role user=FIELD",
            unit.name()
        ));
    } else if !passed_over.is_empty() {
        notes.push(format!(
            "unit: only {}, so the {} is taken; name it on every request, or use --role user=FIELD",
            passed_over.join(", "),
            unit.name()
        ));
    }
    if let Some(role) = of_role {
        say_the_rest(unit, role, notes);
    }
    unit
}
