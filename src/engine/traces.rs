//! Open traces: lines and services of a trace, gathered over windows until the window after its request has closed.
//!
//! One store serves all releases. What lies in a window before its request nobody knows to belong to a release yet, and kept for
//! each release it would be kept as often as there are services.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::memory;
use crate::event::{NameId, ServiceKey};
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::trace_hash;
use crate::sketch::rows::{NEVER, TraceRow};

/// Traces that are open at once; past it the sample halves.
const OPEN_MAX: usize = 65_536;
/// Windows after which a trace without a request is given up.
const ORPHAN_WINDOWS: i64 = 6;

/// Names of services that are told apart; further ones share one.
const NAMES_MAX: usize = 32_768;
/// The name that they share.
const OTHER_NAME: &str = "(other)";

/// A trace whose request a release has seen, one window after that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trace {
    /// Its identity.
    pub hash: u64,
    /// Unit of its request, 0 when that has none.
    pub unit: u64,
    /// Arm of its request by name; `None` when the request carries none.
    pub arm: Option<String>,
    /// Window of its request.
    pub window: i64,
    /// Lines of any kind.
    pub lines: u64,
    /// Services that it called.
    pub services: Vec<u16>,
}

/// A request of a trace at the entry of a release.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Root {
    release: usize,
    window: i64,
    at: u32,
    unit: u64,
    arm: Option<String>,
}

/// A trace that may still grow.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
struct Open {
    lines: u64,
    services: Vec<u16>,
    first_window: i64,
    /// Its earliest request at each release.
    roots: Vec<Root>,
}

/// Traces that may still grow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenTraces {
    traces: BTreeMap<u64, Open>,
    /// Traces by release whose request was seen, and which are not complete.
    pending: BTreeMap<usize, BTreeSet<u64>>,
    /// Names of services, in order of appearance.
    names: Vec<String>,
    places: BTreeMap<String, u16>,
    /// Traces whose keyed hash is above this are not followed: their lines were not all seen.
    range: u64,
    /// Traces given up without a request.
    pub orphans: u64,
}

impl Default for OpenTraces {
    fn default() -> Self {
        OpenTraces {
            traces: BTreeMap::new(),
            pending: BTreeMap::new(),
            names: Vec::new(),
            places: BTreeMap::new(),
            range: u64::MAX,
            orphans: 0,
        }
    }
}

impl OpenTraces {
    /// Adds the rows of a window. `entries`: services whose requests are judged, by index, with their release, sorted.
    /// `services`, `arms`: names of the partial.
    pub fn add(
        &mut self,
        window: i64,
        rows: &[TraceRow],
        range: u64,
        entries: &[(NameId, usize)],
        services: &[ServiceKey],
        arms: &[String],
    ) {
        if range < self.range {
            self.narrow(range);
        }
        let mut indices: Vec<Option<u16>> = vec![None; services.len() + 1];
        for row in rows {
            if trace_hash(row.trace) > self.range {
                continue;
            }
            let name = services.get(usize::from(row.service)).map_or("", |key| key.service.as_str());
            let place = usize::from(row.service).min(services.len());
            let service = match indices.get(place).copied().flatten() {
                Some(known) => known,
                None => {
                    let index = self.index_of(name);
                    indices[place] = Some(index);
                    index
                }
            };
            let trace =
                self.traces.entry(row.trace).or_insert_with(|| Open { first_window: window, ..Open::default() });
            trace.lines += u64::from(row.lines);
            if let Err(at) = trace.services.binary_search(&service) {
                trace.services.insert(at, service);
            }
            if row.root_at == NEVER {
                continue;
            }
            let from = entries.partition_point(|(service, _)| *service < row.service);
            let releases = entries.iter().skip(from).take_while(|(service, _)| *service == row.service);
            for (_, release) in releases {
                let root = Root {
                    release: *release,
                    window,
                    at: row.root_at,
                    unit: row.unit,
                    arm: arms.get(usize::from(row.arm)).cloned(),
                };
                self.pending.entry(*release).or_default().insert(row.trace);
                match trace.roots.iter_mut().find(|known| known.release == *release) {
                    Some(known) if (window, row.root_at) < (known.window, known.at) => *known = root,
                    Some(_) => {}
                    None => trace.roots.push(root),
                }
            }
        }
        while self.traces.len() > OPEN_MAX {
            self.halve();
        }
    }

    /// Of the traces that are open only every second goes on, by keyed hash.
    pub fn halve(&mut self) {
        self.narrow(self.range >> 1);
    }

    fn narrow(&mut self, range: u64) {
        self.range = range;
        self.traces.retain(|trace, _| trace_hash(*trace) <= range);
        self.pending.retain(|_, traces| {
            traces.retain(|trace| trace_hash(*trace) <= range);
            !traces.is_empty()
        });
    }

    /// Traces that are open.
    pub fn len(&self) -> usize {
        self.traces.len()
    }

    /// No trace is open.
    pub fn is_empty(&self) -> bool {
        self.traces.is_empty()
    }

    /// Releases with traces that are not complete.
    pub fn waiting(&self) -> impl Iterator<Item = usize> + '_ {
        self.pending.keys().copied()
    }

    /// Takes the traces of a release whose request was seen before `window`, in order of their hash; all of them at the end.
    pub fn take_complete(&mut self, release: usize, window: Option<i64>) -> Vec<Trace> {
        let Some(pending) = self.pending.get_mut(&release) else { return Vec::new() };
        let mut complete = Vec::new();
        pending.retain(|hash| {
            let Some(trace) = self.traces.get(hash) else { return false };
            let Some(root) = trace.roots.iter().find(|root| root.release == release) else { return false };
            if window.is_some_and(|window| root.window >= window) {
                return true;
            }
            complete.push(Trace {
                hash: *hash,
                unit: root.unit,
                arm: root.arm.clone(),
                window: root.window,
                lines: trace.lines,
                services: trace.services.clone(),
            });
            false
        });
        if pending.is_empty() {
            self.pending.remove(&release);
        }
        complete
    }

    /// Forgets what was complete in a window, whether somebody wanted it or not, and what waited too long for a request.
    pub fn sweep(&mut self, window: i64) {
        let mut orphans = 0;
        let pending = &mut self.pending;
        self.traces.retain(|hash, trace| {
            if trace.roots.is_empty() {
                let keep = window - trace.first_window <= ORPHAN_WINDOWS;
                orphans += u64::from(!keep);
                return keep;
            }
            trace.roots.retain(|root| {
                if root.window < window
                    && let Some(of) = pending.get_mut(&root.release)
                {
                    of.remove(hash);
                }
                root.window >= window
            });
            !trace.roots.is_empty()
        });
        self.pending.retain(|_, traces| !traces.is_empty());
        self.orphans += orphans;
    }

    /// Nothing more comes.
    pub fn end(&mut self) {
        self.orphans += self.traces.values().filter(|trace| trace.roots.is_empty()).count() as u64;
        self.traces.clear();
        self.pending.clear();
    }

    fn index_of(&mut self, name: &str) -> u16 {
        if let Some(at) = self.places.get(name) {
            return *at;
        }
        // The last place is for all that come after.
        let name = if self.names.len() + 1 < NAMES_MAX { name } else { OTHER_NAME };
        if self.names.len() >= NAMES_MAX {
            return (NAMES_MAX - 1) as u16;
        }
        let at = self.names.len() as u16;
        self.names.push(name.to_owned());
        self.places.insert(name.to_owned(), at);
        at
    }

    /// Name of a service index of a trace.
    pub fn name(&self, service: u16) -> &str {
        self.names.get(usize::from(service)).map_or("", String::as_str)
    }

    /// Share of traces that is followed.
    pub fn followed(&self) -> f64 {
        self.range as f64 / u64::MAX as f64
    }

    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        let of_root = |root: &Root| root.arm.as_deref().map_or(0, memory::text);
        let of_trace = |trace: &Open| {
            memory::list::<u16>(trace.services.len())
                + memory::list::<Root>(trace.roots.len())
                + trace.roots.iter().map(of_root).sum::<u64>()
        };
        let pending = self.pending.values().map(|traces| memory::tree::<u64, ()>(traces.len())).sum::<u64>();
        let names = 2 * self.names.iter().map(|name| memory::text(name)).sum::<u64>();
        memory::tree::<u64, Open>(self.traces.len())
            + self.traces.values().map(of_trace).sum::<u64>()
            + memory::tree::<usize, BTreeSet<u64>>(self.pending.len())
            + pending
            + names
            + memory::list::<String>(self.names.len())
            + memory::tree::<String, u16>(self.places.len())
    }

    /// Writes the state.
    pub fn write(&self, w: &mut Writer) {
        w.fixed(self.range);
        w.uint(self.orphans);
        w.length(self.names.len());
        self.names.iter().for_each(|name| w.text(name));
        w.length(self.traces.len());
        for (hash, trace) in &self.traces {
            w.fixed(*hash);
            w.uint(trace.lines);
            w.int(trace.first_window);
            w.length(trace.services.len());
            trace.services.iter().for_each(|service| w.uint(u64::from(*service)));
            w.length(trace.roots.len());
            for Root { release, window, at, unit, arm } in &trace.roots {
                w.uint(*release as u64);
                w.int(*window);
                w.uint(u64::from(*at));
                w.fixed(*unit);
                w.flag(arm.is_some());
                w.text(arm.as_deref().unwrap_or(""));
            }
        }
        w.length(self.pending.len());
        for (release, traces) in &self.pending {
            w.uint(*release as u64);
            w.length(traces.len());
            traces.iter().for_each(|hash| w.fixed(*hash));
        }
    }

    /// Reads what [`OpenTraces::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<OpenTraces, Damaged> {
        let mut open = OpenTraces { range: r.fixed()?, orphans: r.uint()?, ..OpenTraces::default() };
        for _ in 0..r.length()? {
            let name = r.text()?;
            let at = u16::try_from(open.names.len()).map_err(|_| Damaged("too many names"))?;
            open.places.entry(name.clone()).or_insert(at);
            open.names.push(name);
        }
        for _ in 0..r.length()? {
            let hash = r.fixed()?;
            let mut trace = Open { lines: r.uint()?, first_window: r.int()?, ..Open::default() };
            for _ in 0..r.length()? {
                trace.services.push(r.uint16()?);
            }
            for _ in 0..r.length()? {
                let release = r.uint32()? as usize;
                let (window, at, unit) = (r.int()?, r.uint32()?, r.fixed()?);
                let (has_arm, arm) = (r.flag()?, r.text()?);
                trace.roots.push(Root { release, window, at, unit, arm: has_arm.then_some(arm) });
            }
            open.traces.insert(hash, trace);
        }
        for _ in 0..r.length()? {
            let release = r.uint32()? as usize;
            let mut traces = BTreeSet::new();
            for _ in 0..r.length()? {
                traces.insert(r.fixed()?);
            }
            open.pending.insert(release, traces);
        }
        Ok(open)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::ServiceKey;

    fn row(trace: u64, service: u16, root_at: u32, lines: u32) -> TraceRow {
        TraceRow { trace, unit: 7, root_at, lines, service, arm: 0 }
    }

    #[test]
    fn a_trace_is_complete_one_window_after_its_request() {
        let services = ["front", "cart"].map(|s| ServiceKey {
            environment: String::new(),
            cell: String::new(),
            service: s.into(),
        });
        let arms = ["v2".to_owned()];
        let mut open = OpenTraces::default();
        let entries = [(0, 3)];
        open.add(1, &[row(5, 1, NEVER, 2), row(9, 1, NEVER, 1)], u64::MAX, &entries, &services, &arms);
        open.sweep(1);
        open.add(2, &[row(5, 0, 10, 1)], u64::MAX, &entries, &services, &arms);
        assert!(open.take_complete(3, Some(2)).is_empty());
        open.sweep(2);
        assert_eq!(open.waiting().collect::<Vec<_>>(), [3]);
        open.add(3, &[row(5, 1, NEVER, 4)], u64::MAX, &entries, &services, &arms);
        let mut w = Writer::default();
        open.write(&mut w);
        assert_eq!(OpenTraces::read(&mut Reader::new(&w.bytes)).unwrap(), open);
        let complete = open.take_complete(3, Some(3));
        assert_eq!(complete.len(), 1);
        assert_eq!((complete[0].hash, complete[0].lines, complete[0].services.len()), (5, 7, 2));
        assert_eq!(complete[0].arm.as_deref(), Some("v2"));
        open.sweep(3);
        assert_eq!((open.len(), open.waiting().count()), (1, 0));
        open.sweep(20);
        assert_eq!((open.len(), open.orphans), (0, 1), "a trace without a request is given up and counted");
    }

    #[test]
    fn each_release_takes_a_trace_after_its_own_request() {
        let services = ["front", "cart"].map(|s| ServiceKey {
            environment: String::new(),
            cell: String::new(),
            service: s.into(),
        });
        let arms = ["v2".to_owned()];
        let mut open = OpenTraces::default();
        let entries = [(0, 0), (1, 1)];
        open.add(1, &[row(5, 0, 10, 1)], u64::MAX, &entries, &services, &arms);
        open.sweep(1);
        open.add(2, &[row(5, 1, 20, 3)], u64::MAX, &entries, &services, &arms);
        let lines = |complete: Vec<Trace>| complete.iter().map(|trace| trace.lines).collect::<Vec<_>>();
        assert_eq!(lines(open.take_complete(0, Some(2))), [4]);
        assert_eq!(lines(open.take_complete(1, Some(2))), [0; 0]);
        open.sweep(2);
        assert_eq!(lines(open.take_complete(1, Some(3))), [4]);
        open.sweep(3);
        assert!(open.is_empty() && open.orphans == 0);
    }
}
