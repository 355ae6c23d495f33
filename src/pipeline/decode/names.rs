//! The names of a line: its service with environment, where requests of that are logged, and its route.

use crate::event::{Intern, NO_NAME, NameId};
use crate::pipeline::decode::Decoder;
use crate::pipeline::decode::seen::Short;
use crate::pipeline::plan::RequestSource;
use crate::pipeline::roles::Role;

impl Decoder<'_> {
    /// Service and environment; `None` when the environment is not the one asked for.
    #[inline]
    pub(super) fn service(&mut self, line: &str) -> Option<NameId> {
        let environment = self.first(Role::Environment).map(|(slot, _)| slot).unwrap_or_default();
        let service = self.first(Role::Service).map(|(slot, _)| slot).unwrap_or_default();
        let short = match (Short::of(line, service), Short::of(line, environment)) {
            (Some(service), Some(environment)) => {
                Some((service.mixed() ^ environment.mixed().rotate_left(7), (service, environment)))
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
        let name = text.rsplit_once('|').map_or(text.as_ref(), |(_, host)| host);
        let id = self.names.service(&environment, name);
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
            self.sources.push(key.and_then(|key| self.plan.sources.get(key)).copied());
        }
        self.sources.get(at).copied().flatten()
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
                let id = self.routes.id_of(&text, &mut self.names);
                if let Some(short) = short {
                    self.short_routes.put(short.mixed(), short, id);
                }
                id
            }
            None => NO_NAME,
        }
    }
}
