//! CSV and TSV with a header (RFC 4180): the header belongs to a stream, and a line to the header.
//!
//! A decoder does not see the header of its stream, so headers stand in the plan ([`Plan::tables`](crate::pipeline::plan::Plan::tables)): the
//! survey finds them in the first lines. A line is read by one if it has as many columns, and a time where the others have one.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::json;

use super::{Object, records, servers};
use crate::pipeline::clock;
use crate::pipeline::plan::RequestSource;
use crate::pipeline::roles::{self, Role};

/// Headers that are known at a time; further ones are not read by.
pub const TABLES_MAX: usize = 16;
/// Columns of a header, and the fewest.
const COLUMNS_MAX: usize = 256;
const COLUMNS_MIN: usize = 3;
/// Columns in which an export keeps a line: CloudWatch, Splunk, Grafana, and what people call it.
const LINES: [&str; 6] = ["@message", "_raw", "Line", "line", "log", "message"];
/// Lines behind a header that must be of it, nearly all.
const LOOKED_AT: usize = 20;
/// Lines of a stream among which the names of columns are looked for that the W3C's format has, and what it calls the column of the date.
const W3C_WITHIN: usize = 8;
const W3C_DATE: &str = "date";
/// Separators that are tried.
const SEPARATORS: [char; 3] = [',', '\t', ';'];

/// What the columns of lines are called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// What stands between columns.
    pub separator: char,
    /// Names of the columns, as fields.
    pub columns: Vec<String>,
    /// Column that has the time.
    pub time: usize,
}

impl Table {
    /// The table as JSON, which a plan and an index keep.
    pub fn to_json(&self) -> serde_json::Value {
        json!({ "separator": self.separator, "columns": self.columns, "time": self.time })
    }

    /// What [`Table::to_json`] gave; `None`: it is none.
    pub fn from_json(value: &serde_json::Value) -> Option<Table> {
        let mut separator = value.get("separator")?.as_str()?.chars();
        let columns = value.get("columns")?.as_array()?.iter();
        let columns: Option<Vec<String>> = columns.map(|column| Some(column.as_str()?.to_owned())).collect();
        let time = usize::try_from(value.get("time")?.as_u64()?).ok()?;
        Some(Table { separator: separator.next()?, columns: columns?, time })
    }

    /// The header that stands in front of a stream's lines.
    pub fn of(lines: &[&str]) -> Option<Table> {
        let (first, rest) = lines.split_first()?;
        if let Some(table) = lines.iter().take(W3C_WITHIN).find_map(|line| Table::of_w3c(line)) {
            return Some(table);
        }
        SEPARATORS.into_iter().find_map(|separator| {
            let names = cells(first, separator)?;
            let is_name = |name: &Cow<'_, str>| {
                let name = name.trim_ascii();
                let begins = name.starts_with(|c: char| c.is_alphabetic() || matches!(c, '@' | '_' | '#'));
                begins && name.len() <= 64 && !name.contains(['{', '}', '"', '=', '\n'])
            };
            let distinct = names.iter().map(|name| name.trim_ascii()).collect::<BTreeSet<_>>().len();
            // A time and a line are a table too.
            let holds_line = names.iter().any(|name| LINES.contains(&name.trim_ascii()));
            let fewest = if holds_line { 2 } else { COLUMNS_MIN };
            let is_header = (fewest..=COLUMNS_MAX).contains(&names.len()) && distinct == names.len();
            if !is_header || !names.iter().all(is_name) {
                return None;
            }
            let rows: Vec<Vec<Cow<'_, str>>> = rest
                .iter()
                .take(LOOKED_AT)
                .filter_map(|line| cells(line, separator))
                .filter(|row| row.len() == names.len())
                .collect();
            let looked_at = rest.len().min(LOOKED_AT);
            if rows.is_empty() || rows.len() * 5 < looked_at * 4 {
                return None;
            }
            let times =
                |column: usize| rows.iter().filter_map(|row| row.get(column)).filter(|cell| is_time(cell)).count();
            let mut columns: Vec<String> = names.iter().map(|name| field_of(name)).collect();
            let is_called_time = |name: &String| roles::role_of_known(name) == Some(Role::Time);
            let by_name = columns.iter().position(is_called_time);
            let time = by_name.into_iter().chain(0..columns.len()).find(|column| times(*column) == rows.len())?;
            if let Some(name) = columns.get_mut(time).filter(|name| !is_called_time(name)) {
                *name = "time".to_owned();
            }
            Some(Table { separator, columns, time })
        })
    }

    /// `#Fields: date time c-ip cs-method ...` of the W3C's extended format, as IIS (blanks) and CloudFront (tabs) write it.
    fn of_w3c(line: &str) -> Option<Table> {
        let names: Vec<&str> = line.strip_prefix("#Fields:")?.split_ascii_whitespace().take(COLUMNS_MAX).collect();
        let time = names.windows(2).position(|pair| pair == [W3C_DATE, "time"])?;
        // CloudFront counts seconds, IIS milliseconds.
        let is_cloud = names.iter().any(|name| name.starts_with("x-edge-"));
        let column = |name: &str| {
            match name {
                "cs-method" => "method",
                "cs-uri-stem" => "path",
                "c-ip" => "client",
                "cs-username" => "user",
                "sc-status" => "status",
                "cs(User-Agent)" => "user_agent",
                "time-taken" if is_cloud => "duration_s",
                "time-taken" => "duration_ms",
                name => name,
            }
            .to_owned()
        };
        let columns = names.iter().map(|name| column(name)).collect();
        Some(Table { separator: if is_cloud { '\t' } else { ' ' }, columns, time })
    }

    /// A line as object, where it is one of the table.
    pub fn object(&self, line: &str) -> Option<String> {
        let row = cells(line, self.separator).filter(|row| row.len() == self.columns.len())?;
        let is_w3c = |at: usize, name: &str| self.columns.get(at).is_some_and(|column| column == name);
        if is_w3c(self.time, W3C_DATE) && is_w3c(self.time + 1, "time") {
            return self.w3c(line, &row);
        }
        if !is_time(row.get(self.time)?) {
            return None;
        }
        let mut object = Object::new();
        for (name, cell) in self.columns.iter().zip(&row) {
            let cell = cell.trim_ascii();
            if !cell.is_empty() {
                object.value(name, cell);
            }
        }
        let object = object.end();
        let line = LINES.iter().find(|name| self.columns.iter().any(|column| column == *name));
        Some(line.and_then(|line| records::inside(&object, line, 0)).unwrap_or(object))
    }
}

impl Table {
    /// A line of the access log that such a table is.
    fn w3c(&self, line: &str, row: &[Cow<'_, str>]) -> Option<String> {
        // The format is of UTC (W3C's draft, CloudFront, IIS).
        let time = format!("{} {}Z", row.get(self.time)?, row.get(self.time + 1)?);
        if !is_time(&time) {
            return None;
        }
        let mut object = Object::new();
        object.of_source(RequestSource::AccessLog);
        object.text("message", line);
        object.text("time", &time);
        let there = self
            .columns
            .iter()
            .zip(row)
            .filter(|(name, cell)| !matches!(name.as_str(), W3C_DATE | "time") && *cell != "-");
        for (name, cell) in there {
            // CloudFront: the client closed the connection.
            let is_closed = name == "status" && cell == "000";
            object.value(name, if is_closed { servers::CLIENT_CLOSED } else { cell });
        }
        Some(object.end())
    }
}

/// The line as object by the first table that it is of.
pub fn by_table(line: &str, tables: &[Table]) -> Option<String> {
    tables.iter().find_map(|table| table.object(line))
}

fn is_time(cell: &str) -> bool {
    clock::parse_time(cell).is_ok() || clock::is_yearless(cell)
}

/// What a column is called as a field: by the known name that it is, whatever its letters, else as it stands.
fn field_of(name: &str) -> String {
    let name = name.trim_ascii();
    let small = name.to_ascii_lowercase().replace(' ', "_");
    let is_known = roles::role_of_known(name).is_none() && roles::role_of_known(&small).is_some();
    if is_known { small } else { name.to_owned() }
}

/// The cells of a line; `None`: a quote does not end.
fn cells(line: &str, separator: char) -> Option<Vec<Cow<'_, str>>> {
    let mut list = Vec::new();
    let mut rest = line.strip_suffix('\r').unwrap_or(line);
    loop {
        let Some(quoted) = rest.strip_prefix('"') else {
            match rest.split_once(separator) {
                Some((cell, behind)) if list.len() < COLUMNS_MAX => {
                    list.push(Cow::Borrowed(cell));
                    rest = behind;
                    continue;
                }
                _ => {
                    list.push(Cow::Borrowed(rest));
                    return Some(list);
                }
            }
        };
        let mut cell = String::new();
        let mut inside = quoted;
        let behind = loop {
            let (part, behind) = inside.split_once('"')?;
            cell.push_str(part);
            match behind.strip_prefix('"') {
                Some(more) => {
                    cell.push('"');
                    inside = more;
                }
                None => break behind,
            }
        };
        list.push(Cow::Owned(cell));
        match behind.strip_prefix(separator) {
            Some(behind) if list.len() < COLUMNS_MAX => rest = behind,
            _ => return behind.is_empty().then_some(list),
        }
    }
}

/// Lines that look like those of a table whose header is not there: how many columns they have.
pub fn headless(lines: &[&str]) -> Option<usize> {
    let counts: Vec<usize> =
        lines.iter().take(LOOKED_AT).filter_map(|line| cells(line, ',')).map(|row| row.len()).collect();
    let first = *counts.first().filter(|columns| **columns > COLUMNS_MIN)?;
    (counts.len() >= 5 && counts.iter().all(|columns| *columns == first)).then_some(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str], line: &str) -> Option<serde_json::Value> {
        Some(serde_json::from_str(&Table::of(lines)?.object(line)?).unwrap())
    }

    #[test]
    fn a_column_may_hold_a_line() {
        let row = "2026-06-01 10:00:00.123,\"{\"\"level\"\":\"\"error\"\",\"\"status\"\":500}\",web-1";
        let lines = ["@timestamp,@message,@logStream", row];
        assert_eq!(
            read(&lines, lines[1]),
            Some(
                serde_json::json!({"@timestamp": "2026-06-01 10:00:00.123", "@logStream": "web-1", "level": "error", "status": 500})
            )
        );
        let lines = [
            "_time,_raw",
            "2026-06-01T10:00:00Z,10.0.0.7 - - [01/Jun/2026:10:00:00 +0000] \"\"GET / HTTP/1.1\"\" 200 5",
        ];
        let quoted = "2026-06-01T10:00:00Z,\"10.0.0.7 - - [01/Jun/2026:10:00:00 +0000] \"\"GET / HTTP/1.1\"\" 200 5\"";
        let found = read(&[lines[0], quoted], quoted).unwrap();
        assert_eq!(
            (&found["status"], &found["serin.source"]),
            (&serde_json::json!(200), &serde_json::json!("access log"))
        );
        let lines = ["date,status,took_ms", "2026-06-01T10:00:00Z,200,5"];
        assert_eq!(read(&lines, lines[1]).unwrap()["date"], "2026-06-01T10:00:00Z");
        let lines = ["Time,Line", "2026-06-01T10:00:00Z,it is up"];
        assert_eq!(read(&lines, lines[1]).unwrap()["Line"], "it is up");
    }

    #[test]
    fn lines_are_read_by_the_header_of_their_stream() {
        let lines =
            ["Timestamp,Level,Status Code,Message,user id", "2026-06-01T10:00:00Z,INFO,200,\"it, \"\"it\"\" is\",7"];
        assert_eq!(
            read(&lines, lines[1]),
            Some(
                serde_json::json!({"Timestamp": "2026-06-01T10:00:00Z", "Level": "INFO", "status_code": 200, "Message": "it, \"it\" is", "user_id": 7})
            )
        );
        assert_eq!(read(&lines, lines[0]), None, "the header is no line");
        assert_eq!(read(&lines, "2026-06-01T10:00:00Z,INFO,200"), None);
        assert_eq!(read(&lines, "now,INFO,200,a,7"), None);
        let lines = ["when\tstatus\ttook_ms", "2026-06-01 10:00:00\t200\t12"];
        assert_eq!(
            read(&lines, lines[1]),
            Some(serde_json::json!({"time": "2026-06-01 10:00:00", "status": 200, "took_ms": 12}))
        );
        for none in [
            vec!["time,level"],
            vec!["2026-06-01T10:00:00Z,INFO,a", "2026-06-01T10:00:00Z,INFO,a"],
            vec!["it is up, and runs, and more", "2026-06-01T10:00:00Z INFO a"],
            vec!["time,time,level", "2026-06-01T10:00:00Z,1,2"],
        ] {
            assert_eq!(Table::of(&none), None, "{none:?}");
        }
        assert_eq!(headless(&["a,1,2,3"; 6]), Some(4));
        assert_eq!(headless(&["a, b", "c"]), None);
    }
}
