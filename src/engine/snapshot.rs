//! The whole state of an engine as bytes, and an engine that goes on from them.

use std::collections::BTreeMap;

use crate::engine::exposed::Exposed;
use crate::engine::levels::Levels;
use crate::engine::notifications::Notifications;
use crate::engine::overlaps::Overlaps;
use crate::engine::release::ReleaseState;
use crate::engine::shedding::Shed;
use crate::engine::stalls::Gaps;
use crate::engine::traces::OpenTraces;
use crate::engine::{ENGINE_VERSION, Engine, Settings, StreamState, Waiting};
use crate::event::ServiceKey;
use crate::ledger::Chain;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::WindowPartial;

/// Version of the snapshot.
const SNAPSHOT_VERSION: u8 = 9;

impl Engine {
    /// The whole state, for [`Engine::restore`].
    pub fn snapshot(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.byte(SNAPSHOT_VERSION);
        w.uint(ENGINE_VERSION);
        w.length(self.streams.len());
        for (name, state) in &self.streams {
            w.text(name);
            w.int(state.oldest_open);
            w.flag(state.last.is_some());
            w.int(state.last.unwrap_or(0));
            w.uint(state.at);
            w.int(state.since);
            state.gaps.write(&mut w);
        }
        w.length(self.open.len());
        for (window, partials) in &self.open {
            w.int(*window);
            w.length(partials.len());
            for (stream, Waiting { partial, at }) in partials {
                w.text(stream);
                w.uint(*at);
                let bytes = partial.encode();
                w.length(bytes.len());
                w.bytes.extend_from_slice(&bytes);
            }
        }
        w.int(self.closed_before);
        let t = &self.tally;
        [t.records, t.events, t.on_time, t.late, t.outside].into_iter().for_each(|count| w.uint(count));
        t.rejects.iter().for_each(|count| w.uint(*count));
        w.length(self.releases.len());
        self.releases.iter().for_each(|release| release.write(&mut w));
        self.common.traces.write(&mut w);
        self.common.exposed.write(&mut w);
        self.overlaps.write(&mut w);
        self.shed.write(&mut w);
        w.flag(self.common.is_full);
        w.length(self.unplanned.len());
        for (key, requests) in &self.unplanned {
            w.text(&key.environment);
            w.text(&key.cell);
            w.text(&key.service);
            w.uint(*requests);
        }
        w.text(&self.chain.previous);
        w.uint(self.chain.entries);
        self.notifications.write(&mut w);
        self.levels.write(&mut w);
        w.flag(self.finished);
        let sum = xxhash_rust::xxh3::xxh3_64(&w.bytes);
        w.fixed(sum);
        w.bytes
    }

    /// An engine that goes on as the one that was saved (EN-1). `settings`: those it was made with.
    ///
    /// # Errors
    /// [`Damaged`] when the bytes are no snapshot of this version.
    pub fn restore(settings: Settings, bytes: &[u8]) -> Result<Engine, Damaged> {
        // A changed bit in a counter would decide otherwise, and no range check would see it.
        let (bytes, sum) = bytes.split_last_chunk::<8>().ok_or(Damaged("ends early"))?;
        if xxhash_rust::xxh3::xxh3_64(bytes) != u64::from_le_bytes(*sum) {
            return Err(Damaged("wrong check sum"));
        }
        let mut r = Reader::new(bytes);
        if r.byte()? != SNAPSHOT_VERSION || r.uint()? != ENGINE_VERSION {
            return Err(Damaged("snapshot of another version"));
        }
        let mut engine = Engine::new(settings);
        for _ in 0..r.length()? {
            let name = r.text()?;
            let oldest_open = r.int()?;
            let (has_last, last) = (r.flag()?, r.int()?);
            let (at, since, gaps) = (r.uint()?, r.int()?, Gaps::read(&mut r)?);
            let state = StreamState { oldest_open, last: has_last.then_some(last), at, since, gaps };
            engine.streams.insert(name, state);
        }
        for _ in 0..r.length()? {
            let window = r.int()?;
            let mut partials = BTreeMap::new();
            for _ in 0..r.length()? {
                let stream = r.text()?;
                let at = r.uint()?;
                let length = r.length()?;
                partials.insert(stream, Waiting { partial: WindowPartial::decode(r.bytes(length)?)?, at });
            }
            engine.open.insert(window, partials);
        }
        engine.closed_before = r.int()?;
        let t = &mut engine.tally;
        for slot in [&mut t.records, &mut t.events, &mut t.on_time, &mut t.late, &mut t.outside] {
            *slot = r.uint()?;
        }
        for slot in &mut t.rejects {
            *slot = r.uint()?;
        }
        engine.releases.clear();
        for _ in 0..r.length()? {
            engine.releases.push(ReleaseState::read(&mut r)?);
        }
        engine.common.traces = OpenTraces::read(&mut r)?;
        engine.common.exposed = Exposed::read(&mut r)?;
        engine.overlaps = Overlaps::read(&mut r)?;
        engine.shed = Shed::read(&mut r)?;
        engine.common.is_full = r.flag()?;
        for _ in 0..r.length()? {
            let key = ServiceKey { environment: r.text()?, cell: r.text()?, service: r.text()? };
            engine.unplanned.insert(key, r.uint()?);
        }
        engine.chain = Chain { previous: r.text()?, entries: r.uint()? };
        engine.notifications = Notifications::read(&mut r)?;
        engine.levels = Levels::read(&mut r)?;
        engine.finished = r.flag()?;
        r.end()?;
        engine.index();
        Ok(engine)
    }
}
