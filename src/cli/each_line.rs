//! Every line of files with what decoding says of it, for queries.

use std::collections::BTreeSet;

use anyhow::anyhow;

use crate::cli::clock::now;
use crate::cli::terminal::Progress;
use crate::event::{Event, Intern, Names, RejectReason};
use crate::index::{Aliases, Told, ToldRecord, is_derived, unknown};
use crate::pipeline::decode::fields::FieldReader;
use crate::pipeline::decode::{Decoded, Decoder};
use crate::pipeline::plan::Plan;
use crate::pipeline::roles::Role;
use crate::query::{Condition, MESSAGE, Node, Query};
use crate::source::files::Stream;
use crate::source::head::read_head;
use crate::source::lines::ChunkReader;
use crate::time::Timestamp;

/// Bytes that are read at a time.
const CHUNK: usize = 1 << 20;

/// A query whose names are those of lines.
pub(super) struct Resolved {
    query: Query,
    pub(super) tree: Node,
}

/// Reads files line by line.
pub(super) struct EachLine<'p> {
    plan: &'p Plan,
    streams: &'p [Stream],
    aliases: Aliases,
    reader: FieldReader,
    known: BTreeSet<String>,
}

impl<'p> EachLine<'p> {
    /// Of these streams, by this plan. Their first lines show which fields there are.
    pub(super) fn new(streams: &'p mut [Stream], plan: &'p Plan) -> anyhow::Result<EachLine<'p>> {
        let mut reader = FieldReader::of_tables(&plan.tables);
        for stream in streams.iter_mut() {
            let head = read_head(stream, CHUNK)?;
            let mut decoder = Decoder::new(plan, &stream.name);
            for line in String::from_utf8_lossy(&head).lines() {
                // What cannot be read has no names.
                let _names_are_met = reader.read(&decoder.prepared(line));
            }
        }
        let known = reader.paths().map(str::to_owned).collect();
        Ok(EachLine { plan, streams, aliases: Aliases::of(plan), reader, known })
    }

    /// Understands a query.
    pub(super) fn resolve(&self, text: &str) -> anyhow::Result<Resolved> {
        let query = Query::parse_at(text, now()).map_err(|error| anyhow!("{error}"))?;
        // What no first line has may come later.
        let hoped = |path: &str| self.known.contains(path) || !self.aliases.has(path);
        let tree = self.aliases.resolve(&query, hoped).map_err(|name| anyhow!("no line has a field `{name}`"))?;
        Ok(Resolved { query, tree })
    }

    /// Calls `see` with each line that is not blank: as queries see it, and the event that it is, with the names that it refers to.
    pub(super) fn read(
        &mut self,
        progress: &Progress,
        mut see: impl FnMut(&ToldRecord<'_, '_>, Option<(&Event, &Names)>),
    ) -> anyhow::Result<()> {
        for stream in self.streams {
            let mut decoder = Decoder::new(self.plan, &stream.name);
            let mut time = Timestamp(0);
            let mut chunks = ChunkReader::new(stream, CHUNK);
            while let Some(chunk) = chunks.next_chunk()? {
                decoder.begin_chunk();
                for (bytes, offset, _) in chunk.records() {
                    let text = String::from_utf8_lossy(bytes);
                    if text.trim().is_empty() {
                        continue;
                    }
                    let text = decoder.prepared(&text);
                    let decoded = match chunk.too_long {
                        Some(_) => Err(RejectReason::TooLong),
                        None => decoder.decode_prepared(&text, offset),
                    };
                    let read = if chunk.too_long.is_some() { None } else { self.reader.read(&text).ok() };
                    if let Ok(Decoded::Event(event)) = &decoded {
                        time = event.time;
                    }
                    let names = Intern::names(decoder.interner());
                    let (told, event) = match &decoded {
                        Ok(Decoded::Event(event)) => (Told::of(event, names), Some((event, names))),
                        Ok(Decoded::Outside) => (Told::none(time, None), None),
                        Err(reason) => (Told::none(time, Some(*reason)), None),
                    };
                    let record = ToldRecord {
                        line: &text,
                        fields: read.as_deref().map(|fields| self.reader.record(fields, &stream.name)),
                        told,
                        stream: &stream.name,
                        position: offset,
                    };
                    see(&record, event);
                }
                progress.add(chunk.bytes.len() as u64);
            }
        }
        Ok(())
    }

    /// Every name of a query was met in some line.
    ///
    /// # Errors
    /// The name that was not, with one that may be meant.
    pub(super) fn check_met(&self, of: &Resolved) -> anyhow::Result<()> {
        let mut never = None;
        conditions(&of.tree, &mut |path, condition| {
            let is_met =
                is_derived(path) || *condition == Condition::Exists || self.reader.paths().any(|known| known == path);
            // Messages are looked for under every name that they may have.
            if !is_met && path != MESSAGE && !self.plan.fields(Role::Message).iter().any(|field| field.path == path) {
                never.get_or_insert_with(|| path.to_owned());
            }
        });
        match never {
            Some(name) => Err(anyhow!("{}", unknown(&of.query, &name, self.reader.paths(), &self.aliases))),
            None => Ok(()),
        }
    }
}

/// Calls `see` with each condition and its path.
fn conditions(node: &Node, see: &mut impl FnMut(&str, &Condition)) {
    match node {
        Node::All => {}
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|node| conditions(node, see)),
        Node::Not(node) => conditions(node, see),
        Node::Is(path, condition) => see(path, condition),
    }
}
