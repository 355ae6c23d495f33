//! The state of a release, written and read.

use crate::engine::arms::Arms;
use crate::engine::attempts::OpenAttempts;
use crate::engine::release::{Comparisons, ReleaseState};
use crate::engine::user_effects::History;
use crate::event::ServiceKey;
use crate::sketch::codec::{Damaged, Reader, Writer};

impl ReleaseState {
    pub(in crate::engine) fn write(&self, w: &mut Writer) {
        w.length(self.services.len());
        for key in &self.services {
            w.text(&key.environment);
            w.text(&key.cell);
            w.text(&key.service);
        }
        self.comparisons.write(w);
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
            services.push(ServiceKey { environment: r.text()?, cell: r.text()?, service: r.text()? });
        }
        let mut state = ReleaseState::new(services);
        state.comparisons = Comparisons::read(r)?;
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
