//! Names by index: each distinct service, arm, route and instance of a batch once.

use std::hash::BuildHasher;
use std::sync::Arc;

use crate::event::{Intern, NO_NAME, NameId, Names, SEGMENT_FIELDS_MAX, ServiceKey, TemplateText};

/// Grows [`Names`] while lines are read; looks a name up by its bytes.
#[derive(Clone, Debug, Default)]
pub struct Interner {
    /// Shared with the chunks that were read; a name that comes new makes a list of its own.
    names: Arc<Names>,
    services: Table,
    arms: Table,
    routes: Table,
    instances: Table,
    /// Ids of the templates whose text is known.
    templates: hashbrown::HashSet<u64, foldhash::fast::FixedState>,
    segments: [Table; SEGMENT_FIELDS_MAX],
}

/// Templates that are carried from chunk to chunk; with more, each chunk begins anew.
const TEMPLATES_CARRIED_MAX: usize = 8_192;

/// Names of a kind that are carried from chunk to chunk; with more, each chunk begins anew.
///
/// A chunk has far fewer lines than there are indices, and must find a free one for each of its names whatever came before.
const CARRIED_MAX: usize = 1_024;

impl Interner {
    /// Few enough names to go on with.
    pub fn can_go_on(&self) -> bool {
        let Names { services, arms, routes, instances, templates, segments } = &*self.names;
        let names = [services.len(), arms.len(), routes.len(), instances.len()];
        templates.len() <= TEMPLATES_CARRIED_MAX
            && names.into_iter().chain(segments.iter().map(Vec::len)).all(|len| len <= CARRIED_MAX)
    }
}

impl Intern for Interner {
    fn names(&self) -> &Names {
        &self.names
    }

    fn shared(&self) -> Arc<Names> {
        Arc::clone(&self.names)
    }

    #[inline]
    fn service(&mut self, environment: &str, cell: &str, service: &str) -> NameId {
        let mut hash = self.services.hash(service);
        if !environment.is_empty() {
            hash ^= self.services.hash(environment).rotate_left(17);
        }
        if !cell.is_empty() {
            hash ^= self.services.hash(cell).rotate_left(31);
        }
        let same = |key: &ServiceKey| key.service == service && key.environment == environment && key.cell == cell;
        if let Some(id) = self.services.get(hash, &self.names.services, same) {
            return id;
        }
        let key =
            ServiceKey { environment: environment.to_owned(), cell: cell.to_owned(), service: service.to_owned() };
        self.services.add(hash, &mut Arc::make_mut(&mut self.names).services, key)
    }

    #[inline]
    fn arm(&mut self, arm: &str) -> NameId {
        self.arms.text(&mut self.names, arm, |names| &names.arms, |names| &mut names.arms)
    }

    #[inline]
    fn route(&mut self, route: &str) -> NameId {
        self.routes.text(&mut self.names, route, |names| &names.routes, |names| &mut names.routes)
    }

    #[inline]
    fn instance(&mut self, instance: &str) -> NameId {
        self.instances.text(&mut self.names, instance, |names| &names.instances, |names| &mut names.instances)
    }

    #[inline]
    fn template(&mut self, id: u64, text: &[u8]) {
        if self.templates.insert(id) {
            Arc::make_mut(&mut self.names).templates.push(TemplateText::new(id, text));
        }
    }

    #[inline]
    fn segment(&mut self, field: usize, value: &str) -> NameId {
        // A plan has no further fields.
        let field = field % SEGMENT_FIELDS_MAX;
        let table = &mut self.segments[field];
        table.text(&mut self.names, value, |names| &names.segments[field], |names| &mut names.segments[field])
    }
}

/// Hash table of indices. Hashes never leave the process.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    slots: hashbrown::HashTable<(u64, NameId)>,
    hasher: foldhash::fast::FixedState,
}

impl Table {
    #[inline]
    pub(super) fn hash(&self, text: &str) -> u64 {
        self.hasher.hash_one(text.as_bytes())
    }

    /// Index of a name that is known.
    #[inline]
    pub(super) fn get<T>(&self, hash: u64, names: &[T], same: impl Fn(&T) -> bool) -> Option<NameId> {
        let found = self.slots.find(hash, |&(h, id)| h == hash && names.get(usize::from(id)).is_some_and(&same));
        found.map(|&(_, id)| id)
    }

    /// Index of a text in one of the lists of names, added when it is new.
    #[inline]
    fn text(
        &mut self,
        names: &mut Arc<Names>,
        text: &str,
        list: impl Fn(&Names) -> &Vec<String>,
        list_mut: impl Fn(&mut Names) -> &mut Vec<String>,
    ) -> NameId {
        let hash = self.hash(text);
        match self.get(hash, list(names), |name| name == text) {
            Some(id) => id,
            None => self.add(hash, list_mut(Arc::make_mut(names)), text.to_owned()),
        }
    }

    /// Index of a name that is new; [`NO_NAME`] past the last one.
    #[cold]
    pub(super) fn add<T>(&mut self, hash: u64, names: &mut Vec<T>, name: T) -> NameId {
        if names.len() >= usize::from(NO_NAME) {
            return NO_NAME;
        }
        let id = names.len() as NameId;
        names.push(name);
        self.slots.insert_unique(hash, (hash, id), |&(h, _)| h);
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_has_the_same_index() {
        let mut names = Interner::default();
        assert_eq!(names.service("", "", "a"), 0);
        assert_eq!(names.service("prod", "", "a"), 1);
        assert_eq!(names.service("", "prod", "a"), 2, "a cell is no environment");
        assert_eq!(names.service("prod", "geneva", "a"), 3);
        assert_eq!(names.service("", "", "a"), 0);
        assert_eq!((names.arm("x"), names.route("x"), names.arm("y"), names.arm("x")), (0, 0, 1, 0));
        for i in 0..70_000 {
            names.route(&i.to_string());
        }
        assert_eq!(names.names().routes.len(), usize::from(NO_NAME), "the bound holds");
        assert_eq!(names.route("one more"), NO_NAME);
    }
}
