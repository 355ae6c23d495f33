//! What state costs, beside what the allocator says; and a fleet within its bound.
//!
//! `cargo test --test state_size -- --nocapture` prints the table that stands in ARCHITECTURE.md. The large fleet:
//! `SERIN_SERVICES=10000 SERIN_VERSIONS=200 SERIN_MEMORY_MIB=4096 cargo test --test state_size fleet -- --nocapture` (hours)
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;
mod fleet;

use std::sync::Mutex;

use peak_alloc::PeakAlloc;
use serin::engine::shedding::STATE_MAX;
use serin::engine::{Engine, Output};
use serin::pipeline::plan_text;
use serin::source::run::{Observer, PushedStream};

use common::Case;
use fleet::{BROKEN, Fleet};

#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

/// What is allocated is counted for the whole process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

/// Watches the bound while a fleet is read.
#[derive(Default)]
struct Watch {
    most: u64,
    failed: bool,
}

impl Observer for Watch {
    fn outputs(&mut self, engine: &Engine, outputs: Vec<Output>) -> std::io::Result<()> {
        self.most = self.most.max(engine.state_bytes());
        let broken = |output: &Output| matches!(output, Output::Entry(line) if line.contains(BROKEN) && line.contains("\"verdict\":\"fail\""));
        self.failed |= outputs.iter().any(broken);
        Ok(())
    }

    fn progress(&mut self, _: u64) {}
}

/// Reads minute by minute, as text, and keeps no line. The engine is left as it is after its last window.
fn read(fleet: &Fleet, minutes: i64, case: &Case, mut look: impl FnMut(&Engine, i64)) -> (Engine, Watch) {
    let mut engine = Engine::new(case.settings.clone());
    let mut watch = Watch::default();
    let mut text = String::new();
    let mut stream =
        PushedStream::begin("fleet", &case.plan, &mut engine, plan_text::to_json(&case.plan), &mut watch).unwrap();
    for minute in 0..minutes {
        text.clear();
        fleet.minute(minute, &mut text);
        for part in text.as_bytes().chunk_by(|a, _| *a != b'\n').collect::<Vec<_>>().chunks(5_000) {
            stream.push(part.concat(), &mut engine, &mut watch).unwrap();
        }
        look(&engine, minute);
    }
    (engine, watch)
}

/// (accounted, allocated) bytes of an engine, which is dropped.
fn weigh(engine: Engine) -> (u64, u64) {
    let accounted = engine.state_bytes();
    let before = ALLOCATOR.current_usage();
    drop(engine);
    (accounted, (before - ALLOCATOR.current_usage()) as u64)
}

#[test]
fn accounted_bytes_are_those_of_the_allocator() {
    let _alone = ALONE.lock();
    let fleet = |services, versions, requests, users| Fleet { services, versions, requests, users, probes: false };
    for (what, minutes, fleet) in [
        ("idle, 20 users each", 40, fleet(400, 1, 2, 20)),
        ("idle, 500 users each", 40, fleet(40, 1, 50, 500)),
        ("ten versions, 60 users each, 8 rollouts over and one live", 360, fleet(20, 10, 2, 60)),
        ("a rollout of 60 users each", 40, fleet(60, 2, 4, 60)),
        ("a rollout of 20,000 users", 40, fleet(1, 2, 2_000, 20_000)),
    ] {
        let case = Fleet { services: fleet.services.min(50), ..fleet }.case(STATE_MAX);
        let (engine, _) = read(&fleet, minutes, &case, |_, _| ());
        println!("{what}: {} services", fleet.services);
        for (name, bytes) in engine.state_parts() {
            println!("  {name:<32} {:>10} B a service", bytes / u64::from(fleet.services));
        }
        let (accounted, allocated) = weigh(engine);
        let ratio = accounted as f64 / allocated as f64;
        println!("  accounted {accounted}, allocated {allocated}: {ratio:.2}");
        assert!((0.8..1.35).contains(&ratio), "{what}: {accounted} accounted, {allocated} allocated");
    }
}

#[test]
fn a_fleet_stays_within_its_bound() {
    let _alone = ALONE.lock();
    let asked = |name: &str, otherwise: u32| std::env::var(name).map_or(otherwise, |text| text.parse().unwrap());
    let fleet = Fleet {
        services: asked("SERIN_SERVICES", 150),
        versions: asked("SERIN_VERSIONS", 6),
        requests: asked("SERIN_REQUESTS", 2),
        users: 60,
        probes: true,
    };
    let memory = u64::from(asked("SERIN_MEMORY_MIB", 8)) << 20;
    let case = Fleet { services: fleet.services.min(50), versions: 2, ..fleet }.case(memory);
    let begin = ALLOCATOR.current_usage();
    let start = std::time::Instant::now();
    let mut most = 0;
    let (engine, watch) = read(&fleet, fleet.minutes(), &case, |engine, minute| {
        assert!(engine.state_bytes() <= memory, "{} bytes in minute {minute}", engine.state_bytes());
        most = most.max(ALLOCATOR.current_usage() - begin);
        if minute % 400 == 399 {
            println!(
                "minute {minute}: {:?}, accounted {} MiB, allocated {} MiB, {:?}",
                start.elapsed(),
                engine.state_bytes() >> 20,
                (ALLOCATOR.current_usage() - begin) >> 20,
                engine.shed()
            );
        }
    });
    let comparisons: usize = engine.releases().map(|(_, list)| list.len()).sum();
    println!(
        "{} services, {comparisons} rollouts, most {} KiB accounted, {} KiB allocated with everything, {:?}",
        engine.releases().count(),
        watch.most >> 10,
        most >> 10,
        engine.shed()
    );
    assert_eq!(engine.releases().count(), fleet.services as usize + 2);
    assert!(watch.failed, "the broken one is found among all others");
    let (accounted, allocated) = weigh(engine);
    println!("accounted {} KiB, allocated {} KiB", accounted >> 10, allocated >> 10);
    assert!(accounted <= memory && allocated <= memory / 4 * 5, "{accounted} {allocated}");
}
