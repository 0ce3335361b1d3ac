//! The binary: arguments in, exit code out.

use std::process::ExitCode;

use clap::FromArgMatches as _;
use tagalong::cli::Cli;

fn main() -> ExitCode {
    let matches = tagalong::cli::command().get_matches();
    match Cli::from_arg_matches(&matches) {
        Ok(cli) => tagalong::command::main(cli),
        Err(error) => error.exit(),
    }
}
