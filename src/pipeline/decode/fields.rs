//! All fields of a line, as queries see them: the reading of search, which keeps every field and not just those of a plan.
//!
//! It says of each path what the decoder says of those that it wants ([`crate::pipeline::decode`]): a path may be one key or be cut at its
//! dots, of several fields with one path the last that is scanned counts, an object is a value too (its text), and a list holds its
//! scalars.

use std::borrow::Cow;

use hashbrown::HashMap;

use crate::event::RejectReason;
use crate::pipeline::decode::access_fields::{AccessField, access_field};
use crate::pipeline::decode::crash::is_crash;
use crate::pipeline::decode::{ACCESS_DURATION, LINE_MAX, STREAM_PATH, without_mark};
use crate::pipeline::json::{self, Malformed};
use crate::pipeline::shape::table::Table;
use crate::pipeline::{access, number, shape};
use crate::query::{self, Value};

/// Names of the parts of an access-log line.
const ACCESS_PATHS: [&str; 13] = [
    "status",
    "bytes",
    "time",
    "client",
    "user",
    "method",
    "path",
    "protocol",
    "referer",
    "agent",
    "request_time",
    ACCESS_DURATION,
    "host",
];

/// Paths that are remembered; past them, all are forgotten and found again.
const PATHS_MAX: usize = 65_536;

/// A field's value.
#[derive(Clone, PartialEq, Debug)]
pub enum FieldValue<'a> {
    /// Text, a number, true or false, or a list of these.
    Value(Value<'a>),
    /// An object, as it is written.
    Object(Cow<'a, str>),
}

impl<'a> FieldValue<'a> {
    fn into_owned(self) -> FieldValue<'static> {
        match self {
            FieldValue::Value(value) => FieldValue::Value(value.into_owned()),
            FieldValue::Object(text) => FieldValue::Object(Cow::Owned(text.into_owned())),
        }
    }

    /// The value as conditions see it: an object is its text.
    pub fn as_value(&self) -> Value<'a> {
        match self {
            FieldValue::Value(value) => value.clone(),
            FieldValue::Object(text) => Value::Str(text.clone()),
        }
    }
}

/// Number of a path, of one reader.
pub type PathId = u32;

/// Reads lines, and remembers the paths that it met.
#[derive(Debug, Default)]
pub struct FieldReader {
    /// Paths by their number.
    paths: Vec<String>,
    ids: HashMap<String, PathId, foldhash::fast::FixedState>,
    /// Numbers of paths by that of the object they stand in (one more than its number; 0: the line) and their key.
    keys: HashMap<(u32, String), PathId, foldhash::fast::FixedState>,
    /// Line in which each path was met last, and its place among the fields of that line.
    met: Vec<(u64, u32)>,
    lines: u64,
    generation: u64,
    /// Headers of tables.
    tables: Vec<Table>,
}

impl FieldReader {
    /// A reader of lines that may be of these tables.
    pub fn of_tables(tables: &[Table]) -> FieldReader {
        FieldReader { tables: tables.to_vec(), ..FieldReader::default() }
    }

    /// The path of a number.
    pub fn path(&self, id: PathId) -> &str {
        self.paths.get(id as usize).map_or("", String::as_str)
    }

    /// Paths that were met, since the last change of numbers.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(String::as_str)
    }

    /// Changes when numbers are given anew.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The fields of a line.
    ///
    /// # Errors
    /// Why the line has none. Its text is then all there is.
    pub fn read<'a>(&mut self, line: &'a str) -> Result<Vec<(PathId, FieldValue<'a>)>, RejectReason> {
        if line.len() > LINE_MAX {
            return Err(RejectReason::TooLong);
        }
        if self.paths.len() > PATHS_MAX {
            let (lines, generation) = (self.lines, self.generation + 1);
            *self = FieldReader { lines, generation, ..FieldReader::of_tables(&self.tables) };
        }
        self.lines += 1;
        let line = without_mark(line);
        let mut found = Found { list: Vec::with_capacity(24), is_record: false };
        let is_object = line.trim_ascii_start().starts_with('{');
        let of_table = if is_object { None } else { shape::table::by_table(line, &self.tables) };
        let access = if is_object || of_table.is_some() { None } else { access::parse_access(line) };
        let made = match (is_object, &access) {
            (true, _) => match shape::of_object(line) {
                None => match self.object(line, 0, &mut found) {
                    Ok(()) if found.is_record => shape::of_record(line),
                    Ok(()) => None,
                    Err(_) => Some(shape::of_joined(line).ok_or(RejectReason::Malformed)?),
                },
                made => made,
            },
            (false, None) => of_table.or_else(|| shape::of_text(line)),
            (false, Some(_)) => None,
        };
        if let Some(made) = made {
            // Of what was found in the wrapping nothing is known any more.
            self.lines += 1;
            let mut found = Found { list: Vec::with_capacity(24), is_record: false };
            self.object(&made, 0, &mut found).map_err(|_| RejectReason::Malformed)?;
            // The object goes; what stood in it stays.
            let owned = |(id, value): (PathId, Option<FieldValue<'_>>)| Some((id, value?.into_owned()));
            return Ok(found.list.into_iter().filter_map(owned).collect());
        }
        if !is_object {
            let Some(parsed) = access else {
                return Err(if is_crash(line) { RejectReason::CrashText } else { RejectReason::UnknownFormat });
            };
            for path in ACCESS_PATHS {
                let value = match access_field(&parsed, path) {
                    AccessField::Text(part) => Value::Str(Cow::Borrowed(part)),
                    AccessField::Number(number) => match number::parse_f64(&number.to_string()) {
                        Some(number) => Value::Number(number),
                        None => Value::Str(Cow::Owned(number.to_string())),
                    },
                    AccessField::Absent => continue,
                };
                let id = self.id(path);
                self.put(id, Some(FieldValue::Value(value)), &mut found);
            }
            let id = self.id(query::MESSAGE);
            self.put(id, Some(FieldValue::Value(Value::Str(Cow::Borrowed(line)))), &mut found);
        }
        Ok(found.list.into_iter().filter_map(|(id, value)| Some((id, value?))).collect())
    }

    /// Fields of an object: its own first, then those of the objects in it, as the decoder scans.
    fn object<'a>(&mut self, text: &'a str, prefix: PathId, found: &mut Found<'a>) -> Result<(), Malformed> {
        let mut nested: Vec<(PathId, &'a str)> = Vec::new();
        json::scan_object(text, &mut |key: json::Str<'a>, value: json::Value<'a>| {
            let key = key.get();
            found.is_record |= prefix == 0 && shape::KEYS.contains(&key.as_ref());
            let id = self.id_below(prefix, &key);
            let value = match value {
                json::Value::Null => None,
                json::Value::Bool(b) => Some(FieldValue::Value(Value::Bool(b))),
                json::Value::Number(raw) => Some(FieldValue::Value(match number::parse_f64(raw) {
                    Some(number) => Value::Number(number),
                    None => Value::Str(Cow::Borrowed(raw)),
                })),
                json::Value::String(text) => Some(FieldValue::Value(Value::Str(text.get()))),
                json::Value::Array(raw) => Some(FieldValue::Value(list(raw))),
                json::Value::Object(raw) => {
                    // No path leads through an empty key.
                    if !key.is_empty() {
                        nested.push((id, raw));
                    }
                    Some(FieldValue::Object(Cow::Borrowed(raw)))
                }
            };
            if prefix == 0 || !key.is_empty() {
                self.put(id, value, found);
            }
        })?;
        for (id, raw) in nested {
            self.object(raw, id + 1, found)?;
        }
        Ok(())
    }

    /// Number of the path of a key; `prefix`: one more than the number of the object's, or 0.
    fn id_below(&mut self, prefix: u32, key: &str) -> PathId {
        if let Some(id) = self.keys.get(&Key(prefix, key)) {
            return *id;
        }
        let path = match prefix {
            0 => key.to_owned(),
            prefix => format!("{}.{key}", self.path(prefix - 1)),
        };
        let id = self.id(&path);
        self.keys.insert((prefix, key.to_owned()), id);
        id
    }

    fn id(&mut self, path: &str) -> PathId {
        if let Some(id) = self.ids.get(path) {
            return *id;
        }
        let id = self.paths.len() as PathId;
        self.paths.push(path.to_owned());
        self.met.push((0, 0));
        self.ids.insert(path.to_owned(), id);
        id
    }

    fn put<'a>(&mut self, id: PathId, value: Option<FieldValue<'a>>, found: &mut Found<'a>) {
        let Some(met) = self.met.get_mut(id as usize) else { return };
        if met.0 == self.lines
            && let Some(place) = found.list.get_mut(met.1 as usize)
        {
            place.1 = value;
            return;
        }
        *met = (self.lines, found.list.len() as u32);
        found.list.push((id, value));
    }

    /// A line as queries see it. `stream`: what [`STREAM_PATH`] names.
    pub fn record<'r, 'a>(&'r self, fields: &'r [(PathId, FieldValue<'a>)], stream: &'r str) -> FieldRecord<'r, 'a> {
        FieldRecord { reader: self, fields, stream }
    }
}

/// A key of [`FieldReader::keys`] that is looked up without a text of its own.
#[derive(Hash)]
struct Key<'k>(u32, &'k str);

impl hashbrown::Equivalent<(u32, String)> for Key<'_> {
    fn equivalent(&self, key: &(u32, String)) -> bool {
        self.0 == key.0 && self.1 == key.1
    }
}

struct Found<'a> {
    list: Vec<(PathId, Option<FieldValue<'a>>)>,
    /// The line has a key by which a record that holds a line is told.
    is_record: bool,
}

/// Fields of a line as queries see them.
#[derive(Clone, Copy, Debug)]
pub struct FieldRecord<'r, 'a> {
    reader: &'r FieldReader,
    fields: &'r [(PathId, FieldValue<'a>)],
    stream: &'r str,
}

impl query::Record for FieldRecord<'_, '_> {
    fn field(&self, path: &str) -> Option<Value<'_>> {
        if path == STREAM_PATH {
            return Some(Value::Str(Cow::Borrowed(self.stream)));
        }
        let id = self.reader.ids.get(path)?;
        self.fields.iter().find(|(of, _)| of == id).map(|(_, value)| value.as_value())
    }
}

/// A list of scalars; what is none of these in it is left out.
fn list(raw: &str) -> Value<'_> {
    let Ok(serde_json::Value::Array(items)) = serde_json::from_str(raw) else {
        return Value::Str(Cow::Borrowed(raw));
    };
    let scalar = |item: serde_json::Value| match item {
        serde_json::Value::String(s) => Some(Value::Str(Cow::Owned(s))),
        serde_json::Value::Bool(b) => Some(Value::Bool(b)),
        serde_json::Value::Number(n) => n.as_f64().map(Value::Number),
        serde_json::Value::Null | serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
    };
    Value::List(items.into_iter().filter_map(scalar).collect())
}
