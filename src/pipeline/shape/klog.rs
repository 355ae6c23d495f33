//! Lines of klog and glog, which the programs of Kubernetes write: `I0602 10:00:00.000000       1 file.go:12] text`.

use super::{Object, text};

/// The line as object. Its time names no year, but where glog is asked to (`I20260602 ...`).
pub(super) fn object(line: &str) -> Option<String> {
    let level = match line.as_bytes().first()? {
        b'I' => "INFO",
        b'W' => "WARNING",
        b'E' => "ERROR",
        b'F' => "FATAL",
        _ => return None,
    };
    let (date, rest) = line.get(1..)?.split_once(' ')?;
    let (time, rest) = rest.split_once(' ')?;
    let (place, said) = rest.split_once("] ")?;
    let (thread, place) = place.trim_ascii_start().split_once(' ')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(date)
        || !digits(thread)
        || !place.contains(':')
        || time.len() < 8
        || time.as_bytes().get(2) != Some(&b':')
    {
        return None;
    }
    let time = match date.len() {
        4 => format!("--{}-{}T{time}", date.get(..2)?, date.get(2..)?),
        8 => format!("{}-{}-{}T{time}", date.get(..4)?, date.get(4..6)?, date.get(6..)?),
        _ => return None,
    };
    let mut object = Object::new();
    // The text of a structured line stands in quotes, and pairs behind it.
    text::pairs_of(said, &mut object);
    object.text("time", &time);
    object.text("level", level);
    object.text("logger", place);
    object.text("message", said);
    Some(object.end())
}
