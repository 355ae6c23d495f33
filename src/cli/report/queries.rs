//! Queries that find exactly the lines behind a number of a report ([`crate::query`]; docs/search.md).
//!
//! They are text alone: whoever has the lines can ask, `serin search FILE... QUERY` or a running `serin run`.

use crate::event::ServiceKey;
use crate::time::Timestamp;

/// Lines of a service between two times.
fn of_service(service: &ServiceKey, from: Timestamp, until: Timestamp) -> String {
    let service = match service.service.as_str() {
        // Lines of a log that names no service have none.
        "" => "NOT _exists_:_service".to_owned(),
        name => format!("_service:{}", quoted(name)),
    };
    format!("{service} AND _time:[{from} TO {until}}}")
}

/// Requests of an arm, or those of them that failed.
pub(in crate::cli) fn of_requests(
    service: &ServiceKey,
    arm: &str,
    failed: bool,
    from: Timestamp,
    until: Timestamp,
) -> String {
    let failed = if failed { " AND _failed:true" } else { "" };
    let lines = of_service(service, from, until);
    format!("_kind:request{failed} AND _arm:{} AND {lines}", quoted(arm))
}

/// Lines of a template at level error or worse, or below.
pub(in crate::cli) fn of_template(
    template: u64,
    severe: bool,
    service: &ServiceKey,
    from: Timestamp,
    until: Timestamp,
) -> String {
    let level = if severe { "_level>=error" } else { "NOT _level>=error" };
    let lines = of_service(service, from, until);
    format!("_template:\"{template:016x}\" AND {level} AND {lines}")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::query::Query;

    #[test]
    fn any_name_can_stand_in_a_query() {
        let key = |service: &str| ServiceKey { environment: String::new(), service: service.to_owned() };
        let (from, until) = (Timestamp(0), Timestamp(1_000_000));
        for name in ["shop", "a \"b\" \\", "", "(x)"] {
            for text in
                [of_requests(&key(name), name, true, from, until), of_template(7, true, &key(name), from, until)]
            {
                assert!(Query::parse(&text).is_ok(), "{text}");
            }
        }
        assert_eq!(
            of_requests(&key("shop"), "2.0", true, from, until),
            "_kind:request AND _failed:true AND _arm:\"2.0\" AND _service:\"shop\" AND \
             _time:[1970-01-01T00:00:00Z TO 1970-01-01T00:00:01Z}"
        );
    }
}
