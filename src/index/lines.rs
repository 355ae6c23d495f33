//! Lines of an index on disk: groups of neighbours, each as columns.
//!
//! Lines of one program are alike, so each is cut into a *shape*, what it has in common with others, and values: the texts and numbers of a
//! JSON object, or the whole line where it is none. A group holds its different shapes once, and then value by value what all lines of a
//! shape have there, packed by what they are: ids in hexadecimal digits take half, texts with words and numbers are cut once more. All of
//! it is compressed as one. Whatever a line is, it comes back byte by byte.
//!
//! Layout, before compression: [`VERSION`], number of lines, number of shapes, each with its length, the shape of each line, then the columns
//! of each shape in order. Numbers are 7 bits a byte, lowest first.

use std::ops::Range;

/// Version of the bytes.
const VERSION: u8 = 1;
/// Lines, and bytes of them, of a group.
pub(super) const GROUP_LINES: usize = 1_024;
pub(super) const GROUP_BYTES: usize = 1 << 20;
/// Different shapes of a group; further lines are values as a whole.
const SHAPES_MAX: usize = 64;
/// How hard groups are compressed.
const LEVEL: i32 = 1;
/// Longest group that is unpacked: a line may have 16 MiB, escaped ones are no longer than they are.
const UNPACKED_MAX: usize = 96 << 20;

/// Stands for a value in a shape.
const HOLE: u8 = 0;
/// Stands for a part with a digit in a template.
const PART: u8 = 1;

/// How a column holds its values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Ended by newlines.
    Lines = 0,
    /// Hexadecimal digits, all of one length, two in a byte.
    Hex = 1,
    /// Templates, and the parts with digits that stand in them.
    Templates = 2,
    /// Each behind its length.
    Lengths = 3,
}

impl Kind {
    const ALL: [Kind; 4] = [Kind::Lines, Kind::Hex, Kind::Templates, Kind::Lengths];
}

fn put_number(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Cuts a line into its shape and its values. False: it is better left as it is.
fn cut(line: &[u8], shape: &mut Vec<u8>, values: &mut Vec<Range<usize>>) -> bool {
    shape.clear();
    values.clear();
    if line.first() != Some(&b'{') || line.iter().any(|byte| matches!(*byte, HOLE | PART | b'\n')) {
        return false;
    }
    let (mut at, mut copied) = (0, 0);
    let mut before = 0u8;
    while let Some(byte) = line.get(at).copied() {
        match byte {
            b'"' => {
                let from = at + 1;
                let mut end = from;
                loop {
                    let rest = line.get(end..).unwrap_or_default();
                    match memchr::memchr2(b'"', b'\\', rest) {
                        None => return false,
                        Some(found) if rest.get(found) == Some(&b'\\') => end += found + 2,
                        Some(found) => {
                            end += found;
                            break;
                        }
                    }
                }
                let is_key = line.get(end + 1) == Some(&b':');
                if !is_key {
                    shape.extend_from_slice(line.get(copied..from).unwrap_or_default());
                    shape.push(HOLE);
                    values.push(from..end);
                    copied = end;
                }
                at = end + 1;
                before = b'"';
            }
            b'-' | b'0'..=b'9' if matches!(before, b':' | b',' | b'[') => {
                let is_number = |byte: &u8| byte.is_ascii_digit() || matches!(*byte, b'-' | b'+' | b'.' | b'e' | b'E');
                let rest = line.get(at..).unwrap_or_default();
                let end = at + rest.iter().position(|byte| !is_number(byte)).unwrap_or(rest.len());
                shape.extend_from_slice(line.get(copied..at).unwrap_or_default());
                shape.push(HOLE);
                values.push(at..end);
                (copied, at, before) = (end, end, b'0');
            }
            byte => {
                // Blanks between a sign and a number belong to the shape.
                if byte != b' ' {
                    before = byte;
                }
                at += 1;
            }
        }
    }
    shape.extend_from_slice(line.get(copied..).unwrap_or_default());
    true
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'/' | b'-')
}

/// Cuts a text into what is left without parts with digits, and those.
fn cut_text(text: &[u8], template: &mut Vec<u8>, mut part: impl FnMut(&[u8])) {
    template.clear();
    let mut at = 0;
    while let Some(byte) = text.get(at).copied() {
        if !is_part(byte) {
            template.push(byte);
            at += 1;
            continue;
        }
        let (mut end, mut digit) = (at, false);
        while let Some(byte) = text.get(end).copied().filter(|byte| is_part(*byte)) {
            digit |= byte.is_ascii_digit();
            end += 1;
        }
        let run = text.get(at..end).unwrap_or_default();
        if digit {
            template.push(PART);
            part(run);
        } else {
            template.extend_from_slice(run);
        }
        at = end;
    }
}

type Places = hashbrown::HashMap<Vec<u8>, usize, foldhash::fast::FixedState>;

/// The values of one place of a shape.
#[derive(Default)]
struct Column {
    /// One behind the other, with a newline behind each.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Column {
    fn push(&mut self, value: &[u8]) {
        self.bytes.extend_from_slice(value);
        self.ends.push(self.bytes.len());
        self.bytes.push(b'\n');
    }

    fn values(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        self.ends.iter().map(move |end| {
            let value = self.bytes.get(from..*end).unwrap_or_default();
            from = end + 1;
            value
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        let plain = memchr::memchr(PART, &self.bytes).is_none()
            && memchr::memchr_iter(b'\n', &self.bytes).count() == self.ends.len();
        if !plain {
            out.push(Kind::Lengths as u8);
            for value in self.values() {
                put_number(out, value.len() as u64);
                out.extend_from_slice(value);
            }
            return;
        }
        if self.put_hex(out) || self.put_templates(out) {
            return;
        }
        out.push(Kind::Lines as u8);
        out.extend_from_slice(&self.bytes);
    }

    fn put_hex(&self, out: &mut Vec<u8>) -> bool {
        let width = self.ends.first().copied().unwrap_or(0);
        let digit = |byte: u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        if width < 16 || width % 2 == 1 || self.bytes.len() != (width + 1) * self.ends.len() {
            return false;
        }
        if self.values().any(|value| value.len() != width || value.iter().any(|byte| digit(*byte).is_none())) {
            return false;
        }
        out.push(Kind::Hex as u8);
        put_number(out, width as u64 / 2);
        for value in self.values() {
            let pairs = value.chunks_exact(2);
            out.extend(pairs.map(|pair| match pair {
                [high, low] => digit(*high).unwrap_or(0) << 4 | digit(*low).unwrap_or(0),
                _ => 0,
            }));
        }
        true
    }

    fn put_templates(&self, out: &mut Vec<u8>) -> bool {
        let seems_text = |value: &&[u8]| value.contains(&b' ') && value.iter().any(u8::is_ascii_digit);
        if self.ends.len() < 16 || self.values().take(64).filter(seems_text).count() * 2 < self.ends.len().min(64) {
            return false;
        }
        let (mut places, mut order) = (Places::default(), Vec::new());
        let mut parts: Vec<Vec<u8>> = Vec::new();
        let (mut template, mut found) = (Vec::new(), Vec::new());
        for value in self.values() {
            found.clear();
            cut_text(value, &mut template, |part| {
                found.extend_from_slice(part);
                found.push(b'\n');
            });
            let place = match places.get(template.as_slice()) {
                Some(place) => *place,
                // Where nearly each is another one, nothing is won.
                None if places.len() * 2 > self.ends.len() => return false,
                None => {
                    places.insert(template.clone(), parts.len());
                    parts.push(Vec::new());
                    parts.len() - 1
                }
            };
            if let Some(parts) = parts.get_mut(place) {
                parts.extend_from_slice(&found);
            }
            order.push(place);
        }
        let mut templates: Vec<(usize, Vec<u8>)> =
            places.into_iter().map(|(template, place)| (place, template)).collect();
        templates.sort_unstable();
        out.push(Kind::Templates as u8);
        put_number(out, templates.len() as u64);
        for (_, template) in &templates {
            out.extend_from_slice(template);
            out.push(b'\n');
        }
        order.iter().for_each(|place| put_number(out, *place as u64));
        parts.iter().for_each(|parts| out.extend_from_slice(parts));
        true
    }
}

/// Packs lines.
///
/// # Errors
/// No memory.
pub(super) fn pack<'l>(lines: impl Iterator<Item = &'l str>) -> std::io::Result<Vec<u8>> {
    let whole: &[u8] = &[HOLE];
    let mut places = Places::default();
    let mut shapes: Vec<(Vec<u8>, Vec<Column>)> = Vec::new();
    let mut order = Vec::new();
    let (mut shape, mut values, mut count) = (Vec::new(), Vec::new(), 0u64);
    for line in lines {
        let line = line.as_bytes();
        count += 1;
        let mut is_cut = cut(line, &mut shape, &mut values);
        if is_cut && places.len() >= SHAPES_MAX && !places.contains_key(shape.as_slice()) {
            is_cut = false;
        }
        if !is_cut {
            shape.clear();
            shape.extend_from_slice(whole);
            values.clear();
            values.push(0..line.len());
        }
        let place = match places.get(shape.as_slice()) {
            Some(place) => *place,
            None => {
                places.insert(shape.clone(), shapes.len());
                shapes.push((shape.clone(), values.iter().map(|_| Column::default()).collect()));
                shapes.len() - 1
            }
        };
        order.push(place);
        if let Some((_, columns)) = shapes.get_mut(place) {
            for (column, value) in columns.iter_mut().zip(&values) {
                column.push(line.get(value.clone()).unwrap_or_default());
            }
        }
    }
    let mut out = vec![VERSION];
    put_number(&mut out, count);
    put_number(&mut out, shapes.len() as u64);
    for (shape, _) in &shapes {
        put_number(&mut out, shape.len() as u64);
        out.extend_from_slice(shape);
    }
    order.iter().for_each(|place| put_number(&mut out, *place as u64));
    for (_, columns) in &shapes {
        columns.iter().for_each(|column| column.put(&mut out));
    }
    zstd::bulk::compress(&out, LEVEL)
}

/// Reads what was packed. Every length is checked.
struct Reader<'b> {
    bytes: &'b [u8],
}

impl<'b> Reader<'b> {
    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn number(&mut self) -> Option<usize> {
        let (mut number, mut shift) = (0u64, 0);
        loop {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f).checked_shl(shift)?;
            if byte & 0x80 == 0 {
                return usize::try_from(number).ok();
            }
            shift += 7;
            if shift > 63 {
                return None;
            }
        }
    }

    fn take(&mut self, length: usize) -> Option<&'b [u8]> {
        let taken = self.bytes.get(..length)?;
        self.bytes = self.bytes.get(length..)?;
        Some(taken)
    }

    fn line(&mut self) -> Option<&'b [u8]> {
        let end = memchr::memchr(b'\n', self.bytes)?;
        let taken = self.take(end)?;
        self.byte()?;
        Some(taken)
    }
}

/// A column while lines are put together.
enum Values<'b> {
    Lines(Reader<'b>),
    Hex(usize, Reader<'b>),
    Templates(std::vec::IntoIter<Vec<u8>>),
    Lengths(Reader<'b>),
}

impl<'b> Values<'b> {
    /// Reads the column of so many values, and leaves the reader behind it.
    fn read(reader: &mut Reader<'b>, count: usize) -> Option<Values<'b>> {
        let kind = reader.byte()?;
        let kind = Kind::ALL.into_iter().find(|known| *known as u8 == kind)?;
        let behind = |reader: &mut Reader<'b>, skip: &dyn Fn(&mut Reader<'b>) -> Option<()>| {
            let start = Reader { bytes: reader.bytes };
            (0..count).try_for_each(|_| skip(reader))?;
            Some(start)
        };
        Some(match kind {
            Kind::Lines => Values::Lines(behind(reader, &|reader| reader.line().map(|_| ()))?),
            Kind::Hex => {
                let width = reader.number()?;
                let all = reader.take(width.checked_mul(count)?)?;
                Values::Hex(width, Reader { bytes: all })
            }
            Kind::Lengths => Values::Lengths(behind(reader, &|reader| {
                let length = reader.number()?;
                reader.take(length).map(|_| ())
            })?),
            Kind::Templates => {
                let number = reader.number()?;
                if number > count {
                    return None;
                }
                let templates = (0..number).map(|_| reader.line()).collect::<Option<Vec<_>>>()?;
                let order = (0..count).map(|_| reader.number().filter(|place| *place < number));
                let order = order.collect::<Option<Vec<_>>>()?;
                let mut values: Vec<Vec<u8>> = vec![Vec::new(); count];
                let mut by_template: Vec<Vec<usize>> = vec![Vec::new(); number];
                for (row, place) in order.iter().enumerate() {
                    by_template.get_mut(*place)?.push(row);
                }
                for (template, rows) in templates.iter().zip(&by_template) {
                    for row in rows {
                        let value = values.get_mut(*row)?;
                        for byte in *template {
                            if *byte == PART { value.extend_from_slice(reader.line()?) } else { value.push(*byte) }
                        }
                    }
                }
                Values::Templates(values.into_iter())
            }
        })
    }

    /// Appends the next value.
    fn next(&mut self, out: &mut Vec<u8>) -> Option<()> {
        match self {
            Values::Lines(reader) => out.extend_from_slice(reader.line()?),
            Values::Hex(width, reader) => {
                for byte in reader.take(*width)? {
                    let digits = b"0123456789abcdef";
                    out.push(*digits.get(usize::from(byte >> 4))?);
                    out.push(*digits.get(usize::from(byte & 15))?);
                }
            }
            Values::Lengths(reader) => {
                let length = reader.number()?;
                out.extend_from_slice(reader.take(length)?);
            }
            Values::Templates(values) => out.extend_from_slice(&values.next()?),
        }
        Some(())
    }
}

/// Lines that were unpacked.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Unpacked {
    text: String,
    ends: Vec<usize>,
}

impl Unpacked {
    /// The lines of a group; `None`: it is damaged.
    pub(super) fn of(packed: &[u8]) -> Option<Unpacked> {
        let size = zstd::zstd_safe::get_frame_content_size(packed).ok().flatten()?;
        let size = usize::try_from(size).ok().filter(|size| *size <= UNPACKED_MAX)?;
        let bytes = zstd::bulk::decompress(packed, size).ok()?;
        let mut reader = Reader { bytes: &bytes };
        if reader.byte()? != VERSION {
            return None;
        }
        let (count, shapes) = (reader.number()?, reader.number()?);
        if count > bytes.len() || shapes > count {
            return None;
        }
        let mut list = Vec::with_capacity(shapes);
        for _ in 0..shapes {
            let length = reader.number()?;
            list.push(reader.take(length)?);
        }
        let order = (0..count).map(|_| reader.number().filter(|place| *place < shapes)).collect::<Option<Vec<_>>>()?;
        let mut rows = vec![0usize; shapes];
        for place in &order {
            *rows.get_mut(*place)? += 1;
        }
        let mut columns: Vec<Vec<Values<'_>>> = Vec::with_capacity(shapes);
        for (shape, rows) in list.iter().zip(&rows) {
            let holes = memchr::memchr_iter(HOLE, shape).count();
            let of = (0..holes).map(|_| Values::read(&mut reader, *rows)).collect::<Option<Vec<_>>>()?;
            columns.push(of);
        }
        let (mut text, mut ends) = (Vec::with_capacity(bytes.len() * 2), Vec::with_capacity(count));
        for place in order {
            let (mut rest, columns) = (*list.get(place)?, columns.get_mut(place)?);
            for values in columns {
                let hole = memchr::memchr(HOLE, rest)?;
                text.extend_from_slice(rest.get(..hole)?);
                values.next(&mut text)?;
                rest = rest.get(hole + 1..)?;
            }
            text.extend_from_slice(rest);
            ends.push(text.len());
        }
        Some(Unpacked { text: String::from_utf8(text).ok()?, ends })
    }

    /// One of the lines.
    pub(super) fn line(&self, number: usize) -> Option<&str> {
        let from = match number {
            0 => 0,
            number => *self.ends.get(number - 1)?,
        };
        self.text.get(from..*self.ends.get(number)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comes_back(lines: &[String]) -> usize {
        let packed = pack(lines.iter().map(String::as_str)).unwrap();
        let unpacked = Unpacked::of(&packed).unwrap();
        let back: Vec<&str> = (0..lines.len()).map(|number| unpacked.line(number).unwrap()).collect();
        assert_eq!(back, lines.iter().map(String::as_str).collect::<Vec<_>>());
        assert_eq!(unpacked.line(lines.len()), None);
        packed.len()
    }

    #[test]
    fn every_line_comes_back_byte_by_byte() {
        let odd = [
            "",
            " ",
            "{",
            "{}",
            "{\"a\":\"b",
            "{\"a\\\"\":\"b\\\\\",\"c\":-1.5e+3,\"d\":[1,2,\"x\"],\"e\":null,\"f\":{\"g\":0}}",
            "{ \"a\" : 1 , \"b\": \"\" }",
            "{\"a\":1\u{0}2}",
            "{\"a\":\"x\u{1}y 5\"}",
            "two\nlines",
            "plain text 17 of caf\u{e9} 5\u{e9}5",
            "{\"a\":\"caf\u{e9} 12 x\"}",
            "\u{1}",
            "{\"t\":\"0123456789abcdef\",\"t\":\"0123456789ABCDEF\"}",
        ];
        let odd: Vec<String> = odd.iter().map(|line| (*line).to_owned()).collect();
        comes_back(&[]);
        for line in &odd {
            comes_back(std::slice::from_ref(line));
        }
        comes_back(&odd);
        // Many of each kind of column, with the odd ones between.
        let mut seed = 7u64;
        let mut random = |n: u64| {
            seed = crate::event::mix(seed, 3);
            seed % n
        };
        let mut lines = Vec::new();
        for number in 0..2_000u64 {
            let (id, n) = (crate::event::mix(number, 5), random(1_000));
            lines.push(match random(10) {
                0 => odd[random(odd.len() as u64) as usize].clone(),
                1 => format!("worker {n} took job-{id:x} in {n} ms"),
                2 => format!("{{\"k{}\":\"{id:016x}\"}}", random(200)),
                _ => format!(
                    "{{\"ts\":{number},\"trace\":\"{id:016x}{id:016x}\",\"ok\":{},\"msg\":\"user {n} got {} of {id:x}\"}}",
                    n % 2 == 0,
                    random(9)
                ),
            });
        }
        comes_back(&lines);
    }

    #[test]
    fn lines_that_are_alike_take_little() {
        let line = |number: u64| {
            let id = crate::event::mix(number, 9);
            format!(
                "{{\"service\":\"checkout\",\"trace\":\"{id:016x}\",\"status\":200,\"msg\":\"took {number} ms of {}\"}}",
                id % 100
            )
        };
        let lines: Vec<String> = (0..1_000).map(line).collect();
        let packed = comes_back(&lines);
        let bytes: usize = lines.iter().map(|line| line.len() + 1).sum();
        // 8 bytes of the id, and a few for the rest.
        assert!(packed < bytes / 5, "{packed} of {bytes}");
    }

    #[test]
    fn damaged_groups_are_refused() {
        let lines: Vec<String> = (0..50).map(|n| format!("{{\"a\":{n},\"b\":\"text {n} of it\"}}")).collect();
        let packed = pack(lines.iter().map(String::as_str)).unwrap();
        let plain = zstd::bulk::decompress(&packed, 1 << 20).unwrap();
        for at in 0..plain.len() {
            for change in [1u8, 0x80, 0xff] {
                let mut damaged = plain.clone();
                damaged[at] ^= change;
                // It may come back as other lines, and never panics.
                let _other = Unpacked::of(&zstd::bulk::compress(&damaged, 1).unwrap());
                let _short = Unpacked::of(&zstd::bulk::compress(&damaged[..at], 1).unwrap());
            }
        }
        assert_eq!(Unpacked::of(b"nonsense"), None);
        assert_eq!(Unpacked::of(&[]), None);
    }
}
