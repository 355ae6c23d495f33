//! Dashboards: files of YAML that name panels and where they stand (`dashboards/`). Three are built in; a folder may hold more, which
//! are read when they are asked for. What a panel shows, the page asks for itself, by the questions that everybody can ask.

use std::path::Path;

use axum::extract::{Path as Named, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

use crate::cli::compare;
use crate::cli::run::api::{Api, problem};
use crate::cli::terminal::harmless;
use crate::cli::yaml::{self, Fields, Form, Node, Problem, Problems};

/// Those that are built in.
const BUILT_IN: [&str; 3] = [
    include_str!("../../../dashboards/service-overview.yaml"),
    include_str!("../../../dashboards/rollout-health.yaml"),
    include_str!("../../../dashboards/ingest-health.yaml"),
];
/// Files of a folder that are looked at, by name.
const FILES_MAX: usize = 100;
/// Longest file, in bytes.
const FILE_MAX: u64 = 256 << 10;
/// Panels of a dashboard.
const PANELS_MAX: usize = 40;
/// Columns of the grid.
const COLUMNS: f64 = 12.0;

/// What the value of a key of a panel is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Is {
    Text,
    Texts,
    Number,
}

/// Kinds of panels, with what each is told, beside its title.
const KINDS: [(&str, &[(&str, Is)]); 7] = [
    ("Rollouts", &[("show", Is::Text)]),
    ("DeltaTable", &[("service", Is::Text)]),
    ("TemplateDiff", &[("service", Is::Text), ("change", Is::Texts), ("limit", Is::Number)]),
    (
        "TimeSeries",
        &[("query", Is::Text), ("by", Is::Text), ("figure", Is::Text), ("of", Is::Text), ("share", Is::Number)],
    ),
    (
        "Table",
        &[
            ("query", Is::Text),
            ("by", Is::Texts),
            ("quantiles", Is::Text),
            ("distinct", Is::Text),
            ("limit", Is::Number),
        ],
    ),
    ("Lines", &[("query", Is::Text), ("limit", Is::Number)]),
    ("Metrics", &[("names", Is::Texts)]),
];
/// What a series over time shows.
const FIGURES: [&str; 4] = ["lines", "per second", "quantile", "distinct"];

/// A dashboard as the page wants it.
///
/// # Errors
/// Everything that is wrong in it, with its place.
pub(in crate::cli) fn parse(text: &str) -> Result<Value, Vec<Problem>> {
    let node = yaml::parse(text).map_err(|problem| vec![problem])?;
    of_node(&node)
}

/// A file is a dashboard, and no configuration.
pub(in crate::cli) fn is_one(text: &str) -> bool {
    let Ok(Node { form: Form::Mapping(entries), .. }) = yaml::parse(text) else { return false };
    let is_kind = |node: &Node| matches!(&node.form, Form::Text { text, .. } if text == "Dashboard");
    entries.iter().any(|(key, _, node)| key == "kind" && is_kind(node))
}

fn of_node(node: &Node) -> Result<Value, Vec<Problem>> {
    let mut problems = Problems::default();
    let mut file = Fields::of(node, "", &mut problems);
    match file.text("kind", &mut problems) {
        Some((kind, _)) if kind == "Dashboard" => {}
        Some((kind, at)) => problems.add(at, format!("kind: `{}` is none; write Dashboard", harmless(&kind, 40))),
        None => problems.add(file.at, "kind is missing; write kind: Dashboard"),
    }
    let mut name = String::new();
    if let Some(node) = file.get("metadata") {
        let mut metadata = Fields::of(node, "metadata", &mut problems);
        match metadata.text("name", &mut problems) {
            Some((text, _)) if is_name(&text) => name = text,
            Some((_, at)) => problems.add(at, "metadata.name: 1 to 60 of a-z, 0-9 and - are needed"),
            None => problems.add(metadata.at, "metadata.name is missing"),
        }
        metadata.finish(&mut problems);
    } else {
        problems.add(file.at, "metadata is missing; write metadata: {name: NAME}");
    }
    let mut body = json!({ "name": name });
    if let Some(node) = file.get("spec") {
        let mut of = Fields::of(node, "spec", &mut problems);
        let more = spec(&mut of, &name, &mut problems);
        of.finish(&mut problems);
        if let Some(body) = body.as_object_mut() {
            body.extend(more);
        }
    } else {
        problems.add(file.at, "spec is missing");
    }
    file.finish(&mut problems);
    if problems.0.is_empty() { Ok(body) } else { Err(problems.sorted()) }
}

fn is_name(name: &str) -> bool {
    (1..=60).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

fn spec(of: &mut Fields<'_>, name: &str, problems: &mut Problems) -> Map<String, Value> {
    let mut body = Map::new();
    let (mut title, mut description) = (name.to_owned(), String::new());
    if let Some(node) = of.get("display") {
        let mut display = Fields::of(node, "spec.display", problems);
        title = display.text("name", problems).map_or(title, |(text, _)| text);
        description = display.text("description", problems).map_or(description, |(text, _)| text);
        display.finish(problems);
    }
    let mut seconds = 3_600.0;
    if let Some((text, at)) = of.text("duration", problems) {
        match compare::duration(&text) {
            #[expect(clippy::cast_precision_loss, reason = "a length of time for a chart")]
            Ok(time) if time > 0 => seconds = time as f64 / 1e6,
            Ok(_) => problems.add(at, "spec.duration: more than nothing is needed, for example 6h"),
            Err(error) => problems.add(at, format!("spec.duration: {error}")),
        }
    }
    let mut variables = Vec::new();
    if let Some((list, _)) = of.list("variables", problems) {
        for node in list {
            let mut one = Fields::of(node, "spec.variables[]", problems);
            let named = one.text("name", problems);
            let default = one.text("default", problems).map(|(text, _)| text).unwrap_or_default();
            match named {
                Some((name, _)) if is_name(&name) => variables.push(json!({ "name": name, "default": default })),
                Some((_, at)) => problems.add(at, "spec.variables[].name: 1 to 60 of a-z, 0-9 and - are needed"),
                None => problems.add(one.at, "spec.variables[].name is missing"),
            }
            one.finish(problems);
        }
    }
    let mut panels: Vec<(String, Value)> = Vec::new();
    match of.get("panels").map(|node| (&node.form, node.at)) {
        Some((Form::Mapping(entries), at)) => {
            if entries.len() > PANELS_MAX {
                problems.add(at, format!("spec.panels: at most {PANELS_MAX}"));
            }
            for (name, _, node) in entries {
                panels.push((name.clone(), panel(name, node, problems)));
            }
        }
        Some((_, at)) => problems.add(at, "spec.panels: names with panels are needed"),
        None => problems.add(of.at, "spec.panels is missing"),
    }
    if let Some((list, _)) = of.list("layouts", problems) {
        for node in list {
            layout(node, &mut panels, problems);
        }
    }
    body.insert("title".to_owned(), Value::from(title));
    body.insert("description".to_owned(), Value::from(description));
    body.insert("duration_seconds".to_owned(), Value::from(seconds));
    body.insert("variables".to_owned(), Value::from(variables));
    body.insert("panels".to_owned(), panels.into_iter().map(|(_, panel)| panel).collect());
    body
}

fn panel(name: &str, node: &Node, problems: &mut Problems) -> Value {
    let path = format!("spec.panels.{}", harmless(name, 60));
    let mut of = Fields::of(node, &path, problems);
    let kind = of.text("kind", problems);
    let known = kind.as_ref().and_then(|(kind, _)| KINDS.iter().find(|(known, _)| known == kind));
    let mut body =
        json!({ "name": name, "kind": kind.as_ref().map(|(kind, _)| kind), "title": name, "spec": {}, "place": null });
    match (&kind, known) {
        (None, _) => problems.add(of.at, format!("{path}.kind is missing")),
        (Some((kind, at)), None) => {
            let names: Vec<&str> = KINDS.iter().map(|(name, _)| *name).collect();
            problems
                .add(*at, format!("{path}.kind: `{}` is unknown; there are {}", harmless(kind, 40), names.join(", ")));
        }
        (Some(_), Some(_)) => {}
    }
    if let (Some(node), Some((_, keys))) = (of.get("spec"), known) {
        let mut spec = Fields::of(node, &format!("{path}.spec"), problems);
        let mut told = Map::new();
        if let Some((title, _)) = spec.text("title", problems)
            && let Some(body) = body.as_object_mut()
        {
            body.insert("title".to_owned(), Value::from(title));
        }
        for (key, is) in *keys {
            let value = match is {
                Is::Text => spec.text(key, problems).map(|(text, at)| {
                    if *key == "figure" && !FIGURES.contains(&text.as_str()) {
                        problems.add(at, format!("{path}.spec.figure: there are {}", FIGURES.join(", ")));
                    }
                    Value::from(text)
                }),
                Is::Number => spec.number(key, problems).map(|(number, _)| in_short(number)),
                Is::Texts => spec
                    .texts(key, problems)
                    .map(|(list, _)| list.into_iter().map(|(text, _)| Value::from(text)).collect()),
            };
            if let Some(value) = value {
                told.insert((*key).to_owned(), value);
            }
        }
        spec.finish(problems);
        if let Some(body) = body.as_object_mut() {
            body.insert("spec".to_owned(), Value::Object(told));
        }
    }
    of.finish(problems);
    body
}

/// A number as JSON; a whole one without a point.
fn in_short(number: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and small")]
    let whole = number as i64;
    if number.fract() == 0.0 && number.abs() < 1e9 { Value::from(whole) } else { Value::from(number) }
}

fn layout(node: &Node, panels: &mut [(String, Value)], problems: &mut Problems) {
    let mut of = Fields::of(node, "spec.layouts[]", problems);
    if let Some((kind, at)) = of.text("kind", problems)
        && kind != "Grid"
    {
        problems.add(at, "spec.layouts[].kind: there is Grid");
    }
    if let Some(node) = of.get("spec") {
        let mut grid = Fields::of(node, "spec.layouts[].spec", problems);
        if let Some((items, _)) = grid.list("items", problems) {
            for node in items {
                item(node, panels, problems);
            }
        }
        grid.finish(problems);
    }
    of.finish(problems);
}

fn item(node: &Node, panels: &mut [(String, Value)], problems: &mut Problems) {
    let mut of = Fields::of(node, "spec.layouts[].spec.items[]", problems);
    let mut side = |key: &'static str, least: f64, most: f64, usual: f64| {
        let Some((number, at)) = of.number(key, problems) else { return usual };
        if !(least..=most).contains(&number) || number.fract() != 0.0 {
            problems.add(at, format!("{key}: a whole number from {least} to {most} is needed"));
        }
        number
    };
    let place = json!({
        "x": side("x", 0.0, COLUMNS - 1.0, 0.0),
        "y": side("y", 0.0, 1_000.0, 0.0),
        "width": side("width", 1.0, COLUMNS, COLUMNS),
        "height": side("height", 1.0, 100.0, 4.0),
    });
    let mut found = None;
    if let Some(node) = of.get("content") {
        let mut content = Fields::of(node, "content", problems);
        if let Some((text, at)) = content.text("$ref", problems) {
            let name = text.strip_prefix("#/spec/panels/").unwrap_or_default();
            match panels.iter().position(|(known, _)| known == name) {
                Some(at) => found = Some(at),
                None => problems.add(at, format!("`{}` is no panel; write #/spec/panels/NAME", harmless(&text, 80))),
            }
        }
        content.finish(problems);
    } else {
        problems.add(of.at, "content is missing: {$ref: \"#/spec/panels/NAME\"}");
    }
    of.finish(problems);
    if let Some((_, Value::Object(panel))) = found.and_then(|at| panels.get_mut(at)) {
        panel.insert("place".to_owned(), place);
    }
}

/// A dashboard, or what is wrong in its file.
struct Read {
    name: String,
    file: Option<String>,
    read: Result<Value, String>,
}

fn told(file: &str, problems: &[Problem]) -> String {
    let one = |problem: &Problem| {
        format!("{file}:{}:{}: {}", problem.at.line, problem.at.column, harmless(&problem.words, 300))
    };
    problems.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn name_in(value: &Value) -> String {
    value["name"].as_str().unwrap_or_default().to_owned()
}

/// All that there are. One of the folder goes before one that is built in and has its name.
fn all(folder: Option<&Path>) -> std::io::Result<Vec<Read>> {
    let mut list = Vec::new();
    if let Some(folder) = folder {
        let mut paths: Vec<_> = std::fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|end| end == "yaml" || end == "yml"));
        paths.sort();
        for path in paths.into_iter().take(FILES_MAX) {
            let file = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let stem = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let long = std::fs::metadata(&path).is_ok_and(|of| of.len() > FILE_MAX);
            let text = match long {
                true => Err(format!("{file}: longer than {FILE_MAX} bytes")),
                false => std::fs::read_to_string(&path).map_err(|error| format!("{file}: {error}")),
            };
            let read = text.and_then(|text| parse(&text).map_err(|problems| told(&file, &problems)));
            let name = read.as_ref().map_or(stem, name_in);
            list.push(Read { name, file: Some(file), read });
        }
    }
    for text in BUILT_IN {
        let read = parse(text).map_err(|problems| told("built in", &problems));
        let name = read.as_ref().map(name_in).unwrap_or_default();
        if !list.iter().any(|of| of.name == name) {
            list.push(Read { name, file: None, read });
        }
    }
    Ok(list)
}

/// Reads them off the threads that answer.
async fn read(api: &Api) -> Result<Vec<Read>, Response> {
    let folder = api.dashboards.clone();
    let read = tokio::task::spawn_blocking(move || all(folder.as_deref())).await;
    match read {
        Ok(Ok(list)) => Ok(list),
        Ok(Err(error)) => Err(problem(StatusCode::SERVICE_UNAVAILABLE, &format!("--dashboards: {error}"))),
        Err(_) => Err(problem(StatusCode::INTERNAL_SERVER_ERROR, "the reading has died")),
    }
}

/// `GET /v1/dashboards`.
pub(super) async fn list(State(api): State<Api>) -> Response {
    match read(&api).await {
        Err(refusal) => refusal,
        Ok(list) => {
            let one = |of: &Read| {
                let text = |key: &str| of.read.as_ref().ok().and_then(|body| body[key].as_str()).unwrap_or_default();
                json!({
                    "name": of.name,
                    "title": if of.read.is_ok() { text("title") } else { &of.name },
                    "description": text("description"),
                    "file": of.file,
                    "problems": of.read.as_ref().err(),
                })
            };
            axum::Json(json!({ "dashboards": list.iter().map(one).collect::<Vec<_>>() })).into_response()
        }
    }
}

/// `GET /v1/dashboards/{name}`.
pub(super) async fn one(State(api): State<Api>, Named(name): Named<String>) -> Response {
    let list = match read(&api).await {
        Ok(list) => list,
        Err(refusal) => return refusal,
    };
    match list.into_iter().find(|of| of.name == name).map(|of| of.read) {
        Some(Ok(body)) => axum::Json(body).into_response(),
        Some(Err(words)) => problem(StatusCode::UNPROCESSABLE_ENTITY, &words),
        None => problem(StatusCode::NOT_FOUND, "there is no such dashboard; GET /v1/dashboards lists them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_built_in_are_right_and_every_panel_has_a_place() {
        let list = all(None).unwrap();
        let names: Vec<&str> = list.iter().map(|of| of.name.as_str()).collect();
        assert_eq!(names, ["service-overview", "rollout-health", "ingest-health"]);
        for of in list {
            let body = of.read.unwrap();
            for panel in body["panels"].as_array().unwrap() {
                assert!(panel["place"].is_object(), "{panel}");
            }
        }
    }

    #[test]
    fn everything_that_is_wrong_is_told_with_its_place() {
        let text = "kind: Dashboard\nmetadata: {name: My board}\nspec:\n  duration: soon\n  panels:\n    a: {kind: Pie, spec: {}}\n    \
                    b: {kind: Lines, spec: {query: x, limt: 3}}\n    c: {kind: TimeSeries, spec: {figure: mean}}\n  layouts:\n  \
                    - {kind: Grid, spec: {items: [{x: 12, content: {$ref: \"#/spec/panels/d\"}}]}}\n";
        let problems = parse(text).unwrap_err();
        let words: Vec<String> = problems.iter().map(|of| format!("{}: {}", of.at.line, of.words)).collect();
        for (line, part) in [
            (2, "metadata.name"),
            (4, "spec.duration"),
            (6, "`Pie` is unknown"),
            (7, "did you mean `limit`"),
            (8, "figure"),
            (10, "x: a whole number"),
            (10, "`#/spec/panels/d` is no panel"),
        ] {
            assert!(
                words.iter().any(|of| of.starts_with(&format!("{line}: ")) && of.contains(part)),
                "{part}: {words:#?}"
            );
        }
        assert_eq!(problems.len(), 7, "{words:#?}");
        assert!(is_one(text) && !is_one("rollouts: []\n") && !is_one("kind: ["));
    }

    #[test]
    fn a_file_goes_before_what_is_built_in_and_a_wrong_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let own = "kind: Dashboard\nmetadata: {name: ingest-health}\nspec: {display: {name: Ours}, panels: {a: {kind: Rollouts}}}\n";
        std::fs::write(folder.path().join("a.yaml"), own).unwrap();
        std::fs::write(folder.path().join("b.yaml"), "kind: Dash\n").unwrap();
        std::fs::write(folder.path().join("c.txt"), "no dashboard").unwrap();
        let list = all(Some(folder.path())).unwrap();
        let titles: Vec<(&str, Option<&str>)> = list
            .iter()
            .map(|of| (of.name.as_str(), of.read.as_ref().ok().and_then(|body| body["title"].as_str())))
            .collect();
        assert_eq!(titles[..2], [("ingest-health", Some("Ours")), ("b", None)]);
        assert_eq!(titles.len(), 4);
        let words = list.iter().find(|of| of.name == "b").unwrap().read.as_ref().unwrap_err();
        assert!(words.contains("b.yaml:1:7: kind: `Dash` is none"), "{words}");
    }
}
