//! What a record of a topic holds, as lines. Everything here is a pure function of the record, so that a topic that is read again means
//! the same. Key and headers of a record stand in each JSON line of it, as `kafka.key` and `kafka.headers.NAME`.

use crate::pipeline::shape::syslog::parse;
use crate::source::dialect::otlp::Notation;
use crate::source::dialect::record::{Lines, put_text};
use crate::source::dialect::syslog;

/// Headers of a record that its lines have.
pub const HEADERS_MAX: usize = 16;
/// Bytes of a key, and of a header's value, that lines have; they must be UTF-8.
pub const VALUE_MAX: usize = 256;
/// Bytes of the lines of a record.
const LINES_MAX: usize = 64 << 20;

/// What records of a topic hold.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub enum Format {
    /// Each record tells by itself.
    #[default]
    Auto,
    /// JSON objects or access-log lines, one a line.
    Json,
    /// Batches of OTLP in protobuf.
    OtlpProto,
    /// Batches of OTLP in JSON.
    OtlpJson,
    /// Lines of syslog.
    Syslog,
    /// One text, in quotes or without: the body of a log record alone.
    Raw,
}

impl Format {
    /// All of them.
    pub const ALL: [Format; 6] =
        [Format::Auto, Format::Json, Format::OtlpProto, Format::OtlpJson, Format::Syslog, Format::Raw];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Format::Auto => "auto",
            Format::Json => "json",
            Format::OtlpProto => "otlp_proto",
            Format::OtlpJson => "otlp_json",
            Format::Syslog => "syslog",
            Format::Raw => "raw",
        }
    }

    /// The format of a name.
    pub fn from_name(name: &str) -> Option<Format> {
        Format::ALL.into_iter().find(|format| format.name() == name)
    }
}

/// What came with a record.
pub struct Envelope<'a, H> {
    /// Its key.
    pub key: Option<&'a [u8]>,
    /// Its headers.
    pub headers: H,
    /// Its time, in milliseconds; 0 where it has none.
    pub millis: i64,
}

/// Makes lines of records.
#[derive(Debug, Default)]
pub struct Messages {
    made: Vec<u8>,
    extra: Vec<u8>,
    /// The lines of a batch that was taken apart to see whether it is one.
    batch: Option<Vec<u8>>,
}

impl Messages {
    /// The lines of a record, and what it was read as. Where it cannot be read, the line is one that becomes a reject and begins with
    /// why.
    pub fn lines<'a, 'e, H: Iterator<Item = (&'e str, &'e [u8])>>(
        &'a mut self,
        format: Format,
        payload: &'a [u8],
        envelope: Envelope<'e, H>,
    ) -> (&'a [u8], Format) {
        self.made.clear();
        self.extra.clear();
        let millis = envelope.millis;
        self.gather(envelope);
        let format = if format == Format::Auto { self.sniff(payload) } else { format };
        match format {
            Format::Auto | Format::Json => {
                if self.extra.is_empty() {
                    return (payload, Format::Json);
                }
                self.made.extend_from_slice(payload);
            }
            Format::OtlpProto => self.otlp(Notation::Proto, payload),
            Format::OtlpJson => self.otlp(Notation::Json, payload),
            Format::Syslog => self.syslog(payload, millis),
            Format::Raw => self.raw(payload),
        }
        self.add_extra();
        (&self.made, format)
    }

    /// What a record holds that nobody has told of.
    fn sniff(&mut self, payload: &[u8]) -> Format {
        let text = payload.trim_ascii_start();
        match text.first() {
            Some(b'{') => {
                let key = text[1..].trim_ascii_start().strip_prefix(b"\"resourceLogs\"");
                if key.is_some_and(|rest| rest.trim_ascii_start().starts_with(b":")) {
                    Format::OtlpJson
                } else {
                    Format::Json
                }
            }
            Some(b'"') if serde_json::from_slice::<&serde_json::value::RawValue>(text).is_ok() => Format::Raw,
            // The first field of a batch has this byte, which is a line end in a text.
            _ if payload.first() == Some(&0x0a) && self.is_batch(payload) => Format::OtlpProto,
            Some(_) => {
                let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
                match std::str::from_utf8(line).ok().and_then(parse) {
                    Some(_) => Format::Syslog,
                    None => Format::Json,
                }
            }
            None => Format::Json,
        }
    }

    /// The bytes are a batch of OTLP, and not something that begins alike.
    fn is_batch(&mut self, payload: &[u8]) -> bool {
        let made = Notation::Proto.lines(payload, LINES_MAX).ok().filter(|made| made.records > 0);
        self.batch = made.map(|made| made.lines);
        self.batch.is_some()
    }

    fn otlp(&mut self, notation: Notation, payload: &[u8]) {
        if let Some(lines) = self.batch.take() {
            self.made = lines;
            return;
        }
        match notation.lines(payload, LINES_MAX) {
            Ok(made) if made.records > 0 => self.made = made.lines,
            Ok(_) => self.refuse("a batch without a record", payload),
            Err(error) => self.refuse(&error.to_string(), payload),
        }
    }

    /// One line that becomes a reject: it begins like an object and is none.
    fn refuse(&mut self, why: &str, payload: &[u8]) {
        self.made.clear();
        let start = payload.get(..VALUE_MAX).unwrap_or(payload);
        let text = format!("{{ {why}: {}", String::from_utf8_lossy(start));
        self.made.extend(text.bytes().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { byte }));
    }

    fn syslog(&mut self, payload: &[u8], millis: i64) {
        let mut lines = Lines::default();
        for line in payload.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()) {
            match std::str::from_utf8(line).ok().and_then(parse) {
                Some(read) => syslog::put(&read, &mut lines, millis),
                None => {
                    lines.out.extend_from_slice(line);
                    lines.out.push(b'\n');
                }
            }
        }
        self.made = lines.out;
    }

    fn raw(&mut self, payload: &[u8]) {
        let text = serde_json::from_slice::<String>(payload).map(String::into_bytes);
        let text = text.as_deref().unwrap_or(payload);
        // It is one line, whatever is in it.
        let text = text.trim_ascii();
        self.made.extend(text.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }));
    }

    /// Fields of key and headers.
    fn gather<'e, H: Iterator<Item = (&'e str, &'e [u8])>>(&mut self, envelope: Envelope<'e, H>) {
        let headers = envelope.headers.take(HEADERS_MAX).map(|(name, value)| (Some(name), value));
        for (name, value) in envelope.key.map(|key| (None, key)).into_iter().chain(headers) {
            let Some(value) = Some(value).filter(|value| value.len() <= VALUE_MAX) else { continue };
            let Ok(value) = std::str::from_utf8(value) else { continue };
            if !self.extra.is_empty() {
                self.extra.push(b',');
            }
            match name {
                None => self.extra.extend_from_slice(b"\"kafka.key\""),
                Some(name) => put_text(&mut self.extra, &format!("kafka.headers.{name}")),
            }
            self.extra.push(b':');
            put_text(&mut self.extra, value);
        }
    }

    /// Puts the fields of key and headers into each line that is an object.
    fn add_extra(&mut self) {
        if self.extra.is_empty() {
            return;
        }
        let made = std::mem::take(&mut self.made);
        for line in made.split_inclusive(|byte| *byte == b'\n') {
            let text = line.trim_ascii();
            match text.strip_prefix(b"{").and_then(|inner| inner.strip_suffix(b"}")) {
                Some(inner) => {
                    self.made.push(b'{');
                    self.made.extend_from_slice(inner);
                    if !inner.trim_ascii().is_empty() {
                        self.made.push(b',');
                    }
                    self.made.extend_from_slice(&self.extra);
                    self.made.extend_from_slice(b"}\n");
                }
                None => self.made.extend_from_slice(line),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(format: Format, payload: &[u8], headers: &[(&str, &[u8])], key: Option<&[u8]>) -> (String, Format) {
        let mut messages = Messages::default();
        let envelope = Envelope { key, headers: headers.iter().copied(), millis: 0 };
        let (lines, format) = messages.lines(format, payload, envelope);
        (String::from_utf8_lossy(lines).into_owned(), format)
    }

    /// `ExportLogsServiceRequest` with one record whose body is `hi`, at 1,780,308,000 s.
    fn batch() -> Vec<u8> {
        let message = |tag: u8, inner: &[u8]| [&[tag, inner.len() as u8], inner].concat();
        let record =
            [&[0x09][..], &1_780_308_000_000_000_000u64.to_le_bytes(), &message(0x2a, &message(0x0a, b"hi"))].concat();
        message(0x0a, &message(0x12, &message(0x12, &record)))
    }

    #[test]
    fn a_record_tells_by_itself_what_it_holds() {
        let line = r#"{"status":200}"#;
        for (payload, lines, format) in [
            (line.as_bytes(), line, Format::Json),
            (b"1.2.3.4 - - [x]", "1.2.3.4 - - [x]", Format::Json),
            (b"\n{\"a\":1}", "\n{\"a\":1}", Format::Json),
            (b"", "", Format::Json),
            (br#""{\"a\":1}""#, r#"{"a":1}"#, Format::Raw),
            (b"\"one\\ntwo\"\n", "one two", Format::Raw),
            (b"<14>1 - - - - - - {\"a\":1}", "{\"a\":1,\"level\":\"info\"}\n", Format::Syslog),
        ] {
            assert_eq!(read(Format::Auto, payload, &[], None), (lines.to_owned(), format));
        }
        let (lines, format) = read(Format::Auto, &batch(), &[], None);
        assert_eq!(
            (lines.as_str(), format),
            ("{\"@timestamp\":1780308000000000000,\"message\":\"hi\"}\n", Format::OtlpProto)
        );
        let json = br#"{ "resourceLogs" : [{"scopeLogs":[{"logRecords":[{"timeUnixNano":"1780308000000000000","body":{"stringValue":"hi"}}]}]}]}"#;
        let (lines, format) = read(Format::Auto, json, &[], None);
        assert_eq!(
            (lines.as_str(), format),
            ("{\"@timestamp\":1780308000000000000,\"message\":\"hi\"}\n", Format::OtlpJson)
        );
    }

    #[test]
    fn what_is_not_what_it_was_said_to_be_is_one_line_that_becomes_a_reject() {
        for (format, payload) in [
            (Format::OtlpProto, &b"{\"a\":1}\n{}"[..]),
            (Format::OtlpJson, b"[1]"),
            (Format::OtlpProto, b""),
            (Format::OtlpJson, b"{}"),
        ] {
            let (line, _) = read(format, payload, &[], None);
            assert!(line.starts_with("{ ") && !line.contains('\n'), "{line}");
            assert!(crate::source::dialect::form(line.as_bytes()).is_err(), "{line}");
        }
    }

    #[test]
    fn key_and_headers_stand_in_each_line() {
        let headers: &[(&str, &[u8])] = &[("version", b"2.0"), ("bin", b"\xff"), ("long", &[b'x'; 257])];
        let (lines, _) = read(Format::Auto, b"{\"a\":1}\n{ }\ntext\n", headers, Some(b"u\"1"));
        let extra = r#""kafka.key":"u\"1","kafka.headers.version":"2.0""#;
        assert_eq!(lines, format!("{{\"a\":1,{extra}}}\n{{ {extra}}}\ntext\n"));
        let (lines, _) = read(Format::Auto, &batch(), &[("a", b"b")], None);
        assert!(lines.ends_with("\"message\":\"hi\",\"kafka.headers.a\":\"b\"}\n"), "{lines}");
        for format in Format::ALL {
            assert_eq!(Format::from_name(format.name()), Some(format));
        }
    }
}
