//! How far each stream is in an index. A commit carries it, so that lines and positions are one step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Version of the text.
const VERSION: u32 = 1;

/// Where each stream goes on: the position after its last line in the index.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Positions {
    next: BTreeMap<String, u64>,
}

#[derive(Serialize, Deserialize)]
struct Payload {
    version: u32,
    #[serde(flatten)]
    positions: Positions,
}

impl Positions {
    /// Where a stream goes on; 0 where nothing of it was read.
    pub fn next(&self, stream: &str) -> u64 {
        self.next.get(stream).copied().unwrap_or(0)
    }

    /// A stream was read up to a position. It never goes back.
    pub fn reach(&mut self, stream: &str, next: u64) {
        match self.next.get_mut(stream) {
            Some(known) => *known = (*known).max(next),
            None => {
                self.next.insert(stream.to_owned(), next);
            }
        }
    }

    /// Streams, with where they go on.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.next.iter().map(|(stream, next)| (stream.as_str(), *next))
    }

    /// As one word without blanks, for ids.
    pub fn to_id(&self) -> String {
        let escaped = |name: &str| {
            name.replace('%', "%25").replace(';', "%3B").replace('=', "%3D").replace([' ', '\n', '\r'], "%20")
        };
        let parts: Vec<String> = self.next.iter().map(|(name, next)| format!("{}={next}", escaped(name))).collect();
        parts.join(";")
    }

    /// The positions of an id; streams with blanks in their names begin anew.
    pub fn from_id(id: &str) -> Option<Positions> {
        let mut positions = Positions::default();
        for part in id.split(';').filter(|part| !part.is_empty()) {
            let (name, next) = part.rsplit_once('=')?;
            let name = name.replace("%20", " ").replace("%3D", "=").replace("%3B", ";").replace("%25", "%");
            positions.next.insert(name, next.parse().ok()?);
        }
        Some(positions)
    }

    pub(super) fn to_payload(&self) -> String {
        let payload = Payload { version: VERSION, positions: self.clone() };
        serde_json::to_string(&payload).unwrap_or_default()
    }

    pub(super) fn of_payload(text: &str) -> Option<Positions> {
        let payload: Payload = serde_json::from_str(text).ok()?;
        (payload.version == VERSION).then_some(payload.positions)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_is_read_back_and_others_are_refused() {
        let mut positions = Positions::default();
        positions.reach("http", 1 << 60);
        positions.reach("t/0", 7);
        positions.reach("t/0", 5);
        assert_eq!((positions.next("t/0"), positions.next("none")), (7, 0));
        assert_eq!(Positions::from_id(&positions.to_id()), Some(positions.clone()));
        assert_eq!(Positions::of_payload(&positions.to_payload()), Some(positions));
        for text in ["", "{}", "{\"version\":2,\"next\":{}}", "{\"version\":1}"] {
            assert_eq!(Positions::of_payload(text), None, "{text}");
        }
    }
}
