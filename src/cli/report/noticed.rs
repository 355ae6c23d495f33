//! What was met while lines were read that is no part of any verdict, and that a reader must know.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::backtest::{CutOvers, Deploy};
use crate::cli::report::text::{count, grouped};
use crate::cli::terminal::harmless;
use crate::engine::Engine;
use crate::pipeline::roles::{self, Role};
use crate::pipeline::survey::Survey;
use crate::sketch::partial::WindowPartial;

/// Arms of a stream that are remembered: with two it belongs to none.
const ARMS_KEPT: usize = 2;
/// Partitions that are named.
const NAMED_MAX: usize = 5;

/// Fields that nobody reads, lines that say that a program died, and versions that replaced others at once.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::cli) struct Noticed {
    unread: BTreeMap<String, u64>,
    /// Lines of crashes, and arms, of each stream.
    streams: BTreeMap<String, (u64, BTreeSet<String>)>,
    #[serde(skip)]
    cut_overs: CutOvers,
    /// Bodies that most likely were sent again over HTTP, and their lines.
    pub(super) repeats: (u64, u64),
    /// What is to be told of topics.
    pub(super) kafka: OfKafka,
}

/// Lines of one stream that say that a program died.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(in crate::cli) struct Crashes {
    /// The stream.
    pub stream: String,
    /// Lines.
    pub lines: u64,
    /// The arm that all its lines name, where they name one.
    pub arm: Option<String>,
}

/// What is to be told of topics.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(in crate::cli) struct OfKafka {
    /// Records of each topic, by what they were read as.
    pub read_as: BTreeMap<String, BTreeMap<String, u64>>,
    /// Records of each partition that were deleted before they were read.
    pub lost: BTreeMap<String, u64>,
    /// Partitions whose topic was deleted and made anew.
    pub anew: BTreeSet<String>,
    /// Partitions that stall, and since when nothing comes from each.
    #[serde(skip)]
    pub stalled: BTreeMap<String, String>,
}

impl OfKafka {
    /// In words, where something is out of the ordinary.
    pub(in crate::cli) fn words(&self) -> Vec<String> {
        let mut list = Vec::new();
        for (topic, formats) in self.read_as.iter().filter(|(_, formats)| formats.keys().any(|format| format != "json"))
        {
            let each: Vec<String> =
                formats.iter().map(|(format, records)| format!("{} as {format}", grouped(*records))).collect();
            list.push(format!("Records of topic {} were read so: {}.", harmless(topic, 80), each.join(", ")));
        }
        if !self.stalled.is_empty() {
            let of: Vec<String> =
                self.stalled.iter().take(NAMED_MAX).map(|(stream, since)| format!("{stream} since {since}")).collect();
            list.push(format!(
                "STALLED: nothing comes from {} ({}), not read to the end as far as anybody knows: windows close without it, and what they \
                 bear on does not pass.",
                count(self.stalled.len() as u64, "partition"),
                harmless(&of.join(", "), 400)
            ));
        }
        let lost: u64 = self.lost.values().sum();
        if lost > 0 {
            let of: Vec<String> = self
                .lost
                .iter()
                .take(NAMED_MAX)
                .map(|(stream, records)| format!("{} of {stream}", grouped(*records)))
                .collect();
            list.push(format!(
                "LOST: Kafka deleted {} before they were read ({}): they count nowhere. Give the topic a longer retention.",
                count(lost, "record"),
                of.join(", ")
            ));
        }
        if !self.anew.is_empty() {
            let of: Vec<&str> = self.anew.iter().take(NAMED_MAX).map(String::as_str).collect();
            list.push(format!(
                "Topics were deleted and made anew while they were read ({}): what they brought since is another log.",
                of.join(", ")
            ));
        }
        list
    }
}

impl Noticed {
    /// Further bodies that most likely were sent again over HTTP, and their lines.
    #[cfg(feature = "serve")]
    pub(in crate::cli) fn repeated(&mut self, (bodies, lines): (u64, u64)) {
        self.repeats.0 += bodies;
        self.repeats.1 += lines;
    }

    /// Further records of topics, and what they were read as.
    #[cfg(feature = "kafka")]
    pub(in crate::cli) fn read_as(&mut self, records: Vec<(String, &'static str, u64)>) {
        for (topic, format, records) in records {
            *self.kafka.read_as.entry(topic).or_default().entry(format.to_owned()).or_default() += records;
        }
    }

    /// Records of a partition were deleted before they were read.
    #[cfg(feature = "serve")]
    pub(in crate::cli) fn lost(&mut self, stream: &str, records: u64) {
        *self.kafka.lost.entry(stream.to_owned()).or_default() += records;
    }

    /// The topic of a partition was deleted and made anew.
    #[cfg(feature = "serve")]
    pub(in crate::cli) fn anew(&mut self, stream: &str) {
        self.kafka.anew.insert(stream.to_owned());
    }

    /// Partitions that stall now, and since when nothing comes from each.
    #[cfg(feature = "serve")]
    pub(in crate::cli) fn stalled(&mut self, stalled: BTreeMap<String, String>) {
        self.kafka.stalled = stalled;
    }

    /// Fields that nobody reads, with the lines of a chunk that have them.
    pub(in crate::cli) fn unread(&mut self, fields: BTreeMap<String, u64>) {
        for (path, lines) in fields {
            *self.unread.entry(path).or_default() += lines;
        }
    }

    /// Lines of crashes in a chunk of a stream, and the arms that the chunk names.
    pub(in crate::cli) fn crashes(&mut self, stream: &str, lines: u64, arms: &[String]) {
        if !self.streams.contains_key(stream) {
            self.streams.insert(stream.to_owned(), Default::default());
        }
        let Some((all, known)) = self.streams.get_mut(stream) else { return };
        *all += lines;
        for arm in arms {
            if known.len() < ARMS_KEPT && !known.contains(arm) {
                known.insert(arm.clone());
            }
        }
    }

    /// A stream has passed a window.
    pub(in crate::cli) fn window(&mut self, engine: &Engine, partial: &WindowPartial) {
        self.cut_overs.window(engine, partial);
    }

    /// Nothing more comes.
    pub(in crate::cli) fn finish(&mut self) {
        self.cut_overs.finish();
    }

    /// Versions that replaced others at once.
    pub(super) fn cut_overs(&self, engine: &Engine) -> Vec<Deploy> {
        self.cut_overs.found(engine)
    }

    /// Fields that came after the first lines and play a role by their names, most lines first.
    pub(super) fn roles(&self, survey: &Survey) -> Vec<(String, Role, u64)> {
        let new = self.unread.iter().filter(|(path, _)| !survey.paths.contains(*path));
        let mut list: Vec<(String, Role, u64)> =
            new.filter_map(|(path, lines)| Some((path.clone(), roles::role_of_known(path)?, *lines))).collect();
        list.sort_by_key(|(_, _, lines)| std::cmp::Reverse(*lines));
        list
    }

    /// Streams with lines of crashes.
    pub(super) fn crashed(&self) -> Vec<Crashes> {
        let crashed = self.streams.iter().filter(|(_, (lines, _))| *lines > 0);
        crashed
            .map(|(stream, (lines, arms))| Crashes {
                stream: stream.clone(),
                lines: *lines,
                arm: arms.first().filter(|_| arms.len() == 1).cloned(),
            })
            .collect()
    }
}
