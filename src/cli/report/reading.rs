//! How the lines were read: what became of them, and which field plays which role.

use std::fmt::Write as _;

use super::noticed::Crashes;
use super::text::{count, grouped, wrap, wrap_words};
use super::{Report, paragraph};
use crate::cli::terminal::harmless;
use crate::engine::CELLS_MAX;
use crate::event::{RejectReason, ServiceKey};
use crate::sketch::partial::Tally;

/// Fields that nobody reads and that are told.
const UNREAD_MAX: usize = 10;

/// What became of the lines that were read.
pub(in crate::cli) fn fates(tally: &Tally) -> String {
    let outside = match tally.outside {
        0 => String::new(),
        outside => format!(", {} left out as asked", grouped(outside)),
    };
    format!(
        "{} counted, {} late, {} rejected{outside}",
        grouped(tally.on_time),
        grouped(tally.late),
        grouped(tally.rejected())
    )
}

/// How many lines were rejected, and why: a phrase for each reason.
pub(in crate::cli) fn rejects(tally: &Tally) -> Vec<String> {
    let by_reason = RejectReason::ALL.into_iter().zip(tally.rejects).filter(|(_, count)| *count > 0);
    by_reason.map(|(reason, count)| format!("{} {}", grouped(count), reason.name().replace('_', " "))).collect()
}

/// What helps where one service is logged under several environments.
pub(super) const OTHER_ENVIRONMENT: &str = "What one service does in two environments (or in one and in none) is not compared. \
    Where it is one rollout, let the lines of both arms name the same environment, or name a field that does: --role \
    environment=FIELD. To judge one environment alone: --environment NAME.";

impl Report<'_> {
    pub(super) fn write_reading(&self, out: &mut String) {
        let t = &self.tally;
        let _infallible = writeln!(out, "Read {}: {}.", count(t.records, "line"), fates(t));
        let reasons = rejects(t);
        if !reasons.is_empty() {
            let _infallible = writeln!(out, "  rejected: {} (--rejects FILE keeps them)", reasons.join(", "));
        }
        self.write_crashes(out);
        if let Some(words) = self.repeated() {
            paragraph(out, &words);
        }
        self.kafka.words().iter().for_each(|words| paragraph(out, words));
        if t.late > t.on_time {
            paragraph(
                out,
                "most lines are late and in no test: lines are not in order of time. Give files that run side by side \
                 apart from each other, or a longer --lateness.",
            );
        }
        self.write_unplanned(out);
        self.write_unread(out);
        self.write_fields(out);
        self.write_seen(out);
        self.write_notes(out);
    }

    /// Bodies that most likely were sent again.
    pub(in crate::cli) fn repeated(&self) -> Option<String> {
        let (bodies, lines) = self.repeats;
        let bodies = match bodies {
            0 => return None,
            1 => "1 body".to_owned(),
            more => format!("{} bodies", grouped(more)),
        };
        let lines = count(lines, "line");
        Some(format!(
            "{bodies} over HTTP ({lines}) came without an Idempotency-Key and with the same content as one before: most \
             likely sent again after a lost answer. They count all the same; with a key none counts twice."
        ))
    }

    /// That a program died, and whose it was where its stream tells.
    fn write_crashes(&self, out: &mut String) {
        let all: u64 = self.crashes.iter().map(|of| of.lines).sum();
        if all == 0 {
            return;
        }
        let of: Vec<String> = self
            .crashes
            .iter()
            .take(UNREAD_MAX)
            .map(|Crashes { stream, lines, arm }| {
                let arm = arm.as_ref().map_or(String::new(), |arm| format!(" of arm `{}`", harmless(arm, 60)));
                format!("{} in {}{arm}", grouped(*lines), harmless(stream, 80))
            })
            .collect();
        let verb = if all == 1 { "says" } else { "say" };
        paragraph(
            out,
            &format!(
                "CRASH: {} {verb} that a program died (panic, traceback, fatal error): {}. Such lines have no time and no \
                 user, so they are in no test; look at them (--rejects FILE keeps them).",
                count(all, "line"),
                of.join(", ")
            ),
        );
    }

    /// Requests of services that the first lines did not show.
    fn write_unplanned(&self, out: &mut String) {
        if self.unplanned.is_empty() {
            return;
        }
        let (cells, services): (Vec<_>, Vec<_>) = self.unplanned.iter().partition(|(key, _)| !key.cell.is_empty());
        if !cells.is_empty() {
            let names: Vec<String> =
                cells.iter().take(20).map(|(key, _)| harmless(&key.without_cell().to_string(), 60)).collect();
            paragraph(
                out,
                &format!(
                    "{} of {} are not judged: a service has at most {CELLS_MAX} cells, and these lines name others, or \
                     came when memory was short. A cell is what is rolled out by itself (--role cell=FIELD), not what \
                     differs from user to user.",
                    count(cells.iter().map(|(_, requests)| requests).sum(), "request"),
                    names.join(", ")
                ),
            );
        }
        if services.is_empty() {
            return;
        }
        let named = services.iter().take(20);
        let names: Vec<String> = named
            .map(|(service, requests)| format!("{} ({})", harmless(&service.to_string(), 60), grouped(*requests)))
            .collect();
        let all: u64 = services.iter().map(|(_, requests)| requests).sum();
        let planned = |key: &ServiceKey| {
            let mut known = self.survey.services.keys();
            known.any(|of| of.service == key.service && of.environment != key.environment)
        };
        let (elsewhere, new): (Vec<_>, Vec<_>) = services.iter().map(|(key, _)| key).partition(|key| planned(key));
        let mut remedy = String::new();
        if !elsewhere.is_empty() {
            remedy.push(' ');
            remedy.push_str(OTHER_ENVIRONMENT);
        }
        if !new.is_empty() {
            let what = if elsewhere.is_empty() { "their log" } else { "the log of the others" };
            let _infallible =
                write!(remedy, " Give {what} as a file of its own, so that its first lines are looked at.");
        }
        paragraph(
            out,
            &format!(
                "{} of services that the first lines did not show are not judged: {}.{remedy}",
                count(all, "request"),
                names.join(", ")
            ),
        );
    }

    /// Fields that would play a role, and came after the first lines.
    fn write_unread(&self, out: &mut String) {
        for (path, role, lines) in self.unread.iter().take(UNREAD_MAX) {
            let verb = if *lines == 1 { "has" } else { "have" };
            let read = self.survey.plan.fields(*role).iter().map(|field| field.path.as_str());
            let fields: Vec<String> = read.chain([path.as_str()]).map(|path| harmless(path, 60)).collect();
            let (path, role) = (harmless(path, 60), role.name());
            paragraph(
                out,
                &format!(
                    "{} {verb} `{path}`, which the first lines did not show: it is not read. To read it, run again with \
                     --role {role}={}.",
                    count(*lines, "line"),
                    fields.join(",")
                ),
            );
        }
    }

    /// Which fields play which role.
    fn write_fields(&self, out: &mut String) {
        let s = self.survey;
        let share = |n: u64, of: u64| if of == 0 { 0.0 } else { 100.0 * n as f64 / of as f64 };
        let roles: Vec<String> = s
            .roles
            .iter()
            .map(|role| {
                let fields: Vec<String> = role
                    .fields
                    .iter()
                    .filter(|(_, lines)| *lines > 0)
                    .map(|(field, _)| match field.unit {
                        Some(unit) => format!("{} ({})", harmless(&field.path, 60), unit.name()),
                        None => harmless(&field.path, 60),
                    })
                    .collect();
                format!("{} {} {:.0}%", role.role.name(), fields.join("+"), share(role.lines, s.lines))
            })
            .collect();
        out.push_str("Fields (share of lines that have them):\n");
        for line in wrap(&roles, 100) {
            let _infallible = writeln!(out, "  {line}");
        }
    }

    /// Services of the first lines.
    fn write_seen(&self, out: &mut String) {
        let s = self.survey;
        let services: Vec<String> = s
            .services
            .iter()
            .take(20)
            .map(|(key, report)| {
                let source =
                    s.plan.sources.get(key).map(|source| format!(" from {}", source.name())).unwrap_or_default();
                format!(
                    "{} ({}{source}, {}, {} in the sample)",
                    harmless(&key.to_string(), 60),
                    count(report.requests, "request"),
                    count(report.spans, "span"),
                    count(report.logs, "other line")
                )
            })
            .collect();
        out.push_str("Services:\n");
        services.iter().for_each(|line| {
            let _infallible = writeln!(out, "  {line}");
        });
        if s.services.len() > 20 {
            let _infallible = writeln!(out, "  and {} more", s.services.len() - 20);
        }
    }

    /// What is missing or doubtful.
    fn write_notes(&self, out: &mut String) {
        let s = self.survey;
        if !s.notes.is_empty() {
            out.push_str("Notes:\n");
            for note in &s.notes {
                for (at, line) in wrap_words(note, 98).into_iter().enumerate() {
                    let _infallible = writeln!(out, "  {} {line}", if at == 0 { "-" } else { " " });
                }
            }
        }
    }
}
