//! The job summary of GitHub Actions, in Markdown.

use std::fmt::Write as _;

use super::Delivery;
use crate::changeset::Plan;
use crate::choose::{Deployed, Outcome};
use crate::diagnostic::{Diagnostic, Severity};
use crate::registry::Usage;
use crate::text::code_span;

/// GitHub takes 1 MiB for a step's summary; rows beyond this are counted.
const MAX_ROWS: usize = 500;

/// What was decided, delivered and left out, as tables.
#[must_use]
pub fn job_summary(plan: &Plan, usage: &Usage, deliveries: &[Delivery]) -> String {
    let mut out = String::from("## Tagalong\n\n");
    let changing =
        plan.decisions.iter().filter(|planned| planned.decision.outcome != Outcome::Keep);
    let kept = plan.decisions.len() - changing.clone().count();
    out.push_str(
        "| image | environment | outcome | from | to | why |\n|---|---|---|---|---|---|\n",
    );
    for planned in changing.clone().take(MAX_ROWS) {
        let decision = &planned.decision;
        let to = Deployed {
            tag: decision.to.clone(),
            digest: decision.to_digest.clone(),
            ..Deployed::default()
        };
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            code_span(&planned.image),
            code_span(&planned.environment),
            word(decision.outcome),
            cell(&planned.deployed),
            cell(&to),
            code_span(&decision.reason.message)
        )
        .ok();
    }
    let more = changing.count().saturating_sub(MAX_ROWS);
    writeln!(
        out,
        "\n{kept} up to date{}.",
        if more > 0 { format!(", {more} more not shown") } else { String::new() }
    )
    .ok();
    out.extend(deliveries.iter().map(delivery));
    out.push_str(&costs(usage));
    let problems = plan.diagnostics.iter().filter(|d| d.severity != Severity::Info);
    out.extend(problems.take(MAX_ROWS).map(problem));
    out
}

/// What asking registries cost, a row for each.
fn costs(usage: &Usage) -> String {
    if usage.is_empty() {
        return String::new();
    }
    let mut out = String::from(
        "\n| registry | images | requests | pages | bytes | from cache | time | left |\n|---|---|---|---|---|---|---|---|\n",
    );
    for (host, asked) in usage.iter().take(MAX_ROWS) {
        let cost = asked.total();
        let left = match (asked.remaining, asked.limit) {
            (Some(remaining), Some(limit)) => format!("{remaining} of {limit}"),
            (Some(remaining), None) => remaining.to_string(),
            (None, _) => String::new(),
        };
        writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} | {:.1} s | {left} |",
            code_span(host),
            asked.images.len(),
            cost.requests,
            cost.pages,
            cost.bytes,
            cost.cache_hits,
            cost.time.as_secs_f64()
        )
        .ok();
    }
    out.push('\n');
    out
}

fn delivery(delivery: &Delivery) -> String {
    let link = delivery.pull_request.as_ref().map(|(number, url)| format!(" [#{number}]({url})"));
    let message = delivery.message.as_deref().map(|text| format!(": {}", code_span(text)));
    let outcome = serde_json::to_value(delivery.outcome).unwrap_or_default();
    format!(
        "- {} {}{}{}\n",
        code_span(&delivery.environment),
        outcome.as_str().unwrap_or_default(),
        link.unwrap_or_default(),
        message.unwrap_or_default()
    )
}

fn problem(problem: &Diagnostic) -> String {
    let place = problem.place.as_ref();
    let place =
        place.map(|place| format!(" {}", code_span(&format!("{}:{}", place.path, place.line))));
    format!("- **{}**{} {}\n", problem.code, place.unwrap_or_default(), code_span(&problem.message))
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Update => "update",
        Outcome::Keep => "keep",
        Outcome::Hold => "hold",
        Outcome::Undecided => "**undecided**",
    }
}

fn cell(deployed: &Deployed) -> String {
    match (&deployed.tag, &deployed.digest) {
        (None, None) => String::new(),
        (Some(tag), _) => code_span(tag.as_str()),
        (None, Some(digest)) => code_span(digest.short()),
    }
}
