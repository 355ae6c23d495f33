//! An error that reads otherwise in the candidate is no new error.
//!
//! A release rewords a message, or writes its own name, its colour or its pod into it. The candidate then has a line that the
//! control (nearly) never writes, and the control one that the candidate (nearly) never writes. Each template of level error or
//! worse that is new like that, and says something, has as its twin one that is gone: the most alike by its words, else, where
//! none is, one of which it is proven that it is gone. All that share a twin are weighed with it as one, and what fails a rollout
//! is the smaller of the two e-values. Whatever chose the twin, that is an e-value; it can only keep a rollout from failing. A
//! new error is not called a failure for as long as no more of the candidate's units meet it than of the control's met what is
//! gone. It is a changed behaviour, and holds back a pass.

use std::collections::BTreeMap;

use crate::compare::share;
use crate::engine::first_events::FirstEvents;
use crate::engine::templates::Template;
use crate::pipeline::template::HOLE;

/// ln e from which on a template is worth the search: far below what fails a rollout alone.
pub(super) const LOUD: f64 = 3.0;
/// Words that two texts must share, as twice the shared of all (Dice 1945).
const ALIKE: f64 = 0.5;

/// Units and lines of one arm that are so few beside the other's that the template is that one's own: a quarter of what its
/// share would give.
const FEW: f64 = 0.25;
/// ln e against "as often in the candidate" from which on a template is gone, whatever it reads: ln 20.
const GONE: f64 = 2.995_732_273_553_991;

/// Which arm it is the own template of: (control, candidate). `at_risk`: units of both.
fn own_of(template: &Template, at_risk: [u64; 2]) -> [bool; 2] {
    let met = template.units().map(|units| units as f64);
    let [control, candidate] = at_risk.map(|units| units.max(1) as f64);
    let few = |of: f64, beside: f64, ratio: f64| beside > 0.0 && of <= FEW * beside * ratio;
    let [in_control, in_candidate] = met;
    [few(in_candidate, in_control, candidate / control), few(in_control, in_candidate, control / candidate)]
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

/// Strata of several templates as if they were one.
fn together(list: &[&Template], at_risk: &FirstEvents) -> Vec<share::Stratum> {
    let met = |at: usize| {
        list.iter().filter_map(|template| template.first.get(at)).fold([0; 2], |[candidate, all], [more, of_all]| {
            // A unit that met several counts for each: the few that meet both are no matter.
            [candidate + more, all + of_all]
        })
    };
    let of_stratum = |(at, stratum): (usize, &share::Stratum)| {
        let [canary_first, first] = met(at);
        share::Stratum { canary_units: stratum.canary_units, units: stratum.units, canary_first, first }
    };
    at_risk.strata().iter().enumerate().map(of_stratum).filter(|stratum| stratum.first > 0).collect()
}

/// The twin of a new template, among those that are gone.
fn twin_of(text: &str, gone: &[(u64, Vec<&str>, bool)]) -> Option<u64> {
    let own = words(text);
    let best = |list: &mut dyn Iterator<Item = (f64, u64)>| {
        list.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(&a.1))).map(|(_, id)| id)
    };
    let likened = |(id, words, _): &(u64, Vec<&str>, bool)| (likeness(&own, words), *id);
    let alike = best(&mut gone.iter().map(likened).filter(|(likeness, _)| *likeness >= ALIKE));
    alike.or_else(|| best(&mut gone.iter().filter(|(_, _, is_proven)| *is_proven).map(likened)))
}

/// Weighs templates of level error or worse, just evaluated, together with their twins.
pub(super) fn weigh(slots: &mut BTreeMap<u64, Template>, at_risk: &FirstEvents) {
    let loud: Vec<u64> =
        slots.iter().filter(|(_, of)| of.log_e >= LOUD || of.twin.is_some()).map(|(id, _)| *id).collect();
    if loud.is_empty() {
        return;
    }
    let units = at_risk.totals().map(|(units, _)| units);
    let gone: Vec<(u64, Vec<&str>, bool)> = slots
        .iter()
        .filter(|(_, of)| own_of(of, units) == [true, false])
        .map(|(id, of)| (*id, words(&of.text), share::log_e_pass(&of.strata(at_risk), 1.0) >= GONE))
        .collect();
    let mut of_twin: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut alone: BTreeMap<u64, f64> = BTreeMap::new();
    for (id, of) in loud.iter().filter_map(|id| Some((id, slots.get(id)?))) {
        alone.insert(*id, share::log_e_fail(&of.strata(at_risk), 1.0));
        let is_new = own_of(of, units) == [false, true];
        if let Some(twin) = is_new.then(|| twin_of(&of.text, &gone)).flatten() {
            of_twin.entry(twin).or_default().push(*id);
        }
    }
    let mut weighed: BTreeMap<u64, (u64, f64)> = BTreeMap::new();
    for (twin, list) in of_twin {
        let all: Vec<&Template> = list.iter().chain([&twin]).filter_map(|id| slots.get(id)).collect();
        let both = share::log_e_fail(&together(&all, at_risk), 1.0);
        weighed.extend(list.into_iter().map(|id| (id, (twin, both))));
    }
    for (id, alone) in alone {
        let Some(of) = slots.get_mut(&id) else { continue };
        let with = weighed.get(&id).copied();
        of.log_e = with.map_or(alone, |(_, both)| alone.min(both));
        of.twin = with.map(|(twin, _)| twin);
        of.alone = with.filter(|(_, both)| *both < alone).map(|_| alone);
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
