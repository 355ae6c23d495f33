//! Other rollouts that ran at the same time over the same units: the table, and which of the two a harm comes from.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::text::{grouped, percent, times};
use super::{Judged, paragraph};
use crate::cli::terminal::harmless;
use crate::compare::share::Interval;
use crate::engine::Engine;
use crate::engine::overlaps::blame::{Blame, Effects};
use crate::engine::overlaps::{Cell, Joined, Place};

/// Characters of a name that are shown.
const NAME_SHOWN: usize = 60;
/// Tables of the text report.
const TABLES_MAX: usize = 4;

/// Columns of the table: the arms of both, units, and what the requests here say.
pub(in crate::cli) const OVERLAP_COLUMNS: [&str; 6] =
    ["arm here", "arm there", "in both", "with errors here", "requests here", "failed"];

/// Another rollout beside this one.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Beside {
    /// Entry service, control and candidate of the other.
    pub service: String,
    pub control: String,
    pub candidate: String,
    /// What joins the requests of both.
    pub joined: Joined,
    /// Distinct units (or calls) by [arm here][arm there].
    pub units: [[u64; 2]; 2],
    /// What the requests of this service say, by [arm here][arm there].
    pub cells: [[Cell; 2]; 2],
    /// Ratios of this service's units with a failed request.
    pub effects: Effects,
    /// Where the harm that the requests here show comes from.
    pub blame: Blame,
    /// Where the harm comes from that the requests of the other show.
    pub blame_there: Blame,
    /// Its ratios.
    pub effects_there: Effects,
    /// Units that are in one of the two candidates alone, and those that are in either.
    pub apart: (u64, u64),
    /// Share of units that are followed.
    pub followed: f64,
    /// One of the two is over.
    pub is_over: bool,
}

/// Who does the harm that a rollout shows, beside each other one.
fn blames(engine: &Engine) -> BTreeMap<(Place, Place), Blame> {
    let mut all = BTreeMap::new();
    for (first, second, overlap) in engine.overlaps() {
        let (_, crossed) = overlap.crossed();
        for (side, of, by) in [(0, first, second), (1, second, first)] {
            let Some(comparison) = engine.comparison(of.0, of.1) else { continue };
            let (requests, failed) = (comparison.error_volume.events(), comparison.error_volume.sums());
            let whole = [0, 1].map(|arm| (requests[arm], failed[arm].max(0).unsigned_abs()));
            let blame = match crossed.blame(&crossed.effects(side)) {
                Blame::Other if !crossed.has_most(side, whole, overlap.followed()) => Blame::Nothing,
                blame => blame,
            };
            all.insert((of, by), blame);
        }
    }
    all
}

/// The same, where of several that explain it only the one is told that no other of them explains.
fn told(blames: &BTreeMap<(Place, Place), Blame>, of: Place, by: Place) -> Blame {
    let blame = |of: Place, by: Place| blames.get(&(of, by)).copied().unwrap_or(Blame::Nothing);
    let others = blames.range((of, (0, 0))..).take_while(|((place, _), _)| *place == of).map(|((_, other), _)| *other);
    let is_passed_on =
        |other: Place| other != by && blame(of, other) == Blame::Other && blame(by, other) == Blame::Other;
    match blame(of, by) {
        Blame::Other if others.into_iter().any(is_passed_on) => Blame::Nothing,
        blame => blame,
    }
}

/// Rollouts beside the one at a place.
pub(super) fn beside(engine: &Engine, here: Place) -> Vec<Beside> {
    let blames = blames(engine);
    let of = |of: Place, by: Place| told(&blames, of, by);
    let one = |(first, second, overlap): (Place, Place, &crate::engine::overlaps::Overlap)| {
        let (side, there) = match here {
            _ if here == first => (0, second),
            _ if here == second => (1, first),
            _ => return None,
        };
        let service = engine.releases().nth(there.0).and_then(|(services, _)| services.first())?.to_string();
        let other = engine.comparison(there.0, there.1)?;
        let (joined, crossed) = overlap.crossed();
        let total = crossed.total();
        let turned = |here: usize, there: usize| if side == 0 { (here, there) } else { (there, here) };
        let units = [0, 1].map(|here| {
            [0, 1].map(|there| {
                let (a, b) = turned(here, there);
                crossed.units[a][b]
            })
        });
        let cells = [0, 1].map(|here| {
            [0, 1].map(|there| {
                let (a, b) = turned(here, there);
                total[side][a][b]
            })
        });
        let (effects, effects_there) = (crossed.effects(side), crossed.effects(1 - side));
        Some(Beside {
            service,
            control: other.control.clone(),
            candidate: other.candidate.clone(),
            joined,
            units,
            cells,
            blame: of(here, there),
            blame_there: of(there, here),
            effects,
            effects_there,
            apart: crossed.apart(),
            followed: overlap.followed(),
            is_over: overlap.is_over,
        })
    };
    engine.overlaps().filter_map(one).collect()
}

/// `2.10 (1.40 to 3.20)`.
fn ratio(of: &Interval) -> String {
    match (of.low > 0.0, of.high.is_finite()) {
        (false, false) => "not known".to_owned(),
        (true, false) => format!("at least {} times", times(of.low)),
        _ => format!("{} times ({} to {})", times(of.estimate), times(of.low), times(of.high)),
    }
}

impl Judged<'_> {
    /// What joins the requests of two rollouts, in the plural.
    fn joined_words(&self, of: &Beside) -> &'static str {
        match of.joined {
            Joined::Unit => self.comparison.unit.plural(),
            Joined::Call => "calls",
        }
    }

    /// Which rollout a harm comes from, where there is another beside this one; no verdict rests on it.
    pub(super) fn overlap_sentences(&self) -> Vec<String> {
        self.beside.iter().flat_map(|of| [self.blamed(of), self.blames(of)]).flatten().collect()
    }

    /// Where the harm that is seen here comes from.
    fn blamed(&self, of: &Beside) -> Option<String> {
        let units = self.joined_words(of);
        let service = format!("`{}`", harmless(&of.service, NAME_SHOWN));
        let candidate = format!("`{}` of {service}", harmless(&of.candidate, NAME_SHOWN));
        let within = ratio(&of.effects.own_within);
        match of.blame {
            Blame::Nothing => None,
            Blame::Other => {
                let [control, candidates] = of
                    .units
                    .map(|[control, candidate]| percent(candidate as f64 / (control + candidate).max(1) as f64));
                Some(format!(
                    "Its canary's {units} are more often in the canary {candidate} ({candidates}, of the baseline's {control}). Among \
                     {units} with the same arm of {service} nothing is left that chance does not explain: {within} as many with a failed \
                     request, and {} without regard to it. By the arms of {service} it is {}, among {units} with the same arm here: {service} \
                     explains it. The verdict stays as it is.",
                    ratio(&of.effects.own),
                    ratio(&of.effects.other_within)
                ))
            }
            Blame::Own => Some(format!(
                "That its canary's {units} are more often in the canary {candidate} does not explain it: it stays among {units} with the same \
                 arm of {service}, {within} as many with a failed request."
            )),
            Blame::Both => Some(format!(
                "It stays among {units} with the same arm of {service}, {within} as many with a failed request; and the canary \
                 {candidate} does harm here too, {} among {units} with the same arm here.",
                ratio(&of.effects.other_within)
            )),
            Blame::SameUnits => Some(format!(
                "Whether it comes from here or from the canary {candidate} cannot be told apart: the same {units}. Of {} that are in either \
                 canary, {} {} in one alone. Other {units} for one of the two (another seed, another salt) would tell.",
                grouped(of.apart.1),
                grouped(of.apart.0),
                if of.apart.0 == 1 { "is" } else { "are" }
            )),
            Blame::TooFew => Some(format!(
                "Whether it comes from here or from the canary {candidate} cannot be told apart yet: of {} {units} that are in either canary, \
                 {} are in one alone, and among {units} with the same arm of {service} it is {within}.",
                grouped(of.apart.1),
                grouped(of.apart.0)
            )),
        }
    }

    /// What is seen at the other and comes from here.
    fn blames(&self, of: &Beside) -> Option<String> {
        let units = self.joined_words(of);
        (of.blame_there == Blame::Other).then(|| {
            let (service, candidate) = (harmless(&of.service, NAME_SHOWN), harmless(&of.candidate, NAME_SHOWN));
            format!(
                "It explains what the canary `{candidate}` of `{service}` shows: {} as many {units} with a failed request there, among {units} \
                 with the same arm there, and by the arms of `{service}` itself {} among {units} with the same arm here.",
                ratio(&of.effects_there.other_within),
                ratio(&of.effects_there.own_within)
            )
        })
    }

    /// Heading of a table.
    pub(in crate::cli) fn overlap_heading(&self, of: &Beside) -> String {
        let until = if of.is_over { ", until one of the two was over" } else { "" };
        format!(
            "Beside `{}` of {}: {} in both{until}",
            harmless(&of.candidate, NAME_SHOWN),
            harmless(&of.service, NAME_SHOWN),
            self.joined_words(of)
        )
    }

    /// A table in the columns of [`OVERLAP_COLUMNS`].
    pub(in crate::cli) fn overlap_cells(&self, of: &Beside) -> Vec<[String; 6]> {
        let here = [&self.comparison.control, &self.comparison.candidate].map(|arm| harmless(arm, NAME_SHOWN));
        let there = [&of.control, &of.candidate].map(|arm| harmless(arm, NAME_SHOWN));
        let part = |part: u64, of: u64| match of {
            0 => "-".to_owned(),
            of => format!("{} ({})", grouped(part), percent(part as f64 / of as f64)),
        };
        let row = |a: usize, b: usize| {
            let cell = of.cells[a][b];
            [
                here[a].clone(),
                there[b].clone(),
                grouped(of.units[a][b]),
                part(cell.erring, cell.at_risk),
                grouped(cell.requests),
                part(cell.failed, cell.requests),
            ]
        };
        vec![row(0, 0), row(0, 1), row(1, 0), row(1, 1)]
    }

    /// The ratios of a table, in words.
    pub(in crate::cli) fn overlap_words(&self, of: &Beside) -> String {
        let Effects { own, own_within, other, other_within } = &of.effects;
        let units = self.joined_words(of);
        let sample = match of.followed {
            share if share < 1.0 => format!(" Of {units}, {} are followed.", percent(share)),
            _ => String::new(),
        };
        format!(
            "With a failed request here, canary to baseline: {} by the arms here, {} among {units} with the same arm there; {} by the arms \
             there, {} among {units} with the same arm here. Intervals hold at all looks with 95 %; failures alone, and no verdict rests on \
             it.{sample}",
            ratio(own),
            ratio(own_within),
            ratio(other),
            ratio(other_within)
        )
    }

    pub(super) fn write_overlaps(&self, out: &mut String) {
        for of in self.beside.iter().take(TABLES_MAX) {
            let _infallible = writeln!(out);
            paragraph(out, &self.overlap_heading(of));
            let mut table = vec![OVERLAP_COLUMNS.map(str::to_owned)];
            table.extend(self.overlap_cells(of));
            let width = |column: usize| table.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
            let widths: [usize; 6] = std::array::from_fn(width);
            for [here, there, units, erring, requests, failed] in &table {
                let [a, b, c, d, e, f] = widths;
                let row = format!("  {here:<a$}  {there:<b$}  {units:>c$}  {erring:>d$}  {requests:>e$}  {failed:>f$}");
                out.push_str(row.trim_end());
                out.push('\n');
            }
            paragraph(out, &self.overlap_words(of));
        }
        let more = self.beside.len().saturating_sub(TABLES_MAX);
        if more > 0 {
            let _infallible = writeln!(out, "  (and {more} more rollouts beside it, in the JSON report)");
        }
    }
}
