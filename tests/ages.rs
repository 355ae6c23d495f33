//! A difference by the time since users were first seen: what passes, what grows, and what stays, with planted truth, in every report.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use common::{Case, Line, Random, START, bytes_of, entries, folder_with, serin};
use serin::engine::ages::{Age, Course, Told, What};
use serin::engine::policy::Policy;
use serin::engine::{Engine, Input};
use serin::event;
use serin::pipeline::plan::Conversions;
use serin::pipeline::survey::Wishes;
use serin::time::{HOUR, MINUTE, Windowing};

/// Length of a window.
const WINDOW: i64 = MINUTE;
const EVENT: &str = "checkout_completed";

/// Users who come over four hours and come back for two days.
#[derive(Clone, Debug)]
struct World {
    seed: u64,
    users: u64,
    /// Chance that a request fails in (control, candidate), in the first hour of a user and later.
    young: [f64; 2],
    old: [f64; 2],
    /// How much longer a request takes in the candidate in the first hour.
    slower: f64,
    /// Chance of a business event after a request in (control, candidate), in the first hour and later.
    buys_young: [f64; 2],
    buys_old: [f64; 2],
}

impl Default for World {
    fn default() -> World {
        World {
            seed: 1,
            users: 3_000,
            young: [0.02; 2],
            old: [0.02; 2],
            slower: 1.0,
            buys_young: [0.0; 2],
            buys_old: [0.0; 2],
        }
    }
}

impl World {
    fn lines(&self) -> Vec<Line> {
        let mut random = Random::new(self.seed);
        let mut lines = Vec::new();
        for user in 0..self.users {
            let arm = usize::from(event::mix(event::mix(user, 5), self.seed) % 10 < 4);
            let came = random.below(4 * HOUR as u64) as i64;
            let mut times = vec![(came, true)];
            times.extend((0..3).map(|_| (came + random.below(50 * MINUTE as u64) as i64, true)));
            times.extend((0..2).map(|_| (came + 2 * HOUR + random.below(20 * HOUR as u64) as i64, false)));
            times.extend((0..4).map(|_| (came + 25 * HOUR + random.below(20 * HOUR as u64) as i64, false)));
            for (at, is_young) in times {
                let fails = random.chance(if is_young { self.young[arm] } else { self.old[arm] });
                let slower = if is_young && arm == 1 { self.slower } else { 1.0 };
                let latency = (20.0 + 60.0 * random.unit()) * slower;
                let cohort = ["baseline", "canary"][arm];
                let status = if fails { 503 } else { 200 };
                let fields = format!(
                    "\"service\":\"shop\",\"cohort\":\"{cohort}\",\"user\":\"u{user}\",\"status\":{status},\"latency_ms\":{latency:.2},\"route\":\"/cart\",\"level\":\"info\""
                );
                lines.push(Line::new(START + at, user, arm, &fields));
                if random.chance(if is_young { self.buys_young[arm] } else { self.buys_old[arm] }) {
                    let fields = format!(
                        "\"service\":\"orders\",\"kind\":\"event\",\"event\":{{\"name\":\"{EVENT}\"}},\"user\":\"u{user}\""
                    );
                    lines.push(Line::new(START + at + 2_000_000, user, arm, &fields));
                }
            }
        }
        lines.sort_by_key(|line| line.at);
        lines
    }

    fn case(&self) -> Case {
        let conversions = Conversions { names: vec![EVENT.to_owned()], ..Conversions::default() };
        let streams = vec![("shop.log".to_owned(), bytes_of(&self.lines()))];
        let policy = Policy { conversions: conversions.clone(), ..Policy::default() };
        // Two days in windows of a minute: the usual ones would be six times as many looks.
        let wishes = Wishes { windowing: Windowing { window: WINDOW, ..Windowing::default() }, ..Wishes::default() };
        let mut case = Case::new("ages", streams, &wishes, policy);
        case.plan.conversions = conversions;
        case
    }

    fn told(&self) -> Vec<Told> {
        self.case().judged().comparison(0, 0).unwrap().ages.told(1)
    }
}

fn courses(world: &World) -> Vec<(What, Course)> {
    world.told().iter().map(|told| (told.what, told.course)).collect()
}

#[test]
fn what_passes_what_grows_and_what_stays() {
    for seed in 1..=2 {
        let of = |world: World| courses(&World { seed, ..world });
        let new = World { young: [0.02, 0.08], ..World::default() };
        assert_eq!(of(new.clone()), [(What::Errors, Course::Gone)], "seed {seed}");
        assert_eq!(of(World { old: [0.02, 0.08], ..World::default() }), [(What::Errors, Course::Grows)], "seed {seed}");
        assert_eq!(of(World { old: [0.02, 0.08], ..new }), [], "seed {seed}");
        assert_eq!(of(World { slower: 1.3, ..World::default() }), [(What::Latency, Course::Gone)], "seed {seed}");
        let buys = World { buys_young: [0.05, 0.1], buys_old: [0.05; 2], ..World::default() };
        assert_eq!(of(buys), [(What::Event(0), Course::Gone)], "seed {seed}");
    }
}

/// Users at each age, counted by hand; those of the windows before both arms were there are not known.
#[test]
fn users_count_at_each_age() {
    let world = World { users: 400, ..World::default() };
    let engine = world.case().judged();
    let comparison = engine.comparison(0, 0).unwrap();
    let from = comparison.started_at.0;
    let window = WINDOW;
    let mut first = std::collections::BTreeMap::new();
    let mut at = [
        [std::collections::BTreeSet::new(), std::collections::BTreeSet::new()],
        Default::default(),
        Default::default(),
    ];
    let mut requests = [[0u64; 2]; 3];
    for line in world.lines().iter().filter(|line| line.at >= from) {
        let start = line.at.div_euclid(window) * window;
        let since = *first.entry(line.user).or_insert(start);
        let age = match start - since {
            time if time < HOUR => 0,
            time if time < 24 * HOUR => 1,
            _ => 2,
        };
        at[age][line.arm].insert(line.user);
        requests[age][line.arm] += 1;
    }
    for (number, age) in [Age::FirstHour, Age::FirstDay, Age::SecondDay].into_iter().enumerate() {
        let cells = comparison.ages.cells(age);
        assert_eq!(cells.map(|cell| cell.units), [0, 1].map(|arm| at[number][arm].len() as u64), "{age:?}");
        assert_eq!(cells.map(|cell| cell.requests), requests[number], "{age:?}");
    }
    assert_eq!((comparison.ages.seen().len(), comparison.ages.moved()), (3, 0));
}

/// Neither the order of reading nor a restart at a look changes a count.
#[test]
fn a_restart_changes_no_count() {
    let world = World { users: 1_000, young: [0.02, 0.2], buys_young: [0.1; 2], ..World::default() };
    let case = world.case();
    let mut states = Vec::new();
    for round in 1..=2u64 {
        let (mut engine, _) = case.engine();
        for (number, fed) in case.inputs(3_000, &mut Random::new(round)).into_iter().enumerate() {
            entries(engine.apply(fed.input()));
            if round == 2 && number % 97 == 0 {
                engine = Engine::restore(case.settings.clone(), &engine.snapshot()).unwrap();
            }
        }
        engine.apply(Input::Finish);
        states.push(engine.comparison(0, 0).unwrap().ages.clone());
    }
    assert_eq!(states[0].seen().len(), 3);
    assert!(
        states[0] == states[1],
        "{:?} {:?}",
        Age::ALL.map(|age| states[0].cells(age)),
        Age::ALL.map(|age| states[1].cells(age))
    );
}

#[test]
fn reports_say_it_in_every_form() {
    let world = World { young: [0.02, 0.1], buys_young: [0.05; 2], buys_old: [0.05; 2], ..World::default() };
    let policy = format!("conversions: [{EVENT}]\n");
    let folder = folder_with(&[("shop.log", &bytes_of(&world.lines())), ("p.yaml", policy.as_bytes())]);
    let run = |form: &str| {
        serin(folder.path(), &["compare", "shop.log", "--policy", "p.yaml", "--window", "60s", "--format", form]).out
    };
    let text = run("text").split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "By the time since they were first seen (descriptive, a single look): users with a failed request on their first day, ",
        "among users seen for more than a day nothing is left of it that chance does not explain (",
        "): novelty.",
        "By the time since users were first seen in their arm: users at each age, canary to baseline (95 %, descriptive, a single look)",
        "seen for baseline canary with errors latency of the first request requests each checkout_completed first hour ",
        " rest of first day ",
        " second day ",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    let report: serde_json::Value = serde_json::from_str(&run("json")).unwrap();
    let of = &report["comparisons"][0]["by_age"];
    assert_eq!(of["ages"].as_array().unwrap().len(), 3, "{of}");
    assert_eq!(of["ages"][0]["age"], "first hour");
    assert!(of["ages"][0]["errors"]["low"].as_f64().unwrap() > 1.0, "{of}");
    assert_eq!(of["ages"][2]["events"][0]["event"], EVENT);
    assert_eq!((&of["says"][0]["what"], &of["says"][0]["course"]), (&"errors".into(), &"gone".into()));
    let markdown = run("markdown");
    assert!(
        markdown.contains("<summary>By the time since they were first seen</summary>") && markdown.contains("novelty.")
    );
    let page = run("html");
    assert!(
        page.contains("<h3>By age</h3>")
            && page.contains("third") == text.contains("third")
            && page.contains("novelty.")
    );
}
