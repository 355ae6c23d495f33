//! Requests whose arm is found when their window closes: attempts that share a request, and outcomes without an arm.

use std::collections::BTreeMap;

use crate::engine::comparison::Comparison;
use crate::engine::lookup::{concerns, of_service};
use crate::engine::memory;
use crate::engine::units::Arm;
use crate::engine::user_effects::HistoryRequest;
use crate::event::{self, NameId, ServiceKey};
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::WindowPartial;
use crate::sketch::rows::{AttemptRow, OutcomeRow};

/// A request whose attempts may not all have been seen.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct OpenAttempt {
    arm: Option<String>,
    unit: u64,
    /// When it counts, microseconds after the start of the window in which it is complete.
    at: u32,
    latency: u16,
    /// Of the last attempt so far: status divided by 100, 0 without.
    status_class: u8,
    /// Whether the first attempt failed, and whether the last so far did.
    first_error: bool,
    error: bool,
}

/// Attempts of the window before, which this window may complete.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct OpenAttempts {
    waiting: BTreeMap<u64, OpenAttempt>,
}

impl OpenAttempts {
    /// Nothing waits.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Joins attempts that share a request: the first attempt's arm owns the outcome, the last attempt's result is it.
    ///
    /// An attempt follows one that failed; after one that succeeded another request begins. A request that has failed so
    /// far waits one window for a further attempt. Returns the complete ones.
    pub(super) fn join(&mut self, merged: &WindowPartial, entry: Option<NameId>) -> Vec<OpenAttempt> {
        let rows = of_service(merged.attempts.as_slice(), entry, |row| row.service);
        if rows.is_empty() && self.waiting.is_empty() {
            return Vec::new();
        }
        let mut waiting = std::mem::take(&mut self.waiting);
        let mut complete = Vec::new();
        for group in rows.chunk_by(|a: &AttemptRow, b: &AttemptRow| (a.service, a.request) == (b.service, b.request)) {
            let Some(head) = group.first() else { continue };
            // One that comes from the window before has waited long enough, and is not put back.
            let mut old = waiting.remove(&head.request);
            let mut open: Option<OpenAttempt> = None;
            for row in group {
                match old.as_mut().or(open.as_mut()) {
                    Some(earlier) if earlier.error && earlier.unit == row.unit => {
                        earlier.error = row.error;
                        earlier.status_class = row.status_class;
                        earlier.latency = earlier.latency.max(row.latency);
                        continue;
                    }
                    Some(_) | None => {}
                }
                complete.extend(old.take().or(open.take()));
                open = Some(OpenAttempt {
                    arm: event::name_at(&merged.names.arms, row.arm).cloned(),
                    unit: row.unit,
                    at: row.at,
                    latency: row.latency,
                    status_class: row.status_class,
                    first_error: row.error,
                    error: row.error,
                });
            }
            complete.extend(old);
            match open {
                Some(open) if open.error => {
                    self.waiting.insert(head.request, OpenAttempt { at: 0, ..open });
                }
                Some(open) => complete.push(open),
                None => {}
            }
        }
        complete.extend(waiting.into_values());
        complete
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> u64 {
        let arms = self.waiting.values().map(|open| open.arm.as_deref().map_or(0, memory::text));
        memory::tree::<u64, OpenAttempt>(self.waiting.len()) + arms.sum::<u64>()
    }

    pub(super) fn write(&self, w: &mut Writer) {
        w.length(self.waiting.len());
        for (request, open) in &self.waiting {
            w.fixed(*request);
            w.flag(open.arm.is_some());
            w.text(open.arm.as_deref().unwrap_or(""));
            w.fixed(open.unit);
            w.uint(u64::from(open.latency));
            w.byte(open.status_class);
            w.flag(open.first_error);
            w.flag(open.error);
        }
    }

    pub(super) fn read(r: &mut Reader<'_>) -> Result<OpenAttempts, Damaged> {
        let mut state = OpenAttempts::default();
        for _ in 0..r.length()? {
            let request = r.fixed()?;
            let (has_arm, arm) = (r.flag()?, r.text()?);
            let open = OpenAttempt {
                arm: has_arm.then_some(arm),
                unit: r.fixed()?,
                at: 0,
                latency: r.uint16()?,
                status_class: r.byte()?,
                first_error: r.flag()?,
                error: r.flag()?,
            };
            state.waiting.insert(request, open);
        }
        Ok(state)
    }
}

/// A request that is joined to an arm when its window closes.
pub(super) struct Joined {
    pub(super) unit: u64,
    /// Its own arm.
    pub(super) arm: Option<Arm>,
    pub(super) at: u32,
    pub(super) count: u32,
    pub(super) latency: u16,
    pub(super) status_class: u8,
    pub(super) error: bool,
    /// Its lines carry no arm, so no cell of an arm has counted it.
    pub(super) armless: bool,
    /// Its first attempt failed, its last did not.
    pub(super) recovered: bool,
}

/// Requests of a window whose arm is known without a comparison, for the history: complete attempts, and outcomes whose unit
/// was exposed before them in the window.
pub(super) fn requests_with_arm<'a>(
    merged: &'a WindowPartial,
    entry: Option<NameId>,
    judged: Option<&ServiceKey>,
    attempts: &'a [OpenAttempt],
) -> Vec<HistoryRequest<'a>> {
    let of_attempt = |attempt: &'a OpenAttempt| {
        let (unit, at, latency) = (attempt.unit, attempt.at, attempt.latency);
        Some(HistoryRequest { unit, at, arm: attempt.arm.as_deref()?, count: 1, latency })
    };
    let mut list: Vec<HistoryRequest<'a>> = attempts.iter().filter_map(of_attempt).collect();
    let outcomes = of_service(merged.outcomes.as_slice(), entry, |row| row.service);
    if outcomes.is_empty() {
        return list;
    }
    let exposures = merged.exposures.as_slice().iter().filter(|row| concerns(merged, row.service, judged));
    let mut exposed: Vec<(u64, u32, NameId)> = exposures.map(|row| (row.unit, row.at, row.arm)).collect();
    exposed.sort_unstable();
    list.extend(outcomes.iter().filter_map(|row| {
        let until = exposed.partition_point(|(unit, at, _)| (*unit, *at) <= (row.unit, row.at));
        let (_, _, arm) = exposed[..until].last().filter(|(unit, _, _)| *unit == row.unit)?;
        let arm = event::name_at(&merged.names.arms, *arm)?;
        Some(HistoryRequest { unit: row.unit, at: row.at, arm, count: row.count, latency: row.latency })
    }));
    list
}

pub(super) fn joined_requests(
    comparison: &Comparison,
    outcomes: &[OutcomeRow],
    attempts: &[OpenAttempt],
) -> Vec<Joined> {
    let of_outcome = |row: &OutcomeRow| Joined {
        unit: row.unit,
        arm: None,
        at: row.at,
        count: row.count,
        latency: row.latency,
        status_class: row.status_class,
        error: row.error,
        armless: true,
        recovered: false,
    };
    let of_attempt = |attempt: &OpenAttempt| {
        let arm = match &attempt.arm {
            None => None,
            Some(name) if *name == comparison.control => Some(Arm::Control),
            Some(name) if *name == comparison.candidate => Some(Arm::Candidate),
            Some(_) => return None,
        };
        Some(Joined {
            unit: attempt.unit,
            arm,
            at: attempt.at,
            count: 1,
            latency: attempt.latency,
            status_class: attempt.status_class,
            error: attempt.error,
            armless: arm.is_none(),
            recovered: attempt.first_error && !attempt.error,
        })
    };
    outcomes.iter().map(of_outcome).chain(attempts.iter().filter_map(of_attempt)).collect()
}
