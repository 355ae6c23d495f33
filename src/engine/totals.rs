//! What one service did under one arm since the comparison began: shown, and checked for measurements that differ.

use crate::engine::memory;
use crate::event::WEIGHT_ONE;
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::latency::Histogram;
use crate::sketch::partial::Cell;

/// Sums over windows.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Totals {
    /// Lines of any kind.
    pub lines: u64,
    /// Requests.
    pub requests: u64,
    /// Failed requests.
    pub errors: u64,
    /// Spans.
    pub spans: u64,
    /// Lines of level warn.
    pub warn_lines: u64,
    /// Lines of level error or worse.
    pub error_lines: u64,
    /// Requests by status divided by 100; index 0 without one.
    pub status: [u64; 6],
    /// Business events.
    pub business: u64,
    /// Requests without a unit.
    pub without_unit: u64,
    /// Those of them that failed.
    pub errors_without_unit: u64,
    /// Requests that did not fail and whose latency is a text.
    pub latency_text: u64,
    /// Requests that did not fail, with a latency field whose value is none.
    pub latency_unread: u64,
    /// Requests that did not fail and whose status is a text.
    pub status_text: u64,
    /// Requests that did not fail, with a status field whose value is none.
    pub status_unread: u64,
    /// Requests whose sampling rate is none.
    pub rates_unread: u64,
    /// Requests without a latency.
    pub without_latency: u64,
    /// Sum of latencies, microseconds.
    pub latency_sum_us: u64,
    /// Sum of sampling weights of requests, in units of 1 / [`WEIGHT_ONE`].
    pub request_weight: u64,
    /// Sum of sampling weights of failed requests.
    pub error_weight: u64,
    /// Late lines.
    pub late: u64,
    /// Latency of requests with a unit.
    pub latency: Histogram,
    /// Latency of spans.
    pub span_latency: Histogram,
}

impl Totals {
    /// Bytes on the heap.
    pub fn bytes(&self) -> u64 {
        memory::list::<u64>(self.latency.len()) + memory::list::<u64>(self.span_latency.len())
    }

    /// Adds a cell of a window.
    pub fn add(&mut self, cell: &Cell) {
        self.lines += cell.lines;
        self.requests += cell.requests;
        self.errors += cell.errors;
        self.spans += cell.spans;
        self.warn_lines += cell.warn_lines;
        self.error_lines += cell.error_lines;
        for (mine, theirs) in self.status.iter_mut().zip(cell.status) {
            *mine += theirs;
        }
        self.business += cell.business;
        self.without_unit += cell.without_unit;
        self.errors_without_unit += cell.errors_without_unit;
        self.latency_text += cell.latency_text;
        self.latency_unread += cell.latency_unread;
        self.status_text += cell.status_text;
        self.status_unread += cell.status_unread;
        self.rates_unread += cell.rates_unread;
        self.without_latency += cell.without_latency;
        self.latency_sum_us = self.latency_sum_us.saturating_add(cell.latency_sum_us);
        self.request_weight += cell.request_weight;
        self.error_weight += cell.error_weight;
        self.late += cell.late;
        cell.latency.iter().for_each(|(_, bin, count)| self.latency.add(bin, count));
        cell.span_latency.iter().for_each(|(_, bin, count)| self.span_latency.add(bin, count));
    }

    /// Latency of requests; of spans where the service has no requests.
    pub fn shown_latency(&self) -> &Histogram {
        if self.requests > 0 { &self.latency } else { &self.span_latency }
    }

    /// Adds the latency of requests that a cell has counted without it; `latency`: their bin plus one, 0 without.
    pub fn add_latency(&mut self, requests: u64, latency: u16) {
        if let Some(bin) = latency.checked_sub(1) {
            self.latency.add(bin, requests);
        }
    }

    /// Some request has a status, or failed. Lines of other work that are bad say nothing of requests that do not tell how they ended.
    pub fn tells_errors(&self) -> bool {
        self.errors + self.status.iter().skip(1).sum::<u64>() > 0
    }

    /// Adds requests that were joined to this arm by their unit; `latency`: their bin plus one, 0 without; `status_class`:
    /// their status divided by 100, 0 without.
    pub fn add_joined(&mut self, requests: u64, errors: u64, latency: u16, status_class: u8) {
        if let Some(slot) = self.status.get_mut(usize::from(status_class)) {
            *slot += requests;
        }
        match latency.checked_sub(1) {
            Some(bin) => self.latency.add(bin, requests),
            None => self.without_latency += requests,
        }
        self.requests += requests;
        self.errors += errors;
        self.request_weight += requests * u64::from(WEIGHT_ONE);
        self.error_weight += errors * u64::from(WEIGHT_ONE);
    }

    fn counts(&self) -> [u64; 25] {
        let [s0, s1, s2, s3, s4, s5] = self.status;
        [
            self.lines,
            self.requests,
            self.errors,
            self.spans,
            self.warn_lines,
            self.error_lines,
            s0,
            s1,
            s2,
            s3,
            s4,
            s5,
            self.business,
            self.without_unit,
            self.errors_without_unit,
            self.latency_text,
            self.latency_unread,
            self.status_text,
            self.status_unread,
            self.rates_unread,
            self.without_latency,
            self.latency_sum_us,
            self.request_weight,
            self.error_weight,
            self.late,
        ]
    }

    /// Writes the sums.
    pub fn write(&self, w: &mut Writer) {
        self.counts().into_iter().for_each(|count| w.uint(count));
        for histogram in [&self.latency, &self.span_latency] {
            w.length(histogram.iter().count());
            for (bin, count) in histogram.iter() {
                w.uint(u64::from(bin));
                w.uint(count);
            }
        }
    }

    /// Reads what [`Totals::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub fn read(r: &mut Reader<'_>) -> Result<Totals, Damaged> {
        let mut t = Totals {
            lines: r.uint()?,
            requests: r.uint()?,
            errors: r.uint()?,
            spans: r.uint()?,
            warn_lines: r.uint()?,
            error_lines: r.uint()?,
            ..Totals::default()
        };
        for slot in &mut t.status {
            *slot = r.uint()?;
        }
        t.business = r.uint()?;
        t.without_unit = r.uint()?;
        t.errors_without_unit = r.uint()?;
        t.latency_text = r.uint()?;
        t.latency_unread = r.uint()?;
        t.status_text = r.uint()?;
        t.status_unread = r.uint()?;
        t.rates_unread = r.uint()?;
        t.without_latency = r.uint()?;
        t.latency_sum_us = r.uint()?;
        t.request_weight = r.uint()?;
        t.error_weight = r.uint()?;
        t.late = r.uint()?;
        for histogram in [&mut t.latency, &mut t.span_latency] {
            for _ in 0..r.length()? {
                let bin = r.uint16()?;
                histogram.add(bin, r.uint()?);
            }
        }
        Ok(t)
    }
}
