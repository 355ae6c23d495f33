//! Owns the table of layers: which module may use which, and what the pure core never mentions.
//!
//! Also: every invariant is named by a test, every word that a log or a rollout can be given has a case, and nothing
//! in the repository knows a developer's machine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use serin::invariant::INVARIANTS;

/// Layer of each module of `src`. A module may use those of lower layers.
const LAYERS: [(&str, u32); 26] = [
    ("invariant", 0),
    ("time", 0),
    ("math", 0),
    ("words", 0),
    ("event", 1),
    ("pipeline", 2),
    ("query", 2),
    ("sketch", 2),
    ("fold", 3),
    ("compare", 3),
    ("rival", 3),
    ("rollout", 4),
    ("ledger", 5),
    ("engine", 5),
    ("outbox", 5),
    ("plan", 5),
    ("adoption", 5),
    ("source", 6),
    ("index", 6),
    ("backtest", 7),
    ("calibrate", 7),
    ("bench", 7),
    ("demo", 7),
    ("simulate", 7),
    ("cli", 8),
    ("main", 9),
];

/// Uses inside a layer: (who, whom). A new one is a decision, not a habit.
const SAME_LAYER: [(&str, &str); 10] = [
    // An event is small: what a gauge says is a bin from the start.
    ("pipeline", "sketch"),
    // Arms are found by queries, and the decoder says what a query sees.
    ("pipeline", "query"),
    // Evidence, errors and latency of the rules that people use today come from the real tests.
    ("calibrate", "demo"),
    // Minutes as a metrics system has them, for the rules that people use today.
    ("backtest", "demo"),
    // Its corpus is generated.
    ("bench", "demo"),
    // Its random numbers.
    ("simulate", "demo"),
    // Entries are written by the ledger.
    ("engine", "ledger"),
    // Decisions follow from its lines, and are known by their hashes.
    ("outbox", "ledger"),
    // From which evidence on a behaviour has changed.
    ("outbox", "engine"),
    // What a rollout will need is what the engine will ask for.
    ("plan", "engine"),
];

/// The last layer of the pure core.
const CORE: u32 = 5;

/// What the core never mentions, with the reason.
const FORBIDDEN_IN_CORE: [(&str, &str); 33] = [
    ("std::fs", "no files"),
    ("std::net", "no network (addresses as values are in core::net)"),
    ("std::thread", "no threads"),
    ("std::time", "no clock"),
    ("std::env", "no environment"),
    ("std::process", "no processes"),
    ("std::io", "no input or output"),
    ("SystemTime", "no clock"),
    ("Instant", "no clock"),
    ("rand", "no randomness"),
    ("tokio", "no runtime"),
    ("axum", "edge only"),
    ("rdkafka", "edge only"),
    ("tantivy", "edge only"),
    ("prost", "edge only"),
    ("snap", "edge only"),
    ("anyhow", "edge only"),
    ("clap", "edge only"),
    ("flate2", "edge only"),
    ("zstd", "edge only"),
    ("indicatif", "edge only"),
    ("std::collections::HashMap", "its order is random"),
    ("std::collections::HashSet", "its order is random"),
    ("std::hash::RandomState", "its order is random"),
    ("RandomState", "its order is random"),
    ("std::hash::DefaultHasher", "its hashes may change under us"),
    ("println!", "no output"),
    (".ln(", "the platform's logarithm: use math::ln"),
    (".exp(", "the platform's exponential: use math::exp"),
    (".powf(", "the platform's power: use math::pow"),
    (".powi(", "its rounding is not specified: multiply"),
    (".log10(", "the platform's logarithm: use math::ln"),
    (".log2(", "the platform's logarithm: use math::ln"),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below a folder that ends in `.rs`, sorted.
fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut list = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            list.push(path);
        }
    }
    list.sort();
    list
}

/// A source file, cut into what runs and what tests.
struct Source {
    /// Path below the repository.
    path: String,
    /// Top-level module; `lib` for the list of modules.
    module: String,
    /// Code without comments, texts and test modules. Line numbers are kept.
    code: String,
    /// Test code, with its texts and comments.
    tests: String,
}

fn sources() -> Vec<Source> {
    let mut list = Vec::new();
    let files = rust_files(&root().join("src"));
    let of_tests: BTreeSet<PathBuf> = files.iter().flat_map(|path| test_files_of(path)).collect();
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let below = path.strip_prefix(root()).unwrap();
        let mut parts = below.components().map(|part| part.as_os_str().to_string_lossy().into_owned()).skip(1);
        let module = parts.next().unwrap().trim_end_matches(".rs").to_owned();
        let bare = blank_texts(&text);
        let (code, tests) = if of_tests.contains(&path) { (String::new(), text) } else { split_tests(&bare, &text) };
        list.push(Source { path: below.display().to_string(), module, code, tests });
    }
    assert!(list.len() > 50, "the sources were found");
    list
}

/// Files that a file declares for tests alone: `#[cfg(test)] mod name;`.
fn test_files_of(path: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(path).unwrap();
    let stem = path.file_stem().unwrap();
    let folder = if stem == "mod" { path.parent().unwrap().to_owned() } else { path.with_extension("") };
    let bare = blank_texts(&text);
    bare.split("#[cfg(test)]")
        .skip(1)
        .filter_map(|rest| rest.split([';', '{']).next()?.trim().strip_prefix("mod "))
        .map(|name| folder.join(format!("{name}.rs")))
        .filter(|file| file.exists())
        .collect()
}

/// Replaces comments, string literals and character literals by blanks; newlines stay.
fn blank_texts(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = bytes.to_vec();
    let blank = |out: &mut [u8], from: usize, until: usize| {
        for byte in out.iter_mut().take(until).skip(from) {
            if *byte != b'\n' {
                *byte = b' ';
            }
        }
    };
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let length = if rest.starts_with(b"//") {
            rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len())
        } else if rest.starts_with(b"/*") {
            let end = rest.windows(2).position(|pair| pair == b"*/").map_or(rest.len(), |end| end + 2);
            assert!(!rest[2..end].windows(2).any(|pair| pair == b"/*"), "nested comments are not understood here");
            end
        } else if let Some(hashes) = raw_string(bytes, at) {
            let closing = [&b"\""[..], &b"#".repeat(hashes)].concat();
            let open = 1 + hashes + 1;
            rest[open..].windows(closing.len()).position(|part| part == closing).unwrap() + open + closing.len()
        } else if rest[0] == b'"' {
            let mut end = 1;
            while rest[end] != b'"' {
                end += if rest[end] == b'\\' { 2 } else { 1 };
            }
            end + 1
        } else if rest[0] == b'\'' && (rest.get(1) == Some(&b'\\') || closes_soon(rest)) {
            let from = if rest.get(1) == Some(&b'\\') { 3 } else { 2 };
            from + rest[from..].iter().position(|byte| *byte == b'\'').unwrap() + 1
        } else {
            at += 1;
            continue;
        };
        blank(&mut out, at, at + length);
        at += length;
    }
    String::from_utf8(out).unwrap()
}

/// A character literal and no lifetime: one character stands before the next quote.
fn closes_soon(rest: &[u8]) -> bool {
    let width = match rest.get(1) {
        Some(byte) if *byte < 0x80 => 1,
        Some(byte) if *byte < 0xe0 => 2,
        Some(byte) if *byte < 0xf0 => 3,
        Some(_) => 4,
        None => return false,
    };
    rest.get(1 + width) == Some(&b'\'')
}

/// Number of `#` of a raw string that starts here.
fn raw_string(bytes: &[u8], at: usize) -> Option<usize> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if bytes[at] != b'r' || (at > 0 && word(bytes[at - 1]) && bytes[at - 1] != b'b') {
        return None;
    }
    let hashes = bytes[at + 1..].iter().take_while(|byte| **byte == b'#').count();
    (bytes.get(at + 1 + hashes) == Some(&b'"')).then_some(hashes)
}

/// Cuts items under `#[cfg(test)]` out. `bare`: the text without comments and literals, by which braces are matched.
fn split_tests(bare: &str, text: &str) -> (String, String) {
    let mut code = bare.as_bytes().to_vec();
    let mut tests = String::new();
    let mut from = 0;
    while let Some(found) = bare[from..].find("#[cfg(test)]") {
        let start = from + found;
        let rest = &bare[start..];
        let open = rest.find('{').unwrap_or(rest.len());
        let end = if rest.find(';').is_some_and(|end| end < open) {
            open.min(rest.find(';').unwrap()) + 1
        } else {
            let mut depth = 0i32;
            let close = rest.bytes().enumerate().skip(open).find(|(_, byte)| {
                depth += i32::from(*byte == b'{') - i32::from(*byte == b'}');
                depth == 0
            });
            close.unwrap().0 + 1
        };
        tests.push_str(&text[start..start + end]);
        code[start..start + end].iter_mut().filter(|byte| **byte != b'\n').for_each(|byte| *byte = b' ');
        from = start + end;
    }
    (String::from_utf8(code).unwrap(), tests)
}

/// Places where a word stands, not as part of a longer one: line numbers.
fn mentions(code: &str, word: &str) -> Vec<usize> {
    let in_word = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let bytes = code.as_bytes();
    code.match_indices(word)
        .filter(|(at, _)| {
            let before = at.checked_sub(1).and_then(|before| bytes.get(before));
            let (starts, ends) = (word.as_bytes()[0], word.as_bytes()[word.len() - 1]);
            let fits = |end: u8, byte| !(in_word(Some(&end)) && in_word(byte));
            fits(starts, before) && fits(ends, bytes.get(at + word.len()))
        })
        .map(|(at, _)| code[..at].matches('\n').count() + 1)
        .collect()
}

/// Modules that a file uses by `crate::`, with the line.
fn uses(code: &str) -> Vec<(String, usize)> {
    let mut list = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let line = code[..at].matches('\n').count() + 1;
        if let Some(group) = rest.strip_prefix('{') {
            // `use crate::{a, b::c}`: the first word of each part at the outer level.
            let mut depth = 0;
            let mut part = String::new();
            for c in group.chars() {
                match c {
                    '{' => depth += 1,
                    '}' if depth == 0 => break,
                    '}' => depth -= 1,
                    ',' if depth == 0 => list.push((first_word(&std::mem::take(&mut part)), line)),
                    _ => {}
                }
                part.push(c);
            }
            list.push((first_word(&part), line));
        } else {
            list.push((first_word(rest), line));
        }
    }
    list.retain(|(module, _)| !module.is_empty());
    list
}

fn first_word(text: &str) -> String {
    text.trim_start_matches([',', ' ', '\n']).chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// What is wrong with the use of one module by another.
fn judge(who: &str, whom: &str, layers: &BTreeMap<&str, u32>) -> Option<String> {
    let (Some(mine), Some(theirs)) = (layers.get(who), layers.get(whom)) else {
        return Some(format!("`{who}` or `{whom}` is not in the table of layers"));
    };
    if who == whom || theirs < mine || (theirs == mine && SAME_LAYER.contains(&(who, whom))) {
        None
    } else if theirs == mine {
        Some(format!("`{who}` uses `{whom}` of its own layer ({mine}), which is not among the agreed ones"))
    } else {
        Some(format!("`{who}` (layer {mine}) uses `{whom}` (layer {theirs}), which stands above it"))
    }
}

#[test]
fn modules_use_only_what_stands_below_them() {
    let layers: BTreeMap<&str, u32> = LAYERS.into_iter().collect();
    let mut wrong = String::new();
    let mut arrows: BTreeSet<(String, String)> = BTreeSet::new();
    for source in sources().iter().filter(|source| source.module != "lib") {
        if !layers.contains_key(source.module.as_str()) {
            let _ok = writeln!(wrong, "{}: module `{}` is not in the table of layers", source.path, source.module);
        }
        for (whom, line) in uses(&source.code) {
            arrows.insert((source.module.clone(), whom.clone()));
            if let Some(why) = judge(&source.module, &whom, &layers) {
                let _ok = writeln!(wrong, "{}:{line}: {why}", source.path);
            }
        }
        // At the top of a module `super::` is `crate::` by another name.
        let top = source.path.matches('/').count() == 1 || source.path.ends_with(&format!("{}/mod.rs", source.module));
        if top {
            for line in mentions(&source.code, "super::") {
                let _ok = writeln!(wrong, "{}:{line}: `super::` leaves the module; write `crate::`", source.path);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    let seen: BTreeSet<&str> = arrows.iter().map(|(_, whom)| whom.as_str()).collect();
    assert!(seen.len() > 8, "the uses were found: {seen:?}");
}

#[test]
fn the_core_knows_no_clock_no_files_and_no_randomness() {
    let layers: BTreeMap<&str, u32> = LAYERS.into_iter().collect();
    let mut wrong = String::new();
    let mut looked_at = 0;
    for source in sources() {
        if layers.get(source.module.as_str()).is_none_or(|layer| *layer > CORE) {
            continue;
        }
        looked_at += 1;
        for (word, why) in FORBIDDEN_IN_CORE {
            if source.module == "math" && word.starts_with('.') {
                continue;
            }
            for line in mentions(&source.code, word) {
                let _ok = writeln!(wrong, "{}:{line}: `{word}`: {why}", source.path);
            }
        }
        // `use std::collections::{BTreeMap, HashMap}` hides the path.
        for (at, _) in source.code.match_indices("std::collections::{") {
            let list = source.code[at..].split('}').next().unwrap_or("");
            if list.contains("HashMap") || list.contains("HashSet") {
                let _ok = writeln!(wrong, "{}: std's hash containers iterate in random order", source.path);
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(looked_at > 40, "{looked_at} files of the core");
}

/// All test code: test modules, and the files below `tests`, less this one.
fn all_tests() -> String {
    let mut all: String = sources().into_iter().map(|source| source.tests).collect();
    for path in rust_files(&root().join("tests")) {
        if !path.ends_with("layers.rs") {
            all.push_str(&std::fs::read_to_string(&path).unwrap());
        }
    }
    all
}

#[test]
fn every_invariant_is_named_by_a_test() {
    let tests = all_tests();
    let missing: Vec<&str> = INVARIANTS
        .iter()
        .map(|(id, _)| *id)
        .filter(|id| {
            let lower = id.to_lowercase().replace('-', "_");
            mentions(&tests, id).is_empty() && !tests.contains(&format!("fn {lower}_"))
        })
        .collect();
    assert!(missing.is_empty(), "no test names {missing:?}");
    let ids: BTreeSet<&str> = INVARIANTS.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), INVARIANTS.len(), "identifiers are distinct");
}

/// Variants of an enum, from its source.
fn variants(file: &str, name: &str) -> Vec<String> {
    let text = blank_texts(&std::fs::read_to_string(root().join(file)).unwrap());
    let body = text.split(&format!("pub enum {name} {{")).nth(1).and_then(|rest| rest.split('}').next()).unwrap();
    body.split(',').map(|part| part.trim().to_owned()).filter(|part| !part.is_empty()).collect()
}

#[test]
fn every_word_of_a_decision_appears_in_a_test() {
    let tests = all_tests();
    let mut missing = Vec::new();
    for (file, name, least) in [
        ("src/compare/verdict.rs", "Verdict", 4),
        ("src/compare/verdict.rs", "Finding", 6),
        ("src/compare/verdict.rs", "Flaw", 11),
        ("src/event.rs", "RejectReason", 8),
    ] {
        let list = variants(file, name);
        assert!(list.len() >= least, "{name}: {list:?}");
        let untested = list.into_iter().map(|variant| format!("{name}::{variant}"));
        missing.extend(untested.filter(|word| mentions(&tests, word).is_empty()));
    }
    assert!(missing.is_empty(), "no test has a case for {missing:?}");
}

#[test]
fn nothing_knows_the_machine_of_a_developer() {
    // Put together here, so that this file does not accuse itself.
    let homes = ["home", "Users", "root", "work", "private", "mnt"].map(|folder| format!("/{folder}/"));
    let mut wrong = Vec::new();
    let mut folders = vec![root().to_owned()];
    let mut looked_at = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if ["target", ".git", "node_modules"].contains(&name.as_str()) || name.starts_with("Cargo.") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let Ok(text) = std::fs::read_to_string(&path) else { continue };
            looked_at += 1;
            for (number, line) in text.lines().enumerate() {
                // A path starts after a blank, a quote or a bracket; `/api/work/` is no path of a machine.
                let starts = |at: usize| at == 0 || b" \t\"'`(=:".contains(&line.as_bytes()[at - 1]);
                if homes.iter().any(|home| line.match_indices(home.as_str()).any(|(at, _)| starts(at))) {
                    wrong.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(looked_at > 60);
}

#[test]
fn the_scanner_sees_what_it_must() {
    let text = concat!(
        "// crate::cli in a comment\n",
        "use crate::{time::Timestamp, event::{self, Names}, cli};\n",
        "fn f<'a>(x: &'a str) -> char { let _s = \"crate::demo \\\" {\"; let _r = r#\"\"crate::demo\"#; '\"' }\n",
        "fn g() { crate::math::ln(1.0); 2.0f64.ln(); }\n",
        "#[cfg(test)]\nmod tests { use crate::bench; fn t() { let _ = \"}\"; } }\n",
        "fn h() { crate::source::run(); }\n",
    );
    let (code, tests) = split_tests(&blank_texts(text), text);
    let found: Vec<(String, usize)> = uses(&code);
    let expect = [("time", 2), ("event", 2), ("cli", 2), ("math", 4), ("source", 7)];
    assert_eq!(found, expect.map(|(module, line)| (module.to_owned(), line)));
    assert!(tests.contains("crate::bench") && !tests.contains("crate::source"));
    assert_eq!(mentions(&code, ".ln("), [4]);
    assert_eq!(mentions("operand; rand::random()", "rand"), [1]);
    let layers: BTreeMap<&str, u32> = LAYERS.into_iter().collect();
    assert!(judge("engine", "ledger", &layers).is_none());
    assert!(judge("ledger", "engine", &layers).is_some());
    assert!(judge("fold", "engine", &layers).is_some());
    assert!(judge("fold", "elsewhere", &layers).is_some());
}
