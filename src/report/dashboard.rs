//! The issue that shows everything at a glance, in Markdown. Equal for equal states, so that it is only
//! written when something changes.

use std::fmt::Write as _;

use super::{Delivery, DeliveryOutcome};
use crate::changeset::{Plan, Planned};
use crate::choose::{Deployed, Outcome};
use crate::diagnostic::{Code, Diagnostic};
use crate::text::code_span;

/// What is in every dashboard, and in no other issue.
pub const DASHBOARD: &str = "<!-- tagalong: dashboard -->";

/// GitHub's limit is 65,536 characters.
const MAX_BODY: usize = 60_000;

/// Every image by environment, what was decided, and what waits for whom.
#[must_use]
pub fn dashboard(plan: &Plan, deliveries: &[Delivery]) -> String {
    let mut out =
        format!("{DASHBOARD}\nWhat runs where, and what waits. This issue is kept up to date.\n");
    let waiting: Vec<&Delivery> = deliveries.iter().filter(|d| is_open(d)).collect();
    if !waiting.is_empty() {
        out.push_str("\n## Waiting\n\n");
    }
    for delivery in waiting {
        // A number alone would be one of this repository.
        let link = |(number, url): &(u64, String)| format!("[#{number}]({url}) ");
        let number = delivery.pull_request.as_ref().map(link);
        let why = delivery.message.as_deref().map(|message| format!(": {}", code_span(message)));
        let environment = code_span(&delivery.environment);
        let (number, why) = (number.unwrap_or_default(), why.unwrap_or_default());
        writeln!(out, "- {number}{environment}, {}{why}", whom(delivery.outcome)).ok();
    }
    let unread = plan.diagnostics.iter().filter(|told| told.code == Code::EnvironmentUnreachable);
    let unread: Vec<&Diagnostic> = unread.collect();
    if !unread.is_empty() {
        out.push_str("\n## Not read\n\n");
    }
    for told in unread {
        writeln!(out, "- {}", code_span(&told.message)).ok();
    }
    let mut environment = "";
    for (index, planned) in plan.decisions.iter().enumerate() {
        let mut part = String::new();
        if planned.environment != environment {
            environment = &planned.environment;
            let name = code_span(environment);
            write!(part, "\n## {name}\n\n| image | deployed | | why |\n|---|---|---|---|\n").ok();
        }
        part.push_str(&row(planned));
        if out.len() + part.len() > MAX_BODY {
            let left = plan.decisions.len() - index;
            write!(out, "\n{left} more are in the report of the run.\n").ok();
            break;
        }
        out.push_str(&part);
    }
    out
}

fn row(planned: &Planned) -> String {
    let decision = &planned.decision;
    let what = match (decision.outcome, &decision.to) {
        (Outcome::Keep, _) => "up to date".to_owned(),
        (Outcome::Update, Some(to)) => format!("to {}", code_span(to.as_str())),
        (Outcome::Update, None) => "to change".to_owned(),
        (Outcome::Hold, _) => "**held**".to_owned(),
        (Outcome::Undecided, _) => "**undecided**".to_owned(),
    };
    // What is up to date needs no reason.
    let why = match decision.outcome {
        Outcome::Keep => String::new(),
        _ => code_span(&decision.reason.message),
    };
    let deployed = Deployed::to_string(&planned.deployed);
    format!("| {} | {} | {what} | {why} |\n", code_span(&planned.image), code_span(&deployed))
}

/// Whether something is left to do for somebody.
fn is_open(delivery: &Delivery) -> bool {
    use DeliveryOutcome::{Created, Failed, Frozen, Refused, Unchanged, Updated, Waiting};
    matches!(delivery.outcome, Created | Updated | Unchanged | Frozen | Refused | Waiting | Failed)
}

fn whom(outcome: DeliveryOutcome) -> &'static str {
    match outcome {
        DeliveryOutcome::Frozen => "for whoever committed to it",
        DeliveryOutcome::Refused => "for something newer",
        DeliveryOutcome::Waiting => "for its turn, or for people",
        DeliveryOutcome::Failed => "for somebody to look at it",
        _ => "to be merged",
    }
}
