//! A pipeline from its text; everything that is wrong in it is told at once, with its place.

use crate::cli::compare::{arm_by, parts_per_million, role_field, source};
use crate::cli::policy_file::segment_fields;
use crate::cli::yaml::{self, Fields, Form, Located, Node, Place, Problem, Problems, text_of};
use crate::pipeline::clock::Zone;
use crate::pipeline::plan::{ArmRule, CONVERSIONS_MAX, TIMES_MAX, UnitKind};
use crate::pipeline::prepare::redact::Looks;
use crate::pipeline::prepare::{GIVEN_EVENT, LinePattern, Redact, Rule, Words};
use crate::pipeline::roles::Role;
use crate::query::{Query, suggest};

use super::keep::index;
use super::metrics::metrics;
use super::{Pipeline, Test};

/// Patterns of one pipeline.
const PATTERNS_MAX: usize = 32;
/// Rules of one pipeline.
const RULES_MAX: usize = 256;
/// Longest name of a pipeline, in bytes.
const NAME_MAX: usize = 64;

/// Fields that hold a flag's key, and the variant beside it, as exporters of OpenTelemetry write them.
const FLAGS: [(&str, &[&str]); 3] = [
    ("feature_flag.key", &["feature_flag.variant", "feature_flag.result.variant"]),
    ("attributes.feature_flag.key", &["attributes.feature_flag.variant", "attributes.feature_flag.result.variant"]),
    ("Attributes.feature_flag.key", &["Attributes.feature_flag.variant", "Attributes.feature_flag.result.variant"]),
];

/// What a line can count as.
const KINDS: [&str; 6] = ["request", "span", "log", "exposure", "event", "outside"];

/// A text is a pipeline's, right or wrong.
#[cfg(any(feature = "serve", test))]
pub(in crate::cli) fn is_one(text: &str) -> bool {
    let Ok(node) = yaml::parse(text) else { return text.lines().any(|line| line.starts_with("pipeline:")) };
    // Where the name is missing, other keys tell that it is one.
    let own = ["pipeline", "patterns", "set", "redact", "tests"];
    matches!(&node.form, Form::Mapping(entries) if entries.iter().any(|(key, _, _)| own.contains(&key.as_str())))
}

/// Reads a pipeline.
///
/// # Errors
/// Everything that is wrong.
pub(in crate::cli) fn parse(text: &str) -> Result<Pipeline, Vec<Problem>> {
    let mut problems = Problems::default();
    let node = yaml::parse(text).map_err(|problem| vec![problem])?;
    let mut fields = Fields::of(&node, "", &mut problems);
    let mut pipeline = Pipeline::default();
    match fields.text("pipeline", &mut problems) {
        Some((name, at)) => {
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
            if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(is_name) {
                problems
                    .add(at, format!("pipeline: `{name}` is no name; letters, digits, - and _, at most {NAME_MAX}"));
            }
            pipeline.stage.name = name;
        }
        None => problems.add(node.at, "pipeline: a name is needed"),
    }
    pipeline.about = fields.text("about", &mut problems).map(|(text, _)| text).unwrap_or_default();
    if let Some((streams, _)) = fields.texts("streams", &mut problems) {
        pipeline.stage.streams = streams.into_iter().map(|(text, _)| text).collect();
    }
    if let Some((zone, at)) = fields.text("zone", &mut problems) {
        match Zone::parse(&zone) {
            Ok(zone) => pipeline.stage.zone = Some(zone),
            Err(error) => problems.add(at, format!("zone: {error}")),
        }
    }
    if let Some((patterns, at)) = fields.texts("patterns", &mut problems) {
        at_most(PATTERNS_MAX, patterns.len(), "patterns", at, &mut problems);
        for (source, at) in patterns {
            match LinePattern::parse(&source) {
                Ok(pattern) => pipeline.stage.patterns.push(pattern),
                Err(error) => problems.add(at, format!("patterns: {error}")),
            }
        }
    }
    if let Some((list, at)) = fields.list("set", &mut problems) {
        at_most(RULES_MAX, list.len(), "set", at, &mut problems);
        pipeline.stage.rules = list.iter().filter_map(|node| rule(node, &mut problems)).collect();
    }
    roles(&mut fields, &mut pipeline, &mut problems);
    arms(&mut fields, &mut pipeline, &mut problems);
    if let Some((word, at)) = fields.text("unit", &mut problems) {
        let known = if word == "client" { UnitKind::Client.name() } else { &word };
        pipeline.unit = UnitKind::from_name(known);
        if pipeline.unit.is_none() {
            problems.add(
                at,
                format!("unit: `{word}` is unknown; there are user, session, client, trace, instance, request"),
            );
        }
    }
    if let Some((names, at)) = fields.texts("segments", &mut problems) {
        let names: Vec<String> = names.into_iter().map(|(text, _)| text).collect();
        match segment_fields(&names) {
            Ok(segments) => pipeline.segments = segments,
            Err(problem) => problems.add(at, format!("segments: {problem}")),
        }
    }
    if let Some(node) = fields.get("requests_from") {
        for (service, at, value) in entries(node, "requests_from", &mut problems) {
            let Some(text) = text_of(value, &format!("requests_from.{service}"), &mut problems) else { continue };
            match source(&format!("{service}={text}")) {
                Ok((service, from)) => {
                    pipeline.requests_from.insert(service, from);
                }
                Err(_) => problems.add(
                    *at,
                    format!(
                        "requests_from.{service}: `{text}` is unknown; there are access-log, root-span, application, timed, outgoing"
                    ),
                ),
            }
        }
    }
    events(&mut fields, &mut pipeline, &mut problems);
    metrics(&mut fields, &mut pipeline, &mut problems);
    index(&mut fields, &mut pipeline, &mut problems);
    if let Some(node) = fields.get("redact") {
        pipeline.stage.redact = redact(node, &mut problems);
    }
    if let Some((list, _)) = fields.list("tests", &mut problems) {
        pipeline.tests = list.iter().filter_map(|node| test(node, &mut problems)).collect();
    }
    fields.finish(&mut problems);
    if problems.0.is_empty() { Ok(pipeline) } else { Err(problems.sorted()) }
}

pub(super) fn at_most(most: usize, count: usize, name: &str, at: Place, problems: &mut Problems) {
    if count > most {
        problems.add(at, format!("{name}: {count} of them; at most {most} are taken"));
    }
}

/// Keys and values of a mapping whose keys are names.
fn entries<'a>(node: &'a Node, name: &str, problems: &mut Problems) -> &'a [(String, Place, Node)] {
    match &node.form {
        Form::Mapping(entries) => entries,
        _ => {
            problems.add(node.at, format!("{name}: names with values are needed (name: value)"));
            &[]
        }
    }
}

pub(super) fn query((text, at): Located<String>, name: &str, problems: &mut Problems) -> Option<Query> {
    match Query::parse(&text) {
        Ok(query) => Some(query),
        Err(error) => {
            // Behind it comes the query with a caret, for a terminal.
            let words = error.to_string();
            problems.add(at, format!("{name}: {}", words.lines().next().unwrap_or_default()));
            None
        }
    }
}

fn rule(node: &Node, problems: &mut Problems) -> Option<Rule> {
    let mut rule = Rule { when: None, set: Vec::new() };
    for (name, at, value) in entries(node, "set", problems) {
        let text = text_of(value, &format!("set.{name}"), problems)?;
        if name == "when" {
            rule.when = Some(query((text, value.at), "set.when", problems)?);
            continue;
        }
        // A rule without its query would be one for all lines.
        if Role::from_name(name).is_none() && suggest(name, ["when"].into_iter()).is_some() {
            problems.add(*at, format!("set: is `{name}` meant to be `when`? A field of that name cannot be set"));
        }
        match Words::parse(&text) {
            Ok(words) => rule.set.push((name.clone(), words)),
            Err(error) => problems.add(*at, format!("set.{name}: {error}")),
        }
    }
    if rule.set.is_empty() {
        problems.add(node.at, "set: it sets nothing; name a role or a field (service: shop)");
    }
    Some(rule)
}

fn roles(fields: &mut Fields<'_>, pipeline: &mut Pipeline, problems: &mut Problems) {
    let Some(node) = fields.get("roles") else { return };
    for (name, at, value) in entries(node, "roles", problems) {
        let Some(role) = Role::from_name(name) else {
            let near = suggest(name, Role::ALL.into_iter().map(Role::name));
            let hint = near.map_or_else(
                || format!("there are {}", Role::ALL.map(Role::name).join(", ")),
                |near| format!("did you mean `{near}`?"),
            );
            problems.add(*at, format!("roles: there is no role `{name}`; {hint}"));
            continue;
        };
        let list = match &value.form {
            Form::List(list) => list.as_slice(),
            _ => std::slice::from_ref(value),
        };
        for node in list {
            let Some(text) = text_of(node, &format!("roles.{name}"), problems) else { continue };
            match role_field(role, &text) {
                Ok(field) => pipeline.roles.entry(role).or_default().push(field),
                Err(error) => problems.add(node.at, format!("roles.{name}: {error}")),
            }
        }
    }
}

fn arms(fields: &mut Fields<'_>, pipeline: &mut Pipeline, problems: &mut Problems) {
    let Some(node) = fields.get("arms") else { return };
    if let Form::Text { text, .. } = &node.form {
        match arm_by(text) {
            Ok(rule) => pipeline.arms = Some(rule),
            Err(error) => problems.add(node.at, format!("arms: {error}")),
        }
        return;
    }
    let mut of = Fields::of(node, "arms", problems);
    let baseline = of.text("baseline", problems);
    let canary = of.text("canary", problems);
    let flag = of.text("flag", problems);
    let hash = of.get("hash");
    let ways =
        usize::from(baseline.is_some() || canary.is_some()) + usize::from(flag.is_some()) + usize::from(hash.is_some());
    of.finish(problems);
    if ways != 1 {
        problems.add(node.at, "arms: one way is needed: a field, or baseline and canary, or flag, or hash");
        return;
    }
    match (baseline, canary) {
        (Some(baseline), Some(canary)) => {
            let queries = (query(baseline, "arms.baseline", problems), query(canary, "arms.canary", problems));
            if let (Some(baseline), Some(canary)) = queries {
                pipeline.arms = Some(ArmRule::Queries { baseline, canary });
            }
        }
        (None, None) => {}
        _ => problems.add(node.at, "arms: baseline and canary are needed together"),
    }
    if let Some((key, at)) = flag {
        match flag_rules(&key) {
            Some(rules) => {
                pipeline.stage.rules.extend(rules);
                pipeline.arms = Some(ArmRule::Field(super::given(Role::Variant)));
            }
            None => problems.add(at, format!("arms.flag: `{key}` is no key of a flag")),
        }
    }
    if let Some(node) = hash {
        let mut of = Fields::of(node, "arms.hash", problems);
        let (share, seed) = (of.text("share", problems), of.text("seed", problems));
        of.finish(problems);
        match (share, seed) {
            (Some((share, at)), Some((seed, _))) => match parts_per_million(&share) {
                Ok(share_ppm) => pipeline.arms = Some(ArmRule::Hash { share_ppm, seed }),
                Err(error) => problems.add(at, format!("arms.hash.share: {error}")),
            },
            _ => problems.add(node.at, "arms.hash: share and seed are needed"),
        }
    }
}

/// What makes an evaluation of a flag an exposure, and its variant the arm.
fn flag_rules(key: &str) -> Option<Vec<Rule>> {
    let mut rules = Vec::new();
    for (field, variants) in FLAGS {
        let quoted = key.replace('\\', "\\\\").replace('"', "\\\"");
        let when = Query::parse(&format!("{field}:\"{quoted}\"")).ok()?;
        for variant in variants {
            let words = Words::parse(&format!("${{{variant}}}")).ok()?;
            rules.push(Rule { when: Some(when.clone()), set: vec![(Role::Variant.name().to_owned(), words)] });
        }
        let exposure = Words::parse("exposure").ok()?;
        rules.push(Rule { when: Some(when), set: vec![(Role::Kind.name().to_owned(), exposure)] });
    }
    Some(rules)
}

fn events(fields: &mut Fields<'_>, pipeline: &mut Pipeline, problems: &mut Problems) {
    let Some((list, at)) = fields.list("events", problems) else { return };
    at_most(CONVERSIONS_MAX, list.len(), "events", at, problems);
    let named = |name: String, at: Place, pipeline: &mut Pipeline, problems: &mut Problems| {
        if pipeline.events.contains(&name) {
            problems.add(at, format!("events: `{name}` is there twice; a second query needs a name of its own"));
        }
        pipeline.events.push(name);
    };
    for node in list {
        if let Form::Text { text, .. } = &node.form {
            named(text.clone(), node.at, pipeline, problems);
            continue;
        }
        let mut of = Fields::of(node, "events", problems);
        let (name, lines) = (of.text("name", problems), of.text("where", problems));
        let harm = of.text("harm", problems);
        let at_least = of.text("at_least", problems);
        of.finish(problems);
        let Some((name, at)) = name else {
            problems.add(node.at, "events: a name is needed");
            continue;
        };
        match harm {
            None => {}
            Some((word, _)) if word == "rises" => {
                pipeline.harms.insert(name.clone());
            }
            Some((word, _)) if word == "falls" => {}
            Some((word, at)) => {
                problems.add(at, format!("events.harm: `{word}` is unknown; there are falls, rises"));
            }
        }
        if let Some((text, at)) = at_least {
            match text.parse::<u16>() {
                Ok(1) => {}
                Ok(times) if (2..=TIMES_MAX).contains(&times) => {
                    pipeline.at_least.insert(name.clone(), times);
                }
                _ => problems.add(at, format!("events.at_least: `{text}` is no number from 1 to {TIMES_MAX}")),
            }
        }
        let Some(lines) = lines else {
            named(name, at, pipeline, problems);
            continue;
        };
        let words = match Words::parse(&name) {
            Ok(words) if !name.contains("${") => words,
            _ => {
                problems.add(at, "events.name: a plain text is needed");
                continue;
            }
        };
        let Some(when) = query(lines, "events.where", problems) else { continue };
        pipeline.stage.rules.push(Rule { when: Some(when), set: vec![(GIVEN_EVENT.to_owned(), words)] });
        named(name, at, pipeline, problems);
    }
}

fn redact(node: &Node, problems: &mut Problems) -> Redact {
    let mut of = Fields::of(node, "redact", problems);
    let mut names = |key: &'static str, problems: &mut Problems| {
        let texts = of.texts(key, problems).map(|(texts, _)| texts).unwrap_or_default();
        for (_, at) in texts.iter().filter(|(text, _)| text.trim().is_empty()) {
            problems.add(*at, format!("redact.{key}: a field has no name"));
        }
        texts.into_iter().map(|(text, _)| text).collect()
    };
    let mut redact = Redact { fields: names("fields", problems), hashed: names("hash", problems), ..Redact::default() };
    if let Some((words, _)) = of.texts("looks", problems) {
        for (word, at) in words {
            match Looks::from_name(&word) {
                Some(looks) => {
                    redact.looks.insert(looks);
                }
                None => {
                    let known = Looks::ALL.map(Looks::name).join(", ");
                    problems.add(at, format!("redact.looks: `{word}` is unknown; there are {known}"));
                }
            }
        }
    }
    of.finish(problems);
    redact
}

fn test(node: &Node, problems: &mut Problems) -> Option<Test> {
    let mut of = Fields::of(node, "tests", problems);
    let about = of.text("about", problems).map(|(text, _)| text).unwrap_or_default();
    let stream = of.text("stream", problems).map_or_else(|| "test".to_owned(), |(text, _)| text);
    let lines = match of.get("lines") {
        Some(Node { form: Form::Text { text, .. }, .. }) => text.lines().map(str::to_owned).collect(),
        Some(Node { form: Form::List(list), .. }) => {
            list.iter().filter_map(|node| text_of(node, "tests.lines", problems)).collect()
        }
        _ => {
            problems.add(node.at, "tests: lines are needed, as a text or a list");
            Vec::new()
        }
    };
    let mut gives = Vec::new();
    let mut at = (node.at.line, node.at.column);
    if let Some((list, _)) = of.list("gives", problems) {
        for node in list {
            let mut keys = Vec::new();
            for (key, _, value) in entries(node, "tests.gives", problems) {
                let text = match &value.form {
                    Form::Nothing => String::new(),
                    _ => text_of(value, &format!("tests.gives.{key}"), problems)?,
                };
                if key == "kind" && !KINDS.contains(&text.as_str()) {
                    problems.add(
                        value.at,
                        format!("tests.gives.kind: `{text}` is unknown; there are {}", KINDS.join(", ")),
                    );
                }
                keys.push((key.clone(), text));
            }
            gives.push(keys);
        }
    }
    if let Some(place) = of.place("gives") {
        at = (place.line, place.column);
    }
    of.finish(problems);
    let lines_here = lines.iter().filter(|line: &&String| !line.trim().is_empty()).count();
    if lines_here > 0 && gives.len() > lines_here {
        let words = format!("tests.gives: {} results for {lines_here} lines; each line has one", gives.len());
        problems.add(Place { line: at.0, column: at.1 }, words);
    }
    Some(Test { about, stream, lines, gives, at })
}

#[cfg(test)]
mod tests;
