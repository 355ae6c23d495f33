//! What is told in every form.

use serin::time::Timestamp;

/// What a form has of a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Has {
    /// It is no request.
    Log,
    /// Its times are those of whole seconds.
    WholeSeconds,
    /// What wraps it says when it was written, and not to the millisecond.
    NoTime,
    Status,
    Latency,
    Level,
    Service,
    Version,
    User,
    Path,
    /// It is the log of a server, beside that of the application.
    AccessLog,
}

/// A form.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) name: &'static str,
    /// Where its form is told of.
    pub(crate) documentation: &'static str,
    /// A line that stands before all others.
    pub(crate) head: Option<&'static str>,
    pub(crate) line: fn(&Line) -> String,
    pub(crate) has: &'static [Has],
}

pub(crate) const fn shape(
    name: &'static str,
    documentation: &'static str,
    has: &'static [Has],
    line: fn(&Line) -> String,
) -> Shape {
    Shape { name, documentation, head: None, line, has }
}

/// What a line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Line {
    /// When the work ended.
    pub(crate) time: i64,
    pub(crate) status: u16,
    pub(crate) millis: u64,
    pub(crate) user: String,
    pub(crate) path: &'static str,
    pub(crate) version: &'static str,
    pub(crate) client: String,
}

impl Line {
    pub(crate) fn numbered(number: usize) -> Line {
        let at = number as i64;
        Line {
            // 2026-06-01T10:00:00Z
            time: 1_780_308_000_000_000 + at * 1_000_000 + (at * 37 % 1_000) * 1_000,
            status: [200, 200, 404, 200, 500][number % 5],
            millis: 5 + number as u64 * 13 % 90,
            user: format!("u-{}", number % 23),
            path: ["/cart", "/pay", "/menu"][number % 3],
            version: if number.is_multiple_of(2) { "2.4.0" } else { "2.5.0" },
            client: format!("10.0.0.{}", 1 + number % 23),
        }
    }

    /// `2026-06-01T10:00:00.123Z`
    pub(crate) fn utc(&self) -> String {
        self.stamp("T", ".") + "Z"
    }

    /// The date, something, the time of day, something, and milliseconds.
    pub(crate) fn stamp(&self, between: &str, point: &str) -> String {
        let second = self.second();
        let (date, time) = second.split_at(10);
        format!("{date}{between}{}{point}{:03}", &time[1..], self.time / 1_000 % 1_000)
    }

    /// `2026-06-01T10:00:00`
    pub(crate) fn second(&self) -> String {
        Timestamp(self.time - self.time.rem_euclid(1_000_000)).to_string().replace('Z', "")
    }

    /// `10:00:00`
    pub(crate) fn clock(&self) -> String {
        self.second()[11..].to_owned()
    }

    /// The line as it began: its time is when the work did.
    pub(crate) fn begun(&self) -> Line {
        Line { time: self.time - self.millis as i64 * 1_000, ..self.clone() }
    }

    /// `01/Jun/2026:10:00:00 +0000`
    pub(crate) fn common(&self) -> String {
        format!("01/Jun/2026:{} +0000", self.clock())
    }

    pub(crate) fn is_error(&self) -> bool {
        self.status >= 500
    }

    pub(crate) fn level<'a>(&self, info: &'a str, error: &'a str) -> &'a str {
        if self.is_error() { error } else { info }
    }

    pub(crate) fn seconds(&self) -> String {
        format!("{:.3}", self.millis as f64 / 1e3)
    }

    /// `GET /cart HTTP/1.1`
    pub(crate) fn request(&self) -> String {
        format!("GET {} HTTP/1.1", self.path)
    }

    /// Apache's combined format.
    pub(crate) fn combined(&self) -> String {
        format!(
            r#"{} - {} [{}] "{}" {} 512 "-" "curl/8.5.0""#,
            self.client,
            self.user,
            self.common(),
            self.request(),
            self.status
        )
    }
}
