//! The state of a release, written and read.

use crate::engine::arms::Arms;
use crate::engine::attempts::OpenAttempts;
use crate::engine::comparison::Comparison;
use crate::engine::release::{ReleaseState, Untold};
use crate::engine::user_effects::History;
use crate::event::ServiceKey;
use crate::sketch::codec::{Damaged, Reader, Writer};

impl ReleaseState {
    pub(in crate::engine) fn write(&self, w: &mut Writer) {
        w.length(self.services.len());
        for key in &self.services {
            w.text(&key.environment);
            w.text(&key.service);
        }
        w.length(self.comparisons.len());
        for ((comparison, begun), untold) in self.comparisons.iter().zip(&self.begun).zip(&self.untold) {
            comparison.write(w);
            w.flag(*begun);
            w.int(untold.first_at);
            w.int(untold.last_at);
            w.length(untold.checks.len());
            untold.checks.iter().for_each(|check| w.uint(u64::from(*check)));
            w.flag(untold.full_at.is_some());
            w.int(untold.full_at.unwrap_or(0));
            w.text(&untold.told);
        }
        self.arms.write(w);
        self.arrived.into_iter().for_each(|count| w.uint(count));
        w.uint(self.unattributed_warnings);
        w.flag(self.takes_requests);
        w.int(self.window);
        self.attempts.write(w);
        w.flag(self.history.is_some());
        if let Some(history) = &self.history {
            history.write(w);
        }
    }

    pub(in crate::engine) fn read(r: &mut Reader<'_>) -> Result<ReleaseState, Damaged> {
        let mut services = Vec::new();
        for _ in 0..r.length()? {
            services.push(ServiceKey { environment: r.text()?, service: r.text()? });
        }
        let mut state = ReleaseState::new(services);
        for _ in 0..r.length()? {
            state.comparisons.reserve_exact(1);
            state.comparisons.push(Comparison::read(r)?);
            state.begun.push(r.flag()?);
            let mut untold = Untold { first_at: r.int()?, last_at: r.int()?, ..Untold::default() };
            for _ in 0..r.length()? {
                untold.checks.push(r.uint32()?);
            }
            let has_full = r.flag()?;
            let full = r.int()?;
            untold.full_at = has_full.then_some(full);
            untold.told = r.text()?;
            state.untold.push(untold);
        }
        state.arms = Arms::read(r)?;
        state.arrived = [r.uint()?, r.uint()?];
        state.unattributed_warnings = r.uint()?;
        state.takes_requests = r.flag()?;
        state.window = r.int()?;
        state.attempts = OpenAttempts::read(r)?;
        state.history = if r.flag()? { Some(History::read(r)?) } else { None };
        Ok(state)
    }
}
