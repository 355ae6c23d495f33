//! Logs of many services that take one version after another, beside two that are watched closely.
#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part of this")]

use std::fmt::Write as _;

use serin::engine::policy::Policy;
use serin::pipeline::survey::Wishes;
use serin::time::{MINUTE, Timestamp};

use crate::common::{Case, Random, START};

/// Minutes for which a version is rolled out: ten alone at first, then beside the next one until it is silent.
pub const PHASE: i64 = 40;

/// Services of a fleet.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// Services that take each version in turn.
    pub services: u32,
    /// Versions of each; with one, nothing is ever rolled out.
    pub versions: u32,
    /// Requests of each a minute.
    pub requests: u32,
    /// Users of each.
    pub users: u32,
    /// A healthy and a broken rollout beside them.
    pub probes: bool,
}

/// Names of the two.
pub const HEALTHY: &str = "probe-healthy";
pub const BROKEN: &str = "probe-broken";

impl Fleet {
    /// How long it runs.
    pub fn minutes(&self) -> i64 {
        PHASE * i64::from(self.versions).max(2)
    }

    /// Lines of a minute, by time.
    pub fn minute(&self, minute: i64, text: &mut String) {
        let phase = minute / PHASE;
        let mut lines: Vec<(i64, String)> = Vec::new();
        let mut line = |at: i64, service: &str, version: &str, user: u64, status: u16, ms: u64| {
            let at = START + minute * MINUTE + at;
            let text = format!(
                "{{\"ts\":\"{}\",\"service\":\"{service}\",\"version\":\"{version}\",\"user\":\"{user}\",\"status\":{status},\"duration_ms\":{ms},\"path\":\"/{}\"}}\n",
                Timestamp(at),
                user % 3
            );
            lines.push((at, text));
        };
        for service in 0..self.services {
            for number in 0..i64::from(self.requests) {
                let turn = (minute * i64::from(self.requests) + number) as u64 % u64::from(self.users.max(1));
                let is_alone = minute < 10 || self.versions < 2;
                let of_canary = !is_alone && turn % 2 == 1 && phase + 1 < i64::from(self.versions);
                let version = phase.min(i64::from(self.versions) - 1) + i64::from(of_canary);
                let at = (i64::from(service) * 7_919 + number * 104_729) % 59_000 * 1_000;
                let status = if serin::event::mix(minute as u64 * 31 + turn, 3).is_multiple_of(50) { 500 } else { 200 };
                line(
                    at,
                    &format!("s{service:05}"),
                    &format!("v{version}"),
                    turn * 65_537 + u64::from(service),
                    status,
                    20 + turn % 50,
                );
            }
        }
        if self.probes {
            for (name, broken) in [(HEALTHY, false), (BROKEN, true)] {
                let mut random = Random::new(minute as u64 * 2 + u64::from(broken));
                for number in 0..60 {
                    let user = random.below(300);
                    let is_canary = minute >= 30 && user.is_multiple_of(4);
                    let rate = if is_canary && broken { 0.5 } else { 0.02 };
                    let status = if random.chance(rate) { 500 } else { 200 };
                    let version = match (is_canary, broken) {
                        (false, _) => format!("{name}-1"),
                        (true, _) => format!("{name}-2"),
                    };
                    line(number * 997_000, name, &version, user, status, 20 + random.below(30));
                }
            }
        }
        lines.sort();
        lines.iter().for_each(|(_, line)| text.push_str(line));
    }

    /// The whole log.
    pub fn text(&self) -> String {
        let mut text = String::new();
        (0..self.minutes()).for_each(|minute| self.minute(minute, &mut text));
        text
    }

    /// The log dealt over two streams, each service in one of them; read in windows of a minute, every service discovered.
    pub fn case(&self, memory: u64) -> Case {
        let mut streams = [String::new(), String::new()];
        for line in self.text().lines() {
            let service = line.split("\"service\":\"").nth(1).and_then(|rest| rest.split('"').next()).unwrap_or("");
            let of = serin::event::identity_hash(service.as_bytes()) % 2;
            let _infallible = writeln!(streams[of as usize], "{line}");
        }
        let [a, b] = streams.map(String::into_bytes);
        let streams = vec![("a.log".to_owned(), a), ("b.log".to_owned(), b)];
        let mut case = Case::new("fleet", streams, &Wishes::default(), Policy::default());
        case.plan.windowing.window = MINUTE;
        case.settings.windowing = case.plan.windowing;
        case.settings.releases.clear();
        case.settings.arms.sharing = 1;
        case.settings.memory = memory;
        case
    }
}
