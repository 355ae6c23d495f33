//! `_bulk` of Elasticsearch and OpenSearch: a line that says what to do, then the document.
//!
//! `create` and `index` bring a log line; there are no documents that could be changed, so `update` and `delete` are refused, item by
//! item. A line is stored for every item: the document as it came, or, where an item has none, what was asked. As in
//! Elasticsearch, a body with a line that should say what to do and does not is refused whole.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde::Deserialize;

use crate::pipeline::json;
use crate::source::dialect::{Unreadable, form};

/// Name under which documents are answered that were sent without one.
const NO_INDEX: &str = "serin";
/// Items of a body: each is answered.
const ITEMS_MAX: usize = 200_000;
/// Characters of a name or an id that are answered.
const NAME_MAX: usize = 512;

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Action {
    Create,
    Index,
    Update,
    Delete,
}

impl Action {
    const ALL: [Action; 4] = [Action::Create, Action::Index, Action::Update, Action::Delete];

    fn name(self) -> &'static str {
        match self {
            Action::Create => "create",
            Action::Index => "index",
            Action::Update => "update",
            Action::Delete => "delete",
        }
    }
}

/// What stands behind the action, as far as it is answered.
#[derive(Debug, Default, Deserialize)]
struct Meta<'a> {
    #[serde(rename = "_index", borrow, default)]
    index: Option<Cow<'a, str>>,
    #[serde(rename = "_id", default)]
    id: Option<serde_json::Value>,
}

/// One item of a body.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Item {
    action: Action,
    /// Name of the index, as JSON.
    index: String,
    /// Id that the client gave, as JSON.
    id: Option<String>,
    /// Why it is refused.
    refused: Option<String>,
}

/// A body, read.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bulk {
    /// One line for every item.
    pub lines: Vec<u8>,
    items: Vec<Item>,
}

impl Bulk {
    /// Reads a body. `index`: as the path names it.
    ///
    /// # Errors
    /// A line that should say what to do and does not, or a document that is missing.
    pub fn read(body: &[u8], index: Option<&str>) -> Result<Bulk, Unreadable> {
        let mut bulk = Bulk { lines: Vec::with_capacity(body.len()), items: Vec::new() };
        let mut lines = body.split(|byte| *byte == b'\n').enumerate();
        while let Some((number, line)) = lines.next() {
            // rsyslog writes an empty line behind every document.
            if line.trim_ascii().is_empty() {
                continue;
            }
            if bulk.items.len() == ITEMS_MAX {
                return Err(Unreadable::TooMany(ITEMS_MAX));
            }
            let malformed = |what: &str| {
                let words = format!("Malformed action/metadata line [{}]: {what}", number + 1);
                Unreadable::Malformed(words)
            };
            let (action, meta) = action(line).map_err(|what| malformed(&what))?;
            let (kept, refused) = match action {
                Action::Delete => (line, Some("there are no documents here that could be deleted".to_owned())),
                Action::Create | Action::Index | Action::Update => {
                    // What follows the last newline is no line.
                    let document = lines.next().map(|(_, document)| document).filter(|document| !document.is_empty());
                    let document = document.ok_or_else(|| malformed("no document follows"))?;
                    let refused = match action {
                        Action::Update => Some("there are no documents here that could be changed".to_owned()),
                        Action::Create | Action::Index | Action::Delete => {
                            form(document).err().map(|why| format!("the document is {why}"))
                        }
                    };
                    (if document.trim_ascii().is_empty() { line } else { document }, refused)
                }
            };
            bulk.lines.extend_from_slice(kept);
            bulk.lines.push(b'\n');
            let name = meta.index.as_deref().or(index).unwrap_or(NO_INDEX);
            let id = meta.id.filter(|id| !id.is_null()).map(|id| match id {
                serde_json::Value::String(id) => quoted(&id),
                other => quoted(&other.to_string()),
            });
            bulk.items.push(Item { action, index: quoted(name), id, refused });
        }
        if bulk.items.is_empty() {
            return Err(Unreadable::Malformed("request body is required".to_owned()));
        }
        Ok(bulk)
    }

    /// Reads a body that is one document: `POST /index/_doc`.
    ///
    /// # Errors
    /// A body that is no JSON object.
    pub fn document(body: &[u8], index: Option<&str>, id: Option<&str>) -> Result<Bulk, Unreadable> {
        form(body).map_err(|why| Unreadable::Malformed(format!("the document is {why}")))?;
        // In a string of JSON no line end can stand.
        let blank = |byte: &u8| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte };
        let mut lines: Vec<u8> = body.trim_ascii().iter().map(blank).collect();
        lines.push(b'\n');
        let (index, id) = (quoted(index.unwrap_or(NO_INDEX)), id.map(quoted));
        Ok(Bulk { lines, items: vec![Item { action: Action::Create, index, id, refused: None }] })
    }

    /// The answer to [`Bulk::document`].
    pub fn answer_document(&self, position: u64) -> String {
        let all = self.answer(position, 0);
        let inner = all.strip_prefix(r#"{"took":0,"errors":false,"items":[{"create":"#);
        inner.and_then(|inner| inner.strip_suffix("}]}")).unwrap_or("{}").to_owned()
    }

    /// Items that are refused.
    pub fn refused(&self) -> usize {
        self.items.iter().filter(|item| item.refused.is_some()).count()
    }

    /// The answer, in the words of Elasticsearch. `position`: where the lines are stored, from which ids are made for documents
    /// that have none; `took_ms`: how long it took.
    pub fn answer(&self, position: u64, took_ms: u128) -> String {
        let mut out = String::with_capacity(128 + self.items.len() * 160);
        let errors = self.refused() > 0;
        // Some clients look for `"errors":false` in the text, without blanks.
        let _never_fails = write!(out, r#"{{"took":{took_ms},"errors":{errors},"items":["#);
        for (number, item) in self.items.iter().enumerate() {
            let Item { action, index, id, refused } = item;
            let comma = if number > 0 { "," } else { "" };
            let made = format!("\"{position:x}-{number:x}\"");
            let id = id.as_ref().unwrap_or(&made);
            let _never_fails = match refused {
                None => write!(
                    out,
                    r#"{comma}{{"{}":{{"_index":{index},"_id":{id},"_version":1,"result":"created","_shards":{{"total":1,"successful":1,"failed":0}},"_seq_no":{},"_primary_term":1,"status":201}}}}"#,
                    action.name(),
                    position.saturating_add(number as u64),
                ),
                Some(why) => write!(
                    out,
                    r#"{comma}{{"{}":{{"_index":{index},"_id":{id},"status":400,"error":{{"type":"{}","reason":{}}}}}}}"#,
                    action.name(),
                    match action {
                        Action::Create | Action::Index => "document_parsing_exception",
                        Action::Update | Action::Delete => "illegal_argument_exception",
                    },
                    quoted(why),
                ),
            };
        }
        out.push_str("]}");
        out
    }
}

/// What a line asks for.
fn action(line: &[u8]) -> Result<(Action, Meta<'_>), String> {
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8".to_owned())?;
    let mut found = None;
    let mut keys = 0;
    json::scan_object(text, &mut |key, value| {
        keys += 1;
        found = Some((key.get(), value));
    })
    .map_err(|bad| format!("expected an object like {{\"create\":{{}}}}, found {bad}"))?;
    let (Some((name, json::Value::Object(meta))), 1) = (found, keys) else {
        return Err("expected one of create, index, update, delete, with an object".to_owned());
    };
    let action = Action::ALL.into_iter().find(|action| action.name() == name);
    let action = action.ok_or_else(|| "expected one of create, index, update, delete".to_owned())?;
    let meta = serde_json::from_str(meta).map_err(|bad| bad.to_string())?;
    Ok((action, meta))
}

/// A text as JSON, as far as it is answered.
fn quoted(text: &str) -> String {
    let short = match text.char_indices().nth(NAME_MAX) {
        Some((end, _)) => &text[..end],
        None => text,
    };
    serde_json::Value::from(short).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Bulk {
        Bulk::read(body.as_bytes(), None).unwrap()
    }

    fn answer(bulk: &Bulk) -> serde_json::Value {
        serde_json::from_str(&bulk.answer(0x2a0, 3)).unwrap()
    }

    #[test]
    fn documents_are_lines_as_they_came() {
        let body = concat!(
            "{\"create\":{\"_index\":\"logs\",\"_id\":\"a\"}}\n{\"status\": 200, \"x\":\"\\u00e9\"}\n",
            // rsyslog ends its template with a newline, and the delimiter is one more.
            "\n \n",
            "{ \"index\" : { \"_type\":\"_doc\", \"pipeline\":null, \"_id\":7 } }\n{}\r\n",
            "{\"create\":{}}\n1.2.3.4 - - [17/May/2015:10:05:00 +0000] \"GET / HTTP/1.1\" 200 5\n",
        );
        let bulk = Bulk::read(body.as_bytes(), Some("web")).unwrap();
        let lines = String::from_utf8(bulk.lines.clone()).unwrap();
        assert_eq!(lines.lines().count(), 3);
        assert!(lines.starts_with("{\"status\": 200, \"x\":\"\\u00e9\"}\n{}\r\n1.2.3.4"), "{lines}");
        let said = answer(&bulk);
        assert_eq!((&said["errors"], &said["took"]), (&false.into(), &3.into()));
        let items = said["items"].as_array().unwrap();
        assert_eq!(items[0]["create"]["_id"], "a");
        assert_eq!((&items[0]["create"]["_index"], &items[0]["create"]["status"]), (&"logs".into(), &201.into()));
        assert_eq!((&items[1]["index"]["_id"], &items[1]["index"]["_index"]), (&"7".into(), &"web".into()));
        assert_eq!(items[2]["create"]["_id"], "2a0-2", "an id that no other record has");
        assert!(
            bulk.answer(0, 3).starts_with("{\"took\":3,\"errors\":false,\"items\":["),
            "Fluent Bit looks for this text"
        );
    }

    /// Each refused item is answered as one, and leaves one line, which nobody can read as an event.
    #[test]
    fn what_is_refused_is_said_item_by_item_and_kept() {
        let bulk = read(concat!(
            "{\"create\":{\"_id\":\"1\"}}\n{\"broken\":\n",
            "{\"create\":{\"_id\":\"2\"}}\nnot a line\n",
            "{\"update\":{\"_id\":\"3\"}}\n{\"doc\":{\"status\":500}}\n",
            "{\"delete\":{\"_id\":\"4\"}}\n",
            "{\"create\":{\"_id\":\"5\"}}\n{\"ok\":true}\n",
            "{\"create\":{\"_id\":\"6\"}}\n \n",
        ));
        let said = answer(&bulk);
        assert_eq!((&said["errors"], bulk.refused()), (&true.into(), 5));
        let statuses: Vec<u64> = said["items"]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item.as_object().unwrap().values().next().unwrap()["status"].as_u64().unwrap())
            .collect();
        assert_eq!(statuses, [400, 400, 400, 400, 201, 400]);
        assert_eq!(said["items"][0]["create"]["error"]["type"], "document_parsing_exception");
        assert_eq!(said["items"][3]["delete"]["error"]["reason"], "there are no documents here that could be deleted");
        let lines = String::from_utf8(bulk.lines).unwrap();
        let kept: Vec<&str> = lines.lines().collect();
        assert_eq!(kept[..3], ["{\"broken\":", "not a line", "{\"doc\":{\"status\":500}}"]);
        assert_eq!(kept[3..], ["{\"delete\":{\"_id\":\"4\"}}", "{\"ok\":true}", "{\"create\":{\"_id\":\"6\"}}"]);
    }

    #[test]
    fn one_document_is_one_line() {
        let bulk = Bulk::document(b"{\n \"a\": \"x\"\r\n}\n", Some("logs"), None).unwrap();
        assert_eq!(bulk.lines, b"{  \"a\": \"x\"  }\n");
        let said: serde_json::Value = serde_json::from_str(&bulk.answer_document(16)).unwrap();
        assert_eq!(
            (&said["_index"], &said["_id"], &said["result"]),
            (&"logs".into(), &"10-0".into(), &"created".into())
        );
        assert!(Bulk::document(b"{\"a\":", None, None).is_err());
    }

    #[test]
    fn a_body_without_its_actions_is_refused_whole() {
        for (body, words) in [
            ("", "required"),
            ("\n\n", "required"),
            ("{\"status\":200}\n", "line [1]: expected one of create"),
            ("{\"create\":{}}\n{}\n{\"upsert\":{}}\n{}\n", "line [3]: expected one of create"),
            ("{\"create\":{},\"index\":{}}\n{}\n", "line [1]"),
            ("{\"create\":{}}", "no document follows"),
            ("{\"create\":{}}\n", "no document follows"),
            ("{\"create\":{\"_index\":5}}\n{}\n", "invalid type"),
            ("text\n", "not an object"),
        ] {
            let refused = Bulk::read(body.as_bytes(), None).unwrap_err().to_string();
            assert!(refused.contains(words), "{body}: {refused}");
        }
        let many = "{\"create\":{}}\n{}\n".repeat(ITEMS_MAX);
        assert_eq!(read(&many).items.len(), ITEMS_MAX);
        let more = many + "{\"create\":{}}\n{}\n";
        assert_eq!(Bulk::read(more.as_bytes(), None), Err(Unreadable::TooMany(ITEMS_MAX)));
    }
}
