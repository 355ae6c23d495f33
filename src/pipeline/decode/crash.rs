//! Lines that a runtime writes when a program dies: no record of a log, and still the most important line there is.

use crate::pipeline::continued;

/// Bytes of a line that are looked at.
const LOOKED_AT: usize = 512;

/// How they begin.
const BEGINNINGS: [&str; 8] = [
    "panic: ",
    "fatal error: ",
    "Traceback (most recent call last)",
    "Exception in thread \"",
    "Uncaught Exception",
    "Unhandled exception. ",
    "Unhandled Exception: ",
    "[UnhandledPromiseRejection",
];
/// How a frame of Java and .NET begins.
const FRAMES: [&str; 2] = ["\tat ", "   at "];

/// A line of plain text begins what a runtime says of a crash: Go, Rust, Java, Python, Node, .NET, a signal. The lines that follow it
/// (frames of a stack) are none. The name of what was thrown is one where frames follow it in the same record.
pub(crate) fn is_crash(line: &str) -> bool {
    let bytes = line.trim_ascii_start().as_bytes();
    let bytes = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    let has = |words: &str| memchr::memmem::find(bytes, words.as_bytes()).is_some();
    let first = bytes.split(|byte| matches!(*byte, b'\n' | continued::JOINT)).next().unwrap_or_default();
    BEGINNINGS.iter().any(|words| bytes.starts_with(words.as_bytes()))
        || continued::is_place_of_node(first)
        || (first.len() < bytes.len() && continued::is_thrown_in_full(first) && FRAMES.iter().any(|frame| has(frame)))
        || (bytes.starts_with(b"thread '") && has("panicked at"))
        || has("SIGSEGV")
        || has("Segmentation fault")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runtimes_say_when_a_program_dies() {
        for line in [
            "panic: runtime error: invalid memory address or nil pointer dereference",
            "[signal SIGSEGV: segmentation violation code=0x1 addr=0x0 pc=0x49b9a0]",
            "fatal error: all goroutines are asleep - deadlock!",
            "thread 'main' panicked at src/main.rs:4:10:",
            "thread 'tokio-runtime-worker' (71) panicked at 'index out of bounds', src/cart.rs:12:5",
            "Exception in thread \"main\" java.lang.NullPointerException: Cannot invoke \"String.length()\"",
            "Traceback (most recent call last):",
            "# A fatal error: SIGSEGV (0xb) at pc=0x00007f8, pid=1, tid=2",
            "Segmentation fault (core dumped)",
            "/app/shop.js:12\n    throw new Error('x')\n    ^\n\nError: x\n    at pay (/app/shop.js:12:7)",
            "node:internal/process/promises:394",
            "Unhandled exception. System.InvalidOperationException: no cart\u{b}   at Shop.Pay() in /app/Shop.cs:line 5",
            "java.lang.IllegalStateException: no cart\n\tat com.example.Cart.pay(Cart.java:12)",
        ] {
            assert!(is_crash(line), "{line}");
        }
        for line in [
            "goroutine 1 [running]:",
            "\tat com.example.Cart.pay(Cart.java:12)",
            "  File \"/app/main.py\", line 3, in <module>",
            "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace",
            "do not panic: all is well",
            "listening on :8080",
            "java.lang.IllegalStateException: no cart",
            "/app/shop.py:12",
            "/app/shop.js: 12",
            "",
        ] {
            assert!(!is_crash(line), "{line}");
        }
    }
}
