//! The names of a line: its service with environment and cell, where requests of that are logged, its route, and its instance.

use crate::event::{Intern, NO_NAME, NameId, OTHER};
use crate::pipeline::access;
use crate::pipeline::decode::seen::Short;
use crate::pipeline::decode::{Decoder, is_no_segment};
use crate::pipeline::plan::RequestSource;
use crate::pipeline::roles::Role;
use crate::pipeline::values;

/// Longest name of a cell, in bytes. What is longer is no name of a place.
pub(crate) const CELL_MAX: usize = 200;

/// Longest name of an instance, in bytes: the longest name that DNS knows. What is longer is no instance.
const INSTANCE_MAX: usize = 253;

/// The instance of the line before, where its name is not short.
#[derive(Debug)]
pub(super) struct LastInstance {
    text: String,
    id: NameId,
}

impl Default for LastInstance {
    fn default() -> Self {
        LastInstance { text: String::new(), id: NO_NAME }
    }
}

impl Decoder<'_> {
    /// Service with environment and cell; `None` when the environment is not the one asked for.
    #[inline]
    pub(super) fn service(&mut self, line: &str) -> Option<NameId> {
        let environment = self.first(Role::Environment).map(|(slot, _)| slot).unwrap_or_default();
        let service = self.first(Role::Service).map(|(slot, _)| slot).unwrap_or_default();
        let cell = self.first(Role::Cell).map(|(slot, _)| slot).unwrap_or_default();
        let short = match (Short::of(line, service), Short::of(line, environment), Short::of(line, cell)) {
            (Some(service), Some(environment), Some(cell)) => {
                let mixed = service.mixed() ^ environment.mixed().rotate_left(7) ^ cell.mixed().rotate_left(29);
                Some((mixed, (service, environment, cell)))
            }
            _ => None,
        };
        if let Some((mixed, key)) = &short
            && let Some(id) = self.services.get(*mixed, key)
        {
            return Some(id);
        }
        let environment = environment.text(line);
        if self.plan.environment.as_deref().is_some_and(|wanted| wanted != environment) {
            return None;
        }
        let text = service.text(line);
        // Envoy names clusters `outbound|80|subset|host`; the subset is the version, the host is the service.
        let is_cluster = text.starts_with("outbound|") || text.starts_with("inbound|");
        let name = text.rsplit_once('|').filter(|_| is_cluster).map_or(text.as_ref(), |(_, host)| host);
        let cell = cell.text(line);
        // What stands for all that are too many is no name.
        let is_none = is_no_segment(&cell) || cell.len() > CELL_MAX || cell == OTHER;
        let cell = if is_none { "" } else { &cell };
        let id = self.names.service(&environment, cell, name);
        if let Some((mixed, key)) = short {
            self.services.put(mixed, key, id);
        }
        Some(id)
    }

    #[inline]
    pub(super) fn source_of(&mut self, service: NameId) -> Option<RequestSource> {
        let at = usize::from(service);
        while self.sources.len() <= at {
            let key = self.names.names().services.get(self.sources.len());
            // How requests are logged is the same in every cell, those included that the first lines did not show.
            let source = key.and_then(|key| self.plan.sources.get(&key.without_cell()));
            self.sources.push(source.copied());
        }
        self.sources.get(at).copied().flatten()
    }

    /// Instance of the line: the first field of the role that names one.
    #[inline]
    pub(super) fn instance(&mut self, line: &str) -> NameId {
        if self.roles[Role::Instance as usize].len == 0 { NO_NAME } else { self.instance_of_fields(line) }
    }

    fn instance_of_fields(&mut self, line: &str) -> NameId {
        let list = self.roles[Role::Instance as usize];
        for slot in list.slots.iter().take(usize::from(list.len)) {
            let Some(slot) = self.slots.get(usize::from(*slot)).filter(|slot| slot.is_scalar()) else { continue };
            let short = Short::of(line, *slot);
            if let Some(short) = short
                && let Some(id) = self.short_instances.get(short.mixed(), &short)
            {
                return id;
            }
            let text = slot.text(line);
            // A stream is mostly one instance's.
            if self.last_instance.id != NO_NAME && text == self.last_instance.text {
                return self.last_instance.id;
            }
            if !values::is_nobody(&text) && text.len() <= INSTANCE_MAX {
                let id = self.names.instance(&text);
                match short {
                    Some(short) => self.short_instances.put(short.mixed(), short, id),
                    None => {
                        self.last_instance.text.clear();
                        self.last_instance.text.push_str(&text);
                        self.last_instance.id = id;
                    }
                }
                return id;
            }
        }
        NO_NAME
    }

    #[inline]
    pub(super) fn route(&mut self, line: &str) -> NameId {
        match self.first(Role::Route) {
            Some((slot, _)) => {
                let short = Short::of(line, slot);
                if let Some(short) = short
                    && let Some(id) = self.short_routes.get(short.mixed(), &short)
                {
                    return id;
                }
                let text = slot.text(line);
                // nginx has method, path and protocol in one.
                let path = match access::request_line(&text) {
                    (Some(_), Some(path), Some(_)) => path,
                    _ => &text,
                };
                let id = self.routes.id_of(path, &mut self.names);
                if let Some(short) = short {
                    self.short_routes.put(short.mixed(), short, id);
                }
                id
            }
            None => NO_NAME,
        }
    }
}
