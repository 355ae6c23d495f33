//! Names of streams and topics: `topic/partition`, and which topics are asked for.

use std::fmt;

use regex::Regex;

/// A partition of a topic as a stream. A topic that was deleted and made anew is another log under the same name: its partitions
/// are further generations.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct StreamName {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// From 1 on.
    pub generation: u32,
}

impl StreamName {
    /// The first generation of a partition.
    pub fn new(topic: &str, partition: i32) -> StreamName {
        StreamName { topic: topic.to_owned(), partition, generation: 1 }
    }

    /// The next generation.
    pub fn next(&self) -> StreamName {
        StreamName { generation: self.generation.saturating_add(1), ..self.clone() }
    }

    /// The other is a later generation of this.
    pub fn is_before(&self, other: &StreamName) -> bool {
        self.topic == other.topic && self.partition == other.partition && self.generation < other.generation
    }

    /// Reads what [`fmt::Display`] writes. Names of topics have neither a slash nor a hash.
    pub fn parse(text: &str) -> Option<StreamName> {
        let (topic, rest) = text.split_once('/')?;
        let (partition, generation) = match rest.split_once('#') {
            Some((partition, generation)) => (partition, generation.parse().ok()?),
            None => (rest, 1),
        };
        Some(StreamName { topic: topic.to_owned(), partition: partition.parse().ok()?, generation })
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)?;
        if self.generation > 1 { write!(f, "#{}", self.generation) } else { Ok(()) }
    }
}

/// Which topics are read: by name, or by a pattern, a regular expression that begins with `^`.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    names: Vec<String>,
    patterns: Vec<Regex>,
}

/// Why something names no topics.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum WantedError {
    /// No name of a topic.
    #[error("`{0}` is no name of a topic (letters, digits, `.`, `_`, `-`, at most 249); a pattern begins with ^")]
    Name(String),
    /// No regular expression.
    #[error("`{0}`: {1}")]
    Pattern(String, String),
}

/// Longest name of a topic (Kafka's `Topic.MAX_NAME_LENGTH`).
const NAME_MAX: usize = 249;
/// Bytes of a compiled pattern.
const PATTERN_BYTES: usize = 1 << 20;

impl Wanted {
    /// Reads names and patterns.
    ///
    /// # Errors
    /// The first that is neither.
    pub fn parse<'a>(list: impl IntoIterator<Item = &'a str>) -> Result<Wanted, WantedError> {
        let mut wanted = Wanted::default();
        for text in list {
            if text.starts_with('^') {
                let pattern = regex::RegexBuilder::new(text).size_limit(PATTERN_BYTES).build();
                let refused = |error: regex::Error| WantedError::Pattern(text.to_owned(), error.to_string());
                wanted.patterns.push(pattern.map_err(refused)?);
                continue;
            }
            let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
            if text.is_empty() || text.len() > NAME_MAX || matches!(text, "." | "..") || !text.bytes().all(legal) {
                return Err(WantedError::Name(text.to_owned()));
            }
            if !wanted.names.iter().any(|name| name == text) {
                wanted.names.push(text.to_owned());
            }
        }
        wanted.names.sort();
        Ok(wanted)
    }

    /// Topics that are asked for by name.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// There is a pattern.
    pub fn has_patterns(&self) -> bool {
        !self.patterns.is_empty()
    }

    /// A topic is asked for. Kafka's own (`__consumer_offsets`) no pattern means.
    pub fn takes(&self, topic: &str) -> bool {
        self.names.iter().any(|name| name == topic)
            || (!topic.starts_with("__") && self.patterns.iter().any(|pattern| pattern.is_match(topic)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_streams_are_read_back() {
        for text in ["t/0", "a.b-c_d/17", "t/3#2"] {
            assert_eq!(StreamName::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(StreamName::new("t", 1).next().to_string(), "t/1#2");
        let (first, second) = (StreamName::new("t", 1), StreamName::new("t", 1).next());
        assert!(first.is_before(&second) && !second.is_before(&first) && !StreamName::new("t", 2).is_before(&second));
        for text in ["http", "t/", "t/x", "t/1#", "/", ""] {
            assert!(StreamName::parse(text).is_none() || text == "/", "{text}");
        }
    }

    #[test]
    fn a_pattern_begins_with_a_caret_and_means_no_topic_of_kafka_itself() {
        let wanted = Wanted::parse(["b", "^logs\\.", "a", "b"]).unwrap();
        assert_eq!((wanted.names(), wanted.has_patterns()), (&["a".to_owned(), "b".to_owned()][..], true));
        for (topic, taken) in [("a", true), ("logs.x", true), ("my.logs.x", false), ("logsx", false), ("c", false)] {
            assert_eq!(wanted.takes(topic), taken, "{topic}");
        }
        let all = Wanted::parse(["^.*"]).unwrap();
        assert!(all.takes("x") && !all.takes("__consumer_offsets"));
        for wrong in ["", "a b", "a/b", "..", "^("] {
            assert!(Wanted::parse([wrong]).is_err(), "{wrong}");
        }
    }
}
