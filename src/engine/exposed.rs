//! Arms that units were given before their rollout was compared: a flag may be evaluated once, and the users of its first minutes ask for as
//! long as the others.
//!
//! Only who asks is counted: what is remembered here answers whose a request is, and puts nobody into a comparison who stays away.

use crate::engine::memory;
use crate::event::{self, NO_NAME, ServiceKey};
use crate::sketch::codec::{Damaged, Reader, Writer};
use crate::sketch::partial::WindowPartial;
use crate::time::{DAY, Micros};

/// Units that are remembered; past them a hash sample, which looks at no arm.
pub(super) const EXPOSED_MAX: usize = 262_144;
/// How long ago units were exposed that go first where there are too many.
const AGE_MAX: Micros = DAY;
/// Arms that are told apart, over all environments and cells; units of further ones are not remembered.
const ARMS_MAX: usize = 4_096;

type Units = hashbrown::HashMap<u64, (u16, i64), foldhash::fast::FixedState>;

/// Environment and cell.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Place {
    environment: String,
    cell: String,
}

impl Place {
    fn of(key: &ServiceKey) -> Place {
        Place { environment: key.environment.clone(), cell: key.cell.clone() }
    }

    fn is_of(&self, key: &ServiceKey) -> bool {
        self.environment == key.environment && self.cell == key.cell
    }

    /// The same place, or one of which either says less.
    fn may_be(&self, key: &ServiceKey) -> bool {
        let alike = |one: &str, other: &str| one.is_empty() || other.is_empty() || one == other;
        alike(&self.environment, &key.environment) && alike(&self.cell, &key.cell)
    }

    /// Bytes on the heap.
    fn bytes(&self) -> u64 {
        memory::text(&self.environment) + memory::text(&self.cell)
    }
}

/// The latest arm of each unit that was exposed.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Exposed {
    /// Where, and which arm, by first appearance.
    arms: Vec<(Place, String)>,
    /// Index of the arm of each unit, and the start of the window in which it was exposed.
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
    pub(super) fn take(&mut self, merged: &WindowPartial, start: i64) {
        if self.arms.len() >= ARMS_MAX {
            self.drop_unused();
        }
        let rows = merged.exposures.as_slice();
        let nowhere = ServiceKey::default();
        let mut latest: Vec<(u64, u32, usize)> = Vec::with_capacity(rows.len());
        for row in rows.iter().filter(|row| row.arm != NO_NAME && hash(row.unit) <= self.range) {
            let key = merged.names.services.get(usize::from(row.service)).unwrap_or(&nowhere);
            let Some(arm) = event::name_at(&merged.names.arms, row.arm) else { continue };
            let known = self.arms.iter().position(|(of, name)| of.is_of(key) && name == arm);
            let at = match known {
                Some(at) => at,
                None if self.arms.len() < ARMS_MAX => {
                    self.arms.push((Place::of(key), arm.clone()));
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
                self.units.insert(unit, (arm, start));
            }
        }
        if self.units.len() > EXPOSED_MAX {
            self.units.retain(|_, (_, at)| *at > start - AGE_MAX);
        }
        while self.units.len() > EXPOSED_MAX {
            self.halve();
        }
        // What was much may be over: those who come new are remembered again.
        if self.units.len() < EXPOSED_MAX / 4 {
            self.range = self.range.saturating_mul(2).saturating_add(1);
        }
    }

    /// Share of units that are remembered, 0 to 1.
    pub(super) fn followed(&self) -> f64 {
        self.range as f64 / u64::MAX as f64
    }

    /// Arms that no unit has any more make room for others.
    fn drop_unused(&mut self) {
        let mut used = vec![false; self.arms.len()];
        for (arm, _) in self.units.values() {
            if let Some(used) = used.get_mut(usize::from(*arm)) {
                *used = true;
            }
        }
        let mut places = Vec::with_capacity(used.len());
        let mut kept = Vec::new();
        for (arm, is_used) in std::mem::take(&mut self.arms).into_iter().zip(used) {
            places.push(kept.len() as u16);
            if is_used {
                kept.push(arm);
            }
        }
        self.arms = kept;
        for (arm, _) in self.units.values_mut() {
            *arm = places.get(usize::from(*arm)).copied().unwrap_or(u16::MAX);
        }
    }

    /// Which of two arms a unit was given last, where a service is judged (an environment or cell without a name is any), since a time: what
    /// was given before the other arm was there may have been changed since, and nobody has said so yet.
    pub(super) fn arm_of(&self, unit: u64, since: i64, judged: Option<&ServiceKey>, arms: [&str; 2]) -> Option<usize> {
        let (arm, at) = self.units.get(&unit)?;
        let (of, name) = self.arms.get(usize::from(*arm))?;
        if *at < since || judged.is_some_and(|judged| !of.may_be(judged)) {
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
        memory::table::<(u64, (u16, i64))>(self.units.len())
            + memory::list::<(Place, String)>(self.arms.len())
            + self.arms.iter().map(|(of, name)| of.bytes() + memory::text(name)).sum::<u64>()
    }

    /// Writes the state.
    pub(super) fn write(&self, w: &mut Writer) {
        w.length(self.arms.len());
        for (of, arm) in &self.arms {
            w.text(&of.environment);
            w.text(&of.cell);
            w.text(arm);
        }
        w.fixed(self.range);
        let mut units: Vec<(u64, (u16, i64))> = self.units.iter().map(|(unit, of)| (*unit, *of)).collect();
        units.sort_unstable();
        w.length(units.len());
        for (unit, (arm, at)) in units {
            w.fixed(unit);
            w.uint(u64::from(arm));
            w.int(at);
        }
    }

    /// Reads what [`Exposed::write`] wrote.
    ///
    /// # Errors
    /// [`Damaged`] for any other bytes.
    pub(super) fn read(r: &mut Reader<'_>) -> Result<Exposed, Damaged> {
        let mut exposed = Exposed::default();
        for _ in 0..r.length()? {
            exposed.arms.push((Place { environment: r.text()?, cell: r.text()? }, r.text()?));
        }
        exposed.range = r.fixed()?;
        for _ in 0..r.length()? {
            let unit = r.fixed()?;
            exposed.units.insert(unit, (r.uint16()?, r.int()?));
        }
        Ok(exposed)
    }
}

fn hash(unit: u64) -> u64 {
    event::mix(unit, event::KEY_EXPOSED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Names;
    use crate::sketch::rows::ExposureRow;

    fn window(of: &[(u64, &str)]) -> WindowPartial {
        let mut partial = WindowPartial::new(0);
        let mut arms: Vec<String> = of.iter().map(|(_, arm)| (*arm).to_owned()).collect();
        arms.sort();
        arms.dedup();
        for (at, (unit, arm)) in of.iter().enumerate() {
            let arm = arms.iter().position(|known| known == arm).unwrap() as u16;
            partial.exposures.add(ExposureRow { unit: *unit, at: at as u32, count: 1, service: 0, arm });
        }
        let service = ServiceKey { environment: "prod".to_owned(), cell: String::new(), service: "shop".to_owned() };
        partial.names = Names { services: vec![service], arms, ..Names::default() };
        partial
    }

    #[test]
    fn the_latest_arm_of_a_unit_counts_since_both_are_there() {
        let mut exposed = Exposed::default();
        exposed.take(&window(&[(1, "off"), (2, "on"), (2, "off")]), 10);
        exposed.take(&window(&[(3, "on")]), 20);
        let key = |environment: &str, cell: &str| ServiceKey {
            environment: environment.to_owned(),
            cell: cell.to_owned(),
            service: "web".to_owned(),
        };
        let prod = key("prod", "");
        let arm = |exposed: &Exposed, unit, since| exposed.arm_of(unit, since, Some(&prod), ["off", "on"]);
        assert_eq!([1, 2, 3, 4].map(|unit| arm(&exposed, unit, 10)), [Some(0), Some(0), Some(1), None]);
        assert_eq!([1, 2, 3].map(|unit| arm(&exposed, unit, 11)), [None, None, Some(1)]);
        assert_eq!(exposed.arm_of(3, 0, Some(&key("staging", "")), ["off", "on"]), None);
        assert_eq!(exposed.arm_of(3, 0, None, ["a", "b"]), None);
        // A flag whose lines name no cell is one of each; one that names a cell is of that alone.
        assert_eq!(exposed.arm_of(3, 0, Some(&key("prod", "geneva")), ["off", "on"]), Some(1));
        let mut in_basel = window(&[(4, "on")]);
        in_basel.names.services[0].cell = "basel".to_owned();
        exposed.take(&in_basel, 30);
        let of_4 = |cell: &str| exposed.arm_of(4, 0, Some(&key("prod", cell)), ["off", "on"]);
        assert_eq!([of_4("basel"), of_4("geneva"), of_4("")], [Some(1), None, Some(1)]);
        let mut w = Writer::default();
        exposed.write(&mut w);
        assert_eq!(Exposed::read(&mut Reader::new(&w.bytes)).unwrap(), exposed);
    }

    #[test]
    fn units_and_arms_have_bounds() {
        let mut exposed = Exposed::default();
        for unit in 0..(ARMS_MAX as u64 + 10) {
            let arm = format!("v{unit}");
            exposed.take(&window(&[(7, arm.as_str())]), unit as i64);
        }
        assert!(exposed.arms.len() <= ARMS_MAX && exposed.arm_of(7, 0, None, ["a", "v4105"]) == Some(1));
        let many: Vec<(u64, &str)> = (0..EXPOSED_MAX as u64 + 1_000).map(|n| (event::mix(n, 7), "on")).collect();
        exposed.take(&window(&many), 0);
        assert!(exposed.len() <= EXPOSED_MAX && exposed.len() > EXPOSED_MAX / 3, "{}", exposed.len());
        assert!(exposed.followed() < 0.6);
        // Days later others come, and those of long ago go first.
        let others: Vec<(u64, &str)> = (0..EXPOSED_MAX as u64 * 3 / 2).map(|n| (event::mix(n, 8), "on")).collect();
        let range = exposed.range;
        exposed.take(&window(&others), 2 * DAY);
        assert!(exposed.units.values().all(|(_, at)| *at == 2 * DAY) && exposed.range == range);
        // Where few are left there is room for all again.
        (0..4).for_each(|_| exposed.halve());
        (0..5).for_each(|_| exposed.take(&window(&[]), 2 * DAY));
        assert_eq!(exposed.followed(), 1.0);
    }
}
