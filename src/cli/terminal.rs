//! What goes to a terminal: errors, progress, and log text that must not act on it.

use std::io::{ErrorKind, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressStyle};

/// Prints an error with its causes, and what to do where that is known.
pub(super) fn error(error: &anyhow::Error) {
    // Where even that cannot be written, the exit status is left.
    let _status_tells = writeln!(std::io::stderr(), "serin: {}", sentence(&format!("{error:#}")));
}

/// A message as a sentence: with a full stop, where it does not end otherwise. What has several lines stays as it is: the
/// last may be a picture of a place.
fn sentence(text: &str) -> String {
    let text = text.trim_end();
    if text.contains('\n') || text.ends_with(['.', '?', '!', ':', '\u{2026}']) {
        text.to_owned()
    } else {
        format!("{text}.")
    }
}

/// Prints the result of a judgement. A reader that has gone (`| head`) changes nothing: the exit status is the verdict.
pub(super) fn print(text: &str) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        done => done,
    }
}

/// Text from a log or a file name, made harmless: control characters become visible, and it is cut to `most` characters.
pub(super) fn harmless(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (at, c) in text.chars().enumerate() {
        if at >= most {
            out.push('\u{2026}');
            break;
        }
        // Bidirectional marks reorder what a reader sees.
        let hidden = c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}');
        if hidden { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

/// Progress with rate and time left; silent where no person looks.
pub(super) struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// Progress over `total` (0: unknown) of bytes.
    pub(super) fn bytes(total: u64) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress { bar: None };
        }
        let bar = if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
        let template = if total == 0 {
            "{spinner} {bytes} read, {bytes_per_sec}"
        } else {
            "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  {eta} left"
        };
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Progress { bar: Some(bar) }
    }

    /// Progress over `total` things that are called `what`.
    pub(super) fn items(total: u64, what: &str) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress { bar: None };
        }
        let bar = ProgressBar::new(total);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}  {per_sec}  {eta} left") {
            bar.set_style(style);
        }
        bar.set_message(what.to_owned());
        Progress { bar: Some(bar) }
    }

    /// So much more is done.
    pub(super) fn add(&self, amount: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(amount);
        }
    }

    /// Takes the bar away.
    pub(super) fn finish(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_sentences() {
        assert_eq!(sentence("app.log: no such file"), "app.log: no such file.");
        assert_eq!(sentence("did you mean `a`?\n"), "did you mean `a`?");
        assert_eq!(sentence("Services: shop."), "Services: shop.");
        assert_eq!(sentence("a term is missing here\n  a:(\n    ^"), "a term is missing here\n  a:(\n    ^");
    }

    #[test]
    fn log_text_does_not_act_on_the_terminal() {
        assert_eq!(harmless("a\u{1b}[31mb\n\u{202e}c", 99), "a\\u{1b}[31mb\\u{a}\\u{202e}c");
        assert_eq!(harmless("abcdef", 3), "abc\u{2026}");
    }
}
