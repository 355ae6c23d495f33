//! The table for people.

use std::fmt::Write as _;

use super::{Shown, by, decided_after, minute_of, said, shares, word};
use crate::backtest::{CutOver, Deploy, Judged, Side, What};
use crate::cli::report::{count, grouped, millis, percent, wrap_words};
use crate::cli::terminal::harmless;
use crate::compare::verdict::Verdict;
use crate::time::{HOUR, MINUTE, Micros, SECOND, Timestamp};

/// Columns of running text.
const WIDTH: usize = 98;
/// Longest name of a version in the table: one on each side of the arrow.
const VERSION_MAX: usize = 7;

/// Hours and minutes, as short as a table asks.
pub(in crate::cli) fn short(time: Micros) -> String {
    if time >= HOUR {
        format!("{} h {:02} min", time / HOUR, time % HOUR / MINUTE)
    } else {
        match time / MINUTE {
            0 => format!("{} s", time / SECOND),
            minutes => format!("{minutes} min"),
        }
    }
}

/// A version, cut in its middle where it is long: names of versions differ at their ends.
pub(in crate::cli) fn version(name: &str, most: usize) -> String {
    let name = if name.is_empty() { "(unnamed)" } else { name };
    let length = name.chars().count();
    if length <= most {
        return harmless(name, most);
    }
    let tail = most / 2;
    let end: String = name.chars().skip(length - tail).collect();
    let start: String = name.chars().take(most - tail - 1).collect();
    format!("{}\u{2026}{}", harmless(&start, most), harmless(&end, most))
}

/// Two texts beside each other, where the second differs.
fn both(before: Option<String>, after: Option<String>) -> String {
    let or = |text: Option<String>| text.unwrap_or_else(|| "?".to_owned());
    format!("{} -> {}", or(before), or(after))
}

/// A cut-over in numbers.
pub(in crate::cli) fn before_after(of: &CutOver) -> String {
    let value = |make: &dyn Fn(&Side) -> Option<String>| {
        both(of.before.as_ref().and_then(make), of.after.as_ref().and_then(make))
    };
    if of.before.is_none() && of.after.is_none() {
        return "too little was seen to tell before from after".to_owned();
    }
    let mut list = vec![
        format!("errors {}", value(&|side| Some(percent(side.error_rate())))),
        format!("requests {}", value(&|side| Some(grouped(side.requests)))),
    ];
    if [of.before, of.after].into_iter().flatten().any(|side| side.p99_ms.is_some()) {
        list.insert(1, format!("p99 {}", value(&|side| side.p99_ms.map(millis))));
    }
    list.join(", ")
}

impl Shown<'_> {
    /// For people.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        paragraph(&mut out, "", &self.intro());
        for service in &self.found.services {
            let of_service: Vec<&Deploy> =
                self.found.deploys.iter().filter(|deploy| deploy.service == *service).collect();
            out.push('\n');
            let _infallible = writeln!(
                out,
                "{}: {}",
                harmless(service, 80),
                if of_service.is_empty() { "no deploy".to_owned() } else { count(of_service.len() as u64, "deploy") }
            );
            if !of_service.is_empty() {
                line(
                    &mut out,
                    [
                        "when (UTC)",
                        "from -> to",
                        "share",
                        "verdict",
                        "after",
                        "by",
                        "met it",
                        "spared",
                        "Flagger",
                        "Kayenta",
                    ]
                    .map(str::to_owned),
                );
                of_service.iter().for_each(|deploy| self.deploy(&mut out, deploy));
            }
            for restart in self.found.restarts.iter().filter(|restart| restart.service == *service) {
                let _infallible = writeln!(
                    out,
                    "{:<11} {:<17} restart: {} instances came anew, {} old ones went; the version stayed",
                    self.when(restart.at),
                    version(&restart.version, 2 * VERSION_MAX + 3),
                    restart.new,
                    restart.gone,
                );
            }
        }
        out.push('\n');
        self.summary().iter().for_each(|sentence| paragraph(&mut out, "", sentence));
        out.push('\n');
        for note in self.notes() {
            paragraph(&mut out, "  ", &format!("- {note}"));
        }
        out
    }

    /// A time as the table has it: without the year, where the archive lies in one.
    fn when(&self, at: Timestamp) -> String {
        let text = minute_of(at);
        let year = |at: Timestamp| minute_of(at).get(..4).map(str::to_owned);
        let one = self.found.span.is_some_and(|(first, last)| year(first) == year(Timestamp(last.0 - 1)));
        if one { text.get(5..).map_or(text.clone(), str::to_owned) } else { text }
    }

    fn deploy(&self, out: &mut String, deploy: &Deploy) {
        let when = self.when(deploy.at);
        let versions = format!("{} -> {}", version(&deploy.from, VERSION_MAX), version(&deploy.to, VERSION_MAX));
        match &deploy.what {
            What::CutOver(of) => {
                let _infallible = writeln!(out, "{when:<11} {versions:<17} cut over: {}", before_after(of));
            }
            What::Judged(judged) => {
                let star = if judged.is_estimate { "*" } else { "" };
                line(
                    out,
                    [
                        when,
                        versions,
                        shares(judged),
                        word(judged.outcome()).to_owned(),
                        decided_after(deploy, judged).map_or("-".to_owned(), short),
                        judged.stop.as_ref().map_or("-".to_owned(), by),
                        format!("{}{star}", grouped(judged.exposed)),
                        judged.spared().map_or("-".to_owned(), |spared| format!("{}{star}", grouped(spared))),
                        said(judged.rules[0]),
                        said(judged.rules[1]),
                    ],
                );
                let remark = remark(deploy, judged);
                if !remark.is_empty() {
                    let _infallible = writeln!(out, "{:<11} {remark}", "");
                }
            }
        }
    }
}

/// What a line of the table does not say.
pub(in crate::cli) fn remark(deploy: &Deploy, judged: &Judged) -> String {
    let mut list = Vec::new();
    if let (Some(passed), Some(_)) = (judged.passed_at, &judged.stop) {
        list.push(format!("it had passed after {}", short(passed.0 - deploy.at.0)));
    } else if judged.passed_at.is_some() && judged.verdict != Verdict::Pass {
        list.push("its pass was not upheld to the end".to_owned());
    }
    if judged.verdict == Verdict::Invalid {
        let flaws: Vec<String> = judged.flaws.iter().map(|flaw| flaw.name().replace('_', " ")).collect();
        list.push(format!("invalid: {}", flaws.join(", ")));
    }
    list.join("; ")
}

/// One line of the table.
fn line(out: &mut String, [when, versions, share, verdict, after, by, met, spared, flagger, kayenta]: [String; 10]) {
    let text = format!(
        "{when:<11} {versions:<17} {share:<9} {verdict:<9} {after:>10} {by:<7} {met:>7} {spared:>7} {flagger:>7} {kayenta:>7}"
    );
    out.push_str(text.trim_end());
    out.push('\n');
}

fn paragraph(out: &mut String, indent: &str, text: &str) {
    for (at, line) in wrap_words(text, WIDTH - indent.len() - 2).into_iter().enumerate() {
        let hanging = if at > 0 && !indent.is_empty() { "  " } else { "" };
        let _infallible = writeln!(out, "{indent}{hanging}{line}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_versions_keep_their_ends() {
        assert_eq!(version("1.2.3", 7), "1.2.3");
        assert_eq!(version("2026-06-01-9f3c2ab", 7), "202\u{2026}2ab");
        assert_eq!(version("", 12), "(unnamed)");
        assert_eq!([90 * MINUTE, 5 * MINUTE, 40 * SECOND].map(short), ["1 h 30 min", "5 min", "40 s"]);
    }
}
