//! What a story shows while it runs: in place where a person looks on, plain lines elsewhere.

use std::io::IsTerminal;
use std::time::{Duration, Instant};

use crate::cli::report::{grouped, millis, percent, span, strength};
use crate::cli::terminal::print;
use crate::compare::verdict::{Cell, Finding, Verdict};
use crate::demo::course::Conclusion;
use crate::engine::comparison::Comparison;
use crate::engine::pass;
use crate::engine::policy::Policy;
use crate::time::{MINUTE, Micros, Timestamp};

/// Shortest time between two drawings: fifteen a second.
const REDRAW: Duration = Duration::from_millis(67);
/// Event time after which a line is printed although nothing has changed.
const PLAIN_EVERY: Micros = 30 * MINUTE;

/// Colours, or none.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paint {
    /// Standard output is a terminal that moves its cursor.
    in_place: bool,
    colours: bool,
}

impl Paint {
    /// For standard output as it is. `NO_COLOR`: see no-color.org.
    pub(super) fn of_stdout() -> Paint {
        let smart = std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        let in_place = std::io::stdout().is_terminal() && smart;
        let colours = in_place && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Paint { in_place, colours }
    }

    pub(super) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    pub(super) fn bad(self, text: &str) -> String {
        self.with("1;31", text)
    }

    /// The words of a conclusion in its colour.
    pub(super) fn conclusion(self, conclusion: Conclusion) -> String {
        let words = conclusion_words(conclusion);
        match conclusion.verdict {
            Verdict::Pass => self.with("1;32", words),
            Verdict::Fail => self.with("1;31", words),
            Verdict::Invalid => self.with("1;33", words),
            Verdict::Inconclusive if conclusion.held_back => self.with("1;33", words),
            Verdict::Inconclusive => words.to_owned(),
        }
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.colours { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// A conclusion in words.
pub(super) fn conclusion_words(conclusion: Conclusion) -> &'static str {
    match conclusion.verdict {
        Verdict::Pass => "PASS",
        Verdict::Fail => "FAIL",
        Verdict::Invalid => "INVALID",
        Verdict::Inconclusive if conclusion.held_back => "INCONCLUSIVE (held back)",
        Verdict::Inconclusive => "INCONCLUSIVE",
    }
}

/// Hours, minutes and seconds of an event time.
pub(super) fn time_of_day(at: Timestamp) -> String {
    at.to_string().get(11..19).unwrap_or_default().to_owned()
}

/// The verdict as it evolves.
pub(super) struct Screen {
    paint: Paint,
    /// Lines that the next drawing replaces.
    drawn: usize,
    drawn_at: Option<Instant>,
    /// The latest look, when it is not on the screen yet.
    waiting: Option<Frame>,
    /// Strongest evidence of harm so far: evidence that ebbs is no news.
    harm: f64,
    /// What the last plain line said, and when.
    told: Option<((Conclusion, &'static str), Timestamp)>,
}

impl Screen {
    pub(super) fn new(paint: Paint) -> Screen {
        Screen { paint, drawn: 0, drawn_at: None, waiting: None, harm: 0.0, told: None }
    }

    /// Shows the latest look of a comparison.
    pub(super) fn look(&mut self, comparison: &Comparison, policy: &Policy) -> std::io::Result<()> {
        let frame = Frame::of(comparison, policy);
        let due = if self.paint.in_place {
            self.drawn_at.is_none_or(|at| at.elapsed() >= REDRAW)
        } else {
            self.is_news(&frame, comparison.look.log_sum)
        };
        match due {
            true => self.show(&frame),
            false => {
                self.waiting = Some(frame);
                Ok(())
            }
        }
    }

    /// Nothing comes for so long: what is drawn in place shows the latest look meanwhile.
    pub(super) fn settle(&mut self, wait: Duration) -> std::io::Result<()> {
        if self.paint.in_place && wait >= REDRAW { self.end() } else { Ok(()) }
    }

    /// Shows what is still waiting.
    pub(super) fn end(&mut self) -> std::io::Result<()> {
        // The last look is repeated when a stream ends; a line that says the same again is none.
        let told = self.told.map(|((conclusion, _), at)| (conclusion, at));
        match self.waiting.take() {
            Some(frame) if told != Some((frame.conclusion, frame.at)) => self.show(&frame),
            _ => Ok(()),
        }
    }

    /// A plain line is due when something has changed, and now and then.
    fn is_news(&mut self, frame: &Frame, log_sum: f64) -> bool {
        self.harm = self.harm.max(log_sum);
        let now = (frame.conclusion, strength(self.harm));
        let news = self.told.is_none_or(|(told, at)| told != now || frame.at.0 - at.0 >= PLAIN_EVERY);
        if news {
            self.told = Some((now, frame.at));
        }
        news
    }

    fn show(&mut self, frame: &Frame) -> std::io::Result<()> {
        self.waiting = None;
        let mut text = String::new();
        if self.paint.in_place {
            // The cursor is left below what is drawn, so that an interrupt leaves a clean screen. Lines that wrap would
            // be counted wrongly: they are cut instead while the block is written.
            if self.drawn > 0 {
                text.push_str(&format!("\x1b[{}A", self.drawn));
            }
            let lines = frame.block(self.paint);
            text.push_str("\x1b[?7l");
            lines.iter().for_each(|line| text.push_str(&format!("\r{line}\x1b[K\n")));
            text.push_str("\x1b[?7h");
            self.drawn = lines.len();
            self.drawn_at = Some(Instant::now());
        } else {
            if self.drawn == 0 {
                text.push_str(&row(["time", "requests", "users", "errors", "p50", "p99", "harm", "held", "verdict"]));
            }
            text.push_str(&frame.line());
            self.drawn += 1;
        }
        // One write, so that an interrupt does not come in the middle of a sequence.
        print(&text)
    }
}

/// What one look shows.
struct Frame {
    at: Timestamp,
    /// Event time since the rollout began.
    since_start: Micros,
    /// Requests, users, errors, p50 and p99 of (baseline, canary).
    arms: [[String; 5]; 2],
    /// Evidence that the canary is worse.
    harm: &'static str,
    /// Guardrails shown to be within their margins, of those that PASS needs.
    held: String,
    conclusion: Conclusion,
}

impl Frame {
    fn of(comparison: &Comparison, policy: &Policy) -> Frame {
        let look = &comparison.look;
        let arms = [0, 1].map(|arm| {
            let Some(totals) = comparison.totals.first().map(|totals| &totals[arm]) else { return Default::default() };
            let quantile = |share| totals.latency.quantile_us(share).map_or("-".to_owned(), |us| millis(us / 1_000.0));
            let errors = totals.errors as f64 / totals.requests.max(1) as f64;
            [
                grouped(totals.requests),
                grouped(comparison.distinct[arm]),
                percent(errors),
                quantile(0.5),
                quantile(0.99),
            ]
        });
        let required = pass::required(comparison, policy, look.cell(Cell::ErrorVolume).has_data);
        // Once something is wrong nobody asks whether the rest is within its margins.
        let asked = matches!(look.verdict, Verdict::Pass | Verdict::Inconclusive);
        let held = required.iter().filter(|cell| comparison.finding(**cell) == Finding::Held).count();
        Frame {
            at: comparison.ended_at,
            since_start: comparison.ended_at.0 - comparison.started_at.0,
            arms,
            harm: strength(look.log_sum),
            held: if asked { format!("{held}/{}", required.len()) } else { "-".to_owned() },
            conclusion: Conclusion { verdict: look.verdict, held_back: look.held_back },
        }
    }

    /// For a place on the screen: at most 80 columns.
    fn block(&self, paint: Paint) -> Vec<String> {
        let arm = |name: &str, cells: [&str; 5]| {
            let [requests, users, errors, p50, p99] = cells;
            format!("    {name:<9}{requests:>12}{users:>10}{errors:>11}{p50:>11}{p99:>11}")
        };
        let [baseline, canary] = self.arms.each_ref().map(|arm| arm.each_ref().map(String::as_str));
        let Frame { harm, held, .. } = self;
        vec![
            format!("  {}  {} into the rollout", time_of_day(self.at), span(self.since_start)),
            arm("", ["requests", "users", "errors", "p50", "p99"]),
            arm("baseline", baseline),
            arm("canary", canary),
            format!("  evidence of harm: {harm:<12} within margins: {held:<6} {}", paint.conclusion(self.conclusion)),
        ]
    }

    /// For a log of lines.
    fn line(&self) -> String {
        let [baseline, canary] = &self.arms;
        let [requests, users, errors, p50, p99] =
            [("+", 0), ("+", 1), ("/", 2), ("/", 3), ("/", 4)].map(|(sign, at)| pair(&baseline[at], sign, &canary[at]));
        let time = time_of_day(self.at);
        row([&time, &requests, &users, &errors, &p50, &p99, self.harm, &self.held, conclusion_words(self.conclusion)])
    }
}

/// Baseline and canary; a unit that both have is said once.
fn pair(baseline: &str, sign: &str, canary: &str) -> String {
    let number = match (baseline.rsplit_once(' '), canary.rsplit_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => number,
        _ => baseline,
    };
    format!("{number} {sign} {canary}")
}

fn row(cells: [&str; 9]) -> String {
    let [time, requests, users, errors, p50, p99, harm, held, verdict] = cells;
    format!(
        "  {time:<8}  {requests:<17} {users:<15} {errors:<14} {p50:<14} {p99:<14} {harm:<11} {held:<4}  {verdict}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: Paint = Paint { in_place: false, colours: false };

    fn frame(minute: i64, verdict: Verdict) -> Frame {
        let arm = |n: u64| [grouped(n), grouped(n / 5), percent(0.005), millis(31.4), millis(561.0)];
        Frame {
            at: Timestamp(minute * MINUTE),
            since_start: minute * MINUTE,
            arms: [arm(1_234_567), arm(1_234_568)],
            harm: "very strong",
            held: "2/4".to_owned(),
            conclusion: Conclusion { verdict, held_back: false },
        }
    }

    #[test]
    fn a_block_fits_a_screen() {
        for line in frame(119, Verdict::Inconclusive).block(PLAIN) {
            assert!(line.chars().count() <= 79, "{line}");
        }
    }

    #[test]
    fn a_unit_is_said_once() {
        assert_eq!(pair("31.4 ms", "/", "31.6 ms"), "31.4 / 31.6 ms");
        assert_eq!(pair("9.9 s", "/", "31.6 ms"), "9.9 s / 31.6 ms");
        assert_eq!(pair("1,200", "+", "-"), "1,200 + -");
    }

    #[test]
    fn a_line_is_printed_for_news_and_every_half_hour() {
        let mut screen = Screen::new(PLAIN);
        let pass = Verdict::Pass;
        let undecided = Verdict::Inconclusive;
        for (minute, verdict, log_sum, news) in [
            (0, undecided, 0.0, true),
            (1, undecided, 0.5, false),
            (2, undecided, 2.0, true),
            (3, undecided, 0.0, false),
            (4, undecided, 2.0, false),
            (5, pass, 0.0, true),
            (34, pass, 0.0, false),
            (35, pass, 0.0, true),
        ] {
            assert_eq!(screen.is_news(&frame(minute, verdict), log_sum), news, "minute {minute}");
        }
    }

    #[test]
    fn words_have_a_colour_only_on_a_terminal() {
        let fail = Conclusion { verdict: Verdict::Fail, held_back: false };
        assert_eq!(PLAIN.conclusion(fail), "FAIL");
        let colours = Paint { in_place: true, colours: true };
        assert_eq!(colours.conclusion(fail), "\x1b[1;31mFAIL\x1b[0m");
        assert_eq!(colours.conclusion(Conclusion::NONE), "INCONCLUSIVE");
    }
}
