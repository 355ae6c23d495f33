//! Policy files: what the team asks of a rollout, in YAML.

use std::path::Path;

use anyhow::{Context, bail};

use crate::cli::yaml::{self, Fields, Form, Located, Node, Place, Problems};
use crate::compare::verdict::Behaviour;
use crate::engine::limits::Limits;
use crate::engine::policy::Policy;
use crate::event::SEGMENT_FIELDS_MAX;
use crate::pipeline::plan::{CONVERSIONS_MAX, Conversions};
use crate::pipeline::template::{Writer, mask, template_id};
use crate::time::{Micros, SECOND};

/// Log lines that a policy may expect.
const EXPECTED_TEMPLATES_MAX: usize = 1_000;

/// Ids of a log line: what a producer calls its template is masked by fewer rules, so that a text may have two.
fn template_ids(text: &str) -> Vec<u64> {
    let is_id = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if let Some(id) = is_id.then(|| u64::from_str_radix(text, 16).ok()).flatten() {
        return vec![id];
    }
    let mut ids =
        [Writer::Message, Writer::Producer].map(|writer| template_id(&mask(text.as_bytes(), writer))).to_vec();
    ids.dedup();
    ids
}

/// Reads a policy.
pub(super) fn read(path: &Path) -> anyhow::Result<Policy> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    parse(&text).with_context(|| format!("{}: not a policy", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Policy> {
    let mut problems = Problems::default();
    let policy = match yaml::parse(text) {
        Ok(node) => {
            let mut fields = Fields::of(&node, "", &mut problems);
            let policy = policy(&mut fields, &Policy::default(), &mut problems);
            fields.finish(&mut problems);
            policy
        }
        Err(problem) => bail!("{problem}"),
    };
    let problems: Vec<String> = problems.sorted().iter().map(ToString::to_string).collect();
    if !problems.is_empty() {
        bail!("{}", problems.join("\n  "));
    }
    Ok(policy)
}

/// The keys of a policy, wherever they stand: in a file of their own, or among those of a rollout. `base`: what is asked where
/// a key is missing.
pub(super) fn policy(fields: &mut Fields<'_>, base: &Policy, problems: &mut Problems) -> Policy {
    let mut policy = base.clone();
    // Guardrails that a pass needs.
    if let Some((names, at)) = fields.texts("guardrails", problems) {
        (policy.errors, policy.latency) = (false, false);
        for (name, at) in &names {
            match name.as_str() {
                "errors" => policy.errors = true,
                "latency" => policy.latency = true,
                other => {
                    problems.add(
                        *at,
                        format!("{}: `{other}` is unknown; there are errors, latency", fields.name("guardrails")),
                    );
                }
            }
        }
        if names.is_empty() {
            let words = format!("{}: at least one is needed, or nothing could ever pass", fields.name("guardrails"));
            problems.add(at, words);
        }
    }
    // What is assigned to arms, where the logs cannot show it.
    if let Some((word, at)) = fields.text("assignment", problems) {
        match word.as_str() {
            "requests" => policy.requests_assigned = true,
            "units" => policy.requests_assigned = false,
            other => problems
                .add(at, format!("{}: `{other}` is unknown; there are requests, units", fields.name("assignment"))),
        }
    }
    // Share of units meant for the canary.
    if let Some((percent, at)) = fields.number("share_percent", problems) {
        if (0.0001..=99.9999).contains(&percent) {
            policy.declared_share = Some(percent / 100.0);
        } else {
            let words = format!("{}: must be from 0.0001 to 99.9999, got {percent}", fields.name("share_percent"));
            problems.add(at, words);
        }
    }
    // Share of units that the next step will expose; 100: the last step, with the full margin.
    if let Some((percent, at)) = fields.number("next_share_percent", problems) {
        if percent > 0.0 && percent <= 100.0 {
            policy.next_share = percent / 100.0;
        } else {
            let words =
                format!("{}: must be above 0 and at most 100, got {percent}", fields.name("next_share_percent"));
            problems.add(at, words);
        }
    }
    // Shortest time under observation before a pass; in whole seconds, as the ledger has them.
    if let Some((minutes, at)) = fields.number("minimum_minutes", problems) {
        match minutes_of(minutes) {
            Some(time) => policy.minimum_time = time,
            None => problems.add(at, format!("{}: must be at least 0, got {minutes}", fields.name("minimum_minutes"))),
        }
    }
    if let Some((list, at)) = fields.list("expect", problems) {
        expect(list, at, &fields.name("expect"), &mut policy, problems);
    }
    if let Some(node) = fields.get("limits") {
        policy.limits = limits(node, &fields.name("limits"), problems);
    }
    // Business events that may not become rarer in the canary, and the field that holds their name.
    let names = fields.texts("conversions", problems);
    // Those that may not become more frequent.
    let harms = fields.texts("harms", problems);
    let field = fields.text("conversion_field", problems);
    let places =
        [names.as_ref().map(|(_, at)| *at), harms.as_ref().map(|(_, at)| *at), field.as_ref().map(|(_, at)| *at)];
    if let Some(at) = places.into_iter().flatten().next() {
        let names = names.map(|(names, _)| texts(names)).unwrap_or_default();
        let harms = harms.map(|(names, _)| texts(names)).unwrap_or_default();
        match conversions(names, harms, field.map(|(field, _)| field)) {
            Ok(conversions) => policy.conversions = conversions,
            Err(problem) => problems.add(at, problem),
        }
    }
    if let Some((names, at)) = fields.texts("segments", problems) {
        let names = texts(names);
        match segment_fields(&names) {
            Ok(_) => policy.segments = names,
            Err(problem) => problems.add(at, format!("segments: {problem}")),
        }
    }
    if let Some((names, at)) = fields.texts("release", problems) {
        match distinct_services(texts(names)) {
            Ok(release) => policy.release = release,
            Err(problem) => problems.add(at, format!("release: {problem}")),
        }
    }
    policy
}

fn texts(list: Vec<Located<String>>) -> Vec<String> {
    list.into_iter().map(|(text, _)| text).collect()
}

/// Minutes as whole seconds.
pub(super) fn minutes_of(minutes: f64) -> Option<Micros> {
    (0.0..1e6).contains(&minutes).then(|| (minutes * 60.0).round() as i64 * SECOND)
}

/// What is expected to change: behaviours by name, and log lines by text or id.
fn expect(list: &[Node], at: Place, name: &str, policy: &mut Policy, problems: &mut Problems) {
    policy.expect.clear();
    policy.expect_templates.clear();
    for node in list {
        if let Form::Mapping(_) = &node.form {
            let mut of = Fields::of(node, name, problems);
            match of.text("template", problems) {
                Some((text, at)) if text.trim().is_empty() => {
                    problems.add(at, format!("{name}: a template has no text"));
                }
                Some((text, _)) => policy.expect_templates.extend(template_ids(&text)),
                None => problems.add(node.at, format!("{name}: write {{template: TEXT}}")),
            }
            of.finish(problems);
            continue;
        }
        let Some(group) = yaml::text_of(node, name, problems) else { continue };
        match Behaviour::from_name(&group) {
            Some(group) => policy.expect.push(group),
            None => {
                let known: Vec<&str> = Behaviour::ALL.into_iter().map(Behaviour::name).collect();
                let words =
                    format!("{name}: `{group}` is unknown; there are {}, and {{template: TEXT}}", known.join(", "));
                problems.add(node.at, words);
            }
        }
    }
    policy.expect_templates.sort_unstable();
    policy.expect_templates.dedup();
    if policy.expect_templates.len() > EXPECTED_TEMPLATES_MAX {
        problems.add(at, format!("{name}: more than {EXPECTED_TEMPLATES_MAX} templates"));
    }
}

/// Business events: a few, none twice, none without a name.
fn conversions(names: Vec<String>, harms: Vec<String>, field: Option<String>) -> Result<Conversions, String> {
    let names = [names, harms.clone()].concat();
    if names.len() > CONVERSIONS_MAX {
        return Err(format!("conversions: at most {CONVERSIONS_MAX} events can be tested, got {}", names.len()));
    }
    for (at, name) in names.iter().enumerate() {
        if name.is_empty() || name.len() > CONVERSION_NAME_MAX {
            return Err(format!("conversions: a name has 1 to {CONVERSION_NAME_MAX} bytes, got {}", name.len()));
        }
        if names.iter().take(at).any(|known| known == name) {
            return Err(format!("conversions: `{name}` is named twice"));
        }
    }
    match field {
        Some(_) if names.is_empty() => {
            Err("conversion_field: there are no conversions whose name it could hold".to_owned())
        }
        Some(field) if field.trim().is_empty() => Err("conversion_field: the field has no name".to_owned()),
        field => Ok(Conversions { names, field, harms: harms.into_iter().collect(), ..Conversions::default() }),
    }
}

/// Fields of segments as they are asked for: none of them for `none`, and nothing where nothing is asked.
pub(super) fn segment_fields(names: &[String]) -> Result<Option<Vec<String>>, String> {
    match names {
        [] => return Ok(None),
        [only] if only == "none" => return Ok(Some(Vec::new())),
        _ => {}
    }
    if names.len() > SEGMENT_FIELDS_MAX {
        return Err(format!("at most {SEGMENT_FIELDS_MAX} fields can be taken, got {}", names.len()));
    }
    for (at, name) in names.iter().enumerate() {
        if name.trim().is_empty() {
            return Err("a field has no name".to_owned());
        }
        if name == "none" {
            return Err("`none` stands alone".to_owned());
        }
        if names.iter().take(at).any(|known| known == name) {
            return Err(format!("`{name}` is named twice"));
        }
    }
    Ok(Some(names.to_vec()))
}

/// Longest name of a business event, in bytes.
const CONVERSION_NAME_MAX: usize = 200;

/// Longest latency that can be a limit, in milliseconds: an hour.
const LATENCY_LIMIT_MAX_MS: f64 = 3_600_000.0;

/// Absolute limits, in the units in which the engine counts.
fn limits(node: &Node, name: &str, problems: &mut Problems) -> Limits {
    let mut limits = Limits::default();
    let before = problems.0.len();
    let mut fields = Fields::of(node, name, problems);
    let (errors, p99) = (fields.number("errors_percent", problems), fields.number("p99_ms", problems));
    match errors {
        Some((percent, _)) if (0.0001..=99.9999).contains(&percent) => {
            limits.errors_ppm = Some((percent * 10_000.0).round() as u32);
        }
        Some((percent, at)) => {
            problems.add(at, format!("{name}.errors_percent: must be from 0.0001 to 99.9999, got {percent}"));
        }
        None => {}
    }
    match p99 {
        Some((ms, _)) if (0.001..=LATENCY_LIMIT_MAX_MS).contains(&ms) => {
            limits.p99_us = Some((ms * 1_000.0).round() as u64);
        }
        Some((ms, at)) => {
            let words = format!("{name}.p99_ms: must be from 0.001 to {LATENCY_LIMIT_MAX_MS} (an hour), got {ms}");
            problems.add(at, words);
        }
        None => {}
    }
    if let Some((word, at)) = fields.text("on_break", problems) {
        match word.as_str() {
            "hold" => {}
            "fail" => limits.fails = true,
            other => problems.add(at, format!("{name}.on_break: `{other}` is unknown; there are hold, fail")),
        }
    }
    if errors.is_none() && p99.is_none() && (problems.0.len() == before || !matches!(node.form, Form::Mapping(_))) {
        problems.add(node.at, format!("{name}: names no limit; there are errors_percent, p99_ms"));
    }
    fields.finish(problems);
    limits
}

/// Names of the services of one release: none twice, none empty.
pub(super) fn distinct_services(names: Vec<String>) -> Result<Vec<String>, String> {
    let names: Vec<String> = names.into_iter().map(|name| name.trim().to_owned()).collect();
    for (at, name) in names.iter().enumerate() {
        if name.is_empty() {
            return Err("a service has no name".to_owned());
        }
        if names.iter().take(at).any(|known| known == name) {
            return Err(format!("`{name}` is named twice"));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_is_what_an_empty_file_says() {
        for text in ["", " \n", "# nothing yet\n", "---\n", "null", "~\n", "null # nothing yet\n"] {
            assert_eq!(parse(text).unwrap(), Policy::default(), "{text:?}");
        }
        let policy =
            parse("guardrails: [errors]\nnext_share_percent: 25\nexpect: [routes]\nshare_percent: 5\n").unwrap();
        assert!(policy.errors && !policy.latency);
        assert_eq!((policy.next_share, policy.declared_share), (0.25, Some(0.05)));
        assert_eq!(policy.expect, [Behaviour::Routes]);
    }

    #[test]
    fn log_lines_are_expected_by_text_or_id() {
        let by_text = parse("expect: [templates, {template: 'cache of user 17 is cold'}]").unwrap();
        assert_eq!(by_text.expect, [Behaviour::Templates]);
        let id = template_id(b"cache of user <*> is cold");
        assert_eq!(by_text.expect_templates, [id]);
        let by_mask = parse("expect:\n  - template: cache of user <*> is cold\n").unwrap();
        assert_eq!(by_mask.expect_templates, [id]);
        assert_eq!(parse(&format!("expect: [{{template: '{id:016x}'}}]")).unwrap().expect_templates, [id]);
        assert_eq!(parse("expect: [{template: a.b.c}]").unwrap().expect_templates.len(), 2, "a text, or a name");
        assert!(parse("expect: [{template: ''}]").unwrap_err().to_string().contains("no text"));
        assert!(parse("expect: [{templat: a}]").is_err());
    }

    #[test]
    fn services_of_a_release_are_named_once() {
        assert_eq!(parse("release: [web, api]").unwrap().release, ["web", "api"]);
        for (text, problem) in [("release: [web, web]", "`web` is named twice"), ("release: ['']", "has no name")] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("release: ") && error.contains(problem), "{error}");
        }
    }

    #[test]
    fn limits_are_counted_in_millionths_and_microseconds() {
        assert_eq!(
            parse("limits: {errors_percent: 2}").unwrap().limits,
            Limits { errors_ppm: Some(20_000), ..Limits::default() }
        );
        let both = parse("limits:\n  errors_percent: 0.05\n  p99_ms: 800\n  on_break: fail\n").unwrap().limits;
        assert_eq!(both, Limits { errors_ppm: Some(500), p99_us: Some(800_000), fails: true });
        assert!(!parse("limits: {p99_ms: 0.5, on_break: hold}").unwrap().limits.fails);
    }

    #[test]
    fn conversions_are_few_and_named_once() {
        let policy = parse("conversions: [checkout_completed, signup]\nconversion_field: app.event\n").unwrap();
        assert_eq!(policy.conversions.names, ["checkout_completed", "signup"]);
        assert_eq!(policy.conversions.fields(), ["serin.event", "app.event"]);
        let policy = parse("conversions: [signup]\nharms: [refund]\n").unwrap();
        assert_eq!(policy.conversions.names, ["signup", "refund"]);
        assert!(policy.conversions.harms.contains("refund") && !policy.conversions.harms.contains("signup"));
        assert!(parse("conversions: []").unwrap().conversions.fields().is_empty());
        for (text, problem) in [
            ("conversions: [a, b, a]", "conversions: `a` is named twice"),
            ("conversions: [a]\nharms: [a]", "conversions: `a` is named twice"),
            ("conversions: ['']", "conversions: a name has 1 to 200 bytes, got 0"),
            ("conversions: [a, b, c, d, e, f, g, h, i]", "conversions: at most 8 events can be tested, got 9"),
            ("conversion_field: x", "conversion_field: there are no conversions"),
            ("conversions: [a]\nconversion_field: ' '", "conversion_field: the field has no name"),
            ("conversions: checkout", "line 1"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn segments_are_few_and_named_once() {
        assert_eq!(parse("segments: [region, tier]").unwrap().segments, ["region", "tier"]);
        assert_eq!(segment_fields(&["none".to_owned()]), Ok(Some(Vec::new())));
        assert_eq!(segment_fields(&[]), Ok(None));
        for (text, problem) in [
            ("segments: [a, b, c, d, e]", "segments: at most 4 fields can be taken, got 5"),
            ("segments: [a, a]", "segments: `a` is named twice"),
            ("segments: [a, none]", "segments: `none` stands alone"),
            ("segments: ['']", "segments: a field has no name"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn limits_that_mean_nothing_are_refused_by_name() {
        for (text, problem) in [
            ("limits: {}", "limits: names no limit; there are errors_percent, p99_ms"),
            ("limits: {on_break: fail}", "limits: names no limit"),
            ("limits: {errors_percent: 0}", "limits.errors_percent: must be from 0.0001 to 99.9999, got 0"),
            ("limits: {errors_percent: 100}", "limits.errors_percent: must be"),
            ("limits: {errors_percent: -2}", "limits.errors_percent: must be"),
            ("limits: {errors_percent: .nan}", "limits.errors_percent: must be"),
            ("limits: {p99_ms: 0}", "limits.p99_ms: must be from 0.001 to 3600000 (an hour), got 0"),
            ("limits: {p99_ms: .inf}", "limits.p99_ms: must be"),
            ("limits: {errors_percent: 2, on_break: explode}", "`explode` is unknown; there are hold, fail"),
            ("limits: {errors: 2}", "errors"),
            ("limits: {errors_percent: 2%}", "line 1 column 26"),
            ("limits: 2", "line 1 column 9"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(problem), "{text}: {error}");
        }
    }

    #[test]
    fn every_problem_is_named() {
        let error =
            parse("guardrails: [speed]\nnext_share_percent: 0\nexpect: [luck]\nminimum_minutes: -1").unwrap_err();
        let text = error.to_string();
        for part in ["`speed` is unknown", "next_share_percent", "`luck` is unknown", "minimum_minutes"] {
            assert!(text.contains(part), "{text}");
        }
        assert!(parse("guardrail: [errors]").unwrap_err().to_string().contains("guardrail"));
    }
}
