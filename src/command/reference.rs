//! Commands that print what is written down: schemas, completions, manual pages, codes.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;

use super::{complain, fail, print};
use crate::cli::{self, SchemaKind};
use crate::diagnostic::{Code, Diagnostic, nearest};
use crate::pipeline::Exit;
use crate::policy::{policy_schema, registries_schema, service_schema, settings_schema};
use crate::report::{self, ExplainReport, Report, Status};
use crate::secret::redacted;
use crate::settings::Surroundings;

/// The completion script of a shell.
pub(super) fn completions(shell: clap_complete::Shell) -> Exit {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cli::command(), "tagalong", &mut script);
    print(&script)
}

/// The manual page of the program, or the pages of all commands in a directory.
pub(super) fn man(directory: Option<&Path>) -> Exit {
    if let Some(directory) = directory {
        let written = std::fs::create_dir_all(directory)
            .and_then(|()| clap_mangen::generate_to(cli::command(), directory));
        return match written {
            Ok(()) => Exit::Done,
            Err(error) => fail(&format!("--dir {}: {error}", directory.display())),
        };
    }
    let mut page = Vec::new();
    match clap_mangen::Man::new(cli::command()).render(&mut page) {
        Ok(()) => print(&page),
        Err(error) => fail(&error.to_string()),
    }
}

/// The meaning of a code, and what to do.
pub(super) fn code(code: &str, around: &Surroundings) -> Exit {
    if let Some(text) = report::explain_code(code) {
        return print(text.as_bytes());
    }
    let help = match nearest(code, report::codes()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "codes are those of messages, as `policy.syntax`, and of decisions, as `soaking`"
            .to_owned(),
    };
    let problem = Diagnostic::error(
        Code::ArgumentUnknown,
        format!("--code {}: no such code", code.escape_debug()),
    );
    complain(&report::diagnostics(&[problem.help(help)], |_| None, around.stderr));
    Exit::Invalid
}

/// The JSON Schema of a file or an output.
pub(super) fn schema(which: SchemaKind) -> Exit {
    let schema = match which {
        SchemaKind::Policies => policy_schema(),
        SchemaKind::Settings => settings_schema(),
        SchemaKind::Registries => registries_schema(),
        SchemaKind::Serve => service_schema(),
        SchemaKind::Plan => report::output_schema::<Report>(),
        SchemaKind::Explain => report::output_schema::<ExplainReport>(),
        SchemaKind::Status => report::output_schema::<Status>(),
    };
    print(format!("{schema:#}\n").as_bytes())
}

/// Writes the code quality report to a file, where one is named.
///
/// # Errors
/// The file cannot be written.
pub(super) fn code_quality(file: Option<&Path>, told: &[Diagnostic]) -> Result<(), String> {
    let Some(file) = file else { return Ok(()) };
    let text = redacted(&report::code_quality(told)).into_owned();
    let written = File::create(file).and_then(|mut report| report.write_all(text.as_bytes()));
    written.map_err(|error| format!("--code-quality {}: {error}", file.display()))
}
