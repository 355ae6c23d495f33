//! What AWS Lambda says of a call in text: `START RequestId: ID Version: 7`, `END RequestId: ID`, and at its end
//! `REPORT RequestId: ID Duration: 79.67 ms Billed Duration: 80 ms ...`, which is the request. They name no time; CloudWatch does.

use super::{Object, is_number};

/// What stands behind the first word.
const REQUEST_ID: &str = " RequestId: ";

/// The line as object.
pub(super) fn object(line: &str) -> Option<String> {
    let is_of = |word: &&str| line.strip_prefix(*word).is_some_and(|rest| rest.starts_with(REQUEST_ID));
    let word = ["START", "END", "REPORT"].into_iter().find(is_of)?;
    let rest = line.get(word.len() + REQUEST_ID.len()..)?;
    let (id, rest) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
    let mut object = Object::new();
    object.text("message", line);
    object.text("request_id", id);
    match word {
        "START" => {
            if let Some(version) = after(rest, "Version: ").filter(|version| *version != "$LATEST") {
                object.text("version", version);
            }
            object.text("kind", "log");
        }
        "END" => object.text("kind", "log"),
        "REPORT" => {
            let took = after(rest, "Duration: ").filter(|took| is_number(took))?;
            object.raw("duration_ms", took);
            object.text("kind", "request");
            // `Status: timeout`, `Status: error`
            object.raw("failed", if after(rest, "Status: ").is_some() { "true" } else { "false" });
        }
        _ => return None,
    }
    Some(object.end())
}

/// The word behind a name.
fn after<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(name)?;
    rest.split([' ', '\t']).next()
}
