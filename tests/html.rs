//! The page of `--format html`: one file that is well-formed, loads nothing, and shows text from logs as text.

mod common;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use common::{Line, Random, START, Traffic, bytes_of, folder_with, serin};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use serin::time::{MINUTE, SECOND};

/// Elements that a page may have.
const ELEMENTS: [&str; 51] = [
    "a",
    "b",
    "bdi",
    "body",
    "caption",
    "circle",
    "code",
    "dd",
    "details",
    "div",
    "dl",
    "dt",
    "figcaption",
    "figure",
    "h1",
    "h2",
    "h3",
    "head",
    "html",
    "i",
    "li",
    "line",
    "main",
    "meta",
    "nav",
    "ol",
    "p",
    "path",
    "polyline",
    "pre",
    "rect",
    "section",
    "small",
    "span",
    "strong",
    "style",
    "summary",
    "svg",
    "table",
    "tbody",
    "td",
    "text",
    "th",
    "thead",
    "title",
    "tr",
    "ul",
    "g",
    "footer",
    "header",
    "em",
];

/// What a page is made of.
#[derive(Debug, Default)]
struct Page {
    /// Each element that was opened: its name and attributes.
    elements: Vec<(String, Vec<(String, String)>)>,
    /// All text outside of the style sheet, with references resolved.
    text: String,
    style: String,
}

/// Reads a page by the rules of XML, which are stricter than those of HTML: every element is closed in its place, every
/// attribute has a quoted value, every `&` begins a reference.
fn read(page: &str) -> Result<Page, String> {
    let mut read = Page::default();
    let mut rest = page.strip_prefix("<!DOCTYPE html>").ok_or("no doctype")?;
    let mut open: Vec<String> = Vec::new();
    while !rest.is_empty() {
        let end = rest.find('<').unwrap_or(rest.len());
        let (text, after) = rest.split_at(end);
        if text.contains('>') && open.last().is_none_or(|name| name != "style") {
            return Err(format!("a bare > in {text:?}"));
        }
        if open.last().is_some_and(|name| name == "style") {
            read.style.push_str(text);
        } else {
            read.text.push_str(&resolved(text)?);
        }
        let Some(after) = after.strip_prefix('<') else { break };
        let close = after.find('>').ok_or_else(|| format!("a tag that does not end: {after:.80}"))?;
        let tag = &after[..close];
        rest = &after[close + 1..];
        if let Some(name) = tag.strip_prefix('/') {
            match open.pop() {
                Some(opened) if opened == name => continue,
                other => return Err(format!("</{name}> closes {other:?}")),
            }
        }
        let (tag, empty) = tag.strip_suffix('/').map_or((tag, false), |tag| (tag, true));
        let name = tag.split(' ').next().unwrap_or_default();
        if !ELEMENTS.contains(&name) {
            return Err(format!("an element that no page has: <{tag}>"));
        }
        read.elements.push((name.to_owned(), attributes(&tag[name.len()..])?));
        if !empty {
            open.push(name.to_owned());
        }
    }
    if open.is_empty() { Ok(read) } else { Err(format!("not closed: {open:?}")) }
}

fn attributes(text: &str) -> Result<Vec<(String, String)>, String> {
    let mut list = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        rest = rest.strip_prefix(' ').ok_or_else(|| format!("no blank before {rest:?}"))?;
        let (name, after) = rest.split_once("=\"").ok_or_else(|| format!("no value in {rest:?}"))?;
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
            return Err(format!("an attribute called {name:?}"));
        }
        let (value, after) = after.split_once('"').ok_or_else(|| format!("a value that does not end: {after:?}"))?;
        list.push((name.to_owned(), resolved(value)?));
        rest = after;
    }
    let names: BTreeSet<&String> = list.iter().map(|(name, _)| name).collect();
    if names.len() == list.len() { Ok(list) } else { Err(format!("an attribute twice: {text}")) }
}

fn resolved(text: &str) -> Result<String, String> {
    let mut out = String::new();
    let mut parts = text.split('&');
    out.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (name, after) = part.split_once(';').ok_or_else(|| format!("a bare & before {part:?}"))?;
        out.push(match name {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "#39" => '\'',
            other => return Err(format!("an unknown reference: {other}")),
        });
        out.push_str(after);
    }
    match out.chars().find(|c| c.is_control() && *c != '\n') {
        Some(c) => Err(format!("a control character: {c:?}")),
        None => Ok(out),
    }
}

/// What holds of every page, whatever it shows.
fn check(page: &str) -> Page {
    let read = match read(page) {
        Ok(read) => read,
        Err(error) => panic!("{error}\n{page}"),
    };
    let mut ids = BTreeSet::new();
    for (name, attributes) in &read.elements {
        for (attribute, value) in attributes {
            match attribute.as_str() {
                // Nothing but places of this page, and the report for programs beside it.
                "href" => assert!(value.starts_with('#') || value == "/v1/report", "<{name} {attribute}={value:?}>"),
                "src" | "style" | "srcset" | "action" | "data" | "background" => panic!("<{name} {attribute}>"),
                "id" => assert!(ids.insert(value.clone()), "two elements are called {value}"),
                other => assert!(!other.starts_with("on"), "<{name} {other}>"),
            }
        }
    }
    assert!(!read.style.contains("url(") && !read.style.contains("@import"), "the style sheet loads something");
    assert!(!read.style.contains('&'), "the style sheet must be the same for XML");
    let policy = value_of(&read, "meta", ("http-equiv", "Content-Security-Policy"), "content");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    // Marks that reorder or hide what a reader sees.
    let hides = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{ad}');
    assert!(!read.text.contains(hides), "{}", read.text);
    for (name, attributes) in read.elements.iter().filter(|(name, _)| name == "svg") {
        let get = |wanted: &str| {
            attributes.iter().find(|(attribute, _)| attribute == wanted).map(|(_, value)| value.as_str())
        };
        if get("role") == Some("img") {
            assert!(get("aria-label").is_some_and(|label| !label.is_empty()), "<{name}> without words");
        }
    }
    read
}

fn value_of<'a>(page: &'a Page, element: &str, with: (&str, &str), wanted: &str) -> &'a str {
    let found = page.elements.iter().find(|(name, attributes)| {
        name == element && attributes.iter().any(|(attribute, value)| (attribute.as_str(), value.as_str()) == with)
    });
    let (_, attributes) = found.unwrap_or_else(|| panic!("no <{element} {with:?}>"));
    attributes.iter().find(|(attribute, _)| attribute == wanted).map_or("", |(_, value)| value)
}

/// Names and attributes of elements: what a page is, without its words and numbers.
fn outline(page: &Page) -> Vec<String> {
    let mut list: Vec<String> = Vec::new();
    for (name, attributes) in &page.elements {
        if matches!(name.as_str(), "h1" | "h2" | "h3" | "table" | "figure" | "section" | "nav" | "dl" | "pre") {
            let class =
                attributes.iter().find(|(attribute, _)| attribute == "class").map(|(_, value)| format!(".{value}"));
            list.push(format!("{name}{}", class.unwrap_or_default()));
        }
    }
    list
}

/// The page of a log, and the exit status.
fn page_of(log: &[u8], options: &[&str]) -> (String, i32) {
    let folder = folder_with(&[("app.log", log)]);
    let mut words = vec!["compare", "app.log"];
    words.extend(options);
    words.extend(["--format", "html"]);
    let said = serin(folder.path(), &words);
    assert!(said.err.is_empty(), "{}", said.err);
    (said.out, said.status)
}

#[test]
fn the_page_of_a_failure_has_every_part() {
    let traffic = Traffic { errors: vec![0.02, 0.2], requests: 6_000, users: 2_000, ..Traffic::default() };
    let (page, status) = page_of(&bytes_of(&traffic.lines()), &[]);
    assert_eq!(status, 1);
    let read = check(&page);
    let outline = outline(&read);
    let figures = ["figure.tall", "figure.evidence", "figure", "figure", "figure", "figure", "figure", "figure"];
    let figures = figures.into_iter().flat_map(|figure| [figure, "table.numbers"]);
    let before = ["h1.unseen", "section.comparison", "h2", "dl.facts", "h3", "table.guardrails", "h3"];
    let after = [
        "h3",
        "h3",
        "table.lines",
        "h3",
        "dl.checks",
        "h3",
        "table.services",
        "section.reading",
        "h3",
        "table",
        "section.again",
        "h3",
        "pre",
    ];
    let wanted: Vec<&str> = before.into_iter().chain(figures).chain(after).collect();
    assert_eq!(outline, wanted, "{outline:#?}");
    for words in ["FAIL", "is worse than", "users with errors", "proved after", "FAIL from 111", "margin", "UTC"] {
        assert!(read.text.contains(words), "{words} is missing in {}", read.text);
    }
    assert_eq!(value_of(&read, "html", ("lang", "en"), "lang"), "en");
    // The verdict is the first thing that is said.
    let (verdict, guardrails) = (read.text.find("FAIL"), read.text.find("Guardrails"));
    assert!(verdict < guardrails, "{verdict:?} {guardrails:?}");
}

#[test]
fn the_same_logs_give_the_same_page() {
    let lines = bytes_of(&Traffic { spans: true, ..Traffic::default() }.lines());
    let folder = folder_with(&[("app.log", &lines)]);
    let page = || serin(folder.path(), &["compare", "app.log", "--format", "html", "--threads", "1"]).out;
    assert_eq!(page(), page());
}

#[test]
fn where_nothing_can_be_compared_the_page_says_so() {
    let traffic = Traffic { shares: vec![0.0], ..Traffic::default() };
    let (page, status) = page_of(&bytes_of(&traffic.lines()), &[]);
    assert_eq!(status, 4);
    let read = check(&page);
    assert!(read.text.contains("INVALID") && read.text.contains("only `baseline` was seen"), "{}", read.text);
}

#[test]
fn many_comparisons_are_listed_first() {
    let arms = vec!["v1", "v2", "v3"];
    let traffic = Traffic {
        arms,
        shares: vec![0.3, 0.3],
        errors: vec![0.02, 0.02, 0.2],
        slower: vec![1.0; 3],
        requests: 6_000,
        ..Traffic::default()
    };
    let (page, _) = page_of(&bytes_of(&traffic.lines()), &["--control", "v1"]);
    let read = check(&page);
    let outline = outline(&read);
    assert_eq!(outline[..3], ["h1.unseen", "nav", "h2"]);
    assert_eq!(outline.iter().filter(|part| *part == "section.comparison").count(), 2);
    assert_eq!(value_of(&read, "section", ("id", "comparison-2"), "class"), "comparison");
    // The worst is named first.
    let (worst, other) = (read.text.find("v3 against v1"), read.text.find("v2 against v1"));
    assert!(worst < other, "{worst:?} {other:?}: {}", read.text);
}

#[test]
fn the_page_of_a_calibration_is_a_page_like_any_other() {
    let traffic = Traffic { requests: 3_000, users: 600, ..Traffic::default() };
    let folder = folder_with(&[("app.log", &bytes_of(&traffic.lines()))]);
    let said = serin(folder.path(), &["calibrate", "app.log", "--splits", "3", "--format", "html"]);
    assert_eq!((said.status, said.err.as_str()), (0, ""));
    let read = check(&said.out);
    for words in
        ["Proof on your own logs", "of 3 healthy canaries rolled back", "Kayenta's judge", "How soon a change is seen"]
    {
        assert!(read.text.contains(words), "{words} is missing in {}", read.text);
    }
}

#[test]
fn the_page_of_a_backtest_is_a_page_like_any_other() {
    let traffic = Traffic { errors: vec![0.02, 0.2], requests: 6_000, users: 2_000, ..Traffic::default() };
    let backtest = |log: &[u8]| {
        let folder = folder_with(&[("app.log", log)]);
        let said = serin(folder.path(), &["backtest", "app.log", "--format", "html"]);
        assert_eq!((said.status, said.err.as_str()), (0, ""));
        check(&said.out)
    };
    let read = backtest(&bytes_of(&traffic.lines()));
    for words in ["1 of 1 deploy would have been stopped", "baseline", "spared", "Kayenta", "FAIL", "To bear in mind"] {
        assert!(read.text.contains(words), "{words} is missing in {}", read.text);
    }
    let outline = outline(&read);
    assert_eq!(outline, ["h1.unseen", "h2.head", "section.comparison", "h3", "table.deploys", "h3", "h3", "pre"]);
    let script = "</td><script>alert(1)</script>\u{202e}&quot;'\"";
    let read = backtest(&log_with([script, script, script]));
    assert!(read.text.contains("<script>alert(1)</script>") && read.elements.iter().all(|(name, _)| name != "script"));
}

/// A log in which every text is `text`: service, arms, route, user, message.
fn log_with(texts: [&str; 3]) -> Vec<u8> {
    let mut random = Random::new(5);
    let lines: Vec<Line> = (0..1_500)
        .map(|at| {
            let user = random.below(300);
            let arm = if user.is_multiple_of(2) { 0 } else { 1 };
            let status = if random.chance(if arm == 0 { 0.02 } else { 0.4 }) { 500 } else { 200 };
            let [service, route, arm_text] = texts.map(|text| serde_json::Value::from(text).to_string());
            let arm_name = if arm == 0 { "\"old\"".to_owned() } else { arm_text };
            let fields = format!(
                "\"service\":{service},\"cohort\":{arm_name},\"route\":{route},\"message\":{route},\"user\":\"u{user}\",\"status\":{status},\"latency_ms\":{:.1}",
                20.0 + 50.0 * random.unit()
            );
            Line::new(START + at * 10 * MINUTE / 1_500 + at % 7 * SECOND / 10, user, arm, &fields)
        })
        .collect();
    bytes_of(&lines)
}

#[test]
fn hostile_text_is_shown_as_text_and_cut() {
    let long = "x\u{202e}<".repeat(3_000);
    for text in [
        "<script>alert(1)</script>",
        "</style><img src=x onerror=alert(1)>",
        "\" onmouseover=\"alert(1)",
        "'><svg onload=alert(1)>",
        "&lt;b&gt;&#60;i&#62;",
        "]]><!--",
        "\u{202e}dlrow\u{2066} \u{0}\u{1b}[31m\u{7f}\u{2028}\u{feff}\u{ad}",
        "\u{5d0}\u{5d1}\u{5d2} \u{627}\u{644}\u{639}",
        long.as_str(),
    ] {
        let (page, _) = page_of(&log_with([text, text, text]), &["--control", "old"]);
        let read = check(&page);
        let shown: String =
            text.chars().take(8).take_while(|c| !c.is_control() && !matches!(c, '\u{202e}' | '\u{2066}')).collect();
        assert!(read.text.contains(&shown), "{shown:?} is not shown in {}", read.text);
        assert!(page.len() < 250_000, "{} bytes for a name of {}", page.len(), text.len());
    }
}

/// Elements of a page whose names are plain.
static PLAIN: OnceLock<Vec<String>> = OnceLock::new();

/// Every element in its place.
fn names(page: &Page) -> Vec<String> {
    page.elements.iter().map(|(name, _)| name.clone()).collect()
}

proptest! {
    // Each case runs the program.
    #![proptest_config(ProptestConfig { cases: 24, rng_seed: RngSeed::Fixed(387), failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever names hold, the page has the same elements as with plain names: no text can produce a tag.
    #[test]
    fn no_text_can_produce_a_tag(text in "[a-z<>&\"'/=! \\-\\]\u{0}-\u{1f}\u{202a}-\u{202e}\u{5d0}-\u{5d4}\u{1f600}]{1,40}") {
        let name = format!("n{text}");
        let (page, status) = page_of(&log_with([&name, &name, &name]), &["--control", "old"]);
        let read = check(&page);
        prop_assert_eq!(status, 1, "{}", read.text);
        let plain = PLAIN.get_or_init(|| names(&check(&page_of(&log_with(["name"; 3]), &["--control", "old"]).0)));
        prop_assert_eq!(&names(&read), plain);
    }
}
