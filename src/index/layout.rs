//! What a line becomes in an index: which fields have a column of their own, and where all others are found.
//!
//! The schema decides what indexing costs, so columns are few and chosen from the first lines:
//!
//! | value | kept as | found by |
//! | --- | --- | --- |
//! | event time, stream, position, and what decoding says (`_arm`, `_kind`, ...) | columns | scan of a column |
//! | a field with few different texts ([`ColumnKind::Text`]) | column | its different texts, then a scan of the column |
//! | a field of numbers ([`ColumnKind::Number`]), of dates ([`ColumnKind::Date`]) | column | range of the column |
//! | a field of ids ([`ColumnKind::Id`]) | 32 bits of its hash, a column | scan; the line is then read and compared |
//! | the message | tokens with positions | tokens; the line, where a condition asks for more |
//! | any other scalar | term `path`, [`SEPARATOR`], value, of one field | dictionary of terms, where the condition is tried on each value of the path |
//! | objects, long texts, free text, more than [`TERMS_MAX`] values | a mark that the line has it | the line is read |
//!
//! So no field name costs a column, and nothing is lost: where the index cannot say whether a line matches, the line itself is read.

use hashbrown::HashMap;
use tantivy::schema::{BytesOptions, Field, IndexRecordOption, NumericOptions, Schema, TextFieldIndexing, TextOptions};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};

use crate::pipeline::decode::fields::{FieldReader, FieldValue};
use crate::pipeline::plan::Plan;
use crate::pipeline::roles::Role;
use crate::pipeline::shape::table::{TABLES_MAX, Table};
use crate::query::{self, Value};

/// Between the path and the value of a term. No path of a term holds a character up to this one.
pub(super) const SEPARATOR: char = '\u{1}';
/// Stands behind a path where only the line has the value.
pub(super) const LINE_ONLY: char = '\u{2}';
/// Stands behind the path of a message whose tokens are found.
pub(super) const MESSAGE_MARK: char = '\u{3}';
/// Term of lines with values of which the index knows nothing.
pub(super) const BEYOND: &str = "\u{0}";
/// Paths with characters up to this one are known by the line alone.
const CONTROL: char = '\u{8}';
/// Longest value, in bytes, that is a term.
pub(super) const VALUE_MAX: usize = 255;
/// Longest path, in bytes, of a term, and of a column.
pub(super) const PATH_MAX: usize = 255;
const COLUMN_PATH_MAX: usize = 100;
/// Terms of one line.
pub(super) const TERMS_MAX: usize = 256;
/// Bytes of a message whose tokens are found.
pub(super) const MESSAGE_MAX: usize = 64 << 10;
/// Columns of fields, besides those that every index has.
pub(super) const COLUMNS_MAX: usize = 32;
/// Fields whose text is found by its tokens.
pub(super) const MESSAGES_MAX: usize = 2;
/// First letters of names in the schema: of messages, and of headers of tables.
const MESSAGE: &str = "m";
const TABLE: &str = "h";
/// Name of the tokenizer.
const TOKENIZER: &str = "log";

/// How the values of a column are kept.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum ColumnKind {
    /// Few different texts.
    Text,
    /// Numbers.
    Number,
    /// Dates, in microseconds; the text itself is in the line.
    Date,
    /// Ids: mostly different in every line.
    Id,
    /// Text that the line alone has.
    Line,
}

impl ColumnKind {
    const ALL: [ColumnKind; 5] =
        [ColumnKind::Text, ColumnKind::Number, ColumnKind::Date, ColumnKind::Id, ColumnKind::Line];

    /// First letter of the field's name in the schema.
    fn letter(self) -> char {
        match self {
            ColumnKind::Text => 't',
            ColumnKind::Number => 'n',
            ColumnKind::Date => 'd',
            ColumnKind::Id => 'i',
            ColumnKind::Line => 'l',
        }
    }

    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            ColumnKind::Text => "text",
            ColumnKind::Number => "number",
            ColumnKind::Date => "date",
            ColumnKind::Id => "id",
            ColumnKind::Line => "line",
        }
    }
}

/// Fields with a column, and those whose text is found by tokens.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Columns {
    /// Path and kind.
    pub list: Vec<(String, ColumnKind)>,
    /// Paths of messages; at most two.
    pub messages: Vec<String>,
    /// Headers of tables by which lines are read.
    pub tables: Vec<Table>,
}

/// What was seen of a path in the first lines.
#[derive(Default)]
struct Sight {
    values: u64,
    numbers: u64,
    dates: u64,
    texts: u64,
    with_space: u64,
    longest: usize,
    distinct: hashbrown::HashSet<u64, foldhash::fast::FixedState>,
}

/// Lines that are looked at.
const LOOKED_AT: usize = 4_000;

impl Columns {
    /// Chooses from first lines.
    pub fn find<'l>(plan: &Plan, lines: impl Iterator<Item = &'l str>) -> Columns {
        let mut reader = FieldReader::of_tables(&plan.tables);
        let mut sights: Vec<(String, Sight)> = Vec::new();
        let mut places: HashMap<String, usize, foldhash::fast::FixedState> = HashMap::default();
        let mut all = 0u64;
        for line in lines.filter(|line| !line.trim().is_empty()).take(LOOKED_AT) {
            let Ok(fields) = reader.read(line) else { continue };
            all += 1;
            for (id, value) in fields {
                let path = reader.path(id);
                let at = match places.get(path) {
                    Some(at) => *at,
                    None => {
                        places.insert(path.to_owned(), sights.len());
                        sights.push((path.to_owned(), Sight::default()));
                        sights.len() - 1
                    }
                };
                let Some((_, sight)) = sights.get_mut(at) else { continue };
                sight.values += 1;
                match value {
                    FieldValue::Value(Value::Number(_)) => sight.numbers += 1,
                    FieldValue::Value(Value::Str(text)) => {
                        sight.texts += 1;
                        sight.dates += u64::from(query::date_of(&text).is_some());
                        sight.with_space += u64::from(text.contains(' '));
                        sight.longest = sight.longest.max(text.len());
                        sight.distinct.insert(crate::event::identity_hash(text.as_bytes()));
                    }
                    FieldValue::Value(Value::Bool(_) | Value::List(_)) | FieldValue::Object(_) => {}
                }
            }
        }
        let mut messages: Vec<String> = plan.fields(Role::Message).iter().map(|field| field.path.clone()).collect();
        messages.retain(|path| places.contains_key(path));
        messages.truncate(MESSAGES_MAX - 1);
        if !messages.iter().any(|path| path == query::MESSAGE) {
            messages.push(query::MESSAGE.to_owned());
        }
        let ids = [Role::User, Role::Session, Role::Trace, Role::Request, Role::Parent];
        let is_id = |path: &str| ids.iter().any(|role| plan.fields(*role).iter().any(|field| field.path == path));
        let mut list: Vec<(u64, String, ColumnKind)> = sights
            .into_iter()
            .filter(|(path, sight)| {
                !messages.contains(path) && is_plain(path) && path.len() <= COLUMN_PATH_MAX && sight.values * 50 >= all
            })
            .filter_map(|(path, sight)| Some((sight.values, path.clone(), sight.kind(is_id(&path))?)))
            .collect();
        list.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        list.truncate(COLUMNS_MAX);
        let list = list.into_iter().map(|(_, path, kind)| (path, kind)).collect();
        Columns { list, messages, tables: plan.tables.clone() }
    }
}

impl Sight {
    /// How its values are best kept; `None`: as terms.
    fn kind(&self, is_id: bool) -> Option<ColumnKind> {
        let mostly = |count: u64| count * 10 >= self.values * 9;
        if mostly(self.numbers) {
            return Some(ColumnKind::Number);
        }
        if !mostly(self.texts) {
            return None;
        }
        if self.dates == self.texts {
            return Some(ColumnKind::Date);
        }
        let distinct = self.distinct.len() as u64;
        let many = self.texts >= 100 && distinct * 5 > self.texts;
        if is_id || (many && self.longest <= 64 && self.with_space == 0) {
            return Some(ColumnKind::Id);
        }
        if many {
            return Some(ColumnKind::Line);
        }
        (self.longest <= VALUE_MAX).then_some(ColumnKind::Text)
    }
}

/// No character of a path has a meaning in terms.
pub(super) fn is_plain(path: &str) -> bool {
    !path.is_empty() && path.len() <= PATH_MAX && !path.chars().any(|c| c <= CONTROL)
}

/// A column of the schema.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub path: String,
    pub kind: ColumnKind,
    pub field: Field,
    /// Name of the field in the schema.
    pub name: String,
}

/// A field whose text is found by tokens.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub path: String,
    pub field: Field,
}

/// Names of the columns that every index has.
pub(super) mod names {
    pub(crate) const TIME: &str = "time";
    pub(crate) const STREAM: &str = "stream";
    pub(crate) const POSITION: &str = "position";
    pub(crate) const SERVICE: &str = "service";
    pub(crate) const ARM: &str = "arm";
    pub(crate) const ROUTE: &str = "route";
    pub(crate) const KIND: &str = "kind";
    pub(crate) const LEVEL: &str = "level";
    pub(crate) const REJECT: &str = "reject";
    pub(crate) const FAILED: &str = "failed";
    pub(crate) const TEMPLATE: &str = "template";
    pub(crate) const UNIT: &str = "unit";
    pub(crate) const LATENCY: &str = "latency";
    pub(crate) const STATUS: &str = "status";
    pub(crate) const WEIGHT: &str = "weight";
    pub(crate) const TERMS: &str = "terms";
    pub(crate) const LINE: &str = "line";
    pub(crate) const IN_GROUP: &str = "ingroup";
}

/// The schema of an index, and what its fields are.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    pub schema: Schema,
    pub time: Field,
    pub stream: Field,
    pub position: Field,
    pub service: Field,
    pub arm: Field,
    pub route: Field,
    pub kind: Field,
    pub reject: Field,
    pub level: Field,
    pub failed: Field,
    pub template: Field,
    pub unit: Field,
    pub latency: Field,
    pub status: Field,
    pub weight: Field,
    pub terms: Field,
    /// The lines of a group ([`crate::index::lines`]), with the first document of it.
    pub line: Field,
    /// A line's number in its group.
    pub in_group: Field,
    pub messages: Vec<Message>,
    pub columns: Vec<Column>,
    /// Headers of tables by which lines are read.
    pub tables: Vec<Table>,
    by_path: HashMap<String, usize, foldhash::fast::FixedState>,
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<String> {
    let bytes = text.as_bytes().chunks(2).map(|two| {
        let two = std::str::from_utf8(two).ok()?;
        u8::from_str_radix(two, 16).ok()
    });
    String::from_utf8(bytes.collect::<Option<Vec<u8>>>()?).ok()
}

impl Layout {
    /// The schema of columns.
    pub(super) fn new(columns: &Columns) -> Option<Layout> {
        let mut builder = Schema::builder();
        let number = NumericOptions::default().set_fast();
        let fast_text = TextOptions::default().set_fast("raw");
        let raw = |option: IndexRecordOption, tokenizer: &str| {
            TextFieldIndexing::default().set_tokenizer(tokenizer).set_index_option(option).set_fieldnorms(false)
        };
        let term = raw(IndexRecordOption::Basic, "raw");
        builder.add_i64_field(names::TIME, number.clone());
        for name in [
            names::STREAM,
            names::SERVICE,
            names::ARM,
            names::ROUTE,
            names::KIND,
            names::REJECT,
            names::LEVEL,
            names::STATUS,
            names::TEMPLATE,
        ] {
            builder.add_text_field(name, fast_text.clone());
        }
        for name in [names::POSITION, names::FAILED, names::UNIT, names::LATENCY, names::WEIGHT, names::IN_GROUP] {
            builder.add_u64_field(name, number.clone());
        }
        builder.add_text_field(names::TERMS, TextOptions::default().set_indexing_options(term));
        builder.add_bytes_field(names::LINE, BytesOptions::default().set_stored());
        for path in columns.messages.iter().take(MESSAGES_MAX) {
            let tokens = raw(IndexRecordOption::WithFreqsAndPositions, TOKENIZER);
            builder.add_text_field(
                &format!("{MESSAGE}_{}", hex(path)),
                TextOptions::default().set_indexing_options(tokens),
            );
        }
        for table in columns.tables.iter().take(TABLES_MAX) {
            // It holds nothing, as below.
            let name = format!("{TABLE}_{}", hex(&table.to_json().to_string()));
            builder.add_u64_field(&name, NumericOptions::default());
        }
        for (path, kind) in columns.list.iter().take(COLUMNS_MAX) {
            let name = format!("{}_{}", kind.letter(), hex(path));
            match kind {
                ColumnKind::Text => builder.add_text_field(&name, fast_text.clone()),
                ColumnKind::Number => builder.add_f64_field(&name, number.clone()),
                ColumnKind::Date => builder.add_i64_field(&name, number.clone()),
                ColumnKind::Id => builder.add_u64_field(&name, number.clone()),
                // It holds nothing: the schema alone remembers that the line is to be read.
                ColumnKind::Line => builder.add_u64_field(&name, NumericOptions::default()),
            };
        }
        Layout::of(builder.build())
    }

    /// What the fields of a schema are; `None` where it is none of ours.
    pub(super) fn of(schema: Schema) -> Option<Layout> {
        let field = |name: &str| schema.get_field(name).ok();
        let (mut columns, mut messages, mut tables) = (Vec::new(), Vec::new(), Vec::new());
        for (field, entry) in schema.fields() {
            let Some((letter, path)) = entry.name().split_once('_') else { continue };
            let path = unhex(path)?;
            if letter == MESSAGE {
                messages.push(Message { path, field });
                continue;
            }
            if letter == TABLE {
                tables.push(serde_json::from_str(&path).ok().and_then(|value| Table::from_json(&value))?);
                continue;
            }
            let kind = ColumnKind::ALL.into_iter().find(|kind| letter.chars().eq([kind.letter()]))?;
            columns.push(Column { path, kind, field, name: entry.name().to_owned() });
        }
        let by_path = columns.iter().enumerate().map(|(at, column)| (column.path.clone(), at)).collect();
        Some(Layout {
            time: field(names::TIME)?,
            stream: field(names::STREAM)?,
            position: field(names::POSITION)?,
            service: field(names::SERVICE)?,
            arm: field(names::ARM)?,
            route: field(names::ROUTE)?,
            kind: field(names::KIND)?,
            reject: field(names::REJECT)?,
            level: field(names::LEVEL)?,
            failed: field(names::FAILED)?,
            template: field(names::TEMPLATE)?,
            unit: field(names::UNIT)?,
            latency: field(names::LATENCY)?,
            status: field(names::STATUS)?,
            weight: field(names::WEIGHT)?,
            terms: field(names::TERMS)?,
            line: field(names::LINE)?,
            in_group: field(names::IN_GROUP)?,
            messages,
            columns,
            tables,
            by_path,
            schema,
        })
    }

    /// The column of a path.
    pub(super) fn column(&self, path: &str) -> Option<&Column> {
        self.columns.get(*self.by_path.get(path)?)
    }

    /// The message of a path.
    pub(super) fn message(&self, path: &str) -> Option<&Message> {
        self.messages.iter().find(|message| message.path == path)
    }

    /// Makes the tokenizer known to an index.
    pub(super) fn register(index: &tantivy::Index) {
        index.tokenizers().register(TOKENIZER, TextAnalyzer::builder(LogTokenizer::default()).build());
    }
}

/// Bits of an id that a column keeps. Equal ids, and equal numbers however they are written, have equal ones.
pub(super) fn id_hash(text: &str) -> u64 {
    let hash = match query::number_of(text) {
        // Zero has two signs and is one number.
        Some(number) => crate::event::identity_hash(&(number + 0.0).to_bits().to_le_bytes()),
        None => crate::event::identity_hash(text.as_bytes()),
    };
    hash >> 32
}

/// Bits of the hash of a unit that are kept, for counts of distinct units: ten million of them lose about fifty.
pub(super) const UNIT_BITS: u32 = 40;

/// Tokens as queries have them ([`query::tokens`], [`query::folded`]).
#[derive(Clone, Default)]
struct LogTokenizer {
    token: Token,
}

/// Longest token; tantivy leaves longer ones out.
const TOKEN_MAX: usize = 60_000;

impl Tokenizer for LogTokenizer {
    type TokenStream<'a> = LogTokens<'a>;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> LogTokens<'a> {
        self.token.reset();
        LogTokens { token: &mut self.token, text, at: 0 }
    }
}

struct LogTokens<'a> {
    token: &'a mut Token,
    text: &'a str,
    at: usize,
}

impl TokenStream for LogTokens<'_> {
    fn advance(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        // Letters of ASCII are looked at one by one; anything else as queries do it.
        let rest = self.text.get(self.at..).unwrap_or("");
        let is_token = |c: char| c.is_alphanumeric() || c == '_';
        let Some(begins) = rest.find(is_token) else { return false };
        let from = self.at + begins;
        let mut until = from;
        while bytes.get(until).is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_') {
            until += 1;
        }
        let ascii = bytes.get(until).is_none_or(u8::is_ascii);
        if !ascii {
            let tail = self.text.get(from..).unwrap_or("");
            until = from + tail.find(|c| !is_token(c)).unwrap_or(tail.len());
        }
        let word = self.text.get(from..until).unwrap_or("");
        self.token.text.clear();
        if ascii {
            self.token.text.extend(word.bytes().map(|byte| char::from(byte.to_ascii_lowercase())));
        } else {
            self.token.text.push_str(&query::folded(word));
        }
        self.token.text.truncate(floor(&self.token.text, TOKEN_MAX));
        self.token.position = self.token.position.wrapping_add(1);
        (self.token.offset_from, self.token.offset_to) = (from, until);
        self.at = until;
        true
    }

    fn token(&self) -> &Token {
        self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        self.token
    }
}

/// The last boundary of a character at or before a byte.
pub(super) fn floor(text: &str, most: usize) -> usize {
    let mut at = most.min(text.len());
    while at > 0 && !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_the_index_are_those_of_queries() {
        let mut tokenizer = LogTokenizer::default();
        for text in [
            "",
            "--",
            "Card DECLINED for user_7: code=E42",
            "caf\u{e9} Stra\u{df}e \u{130}x a\u{e9}_B1 \u{3a3}\u{3a3} x\u{301}y",
            "a.b/c-d \u{1F600}e",
        ] {
            let mut stream = tokenizer.token_stream(text);
            let (mut found, mut positions) = (Vec::new(), Vec::new());
            while stream.advance() {
                found.push(stream.token().text.clone());
                positions.push(stream.token().position);
            }
            let expect: Vec<String> = query::tokens(text).map(query::folded).collect();
            assert_eq!(found, expect, "{text}");
            assert!(positions.iter().copied().eq(0..positions.len()), "{positions:?}");
        }
    }

    #[test]
    fn a_schema_says_again_what_its_columns_are() {
        let columns = Columns {
            list: vec![("http.status".to_owned(), ColumnKind::Number), ("caf\u{e9} x".to_owned(), ColumnKind::Text)],
            messages: vec!["msg".to_owned(), "message".to_owned()],
            tables: vec![Table { separator: ';', columns: vec!["Time".to_owned(), "caf\u{e9}".to_owned()], time: 0 }],
        };
        let layout = Layout::new(&columns).unwrap();
        let read: Vec<(&str, ColumnKind)> =
            layout.columns.iter().map(|column| (column.path.as_str(), column.kind)).collect();
        assert_eq!(read, [("http.status", ColumnKind::Number), ("caf\u{e9} x", ColumnKind::Text)]);
        assert_eq!(layout.tables, columns.tables);
        assert!(layout.message("msg").is_some() && layout.message("other").is_none());
        assert!(layout.column("http.status").is_some() && layout.column("status").is_none());
    }
}
