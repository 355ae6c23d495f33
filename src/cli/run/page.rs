//! The page: the report that `compare --format html` prints, asked for again and again.

use crate::cli::html::{self, Around, Courses};
use crate::cli::report::Report;
use crate::cli::run::http::REFRESH_SECONDS;
use crate::engine::Engine;

/// The page while there is no report.
pub(super) fn waiting(what: &str) -> String {
    html::waiting(what, REFRESH_SECONDS)
}

/// The page of a report. `state`: the folder of the ledger.
pub(super) fn of(report: &Report<'_>, engine: &Engine, courses: &Courses, state: &str, notices: Vec<String>) -> String {
    let show = "Every decision is in the ledger:".to_owned();
    let again = "Where lines came over HTTP, all are made again from them, and compared to the byte, by:".to_owned();
    let around = Around {
        refresh: Some(REFRESH_SECONDS),
        is_live: true,
        notices,
        json: Some("/v1/report"),
        again: vec![(show, format!("serin show {state}/ledger.ndjson")), (again, format!("serin replay {state}"))],
    };
    html::report(report, engine, courses, &around)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_from_logs_does_not_act_on_the_page() {
        let page = waiting("<script>alert('x')</script>&\u{202e}\"");
        assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\\u{202e}&quot;"), "{page}");
        assert!(!page.contains("<script"));
    }
}
