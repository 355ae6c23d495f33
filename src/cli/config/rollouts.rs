//! Declared rollouts: what may be acted on, and how it is to go. The keys of a policy stand among the others.

use crate::cli::config::hooks::name_of;
use crate::cli::config::{Hook, one_of};
use crate::cli::terminal::harmless;
use crate::cli::yaml::{Fields, Node, Problems};
use crate::cli::{compare, policy_file};
use crate::compare::verdict::Behaviour;
use crate::engine::CELLS_MAX;
use crate::engine::policy::Policy;
use crate::outbox::{Declared, is_found};
use crate::pipeline::decode::{CELL_MAX, is_no_segment};
use crate::rollout::{AtDeadline, Course, Step};

/// All units, in parts per million.
const WHOLE_PPM: u32 = 1_000_000;

/// Rollouts of a configuration, and steps of one.
const ROLLOUTS_MAX: usize = 1_024;
const STEPS_MAX: usize = 20;

pub(super) fn rollouts(
    list: &[Node],
    base: &Policy,
    hooks: &[Hook],
    may_have_cells: bool,
    problems: &mut Problems,
) -> Vec<(Declared, Policy)> {
    let mut rollouts: Vec<(Declared, Policy)> = Vec::new();
    for (number, node) in list.iter().enumerate() {
        let mut fields = Fields::of(node, &format!("rollouts[{number}]"), problems);
        let (declared, policy) = rollout(&mut fields, base, hooks, problems);
        if let Some(cells) = fields.get("cells").filter(|_| !may_have_cells) {
            let words = "no field is a cell: name it under `roles` (cell: city), or in a pipeline";
            problems.add(cells.at, format!("{}: {words}", fields.name("cells")));
        }
        if rollouts.iter().any(|(known, _)| !known.name.is_empty() && known.name == declared.name) {
            problems.add(node.at, format!("{}: `{}` is named twice", fields.name("name"), declared.name));
        }
        for service in &declared.services {
            let same = |known: &Declared| {
                let both = known.environment.as_ref().zip(declared.environment.as_ref());
                known.services.contains(service)
                    && both.is_none_or(|(one, other)| one == other)
                    && (known.candidate == declared.candidate
                        || known.candidate.is_none()
                        || declared.candidate.is_none())
            };
            if let Some((known, _)) = rollouts.iter().find(|(known, _)| same(known)) {
                let words = format!(
                    "{}: `{service}` is of rollout `{}` already; tell them apart by environment or candidate",
                    fields.name("services"),
                    known.name
                );
                problems.add(node.at, words);
            }
        }
        fields.finish(problems);
        rollouts.push((declared, policy));
    }
    if let Some(node) = list.get(ROLLOUTS_MAX) {
        problems.add(node.at, format!("rollouts: at most {ROLLOUTS_MAX}, got {}", list.len()));
    }
    rollouts
}

fn rollout(fields: &mut Fields<'_>, base: &Policy, hooks: &[Hook], problems: &mut Problems) -> (Declared, Policy) {
    let name = name_of(fields, problems, |name| {
        is_found(name).then_some("`found-` begins the ids of rollouts that nobody declared")
    });
    let services = match fields.texts("services", problems) {
        Some((names, at)) => {
            let names: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
            if names.is_empty() {
                problems.add(at, format!("{}: none is named", fields.name("services")));
            }
            policy_file::distinct_services(names).unwrap_or_else(|problem| {
                problems.add(at, format!("{}: {problem}", fields.name("services")));
                Vec::new()
            })
        }
        None => {
            problems.add(fields.at, format!("{} is missing: name the entry first", fields.name("services")));
            Vec::new()
        }
    };
    let mut text = |key| fields.text(key, problems).map(|(text, _)| text);
    let (environment, control, candidate) = (text("environment"), text("control"), text("candidate"));
    for key in ["release", "conversions", "harms", "conversion_field", "segments"] {
        if let Some(node) = fields.get(key) {
            let words = match key {
                "release" => format!("{}: the services of a rollout stand under `services`", fields.name(key)),
                _ => format!("{}: stands under `policy`, since lines are read alike for all", fields.name(key)),
            };
            problems.add(node.at, words);
        }
    }
    let names_next_share = fields.get("next_share_percent").is_some();
    // What was told of is not told of again.
    let mut of_policy = Problems::default();
    let mut policy = policy_file::policy(fields, base, &mut of_policy);
    policy.conversions = base.conversions.clone();
    policy.metrics = base.metrics.clone();
    policy.segments = base.segments.clone();
    policy.release = if services.len() > 1 { services.clone() } else { Vec::new() };
    policy.rollouts = Vec::new();
    // An arm that is named in full is awaited: it may die before it has as many users as a found one needs.
    policy.candidates = candidate.iter().filter(|name| !name.contains('*')).cloned().collect();
    if let Some((text, at)) = fields.text("starts_within", problems) {
        let name = fields.name("starts_within");
        match compare::duration(&text) {
            Ok(_) if policy.candidates.is_empty() => {
                problems.add(at, format!("{name}: no candidate is named in full, so none is awaited"));
            }
            Ok(time) => policy.starts_within = time,
            Err(error) => problems.add(at, format!("{name}: {error}")),
        }
    }
    let lines_alike = ["conversion", "segments:", "release:"];
    problems.0.extend(
        of_policy.0.into_iter().filter(|problem| !lines_alike.iter().any(|key| problem.words.starts_with(key))),
    );
    let cells = cells(fields, problems);
    let course = course(fields, &policy, problems);
    let owners = fields.texts("owners", problems).map(|(names, _)| names.into_iter().map(|(name, _)| name).collect());
    let told = fields.texts("hooks", problems).map(|(names, _)| {
        for (name, at) in names.iter().filter(|(name, _)| !hooks.iter().any(|hook| hook.name == *name)) {
            let known: Vec<&str> = hooks.iter().map(|hook| hook.name.as_str()).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            problems.add(*at, format!("{}: there is no hook `{name}`; there are {known}", fields.name("hooks")));
        }
        names.into_iter().map(|(name, _)| name).collect()
    });
    let declared = Declared {
        name,
        environment,
        cells,
        services,
        control,
        candidate,
        expect: policy.expect.iter().copied().map(Behaviour::name).map(str::to_owned).collect(),
        course,
        owners: owners.unwrap_or_default(),
        hooks: told,
    };
    // A step of all units begins while the old version still has some, pod by pod: nobody said how many.
    policy.step_share = declared
        .course
        .steps
        .first()
        .filter(|step| (1..WHOLE_PPM).contains(&step.share_ppm))
        .map(|step| f64::from(step.share_ppm) / f64::from(WHOLE_PPM));
    // The step that the logs show widens the margins of an early one, unless the policy names the next share itself.
    if !names_next_share {
        policy.steps = declared.course.steps.iter().map(|step| step.share_ppm).collect();
    }
    (declared, policy)
}

/// Cells in their order.
fn cells(fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<String> {
    let Some((list, at)) = fields.texts("cells", problems) else { return Vec::new() };
    let name = fields.name("cells");
    if list.is_empty() || list.len() > CELLS_MAX {
        problems.add(at, format!("{name}: 1 to {CELLS_MAX} cells, got {}", list.len()));
    }
    let mut cells: Vec<String> = Vec::new();
    for (number, (cell, at)) in list.into_iter().enumerate() {
        if is_no_segment(&cell) || cell.len() > CELL_MAX {
            let words = format!(
                "{name}[{number}]: 1 to {CELL_MAX} bytes, as lines write it; `{}` is no cell",
                harmless(&cell, 40)
            );
            problems.add(at, words);
        } else if cells.contains(&cell) {
            problems.add(at, format!("{name}[{number}]: `{}` is named twice", harmless(&cell, 60)));
        }
        cells.push(cell);
    }
    cells
}

fn course(fields: &mut Fields<'_>, policy: &Policy, problems: &mut Problems) -> Course {
    let mut course = Course::default();
    if let Some((list, at)) = fields.list("steps", problems) {
        let name = fields.name("steps");
        for (number, node) in list.iter().enumerate() {
            let mut step = Fields::of(node, &format!("{name}[{number}]"), problems);
            let mut share_ppm = 0;
            match step.number("share_percent", problems) {
                Some((percent, at)) if !(0.0001..=100.0).contains(&percent) => {
                    problems
                        .add(at, format!("{}: must be from 0.0001 to 100, got {percent}", step.name("share_percent")));
                }
                Some((percent, at)) => {
                    share_ppm = (percent * 10_000.0).round() as u32;
                    if course.steps.last().is_some_and(|before| before.share_ppm >= share_ppm) {
                        problems
                            .add(at, format!("{}: must be more than in the step before", step.name("share_percent")));
                    }
                }
                None => problems.add(node.at, format!("{} is missing", step.name("share_percent"))),
            }
            let mut minimum = policy.minimum_time;
            if let Some((minutes, at)) = step.number("minimum_minutes", problems) {
                match policy_file::minutes_of(minutes) {
                    Some(time) => minimum = time,
                    None => {
                        problems
                            .add(at, format!("{}: must be at least 0, got {minutes}", step.name("minimum_minutes")));
                    }
                }
            }
            step.finish(problems);
            course.steps.push(Step { share_ppm, minimum });
        }
        if list.is_empty() || list.len() > STEPS_MAX {
            problems.add(at, format!("{name}: 1 to {STEPS_MAX} steps, got {}", list.len()));
        }
    }
    course.needs_approval = fields.flag("approval", problems).is_some_and(|(flag, _)| flag);
    if let Some(node) = fields.get("deadline") {
        let mut of = Fields::of(node, &fields.name("deadline"), problems);
        let after = of.text("after", problems).and_then(|(text, at)| match compare::duration(&text) {
            Ok(time) if time > 0 => Some(time),
            Ok(_) => {
                problems.add(at, format!("{}: must be longer than nothing", of.name("after")));
                None
            }
            Err(error) => {
                problems.add(at, format!("{}: {error}", of.name("after")));
                None
            }
        });
        if after.is_none() && problems.0.last().is_none_or(|last| !last.words.starts_with(&of.name("after"))) {
            problems.add(node.at, format!("{} is missing", of.name("after")));
        }
        let known: Vec<(&str, AtDeadline)> = AtDeadline::ALL.into_iter().map(|then| (then.name(), then)).collect();
        let then = of.text("then", problems).and_then(|text| one_of(text, &of.name("then"), &known, problems));
        course.deadline = after.map(|after| (after, then.unwrap_or(AtDeadline::Hold)));
        of.finish(problems);
    }
    course
}
