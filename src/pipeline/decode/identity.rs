//! Who asked: hashes of units and of request ids.

use crate::event::{self, Intern, NameId};
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

    /// Hash of what all requests have in common that one call from outside makes, by the hash of the request id; 0 where nothing says so.
    #[inline]
    pub(super) fn call(&self, line: &str, unit: u64, id: u64) -> u64 {
        let unit = match self.plan.unit {
            UnitKind::User | UnitKind::Session | UnitKind::Client => unit,
            UnitKind::Trace | UnitKind::Instance | UnitKind::Request => 0,
        };
        match id {
            0 => self.hash_of(Role::Trace, line),
            id => event::mix(id, unit).max(1),
        }
    }

    /// Hash of a route's text.
    #[inline]
    pub(super) fn route_hash(&self, route: NameId) -> u32 {
        let text = event::name_at(&self.names.names().routes, route);
        text.map_or(0, |text| (event::identity_hash(text.as_bytes()) >> 32) as u32)
    }

    /// Hash of the request id, whose own hash is given, within what attempts of one request have in common: unit, route and method.
    ///
    /// An id is passed on to every call that a request makes, and some are counters of a process (`req-1`): alone it
    /// would join calls, and users, that have nothing to do with each other.
    pub(super) fn request(&self, line: &str, unit: u64, id: u64) -> u64 {
        if id == 0 {
            return 0;
        }
        let unit = match self.plan.unit {
            UnitKind::User | UnitKind::Session | UnitKind::Client => unit,
            // A trace may begin anew, an instance may change, and each line is a request of its own.
            UnitKind::Trace | UnitKind::Instance | UnitKind::Request => 0,
        };
        let is_short = || self.text(Role::Request, line).is_none_or(|id| id.len() < UNIQUE_ID_MIN);
        if unit == 0 && is_short() {
            return 0;
        }
        let within = |hash, role| event::mix(hash, self.hash_of(role, line));
        within(within(event::mix(id, unit), Role::Route), Role::Method).max(1)
    }
}
