//! Which rollout somebody means: ids are names that were declared, with `@ENVIRONMENT` and `@CELL` where the name alone does not say it.

use super::{Awaited, Book, Rollout};

/// Rollouts that a name could mean and that are told.
const SEVERAL_NAMED: usize = 20;

impl Book {
    /// The rollout of an id; or the only one of what was declared under this name without an environment. Of several, each has an id of its
    /// own, and the name is none of them.
    pub fn rollout_called(&self, name: &str) -> Option<&Rollout> {
        self.rollout(name).or_else(|| {
            let at = self.declared.iter().position(|declared| declared.name == name)?;
            let mut all = self.rollouts.values().filter(|rollout| rollout.declared == Some(at));
            all.next().filter(|_| all.next().is_none())
        })
    }

    /// In words, which rollouts a name could mean, where they are several.
    pub fn several_called(&self, name: &str) -> Option<String> {
        let at =
            self.declared.iter().position(|declared| declared.name == name && !self.rollouts.contains_key(name))?;
        let all = self.rollouts.values().filter(|rollout| rollout.declared == Some(at));
        let names: Vec<&str> = all.map(|rollout| rollout.id.as_str()).take(SEVERAL_NAMED).collect();
        (names.len() > 1).then(|| format!("`{name}` is several rollouts: name one of {}", names.join(", ")))
    }

    /// What is awaited under an id; or what was declared under a name, as a whole.
    pub fn awaited_called(&self, id: &str) -> Option<Awaited<'_>> {
        self.awaited().into_iter().find(|of| of.id == id).or_else(|| {
            let declared = self.declared.iter().find(|declared| declared.name == id);
            if let Some(declared) = declared {
                return Some(Awaited {
                    id: id.to_owned(),
                    declared,
                    environment: declared.environment.clone(),
                    cell: "",
                });
            }
            // In an environment of which no line has come yet: any name may be one.
            self.declared.iter().filter(|declared| declared.environment.is_none()).find_map(|declared| {
                let place = id.strip_prefix(declared.name.as_str())?.strip_prefix('@')?;
                let of_cell =
                    |cell: &&String| place.strip_suffix(cell.as_str()).is_some_and(|rest| rest.ends_with('@'));
                let (environment, cell) = match declared.cells.iter().find(of_cell) {
                    Some(cell) => (&place[..place.len() - cell.len() - 1], cell.as_str()),
                    None if declared.cells.is_empty() => (place, ""),
                    None => return None,
                };
                let is_name = !environment.is_empty() && !environment.contains('@');
                let environment = Some(environment.to_owned());
                is_name.then(|| Awaited { id: id.to_owned(), declared, environment, cell })
            })
        })
    }
}
