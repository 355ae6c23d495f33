//! What the fields of some lines hold: how many lines have each, and its most frequent values.

use hashbrown::HashMap;

use crate::index::names::is_derived;
use crate::index::search::{Asked, Found, Partial, Total};
use crate::index::store::Index;
use crate::pipeline::decode::fields::{FieldReader, FieldValue};
use crate::query::{self, Value};

/// Different values of a field that are counted; further ones are not told apart.
const VALUES_MAX: usize = 4_096;
/// Longest value, in bytes, that is listed.
const VALUE_BYTES_MAX: usize = 256;

/// A field in the lines that were looked at.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Coverage {
    /// Its path.
    pub path: String,
    /// Lines that have it.
    pub lines: u64,
    /// Its most frequent values with their lines, most frequent first, those as frequent by their text. An item of a list is a value; objects
    /// and long texts are none.
    pub values: Vec<(String, u64)>,
}

/// Fields of some lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Covered {
    /// Lines that were looked at: the newest ones that match.
    pub lines: u64,
    /// Fields, those of most lines first, then by path.
    pub fields: Vec<Coverage>,
    /// How many lines match.
    pub total: Total,
    /// Why it is not whole.
    pub partial: Option<Partial>,
}

#[derive(Default)]
struct Count {
    lines: u64,
    /// Number of the last line that had it: a list may have a value twice.
    last: u64,
    values: HashMap<String, (u64, u64), foldhash::fast::FixedState>,
}

impl Count {
    fn met(&mut self, line: u64) {
        if self.last != line {
            (self.last, self.lines) = (line, self.lines + 1);
        }
    }

    fn value(&mut self, line: u64, value: &str) {
        self.met(line);
        if value.len() > VALUE_BYTES_MAX {
            return;
        }
        if let Some((last, lines)) = self.values.get_mut(value) {
            if *last != line {
                (*last, *lines) = (line, *lines + 1);
            }
        } else if self.values.len() < VALUES_MAX {
            self.values.insert(value.to_owned(), (line, 1));
        }
    }

    fn see(&mut self, line: u64, value: &Value<'_>) {
        match value {
            Value::Str(text) => self.value(line, text),
            Value::Number(number) => self.value(line, &number.to_string()),
            Value::Bool(is) => self.value(line, if *is { "true" } else { "false" }),
            Value::List(list) => list.iter().for_each(|value| self.see(line, value)),
        }
    }

    fn coverage(self, path: String, most: usize) -> Coverage {
        let mut values: Vec<(String, u64)> =
            self.values.into_iter().map(|(value, (_, lines))| (value, lines)).collect();
        values.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        values.truncate(most);
        Coverage { path, lines: self.lines, values }
    }
}

fn covered(reader: &mut FieldReader, lines: &[Found], most: usize) -> Vec<Coverage> {
    let mut counts: HashMap<String, Count, foldhash::fast::FixedState> = HashMap::default();
    for (number, found) in (1u64..).zip(lines) {
        let mut see = |path: &str, value: Option<&Value<'_>>| {
            let count = match counts.get_mut(path) {
                Some(count) => count,
                None => counts.entry(path.to_owned()).or_default(),
            };
            match value {
                Some(value) => count.see(number, value),
                None => count.met(number),
            }
        };
        for (path, value) in &found.told {
            see(path, Some(&Value::Str(value.as_str().into())));
        }
        match reader.read(&found.line) {
            Ok(fields) => {
                for (id, value) in &fields {
                    match value {
                        // What decoding says has the name.
                        _ if is_derived(reader.path(*id)) => {}
                        FieldValue::Value(Value::List(list)) if list.is_empty() => {}
                        FieldValue::Value(value) => see(reader.path(*id), Some(value)),
                        FieldValue::Object(_) => see(reader.path(*id), None),
                    }
                }
            }
            Err(_) => see(query::MESSAGE, Some(&Value::Str(found.line.as_str().into()))),
        }
    }
    let mut fields: Vec<Coverage> = counts.into_iter().map(|(path, count)| count.coverage(path, most)).collect();
    fields.sort_by(|a, b| b.lines.cmp(&a.lines).then_with(|| a.path.cmp(&b.path)));
    fields
}

impl Index {
    /// What the fields of the newest lines that match hold; `asked.limit` of them are looked at, and so many `values` of each field listed.
    ///
    /// # Errors
    /// A part that cannot be listed. What cannot be read of one that can is told in the answer.
    pub fn covered(&self, asked: &Asked<'_>, values: usize) -> tantivy::Result<Covered> {
        let page = self.search(asked)?;
        let tables = self.parts().last().map(|part| part.layout.tables.clone()).unwrap_or_default();
        let fields = covered(&mut FieldReader::of_tables(&tables), &page.lines, values);
        Ok(Covered { lines: page.lines.len() as u64, fields, total: page.total, partial: page.partial })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::search::Cursor;

    fn found(line: &str, told: Vec<(&'static str, String)>) -> Found {
        Found { at: Cursor { time: 0, position: 0, stream: String::new() }, line: line.to_owned(), told }
    }

    #[test]
    fn each_line_counts_once_for_a_field_and_for_each_of_its_values() {
        let lines = [
            found(
                r#"{"level":"error","tags":["a","a","b"],"geo":{"country":"JP"}}"#,
                vec![("_arm", "canary".to_owned())],
            ),
            found(
                r#"{"level":"info","tags":["b"],"_arm":"own","ms":12.5,"ok":true,"none":[]}"#,
                vec![("_arm", "stable".to_owned())],
            ),
            found(r#"{"level":"error","text":"TEXT"}"#, Vec::new()),
            found("no object at all", Vec::new()),
        ];
        let long = found(&format!(r#"{{"text":"{}"}}"#, "x".repeat(300)), Vec::new());
        let lines: Vec<Found> = lines.into_iter().chain([long]).collect();
        let fields = covered(&mut FieldReader::default(), &lines, 2);
        let shown: Vec<String> = fields
            .iter()
            .map(|field| {
                let values: Vec<String> =
                    field.values.iter().map(|(value, lines)| format!("{value}={lines}")).collect();
                format!("{} {} {}", field.path, field.lines, values.join(","))
            })
            .collect();
        assert_eq!(
            shown,
            [
                "level 3 error=2,info=1",
                "_arm 2 canary=1,stable=1",
                "tags 2 b=2,a=1",
                "text 2 TEXT=1",
                "geo 1 ",
                "geo.country 1 JP=1",
                "message 1 no object at all=1",
                "ms 1 12.5=1",
                "ok 1 true=1",
            ]
        );
    }

    #[test]
    fn values_beyond_the_bound_are_not_told_apart() {
        let mut count = Count::default();
        for line in 1..=2 * VALUES_MAX as u64 {
            count.value(line, &line.to_string());
        }
        let coverage = count.coverage("id".to_owned(), 1);
        assert_eq!((coverage.lines, coverage.values.len()), (2 * VALUES_MAX as u64, 1));
    }
}
