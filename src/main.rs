//! The `mtlc` command. Everything is in the library; see `src/cli/`.

use std::process::ExitCode;

fn main() -> ExitCode {
    mtlc::cli::main()
}
