use super::*;
use crate::outbox::Topic;
use crate::rollout::{AtDeadline, Step};

const WHOLE: &str = "
listen: 127.0.0.1:7000
state: /var/lib/serin
idle: 1m
stall: 3m
window: 10s
roles: {user: [uid, account], latency: 'took:ms', cell: city}
arm_by: version
control: stable
candidates: [canary]
stale_after: 2m
policy:
  minimum_minutes: 10
  limits: {errors_percent: 5}
  segments: [region]
hooks:
- name: pager
  url: https://hooks.example/serin
  secret_env: PAGER_SECRET
  events: [rollback, fail]
  expires: 5m
- {name: local, url: 'http://127.0.0.1:9999/x', secret_file: /run/secret}
rollouts:
- name: checkout
  environment: prod
  cells: [geneva, basel, 7]
  services: [web, api]
  control: stable-*
  candidate: canary
  guardrails: [errors]
  limits: {p99_ms: 800}
  expect: [routes]
  steps: [{share_percent: 5, minimum_minutes: 15}, {share_percent: 100}]
  approval: true
  deadline: {after: 2h, then: rollback}
  owners: [team-shop]
  hooks: [pager]
- {name: cart, services: [cart]}
";

fn problems(text: &str) -> Vec<String> {
    match parse(text, None, Outside::Ignored) {
        Ok(_) => Vec::new(),
        Err(problems) => problems.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn a_whole_configuration_is_understood() {
    let config = parse(WHOLE, None, Outside::Ignored).unwrap_or_else(|problems| panic!("{problems:?}"));
    assert_eq!(config.stale_after, 2 * MINUTE);
    let [pager, local] = config.hooks.as_slice() else { panic!("{:?}", config.hooks) };
    assert_eq!((&pager.topics, pager.expires), (&vec![Topic::Rollback, Topic::Fail], 5 * MINUTE));
    assert_eq!(local.topics, Topic::ALL);
    let [checkout, cart] = config.declared.as_slice() else { panic!("{:?}", config.declared) };
    assert_eq!(checkout.course.steps[0], Step { share_ppm: 50_000, minimum: 15 * MINUTE });
    assert_eq!(checkout.course.steps[1], Step { share_ppm: 1_000_000, minimum: 10 * MINUTE });
    assert_eq!(checkout.course.deadline, Some((120 * MINUTE, AtDeadline::RollBack)));
    assert!(checkout.course.needs_approval && checkout.hooks == Some(vec!["pager".to_owned()]));
    assert_eq!((cart.environment.as_ref(), cart.hooks.as_ref()), (None, None));
    assert_eq!((checkout.cells.as_slice(), cart.cells.len()), (&["geneva", "basel", "7"].map(str::to_owned)[..], 0));
    // A rollout asks what it says, and else what stands under `policy`.
    let own = &config.policy.rollouts[0].policy;
    assert_eq!((own.errors, own.latency, own.minimum_time), (true, false, 10 * MINUTE));
    assert_eq!((own.limits.errors_ppm, own.limits.p99_us), (None, Some(800_000)));
    assert_eq!(
        (own.release.as_slice(), own.segments.as_slice()),
        (&["web", "api"].map(str::to_owned)[..], &["region".to_owned()][..])
    );
    assert_eq!(own.candidates, ["canary"]);
    // Its first step is the share that it has at least, and no share that it has throughout.
    assert_eq!((own.declared_share, own.least_share(), own.starts_within), (None, Some(0.05), MINUTE));
    assert_eq!(config.policy.rollouts[1].policy.limits.errors_ppm, Some(50_000));
    let key = |service: &str| crate::event::ServiceKey {
        environment: "prod".to_owned(),
        cell: String::new(),
        service: service.to_owned(),
    };
    assert!(!config.policy.of(Some(&key("api"))).latency && config.policy.of(Some(&key("other"))).latency);
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_its_place() {
    let text = "
listen: here
idle: soon
roles: {tiem: ts}
arm_by: version
baseline: 'version:1'
statee: x
hooks:
- name: a b
  url: http://hooks.example/
  secret: whsec_x
  events: [rollbck]
- {name: x, url: ftp://x/, secret_file: /x, secret_env: Y}
rollouts:
- name: checkout
  services: []
  guardrails: [speed]
  limits: {}
  steps: [{share_percent: 50}, {share_percent: 5, minimum_minutes: -1}]
  deadline: {after: never, then: explode}
  hooks: [nobody]
  conversions: [sold]
- {name: checkout, services: [web], stpes: []}
- {services: [web]}
";
    let said = problems(text);
    let expected = [
        "line 2 column 9: listen: ",
        "line 3 column 7: idle: ",
        "line 4 column 9: roles: ",
        "line 5 column 9: arm_by: not together with baseline",
        "line 6 column 11: baseline: needs canary",
        "line 7 column 1: `statee` is unknown; did you mean `state`?",
        "line 9 column 3: hooks[0].secret_file or secret_env is missing",
        "line 9 column 9: hooks[0].name: 1 to 60 letters",
        "line 10 column 8: hooks[0].url: http leads to this machine alone",
        "line 11 column 11: hooks[0].secret: a secret does not belong",
        "line 12 column 12: hooks[0].events: `rollbck` is unknown",
        "line 13 column 18: hooks[1].url: https is needed",
        "line 13 column 57: hooks[1].secret_env: either this or secret_file",
        "line 16 column 13: rollouts[0].services: none is named",
        "line 17 column 16: rollouts[0].guardrails: `speed` is unknown",
        "line 18 column 11: rollouts[0].limits: names no limit",
        "line 19 column 48: rollouts[0].steps[1].share_percent: must be more",
        "line 19 column 68: rollouts[0].steps[1].minimum_minutes: must be at least 0",
        "line 20 column 21: rollouts[0].deadline.after: `never`",
        "line 20 column 34: rollouts[0].deadline.then: `explode` is unknown; there are hold, promote, rollback",
        "line 21 column 11: rollouts[0].hooks: there is no hook `nobody`",
        "line 22 column 16: rollouts[0].conversions: stands under `policy`",
        "line 23 column 3: rollouts[1].name: `checkout` is named twice",
        "line 23 column 37: `rollouts[1].stpes` is unknown; did you mean `steps`?",
        "line 24 column 3: rollouts[2].name is missing",
        "line 24 column 3: rollouts[2].services: `web` is of rollout `checkout` already",
    ];
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.starts_with(expected), "{said} is not {expected}");
    }
    assert!(!said.iter().any(|words| words.contains("whsec_x")), "a secret is shown nowhere: {said:#?}");
}

#[test]
fn a_candidate_that_is_named_in_full_has_a_time_to_start_in() {
    let of = |more: &str| {
        let text = format!("rollouts:\n- {{name: a, services: [a], {more}}}\n");
        let config = parse(&text, None, Outside::Ignored).unwrap_or_else(|problems| panic!("{problems:?}"));
        config.policy.rollouts[0].policy.clone()
    };
    let asked = of("candidate: '2.0', starts_within: 3m, share_percent: 10, steps: [{share_percent: 20}]");
    assert_eq!((asked.starts_within, asked.least_share()), (3 * MINUTE, Some(0.1)), "what is named goes first");
    // Without the width of a step's margin it is a step all the same, and one of all units promises none.
    assert_eq!(of("next_share_percent: 50, steps: [{share_percent: 20}]").least_share(), Some(0.2));
    assert_eq!(of("steps: [{share_percent: 100}]").least_share(), None);
    for (more, words) in [
        ("candidate: 2*, starts_within: 3m", "starts_within: no candidate is named in full"),
        ("candidate: '2.0', starts_within: soon", "starts_within: `soon` is not a duration"),
    ] {
        let said = problems(&format!("rollouts:\n- {{name: a, services: [a], {more}}}\n"));
        assert!(said.len() == 1 && said[0].contains(words), "{said:?}");
    }
}

#[test]
fn cells_are_checked_with_their_place() {
    let many: Vec<String> = (0..257).map(|number| format!("c{number}")).collect();
    let long = "x".repeat(201);
    let text = format!(
        "rollouts:\n- {{name: a, services: [a], cells: [geneva, basel, geneva]}}\n- {{name: b, services: [b], cells: []}}\n\
         - {{name: c, services: [c], cells: geneva, cell: x}}\n- {{name: d, services: [d], cells: ['-', '', {long}]}}\n\
         - {{name: e, services: [e], cells: [{}]}}\n",
        many.join(", ")
    );
    let with_role = format!("roles: {{cell: city}}\n{text}");
    let said = problems(&with_role);
    let expected = [
        "line 3 column 51: rollouts[0].cells[2]: `geneva` is named twice",
        "line 4 column 35: rollouts[1].cells: 1 to 256 cells, got 0",
        "line 5 column 35: rollouts[2].cells: a list is needed",
        "line 5 column 43: `rollouts[2].cell` is unknown; did you mean `cells`?",
        "line 6 column 36: rollouts[3].cells[0]: 1 to 200 bytes, as lines write it; `-` is no cell",
        "line 6 column 41: rollouts[3].cells[1]: 1 to 200 bytes",
        "line 6 column 45: rollouts[3].cells[2]: 1 to 200 bytes",
        "line 7 column 35: rollouts[4].cells: 1 to 256 cells, got 257",
    ];
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    for (said, expected) in said.iter().zip(expected) {
        assert!(said.starts_with(expected), "{said} is not {expected}");
    }
    // Somebody must say what a cell is.
    let one = "rollouts:\n- {name: a, services: [a], cells: [geneva]}\n";
    let said = problems(one);
    assert!(
        said.len() == 1 && said[0].starts_with("line 2 column 35: rollouts[0].cells: no field is a cell"),
        "{said:?}"
    );
    assert!(
        problems(&format!("pipelines: [shop.yaml]\n{one}")).iter().all(|said| !said.contains("no field is a cell"))
    );
}

#[test]
fn secrets_are_read_and_never_shown() {
    let one = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    let secrets = hooks::parse_secrets(&format!("{one}\n{one}\n")).unwrap();
    assert_eq!(secrets.0.len(), 2);
    assert_eq!(format!("{secrets:?}"), "2 secrets");
    for text in ["", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_!", "whsec_c2hvcnQ=", &[one; 5].join(" ")] {
        let said = hooks::parse_secrets(text).unwrap_err();
        assert!(!said.contains("MfKQ"), "{said}");
    }
}

#[test]
fn options_override_the_file() {
    use clap::Parser;
    let config = parse(WHOLE, None, Outside::Ignored).unwrap_or_else(|problems| panic!("{problems:?}"));
    let run = |options: &[&str], given: &[&str]| {
        let words = ["serin", "run"].iter().chain(options);
        let parsed = crate::cli::arguments::Arguments::parse_from(words);
        let crate::cli::arguments::Command::Run(mut arguments) = parsed.command else { panic!("run") };
        let given = given.iter().map(|id| (*id).to_owned()).collect();
        config.apply(&mut arguments, &given).unwrap();
        arguments
    };
    let arguments = run(&[], &[]);
    assert_eq!((arguments.listen.as_str(), arguments.idle.as_str()), ("127.0.0.1:7000", "1m"));
    assert_eq!(arguments.stall, "3m");
    assert_eq!(arguments.how.roles, ["user=uid,account", "latency=took:ms", "cell=city"]);
    assert_eq!(arguments.judge.candidates, ["canary"]);
    let arguments = run(&["--idle", "9s", "--role", "user=me"], &["idle", "roles"]);
    assert_eq!(arguments.idle, "9s");
    assert_eq!(arguments.how.roles, ["user=me", "latency=took:ms", "cell=city"]);
    // Queries say which arm is which, so the file's field and names do not.
    let arguments = run(&["--baseline", "version:1", "--canary", "version:2"], &["baseline", "canary"]);
    assert_eq!((arguments.judge.arm_by, arguments.judge.control), (None, None));
    assert!(arguments.judge.candidates.is_empty());
}

#[test]
#[cfg(feature = "index")]
fn what_is_kept_for_search_stands_in_the_file_and_takes_a_restart() {
    use crate::cli::arguments::Indexed;
    use clap::Parser;
    let said = problems("index: some\nindex_keep: soon\nindex_size: 1 elephant\n");
    let expected = [
        "line 1 column 8: index: `some` is unknown; there are all",
        "line 2 column 13: index_keep: ",
        "line 3 column 13: index_size: ",
    ];
    assert_eq!(said.len(), expected.len(), "{said:#?}");
    assert!(said.iter().zip(expected).all(|(said, expected)| said.starts_with(expected)), "{said:#?}");
    let of = |text: &str| parse(text, None, Outside::Ignored).unwrap_or_else(|problems| panic!("{problems:?}"));
    let config = of("index: off\nindex_keep: 2d\nindex_size: 1GiB\n");
    let parsed = crate::cli::arguments::Arguments::parse_from(["serin", "run", "--index-keep", "3h"]);
    let crate::cli::arguments::Command::Run(mut arguments) = parsed.command else { panic!("run") };
    config.apply(&mut arguments, &["index_keep".to_owned()].into()).unwrap();
    let kept = &arguments.index;
    assert_eq!((kept.what, kept.keep.as_secs(), kept.bytes), (Indexed::Off, 3 * 3_600, 1 << 30));
    let refused = config.fixed_differences(&of("index: all\n"), &BTreeSet::new());
    assert_eq!(refused.len(), 3);
    assert!(refused.iter().all(|words| words.starts_with("index") && words.contains("at the start")), "{refused:?}");
}
