//! Templates of real logs against what people marked as the true ones.
//!
//! The logs lie in a folder `shared/data` beside the checkout; where it is missing the tests say so and are skipped, and in
//! CI (`CI=true`) that is a failure. One set of rules for all systems; no rule is tuned to any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;

use serin::pipeline::template::{Writer, groups, mask, template_id};

/// A line of a system and its true template.
struct Line {
    message: String,
    truth: String,
}

/// Lines by system; `None` when the file is missing and that is allowed.
fn systems() -> Option<BTreeMap<String, Vec<Line>>> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared/data/templates.ndjson.gz");
    if !path.exists() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is missing in CI", path.display());
        println!("skipped: {} is missing", path.display());
        return None;
    }
    let mut text = String::new();
    let file = std::fs::File::open(&path).expect("the file can be read");
    flate2::read::GzDecoder::new(file).read_to_string(&mut text).expect("the file is gzip");
    let mut systems: BTreeMap<String, Vec<Line>> = BTreeMap::new();
    for line in text.lines() {
        let line: serde_json::Value = serde_json::from_str(line).expect("each line is JSON");
        let field = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
        systems
            .entry(field("system"))
            .or_default()
            .push(Line { message: field("message"), truth: field("template_id") });
    }
    Some(systems)
}

fn masked(line: &Line) -> String {
    String::from_utf8(mask(line.message.as_bytes(), Writer::Message)).expect("a masked text is a text")
}

/// Grouping accuracy (lines whose group has exactly the lines of their true template) and its F1 over groups, as loghub's
/// evaluator counts them.
fn accuracy(found: &[usize], truth: &[&str]) -> (f64, f64) {
    let mut lines_of: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
    let mut true_lines: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (at, (found, truth)) in found.iter().zip(truth).enumerate() {
        lines_of.entry(*found).or_default().insert(at);
        true_lines.entry(truth).or_default().insert(at);
    }
    let right: Vec<usize> =
        lines_of.values().filter(|lines| true_lines.values().any(|same| same == *lines)).map(BTreeSet::len).collect();
    let precision = right.len() as f64 / lines_of.len() as f64;
    let recall = right.len() as f64 / true_lines.len() as f64;
    let lines = right.iter().sum::<usize>() as f64 / found.len() as f64;
    (lines, 2.0 * precision * recall / (precision + recall))
}

/// Group of each line, of two levels.
fn grouped(lines: &[Line]) -> Vec<usize> {
    let texts: Vec<String> = lines.iter().map(masked).collect();
    let distinct: BTreeSet<&str> = texts.iter().map(String::as_str).collect();
    let distinct: Vec<&str> = distinct.into_iter().collect();
    let group = groups(&distinct);
    texts.iter().map(|text| group[distinct.binary_search(&text.as_str()).expect("it is among them")]).collect()
}

#[test]
fn groups_are_those_that_people_marked() {
    let Some(systems) = systems() else { return };
    let mut sums = (0.0, 0.0);
    for (name, lines) in &systems {
        let truth: Vec<&str> = lines.iter().map(|line| line.truth.as_str()).collect();
        let (lines_right, groups_right) = accuracy(&grouped(lines), &truth);
        println!("{name}: GA {lines_right:.3}, FGA {groups_right:.3}");
        sums = (sums.0 + lines_right, sums.1 + groups_right);
    }
    let count = systems.len() as f64;
    let (ga, fga) = (sums.0 / count, sums.1 / count);
    println!("mean: GA {ga:.4}, FGA {fga:.4}");
    assert!(ga >= 0.97 && fga >= 0.92, "GA {ga:.4}, FGA {fga:.4}");
}

#[test]
fn few_lines_of_the_second_half_look_new() {
    let Some(systems) = systems() else { return };
    for (name, lines) in &systems {
        let (first, second) = lines.split_at(lines.len() / 2);
        let id = |line: &Line| template_id(masked(line).as_bytes());
        let known: BTreeSet<u64> = first.iter().map(id).collect();
        let events: BTreeSet<&str> = first.iter().map(|line| line.truth.as_str()).collect();
        let falsely = |line: &&Line| events.contains(line.truth.as_str()) && !known.contains(&id(line));
        let share = second.iter().filter(falsely).count() as f64 / second.len() as f64;
        println!("{name}: {:.2} % falsely new", share * 100.0);
        assert!(share <= 0.02, "{name}: {share}");
    }
}

#[test]
fn groups_do_not_depend_on_order() {
    let Some(systems) = systems() else { return };
    for (name, lines) in &systems {
        let texts: BTreeSet<String> = lines.iter().map(masked).collect();
        let forward: Vec<&str> = texts.iter().map(String::as_str).collect();
        let backward: Vec<&str> = forward.iter().rev().copied().collect();
        let sets = |texts: &[&str]| -> BTreeSet<BTreeSet<String>> {
            let mut sets: BTreeMap<usize, BTreeSet<String>> = BTreeMap::new();
            for (group, text) in groups(texts).into_iter().zip(texts) {
                sets.entry(group).or_default().insert((*text).to_owned());
            }
            sets.into_values().collect()
        };
        assert_eq!(sets(&forward), sets(&backward), "{name}");
    }
}
