//! Which streams there are, and where each begins: what a program that starts again must know, and what a replay goes by.
//!
//! Rows of `streams.ndjson`: the name of a stream, the first position that was there when it was first read (Kafka deletes the oldest
//! records), what its records hold, and, for a stream that came while others were read, the first window to which it adds. A row
//! lasts before anything is decided with its stream.

use anyhow::anyhow;
use serde_json::Value;
#[cfg(any(test, feature = "kafka"))]
use serde_json::json;

/// Name of the file.
pub(super) const FILE: &str = "streams.ndjson";

/// A row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Row {
    /// The stream.
    pub name: String,
    /// Its first position.
    pub first: u64,
    /// What its records hold, by name.
    pub format: String,
    /// The window with which it came; `None`: it was there when everything began.
    pub joined: Option<i64>,
}

impl Row {
    /// One line.
    #[cfg(any(test, feature = "kafka"))]
    pub(super) fn line(&self) -> String {
        let Row { name, first, format, joined } = self;
        format!("{}\n", json!({ "stream": name, "first": first, "format": format, "joined": joined }))
    }
}

/// Reads rows, in order.
pub(super) fn rows(text: &str) -> anyhow::Result<Vec<Row>> {
    let row = |(number, line): (usize, &str)| {
        let wrong = || anyhow!("streams.ndjson: line {} is not what it should be", number + 1);
        let value: Value = serde_json::from_str(line).map_err(|_| wrong())?;
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned).ok_or_else(wrong);
        let joined = value.get("joined").ok_or_else(wrong)?;
        Ok(Row {
            name: text("stream")?,
            first: value.get("first").and_then(Value::as_u64).ok_or_else(wrong)?,
            format: text("format")?,
            joined: if joined.is_null() { None } else { Some(joined.as_i64().ok_or_else(wrong)?) },
        })
    };
    text.lines().enumerate().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_read_back_and_anything_else_is_said() {
        let row = |joined| Row { name: "t/0#2".to_owned(), first: 1 << 40, format: "auto".to_owned(), joined };
        let all = [row(None), row(Some(-3)), row(Some(i64::MIN))];
        let text: String = all.iter().map(Row::line).collect();
        assert_eq!(rows(&text).unwrap(), all);
        for wrong in ["x", "{}", "{\"stream\":\"t/0\",\"first\":-1,\"format\":\"auto\",\"joined\":null}"] {
            assert!(rows(&format!("{text}{wrong}\n")).unwrap_err().to_string().contains("line 4"), "{wrong}");
        }
    }
}
