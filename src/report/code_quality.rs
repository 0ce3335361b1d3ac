//! The code quality report of GitLab CI/CD, which merge requests show on their lines
//! (<https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format>).

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::diagnostic::{Diagnostic, Severity};

#[derive(Serialize)]
struct Finding<'a> {
    description: String,
    check_name: String,
    fingerprint: String,
    severity: &'static str,
    location: Location<'a>,
}

#[derive(Serialize)]
struct Location<'a> {
    path: &'a str,
    lines: FirstLine,
}

#[derive(Serialize)]
struct FirstLine {
    begin: usize,
}

/// The report, as JSON. What is about no file is left out, as GitLab shows findings of files alone.
#[must_use]
pub fn code_quality(diagnostics: &[Diagnostic]) -> String {
    let findings: Vec<Finding<'_>> = diagnostics.iter().filter_map(finding).collect();
    serde_json::to_string(&findings).unwrap_or_default()
}

fn finding(told: &Diagnostic) -> Option<Finding<'_>> {
    let place = told.place.as_ref()?;
    let help = told.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    // A line that only moved is no new finding.
    let identity = format!("{}\0{}\0{}", told.code, place.path, told.message);
    let hash = Sha256::digest(identity);
    Some(Finding {
        description: format!("{}{help}", told.message),
        check_name: told.code.to_string(),
        fingerprint: hash.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}")),
        severity: match told.severity {
            Severity::Error => "major",
            Severity::Warning => "minor",
            Severity::Info => "info",
        },
        location: Location { path: &place.path, lines: FirstLine { begin: place.line.max(1) } },
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Code, Place};

    #[test]
    fn findings_are_of_files_and_known_again_on_another_line() {
        let at = |line| Place { line, ..Place::of_file("policies/p.yaml") };
        let told = |line| {
            Diagnostic::error(Code::PolicyUnknownKey, "unknown key `tag`")
                .at(at(line))
                .help("write `tags`")
        };
        let nowhere = Diagnostic::warning(Code::ForgeUnavailable, "no");
        let read = |all: &[Diagnostic]| -> serde_json::Value {
            serde_json::from_str(&code_quality(all)).unwrap()
        };
        let first = read(&[told(3), nowhere]);
        let want = serde_json::json!([{
            "description": "unknown key `tag`; write `tags`", "check_name": "policy.unknown-key",
            "fingerprint": first[0]["fingerprint"], "severity": "major",
            "location": {"path": "policies/p.yaml", "lines": {"begin": 3}},
        }]);
        assert_eq!(first, want);
        assert_eq!(read(&[told(9)])[0]["fingerprint"], first[0]["fingerprint"]);
        assert_eq!(code_quality(&[]), "[]");
    }
}
