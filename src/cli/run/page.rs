//! The page: the verdict in words first, then guardrails. No script, and nothing from elsewhere.

use std::fmt::Write as _;

use crate::cli::report::{GUARDRAIL_COLUMNS, Judged, Report, fates, grouped};
use crate::cli::run::http::REFRESH_SECONDS;
use crate::cli::terminal::harmless;
use crate::compare::verdict::Verdict;

const STYLE: &str = "
:root{color-scheme:light dark;--ink:#1b1f24;--quiet:#57606a;--ground:#fff;--line:#d0d7de;--good:#116329;--bad:#b3141f;--odd:#8a4600}
@media (prefers-color-scheme:dark){:root{--ink:#e6edf3;--quiet:#9198a1;--ground:#0d1117;--line:#3d444d;--good:#56d364;--bad:#ff8b83;--odd:#e3b341}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--ground);max-width:68rem;margin:2rem auto;padding:0 1rem}
h1{font-size:2.4rem;margin:0}h2{font-size:1.05rem;font-weight:600;margin:.2rem 0 1rem;overflow-wrap:anywhere}
.pass{color:var(--good)}.fail{color:var(--bad)}.invalid{color:var(--odd)}
.table{overflow-x:auto}table{border-collapse:collapse;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.3rem .9rem .3rem 0;border-bottom:1px solid var(--line);white-space:nowrap}
footer,th{color:var(--quiet);font-weight:400}section{margin-bottom:2.5rem}a{color:inherit}
";

/// Text from logs, made harmless for a terminal and for a page.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in harmless(text, 600).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}

fn whole(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta http-equiv=\"refresh\" content=\"{REFRESH_SECONDS}\"><title>{}</title><style>{STYLE}</style></head>\n\
         <body>{body}</body></html>\n",
        escaped(title)
    )
}

/// The page while there is no report.
pub(super) fn waiting(what: &str) -> String {
    whole("Serin: waiting", &format!("<h1>No verdict yet</h1><h2>{}</h2>", escaped(what)))
}

/// The page of a report.
pub(super) fn of(report: &Report<'_>) -> String {
    let mut body = String::new();
    for judged in &report.comparisons {
        comparison(&mut body, judged);
    }
    for alone in report.alone.iter().filter(|alone| !alone.beside_others) {
        let (service, reason) = (escaped(&alone.service), escaped(&alone.reason()));
        let _infallible =
            writeln!(body, "<section><h1>Nothing to compare yet</h1><h2>{service}: {reason}</h2></section>");
    }
    if report.comparisons.is_empty() && report.alone.is_empty() {
        body.push_str("<section><h1>Nothing to compare yet</h1><h2>No requests were found.</h2></section>\n");
    }
    let _infallible = writeln!(
        body,
        "<footer>{} lines read: {}. <a href=\"/v1/report\">All of it as JSON</a></footer>",
        grouped(report.tally.records),
        fates(&report.tally),
    );
    let title = if report.comparisons.is_empty() { "nothing to compare yet" } else { report.verdict.name() };
    whole(&format!("Serin: {title}"), &body)
}

fn comparison(body: &mut String, judged: &Judged<'_>) {
    let comparison = judged.comparison;
    let verdict = comparison.look.verdict;
    let class = match verdict {
        Verdict::Pass => "pass",
        Verdict::Fail => "fail",
        Verdict::Inconclusive => "open",
        Verdict::Invalid => "invalid",
    };
    let _infallible = write!(
        body,
        "<section><h1 class=\"{class}\">{}</h1><h2>{}: {} against {}, until {}</h2>",
        verdict.name().to_uppercase(),
        escaped(&judged.service),
        escaped(&comparison.candidate),
        escaped(&comparison.control),
        escaped(&comparison.ended_at.to_string()),
    );
    for sentence in judged.sentences() {
        let _infallible = write!(body, "<p>{}</p>", escaped(&sentence));
    }
    body.push_str("<div class=\"table\"><table><tr>");
    for column in GUARDRAIL_COLUMNS {
        let _infallible = write!(body, "<th>{}</th>", escaped(column));
    }
    body.push_str("</tr>");
    for cells in judged.guardrails() {
        body.push_str("<tr>");
        for cell in cells {
            let _infallible = write!(body, "<td>{}</td>", escaped(&cell));
        }
        body.push_str("</tr>");
    }
    body.push_str("</table></div></section>\n");
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
