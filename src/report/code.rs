//! The meaning of a code, and the remedy: the tables of the documentation, which the tests hold to be complete.

/// The meanings, generated from the program.
const MEANINGS: &str = include_str!("../../docs/diagnostics.md");

/// The remedies, written by hand.
const REMEDIES: &str = include_str!("../../docs/troubleshooting.md");

/// The meaning of a code of a diagnostic or of a decision's reason, and the remedy; `None` if there is no such code.
#[must_use]
pub fn explain_code(code: &str) -> Option<String> {
    let meaning = row(MEANINGS, code)?;
    let remedy =
        row(REMEDIES, code).map(|text| format!("\nWhat to do: {text}\n")).unwrap_or_default();
    Some(format!("{code}\n\n{meaning}\n{remedy}"))
}

/// All codes.
pub fn codes() -> impl Iterator<Item = &'static str> {
    MEANINGS.lines().filter_map(|line| Some(line.strip_prefix("| `")?.split_once("` |")?.0))
}

/// The text beside a code in a table of Markdown, of which a row can be about several.
fn row(table: &'static str, code: &str) -> Option<&'static str> {
    let quoted = format!("`{code}`");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
    let (_, text) =
        rows.into_iter().find(|(codes, _)| codes.split(", ").any(|one| one == quoted))?;
    Some(text.trim_end_matches('|').trim())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Code;

    #[test]
    fn every_code_has_a_meaning_and_a_remedy() {
        for (code, _) in Code::ALL {
            let text = explain_code(code.as_str()).unwrap_or_default();
            assert!(text.contains("\nWhat to do: "), "{code}: {text}");
        }
        assert!(explain_code("rollback-open").is_some(), "reasons of decisions as well");
        assert!(codes().count() > Code::ALL.len());
        assert_eq!(explain_code("nope"), None);
    }
}
