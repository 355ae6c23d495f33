//! Segments: which units a difference comes from, and how much of it is who they are.

use std::fmt::Write as _;

use super::guardrails::{ALPHA_SHOWN, Effect, EffectKind, LOG_WEAK, show_effect, strength};
use super::text::{grouped, percent, times};
use super::{Judged, paragraph};
use crate::cli::terminal::harmless;
use crate::compare::verdict::{Cell, Finding, Verdict};
use crate::compare::{bucket, margin, share};
use crate::engine::comparison::Comparison;
use crate::engine::segments::{Member, Mix, SegmentTest, Told};
use crate::math;
use crate::pipeline::survey::SegmentsFrom;

/// Characters of the name of a segment that are shown.
const NAME_SHOWN: usize = 60;
/// Rows of the text report.
const SHOWN_MAX: usize = 8;
/// Part of an excess, and how much more than its part of the units, from which on a segment is said to hold it.
const HOLDS: f64 = 0.8;
const HOLDS_TIMES: f64 = 1.5;

/// Columns of the table of segments.
pub(in crate::cli) const SEGMENT_COLUMNS: [&str; 7] =
    ["segment", "baseline", "canary", "with errors, ratio (95 %, always valid)", "latency", "excess", "finding"];

/// One segment, or two whose units fail together.
#[derive(Clone, Debug)]
pub(in crate::cli) struct SegmentRow {
    /// (field, value) of its parts: one, or two.
    pub parts: Vec<(String, String)>,
    /// Segments that have nearly the same units.
    pub same: Vec<(String, String)>,
    /// Counts, and what they explain.
    pub member: Member,
    /// Ratio of the shares of erring units; only of a segment that is tested.
    pub errors: Option<Effect>,
    /// Change of the typical latency.
    pub latency: Option<Effect>,
    /// ln e of each test against "not worse".
    pub log_e: [Option<f64>; SegmentTest::ALL.len()],
    /// What the statistics say, by test.
    pub findings: [Finding; SegmentTest::ALL.len()],
}

impl SegmentRow {
    /// `region = jp`, or `region = jp and client = 3.0`.
    pub(in crate::cli) fn name(&self) -> String {
        let name = |(field, value): &(String, String)| format!("{field} = {value}");
        let name = self.parts.iter().map(name).collect::<Vec<_>>().join(" and ");
        let same: Vec<String> = self.same.iter().map(name_of).collect();
        let same = if same.is_empty() { String::new() } else { format!(" (~ {})", same.join(", ")) };
        harmless(&format!("{name}{same}"), NAME_SHOWN)
    }

    /// Most of the excess is in it, and more than its part of the units.
    fn holds_excess(&self) -> bool {
        let member = &self.member;
        member.of_excess.is_some_and(|part| part >= HOLDS && part >= HOLDS_TIMES * member.of_units)
    }

    /// A test of it carries a failure and still would.
    fn fails_by(&self, test: SegmentTest) -> bool {
        let at = test as usize;
        self.findings[at] == Finding::Regressed && self.log_e[at].is_some_and(|log_e| log_e >= LOG_WEAK)
    }
}

fn name_of((field, value): &(String, String)) -> String {
    format!("{field} = {value}")
}

/// What is told of the segments of a comparison.
#[derive(Clone, Debug, Default)]
pub(in crate::cli) struct SegmentRows {
    /// Those that explain most first.
    pub rows: Vec<SegmentRow>,
    /// Everything about them.
    pub told: Told,
}

/// Segments of a comparison.
pub(super) fn rows(comparison: &Comparison) -> SegmentRows {
    let segments = &comparison.segments;
    if segments.is_none() {
        return SegmentRows::default();
    }
    let failing: Vec<(usize, SegmentTest)> =
        comparison.failure.as_ref().map(|failure| failure.segments.clone()).unwrap_or_default();
    let told = segments.explain(&failing);
    let part = |at: &usize| {
        let cell = segments.cells.get(*at)?;
        Some((segments.fields.get(cell.field).cloned().unwrap_or_default(), cell.value.clone()))
    };
    let row = |member: &Member| {
        let alone = match member.cells.as_slice() {
            [at] => segments.cells.get(*at).map(|cell| (*at, cell)),
            _ => None,
        };
        let errors = alone.filter(|_| member.erring != [0, 0]).map(|(_, cell)| {
            let interval = share::interval(cell.units.strata(), ALPHA_SHOWN);
            Effect { kind: EffectKind::Ratio, estimate: interval.estimate, low: interval.low, high: interval.high }
        });
        let latency = alone.and_then(|(_, cell)| cell.latency_stats()).map(|[control, candidate]| {
            let (low, high) = bucket::interval(&candidate, &control, margin::LATENCY_MEAN, ALPHA_SHOWN);
            let change = |log: f64| math::exp(log) - 1.0;
            let estimate = change(candidate.mean - control.mean);
            Effect { kind: EffectKind::Change, estimate, low: change(low), high: change(high) }
        });
        let of = |test: SegmentTest| alone.map(|(at, _)| (at, test));
        SegmentRow {
            parts: member.cells.iter().filter_map(part).collect(),
            same: member.same.iter().filter_map(part).collect(),
            member: member.clone(),
            errors,
            latency,
            log_e: SegmentTest::ALL.map(|test| of(test).and_then(|of| comparison.look.segment(of))),
            findings: SegmentTest::ALL
                .map(|test| of(test).map_or(Finding::NoData, |of| comparison.segment_finding(of))),
        }
    };
    SegmentRows { rows: told.members.iter().map(row).collect(), told }
}

impl Judged<'_> {
    /// Name of a field of segments.
    pub(in crate::cli) fn segment_field(&self, field: usize) -> String {
        harmless(self.comparison.segments.fields.get(field).map_or("", String::as_str), NAME_SHOWN)
    }

    /// How the fields were chosen.
    pub(in crate::cli) fn segment_fields(&self) -> String {
        let fields: Vec<String> =
            self.comparison.segments.fields.iter().map(|field| format!("`{}`", harmless(field, NAME_SHOWN))).collect();
        let how = match self.survey.segments.from {
            SegmentsFrom::Named => "as asked",
            SegmentsFrom::Found => {
                "found in the first lines; --segment FIELD takes others, --segment none does without"
            }
        };
        format!("by {}, {how}", fields.join(", "))
    }

    /// Which fields are segments and which are not; nothing where there are neither.
    pub(super) fn segments_check(&self) -> Option<String> {
        let left_out = &self.survey.segments.left_out;
        let list: Vec<String> =
            left_out.iter().map(|(path, why)| format!("`{}` ({why})", harmless(path, NAME_SHOWN))).collect();
        let left_out = (!list.is_empty()).then(|| format!("no segments: {}", list.join(", ")));
        let fields = (!self.comparison.segments.is_none()).then(|| self.segment_fields());
        let words: Vec<String> = fields.into_iter().chain(left_out).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// Segments that carry a failure, in words, the strongest first.
    pub(super) fn failed_segments(&self) -> Vec<String> {
        let Some(failure) = &self.comparison.failure else { return Vec::new() };
        let segments = &self.comparison.segments;
        failure
            .segments
            .iter()
            .map(|(cell, test)| format!("{} in {}", test.name(), harmless(&segments.name(*cell), NAME_SHOWN)))
            .collect()
    }

    /// A segment still carries a failure.
    pub(super) fn fails_in_a_segment(&self) -> bool {
        self.segments.rows.iter().any(|row| SegmentTest::ALL.iter().any(|test| row.fails_by(*test)))
    }

    /// Where a failure lies, as the segments that carry it say, and where its excess lies.
    pub(super) fn segment_sentences(&self) -> Vec<String> {
        let mut list = Vec::new();
        // Where all units fail more, or wait longer, no segment is worth a word.
        let lasting = |errors: bool| {
            let is_of =
                |cell: Cell| matches!(cell, Cell::ErrorUnits | Cell::ErrorVolume) == errors && cell != Cell::Deficit;
            self.leading().iter().any(|row| is_of(row.cell) && !row.has_receded())
        };
        let (errors_fail, latency_fails) = (lasting(true), lasting(false));
        let failing = self.segments.rows.iter().filter(|row| SegmentTest::ALL.iter().any(|test| row.fails_by(*test)));
        let units = self.units();
        for row in failing.take(3) {
            let [control, candidate] = shares(row);
            if row.fails_by(SegmentTest::Errors) && (!errors_fail || row.holds_excess()) {
                let least = row.errors.filter(|effect| effect.low > 1.0);
                let least =
                    least.map_or(String::new(), |effect| format!(", at least {} times as many", times(effect.low)));
                list.push(format!(
                    "Errors in {}: {} of canary {units}, {} of baseline {units}{least}.",
                    row.name(),
                    percent(candidate),
                    percent(control)
                ));
            }
            if let Some(effect) = row.latency.filter(|_| row.fails_by(SegmentTest::Latency) && !latency_fails) {
                list.push(format!("Slower in {}: {} %.", row.name(), format_args!("{:+.1}", effect.estimate * 100.0)));
            }
        }
        list.extend(self.excess_sentence());
        list
    }

    /// Which segment holds the excess of failures, where one does: plain numbers, that no error level holds for.
    fn excess_sentence(&self) -> Option<String> {
        let row = self.segments.rows.first()?;
        let of_excess = row.member.of_excess?;
        // Where nobody says that more units fail, there is no excess to look for.
        let more_fail = self.leading().iter().any(|row| row.cell == Cell::ErrorUnits && !row.has_receded())
            || self.segments.rows.iter().any(|row| row.fails_by(SegmentTest::Errors));
        (more_fail && row.holds_excess()).then(|| {
            format!(
                "Where the excess of {} with errors lies (descriptive): {} has {} of it, and {} of canary {}.",
                self.units(),
                row.name(),
                percent(of_excess.min(1.0)),
                percent(row.member.of_units),
                self.units()
            )
        })
    }

    /// Who the arms' units are, where that differs, and what it means for the verdict.
    pub(super) fn unequal_words(&self) -> String {
        let fields: Vec<String> = self
            .comparison
            .look
            .unequal
            .iter()
            .map(|field| format!("`{}`", self.segment_field(usize::from(*field))))
            .collect();
        let shift =
            self.comparison.look.unequal.first().and_then(|field| self.comparison.segments.split(usize::from(*field)));
        let shift = shift.and_then(|split| split.shift).map_or(String::new(), |(cell, [control, candidate])| {
            let name = harmless(&self.comparison.segments.name(cell), NAME_SHOWN);
            let units = self.units();
            format!(" ({name}: {} of canary {units}, {} of baseline {units})", percent(candidate), percent(control))
        });
        // Plain numbers are of all units, and the verdict is not.
        let adjusted = self.segments.told.mix.as_ref().filter(|_| self.comparison.look.verdict == Verdict::Fail);
        let adjusted =
            adjusted.map_or(String::new(), |mix| format!(" The plain numbers hold that mix: {}.", self.mix_words(mix)));
        format!(
            "The arms are not made of the same {}, by {}{shift}: a mix of traffic, not code. Nothing passes, and only what differs within segments counts as worse.{adjusted}",
            self.units(),
            fields.join(", ")
        )
    }

    /// How much of the difference is mix, and how much is left: one line.
    pub(in crate::cli) fn mix_words(&self, mix: &Mix) -> String {
        let pp = |share: f64| format!("{:+.2} pp", share * 100.0);
        let ratio = mix.ratio.map_or(String::new(), |ratio| format!(" ({} times as many)", times(ratio)));
        let adjusted = mix.adjusted.map_or(String::new(), |of| {
            format!("; within segments {} times as many ({} to {})", times(of.ratio), times(of.low), times(of.high))
        });
        format!(
            "{} with errors, {}{ratio}: mix of `{}` {}, rate {}{adjusted}",
            self.units(),
            pp(mix.difference),
            self.segment_field(mix.field),
            pp(mix.mix),
            pp(mix.rate)
        )
    }

    /// Segments in the columns of [`SEGMENT_COLUMNS`].
    pub(in crate::cli) fn segment_cells(&self) -> impl Iterator<Item = [String; 7]> + '_ {
        self.segments.rows.iter().map(|row| {
            let [control, candidate] =
                [0, 1].map(|arm| format!("{} of {}", grouped(row.member.erring[arm]), grouped(row.member.units[arm])));
            let values = shares(row).map(Some);
            let errors = row.errors.map_or("-".to_owned(), |effect| show_effect(effect, values));
            let latency = row.latency.map_or("-".to_owned(), |effect| show_effect(effect, values));
            let excess = row.member.of_excess.map_or_else(|| format!("{:+.0}", row.member.excess), percent);
            let strongest = row.log_e.iter().flatten().copied().fold(f64::NEG_INFINITY, f64::max);
            let finding = match row.findings {
                _ if SegmentTest::ALL.iter().any(|test| row.fails_by(*test)) => "regressed".to_owned(),
                [Finding::Regressed, _] | [_, Finding::Regressed] => "regressed earlier".to_owned(),
                _ if row.parts.len() > 1 => "not tested".to_owned(),
                _ if strongest == f64::NEG_INFINITY => "no data".to_owned(),
                _ => match strength(strongest) {
                    "none" => "undecided".to_owned(),
                    some => format!("{some} evidence"),
                },
            };
            [row.name(), control, candidate, errors, latency, excess, finding]
        })
    }

    pub(super) fn write_segments(&self, out: &mut String) {
        if self.comparison.segments.is_none() || self.segments.rows.is_empty() {
            return;
        }
        let _infallible = writeln!(out);
        let mut table = vec![SEGMENT_COLUMNS.map(str::to_owned)];
        table.extend(self.segment_cells().take(SHOWN_MAX));
        let width = |column: usize| table.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
        let widths: [usize; 7] = std::array::from_fn(width);
        for [name, control, candidate, errors, latency, excess, finding] in &table {
            let [a, b, c, d, e, f, _] = widths;
            let row = format!(
                "  {name:<a$}  {control:>b$}  {candidate:>c$}  {errors:<d$}  {latency:<e$}  {excess:>f$}  {finding}"
            );
            out.push_str(row.trim_end());
            out.push('\n');
        }
        let more = self.segments.told.more + self.segments.rows.len().saturating_sub(SHOWN_MAX);
        if more > 0 {
            let _infallible = writeln!(out, "  (and {more} more, in the JSON report)");
        }
        if let Some(mix) = &self.segments.told.mix {
            paragraph(out, &format!("Descriptive, a single look: {}.", self.mix_words(mix)));
        }
    }
}

/// Shares of erring units of (control, candidate).
fn shares(row: &SegmentRow) -> [f64; 2] {
    [0, 1].map(|arm| row.member.erring[arm] as f64 / row.member.units[arm].max(1) as f64)
}
