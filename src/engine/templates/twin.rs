//! An error that reads otherwise in the candidate is no new error.
//!
//! A release rewords a message, or writes its own name, its colour or its pod into it. The candidate then has a line that the
//! control never writes, and the control one that the candidate never writes. Of each template of level error or worse that
//! only the candidate has, and that says something, the most alike of those that only the control has is its twin, and both are
//! weighed as one. Since the smaller of two e-values is one, however the twin was chosen, this can only keep a rollout from
//! failing: a new error hides behind a twin for as long as no more of the candidate's units meet it than of the control's met
//! that, and then neither are there more errors.

use std::collections::BTreeMap;

use crate::compare::share;
use crate::engine::first_events::FirstEvents;
use crate::engine::templates::Template;
use crate::pipeline::template::HOLE;

/// ln e from which on a template is worth the search: far below what fails a rollout alone.
const LOUD: f64 = 3.0;
/// Words that two texts must share, as twice the shared of all (Dice 1945).
const ALIKE: f64 = 0.5;

/// Only one arm has it: (control, candidate) units and lines.
fn only_in(template: &Template) -> [bool; 2] {
    let [in_control, in_candidate, _] = template.lines;
    let [control, candidate] = template.units();
    [control > 0 && candidate + in_candidate == 0, candidate > 0 && control + in_control == 0]
}

/// Words of a text, sorted; values are left out.
fn words(text: &str) -> Vec<&str> {
    let mut words: Vec<&str> = text
        .split(HOLE)
        .flat_map(|part| part.split(|c: char| !c.is_alphanumeric()))
        .filter(|word| !word.is_empty())
        .collect();
    words.sort_unstable();
    words
}

/// How alike two sorted lists of words are, 0 to 1.
fn likeness(a: &[&str], b: &[&str]) -> f64 {
    let (mut shared, mut left, mut right) = (0_usize, a.iter().peekable(), b.iter().peekable());
    while let (Some(x), Some(y)) = (left.peek(), right.peek()) {
        match x.cmp(y) {
            std::cmp::Ordering::Less => _ = left.next(),
            std::cmp::Ordering::Greater => _ = right.next(),
            std::cmp::Ordering::Equal => {
                shared += 1;
                left.next();
                right.next();
            }
        }
    }
    let all = a.len() + b.len();
    if all == 0 { 0.0 } else { 2.0 * shared as f64 / all as f64 }
}

/// Strata of two templates as if they were one.
fn together(of: &Template, twin: &Template, at_risk: &FirstEvents) -> Vec<share::Stratum> {
    let met = |template: &Template, at: usize| template.first.get(at).copied().unwrap_or_default();
    let of_stratum = |(at, stratum): (usize, &share::Stratum)| {
        let ([a, all_a], [b, all_b]) = (met(of, at), met(twin, at));
        share::Stratum {
            canary_units: stratum.canary_units,
            units: stratum.units,
            canary_first: a + b,
            // A unit has one arm: none met both.
            first: all_a + all_b,
        }
    };
    at_risk.strata().iter().enumerate().map(of_stratum).filter(|stratum| stratum.first > 0).collect()
}

/// Weighs templates of level error or worse, just evaluated, together with their twins.
pub(super) fn weigh(slots: &mut BTreeMap<u64, Template>, at_risk: &FirstEvents) {
    let loud: Vec<u64> =
        slots.iter().filter(|(_, of)| of.log_e >= LOUD || of.twin.is_some()).map(|(id, _)| *id).collect();
    if loud.is_empty() {
        return;
    }
    let gone: Vec<(u64, Vec<&str>)> = slots
        .iter()
        .filter(|(_, of)| only_in(of) == [true, false])
        .map(|(id, of)| (*id, words(&of.text)))
        .filter(|(_, words)| !words.is_empty())
        .collect();
    let weighed: Vec<(u64, f64, Option<u64>)> = loud
        .into_iter()
        .filter_map(|id| Some((id, slots.get(&id)?)))
        .map(|(id, of)| {
            let alone = share::log_e_fail(&of.strata(at_risk), 1.0);
            let own = if only_in(of) == [false, true] { words(&of.text) } else { Vec::new() };
            let alike = gone
                .iter()
                .map(|(other, words)| (likeness(&own, words), *other))
                .filter(|(likeness, _)| *likeness >= ALIKE)
                .max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1)));
            let twin = alike.and_then(|(_, other)| Some((other, slots.get(&other)?)));
            match twin {
                Some((other, twin)) => {
                    let both = share::log_e_fail(&together(of, twin, at_risk), 1.0);
                    (id, alone.min(both), Some(other))
                }
                None => (id, alone, None),
            }
        })
        .collect();
    for (id, log_e, twin) in weighed {
        if let Some(of) = slots.get_mut(&id) {
            (of.log_e, of.twin) = (log_e, twin);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alike(a: &str, b: &str) -> f64 {
        likeness(&words(a), &words(b))
    }

    #[test]
    fn texts_are_alike_by_their_words() {
        assert_eq!(alike("cannot load <*> of cart", "cannot load <*> of cart"), 1.0);
        assert_eq!(alike("[canary] boom <*>", "[blue] boom"), 0.5);
        assert_eq!(alike("cannot load cart: timeout", "cannot load the cart: timed out"), 0.6);
        assert_eq!(alike("a a b", "a c c"), 2.0 / 6.0);
        assert_eq!(alike("", ""), 0.0);
        assert_eq!(alike("<*>", "<*> <*>"), 0.0);
    }
}
