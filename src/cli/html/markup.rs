//! Markup that is closed by its making: what comes from a log can only be text or the value of an attribute.
//!
//! Names of elements and attributes are part of the program (`&'static str`); everything else is escaped. The output is
//! HTML that is well-formed XML too, so a test can read it with strict rules.

use sha2::{Digest, Sha256};

use super::chart::number;
use crate::cli::terminal::harmless;

/// Longest text of one place, in characters.
const TEXT_MAX: usize = 600;
/// Elements that have no content.
const VOID: [&str; 3] = ["br", "link", "meta"];

/// An attribute and its value.
pub(super) type Attribute<'a> = (&'static str, &'a str);

/// Markup as it grows.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

impl Markup {
    /// The markup.
    pub(super) fn finish(self) -> String {
        self.0
    }

    /// An element with its content.
    pub(super) fn element(&mut self, name: &'static str, attributes: &[Attribute<'_>], inside: impl FnOnce(&mut Self)) {
        self.open(name, attributes);
        inside(self);
        self.0.push_str("</");
        self.0.push_str(name);
        self.0.push('>');
    }

    /// An element without content.
    pub(super) fn empty(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        if VOID.contains(&name) {
            self.open(name, attributes);
            self.0.pop();
            self.0.push_str("/>");
        } else {
            self.element(name, attributes, |_| ());
        }
    }

    /// An element that holds a text.
    pub(super) fn words(&mut self, name: &'static str, class: &'static str, text: &str) {
        self.element(name, &[("class", class)], |m| m.text(text));
    }

    /// A text, cut at [`TEXT_MAX`].
    pub(super) fn text(&mut self, text: &str) {
        self.0.push_str(&escaped(text, TEXT_MAX));
    }

    /// A name from a log, cut, and set apart so that its direction of writing changes nothing around it.
    pub(super) fn name(&mut self, name: &str, most: usize) {
        let name = if name.is_empty() { "(unnamed)" } else { name };
        self.element("bdi", &[], |m| m.0.push_str(&escaped(name, most)));
    }

    /// A path through points, which are only numbers.
    pub(super) fn path(&mut self, class: &'static str, points: impl Iterator<Item = (f64, f64)>, closed: bool) {
        let mut drawn = String::new();
        for (at, (x, y)) in points.enumerate() {
            drawn.push(if at == 0 { 'M' } else { 'L' });
            drawn.push_str(&number(x));
            drawn.push(' ');
            drawn.push_str(&number(y));
        }
        if closed {
            drawn.push('Z');
        }
        self.0.push_str("<path class=\"");
        self.0.push_str(class);
        self.0.push_str("\" d=\"");
        self.0.push_str(&drawn);
        self.0.push_str("\"></path>");
    }

    /// The first line of a document.
    pub(super) fn doctype(&mut self) {
        self.0.push_str("<!DOCTYPE html>\n");
    }

    /// A line break between elements, for people who read the source.
    pub(super) fn line(&mut self) {
        self.0.push('\n');
    }

    /// The style sheet of the program.
    pub(super) fn style(&mut self, sheet: &'static str) {
        self.0.push_str("<style>");
        self.0.push_str(sheet);
        self.0.push_str("</style>");
    }

    fn open(&mut self, name: &'static str, attributes: &[Attribute<'_>]) {
        self.0.push('<');
        self.0.push_str(name);
        let said = attributes.iter().filter(|(attribute, value)| *attribute != "class" || !value.is_empty());
        for (attribute, value) in said {
            self.0.push(' ');
            self.0.push_str(attribute);
            self.0.push_str("=\"");
            self.0.push_str(&escaped(value, TEXT_MAX * 4));
            self.0.push('"');
        }
        self.0.push('>');
    }
}

/// Text that cannot act: neither as markup, nor on what a reader sees around it.
fn escaped(text: &str, most: usize) -> String {
    let mut out = String::new();
    for c in harmless(text, most).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // Separators of lines, invisible marks, and what no XML may hold.
            '\u{ad}'
            | '\u{61c}'
            | '\u{180e}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{fffe}'
            | '\u{ffff}'
            | '\u{e0000}'..='\u{e007f}' => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// What a page may load: nothing but this style sheet, and no script at all.
pub(super) fn content_policy(sheet: &str) -> String {
    let hash = base64(&Sha256::digest(sheet.as_bytes()));
    format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'")
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(group.get(at).copied().unwrap_or(0)));
        for digit in 0..4 {
            let value = bits >> (18 - 6 * digit) & 63;
            out.push(if digit <= group.len() { char::from(DIGITS[value as usize]) } else { '=' });
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_logs_is_only_text() {
        let mut m = Markup::default();
        m.words("p", "x", "<script>alert('x')</script>&\u{202e}\"\u{0}");
        assert_eq!(
            m.finish(),
            "<p class=\"x\">&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\\u{202e}&quot;\\u{0}</p>"
        );
        let mut m = Markup::default();
        m.element("i", &[("title", "\" onload=\"x")], |m| m.name(&"a".repeat(10_000), 60));
        let said = m.finish();
        assert!(said.starts_with("<i title=\"&quot; onload=&quot;x\"><bdi>aaa") && said.len() < 150, "{said}");
    }

    #[test]
    fn base64_as_in_rfc_4648() {
        for (text, coded) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(text.as_bytes()), coded);
        }
    }
}
