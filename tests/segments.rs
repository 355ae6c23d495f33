//! Segments: what is broken in one group of users alone is found and named, and who the users are is not taken for code.

mod common;

use common::{Case, Line, Random, START, bytes_of, folder_with, ledger_values, serin};
use serde_json::Value;
use serin::compare::verdict::{Flaw, Verdict};
use serin::engine::policy::Policy;
use serin::engine::segments::{CELLS_MAX, SegmentTest};
use serin::event;
use serin::pipeline::survey::Wishes;
use serin::time::MINUTE;

/// A user of the shop.
#[derive(Clone, Copy, Debug)]
struct User {
    number: u64,
    region: &'static str,
    client: &'static str,
    tier: &'static str,
}

/// Traffic of users with a region, a client and a tier, in two arms.
#[derive(Clone, Debug)]
struct Shop {
    seed: u64,
    users: u64,
    requests: u64,
    minutes: i64,
    share: f64,
    /// Minute at which the canary comes.
    from: i64,
    /// Each request is dealt anew.
    per_request: bool,
    /// Fields of each line beside those of the user.
    more: fn(&User, usize) -> String,
}

impl Default for Shop {
    fn default() -> Self {
        Shop {
            seed: 1,
            users: 8_000,
            requests: 40_000,
            minutes: 40,
            share: 0.3,
            from: 0,
            per_request: false,
            more: |_, _| String::new(),
        }
    }
}

/// Chance of a user to be in the canary, error rate, and factor on latency, of a user in an arm.
trait World {
    fn share(&self, shop: &Shop, _: &User) -> f64 {
        shop.share
    }
    fn errors(&self, _: &User, _: usize) -> f64 {
        0.01
    }
    fn slower(&self, _: &User, _: usize) -> f64 {
        1.0
    }
}

impl Shop {
    fn user(&self, number: u64) -> User {
        let mut random = Random::new(event::mix(number, 3) ^ self.seed);
        User {
            number,
            region: match random.below(20) {
                0 | 1 => "jp",
                2..9 => "us",
                9..16 => "de",
                _ => "br",
            },
            client: if random.chance(0.3) { "3.0" } else { "2.9" },
            tier: ["free", "gold"][usize::from(random.chance(0.2))],
        }
    }

    fn lines(&self, world: &impl World) -> Vec<Line> {
        let mut random = Random::new(self.seed);
        let span = self.minutes * MINUTE;
        let mut times: Vec<i64> = (0..self.requests).map(|_| random.below(span as u64) as i64).collect();
        times.sort_unstable();
        let of = |at: i64| {
            let user = self.user(random.below(self.users));
            let place = event::mix(event::mix(user.number, 5), self.seed) as f64 / u64::MAX as f64;
            let place = if self.per_request { random.unit() } else { place };
            let arm = usize::from(place < world.share(self, &user) && at >= self.from * MINUTE);
            let status = if random.chance(world.errors(&user, arm)) { 503 } else { 200 };
            let luck = random.unit() + random.unit() + random.unit() - 1.5;
            let latency = 80.0 * luck.exp() * world.slower(&user, arm);
            let fields = format!(
                "\"service\":\"shop\",\"cohort\":\"{}\",\"user\":\"u{}\",\"status\":{status},\"latency_ms\":{latency:.3},\
                 \"route\":\"/cart\",\"region\":\"{}\",\"client\":{{\"version\":\"{}\"}},\"tier\":\"{}\"{}",
                ["baseline", "canary"][arm],
                user.number,
                user.region,
                user.client,
                user.tier,
                (self.more)(&user, arm)
            );
            Line::new(START + at, user.number, arm, &fields)
        };
        times.into_iter().map(of).collect()
    }

    fn case(&self, world: &impl World) -> Case {
        let streams = vec![("shop.log".to_owned(), bytes_of(&self.lines(world)))];
        Case::new("segments", streams, &Wishes::default(), Policy::default())
    }

    /// The JSON report of the program.
    fn report(&self, world: &impl World, arguments: &[&str], status: i32) -> Value {
        let folder = folder_with(&[("shop.log", &bytes_of(&self.lines(world)))]);
        let all = [&["compare", "shop.log", "--format", "json"], arguments].concat();
        serin(folder.path(), &all).expect(status).json()
    }
}

/// Nothing differs between the arms; regions differ.
struct Healthy;

impl World for Healthy {
    fn errors(&self, user: &User, _: usize) -> f64 {
        if user.region == "jp" { 0.03 } else { 0.01 }
    }
    fn slower(&self, user: &User, _: usize) -> f64 {
        if user.region == "br" { 2.0 } else { 1.0 }
    }
}

/// Parts of the segment that is named first.
fn first_segment(report: &Value) -> Vec<(String, String)> {
    let text = |part: &Value, key: &str| part[key].as_str().unwrap_or_default().to_owned();
    let parts = report["comparisons"][0]["segments"]["cells"][0]["segment"].as_array().cloned().unwrap_or_default();
    parts.iter().map(|part| (text(part, "field"), text(part, "value"))).collect()
}

fn pair(field: &str, value: &str) -> (String, String) {
    (field.to_owned(), value.to_owned())
}

#[test]
fn only_japan_is_broken_and_is_named_first() {
    struct Japan;
    impl World for Japan {
        fn errors(&self, user: &User, arm: usize) -> f64 {
            if user.region == "jp" && arm == 1 { 0.2 } else { 0.01 }
        }
    }
    for seed in 1..=3 {
        let shop = Shop { seed, ..Shop::default() };
        let report = shop.report(&Japan, &[], 1);
        assert_eq!(first_segment(&report), [pair("region", "jp")], "seed {seed}");
        let judged = &report["comparisons"][0];
        assert_eq!(judged["segments"]["cells"][0]["tests"]["errors"]["finding"], "regressed", "seed {seed}");
        let of_excess = judged["segments"]["cells"][0]["of_excess"].as_f64().unwrap();
        assert!((0.8..1.3).contains(&of_excess), "{of_excess}");
        let reasons = judged["reasons"].to_string();
        assert!(reasons.contains("Errors in region = jp: "), "{reasons}");
        // The mix is the same in both arms: all of the difference is one of rates.
        let split = &judged["segments"]["descriptive"];
        let part = |key: &str| split[key].as_f64().unwrap();
        assert!((part("mix") + part("rate") - part("difference")).abs() < 1e-6, "{split}");
        assert!(part("rate") > 0.8 * part("difference"), "{split}");
    }
}

#[test]
fn only_japan_and_only_on_the_new_client_is_named_first() {
    struct NewClient;
    impl World for NewClient {
        fn errors(&self, user: &User, arm: usize) -> f64 {
            if user.region == "jp" && user.client == "3.0" && arm == 1 { 0.4 } else { 0.01 }
        }
    }
    for seed in 1..=3 {
        let shop = Shop { seed, ..Shop::default() };
        let report = shop.report(&NewClient, &[], 1);
        let mut named = first_segment(&report);
        named.sort();
        assert_eq!(named, [pair("client.version", "3.0"), pair("region", "jp")], "seed {seed}");
        let folder = folder_with(&[("shop.log", &bytes_of(&shop.lines(&NewClient)))]);
        let said = serin(folder.path(), &["compare", "shop.log"]).expect(1);
        assert!(
            said.out.contains("region = jp and client.version = 3.0")
                || said.out.contains("client.version = 3.0 and region = jp"),
            "{}",
            said.out
        );
        assert!(said.out.contains("(descriptive)"), "{}", said.out);
    }
}

#[test]
fn what_is_slow_in_one_region_alone_fails_by_it() {
    struct SlowJapan;
    impl World for SlowJapan {
        fn slower(&self, user: &User, arm: usize) -> f64 {
            if user.region == "jp" && arm == 1 { 1.6 } else { 1.0 }
        }
    }
    let engine = Shop { requests: 60_000, ..Shop::default() }.case(&SlowJapan).judged();
    let comparison = engine.comparison(0, 0).unwrap();
    assert_eq!(comparison.look.verdict, Verdict::Fail);
    let leading = comparison.look.leading_segments(comparison.log_fail);
    let (cell, test) = leading[0];
    assert_eq!((comparison.segments.name(cell).as_str(), test), ("region = jp", SegmentTest::Latency));
}

#[test]
fn another_mix_of_users_is_called_mix_and_does_not_fail() {
    /// The canary goes to Japan and Brazil first; its code is the same, and failures and waiting are more usual there.
    struct CitiesFirst;
    impl World for CitiesFirst {
        fn share(&self, _: &Shop, user: &User) -> f64 {
            if matches!(user.region, "jp" | "br") { 0.6 } else { 0.15 }
        }
        fn errors(&self, user: &User, _: usize) -> f64 {
            if matches!(user.region, "jp" | "br") { 0.05 } else { 0.01 }
        }
        fn slower(&self, user: &User, _: usize) -> f64 {
            if user.region == "br" { 2.0 } else { 1.0 }
        }
    }
    for seed in 1..=4 {
        let shop = Shop { seed, ..Shop::default() };
        let report = shop.report(&CitiesFirst, &[], 3);
        let judged = &report["comparisons"][0];
        assert_eq!(judged["segments"]["unequal"], serde_json::json!(["region"]), "seed {seed}");
        assert!(judged["flaws"].to_string().contains("unequal_segments"));
        let split = &judged["segments"]["descriptive"];
        let part = |key: &str| split[key].as_f64().unwrap();
        assert_eq!(split["field"], "region");
        assert!(part("difference") > 0.03 && part("mix") > 0.8 * part("difference"), "seed {seed}: {split}");
        assert!((0.85..1.15).contains(&split["adjusted_ratio"]["estimate"].as_f64().unwrap()), "{split}");
        assert!(judged["reasons"].to_string().contains("a mix of traffic, not code"), "{}", judged["reasons"]);
    }
    /// The same, and the code fails three times as often.
    struct Worse;
    impl World for Worse {
        fn share(&self, shop: &Shop, user: &User) -> f64 {
            CitiesFirst.share(shop, user)
        }
        fn errors(&self, user: &User, arm: usize) -> f64 {
            CitiesFirst.errors(user, arm) * [1.0, 3.0][arm]
        }
    }
    let engine = Shop::default().case(&Worse).judged();
    let comparison = engine.comparison(0, 0).unwrap();
    assert_eq!(comparison.look.verdict, Verdict::Fail, "what is left within regions fails");
    assert!(comparison.look.flaws.contains(&Flaw::UnequalSegments));
    let reasons = Shop::default().report(&Worse, &[], 1)["comparisons"][0]["reasons"].to_string();
    assert!(reasons.contains("The plain numbers hold that mix") && reasons.contains("; within segments "), "{reasons}");
}

/// Fails five times as often, whoever asks.
struct Broken;

impl World for Broken {
    fn errors(&self, _: &User, arm: usize) -> f64 {
        [0.01, 0.05][arm]
    }
}

#[test]
fn a_version_that_writes_values_another_way_hides_no_failure() {
    // The first lines show the old version alone: only later is the field seen to tell the arm.
    let shop = Shop {
        from: 10,
        minutes: 60,
        requests: 60_000,
        more: |user, arm| format!(",\"platform\":\"{}-{}\"", ["ios", "IOS"][arm], user.number % 3),
        ..Shop::default()
    };
    let engine = shop.case(&Broken).judged();
    let comparison = engine.comparison(0, 0).unwrap();
    assert!(comparison.segments.fields.contains(&"platform".to_owned()), "{:?}", comparison.segments.fields);
    assert_eq!((comparison.look.verdict, comparison.look.unequal.as_slice()), (Verdict::Fail, [].as_slice()));
}

/// One user in eleven breaks under the new code.
struct BrokenFew;

impl World for BrokenFew {
    fn errors(&self, user: &User, arm: usize) -> f64 {
        if arm == 1 && user.number.is_multiple_of(11) { 1.0 } else { 0.01 }
    }
}

#[test]
fn a_value_that_only_the_candidate_writes_hides_no_failure() {
    // Whom it breaks it calls unknown: that is no mix of traffic.
    let shop = Shop {
        minutes: 60,
        requests: 60_000,
        more: |user, arm| {
            let is_broken = arm == 1 && user.number.is_multiple_of(11);
            format!(
                ",\"device\":\"{}\"",
                if is_broken { "unknown" } else { ["ios", "android"][user.number as usize % 2] }
            )
        },
        ..Shop::default()
    };
    let engine = shop.case(&BrokenFew).judged();
    let comparison = engine.comparison(0, 0).unwrap();
    assert!(comparison.segments.fields.contains(&"device".to_owned()), "{:?}", comparison.segments.fields);
    assert_eq!((comparison.look.verdict, comparison.look.unequal.as_slice()), (Verdict::Fail, [].as_slice()));
}

#[test]
fn what_follows_from_the_outcome_is_no_segment() {
    let shop = Shop::default();
    let lines: Vec<Line> = shop
        .lines(&Broken)
        .into_iter()
        .map(|line| {
            let result = if line.text.contains("\"status\":503") { "bad" } else { "fine" };
            Line { text: line.text.replacen('{', &format!("{{\"result\":\"{result}\","), 1), ..line }
        })
        .collect();
    let folder = folder_with(&[("shop.log", &bytes_of(&lines))]);
    let report = serin(folder.path(), &["compare", "shop.log", "--format", "json"]).expect(1).json();
    let fields = report["survey"]["segments"]["fields"].to_string();
    assert!(fields.contains("region") && !fields.contains("result"), "{}", report["survey"]["segments"]);
    let named = serin(folder.path(), &["compare", "shop.log", "--segment", "result"]).expect(2).err;
    assert!(named.contains("changes from request to request"), "{named}");
}

#[test]
fn requests_that_are_dealt_one_by_one_have_segments_too() {
    struct Japan;
    impl World for Japan {
        fn errors(&self, user: &User, arm: usize) -> f64 {
            if user.region == "jp" && arm == 1 { 0.1 } else { 0.01 }
        }
    }
    let shop = Shop { per_request: true, users: 2_000, ..Shop::default() };
    let engine = shop.case(&Japan).judged();
    let comparison = engine.comparison(0, 0).unwrap();
    assert!(comparison.by_request());
    let failure = comparison.failure.as_ref().unwrap();
    let of_japan = |of: &(usize, SegmentTest)| comparison.segments.name(of.0) == "region = jp";
    assert!(failure.segments.first().is_some_and(of_japan), "{:?}", failure.segments);
    let told = comparison.segments.explain(&[]);
    assert_eq!(comparison.segments.name(told.members[0].cells[0]), "region = jp");
}

#[test]
fn cp_2_arms_that_differ_in_nothing_do_not_fail_by_segments() {
    let mut largest = f64::NEG_INFINITY;
    for seed in 1..=40 {
        let shop = Shop { seed: 1_000 + seed, users: 3_000, requests: 12_000, ..Shop::default() };
        let engine = shop.case(&Healthy).judged();
        let comparison = engine.comparison(0, 0).unwrap();
        assert_eq!(comparison.segments.cells.len(), 8, "regions, clients and tiers");
        assert!(comparison.failure.is_none(), "seed {seed}");
        assert!(comparison.look.unequal.is_empty(), "seed {seed}");
        let said = comparison.look.segments.iter().flatten().flatten();
        largest = said.copied().fold(largest, f64::max);
    }
    assert!(largest < 8.0, "ln e of some segment of 40 healthy runs: {largest}");
}

#[test]
fn fields_that_say_the_arm_or_an_identity_or_what_happened_are_no_segments() {
    let shop = Shop {
        more: |user, arm| {
            let word = event::mix(user.number, 9);
            format!(
                ",\"image_tag\":\"build-{}\",\"cache\":\"{}\",\"tenant_id\":\"t{}\",\"cart_id\":\"c{}\",\"country\":\"{}\",\"zone\":\"z\"",
                ["17", "18"][arm],
                ["hit", "miss"][(user.number % 7 + word % 3) as usize % 2],
                user.number % 12,
                word,
                user.region
            )
        },
        requests: 12_000,
        users: 2_000,
        ..Shop::default()
    };
    let report = shop.report(&Healthy, &[], 3);
    let fields = report["survey"]["segments"]["fields"].as_array().unwrap();
    // A country that says the same as the region stands for it; four fields at most.
    assert_eq!(
        *fields,
        ["country", "tenant_id", "tier", "client.version"].map(Value::from),
        "{}",
        report["survey"]["segments"]
    );
    let why = |path: &str| {
        let list = report["survey"]["segments"]["left_out"].as_array().unwrap();
        let found = list.iter().find(|of| of["field"] == path);
        found.map(|of| of["reason"].as_str().unwrap().to_owned()).unwrap_or_default()
    };
    assert_eq!(why("region"), "it says the same as `country`");
    assert_eq!(why("image_tag"), "it says which arm a line belongs to");
    assert_eq!(why("cart_id"), "more than 50 values");
    let folder = folder_with(&[("shop.log", &bytes_of(&shop.lines(&Healthy)))]);
    let refused = |field: &str| serin(folder.path(), &["compare", "shop.log", "--segment", field]).expect(2).err;
    assert!(refused("image_tag").contains("it says which arm a line belongs to"), "{}", refused("image_tag"));
    assert!(refused("cohort").contains("it gives the arm or the unit"), "{}", refused("cohort"));
    assert!(refused("user").contains("it gives the arm or the unit"));
    assert!(refused("regoin").contains("did you mean `region`"), "{}", refused("regoin"));
    let named = shop.report(&Healthy, &["--segment", "region", "--segment", "cache"], 3);
    assert_eq!(named["survey"]["segments"]["fields"], serde_json::json!(["region", "cache"]));
    let none = shop.report(&Healthy, &["--segment", "none"], 3);
    assert_eq!(none["comparisons"][0]["segments"], Value::Null);
}

#[test]
fn a_policy_names_segments() {
    let shop = Shop { requests: 6_000, users: 1_000, ..Shop::default() };
    let files: [(&str, &[u8]); 3] = [
        ("shop.log", &bytes_of(&shop.lines(&Healthy))),
        ("tier.yaml", b"segments: [tier]\n"),
        ("none.yaml", b"segments: [none]\n"),
    ];
    let folder = folder_with(&files);
    let fields = |policy: &str, more: &[&str]| {
        let arguments = [&["compare", "shop.log", "--format", "json", "--policy", policy], more].concat();
        serin(folder.path(), &arguments).expect(3).json()["survey"]["segments"]["fields"].clone()
    };
    assert_eq!(fields("tier.yaml", &[]), serde_json::json!(["tier"]));
    assert_eq!(fields("none.yaml", &[]), serde_json::json!([]));
    assert_eq!(fields("none.yaml", &["--segment", "region"]), serde_json::json!(["region"]));
}

#[test]
fn a_hundred_thousand_values_are_bounded_counted_and_leave_the_verdict_valid() {
    let shop = Shop {
        users: 150_000,
        requests: 160_000,
        more: |user, _| format!(",\"visitor\":\"v{}\",\"long\":\"{}\"", user.number, "x".repeat(80)),
        ..Shop::default()
    };
    let lines = bytes_of(&shop.lines(&Broken));
    let folder = folder_with(&[("shop.log", &lines)]);
    let arguments = "compare shop.log --segment visitor --segment long --segment region --format json --ledger l";
    let report = serin(folder.path(), &arguments.split(' ').collect::<Vec<_>>()).expect(1).json();
    common::balance(&report);
    let judged = &report["comparisons"][0];
    let bounds = judged["bounds_met"].to_string();
    assert!(bounds.contains("past the 50 segments that are tested"), "{bounds}");
    let ledger = std::fs::read_to_string(folder.path().join("l")).unwrap();
    let entries = ledger_values(&ledger);
    let last = entries.iter().rfind(|entry| entry["kind"] == "look").unwrap();
    assert_eq!(last["segments"]["cells"].as_array().unwrap().len(), CELLS_MAX);
    assert!(!ledger.contains("v1234"), "no text of a log stands in a ledger");
    serin(folder.path(), &["replay", "l", "shop.log"]).expect(0);
    // The same verdict as without segments, and all requests counted.
    let without = "compare shop.log --segment none --format json";
    let without = serin(folder.path(), &without.split(' ').collect::<Vec<_>>()).expect(1).json();
    assert_eq!(judged["requests"], without["comparisons"][0]["requests"]);
    for (one, other) in
        judged["guardrails"].as_array().unwrap().iter().zip(without["comparisons"][0]["guardrails"].as_array().unwrap())
    {
        assert_eq!(one["log_e"], other["log_e"]);
    }
}
