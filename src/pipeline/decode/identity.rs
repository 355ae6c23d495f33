//! Who asked: hashes of units and of request ids.

use crate::event;
use crate::pipeline::decode::Decoder;
use crate::pipeline::plan::UnitKind;
use crate::pipeline::roles::Role;
use crate::pipeline::values;

/// Bytes from which a request id is taken to be unique, whoever asks; shorter ones may be counters.
const UNIQUE_ID_MIN: usize = 16;

impl Decoder<'_> {
    /// Hash of an identity: of the first field of its role that names one.
    #[inline]
    pub(super) fn hash_of(&self, role: Role, line: &str) -> u64 {
        let list = &self.roles[role as usize];
        for slot in list.slots.iter().take(usize::from(list.len)) {
            if let Some(slot) = self.slots.get(usize::from(*slot))
                && slot.is_scalar()
            {
                let text = slot.text(line);
                let name = if role == Role::Client { values::client_of(&text) } else { &text };
                // Where addresses are not kept, all have this one.
                let is_masked = role == Role::Client && matches!(name, "0.0.0.0" | "::");
                if !is_masked && !values::is_nobody(name) {
                    return event::identity_hash(name.as_bytes());
                }
            }
        }
        0
    }

    /// Hash of what all requests have in common that one call from outside makes; 0 where nothing says so. `id`, `trace`: hashes of the request id and the trace.
    ///
    /// The trace, where a line has one: what happens inside a request is logged with it more often than with the request's own id, and
    /// may have the id of another service's answer. A short id may be a counter, and is one only with its unit.
    #[inline]
    pub(super) fn call(&self, line: &str, unit: u64, id: u64, trace: u64) -> u64 {
        match trace {
            0 if id == 0 => 0,
            0 if self.has_unique_id(line) => id,
            0 => match self.unit_beside(unit) {
                0 => 0,
                unit => event::mix(id, unit).max(1),
            },
            trace => trace,
        }
    }

    /// The unit, where it is more than the line itself: a trace may begin anew, an instance may change, and each line is a request of its
    /// own.
    fn unit_beside(&self, unit: u64) -> u64 {
        match self.plan.unit {
            UnitKind::User | UnitKind::Session | UnitKind::Client => unit,
            UnitKind::Trace | UnitKind::Instance | UnitKind::Request => 0,
        }
    }

    fn has_unique_id(&self, line: &str) -> bool {
        self.text(Role::Request, line).is_some_and(|id| id.len() >= UNIQUE_ID_MIN)
    }

    /// Hash of the request id, whose own hash is given, within what attempts of one request have in common: unit, route and method.
    ///
    /// An id is passed on to every call that a request makes, and some are counters of a process (`req-1`): alone it
    /// would join calls, and users, that have nothing to do with each other.
    pub(super) fn request(&self, line: &str, unit: u64, id: u64) -> u64 {
        if id == 0 {
            return 0;
        }
        let unit = self.unit_beside(unit);
        if unit == 0 && !self.has_unique_id(line) {
            return 0;
        }
        let within = |hash, role| event::mix(hash, self.hash_of(role, line));
        within(within(event::mix(id, unit), Role::Route), Role::Method).max(1)
    }
}
