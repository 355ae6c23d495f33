//! Log lines that differ between the arms: by template, with the users who met them.

use std::fmt::Write as _;

use super::Judged;
use super::guardrails::{LOG_WEAK, strength};
use super::text::{grouped, percent};
use crate::cli::terminal::harmless;
use crate::engine::look::LOG_CHANGED;
use crate::engine::templates::{Listed, Place, Reworded, Template};

/// Templates of a class of level that a report for people lists.
pub(in crate::cli) const LISTED_MAX: usize = 10;
/// Characters of a template that a report for people shows.
const TEXT_SHOWN: usize = 160;
/// Changed templates that a sentence each tells of.
const SENTENCES_MAX: usize = 3;

/// Text of a template, harmless on a terminal.
pub(in crate::cli) fn shown(template: &Template) -> String {
    if template.text.is_empty() { "(its text was not kept)".to_owned() } else { harmless(&template.text, TEXT_SHOWN) }
}

/// The earliest line to look at: of the candidate, else of the control, else of nobody that is known.
pub(in crate::cli) fn place(template: &Template) -> Option<&Place> {
    let [control, candidate, nobodys] = &template.places;
    candidate.first().or(control.first()).or(nobodys.first())
}

impl Judged<'_> {
    /// Lines of a template for each thousand requests, of (baseline, canary).
    pub(in crate::cli) fn per_thousand(&self, template: &Template) -> [Option<f64>; 2] {
        let requests = self.comparison.error_volume.events();
        [0, 1].map(|arm| (requests[arm] > 0).then(|| template.lines[arm] as f64 * 1_000.0 / requests[arm] as f64))
    }

    /// Share of the units at risk of (baseline, canary) that met a template.
    fn shares_of(&self, template: &Template) -> [Option<f64>; 2] {
        let (units, met) = (self.comparison.templates.units_at_risk(), template.units());
        [0, 1].map(|arm| (units[arm] > 0).then(|| met[arm].min(units[arm]) as f64 / units[arm] as f64))
    }

    /// Templates that carried the failure, with whether they would still.
    pub(super) fn failing_templates(&self) -> Vec<(&Template, bool)> {
        let ids = self.comparison.failure.iter().flat_map(|failure| &failure.templates);
        ids.filter_map(|id| self.comparison.templates.get(*id, true))
            .map(|template| (template, template.log_e() >= LOG_WEAK))
            .collect()
    }

    /// That an error line is met by more units of the candidate.
    pub(super) fn failing_line(&self, template: &Template) -> String {
        let [control, candidate] = template.units();
        let text = shown(template);
        let units = self.units();
        if control == 0 && template.lines[0] == 0 {
            return format!("A new error line: `{text}`, met by {} {units} of the canary alone.", grouped(candidate));
        }
        match self.shares_of(template) {
            [Some(before), Some(now)] if now > before => {
                format!("More {units} meet the error line `{text}`: {} instead of {}.", percent(now), percent(before))
            }
            _ => format!(
                "More {units} meet the error line `{text}`: {} of the canary, {} of the baseline.",
                grouped(candidate),
                grouped(control)
            ),
        }
    }

    /// Error lines that replaced another, then lines below error that changed, strongest first.
    pub(super) fn changed_lines(&self) -> Vec<String> {
        let changed = self.comparison.templates.strongest_below_error(LOG_CHANGED);
        // What failed the rollout is told of as that.
        let open = |of: &Reworded<'_>| !of.is_more || self.comparison.failure.is_none();
        let reworded = self.comparison.templates.reworded().into_iter().filter(open).take(SENTENCES_MAX).map(|of| {
            let (now, before, units) = (shown(of.now), shown(of.before), self.units());
            match of.is_more {
                false => format!(
                    "What changed: the error line `{now}` is new in the canary, and `{before}` is gone, which no fewer {units} met."
                ),
                true => format!(
                    "What changed: the error line `{now}` is new in the canary, and `{before}` is gone; more {units} meet the new \
                     one, which is not proven to be worse so far."
                ),
            }
        });
        let total = changed.len();
        let mut list: Vec<String> = reworded.collect();
        list.extend(changed.into_iter().take(SENTENCES_MAX).map(|template| {
            let share = |share: Option<f64>| share.map_or("-".to_owned(), percent);
            let [control, candidate] = self.shares_of(template).map(share);
            let units = self.units();
            format!(
                "What changed: the log line `{}` is met by {candidate} of {units} instead of {control}.",
                shown(template)
            )
        }));
        if total > SENTENCES_MAX {
            list.push(format!("What changed: so did {} more log lines.", grouped((total - SENTENCES_MAX) as u64)));
        }
        list
    }

    /// Error lines that differ at this moment, then other lines.
    pub(super) fn write_templates(&self, out: &mut String) {
        let list = self.comparison.templates.list();
        for (severe, title) in [(true, "error lines that differ"), (false, "other log lines that differ")] {
            let of_class: Vec<&Listed<'_>> = list.iter().filter(|listed| listed.severe == severe).collect();
            if of_class.is_empty() {
                continue;
            }
            let _infallible =
                writeln!(out, "\n  {title}, at this moment ({} first met them: baseline, canary)", self.units());
            for listed in of_class.iter().take(LISTED_MAX) {
                self.write_listed(out, listed);
            }
            if of_class.len() > LISTED_MAX {
                let _infallible = writeln!(out, "    and {} more", grouped((of_class.len() - LISTED_MAX) as u64));
            }
        }
    }

    fn write_listed(&self, out: &mut String, listed: &Listed<'_>) {
        let template = listed.template;
        let [control, candidate] = template.units().map(grouped);
        let rate = |rate: Option<f64>| rate.map_or("-".to_owned(), |rate| format!("{rate:.2}"));
        let [before, now] = self.per_thousand(template).map(rate);
        let word = listed.change.name().to_uppercase();
        let _infallible = writeln!(out, "    {word:<5} {}", shown(template));
        let place = place(template).map_or(String::new(), |place| {
            format!("; {} at byte {}  {}", harmless(&place.stream, 60), place.offset, place.time)
        });
        let _infallible = writeln!(
            out,
            "          {} {control}, {candidate}; evidence {}; lines per 1,000 requests {before}, {now}{place}",
            self.units(),
            strength(listed.log_e),
        );
        let twin = template.twin().and_then(|id| self.comparison.templates.get(id, true));
        if let Some(twin) = twin {
            let _infallible = writeln!(out, "          weighed as one with what is gone: {}", shown(twin));
        }
    }
}
