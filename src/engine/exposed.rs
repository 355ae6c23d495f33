//! Arms that units were given before their rollout was seen: a flag is evaluated once, and the users of its first minutes, or of the weeks in
//! which only one variant was given, ask for as long as the others.
//!
//! Only who asks is counted: what is remembered here answers whose a request is, and puts nobody into a comparison who stays away.

use crate::engine::memory;
use crate::event::{self, NO_NAME};
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::WindowPartial;

/// Units that are remembered; past them a hash sample, which looks at no arm.
pub(super) const EXPOSED_MAX: usize = 262_144;
/// Arms that are told apart, over all environments; units of further ones are not remembered.
const ARMS_MAX: usize = 4_096;

type Units = hashbrown::HashMap<u64, u16, foldhash::fast::FixedState>;

/// The latest arm of each unit that was exposed.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Exposed {
    /// (environment, arm), by first appearance.
    arms: Vec<(String, String)>,
    /// Index of the arm of each unit.
    units: Units,
    /// Units whose keyed hash is above this are not remembered.
    range: u64,
}

impl Default for Exposed {
    fn default() -> Exposed {
        Exposed { arms: Vec::new(), units: Units::default(), range: u64::MAX }
    }
}

impl Exposed {
    /// Exposures of a window that has closed.
    pub(super) fn take(&mut self, merged: &WindowPartial) {
        let rows = merged.exposures.as_slice();
        let mut latest: Vec<(u64, u32, usize)> = Vec::with_capacity(rows.len());
        for row in rows.iter().filter(|row| row.arm != NO_NAME && hash(row.unit) <= self.range) {
            let environment = merged.names.services.get(usize::from(row.service)).map_or("", |key| &key.environment);
            let Some(arm) = event::name_at(&merged.names.arms, row.arm) else { continue };
            let known = self.arms.iter().position(|(of, name)| of == environment && name == arm);
            let at = match known {
                Some(at) => at,
                None if self.arms.len() < ARMS_MAX => {
                    self.arms.push((environment.to_owned(), arm.clone()));
                    self.arms.len() - 1
                }
                None => continue,
            };
            latest.push((row.unit, row.at, at));
        }
        // Rows of a window have an order that no reading changes.
        latest.sort_unstable();
        for (unit, _, arm) in latest {
            if let Ok(arm) = u16::try_from(arm) {
                self.units.insert(unit, arm);
            }
        }
        while self.units.len() > EXPOSED_MAX {
            self.halve();
        }
    }

    /// Which of two arms a unit was given last, in an environment; one without a name is any.
    pub(super) fn arm_of(&self, unit: u64, environment: &str, arms: [&str; 2]) -> Option<usize> {
        let (of, name) = self.arms.get(usize::from(*self.units.get(&unit)?))?;
        if !of.is_empty() && !environment.is_empty() && of != environment {
            return None;
        }
        arms.iter().position(|arm| arm == name)
    }

    /// Units that are remembered.
    pub(super) fn len(&self) -> usize {
        self.units.len()
    }

    /// Forgets every second.
    pub(super) fn halve(&mut self) {
        self.range /= 2;
        let range = self.range;
        self.units.retain(|unit, _| hash(*unit) <= range);
        self.units.shrink_to_fit();
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> u64 {
        memory::table::<(u64, u16)>(self.units.len())
            + memory::list::<(String, String)>(self.arms.len())
            + self.arms.iter().map(|(of, name)| memory::text(of) + memory::text(name)).sum::<u64>()
    }

    /// Writes the state.
    pub(super) fn write(&self, w: &mut Writer) {
        w.length(self.arms.len());
        for (environment, arm) in &self.arms {
            w.text(environment);
            w.text(arm);
        }
        w.fixed(self.range);
        let mut units: Vec<(u64, u16)> = self.units.iter().map(|(unit, arm)| (*unit, *arm)).collect();
        units.sort_unstable();
        w.length(units.len());
        for (unit, arm) in units {
            w.fixed(unit);
            w.uint(u64::from(arm));
        }
    }

    /// Reads what [`Exposed::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Exposed, Damaged> {
        let mut exposed = Exposed::default();
        for _ in 0..r.length()? {
            exposed.arms.push((r.text()?, r.text()?));
        }
        exposed.range = r.fixed()?;
        for _ in 0..r.length()? {
            let unit = r.fixed()?;
            exposed.units.insert(unit, r.uint16()?);
        }
        Ok(exposed)
    }
}

fn hash(unit: u64) -> u64 {
    event::mix(unit, event::KEY_EXPOSED)
}
