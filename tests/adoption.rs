//! Who uses a feature: formulas by vectors of lifelines and statsmodels, claims by simulation, the command by a log of known truth.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on ends here")]

mod common;

use std::fmt::Write as _;

use common::{Random, folder_with, serin};
use serde_json::Value;
use serin::adoption::intervals::{self, Estimate};
use serin::adoption::survival::FirstUse;
use serin::adoption::units::{Line, Units};
use serin::adoption::{Adoption, Asked, USES_MAX};
use serin::event;
use serin::time::{DAY, HOUR, MINUTE, Micros, SECOND, Timestamp};

/// Midnight.
const START: i64 = 1_750_032_000 * SECOND;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/adoption.json")).unwrap()
}

fn near(of: f64, expect: &Value, within: f64) {
    let expect = expect.as_f64().unwrap();
    assert!((of - expect).abs() <= within, "{of} instead of {expect}");
}

fn pair(of: &Value) -> (u64, u64) {
    (of[0].as_u64().unwrap(), of[1].as_u64().unwrap())
}

#[test]
fn intervals_are_those_of_statsmodels() {
    let golden = golden();
    for of in golden["shares"].as_array().unwrap() {
        let share = intervals::share(of["count"].as_u64().unwrap(), of["of"].as_u64().unwrap()).unwrap();
        near(share.low, &of["low"], 1e-9);
        near(share.high, &of["high"], 1e-9);
    }
    for of in golden["pairs"].as_array().unwrap() {
        let (first, second) = (pair(&of["first"]), pair(&of["second"]));
        let difference = intervals::difference(first, second).unwrap();
        near(difference.low, &of["difference"][0], 1e-9);
        near(difference.high, &of["difference"][1], 1e-9);
        if of.get("ratio").is_some() {
            let ratio = intervals::ratio(first, second).unwrap();
            near(ratio.low, &of["ratio"][0], 1e-9 * ratio.low.max(1.0));
            near(ratio.high, &of["ratio"][1], 1e-9 * ratio.high.max(1.0));
        }
    }
}

#[test]
fn time_to_the_first_use_is_that_of_lifelines() {
    for of in golden()["survival"].as_array().unwrap() {
        let ages = of["ages"].as_array().unwrap().iter().map(|age| {
            let seconds = age[0].as_i64().unwrap();
            if age[1].as_bool().unwrap() { Ok(seconds) } else { Err(seconds) }
        });
        let first_use = FirstUse::new(ages.collect());
        for point in of["points"].as_array().unwrap() {
            let Estimate { value, low, high } = first_use.used_by(point["age"].as_i64().unwrap());
            near(value, &point["used"], 1e-9);
            near(low, &point["low"], 1e-9);
            near(high, &point["high"], 1e-9);
        }
        assert_eq!(first_use.age_of(0.5).map(|age| age as f64), of["median"].as_f64());
    }
}

fn line(unit: u64, at: Micros, exposed: bool, used: bool, segments: [Option<&str>; 4]) -> Line<'_> {
    let time = Timestamp(START + at);
    Line { unit: event::identity_hash(&unit.to_le_bytes()), time, exposed, used, steps: 0, arm: None, segments }
}

fn asked(fields: &[&str]) -> Asked {
    Asked {
        segments: fields.iter().map(|field| (*field).to_owned()).collect(),
        steps: 0,
        within: HOUR,
        uses_max: USES_MAX,
    }
}

#[test]
fn the_rate_of_a_segment_is_that_of_coxs_model() {
    for of in golden()["rates"].as_array().unwrap() {
        let mut units = Units::default();
        for (number, unit) in of["units"].as_array().unwrap().iter().enumerate() {
            // Ten seconds for one, so that hardly two fall on the same.
            let age = unit[0].as_i64().unwrap() * 10;
            let segment = [Some(if unit[2].as_bool().unwrap() { "own" } else { "other" }), None, None, None];
            units.take(&line(number as u64, 0, true, false, segment));
            let used = unit[1].as_bool().unwrap();
            units.take(&line(number as u64, age, false, used, segment));
        }
        let adoption = Adoption::of(units, &asked(&["segment"]));
        let own = adoption.segments.iter().find(|of| of.value == "own").unwrap();
        let (ratio, [value, low, high]) = (of["ratio"].as_f64().unwrap(), own.rate);
        // The grid has steps of a twentieth.
        assert!((value / ratio).ln().abs() < 0.06 && low < ratio && ratio < high, "{ratio}: {:?}", own.rate);
    }
}

/// Units that are exposed over three days, with a rate of first uses that depends on their age and, times `theta`, on their segment.
fn world(seed: u64, theta: f64, later: bool) -> Adoption {
    let mut random = Random::new(seed);
    let mut units = Units::default();
    for unit in 0..1_500u64 {
        let own = random.chance(0.2);
        // One segment is exposed in the last day alone.
        let from = if later && own { 2 * DAY } else { 0 };
        let exposed = from + random.below((3 * DAY - from) as u64) as i64;
        let noise = ["a", "b", "c"][random.below(3) as usize];
        let segments = [Some(if own { "own" } else { "other" }), Some(noise), None, None];
        units.take(&line(unit, exposed, true, false, segments));
        let rate = if own { theta } else { 1.0 };
        // A tenth in the first ten minutes, then one in a hundred an hour.
        let used = if random.chance(1.0 - 0.9f64.powf(rate)) {
            exposed + random.below(10 * MINUTE as u64) as i64
        } else {
            exposed + 10 * MINUTE + (-(1.0 - random.unit()).ln() / rate * 100.0 * HOUR as f64) as i64
        };
        if used < 3 * DAY {
            units.take(&line(unit, used, false, true, segments));
        }
    }
    units.take(&line(0, 3 * DAY, false, false, [None; 4]));
    Adoption::of(units, &asked(&["segment", "noise"]))
}

#[test]
fn what_is_the_same_everywhere_is_seldom_found_and_what_differs_is() {
    for later in [false, true] {
        let false_ones = (0..200).filter(|seed| world(*seed, 1.0, later).segments.iter().any(|of| of.found)).count();
        // 5 % at most: with more than 18 of 200 that happens once in a hundred times.
        assert!(false_ones <= 18, "{false_ones} of 200");
        let (mut truth, mut known) = (0, 0);
        for seed in 0..20 {
            let adoption = world(seed, 2.0, later);
            let first = adoption.segments.first().unwrap();
            known += usize::from(first.found && first.field == "segment");
            let own = adoption.segments.iter().find(|of| of.value == "own").unwrap();
            truth += usize::from(own.rate[1] <= 2.0 && 2.0 <= own.rate[2]);
        }
        // With a day in which to tell, hardly all.
        assert!(
            truth >= 18 && known >= if later { 12 } else { 20 },
            "{known} of 20 found, {truth} intervals have the truth"
        );
    }
}

#[test]
fn the_order_of_lines_does_not_matter_and_a_sample_is_told() {
    let mut random = Random::new(5);
    let mut lines: Vec<(u64, Micros, bool, bool, usize)> = Vec::new();
    for _ in 0..60_000 {
        let unit = random.below(6_000);
        let (at, what) = (random.below(3 * DAY as u64) as i64 / SECOND * SECOND, random.below(10));
        lines.push((unit, at, what < 3, what == 9, random.below(3) as usize));
    }
    let read = |lines: &[(u64, Micros, bool, bool, usize)], bounds: [usize; 2]| {
        let mut units = Units::bounded(bounds[0], bounds[1]);
        for (unit, at, exposed, used, value) in lines {
            let segments = [Some(["x", "y", "z"][*value]), None, None, None];
            units.take(&Line { steps: *value as u8 + 1, ..line(*unit, *at, *exposed, *used, segments) });
        }
        Adoption::of(units, &Asked { steps: 2, ..asked(&["segment"]) })
    };
    let plenty = [100_000, 1_000_000];
    let exact = read(&lines, plenty);
    assert_eq!(exact.units.units(), 6_000);
    for (bounds, one_of) in [(plenty, 1), ([1_000, 1_000_000], 8), ([100_000, 20_000], 4)] {
        let first = read(&lines, bounds);
        assert_eq!(first.one_of(), one_of);
        for seed in 0..3 {
            let mut shuffled = lines.clone();
            let mut random = Random::new(seed);
            for at in (1..shuffled.len()).rev() {
                shuffled.swap(at, random.below(at as u64 + 1) as usize);
            }
            assert_eq!(read(&shuffled, bounds), first);
        }
        // Within four standard errors of what there is.
        let (of, all) = (first.adopted.used, exact.adopted.used.units() as f64);
        assert!((of.units() as f64 - all).abs() <= 4.0 * of.error(), "{of:?} of {all}");
    }
}

/// A week of 4,000 users with the feature in a menu: of Japan three times as many a day take it up.
fn week() -> String {
    let mut random = Random::new(9);
    let mut lines: Vec<(i64, String)> = Vec::new();
    for user in 0..4_000 {
        let (country, lang) = [("us", "en"), ("de", "de"), ("jp", "ja"), ("br", "pt")][random.below(4) as usize];
        let mut put = |at: Micros, path: &str| {
            let time = Timestamp(START + at);
            let mut text = String::new();
            write!(
                text,
                "{{\"ts\":\"{time}\",\"service\":\"web\",\"version\":\"v1\",\"user\":\"u{user}\",\"country\":\"{country}\",\
                 \"lang\":\"{lang}\",\"path\":\"{path}\",\"status\":200,\"duration_ms\":20}}"
            )
            .unwrap();
            lines.push((at, text));
        };
        let exposed = random.below(5 * DAY as u64) as i64;
        put(exposed, "/menu");
        let rate = if country == "jp" { 3.0 } else { 1.0 };
        let used = exposed + (-(1.0 - random.unit()).ln() / rate * 10.0 * DAY as f64) as i64;
        if used < 7 * DAY {
            put(used, "/export");
            if user % 4 != 0 {
                put((used + 5 * MINUTE).min(7 * DAY - 1), "/export/done");
            }
            if user % 2 == 0 && used + DAY < 7 * DAY {
                put(used + DAY, "/export");
            }
        }
    }
    lines.sort();
    lines.into_iter().map(|(_, line)| line + "\n").collect()
}

#[test]
fn the_command_says_who_uses_it() {
    let folder = folder_with(&[("app.log", week().as_bytes())]);
    let of = |format: &str| {
        let steps = ["--step", "menu=path:/menu", "--step", "export=path:/export", "--step", "done=path:/export/done"];
        let queries = [
            "who",
            "app.log",
            "--used",
            "path:/export",
            "--exposed",
            "path:/menu",
            "--within",
            "7d",
            "--format",
            format,
        ];
        let fields = ["--segment", "country", "--segment", "lang"];
        serin(folder.path(), &[queries.as_slice(), &steps, &fields].concat())
    };
    let json = of("json");
    assert_eq!(json.status, 0, "{}", json.err);
    let who: Value = serde_json::from_str(&json.out).unwrap();
    let number = |pointer: &str| who.pointer(pointer).and_then(Value::as_u64).unwrap();
    let (exposed, used) = (number("/adopted/exposed"), number("/adopted/used"));
    assert_eq!(exposed, 4_000);
    let log_text = week();
    let users_of = |path: &str| {
        let of_path = log_text.lines().filter(|line| line.contains(&format!("\"path\":\"{path}\"")));
        let users = of_path.map(|line| line.split("\"user\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned());
        users.collect::<std::collections::BTreeSet<String>>()
    };
    assert_eq!(used, users_of("/export").len() as u64);
    // Every way is in order and in time.
    assert_eq!(
        [0, 1, 2].map(|step| number(&format!("/funnel/{step}"))),
        [4_000, used, users_of("/export/done").len() as u64]
    );
    let first = &who["segments"][0];
    assert!(first["found"] == true && (first["value"] == "jp" || first["value"] == "ja"), "{first}");
    assert_eq!(first["same_units"][0]["overlap"], 1.0);
    let (low, high) = (first["rate_ratio"]["low"].as_f64().unwrap(), first["rate_ratio"]["high"].as_f64().unwrap());
    assert!(low > 1.5 && low < 3.0 && high > 3.0, "{low} {high}");
    // Those of an even number came again a day later.
    let retained = who["retention"].as_array().unwrap();
    let (day, again) = (retained[0]["units"].as_u64().unwrap(), retained[0]["again"][1]["units"].as_u64().unwrap());
    assert!(day > 20 && again * 3 > day && again * 3 < day * 2, "{again} of {day}");
    assert_eq!(retained[0]["again"][0]["units"].as_u64(), Some(day));

    let text = of("text").out;
    for expect in [
        "of 4,000 users used it",
        "Half have used it within",
        "this is selection, not an effect",
        "has nearly the same units as",
        "Funnel, in order within 7d",
        "single look",
    ] {
        assert!(text.replace('\n', " ").contains(expect), "{expect} in {text}");
    }
    assert!(of("markdown").out.contains("| within | have used it |"));
}

#[test]
fn what_cannot_be_said_is_said() {
    let folder = folder_with(&[("app.log", week().as_bytes())]);
    for (arguments, expect) in [
        (vec!["--used", "paht:/export"], "did you mean `path`?"),
        (vec!["--used", "path:("], "--used"),
        (vec!["--used", "path:/export", "--step", "a=path:/menu"], "two to 8 steps"),
        (vec!["--used", "path:/export", "--step", "path"], "write NAME=QUERY"),
        (vec!["--used", "path:/export", "--unit", "session"], "session"),
    ] {
        let said = serin(folder.path(), &[vec!["who", "app.log"], arguments].concat());
        assert!(said.status == 2 && said.err.contains(expect), "{expect}: {} {}", said.status, said.err);
    }
    // Nobody uses it, and nobody was exposed: both are answers.
    let none = serin(folder.path(), &["who", "app.log", "--used", "path:/nothing"]);
    assert!(none.status == 0 && none.out.starts_with("0 of 4,000 users used it"), "{}", none.out);
    let nobody = serin(folder.path(), &["who", "app.log", "--used", "path:/export", "--exposed", "path:/nothing"]);
    assert!(nobody.status == 0 && nobody.out.starts_with("nobody was exposed"), "{}", nobody.out);
    assert!(nobody.out.contains("without having been exposed"), "{}", nobody.out);
}
