//! The word to stop, for whoever waits: it is heard at once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Whether to stop.
#[derive(Debug, Default)]
pub struct Stop {
    told: Mutex<bool>,
    heard: Condvar,
    /// The same as `told`, for those who ask for each record.
    is_told: AtomicBool,
}

impl Stop {
    /// Tells everybody to stop.
    pub fn tell(&self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.is_told.store(true, Ordering::Release);
        self.heard.notify_all();
    }

    /// It has been told.
    pub fn is_told(&self) -> bool {
        self.is_told.load(Ordering::Acquire)
    }

    /// Waits until it is told, at most so long. Whether it was.
    pub fn wait(&self, most: Duration) -> bool {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.heard.wait_timeout_while(told, most, |told| !*told);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_waits_hears_it_at_once() {
        let stop = Stop::default();
        assert!(!stop.is_told() && !stop.wait(Duration::ZERO));
        std::thread::scope(|scope| {
            // For ever, as far as a test goes.
            let waits = scope.spawn(|| stop.wait(Duration::from_secs(1 << 30)));
            stop.tell();
            assert!(waits.join().is_ok_and(|told| told));
        });
        assert!(stop.is_told() && stop.wait(Duration::ZERO));
    }
}
