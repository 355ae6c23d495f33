//! Keeps one line with a wrong clock from making all others late (WN-3).
//!
//! A line far ahead of its stream's watermark is held. Lines that follow and do not fall back agree with it; after
//! [`AGREEING_LINES`] of them the stream has really moved on (a gap, a restart) and all are taken. A line that falls
//! back contradicts what lies far ahead of it, and that becomes rejects. A pure function of the stream's content.

use serde::{Deserialize, Serialize};

use crate::event::{
    Event, Intern, NO_SEGMENTS, NO_TEMPLATE, NameId, SEGMENT_FIELDS_MAX, ServiceKey, TemplateText, name_at,
};
use crate::fold::JUMP;
use crate::time::{HOUR, Micros};

/// Further lines that must agree before a jump is believed.
pub const AGREEING_LINES: usize = 20;

/// At the end of a stream, how far ahead lines may lie that only a few others agree with: a pause, not a wrong clock.
const END_JUMP: Micros = 24 * HOUR;

/// An event that is held, with its names written out, since it may outlive its chunk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct HeldEvent {
    event: Event,
    service: ServiceKey,
    arm: Option<String>,
    route: Option<String>,
    instance: Option<String>,
    template: Option<String>,
    segments: [Option<String>; SEGMENT_FIELDS_MAX],
    /// Offset after its line.
    pub after: u64,
}

impl HeldEvent {
    /// Holds an event.
    pub fn new(event: &Event, after: u64, names: &impl Intern) -> HeldEvent {
        let all = names.names();
        HeldEvent {
            event: *event,
            service: all.services.get(usize::from(event.service)).cloned().unwrap_or_default(),
            arm: name_at(&all.arms, event.arm).cloned(),
            route: name_at(&all.routes, event.route).cloned(),
            instance: name_at(&all.instances, event.instance).cloned(),
            template: text_of(&all.templates, event.template),
            segments: std::array::from_fn(|field| name_at(&all.segments[field], event.segments[field]).cloned()),
            after,
        }
    }

    /// The event with the indices of `names`.
    pub fn intern(&self, names: &mut impl Intern) -> Event {
        let none: NameId = crate::event::NO_NAME;
        if let Some(text) = &self.template {
            names.template(self.event.template, text.as_bytes());
        }
        let mut segments = NO_SEGMENTS;
        for (field, (id, value)) in segments.iter_mut().zip(&self.segments).enumerate() {
            *id = value.as_deref().map_or(none, |value| names.segment(field, value));
        }
        Event {
            service: names.service(&self.service.environment, &self.service.cell, &self.service.service),
            arm: self.arm.as_deref().map_or(none, |arm| names.arm(arm)),
            route: self.route.as_deref().map_or(none, |route| names.route(route)),
            instance: self.instance.as_deref().map_or(none, |instance| names.instance(instance)),
            segments,
            ..self.event
        }
    }
}

/// Text of a template. Events are held rarely, so the list is searched from its end.
fn text_of(list: &[TemplateText], id: u64) -> Option<String> {
    if id == NO_TEMPLATE {
        return None;
    }
    list.iter().rev().find(|template| template.id == id).map(|template| template.text.clone())
}

/// What the guard decided.
#[derive(Debug, Default)]
pub struct Released {
    /// Events to take, in order.
    pub accepted: Vec<HeldEvent>,
    /// Offsets of held events that became rejects.
    pub quarantined: Vec<u64>,
}

/// Events held back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct ClockGuard {
    held: Vec<HeldEvent>,
}

impl ClockGuard {
    /// Nothing is held.
    pub fn is_idle(&self) -> bool {
        self.held.is_empty()
    }

    /// Offsets of the lines that are held.
    pub fn offsets(&self) -> impl Iterator<Item = u64> + '_ {
        self.held.iter().map(|held| held.event.offset)
    }

    /// Offers the next event of the stream. `watermark`: greatest time taken so far less the lateness, or `i64::MIN`.
    pub fn offer(&mut self, event: HeldEvent, watermark: i64) -> Released {
        let mut released = Released::default();
        let time = event.event.time.0;
        // What lies far ahead of this line is contradicted by it.
        self.held.retain(|held| {
            let contradicted = held.event.time.0 > time.saturating_add(JUMP);
            if contradicted {
                released.quarantined.push(held.event.offset);
            }
            !contradicted
        });
        let believable = watermark != i64::MIN && time <= watermark.saturating_add(JUMP);
        self.held.push(event);
        if believable || self.held.len() > AGREEING_LINES {
            released.accepted = std::mem::take(&mut self.held);
        }
        released
    }

    /// Greatest time of the lines that are held.
    pub fn until(&self) -> Option<i64> {
        self.held.iter().map(|held| held.event.time.0).max()
    }

    /// All lines that are held, since something beside the stream agrees with them.
    pub fn believe(&mut self) -> Vec<HeldEvent> {
        std::mem::take(&mut self.held)
    }

    /// The stream ends: held events are taken when another agrees and they lie within a day of what was taken, or when
    /// nothing was taken that could contradict them. `high`: greatest time taken, `i64::MIN` before the first.
    pub fn end(&mut self, high: i64) -> Released {
        let mut released = Released::default();
        let near = self.held.iter().all(|held| held.event.time.0 <= high.saturating_add(END_JUMP));
        if high == i64::MIN || (self.held.len() > 1 && near) {
            released.accepted = std::mem::take(&mut self.held);
        } else {
            released.quarantined = self.held.drain(..).map(|held| held.event.offset).collect();
        }
        released
    }
}
