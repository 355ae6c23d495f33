//! The keys of a pipeline: what the reference page and the JSON Schema are made of.

use serde_json::{Map, Value, json};

/// What stands behind a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::cli) enum Takes {
    Text,
    /// One of these words.
    Word(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// Names with texts.
    Names,
    /// Names with a text or a list of texts.
    NamesOrLists,
    /// A mapping whose keys stand below it.
    Below,
    /// A text, or a mapping whose keys stand below it.
    TextOrBelow,
    /// A list of mappings whose keys stand below it.
    ListBelow,
    /// A list of texts, or of mappings whose keys stand below it.
    TextsOrBelow,
}

/// A key.
#[derive(Clone, Copy, Debug)]
pub(in crate::cli) struct Key {
    /// Where it stands: `redact.fields`, `tests[].lines`.
    pub path: &'static str,
    pub takes: Takes,
    pub about: &'static str,
}

const fn key(path: &'static str, takes: Takes, about: &'static str) -> Key {
    Key { path, takes, about }
}

/// Every key, in the order in which a file has them.
pub(in crate::cli) const KEYS: [Key; 48] = [
    key("pipeline", Takes::Text, "Name of the pipeline: letters, digits, `-`. Needed."),
    key("about", Takes::Text, "What it reads, in a sentence."),
    key(
        "streams",
        Takes::Texts,
        "Streams whose lines it is for, `*` for any text: files by their name, topics as `topic/partition`, `http`. Without it: all.",
    ),
    key(
        "zone",
        Takes::Text,
        "The zone of times that name none: `UTC`, an offset (`+02:00`) or a name of the IANA database (`Europe/Berlin`). Without it: that of `--zone`, else UTC.",
    ),
    key(
        "patterns",
        Takes::Texts,
        "Regular expressions (syntax of the regex crate) for text of a form of its own; the first that fits counts. Each named group, `(?<status>\\d+)`, becomes a field; `-` is no value. Tried on lines of at most 64 KiB, and on the message inside what a collector put around one.",
    ),
    key(
        "set",
        Takes::ListBelow,
        "Fields that lines are given, in order: the name of a role or of a field, and its text, in which `${field}` stands for a field of the line. Where a field is missing nothing is added. A role's value counts more than any field of the line.",
    ),
    key("set[].when", Takes::Text, "Query of the lines that it is for. Without it: all."),
    key("set[].*", Takes::Text, "Role or field, and what it says."),
    key(
        "roles",
        Takes::NamesOrLists,
        "Fields that play a role, before those that are recognised; a latency may name its unit: `took:ms`. `cell` is never recognised: its values split a service into what is judged, and rolled out, by itself (docs/compare.md).",
    ),
    key(
        "arms",
        Takes::TextOrBelow,
        "How a line finds its arm: the field whose values are the arms, or one of the keys below. Without it: found in the first lines.",
    ),
    key("arms.baseline", Takes::Text, "Query of the baseline's lines; with `canary`."),
    key("arms.canary", Takes::Text, "Query of the canary's lines."),
    key(
        "arms.flag",
        Takes::Text,
        "Key of a feature flag (OpenTelemetry `feature_flag.evaluation`): its variants are the arms, and an evaluation is an exposure.",
    ),
    key("arms.hash", Takes::Below, "The hash of the unit decides."),
    key("arms.hash.share", Takes::Text, "Share of units in the canary: `5%`."),
    key("arms.hash.seed", Takes::Text, "Seed of the split."),
    key(
        "unit",
        Takes::Word(&["user", "session", "client", "trace", "instance", "request"]),
        "What is assigned to an arm and counts once.",
    ),
    key("segments", Takes::Texts, "Fields whose values are segments, at most four."),
    key(
        "requests_from",
        Takes::Names,
        "Where the requests of a service are taken from: `access-log`, `root-span`, `application`, `timed` (a path and a duration, and no status) or `outgoing` (what looks like calls to others).",
    ),
    key(
        "events",
        Takes::TextsOrBelow,
        "Metrics of one's own, at most eight: the share of units that ever meet an event. Names that lines write as their event, or mappings. Each is a guardrail: where it falls in the canary (or rises, where that is the harm), the rollout fails.",
    ),
    key("events[].name", Takes::Text, "Name of the event."),
    key("events[].where", Takes::Text, "Query of the lines that are this event; a request may be one too."),
    key(
        "events[].harm",
        Takes::Word(&["falls", "rises"]),
        "Which way it does harm: a purchase when it falls, which counts without this key; a refund when it rises.",
    ),
    key(
        "events[].at_least",
        Takes::Text,
        "How many times a unit meets it before it counts, from 1 (which counts without this key) to 1000: `3` tests the share of units that meet it three times and more, so that how often units do something has a guardrail.",
    ),
    key(
        "metrics",
        Takes::ListBelow,
        "Metrics of one's own, at most four: a count (`where`), a ratio (`where` and `of`) or a gauge (`field`). Each is a guardrail: where it goes the way that does harm, the rollout fails.",
    ),
    key("metrics[].name", Takes::Text, "Name of the metric."),
    key(
        "metrics[].where",
        Takes::Text,
        "Query of the lines that are counted: alone a count, held against the requests of the same arm; with `of` the part of a ratio; with `field` the lines of a gauge.",
    ),
    key("metrics[].of", Takes::Text, "Query of the lines that are the whole of a ratio."),
    key(
        "metrics[].field",
        Takes::Text,
        "Field with the number of a gauge, from 0.001 to 68 million; below 0 it is not read.",
    ),
    key("metrics[].harm", Takes::Word(&["falls", "rises"]), "Which way it does harm. Needed."),
    key(
        "index",
        Takes::ListBelow,
        "Which lines are kept for search; the first rule that fits a line counts, and where none does `--index`. Nothing else rests on it, so it may be changed at any start.",
    ),
    key(
        "index[].when",
        Takes::Text,
        "Query of the lines that it is for; also of what decoding says of them (`_kind:log`, `_service:shop`). Without it: all.",
    ),
    key(
        "index[].keep",
        Takes::Word(&["all", "sampled", "off"]),
        "Which of them are kept: each; what is wrong or new, and a sample of the rest; none. Needed.",
    ),
    key("index[].one_in", Takes::Text, "With `sampled`: of the rest, the lines of one unit of so many (10)."),
    key(
        "redact",
        Takes::Below,
        "What is taken out before lines are counted, indexed or kept. The write-ahead log alone holds lines as they came.",
    ),
    key(
        "redact.fields",
        Takes::Texts,
        "Fields whose value becomes `<redacted>`: by path, or by its end, in any case; in text also `name=value`.",
    ),
    key(
        "redact.hash",
        Takes::Texts,
        "Fields whose value becomes a keyed hash: equal values stay equal, so that users are still told apart (`--redaction-key`).",
    ),
    key(
        "redact.looks",
        Takes::Texts,
        "What is found by how it looks, anywhere: `email` (becomes a keyed hash), `card` (13 to 19 digits of an issuer with a right check digit), `token` (passwords, keys, bearer tokens, also fields of such names, and values beside such a name: `\"field\": \"password\", \"rejectedValue\": X`; what SQL, PostgreSQL, MySQL, Spring and pydantic say of such a field; options of command lines, also in lists). The name `sid` counts where its value has 16 letters and digits. Names of places in lists stay (`next_page_token`), and so do counts of up to three digits (`pass: 17`).",
    ),
    key("tests", Takes::ListBelow, "Tests, run by `serin test`."),
    key("tests[].about", Takes::Text, "What it shows."),
    key("tests[].stream", Takes::Text, "Stream that its lines are of. Without it: `test`."),
    key("tests[].lines", Takes::TextsOrBelow, "The lines, as one text or as a list."),
    key(
        "tests[].gives",
        Takes::ListBelow,
        "What each line is read as, in order. Only what is named is compared. `serin test --update` writes it anew where it differs; without it a test shows what there is.",
    ),
    key(
        "tests[].gives[].kind",
        Takes::Word(&["request", "span", "log", "exposure", "event", "outside"]),
        "What the line counts as; `outside`: of another environment or time.",
    ),
    key("tests[].gives[].rejected", Takes::Text, "Why the line counts nowhere."),
    key("tests[].gives[].arm", Takes::Text, "Its arm; empty: none."),
    key("tests[].gives[].line", Takes::Text, "The line as it is read and kept."),
    key(
        "tests[].gives[].*",
        Takes::Text,
        "`time`, `environment`, `cell`, `service`, `route`, `instance`, `status` (`2xx`), `failed` (`true`, `false`), `latency_ms`, `level`, `event`, `metrics` (`NAME VALUE`, with commas between them), or any field of the line as it is read.",
    ),
];

/// Keys that stand right below a path, without the path.
#[cfg(test)]
pub(super) fn below(path: &str) -> Vec<&'static str> {
    let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
    KEYS.iter()
        .filter_map(|key| key.path.strip_prefix(&prefix))
        .filter(|rest| !rest.contains('.') && !rest.ends_with("[]"))
        .collect()
}

/// The JSON Schema (2020-12) of a pipeline.
pub(in crate::cli) fn schema() -> Value {
    let mut root = object("");
    let fields = [
        ("$schema", json!("https://json-schema.org/draft/2020-12/schema")),
        ("title", json!("A pipeline of Serin")),
        ("required", json!(["pipeline"])),
    ];
    if let Some(root) = root.as_object_mut() {
        fields.into_iter().for_each(|(key, value)| {
            root.insert(key.to_owned(), value);
        });
    }
    root
}

/// The schema of a mapping whose keys stand below a path.
fn object(path: &str) -> Value {
    let prefix = if path.is_empty() { String::new() } else { format!("{path}.") };
    let mut properties = Map::new();
    let mut others = Value::Bool(false);
    for key in KEYS {
        let Some(name) = key.path.strip_prefix(&prefix).filter(|name| !name.contains('.') && !name.contains('['))
        else {
            continue;
        };
        let mut schema = of(key.path, key.takes);
        if let Some(schema) = schema.as_object_mut() {
            schema.insert("description".to_owned(), json!(key.about));
        }
        if name == "*" {
            others = schema;
        } else {
            properties.insert(name.to_owned(), schema);
        }
    }
    json!({ "type": "object", "properties": properties, "additionalProperties": others })
}

/// The schema of what a key takes.
fn of(path: &str, takes: Takes) -> Value {
    let text = || json!({ "type": ["string", "number", "boolean"] });
    let texts = || json!({ "type": "array", "items": text() });
    let list = |items: Value| json!({ "type": "array", "items": items });
    let each = format!("{path}[]");
    match takes {
        Takes::Text => text(),
        Takes::Word(words) => json!({ "enum": words }),
        Takes::Texts => texts(),
        Takes::Names => json!({ "type": "object", "additionalProperties": text() }),
        Takes::NamesOrLists => json!({ "type": "object", "additionalProperties": { "anyOf": [text(), texts()] } }),
        Takes::Below => object(path),
        Takes::TextOrBelow => json!({ "anyOf": [text(), object(path)] }),
        Takes::ListBelow => list(object(&each)),
        Takes::TextsOrBelow if path == "tests[].lines" => json!({ "anyOf": [text(), texts()] }),
        Takes::TextsOrBelow => list(json!({ "anyOf": [text(), object(&each)] })),
    }
}

/// The table of all keys, for the reference page.
#[cfg(test)]
fn table() -> String {
    let mut text = String::from("| key | what it says |\n| --- | --- |\n");
    for key in KEYS {
        let words = match key.takes {
            Takes::Word(words) => {
                let words: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
                format!("{} One of {}.", key.about, words.join(", "))
            }
            _ => key.about.to_owned(),
        };
        text.push_str(&format!("| `{}` | {} |\n", key.path, words.replace('|', "\\|")));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// A committed text; with `UPDATE_EXPECT` it is written.
    fn check(path: &str, wanted: &dyn Fn(&str) -> String) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let wanted = wanted(&text);
        if std::env::var_os("UPDATE_EXPECT").is_some() {
            std::fs::write(&path, &wanted).unwrap();
        } else {
            assert_eq!(text, wanted, "{} is not current; UPDATE_EXPECT=1 writes it", path.display());
        }
    }

    #[test]
    fn schema_and_reference_are_current() {
        check("pipelines/schema.json", &|_| format!("{:#}\n", schema()));
        check("docs/pipelines.md", &|text| {
            let (head, rest) = text.split_once("<!-- keys -->\n").unwrap_or((text, ""));
            let (_, tail) = rest.split_once("<!-- end of keys -->").unwrap_or(("", ""));
            format!("{head}<!-- keys -->\n{}<!-- end of keys -->{tail}", table())
        });
    }
}
