//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::Parser as _;
use tagalong::cli::Cli;

fn main() -> ExitCode {
    tagalong::command::main(Cli::parse())
}
