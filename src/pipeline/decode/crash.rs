//! Lines that a runtime writes when a program dies: no record of a log, and still the most important line there is.

/// Bytes of a line that are looked at.
const LOOKED_AT: usize = 512;

/// A line of plain text begins what a runtime says of a crash: Go, Rust, Java, Python, a signal. The lines that follow it
/// (frames of a stack) are none.
pub(crate) fn is_crash(line: &str) -> bool {
    let bytes = line.trim_ascii_start().as_bytes();
    let bytes = bytes.get(..LOOKED_AT).unwrap_or(bytes);
    let has = |words: &str| memchr::memmem::find(bytes, words.as_bytes()).is_some();
    ["panic: ", "fatal error: ", "Traceback (most recent call last)", "Exception in thread \"", "Uncaught Exception"]
        .iter()
        .any(|words| bytes.starts_with(words.as_bytes()))
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
            "",
        ] {
            assert!(!is_crash(line), "{line}");
        }
    }
}
