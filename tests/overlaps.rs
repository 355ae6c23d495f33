//! Rollouts that run at once over the same users: which of the two a harm comes from, with planted truth, and what the reports say.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use common::{Case, Line, Random, START, bytes_of, entries, folder_with, serin};
use serin::engine::Engine;
use serin::engine::overlaps::blame::Blame;
use serin::engine::overlaps::{Joined, Overlap, Place, UNITS_MAX};
use serin::engine::policy::Policy;
use serin::event;
use serin::pipeline::survey::Wishes;
use serin::time::MINUTE;

/// How users come to their arm of the second rollout.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Second {
    /// By a hash of its own.
    Apart,
    /// Who is in the canary of the first is in that of the second with this chance, who is not with the other.
    Given([f64; 2]),
    /// By the hash of the first.
    Same,
}

/// Two services of which the first calls the second: `web`, which users see, and `payments`.
#[derive(Clone, Debug)]
struct World {
    seed: u64,
    users: u64,
    requests: u64,
    second: Second,
    /// Chance that a request to `web` fails besides, in the canary of web, and of payments.
    web: [f64; 2],
    /// The same of requests to `payments`.
    payments: [f64; 2],
    /// Requests name a trace in place of a user, and each is routed by itself.
    by_trace: bool,
    /// Part of the users of the canary of web of which every request fails before payments is called.
    early: f64,
}

impl Default for World {
    fn default() -> World {
        World {
            seed: 1,
            users: 4_000,
            requests: 24_000,
            second: Second::Given([0.8, 0.15]),
            web: [0.0, 0.0],
            payments: [0.0, 0.0],
            by_trace: false,
            early: 0.0,
        }
    }
}

impl World {
    fn place(&self, of: u64, what: u64) -> f64 {
        event::mix(event::mix(of, what), self.seed) as f64 / u64::MAX as f64
    }

    /// Arms of a user (or of a trace) in web and in payments.
    fn arms(&self, of: u64) -> [usize; 2] {
        let first = usize::from(self.place(of, 5) < 0.3);
        let second = match self.second {
            Second::Apart => usize::from(self.place(of, 6) < 0.3),
            Second::Given([there, else_]) => usize::from(self.place(of, 6) < [else_, there][first]),
            Second::Same => first,
        };
        [first, second]
    }

    fn lines(&self) -> Vec<Line> {
        let mut random = Random::new(self.seed);
        let mut lines = Vec::new();
        for number in 0..self.requests {
            let at = START + (random.below(20 * MINUTE as u64 / 1_000) * 1_000) as i64;
            let user = random.below(self.users);
            let arms = self.arms(if self.by_trace { number } else { user });
            let fails = |random: &mut Random, harm: [f64; 2]| {
                random.chance(0.01 + harm[0] * arms[0] as f64 + harm[1] * arms[1] as f64)
            };
            let (of_web, of_payments) = (fails(&mut random, self.web), fails(&mut random, self.payments));
            let ends_early = arms[0] == 1 && self.place(user, 7) < self.early;
            let of_web = of_web || ends_early;
            for (service, arm, fails, later) in [("web", arms[0], of_web, 0), ("payments", arms[1], of_payments, 2_000)]
            {
                if ends_early && service == "payments" {
                    continue;
                }
                let name = ["baseline", "canary"][arm];
                let who = match self.by_trace {
                    true => format!("\"trace_id\":\"{:032x}\"", event::mix(number, self.seed) as u128 + 1),
                    false => format!("\"user\":\"u{user}\""),
                };
                let status = if fails { 503 } else { 200 };
                let fields = format!(
                    "\"service\":\"{service}\",\"cohort\":\"{name}\",{who},\"status\":{status},\"latency_ms\":{},\"route\":\"/pay\",\"level\":\"info\"",
                    20 + random.below(30)
                );
                lines.push(Line::new(at + later, user, arm, &fields));
            }
        }
        lines.sort_by_key(|line| line.at);
        lines
    }

    fn case(&self) -> Case {
        let streams = vec![("app.log".to_owned(), bytes_of(&self.lines()))];
        let mut case = Case::new("overlaps", streams, &Wishes::default(), Policy::default());
        // What traces join is one release, of which the entry is judged; as with --release each is judged here.
        let all = std::mem::take(&mut case.settings.releases).into_iter().flatten();
        case.settings.releases = all.map(|key| vec![key]).collect();
        case
    }

    /// Who is blamed for what [payments, web] show: releases are in the order of their names.
    fn blames(&self) -> [Blame; 2] {
        let engine = self.case().judged();
        let (_, _, overlap) = engine.overlaps().next().unwrap();
        let (_, crossed) = overlap.crossed();
        [0, 1].map(|side| crossed.blame(&crossed.effects(side)))
    }
}

const HARM: f64 = 0.04;

/// Harm of payments alone, whose failures web hands on: web's own arms explain nothing of it.
#[test]
fn what_the_other_does_is_blamed_on_the_other() {
    for seed in 1..=3 {
        let world = World { seed, web: [0.0, HARM], payments: [0.0, HARM], ..World::default() };
        // Payments shows its harm in its own requests; by the arms of web too, and there nothing is left.
        assert_eq!(world.blames(), [Blame::Own, Blame::Other], "seed {seed}");
    }
}

#[test]
fn what_it_does_itself_stays_its_own() {
    for seed in 1..=3 {
        let world = World { seed, web: [HARM, 0.0], ..World::default() };
        assert_eq!(world.blames(), [Blame::Nothing, Blame::Own], "seed {seed}");
    }
}

#[test]
fn two_that_do_harm_are_both_blamed() {
    let world = World { web: [HARM, HARM], payments: [0.0, HARM], ..World::default() };
    assert_eq!(world.blames(), [Blame::Own, Blame::Both]);
}

#[test]
fn the_same_users_cannot_be_told_apart() {
    let world = World { second: Second::Same, web: [0.0, HARM], payments: [0.0, HARM], ..World::default() };
    assert_eq!(world.blames(), [Blame::SameUnits; 2]);
}

/// Nearly the same users, and not quite: what is told of them is that they are too few.
#[test]
fn too_few_users_of_one_alone_tell_nothing_yet() {
    let second = Second::Given([0.95, 0.02]);
    let world =
        World { second, users: 1_000, requests: 4_000, web: [0.0, 0.06], payments: [0.0, 0.06], ..World::default() };
    let [_, web] = world.blames();
    assert_eq!(web, Blame::TooFew);
}

#[test]
fn of_arms_that_lie_across_each_other_nothing_is_said() {
    let world = World { second: Second::Apart, web: [0.0, HARM], payments: [0.0, HARM], ..World::default() };
    assert_eq!(world.blames(), [Blame::Nothing; 2]);
}

/// Every cell, counted by hand.
#[test]
fn cells_are_what_the_lines_say() {
    let world = World { users: 600, requests: 5_000, web: [0.02, 0.05], payments: [0.0, 0.05], ..World::default() };
    let engine = world.case().judged();
    let (first, second, overlap) = engine.overlaps().next().unwrap();
    assert_eq!((first, second), ((0, 0), (1, 0)));
    let (joined, crossed) = overlap.crossed();
    assert_eq!((joined, overlap.followed()), (Joined::Unit, 1.0));
    // Users are seen in both from their first request on, and each rollout is there once it has twenty of an arm.
    let started = [0, 1].map(|at| engine.comparison(at, 0).unwrap().started_at.0);
    let from = started[0].max(started[1]);
    let mut cells = [[[[0u64; 3]; 2]; 2]; 2];
    let mut users = [[std::collections::BTreeSet::new(), std::collections::BTreeSet::new()], Default::default()];
    let mut erring: [std::collections::BTreeSet<u64>; 2] = Default::default();
    for line in world.lines().iter().filter(|line| line.at >= from) {
        let [web, payments] = world.arms(line.user);
        let side = usize::from(line.text.contains("\"web\""));
        let fails = line.text.contains("\"status\":503");
        let cell = &mut cells[side][payments][web];
        cell[0] += 1;
        cell[1] += u64::from(fails);
        cell[2] += u64::from(fails && erring[side].insert(line.user));
        users[payments][web].insert(line.user);
    }
    let total = crossed.total();
    for (a, b) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
        assert_eq!(crossed.units[a][b], users[a][b].len() as u64, "{a} {b}");
        for (side, (of, by_hand)) in total.iter().zip(&cells).enumerate() {
            let cell = of[a][b];
            assert_eq!([cell.requests, cell.failed, cell.erring], by_hand[a][b], "{side} {a} {b}");
            assert_eq!(cell.at_risk, crossed.units[a][b], "{side} {a} {b}");
        }
    }
}

/// Requests without a user that are routed one by one are joined by their trace.
#[test]
fn requests_without_users_are_joined_by_their_trace() {
    let world = World { by_trace: true, web: [0.0, HARM], payments: [0.0, HARM], ..World::default() };
    let engine = world.case().judged();
    let (_, _, overlap) = engine.overlaps().next().unwrap();
    let (joined, crossed) = overlap.crossed();
    assert_eq!(joined, Joined::Call);
    let calls: u64 = crossed.units.iter().flatten().sum();
    assert!((20_000..=24_000).contains(&calls), "{calls}");
    assert_eq!(crossed.blame(&crossed.effects(1)), Blame::Other);
}

/// Everything that is counted.
fn state(engine: &Engine) -> Vec<(Place, Place, Overlap)> {
    engine.overlaps().map(|(first, second, of)| (first, second, of.clone())).collect()
}

/// The order in which streams are read, and where a snapshot is taken, change nothing.
#[test]
fn neither_the_order_of_reading_nor_a_restart_changes_a_count() {
    let world = World { users: 500, requests: 4_000, web: [0.0, 0.1], payments: [0.0, 0.1], ..World::default() };
    let lines = world.lines();
    let of = |service: &str| {
        lines.iter().filter(|line| line.text.contains(&format!("\"{service}\""))).cloned().collect::<Vec<Line>>()
    };
    let streams =
        vec![("payments.log".to_owned(), bytes_of(&of("payments"))), ("web.log".to_owned(), bytes_of(&of("web")))];
    let case = Case::new("order", streams, &Wishes::default(), Policy::default());
    let mut states = Vec::new();
    for (round, chunk) in [(1, 400), (2, 400), (3, 9_000), (4, 1 << 20)] {
        let (mut engine, _) = case.engine();
        for (number, fed) in case.inputs(chunk, &mut Random::new(round)).into_iter().enumerate() {
            entries(engine.apply(fed.input()));
            if round == 2 && number % 37 == 0 {
                let snapshot = engine.snapshot();
                engine = Engine::restore(case.settings.clone(), &snapshot).unwrap();
                assert_eq!(engine.snapshot(), snapshot);
            }
        }
        engine.apply(serin::engine::Input::Finish);
        states.push(state(&engine));
    }
    assert_eq!(states[0].len(), 1);
    for (round, state) in states.iter().enumerate() {
        assert!(*state == states[0], "{round}: {:?} {:?}", state[0].2.by_unit, states[0][0].2.by_unit);
    }
    // The same lines in one stream.
    let whole = Case::new("one", vec![("a.log".to_owned(), bytes_of(&lines))], &Wishes::default(), Policy::default());
    let crossed = |engine: &Engine| engine.overlaps().map(|(_, _, of)| of.by_unit.clone()).collect::<Vec<_>>();
    assert_eq!(crossed(&whole.judged()), crossed(&case.judged()));
}

/// Where neither rollout changes anything, nobody is blamed: of 60 such pairs, correlated as they are, at most one.
#[test]
fn nobody_is_blamed_where_nothing_changed() {
    let mut said = Vec::new();
    for seed in 100..160 {
        let world = World { seed, users: 1_500, requests: 6_000, ..World::default() };
        said.extend(world.blames().into_iter().filter(|blame| *blame != Blame::Nothing).map(|blame| (seed, blame)));
    }
    assert!(said.len() <= 1, "{said:?}");
}

/// Past the bound a hash sample of units is followed, and the state stays as large as it was.
#[test]
fn units_have_a_bound() {
    let world = World { users: UNITS_MAX as u64 * 2, requests: 200_000, ..World::default() };
    let engine = world.case().judged();
    let (_, _, overlap) = engine.overlaps().next().unwrap();
    assert!(overlap.followed() <= 0.5, "{}", overlap.followed());
    let parts = engine.state_parts();
    let (_, bytes) = parts.iter().find(|(name, _)| *name == "units of two rollouts").unwrap();
    assert!(*bytes < 1 << 20, "{bytes}");
}

/// What `overlaps` of the reports of services say: of each other service, and whether it explains that.
fn says(lines: &[Line], services: &[&str]) -> Vec<String> {
    let folder = folder_with(&[("app.log", &bytes_of(lines))]);
    let list = services.join(",");
    let report = serin(folder.path(), &["compare", "app.log", "--release", &list, "--format", "json"]).json();
    let mut said = Vec::new();
    for service in services {
        let one = report["comparisons"].as_array().unwrap().iter().find(|one| one["service"] == **service).unwrap();
        for of in one["overlaps"].as_array().unwrap() {
            let explains = if of["explains_it"] == true { ", explains it" } else { "" };
            let words = of["says"].as_str().unwrap_or("nothing");
            said.push(format!("{service}: {words} of {}{explains}", of["service"].as_str().unwrap()));
        }
    }
    said.sort();
    said
}

/// What fails before it could reach the other is in no table, and not explained by one.
#[test]
fn a_harm_that_never_reaches_the_other_is_not_blamed_on_it() {
    let world = World { web: [0.0, HARM], payments: [0.0, HARM], early: 0.15, ..World::default() };
    let services = ["payments", "web"];
    assert_eq!(says(&world.lines(), &services), ["payments: its_own of web", "web: nothing of payments"]);
    let before = World { early: 0.0, ..world };
    assert_eq!(
        says(&before.lines(), &services),
        ["payments: its_own of web, explains it", "web: explained_by_it of payments"]
    );
}

/// Of three whose users are nearly the same, the one that does the harm is told to, and none that only has its users.
#[test]
fn a_cause_that_is_explained_itself_is_none() {
    let mut random = Random::new(9);
    let mut lines = Vec::new();
    let place = |user: u64, what: u64| event::mix(event::mix(user, what), 3) as f64 / u64::MAX as f64;
    for _ in 0..20_000 {
        let (at, user) = (START + (random.below(20 * MINUTE as u64 / 1_000) * 1_000) as i64, random.below(5_000));
        let pay = place(user, 1) < 0.3;
        let cart = if place(user, 2) < 0.9 { pay } else { place(user, 3) < 0.3 };
        let web = if place(user, 4) < 0.6 { cart } else { place(user, 5) < 0.3 };
        let fails = random.chance(if pay { 0.07 } else { 0.01 });
        for (number, (service, arm)) in [("web", web), ("cart", cart), ("pay", pay)].into_iter().enumerate() {
            let fields = format!(
                "\"service\":\"{service}\",\"cohort\":\"{}\",\"user\":\"u{user}\",\"status\":{},\"latency_ms\":{},\"route\":\"/{service}\"",
                ["baseline", "canary"][usize::from(arm)],
                if fails { 503 } else { 200 },
                20 + random.below(30)
            );
            lines.push(Line::new(at + 1_000 * number as i64, user, usize::from(arm), &fields));
        }
    }
    lines.sort_by_key(|line| line.at);
    let said = says(&lines, &["cart", "pay", "web"]);
    assert!(said.contains(&"web: explained_by_it of pay".to_owned()), "{said:?}");
    assert!(said.contains(&"web: nothing of cart".to_owned()), "{said:?}");
    assert!(said.contains(&"cart: explained_by_it of pay".to_owned()), "{said:?}");
    assert!(said.contains(&"pay: its_own of web, explains it".to_owned()), "{said:?}");
}

/// What the reports say, in every form; and that a ledger is replayed.
#[test]
fn reports_say_who_explains_what() {
    let world = World { web: [0.0, HARM], payments: [0.0, HARM], ..World::default() };
    let folder = folder_with(&[("app.log", &bytes_of(&world.lines()))]);
    let folder = folder.path();
    let said = serin(folder, &["compare", "app.log", "--ledger", "l.ndjson"]).expect(1);
    let text = said.out.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "Its canary's users are more often in the canary `canary` of `payments` (",
        "Among users with the same arm of `payments` nothing is left that chance does not explain: ",
        "`payments` explains it. The verdict stays as it is.",
        "It explains what the canary `canary` of `web` shows: ",
        "Beside `canary` of payments: users in both arm here arm there in both with errors here requests here failed",
        "With a failed request here, canary to baseline: ",
    ] {
        assert!(text.contains(words), "{words}\n{}", said.out);
    }
    serin(folder, &["replay", "l.ndjson", "app.log"]).expect(0);
    let report = serin(folder, &["compare", "app.log", "--format", "json"]).json();
    let of = |service: &str| {
        let all = report["comparisons"].as_array().unwrap();
        let one = all.iter().find(|one| one["service"] == service).unwrap();
        let [overlap] = one["overlaps"].as_array().unwrap().as_slice() else { panic!("{one}") };
        overlap.clone()
    };
    let (web, payments) = (of("web"), of("payments"));
    assert_eq!((&web["says"], &web["explains_it"]), (&"explained_by_it".into(), &false.into()));
    assert_eq!((&payments["says"], &payments["explains_it"]), (&"its_own".into(), &true.into()));
    assert_eq!(
        (&web["service"], &web["candidate"], &web["joined_by"]),
        (&"payments".into(), &"canary".into(), &"user".into())
    );
    assert!(
        web["ratios"]["here"]["low"].as_f64().unwrap() > 1.0
            && web["ratios"]["here_within"]["low"].as_f64().unwrap() < 1.0
    );
    // The tables of both are one table, turned.
    for (here, there) in [(0, 0), (1, 2), (2, 1), (3, 3)] {
        assert_eq!(web["cells"][here]["units"], payments["cells"][there]["units"]);
    }
    let markdown = serin(folder, &["compare", "app.log", "--format", "markdown"]).out;
    assert!(markdown.contains("`payments` explains it."), "{markdown}");
    assert!(markdown.contains("<details><summary>Rollouts at the same time</summary>"), "{markdown}");
    let page = serin(folder, &["compare", "app.log", "--format", "html"]).out;
    assert!(page.contains("Rollouts at the same time") && page.contains("explains it"), "{}", page.len());
}
