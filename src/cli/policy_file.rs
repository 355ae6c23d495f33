//! Policy files: what the team asks of a rollout, in YAML.

use std::path::Path;

use anyhow::{Context, anyhow, bail};
use serde::Deserialize;

use crate::compare::verdict::Behaviour;
use crate::engine::limits::Limits;
use crate::engine::policy::Policy;
use crate::event::SEGMENT_FIELDS_MAX;
use crate::pipeline::plan::{CONVERSIONS_MAX, Conversions};
use crate::pipeline::template::{Writer, mask, template_id};

/// The file as it is written. Unknown keys are refused.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct PolicyFile {
    /// Guardrails that a pass needs: errors, latency.
    guardrails: Vec<String>,
    /// Share of units that the next step will expose, in per cent. 100: the last step, with the full margin.
    next_share_percent: f64,
    /// Shortest time under observation before a pass, in minutes.
    minimum_minutes: f64,
    /// Behaviours whose change is expected, by [`Behaviour::name`], and single log lines.
    expect: Vec<Expected>,
    /// Share of units meant for the canary, in per cent.
    share_percent: Option<f64>,
    /// Services that carry the new version together, the entry first.
    release: Vec<String>,
    /// Business events that may not become rarer in the canary.
    conversions: Vec<String>,
    /// Field that holds the name of a business event.
    conversion_field: Option<String>,
    /// What both arms together may not exceed.
    limits: Option<LimitsFile>,
    /// Fields whose values are segments; `none`: no segments.
    segments: Vec<String>,
}

/// What is expected to change.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Expected {
    /// A behaviour.
    Group(String),
    /// One log line.
    Template(ExpectedTemplate),
}

/// A log line, by its text (with its values or with `<*>` for them) or by the 16 digits of its id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExpectedTemplate {
    template: String,
}

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

/// Absolute limits as they are written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct LimitsFile {
    /// Share of requests that may fail, in per cent.
    errors_percent: Option<f64>,
    /// 99th percentile of latency, in milliseconds.
    p99_ms: Option<f64>,
    /// What a limit that stays broken does: hold, fail.
    on_break: Option<String>,
}

impl Default for PolicyFile {
    fn default() -> Self {
        PolicyFile {
            guardrails: vec!["errors".to_owned(), "latency".to_owned()],
            next_share_percent: 100.0,
            minimum_minutes: 5.0,
            expect: Vec::new(),
            share_percent: None,
            release: Vec::new(),
            conversions: Vec::new(),
            conversion_field: None,
            limits: None,
            segments: Vec::new(),
        }
    }
}

/// Reads a policy.
pub(super) fn read(path: &Path) -> anyhow::Result<Policy> {
    let text = std::fs::read_to_string(path).with_context(|| format!("{}: cannot be read", path.display()))?;
    parse(&text).with_context(|| format!("{}: not a policy", path.display()))
}

fn parse(text: &str) -> anyhow::Result<Policy> {
    let file: PolicyFile = if text.trim().is_empty() {
        PolicyFile::default()
    } else {
        // A file of comments alone is the value null, which may also be written. The first line of an error says what and
        // where; what follows shows the file, which its owner has.
        serde_saphyr::from_str::<Option<PolicyFile>>(text).map(Option::unwrap_or_default).map_err(|error| {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            anyhow!("{}", line.strip_prefix("error: ").unwrap_or(line))
        })?
    };
    let mut problems = Vec::new();
    let mut policy = Policy { errors: false, latency: false, ..Policy::default() };
    for name in &file.guardrails {
        match name.as_str() {
            "errors" => policy.errors = true,
            "latency" => policy.latency = true,
            other => problems.push(format!("guardrails: `{other}` is unknown; there are errors, latency")),
        }
    }
    if file.guardrails.is_empty() {
        problems.push("guardrails: at least one is needed, or nothing could ever pass".to_owned());
    }
    if let Some(percent) = file.share_percent
        && !(0.0001..=99.9999).contains(&percent)
    {
        problems.push(format!("share_percent: must be from 0.0001 to 99.9999, got {percent}"));
    }
    if !(file.next_share_percent > 0.0 && file.next_share_percent <= 100.0) {
        problems.push(format!("next_share_percent: must be above 0 and at most 100, got {}", file.next_share_percent));
    }
    policy.next_share = file.next_share_percent / 100.0;
    policy.declared_share = file.share_percent.map(|percent| percent / 100.0);
    if file.minimum_minutes >= 0.0 && file.minimum_minutes < 1e6 {
        // Whole seconds, as the ledger has them.
        policy.minimum_time = (file.minimum_minutes * 60.0).round() as i64 * crate::time::SECOND;
    } else {
        problems.push(format!("minimum_minutes: must be at least 0, got {}", file.minimum_minutes));
    }
    for expected in &file.expect {
        match expected {
            Expected::Template(of) if of.template.trim().is_empty() => {
                problems.push("expect: a template has no text".to_owned());
            }
            Expected::Template(of) => policy.expect_templates.extend(template_ids(&of.template)),
            Expected::Group(name) => match Behaviour::from_name(name) {
                Some(group) => policy.expect.push(group),
                None => {
                    let known: Vec<&str> = Behaviour::ALL.into_iter().map(Behaviour::name).collect();
                    problems.push(format!(
                        "expect: `{name}` is unknown; there are {}, and {{template: TEXT}}",
                        known.join(", ")
                    ));
                }
            },
        }
    }
    policy.expect_templates.sort_unstable();
    policy.expect_templates.dedup();
    if policy.expect_templates.len() > EXPECTED_TEMPLATES_MAX {
        problems.push(format!("expect: more than {EXPECTED_TEMPLATES_MAX} templates"));
    }
    if let Some(file) = &file.limits {
        policy.limits = limits(file, &mut problems);
    }
    match conversions(file.conversions, file.conversion_field) {
        Ok(conversions) => policy.conversions = conversions,
        Err(problem) => problems.push(problem),
    }
    match segment_fields(&file.segments) {
        Ok(_) => policy.segments = file.segments,
        Err(problem) => problems.push(format!("segments: {problem}")),
    }
    match distinct_services(file.release) {
        Ok(release) => policy.release = release,
        Err(problem) => problems.push(format!("release: {problem}")),
    }
    if !problems.is_empty() {
        bail!("{}", problems.join("\n  "));
    }
    Ok(policy)
}

/// Business events: a few, none twice, none without a name.
fn conversions(names: Vec<String>, field: Option<String>) -> Result<Conversions, String> {
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
        field => Ok(Conversions { names, field }),
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
fn limits(file: &LimitsFile, problems: &mut Vec<String>) -> Limits {
    let mut limits = Limits::default();
    match file.errors_percent {
        Some(percent) if (0.0001..=99.9999).contains(&percent) => {
            limits.errors_ppm = Some((percent * 10_000.0).round() as u32);
        }
        Some(percent) => {
            problems.push(format!("limits.errors_percent: must be from 0.0001 to 99.9999, got {percent}"));
        }
        None => {}
    }
    match file.p99_ms {
        Some(ms) if (0.001..=LATENCY_LIMIT_MAX_MS).contains(&ms) => limits.p99_us = Some((ms * 1_000.0).round() as u64),
        Some(ms) => {
            problems.push(format!("limits.p99_ms: must be from 0.001 to {LATENCY_LIMIT_MAX_MS} (an hour), got {ms}"));
        }
        None => {}
    }
    match file.on_break.as_deref() {
        None | Some("hold") => {}
        Some("fail") => limits.fails = true,
        Some(other) => problems.push(format!("limits.on_break: `{other}` is unknown; there are hold, fail")),
    }
    if file.errors_percent.is_none() && file.p99_ms.is_none() {
        problems.push("limits: names no limit; there are errors_percent, p99_ms".to_owned());
    }
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
        assert_eq!(policy.conversions.fields(), ["app.event"]);
        assert!(parse("conversions: []").unwrap().conversions.fields().is_empty());
        for (text, problem) in [
            ("conversions: [a, b, a]", "conversions: `a` is named twice"),
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
