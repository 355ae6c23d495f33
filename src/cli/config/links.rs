//! `links`: addresses of another search, where the lines of a comparison can be seen, with holes for what is asked.

use crate::cli::terminal::harmless;
use crate::cli::yaml::{Fields, Node, Problems};

/// Links of a configuration.
const LINKS_MAX: usize = 8;
/// Longest address, in bytes.
const URL_MAX: usize = 4_096;

/// What an address may hold; each is filled in as it stands in an address, with `%` for what means something there.
pub(in crate::cli) const HOLES: [&str; 9] =
    ["lucene", "dsl", "logql", "service", "arm", "from", "to", "from_ms", "to_ms"];

/// An address with holes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::cli) struct Link {
    pub name: String,
    pub url: String,
}

impl Link {
    /// The address, where `value` says what stands in a hole.
    pub(in crate::cli) fn filled(&self, value: impl Fn(&str) -> String) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
        let encoded = |text: String| -> String {
            text.bytes()
                .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
                .collect()
        };
        let mut out = self.url.clone();
        for hole in HOLES {
            let written = format!("{{{hole}}}");
            if out.contains(&written) {
                out = out.replace(&written, &encoded(value(hole)));
            }
        }
        out
    }
}

pub(super) fn links(list: &[Node], problems: &mut Problems) -> Vec<Link> {
    let mut links: Vec<Link> = Vec::new();
    for (number, node) in list.iter().enumerate() {
        let mut fields = Fields::of(node, &format!("links[{number}]"), problems);
        let mut text = |key: &'static str, problems: &mut Problems| match fields.text(key, problems) {
            Some((text, at)) => (text, at),
            None => {
                problems.add(node.at, format!("links[{number}].{key} is missing"));
                (String::new(), node.at)
            }
        };
        let (name, at) = text("name", problems);
        if links.iter().any(|known| known.name == name) && !name.is_empty() {
            problems.add(at, format!("links[{number}].name: `{}` is named twice", harmless(&name, 60)));
        }
        let (url, at) = text("url", problems);
        if !url.is_empty() && !["http://", "https://"].iter().any(|scheme| url.starts_with(scheme)) {
            problems.add(at, format!("links[{number}].url: http:// or https:// is needed"));
        }
        if url.len() > URL_MAX {
            problems.add(at, format!("links[{number}].url: at most {URL_MAX} bytes"));
        }
        // What seems a hole and is none would stay in the address.
        for part in url.split('{').skip(1) {
            let word = part.split('}').next().unwrap_or_default();
            let is_word = part.contains('}')
                && !word.is_empty()
                && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            if is_word && !HOLES.contains(&word) {
                problems.add(at, format!("links[{number}].url: {{{word}}} is unknown; there are {}", HOLES.join(", ")));
            }
        }
        fields.finish(problems);
        links.push(Link { name, url });
    }
    if let Some(node) = list.get(LINKS_MAX) {
        problems.add(node.at, format!("links: at most {LINKS_MAX}, got {}", list.len()));
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_filled_as_addresses_have_it() {
        let url = "https://d/#/?_a=(query:'{lucene}')&from={from}&left={\"a\":1}".to_owned();
        let link = Link { name: "d".to_owned(), url };
        let filled =
            link.filled(|hole| if hole == "lucene" { "a:\"b c\" AND (d)".to_owned() } else { "T:0".to_owned() });
        assert_eq!(filled, "https://d/#/?_a=(query:'a%3A%22b%20c%22%20AND%20%28d%29')&from=T%3A0&left={\"a\":1}");
    }
}
