//! Open traces: lines and services of a trace, gathered over windows until the window after its request has closed.

use std::collections::BTreeMap;

use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::trace_hash;
use crate::sketch::rows::{NEVER, TraceRow};

/// Traces that are open at once; past it the sample halves.
const OPEN_MAX: usize = 65_536;
/// Windows after which a trace without a request is given up.
const ORPHAN_WINDOWS: i64 = 6;

/// Names of services that are told apart; further ones share one.
const NAMES_MAX: usize = 4_096;
/// The name that they share.
const OTHER_NAME: &str = "(other)";

/// One trace.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Trace {
    /// Unit of its request, 0 when that has none.
    pub unit: u64,
    /// Arm of its request by name; `None` when the request carries none.
    pub arm: Option<String>,
    /// Window and time of the request, once seen.
    root: Option<(i64, u32)>,
    /// Lines of any kind.
    pub lines: u64,
    /// Services that it called.
    pub services: Vec<u16>,
    first_window: i64,
}

/// Traces that may still grow.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OpenTraces {
    traces: BTreeMap<u64, Trace>,
    /// Names of services, in order of appearance.
    names: Vec<String>,
    /// Traces whose keyed hash is above this are not followed: their lines were not all seen.
    range: u64,
    /// Traces given up without a request.
    pub orphans: u64,
}

impl Default for OpenTraces {
    fn default() -> Self {
        OpenTraces { traces: BTreeMap::new(), names: Vec::new(), range: u64::MAX, orphans: 0 }
    }
}

impl Trace {
    /// Window of its request.
    pub fn window(&self) -> Option<i64> {
        self.root.map(|(window, _)| window)
    }
}

impl OpenTraces {
    /// Adds the rows of a window. `entry`: index of the service whose requests are judged. `services`, `arms`: names of
    /// the partial.
    pub fn add(
        &mut self,
        window: i64,
        rows: &[TraceRow],
        range: u64,
        entry: Option<u16>,
        services: &[crate::event::ServiceKey],
        arms: &[String],
    ) {
        if range < self.range {
            self.range = range;
            self.traces.retain(|trace, _| trace_hash(*trace) <= range);
        }
        for row in rows {
            if trace_hash(row.trace) > self.range {
                continue;
            }
            let name = services.get(usize::from(row.service)).map_or("", |key| key.service.as_str());
            let service = self.index_of(name);
            let trace =
                self.traces.entry(row.trace).or_insert_with(|| Trace { first_window: window, ..Trace::default() });
            trace.lines += u64::from(row.lines);
            if let Err(at) = trace.services.binary_search(&service) {
                trace.services.insert(at, service);
            }
            let at = (window, row.root_at);
            if row.root_at != NEVER && entry == Some(row.service) && trace.root.is_none_or(|known| at < known) {
                trace.root = Some(at);
                trace.unit = row.unit;
                trace.arm = arms.get(usize::from(row.arm)).cloned();
            }
        }
        while self.traces.len() > OPEN_MAX {
            self.range >>= 1;
            let range = self.range;
            self.traces.retain(|trace, _| trace_hash(*trace) <= range);
        }
    }

    /// Takes the traces whose request was seen before `window`, in order of their hash; all with a request at the end.
    pub fn take_complete(&mut self, window: Option<i64>) -> Vec<(u64, Trace)> {
        let mut complete = Vec::new();
        let mut orphans = 0;
        self.traces.retain(|hash, trace| {
            let Some(window) = window else {
                complete.push((*hash, std::mem::take(trace)));
                return false;
            };
            match trace.root {
                Some((root, _)) if root < window => {
                    complete.push((*hash, std::mem::take(trace)));
                    false
                }
                Some(_) => true,
                None => {
                    let keep = window - trace.first_window <= ORPHAN_WINDOWS;
                    orphans += u64::from(!keep);
                    keep
                }
            }
        });
        complete.retain(|(_, trace)| {
            orphans += u64::from(trace.root.is_none());
            trace.root.is_some()
        });
        self.orphans += orphans;
        complete
    }

    fn index_of(&mut self, name: &str) -> u16 {
        if let Some(at) = self.names.iter().position(|known| known == name) {
            return at as u16;
        }
        // The last place is for all that come after.
        let name = if self.names.len() + 1 < NAMES_MAX { name } else { OTHER_NAME };
        if self.names.len() >= NAMES_MAX {
            return (NAMES_MAX - 1) as u16;
        }
        self.names.push(name.to_owned());
        (self.names.len() - 1) as u16
    }

    /// Name of a service index of a trace.
    pub fn name(&self, service: u16) -> &str {
        self.names.get(usize::from(service)).map_or("", String::as_str)
    }

    /// Share of traces that is followed.
    pub fn followed(&self) -> f64 {
        self.range as f64 / u64::MAX as f64
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
            w.fixed(trace.unit);
            w.flag(trace.arm.is_some());
            w.text(trace.arm.as_deref().unwrap_or(""));
            w.flag(trace.root.is_some());
            let (window, at) = trace.root.unwrap_or((0, 0));
            w.int(window);
            w.uint(u64::from(at));
            w.uint(trace.lines);
            w.int(trace.first_window);
            w.length(trace.services.len());
            trace.services.iter().for_each(|service| w.uint(u64::from(*service)));
        }
    }

    /// Reads what [`OpenTraces::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<OpenTraces, Damaged> {
        let mut open = OpenTraces { range: r.fixed()?, orphans: r.uint()?, ..OpenTraces::default() };
        for _ in 0..r.length()? {
            open.names.push(r.text()?);
        }
        for _ in 0..r.length()? {
            let hash = r.fixed()?;
            let unit = r.fixed()?;
            let (has_arm, arm) = (r.flag()?, r.text()?);
            let (has_root, window, at) = (r.flag()?, r.int()?, r.uint32()?);
            let (lines, first_window) = (r.uint()?, r.int()?);
            let mut services = Vec::new();
            for _ in 0..r.length()? {
                services.push(r.uint16()?);
            }
            let trace = Trace {
                unit,
                arm: has_arm.then_some(arm),
                root: has_root.then_some((window, at)),
                lines,
                services,
                first_window,
            };
            open.traces.insert(hash, trace);
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
        let services = ["front", "cart"].map(|s| ServiceKey { environment: String::new(), service: s.into() });
        let arms = ["v2".to_owned()];
        let mut open = OpenTraces::default();
        open.add(1, &[row(5, 1, NEVER, 2), row(9, 1, NEVER, 1)], u64::MAX, Some(0), &services, &arms);
        open.add(2, &[row(5, 0, 10, 1)], u64::MAX, Some(0), &services, &arms);
        assert!(open.take_complete(Some(2)).is_empty());
        open.add(3, &[row(5, 1, NEVER, 4)], u64::MAX, Some(0), &services, &arms);
        let mut w = Writer::default();
        open.write(&mut w);
        assert_eq!(OpenTraces::read(&mut Reader::new(&w.bytes)).unwrap(), open);
        let complete = open.take_complete(Some(3));
        assert_eq!(complete.len(), 1);
        assert_eq!((complete[0].1.lines, complete[0].1.services.len()), (7, 2));
        assert_eq!(complete[0].1.arm.as_deref(), Some("v2"));
        open.take_complete(Some(20));
        assert_eq!(open.orphans, 1, "a trace without a request is given up and counted");
    }
}
