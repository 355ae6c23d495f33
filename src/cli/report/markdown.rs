//! The report as Markdown: for a comment on a change, or a page of a wiki. Verdict first, the rest folded away.

use std::fmt::Write as _;

use super::guardrails::GUARDRAIL_COLUMNS;
use super::{Judged, Report, WORST_FIRST};
use crate::cli::terminal::harmless;

/// Comparisons that are written out; the others are in the overall line alone.
const COMPARISONS_MAX: usize = 50;

impl Report<'_> {
    /// For Markdown (CommonMark with tables).
    pub(in crate::cli) fn markdown(&self) -> String {
        let mut out = String::new();
        let mut around = String::new();
        if !self.release.is_empty() {
            self.write_release(&mut around);
        }
        if self.comparisons.len() > 1 {
            self.write_overall(&mut around);
        }
        for paragraph in around.split("\n\n").filter(|text| !text.trim().is_empty()) {
            let _infallible = writeln!(out, "{}\n", plain(&one_line(paragraph)));
        }
        let worst_first = WORST_FIRST.into_iter().flat_map(|verdict| {
            self.comparisons.iter().filter(move |judged| judged.comparison.look.verdict == verdict)
        });
        for judged in worst_first.clone().take(COMPARISONS_MAX) {
            judged.write_markdown(&mut out);
        }
        if self.comparisons.len() > COMPARISONS_MAX {
            let more = self.comparisons.len() - COMPARISONS_MAX;
            let _infallible =
                writeln!(out, "{more} more comparisons are not written out; `--service NAME` shows one.\n");
        }
        let mut rest = String::new();
        self.alone.iter().for_each(|alone| alone.write(&mut rest));
        self.write_cut_overs(&mut rest);
        if self.comparisons.is_empty() && self.alone.is_empty() {
            rest.push_str("INVALID  there is nothing to compare: no request was found\n");
        }
        if !rest.trim().is_empty() {
            fenced(&mut out, &rest);
        }
        let mut reading = String::new();
        self.write_reading(&mut reading);
        folded(&mut out, "How the log was read", &reading);
        out
    }
}

impl Judged<'_> {
    fn write_markdown(&self, out: &mut String) {
        let _infallible = writeln!(out, "## {}\n", plain(&one_line(&self.title())));
        for sentence in self.sentences().iter().skip(1) {
            let _infallible = writeln!(out, "- {}", plain(sentence));
        }
        let row =
            |cells: &[String]| format!("| {} |", cells.iter().map(|cell| plain(cell)).collect::<Vec<_>>().join(" | "));
        let _infallible = writeln!(out, "\n{}", row(&GUARDRAIL_COLUMNS.map(str::to_owned)));
        let _infallible = writeln!(out, "|{}", " --- |".repeat(GUARDRAIL_COLUMNS.len()));
        for cells in self.guardrails() {
            let _infallible = writeln!(out, "{}", row(&cells));
        }
        out.push('\n');
        let mut text = String::new();
        self.write_templates(&mut text);
        self.write_segments(&mut text);
        folded(out, "Log lines and segments that differ", &text);
        text.clear();
        self.write_overlaps(&mut text);
        folded(out, "Rollouts at the same time", &text);
        text.clear();
        self.write_ages(&mut text);
        folded(out, "By the time since they were first seen", &text);
        text.clear();
        self.write_checks(&mut text);
        self.write_needs(&mut text);
        self.write_evidence(&mut text);
        self.write_services(&mut text);
        folded(out, "Checks, what is still needed, lines to look at", &text);
    }
}

/// A text that was broken into lines, in one.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A text that means itself: nothing in it is a mark, but for what stands in backticks, which is code.
fn plain(text: &str) -> String {
    let mut out = String::new();
    for (number, part) in harmless(text, 2_000).split('`').enumerate() {
        match number % 2 {
            0 => {
                for c in part.chars() {
                    match c {
                        '<' => out.push_str("&lt;"),
                        '&' => out.push_str("&amp;"),
                        '\\' | '[' | ']' | '*' | '_' | '#' | '|' | '!' | '~' => out.extend(['\\', c]),
                        c => out.push(c),
                    }
                }
            }
            _ => {
                // A bar ends a cell even there.
                let _infallible = write!(out, "`{}`", part.replace('|', "\\|"));
            }
        }
    }
    out
}

/// A report of text as Markdown: as it is, behind a fence.
pub(in crate::cli) fn of_text(text: &str) -> String {
    let mut out = String::new();
    fenced(&mut out, text);
    out
}

/// A text as it is, behind a fence that nothing in it closes.
fn fenced(out: &mut String, text: &str) {
    let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest.max(2) + 1);
    let _infallible = writeln!(out, "{fence}text\n{}\n{fence}\n", text.trim_matches('\n'));
}

/// A text that is shown when it is asked for; nothing where it is empty.
fn folded(out: &mut String, name: &str, text: &str) {
    if text.trim().is_empty() {
        return;
    }
    let _infallible = writeln!(out, "<details><summary>{name}</summary>\n");
    fenced(out, text);
    out.push_str("</details>\n\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_no_marks() {
        assert_eq!(
            plain("FAIL  a|b_c: <b>x</b> ![i](http://x) `no <*> |x`"),
            "FAIL  a\\|b\\_c: &lt;b>x&lt;/b> \\!\\[i\\](http://x) `no <*> \\|x`"
        );
        let mut out = String::new();
        fenced(&mut out, "a\n```` b\n");
        assert_eq!(out, "`````text\na\n```` b\n`````\n\n");
    }
}
