//! What GitHub Actions reads: annotations on lines, and outputs of a step
//! (<https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>).

use std::fmt::Write as _;
use std::hash::{BuildHasher as _, RandomState};

use super::{Delivery, DeliveryOutcome};
use crate::diagnostic::{Diagnostic, Severity};

/// Commands that show problems on their lines. Text of others stays text: what could end or begin a command is escaped,
/// as the runner's own tools do.
#[must_use]
pub fn annotations(diagnostics: &[Diagnostic]) -> String {
    let mut out = String::new();
    for told in diagnostics {
        let command = match told.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "notice",
        };
        let mut properties = format!("title={}", property(&told.code.to_string()));
        if let Some(place) = &told.place {
            write!(properties, ",file={}", property(&place.path)).ok();
            if place.line > 0 {
                write!(properties, ",line={},col={}", place.line, place.column).ok();
            }
        }
        let help = told.help.as_deref().map(|help| format!("\n{help}")).unwrap_or_default();
        writeln!(out, "::{command} {properties}::{}", data(&format!("{}{help}", told.message)))
            .ok();
    }
    out
}

fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

/// The outputs of a run, for the step's file: whether something changed, and the pull requests that there are.
/// `None` when a value could be taken for the end of itself.
#[must_use]
pub fn outputs(deliveries: &[Delivery]) -> Option<String> {
    let is_change = |delivery: &&Delivery| {
        use DeliveryOutcome::{Closed, Created, Merged, Pushed, Updated, Written};
        matches!(delivery.outcome, Created | Updated | Pushed | Written | Merged | Closed)
    };
    let pulls = deliveries.iter().filter_map(|delivery| {
        let (number, url) = delivery.pull_request.as_ref()?;
        Some(serde_json::json!({
            "number": number, "url": url, "environment": delivery.environment, "branch": delivery.branch,
            "outcome": delivery.outcome.word(),
        }))
    });
    let pulls = serde_json::Value::Array(pulls.collect()).to_string();
    let changed = deliveries.iter().any(|delivery| is_change(&delivery)).to_string();
    // Nobody knows it beforehand (CVE-2022-35954).
    let end = format!("ghadelimiter_{:016x}{:016x}", random(), random());
    let values = [("changed", changed), ("pull-requests", pulls)];
    let is_safe = values.iter().all(|(_, value)| !value.contains(&end));
    let lines = values.iter().map(|(name, value)| format!("{name}<<{end}\n{value}\n{end}\n"));
    is_safe.then(|| lines.collect())
}

/// A number by the system's randomness, which every new state of the standard library's hashing takes in.
fn random() -> u64 {
    RandomState::new().hash_one(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{Code, Place};
    use crate::policy::Via;

    #[test]
    fn what_others_write_ends_no_command() {
        let place = Place { line: 7, column: 3, ..Place::of_file("a,b:c\n::set-output name=x::y") };
        let told = Diagnostic::error(Code::PolicySyntax, "100%\r\n::add-mask::x")
            .at(place)
            .help("write\nit");
        let text = annotations(&[told]);
        assert_eq!(
            text,
            "::error title=policy.syntax,file=a%2Cb%3Ac%0A%3A%3Aset-output name=x%3A%3Ay,line=7,col=3::100%25%0D%0A::add-mask::x%0Awrite%0Ait\n"
        );
    }

    #[test]
    fn outputs_are_values_and_nothing_else() {
        let delivery = Delivery {
            environment: "x\nPATH<<E\nevil\nE".to_owned(),
            home: crate::policy::Home::default(),
            via: Via::PullRequest,
            branch: Some("tagalong/x".to_owned()),
            commit: None,
            pull_request: Some((7, "https://github.com/acme/fleet/pull/7".to_owned())),
            outcome: DeliveryOutcome::Created,
            message: None,
        };
        let text = outputs(std::slice::from_ref(&delivery)).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let end = lines[0].strip_prefix("changed<<").unwrap();
        assert_eq!((lines.len(), lines[1], lines[2], lines[5]), (6, "true", end, end));
        let pulls: serde_json::Value = serde_json::from_str(lines[4]).unwrap();
        assert_eq!((&pulls[0]["number"], &pulls[0]["outcome"]), (&7.into(), &"created".into()));
        let unchanged = Delivery { outcome: DeliveryOutcome::Unchanged, ..delivery };
        assert!(outputs(&[unchanged]).unwrap().contains("\nfalse\n"));
        assert_ne!(outputs(&[]), outputs(&[]));
    }
}
