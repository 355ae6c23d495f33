//! Names by index: each distinct service, arm, route and instance of a batch once.

use std::hash::BuildHasher;

use crate::event::{Intern, NO_NAME, NameId, Names, ServiceKey};

/// Grows [`Names`] while lines are read; looks a name up by its bytes.
#[derive(Clone, Debug, Default)]
pub struct Interner {
    names: Names,
    services: Table,
    arms: Table,
    routes: Table,
    instances: Table,
}

impl Interner {
    /// Takes the names out.
    pub fn into_names(self) -> Names {
        self.names
    }
}

impl Intern for Interner {
    fn names(&self) -> &Names {
        &self.names
    }

    #[inline]
    fn service(&mut self, environment: &str, service: &str) -> NameId {
        let names = &mut self.names.services;
        let hash = if environment.is_empty() {
            self.services.hash(service)
        } else {
            self.services.hash(service) ^ self.services.hash(environment).rotate_left(17)
        };
        let same = |key: &ServiceKey| key.service == service && key.environment == environment;
        let make = || ServiceKey { environment: environment.to_owned(), service: service.to_owned() };
        self.services.find(hash, names, same, make)
    }

    #[inline]
    fn arm(&mut self, arm: &str) -> NameId {
        let hash = self.arms.hash(arm);
        self.arms.find(hash, &mut self.names.arms, |name| name == arm, || arm.to_owned())
    }

    #[inline]
    fn route(&mut self, route: &str) -> NameId {
        let hash = self.routes.hash(route);
        self.routes.find(hash, &mut self.names.routes, |name| name == route, || route.to_owned())
    }

    #[inline]
    fn instance(&mut self, instance: &str) -> NameId {
        let hash = self.instances.hash(instance);
        self.instances.find(hash, &mut self.names.instances, |name| name == instance, || instance.to_owned())
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

    /// Index of a name, added when it is new.
    #[inline]
    pub(super) fn find<T>(
        &mut self,
        hash: u64,
        names: &mut Vec<T>,
        same: impl Fn(&T) -> bool,
        make: impl FnOnce() -> T,
    ) -> NameId {
        if let Some(id) = self.get(hash, names, same) {
            return id;
        }
        if names.len() >= usize::from(NO_NAME) {
            return NO_NAME;
        }
        let id = names.len() as NameId;
        names.push(make());
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
        assert_eq!(names.service("", "a"), 0);
        assert_eq!(names.service("prod", "a"), 1);
        assert_eq!(names.service("", "a"), 0);
        assert_eq!((names.arm("x"), names.route("x"), names.arm("y"), names.arm("x")), (0, 0, 1, 0));
        for i in 0..70_000 {
            names.route(&i.to_string());
        }
        assert_eq!(names.names().routes.len(), usize::from(NO_NAME), "the bound holds");
        assert_eq!(names.route("one more"), NO_NAME);
    }
}
