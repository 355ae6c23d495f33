use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use super::*;
use crate::time::MINUTE;

fn course(deadline: AtDeadline) -> Course {
    let step = |share_ppm| Step { share_ppm, minimum: 10 * MINUTE };
    Course { steps: vec![step(50_000), step(500_000)], needs_approval: false, deadline: Some((60 * MINUTE, deadline)) }
}

/// A state in each phase, in the first of two steps whose shortest time is over.
fn in_phase(phase: Phase) -> State {
    let verdict = match phase {
        Phase::Passed | Phase::Done => Verdict::Pass,
        Phase::Failed | Phase::RolledBack => Verdict::Fail,
        Phase::Waiting | Phase::Running | Phase::Held | Phase::Over => Verdict::Inconclusive,
    };
    State { phase, verdict, step_time_over: phase != Phase::Passed, ..State::default() }
}

fn events() -> Vec<(String, Event)> {
    let mut list = vec![("begin".to_owned(), Event::Begin)];
    for verdict in Verdict::ALL {
        list.push((verdict.name().to_owned(), Event::Look { verdict, automatic: false, seen: None }));
    }
    let pass_of_earlier = Event::Look { verdict: Verdict::Pass, automatic: false, seen: Some(0) };
    list.push(("pass of step 0".to_owned(), pass_of_earlier));
    list.push(("fail, automatic".to_owned(), Event::Look { verdict: Verdict::Fail, automatic: true, seen: None }));
    list.push(("step time".to_owned(), Event::StepTime));
    list.push(("deadline".to_owned(), Event::Deadline));
    list.push(("end".to_owned(), Event::End));
    list.push(("its turn".to_owned(), Event::Turn(true)));
    list.push(("not its turn".to_owned(), Event::Turn(false)));
    list.extend(Command::ALL.map(|command| (format!("> {}", command.name()), Event::Command(command))));
    list
}

fn word(action: &Action) -> String {
    match action {
        Action::RollBack { automatic: true } => "ROLLBACK!".to_owned(),
        Action::RollBack { automatic: false } => "ROLLBACK".to_owned(),
        Action::Advance { step } => format!("ADVANCE {step}"),
        Action::Promote => "PROMOTE".to_owned(),
        Action::TellFail => "tell fail".to_owned(),
        Action::TellPass => "tell pass".to_owned(),
        Action::TellInvalid => "tell invalid".to_owned(),
        Action::TellDeadline => "tell deadline".to_owned(),
        Action::TellHeld => "tell held".to_owned(),
        Action::TellResumed => "tell resumed".to_owned(),
        Action::TellOver => "tell over".to_owned(),
    }
}

/// Every event in every phase: what the state is then, and what is done. `no` is a refused command, `.` no change.
#[test]
fn the_whole_table_of_phases_and_events() {
    let mut table = String::new();
    for phase in Phase::ALL {
        for (name, event) in events() {
            let mut state = in_phase(phase);
            let done = state.apply(&course(AtDeadline::Hold), Timestamp(20 * MINUTE), event);
            let then = if state.phase == phase { "." } else { state.phase.name() };
            let did = match &done {
                Ok(actions) => actions.iter().map(word).collect::<Vec<_>>().join(" + "),
                Err(Refused(_)) => {
                    assert_eq!(state, in_phase(phase), "a refused command changes nothing");
                    "no".to_owned()
                }
            };
            table += format!("{:<12}{:<18}{:<12}{did}", phase.name(), name, then).trim_end();
            table += "\n";
        }
    }
    let golden = include_str!("../../tests/golden/rollout.txt");
    assert_eq!(table, golden, "\n{table}");
}

#[test]
fn the_deadline_does_what_was_asked() {
    for (then, phase, did) in [
        (AtDeadline::Hold, Phase::Held, "tell deadline"),
        (AtDeadline::Promote, Phase::Done, "tell deadline + PROMOTE"),
        (AtDeadline::RollBack, Phase::RolledBack, "tell deadline + ROLLBACK"),
    ] {
        let mut state = in_phase(Phase::Running);
        let actions = state.apply(&course(then), Timestamp(60 * MINUTE), Event::Deadline).unwrap();
        let words: Vec<String> = actions.iter().map(word).collect();
        assert_eq!((state.phase, words.join(" + ").as_str()), (phase, did));
        assert!(state.by_deadline);
    }
    // What people do later is theirs.
    let (course, mut state) = (course(AtDeadline::Hold), in_phase(Phase::Running));
    let mut apply = |event| {
        state.apply(&course, Timestamp(60 * MINUTE), event).unwrap();
        (state.phase, state.by_deadline)
    };
    assert_eq!(apply(Event::Deadline), (Phase::Held, true));
    assert_eq!(apply(Event::Command(Command::Resume)), (Phase::Running, false));
    assert_eq!(apply(Event::Command(Command::Hold)), (Phase::Held, false));
    assert_eq!(apply(Event::Command(Command::RollBack)), (Phase::RolledBack, false));
}

#[test]
fn a_rollout_goes_through_its_steps_as_time_and_looks_allow() {
    let (course, mut state) = (course(AtDeadline::Hold), State::default());
    let pass = Event::Look { verdict: Verdict::Pass, automatic: false, seen: None };
    let apply = |state: &mut State, minute: i64, event| {
        let actions = state.apply(&course, Timestamp(minute * MINUTE), event).unwrap();
        actions.iter().map(word).collect::<Vec<_>>().join(" + ")
    };
    assert_eq!(apply(&mut state, 0, Event::Begin), "");
    assert_eq!(apply(&mut state, 4, pass), "tell pass", "the shortest time is not over");
    assert!(state.due(&super::tests::course(AtDeadline::Hold), Now::both(Timestamp(9 * MINUTE))).is_empty());
    assert_eq!(
        state.due(&super::tests::course(AtDeadline::Hold), Now::both(Timestamp(10 * MINUTE))),
        [Event::StepTime]
    );
    // Nothing is observed while nothing comes; a deadline comes all the same.
    let silent = |minute: i64| Now { by_clock: Timestamp(minute * MINUTE), judged: Timestamp(9 * MINUTE) };
    assert!(state.due(&course, silent(59)).is_empty());
    assert_eq!(state.due(&course, silent(60)), [Event::Deadline]);
    assert_eq!(apply(&mut state, 10, Event::StepTime), "ADVANCE 1");
    assert_eq!((state.phase, state.step, state.step_began), (Phase::Passed, 1, Timestamp(10 * MINUTE)));
    assert_eq!(apply(&mut state, 12, pass), "");
    assert_eq!(apply(&mut state, 15, Event::Look { verdict: Verdict::Inconclusive, automatic: false, seen: None }), "");
    assert_eq!(apply(&mut state, 20, Event::StepTime), "", "its evidence has fallen");
    assert_eq!(apply(&mut state, 25, pass), "tell pass + PROMOTE");
    assert_eq!(state.phase, Phase::Done);
}

#[test]
fn a_pass_waits_for_approval_where_that_is_asked() {
    let course = Course { needs_approval: true, ..Course::default() };
    let mut state = State::default();
    let at = Timestamp(0);
    state.apply(&course, at, Event::Begin).unwrap();
    let pass = Event::Look { verdict: Verdict::Pass, automatic: false, seen: None };
    assert_eq!(state.apply(&course, at, pass).unwrap(), [Action::TellPass]);
    assert_eq!(state.apply(&course, at, Event::Command(Command::Approve)).unwrap(), [Action::Promote]);
    // Approved beforehand it still needs the evidence.
    let mut state = State::default();
    state.apply(&course, at, Event::Begin).unwrap();
    assert_eq!(state.apply(&course, at, Event::Command(Command::Approve)).unwrap(), []);
    assert_eq!(state.apply(&course, at, pass).unwrap(), [Action::TellPass, Action::Promote]);
}

fn any_event() -> impl Strategy<Value = Event> {
    let all: Vec<Event> = events().into_iter().map(|(_, event)| event).collect();
    // A new attempt begins seldom.
    (0..all.len() * 3).prop_map(move |at| all[if at < all.len() { at } else { 1 + at % (all.len() - 1) }])
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, rng_seed: RngSeed::Fixed(144), failure_persistence: None, ..ProptestConfig::default() })]

    /// In one attempt at most one rollback, nothing after it, no promotion after a failure, and steps only forwards.
    #[test]
    fn whatever_happens_an_attempt_is_rolled_back_at_most_once(
        events in prop::collection::vec(any_event(), 1..60),
        approval: bool,
        then in 0..3usize,
    ) {
        let course = Course { needs_approval: approval, ..course(AtDeadline::ALL[then]) };
        let mut state = State::default();
        let (mut rolled_back, mut failed, mut step) = (0, false, 0);
        for (minute, event) in events.into_iter().enumerate() {
            if event == Event::Begin {
                (rolled_back, failed, step) = (0, false, 0);
            }
            let before = state.phase;
            let Ok(actions) = state.apply(&course, Timestamp(minute as i64 * MINUTE), event) else { continue };
            let promotes =
                actions.iter().any(|action| matches!(action, Action::Advance { .. } | Action::Promote));
            prop_assert!(!(promotes && (failed || rolled_back > 0)));
            let rolls = actions.iter().filter(|action| matches!(action, Action::RollBack { .. })).count();
            rolled_back += rolls;
            prop_assert!(rolled_back <= 1);
            prop_assert!(!(rolls > 0 && before == Phase::RolledBack));
            failed |= state.phase == Phase::Failed;
            prop_assert!(state.step >= step && state.step < course.steps.len());
            step = state.step;
        }
    }
}

#[test]
fn a_cell_goes_on_to_no_step_before_its_turn() {
    let course = course(AtDeadline::Promote);
    let mut state = State::default();
    let mut apply = |minute: i64, event| {
        let done = state.apply(&course, Timestamp(minute * MINUTE), event).unwrap();
        let due = state.due(&course, Now::both(Timestamp((minute + 1) * MINUTE)));
        (done.iter().map(word).collect::<Vec<_>>().join(" + "), state.phase, due)
    };
    let pass = Event::Look { verdict: Verdict::Pass, automatic: false, seen: None };
    apply(0, Event::Turn(false));
    assert_eq!(apply(0, Event::Begin), (String::new(), Phase::Running, vec![]), "it is watched");
    assert_eq!(apply(9, pass), ("tell pass".to_owned(), Phase::Passed, vec![Event::StepTime]));
    assert_eq!(apply(10, Event::StepTime), (String::new(), Phase::Passed, vec![]));
    // Neither a person's word for its own evidence nor the deadline lets it go on.
    assert_eq!(apply(11, Event::Command(Command::Approve)).0, "");
    assert_eq!(apply(12, Event::Command(Command::Hold)).0, "tell held");
    assert_eq!(apply(13, Event::Command(Command::Resume)), ("tell resumed".to_owned(), Phase::Passed, vec![]));
    assert_eq!(apply(200, pass), (String::new(), Phase::Passed, vec![]), "its deadline counts from its turn");
    assert_eq!(apply(201, Event::Turn(true)), ("ADVANCE 1".to_owned(), Phase::Passed, vec![]));
    assert_eq!(apply(259, pass).2, [Event::StepTime]);
    assert_eq!(apply(260, pass).2, [Event::StepTime, Event::Deadline]);
    // What fails is rolled back whoever's turn it is.
    apply(261, Event::Turn(false));
    let fail = Event::Look { verdict: Verdict::Fail, automatic: true, seen: None };
    assert_eq!(apply(262, fail), ("ROLLBACK!".to_owned(), Phase::RolledBack, vec![]));
}

#[test]
fn a_step_passes_by_what_the_logs_show_of_its_own_share() {
    let course = course(AtDeadline::Hold);
    let mut state = State::default();
    let mut apply = |minute: i64, event| {
        let done = state.apply(&course, Timestamp(minute * MINUTE), event).unwrap();
        (done.iter().map(word).collect::<Vec<_>>().join(" + "), state.phase, state.step)
    };
    let pass = |seen| Event::Look { verdict: Verdict::Pass, automatic: false, seen: Some(seen) };
    apply(0, Event::Begin);
    assert_eq!(apply(5, pass(0)), ("tell pass".to_owned(), Phase::Passed, 0));
    // Nobody has moved the traffic yet: the pass was of the step before.
    assert_eq!(apply(10, Event::StepTime), ("ADVANCE 1".to_owned(), Phase::Running, 1));
    assert_eq!(apply(15, pass(0)), (String::new(), Phase::Running, 1));
    assert_eq!(apply(20, Event::StepTime), (String::new(), Phase::Running, 1));
    let inconclusive = Event::Look { verdict: Verdict::Inconclusive, automatic: false, seen: Some(1) };
    assert_eq!(apply(25, inconclusive), (String::new(), Phase::Running, 1));
    assert_eq!(apply(30, pass(1)), ("tell pass + PROMOTE".to_owned(), Phase::Done, 1));
    let fail = Event::Look { verdict: Verdict::Fail, automatic: false, seen: Some(0) };
    assert_eq!(apply(35, fail), ("tell fail".to_owned(), Phase::Failed, 1));
}
