use super::super::keys::below;
use super::*;

fn said(text: &str) -> Vec<String> {
    parse(text).unwrap_err().iter().map(ToString::to_string).collect()
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let text = "\
pipeline: my pipeline
patterns: ['(?<a>', '\\d+']
set:
  - {when: 'status:>=', service: shop}
  - {when: 'a:b'}
  - {cohort: '${a'}
roles: {lateny: took, latency: took:hours}
arms: {baseline: 'a:b', flag: x}
unit: users
segments: [a, b, c, d, e]
requests_from: {shop: proxy}
events: [{where: 'a:b', harm: both}, {name: y, harm: both}]
redact: {looks: [emails]}
tests: [{gives: [{kind: request}]}]
index: [{when: 'a:b'}, {keep: some}, {keep: off, one_in: 2}, {keep: sampled, one_in: 0}]
colour: red
";
    assert_eq!(
        said(text),
        [
            "line 1 column 11: pipeline: `my pipeline` is no name; letters, digits, - and _, at most 64",
            "line 2 column 12: patterns: no regular expression: unclosed group",
            "line 2 column 21: patterns: no group has a name, so nothing would be read; write (?<status>\\d+)",
            "line 4 column 12: set.when: a value is missing here",
            "line 5 column 5: set: it sets nothing; name a role or a field (service: shop)",
            "line 6 column 5: set: it sets nothing; name a role or a field (service: shop)",
            "line 6 column 6: set.cohort: `${` has no `}`; a field of the line is written ${name}",
            "line 7 column 9: roles: there is no role `lateny`; did you mean `latency`?",
            "line 7 column 32: roles.latency: `hours` is no unit; there are ns, us, ms, s",
            "line 8 column 7: arms: one way is needed: a field, or baseline and canary, or flag, or hash",
            "line 9 column 7: unit: `users` is unknown; there are user, session, client, trace, instance, request",
            "line 10 column 11: segments: at most 4 fields can be taken, got 5",
            "line 11 column 17: requests_from.shop: `proxy` is unknown; there are access-log, root-span, application, timed, outgoing",
            "line 12 column 10: events: a name is needed",
            "line 12 column 54: events.harm: `both` is unknown; there are falls, rises",
            "line 13 column 18: redact.looks: `emails` is unknown; there are email, card, token",
            "line 14 column 9: tests: lines are needed, as a text or a list",
            "line 15 column 9: index: `keep` is needed: all, sampled or off",
            "line 15 column 31: index.keep: `some` is unknown; there are all, sampled, off",
            "line 15 column 58: index.one_in: only with `keep: sampled`",
            "line 15 column 86: index.one_in: a whole number from 1 to 10000 is needed",
            "line 16 column 1: `colour` is unknown; there are pipeline, about, streams, zone, patterns, set, roles, arms, unit, segments, requests_from, events, metrics, index, redact, tests",
        ]
    );
    assert_eq!(said("about: x"), ["line 1 column 1: pipeline: a name is needed"]);
    assert_eq!(
        said(
            "pipeline: x\nset: [{wehn: 'a:b', cohort: c}]\nevents: [a, a]\ntests: [{lines: ['{}'], gives: [{kind: log}, {kind: log}]}]"
        ),
        [
            "line 2 column 8: set: is `wehn` meant to be `when`? A field of that name cannot be set",
            "line 3 column 13: events: `a` is there twice; a second query needs a name of its own",
            "line 4 column 25: tests.gives: 2 results for 1 lines; each line has one"
        ]
    );
}

#[test]
fn the_reference_names_the_keys_that_are_read() {
    let asked = |text: &str| -> Vec<String> {
        let words = said(text);
        let list = words.iter().find_map(|words| words.split("there are ").nth(1).filter(|_| words.contains("zzz")));
        list.unwrap_or_default().split(", ").map(str::to_owned).collect()
    };
    for (path, text) in [
        ("", "pipeline: a\nzzz: 1"),
        ("arms", "pipeline: a\narms: {flag: x, zzz: 1}"),
        ("arms.hash", "pipeline: a\narms: {hash: {share: 5%, seed: a, zzz: 1}}"),
        ("events[]", "pipeline: a\nevents: [{name: x, zzz: 1}]"),
        ("redact", "pipeline: a\nredact: {zzz: 1}"),
        ("tests[]", "pipeline: a\ntests: [{lines: x, zzz: 1}]"),
    ] {
        let known: Vec<&str> = below(path).into_iter().filter(|key| *key != "*").collect();
        assert_eq!(asked(text), known, "{path}");
    }
}

#[test]
fn a_pipeline_says_how_lines_are_read() {
    let pipeline = parse(
        "pipeline: a\nstreams: ['web/*']\nset: [{service: shop}]\nroles: {latency: [took:us, t], user: uid}\narms: version\nunit: client\nevents: [paid, {name: seen, where: 'path:\"/x\"'}]\n",
    )
    .unwrap();
    assert_eq!(pipeline.stage.streams, ["web/*"]);
    assert_eq!(pipeline.roles[&Role::Latency].len(), 2);
    assert_eq!(pipeline.arms, Some(ArmRule::Field("version".to_owned())));
    assert_eq!(pipeline.unit, Some(UnitKind::Client));
    assert_eq!(pipeline.events, ["paid", "seen"]);
    assert_eq!(pipeline.stage.rules.len(), 2);
    assert!(is_one("redact: {looks: [card]}"), "its name is missing");
    assert!(is_one("pipeline: x") && is_one("pipeline: [") && !is_one("rollouts: []"));
}
