//! Segments of a partial: which values of the plan's fields each unit came with.

use crate::event::{self, Kind, NO_NAME, NO_SEGMENTS};
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::latency::log2_fixed;
use crate::sketch::partial::{WindowPartial, pair_hash, settle_sample};
use crate::sketch::rows::{Rows, SegmentRow};

/// Rows of one window; past it the sample of units halves.
const SEGMENT_ROWS_MAX: usize = 1 << 18;

impl WindowPartial {
    /// Counts a request or an exposure of a unit. `latency`: its bin plus one, 0 without a latency.
    #[inline]
    pub(super) fn count_segments(&mut self, event: &event::Event, offset_us: u32, latency: u16) {
        if event.unit == 0 || pair_hash(event.unit) > self.segment_range {
            return;
        }
        // Attempts of one request may be joined to one that has another latency: they are in no test of a segment's latency.
        let has_latency = latency != 0 && event.request == 0;
        let value = if has_latency { u64::from(log2_fixed(latency - 1).unsigned_abs()) } else { 0 };
        self.segments.add(SegmentRow {
            unit: event.unit,
            at: offset_us,
            latencies: u32::from(has_latency),
            sum: value,
            square: value * value,
            service: event.service,
            arm: event.arm,
            values: event.segments,
            exposed: event.kind == Kind::Exposure,
        });
    }

    /// Rows of units that are no longer in the sample go before names are looked at: whether they were here at all depends
    /// on how lines were cut.
    pub(super) fn drop_segments(&mut self) {
        if self.segments.is_empty() {
            return;
        }
        let range = self.segment_range;
        self.segments.retain(|row| pair_hash(row.unit) <= range);
        if self.segments.len() > SEGMENT_ROWS_MAX {
            self.settle_segments();
        }
    }

    /// Rows of units in the sample, which halves while there are too many.
    pub(super) fn settle_segments(&mut self) {
        let range = self.segment_range;
        self.segment_range = settle_sample(&mut self.segments, range, SEGMENT_ROWS_MAX, |row| pair_hash(row.unit));
    }

    /// Marks the values that rows refer to; `used`: by field.
    pub(super) fn mark_segments(&self, used: &mut [Vec<bool>; event::SEGMENT_FIELDS_MAX]) {
        for row in self.segments.iter() {
            for (used, value) in used.iter_mut().zip(row.values) {
                if value != NO_NAME
                    && let Some(slot) = used.get_mut(usize::from(value))
                {
                    *slot = true;
                }
            }
        }
    }

    /// Writes names and rows; where there are none, one zero.
    pub(super) fn encode_segments(&self, w: &mut Writer) {
        let rows = self.segments.as_slice();
        w.length(rows.len());
        if rows.is_empty() {
            return;
        }
        w.fixed(self.segment_range);
        for values in &self.names.segments {
            w.length(values.len());
            values.iter().for_each(|value| w.text(value));
        }
        for row in rows {
            w.fixed(row.unit);
            [row.sum, row.square].into_iter().for_each(|sum| w.uint(sum));
            [row.at, row.latencies].into_iter().for_each(|count| w.uint(u64::from(count)));
            [row.service, row.arm].into_iter().chain(row.values).for_each(|id| w.uint(u64::from(id)));
            w.flag(row.exposed);
        }
    }

    /// Reads what [`WindowPartial::encode_segments`] wrote.
    pub(super) fn decode_segments(&mut self, r: &mut Reader<'_>) -> Result<(), Damaged> {
        let number = r.length()?;
        if number == 0 {
            return Ok(());
        }
        self.segment_range = r.fixed()?;
        for values in &mut self.names.segments {
            for _ in 0..r.length()? {
                values.push(r.text()?);
            }
        }
        let mut rows = Vec::new();
        for _ in 0..number {
            let (unit, sum, square) = (r.fixed()?, r.uint()?, r.uint()?);
            let (at, latencies) = (r.uint32()?, r.uint32()?);
            let (service, arm) = (r.uint16()?, r.uint16()?);
            let mut values = NO_SEGMENTS;
            for value in &mut values {
                *value = r.uint16()?;
            }
            let exposed = r.flag()?;
            rows.push(SegmentRow { unit, sum, square, at, latencies, service, arm, values, exposed });
        }
        self.segments = Rows::from_vec(rows);
        Ok(())
    }
}
