//! A partial as bytes.

use crate::event::ServiceKey;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::latency::LatencyTable;
use crate::sketch::partial::{Cell, PARTIAL_VERSION, WindowPartial};
use crate::sketch::rows::{
    AttemptRow, CallRow, ConversionRow, EvidenceClass, EvidenceRow, ExposureRow, InstanceRow, MetricRow, OutcomeRow,
    PairRow, Rows, TraceRow, UnitRow,
};

impl WindowPartial {
    /// Encodes the canonical form.
    pub fn encode(&self) -> Vec<u8> {
        let mut w = Writer::default();
        w.byte(PARTIAL_VERSION);
        w.int(self.window);
        w.length(self.names.services.len());
        for key in &self.names.services {
            w.text(&key.environment);
            w.text(&key.cell);
            w.text(&key.service);
        }
        for list in [&self.names.arms, &self.names.routes, &self.names.instances, &self.streams] {
            w.length(list.len());
            list.iter().for_each(|name| w.text(name));
        }
        w.length(self.cells.len());
        for (service, arm, cell) in &self.cells {
            w.uint(u64::from(*service));
            w.uint(u64::from(*arm));
            cell.counts().iter().for_each(|count| w.uint(*count));
            for table in [&cell.latency, &cell.span_latency, &cell.warnings, &cell.gaps, cell.weights.table()] {
                w.length(table.entries().len());
                let mut last = 0;
                for &(key, count) in table.entries() {
                    w.uint(u64::from(key - last));
                    w.uint(u64::from(count));
                    last = key;
                }
            }
        }
        w.length(self.instances.as_slice().len());
        for row in self.instances.as_slice() {
            [row.service, row.arm, row.instance].iter().for_each(|name| w.uint(u64::from(*name)));
            [row.lines, row.requests, row.warnings, row.late].iter().for_each(|count| w.uint(*count));
        }
        w.length(self.units.as_slice().len());
        for row in self.units.as_slice() {
            w.fixed(row.unit);
            w.uint(u64::from(row.first));
            w.uint(u64::from(row.second.wrapping_add(1)));
            w.uint(u64::from(row.requests));
            w.uint(u64::from(row.errors));
            w.uint(u64::from(row.service));
            w.uint(u64::from(row.arm));
            w.uint(u64::from(row.slowest));
            w.uint(u64::from(row.first_latency));
        }
        w.length(self.exposures.as_slice().len());
        for row in self.exposures.as_slice() {
            w.fixed(row.unit);
            w.uint(u64::from(row.at));
            w.uint(u64::from(row.count));
            w.uint(u64::from(row.service));
            w.uint(u64::from(row.arm));
        }
        w.length(self.outcomes.as_slice().len());
        for row in self.outcomes.as_slice() {
            w.fixed(row.unit);
            w.uint(u64::from(row.at));
            w.uint(u64::from(row.count));
            w.uint(u64::from(row.service));
            w.uint(u64::from(row.latency));
            w.byte(row.status_class);
            w.flag(row.error);
        }
        w.length(self.attempts.as_slice().len());
        for row in self.attempts.as_slice() {
            w.fixed(row.request);
            w.fixed(row.unit);
            w.uint(u64::from(row.at));
            w.uint(u64::from(row.service));
            w.uint(u64::from(row.arm));
            w.uint(u64::from(row.latency));
            w.byte(row.status_class);
            w.flag(row.error);
        }
        w.length(self.conversions.as_slice().len());
        for row in self.conversions.as_slice() {
            w.fixed(row.unit);
            w.uint(u64::from(row.count));
            w.uint(u64::from(row.service));
            w.uint(u64::from(row.arm));
            w.byte(row.event);
        }
        w.fixed(self.metric_range);
        w.length(self.metrics.as_slice().len());
        for row in self.metrics.as_slice() {
            w.fixed(row.unit);
            w.uint(u64::from(row.count));
            w.uint(u64::from(row.service));
            w.uint(u64::from(row.arm));
            w.uint(u64::from(row.bin));
            w.byte(row.metric);
        }
        w.fixed(self.pair_range);
        w.length(self.pairs.as_slice().len());
        for row in self.pairs.as_slice() {
            w.fixed(row.unit);
            w.uint(u64::from(row.service));
            w.uint(u64::from(row.route));
            w.byte(row.classes);
        }
        w.fixed(self.call_range);
        w.length(self.calls.as_slice().len());
        for row in self.calls.as_slice() {
            w.fixed(row.call);
            w.fixed(row.unit);
            w.uint(u64::from(row.service));
            w.uint(u64::from(row.arm));
            w.uint(u64::from(row.requests));
            w.uint(u64::from(row.failed));
            w.int(row.begin);
            w.uint(u64::from(row.first));
            w.flag(row.first_failed);
            w.uint(u64::from(row.slowest));
            w.flag(row.slowest_failed);
        }
        w.fixed(self.trace_range);
        w.length(self.traces.as_slice().len());
        for row in self.traces.as_slice() {
            w.fixed(row.trace);
            w.fixed(row.unit);
            w.uint(u64::from(row.root_at.wrapping_add(1)));
            w.uint(u64::from(row.lines));
            w.uint(u64::from(row.service));
            w.uint(u64::from(row.arm));
        }
        w.length(self.evidence.as_slice().len());
        for row in self.evidence.as_slice() {
            w.byte(row.rank.0);
            w.fixed(row.rank.1);
            w.uint(row.offset);
            w.uint(u64::from(row.at));
            w.uint(u64::from(row.stream));
            w.uint(u64::from(row.service));
            w.uint(u64::from(row.arm));
            w.uint(u64::from(row.route));
            w.uint(u64::from(row.latency));
            w.byte(row.status_class);
            w.flag(row.class == EvidenceClass::Slow);
        }
        let t = &self.tally;
        [t.records, t.events, t.on_time, t.late, t.outside].iter().for_each(|count| w.uint(*count));
        t.rejects.iter().for_each(|count| w.uint(*count));
        self.encode_segments(&mut w);
        self.encode_templates(&mut w);
        w.bytes
    }

    /// Decodes what [`WindowPartial::encode`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn decode(bytes: &[u8]) -> Result<WindowPartial, Damaged> {
        let mut r = Reader::new(bytes);
        if r.byte()? != PARTIAL_VERSION {
            return Err(Damaged("partial of another version"));
        }
        let mut partial = WindowPartial::new(r.int()?);
        for _ in 0..r.length()? {
            partial.names.services.push(ServiceKey { environment: r.text()?, cell: r.text()?, service: r.text()? });
        }
        let names = &mut partial.names;
        for list in [&mut names.arms, &mut names.routes, &mut names.instances, &mut partial.streams] {
            for _ in 0..r.length()? {
                list.push(r.text()?);
            }
        }
        for _ in 0..r.length()? {
            let (service, arm) = (r.uint16()?, r.uint16()?);
            let mut cell = Cell::default();
            for slot in cell.counts_mut() {
                *slot = r.uint()?;
            }
            for table in cell.tables_mut() {
                let mut entries = Vec::new();
                let mut key = 0u32;
                for _ in 0..r.length()? {
                    key = key.checked_add(r.uint32()?).ok_or(Damaged("latency key out of range"))?;
                    entries.push((key, r.uint32()?));
                }
                *table = LatencyTable::from_entries(entries);
            }
            partial.cells.push((service, arm, cell));
        }
        let mut rows = Vec::new();
        for _ in 0..r.length()? {
            rows.push(InstanceRow {
                service: r.uint16()?,
                arm: r.uint16()?,
                instance: r.uint16()?,
                lines: r.uint()?,
                requests: r.uint()?,
                warnings: r.uint()?,
                late: r.uint()?,
            });
        }
        partial.instances = Rows::from_vec(rows);
        let mut rows = Vec::new();
        for _ in 0..r.length()? {
            rows.push(UnitRow {
                unit: r.fixed()?,
                first: r.uint32()?,
                second: r.uint32()?.wrapping_sub(1),
                requests: r.uint32()?,
                errors: r.uint32()?,
                service: r.uint16()?,
                arm: r.uint16()?,
                slowest: r.uint16()?,
                first_latency: r.uint16()?,
            });
        }
        partial.units = Rows::from_vec(rows);
        let mut rows = Vec::new();
        for _ in 0..r.length()? {
            rows.push(ExposureRow {
                unit: r.fixed()?,
                at: r.uint32()?,
                count: r.uint32()?,
                service: r.uint16()?,
                arm: r.uint16()?,
            });
        }
        partial.exposures = Rows::from_vec(rows);
        let mut rows = Vec::new();
        for _ in 0..r.length()? {
            rows.push(OutcomeRow {
                unit: r.fixed()?,
                at: r.uint32()?,
                count: r.uint32()?,
                service: r.uint16()?,
                latency: r.uint16()?,
                status_class: r.byte()?,
                error: r.flag()?,
            });
        }
        partial.outcomes = Rows::from_vec(rows);
        let mut rows = Vec::new();
        for _ in 0..r.length()? {
            rows.push(AttemptRow {
                request: r.fixed()?,
                unit: r.fixed()?,
                at: r.uint32()?,
                service: r.uint16()?,
                arm: r.uint16()?,
                latency: r.uint16()?,
                status_class: r.byte()?,
                error: r.flag()?,
            });
        }
        partial.attempts = Rows::from_vec(rows);
        let mut rows = Vec::new();
        for _ in 0..r.length()? {
            rows.push(ConversionRow {
                unit: r.fixed()?,
                count: r.uint32()?,
                service: r.uint16()?,
                arm: r.uint16()?,
                event: r.byte()?,
            });
        }
        partial.conversions = Rows::from_vec(rows);
        partial.metric_range = r.fixed()?;
        let mut rows = Vec::new();
        for _ in 0..r.length()? {
            rows.push(MetricRow {
                unit: r.fixed()?,
                count: r.uint32()?,
                service: r.uint16()?,
                arm: r.uint16()?,
                bin: r.uint16()?,
                metric: r.byte()?,
            });
        }
        partial.metrics = Rows::from_vec(rows);
        partial.pair_range = r.fixed()?;
        let mut rows = Vec::new();
        for _ in 0..r.length()? {
            rows.push(PairRow { unit: r.fixed()?, service: r.uint16()?, route: r.uint16()?, classes: r.byte()? });
        }
        partial.pairs = Rows::from_vec(rows);
        partial.call_range = r.fixed()?;
        let mut rows = Vec::new();
        for _ in 0..r.length()? {
            rows.push(CallRow {
                call: r.fixed()?,
                unit: r.fixed()?,
                service: r.uint16()?,
                arm: r.uint16()?,
                requests: r.uint16()?,
                failed: r.uint16()?,
                begin: r.int()?,
                first: r.uint16()?,
                first_failed: r.flag()?,
                slowest: r.uint16()?,
                slowest_failed: r.flag()?,
            });
        }
        partial.calls = Rows::from_vec(rows);
        partial.trace_range = r.fixed()?;
        let mut rows = Vec::new();
        for _ in 0..r.length()? {
            rows.push(TraceRow {
                trace: r.fixed()?,
                unit: r.fixed()?,
                root_at: r.uint32()?.wrapping_sub(1),
                lines: r.uint32()?,
                service: r.uint16()?,
                arm: r.uint16()?,
            });
        }
        partial.traces = Rows::from_vec(rows);
        let mut rows = Vec::new();
        for _ in 0..r.length()? {
            rows.push(EvidenceRow {
                rank: (r.byte()?, r.fixed()?),
                offset: r.uint()?,
                at: r.uint32()?,
                stream: r.uint16()?,
                service: r.uint16()?,
                arm: r.uint16()?,
                route: r.uint16()?,
                latency: r.uint16()?,
                status_class: r.byte()?,
                class: if r.flag()? { EvidenceClass::Slow } else { EvidenceClass::Error },
            });
        }
        partial.evidence = Rows::from_vec(rows);
        let t = &mut partial.tally;
        for slot in [&mut t.records, &mut t.events, &mut t.on_time, &mut t.late, &mut t.outside] {
            *slot = r.uint()?;
        }
        for slot in &mut t.rejects {
            *slot = r.uint()?;
        }
        partial.decode_segments(&mut r)?;
        partial.decode_templates(&mut r)?;
        r.end()?;
        Ok(partial)
    }
}
