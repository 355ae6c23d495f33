//! From the rows of a merged window to what a comparison takes: lines and pairs of its entry service, with their arm.

use std::cmp::Reverse;

use crate::engine::instances::Instances;
use crate::engine::lookup::of_service;
use crate::engine::templates::{TemplateInput, TemplateLines, TemplatePair};
use crate::engine::units::Arm;
use crate::event::{self, NO_NAME, NameId};
use crate::sketch::partial::WindowPartial;
use crate::sketch::rows::NEVER;
use crate::sketch::templates::{TemplatePairRow, TemplateRow};
use crate::time::Timestamp;

impl<'a> TemplateInput<'a> {
    /// Templates of a window. A line that names no arm has that of its unit, else of its trace's unit, else of its instance;
    /// `start`: of the window.
    pub(in crate::engine) fn of(
        merged: &'a WindowPartial,
        entry: Option<NameId>,
        arm_of_id: impl Fn(NameId) -> Option<Arm>,
        instances: &Instances,
        start: Timestamp,
    ) -> TemplateInput<'a> {
        if merged.templates.is_empty() {
            return TemplateInput::default();
        }
        let lines = of_service(merged.templates.as_slice(), entry, |row| row.service)
            .iter()
            // What another arm wrote is no part of this comparison.
            .filter(|row| row.arm == NO_NAME || arm_of_id(row.arm).is_some())
            .map(|row| {
                let of_instance = || instances.arm_of(event::name_at(&merged.names.instances, row.instance)?);
                TemplateLines {
                    id: row.template,
                    severe: row.severe,
                    arm: arm_of_id(row.arm).or_else(of_instance),
                    lines: row.lines,
                    text: merged.template_text(row.template),
                    place: place_of(row, merged, start),
                }
            })
            .collect();
        let pairs = merged.template_pairs.each_ref().map(|of_class| {
            let halvings = of_class.range.leading_zeros();
            let mut pairs: Vec<TemplatePair> = of_service(of_class.rows.as_slice(), entry, |row| row.service)
                .iter()
                .filter_map(|row| {
                    let armless = u64::from(row.armless).checked_shl(halvings).unwrap_or(u64::MAX);
                    Some(TemplatePair { unit: unit_of(row, merged)?, id: row.template, armless })
                })
                .collect();
            pairs.sort_unstable();
            pairs
        });
        TemplateInput { lines, pairs }
    }
}

/// The unit of a pair; that of a trace is the unit of its earliest request in the window.
fn unit_of(row: &TemplatePairRow, merged: &WindowPartial) -> Option<u64> {
    if !row.is_trace {
        return Some(row.who);
    }
    let traces = merged.traces.as_slice();
    let from = traces.partition_point(|trace| trace.trace < row.who);
    let same = traces.get(from..)?.iter().take_while(|trace| trace.trace == row.who);
    same.filter(|trace| trace.unit != 0)
        .max_by_key(|trace| Reverse((trace.root_at, trace.unit)))
        .map(|trace| trace.unit)
}

/// Time, which of several at that time, offset, stream.
fn place_of<'a>(
    row: &TemplateRow,
    merged: &'a WindowPartial,
    start: Timestamp,
) -> Option<(Timestamp, u64, u64, &'a str)> {
    let stream = event::name_at(&merged.streams, row.stream)?;
    (row.at != NEVER).then(|| (Timestamp(start.0 + i64::from(row.at)), row.tie, row.offset, stream.as_str()))
}
