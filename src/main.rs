//! The program: runs the command line and returns its exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    meetwatch::cli::main(std::env::args_os())
}
