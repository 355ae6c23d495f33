//! What a stack trace adds to a template: the type of the exception, and the functions on top.
//!
//! Lines and files move with every release and addresses with every start; names of functions do not. Numbers within them
//! are left out: compilers count lambdas and anonymous classes.

/// Functions that are kept.
pub const FRAMES_MAX: usize = 5;
/// Bytes of a trace that are looked at.
const TRACE_MAX: usize = 64 << 10;
/// Lines of a trace that are looked at.
const LINES_MAX: usize = 200;
/// Bytes of the name of a function or a type that are kept.
const NAME_MAX: usize = 120;
/// Endings of the names of types that are thrown.
const TYPE_ENDINGS: [&str; 6] = ["Exception", "Error", "Throwable", "Interrupt", "Exit", "Warning"];

/// Appends ` <TYPE at FUNCTION FUNCTION ...>`, or nothing where the text is no trace.
pub fn add_stack(trace: &str, out: &mut Vec<u8>) {
    let mut end = trace.len().min(TRACE_MAX);
    while !trace.is_char_boundary(end) {
        end -= 1;
    }
    let text = trace.get(..end).unwrap_or_default();
    let lines: Vec<&str> = text.lines().take(LINES_MAX).collect();
    let mut functions: Vec<&str> = Vec::new();
    let mut newest_last = false;
    for (at, line) in lines.iter().enumerate() {
        let next = lines.get(at + 1).copied().unwrap_or_default();
        if let Some(function) = python(line) {
            newest_last = true;
            functions.push(function);
        } else if let Some(function) = called(line).or_else(|| go(line, next)).or_else(|| numbered(line)) {
            functions.push(function);
        }
    }
    if functions.is_empty() {
        return;
    }
    if newest_last {
        functions.reverse();
    }
    out.extend_from_slice(if out.len() > 1 { b" <" } else { b"<" });
    // Python tells the type behind the frames, all others before them.
    let thrown = if newest_last {
        lines.iter().rev().find_map(|line| thrown_type(line))
    } else {
        lines.iter().find_map(|line| thrown_type(line))
    };
    if let Some(thrown) = thrown {
        add_name(thrown, out);
        out.push(b' ');
    }
    out.extend_from_slice(b"at");
    for function in functions.iter().take(FRAMES_MAX) {
        out.push(b' ');
        add_name(function, out);
    }
    out.push(b'>');
}

/// A name without its numbers.
fn add_name(name: &str, out: &mut Vec<u8>) {
    let mut end = name.len().min(NAME_MAX);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    // The hash that Rust puts behind the path of a function.
    let name = name.get(..end).unwrap_or_default();
    let name = match name.rsplit_once("::h") {
        Some((path, hash)) if hash.len() == 16 && hash.bytes().all(|b| b.is_ascii_hexdigit()) => path,
        Some(_) | None => name,
    };
    out.extend(name.bytes().filter(|byte| !byte.is_ascii_digit() && !byte.is_ascii_whitespace()));
}

/// `at package.Class.method(File.java:12)`, `at function (file.js:1:2)`, `at Space.Class.Method(String x) in file:line 3`.
fn called(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("at ")?;
    let rest = rest.strip_prefix("async ").unwrap_or(rest);
    let name = rest.split(['(', ' ']).next().unwrap_or(rest);
    // The module before a Java class; a script without a function has only its path.
    let name = match name.rsplit_once('/') {
        Some((_, class)) if class.contains('.') && !class.contains(':') => class,
        Some(_) => return None,
        None => name,
    };
    (!name.is_empty() && !name.contains(':')).then_some(name)
}

/// `File "module.py", line 3, in function`.
fn python(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("File \"")?;
    let (_, function) = rest.rsplit_once(", in ")?;
    Some(function.trim_end()).filter(|function| !function.is_empty())
}

/// `main.(*Server).handle(0xc0000, 0x1)`, and the file in the next line.
fn go<'t>(line: &'t str, next: &str) -> Option<&'t str> {
    let is_place = next.starts_with(['\t', ' ']) && next.contains(".go:");
    let (function, _) = line.strip_suffix(')')?.rsplit_once('(')?;
    (is_place && !function.is_empty() && !line.starts_with([' ', '\t'])).then_some(function)
}

/// `  12: path::of::function`.
fn numbered(line: &str) -> Option<&str> {
    let (number, function) = line.trim_start().split_once(": ")?;
    let is_number = !number.is_empty() && number.len() <= 4 && number.bytes().all(|b| b.is_ascii_digit());
    let is_path = function.contains("::") && !function.contains(' ');
    (is_number && is_path).then_some(function.trim_end())
}

/// The type of an exception that a line names.
fn thrown_type(line: &str) -> Option<&str> {
    let line = line.trim();
    let line = match line.strip_prefix("Exception in thread ") {
        Some(rest) => rest.rsplit_once("\" ").map_or(rest, |(_, rest)| rest),
        None => line.strip_prefix("Uncaught ").unwrap_or(line),
    };
    let name = line.split([':', ' ', '\t']).next()?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'$'));
    (is_name && TYPE_ENDINGS.iter().any(|ending| name.ends_with(ending))).then_some(name)
}
