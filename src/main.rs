//! The binary: hands the command line to [`serin::cli`] and turns its answer into an exit status.

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    serin::cli::main()
}
