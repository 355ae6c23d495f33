//! The binary: hands the command line to [`serin::cli`] and turns its answer into an exit status.

fn main() -> std::process::ExitCode {
    serin::cli::main()
}
